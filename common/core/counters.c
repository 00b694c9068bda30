#include "core/counters.h"

#define DECADE(us) (us), 2 * (us), 3 * (us), 5 * (us)
const uint64_t weir_hist_bound_us[WEIR_HIST_BOUNDS] = {
    DECADE(100),      DECADE(1000), DECADE(10000), DECADE(100000), DECADE(1000000),
    DECADE(10000000), 100000000,    200000000,     300000000,
};

static void cells_sum(uint64_t *dst, const uint64_t *src, size_t n)
{
    for (size_t i = 0; i < n; i++)
        dst[i] += weir_cell_read(&src[i]);
}

static void hist_sum(struct weir_hist *dst, const struct weir_hist *src)
{
    cells_sum(dst->bucket, src->bucket, WEIR_HIST_BOUNDS + 1);
    cells_sum(&dst->sum_us, &src->sum_us, 1);
    uint64_t at_us = weir_cell_read(&src->last_at_us);
    if (at_us > dst->last_at_us) {
        dst->last_at_us = at_us;
        dst->last_us = weir_cell_read(&src->last_us);
    }
}

void weir_node_counters_sum(struct weir_node_counters *dst, const struct weir_node_counters *src)
{
    cells_sum(dst->at, src->at, WEIR_NC_COUNT);
}

void weir_provider_counters_sum(struct weir_provider_counters *dst, const struct weir_provider_counters *src)
{
    cells_sum(dst->at, src->at, WEIR_PC_COUNT);
    for (size_t i = 0; i < WEIR_H_COUNT; i++)
        hist_sum(&dst->hist[i], &src->hist[i]);
}

void weir_endpoint_counters_sum(struct weir_endpoint_counters *dst, const struct weir_endpoint_counters *src)
{
    cells_sum(dst->at, src->at, WEIR_EC_COUNT);
    for (size_t i = 0; i < WEIR_LATENCY_COUNT; i++)
        hist_sum(&dst->latency[i], &src->latency[i]);
}

uint64_t weir_hist_count(const struct weir_hist *h)
{
    uint64_t count = 0;
    for (size_t i = 0; i <= WEIR_HIST_BOUNDS; i++)
        count += h->bucket[i];
    return count;
}

uint64_t weir_hist_quantile_us(const struct weir_hist *h, double q)
{
    uint64_t count = weir_hist_count(h);
    if (count == 0)
        return 0;
    double rank = q * (double)count, below = 0;
    for (size_t i = 0; i < WEIR_HIST_BOUNDS; i++) {
        double here = (double)h->bucket[i];
        if (here > 0 && below + here >= rank) {
            double low = i == 0 ? 0 : (double)weir_hist_bound_us[i - 1], high = (double)weir_hist_bound_us[i];
            double share = rank > below ? (rank - below) / here : 0;
            return (uint64_t)(low + (high - low) * share);
        }
        below += here;
    }
    return weir_hist_bound_us[WEIR_HIST_BOUNDS - 1];
}
