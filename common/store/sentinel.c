#include "store/sentinel.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/rng.h"
#include "store/redis_sub.h"

/* The pause before the subscription is tried with the next sentinel: up to this long. */
#define WATCH_RETRY_MS WEIR_REDIS_RETRY_MS_MAX

struct place {
    char host[WEIR_DNS_NAME_MAX + 1]; /* empty: not known */
    uint16_t port;
};

struct weir_sentinel {
    struct weir_reactor *reactor;
    struct weir_sentinel_opts opts;
    struct weir_rng rng;
    struct place master; /* as last told */
    struct weir_list questions;
    struct weir_redis_conn *conn; /* the question's, under way */
    unsigned at, asked;           /* the sentinel; how many of this round */
    struct weir_deadline soon;    /* the next sentinel, or the next round */
    struct weir_err last;         /* what the last one said */
    struct weir_redis_sub *watch;
    unsigned watch_at;
    struct weir_deadline rewatch;
    struct weir_sentinel_question missed; /* asked by ourselves when the subscription begins */
    unsigned depth;                       /* functions of ours on the stack that call out */
    bool closed;
};

static void enter(struct weir_sentinel *s)
{
    s->depth++;
}

static void leave(struct weir_sentinel *s)
{
    if (--s->depth == 0 && s->closed)
        free(s);
}

/* False: that is no place to connect to. */
static bool place_set(struct place *p, struct weir_str host, struct weir_str port)
{
    uint64_t number;
    if (host.len == 0 || host.len >= sizeof p->host || memchr(host.ptr, '\0', host.len) != NULL)
        return false;
    if (!weir_str_to_u64(port, &number) || number == 0 || number > 65535)
        return false;
    memcpy(p->host, host.ptr, host.len);
    p->host[host.len] = '\0';
    p->port = (uint16_t)number;
    return true;
}

static bool place_eq(const struct place *a, const struct place *b)
{
    return a->port == b->port && strcmp(a->host, b->host) == 0;
}

static struct weir_redis_conn_opts conn_opts(struct weir_sentinel *s, unsigned at)
{
    const struct weir_redis_url *url = s->opts.url;
    struct weir_redis_conn_opts c = {.server = s->opts.server,
                                     .credentials = &url->sentinel,
                                     .client_name = s->opts.client_name,
                                     .timeout_ms = s->opts.timeout_ms,
                                     .owner = s};
    c.server.path = NULL;
    c.server.host = url->hosts[at].host;
    c.server.port = url->hosts[at].port;
    return c;
}

/* -- questions -- */

static void soon(struct weir_sentinel *s)
{
    weir_reactor_deadline(s->reactor, &s->soon, s->reactor->now_ms);
}

static void moved(struct weir_sentinel *s, const struct place *to)
{
    bool known = s->master.host[0] != '\0', other = !place_eq(&s->master, to);
    s->master = *to;
    if (known && other && !s->closed)
        s->opts.switched(s->opts.owner, to->host, to->port);
}

/* To all that wait now; those who ask again meanwhile wait for the next round. */
static void answer(struct weir_sentinel *s, const struct place *master)
{
    struct weir_list now;
    struct place told = {0};
    if (master != NULL)
        told = *master;
    weir_list_init(&now);
    weir_list_splice(&now, &s->questions);
    s->asked = 0;
    while (!weir_list_empty(&now) && !s->closed) {
        struct weir_sentinel_question *q =
            WEIR_CONTAINER(weir_list_pop_front(&now), struct weir_sentinel_question, link);
        q->done(q, master != NULL ? told.host : NULL, told.port, master != NULL ? NULL : &s->last);
    }
    while (!weir_list_empty(&now))
        (void)weir_list_pop_front(&now);
    if (master != NULL)
        moved(s, &told);
    if (!s->closed && !weir_list_empty(&s->questions))
        soon(s);
}

static void next_sentinel(struct weir_sentinel *s, const struct weir_err *why)
{
    char text[WEIR_REDIS_SERVER_TEXT_MAX];
    const struct weir_redis_host *h = &s->opts.url->hosts[s->at];
    s->last = *why;
    weir_err_wrap(&s->last, "sentinel %s", weir_redis_server_text(NULL, h->host, h->port, text));
    weir_redis_conn_close(&s->conn);
    s->at = (s->at + 1) % s->opts.url->host_count;
    s->asked++;
    if (s->asked >= s->opts.url->host_count)
        answer(s, NULL);
    else
        soon(s);
}

static void got_address(void *owner, const struct weir_redis_reply *reply, const struct weir_err *err)
{
    struct weir_sentinel *s = owner;
    struct weir_err why;
    struct place master;
    if (s->closed || s->conn == NULL) /* the connection is being closed, and whoever does that knows why */
        return;
    enter(s);
    if (err != NULL) {
        next_sentinel(s, err);
    } else if (reply->type == WEIR_REDIS_ARRAY && reply->count == 2 && reply->element[0].type == WEIR_REDIS_STRING &&
               reply->element[1].type == WEIR_REDIS_STRING &&
               place_set(&master, reply->element[0].str, reply->element[1].str)) {
        weir_redis_conn_close(&s->conn);
        answer(s, &master);
    } else {
        weir_err_set(&why, WEIR_ENOTFOUND,
                     reply->type == WEIR_REDIS_NIL ? "it knows no master of the name %s"
                                                   : "it did not say where the master %s is",
                     s->opts.url->master);
        next_sentinel(s, &why);
    }
    leave(s);
}

static void ask_ready(void *owner)
{
    struct weir_sentinel *s = owner;
    struct weir_str args[] = {WEIR_STR("SENTINEL"), WEIR_STR("get-master-addr-by-name"),
                              weir_str_of(s->opts.url->master)};
    struct weir_err why;
    enter(s);
    int rv = weir_redis_conn_send(s->conn, args, 3, 0, got_address, s);
    if (rv != 0) {
        weir_err_set(&why, rv, "%s", weir_err_text(rv));
        next_sentinel(s, &why);
    }
    leave(s);
}

static void ask_closed(void *owner, const struct weir_err *why)
{
    struct weir_sentinel *s = owner;
    enter(s);
    next_sentinel(s, why);
    leave(s);
}

static void on_soon(struct weir_deadline *d, uint64_t now_ms)
{
    struct weir_sentinel *s = WEIR_CONTAINER(d, struct weir_sentinel, soon);
    struct weir_err why;
    (void)now_ms;
    if (s->conn != NULL || weir_list_empty(&s->questions))
        return;
    struct weir_redis_conn_opts conn = conn_opts(s, s->at);
    conn.ready = ask_ready;
    conn.closed = ask_closed;
    enter(s);
    if (weir_redis_conn_open(&s->conn, s->reactor, &conn) != 0) {
        weir_err_set(&why, WEIR_ENOMEM, "out of memory");
        next_sentinel(s, &why);
    }
    leave(s);
}

void weir_sentinel_ask(struct weir_sentinel *s, struct weir_sentinel_question *q)
{
    weir_list_push_back(&s->questions, &q->link);
    if (s->conn == NULL)
        soon(s);
}

void weir_sentinel_cancel(struct weir_sentinel_question *q)
{
    weir_list_remove(&q->link);
}

/* -- the subscription -- */

/* "NAME OLD-HOST OLD-PORT NEW-HOST NEW-PORT" */
static void watch_message(void *owner, struct weir_str channel, struct weir_str payload)
{
    struct weir_sentinel *s = owner;
    struct weir_str words[5];
    struct place to;
    (void)channel;
    for (unsigned i = 0; i < 5; i++) {
        const char *space = payload.len > 0 ? memchr(payload.ptr, ' ', payload.len) : NULL;
        size_t n = space != NULL ? (size_t)(space - payload.ptr) : payload.len;
        words[i] = (struct weir_str){payload.ptr, n};
        n += space != NULL;
        payload = (struct weir_str){payload.ptr + n, payload.len - n};
    }
    if (!weir_str_eq(words[0], weir_str_of(s->opts.url->master)) || !place_set(&to, words[3], words[4]))
        return;
    enter(s);
    if (s->conn == NULL)
        s->at = s->watch_at; /* this one knows; the others may not yet */
    moved(s, &to);
    leave(s);
}

/* Nothing is left to do: whoever is connected elsewhere has been told by `moved`. */
static void got_missed(struct weir_sentinel_question *q, const char *host, uint16_t port, const struct weir_err *err)
{
    (void)q, (void)host, (void)port, (void)err;
}

static void watch_began(void *owner)
{
    struct weir_sentinel *s = owner;
    if (s->master.host[0] != '\0' && weir_list_empty(&s->missed.link))
        weir_sentinel_ask(s, &s->missed);
}

static void watch_again(struct weir_sentinel *s)
{
    s->watch_at = (s->watch_at + 1) % s->opts.url->host_count;
    weir_reactor_deadline(s->reactor, &s->rewatch, s->reactor->now_ms + weir_rng_next(&s->rng) % (WATCH_RETRY_MS + 1));
}

static void watch_closed(void *owner, const struct weir_err *why)
{
    struct weir_sentinel *s = owner;
    (void)why; /* whoever asks next finds out whether the sentinels are away */
    weir_redis_sub_close(&s->watch);
    watch_again(s);
}

static void watch(struct weir_sentinel *s)
{
    static const char *const channels[] = {"+switch-master"};
    struct weir_redis_sub_opts sub = {.conn = conn_opts(s, s->watch_at),
                                      .channels = channels,
                                      .channel_count = 1,
                                      .subscribed = watch_began,
                                      .message = watch_message,
                                      .closed = watch_closed,
                                      .owner = s};
    if (weir_redis_sub_open(&s->watch, s->reactor, &sub) != 0)
        watch_again(s);
}

static void on_rewatch(struct weir_deadline *d, uint64_t now_ms)
{
    (void)now_ms;
    watch(WEIR_CONTAINER(d, struct weir_sentinel, rewatch));
}

/* -- from outside -- */

int weir_sentinel_open(struct weir_sentinel **out, struct weir_reactor *r, const struct weir_sentinel_opts *opts)
{
    struct weir_sentinel *s = calloc(1, sizeof *s);
    *out = s;
    if (s == NULL)
        return WEIR_ENOMEM;
    s->reactor = r;
    s->opts = *opts;
    s->rng.state = opts->seed;
    s->missed.done = got_missed;
    weir_list_init(&s->missed.link);
    weir_list_init(&s->questions);
    weir_deadline_init(&s->soon, on_soon);
    weir_deadline_init(&s->rewatch, on_rewatch);
    /* Unlike on each node, so that not all of them crowd one sentinel. */
    s->at = s->watch_at = (unsigned)(weir_rng_next(&s->rng) % opts->url->host_count);
    watch(s);
    return WEIR_OK;
}

void weir_sentinel_close(struct weir_sentinel **sentinel)
{
    struct weir_sentinel *s = *sentinel;
    if (s == NULL)
        return;
    *sentinel = NULL;
    enter(s);
    s->closed = true;
    while (!weir_list_empty(&s->questions))
        (void)weir_list_pop_front(&s->questions);
    weir_redis_conn_close(&s->conn);
    weir_redis_sub_close(&s->watch);
    weir_deadline_drop(&s->reactor->wheel, &s->soon);
    weir_deadline_drop(&s->reactor->wheel, &s->rewatch);
    leave(s);
}
