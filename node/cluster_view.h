/* What the workers know of their cluster: one immutable picture, made by control from what the agent sees
 * (core/cluster_sight.h) and from the configuration. It hangs on the view (weir_view.cluster), and several views may
 * share it.
 *
 * Each peer is a provider of its own with one endpoint, its peer listener, so that a request goes there by the same
 * tries, pool and connections as to any other: HTTP/2 by prior knowledge, or over TLS where distributed_pool.peer_tls
 * has a certificate. Nothing in weir's configuration names these providers, and neither limits, circuits, checks nor
 * retries concern them: what follows from a hop that fails is node/hop.h.
 *
 * What must survive a change of the picture (connections, suspicion, load) is in runtimes that it refers to. */
#ifndef WEIR_NODE_CLUSTER_VIEW_H
#define WEIR_NODE_CLUSTER_VIEW_H

#include "core/affinity.h"
#include "core/cluster_sight.h"
#include "node/peer.h"
#include "node/peer_auth.h"
#include "node/view.h"

/* Connecting takes a round trip in a data centre; whoever has not answered by then is served around. */
#define WEIR_PEER_CONNECT_MS 250u
/* The link itself goes on, for the requests to come: TLS between busy or distant machines may take longer. */
#define WEIR_PEER_LINK_MS 2000u

struct weir_peer {
    const char *id;
    uint32_t index;             /* in peers */
    struct weir_peer_state *rt; /* NULL: this node itself */
    bool may_take;              /* alive, in service, and not suspect: requests may be handed to it */
    struct weir_view_provider link;
};

struct weir_cluster_view {
    _Atomic uint32_t refs;
    struct weir_shared_config *shared;            /* one reference */
    const struct weir_config_distributed *config; /* of it */
    struct weir_peer *peers;                      /* in the sight's order, this node among them */
    uint32_t peer_count, self;
    uint32_t taking_count; /* peers that may_take, this node apart */
    uint64_t epoch;
    uint32_t shard_count;
    const uint16_t *owner;          /* per shard: index of its effective owner */
    struct weir_affinity *affinity; /* what makes requests belong together; owned, NULL unless sticky */
    bool contact;                   /* with the store */
    int64_t store_offset_ms;
    struct weir_str secret;   /* empty: none is known, so nothing is handed over */
    struct weir_peer_key key; /* of it */
    struct weir_arena arena;
};

/* Builds a picture; runtimes that `before` (NULL: none) has are taken over. One reference, the caller's; the
 * configuration gains one. *out is NULL on failure. Errors: WEIR_ENOMEM, WEIR_EINVAL (an address that is none),
 * WEIR_ELIMIT (too many sources of keys). */
WEIR_MUST_USE int weir_cluster_view_new(struct weir_cluster_view **out, const struct weir_cluster_sight *sight,
                                        struct weir_shared_config *shared, const struct weir_cluster_view *before,
                                        unsigned worker_count, struct weir_err *err);
/* Marks what `before` (NULL: nothing) had and v (NULL: alone again) has not as retired. weir_view_take_effect
 * does it. */
void weir_cluster_view_take_effect(const struct weir_cluster_view *v, const struct weir_cluster_view *before);
/* NULL is legal, and stays NULL. */
struct weir_cluster_view *weir_cluster_view_ref(struct weir_cluster_view *v);
void weir_cluster_view_unref(struct weir_cluster_view *v);
/* NULL: there is none such. */
const struct weir_peer *weir_cluster_view_peer(const struct weir_cluster_view *v, struct weir_str id);

#endif
