/* Plans from what a node shows: the decision is the coordinator's, and answers that do not fit make none. */
#include "cli/plan.h"

#include "check_main.h"

#define NODE(id, state, alive, weight, in_flight)                                       \
    "{\"id\":\"" id "\",\"state\":\"" state "\",\"alive\":" alive ",\"weight\":" weight \
    ",\"load\":{\"in_flight\":" in_flight "}}"
#define WELL(id)     NODE(id, "active", "true", "1", "0")
#define NODES(nodes) "{\"nodes\":[" nodes "]}"
#define PAGE(map)    "{\"cluster\":\"c\",\"shard_count\":8,\"failover\":true,\"load_moves\":true,\"map\":" map "}"
#define HEAD         "weir-shard-map 1\\nepoch 3\\nleader k\\nshards 8\\n"
#define A_ALL        "\"" HEAD "nodes 1\\nnode a 1 0-7\\n\""
#define HALVES       "\"" HEAD "nodes 2\\nnode a 1 0-3\\nnode b 1 4-7\\n\""
#define A_FIVE       "\"" HEAD "nodes 2\\nnode a 1 0-4\\nnode b 1 5-7\\n\""
#define A_SIX        "\"" HEAD "nodes 2\\nnode a 1 0-5\\nnode b 1 6-7\\n\""

static struct ctl_plan plan;
static struct weir_err err;

static void teardown(void)
{
    ctl_plan_close(&plan);
}

static int make(const char *nodes, const char *page)
{
    json_t *n = json_loads(nodes, 0, NULL), *m = json_loads(page, 0, NULL);
    ck_assert(n != NULL && m != NULL);
    ctl_plan_close(&plan);
    int rv = ctl_plan_make(&plan, n, m, &err);
    json_decref(n);
    json_decref(m);
    return rv;
}

/* Returns how many shards move. */
static uint32_t moves(const char *nodes, const char *page)
{
    ck_assert_msg(make(nodes, page) == 0, "%s", err.msg);
    ck_assert_int_eq(plan.still == NULL, plan.next.move_count > 0);
    return plan.next.move_count;
}

START_TEST(test_balanced)
{
    ck_assert_uint_eq(moves(NODES(WELL("a") "," WELL("b")), PAGE(HALVES)), 0);
    ck_assert_str_eq(plan.still, WEIR_ROUND_EVEN);
}
END_TEST

/* Moves for the sake of load are kept: 5 and 3 of 8 are within a quarter of 4 and 4. Where nothing moves for that, or a
 * weight is another than the map's, the quota is what counts. */
START_TEST(test_within_its_band)
{
    ck_assert_uint_eq(moves(NODES(WELL("a") "," WELL("b")), PAGE(A_FIVE)), 0);
    ck_assert_uint_eq(moves(NODES(WELL("a") "," WELL("b")), PAGE(A_SIX)), 2);
    ck_assert_uint_eq(moves(NODES(WELL("a") "," WELL("b")), "{\"cluster\":\"c\",\"shard_count\":8,\"load_moves\":false,"
                                                            "\"map\":" A_FIVE "}"),
                      1);
    ck_assert_uint_eq(
        moves(NODES(NODE("a", "active", "true", "2", "0") "," NODE("b", "active", "true", "2", "0")), PAGE(A_FIVE)), 1);
}
END_TEST

/* As in a round that is asked for, any difference counts. */
START_TEST(test_loads)
{
    ck_assert_uint_eq(moves(NODES(NODE("a", "active", "true", "1", "3") "," WELL("b")), PAGE(HALVES)), 1);
    ck_assert_int_eq(plan.next.moves[0].reason, WEIR_MOVE_LOAD);
    ck_assert_str_eq(ctl_plan_to(&plan, &plan.next.moves[0]), "b");
}
END_TEST

START_TEST(test_one_joins)
{
    ck_assert_uint_eq(moves(NODES(WELL("b") "," WELL("a")), PAGE(A_ALL)), 4);
    for (uint32_t i = 0; i < 4; i++) {
        ck_assert_str_eq(ctl_plan_from(&plan, &plan.next.moves[i]), "a");
        ck_assert_str_eq(ctl_plan_to(&plan, &plan.next.moves[i]), "b");
        ck_assert_int_eq(plan.next.moves[i].reason, WEIR_MOVE_QUOTA);
    }
}
END_TEST

START_TEST(test_one_drains)
{
    ck_assert_uint_eq(moves(NODES(NODE("a", "draining", "true", "1", "0") "," WELL("b")), PAGE(HALVES)), 4);
    ck_assert_int_eq(plan.next.moves[0].reason, WEIR_MOVE_DRAINING);
}
END_TEST

START_TEST(test_one_is_lost)
{
    static const char nodes[] = NODES(NODE("a", "active", "false", "1", "0") "," WELL("b"));
    ck_assert_uint_eq(moves(nodes, PAGE(HALVES)), 4);
    ck_assert_int_eq(plan.next.moves[0].reason, WEIR_MOVE_LOST);
    ck_assert_uint_eq(moves(nodes, "{\"cluster\":\"c\",\"shard_count\":8,\"failover\":false,\"map\":" HALVES "}"), 0);
}
END_TEST

START_TEST(test_the_first_map)
{
    ck_assert_uint_eq(moves(NODES(WELL("a") "," WELL("b")), PAGE("null")), 8);
    ck_assert_str_eq(ctl_plan_from(&plan, &plan.next.moves[0]), "-");
}
END_TEST

START_TEST(test_answers_that_do_not_fit)
{
    static const char *const pages[] = {
        "{\"cluster\":null,\"shard_count\":0,\"map\":null}",
        "{\"cluster\":\"c\",\"shard_count\":0,\"map\":null}",
        PAGE("\"\""),
        PAGE("\"weir-shard-map 1\\nepoch 3\\n\""),
        PAGE("\"" HEAD "nodes 1\\nnode a 1 0-6\\n\""),
        PAGE("\"" HEAD "nodes 1\\nnode a b 1 0-7\\n\""),
        PAGE("7"),
        "{\"cluster\":\"c\",\"shard_count\":8}",
        "{\"cluster\":\"c\",\"shard_count\":70000,\"map\":" A_ALL "}",
        "{\"cluster\":\"c\",\"shard_count\":8.0,\"map\":" A_ALL "}",
        "[]",
    };
    for (size_t i = 0; i < sizeof pages / sizeof pages[0]; i++)
        ck_assert_msg(make(NODES(WELL("a")), pages[i]) != 0, "%s", pages[i]);
    ck_assert_int_eq(make(NODES(""), PAGE(A_ALL)), WEIR_ENOTFOUND);
    ck_assert_int_eq(make(NODES(WELL("")), PAGE(A_ALL)), WEIR_EINVAL);
    ck_assert_int_eq(make(NODES(WELL("a") "," WELL("a")), PAGE(A_ALL)), WEIR_EINVAL);
    ck_assert_int_eq(make("[]", PAGE(A_ALL)), WEIR_ENOTFOUND);
}
END_TEST

CHECK_MAIN("plan", NULL, teardown, test_balanced, test_within_its_band, test_loads, test_one_joins, test_one_drains,
           test_one_is_lost, test_the_first_map, test_answers_that_do_not_fit)
