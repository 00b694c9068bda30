/* Alerts: which rules fire, over all providers and for each one, from snapshots taken every few seconds. Counters count
 * over the window, and so do the means and rates made from them; gauges are as they are. Pure; time is an argument.
 *
 * A rule is a state machine per scope. Each move is told once:
 *
 *     inactive --true--> pending --true for `for`--> firing --not true--> resolved --true--> pending
 *                        pending --not true--> inactive or resolved, whichever it came from
 *
 * What is unknown (a division by zero) is not true. */
#ifndef WEIR_CORE_ALERT_H
#define WEIR_CORE_ALERT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/alert_expr.h"
#include "core/alert_values.h"
#include "core/config.h"
#include "core/snapshot.h"

/* -- conditions -- */

/* Parses a condition over metric names; ids are those of core/alert_values.h. The error of an unknown name names the
 * nearest known one. Errors: WEIR_EINVAL. */
WEIR_MUST_USE int weir_alert_condition_parse(struct weir_alert_expr *out, struct weir_str text,
                                             struct weir_alert_expr_error *error);

/* -- one rule in one scope -- */

enum weir_alert_state { WEIR_ALERT_INACTIVE, WEIR_ALERT_PENDING, WEIR_ALERT_FIRING, WEIR_ALERT_RESOLVED };
const char *weir_alert_state_text(enum weir_alert_state s); /* "inactive", "pending", "firing", "resolved" */

/* All zero: inactive, never fired. */
struct weir_alert {
    enum weir_alert_state state;
    uint64_t since_ms;    /* in this state; pending: since then the condition has held */
    uint64_t fired_ms;    /* when it last began to fire; 0: never */
    uint64_t resolved_ms; /* when it last ceased to; 0: never */
};

/* Moves the state. True: it began or ceased to fire, and a->state says which. */
bool weir_alert_step(struct weir_alert *a, enum weir_alert_truth truth, uint64_t for_ms, uint64_t now_ms);

/* -- counters over the window -- */

/* Samples kept: enough for one each 10 s over 300 s, the default, with some to spare for a timer that is early; a
 * longer window has them further apart. */
#define WEIR_ALERT_SAMPLES 36u

struct weir_alert_window {
    uint64_t window_ms;
    size_t cells;                       /* counters in a sample */
    uint64_t at_ms[WEIR_ALERT_SAMPLES]; /* a ring, oldest at `first` */
    uint64_t *counters;                 /* WEIR_ALERT_SAMPLES x cells; the caller's */
    unsigned first, count;
};

/* window_ms > 0; memory has room for WEIR_ALERT_SAMPLES x cells and lasts as long as the window. */
void weir_alert_window_init(struct weir_alert_window *w, uint64_t window_ms, size_t cells, uint64_t *memory);
/* What the counters have grown by since the newest sample that is a window old, or since the oldest there is: the first
 * call yields zeros. Keeps `now` as a sample when one is due. When a counter has fallen (endpoints have left), the
 * window starts anew. */
void weir_alert_window_increase(struct weir_alert_window *w, uint64_t now_ms, const uint64_t *now, uint64_t *increase);

/* -- all rules in all scopes -- */

struct weir_alerts;

/* A rule in a scope. */
struct weir_alert_view {
    const struct weir_config_alert *rule;
    const char *provider; /* NULL: over all */
    const struct weir_alert *alert;
    const struct weir_alert_values *values; /* of the scope at the last evaluation, counters over the window */
    const struct weir_alert_expr *condition;
};

/* The next metric that the condition names, each once: its id; -1: there is none left. *at begins as 0. */
int weir_alert_next_name(const struct weir_alert_view *v, unsigned *at);

/* Must not free the alerts. */
typedef void weir_alert_fn(void *arg, const struct weir_alert_view *v);

/* The rules of alerting.connection_pool, then those of alerts, for all providers of the configuration, which must
 * outlive the result. On error *out is NULL. Errors: WEIR_ENOMEM; WEIR_EINVAL for a condition that a checked
 * configuration does not hold. */
WEIR_MUST_USE int weir_alerts_new(struct weir_alerts **out, const struct weir_config *c, struct weir_err *err);
void weir_alerts_free(struct weir_alerts **a);
/* After a reload: takes over the states of rules whose name and condition are the same, and the counters of providers
 * of the same name if the window is the same. What fires in `old` and has no successor is told as resolved. Call before
 * `old` is freed. */
void weir_alerts_adopt(struct weir_alerts *a, struct weir_alerts *old, uint64_t now_ms, void *arg, weir_alert_fn *fn);

/* When the next evaluation is due, alerting.interval after the last one; 0: at once. */
uint64_t weir_alerts_due_ms(const struct weir_alerts *a);
/* Evaluates every rule, whether due or not; fn gets each that began or ceased to fire. Providers that the configuration
 * does not have are passed over; those that the snapshot does not have keep their states. A first call with the
 * counters as they were at the start makes what follows count from there. */
void weir_alerts_evaluate(struct weir_alerts *a, const struct weir_snapshot *s, uint64_t now_ms, void *arg,
                          weir_alert_fn *fn);
/* Rules that fire now, scopes counted one by one. */
struct weir_alerts_count {
    unsigned by_severity[3]; /* enum weir_config_severity */
    unsigned scale_up;       /* of these, with this action */
};
struct weir_alerts_count weir_alerts_count(const struct weir_alerts *a);
/* A rule with the action scale_up fires for the provider, or over all. */
bool weir_alerts_scale_up(const struct weir_alerts *a, const char *provider);
/* Every rule in every scope, those over all first. */
void weir_alerts_each(const struct weir_alerts *a, void *arg, weir_alert_fn *fn);

#endif
