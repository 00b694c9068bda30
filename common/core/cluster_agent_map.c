/* The map in force, and what is seen of the whole. */
#include <stdlib.h>

#include "core/cluster_agent_inner.h"
#include "core/rebalance.h"

/* -- the published map -- */

/* By (epoch, leader), as maps are ordered. */
static bool is_newer(const struct weir_shard_map *map, uint64_t epoch, const char *leader)
{
    if (map == NULL)
        return true;
    return epoch > map->epoch || (epoch == map->epoch && strcmp(leader, map->leader) > 0);
}

static void refuse(struct weir_cluster_agent *a, uint64_t epoch, const char *leader, const char *why)
{
    if (a->map_refused_epoch == epoch)
        return;
    a->counts.maps_refused++;
    a->map_refused_epoch = epoch;
    agent_note(a, WEIR_CLUSTER_MAP_REFUSED, leader, why);
}

void agent_map_seen(struct weir_cluster_agent *a, uint64_t epoch, const char *leader, uint64_t store_us)
{
    if (epoch == 0)
        a->map_known = true;
    else if (is_newer(a->map, epoch, leader))
        a->map_wanted = true;
    else if (store_us > a->map_store_us && (a->map->epoch != epoch || strcmp(a->map->leader, leader) != 0))
        refuse(a, epoch, leader, "older than the map in force");
}

void weir_cluster_agent_epoch(struct weir_cluster_agent *a, uint64_t now_ms, uint64_t epoch)
{
    if (epoch <= a->map_heard_epoch || (a->map != NULL && epoch <= a->map->epoch))
        return;
    a->map_heard_epoch = epoch;
    a->map_wanted = true;
    weir_cluster_agent_tick(a, now_ms);
}

void agent_map_tick(struct weir_cluster_agent *a, uint64_t now_ms)
{
    struct weir_coord_request request = {.op = WEIR_COORD_MAP};
    if (!a->map_wanted || !a->contact || a->map_request != 0 || a->leaving >= AGENT_LEAVES)
        return;
    a->map_wanted = false;
    a->map_request = agent_send(a, now_ms, &request) ? request.id : 0;
}

static void take(struct weir_cluster_agent *a, struct weir_shard_map *map)
{
    bool differs = map->shard_count != a->shard_count && (a->map == NULL || a->map->shard_count != map->shard_count);
    weir_shard_map_free(&a->map);
    a->map = map;
    a->sight_stale = true;
    agent_note(a, WEIR_CLUSTER_MAP_TAKEN, map->leader, "");
    if (differs)
        agent_note(a, WEIR_CLUSTER_SHARDS_DIFFER, map->leader, "");
}

void agent_map_reply(struct weir_cluster_agent *a, uint64_t now_ms, const struct weir_coord_reply *r)
{
    struct weir_err err;
    struct weir_shard_map *map;
    if (r->id != a->map_request)
        return;
    a->map_request = 0;
    if (r->word != WEIR_COORD_OK)
        return; /* the next beat says again that there is one */
    a->map_known = true;
    if (r->map.epoch == 0)
        return;
    if (!is_newer(a->map, r->map.epoch, r->map.leader)) {
        agent_map_seen(a, r->map.epoch, r->map.leader, r->now_us);
        return;
    }
    if (weir_shard_map_parse(&map, r->map.map, &err) != 0) {
        refuse(a, r->map.epoch, r->map.leader, err.msg);
        return;
    }
    if (map->epoch != r->map.epoch || strcmp(map->leader, r->map.leader) != 0) {
        refuse(a, r->map.epoch, r->map.leader, "its text names another epoch or leader");
        weir_shard_map_free(&map);
        return;
    }
    a->map_store_us = r->now_us;
    take(a, map);
    agent_maybe_join(a, now_ms);
}

/* -- what is seen -- */

/* What all members would come to without a coordinator: from their records alone, silent and draining ones included, so
 * that a death or a drain moves nothing but the one's own shards, to their successors. NULL: there is nobody, or no
 * memory. */
static struct weir_shard_map *own_map(const struct weir_cluster_sight *s, uint32_t shard_count)
{
    struct weir_err err;
    struct weir_rebalance_plan plan;
    struct weir_rebalance_opts opts = {0};
    struct weir_rebalance_member *members = calloc(s->peer_count, sizeof *members);
    uint32_t count = 0;
    if (members == NULL)
        return NULL;
    for (uint32_t i = 0; i < s->peer_count; i++)
        if (s->peers[i].state != WEIR_NODE_JOINING)
            members[count++] = (struct weir_rebalance_member){.id = weir_str_of(s->peers[i].id),
                                                              .weight = weir_rendezvous_weight(s->peers[i].weight),
                                                              .state = WEIR_NODE_ACTIVE};
    struct weir_shard_map *map = NULL;
    if (count > 0 && weir_rebalance(&plan, members, count, NULL, shard_count, &opts, &err) == 0) {
        map = plan.map;
        plan.map = NULL;
        weir_rebalance_plan_close(&plan);
    }
    free(members);
    return map;
}

static struct weir_cluster_peer peer_of(const struct weir_coord_member *r)
{
    struct weir_cluster_peer p = {
        .instance = r->instance, .epoch_seen = r->epoch_seen, .state = r->state, .weight = r->weight, .load = r->load};
    memcpy(p.id, r->id, sizeof p.id);
    memcpy(p.advertise, r->advertise, sizeof p.advertise);
    memcpy(p.version, r->version, sizeof p.version);
    return p;
}

static void add_self(const struct weir_cluster_agent *a, struct weir_cluster_sight *s)
{
    s->self = s->peer_count;
    s->peers[s->peer_count] = peer_of(&a->self);
    s->peers[s->peer_count++].alive = true;
}

static void add_peers(const struct weir_cluster_agent *a, struct weir_cluster_sight *s)
{
    bool placed = false;
    for (uint32_t i = 0; i < a->members.count; i++) {
        const struct weir_member *m = &a->members.at[i];
        int order = strcmp(m->record.id, a->self.id);
        if (!placed && order >= 0) {
            add_self(a, s);
            placed = true;
        }
        if (order == 0 || s->peer_count + !placed >= WEIR_CLUSTER_NODES_MAX)
            continue;
        struct weir_cluster_peer *p = &s->peers[s->peer_count++];
        *p = peer_of(&m->record);
        p->alive = m->alive;
        p->suspect = agent_is_suspect(a, p->id);
        p->seen_ms = m->seen_ms;
    }
    if (!placed)
        add_self(a, s);
    for (uint32_t i = 0; i < s->peer_count; i++)
        s->alive_count += s->peers[i].alive;
}

static bool serves(const struct weir_cluster_peer *p)
{
    return p->alive && !p->suspect && p->state == WEIR_NODE_ACTIVE;
}

/* Fills owner from the map in force: successors stand in for who does not serve; this node, for shards that nobody
 * does. */
static void set_owners(const struct weir_cluster_agent *a, const struct weir_shard_map *map,
                       struct weir_cluster_sight *s)
{
    uint16_t peer_of_node[WEIR_CLUSTER_NODES_MAX];
    struct weir_node_set serving = {0};
    for (uint32_t i = 0; i < map->node_count; i++) {
        int peer = weir_cluster_sight_find(s, map->nodes[i].id);
        peer_of_node[i] = peer >= 0 ? (uint16_t)peer : WEIR_NODE_NOBODY;
        /* With failover off an owner that is lost keeps its shards, and nobody stands in. */
        if (peer >= 0 && (serves(&s->peers[peer]) || (!a->failover && s->peers[peer].state == WEIR_NODE_ACTIVE)))
            weir_node_set_add(&serving, i);
    }
    weir_shard_owners(map, &serving, s->owner);
    for (uint32_t i = 0; i < s->shard_count; i++) {
        uint16_t peer = s->owner[i] != WEIR_NODE_NOBODY ? peer_of_node[s->owner[i]] : (uint16_t)s->self;
        s->owner[i] = peer;
        s->owned_count += peer == s->self;
    }
}

static bool make_sight(const struct weir_cluster_agent *a, struct weir_cluster_sight *s)
{
    struct weir_shard_map *own = NULL;
    s->peers = calloc((size_t)a->members.count + 1, sizeof *s->peers);
    if (s->peers == NULL)
        return false;
    add_peers(a, s);
    if (a->map == NULL)
        own = own_map(s, a->shard_count);
    const struct weir_shard_map *map = a->map != NULL ? a->map : own;
    s->shard_count = map != NULL ? map->shard_count : a->shard_count;
    s->owner = calloc(s->shard_count, sizeof *s->owner);
    if (s->owner == NULL) {
        weir_shard_map_free(&own);
        return false;
    }
    if (map != NULL) {
        set_owners(a, map, s);
    } else {
        for (uint32_t i = 0; i < s->shard_count; i++)
            s->owner[i] = (uint16_t)s->self;
        s->owned_count = s->shard_count;
    }
    weir_shard_map_free(&own);
    return true;
}

/* Only what others do and when they were seen is taken over: whoever follows the sight need not hear of it, and what
 * they follow stays as they have it. */
static void refresh(struct weir_cluster_sight *old, struct weir_cluster_sight *s)
{
    struct weir_cluster_peer *peers = old->peers;
    old->peers = s->peers;
    s->peers = peers;
    weir_cluster_sight_close(s);
}

bool agent_sight_make(struct weir_cluster_agent *a, bool *changed)
{
    struct weir_cluster_sight s = {.contact = a->contact,
                                   .incarnation = a->incarnation,
                                   .epoch = a->map != NULL ? a->map->epoch : 0,
                                   .store_offset_ms = a->members.clock_offset_ms};
    memcpy(s.secret, a->secret, sizeof s.secret);
    if (a->map != NULL)
        memcpy(s.leader, a->map->leader, sizeof s.leader);
    if (!make_sight(a, &s)) {
        weir_cluster_sight_close(&s);
        return false;
    }
    *changed = !weir_cluster_sight_same(&a->sight, &s);
    if (*changed) {
        weir_cluster_sight_close(&a->sight);
        a->sight = s;
    } else {
        refresh(&a->sight, &s);
    }
    return true;
}

void agent_sight_settle(struct weir_cluster_agent *a)
{
    bool changed;
    /* Out of memory: again with the next event, until then as it was last. */
    if (!a->sight_stale || !agent_sight_make(a, &changed))
        return;
    a->sight_stale = false;
    if (changed || !a->sight_told)
        agent_act(a, &(struct weir_cluster_action){.what = WEIR_CLUSTER_SIGHT});
    a->sight_told = true;
}
