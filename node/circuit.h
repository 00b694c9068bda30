/* An endpoint's circuit as the workers of one node share it, and as the node shares it with others.
 *
 * The decisions are core/breaker_view's; this keeps the lock off the way of requests that fare well. While the circuit
 * is closed and no failure is on record, letting a request through is three loads, and a success is one cell of the
 * worker's own, which whoever takes the lock next adds up. Only a failure, a success that ends a run of failures, and
 * requests that meet a circuit whose waiting time is over take the lock, for the arithmetic and never for I/O; in an
 * open circuit's waiting time they are refused by one load more.
 *
 * So the node counts as one: `failure_threshold` failures of all its workers open the circuit, and it lets out
 * half_open_permits probes, not that many for each worker. Any thread; times are of one monotonic clock.
 *
 * In a cluster the circuit is one for all nodes: node/circuit_share.h. */
#ifndef WEIR_NODE_CIRCUIT_H
#define WEIR_NODE_CIRCUIT_H

#include <stdatomic.h>
#include <uv.h>

#include "core/breaker_view.h"
#include "core/snapshot.h"

struct weir_bell;
struct weir_endpoint;
struct weir_log_producer;

/* What stands in the way of a request, from nothing to a closer look. */
enum weir_circuit_mode {
    WEIR_CIRCUIT_CALM,    /* closed, no failure on record: let through, and a success changes nothing */
    WEIR_CIRCUIT_WATCHED, /* closed, failures on record: let through, and a success has to be told */
    WEIR_CIRCUIT_GUARDED, /* open, half open or cooling */
};

struct weir_circuit {
    uv_mutex_t lock;
    struct weir_breaker_view view; /* under the lock, and so are the next ones */
    struct weir_breaker_policy policy;
    uint64_t ok_folded; /* of the workers' successes, so many are in the view */
    enum weir_breaker_phase phase;
    uint64_t since_ms;                    /* when the phase in force began */
    enum weir_breaker_reason reason;      /* of the last change of phase that was told */
    char why[WEIR_FAILURE_BYTES_MAX + 1]; /* the last failed try; "": none yet */
    uint64_t failed_unix_ms;
    /* An operator's word that the store has not confirmed yet: what it leads to, and whether that has been told. */
    bool ordered, ordered_told;
    enum weir_breaker_phase ordered_phase;
    struct weir_bell *bell; /* NULL: not to be shared */
    uint64_t asked_ms;      /* when the store was asked for it, which has not answered yet; 0: not */
    _Atomic bool enabled;
    _Atomic bool monitored; /* circuit_breaker.monitoring_enabled: changes are told and counted */
    _Atomic uint32_t mode;
    _Atomic uint64_t refuse_until_ms; /* GUARDED: before then nobody is let through */
    _Atomic uint64_t gen, own_gen;    /* for the tickets of those who are let through without the lock */
    /* 429 to a client's own key: others may fare well with theirs, so the endpoint is only chosen last until then. */
    _Atomic uint64_t shunned_until_ms;
    /* After a cooldown, until an answer: one request a recovery timeout finds out whether it is over, and others only
     * where no other endpoint is left. */
    _Atomic bool cooled;
    _Atomic uint64_t trial_until_ms, trial_ms;
};

/* In place of a worker: control's thread. */
#define WEIR_CIRCUIT_CONTROL UINT32_MAX

/* Where a circuit is asked from. */
struct weir_circuit_caller {
    unsigned worker; /* or WEIR_CIRCUIT_CONTROL */
    uint64_t now_ms;
    struct weir_log_producer *log;
};

void weir_circuit_init(struct weir_circuit *c, uint64_t now_ms);
void weir_circuit_end(struct weir_circuit *c);
/* At a reload; the state stays. try_ms_max as weir_breaker_policy_set wants it. */
void weir_circuit_configure(struct weir_circuit *c, const struct weir_config_breaker *config, uint64_t try_ms_max);

/* Would a request that comes at now_ms be let through? For choosing; takes no permit. */
bool weir_circuit_may_admit(struct weir_endpoint *e, uint64_t now_ms);
/* Lets a request through or not. ADMIT's ticket comes back by weir_circuit_done, once. */
struct weir_breaker_answer weir_circuit_admit(struct weir_endpoint *e, const struct weir_circuit_caller *by);
/* How it ended. why: a phrase for the log line, should this open the circuit. */
void weir_circuit_done(struct weir_endpoint *e, const struct weir_circuit_caller *by,
                       const struct weir_breaker_ticket *t, enum weir_breaker_verdict verdict, uint64_t cooldown_ms,
                       const char *why);
/* It is open and its wait is over, or half open with a permit left: a request that goes there finds out whether it is
 * well again. */
bool weir_circuit_wants_probe(struct weir_endpoint *e, uint64_t now_ms);
/* The cluster has been asked whether this node may probe it: a matter of a moment. awaited: and the request that asked
 * should wait for the answer (core/breaker_view's idled). */
bool weir_circuit_is_asking(struct weir_endpoint *e, uint64_t now_ms, bool awaited);
bool weir_circuit_is_cooled(const struct weir_endpoint *e);
/* Cooled, and a request is there already to find out. */
bool weir_circuit_is_on_trial(const struct weir_endpoint *e, uint64_t now_ms);
/* True: the caller is that request. */
bool weir_circuit_begin_trial(struct weir_endpoint *e, uint64_t now_ms);
void weir_circuit_shun(struct weir_endpoint *e, uint64_t until_ms);
bool weir_circuit_is_shunned(const struct weir_endpoint *e, uint64_t now_ms);

/* Until when nobody is let through, for Retry-After; 0: now, or as soon as a probe has succeeded. */
uint64_t weir_circuit_refuses_until_ms(const struct weir_endpoint *e, uint64_t now_ms);

/* For showing. */
struct weir_circuit_sight {
    bool enabled;
    bool shared; /* with the cluster */
    enum weir_breaker_phase phase;
    uint64_t gen;
    uint64_t since_ms;               /* when the phase began */
    enum weir_breaker_reason reason; /* why; of a closed circuit nothing */
    uint64_t open_until_ms, cooldown_until_ms;
    uint32_t failures;                 /* in a row */
    uint32_t probes;                   /* under way, of a half-open circuit */
    struct weir_breaker_counts window; /* of the error rate, if one is configured */
};
struct weir_circuit_sight weir_circuit_look(struct weir_endpoint *e, uint64_t now_ms);
/* How the last failed try failed, in words, and when; circuit or not. The phrase is empty, and the time 0, when none
 * has. */
void weir_circuit_last_failure(struct weir_endpoint *e, struct weir_failure_snapshot *out);
/* Control, once a second: the workers' successes are added up, so that the error rate has them in their second. */
void weir_circuit_tick(struct weir_endpoint *e, uint64_t now_ms);

/* An operator's word, from control: obeyed here at once, and told to the others. False: there is no circuit. */
bool weir_circuit_order(struct weir_endpoint *e, const struct weir_circuit_caller *by, enum weir_breaker_order order);

#endif
