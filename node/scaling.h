/* The limits and clocks in force of a provider: as configured, moved by its load (pool_limits.load_scaling) and by what
 * is measured (auto_tune), raised by the coordinator's hints, and of a cluster the part that is this node's. Part of
 * the provider's runtime, so a reload keeps the band and what was measured. Control writes; workers read the limits
 * (weir_provider.total_max, idle_max) and clocks by relaxed loads. */
#ifndef WEIR_NODE_SCALING_H
#define WEIR_NODE_SCALING_H

#include <stdatomic.h>

#include "core/config.h"
#include "core/tuning.h"

struct weir_provider;
struct weir_view_provider;
struct weir_log_producer;

/* What the coordinator advises for the provider. All zero: nothing. */
struct weir_scaling_hint {
    bool there;
    uint32_t pool_size;     /* this node's part */
    double peak, peak_high; /* requests in flight of the whole cluster, the forecast's 0.5 and 0.9 */
    uint64_t peak_in_ms;    /* from when it was looked at last; 0: it has passed */
};

struct weir_scaling {
    struct weir_scaling_hint hint;
    bool hint_moved;        /* its pool_size, since the last tick */
    uint32_t owned, shards; /* this node's part of what is configured (pool_sharding); shards 0: all of it */
    bool share_moved;       /* since the last tick */
    struct weir_load load;
    struct weir_tuning_history history;
    uint32_t tuned; /* the size that auto_tune computed; 0: nothing measured */
    /* The clocks that it computed; 0: the configured ones hold. */
    _Atomic uint32_t connect_ms, read_ms, total_ms;
};

/* The node serves so many of the cluster's shards, and holds the same part of the connections, rounded up and at least
 * one; shards 0: all. In force with the next tick. */
void weir_scaling_share(struct weir_provider *p, uint32_t owned, uint32_t shards);
/* The coordinator's hint, in force with the next tick: a limit may grow to it, within max_connections_cap; it is never
 * lowered by one. */
void weir_scaling_advise(struct weir_provider *p, const struct weir_scaling_hint *hint);
/* The limits that follow from a configuration and from what is known of the load; puts them in force. True: they have
 * changed, and the workers are to look at their waiters and parked connections again. */
bool weir_scaling_apply(struct weir_provider *p, const struct weir_config_provider *config);
/* Often: looks at the load, measures, and applies. Returns what apply does. One log line for each change. */
bool weir_scaling_tick(const struct weir_view_provider *v, uint64_t now_ms, struct weir_log_producer *log);
/* The peak of the load over ten seconds: leased and queued, of the configured limit, or this node's part of it. */
double weir_scaling_load(const struct weir_view_provider *v, uint64_t now_ms);

/* The clocks in force, of a try that begins now. Any thread. */
uint64_t weir_scaling_connect_ms(const struct weir_view_provider *v);
uint64_t weir_scaling_read_ms(const struct weir_view_provider *v);
uint64_t weir_scaling_total_ms(const struct weir_view_provider *v);

#endif
