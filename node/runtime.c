#include "node/runtime.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "net/reactor.h"

void *weir_alloc_lines(size_t n)
{
    size_t whole = (n + WEIR_CACHE_LINE - 1) / WEIR_CACHE_LINE * WEIR_CACHE_LINE;
    void *p = aligned_alloc(WEIR_CACHE_LINE, whole);
    if (p != NULL)
        memset(p, 0, whole);
    return p;
}

struct weir_provider *weir_provider_new(const char *name, unsigned worker_count)
{
    assert(worker_count > 0 && worker_count <= WEIR_WORKERS_MAX);
    struct weir_provider *p = weir_alloc_lines(sizeof *p + worker_count * sizeof p->local[0]);
    if (p == NULL)
        return NULL;
    struct weir_err err;
    p->name = strdup(name);
    if (p->name == NULL || weir_retry_budget_new(&p->retry_budget, worker_count, &err) != 0 ||
        weir_limit_init(&p->limit, p, worker_count) != 0 || weir_places_init(&p->places, p, worker_count) != 0 ||
        !weir_health_init(&p->health)) {
        weir_places_end(&p->places);
        weir_limit_end(&p->limit);
        weir_retry_budget_free(&p->retry_budget);
        free(p->name);
        free(p);
        return NULL;
    }
    p->refs = 1;
    p->worker_count = worker_count;
    for (unsigned w = 0; w < worker_count; w++) {
        weir_pool_shelf_init(&p->local[w].shelf);
        p->local[w].waiting_since_us = UINT64_MAX;
    }
    return p;
}

void weir_provider_configure(struct weir_provider *p, const struct weir_config_provider *config)
{
    (void)weir_scaling_apply(p, config);
    atomic_store(&p->force_cleanup, config->http.health.force_cleanup);
    atomic_store(&p->queued_max, config->http.pool.max_pending);
    atomic_store(&p->keepalive_expiry_ms, (uint32_t)config->http.pool.keepalive_expiry_ms);
    atomic_store(&p->lifetime_max_ms, (uint32_t)config->http.pool.max_lifetime_ms);
    atomic_store(&p->places.on, config->http.adaptive_concurrency.enabled);
    weir_limit_configure(&p->limit, &config->rate_limit, weir_clock_us());
}

void weir_provider_ref(struct weir_provider *p)
{
    atomic_fetch_add_explicit(&p->refs, 1, memory_order_relaxed);
}

void weir_provider_unref(struct weir_provider *p)
{
    if (atomic_fetch_sub_explicit(&p->refs, 1, memory_order_acq_rel) != 1)
        return;
    assert(p->slots_used == 0);
    weir_health_close(&p->health);
    weir_places_end(&p->places);
    weir_limit_end(&p->limit);
    weir_retry_budget_free(&p->retry_budget);
    free(p->name);
    free(p);
}

static int take_slot(struct weir_provider *p)
{
    uint64_t used = atomic_load(&p->slots_used);
    for (;;) {
        if (used == UINT64_MAX)
            return -1;
        int slot = __builtin_ctzll(~used);
        if (atomic_compare_exchange_weak(&p->slots_used, &used, used | UINT64_C(1) << slot))
            return slot;
    }
}

static struct weir_endpoint *endpoint_new(struct weir_provider *p, const char *id, bool slotted)
{
    struct weir_endpoint *e = weir_alloc_lines(sizeof *e + p->worker_count * sizeof e->local[0]);
    if (e == NULL)
        return NULL;
    e->id = strdup(id);
    e->tls_sessions = weir_tls_sessions_new();
    int slot = e->id == NULL || e->tls_sessions == NULL ? -1 : slotted ? take_slot(p) : (int)WEIR_SLOT_NONE;
    if (slot < 0) {
        weir_tls_sessions_unref(&e->tls_sessions);
        free(e->id);
        free(e);
        return NULL;
    }
    e->refs = 1;
    e->slot = (unsigned)slot;
    e->worker_count = p->worker_count;
    e->provider = p;
    weir_addresses_init(&e->addresses);
    weir_provider_ref(p);
    uint64_t now_us = weir_clock_us();
    weir_circuit_init(&e->circuit, now_us / 1000);
    weir_concurrency_init(&e->concurrency);
    for (unsigned w = 0; w < e->worker_count; w++) {
        weir_pool_stack_init(&e->local[w].idle);
        weir_list_init(&e->local[w].open);
        weir_balance_latency_init(&e->local[w].latency, now_us);
    }
    return e;
}

struct weir_endpoint *weir_endpoint_new(struct weir_provider *p, const char *id)
{
    struct weir_endpoint *e = endpoint_new(p, id, true);
    if (e != NULL)
        weir_places_join(&p->places, e);
    return e;
}

struct weir_endpoint *weir_endpoint_new_foreign(struct weir_provider *p, const char *id, struct weir_foreign *what)
{
    struct weir_endpoint *e = endpoint_new(p, id, false);
    if (e == NULL)
        return NULL;
    e->retired = true;
    e->foreign = what;
    return e;
}

/* Until a try's outcome is known, streams apart: the wait for a connection, and the longer of the clocks behind it. */
static uint64_t try_ms_max(const struct weir_config_http *c)
{
    const struct weir_config_timeouts *t = &c->timeout;
    return c->pool.block_timeout_ms + t->connect_ms + (t->total_ms > t->read_ms ? t->total_ms : t->read_ms);
}

void weir_endpoint_configure(struct weir_endpoint *e, const struct weir_config_provider *config)
{
    weir_concurrency_configure(&e->concurrency, config->http.adaptive_concurrency.enabled,
                               config->http.adaptive_concurrency.min, config->http.adaptive_concurrency.max);
    weir_circuit_configure(&e->circuit, &config->http.circuit_breaker, try_ms_max(&config->http));
}

void weir_endpoint_ref(struct weir_endpoint *e)
{
    atomic_fetch_add_explicit(&e->refs, 1, memory_order_relaxed);
}

void weir_endpoint_unref(struct weir_endpoint *e)
{
    if (atomic_fetch_sub_explicit(&e->refs, 1, memory_order_acq_rel) != 1)
        return;
    if (e->slot != WEIR_SLOT_NONE) {
        weir_places_part(&e->provider->places, e);
        atomic_fetch_and(&e->provider->slots_used, ~(UINT64_C(1) << e->slot));
    }
    weir_provider_unref(e->provider);
    weir_circuit_end(&e->circuit);
    weir_concurrency_end(&e->concurrency);
    weir_tls_sessions_unref(&e->tls_sessions);
    free(e->foreign);
    free(e->id);
    free(e);
}
