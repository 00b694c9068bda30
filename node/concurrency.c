#include "node/concurrency.h"

#include "node/pool.h"

void weir_concurrency_init(struct weir_concurrency *c)
{
    *c = (struct weir_concurrency){.limit = 0};
    pthread_mutex_init(&c->lock, NULL);
}

void weir_concurrency_end(struct weir_concurrency *c)
{
    pthread_mutex_destroy(&c->lock);
}

void weir_concurrency_configure(struct weir_concurrency *c, bool enabled, uint32_t min, uint32_t max)
{
    pthread_mutex_lock(&c->lock);
    if (enabled && c->gradient.min == 0)
        weir_gradient_init(&c->gradient, min, max);
    else if (enabled)
        weir_gradient_bounds(&c->gradient, min, max);
    atomic_store(&c->limit, enabled ? weir_gradient_limit(&c->gradient) : 0);
    pthread_mutex_unlock(&c->lock);
}

void weir_concurrency_answered(struct weir_concurrency *c, unsigned status, uint64_t first_byte_us, uint32_t in_flight)
{
    bool too_much = status == 429 || status == 529;
    if (atomic_load_explicit(&c->limit, memory_order_relaxed) == 0 || pthread_mutex_trylock(&c->lock) != 0)
        return;
    /* An error that comes fast does not show that the endpoint is. */
    if (too_much)
        weir_gradient_dropped(&c->gradient);
    else if (status < 400)
        weir_gradient_answered(&c->gradient, first_byte_us, in_flight);
    if (atomic_load_explicit(&c->limit, memory_order_relaxed) != 0) /* it may have been turned off meanwhile */
        atomic_store_explicit(&c->limit, weir_gradient_limit(&c->gradient), memory_order_relaxed);
    pthread_mutex_unlock(&c->lock);
}

/* -- places -- */

static struct weir_places *places_of(struct weir_waitline *line)
{
    return WEIR_CONTAINER(line, struct weir_places, line);
}

static uint32_t there(struct weir_waitline *line, uint64_t now_us)
{
    struct weir_places *p = places_of(line);
    uint64_t now_ms = now_us / 1000;
    uint32_t places = 0;
    /* Of a provider that has gone whole, the endpoints still serve those who came before. */
    bool gone = atomic_load(&line->owner->retired);
    for (unsigned i = 0; i < WEIR_POOL_ENDPOINTS_MAX; i++) {
        struct weir_endpoint *e = p->at[i];
        if (e == NULL || (!gone && atomic_load(&e->retired)) || !weir_circuit_may_admit(e, now_ms))
            continue;
        uint32_t limit = atomic_load(&e->concurrency.limit), in_flight = atomic_load(&e->in_flight);
        if (limit == 0)
            return UINT32_MAX;
        places += limit > in_flight ? limit - in_flight : 0;
    }
    return places;
}

/* Taken by going there: in_flight counts it. */
static void take(struct weir_waitline *line, uint64_t now_us)
{
    (void)line;
    (void)now_us;
}

static uint64_t wait_us(struct weir_waitline *line, uint64_t now_us, uint32_t nth)
{
    (void)line;
    (void)now_us;
    (void)nth;
    return WEIR_PLACES_LOOK_US;
}

static const struct weir_waitline_source source = {there, take, wait_us};

int weir_places_init(struct weir_places *p, struct weir_provider *owner, unsigned worker_count)
{
    *p = (struct weir_places){.on = false};
    return weir_waitline_init(&p->line, owner, worker_count, &source);
}

void weir_places_end(struct weir_places *p)
{
    weir_waitline_end(&p->line);
}

static void set(struct weir_places *p, unsigned slot, struct weir_endpoint *e)
{
    pthread_mutex_lock(&p->line.lock);
    p->at[slot] = e;
    pthread_mutex_unlock(&p->line.lock);
}

void weir_places_join(struct weir_places *p, struct weir_endpoint *e)
{
    set(p, e->slot, e);
}

void weir_places_part(struct weir_places *p, struct weir_endpoint *e)
{
    set(p, e->slot, NULL);
}

void weir_places_freed(struct weir_places *p, struct weir_pool *pool)
{
    if (weir_places_are_counted(p) && weir_waitline_count(&p->line) > 0)
        weir_waitline_call(&p->line, pool);
}
