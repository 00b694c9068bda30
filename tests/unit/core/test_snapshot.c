#include "core/snapshot.h"

#include <stdlib.h>
#include <string.h>

#include "check_main.h"
#include "core/monitor.h"
#include "helper_snapshot.h"

static struct helper_snapshot h;

static void setup(void)
{
    helper_snapshot_fill(&h);
}

static void clear_counters(void)
{
    for (size_t i = 0; i < 2; i++)
        h.openai[i].counters = (struct weir_endpoint_counters){0};
    h.anthropic[0].counters = (struct weir_endpoint_counters){0};
}

/* The guide's own example: 45 active, 25 idle, of 100 allowed. */
START_TEST(test_values_of_a_provider)
{
    struct weir_guide_values v;
    clear_counters();
    uint64_t *a = h.openai[0].counters.at, *b = h.openai[1].counters.at;
    a[WEIR_EC_TRIES] = 90;
    b[WEIR_EC_TRIES] = 10;
    b[WEIR_EC_TRIES_FAILED] = 5;
    a[WEIR_EC_EXCHANGES] = 4;
    a[WEIR_EC_EXCHANGE_US] = 10000;
    a[WEIR_EC_LEASES_NEW] = 1;
    b[WEIR_EC_LEASES_REUSED] = 9;
    a[WEIR_EC_LEASE_WAIT_US] = 155000;
    a[WEIR_EC_CREATED] = 150;
    weir_guide_of_provider(&v, &h.providers[0]);
    ck_assert_double_eq(v.at[WEIR_GUIDE_MAX_KEEPALIVE], 30);
    ck_assert_double_eq(v.at[WEIR_GUIDE_MAX_CONNECTIONS], 100);
    ck_assert_double_eq(v.at[WEIR_GUIDE_ACTIVE], 45);
    ck_assert_double_eq(v.at[WEIR_GUIDE_ACTIVE_CONNECTIONS], 45);
    ck_assert_double_eq(v.at[WEIR_GUIDE_IDLE], 25);
    ck_assert_double_eq(v.at[WEIR_GUIDE_TOTAL], 70);
    ck_assert_double_eq(v.at[WEIR_GUIDE_AVAILABLE], 25 + 30);
    ck_assert_double_eq(v.at[WEIR_GUIDE_PENDING], 5);
    ck_assert_double_eq(v.at[WEIR_GUIDE_PENDING_REQUESTS], 5);
    ck_assert_double_eq(v.at[WEIR_GUIDE_TOTAL_REQUESTS], 100);
    ck_assert_double_eq(v.at[WEIR_GUIDE_ERROR_COUNT], 5);
    ck_assert_double_eq(v.at[WEIR_GUIDE_ERROR_RATE], 0.05);
    ck_assert_double_eq(v.at[WEIR_GUIDE_AVG_RESPONSE_MS], 2.5);
    ck_assert_double_eq(v.at[WEIR_GUIDE_AVG_CONNECTION_MS], 15.5);
    ck_assert_double_eq(v.at[WEIR_GUIDE_CREATED], 150);
    ck_assert_double_eq(v.at[WEIR_GUIDE_UTILIZATION], 45);
    ck_assert_double_eq(v.at[WEIR_GUIDE_POOL_UTILIZATION], 45);
    ck_assert_double_eq(v.at[WEIR_GUIDE_REUSE_RATE], 90);
}
END_TEST

/* Each row that is a failure of a connection counts once in connection_errors_total, each close in
 * connections_closed_total. */
START_TEST(test_sums_of_rows)
{
    struct weir_guide_values v;
    for (size_t i = 0; i < WEIR_EC_COUNT; i++) {
        clear_counters();
        h.anthropic[0].counters.at[i] = 7;
        weir_guide_of_endpoint(&v, &h.providers[1], &h.anthropic[0]);
        const char *name = weir_endpoint_counter_table[i].name;
        bool error = strcmp(name, "weir_connect_failures_total") == 0 ||
                     strcmp(name, "weir_upstream_timeouts_total") == 0 || strcmp(name, "weir_upstream_lost_total") == 0;
        bool closed =
            strcmp(name, "weir_pool_connections_closed_total") == 0 || strcmp(name, "weir_pool_evictions_total") == 0;
        ck_assert_msg(v.at[WEIR_GUIDE_ERRORS] == (error ? 7 : 0), "%s", name);
        ck_assert_msg(v.at[WEIR_GUIDE_CLOSED] == (closed ? 7 : 0), "%s", name);
        ck_assert_msg(v.at[WEIR_GUIDE_TIMEOUTS] == (i == WEIR_EC_TIMEOUT_CONNECT ? 7 : 0), "%s", name);
    }
}
END_TEST

START_TEST(test_values_of_the_node_add_up)
{
    struct weir_guide_values node, a, b;
    weir_guide_of_node(&node, &h.s);
    weir_guide_of_provider(&a, &h.providers[0]);
    weir_guide_of_provider(&b, &h.providers[1]);
    for (size_t i = 0; i < WEIR_GUIDE_COUNT; i++)
        if (weir_guide_table[i].whole)
            ck_assert_msg(node.at[i] == a.at[i] + b.at[i], "%s", weir_guide_table[i].name);
    ck_assert_double_eq_tol(node.at[WEIR_GUIDE_UTILIZATION], 100.0 * 49 / 108, 1e-9);
}
END_TEST

START_TEST(test_nothing_yet)
{
    struct weir_guide_values v;
    struct weir_provider_snapshot empty = {.name = "x"};
    weir_guide_of_provider(&v, &empty);
    for (size_t i = 0; i < WEIR_GUIDE_COUNT; i++)
        ck_assert_double_eq(v.at[i], 0);
    /* A limit lowered below what is open leaves no room, not a huge one. */
    empty.pool = (struct weir_pool_gauges){.active = 9, .idle = 3, .max_connections = 5};
    weir_guide_of_provider(&v, &empty);
    ck_assert_double_eq(v.at[WEIR_GUIDE_AVAILABLE], 3);
}
END_TEST

START_TEST(test_error_rate_without_requests)
{
    struct weir_guide_values v;
    clear_counters();
    h.anthropic[0].counters.at[WEIR_EC_TRIES_FAILED] = 2;
    weir_guide_of_provider(&v, &h.providers[1]);
    ck_assert_double_eq(v.at[WEIR_GUIDE_ERROR_RATE], 2);
}
END_TEST

START_TEST(test_health_of_endpoints_and_providers)
{
    struct weir_provider_snapshot *p = &h.providers[0];
    ck_assert_int_eq(weir_health_of_provider(p), WEIR_HEALTHY);
    h.openai[0].addresses_failed = 1;
    ck_assert_int_eq(weir_health_of_endpoint(&h.openai[0]), WEIR_DEGRADED);
    ck_assert_int_eq(weir_health_of_provider(p), WEIR_DEGRADED);
    h.openai[0].addresses_failed = 2;
    ck_assert_int_eq(weir_health_of_endpoint(&h.openai[0]), WEIR_UNHEALTHY);
    ck_assert_int_eq(weir_health_of_provider(p), WEIR_DEGRADED);
    h.openai[1].last_connect_failed = true;
    ck_assert_int_eq(weir_health_of_provider(p), WEIR_UNHEALTHY);
    ck_assert_int_eq(weir_health_of_node(&h.s), WEIR_DEGRADED);
    h.anthropic[0].addresses = 0;
    ck_assert_int_eq(weir_health_of_node(&h.s), WEIR_UNHEALTHY);
}
END_TEST

START_TEST(test_health_of_an_exhausted_pool)
{
    h.providers[1].pool.pending = WEIR_PENDING_EXHAUSTED;
    ck_assert_int_eq(weir_health_of_pools(&h.s), WEIR_HEALTHY);
    h.providers[1].pool.pending++;
    ck_assert_int_eq(weir_health_of_pools(&h.s), WEIR_DEGRADED);
    ck_assert_int_eq(weir_health_of_node(&h.s), WEIR_DEGRADED);
}
END_TEST

START_TEST(test_health_of_the_node)
{
    ck_assert_int_eq(weir_health_of_node(&h.s), WEIR_HEALTHY);
    h.s.gauges[WEIR_NG_DRAINING] = 1;
    ck_assert_int_eq(weir_health_of_node(&h.s), WEIR_DEGRADED);
    h.s.gauges[WEIR_NG_DRAINING] = 0;
    h.s.gauges[WEIR_NG_FDS_OPEN] = 1000;
    ck_assert_int_eq(weir_health_of_node(&h.s), WEIR_DEGRADED);
    h.s.gauges[WEIR_NG_FDS_LIMIT] = 0;
    ck_assert_int_eq(weir_health_of_node(&h.s), WEIR_HEALTHY);
    h.s.gauges[WEIR_NG_RESIDENT] = h.s.gauges[WEIR_NG_MEMORY_LIMIT];
    ck_assert_int_eq(weir_health_of_node(&h.s), WEIR_DEGRADED);
    helper_snapshot_fill(&h);
    h.s.provider_count = 0;
    ck_assert_int_eq(weir_health_of_node(&h.s), WEIR_DEGRADED);
}
END_TEST

struct events {
    struct weir_monitor_event at[8];
    size_t count;
};

static void collect(void *arg, const struct weir_monitor_event *e)
{
    struct events *got = arg;
    ck_assert_uint_lt(got->count, 8);
    got->at[got->count++] = *e;
}

START_TEST(test_monitor_in_peace)
{
    struct events got = {0};
    clear_counters();
    h.providers[0].pool.pending = 100;
    h.openai[0].counters.at[WEIR_EC_TRIES] = 100;
    h.openai[0].counters.at[WEIR_EC_TRIES_FAILED] = 10;
    weir_monitor_run(&h.s, &got, collect);
    ck_assert_uint_eq(got.count, 2);
    for (size_t i = 0; i < 2; i++) {
        ck_assert_str_eq(got.at[i].msg, "Connection pool health");
        ck_assert_str_eq(got.at[i].event, "pool_health");
        ck_assert_int_eq(got.at[i].level, WEIR_LOG_INFO);
    }
    ck_assert_str_eq(got.at[0].provider, "openai");
    ck_assert_str_eq(got.at[1].provider, "anthropic");
}
END_TEST

START_TEST(test_monitor_in_trouble)
{
    struct events got = {0};
    clear_counters();
    h.providers[0].pool.pending = 101;
    h.openai[0].counters.at[WEIR_EC_TRIES] = 100;
    h.openai[0].counters.at[WEIR_EC_TRIES_FAILED] = 11;
    weir_monitor_run(&h.s, &got, collect);
    ck_assert_uint_eq(got.count, 4);
    ck_assert_str_eq(got.at[0].msg, "Connection pool exhausted");
    ck_assert_int_eq(got.at[0].level, WEIR_LOG_WARN);
    ck_assert_str_eq(got.at[1].msg, "High connection error rate");
    ck_assert_int_eq(got.at[1].level, WEIR_LOG_WARN);
    ck_assert_str_eq(got.at[2].msg, "Connection pool health");
    ck_assert_str_eq(got.at[3].provider, "anthropic");
}
END_TEST

/* What failed before the last look is not held against a provider that works now, and hides none that fails now. */
START_TEST(test_monitor_looks_at_the_last_minute)
{
    struct events got = {0};
    clear_counters();
    h.openai[0].counters.at[WEIR_EC_TRIES] = 1000;
    h.openai[0].counters.at[WEIR_EC_TRIES_FAILED] = 500;
    h.providers[0].tries_before = 900;
    h.providers[0].tries_failed_before = 490;
    weir_monitor_run(&h.s, &got, collect);
    ck_assert_uint_eq(got.count, 2);
    got.count = 0;
    h.openai[0].counters.at[WEIR_EC_TRIES] = 100000;
    h.openai[0].counters.at[WEIR_EC_TRIES_FAILED] = 11;
    h.providers[0].tries_before = 99900;
    h.providers[0].tries_failed_before = 0;
    weir_monitor_run(&h.s, &got, collect);
    ck_assert_uint_eq(got.count, 3);
    ck_assert_str_eq(got.at[0].event, "pool_error_rate");
    got.count = 0;
    h.providers[0].tries_before = 200000; /* an endpoint has gone with all its counts */
    h.providers[0].tries_failed_before = 300;
    weir_monitor_run(&h.s, &got, collect);
    ck_assert_uint_eq(got.count, 2);
}
END_TEST

CHECK_MAIN("snapshot", setup, NULL, test_values_of_a_provider, test_sums_of_rows, test_values_of_the_node_add_up,
           test_nothing_yet, test_error_rate_without_requests, test_health_of_endpoints_and_providers,
           test_health_of_an_exhausted_pool, test_health_of_the_node, test_monitor_in_peace, test_monitor_in_trouble,
           test_monitor_looks_at_the_last_minute)
