/* What those who show metrics ask of their tables and sets. Pure. */
#ifndef WEIR_CORE_METRICS_READ_H
#define WEIR_CORE_METRICS_READ_H

#include "core/counters.h"

/* As Prometheus calls it. */
const char *weir_metric_kind_text(enum weir_metric_kind kind);
/* Of a table of `count` rows: how many from `at` share its family, itself included. */
size_t weir_metric_family_rows(const struct weir_metric *table, size_t count, size_t at);

/* Of rows that stand together, those in between included; the set is the caller's. */
uint64_t weir_endpoint_rows_sum(const struct weir_endpoint_counters *c, enum weir_endpoint_counter first,
                                enum weir_endpoint_counter last);

#endif
