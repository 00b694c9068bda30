/* What `weirctl rebalance` would do now with what a node shows of the cluster: the coordinator's own decision
 * (core/rebalance_round.h) over the answers of /api/cluster/nodes and CTL_MAP_PAGE. It foretells the moves unless nodes
 * come or go, or loads differ, before the round is made. The store does not know how nodes are configured: a page of
 * its own lacks failover and load_moves, and the defaults are taken then. Pure. Answers are from outside: what does not
 * fit is an error. */
#ifndef WEIR_CLI_PLAN_H
#define WEIR_CLI_PLAN_H

#include <jansson.h>

#include "core/rebalance_round.h"

#define CTL_MAP_PAGE "/api/cluster/map"

struct ctl_plan {
    struct weir_shard_map *old; /* NULL: none was published, the round makes the first one */
    struct weir_rebalance_plan next;
    const char *still; /* why nothing moves; NULL: something does */
};

/* nodes, map: the pages' answers. On error the plan is all zero. Errors: WEIR_EPROTO: an answer that does not fit;
 * WEIR_ENOTFOUND: the node is in no cluster, no node lives, or a store has neither a map nor says how many shards the
 * first one shall have; WEIR_EINVAL: what members say of themselves cannot be; WEIR_ENOMEM. */
WEIR_MUST_USE int ctl_plan_make(struct ctl_plan *plan, const json_t *nodes, const json_t *map, struct weir_err *err);
void ctl_plan_close(struct ctl_plan *plan);

/* The ids of a move's nodes; "-" for nobody. */
const char *ctl_plan_from(const struct ctl_plan *plan, const struct weir_shard_move *m);
const char *ctl_plan_to(const struct ctl_plan *plan, const struct weir_shard_move *m);

#endif
