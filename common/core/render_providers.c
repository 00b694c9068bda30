/* The health of providers, and circuits. */
#include "core/render.h"
#include "core/render_tree.h"

static void set_circuit(struct weir_tree *t, json_t *o, const struct weir_endpoint_snapshot *e)
{
    const struct weir_circuit_snapshot *c = &e->circuit;
    weir_tree_text(t, o, "state", weir_breaker_phase_text(c->phase));
    weir_tree_bool(t, o, "enabled", c->enabled);
    weir_tree_real(t, o, "state_seconds", (double)c->since_ms / 1000);
    weir_tree_u64(t, o, "failures_in_a_row", c->failures);
    weir_tree_u64(t, o, "opened_total", e->counters.at[WEIR_EC_CIRCUIT_OPENED]);
    weir_tree_real(t, o, "retry_in_seconds", (double)c->open_left_ms / 1000);
    weir_tree_real(t, o, "cooldown_seconds", (double)c->cooldown_left_ms / 1000);
    weir_tree_u64(t, o, "probes", c->probes);
}

int weir_render_circuits(struct weir_textbuf *out, const struct weir_snapshot *s)
{
    struct weir_tree t;
    unsigned open, half_open, cooling = 0;
    weir_circuits_count(s, &open, &half_open);
    for (size_t i = 0; i < s->provider_count; i++)
        for (size_t k = 0; k < s->providers[i].endpoint_count; k++)
            cooling += s->providers[i].endpoints[k].circuit.cooldown_left_ms > 0;
    weir_tree_begin(&t);
    weir_tree_text(&t, t.root, "status",
                   weir_breaker_phase_text(open > 0        ? WEIR_BREAKER_OPEN
                                           : half_open > 0 ? WEIR_BREAKER_HALF_OPEN
                                                           : WEIR_BREAKER_CLOSED));
    weir_tree_origin(&t, s);
    weir_tree_u64(&t, t.root, "open", open);
    weir_tree_u64(&t, t.root, "half_open", half_open);
    weir_tree_u64(&t, t.root, "cooling", cooling);
    json_t *providers = weir_tree_child(&t, t.root, "providers");
    for (size_t i = 0; i < s->provider_count; i++) {
        const struct weir_provider_snapshot *p = &s->providers[i];
        json_t *endpoints = weir_tree_child(&t, weir_tree_child(&t, providers, p->name), "endpoints");
        for (size_t k = 0; k < p->endpoint_count; k++)
            set_circuit(&t, weir_tree_child(&t, endpoints, p->endpoints[k].id), &p->endpoints[k]);
    }
    return weir_tree_finish(&t, out, 2);
}

static void set_first_byte(struct weir_tree *t, json_t *o, const char *key, const struct weir_hist *h)
{
    if (weir_hist_count(h) == 0)
        weir_tree_set(t, o, key, json_null());
    else
        weir_tree_ms(t, o, key, (double)weir_hist_quantile_us(h, 0.5));
}

static void set_endpoint(struct weir_tree *t, json_t *o, const struct weir_endpoint_snapshot *e)
{
    weir_tree_health(t, o, weir_health_of_endpoint(e));
    weir_tree_bool(t, o, "ejected", e->ejected);
    weir_tree_bool(t, o, "checks_failed", e->checks_failed);
    weir_tree_bool(t, o, "last_connect_failed", e->last_connect_failed);
    if (e->check.unix_ms == 0) {
        weir_tree_set(t, o, "last_check", json_null());
    } else {
        json_t *check = weir_tree_child(t, o, "last_check");
        weir_tree_time(t, check, "at", e->check.unix_ms);
        weir_tree_bool(t, check, "passed", e->check.passed);
        weir_tree_text(t, check, "error", e->check.why);
    }
    if (e->failure.unix_ms == 0) {
        weir_tree_set(t, o, "last_failure", json_null());
    } else {
        json_t *failure = weir_tree_child(t, o, "last_failure");
        weir_tree_time(t, failure, "at", e->failure.unix_ms);
        weir_tree_text(t, failure, "error", e->failure.why);
    }
    json_t *circuit = weir_tree_child(t, o, "circuit");
    weir_tree_text(t, circuit, "state", weir_breaker_phase_text(e->circuit.phase));
    weir_tree_real(t, circuit, "retry_in_seconds", (double)e->circuit.open_left_ms / 1000);
    weir_tree_u64(t, o, "addresses", e->addresses);
    weir_tree_u64(t, o, "addresses_failed", e->addresses_failed);
    weir_tree_u64(t, o, "connections_active", e->pool.active);
    weir_tree_u64(t, o, "connections_idle", e->pool.idle);
    weir_tree_u64(t, o, "requests_total", e->counters.at[WEIR_EC_TRIES]);
    weir_tree_u64(t, o, "errors_total", e->counters.at[WEIR_EC_TRIES_FAILED]);
    set_first_byte(t, o, "first_byte_p50_ms", &e->counters.latency[WEIR_LATENCY_FIRST_BYTE]);
}

int weir_render_health_providers(struct weir_textbuf *out, const struct weir_snapshot *s)
{
    struct weir_tree t;
    weir_tree_begin(&t);
    weir_tree_health(&t, t.root, weir_health_of_providers(s));
    weir_tree_origin(&t, s);
    json_t *providers = weir_tree_child(&t, t.root, "providers");
    for (size_t i = 0; i < s->provider_count; i++) {
        const struct weir_provider_snapshot *p = &s->providers[i];
        const struct weir_hist *h = p->counters.hist;
        struct weir_guide_values v;
        json_t *o = weir_tree_child(&t, providers, p->name);
        weir_guide_of_provider(&v, p);
        weir_tree_health(&t, o, weir_health_of_provider(p));
        weir_tree_real(&t, o, "avg_response_time_ms", v.at[WEIR_GUIDE_AVG_RESPONSE_MS]);
        set_first_byte(&t, o, "response_time_p50_ms", &h[WEIR_H_REQUEST]);
        set_first_byte(&t, o, "first_byte_p50_ms", &h[WEIR_H_FIRST_BYTE]);
        weir_tree_real(&t, o, "error_rate", v.at[WEIR_GUIDE_ERROR_RATE]);
        weir_tree_u64(&t, o, "pending_requests", p->pool.pending);
        json_t *endpoints = weir_tree_child(&t, o, "endpoints");
        for (size_t k = 0; k < p->endpoint_count; k++)
            set_endpoint(&t, weir_tree_child(&t, endpoints, p->endpoints[k].id), &p->endpoints[k]);
    }
    return weir_tree_finish(&t, out, 2);
}
