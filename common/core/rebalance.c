#include "core/rebalance_inner.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* A shard that may be taken from its owner. */
struct weir_rebalance_candidate {
    uint64_t claim; /* the owner's */
    uint32_t streams;
    uint16_t owner, shard;
    uint8_t class; /* the lower first: CLASS_* */
};
enum { CLASS_DRAINING, CLASS_ABOVE, CLASS_SPARE, CLASS_STAYS };

const char *weir_move_reason_text(enum weir_move_reason r)
{
#define TEXT(id, text) text,
    static const char *const texts[] = {WEIR_MOVE_REASON_MAP(TEXT)};
#undef TEXT
    return texts[r];
}

/* -- members -- */

static int by_id(const void *a, const void *b)
{
    const struct weir_rebalance_part *l = a, *r = b;
    struct weir_str x = l->member->id, y = r->member->id;
    int order = memcmp(x.ptr, y.ptr, x.len < y.len ? x.len : y.len);
    if (order != 0)
        return order;
    return x.len < y.len ? -1 : x.len > y.len;
}

static int set_members(struct weir_rebalance_work *w, const struct weir_rebalance_member *members, uint32_t count,
                       struct weir_err *err)
{
    for (uint32_t i = 0; i < count; i++) {
        if (!weir_coord_id_valid(members[i].id))
            return weir_err_set(err, WEIR_EINVAL, "member %u of %u: not a node's id", i + 1, count);
        if (members[i].weight == 0 || members[i].weight > WEIR_RENDEZVOUS_WEIGHT_MAX)
            return weir_err_set(err, WEIR_EINVAL, "member %.*s: a weight of %u", WEIR_FMT(members[i].id),
                                members[i].weight);
        w->parts[i].member = &members[i];
        w->parts[i].load = (uint64_t)members[i].load * WEIR_REBALANCE_LOAD_UNIT;
    }
    qsort(w->parts, count, sizeof w->parts[0], by_id);
    for (uint32_t i = 0; i < count; i++) {
        const struct weir_rebalance_member *m = w->parts[i].member;
        if (i > 0 && weir_str_eq(m->id, w->parts[i - 1].member->id))
            return weir_err_set(err, WEIR_EINVAL, "member %.*s: twice", WEIR_FMT(m->id));
        weir_shard_map_node_set(w->map, i, m->id, m->weight);
    }
    return WEIR_OK;
}

/* Whoever owns shards and is still a member keeps them for now. */
static void keep_old(struct weir_rebalance_work *w)
{
    const struct weir_shard_map *old = w->old;
    uint16_t now[WEIR_CLUSTER_NODES_MAX];
    for (uint32_t i = 0; old != NULL && i < old->node_count; i++)
        now[i] = weir_shard_map_find(w->map, weir_str_of(old->nodes[i].id));
    for (uint32_t s = 0; s < w->map->shard_count; s++) {
        uint16_t owner = old != NULL ? now[old->owner[s]] : WEIR_NODE_NOBODY;
        w->map->owner[s] = owner;
        w->reason[s] = owner != WEIR_NODE_NOBODY ? WEIR_REBALANCE_STAYS
                       : old != NULL             ? WEIR_MOVE_LOST
                                                 : WEIR_MOVE_UNOWNED;
        if (owner != WEIR_NODE_NOBODY)
            w->parts[owner].had = ++w->parts[owner].have;
    }
}

static void set_takers(struct weir_rebalance_work *w)
{
    bool any[3] = {false};
    bool anybody = false;
    for (uint32_t i = 0; i < w->map->node_count; i++) {
        struct weir_rebalance_part *p = &w->parts[i];
        assert(p->member != NULL);
        p->takes = p->member->state == WEIR_NODE_ACTIVE || (p->member->state == WEIR_NODE_JOINING && p->had > 0);
        any[p->member->state] = true;
        anybody = anybody || p->takes;
    }
    if (anybody)
        return;
    enum weir_coord_node_state state = any[WEIR_NODE_JOINING] ? WEIR_NODE_JOINING : WEIR_NODE_DRAINING;
    for (uint32_t i = 0; i < w->map->node_count; i++)
        w->parts[i].takes = w->parts[i].member->state == state;
}

/* -- quotas -- */

/* One that may get a shard more than its rounded part. */
struct rounded {
    uint32_t remainder, part;
    bool holds_more;
};

static int by_right(const void *a, const void *b)
{
    const struct rounded *l = a, *r = b;
    if (l->holds_more != r->holds_more)
        return l->holds_more ? -1 : 1;
    if (l->remainder != r->remainder)
        return l->remainder > r->remainder ? -1 : 1;
    return l->part < r->part ? -1 : 1;
}

static void set_band(const struct weir_rebalance_work *w, struct weir_rebalance_part *p)
{
    p->low = p->high = p->quota;
    if (!w->opts->load_aware)
        return;
    uint32_t percent = w->opts->load_slack_percent;
    percent = percent == 0 ? WEIR_REBALANCE_LOAD_SLACK_PERCENT : percent > 100 ? 100 : percent;
    uint32_t slack = (uint32_t)((uint64_t)p->quota * percent / 100);
    p->low = p->quota - slack;
    p->high = p->quota + slack;
}

static void set_quotas(struct weir_rebalance_work *w)
{
    struct rounded rounded[WEIR_CLUSTER_NODES_MAX];
    uint32_t shards = w->map->shard_count, weights = 0, spare = shards, count = 0;
    for (uint32_t i = 0; i < w->map->node_count; i++)
        weights += w->parts[i].takes ? w->parts[i].member->weight : 0;
    for (uint32_t i = 0; i < w->map->node_count; i++) {
        struct weir_rebalance_part *p = &w->parts[i];
        if (!p->takes)
            continue;
        uint64_t exact = (uint64_t)shards * p->member->weight; /* in parts of a shard, weights of which are one */
        p->quota = (uint32_t)(exact / weights);
        spare -= p->quota;
        if (exact % weights != 0)
            rounded[count++] = (struct rounded){(uint32_t)(exact % weights), i, p->have > p->quota};
    }
    qsort(rounded, count, sizeof rounded[0], by_right);
    for (uint32_t i = 0; i < spare;
         i++) /* the remainders sum up to spare, each is below one: spare < count, or both 0 */
        w->parts[rounded[i].part].quota++;
    for (uint32_t i = 0; i < w->map->node_count; i++)
        set_band(w, &w->parts[i]);
}

/* -- taking shards away -- */

static int by_ease(const struct weir_rebalance_candidate *l, const struct weir_rebalance_candidate *r)
{
    if (l->streams != r->streams)
        return l->streams < r->streams ? -1 : 1;
    if (l->claim != r->claim)
        return l->claim < r->claim ? -1 : 1;
    return l->shard < r->shard ? -1 : 1;
}

static int by_owner(const void *a, const void *b)
{
    const struct weir_rebalance_candidate *l = a, *r = b;
    return l->owner != r->owner ? (l->owner < r->owner ? -1 : 1) : by_ease(l, r);
}

static int by_class(const void *a, const void *b)
{
    const struct weir_rebalance_candidate *l = a, *r = b;
    return l->class != r->class ? (l->class < r->class ? -1 : 1) : by_ease(l, r);
}

/* All shards of whoever has more than it shall, each in its class; sorted by owner. Returns how many. */
static uint32_t find_candidates(struct weir_rebalance_work *w)
{
    uint32_t count = 0;
    for (uint32_t s = 0; s < w->map->shard_count; s++) {
        uint16_t owner = w->map->owner[s];
        if (owner == WEIR_NODE_NOBODY || w->parts[owner].have <= w->parts[owner].quota)
            continue;
        w->candidates[count++] =
            (struct weir_rebalance_candidate){.claim = weir_hash_pair(w->map->nodes[owner].hash, s),
                                              .streams = w->opts->streams != NULL ? w->opts->streams[s] : 0,
                                              .owner = owner,
                                              .shard = (uint16_t)s};
    }
    qsort(w->candidates, count, sizeof w->candidates[0], by_owner);
    for (uint32_t i = 0, rank = 0; i < count; i++) {
        struct weir_rebalance_candidate *c = &w->candidates[i];
        rank = i > 0 && c->owner == c[-1].owner ? rank + 1 : 0;
        const struct weir_rebalance_part *p = &w->parts[c->owner];
        if (!p->takes)
            c->class = CLASS_DRAINING;
        else if (p->have > p->high && rank < p->have - p->high)
            c->class = CLASS_ABOVE;
        else
            c->class = rank < p->have - p->quota ? CLASS_SPARE : CLASS_STAYS;
    }
    return count;
}

/* How many shards those below their band need, beside the ones that have no owner. */
static uint32_t needed(const struct weir_rebalance_work *w)
{
    uint32_t lacking = 0, unowned = w->map->shard_count;
    for (uint32_t i = 0; i < w->map->node_count; i++) {
        const struct weir_rebalance_part *p = &w->parts[i];
        lacking += p->have < p->low ? p->low - p->have : 0;
        unowned -= p->have;
    }
    return lacking > unowned ? lacking - unowned : 0;
}

static void release(struct weir_rebalance_work *w)
{
    uint32_t count = find_candidates(w), wanted = 0, need = needed(w);
    qsort(w->candidates, count, sizeof w->candidates[0], by_class);
    while (wanted < count &&
           (w->candidates[wanted].class < CLASS_SPARE || (w->candidates[wanted].class == CLASS_SPARE && wanted < need)))
        wanted++;
    uint32_t cap = w->opts->moves_max;
    w->planned = cap != 0 && wanted > cap ? cap : wanted;
    w->left = wanted - w->planned;
    for (uint32_t i = 0; i < w->planned; i++) {
        const struct weir_rebalance_candidate *c = &w->candidates[i];
        w->reason[c->shard] = c->class == CLASS_DRAINING ? WEIR_MOVE_DRAINING : WEIR_MOVE_QUOTA;
        w->map->owner[c->shard] = WEIR_NODE_NOBODY;
        w->parts[c->owner].have--;
    }
}

/* -- giving them -- */

static uint32_t find_takers(const struct weir_rebalance_work *w, struct weir_rendezvous_candidate *takers,
                            bool to_quota)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < w->map->node_count; i++) {
        const struct weir_rebalance_part *p = &w->parts[i];
        if (p->have < (to_quota ? p->quota : p->low))
            takers[count++] = (struct weir_rendezvous_candidate){w->map->nodes[i].hash, w->map->nodes[i].weight, i};
    }
    return count;
}

/* The others keep their places. Returns how many are left. */
static uint32_t drop_taker(struct weir_rendezvous_candidate *takers, uint32_t count, uint32_t number)
{
    uint32_t left = 0;
    for (uint32_t i = 0; i < count; i++)
        if (takers[i].number != number)
            takers[left++] = takers[i];
    return left;
}

/* Gives each shard without an owner to one that is below its band, and when there is none, below its quota. What the
 * quotas lack is never less than what has no owner, so somebody always is. */
static void assign(struct weir_rebalance_work *w)
{
    struct weir_rendezvous_candidate takers[WEIR_CLUSTER_NODES_MAX];
    bool to_quota = false;
    uint32_t count = find_takers(w, takers, to_quota);
    bool alike = weir_rendezvous_alike(takers, count);
    for (uint32_t s = 0; s < w->map->shard_count; s++) {
        if (w->map->owner[s] != WEIR_NODE_NOBODY)
            continue;
        if (count == 0) {
            to_quota = true;
            count = find_takers(w, takers, to_quota);
            alike = weir_rendezvous_alike(takers, count);
        }
        uint32_t chosen = weir_rendezvous_pick(s, takers, count, alike);
        struct weir_rebalance_part *p = &w->parts[chosen];
        w->map->owner[s] = (uint16_t)chosen;
        if (++p->have == (to_quota ? p->quota : p->low))
            count = drop_taker(takers, count, chosen);
    }
}

/* -- the plan -- */

static int list_moves(struct weir_rebalance_plan *plan, const struct weir_rebalance_work *w)
{
    uint32_t count = 0;
    for (uint32_t s = 0; s < w->map->shard_count; s++)
        count += w->reason[s] != WEIR_REBALANCE_STAYS;
    plan->moves = malloc((count > 0 ? count : 1) * sizeof *plan->moves);
    if (plan->moves == NULL)
        return WEIR_ENOMEM;
    for (uint32_t s = 0; s < w->map->shard_count; s++)
        if (w->reason[s] != WEIR_REBALANCE_STAYS)
            plan->moves[plan->move_count++] =
                (struct weir_shard_move){.shard = s,
                                         .from = w->old != NULL ? w->old->owner[s] : WEIR_NODE_NOBODY,
                                         .to = w->map->owner[s],
                                         .reason = (enum weir_move_reason)w->reason[s]};
    plan->moves_left = w->left;
    return WEIR_OK;
}

static int run(struct weir_rebalance_plan *plan, struct weir_rebalance_work *w)
{
    keep_old(w);
    set_takers(w);
    set_quotas(w);
    release(w);
    assign(w);
    if (w->opts->load_aware)
        weir_rebalance_by_load(w);
    weir_shard_map_count(w->map);
    return list_moves(plan, w);
}

int weir_rebalance(struct weir_rebalance_plan *plan, const struct weir_rebalance_member *members, uint32_t member_count,
                   const struct weir_shard_map *old, uint32_t shard_count, const struct weir_rebalance_opts *opts,
                   struct weir_err *err)
{
    *plan = (struct weir_rebalance_plan){0};
    if (member_count == 0)
        return weir_err_set(err, WEIR_ENOTFOUND, "rebalance: no members");
    if (member_count > WEIR_CLUSTER_NODES_MAX || shard_count == 0 || shard_count > WEIR_SHARDS_MAX)
        return weir_err_set(err, WEIR_EINVAL, "rebalance: %u members, %u shards", member_count, shard_count);
    if (opts->leader.len > 0 && !weir_coord_id_valid(opts->leader))
        return weir_err_set(err, WEIR_EINVAL, "rebalance: the leader's is no id");
    int code = WEIR_ENOMEM;
    struct weir_rebalance_work *w = calloc(1, sizeof *w + member_count * sizeof w->parts[0]);
    if (w == NULL)
        goto out;
    w->opts = opts;
    w->old = old != NULL && old->shard_count == shard_count ? old : NULL;
    w->map = weir_shard_map_new(shard_count, member_count);
    w->reason = calloc(shard_count, sizeof *w->reason);
    w->candidates = malloc(shard_count * sizeof *w->candidates);
    if (w->map == NULL || w->reason == NULL || w->candidates == NULL)
        goto out_work;
    code = set_members(w, members, member_count, err);
    if (code != WEIR_OK)
        goto out_work;
    w->map->epoch = opts->epoch;
    if (opts->leader.len > 0)
        memcpy(w->map->leader, opts->leader.ptr, opts->leader.len);
    code = run(plan, w);
    if (code == WEIR_OK) {
        plan->map = w->map;
        w->map = NULL;
    }
out_work:
    weir_shard_map_free(&w->map);
    free(w->reason);
    free(w->candidates);
    free(w);
out:
    if (code == WEIR_ENOMEM)
        weir_err_set(err, code, "rebalance: %s", weir_err_text(code));
    return code;
}

void weir_rebalance_plan_close(struct weir_rebalance_plan *plan)
{
    weir_shard_map_free(&plan->map);
    free(plan->moves);
    *plan = (struct weir_rebalance_plan){0};
}
