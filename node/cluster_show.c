/* The cluster for pages and metrics: what this node knows of it, at one moment. */
#include <stdio.h>
#include <string.h>

#include "node/cluster_inner.h"

static uint64_t left_ms(uint64_t until_ms, uint64_t now_ms)
{
    return until_ms > now_ms ? until_ms - now_ms : 0;
}

static int show_circuits(struct weir_cluster *c, struct weir_cluster_snapshot *out, struct weir_arena *a)
{
    const struct weir_view *v = c->view;
    uint64_t now_ms = weir_clock_us() / 1000;
    size_t most = 0;
    for (unsigned i = 0; i < v->provider_count; i++)
        most += v->providers[i].endpoint_count;
    struct weir_cluster_circuit_snapshot *at = weir_arena_alloc(a, (most + 1) * sizeof *at);
    if (at == NULL)
        return WEIR_ENOMEM;
    for (unsigned i = 0; i < v->provider_count; i++) {
        for (unsigned k = 0; k < v->providers[i].endpoint_count; k++) {
            struct weir_circuit_sight s = weir_circuit_look(v->providers[i].endpoints[k].rt, now_ms);
            if (!s.enabled)
                continue;
            at[out->circuit_count++] = (struct weir_cluster_circuit_snapshot){
                .provider = v->providers[i].config->name,
                .endpoint = v->providers[i].endpoints[k].config->id,
                .shared = s.shared,
                .phase = s.phase,
                .reason = s.reason,
                .gen = s.gen,
                .since_ms = left_ms(now_ms, s.since_ms),
                .open_left_ms = s.phase == WEIR_BREAKER_OPEN ? left_ms(s.open_until_ms, now_ms) : 0,
                .cooldown_left_ms = left_ms(s.cooldown_until_ms, now_ms),
                .failures = s.failures};
        }
    }
    out->circuits = at;
    return 0;
}

static int show_limits(struct weir_cluster *c, struct weir_cluster_snapshot *out, struct weir_arena *a)
{
    uint64_t now_us = weir_clock_us();
    struct weir_cluster_limit_snapshot *at = weir_arena_alloc(a, (c->view->provider_count + 1) * sizeof *at);
    if (at == NULL)
        return WEIR_ENOMEM;
    for (unsigned i = 0; i < c->view->provider_count; i++) {
        const struct weir_view_provider *p = &c->view->providers[i];
        struct weir_cluster_limit l;
        if (!weir_limit_look(&p->rt->limit, &l))
            continue;
        struct weir_lease lease = l.lease;
        at[out->limit_count++] =
            (struct weir_cluster_limit_snapshot){.provider = p->config->name,
                                                 .mode = l.mode,
                                                 .strict = l.config.strict,
                                                 .fail_closed = l.config.fail_closed,
                                                 .limit = l.config.limit,
                                                 .burst = l.config.burst,
                                                 .share = weir_cluster_limit_share(&l),
                                                 .leased = weir_lease_tokens(&lease, now_us),
                                                 .told = l.store.at_us != 0,
                                                 .remaining = weir_cluster_limit_in_store(&l, now_us),
                                                 .waiting = weir_waitline_count(&p->rt->limit.line)};
    }
    out->limits = at;
    return 0;
}

/* The URL without what is secret in it. */
static const char *store_text(const char *redis_url, struct weir_arena *a)
{
    const char *scheme = strstr(redis_url, "://"), *at = strrchr(redis_url, '@'), *query = strchr(redis_url, '?');
    size_t begin = scheme != NULL ? (size_t)(scheme - redis_url) + 3 : 0;
    size_t end = query != NULL ? (size_t)(query - redis_url) : strlen(redis_url);
    size_t from = at != NULL && (size_t)(at - redis_url) < end ? (size_t)(at - redis_url) + 1 : begin;
    struct weir_str parts[2] = {{redis_url, begin}, {redis_url + from, end > from ? end - from : 0}};
    return weir_arena_join(a, parts, 2).ptr;
}

static void show_gauges(struct weir_cluster *c, const struct weir_cluster_snapshot *shown, uint64_t *gauges)
{
    static const enum weir_node_gauge rows[WEIR_COORD_OPS] = {
        [WEIR_COORD_BEAT] = WEIR_NG_STORE_BEAT,       [WEIR_COORD_LEAVE] = WEIR_NG_STORE_LEAVE,
        [WEIR_COORD_MEMBERS] = WEIR_NG_STORE_MEMBERS, [WEIR_COORD_MAP] = WEIR_NG_STORE_MAP,
        [WEIR_COORD_REPORT] = WEIR_NG_STORE_REPORT,   [WEIR_COORD_CIRCUITS] = WEIR_NG_STORE_CIRCUITS,
        [WEIR_COORD_TOKENS] = WEIR_NG_STORE_TOKENS,   [WEIR_COORD_CHECKED] = WEIR_NG_STORE_CHECKED,
        [WEIR_COORD_EVENT] = WEIR_NG_STORE_EVENT,     [WEIR_COORD_EVENTS] = WEIR_NG_STORE_EVENTS,
        [WEIR_COORD_APPEND] = WEIR_NG_STORE_APPEND,   [WEIR_COORD_ADVICE] = WEIR_NG_STORE_ADVICE,
    };
    const struct weir_cluster_sight *s = shown->sight;
    gauges[WEIR_NG_CLUSTER_MEMBER] = c->member;
    gauges[WEIR_NG_CLUSTER_CONTACT] = c->contact;
    gauges[WEIR_NG_CLUSTER_NODES_ALIVE] = s->alive_count;
    gauges[WEIR_NG_CLUSTER_NODES_SILENT] = s->peer_count - s->alive_count;
    gauges[WEIR_NG_CLUSTER_SHARDS] = s->shard_count;
    gauges[WEIR_NG_CLUSTER_OWNED] = s->owned_count;
    gauges[WEIR_NG_CLUSTER_EPOCH] = s->epoch;
    for (size_t i = 0; i < shown->limit_count; i++)
        gauges[WEIR_NG_CLUSTER_DEGRADED] += shown->limits[i].mode != WEIR_CLUSTER_LIMIT_LEASED;
    for (unsigned op = 0; op < WEIR_COORD_OPS; op++)
        if (rows[op] != 0)
            gauges[rows[op]] = shown->counts.requests[op];
    for (unsigned i = 0; i < WEIR_CLUSTER_OUTCOMES; i++)
        gauges[WEIR_NG_STORE_OK + i] = c->answers[i];
    gauges[WEIR_NG_STORE_US] = c->answer_us;
    gauges[WEIR_NG_STORE_US_MAX] = c->answer_us_max;
}

int weir_cluster_show(struct weir_cluster *c, struct weir_snapshot *s, struct weir_arena *a)
{
    static const char *const affinity[] = {[WEIR_CONFIG_STICKY] = "sticky",
                                           [WEIR_CONFIG_ROUND_ROBIN] = "round_robin",
                                           [WEIR_CONFIG_LEAST_LOADED] = "least_loaded"};
    const struct weir_config_distributed *d = &c->view->config->distributed_pool;
    struct weir_cluster_snapshot *out = weir_arena_alloc(a, sizeof *out);
    if (out == NULL)
        return WEIR_ENOMEM;
    *out = (struct weir_cluster_snapshot){.cluster = d->cluster,
                                          .id = c->id,
                                          .advertise = c->advertise,
                                          .store = store_text(d->redis_url, a),
                                          .affinity = affinity[d->connection_affinity],
                                          .pool_sharding = d->pool_sharding,
                                          .failover = d->failover_enabled,
                                          .load_moves = weir_config_load_moves(d),
                                          .shard_count = d->shard_count,
                                          .member = c->member,
                                          .refused = c->refused[0] != '\0' ? c->refused : NULL,
                                          .contact = c->contact,
                                          .away = c->away[0] != '\0' ? c->away : NULL,
                                          .contact_since_unix_ms = c->contact_since_unix_ms,
                                          .now_ms = c->reactor->now_ms,
                                          .sight = weir_cluster_agent_sight(c->agent),
                                          .lead = weir_cluster_agent_lead(c->agent),
                                          .map = weir_cluster_agent_map(c->agent),
                                          .counts = *weir_cluster_agent_counts(c->agent)};
    out->state = out->sight->peers[out->sight->self].state;
    if (out->store == NULL || show_circuits(c, out, a) != 0 || show_limits(c, out, a) != 0)
        return WEIR_ENOMEM;
    show_gauges(c, out, s->gauges);
    weir_cluster_show_advice(c, out, s->gauges);
    s->cluster = out;
    return 0;
}
