#include <stdio.h>

#include "check_main.h"
#include "core/rng.h"
#include "helper/core_coord.h"

#define SECOND_US UINT64_C(1000000)

static struct coord_fixture f;

static void setup(void)
{
    coord_setup(&f);
}

static void teardown(void)
{
    coord_teardown(&f);
}

static uint32_t ask(const struct weir_coord_request *q)
{
    ck_assert_int_eq(coord_do(&f, q), WEIR_COORD_OK);
    ck_assert_uint_eq(f.reply.tokens.count, q->tokens.count);
    return f.reply.tokens.items[0].granted;
}

static uint32_t want(uint32_t n)
{
    struct weir_coord_request q = coord_tokens("p", 600, 60, false, n);
    return ask(&q);
}

/* What is in the bucket once so many are back that were granted then. */
static uint32_t back(uint32_t n, uint64_t since_us)
{
    struct weir_coord_request q = coord_tokens("p", 600, 60, false, 0);
    q.tokens.items[0].unused = n;
    q.tokens.items[0].unused_since_us = since_us;
    ask(&q);
    return f.reply.tokens.items[0].remaining;
}

START_TEST(test_grants_what_is_there)
{
    ck_assert_uint_eq(want(20), 20);
    ck_assert_uint_eq(f.reply.tokens.items[0].remaining, 40);
    ck_assert_uint_eq(f.reply.tokens.items[0].full_us, 2 * SECOND_US);
    ck_assert_uint_eq(want(50), 40);
    ck_assert_uint_eq(f.reply.tokens.items[0].wait_us, 100000);
    f.now_us += 100000;
    ck_assert_uint_eq(want(50), 1);
    ck_assert_uint_eq(want(50), 0);
}
END_TEST

START_TEST(test_hand_back_and_charge)
{
    struct weir_coord_request q = coord_tokens("p", 600, 60, false, 0);
    ck_assert_uint_eq(want(60), 60);
    f.now_us += 3 * SECOND_US;
    ck_assert_uint_eq(want(30), 30);
    f.now_us += SECOND_US;
    ck_assert_uint_eq(back(10, f.now_us - SECOND_US), 20);
    q.tokens.items[0].spent = 30;
    ask(&q);
    ck_assert_uint_eq(f.reply.tokens.items[0].remaining, 0);
    ck_assert_uint_eq(f.reply.tokens.items[0].wait_us, 11 * SECOND_US / 10);
}
END_TEST

/* Of tokens that come back, a bucket that was full without them would have lost what came into it since. */
START_TEST(test_what_a_full_bucket_would_lose_stays_lost)
{
    uint64_t granted_us = f.now_us;
    ck_assert_uint_eq(want(10), 10);
    f.now_us += SECOND_US; /* it is full again, and then it is not: 10 have come that it would have lost */
    ck_assert_uint_eq(want(50), 50);
    ck_assert_uint_eq(back(10, granted_us), 10);
}
END_TEST

START_TEST(test_what_came_back_does_not_come_back_again)
{
    uint64_t granted_us = f.now_us;
    ck_assert_uint_eq(want(50), 50);
    f.now_us += SECOND_US / 5;
    ck_assert_uint_eq(want(12), 12);
    ck_assert_uint_eq(back(57, f.now_us), 57);
    ck_assert_uint_eq(want(57), 57);
    ck_assert_uint_eq(back(57, f.now_us), 3);
    ck_assert_uint_eq(back(50, granted_us), 3);
}
END_TEST

/* ... but what it lost before they were granted is none of theirs. */
START_TEST(test_all_of_a_burst_that_is_not_spent_comes_back)
{
    uint64_t granted_us = f.now_us;
    ck_assert_uint_eq(want(50), 50);
    ck_assert_uint_eq(back(10, granted_us), 20);
    f.now_us += SECOND_US;
    ck_assert_uint_eq(want(20), 20);
    ck_assert_uint_eq(back(20, f.now_us), 30);
    /* Those of the second grant are not missed in the time of the first: it owed 40 and filled with 10. */
    ck_assert_uint_eq(back(40, granted_us), 60);
}
END_TEST

START_TEST(test_nothing_comes_back_of_what_is_not_known)
{
    struct weir_coord_request other = coord_tokens("p", 600, 50, false, 0);
    uint64_t granted_us = f.now_us;
    ck_assert_uint_eq(want(60), 60);
    ck_assert_uint_eq(back(10, 0), 0);
    ck_assert_uint_eq(back(10, granted_us - 1), 0);    /* before anything was granted */
    ck_assert_uint_eq(back(10, granted_us + 1000), 0); /* in a time to come */
    f.now_us -= SECOND_US;                             /* the clock is set back */
    ck_assert_uint_eq(back(10, granted_us), 0);
    f.now_us += SECOND_US;
    ck_assert_uint_eq(back(10, granted_us), 0);
    f.now_us += WEIR_LEASE_RETURN_US + 1; /* too late, and 15 have come */
    ck_assert_uint_eq(want(5), 5);
    ck_assert_uint_eq(back(10, granted_us), 10);
    ck_assert_uint_eq(back(5, f.now_us), 15);
    ask(&other); /* other numbers in between */
    ck_assert_uint_eq(back(5, f.now_us), 15);
}
END_TEST

START_TEST(test_debt_is_bounded)
{
    struct weir_coord_request q = coord_tokens("p", 600, 60, false, 0);
    q.tokens.items[0].spent = UINT32_MAX;
    ask(&q);
    ck_assert_uint_eq(f.reply.tokens.items[0].full_us, 66 * SECOND_US);
    /* A clock set back, likewise. */
    f.now_us -= 3600 * SECOND_US;
    q.tokens.items[0].spent = 0;
    ask(&q);
    ck_assert_uint_eq(f.reply.tokens.items[0].full_us, 66 * SECOND_US);
    f.now_us += 66 * SECOND_US;
    ck_assert_uint_eq(want(100), 60);
}
END_TEST

START_TEST(test_new_numbers_keep_the_debt)
{
    want(30);
    struct weir_coord_request q = coord_tokens("p", 60, 40, false, 100);
    ck_assert_uint_eq(ask(&q), 10);
    q = coord_tokens("p", 60, 40, true, 100);
    ck_assert_uint_eq(ask(&q), 0);
    ck_assert_uint_eq(f.reply.tokens.items[0].wait_us, (60 * SECOND_US + WEIR_LEASE_LIFE_US) / 60 + 1);
    ck_assert_uint_eq(f.state->bucket_count, 1);
}
END_TEST

START_TEST(test_huge_limits_are_cut)
{
    struct weir_coord_request q = coord_tokens("p", UINT32_MAX, UINT32_MAX, false, UINT32_MAX);
    ck_assert_uint_eq(ask(&q), WEIR_COORD_LIMIT_MAX);
    f.now_us += SECOND_US;
    ck_assert_uint_eq(ask(&q), 1000000);
}
END_TEST

START_TEST(test_the_limit_used_least_recently_makes_room)
{
    char name[16];
    for (unsigned i = 0; i <= WEIR_COORD_LIMITS_MAX; i++) {
        snprintf(name, sizeof name, "p%u", i);
        struct weir_coord_request q = coord_tokens(name, 600, 60, false, 60);
        ck_assert_uint_eq(ask(&q), 60);
        q = coord_tokens("p0", 600, 60, false, 60);
        ck_assert_uint_eq(ask(&q), 0);
    }
    struct weir_coord_request q = coord_tokens("p1", 600, 60, false, 60);
    ck_assert_uint_eq(ask(&q), 60);
}
END_TEST

/* Twenty nodes that ask as often as they may, keep what they get for as long as they may and spend all of it at the
 * worst moment: no minute has more than the limit and the burst when it is strict, and at most what leases can add
 * otherwise. One slot is 50 ms; a lease lives 8 of them. */
#define SLOT_US      50000u
#define SLOTS        4800u
#define MINUTE_SLOTS 1200u

#define LIFE_SLOTS 7u

static uint32_t most_in_a_minute(const uint32_t *spent)
{
    uint32_t most = 0, sum = 0;
    for (unsigned i = 0; i < SLOTS; i++) {
        sum += spent[i];
        sum -= i >= MINUTE_SLOTS ? spent[i - MINUTE_SLOTS] : 0;
        most = sum > most ? sum : most;
    }
    return most;
}

static uint32_t worst_minute(bool strict, bool churn, uint64_t seed)
{
    static uint32_t spent[SLOTS + LIFE_SLOTS + 1], unspent[SLOTS + 3 * LIFE_SLOTS];
    static uint64_t since_us[SLOTS + 3 * LIFE_SLOTS]; /* the first of those unspent */
    struct weir_rng rng = {seed};
    memset(spent, 0, sizeof spent);
    memset(unspent, 0, sizeof unspent);
    for (unsigned slot = 0; slot < SLOTS; slot++, f.now_us += SLOT_US) {
        unsigned phase = slot % 2400;
        struct weir_coord_request q = coord_tokens("p", 600, 60, strict, 1 + (uint32_t)(weir_rng_next(&rng) % 80));
        q.tokens.items[0].unused = unspent[slot];
        q.tokens.items[0].unused_since_us = since_us[slot];
        if (phase < 300 && !churn)
            continue; /* silence: all is saved up that can be */
        uint32_t granted = ask(&q);
        /* What is taken and not spent goes back as late as it may; then what was saved up and what comes meets in one
         * minute, the first of it spent late, the last at once. */
        unsigned late = (unsigned)(weir_rng_next(&rng) % (LIFE_SLOTS + 1));
        unsigned returns = slot + LIFE_SLOTS + late;
        if (phase < 300 - LIFE_SLOTS) {
            since_us[returns] = unspent[returns] > 0 ? since_us[returns] : f.now_us;
            unspent[returns] += granted;
        } else {
            spent[slot + (phase < 350 ? LIFE_SLOTS : phase < 1400 ? late : 0)] += granted;
        }
    }
    return most_in_a_minute(spent);
}

START_TEST(test_any_minute_is_bounded)
{
    for (uint64_t seed = 1; seed <= check_rounds(8); seed++) {
        bool strict = seed % 2 == 0, churn = seed % 4 < 2;
        uint32_t worst = worst_minute(strict, churn, seed);
        uint32_t over = strict ? 0 : (uint32_t)(600 * WEIR_LEASE_LIFE_US / WEIR_LIMITER_MINUTE_US);
        ck_assert_msg(worst <= 660 + over, "seed %u: %u", (unsigned)seed, worst);
        if (!churn)
            ck_assert_msg(worst >= 655 + over, "seed %u: %u", (unsigned)seed, worst);
        teardown();
        setup();
    }
}
END_TEST

/* Nodes that take, spend and give back at random, in turns of some seconds: nothing at all, all of it back, some of
 * each, all spent at the end of its life, all at once. What goes back is back within a second and a half, each node's
 * with its own time. */
#define NODES        20u
#define RETURN_SLOTS 29u

static uint32_t random_minute(bool strict, uint64_t seed)
{
    enum { SILENT, RETURN_ALL, MIX, SPEND_LATE, SPEND, MOODS };
    static uint32_t spent[SLOTS + LIFE_SLOTS + 1];
    static struct weir_lease_unused unspent[SLOTS + RETURN_SLOTS + 1][NODES];
    struct weir_rng rng = {seed};
    unsigned mood = SPEND;
    memset(spent, 0, sizeof spent);
    memset(unspent, 0, sizeof unspent);
    for (unsigned slot = 0; slot < SLOTS; slot++, f.now_us += SLOT_US) {
        mood = slot % 40 == 0 ? (unsigned)(weir_rng_next(&rng) % MOODS) : mood;
        for (unsigned n = 0; n < NODES; n++, f.now_us++) {
            const struct weir_lease_unused *due = &unspent[slot][n];
            bool asks = mood != SILENT && weir_rng_next(&rng) % LIFE_SLOTS == 0;
            struct weir_coord_request q = coord_tokens("p", 600, 60, strict, 0);
            q.tokens.items[0].want = asks ? 1 + (uint32_t)(weir_rng_next(&rng) % 60) : 0;
            q.tokens.items[0].unused = due->tokens;
            q.tokens.items[0].unused_since_us = due->since_us;
            uint32_t granted = asks || due->tokens > 0 ? ask(&q) : 0;
            if (granted == 0)
                continue;
            uint32_t spends = mood == RETURN_ALL ? 0
                              : mood == MIX      ? (uint32_t)(weir_rng_next(&rng) % granted)
                                                 : granted;
            unsigned late = mood == SPEND ? 0 : mood == SPEND_LATE ? LIFE_SLOTS : (unsigned)(slot % LIFE_SLOTS);
            spent[slot + late] += spends;
            struct weir_lease_unused *to = &unspent[slot + 1 + weir_rng_next(&rng) % RETURN_SLOTS][n];
            to->since_us = to->tokens > 0 && to->since_us < f.now_us ? to->since_us : f.now_us;
            to->tokens += granted - spends;
        }
        f.now_us -= NODES;
    }
    return most_in_a_minute(spent);
}

START_TEST(test_any_minute_is_bounded_whatever_comes_back)
{
    for (uint64_t seed = 1; seed <= check_rounds(12); seed++) {
        bool strict = seed % 2 == 0;
        uint32_t worst = random_minute(strict, seed);
        uint32_t over = strict ? 0 : (uint32_t)(600 * WEIR_LEASE_LIFE_US / WEIR_LIMITER_MINUTE_US);
        ck_assert_msg(worst <= 660 + over, "seed %u: %u", (unsigned)seed, worst);
        teardown();
        setup();
    }
}
END_TEST

START_TEST(test_strict_begins_empty)
{
    struct weir_coord_request q = coord_tokens("p", 600, 60, true, 100);
    ck_assert_uint_eq(ask(&q), 0);
    f.now_us += 60 * SECOND_US;
    ck_assert_uint_eq(ask(&q), 60);
}
END_TEST

CHECK_MAIN("coord_tokens", setup, teardown, test_grants_what_is_there, test_hand_back_and_charge,
           test_what_a_full_bucket_would_lose_stays_lost, test_what_came_back_does_not_come_back_again,
           test_all_of_a_burst_that_is_not_spent_comes_back, test_nothing_comes_back_of_what_is_not_known,
           test_any_minute_is_bounded_whatever_comes_back, test_debt_is_bounded, test_new_numbers_keep_the_debt,
           test_huge_limits_are_cut, test_the_limit_used_least_recently_makes_room, test_any_minute_is_bounded,
           test_strict_begins_empty)
