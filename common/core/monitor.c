#include "core/monitor.h"

/* Of what has happened since the last look. An endpoint that has gone takes its sums with it. */
static double error_rate(const struct weir_guide_values *v, const struct weir_provider_snapshot *p)
{
    double tries = v->at[WEIR_GUIDE_TOTAL_REQUESTS] - (double)p->tries_before;
    double failed = v->at[WEIR_GUIDE_ERROR_COUNT] - (double)p->tries_failed_before;
    return failed > 0 ? failed / (tries > 1 ? tries : 1) : 0;
}

void weir_monitor_run(const struct weir_snapshot *s, void *arg, weir_monitor_cb emit)
{
    for (size_t i = 0; i < s->provider_count; i++) {
        struct weir_guide_values v;
        weir_guide_of_provider(&v, &s->providers[i]);
        v.at[WEIR_GUIDE_ERROR_RATE] = error_rate(&v, &s->providers[i]);
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
