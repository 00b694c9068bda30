#include "core/monitor.h"

void weir_monitor_run(const struct weir_snapshot *s, void *arg, weir_monitor_cb emit)
{
    for (size_t i = 0; i < s->provider_count; i++) {
        struct weir_guide_values v;
        weir_guide_of_provider(&v, &s->providers[i]);
        struct weir_monitor_event e = {.level = WEIR_LOG_WARN, .provider = s->providers[i].name, .values = &v};
        if (v.at[WEIR_GUIDE_PENDING_REQUESTS] > WEIR_PENDING_EXHAUSTED) {
            e.event = "pool_exhausted";
            e.msg = "Connection pool exhausted";
            emit(arg, &e);
        }
        if (v.at[WEIR_GUIDE_ERROR_RATE] > WEIR_ERROR_RATE_HIGH) {
            e.event = "pool_error_rate";
            e.msg = "High connection error rate";
            emit(arg, &e);
        }
        e.level = WEIR_LOG_INFO;
        e.event = "pool_health";
        e.msg = "Connection pool health";
        emit(arg, &e);
    }
}
