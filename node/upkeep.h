/* What control does over and over for the providers in force: folds in how tries ended, lets endpoints back in, begins
 * the checks that are due, has the pools cleaned, and moves their limits with the load. On control's thread, a tenth of
 * a second apart, no longer than a moment each time. */
#ifndef WEIR_NODE_UPKEEP_H
#define WEIR_NODE_UPKEEP_H

#include "core/rng.h"
#include "node/cluster.h"
#include "node/node.h"
#include "node/probe.h"

/* Short against everything it serves: ejections last seconds, and a peak of load is to be seen. */
#define WEIR_UPKEEP_TICK_MS 100u
/* The buckets of an error rate are a second at least. */
#define WEIR_UPKEEP_CIRCUITS_MS 1000u

struct weir_upkeep {
    struct weir_reactor *reactor;
    struct weir_node *node;
    struct weir_log_producer *log;
    struct weir_view *view;       /* the one in force, NULL before the first */
    struct weir_cluster *cluster; /* whose nodes share the checks; NULL: alone. The caller's to set */
    struct weir_probes probes;
    unsigned first; /* provider that may begin checks first in the next turn: when they hang, each gets its share */
    struct weir_deadline tick;
    uint64_t circuits_ms; /* when the circuits' successes are added up next */
    struct weir_rng rng;
};

void weir_upkeep_init(struct weir_upkeep *u, struct weir_reactor *reactor, struct weir_node *node,
                      struct weir_log_producer *log);
/* The view has taken effect in place of u->view, which is still held: begins, goes on, ends what hangs on providers and
 * endpoints. Borrowed until the next call. */
void weir_upkeep_follow(struct weir_upkeep *u, struct weir_view *view);
void weir_upkeep_close(struct weir_upkeep *u);

#endif
