/* What the node's own page (/dashboard) draws from, beside what /api/cluster/ tells: the pools of this node by
 * provider, in few words since it is asked for each second. Pure. */
#ifndef WEIR_CORE_RENDER_OVERVIEW_H
#define WEIR_CORE_RENDER_OVERVIEW_H

#include "core/err.h"
#include "core/snapshot.h"
#include "core/textbuf.h"

/* One line: .node, .timestamp_ms, .requests (answers by class since the start, and .active), .process, .bounds_ms
 * (upper bounds of the buckets, the last of which has none) and .providers[]: name, status, the pool now (active, idle,
 * opening, pending, max, utilization_percent), counters since the start (created, closed, errors, timeouts, tries,
 * failed, reused, leases), the buckets of request and first_byte (not cumulative), and .endpoints[]: id, status,
 * active, idle, in_flight. Errors: WEIR_ENOMEM (also: over out->max); the text in `out` is then of no use. */
WEIR_MUST_USE int weir_render_overview_pools(struct weir_textbuf *out, const struct weir_snapshot *s);

#endif
