/* What every run of a codec stands in: a stream that takes what chance lets it, an outbox, and a loop that feeds bytes.
 *
 * Not a header by itself: a harness includes it behind its own `struct run`, which has at least these members.
 *     struct weir_stream stream;
 *     struct weir_outbox out;
 *     struct weir_codec *codec;  NULL once it was freed
 *     uint64_t seed;
 *     bool server, chaos, cut;
 *     int failing;               writes fail from now on
 */
#ifndef WEIR_TESTS_FUZZ_CODEC_RUN_H
#define WEIR_TESTS_FUZZ_CODEC_RUN_H

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "http/codec.h"

/* The harness's part. */
static void note_sent(struct run *t, const void *p, size_t n); /* bytes that the stream took */
static void meddle(struct run *t);                             /* in chaos, any downcalls; the codec is there */
static bool has_enough(const struct run *t);                   /* the rest of the bytes would tell nothing more */
static void check_turn(const struct run *t);                   /* what holds at the end of each turn of the loop */

static struct weir_reactor *reactor(void)
{
    static struct weir_reactor r;
    static bool open;
    struct weir_err err;
    if (!open && weir_reactor_init(&r, &err) != WEIR_OK)
        abort();
    open = true;
    return &r;
}

static uint64_t chance(struct run *t, uint64_t n)
{
    t->seed ^= t->seed << 13;
    t->seed ^= t->seed >> 7;
    t->seed ^= t->seed << 17;
    return t->seed % n;
}

static void hash(uint64_t *h, const void *p, size_t n)
{
    const uint8_t *at = p;
    for (size_t i = 0; i < n; i++)
        *h = (*h ^ at[i]) * UINT64_C(1099511628211);
}

static ssize_t stream_writev(struct weir_stream *s, const struct iovec *iov, int count)
{
    struct run *t = WEIR_CONTAINER(s, struct run, stream);
    size_t taken = 0, most = t->chaos ? (size_t)chance(t, 40000) : SIZE_MAX;
    if (t->failing != 0)
        return -32;
    for (int i = 0; i < count && taken < most; i++) {
        size_t n = iov[i].iov_len < most - taken ? iov[i].iov_len : most - taken;
        note_sent(t, iov[i].iov_base, n);
        taken += n;
    }
    return taken == 0 ? WEIR_STREAM_AGAIN : (ssize_t)taken;
}

static size_t stream_pending(const struct weir_stream *s)
{
    (void)s;
    return 0;
}

static const struct weir_stream_ops stream_ops = {.writev = stream_writev, .pending = stream_pending};

static void stream_run(struct weir_source *src)
{
    (void)src;
}

static void on_flushed(struct weir_outbox *o, int error)
{
    struct run *t = o->owner;
    if (t->codec == NULL)
        return;
    if (error != 0)
        t->codec->ops->eof(t->codec, error);
    else
        t->codec->ops->writable(t->codec);
}

/* All of the run but what the harness adds; it makes the codec then. */
static void surround(struct run *t, bool server, bool chaos, bool cut, uint64_t seed)
{
    struct weir_reactor *r = reactor();
    memset(t, 0, sizeof *t);
    t->server = server;
    t->chaos = chaos;
    t->cut = cut;
    t->seed = seed | 1;
    weir_source_init(&t->stream.source, -1, stream_run);
    t->stream.ops = &stream_ops;
    t->stream.reactor = r;
    weir_outbox_init(&t->out, r, &t->stream, on_flushed, t);
}

/* When the codec is gone. */
static void surround_close(struct run *t)
{
    weir_outbox_close(&t->out);
    weir_list_remove(&t->stream.source.queued);
}

static void turn_end(struct run *t)
{
    if (t->chaos)
        weir_outbox_writable(&t->out);
    for (int i = 0; i < 4 && weir_outbox_flush_all(reactor()); i++)
        ;
    if (t->codec != NULL)
        t->codec->ops->feed(t->codec, NULL, 0);
    check_turn(t);
}

/* Until the bytes are used up, or the codec waits for what will not come. */
static void run_feed(struct run *t, const uint8_t *p, size_t n)
{
    for (int idle_turns = 0; n > 0 && t->codec != NULL && idle_turns < 12;) {
        if (has_enough(t))
            return;
        size_t want = t->codec->ops->want(t->codec);
        size_t some = want < n ? want : n;
        if (t->cut && some > 0)
            some = 1 + (size_t)chance(t, some < 40 ? some : 40);
        idle_turns = some == 0 ? idle_turns + 1 : 0;
        if (some > 0) {
            uint8_t *copy = malloc(some); /* gone after the call, so that the sanitizer sees who keeps it */
            if (copy == NULL)
                abort();
            memcpy(copy, p, some);
            t->codec->ops->feed(t->codec, copy, some);
            free(copy);
            p += some;
            n -= some;
        }
        if (t->codec != NULL)
            meddle(t);
        if (t->chaos && chance(t, 200) == 0)
            t->failing = 1;
        turn_end(t);
    }
}

#endif
