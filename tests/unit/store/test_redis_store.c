/* The store in Redis where Redis is not as one would wish: newer, full, meddled with, gone, empty again, silent. Each
 * test with every server that is installed. */
#include <stdio.h>

#include "check_main.h"
#include "helper_store.h"

#define E "https://api.example.com:443"

static struct store_fixture f;

#define EACH_SERVER(f, args) for (unsigned kind_ = 1; store_begin(f, kind_, args); store_end(f), kind_++)

static enum weir_coord_word beat(const char *id, uint64_t instance)
{
    struct weir_coord_member m = coord_member(id, instance);
    struct weir_coord_request q = coord_beat(&m);
    return store_ask(&f, &q);
}

START_TEST(test_a_newer_schema_is_left_alone)
{
    EACH_SERVER(&f, NULL)
    {
        ck_assert_int_eq(beat("a", 1), WEIR_COORD_OK);
        store_command(&f, "HSET weir:{test}:meta schema 2");
        ck_assert_int_eq(beat("b", 1), WEIR_COORD_SCHEMA_NEWER);
        ck_assert_msg(strstr(f.reply.why, "newer version") != NULL, "%s", f.reply.why);
        struct weir_coord_member m = coord_member("a", 1);
        struct weir_coord_request requests[] = {
            {.op = WEIR_COORD_LEAVE, .leave = &m},
            coord_lead("c", 0, 1000),
            coord_publish("c", 1, 1, "map"),
            coord_report("a", E, 0, 0, 0),
            coord_tokens("p", 600, 60, false, 1),
            {.op = WEIR_COORD_EVENT, .event = WEIR_STR("{}")},
            {.op = WEIR_COORD_CHECKED, .checked = {.endpoint = E, .node = "a", .passed = true, .why = ""}},
            {.op = WEIR_COORD_APPEND, .append = WEIR_STR("x")},
            {.op = WEIR_COORD_LOADS},
            {.op = WEIR_COORD_FOLD,
             .fold = {.id = "c", .token = 1, .step_ms = 10000, .number = 1, .text = WEIR_STR("x")}},
            {.op = WEIR_COORD_SERIES},
            {.op = WEIR_COORD_ADVISE, .advise = {.id = "c", .token = 1, .hints = WEIR_STR("{}")}},
            {.op = WEIR_COORD_ADVICE},
        };
        for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++)
            ck_assert_int_eq(store_ask(&f, &requests[i]), WEIR_COORD_SCHEMA_NEWER);
        ck_assert_str_eq(store_command(&f, "HLEN weir:{test}:members"), "1");
    }
}
END_TEST

START_TEST(test_a_full_server_refuses_with_its_sentence)
{
    static const char *const args[] = {"--maxmemory", "1", "--maxmemory-policy", "noeviction", NULL};
    EACH_SERVER(&f, args)
    {
        ck_assert_int_eq(beat("a", 1), WEIR_COORD_REFUSED);
        ck_assert_msg(strstr(f.reply.why, "OOM command not allowed") != NULL, "%s", f.reply.why);
        ck_assert_int_eq(store_ask_op(&f, WEIR_COORD_MEMBERS), WEIR_COORD_OK);
        ck_assert_uint_eq(f.downs, 0);
    }
}
END_TEST

START_TEST(test_keys_outside_of_the_acl_are_refused)
{
    const char *program;
    for (unsigned i = 0; (program = server_program(i)) != NULL; i++, store_end(&f)) {
        store_begin_server(&f, program, NULL);
        f.config.key_prefix = "other";
        store_open(&f);
        RUN_UNTIL(&f.r, f.up);
        ck_assert_int_eq(beat("a", 1), WEIR_COORD_REFUSED);
        ck_assert_msg(strstr(f.reply.why, "key") != NULL, "%s", f.reply.why);
    }
}
END_TEST

START_TEST(test_records_of_others_are_left_out)
{
    EACH_SERVER(&f, NULL)
    {
        beat("a", 1);
        static const char *const records[] = {"",
                                              "x",
                                              "instance=1 state=active",
                                              "instance=-1 state=active weight=1",
                                              "instance=1 state=odd weight=1 advertise=a version=1",
                                              "instance=1 state=active weight=9999999999 advertise=a version=1"};
        for (size_t i = 0; i < sizeof records / sizeof records[0]; i++) {
            store_command(&f, "HSET weir:{test}:members odd-%u %s", (unsigned)i, records[i]);
            store_command(&f, "HSET weir:{test}:load odd-%u %s", (unsigned)i, "in_flight=1");
            store_command(&f, "ZADD weir:{test}:seen 1 odd-%u", (unsigned)i);
        }
        store_command(&f, "HSET weir:{test}:circuits %s %s", E, "phase=ajar gen=1");
        store_command(&f, "HSET weir:{test}:circuits %s %s", "http://e:80", "version=7 phase=closed");
        store_command(&f, "RPUSH weir:{test}:events %s", "{\"line\":\n2}");
        ck_assert_int_eq(store_ask_op(&f, WEIR_COORD_MEMBERS), WEIR_COORD_OK);
        ck_assert_uint_eq(f.reply.members.count, 1);
        ck_assert_str_eq(f.reply.members.at[0].id, "a");
        ck_assert_int_eq(store_ask_op(&f, WEIR_COORD_CIRCUITS), WEIR_COORD_OK);
        ck_assert_uint_eq(f.reply.circuits.count, 0);
        struct weir_coord_request last = {.op = WEIR_COORD_EVENTS, .events_count = 5};
        ck_assert_int_eq(store_ask(&f, &last), WEIR_COORD_OK);
        ck_assert_uint_eq(f.reply.events.count, 0);
        /* The next report makes a whole one of it again, the next beats forget the silent. */
        struct weir_coord_request q = coord_report("a", E, 0, 0, 0);
        ck_assert_int_eq(store_ask(&f, &q), WEIR_COORD_OK);
        ck_assert_int_eq(store_ask_op(&f, WEIR_COORD_CIRCUITS), WEIR_COORD_OK);
        ck_assert_uint_eq(f.reply.circuits.count, 1);
        beat("a", 1);
        ck_assert_uint_eq(f.reply.beat.members, 1);
    }
}
END_TEST

START_TEST(test_half_a_store_heals)
{
    EACH_SERVER(&f, NULL)
    {
        beat("a", 1);
        beat("b", 1);
        uint64_t incarnation = f.reply.beat.incarnation;
        /* What an eviction of single keys leaves. */
        store_command(&f, "HDEL weir:{test}:members a");
        store_command(&f, "HDEL weir:{test}:load b");
        store_ask_op(&f, WEIR_COORD_MEMBERS);
        ck_assert_uint_eq(f.reply.members.count, 0);
        ck_assert_int_eq(beat("a", 1), WEIR_COORD_OK);
        ck_assert_int_eq(beat("b", 1), WEIR_COORD_OK);
        store_ask_op(&f, WEIR_COORD_MEMBERS);
        ck_assert_uint_eq(f.reply.members.count, 2);
        store_command(&f, "HDEL weir:{test}:meta incarnation");
        beat("a", 1);
        ck_assert_uint_ne(f.reply.beat.incarnation, incarnation);
    }
}
END_TEST

static const struct weir_coord_entries_reply *loads(uint64_t after)
{
    struct weir_coord_request q = {.op = WEIR_COORD_LOADS, .loads = {after, WEIR_COORD_ENTRIES_MAX}};
    ck_assert_int_eq(store_ask(&f, &q), WEIR_COORD_OK);
    return &f.reply.entries;
}

/* What is in the store's stream of loads, read to its end. */
static unsigned count_loads(void)
{
    unsigned count = 0;
    uint64_t after = 0;
    do {
        count += loads(after)->count;
        after = f.reply.entries.upto;
        weir_arena_reset(&f.arena);
    } while (after < f.reply.entries.newest);
    return count;
}

START_TEST(test_loads_are_bounded)
{
    EACH_SERVER(&f, NULL)
    {
        struct weir_coord_request q = {.op = WEIR_COORD_APPEND, .append = WEIR_STR("the last")};
        ck_assert_int_eq(store_ask(&f, &q), WEIR_COORD_OK);
        unsigned long long now_ms = f.reply.now_us / 1000;
        store_command(&f, "EVAL %s 1 weir:{test}:loads %llu %u",
                      "redis.call('DEL', KEYS[1]) for i = 1, ARGV[2] do redis.call('XADD', KEYS[1], string.format("
                      "'%.0f-%d', ARGV[1] - 60000 + math.floor(i / 1000), i % 1000), 'record', i) end",
                      now_ms, WEIR_COORD_LOADS_MAX);
        ck_assert_uint_eq(count_loads(), WEIR_COORD_LOADS_MAX);
        ck_assert_int_eq(store_ask(&f, &q), WEIR_COORD_OK);
        ck_assert_uint_eq(count_loads(), WEIR_COORD_LOADS_MAX);
        ck_assert(weir_str_eq(loads(0)->at[0].text, WEIR_STR("2")));
        ck_assert(weir_str_eq(loads(f.reply.entries.newest - 1)->at[0].text, WEIR_STR("the last")));
    }
}
END_TEST

/* Whoever writes into a stream has its entries passed over, or taken for text; those of members are read. */
START_TEST(test_entries_of_others_do_no_harm)
{
    EACH_SERVER(&f, NULL)
    {
        struct weir_coord_request q = {.op = WEIR_COORD_APPEND, .append = WEIR_STR("node=a")};
        store_command(&f, "XADD weir:{test}:loads 5-4000 a b c d");
        store_command(&f, "XADD weir:{test}:loads 5-4001 e f");
        store_command(&f, "XADD weir:{test}:loads 6-0 record %s", "\x01");
        ck_assert_uint_eq(loads(0)->count, 1);
        ck_assert_int_eq(store_ask(&f, &q), WEIR_COORD_OK);
        ck_assert_uint_eq(loads(0)->count, 1);
        ck_assert(weir_str_eq(f.reply.entries.at[0].text, WEIR_STR("node=a")));
        store_command(&f, "XADD weir:{test}:series:1 7-7 x y");
        struct weir_coord_request series = {.op = WEIR_COORD_SERIES, .series = {.step = 1, .count = 9}};
        ck_assert_int_eq(store_ask(&f, &series), WEIR_COORD_OK);
        ck_assert_uint_eq(f.reply.entries.newest, 7);
        struct weir_coord_request lead = coord_lead("c", 0, 60000);
        ck_assert_int_eq(store_ask(&f, &lead), WEIR_COORD_OK);
        struct weir_coord_request fold = {
            .op = WEIR_COORD_FOLD,
            .fold = {.id = "c", .token = 1, .step = 1, .step_ms = 10000, .number = 8, .text = WEIR_STR("requests=1")}};
        ck_assert_int_eq(store_ask(&f, &fold), WEIR_COORD_OK);
        ck_assert_int_eq(store_ask(&f, &series), WEIR_COORD_OK);
        ck_assert_uint_eq(f.reply.entries.count, 1);
        ck_assert_uint_eq(f.reply.entries.at[0].id, 8);
    }
}
END_TEST

START_TEST(test_a_key_of_another_type_is_a_refusal)
{
    EACH_SERVER(&f, NULL)
    {
        store_command(&f, "RPUSH weir:{test}:meta x");
        ck_assert_int_eq(beat("a", 1), WEIR_COORD_REFUSED);
        ck_assert_msg(strstr(f.reply.why, "WRONGTYPE") != NULL, "%s", f.reply.why);
    }
}
END_TEST

START_TEST(test_messages_of_others_are_ignored)
{
    EACH_SERVER(&f, NULL)
    {
        static const char *const texts[] = {"",
                                            "members",
                                            "members 1",
                                            "members 1 x",
                                            "map 1 -3",
                                            "hints 1",
                                            "hints 1 x",
                                            "circuit 1 e",
                                            "checked 1 e a 2",
                                            "checked 1 e a 0 \x01",
                                            "checked 1 e",
                                            "event 1 []",
                                            "unheard-of 1 two",
                                            "members x 1"};
        for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
            store_command(&f, "PUBLISH weir:{test}:pushes %s", texts[i]);
        beat("a", 1);
        RUN_UNTIL(&f.r, f.pushes[WEIR_COORD_PUSH_MEMBERS] == 1);
        for (int kind = WEIR_COORD_PUSH_MAP; kind < WEIR_COORD_PUSH_KINDS; kind++)
            ck_assert_uint_eq(f.pushes[kind], 0);
    }
}
END_TEST

START_TEST(test_gone_and_empty_again)
{
    EACH_SERVER(&f, NULL)
    {
        beat("a", 1);
        uint64_t incarnation = f.reply.beat.incarnation;
        server_kill(&f.server);
        RUN_UNTIL(&f.r, !f.up);
        ck_assert_int_eq(beat("a", 1), WEIR_COORD_AWAY);
        ck_assert_uint_eq(f.reply.now_us, 0);
        server_start_again(&f.server);
        RUN_UNTIL(&f.r, f.up);
        ck_assert_uint_eq(f.downs, 1);
        ck_assert_uint_eq(f.ups, 2);
        /* Its scripts are gone as well. */
        ck_assert_int_eq(beat("a", 1), WEIR_COORD_OK);
        ck_assert_uint_ne(f.reply.beat.incarnation, incarnation);
        ck_assert_uint_eq(f.reply.beat.members_version, 1);
        RUN_UNTIL(&f.r, f.pushes[WEIR_COORD_PUSH_GAP] == 1);
        store_await_pushes(&f);
        beat("b", 1);
        RUN_UNTIL(&f.r, f.pushes[WEIR_COORD_PUSH_MEMBERS] == 1);
    }
}
END_TEST

START_TEST(test_a_call_under_way_is_away_when_the_server_dies)
{
    EACH_SERVER(&f, NULL)
    {
        const struct weir_coord_request q = {.op = WEIR_COORD_MEMBERS};
        unsigned before = f.replies;
        server_freeze(&f.server, true);
        for (unsigned i = 0; i < 10; i++)
            store_send(&f, &q);
        server_kill(&f.server);
        RUN_UNTIL(&f.r, f.replies == before + 10 && !f.up);
        ck_assert_int_eq(f.reply.word, WEIR_COORD_AWAY);
    }
}
END_TEST

START_TEST(test_a_silent_server_is_away_after_the_deadline)
{
    const char *program;
    for (unsigned i = 0; (program = server_program(i)) != NULL; i++, store_end(&f)) {
        store_begin_server(&f, program, NULL);
        f.config.redis_timeout_ms = 50;
        store_open(&f);
        RUN_UNTIL(&f.r, f.up);
        server_freeze(&f.server, true);
        ck_assert_int_eq(beat("a", 1), WEIR_COORD_AWAY);
        RUN_UNTIL(&f.r, !f.up);
        server_freeze(&f.server, false);
        RUN_UNTIL(&f.r, f.up);
        while (beat("a", 1) != WEIR_COORD_OK)
            ;
    }
}
END_TEST

START_TEST(test_not_there_at_first_is_told_once)
{
    const char *program;
    for (unsigned i = 0; (program = server_program(i)) != NULL; i++, store_end(&f)) {
        store_begin_server(&f, program, NULL);
        server_kill(&f.server);
        store_open(&f);
        RUN_UNTIL(&f.r, f.downs == 1);
        ck_assert_int_eq(beat("a", 1), WEIR_COORD_AWAY);
        server_start_again(&f.server);
        RUN_UNTIL(&f.r, f.up);
        ck_assert_uint_eq(f.downs, 1);
        ck_assert_int_eq(beat("a", 1), WEIR_COORD_OK);
    }
}
END_TEST

START_TEST(test_a_wrong_password_is_told_without_it)
{
    const char *program;
    for (unsigned i = 0; (program = server_program(i)) != NULL; i++, store_end(&f)) {
        store_begin_server(&f, program, NULL);
        char url[96];
        snprintf(url, sizeof url, "redis://weir:guessed@127.0.0.1:%u", f.server.port);
        f.config.redis_url = url;
        store_open(&f);
        RUN_UNTIL(&f.r, f.downs == 1);
        ck_assert_msg(strstr(f.why, "WRONGPASS") != NULL && strstr(f.why, "guessed") == NULL, "%s", f.why);
    }
}
END_TEST

START_TEST(test_a_wrong_url_is_an_error)
{
    struct weir_err err;
    struct weir_config_distributed config = {
        .redis_url = "redis://", .key_prefix = "weir", .cluster = "test", .redis_timeout_ms = 250};
    const struct weir_store_opts opts = {.config = &config};
    reactor_open(&f.r);
    ck_assert_int_eq(weir_store_open(&f.store, &f.r, &opts, &err), WEIR_EINVAL);
    ck_assert_ptr_null(f.store);
    weir_reactor_close(&f.r);
}
END_TEST

CHECK_MAIN("redis_store", NULL, NULL, test_a_newer_schema_is_left_alone, test_a_full_server_refuses_with_its_sentence,
           test_keys_outside_of_the_acl_are_refused, test_records_of_others_are_left_out, test_half_a_store_heals,
           test_a_key_of_another_type_is_a_refusal, test_loads_are_bounded, test_entries_of_others_do_no_harm,
           test_messages_of_others_are_ignored, test_gone_and_empty_again,
           test_a_call_under_way_is_away_when_the_server_dies, test_a_silent_server_is_away_after_the_deadline,
           test_not_there_at_first_is_told_once, test_a_wrong_password_is_told_without_it, test_a_wrong_url_is_an_error)
