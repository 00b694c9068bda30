#include "core/load_fold.h"

static uint64_t plus(uint64_t a, uint64_t b)
{
    uint64_t sum = a + b;
    return sum < a || sum > WEIR_LOAD_NUMBER_MAX ? WEIR_LOAD_NUMBER_MAX : sum;
}

static uint64_t highest(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* WEIR_LOAD_ABSENT where neither was counted. */
static uint64_t plus_counted(uint64_t a, uint64_t b)
{
    if (a == WEIR_LOAD_ABSENT || b == WEIR_LOAD_ABSENT)
        return a == WEIR_LOAD_ABSENT ? b : a;
    return plus(a, b);
}

/* The mean of two means of so many each. */
static uint64_t mean(uint64_t a, uint64_t a_count, uint64_t b, uint64_t b_count)
{
    double count = (double)a_count + (double)b_count;
    return count > 0 ? (uint64_t)(((double)a * (double)a_count + (double)b * (double)b_count) / count + 0.5) : 0;
}

/* What is put together alike, whether from nodes or from slots. */
static void add_sums(struct weir_load_point *sum, const struct weir_load_point *p)
{
    sum->first_byte_p50_us = mean(sum->first_byte_p50_us, sum->exchanges, p->first_byte_p50_us, p->exchanges);
    sum->first_byte_p99_us = highest(sum->first_byte_p99_us, p->first_byte_p99_us);
    sum->requests = plus(sum->requests, p->requests);
    sum->refused = plus(sum->refused, p->refused);
    sum->errors = plus(sum->errors, p->errors);
    sum->leases = plus(sum->leases, p->leases);
    sum->reused = plus(sum->reused, p->reused);
    sum->connects = plus(sum->connects, p->connects);
    sum->closed = plus(sum->closed, p->closed);
    sum->connect_us_sum = plus(sum->connect_us_sum, p->connect_us_sum);
    sum->exchanges = plus(sum->exchanges, p->exchanges);
    sum->exchange_us_sum = plus(sum->exchange_us_sum, p->exchange_us_sum);
    sum->tokens_in = plus_counted(sum->tokens_in, p->tokens_in);
    sum->tokens_out = plus_counted(sum->tokens_out, p->tokens_out);
}

void weir_load_fold_node(struct weir_load_record *sum, const struct weir_load_record *node)
{
    sum->nodes = plus(sum->nodes, node->nodes);
    sum->in_flight_peak = plus(sum->in_flight_peak, node->in_flight_peak);
    sum->utilization_pct = highest(sum->utilization_pct, node->utilization_pct);
    sum->loop_lag_us = highest(sum->loop_lag_us, node->loop_lag_us);
    for (uint32_t i = 0; i < node->count; i++) {
        const struct weir_load_point *p = &node->items[i].point;
        struct weir_load_item *item = weir_load_record_item(sum, weir_str_of(node->items[i].provider));
        if (item == NULL)
            continue;
        add_sums(&item->point, p);
        item->point.in_flight_mean = plus(item->point.in_flight_mean, p->in_flight_mean);
        item->point.in_flight_peak = plus(item->point.in_flight_peak, p->in_flight_peak);
        item->point.connections_peak = plus(item->point.connections_peak, p->connections_peak);
        item->point.hurting = plus(item->point.hurting, p->hurting);
    }
}

void weir_load_fold_time(struct weir_load_record *sum, const struct weir_load_record *part)
{
    uint64_t before = sum->slots, more = highest(part->slots, 1);
    for (uint32_t i = 0; i < sum->count; i++) /* what the part does not tell of counts as 0 */
        sum->items[i].point.in_flight_mean = mean(sum->items[i].point.in_flight_mean, before, 0, more);
    for (uint32_t i = 0; i < part->count; i++) {
        const struct weir_load_point *p = &part->items[i].point;
        struct weir_load_item *item = weir_load_record_item(sum, weir_str_of(part->items[i].provider));
        if (item == NULL)
            continue;
        add_sums(&item->point, p);
        item->point.in_flight_mean = plus(item->point.in_flight_mean, mean(p->in_flight_mean, more, 0, before));
        item->point.in_flight_peak = highest(item->point.in_flight_peak, p->in_flight_peak);
        item->point.connections_peak = highest(item->point.connections_peak, p->connections_peak);
        item->point.hurting = highest(item->point.hurting, p->hurting);
    }
    sum->slots = plus(before, more);
    sum->nodes = highest(sum->nodes, part->nodes);
    sum->in_flight_peak = highest(sum->in_flight_peak, part->in_flight_peak);
    sum->utilization_pct = highest(sum->utilization_pct, part->utilization_pct);
    sum->loop_lag_us = highest(sum->loop_lag_us, part->loop_lag_us);
    sum->safe_concurrency = part->safe_concurrency;
}
