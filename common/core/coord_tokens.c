/* The rate limits that all nodes share: core/limiter, one bucket for each provider. */
#include <assert.h>

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
        b->low_count = 0;
    } else if (b->limiter.limit != limit || b->limiter.burst != burst || b->limiter.period_us != period_us) {
        uint32_t debt = weir_limiter_debt(&b->limiter, t->now_us);
        weir_limiter_init(&b->limiter, limit, burst, period_us, t->now_us, false);
        weir_limiter_charge(&b->limiter, t->now_us, smaller(debt, limit + burst));
        b->low_count = 0;
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

/* What comes back is put back as if it had never been taken. A full bucket loses what would come into it; had these
 * tokens stayed in it, it would have been full sooner, and lost as many of them as the debt since their grant went
 * below their number. The least debt since then is therefore what can come back. Without this, nodes that take more
 * than they spend and give it back would keep a full bucket from losing anything, and could save up more than a burst
 * among them.
 *
 * A debt only falls between two requests: its least is what each of them finds. */
static void note_debt(struct weir_coord_bucket *b, uint64_t now_us)
{
    uint32_t count = b->low_count, owes = weir_limiter_missing(&b->limiter, now_us);
    if (count > 0 && b->lows[count - 1].at_us > now_us)
        owes = 0; /* the clock was set back: nothing is known until it is there again */
    b->low_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct weir_coord_low e = b->lows[i];
        if (e.at_us + WEIR_LEASE_RETURN_US < now_us || e.at_us > now_us + WEIR_LEASE_RETURN_US)
            continue; /* what was granted then is too old by now, or by a clock set back of a time to come */
        b->lows[b->low_count++] = (struct weir_coord_low){e.at_us, smaller(e.low, owes)};
    }
}

static void note_grant(struct weir_coord_bucket *b, uint64_t now_us)
{
    static_assert(WEIR_LEASE_RETURN_US / WEIR_COORD_LOWS_US < WEIR_COORD_LOWS, "those that note_debt leaves, and one");
    if (b->low_count > 0 && now_us < b->lows[b->low_count - 1].at_us + WEIR_COORD_LOWS_US)
        return;
    assert(b->low_count < WEIR_COORD_LOWS);
    b->lows[b->low_count++] = (struct weir_coord_low){now_us, weir_limiter_missing(&b->limiter, now_us)};
}

/* By the last entry that saw all of the time since; without one nothing is known, and nothing comes back. With these
 * tokens in it, the bucket would have owed less from then on, and maybe less than ever before. */
static void hand_back(struct weir_coord_bucket *b, uint64_t now_us, uint32_t unused, uint64_t since_us)
{
    uint32_t after = 0;
    while (after < b->low_count && b->lows[after].at_us <= since_us)
        after++;
    if (after == 0 || since_us > now_us)
        return;
    uint32_t n = smaller(unused, b->lows[after - 1].low), left = b->lows[after - 1].low - n;
    weir_limiter_hand_back(&b->limiter, now_us, n);
    for (uint32_t i = 0; i < b->low_count; i++)
        b->lows[i].low = i < after ? smaller(b->lows[i].low, left) : b->lows[i].low - n;
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
        note_debt(b, t->now_us);
        hand_back(b, t->now_us, item->unused, item->unused_since_us);
        weir_limiter_charge(l, t->now_us, smaller(item->spent, limit + burst));
        forgive(l, t->now_us);
        t->reply->tokens.items[i].granted = weir_limiter_grant(l, t->now_us, item->want);
        if (t->reply->tokens.items[i].granted > 0)
            note_grant(b, t->now_us);
        t->reply->tokens.items[i].remaining = weir_limiter_tokens(l, t->now_us);
        t->reply->tokens.items[i].wait_us = weir_limiter_wait_us(l, t->now_us, 1);
        t->reply->tokens.items[i].full_us = weir_limiter_look(l, t->now_us, 1).full_us;
        t->reply->tokens.count = i + 1;
    }
}
