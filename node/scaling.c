#include "node/scaling.h"

#include "net/log.h"
#include "node/view.h"

static const char *const band_text[] = {
    [WEIR_LOAD_NORMAL] = "normal", [WEIR_LOAD_LOW] = "low", [WEIR_LOAD_HIGH] = "high"};

/* -- the node's part -- */

void weir_scaling_share(struct weir_provider *p, uint32_t owned, uint32_t shards)
{
    struct weir_scaling *s = &p->scaling;
    s->share_moved = s->share_moved || s->owned != owned || s->shards != shards;
    s->owned = owned;
    s->shards = shards;
}

static uint32_t part(const struct weir_scaling *s, uint32_t n)
{
    if (s->shards == 0)
        return n;
    uint64_t most = ((uint64_t)n * s->owned + s->shards - 1) / s->shards;
    return most > 0 ? (uint32_t)most : 1;
}

void weir_scaling_advise(struct weir_provider *p, const struct weir_scaling_hint *hint)
{
    struct weir_scaling *s = &p->scaling;
    s->hint_moved = s->hint_moved || s->hint.pool_size != hint->pool_size;
    s->hint = *hint;
}

/* Beside no other wish it is the configured limit that it must be above. */
static uint32_t hinted(const struct weir_scaling *s, const struct weir_config_pool *pool)
{
    bool alone = !pool->load_scaling && s->tuned == 0;
    return alone && s->hint.pool_size <= part(s, pool->max_connections) ? 0 : s->hint.pool_size;
}

static uint32_t configured(const struct weir_view_provider *v)
{
    return part(&v->rt->scaling, v->config->http.pool.max_connections);
}

bool weir_scaling_apply(struct weir_provider *p, const struct weir_config_provider *config)
{
    const struct weir_config_pool *pool = &config->http.pool;
    struct weir_scaling *s = &p->scaling;
    if (!config->http.auto_tune) {
        s->tuned = 0;
        atomic_store(&s->connect_ms, 0);
        atomic_store(&s->read_ms, 0);
        atomic_store(&s->total_ms, 0);
    }
    struct weir_tuning_wishes wishes = {.max_connections = part(s, pool->max_connections),
                                        .max_keepalive = part(s, pool->max_keepalive_connections),
                                        .cap = part(s, pool->max_connections_cap),
                                        .scaled = pool->load_scaling,
                                        .band = s->load.band,
                                        .tuned = s->tuned,
                                        .hinted = hinted(s, pool)};
    struct weir_tuning_limits l = weir_tuning_limits(&wishes);
    uint32_t idle_max = config->connection_reuse ? l.max_keepalive : 0;
    uint32_t total_before = atomic_exchange(&p->total_max, l.max_connections);
    uint32_t idle_before = atomic_exchange(&p->idle_max, idle_max);
    return total_before != l.max_connections || idle_before != idle_max;
}

/* -- load -- */

/* Leased, being opened and queued. The parts are read one after the other: what moves meanwhile must not make a number
 * wrap. */
static uint64_t wanted(const struct weir_provider *p)
{
    uint32_t total = atomic_load(&p->total), idle = atomic_load(&p->idle);
    return (total > idle ? total - idle : 0) + (uint64_t)atomic_load(&p->queued);
}

double weir_scaling_load(const struct weir_view_provider *v, uint64_t now_ms)
{
    return (double)weir_load_peak(&v->rt->scaling.load, now_ms) / configured(v);
}

static void follow_load(const struct weir_view_provider *v, uint64_t now_ms)
{
    struct weir_load *l = &v->rt->scaling.load;
    weir_load_note(l, now_ms, wanted(v->rt));
    weir_load_update(l, now_ms, configured(v));
}

/* -- measuring -- */

static void gather(const struct weir_view_provider *v, struct weir_tuning_sums *sums)
{
    struct weir_endpoint_counters endpoints = {0};
    struct weir_provider_counters provider = {0};
    for (unsigned w = 0; w < v->rt->worker_count; w++) {
        weir_provider_counters_sum(&provider, &v->rt->local[w].counters);
        for (unsigned i = 0; i < v->endpoint_count; i++)
            weir_endpoint_counters_sum(&endpoints, &v->endpoints[i].rt->local[w].counters);
    }
    *sums = (struct weir_tuning_sums){.requests = provider.at[WEIR_PC_REQUESTS],
                                      .exchanges = endpoints.at[WEIR_EC_EXCHANGES],
                                      .exchange_us = endpoints.at[WEIR_EC_EXCHANGE_US],
                                      .connects = weir_hist_count(&provider.hist[WEIR_H_CONNECT]),
                                      .connect_us = provider.hist[WEIR_H_CONNECT].sum_us};
}

static uint32_t ms_of(double seconds)
{
    return seconds < (double)UINT32_MAX / 1000 ? (uint32_t)(seconds * 1000) : UINT32_MAX;
}

/* Without a connect in the last minute the clocks stay as they are: the network has not been seen to change. */
static void tune(const struct weir_view_provider *v, uint64_t now_ms)
{
    struct weir_scaling *s = &v->rt->scaling;
    struct weir_tuning_sums sums;
    gather(v, &sums);
    weir_tuning_note(&s->history, now_ms, &sums);
    s->tuned = weir_tuning_measured_size(&s->history, s->tuned);
    double latency_s = weir_tuning_measured_latency(&s->history);
    if (latency_s < 0)
        return;
    struct weir_tuning_timeouts t = weir_tuning_timeouts(latency_s, (double)v->config->http.timeout.total_ms / 1000);
    atomic_store_explicit(&s->connect_ms, ms_of(t.connect_s), memory_order_relaxed);
    atomic_store_explicit(&s->read_ms, ms_of(t.read_s), memory_order_relaxed);
    atomic_store_explicit(&s->total_ms, ms_of(t.total_s), memory_order_relaxed);
}

/* -- both -- */

enum cause { BY_MEASURE, BY_LOAD, BY_SHARDS, BY_HINTS };

static void tell(const struct weir_view_provider *v, uint64_t now_ms, enum cause cause, struct weir_log_producer *log)
{
    static const char *const sentence[] = {[BY_MEASURE] = "the pool's limit follows what is measured",
                                           [BY_LOAD] = "the pool's limits follow its load",
                                           [BY_SHARDS] = "the pool's limits follow the shards that this node serves",
                                           [BY_HINTS] = "the pool's limit follows the coordinator's hints"};
    struct weir_log_line l;
    weir_log_begin(&l, log, WEIR_LOG_INFO,
                   cause == BY_LOAD     ? "pool_scaled"
                   : cause == BY_SHARDS ? "pool_sharded"
                   : cause == BY_HINTS  ? "pool_hinted"
                                        : "pool_tuned",
                   sentence[cause]);
    weir_log_text(&l, "provider", v->config->name);
    if (cause == BY_SHARDS) {
        weir_log_u64(&l, "owned", v->rt->scaling.owned);
        weir_log_u64(&l, "shards", v->rt->scaling.shards);
    }
    if (cause == BY_LOAD) {
        weir_log_text(&l, "band", band_text[v->rt->scaling.load.band]);
        weir_log_double(&l, "load", weir_scaling_load(v, now_ms));
    }
    weir_log_u64(&l, "max_connections", atomic_load(&v->rt->total_max));
    weir_log_u64(&l, "max_keepalive_connections", atomic_load(&v->rt->idle_max));
    weir_log_end(&l);
}

bool weir_scaling_tick(const struct weir_view_provider *v, uint64_t now_ms, struct weir_log_producer *log)
{
    struct weir_scaling *s = &v->rt->scaling;
    enum weir_load_band band = s->load.band;
    follow_load(v, now_ms);
    if (v->config->http.auto_tune && weir_tuning_due(&s->history, now_ms))
        tune(v, now_ms);
    bool moved = v->config->http.pool.load_scaling && s->load.band != band;
    bool changed = weir_scaling_apply(v->rt, v->config);
    if (moved || changed)
        tell(v, now_ms, moved ? BY_LOAD : s->share_moved ? BY_SHARDS : s->hint_moved ? BY_HINTS : BY_MEASURE, log);
    s->share_moved = s->hint_moved = false;
    return changed;
}

/* -- clocks -- */

static uint64_t in_force(const _Atomic uint32_t *tuned, uint64_t configured)
{
    uint32_t ms = atomic_load_explicit(tuned, memory_order_relaxed);
    return ms != 0 ? ms : configured;
}

uint64_t weir_scaling_connect_ms(const struct weir_view_provider *v)
{
    return in_force(&v->rt->scaling.connect_ms, v->config->http.timeout.connect_ms);
}

uint64_t weir_scaling_read_ms(const struct weir_view_provider *v)
{
    return in_force(&v->rt->scaling.read_ms, v->config->http.timeout.read_ms);
}

uint64_t weir_scaling_total_ms(const struct weir_view_provider *v)
{
    return in_force(&v->rt->scaling.total_ms, v->config->http.timeout.total_ms);
}
