#include "node/upkeep.h"

#include <sys/random.h>

static void tick(struct weir_deadline *d, uint64_t now_ms)
{
    struct weir_upkeep *u = WEIR_CONTAINER(d, struct weir_upkeep, tick);
    for (unsigned i = 0; i < u->view->provider_count; i++)
        weir_health_tick(u->view->providers[i].rt, now_ms, u->log);
    weir_reactor_deadline(u->reactor, d, now_ms + WEIR_UPKEEP_TICK_MS);
}

void weir_upkeep_init(struct weir_upkeep *u, struct weir_reactor *reactor, struct weir_node *node,
                      struct weir_log_producer *log)
{
    *u = (struct weir_upkeep){.reactor = reactor, .node = node, .log = log};
    if (getrandom(&u->rng.state, sizeof u->rng.state, 0) != (ssize_t)sizeof u->rng.state)
        u->rng.state = weir_clock_us();
    weir_deadline_init(&u->tick, tick);
}

static void follow_provider(struct weir_upkeep *u, const struct weir_view_provider *p, uint64_t now_ms)
{
    struct weir_endpoint *endpoints[WEIR_POOL_ENDPOINTS_MAX];
    struct weir_outlier_opts opts = weir_outlier_opts_of(&p->config->http);
    for (unsigned i = 0; i < p->endpoint_count; i++)
        endpoints[i] = p->endpoints[i].rt;
    weir_health_follow(p->rt, &opts, endpoints, p->endpoint_count, now_ms, weir_rng_next(&u->rng), u->log);
}

void weir_upkeep_follow(struct weir_upkeep *u, const struct weir_view *view)
{
    weir_reactor_clock(u->reactor);
    uint64_t now_ms = u->reactor->now_ms;
    for (unsigned i = 0; u->view != NULL && i < u->view->provider_count; i++)
        if (atomic_load(&u->view->providers[i].rt->retired))
            weir_health_forget(u->view->providers[i].rt);
    u->view = view;
    for (unsigned i = 0; i < view->provider_count; i++)
        follow_provider(u, &view->providers[i], now_ms);
    if (u->tick.due_ms == WEIR_NEVER)
        weir_reactor_deadline(u->reactor, &u->tick, now_ms + WEIR_UPKEEP_TICK_MS);
}

void weir_upkeep_close(struct weir_upkeep *u)
{
    weir_deadline_drop(&u->reactor->wheel, &u->tick);
}
