/* A running node: its workers, its control thread, and the little that they share. */
#ifndef WEIR_NODE_NODE_H
#define WEIR_NODE_NODE_H

#include "core/coord.h"
#include "net/tls.h"
#include "node/worker.h"

struct weir_node {
    struct weir_worker *workers; /* worker_count of them */
    unsigned worker_count;
    struct weir_pool *pools[WEIR_WORKERS_MAX];
    struct weir_log *log;
    struct weir_mailbox *control_mailbox;   /* its receiver is the control thread's struct weir_control */
    weir_message_cb worker_drained;         /* what control does with weir_worker.drained */
    weir_message_cb admin_call;             /* ... and with struct weir_admin_call */
    char name[WEIR_NODE_ID_MAX + 1];        /* shown as node_id: its first address, in a cluster its id there */
    struct weir_addr peer_addr;             /* what the peer listener is bound to; none where there is no cluster */
    struct weir_crypto_pool *crypto;        /* for the handshakes of all workers, and control's */
    struct weir_tls_stats tls_up, tls_down; /* towards endpoints, towards clients */
    uint64_t started_us;                    /* weir_clock_us() */
    _Atomic bool ready;                     /* /health/ready: names resolved once, not draining */
    _Atomic bool resting;                   /* an operator empties it: /health/ready is 503, and it serves on */
    _Atomic bool draining;                  /* answers carry Connection: close */
    _Atomic uint32_t clients;               /* connections of all workers, to ports for weir's own pages alone apart:
                                               server.max_connections holds over them */
    struct weir_node_counters control_counters;               /* control's own */
    _Atomic uint64_t handshakes_told_ms[WEIR_TLS_FAIL_COUNT]; /* see weir_node_tell_handshake */
    _Atomic uint64_t cut_told_ms;                             /* see weir_node_tell_cut */
    _Atomic uint64_t peer_refused_told_ms;                    /* see weir_node_tell_peer_refused */
};

/* A client was cut off for a flood, or for breaking HTTP/2: said at most once a minute. Any worker's thread. */
void weir_node_tell_cut(struct weir_node *node, struct weir_log_producer *log, uint64_t now_ms, const char *client,
                        const char *reason);
/* A client's handshake failed: said at most once a minute for each reason, since everybody may come and fail; the rest
 * is counted. Any worker's thread. */
void weir_node_tell_handshake(struct weir_node *node, struct weir_log_producer *log, uint64_t now_ms,
                              enum weir_tls_fail fail, const char *reason);

/* A request on the peer listener was not a peer's: said at most once a minute, since a clock may be off for long. Any
 * worker's thread. */
void weir_node_tell_peer_refused(struct weir_node *node, struct weir_log_producer *log, uint64_t now_ms,
                                 const char *client, const char *reason);
/* Requests that this node serves now: those that it has handed to peers apart. Any thread. */
uint32_t weir_node_load(const struct weir_node *node);

#endif
