/* The sets in which workers count and control reads: one cell for each row of core/metrics.h.
 *
 * A set has one writer, the thread that owns it: an addition is a load, an add and a store, without a lock prefix.
 * Readers sum the sets of all threads and see each cell whole, not all cells of one instant. Sets fill whole cache
 * lines: allocate those that workers write with aligned_alloc(WEIR_CACHE_LINE, ...), so that no two writers share one.
 * A set starts as all zero bytes. */
#ifndef WEIR_CORE_COUNTERS_H
#define WEIR_CORE_COUNTERS_H

#include <stddef.h>
#include <stdint.h>

#include "core/metrics.h"

/* 1, 2, 3, 5 of each decade from 100 us, then 100, 200 and 300 s: four a decade keep a quantile within 35 % of the
 * truth, and the usual time-outs (5, 10, 30 s) are bounds themselves. The last bucket has no bound. */
#define WEIR_HIST_BOUNDS 27
extern const uint64_t weir_hist_bound_us[WEIR_HIST_BOUNDS];

#define WEIR_CACHE_LINE 64

struct weir_hist {
    uint64_t bucket[WEIR_HIST_BOUNDS + 1]; /* not cumulative */
    uint64_t sum_us;
    uint64_t last_us, last_at_us; /* latencies only: the newest value, and when it was seen; both 0: none yet */
    uint64_t unused;              /* to the end of the cache line */
};

/* The sizes of the sets are rounded up to cache lines; the cells beyond the count stay 0. */
#define WEIR_CELLS(n) (((n) + 7) / 8 * 8)
struct weir_node_counters {
    uint64_t at[WEIR_CELLS(WEIR_NC_COUNT)];
};
struct weir_provider_counters {
    uint64_t at[WEIR_CELLS(WEIR_PC_COUNT)];
    struct weir_hist hist[WEIR_H_COUNT];
};
struct weir_endpoint_counters {
    uint64_t at[WEIR_CELLS(WEIR_EC_COUNT)];
    struct weir_hist latency[WEIR_LATENCY_COUNT];
};

static inline uint64_t weir_cell_read(const uint64_t *cell)
{
    return __atomic_load_n(cell, __ATOMIC_RELAXED);
}

/* Only the thread that owns the cell. */
static inline void weir_cell_add(uint64_t *cell, uint64_t n)
{
    __atomic_store_n(cell, __atomic_load_n(cell, __ATOMIC_RELAXED) + n, __ATOMIC_RELAXED);
}

static inline void weir_node_add(struct weir_node_counters *c, enum weir_node_counter id, uint64_t n)
{
    weir_cell_add(&c->at[id], n);
}
/* Gauges only. */
static inline void weir_node_sub(struct weir_node_counters *c, enum weir_node_counter id, uint64_t n)
{
    weir_cell_add(&c->at[id], 0 - n);
}
static inline void weir_provider_add(struct weir_provider_counters *c, enum weir_provider_counter id, uint64_t n)
{
    weir_cell_add(&c->at[id], n);
}
static inline void weir_endpoint_add(struct weir_endpoint_counters *c, enum weir_endpoint_counter id, uint64_t n)
{
    weir_cell_add(&c->at[id], n);
}

/* Index of the bucket that us falls into: the first whose bound is not below it. */
static inline unsigned weir_hist_bucket_of(uint64_t us)
{
    unsigned low = 0;
    for (unsigned step = 16; step > 0; step /= 2)
        if (low + step <= WEIR_HIST_BOUNDS && weir_hist_bound_us[low + step - 1] < us)
            low += step;
    return low;
}
static inline void weir_hist_observe(struct weir_provider_counters *c, enum weir_hist_id id, uint64_t us)
{
    weir_cell_add(&c->hist[id].bucket[weir_hist_bucket_of(us)], 1);
    weir_cell_add(&c->hist[id].sum_us, us);
}
/* now_us: of the clock that all threads share, so that the newest of several threads' values can be told. */
static inline void weir_latency_observe(struct weir_endpoint_counters *c, enum weir_latency_id id, uint64_t us,
                                        uint64_t now_us)
{
    struct weir_hist *h = &c->latency[id];
    weir_cell_add(&h->bucket[weir_hist_bucket_of(us)], 1);
    weir_cell_add(&h->sum_us, us);
    __atomic_store_n(&h->last_us, us, __ATOMIC_RELAXED);
    __atomic_store_n(&h->last_at_us, now_us, __ATOMIC_RELAXED);
}

/* The row of a status: 2XX ... 5XX of its table; anything else is the node's row NONE, an endpoint's 5XX. */
static inline enum weir_node_counter weir_node_class(unsigned status)
{
    return status >= 200 && status < 600 ? (enum weir_node_counter)(WEIR_NC_REQUESTS_2XX + status / 100 - 2)
                                         : WEIR_NC_REQUESTS_NONE;
}
static inline enum weir_endpoint_counter weir_endpoint_class(unsigned status)
{
    return status >= 200 && status < 600 ? (enum weir_endpoint_counter)(WEIR_EC_RESPONSES_2XX + status / 100 - 2)
                                         : WEIR_EC_RESPONSES_5XX;
}

/* Adds all cells of src, which another thread may be writing, to dst, which is the caller's; of the newest values it
 * keeps the newer one. */
void weir_node_counters_sum(struct weir_node_counters *dst, const struct weir_node_counters *src);
void weir_provider_counters_sum(struct weir_provider_counters *dst, const struct weir_provider_counters *src);
void weir_endpoint_counters_sum(struct weir_endpoint_counters *dst, const struct weir_endpoint_counters *src);

/* Of a histogram that is the caller's: observations in all buckets, and the q-quantile (0 to 1) in microseconds,
 * interpolated within its bucket; 0 when nothing was observed, the highest bound when it lies beyond that. */
uint64_t weir_hist_count(const struct weir_hist *h);
uint64_t weir_hist_quantile_us(const struct weir_hist *h, double q);

#endif
