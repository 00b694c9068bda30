/* What the parts of a circuit have in common; internal to node/circuit*.c. */
#ifndef WEIR_NODE_CIRCUIT_INNER_H
#define WEIR_NODE_CIRCUIT_INNER_H

#include "node/runtime.h"

static inline bool weir_circuit_enabled(const struct weir_circuit *c)
{
    return atomic_load_explicit(&c->enabled, memory_order_relaxed);
}

/* -- with the lock held: node/circuit.c -- */

/* Adds up the workers' successes since the last time: before anything else is asked of the view. */
void weir_circuit_fold_successes(struct weir_endpoint *e, uint64_t now_ms);
/* The end of all that changes the view: publishes it, lets the lock go, and rings if a report cannot wait. */
void weir_circuit_leave(struct weir_circuit *c, uint64_t now_ms);

/* -- telling, without it: node/circuit_tell.c -- */

/* why: the phrase of the failure that has opened it; NULL: none has. node: whose report changed it; "": this one's. */
void weir_circuit_tell_one(struct weir_endpoint *e, const struct weir_circuit_caller *by,
                           const struct weir_breaker_event *event, const char *why, const char *node);
/* All events of a reply of this node's own. */
void weir_circuit_tell(struct weir_endpoint *e, const struct weir_circuit_caller *by,
                       const struct weir_breaker_reply *r, const char *why);

#endif
