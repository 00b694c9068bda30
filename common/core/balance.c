#include "core/balance.h"

#include <assert.h>
#include <math.h>

/* An estimate of 0 would make the number in flight count for nothing. */
#define LATENCY_US_MIN 1.0

/* What is left of an estimate's say after the time since it was made. */
static double remaining(const struct weir_balance_latency *l, uint64_t now_us)
{
    double age = now_us > l->at_us ? (double)(now_us - l->at_us) : 0;
    return exp(-age / (double)WEIR_BALANCE_DECAY_US);
}

void weir_balance_latency_init(struct weir_balance_latency *l, uint64_t now_us)
{
    *l = (struct weir_balance_latency){.us = (double)WEIR_BALANCE_UNKNOWN_US, .at_us = now_us};
}

void weir_balance_answered(struct weir_balance_latency *l, uint64_t now_us, uint64_t first_byte_us)
{
    double sample = (double)first_byte_us;
    double w = remaining(l, now_us);
    l->us = sample > l->us || !l->measured ? sample : l->us * w + sample * (1 - w);
    l->measured = true;
    l->failed = false;
    if (now_us > l->at_us)
        l->at_us = now_us;
}

void weir_balance_failed(struct weir_balance_latency *l, uint64_t now_us, uint64_t took_us)
{
    weir_balance_answered(l, now_us, took_us > WEIR_BALANCE_PENALTY_US ? took_us : WEIR_BALANCE_PENALTY_US);
    l->failed = true;
}

double weir_balance_latency_us(const struct weir_balance_latency *l, uint64_t now_us)
{
    double us = l->us * remaining(l, now_us);
    return us > LATENCY_US_MIN ? us : LATENCY_US_MIN;
}

static uint64_t bits_where(const struct weir_balance_item *items, unsigned n, bool tried, bool ejected)
{
    uint64_t bits = 0;
    for (unsigned i = 0; i < n; i++) {
        const struct weir_balance_item *e = &items[i];
        if (e->weight > 0 && !e->closed && (tried || !e->tried) && (ejected || !e->ejected))
            bits |= UINT64_C(1) << i;
    }
    return bits;
}

uint64_t weir_balance_candidates(const struct weir_balance_item *items, unsigned n)
{
    assert(n <= WEIR_POOL_ENDPOINTS_MAX);
    uint64_t bits = bits_where(items, n, false, false);
    if (bits == 0)
        bits = bits_where(items, n, true, false);
    return bits != 0 ? bits : bits_where(items, n, true, true);
}

static double weight_of(const struct weir_balance_item *e, uint64_t slow_start_ms)
{
    if (e->up_ms >= slow_start_ms)
        return e->weight;
    double share = (double)e->up_ms / (double)slow_start_ms;
    return e->weight * (share > WEIR_BALANCE_START_SHARE ? share : WEIR_BALANCE_START_SHARE);
}

double weir_balance_cost(const struct weir_balance_item *item, uint64_t slow_start_ms)
{
    assert(item->weight > 0);
    return ((double)item->in_flight + 1) * item->latency_us / weight_of(item, slow_start_ms);
}

/* Draws one of the bits by weight. part: uniform in [0, 1). */
static unsigned draw(const struct weir_balance_item *items, uint64_t bits, uint64_t slow_start_ms, double part)
{
    double sum = 0;
    unsigned last = 0;
    for (uint64_t left = bits; left != 0; left &= left - 1)
        sum += weight_of(&items[__builtin_ctzll(left)], slow_start_ms);
    double at = part * sum;
    for (uint64_t left = bits; left != 0; left &= left - 1) {
        last = (unsigned)__builtin_ctzll(left);
        at -= weight_of(&items[last], slow_start_ms);
        if (at < 0)
            break;
    }
    return last; /* also where rounding left a rest */
}

int weir_balance_pick(const struct weir_balance_item *items, unsigned n, uint64_t slow_start_ms, uint64_t random)
{
    uint64_t bits = weir_balance_candidates(items, n);
    if (bits == 0)
        return -1;
    unsigned a = draw(items, bits, slow_start_ms, (double)(random >> 32) / 0x1p32);
    bits &= ~(UINT64_C(1) << a);
    if (bits == 0)
        return (int)a;
    unsigned b = draw(items, bits, slow_start_ms, (double)(random & UINT32_MAX) / 0x1p32);
    return (int)(weir_balance_cost(&items[b], slow_start_ms) < weir_balance_cost(&items[a], slow_start_ms) ? b : a);
}
