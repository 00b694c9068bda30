#include "core/load_capacity.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Of a new slot in the estimate: half of it is from the last two minutes at ten seconds a slot. */
#define ESTIMATE_WEIGHT 0.06
/* Of what was carried, for each slot: half is left after two hours. */
#define CARRIED_FADES 0.999

static struct weir_load_node *node_of(struct weir_load_capacity *c, const struct weir_load_record *r)
{
    struct weir_load_node *oldest = NULL;
    for (uint32_t i = 0; i < c->count; i++) {
        struct weir_load_node *n = &c->nodes[i];
        if (strcmp(n->id, r->node) == 0)
            return n;
        if (oldest == NULL || n->slot < oldest->slot)
            oldest = n;
    }
    if (c->count < WEIR_CLUSTER_NODES_MAX)
        oldest = &c->nodes[c->count++];
    *oldest = (struct weir_load_node){.slot = 0};
    memcpy(oldest->id, r->node, sizeof oldest->id);
    return oldest;
}

static bool untroubled(const struct weir_load_record *r)
{
    for (uint32_t i = 0; i < r->count; i++)
        if (r->items[i].point.refused > 0)
            return false;
    return r->loop_lag_us < WEIR_LOAD_LAG_US_MAX;
}

void weir_load_capacity_take(struct weir_load_capacity *c, const struct weir_load_record *r)
{
    struct weir_load_node *n = node_of(c, r);
    double peak = (double)r->in_flight_peak;
    if (r->slot <= n->slot)
        return;
    n->carried *= CARRIED_FADES;
    n->slot = r->slot;
    if (untroubled(r))
        n->carried = fmax(n->carried, peak);
    if (r->utilization_pct < WEIR_LOAD_TELLING_PERCENT || peak < 1)
        return;
    double at_full = peak * WEIR_LOAD_FULL_PERCENT / (double)r->utilization_pct;
    n->estimate = n->estimate > 0 ? n->estimate + (at_full - n->estimate) * ESTIMATE_WEIGHT : at_full;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

uint64_t weir_load_capacity_safe(const struct weir_load_capacity *c, uint64_t slot)
{
    double known[WEIR_CLUSTER_NODES_MAX], safe = c->before;
    size_t count = 0;
    for (uint32_t i = 0; i < c->count; i++) {
        const struct weir_load_node *n = &c->nodes[i];
        if (n->estimate > 0 && n->slot + WEIR_LOAD_NODE_SLOTS > slot)
            known[count++] = fmax(n->estimate, n->carried);
    }
    if (count > 0) {
        qsort(known, count, sizeof known[0], by_value);
        safe = known[count / 2];
        if (count % 2 == 0)
            safe = (known[count / 2 - 1] + known[count / 2]) / 2;
    }
    return safe >= 1 ? (uint64_t)safe : safe > 0 ? 1 : 0;
}
