#include <stdio.h>

#include "check_main.h"
#include "helper/core_coord.h"

static struct coord_fixture f;

static void setup(void)
{
    coord_setup(&f);
}

static void teardown(void)
{
    coord_teardown(&f);
}

static void pass_ms(uint64_t ms)
{
    f.now_us += ms * 1000;
}

static enum weir_coord_word beat(const char *id, uint64_t instance)
{
    struct weir_coord_member m = coord_member(id, instance);
    struct weir_coord_request q = coord_beat(&m);
    return coord_do(&f, &q);
}

static uint32_t members(void)
{
    coord_ask(&f, WEIR_COORD_MEMBERS);
    return f.reply.members.count;
}

START_TEST(test_beats_register_and_only_news_moves_the_version)
{
    ck_assert_int_eq(beat("b", 1), WEIR_COORD_OK);
    uint64_t incarnation = f.reply.beat.incarnation, version = f.reply.beat.members_version;
    ck_assert_uint_ne(incarnation, 0);
    ck_assert_uint_lt(incarnation, UINT64_C(1) << 53);
    ck_assert_int_eq(beat("a", 2), WEIR_COORD_OK);
    ck_assert_uint_eq(f.reply.beat.incarnation, incarnation);
    ck_assert_uint_eq(f.reply.beat.members_version, version + 1);
    ck_assert_uint_eq(f.reply.beat.members, 2);

    struct weir_coord_member m = coord_member("a", 2);
    struct weir_coord_request q = coord_beat(&m);
    m.load.in_flight = 7;
    m.epoch_seen = 9;
    pass_ms(500);
    coord_do(&f, &q);
    ck_assert_uint_eq(f.reply.beat.members_version, version + 1);
    m.state = WEIR_NODE_DRAINING;
    coord_do(&f, &q);
    m.weight = 2;
    coord_do(&f, &q);
    m.version[0] = '1';
    coord_do(&f, &q);
    m.advertise[0] = '2';
    coord_do(&f, &q);
    ck_assert_uint_eq(f.reply.beat.members_version, version + 5);
    ck_assert_uint_eq(f.pushes[WEIR_COORD_PUSH_MEMBERS], 6);
    ck_assert_uint_eq(f.last.members_version, version + 5);

    pass_ms(20);
    ck_assert_uint_eq(members(), 2);
    const struct weir_coord_member *at = f.reply.members.at;
    ck_assert_str_eq(at[0].id, "a");
    ck_assert_uint_eq(at[0].age_ms, 20);
    ck_assert_uint_eq(at[0].load.in_flight, 7);
    ck_assert_int_eq(at[0].state, WEIR_NODE_DRAINING);
    ck_assert_str_eq(at[1].id, "b");
    ck_assert_uint_eq(at[1].age_ms, 520);
}
END_TEST

START_TEST(test_an_id_belongs_to_the_living)
{
    beat("a", 1);
    pass_ms(COORD_LEASE_MS - 1);
    ck_assert_int_eq(beat("a", 2), WEIR_COORD_ID_TAKEN);
    pass_ms(1);
    ck_assert_int_eq(beat("a", 2), WEIR_COORD_OK);
    ck_assert_uint_eq(f.reply.beat.members, 1);
    ck_assert_int_eq(beat("a", 1), WEIR_COORD_ID_TAKEN);
}
END_TEST

START_TEST(test_leaving_is_for_the_same_instance)
{
    beat("a", 1);
    beat("b", 2);
    uint64_t version = f.reply.beat.members_version;
    struct weir_coord_member m = coord_member("a", 3);
    struct weir_coord_request q = {.op = WEIR_COORD_LEAVE, .leave = &m};
    ck_assert_int_eq(coord_do(&f, &q), WEIR_COORD_OK);
    ck_assert_uint_eq(members(), 2);
    m.instance = 1;
    coord_do(&f, &q);
    coord_do(&f, &q);
    ck_assert_uint_eq(members(), 1);
    ck_assert_str_eq(f.reply.members.at[0].id, "b");
    ck_assert_uint_eq(f.reply.members.version, version + 1);
}
END_TEST

START_TEST(test_silence_is_told_and_forgotten_late)
{
    beat("a", 1);
    beat("b", 1);
    for (uint64_t ms = 0; ms < COORD_LEASE_MS * WEIR_COORD_FORGET_LEASES; ms += 1000) {
        pass_ms(1000);
        beat("b", 1);
        ck_assert_uint_eq(f.reply.beat.members, 2);
        ck_assert_uint_eq(f.reply.beat.silent, ms + 1000 >= COORD_LEASE_MS);
    }
    uint64_t version = f.reply.beat.members_version;
    pass_ms(1);
    beat("b", 1);
    ck_assert_uint_eq(f.reply.beat.members, 1);
    ck_assert_uint_eq(f.reply.beat.silent, 0);
    ck_assert_uint_eq(f.reply.beat.members_version, version + 1);
}
END_TEST

START_TEST(test_a_jump_of_the_clock_forgets_nobody)
{
    beat("a", 1);
    beat("b", 1);
    pass_ms(3600 * 1000);
    beat("b", 1);
    ck_assert_uint_eq(f.reply.beat.members, 2);
    /* Who does not come back has as long as ever from now on. */
    for (int i = 0; i < 99; i++) {
        pass_ms(1000);
        beat("b", 1);
        ck_assert_uint_eq(f.reply.beat.members, 2);
    }
    pass_ms(1000);
    beat("b", 1);
    ck_assert_uint_eq(f.reply.beat.members, 1);
}
END_TEST

START_TEST(test_a_clock_set_back_keeps_nobody_alive)
{
    beat("a", 1);
    beat("b", 1);
    f.now_us -= UINT64_C(3600) * 1000000;
    beat("b", 1);
    ck_assert_uint_eq(f.reply.beat.silent, 0);
    pass_ms(COORD_LEASE_MS - 1);
    beat("b", 1);
    ck_assert_uint_eq(f.reply.beat.silent, 0);
    pass_ms(1);
    beat("b", 1);
    ck_assert_uint_eq(f.reply.beat.silent, 1);
}
END_TEST

/* A clock that was set forth and back again: what it was then is not waited for. */
START_TEST(test_a_clock_set_back_forgets_all_the_same)
{
    beat("a", 1);
    beat("b", 1);
    pass_ms(3600 * 1000);
    beat("b", 1);
    f.now_us -= UINT64_C(3600) * 1000000;
    for (uint64_t ms = 0; ms <= COORD_LEASE_MS * WEIR_COORD_FORGET_LEASES; ms += 1000) {
        beat("b", 1);
        ck_assert_uint_eq(f.reply.beat.members, 2);
        pass_ms(1000);
    }
    beat("b", 1);
    ck_assert_uint_eq(f.reply.beat.members, 1);
}
END_TEST

START_TEST(test_the_first_secret_stays)
{
    struct weir_coord_member m = coord_member("a", 1);
    struct weir_coord_request q = coord_beat(&m);
    coord_do(&f, &q);
    ck_assert_str_eq(f.reply.beat.secret, "");
    q.beat.secret = "first";
    coord_do(&f, &q);
    q.beat.secret = "second";
    coord_do(&f, &q);
    ck_assert_str_eq(f.reply.beat.secret, "first");
}
END_TEST

START_TEST(test_a_full_cluster_refuses)
{
    char id[32];
    for (unsigned i = 0; i < WEIR_CLUSTER_NODES_MAX; i++) {
        snprintf(id, sizeof id, "node-%u", i * 7919 % 100003);
        ck_assert_int_eq(beat(id, 1), WEIR_COORD_OK);
    }
    uint64_t version = f.reply.beat.members_version;
    ck_assert_int_eq(beat("one-more", 1), WEIR_COORD_REFUSED);
    ck_assert_int_eq(beat(id, 1), WEIR_COORD_OK);
    ck_assert_uint_eq(f.reply.beat.members_version, version);
    ck_assert_uint_eq(members(), WEIR_CLUSTER_NODES_MAX);
    for (uint32_t i = 1; i < f.reply.members.count; i++)
        ck_assert_int_lt(strcmp(f.reply.members.at[i - 1].id, f.reply.members.at[i].id), 0);
}
END_TEST

START_TEST(test_contents_lost_twice_differ)
{
    beat("a", 1);
    uint64_t first = f.reply.beat.incarnation;
    coord_teardown(&f);
    f.state = weir_coord_state_new();
    pass_ms(1);
    beat("a", 1);
    ck_assert_uint_ne(f.reply.beat.incarnation, first);
}
END_TEST

START_TEST(test_a_newer_schema_is_left_alone)
{
    beat("a", 1);
    f.state->schema = WEIR_COORD_SCHEMA + 1;
    ck_assert_int_eq(beat("b", 1), WEIR_COORD_SCHEMA_NEWER);
    for (int op = 1; op < WEIR_COORD_OPS; op++)
        ck_assert_int_eq(coord_ask(&f, (enum weir_coord_op)op), WEIR_COORD_SCHEMA_NEWER);
    ck_assert_uint_eq(f.state->member_count, 1);
}
END_TEST

START_TEST(test_ids_and_texts)
{
    ck_assert(weir_coord_id_valid(WEIR_STR("node-1.example:8000")));
    ck_assert(weir_coord_id_valid(WEIR_STR("[::1]:8000_A")));
    ck_assert(!weir_coord_id_valid(WEIR_STR("")));
    ck_assert(!weir_coord_id_valid(WEIR_STR("a b")));
    ck_assert(!weir_coord_id_valid(WEIR_STR("a\0b")));
    ck_assert(!weir_coord_id_valid(WEIR_STR("a\xc3\xa4")));
    char longest[WEIR_NODE_ID_MAX + 1];
    memset(longest, 'x', sizeof longest);
    ck_assert(weir_coord_id_valid((struct weir_str){longest, WEIR_NODE_ID_MAX}));
    ck_assert(!weir_coord_id_valid((struct weir_str){longest, WEIR_NODE_ID_MAX + 1}));
    ck_assert_uint_ne(weir_coord_node_number("a"), weir_coord_node_number("b"));
    ck_assert_uint_lt(weir_coord_node_number("a"), UINT64_C(1) << 53);
    ck_assert_str_eq(weir_coord_op_text(WEIR_COORD_EVENTS), "events");
    ck_assert_str_eq(weir_coord_word_text(WEIR_COORD_STALE), "stale");
    ck_assert_str_eq(weir_coord_node_state_text(WEIR_NODE_DRAINING), "draining");
}
END_TEST

CHECK_MAIN("coord_members", setup, teardown, test_beats_register_and_only_news_moves_the_version,
           test_an_id_belongs_to_the_living, test_leaving_is_for_the_same_instance,
           test_silence_is_told_and_forgotten_late, test_a_jump_of_the_clock_forgets_nobody,
           test_a_clock_set_back_keeps_nobody_alive, test_a_clock_set_back_forgets_all_the_same,
           test_the_first_secret_stays, test_a_full_cluster_refuses, test_contents_lost_twice_differ,
           test_a_newer_schema_is_left_alone, test_ids_and_texts)
