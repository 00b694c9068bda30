/* One node's side of a rate limit that holds over the whole cluster: where its tokens come from. Pure, for one thread
 * or under its owner's lock; times are microseconds of one monotonic clock.
 *
 *     LEASED --store away--> DEGRADED: this node's share of the limit    --store back--> LEASED, and what was spent
 *                        `-> CLOSED: nothing (fail: closed, or strict)                   alone is charged
 *
 * - Leased, tokens are spent here without a word and asked for in advance, as many as are expected to be wanted until
 *   the next question (core/limiter.h, leases), and some more while there are enough for all. Those that expire unspent
 *   go back with it.
 * - Leases in hand when the store goes away are spent first.
 * - A question that is not answered in time is the store away already, as far as a share is kept: leases end before
 *   anybody knows for sure, and who comes then shall not wait for that. The store is asked on; its next answer ends it.
 * - `strict`: never more than the limit and one burst in any minute. The store's bucket fills a little slower for that,
 *   by what a lease's life could add (core/coord_tokens), and nothing is spent here that the store has not granted. */
#ifndef WEIR_CORE_CLUSTER_LIMIT_H
#define WEIR_CORE_CLUSTER_LIMIT_H

#include "core/coord.h"
#include "core/limiter.h"

/* For so long requests wait in line rather than be refused when the store has just gone away: connections break and
 * are there again at once. */
#define WEIR_CLUSTER_LIMIT_GRACE_US UINT64_C(1000000)
/* A wait that is longer than anybody's patience: nobody knows. Half of it may be added to any time. */
#define WEIR_CLUSTER_LIMIT_NEVER_US (UINT64_MAX / 4)

enum weir_cluster_limit_mode {
    WEIR_CLUSTER_LIMIT_LEASED,
    WEIR_CLUSTER_LIMIT_DEGRADED,
    WEIR_CLUSTER_LIMIT_CLOSED,
};
const char *weir_cluster_limit_mode_text(enum weir_cluster_limit_mode m); /* "leased", "degraded", "closed" */

struct weir_cluster_limit_config {
    uint32_t limit, burst; /* a minute, of the whole cluster; at least 1 */
    bool strict, fail_closed;
    uint32_t share_ppm; /* of the limit, over all nodes, while the store is away */
};

struct weir_cluster_limit {
    struct weir_cluster_limit_config config;
    enum weir_cluster_limit_mode mode;
    bool late; /* DEGRADED for want of an answer only */
    struct weir_lease lease;
    struct weir_limiter alone; /* the share's bucket */
    uint32_t nodes;            /* among whom the limit is shared, when the store is away */
    uint32_t spent_alone;      /* not yet charged */
    uint64_t away_since_us;    /* CLOSED */
    /* As the store said last. */
    struct {
        uint32_t remaining;
        uint64_t wait_us, full_us;
        uint64_t at_us;      /* 0: it has not said anything yet */
        uint32_t per_minute; /* granted here, while it could not give all that was asked for; 0: it could */
    } store;
};

/* The store is away, and as far as is known this node is the only one. */
void weir_cluster_limit_init(struct weir_cluster_limit *l, const struct weir_cluster_limit_config *c, uint64_t now_us);
/* New numbers; what is spent stays spent. */
void weir_cluster_limit_set(struct weir_cluster_limit *l, const struct weir_cluster_limit_config *c, uint64_t now_us);
/* The store is there. */
void weir_cluster_limit_lease(struct weir_cluster_limit *l);
/* The store is away, and `nodes` lived when it was there last. */
void weir_cluster_limit_alone(struct weir_cluster_limit *l, uint32_t nodes, uint64_t now_us);

/* Tokens here now. */
uint32_t weir_cluster_limit_tokens(const struct weir_cluster_limit *l, uint64_t now_us);
/* Spends one that is here. */
void weir_cluster_limit_take(struct weir_cluster_limit *l, uint64_t now_us);
/* One that was taken has not been used. */
void weir_cluster_limit_put_back(struct weir_cluster_limit *l, uint64_t now_us);
/* Until the nth token from now on will be here, as far as can be known; more than 0. */
uint64_t weir_cluster_limit_wait_us(const struct weir_cluster_limit *l, uint64_t now_us, uint32_t nth);
/* In the store's bucket by now, if nobody has taken any since it told. */
uint32_t weir_cluster_limit_in_store(const struct weir_cluster_limit *l, uint64_t now_us);
/* For those who are refused, and for metrics; wait_us: of one that comes now, 0: none. */
struct weir_limiter_values weir_cluster_limit_show(const struct weir_cluster_limit *l, uint64_t now_us,
                                                   uint64_t wait_us);
/* What it keeps a minute while the store is away. */
uint32_t weir_cluster_limit_share(const struct weir_cluster_limit *l);

/* Fills all of *out but the provider: what to ask the store for, with so many requests in line, to hand back (all that
 * is leased when draining), and to charge. It counts as told. False: nothing, out is not set. */
bool weir_cluster_limit_wish(struct weir_cluster_limit *l, uint64_t now_us, uint32_t queued, bool drain,
                             struct weir_coord_tokens_item *out);
/* Something is to be told to the store, though nobody waits. */
bool weir_cluster_limit_owes(const struct weir_cluster_limit *l, uint64_t now_us);

struct weir_cluster_limit_answer {
    bool ok; /* else whether the wish was heard is not known, and only `asked` and `nodes` are set */
    struct weir_coord_tokens_item asked;
    uint64_t asked_us;
    uint64_t store_us; /* the store's clock when it granted */
    uint32_t granted, remaining;
    uint64_t wait_us, full_us;
    uint32_t nodes; /* that live, as far as is known; set in any case */
};
/* The answer to a wish, however late. */
void weir_cluster_limit_answered(struct weir_cluster_limit *l, uint64_t now_us,
                                 const struct weir_cluster_limit_answer *a);

#endif
