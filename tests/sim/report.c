/* What a growing cluster asks of its store: the steady state of 1, 2, 4 ... nodes, and one node's death in it. */
#include <stdlib.h>

#include "sim.h"

#define SETTLE_S  40u
#define MEASURE_S 20u

static uint64_t all_ops(const struct sim_counts *c)
{
    uint64_t n = 0;
    for (uint32_t op = 0; op < WEIR_COORD_OPS; op++)
        n += c->store_ops[op];
    return n;
}

static uint64_t all_bytes(const struct sim_counts *c)
{
    return c->store_bytes + c->push_bytes;
}

static void measure(const struct sim_options *o, uint32_t nodes, struct sim_counts *before, struct sim_counts *after)
{
    struct sim_world *w = sim_alloc(sizeof *w);
    struct sim_options one = *o;
    one.nodes = nodes;
    one.coordinators = 2;
    one.seconds = SETTLE_S + MEASURE_S;
    one.quiet = true;
    one.before = before;
    one.before_us = SETTLE_S * SIM_S;
    (void)sim_world_run(w, &one);
    *after = w->counts;
    sim_world_close(w);
    free(w);
}

int sim_report(const struct sim_options *o)
{
    uint32_t top = o->nodes > 0 ? o->nodes : 1000;
    struct sim_options options = *o;
    options.shards = o->shards > 0 ? o->shards : 16384;
    (void)printf(
        "%u shards, 2 coordinators, nothing happens\n\n| nodes | operations/s | of each node | KB/s | KB/s of each "
        "node |\n|---|---|---|---|---|\n",
        options.shards);
    for (uint32_t nodes = top > 64 ? top / 64 : 1;; nodes = nodes * 2 < top ? nodes * 2 : top) {
        struct sim_counts before = {0}, after;
        measure(&options, nodes, &before, &after);
        double ops = (double)(all_ops(&after) - all_ops(&before)) / MEASURE_S;
        double bytes = (double)(all_bytes(&after) - all_bytes(&before)) / MEASURE_S / 1000;
        (void)printf("| %u | %.1f | %.2f | %.1f | %.2f |\n", nodes, ops, ops / nodes, bytes, bytes / nodes);
        (void)fflush(stdout);
        if (nodes == top)
            return 0;
    }
}
