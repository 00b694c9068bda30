/* Which endpoints of one provider are in health: by active checks, and by how their tries end (passive outlier
 * detection). A sick one is ejected, that is, not chosen while another can serve; at most half of a provider's
 * endpoints are out at any time, since a wrong check or a bad network must not be an outage of our own making.
 *
 * Out by checks: after unhealthy_threshold failed ones in a row, until one passes. When no more may be out, it stays in
 * and goes out as soon as it may.
 * Out by tries: after so many failures in a row, or when in an interval its rate of success lies far below that of the
 * others; for a time that grows with each ejection and shrinks again with each interval in health. When no more may be
 * out, it is spared.
 *
 * Plain data, pure: time and chance are arguments, deadlines and events are results. One provider's outlier is used by
 * one thread at a time. */
#ifndef WEIR_CORE_OUTLIER_H
#define WEIR_CORE_OUTLIER_H

#include <stdbool.h>
#include <stdint.h>

#include "core/config.h"
#include "core/pool.h"

/* Rates of success are compared this often (Envoy's default). */
#define WEIR_OUTLIER_INTERVAL_MS 10000u
/* An interval with fewer tries at an endpoint says nothing of its rate. */
#define WEIR_OUTLIER_TRIES_MIN 10u
/* So far below the median of the others is far: three failures in ten tries, when the others have none. A margin, not a
 * number of deviations: of three endpoints none can lie two deviations out. */
#define WEIR_OUTLIER_RATE_MARGIN 0.3

/* As failures_in_a_row: a run of failures ejects nobody. */
#define WEIR_OUTLIER_RATES_ALONE UINT32_MAX

struct weir_outlier_opts {
    bool checks; /* active ones are made */
    uint64_t check_interval_ms;
    uint32_t unhealthy_threshold;
    uint32_t failures_in_a_row; /* 0: tries eject nothing, rates neither */
    uint64_t eject_ms;          /* the first time; the n-th is n times as long... */
    uint64_t eject_ms_max;      /* ...up to this */
};

/* health.*, and from the circuit breaker its failure_threshold and, as eject_ms_max, its recovery_timeout: what has
 * healed is back within one of these. With a circuit breaker runs of failures are its affair. Without health.enabled
 * neither checks nor tries eject. */
struct weir_outlier_opts weir_outlier_opts_of(const struct weir_config_http *c);

enum weir_outlier_change {
    WEIR_OUTLIER_UNHEALTHY, /* checks failed */
    WEIR_OUTLIER_HEALTHY,   /* a check passed again */
    WEIR_OUTLIER_EJECTED,
    WEIR_OUTLIER_RETURNED,
    WEIR_OUTLIER_SPARED, /* would have been ejected, but half are out */
};

enum weir_outlier_reason {
    WEIR_OUTLIER_BY_CHECKS,
    WEIR_OUTLIER_BY_FAILURES,
    WEIR_OUTLIER_BY_RATE,
    WEIR_OUTLIER_REASONS
};

struct weir_outlier_event {
    enum weir_outlier_change change;
    enum weir_outlier_reason reason; /* EJECTED, SPARED */
    unsigned slot;
    uint64_t until_ms; /* EJECTED: WEIR_NEVER when only a check ends it */
};

/* Must not call back into the same outlier. */
typedef void weir_outlier_fn(void *arg, const struct weir_outlier_event *e);

struct weir_outlier_endpoint {
    bool present;
    bool checking;
    bool unhealthy; /* by checks */
    bool ejected;
    bool fresh;                /* let back in during this interval: not yet an interval in health */
    uint32_t checks_failed;    /* in a row */
    uint32_t failures;         /* in a row */
    uint32_t ok, failed;       /* in this interval */
    uint32_t ejections;        /* not yet forgotten */
    uint64_t next_check_ms;    /* WEIR_NEVER: none wanted, or one is under way */
    uint64_t checks_paused_ms; /* none before */
    uint64_t eject_until_ms;   /* by tries; 0: not */
};

struct weir_outlier {
    struct weir_outlier_opts opts;
    struct weir_outlier_endpoint at[WEIR_POOL_ENDPOINTS_MAX];
    unsigned count, ejected; /* endpoints; of these out */
    uint64_t sweep_ms;       /* when rates are compared next */
};

void weir_outlier_init(struct weir_outlier *o, const struct weir_outlier_opts *opts, uint64_t now_ms);
/* After a reload. Without checks nothing is unhealthy any more. */
void weir_outlier_opts_set(struct weir_outlier *o, const struct weir_outlier_opts *opts, uint64_t now_ms, void *arg,
                           weir_outlier_fn *fn);

/* slot < WEIR_POOL_ENDPOINTS_MAX, free. The first check comes at a random time within the interval, so that nodes
 * started together do not check together. More endpoints may be out then. */
void weir_outlier_add(struct weir_outlier *o, unsigned slot, uint64_t now_ms, uint64_t random, void *arg,
                      weir_outlier_fn *fn);
/* Fewer endpoints may be out then, so others may return. */
void weir_outlier_remove(struct weir_outlier *o, unsigned slot, void *arg, weir_outlier_fn *fn);

/* How a try at the endpoint ended; a client's leaving and an endpoint's cooldown are neither. */
void weir_outlier_answered(struct weir_outlier *o, unsigned slot);
/* So many more answers to count in this interval, of whoever gathers them apart while nothing fails: they end no run of
 * failures, since some may have come before it. */
void weir_outlier_answers(struct weir_outlier *o, unsigned slot, uint32_t count);
void weir_outlier_failed(struct weir_outlier *o, unsigned slot, uint64_t now_ms, void *arg, weir_outlier_fn *fn);
/* Its circuit has closed, which is better evidence than the passing of time: ends what tries have caused. */
void weir_outlier_restore(struct weir_outlier *o, unsigned slot, void *arg, weir_outlier_fn *fn);

/* A slot whose check is due, or -1. Begin it, or the answer stays the same. */
int weir_outlier_check_due(const struct weir_outlier *o, uint64_t now_ms);
void weir_outlier_check_begin(struct weir_outlier *o, unsigned slot);
/* The result of the check begun. Of an endpoint that has left meanwhile: ignored. Whoever puts another one into its
 * slot ends the check first. */
void weir_outlier_check_done(struct weir_outlier *o, unsigned slot, uint64_t now_ms, bool passed, void *arg,
                             weir_outlier_fn *fn);
/* The check begun could not be made, for reasons that are not the endpoint's: the next one comes at its time. */
void weir_outlier_check_drop(struct weir_outlier *o, unsigned slot, uint64_t now_ms);
/* The circuit is open until then: no check before. The time is when a trial may be made, not when one was: an endpoint
 * that is out would wait for ever for a trial by a request. */
void weir_outlier_checks_pause(struct weir_outlier *o, unsigned slot, uint64_t until_ms);

/* Lets back in whose time is over, and compares rates when that is due. */
void weir_outlier_tick(struct weir_outlier *o, uint64_t now_ms, void *arg, weir_outlier_fn *fn);
/* When a check or a tick is due next. */
uint64_t weir_outlier_due_ms(const struct weir_outlier *o);

static inline bool weir_outlier_is_ejected(const struct weir_outlier *o, unsigned slot)
{
    return o->at[slot].ejected;
}

#endif
