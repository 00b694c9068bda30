#include "core/counters.h"

#include <stdlib.h>
#include <string.h>

#include "check_main.h"

START_TEST(test_classes_of_status)
{
    ck_assert_int_eq(weir_node_class(200), WEIR_NC_REQUESTS_2XX);
    ck_assert_int_eq(weir_node_class(304), WEIR_NC_REQUESTS_3XX);
    ck_assert_int_eq(weir_node_class(499), WEIR_NC_REQUESTS_4XX);
    ck_assert_int_eq(weir_node_class(599), WEIR_NC_REQUESTS_5XX);
    ck_assert_int_eq(weir_node_class(0), WEIR_NC_REQUESTS_NONE);
    ck_assert_int_eq(weir_node_class(600), WEIR_NC_REQUESTS_NONE);
    ck_assert_int_eq(weir_endpoint_class(204), WEIR_EC_RESPONSES_2XX);
    ck_assert_int_eq(weir_endpoint_class(502), WEIR_EC_RESPONSES_5XX);
    ck_assert_int_eq(weir_endpoint_class(999), WEIR_EC_RESPONSES_5XX);
}
END_TEST

/* The bucket of a value is the first whose bound is not below it, whatever way it is found. */
START_TEST(test_bucket_search)
{
    for (size_t i = 1; i < WEIR_HIST_BOUNDS; i++)
        ck_assert_uint_lt(weir_hist_bound_us[i - 1], weir_hist_bound_us[i]);
    ck_assert_uint_eq(weir_hist_bucket_of(0), 0);
    for (unsigned i = 0; i < WEIR_HIST_BOUNDS; i++) {
        ck_assert_uint_eq(weir_hist_bucket_of(weir_hist_bound_us[i]), i);
        ck_assert_uint_eq(weir_hist_bucket_of(weir_hist_bound_us[i] + 1), i + 1);
    }
    ck_assert_uint_eq(weir_hist_bucket_of(UINT64_MAX), WEIR_HIST_BOUNDS);
}
END_TEST

START_TEST(test_sets_are_summed)
{
    static struct weir_node_counters n[2], nodes;
    static struct weir_endpoint_counters e[2], endpoints;
    static struct weir_provider_counters p[2], providers;
    weir_node_add(&n[0], WEIR_NC_DOWN_ACCEPTED, 3);
    weir_node_add(&n[1], WEIR_NC_DOWN_ACCEPTED, 4);
    weir_node_add(&n[0], WEIR_NC_DOWN_ACTIVE, 1); /* a connection that moves from one worker to the other */
    weir_node_sub(&n[1], WEIR_NC_DOWN_ACTIVE, 1);
    weir_endpoint_add(&e[0], WEIR_EC_RECEIVED, 10);
    weir_endpoint_add(&e[1], WEIR_EC_RECEIVED, 20);
    weir_provider_add(&p[0], WEIR_PC_NO_ENDPOINT, 1);
    weir_hist_observe(&p[0], WEIR_H_QUEUE, 50);
    weir_hist_observe(&p[1], WEIR_H_QUEUE, 400000000);
    for (size_t i = 0; i < 2; i++) {
        weir_node_counters_sum(&nodes, &n[i]);
        weir_endpoint_counters_sum(&endpoints, &e[i]);
        weir_provider_counters_sum(&providers, &p[i]);
    }
    ck_assert_uint_eq(nodes.at[WEIR_NC_DOWN_ACCEPTED], 7);
    ck_assert_uint_eq(nodes.at[WEIR_NC_DOWN_ACTIVE], 0);
    ck_assert_uint_eq(endpoints.at[WEIR_EC_RECEIVED], 30);
    ck_assert_uint_eq(providers.at[WEIR_PC_NO_ENDPOINT], 1);
    ck_assert_uint_eq(providers.hist[WEIR_H_QUEUE].bucket[0], 1);
    ck_assert_uint_eq(providers.hist[WEIR_H_QUEUE].bucket[WEIR_HIST_BOUNDS], 1);
    ck_assert_uint_eq(providers.hist[WEIR_H_QUEUE].sum_us, 400000050);
    ck_assert_uint_eq(weir_hist_count(&providers.hist[WEIR_H_QUEUE]), 2);
    ck_assert_uint_eq(weir_hist_count(&providers.hist[WEIR_H_CONNECT]), 0);
}
END_TEST

START_TEST(test_sets_fill_cache_lines)
{
    ck_assert_uint_eq(sizeof(struct weir_node_counters) % WEIR_CACHE_LINE, 0);
    ck_assert_uint_eq(sizeof(struct weir_endpoint_counters) % WEIR_CACHE_LINE, 0);
    ck_assert_uint_eq(sizeof(struct weir_provider_counters) % WEIR_CACHE_LINE, 0);
}
END_TEST

START_TEST(test_the_newest_of_several_threads_latencies_is_kept)
{
    static struct weir_endpoint_counters threads[3], all;
    weir_latency_observe(&threads[0], WEIR_LATENCY_TLS, 900, 5000);
    weir_latency_observe(&threads[1], WEIR_LATENCY_TLS, 700, 9000);
    weir_latency_observe(&threads[1], WEIR_LATENCY_TLS, 0, 9500);
    weir_latency_observe(&threads[2], WEIR_LATENCY_TLS, 100, 7000);
    for (size_t i = 0; i < 3; i++)
        weir_endpoint_counters_sum(&all, &threads[i]);
    const struct weir_hist *h = &all.latency[WEIR_LATENCY_TLS];
    ck_assert_uint_eq(h->last_us, 0);
    ck_assert_uint_eq(h->last_at_us, 9500);
    ck_assert_uint_eq(h->sum_us, 1700);
    ck_assert_uint_eq(weir_hist_count(h), 4);
    ck_assert_uint_eq(all.latency[WEIR_LATENCY_DNS].last_at_us, 0);
}
END_TEST

START_TEST(test_quantiles)
{
    static struct weir_provider_counters c;
    struct weir_hist *h = &c.hist[WEIR_H_REQUEST];
    ck_assert_uint_eq(weir_hist_quantile_us(h, 0.5), 0);
    for (unsigned i = 0; i < 100; i++) /* all in (1000, 2000] */
        weir_hist_observe(&c, WEIR_H_REQUEST, 1500);
    ck_assert_uint_eq(weir_hist_quantile_us(h, 0.5), 1500);
    ck_assert_uint_eq(weir_hist_quantile_us(h, 1), 2000);
    for (unsigned i = 0; i < 100; i++)
        weir_hist_observe(&c, WEIR_H_REQUEST, UINT64_C(1000000000));
    ck_assert_uint_eq(weir_hist_quantile_us(h, 0.25), 1500);
    ck_assert_uint_eq(weir_hist_quantile_us(h, 0.99), 300000000);
}
END_TEST

CHECK_MAIN("counters", NULL, NULL, test_classes_of_status, test_bucket_search, test_sets_are_summed,
           test_sets_fill_cache_lines, test_quantiles, test_the_newest_of_several_threads_latencies_is_kept)
