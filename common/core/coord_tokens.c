/* The rate limits that all nodes share: core/limiter, one bucket for each provider. */
#include "core/coord_impl.h"

static uint32_t smaller(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static struct weir_coord_bucket *find(struct weir_coord_state *s, const char *provider)
{
    for (uint32_t i = 0; i < s->bucket_count; i++)
        if (strcmp(s->buckets[i].provider, provider) == 0)
            return &s->buckets[i];
    return NULL;
}

/* A place for one more: free, or that of the bucket that was used least recently. NULL: out of memory. */
static struct weir_coord_bucket *take_place(struct weir_coord_state *s)
{
    if (s->bucket_count == WEIR_COORD_LIMITS_MAX) {
        struct weir_coord_bucket *oldest = &s->buckets[0];
        for (uint32_t i = 1; i < s->bucket_count; i++)
            if (s->buckets[i].used < oldest->used)
                oldest = &s->buckets[i];
        return oldest;
    }
    void *buckets = s->buckets;
    if (!weir_coord_grow(&buckets, s->bucket_count, &s->bucket_cap, sizeof s->buckets[0]))
        return NULL;
    s->buckets = buckets;
    return &s->buckets[s->bucket_count++];
}

/* The provider's bucket with the numbers asked for: what is owed goes over from others, in whole tokens. */
static struct weir_coord_bucket *bucket_of(const struct weir_coord_turn *t, const struct weir_coord_tokens_item *q,
                                           uint32_t limit, uint32_t burst)
{
    uint64_t period_us = WEIR_LIMITER_MINUTE_US + (q->strict ? WEIR_LEASE_LIFE_US : 0);
    struct weir_coord_bucket *b = find(t->s, q->provider);
    if (b == NULL) {
        b = take_place(t->s);
        if (b == NULL)
            return NULL;
        weir_coord_copy(b->provider, sizeof b->provider, q->provider);
        weir_limiter_init(&b->limiter, limit, burst, period_us, t->now_us, q->strict);
        b->low = b->low_before = 0;
        b->round = t->now_us / WEIR_LEASE_RETURN_US;
    } else if (b->limiter.limit != limit || b->limiter.burst != burst || b->limiter.period_us != period_us) {
        uint32_t debt = weir_limiter_debt(&b->limiter, t->now_us);
        weir_limiter_init(&b->limiter, limit, burst, period_us, t->now_us, false);
        weir_limiter_charge(&b->limiter, t->now_us, smaller(debt, limit + burst));
        b->low = b->low_before = 0;
    }
    b->used = t->s->tokens_requests;
    return b;
}

/* More is owed only for what was spent longer than a period ago, or because the clock was set back. */
static void forgive(struct weir_limiter *l, uint64_t now_us)
{
    uint32_t most = l->limit + l->burst;
    if (weir_limiter_debt(l, now_us) <= most)
        return;
    weir_limiter_init(l, l->limit, l->burst, l->period_us, now_us, false);
    weir_limiter_charge(l, now_us, most);
}

/* What is owed is least just before something is taken. A full bucket owes nothing, and what would have come into it is
 * lost; had tokens that come back unused never been taken, it would have lost as much of them as went below nothing. */
static void note_low(struct weir_coord_bucket *b, uint64_t now_us)
{
    uint32_t debt = weir_limiter_debt(&b->limiter, now_us), owes = debt > 0 ? debt - 1 : 0;
    uint64_t round = now_us / WEIR_LEASE_RETURN_US;
    if (round == b->round + 1)
        b->low_before = b->low;
    else if (round > b->round)
        b->low_before = owes; /* it fell all the time */
    else if (round < b->round)
        b->low = b->low_before = 0; /* the clock was set back: nothing is known */
    b->low = round > b->round ? owes : smaller(b->low, owes);
    b->round = round;
}

/* Puts tokens back as if they had never been taken. Without this, nodes that take more than they spend and give it back
 * would keep a full bucket from losing anything, and could save up more than a burst among them. */
static void hand_back(struct weir_coord_bucket *b, uint64_t now_us, uint32_t unused)
{
    uint32_t n = smaller(unused, smaller(b->low, b->low_before));
    weir_limiter_hand_back(&b->limiter, now_us, n);
    b->low -= n;
    b->low_before -= n;
}

void weir_coord_tokens(const struct weir_coord_turn *t, const struct weir_coord_tokens *q)
{
    t->s->tokens_requests++;
    for (uint32_t i = 0; i < q->count && i < WEIR_COORD_BATCH; i++) {
        const struct weir_coord_tokens_item *item = &q->items[i];
        uint32_t limit = smaller(item->limit, WEIR_COORD_LIMIT_MAX), burst = smaller(item->burst, WEIR_COORD_LIMIT_MAX);
        struct weir_coord_bucket *b = bucket_of(t, item, limit, burst);
        if (b == NULL) {
            weir_coord_refuse(t, WEIR_COORD_REFUSED, "out of memory");
            return;
        }
        struct weir_limiter *l = &b->limiter;
        forgive(l, t->now_us);
        note_low(b, t->now_us);
        hand_back(b, t->now_us, item->unused);
        weir_limiter_charge(l, t->now_us, smaller(item->spent, limit + burst));
        forgive(l, t->now_us);
        t->reply->tokens.items[i].granted = weir_limiter_grant(l, t->now_us, item->want);
        t->reply->tokens.items[i].remaining = weir_limiter_tokens(l, t->now_us);
        t->reply->tokens.items[i].wait_us = weir_limiter_wait_us(l, t->now_us, 1);
        t->reply->tokens.items[i].full_us = weir_limiter_look(l, t->now_us, 1).full_us;
        t->reply->tokens.count = i + 1;
    }
}
