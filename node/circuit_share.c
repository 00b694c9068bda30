#include "node/circuit_share.h"

#include "net/bell.h"
#include "node/circuit_inner.h"

void weir_circuit_share(struct weir_endpoint *e, uint64_t now_ms, uint64_t node, struct weir_bell *bell)
{
    struct weir_circuit *c = &e->circuit;
    uv_mutex_lock(&c->lock);
    c->bell = bell;
    c->asked_ms = 0;
    weir_breaker_view_rename(&c->view, node);
    weir_circuit_leave(c, now_ms);
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
    if (!weir_circuit_enabled(c))
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
    if (!weir_circuit_enabled(c))
        return false;
    uv_mutex_lock(&c->lock);
    bool taken = owes(c, now_ms, &haste) && haste >= least;
    if (taken) {
        weir_circuit_fold_successes(e, now_ms);
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
        weir_circuit_tell_one(e, by, &e1, NULL, node);
    }
    if (is->cooldown_until_ms > by->now_ms && was->cooldown_until_ms <= by->now_ms) {
        const struct weir_breaker_event e2 = {.kind = WEIR_BREAKER_IS_COOLING,
                                              .reason = WEIR_BREAKER_BY_RETRY_AFTER,
                                              .gen = is->gen,
                                              .until_ms = is->cooldown_until_ms};
        weir_circuit_tell_one(e, by, &e2, NULL, ""); /* node: who brought the phase about */
    }
}

void weir_circuit_learn(struct weir_endpoint *e, const struct weir_circuit_caller *by,
                        const struct weir_breaker_sight *seen, uint64_t store_ms, const char *node)
{
    struct weir_circuit *c = &e->circuit;
    uv_mutex_lock(&c->lock);
    if (!weir_circuit_enabled(c) || c->bell == NULL) {
        uv_mutex_unlock(&c->lock);
        return;
    }
    weir_circuit_fold_successes(e, by->now_ms);
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
    weir_circuit_leave(c, by->now_ms);
    if (known)
        was.phase = is.phase;
    tell_difference(e, by, &was, &is, reason, node);
}

void weir_circuit_granted(struct weir_endpoint *e, const struct weir_circuit_caller *by,
                          const struct weir_breaker_report *said, const struct weir_breaker_reply *reply,
                          uint64_t store_ms)
{
    struct weir_circuit *c = &e->circuit;
    uv_mutex_lock(&c->lock);
    weir_breaker_view_granted(&c->view, by->now_ms, said, reply, store_ms);
    weir_circuit_leave(c, by->now_ms);
    /* Its other events are changes that were learnt, and told. */
    for (uint32_t i = 0; i < reply->event_count; i++)
        if (reply->events[i].kind == WEIR_BREAKER_IS_KEPT_CLOSED)
            weir_circuit_tell_one(e, by, &reply->events[i], NULL, "");
}

void weir_circuit_alone(struct weir_endpoint *e, uint64_t now_ms)
{
    struct weir_circuit *c = &e->circuit;
    uv_mutex_lock(&c->lock);
    weir_breaker_view_alone(&c->view, now_ms);
    c->ordered = false;
    c->asked_ms = 0;
    weir_circuit_leave(c, now_ms);
}
