#include "cli/report.h"

#include "check_main.h"
#include "cli/show.h"

START_TEST(test_since)
{
    static const struct {
        const char *text;
        double seconds;
    } good[] = {{"7d", 604800}, {"24h", 86400}, {"1.5h", 5400}, {"30m", 1800}, {"90s", 90}};
    static const char *const bad[] = {"", "d", "7", "7w", "7dd", "-1d", "0s", "nan", "1e9d"};
    double seconds;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        ck_assert(ctl_report_since(good[i].text, &seconds));
        ck_assert_double_eq(seconds, good[i].seconds);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        ck_assert_msg(!ctl_report_since(bad[i], &seconds), "%s", bad[i]);
}
END_TEST

static json_t *read(const char *text)
{
    json_t *value = json_loads(text, 0, NULL);
    ck_assert(value != NULL);
    return value;
}

START_TEST(test_figures_hours_and_events)
{
    json_t *pools =
        read("{\"node_id\":\"n\",\"providers\":{\"x\":{\"pool_utilization_percent\":81,\"pending_requests\":4,"
             "\"connections_created_total\":100,\"connection_errors_total\":3,\"total_requests\":100}}}");
    json_t *analytics = read("{\"patterns\":[{\"provider\":\"x\",\"reuse_percent\":96,\"by_hour\":["
                             "{\"hour\":3,\"requests_per_s\":1},{\"hour\":9,\"requests_per_s\":7}]}]}");
    json_t *events =
        read("{\"events\":[{\"event\":\"node_lost\",\"unix_ms\":1000},{\"event\":\"node_lost\",\"unix_ms\":9000},"
             "{\"event\":\"node_back\",\"unix_ms\":9500}]}");
    json_t *report = ctl_report_make(pools, NULL, analytics, events, 5, 10000);
    const json_t *figures = json_object_get(report, "figures");
    ck_assert_uint_eq(json_array_size(figures), 5);
    static const int met[] = {0, 0, -1, 1, -1}; /* -1: no data */
    for (size_t i = 0; i < 5; i++) {
        const json_t *value = json_object_get(json_array_get(figures, i), "met");
        ck_assert_int_eq(json_is_null(value) ? -1 : json_is_true(value), met[i]);
    }
    const json_t *hour = json_array_get(json_object_get(report, "hours"), 0);
    ck_assert_int_eq((int)json_integer_value(json_object_get(hour, "hour")), 9);
    const json_t *counts = json_object_get(report, "events");
    ck_assert_int_eq((int)json_integer_value(json_object_get(counts, "node_lost")), 1);
    ck_assert_int_eq((int)json_integer_value(json_object_get(counts, "node_back")), 1);
    json_decref(report);
    json_decref(pools);
    json_decref(analytics);
    json_decref(events);
}
END_TEST

/* The first connection of a few requests is no bad rate; what is of a moment is judged, however few there were. */
START_TEST(test_too_few_requests)
{
    json_t *pools = read(
        "{\"providers\":{\"x\":{\"pool_utilization_percent\":81,\"pending_requests\":4,\"connections_created_total\":9,"
        "\"connection_errors_total\":1,\"total_requests\":99,\"avg_connection_time_ms\":5,"
        "\"connection_reuse_rate_percent\":80}}}");
    json_t *report = ctl_report_make(pools, NULL, NULL, NULL, 5, 10000);
    static const int met[] = {0, -1, 1, 1, -1}; /* -1: not judged */
    for (size_t i = 0; i < 5; i++) {
        const json_t *f = json_array_get(json_object_get(report, "figures"), i), *value = json_object_get(f, "met");
        ck_assert(json_is_real(json_object_get(f, "value")));
        ck_assert_int_eq(json_is_null(value) ? -1 : json_is_true(value), met[i]);
    }
    json_decref(report);
    json_decref(pools);
}
END_TEST

START_TEST(test_nothing_is_known)
{
    json_t *pools = read("{\"providers\":7}");
    json_t *report = ctl_report_make(pools, NULL, NULL, NULL, 5, 10000);
    ck_assert(json_is_object(report));
    json_decref(report);
    json_decref(pools);
}
END_TEST

START_TEST(test_out_of_the_store)
{
    json_t *history = read("{\"told_seconds\":3600,\"utilization_percent_peak\":81,\"providers\":[{\"provider\":\"x\","
                           "\"requests\":200,\"refused\":1,\"errors\":5,\"leases\":100,\"reused\":91,\"connects\":9,"
                           "\"connect_us_sum\":90000},{\"provider\":\"y\",\"requests\":0}]}");
    json_t *events = read("{\"events\":[{\"event\":\"node_lost\",\"unix_ms\":9000}]}");
    json_t *report = ctl_report_of_history(history, events, 5, 10000);
    const json_t *figures = json_object_get(report, "figures");
    static const double values[] = {2.5, 0.5, 10, 91}; /* of x; y has had nothing */
    static const bool met[] = {false, true, true, true};
    ck_assert_uint_eq(json_array_size(figures), 9);
    for (size_t i = 0; i < 8; i++) {
        const json_t *f = json_array_get(figures, i);
        ck_assert(i < 4 ? json_number_value(json_object_get(f, "value")) == values[i]
                        : json_is_null(json_object_get(f, "value")));
        ck_assert(i >= 4 || json_is_true(json_object_get(f, "met")) == met[i]);
    }
    ck_assert(json_is_false(json_object_get(json_array_get(figures, 8), "met")));
    ck_assert_int_eq((int)json_integer_value(json_object_get(json_object_get(report, "events"), "node_lost")), 1);
    json_decref(report);
    json_decref(history);
    json_decref(events);
}
END_TEST

CHECK_MAIN("report", NULL, NULL, test_out_of_the_store, test_since, test_too_few_requests,
           test_figures_hours_and_events, test_nothing_is_known)
