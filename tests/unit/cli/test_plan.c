/* Plans from what a node shows: the moves are the coordinator's, and answers that do not fit make none. */
#include "cli/plan.h"

#include "check_main.h"

#define NODE(id, state, alive) "{\"id\":\"" id "\",\"state\":\"" state "\",\"alive\":" alive ",\"weight\":1}"
#define SHARDS(owners)         "{\"schema\":1,\"epoch\":3,\"shard_count\":8,\"owners\":[" owners "]}"
#define A_ALL                  "{\"node\":\"a\",\"ranges\":[[0,7]],\"count\":8}"
#define A_HALF                 "{\"node\":\"a\",\"ranges\":[[0,3]],\"count\":4}"
#define B_HALF                 "{\"node\":\"b\",\"ranges\":[[4,7]],\"count\":4}"

static struct ctl_plan plan;
static struct weir_err err;

static int make(const char *nodes, const char *shards)
{
    json_t *n = json_loads(nodes, 0, NULL), *s = json_loads(shards, 0, NULL);
    ck_assert(n != NULL && s != NULL);
    int rv = ctl_plan_make(&plan, n, s, &err);
    json_decref(n);
    json_decref(s);
    return rv;
}

START_TEST(test_balanced)
{
    ck_assert_int_eq(make("{\"nodes\":[" NODE("a", "active", "true") "," NODE("b", "active", "true") "]}",
                          SHARDS(B_HALF "," A_HALF)),
                     0);
    ck_assert_uint_eq(plan.next.move_count, 0);
    ctl_plan_close(&plan);
}
END_TEST

/* Moves for the sake of load are kept: 5 and 3 of 8 are within a quarter of 4 and 4. */
START_TEST(test_within_its_band)
{
    ck_assert_int_eq(make("{\"nodes\":[" NODE("a", "active", "true") "," NODE("b", "active", "true") "]}",
                          SHARDS("{\"node\":\"a\",\"ranges\":[[0,4]]},{\"node\":\"b\",\"ranges\":[[5,7]]}")),
                     0);
    ck_assert_uint_eq(plan.next.move_count, 0);
    ctl_plan_close(&plan);
    ck_assert_int_eq(make("{\"nodes\":[" NODE("a", "active", "true") "," NODE("b", "active", "true") "]}",
                          SHARDS("{\"node\":\"a\",\"ranges\":[[0,5]]},{\"node\":\"b\",\"ranges\":[[6,7]]}")),
                     0);
    ck_assert_uint_eq(plan.next.move_count, 2);
    ctl_plan_close(&plan);
}
END_TEST

START_TEST(test_one_joins)
{
    ck_assert_int_eq(
        make("{\"nodes\":[" NODE("b", "active", "true") "," NODE("a", "active", "true") "]}", SHARDS(A_ALL)), 0);
    ck_assert_uint_eq(plan.next.move_count, 4);
    for (uint32_t i = 0; i < 4; i++) {
        ck_assert_str_eq(ctl_plan_from(&plan, &plan.next.moves[i]), "a");
        ck_assert_str_eq(ctl_plan_to(&plan, &plan.next.moves[i]), "b");
        ck_assert_int_eq(plan.next.moves[i].reason, WEIR_MOVE_QUOTA);
    }
    ctl_plan_close(&plan);
}
END_TEST

START_TEST(test_one_drains)
{
    ck_assert_int_eq(make("{\"nodes\":[" NODE("a", "draining", "true") "," NODE("b", "active", "true") "]}",
                          SHARDS(A_HALF "," B_HALF)),
                     0);
    ck_assert_uint_eq(plan.next.move_count, 4);
    ck_assert_int_eq(plan.next.moves[0].reason, WEIR_MOVE_DRAINING);
    ctl_plan_close(&plan);
}
END_TEST

START_TEST(test_one_is_lost)
{
    ck_assert_int_eq(make("{\"nodes\":[" NODE("a", "active", "false") "," NODE("b", "active", "true") "]}",
                          SHARDS(A_HALF "," B_HALF)),
                     0);
    ck_assert_uint_eq(plan.next.move_count, 4);
    ck_assert_int_eq(plan.next.moves[0].reason, WEIR_MOVE_LOST);
    ctl_plan_close(&plan);
}
END_TEST

START_TEST(test_answers_that_do_not_fit)
{
    static const char nodes[] = "{\"nodes\":[" NODE("a", "active", "true") "]}";
    static const char *const shards[] = {
        "{\"shard_count\":0,\"owners\":[]}",
        SHARDS("{\"node\":\"a\",\"ranges\":[[0,8]]}"),
        SHARDS("{\"node\":\"a\",\"ranges\":[[0,6]]}"),
        SHARDS("{\"node\":\"a\",\"ranges\":[[5,2],[0,7]]}"),
        SHARDS("{\"node\":\"a\",\"ranges\":[[-1,7]]}"),
        SHARDS("{\"node\":\"a\",\"ranges\":[7,\"x\",null]}"),
        SHARDS("{\"node\":\"a b\",\"ranges\":[[0,7]]}"),
        SHARDS(A_HALF "," A_HALF),
        SHARDS("null"),
        "{\"shard_count\":70000,\"owners\":[" A_ALL "]}",
        "{\"shard_count\":8.0,\"owners\":[" A_ALL "]}",
    };
    for (size_t i = 0; i < sizeof shards / sizeof shards[0]; i++)
        ck_assert_msg(make(nodes, shards[i]) != 0, "%s", shards[i]);
    ck_assert_int_eq(make("{\"nodes\":[]}", SHARDS(A_ALL)), WEIR_ENOTFOUND);
    ck_assert_int_ne(make("{\"nodes\":[" NODE("", "active", "true") "]}", SHARDS(A_ALL)), 0);
}
END_TEST

CHECK_MAIN("plan", NULL, NULL, test_balanced, test_within_its_band, test_one_joins, test_one_drains, test_one_is_lost,
           test_answers_that_do_not_fit)
