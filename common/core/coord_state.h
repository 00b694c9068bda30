/* The whole of a coordination store as a state in memory: requests are carried out on it, one after another, and
 * answers and pushes come out. Pure; the time is the holder's clock. The memory store and the simulator hold one, and
 * the scripts in common/store/lua do the same on the same fields in Redis: a test drives both through the same
 * histories and compares every answer and every field.
 *
 * What it decides, in short; coord.h has the words, docs/redis.md the fields:
 *
 * - BEAT registers a node. Another instance may take an id over once the older one has been silent for the lease.
 *   Silence is only told, not judged; who has been silent for WEIR_COORD_FORGET_LEASES is forgotten. Not so when
 *   everybody was silent (a store cut off, a clock set forward): all get as much time again.
 * - LEAD gives the lead to who holds its token, else to the first who asks after the lease. Each change of the leader
 *   has a higher token. PUBLISH takes a map under the leader's token whose (epoch, leader) is above the stored one's.
 * - REPORT is weir_breaker_report on the endpoint's circuit. Each change of what others see of it moves the version.
 * - TOKENS puts unused tokens back, charges spent ones, and grants what is there (core/limiter.h). Strict limits fill
 *   over a minute and the life of a lease, so that any minute admits at most limit + burst, leases included. Tokens
 *   that go back leave the bucket as if they had not been taken. It owes a full bucket and one limit at most: whatever
 *   was spent before that is over.
 * - APPEND keeps a node's record, FOLD a point of the cluster's, ADVISE the hints; the latter two under the leader's
 *   token.
 *
 * Bounds: WEIR_CLUSTER_NODES_MAX members (more are refused), WEIR_COORD_CIRCUITS_MAX circuits and
 * WEIR_COORD_LIMITS_MAX limits (the least recently changed, or used, is forgotten), WEIR_COORD_EVENTS_KEPT events,
 * WEIR_COORD_LOADS_MAX records of loads and weir_coord_series_max points of each series (the oldest goes). */
#ifndef WEIR_CORE_COORD_STATE_H
#define WEIR_CORE_COORD_STATE_H

#include "core/coord.h"

/* Providers with a limit; a store that keeps a key for each lets them expire instead. */
#define WEIR_COORD_LIMITS_MAX 1024u

struct weir_coord_state; /* fields: core/coord_impl.h */

/* Called from inside weir_coord_apply, before it returns. */
typedef void (*weir_coord_push_cb)(void *arg, const struct weir_coord_push *push);

/* An empty store; NULL: out of memory. */
struct weir_coord_state *weir_coord_state_new(void);
/* Nulls; legal on NULL. */
void weir_coord_state_free(struct weir_coord_state **state);

/* Carries one request out. Fills all of *reply; what it points to lives until the next call. The answer REFUSED says
 * that a table is full, or that memory is; nothing but what the answer says has changed then. push may be NULL. */
void weir_coord_apply(struct weir_coord_state *state, uint64_t now_us, const struct weir_coord_request *request,
                      struct weir_coord_reply *reply, weir_coord_push_cb push, void *arg);

#endif
