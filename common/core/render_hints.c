#include "core/render_hints.h"

#include <math.h>

#include "core/render_tree.h"

/* Points of each chart. */
#define AHEAD_MAX 60u

/* Three digits behind the point are more than anybody sees. */
static double rounded(double v)
{
    return round(v * 1000) / 1000;
}

/* A whole number where it is one. */
static void add_seconds(struct weir_tree *t, json_t *o, const char *key, uint64_t ms)
{
    if (ms % 1000 == 0)
        weir_tree_u64(t, o, key, ms / 1000);
    else
        weir_tree_real(t, o, key, (double)ms / 1000);
}

static void add_measure(struct weir_tree *t, json_t *parent, const char *key, const struct weir_hints_measure *m,
                        uint64_t at_ms)
{
    json_t *o = weir_tree_child(t, parent, key);
    uint64_t peak_ms = m->ahead.peak_at_ms;
    weir_tree_real(t, o, "now", rounded(m->now));
    weir_tree_real(t, o, "peak", rounded(m->ahead.peak));
    weir_tree_real(t, o, "peak_high", rounded(m->ahead.peak_high));
    weir_tree_u64(t, o, "peak_in_s", peak_ms > at_ms ? (peak_ms - at_ms) / 1000 : 0);
    weir_tree_u64(t, o, "peak_at_unix_ms", peak_ms);
}

static void add_cluster(struct weir_tree *t, const struct weir_hints *h)
{
    json_t *o = weir_tree_child(t, t->root, "cluster");
    weir_tree_text(t, o, "action", weir_advisor_action_text(h->action));
    weir_tree_u64(t, o, "nodes", h->nodes);
    weir_tree_u64(t, o, "desired_nodes", h->desired_nodes);
    weir_tree_u64(t, o, "safe_concurrency_per_node", h->safe_concurrency);
    add_measure(t, o, "in_flight", &h->in_flight, h->at_ms);
    add_measure(t, o, "requests_per_s", &h->requests_s, h->at_ms);
    weir_tree_text(t, o, "reason", h->reason);
    weir_tree_u64(t, o, "since_unix_ms", h->since_ms);
}

static void add_provider(struct weir_tree *t, json_t *list, const struct weir_hints_provider *p, uint64_t at_ms)
{
    json_t *o = weir_tree_element(t, list);
    weir_tree_text(t, o, "provider", p->provider);
    add_measure(t, o, "in_flight", &p->in_flight, at_ms);
    add_measure(t, o, "requests_per_s", &p->requests_s, at_ms);
    weir_tree_u64(t, o, "pool_size", p->pool_size);
    weir_tree_u64(t, o, "pool_size_now", p->pool_size_now);
    json_t *timeouts = weir_tree_child(t, o, "timeouts");
    weir_tree_real(t, timeouts, "connect_s", p->timeouts.connect_s);
    weir_tree_real(t, timeouts, "read_s", p->timeouts.read_s);
    weir_tree_real(t, timeouts, "total_s", p->timeouts.total_s);
    weir_tree_text(t, o, "reason", p->reason);
}

static void add_row(struct weir_tree *t, json_t *list, uint64_t at_ms, const double *values, unsigned count)
{
    json_t *row = json_array();
    t->failed |= json_array_append_new(row, json_integer((json_int_t)(at_ms / 1000)));
    for (unsigned i = 0; i < count; i++)
        t->failed |= json_array_append_new(row, json_real(rounded(values[i])));
    t->failed |= json_array_append_new(list, row);
}

static void add_series(struct weir_tree *t, json_t *parent, const char *key, const struct weir_load_forecast *f,
                       enum weir_load_measure what)
{
    uint64_t at_ms[WEIR_LOAD_PAST_MAX];
    double values[WEIR_LOAD_PAST_MAX];
    json_t *o = weir_tree_child(t, parent, key), *past = weir_tree_array(t, o, "past"),
           *ahead = weir_tree_array(t, o, "ahead");
    unsigned horizon = weir_load_forecast_horizon(f), apart = (horizon + AHEAD_MAX - 1) / AHEAD_MAX;
    uint32_t count = weir_load_forecast_past(f, what, at_ms, values);
    add_seconds(t, o, "step_s", weir_load_forecast_step_ms(f));
    for (uint32_t i = 0; i < count; i++)
        add_row(t, past, at_ms[i], &values[i], 1);
    for (unsigned n = apart; count > 0 && n <= horizon; n += apart) {
        struct weir_forecast_point p = weir_load_forecast_at(f, what, n);
        const double both[] = {p.mid, p.high};
        add_row(t, ahead, weir_load_forecast_at_ms(f, n), both, 2);
    }
}

int weir_render_hints(struct weir_textbuf *out, const struct weir_hints *h, const struct weir_load_forecast *f,
                      const char *leader, uint64_t version)
{
    struct weir_tree t;
    weir_tree_begin(&t);
    weir_tree_u64(&t, t.root, "schema", WEIR_HINTS_SCHEMA);
    weir_tree_u64(&t, t.root, "version", version);
    weir_tree_text(&t, t.root, "leader", leader);
    weir_tree_u64(&t, t.root, "at_unix_ms", h->at_ms);
    weir_tree_u64(&t, t.root, "valid_until_unix_ms", h->valid_until_ms);
    add_seconds(&t, t.root, "window_s", h->window_ms);
    add_seconds(&t, t.root, "step_s", h->step_ms);
    add_cluster(&t, h);
    json_t *providers = weir_tree_array(&t, t.root, "providers");
    for (uint32_t i = 0; i < h->count; i++)
        add_provider(&t, providers, &h->providers[i], h->at_ms);
    json_t *series = weir_tree_child(&t, t.root, "series");
    add_series(&t, series, "in_flight", f, WEIR_LOAD_IN_FLIGHT);
    add_series(&t, series, "requests_per_s", f, WEIR_LOAD_REQUESTS_S);
    return weir_tree_finish(&t, out, 0);
}

bool weir_hints_parse_advice(struct weir_str hints, uint32_t *desired_nodes, uint64_t *since_ms)
{
    json_error_t error;
    json_int_t desired, since;
    json_t *root = json_loadb(hints.ptr, hints.len, JSON_REJECT_DUPLICATES, &error);
    bool told = root != NULL &&
                json_unpack(root, "{s{sIsI}}", "cluster", "desired_nodes", &desired, "since_unix_ms", &since) == 0;
    json_decref(root);
    if (!told || desired < 1 || desired > WEIR_CLUSTER_NODES_MAX || since < 0)
        return false;
    *desired_nodes = (uint32_t)desired;
    *since_ms = (uint64_t)since;
    return true;
}

/* -- analytics -- */

static void add_usage(struct weir_tree *t, json_t *o, const struct weir_load_usage *u)
{
    double reuse = weir_load_reuse_percent(u);
    weir_tree_real(t, o, "requests_per_s", rounded(weir_load_per_s(u, u->requests)));
    weir_tree_real(t, o, "in_flight", rounded(weir_load_per_s(u, u->in_flight)));
    weir_tree_real(t, o, "reuse_percent", reuse < 0 ? NAN : rounded(reuse));
    weir_tree_real(t, o, "connects_per_min", rounded(60 * weir_load_per_s(u, u->connects)));
}

static void add_pattern(struct weir_tree *t, json_t *list, const struct weir_load_pattern *p)
{
    json_t *o = weir_tree_element(t, list);
    struct weir_load_usage all = {0};
    for (unsigned i = 0; i < WEIR_LOAD_HOURS; i++) {
        all.seconds += p->hours[i].usage.seconds;
        all.leases += p->hours[i].usage.leases;
        all.reused += p->hours[i].usage.reused;
        all.closed += p->hours[i].usage.closed;
    }
    double reuse = weir_load_reuse_percent(&all);
    weir_tree_text(t, o, "provider", p->provider);
    weir_tree_real(t, o, "reuse_percent", reuse < 0 ? NAN : rounded(reuse));
    weir_tree_real(t, o, "churn_per_min", rounded(60 * weir_load_per_s(&all, all.closed)));
    json_t *hours = weir_tree_array(t, o, "by_hour");
    for (unsigned i = 0; i < WEIR_LOAD_HOURS; i++)
        if (p->hours[i].usage.seconds > 0) {
            json_t *hour = weir_tree_element(t, hours);
            weir_tree_u64(t, hour, "hour", i);
            add_usage(t, hour, &p->hours[i].usage);
        }
}

static void add_ms(struct weir_tree *t, json_t *o, const char *key, double ms)
{
    weir_tree_real(t, o, key, ms < 0 ? NAN : rounded(ms));
}

static void add_performance(struct weir_tree *t, json_t *list, const struct weir_load_pattern *p)
{
    const struct weir_load_usage *u = &p->recent;
    json_t *o = weir_tree_element(t, list);
    bool measured = weir_load_exchange_ms(u) >= 0;
    weir_tree_text(t, o, "provider", p->provider);
    weir_tree_real(t, o, "requests_per_s", rounded(weir_load_per_s(u, u->requests)));
    weir_tree_real(t, o, "error_rate", rounded(u->errors / fmax(u->requests, 1)));
    weir_tree_real(t, o, "refused_per_s", rounded(weir_load_per_s(u, u->refused)));
    add_ms(t, o, "first_byte_p50_ms", measured ? u->first_byte_p50_us / u->exchanges / 1000 : -1);
    add_ms(t, o, "first_byte_p99_ms", measured ? u->first_byte_p99_us / u->exchanges / 1000 : -1);
    add_ms(t, o, "exchange_ms", weir_load_exchange_ms(u));
    add_ms(t, o, "connect_ms", weir_load_connect_ms(u));
}

int weir_render_analytics(struct weir_textbuf *out, const struct weir_load_patterns *p, uint64_t store_ms,
                          bool patterns)
{
    struct weir_tree t;
    weir_tree_begin(&t);
    weir_tree_u64(&t, t.root, "schema", WEIR_HINTS_SCHEMA);
    weir_tree_u64(&t, t.root, "at_unix_ms", store_ms);
    json_t *by_hour = weir_tree_array(&t, t.root, "patterns");
    for (uint32_t i = 0; patterns && i < p->count; i++)
        add_pattern(&t, by_hour, &p->at[i]);
    json_t *recent = weir_tree_array(&t, t.root, "performance");
    for (uint32_t i = 0; i < p->count; i++)
        add_performance(&t, recent, &p->at[i]);
    return weir_tree_finish(&t, out, 0);
}
