#include "node/limit.h"

#include "net/bell.h"
#include "node/pool.h"

#define PPM 1000000.0

static struct weir_limit *limit_of(struct weir_waitline *line)
{
    return WEIR_CONTAINER(line, struct weir_limit, line);
}

/* -- the source: where tokens come from; under the line's lock -- */

static uint32_t there(struct weir_waitline *line, uint64_t now_us)
{
    struct weir_limit *l = limit_of(line);
    if (!weir_limit_is_on(l))
        return UINT32_MAX;
    return l->bell != NULL ? weir_cluster_limit_tokens(&l->cluster, now_us) : weir_limiter_tokens(&l->limiter, now_us);
}

static void take(struct weir_waitline *line, uint64_t now_us)
{
    struct weir_limit *l = limit_of(line);
    if (!weir_limit_is_on(l))
        return;
    if (l->bell != NULL)
        weir_cluster_limit_take(&l->cluster, now_us);
    else
        weir_limiter_charge(&l->limiter, now_us, 1);
}

static uint64_t wait_us(struct weir_waitline *line, uint64_t now_us, uint32_t nth)
{
    struct weir_limit *l = limit_of(line);
    if (l->bell == NULL)
        return weir_limiter_wait_us(&l->limiter, now_us, nth);
    if (!l->thirsty) {
        l->thirsty = true;
        weir_bell_ring(l->bell);
    }
    return weir_cluster_limit_wait_us(&l->cluster, now_us, nth);
}

static void give_back(struct weir_limit *l, uint64_t now_us)
{
    if (!weir_limit_is_on(l))
        return;
    if (l->bell != NULL)
        weir_cluster_limit_put_back(&l->cluster, now_us);
    else
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

static struct weir_cluster_limit_config cluster_config(const struct weir_config_rate_limit *c)
{
    return (struct weir_cluster_limit_config){.limit = c->requests_per_minute,
                                              .burst = c->burst,
                                              .strict = c->strict,
                                              .fail_closed = c->fail == WEIR_CONFIG_FAIL_CLOSED,
                                              .share_ppm = (uint32_t)(c->degraded_share * PPM)};
}

void weir_limit_configure(struct weir_limit *l, const struct weir_config_rate_limit *c, uint64_t now_us)
{
    const struct weir_cluster_limit_config shared = cluster_config(c);
    pthread_mutex_lock(&l->line.lock);
    if (c->requests_per_minute > 0 && l->limiter.limit > 0) {
        weir_limiter_set(&l->limiter, c->requests_per_minute, c->burst, now_us);
        weir_cluster_limit_set(&l->cluster, &shared, now_us);
    } else if (c->requests_per_minute > 0) {
        weir_limiter_init(&l->limiter, c->requests_per_minute, c->burst, WEIR_LIMITER_MINUTE_US, now_us, c->strict);
        weir_cluster_limit_init(&l->cluster, &shared, now_us);
    }
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
    if (weir_limit_is_on(l) && l->bell != NULL) {
        v = weir_cluster_limit_show(&l->cluster, now_us, newcomer_wait_us(l, now_us));
    } else if (weir_limit_is_on(l)) {
        struct weir_limiter_answer a = weir_limiter_look(&l->limiter, now_us, 1);
        a.wait_us = newcomer_wait_us(l, now_us);
        a.ok = a.wait_us == 0;
        v = weir_limiter_show(&l->limiter, &a);
    }
    pthread_mutex_unlock(&l->line.lock);
    return v;
}

/* -- in a cluster -- */

static bool is_shared(const struct weir_limit *l)
{
    return weir_limit_is_on(l) && l->bell != NULL;
}

void weir_limit_share(struct weir_limit *l, uint64_t now_us, struct weir_bell *bell)
{
    pthread_mutex_lock(&l->line.lock);
    if (l->bell == NULL && l->limiter.limit > 0)
        weir_cluster_limit_init(&l->cluster, &l->cluster.config, now_us);
    l->bell = bell;
    pthread_mutex_unlock(&l->line.lock);
}

void weir_limit_lease(struct weir_limit *l)
{
    pthread_mutex_lock(&l->line.lock);
    weir_cluster_limit_lease(&l->cluster);
    l->thirsty = false;
    pthread_mutex_unlock(&l->line.lock);
}

void weir_limit_alone(struct weir_limit *l, uint32_t nodes, uint64_t now_us)
{
    pthread_mutex_lock(&l->line.lock);
    if (l->limiter.limit > 0)
        weir_cluster_limit_alone(&l->cluster, nodes, now_us);
    pthread_mutex_unlock(&l->line.lock);
}

bool weir_limit_take_wish(struct weir_limit *l, uint64_t now_us, bool drain, struct weir_coord_tokens_item *out)
{
    pthread_mutex_lock(&l->line.lock);
    bool wishes =
        is_shared(l) && weir_cluster_limit_wish(&l->cluster, now_us, weir_waitline_count(&l->line), drain, out);
    l->thirsty = false;
    pthread_mutex_unlock(&l->line.lock);
    return wishes;
}

bool weir_limit_owes(struct weir_limit *l, uint64_t now_us)
{
    pthread_mutex_lock(&l->line.lock);
    bool owes = is_shared(l) && (weir_waitline_count(&l->line) > 0 || weir_cluster_limit_owes(&l->cluster, now_us));
    pthread_mutex_unlock(&l->line.lock);
    return owes;
}

void weir_limit_answered(struct weir_limit *l, struct weir_pool *p, uint64_t now_us,
                         const struct weir_cluster_limit_answer *a)
{
    pthread_mutex_lock(&l->line.lock);
    weir_cluster_limit_answered(&l->cluster, now_us, a);
    pthread_mutex_unlock(&l->line.lock);
    weir_waitline_call(&l->line, p);
}

bool weir_limit_look(struct weir_limit *l, struct weir_cluster_limit *out)
{
    pthread_mutex_lock(&l->line.lock);
    bool shared = is_shared(l);
    if (shared)
        *out = l->cluster;
    pthread_mutex_unlock(&l->line.lock);
    return shared;
}
