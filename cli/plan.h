/* What the coordinator would do next with what a node shows of the cluster: the same function (core/rebalance.h) over
 * the answers of /api/cluster/nodes and /api/cluster/shards. What it moves for the sake of load it decides by how loads
 * were for a while; that is not foreseen here. Pure. Answers are from outside: what does not fit is an
 * error. */
#ifndef WEIR_CLI_PLAN_H
#define WEIR_CLI_PLAN_H

#include <jansson.h>

#include "core/rebalance.h"

struct ctl_plan {
    struct weir_shard_map *old; /* as the node shows it; NULL: it shows none */
    struct weir_rebalance_plan next;
};

/* nodes, shards: the pages' answers. On error the plan is all zero. Errors: WEIR_EPROTO: an answer that does not fit;
 * WEIR_ENOTFOUND: the node is in no cluster, or no node lives; WEIR_ENOMEM. */
WEIR_MUST_USE int ctl_plan_make(struct ctl_plan *plan, const json_t *nodes, const json_t *shards, struct weir_err *err);
void ctl_plan_close(struct ctl_plan *plan);

/* The ids of a move's nodes; "-" for nobody. */
const char *ctl_plan_from(const struct ctl_plan *plan, const struct weir_shard_move *m);
const char *ctl_plan_to(const struct ctl_plan *plan, const struct weir_shard_move *m);

#endif
