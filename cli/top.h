/* The picture of `top`: a cluster's nodes and pools, sorted and filtered, with its load until now and the forecast of
 * it as sparklines. Pure: answers in, text out, in the tones of cli/table.h. */
#ifndef WEIR_CLI_TOP_H
#define WEIR_CLI_TOP_H

#include <jansson.h>
#include <stdint.h>

#include "cli/table.h"

/* Looks at the load that are remembered: a wide terminal's worth. */
#define CTL_TOP_LOADS_MAX  256u
#define CTL_TOP_FILTER_MAX 64u

/* X(id, what the line of keys calls it, of nodes: below .load or not, of pools). Texts ascend, numbers descend. */
#define CTL_TOP_SORT_MAP(X)                                               \
    X(NAME, "name", "id", NULL)                                           \
    X(LOAD, "requests in flight", "in_flight", "connections_active")      \
    X(RATE, "requests a second", "requests_per_second", "total_requests") \
    X(USE, "use of the pool", "utilization_percent", "pool_utilization_percent")
#define CTL_TOP_ENUM(id, what, node, pool) CTL_TOP_BY_##id,
enum ctl_top_sort { CTL_TOP_SORT_MAP(CTL_TOP_ENUM) CTL_TOP_SORTS };
#undef CTL_TOP_ENUM
const char *ctl_top_sort_text(enum ctl_top_sort s);

struct ctl_top {
    json_t *state, *nodes, *pools, *hints; /* the last answers; NULL: none came */
    double loads[CTL_TOP_LOADS_MAX];       /* requests in flight in the cluster, oldest first */
    unsigned load_count;
    enum ctl_top_sort sort;
    bool reverse;
    char filter[CTL_TOP_FILTER_MAX]; /* part of a name; "": all are shown */
    char trouble[256];               /* why the last look failed; "": it did not */
    bool ascii;                      /* the terminal has no UTF-8 */
};

/* Takes the references. */
void ctl_top_take(struct ctl_top *t, json_t *state, json_t *nodes, json_t *pools, json_t *hints);
void ctl_top_close(struct ctl_top *t);

/* All lines, each ended; the first two are the head. */
void ctl_top_frame(const struct ctl_top *t, struct weir_textbuf *out, const struct ctl_style *style, unsigned columns);

/* One character for each of the last `columns` values, in proportion to `most`. */
void ctl_sparkline(struct weir_textbuf *out, const double *values, size_t count, size_t columns, double most,
                   bool ascii);

#endif
