/* One thread that serves: its reactor, listeners, clients, requests and its part of the pools. A request lives and dies
 * on one worker. Workers share nothing mutable but atomics and messages. */
#ifndef WEIR_NODE_WORKER_H
#define WEIR_NODE_WORKER_H

#include "core/rng.h"
#include "http/conn.h"
#include "net/dns.h"
#include "net/listener.h"
#include "net/log.h"
#include "node/pool.h"
#include "node/view.h"

/* Listening addresses of a node, client and admin together. */
#define WEIR_LISTENERS_MAX 32u

/* Connections of a worker to ports for weir's own pages alone, which server.max_connections does not count: scrapers
 * and probes of a large fleet. */
#define WEIR_ADMIN_CLIENTS_MAX 256u

/* Links of a worker from peers, which server.max_connections does not count either: one from each worker of each peer,
 * or a few, dealt out over this node's workers. */
#define WEIR_PEER_CLIENTS_MAX 4096u

struct weir_node;
struct weir_trace_ring;

struct weir_worker_listener {
    struct weir_listener socket;
    int fd; /* opened by the node; the listener's once it has started, then -1 */
    bool proxy_protocol;
    bool serves_admin; /* weir's own paths are answered here */
    bool serves_proxy; /* everything else is */
    bool serves_peers; /* ... if a peer has signed it */
};

/* server.max_connections holds for its connections. */
static inline bool weir_worker_listener_is_limited(const struct weir_worker_listener *l)
{
    return l->serves_proxy && !l->serves_peers;
}

struct weir_worker {
    struct weir_reactor reactor;
    struct weir_node *node;
    unsigned index;
    struct weir_pool pool;
    struct weir_node_counters *counters;
    struct weir_hold *hold; /* of the current view */
    struct weir_log_producer *log;
    struct weir_rng rng;
    struct weir_http_limits limits;               /* of requests, from the current view's server section */
    struct weir_http_limits response_limits;      /* of what upstreams answer */
    struct weir_http_limits peer_limits;          /* of what peers hand over: requests, and what a peer adds to them */
    struct weir_http_limits peer_response_limits; /* likewise, of what peers answer */
    struct weir_worker_listener listeners[WEIR_LISTENERS_MAX];
    unsigned listener_count;
    _Atomic(struct weir_trace_ring *) traces; /* finished spans, for control; made with the first one */
    struct weir_dns *dns;                     /* for names that are asked for each connection; made when first needed */
    struct weir_shared_config *dns_config;    /* whose servers it asks; one reference */
    struct weir_list clients;
    struct weir_list upstreams; /* every connection to an endpoint that is here */
    uint32_t client_count;
    uint32_t
        admin_client_count; /* of these, on ports that serve weir's own pages only: a drain does not wait for them */
    uint32_t peer_client_count;    /* of these, links from peers */
    uint32_t request_count;        /* of all but admin clients */
    _Atomic uint32_t load_shown;   /* connections, for balanced accepting */
    _Atomic uint64_t lag_us_shown; /* longest turn since control read it */
    _Atomic uint64_t lag_us_slot;  /* likewise, for the load history */
    bool accept_held;              /* server.max_connections is reached: only the admin port accepts */
    bool draining;
    bool cut;                                    /* the drain's time is over: nobody is let in any more */
    struct weir_message drain_order, stop_order; /* each is given once, so they need no memory of their own */
    uint64_t drain_grace_ms, drain_timeout_ms;   /* of the order */
    struct weir_message drained;                 /* tells control that nothing is left here */
    _Atomic bool drained_posted;
    bool drained_once; /* control's: it has told so at least once, so its listeners are closed */
    struct weir_deadline accept_retry;
    struct weir_deadline last_accepts;  /* of a drain: the listeners are closed */
    struct weir_deadline drain_grace;   /* idle clients are closed */
    struct weir_deadline drain_timeout; /* everything is */
    uv_thread_t thread;
};

/* On failure nothing is left. */
int weir_worker_init(struct weir_worker *w, struct weir_node *node, unsigned index, struct weir_err *err);
/* The thread's body: serves until weir_worker_post_stop. The first view must have been posted. */
void weir_worker_main(void *worker);
/* After all threads have ended, from one thread, for each worker, and again until none returns true: handles what
 * others had posted and closes what is left. */
bool weir_worker_sweep(struct weir_worker *w);
/* At the very end. */
void weir_worker_close(struct weir_worker *w);

/* From control's thread; each is carried out on the worker's own. A view's errors: WEIR_ENOMEM; it takes one reference
 * on success. Drain and stop are ordered once each. */
int weir_worker_post_view(struct weir_worker *w, struct weir_view *v);
/* Stops accepting, but for weir's own pages on ports of their own; idle clients have grace_ms to send one more request;
 * after timeout_ms everything is cut off. Control is told, by posting `drained`, each time that nothing is left. */
void weir_worker_post_drain(struct weir_worker *w, uint64_t grace_ms, uint64_t timeout_ms);
void weir_worker_post_stop(struct weir_worker *w);

/* -- on the worker's thread -- */

/* A client connection or a request has ended: accepting may go on, a draining worker may be done. */
void weir_worker_ended_something(struct weir_worker *w);

static inline uint64_t weir_worker_now_us(const struct weir_worker *w)
{
    return w->reactor.now_us;
}

#endif
