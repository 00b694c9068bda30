#include "core/rendezvous.h"

#include <stdlib.h>

#define LOG_BITS WEIR_RENDEZVOUS_LOG_BITS
/* Fractional bits for u below 1/2; for each halving of 1 - u it takes one more for the same relative error. */
#define LOG_BITS_MIN 14

uint64_t weir_rendezvous_log(uint64_t h)
{
    if (h == UINT64_MAX)
        return 0;
    /* log2 of x = h + 1 bit by bit: the square of a number in [1, 2) is in [2, 4) when its logarithm is 1/2 or more.
     * Cutting off keeps the order, and so does cutting off more for a smaller x. */
    uint64_t x = h + 1;
    int zeros = __builtin_clzll(x), bits = LOG_BITS_MIN + __builtin_clzll(~h);
    bits = bits < LOG_BITS ? bits : LOG_BITS;
    uint64_t m = x << zeros, log = 63 - (uint64_t)zeros;
    for (int i = 0; i < bits; i++) {
        unsigned __int128 square = (unsigned __int128)m * m >> 63;
        unsigned high = (unsigned)(square >> 64);
        m = (uint64_t)(square >> high);
        log = log << 1 | high;
    }
    return (UINT64_C(64) << LOG_BITS) - (log << (LOG_BITS - bits));
}

void weir_rendezvous_compare(struct weir_rendezvous *r, uint64_t claim, uint32_t weight, uint32_t number)
{
    uint64_t log = weir_rendezvous_log(claim);
    if (r->best != WEIR_RENDEZVOUS_NOBODY) {
        uint64_t ours = r->log * weight, theirs = log * r->weight;
        if (theirs > ours || (theirs == ours && (claim < r->claim || (claim == r->claim && number > r->best))))
            return;
    }
    r->claim = claim;
    r->log = log;
    r->weight = weight;
    r->best = number;
    r->scale = (uint64_t)weight * 23;
    r->reach = log * 16;
}

/* Of those of one weight the highest claim is the best. */
static uint32_t pick_alike(uint64_t shard_hash, const struct weir_rendezvous_candidate *candidates, uint32_t count)
{
    uint64_t best_claim = 0;
    uint32_t best = WEIR_RENDEZVOUS_NOBODY;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t claim = weir_hash_mix(candidates[i].hash ^ shard_hash);
        if (claim > best_claim || (claim == best_claim && candidates[i].number < best)) {
            best_claim = claim;
            best = candidates[i].number;
        }
    }
    return best;
}

uint32_t weir_rendezvous_pick(uint32_t shard, const struct weir_rendezvous_candidate *candidates, uint32_t count,
                              bool alike)
{
    struct weir_rendezvous r;
    weir_rendezvous_init(&r, shard);
    if (alike)
        return pick_alike(r.shard_hash, candidates, count);
    uint64_t shard_hash = r.shard_hash, scale = 0, reach = 0; /* in registers: this is the loop that takes the time */
    for (uint32_t i = 0; i < count; i++) {
        const struct weir_rendezvous_candidate *c = &candidates[i];
        uint64_t claim = weir_hash_mix(c->hash ^ shard_hash);
        if (!weir_rendezvous_may_win(scale, reach, claim, c->weight))
            continue;
        weir_rendezvous_compare(&r, claim, c->weight, c->number);
        scale = r.scale;
        reach = r.reach;
    }
    return r.best;
}

bool weir_rendezvous_alike(const struct weir_rendezvous_candidate *candidates, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (candidates[i].weight != candidates[0].weight || candidates[i].weight == 0)
            return false;
    return true;
}

struct weir_rendezvous_place weir_rendezvous_place_of(uint32_t shard, uint64_t hash, uint32_t weight, uint32_t number)
{
    uint64_t claim = weir_hash_pair(hash, shard);
    return (struct weir_rendezvous_place){
        .claim = claim, .log = weir_rendezvous_log(claim), .weight = weight, .number = number};
}

static int by_cost(const void *a, const void *b)
{
    const struct weir_rendezvous_place *l = a, *r = b;
    if ((l->weight == 0) != (r->weight == 0))
        return l->weight == 0 ? 1 : -1;
    uint64_t left = l->log * r->weight, right = r->log * l->weight;
    if (left != right)
        return left < right ? -1 : 1;
    if (l->claim != r->claim)
        return l->claim > r->claim ? -1 : 1;
    return l->number < r->number ? -1 : l->number > r->number;
}

void weir_rendezvous_sort(struct weir_rendezvous_place *places, uint32_t count)
{
    qsort(places, count, sizeof *places, by_cost);
}
