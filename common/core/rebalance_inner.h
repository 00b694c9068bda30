/* What the parts of a plan share: by quotas (core/rebalance.c), then by loads (core/rebalance_load.c). */
#ifndef WEIR_CORE_REBALANCE_INNER_H
#define WEIR_CORE_REBALANCE_INNER_H

#include "core/rebalance.h"

#define WEIR_REBALANCE_STAYS ((uint8_t)WEIR_MOVE_REASONS)
/* Loads are multiplied by this, so that a shard's part of a small load is not nothing. */
#define WEIR_REBALANCE_LOAD_UNIT 1024u

/* A member, at the place of its id in the order of ids: its index in the new map. */
struct weir_rebalance_part {
    const struct weir_rebalance_member *member;
    bool takes;                /* may own shards */
    uint32_t have;             /* shards now */
    uint32_t had;              /* in the old map */
    uint32_t low, quota, high; /* low and high are the quota itself unless load_aware */
    uint64_t load;             /* in WEIR_REBALANCE_LOAD_UNIT */
    bool stuck;                /* has no shard that would help whoever carries less */
};

struct weir_rebalance_candidate;

struct weir_rebalance_work {
    const struct weir_rebalance_opts *opts;
    const struct weir_shard_map *old; /* NULL: none, or of another shard_count */
    struct weir_shard_map *map;
    uint8_t *reason;                             /* of each shard: why it moves, or WEIR_REBALANCE_STAYS */
    struct weir_rebalance_candidate *candidates; /* core/rebalance.c */
    uint32_t planned, left;                      /* moves that could wait: made, and left for the next round */
    struct weir_rebalance_part parts[];          /* one for each member */
};

/* Quotas have been met: what moves for them takes its load along, and within the bands shards move from who carries
 * much to who carries little. */
void weir_rebalance_by_load(struct weir_rebalance_work *w);

#endif
