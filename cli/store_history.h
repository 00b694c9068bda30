/* The load of a cluster over a time that ends now, added up from the points of the coordinator's series in the store:
 * the longest step that the time is worth first, then what is newer than its last point from the shorter ones. Pure.
 * Points come from outside: one that cannot be read is passed over. */
#ifndef WEIR_CLI_STORE_HISTORY_H
#define WEIR_CLI_STORE_HISTORY_H

#include <jansson.h>
#include <stdbool.h>

#include "core/coord.h"
#include "core/load_record.h"

struct ctl_store_history {
    uint64_t since_ms;             /* how far back */
    struct weir_coord_series next; /* what is to be asked for */
    bool over;                     /* nothing is */
    uint64_t told_to_ms;           /* where the last point that was taken ends, on the store's clock; 0: none was */
    uint64_t told_ms;              /* how much time the points take together */
    struct weir_load_record sum;
};

void ctl_store_history_begin(struct ctl_store_history *h, uint64_t since_ms);
/* An answer to h->next, which is moved on. */
void ctl_store_history_take(struct ctl_store_history *h, const struct weir_coord_reply *r);
/* A new {told_seconds, utilization_percent_peak, providers: [{provider, requests, refused, errors, leases, reused,
 * connects, connect_us_sum, in_flight_peak}]}. NULL: out of memory. */
json_t *ctl_store_history_page(const struct ctl_store_history *h);

#endif
