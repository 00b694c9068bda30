/* Evens loads out within the bands around the quotas. */
#include "core/rebalance_inner.h"

static uint64_t shard_load(const struct weir_rebalance_work *w, uint32_t shard, uint16_t from)
{
    if (w->opts->streams != NULL)
        return (uint64_t)w->opts->streams[shard] * WEIR_REBALANCE_LOAD_UNIT;
    const struct weir_rebalance_part *p = &w->parts[from];
    return p->had == 0 ? 0 : (uint64_t)p->member->load * WEIR_REBALANCE_LOAD_UNIT / p->had;
}

/* Moves what a shard carries along with it, as far as that is known. from: a part, or WEIR_NODE_NOBODY. */
static void move_load(struct weir_rebalance_work *w, uint32_t shard, uint16_t from, uint16_t to)
{
    if (from == WEIR_NODE_NOBODY)
        return;
    uint64_t load = shard_load(w, shard, from);
    w->parts[from].load -= load < w->parts[from].load ? load : w->parts[from].load;
    w->parts[to].load += load;
}

static bool carries_more(const struct weir_rebalance_part *a, const struct weir_rebalance_part *b)
{
    return a->load * b->member->weight > b->load * a->member->weight;
}

/* The most loaded one that may give, when that is above the ratio, and the least loaded one that may take. */
static bool find_pair(const struct weir_rebalance_work *w, uint16_t *from, uint16_t *to)
{
    uint64_t load = 0, weight = 0;
    *from = *to = WEIR_NODE_NOBODY;
    for (uint32_t i = 0; i < w->map->node_count; i++) {
        const struct weir_rebalance_part *p = &w->parts[i];
        if (!p->takes)
            continue;
        load += p->load;
        weight += p->member->weight;
        if (p->have > p->low && !p->stuck && (*from == WEIR_NODE_NOBODY || carries_more(p, &w->parts[*from])))
            *from = (uint16_t)i;
        if (p->have < p->high && (*to == WEIR_NODE_NOBODY || carries_more(&w->parts[*to], p)))
            *to = (uint16_t)i;
    }
    if (*from == WEIR_NODE_NOBODY || *to == WEIR_NODE_NOBODY)
        return false;
    const struct weir_rebalance_part *p = &w->parts[*from];
    uint32_t percent = w->opts->load_ratio_percent;
    percent = percent == 0 ? WEIR_REBALANCE_LOAD_RATIO_PERCENT : percent;
    return (unsigned __int128)p->load * weight * 100 > (unsigned __int128)load * p->member->weight * percent;
}

/* The shard that carries most, but not so much that the taker would carry more than the giver then; of several the one
 * to which the giver has the weakest claim. WEIR_SHARDS_MAX: none. */
static uint32_t find_shard(const struct weir_rebalance_work *w, uint16_t from, uint16_t to)
{
    const struct weir_rebalance_part *giver = &w->parts[from], *taker = &w->parts[to];
    uint64_t giver_weight = giver->member->weight, taker_weight = taker->member->weight;
    uint64_t ours = giver->load * taker_weight, theirs = taker->load * giver_weight;
    uint64_t most = ours > theirs ? (ours - theirs) / (giver_weight + taker_weight) : 0;
    uint64_t best_load = 0, best_claim = 0;
    uint32_t best = WEIR_SHARDS_MAX;
    for (uint32_t s = 0; s < w->map->shard_count; s++) {
        if (w->map->owner[s] != from || w->reason[s] != WEIR_REBALANCE_STAYS)
            continue;
        uint64_t load = shard_load(w, s, from);
        if (load == 0 || load > most || load < best_load)
            continue;
        uint64_t claim = weir_hash_pair(w->map->nodes[from].hash, s);
        if (load == best_load && claim >= best_claim)
            continue;
        best = s;
        best_load = load;
        best_claim = claim;
    }
    return best;
}

/* Each turn moves a shard for good or gives one member up. */
static void even_out(struct weir_rebalance_work *w)
{
    uint16_t from, to;
    uint32_t cap = w->opts->moves_max;
    while ((cap == 0 || w->planned < cap) && find_pair(w, &from, &to)) {
        uint32_t s = find_shard(w, from, to);
        if (s == WEIR_SHARDS_MAX) {
            w->parts[from].stuck = true;
            continue;
        }
        w->reason[s] = WEIR_MOVE_LOAD;
        w->map->owner[s] = to;
        w->parts[from].have--;
        w->parts[to].have++;
        move_load(w, s, from, to);
        w->planned++;
    }
}

void weir_rebalance_by_load(struct weir_rebalance_work *w)
{
    for (uint32_t s = 0; s < w->map->shard_count; s++)
        if (w->reason[s] == WEIR_MOVE_DRAINING || w->reason[s] == WEIR_MOVE_QUOTA)
            move_load(w, s, weir_shard_map_find(w->map, weir_str_of(w->old->nodes[w->old->owner[s]].id)),
                      w->map->owner[s]);
    even_out(w);
}
