/* The JSON answers. Building one fails as a whole: jansson's setters take a NULL value (a failed allocation) and say
 * so, and the sum of what they said is looked at once, when the text is made. */
#include "core/render.h"

#include <jansson.h>

#include "core/logline.h"

struct tree {
    json_t *root;
    int failed;
};

/* Takes value over, whatever comes of it. */
static void set(struct tree *t, json_t *object, const char *key, json_t *value)
{
    t->failed |= json_object_set_new(object, key, value);
}

/* A new object at key; NULL when that failed, and what is set in it then fails too. */
static json_t *child(struct tree *t, json_t *object, const char *key)
{
    json_t *o = json_object();
    int failed = json_object_set_new(object, key, o);
    t->failed |= failed;
    return failed ? NULL : o;
}

static void set_u64(struct tree *t, json_t *object, const char *key, uint64_t v)
{
    set(t, object, key, json_integer(v > INT64_MAX ? INT64_MAX : (json_int_t)v));
}

static void set_text(struct tree *t, json_t *object, const char *key, const char *text)
{
    set(t, object, key, json_string(text));
}

static void set_health(struct tree *t, json_t *object, enum weir_health h)
{
    set_text(t, object, "status", weir_health_text(h));
}

static void begin(struct tree *t)
{
    *t = (struct tree){.root = json_object()};
}

static int take(const char *p, size_t n, void *arg)
{
    struct weir_textbuf *out = arg;
    weir_textbuf_add(out, p, n);
    return out->failed ? -1 : 0;
}

static int finish(struct tree *t, struct weir_textbuf *out)
{
    /* Nine digits show a mean to the microsecond and hide what binary fractions add to it. */
    if (!t->failed && json_dump_callback(t->root, take, out, JSON_INDENT(2) | JSON_REAL_PRECISION(9)) != 0)
        t->failed = -1;
    json_decref(t->root);
    weir_textbuf_char(out, '\n');
    return t->failed || out->failed ? WEIR_ENOMEM : 0;
}

static void set_guide(struct tree *t, json_t *object, const struct weir_guide_values *v)
{
    for (size_t i = 0; i < WEIR_GUIDE_COUNT; i++) {
        double x = v->at[i];
        set(t, object, weir_guide_table[i].name,
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
static void set_table(struct tree *t, json_t *object, const struct weir_metric *table, size_t count,
                      const uint64_t *values, const char *prefix)
{
    size_t skip = strlen(prefix);
    bool process = strcmp(prefix, PROCESS_PREFIX) == 0;
    for (size_t i = 0; i < count; i++) {
        if (process != (strncmp(table[i].name, PROCESS_PREFIX, sizeof PROCESS_PREFIX - 1) == 0))
            continue;
        const char *name = table[i].name + skip;
        const char *label = strchr(table[i].labels, '"');
        if (label == NULL) {
            set(t, object, name, cell(&table[i], values[i]));
            continue;
        }
        json_t *family = json_object_get(object, name);
        if (family == NULL)
            family = child(t, object, name);
        char key[64];
        size_t len = strcspn(++label, "\"");
        len = len < sizeof key ? len : sizeof key - 1;
        memcpy(key, label, len);
        key[len] = '\0';
        set(t, family, key, cell(&table[i], values[i]));
    }
}

static void set_ms(struct tree *t, json_t *object, const char *key, double us)
{
    set(t, object, key, json_real(us / 1000));
}

static void set_hists(struct tree *t, json_t *object, const struct weir_provider_snapshot *p)
{
    static const char *const names[WEIR_H_COUNT] = {"request", "first_byte", "connect", "queue"};
    json_t *all = child(t, object, "durations");
    for (size_t i = 0; i < WEIR_H_COUNT; i++) {
        const struct weir_hist *h = &p->counters.hist[i];
        uint64_t count = weir_hist_count(h);
        json_t *o = child(t, all, names[i]);
        set_u64(t, o, "count", count);
        set_ms(t, o, "mean_ms", count > 0 ? (double)h->sum_us / (double)count : 0);
        set_ms(t, o, "p50_ms", (double)weir_hist_quantile_us(h, 0.5));
        set_ms(t, o, "p90_ms", (double)weir_hist_quantile_us(h, 0.9));
        set_ms(t, o, "p99_ms", (double)weir_hist_quantile_us(h, 0.99));
    }
}

static void set_endpoints(struct tree *t, json_t *object, const struct weir_provider_snapshot *p)
{
    json_t *all = child(t, object, "endpoints");
    for (size_t i = 0; i < p->endpoint_count; i++) {
        const struct weir_endpoint_snapshot *e = &p->endpoints[i];
        json_t *o = child(t, all, e->id);
        struct weir_guide_values v;
        weir_guide_of_endpoint(&v, p, e);
        set_health(t, o, weir_health_of_endpoint(e));
        set_guide(t, o, &v);
        set_u64(t, o, "connections_opening", e->pool.opening);
        set_table(t, child(t, o, "details"), weir_endpoint_counter_table, WEIR_EC_COUNT, e->counters.at, "weir_");
    }
}

/* The pools: all guide names over everything, then the same for each provider and each of its endpoints. */
static void set_pools(struct tree *t, json_t *object, const struct weir_snapshot *s)
{
    struct weir_guide_values v;
    weir_guide_of_node(&v, s);
    set_guide(t, object, &v);
    json_t *all = child(t, object, "providers");
    for (size_t i = 0; i < s->provider_count; i++) {
        const struct weir_provider_snapshot *p = &s->providers[i];
        json_t *o = child(t, all, p->name);
        weir_guide_of_provider(&v, p);
        set_health(t, o, weir_health_of_provider(p));
        set_guide(t, o, &v);
        set_u64(t, o, "connections_opening", p->pool.opening);
        set_table(t, child(t, o, "details"), weir_provider_counter_table, WEIR_PC_COUNT, p->counters.at, "weir_");
        set_hists(t, o, p);
        set_endpoints(t, o, p);
    }
}

static void set_origin(struct tree *t, const struct weir_snapshot *s)
{
    char ts[WEIR_RFC3339_MS_LEN];
    weir_rfc3339_ms(ts, s->unix_ms);
    set(t, t->root, "timestamp", json_stringn(ts, sizeof ts));
    set_text(t, t->root, "node_id", s->node);
    set_text(t, t->root, "version", s->version);
}

int weir_render_metrics_json(struct weir_textbuf *out, const struct weir_snapshot *s)
{
    struct tree t;
    begin(&t);
    set_origin(&t, s);
    json_t *node = child(&t, t.root, "node");
    set_table(&t, node, weir_node_counter_table, WEIR_NC_COUNT, s->counters.at, "weir_");
    set_table(&t, node, weir_node_gauge_table, WEIR_NG_COUNT, s->gauges, "weir_");
    json_t *process = child(&t, t.root, "process");
    set_table(&t, process, weir_node_gauge_table, WEIR_NG_COUNT, s->gauges, PROCESS_PREFIX);
    set_pools(&t, child(&t, t.root, "connection_pool"), s);
    return finish(&t, out);
}

int weir_render_pool_stats(struct weir_textbuf *out, const struct weir_snapshot *s)
{
    struct tree t;
    begin(&t);
    set_origin(&t, s);
    set_pools(&t, t.root, s);
    return finish(&t, out);
}

static void set_used(struct tree *t, json_t *object, const char *used_key, uint64_t used, const char *limit_key,
                     uint64_t limit)
{
    set_health(t, object, weir_health_of_share(used, limit));
    set_u64(t, object, used_key, used);
    set_u64(t, object, limit_key, limit);
    set(t, object, "used_percent", json_real(limit > 0 ? 100 * (double)used / (double)limit : 0));
}

/* What a person or a probe wants of a pool at a glance. */
static void set_pool_short(struct tree *t, json_t *object, const struct weir_guide_values *v)
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
        set(t, object, m->name, m->whole ? json_integer((json_int_t)x) : json_real(x));
    }
}

static void set_health_endpoints(struct tree *t, json_t *object, const struct weir_provider_snapshot *p)
{
    json_t *all = child(t, object, "endpoints");
    for (size_t i = 0; i < p->endpoint_count; i++) {
        const struct weir_endpoint_snapshot *e = &p->endpoints[i];
        json_t *o = child(t, all, e->id);
        set_health(t, o, weir_health_of_endpoint(e));
        set_u64(t, o, "addresses", e->addresses);
        set_u64(t, o, "addresses_failed", e->addresses_failed);
        set(t, o, "last_connect_failed", json_boolean(e->last_connect_failed));
        set(t, o, "checks_failed", json_boolean(e->checks_failed));
        set(t, o, "ejected", json_boolean(e->ejected));
        set_u64(t, o, "connections_active", e->pool.active);
        set_u64(t, o, "connections_idle", e->pool.idle);
    }
}

static void set_health_checks(struct tree *t, const struct weir_snapshot *s)
{
    const uint64_t *g = s->gauges;
    json_t *checks = child(t, t->root, "checks");
    set_used(t, child(t, checks, "memory"), "resident_bytes", g[WEIR_NG_RESIDENT], "limit_bytes",
             g[WEIR_NG_MEMORY_LIMIT]);
    set_used(t, child(t, checks, "descriptors"), "open", g[WEIR_NG_FDS_OPEN], "limit", g[WEIR_NG_FDS_LIMIT]);

    struct weir_guide_values v;
    weir_guide_of_node(&v, s);
    json_t *connections = child(t, checks, "connections");
    set_health(t, connections, weir_health_of_pools(s));
    set_pool_short(t, connections, &v);

    json_t *loop = child(t, checks, "event_loop");
    set_ms(t, loop, "control_lag_ms", (double)g[WEIR_NG_LAG_CONTROL_US]);
    set_ms(t, loop, "worker_lag_ms", (double)g[WEIR_NG_LAG_WORKER_US]);

    json_t *providers = child(t, checks, "providers");
    set_health(t, providers, weir_health_of_providers(s));
    json_t *by_name = child(t, providers, "by_name");
    for (size_t i = 0; i < s->provider_count; i++) {
        const struct weir_provider_snapshot *p = &s->providers[i];
        json_t *o = child(t, by_name, p->name);
        set_health(t, o, weir_health_of_provider(p));
        set_health_endpoints(t, o, p);
    }
}

int weir_render_health(struct weir_textbuf *out, const struct weir_snapshot *s)
{
    struct tree t;
    begin(&t);
    set_health(&t, t.root, weir_health_of_node(s));
    set_origin(&t, s);
    set(&t, t.root, "uptime_seconds", json_real((double)s->gauges[WEIR_NG_UPTIME_US] / 1e6));
    set(&t, t.root, "draining", json_boolean(s->gauges[WEIR_NG_DRAINING] != 0));
    set_health_checks(&t, s);
    return finish(&t, out);
}

int weir_render_health_connections(struct weir_textbuf *out, const struct weir_snapshot *s)
{
    struct tree t;
    struct weir_guide_values v;
    begin(&t);
    set_health(&t, t.root, weir_health_of_providers(s));
    set_origin(&t, s);
    weir_guide_of_node(&v, s);
    set_pool_short(&t, t.root, &v);
    json_t *all = child(&t, t.root, "providers");
    for (size_t i = 0; i < s->provider_count; i++) {
        const struct weir_provider_snapshot *p = &s->providers[i];
        json_t *o = child(&t, all, p->name);
        weir_guide_of_provider(&v, p);
        set_health(&t, o, weir_health_of_provider(p));
        set_pool_short(&t, o, &v);
        set_health_endpoints(&t, o, p);
    }
    return finish(&t, out);
}
