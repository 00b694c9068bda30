/* What is wrong with a cluster, in the words of people who run pools: pool exhaustion, connection timeouts, high error
 * rate, memory; what an operator has opened and may have forgotten; and what a cluster can lack. Each finding has its
 * evidence and the lines of configuration to change; failed checks are found beside it (doctor_checks.h). Pure: two
 * looks at a node some seconds apart go in, so that what happens now is told from what happened long ago.
 *
 * Answers are JSON from outside: what is missing, or of another kind, is no evidence. */
#ifndef WEIR_CLI_DOCTOR_H
#define WEIR_CLI_DOCTOR_H

#include <jansson.h>

struct ctl_exam {
    const json_t *before, *after; /* /api/http-client/pool/stats */
    double seconds;               /* between them; above 0 */
    /* At the end of it; each may be NULL. */
    const json_t *health;    /* /health */
    const json_t *memory;    /* /debug/memory/pool */
    const json_t *providers; /* /health/providers */
    const json_t *alerts;    /* /api/alerts: of the last minutes (alerting.window) */
    const json_t *state;     /* /api/cluster/state */
    const json_t *nodes;     /* /api/cluster/nodes */
    const json_t *breakers;  /* /api/cluster/breakers */
    const json_t *events;    /* /api/cluster/events: who has opened a circuit */
    /* At its beginning; may be NULL, too. */
    const json_t *health_before;
};

/* The share of connections, or of tries, that may fail (the high error rate begins above it). */
#define CTL_ERROR_RATE_MAX 0.05
/* Of a pool's limit in force, and of the memory that the process may take: from here on it is too full. */
#define CTL_POOL_FULL_PERCENT   90.0
#define CTL_MEMORY_FULL_PERCENT 80.0
/* Fewer shards for each node than this leave some nodes with noticeably more than others. */
#define CTL_SHARDS_PER_NODE 8.0

/* A new array of findings, the worst kinds first: {kind, node, provider (null: none), evidence: [sentences], change:
 * lines of YAML ("": none), held: [what would help and is set already, as "retry.attempts: 5"], advice (a sentence, or
 * null)}. NULL: out of memory. */
json_t *ctl_diagnose(const struct ctl_exam *exam);

#endif
