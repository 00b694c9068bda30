#include "node/take_snapshot.h"

#include <stdalign.h>
#include <string.h>

#include "node/certificates.h"
#include "node/memory_limit.h"
#include "node/proc_stats.h"

/* Counter sets are aligned to cache lines, which an arena does not promise. */
static void *alloc_aligned(struct weir_arena *a, size_t n)
{
    char *p = weir_arena_alloc(a, n + WEIR_CACHE_LINE);
    if (p == NULL)
        return NULL;
    p += -(uintptr_t)p & (WEIR_CACHE_LINE - 1);
    return memset(p, 0, n);
}

static uint64_t left_ms(uint64_t until_ms, uint64_t now_ms)
{
    return until_ms > now_ms ? until_ms - now_ms : 0;
}

static void circuit(struct weir_endpoint_snapshot *out, struct weir_endpoint *e)
{
    static const uint64_t shown[] = {[WEIR_BREAKER_CLOSED] = 0, [WEIR_BREAKER_HALF_OPEN] = 1, [WEIR_BREAKER_OPEN] = 2};
    uint64_t now_ms = weir_clock_us() / 1000;
    struct weir_circuit_sight sight = weir_circuit_look(e, now_ms);
    out->circuit = (struct weir_circuit_snapshot){
        .enabled = sight.enabled,
        .phase = sight.phase,
        .reason = sight.reason,
        .since_ms = left_ms(now_ms, sight.since_ms),
        .open_left_ms = sight.phase == WEIR_BREAKER_OPEN ? left_ms(sight.open_until_ms, now_ms) : 0,
        .cooldown_left_ms = left_ms(sight.cooldown_until_ms, now_ms),
        .failures = sight.failures,
        .probes = sight.probes,
    };
    if (atomic_load(&e->circuit.monitored))
        out->counters.at[WEIR_EC_CIRCUIT_STATE] = shown[sight.phase];
}

static void endpoint(struct weir_endpoint_snapshot *out, const struct weir_view_endpoint *e,
                     const struct weir_pool_gauges *limits)
{
    uint64_t idle = 0;
    out->id = e->config->id;
    out->addresses = e->address_count;
    for (unsigned i = 0; i < e->address_count; i++)
        out->addresses_failed += weir_address_out(e->records[i], weir_clock_us() / 1000);
    out->last_connect_failed = atomic_load(&e->rt->last_connect_failed);
    weir_endpoint_counters_sum(&out->counters, &e->rt->control);
    for (unsigned w = 0; w < e->rt->worker_count; w++) {
        weir_endpoint_counters_sum(&out->counters, &e->rt->local[w].counters);
        idle += atomic_load(&e->rt->local[w].idle_shown);
    }
    for (unsigned i = 0; i < WEIR_OUTLIER_REASONS; i++)
        out->counters.at[WEIR_EC_EJECTIONS_CHECKS + i] = atomic_load(&e->rt->ejections[i]);
    for (unsigned i = 0; i < 2; i++)
        out->counters.at[WEIR_EC_CHECKS_PASSED + i] = atomic_load(&e->rt->checks[i]);
    out->ejected = (weir_health_out(e->rt->provider) >> e->rt->slot & 1) != 0;
    out->checks_failed = (atomic_load(&e->rt->provider->health.unhealthy) >> e->rt->slot & 1) != 0;
    circuit(out, e->rt);
    weir_circuit_last_failure(e->rt, &out->failure);
    out->counters.at[WEIR_EC_IN_FLIGHT] = atomic_load(&e->rt->in_flight);
    out->counters.at[WEIR_EC_CONCURRENCY_LIMIT] = atomic_load(&e->rt->concurrency.limit);
    const struct weir_endpoint_check *last = &e->rt->last_check;
    out->check = (struct weir_check_snapshot){last->unix_ms, last->passed, last->why[0] != '\0' ? last->why : NULL};
    uint64_t closed = out->counters.at[WEIR_EC_EVICTIONS];
    for (unsigned i = WEIR_EC_CLOSED_EXPIRED; i <= WEIR_EC_CLOSED_CONFIG; i++)
        closed += out->counters.at[i];
    uint64_t open = out->counters.at[WEIR_EC_CREATED] - closed;
    /* The parts are read one after the other: what moves meanwhile must not make a number wrap. */
    open = (int64_t)open < 0 ? 0 : open;
    out->pool = *limits;
    out->pool.idle = idle < open ? idle : open;
    out->pool.active = open - out->pool.idle;
    out->pool.opening = out->pool.pending = 0;
}

static void limit_gauges(uint64_t *gauges, struct weir_limit *l)
{
    struct weir_limiter_values v = weir_limit_show(l, weir_clock_us());
    bool on = v.limit > 0;
    gauges[WEIR_PG_RATE_LIMIT] = on ? v.limit : WEIR_GAUGE_NONE;
    gauges[WEIR_PG_RATE_TOKENS] = on ? v.remaining : WEIR_GAUGE_NONE;
    gauges[WEIR_PG_RATE_WAITING] = on ? weir_waitline_count(&l->line) : WEIR_GAUGE_NONE;
}

static void hint_gauges(uint64_t *gauges, const struct weir_scaling_hint *h)
{
    gauges[WEIR_PG_HINT_POOL] = h->there ? h->pool_size : WEIR_GAUGE_NONE;
    gauges[WEIR_PG_HINT_PEAK] = h->there ? (uint64_t)h->peak : WEIR_GAUGE_NONE;
    gauges[WEIR_PG_HINT_PEAK_HIGH] = h->there ? (uint64_t)h->peak_high : WEIR_GAUGE_NONE;
    gauges[WEIR_PG_HINT_PEAK_IN_US] = h->there ? 1000 * h->peak_in_ms : WEIR_GAUGE_NONE;
}

static int provider(struct weir_provider_snapshot *out, const struct weir_view_provider *p, struct weir_arena *a)
{
    struct weir_endpoint_snapshot *endpoints = alloc_aligned(a, p->endpoint_count * sizeof *endpoints);
    if (endpoints == NULL)
        return WEIR_ENOMEM;
    out->name = p->config->name;
    out->pool.max_connections = atomic_load(&p->rt->total_max);
    out->pool.max_keepalive = atomic_load(&p->rt->idle_max);
    for (unsigned i = 0; i < p->endpoint_count; i++) {
        endpoint(&endpoints[i], &p->endpoints[i], &out->pool);
        out->pool.active += endpoints[i].pool.active;
        out->pool.idle += endpoints[i].pool.idle;
    }
    for (unsigned i = 0; i < p->endpoint_count; i++)
        endpoints[i].pool.max_connections = out->pool.max_connections;
    out->pool.opening = atomic_load(&p->rt->opening);
    out->pool.pending = atomic_load(&p->rt->queued);
    for (unsigned w = 0; w < p->rt->worker_count; w++)
        weir_provider_counters_sum(&out->counters, &p->rt->local[w].counters);
    out->gauges[WEIR_PG_CLOCK_CONNECT_US] = 1000 * weir_scaling_connect_ms(p);
    out->gauges[WEIR_PG_CLOCK_READ_US] = 1000 * weir_scaling_read_ms(p);
    out->gauges[WEIR_PG_CLOCK_TOTAL_US] = 1000 * weir_scaling_total_ms(p);
    out->gauges[WEIR_PG_ENDPOINTS_EJECTED] = (uint64_t)__builtin_popcountll(weir_health_out(p->rt));
    limit_gauges(out->gauges, &p->rt->limit);
    hint_gauges(out->gauges, &p->rt->scaling.hint);
    struct weir_retry_budget_sight budget = weir_retry_budget_look(p->rt->retry_budget, weir_clock_us() / 1000);
    out->gauges[WEIR_PG_BUDGET_USED] = budget.retries;
    out->gauges[WEIR_PG_BUDGET_ALLOWED] = budget.allowed;
    out->tries_before = p->rt->tries_monitored;
    out->tries_failed_before = p->rt->tries_failed_monitored;
    out->endpoints = endpoints;
    out->endpoint_count = p->endpoint_count;
    out->settings = &p->config->http;
    return 0;
}

_Static_assert(WEIR_NG_TLS_UP_MEMORY - WEIR_NG_TLS_UP_RESUMED == WEIR_TLS_FAIL_COUNT - 1, "a row for each failure");
_Static_assert(WEIR_NG_TLS_DOWN_MEMORY - WEIR_NG_TLS_DOWN_RESUMED == WEIR_TLS_FAIL_COUNT - 1, "a row for each failure");

/* rows: those of WEIR_TLS_ROWS. */
static void handshakes(uint64_t *rows, const struct weir_tls_stats *t)
{
    rows[0] = atomic_load_explicit(&t->full, memory_order_relaxed);
    rows[1] = atomic_load_explicit(&t->resumed, memory_order_relaxed);
    for (unsigned i = WEIR_TLS_FAIL_NONE + 1; i < WEIR_TLS_FAIL_COUNT; i++)
        rows[1 + i] = atomic_load_explicit(&t->failed[i], memory_order_relaxed);
}

static uint64_t unverified(const struct weir_view *v)
{
    uint64_t count = 0;
    for (unsigned i = 0; i < v->provider_count; i++)
        for (unsigned k = 0; k < v->providers[i].endpoint_count; k++)
            count += v->providers[i].endpoints[k].config->tls && !v->providers[i].config->http.tls.verify;
    return count;
}

int weir_take_snapshot(struct weir_snapshot *s, struct weir_arena *a, struct weir_node *node,
                       const struct weir_view *view, uint64_t control_lag_us, bool ends)
{
    struct weir_proc_stats stats;
    memset(s, 0, sizeof *s);
    s->node = node->name;
    s->version = WEIR_VERSION;
    s->unix_ms = weir_clock_unix_ms();
    weir_proc_stats_read(&stats);
    stats.memory_limit_bytes = weir_memory_lesser(stats.memory_limit_bytes, view->config->server.memory_limit_bytes);
    weir_proc_stats_to_gauges(s->gauges, &stats);
    weir_node_counters_sum(&s->counters, &node->control_counters);
    for (unsigned w = 0; w < node->worker_count; w++) {
        _Atomic uint64_t *shown = &node->workers[w].lag_us_shown;
        uint64_t lag = ends ? atomic_exchange(shown, 0) : atomic_load(shown);
        weir_node_counters_sum(&s->counters, node->workers[w].counters);
        if (lag > s->gauges[WEIR_NG_LAG_WORKER_US])
            s->gauges[WEIR_NG_LAG_WORKER_US] = lag;
    }
    s->gauges[WEIR_NG_LAG_CONTROL_US] = control_lag_us;
    s->gauges[WEIR_NG_UPTIME_US] = weir_clock_us() - node->started_us;
    s->gauges[WEIR_NG_VIEW_GENERATION] = view->generation;
    s->gauges[WEIR_NG_DRAINING] = atomic_load(&node->draining) || atomic_load(&node->resting);
    s->gauges[WEIR_NG_WORKERS] = node->worker_count;
    handshakes(&s->gauges[WEIR_NG_TLS_UP_FULL], &node->tls_up);
    handshakes(&s->gauges[WEIR_NG_TLS_DOWN_FULL], &node->tls_down);
    s->gauges[WEIR_NG_TLS_UNVERIFIED] = unverified(view);
    s->gauges[WEIR_NG_TLS_WAITING] = node->crypto != NULL ? weir_crypto_pool_waiting(node->crypto) : 0;
    s->gauges[WEIR_NG_LOG_DROPPED] = weir_log_dropped(node->log);
    struct weir_provider_snapshot *providers = alloc_aligned(a, (view->provider_count + 1) * sizeof *providers);
    if (providers == NULL)
        return WEIR_ENOMEM;
    for (unsigned i = 0; i < view->provider_count; i++)
        if (provider(&providers[i], &view->providers[i], a) != 0)
            return WEIR_ENOMEM;
    s->providers = providers;
    s->provider_count = view->provider_count;
    return weir_certificates_show(s, a, view);
}
