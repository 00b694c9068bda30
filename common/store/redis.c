#include "store/redis.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/rng.h"
#include "store/redis_conn.h"
#include "store/redis_sub.h"
#include "store/sentinel.h"

/* The first pause is up to this long, and each further one up to twice the one before. */
#define RETRY_MS_FIRST 100u
/* A connection that lived for less did not end the trouble: the pauses go on growing. */
#define LIVED_MS 5000u

enum told { TOLD_NOTHING, TOLD_UP, TOLD_DOWN };

/* One of the two connections, and how it is kept alive: waiting for the next try (retry armed), asking the sentinels
 * (question open), opening, up. */
struct lane {
    struct weir_redis_link *link;
    struct weir_redis_conn *conn; /* of the lane for commands */
    struct weir_redis_sub *sub;   /* of the other one */
    struct weir_deadline retry;
    struct weir_sentinel_question question;
    unsigned tries; /* since it was well */
    uint64_t up_ms;
    bool up;
    char host[WEIR_DNS_NAME_MAX + 1]; /* where it leads, unless that is a socket's path */
    uint16_t port;
    char server[WEIR_REDIS_SERVER_TEXT_MAX]; /* the same for people */
};

struct weir_redis_link {
    struct weir_reactor *reactor;
    struct weir_redis_link_opts opts;
    struct lane commands, subscription;
    struct weir_sentinel *sentinel; /* NULL: the URL names the server itself */
    struct weir_rng rng;
    enum told told;
    unsigned depth; /* functions of ours on the stack that called out */
    bool closed;
    struct weir_redis_stats stats;
};

/* A script's run, until it has ended: what is needed to send it once more. */
struct eval {
    struct weir_redis_link *link;
    const struct weir_redis_script *script;
    weir_redis_cb cb;
    void *owner;
    uint64_t due_ms;
    bool by_body;
    char key_count[12];
    unsigned count;
    struct weir_str args[]; /* the command; the bytes of keys and arguments are behind it */
};

static void enter(struct weir_redis_link *k)
{
    k->depth++;
}

static void leave(struct weir_redis_link *k)
{
    if (--k->depth == 0 && k->closed)
        free(k);
}

/* -- trying -- */

static void retry_later(struct lane *l)
{
    struct weir_redis_link *k = l->link;
    uint64_t most_ms = RETRY_MS_FIRST << (l->tries < 8 ? l->tries : 8);
    if (k->closed)
        return;
    if (most_ms > WEIR_REDIS_RETRY_MS_MAX)
        most_ms = WEIR_REDIS_RETRY_MS_MAX;
    l->tries++;
    weir_reactor_deadline(k->reactor, &l->retry, k->reactor->now_ms + weir_rng_next(&k->rng) % (most_ms + 1));
}

static void went_up(struct lane *l)
{
    l->up = true;
    l->up_ms = l->link->reactor->now_ms;
}

static void went_down(struct lane *l)
{
    if (l->up && l->link->reactor->now_ms - l->up_ms >= LIVED_MS)
        l->tries = 0;
    l->up = false;
}

/* -- the connection for commands -- */

static void tell_down(struct weir_redis_link *k, const struct weir_err *why)
{
    struct weir_err err = *why;
    if (k->told == TOLD_DOWN)
        return;
    k->stats.losses += k->told == TOLD_UP;
    k->told = TOLD_DOWN;
    if (k->commands.server[0] != '\0')
        weir_err_wrap(&err, "%s", k->commands.server);
    if (k->opts.events->down != NULL)
        k->opts.events->down(k->opts.owner, &err);
}

static void commands_ready(void *owner)
{
    struct lane *l = owner;
    struct weir_redis_link *k = l->link;
    enter(k);
    went_up(l);
    k->told = TOLD_UP;
    k->stats.connects++;
    if (k->opts.events->up != NULL)
        k->opts.events->up(k->opts.owner);
    leave(k);
}

static void commands_closed(void *owner, const struct weir_err *why)
{
    struct lane *l = owner;
    struct weir_redis_link *k = l->link;
    enter(k);
    went_down(l);
    tell_down(k, why);
    weir_redis_conn_close(&l->conn);
    retry_later(l);
    leave(k);
}

/* -- the one for subscriptions -- */

static void sub_ready(void *owner)
{
    struct lane *l = owner;
    struct weir_redis_link *k = l->link;
    enter(k);
    went_up(l);
    if (k->opts.events->subscribed != NULL)
        k->opts.events->subscribed(k->opts.owner);
    leave(k);
}

static void sub_message(void *owner, struct weir_str channel, struct weir_str payload)
{
    struct weir_redis_link *k = ((struct lane *)owner)->link;
    if (k->opts.events->message != NULL)
        k->opts.events->message(k->opts.owner, channel, payload);
}

static void sub_closed(void *owner, const struct weir_err *why)
{
    struct lane *l = owner;
    struct weir_redis_link *k = l->link;
    bool was_up = l->up;
    (void)why;
    enter(k);
    went_down(l);
    weir_redis_sub_close(&l->sub);
    if (was_up && k->opts.events->unsubscribed != NULL)
        k->opts.events->unsubscribed(k->opts.owner);
    retry_later(l);
    leave(k);
}

/* -- opening -- */

static struct weir_redis_conn_opts conn_opts(struct lane *l)
{
    const struct weir_redis_link_opts *o = &l->link->opts;
    return (struct weir_redis_conn_opts){.server = {.path = o->url->path,
                                                    .host = l->host,
                                                    .port = l->port,
                                                    .dns = o->dns,
                                                    .tls = o->url->tls ? o->tls : NULL,
                                                    .crypto = o->crypto,
                                                    .tls_name = o->tls_name},
                                         .credentials = &o->url->server,
                                         .db = o->url->db,
                                         .client_name = o->client_name,
                                         .master = true,
                                         .timeout_ms = o->timeout_ms,
                                         .stats = &l->link->stats,
                                         .owner = l};
}

static void lead_to(struct lane *l, const char *host, uint16_t port)
{
    snprintf(l->host, sizeof l->host, "%s", host);
    l->port = port;
    (void)weir_redis_server_text(l->link->opts.url->path, l->host, port, l->server);
}

static void open_lane(struct lane *l)
{
    struct weir_redis_link *k = l->link;
    struct weir_redis_conn_opts conn = conn_opts(l);
    int rv;
    if (l == &k->commands) {
        conn.ready = commands_ready;
        conn.closed = commands_closed;
        rv = weir_redis_conn_open(&l->conn, k->reactor, &conn);
    } else {
        struct weir_redis_sub_opts sub = {.conn = conn,
                                          .channels = k->opts.channels,
                                          .channel_count = k->opts.channel_count,
                                          .subscribed = sub_ready,
                                          .message = sub_message,
                                          .closed = sub_closed,
                                          .owner = l};
        rv = weir_redis_sub_open(&l->sub, k->reactor, &sub);
    }
    if (rv != 0) /* out of memory: it may be better soon */
        retry_later(l);
}

static void told_master(struct weir_sentinel_question *q, const char *host, uint16_t port, const struct weir_err *err)
{
    struct lane *l = WEIR_CONTAINER(q, struct lane, question);
    struct weir_redis_link *k = l->link;
    enter(k);
    if (host != NULL) {
        lead_to(l, host, port);
        open_lane(l);
    } else {
        l->server[0] = '\0';
        if (l == &k->commands)
            tell_down(k, err);
        retry_later(l);
    }
    leave(k);
}

static void try_lane(struct lane *l)
{
    const struct weir_redis_host *host = &l->link->opts.url->hosts[0];
    if (l->link->sentinel != NULL) {
        weir_sentinel_ask(l->link->sentinel, &l->question);
        return;
    }
    lead_to(l, host->host != NULL ? host->host : "", host->port);
    open_lane(l);
}

static void on_retry(struct weir_deadline *d, uint64_t now_ms)
{
    (void)now_ms;
    try_lane(WEIR_CONTAINER(d, struct lane, retry));
}

static void lane_init(struct lane *l, struct weir_redis_link *k)
{
    l->link = k;
    l->question.done = told_master;
    weir_list_init(&l->question.link);
    weir_deadline_init(&l->retry, on_retry);
}

static void lane_close(struct lane *l)
{
    l->up = false;
    weir_sentinel_cancel(&l->question);
    weir_redis_conn_close(&l->conn);
    weir_redis_sub_close(&l->sub);
    weir_deadline_drop(&l->link->reactor->wheel, &l->retry);
}

/* A lane that leads elsewhere ends as if its server had said so; it, and one that waits, goes to the new master at
 * once.
 */
static void switch_lane(struct lane *l, const char *host, uint16_t port)
{
    struct weir_err why;
    bool same = l->port == port && strcmp(l->host, host) == 0;
    if (l->link->closed || (same && (l->conn != NULL || l->sub != NULL)))
        return;
    weir_err_set(&why, WEIR_ECLOSED, "the sentinels made another server the master");
    if (l->conn != NULL)
        commands_closed(l, &why);
    else if (l->sub != NULL)
        sub_closed(l, &why);
    if (l->link->closed)
        return;
    weir_sentinel_cancel(&l->question);
    weir_deadline_clear(&l->retry);
    l->tries = 0;
    lead_to(l, host, port);
    open_lane(l);
}

static void switched(void *owner, const char *host, uint16_t port)
{
    struct weir_redis_link *k = owner;
    enter(k);
    switch_lane(&k->commands, host, port);
    if (k->opts.channel_count > 0)
        switch_lane(&k->subscription, host, port);
    leave(k);
}

static int open_sentinel(struct weir_redis_link *k)
{
    struct weir_sentinel_opts s = {.url = k->opts.url,
                                   .server = conn_opts(&k->commands).server,
                                   .client_name = k->opts.client_name,
                                   .timeout_ms = k->opts.timeout_ms,
                                   .seed = weir_rng_next(&k->rng),
                                   .switched = switched,
                                   .owner = k};
    return weir_sentinel_open(&k->sentinel, k->reactor, &s);
}

int weir_redis_link_open(struct weir_redis_link **out, struct weir_reactor *r, const struct weir_redis_link_opts *opts,
                         struct weir_err *err)
{
    assert(opts->url != NULL && opts->timeout_ms > 0 && opts->channel_count <= WEIR_REDIS_CHANNELS_MAX);
    assert(!opts->url->tls || (opts->tls != NULL && opts->crypto != NULL));
    *out = NULL;
    struct weir_redis_link *k = calloc(1, sizeof *k);
    if (k == NULL)
        return weir_err_set(err, WEIR_ENOMEM, "out of memory");
    k->reactor = r;
    k->opts = *opts;
    k->rng.state = opts->seed;
    lane_init(&k->commands, k);
    lane_init(&k->subscription, k);
    if (opts->url->kind == WEIR_REDIS_SENTINEL && open_sentinel(k) != 0) {
        free(k);
        return weir_err_set(err, WEIR_ENOMEM, "out of memory");
    }
    *out = k;
    try_lane(&k->commands);
    if (opts->channel_count > 0)
        try_lane(&k->subscription);
    return WEIR_OK;
}

void weir_redis_link_close(struct weir_redis_link **link)
{
    struct weir_redis_link *k = *link;
    if (k == NULL)
        return;
    *link = NULL;
    enter(k);
    k->closed = true;
    lane_close(&k->commands);
    lane_close(&k->subscription);
    weir_sentinel_close(&k->sentinel);
    leave(k);
}

bool weir_redis_link_is_up(const struct weir_redis_link *k)
{
    return k->commands.up;
}

bool weir_redis_link_is_subscribed(const struct weir_redis_link *k)
{
    return k->subscription.up;
}

const char *weir_redis_link_server(const struct weir_redis_link *k)
{
    return k->commands.server;
}

void weir_redis_link_stats(const struct weir_redis_link *k, struct weir_redis_stats *out)
{
    *out = k->stats;
}

/* -- calls -- */

int weir_redis_link_call(struct weir_redis_link *k, const struct weir_str *args, unsigned count, uint64_t timeout_ms,
                         weir_redis_cb cb, void *owner)
{
    int rv = k->commands.up ? weir_redis_conn_send(k->commands.conn, args, count, timeout_ms, cb, owner) : WEIR_ECLOSED;
    k->stats.refused += rv != 0;
    return rv;
}

static void end_eval(struct eval *e, const struct weir_redis_reply *reply, const struct weir_err *err)
{
    weir_redis_cb cb = e->cb;
    void *owner = e->owner;
    free(e);
    cb(owner, reply, err);
}

static void got_eval(void *owner, const struct weir_redis_reply *reply, const struct weir_err *err)
{
    struct eval *e = owner;
    if (err != NULL || e->by_body || !weir_redis_error_is(reply, "NOSCRIPT")) {
        end_eval(e, reply, err);
        return;
    }
    struct weir_err why;
    uint64_t now_ms = weir_clock_us() / 1000;
    e->by_body = true;
    e->args[0] = WEIR_STR("EVAL");
    e->args[1] = (struct weir_str){e->script->body, e->script->len};
    int rv = now_ms < e->due_ms ? weir_redis_link_call(e->link, e->args, e->count, e->due_ms - now_ms, got_eval, e)
                                : WEIR_ETIMEOUT;
    if (rv == 0)
        return;
    weir_err_set(&why, rv, "script %s: %s", e->script->name, weir_err_text(rv));
    end_eval(e, NULL, &why);
}

/* NULL: out of memory. */
static struct eval *new_eval(const struct weir_redis_script *script, const struct weir_str *keys, unsigned key_count,
                             const struct weir_str *args, unsigned arg_count)
{
    unsigned count = 3 + key_count + arg_count;
    size_t bytes = 0;
    for (unsigned i = 3; i < count; i++)
        bytes += i - 3 < key_count ? keys[i - 3].len : args[i - 3 - key_count].len;
    struct eval *e = calloc(1, sizeof *e + count * sizeof e->args[0] + bytes);
    if (e == NULL)
        return NULL;
    char *at = (char *)&e->args[count];
    e->count = count;
    snprintf(e->key_count, sizeof e->key_count, "%u", key_count);
    e->args[0] = WEIR_STR("EVALSHA");
    e->args[1] = weir_str_of(script->sha1);
    e->args[2] = weir_str_of(e->key_count);
    for (unsigned i = 3; i < count; i++) {
        struct weir_str s = i - 3 < key_count ? keys[i - 3] : args[i - 3 - key_count];
        if (s.len > 0)
            memcpy(at, s.ptr, s.len);
        e->args[i] = (struct weir_str){at, s.len};
        at += s.len;
    }
    return e;
}

int weir_redis_link_eval(struct weir_redis_link *k, const struct weir_redis_script *script, const struct weir_str *keys,
                         unsigned key_count, const struct weir_str *args, unsigned arg_count, uint64_t timeout_ms,
                         weir_redis_cb cb, void *owner)
{
    assert(3 + key_count + arg_count <= WEIR_REDIS_ARGS_MAX);
    if (timeout_ms == 0)
        timeout_ms = k->opts.timeout_ms;
    struct eval *e = k->commands.up ? new_eval(script, keys, key_count, args, arg_count) : NULL;
    if (e == NULL) {
        k->stats.refused++;
        return k->commands.up ? WEIR_ENOMEM : WEIR_ECLOSED;
    }
    e->link = k;
    e->script = script;
    e->cb = cb;
    e->owner = owner;
    e->due_ms = weir_clock_us() / 1000 + timeout_ms;
    int rv = weir_redis_link_call(k, e->args, e->count, timeout_ms, got_eval, e);
    if (rv != 0)
        free(e);
    return rv;
}
