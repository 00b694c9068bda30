/* The state of a coordinator's agent, and what its parts share; internal to core/coordinator_agent*.c. */
#ifndef WEIR_CORE_COORDINATOR_AGENT_INNER_H
#define WEIR_CORE_COORDINATOR_AGENT_INNER_H

#include "core/coordinator_agent.h"
#include "core/leader_lease.h"

/* A member's requests in flight, smoothed. */
struct weir_coordinator_load {
    uint64_t hash; /* of its id */
    double in_flight;
};

struct weir_coordinator_agent {
    weir_coordinator_act_cb act;
    void *arg;
    char id[WEIR_NODE_ID_MAX + 1];
    bool failover, load_moves, resigned;
    uint32_t shard_count;
    uint64_t request_last;

    bool link, contact;
    bool contact_told; /* somebody knows which, so that changes of it are told */
    uint32_t away_run;

    struct weir_leader_lease lease;
    char leader[WEIR_NODE_ID_MAX + 1];
    uint64_t lead_request, resign_request;

    struct weir_members members;
    bool members_wanted, members_fresh; /* fresh: told since the last plan */
    uint64_t members_request, members_due_ms;

    struct weir_shard_map *map;      /* the newest known; NULL */
    struct weir_shard_map *proposed; /* on its way to the store */
    uint32_t proposed_moves;
    const char *proposed_still; /* why none of them; core/rebalance_round.h */
    bool map_wanted;
    uint64_t map_request, publish_request;
    uint64_t stored_epoch, highest_epoch; /* what the store has; that anybody has seen */

    uint32_t load_count;
    struct weir_coordinator_load loads[WEIR_CLUSTER_NODES_MAX];
    uint64_t loads_ms;    /* when they were told last; 0: not yet */
    uint64_t load_due_ms; /* no shard moves for its load before */
    bool asked;           /* an operator wants a round now */
    bool answers;         /* the map that is on its way to the store is that round's */

    struct weir_coordinator_history *history;
};

/* Returns the request's id; 0: there is no connection. */
uint64_t weir_coordinator_send(struct weir_coordinator_agent *a, uint64_t now_ms, struct weir_coord_request *request);
void weir_coordinator_note(struct weir_coordinator_agent *a, enum weir_coordinator_note kind, const char *node,
                           const char *why, uint64_t epoch, uint32_t moves);
/* The lease has changed: notes, and what begins and ends with it. */
void weir_coordinator_led(struct weir_coordinator_agent *a, uint64_t now_ms, enum weir_leader_change change,
                          const char *why);
/* What the store knows of maps. One that had a map and has none any more has lost all it had. */
void weir_coordinator_take_epochs(struct weir_coordinator_agent *a, uint64_t now_ms,
                                  const struct weir_coord_lead_reply *r);

/* -- the map: core/coordinator_agent_map.c -- */

void weir_coordinator_map_reply(struct weir_coordinator_agent *a, const struct weir_coord_reply *r);
void weir_coordinator_publish_reply(struct weir_coordinator_agent *a, uint64_t now_ms,
                                    const struct weir_coord_reply *r);
/* Loads are forgotten: the lead was gained. */
void weir_coordinator_forget_loads(struct weir_coordinator_agent *a);
/* The members were told. */
void weir_coordinator_take_loads(struct weir_coordinator_agent *a, uint64_t now_ms);
/* The event is an operator's wish for a round. */
bool weir_coordinator_is_asked(struct weir_str event);
/* Publishes another map when what is known by now asks for one. */
void weir_coordinator_decide(struct weir_coordinator_agent *a, uint64_t now_ms);

#endif
