/* What the parts of the pool share: pool_shelf.c (who waits, what is parked), pool_move.c (slots and connections in
 * hand, and on their way to another worker), pool.c (what a request asks for). Internal to the pool. */
#ifndef WEIR_NODE_POOL_INNER_H
#define WEIR_NODE_POOL_INNER_H

#include "node/pool.h"

static inline struct weir_provider_local *weir_pool_local_of(const struct weir_pool *p, struct weir_provider *pr)
{
    return &pr->local[p->worker];
}

static inline struct weir_pool_conn *weir_pool_conn_of(struct weir_pool_item *i)
{
    return WEIR_CONTAINER(i, struct weir_pool_conn, item);
}

static inline struct weir_pool_waiter *weir_pool_waiter_of(struct weir_pool_place *place)
{
    return WEIR_CONTAINER(place, struct weir_pool_waiter, place);
}

static inline void weir_pool_count(const struct weir_pool *p, struct weir_endpoint *e, enum weir_endpoint_counter id)
{
    weir_endpoint_add(&e->local[p->worker].counters, id, 1);
}

/* -- pool.c -- */

/* A connection to e that was of no use to these workers is parked here: who has come to wait there since is to look
 * again. False: out of memory, they may not know. */
bool weir_pool_nudge(struct weir_pool *p, struct weir_endpoint *e, uint64_t workers);

/* -- pool_shelf.c -- */

/* Shows other workers how many wait here, and how many of them no dial covers. */
void weir_pool_wait_show(struct weir_pool *p, struct weir_provider *pr);
/* The worker whose longest waiting request came first, of those not in `except`; -1 when there is none. Other workers
 * count only as far as what is on its way to them does not see to all who wait there. `uncovered`: who needs a slot,
 * counting requests that no dial covers; else who can use a connection. */
int weir_pool_worker_waiting(const struct weir_pool *p, struct weir_provider *pr, uint64_t except, bool uncovered);
void weir_pool_wait_begin(struct weir_pool *p, struct weir_pool_waiter *w);
void weir_pool_wait_end(struct weir_pool *p, struct weir_pool_waiter *w);
/* Ends the wait and calls the waiter's own callback; inside acquire a failure is kept for its return instead. */
void weir_pool_wait_grant(struct weir_pool *p, struct weir_pool_waiter *w, struct weir_pool_conn *c);
void weir_pool_wait_fail(struct weir_pool *p, struct weir_pool_waiter *w, const struct weir_err *err);
/* This worker's longest waiting one that wants a connection to e; NULL: none. */
struct weir_pool_waiter *weir_pool_wait_for(struct weir_pool *p, const struct weir_endpoint *e);
/* False: as many are parked as may be. */
bool weir_pool_conn_park(struct weir_pool *p, struct weir_pool_conn *c);
void weir_pool_conn_unpark(struct weir_pool *p, struct weir_pool_conn *c);
/* 0: it may be used again; else why not (WEIR_EC_CLOSED_*). */
enum weir_endpoint_counter weir_pool_conn_spent(const struct weir_pool *p, const struct weir_pool_conn *c);
/* The newest parked connection to e that is still good, unparked; bad ones above it are closed. NULL: none. */
struct weir_pool_conn *weir_pool_conn_take_parked(struct weir_pool *p, struct weir_endpoint *e);
/* Takes a connection off the books and ends it. Its slot and a reference to its provider are the caller's afterwards.
 */
struct weir_provider *weir_pool_conn_end(struct weir_pool *p, struct weir_pool_conn *c,
                                         enum weir_endpoint_counter reason);

/* -- pool_shared.c -- */

/* A shared connection to e with room for one more request, which becomes the caller's; NULL: none. */
struct weir_pool_conn *weir_pool_shared_take(struct weir_pool *p, struct weir_endpoint *e);
/* A shared connection has room, or is idle: it goes to those who wait here, is listed, parked or closed. */
void weir_pool_shared_offer(struct weir_pool *p, struct weir_pool_conn *c);
/* Who waits here for an endpoint with a shared connection that has room gets it: a limit may have been raised. */
void weir_pool_shared_settle(struct weir_pool *p, struct weir_provider *pr);
/* It was leased, or is about to be: listed while it may have room. */
void weir_pool_shared_leased(struct weir_pool *p, struct weir_pool_conn *c);
/* It ends. */
void weir_pool_shared_end(struct weir_pool *p, struct weir_pool_conn *c);

/* -- pool_move.c -- */

bool weir_pool_slot_take(struct weir_provider *pr);
/* A slot is in hand on this worker: it goes to the request that has waited longest without a dial, else back. */
void weir_pool_slot_use(struct weir_pool *p, struct weir_provider *pr);
/* The slot is in hand, and spent on success only. */
bool weir_pool_slot_dial(struct weir_pool *p, const struct weir_pool_waiter *w, struct weir_err *err);
/* False: out of memory, the slot is still in hand. */
bool weir_pool_slot_send(struct weir_pool *p, struct weir_provider *pr, unsigned worker);
/* A usable connection is in hand on this worker: it goes to the request that has waited longest, else it is parked. */
void weir_pool_conn_offer(struct weir_pool *p, struct weir_pool_conn *c);
void weir_pool_conn_send(struct weir_pool *p, struct weir_pool_conn *c, unsigned worker);
/* Ends a connection and makes use of its slot. */
void weir_pool_conn_drop(struct weir_pool *p, struct weir_pool_conn *c, enum weir_endpoint_counter reason);

#endif
