#include "core/metrics.h"

#define ROW(id, family, label, k, u, text) \
    {.name = family, .labels = label, .help = text, .kind = WEIR_KIND_##k, .unit = WEIR_UNIT_##u},
const struct weir_metric weir_node_counter_table[WEIR_NC_COUNT] = {WEIR_NODE_COUNTER_MAP(ROW)};
const struct weir_metric weir_node_gauge_table[WEIR_NG_COUNT] = {WEIR_NODE_GAUGE_MAP(ROW)};
const struct weir_metric weir_provider_counter_table[WEIR_PC_COUNT] = {WEIR_PROVIDER_COUNTER_MAP(ROW)};
const struct weir_metric weir_provider_gauge_table[WEIR_PG_COUNT] = {WEIR_PROVIDER_GAUGE_MAP(ROW)};
const struct weir_metric weir_endpoint_counter_table[WEIR_EC_COUNT] = {WEIR_ENDPOINT_COUNTER_MAP(ROW)};
#undef ROW
#define ROW(id, family, text) \
    {.name = family, .labels = "", .help = text, .kind = WEIR_KIND_HISTOGRAM, .unit = WEIR_UNIT_US},
const struct weir_metric weir_hist_table[WEIR_H_COUNT] = {WEIR_HIST_MAP(ROW)};
#undef ROW
#define ROW(id, text, help) text,
const char *const weir_latency_names[WEIR_LATENCY_COUNT] = {WEIR_LATENCY_MAP(ROW)};
#undef ROW
