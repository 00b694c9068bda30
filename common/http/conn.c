#include "http/conn.h"

#include <assert.h>

#include "core/counters.h"

void weir_http_conn_reclaim(struct weir_reactor *r)
{
    if (!r->read_buffer_lent)
        return;
    r->read_buffer_lent = false;
    WEIR_LIST_EACH(l, &r->dirty)
    {
        weir_outbox_settle(WEIR_CONTAINER(l, struct weir_outbox, dirty));
    }
}

static void count(uint64_t *cell, uint64_t n)
{
    if (cell != NULL && n > 0)
        weir_cell_add(cell, n);
}

/* What has been written since the last time. */
static void count_written(struct weir_http_conn *c)
{
    count(c->out_cell, c->out.bytes_total - c->written);
    c->written = c->out.bytes_total;
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Reads until short, until the codec wants no more, or until the turn's share is used up. Every call of the codec may
 * close the conn. */
static void read_all(struct weir_http_conn *c, const bool *gone)
{
    struct weir_stream *s = c->stream;
    struct weir_codec *codec = c->codec;
    size_t budget = WEIR_CONN_TURN_BYTES;
    for (;;) {
        unsigned ready = s->source.ready;
        bool at_once = c->watch_idle || (c->server && codec->exchanges_open > 0);
        if (at_once && (ready & WEIR_READY_HUP) != 0) {
            codec->ops->eof(codec, 0);
            return;
        }
        if ((ready & WEIR_READY_IN) == 0 && weir_stream_pending(s) == 0)
            break;
        size_t want = smaller(codec->ops->want(codec), WEIR_READ_BUFFER_BYTES);
        if (want == 0)
            return;
        if (budget == 0) {
            weir_stream_again(s);
            return;
        }
        struct weir_reactor *r = s->reactor;
        weir_http_conn_reclaim(r);
        ssize_t n = weir_stream_read(s, r->read_buffer, smaller(want, budget));
        if (n == WEIR_STREAM_AGAIN) {
            codec->ops->feed(codec, NULL, 0); /* what looked like input was none */
            if (*gone)
                return;
            break;
        }
        if (n <= 0) {
            codec->ops->eof(codec, (int)n);
            return;
        }
        c->last_read_us = r->now_us;
        budget -= (size_t)n;
        count(c->in_cell, (uint64_t)n);
        codec->ops->feed(codec, r->read_buffer, (size_t)n);
        if (*gone)
            return;
    }
    if (c->write_error != 0)
        codec->ops->eof(codec, c->write_error);
}

static void on_linger(struct weir_deadline *d, uint64_t now_ms)
{
    struct weir_http_conn *c = WEIR_CONTAINER(d, struct weir_http_conn, linger);
    (void)now_ms;
    c->codec->ops->eof(c->codec, 0);
}

static void begin_linger(struct weir_http_conn *c)
{
    struct weir_reactor *r = c->stream->reactor;
    if (!c->codec->lingering || c->linger.due_ms != WEIR_NEVER)
        return;
    weir_stream_finish(c->stream);
    weir_reactor_deadline(r, &c->linger, r->now_ms + WEIR_CODEC_LINGER_MS);
    weir_stream_again(c->stream);
}

static void on_event(struct weir_stream *s)
{
    struct weir_http_conn *c = s->owner;
    struct weir_reactor *r = s->reactor;
    bool gone = false;
    c->gone = &gone;
    if ((s->source.ready & WEIR_READY_OUT) != 0)
        weir_outbox_writable(&c->out);
    c->codec->ops->feed(c->codec, NULL, 0);
    if (!gone)
        read_all(c, &gone);
    weir_http_conn_reclaim(r);
    if (gone)
        return;
    c->gone = NULL;
    begin_linger(c);
}

static void on_flushed(struct weir_outbox *o, int error)
{
    struct weir_http_conn *c = o->owner;
    if (o->bytes_total != c->written) {
        count_written(c);
        c->last_write_us = o->reactor->now_us;
    }
    if (error == 0) {
        bool gone = false;
        c->gone = &gone;
        c->codec->ops->writable(c->codec);
        if (gone)
            return;
        c->gone = NULL;
        begin_linger(c);
    } else if (c->server) {
        c->codec->ops->eof(c->codec, error);
    } else {
        c->write_error = error;
        weir_stream_again(c->stream);
    }
}

void weir_http_conn_init(struct weir_http_conn *c, struct weir_stream *stream, bool server)
{
    *c = (struct weir_http_conn){.stream = stream, .server = server};
    c->last_read_us = c->last_write_us = stream->reactor->now_us;
    weir_outbox_init(&c->out, stream->reactor, stream, on_flushed, c);
    weir_deadline_init(&c->linger, on_linger);
}

void weir_http_conn_run(struct weir_http_conn *c, struct weir_codec *codec, const uint8_t *early, size_t early_len)
{
    c->codec = codec;
    c->stream->owner = c;
    c->stream->event = on_event;
    weir_stream_again(c->stream);
    if (early_len == 0)
        return;
    assert(early_len <= codec->ops->want(codec));
    count(c->in_cell, early_len);
    codec->ops->feed(codec, early, early_len); /* may close the conn */
}

void weir_http_conn_kick(struct weir_http_conn *c)
{
    if (!c->closing)
        weir_stream_again(c->stream);
}

void weir_http_conn_detach(struct weir_http_conn *c)
{
    assert(weir_outbox_unsent(&c->out) == 0 && c->codec->exchanges_open == 0);
    if (c->gone != NULL) { /* its driver must not touch a stream that may soon be another thread's */
        *c->gone = true;
        c->gone = NULL;
    }
    count_written(c);
    weir_outbox_move(&c->out, c->out.reactor); /* out of the old thread's list of senders */
    weir_stream_detach(c->stream);
}

int weir_http_conn_attach(struct weir_http_conn *c, struct weir_reactor *r)
{
    int rv = weir_stream_attach(c->stream, r, on_event, c);
    if (rv != WEIR_OK)
        return rv;
    weir_outbox_move(&c->out, r);
    c->last_read_us = c->last_write_us = r->now_us;
    return WEIR_OK;
}

void weir_http_conn_close(struct weir_http_conn *c, bool reset)
{
    if (c->closing)
        return;
    c->closing = true;
    count_written(c);
    if (c->gone != NULL) {
        *c->gone = true;
        c->gone = NULL;
    }
    if (c->codec != NULL)
        c->codec->ops->free(c->codec);
    if (c->stream->reactor != NULL)
        weir_deadline_drop(&c->stream->reactor->wheel, &c->linger);
    if (!reset && c->stream->reactor != NULL)
        weir_outbox_flush(&c->out);
    weir_outbox_close(&c->out);
    weir_stream_close(&c->stream, reset);
}
