/* Shards move for what their owners carry. */
#include "check_main.h"
#include "helper_coordinator.h"

static void carry(uint64_t seconds, double a, double b, double c)
{
    for (; seconds > 0; seconds--) {
        told_node_tells("a", a);
        told_node_tells("b", b);
        told_node_tells("c", c);
        told_run(1, "");
    }
}

static uint32_t owned(const char *id)
{
    const struct weir_shard_map *map = told_look(0).map;
    return map->nodes[weir_shard_map_find(map, weir_str_of(id))].shard_count;
}

static void let_loads_move(void)
{
    struct weir_err err;
    told.config.id = "k0";
    told.config.load_moves = true;
    ck_assert_int_eq(weir_coordinator_agent_set(told.k[0].agent, &told.config, &err), 0);
}

START_TEST(test_load_moves)
{
    let_loads_move();
    carry(20, 100, 100, 100);
    uint32_t a = owned("a"), epoch = (uint32_t)told_look(0).map->epoch;
    ck_assert_uint_eq(epoch, 1);
    carry(200, 105, 100, 95); /* within a tenth */
    ck_assert_uint_eq(told_look(0).map->epoch, epoch);
    told.k[0].moves = 0;
    carry(110, 200, 100, 60); /* a minute apart, one shard in 64 at a time */
    ck_assert_uint_ge(told.k[0].moves, 1);
    ck_assert_uint_le(told.k[0].moves, 2);
    ck_assert_uint_eq(owned("a"), a - told.k[0].moves);
    carry(2000, 200, 100, 60); /* what a shard carries is not known: the band bounds it */
    ck_assert_uint_ge(owned("a"), a - a / 4 - 1);
    epoch = (uint32_t)told_look(0).map->epoch;
    carry(300, 100, 100, 100); /* evened out: it stays so */
    ck_assert_uint_eq(told_look(0).map->epoch, epoch);
    for (int i = 0; i < 20; i++) { /* one more: quotas hold again */
        told_node_tells("d", 0);
        carry(1, 100, 100, 100);
    }
    ck_assert_uint_eq(owned("d"), 16);
    ck_assert_uint_eq(owned("a"), 16);
}
END_TEST

/* Few requests say nothing; a short peak is smoothed away; without load_moves nothing moves at all. */
START_TEST(test_loads_that_move_nothing)
{
    struct weir_err err;
    told.config.id = "k0";
    carry(200, 400, 100, 50);
    ck_assert_uint_eq(told_look(0).map->epoch, 1);
    told.config.load_moves = true;
    ck_assert_int_eq(weir_coordinator_agent_set(told.k[0].agent, &told.config, &err), 0);
    carry(200, 12, 2, 1);
    ck_assert_uint_eq(told_look(0).map->epoch, 1);
    told.config.load_moves = false;
    ck_assert_int_eq(weir_coordinator_agent_set(told.k[0].agent, &told.config, &err), 0);
    carry(5, 100, 100, 100);
    told.config.load_moves = true;
    ck_assert_int_eq(weir_coordinator_agent_set(told.k[0].agent, &told.config, &err), 0);
    carry(100, 100, 100, 100);
    carry(2, 130, 100, 100);
    carry(60, 100, 100, 100);
    ck_assert_uint_eq(told_look(0).map->epoch, 1);
}
END_TEST

static void ask_for_a_round(const char *event)
{
    const struct weir_coord_push push = {.kind = WEIR_COORD_PUSH_EVENT, .event = weir_str_of(event)};
    weir_coordinator_agent_push(told.k[0].agent, told.now, &push);
}

/* An operator's word counts at once, for a difference that would not do and before the pause is over, and once. */
START_TEST(test_a_round_that_is_asked_for)
{
    let_loads_move();
    carry(200, 107, 100, 93);
    ck_assert_uint_eq(told_look(0).map->epoch, 1);
    ask_for_a_round("{\"event\":\"drain_asked\",\"by\":\"a\"}"); /* something else */
    carry(5, 107, 100, 93);
    ck_assert_uint_eq(told_look(0).map->epoch, 1);
    uint32_t events = told.k[0].sent[WEIR_COORD_EVENT];
    ask_for_a_round("{\"event\":\"rebalance_asked\",\"by\":\"a\"}");
    carry(2, 107, 100, 93);
    ck_assert_uint_eq(told_look(0).map->epoch, 2);
    ck_assert_uint_eq(told.k[0].sent[WEIR_COORD_EVENT], events + 2); /* the map, and what came of the wish */
    carry(5, 107, 100, 93);
    ck_assert_uint_eq(told_look(0).map->epoch, 2);
    ask_for_a_round("{\"event\":\"rebalance_asked\",\"by\":\"a\"}"); /* within the minute */
    carry(2, 107, 100, 93);
    ck_assert_uint_eq(told_look(0).map->epoch, 3);
}
END_TEST

/* All is even: nothing moves, and that is told. */
START_TEST(test_a_round_that_finds_nothing)
{
    told.config.id = "k0";
    carry(20, 100, 100, 100);
    uint32_t events = told.k[0].sent[WEIR_COORD_EVENT];
    ask_for_a_round("{\"event\":\"rebalance_asked\",\"by\":\"a\"}");
    carry(2, 100, 100, 100);
    ck_assert_uint_eq(told_look(0).map->epoch, 1);
    ck_assert_uint_eq(told.k[0].sent[WEIR_COORD_EVENT], events + 1);
    carry(5, 100, 100, 100);
    ck_assert_uint_eq(told.k[0].sent[WEIR_COORD_EVENT], events + 1);
}
END_TEST

CHECK_MAIN("coordinator_moves", told_setup, told_teardown, test_load_moves, test_loads_that_move_nothing,
           test_a_round_that_is_asked_for, test_a_round_that_finds_nothing)
