/* What a connection has to send: gathered during a turn of the loop, written at its end with one writev, and only what
 * the kernel did not take is kept.
 *
 * Bytes handed over by copy go to a gather buffer that is lent by the reactor for the turn, so an idle connection owns
 * none. Bytes handed over by reference must stay valid until weir_outbox_settle (or flush), which the caller then does
 * before it returns to the reader. Handing over and flushing never call back: `flushed` is called from
 * weir_outbox_flush_all alone, at the end of a turn, when no codec is on the stack. Not thread-safe. */
#ifndef WEIR_NET_OUTBOX_H
#define WEIR_NET_OUTBOX_H

#include <stdbool.h>
#include <stddef.h>

#include "core/list.h"
#include "net/stream.h"

/* A sender holds at most this much unsent, so a slow peer costs this and no more (design: stream_backlog_max).
 * Producers keep to it by weir_outbox_room. */
#define WEIR_STREAM_BACKLOG_MAX ((size_t)16384)
/* Past this an outbox fails with ENOBUFS: the bound, one whole read on top of it, and framing. Only a producer that
 * does not ask for room gets there. */
#define WEIR_OUTBOX_UNSENT_MAX (WEIR_STREAM_BACKLOG_MAX + WEIR_READ_BUFFER_BYTES + 16384)
/* References shorter than this are copied: cheaper than an iovec, and they need no early flush. */
#define WEIR_OUTBOX_COPY_MAX ((size_t)1024)

struct weir_gather; /* a turn's bytes and iovecs, lent by the reactor */

struct weir_outbox {
    struct weir_list dirty; /* in the reactor's list while there is something gathered */
    struct weir_reactor *reactor;
    struct weir_stream *stream;
    struct weir_gather *gather;
    char *backlog; /* what the kernel did not take; NULL most of the time */
    size_t backlog_at, backlog_len, backlog_cap;
    /* Once per turn in which something was written, tried, or failed: error (0 or a negative errno, which is reported
     * once; from then on the outbox swallows everything), and the room there is, so that producers may go on. May close
     * and free the outbox and its connection, and those of others. What it hands over is sent in the next turn, which
     * follows without sleep. */
    void (*flushed)(struct weir_outbox *o, int error);
    void *owner;
    uint64_t bytes_total; /* taken by the kernel so far */
    int error;            /* not yet reported */
    bool failed;
};

void weir_outbox_init(struct weir_outbox *o, struct weir_reactor *r, struct weir_stream *s,
                      void (*flushed)(struct weir_outbox *o, int error), void *owner);
/* Frees what is unsent and leaves the dirty list; `flushed` is not called any more. Legal at any time, twice too. */
void weir_outbox_close(struct weir_outbox *o);
/* Follows its stream to another reactor; must be empty. A report not yet made is dropped. */
void weir_outbox_move(struct weir_outbox *o, struct weir_reactor *r);

/* Never fail for the caller: out of memory marks the outbox failed and is reported by `flushed`. */
void weir_outbox_copy(struct weir_outbox *o, const void *p, size_t n);
void weir_outbox_ref(struct weir_outbox *o, const void *p, size_t n);
/* n bytes to be filled in place and then counted with weir_outbox_commit(used <= n): for heads. NULL when failed or n
 * is too large (then gather and copy). n at most WEIR_STREAM_BACKLOG_MAX. */
char *weir_outbox_reserve(struct weir_outbox *o, size_t n);
void weir_outbox_commit(struct weir_outbox *o, size_t used);

/* Writes now, unless the kernel is known to be full: then what was gathered is kept. `flushed` follows at the turn's
 * end. */
void weir_outbox_flush(struct weir_outbox *o);
/* Flushes if something was handed over by reference and not copied; lets small chunks gather until the turn's end. */
void weir_outbox_settle(struct weir_outbox *o);
/* The end of a turn: flushes and reports every dirty outbox once. True: some became dirty meanwhile. Done by the
 * reactor. */
bool weir_outbox_flush_all(struct weir_reactor *r);
/* The socket became writable: go on with the backlog. Cheap when there is none. */
void weir_outbox_writable(struct weir_outbox *o);

/* Bytes not yet taken by the kernel: gathered and backlog. */
size_t weir_outbox_unsent(const struct weir_outbox *o);
/* What may still be handed over before the bound is met. */
static inline size_t weir_outbox_room(const struct weir_outbox *o)
{
    size_t unsent = weir_outbox_unsent(o);
    return unsent >= WEIR_STREAM_BACKLOG_MAX ? 0 : WEIR_STREAM_BACKLOG_MAX - unsent;
}

/* The gather buffers of one reactor, which makes and frees it. NULL: out of memory. Every outbox must be closed or
 * empty. */
struct weir_outbox_pool *weir_outbox_pool_new(void);
void weir_outbox_pool_free(struct weir_outbox_pool *pool);

#endif
