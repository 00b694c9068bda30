/* What a node's agent does with maps, circuits and limits. */
#include <stdio.h>

#include "check_main.h"
#include "helper_cluster_agent.h"

#define MAP(epoch, leader)                                                                                       \
    "weir-shard-map 1\nepoch " epoch "\nleader " leader "\nshards 4\nnodes 3\nnode a 1 0-1\nnode b 1 2\nnode c " \
    "1 3\n"

static const struct weir_cluster_sight *sight(void)
{
    return weir_cluster_agent_sight(f.agent);
}

static const struct weir_cluster_agent_counts *counts(void)
{
    return weir_cluster_agent_counts(f.agent);
}

static void join(void)
{
    agent_setup();
    (void)agent_member("a");
    agent_member("b")->instance = 4711;
    (void)agent_member("c");
    agent_join();
}

/* -- maps -- */

START_TEST(test_map_is_taken)
{
    agent_publish(3, "k", MAP("3", "k"));
    agent_serve(BEAT);
    ck_assert_str_eq(agent_log(), "map_taken:k shard_count_differs:k sight");
    ck_assert_uint_eq(sight()->epoch, 3);
    ck_assert_str_eq(sight()->leader, "k");
    ck_assert_uint_eq(sight()->shard_count, 4);
    ck_assert_uint_eq(sight()->owned_count, 1);
    ck_assert_str_eq(agent_owner(0), "a");
    ck_assert_str_eq(agent_owner(2), "b");
    ck_assert_str_eq(agent_owner(3), "c");
    agent_serve(BEAT);
    ck_assert_uint_eq(f.beat_self.epoch_seen, 3);
    agent_serve(10 * BEAT);
    ck_assert_str_eq(agent_log(), "");
}
END_TEST

START_TEST(test_a_pushed_map_is_asked_for_at_once)
{
    struct weir_coord_push p = {.kind = WEIR_COORD_PUSH_MAP, .map_epoch = 3};
    agent_publish(3, "k", MAP("3", "k"));
    weir_cluster_agent_push(f.agent, f.now_ms, &p);
    agent_answer(WEIR_COORD_MAP);
    ck_assert_uint_eq(sight()->epoch, 3);
}
END_TEST

START_TEST(test_a_map_that_a_peer_goes_by_is_asked_for_once)
{
    agent_publish(3, "k", MAP("3", "k"));
    weir_cluster_agent_epoch(f.agent, f.now_ms, 3);
    agent_answer(WEIR_COORD_MAP);
    ck_assert_uint_eq(sight()->epoch, 3);
    weir_cluster_agent_epoch(f.agent, f.now_ms, 3);
    weir_cluster_agent_epoch(f.agent, f.now_ms, 0);
    ck_assert_uint_eq(agent_open(WEIR_COORD_MAP), 0);
    /* One that the store does not have. */
    weir_cluster_agent_epoch(f.agent, f.now_ms, 4);
    agent_answer(WEIR_COORD_MAP);
    weir_cluster_agent_epoch(f.agent, f.now_ms, 4);
    ck_assert_uint_eq(agent_open(WEIR_COORD_MAP), 0);
    ck_assert_uint_eq(sight()->epoch, 3);
}
END_TEST

START_TEST(test_never_back)
{
    agent_publish(5, "k", MAP("5", "k"));
    agent_serve(BEAT);
    (void)agent_log();
    agent_publish(4, "k", MAP("4", "k"));
    agent_serve(2 * BEAT);
    ck_assert_str_eq(agent_log(), "map_refused:k");
    agent_publish(5, "j", MAP("5", "j"));
    agent_serve(2 * BEAT);
    ck_assert_uint_eq(sight()->epoch, 5);
    ck_assert_str_eq(sight()->leader, "k");
    agent_publish(5, "l", MAP("5", "l")); /* two leaders: the higher id wins everywhere */
    agent_serve(2 * BEAT);
    ck_assert_str_eq(sight()->leader, "l");
    f.store.incarnation = 9; /* not even from an empty store */
    agent_publish(0, "", "");
    agent_serve(2 * BEAT);
    ck_assert_uint_eq(sight()->epoch, 5);
    agent_publish(1, "z", MAP("1", "z"));
    agent_serve(2 * BEAT);
    ck_assert_uint_eq(sight()->epoch, 5);
    ck_assert_uint_eq(f.beat_self.epoch_seen, 5);
}
END_TEST

START_TEST(test_a_broken_map_is_refused)
{
    agent_publish(3, "k", "no map");
    agent_serve(3 * BEAT);
    ck_assert_str_eq(agent_log(), "map_refused:k");
    agent_publish(4, "k", MAP("3", "k"));
    agent_serve(3 * BEAT);
    ck_assert_str_eq(agent_log(), "map_refused:k");
    ck_assert_uint_eq(sight()->epoch, 0);
    ck_assert_uint_eq(counts()->maps_refused, 2);
}
END_TEST

START_TEST(test_successors_stand_in)
{
    agent_publish(3, "k", MAP("3", "k"));
    agent_serve(BEAT);
    f.members[2].age_ms = FAILOVER;
    agent_serve(BEAT);
    ck_assert_str_ne(agent_owner(3), "c");
    ck_assert_str_eq(agent_owner(0), "a");
    f.members[0].state = WEIR_NODE_DRAINING;
    f.store.members_version++;
    agent_serve(BEAT);
    ck_assert_uint_eq(sight()->owned_count, 4); /* nobody else is left */
}
END_TEST

START_TEST(test_failover_off)
{
    struct weir_err err;
    f.config.failover = false;
    ck_assert_int_eq(weir_cluster_agent_set(f.agent, &f.config, f.now_ms, &err), 0);
    agent_publish(3, "k", MAP("3", "k"));
    agent_serve(BEAT);
    f.members[2].age_ms = FAILOVER;
    agent_serve(BEAT);
    ck_assert_str_eq(agent_owner(3), "c");
    ck_assert(!sight()->peers[2].alive);
    f.members[0].state = WEIR_NODE_DRAINING; /* that is planned */
    f.store.members_version++;
    agent_serve(BEAT);
    ck_assert_str_ne(agent_owner(0), "a");
}
END_TEST

/* -- circuits -- */

static void owe(const char *endpoint, enum weir_cluster_haste haste)
{
    ck_assert_uint_lt(f.report_count, 32);
    f.report_haste[f.report_count] = haste;
    f.reports[f.report_count++] = (struct weir_coord_report_item){.endpoint = endpoint, .report.node = 1};
    weir_cluster_agent_owes(f.agent, f.now_ms, haste);
}

START_TEST(test_urgent_at_once_calm_in_a_second)
{
    agent_serve(10 * BEAT);
    owe("calm", WEIR_CLUSTER_CALM);
    owe("soon", WEIR_CLUSTER_SOON);
    ck_assert_uint_eq(agent_open(WEIR_COORD_REPORT), 1); /* nothing went out for long, so soon is now */
    struct weir_coord_request r = agent_taken(WEIR_COORD_REPORT);
    ck_assert_str_eq(r.report.by, "b");
    ck_assert_uint_eq(r.report.grant_until_ms, STORE_MS + f.now_ms - START + 250);
    ck_assert_uint_eq(r.report.count, 1);
    ck_assert_str_eq(r.report.items[0].endpoint, "soon");
    owe("soon", WEIR_CLUSTER_SOON);
    agent_run(99);
    ck_assert_uint_eq(agent_open(WEIR_COORD_REPORT), 0);
    agent_run(1);
    ck_assert_uint_eq(agent_open(WEIR_COORD_REPORT), 1);
    agent_run(25);
    owe("soon", WEIR_CLUSTER_SOON);
    owe("urgent", WEIR_CLUSTER_URGENT);
    ck_assert_uint_eq(agent_open(WEIR_COORD_REPORT), 2);
    (void)agent_taken(WEIR_COORD_REPORT);
    r = agent_taken(WEIR_COORD_REPORT); /* takes along what is due soon */
    ck_assert_uint_eq(r.report.count, 2);
    ck_assert_str_eq(r.report.items[0].endpoint, "urgent");
    agent_run(900);
    r = agent_taken(WEIR_COORD_REPORT);
    ck_assert_str_eq(r.report.items[0].endpoint, "calm");
}
END_TEST

START_TEST(test_a_storm_of_reports_is_bounded)
{
    agent_serve(10 * BEAT);
    uint64_t before = counts()->requests[WEIR_COORD_REPORT];
    for (int i = 0; i < 1000; i++) {
        if (f.report_count < 20)
            owe("e", WEIR_CLUSTER_URGENT);
        agent_serve(1);
        while (agent_open(WEIR_COORD_REPORT) > 0)
            agent_answer(WEIR_COORD_REPORT);
    }
    ck_assert_uint_le(counts()->requests[WEIR_COORD_REPORT] - before, 45);
}
END_TEST

/* What finds no room waits for an answer, and nobody is woken for it in vain: agent_run checks that. */
START_TEST(test_a_store_that_is_slow_to_answer_reports)
{
    agent_serve(10 * BEAT);
    for (int i = 0; i < 8; i++) {
        owe("e", WEIR_CLUSTER_URGENT);
        agent_run(25);
    }
    ck_assert_uint_eq(agent_open(WEIR_COORD_REPORT), 4);
    ck_assert_uint_gt(weir_cluster_agent_deadline_ms(f.agent), f.now_ms);
    agent_answer(WEIR_COORD_REPORT);
    ck_assert_uint_eq(agent_open(WEIR_COORD_REPORT), 4);
    ck_assert_uint_eq(f.report_count, 0);
}
END_TEST

START_TEST(test_answers_are_learned)
{
    agent_serve(10 * BEAT);
    owe("e", WEIR_CLUSTER_URGENT);
    struct weir_coord_request to = agent_taken(WEIR_COORD_REPORT);
    struct weir_coord_reply r = {.op = WEIR_COORD_REPORT, .id = to.id, .now_us = 5000000, .report.count = 1};
    r.report.items[0].sight = (struct weir_breaker_sight){WEIR_BREAKER_OPEN, 3, 6000, 0};
    r.report.items[0].reply.gen = 3;
    weir_cluster_agent_reply(f.agent, f.now_ms, &r);
    ck_assert_str_eq(agent_log(), "learn:e granted:e");
    ck_assert_uint_eq(f.last.store_ms, 5000);
    weir_cluster_agent_reply(f.agent, f.now_ms, &r); /* not a second time */
    ck_assert_str_eq(agent_log(), "");
}
END_TEST

static void push_circuit(uint64_t store_ms, const struct weir_coord_circuit *c)
{
    struct weir_coord_push p = {.kind = WEIR_COORD_PUSH_CIRCUIT, .now_us = store_ms * 1000, .circuit = *c};
    weir_cluster_agent_push(f.agent, f.now_ms, &p);
}

START_TEST(test_pushed_and_read_again)
{
    struct weir_coord_circuit c = {.endpoint = "e", .by = "a", .version = 1};
    push_circuit(STORE_MS + 10 * BEAT, &c);
    ck_assert_str_eq(agent_log(), "learn:e");
    f.store.circuits_version = 1;
    agent_run(BEAT);
    agent_answer(WEIR_COORD_BEAT);
    ck_assert_uint_eq(agent_open(WEIR_COORD_CIRCUITS), 0); /* seen already */
    f.store.circuits_version = 3;                          /* pushes were lost */
    agent_run(BEAT);
    agent_answer(WEIR_COORD_BEAT);
    ck_assert_uint_eq(agent_taken(WEIR_COORD_CIRCUITS).circuits_since, 1);
}
END_TEST

START_TEST(test_answers_of_a_store_that_is_gone_are_dropped)
{
    agent_serve(10 * BEAT);
    owe("e", WEIR_CLUSTER_URGENT);
    f.store.incarnation = 8;
    agent_run(BEAT);
    agent_answer(WEIR_COORD_BEAT);
    (void)agent_log();
    agent_answer(WEIR_COORD_REPORT);
    ck_assert_str_eq(agent_log(), "");
    ck_assert_uint_eq(agent_taken(WEIR_COORD_CIRCUITS).circuits_since, 0);
}
END_TEST

/* A push takes another way than answers do: one may come after the answer that told that the store was emptied. Its
 * generation would be above all that the store has now, and nothing would be heeded any more. */
START_TEST(test_pushes_of_a_store_that_is_gone_are_dropped)
{
    struct weir_coord_circuit c = {.endpoint = "e", .by = "a", .version = 9, .sight.gen = 9};
    agent_serve(10 * BEAT);
    uint64_t store_ms = STORE_MS + f.now_ms - START;
    f.store.incarnation = 8;
    agent_serve(BEAT);
    (void)agent_log();
    push_circuit(store_ms, &c);
    ck_assert_str_eq(agent_log(), "");
    push_circuit(store_ms + 2 * BEAT, &c);
    ck_assert_str_eq(agent_log(), "learn:e");
}
END_TEST

/* A store whose clock was set back says what is new all the same, from the next beat on. */
START_TEST(test_pushes_after_the_clock_was_set_back)
{
    struct weir_coord_circuit c = {.endpoint = "e", .by = "a", .version = 1};
    agent_serve(10 * BEAT);
    agent_run(BEAT);
    struct weir_coord_request beat = agent_taken(WEIR_COORD_BEAT);
    struct weir_coord_reply r = {.op = WEIR_COORD_BEAT, .id = beat.id, .sent_ms = beat.sent_ms, .beat = f.store};
    r.now_us = 5000000;
    weir_cluster_agent_reply(f.agent, f.now_ms, &r);
    (void)agent_log();
    push_circuit(5001, &c);
    ck_assert_str_eq(agent_log(), "learn:e");
}
END_TEST

START_TEST(test_others_checks_and_events)
{
    struct weir_coord_push p = {.kind = WEIR_COORD_PUSH_CHECKED, .checked = {"e", "a", false, "refused"}};
    weir_cluster_agent_push(f.agent, f.now_ms, &p);
    ck_assert_str_eq(agent_log(), "checked:e");
    p.checked.node = "b"; /* its own comes back */
    weir_cluster_agent_push(f.agent, f.now_ms, &p);
    ck_assert_str_eq(agent_log(), "");
    p = (struct weir_coord_push){.kind = WEIR_COORD_PUSH_EVENT, .event = WEIR_STR("{}")};
    weir_cluster_agent_push(f.agent, f.now_ms, &p);
    ck_assert_str_eq(agent_log(), "heard");
    weir_cluster_agent_checked(f.agent, f.now_ms, "e", true, NULL);
    ck_assert_str_eq(agent_taken(WEIR_COORD_CHECKED).checked.node, "b");
    weir_cluster_agent_contact(f.agent, f.now_ms, false, "gone");
    weir_cluster_agent_checked(f.agent, f.now_ms, "e", true, NULL);
    ck_assert_uint_eq(agent_open(WEIR_COORD_CHECKED), 0);
}
END_TEST

/* -- limits -- */

static void want(const char *provider, uint32_t count)
{
    ck_assert_uint_lt(f.token_count, 32);
    f.tokens[f.token_count++] = (struct weir_coord_tokens_item){.provider = provider, .limit = 600, .want = count};
}

static void grant(uint32_t granted)
{
    struct weir_coord_request to = agent_taken(WEIR_COORD_TOKENS);
    struct weir_coord_reply r = {.op = WEIR_COORD_TOKENS, .id = to.id, .sent_ms = to.sent_ms};
    r.tokens.count = to.tokens.count;
    for (uint32_t i = 0; i < to.tokens.count; i++)
        r.tokens.items[i].granted = granted;
    weir_cluster_agent_reply(f.agent, f.now_ms, &r);
}

START_TEST(test_tokens)
{
    agent_serve(10 * BEAT);
    want("openai", 5);
    want("vllm", 3);
    weir_cluster_agent_thirsty(f.agent, f.now_ms);
    uint64_t asked = f.now_ms;
    agent_run(10);
    grant(4);
    ck_assert_str_eq(agent_log(), "tokens:openai tokens:vllm");
    ck_assert_uint_eq(f.last.tokens.granted, 3); /* never more than was asked for */
    ck_assert_uint_eq(f.last.tokens.asked.want, 3);
    ck_assert_uint_eq(f.last.tokens.asked_ms, asked);
    want("openai", 1);
    weir_cluster_agent_thirsty(f.agent, f.now_ms);
    agent_run(339);
    ck_assert_uint_eq(agent_open(WEIR_COORD_TOKENS), 0);
    agent_run(1);
    ck_assert_uint_eq(agent_open(WEIR_COORD_TOKENS), 1);
    want("openai", 1); /* it looks again by itself while any are used */
    agent_run(350);
    ck_assert_uint_eq(agent_open(WEIR_COORD_TOKENS), 2);
    agent_run(350);
    ck_assert_uint_eq(agent_open(WEIR_COORD_TOKENS), 2);
}
END_TEST

START_TEST(test_tokens_that_may_have_arrived)
{
    agent_serve(10 * BEAT);
    want("openai", 5);
    weir_cluster_agent_thirsty(f.agent, f.now_ms);
    agent_fail(WEIR_COORD_TOKENS, WEIR_COORD_AWAY);
    ck_assert_str_eq(agent_log(), "tokens:openai");
    ck_assert_int_eq(f.last.tokens.word, WEIR_COORD_AWAY);
    ck_assert_uint_eq(f.last.tokens.granted, 0);
}
END_TEST

START_TEST(test_many_limits)
{
    agent_serve(10 * BEAT);
    for (int i = 0; i < 20; i++)
        want("p", 1);
    weir_cluster_agent_thirsty(f.agent, f.now_ms);
    ck_assert_uint_eq(agent_open(WEIR_COORD_TOKENS), 2);
    ck_assert_uint_eq(agent_taken(WEIR_COORD_TOKENS).tokens.count, WEIR_COORD_BATCH);
    ck_assert_uint_eq(agent_taken(WEIR_COORD_TOKENS).tokens.count, 4);
}
END_TEST

START_TEST(test_tokens_go_back_before_leaving)
{
    agent_serve(10 * BEAT);
    want("openai", 0);
    weir_cluster_agent_leave(f.agent, f.now_ms);
    ck_assert_uint_eq(agent_open(WEIR_COORD_TOKENS), 1);
    ck_assert_uint_eq(agent_open(WEIR_COORD_LEAVE), 1);
}
END_TEST

CHECK_MAIN("cluster_agent_share", join, agent_teardown, test_map_is_taken, test_a_pushed_map_is_asked_for_at_once,
           test_a_map_that_a_peer_goes_by_is_asked_for_once, test_never_back, test_a_broken_map_is_refused,
           test_successors_stand_in, test_failover_off, test_urgent_at_once_calm_in_a_second,
           test_a_storm_of_reports_is_bounded, test_a_store_that_is_slow_to_answer_reports, test_answers_are_learned,
           test_pushed_and_read_again, test_answers_of_a_store_that_is_gone_are_dropped,
           test_pushes_of_a_store_that_is_gone_are_dropped, test_pushes_after_the_clock_was_set_back,
           test_others_checks_and_events, test_tokens, test_tokens_that_may_have_arrived, test_many_limits,
           test_tokens_go_back_before_leaving)
