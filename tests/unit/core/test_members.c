#include <stdio.h>

#include "check_main.h"
#include "core/members.h"

#define FAILOVER UINT64_C(3000)
#define START    UINT64_C(100000)
#define SURE     (START + FAILOVER)

static struct weir_members m;
static struct weir_coord_member records[16];
static struct weir_coord_members_reply answer;
static char changes[512];

static void setup(void)
{
    weir_members_init(&m, FAILOVER, START);
    memset(records, 0, sizeof records);
    answer = (struct weir_coord_members_reply){.at = records};
    changes[0] = '\0';
}

static void teardown(void)
{
    weir_members_close(&m);
}

static struct weir_coord_member *put(const char *id, uint64_t age_ms)
{
    struct weir_coord_member *r = &records[answer.count++];
    *r = (struct weir_coord_member){.instance = 1, .state = WEIR_NODE_ACTIVE, .weight = 1, .age_ms = age_ms};
    (void)snprintf(r->id, sizeof r->id, "%s", id);
    return r;
}

static void note(void *arg, enum weir_member_change what, const struct weir_member *one)
{
    static const char signs[] = {'+', '-', '!', '<', 'd'};
    size_t len = strlen(changes);
    (void)arg;
    (void)snprintf(changes + len, sizeof changes - len, "%c%s ", signs[what], one->record.id);
}

/* Takes the answer built since the last call and says what has changed. */
static const char *take(uint64_t now_ms)
{
    struct weir_err err;
    changes[0] = '\0';
    answer.version++;
    ck_assert_int_eq(weir_members_take(&m, now_ms, &answer, note, NULL, &err), 0);
    answer.count = 0;
    return changes;
}

static const char *ages(uint64_t now_ms, const uint64_t *age_ms, uint32_t count)
{
    static const char *const ids[] = {"a", "b", "c", "d", "e", "f", "g", "h"};
    for (uint32_t i = 0; i < count; i++)
        put(ids[i], age_ms[i]);
    return take(now_ms);
}
#define AGES(now_ms, ...) \
    ages(now_ms, (const uint64_t[]){__VA_ARGS__}, sizeof((const uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t))

static bool alive(const char *id)
{
    const struct weir_member *one = weir_members_find(&m, id);
    ck_assert_ptr_nonnull(one);
    return one->alive;
}

START_TEST(test_silence_is_death)
{
    ck_assert_str_eq(AGES(START, 10, 20, 30), "+a +b +c ");
    ck_assert_str_eq(AGES(SURE, 10, 2999, 20), "");
    ck_assert_str_eq(AGES(SURE + 1, 10, 3000, 20), "!b ");
    ck_assert(!alive("b"));
    ck_assert_uint_eq(m.silent_count, 1);
    ck_assert_str_eq(AGES(SURE + 500, 10, 3500, 20), "");
    ck_assert_str_eq(AGES(SURE + 1000, 10, 5, 20), "<b ");
    ck_assert_uint_eq(m.silent_count, 0);
    ck_assert_uint_eq(weir_members_find(&m, "b")->seen_ms, SURE + 995);
}
END_TEST

START_TEST(test_the_order_of_an_answer_does_not_matter)
{
    put("c", 1);
    put("a", 1);
    put("b", 1);
    (void)take(START);
    ck_assert_str_eq(m.at[0].record.id, "a");
    ck_assert_str_eq(m.at[2].record.id, "c");
    ck_assert_ptr_null(weir_members_find(&m, "bb"));
}
END_TEST

START_TEST(test_first_seen_silent_is_not_alive)
{
    ck_assert_str_eq(AGES(START, 10, 9000), "+a +b ");
    ck_assert(!alive("b"));
    ck_assert_str_eq(AGES(SURE, 10, 12000), "");
}
END_TEST

START_TEST(test_nobody_dies_before_contact_was_healthy_for_long_enough)
{
    (void)AGES(START, 10, 10, 10);
    (void)AGES(SURE, 10, 10, 10);
    weir_members_unsure(&m, SURE + 20000); /* the store was away, nobody could beat */
    ck_assert_str_eq(AGES(SURE + 20001, 20000, 20000, 5), "");
    ck_assert_str_eq(AGES(SURE + 20000 + FAILOVER - 1, 10, 22999, 5), "");
    ck_assert(alive("b"));
    ck_assert_str_eq(AGES(SURE + 20000 + FAILOVER, 10, 23000, 5), "!b ");
}
END_TEST

START_TEST(test_at_most_half_in_one_round)
{
    (void)AGES(START, 1, 1, 1, 1, 1);
    ck_assert_str_eq(AGES(SURE + 1000, 1, 4000, 5000, 3000, 6000), "!e !c ");
    ck_assert_str_eq(AGES(SURE + 1999, 1, 5000, 6000, 4000, 7000), "");
    ck_assert_str_eq(AGES(SURE + 2000, 1, 5000, 6000, 4000, 7000), "!b !d ");
}
END_TEST

START_TEST(test_evidence_counts_beyond_half)
{
    (void)AGES(START, 1, 1, 1, 1, 1);
    weir_members_evidence(&m, "b", true);
    weir_members_evidence(&m, "d", true);
    weir_members_evidence(&m, "a", true); /* beats all the same */
    ck_assert_str_eq(AGES(SURE + 1000, 1, 4000, 5000, 3000, 6000), "!b !d !e !c ");
    ck_assert(alive("a"));
}
END_TEST

/* The one of two may be lost, the only one never is. */
START_TEST(test_few)
{
    (void)AGES(START, 1, 1);
    ck_assert_str_eq(AGES(SURE + 1, 1, 3000), "!b ");
    weir_members_close(&m);
    setup();
    (void)AGES(START, 1);
    ck_assert_str_eq(AGES(SURE + 1, 4000), "");
}
END_TEST

START_TEST(test_gone_from_the_answer)
{
    (void)AGES(START, 1, 1, 1, 1);
    put("a", 1);
    put("b", 1)->state = WEIR_NODE_DRAINING;
    put("c", 1);
    put("d", 3000);
    ck_assert_str_eq(take(SURE), "db !d ");
    /* b has left, d was dead: both are forgotten. c was neither. */
    put("a", 1);
    ck_assert_str_eq(take(SURE + 100), "-b -d ");
    ck_assert_uint_eq(m.count, 2);
    ck_assert(alive("c"));
    put("a", 1);
    ck_assert_str_eq(take(SURE + 1100), "!c -c ");
    ck_assert_uint_eq(m.count, 1);
}
END_TEST

/* A store that has lost its contents knows nobody: everybody stays until they had time to beat. */
START_TEST(test_contents_lost)
{
    (void)AGES(START, 1, 1, 1);
    (void)AGES(SURE, 1, 1, 1);
    weir_members_unsure(&m, SURE + 5000);
    put("a", 1);
    ck_assert_str_eq(take(SURE + 5001), "");
    ck_assert_uint_eq(m.count, 3);
    ck_assert_str_eq(AGES(SURE + 6000, 1, 1, 1), "");
    ck_assert(!weir_members_find(&m, "c")->missing);
}
END_TEST

/* ... and may say so by an answer that is older than the last one before any beat has told of it. */
START_TEST(test_an_answer_from_before)
{
    (void)AGES(START, 1, 1, 1);
    (void)AGES(SURE, 1, 1, 1);
    answer.version = 0;
    put("a", 1);
    ck_assert_str_eq(take(SURE + 5000), "");
    ck_assert_uint_eq(m.count, 3);
    ck_assert(!weir_members_sure(&m, SURE + 5000));
    ck_assert_str_eq(AGES(SURE + 5500, 1, 1, 1), "");
    put("a", 1);
    put("b", 1);
    ck_assert_str_eq(take(SURE + 5000 + FAILOVER), "!c -c ");
}
END_TEST

START_TEST(test_a_jump_of_the_stores_clock)
{
    uint64_t store_us = UINT64_C(7000000000);
    ck_assert(!weir_members_clock(&m, START, START + 10, store_us));
    ck_assert(weir_members_sure(&m, SURE));
    ck_assert(!weir_members_clock(&m, SURE, SURE + 10, store_us + 3000000 + 900000)); /* drifts a little */
    ck_assert(weir_members_clock(&m, SURE + 1000, SURE + 1010, store_us + 3600000000));
    ck_assert(!weir_members_sure(&m, SURE + 1010));
    ck_assert(weir_members_sure(&m, SURE + 1010 + FAILOVER));
    ck_assert(weir_members_clock(&m, SURE + 9000, SURE + 9010, store_us)); /* and back */
    /* A slow answer is no jump. */
    ck_assert(!weir_members_clock(&m, SURE + 10000, SURE + 14000, store_us + 5000000));
}
END_TEST

START_TEST(test_when_to_ask_again)
{
    (void)AGES(START, 1, 1, 9000);
    ck_assert(!weir_members_stale(&m, START, m.version, 1));
    ck_assert(weir_members_stale(&m, START, m.version + 1, 1));
    ck_assert(weir_members_stale(&m, START, m.version, 0)); /* c is back */
    /* More are silent; but that says nothing while unsure. */
    ck_assert(!weir_members_stale(&m, SURE - 1, m.version, 2));
    ck_assert(weir_members_stale(&m, SURE, m.version, 2));
    /* A member that the store does not know any more is in no count of its, and still to be judged. */
    put("a", 1);
    (void)take(SURE - 1);
    ck_assert(!weir_members_stale(&m, SURE - 1, m.version, 0));
    ck_assert(weir_members_stale(&m, SURE, m.version, 0));
}
END_TEST

START_TEST(test_too_many)
{
    static struct weir_coord_member many[WEIR_CLUSTER_NODES_MAX + 5];
    struct weir_err err;
    for (uint32_t i = 0; i < WEIR_CLUSTER_NODES_MAX + 5; i++)
        (void)snprintf(many[i].id, sizeof many[i].id, "n%04u", i);
    answer.at = many;
    answer.count = WEIR_CLUSTER_NODES_MAX + 5;
    ck_assert_int_eq(weir_members_take(&m, START, &answer, NULL, NULL, &err), 0);
    ck_assert_uint_eq(m.count, WEIR_CLUSTER_NODES_MAX);
    ck_assert_int_eq(weir_members_take(&m, START, &answer, NULL, NULL, &err), 0);
    ck_assert_uint_eq(m.count, WEIR_CLUSTER_NODES_MAX);
}
END_TEST

CHECK_MAIN("members", setup, teardown, test_silence_is_death, test_the_order_of_an_answer_does_not_matter,
           test_first_seen_silent_is_not_alive, test_nobody_dies_before_contact_was_healthy_for_long_enough,
           test_at_most_half_in_one_round, test_evidence_counts_beyond_half, test_few, test_gone_from_the_answer,
           test_contents_lost, test_an_answer_from_before, test_a_jump_of_the_stores_clock, test_when_to_ask_again,
           test_too_many)
