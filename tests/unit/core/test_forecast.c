/* core/forecast on series whose structure is known, since they are made here. */
#include "core/forecast.h"

#include <math.h>
#include <string.h>

#include "check_main.h"
#include "core/rng.h"
#include "helper/core_failmalloc.h"

#define HOUR_S  3600.0
#define HORIZON 24u

static struct weir_rng rng;
static struct weir_forecast *f;

static void setup(void)
{
    rng = (struct weir_rng){7};
}

static void teardown(void)
{
    weir_forecast_free(&f);
}

static double uniform(void)
{
    return (double)(weir_rng_next(&rng) >> 11) * 0x1p-53;
}

/* Mean 0, deviation 1. */
static double noise(void)
{
    double sum = -6;
    for (unsigned i = 0; i < 12; i++)
        sum += uniform();
    return sum;
}

typedef double (*series_fn)(unsigned step);

/* What forecasts of a series were worth from step `from` on. */
struct judged {
    double error[HORIZON + 1], naive_error[HORIZON + 1], covered[HORIZON + 1];
};

static struct judged judge(series_fn series, double step_s, unsigned from, unsigned steps)
{
    struct judged j = {{0}, {0}, {0}};
    double *values = calloc(steps, sizeof *values);
    ck_assert_ptr_nonnull(values);
    for (unsigned i = 0; i < steps; i++)
        values[i] = series(i);
    f = weir_forecast_new(step_s, HORIZON);
    ck_assert_ptr_nonnull(f);
    unsigned known[HORIZON + 1] = {0};
    for (unsigned now = 0; now + HORIZON < steps; now++) {
        weir_forecast_push(f, values[now]);
        if (now < from || isnan(values[now]))
            continue;
        for (unsigned h = 1; h <= HORIZON; h++) {
            struct weir_forecast_point p = weir_forecast_at(f, h);
            double value = values[now + h];
            ck_assert(isfinite(p.mid) && isfinite(p.high) && 0 <= p.mid && p.mid <= p.high);
            if (isnan(value))
                continue;
            known[h]++;
            j.error[h] += fabs(value - p.mid);
            j.naive_error[h] += fabs(value - values[now]);
            j.covered[h] += value <= p.high ? 1 : 0;
        }
    }
    for (unsigned h = 1; h <= HORIZON; h++) {
        j.error[h] /= known[h];
        j.naive_error[h] /= known[h];
        j.covered[h] /= known[h];
    }
    free(values);
    return j;
}

static void covers(const struct judged *j, double low, double high)
{
    for (unsigned h = 1; h <= HORIZON; h++)
        ck_assert_msg(low <= j->covered[h] && j->covered[h] <= high, "%u steps ahead %.3f covered", h, j->covered[h]);
}

static double constant(unsigned step)
{
    (void)step;
    return 42;
}

START_TEST(test_what_never_changes_is_forecast_as_it_is)
{
    struct judged j = judge(constant, HOUR_S, 10, 500);
    struct weir_forecast_point p = weir_forecast_at(f, HORIZON);
    ck_assert(j.error[1] < 0.001 && j.error[HORIZON] < 0.001);
    ck_assert(p.high < 42.1);
    ck_assert_uint_eq(weir_forecast_seen(f), 500 - HORIZON);
}
END_TEST

static double level_and_noise(unsigned step)
{
    (void)step;
    return fmax(100 + 10 * noise(), 0);
}

START_TEST(test_noise_around_a_level)
{
    struct judged j = judge(level_and_noise, 10, 1000, 6000);
    covers(&j, 0.88, 0.92);
    /* The mean error of the best forecast, the level, is 0.8 deviations; that of the last value 1.13. */
    ck_assert_msg(j.error[1] < 8.5 && j.error[HORIZON] < 8.5, "%.2f and %.2f", j.error[1], j.error[HORIZON]);
    struct weir_forecast_point p = weir_forecast_at(f, 5);
    ck_assert_msg(108 < p.high && p.high < 118, "the 0.9 quantile is 112.8, not %.1f", p.high);
}
END_TEST

static double walk(unsigned step)
{
    static double at;
    at = step == 0 ? 1000 : fmax(at + 5 * noise(), 0);
    return at;
}

START_TEST(test_a_random_walk_is_not_made_worse_and_its_band_widens)
{
    struct judged j = judge(walk, 10, 1000, 8000);
    covers(&j, 0.86, 0.94);
    ck_assert_msg(j.error[1] < 1.05 * j.naive_error[1], "%.2f and %.2f", j.error[1], j.naive_error[1]);
    ck_assert_msg(j.error[HORIZON] < 1.15 * j.naive_error[HORIZON], "%.2f and %.2f", j.error[HORIZON],
                  j.naive_error[HORIZON]);
    struct weir_forecast_point near = weir_forecast_at(f, 1), far = weir_forecast_at(f, HORIZON);
    ck_assert(far.high - far.mid > 2 * (near.high - near.mid));
}
END_TEST

static double day_wave(unsigned step)
{
    return 500 + 300 * sin(step * 2 * M_PI / 144) + 15 * noise();
}

START_TEST(test_a_day_is_learned)
{
    /* From the fourth day on; steps of 10 minutes. */
    struct judged j = judge(day_wave, 600, 3 * 144, 20 * 144);
    covers(&j, 0.86, 0.94);
    ck_assert_msg(j.error[HORIZON] < 25, "%.1f", j.error[HORIZON]);
    ck_assert(j.error[HORIZON] < 0.2 * j.naive_error[HORIZON]);
}
END_TEST

/* Five days of a wave, two quiet ones. */
static double week_wave(unsigned step)
{
    double load = step / 24 % 7 < 5 ? 300 + 200 * sin(step * 2 * M_PI / 24) : 100;
    return load + 5 * noise();
}

START_TEST(test_a_week_is_learned)
{
    struct judged j = judge(week_wave, HOUR_S, 6 * 168, 20 * 168);
    ck_assert_msg(j.error[HORIZON] < 20, "%.1f", j.error[HORIZON]);
    covers(&j, 0.86, 0.94);
}
END_TEST

static double ramp(unsigned step)
{
    return 100 + 2.0 * step + noise();
}

START_TEST(test_a_trend_is_followed)
{
    struct judged j = judge(ramp, 10, 300, 1500);
    ck_assert_msg(j.error[8] < 0.7 * j.naive_error[8], "%.2f and %.2f", j.error[8], j.naive_error[8]);
}
END_TEST

static double shift(unsigned step)
{
    return fmax((step < 1500 ? 100 : 400) + 10 * noise(), 0);
}

START_TEST(test_a_level_shift_is_taken_within_a_few_steps)
{
    f = weir_forecast_new(10, HORIZON);
    for (unsigned i = 0; i < 1520; i++)
        weir_forecast_push(f, shift(i));
    struct weir_forecast_point p = weir_forecast_at(f, 1);
    ck_assert_msg(300 < p.mid && p.mid < 450, "%.1f", p.mid);
    ck_assert(p.high > 400);
    unsigned covered = 0;
    for (unsigned i = 1520; i < 3520; i++) {
        double value = shift(i);
        covered += value <= weir_forecast_at(f, 1).high ? 1 : 0;
        weir_forecast_push(f, value);
    }
    ck_assert_msg(1760 < covered && covered < 1860, "%u of 2000", covered);
}
END_TEST

static double growing(unsigned step)
{
    return 100 * exp(step / 1000.0) * (1 + 0.1 * noise());
}

START_TEST(test_a_band_grows_with_the_load)
{
    struct judged j = judge(growing, 10, 500, 5000);
    covers(&j, 0.86, 0.94);
}
END_TEST

static double burst(unsigned step)
{
    return step == 1000 ? 1e9 : fmax(100 + 10 * noise(), 0);
}

START_TEST(test_one_burst_does_not_stay)
{
    f = weir_forecast_new(10, HORIZON);
    for (unsigned i = 0; i < 3000; i++)
        weir_forecast_push(f, burst(i));
    for (unsigned h = 1; h <= HORIZON; h++) {
        struct weir_forecast_point p = weir_forecast_at(f, h);
        ck_assert_msg(80 < p.mid && p.mid < 120, "%u steps ahead %g", h, p.mid);
        ck_assert_msg(p.high < 200, "%u steps ahead %g", h, p.high);
    }
}
END_TEST

static double now_and_then(unsigned step)
{
    return step % 500 < 400 ? 0 : 50 + 5 * noise();
}

START_TEST(test_zeros_then_a_load)
{
    struct judged j = judge(now_and_then, 10, 600, 6000);
    covers(&j, 0.85, 0.95);
}
END_TEST

static double with_gaps(unsigned step)
{
    double value = day_wave(step);
    return uniform() < 0.3 ? NAN : value;
}

/* From the first step on: an error against no load at all says nothing in proportion. */
START_TEST(test_a_first_load_after_zeros_has_a_band_of_its_size)
{
    for (unsigned zeros = 1; zeros < 60; zeros++) {
        weir_forecast_free(&f);
        f = weir_forecast_new(1, HORIZON);
        for (unsigned i = 0; i < zeros; i++)
            weir_forecast_push(f, 0);
        for (unsigned i = 0; i < 30; i++) {
            weir_forecast_push(f, 14);
            for (unsigned h = 1; h <= HORIZON; h++)
                ck_assert(weir_forecast_at(f, h).high < 14 * 4);
        }
    }
}
END_TEST

START_TEST(test_gaps_are_not_zeros)
{
    struct judged j = judge(with_gaps, 600, 4 * 144, 20 * 144);
    ck_assert_msg(j.error[HORIZON] < 25, "%.1f", j.error[HORIZON]);
    covers(&j, 0.86, 0.95);
}
END_TEST

START_TEST(test_a_long_pause_keeps_what_was_learned)
{
    f = weir_forecast_new(600, HORIZON);
    unsigned step = 0;
    for (; step < 10 * 144; step++)
        weir_forecast_push(f, day_wave(step));
    /* A thousand weeks, and a quarter of a day. */
    uint64_t pause = 7000 * 144 + 36;
    weir_forecast_skip(f, pause);
    step += (unsigned)pause;
    for (unsigned i = 0; i < 3; i++)
        weir_forecast_push(f, day_wave(step++));
    struct weir_forecast_point p = weir_forecast_at(f, HORIZON);
    double truth = 500 + 300 * sin((step - 1 + HORIZON) * 2 * M_PI / 144);
    ck_assert_msg(fabs(p.mid - truth) < 60, "%.0f, not %.0f", truth, p.mid);
    ck_assert_uint_eq(weir_forecast_seen(f), 10 * 144 + 3);
    weir_forecast_skip(f, UINT64_C(1) << 40);
    ck_assert(isfinite(weir_forecast_at(f, 1).high));
}
END_TEST

START_TEST(test_nothing_seen_is_zero)
{
    f = weir_forecast_new(10, HORIZON);
    weir_forecast_skip(f, 100);
    for (unsigned h = 1; h <= HORIZON; h++) {
        struct weir_forecast_point p = weir_forecast_at(f, h);
        ck_assert(!(p.mid > 0) && !(p.high > 0));
    }
    weir_forecast_push(f, 8);
    ck_assert(fabs(weir_forecast_at(f, 3).mid - 8) < 1e-5);
}
END_TEST

START_TEST(test_what_is_no_load_is_a_gap)
{
    static const double odd[] = {NAN, INFINITY, -INFINITY, -1, 1e300};
    f = weir_forecast_new(10, HORIZON);
    for (unsigned i = 0; i < 500; i++) {
        weir_forecast_push(f, 100);
        weir_forecast_push(f, odd[i % (sizeof odd / sizeof odd[0])]);
    }
    ck_assert_uint_eq(weir_forecast_seen(f), 500);
    ck_assert(fabs(weir_forecast_at(f, 7).mid - 100) < 0.01);
}
END_TEST

/* Whatever comes, the forecast is one, and the same for the same series. */
START_TEST(test_anything_gives_a_forecast_and_the_same_twice)
{
    static const unsigned horizons[] = {1, 2, 3, 7, 60, WEIR_FORECAST_HORIZON_MAX};
    static const double steps_s[] = {0.001, 10, 1800, 86400, 1e7};
    for (unsigned n = 0; n < check_rounds(30); n++) {
        unsigned horizon = horizons[n % 6];
        double step_s = steps_s[n % 5];
        struct weir_forecast *twin = weir_forecast_new(step_s, horizon);
        f = weir_forecast_new(step_s, horizon);
        double scale = pow(10, 15 * uniform());
        for (unsigned i = 0; i < 700; i++) {
            double kind = uniform(), value = kind < 0.1 ? NAN : kind < 0.2 ? 0 : kind < 0.3 ? scale : scale * uniform();
            uint64_t pause = uniform() < 0.01 ? weir_rng_next(&rng) >> 34 : 0;
            weir_forecast_push(f, value);
            weir_forecast_push(twin, value);
            weir_forecast_skip(f, pause);
            weir_forecast_skip(twin, pause);
        }
        for (unsigned h = 1; h <= horizon; h++) {
            struct weir_forecast_point p = weir_forecast_at(f, h), q = weir_forecast_at(twin, h);
            ck_assert(isfinite(p.mid) && isfinite(p.high) && 0 <= p.mid && p.mid <= p.high);
            ck_assert(memcmp(&p, &q, sizeof p) == 0);
        }
        weir_forecast_free(&f);
        weir_forecast_free(&twin);
    }
}
END_TEST

START_TEST(test_memory_that_is_refused)
{
    bool more = true;
    for (unsigned long n = 1; more; n = failmalloc_next(n)) {
        failmalloc_begin(n);
        f = weir_forecast_new(10, HORIZON);
        bool made = f != NULL;
        weir_forecast_free(&f);
        long left = failmalloc_end(&more);
        ck_assert_int_eq(left, 0);
        ck_assert(made == !more);
    }
}
END_TEST

CHECK_MAIN("forecast", setup, teardown, test_what_never_changes_is_forecast_as_it_is, test_noise_around_a_level,
           test_a_random_walk_is_not_made_worse_and_its_band_widens, test_a_day_is_learned, test_a_week_is_learned,
           test_a_trend_is_followed, test_a_level_shift_is_taken_within_a_few_steps, test_a_band_grows_with_the_load,
           test_one_burst_does_not_stay, test_zeros_then_a_load, test_a_first_load_after_zeros_has_a_band_of_its_size,
           test_gaps_are_not_zeros, test_a_long_pause_keeps_what_was_learned, test_nothing_seen_is_zero,
           test_what_is_no_load_is_a_gap, test_anything_gives_a_forecast_and_the_same_twice,
           test_memory_that_is_refused)
