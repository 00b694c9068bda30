/* A node's whole behaviour in a cluster as a machine without clock, socket or thread: events go in with the time, and
 * what is to be done comes out. The node's control thread drives it over a store (common/store), the simulator
 * (tests/sim) over simulated ones; neither has any logic of the cluster of its own.
 *
 *     tick, reply, push, contact, peer, owes, thirsty, drain ... -> [agent] -> port act(): SEND, SIGHT, LEARN, ...
 *
 * - Membership: a beat each min(1 s, failover_timeout / 3) tells the store that this node lives, and learns from it
 *   what has changed; only that is asked for. Who is dead is judged by core/members.
 * - Map: the published one with the highest (epoch, leader) ever seen; while none was, each node computes the same one
 *   from the members that it sees. Peers that cannot be reached are passed over at once, here only.
 * - Circuits: reports go out in batches, urgent ones at once; what others' reports changed comes back by push and, were
 *   that lost, by the beat's version. A change is told as an event by the node whose report led to it.
 * - Events: as they are pushed, and the last ones from the store once this node has joined, or is back.
 * - Limits: one request for tokens of all providers, at most each WEIR_LEASE_PULL_US.
 * - Load: at the end of each slot of time a record of it, slots being cut on the store's clock.
 * - Advice: the coordinator's hints, when the store has newer ones.
 * - Leaving: drain, until no shard is this node's any more; then leave.
 * - The store away: ALONE, and everything goes on with what is known.
 *
 * All times are milliseconds of one monotonic clock, never going back. Identifiers and texts given at configuration
 * are copied. Pointers in actions, and what a reply or push brought, live during the call of `act` only. `act` and the
 * ports must not call back into the agent, but for the functions that take it const. */
#ifndef WEIR_CORE_CLUSTER_AGENT_H
#define WEIR_CORE_CLUSTER_AGENT_H

#include "core/cluster_sight.h"
#include "core/coord.h"
#include "core/err.h"
#include "core/shard_map.h"

struct weir_cluster_agent;

struct weir_cluster_agent_config {
    const char *id, *advertise, *version; /* id as weir_coord_id_valid has it */
    uint64_t instance;                    /* chance, at each start of the process; from 1, below 2^53 */
    uint32_t weight;
    uint64_t failover_timeout_ms;
    uint64_t answer_ms;    /* the store's answers that take longer come as AWAY; 0: none does */
    bool failover;         /* failover_enabled */
    uint32_t shard_count;  /* the map in force may have another */
    const char *secret;    /* what peers prove themselves with; proposed when nobody has placed one yet */
    bool secret_shared;    /* through the store (nobody configured it); else it is used as it is, and not stored */
    uint64_t load_slot_ms; /* analytics.sample_interval; 0: no load is told */
    bool follow_hints;     /* advice is asked for whenever there is a newer one */
};

/* -- what is pulled -- */

/* How soon a circuit's report is wanted by the others. */
enum weir_cluster_haste {
    WEIR_CLUSTER_CALM,   /* successes only: within a second */
    WEIR_CLUSTER_SOON,   /* failures: within a tenth */
    WEIR_CLUSTER_URGENT, /* its own circuit changed, a probe ended, a cooldown, permits are wanted, or the circuit is
                            not shared yet (an empty report then: the answer begins it) */
};

/* -- what is to be done -- */

/* X(id, event): the name of the event in the log and in the store. */
#define WEIR_CLUSTER_NOTE_MAP(X)                                                                                \
    X(JOINED, "cluster_joined")   /* this node is a member; once per start, and after it was refused */         \
    X(REFUSED, "cluster_refused") /* the store does not let it in: word (ID_TAKEN, SCHEMA_NEWER) and why; it    \
                                     goes on alone and keeps trying */                                          \
    X(CONTACT_LOST, "store_lost") /* why; ALONE follows */                                                      \
    X(CONTACT_BACK, "store_back")                                                                               \
    X(STORE_ANEW, "store_anew") /* the store had lost its contents; ALONE follows */                            \
    X(PEER_JOINED, "node_joined")                                                                               \
    X(PEER_DRAINS, "node_drains")                                                                               \
    X(PEER_STAYS, "node_stays") /* it had begun to leave, and does not */                                       \
    X(PEER_LEFT, "node_left")   /* orderly, or its record was dropped at last */                                \
    X(PEER_LOST, "node_lost")   /* silent for failover_timeout; why: it keeps its shards, failover being off */ \
    X(PEER_BACK, "node_back")                                                                                   \
    X(PEER_SUSPECT, "node_suspect")         /* could not be reached from here */                                \
    X(MAP_TAKEN, "map_taken")               /* a published map is in force: epoch, node: its leader */          \
    X(MAP_REFUSED, "map_refused")           /* one that is older than what was seen, or cannot be read: why */  \
    X(SHARDS_DIFFER, "shard_count_differs") /* the map's shard_count is not the configured one; followed */     \
    X(DRAINED, "node_drained")              /* after drain: no shard is this node's any more */                 \
    X(LEFT, "cluster_left")                 /* after leave: told to the store, or that could not be done: why */

#define WEIR_CLUSTER_ENUM(id, event) WEIR_CLUSTER_##id,
enum weir_cluster_note { WEIR_CLUSTER_NOTE_MAP(WEIR_CLUSTER_ENUM) WEIR_CLUSTER_NOTES };
#undef WEIR_CLUSTER_ENUM
const char *weir_cluster_note_text(enum weir_cluster_note n);

enum weir_cluster_do {
    WEIR_CLUSTER_SEND,    /* request: to the store */
    WEIR_CLUSTER_SIGHT,   /* weir_cluster_agent_sight() shows something else now, loads and ages apart */
    WEIR_CLUSTER_LEARN,   /* circuit: weir_breaker_view_learn(sight, store_ms) */
    WEIR_CLUSTER_GRANTED, /* granted: of a report's answer; after LEARN of the same circuit */
    WEIR_CLUSTER_ALONE,   /* circuits and limits go on alone: weir_breaker_view_alone for every circuit */
    WEIR_CLUSTER_TOKENS,  /* tokens: the answer for one provider */
    WEIR_CLUSTER_CHECKED, /* checked: another node's active check of an endpoint */
    WEIR_CLUSTER_HEARD,   /* event: of another member, or of this one (a JSON object): for whoever listens. May have
                             been heard before */
    WEIR_CLUSTER_ADVICE,  /* advice: the store's newest. Nobody has looked at its texts. May come again */
    WEIR_CLUSTER_NOTE,    /* note: for the log, once per change */
};

struct weir_cluster_action {
    enum weir_cluster_do what;
    bool pushed;       /* HEARD: it happens now; else it has been remembered */
    uint64_t store_ms; /* LEARN, GRANTED, ADVICE: the store's clock when it was so */
    union {
        const struct weir_coord_request *request;
        struct {
            const char *endpoint, *by; /* by: whose report changed it; "" */
            struct weir_breaker_sight sight;
        } circuit;
        struct {
            const char *endpoint;
            const struct weir_breaker_report *said; /* the report */
            const struct weir_breaker_reply *reply;
        } granted;
        struct {
            const char *provider;
            enum weir_coord_word
                word;          /* not OK: whether hand-back and charge arrived is not known, nothing is granted */
            uint64_t asked_ms; /* on the agent's clock; what is granted lives from there */
            uint64_t store_us; /* the store's clock when it was granted */
            struct weir_coord_tokens_item asked;
            uint32_t granted, remaining;
            uint64_t wait_us, full_us;
        } tokens;
        struct weir_coord_checked checked;
        struct weir_str event;
        const struct weir_coord_advice_reply *advice;
        struct {
            enum weir_cluster_note kind;
            const char *node, *why;    /* "" where there is none */
            uint64_t epoch;            /* of the map in force */
            enum weir_coord_word word; /* REFUSED */
        } note;
    };
};

struct weir_cluster_ports {
    void *arg;
    void (*act)(void *arg, const struct weir_cluster_action *a);
    /* Moves out the reports of at most `max` circuits whose haste is at least `least`; returns how many. Texts live
     * until the next call of the agent. What was moved is lost should its request be. */
    uint32_t (*take_reports)(void *arg, uint64_t now_ms, enum weir_cluster_haste least,
                             struct weir_coord_report_item *items, uint32_t max);
    /* Likewise what limits want, hand back and have spent; 0: nothing now. */
    uint32_t (*take_tokens)(void *arg, uint64_t now_ms, struct weir_coord_tokens_item *items, uint32_t max);
    /* What was seen since the last call, which is what this slot saw, as core/load_record's text; slot 0: it was no
     * slot, and the answer is not looked at. Empty: nothing is to be told. Lives until the next call of the agent.
     * Never called with load_slot_ms 0. */
    struct weir_str (*take_load)(void *arg, uint64_t now_ms, uint64_t slot);
};

/* -- life; the caller gets its first actions with the first tick -- */

/* Errors: WEIR_ENOMEM, WEIR_EINVAL. */
WEIR_MUST_USE int weir_cluster_agent_new(struct weir_cluster_agent **out, const struct weir_cluster_agent_config *c,
                                         const struct weir_cluster_ports *ports, uint64_t now_ms, struct weir_err *err);
void weir_cluster_agent_free(struct weir_cluster_agent **a);
/* Reloaded: weight, timeouts, failover, shard_count and secret may have changed. Errors: WEIR_ENOMEM, WEIR_EINVAL; the
 * agent goes on as it was. */
WEIR_MUST_USE int weir_cluster_agent_set(struct weir_cluster_agent *a, const struct weir_cluster_agent_config *c,
                                         uint64_t now_ms, struct weir_err *err);

/* -- events -- */

void weir_cluster_agent_tick(struct weir_cluster_agent *a, uint64_t now_ms);
/* When to tick at the latest. */
uint64_t weir_cluster_agent_deadline_ms(const struct weir_cluster_agent *a);
/* Exactly one for each SEND, in any order; never from inside `act`. */
void weir_cluster_agent_reply(struct weir_cluster_agent *a, uint64_t now_ms, const struct weir_coord_reply *r);
void weir_cluster_agent_push(struct weir_cluster_agent *a, uint64_t now_ms, const struct weir_coord_push *p);
/* The connection to the store: it is up, or down and why. A store that is connected and does not answer is noticed by
 * its answers (AWAY). */
void weir_cluster_agent_contact(struct weir_cluster_agent *a, uint64_t now_ms, bool up, const char *why);
/* A peer has answered, or could not be reached or did not acknowledge in time. */
void weir_cluster_agent_peer(struct weir_cluster_agent *a, uint64_t now_ms, const char *id, bool reachable);
/* Some peer goes by a shard map of this epoch: if it is newer than what was heard of so far, the store is asked for it.
 */
void weir_cluster_agent_epoch(struct weir_cluster_agent *a, uint64_t now_ms, uint64_t epoch);
/* Somebody looks at the members' loads: the store is asked for them, at most once a second (of more than 250 members,
 * less often). True: the answer to MEMBERS is on its way, and the sight has it with that reply; false: it is no older
 * than that, or cannot be had. */
bool weir_cluster_agent_look(struct weir_cluster_agent *a, uint64_t now_ms);
/* Somebody looks at the advice: it is asked for with the analytics, at most once a second. True: the answer is on its
 * way, and comes as ADVICE with that reply; false: it is no older than that, or cannot be had. */
bool weir_cluster_agent_look_advice(struct weir_cluster_agent *a, uint64_t now_ms);
/* For the next beat. */
void weir_cluster_agent_load(struct weir_cluster_agent *a, const struct weir_coord_load *load);
/* Some circuit owes a report: once per change of the highest haste is enough. */
void weir_cluster_agent_owes(struct weir_cluster_agent *a, uint64_t now_ms, enum weir_cluster_haste haste);
/* Some limit wants tokens. While it gets any, the agent asks again by itself. */
void weir_cluster_agent_thirsty(struct weir_cluster_agent *a, uint64_t now_ms);
/* Something for all others: the result of an active check, an event (a JSON object below WEIR_COORD_EVENT_MAX). Not
 * sent while the store is away. */
void weir_cluster_agent_checked(struct weir_cluster_agent *a, uint64_t now_ms, const char *endpoint, bool passed,
                                const char *why);
void weir_cluster_agent_tell(struct weir_cluster_agent *a, uint64_t now_ms, struct weir_str event);
/* Begin to leave: NOTE DRAINED follows once the others have taken this node's shards, at latest after
 * 2 x failover_timeout. */
void weir_cluster_agent_drain(struct weir_cluster_agent *a, uint64_t now_ms);
/* After drain, and before leave: take part again. */
void weir_cluster_agent_stay(struct weir_cluster_agent *a, uint64_t now_ms);
/* Leave; NOTE LEFT follows when that is told or cannot be. Nothing else is sent after it. */
void weir_cluster_agent_leave(struct weir_cluster_agent *a, uint64_t now_ms);

/* -- to be looked at; valid until the next event -- */

const struct weir_cluster_sight *weir_cluster_agent_sight(const struct weir_cluster_agent *a);
/* The newest map that was published; NULL: none is known. */
const struct weir_shard_map *weir_cluster_agent_map(const struct weir_cluster_agent *a);
struct weir_cluster_agent_counts {
    uint64_t requests[WEIR_COORD_OPS]; /* sent */
    uint64_t away, refused;            /* answers */
    uint64_t maps_refused;
};
const struct weir_cluster_agent_counts *weir_cluster_agent_counts(const struct weir_cluster_agent *a);
/* Which coordinator leads, as the last beat's answer had it; nothing is decided by it. */
struct weir_cluster_lead {
    bool known;                        /* false: without contact to the store, or before it has answered */
    uint64_t terms;                    /* how often the lead has changed hands; 0: nobody has led yet */
    char leader[WEIR_NODE_ID_MAX + 1]; /* "": nobody leads */
    uint64_t until_ms;                 /* its lease, unless renewed meanwhile; on the clock of the agent's `now_ms` */
};
struct weir_cluster_lead weir_cluster_agent_lead(const struct weir_cluster_agent *a);

#endif
