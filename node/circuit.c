#include "node/circuit.h"

#include <assert.h>
#include <stdlib.h>

#include "net/bell.h"
#include "net/reactor.h"
#include "node/circuit_inner.h"

/* The node as it reports to others: alone it is the only one. */
#define NODE_ALONE 1u

void weir_circuit_init(struct weir_circuit *c, uint64_t now_ms)
{
    int rv = uv_mutex_init(&c->lock);
    assert(rv == 0);
    weir_breaker_view_init(&c->view, NODE_ALONE, now_ms);
    c->since_ms = now_ms;
    atomic_store(&c->own_gen, c->view.own.gen);
}

void weir_circuit_end(struct weir_circuit *c)
{
    uv_mutex_destroy(&c->lock);
}

void weir_circuit_configure(struct weir_circuit *c, const struct weir_config_breaker *config, uint64_t try_ms_max)
{
    uv_mutex_lock(&c->lock);
    weir_breaker_policy_set(&c->policy, config, try_ms_max);
    uv_mutex_unlock(&c->lock);
    atomic_store(&c->enabled, config->enabled);
    atomic_store(&c->monitored, config->monitoring_enabled);
    atomic_store(&c->trial_ms, config->recovery_timeout_ms);
}

/* -- with the lock held -- */

/* What those may know who do not take the lock. */
static void publish(struct weir_circuit *c, uint64_t now_ms)
{
    struct weir_breaker_sight s = weir_breaker_view_look(&c->view, now_ms);
    uint64_t until = s.phase == WEIR_BREAKER_OPEN ? s.open_until_ms : 0;
    enum weir_circuit_mode mode = WEIR_CIRCUIT_GUARDED;
    if (s.phase != c->phase) {
        c->phase = s.phase;
        c->since_ms = now_ms;
    }
    if (s.cooldown_until_ms > until)
        until = s.cooldown_until_ms;
    if (s.phase == WEIR_BREAKER_CLOSED && s.cooldown_until_ms <= now_ms)
        mode = c->view.own.run > 0 || atomic_load_explicit(&c->cooled, memory_order_relaxed) ? WEIR_CIRCUIT_WATCHED
                                                                                             : WEIR_CIRCUIT_CALM;
    atomic_store_explicit(&c->gen, c->view.sharing ? c->view.shared.gen : 0, memory_order_relaxed);
    atomic_store_explicit(&c->own_gen, c->view.own.gen, memory_order_relaxed);
    atomic_store_explicit(&c->refuse_until_ms, until, memory_order_relaxed);
    atomic_store_explicit(&c->mode, mode, memory_order_release);
}

/* Why the phase is another one now, as far as the own circuit's events say. */
static void note_reason(struct weir_circuit *c, const struct weir_breaker_reply *r)
{
    for (uint32_t i = 0; i < r->event_count; i++)
        if (r->events[i].kind <= WEIR_BREAKER_IS_CLOSED)
            c->reason = r->events[i].reason;
}

void weir_circuit_leave(struct weir_circuit *c, uint64_t now_ms)
{
    bool urgent;
    publish(c, now_ms);
    weir_breaker_view_owes(&c->view, &urgent);
    struct weir_bell *bell = urgent ? c->bell : NULL;
    uv_mutex_unlock(&c->lock);
    if (bell != NULL)
        weir_bell_ring(bell);
}

void weir_circuit_fold_successes(struct weir_endpoint *e, uint64_t now_ms)
{
    struct weir_circuit *c = &e->circuit;
    uint64_t sum = 0;
    for (unsigned w = 0; w < e->worker_count; w++)
        sum += weir_cell_read(&e->local[w].calm_successes);
    uint64_t more = sum - c->ok_folded;
    c->ok_folded = sum;
    if (more > 0)
        weir_breaker_view_succeeded(&c->view, &c->policy, now_ms, more < UINT32_MAX ? (uint32_t)more : UINT32_MAX);
}

/* -- for requests -- */

static enum weir_circuit_mode mode_of(const struct weir_circuit *c)
{
    return (enum weir_circuit_mode)atomic_load_explicit(&c->mode, memory_order_acquire);
}

bool weir_circuit_may_admit(struct weir_endpoint *e, uint64_t now_ms)
{
    struct weir_circuit *c = &e->circuit;
    if (!weir_circuit_enabled(c) || mode_of(c) != WEIR_CIRCUIT_GUARDED)
        return true;
    if (atomic_load_explicit(&c->refuse_until_ms, memory_order_relaxed) > now_ms)
        return false;
    uv_mutex_lock(&c->lock);
    bool may = weir_breaker_view_may_admit(&c->view, &c->policy, now_ms);
    uv_mutex_unlock(&c->lock);
    return may;
}

struct weir_breaker_answer weir_circuit_admit(struct weir_endpoint *e, const struct weir_circuit_caller *by)
{
    struct weir_circuit *c = &e->circuit;
    struct weir_breaker_answer a = {.word = WEIR_BREAKER_ADMIT};
    struct weir_breaker_reply reply;
    if (!weir_circuit_enabled(c) || mode_of(c) != WEIR_CIRCUIT_GUARDED) {
        a.ticket.gen = atomic_load_explicit(&c->gen, memory_order_relaxed);
        a.ticket.own_gen = atomic_load_explicit(&c->own_gen, memory_order_relaxed);
        return a;
    }
    uint64_t until = atomic_load_explicit(&c->refuse_until_ms, memory_order_relaxed);
    if (until > by->now_ms)
        return (struct weir_breaker_answer){.word = WEIR_BREAKER_REFUSE_OPEN, .wait_ms = until - by->now_ms};
    uv_mutex_lock(&c->lock);
    weir_circuit_fold_successes(e, by->now_ms);
    a = weir_breaker_view_admit(&c->view, &c->policy, by->now_ms, &reply);
    note_reason(c, &reply);
    weir_circuit_leave(c, by->now_ms);
    weir_circuit_tell(e, by, &reply, NULL);
    return a;
}

void weir_circuit_done(struct weir_endpoint *e, const struct weir_circuit_caller *by,
                       const struct weir_breaker_ticket *t, enum weir_breaker_verdict verdict, uint64_t cooldown_ms,
                       const char *why)
{
    struct weir_circuit *c = &e->circuit;
    struct weir_breaker_reply reply;
    bool probe = t->permit != 0 || t->own_permit != 0, failed = verdict == WEIR_BREAKER_FAILURE && why != NULL,
         counts = weir_circuit_enabled(c) && (verdict != WEIR_BREAKER_NEITHER || probe || cooldown_ms > 0);
    if (!failed && !counts)
        return;
    if (verdict == WEIR_BREAKER_SUCCESS && !probe && mode_of(c) == WEIR_CIRCUIT_CALM) {
        weir_cell_add(&e->local[by->worker].calm_successes, 1);
        return;
    }
    uv_mutex_lock(&c->lock);
    if (failed) {
        snprintf(c->why, sizeof c->why, "%s", why);
        c->failed_unix_ms = weir_clock_unix_ms();
    }
    if (!counts) {
        uv_mutex_unlock(&c->lock);
        return;
    }
    weir_circuit_fold_successes(e, by->now_ms);
    weir_breaker_view_done(&c->view, &c->policy, by->now_ms, t, verdict, cooldown_ms, &reply);
    note_reason(c, &reply);
    if (cooldown_ms > 0)
        atomic_store_explicit(&c->cooled, true, memory_order_relaxed);
    else if (verdict != WEIR_BREAKER_NEITHER &&
             weir_breaker_view_look(&c->view, by->now_ms).cooldown_until_ms <= by->now_ms)
        atomic_store_explicit(&c->cooled, false, memory_order_relaxed);
    weir_circuit_leave(c, by->now_ms);
    weir_circuit_tell(e, by, &reply, why);
}

bool weir_circuit_wants_probe(struct weir_endpoint *e, uint64_t now_ms)
{
    struct weir_circuit *c = &e->circuit;
    if (!weir_circuit_enabled(c) || mode_of(c) != WEIR_CIRCUIT_GUARDED ||
        atomic_load_explicit(&c->refuse_until_ms, memory_order_relaxed) > now_ms)
        return false;
    uv_mutex_lock(&c->lock);
    bool wants = weir_breaker_view_look(&c->view, now_ms).phase != WEIR_BREAKER_CLOSED &&
                 weir_breaker_view_may_admit(&c->view, &c->policy, now_ms);
    uv_mutex_unlock(&c->lock);
    return wants;
}

bool weir_circuit_is_asking(struct weir_endpoint *e, uint64_t now_ms, bool awaited)
{
    struct weir_circuit *c = &e->circuit;
    if (!weir_circuit_enabled(c) || mode_of(c) != WEIR_CIRCUIT_GUARDED)
        return false;
    uv_mutex_lock(&c->lock);
    bool asking = weir_breaker_view_is_asking(&c->view, now_ms) && (!awaited || c->view.idled);
    uv_mutex_unlock(&c->lock);
    return asking;
}

bool weir_circuit_is_cooled(const struct weir_endpoint *e)
{
    return atomic_load_explicit(&e->circuit.cooled, memory_order_relaxed);
}

bool weir_circuit_is_on_trial(const struct weir_endpoint *e, uint64_t now_ms)
{
    return weir_circuit_is_cooled(e) && atomic_load_explicit(&e->circuit.trial_until_ms, memory_order_relaxed) > now_ms;
}

bool weir_circuit_begin_trial(struct weir_endpoint *e, uint64_t now_ms)
{
    struct weir_circuit *c = &e->circuit;
    uint64_t until = atomic_load_explicit(&c->trial_until_ms, memory_order_relaxed);
    uint64_t next = now_ms + atomic_load_explicit(&c->trial_ms, memory_order_relaxed);
    return until <= now_ms && atomic_compare_exchange_strong(&c->trial_until_ms, &until, next);
}

void weir_circuit_shun(struct weir_endpoint *e, uint64_t until_ms)
{
    _Atomic uint64_t *at = &e->circuit.shunned_until_ms;
    uint64_t seen = atomic_load_explicit(at, memory_order_relaxed);
    while (seen < until_ms && !atomic_compare_exchange_weak(at, &seen, until_ms))
        ;
}

bool weir_circuit_is_shunned(const struct weir_endpoint *e, uint64_t now_ms)
{
    return atomic_load_explicit(&e->circuit.shunned_until_ms, memory_order_relaxed) > now_ms;
}

uint64_t weir_circuit_refuses_until_ms(const struct weir_endpoint *e, uint64_t now_ms)
{
    const struct weir_circuit *c = &e->circuit;
    uint64_t until = atomic_load_explicit(&c->refuse_until_ms, memory_order_relaxed);
    return weir_circuit_enabled(c) && mode_of(c) == WEIR_CIRCUIT_GUARDED && until > now_ms ? until : 0;
}

/* -- for control -- */

bool weir_circuit_order(struct weir_endpoint *e, const struct weir_circuit_caller *by, enum weir_breaker_order order)
{
    struct weir_circuit *c = &e->circuit;
    struct weir_breaker_reply reply;
    if (!weir_circuit_enabled(c))
        return false;
    uv_mutex_lock(&c->lock);
    weir_circuit_fold_successes(e, by->now_ms);
    weir_breaker_view_order(&c->view, &c->policy, by->now_ms, order, &reply);
    note_reason(c, &reply);
    c->ordered = c->view.sharing;
    c->ordered_told = reply.event_count > 0;
    c->ordered_phase = order == WEIR_BREAKER_ORDER_OPEN ? WEIR_BREAKER_OPEN : WEIR_BREAKER_CLOSED;
    weir_circuit_leave(c, by->now_ms);
    weir_circuit_tell(e, by, &reply, NULL);
    return true;
}

struct weir_circuit_sight weir_circuit_look(struct weir_endpoint *e, uint64_t now_ms)
{
    struct weir_circuit *c = &e->circuit;
    struct weir_circuit_sight out = {.enabled = weir_circuit_enabled(c)};
    if (!out.enabled)
        return out;
    uv_mutex_lock(&c->lock);
    struct weir_breaker_sight s = weir_breaker_view_look(&c->view, now_ms);
    out.shared = c->view.sharing;
    out.phase = s.phase;
    out.gen = s.gen;
    out.since_ms = c->since_ms;
    out.reason = c->reason;
    out.open_until_ms = s.phase == WEIR_BREAKER_OPEN ? s.open_until_ms : 0;
    out.cooldown_until_ms = s.cooldown_until_ms;
    out.failures = c->view.own.run;
    out.probes = c->view.own.permit_count;
    if (c->policy.rate_ppm != 0)
        out.window = weir_breaker_window(&c->view.own, &c->policy, now_ms);
    uv_mutex_unlock(&c->lock);
    return out;
}

void weir_circuit_last_failure(struct weir_endpoint *e, struct weir_failure_snapshot *out)
{
    struct weir_circuit *c = &e->circuit;
    uv_mutex_lock(&c->lock);
    out->unix_ms = c->failed_unix_ms;
    memcpy(out->why, c->why, sizeof out->why);
    uv_mutex_unlock(&c->lock);
}

void weir_circuit_tick(struct weir_endpoint *e, uint64_t now_ms)
{
    struct weir_circuit *c = &e->circuit;
    if (!weir_circuit_enabled(c))
        return;
    uv_mutex_lock(&c->lock);
    weir_circuit_fold_successes(e, now_ms);
    weir_circuit_leave(c, now_ms);
}
