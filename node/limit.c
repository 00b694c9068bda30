#include "node/limit.h"

#include "node/pool.h"

static struct weir_limit *limit_of(struct weir_waitline *line)
{
    return WEIR_CONTAINER(line, struct weir_limit, line);
}

/* -- the source: where tokens come from; under the line's lock -- */

static uint32_t there(struct weir_waitline *line, uint64_t now_us)
{
    struct weir_limit *l = limit_of(line);
    return weir_limit_is_on(l) ? weir_limiter_tokens(&l->limiter, now_us) : UINT32_MAX;
}

static void take(struct weir_waitline *line, uint64_t now_us)
{
    struct weir_limit *l = limit_of(line);
    if (weir_limit_is_on(l))
        weir_limiter_charge(&l->limiter, now_us, 1);
}

static uint64_t wait_us(struct weir_waitline *line, uint64_t now_us, uint32_t nth)
{
    return weir_limiter_wait_us(&limit_of(line)->limiter, now_us, nth);
}

static void give_back(struct weir_limit *l, uint64_t now_us)
{
    if (weir_limit_is_on(l))
        weir_limiter_hand_back(&l->limiter, now_us, 1);
}

static const struct weir_waitline_source source = {there, take, wait_us};

int weir_limit_init(struct weir_limit *l, struct weir_provider *owner, unsigned worker_count)
{
    *l = (struct weir_limit){.limiter = {.limit = 0}};
    return weir_waitline_init(&l->line, owner, worker_count, &source);
}

void weir_limit_end(struct weir_limit *l)
{
    weir_waitline_end(&l->line);
}

void weir_limit_configure(struct weir_limit *l, const struct weir_config_rate_limit *c, uint64_t now_us)
{
    pthread_mutex_lock(&l->line.lock);
    if (c->requests_per_minute > 0 && l->limiter.limit > 0)
        weir_limiter_set(&l->limiter, c->requests_per_minute, c->burst, now_us);
    else if (c->requests_per_minute > 0)
        weir_limiter_init(&l->limiter, c->requests_per_minute, c->burst, WEIR_LIMITER_MINUTE_US, now_us, c->strict);
    atomic_store(&l->on, c->requests_per_minute > 0);
    pthread_mutex_unlock(&l->line.lock);
}

void weir_limit_give_back(struct weir_limit *l, struct weir_pool *p)
{
    pthread_mutex_lock(&l->line.lock);
    give_back(l, p->connector->now_us(p->arg));
    pthread_mutex_unlock(&l->line.lock);
    weir_waitline_call(&l->line, p);
}

/* Of one that would come now. */
static uint64_t newcomer_wait_us(struct weir_limit *l, uint64_t now_us)
{
    return there(&l->line, now_us) > l->line.count ? 0 : wait_us(&l->line, now_us, l->line.count + 1);
}

bool weir_limit_could(struct weir_limit *l, uint64_t now_us, uint64_t wait_us_max)
{
    pthread_mutex_lock(&l->line.lock);
    bool could = newcomer_wait_us(l, now_us) <= wait_us_max;
    pthread_mutex_unlock(&l->line.lock);
    return could;
}

struct weir_limiter_values weir_limit_show(struct weir_limit *l, uint64_t now_us)
{
    struct weir_limiter_values v = {0};
    pthread_mutex_lock(&l->line.lock);
    if (weir_limit_is_on(l)) {
        struct weir_limiter_answer a = weir_limiter_look(&l->limiter, now_us, 1);
        a.wait_us = newcomer_wait_us(l, now_us);
        a.ok = a.wait_us == 0;
        v = weir_limiter_show(&l->limiter, &a);
    }
    pthread_mutex_unlock(&l->line.lock);
    return v;
}
