#include "core/snapshot.h"

#include "core/metrics_read.h"

#define ROW(row, row_name, row_kind, row_scope, row_whole, row_help) \
    {.name = row_name,                                               \
     .help = row_help,                                               \
     .kind = WEIR_KIND_##row_kind,                                   \
     .scope = WEIR_SCOPE_##row_scope,                                \
     .whole = row_whole},
const struct weir_guide_metric weir_guide_table[WEIR_GUIDE_COUNT] = {WEIR_GUIDE_MAP(ROW)};
#undef ROW

static double ratio(uint64_t part, uint64_t whole)
{
    return whole == 0 ? 0 : (double)part / (double)whole;
}

/* The rows summed here stand together in the table, which the tests hold them to. */
void weir_guide_recount(struct weir_guide_values *out, const struct weir_endpoint_counters *c)
{
    uint64_t leases = c->at[WEIR_EC_LEASES_NEW] + c->at[WEIR_EC_LEASES_REUSED];
    uint64_t tries = c->at[WEIR_EC_TRIES];
    double *v = out->at;

    v[WEIR_GUIDE_TOTAL_REQUESTS] = (double)tries;
    v[WEIR_GUIDE_ERROR_COUNT] = (double)c->at[WEIR_EC_TRIES_FAILED];
    v[WEIR_GUIDE_AVG_RESPONSE_MS] = ratio(c->at[WEIR_EC_EXCHANGE_US], c->at[WEIR_EC_EXCHANGES]) / 1000;
    v[WEIR_GUIDE_CREATED] = (double)c->at[WEIR_EC_CREATED];
    v[WEIR_GUIDE_CLOSED] = (double)weir_endpoint_rows_sum(c, WEIR_EC_CLOSED_EXPIRED, WEIR_EC_EVICTIONS);
    v[WEIR_GUIDE_ERRORS] = (double)weir_endpoint_rows_sum(c, WEIR_EC_CONNECT_DNS, WEIR_EC_LOST_PROTOCOL);
    v[WEIR_GUIDE_TIMEOUTS] = (double)c->at[WEIR_EC_TIMEOUT_CONNECT];
    v[WEIR_GUIDE_AVG_CONNECTION_MS] = ratio(c->at[WEIR_EC_LEASE_WAIT_US], leases) / 1000;
    v[WEIR_GUIDE_ERROR_RATE] = ratio(c->at[WEIR_EC_TRIES_FAILED], tries > 0 ? tries : 1);
    v[WEIR_GUIDE_REUSE_RATE] = 100 * ratio(c->at[WEIR_EC_LEASES_REUSED], leases);
}

static void values_of(struct weir_guide_values *out, const struct weir_pool_gauges *g, uint64_t available,
                      const struct weir_endpoint_counters *c)
{
    double utilization = 100 * ratio(g->active, g->max_connections);
    double *v = out->at;

    v[WEIR_GUIDE_MAX_KEEPALIVE] = (double)g->max_keepalive;
    v[WEIR_GUIDE_MAX_CONNECTIONS] = (double)g->max_connections;
    v[WEIR_GUIDE_ACTIVE_CONNECTIONS] = v[WEIR_GUIDE_ACTIVE] = (double)g->active;
    v[WEIR_GUIDE_AVAILABLE] = (double)available;
    v[WEIR_GUIDE_PENDING_REQUESTS] = v[WEIR_GUIDE_PENDING] = (double)g->pending;
    v[WEIR_GUIDE_IDLE] = (double)g->idle;
    v[WEIR_GUIDE_TOTAL] = (double)(g->active + g->idle);
    v[WEIR_GUIDE_UTILIZATION] = v[WEIR_GUIDE_POOL_UTILIZATION] = utilization;
    weir_guide_recount(out, c);
}

/* Slots that may still be filled. A limit lowered by a reload can lie below what is open. */
static uint64_t free_slots(const struct weir_pool_gauges *g)
{
    uint64_t total = g->active + g->idle;
    return g->max_connections > total ? g->max_connections - total : 0;
}

static void counters_of_provider(struct weir_endpoint_counters *sum, const struct weir_provider_snapshot *p)
{
    for (size_t i = 0; i < p->endpoint_count; i++)
        weir_endpoint_counters_sum(sum, &p->endpoints[i].counters);
}

void weir_guide_of_endpoint(struct weir_guide_values *out, const struct weir_provider_snapshot *p,
                            const struct weir_endpoint_snapshot *e)
{
    values_of(out, &e->pool, e->pool.idle + free_slots(&p->pool), &e->counters);
}

void weir_guide_of_provider(struct weir_guide_values *out, const struct weir_provider_snapshot *p)
{
    struct weir_endpoint_counters sum = {0};
    counters_of_provider(&sum, p);
    values_of(out, &p->pool, p->pool.idle + free_slots(&p->pool), &sum);
}

void weir_guide_of_node(struct weir_guide_values *out, const struct weir_snapshot *s)
{
    struct weir_endpoint_counters sum = {0};
    struct weir_pool_gauges g = {0};
    uint64_t available = 0;
    for (size_t i = 0; i < s->provider_count; i++) {
        const struct weir_provider_snapshot *p = &s->providers[i];
        counters_of_provider(&sum, p);
        g.active += p->pool.active;
        g.idle += p->pool.idle;
        g.pending += p->pool.pending;
        g.max_connections += p->pool.max_connections;
        g.max_keepalive += p->pool.max_keepalive;
        available += p->pool.idle + free_slots(&p->pool);
    }
    values_of(out, &g, available, &sum);
}

void weir_circuits_count(const struct weir_snapshot *s, unsigned *open, unsigned *half_open)
{
    *open = *half_open = 0;
    for (size_t i = 0; i < s->provider_count; i++)
        for (size_t k = 0; k < s->providers[i].endpoint_count; k++) {
            enum weir_breaker_phase phase = s->providers[i].endpoints[k].circuit.phase;
            *open += phase == WEIR_BREAKER_OPEN;
            *half_open += phase == WEIR_BREAKER_HALF_OPEN;
        }
}

const char *weir_health_text(enum weir_health h)
{
    static const char *const text[] = {"unhealthy", "degraded", "healthy"};
    return text[h];
}

enum weir_health weir_health_of_endpoint(const struct weir_endpoint_snapshot *e)
{
    if (e->addresses_failed >= e->addresses || e->last_connect_failed || e->checks_failed || e->ejected ||
        e->circuit.phase == WEIR_BREAKER_OPEN)
        return WEIR_UNHEALTHY;
    bool recovering = e->circuit.phase == WEIR_BREAKER_HALF_OPEN || e->circuit.cooldown_left_ms > 0;
    return e->addresses_failed > 0 || recovering ? WEIR_DEGRADED : WEIR_HEALTHY;
}

static bool exhausted(const struct weir_provider_snapshot *p)
{
    return p->pool.pending > WEIR_PENDING_EXHAUSTED;
}

enum weir_health weir_health_of_pools(const struct weir_snapshot *s)
{
    for (size_t i = 0; i < s->provider_count; i++)
        if (exhausted(&s->providers[i]))
            return WEIR_DEGRADED;
    return WEIR_HEALTHY;
}

enum weir_health weir_health_of_provider(const struct weir_provider_snapshot *p)
{
    size_t healthy = 0, usable = 0;
    for (size_t i = 0; i < p->endpoint_count; i++) {
        enum weir_health h = weir_health_of_endpoint(&p->endpoints[i]);
        usable += h != WEIR_UNHEALTHY;
        healthy += h == WEIR_HEALTHY;
    }
    if (usable == 0)
        return WEIR_UNHEALTHY;
    return healthy < p->endpoint_count || exhausted(p) ? WEIR_DEGRADED : WEIR_HEALTHY;
}

enum weir_health weir_health_of_providers(const struct weir_snapshot *s)
{
    size_t healthy = 0, usable = 0;
    for (size_t i = 0; i < s->provider_count; i++) {
        enum weir_health h = weir_health_of_provider(&s->providers[i]);
        usable += h != WEIR_UNHEALTHY;
        healthy += h == WEIR_HEALTHY;
    }
    if (s->provider_count > 0 && usable == 0)
        return WEIR_UNHEALTHY;
    return s->provider_count == 0 || healthy < s->provider_count ? WEIR_DEGRADED : WEIR_HEALTHY;
}

/* A limit that is not known is never short. */
enum weir_health weir_health_of_share(uint64_t used, uint64_t limit)
{
    return limit > 0 && ratio(used, limit) > WEIR_RESOURCE_SHARE_HIGH ? WEIR_DEGRADED : WEIR_HEALTHY;
}

enum weir_health weir_health_of_node(const struct weir_snapshot *s)
{
    enum weir_health worst = weir_health_of_providers(s);
    bool short_of_room =
        weir_health_of_share(s->gauges[WEIR_NG_RESIDENT], s->gauges[WEIR_NG_MEMORY_LIMIT]) != WEIR_HEALTHY ||
        weir_health_of_share(s->gauges[WEIR_NG_FDS_OPEN], s->gauges[WEIR_NG_FDS_LIMIT]) != WEIR_HEALTHY;
    if (worst == WEIR_HEALTHY && (short_of_room || s->gauges[WEIR_NG_DRAINING] != 0))
        worst = WEIR_DEGRADED;
    return worst;
}
