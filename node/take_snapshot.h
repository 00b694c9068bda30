/* Collects what a node knows of itself into the plain data that core renders. On control's thread. */
#ifndef WEIR_NODE_TAKE_SNAPSHOT_H
#define WEIR_NODE_TAKE_SNAPSHOT_H

#include "core/snapshot.h"
#include "node/node.h"

/* Fills *s; its arrays live in the arena. The view must stay held while s is used. `ends`: the workers' lag is the
 * worst since a snapshot like this one, which scrapes take; others only look. Errors: WEIR_ENOMEM. */
WEIR_MUST_USE int weir_take_snapshot(struct weir_snapshot *s, struct weir_arena *a, struct weir_node *node,
                                     const struct weir_view *view, uint64_t control_lag_us, bool ends);

#endif
