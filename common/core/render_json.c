/* /metrics, the pool's statistics and health as JSON. */
#include "core/render.h"
#include "core/render_tree.h"

static void set_guide(struct weir_tree *t, json_t *object, const struct weir_guide_values *v)
{
    for (size_t i = 0; i < WEIR_GUIDE_COUNT; i++) {
        double x = v->at[i];
        weir_tree_set(t, object, weir_guide_table[i].name,
                      weir_guide_table[i].whole ? json_integer((json_int_t)x) : json_real(x));
    }
}

static json_t *cell(const struct weir_metric *m, uint64_t v)
{
    if (m->kind == WEIR_KIND_GAUGE && v > INT64_MAX)
        v = 0; /* see render_prometheus.c */
    return m->unit == WEIR_UNIT_US ? json_real((double)v / 1e6) : json_integer((json_int_t)v);
}

#define PROCESS_PREFIX "weir_process_"

/* Rows as "name": value, or "family": {"label value": value, ...}; names without `prefix`. */
static void set_table(struct weir_tree *t, json_t *object, const struct weir_metric *table, size_t count,
                      const uint64_t *values, const char *prefix)
{
    size_t skip = strlen(prefix);
    bool process = strcmp(prefix, PROCESS_PREFIX) == 0;
    for (size_t i = 0; i < count; i++) {
        if (values[i] == WEIR_GAUGE_NONE && table[i].kind == WEIR_KIND_GAUGE)
            continue;
        if (process != (strncmp(table[i].name, PROCESS_PREFIX, sizeof PROCESS_PREFIX - 1) == 0))
            continue;
        const char *name = table[i].name + skip;
        const char *label = strchr(table[i].labels, '"');
        if (label == NULL) {
            weir_tree_set(t, object, name, cell(&table[i], values[i]));
            continue;
        }
        json_t *family = json_object_get(object, name);
        if (family == NULL)
            family = weir_tree_child(t, object, name);
        char key[64];
        size_t len = strcspn(++label, "\"");
        len = len < sizeof key ? len : sizeof key - 1;
        memcpy(key, label, len);
        key[len] = '\0';
        weir_tree_set(t, family, key, cell(&table[i], values[i]));
    }
}

static void set_hists(struct weir_tree *t, json_t *object, const struct weir_provider_snapshot *p)
{
    static const char *const names[WEIR_H_COUNT] = {"request", "first_byte", "connect", "queue", "rate_limit"};
    json_t *all = weir_tree_child(t, object, "durations");
    for (size_t i = 0; i < WEIR_H_COUNT; i++) {
        const struct weir_hist *h = &p->counters.hist[i];
        uint64_t count = weir_hist_count(h);
        json_t *o = weir_tree_child(t, all, names[i]);
        weir_tree_u64(t, o, "count", count);
        weir_tree_ms(t, o, "mean_ms", count > 0 ? (double)h->sum_us / (double)count : 0);
        weir_tree_ms(t, o, "p50_ms", (double)weir_hist_quantile_us(h, 0.5));
        weir_tree_ms(t, o, "p90_ms", (double)weir_hist_quantile_us(h, 0.9));
        weir_tree_ms(t, o, "p99_ms", (double)weir_hist_quantile_us(h, 0.99));
    }
}

static void set_endpoints(struct weir_tree *t, json_t *object, const struct weir_provider_snapshot *p)
{
    json_t *all = weir_tree_child(t, object, "endpoints");
    for (size_t i = 0; i < p->endpoint_count; i++) {
        const struct weir_endpoint_snapshot *e = &p->endpoints[i];
        json_t *o = weir_tree_child(t, all, e->id);
        struct weir_guide_values v;
        weir_guide_of_endpoint(&v, p, e);
        weir_tree_health(t, o, weir_health_of_endpoint(e));
        set_guide(t, o, &v);
        weir_tree_u64(t, o, "connections_opening", e->pool.opening);
        set_table(t, weir_tree_child(t, o, "details"), weir_endpoint_counter_table, WEIR_EC_COUNT, e->counters.at,
                  "weir_");
    }
}

/* The pools: all guide names over everything, then the same for each provider and each of its endpoints. */
static void set_pools(struct weir_tree *t, json_t *object, const struct weir_snapshot *s)
{
    struct weir_guide_values v;
    weir_guide_of_node(&v, s);
    set_guide(t, object, &v);
    json_t *all = weir_tree_child(t, object, "providers");
    for (size_t i = 0; i < s->provider_count; i++) {
        const struct weir_provider_snapshot *p = &s->providers[i];
        json_t *o = weir_tree_child(t, all, p->name);
        weir_guide_of_provider(&v, p);
        weir_tree_health(t, o, weir_health_of_provider(p));
        set_guide(t, o, &v);
        weir_tree_u64(t, o, "connections_opening", p->pool.opening);
        json_t *details = weir_tree_child(t, o, "details");
        set_table(t, details, weir_provider_counter_table, WEIR_PC_COUNT, p->counters.at, "weir_");
        set_table(t, details, weir_provider_gauge_table, WEIR_PG_COUNT, p->gauges, "weir_");
        set_hists(t, o, p);
        set_endpoints(t, o, p);
    }
}

int weir_render_metrics_json(struct weir_textbuf *out, const struct weir_snapshot *s)
{
    struct weir_tree t;
    weir_tree_begin(&t);
    weir_tree_origin(&t, s);
    json_t *node = weir_tree_child(&t, t.root, "node");
    set_table(&t, node, weir_node_counter_table, WEIR_NC_COUNT, s->counters.at, "weir_");
    set_table(&t, node, weir_node_gauge_table, WEIR_NG_COUNT, s->gauges, "weir_");
    json_t *certificates = weir_tree_child(&t, node, "tls_certificates");
    for (size_t i = 0; i < s->certificate_count; i++) {
        json_t *c = weir_tree_child(&t, certificates, s->certificates[i].file);
        weir_tree_set(&t, c, "subject", json_string_nocheck(s->certificates[i].subject));
        weir_tree_set(&t, c, "not_after_seconds", json_integer(s->certificates[i].not_after_unix_s));
    }
    json_t *process = weir_tree_child(&t, t.root, "process");
    set_table(&t, process, weir_node_gauge_table, WEIR_NG_COUNT, s->gauges, PROCESS_PREFIX);
    set_pools(&t, weir_tree_child(&t, t.root, "connection_pool"), s);
    return weir_tree_finish(&t, out, 2);
}

int weir_render_pool_stats(struct weir_textbuf *out, const struct weir_snapshot *s)
{
    struct weir_tree t;
    weir_tree_begin(&t);
    weir_tree_origin(&t, s);
    set_pools(&t, t.root, s);
    json_t *all = json_object_get(t.root, "providers");
    for (size_t i = 0; i < s->provider_count; i++)
        if (s->providers[i].settings != NULL)
            weir_tree_settings(&t, json_object_get(all, s->providers[i].name), s->providers[i].settings);
    return weir_tree_finish(&t, out, 2);
}

static void set_used(struct weir_tree *t, json_t *object, const char *used_key, uint64_t used, const char *limit_key,
                     uint64_t limit)
{
    weir_tree_health(t, object, weir_health_of_share(used, limit));
    weir_tree_u64(t, object, used_key, used);
    weir_tree_u64(t, object, limit_key, limit);
    weir_tree_set(t, object, "used_percent", json_real(limit > 0 ? 100 * (double)used / (double)limit : 0));
}

/* What a person or a probe wants of a pool at a glance. */
static void set_pool_short(struct weir_tree *t, json_t *object, const struct weir_guide_values *v)
{
    static const enum weir_guide_id shown[] = {
        WEIR_GUIDE_ACTIVE,      WEIR_GUIDE_IDLE,
        WEIR_GUIDE_TOTAL,       WEIR_GUIDE_PENDING,
        WEIR_GUIDE_AVAILABLE,   WEIR_GUIDE_MAX_CONNECTIONS,
        WEIR_GUIDE_UTILIZATION, WEIR_GUIDE_ERRORS,
        WEIR_GUIDE_TIMEOUTS,    WEIR_GUIDE_AVG_CONNECTION_MS,
        WEIR_GUIDE_ERROR_RATE,  WEIR_GUIDE_REUSE_RATE,
    };
    for (size_t i = 0; i < sizeof shown / sizeof shown[0]; i++) {
        const struct weir_guide_metric *m = &weir_guide_table[shown[i]];
        double x = v->at[shown[i]];
        weir_tree_set(t, object, m->name, m->whole ? json_integer((json_int_t)x) : json_real(x));
    }
}

static void set_health_endpoints(struct weir_tree *t, json_t *object, const struct weir_provider_snapshot *p)
{
    json_t *all = weir_tree_child(t, object, "endpoints");
    for (size_t i = 0; i < p->endpoint_count; i++) {
        const struct weir_endpoint_snapshot *e = &p->endpoints[i];
        json_t *o = weir_tree_child(t, all, e->id);
        weir_tree_health(t, o, weir_health_of_endpoint(e));
        weir_tree_u64(t, o, "addresses", e->addresses);
        weir_tree_u64(t, o, "addresses_failed", e->addresses_failed);
        weir_tree_set(t, o, "last_connect_failed", json_boolean(e->last_connect_failed));
        weir_tree_bool(t, o, "checks_failed", e->checks_failed);
        weir_tree_bool(t, o, "ejected", e->ejected);
        weir_tree_u64(t, o, "connections_active", e->pool.active);
        weir_tree_u64(t, o, "connections_idle", e->pool.idle);
    }
}

static void set_health_checks(struct weir_tree *t, const struct weir_snapshot *s)
{
    const uint64_t *g = s->gauges;
    json_t *checks = weir_tree_child(t, t->root, "checks");
    set_used(t, weir_tree_child(t, checks, "memory"), "resident_bytes", g[WEIR_NG_RESIDENT], "limit_bytes",
             g[WEIR_NG_MEMORY_LIMIT]);
    set_used(t, weir_tree_child(t, checks, "descriptors"), "open", g[WEIR_NG_FDS_OPEN], "limit", g[WEIR_NG_FDS_LIMIT]);

    struct weir_guide_values v;
    weir_guide_of_node(&v, s);
    json_t *connections = weir_tree_child(t, checks, "connections");
    weir_tree_health(t, connections, weir_health_of_pools(s));
    set_pool_short(t, connections, &v);

    unsigned open = 0, half_open = 0;
    weir_circuits_count(s, &open, &half_open);
    json_t *circuits = weir_tree_child(t, checks, "circuit_breaker");
    weir_tree_health(t, circuits, open + half_open > 0 ? WEIR_DEGRADED : WEIR_HEALTHY);
    weir_tree_u64(t, circuits, "open", open);
    weir_tree_u64(t, circuits, "half_open", half_open);

    json_t *loop = weir_tree_child(t, checks, "event_loop");
    weir_tree_ms(t, loop, "control_lag_ms", (double)g[WEIR_NG_LAG_CONTROL_US]);
    weir_tree_ms(t, loop, "worker_lag_ms", (double)g[WEIR_NG_LAG_WORKER_US]);

    json_t *providers = weir_tree_child(t, checks, "providers");
    weir_tree_health(t, providers, weir_health_of_providers(s));
    json_t *by_name = weir_tree_child(t, providers, "by_name");
    for (size_t i = 0; i < s->provider_count; i++) {
        const struct weir_provider_snapshot *p = &s->providers[i];
        json_t *o = weir_tree_child(t, by_name, p->name);
        weir_tree_health(t, o, weir_health_of_provider(p));
        set_health_endpoints(t, o, p);
    }
}

int weir_render_health(struct weir_textbuf *out, const struct weir_snapshot *s)
{
    struct weir_tree t;
    weir_tree_begin(&t);
    weir_tree_health(&t, t.root, weir_health_of_node(s));
    weir_tree_origin(&t, s);
    weir_tree_set(&t, t.root, "uptime_seconds", json_real((double)s->gauges[WEIR_NG_UPTIME_US] / 1e6));
    weir_tree_set(&t, t.root, "draining", json_boolean(s->gauges[WEIR_NG_DRAINING] != 0));
    set_health_checks(&t, s);
    return weir_tree_finish(&t, out, 2);
}

int weir_render_health_connections(struct weir_textbuf *out, const struct weir_snapshot *s)
{
    struct weir_tree t;
    struct weir_guide_values v;
    weir_tree_begin(&t);
    weir_tree_health(&t, t.root, weir_health_of_providers(s));
    weir_tree_origin(&t, s);
    weir_guide_of_node(&v, s);
    set_pool_short(&t, t.root, &v);
    json_t *all = weir_tree_child(&t, t.root, "providers");
    for (size_t i = 0; i < s->provider_count; i++) {
        const struct weir_provider_snapshot *p = &s->providers[i];
        json_t *o = weir_tree_child(&t, all, p->name);
        weir_guide_of_provider(&v, p);
        weir_tree_health(&t, o, weir_health_of_provider(p));
        set_pool_short(&t, o, &v);
        set_health_endpoints(&t, o, p);
    }
    return weir_tree_finish(&t, out, 2);
}
