/* Limits that follow the load and what is measured; time and counts are the test's. */
#include <stdio.h>
#include <string.h>

#include "check_main.h"
#include "node/view.h"

#define WORKERS 2u

static struct weir_view *view;
static uint64_t now = 1000000;

/* A configuration takes effect that says this of http_client. */
static void publish(const char *http)
{
    char yaml[512];
    struct weir_err err;
    struct weir_config_problems problems = {0};
    struct weir_config *config = NULL;
    struct weir_view *next = NULL;
    snprintf(yaml, sizeof yaml, "providers: {a: {base_url: 'http://127.0.0.1:1'}}\nhttp_client: {%s}\n", http);
    struct weir_config_input in = {.file = "test.yaml", .bytes = yaml, .len = strlen(yaml)};
    int rv = weir_config_parse(&config, &in, &problems);
    ck_assert_msg(rv == 0, "%s", problems.count > 0 ? problems.at[0].sentence : "");
    weir_config_problems_reset(&problems);
    struct weir_shared_config *shared = weir_shared_config_new(config);
    ck_assert_int_eq(weir_view_new(&next, shared, view, WORKERS, &err), 0);
    weir_shared_config_unref(shared);
    weir_view_take_effect(next, view);
    if (view != NULL)
        weir_view_unref(view);
    view = next;
}

static void teardown(void)
{
    atomic_store(&view->providers[0].rt->total, 0);
    weir_view_unref(view);
}

static struct weir_provider *rt(void)
{
    return view->providers[0].rt;
}

static void limits_are(uint32_t max_connections, uint32_t max_keepalive)
{
    ck_assert_uint_eq(rt()->total_max, max_connections);
    ck_assert_uint_eq(rt()->idle_max, max_keepalive);
}

static void load(uint32_t leased, uint32_t idle, uint32_t queued)
{
    atomic_store(&rt()->total, leased + idle);
    atomic_store(&rt()->idle, idle);
    atomic_store(&rt()->queued, queued);
}

static bool tick_after(uint64_t ms)
{
    now += ms;
    return weir_scaling_tick(&view->providers[0], now, NULL);
}

#define SCALED "pool_limits: {max_connections: 100, max_keepalive_connections: 40, load_scaling: true}"

START_TEST(test_bands_move_both_limits)
{
    publish(SCALED);
    limits_are(100, 40);
    ck_assert(tick_after(100));
    limits_are(50, 20);
    ck_assert(!tick_after(100));
    load(40, 5, 35); /* what is idle counts for nothing, who waits does */
    ck_assert(tick_after(100));
    limits_are(150, 60);
    load(0, 0, 0);
    ck_assert(!tick_after(9000)); /* the peak of ten seconds */
    limits_are(150, 60);
    ck_assert(tick_after(3000));
    limits_are(50, 20);
    load(31, 69, 0);
    ck_assert(tick_after(100));
    limits_are(100, 40);
}
END_TEST

START_TEST(test_a_node_holds_its_part_of_the_connections)
{
    publish("pool_limits: {max_connections: 100, max_keepalive_connections: 40}");
    weir_scaling_share(rt(), 8, 24);
    ck_assert(tick_after(100));
    limits_are(34, 14); /* rounded up */
    ck_assert(!tick_after(100));
    publish("pool_limits: {max_connections: 100, max_keepalive_connections: 40, load_scaling: true}");
    weir_scaling_share(rt(), 8, 24);
    load(20, 0, 10); /* of 34, so much is high */
    ck_assert(tick_after(100));
    limits_are(50, 21);              /* a half more, within the same part of the cap */
    weir_scaling_share(rt(), 0, 24); /* what lands here is served all the same */
    load(0, 0, 0);
    ck_assert(tick_after(20000));
    ck_assert_uint_ge(rt()->total_max, 1);
    weir_scaling_share(rt(), 0, 0);
    tick_after(100);
    limits_are(50, 20);
}
END_TEST

START_TEST(test_a_reload_keeps_the_band)
{
    publish(SCALED);
    load(100, 0, 0);
    tick_after(100);
    limits_are(150, 60);
    publish("pool_limits: {max_connections: 10, max_keepalive_connections: 4, load_scaling: true}");
    limits_are(15, 6);
    publish("pool_limits: {max_connections: 10, max_keepalive_connections: 4, load_scaling: false}");
    limits_are(10, 4);
    ck_assert(!tick_after(100));
    publish(SCALED ", features: {connection_reuse: false}");
    limits_are(150, 0);
}
END_TEST

/* Five seconds with so many requests that took so long each. */
static bool slot(uint64_t requests, uint64_t each_ms)
{
    struct weir_endpoint_local *l = &view->providers[0].endpoints[0].rt->local[1];
    struct weir_provider_local *pl = &rt()->local[0];
    weir_provider_add(&pl->counters, WEIR_PC_REQUESTS, requests);
    weir_endpoint_add(&l->counters, WEIR_EC_EXCHANGES, requests);
    weir_endpoint_add(&l->counters, WEIR_EC_EXCHANGE_US, requests * each_ms * 1000);
    weir_hist_observe(&pl->counters, WEIR_H_CONNECT, 4000000);
    return tick_after(WEIR_TUNING_SLOT_MS);
}

START_TEST(test_sizes_and_clocks_that_are_measured)
{
    const struct weir_view_provider *v;
    publish("auto_tune: true, pool_limits: {max_connections: 100, max_connections_cap: 120}, timeout: {total: 50, "
            "connect: 3, read: 20}");
    v = &view->providers[0];
    tick_after(100);
    ck_assert_uint_eq(rt()->total_max, 100);
    ck_assert_uint_eq(weir_scaling_connect_ms(v), 3000);
    ck_assert(slot(100, 2000)); /* 20 a second x 2 s x 1.5 */
    ck_assert_uint_eq(rt()->total_max, 60);
    ck_assert_uint_eq(weir_scaling_connect_ms(v), 8000);
    ck_assert_uint_eq(weir_scaling_read_ms(v), 40000);
    ck_assert_uint_eq(weir_scaling_total_ms(v), 53000);
    ck_assert(slot(500, 2000));
    ck_assert_uint_eq(rt()->total_max, 120); /* 300, but for the cap */
    ck_assert(!slot(0, 0));
    now += 120000;
    for (unsigned i = 0; i < WEIR_TUNING_SLOTS; i++)
        tick_after(WEIR_TUNING_SLOT_MS);
    ck_assert_uint_eq(rt()->total_max, 100); /* nothing measured for a minute */
    ck_assert_uint_eq(weir_scaling_connect_ms(v), 8000);
    publish("pool_limits: {max_connections: 100}, timeout: {total: 50, connect: 3, read: 20}");
    v = &view->providers[0];
    ck_assert_uint_eq(weir_scaling_connect_ms(v), 3000);
    ck_assert_uint_eq(weir_scaling_read_ms(v), 20000);
    ck_assert_uint_eq(weir_scaling_total_ms(v), 50000);
}
END_TEST

static void advise(uint32_t pool_size)
{
    weir_scaling_advise(rt(), &(struct weir_scaling_hint){.there = pool_size > 0, .pool_size = pool_size});
}

START_TEST(test_a_hint_raises_the_limit_and_lowers_none)
{
    publish("pool_limits: {max_connections: 100, max_keepalive_connections: 40, max_connections_cap: 130}");
    advise(120);
    ck_assert(tick_after(100));
    limits_are(120, 40);
    advise(500);
    ck_assert(tick_after(100));
    limits_are(130, 40); /* the cap */
    advise(20);
    ck_assert(tick_after(100));
    limits_are(100, 40);
    advise(0);
    ck_assert(!tick_after(100));
    publish("pool_limits: {max_connections: 100, max_keepalive_connections: 40, load_scaling: true}");
    load(10, 0, 0);
    tick_after(100);
    limits_are(50, 20); /* the load is low */
    advise(70);
    ck_assert(tick_after(100));
    limits_are(70, 20);
}
END_TEST

CHECK_MAIN("scaling", NULL, teardown, test_bands_move_both_limits, test_a_node_holds_its_part_of_the_connections,
           test_a_reload_keeps_the_band, test_sizes_and_clocks_that_are_measured,
           test_a_hint_raises_the_limit_and_lowers_none)
