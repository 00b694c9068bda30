/* Days of load with a known shape, in simulated time. */
#include <math.h>
#include <stdio.h>

#include "check_main.h"
#include "core/load_forecast.h"
#include "core/rng.h"
#include "helper/core_failmalloc.h"

#define SLOT_MS UINT64_C(10000)
#define HOUR_MS UINT64_C(3600000)

static struct weir_load_forecast *f;
static struct weir_rng rng;
static struct weir_load_record record;

static void setup(void)
{
    rng.state = 1;
    f = weir_load_forecast_new(SLOT_MS, HOUR_MS);
    ck_assert_ptr_nonnull(f);
}

static void teardown(void)
{
    weir_load_forecast_free(&f);
}

static void begin_step(uint64_t number)
{
    memset(&record, 0, sizeof record);
    record.slot = number;
    record.slots = weir_load_step_slots(weir_load_forecast_step(f));
}

static void tell(const char *provider, double in_flight, double requests)
{
    struct weir_load_point *p = &weir_load_record_item(&record, weir_str_of(provider))->point;
    p->in_flight_peak = (uint64_t)in_flight;
    p->requests = (uint64_t)requests;
}

static void step(uint64_t number, double in_flight, double requests)
{
    begin_step(number);
    tell("a", in_flight, requests);
    ck_assert(weir_load_forecast_push(f, &record));
}

static double noise(void)
{
    return (double)(weir_rng_next(&rng) % 1000) / 1000 - 0.5;
}

static struct weir_load_peak peak(uint64_t store_ms)
{
    return weir_load_forecast_peak(f, NULL, WEIR_LOAD_IN_FLIGHT, store_ms);
}

START_TEST(test_the_step_that_reaches_the_window)
{
    static const struct {
        uint64_t slot_ms, window_ms;
        enum weir_load_step step;
        unsigned horizon;
    } cases[] = {
        {10000, 60000, WEIR_LOAD_SLOT, 6},
        {10000, 1200000, WEIR_LOAD_SLOT, 120},
        {10000, 1200001, WEIR_LOAD_MINUTE, 21},
        {10000, HOUR_MS, WEIR_LOAD_MINUTE, 60},
        {10000, 4 * HOUR_MS, WEIR_LOAD_TEN_MINUTES, 24},
        {10000, 7 * 24 * HOUR_MS, WEIR_LOAD_TEN_MINUTES, WEIR_FORECAST_HORIZON_MAX},
        {60000, 60000, WEIR_LOAD_SLOT, 1},
        {1000, HOUR_MS, WEIR_LOAD_TEN_MINUTES, 60},
        {60000, 1, WEIR_LOAD_SLOT, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        weir_load_forecast_free(&f);
        f = weir_load_forecast_new(cases[i].slot_ms, cases[i].window_ms);
        ck_assert_int_eq(weir_load_forecast_step(f), cases[i].step);
        ck_assert_uint_eq(weir_load_forecast_horizon(f), cases[i].horizon);
        ck_assert_uint_eq(weir_load_forecast_step_ms(f), cases[i].slot_ms * weir_load_step_slots(cases[i].step));
    }
}
END_TEST

START_TEST(test_nothing_is_known)
{
    ck_assert_uint_eq(peak(0).peak_at_ms, 0);
    ck_assert(!weir_load_forecast_current(f, 0));
    step(100, 10, 60);
    ck_assert_uint_eq(weir_load_forecast_peak(f, "b", WEIR_LOAD_IN_FLIGHT, 0).peak_at_ms, 0);
    ck_assert_uint_gt(weir_load_forecast_peak(f, "a", WEIR_LOAD_IN_FLIGHT, 0).peak_at_ms, 0);
}
END_TEST

/* Three days with a peak at noon: in the fourth it is told before it comes, when and how high. */
START_TEST(test_a_daily_peak_is_seen_ahead)
{
    uint64_t day = 24 * 60, number = 20000 * day;
    for (uint64_t n = 0; n < 3 * day + 11 * 60 + 20; n++, number++) {
        double minute = (double)(n % day), load = 50 + 400 * exp(-pow((minute - 720) / 25, 2));
        step(number, load + 10 * noise(), 60 * load);
    }
    struct weir_load_peak p = peak(number * 60000);
    double in_s = ((double)p.peak_at_ms - (double)number * 60000) / 1000;
    ck_assert_msg(p.peak > 300 && p.peak < 600, "peak %f", p.peak);
    ck_assert_msg(p.peak_high >= p.peak && p.peak_high < 800, "high %f", p.peak_high);
    ck_assert_msg(fabs(in_s - 40 * 60) <= 15 * 60, "in %f s", in_s);
    struct weir_load_peak rate = weir_load_forecast_peak(f, "a", WEIR_LOAD_REQUESTS_S, number * 60000);
    ck_assert_msg(rate.peak > 200 && rate.peak < 600, "rate %f", rate.peak);
}
END_TEST

/* What is over is not ahead: the first steps pass while no new record comes. */
START_TEST(test_what_is_ahead_of_now)
{
    for (uint64_t n = 1000; n < 1100; n++)
        step(n, 100, 100);
    ck_assert_uint_eq(weir_load_forecast_at_ms(f, 1), 1100 * UINT64_C(60000));
    ck_assert_uint_ge(peak(1102 * UINT64_C(60000) + 1).peak_at_ms, 1102 * UINT64_C(60000));
    ck_assert(weir_load_forecast_current(f, 1101 * UINT64_C(60000)));
    ck_assert(!weir_load_forecast_current(f, 1102 * UINT64_C(60000)));
    ck_assert_uint_eq(peak(9999 * UINT64_C(60000)).peak_at_ms, 0);
}
END_TEST

START_TEST(test_gaps_zeros_bursts_and_level_shifts)
{
    uint64_t n = 1000;
    for (; n < 1100; n++)
        step(n, 100 + 10 * noise(), 100);
    n += 5000; /* days without a record */
    for (; n < 6200; n++)
        step(n, 100 + 10 * noise(), 100);
    ck_assert(fabs(peak(n * 60000).peak - 100) < 25);
    step(n++, 5000, 100); /* one burst */
    for (uint64_t end = n + 30; n < end; n++)
        step(n, 100 + 10 * noise(), 100);
    ck_assert_msg(peak(n * 60000).peak < 300, "%f", peak(n * 60000).peak);
    for (uint64_t end = n + 60; n < end; n++)
        step(n, 1000 + 10 * noise(), 100);
    ck_assert_msg(peak(n * 60000).peak > 800, "%f", peak(n * 60000).peak);
    for (uint64_t end = n + 200; n < end; n++)
        step(n, 0, 0);
    ck_assert_msg(peak(n * 60000).peak < 20, "%f", peak(n * 60000).peak);
    step(n - 1, 1e9, 1e9); /* of a step that has been: passed over */
    step(17, 1e9, 1e9);
    ck_assert_msg(peak(n * 60000).peak < 20, "%f", peak(n * 60000).peak);
}
END_TEST

START_TEST(test_providers)
{
    const char *names[WEIR_LOAD_PROVIDERS_MAX];
    for (uint64_t n = 1000; n < 1100; n++) {
        begin_step(n);
        tell("a", 10, 60);
        if (n >= 1050)
            tell("b", 30, 600);
        record.in_flight_peak = n >= 1050 ? 35 : 10; /* not both peaks at once */
        ck_assert(weir_load_forecast_push(f, &record));
    }
    ck_assert_uint_eq(weir_load_forecast_providers(f, names), 2);
    ck_assert(fabs(weir_load_forecast_peak(f, "a", WEIR_LOAD_IN_FLIGHT, 0).peak - 10) < 1);
    ck_assert(fabs(weir_load_forecast_peak(f, "b", WEIR_LOAD_IN_FLIGHT, 0).peak - 30) < 1);
    ck_assert(fabs(weir_load_forecast_peak(f, "b", WEIR_LOAD_REQUESTS_S, 0).peak - 10) < 1);
    ck_assert(fabs(peak(0).peak - 35) < 2);
    for (uint64_t n = 1100; n < 1200; n++)
        step(n, 10, 60);
    ck_assert_uint_eq(weir_load_forecast_providers(f, names), 1);
    ck_assert_str_eq(names[0], "a");
    ck_assert(weir_load_forecast_peak(f, "b", WEIR_LOAD_IN_FLIGHT, 0).peak < 1); /* no record: no load */
    for (uint64_t n = 1200; n < 3000; n++)
        step(n, 10, 60);
    ck_assert_uint_eq(weir_load_forecast_peak(f, "b", WEIR_LOAD_IN_FLIGHT, 0).peak_at_ms, 0); /* forgotten */
}
END_TEST

/* More providers than there is room for, each in a record of its own: the first ones are kept, and all goes on. */
START_TEST(test_more_providers_than_fit)
{
    for (uint64_t n = 0; n < WEIR_LOAD_PROVIDERS_MAX + 5; n++) {
        char name[16];
        snprintf(name, sizeof name, "p%u", (unsigned)n);
        begin_step(1000 + n);
        tell(name, 10, 10);
        ck_assert_int_eq(weir_load_forecast_push(f, &record), n < WEIR_LOAD_PROVIDERS_MAX);
    }
    ck_assert_uint_eq(weir_load_forecast_seen(f), WEIR_LOAD_PROVIDERS_MAX + 5);
}
END_TEST

/* Replaying the series again gives the same forecast, to the bit: leaders may change. */
START_TEST(test_the_rebuilt_is_the_same)
{
    struct weir_load_forecast *other = weir_load_forecast_new(SLOT_MS, HOUR_MS);
    for (uint64_t n = 1000; n < 1600; n++) {
        if (n % 50 == 7)
            continue;
        step(n, 100 + 80 * noise(), 100);
        ck_assert(weir_load_forecast_push(other, &record));
    }
    for (unsigned ahead = 1; ahead <= 60; ahead++) {
        struct weir_forecast_point a = weir_load_forecast_at(f, WEIR_LOAD_IN_FLIGHT, ahead),
                                   b = weir_load_forecast_at(other, WEIR_LOAD_IN_FLIGHT, ahead);
        ck_assert(!(a.mid < b.mid) && !(a.mid > b.mid) && !(a.high < b.high) && !(a.high > b.high));
    }
    weir_load_forecast_free(&other);
}
END_TEST

START_TEST(test_past)
{
    uint64_t at_ms[WEIR_LOAD_PAST_MAX];
    double values[WEIR_LOAD_PAST_MAX];
    ck_assert_uint_eq(weir_load_forecast_past(f, WEIR_LOAD_IN_FLIGHT, at_ms, values), 0);
    step(1000, 7, 60);
    step(1005, 8, 60);
    ck_assert_uint_eq(weir_load_forecast_past(f, WEIR_LOAD_IN_FLIGHT, at_ms, values), 2);
    ck_assert_uint_eq(at_ms[0], 1000 * 60000);
    ck_assert_uint_eq(at_ms[1], 1005 * 60000);
    ck_assert_double_eq(values[1], 8);
    for (uint64_t n = 1006; n < 1200; n++)
        step(n, (double)n, 60);
    ck_assert_uint_eq(weir_load_forecast_past(f, WEIR_LOAD_IN_FLIGHT, at_ms, values), WEIR_LOAD_PAST_MAX);
    ck_assert_double_eq(values[WEIR_LOAD_PAST_MAX - 1], 1199);
    ck_assert_double_eq(values[0], 1200 - WEIR_LOAD_PAST_MAX);
    ck_assert_uint_eq(weir_load_forecast_past(f, WEIR_LOAD_REQUESTS_S, at_ms, values), WEIR_LOAD_PAST_MAX);
    ck_assert_double_eq(values[0], 1);
}
END_TEST

START_TEST(test_without_memory)
{
    bool more = true;
    for (unsigned long n = 1; more; n = failmalloc_next(n)) {
        struct weir_load_forecast *g;
        failmalloc_begin(n);
        g = weir_load_forecast_new(SLOT_MS, HOUR_MS);
        bool complete = g != NULL;
        if (complete) {
            begin_step(1000);
            tell("a", 1, 1);
            complete = weir_load_forecast_push(g, &record);
            weir_load_forecast_free(&g);
        }
        long left = failmalloc_end(&more);
        ck_assert_int_eq(left, 0);
        ck_assert_int_eq(complete, !more);
    }
}
END_TEST

CHECK_MAIN("load_forecast", setup, teardown, test_the_step_that_reaches_the_window, test_nothing_is_known,
           test_a_daily_peak_is_seen_ahead, test_what_is_ahead_of_now, test_gaps_zeros_bursts_and_level_shifts,
           test_providers, test_more_providers_than_fit, test_the_rebuilt_is_the_same, test_past, test_without_memory)
