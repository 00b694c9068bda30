/* Who shall own which shard: a pure function of the members, the map until now and the options, so that two leaders, or
 * all nodes while there is none, come to the same map. The order of the members does not matter.
 *
 * - Each member's quota is its weight's part of the shards, rounded down; the shards left over go, one each, to members
 *   whose part was rounded: first to those that hold more than their rounded part already, then by largest remainder,
 *   then by id. So every quota is less than one away from the exact part, and the least possible moves.
 * - A member keeps what it holds, up to its quota. Of its surplus the shards with the fewest live streams go, of
 *   these the ones to which it has the weakest claim by rendezvous.
 * - Surplus and shards without an owner go to members below their quota, each by rendezvous among these.
 * - So the moves are the shards of owners that are no longer there plus the sum of the surpluses: the least for these
 *   quotas, and at most ceil(shards / members) when one of equal weight joins.
 * - A draining member has no quota, and is emptied before anybody's surplus goes. One that joins has none until it is
 *   active, unless it owns shards still (it was away for less time than anybody noticed). When nobody is active the
 *   joining are taken for active, and without these the draining: no shard is without an owner while somebody lives.
 *
 * With loads, quotas become bands of load_slack_percent around them, and within these shards move from the most to the
 * least loaded member, by load for its weight, when the highest is more than load_ratio_percent of the mean. */
#ifndef WEIR_CORE_REBALANCE_H
#define WEIR_CORE_REBALANCE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/err.h"
#include "core/shard_map.h"

struct weir_rebalance_member {
    struct weir_str id; /* borrowed; as weir_coord_id_valid has it */
    uint32_t weight;    /* 1 to WEIR_RENDEZVOUS_WEIGHT_MAX */
    enum weir_coord_node_state state;
    uint32_t load; /* requests in flight, or another measure of the same kind for all; only read when load_aware */
};

struct weir_rebalance_opts {
    uint64_t epoch;         /* of the new map */
    struct weir_str leader; /* of the new map; empty: nobody publishes it */
    /* Live streams of each shard (shard_count of them), or NULL: not known. Of the old map's shards. */
    const uint32_t *streams;
    uint32_t moves_max; /* planned moves in one round; shards without a living owner are always given one. 0: no cap */
    bool load_aware;
    uint32_t load_ratio_percent; /* 0: WEIR_REBALANCE_LOAD_RATIO_PERCENT */
    uint32_t load_slack_percent; /* 0: WEIR_REBALANCE_LOAD_SLACK_PERCENT; up to 100 */
};
#define WEIR_REBALANCE_LOAD_RATIO_PERCENT 110u
#define WEIR_REBALANCE_LOAD_SLACK_PERCENT 25u

/* X(id, text). Why a shard moves. */
#define WEIR_MOVE_REASON_MAP(X)                                                       \
    X(WEIR_MOVE_UNOWNED, "unowned")   /* no map, or one of another count of shards */ \
    X(WEIR_MOVE_LOST, "lost")         /* its owner is no member any more */           \
    X(WEIR_MOVE_DRAINING, "draining") /* its owner empties itself */                  \
    X(WEIR_MOVE_QUOTA, "quota")       /* its owner holds more than its part */        \
    X(WEIR_MOVE_LOAD, "load")         /* its owner carries more than the others */
#define WEIR_MOVE_REASON_ENUM(id, text) id,
enum weir_move_reason { WEIR_MOVE_REASON_MAP(WEIR_MOVE_REASON_ENUM) WEIR_MOVE_REASONS };
#undef WEIR_MOVE_REASON_ENUM

const char *weir_move_reason_text(enum weir_move_reason r);

struct weir_shard_move {
    uint32_t shard;
    uint16_t from; /* index into the old map's nodes; WEIR_NODE_NOBODY when UNOWNED */
    uint16_t to;   /* index into the new map's nodes */
    enum weir_move_reason reason;
};

struct weir_rebalance_plan {
    struct weir_shard_map *map;    /* its nodes are all members */
    struct weir_shard_move *moves; /* ascending by shard */
    uint32_t move_count;
    uint32_t moves_left; /* wanted, but over moves_max: for the next round */
};

/* old may be NULL. A plan without moves still differs from the old map when members or weights do
 * (weir_shard_map_same). On error the plan is all zero. Errors: WEIR_ENOTFOUND: no members; WEIR_EINVAL: more than
 * WEIR_CLUSTER_NODES_MAX, a bad or repeated id, a weight or shard_count out of its bounds; WEIR_ENOMEM. */
WEIR_MUST_USE int weir_rebalance(struct weir_rebalance_plan *plan, const struct weir_rebalance_member *members,
                                 uint32_t member_count, const struct weir_shard_map *old, uint32_t shard_count,
                                 const struct weir_rebalance_opts *opts, struct weir_err *err);
/* Frees what the plan still owns; a map taken out of it (and set to NULL) stays. */
void weir_rebalance_plan_close(struct weir_rebalance_plan *plan);

#endif
