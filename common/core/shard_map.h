/* Who owns which shard. A shard is a slice of the space of affinity keys: shard = hash(key) mod shard_count. The map is
 * published whole by the leading coordinator; a node without one makes its own from the members that it sees
 * (core/rebalance.h). Ownership is an optimisation: nodes that hold different maps for a while lose and double nothing.
 *
 * Immutable once it is made, so that threads may share it. Pure.
 *
 * As text, for the store and for whoever looks into it; one text for each map:
 *
 *     weir-shard-map 1
 *     epoch 12
 *     leader coordinator-a
 *     shards 64
 *     nodes 3
 *     node node-a 1 0-15,32,40-47
 *     node node-b 2 16-31,33-39,48-63
 *     node node-c 1 -
 *
 * Each line ends in LF. Nodes are in ascending order of their ids, with weight and shards: ascending numbers and
 * ranges, joined where they touch, "-" for none. A map that nobody published has no leader line. */
#ifndef WEIR_CORE_SHARD_MAP_H
#define WEIR_CORE_SHARD_MAP_H

#include <stdbool.h>
#include <stdint.h>

#include "core/coord.h"
#include "core/err.h"
#include "core/rendezvous.h"
#include "core/str.h"
#include "core/textbuf.h"

/* The configuration's highest shard_count; an owner is two bytes. */
#define WEIR_SHARDS_MAX 65536u
/* Every shard in a range of its own (five digits and a comma), every id of full length. */
#define WEIR_SHARD_MAP_TEXT_MAX ((size_t)512 * 1024)
/* No node: in place of an index into a table of nodes. */
#define WEIR_NODE_NOBODY UINT16_MAX

struct weir_shard_node {
    char id[WEIR_NODE_ID_MAX + 1];
    uint32_t weight;      /* 1 to WEIR_RENDEZVOUS_WEIGHT_MAX */
    uint32_t shard_count; /* that it owns */
    uint64_t hash;        /* weir_hash64 of the id, seed 0 */
};

struct weir_shard_map {
    uint64_t epoch;                    /* 0: nobody published it */
    char leader[WEIR_NODE_ID_MAX + 1]; /* "": nobody published it */
    uint32_t shard_count;              /* 1 to WEIR_SHARDS_MAX */
    uint32_t node_count;               /* 1 to WEIR_CLUSTER_NODES_MAX */
    struct weir_shard_node *nodes;     /* ascending by id, without repetition */
    uint16_t *owner;                   /* of each shard: an index into nodes; of everybody, there is one */
};

/* -- making -- */

/* For whoever fills it in (core/rebalance.h): all zero but the counts, which must be within their bounds. NULL: out of
 * memory. */
struct weir_shard_map *weir_shard_map_new(uint32_t shard_count, uint32_t node_count);
/* id: as weir_coord_id_valid has it. */
void weir_shard_map_node_set(struct weir_shard_map *m, uint32_t node, struct weir_str id, uint32_t weight);
/* Counts the shards of each node; call it when owner is filled in. */
void weir_shard_map_count(struct weir_shard_map *m);
/* NULL: out of memory. */
struct weir_shard_map *weir_shard_map_copy(const struct weir_shard_map *m);
/* Sets *m to NULL. */
void weir_shard_map_free(struct weir_shard_map **m);

/* -- text -- */

/* Appends. */
void weir_shard_map_print(struct weir_textbuf *out, const struct weir_shard_map *m);
/* Takes only what weir_shard_map_print writes. On error *out is NULL. Errors: WEIR_EPROTO with the line, WEIR_ENOMEM.
 */
WEIR_MUST_USE int weir_shard_map_parse(struct weir_shard_map **out, struct weir_str text, struct weir_err *err);

/* -- asking -- */

/* The order of maps: by epoch, then by the leader's id, so that of two leaders' maps everybody keeps the same one. True
 * when a comes after b; anything comes after NULL, NULL after nothing. */
bool weir_shard_map_newer(const struct weir_shard_map *a, const struct weir_shard_map *b);
/* The same nodes with the same weights and owners, whoever published them when. */
bool weir_shard_map_same(const struct weir_shard_map *a, const struct weir_shard_map *b);
/* Index of a node, or WEIR_NODE_NOBODY. */
uint16_t weir_shard_map_find(const struct weir_shard_map *m, struct weir_str id);

static inline uint32_t weir_shard_of(uint64_t key_hash, uint32_t shard_count)
{
    return (uint32_t)(key_hash % shard_count);
}

/* A set of nodes, as bits by their index in a map. All zero is the empty one. */
struct weir_node_set {
    uint64_t bits[WEIR_CLUSTER_NODES_MAX / 64];
};

static inline void weir_node_set_add(struct weir_node_set *s, uint32_t node)
{
    s->bits[node / 64] |= UINT64_C(1) << node % 64;
}

static inline void weir_node_set_drop(struct weir_node_set *s, uint32_t node)
{
    s->bits[node / 64] &= ~(UINT64_C(1) << node % 64);
}

static inline bool weir_node_set_has(const struct weir_node_set *s, uint32_t node)
{
    return (s->bits[node / 64] >> node % 64 & 1) != 0;
}

/* -- successors: who serves a shard while its owner does not -- */

/* The owner, then the others by weighted rendezvous, the first max of them. Returns how many. Goes through the
 * nodes for each of them: for the few that are tried. */
uint32_t weir_shard_successors(const struct weir_shard_map *m, uint32_t shard, uint16_t *out, uint32_t max);
/* The first of the successors that is alive, or WEIR_NODE_NOBODY. One look when that is the owner. */
uint16_t weir_shard_effective_owner(const struct weir_shard_map *m, uint32_t shard, const struct weir_node_set *alive);
/* The same for all shards: out has room for m->shard_count. */
void weir_shard_owners(const struct weir_shard_map *m, const struct weir_node_set *alive, uint16_t *out);

/* Orders a provider's endpoints for a shard, alike on every node: out[0] is the index of the one to ask first. By
 * weighted rendezvous over the hashes of their ids (weir_hash64, seed 0), so that an endpoint that comes or goes
 * changes the first place of no more shards than its share. weights may be NULL (all alike); an endpoint of weight 0
 * comes last. count <= WEIR_SHARD_RANK_MAX. */
#define WEIR_SHARD_RANK_MAX 64u /* as WEIR_POOL_ENDPOINTS_MAX */
void weir_shard_rank(uint32_t shard, const uint64_t *hashes, const uint32_t *weights, uint32_t count, uint8_t *out);

/* -- bounded load -- */

/* Requests that one of several may have in flight before the next in order is asked: its share of all, this one
 * included, times a factor in percent (125: a quarter above the mean), rounded up and at least 1. Mirrokni, Thorup and
 * Zadimoghaddam, 2017 (arXiv 1608.01350). in_flight: of all of them, without this one; weight_sum: of those that can
 * serve. */
uint64_t weir_bounded_load_cap(uint64_t in_flight, uint32_t weight, uint32_t weight_sum, uint32_t percent);
#define WEIR_BOUNDED_LOAD_PERCENT 125u

#endif
