/* How the connections to each provider are used, by hour of the day (UTC), and how it has performed lately: what
 * dashboards show, and what pools and clocks are computed from. Pure. */
#ifndef WEIR_CORE_LOAD_PATTERNS_H
#define WEIR_CORE_LOAD_PATTERNS_H

#include "core/load_history.h"

#define WEIR_LOAD_HOURS 24u

/* Sums, fading: those of an hour of the day over about a week of days, the recent ones over about five minutes. */
struct weir_load_usage {
    double seconds; /* that were seen */
    double requests, refused, errors;
    double in_flight; /* mean times seconds */
    double leases, reused, connects, closed;
    double connect_us, exchanges, exchange_us;
    double first_byte_p50_us, first_byte_p99_us; /* times exchanges */
};

struct weir_load_patterns {
    uint64_t slot_ms;
    uint32_t count;
    struct weir_load_pattern {
        char provider[WEIR_PROVIDER_NAME_MAX + 1];
        uint64_t told; /* the last slot in which it was told of */
        struct weir_load_usage recent;
        struct {
            uint64_t day; /* of its sums: since time 0 */
            struct weir_load_usage usage;
        } hours[WEIR_LOAD_HOURS];
    } at[WEIR_LOAD_PROVIDERS_MAX];
};

void weir_load_patterns_init(struct weir_load_patterns *p, uint64_t slot_ms);
/* A record of the cluster that came out of the history, or was replayed: slots for what is recent, steps of ten minutes
 * for the hours; other steps are passed over. */
void weir_load_patterns_take(struct weir_load_patterns *p, enum weir_load_step step, const struct weir_load_record *r);
/* NULL: nothing was told of it. */
const struct weir_load_pattern *weir_load_patterns_find(const struct weir_load_patterns *p, const char *provider);

/* -1: nothing was measured. */
double weir_load_exchange_ms(const struct weir_load_usage *u);
double weir_load_connect_ms(const struct weir_load_usage *u);
double weir_load_reuse_percent(const struct weir_load_usage *u);
/* 0 where nothing was seen. */
double weir_load_per_s(const struct weir_load_usage *u, double sum);

#endif
