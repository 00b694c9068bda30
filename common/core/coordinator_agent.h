/* A coordinator's behaviour as a machine without clock, socket or thread, as core/cluster_agent is a node's: events go
 * in with the time, what is to be done comes out. Any number of them run; the one that holds the lead decides who shall
 * own which shard and publishes it, the others wait.
 *
 *     LEAD each third of the lease -> as leader: MEMBERS -> who lives (core/members) -> core/rebalance_round -> PUBLISH
 *
 * - A map is published when it differs from the one that the store has, with an epoch above all that the store and the
 *   nodes have seen, under the lead's token. What the store refuses as stale ends the lead here, too.
 * - After the lead was gained, contact came back or the store had lost its contents, nothing is given away for
 *   failover_timeout: who beats shall have had the time to.
 * - Members, weights or states that have changed: shards move as core/rebalance's quotas want. While they stay as they
 *   are, and with load_moves, a few shards go from whoever carries more than a tenth above the mean to whoever carries
 *   least: by the requests in flight that beats tell, smoothed; then a minute passes before more do.
 * - An operator may ask for a round (the event "rebalance_asked"): a leader makes its next one at once, and any
 *   difference of the loads counts in it, as beats tell them and not smoothed. What came of it is told as an event, too
 *   ("rebalanced"), also when nothing has moved, and then with the reason.
 * - What a round does is decided in core/rebalance_round.h; when, and under which epoch it is published, here.
 * - Load and what is ahead: core/coordinator_history.h.
 * - Moving a shard takes no agreement: its new owner serves from the moment it has the map, the old one ends its
 *   streams.
 *
 * Times, texts and callbacks are as in core/cluster_agent.h. */
#ifndef WEIR_CORE_COORDINATOR_AGENT_H
#define WEIR_CORE_COORDINATOR_AGENT_H

#include "core/coord.h"
#include "core/coordinator_history.h"
#include "core/err.h"
#include "core/members.h"
#include "core/shard_map.h"

struct weir_coordinator_agent;

struct weir_coordinator_agent_config {
    const char *id; /* as weir_coord_id_valid has it; another one for each coordinator */
    uint64_t lease_ms, failover_timeout_ms;
    bool failover; /* failover_enabled: whether a lost member's shards are given to others */
    uint32_t shard_count;
    bool load_moves; /* whether shards move for what their owners carry: where requests go by shard */
    struct weir_coordinator_history_config history;
};

/* X(id, event): the name of the event in the log and in the store. */
#define WEIR_COORDINATOR_NOTE_MAP(X)                                                                          \
    X(LEADS, "coordinator_leads")         /* this one, from now on */                                         \
    X(FOLLOWS, "coordinator_follows")     /* not any more: why */                                             \
    X(STANDS_BY, "coordinator_stands_by") /* node: another one leads, as is seen now */                       \
    X(CONTACT_LOST, "store_lost")         /* why */                                                           \
    X(CONTACT_BACK, "store_back")                                                                             \
    X(STORE_ANEW, "store_anew")   /* its contents were lost */                                                \
    X(NODE_JOINED, "node_joined") /* node; these five as leader only */                                       \
    X(NODE_LEFT, "node_left")                                                                                 \
    X(NODE_LOST, "node_lost")                                                                                 \
    X(NODE_BACK, "node_back")                                                                                 \
    X(NODE_DRAINS, "node_drains")                                                                             \
    X(PUBLISHED, "map_published")           /* epoch, moves */                                                \
    X(PUBLISH_REFUSED, "map_not_published") /* epoch, why */                                                  \
    X(PLAN_FAILED, "plan_failed")           /* why: no memory, or what members say of themselves cannot be */ \
    X(ADVISED, "advice_changed")            /* hints; why: their reason */

#define WEIR_COORDINATOR_ENUM(id, event) WEIR_COORDINATOR_##id,
enum weir_coordinator_note { WEIR_COORDINATOR_NOTE_MAP(WEIR_COORDINATOR_ENUM) WEIR_COORDINATOR_NOTES };
#undef WEIR_COORDINATOR_ENUM
const char *weir_coordinator_note_text(enum weir_coordinator_note n);

struct weir_coordinator_action {
    const struct weir_coord_request *send; /* to the store; NULL: a note for the log */
    struct {
        enum weir_coordinator_note kind;
        const char *node, *why; /* "" where there is none */
        uint64_t epoch;
        uint32_t moves;
        const struct weir_hints *hints; /* ADVISED */
    } note;
};
typedef void (*weir_coordinator_act_cb)(void *arg, const struct weir_coordinator_action *a);

/* Errors: WEIR_ENOMEM, WEIR_EINVAL. */
WEIR_MUST_USE int weir_coordinator_agent_new(struct weir_coordinator_agent **out,
                                             const struct weir_coordinator_agent_config *c, weir_coordinator_act_cb act,
                                             void *arg, uint64_t now_ms, struct weir_err *err);
void weir_coordinator_agent_free(struct weir_coordinator_agent **a);
/* Reloaded: all but the id. Errors: WEIR_EINVAL; the agent goes on as it was. */
WEIR_MUST_USE int weir_coordinator_agent_set(struct weir_coordinator_agent *a,
                                             const struct weir_coordinator_agent_config *c, struct weir_err *err);

void weir_coordinator_agent_tick(struct weir_coordinator_agent *a, uint64_t now_ms);
uint64_t weir_coordinator_agent_deadline_ms(const struct weir_coordinator_agent *a);
void weir_coordinator_agent_reply(struct weir_coordinator_agent *a, uint64_t now_ms, const struct weir_coord_reply *r);
void weir_coordinator_agent_push(struct weir_coordinator_agent *a, uint64_t now_ms, const struct weir_coord_push *p);
void weir_coordinator_agent_contact(struct weir_coordinator_agent *a, uint64_t now_ms, bool up, const char *why);
/* Gives the lead up and asks for it no more: before the end. Whether that is told can be seen by `open`. */
void weir_coordinator_agent_resign(struct weir_coordinator_agent *a, uint64_t now_ms);

/* To be looked at; valid until the next event. */
struct weir_coordinator_look {
    bool leads, contact;
    bool open;                          /* an answer is awaited */
    uint64_t token;                     /* of the own lead; 0: none */
    const char *leader;                 /* as far as it is known; "" */
    const struct weir_members *members; /* as leader */
    const struct weir_shard_map *map;   /* the newest known; NULL */
    struct weir_coordinator_history_look history;
};
struct weir_coordinator_look weir_coordinator_agent_look(const struct weir_coordinator_agent *a, uint64_t now_ms);

#endif
