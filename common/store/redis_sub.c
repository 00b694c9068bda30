#include "store/redis_sub.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

struct weir_redis_sub {
    struct weir_reactor *reactor;
    struct weir_redis_sub_opts opts;
    struct weir_redis_conn *conn;
    struct weir_deadline clock; /* the next look at the silence */
    uint64_t pinged_ms;         /* 0: no PING is unanswered */
    unsigned confirmed;         /* channels */
};

static void end(struct weir_redis_sub *s, const struct weir_err *why)
{
    struct weir_err err = *why;
    weir_deadline_drop(&s->reactor->wheel, &s->clock);
    s->opts.closed(s->opts.owner, &err);
}

/* Closes the connection first: nothing comes from it any more. */
static void give_up(struct weir_redis_sub *s, int code, const char *why)
{
    struct weir_err err;
    weir_err_set(&err, code, "%s", why);
    weir_redis_conn_close(&s->conn);
    end(s, &err);
}

static void on_closed(void *owner, const struct weir_err *why)
{
    end(owner, why);
}

static void on_clock(struct weir_deadline *d, uint64_t now_ms)
{
    static const struct weir_str ping[] = {{"PING", 4}};
    struct weir_redis_sub *s = WEIR_CONTAINER(d, struct weir_redis_sub, clock);
    uint64_t heard_ms = weir_redis_conn_heard_ms(s->conn);
    uint64_t patience_ms = s->opts.conn.timeout_ms * WEIR_REDIS_SILENT_TIMEOUTS;
    if (s->confirmed < s->opts.channel_count) {
        give_up(s, WEIR_ETIMEOUT, "the server did not confirm the subscription");
        return;
    }
    if (heard_ms >= s->pinged_ms) /* part of a long message is a sign of life too */
        s->pinged_ms = 0;
    if (s->pinged_ms > 0 && now_ms >= s->pinged_ms + patience_ms) {
        give_up(s, WEIR_ETIMEOUT, "the server did not answer a PING on the subscription");
        return;
    }
    if (s->pinged_ms == 0 && now_ms >= heard_ms + WEIR_REDIS_PING_MS) {
        int rv = weir_redis_conn_write(s->conn, ping, 1);
        if (rv != 0) {
            give_up(s, rv, weir_err_text(rv));
            return;
        }
        s->pinged_ms = now_ms;
    }
    weir_reactor_deadline(s->reactor, &s->clock,
                          s->pinged_ms > 0 ? s->pinged_ms + patience_ms : heard_ms + WEIR_REDIS_PING_MS);
}

static bool is_kind(const struct weir_redis_reply *reply, const char *kind, size_t count)
{
    return reply->count == count && weir_redis_reply_is(&reply->element[0], kind);
}

/* RESP2 knows pushes only as arrays that begin with their kind. */
static void on_push(void *owner, const struct weir_redis_reply *reply)
{
    struct weir_redis_sub *s = owner;
    s->pinged_ms = 0;
    if (reply->type == WEIR_REDIS_ERROR) {
        char text[256];
        snprintf(text, sizeof text, "the server refuses the subscription: %.*s",
                 reply->str.len < 200 ? (int)reply->str.len : 200, reply->str.ptr);
        give_up(s, WEIR_EPROTO, text);
    } else if (reply->type != WEIR_REDIS_ARRAY) {
        give_up(s, WEIR_EPROTO, "the server sent something else than messages on the subscription");
    } else if (is_kind(reply, "message", 3) && reply->element[1].type == WEIR_REDIS_STRING &&
               reply->element[2].type == WEIR_REDIS_STRING) {
        s->opts.message(s->opts.owner, reply->element[1].str, reply->element[2].str);
    } else if (is_kind(reply, "subscribe", 3)) {
        s->confirmed++;
        if (s->confirmed == s->opts.channel_count)
            s->opts.subscribed(s->opts.owner);
    } else if (!is_kind(reply, "pong", 2)) {
        give_up(s, WEIR_EPROTO, "the server sent a push that was not asked for");
    }
}

static void on_ready(void *owner)
{
    struct weir_redis_sub *s = owner;
    struct weir_str args[1 + WEIR_REDIS_CHANNELS_MAX] = {WEIR_STR("SUBSCRIBE")};
    for (unsigned i = 0; i < s->opts.channel_count; i++)
        args[1 + i] = weir_str_of(s->opts.channels[i]);
    weir_redis_conn_push(s->conn, on_push);
    int rv = weir_redis_conn_write(s->conn, args, 1 + s->opts.channel_count);
    if (rv != 0) {
        give_up(s, rv, weir_err_text(rv));
        return;
    }
    weir_reactor_deadline(s->reactor, &s->clock,
                          s->reactor->now_ms + s->opts.conn.timeout_ms * WEIR_REDIS_SILENT_TIMEOUTS);
}

int weir_redis_sub_open(struct weir_redis_sub **out, struct weir_reactor *r, const struct weir_redis_sub_opts *opts)
{
    assert(opts->channel_count > 0 && opts->channel_count <= WEIR_REDIS_CHANNELS_MAX);
    *out = NULL;
    struct weir_redis_sub *s = calloc(1, sizeof *s);
    if (s == NULL)
        return WEIR_ENOMEM;
    s->reactor = r;
    s->opts = *opts;
    weir_deadline_init(&s->clock, on_clock);
    struct weir_redis_conn_opts conn = opts->conn;
    conn.ready = on_ready;
    conn.closed = on_closed;
    conn.owner = s;
    if (weir_redis_conn_open(&s->conn, r, &conn) != 0) {
        free(s);
        return WEIR_ENOMEM;
    }
    *out = s;
    return WEIR_OK;
}

void weir_redis_sub_close(struct weir_redis_sub **sub)
{
    struct weir_redis_sub *s = *sub;
    if (s == NULL)
        return;
    *sub = NULL;
    weir_redis_conn_close(&s->conn);
    weir_deadline_drop(&s->reactor->wheel, &s->clock);
    free(s);
}
