#include "core/render_overview.h"

#include "core/cluster_snapshot.h"
#include "core/render_tree.h"

static void set_requests(struct weir_tree *t, const struct weir_snapshot *s)
{
    static const struct {
        const char *key;
        enum weir_node_counter id;
    } rows[] = {{"2xx", WEIR_NC_REQUESTS_2XX}, {"3xx", WEIR_NC_REQUESTS_3XX},   {"4xx", WEIR_NC_REQUESTS_4XX},
                {"5xx", WEIR_NC_REQUESTS_5XX}, {"none", WEIR_NC_REQUESTS_NONE}, {"active", WEIR_NC_REQUESTS_ACTIVE}};
    json_t *o = weir_tree_child(t, t->root, "requests");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        weir_tree_u64(t, o, rows[i].key, s->counters.at[rows[i].id]);
}

static void set_process(struct weir_tree *t, const struct weir_snapshot *s)
{
    json_t *o = weir_tree_child(t, t->root, "process");
    weir_tree_real(t, o, "uptime_s", (double)s->gauges[WEIR_NG_UPTIME_US] / 1e6);
    weir_tree_real(t, o, "cpu_s", (double)s->gauges[WEIR_NG_CPU_US] / 1e6);
    weir_tree_u64(t, o, "resident_bytes", s->gauges[WEIR_NG_RESIDENT]);
    weir_tree_u64(t, o, "workers", s->gauges[WEIR_NG_WORKERS]);
}

static void set_buckets(struct weir_tree *t, json_t *o, const char *key, const struct weir_hist *h)
{
    json_t *list = weir_tree_array(t, o, key);
    for (size_t i = 0; i <= WEIR_HIST_BOUNDS; i++)
        t->failed |= json_array_append_new(list, json_integer((json_int_t)h->bucket[i]));
}

static void set_bounds(struct weir_tree *t)
{
    json_t *list = weir_tree_array(t, t->root, "bounds_ms");
    for (size_t i = 0; i < WEIR_HIST_BOUNDS; i++)
        t->failed |= json_array_append_new(list, json_real((double)weir_hist_bound_us[i] / 1000));
}

static void set_endpoint(struct weir_tree *t, json_t *o, const struct weir_endpoint_snapshot *e)
{
    weir_tree_text(t, o, "id", e->id);
    weir_tree_health(t, o, weir_health_of_endpoint(e));
    weir_tree_u64(t, o, "active", e->pool.active);
    weir_tree_u64(t, o, "idle", e->pool.idle);
    weir_tree_u64(t, o, "in_flight", e->counters.at[WEIR_EC_IN_FLIGHT]);
}

static void set_counters(struct weir_tree *t, json_t *o, const struct weir_guide_values *v,
                         const struct weir_provider_snapshot *p)
{
    static const struct {
        const char *key;
        enum weir_guide_id id;
    } rows[] = {{"created", WEIR_GUIDE_CREATED},      {"closed", WEIR_GUIDE_CLOSED},
                {"errors", WEIR_GUIDE_ERRORS},        {"timeouts", WEIR_GUIDE_TIMEOUTS},
                {"tries", WEIR_GUIDE_TOTAL_REQUESTS}, {"failed", WEIR_GUIDE_ERROR_COUNT}};
    uint64_t fresh = 0, reused = 0;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        weir_tree_u64(t, o, rows[i].key, (uint64_t)v->at[rows[i].id]);
    for (size_t i = 0; i < p->endpoint_count; i++) {
        fresh += p->endpoints[i].counters.at[WEIR_EC_LEASES_NEW];
        reused += p->endpoints[i].counters.at[WEIR_EC_LEASES_REUSED];
    }
    weir_tree_u64(t, o, "reused", reused);
    weir_tree_u64(t, o, "leases", fresh + reused);
}

static void set_provider(struct weir_tree *t, json_t *o, const struct weir_provider_snapshot *p)
{
    struct weir_guide_values v;
    weir_guide_of_provider(&v, p);
    weir_tree_text(t, o, "name", p->name);
    weir_tree_health(t, o, weir_health_of_provider(p));
    weir_tree_u64(t, o, "active", p->pool.active);
    weir_tree_u64(t, o, "idle", p->pool.idle);
    weir_tree_u64(t, o, "opening", p->pool.opening);
    weir_tree_u64(t, o, "pending", p->pool.pending);
    weir_tree_u64(t, o, "max", p->pool.max_connections);
    weir_tree_real(t, o, "utilization_percent", v.at[WEIR_GUIDE_UTILIZATION]);
    set_counters(t, o, &v, p);
    set_buckets(t, o, "request", &p->counters.hist[WEIR_H_REQUEST]);
    set_buckets(t, o, "first_byte", &p->counters.hist[WEIR_H_FIRST_BYTE]);
    json_t *endpoints = weir_tree_array(t, o, "endpoints");
    for (size_t i = 0; i < p->endpoint_count; i++)
        set_endpoint(t, weir_tree_element(t, endpoints), &p->endpoints[i]);
}

int weir_render_overview_pools(struct weir_textbuf *out, const struct weir_snapshot *s)
{
    struct weir_tree t;
    weir_tree_begin(&t);
    weir_tree_text(&t, t.root, "node", s->cluster != NULL ? s->cluster->id : s->node);
    weir_tree_u64(&t, t.root, "timestamp_ms", s->unix_ms);
    set_requests(&t, s);
    set_process(&t, s);
    set_bounds(&t);
    json_t *providers = weir_tree_array(&t, t.root, "providers");
    for (size_t i = 0; i < s->provider_count; i++)
        set_provider(&t, weir_tree_element(&t, providers), &s->providers[i]);
    return weir_tree_finish(&t, out, 0);
}
