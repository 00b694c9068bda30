#include <math.h>

#include "check_main.h"
#include "helper_advisor.h"

START_TEST(test_steady)
{
    advised_run(200, 250);
    ck_assert_int_eq(advised.hints.action, WEIR_ADVISOR_HOLD);
    ck_assert_uint_eq(advised.hints.desired_nodes, 3);
    ck_assert_uint_eq(advised.changes, 0);
    ck_assert(fabs(advised.hints.in_flight.ahead.peak - 250) < 5 && fabs(advised.hints.requests_s.now - 125) < 1);
    ck_assert_uint_eq(advised.hints.valid_until_ms, advised.hints.at_ms + 180000);
    ck_assert_uint_eq(advised.hints.window_ms, WINDOW_MS);
    ck_assert_uint_eq(advised.hints.safe_concurrency, 100);
}
END_TEST

/* Up at once after a long rest, then not again before the cooldown is over. */
START_TEST(test_up_once_per_cooldown)
{
    advised_run(200, 250);
    advised_run(40, 450);
    ck_assert_int_eq(advised.hints.action, WEIR_ADVISOR_SCALE_UP);
    ck_assert_uint_ge(advised.hints.desired_nodes, 5);
    advised.changes = 0;
    uint64_t first = advised.slot;
    while (advised.slot < first + 400) {
        uint32_t desired = advised.hints.desired_nodes;
        uint64_t since = advised.hints.since_ms;
        advised_run(1, 450 + 3 * (double)(advised.slot - first));
        if (advised.hints.desired_nodes != desired) {
            ck_assert_uint_ge(advised.hints.since_ms, since + COOLDOWN_MS);
            ck_assert_uint_eq(advised.hints.since_ms, advised.slot * SLOT_MS);
        }
    }
    ck_assert_uint_ge(advised.changes, 5);
    ck_assert_uint_le(advised.changes, 400 / COOLDOWN + 1);
    ck_assert_uint_ge(advised.hints.desired_nodes, 14);
}
END_TEST

/* Refusals, a node at its limits, or an alert: the cooldown does not hold more nodes back. */
START_TEST(test_pain_is_exempt_from_the_cooldown)
{
    for (int kind = 0; kind < 4; kind++) {
        advised_end();
        advised_begin();
        advised_run(200, 250);
        advised_run(40, 450);
        uint32_t desired = advised.hints.desired_nodes;
        advised.nodes = desired;
        advised.changes = 0;
        advised.advisor.changed_ms = advised.slot * SLOT_MS; /* as if it were new */
        struct weir_load_point *p = advised_begin_slot(4000);
        p->refused = kind == 1;
        p->hurting = kind == 2;
        advised.last.utilization_pct = kind == 3 ? WEIR_LOAD_FULL_PERCENT : WEIR_LOAD_FULL_PERCENT - 1;
        advised_end_slot();
        ck_assert_uint_eq(advised.changes, kind != 0);
        ck_assert(kind == 0 ? advised.hints.desired_nodes == desired : advised.hints.desired_nodes >= 40);
        ck_assert_int_eq(advised.hints.action, kind == 0 ? WEIR_ADVISOR_HOLD : WEIR_ADVISOR_SCALE_UP);
    }
}
END_TEST

/* Full nodes, and a forecast that wants no more: one more, and another one when that did not help for a cooldown. */
START_TEST(test_full_nodes_want_one_more)
{
    advised_run(100, 250);
    advised.changes = 0;
    for (int i = 0; i < 20; i++) {
        advised_begin_slot(250);
        advised.last.utilization_pct = 90;
        advised_end_slot();
        ck_assert_uint_eq(advised.hints.desired_nodes, 4);
    }
    advised.nodes = 4;
    for (uint64_t i = 0; i < COOLDOWN; i++) {
        advised_begin_slot(250);
        advised.last.utilization_pct = 90;
        advised_end_slot();
    }
    ck_assert_uint_eq(advised.hints.desired_nodes, 5);
    ck_assert_uint_eq(advised.changes, 2);
    for (int i = 0; i < 50; i++) { /* nobody adds one: no more is asked for */
        advised_begin_slot(250);
        advised.last.utilization_pct = 90;
        advised_end_slot();
    }
    ck_assert_uint_eq(advised.hints.desired_nodes, 5);
    for (int i = 0; i < 50; i++) { /* refusals alone are not cured by nodes */
        struct weir_load_point *p = advised_begin_slot(250);
        p->refused = 9;
        advised.nodes = 5;
        advised_end_slot();
    }
    ck_assert_uint_le(advised.hints.desired_nodes, 5);
}
END_TEST

/* A lower load must have been low, over the whole window ahead, for a whole cooldown. */
START_TEST(test_down_only_after_the_whole_window_agrees)
{
    advised.nodes = 8;
    advised_run(200, 750);
    ck_assert_int_eq(advised.hints.action, WEIR_ADVISOR_HOLD);
    ck_assert_uint_ge(advised.hints.desired_nodes, 8);
    advised.nodes = advised.hints.desired_nodes;
    uint32_t before = advised.nodes;
    uint64_t lower_from = 0;
    advised.changes = 0;
    for (uint64_t i = 0; i < 500 && advised.hints.desired_nodes == before; i++) {
        advised_run(1, 150);
        double needed = ceil(advised.hints.in_flight.ahead.peak_high * 1.1 / 100);
        if (needed >= before)
            lower_from = 0;
        else if (lower_from == 0)
            lower_from = advised.slot;
    }
    ck_assert_uint_lt(advised.hints.desired_nodes, before);
    ck_assert_int_eq(advised.hints.action, WEIR_ADVISOR_SCALE_DOWN);
    ck_assert_uint_ge(advised.slot, lower_from + COOLDOWN);
    advised_run(600, 150);
    ck_assert_uint_ge(advised.hints.desired_nodes, 2);
    ck_assert_uint_le(advised.hints.desired_nodes, 3);
    ck_assert_uint_le(advised.changes, 1 + 600 / COOLDOWN);
}
END_TEST

/* A client that is over its rate limit is refused at any time of the day: no number of nodes changes that. */
START_TEST(test_refusals_keep_no_nodes)
{
    advised.nodes = 8;
    advised_run(200, 750);
    uint32_t before = advised.nodes = advised.hints.desired_nodes;
    for (uint64_t i = 0; i < 500; i++) {
        advised_begin_slot(150)->refused = 3;
        advised_end_slot();
    }
    ck_assert_uint_lt(advised.hints.desired_nodes, before / 2);
    advised_run(200, 750);
    before = advised.nodes = advised.hints.desired_nodes;
    for (uint64_t i = 0; i < 500; i++) { /* one that is full, or an alert, does keep them */
        advised_begin_slot(150)->hurting = i % 2;
        advised.last.utilization_pct = i % 2 == 0 ? WEIR_LOAD_FULL_PERCENT : 0;
        advised_end_slot();
        ck_assert_uint_ge(advised.hints.desired_nodes, before);
    }
}
END_TEST

/* One high value within the cooldown begins it anew. */
START_TEST(test_a_peak_in_between_keeps_the_nodes)
{
    advised.nodes = 8;
    advised_run(300, 780);
    uint32_t before = advised.hints.desired_nodes;
    for (int i = 0; i < 40; i++) {
        advised_run(COOLDOWN - 5, 300);
        advised_run(3, 780);
    }
    ck_assert_uint_ge(advised.hints.desired_nodes, before);
}
END_TEST

/* As many stay as were needed at most while it was waited. */
START_TEST(test_fewer_but_not_fewer_than_were_needed)
{
    advised.nodes = 20;
    advised_run(200, 100);
    weir_advisor_recall(&advised.advisor, 20, advised.slot * SLOT_MS);
    advised.advisor.fewer_from_ms = 0;
    advised_run(3, 100);
    ck_assert_uint_le(advised.advisor.fewer_most, 3);
    advised_run(1, 400);
    ck_assert_uint_eq(advised.hints.desired_nodes, 20);
    advised_run(COOLDOWN, 100);
    ck_assert_uint_ge(advised.hints.desired_nodes, 5);
    ck_assert_uint_lt(advised.hints.desired_nodes, 20);
}
END_TEST

/* Around a bound: a load that needs now a little more, now a little less than five nodes. */
START_TEST(test_no_flapping_around_a_bound)
{
    advised.nodes = 5;
    for (uint64_t i = 0; i < 3000; i++)
        advised_run(1, 485 + 25 * sin((double)i / 20));
    ck_assert_uint_le(advised.changes, 2);
}
END_TEST

START_TEST(test_too_little_is_known)
{
    advised_run(WEIR_ADVISOR_SEEN_MIN - 1, 900);
    ck_assert_uint_eq(advised.hints.desired_nodes, 3);
    ck_assert_str_eq(advised.hints.reason, "too little history: 11 of 12 steps of 10 s");
    advised_run(20, 900);
    ck_assert_uint_ge(advised.hints.desired_nodes, 9);
    advised.slot += 100; /* nobody tells any more */
    advised.nodes = 4;
    for (uint64_t i = 0; i <= COOLDOWN; i++, advised.slot++) {
        ck_assert(i == 0 || advised.hints.desired_nodes >= 9);
        advised_look();
    }
    ck_assert_str_eq(advised.hints.reason, "no recent history");
    ck_assert_uint_eq(advised.hints.desired_nodes, 4);
    ck_assert_int_eq(advised.hints.action, WEIR_ADVISOR_HOLD);
    advised.advisor.config.safe_concurrency = 0;
    advised_run(30, 900);
    ck_assert_str_eq(advised.hints.reason, "what a node carries is not known yet");
    ck_assert_uint_eq(advised.hints.desired_nodes, 4);
    advised_begin_slot(900);
    advised.last.utilization_pct = 100;
    advised_end_slot();
    ck_assert_uint_eq(advised.hints.desired_nodes, 5); /* full nodes need no forecast */
}
END_TEST

/* A load too small to tell what a node carries, and nodes that are restarted one after the other: an autoscaler that
 * follows the advice must not take each away that is down for a moment. */
START_TEST(test_a_restart_is_no_reason_for_fewer)
{
    advised.advisor.config.safe_concurrency = 0;
    advised_run(100, 5);
    for (int i = 0; i < 12; i++) {
        advised.nodes = 2;
        advised_run(COOLDOWN / 2, 5);
        ck_assert_uint_eq(advised.hints.desired_nodes, 3);
        ck_assert_int_eq(advised.hints.action, WEIR_ADVISOR_SCALE_UP);
        advised.nodes = 3;
        advised_run(2, 5);
        ck_assert_int_eq(advised.hints.action, WEIR_ADVISOR_HOLD);
    }
    ck_assert_uint_eq(advised.changes, 0);
    advised.nodes = 5; /* more are taken as meant at once, fewer when they stay fewer */
    advised_run(1, 5);
    ck_assert_uint_eq(advised.hints.desired_nodes, 5);
    advised.nodes = 2;
    advised_run(COOLDOWN, 5);
    ck_assert_uint_eq(advised.hints.desired_nodes, 5);
    advised_run(1, 5);
    ck_assert_uint_eq(advised.hints.desired_nodes, 2);
    ck_assert_int_eq(advised.hints.action, WEIR_ADVISOR_HOLD);
}
END_TEST

START_TEST(test_nodes_that_came_without_advice)
{
    advised_run(200, 250);
    advised.nodes = 6;
    advised_run(1, 250);
    ck_assert_int_eq(advised.hints.action, WEIR_ADVISOR_HOLD);
    advised_run(COOLDOWN - 2, 250);
    ck_assert_int_eq(advised.hints.action, WEIR_ADVISOR_HOLD);
    advised_run(2, 250);
    ck_assert_int_eq(advised.hints.action, WEIR_ADVISOR_SCALE_DOWN);
    advised.nodes = 2; /* one is lost: what was advised still holds */
    advised_run(1, 250);
    ck_assert_int_eq(advised.hints.action, WEIR_ADVISOR_SCALE_UP);
    ck_assert_uint_eq(advised.hints.desired_nodes, 3);
}
END_TEST

/* Another leader goes on with the advice before it, and its cooldown. */
START_TEST(test_recall)
{
    advised_run(200, 250);
    weir_advisor_recall(&advised.advisor, 7, advised.slot * SLOT_MS);
    advised_run(1, 250);
    ck_assert_uint_eq(advised.hints.desired_nodes, 7);
    advised_run(1, 900);
    ck_assert_uint_eq(advised.hints.desired_nodes, 7);
    weir_advisor_recall(&advised.advisor, WEIR_CLUSTER_NODES_MAX + 1, 0);
    advised_run(1, 250);
    ck_assert_uint_lt(advised.hints.desired_nodes, 7);
    weir_advisor_recall(&advised.advisor, 3, UINT64_MAX / 2); /* a clock that was ahead holds nothing up for ever */
    advised_run(40, 900);
    ck_assert_uint_ge(advised.hints.desired_nodes, 9);
}
END_TEST

START_TEST(test_pools_and_clocks)
{
    advised_run(100, 100);
    ck_assert_uint_eq(advised.hints.count, 1);
    const struct weir_hints_provider *p = &advised.hints.providers[0];
    ck_assert_str_eq(p->provider, "openai");
    ck_assert_uint_eq(p->pool_size_now, 150); /* 50 a second, 2 s each, and half as much again */
    ck_assert_uint_ge(p->pool_size, 150);
    ck_assert_uint_le(p->pool_size, 170);
    ck_assert_double_eq(p->timeouts.connect_s, 5);
    ck_assert_double_eq(p->timeouts.read_s, 48);
    ck_assert_double_eq(p->timeouts.total_s, 58);
    advised_begin_slot(10);
    weir_load_record_item(&advised.last, WEIR_STR("another"))->point.requests = 1;
    advised_end_slot();
    ck_assert_uint_eq(advised.hints.count, 2);
    ck_assert_str_eq(advised.hints.providers[0].provider, "another"); /* by name */
    ck_assert_uint_eq(advised.hints.providers[0].pool_size, 0);
    ck_assert_double_eq(advised.hints.providers[0].timeouts.read_s, 24);
}
END_TEST

START_TEST(test_news)
{
    advised_run(100, 100);
    struct weir_hints before = advised.hints;
    ck_assert(!weir_hints_news(&advised.hints, &before));
    advised.hints.at_ms += 59999;
    ck_assert(!weir_hints_news(&advised.hints, &before));
    advised.hints.at_ms++;
    ck_assert(weir_hints_news(&advised.hints, &before));
    advised.hints = before;
    advised.hints.desired_nodes++;
    ck_assert(weir_hints_news(&advised.hints, &before));
    advised.hints = before;
    advised.hints.providers[0].pool_size += advised.hints.providers[0].pool_size / 10;
    ck_assert(!weir_hints_news(&advised.hints, &before));
    advised.hints.providers[0].pool_size += 2;
    ck_assert(weir_hints_news(&advised.hints, &before));
    advised.hints = before;
    advised.hints.providers[0].provider[0] = 'x';
    ck_assert(weir_hints_news(&advised.hints, &before));
}
END_TEST

CHECK_MAIN("advisor", advised_begin, advised_end, test_steady, test_up_once_per_cooldown,
           test_pain_is_exempt_from_the_cooldown, test_full_nodes_want_one_more,
           test_down_only_after_the_whole_window_agrees, test_refusals_keep_no_nodes,
           test_a_peak_in_between_keeps_the_nodes, test_fewer_but_not_fewer_than_were_needed,
           test_no_flapping_around_a_bound, test_too_little_is_known, test_a_restart_is_no_reason_for_fewer,
           test_nodes_that_came_without_advice, test_recall, test_pools_and_clocks, test_news)
