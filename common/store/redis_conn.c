/* How a connection ends:
 *   the dial fails, or opening takes too long          -> closed(its error)
 *   the server refuses the introduction                -> closed(WEIR_EPROTO, what it said)
 *   it ends the connection, or the transport breaks    -> closed(WEIR_ECLOSED, WEIR_ETLS)
 *   it breaks the protocol or our bounds               -> closed(WEIR_EPROTO, WEIR_ENOMEM)
 *   it is silent while an answer is due                -> closed(WEIR_ETIMEOUT)
 *   it is not fit to be written to                     -> closed(WEIR_ECLOSED, what it said)
 *   the owner closes it                                -> no `closed`
 * Every callback may close the connection, so it is freed only by the last function of ours on the stack (enter and
 * leave), and each looks at `state` after a callback. */
#include "store/redis_conn.h"

#include <assert.h>
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/outbox.h"
#include "net/tls.h"
#include "store/redis_hello.h"

/* One read; on the stack, since the reactor's buffer may be lent to a sender. */
#define READ_BYTES ((size_t)16384)
/* Read in one turn; then others get theirs. */
#define TURN_BYTES ((size_t)262144)

enum state { STATE_OPENING, STATE_READY, STATE_ENDED, STATE_CLOSED };

struct call {
    struct weir_list link; /* in unsent, or in waiting */
    struct weir_redis_conn *conn;
    struct weir_deadline deadline;
    weir_redis_cb cb; /* NULL: too late, or no reply belongs to it */
    void *owner;
    char *bytes; /* hiredis'; NULL once all of it was handed to the outbox */
    size_t len, sent;
    uint64_t begun_us, timeout_ms;
};

struct weir_redis_conn {
    struct weir_reactor *reactor;
    struct weir_redis_conn_opts opts;
    enum state state;
    unsigned depth; /* functions of ours on the stack */
    struct weir_redis_dial *dial;
    struct weir_redis_hello hello;
    struct weir_stream *stream;
    struct weir_outbox out;
    struct weir_redis_reader reader;
    struct weir_list unsent, waiting; /* calls; the first of unsent may be partly sent */
    unsigned calls;
    size_t unsent_bytes;
    uint64_t bytes_counted; /* of the outbox */
    uint64_t heard_ms;
    struct weir_deadline clock; /* opening; then silence */
    void (*push)(void *owner, const struct weir_redis_reply *reply);
    struct weir_err why;
};

static uint64_t clock_ms(void)
{
    return weir_clock_us() / 1000; /* calls may be made outside of a turn, when now_ms is old */
}

/* -- the end -- */

static void enter(struct weir_redis_conn *c)
{
    c->depth++;
}

static void leave(struct weir_redis_conn *c)
{
    if (--c->depth > 0 || c->state != STATE_CLOSED)
        return;
    weir_redis_reader_close(&c->reader);
    free(c);
}

static void end_transport(struct weir_redis_conn *c)
{
    weir_redis_dial_close(&c->dial);
    if (c->stream != NULL) {
        weir_outbox_close(&c->out);
        weir_stream_close(&c->stream, false);
    }
    weir_deadline_drop(&c->reactor->wheel, &c->clock);
}

static void fail(struct weir_redis_conn *c, const struct weir_err *why)
{
    if (c->state >= STATE_ENDED)
        return;
    c->state = STATE_ENDED;
    c->why = *why;
    end_transport(c);
    c->opts.closed(c->opts.owner, &c->why);
}

static void fail_with(struct weir_redis_conn *c, int code, const char *text)
{
    struct weir_err err;
    weir_err_set(&err, code, "%s", text);
    fail(c, &err);
}

/* What a server says, fit for a log line. */
static void fail_for_reply(struct weir_redis_conn *c, int code, const char *what, const struct weir_redis_reply *reply)
{
    struct weir_err err;
    weir_err_set(&err, code, "%s: %.*s", what, reply->str.len < 200 ? (int)reply->str.len : 200, reply->str.ptr);
    fail(c, &err);
}

/* -- calls -- */

static void free_call(struct call *call)
{
    struct weir_redis_conn *c = call->conn;
    c->calls--;
    c->unsent_bytes -= call->len - call->sent;
    weir_deadline_drop(&c->reactor->wheel, &call->deadline);
    weir_list_remove(&call->link);
    if (call->bytes != NULL)
        redisFreeCommand(call->bytes);
    free(call);
}

/* Frees it, then tells: the callback may do anything. */
static void end_call(struct call *call, const struct weir_redis_reply *reply, const struct weir_err *err)
{
    weir_redis_cb cb = call->cb;
    void *owner = call->owner;
    free_call(call);
    if (cb != NULL)
        cb(owner, reply, err);
}

static void on_call_late(struct weir_deadline *d, uint64_t now_ms)
{
    struct call *call = WEIR_CONTAINER(d, struct call, deadline);
    struct weir_redis_conn *c = call->conn;
    weir_redis_cb cb = call->cb;
    void *owner = call->owner;
    struct weir_err err;
    (void)now_ms;
    enter(c);
    weir_err_set(&err, WEIR_ETIMEOUT, "no answer within %llu ms", (unsigned long long)call->timeout_ms);
    if (c->opts.stats != NULL)
        c->opts.stats->timeouts++;
    call->cb = NULL;
    if (call->sent == 0)
        free_call(call);
    cb(owner, NULL, &err);
    leave(c);
}

/* Hands commands to the outbox while it has room; the rest follows when that was written. */
static void pump(struct weir_redis_conn *c)
{
    while (!weir_list_empty(&c->unsent)) {
        struct call *call = WEIR_CONTAINER(c->unsent.next, struct call, link);
        size_t room = weir_outbox_room(&c->out), left = call->len - call->sent, n = left < room ? left : room;
        if (n == 0)
            return;
        weir_outbox_copy(&c->out, call->bytes + call->sent, n);
        call->sent += n;
        c->unsent_bytes -= n;
        if (n < left)
            return;
        redisFreeCommand(call->bytes);
        call->bytes = NULL;
        weir_list_remove(&call->link);
        weir_list_push_back(&c->waiting, &call->link);
        if (c->push != NULL)
            free_call(call);
    }
}

static void watch_silence(struct weir_redis_conn *c, uint64_t now_ms)
{
    if (c->state == STATE_READY && c->push == NULL && c->clock.due_ms == WEIR_NEVER)
        weir_reactor_deadline(c->reactor, &c->clock, now_ms + c->opts.timeout_ms * WEIR_REDIS_SILENT_TIMEOUTS);
}

/* Longer than this without a byte is too long, while this call waits. */
static uint64_t patience_ms(const struct weir_redis_conn *c, const struct call *oldest)
{
    uint64_t usual_ms = c->opts.timeout_ms * WEIR_REDIS_SILENT_TIMEOUTS;
    return oldest->timeout_ms > usual_ms ? oldest->timeout_ms : usual_ms;
}

static void judge_silence(struct weir_redis_conn *c, uint64_t now_ms)
{
    struct weir_list *list = !weir_list_empty(&c->waiting) ? &c->waiting : &c->unsent;
    if (weir_list_empty(list))
        return;
    const struct call *oldest = WEIR_CONTAINER(list->next, struct call, link);
    uint64_t since_ms = oldest->begun_us / 1000;
    if (c->heard_ms > since_ms)
        since_ms = c->heard_ms;
    uint64_t end_ms = since_ms + patience_ms(c, oldest);
    if (now_ms < end_ms) {
        weir_reactor_deadline(c->reactor, &c->clock, end_ms);
        return;
    }
    struct weir_err err;
    weir_err_set(&err, WEIR_ETIMEOUT, "the server has been silent for %llu ms",
                 (unsigned long long)(now_ms - since_ms));
    fail(c, &err);
}

static void on_clock(struct weir_deadline *d, uint64_t now_ms)
{
    struct weir_redis_conn *c = WEIR_CONTAINER(d, struct weir_redis_conn, clock);
    struct weir_err err;
    enter(c);
    if (c->state == STATE_READY) {
        judge_silence(c, now_ms);
    } else {
        weir_err_set(&err, WEIR_ETIMEOUT, "waited too long for %s",
                     c->dial != NULL ? weir_redis_dial_step(c->dial) : "the server's first answers");
        fail(c, &err);
    }
    leave(c);
}

static struct call *new_call(struct weir_redis_conn *c, const struct weir_str *args, unsigned count)
{
    const char *argv[WEIR_REDIS_ARGS_MAX];
    size_t lens[WEIR_REDIS_ARGS_MAX];
    for (unsigned i = 0; i < count; i++) {
        argv[i] = args[i].ptr != NULL ? args[i].ptr : "";
        lens[i] = args[i].len;
    }
    struct call *call = calloc(1, sizeof *call);
    if (call == NULL)
        return NULL;
    long long len = redisFormatCommandArgv(&call->bytes, (int)count, argv, lens);
    if (len < 0) {
        free(call);
        return NULL;
    }
    call->conn = c;
    call->len = (size_t)len;
    weir_deadline_init(&call->deadline, on_call_late);
    weir_list_push_back(&c->unsent, &call->link);
    c->calls++;
    c->unsent_bytes += call->len;
    return call;
}

static int queue(struct weir_redis_conn *c, const struct weir_str *args, unsigned count, struct call **out)
{
    size_t bytes = 0;
    assert(count > 0 && count <= WEIR_REDIS_ARGS_MAX);
    for (unsigned i = 0; i < count; i++)
        bytes += args[i].len;
    if (c->state >= STATE_ENDED)
        return WEIR_ECLOSED;
    if (c->calls >= WEIR_REDIS_CALLS_MAX || bytes > WEIR_REDIS_UNSENT_BYTES_MAX - c->unsent_bytes)
        return WEIR_ELIMIT;
    *out = new_call(c, args, count);
    return *out != NULL ? WEIR_OK : WEIR_ENOMEM;
}

int weir_redis_conn_send(struct weir_redis_conn *c, const struct weir_str *args, unsigned count, uint64_t timeout_ms,
                         weir_redis_cb cb, void *owner)
{
    struct call *call;
    assert(c->push == NULL && cb != NULL);
    int rv = queue(c, args, count, &call);
    if (rv != 0)
        return rv;
    call->cb = cb;
    call->owner = owner;
    call->begun_us = weir_clock_us();
    call->timeout_ms = timeout_ms > 0 ? timeout_ms : c->opts.timeout_ms;
    weir_reactor_deadline(c->reactor, &call->deadline, clock_ms() + call->timeout_ms);
    watch_silence(c, clock_ms());
    if (c->opts.stats != NULL)
        c->opts.stats->calls++;
    pump(c);
    return WEIR_OK;
}

int weir_redis_conn_write(struct weir_redis_conn *c, const struct weir_str *args, unsigned count)
{
    struct call *call;
    assert(c->push != NULL);
    int rv = queue(c, args, count, &call);
    if (rv == 0)
        pump(c);
    return rv;
}

void weir_redis_conn_push(struct weir_redis_conn *c, void (*push)(void *owner, const struct weir_redis_reply *reply))
{
    assert(c->state == STATE_READY && weir_list_empty(&c->unsent) && weir_list_empty(&c->waiting));
    weir_deadline_clear(&c->clock);
    c->push = push;
}

uint64_t weir_redis_conn_heard_ms(const struct weir_redis_conn *c)
{
    return c->heard_ms;
}

/* -- what comes in -- */

static void take_reply(struct weir_redis_conn *c, const struct weir_redis_reply *reply)
{
    if (c->push != NULL) {
        c->push(c->opts.owner, reply);
        return;
    }
    if (weir_list_empty(&c->waiting)) {
        if (reply->type == WEIR_REDIS_ERROR)
            fail_for_reply(c, WEIR_ECLOSED, "the server says", reply);
        else
            fail_with(c, WEIR_EPROTO, "the server answered what was not asked");
        return;
    }
    if (weir_redis_error_is_unfit(reply)) {
        fail_for_reply(c, WEIR_ECLOSED, "the server cannot be written to", reply);
        return;
    }
    struct call *call = WEIR_CONTAINER(c->waiting.next, struct call, link);
    if (c->opts.stats != NULL) {
        c->opts.stats->errors += reply->type == WEIR_REDIS_ERROR;
        if (call->cb != NULL)
            c->opts.stats->rtt_us_last = weir_clock_us() - call->begun_us;
    }
    end_call(call, reply, NULL);
}

static void take_bytes(struct weir_redis_conn *c, const uint8_t *bytes, size_t n)
{
    const struct weir_redis_reply *reply;
    struct weir_err err;
    c->heard_ms = c->reactor->now_ms;
    if (c->opts.stats != NULL)
        c->opts.stats->bytes_received += n;
    if (weir_redis_reader_feed(&c->reader, bytes, n, &err) != 0) {
        fail(c, &err);
        return;
    }
    while (c->state < STATE_ENDED) {
        if (weir_redis_reader_next(&c->reader, &reply, &err) != 0)
            fail(c, &err);
        else if (reply == NULL)
            return;
        else
            take_reply(c, reply);
    }
}

static void fail_read(struct weir_redis_conn *c, ssize_t n)
{
    struct weir_err err;
    if (n == 0)
        weir_err_set(&err, WEIR_ECLOSED, "the server closed the connection");
    else if (n == WEIR_TLS_BROKEN || n == WEIR_TLS_TRUNCATED)
        (void)weir_tls_read_error(c->stream, &err);
    else
        weir_err_set(&err, WEIR_ECLOSED, "the connection broke: %s", strerrordesc_np((int)-n));
    fail(c, &err);
}

static void on_event(struct weir_stream *s)
{
    struct weir_redis_conn *c = s->owner;
    uint8_t bytes[READ_BYTES];
    size_t total = 0;
    enter(c);
    if ((s->source.ready & WEIR_READY_OUT) != 0)
        weir_outbox_writable(&c->out);
    while (c->state < STATE_ENDED) {
        if ((s->source.ready & (WEIR_READY_IN | WEIR_READY_HUP)) == 0 && weir_stream_pending(s) == 0)
            break;
        if (total >= TURN_BYTES) {
            weir_stream_again(s);
            break;
        }
        ssize_t n = weir_stream_read(s, bytes, sizeof bytes);
        if (n == WEIR_STREAM_AGAIN)
            break;
        if (n <= 0) {
            fail_read(c, n);
            break;
        }
        total += (size_t)n;
        take_bytes(c, bytes, (size_t)n);
    }
    leave(c);
}

static void on_flushed(struct weir_outbox *o, int error)
{
    struct weir_redis_conn *c = o->owner;
    enter(c);
    if (c->opts.stats != NULL)
        c->opts.stats->bytes_sent += o->bytes_total - c->bytes_counted;
    c->bytes_counted = o->bytes_total;
    if (error != 0)
        fail_read(c, error);
    else
        pump(c);
    leave(c);
}

/* -- opening -- */

static uint64_t open_ms(const struct weir_redis_conn *c)
{
    uint64_t ms = c->opts.timeout_ms * WEIR_REDIS_SILENT_TIMEOUTS;
    return ms > WEIR_REDIS_OPEN_MS_MIN ? ms : WEIR_REDIS_OPEN_MS_MIN;
}

static void introduced(struct weir_redis_hello *h, const struct weir_err *err)
{
    struct weir_redis_conn *c = WEIR_CONTAINER(h, struct weir_redis_conn, hello);
    if (c->state != STATE_OPENING)
        return;
    if (err != NULL) {
        fail(c, err);
        return;
    }
    c->state = STATE_READY;
    weir_deadline_clear(&c->clock);
    c->opts.ready(c->opts.owner);
}

static void dialled(void *owner, struct weir_stream *stream, const struct weir_err *err)
{
    struct weir_redis_conn *c = owner;
    c->dial = NULL;
    enter(c);
    if (err != NULL) {
        fail(c, err);
    } else {
        c->stream = stream;
        stream->owner = c;
        stream->event = on_event;
        weir_outbox_init(&c->out, c->reactor, stream, on_flushed, c);
        /* Twice the clock of the opening, which is to be the one that tells. */
        int rv = weir_redis_hello_send(&c->hello, c, open_ms(c) * 2);
        if (rv != 0)
            fail_with(c, rv, weir_err_text(rv));
    }
    leave(c);
}

int weir_redis_conn_open(struct weir_redis_conn **out, struct weir_reactor *r, const struct weir_redis_conn_opts *opts)
{
    *out = NULL;
    struct weir_redis_conn *c = calloc(1, sizeof *c);
    if (c == NULL)
        return WEIR_ENOMEM;
    c->reactor = r;
    c->opts = *opts;
    c->hello = (struct weir_redis_hello){.opts = &c->opts, .done = introduced};
    weir_list_init(&c->unsent);
    weir_list_init(&c->waiting);
    weir_deadline_init(&c->clock, on_clock);
    struct weir_redis_dial_opts dial = opts->server;
    dial.resolve_ms = open_ms(c) / 2; /* name servers that are silent leave time to say so */
    dial.done = dialled;
    dial.owner = c;
    if (weir_redis_reader_init(&c->reader) != 0 || weir_redis_dial_start(&c->dial, r, &dial) != 0) {
        weir_redis_reader_close(&c->reader);
        free(c);
        return WEIR_ENOMEM;
    }
    weir_reactor_deadline(r, &c->clock, clock_ms() + open_ms(c));
    *out = c;
    return WEIR_OK;
}

void weir_redis_conn_close(struct weir_redis_conn **conn)
{
    struct weir_redis_conn *c = *conn;
    struct weir_err why;
    if (c == NULL)
        return;
    *conn = NULL;
    enter(c);
    if (c->state < STATE_ENDED) {
        weir_err_set(&c->why, WEIR_ECLOSED, "the connection was closed");
        end_transport(c);
    }
    c->state = STATE_CLOSED;
    weir_err_set(&why, WEIR_ECLOSED, "%s", c->why.msg);
    weir_list_splice(&c->waiting, &c->unsent);
    while (!weir_list_empty(&c->waiting))
        end_call(WEIR_CONTAINER(c->waiting.next, struct call, link), NULL, &why);
    leave(c);
}
