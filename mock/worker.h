/* One thread of the mock: a reactor, its listeners and the connections that they accepted. */
#ifndef WEIR_MOCK_WORKER_H
#define WEIR_MOCK_WORKER_H

#include <pthread.h>

#include "http/conn.h"
#include "mock/gate.h"
#include "mock/options.h"
#include "mock/stats.h"
#include "net/listener.h"

/* Plans given while it runs; requests refer to them, so they are kept until the end. */
#define MOCK_CHANGES_MAX 65536u

struct mock_change {
    struct mock_change *older;
    struct mock_plan plan;
    char text[]; /* what its strings are slices of */
};

/* What all workers share. */
struct mock_shared {
    const struct mock_options *options;
    struct weir_addr bound;               /* where it listens, or did until told to stop */
    _Atomic(struct mock_change *) change; /* the plan in force; NULL: that of the options */
    _Atomic unsigned change_count;
    struct mock_stats stats;
    struct mock_gates gates; /* used with one worker only */
    _Atomic uint64_t connection_id, request_id;
};

struct mock_worker {
    struct weir_reactor reactor;
    struct mock_shared *shared;
    struct weir_listener listener, control;
    int port_fd;                       /* keeps the port for us while we do not listen; -1 */
    struct weir_list connections;      /* mock_connection.link */
    struct weir_list free_connections; /* closed ones: callbacks of theirs may still be on the stack */
    struct weir_list free_requests;
    struct weir_message stop;
    pthread_t thread;
    uint64_t random;
    char *filler; /* MOCK_FILLER_BYTES of the download pattern */
};

/* The download pattern: byte i of a body is i mod 251, so a lost or doubled buffer of any usual size shows. */
#define MOCK_PATTERN_PERIOD 251u
#define MOCK_FILLER_BYTES   ((size_t)MOCK_PATTERN_PERIOD * 256)

/* Takes over the listening sockets on success; control_fd -1: none. Errors: WEIR_ENOMEM, WEIR_EIO, WEIR_ELIMIT; nothing
 * is left behind then. */
int mock_worker_init(struct mock_worker *w, struct mock_shared *shared, int listen_fd, int control_fd, unsigned index,
                     struct weir_err *err);
/* Starts the thread. Errors: WEIR_EIO. */
int mock_worker_start(struct mock_worker *w, struct weir_err *err);
/* Any thread: asks it to end and waits until it has; frees everything. `started`: mock_worker_start succeeded. */
void mock_worker_stop(struct mock_worker *w, bool started);

/* Frees the changes. */
void mock_shared_close(struct mock_shared *s);

/* The plan of a request, before its model and its own fields. */
static inline const struct mock_plan *mock_shared_plan(struct mock_shared *s)
{
    const struct mock_change *change = atomic_load_explicit(&s->change, memory_order_acquire);
    return change != NULL ? &change->plan : &s->options->plan;
}

/* Stops listening and resets every connection but those of the control listener: what a killed process looks like from
 * outside. Or listens again on the same port. Only with one worker, and on its thread. Errors: WEIR_EIO, WEIR_EBUSY,
 * WEIR_ELIMIT; nothing has changed then. */
int mock_worker_down(struct mock_worker *w, struct weir_err *err);
int mock_worker_up(struct mock_worker *w, struct weir_err *err);

/* xorshift64*: the same seed gives the same faults. */
uint64_t mock_worker_random(struct mock_worker *w);
/* True for `permille` out of a thousand. */
bool mock_worker_dice(struct mock_worker *w, uint32_t permille);

#endif
