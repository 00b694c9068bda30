#include "check_main.h"
#include "helper_cluster_agent.h"

static const struct weir_cluster_sight *sight(void)
{
    return weir_cluster_agent_sight(f.agent);
}

static void three(void)
{
    (void)agent_member("a");
    agent_member("b")->instance = 4711;
    (void)agent_member("c");
}

START_TEST(test_alone_before_anybody_answers)
{
    ck_assert_uint_eq(agent_open(WEIR_COORD_BEAT), 1);
    ck_assert(!sight()->contact);
    ck_assert_uint_eq(sight()->peer_count, 1);
    ck_assert_str_eq(sight()->peers[sight()->self].id, "b");
    ck_assert_uint_eq(sight()->owned_count, 64);
    ck_assert_str_eq(sight()->secret, "proposed");
}
END_TEST

START_TEST(test_joins)
{
    three();
    f.store.secret = "theirs";
    ck_assert_int_eq(f.beat_self.state, WEIR_NODE_JOINING);
    agent_answer(WEIR_COORD_BEAT);
    ck_assert_uint_eq(agent_open(WEIR_COORD_MEMBERS), 1);
    agent_answer(WEIR_COORD_MEMBERS);
    ck_assert_int_eq(f.beat_self.state, WEIR_NODE_ACTIVE); /* said at once */
    ck_assert_str_eq(f.event, "{\"event\":\"node_joined\",\"node\":\"b\",\"by\":\"b\"}");
    ck_assert_str_eq(agent_log(), "sight node_joined:a node_joined:c cluster_joined:b sight");
    ck_assert(sight()->contact);
    ck_assert_uint_eq(sight()->peer_count, 3);
    ck_assert_uint_eq(sight()->self, 1);
    ck_assert_uint_eq(sight()->alive_count, 3);
    ck_assert_str_eq(sight()->secret, "theirs");
    ck_assert_uint_ge(sight()->owned_count, 21);
    ck_assert_uint_le(sight()->owned_count, 22);
    ck_assert_int_eq(sight()->store_offset_ms, (int64_t)(STORE_MS - START));
    ck_assert_int_eq(weir_cluster_sight_find(sight(), "c"), 2);
    ck_assert_int_eq(weir_cluster_sight_find(sight(), "bb"), -1);
}
END_TEST

START_TEST(test_who_leads)
{
    ck_assert(!weir_cluster_agent_lead(f.agent).known);
    three();
    agent_join();
    struct weir_cluster_lead lead = weir_cluster_agent_lead(f.agent);
    ck_assert(lead.known);
    ck_assert_str_eq(lead.leader, "");
    ck_assert_uint_eq(lead.terms, 0);
    (void)agent_log();
    f.store.led = (struct weir_coord_led){.token = 3, .leader = "co-2", .left_ms = 900};
    agent_run(BEAT);
    agent_answer(WEIR_COORD_BEAT);
    lead = weir_cluster_agent_lead(f.agent);
    ck_assert_str_eq(lead.leader, "co-2");
    ck_assert_uint_eq(lead.terms, 3);
    ck_assert_uint_eq(lead.until_ms, f.now_ms + 900);
    ck_assert_str_eq(agent_log(), ""); /* nothing is decided by it */
    weir_cluster_agent_contact(f.agent, f.now_ms, false, "gone");
    ck_assert(!weir_cluster_agent_lead(f.agent).known);
}
END_TEST

START_TEST(test_a_map_is_known_before_it_joins)
{
    three();
    agent_publish(3, "k", "weir-shard-map 1\nepoch 3\nleader k\nshards 4\nnodes 1\nnode a 1 0-3\n");
    agent_answer(WEIR_COORD_BEAT);
    agent_answer(WEIR_COORD_MEMBERS);
    agent_run(0);
    ck_assert_int_eq(f.beat_self.state, WEIR_NODE_JOINING);
    agent_answer(WEIR_COORD_MAP);
    ck_assert_int_eq(f.beat_self.state, WEIR_NODE_ACTIVE);
    ck_assert_uint_eq(f.beat_self.epoch_seen, 3);
}
END_TEST

START_TEST(test_an_idle_node_asks_for_nothing_but_beats)
{
    const struct weir_cluster_agent_counts *counts = weir_cluster_agent_counts(f.agent);
    three();
    agent_join();
    struct weir_cluster_agent_counts before = *counts;
    agent_serve(60 * BEAT);
    ck_assert_uint_eq(counts->requests[WEIR_COORD_BEAT] - before.requests[WEIR_COORD_BEAT], 60);
    for (int op = 0; op < WEIR_COORD_OPS; op++)
        if (op != WEIR_COORD_BEAT)
            ck_assert_uint_eq(counts->requests[op], before.requests[op]);
    ck_assert_str_eq(agent_log(), "");
}
END_TEST

START_TEST(test_refused)
{
    agent_fail(WEIR_COORD_BEAT, WEIR_COORD_ID_TAKEN);
    ck_assert_str_eq(agent_log(), "cluster_refused:b");
    agent_run(BEAT);
    agent_fail(WEIR_COORD_BEAT, WEIR_COORD_ID_TAKEN); /* told once */
    ck_assert_str_eq(agent_log(), "");
    agent_run(BEAT);
    agent_fail(WEIR_COORD_BEAT, WEIR_COORD_SCHEMA_NEWER);
    ck_assert_str_eq(agent_log(), "cluster_refused:b");
    ck_assert(!sight()->contact);
    agent_join();
    ck_assert(sight()->contact);
}
END_TEST

START_TEST(test_lost_and_back)
{
    three();
    agent_join();
    f.members[2].age_ms = FAILOVER;
    agent_serve(BEAT);
    ck_assert_str_eq(agent_log(), "node_lost:c sight");
    ck_assert(!sight()->peers[2].alive);
    ck_assert_uint_eq(sight()->alive_count, 2);
    for (uint32_t i = 0; i < 64; i++)
        ck_assert_str_ne(agent_owner(i), "c");
    f.members[2].age_ms = 0;
    agent_serve(BEAT);
    ck_assert_str_eq(agent_log(), "node_back:c sight");
    ck_assert_uint_eq(sight()->alive_count, 3);
}
END_TEST

START_TEST(test_the_first_of_the_living_tells_all)
{
    three();
    agent_join();
    f.event[0] = '\0';
    f.members[2].age_ms = FAILOVER;
    agent_serve(BEAT);
    ck_assert_str_eq(f.event, ""); /* a does */
    f.members[0].age_ms = FAILOVER;
    agent_serve(2 * BEAT);
    ck_assert_str_eq(f.event, "{\"event\":\"node_lost\",\"node\":\"a\",\"by\":\"b\"}");
}
END_TEST

START_TEST(test_a_loss_is_told_though_the_store_was_late)
{
    agent_member("b")->instance = 4711;
    (void)agent_member("c");
    agent_join();
    f.event[0] = '\0';
    f.members[1].age_ms = FAILOVER;
    agent_run(BEAT);
    agent_answer(WEIR_COORD_BEAT);
    agent_run(BEAT);
    agent_fail(WEIR_COORD_BEAT, WEIR_COORD_AWAY);
    agent_fail(WEIR_COORD_BEAT, WEIR_COORD_AWAY);
    ck_assert(!sight()->contact);
    agent_answer(WEIR_COORD_MEMBERS);
    ck_assert_str_eq(agent_log(), "store_lost alone sight node_lost:c sight");
    ck_assert_str_eq(f.event, "{\"event\":\"node_lost\",\"node\":\"c\",\"by\":\"b\"}");
}
END_TEST

/* Whoever cannot be reached is passed over at once, here, and asked again after the failover timeout. */
START_TEST(test_suspect)
{
    three();
    agent_join();
    weir_cluster_agent_peer(f.agent, f.now_ms, "c", false);
    ck_assert_str_eq(agent_log(), "node_suspect:c sight");
    ck_assert(sight()->peers[2].alive && sight()->peers[2].suspect);
    for (uint32_t i = 0; i < 64; i++)
        ck_assert_str_ne(agent_owner(i), "c");
    weir_cluster_agent_peer(f.agent, f.now_ms, "c", false);
    weir_cluster_agent_peer(f.agent, f.now_ms, "nobody", false);
    weir_cluster_agent_peer(f.agent, f.now_ms, "b", false);
    ck_assert_str_eq(agent_log(), "");
    agent_serve(FAILOVER - 1);
    ck_assert(sight()->peers[2].suspect);
    agent_serve(1);
    ck_assert_str_eq(agent_log(), "sight");
    ck_assert(!sight()->peers[2].suspect);
    weir_cluster_agent_peer(f.agent, f.now_ms, "c", false);
    weir_cluster_agent_peer(f.agent, f.now_ms, "c", true);
    ck_assert_str_eq(agent_log(), "node_suspect:c sight sight");
}
END_TEST

START_TEST(test_contact_lost_and_back)
{
    three();
    agent_join();
    weir_cluster_agent_contact(f.agent, f.now_ms, false, "connection refused");
    ck_assert_str_eq(agent_log(), "store_lost alone sight");
    ck_assert(!sight()->contact);
    ck_assert_uint_eq(sight()->alive_count, 3); /* as it was last */
    agent_run(20 * BEAT);
    ck_assert_uint_eq(agent_open(WEIR_COORD_BEAT), 0);
    weir_cluster_agent_contact(f.agent, f.now_ms, true, NULL);
    f.members[0].age_ms = f.members[2].age_ms = 20 * BEAT; /* nobody could beat */
    agent_serve(FAILOVER - 1);
    ck_assert_str_eq(agent_log(), "store_back sight");
    ck_assert_uint_eq(sight()->alive_count, 3);
    f.members[0].age_ms = 0;
    agent_serve(BEAT);
    ck_assert_str_eq(agent_log(), "node_lost:c sight");
}
END_TEST

/* Connected, but it does not answer: two answers that failed are enough, one is not. */
START_TEST(test_a_frozen_store)
{
    three();
    agent_join();
    agent_run(BEAT);
    agent_fail(WEIR_COORD_BEAT, WEIR_COORD_AWAY);
    ck_assert(sight()->contact);
    agent_answer(WEIR_COORD_BEAT); /* asked again at once */
    agent_run(BEAT);
    agent_fail(WEIR_COORD_BEAT, WEIR_COORD_AWAY);
    ck_assert_str_eq(agent_log(), "");
    agent_fail(WEIR_COORD_BEAT, WEIR_COORD_AWAY);
    ck_assert_str_eq(agent_log(), "store_lost alone sight");
    for (int i = 0; i < 5; i++) {
        agent_run(BEAT);
        agent_fail(WEIR_COORD_BEAT, WEIR_COORD_REFUSED);
    }
    ck_assert_str_eq(agent_log(), "");
    agent_serve(BEAT);
    ck_assert(sight()->contact);
}
END_TEST

START_TEST(test_contents_lost)
{
    three();
    agent_join();
    f.store.incarnation = 8;
    f.store.members_version = 1;
    f.member_count = 0;
    agent_serve(BEAT);
    ck_assert_str_eq(agent_log(), "store_anew alone sight");
    ck_assert_uint_eq(sight()->alive_count, 3);
    three();
    agent_serve(5 * BEAT);
    ck_assert_uint_eq(sight()->alive_count, 3);
    ck_assert_uint_eq(sight()->incarnation, 8);
}
END_TEST

START_TEST(test_the_stores_clock_jumps)
{
    three();
    agent_join();
    f.now_ms += 0;
    agent_run(BEAT);
    struct weir_coord_request beat = agent_taken(WEIR_COORD_BEAT);
    struct weir_coord_reply r = {.op = WEIR_COORD_BEAT, .id = beat.id, .sent_ms = beat.sent_ms, .beat = f.store};
    r.now_us = (STORE_MS + 3600000) * 1000;
    r.beat.silent = 2;
    weir_cluster_agent_reply(f.agent, f.now_ms, &r);
    ck_assert_uint_eq(agent_open(WEIR_COORD_MEMBERS), 0); /* an hour of silence that nobody kept */
    ck_assert_uint_eq(sight()->alive_count, 3);
}
END_TEST

/* What is moved all the time is asked for in intervals. */
START_TEST(test_pushes_do_not_flood)
{
    const struct weir_cluster_agent_counts *counts = weir_cluster_agent_counts(f.agent);
    three();
    agent_join();
    uint64_t before = counts->requests[WEIR_COORD_MEMBERS];
    for (int i = 0; i < 1000; i++) {
        struct weir_coord_push p = {.kind = WEIR_COORD_PUSH_MEMBERS, .members_version = ++f.store.members_version};
        weir_cluster_agent_push(f.agent, f.now_ms, &p);
        agent_serve(1);
    }
    ck_assert_uint_ge(counts->requests[WEIR_COORD_MEMBERS] - before, 9);
    ck_assert_uint_le(counts->requests[WEIR_COORD_MEMBERS] - before, 11);
}
END_TEST

START_TEST(test_drain_and_leave)
{
    three();
    agent_join();
    weir_cluster_agent_drain(f.agent, f.now_ms);
    ck_assert_int_eq(f.beat_self.state, WEIR_NODE_DRAINING);
    ck_assert_str_eq(agent_log(), "sight");
    ck_assert_uint_eq(sight()->owned_count, 0); /* nobody asks it for the sake of a shard */
    agent_serve(BEAT - 1);
    ck_assert_str_eq(agent_log(), "");
    agent_serve(1);
    ck_assert_str_eq(agent_log(), "node_drained:b");
    agent_serve(BEAT);
    weir_cluster_agent_leave(f.agent, f.now_ms);
    ck_assert_str_eq(agent_log(), "");
    ck_assert_uint_eq(agent_open(WEIR_COORD_LEAVE), 1);
    agent_answer(WEIR_COORD_LEAVE);
    ck_assert_str_eq(agent_log(), "cluster_left:b");
    f.sent_count = 0;
    agent_run(10 * BEAT);
    ck_assert_uint_eq(f.sent_count, 0);
}
END_TEST

/* The drain is taken back, before the others have the shards or after. */
START_TEST(test_drain_and_stay)
{
    three();
    agent_join();
    for (int whole = 0; whole < 2; whole++) {
        weir_cluster_agent_drain(f.agent, f.now_ms);
        ck_assert_str_eq(agent_log(), "sight");
        if (whole == 1) {
            agent_serve(BEAT);
            ck_assert_str_eq(agent_log(), "node_drained:b");
        }
        weir_cluster_agent_stay(f.agent, f.now_ms);
        agent_serve(BEAT);
        ck_assert_int_eq(f.beat_self.state, WEIR_NODE_ACTIVE);
        ck_assert_str_eq(agent_log(), "sight");
        ck_assert_uint_gt(sight()->owned_count, 0);
        agent_serve(4 * FAILOVER);
        ck_assert_str_eq(agent_log(), "");
    }
    weir_cluster_agent_stay(f.agent, f.now_ms); /* of one that stays anyway */
    ck_assert_str_eq(agent_log(), "");
}
END_TEST

START_TEST(test_drained_when_the_map_says_so)
{
    three();
    agent_publish(3, "k", "weir-shard-map 1\nepoch 3\nleader k\nshards 4\nnodes 2\nnode a 1 0-1\nnode b 1 2-3\n");
    agent_join();
    weir_cluster_agent_drain(f.agent, f.now_ms);
    agent_serve(2 * BEAT);
    ck_assert_str_eq(agent_log(), "sight");
    agent_publish(4, "k", "weir-shard-map 1\nepoch 4\nleader k\nshards 4\nnodes 1\nnode a 1 0-3\n");
    agent_serve(BEAT);
    ck_assert_str_eq(agent_log(), "map_taken:k sight node_drained:b");
}
END_TEST

START_TEST(test_a_drain_ends_without_a_coordinator)
{
    three();
    agent_publish(3, "k", "weir-shard-map 1\nepoch 3\nleader k\nshards 4\nnodes 2\nnode a 1 0-1\nnode b 1 2-3\n");
    agent_join();
    weir_cluster_agent_drain(f.agent, f.now_ms);
    agent_serve(2 * FAILOVER - 1);
    ck_assert_str_eq(agent_log(), "sight");
    agent_serve(1);
    ck_assert_str_eq(agent_log(), "node_drained:b");
}
END_TEST

START_TEST(test_leaving_while_the_store_is_away)
{
    three();
    agent_join();
    weir_cluster_agent_contact(f.agent, f.now_ms, false, "gone");
    (void)agent_log();
    weir_cluster_agent_drain(f.agent, f.now_ms);
    ck_assert_str_eq(agent_log(), "sight node_drained:b");
    weir_cluster_agent_leave(f.agent, f.now_ms);
    ck_assert_str_eq(agent_log(), "cluster_left:b");
}
END_TEST

START_TEST(test_reload)
{
    struct weir_err err;
    three();
    f.store.secret = "theirs";
    agent_join();
    f.config.weight = 5;
    f.config.secret = "another proposal";
    ck_assert_int_eq(weir_cluster_agent_set(f.agent, &f.config, f.now_ms, &err), 0);
    ck_assert_uint_eq(f.beat_self.weight, 5);
    ck_assert_str_eq(sight()->secret, "theirs");
    f.config.secret_shared = false;
    ck_assert_int_eq(weir_cluster_agent_set(f.agent, &f.config, f.now_ms, &err), 0);
    ck_assert_str_eq(sight()->secret, "another proposal");
    f.config.id = "not an id";
    ck_assert_int_eq(weir_cluster_agent_set(f.agent, &f.config, f.now_ms, &err), WEIR_EINVAL);
}
END_TEST

START_TEST(test_a_copy_of_the_sight)
{
    struct weir_err err;
    struct weir_cluster_sight copy;
    three();
    agent_join();
    weir_cluster_sight_init(&copy);
    ck_assert_int_eq(weir_cluster_sight_copy(&copy, sight(), &err), 0);
    weir_cluster_agent_peer(f.agent, f.now_ms, "c", false);
    ck_assert_uint_eq(copy.peer_count, 3);
    ck_assert(!copy.peers[2].suspect);
    ck_assert_uint_eq(copy.shard_count, 64);
    ck_assert_int_eq(weir_cluster_sight_copy(&copy, sight(), &err), 0);
    ck_assert(copy.peers[2].suspect);
    weir_cluster_sight_close(&copy);
    weir_cluster_sight_close(&copy);
}
END_TEST

/* -- looking at the members -- */

static uint64_t asked(void)
{
    return weir_cluster_agent_counts(f.agent)->requests[WEIR_COORD_MEMBERS];
}

static void look_on(void)
{
    three();
    agent_join();
    agent_serve(100 * BEAT);
}

START_TEST(test_loads_are_as_new_as_the_look)
{
    look_on();
    f.members[0].load.in_flight = 7;
    f.members[0].age_ms = 250;
    ck_assert(weir_cluster_agent_look(f.agent, f.now_ms));
    agent_answer(WEIR_COORD_MEMBERS);
    ck_assert_uint_eq(sight()->peers[0].load.in_flight, 7);
    ck_assert_uint_eq(sight()->peers[0].seen_ms, f.now_ms - 250);
    ck_assert_str_eq(agent_log(), ""); /* which is no other sight: nobody needs to follow it */
}
END_TEST

START_TEST(test_whoever_looks_often_asks_once_a_second)
{
    look_on();
    uint64_t before = asked();
    for (int i = 0; i < 500; i++) {
        (void)weir_cluster_agent_look(f.agent, f.now_ms);
        agent_serve(10);
    }
    ck_assert_uint_eq(asked(), before + 5);
    agent_serve(100 * BEAT);
    ck_assert_uint_eq(asked(), before + 5);
}
END_TEST

START_TEST(test_several_wait_for_one_answer)
{
    look_on();
    ck_assert(weir_cluster_agent_look(f.agent, f.now_ms));
    agent_run(300);
    ck_assert(weir_cluster_agent_look(f.agent, f.now_ms));
    ck_assert_uint_eq(agent_open(WEIR_COORD_MEMBERS), 1);
    agent_answer(WEIR_COORD_MEMBERS);
    ck_assert(!weir_cluster_agent_look(f.agent, f.now_ms));
}
END_TEST

START_TEST(test_nobody_waits_while_the_store_is_away)
{
    look_on();
    weir_cluster_agent_contact(f.agent, f.now_ms, false, "gone");
    ck_assert(!weir_cluster_agent_look(f.agent, f.now_ms));
    ck_assert_uint_eq(agent_open(WEIR_COORD_MEMBERS), 0);
}
END_TEST

CHECK_MAIN("cluster_agent_members", agent_setup, agent_teardown, test_alone_before_anybody_answers, test_joins,
           test_who_leads, test_a_map_is_known_before_it_joins, test_an_idle_node_asks_for_nothing_but_beats,
           test_refused, test_lost_and_back, test_the_first_of_the_living_tells_all,
           test_a_loss_is_told_though_the_store_was_late, test_suspect, test_contact_lost_and_back, test_a_frozen_store,
           test_contents_lost, test_the_stores_clock_jumps, test_pushes_do_not_flood, test_drain_and_leave,
           test_drain_and_stay, test_drained_when_the_map_says_so, test_a_drain_ends_without_a_coordinator,
           test_leaving_while_the_store_is_away, test_reload, test_a_copy_of_the_sight,
           test_loads_are_as_new_as_the_look, test_whoever_looks_often_asks_once_a_second,
           test_several_wait_for_one_answer, test_nobody_waits_while_the_store_is_away)
