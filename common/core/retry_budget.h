/* The retry budget of one provider: retries and fallbacks together are at most a fifth of the requests of the last ten
 * seconds, or ten a second where that is more, so that a provider which fails is not asked much more often for it.
 *
 * Several threads share one budget. Requests are counted in cells of which each worker has its own (one writer: a load,
 * an add and a store, no lock prefix, no shared cache line); retries, which are few, in cells that all share. A retry
 * is added first, then all cells are summed, and it is taken back when the sum is too high: two that race for the last
 * one may both be refused, never both be let through. Shares per worker would need no shared cells, but would leave a
 * busy worker without retries beside an idle one, and ten a second over 64 workers would be one in six seconds for
 * each.
 *
 * Bound, whatever the interleaving: in the ten buckets that end with the one of a retry taken, retries are at most
 * max(requests / 5, 100). Windows counted backwards from the last retry do not overlap, so over any stretch of time a
 * provider sees at most 1.2 times the requests, or 10 a second above them. */
#ifndef WEIR_CORE_RETRY_BUDGET_H
#define WEIR_CORE_RETRY_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

#include "core/err.h"

#define WEIR_RETRY_BUDGET_PERCENT  20u
#define WEIR_RETRY_BUDGET_FLOOR_S  10u /* retries per second that are always there */
#define WEIR_RETRY_BUDGET_WINDOW_S 10u

struct weir_retry_budget;

/* Creates an empty budget owned by the caller, for workers 0 to workers - 1. On error *out is NULL. Errors:
 * WEIR_ENOMEM.
 */
WEIR_MUST_USE int weir_retry_budget_new(struct weir_retry_budget **out, unsigned workers, struct weir_err *err);
/* Frees and nulls; no other thread may use it any more. NULL inside is fine. */
void weir_retry_budget_free(struct weir_retry_budget **b);

/* A request (its first try; retries and fallbacks are no further requests). Only by the thread of that worker. Times
 * are of one monotonic clock; threads may lag behind each other. */
void weir_retry_budget_request(struct weir_retry_budget *b, unsigned worker, uint64_t now_ms);
/* Whether one more retry or fallback may go out; if so it is counted. Any thread. */
bool weir_retry_budget_take(struct weir_retry_budget *b, uint64_t now_ms);

struct weir_retry_budget_sight {
    uint64_t requests, retries; /* in the window */
    uint64_t allowed;           /* retries that the window allows */
};
/* For metrics. Any thread. */
struct weir_retry_budget_sight weir_retry_budget_look(const struct weir_retry_budget *b, uint64_t now_ms);

#endif
