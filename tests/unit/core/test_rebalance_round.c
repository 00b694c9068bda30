/* What one round does: when quotas hold, when bands do, and when loads move shards; at any time that a test states. */
#include "core/rebalance_round.h"

#include <math.h>

#include "check_main.h"
#include "helper/core_failmalloc.h"

#define SHARDS    128u
#define LOADS_MS  60000u
#define A_AND_B   2u
#define CAP_MOVES 2u /* of SHARDS, in one round */

static struct weir_round_member members[3];
static struct weir_round round_of;
static struct weir_rebalance_plan plan;
static struct weir_shard_map *map;
static const char *still;
static struct weir_err err;

static void setup(void)
{
    static const char *const ids[] = {"a", "b", "c"};
    for (size_t i = 0; i < 3; i++)
        members[i] = (struct weir_round_member){weir_str_of(ids[i]), 1, WEIR_NODE_ACTIVE, true, 0};
    round_of = (struct weir_round){.members = members,
                                   .member_count = A_AND_B,
                                   .shard_count = SHARDS,
                                   .epoch = 7,
                                   .leader = WEIR_STR("co"),
                                   .failover = true,
                                   .load_moves = true,
                                   .now_ms = LOADS_MS,
                                   .loads_from_ms = LOADS_MS};
}

static void teardown(void)
{
    weir_rebalance_plan_close(&plan);
    weir_shard_map_free(&map);
}

/* Returns how many shards move. */
static uint32_t decide(void)
{
    weir_rebalance_plan_close(&plan);
    ck_assert_msg(weir_round_decide(&round_of, &plan, &still, &err) == 0, "%s", err.msg);
    ck_assert_uint_eq(plan.map->epoch, 7);
    ck_assert_str_eq(plan.map->leader, "co");
    ck_assert_int_eq(still == NULL, plan.move_count > 0);
    return plan.move_count;
}

/* The plan's map is the one in force now. */
static void publish(void)
{
    weir_shard_map_free(&map);
    map = plan.map;
    plan.map = NULL;
    round_of.map = map;
}

static uint32_t owned(const char *id)
{
    return map->nodes[weir_shard_map_find(map, weir_str_of(id))].shard_count;
}

static void carry(double a, double b)
{
    members[0].in_flight = a;
    members[1].in_flight = b;
}

/* a has as many of the shards, b the others. */
static void share(uint32_t a)
{
    decide();
    publish();
    for (uint32_t s = 0; s < SHARDS; s++)
        map->owner[s] = s >= a;
    weir_shard_map_count(map);
}

START_TEST(test_the_first_map)
{
    ck_assert_uint_eq(decide(), SHARDS);
    ck_assert_int_eq(plan.moves[0].reason, WEIR_MOVE_UNOWNED);
    publish();
    ck_assert_uint_eq(owned("a"), SHARDS / 2);
    ck_assert_uint_eq(decide(), 0);
    ck_assert_str_eq(still, WEIR_ROUND_IN_PARTS);
}
END_TEST

/* A quarter of 64 is 16; where loads move nothing, there is no reason for more than one's part. */
START_TEST(test_a_map_within_its_bands_is_kept)
{
    share(80);
    ck_assert_uint_eq(decide(), 0);
    ck_assert_str_eq(still, WEIR_ROUND_IN_PARTS);
    round_of.load_moves = false;
    ck_assert_uint_eq(decide(), 16);
    round_of.load_moves = true;
    share(81);
    ck_assert_uint_eq(decide(), 17);
    ck_assert_int_eq(plan.moves[0].reason, WEIR_MOVE_QUOTA);
}
END_TEST

/* Though each is within the band of its new weight, too. */
START_TEST(test_quotas_hold_again_when_members_change)
{
    share(80);
    members[0].weight = members[1].weight = 2;
    ck_assert_uint_eq(decide(), 16);
    members[0].weight = members[1].weight = 1;
    round_of.member_count = 3;
    decide();
    publish();
    ck_assert_uint_eq(owned("a") + owned("b"), SHARDS - owned("c"));
    ck_assert_uint_ge(owned("c"), SHARDS / 3);
}
END_TEST

START_TEST(test_loads_move_a_few_when_their_time_has_come)
{
    share(64);
    carry(30, 10);
    round_of.now_ms = LOADS_MS - 1;
    ck_assert_uint_eq(decide(), 0);
    ck_assert_str_eq(still, WEIR_ROUND_IN_PARTS);
    round_of.now_ms = LOADS_MS;
    ck_assert_uint_eq(decide(), CAP_MOVES);
    for (uint32_t i = 0; i < CAP_MOVES; i++) {
        ck_assert_int_eq(plan.moves[i].reason, WEIR_MOVE_LOAD);
        ck_assert_str_eq(plan.map->nodes[plan.moves[i].to].id, "b");
    }
    carry(15, 4); /* fewer than ten each */
    ck_assert_uint_eq(decide(), 0);
    carry(21, 20); /* within a tenth */
    ck_assert_uint_eq(decide(), 0);
    ck_assert_str_eq(still, WEIR_ROUND_EVEN);
}
END_TEST

START_TEST(test_a_round_that_is_asked_for)
{
    share(64);
    round_of.asked = true;
    round_of.now_ms = 0;
    carry(2, 0);
    ck_assert_uint_eq(decide(), CAP_MOVES);
    carry(21, 20); /* within a tenth */
    ck_assert_uint_eq(decide(), 1);
    carry(0, 0);
    ck_assert_uint_eq(decide(), 0);
    ck_assert_str_eq(still, WEIR_ROUND_EVEN);
    round_of.load_moves = false;
    carry(2, 0);
    ck_assert_uint_eq(decide(), 0);
    ck_assert_str_eq(still, WEIR_ROUND_IN_PARTS);
}
END_TEST

/* Asked for again and again, until the band ends it. */
START_TEST(test_rounds_come_to_an_end)
{
    uint32_t moved = 0;
    share(64);
    round_of.asked = true;
    carry(100, 0);
    for (uint32_t rounds = 0; decide() > 0; rounds++) {
        ck_assert_uint_le(plan.move_count, CAP_MOVES);
        ck_assert_uint_lt(rounds, SHARDS);
        moved += plan.move_count;
        publish();
    }
    ck_assert_uint_eq(moved, 16);
    ck_assert_uint_eq(owned("a"), 48);
    ck_assert_str_eq(still, WEIR_ROUND_EVEN);
}
END_TEST

START_TEST(test_who_does_not_live)
{
    share(64);
    members[1].alive = false;
    ck_assert_uint_eq(decide(), 64);
    ck_assert_int_eq(plan.moves[0].reason, WEIR_MOVE_LOST);
    round_of.failover = false;
    ck_assert_uint_eq(decide(), 0);
    members[0].alive = false;
    round_of.failover = true;
    weir_rebalance_plan_close(&plan);
    ck_assert_int_eq(weir_round_decide(&round_of, &plan, &still, &err), WEIR_ENOTFOUND);
    ck_assert_ptr_null(plan.map);
    ck_assert_ptr_null(still);
}
END_TEST

/* What members tell of themselves need not make sense. */
START_TEST(test_weights_and_loads_out_of_all_bounds)
{
    static const double loads[] = {-1, -INFINITY, NAN, 1e300, INFINITY, UINT32_MAX};
    members[0].weight = 0;
    members[1].weight = UINT32_MAX;
    decide();
    publish();
    ck_assert_uint_lt(owned("a"), 2);
    members[0].weight = members[1].weight = 1;
    share(64);
    round_of.asked = true;
    for (size_t i = 0; i < sizeof loads / sizeof loads[0]; i++) {
        carry(loads[i], 1);
        ck_assert_uint_le(decide(), CAP_MOVES);
    }
}
END_TEST

START_TEST(test_out_of_memory)
{
    share(64);
    carry(30, 10);
    bool more = true;
    for (unsigned long n = 1; more; n = failmalloc_next(n)) {
        struct weir_rebalance_plan p;
        failmalloc_begin(n);
        int code = weir_round_decide(&round_of, &p, &still, &err);
        bool empty = p.map == NULL && p.moves == NULL;
        weir_rebalance_plan_close(&p);
        long left = failmalloc_end(&more);
        ck_assert_int_eq(left, 0);
        ck_assert_int_eq(code, more ? WEIR_ENOMEM : WEIR_OK);
        ck_assert_int_eq(empty, more);
    }
}
END_TEST

CHECK_MAIN("rebalance_round", setup, teardown, test_the_first_map, test_a_map_within_its_bands_is_kept,
           test_quotas_hold_again_when_members_change, test_loads_move_a_few_when_their_time_has_come,
           test_a_round_that_is_asked_for, test_rounds_come_to_an_end, test_who_does_not_live,
           test_weights_and_loads_out_of_all_bounds, test_out_of_memory)
