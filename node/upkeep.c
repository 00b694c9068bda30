#include "node/upkeep.h"

#include <stdio.h>
#include <sys/random.h>

#include "node/cleanup.h"

/* -- checks -- */

static void checked(void *arg, const struct weir_view_endpoint *e, enum weir_probe_result result, const char *why)
{
    struct weir_upkeep *u = arg;
    uint64_t now_ms = u->reactor->now_ms;
    if (result == WEIR_PROBE_NOT_MADE) {
        weir_health_check_drop(e->provider->rt, e->rt, now_ms);
        return;
    }
    struct weir_endpoint_check *last = &e->rt->last_check;
    last->unix_ms = weir_clock_unix_ms();
    last->passed = result == WEIR_PROBE_PASSED;
    snprintf(last->why, sizeof last->why, "%s", last->passed || why == NULL ? "" : why);
    weir_health_check_done(e->provider->rt, e->rt, last->passed ? NULL : why, now_ms, u->log);
    if (u->cluster != NULL)
        weir_cluster_checked(u->cluster, e->config->id, last->passed ? NULL : last->why);
}

static const struct weir_view_endpoint *endpoint_of(const struct weir_view_provider *p, const struct weir_endpoint *rt)
{
    const struct weir_view_endpoint *e = p->endpoints;
    while (e->rt != rt)
        e++;
    return e;
}

/* The others of a cluster hear how it went. */
static bool is_others_check(const struct weir_upkeep *u, const struct weir_endpoint *e)
{
    return u->cluster != NULL && !weir_cluster_checks(u->cluster, e->id);
}

static void begin_checks(struct weir_upkeep *u, uint64_t now_ms)
{
    unsigned count = u->view->provider_count;
    if (!atomic_load(&u->node->ready)) /* names may not be known yet, which is no endpoint's fault */
        return;
    for (unsigned i = 0; i < count; i++) {
        const struct weir_view_provider *p = &u->view->providers[(u->first + i) % count];
        struct weir_endpoint *due;
        while (weir_probes_have_room(&u->probes) && (due = weir_health_check_next(p->rt, now_ms)) != NULL) {
            if (is_others_check(u, due))
                weir_health_check_drop(p->rt, due, now_ms);
            else
                weir_probe_begin(&u->probes, u->view, endpoint_of(p, due));
        }
    }
    u->first = count > 0 ? (u->first + 1) % count : 0;
}

/* -- cleaning -- */

static uint64_t with_idle(const struct weir_view_provider *v, uint64_t slots)
{
    uint64_t found = 0;
    for (unsigned i = 0; i < v->endpoint_count && slots != 0; i++) {
        const struct weir_endpoint *e = v->endpoints[i].rt;
        for (unsigned w = 0; w < e->worker_count; w++)
            if (atomic_load_explicit(&e->local[w].idle_shown, memory_order_relaxed) > 0)
                found |= UINT64_C(1) << e->slot;
    }
    return found & slots;
}

/* A sweep each cleanup_interval; when the load is low, so that it disturbs nobody, from half of it on. Before that when
 * the limits have changed, and with force_cleanup when there are connections to endpoints that have just gone out of
 * health; those in use go when they come back, unless the endpoint is not passed over and so goes on to be used. */
static void clean(struct weir_upkeep *u, const struct weir_view_provider *v, bool limits_changed, uint64_t now_ms)
{
    struct weir_cleaning *c = &v->rt->cleaning;
    const struct weir_config_health *config = &v->config->http.health;
    uint64_t out = weir_health_out(v->rt), unhealthy = atomic_load(&v->rt->health.unhealthy);
    if (c->swept_ms == 0)
        c->swept_ms = now_ms;
    if (config->force_cleanup)
        c->sick |= with_idle(v, (out | unhealthy) & ~c->sick_before);
    c->sick_before = out | unhealthy;
    c->limits_changed |= limits_changed;
    uint64_t since_ms = now_ms - c->swept_ms;
    bool due = since_ms >= config->cleanup_interval_ms ||
               (since_ms >= config->cleanup_interval_ms / 2 && weir_scaling_load(v, now_ms) < WEIR_LOAD_NORMAL_FROM);
    uint64_t sick = due ? c->sick | out | unhealthy : c->sick;
    if ((!due && !c->limits_changed && sick == 0) || !weir_cleanup_begin(u->node, v->rt, sick, u->log))
        return;
    c->limits_changed = false;
    c->sick = 0;
    c->swept_ms = due ? now_ms : c->swept_ms;
}

/* -- circuits -- */

static void add_up_circuits(struct weir_upkeep *u, uint64_t now_ms)
{
    if (now_ms < u->circuits_ms)
        return;
    u->circuits_ms = now_ms + WEIR_UPKEEP_CIRCUITS_MS;
    for (unsigned i = 0; i < u->view->provider_count; i++)
        for (unsigned k = 0; k < u->view->providers[i].endpoint_count; k++)
            weir_circuit_tick(u->view->providers[i].endpoints[k].rt, now_ms);
}

/* -- all of it -- */

static void tick(struct weir_deadline *d, uint64_t now_ms)
{
    struct weir_upkeep *u = WEIR_CONTAINER(d, struct weir_upkeep, tick);
    for (unsigned i = 0; i < u->view->provider_count; i++) {
        const struct weir_view_provider *v = &u->view->providers[i];
        weir_health_tick(v->rt, now_ms, u->log);
        clean(u, v, weir_scaling_tick(v, now_ms, u->log), now_ms);
    }
    add_up_circuits(u, now_ms);
    begin_checks(u, now_ms);
    weir_reactor_deadline(u->reactor, d, now_ms + WEIR_UPKEEP_TICK_MS);
}

void weir_upkeep_init(struct weir_upkeep *u, struct weir_reactor *reactor, struct weir_node *node,
                      struct weir_log_producer *log)
{
    *u = (struct weir_upkeep){.reactor = reactor, .node = node, .log = log};
    if (getrandom(&u->rng.state, sizeof u->rng.state, 0) != (ssize_t)sizeof u->rng.state)
        u->rng.state = weir_clock_us();
    weir_deadline_init(&u->tick, tick);
    weir_probes_init(&u->probes, reactor, u, checked);
    u->probes.tls = &node->tls_up;
}

static void follow_provider(struct weir_upkeep *u, const struct weir_view_provider *p, uint64_t now_ms)
{
    struct weir_endpoint *endpoints[WEIR_POOL_ENDPOINTS_MAX];
    struct weir_outlier_opts opts = weir_outlier_opts_of(&p->config->http);
    if (u->cluster != NULL)
        opts.check_interval_ms = u->view->config->distributed_pool.health_check_interval_ms;
    for (unsigned i = 0; i < p->endpoint_count; i++)
        endpoints[i] = p->endpoints[i].rt;
    weir_health_follow(p->rt, &opts, endpoints, p->endpoint_count, now_ms, weir_rng_next(&u->rng), u->log);
}

void weir_upkeep_follow(struct weir_upkeep *u, struct weir_view *view)
{
    weir_reactor_clock(u->reactor);
    uint64_t now_ms = u->reactor->now_ms;
    for (unsigned i = 0; u->view != NULL && i < u->view->provider_count; i++)
        if (atomic_load(&u->view->providers[i].rt->retired))
            weir_health_forget(u->view->providers[i].rt);
    u->view = view;
    u->probes.crypto = u->node->crypto;
    for (unsigned i = 0; i < view->provider_count; i++)
        follow_provider(u, &view->providers[i], now_ms);
    if (u->tick.due_ms == WEIR_NEVER)
        weir_reactor_deadline(u->reactor, &u->tick, now_ms + WEIR_UPKEEP_TICK_MS);
}

void weir_upkeep_close(struct weir_upkeep *u)
{
    weir_probes_close(&u->probes);
    weir_deadline_drop(&u->reactor->wheel, &u->tick);
}
