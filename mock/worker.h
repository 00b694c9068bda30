/* One thread of the mock: a reactor, its listeners and the connections that they accepted. */
#ifndef WEIR_MOCK_WORKER_H
#define WEIR_MOCK_WORKER_H

#include <pthread.h>

#include "http/conn.h"
#include "mock/gate.h"
#include "mock/options.h"
#include "mock/stats.h"
#include "net/listener.h"

/* What all workers share. */
struct mock_shared {
    const struct mock_options *options;
    struct mock_stats stats;
    struct mock_gates gates; /* used with one worker only */
    _Atomic uint64_t connection_id, request_id;
};

struct mock_worker {
    struct weir_reactor reactor;
    struct mock_shared *shared;
    struct weir_listener listener, control;
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

/* xorshift64*: the same seed gives the same faults. */
uint64_t mock_worker_random(struct mock_worker *w);
/* True for `permille` out of a thousand. */
bool mock_worker_dice(struct mock_worker *w, uint32_t permille);

#endif
