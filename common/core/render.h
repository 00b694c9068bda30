/* What the admin endpoints answer, as text made from a snapshot. Pure: the same snapshot gives the same bytes. */
#ifndef WEIR_CORE_RENDER_H
#define WEIR_CORE_RENDER_H

#include "core/alert.h"
#include "core/err.h"
#include "core/snapshot.h"
#include "core/textbuf.h"

/* A thousand endpoints at a hundred series of about 150 bytes are 15 MB; what is larger than this is a fault. */
#define WEIR_RENDER_BYTES_MAX        ((size_t)32 * 1024 * 1024)
#define WEIR_PROMETHEUS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* Each adds to `out`, which the caller has initialised and closes. Errors: WEIR_ENOMEM (also: over out->max); the text
 * in `out` is then of no use. */

/* /metrics/prometheus: text exposition format 0.0.4. */
WEIR_MUST_USE int weir_render_prometheus(struct weir_textbuf *out, const struct weir_snapshot *s);
/* /metrics: .node, .process, .connection_pool (all guide names, .providers.NAME the same and .endpoints below them). */
WEIR_MUST_USE int weir_render_metrics_json(struct weir_textbuf *out, const struct weir_snapshot *s);
/* /api/http-client/pool/stats: all guide names, .providers.NAME.endpoints.ID, and .providers.NAME.settings: keys of its
 * configuration (weir_tree_settings). */
WEIR_MUST_USE int weir_render_pool_stats(struct weir_textbuf *out, const struct weir_snapshot *s);
/* /health: .status (weir_health_of_node) and .checks.{memory,connections,descriptors,event_loop,providers}. */
WEIR_MUST_USE int weir_render_health(struct weir_textbuf *out, const struct weir_snapshot *s);
/* /health/providers: .status (weir_health_of_providers) and .providers.NAME: status, endpoints with health, circuit and
 * addresses. */
WEIR_MUST_USE int weir_render_health_providers(struct weir_textbuf *out, const struct weir_snapshot *s);
/* /health/circuit-breaker: .status ("closed" when all are, else the worst), .open, .half_open, and
 * .providers.NAME.endpoints.ID. */
WEIR_MUST_USE int weir_render_circuits(struct weir_textbuf *out, const struct weir_snapshot *s);
/* /debug/network/latency: .providers.NAME.endpoints.ID.{dns,connect,tls,first_byte}, null for what was never measured.
 */
WEIR_MUST_USE int weir_render_latency(struct weir_textbuf *out, const struct weir_snapshot *s);

/* Objects of one kind, and the memory that they take. */
struct weir_memory_row {
    const char *name;
    uint64_t count, bytes;
};
/* /debug/memory/pool: .objects.NAME.{count,bytes}, their sum, and the process's memory. */
WEIR_MUST_USE int weir_render_memory_pool(struct weir_textbuf *out, const struct weir_snapshot *s,
                                          const struct weir_memory_row *rows, size_t count);

/* What the allocator says of itself, in bytes but for the counts. */
struct weir_allocator_report {
    uint64_t arenas; /* of the allocator: heaps that threads share */
    uint64_t heap;   /* taken from the system, mapped blocks apart */
    uint64_t mapped; /* mapped blocks: large allocations */
    uint64_t mapped_count;
    uint64_t in_use;                          /* of the heap */
    uint64_t free;                            /* of the heap: kept for later */
    uint64_t trimmable;                       /* of these, at the top */
    bool trimmed;                             /* a trim was asked for, and done before the above was read */
    bool released;                            /* ... and gave memory back */
    uint64_t resident_before, resident_after; /* of the process, around it */
};
/* /debug/memory/gc: .collector is null, since C has none; .allocator, and .trim after a trim. */
WEIR_MUST_USE int weir_render_memory_gc(struct weir_textbuf *out, const struct weir_snapshot *s,
                                        const struct weir_allocator_report *report);
/* /api/alerts: .firing, .scale_up_wanted, and .alerts[]: each rule in each scope. now_ms: the clock of the evaluations
 * at the moment that the snapshot's unix_ms is. */
WEIR_MUST_USE int weir_render_alerts(struct weir_textbuf *out, const struct weir_snapshot *s,
                                     const struct weir_alerts *a, uint64_t now_ms);
/* What the action `webhook` posts when a rule begins or ceases to fire: Alertmanager's format, version 4, a group of
 * one alert. Clocks as above. */
#define WEIR_WEBHOOK_BYTES_MAX ((size_t)16384) /* a condition and a message of the longest, escaped */
WEIR_MUST_USE int weir_render_webhook(struct weir_textbuf *out, const struct weir_alert_view *v, const char *node,
                                      uint64_t unix_ms, uint64_t now_ms);
/* /health/connections: .status, the pool in short, and per provider. */
WEIR_MUST_USE int weir_render_health_connections(struct weir_textbuf *out, const struct weir_snapshot *s);

#endif
