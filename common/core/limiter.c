#include "core/limiter.h"

#include <assert.h>

#include "core/saturate.h"

/* What is taken and not yet filled up again, in parts of 1/limit microseconds: a token is period_us of them. Cut where
 * it could overflow: centuries of debt. */
static uint64_t owed(const struct weir_limiter *l, uint64_t now_us)
{
    uint64_t us_max = UINT64_MAX / 4 / l->limit;
    if (l->tat_us < now_us)
        return 0;
    uint64_t us = l->tat_us - now_us;
    return (us < us_max ? us : us_max) * l->limit + l->tat_part;
}

static void owe(struct weir_limiter *l, uint64_t now_us, uint64_t parts)
{
    l->tat_us = now_us + parts / l->limit;
    l->tat_part = (uint32_t)(parts % l->limit);
}

static uint64_t capacity(const struct weir_limiter *l)
{
    return l->burst * l->period_us;
}

static uint64_t divide_up(uint64_t a, uint64_t b)
{
    return a / b + (a % b != 0);
}

static uint32_t whole_tokens(const struct weir_limiter *l, uint64_t parts_owed)
{
    return parts_owed >= capacity(l) ? 0 : (uint32_t)((capacity(l) - parts_owed) / l->period_us);
}

void weir_limiter_init(struct weir_limiter *l, uint32_t limit, uint32_t burst, uint64_t period_us, uint64_t now_us,
                       bool strict)
{
    assert(limit > 0 && burst > 0 && period_us > 0);
    assert(UINT32_MAX * period_us < UINT64_MAX / 4); /* any burst, and as much again of debt, fits */
    *l = (struct weir_limiter){.limit = limit, .burst = burst, .period_us = period_us};
    owe(l, now_us, strict ? capacity(l) : 0);
}

void weir_limiter_set(struct weir_limiter *l, uint32_t limit, uint32_t burst, uint64_t now_us)
{
    assert(limit > 0 && burst > 0);
    uint32_t tokens = weir_limiter_debt(l, now_us);
    l->limit = limit;
    l->burst = burst;
    owe(l, now_us, tokens * l->period_us);
}

uint32_t weir_limiter_debt(const struct weir_limiter *l, uint64_t now_us)
{
    uint64_t tokens = divide_up(owed(l, now_us), l->period_us);
    return tokens <= UINT32_MAX ? (uint32_t)tokens : UINT32_MAX;
}

uint32_t weir_limiter_missing(const struct weir_limiter *l, uint64_t now_us)
{
    uint64_t tokens = owed(l, now_us) / l->period_us;
    return tokens <= UINT32_MAX ? (uint32_t)tokens : UINT32_MAX;
}

struct weir_limiter_answer weir_limiter_look(const struct weir_limiter *l, uint64_t now_us, uint32_t cost)
{
    uint64_t debt = owed(l, now_us);
    uint64_t need = (cost < l->burst ? cost : l->burst) * l->period_us;
    struct weir_limiter_answer a = {.remaining = whole_tokens(l, debt), .full_us = divide_up(debt, l->limit)};
    if (debt + need > capacity(l))
        a.wait_us = divide_up(debt + need - capacity(l), l->limit);
    else
        a.ok = true;
    return a;
}

uint32_t weir_limiter_tokens(const struct weir_limiter *l, uint64_t now_us)
{
    return whole_tokens(l, owed(l, now_us));
}

uint64_t weir_limiter_wait_us(const struct weir_limiter *l, uint64_t now_us, uint32_t nth)
{
    uint64_t filled = owed(l, now_us) + nth * l->period_us;
    return filled > capacity(l) ? divide_up(filled - capacity(l), l->limit) : 0;
}

void weir_limiter_charge(struct weir_limiter *l, uint64_t now_us, uint32_t used)
{
    owe(l, now_us, owed(l, now_us) + used * l->period_us);
}

struct weir_limiter_answer weir_limiter_take(struct weir_limiter *l, uint64_t now_us, uint32_t cost)
{
    struct weir_limiter_answer a = weir_limiter_look(l, now_us, cost);
    if (!a.ok)
        return a;
    weir_limiter_charge(l, now_us, cost);
    a.remaining = whole_tokens(l, owed(l, now_us));
    a.full_us = divide_up(owed(l, now_us), l->limit);
    return a;
}

uint32_t weir_limiter_grant(struct weir_limiter *l, uint64_t now_us, uint32_t want)
{
    uint32_t there = weir_limiter_tokens(l, now_us);
    uint32_t n = want < there ? want : there;
    if (n > 0)
        weir_limiter_charge(l, now_us, n);
    return n;
}

void weir_limiter_hand_back(struct weir_limiter *l, uint64_t now_us, uint32_t unused)
{
    uint64_t debt = owed(l, now_us), parts = unused * l->period_us;
    if (debt > 0)
        owe(l, now_us, debt > parts ? debt - parts : 0);
}

uint32_t weir_limiter_share(uint32_t limit, uint32_t share_ppm, uint32_t nodes)
{
    uint64_t whole = (uint64_t)limit * share_ppm / 1000000;
    assert(nodes > 0 && share_ppm <= 1000000);
    return whole > nodes ? (uint32_t)(whole / nodes) : 1;
}

struct weir_limiter_values weir_limiter_show(const struct weir_limiter *l, const struct weir_limiter_answer *a)
{
    uint64_t wait_s = divide_up(a->wait_us, 1000000);
    return (struct weir_limiter_values){
        .limit = l->limit,
        .remaining = a->remaining,
        .reset_s = divide_up(a->full_us, 1000000),
        .retry_after_s = a->ok        ? 0
                         : wait_s > 0 ? wait_s
                                      : 1,
    };
}

/* -- leases -- */

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Those that are there already may be older: then all end as early as they do. */
static void leave_unused(struct weir_lease *l, uint64_t now_us, uint32_t tokens, uint64_t expired_us, uint64_t since_us)
{
    uint64_t until = expired_us - WEIR_LEASE_LIFE_US + WEIR_LEASE_RETURN_US - WEIR_LEASE_WAY_US;
    if (l->unused > 0 && l->unused_until_us <= now_us)
        l->unused = 0;
    if (tokens == 0 || until <= now_us)
        return;
    l->unused_until_us = l->unused > 0 ? earlier(l->unused_until_us, until) : until;
    l->unused_since_us = l->unused > 0 ? earlier(l->unused_since_us, since_us) : since_us;
    l->unused = weir_add_u32(l->unused, tokens);
}

static void expire(struct weir_lease *l, uint64_t now_us)
{
    for (int i = 0; i < 2; i++)
        if (l->parts[i].expires_us <= now_us) {
            leave_unused(l, now_us, l->parts[i].tokens, l->parts[i].expires_us, l->parts[i].since_us);
            l->parts[i].tokens = 0;
        }
    if (l->parts[0].tokens == 0) {
        l->parts[0] = l->parts[1];
        l->parts[1].tokens = 0;
    }
}

uint32_t weir_lease_tokens(struct weir_lease *l, uint64_t now_us)
{
    expire(l, now_us);
    return weir_add_u32(l->parts[0].tokens, l->parts[1].tokens);
}

bool weir_lease_take(struct weir_lease *l, uint64_t now_us)
{
    if (weir_lease_tokens(l, now_us) == 0)
        return false;
    l->parts[0].tokens--;
    l->taken_since_us = l->parts[0].since_us;
    l->spent = weir_add_u32(l->spent, 1);
    return true;
}

void weir_lease_put_back(struct weir_lease *l, uint64_t now_us)
{
    expire(l, now_us);
    l->spent -= l->spent > 0;
    if (l->parts[0].tokens > 0) {
        l->parts[0].tokens = weir_add_u32(l->parts[0].tokens, 1);
        l->parts[0].since_us = earlier(l->parts[0].since_us, l->taken_since_us);
    } else { /* of the lease that it was of nothing is left, not even how long it lasts */
        leave_unused(l, now_us, 1, now_us, l->taken_since_us);
    }
}

uint32_t weir_lease_want(struct weir_lease *l, uint64_t now_us, uint32_t queued)
{
    if (l->pulled && now_us < l->pulled_us + WEIR_LEASE_PULL_US)
        return 0;
    uint32_t faded = (uint32_t)((uint64_t)l->expected * 3 / 4);
    l->expected = l->spent > faded ? l->spent : faded;
    l->spent = 0;
    uint32_t need = weir_add_u32(queued, l->expected);
    if (need == 0)
        return 0;
    l->pulled = true;
    l->pulled_us = now_us;
    return need;
}

void weir_lease_granted(struct weir_lease *l, uint64_t now_us, uint32_t tokens, uint64_t asked_us, uint64_t since_us)
{
    uint64_t expires = asked_us + WEIR_LEASE_LIFE_US;
    expire(l, now_us);
    if (tokens == 0)
        return;
    if (expires <= now_us) {
        leave_unused(l, now_us, tokens, expires, since_us);
        return;
    }
    int i = l->parts[0].tokens > 0;
    /* No room for a third: it ends with the second, early rather than late, as the bound is on how long tokens live. */
    bool first = l->parts[i].tokens == 0;
    l->parts[i].expires_us = first ? expires : earlier(l->parts[i].expires_us, expires);
    l->parts[i].since_us = first ? since_us : earlier(l->parts[i].since_us, since_us);
    l->parts[i].tokens = weir_add_u32(l->parts[i].tokens, tokens);
    if (i == 1)
        l->parts[0].expires_us = earlier(l->parts[0].expires_us, l->parts[1].expires_us);
}

/* One pile on another. */
static void gather(struct weir_lease_unused *to, uint32_t tokens, uint64_t since_us)
{
    if (tokens == 0)
        return;
    to->since_us = to->tokens > 0 ? earlier(to->since_us, since_us) : since_us;
    to->tokens = weir_add_u32(to->tokens, tokens);
}

struct weir_lease_unused weir_lease_hand_back(struct weir_lease *l, uint64_t now_us, bool drain)
{
    struct weir_lease_unused out = {0};
    expire(l, now_us);
    if (l->unused_until_us > now_us)
        gather(&out, l->unused, l->unused_since_us);
    l->unused = 0;
    for (int i = 0; drain && i < 2; i++) {
        gather(&out, l->parts[i].tokens, l->parts[i].since_us);
        l->parts[i].tokens = 0;
    }
    return out;
}
