#include "core/alert.h"

#include "check_main.h"
#include "core/rng.h"
#include "helper/core_failmalloc.h"

#include <stdio.h>
#include <string.h>

#define SECOND ((uint64_t)1000)
#define T      WEIR_ALERT_TRUE
#define F      WEIR_ALERT_FALSE
#define U      WEIR_ALERT_UNKNOWN

/* -- conditions -- */

START_TEST(test_the_guides_names_and_conditions)
{
    static const char *const conditions[] = {"pending_requests > 50",
                                             "connection_errors_total / connections_created_total > 0.05",
                                             "pool_utilization_percent > 90", "error_rate > 0.05"};
    struct weir_alert_expr e;
    struct weir_alert_expr_error error;
    for (size_t i = 0; i < sizeof conditions / sizeof conditions[0]; i++)
        ck_assert_int_eq(weir_alert_condition_parse(&e, weir_str_of(conditions[i]), &error), WEIR_OK);
    for (int i = 0; i < WEIR_GUIDE_COUNT; i++) {
        char text[100];
        double values[WEIR_ALERT_IDS] = {0};
        values[i] = 2;
        snprintf(text, sizeof text, "%s == 2", weir_guide_table[i].name);
        ck_assert_int_eq(weir_alert_condition_parse(&e, weir_str_of(text), &error), WEIR_OK);
        ck_assert_int_eq(weir_alert_expr_eval(&e, values, WEIR_ALERT_IDS), T);
    }
}
END_TEST

START_TEST(test_an_unknown_name_and_the_nearest)
{
    struct weir_alert_expr e;
    struct weir_alert_expr_error error;
    ck_assert_int_eq(weir_alert_condition_parse(&e, WEIR_STR("1 < conection_errors_total"), &error), WEIR_EINVAL);
    ck_assert_uint_eq(error.column, 5);
    ck_assert_str_eq(error.sentence,
                     "unknown name \"conection_errors_total\"; the nearest known one is \"connection_errors_total\"");
    char text[1000];
    memset(text, 'x', sizeof text);
    ck_assert_int_eq(weir_alert_condition_parse(&e, (struct weir_str){text, sizeof text}, &error), WEIR_EINVAL);
}
END_TEST

/* -- one rule -- */

START_TEST(test_fires_and_resolves_once_each)
{
    struct weir_alert a = {0};
    ck_assert(!weir_alert_step(&a, F, 0, 10));
    ck_assert_str_eq(weir_alert_state_text(a.state), "inactive");
    ck_assert(weir_alert_step(&a, T, 0, 20));
    ck_assert_str_eq(weir_alert_state_text(a.state), "firing");
    ck_assert(a.fired_ms == 20 && a.since_ms == 20);
    ck_assert(!weir_alert_step(&a, T, 0, 30));
    ck_assert_uint_eq(a.since_ms, 20);
    ck_assert(weir_alert_step(&a, F, 0, 40));
    ck_assert_str_eq(weir_alert_state_text(a.state), "resolved");
    ck_assert(a.resolved_ms == 40 && a.fired_ms == 20);
    ck_assert(!weir_alert_step(&a, F, 0, 50));
    ck_assert(weir_alert_step(&a, T, 0, 60));
    ck_assert_uint_eq(a.fired_ms, 60);
}
END_TEST

START_TEST(test_for_must_hold_without_a_gap)
{
    struct weir_alert a = {0};
    ck_assert(!weir_alert_step(&a, T, 30, 100));
    ck_assert_str_eq(weir_alert_state_text(a.state), "pending");
    ck_assert(!weir_alert_step(&a, T, 30, 129));
    ck_assert(!weir_alert_step(&a, F, 30, 130));
    ck_assert_int_eq(a.state, WEIR_ALERT_INACTIVE);
    ck_assert(!weir_alert_step(&a, T, 30, 140));
    ck_assert(!weir_alert_step(&a, T, 30, 169));
    ck_assert(weir_alert_step(&a, T, 30, 170));
    ck_assert(weir_alert_step(&a, F, 30, 180));
    ck_assert(!weir_alert_step(&a, T, 30, 190));
    ck_assert(!weir_alert_step(&a, F, 30, 200));
    ck_assert_int_eq(a.state, WEIR_ALERT_RESOLVED); /* pending came to nothing; it was resolved before */
}
END_TEST

START_TEST(test_unknown_does_not_fire_and_ends_firing)
{
    struct weir_alert a = {0};
    ck_assert(!weir_alert_step(&a, U, 0, 10));
    ck_assert_int_eq(a.state, WEIR_ALERT_INACTIVE);
    ck_assert(weir_alert_step(&a, T, 0, 20));
    ck_assert(weir_alert_step(&a, U, 0, 30));
    ck_assert_int_eq(a.state, WEIR_ALERT_RESOLVED);
}
END_TEST

START_TEST(test_random_truths_alternate_firing_and_resolved)
{
    static const enum weir_alert_truth truths[] = {F, T, U, T};
    struct weir_rng rng = {1};
    struct weir_alert a = {0};
    bool fires = false;
    uint64_t now = 0, held_since = UINT64_MAX;
    for (unsigned i = check_rounds(100000); i > 0; i--) {
        enum weir_alert_truth truth = truths[weir_rng_next(&rng) % 4];
        now += weir_rng_next(&rng) % 20;
        held_since = truth != T ? UINT64_MAX : held_since == UINT64_MAX ? now : held_since;
        bool expected = truth == T && now - held_since >= 25;
        bool moved = weir_alert_step(&a, truth, 25, now);
        ck_assert(moved == (expected != fires));
        ck_assert((a.state == WEIR_ALERT_FIRING) == expected);
        fires = expected;
    }
}
END_TEST

/* -- the window -- */

enum { CELLS = 3 };
static uint64_t memory[WEIR_ALERT_SAMPLES * CELLS];

static uint64_t increase(struct weir_alert_window *w, uint64_t now_ms, uint64_t total)
{
    uint64_t now[CELLS] = {0, total, 0}, out[CELLS];
    weir_alert_window_increase(w, now_ms, now, out);
    ck_assert(out[0] == 0 && out[2] == 0);
    return out[1];
}

static struct weir_alert_window window;

START_TEST(test_counts_over_the_window)
{
    weir_alert_window_init(&window, 300 * SECOND, CELLS, memory);
    ck_assert_uint_eq(increase(&window, 0, 1000), 0);
    for (uint64_t s = 10; s <= 300; s += 10)
        ck_assert_uint_eq(increase(&window, s * SECOND, 1000 + s), s);
    for (uint64_t s = 310; s <= 2000; s += 10)
        ck_assert_uint_eq(increase(&window, s * SECOND, 1000 + s), 300);
}
END_TEST

START_TEST(test_an_early_timer_and_frequent_looks)
{
    weir_alert_window_init(&window, 300 * SECOND, CELLS, memory);
    increase(&window, 0, 0);
    for (uint64_t ms = 9990; ms < 5000 * SECOND; ms += 9990) {
        uint64_t got = increase(&window, ms, ms);
        ck_assert_uint_ge(got, ms < 300 * SECOND ? ms : 300 * SECOND);
        ck_assert_uint_le(got, 310 * SECOND);
    }
    weir_alert_window_init(&window, 300 * SECOND, CELLS, memory);
    for (uint64_t ms = 0; ms < 2000 * SECOND; ms += 100) {
        uint64_t got = increase(&window, ms, ms);
        ck_assert_uint_ge(got, ms < 290 * SECOND ? ms : 290 * SECOND);
        ck_assert_uint_le(got, 310 * SECOND);
    }
}
END_TEST

START_TEST(test_a_long_gap_and_other_windows)
{
    static const uint64_t lengths[] = {10, 60, 86400};
    weir_alert_window_init(&window, 300 * SECOND, CELLS, memory);
    increase(&window, 0, 5);
    ck_assert_uint_eq(increase(&window, 10000 * SECOND, 25), 20);
    ck_assert_uint_eq(increase(&window, 10300 * SECOND, 26), 1);
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        uint64_t len = lengths[i] * SECOND;
        weir_alert_window_init(&window, len, CELLS, memory);
        for (uint64_t ms = 0; ms < 4 * len; ms += 10 * SECOND) {
            uint64_t got = increase(&window, ms, ms);
            ck_assert_uint_ge(got, ms < len ? ms : len);
            ck_assert_uint_le(got, len + len / 20 + 20 * SECOND);
        }
    }
}
END_TEST

START_TEST(test_a_counter_that_falls_begins_anew)
{
    weir_alert_window_init(&window, 300 * SECOND, CELLS, memory);
    increase(&window, 0, 0);
    ck_assert_uint_eq(increase(&window, 10 * SECOND, 1000), 1000);
    ck_assert_uint_eq(increase(&window, 20 * SECOND, 900), 0);
    ck_assert_uint_eq(increase(&window, 30 * SECOND, 901), 1);
}
END_TEST

/* -- all together -- */

static struct {
    struct weir_config config;
    struct weir_config_alert rules[2], further[1];
    struct weir_config_provider providers[2];
    struct weir_snapshot snapshot;
    struct weir_provider_snapshot p[2];
    struct weir_endpoint_snapshot e[2][2];
    struct weir_alerts *alerts;
    char told[1000];
} f;

static void note(void *arg, const struct weir_alert_view *v)
{
    ck_assert_ptr_eq(arg, &f);
    size_t len = strlen(f.told);
    snprintf(f.told + len, sizeof f.told - len, "%s %s %s;", v->rule->name, v->provider != NULL ? v->provider : "-",
             weir_alert_state_text(v->alert->state));
}

static void setup(void)
{
    memset(&f, 0, sizeof f);
    f.rules[0] = (struct weir_config_alert){.name = "exhausted", .condition = "pending_requests > 50"};
    f.rules[1] = (struct weir_config_alert){.name = "errors",
                                            .condition = "connection_errors_total / connections_created_total > 0.05"};
    f.further[0] = (struct weir_config_alert){.name = "rate", .condition = "error_rate > 0.05", .for_ms = 20 * SECOND};
    f.providers[0].name = "a";
    f.providers[1].name = "b";
    f.config.providers = f.providers;
    f.config.provider_count = 2;
    f.config.alerting.window_ms = 300 * SECOND;
    f.config.alerting.interval_ms = 10 * SECOND;
    f.config.alerting.connection_pool = (struct weir_config_alerts){f.rules, 2};
    f.config.alerts = (struct weir_config_alerts){f.further, 1};
    for (int i = 0; i < 2; i++)
        f.p[i] = (struct weir_provider_snapshot){
            .name = f.providers[i].name, .endpoints = f.e[i], .endpoint_count = 2, .pool.max_connections = 100};
    f.snapshot = (struct weir_snapshot){.providers = f.p, .provider_count = 2};
    struct weir_err err;
    ck_assert_int_eq(weir_alerts_new(&f.alerts, &f.config, &err), WEIR_OK);
}

static void teardown(void)
{
    weir_alerts_free(&f.alerts);
    ck_assert_ptr_null(f.alerts);
}

static void evaluate(uint64_t now_s, const char *told)
{
    f.told[0] = '\0';
    weir_alerts_evaluate(f.alerts, &f.snapshot, now_s * SECOND, &f, note);
    ck_assert_str_eq(f.told, told);
    ck_assert_uint_eq(weir_alerts_due_ms(f.alerts), (now_s + 10) * SECOND);
}

START_TEST(test_over_all_and_per_provider)
{
    ck_assert_uint_eq(weir_alerts_due_ms(f.alerts), 0);
    evaluate(0, "");
    f.p[0].pool.pending = f.p[1].pool.pending = 30;
    evaluate(10, "exhausted - firing;");
    evaluate(20, "");
    f.p[0].pool.pending = 51;
    f.p[1].pool.pending = 0;
    evaluate(30, "exhausted a firing;");
    f.p[0].pool.pending = 0;
    evaluate(40, "exhausted - resolved;exhausted a resolved;");
    evaluate(50, "");
}
END_TEST

START_TEST(test_errors_long_ago_do_not_fire_for_ever)
{
    evaluate(0, "");
    uint64_t *b = f.e[1][0].counters.at;
    b[WEIR_EC_CREATED] = 100;
    b[WEIR_EC_CONNECT_REFUSED] = 5;
    evaluate(10, ""); /* exactly 0.05 */
    b[WEIR_EC_TIMEOUT_CONNECT] = 1;
    evaluate(20, "errors - firing;errors b firing;");
    f.e[0][0].counters.at[WEIR_EC_CREATED] = 100;
    evaluate(30, "errors - resolved;");
    for (uint64_t s = 40; s < 310; s += 10)
        evaluate(s, "");
    /* The connections are out of the window, the time-out is not yet: 1 / 0. */
    evaluate(310, "errors b resolved;");
    evaluate(320, "");
}
END_TEST

START_TEST(test_nothing_created_does_not_fire)
{
    evaluate(0, "");
    f.e[1][1].counters.at[WEIR_EC_CONNECT_REFUSED] = 500;
    evaluate(10, "");
}
END_TEST

START_TEST(test_rates_count_over_the_window_too)
{
    uint64_t *a = f.e[0][1].counters.at;
    a[WEIR_EC_TRIES] = 1000000;
    a[WEIR_EC_TRIES_FAILED] = 900000;
    evaluate(0, ""); /* from before the first look */
    a[WEIR_EC_TRIES] += 100;
    a[WEIR_EC_TRIES_FAILED] += 10;
    evaluate(10, "");
    evaluate(20, "");
    evaluate(30, "rate - firing;rate a firing;");
    a[WEIR_EC_TRIES] += 100;
    evaluate(40, "rate - resolved;rate a resolved;");
}
END_TEST

static void adopt(const struct weir_config *config, const char *told)
{
    struct weir_alerts *next;
    struct weir_err err;
    ck_assert_int_eq(weir_alerts_new(&next, config, &err), WEIR_OK);
    f.told[0] = '\0';
    weir_alerts_adopt(next, f.alerts, 100 * SECOND, &f, note);
    ck_assert_str_eq(f.told, told);
    weir_alerts_free(&f.alerts);
    f.alerts = next;
}

START_TEST(test_a_reload_keeps_what_fires)
{
    evaluate(0, "");
    f.p[0].pool.pending = 51;
    evaluate(10, "exhausted - firing;exhausted a firing;");
    struct weir_config next = f.config;
    struct weir_config_alert swapped[] = {f.further[0], f.rules[0]};
    struct weir_config_provider turned[] = {f.providers[1], f.providers[0]};
    next.alerting.connection_pool = (struct weir_config_alerts){swapped, 2};
    next.alerts.count = 0;
    next.providers = turned;
    adopt(&next, "");
    evaluate(20, "");
    f.p[0].pool.pending = 0;
    evaluate(30, "exhausted - resolved;exhausted a resolved;");
}
END_TEST

/* The same rule for two actions: both stay as they were. */
START_TEST(test_a_reload_keeps_twins_apart)
{
    f.rules[1] = f.rules[0];
    f.rules[1].action = WEIR_CONFIG_ACTION_WEBHOOK;
    f.rules[1].for_ms = 20 * SECOND;
    adopt(&f.config, "");
    evaluate(0, "");
    f.p[0].pool.pending = 51;
    evaluate(10, "exhausted - firing;exhausted a firing;");
    adopt(&f.config, "");
    evaluate(20, "");
    evaluate(30, "exhausted - firing;exhausted a firing;");
    adopt(&f.config, "");
    evaluate(40, "");
    struct weir_config next = f.config;
    next.alerting.connection_pool.count = 1;
    adopt(&next, "exhausted - resolved;exhausted a resolved;");
}
END_TEST

START_TEST(test_a_shorter_interval_holds_at_once)
{
    f.config.alerting.interval_ms = 3600 * SECOND;
    adopt(&f.config, "");
    f.told[0] = '\0';
    weir_alerts_evaluate(f.alerts, &f.snapshot, 50 * SECOND, &f, note);
    ck_assert_uint_eq(weir_alerts_due_ms(f.alerts), 3650 * SECOND);
    f.config.alerting.interval_ms = 10 * SECOND;
    adopt(&f.config, ""); /* at 100 s */
    ck_assert_uint_eq(weir_alerts_due_ms(f.alerts), 110 * SECOND);
}
END_TEST

START_TEST(test_the_names_of_a_condition)
{
    static const int ids[] = {WEIR_GUIDE_PENDING_REQUESTS, WEIR_GUIDE_MAX_CONNECTIONS, -1};
    struct weir_alert_expr e;
    struct weir_alert_expr_error error;
    struct weir_alert_view v = {.condition = &e};
    ck_assert_int_eq(
        weir_alert_condition_parse(
            &e, WEIR_STR("pending_requests > 5 and (max_connections - pending_requests) * 2 < max_connections"),
            &error),
        WEIR_OK);
    unsigned at = 0;
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++)
        ck_assert_int_eq(weir_alert_next_name(&v, &at), ids[i]);
}
END_TEST

START_TEST(test_a_reload_resolves_what_is_gone)
{
    evaluate(0, "");
    f.p[1].pool.pending = 51;
    evaluate(10, "exhausted - firing;exhausted b firing;");
    struct weir_config next = f.config;
    next.provider_count = 1;
    adopt(&next, "exhausted b resolved;");
    evaluate(20, ""); /* b is passed over, and still counts in all */
    next.alerting.connection_pool.at = &f.rules[1];
    next.alerting.connection_pool.count = 1;
    adopt(&next, "exhausted - resolved;");
    evaluate(30, "");
}
END_TEST

START_TEST(test_a_reload_keeps_the_counters)
{
    evaluate(0, "");
    f.e[0][0].counters.at[WEIR_EC_CREATED] = 10;
    f.e[0][0].counters.at[WEIR_EC_CONNECT_REFUSED] = 9;
    adopt(&f.config, "");
    evaluate(10, "errors - firing;errors a firing;");
}
END_TEST

START_TEST(test_each_shows_all)
{
    f.told[0] = '\0';
    weir_alerts_each(f.alerts, &f, note);
    ck_assert_str_eq(f.told, "exhausted - inactive;errors - inactive;rate - inactive;"
                             "exhausted a inactive;errors a inactive;rate a inactive;"
                             "exhausted b inactive;errors b inactive;rate b inactive;");
}
END_TEST

START_TEST(test_without_rules_or_providers)
{
    f.config.alerting.connection_pool.count = f.config.alerts.count = 0;
    f.config.provider_count = 0;
    adopt(&f.config, "");
    evaluate(10, "");
}
END_TEST

START_TEST(test_a_wrong_condition)
{
    struct weir_alerts *a = f.alerts;
    struct weir_err err;
    f.rules[1].condition = "errors > 1";
    ck_assert_int_eq(weir_alerts_new(&a, &f.config, &err), WEIR_EINVAL);
    ck_assert_ptr_null(a);
    ck_assert_ptr_nonnull(strstr(err.msg, "alert errors: column 1: unknown name \"errors\""));
}
END_TEST

START_TEST(test_out_of_memory)
{
    bool more = true;
    for (unsigned long n = 1; more; n = failmalloc_next(n)) {
        struct weir_alerts *a;
        struct weir_err err = {0};
        failmalloc_begin(n);
        int code = weir_alerts_new(&a, &f.config, &err);
        bool null = a == NULL;
        weir_alerts_free(&a);
        long left = failmalloc_end(&more);
        ck_assert_int_eq(left, 0);
        ck_assert_int_eq(code, more ? WEIR_ENOMEM : WEIR_OK);
        ck_assert(null == more);
    }
}
END_TEST

CHECK_MAIN("alert", setup, teardown, test_the_guides_names_and_conditions, test_an_unknown_name_and_the_nearest,
           test_fires_and_resolves_once_each, test_for_must_hold_without_a_gap,
           test_unknown_does_not_fire_and_ends_firing, test_random_truths_alternate_firing_and_resolved,
           test_counts_over_the_window, test_an_early_timer_and_frequent_looks, test_a_long_gap_and_other_windows,
           test_a_counter_that_falls_begins_anew, test_over_all_and_per_provider,
           test_errors_long_ago_do_not_fire_for_ever, test_nothing_created_does_not_fire,
           test_rates_count_over_the_window_too, test_a_reload_keeps_what_fires, test_a_reload_keeps_twins_apart,
           test_a_shorter_interval_holds_at_once, test_the_names_of_a_condition, test_a_reload_resolves_what_is_gone,
           test_a_reload_keeps_the_counters, test_each_shows_all, test_without_rules_or_providers,
           test_a_wrong_condition, test_out_of_memory)
