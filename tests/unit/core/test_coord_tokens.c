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
    q.tokens.items[0].unused = 10;
    ask(&q);
    ck_assert_uint_eq(f.reply.tokens.items[0].remaining, 20);
    q.tokens.items[0].unused = 0;
    q.tokens.items[0].spent = 30;
    ask(&q);
    ck_assert_uint_eq(f.reply.tokens.items[0].remaining, 0);
    ck_assert_uint_eq(f.reply.tokens.items[0].wait_us, 11 * SECOND_US / 10);
}
END_TEST

/* Tokens that a full bucket would have lost had they not been taken do not come back. */
START_TEST(test_what_a_full_bucket_would_lose_stays_lost)
{
    struct weir_coord_request q = coord_tokens("p", 600, 60, false, 0);
    f.now_us -= f.now_us % SECOND_US;
    want(60);
    f.now_us += 3 * SECOND_US; /* owes 30 */
    want(0);
    f.now_us += 2 * SECOND_US; /* owes 10 */
    ck_assert_uint_eq(want(50), 50);
    f.now_us += SECOND_US; /* has owed 10 at least since it gave the 50, and then 50 */
    q.tokens.items[0].unused = 50;
    ask(&q);
    ck_assert_uint_eq(f.reply.tokens.items[0].remaining, 19);
    /* The same tokens twice: the second time there is nothing left of what it owed. */
    ask(&q);
    ck_assert_uint_eq(f.reply.tokens.items[0].remaining, 19);
    /* A clock set back knows nothing. */
    f.now_us -= 20 * SECOND_US;
    ask(&q);
    ck_assert_uint_eq(f.reply.tokens.items[0].remaining, 0);
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

static uint32_t worst_minute(bool strict, bool churn, uint64_t seed)
{
    static uint32_t spent[SLOTS + LIFE_SLOTS + 1], unspent[SLOTS + 3 * LIFE_SLOTS];
    struct weir_rng rng = {seed};
    memset(spent, 0, sizeof spent);
    memset(unspent, 0, sizeof unspent);
    for (unsigned slot = 0; slot < SLOTS; slot++, f.now_us += SLOT_US) {
        unsigned phase = slot % 2400;
        struct weir_coord_request q = coord_tokens("p", 600, 60, strict, 1 + (uint32_t)(weir_rng_next(&rng) % 80));
        q.tokens.items[0].unused = unspent[slot];
        if (phase < 300 && !churn)
            continue; /* silence: all is saved up that can be */
        uint32_t granted = ask(&q);
        /* What is taken and not spent goes back as late as it may; then what was saved up and what comes meets in one
         * minute, the first of it spent late, the last at once. */
        unsigned late = (unsigned)(weir_rng_next(&rng) % (LIFE_SLOTS + 1));
        if (phase < 300 - LIFE_SLOTS)
            unspent[slot + LIFE_SLOTS + late] += granted;
        else
            spent[slot + (phase < 350 ? LIFE_SLOTS : phase < 1400 ? late : 0)] += granted;
    }
    uint32_t worst = 0;
    for (unsigned from = 0; from + MINUTE_SLOTS <= SLOTS; from++) {
        uint32_t sum = 0;
        for (unsigned i = from; i < from + MINUTE_SLOTS; i++)
            sum += spent[i];
        worst = sum > worst ? sum : worst;
    }
    return worst;
}

START_TEST(test_any_minute_is_bounded)
{
    for (uint64_t seed = 1; seed <= 8; seed++) {
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

START_TEST(test_strict_begins_empty)
{
    struct weir_coord_request q = coord_tokens("p", 600, 60, true, 100);
    ck_assert_uint_eq(ask(&q), 0);
    f.now_us += 60 * SECOND_US;
    ck_assert_uint_eq(ask(&q), 60);
}
END_TEST

CHECK_MAIN("coord_tokens", setup, teardown, test_grants_what_is_there, test_hand_back_and_charge,
           test_what_a_full_bucket_would_lose_stays_lost, test_debt_is_bounded, test_new_numbers_keep_the_debt,
           test_huge_limits_are_cut, test_the_limit_used_least_recently_makes_room, test_any_minute_is_bounded,
           test_strict_begins_empty)
