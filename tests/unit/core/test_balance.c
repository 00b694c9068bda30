#include "core/balance.h"

#include "check_main.h"
#include "core/rng.h"

#include <math.h>

#define SECOND ((uint64_t)1000000)
#define MS     ((uint64_t)1000)

static struct weir_rng rng;

static void setup(void)
{
    rng.state = 11;
}

static bool near(double a, double b)
{
    return fabs(a - b) <= 1e-9 * fabs(b);
}

START_TEST(test_estimate_follows_the_formula)
{
    struct weir_balance_latency l;
    weir_balance_latency_init(&l, 7 * SECOND);
    ck_assert(near(weir_balance_latency_us(&l, 7 * SECOND), 1e6));
    ck_assert(near(weir_balance_latency_us(&l, 17 * SECOND), 1e6 * exp(-1)));
    /* Above the estimate: at once. */
    weir_balance_answered(&l, 8 * SECOND, 3 * SECOND);
    ck_assert(near(weir_balance_latency_us(&l, 8 * SECOND), 3e6));
    /* Below it: by the time gone by. */
    weir_balance_answered(&l, 13 * SECOND, SECOND);
    double w = exp(-0.5);
    ck_assert(near(weir_balance_latency_us(&l, 13 * SECOND), 3e6 * w + 1e6 * (1 - w)));
}
END_TEST

START_TEST(test_looking_changes_nothing)
{
    struct weir_balance_latency a, b;
    weir_balance_latency_init(&a, 0);
    b = a;
    for (uint64_t t = 0; t < 20 * SECOND; t += SECOND / 10)
        weir_balance_latency_us(&a, t);
    weir_balance_answered(&a, 20 * SECOND, 5 * MS);
    weir_balance_answered(&b, 20 * SECOND, 5 * MS);
    ck_assert(weir_balance_latency_us(&a, 20 * SECOND) == weir_balance_latency_us(&b, 20 * SECOND));
}
END_TEST

START_TEST(test_the_first_measurement_replaces_the_default)
{
    struct weir_balance_latency l;
    weir_balance_latency_init(&l, 0);
    ck_assert(!l.measured);
    weir_balance_answered(&l, 1, MS);
    ck_assert(l.measured && !l.failed && near(weir_balance_latency_us(&l, 1), 1000));
}
END_TEST

START_TEST(test_failures_are_slow_answers)
{
    struct weir_balance_latency l;
    weir_balance_latency_init(&l, 0);
    weir_balance_answered(&l, 100 * SECOND, MS);
    weir_balance_failed(&l, 100 * SECOND, MS);
    ck_assert(near(weir_balance_latency_us(&l, 100 * SECOND), (double)WEIR_BALANCE_PENALTY_US));
    ck_assert(l.failed);
    weir_balance_failed(&l, 100 * SECOND, 30 * SECOND);
    ck_assert(near(weir_balance_latency_us(&l, 100 * SECOND), 30e6));
}
END_TEST

START_TEST(test_a_clock_that_goes_back)
{
    struct weir_balance_latency l;
    weir_balance_latency_init(&l, 10 * SECOND);
    ck_assert(near(weir_balance_latency_us(&l, 9 * SECOND), 1e6));
    weir_balance_answered(&l, 9 * SECOND, SECOND);
    weir_balance_answered(&l, 9 * SECOND, MS);
    ck_assert(near(weir_balance_latency_us(&l, 10 * SECOND), 1e6));
    ck_assert(weir_balance_latency_us(&l, UINT64_MAX) > 0);
}
END_TEST

static struct weir_balance_item item(void)
{
    return (struct weir_balance_item){.weight = 1, .latency_us = 1000, .up_ms = UINT64_MAX};
}

START_TEST(test_candidates_by_rank)
{
    struct weir_balance_item e[3] = {item(), item(), item()};
    ck_assert_uint_eq(weir_balance_candidates(e, 3), 7);
    e[0].tried = true;
    ck_assert_uint_eq(weir_balance_candidates(e, 3), 6);
    e[1].ejected = true;
    ck_assert_uint_eq(weir_balance_candidates(e, 3), 4);
    e[2].closed = true;
    ck_assert_uint_eq(weir_balance_candidates(e, 3), 1); /* tried, but in health */
    e[0].closed = true;
    ck_assert_uint_eq(weir_balance_candidates(e, 3), 2); /* ejected, but open for use */
    e[1].tried = true;
    ck_assert_uint_eq(weir_balance_candidates(e, 3), 2);
    e[1].weight = 0;
    ck_assert_uint_eq(weir_balance_candidates(e, 3), 0);
    ck_assert_int_eq(weir_balance_pick(e, 3, 0, 0), -1);
    ck_assert_int_eq(weir_balance_pick(e, 0, 0, 0), -1);
}
END_TEST

START_TEST(test_the_cheaper_of_two)
{
    struct weir_balance_item e[2] = {item(), item()};
    e[0].in_flight = 4;
    for (int i = 0; i < 200; i++)
        ck_assert_int_eq(weir_balance_pick(e, 2, 0, weir_rng_next(&rng)), 1);
    e[1].latency_us = 6000;
    for (int i = 0; i < 200; i++)
        ck_assert_int_eq(weir_balance_pick(e, 2, 0, weir_rng_next(&rng)), 0);
    e[1].weight = 2; /* half the cost */
    for (int i = 0; i < 200; i++)
        ck_assert_int_eq(weir_balance_pick(e, 2, 0, weir_rng_next(&rng)), 1);
}
END_TEST

START_TEST(test_every_extreme_of_chance)
{
    struct weir_balance_item e[WEIR_POOL_ENDPOINTS_MAX];
    const uint64_t extremes[] = {0, UINT64_MAX, UINT32_MAX, (uint64_t)UINT32_MAX << 32, 1};
    for (unsigned n = 1; n <= WEIR_POOL_ENDPOINTS_MAX; n++) {
        e[n - 1] = item();
        e[n - 1].weight = n;
        for (unsigned i = 0; i < sizeof extremes / sizeof extremes[0]; i++) {
            int pick = weir_balance_pick(e, n, 0, extremes[i]);
            ck_assert(pick >= 0 && pick < (int)n);
        }
    }
}
END_TEST

/* Requests come one a step of 10 ms and take as many steps as the endpoint is slow; counts where they went. */
static void simulate(const uint32_t *service, const uint32_t *weight, unsigned n, unsigned *count)
{
    enum { STEPS = 20000, LONG = 64 };
    static uint8_t done[LONG][8];
    struct weir_balance_item e[8];
    struct weir_balance_latency latency[8];
    for (unsigned i = 0; i < n; i++) {
        e[i] = item();
        e[i].weight = weight[i];
        weir_balance_latency_init(&latency[i], 0);
        count[i] = 0;
    }
    for (unsigned step = 0; step < STEPS; step++) {
        uint64_t now = step * 10 * MS;
        for (unsigned i = 0; i < n; i++) {
            for (; done[step % LONG][i] > 0; done[step % LONG][i]--, e[i].in_flight--)
                weir_balance_answered(&latency[i], now, service[i] * 10 * MS);
            e[i].latency_us = weir_balance_latency_us(&latency[i], now);
        }
        int pick = weir_balance_pick(e, n, 0, weir_rng_next(&rng));
        e[pick].in_flight++;
        done[(step + service[pick]) % LONG][pick]++;
        count[pick]++;
    }
}

START_TEST(test_a_slow_one_gets_little_but_something)
{
    const uint32_t service[] = {6, 6, 60}, weight[] = {1, 1, 1};
    unsigned count[3];
    simulate(service, weight, 3, count);
    ck_assert_uint_lt(count[2] * 10, count[0]);
    ck_assert_uint_lt(count[2] * 10, count[1]);
    ck_assert_uint_gt(count[2], 0);
    ck_assert_uint_lt(count[0] * 10, count[1] * 12);
    ck_assert_uint_lt(count[1] * 10, count[0] * 12);
}
END_TEST

START_TEST(test_weights_share_the_load)
{
    const uint32_t service[] = {30, 30, 30}, weight[] = {4, 2, 2};
    unsigned count[3];
    simulate(service, weight, 3, count);
    ck_assert_uint_gt(count[0] * 100, 170 * count[1]);
    ck_assert_uint_lt(count[0] * 100, 240 * count[1]);
    ck_assert_uint_lt(count[1] * 10, count[2] * 12);
}
END_TEST

START_TEST(test_slow_start)
{
    struct weir_balance_item e = item();
    e.up_ms = 0;
    ck_assert(near(weir_balance_cost(&e, 10000), 10000));
    e.up_ms = 5000;
    ck_assert(near(weir_balance_cost(&e, 10000), 2000));
    e.up_ms = 10000;
    ck_assert(near(weir_balance_cost(&e, 10000), 1000));
    e.up_ms = 0;
    ck_assert(near(weir_balance_cost(&e, 0), 1000));
}
END_TEST

START_TEST(test_a_new_one_is_not_flooded)
{
    struct weir_balance_item e[4] = {item(), item(), item(), item()};
    unsigned count = 0;
    for (int i = 0; i < 4; i++)
        e[i].in_flight = 2;
    e[3].in_flight = 0;
    e[3].up_ms = 0;
    for (int i = 0; i < 10000; i++)
        count += weir_balance_pick(e, 4, 10000, weir_rng_next(&rng)) == 3;
    ck_assert_uint_eq(count, 0); /* a tenth of the weight: dearer, though idle */
    e[3].up_ms = 5000;
    for (int i = 0; i < 10000; i++)
        count += weir_balance_pick(e, 4, 10000, weir_rng_next(&rng)) == 3;
    ck_assert_uint_gt(count, 2000);
    ck_assert_uint_lt(count, 4000); /* cheaper, but drawn by half its weight only */
}
END_TEST

CHECK_MAIN("balance", setup, NULL, test_estimate_follows_the_formula, test_looking_changes_nothing,
           test_the_first_measurement_replaces_the_default, test_failures_are_slow_answers, test_a_clock_that_goes_back,
           test_candidates_by_rank, test_the_cheaper_of_two, test_every_extreme_of_chance,
           test_a_slow_one_gets_little_but_something, test_weights_share_the_load, test_slow_start,
           test_a_new_one_is_not_flooded)
