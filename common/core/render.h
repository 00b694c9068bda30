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
/* /api/http-client/pool/stats: all guide names, and .providers.NAME.endpoints.ID. */
WEIR_MUST_USE int weir_render_pool_stats(struct weir_textbuf *out, const struct weir_snapshot *s);
/* /health: .status (weir_health_of_node) and .checks.{memory,connections,descriptors,event_loop,providers}. */
WEIR_MUST_USE int weir_render_health(struct weir_textbuf *out, const struct weir_snapshot *s);
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
