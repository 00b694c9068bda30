/* What every kind of store does: in memory, and with each server that is installed, under deploy/redis/users.acl. The
 * decisions themselves are core's, and tested there and in test_twins.c; here it is that they arrive. */
#include <stdio.h>
#include <stdlib.h>

#include "check_main.h"
#include "helper_store.h"

#define E "https://api.example.com:443"

static struct store_fixture f;

static enum weir_coord_word beat(const char *id, uint64_t instance, uint64_t lease_ms)
{
    struct weir_coord_member m = coord_member(id, instance);
    struct weir_coord_request q = coord_beat(&m);
    q.beat.lease_ms = lease_ms;
    return store_ask(&f, &q);
}

START_TEST(test_members_come_and_leave)
{
    EACH_STORE(&f)
    {
        struct weir_coord_member m = coord_member("[::1]:8000", (UINT64_C(1) << 53) - 1);
        struct weir_coord_request q = coord_beat(&m);
        m.load = (struct weir_coord_load){1, 2, 3, UINT32_MAX, 5, 6};
        m.epoch_seen = 12;
        m.state = WEIR_NODE_DRAINING;
        m.weight = 9;
        snprintf(m.advertise, sizeof m.advertise, "[fe80::1]:7000");
        q.beat.secret = "secret";
        ck_assert_int_eq(store_ask(&f, &q), WEIR_COORD_OK);
        ck_assert_uint_ne(f.reply.now_us, 0);
        ck_assert_uint_ne(f.reply.beat.incarnation, 0);
        ck_assert_str_eq(f.reply.beat.secret, "secret");
        ck_assert_str_eq(f.reply.beat.map_leader, "");
        ck_assert_int_eq(beat("B", 2, 10000), WEIR_COORD_OK);
        ck_assert_uint_eq(f.reply.beat.members, 2);
        uint64_t version = f.reply.beat.members_version;
        RUN_UNTIL(&f.r, f.pushes[WEIR_COORD_PUSH_MEMBERS] == 2);
        ck_assert_uint_eq(f.push.members_version, version);

        ck_assert_int_eq(store_ask_op(&f, WEIR_COORD_MEMBERS), WEIR_COORD_OK);
        ck_assert_uint_eq(f.reply.members.version, version);
        ck_assert_uint_eq(f.reply.members.count, 2);
        const struct weir_coord_member *at = f.reply.members.at;
        ck_assert_str_eq(at[0].id, "B");
        ck_assert_str_eq(at[1].id, "[::1]:8000");
        ck_assert_uint_eq(at[1].instance, m.instance);
        ck_assert_str_eq(at[1].advertise, m.advertise);
        ck_assert_str_eq(at[1].version, m.version);
        ck_assert_int_eq(at[1].state, WEIR_NODE_DRAINING);
        ck_assert_uint_eq(at[1].weight, 9);
        ck_assert_uint_eq(at[1].epoch_seen, 12);
        ck_assert_int_eq(memcmp(&at[1].load, &m.load, sizeof m.load), 0);

        struct weir_coord_request leave = {.op = WEIR_COORD_LEAVE, .leave = &m};
        ck_assert_int_eq(store_ask(&f, &leave), WEIR_COORD_OK);
        store_ask_op(&f, WEIR_COORD_MEMBERS);
        ck_assert_uint_eq(f.reply.members.count, 1);
        ck_assert_uint_eq(f.reply.members.version, version + 1);
    }
}
END_TEST

START_TEST(test_an_id_is_taken_over_from_the_silent)
{
    EACH_STORE(&f)
    {
        ck_assert_int_eq(beat("a", 1, 60000), WEIR_COORD_OK);
        ck_assert_int_eq(beat("a", 2, 60000), WEIR_COORD_ID_TAKEN);
        while (beat("a", 2, 20) == WEIR_COORD_ID_TAKEN)
            ;
        ck_assert_int_eq(f.reply.word, WEIR_COORD_OK);
        ck_assert_uint_eq(f.reply.beat.members, 1);
        do
            ck_assert_int_eq(beat("b", 1, 20), WEIR_COORD_OK);
        while (f.reply.beat.silent == 0);
    }
}
END_TEST

START_TEST(test_the_lead_and_the_map)
{
    size_t len = WEIR_COORD_MAP_MAX;
    char *text = malloc(len + 1);
    memset(text, 'm', len + 1);
    EACH_STORE(&f)
    {
        ck_assert_int_eq(store_ask_op(&f, WEIR_COORD_MAP), WEIR_COORD_OK);
        ck_assert_uint_eq(f.reply.map.epoch, 0);
        ck_assert_str_eq(f.reply.map.led.leader, "");
        ck_assert_uint_eq(f.reply.map.led.token, 0);
        struct weir_coord_request q = coord_lead("c1", 0, 60000);
        ck_assert_int_eq(store_ask(&f, &q), WEIR_COORD_OK);
        uint64_t token = f.reply.lead.led.token;
        ck_assert_str_eq(f.reply.lead.led.leader, "c1");
        q = coord_lead("c2", 0, 60000);
        ck_assert_int_eq(store_ask(&f, &q), WEIR_COORD_STALE);
        ck_assert_str_eq(f.reply.lead.led.leader, "c1");
        ck_assert_uint_eq(f.reply.lead.led.token, token);
        ck_assert_uint_gt(f.reply.lead.led.left_ms, 0);

        q = coord_publish("c1", token, 3, "");
        q.publish.map = (struct weir_str){text, len};
        ck_assert_int_eq(store_ask(&f, &q), WEIR_COORD_OK);
        ck_assert_uint_eq(f.reply.lead.map_epoch, 3);
        RUN_UNTIL(&f.r, f.pushes[WEIR_COORD_PUSH_MAP] == 1);
        ck_assert_uint_eq(f.push.map_epoch, 3);
        ck_assert_int_eq(store_ask(&f, &q), WEIR_COORD_STALE);
        q.publish.map.len++;
        ck_assert_int_eq(store_ask(&f, &q), WEIR_COORD_REFUSED);
        store_ask_op(&f, WEIR_COORD_MAP);
        ck_assert_uint_eq(f.reply.map.epoch, 3);
        ck_assert_str_eq(f.reply.map.leader, "c1");
        ck_assert(weir_str_eq(f.reply.map.map, (struct weir_str){text, len}));
        ck_assert_int_eq(beat("n", 1, 10000), WEIR_COORD_OK);
        ck_assert_uint_eq(f.reply.beat.map_epoch, 3);
        ck_assert_str_eq(f.reply.beat.map_leader, "c1");
        ck_assert_str_eq(f.reply.beat.led.leader, "c1");
        ck_assert_uint_eq(f.reply.beat.led.token, token);

        struct weir_coord_request resign = coord_lead("c1", token, 0);
        resign.op = WEIR_COORD_RESIGN;
        ck_assert_int_eq(store_ask(&f, &resign), WEIR_COORD_OK);
        q = coord_lead("c2", 0, 20);
        ck_assert_int_eq(store_ask(&f, &q), WEIR_COORD_OK);
        ck_assert_uint_eq(f.reply.lead.led.token, token + 1);
        q = coord_lead("c3", 0, 60000);
        while (store_ask(&f, &q) == WEIR_COORD_STALE)
            ;
        ck_assert_str_eq(f.reply.lead.led.leader, "c3");
        ck_assert_uint_eq(f.reply.lead.led.token, token + 2);
    }
    free(text);
}
END_TEST

START_TEST(test_circuits_are_shared)
{
    EACH_STORE(&f)
    {
        struct weir_coord_request q = coord_report("n1", E, 0, 0, 0);
        ck_assert_int_eq(store_ask(&f, &q), WEIR_COORD_OK);
        ck_assert_uint_eq(f.reply.report.count, 1);
        ck_assert_uint_eq(f.reply.report.items[0].sight.gen, 1);
        q = coord_report("n2", E, 1, 0, 3);
        q.report.items[0].report.cooldown_ms = 60000;
        q.report.items[0].report.want = 2;
        store_ask(&f, &q);
        ck_assert_int_eq(f.reply.report.items[0].sight.phase, WEIR_BREAKER_OPEN);
        ck_assert_uint_eq(f.reply.report.items[0].reply.event_count, 2);
        ck_assert_int_eq(f.reply.report.items[0].reply.events[0].kind, WEIR_BREAKER_IS_COOLING);
        ck_assert_int_eq(f.reply.report.items[0].reply.events[1].reason, WEIR_BREAKER_BY_CONSECUTIVE);
        RUN_UNTIL(&f.r, f.pushes[WEIR_COORD_PUSH_CIRCUIT] == 1);
        ck_assert_str_eq(f.push.circuit.endpoint, E);
        ck_assert_str_eq(f.push.circuit.by, "n2");
        ck_assert_uint_eq(f.push.circuit.sight.gen, 2);

        struct weir_coord_request all = {.op = WEIR_COORD_CIRCUITS};
        store_ask(&f, &all);
        ck_assert_uint_eq(f.reply.circuits.count, 1);
        ck_assert_str_eq(f.reply.circuits.at[0].endpoint, E);
        ck_assert_str_eq(f.reply.circuits.at[0].by, "n2");
        ck_assert_int_eq(f.reply.circuits.at[0].sight.phase, WEIR_BREAKER_OPEN);
        all.circuits_since = f.reply.circuits.version;
        store_ask(&f, &all);
        ck_assert_uint_eq(f.reply.circuits.count, 0);
        ck_assert_uint_eq(f.reply.circuits.version, all.circuits_since);
    }
}
END_TEST

START_TEST(test_permits_are_the_whole_clusters)
{
    EACH_STORE(&f)
    {
        struct weir_coord_request q = coord_report("n1", E, 0, 0, 0);
        store_ask(&f, &q);
        q = coord_report("n1", E, 1, 0, 3);
        q.report.items[0].policy.recovery_ms = q.report.items[0].policy.recovery_max_ms = 20;
        store_ask(&f, &q);
        q = coord_report("n2", E, 2, 0, 0);
        q.report.items[0].report.want = 1;
        do
            store_ask(&f, &q);
        while (f.reply.report.items[0].reply.permit_count == 0);
        ck_assert_int_eq(f.reply.report.items[0].sight.phase, WEIR_BREAKER_HALF_OPEN);
        uint64_t permit = f.reply.report.items[0].reply.permits[0].id;
        ck_assert_uint_eq(f.reply.report.items[0].reply.gen, 3);
        q = coord_report("n1", E, 3, 0, 0);
        q.report.items[0].report.want = 1;
        store_ask(&f, &q);
        ck_assert_uint_eq(f.reply.report.items[0].reply.permit_count, 0);
        q = coord_report("n2", E, 3, 0, 0);
        q.report.items[0].report.probe_count = 1;
        q.report.items[0].report.probes[0].permit = permit;
        q.report.items[0].report.probes[0].verdict = WEIR_BREAKER_SUCCESS;
        store_ask(&f, &q);
        ck_assert_int_eq(f.reply.report.items[0].sight.phase, WEIR_BREAKER_CLOSED);
    }
}
END_TEST

/* Whether what a new bucket has granted is there again when it is given back at once: too late on a busy machine. */
static bool comes_back(const char *provider)
{
    struct weir_coord_request q = coord_tokens(provider, 1, 100, false, 100);
    store_ask(&f, &q);
    ck_assert_uint_eq(f.reply.tokens.items[0].granted, 100);
    q.tokens.items[0].unused = 30;
    q.tokens.items[0].unused_since_us = f.reply.now_us;
    store_ask(&f, &q);
    bool back = f.reply.tokens.items[0].granted == 30;
    q.tokens.items[0].spent = 10;
    store_ask(&f, &q);
    return back && f.reply.tokens.items[0].granted == 20;
}

START_TEST(test_tokens_are_granted_once)
{
    EACH_STORE(&f)
    {
        char names[WEIR_COORD_BATCH][8];
        struct weir_coord_request q = coord_tokens("p0", 1, 100, false, 60);
        q.tokens.count = WEIR_COORD_BATCH;
        for (uint32_t i = 0; i < WEIR_COORD_BATCH; i++) {
            q.tokens.items[i] = q.tokens.items[0];
            snprintf(names[i], sizeof names[i], "p%u", i);
            q.tokens.items[i].provider = names[i];
            q.tokens.items[i].strict = i == 3;
        }
        ck_assert_int_eq(store_ask(&f, &q), WEIR_COORD_OK);
        ck_assert_uint_eq(f.reply.tokens.count, WEIR_COORD_BATCH);
        for (uint32_t i = 0; i < WEIR_COORD_BATCH; i++) {
            ck_assert_uint_eq(f.reply.tokens.items[i].granted, i == 3 ? 0 : 60);
            ck_assert_uint_eq(f.reply.tokens.items[i].remaining, i == 3 ? 0 : 40);
        }
        store_ask(&f, &q);
        ck_assert_uint_eq(f.reply.tokens.items[0].granted, 40);
        ck_assert_uint_gt(f.reply.tokens.items[0].wait_us, 0);
        ck_assert_uint_gt(f.reply.tokens.items[0].full_us, f.reply.tokens.items[0].wait_us);
        unsigned tries = 0;
        do
            snprintf(names[0], sizeof names[0], "q%u", tries);
        while (!comes_back(names[0]) && ++tries < 10);
        ck_assert_uint_lt(tries, 10);
    }
}
END_TEST

START_TEST(test_news_is_told_and_kept)
{
    EACH_STORE(&f)
    {
        struct weir_coord_request q = {
            .op = WEIR_COORD_CHECKED,
            .checked = {.endpoint = E, .node = "n1", .passed = false, .why = "status 500, twice"}};
        ck_assert_int_eq(store_ask(&f, &q), WEIR_COORD_OK);
        RUN_UNTIL(&f.r, f.pushes[WEIR_COORD_PUSH_CHECKED] == 1);
        ck_assert_str_eq(f.push.checked.endpoint, E);
        ck_assert_str_eq(f.push.checked.node, "n1");
        ck_assert_str_eq(f.push.checked.why, "status 500, twice");
        ck_assert(!f.push.checked.passed);

        struct weir_coord_request event = {.op = WEIR_COORD_EVENT, .event = WEIR_STR("{\"kind\":\"node_lost\"}")};
        for (unsigned i = 0; i < 3; i++)
            ck_assert_int_eq(store_ask(&f, &event), WEIR_COORD_OK);
        RUN_UNTIL(&f.r, f.pushes[WEIR_COORD_PUSH_EVENT] == 3);
        ck_assert(weir_str_starts(f.push.event, WEIR_STR("{\"id\":3,\"unix_ms\":1")));
        struct weir_coord_request last = {.op = WEIR_COORD_EVENTS, .events_count = 2};
        store_ask(&f, &last);
        ck_assert_uint_eq(f.reply.events.count, 2);
        ck_assert(weir_str_starts(f.reply.events.at[0], WEIR_STR("{\"id\":2,")));
        ck_assert(weir_str_eq(f.reply.events.at[1], f.push.event));
        event.event = WEIR_STR("nothing");
        ck_assert_int_eq(store_ask(&f, &event), WEIR_COORD_REFUSED);
    }
}
END_TEST

START_TEST(test_tables_are_bounded)
{
    EACH_STORE(&f)
    {
        char name[64];
        for (unsigned i = 0; i < WEIR_CLUSTER_NODES_MAX; i++) {
            snprintf(name, sizeof name, "node-%u", i);
            ck_assert_int_eq(beat(name, 1, 600000), WEIR_COORD_OK);
        }
        ck_assert_int_eq(beat("one-more", 1, 600000), WEIR_COORD_REFUSED);
        ck_assert_int_eq(beat("node-7", 1, 600000), WEIR_COORD_OK);
        store_ask_op(&f, WEIR_COORD_MEMBERS);
        ck_assert_uint_eq(f.reply.members.count, WEIR_CLUSTER_NODES_MAX);
        weir_arena_reset(&f.arena);
        for (unsigned i = 0; i <= WEIR_COORD_CIRCUITS_MAX; i++) {
            snprintf(name, sizeof name, "http://e-%u:80", i);
            struct weir_coord_request q = coord_report("a", name, 0, 0, 0);
            store_ask(&f, &q);
        }
        store_ask_op(&f, WEIR_COORD_CIRCUITS);
        ck_assert_uint_eq(f.reply.circuits.count, WEIR_COORD_CIRCUITS_MAX);
        ck_assert_str_eq(f.reply.circuits.at[0].endpoint, "http://e-1:80");
        struct weir_coord_request event = {.op = WEIR_COORD_EVENT, .event = WEIR_STR("{}")};
        for (unsigned i = 0; i <= WEIR_COORD_EVENTS_KEPT; i++)
            store_ask(&f, &event);
        struct weir_coord_request last = {.op = WEIR_COORD_EVENTS, .events_count = UINT32_MAX};
        store_ask(&f, &last);
        ck_assert_uint_eq(f.reply.events.count, WEIR_COORD_EVENTS_KEPT);
        ck_assert(weir_str_starts(f.reply.events.at[0], WEIR_STR("{\"id\":2,")));
    }
}
END_TEST

START_TEST(test_each_request_has_one_answer)
{
    EACH_STORE(&f)
    {
        unsigned before = f.replies;
        const struct weir_coord_request q = {.op = WEIR_COORD_MEMBERS};
        for (unsigned i = 0; i < WEIR_STORE_CALLS_MAX + 3; i++)
            store_send(&f, &q);
        RUN_UNTIL(&f.r, f.replies == before + WEIR_STORE_CALLS_MAX);
        run_idle(&f.r);
        ck_assert_uint_eq(f.replies, before + WEIR_STORE_CALLS_MAX);
        ck_assert_int_eq(store_ask(&f, &q), WEIR_COORD_OK);
    }
}
END_TEST

START_TEST(test_what_is_told_leaves_room_for_what_is_asked)
{
    EACH_STORE(&f)
    {
        const struct weir_coord_request news = {.op = WEIR_COORD_EVENT, .event = WEIR_STR("{}")};
        const struct weir_coord_request question = {.op = WEIR_COORD_MEMBERS};
        unsigned before = f.replies;
        for (unsigned i = 0; i < WEIR_STORE_CALLS_MAX; i++)
            store_send(&f, &news);
        store_send(&f, &question);
        RUN_UNTIL(&f.r, f.replies == before + WEIR_STORE_TELLINGS_MAX + 1);
        ck_assert_int_eq(f.reply.op, WEIR_COORD_MEMBERS);
    }
}
END_TEST

static void ask_again(struct store_fixture *s)
{
    const struct weir_coord_request q = {.op = WEIR_COORD_MAP};
    if (s->replies < 100)
        store_send(s, &q);
}

static void close_it(struct store_fixture *s)
{
    weir_store_close(&s->store);
}

START_TEST(test_callbacks_may_ask_and_close)
{
    EACH_STORE(&f)
    {
        const struct weir_coord_request q = {.op = WEIR_COORD_MEMBERS};
        f.on_reply = ask_again;
        f.replies = 0;
        store_send(&f, &q);
        RUN_UNTIL(&f.r, f.replies == 100);
        f.on_reply = close_it;
        for (unsigned i = 0; i < 5; i++)
            store_send(&f, &q);
        RUN_UNTIL(&f.r, f.store == NULL);
        run_idle(&f.r);
        ck_assert_uint_eq(f.replies, 101);
    }
}
END_TEST

START_TEST(test_closing_drops_what_is_under_way)
{
    EACH_STORE(&f)
    {
        const struct weir_coord_request q = {.op = WEIR_COORD_MEMBERS};
        unsigned before = f.replies;
        store_send(&f, &q);
        ck_assert_str_ne(weir_store_server(f.store), "");
        weir_store_close(&f.store);
        run_idle(&f.r);
        ck_assert_uint_eq(f.replies, before);
    }
}
END_TEST

CHECK_MAIN("contract", NULL, NULL, test_members_come_and_leave, test_an_id_is_taken_over_from_the_silent,
           test_the_lead_and_the_map, test_circuits_are_shared, test_permits_are_the_whole_clusters,
           test_tokens_are_granted_once, test_news_is_told_and_kept, test_tables_are_bounded,
           test_each_request_has_one_answer, test_what_is_told_leaves_room_for_what_is_asked,
           test_callbacks_may_ask_and_close, test_closing_drops_what_is_under_way)
