/* What one thread needs to serve sockets: loop, poller, deadlines, mailbox, the shared read buffer, a clock read once a
 * turn, and the list of senders with output gathered in this turn. One reactor a thread; only weir_mailbox_post may be
 * called from another thread.
 *
 * A turn (see poller.h): the clock is read, events are noted, messages are handled, sources run, deadlines fire,
 * outboxes are flushed. All of these see the same now_ms, and no deadline fires before what came ahead of it was read.
 * Callbacks of other libuv handles on this loop run before the turn and see the clock of the turn before, unless they
 * call weir_reactor_clock first; what they gather is flushed all the same. */
#ifndef WEIR_NET_REACTOR_H
#define WEIR_NET_REACTOR_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "core/err.h"
#include "core/list.h"
#include "core/wheel.h"
#include "net/mailbox.h"
#include "net/poller.h"

/* One read takes at most this much; the buffer is the thread's, so an idle connection owns none. */
#define WEIR_READ_BUFFER_BYTES ((size_t)65536)

struct weir_outbox_pool;

struct weir_reactor {
    uv_loop_t loop;
    struct weir_poller poller;
    struct weir_wheel wheel;
    struct weir_mailbox mailbox;
    uv_timer_t timer;         /* wakes the loop for the wheel; re-armed only for an earlier deadline */
    uv_prepare_t before_poll; /* measures the turn */
    uint64_t timer_ms;        /* what the timer is armed to; WEIR_NEVER: not, 0: it has fired in this turn */
    uint64_t turn_us;         /* when the turn began */
    struct weir_list dirty;   /* weir_outbox.dirty of every sender to flush at the end of the turn */
    struct weir_outbox_pool *outbox_pool;
    uint8_t *read_buffer;  /* WEIR_READ_BUFFER_BYTES; content is valid inside one source's turn */
    bool read_buffer_lent; /* a dirty outbox refers to it: settled by whoever reads next, or ends its run */
    uint64_t now_ms;       /* CLOCK_MONOTONIC, as of the start of the turn */
    uint64_t now_us;
    uint64_t lag_us_max; /* longest turn since it was last read and zeroed */
    void *user;          /* the worker, for callbacks that hold only the reactor */
};

/* Errors: WEIR_ENOMEM, WEIR_EIO (descriptors). On failure nothing is left behind. */
int weir_reactor_init(struct weir_reactor *r, struct weir_err *err);
/* Runs until weir_reactor_stop; the thread that calls it is the reactor's thread from then on. */
void weir_reactor_run(struct weir_reactor *r);
/* From the reactor's own thread: run returns after this turn. */
void weir_reactor_stop(struct weir_reactor *r);
/* After run returned: closes every handle of its own and runs the loop until none is left. Asserts that nobody else's
 * handle is alive and that no deadline is linked. */
void weir_reactor_close(struct weir_reactor *r);
/* Arms a deadline on the wheel and makes sure that the loop wakes for it. Use this, not weir_deadline_set. */
void weir_reactor_deadline(struct weir_reactor *r, struct weir_deadline *d, uint64_t due_ms);
/* Reads the clock into now_ms and now_us. Done at the start of each turn. */
void weir_reactor_clock(struct weir_reactor *r);
/* Reads the clock now (a turn's clock may be a few ms old): for measuring, not for deciding. */
uint64_t weir_clock_us(void);
/* Milliseconds since 1970, for what people and logs are told. */
uint64_t weir_clock_unix_ms(void);

#endif
