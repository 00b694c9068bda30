/* The cluster agent's own state, shared by the files it is made of; nobody else includes this. Each file has one job
 * and the same shape: what begins it, what its answers change, and when it wants to be woken. */
#ifndef WEIR_CORE_CLUSTER_AGENT_INNER_H
#define WEIR_CORE_CLUSTER_AGENT_INNER_H

#include <assert.h>
#include <string.h>

#include "core/cluster_agent.h"
#include "core/members.h"
#include "core/shard_map.h"

/* A beat at least this often, should the failover timeout be long. */
#define AGENT_BEAT_MS_MAX 1000u
/* Answers that failed one after another before the store counts as away: one may be lost to a single slow turn. */
#define AGENT_AWAY_RUN 2u
/* Between two batches of reports with failures, of successes only, and of urgent ones; together with beat and tokens
 * they stay below 50 requests a second. */
#define AGENT_SOON_MS   100u
#define AGENT_CALM_MS   1000u
#define AGENT_URGENT_MS 25u
/* Requests for tokens are at least so far apart. */
#define AGENT_TOKENS_MS 350u
/* The members are all asked for at once, so the more there are the less often: a wave of changes among a thousand costs
 * each one question in four seconds. */
#define AGENT_MEMBERS_MS_MIN        100u
#define AGENT_MEMBERS_MS_PER_MEMBER 4u
/* While some are silent they are asked for again and again: one may have come back as another fell silent, and the
 * count of them would not show it. With each beat while there are few of them; a thousand cost as much to each. */
#define AGENT_SILENT_MS_PER_MEMBER 10u
/* For somebody who looks at their loads they are asked for no more often: a load is told with a beat. */
#define AGENT_LOOK_MS 1000u
/* Slots whose records are kept for a store that is away. */
#define AGENT_LOADS 4u
/* After a record, or the question for advice, that brought no answer. */
#define AGENT_LOAD_AGAIN_MS 1000u
/* All nodes ask for new advice within this time. */
#define AGENT_ADVICE_SPREAD_MS 500u
/* Batches of one kind under way at a time; what is beyond waits for an answer. */
#define AGENT_BATCHES 4u
#define AGENT_NEVER   UINT64_MAX

/* A batch under way: answers come in the order of its items and carry no names. */
struct agent_report_batch {
    uint64_t request; /* 0: free */
    uint32_t count;
    char endpoints[WEIR_COORD_BATCH][WEIR_ENDPOINT_ID_MAX + 1];
    bool quiet[WEIR_COORD_BATCH];
    struct weir_breaker_report said[WEIR_COORD_BATCH];
};
struct agent_token_batch {
    uint64_t request; /* 0: free */
    uint32_t count;
    struct weir_coord_tokens_item items[WEIR_COORD_BATCH]; /* provider: into providers */
    char providers[WEIR_COORD_BATCH][WEIR_PROVIDER_NAME_MAX + 1];
};

/* A record that is not told yet: core/load_record's text, owned. */
struct agent_load_record {
    char *text;
    size_t len;
};

enum agent_leaving { AGENT_STAYS, AGENT_DRAINS, AGENT_DRAINED, AGENT_LEAVES, AGENT_LEFT };

/* A member that could not be reached from here. */
struct agent_suspect {
    char id[WEIR_NODE_ID_MAX + 1];
    uint64_t until_ms;
};
#define AGENT_SUSPECTS_MAX 64u

struct weir_cluster_agent {
    struct weir_cluster_ports ports;
    struct weir_cluster_agent_counts counts;
    uint64_t request_last; /* id */

    /* What this node is. */
    struct weir_coord_member self;
    uint64_t failover_ms, beat_ms, answer_ms;
    bool failover, secret_shared;
    uint32_t shard_count; /* configured */
    char secret[WEIR_PEER_SECRET_MAX + 1];

    /* The store, as far as it answers. */
    bool link, contact, joined;
    uint32_t away_run;
    enum weir_coord_word refused; /* OK: it is not */
    uint64_t incarnation;
    uint64_t beat_due_ms, beat_request; /* request: 0: none under way */

    struct weir_cluster_lead lead; /* .known: heard once; what is shown depends on contact, too */

    /* The others. */
    struct weir_members members;
    bool members_wanted;
    uint64_t members_due_ms, members_request, members_asked_ms;
    struct agent_suspect suspects[AGENT_SUSPECTS_MAX];
    uint32_t suspect_count;

    /* The map. */
    struct weir_shard_map *map; /* published, the newest seen; NULL: none */
    uint64_t map_store_us;      /* when the store had it: what it says of earlier is no news */
    uint64_t map_request;
    bool map_wanted, map_known; /* known: the store's was seen, or that it has none */
    uint64_t map_refused_epoch; /* told once */
    uint64_t map_heard_epoch;   /* of a peer's, asked for once */

    /* Circuits. */
    uint64_t circuits_version, circuits_request;
    uint64_t circuits_store_us;      /* when the store had that version */
    uint64_t circuits_from_us;       /* pushes of before are of contents that may be no more */
    uint64_t circuits_stale_request; /* answers to requests up to this one are of a store that is no more shared */
    bool circuits_wanted;
    uint64_t soon_due_ms, calm_due_ms, urgent_due_ms;
    uint64_t reported_ms, urgent_from_ms; /* the last batch; when the next urgent one may go */
    struct agent_report_batch reports[AGENT_BATCHES];

    /* Limits. */
    uint64_t tokens_due_ms, tokens_asked_ms;
    struct agent_token_batch tokens[AGENT_BATCHES];

    /* Load. */
    uint64_t load_slot_ms;                       /* 0: none is told */
    uint64_t load_slot;                          /* the one under way; 0: none yet */
    bool load_whole;                             /* it was seen from its beginning */
    struct agent_load_record loads[AGENT_LOADS]; /* a ring */
    uint32_t load_first, load_count;
    uint64_t load_due_ms, load_request; /* of the oldest */

    /* Advice. */
    bool follow_hints, advice_whole; /* whole: the analytics are wanted with it */
    uint64_t advice_seen;            /* version that the store was last known to have */
    uint64_t advice_due_ms, advice_request, advice_looked_ms;

    /* Events. */
    bool events_wanted;
    uint64_t events_request;

    /* Leaving. */
    enum agent_leaving leaving;
    uint64_t drain_from_ms, drain_until_ms;
    uint64_t drain_told_ms; /* when the store was known to have it; 0: not yet */
    uint64_t leave_request;

    struct weir_cluster_sight sight;
    bool sight_stale, sight_told; /* told: once at least */
};

/* -- cluster_agent.c -- */

/* False: the store is not connected, or this node has left; nothing was sent. request's id is set. */
bool agent_send(struct weir_cluster_agent *a, uint64_t now_ms, struct weir_coord_request *request);
void agent_act(struct weir_cluster_agent *a, const struct weir_cluster_action *action);
void agent_note(struct weir_cluster_agent *a, enum weir_cluster_note kind, const char *node, const char *why);

/* -- cluster_agent_members.c: beats, who is there, who lives -- */

void agent_beat_tick(struct weir_cluster_agent *a, uint64_t now_ms);
uint64_t agent_beat_deadline(const struct weir_cluster_agent *a);
void agent_beat_reply(struct weir_cluster_agent *a, uint64_t now_ms, const struct weir_coord_reply *r);
void agent_members_reply(struct weir_cluster_agent *a, uint64_t now_ms, const struct weir_coord_reply *r);
void agent_contact_lost(struct weir_cluster_agent *a, uint64_t now_ms, const char *why);
/* Becomes active once all that is to be known is known. */
void agent_maybe_join(struct weir_cluster_agent *a, uint64_t now_ms);
bool agent_is_suspect(const struct weir_cluster_agent *a, const char *id);

/* -- cluster_agent_map.c: the map in force, and the sight -- */

void agent_map_tick(struct weir_cluster_agent *a, uint64_t now_ms);
/* The store had a map of this epoch and leader then. */
void agent_map_seen(struct weir_cluster_agent *a, uint64_t epoch, const char *leader, uint64_t store_us);
void agent_map_reply(struct weir_cluster_agent *a, uint64_t now_ms, const struct weir_coord_reply *r);
/* False: out of memory, the sight is as it was. changed: by more than loads and ages. */
bool agent_sight_make(struct weir_cluster_agent *a, bool *changed);
/* Makes the sight anew if something has changed, and says so. */
void agent_sight_settle(struct weir_cluster_agent *a);

/* -- cluster_agent_circuits.c -- */

void agent_circuits_tick(struct weir_cluster_agent *a, uint64_t now_ms);
uint64_t agent_circuits_deadline(const struct weir_cluster_agent *a);
/* The store's version then. False: it has gone back, so the store is not the one that it was. */
bool agent_circuits_seen(struct weir_cluster_agent *a, uint64_t version, uint64_t store_us);
/* Contact is there, or there again, or with other contents: since store_us. */
void agent_circuits_begin(struct weir_cluster_agent *a, uint64_t now_ms, uint64_t store_us);
void agent_report_reply(struct weir_cluster_agent *a, uint64_t now_ms, const struct weir_coord_reply *r);
void agent_circuits_reply(struct weir_cluster_agent *a, const struct weir_coord_reply *r);
void agent_circuit_push(struct weir_cluster_agent *a, const struct weir_coord_push *p);

/* -- cluster_agent_tokens.c -- */

void agent_tokens_tick(struct weir_cluster_agent *a, uint64_t now_ms);
uint64_t agent_tokens_deadline(const struct weir_cluster_agent *a);
void agent_tokens_reply(struct weir_cluster_agent *a, const struct weir_coord_reply *r);
void agent_tokens_return(struct weir_cluster_agent *a, uint64_t now_ms); /* the last time, before leaving */

/* -- cluster_agent_load.c -- */

void agent_load_tick(struct weir_cluster_agent *a, uint64_t now_ms);
uint64_t agent_load_deadline(const struct weir_cluster_agent *a);
void agent_load_reply(struct weir_cluster_agent *a, uint64_t now_ms, const struct weir_coord_reply *r);
/* Forgets what is not told; the next slot is told that is seen whole. */
void agent_load_reset(struct weir_cluster_agent *a);

/* -- cluster_agent_advice.c -- */

void agent_advice_tick(struct weir_cluster_agent *a, uint64_t now_ms);
uint64_t agent_advice_deadline(const struct weir_cluster_agent *a);
/* The store has advice of this version. */
void agent_advice_seen(struct weir_cluster_agent *a, uint64_t now_ms, uint64_t version);
void agent_advice_reply(struct weir_cluster_agent *a, uint64_t now_ms, const struct weir_coord_reply *r);

/* -- cluster_agent_events.c -- */

/* Sends an event of this node's for all: {"event":NAME,"node":NODE,"by":SELF}; of a lost node, where failover is off,
 * with "shards":"kept". */
void agent_tell_all(struct weir_cluster_agent *a, uint64_t now_ms, enum weir_cluster_note kind, const char *node);
/* Likewise, for each change that a report of this node's has brought about in the shared circuit:
 * {"event":NAME,"endpoint":ENDPOINT,"reason":REASON,"node":SELF}. */
void agent_tell_circuit(struct weir_cluster_agent *a, uint64_t now_ms, const char *endpoint,
                        const struct weir_breaker_reply *changes);
/* Asks for the last events, if they are wanted: once for each time that contact begins, as a member. */
void agent_events_ask(struct weir_cluster_agent *a, uint64_t now_ms);
void agent_events_reply(struct weir_cluster_agent *a, const struct weir_coord_reply *r);

/* -- cluster_agent_leave.c -- */

void agent_leave_tick(struct weir_cluster_agent *a, uint64_t now_ms);
uint64_t agent_leave_deadline(const struct weir_cluster_agent *a);
void agent_leave_reply(struct weir_cluster_agent *a, const struct weir_coord_reply *r);

#endif
