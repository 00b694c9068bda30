/* What a node's agent tells all others of circuits, and what it asks for of what was told before. */
#include "check_main.h"
#include "helper/core_coord.h"
#include "helper_cluster_agent.h"

#define E "https://api.example.com:443"

static struct coord_fixture store;

static uint64_t sent(enum weir_coord_op op)
{
    return weir_cluster_agent_counts(f.agent)->requests[op];
}

static void join(void)
{
    coord_setup(&store);
    agent_setup();
    (void)agent_member("a");
    agent_member("b")->instance = 4711;
    agent_join();
}

static void teardown(void)
{
    agent_teardown();
    coord_teardown(&store);
}

/* -- circuits -- */

/* This node reports, and the store carries it out. */
static void report(const struct weir_coord_request *q, bool quiet)
{
    f.reports[0] = q->report.items[0];
    f.reports[0].quiet = quiet;
    f.report_haste[0] = WEIR_CLUSTER_URGENT;
    f.report_count = 1;
    weir_cluster_agent_owes(f.agent, f.now_ms, WEIR_CLUSTER_URGENT);
    agent_run(100);
    struct weir_coord_request to = agent_taken(WEIR_COORD_REPORT);
    ck_assert_uint_eq(to.report.count, 1);
    to.report.grant_until_ms = 0; /* that is by the clock of the store played */
    ck_assert_int_eq(coord_do(&store, &to), WEIR_COORD_OK);
    struct weir_coord_reply r = store.reply;
    r.id = to.id;
    weir_cluster_agent_reply(f.agent, f.now_ms, &r);
    agent_serve(1);
}

static void fail_once(bool quiet)
{
    struct weir_coord_request q = coord_report("b", E, 1, 0, 1);
    report(&q, quiet);
}

START_TEST(test_an_opened_circuit_is_told_once)
{
    uint64_t before = sent(WEIR_COORD_EVENT);
    for (int i = 0; i < 2; i++)
        fail_once(false);
    ck_assert_uint_eq(sent(WEIR_COORD_EVENT), before);
    for (int i = 0; i < 20; i++)
        fail_once(false);
    ck_assert_uint_eq(sent(WEIR_COORD_EVENT), before + 1);
    ck_assert_str_eq(f.event, "{\"event\":\"circuit_opened\",\"endpoint\":\"" E
                              "\",\"reason\":\"consecutive_failures\",\"node\":\"b\"}");
}
END_TEST

START_TEST(test_a_circuit_that_another_node_has_opened_is_not_told_by_this_one)
{
    uint64_t before = sent(WEIR_COORD_EVENT);
    struct weir_coord_request others = coord_report("a", E, 1, 0, 3);
    ck_assert_int_eq(coord_do(&store, &others), WEIR_COORD_OK);
    fail_once(false); /* it learns of it in the answer */
    struct weir_coord_push p = {.kind = WEIR_COORD_PUSH_CIRCUIT,
                                .circuit = {E, {WEIR_BREAKER_OPEN, 2, STORE_MS + 60000, 0}, STORE_MS, 1, "a"}};
    weir_cluster_agent_push(f.agent, f.now_ms, &p);
    ck_assert_uint_eq(sent(WEIR_COORD_EVENT), before);
}
END_TEST

START_TEST(test_half_open_and_closed_are_told)
{
    struct weir_coord_request probe = coord_report("b", E, 2, 0, 0);
    for (int i = 0; i < 3; i++)
        fail_once(false);
    uint64_t before = sent(WEIR_COORD_EVENT);
    store.now_us += probe.report.items[0].policy.recovery_ms * 1000;
    probe.report.items[0].report.want = 1;
    report(&probe, false);
    ck_assert_uint_eq(sent(WEIR_COORD_EVENT), before + 1);
    ck_assert_str_eq(f.event, "{\"event\":\"circuit_half_open\",\"endpoint\":\"" E
                              "\",\"reason\":\"recovery_timeout\",\"node\":\"b\"}");
    while (sent(WEIR_COORD_EVENT) == before + 1) { /* as many probes as it takes */
        ck_assert_uint_eq(store.reply.report.items[0].reply.permit_count, 1);
        probe.report.items[0].report.gen = 3;
        probe.report.items[0].report.probe_count = 1;
        probe.report.items[0].report.probes[0].permit = store.reply.report.items[0].reply.permits[0].id;
        probe.report.items[0].report.probes[0].verdict = WEIR_BREAKER_SUCCESS;
        report(&probe, false);
    }
    ck_assert_str_eq(f.event, "{\"event\":\"circuit_closed\",\"endpoint\":\"" E
                              "\",\"reason\":\"probes_succeeded\",\"node\":\"b\"}");
}
END_TEST

START_TEST(test_a_cooldown_is_told_once_however_often_it_is_drawn_out)
{
    uint64_t before = sent(WEIR_COORD_EVENT);
    struct weir_coord_request q = coord_report("b", E, 1, 0, 0);
    for (uint64_t i = 0; i < 5; i++) {
        q.report.items[0].report.cooldown_ms = 60000 + 1000 * i;
        report(&q, false);
    }
    ck_assert_uint_eq(sent(WEIR_COORD_EVENT), before + 1);
    ck_assert_str_eq(f.event, "{\"event\":\"circuit_cooling\",\"endpoint\":\"" E
                              "\",\"reason\":\"retry_after\",\"node\":\"b\"}");
}
END_TEST

START_TEST(test_who_is_not_monitored_is_not_told_of)
{
    uint64_t before = sent(WEIR_COORD_EVENT);
    for (int i = 0; i < 3; i++)
        fail_once(true);
    ck_assert_int_eq(store.reply.report.items[0].sight.phase, WEIR_BREAKER_OPEN);
    ck_assert_uint_eq(sent(WEIR_COORD_EVENT), before);
}
END_TEST

START_TEST(test_the_longest_names_fit)
{
    char endpoint[WEIR_ENDPOINT_ID_MAX + 1] = "", id[WEIR_NODE_ID_MAX + 1] = "";
    struct weir_coord_request q = coord_report("b", endpoint, 1, 0, 3);
    struct weir_err err;
    memset(endpoint, 'e', sizeof endpoint - 1);
    memset(id, 'n', sizeof id - 1);
    f.config.id = id;
    ck_assert_int_eq(weir_cluster_agent_set(f.agent, &f.config, f.now_ms, &err), 0);
    report(&q, false);
    ck_assert_uint_gt(strlen(f.event), 344);
    ck_assert_str_eq(f.event + strlen(f.event) - 3, "n\"}");
}
END_TEST

/* -- what was told before -- */

START_TEST(test_the_last_events_are_asked_for_once)
{
    ck_assert_uint_eq(sent(WEIR_COORD_EVENTS), 1);
    agent_serve(100 * BEAT);
    ck_assert_uint_eq(sent(WEIR_COORD_EVENTS), 1);
}
END_TEST

START_TEST(test_not_before_it_has_joined)
{
    agent_teardown();
    agent_setup();
    agent_answer(WEIR_COORD_BEAT);
    ck_assert_int_eq(f.beat_self.state, WEIR_NODE_JOINING);
    ck_assert_uint_eq(sent(WEIR_COORD_EVENTS), 0);
    agent_serve(0);
    ck_assert_int_eq(f.beat_self.state, WEIR_NODE_ACTIVE);
    ck_assert_uint_eq(sent(WEIR_COORD_EVENTS), 1);
}
END_TEST

START_TEST(test_they_are_heard_when_contact_is_back)
{
    f.events[0] = WEIR_STR("{\"id\":1}");
    f.events[1] = WEIR_STR("{\"id\":2}");
    f.event_count = 2;
    weir_cluster_agent_contact(f.agent, f.now_ms, false, "gone");
    agent_run(BEAT);
    weir_cluster_agent_contact(f.agent, f.now_ms, true, NULL);
    agent_answer(WEIR_COORD_BEAT);
    (void)agent_log();
    struct weir_coord_request q = agent_taken(WEIR_COORD_EVENTS);
    ck_assert_uint_eq(q.events_count, WEIR_COORD_EVENTS_KEPT);
    struct weir_coord_reply r = {.op = q.op, .id = q.id, .events = {f.event_count, f.events}};
    weir_cluster_agent_reply(f.agent, f.now_ms, &r);
    ck_assert_str_eq(agent_log(), "heard heard");
    weir_cluster_agent_reply(f.agent, f.now_ms, &r); /* an answer that nobody waits for */
    ck_assert_str_eq(agent_log(), "");
    agent_serve(10 * BEAT);
    ck_assert_uint_eq(sent(WEIR_COORD_EVENTS), 2);
}
END_TEST

START_TEST(test_an_answer_that_did_not_come_is_asked_for_with_the_next_beat)
{
    weir_cluster_agent_contact(f.agent, f.now_ms, false, "gone");
    weir_cluster_agent_contact(f.agent, f.now_ms, true, NULL);
    agent_answer(WEIR_COORD_BEAT);
    agent_fail(WEIR_COORD_EVENTS, WEIR_COORD_AWAY);
    ck_assert_uint_eq(agent_open(WEIR_COORD_EVENTS), 0);
    agent_run(BEAT);
    agent_answer(WEIR_COORD_BEAT);
    ck_assert_uint_eq(agent_open(WEIR_COORD_EVENTS), 1);
}
END_TEST

/* Such as what was told between their answer and the moment from which pushes come. */
START_TEST(test_pushes_that_may_be_lost_have_them_asked_for_again)
{
    static const struct weir_coord_push gap = {.kind = WEIR_COORD_PUSH_GAP};
    weir_cluster_agent_push(f.agent, f.now_ms, &gap);
    agent_serve(2 * BEAT);
    ck_assert_uint_eq(sent(WEIR_COORD_EVENTS), 2);
    agent_serve(100 * BEAT);
    ck_assert_uint_eq(sent(WEIR_COORD_EVENTS), 2);
}
END_TEST

CHECK_MAIN("cluster_agent_events", join, teardown, test_an_opened_circuit_is_told_once,
           test_a_circuit_that_another_node_has_opened_is_not_told_by_this_one, test_half_open_and_closed_are_told,
           test_a_cooldown_is_told_once_however_often_it_is_drawn_out, test_who_is_not_monitored_is_not_told_of,
           test_the_longest_names_fit, test_the_last_events_are_asked_for_once, test_not_before_it_has_joined,
           test_they_are_heard_when_contact_is_back, test_an_answer_that_did_not_come_is_asked_for_with_the_next_beat,
           test_pushes_that_may_be_lost_have_them_asked_for_again)
