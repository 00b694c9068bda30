/* What one node knows of its cluster at one moment: who is there, who of them lives, and who serves which shard. Plain
 * data made by core/cluster_agent; whoever wants to keep it takes a copy.
 *
 * The effective owner of a shard is its owner by the map in force while that one lives, else the next living node in
 * the shard's rendezvous order. Ownership is an optimisation: two nodes may see different owners for a moment, and
 * whoever is handed a request serves it. */
#ifndef WEIR_CORE_CLUSTER_SIGHT_H
#define WEIR_CORE_CLUSTER_SIGHT_H

#include <stdbool.h>
#include <stdint.h>

#include "core/coord.h"
#include "core/err.h"

/* The store's clock is known to so much: answers take their time. */
#define WEIR_CLUSTER_OFFSET_SLACK_MS 1000

struct weir_cluster_peer {
    char id[WEIR_NODE_ID_MAX + 1];
    char advertise[WEIR_ADVERTISE_MAX + 1]; /* host:port of its peer listener */
    char version[WEIR_VERSION_TEXT_MAX + 1];
    uint64_t instance;
    uint64_t epoch_seen;
    enum weir_coord_node_state state;
    uint32_t weight;
    bool alive;                  /* beats reach the store; a draining node lives too */
    bool suspect;                /* this node could not reach it a moment ago: it is no effective owner here */
    uint64_t seen_ms;            /* when it was last known to have beaten, on the clock of the agent's `now_ms` */
    struct weir_coord_load load; /* as it was when the members were last asked for: not often, unless somebody looks */
};

struct weir_cluster_sight {
    bool contact;                    /* with the store; without it all this is as it was last */
    uint64_t incarnation;            /* of the store; 0: never seen */
    uint32_t self;                   /* index; this node is always there, alive and not suspect */
    uint32_t peer_count;             /* with this node: at least 1, at most WEIR_CLUSTER_NODES_MAX */
    struct weir_cluster_peer *peers; /* by id, bytewise ascending */
    uint32_t alive_count;            /* with this node */
    uint64_t epoch;                  /* of the map in force; 0: none was published, the members' own map is in force */
    char leader[WEIR_NODE_ID_MAX + 1]; /* who published it; "" */
    uint32_t shard_count;
    uint16_t *owner; /* per shard: index of its effective owner. May be one that is not alive: with failover off, its
                        shards are served where their requests land */
    uint32_t owned_count;                  /* shards whose effective owner is this node */
    int64_t store_offset_ms;               /* store's clock less the agent's; for the time window of what peers sign */
    char secret[WEIR_PEER_SECRET_MAX + 1]; /* that peers prove themselves with; "": none is known yet */
};

/* An empty sight; close may be called on it. */
void weir_cluster_sight_init(struct weir_cluster_sight *s);
void weir_cluster_sight_close(struct weir_cluster_sight *s);
/* Makes *to, which must be empty or a sight (it is closed first), a copy. On error *to is empty. Errors: WEIR_ENOMEM.
 */
WEIR_MUST_USE int weir_cluster_sight_copy(struct weir_cluster_sight *to, const struct weir_cluster_sight *from,
                                          struct weir_err *err);
/* Whether both lead to the same decisions: all is equal but loads, when members were seen and which epochs they have
 * told, and a difference of the clocks' offsets that has no meaning. */
bool weir_cluster_sight_same(const struct weir_cluster_sight *a, const struct weir_cluster_sight *b);
/* The index of a member, or -1. */
int weir_cluster_sight_find(const struct weir_cluster_sight *s, const char *id);

#endif
