/* The rate limit of a provider (providers.X.rate_limit): one bucket of tokens for all workers, and the line before it.
 *
 * Each try that is sent takes a token, retries too, since the provider counts them; the free replacement of a
 * connection that died unanswered does not. A token that nothing was sent for goes back. What cannot have one in time
 * is refused when it comes, not after a wait.
 *
 * Where the tokens come from is the affair of four functions in limit.c ("the source"): here the node's own limiter. A
 * cluster puts the tokens that the node has leased in its place. */
#ifndef WEIR_NODE_LIMIT_H
#define WEIR_NODE_LIMIT_H

#include "core/config.h"
#include "core/limiter.h"
#include "node/waitline.h"

struct weir_limit {
    struct weir_waitline line;   /* first */
    struct weir_limiter limiter; /* under the line's lock; limit 0: there has not been one */
    _Atomic bool on;             /* under the lock too; read without it by requests that pay nothing */
};

/* Off. Errors: WEIR_ENOMEM. */
int weir_limit_init(struct weir_limit *l, struct weir_provider *owner, unsigned worker_count);
void weir_limit_end(struct weir_limit *l);
/* New numbers; what is spent stays spent. Whoever waits is to be called afterwards (weir_waitline_settle). */
void weir_limit_configure(struct weir_limit *l, const struct weir_config_rate_limit *c, uint64_t now_us);

static inline bool weir_limit_is_on(const struct weir_limit *l)
{
    return atomic_load_explicit(&l->on, memory_order_relaxed);
}

/* A token that was taken has not been used. */
void weir_limit_give_back(struct weir_limit *l, struct weir_pool *p);
/* Whether one that comes now would have its token within that time. */
bool weir_limit_could(struct weir_limit *l, uint64_t now_us, uint64_t wait_us_max);
/* For those who are refused, and for metrics: what is left, and when one that comes now would have its token. All 0
 * when it is off. */
struct weir_limiter_values weir_limit_show(struct weir_limit *l, uint64_t now_us);

#endif
