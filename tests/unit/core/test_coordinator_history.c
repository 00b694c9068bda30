/* The load history and the advice of coordinators. */
#include <stdlib.h>
#include <string.h>

#include "check_main.h"
#include "helper_coordinator.h"

START_TEST(test_load_is_folded_and_advice_given)
{
    uint64_t newest;
    told_run(130, "abc");
    uint32_t slots = told_points(0, &newest);
    ck_assert(slots >= 120 && slots <= 130);
    ck_assert_uint_eq(newest, told_slot_now() - 2); /* the one before it is open until its half */
    ck_assert_uint_ge(told_points(1, NULL), 19);
    ck_assert_uint_ge(told_points(2, NULL), 1);
    ck_assert(told_look(0).history.on);
    ck_assert_uint_ge(told_look(0).history.seen, 100);
    ck_assert_uint_eq(told_look(0).history.unreadable + told_look(0).history.records.late, 0);
    ck_assert_int_eq(told_published("desired_nodes"), 3);
    ck_assert_int_eq(told_published("nodes"), 3);
    struct weir_coord_reply r =
        told_ask_store((struct weir_coord_request){.op = WEIR_COORD_ADVICE, .advice_whole = true});
    ck_assert_uint_gt(r.advice.analytics.len, 100);
    ck_assert_uint_eq(told.k[0].advised, 1);
    told.in_flight = 130;
    told_run(60, "abc");
    ck_assert_int_ge(told_published("desired_nodes"), 4);
    ck_assert_uint_ge(told.k[0].advised, 2);
    ck_assert_uint_le(told.k[0].sent[WEIR_COORD_LOADS], 192);
    ck_assert_uint_le(told.k[0].sent[WEIR_COORD_ADVISE], 30);
}
END_TEST

/* The standby knows what the leader knew: no point is missing or twice, and the advice goes on. */
START_TEST(test_a_standby_goes_on)
{
    told_begin(&told.k[1], "k1");
    told_run(100, "abc");
    told.in_flight = 130;
    told_run(30, "abc");
    ck_assert_uint_eq(
        told.k[1].sent[WEIR_COORD_LOADS] + told.k[1].sent[WEIR_COORD_SERIES] + told.k[1].sent[WEIR_COORD_FOLD], 0);
    uint64_t seen = told_look(0).history.seen;
    json_int_t desired = told_published("desired_nodes"), since = told_published("since_unix_ms");
    uint32_t slots = told_points(0, NULL);
    ck_assert_int_ge(desired, 4);
    told_end(&told.k[0]);
    told_run(10, "abc");
    ck_assert(told_look(1).leads && told_look(1).history.on);
    ck_assert_uint_eq(told_points(0, NULL), slots + 10); /* what nodes told while nobody led, too */
    ck_assert_uint_ge(told_look(1).history.seen, seen + 9);
    ck_assert(told_published("since_unix_ms") == since ? told_published("desired_nodes") == desired
                                                       : told_published("since_unix_ms") >= since + 10000);
    ck_assert_uint_ge(told_points(1, NULL), 22);
}
END_TEST

/* The leader's process stands still with requests on their way: what it asked comes to the store after another one
 * has taken the lead, and is refused there. */
START_TEST(test_a_paused_leader_changes_nothing)
{
    told_begin(&told.k[1], "k1");
    told_run(60, "abc");
    struct weir_coord_request fold = {
        .op = WEIR_COORD_FOLD,
        .fold = {
            .id = "k0", .token = told_look(0).token, .step = 0, .step_ms = SLOT_MS, .text = WEIR_STR("weir-load 1\n")}};
    struct weir_coord_request advise = {.op = WEIR_COORD_ADVISE,
                                        .advise = {.id = "k0", .token = told_look(0).token, .hints = WEIR_STR("{}")}};
    told.k[0].paused = true;
    told_run(30, "abc");
    ck_assert(told_look(1).leads);
    fold.fold.number = told_slot_now() - 1;
    ck_assert_int_eq(told_ask_store(fold).word, WEIR_COORD_STALE);
    ck_assert_int_eq(told_ask_store(advise).word, WEIR_COORD_STALE);
    told.k[0].paused = false;
    told_run(10, "abc");
    ck_assert(!told_look(0).leads && !told_look(0).history.on && told_look(1).leads);
    ck_assert_int_eq(told_published("desired_nodes"), 3);
    ck_assert_uint_ge(told_points(0, NULL), 95);
}
END_TEST

/* The store takes the lead away while the holder believes in it: the first refusal makes it ask. */
START_TEST(test_a_refusal_makes_it_ask)
{
    told_run(60, "abc");
    struct weir_coord_reply r = told_ask_store((struct weir_coord_request){
        .op = WEIR_COORD_RESIGN,
        .resign = {.id = "k0", .lease_ms = told.config.lease_ms, .token = told_look(0).token}});
    ck_assert_int_eq(r.word, WEIR_COORD_OK);
    r = told_ask_store((struct weir_coord_request){.op = WEIR_COORD_LEAD, .lead = {.id = "k9", .lease_ms = 60000}});
    ck_assert_int_eq(r.word, WEIR_COORD_OK);
    told_run(2, "abc");
    ck_assert(!told_look(0).leads);
    ck_assert_str_eq(told_look(0).leader, "k9");
}
END_TEST

START_TEST(test_the_store_away)
{
    told_run(60, "abc");
    uint32_t slots = told_points(0, NULL);
    told.away = true;
    told_run(20, "");
    ck_assert(!told_look(0).history.on);
    told.away = false;
    told_run(20, "abc");
    ck_assert(told_look(0).history.on);
    ck_assert(told_points(0, NULL) >= slots + 15 && told_points(0, NULL) <= slots + 20);
    ck_assert_uint_ge(told_look(0).history.seen, 70);
}
END_TEST

/* Slots of a time to come are there then, and nodes tell of earlier ones. */
START_TEST(test_a_clock_that_was_set_back)
{
    told_run(60, "abc");
    told.ahead_ms -= 3600 * 1000;
    told.in_flight = 150;
    told_run(30, "abc");
    ck_assert_uint_ge(told_look(0).history.seen, 20);
    ck_assert_int_eq(told_published("desired_nodes"), 5);
    told.ahead_ms += 3600 * 1000;
    told_run(30, "abc");
    ck_assert_uint_ge(told_look(0).history.seen, 40);
    ck_assert_int_eq(told_published("desired_nodes"), 5);
}
END_TEST

START_TEST(test_a_store_that_was_emptied)
{
    told_run(60, "abc");
    weir_coord_state_free(&told.store);
    told.store = weir_coord_state_new();
    told_run(30, "abc");
    ck_assert_uint_ge(told_points(0, NULL), 20);
    ck_assert_int_eq(told_published("desired_nodes"), 3);
}
END_TEST

/* Nodes come back one after the other: their number is no advice before all had the time to. */
START_TEST(test_a_new_leader_of_a_store_that_was_emptied)
{
    told_run(60, "abc");
    told_end(&told.k[0]);
    weir_coord_state_free(&told.store);
    told.store = weir_coord_state_new();
    told_begin(&told.k[1], "k1");
    told_run(2, "a");
    ck_assert(told_look(1).leads);
    ck_assert_int_eq(told_published("desired_nodes"), -1);
    told_run(8, "abc");
    ck_assert_int_eq(told_published("desired_nodes"), 3);
}
END_TEST

/* Records of whoever writes into the stream: they are counted, and what is good goes on. */
START_TEST(test_records_that_are_none)
{
    static const char *const bad[] = {"x", "weir-load 1\n", "weir-load 1 node=a slot=18446744073709551616 nodes=1\n",
                                      "weir-load 1 node=zz slot=600000000000 nodes=1\nprovider p in_flight_peak=9\n",
                                      "weir-load 1 node=z slot=1 nodes=900\nprovider p requests=999999999\n"};
    told_run(20, "abc");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        told_append(weir_str_of(bad[i]));
    told_run(40, "abc");
    ck_assert_uint_eq(told_look(0).history.unreadable, 4);
    ck_assert_uint_eq(told_look(0).history.records.early, 1);
    ck_assert(told_points(0, NULL) >= 50 && told_points(0, NULL) <= 60);
    ck_assert_int_eq(told_published("desired_nodes"), 3);
}
END_TEST

/* Points that another program wrote into the series are passed over by a new leader. */
START_TEST(test_points_that_are_none)
{
    told_run(1, "abc");
    struct weir_coord_request fold = {
        .op = WEIR_COORD_FOLD, .fold = {.id = "k0", .token = told_look(0).token, .step = 1, .step_ms = 6 * SLOT_MS}};
    fold.fold.number = told_slot_now() / 6 - 1;
    fold.fold.text = WEIR_STR("weir-load 1 slot=5\nprovider p requests=7\n");
    ck_assert_int_eq(told_ask_store(fold).word, WEIR_COORD_OK);
    fold.fold.step = 2;
    fold.fold.step_ms = 60 * SLOT_MS;
    fold.fold.number = told_slot_now() / 60 - 1;
    fold.fold.text = WEIR_STR("no record");
    ck_assert_int_eq(told_ask_store(fold).word, WEIR_COORD_OK);
    told_run(50, "abc");
    told_begin(&told.k[1], "k1");
    told_end(&told.k[0]);
    told_run(20, "abc");
    ck_assert(told_look(1).leads && told_look(1).history.on);
    ck_assert_uint_eq(told_look(1).history.unreadable, 2);
    ck_assert_uint_ge(told_look(1).history.seen, 40);
}
END_TEST

START_TEST(test_switched_off)
{
    struct weir_err err;
    told.config.id = "k0";
    told.config.history.hints = false;
    ck_assert_int_eq(weir_coordinator_agent_set(told.k[0].agent, &told.config, &err), 0);
    told_run(40, "abc");
    ck_assert_uint_ge(told_points(0, NULL), 30);
    ck_assert_int_eq(told_published("desired_nodes"), -1);
    struct weir_coord_reply r =
        told_ask_store((struct weir_coord_request){.op = WEIR_COORD_ADVICE, .advice_whole = true});
    ck_assert_uint_gt(r.advice.version, 0);
    ck_assert_uint_gt(r.advice.analytics.len, 0);
    ck_assert_uint_eq(told.k[0].advised, 0);
    told.config.history.history = false;
    ck_assert_int_eq(weir_coordinator_agent_set(told.k[0].agent, &told.config, &err), 0);
    uint32_t before = told.k[0].sent[WEIR_COORD_LOADS];
    told_run(10, "abc");
    ck_assert_uint_eq(told.k[0].sent[WEIR_COORD_LOADS], before);
    ck_assert(!told_look(0).history.on);
    told.config.history.history = told.config.history.hints = true;
    ck_assert_int_eq(weir_coordinator_agent_set(told.k[0].agent, &told.config, &err), 0);
    told_run(10, "abc");
    ck_assert(told_look(0).history.on);
    ck_assert_int_eq(told_published("desired_nodes"), 3);
}
END_TEST

/* Whoever switches hints off or on does not wait for the next ones to be due. */
START_TEST(test_hints_switched_at_once)
{
    struct weir_err err;
    told_run(40, "abc");
    told.config.id = "k0";
    for (int on = 0; on < 2; on++) {
        told.config.history.hints = on;
        ck_assert_int_eq(weir_coordinator_agent_set(told.k[0].agent, &told.config, &err), 0);
        told_run(2, "abc");
        ck_assert_int_eq(told_published("desired_nodes"), on ? 3 : -1);
    }
}
END_TEST

/* A slot of another length: series begin anew, and nobody takes the old ones for their own. */
START_TEST(test_another_slot)
{
    struct weir_err err;
    told_run(60, "abc");
    told.config.id = "k0";
    told.config.history.advisor.slot_ms = 2 * SLOT_MS;
    ck_assert_int_eq(weir_coordinator_agent_set(told.k[0].agent, &told.config, &err), 0);
    told_run(10, "abc"); /* nodes that have not reloaded: their slots are of another time */
    ck_assert(told_look(0).history.on);
    ck_assert_uint_eq(told_look(0).history.records.taken, 0);
    ck_assert_uint_eq(told_look(0).history.seen, 0);
}
END_TEST

CHECK_MAIN("coordinator_history", told_setup, told_teardown, test_load_is_folded_and_advice_given,
           test_a_standby_goes_on, test_a_paused_leader_changes_nothing, test_a_refusal_makes_it_ask,
           test_the_store_away, test_a_clock_that_was_set_back, test_a_store_that_was_emptied,
           test_a_new_leader_of_a_store_that_was_emptied, test_records_that_are_none, test_points_that_are_none,
           test_switched_off, test_hints_switched_at_once, test_another_slot)
