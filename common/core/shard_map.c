#include "core/shard_map.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* -- making -- */

/* One block: the map, its nodes, its owners. */
struct weir_shard_map *weir_shard_map_new(uint32_t shard_count, uint32_t node_count)
{
    assert(shard_count >= 1 && shard_count <= WEIR_SHARDS_MAX);
    assert(node_count >= 1 && node_count <= WEIR_CLUSTER_NODES_MAX);
    _Static_assert(sizeof(struct weir_shard_map) % _Alignof(struct weir_shard_node) == 0, "nodes follow the map");
    struct weir_shard_map *m =
        calloc(1, sizeof *m + node_count * sizeof *m->nodes + (size_t)shard_count * sizeof *m->owner);
    if (m == NULL)
        return NULL;
    m->shard_count = shard_count;
    m->node_count = node_count;
    m->nodes = (struct weir_shard_node *)(m + 1);
    m->owner = (uint16_t *)(m->nodes + node_count);
    return m;
}

void weir_shard_map_node_set(struct weir_shard_map *m, uint32_t node, struct weir_str id, uint32_t weight)
{
    assert(node < m->node_count && weir_coord_id_valid(id));
    assert(weight >= 1 && weight <= WEIR_RENDEZVOUS_WEIGHT_MAX);
    struct weir_shard_node *n = &m->nodes[node];
    memcpy(n->id, id.ptr, id.len);
    n->id[id.len] = '\0';
    n->weight = weight;
    n->hash = weir_hash64_str(id, 0);
}

void weir_shard_map_count(struct weir_shard_map *m)
{
    for (uint32_t i = 0; i < m->node_count; i++)
        m->nodes[i].shard_count = 0;
    for (uint32_t s = 0; s < m->shard_count; s++)
        m->nodes[m->owner[s]].shard_count++;
}

struct weir_shard_map *weir_shard_map_copy(const struct weir_shard_map *m)
{
    struct weir_shard_map *copy = weir_shard_map_new(m->shard_count, m->node_count);
    if (copy == NULL)
        return NULL;
    copy->epoch = m->epoch;
    memcpy(copy->leader, m->leader, sizeof copy->leader);
    memcpy(copy->nodes, m->nodes, m->node_count * sizeof *m->nodes);
    memcpy(copy->owner, m->owner, m->shard_count * sizeof *m->owner);
    return copy;
}

void weir_shard_map_free(struct weir_shard_map **m)
{
    free(*m);
    *m = NULL;
}

/* -- asking -- */

bool weir_shard_map_newer(const struct weir_shard_map *a, const struct weir_shard_map *b)
{
    if (a == NULL || b == NULL)
        return a != NULL;
    if (a->epoch != b->epoch)
        return a->epoch > b->epoch;
    return strcmp(a->leader, b->leader) > 0;
}

bool weir_shard_map_same(const struct weir_shard_map *a, const struct weir_shard_map *b)
{
    if (a->shard_count != b->shard_count || a->node_count != b->node_count)
        return false;
    for (uint32_t i = 0; i < a->node_count; i++)
        if (strcmp(a->nodes[i].id, b->nodes[i].id) != 0 || a->nodes[i].weight != b->nodes[i].weight)
            return false;
    return memcmp(a->owner, b->owner, a->shard_count * sizeof *a->owner) == 0;
}

uint16_t weir_shard_map_find(const struct weir_shard_map *m, struct weir_str id)
{
    if (!weir_coord_id_valid(id))
        return WEIR_NODE_NOBODY;
    char text[WEIR_NODE_ID_MAX + 1];
    memcpy(text, id.ptr, id.len);
    text[id.len] = '\0';
    for (uint32_t low = 0, high = m->node_count; low < high;) {
        uint32_t middle = low + (high - low) / 2;
        int order = strcmp(text, m->nodes[middle].id);
        if (order == 0)
            return (uint16_t)middle;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return WEIR_NODE_NOBODY;
}

/* -- successors -- */

static uint16_t node_of(uint32_t number)
{
    return number == WEIR_RENDEZVOUS_NOBODY ? WEIR_NODE_NOBODY : (uint16_t)number;
}

/* The best of those in the set, or WEIR_NODE_NOBODY. */
static uint16_t best_of(const struct weir_shard_map *m, uint32_t shard, const struct weir_node_set *set)
{
    struct weir_rendezvous r;
    weir_rendezvous_init(&r, shard);
    for (uint32_t i = 0; i < m->node_count; i++)
        if (weir_node_set_has(set, i))
            weir_rendezvous_offer(&r, m->nodes[i].hash, m->nodes[i].weight, i);
    return node_of(r.best);
}

uint32_t weir_shard_successors(const struct weir_shard_map *m, uint32_t shard, uint16_t *out, uint32_t max)
{
    struct weir_node_set left;
    memset(&left, 0xff, sizeof left);
    uint16_t next = m->owner[shard];
    uint32_t count = 0;
    for (; count < max && next != WEIR_NODE_NOBODY; next = best_of(m, shard, &left)) {
        out[count++] = next;
        weir_node_set_drop(&left, next);
    }
    return count;
}

uint16_t weir_shard_effective_owner(const struct weir_shard_map *m, uint32_t shard, const struct weir_node_set *alive)
{
    return weir_node_set_has(alive, m->owner[shard]) ? m->owner[shard] : best_of(m, shard, alive);
}

void weir_shard_owners(const struct weir_shard_map *m, const struct weir_node_set *alive, uint16_t *out)
{
    struct weir_rendezvous_candidate living[WEIR_CLUSTER_NODES_MAX];
    uint32_t count = 0;
    for (uint32_t i = 0; i < m->node_count; i++)
        if (weir_node_set_has(alive, i))
            living[count++] = (struct weir_rendezvous_candidate){m->nodes[i].hash, m->nodes[i].weight, i};
    bool alike = weir_rendezvous_alike(living, count);
    for (uint32_t s = 0; s < m->shard_count; s++) {
        out[s] = m->owner[s];
        if (!weir_node_set_has(alive, out[s]))
            out[s] = node_of(weir_rendezvous_pick(s, living, count, alike));
    }
}

void weir_shard_rank(uint32_t shard, const uint64_t *hashes, const uint32_t *weights, uint32_t count, uint8_t *out)
{
    assert(count <= WEIR_SHARD_RANK_MAX);
    struct weir_rendezvous_place places[WEIR_SHARD_RANK_MAX];
    for (uint32_t i = 0; i < count; i++)
        places[i] = weir_rendezvous_place_of(shard, hashes[i], weights == NULL ? 1 : weights[i], i);
    weir_rendezvous_sort(places, count);
    for (uint32_t i = 0; i < count; i++)
        out[i] = (uint8_t)places[i].number;
}

/* -- bounded load -- */

uint64_t weir_bounded_load_cap(uint64_t in_flight, uint32_t weight, uint32_t weight_sum, uint32_t percent)
{
    if (weight_sum == 0)
        return 1;
    unsigned __int128 share = (unsigned __int128)(in_flight + 1) * percent * weight;
    uint64_t parts = (uint64_t)weight_sum * 100;
    uint64_t cap = (uint64_t)((share + parts - 1) / parts);
    return cap > 0 ? cap : 1;
}
