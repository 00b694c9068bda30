/* Answers of the store as pages. */
#include "cli/store_pages.h"

#include <string.h>

#include "check_main.h"

static struct ctl_store_pages p;
static struct weir_err err;

static void setup(void)
{
    p = (struct ctl_store_pages){0};
}

static void teardown(void)
{
    ctl_store_pages_close(&p);
}

static int take(const struct weir_coord_reply *r)
{
    return ctl_store_pages_take(&p, r, 10000, &err);
}

static int take_map(const char *text)
{
    const struct weir_coord_reply r = {.op = WEIR_COORD_MAP,
                                       .map = {.epoch = 3, .leader = "c", .map = weir_str_of(text)}};
    return take(&r);
}

static void is(const char *page, const char *wanted)
{
    json_t *answer = ctl_store_page(&p, page, "s:1", "c");
    char *text = json_dumps(answer, JSON_COMPACT | JSON_SORT_KEYS);
    ck_assert_msg(strstr(text, wanted) != NULL, "%s", text);
    free(text);
    json_decref(answer);
}

START_TEST(test_nodes_and_state)
{
    const struct weir_coord_member members[] = {{.id = "b", .state = WEIR_NODE_DRAINING, .age_ms = 9999},
                                                {.id = "a", .state = WEIR_NODE_ACTIVE, .age_ms = 10000}};
    const struct weir_coord_reply r = {.op = WEIR_COORD_MEMBERS, .members = {.count = 2, .at = members}};
    ck_assert_int_eq(take(&r), 0);
    ck_assert_int_eq(take_map("weir-shard-map 1\nepoch 3\nleader c\nshards 4\nnodes 1\nnode a 1 0-3\n"), 0);
    is("/api/cluster/nodes", "\"id\":\"a\"");
    is("/api/cluster/nodes", "\"shards\":4,");
    is("/api/cluster/nodes", "\"state\":\"draining\"");
    is("/api/cluster/state", "\"nodes\":{\"alive\":1,\"total\":2}");
    is("/api/cluster/state", "\"epoch\":3");
}
END_TEST

START_TEST(test_who_leads)
{
    struct weir_coord_reply r = {.op = WEIR_COORD_MAP, .map = {.leader = "", .led = {.leader = ""}}};
    const struct weir_coord_reply nobody = {.op = WEIR_COORD_MEMBERS};
    ck_assert_int_eq(take(&nobody), 0);
    ck_assert_int_eq(take(&r), 0);
    is("/api/cluster/state", "\"lead\":{\"coordinator\":null,\"lease_seconds\":0.0,\"terms\":0}");
    r.map.led = (struct weir_coord_led){.token = 4, .leader = "k", .left_ms = 1500};
    ck_assert_int_eq(take(&r), 0);
    is("/api/cluster/state", "\"lead\":{\"coordinator\":\"k\",\"lease_seconds\":1.5,\"terms\":4}");
}
END_TEST

START_TEST(test_shards)
{
    ck_assert_int_eq(take_map("weir-shard-map 1\nepoch 3\nleader c\nshards 5\nnodes 2\nnode a 1 0,2-3\nnode b 1 1,4\n"),
                     0);
    is("/api/cluster/shards", "{\"count\":3,\"node\":\"a\",\"ranges\":[[0,0],[2,3]]}");
    ck_assert_int_eq(take_map("weir-shard-map 1\nnonsense\n"), WEIR_EPROTO);
    is("/api/cluster/map", "\"map\":\"weir-shard-map 1\\nepoch 3\\n");
    is("/api/cluster/map", "\"shard_count\":5");
    const struct weir_coord_reply none = {.op = WEIR_COORD_MAP, .map = {.leader = ""}};
    ck_assert_int_eq(take(&none), 0);
    is("/api/cluster/map", "\"map\":null");
    is("/api/cluster/shards", "\"owners\":[]");
}
END_TEST

START_TEST(test_a_cluster_that_is_not_there)
{
    const struct weir_coord_reply nobody = {.op = WEIR_COORD_MEMBERS}, no_map = {.op = WEIR_COORD_MAP};
    const struct weir_coord_member a = {.id = "a"};
    const struct weir_coord_reply one = {.op = WEIR_COORD_MEMBERS, .members = {.count = 1, .at = &a}};
    ck_assert(!ctl_store_pages_any(&p));
    ck_assert_int_eq(take(&nobody), 0);
    ck_assert_int_eq(take(&no_map), 0);
    ck_assert(!ctl_store_pages_any(&p));
    ck_assert_int_eq(take(&one), 0);
    ck_assert(ctl_store_pages_any(&p));
    ck_assert_int_eq(take(&nobody), 0);
    ck_assert_int_eq(take_map("weir-shard-map 1\nepoch 3\nleader c\nshards 4\nnodes 1\nnode a 1 0-3\n"), 0);
    ck_assert(ctl_store_pages_any(&p));
}
END_TEST

START_TEST(test_circuits)
{
    const struct weir_coord_circuit circuit = {
        .endpoint = "http://e:1", .sight = {WEIR_BREAKER_OPEN, 4, 9000, 0}, .since_ms = 3000};
    const struct weir_coord_reply r = {
        .op = WEIR_COORD_CIRCUITS, .now_us = 5000000, .circuits = {.count = 1, .at = &circuit}};
    ck_assert_int_eq(take(&r), 0);
    is("/api/cluster/breakers", "\"retry_in_seconds\":4.0");
    is("/api/cluster/breakers", "\"state\":\"open\",\"state_seconds\":2.0");
}
END_TEST

static void hints(const char *text, uint64_t version)
{
    const struct weir_coord_reply r = {.op = WEIR_COORD_ADVICE,
                                       .now_us = 5000000,
                                       .advice = {.version = version, .unix_ms = 3000, .hints = weir_str_of(text)}};
    ck_assert_int_eq(take(&r), 0);
}

START_TEST(test_hints)
{
#define UNTIL(ms)                                                   \
    "{\"schema\":1,\"at_unix_ms\":3000,\"valid_until_unix_ms\":" ms \
    ",\"cluster\":{\"action\":\"hold\",\"nodes\":3,\"desired_nodes\":3},\"providers\":[]}"
    hints(UNTIL("6000"), 1);
    is("/api/cluster/hints", "\"age_s\":2.0,");
    is("/api/cluster/hints", "\"valid\":true");
    hints(UNTIL("5000"), 1);
    is("/api/cluster/hints", "out of date");
    hints("nonsense", 1);
    is("/api/cluster/hints", "\"reason\":\"the last ones cannot be read\"");
    hints("{\"schema\":1,\"valid\":false,\"reason\":\"no history\"}", 1);
    is("/api/cluster/hints", "\"reason\":\"no history\"");
    hints("", 0);
    is("/api/cluster/hints", "none were published yet");
#undef UNTIL
}
END_TEST

START_TEST(test_events)
{
    const struct weir_str texts[] = {WEIR_STR("{\"event\":\"x\"}"), WEIR_STR("nonsense"), WEIR_STR("[]")};
    const struct weir_coord_reply r = {.op = WEIR_COORD_EVENTS, .events = {.count = 3, .at = texts}};
    ck_assert_int_eq(take(&r), 0);
    is("/api/cluster/events", "\"events\":[{\"event\":\"x\"}]");
}
END_TEST

START_TEST(test_pages_that_there_are)
{
    ck_assert_ptr_null(ctl_store_page_ops("/api/cluster/limits"));
    ck_assert_ptr_null(ctl_store_page_ops("/api/cluster/node"));
    ck_assert_int_eq(ctl_store_page_ops("/api/cluster/events?n=5")[2], WEIR_COORD_EVENTS);
}
END_TEST

CHECK_MAIN("store_pages", setup, teardown, test_nodes_and_state, test_who_leads, test_shards,
           test_a_cluster_that_is_not_there, test_circuits, test_hints, test_events, test_pages_that_there_are)
