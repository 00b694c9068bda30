#include "helper_snapshot.h"

#include <string.h>

static void fill_endpoint(struct weir_endpoint_snapshot *e, const char *id, uint64_t base)
{
    e->id = id;
    e->addresses = 2;
    for (size_t i = 0; i < WEIR_EC_COUNT; i++)
        e->counters.at[i] = base + i;
}

void helper_snapshot_fill(struct helper_snapshot *h)
{
    memset(h, 0, sizeof *h);
    fill_endpoint(&h->openai[0], "http://10.0.0.1:9001", 1000);
    fill_endpoint(&h->openai[1], "http://10.0.0.2:9001", 2000);
    fill_endpoint(&h->anthropic[0], "http://10.0.0.3:9002", 3000);
    h->openai[0].pool = (struct weir_pool_gauges){.active = 30, .idle = 15, .opening = 1, .max_connections = 100};
    h->openai[1].pool = (struct weir_pool_gauges){.active = 15, .idle = 10, .max_connections = 100};
    h->anthropic[0].pool = (struct weir_pool_gauges){.active = 4, .idle = 3, .max_connections = 8};

    h->providers[0] = (struct weir_provider_snapshot){
        .name = "openai",
        .pool = {.active = 45, .idle = 25, .opening = 1, .pending = 5, .max_connections = 100, .max_keepalive = 30},
        .endpoints = h->openai,
        .endpoint_count = 2,
    };
    h->providers[1] = (struct weir_provider_snapshot){
        .name = "anthropic",
        .pool = {.active = 4, .idle = 3, .pending = 1, .max_connections = 8, .max_keepalive = 6},
        .endpoints = h->anthropic,
        .endpoint_count = 1,
    };
    for (size_t p = 0; p < 2; p++)
        for (size_t i = 0; i < WEIR_PC_COUNT; i++)
            h->providers[p].counters.at[i] = 100 * (p + 1) + i;
    for (size_t i = 0; i < WEIR_PG_COUNT; i++) {
        h->providers[0].gauges[i] = 10 + i;
        h->providers[1].gauges[i] = WEIR_GAUGE_NONE;
    }

    h->s = (struct weir_snapshot){
        .node = "node-1",
        .version = "1.2.3",
        .unix_ms = 1795000000123,
        .providers = h->providers,
        .provider_count = 2,
    };
    for (size_t i = 0; i < WEIR_NC_COUNT; i++)
        h->s.counters.at[i] = 500 + i;
    h->s.gauges[WEIR_NG_UPTIME_US] = 61500000;
    h->s.gauges[WEIR_NG_RESIDENT] = UINT64_C(20) << 20;
    h->s.gauges[WEIR_NG_MEMORY_LIMIT] = UINT64_C(1) << 30;
    h->s.gauges[WEIR_NG_FDS_OPEN] = 90;
    h->s.gauges[WEIR_NG_FDS_LIMIT] = 1024;
    h->s.gauges[WEIR_NG_CPU_US] = 2500000;
    h->s.gauges[WEIR_NG_LAG_CONTROL_US] = 1500;
    h->s.gauges[WEIR_NG_WORKERS] = 2;
}
