/* What both halves of a try go by: how it is made (request_try.c), and what comes of it (request_outcome.c). */
#ifndef WEIR_NODE_REQUEST_TRY_INNER_H
#define WEIR_NODE_REQUEST_TRY_INNER_H

#include "node/node.h"
#include "node/request.h"

static inline struct weir_circuit_caller weir_try_caller(const struct weir_request *r)
{
    return (struct weir_circuit_caller){r->worker->index, r->worker->reactor.now_ms, r->worker->log};
}

/* A redirect has led out of the provider's endpoints. */
static inline bool weir_try_is_outside(const struct weir_request *r)
{
    return weir_endpoint_is_foreign(r->endpoint->rt);
}

/* As weir_choosing has endpoints; of one outside, none. */
static inline uint64_t weir_try_bit_of(const struct weir_view_endpoint *e)
{
    return weir_endpoint_is_foreign(e->rt) ? 0 : UINT64_C(1) << e->rt->slot;
}

static inline bool weir_try_is_probe(const struct weir_request *r)
{
    return r->try.ticket.permit != 0 || r->try.ticket.own_permit != 0;
}

/* -- request_try.c -- */

/* What the next try has to choose from. */
struct weir_choosing weir_try_choosing(const struct weir_request *r);
/* Gets the open try a connection to its endpoint; may_serve: others that would do, too. The request may be gone
 * afterwards. */
void weir_try_acquire(struct weir_request *r, uint64_t may_serve);

#endif
