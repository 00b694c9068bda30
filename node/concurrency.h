/* Adaptive concurrency (adaptive_concurrency, off by default): how many requests each endpoint is sent at once, found
 * from its first-byte times (core/gradient.h), and the line of those who come while all endpoints of a provider have as
 * many as they bear.
 *
 * The limit is kept by looking before sending, not by counting under a lock: over several workers it may be exceeded by
 * a few requests for a moment, which a limit that is an estimate anyway does not mind. The gradient has one writer at a
 * time; an answer that finds another one at it leaves its sample out, since one of many is no loss, and waits for
 * nothing. */
#ifndef WEIR_NODE_CONCURRENCY_H
#define WEIR_NODE_CONCURRENCY_H

#include "core/config.h"
#include "core/gradient.h"
#include "core/pool.h"
#include "node/waitline.h"

/* Of an endpoint. */
struct weir_concurrency {
    _Atomic uint32_t limit;        /* 0: none */
    pthread_mutex_t lock;          /* of the gradient */
    struct weir_gradient gradient; /* min 0: there has not been one */
};

/* Of a provider: the places at its endpoints. */
struct weir_places {
    struct weir_waitline line; /* first */
    _Atomic bool on;
    struct weir_endpoint *at[WEIR_POOL_ENDPOINTS_MAX]; /* by slot, NULL: none; under the line's lock */
};

/* How soon who waits looks again, for what nobody calls about: a limit that grew, a circuit that closed. */
#define WEIR_PLACES_LOOK_US UINT64_C(20000)

void weir_concurrency_init(struct weir_concurrency *c);
void weir_concurrency_end(struct weir_concurrency *c);
/* What has been learnt stays. */
void weir_concurrency_configure(struct weir_concurrency *c, bool enabled, uint32_t min, uint32_t max);
/* A head has come: its status, how long after the request had been sent, and how many requests were then at the
 * endpoint, itself included. */
void weir_concurrency_answered(struct weir_concurrency *c, unsigned status, uint64_t first_byte_us, uint32_t in_flight);

static inline bool weir_concurrency_has_room(const struct weir_concurrency *c, uint32_t in_flight)
{
    uint32_t limit = atomic_load_explicit(&c->limit, memory_order_relaxed);
    return limit == 0 || in_flight < limit;
}

/* Errors: WEIR_ENOMEM. */
int weir_places_init(struct weir_places *p, struct weir_provider *owner, unsigned worker_count);
void weir_places_end(struct weir_places *p);
/* An endpoint of the provider is there, or is about to be freed. */
void weir_places_join(struct weir_places *p, struct weir_endpoint *e);
void weir_places_part(struct weir_places *p, struct weir_endpoint *e);

static inline bool weir_places_are_counted(const struct weir_places *p)
{
    return atomic_load_explicit(&p->on, memory_order_relaxed);
}

/* A request has left its endpoint. */
void weir_places_freed(struct weir_places *p, struct weir_pool *pool);

#endif
