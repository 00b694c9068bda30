#include <stdio.h>

#include "coordinator/coordinator_inner.h"

static struct weir_advisor_config advisor_config(const struct weir_config *config)
{
    const struct weir_config_analytics *a = &config->analytics;
    struct weir_advisor_config out = {.slot_ms = a->sample_interval_ms,
                                      .window_ms = a->scaling_prediction_window_ms,
                                      .cooldown_ms = a->scaling_cooldown_period_ms,
                                      .safe_concurrency = a->safe_concurrency,
                                      .timeout_s = (double)config->http_client.timeout.total_ms / 1000};
    for (size_t i = 0; i < config->provider_count && out.provider_count < WEIR_LOAD_PROVIDERS_MAX; i++) {
        struct weir_advisor_provider *p = &out.providers[out.provider_count++];
        (void)snprintf(p->name, sizeof p->name, "%s", config->providers[i].name);
        p->timeout_s = (double)config->providers[i].http.timeout.total_ms / 1000;
    }
    return out;
}

struct weir_coordinator_agent_config weir_coordinator_configure(const char *id, const struct weir_config *config)
{
    const struct weir_config_distributed *d = &config->distributed_pool;
    const struct weir_config_analytics *a = &config->analytics;
    return (struct weir_coordinator_agent_config){
        .id = id,
        .lease_ms = config->coordinator.lease_ms,
        .failover_timeout_ms = d->failover_timeout_ms,
        .failover = d->failover_enabled,
        .shard_count = d->shard_count,
        .load_moves = weir_config_load_moves(d),
        .history = {.history = a->enabled && a->collect_performance_metrics,
                    .hints = a->enable_predictive_scaling,
                    .patterns = a->collect_connection_patterns,
                    .advisor = advisor_config(config)},
    };
}
