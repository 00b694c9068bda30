/* What a node's agent does with the load history and with advice. */
#include <stdio.h>
#include <string.h>

#include "check_main.h"
#include "helper_cluster_agent.h"

#define SLOT UINT64_C(10000)
/* The next end of a slot on the store's clock, from a multiple of it on. */
#define FIRST ((STORE_MS + FAILOVER + BEAT) / SLOT + 1)

static uint32_t appends(void)
{
    return (uint32_t)weir_cluster_agent_counts(f.agent)->requests[WEIR_COORD_APPEND];
}

static void join_with(uint64_t slot_ms, bool follow_hints)
{
    agent_setup_with(slot_ms, follow_hints);
    (void)agent_member("a");
    agent_member("b")->instance = 4711;
    agent_join();
    (void)snprintf(f.load, sizeof f.load, "seen");
}

static void setup(void)
{
    join_with(SLOT, true);
}

/* -- load -- */

/* To the end of the slot under way, and as long as a record may take from there. */
static void pass_slot(void)
{
    agent_serve(SLOT - (STORE_MS + f.now_ms - START) % SLOT + SLOT / 4);
}

START_TEST(test_each_slot_that_was_seen_whole_is_told_once)
{
    pass_slot(); /* the node came in its midst */
    ck_assert_uint_eq(appends(), 0);
    ck_assert_uint_eq(f.load_slot, 0);
    agent_serve(SLOT - SLOT / 4 - 1);
    ck_assert_uint_eq(f.load_slot, 0);
    agent_serve(1); /* to the millisecond on the store's clock */
    ck_assert_uint_eq(f.load_slot, FIRST);
    agent_serve(SLOT / 4);
    ck_assert_uint_eq(appends(), 1);
    ck_assert_str_eq(f.appended, "seen");
    agent_answer(WEIR_COORD_APPEND);
    pass_slot();
    ck_assert_uint_eq(f.load_slot, FIRST + 1);
    agent_answer(WEIR_COORD_APPEND);
    agent_serve(SLOT / 2);
    ck_assert_uint_eq(appends(), 2);
}
END_TEST

START_TEST(test_nodes_tell_at_their_own_moments)
{
    uint64_t spread = weir_coord_node_number("b") % (SLOT / 4 + 1);
    pass_slot();
    agent_serve(SLOT - SLOT / 4);
    ck_assert_uint_gt(spread, 0);
    agent_serve(spread - 1);
    ck_assert_uint_eq(appends(), 0);
    agent_serve(1);
    ck_assert_uint_eq(appends(), 1);
}
END_TEST

START_TEST(test_nothing_seen_is_not_told)
{
    f.load[0] = '\0';
    for (int i = 0; i < 3; i++)
        pass_slot();
    ck_assert_uint_eq(f.load_slot, FIRST + 1);
    ck_assert_uint_eq(appends(), 0);
}
END_TEST

START_TEST(test_a_few_slots_are_kept_for_a_store_that_is_away)
{
    pass_slot();
    weir_cluster_agent_contact(f.agent, f.now_ms, false, "gone");
    for (unsigned i = 1; i <= 6; i++) {
        (void)snprintf(f.load, sizeof f.load, "%u", i);
        agent_run(SLOT);
    }
    ck_assert_uint_eq(appends(), 0);
    f.sent_count = 0;
    weir_cluster_agent_contact(f.agent, f.now_ms, true, NULL);
    agent_serve(SLOT / 4);
    for (unsigned i = 3; i <= 6; i++) {
        char text[8];
        (void)snprintf(text, sizeof text, "%u", i);
        ck_assert_str_eq(f.appended, text);
        agent_answer(WEIR_COORD_APPEND);
    }
    ck_assert_uint_eq(agent_open(WEIR_COORD_APPEND), 0);
}
END_TEST

START_TEST(test_what_brought_no_answer_is_told_again)
{
    pass_slot();
    pass_slot();
    agent_fail(WEIR_COORD_APPEND, WEIR_COORD_AWAY);
    ck_assert_uint_eq(agent_open(WEIR_COORD_APPEND), 0);
    (void)snprintf(f.load, sizeof f.load, "later");
    agent_serve(BEAT);
    ck_assert_uint_eq(agent_open(WEIR_COORD_APPEND), 1);
    ck_assert_str_eq(f.appended, "seen");
    agent_fail(WEIR_COORD_APPEND, WEIR_COORD_SCHEMA_NEWER); /* of no use there: dropped */
    agent_serve(2 * BEAT);
    ck_assert_uint_eq(agent_open(WEIR_COORD_APPEND), 0);
}
END_TEST

START_TEST(test_a_pause_is_not_told_as_one_slot)
{
    pass_slot();
    f.now_ms += 3 * SLOT; /* the process slept */
    agent_serve(SLOT / 2);
    ck_assert_uint_eq(f.load_slot, 0);
    ck_assert_uint_eq(appends(), 0);
    pass_slot();
    pass_slot();
    ck_assert_uint_ge(appends(), 1);
}
END_TEST

START_TEST(test_without_a_history_nothing_is_told)
{
    agent_teardown();
    join_with(0, false);
    f.load_slot = 99;
    agent_serve(10 * SLOT);
    ck_assert_uint_eq(appends(), 0);
    ck_assert_uint_eq(f.load_slot, 99);
}
END_TEST

START_TEST(test_another_interval_begins_anew)
{
    struct weir_err err;
    pass_slot();
    pass_slot();
    ck_assert_uint_eq(agent_open(WEIR_COORD_APPEND), 1);
    f.config.load_slot_ms = SLOT / 10;
    ck_assert_int_eq(weir_cluster_agent_set(f.agent, &f.config, f.now_ms, &err), 0);
    agent_answer(WEIR_COORD_APPEND); /* of the interval before: nothing follows from it */
    agent_serve(SLOT / 10 * 3);
    ck_assert_uint_eq(agent_open(WEIR_COORD_APPEND), 1);
    ck_assert_uint_ge(f.load_slot, FIRST * 10);
}
END_TEST

START_TEST(test_an_idle_node_asks_little)
{
    const uint64_t *requests = weir_cluster_agent_counts(f.agent)->requests;
    uint64_t before = 0, after = 0;
    for (int op = 0; op < WEIR_COORD_OPS; op++)
        before += requests[op];
    for (unsigned i = 0; i < 60; i++) {
        agent_serve(BEAT);
        while (agent_open(WEIR_COORD_APPEND) > 0)
            agent_answer(WEIR_COORD_APPEND);
    }
    for (int op = 0; op < WEIR_COORD_OPS; op++)
        after += requests[op];
    ck_assert_uint_le(after - before, 70); /* a beat a second, a record each ten */
}
END_TEST

/* -- advice -- */

static void advise(uint64_t version, const char *hints)
{
    f.advice = (struct weir_coord_advice_reply){.version = version, .leader = "k", .hints = weir_str_of(hints)};
    f.store.advice_version = version;
}

START_TEST(test_newer_advice_is_fetched_once)
{
    advise(3, "{3}");
    agent_serve(2 * BEAT);
    ck_assert(!f.whole);
    agent_answer(WEIR_COORD_ADVICE);
    ck_assert_str_eq(agent_log(), "advice:{3}");
    ck_assert_uint_eq(f.last.store_ms, STORE_MS + f.now_ms - START);
    agent_serve(10 * BEAT);
    ck_assert_uint_eq(agent_open(WEIR_COORD_ADVICE), 0);
    advise(1, "{1}"); /* the store began anew */
    agent_serve(2 * BEAT);
    agent_answer(WEIR_COORD_ADVICE);
    ck_assert_str_eq(agent_log(), "advice:{1}");
    advise(0, ""); /* and lost that: what was advised holds until its time is over */
    agent_serve(2 * BEAT);
    ck_assert_uint_eq(agent_open(WEIR_COORD_ADVICE), 0);
    ck_assert_str_eq(agent_log(), "");
}
END_TEST

/* Versions are counted anew: what has the number of the last advice is another one. */
START_TEST(test_advice_of_a_store_that_was_emptied_is_fetched)
{
    advise(1, "{before}");
    agent_serve(2 * BEAT);
    agent_answer(WEIR_COORD_ADVICE);
    ck_assert_str_eq(agent_log(), "advice:{before}");
    f.store.incarnation = 8;
    advise(1, "{after}");
    agent_serve(2 * BEAT);
    (void)agent_log();
    agent_answer(WEIR_COORD_ADVICE);
    ck_assert_str_eq(agent_log(), "advice:{after}");
}
END_TEST

START_TEST(test_pushed_advice_is_fetched_before_the_next_beat)
{
    struct weir_coord_push p = {.kind = WEIR_COORD_PUSH_HINTS, .advice_version = 8};
    uint64_t spread = weir_coord_node_number("b") % 500;
    weir_cluster_agent_push(f.agent, f.now_ms, &p);
    weir_cluster_agent_push(f.agent, f.now_ms, &p);
    ck_assert_uint_gt(spread, 0);
    agent_run(spread - 1);
    ck_assert_uint_eq(agent_open(WEIR_COORD_ADVICE), 0);
    agent_run(1);
    ck_assert_uint_eq(agent_open(WEIR_COORD_ADVICE), 1);
}
END_TEST

START_TEST(test_advice_that_could_not_be_had_is_asked_for_again)
{
    advise(3, "{3}");
    agent_serve(2 * BEAT);
    agent_fail(WEIR_COORD_ADVICE, WEIR_COORD_AWAY);
    agent_serve(2 * BEAT);
    agent_answer(WEIR_COORD_ADVICE);
    ck_assert_str_eq(agent_log(), "advice:{3}");
}
END_TEST

START_TEST(test_who_looks_gets_the_analytics)
{
    agent_serve(BEAT);
    ck_assert(weir_cluster_agent_look_advice(f.agent, f.now_ms));
    ck_assert(weir_cluster_agent_look_advice(f.agent, f.now_ms)); /* the same answer will do */
    ck_assert_uint_eq(agent_open(WEIR_COORD_ADVICE), 1);
    ck_assert(f.whole);
    advise(3, "{3}");
    agent_answer(WEIR_COORD_ADVICE);
    ck_assert_str_eq(agent_log(), "advice:{3}");
    ck_assert(!weir_cluster_agent_look_advice(f.agent, f.now_ms)); /* it is not a second old */
    weir_cluster_agent_contact(f.agent, f.now_ms, false, "gone");
    f.now_ms += 2 * BEAT;
    ck_assert(!weir_cluster_agent_look_advice(f.agent, f.now_ms));
}
END_TEST

START_TEST(test_who_follows_no_hints_does_not_ask)
{
    struct weir_err err;
    agent_teardown();
    join_with(SLOT, false);
    advise(3, "{3}");
    agent_serve(3 * BEAT);
    ck_assert_uint_eq(agent_open(WEIR_COORD_ADVICE), 0);
    f.config.follow_hints = true;
    ck_assert_int_eq(weir_cluster_agent_set(f.agent, &f.config, f.now_ms, &err), 0);
    agent_serve(2 * BEAT);
    ck_assert_uint_eq(agent_open(WEIR_COORD_ADVICE), 1);
}
END_TEST

CHECK_MAIN("cluster_agent_load", setup, agent_teardown, test_each_slot_that_was_seen_whole_is_told_once,
           test_nodes_tell_at_their_own_moments, test_nothing_seen_is_not_told,
           test_a_few_slots_are_kept_for_a_store_that_is_away, test_what_brought_no_answer_is_told_again,
           test_a_pause_is_not_told_as_one_slot, test_without_a_history_nothing_is_told,
           test_another_interval_begins_anew, test_an_idle_node_asks_little, test_newer_advice_is_fetched_once,
           test_advice_of_a_store_that_was_emptied_is_fetched, test_pushed_advice_is_fetched_before_the_next_beat,
           test_advice_that_could_not_be_had_is_asked_for_again, test_who_looks_gets_the_analytics,
           test_who_follows_no_hints_does_not_ask)
