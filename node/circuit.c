#include "node/circuit.h"

#include <assert.h>
#include <stdlib.h>

#include "net/bell.h"
#include "net/log.h"
#include "net/reactor.h"
#include "node/runtime.h"

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

/* The end of all that changes the view: publishes it, lets the lock go, and rings if a report cannot wait. */
static void leave(struct weir_circuit *c, uint64_t now_ms)
{
    bool urgent;
    publish(c, now_ms);
    weir_breaker_view_owes(&c->view, &urgent);
    struct weir_bell *bell = urgent ? c->bell : NULL;
    uv_mutex_unlock(&c->lock);
    if (bell != NULL)
        weir_bell_ring(bell);
}

static void fold_successes(struct weir_endpoint *e, uint64_t now_ms)
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

/* -- telling, without it -- */

static const struct {
    const char *name;
    enum weir_log_level level;
    enum weir_endpoint_counter counter;
} told[WEIR_BREAKER_EVENT_KINDS] = {
    [WEIR_BREAKER_IS_OPENED] = {"circuit_opened", WEIR_LOG_WARN, WEIR_EC_CIRCUIT_OPENED},
    [WEIR_BREAKER_IS_HALF_OPENED] = {"circuit_half_open", WEIR_LOG_INFO, WEIR_EC_CIRCUIT_HALF_OPENED},
    [WEIR_BREAKER_IS_CLOSED] = {"circuit_closed", WEIR_LOG_INFO, WEIR_EC_CIRCUIT_CLOSED},
    [WEIR_BREAKER_IS_COOLING] = {"circuit_cooling", WEIR_LOG_WARN, WEIR_EC_CIRCUIT_COOLED},
    [WEIR_BREAKER_IS_KEPT_CLOSED] = {"circuit_kept_closed", WEIR_LOG_WARN, WEIR_EC_CIRCUIT_KEPT},
};

static void log_event(struct weir_endpoint *e, const struct weir_circuit_caller *by,
                      const struct weir_breaker_event *event, const char *why, const char *node)
{
    struct weir_log_line l;
    weir_log_begin(&l, by->log, told[event->kind].level, told[event->kind].name, weir_breaker_event_text(event->kind));
    weir_log_text(&l, "provider", e->provider->name);
    weir_log_text(&l, "endpoint", e->id);
    weir_log_text(&l, "reason", weir_breaker_reason_label(event->reason));
    if (event->kind == WEIR_BREAKER_IS_OPENED || event->kind == WEIR_BREAKER_IS_KEPT_CLOSED) {
        weir_log_u64(&l, "failures", event->run);
        if (why != NULL)
            weir_log_text(&l, "last_failure", why);
    }
    if (event->until_ms > by->now_ms)
        weir_log_u64(&l, "wait_ms", event->until_ms - by->now_ms);
    weir_log_u64(&l, "generation", event->gen);
    if (node[0] != '\0')
        weir_log_text(&l, "by", node);
    weir_log_end(&l);
}

static struct weir_endpoint_counters *counters_of(struct weir_endpoint *e, const struct weir_circuit_caller *by)
{
    return by->worker == WEIR_CIRCUIT_CONTROL ? &e->control : &e->local[by->worker].counters;
}

static void tell_one(struct weir_endpoint *e, const struct weir_circuit_caller *by,
                     const struct weir_breaker_event *event, const char *why, const char *node)
{
    if (event->kind == WEIR_BREAKER_IS_CLOSED)
        atomic_store_explicit(&e->up_since_ms, by->now_ms, memory_order_relaxed);
    if (event->kind == WEIR_BREAKER_IS_CLOSED || event->kind == WEIR_BREAKER_IS_OPENED)
        weir_health_circuit(e->provider, e, event->kind == WEIR_BREAKER_IS_OPENED, event->until_ms, by->log);
    if (!atomic_load_explicit(&e->circuit.monitored, memory_order_relaxed))
        return;
    weir_endpoint_add(counters_of(e, by), told[event->kind].counter, 1);
    log_event(e, by, event, why, node);
}

static void tell(struct weir_endpoint *e, const struct weir_circuit_caller *by, const struct weir_breaker_reply *r,
                 const char *why)
{
    for (uint32_t i = 0; i < r->event_count; i++)
        tell_one(e, by, &r->events[i], why, "");
}

/* -- for requests -- */

static enum weir_circuit_mode mode_of(const struct weir_circuit *c)
{
    return (enum weir_circuit_mode)atomic_load_explicit(&c->mode, memory_order_acquire);
}

static bool enabled(const struct weir_circuit *c)
{
    return atomic_load_explicit(&c->enabled, memory_order_relaxed);
}

bool weir_circuit_may_admit(struct weir_endpoint *e, uint64_t now_ms)
{
    struct weir_circuit *c = &e->circuit;
    if (!enabled(c) || mode_of(c) != WEIR_CIRCUIT_GUARDED)
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
    if (!enabled(c) || mode_of(c) != WEIR_CIRCUIT_GUARDED) {
        a.ticket.gen = atomic_load_explicit(&c->gen, memory_order_relaxed);
        a.ticket.own_gen = atomic_load_explicit(&c->own_gen, memory_order_relaxed);
        return a;
    }
    uint64_t until = atomic_load_explicit(&c->refuse_until_ms, memory_order_relaxed);
    if (until > by->now_ms)
        return (struct weir_breaker_answer){.word = WEIR_BREAKER_REFUSE_OPEN, .wait_ms = until - by->now_ms};
    uv_mutex_lock(&c->lock);
    fold_successes(e, by->now_ms);
    a = weir_breaker_view_admit(&c->view, &c->policy, by->now_ms, &reply);
    note_reason(c, &reply);
    leave(c, by->now_ms);
    tell(e, by, &reply, NULL);
    return a;
}

void weir_circuit_done(struct weir_endpoint *e, const struct weir_circuit_caller *by,
                       const struct weir_breaker_ticket *t, enum weir_breaker_verdict verdict, uint64_t cooldown_ms,
                       const char *why)
{
    struct weir_circuit *c = &e->circuit;
    struct weir_breaker_reply reply;
    bool probe = t->permit != 0 || t->own_permit != 0, failed = verdict == WEIR_BREAKER_FAILURE && why != NULL,
         counts = enabled(c) && (verdict != WEIR_BREAKER_NEITHER || probe || cooldown_ms > 0);
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
    fold_successes(e, by->now_ms);
    weir_breaker_view_done(&c->view, &c->policy, by->now_ms, t, verdict, cooldown_ms, &reply);
    note_reason(c, &reply);
    if (cooldown_ms > 0)
        atomic_store_explicit(&c->cooled, true, memory_order_relaxed);
    else if (verdict != WEIR_BREAKER_NEITHER &&
             weir_breaker_view_look(&c->view, by->now_ms).cooldown_until_ms <= by->now_ms)
        atomic_store_explicit(&c->cooled, false, memory_order_relaxed);
    leave(c, by->now_ms);
    tell(e, by, &reply, why);
}

bool weir_circuit_wants_probe(struct weir_endpoint *e, uint64_t now_ms)
{
    struct weir_circuit *c = &e->circuit;
    if (!enabled(c) || mode_of(c) != WEIR_CIRCUIT_GUARDED ||
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
    if (!enabled(c) || mode_of(c) != WEIR_CIRCUIT_GUARDED)
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
    return enabled(c) && mode_of(c) == WEIR_CIRCUIT_GUARDED && until > now_ms ? until : 0;
}

/* -- sharing -- */

void weir_circuit_share(struct weir_endpoint *e, uint64_t now_ms, uint64_t node, struct weir_bell *bell)
{
    struct weir_circuit *c = &e->circuit;
    uv_mutex_lock(&c->lock);
    c->bell = bell;
    c->asked_ms = 0;
    weir_breaker_view_rename(&c->view, node);
    leave(c, now_ms);
}

/* Wanted by the store, that is; nothing is owed where it is false. With the lock held. */
static bool owes(struct weir_circuit *c, uint64_t now_ms, enum weir_cluster_haste *haste)
{
    bool urgent;
    weir_breaker_view_hand_back(&c->view, &c->policy, now_ms);
    bool owed = weir_breaker_view_owes(&c->view, &urgent);
    bool unknown =
        c->bell != NULL && !c->view.sharing && (c->asked_ms == 0 || c->asked_ms + WEIR_BREAKER_ASK_MS <= now_ms);
    *haste = urgent || unknown ? WEIR_CLUSTER_URGENT : c->view.pending.fail > 0 ? WEIR_CLUSTER_SOON : WEIR_CLUSTER_CALM;
    return owed || unknown;
}

bool weir_circuit_owes(struct weir_endpoint *e, uint64_t now_ms, enum weir_cluster_haste *haste)
{
    struct weir_circuit *c = &e->circuit;
    if (!enabled(c))
        return false;
    uv_mutex_lock(&c->lock);
    bool owed = owes(c, now_ms, haste);
    uv_mutex_unlock(&c->lock);
    return owed;
}

bool weir_circuit_take_report(struct weir_endpoint *e, uint64_t now_ms, enum weir_cluster_haste least,
                              struct weir_breaker_report *report, struct weir_breaker_policy *policy)
{
    struct weir_circuit *c = &e->circuit;
    enum weir_cluster_haste haste;
    if (!enabled(c))
        return false;
    uv_mutex_lock(&c->lock);
    bool taken = owes(c, now_ms, &haste) && haste >= least;
    if (taken) {
        fold_successes(e, now_ms);
        *policy = c->policy;
        if (!weir_breaker_view_take(&c->view, now_ms, report)) {
            *report = (struct weir_breaker_report){.node = c->view.pending.node};
            c->asked_ms = now_ms;
        }
    }
    uv_mutex_unlock(&c->lock);
    return taken;
}

static enum weir_breaker_reason reason_of(enum weir_breaker_phase was, enum weir_breaker_phase is)
{
    switch (is) {
    case WEIR_BREAKER_CLOSED:
        return was == WEIR_BREAKER_HALF_OPEN ? WEIR_BREAKER_BY_PROBES_OK : WEIR_BREAKER_BY_CLUSTER;
    case WEIR_BREAKER_HALF_OPEN:
        return WEIR_BREAKER_BY_WAITED;
    default:
        return was == WEIR_BREAKER_HALF_OPEN ? WEIR_BREAKER_BY_PROBE_FAILED : WEIR_BREAKER_BY_CLUSTER;
    }
}

/* What has happened between two sights of the circuit in force. */
static void tell_difference(struct weir_endpoint *e, const struct weir_circuit_caller *by,
                            const struct weir_breaker_sight *was, const struct weir_breaker_sight *is,
                            enum weir_breaker_reason reason, const char *node)
{
    static const enum weir_breaker_event_kind becomes[] = {[WEIR_BREAKER_CLOSED] = WEIR_BREAKER_IS_CLOSED,
                                                           [WEIR_BREAKER_OPEN] = WEIR_BREAKER_IS_OPENED,
                                                           [WEIR_BREAKER_HALF_OPEN] = WEIR_BREAKER_IS_HALF_OPENED};
    if (is->phase != was->phase) {
        const struct weir_breaker_event e1 = {.kind = becomes[is->phase],
                                              .reason = reason,
                                              .gen = is->gen,
                                              .until_ms = is->phase == WEIR_BREAKER_OPEN ? is->open_until_ms : 0};
        tell_one(e, by, &e1, NULL, node);
    }
    if (is->cooldown_until_ms > by->now_ms && was->cooldown_until_ms <= by->now_ms) {
        const struct weir_breaker_event e2 = {.kind = WEIR_BREAKER_IS_COOLING,
                                              .reason = WEIR_BREAKER_BY_RETRY_AFTER,
                                              .gen = is->gen,
                                              .until_ms = is->cooldown_until_ms};
        tell_one(e, by, &e2, NULL, ""); /* node: who brought the phase about */
    }
}

void weir_circuit_learn(struct weir_endpoint *e, const struct weir_circuit_caller *by,
                        const struct weir_breaker_sight *seen, uint64_t store_ms, const char *node)
{
    struct weir_circuit *c = &e->circuit;
    uv_mutex_lock(&c->lock);
    if (!enabled(c) || c->bell == NULL) {
        uv_mutex_unlock(&c->lock);
        return;
    }
    fold_successes(e, by->now_ms);
    c->asked_ms = 0;
    struct weir_breaker_sight was = weir_breaker_view_look(&c->view, by->now_ms);
    weir_breaker_view_learn(&c->view, &c->policy, by->now_ms, seen, store_ms);
    struct weir_breaker_sight is = weir_breaker_view_look(&c->view, by->now_ms);
    if (is.cooldown_until_ms > by->now_ms)
        atomic_store_explicit(&c->cooled, true, memory_order_relaxed);
    bool confirmed = c->ordered && is.phase == c->ordered_phase, known = confirmed && c->ordered_told;
    enum weir_breaker_reason reason = confirmed ? WEIR_BREAKER_BY_OPERATOR : reason_of(was.phase, is.phase);
    c->ordered = c->ordered && !confirmed;
    if (is.phase != was.phase)
        c->reason = reason;
    leave(c, by->now_ms);
    if (known)
        was.phase = is.phase;
    tell_difference(e, by, &was, &is, reason, node);
}

void weir_circuit_granted(struct weir_endpoint *e, const struct weir_circuit_caller *by,
                          const struct weir_breaker_reply *reply, uint64_t store_ms)
{
    struct weir_circuit *c = &e->circuit;
    uv_mutex_lock(&c->lock);
    weir_breaker_view_granted(&c->view, by->now_ms, reply, store_ms);
    leave(c, by->now_ms);
    /* Its other events are changes that were learnt, and told. */
    for (uint32_t i = 0; i < reply->event_count; i++)
        if (reply->events[i].kind == WEIR_BREAKER_IS_KEPT_CLOSED)
            tell_one(e, by, &reply->events[i], NULL, "");
}

void weir_circuit_alone(struct weir_endpoint *e, uint64_t now_ms)
{
    struct weir_circuit *c = &e->circuit;
    uv_mutex_lock(&c->lock);
    weir_breaker_view_alone(&c->view, now_ms);
    c->ordered = false;
    c->asked_ms = 0;
    leave(c, now_ms);
}

/* -- for control -- */

bool weir_circuit_order(struct weir_endpoint *e, const struct weir_circuit_caller *by, enum weir_breaker_order order)
{
    struct weir_circuit *c = &e->circuit;
    struct weir_breaker_reply reply;
    if (!enabled(c))
        return false;
    uv_mutex_lock(&c->lock);
    fold_successes(e, by->now_ms);
    weir_breaker_view_order(&c->view, &c->policy, by->now_ms, order, &reply);
    note_reason(c, &reply);
    c->ordered = c->view.sharing;
    c->ordered_told = reply.event_count > 0;
    c->ordered_phase = order == WEIR_BREAKER_ORDER_OPEN ? WEIR_BREAKER_OPEN : WEIR_BREAKER_CLOSED;
    leave(c, by->now_ms);
    tell(e, by, &reply, NULL);
    return true;
}

struct weir_circuit_sight weir_circuit_look(struct weir_endpoint *e, uint64_t now_ms)
{
    struct weir_circuit *c = &e->circuit;
    struct weir_circuit_sight out = {.enabled = enabled(c)};
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
    if (!enabled(c))
        return;
    uv_mutex_lock(&c->lock);
    fold_successes(e, now_ms);
    leave(c, now_ms);
}
