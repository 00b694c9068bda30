#include "node/place.h"

#include "core/shard_map.h"

static bool may_go(const struct weir_cluster_view *v, const struct weir_peer *p, uint64_t now_ms)
{
    return p->may_take && weir_peer_may_ask(p->rt, now_ms, WEIR_PEER_CONNECT_MS + v->config->peer_ack_timeout_ms);
}

const struct weir_peer *weir_place_owner(const struct weir_cluster_view *v, uint32_t shard, uint64_t now_ms)
{
    if (shard >= v->shard_count || v->owner[shard] >= v->peer_count || v->secret.len == 0)
        return NULL;
    const struct weir_peer *p = &v->peers[v->owner[shard]];
    return may_go(v, p, now_ms) ? p : NULL;
}

static uint32_t load_of(const struct weir_peer *p, uint64_t now_ms)
{
    return weir_peer_load(p->rt, p->link.endpoints[0].rt, now_ms);
}

/* The n-th of those that take requests. */
static const struct weir_peer *taking(const struct weir_cluster_view *v, uint32_t n)
{
    for (uint32_t i = 0; i < v->peer_count; i++)
        if (v->peers[i].may_take && n-- == 0)
            return &v->peers[i];
    return NULL;
}

const struct weir_peer *weir_place_less_loaded(const struct weir_cluster_view *v, uint32_t own_load, uint64_t now_ms,
                                               uint64_t random)
{
    uint64_t all = own_load;
    if (v->taking_count == 0 || v->secret.len == 0)
        return NULL;
    for (uint32_t i = 0; i < v->peer_count; i++)
        if (v->peers[i].may_take)
            all += load_of(&v->peers[i], now_ms);
    if (own_load <= weir_bounded_load_cap(all - 1, 1, v->taking_count + 1, WEIR_BOUNDED_LOAD_PERCENT))
        return NULL;
    uint32_t a = (uint32_t)(random % v->taking_count), b = a;
    if (v->taking_count > 1)
        b = (a + 1 + (uint32_t)((random >> 32) % (v->taking_count - 1))) % v->taking_count;
    const struct weir_peer *first = taking(v, a), *second = taking(v, b);
    const struct weir_peer *p = load_of(second, now_ms) < load_of(first, now_ms) ? second : first;
    return load_of(p, now_ms) + 1 < own_load && may_go(v, p, now_ms) ? p : NULL;
}
