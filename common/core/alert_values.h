/* What conditions of alerts may name: the guide's metrics and weir's own families of counters and gauges. A family with
 * labels is the sum of its rows. Histograms have no single value and are left out. */
#ifndef WEIR_CORE_ALERT_VALUES_H
#define WEIR_CORE_ALERT_VALUES_H

#include "core/snapshot.h"
#include "core/str.h"

/* Ids: the guide's, then the rows of each table. A family's id is that of its first row. */
enum {
    WEIR_ALERT_ID_NODE_GAUGE = WEIR_GUIDE_COUNT,
    WEIR_ALERT_ID_NODE_COUNTER = WEIR_ALERT_ID_NODE_GAUGE + WEIR_NG_COUNT,
    WEIR_ALERT_ID_PROVIDER_COUNTER = WEIR_ALERT_ID_NODE_COUNTER + WEIR_NC_COUNT,
    WEIR_ALERT_ID_ENDPOINT_COUNTER = WEIR_ALERT_ID_PROVIDER_COUNTER + WEIR_PC_COUNT,
    WEIR_ALERT_ID_PROVIDER_GAUGE = WEIR_ALERT_ID_ENDPOINT_COUNTER + WEIR_EC_COUNT,
    WEIR_ALERT_IDS = WEIR_ALERT_ID_PROVIDER_GAUGE + WEIR_PG_COUNT
};

/* By id. In the scope of a provider the node's are no numbers (NaN), so that a rule over them fires once, over all.
 * What a provider has not (a rate limit's gauges) is no number either; over all it is the sum of those that have it. */
struct weir_alert_values {
    double at[WEIR_ALERT_IDS];
};

/* The id of a name, or -1. */
int weir_alert_id_of(struct weir_str name);
/* NULL: a row that is not the first of its family. */
const char *weir_alert_name(int id);
/* The name of least edit distance. */
const char *weir_alert_name_nearest(const char *name);

/* What counts over a window of time in one scope: the endpoints' and providers' counters, and over all the node's; rows
 * that are gauges stay 0. */
enum {
    WEIR_ALERT_CELLS_PROVIDER = WEIR_EC_COUNT + WEIR_PC_COUNT,
    WEIR_ALERT_CELLS_NODE = WEIR_ALERT_CELLS_PROVIDER + WEIR_NC_COUNT
};

/* Of a provider; its cells. */
void weir_alert_cells_of_provider(uint64_t cells[WEIR_ALERT_CELLS_PROVIDER], const struct weir_provider_snapshot *p);
/* Of the node; its cells. */
void weir_alert_cells_of_node(uint64_t cells[WEIR_ALERT_CELLS_NODE], const struct weir_snapshot *s);

/* The values of a scope: gauges as they are in the snapshot, counters and what is made of them from the increase. */
void weir_alert_values_of_provider(struct weir_alert_values *out, const struct weir_provider_snapshot *p,
                                   const uint64_t increase[WEIR_ALERT_CELLS_PROVIDER]);
void weir_alert_values_of_node(struct weir_alert_values *out, const struct weir_snapshot *s,
                               const uint64_t increase[WEIR_ALERT_CELLS_NODE]);

#endif
