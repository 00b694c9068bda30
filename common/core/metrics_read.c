#include "core/metrics_read.h"

#include <string.h>

const char *weir_metric_kind_text(enum weir_metric_kind kind)
{
    static const char *const texts[] = {"counter", "gauge", "histogram"};
    return texts[kind];
}

size_t weir_metric_family_rows(const struct weir_metric *table, size_t count, size_t at)
{
    size_t n = 1;
    while (at + n < count && strcmp(table[at].name, table[at + n].name) == 0)
        n++;
    return n;
}

uint64_t weir_endpoint_rows_sum(const struct weir_endpoint_counters *c, enum weir_endpoint_counter first,
                                enum weir_endpoint_counter last)
{
    uint64_t sum = 0;
    for (size_t i = (size_t)first; i <= (size_t)last; i++)
        sum += c->at[i];
    return sum;
}
