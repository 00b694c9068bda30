#include "core/load_forecast.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A provider that is not told of for so many steps is forgotten: a day, of minutes. */
#define FORGET_STEPS 1440u

/* Of a provider, or of the cluster. */
struct line {
    char provider[WEIR_PROVIDER_NAME_MAX + 1];
    uint64_t told; /* the last step */
    struct weir_forecast *of[WEIR_LOAD_MEASURES];
};

struct past {
    uint64_t number;
    double values[WEIR_LOAD_MEASURES];
};

struct weir_load_forecast {
    enum weir_load_step step;
    uint64_t slot_ms, step_ms;
    unsigned horizon;
    bool any;
    uint64_t last; /* the number of the last step */
    struct line cluster;
    uint32_t count;
    struct line lines[WEIR_LOAD_PROVIDERS_MAX];
    uint32_t past_count;
    struct past past[WEIR_LOAD_PAST_MAX]; /* the N-th at N modulo that */
};

/* -- life -- */

static void line_close(struct line *l)
{
    for (int i = 0; i < WEIR_LOAD_MEASURES; i++)
        weir_forecast_free(&l->of[i]);
}

static bool line_open(const struct weir_load_forecast *f, struct line *l, const char *provider)
{
    memset(l, 0, sizeof *l);
    memcpy(l->provider, provider, strlen(provider) + 1);
    for (int i = 0; i < WEIR_LOAD_MEASURES; i++) {
        l->of[i] = weir_forecast_new((double)f->step_ms / 1000, f->horizon);
        if (l->of[i] == NULL) {
            line_close(l);
            return false;
        }
    }
    return true;
}

struct weir_load_forecast *weir_load_forecast_new(uint64_t slot_ms, uint64_t window_ms)
{
    assert(slot_ms > 0);
    struct weir_load_forecast *f = calloc(1, sizeof *f);
    if (f == NULL)
        return NULL;
    f->slot_ms = slot_ms;
    uint64_t steps = UINT64_MAX;
    for (int step = WEIR_LOAD_SLOT; steps > WEIR_LOAD_AHEAD_MAX && step < WEIR_LOAD_STEPS; step++) {
        f->step = (enum weir_load_step)step;
        f->step_ms = slot_ms * weir_load_step_slots(f->step);
        steps = (window_ms + f->step_ms - 1) / f->step_ms;
    }
    f->horizon = steps < 1 ? 1 : steps > WEIR_FORECAST_HORIZON_MAX ? WEIR_FORECAST_HORIZON_MAX : (unsigned)steps;
    if (!line_open(f, &f->cluster, "")) {
        free(f);
        return NULL;
    }
    return f;
}

void weir_load_forecast_free(struct weir_load_forecast **f)
{
    if (*f == NULL)
        return;
    line_close(&(*f)->cluster);
    for (uint32_t i = 0; i < (*f)->count; i++)
        line_close(&(*f)->lines[i]);
    free(*f);
    *f = NULL;
}

enum weir_load_step weir_load_forecast_step(const struct weir_load_forecast *f)
{
    return f->step;
}

uint64_t weir_load_forecast_step_ms(const struct weir_load_forecast *f)
{
    return f->step_ms;
}

unsigned weir_load_forecast_horizon(const struct weir_load_forecast *f)
{
    return f->horizon;
}

/* -- what was -- */

/* The index of a provider's line; count: there is none. */
static uint32_t line_find(const struct weir_load_forecast *f, const char *provider)
{
    uint32_t i = 0;
    while (i < f->count && strcmp(f->lines[i].provider, provider) != 0)
        i++;
    return i;
}

static void forget(struct weir_load_forecast *f, uint64_t number)
{
    for (uint32_t i = f->count; i-- > 0;)
        if (f->lines[i].told + FORGET_STEPS < number) {
            line_close(&f->lines[i]);
            f->lines[i] = f->lines[--f->count];
        }
}

/* A step without a record of the provider is one without load. */
static void line_push(struct line *l, const double values[WEIR_LOAD_MEASURES], uint64_t gap)
{
    for (int i = 0; i < WEIR_LOAD_MEASURES; i++) {
        weir_forecast_skip(l->of[i], gap);
        weir_forecast_push(l->of[i], values[i]);
    }
}

static bool meet_providers(struct weir_load_forecast *f, const struct weir_load_record *r)
{
    bool all = true;
    for (uint32_t i = 0; i < r->count; i++) {
        uint32_t at = line_find(f, r->items[i].provider);
        if (at == WEIR_LOAD_PROVIDERS_MAX || (at == f->count && !line_open(f, &f->lines[at], r->items[i].provider))) {
            all = false;
            continue;
        }
        f->count += at == f->count;
        f->lines[at].told = r->slot;
    }
    return all;
}

bool weir_load_forecast_push(struct weir_load_forecast *f, const struct weir_load_record *r)
{
    double seconds = (double)f->slot_ms / 1000 * (double)(r->slots > 0 ? r->slots : 1);
    if (f->any && r->slot <= f->last)
        return true;
    uint64_t gap = f->any ? r->slot - f->last - 1 : 0;
    forget(f, r->slot);
    uint32_t before = f->count;
    bool all = meet_providers(f, r);
    for (uint32_t i = 0; i < f->count; i++) {
        const struct weir_load_point *p = weir_load_record_find(r, f->lines[i].provider);
        double values[WEIR_LOAD_MEASURES] = {0, 0};
        if (p != NULL) {
            values[WEIR_LOAD_IN_FLIGHT] = (double)p->in_flight_peak;
            values[WEIR_LOAD_REQUESTS_S] = (double)p->requests / seconds;
        }
        line_push(&f->lines[i], values, i < before ? gap : 0);
    }
    const double sum[WEIR_LOAD_MEASURES] = {[WEIR_LOAD_IN_FLIGHT] = weir_load_record_in_flight(r),
                                            [WEIR_LOAD_REQUESTS_S] = weir_load_record_requests(r) / seconds};
    line_push(&f->cluster, sum, gap);
    struct past *past = &f->past[f->past_count++ % WEIR_LOAD_PAST_MAX];
    past->number = r->slot;
    memcpy(past->values, sum, sizeof sum);
    f->last = r->slot;
    f->any = true;
    return all;
}

/* -- what will be -- */

uint64_t weir_load_forecast_seen(const struct weir_load_forecast *f)
{
    return weir_forecast_seen(f->cluster.of[WEIR_LOAD_IN_FLIGHT]);
}

bool weir_load_forecast_current(const struct weir_load_forecast *f, uint64_t store_ms)
{
    return f->any && store_ms < (f->last + 3) * f->step_ms;
}

uint32_t weir_load_forecast_providers(const struct weir_load_forecast *f, const char *names[WEIR_LOAD_PROVIDERS_MAX])
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < f->count; i++)
        if (f->lines[i].told + f->horizon >= f->last)
            names[count++] = f->lines[i].provider;
    return count;
}

uint64_t weir_load_forecast_at_ms(const struct weir_load_forecast *f, unsigned ahead)
{
    return (f->last + ahead) * f->step_ms;
}

struct weir_load_peak weir_load_forecast_peak(const struct weir_load_forecast *f, const char *provider,
                                              enum weir_load_measure what, uint64_t store_ms)
{
    struct weir_load_peak peak = {0};
    uint32_t at = provider != NULL ? line_find(f, provider) : 0;
    if (!f->any || (provider != NULL && at == f->count))
        return peak;
    const struct line *l = provider != NULL ? &f->lines[at] : &f->cluster;
    for (unsigned ahead = 1; ahead <= f->horizon; ahead++) {
        struct weir_forecast_point p = weir_forecast_at(l->of[what], ahead);
        uint64_t at_ms = weir_load_forecast_at_ms(f, ahead);
        if (at_ms + f->step_ms <= store_ms)
            continue; /* over already */
        if (peak.peak_at_ms == 0 || p.mid > peak.peak) {
            peak.peak = p.mid;
            peak.peak_at_ms = at_ms;
        }
        peak.peak_high = fmax(peak.peak_high, p.high);
    }
    return peak;
}

struct weir_forecast_point weir_load_forecast_at(const struct weir_load_forecast *f, enum weir_load_measure what,
                                                 unsigned ahead)
{
    return weir_forecast_at(f->cluster.of[what], ahead);
}

uint32_t weir_load_forecast_past(const struct weir_load_forecast *f, enum weir_load_measure what,
                                 uint64_t at_ms[WEIR_LOAD_PAST_MAX], double values[WEIR_LOAD_PAST_MAX])
{
    uint32_t count = f->past_count < WEIR_LOAD_PAST_MAX ? f->past_count : WEIR_LOAD_PAST_MAX;
    for (uint32_t i = 0; i < count; i++) {
        const struct past *p = &f->past[(f->past_count - count + i) % WEIR_LOAD_PAST_MAX];
        at_ms[i] = p->number * f->step_ms;
        values[i] = p->values[what];
    }
    return count;
}
