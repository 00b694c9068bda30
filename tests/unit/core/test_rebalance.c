#include <stdio.h>
#include <stdlib.h>

#include "check_main.h"
#include "core/rebalance.h"
#include "core/rng.h"
#include "helper/core_failmalloc.h"

#define MEMBERS 40
#define SHARDS  300

static char ids[MEMBERS][16];
static struct weir_rng rng;
static struct weir_rebalance_member members[MEMBERS];
static uint32_t member_count;
static struct weir_rebalance_opts opts;
static struct weir_rebalance_plan plan;
static struct weir_err err;

static uint32_t below(uint32_t n)
{
    return (uint32_t)(weir_rng_next(&rng) % n);
}

static void setup(void)
{
    rng.state = 1;
    opts = (struct weir_rebalance_opts){.epoch = 7, .leader = WEIR_STR("coordinator-a")};
    for (uint32_t i = 0; i < MEMBERS; i++)
        snprintf(ids[i], sizeof ids[i], "node-%02u", i);
}

static void teardown(void)
{
    weir_rebalance_plan_close(&plan);
}

static void set_members(uint32_t count)
{
    member_count = count;
    for (uint32_t i = 0; i < count; i++)
        members[i] = (struct weir_rebalance_member){.id = weir_str_of(ids[i]), .weight = 1, .state = WEIR_NODE_ACTIVE};
}

/* Leaves the result in plan. */
static void run(const struct weir_shard_map *old, uint32_t shards)
{
    weir_rebalance_plan_close(&plan);
    int code = weir_rebalance(&plan, members, member_count, old, shards, &opts, &err);
    ck_assert_msg(code == WEIR_OK, "%s", err.msg);
}

/* The plan's map, which the caller frees. */
static struct weir_shard_map *take_map(void)
{
    struct weir_shard_map *m = plan.map;
    plan.map = NULL;
    return m;
}

static uint32_t count_of(const char *id)
{
    return plan.map->nodes[weir_shard_map_find(plan.map, weir_str_of(id))].shard_count;
}

static void shuffle_members(void)
{
    for (uint32_t i = member_count; i > 1; i--) {
        uint32_t k = below(i);
        struct weir_rebalance_member swap = members[k];
        members[k] = members[i - 1];
        members[i - 1] = swap;
    }
}

/* For what is asked very often: each ck_assert writes to a file. */
#define MUST(what)                     \
    do {                               \
        if (!(what))                   \
            ck_abort_msg("%s", #what); \
    } while (0)

/* -- the property -- */

/* What is said of one member without the code under test. */
struct told {
    bool takes;
    uint32_t have, floor;
    uint64_t remainder;
};

static const struct weir_rebalance_member *member_of(const char *id)
{
    for (uint32_t i = 0; i < member_count; i++)
        if (weir_str_eq(members[i].id, weir_str_of(id)))
            return &members[i];
    return NULL;
}

static void tell(struct told *told, const struct weir_shard_map *old, uint32_t shards)
{
    uint64_t weights = 0;
    bool active = false, joining = false;
    for (uint32_t i = 0; i < member_count; i++) {
        told[i] = (struct told){0};
        uint16_t node = old != NULL ? weir_shard_map_find(old, members[i].id) : WEIR_NODE_NOBODY;
        for (uint32_t s = 0; node != WEIR_NODE_NOBODY && s < shards; s++)
            told[i].have += old->owner[s] == node;
        told[i].takes =
            members[i].state == WEIR_NODE_ACTIVE || (members[i].state == WEIR_NODE_JOINING && told[i].have > 0);
        active = active || told[i].takes;
        joining = joining || members[i].state == WEIR_NODE_JOINING;
    }
    for (uint32_t i = 0; i < member_count; i++) {
        if (!active)
            told[i].takes = !joining || members[i].state == WEIR_NODE_JOINING;
        weights += told[i].takes ? members[i].weight : 0;
    }
    for (uint32_t i = 0; i < member_count; i++) {
        if (!told[i].takes)
            continue;
        told[i].floor = (uint32_t)((uint64_t)shards * members[i].weight / weights);
        told[i].remainder = (uint64_t)shards * members[i].weight % weights;
    }
}

/* The least moves that any shares allow which are rounded down or up. */
static uint32_t least_moves(const struct told *told, uint32_t shards)
{
    uint32_t kept = 0, spare = shards, want_more = 0;
    for (uint32_t i = 0; i < member_count; i++) {
        kept += told[i].takes && told[i].have < told[i].floor ? told[i].have : told[i].floor;
        spare -= told[i].floor;
        want_more += told[i].takes && told[i].remainder > 0 && told[i].have > told[i].floor;
    }
    return shards - kept - (want_more < spare ? want_more : spare);
}

static void check_shares(const struct told *told)
{
    for (uint32_t i = 0; i < member_count; i++) {
        uint32_t n = plan.map->nodes[weir_shard_map_find(plan.map, members[i].id)].shard_count;
        MUST(n >= told[i].floor);
        MUST(n <= told[i].floor + (told[i].remainder > 0));
    }
}

/* The moves are what differs between the maps, with the right reasons. */
static void check_moves(const struct weir_shard_map *old, uint32_t shards)
{
    uint32_t next = 0;
    for (uint32_t s = 0; s < shards; s++) {
        const char *to = plan.map->nodes[plan.map->owner[s]].id;
        const char *from = old != NULL ? old->nodes[old->owner[s]].id : "";
        if (strcmp(from, to) == 0)
            continue;
        MUST(next < plan.move_count);
        const struct weir_shard_move *m = &plan.moves[next++];
        MUST(m->shard == s);
        MUST(m->to == plan.map->owner[s]);
        MUST(m->from == (old != NULL ? old->owner[s] : WEIR_NODE_NOBODY));
        const struct weir_rebalance_member *owner = member_of(from);
        enum weir_move_reason reason = old == NULL                          ? WEIR_MOVE_UNOWNED
                                       : owner == NULL                      ? WEIR_MOVE_LOST
                                       : owner->state == WEIR_NODE_DRAINING ? WEIR_MOVE_DRAINING
                                                                            : WEIR_MOVE_QUOTA;
        if (m->reason != WEIR_MOVE_QUOTA || reason != WEIR_MOVE_DRAINING) /* only the draining live: they share */
            MUST(m->reason == reason);
    }
    ck_assert_uint_eq(next, plan.move_count);
    ck_assert_uint_eq(plan.moves_left, 0);
}

static void any_members(void)
{
    member_count = 0;
    uint32_t weight_max = below(2) == 0 ? 1 : below(2) == 0 ? 5 : 1000, odd = below(3);
    uint32_t one_in = 1 + below(4);
    for (uint32_t i = 0; i < MEMBERS && member_count < 1 + below(MEMBERS); i++)
        if (below(one_in) == 0)
            members[member_count++] =
                (struct weir_rebalance_member){.id = weir_str_of(ids[i]),
                                               .weight = 1 + below(weight_max),
                                               .state = odd == 0 && below(4) == 0   ? WEIR_NODE_DRAINING
                                                        : odd == 1 && below(4) == 0 ? WEIR_NODE_JOINING
                                                                                    : WEIR_NODE_ACTIVE};
    if (member_count == 0)
        set_members(1);
    shuffle_members();
}

/* Chains of three changes, each from the map before it or from one where anybody owns anything. */
START_TEST(test_ten_thousand_cases)
{
    struct told told[MEMBERS];
    int rounds = (int)check_rounds(10000);
    for (int i = 0; i < rounds; i++) {
        static uint32_t shards;
        static struct weir_shard_map *old;
        if (i % 4 == 0) {
            weir_shard_map_free(&old);
            shards = 1 + below(SHARDS);
        }
        any_members();
        tell(told, old, shards);
        run(old, shards);
        check_shares(told);
        ck_assert_uint_eq(plan.move_count, least_moves(told, shards));
        check_moves(old, shards);
        ck_assert_uint_eq(plan.map->epoch, 7);
        struct weir_shard_map *first = take_map();
        shuffle_members();
        run(old, shards);
        ck_assert(weir_shard_map_same(first, plan.map));
        weir_shard_map_free(&first);
        weir_shard_map_free(&old);
        old = take_map();
        for (uint32_t s = 0; i % 8 == 5 && s < shards; s++)
            old->owner[s] = (uint16_t)below(old->node_count);
        if (i == rounds - 1)
            weir_shard_map_free(&old);
    }
}
END_TEST

START_TEST(test_one_of_equal_weight_joins)
{
    for (uint32_t shards = 1; shards < 200; shards += 7)
        for (uint32_t n = 1; n < 20; n++) {
            set_members(n);
            run(NULL, shards);
            struct weir_shard_map *old = take_map();
            set_members(n + 1);
            run(old, shards);
            ck_assert_uint_le(plan.move_count, (shards + n) / (n + 1));
            ck_assert_uint_eq(plan.move_count, count_of(ids[n]));
            weir_shard_map_free(&old);
        }
}
END_TEST

START_TEST(test_nothing_moves_when_nothing_changes)
{
    set_members(7);
    members[3].weight = 3;
    run(NULL, 100);
    struct weir_shard_map *old = take_map();
    shuffle_members();
    run(old, 100);
    ck_assert_uint_eq(plan.move_count, 0);
    ck_assert(weir_shard_map_same(old, plan.map));
    weir_shard_map_free(&old);
}
END_TEST

START_TEST(test_another_count_of_shards_begins_anew)
{
    set_members(4);
    run(NULL, 100);
    struct weir_shard_map *old = take_map();
    run(NULL, 64);
    struct weir_shard_map *fresh = take_map();
    run(old, 64);
    ck_assert(weir_shard_map_same(fresh, plan.map));
    ck_assert_uint_eq(plan.move_count, 64);
    ck_assert_int_eq(plan.moves[0].reason, WEIR_MOVE_UNOWNED);
    ck_assert_uint_eq(plan.moves[0].from, WEIR_NODE_NOBODY);
    weir_shard_map_free(&old);
    weir_shard_map_free(&fresh);
}
END_TEST

/* -- streams and the cap -- */

START_TEST(test_the_least_busy_shards_go)
{
    uint32_t streams[64];
    set_members(1);
    run(NULL, 64);
    struct weir_shard_map *old = take_map();
    for (uint32_t s = 0; s < 64; s++)
        streams[s] = s * 37 % 64;
    opts.streams = streams;
    set_members(2);
    run(old, 64);
    ck_assert_uint_eq(plan.move_count, 32);
    for (uint32_t i = 0; i < 32; i++)
        ck_assert_uint_lt(streams[plan.moves[i].shard], 32);
    weir_shard_map_free(&old);
}
END_TEST

/* The lost are given away at once, then the draining one is emptied, then surplus goes. */
START_TEST(test_a_cap_on_planned_moves)
{
    set_members(4);
    run(NULL, 64);
    struct weir_shard_map *old = take_map();
    set_members(5);
    members[1].state = WEIR_NODE_DRAINING;
    members[0] = members[4]; /* node-00 is lost, node-04 is new */
    member_count = 4;
    opts.moves_max = 10;
    static const uint32_t draining[] = {10, 6, 0}, left[] = {6, 0, 0};
    for (int round = 0; round < 3; round++) {
        uint32_t by[WEIR_MOVE_REASONS] = {0};
        run(old, 64);
        for (uint32_t i = 0; i < plan.move_count; i++)
            by[plan.moves[i].reason]++;
        ck_assert_uint_eq(by[WEIR_MOVE_LOST], round == 0 ? 16 : 0);
        ck_assert_uint_eq(by[WEIR_MOVE_DRAINING], draining[round]);
        ck_assert_uint_le(by[WEIR_MOVE_DRAINING] + by[WEIR_MOVE_QUOTA], 10);
        ck_assert_uint_eq(plan.moves_left, left[round]);
        weir_shard_map_free(&old);
        old = take_map();
    }
    run(old, 64);
    ck_assert_uint_eq(plan.move_count, 0);
    ck_assert_uint_eq(count_of("node-01"), 0);
    weir_shard_map_free(&old);
}
END_TEST

/* -- loads -- */

static uint32_t load_of(const uint32_t *streams, const char *id)
{
    uint32_t sum = 0, node = weir_shard_map_find(plan.map, weir_str_of(id));
    for (uint32_t s = 0; s < plan.map->shard_count; s++)
        sum += plan.map->owner[s] == node ? streams[s] : 0;
    return sum;
}

START_TEST(test_loads_are_evened_out_within_the_band)
{
    uint32_t streams[64];
    set_members(4);
    run(NULL, 64);
    struct weir_shard_map *old = take_map();
    opts.load_aware = true;
    opts.streams = streams;
    for (uint32_t s = 0; s < 64; s++) {
        streams[s] = old->owner[s] == 0 ? 9 : 5;
        members[old->owner[s]].load += streams[s];
    }
    run(old, 64); /* 144 80 80 80, mean 96 */
    ck_assert_uint_gt(plan.move_count, 0);
    for (uint32_t i = 0; i < plan.move_count; i++) {
        ck_assert_int_eq(plan.moves[i].reason, WEIR_MOVE_LOAD);
        ck_assert_uint_eq(plan.moves[i].from, 0);
    }
    for (uint32_t i = 0; i < 4; i++) {
        ck_assert_uint_ge(plan.map->nodes[i].shard_count, 12);
        ck_assert_uint_le(plan.map->nodes[i].shard_count, 20);
        ck_assert_uint_le(load_of(streams, ids[i]), 108); /* the band's end, 12 shards of 9 */
        members[i].load = load_of(streams, ids[i]);
    }
    weir_shard_map_free(&old);
    old = take_map();
    run(old, 64); /* and there it stays */
    ck_assert_uint_eq(plan.move_count, 0);
    weir_shard_map_free(&old);
}
END_TEST

START_TEST(test_a_small_difference_moves_nothing)
{
    set_members(4);
    run(NULL, 64);
    struct weir_shard_map *old = take_map();
    opts.load_aware = true;
    for (uint32_t i = 0; i < 4; i++)
        members[i].load = 1000;
    members[2].load = 1130; /* 1130 of a mean of 1032.5: below 1.1 */
    run(old, 64);
    ck_assert_uint_eq(plan.move_count, 0);
    members[2].load = 1160; /* 1160 of 1040 */
    run(old, 64);
    ck_assert_uint_gt(plan.move_count, 0);
    opts.load_ratio_percent = 120;
    run(old, 64);
    ck_assert_uint_eq(plan.move_count, 0);
    weir_shard_map_free(&old);
}
END_TEST

/* Any loads: within the band, under the cap, the highest not higher than before, and no way back in the next round. */
START_TEST(test_loads_by_chance)
{
    uint32_t streams[SHARDS];
    for (unsigned i = check_rounds(500); i > 0; i--) {
        uint32_t shards = 1 + below(SHARDS);
        set_members(1 + below(12));
        for (uint32_t k = 0; k < member_count; k++)
            members[k].weight = 1 + below(4);
        opts.load_aware = false;
        run(NULL, shards);
        struct weir_shard_map *old = take_map(), *plain = weir_shard_map_copy(old);
        for (uint32_t s = 0; s < shards; s++) {
            streams[s] = below(4) == 0 ? below(100) : below(3);
            members[old->owner[s]].load += streams[s];
        }
        opts.load_aware = true;
        opts.moves_max = below(2) * 5;
        opts.streams = streams;
        double before = 0, after = 0;
        for (uint32_t k = 0; k < member_count; k++) {
            double part = (double)members[k].load / members[k].weight;
            before = part > before ? part : before;
        }
        run(old, shards);
        ck_assert(opts.moves_max == 0 || plan.move_count <= opts.moves_max);
        for (uint32_t k = 0; k < member_count; k++) {
            members[k].load = load_of(streams, ids[k]);
            double part = (double)members[k].load / members[k].weight;
            after = part > after ? part : after;
            uint32_t quota = plain->nodes[k].shard_count, slack = quota / 4;
            ck_assert_uint_ge(plan.map->nodes[k].shard_count + 1, quota - slack);
            ck_assert_uint_le(plan.map->nodes[k].shard_count, quota + slack + 1);
        }
        ck_assert(after <= before);
        for (int round = 0; round < 100 && plan.move_count > 0; round++) {
            weir_shard_map_free(&old);
            old = take_map();
            for (uint32_t k = 0; k < member_count; k++) {
                plan.map = old;
                members[k].load = load_of(streams, ids[k]);
                plan.map = NULL;
            }
            run(old, shards);
        }
        ck_assert_uint_eq(plan.move_count, 0);
        weir_shard_map_free(&old);
        weir_shard_map_free(&plain);
    }
}
END_TEST

/* -- errors -- */

START_TEST(test_what_is_refused)
{
    set_members(3);
    ck_assert_int_eq(weir_rebalance(&plan, members, 0, NULL, 8, &opts, &err), WEIR_ENOTFOUND);
    ck_assert_int_eq(weir_rebalance(&plan, members, WEIR_CLUSTER_NODES_MAX + 1, NULL, 8, &opts, &err), WEIR_EINVAL);
    ck_assert_int_eq(weir_rebalance(&plan, members, 3, NULL, 0, &opts, &err), WEIR_EINVAL);
    ck_assert_int_eq(weir_rebalance(&plan, members, 3, NULL, WEIR_SHARDS_MAX + 1, &opts, &err), WEIR_EINVAL);
    members[1].weight = 0;
    ck_assert_int_eq(weir_rebalance(&plan, members, 3, NULL, 8, &opts, &err), WEIR_EINVAL);
    ck_assert_str_eq(err.msg, "member node-01: a weight of 0");
    members[1].weight = 1001;
    ck_assert_int_eq(weir_rebalance(&plan, members, 3, NULL, 8, &opts, &err), WEIR_EINVAL);
    set_members(3);
    members[1].id = members[2].id;
    ck_assert_int_eq(weir_rebalance(&plan, members, 3, NULL, 8, &opts, &err), WEIR_EINVAL);
    ck_assert_str_eq(err.msg, "member node-02: twice");
    members[1].id = WEIR_STR("a b");
    ck_assert_int_eq(weir_rebalance(&plan, members, 3, NULL, 8, &opts, &err), WEIR_EINVAL);
    set_members(3);
    opts.leader = WEIR_STR("a b");
    ck_assert_int_eq(weir_rebalance(&plan, members, 3, NULL, 8, &opts, &err), WEIR_EINVAL);
    ck_assert_ptr_null(plan.map);
}
END_TEST

START_TEST(test_without_memory)
{
    set_members(5);
    bool more = true;
    for (unsigned long n = 1; more; n = failmalloc_next(n)) {
        struct weir_rebalance_plan p;
        failmalloc_begin(n);
        int code = weir_rebalance(&p, members, member_count, NULL, 16, &opts, &err);
        bool empty = p.map == NULL && p.moves == NULL;
        weir_rebalance_plan_close(&p);
        long left = failmalloc_end(&more);
        ck_assert_int_eq(left, 0);
        ck_assert_int_eq(code, more ? WEIR_ENOMEM : WEIR_OK);
        ck_assert_int_eq(empty, more);
    }
}
END_TEST

START_TEST(test_names)
{
    ck_assert_str_eq(weir_move_reason_text(WEIR_MOVE_UNOWNED), "unowned");
    ck_assert_str_eq(weir_move_reason_text(WEIR_MOVE_LOAD), "load");
}
END_TEST

CHECK_MAIN("rebalance", setup, teardown, test_ten_thousand_cases, test_one_of_equal_weight_joins,
           test_nothing_moves_when_nothing_changes, test_another_count_of_shards_begins_anew,
           test_the_least_busy_shards_go, test_a_cap_on_planned_moves, test_loads_are_evened_out_within_the_band,
           test_a_small_difference_moves_nothing, test_loads_by_chance, test_what_is_refused, test_without_memory,
           test_names)
