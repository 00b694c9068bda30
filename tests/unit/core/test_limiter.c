#include "check_main.h"
#include "core/limiter.h"
#include "core/rng.h"

#define MINUTE WEIR_LIMITER_MINUTE_US
#define START  (UINT64_C(5) * 1000000)

static struct weir_limiter l;

static void make(uint32_t limit, uint32_t burst)
{
    weir_limiter_init(&l, limit, burst, MINUTE, START, false);
}

static bool take(uint64_t at_us)
{
    return weir_limiter_take(&l, at_us, 1).ok;
}

START_TEST(test_burst_then_rate)
{
    make(600, 60);
    for (int i = 0; i < 60; i++)
        ck_assert(take(START));
    struct weir_limiter_answer a = weir_limiter_take(&l, START, 1);
    ck_assert(!a.ok);
    ck_assert_uint_eq(a.remaining, 0);
    ck_assert_uint_eq(a.wait_us, 100000);
    ck_assert_uint_eq(a.full_us, 6000000);
    ck_assert(!take(START + 99999));
    a = weir_limiter_take(&l, START + 100000, 1);
    ck_assert(a.ok);
    ck_assert_uint_eq(a.wait_us, 0);
    ck_assert(!take(START + 100000));
    a = weir_limiter_look(&l, START + 6100000, 1);
    ck_assert_uint_eq(a.remaining, 60);
    ck_assert_uint_eq(a.full_us, 0);
}
END_TEST

START_TEST(test_a_refusal_costs_nothing)
{
    make(600, 1);
    ck_assert(take(START));
    for (int i = 0; i < 1000; i++)
        ck_assert(!take(START + 50000));
    ck_assert(take(START + 100000));
}
END_TEST

/* 7 a minute is no whole number of microseconds: nothing is lost over a year, and nothing gained. */
START_TEST(test_nothing_is_lost_to_rounding)
{
    make(7, 1);
    uint64_t now = START, minutes = 0;
    ck_assert(take(now));
    for (; minutes < 525600; minutes++) {
        for (int i = 0; i < 7; i++) {
            struct weir_limiter_answer a = weir_limiter_take(&l, now, 1);
            if (a.ok || a.wait_us > 8571429)
                ck_abort_msg("minute %u: ok %d, wait %u", (unsigned)minutes, a.ok, (unsigned)a.wait_us);
            now += a.wait_us;
            if (!weir_limiter_take(&l, now, 1).ok)
                ck_abort_msg("minute %u: the wait was too short", (unsigned)minutes);
        }
    }
    ck_assert_uint_ge(now, START + minutes * MINUTE);
    ck_assert_uint_le(now, START + minutes * MINUTE + 7 * minutes); /* each wait is rounded up */
    ck_assert(take(START + (minutes + 1) * MINUTE));                /* not one rounding of those piled up */
}
END_TEST

START_TEST(test_cost)
{
    make(600, 60);
    ck_assert(weir_limiter_take(&l, START, 50).ok);
    ck_assert_uint_eq(weir_limiter_look(&l, START, 11).wait_us, 100000);
    ck_assert(!weir_limiter_take(&l, START, 11).ok);
    ck_assert_uint_eq(weir_limiter_take(&l, START, 10).remaining, 0);
    /* More than the burst asks for a full bucket, and is paid in the end. */
    ck_assert_uint_eq(weir_limiter_look(&l, START, 600).wait_us, 6000000);
    ck_assert(!weir_limiter_take(&l, START + 5999999, 600).ok);
    ck_assert(weir_limiter_take(&l, START + 6000000, 600).ok);
    ck_assert_uint_eq(weir_limiter_look(&l, START + 6000000, 1).wait_us, (600 - 60 + 1) * 100000);
}
END_TEST

START_TEST(test_strict_starts_empty)
{
    weir_limiter_init(&l, 600, 60, MINUTE, START, true);
    ck_assert(!take(START));
    ck_assert(take(START + 100000));
}
END_TEST

START_TEST(test_a_reload_forgets_nothing)
{
    make(600, 60);
    ck_assert_uint_eq(weir_limiter_grant(&l, START, 50), 50);
    weir_limiter_set(&l, 60, 60, START);
    ck_assert_uint_eq(weir_limiter_look(&l, START, 1).remaining, 10);
    weir_limiter_set(&l, 6000, 600, START);
    ck_assert_uint_eq(weir_limiter_look(&l, START, 1).remaining, 550);
    weir_limiter_set(&l, 6000, 10, START);
    ck_assert_uint_eq(weir_limiter_look(&l, START, 1).remaining, 0);
    ck_assert_uint_eq(weir_limiter_look(&l, START, 1).wait_us, 41 * 10000);
}
END_TEST

START_TEST(test_the_largest_numbers)
{
    weir_limiter_init(&l, 1000000000, 1000000000, MINUTE, UINT64_C(1) << 52, false);
    ck_assert_uint_eq(weir_limiter_grant(&l, UINT64_C(1) << 52, UINT32_MAX), 1000000000);
    for (int i = 0; i < 1000; i++)
        weir_limiter_charge(&l, UINT64_C(1) << 52, UINT32_MAX);
    ck_assert(!weir_limiter_take(&l, UINT64_C(1) << 52, 1).ok);
    ck_assert_uint_eq(weir_limiter_look(&l, UINT64_C(1) << 52, 1).remaining, 0);
    make(1, UINT32_MAX);
    for (int i = 0; i < 10; i++)
        weir_limiter_charge(&l, START, UINT32_MAX);
    ck_assert(!take(START));
    ck_assert(!take(0)); /* a clock that went back */
}
END_TEST

START_TEST(test_grant_and_hand_back)
{
    make(600, 60);
    ck_assert_uint_eq(weir_limiter_grant(&l, START, 40), 40);
    ck_assert_uint_eq(weir_limiter_grant(&l, START, 40), 20);
    ck_assert_uint_eq(weir_limiter_grant(&l, START, 40), 0);
    weir_limiter_hand_back(&l, START, 15);
    ck_assert_uint_eq(weir_limiter_grant(&l, START, 40), 15);
    weir_limiter_hand_back(&l, START, 1000); /* no more than a full bucket */
    ck_assert_uint_eq(weir_limiter_grant(&l, START, 1000), 60);
    weir_limiter_charge(&l, START, 40);
    ck_assert_uint_eq(weir_limiter_look(&l, START, 1).wait_us, 41 * 100000);
}
END_TEST

START_TEST(test_the_wait_for_the_nth)
{
    make(600, 60);
    ck_assert_uint_eq(weir_limiter_tokens(&l, START), 60);
    ck_assert_uint_eq(weir_limiter_wait_us(&l, START, 60), 0);
    ck_assert_uint_eq(weir_limiter_wait_us(&l, START, 61), 100000);
    weir_limiter_charge(&l, START, 60);
    ck_assert_uint_eq(weir_limiter_tokens(&l, START + 99999), 0);
    ck_assert_uint_eq(weir_limiter_tokens(&l, START + 100000), 1);
    ck_assert_uint_eq(weir_limiter_wait_us(&l, START, 1), 100000);
    ck_assert_uint_eq(weir_limiter_wait_us(&l, START, 500), 50000000); /* beyond what the bucket holds at once */
    /* Whoever comes as told gets it, and so does the next. */
    for (unsigned nth = 1; nth <= 500; nth++) {
        uint64_t at = START + nth * UINT64_C(100000);
        ck_assert_uint_eq(weir_limiter_wait_us(&l, at, 1), 0);
        ck_assert(take(at));
        ck_assert_uint_eq(weir_limiter_wait_us(&l, at, 1), 100000);
    }
    make(1, UINT32_MAX);
    for (int i = 0; i < 10; i++)
        weir_limiter_charge(&l, START, UINT32_MAX);
    ck_assert_uint_gt(weir_limiter_wait_us(&l, START, UINT32_MAX), MINUTE * UINT32_MAX);
}
END_TEST

START_TEST(test_what_is_shown)
{
    make(600, 60);
    struct weir_limiter_answer a = weir_limiter_take(&l, START, 1);
    struct weir_limiter_values v = weir_limiter_show(&l, &a);
    ck_assert_uint_eq(v.limit, 600);
    ck_assert_uint_eq(v.remaining, 59);
    ck_assert_uint_eq(v.reset_s, 1);
    ck_assert_uint_eq(v.retry_after_s, 0);
    weir_limiter_charge(&l, START, 59 + 15);
    a = weir_limiter_take(&l, START, 1);
    v = weir_limiter_show(&l, &a);
    ck_assert_uint_eq(v.remaining, 0);
    ck_assert_uint_eq(v.retry_after_s, 2);
    ck_assert_uint_eq(v.reset_s, 8);
    ck_assert_uint_eq(weir_limiter_share(600, 800000, 3), 160);
    ck_assert_uint_eq(weir_limiter_share(1, 800000, 3), 1);
}
END_TEST

/* -- property: any minute admits at most limit + burst; under overload more than 99 % of the limit is used -- */

enum { SECONDS = 600, SLICE_MS = 10, SLICES = SECONDS * 1000 / SLICE_MS };
static uint32_t admitted[SLICES];

static void check_windows(uint64_t bound)
{
    uint64_t in_window = 0;
    for (unsigned i = 0; i < SLICES; i++) {
        in_window += admitted[i];
        if (i >= 60000 / SLICE_MS)
            in_window -= admitted[i - 60000 / SLICE_MS];
        if (in_window > bound)
            ck_abort_msg("%u admitted in the minute before %u ms", (unsigned)in_window, (i + 1) * SLICE_MS);
    }
}

static uint64_t total(void)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < SLICES; i++)
        sum += admitted[i];
    return sum;
}

static void offer(uint32_t limit, uint32_t burst, uint64_t seed)
{
    struct weir_rng rng = {seed};
    make(limit, burst);
    memset(admitted, 0, sizeof admitted);
    for (uint64_t us = 0; us < SECONDS * UINT64_C(1000000);) {
        /* Silence, floods and a load of three times the limit by turns, seldom for the first. */
        uint64_t phase = us / 7000000 % 8, mean = MINUTE / limit;
        us += phase == 5 ? mean * 20 : phase == 6 ? mean / 50 + 1 : weir_rng_next(&rng) % (mean * 2 / 3) + 1;
        if (us < SECONDS * UINT64_C(1000000) && take(START + us))
            admitted[us / 1000 / SLICE_MS]++;
    }
    check_windows(limit + burst);
}

START_TEST(test_any_minute_admits_at_most_limit_and_burst)
{
    for (uint64_t seed = 1; seed <= 20; seed++)
        offer(60 + (uint32_t)(seed * seed * 7), (uint32_t)(1 + seed * 3), seed);
}
END_TEST

START_TEST(test_the_limit_is_used_up)
{
    make(600, 60);
    memset(admitted, 0, sizeof admitted);
    for (uint64_t us = 0; us < SECONDS * UINT64_C(1000000); us += 30000) /* 2,000 a minute */
        admitted[us / 1000 / SLICE_MS] += take(START + us);
    check_windows(660);
    ck_assert_uint_ge(total(), 600 * SECONDS / 60 * 99 / 100);
}
END_TEST

/* -- leases -- */

START_TEST(test_a_lease)
{
    struct weir_lease e = {0};
    uint64_t now = START;
    ck_assert(!weir_lease_take(&e, now));
    ck_assert_uint_eq(weir_lease_want(&e, now, 4), 4);
    ck_assert_uint_eq(weir_lease_want(&e, now + WEIR_LEASE_PULL_US - 1, 9), 0);
    weir_lease_granted(&e, now + 1000, 3, now, now);
    for (int i = 0; i < 2; i++)
        ck_assert(weir_lease_take(&e, now + 1000));
    ck_assert_uint_eq(weir_lease_tokens(&e, now + WEIR_LEASE_LIFE_US - 1), 1);
    ck_assert_uint_eq(weir_lease_hand_back(&e, now + WEIR_LEASE_LIFE_US - 1, false).tokens, 0);
    ck_assert_uint_eq(weir_lease_tokens(&e, now + WEIR_LEASE_LIFE_US), 0);
    ck_assert_uint_eq(weir_lease_hand_back(&e, now + WEIR_LEASE_LIFE_US, false).tokens, 1);
    ck_assert_uint_eq(weir_lease_hand_back(&e, now + WEIR_LEASE_LIFE_US, false).tokens, 0);
    now += WEIR_LEASE_PULL_US;
    ck_assert_uint_eq(weir_lease_want(&e, now, 1), 3); /* what waits, and what was spent last time */
    weir_lease_granted(&e, now, 3, now, now);
    ck_assert_uint_eq(weir_lease_hand_back(&e, now, true).tokens, 3);
    ck_assert_uint_eq(weir_lease_tokens(&e, now), 0);
}
END_TEST

START_TEST(test_what_comes_too_late_goes_back)
{
    struct weir_lease e = {0};
    ck_assert_uint_eq(weir_lease_want(&e, START, 5), 5);
    weir_lease_granted(&e, START + WEIR_LEASE_LIFE_US, 5, START, START);
    ck_assert(!weir_lease_take(&e, START + WEIR_LEASE_LIFE_US));
    ck_assert_uint_eq(weir_lease_hand_back(&e, START + WEIR_LEASE_LIFE_US, false).tokens, 5);
}
END_TEST

/* The bucket knows only for so long what it would have lost without them. */
START_TEST(test_what_is_unused_for_long_is_gone)
{
    const uint64_t last = WEIR_LEASE_RETURN_US - WEIR_LEASE_WAY_US;
    struct weir_lease e = {0};
    weir_lease_granted(&e, START, 5, START, START);
    ck_assert_uint_eq(weir_lease_tokens(&e, START + WEIR_LEASE_LIFE_US), 0);
    ck_assert_uint_eq(weir_lease_hand_back(&e, START + last, false).tokens, 0);
    /* Younger ones go back as long as the older ones beside them could. */
    weir_lease_granted(&e, START, 5, START, START);
    weir_lease_granted(&e, START + 300000, 2, START + 300000, START + 300000);
    ck_assert_uint_eq(weir_lease_tokens(&e, START + 300000 + WEIR_LEASE_LIFE_US), 0);
    struct weir_lease later = e;
    ck_assert_uint_eq(weir_lease_hand_back(&e, START + last - 1, false).tokens, 7);
    ck_assert_uint_eq(weir_lease_hand_back(&later, START + last, false).tokens, 0);
    /* Never looked at meanwhile: the same. */
    struct weir_lease unseen = {0};
    weir_lease_granted(&unseen, START, 5, START, START);
    ck_assert_uint_eq(weir_lease_hand_back(&unseen, START + last, true).tokens, 0);
}
END_TEST

START_TEST(test_the_older_tokens_are_spent_first)
{
    struct weir_lease e = {0};
    weir_lease_granted(&e, START, 2, START, START);
    weir_lease_granted(&e, START + 100000, 2, START + 100000, START + 100000);
    weir_lease_granted(&e, START + 200000, 2, START + 200000, START + 200000); /* ends with the second */
    ck_assert_uint_eq(weir_lease_tokens(&e, START + 200000), 6);
    ck_assert(weir_lease_take(&e, START + 200000));
    ck_assert_uint_eq(weir_lease_tokens(&e, START + WEIR_LEASE_LIFE_US), 4);
    ck_assert_uint_eq(weir_lease_tokens(&e, START + 100000 + WEIR_LEASE_LIFE_US - 1), 4);
    ck_assert_uint_eq(weir_lease_tokens(&e, START + 100000 + WEIR_LEASE_LIFE_US), 0);
    ck_assert_uint_eq(weir_lease_hand_back(&e, START + 100000 + WEIR_LEASE_LIFE_US, false).tokens, 5);
}
END_TEST

/* On another clock, and the earliest of those that come back. */
START_TEST(test_when_they_were_granted_comes_back_with_them)
{
    struct weir_lease e = {0};
    struct weir_lease_unused back = weir_lease_hand_back(&e, START, true);
    ck_assert(back.tokens == 0 && back.since_us == 0);
    weir_lease_granted(&e, START, 2, START, 70);
    weir_lease_granted(&e, START + 300000, 5, START + 300000, 90);
    weir_lease_granted(&e, START + 310000, 1, START + 310000, 80); /* one with the second */
    struct weir_lease drained = e, dry = e;
    back = weir_lease_hand_back(&e, START + WEIR_LEASE_LIFE_US, false);
    ck_assert(back.tokens == 2 && back.since_us == 70);
    back = weir_lease_hand_back(&e, START + 300000 + WEIR_LEASE_LIFE_US, false);
    ck_assert(back.tokens == 6 && back.since_us == 80);
    back = weir_lease_hand_back(&drained, START + 310000, true);
    ck_assert(back.tokens == 8 && back.since_us == 70);
    /* A token of a lease that is over was not used: it makes those beside it as old. */
    for (int i = 0; i < 2; i++)
        ck_assert(weir_lease_take(&dry, START + 310000));
    weir_lease_put_back(&dry, START + WEIR_LEASE_LIFE_US);
    back = weir_lease_hand_back(&dry, START + WEIR_LEASE_LIFE_US, true);
    ck_assert(back.tokens == 7 && back.since_us == 70);
    weir_lease_granted(&dry, START, 1, START, 60);
    ck_assert(weir_lease_take(&dry, START));
    weir_lease_put_back(&dry, START);
    back = weir_lease_hand_back(&dry, START, false);
    ck_assert(back.tokens == 1 && back.since_us == 60);
}
END_TEST

START_TEST(test_an_idle_lease_stops_asking)
{
    struct weir_lease e = {0};
    uint64_t now = START;
    unsigned asked = 0;
    weir_lease_granted(&e, now, 100, now, now);
    for (int i = 0; i < 100; i++)
        ck_assert(weir_lease_take(&e, now));
    for (int i = 0; i < 40; i++, now += WEIR_LEASE_PULL_US)
        asked += weir_lease_want(&e, now, 0) > 0;
    ck_assert_uint_gt(asked, 0);
    ck_assert_uint_lt(asked, 30);
    ck_assert_uint_eq(weir_lease_want(&e, now, 0), 0);
}
END_TEST

/* Five nodes with leases, overloaded in turns, with slow answers: the stated bound holds, and the limit is used. */
START_TEST(test_leases_of_several_nodes)
{
    enum { NODES = 5 };
    struct weir_lease e[NODES] = {0};
    uint32_t queued[NODES] = {0};
    struct {
        uint32_t tokens;
        uint64_t asked_us, due_us;
    } answer[NODES] = {0};
    struct weir_rng rng = {7};
    make(6000, 600);
    memset(admitted, 0, sizeof admitted);
    for (unsigned slice = 0; slice < SLICES; slice++) {
        uint64_t now = START + slice * SLICE_MS * UINT64_C(1000);
        for (unsigned n = 0; n < NODES; n++) {
            /* 100 a second is the limit; each node gets 0, 40 or 100 of them. */
            unsigned load = (slice / 500 + n) % 3;
            queued[n] += load == 0 ? 0 : weir_rng_next(&rng) % 100 < (load == 1 ? 40 : 100);
            if (answer[n].tokens > 0 && answer[n].due_us <= now) {
                weir_lease_granted(&e[n], now, answer[n].tokens, answer[n].asked_us, answer[n].asked_us);
                answer[n].tokens = 0;
            }
            while (queued[n] > 0 && weir_lease_take(&e[n], now)) {
                queued[n]--;
                admitted[slice]++;
            }
            if (queued[n] > 200)
                queued[n] = 200; /* the rest gave up waiting */
            weir_limiter_hand_back(&l, now, weir_lease_hand_back(&e[n], now, false).tokens);
            uint32_t want = weir_lease_want(&e[n], now, queued[n]);
            if (want == 0)
                continue;
            answer[n].tokens = weir_limiter_grant(&l, now, want);
            answer[n].asked_us = now;
            answer[n].due_us = now + weir_rng_next(&rng) % 100000;
        }
    }
    check_windows(6000 + 600 + 6000 * WEIR_LEASE_LIFE_US / MINUTE);
    ck_assert_uint_ge(total(), UINT64_C(6000) * SECONDS / 60 * 99 / 100);
}
END_TEST

CHECK_MAIN("limiter", NULL, NULL, test_burst_then_rate, test_a_refusal_costs_nothing, test_nothing_is_lost_to_rounding,
           test_cost, test_strict_starts_empty, test_a_reload_forgets_nothing, test_the_largest_numbers,
           test_grant_and_hand_back, test_the_wait_for_the_nth, test_what_is_shown,
           test_any_minute_admits_at_most_limit_and_burst, test_the_limit_is_used_up, test_a_lease,
           test_what_comes_too_late_goes_back, test_what_is_unused_for_long_is_gone,
           test_the_older_tokens_are_spent_first, test_when_they_were_granted_comes_back_with_them,
           test_an_idle_lease_stops_asking, test_leases_of_several_nodes)
