#include "core/gradient.h"

#include "check_main.h"
#include "core/rng.h"

#include <math.h>

static struct weir_gradient g;

static void setup(void)
{
    weir_gradient_init(&g, 20, 200);
}

static void answers(unsigned steps, uint64_t us, uint32_t in_flight)
{
    for (unsigned i = 0; i < steps * WEIR_GRADIENT_SAMPLES; i++)
        weir_gradient_answered(&g, us, in_flight);
}

START_TEST(test_a_step_by_the_formula)
{
    ck_assert_uint_eq(weir_gradient_limit(&g), 20);
    answers(1, 1000, 20);
    ck_assert(fabs(g.limit - (20 * 0.8 + 24 * 0.2)) < 1e-9);
    double before = g.limit, average = 1000;
    answers(1, 1500, 21);
    for (unsigned i = 0; i < WEIR_GRADIENT_SAMPLES; i++)
        average += (1500 - average) * 2 / 601;
    ck_assert(fabs(g.limit - (before * 0.8 + (before * average / 1500 + 4) * 0.2)) < 1e-9);
}
END_TEST

START_TEST(test_grows_to_its_bound_while_fast)
{
    answers(2000, 1000, 200);
    ck_assert_uint_eq(weir_gradient_limit(&g), 200);
}
END_TEST

START_TEST(test_an_unused_limit_stays)
{
    answers(100, 1000, 9);
    ck_assert_uint_eq(weir_gradient_limit(&g), 20);
    answers(1, 1000, 10);
    ck_assert(g.limit > 20);
}
END_TEST

START_TEST(test_one_busy_moment_in_a_step_counts)
{
    for (unsigned i = 0; i < WEIR_GRADIENT_SAMPLES; i++)
        weir_gradient_answered(&g, 1000, i == 3 ? 20 : 1);
    ck_assert(g.limit > 20);
}
END_TEST

START_TEST(test_falls_when_slow_but_not_below)
{
    answers(2000, 1000, 200);
    answers(1, 100000, 200);
    /* By no more than a half of it before smoothing. */
    ck_assert(fabs(g.limit - (200 * 0.8 + (200 * 0.5 + 4) * 0.2)) < 1e-9);
    answers(10, 100000, 200);
    ck_assert_uint_lt(weir_gradient_limit(&g), 100);
    for (unsigned i = 0; i < 1000; i++)
        weir_gradient_dropped(&g);
    ck_assert_uint_eq(weir_gradient_limit(&g), 20);
}
END_TEST

START_TEST(test_recovers_from_a_bad_time)
{
    answers(2000, 50000, 200);
    ck_assert(fabs(g.long_us - 50000) < 1);
    /* Fast again: the long average comes down faster than its window alone would let it. */
    answers(30, 1000, 200);
    ck_assert(g.long_us < 5000);
}
END_TEST

START_TEST(test_refusals_lower_it_once_a_step)
{
    answers(2000, 1000, 200);
    weir_gradient_dropped(&g);
    weir_gradient_dropped(&g);
    ck_assert(fabs(g.limit - 180) < 1e-9);
    answers(1, 1000, 200);
    double before = g.limit;
    weir_gradient_dropped(&g);
    ck_assert(fabs(g.limit - before * 0.9) < 1e-9);
}
END_TEST

START_TEST(test_bounds_of_a_reload)
{
    answers(2000, 1000, 200);
    weir_gradient_bounds(&g, 5, 50);
    ck_assert_uint_eq(weir_gradient_limit(&g), 50);
    weir_gradient_bounds(&g, 80, 90);
    ck_assert_uint_eq(weir_gradient_limit(&g), 80);
}
END_TEST

/* An endpoint that serves 60 at once and queues the rest: the limit settles near what it can do. */
START_TEST(test_settles_at_the_capacity_of_a_model)
{
    struct weir_rng rng = {5};
    for (unsigned i = check_rounds(400000); i > 0; i--) {
        double load = weir_gradient_limit(&g);
        double us = 100000 * (load > 60 ? load / 60 : 1) * (0.9 + 0.2 * (double)(weir_rng_next(&rng) >> 32) / 0x1p32);
        weir_gradient_answered(&g, (uint64_t)us, (uint32_t)load);
        if (weir_gradient_limit(&g) < 20 || weir_gradient_limit(&g) > 200)
            ck_abort_msg("%u", weir_gradient_limit(&g));
    }
    ck_assert_uint_gt(weir_gradient_limit(&g), 50);
}
END_TEST

START_TEST(test_random_events_keep_it_in_bounds)
{
    struct weir_rng rng = {9};
    for (unsigned i = check_rounds(200000); i > 0; i--) {
        uint64_t r = weir_rng_next(&rng);
        if (r % 7 == 0)
            weir_gradient_dropped(&g);
        else
            weir_gradient_answered(&g, r % 11 == 0 ? 0 : r >> (r % 64), (uint32_t)(r >> 32));
        ck_assert(g.limit >= 20 && g.limit <= 200 && g.long_us > 0 && isfinite(g.long_us));
    }
}
END_TEST

CHECK_MAIN("gradient", setup, NULL, test_a_step_by_the_formula, test_grows_to_its_bound_while_fast,
           test_an_unused_limit_stays, test_one_busy_moment_in_a_step_counts, test_falls_when_slow_but_not_below,
           test_recovers_from_a_bad_time, test_refusals_lower_it_once_a_step, test_bounds_of_a_reload,
           test_settles_at_the_capacity_of_a_model, test_random_events_keep_it_in_bounds)
