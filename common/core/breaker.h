/* The circuit breaker of one endpoint as a pure transition of plain data: reports go in, permits and events come out.
 *
 *     closed --failures--> open --recovery timeout, and somebody asks--> half open --all probes succeed--> closed
 *                           ^------------------- one probe fails -----------'
 *
 * The state may belong to one thread, to a process or to a cluster: whoever holds it applies reports one after another,
 * in C or in a script on the same fields. Every number is an integer below 2^53, and all of a state is kept within the
 * bounds below. core/breaker_view.h is the other side: what somebody who only reports knows and may decide alone.
 *
 * - Each phase has a generation, one higher than the last. Outcomes of requests let through in an older one say nothing
 *   of this one and are dropped.
 * - A report is a delta over some time: so many successes and failures, and how many of the failures are the unbroken
 *   run at its end, so that failures in a row can be counted over batches.
 * - While half open only holders of a permit send anything. A permit has an id and expires, so one that is never
 *   reported (its holder hung or died) blocks nothing; reported too late or twice, it is ignored.
 * - A cooldown (Retry-After) is no failure and no phase: nobody asks the endpoint before its deadline, which only moves
 *   back, never forward, and holds whatever the generation.
 * - One node's broken network shall not open the circuit for all: it stays closed while another node has lately
 *   reported that it is served well. The failing node then keeps its own circuit open (breaker_view does). A node whose
 *   latest outcomes are failures does not speak for the endpoint, however well it was served before: one that has just
 *   died has been well for everybody a moment ago. */
#ifndef WEIR_CORE_BREAKER_H
#define WEIR_CORE_BREAKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/config.h"
#include "core/outcome.h"

/* A window of up to a minute has buckets of one second, a longer one has wider ones. */
#define WEIR_BREAKER_BUCKETS 60u
/* The configuration's highest half_open_permits: more at once is no probe any more. */
#define WEIR_BREAKER_PERMITS_MAX 64u
/* Permits in one report: asked for at once, or reported at once. */
#define WEIR_BREAKER_BATCH 8u
/* What a longer Retry-After is cut to here: a mistaken one must not put an endpoint away for a day. */
#define WEIR_BREAKER_COOLDOWN_MS_MAX (UINT64_C(3600) * 1000)
/* How long a node's word that it is served well counts, and from how many successes on. */
#define WEIR_BREAKER_WITNESS_MS 10000u
#define WEIR_BREAKER_WITNESS_OK 3u
/* How long a permit may wait to be used. It lasts twice that longer than a try can: its way to its holder takes time,
 * too. */
#define WEIR_BREAKER_PERMIT_IDLE_MS 500u
#define WEIR_BREAKER_PPM            1000000u

struct weir_breaker_policy {
    uint32_t failure_threshold;
    uint64_t recovery_ms, recovery_max_ms; /* the wait doubles from one to the other; equal: it does not */
    uint32_t permits;                      /* probes at once, and successes that close the circuit */
    uint64_t permit_ms;                    /* more than a probe can last */
    uint32_t rate_ppm;                     /* 0: only failures in a row open the circuit */
    uint64_t window_ms;
    uint32_t window_min; /* outcomes in the window below which the rate says nothing */
};
/* try_ms_max: the longest a try may take by its clocks until its outcome is known. */
void weir_breaker_policy_set(struct weir_breaker_policy *p, const struct weir_config_breaker *c, uint64_t try_ms_max);

/* -- what an outcome means -- */

enum weir_breaker_verdict { WEIR_BREAKER_SUCCESS, WEIR_BREAKER_FAILURE, WEIR_BREAKER_NEITHER };

/* Failures: failed connect, lost connection, a clock, 5xx but 501. Neither: the client's leaving, the pool's wait, a
 * kept connection that had been closed, 429, and 503 with Retry-After; *cooldown_ms is what these last two ask for, or
 * 0. Not to be asked for outcomes that led to a replacement (core/retry.h). */
enum weir_breaker_verdict weir_breaker_judge(const struct weir_outcome *o, uint64_t *cooldown_ms);

/* -- counts over time -- */

struct weir_breaker_bucket {
    uint64_t period; /* time / width */
    uint32_t ok, fail;
};
struct weir_breaker_counts {
    uint64_t ok, fail;
};

/* -- the state -- */

enum weir_breaker_phase { WEIR_BREAKER_CLOSED, WEIR_BREAKER_OPEN, WEIR_BREAKER_HALF_OPEN };

struct weir_breaker_permit {
    uint64_t id; /* never 0, never used twice by one state */
    uint64_t expires_ms;
};

struct weir_breaker_state {
    enum weir_breaker_phase phase;
    uint64_t gen;      /* from 1 */
    uint64_t since_ms; /* when the phase began */
    uint64_t open_until_ms;
    uint64_t cooldown_until_ms;
    uint32_t openings;  /* in a row, without a close between */
    uint32_t run;       /* failures in a row; CLOSED */
    uint32_t probes_ok; /* HALF_OPEN */
    uint32_t permit_count;
    uint64_t permit_last; /* id */
    struct weir_breaker_permit permits[WEIR_BREAKER_PERMITS_MAX];
    struct weir_breaker_bucket buckets[WEIR_BREAKER_BUCKETS];
    /* The two nodes that said last that they are served well: two, so that for any node there is another one. */
    struct {
        uint64_t node, at_ms; /* node 0: nobody */
    } witnesses[2];
};

/* What one has to know of it to let requests through or not. */
struct weir_breaker_sight {
    enum weir_breaker_phase phase;
    uint64_t gen, open_until_ms, cooldown_until_ms;
};

/* An operator's word, in whatever generation; a report that brings one has its outcomes passed over. A cooldown stays:
 * the endpoint asked for it.
 * X(id, text) */
#define WEIR_BREAKER_ORDER_MAP(X)                                                                          \
    X(NONE, "none")                                                                                        \
    X(OPEN, "open")   /* for a recovery timeout, then probes decide; whoever else is served well or not */ \
    X(CLOSE, "close") /* what is not closed; nothing is remembered */                                      \
    X(RESET, "reset") /* a new generation of a closed circuit, which has forgotten its failures */
#define WEIR_BREAKER_ENUM(id, text) WEIR_BREAKER_ORDER_##id,
enum weir_breaker_order { WEIR_BREAKER_ORDER_MAP(WEIR_BREAKER_ENUM) WEIR_BREAKER_ORDERS };
#undef WEIR_BREAKER_ENUM
const char *weir_breaker_order_text(enum weir_breaker_order o);

struct weir_breaker_report {
    uint64_t gen;       /* of the requests reported */
    uint64_t node;      /* who reports, from 1; threads of one node report under one number */
    uint32_t ok, fail;  /* while closed */
    uint32_t run;       /* the failures at the end of it, with no success after them; at most fail */
    uint64_t recent_ok; /* the node's own last ten seconds, all generations: its word as a witness */
    uint64_t recent_fail;
    uint64_t cooldown_ms; /* from now; 0: none */
    enum weir_breaker_order order;
    uint32_t want; /* permits that there are requests for; more than WEIR_BREAKER_BATCH are not given at once */
    uint32_t probe_count;
    struct {
        uint64_t permit;
        enum weir_breaker_verdict verdict;
    } probes[WEIR_BREAKER_BATCH];
};

/* -- events, for the log and the metrics -- */

#define WEIR_BREAKER_EVENT_MAP(X)                            \
    X(OPENED, "opened", "circuit opened")                    \
    X(HALF_OPENED, "half_opened", "circuit half open")       \
    X(CLOSED, "closed", "circuit closed")                    \
    X(COOLING, "cooling", "endpoint asked to be left alone") \
    X(KEPT_CLOSED, "kept_closed", "circuit kept closed for the others")

#define WEIR_BREAKER_REASON_MAP(X)                            \
    X(CONSECUTIVE, "consecutive_failures")                    \
    X(RATE, "error_rate")                                     \
    X(PROBE_FAILED, "probe_failed")                           \
    X(WAITED, "recovery_timeout")                             \
    X(PROBES_OK, "probes_succeeded")                          \
    X(RETRY_AFTER, "retry_after")                             \
    X(WITNESS, "witness")   /* another node is served well */ \
    X(OPERATOR, "operator") /* ordered it */                  \
    X(CLUSTER, "cluster")   /* what other nodes have seen */

#define WEIR_BREAKER_ENUM(id, ...) WEIR_BREAKER_IS_##id,
enum weir_breaker_event_kind { WEIR_BREAKER_EVENT_MAP(WEIR_BREAKER_ENUM) WEIR_BREAKER_EVENT_KINDS };
#undef WEIR_BREAKER_ENUM
#define WEIR_BREAKER_ENUM(id, ...) WEIR_BREAKER_BY_##id,
enum weir_breaker_reason { WEIR_BREAKER_REASON_MAP(WEIR_BREAKER_ENUM) WEIR_BREAKER_REASONS };
#undef WEIR_BREAKER_ENUM

const char *weir_breaker_event_label(enum weir_breaker_event_kind k);
const char *weir_breaker_event_text(enum weir_breaker_event_kind k);
const char *weir_breaker_reason_label(enum weir_breaker_reason r);
const char *weir_breaker_phase_text(enum weir_breaker_phase p); /* "closed", "open", "half-open" */

struct weir_breaker_event {
    enum weir_breaker_event_kind kind;
    enum weir_breaker_reason reason;
    uint64_t gen;                      /* after it */
    uint64_t until_ms;                 /* OPENED, COOLING: nothing is sent before */
    uint32_t run;                      /* OPENED, KEPT_CLOSED: failures in a row */
    struct weir_breaker_counts window; /* OPENED, KEPT_CLOSED: of the rate, if there is one */
};

/* A report makes at most one event of each: a cooldown, a change by its outcomes, a change by its asking. */
#define WEIR_BREAKER_EVENTS_MAX 3u

struct weir_breaker_reply {
    uint64_t gen; /* of the permits */
    uint32_t permit_count;
    struct weir_breaker_permit permits[WEIR_BREAKER_BATCH];
    uint32_t event_count;
    struct weir_breaker_event events[WEIR_BREAKER_EVENTS_MAX];
};

/* -- transitions; now_ms is the state's clock. It may be set back: what is waited for ends in its time all the same --
 */

void weir_breaker_init(struct weir_breaker_state *s, uint64_t now_ms);
/* Applies one report. Fills all of *out. */
void weir_breaker_report(struct weir_breaker_state *s, const struct weir_breaker_policy *p, uint64_t now_ms,
                         const struct weir_breaker_report *r, struct weir_breaker_reply *out);
struct weir_breaker_sight weir_breaker_look(const struct weir_breaker_state *s);
/* Outcomes in the window of the rate. */
struct weir_breaker_counts weir_breaker_window(const struct weir_breaker_state *s, const struct weir_breaker_policy *p,
                                               uint64_t now_ms);

/* Adds a later report of the same node and generation to one not yet sent: what a node does with its threads' reports.
 * Probes that do not fit are left out; their permits expire. */
void weir_breaker_report_add(struct weir_breaker_report *sum, const struct weir_breaker_report *later);

#endif
