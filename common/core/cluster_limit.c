#include "core/cluster_limit.h"

#include "core/saturate.h"

/* Until a question that is on its way is answered, or one that is due has been asked: whoever waits is called then. */
#define SOON_US UINT64_C(10000)

const char *weir_cluster_limit_mode_text(enum weir_cluster_limit_mode m)
{
    static const char *const text[] = {[WEIR_CLUSTER_LIMIT_LEASED] = "leased",
                                       [WEIR_CLUSTER_LIMIT_DEGRADED] = "degraded",
                                       [WEIR_CLUSTER_LIMIT_CLOSED] = "closed"};
    return text[m];
}

uint32_t weir_cluster_limit_share(const struct weir_cluster_limit *l)
{
    bool none = l->config.strict || l->config.fail_closed || l->config.share_ppm == 0;
    return none ? 0 : weir_limiter_share(l->config.limit, l->config.share_ppm, l->nodes);
}

static enum weir_cluster_limit_mode mode_alone(const struct weir_cluster_limit *l)
{
    return weir_cluster_limit_share(l) > 0 ? WEIR_CLUSTER_LIMIT_DEGRADED : WEIR_CLUSTER_LIMIT_CLOSED;
}

/* A share of the burst as well, so that what is spent alone in a minute stays the share of what may be. */
static uint32_t burst_alone(const struct weir_cluster_limit *l)
{
    return weir_limiter_share(l->config.burst, l->config.share_ppm, l->nodes);
}

/* What was spent of it when the store was away before is still spent: it may come and go. */
static void begin_alone(struct weir_cluster_limit *l, uint64_t now_us)
{
    uint32_t share = weir_cluster_limit_share(l);
    if (share > 0 && l->alone.limit > 0)
        weir_limiter_set(&l->alone, share, burst_alone(l), now_us);
    else if (share > 0)
        weir_limiter_init(&l->alone, share, burst_alone(l), WEIR_LIMITER_MINUTE_US, now_us, false);
    l->mode = mode_alone(l);
    l->away_since_us = now_us;
}

void weir_cluster_limit_init(struct weir_cluster_limit *l, const struct weir_cluster_limit_config *c, uint64_t now_us)
{
    *l = (struct weir_cluster_limit){.config = *c, .nodes = 1};
    begin_alone(l, now_us);
}

void weir_cluster_limit_set(struct weir_cluster_limit *l, const struct weir_cluster_limit_config *c, uint64_t now_us)
{
    l->config = *c;
    if (l->mode == WEIR_CLUSTER_LIMIT_LEASED)
        return;
    if (l->mode == WEIR_CLUSTER_LIMIT_DEGRADED && mode_alone(l) == WEIR_CLUSTER_LIMIT_DEGRADED)
        weir_limiter_set(&l->alone, weir_cluster_limit_share(l), burst_alone(l), now_us);
    else if (l->mode != mode_alone(l))
        begin_alone(l, now_us);
}

void weir_cluster_limit_lease(struct weir_cluster_limit *l)
{
    l->mode = WEIR_CLUSTER_LIMIT_LEASED;
    l->late = false;
}

void weir_cluster_limit_alone(struct weir_cluster_limit *l, uint32_t nodes, uint64_t now_us)
{
    l->nodes = nodes > 0 ? nodes : 1;
    if (l->mode == WEIR_CLUSTER_LIMIT_LEASED || l->late)
        begin_alone(l, now_us);
    l->late = false;
}

/* -- spending -- */

static uint32_t leased(const struct weir_cluster_limit *l, uint64_t now_us)
{
    struct weir_lease copy = l->lease; /* only looked at: the time may be one to come */
    return weir_lease_tokens(&copy, now_us);
}

uint32_t weir_cluster_limit_tokens(const struct weir_cluster_limit *l, uint64_t now_us)
{
    uint32_t own = l->mode == WEIR_CLUSTER_LIMIT_DEGRADED ? weir_limiter_tokens(&l->alone, now_us) : 0;
    return weir_add_u32(leased(l, now_us), own);
}

void weir_cluster_limit_take(struct weir_cluster_limit *l, uint64_t now_us)
{
    if (weir_lease_take(&l->lease, now_us) || l->mode != WEIR_CLUSTER_LIMIT_DEGRADED)
        return;
    weir_limiter_charge(&l->alone, now_us, 1);
    l->spent_alone = weir_add_u32(l->spent_alone, 1);
}

void weir_cluster_limit_put_back(struct weir_cluster_limit *l, uint64_t now_us)
{
    if (l->mode == WEIR_CLUSTER_LIMIT_DEGRADED && l->spent_alone > 0) {
        l->spent_alone--;
        weir_limiter_hand_back(&l->alone, now_us, 1);
    } else if (l->mode != WEIR_CLUSTER_LIMIT_DEGRADED) {
        weir_lease_put_back(&l->lease, now_us);
    }
}

/* -- waiting -- */

/* By what the store said last: those that it has are here with the next answer, the others as they come into its
 * bucket, of which this node gets what it got lately if there is not enough for all. */
static uint64_t wait_leased_us(const struct weir_cluster_limit *l, uint64_t now_us, uint32_t nth)
{
    uint64_t due = l->lease.pulled ? l->lease.pulled_us + WEIR_LEASE_PULL_US : 0;
    uint64_t wait = due > now_us ? due - now_us : SOON_US;
    if (l->store.at_us == 0 || nth <= l->store.remaining)
        return wait;
    uint32_t per_minute = l->store.per_minute > 0 ? l->store.per_minute : l->config.limit;
    uint64_t next_us = l->store.at_us + l->store.wait_us;
    uint64_t comes = (next_us > now_us ? next_us - now_us : 0) +
                     (nth - l->store.remaining - 1) * (WEIR_LIMITER_MINUTE_US / per_minute);
    return comes > wait ? comes : wait;
}

uint64_t weir_cluster_limit_wait_us(const struct weir_cluster_limit *l, uint64_t now_us, uint32_t nth)
{
    uint64_t have = leased(l, now_us), over_us = l->away_since_us + WEIR_CLUSTER_LIMIT_GRACE_US;
    uint32_t more = nth > have ? (uint32_t)(nth - have) : 1;
    uint64_t wait = 0;
    switch (l->mode) {
    case WEIR_CLUSTER_LIMIT_LEASED:
        return wait_leased_us(l, now_us, more);
    case WEIR_CLUSTER_LIMIT_DEGRADED:
        wait = weir_limiter_wait_us(&l->alone, now_us, more);
        break;
    case WEIR_CLUSTER_LIMIT_CLOSED:
        wait = over_us > now_us ? over_us - now_us : WEIR_CLUSTER_LIMIT_NEVER_US;
        break;
    }
    return wait > 0 ? wait : 1;
}

/* Until the store's bucket is full. */
static uint64_t full_us(const struct weir_cluster_limit *l, uint64_t now_us)
{
    uint64_t passed = now_us > l->store.at_us ? now_us - l->store.at_us : 0;
    return l->store.full_us > passed ? l->store.full_us - passed : 0;
}

uint32_t weir_cluster_limit_in_store(const struct weir_cluster_limit *l, uint64_t now_us)
{
    uint64_t parts = full_us(l, now_us) * l->config.limit;
    uint64_t missing = (parts + WEIR_LIMITER_MINUTE_US - 1) / WEIR_LIMITER_MINUTE_US;
    uint32_t by_now = l->store.at_us != 0 && l->config.burst > missing ? (uint32_t)(l->config.burst - missing) : 0;
    return by_now > l->store.remaining ? by_now : l->store.remaining;
}

struct weir_limiter_values weir_cluster_limit_show(const struct weir_cluster_limit *l, uint64_t now_us,
                                                   uint64_t wait_us)
{
    struct weir_limiter shown = {.limit = l->config.limit};
    struct weir_limiter_answer a = {.ok = wait_us == 0, .wait_us = wait_us};
    switch (l->mode) {
    case WEIR_CLUSTER_LIMIT_LEASED:
        a.remaining = weir_add_u32(weir_cluster_limit_in_store(l, now_us), leased(l, now_us));
        a.full_us = full_us(l, now_us);
        break;
    case WEIR_CLUSTER_LIMIT_DEGRADED:
        shown.limit = l->alone.limit;
        a.remaining = weir_cluster_limit_tokens(l, now_us);
        a.full_us = weir_limiter_look(&l->alone, now_us, 1).full_us;
        break;
    case WEIR_CLUSTER_LIMIT_CLOSED: /* when the store will be back nobody knows: a second is how often it is tried */
        a.wait_us = wait_us < WEIR_CLUSTER_LIMIT_GRACE_US ? wait_us : WEIR_CLUSTER_LIMIT_GRACE_US;
        a.full_us = a.wait_us;
        break;
    }
    return weir_limiter_show(&shown, &a);
}

/* -- the store -- */

/* Part of the burst that one node may have at hand: others want some of it too. */
#define BURST_PARTS 8u

/* More than what waits and what is expected to come, while requests come at all and the store has enough for everybody:
 * who finds no token waits for the next question, and shall not have to, unless the limit is used up. What is not spent
 * goes back as if it had never been taken. */
static uint32_t reserve(const struct weir_cluster_limit *l, uint32_t queued)
{
    uint32_t lately = l->lease.spent > l->lease.expected ? l->lease.spent : l->lease.expected;
    if (l->store.per_minute > 0 || (queued == 0 && l->lease.spent == 0 && l->spent_alone == 0))
        return 0;
    uint64_t flow = (uint64_t)l->config.limit * WEIR_LEASE_PULL_US / WEIR_LIMITER_MINUTE_US;
    uint64_t least = flow + l->config.burst / BURST_PARTS + 1;
    return lately > least ? lately : (uint32_t)least;
}

bool weir_cluster_limit_wish(struct weir_cluster_limit *l, uint64_t now_us, uint32_t queued, bool drain,
                             struct weir_coord_tokens_item *out)
{
    if (queued == 0 && l->lease.spent == 0)
        l->lease.expected = 0; /* a lease was not touched: the next one can wait until somebody comes */
    struct weir_coord_tokens_item item = {
        .limit = l->config.limit,
        .burst = l->config.burst,
        .strict = l->config.strict,
        .want = drain && queued == 0 ? 0 : weir_lease_want(&l->lease, now_us, weir_add_u32(queued, reserve(l, queued))),
        .spent = l->spent_alone,
    };
    struct weir_lease_unused back = weir_lease_hand_back(&l->lease, now_us, drain);
    item.unused = back.tokens;
    item.unused_since_us = back.since_us;
    if (item.want == 0 && item.unused == 0 && item.spent == 0)
        return false;
    l->spent_alone = 0;
    *out = item;
    return true;
}

bool weir_cluster_limit_owes(const struct weir_cluster_limit *l, uint64_t now_us)
{
    struct weir_lease copy = l->lease;
    return l->spent_alone > 0 || weir_lease_hand_back(&copy, now_us, false).tokens > 0;
}

/* A bucket that cannot give what is asked for gives this node some part of what comes into it: how much is known by
 * what it gave between its last two answers, smoothed. */
static void follow_flow(struct weir_cluster_limit *l, const struct weir_cluster_limit_answer *a, uint64_t now_us)
{
    uint64_t since_us = now_us - l->store.at_us;
    if (a->granted >= a->asked.want || l->store.at_us == 0 || since_us < WEIR_LEASE_PULL_US / 2) {
        l->store.per_minute = a->granted >= a->asked.want ? 0 : l->store.per_minute;
        return;
    }
    uint64_t rate = a->granted * WEIR_LIMITER_MINUTE_US / since_us;
    rate = rate < l->config.limit ? rate : l->config.limit;
    uint64_t before = l->store.per_minute > 0 ? l->store.per_minute : l->config.limit;
    uint64_t smooth = (before * 3 + rate) / 4;
    l->store.per_minute = smooth > 0 ? (uint32_t)smooth : 1;
}

void weir_cluster_limit_answered(struct weir_cluster_limit *l, uint64_t now_us,
                                 const struct weir_cluster_limit_answer *a)
{
    if (!a->ok) {
        /* Charged twice at worst, which keeps the bound. What was handed back is gone, for the same reason. */
        l->spent_alone = weir_add_u32(l->spent_alone, a->asked.spent);
        if (l->mode == WEIR_CLUSTER_LIMIT_LEASED && mode_alone(l) == WEIR_CLUSTER_LIMIT_DEGRADED) {
            weir_cluster_limit_alone(l, a->nodes, now_us);
            l->late = true;
        }
        return;
    }
    if (l->late)
        weir_cluster_limit_lease(l);
    weir_lease_granted(&l->lease, now_us, a->granted, a->asked_us, a->store_us);
    if (a->asked.want > 0)
        follow_flow(l, a, now_us);
    l->store.remaining = a->remaining;
    l->store.wait_us = a->wait_us;
    l->store.full_us = a->full_us;
    l->store.at_us = now_us;
}
