/* What the admin endpoints answer, as text made from a snapshot. Pure: the same snapshot gives the same bytes. */
#ifndef WEIR_CORE_RENDER_H
#define WEIR_CORE_RENDER_H

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
/* /health/connections: .status, the pool in short, and per provider. */
WEIR_MUST_USE int weir_render_health_connections(struct weir_textbuf *out, const struct weir_snapshot *s);

#endif
