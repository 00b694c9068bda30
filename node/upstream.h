/* A connection to an endpoint as the pool's connector makes it: dialed in a race over the addresses of the endpoint's
 * name, over TLS where that is asked for, carrying HTTP, watched while it is parked. HTTP/1.1: movable between workers,
 * one request at a time; HTTP/2 (by ALPN, or by `http2: on` without TLS): shared by as many requests as its peer
 * allows, and asked by PING whether it is still there.
 *
 * It knows its address: how connects and tries end is told to the address (node/addresses.h), and a connection whose
 * address is gone or out is closed rather than used again (WEIR_EC_CLOSED_MOVED). */
#ifndef WEIR_NODE_UPSTREAM_H
#define WEIR_NODE_UPSTREAM_H

#include "net/dial.h"
#include "node/worker.h"

struct weir_request;
struct weir_upstream_question;

struct weir_upstream {
    struct weir_pool_conn pooled;
    struct weir_list link;      /* in the worker's upstreams */
    struct weir_http_conn conn; /* once it is open */
    struct weir_worker *worker;
    struct weir_http_limits limits;          /* its own: the worker that dialled may have none of it any more */
    struct weir_deadline deadline;           /* connect clock, then keep-alive expiry */
    struct weir_upstream_question *question; /* while its name is asked for */
    struct weir_dial *dial;                  /* while it is being opened */
    struct weir_stream *handshake;           /* likewise, once it is connected and TLS begins */
    struct weir_hold *hold;                  /* until it is open: the addresses are the view's */
    const struct weir_view_endpoint *target; /* likewise */
    const struct weir_address *avoid;        /* likewise: dialed last; NULL: none */
    struct weir_address *address;            /* once it is open: one reference; NULL: out of memory, so not tracked */
    uint32_t settings;                       /* of the view that it was opened under */
    uint64_t dial_us, connect_us;            /* when dialing began; how long it took */
    struct weir_deadline ping;               /* HTTP/2: when silence is broken, or an answer is due */
    uint64_t ping_ms;                        /* likewise: the interval; 0: never */
    bool ping_in_use;                        /* ... and only while it carries something */
    enum weir_endpoint_counter close_reason; /* what a close from now on is booked as */
    uint32_t streams_counted;                /* in WEIR_EC_STREAMS_ACTIVE */
    bool http2, going_away;
};

/* Where to dial, as a waiter's target gives it: an endpoint as a view has it, and the hold that keeps the view. */
struct weir_upstream_target {
    const struct weir_view_endpoint *endpoint;
    struct weir_hold *hold;
    /* Dialed after all others: where a try has failed; of the endpoint's records, NULL: none. It says nothing about
     * idle connections: who wants none to it asks the pool for a fresh one too. */
    const struct weir_address *avoid;
};

/* target of a waiter: a struct weir_upstream_target; arg: the worker. */
extern const struct weir_connector weir_upstream_connector;

/* Requests that a connection to it carries at once, as far as is known; at least 1. Any thread. */
uint32_t weir_upstream_places_of(const struct weir_view_endpoint *t);

/* Ends every connection of the worker, leased ones not: requests must be over. True: there were some. */
bool weir_upstream_close_all(struct weir_worker *w);

static inline struct weir_upstream *weir_upstream_of(struct weir_pool_conn *c)
{
    return WEIR_CONTAINER(c, struct weir_upstream, pooled);
}

/* The address that it is connected to, one of e's records; NULL when e has no other, so that there is nothing to
 * choose. Valid while e's view is held. */
struct weir_address *weir_upstream_address(const struct weir_upstream *u, const struct weir_view_endpoint *e);
/* How a try at an address of e ended: ok false is what counts as a failure of the endpoint. Connects are told by
 * themselves. Logs when the address is put out or comes back. */
void weir_upstream_address_tried(struct weir_worker *w, const struct weir_endpoint *e, struct weir_address *a, bool ok);

/* A leased connection has been given to a request, which gets its exchanges' events. NULL: it broke meanwhile, or
 * there is no memory; it has then been discarded, or given back if others are under way on it. */
struct weir_exchange *weir_upstream_open(struct weir_upstream *u, struct weir_request *r);

/* The request lets its exchange go before it is over; HTTP/1.1: the connection closes, and this is why. */
void weir_upstream_let_go(struct weir_upstream *u, struct weir_exchange *x, enum weir_endpoint_counter reason);

/* A head has come on x and is not passed on: the rest of the answer is read and thrown away, and the connection goes
 * back to the pool. To be called from inside the head's event, the request having been sent whole; x is not the
 * caller's any more. False: it is not worth it, and x is as it was; over HTTP/2 it never is, since to reset x is cheap.
 */
bool weir_upstream_read_out(struct weir_upstream *u, struct weir_exchange *x, const struct weir_head *head);

#endif
