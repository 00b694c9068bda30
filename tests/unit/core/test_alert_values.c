#include "core/alert_values.h"

#include <math.h>
#include <string.h>

#include "check_main.h"
#include "helper_snapshot.h"

static struct helper_snapshot h;
static struct weir_alert_values v;

static void setup(void)
{
    helper_snapshot_fill(&h);
}

static double named(const char *name)
{
    int id = weir_alert_id_of(weir_str_of(name));
    ck_assert_msg(id >= 0, "%s", name);
    ck_assert_str_eq(weir_alert_name(id), name);
    return v.at[id];
}

START_TEST(test_every_family_has_one_id)
{
    unsigned names = 0;
    for (int i = 0; i < WEIR_ALERT_IDS; i++) {
        const char *name = weir_alert_name(i);
        if (name == NULL)
            continue;
        names++;
        ck_assert_int_eq(weir_alert_id_of(weir_str_of(name)), i);
    }
    ck_assert_uint_gt(names, WEIR_GUIDE_COUNT + 20);
    ck_assert_int_eq(weir_alert_id_of(WEIR_STR("weir_no_such_total")), -1);
    ck_assert_int_eq(weir_alert_id_of(WEIR_STR("")), -1);
}
END_TEST

START_TEST(test_the_nearest_name)
{
    ck_assert_str_eq(weir_alert_name_nearest("pending_request"), "pending_requests");
    ck_assert_str_eq(weir_alert_name_nearest("weir_retry_total"), "weir_retries_total");
}
END_TEST

/* Counters are what the caller says they have grown by; gauges are the snapshot's. */
START_TEST(test_values_of_a_provider)
{
    uint64_t increase[WEIR_ALERT_CELLS_PROVIDER] = {0};
    increase[WEIR_EC_LOST_CLOSED] = 2;
    increase[WEIR_EC_LOST_RESET] = 3;
    increase[WEIR_EC_EXCHANGE_US] = 1500000;
    increase[WEIR_EC_COUNT + WEIR_PC_QUEUED] = 7;
    h.openai[0].counters.at[WEIR_EC_CIRCUIT_STATE] = 2;
    h.openai[1].counters.at[WEIR_EC_CIRCUIT_STATE] = 1;
    weir_alert_values_of_provider(&v, &h.providers[0], increase);
    ck_assert_double_eq(named("pending_requests"), 5);
    ck_assert_double_eq(named("weir_upstream_lost_total"), 5);
    ck_assert_double_eq(named("weir_upstream_exchange_seconds_total"), 1.5);
    ck_assert_double_eq(named("weir_pool_queued_total"), 7);
    ck_assert_double_eq(named("weir_pool_queue_full_total"), 0);
    ck_assert_double_eq(named("weir_circuit_state"), 3);
    ck_assert(isnan(named("weir_workers")));
    ck_assert(isnan(named("weir_requests_total")));
}
END_TEST

START_TEST(test_values_of_the_node)
{
    uint64_t increase[WEIR_ALERT_CELLS_NODE] = {0};
    increase[WEIR_ALERT_CELLS_PROVIDER + WEIR_NC_REQUESTS_2XX] = 10;
    increase[WEIR_ALERT_CELLS_PROVIDER + WEIR_NC_REQUESTS_5XX] = 4;
    h.s.counters.at[WEIR_NC_REQUESTS_ACTIVE] = 6;
    h.s.counters.at[WEIR_NC_DOWN_ACTIVE] = (uint64_t)-1; /* parts of a gauge are not read at one moment */
    h.s.counters.at[WEIR_NC_DOWN_IDLE] = 3;
    weir_alert_values_of_node(&v, &h.s, increase);
    ck_assert_double_eq(named("pending_requests"), 6);
    ck_assert_double_eq(named("weir_requests_total"), 14);
    ck_assert_double_eq(named("weir_requests_active"), 6);
    ck_assert_double_eq(named("weir_downstream_connections"), 3);
    ck_assert_double_eq(named("weir_uptime_seconds"), 61.5);
    ck_assert_double_eq(named("weir_workers"), 2);
    ck_assert_double_eq(named("weir_pool_queued_total"), 0);
}
END_TEST

/* In the helper the first provider has them and the second has not. */
START_TEST(test_gauges_that_not_every_provider_has)
{
    uint64_t increase[WEIR_ALERT_CELLS_NODE] = {0};
    const char *name = weir_provider_gauge_table[WEIR_PG_COUNT - 1].name;
    bool seconds = weir_provider_gauge_table[WEIR_PG_COUNT - 1].unit == WEIR_UNIT_US;
    double one = (double)h.providers[0].gauges[WEIR_PG_COUNT - 1] / (seconds ? 1e6 : 1);
    weir_alert_values_of_provider(&v, &h.providers[0], increase);
    ck_assert_double_eq(named(name), one);
    weir_alert_values_of_provider(&v, &h.providers[1], increase);
    ck_assert(isnan(named(name)));
    weir_alert_values_of_node(&v, &h.s, increase);
    ck_assert_double_eq(named(name), one);
    memcpy(h.providers[1].gauges, h.providers[0].gauges, sizeof h.providers[0].gauges);
    weir_alert_values_of_node(&v, &h.s, increase);
    ck_assert_double_eq(named(name), 2 * one);
    h.s.provider_count = 0;
    weir_alert_values_of_node(&v, &h.s, increase);
    ck_assert(isnan(named(name)));
}
END_TEST

/* A gauge that goes down must not look like a counter that began anew. */
START_TEST(test_cells_hold_counters_only)
{
    uint64_t cells[WEIR_ALERT_CELLS_NODE], one[WEIR_ALERT_CELLS_PROVIDER];
    weir_alert_cells_of_node(cells, &h.s);
    ck_assert_uint_eq(cells[WEIR_ALERT_CELLS_PROVIDER + WEIR_NC_REQUESTS_ACTIVE], 0);
    ck_assert_uint_eq(cells[WEIR_ALERT_CELLS_PROVIDER + WEIR_NC_REQUESTS_2XX], h.s.counters.at[WEIR_NC_REQUESTS_2XX]);
    ck_assert_uint_eq(cells[WEIR_EC_CIRCUIT_STATE], 0);
    ck_assert_uint_eq(cells[WEIR_EC_TRIES], 1000 + 2000 + 3000 + 3 * WEIR_EC_TRIES);
    ck_assert_uint_eq(cells[WEIR_EC_COUNT + WEIR_PC_QUEUED], 100 + 200 + 2 * WEIR_PC_QUEUED);
    weir_alert_cells_of_provider(one, &h.providers[1]);
    ck_assert_uint_eq(one[WEIR_EC_TRIES], 3000 + WEIR_EC_TRIES);
    ck_assert_uint_eq(one[WEIR_EC_COUNT + WEIR_PC_QUEUED], 200 + WEIR_PC_QUEUED);
}
END_TEST

CHECK_MAIN("alert_values", setup, NULL, test_every_family_has_one_id, test_the_nearest_name, test_values_of_a_provider,
           test_values_of_the_node, test_gauges_that_not_every_provider_has, test_cells_hold_counters_only)
