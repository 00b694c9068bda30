/* The rate limit of a provider (providers.X.rate_limit): one bucket of tokens for all workers, and the line before it.
 *
 * Each try that is sent takes a token, retries too, since the provider counts them; the free replacement of a
 * connection that died unanswered does not. A token that nothing was sent for goes back. What cannot have one in time
 * is refused when it comes, not after a wait.
 *
 * Where the tokens come from is the affair of four functions in limit.c ("the source"): a limiter of the node's own, or
 * in a cluster what core/cluster_limit.h has. There control asks the store for tokens in advance, so that a request
 * waits for it only when none are left here; then it rings control's bell, once until control has looked. */
#ifndef WEIR_NODE_LIMIT_H
#define WEIR_NODE_LIMIT_H

#include "core/cluster_limit.h"
#include "core/config.h"
#include "node/waitline.h"

struct weir_bell;

struct weir_limit {
    struct weir_waitline line;   /* first */
    struct weir_limiter limiter; /* under the line's lock, and so are the next ones; limit 0: there has not been one */
    struct weir_bell *bell;      /* NULL: the limit is the node's own */
    struct weir_cluster_limit cluster;
    bool thirsty;    /* the bell was rung, and what is wanted has not been taken since */
    _Atomic bool on; /* read without the lock by requests that pay nothing */
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

/* -- in a cluster: for control -- */

/* The limit is the cluster's from now on, and its store is away still. bell: it outlives the limit, or its workers.
 * Legal again. Whoever waits is to be called afterwards, and after the next two. */
void weir_limit_share(struct weir_limit *l, uint64_t now_us, struct weir_bell *bell);
void weir_limit_lease(struct weir_limit *l);
/* nodes: that lived when the store was there last. */
void weir_limit_alone(struct weir_limit *l, uint32_t nodes, uint64_t now_us);
/* What the store is to be told, but for the provider's name, as weir_cluster_limit_wish. */
bool weir_limit_take_wish(struct weir_limit *l, uint64_t now_us, bool drain, struct weir_coord_tokens_item *out);
/* Somebody waits, or something is to be handed back or charged. */
bool weir_limit_owes(struct weir_limit *l, uint64_t now_us);
/* The store's answer; calls whoever waits. p: any worker's. */
void weir_limit_answered(struct weir_limit *l, struct weir_pool *p, uint64_t now_us,
                         const struct weir_cluster_limit_answer *a);
/* A copy for showing. False: the limit is off, or not the cluster's. */
bool weir_limit_look(struct weir_limit *l, struct weir_cluster_limit *out);

#endif
