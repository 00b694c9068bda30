#include "core/outlier.h"

#include <assert.h>

#include "core/saturate.h"
#include "core/wheel.h"

/* A circuit opens after as many: two reasons to leave an endpoint alone would only tell everything twice. */
static uint32_t failures_in_a_row(const struct weir_config_http *c)
{
    if (!c->health.enabled)
        return 0;
    return c->circuit_breaker.enabled ? WEIR_OUTLIER_RATES_ALONE : c->circuit_breaker.failure_threshold;
}

struct weir_outlier_opts weir_outlier_opts_of(const struct weir_config_http *c)
{
    uint64_t recovery_ms = c->circuit_breaker.recovery_timeout_ms;
    uint64_t eject_ms = recovery_ms / 4 > 0 ? recovery_ms / 4 : 1;
    return (struct weir_outlier_opts){.checks = c->health.enabled,
                                      .check_interval_ms = c->health.check_interval_ms,
                                      .unhealthy_threshold = c->health.unhealthy_threshold,
                                      .failures_in_a_row = failures_in_a_row(c),
                                      .eject_ms = eject_ms,
                                      .eject_ms_max = recovery_ms > eject_ms ? recovery_ms : eject_ms};
}

static struct weir_outlier_endpoint *of(struct weir_outlier *o, unsigned slot)
{
    assert(slot < WEIR_POOL_ENDPOINTS_MAX && o->at[slot].present);
    return &o->at[slot];
}

static void tell(unsigned slot, enum weir_outlier_change change, enum weir_outlier_reason reason, uint64_t until_ms,
                 void *arg, weir_outlier_fn *fn)
{
    fn(arg, &(struct weir_outlier_event){change, reason, slot, until_ms});
}

static bool has_room(const struct weir_outlier *o)
{
    return (o->ejected + 1) * 2 <= o->count;
}

/* -- out and in: the only places that move endpoints -- */

static void take_out(struct weir_outlier *o, unsigned slot, enum weir_outlier_reason reason, uint64_t until_ms,
                     void *arg, weir_outlier_fn *fn)
{
    struct weir_outlier_endpoint *e = of(o, slot);
    assert(!e->ejected && has_room(o));
    e->ejected = true;
    o->ejected++;
    tell(slot, WEIR_OUTLIER_EJECTED, reason, until_ms, arg, fn);
}

static void let_in(struct weir_outlier *o, unsigned slot, void *arg, weir_outlier_fn *fn)
{
    struct weir_outlier_endpoint *e = of(o, slot);
    assert(e->ejected && o->ejected > 0);
    e->ejected = false;
    e->fresh = true;
    e->eject_until_ms = 0;
    e->failures = e->ok = e->failed = 0;
    o->ejected--;
    tell(slot, WEIR_OUTLIER_RETURNED, WEIR_OUTLIER_BY_CHECKS, 0, arg, fn);
}

/* Of too many that are out, the one to let in: whose time ends first; of those that checks keep out, any. */
static unsigned surplus(const struct weir_outlier *o)
{
    unsigned best = WEIR_POOL_ENDPOINTS_MAX;
    uint64_t best_ms = 0;
    for (unsigned i = 0; i < WEIR_POOL_ENDPOINTS_MAX; i++) {
        const struct weir_outlier_endpoint *e = &o->at[i];
        uint64_t ends_ms = e->unhealthy ? WEIR_NEVER : e->eject_until_ms;
        if (e->ejected && (best == WEIR_POOL_ENDPOINTS_MAX || ends_ms < best_ms)) {
            best = i;
            best_ms = ends_ms;
        }
    }
    assert(best < WEIR_POOL_ENDPOINTS_MAX);
    return best;
}

/* Brings what is out into line with what should be and may be. */
static void settle(struct weir_outlier *o, void *arg, weir_outlier_fn *fn)
{
    for (unsigned i = 0; i < WEIR_POOL_ENDPOINTS_MAX; i++)
        if (o->at[i].ejected && !o->at[i].unhealthy && o->at[i].eject_until_ms == 0)
            let_in(o, i, arg, fn);
    while (o->ejected * 2 > o->count)
        let_in(o, surplus(o), arg, fn);
    for (unsigned i = 0; i < WEIR_POOL_ENDPOINTS_MAX && has_room(o); i++)
        if (o->at[i].present && o->at[i].unhealthy && !o->at[i].ejected)
            take_out(o, i, WEIR_OUTLIER_BY_CHECKS, WEIR_NEVER, arg, fn);
}

static void eject_by_tries(struct weir_outlier *o, unsigned slot, enum weir_outlier_reason reason, uint64_t now_ms,
                           void *arg, weir_outlier_fn *fn)
{
    struct weir_outlier_endpoint *e = of(o, slot);
    if (!has_room(o)) {
        tell(slot, WEIR_OUTLIER_SPARED, reason, 0, arg, fn);
        return;
    }
    e->ejections++;
    uint64_t times = o->opts.eject_ms_max / o->opts.eject_ms; /* of growing before the bound */
    uint64_t for_ms = e->ejections <= times ? o->opts.eject_ms * e->ejections : o->opts.eject_ms_max;
    e->eject_until_ms = now_ms + for_ms;
    take_out(o, slot, reason, e->eject_until_ms, arg, fn);
}

/* -- endpoints come and go -- */

static void assert_valid(const struct weir_outlier_opts *opts)
{
    assert(!opts->checks || (opts->check_interval_ms > 0 && opts->unhealthy_threshold > 0));
    assert(opts->eject_ms > 0 && opts->eject_ms_max >= opts->eject_ms);
}

void weir_outlier_init(struct weir_outlier *o, const struct weir_outlier_opts *opts, uint64_t now_ms)
{
    assert_valid(opts);
    *o = (struct weir_outlier){.opts = *opts, .sweep_ms = now_ms + WEIR_OUTLIER_INTERVAL_MS};
}

static uint64_t later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

void weir_outlier_opts_set(struct weir_outlier *o, const struct weir_outlier_opts *opts, uint64_t now_ms, void *arg,
                           weir_outlier_fn *fn)
{
    assert_valid(opts);
    o->opts = *opts;
    for (unsigned i = 0; i < WEIR_POOL_ENDPOINTS_MAX; i++) {
        struct weir_outlier_endpoint *e = &o->at[i];
        if (!e->present)
            continue;
        uint64_t latest_ms = later(now_ms + opts->check_interval_ms, e->checks_paused_ms);
        if (!opts->checks) {
            e->unhealthy = e->checking = false;
            e->checks_failed = 0;
            e->next_check_ms = WEIR_NEVER;
        } else if (!e->checking && e->next_check_ms > latest_ms) {
            e->next_check_ms = latest_ms;
        }
    }
    settle(o, arg, fn);
}

void weir_outlier_add(struct weir_outlier *o, unsigned slot, uint64_t now_ms, uint64_t random, void *arg,
                      weir_outlier_fn *fn)
{
    assert(slot < WEIR_POOL_ENDPOINTS_MAX && !o->at[slot].present);
    uint64_t next_ms = o->opts.checks ? now_ms + random % o->opts.check_interval_ms : WEIR_NEVER;
    o->at[slot] = (struct weir_outlier_endpoint){.present = true, .next_check_ms = next_ms};
    o->count++;
    settle(o, arg, fn);
}

void weir_outlier_remove(struct weir_outlier *o, unsigned slot, void *arg, weir_outlier_fn *fn)
{
    o->ejected -= of(o, slot)->ejected;
    o->count--;
    o->at[slot] = (struct weir_outlier_endpoint){0};
    settle(o, arg, fn);
}

/* -- tries -- */

void weir_outlier_answered(struct weir_outlier *o, unsigned slot)
{
    struct weir_outlier_endpoint *e = of(o, slot);
    e->failures = 0;
    e->ok += e->ok < UINT32_MAX;
}

void weir_outlier_answers(struct weir_outlier *o, unsigned slot, uint32_t count)
{
    struct weir_outlier_endpoint *e = of(o, slot);
    e->ok = weir_add_u32(e->ok, count);
}

void weir_outlier_failed(struct weir_outlier *o, unsigned slot, uint64_t now_ms, void *arg, weir_outlier_fn *fn)
{
    struct weir_outlier_endpoint *e = of(o, slot);
    e->failed += e->failed < UINT32_MAX;
    e->failures += e->failures < UINT32_MAX;
    uint32_t threshold = o->opts.failures_in_a_row;
    if (threshold == 0 || e->ejected || e->failures < threshold)
        return;
    /* Spared is told once in a run of failures, and tried again with each. */
    if (has_room(o) || e->failures == threshold)
        eject_by_tries(o, slot, WEIR_OUTLIER_BY_FAILURES, now_ms, arg, fn);
}

void weir_outlier_restore(struct weir_outlier *o, unsigned slot, void *arg, weir_outlier_fn *fn)
{
    struct weir_outlier_endpoint *e = of(o, slot);
    e->failures = 0;
    e->eject_until_ms = 0;
    settle(o, arg, fn);
}

/* -- checks -- */

int weir_outlier_check_due(const struct weir_outlier *o, uint64_t now_ms)
{
    for (unsigned i = 0; i < WEIR_POOL_ENDPOINTS_MAX; i++)
        if (o->at[i].present && o->at[i].next_check_ms <= now_ms)
            return (int)i;
    return -1;
}

void weir_outlier_check_begin(struct weir_outlier *o, unsigned slot)
{
    struct weir_outlier_endpoint *e = of(o, slot);
    assert(o->opts.checks && !e->checking);
    e->checking = true;
    e->next_check_ms = WEIR_NEVER;
}

void weir_outlier_check_drop(struct weir_outlier *o, unsigned slot, uint64_t now_ms)
{
    assert(slot < WEIR_POOL_ENDPOINTS_MAX);
    struct weir_outlier_endpoint *e = &o->at[slot];
    if (!e->present || !e->checking)
        return;
    e->checking = false;
    e->next_check_ms = later(now_ms + o->opts.check_interval_ms, e->checks_paused_ms);
}

void weir_outlier_check_done(struct weir_outlier *o, unsigned slot, uint64_t now_ms, bool passed, void *arg,
                             weir_outlier_fn *fn)
{
    assert(slot < WEIR_POOL_ENDPOINTS_MAX);
    struct weir_outlier_endpoint *e = &o->at[slot];
    if (!e->present || !e->checking)
        return;
    weir_outlier_check_drop(o, slot, now_ms);
    e->checks_failed = passed ? 0 : e->checks_failed + (e->checks_failed < UINT32_MAX);
    bool unhealthy = e->checks_failed >= o->opts.unhealthy_threshold || (e->unhealthy && !passed);
    if (unhealthy == e->unhealthy)
        return;
    e->unhealthy = unhealthy;
    tell(slot, unhealthy ? WEIR_OUTLIER_UNHEALTHY : WEIR_OUTLIER_HEALTHY, WEIR_OUTLIER_BY_CHECKS, 0, arg, fn);
    settle(o, arg, fn);
}

void weir_outlier_checks_pause(struct weir_outlier *o, unsigned slot, uint64_t until_ms)
{
    struct weir_outlier_endpoint *e = of(o, slot);
    e->checks_paused_ms = until_ms;
    if (e->next_check_ms != WEIR_NEVER)
        e->next_check_ms = later(e->next_check_ms, until_ms);
}

/* -- rates -- */

/* Of an interval with enough tries, the share that was answered; else -1. */
static double rate_of(const struct weir_outlier_endpoint *e)
{
    uint64_t tries = (uint64_t)e->ok + e->failed;
    return e->present && tries >= WEIR_OUTLIER_TRIES_MIN ? (double)e->ok / (double)tries : -1;
}

/* The median rate of all but one; -1: no other has a rate. */
static double median_of_others(const double *rate, unsigned except)
{
    double sorted[WEIR_POOL_ENDPOINTS_MAX];
    unsigned n = 0;
    for (unsigned i = 0; i < WEIR_POOL_ENDPOINTS_MAX; i++) {
        if (i == except || rate[i] < 0)
            continue;
        unsigned j = n++;
        for (; j > 0 && sorted[j - 1] > rate[i]; j--)
            sorted[j] = sorted[j - 1];
        sorted[j] = rate[i];
    }
    return n > 0 ? (sorted[(n - 1) / 2] + sorted[n / 2]) / 2 : -1;
}

/* Ejects those far below the others, the worst first. */
static void compare_rates(struct weir_outlier *o, uint64_t now_ms, void *arg, weir_outlier_fn *fn)
{
    double rate[WEIR_POOL_ENDPOINTS_MAX];
    bool far[WEIR_POOL_ENDPOINTS_MAX];
    for (unsigned i = 0; i < WEIR_POOL_ENDPOINTS_MAX; i++)
        rate[i] = rate_of(&o->at[i]);
    for (unsigned i = 0; i < WEIR_POOL_ENDPOINTS_MAX; i++)
        far[i] = rate[i] >= 0 && !o->at[i].ejected && rate[i] < median_of_others(rate, i) - WEIR_OUTLIER_RATE_MARGIN;
    for (;;) {
        unsigned worst = WEIR_POOL_ENDPOINTS_MAX;
        for (unsigned i = 0; i < WEIR_POOL_ENDPOINTS_MAX; i++)
            if (far[i] && (worst == WEIR_POOL_ENDPOINTS_MAX || rate[i] < rate[worst]))
                worst = i;
        if (worst == WEIR_POOL_ENDPOINTS_MAX)
            return;
        far[worst] = false;
        eject_by_tries(o, worst, WEIR_OUTLIER_BY_RATE, now_ms, arg, fn);
    }
}

static void sweep(struct weir_outlier *o, uint64_t now_ms, void *arg, weir_outlier_fn *fn)
{
    for (unsigned i = 0; i < WEIR_POOL_ENDPOINTS_MAX; i++) {
        struct weir_outlier_endpoint *e = &o->at[i];
        if (!e->ejected && !e->fresh && e->ejections > 0 && e->failed == 0)
            e->ejections--;
    }
    if (o->opts.failures_in_a_row > 0)
        compare_rates(o, now_ms, arg, fn);
    for (unsigned i = 0; i < WEIR_POOL_ENDPOINTS_MAX; i++) {
        o->at[i].ok = o->at[i].failed = 0;
        o->at[i].fresh = false;
    }
    o->sweep_ms = now_ms + WEIR_OUTLIER_INTERVAL_MS;
}

void weir_outlier_tick(struct weir_outlier *o, uint64_t now_ms, void *arg, weir_outlier_fn *fn)
{
    for (unsigned i = 0; i < WEIR_POOL_ENDPOINTS_MAX; i++)
        if (o->at[i].eject_until_ms != 0 && o->at[i].eject_until_ms <= now_ms)
            o->at[i].eject_until_ms = 0;
    settle(o, arg, fn);
    if (o->sweep_ms <= now_ms)
        sweep(o, now_ms, arg, fn);
}

uint64_t weir_outlier_due_ms(const struct weir_outlier *o)
{
    uint64_t due_ms = o->sweep_ms;
    for (unsigned i = 0; i < WEIR_POOL_ENDPOINTS_MAX; i++) {
        const struct weir_outlier_endpoint *e = &o->at[i];
        if (!e->present)
            continue;
        due_ms = e->next_check_ms < due_ms ? e->next_check_ms : due_ms;
        if (e->eject_until_ms != 0 && e->eject_until_ms < due_ms)
            due_ms = e->eject_until_ms;
    }
    return due_ms;
}
