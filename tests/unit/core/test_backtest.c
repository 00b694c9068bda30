/* core/backtest and core/ses, on series made here. */
#include "core/backtest.h"

#include <math.h>
#include <stdbool.h>

#include "check_main.h"
#include "core/rng.h"
#include "core/ses.h"
#include "helper/core_failmalloc.h"

#define COUNT 1440u

static double values[COUNT];
static struct weir_rng rng;
static struct weir_backtest b;
static struct weir_err err;

static void setup(void)
{
    rng = (struct weir_rng){11};
}

static double noise(void)
{
    double sum = -6;
    for (unsigned i = 0; i < 12; i++)
        sum += (double)(weir_rng_next(&rng) >> 11) * 0x1p-53;
    return sum;
}

static bool near(double a, double b_)
{
    return fabs(a - b_) < 1e-6 * (1 + fabs(b_));
}

static int compare(const void *a, const void *b_)
{
    double x = *(const double *)a, y = *(const double *)b_;
    return x < y ? -1 : x > y ? 1 : 0;
}

START_TEST(test_ses_finds_its_share)
{
    /* Noise around a level: the share is small. A random walk: nearly 1. */
    for (unsigned i = 0; i < COUNT; i++)
        values[i] = 100 + noise();
    struct weir_ses s = weir_ses_fit(values, COUNT);
    ck_assert_msg(s.share < 0.05, "%g", s.share);
    ck_assert_msg(fabs(s.first - 100) < 2, "%g", s.first);
    for (unsigned i = 1; i < COUNT; i++)
        values[i] = values[i - 1] + noise();
    s = weir_ses_fit(values, COUNT);
    ck_assert_msg(s.share > 0.9, "%g", s.share);
    /* A walk seen through noise of its own size: 0.618. */
    double at = 100;
    for (unsigned i = 0; i < COUNT; i++)
        values[i] = (at += noise()) + noise();
    s = weir_ses_fit(values, COUNT);
    ck_assert_msg(0.52 < s.share && s.share < 0.72, "%g", s.share);
}
END_TEST

START_TEST(test_ses_replays_its_errors)
{
    static const double few[] = {10, 20, NAN, 40, 30};
    static double levels[5], scratch[COUNT], errors[COUNT];
    struct weir_ses s = {0.5, 10};
    weir_ses_replay(&s, few, 5, levels);
    ck_assert(near(levels[0], 10) && near(levels[1], 15) && near(levels[2], 15) && near(levels[3], 27.5) &&
              near(levels[4], 28.75));
    /* One step ahead: 20 - 10 and 30 - 27.5, since a gap has no error. */
    ck_assert(near(weir_ses_error_quantile(few, levels, 5, 1, 0.5, scratch), (10 + 2.5) / 2));
    ck_assert(near(weir_ses_error_quantile(few, levels, 5, 4, 0.9, scratch), 20));
    ck_assert(near(weir_ses_error_quantile(few, levels, 5, 5, 0.9, scratch), 0));

    static double many[COUNT], level[COUNT];
    for (unsigned i = 0; i < COUNT; i++)
        many[i] = (double)(weir_rng_next(&rng) % 50);
    for (unsigned i = 0; i + 1 < COUNT; i++)
        errors[i] = many[i + 1];
    qsort(errors, COUNT - 1, sizeof errors[0], compare);
    for (double q = 0; q <= 1; q += 0.05) {
        double place = q * (COUNT - 2), below = floor(place);
        double truth = errors[(unsigned)below] +
                       (place - below) * (errors[(unsigned)fmin(below + 1, COUNT - 2)] - errors[(unsigned)below]);
        ck_assert(near(weir_ses_error_quantile(many, level, COUNT, 1, q, scratch), truth));
    }
}
END_TEST

/* 2, 4, 2, 4, ... and then 4 throughout the last third. */
START_TEST(test_scores_by_hand)
{
    for (unsigned i = 0; i < COUNT; i++)
        values[i] = i < COUNT * 2 / 3 - 1 ? (i % 2 == 0 ? 2 : 4) : 4;
    ck_assert_int_eq(weir_backtest_run(&b, values, COUNT, 60, 1, &err), WEIR_OK);
    ck_assert_uint_eq(b.origins, WEIR_BACKTEST_ORIGINS);
    const struct weir_backtest_score *naive = &b.methods[WEIR_BACKTEST_NAIVE];
    ck_assert(near(naive->mase, 0) && near(naive->coverage90, 1) && near(naive->short_rel, 0));
    /* Its band is 1.2816 root mean square steps wide, of which there are fewer and fewer. */
    double spare = 0;
    for (unsigned i = 0; i < WEIR_BACKTEST_ORIGINS; i++) {
        unsigned origin = 960 + i * (1439 - 960) / 89;
        spare += 1.2815515655446004 * sqrt(4.0 * 959 / (origin - 1)) / 90;
    }
    ck_assert_msg(near(naive->spare_rel, spare / 4), "%g, not %g", naive->spare_rel, spare / 4);
    ck_assert(near(naive->pinball90_rel, 0.1 * spare / 4));
}
END_TEST

START_TEST(test_a_season_is_worth_more_than_the_plain_methods)
{
    for (unsigned i = 0; i < COUNT; i++)
        values[i] = 200 + 100 * sin(i * 2 * M_PI / 48) + 5 * noise();
    ck_assert_int_eq(weir_backtest_run(&b, values, COUNT, 1800, 12, &err), WEIR_OK);
    const struct weir_backtest_score *weir = &b.methods[WEIR_BACKTEST_WEIR], *ses = &b.methods[WEIR_BACKTEST_SES_E];
    ck_assert(weir->mase < 0.5 * ses->mase && weir->pinball90_rel < 0.5 * ses->pinball90_rel);
    ck_assert_msg(0.85 < weir->coverage90 && weir->coverage90 < 0.95, "%g", weir->coverage90);
    ck_assert(weir->spare_rel < ses->spare_rel);
}
END_TEST

START_TEST(test_what_follows_an_origin_is_not_known_there)
{
    /* A jump behind the last origin: no origin can know of it, so that every forecast of it misses. */
    const unsigned horizon = 60, last = COUNT - horizon;
    for (unsigned i = 0; i < COUNT; i++)
        values[i] = fmax(100 + 10 * noise(), 0) + (i >= last ? 100000 : 0);
    ck_assert_int_eq(weir_backtest_run(&b, values, COUNT, 60, horizon, &err), WEIR_OK);
    unsigned missed = 0;
    for (unsigned i = 0; i < WEIR_BACKTEST_ORIGINS; i++) {
        unsigned origin = 960 + i * (last - 960) / 89, end = origin + horizon;
        missed += end > last ? end - last : 0;
    }
    double rest = 1 - missed / (90.0 * horizon);
    ck_assert_uint_gt(missed, 300);
    for (unsigned m = 0; m < WEIR_BACKTEST_METHODS; m++)
        ck_assert_msg(b.methods[m].coverage90 < rest + 1e-9, "%g of at most %g", b.methods[m].coverage90, rest);
}
END_TEST

START_TEST(test_short_series_have_fewer_origins)
{
    for (unsigned i = 0; i < COUNT; i++)
        values[i] = 50 + noise();
    ck_assert_int_eq(weir_backtest_run(&b, values, 350, 10, 60, &err), WEIR_OK);
    ck_assert_uint_eq(b.origins, 90);
    ck_assert_int_eq(weir_backtest_run(&b, values, 200, 10, 60, &err), WEIR_OK);
    ck_assert_uint_eq(b.origins, 41);
    ck_assert_int_eq(weir_backtest_run(&b, values, 180, 10, 60, &err), WEIR_OK);
    ck_assert_uint_eq(b.origins, 31);
    ck_assert_int_eq(weir_backtest_run(&b, values, 179, 10, 60, &err), WEIR_EINVAL);
    ck_assert_str_eq(err.msg, "179 values are too few for 60 steps ahead: 180 at least");
}
END_TEST

START_TEST(test_series_without_a_measure)
{
    for (unsigned i = 0; i < COUNT; i++)
        values[i] = 0;
    ck_assert_int_eq(weir_backtest_run(&b, values, COUNT, 60, 5, &err), WEIR_OK);
    ck_assert(isnan(b.methods[0].mase) && isnan(b.methods[0].pinball90_rel) && near(b.methods[0].coverage90, 1));
    for (unsigned i = 0; i < COUNT; i++)
        values[i] = i < 700 ? 5 : (double)NAN;
    ck_assert_int_eq(weir_backtest_run(&b, values, COUNT, 60, 5, &err), WEIR_EINVAL);
    for (unsigned i = 0; i < COUNT; i++)
        values[i] = i < 1000 ? (double)NAN : 5 + i % 3;
    ck_assert_int_eq(weir_backtest_run(&b, values, COUNT, 60, 5, &err), WEIR_OK);
    ck_assert(isfinite(b.methods[WEIR_BACKTEST_SES_E].mase) && isfinite(b.methods[0].pinball90_rel));
}
END_TEST

START_TEST(test_memory_that_is_refused)
{
    for (unsigned i = 0; i < COUNT; i++)
        values[i] = 50 + noise();
    bool more = true;
    for (unsigned long n = 1; more; n = failmalloc_next(n)) {
        failmalloc_begin(n);
        int rv = weir_backtest_run(&b, values, 100, 60, 2, &err);
        long left = failmalloc_end(&more);
        ck_assert_int_eq(left, 0);
        ck_assert_int_eq(rv, more ? WEIR_ENOMEM : WEIR_OK);
    }
}
END_TEST

CHECK_MAIN("backtest", setup, NULL, test_ses_finds_its_share, test_ses_replays_its_errors, test_scores_by_hand,
           test_a_season_is_worth_more_than_the_plain_methods, test_what_follows_an_origin_is_not_known_there,
           test_short_series_have_fewer_origins, test_series_without_a_measure, test_memory_that_is_refused)
