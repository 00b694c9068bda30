#include "helper_advisor.h"

#include <check.h>
#include <string.h>

struct advised advised;

void advised_begin(void)
{
    const struct weir_advisor_config config = {.slot_ms = SLOT_MS,
                                               .window_ms = WINDOW_MS,
                                               .cooldown_ms = COOLDOWN_MS,
                                               .safe_concurrency = 100,
                                               .providers = {{"openai", 60}},
                                               .provider_count = 1,
                                               .timeout_s = 30};
    memset(&advised, 0, sizeof advised);
    weir_advisor_init(&advised.advisor, &config);
    advised.forecast = weir_load_forecast_new(SLOT_MS, WINDOW_MS);
    ck_assert_ptr_nonnull(advised.forecast);
    weir_load_patterns_init(&advised.patterns, SLOT_MS);
    advised.slot = 1000000;
    advised.nodes = 3;
}

void advised_end(void)
{
    weir_load_forecast_free(&advised.forecast);
}

void advised_look(void)
{
    uint32_t before = advised.hints.desired_nodes;
    const struct weir_advisor_now now = {.store_ms = advised.slot * SLOT_MS,
                                         .nodes = advised.nodes,
                                         .last = &advised.last,
                                         .forecast = advised.forecast,
                                         .patterns = &advised.patterns};
    weir_advisor_look(&advised.advisor, &now, &advised.hints);
    advised.changes += before != 0 && before != advised.hints.desired_nodes;
}

struct weir_load_point *advised_begin_slot(double in_flight)
{
    memset(&advised.last, 0, sizeof advised.last);
    advised.last.slot = advised.slot;
    advised.last.slots = 1;
    struct weir_load_point *p = &weir_load_record_item(&advised.last, WEIR_STR("openai"))->point;
    p->in_flight_peak = (uint64_t)in_flight;
    p->in_flight_mean = (uint64_t)(in_flight * 1000);
    p->requests = p->exchanges = (uint64_t)(in_flight * 5);
    p->exchange_us_sum = p->exchanges * 2000000;
    p->first_byte_p50_us = 250000;
    p->first_byte_p99_us = 900000;
    p->leases = p->requests;
    p->reused = p->requests * 9 / 10;
    p->connects = p->closed = p->requests / 10;
    p->connect_us_sum = p->connects * 40000;
    p->tokens_in = WEIR_LOAD_ABSENT;
    return p;
}

void advised_end_slot(void)
{
    ck_assert(weir_load_forecast_push(advised.forecast, &advised.last));
    weir_load_patterns_take(&advised.patterns, WEIR_LOAD_SLOT, &advised.last);
    advised.slot++;
    advised_look();
}

void advised_run(uint64_t slots, double in_flight)
{
    for (; slots > 0; slots--) {
        (void)advised_begin_slot(in_flight);
        advised_end_slot();
    }
}
