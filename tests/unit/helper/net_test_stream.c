#include "helper/net_test_stream.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static struct test_stream *of(const struct weir_stream *s)
{
    return WEIR_CONTAINER((struct weir_stream *)(uintptr_t)s, struct test_stream, base);
}

static void edge(struct test_stream *ts, unsigned bits)
{
    ts->base.source.ready |= (uint8_t)bits;
    if (!ts->closed && ts->base.reactor != NULL)
        weir_poller_again(&ts->base.reactor->poller, &ts->base.source);
}

static void clear(struct test_stream *ts, unsigned bits)
{
    ts->base.source.ready &= (uint8_t)~bits;
}

static void run(struct weir_source *src)
{
    struct weir_stream *s = WEIR_CONTAINER(src, struct weir_stream, source);
    struct test_stream *ts = of(s);
    if (!ts->started_asked) {
        if (s->event != NULL)
            s->event(s);
        return;
    }
    ts->started_asked = false;
    struct weir_err err = {0};
    if (ts->start_error != 0)
        weir_err_set(&err, ts->start_error, "test stream: %s", weir_err_text(ts->start_error));
    else
        edge(ts, s->source.ready);
    s->started(s, ts->start_error, ts->start_error != 0 ? &err : NULL);
}

static void ts_start(struct weir_stream *s)
{
    of(s)->started_asked = true;
    weir_stream_again(s);
}

static size_t left(const struct test_stream *ts)
{
    return ts->input_len - ts->input_at;
}

static ssize_t ts_read(struct weir_stream *s, void *buf, size_t len)
{
    struct test_stream *ts = of(s);
    ck_assert(!ts->closed && s->reactor != NULL && len > 0);
    ts->reads++;
    if (ts->read_eagains > 0) {
        ts->read_eagains--;
        clear(ts, WEIR_READY_IN);
        edge(ts, WEIR_READY_IN);
        return WEIR_STREAM_AGAIN;
    }
    if (left(ts) == 0 && ts->ended)
        return ts->read_error;
    if (left(ts) == 0) {
        clear(ts, WEIR_READY_IN);
        return WEIR_STREAM_AGAIN;
    }
    size_t n = left(ts) < len ? left(ts) : len;
    if (ts->read_max > 0 && n > ts->read_max)
        n = ts->read_max;
    memcpy(buf, ts->input + ts->input_at, n);
    ts->input_at += n;
    /* As tcp does: readiness goes with a read that emptied it, unless an end is already known. */
    if (!ts->ended && (ts->no_edge || (n < len && left(ts) == 0)))
        clear(ts, WEIR_READY_IN);
    return (ssize_t)n;
}

/* Grows by doubling: tests send tens of megabytes in small pieces. */
static void append(char **text, size_t *len, size_t *cap, const void *p, size_t n)
{
    if (*len + n + 1 > *cap) {
        size_t wanted = *cap * 2 > *len + n + 1 ? *cap * 2 : *len + n + 1;
        char *grown = realloc(*text, wanted);
        ck_assert_ptr_nonnull(grown);
        *text = grown;
        *cap = wanted;
    }
    memcpy(*text + *len, p, n);
    *len += n;
    (*text)[*len] = '\0';
}

static ssize_t ts_writev(struct weir_stream *s, const struct iovec *iov, int count)
{
    struct test_stream *ts = of(s);
    ck_assert(!ts->closed && s->reactor != NULL && count > 0);
    ts->writes++;
    if (ts->write_error != 0)
        return ts->write_error;
    if (ts->write_eagains > 0) {
        ts->write_eagains--;
        clear(ts, WEIR_READY_OUT);
        edge(ts, WEIR_READY_OUT);
        return WEIR_STREAM_AGAIN;
    }
    size_t total = 0, taken = 0, most = ts->limited ? ts->room : SIZE_MAX;
    if (ts->write_max > 0 && most > ts->write_max)
        most = ts->write_max;
    for (int i = 0; i < count; i++) {
        size_t n = iov[i].iov_len < most - taken ? iov[i].iov_len : most - taken;
        append(&ts->wrote, &ts->wrote_len, &ts->wrote_cap, iov[i].iov_base, n);
        taken += n;
        total += iov[i].iov_len;
    }
    if (ts->limited)
        ts->room -= taken;
    if (taken < total) {
        clear(ts, WEIR_READY_OUT);
        if (!ts->limited || ts->room > 0)
            edge(ts, WEIR_READY_OUT);
    }
    return taken == 0 && total > 0 ? WEIR_STREAM_AGAIN : (ssize_t)taken;
}

static size_t ts_pending(const struct weir_stream *s)
{
    const struct test_stream *ts = of(s);
    return ts->no_edge || (s->source.ready & WEIR_READY_IN) == 0 ? left(ts) : 0;
}

static void ts_detach(struct weir_stream *s)
{
    weir_list_remove(&s->source.queued);
}

static int ts_attach(struct weir_stream *s, struct weir_reactor *r)
{
    struct test_stream *ts = of(s);
    ts->moves++;
    s->reactor = r;
    unsigned bits = ts->limited && ts->room == 0 ? 0 : WEIR_READY_OUT;
    bits |= left(ts) > 0 ? WEIR_READY_IN : 0;
    bits |= ts->ended ? WEIR_READY_IN | WEIR_READY_HUP : 0;
    edge(ts, bits);
    return WEIR_OK;
}

static void ts_close(struct weir_stream *s, bool reset)
{
    struct test_stream *ts = of(s);
    ck_assert(!ts->closed);
    ts->closed = true;
    ts->closed_by_reset = reset;
    weir_list_remove(&s->source.queued);
}

static const struct weir_stream_ops OPS = {
    .start = ts_start,
    .read = ts_read,
    .writev = ts_writev,
    .pending = ts_pending,
    .detach = ts_detach,
    .attach = ts_attach,
    .close = ts_close,
};

struct test_stream *test_stream_new(struct weir_reactor *r)
{
    struct test_stream *ts = calloc(1, sizeof *ts);
    ck_assert_ptr_nonnull(ts);
    weir_source_init(&ts->base.source, -1, run);
    ts->base.source.ready = WEIR_READY_OUT;
    ts->base.ops = &OPS;
    ts->base.reactor = r;
    return ts;
}

void test_stream_free(struct test_stream *ts)
{
    if (ts == NULL)
        return;
    weir_list_remove(&ts->base.source.queued);
    free(ts->wrote);
    free(ts->input);
    free(ts);
}

void test_stream_feed(struct test_stream *ts, const void *p, size_t n)
{
    ck_assert(!ts->ended);
    append(&ts->input, &ts->input_len, &ts->input_cap, p, n);
    edge(ts, WEIR_READY_IN);
}

void test_stream_feed_text(struct test_stream *ts, const char *text)
{
    test_stream_feed(ts, text, strlen(text));
}

void test_stream_hide(struct test_stream *ts, const void *p, size_t n)
{
    ck_assert(!ts->ended);
    append(&ts->input, &ts->input_len, &ts->input_cap, p, n);
}

void test_stream_end(struct test_stream *ts)
{
    ts->ended = true;
    edge(ts, WEIR_READY_IN | WEIR_READY_HUP);
}

void test_stream_room(struct test_stream *ts, size_t n)
{
    bool was_limited = ts->limited;
    ts->limited = true;
    ts->room = was_limited ? ts->room + n : n;
    if (was_limited && n > 0)
        edge(ts, WEIR_READY_OUT);
}

void test_stream_forget(struct test_stream *ts)
{
    free(ts->wrote);
    ts->wrote = NULL;
    ts->wrote_len = ts->wrote_cap = 0;
}
