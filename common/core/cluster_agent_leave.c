/* Leaving: first the shards, then the requests (the driver's), then the membership. */
#include "core/cluster_agent_inner.h"

/* A coordinator has this long to take the shards over; without it their successors serve them anyway, since a draining
 * node is nobody's effective owner. */
#define DRAIN_TIMEOUTS 2u

void weir_cluster_agent_drain(struct weir_cluster_agent *a, uint64_t now_ms)
{
    if (a->leaving != AGENT_STAYS)
        return;
    a->leaving = AGENT_DRAINS;
    a->self.state = WEIR_NODE_DRAINING;
    a->drain_from_ms = now_ms;
    a->drain_until_ms = now_ms + DRAIN_TIMEOUTS * a->failover_ms;
    a->beat_due_ms = now_ms;
    a->sight_stale = true;
    if (a->joined)
        agent_tell_all(a, now_ms, WEIR_CLUSTER_PEER_DRAINS, a->self.id);
    weir_cluster_agent_tick(a, now_ms);
}

void weir_cluster_agent_stay(struct weir_cluster_agent *a, uint64_t now_ms)
{
    if (a->leaving != AGENT_DRAINS && a->leaving != AGENT_DRAINED)
        return;
    a->leaving = AGENT_STAYS;
    a->self.state = a->joined ? WEIR_NODE_ACTIVE : WEIR_NODE_JOINING;
    a->drain_told_ms = 0;
    a->beat_due_ms = now_ms;
    a->sight_stale = true;
    if (a->joined)
        agent_tell_all(a, now_ms, WEIR_CLUSTER_PEER_STAYS, a->self.id);
    weir_cluster_agent_tick(a, now_ms);
}

/* Whether the map in force, if it was published, gives this node nothing any more. */
static bool map_is_clear(const struct weir_cluster_agent *a)
{
    uint16_t node = weir_shard_map_find(a->map, weir_str_of(a->self.id));
    return node == WEIR_NODE_NOBODY || a->map->nodes[node].shard_count == 0;
}

/* The others have heard of the drain and had a beat's time to act on it. */
static bool others_know(const struct weir_cluster_agent *a, uint64_t now_ms)
{
    return a->drain_told_ms != 0 && now_ms >= a->drain_told_ms + a->beat_ms;
}

static bool is_drained(const struct weir_cluster_agent *a, uint64_t now_ms)
{
    /* With nobody to hand over to, or nobody to tell, there is nothing to wait for. */
    if (now_ms >= a->drain_until_ms || !a->contact || a->sight.alive_count <= 1)
        return true;
    return others_know(a, now_ms) && (a->map == NULL || map_is_clear(a));
}

void weir_cluster_agent_leave(struct weir_cluster_agent *a, uint64_t now_ms)
{
    struct weir_coord_request request = {.op = WEIR_COORD_LEAVE, .leave = &a->self};
    if (a->leaving >= AGENT_LEAVES)
        return;
    agent_tokens_return(a, now_ms);
    if (a->joined)
        agent_tell_all(a, now_ms, WEIR_CLUSTER_PEER_LEFT, a->self.id);
    a->leaving = AGENT_LEAVES;
    a->leave_request = a->contact && agent_send(a, now_ms, &request) ? request.id : 0;
    weir_cluster_agent_tick(a, now_ms);
}

static void left(struct weir_cluster_agent *a, const char *why)
{
    a->leaving = AGENT_LEFT;
    agent_note(a, WEIR_CLUSTER_LEFT, a->self.id, why);
}

void agent_leave_reply(struct weir_cluster_agent *a, const struct weir_coord_reply *r)
{
    if (a->leaving == AGENT_LEAVES && r->id == a->leave_request)
        left(a, r->word == WEIR_COORD_OK ? "" : r->why != NULL ? r->why : "no answer");
}

void agent_leave_tick(struct weir_cluster_agent *a, uint64_t now_ms)
{
    if (a->leaving == AGENT_LEAVES && a->leave_request == 0)
        left(a, "the store is away");
    if (a->leaving != AGENT_DRAINS || !is_drained(a, now_ms))
        return;
    a->leaving = AGENT_DRAINED;
    agent_note(a, WEIR_CLUSTER_DRAINED, a->self.id, "");
}

uint64_t agent_leave_deadline(const struct weir_cluster_agent *a)
{
    if (a->leaving != AGENT_DRAINS)
        return AGENT_NEVER;
    uint64_t told = a->drain_told_ms != 0 ? a->drain_told_ms + a->beat_ms : AGENT_NEVER;
    return told < a->drain_until_ms && !(a->map != NULL && !map_is_clear(a)) ? told : a->drain_until_ms;
}
