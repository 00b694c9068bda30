/* A connection to an endpoint as the pool's connector makes it: dialed over the addresses of the endpoint's name in
 * turn, carrying HTTP, watched while it is parked, movable between workers. */
#ifndef WEIR_NODE_UPSTREAM_H
#define WEIR_NODE_UPSTREAM_H

#include "node/worker.h"

struct weir_request;

struct weir_upstream {
    struct weir_pool_conn pooled;
    struct weir_list link;      /* in the worker's upstreams */
    struct weir_http_conn conn; /* once it is open */
    struct weir_worker *worker;
    struct weir_http_limits limits;          /* its own: the worker that dialled may have none of it any more */
    struct weir_deadline deadline;           /* connect clock, then keep-alive expiry */
    struct weir_stream *dialing;             /* while it is being opened */
    struct weir_hold *hold;                  /* likewise: the addresses are the view's */
    const struct weir_view_endpoint *target; /* likewise */
    unsigned next_address;
    uint64_t dial_us, connect_us;            /* when dialing began; how long it took */
    struct weir_request *request;            /* while it is leased */
    enum weir_endpoint_counter close_reason; /* what a close from now on is booked as */
};

/* Where to dial, as a waiter's target gives it: an endpoint as a view has it, and the hold that keeps the view. */
struct weir_upstream_target {
    const struct weir_view_endpoint *endpoint;
    struct weir_hold *hold;
};

/* target of a waiter: a struct weir_upstream_target; arg: the worker. */
extern const struct weir_connector weir_upstream_connector;

/* Ends every connection of the worker, leased ones not: requests must be over. True: there were some. */
bool weir_upstream_close_all(struct weir_worker *w);

static inline struct weir_upstream *weir_upstream_of(struct weir_pool_conn *c)
{
    return WEIR_CONTAINER(c, struct weir_upstream, pooled);
}

/* A leased connection has been given to a request, which gets its exchanges' events. NULL: it broke meanwhile; it has
 * then been discarded. */
struct weir_exchange *weir_upstream_open(struct weir_upstream *u, struct weir_request *r);

/* A head has come on x and is not passed on: the rest of the answer is read and thrown away, and the connection goes
 * back to the pool. To be called from inside the head's event, the request having been sent whole; x is not the
 * caller's any more. False: it is not worth it, and x is as it was. */
bool weir_upstream_read_out(struct weir_upstream *u, struct weir_exchange *x, const struct weir_head *head);

#endif
