/* Who waits, what is parked, and what other workers are shown of both. */
#include "node/pool_inner.h"

/* -- what other workers see -- */

void weir_pool_wait_show(struct weir_pool *p, struct weir_provider *pr)
{
    struct weir_provider_local *l = weir_pool_local_of(p, pr);
    uint32_t uncovered = weir_pool_uncovered(&l->shelf);
    uint32_t before = atomic_load_explicit(&l->uncovered_shown, memory_order_relaxed);
    atomic_store(&l->waiting_since_us, weir_pool_waiting_since(&l->shelf));
    atomic_store(&l->waiting_shown, l->shelf.waiting);
    atomic_store(&l->uncovered_shown, uncovered);
    if (uncovered > before)
        atomic_fetch_add(&pr->queued, uncovered - before);
    else if (uncovered < before)
        atomic_fetch_sub(&pr->queued, before - uncovered);
}

static void show_parked(struct weir_pool *p, struct weir_endpoint *e)
{
    struct weir_endpoint_local *el = &e->local[p->worker];
    struct weir_provider_local *l = weir_pool_local_of(p, e->provider);
    atomic_store(&el->idle_shown, el->idle.count);
    atomic_store(&el->single_shown, el->idle.count - el->idle_shared);
    atomic_store(&l->idle_shown, l->shelf.idle);
}

/* The worker whose longest waiting request came first, of those not in `except` and not seen to already; -1 when there
 * is none. `uncovered`: who needs a slot, counting requests that no dial covers; else who can use a connection. */
int weir_pool_worker_waiting(const struct weir_pool *p, struct weir_provider *pr, uint64_t except, bool uncovered)
{
    int best = -1;
    uint64_t best_us = UINT64_MAX;
    for (unsigned w = 0; w < pr->worker_count; w++) {
        struct weir_provider_local *l = &pr->local[w];
        uint32_t waiting = atomic_load(uncovered ? &l->uncovered_shown : &l->waiting_shown);
        uint32_t coming = w == p->worker ? 0 : atomic_load(uncovered ? &l->slots_coming : &l->conns_coming);
        if ((except >> w & 1) != 0 || waiting <= coming)
            continue;
        uint64_t since = atomic_load(&l->waiting_since_us);
        if (since < best_us) {
            best = (int)w;
            best_us = since;
        }
    }
    return best;
}

/* -- the queue -- */

void weir_pool_wait_begin(struct weir_pool *p, struct weir_pool_waiter *w)
{
    w->waiting = true;
    weir_pool_wait(&weir_pool_local_of(p, w->provider)->shelf, &w->place);
    atomic_fetch_add(&w->provider->waiting, 1);
    weir_pool_wait_show(p, w->provider);
}

void weir_pool_wait_end(struct weir_pool *p, struct weir_pool_waiter *w)
{
    w->waiting = false;
    weir_pool_unwait(&weir_pool_local_of(p, w->provider)->shelf, &w->place);
    atomic_fetch_sub(&w->provider->waiting, 1);
    weir_pool_wait_show(p, w->provider);
}

void weir_pool_wait_grant(struct weir_pool *p, struct weir_pool_waiter *w, struct weir_pool_conn *c)
{
    weir_pool_wait_end(p, w);
    weir_pool_shared_leased(p, c);
    c->leases++;
    w->granted(w, c);
}

void weir_pool_wait_fail(struct weir_pool *p, struct weir_pool_waiter *w, const struct weir_err *err)
{
    weir_pool_wait_end(p, w);
    if (w->acquire_err != NULL)
        *w->acquire_err = *err; /* acquire is running and returns it */
    else
        w->failed(w, err);
}

struct weir_pool_waiter *weir_pool_wait_for(struct weir_pool *p, const struct weir_endpoint *e)
{
    WEIR_LIST_EACH(at, &weir_pool_local_of(p, e->provider)->shelf.waiters)
    {
        struct weir_pool_waiter *w = weir_pool_waiter_of(WEIR_CONTAINER(at, struct weir_pool_place, link));
        if (w->wanted == e)
            return w;
    }
    return NULL;
}

/* -- parked connections -- */

void weir_pool_conn_unpark(struct weir_pool *p, struct weir_pool_conn *c)
{
    struct weir_endpoint *e = c->endpoint;
    c->parked = false;
    e->local[p->worker].idle_shared -= c->shared;
    weir_pool_unpark(&weir_pool_local_of(p, e->provider)->shelf, &e->local[p->worker].idle, &c->item);
    atomic_fetch_sub(&e->provider->idle, 1);
    show_parked(p, e);
    p->connector->unparked(p->arg, c);
}

/* How long it may be parked: until it has been idle for too long, or is too old. 0: no limit. */
static uint32_t park_ms_max(const struct weir_pool *p, const struct weir_pool_conn *c)
{
    const struct weir_provider *pr = c->endpoint->provider;
    uint32_t idle_ms_max = atomic_load_explicit(&pr->keepalive_expiry_ms, memory_order_relaxed);
    uint32_t lifetime_ms_max = atomic_load_explicit(&pr->lifetime_max_ms, memory_order_relaxed);
    if (lifetime_ms_max == 0)
        return idle_ms_max;
    uint64_t age_ms = p->connector->now_ms(p->arg) - c->opened_ms;
    uint32_t left_ms = age_ms < lifetime_ms_max ? lifetime_ms_max - (uint32_t)age_ms : 1;
    return idle_ms_max != 0 && idle_ms_max < left_ms ? idle_ms_max : left_ms;
}

bool weir_pool_conn_park(struct weir_pool *p, struct weir_pool_conn *c)
{
    struct weir_endpoint *e = c->endpoint;
    struct weir_provider *pr = e->provider;
    if (atomic_fetch_add(&pr->idle, 1) >= atomic_load_explicit(&pr->idle_max, memory_order_relaxed)) {
        atomic_fetch_sub(&pr->idle, 1);
        return false;
    }
    c->parked = true;
    e->local[p->worker].idle_shared += c->shared;
    weir_pool_park(&weir_pool_local_of(p, pr)->shelf, &e->local[p->worker].idle, &c->item);
    show_parked(p, e);
    p->connector->parked(p->arg, c, park_ms_max(p, c));
    return true;
}

/* Takes a connection off the books and ends it. Its slot and a reference to its provider are the caller's afterwards.
 */
struct weir_provider *weir_pool_conn_end(struct weir_pool *p, struct weir_pool_conn *c,
                                         enum weir_endpoint_counter reason)
{
    struct weir_endpoint *e = c->endpoint;
    struct weir_provider *pr = e->provider;
    weir_provider_ref(pr);
    if (c->parked)
        weir_pool_conn_unpark(p, c);
    weir_pool_shared_end(p, c);
    if (c->opened_ms != 0)
        weir_pool_count(p, e, reason);
    p->connector->close(p->arg, c);
    weir_endpoint_unref(e);
    return pr;
}

enum weir_endpoint_counter weir_pool_conn_spent(const struct weir_pool *p, const struct weir_pool_conn *c)
{
    struct weir_provider *pr = c->endpoint->provider;
    uint32_t lifetime_max_ms = atomic_load_explicit(&pr->lifetime_max_ms, memory_order_relaxed);
    if (atomic_load_explicit(&c->endpoint->retired, memory_order_relaxed) ||
        atomic_load_explicit(&pr->total, memory_order_relaxed) >
            atomic_load_explicit(&pr->total_max, memory_order_relaxed))
        return WEIR_EC_CLOSED_CONFIG;
    if (atomic_load_explicit(&pr->force_cleanup, memory_order_relaxed) &&
        (weir_health_out(pr) >> c->endpoint->slot & 1) != 0)
        return WEIR_EC_CLOSED_UNHEALTHY;
    if (atomic_load_explicit(&pr->idle_max, memory_order_relaxed) == 0 && c->leases > 0)
        return WEIR_EC_CLOSED_ASKED;
    if (lifetime_max_ms != 0 && p->connector->now_ms(p->arg) - c->opened_ms >= lifetime_max_ms)
        return WEIR_EC_CLOSED_LIFETIME;
    return p->connector->spent != NULL ? p->connector->spent(p->arg, c) : 0;
}

struct weir_pool_conn *weir_pool_conn_take_parked(struct weir_pool *p, struct weir_endpoint *e)
{
    struct weir_pool_item *i;
    while ((i = weir_pool_newest(&e->local[p->worker].idle)) != NULL) {
        struct weir_pool_conn *c = weir_pool_conn_of(i);
        enum weir_endpoint_counter reason =
            p->connector->disturbed(c) ? WEIR_EC_CLOSED_IDLE_PEER : weir_pool_conn_spent(p, c);
        if (reason == 0) {
            weir_pool_conn_unpark(p, c);
            return c;
        }
        weir_pool_discard(p, c, reason);
    }
    return NULL;
}
