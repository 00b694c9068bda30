/* What one round makes of the shard map: the coordinator that leads publishes it, and weirctl rebalance --dry-run
 * foretells it. Both ask here, so that what is foretold is what is done. Pure.
 *
 * - Without a map, or where loads move nothing, each member gets its quota (core/rebalance.h).
 * - Else quotas are bands around them, so that shards which have moved for a load stay where they are. A map in which
 *   every member is within its band is kept while the members and their weights are those of the map; one that is not
 *   is made anew by the quotas.
 * - In a map that is kept, a few shards go from whoever carries most to whoever carries least: by itself when loads
 *   have been told for long enough, are large enough not to be chance, and the highest is a tenth above the mean; in a
 *   round that an operator asks for at once, and for any difference. */
#ifndef WEIR_CORE_REBALANCE_ROUND_H
#define WEIR_CORE_REBALANCE_ROUND_H

#include "core/rebalance.h"

struct weir_round_member {
    struct weir_str id; /* borrowed */
    uint32_t weight;    /* as it tells it: out of bounds is taken to the nearest bound */
    enum weir_coord_node_state state;
    bool alive;
    double in_flight; /* requests */
};

struct weir_round {
    const struct weir_round_member *members;
    uint32_t member_count;
    const struct weir_shard_map *map; /* the newest that was published; NULL: none was */
    uint32_t shard_count;             /* that the next one shall have */
    uint64_t epoch;                   /* of the next one */
    struct weir_str leader;           /* of the next one; empty where it is only foretold */
    bool failover;                    /* failover_enabled: a member that does not live keeps nothing */
    bool load_moves;                  /* shards move for loads, too: requests go by shard */
    bool asked;                       /* an operator wants this round */
    uint64_t now_ms, loads_from_ms;   /* unless asked for: loads count from then on */
};

/* Why no shard moves. */
#define WEIR_ROUND_IN_PARTS "each node has its part of the shards"
#define WEIR_ROUND_EVEN     "each node has about its part of the shards, and no move would make loads more even"

/* *plan is the caller's to close. *still: why nothing moves, one of the above; NULL: something does. Errors: as
 * weir_rebalance's; *plan is all zero then, and *still NULL. */
WEIR_MUST_USE int weir_round_decide(const struct weir_round *r, struct weir_rebalance_plan *plan, const char **still,
                                    struct weir_err *err);

#endif
