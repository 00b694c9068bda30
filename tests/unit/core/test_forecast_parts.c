/* What core/forecast is made of: level, season, mix, errors, one horizon. */
#include <math.h>
#include <stdbool.h>

#include "check_main.h"
#include "core/forecast_horizon.h"
#include "core/forecast_level.h"
#include "core/forecast_season.h"
#include "core/rng.h"

static bool near(double a, double b)
{
    return fabs(a - b) < 1e-4 * (1 + fabs(b));
}

START_TEST(test_means_of_several_memories)
{
    struct weir_level l = {0};
    double out[WEIR_LEVEL_PREDICTIONS];
    weir_level_push(&l, 10);
    weir_level_push(&l, 20);
    weir_level_predict(&l, 3, out);
    ck_assert_msg(near(out[0], 15), "the longest begins as a plain mean: %g", out[0]);
    ck_assert_msg(near(out[WEIR_LEVEL_MEANS - 1], 20), "the shortest is the last value: %g", out[WEIR_LEVEL_MEANS - 1]);
    for (unsigned i = 0; i < 1000; i++)
        weir_level_push(&l, i % 2 == 0 ? 90 : 110);
    weir_level_predict(&l, 3, out);
    ck_assert_msg(99 < out[0] && out[0] < 101, "%g", out[0]);
    ck_assert_uint_eq(weir_level_best(&l), 0);
    for (unsigned i = 0; i < 1000; i++)
        weir_level_push(&l, 100 + 20 * i);
    ck_assert_uint_eq(weir_level_best(&l), WEIR_LEVEL_MEANS - 1);
}
END_TEST

START_TEST(test_a_trend_goes_on_and_flattens)
{
    struct weir_level l = {0};
    double one[WEIR_LEVEL_PREDICTIONS], ten[WEIR_LEVEL_PREDICTIONS], far[WEIR_LEVEL_PREDICTIONS];
    for (unsigned i = 0; i <= 500; i++)
        weir_level_push(&l, 10.0 * i);
    for (unsigned i = WEIR_LEVEL_MEANS; i < WEIR_LEVEL_PREDICTIONS; i++) {
        weir_level_predict(&l, 1, one);
        weir_level_predict(&l, 10, ten);
        weir_level_predict(&l, 500, far);
        ck_assert(one[i] > 4990 && ten[i] > one[i] + 20 && far[i] > ten[i] && far[i] < 5200);
    }
    /* A step without a value is a step of the forecast. */
    weir_level_predict(&l, 2, one);
    weir_level_skip(&l);
    weir_level_predict(&l, 1, ten);
    for (unsigned i = 0; i < WEIR_LEVEL_PREDICTIONS; i++)
        ck_assert(near(one[i], ten[i]));
}
END_TEST

START_TEST(test_a_profile_of_a_period)
{
    struct weir_season s;
    double out[WEIR_SEASON_PREDICTIONS];
    weir_season_init(&s, 24, WEIR_SEASON_DAY_PARTS);
    ck_assert_uint_eq(s.part_count, 24);
    for (unsigned i = 0; i < 24 * 3; i++) {
        ck_assert(weir_season_ready(&s, i) == (i > 24));
        weir_season_push(&s, i, i % 24 == 7 ? 500 : 100);
    }
    weir_season_predict(&s, 24 * 4 + 7, out);
    for (unsigned i = 0; i < WEIR_SEASON_PREDICTIONS; i++)
        ck_assert_msg(near(out[i], 500), "%g", out[i]);
    /* The load doubles: what is on top goes with it, sooner with the shorter memory. */
    weir_season_push(&s, 24 * 3, 200);
    weir_season_predict(&s, 24 * 3 + 1, out);
    ck_assert(near(out[WEIR_SEASON_PREDICTIONS - 1], 200));
    ck_assert(100 < out[0] && out[0] < out[1] && out[1] < 200);
}
END_TEST

START_TEST(test_long_and_short_periods)
{
    struct weir_season s;
    double out[WEIR_SEASON_PREDICTIONS];
    weir_season_init(&s, 3, WEIR_SEASON_DAY_PARTS);
    for (unsigned i = 0; i < 100; i++)
        weir_season_push(&s, i, 1);
    ck_assert(!weir_season_ready(&s, 100));
    /* 8,640 steps of 10 s in 144 parts; a period that is no whole number of steps. */
    static const double periods[] = {8640, 86400 / 7.0, 4.5};
    for (unsigned n = 0; n < 3; n++) {
        weir_season_init(&s, periods[n], WEIR_SEASON_DAY_PARTS);
        unsigned steps = (unsigned)(3 * periods[n]);
        for (unsigned i = 0; i < steps; i++)
            weir_season_push(&s, i, 100 + 50 * sin(i * 2 * M_PI / periods[n]));
        for (unsigned i = 0; i < steps; i++) {
            weir_season_predict(&s, steps + i, out);
            double truth = 100 + 50 * sin((steps + i) * 2 * M_PI / periods[n]);
            ck_assert_msg(fabs(out[0] - truth) < (n < 2 ? 3 : 60), "%g, not %g", out[0], truth);
        }
    }
}
END_TEST

START_TEST(test_a_part_never_seen_is_as_the_one_before_it)
{
    struct weir_season s;
    double out[WEIR_SEASON_PREDICTIONS];
    weir_season_init(&s, 24, WEIR_SEASON_DAY_PARTS);
    for (unsigned i = 0; i < 24 * 4; i++)
        if (i % 24 != 5 && i % 24 != 6)
            weir_season_push(&s, i, 100);
    ck_assert(weir_season_ready(&s, 24 * 4));
    weir_season_predict(&s, 24 * 4 + 6, out);
    ck_assert(near(out[0], 100));
}
END_TEST

START_TEST(test_the_mix_goes_to_who_is_right)
{
    struct weir_mix m = {{0}, {0}};
    double w[3];
    weir_mix_weights(&m, 3, 1, 0, 0, w);
    ck_assert(near(w[0], 1 / 3.0) && near(w[1], 1 / 3.0));
    weir_mix_weights(&m, 3, 1, 1, 4, w);
    ck_assert(near(w[1] / w[0], exp(4)));
    for (unsigned i = 0; i < 300; i++) {
        static const float said[] = {90, 100, 130};
        weir_mix_weights(&m, 3, 1, 0, 0, w);
        double mixture = w[0] * 90 + w[1] * 100 + w[2] * 130;
        weir_mix_learn(&m, 3, said, mixture, mixture > 100 ? 1 : -1, 10, 0.999);
    }
    weir_mix_weights(&m, 3, 1, 0, 0, w);
    ck_assert_msg(fabs(w[0] * 90 + w[1] * 100 + w[2] * 130 - 100) < 2, "%g %g %g", w[0], w[1], w[2]);
    ck_assert(w[1] > w[0] && w[1] > w[2]);
    ck_assert(near(w[0] + w[1] + w[2], 1));
}
END_TEST

START_TEST(test_quantiles_of_the_last_errors)
{
    struct weir_errors e = {0};
    ck_assert(near(weir_errors_quantile(&e, 0.9), 0));
    weir_errors_add(&e, 5);
    ck_assert(near(weir_errors_quantile(&e, 0.9), 5));
    struct weir_rng rng = {1};
    for (unsigned i = 0; i < 3000; i++)
        weir_errors_add(&e, (double)(weir_rng_next(&rng) % 1000));
    for (unsigned i = 0; i < WEIR_ERRORS_MAX; i++)
        weir_errors_add(&e, (i * 37) % WEIR_ERRORS_MAX);
    for (unsigned i = 0; i < WEIR_ERRORS_MAX; i++)
        ck_assert_msg(near((double)e.by_size[i], i), "%u: %g", i, (double)e.by_size[i]);
    ck_assert(near(weir_errors_quantile(&e, 0.5), 257 * 0.5 - 1));
    ck_assert(near(weir_errors_quantile(&e, 1), 255) && near(weir_errors_quantile(&e, 0), 0));
}
END_TEST

START_TEST(test_a_band_is_moved_until_it_covers)
{
    static struct weir_horizon_row rows[4];
    struct weir_horizon h;
    struct weir_rng rng = {3};
    double said[2] = {50, 50};
    unsigned covered = 0, scored = 0;
    weir_horizon_init(&h, 4, rows);
    /* The load rises with time, and the predictors do not know: only the correction can tell. */
    for (uint64_t at = 0; at < 20000; at++) {
        double value = 50 + (double)at / 100 + (double)(weir_rng_next(&rng) % 10);
        if (at >= 4000) {
            scored++;
            covered += value <= (double)rows[at % 4].high ? 1 : 0;
        }
        weir_horizon_learn(&h, at, value);
        weir_horizon_say(&h, at, 2, said, 0, 50, 0);
    }
    ck_assert_msg(covered > 0.86 * scored && covered < 0.94 * scored, "%u of %u", covered, scored);
}
END_TEST

START_TEST(test_nothing_is_learned_from_what_was_not_said)
{
    static struct weir_horizon_row rows[3];
    struct weir_horizon h;
    double said[1] = {50};
    weir_horizon_init(&h, 3, rows);
    for (uint64_t at = 0; at < 3; at++)
        weir_horizon_say(&h, at, 1, said, 0, 50, 0);
    weir_horizon_learn(&h, 3, 60);
    weir_horizon_skip(&h, 3);
    ck_assert_uint_eq(h.scored, 1);
    weir_horizon_learn(&h, 4, 60);
    weir_horizon_say(&h, 4, 1, said, 0, 50, 0);
    ck_assert_uint_eq(h.scored, 2);
    /* Step 6 was to be forecast at step 3, which had no value. */
    weir_horizon_learn(&h, 6, 60);
    ck_assert_uint_eq(h.scored, 2);
    weir_horizon_learn(&h, 7, 60);
    ck_assert_uint_eq(h.scored, 3);
    ck_assert(near(h.usual_error, 10));
}
END_TEST

CHECK_MAIN("forecast_parts", NULL, NULL, test_means_of_several_memories, test_a_trend_goes_on_and_flattens,
           test_a_profile_of_a_period, test_long_and_short_periods, test_a_part_never_seen_is_as_the_one_before_it,
           test_the_mix_goes_to_who_is_right, test_quantiles_of_the_last_errors, test_a_band_is_moved_until_it_covers,
           test_nothing_is_learned_from_what_was_not_said)
