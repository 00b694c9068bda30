/* The connection pool of one node: exact limits over all workers, idle connections that go to the worker that needs
 * one.
 *
 * It pools anything that a connector can open and close; it knows no HTTP. Each worker calls it for itself; workers
 * talk through messages. The ledger (weir_provider: total, idle, waiting) is atomic, and two orders make it lose no
 * wake-up: who waits publishes itself and then looks at the counts again; who releases publishes the connection or slot
 * and then looks for waiters again (both sequentially consistent).
 *
 * A slot is the right to have one connection open: taken before a dial, given back when the connection is closed. A
 * slot or a connection in transit to another worker still counts in `total`, so the limit holds at every instant. A
 * waiter is not bound to the dial that it caused: whatever becomes usable first goes to whoever has waited longest. But
 * a connection to a foreign origin (node/foreign.h) is for a waiter that wants it, and for one request.
 *
 * A shared connection (HTTP/2) carries many requests at once and stays with the worker that opened it. While it has
 * room it stands in its endpoint's list `open`, the one that filled up last first, so that few connections carry much;
 * without requests it is parked like any other. It is the connector's to say how many it takes (slots): the pool asks
 * before each lease, and is told of more by weir_pool_slots. One that may not be used again takes no new requests and
 * is closed when the last is over. So does one while requests wait on another worker that came before all who wait
 * here, and no slot is left: a connection that is never empty must not keep them waiting for ever. */
#ifndef WEIR_NODE_POOL_H
#define WEIR_NODE_POOL_H

#include "net/mailbox.h"
#include "node/runtime.h"

struct weir_pool;

/* The pool's part of a connection; the connector's object embeds it. */
struct weir_pool_conn {
    struct weir_message message; /* for the trip to another worker; first, so the handler can find it */
    struct weir_pool_item item;
    struct weir_endpoint *endpoint; /* one reference */
    struct weir_pool *pool;         /* of the worker that holds it; NULL in transit */
    uint64_t opened_ms;             /* 0: still being opened */
    uint64_t offered;               /* workers where it found no taker in this round, a bit each */
    uint32_t leases;                /* requests that it has carried */
    uint32_t places;                /* while it is being opened: requests that it is expected to carry at once */
    struct weir_list in_open;       /* shared: in its endpoint's `open` */
    bool parked, shared, draining;
};

struct weir_connector {
    /* Begins to open a connection on this worker; on success the pool has it at once, and hears of the end by
     * weir_pool_opened or weir_pool_open_failed, later. NULL: could not even begin (*why says so). `target` is the
     * waiter's. */
    struct weir_pool_conn *(*open)(void *arg, struct weir_endpoint *e, const void *target, struct weir_err *why);
    /* Ends and frees it, wherever it is in its life. The pool has taken it off its books before. */
    void (*close)(void *arg, struct weir_pool_conn *c);
    /* Parked and no longer to be trusted: closed by its peer, or bytes came that nobody asked for. */
    bool (*disturbed)(const struct weir_pool_conn *c);
    /* 0: may be used again; else why it is to be closed (WEIR_EC_CLOSED_*). Asked before each use and each parking.
     * NULL: it always may. */
    enum weir_endpoint_counter (*spent)(void *arg, const struct weir_pool_conn *c);
    /* It is parked now, for at most expiry_ms (0: no limit): watch it, and call weir_pool_discard when it breaks, or
     * weir_pool_expire when that time is over. */
    void (*parked)(void *arg, struct weir_pool_conn *c, uint32_t expiry_ms);
    /* It is leased, or about to leave this worker: stop watching. */
    void (*unparked)(void *arg, struct weir_pool_conn *c);
    void (*detach)(void *arg, struct weir_pool_conn *c);
    /* Non-zero: it cannot live here and is to be closed. */
    int (*attach)(void *arg, struct weir_pool_conn *c);
    uint64_t (*now_ms)(void *arg);
    uint64_t (*now_us)(void *arg);
    /* The rest is for connections that several requests share. All four NULL: there are none. */
    /* Requests that one to be opened will carry at once, as far as is known. */
    uint32_t (*places)(void *arg, const struct weir_endpoint *e, const void *target);
    /* Asked when it has opened: several requests may share it. */
    bool (*shared)(const struct weir_pool_conn *c);
    /* Of a shared one: requests that it takes now, beside those that it carries. */
    uint32_t (*slots)(const struct weir_pool_conn *c);
    /* Of a shared one: it carries requests. */
    bool (*busy)(const struct weir_pool_conn *c);
    /* Of a shared one that is parked: its peer was heard of just now, so that it will do for a request that cannot be
     * sent twice. */
    bool (*lively)(void *arg, const struct weir_pool_conn *c);
};

/* One request's wish. The caller owns it, and may not move or free it while it waits. */
struct weir_pool_waiter {
    struct weir_pool_place place; /* endpoints and fresh are set by the caller, since_us with `again` */
    struct weir_provider *provider;
    struct weir_endpoint *wanted;
    const void *target;   /* given to connector->open, e.g. the addresses; must live as long as it waits */
    uint64_t asked;       /* workers asked for a connection, a bit each */
    uint64_t asked_evict; /* workers asked to make room */
    /* Set by the caller: it had a connection, which died before it could be used. It is never refused, and its place is
     * that of place.since_us, which the caller sets to when it first asked (connector's now_us). */
    bool again;
    bool waiting;
    bool queued; /* the pool's answer: it had, or has, to queue: nothing could be dialed, fetched or evicted for it */
    struct weir_err *acquire_err; /* the pool's own: set while acquire runs */
    /* Exactly one of the two ends a wait, never from inside acquire. The connection is leased to the receiver; of a
     * failure err is valid during the call only. */
    void (*granted)(struct weir_pool_waiter *w, struct weir_pool_conn *c);
    void (*failed)(struct weir_pool_waiter *w, const struct weir_err *err);
};

/* One worker's access to all pools: who it is and how to reach the others. */
struct weir_pool {
    unsigned worker;
    unsigned worker_count;
    struct weir_pool **peers;     /* by worker; peers[worker] is this one */
    struct weir_mailbox *mailbox; /* of this worker: what others post */
    const struct weir_connector *connector;
    void *arg; /* of the connector: the worker */
};

enum weir_pool_result { WEIR_POOL_GRANTED, WEIR_POOL_WAITING, WEIR_POOL_REFUSED, WEIR_POOL_FAILED };

/* GRANTED: *c is leased to the caller. WAITING: granted or failed will be called. REFUSED: the queue is full. FAILED:
 * the connector could not even begin, err says why. */
enum weir_pool_result weir_pool_acquire(struct weir_pool *p, struct weir_pool_waiter *w, struct weir_pool_conn **c,
                                        struct weir_err *err);
/* The wish is withdrawn (deadline, client gone). Legal when it does not wait. */
void weir_pool_cancel(struct weir_pool *p, struct weir_pool_waiter *w);
/* An open dial is under way for this one or for one that came later: the wait is the network's, not the pool's. */
bool weir_pool_covered(const struct weir_pool *p, const struct weir_pool_waiter *w);
/* Opens a connection that nobody has asked for; it is parked once it is open, or goes to who has come to wait. False:
 * the pool is full, or the connector could not even begin. target: as a waiter's, but for the call only. */
bool weir_pool_open_ahead(struct weir_pool *p, struct weir_endpoint *e, const void *target);
/* Of a shared connection: it takes more requests than before, or fewer, or none any more. */
void weir_pool_slots(struct weir_pool *p, struct weir_pool_conn *c);
/* Gives a leased connection back, to be used again. A shared one: it carries nothing any more, or the request that has
 * leased it did not use it. */
void weir_pool_release(struct weir_pool *p, struct weir_pool_conn *c);
/* A leased or parked connection is no good any more: closes it, counting `reason` (WEIR_EC_CLOSED_*); its slot goes to
 * whoever waits. */
void weir_pool_discard(struct weir_pool *p, struct weir_pool_conn *c, enum weir_endpoint_counter reason);
/* A parked connection's time is over: closes it. */
void weir_pool_expire(struct weir_pool *p, struct weir_pool_conn *c);
/* Limits have changed: looks at this worker's waiters again. */
void weir_pool_settle(struct weir_pool *p, struct weir_provider *pr);

/* From the connector: an open ended. open_failed closes the connection. */
void weir_pool_opened(struct weir_pool *p, struct weir_pool_conn *c);
void weir_pool_open_failed(struct weir_pool *p, struct weir_pool_conn *c, const struct weir_err *err);

/* Closes this worker's parked connections to a provider: those that may not be used again (endpoint retired, address
 * gone) and, oldest first, what is over the limits; or (all) every one. Returns how many. */
unsigned weir_pool_close_parked(struct weir_pool *p, struct weir_provider *pr, bool all);
/* Closes of this worker's parked connections to a provider those to the slots `sick` (a bit each), those that are no
 * longer to be trusted, those that may not be used again and, oldest first, what is over the limits. Returns how many.
 */
unsigned weir_pool_clean(struct weir_pool *p, struct weir_provider *pr, uint64_t sick);

#endif
