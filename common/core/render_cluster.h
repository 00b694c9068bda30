/* What /api/cluster/ answers, made from a snapshot. Pure. Every answer is an object with .schema, .node (the id of the
 * node that answers) and .cluster (its cluster's name); fields may be added within a schema, and are not changed.
 *
 * A node that is in no cluster answers the same pages: .cluster is null, it is the only node, has no shards, goes by
 * its own circuits and limits, and knows no events. Hints and analytics are the coordinator's own pages, and have
 * members of their own. */
#ifndef WEIR_CORE_RENDER_CLUSTER_H
#define WEIR_CORE_RENDER_CLUSTER_H

#include "core/err.h"
#include "core/event_ring.h"
#include "core/snapshot.h"
#include "core/textbuf.h"

#define WEIR_CLUSTER_PAGES_SCHEMA 1

/* Errors: WEIR_ENOMEM (also: over out->max); the text in `out` is then of no use. */

/* state: .state ("joining", "active", "draining"), .member, .refused (why the store does not let it in), .contact,
 * .since (contact, or none), .store, .epoch and .leader (map: who published it), .lead (who leads now: .coordinator,
 * null when nobody does, .lease_seconds until its lease runs out unless it is renewed, and .terms, how often the lead
 * has changed hands; null: not known, for want of contact), .shard_count, .owned, .mode, .pool_sharding,
 * .nodes.{alive,total}, .requests (to the store, by kind) and .requests_failed. */
WEIR_MUST_USE int weir_render_cluster_state(struct weir_textbuf *out, const struct weir_snapshot *s);
/* nodes: .nodes[]: id, advertise, state, alive, suspect, self, weight, version, epoch_seen, shards, age_ms, load. */
WEIR_MUST_USE int weir_render_cluster_nodes(struct weir_textbuf *out, const struct weir_snapshot *s);
/* shards: .epoch, .leader, .shard_count, .owners[]: node, count, ranges ([first, last], ascending); effective owners.
 */
WEIR_MUST_USE int weir_render_cluster_shards(struct weir_textbuf *out, const struct weir_snapshot *s);
/* map: what rounds of rebalancing begin with (core/rebalance_round.h): .map, the newest that was published, as text
 * (core/shard_map.h; null: none was), .shard_count of the next one, .failover, .load_moves. Members are on `nodes`. */
WEIR_MUST_USE int weir_render_cluster_map(struct weir_textbuf *out, const struct weir_snapshot *s);
/* breakers: .breakers[]: provider, endpoint, state, shared, generation, state_seconds, retry_in_seconds,
 * cooldown_seconds, failures_in_a_row, reason (null: closed). */
WEIR_MUST_USE int weir_render_cluster_breakers(struct weir_textbuf *out, const struct weir_snapshot *s);
/* limits: .limits[]: provider, requests_per_minute, burst, mode ("leased", "degraded", "closed"; "local": of this node
 * alone), strict, fail, share_per_minute, leased, remaining (null: not known yet), waiting. */
WEIR_MUST_USE int weir_render_cluster_limits(struct weir_textbuf *out, const struct weir_snapshot *s);
/* events: .events[], the last `count` of them, oldest first. */
WEIR_MUST_USE int weir_render_cluster_events(struct weir_textbuf *out, const struct weir_snapshot *s,
                                             const struct weir_event_ring *ring, size_t count);
/* hints: what the coordinator has published (docs/hints.md), with .valid true, .age_s and .node added; or, when there
 * is nothing valid, .schema, .valid false and .reason only. */
WEIR_MUST_USE int weir_render_cluster_hints(struct weir_textbuf *out, const struct weir_snapshot *s);
/* analytics: likewise, with .age_s and .node added: .patterns[] and .performance[], empty with a .reason when there are
 * none. */
WEIR_MUST_USE int weir_render_cluster_analytics(struct weir_textbuf *out, const struct weir_snapshot *s);

/* What a node answers an operator that has had it do something: .schema, .node (who answers), .KEY ("for": the node
 * that it is done to; "endpoint"), .state (what that is now). */
WEIR_MUST_USE int weir_render_operated(struct weir_textbuf *out, const char *node, const char *key, const char *value,
                                       const char *state);

#endif
