#include "core/rebalance_round.h"

#include <stdlib.h>

/* Requests in flight per member, in the mean: with fewer, a difference is chance. */
#define LOAD_TELLING 10.0
/* Of all shards, how many move in one round for their load: 1 / this, and one at least. */
#define LOAD_SHARDS_PART 64u
/* Loads are handed to the plan in this part of a request. */
#define LOAD_UNIT 16.0

enum by { BY_QUOTAS, BY_BANDS, BY_LOADS };

static bool counts_in(const struct weir_round *r, const struct weir_round_member *m)
{
    return m->alive || !r->failover;
}

/* Whether loads say enough to move shards for them now. */
static bool loads_tell(const struct weir_round *r)
{
    double sum = 0;
    uint32_t count = 0;
    for (uint32_t i = 0; i < r->member_count; i++)
        if (counts_in(r, &r->members[i])) {
            sum += r->members[i].in_flight;
            count++;
        }
    return r->asked || (r->now_ms >= r->loads_from_ms && sum >= LOAD_TELLING * count);
}

/* What others tell may be anything. */
static uint32_t load_of(const struct weir_round_member *m)
{
    double load = m->in_flight * LOAD_UNIT;
    return load >= UINT32_MAX ? UINT32_MAX : load > 0 ? (uint32_t)load : 0;
}

static int plan_by(const struct weir_round *r, enum by by, struct weir_rebalance_plan *plan, struct weir_err *err)
{
    uint32_t some = r->shard_count / LOAD_SHARDS_PART, count = 0;
    struct weir_rebalance_opts opts = {.epoch = r->epoch,
                                       .leader = r->leader,
                                       .load_aware = by != BY_QUOTAS,
                                       .load_ratio_percent = r->asked ? 100 : 0,
                                       .moves_max = by == BY_LOADS ? (some > 0 ? some : 1) : 0};
    struct weir_rebalance_member *members = calloc((size_t)r->member_count + 1, sizeof *members);
    if (members == NULL)
        return weir_err_set(err, WEIR_ENOMEM, "members: out of memory");
    for (uint32_t i = 0; i < r->member_count; i++) {
        const struct weir_round_member *m = &r->members[i];
        if (counts_in(r, m))
            members[count++] = (struct weir_rebalance_member){.id = m->id,
                                                              .weight = weir_rendezvous_weight(m->weight),
                                                              .state = m->state,
                                                              .load = by == BY_LOADS ? load_of(m) : 0};
    }
    int code = weir_rebalance(plan, members, count, r->map, r->shard_count, &opts, err);
    free(members);
    return code;
}

int weir_round_decide(const struct weir_round *r, struct weir_rebalance_plan *plan, const char **still,
                      struct weir_err *err)
{
    enum by by = r->load_moves && r->map != NULL ? BY_BANDS : BY_QUOTAS;
    *plan = (struct weir_rebalance_plan){0};
    *still = NULL;
    int code = plan_by(r, by, plan, err);
    if (code == 0 && by == BY_BANDS) {
        bool kept = weir_shard_map_same(plan->map, r->map);
        if (!kept || loads_tell(r)) {
            by = kept ? BY_LOADS : BY_QUOTAS;
            weir_rebalance_plan_close(plan);
            code = plan_by(r, by, plan, err);
        }
    }
    if (code == 0 && plan->move_count == 0)
        *still = by == BY_LOADS ? WEIR_ROUND_EVEN : WEIR_ROUND_IN_PARTS;
    return code;
}
