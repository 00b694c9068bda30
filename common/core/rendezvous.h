/* Weighted rendezvous hashing (Thaler and Ravishankar, 1998; weights after Schindelhauer and Schomaker, 2005): of some
 * candidates for a shard the one with the least cost, where
 *
 *     cost = -log2(u) / weight,  u = (weir_hash_pair(candidate's hash, shard) + 1) / 2^64
 *
 * Each wins its weight's share of the shards; one that leaves moves nothing but its own shards, one that comes takes no
 * more than its share. In integers throughout, since a logarithm in floating point may differ in its last bit between
 * two machines, and the order must not. Equal costs: the higher hash of the pair wins, then the lower number, so offer
 * each candidate under a number that is the same for everybody (its place in the order of ids). */
#ifndef WEIR_CORE_RENDEZVOUS_H
#define WEIR_CORE_RENDEZVOUS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/hash.h"

/* The configuration's highest weight. A cost times a weight times 16 stays below 2^60. */
#define WEIR_RENDEZVOUS_WEIGHT_MAX 1000u
#define WEIR_RENDEZVOUS_NOBODY     UINT32_MAX

/* What somebody told, as a weight that a member may have. */
static inline uint32_t weir_rendezvous_weight(uint32_t told)
{
    return told < 1 ? 1 : told > WEIR_RENDEZVOUS_WEIGHT_MAX ? WEIR_RENDEZVOUS_WEIGHT_MAX : told;
}

#define WEIR_RENDEZVOUS_LOG_BITS 40

/* -log2((h + 1) / 2^64), rounded up, with 40 fractional bits: 0 to 64 x 2^40. As exact as it takes for shares to be
 * right to one in ten thousand; a higher h never has a higher one. */
uint64_t weir_rendezvous_log(uint64_t h);

/* -- one choice -- */

struct weir_rendezvous {
    uint64_t shard_hash;
    uint64_t claim; /* of the best so far: the hash of its pair with the shard */
    uint64_t log;   /* of that */
    uint32_t weight;
    uint32_t best;         /* its number, or WEIR_RENDEZVOUS_NOBODY */
    uint64_t scale, reach; /* 23 x weight and 16 x log: see weir_rendezvous_may_win */
};

static inline void weir_rendezvous_init(struct weir_rendezvous *r, uint32_t shard)
{
    *r = (struct weir_rendezvous){.shard_hash = weir_hash_number(shard), .best = WEIR_RENDEZVOUS_NOBODY};
}

/* Refuses nearly all who do not, by what costs little and is close for the u near 1 that win:
 * -log2(u) >= (1 - u) / ln 2 > (1 - u) x 23 / 16. */
static inline bool weir_rendezvous_may_win(uint64_t scale, uint64_t reach, uint64_t claim, uint32_t weight)
{
    return (~claim >> (64 - WEIR_RENDEZVOUS_LOG_BITS)) * scale <= reach * weight && weight != 0;
}

/* For weir_rendezvous_offer: a claim that may win. */
void weir_rendezvous_compare(struct weir_rendezvous *r, uint64_t claim, uint32_t weight, uint32_t number);

/* weight: 0 (never wins) to WEIR_RENDEZVOUS_WEIGHT_MAX. The order of the offers does not matter. */
static inline void weir_rendezvous_offer(struct weir_rendezvous *r, uint64_t hash, uint32_t weight, uint32_t number)
{
    uint64_t claim = weir_hash_mix(hash ^ r->shard_hash);
    if (weir_rendezvous_may_win(r->scale, r->reach, claim, weight))
        weir_rendezvous_compare(r, claim, weight, number);
}

/* -- the same candidates for many shards -- */

struct weir_rendezvous_candidate {
    uint64_t hash;
    uint32_t weight, number;
};

/* All of one weight, and not 0: then weir_rendezvous_pick takes a shorter way to the same. */
bool weir_rendezvous_alike(const struct weir_rendezvous_candidate *candidates, uint32_t count);
/* The number of the best, or WEIR_RENDEZVOUS_NOBODY. */
uint32_t weir_rendezvous_pick(uint32_t shard, const struct weir_rendezvous_candidate *candidates, uint32_t count,
                              bool alike);

/* -- all in order -- */

/* One place in an order of candidates. */
struct weir_rendezvous_place {
    uint64_t claim, log;
    uint32_t weight, number;
};

struct weir_rendezvous_place weir_rendezvous_place_of(uint32_t shard, uint64_t hash, uint32_t weight, uint32_t number);
/* Best first; weights of 0 last. Agrees with weir_rendezvous_offer. */
void weir_rendezvous_sort(struct weir_rendezvous_place *places, uint32_t count);

#endif
