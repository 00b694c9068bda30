#include "core/outlier.h"

#include "check_main.h"
#include "core/rng.h"
#include "core/wheel.h"

#include <stdio.h>
#include <string.h>

#define SECOND   ((uint64_t)1000)
#define INTERVAL (30 * SECOND)

static const struct weir_outlier_opts opts = {.checks = true,
                                              .check_interval_ms = INTERVAL,
                                              .unhealthy_threshold = 3,
                                              .failures_in_a_row = 5,
                                              .eject_ms = 15 * SECOND,
                                              .eject_ms_max = 40 * SECOND};

static struct weir_outlier o;
static uint64_t now = 1000 * SECOND;
static char told[2000];

static void note(void *arg, const struct weir_outlier_event *e)
{
    static const char *const change[] = {"unhealthy", "healthy", "ejected", "returned", "spared"};
    static const char *const reason[] = {"checks", "failures", "rate"};
    ck_assert_ptr_eq(arg, &o);
    size_t len = strlen(told);
    len += (size_t)snprintf(told + len, sizeof told - len, "%u %s", e->slot, change[e->change]);
    if (e->change == WEIR_OUTLIER_EJECTED || e->change == WEIR_OUTLIER_SPARED)
        len += (size_t)snprintf(told + len, sizeof told - len, " %s", reason[e->reason]);
    if (e->change == WEIR_OUTLIER_EJECTED && e->until_ms != WEIR_NEVER)
        len += (size_t)snprintf(told + len, sizeof told - len, " %u", (unsigned)((e->until_ms - now) / SECOND));
    snprintf(told + len, sizeof told - len, ";");
}

static void start(unsigned n)
{
    weir_outlier_init(&o, &opts, now);
    for (unsigned i = 0; i < n; i++)
        weir_outlier_add(&o, i, now, i * SECOND, &o, note);
}

static void expect(const char *text)
{
    ck_assert_str_eq(told, text);
    told[0] = '\0';
}

static void failures(unsigned slot, unsigned n)
{
    while (n-- > 0)
        weir_outlier_failed(&o, slot, now, &o, note);
}

static void answers(unsigned slot, unsigned n)
{
    while (n-- > 0)
        weir_outlier_answered(&o, slot);
}

static void tick_at(uint64_t ms)
{
    now = ms;
    weir_outlier_tick(&o, now, &o, note);
}

static void check(unsigned slot, bool passed)
{
    if (o.at[slot].next_check_ms > now)
        now = o.at[slot].next_check_ms;
    weir_outlier_check_begin(&o, slot);
    weir_outlier_check_done(&o, slot, now, passed, &o, note);
}

START_TEST(test_checks_at_their_interval)
{
    uint64_t begin = now;
    start(3);
    ck_assert_uint_eq(weir_outlier_due_ms(&o), begin);
    ck_assert_int_eq(weir_outlier_check_due(&o, begin), 0);
    weir_outlier_check_begin(&o, 0);
    ck_assert_int_eq(weir_outlier_check_due(&o, begin), -1);
    ck_assert_uint_eq(weir_outlier_due_ms(&o), begin + SECOND);
    now = begin + 7 * SECOND;
    weir_outlier_check_done(&o, 0, now, true, &o, note);
    ck_assert_uint_eq(o.at[0].next_check_ms, now + INTERVAL);
    ck_assert_int_eq(weir_outlier_check_due(&o, now), 1);
    expect("");
}
END_TEST

START_TEST(test_a_check_that_could_not_be_made)
{
    start(3);
    check(1, false);
    check(1, false);
    now = o.at[1].next_check_ms;
    weir_outlier_check_begin(&o, 1);
    weir_outlier_check_drop(&o, 1, now);
    ck_assert_uint_eq(o.at[1].next_check_ms, now + INTERVAL);
    expect("");
    check(1, false);
    expect("1 unhealthy;1 ejected checks;");
    check(1, true);
    weir_outlier_check_drop(&o, 1, now); /* none under way */
    weir_outlier_check_drop(&o, 7, now); /* nobody there */
    ck_assert_uint_eq(o.at[1].next_check_ms, now + INTERVAL);
}
END_TEST

START_TEST(test_unhealthy_after_three_and_healthy_after_one)
{
    start(3);
    check(1, false);
    check(1, false);
    check(1, true);
    check(1, false);
    check(1, false);
    expect("");
    check(1, false);
    expect("1 unhealthy;1 ejected checks;");
    ck_assert(weir_outlier_is_ejected(&o, 1));
    check(1, false);
    tick_at(now + 1000 * SECOND);
    expect("");
    check(1, true);
    expect("1 healthy;1 returned;");
    ck_assert(!weir_outlier_is_ejected(&o, 1));
}
END_TEST

START_TEST(test_at_most_half_by_checks)
{
    start(4);
    for (unsigned i = 0; i < 4; i++)
        for (int n = 0; n < 3; n++)
            check(i, false);
    expect("0 unhealthy;0 ejected checks;1 unhealthy;1 ejected checks;2 unhealthy;3 unhealthy;");
    /* Room goes to who waits for it. */
    check(1, true);
    expect("1 healthy;1 returned;2 ejected checks;");
    /* With one less only one may be out. */
    weir_outlier_remove(&o, 3, &o, note);
    expect("0 returned;");
    ck_assert_uint_eq(o.ejected, 1);
}
END_TEST

START_TEST(test_the_only_one_stays)
{
    start(1);
    for (int n = 0; n < 4; n++)
        check(0, false);
    failures(0, 12);
    expect("0 unhealthy;0 spared failures;");
    ck_assert(!weir_outlier_is_ejected(&o, 0));
}
END_TEST

START_TEST(test_failures_in_a_row)
{
    start(2);
    failures(0, 4);
    answers(0, 1);
    failures(0, 4);
    expect("");
    failures(0, 1);
    expect("0 ejected failures 15;");
    failures(0, 50); /* what was under way, or sent for want of another */
    expect("");
    ck_assert_uint_eq(weir_outlier_due_ms(&o), now);
    o.at[0].next_check_ms = o.at[1].next_check_ms = WEIR_NEVER;
    uint64_t until = now + 15 * SECOND;
    tick_at(until - 1);
    expect("");
    ck_assert_uint_eq(weir_outlier_due_ms(&o), until);
    tick_at(until);
    expect("0 returned;");
}
END_TEST

/* Answers counted apart weigh in the interval's rate, and leave the run of failures as it is. */
START_TEST(test_answers_counted_apart)
{
    start(3);
    failures(0, 4);
    weir_outlier_answers(&o, 0, 1000);
    expect("");
    failures(0, 1);
    expect("0 ejected failures 15;");
    start(3);
    weir_outlier_answers(&o, 0, 95);
    weir_outlier_answers(&o, 1, 100);
    weir_outlier_answers(&o, 2, UINT32_MAX);
    weir_outlier_answers(&o, 2, 7);
    ck_assert_uint_eq(o.at[0].ok, 95);
    ck_assert_uint_eq(o.at[2].ok, UINT32_MAX);
    failures(0, 4);
    tick_at(now + WEIR_OUTLIER_INTERVAL_MS);
    expect("");
    answers(0, 1);
    weir_outlier_answers(&o, 0, 5);
    failures(0, 4);
    weir_outlier_answers(&o, 1, 100);
    tick_at(now + WEIR_OUTLIER_INTERVAL_MS);
    expect("0 ejected rate 15;");
}
END_TEST

START_TEST(test_the_time_grows_to_its_bound_and_is_forgotten)
{
    start(2);
    failures(0, 5);
    expect("0 ejected failures 15;");
    tick_at(now + 15 * SECOND);
    failures(0, 5);
    expect("0 returned;0 ejected failures 30;");
    tick_at(now + 30 * SECOND);
    failures(0, 5);
    expect("0 returned;0 ejected failures 40;");
    tick_at(now + 40 * SECOND);
    failures(0, 5);
    expect("0 returned;0 ejected failures 40;");
    tick_at(now + 40 * SECOND);
    ck_assert_uint_eq(o.at[0].ejections, 4); /* the interval in which it came back does not count */
    for (int i = 0; i < 4; i++)
        tick_at(now + WEIR_OUTLIER_INTERVAL_MS);
    failures(0, 5);
    expect("0 returned;0 ejected failures 15;");
}
END_TEST

START_TEST(test_a_closed_circuit_ends_it)
{
    start(2);
    failures(0, 5);
    weir_outlier_restore(&o, 0, &o, note);
    expect("0 ejected failures 15;0 returned;");
    for (int n = 0; n < 3; n++)
        check(1, false);
    weir_outlier_restore(&o, 1, &o, note);
    expect("1 unhealthy;1 ejected checks;"); /* not what checks have found */
}
END_TEST

START_TEST(test_out_for_two_reasons)
{
    start(2);
    for (int n = 0; n < 2; n++)
        check(0, false);
    failures(0, 5);
    o.at[0].next_check_ms = now;
    check(0, false);
    expect("0 ejected failures 15;0 unhealthy;");
    tick_at(now + 15 * SECOND);
    expect("");
    check(0, true);
    expect("0 healthy;0 returned;");
}
END_TEST

START_TEST(test_spared_ones_go_when_there_is_room)
{
    start(2);
    failures(0, 5);
    failures(1, 9);
    expect("0 ejected failures 15;1 spared failures;");
    weir_outlier_restore(&o, 0, &o, note);
    failures(1, 1);
    expect("0 returned;1 ejected failures 15;");
}
END_TEST

START_TEST(test_a_rate_far_below_the_others)
{
    start(3);
    for (int n = 0; n < 5; n++) {
        answers(0, 2);
        answers(1, 2);
        failures(2, 1);
        answers(2, 1);
    }
    tick_at(now + WEIR_OUTLIER_INTERVAL_MS);
    expect("2 ejected rate 15;");
    /* The counts are this interval's. */
    tick_at(now + 15 * SECOND);
    tick_at(now + WEIR_OUTLIER_INTERVAL_MS);
    expect("2 returned;");
}
END_TEST

START_TEST(test_rates_that_say_nothing)
{
    start(3);
    answers(0, 20);
    failures(1, 2); /* 0.8 is not far below */
    answers(1, 8);
    failures(2, 4); /* too few tries */
    answers(2, 5);
    tick_at(now + WEIR_OUTLIER_INTERVAL_MS);
    for (unsigned i = 0; i < 3; i++) /* all are as bad: not theirs alone */
        for (int n = 0; n < 4; n++) {
            failures(i, 4);
            answers(i, 1);
        }
    tick_at(now + WEIR_OUTLIER_INTERVAL_MS);
    weir_outlier_remove(&o, 1, &o, note);
    weir_outlier_remove(&o, 2, &o, note);
    answers(0, 10);
    tick_at(now + WEIR_OUTLIER_INTERVAL_MS);
    expect("");
}
END_TEST

START_TEST(test_the_worst_rate_first)
{
    start(5);
    for (int n = 0; n < 10; n++) {
        for (unsigned i = 2; i < 5; i++)
            answers(i, 4);
        failures(0, 2);
        answers(0, 2);
        failures(1, 3);
        answers(1, 1);
        failures(2, 2);
        answers(2, 1);
    }
    tick_at(now + WEIR_OUTLIER_INTERVAL_MS);
    expect("1 ejected rate 15;0 ejected rate 15;");
}
END_TEST

START_TEST(test_no_checks_while_the_circuit_is_open)
{
    start(2);
    uint64_t until = now + 60 * SECOND;
    weir_outlier_checks_pause(&o, 0, until);
    ck_assert_int_eq(weir_outlier_check_due(&o, now), -1);
    ck_assert_uint_eq(o.at[0].next_check_ms, until);
    now = until;
    weir_outlier_check_begin(&o, 0);
    weir_outlier_checks_pause(&o, 0, now + 60 * SECOND); /* in the middle of a check */
    weir_outlier_check_done(&o, 0, now, false, &o, note);
    ck_assert_uint_eq(o.at[0].next_check_ms, until + 60 * SECOND);
}
END_TEST

START_TEST(test_new_options)
{
    struct weir_outlier_opts next = opts;
    start(2);
    for (int n = 0; n < 3; n++)
        check(0, false);
    weir_outlier_check_begin(&o, 1);
    next.checks = false;
    weir_outlier_opts_set(&o, &next, now, &o, note);
    expect("0 unhealthy;0 ejected checks;0 returned;");
    ck_assert_int_eq(weir_outlier_check_due(&o, UINT64_MAX - 1), -1);
    weir_outlier_check_done(&o, 1, now, false, &o, note); /* the answer comes too late */
    ck_assert_uint_eq(o.at[1].checks_failed, 0);
    next.checks = true;
    next.check_interval_ms = 5 * SECOND;
    weir_outlier_opts_set(&o, &next, now, &o, note);
    ck_assert_uint_eq(o.at[0].next_check_ms, now + 5 * SECOND);
    next.failures_in_a_row = 0;
    weir_outlier_opts_set(&o, &next, now, &o, note);
    failures(0, 100);
    answers(1, 100);
    tick_at(now + WEIR_OUTLIER_INTERVAL_MS);
    expect("");
}
END_TEST

START_TEST(test_of_the_configuration)
{
    struct weir_config_http c = {.health = {.enabled = true, .check_interval_ms = 7, .unhealthy_threshold = 2},
                                 .circuit_breaker = {.failure_threshold = 4, .recovery_timeout_ms = 60000}};
    struct weir_outlier_opts got = weir_outlier_opts_of(&c);
    ck_assert(got.checks && got.check_interval_ms == 7 && got.unhealthy_threshold == 2);
    ck_assert(got.failures_in_a_row == 4 && got.eject_ms == 15000 && got.eject_ms_max == 60000);
    c.circuit_breaker.enabled = true;
    ck_assert_uint_eq(weir_outlier_opts_of(&c).failures_in_a_row, WEIR_OUTLIER_RATES_ALONE);
    c.health.enabled = false;
    c.circuit_breaker.recovery_timeout_ms = 0;
    got = weir_outlier_opts_of(&c);
    ck_assert(!got.checks && got.failures_in_a_row == 0 && got.eject_ms == 1 && got.eject_ms_max == 1);
}
END_TEST

/* The invariants; one assertion for all, since each costs Check a message. */
static bool valid(void)
{
    unsigned count = 0, ejected = 0;
    bool ok = true;
    for (unsigned i = 0; i < WEIR_POOL_ENDPOINTS_MAX; i++) {
        const struct weir_outlier_endpoint *e = &o.at[i];
        count += e->present;
        ejected += e->ejected;
        ok = ok && (!e->ejected || (e->present && (e->unhealthy || e->eject_until_ms != 0)));
        ok = ok && (e->eject_until_ms == 0 || (e->ejected && e->eject_until_ms <= now + opts.eject_ms_max));
        ok = ok && (!e->checking || e->next_check_ms == WEIR_NEVER);
        /* None that checks have found stays in while it may be out. */
        ok = ok && (!e->unhealthy || e->ejected || (o.ejected + 1) * 2 > o.count);
    }
    return ok && count == o.count && ejected == o.ejected && ejected * 2 <= count;
}

START_TEST(test_random_events)
{
    struct weir_rng rng = {17};
    start(0);
    for (unsigned i = 0; i < 100000; i++) {
        uint64_t r = weir_rng_next(&rng);
        unsigned slot = (unsigned)(r >> 8) % 9;
        struct weir_outlier_endpoint *e = &o.at[slot];
        now += (r >> 16) % 50;
        told[0] = '\0';
        switch (e->present ? r % 32 : 99) {
        case 99:
            if (r % 8 == 0)
                weir_outlier_add(&o, slot, now, r, &o, note);
            break;
        case 0:
            if ((r >> 40) % 16 == 0)
                weir_outlier_remove(&o, slot, &o, note);
            break;
        case 1:
            weir_outlier_restore(&o, slot, &o, note);
            break;
        case 2:
            weir_outlier_checks_pause(&o, slot, now + (r >> 40) % 10000);
            break;
        case 3 ... 8:
            if (e->checking)
                weir_outlier_check_done(&o, slot, now, (r >> 40) % 4 == 0, &o, note);
            else
                weir_outlier_check_begin(&o, slot);
            break;
        case 9 ... 20:
            weir_outlier_failed(&o, slot, now, &o, note);
            break;
        case 21 ... 26:
            weir_outlier_answered(&o, slot);
            break;
        default:
            weir_outlier_tick(&o, now, &o, note);
        }
        ck_assert_msg(valid(), "event %u", i);
    }
    /* Everything well again: all come back. */
    for (unsigned i = 0; i < 9; i++)
        if (o.at[i].present && o.at[i].checking)
            weir_outlier_check_done(&o, i, now, true, &o, note);
        else if (o.at[i].present)
            check(i, true);
    tick_at(now + opts.eject_ms_max);
    ck_assert_uint_eq(o.ejected, 0);
}
END_TEST

static void setup(void)
{
    told[0] = '\0';
}

CHECK_MAIN("outlier", setup, NULL, test_checks_at_their_interval, test_a_check_that_could_not_be_made,
           test_unhealthy_after_three_and_healthy_after_one, test_at_most_half_by_checks, test_the_only_one_stays,
           test_failures_in_a_row, test_answers_counted_apart, test_the_time_grows_to_its_bound_and_is_forgotten,
           test_a_closed_circuit_ends_it, test_out_for_two_reasons, test_spared_ones_go_when_there_is_room,
           test_a_rate_far_below_the_others, test_rates_that_say_nothing, test_the_worst_rate_first,
           test_no_checks_while_the_circuit_is_open, test_new_options, test_of_the_configuration, test_random_events)
