#include "node/diagnosis.h"

#include <stdio.h>
#include <string.h>

/* Families whose rows tell errors apart, and what their keys begin with. */
static const struct {
    const char *family, *prefix;
} classes[] = {
    {"weir_connect_failures_total", "connect_"},
    {"weir_upstream_timeouts_total", "timeout_"},
    {"weir_upstream_lost_total", "lost_"},
};

static const char *prefix_of(const char *family)
{
    for (size_t i = 0; i < sizeof classes / sizeof classes[0]; i++)
        if (strcmp(classes[i].family, family) == 0)
            return classes[i].prefix;
    return NULL;
}

/* Only what has happened: "timeout_read", 3. */
static void add_errors(struct weir_log_line *l, const struct weir_endpoint_counters *c)
{
    for (size_t i = 0; i < WEIR_EC_COUNT; i++) {
        const struct weir_metric *m = &weir_endpoint_counter_table[i];
        const char *prefix = prefix_of(m->name), *label = strchr(m->labels, '"');
        char key[64];
        if (prefix == NULL || label == NULL || c->at[i] == 0)
            continue;
        snprintf(key, sizeof key, "%s%.*s", prefix, (int)strcspn(label + 1, "\""), label + 1);
        weir_log_u64(l, key, c->at[i]);
    }
    weir_log_u64(l, "responses_5xx", c->at[WEIR_EC_RESPONSES_5XX]);
}

static void add_pool(struct weir_log_line *l, const struct weir_guide_values *v)
{
    static const enum weir_guide_id shown[] = {
        WEIR_GUIDE_ACTIVE,      WEIR_GUIDE_IDLE,       WEIR_GUIDE_PENDING,       WEIR_GUIDE_MAX_CONNECTIONS,
        WEIR_GUIDE_UTILIZATION, WEIR_GUIDE_ERROR_RATE, WEIR_GUIDE_REUSE_RATE,    WEIR_GUIDE_AVG_CONNECTION_MS,
        WEIR_GUIDE_CREATED,     WEIR_GUIDE_ERRORS,     WEIR_GUIDE_TOTAL_REQUESTS};
    for (size_t i = 0; i < sizeof shown / sizeof shown[0]; i++) {
        const struct weir_guide_metric *m = &weir_guide_table[shown[i]];
        if (m->whole)
            weir_log_u64(l, m->name, (uint64_t)v->at[shown[i]]);
        else
            weir_log_double(l, m->name, v->at[shown[i]]);
    }
}

void weir_diagnosis_log(struct weir_log_producer *log, const struct weir_snapshot *s, const char *rule,
                        const char *provider)
{
    struct weir_endpoint_counters sum = {0};
    struct weir_guide_values values;
    unsigned endpoints = 0, failing = 0, ejected = 0, open = 0;
    weir_guide_of_node(&values, s);
    for (size_t i = 0; i < s->provider_count; i++) {
        const struct weir_provider_snapshot *p = &s->providers[i];
        if (provider != NULL && strcmp(p->name, provider) != 0)
            continue;
        if (provider != NULL)
            weir_guide_of_provider(&values, p);
        for (size_t k = 0; k < p->endpoint_count; k++) {
            const struct weir_endpoint_snapshot *e = &p->endpoints[k];
            weir_endpoint_counters_sum(&sum, &e->counters);
            endpoints++;
            ejected += e->ejected;
            open += e->circuit.phase != WEIR_BREAKER_CLOSED;
            failing += weir_health_of_endpoint(e) == WEIR_UNHEALTHY;
        }
    }
    struct weir_log_line l;
    weir_log_begin(&l, log, WEIR_LOG_WARN, "diagnosis", "what the node knew when the alert began to fire");
    weir_log_text(&l, "rule", rule);
    weir_log_text(&l, "provider", provider);
    weir_log_u64(&l, "endpoints", endpoints);
    weir_log_u64(&l, "endpoints_unhealthy", failing);
    weir_log_u64(&l, "endpoints_ejected", ejected);
    weir_log_u64(&l, "circuits_not_closed", open);
    add_pool(&l, &values);
    add_errors(&l, &sum);
    weir_log_double(&l, "lag_control_ms", (double)s->gauges[WEIR_NG_LAG_CONTROL_US] / 1000);
    weir_log_double(&l, "lag_worker_ms", (double)s->gauges[WEIR_NG_LAG_WORKER_US] / 1000);
    weir_log_u64(&l, "resident_bytes", s->gauges[WEIR_NG_RESIDENT]);
    weir_log_u64(&l, "memory_limit_bytes", s->gauges[WEIR_NG_MEMORY_LIMIT]);
    weir_log_u64(&l, "descriptors", s->gauges[WEIR_NG_FDS_OPEN]);
    weir_log_u64(&l, "descriptors_limit", s->gauges[WEIR_NG_FDS_LIMIT]);
    weir_log_end(&l);
}
