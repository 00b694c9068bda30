/* Whose a request is, in a cluster: which shard its affinity key falls into, and which node is to serve it
 * (distributed_pool.connection_affinity). Decides only; going there is node/hop.h. */
#ifndef WEIR_NODE_PLACE_H
#define WEIR_NODE_PLACE_H

#include "node/cluster_view.h"

/* The owner of a shard, if that is a peer to which requests may go now; NULL: it is served here. */
const struct weir_peer *weir_place_owner(const struct weir_cluster_view *v, uint32_t shard, uint64_t now_ms);

/* A peer with less to do than this node, where this one has more than its bounded share of all (1.25 x the mean,
 * core/shard_map.h); own_load: requests that this node serves, the one to be placed included. The less loaded of two,
 * so that several nodes do not all find the same one. NULL: it is served here. */
const struct weir_peer *weir_place_less_loaded(const struct weir_cluster_view *v, uint32_t own_load, uint64_t now_ms,
                                               uint64_t random);

#endif
