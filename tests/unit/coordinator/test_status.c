#include "coordinator/status.h"

#include <jansson.h>
#include <string.h>

#include "check_main.h"

static struct weir_coordinator_status s;
static struct weir_textbuf out;
static struct weir_shard_map map;
static struct weir_member at[3];
static struct weir_members members = {.at = at, .count = 3};

static void setup(void)
{
    map.epoch = 7;
    at[0].alive = at[2].alive = true;
    s = (struct weir_coordinator_status){
        .id = "co-1",
        .cluster = "demo",
        .version = "1.2.3",
        .look = {.leads = true, .contact = true, .leader = "co-1", .members = &members, .map = &map},
        .requests_failed = 3};
    s.notes[WEIR_COORDINATOR_PUBLISHED] = 2;
    s.requests[WEIR_COORD_LEAD] = 5;
    weir_textbuf_init(&out, 65536);
}

static void teardown(void)
{
    weir_textbuf_close(&out);
}

static void ready_is(unsigned status, const char *json)
{
    out.len = 0;
    ck_assert_uint_eq(weir_coordinator_status_ready(&out, &s), status);
    json_t *is = json_loadb(out.ptr, out.len, 0, NULL), *wanted = json_loads(json, 0, NULL);
    ck_assert_msg(json_equal(is, wanted), "%.*s", (int)out.len, out.ptr);
    json_decref(is);
    json_decref(wanted);
}

START_TEST(test_ready)
{
    ready_is(200, "{\"status\":\"ready\",\"id\":\"co-1\",\"cluster\":\"demo\",\"leads\":true,\"leader\":\"co-1\","
                  "\"epoch\":7}");
    s.look.contact = s.look.leads = false;
    s.look.leader = "";
    s.look.map = NULL;
    ready_is(503, "{\"status\":\"store_away\",\"id\":\"co-1\",\"cluster\":\"demo\",\"leads\":false,\"leader\":null,"
                  "\"epoch\":0}");
}
END_TEST

static void has(const char *line)
{
    ck_assert_msg(strstr(out.ptr, line) != NULL, "%s is not in\n%s", line, out.ptr);
}

START_TEST(test_metrics)
{
    weir_coordinator_status_metrics(&out, &s);
    weir_textbuf_char(&out, '\0');
    has("weir_coordinator_info{id=\"co-1\",cluster=\"demo\",version=\"1.2.3\"} 1\n");
    has("weir_coordinator_leads 1\n");
    has("weir_coordinator_store_contact 1\n");
    has("weir_coordinator_map_epoch 7\n");
    has("weir_coordinator_nodes{state=\"alive\"} 2\n");
    has("weir_coordinator_nodes{state=\"silent\"} 1\n");
    has("weir_coordinator_events_total{event=\"map_published\"} 2\n");
    has("weir_coordinator_events_total{event=\"node_lost\"} 0\n");
    has("weir_coordinator_store_requests_total{op=\"lead\"} 5\n");
    has("weir_coordinator_store_requests_failed_total 3\n");
}
END_TEST

START_TEST(test_metrics_of_the_advice)
{
    static struct weir_hints hints = {.action = WEIR_ADVISOR_SCALE_UP,
                                      .nodes = 3,
                                      .desired_nodes = 5,
                                      .safe_concurrency = 400,
                                      .in_flight = {800, {1480, 1733.5, 1}}};
    s.look.history = (struct weir_coordinator_history_look){
        .on = true, .hints = &hints, .seen = 61, .folded = 70, .advised = 4, .records = {.taken = 210, .late = 2}};
    weir_coordinator_status_metrics(&out, &s);
    weir_textbuf_char(&out, '\0');
    has("weir_coordinator_history_ready 1\n");
    has("weir_coordinator_forecast_steps_seen 61\n");
    has("weir_coordinator_load_records_total{result=\"taken\"} 210\n");
    has("weir_coordinator_load_records_total{result=\"late\"} 2\n");
    has("weir_coordinator_load_points_total{result=\"kept\"} 70\n");
    has("weir_coordinator_hints_published_total 4\n");
    has("weir_coordinator_advice_nodes 5\n");
    has("weir_coordinator_advice_action{action=\"scale_up\"} 1\n");
    has("weir_coordinator_advice_action{action=\"hold\"} 0\n");
    has("weir_coordinator_safe_concurrency 400\n");
    has("weir_coordinator_forecast_in_flight{level=\"0.9\"} 1733.500\n");
}
END_TEST

/* Only the leader knows the members. */
START_TEST(test_metrics_of_a_standby)
{
    s.look.leads = false;
    weir_coordinator_status_metrics(&out, &s);
    weir_textbuf_char(&out, '\0');
    has("weir_coordinator_leads 0\n");
    has("weir_coordinator_nodes{state=\"alive\"} 0\n");
    has("weir_coordinator_nodes{state=\"silent\"} 0\n");
}
END_TEST

CHECK_MAIN("status", setup, teardown, test_ready, test_metrics, test_metrics_of_the_advice, test_metrics_of_a_standby)
