#include "store/redis_dial.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "net/dial.h"
#include "net/tls.h"

enum step { STEP_RESOLVE, STEP_CONNECT, STEP_HANDSHAKE };

/* A question to the resolver, which cannot be taken back: it outlives a dial that is closed, and then finds nobody. */
struct question {
    struct weir_redis_dial *dial; /* NULL: closed meanwhile */
};

struct weir_redis_dial {
    struct weir_reactor *reactor;
    struct weir_redis_dial_opts opts;
    enum step step;
    struct question *question; /* open */
    struct weir_dial *race;
    struct weir_stream *stream; /* connecting (unix), or shaking hands */
    struct weir_deadline soon;  /* to tell of a failure from outside of start */
    struct weir_err err;
};

static const struct weir_tcp_opts tcp = {.keepalive = true};

static void finish(struct weir_redis_dial *d, const struct weir_err *err)
{
    struct weir_redis_dial_opts o = d->opts;
    struct weir_stream *stream = err == NULL ? d->stream : NULL;
    struct weir_err why;
    if (err == NULL)
        d->stream = NULL;
    else
        why = *err;
    weir_redis_dial_close(&d);
    o.done(o.owner, stream, err == NULL ? NULL : &why);
}

static void fail_soon(struct weir_redis_dial *d)
{
    weir_reactor_deadline(d->reactor, &d->soon, d->reactor->now_ms);
}

static void on_soon(struct weir_deadline *deadline, uint64_t now_ms)
{
    struct weir_redis_dial *d = WEIR_CONTAINER(deadline, struct weir_redis_dial, soon);
    (void)now_ms;
    finish(d, &d->err);
}

/* -- TLS -- */

static void shaken(struct weir_stream *s, int code, const struct weir_err *err)
{
    finish(s->owner, code != 0 ? err : NULL);
}

static void connected(struct weir_redis_dial *d)
{
    if (d->opts.tls == NULL) {
        finish(d, NULL);
        return;
    }
    struct weir_tls_opts tls = {.config = d->opts.tls,
                                .pool = d->opts.crypto,
                                .host = d->opts.tls_name != NULL ? d->opts.tls_name : d->opts.host,
                                .started = true};
    struct weir_stream *under = d->stream;
    int rv = weir_tls_wrap(&d->stream, under, &tls);
    if (rv != 0) {
        struct weir_err why;
        d->stream = under;
        weir_err_set(&why, rv, "TLS to %s: %s", tls.host, weir_err_text(rv));
        finish(d, &why);
        return;
    }
    d->step = STEP_HANDSHAKE;
    d->stream->owner = d;
    weir_stream_start(d->stream, shaken);
}

/* -- unix sockets -- */

static void unix_connected(struct weir_stream *s, int code, const struct weir_err *err)
{
    if (code != 0)
        finish(s->owner, err);
    else
        connected(s->owner);
}

static void connect_unix(struct weir_redis_dial *d)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    size_t len = strlen(d->opts.path);
    d->step = STEP_CONNECT;
    if (len >= sizeof un.sun_path) {
        weir_err_set(&d->err, WEIR_EINVAL, "the socket's path is too long");
        fail_soon(d);
        return;
    }
    memcpy(un.sun_path, d->opts.path, len);
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + 1);
    if (weir_tcp_connect(&d->stream, d->reactor, (const struct sockaddr *)&un, size, NULL, &d->err) != 0) {
        fail_soon(d);
        return;
    }
    d->stream->owner = d;
    weir_stream_start(d->stream, unix_connected);
}

/* -- names and addresses -- */

static void raced(void *owner, const struct weir_dial_result *result)
{
    struct weir_redis_dial *d = owner;
    d->race = NULL;
    d->stream = result->stream;
    if (d->stream == NULL)
        finish(d, result->err);
    else
        connected(d);
}

static void resolved(void *owner, const struct weir_dns_answer *a)
{
    struct question *q = owner;
    struct weir_redis_dial *d = q->dial;
    struct weir_addr addrs[WEIR_DNS_ADDRS_MAX];
    free(q);
    if (d == NULL)
        return;
    d->question = NULL;
    d->step = STEP_CONNECT;
    if (a->code != 0) {
        weir_err_set(&d->err, a->code, "%s", a->message != NULL ? a->message : weir_err_text(a->code));
        fail_soon(d);
        return;
    }
    unsigned count = a->count < WEIR_DNS_ADDRS_MAX ? (unsigned)a->count : WEIR_DNS_ADDRS_MAX;
    weir_dial_interleave(addrs, a->addrs, count);
    struct weir_dial_opts race = {.addrs = addrs, .count = count, .tcp = &tcp, .done = raced, .owner = d};
    if (weir_dial_start(&d->race, d->reactor, &race, &d->err) != 0)
        fail_soon(d);
}

/* -- from outside -- */

int weir_redis_dial_start(struct weir_redis_dial **out, struct weir_reactor *r, const struct weir_redis_dial_opts *opts)
{
    *out = NULL;
    struct weir_redis_dial *d = calloc(1, sizeof *d);
    if (d == NULL)
        return WEIR_ENOMEM;
    d->reactor = r;
    d->opts = *opts;
    weir_deadline_init(&d->soon, on_soon);
    if (opts->path == NULL) {
        d->question = malloc(sizeof *d->question);
        if (d->question == NULL) {
            free(d);
            return WEIR_ENOMEM;
        }
        d->question->dial = d;
    }
    if (opts->tls != NULL)
        weir_tls_config_ref(opts->tls);
    *out = d;
    if (opts->path != NULL)
        connect_unix(d);
    else
        weir_dns_resolve(opts->dns, weir_str_of(opts->host), opts->port, opts->resolve_ms, resolved, d->question);
    return WEIR_OK;
}

void weir_redis_dial_close(struct weir_redis_dial **dial)
{
    struct weir_redis_dial *d = *dial;
    if (d == NULL)
        return;
    *dial = NULL;
    if (d->question != NULL)
        d->question->dial = NULL;
    weir_dial_close(&d->race, false);
    if (d->stream != NULL)
        weir_stream_close(&d->stream, true);
    weir_deadline_drop(&d->reactor->wheel, &d->soon);
    weir_tls_config_unref(&d->opts.tls);
    free(d);
}

const char *weir_redis_dial_step(const struct weir_redis_dial *dial)
{
    static const char *const texts[] = {"its address", "the connection", "the TLS handshake"};
    return texts[dial->step];
}

const char *weir_redis_server_text(const char *path, const char *host, uint16_t port,
                                   char buf[WEIR_REDIS_SERVER_TEXT_MAX])
{
    if (path != NULL)
        snprintf(buf, WEIR_REDIS_SERVER_TEXT_MAX, "unix:%s", path);
    else if (strchr(host, ':') != NULL)
        snprintf(buf, WEIR_REDIS_SERVER_TEXT_MAX, "[%s]:%u", host, port);
    else
        snprintf(buf, WEIR_REDIS_SERVER_TEXT_MAX, "%s:%u", host, port);
    return buf;
}
