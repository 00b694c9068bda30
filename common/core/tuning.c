#include "core/tuning.h"

#include <assert.h>
#include <math.h>

uint32_t weir_tuning_pool_size(int64_t target_rps, double response_ms_avg)
{
    /* The order of operations is the guide's: another one rounds otherwise. */
    double size = (double)target_rps * response_ms_avg / 1000 * WEIR_TUNING_POOL_SAFE;
    if (isnan(size) || size < WEIR_TUNING_POOL_MIN)
        return WEIR_TUNING_POOL_MIN;
    return size >= WEIR_TUNING_POOL_MAX ? WEIR_TUNING_POOL_MAX : (uint32_t)size;
}

/* Python's max(): the first one unless the second is greater, so that no number is never chosen. */
static double max_of(double first, double second)
{
    return second > first ? second : first;
}

struct weir_tuning_timeouts weir_tuning_timeouts(double network_latency_s, double provider_timeout_s)
{
    struct weir_tuning_timeouts t = {.connect_s = max_of(5.0, network_latency_s * 2),
                                     .read_s = max_of(10.0, provider_timeout_s * 0.8)};
    t.total_s = t.connect_s + t.read_s + 5.0;
    return t;
}

bool weir_tuning_due(const struct weir_tuning_history *h, uint64_t now_ms)
{
    return now_ms >= h->due_ms;
}

static uint64_t grown(uint64_t now, uint64_t before)
{
    return now > before ? now - before : 0;
}

void weir_tuning_note(struct weir_tuning_history *h, uint64_t now_ms, const struct weir_tuning_sums *sums)
{
    if (h->due_ms != 0) {
        h->slot[h->at].ms = now_ms - h->begun_ms;
        h->slot[h->at].sums = (struct weir_tuning_sums){.requests = grown(sums->requests, h->last.requests),
                                                        .exchanges = grown(sums->exchanges, h->last.exchanges),
                                                        .exchange_us = grown(sums->exchange_us, h->last.exchange_us),
                                                        .connects = grown(sums->connects, h->last.connects),
                                                        .connect_us = grown(sums->connect_us, h->last.connect_us)};
        h->at = (h->at + 1) % WEIR_TUNING_SLOTS;
    }
    h->last = *sums;
    h->begun_ms = now_ms;
    h->due_ms = now_ms + WEIR_TUNING_SLOT_MS;
}

uint32_t weir_tuning_measured_size(const struct weir_tuning_history *h, uint32_t before)
{
    uint64_t requests = 0, exchanges = 0, exchange_us = 0;
    double rate = 0;
    for (unsigned i = 0; i < WEIR_TUNING_SLOTS; i++) {
        const struct weir_tuning_sums *s = &h->slot[i].sums;
        requests += s->requests;
        exchanges += s->exchanges;
        exchange_us += s->exchange_us;
        if (h->slot[i].ms > 0)
            rate = max_of(rate, (double)s->requests * 1000 / (double)h->slot[i].ms);
    }
    if (exchanges == 0)
        return requests > 0 ? before : 0;
    uint32_t size = weir_tuning_pool_size((int64_t)ceil(rate), (double)exchange_us / (double)exchanges / 1000);
    return size < before && size > before - before / 10 ? before : size;
}

double weir_tuning_measured_latency(const struct weir_tuning_history *h)
{
    uint64_t connects = 0, us = 0;
    for (unsigned i = 0; i < WEIR_TUNING_SLOTS; i++) {
        connects += h->slot[i].sums.connects;
        us += h->slot[i].sums.connect_us;
    }
    return connects > 0 ? (double)us / (double)connects / 1e6 : -1;
}

double weir_load_factor(enum weir_load_band band)
{
    return band == WEIR_LOAD_LOW ? 0.5 : band == WEIR_LOAD_HIGH ? 1.5 : 1.0;
}

enum weir_load_band weir_load_band_next(enum weir_load_band before, double load)
{
    double high = before == WEIR_LOAD_HIGH ? WEIR_LOAD_HIGH_FROM - WEIR_LOAD_HYSTERESIS : WEIR_LOAD_HIGH_FROM;
    double normal = before == WEIR_LOAD_LOW ? WEIR_LOAD_NORMAL_FROM : WEIR_LOAD_NORMAL_FROM - WEIR_LOAD_HYSTERESIS;
    if (load >= high)
        return WEIR_LOAD_HIGH;
    return load >= normal ? WEIR_LOAD_NORMAL : WEIR_LOAD_LOW;
}

/* Empties the slots that time has passed over. */
static void advance(struct weir_load *l, uint64_t now_ms)
{
    uint64_t slot = now_ms / WEIR_LOAD_SLOT_MS;
    if (slot <= l->slot)
        return;
    uint64_t passed = slot - l->slot < WEIR_LOAD_SLOTS ? slot - l->slot : WEIR_LOAD_SLOTS;
    for (uint64_t i = 0; i < passed; i++)
        l->peak[(slot - i) % WEIR_LOAD_SLOTS] = 0;
    l->slot = slot;
}

void weir_load_note(struct weir_load *l, uint64_t now_ms, uint64_t wanted)
{
    advance(l, now_ms);
    uint64_t *peak = &l->peak[l->slot % WEIR_LOAD_SLOTS];
    if (wanted > *peak)
        *peak = wanted;
}

uint64_t weir_load_peak(struct weir_load *l, uint64_t now_ms)
{
    uint64_t peak = 0;
    advance(l, now_ms);
    for (unsigned i = 0; i < WEIR_LOAD_SLOTS; i++)
        peak = l->peak[i] > peak ? l->peak[i] : peak;
    return peak;
}

enum weir_load_band weir_load_update(struct weir_load *l, uint64_t now_ms, uint32_t configured)
{
    assert(configured > 0);
    l->band = weir_load_band_next(l->band, (double)weir_load_peak(l, now_ms) / configured);
    return l->band;
}

static uint32_t min_of(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* int(base * factor), as the guide has it. */
static uint32_t scaled(uint32_t base, enum weir_load_band band)
{
    double size = base * weir_load_factor(band);
    return size < (double)UINT32_MAX ? (uint32_t)size : UINT32_MAX;
}

struct weir_tuning_limits weir_tuning_limits(const struct weir_tuning_wishes *w)
{
    assert(w->max_connections > 0);
    struct weir_tuning_limits l = {w->max_connections, w->max_keepalive};
    if (!w->scaled && w->tuned == 0 && w->hinted == 0)
        return l;
    uint32_t wish = w->scaled ? scaled(w->max_connections, w->band) : 0;
    wish = w->tuned > wish ? w->tuned : wish;
    wish = w->hinted > wish ? w->hinted : wish;
    uint32_t floor = min_of(WEIR_TUNING_POOL_MIN, w->max_connections);
    wish = min_of(wish > floor ? wish : floor, w->cap);
    l.max_connections = wish > 0 ? wish : 1;
    if (w->scaled)
        l.max_keepalive = scaled(w->max_keepalive, w->band);
    if (l.max_keepalive == 0 && w->max_keepalive > 0)
        l.max_keepalive = 1;
    l.max_keepalive = min_of(l.max_keepalive, l.max_connections);
    return l;
}
