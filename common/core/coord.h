/* What the members of a cluster ask of the store that they share, and what it answers: plain data, in the words of the
 * cluster and not of a database. core/coord_state carries requests out on a state in memory; common/store's `memory`
 * and `redis` stores do the same for a running node, the latter by scripts on the same fields.
 *
 * Who asks: a node's agent (core/cluster_agent) and a coordinator's (core/coordinator_agent). They get their answers in
 * any order, late or never, and pushes that may be lost: a push only says earlier what a later question would.
 *
 * Times in answers are the store's own (milliseconds or microseconds of its clock, which is nobody's else): receivers
 * use differences of them only. Identifiers are text without spaces, at most as long as their constants; whoever reads
 * them from outside has checked that. Pointers in requests live as long as the call that takes the request, those in
 * answers and pushes as long as the callback that brings them. */
#ifndef WEIR_CORE_COORD_H
#define WEIR_CORE_COORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/breaker.h"
#include "core/str.h"

/* A version of the keys and fields in the store. Members refuse to join where it is higher than theirs. */
#define WEIR_COORD_SCHEMA 1u
/* Longer names are refused by the configuration: a record of a member has to stay small. */
#define WEIR_NODE_ID_MAX 64u
/* host:port with the longest host name (RFC 1035 2.3.4). */
#define WEIR_ADVERTISE_MAX 260u
/* "0.1.0" and what a distribution may add. */
#define WEIR_VERSION_TEXT_MAX 32u
/* scheme://host:port */
#define WEIR_ENDPOINT_ID_MAX 280u
/* A name in the configuration. */
#define WEIR_PROVIDER_NAME_MAX 64u
/* 32 random bytes in hexadecimal, or what is configured. */
#define WEIR_PEER_SECRET_MAX 128u
/* Members of one cluster: tables on each of them are this long at most. */
#define WEIR_CLUSTER_NODES_MAX 1024u
/* Circuits, or limits, in one request: a node with more of them sends several, and each stays a short script. */
#define WEIR_COORD_BATCH 16u
/* Circuits that the store keeps: with more endpoints, the one that has not changed for longest is forgotten. */
#define WEIR_COORD_CIRCUITS_MAX 1024u
/* A shared limit, or burst, above this counts as this: a million requests a second, and all numbers stay exact in a
 * script. */
#define WEIR_COORD_LIMIT_MAX 60000000u
/* A shard map's text: of the most shards and members there may be. */
#define WEIR_COORD_MAP_MAX 1048576u
/* A member is forgotten when it has been silent for so many leases, and at least for so long: it has long lost its
 * shards then, and comes back as a new one. */
#define WEIR_COORD_FORGET_LEASES 10u
#define WEIR_COORD_FORGET_MS_MIN 60000u
/* Events that the store keeps: the last ones of a cluster, for whoever looks at it. */
#define WEIR_COORD_EVENTS_KEPT 1000u
/* A sentence and its fields. */
#define WEIR_COORD_EVENT_MAX 512u

/* -- members -- */

enum weir_coord_node_state { WEIR_NODE_JOINING, WEIR_NODE_ACTIVE, WEIR_NODE_DRAINING };
const char *weir_coord_node_state_text(enum weir_coord_node_state s); /* "joining", "active", "draining" */

/* What a node says of itself with each beat; for the coordinator and for those who look. */
struct weir_coord_load {
    uint32_t in_flight;       /* requests */
    uint32_t connections;     /* to providers */
    uint32_t utilization_pct; /* of the limits in force, the fullest provider's */
    uint32_t loop_lag_us;     /* longest turn since the last beat */
    uint32_t requests_per_s, errors_per_s;
};

struct weir_coord_member {
    char id[WEIR_NODE_ID_MAX + 1];
    uint64_t instance; /* chosen at start, below 2^53: tells a restarted node, and two that use one id */
    char advertise[WEIR_ADVERTISE_MAX + 1];
    char version[WEIR_VERSION_TEXT_MAX + 1];
    enum weir_coord_node_state state;
    uint32_t weight;
    uint64_t epoch_seen; /* of the newest map that it has seen */
    struct weir_coord_load load;
    uint64_t age_ms; /* in answers: since its last beat */
};

/* -- requests -- */

/* X(id, name) */
#define WEIR_COORD_OP_MAP(X)                                                                   \
    X(BEAT, "beat")         /* a node lives: its record, and what has changed since */         \
    X(LEAVE, "leave")       /* it ends, orderly */                                             \
    X(MEMBERS, "members")   /* all members with their ages */                                  \
    X(MAP, "map")           /* the published shard map */                                      \
    X(LEAD, "lead")         /* a coordinator takes or renews the lead */                       \
    X(RESIGN, "resign")     /* ... or gives it up */                                           \
    X(PUBLISH, "publish")   /* a new shard map, under the fencing token */                     \
    X(REPORT, "report")     /* what circuits have seen */                                      \
    X(CIRCUITS, "circuits") /* the circuits that have changed since a version */               \
    X(TOKENS, "tokens")     /* tokens of rate limits: asked for, handed back, spent unasked */ \
    X(CHECKED, "checked")   /* the result of an endpoint's active check, for all */            \
    X(EVENT, "event")       /* something to be remembered and told */                          \
    X(EVENTS, "events")     /* the last of them */

#define WEIR_COORD_ENUM(id, name) WEIR_COORD_##id,
enum weir_coord_op { WEIR_COORD_OP_MAP(WEIR_COORD_ENUM) WEIR_COORD_OPS };
#undef WEIR_COORD_ENUM
const char *weir_coord_op_text(enum weir_coord_op op);

struct weir_coord_beat {
    const struct weir_coord_member *self; /* age_ms apart */
    uint64_t lease_ms;                    /* failover_timeout: who is silent for longer counts as silent */
    const char *secret;                   /* what peers shall prove themselves with, should there be none yet; NULL: the
                                             configuration has one, nothing is stored */
};

struct weir_coord_lead {
    const char *id;
    uint64_t lease_ms;
    uint64_t token; /* the one held, to be renewed; 0: none is */
};

struct weir_coord_publish {
    const char *id;
    uint64_t token;
    uint64_t epoch;
    struct weir_str map; /* core/shard_map's text */
};

struct weir_coord_report {
    const char *by; /* the reporter's id: shown as who led a circuit to its phase */
    uint32_t count;
    struct weir_coord_report_item {
        const char *endpoint;
        struct weir_breaker_policy policy; /* the reporter's: configurations may differ for a moment */
        struct weir_breaker_report report; /* .node: the reporter's number, see weir_coord_node_number */
        bool quiet; /* for the reporter: what comes of it is no event for the others. The store does not look at it */
    } items[WEIR_COORD_BATCH];
};

struct weir_coord_tokens {
    uint32_t count;
    struct weir_coord_tokens_item {
        const char *provider;
        uint32_t limit, burst;    /* per minute */
        bool strict;              /* a bucket that begins anew begins empty */
        uint32_t want;            /* asked for; all that is there of it is granted */
        uint32_t unused;          /* granted before, to be put back */
        uint64_t unused_since_us; /* now_us of the answer that granted the first of them; 0: none are */
        uint32_t spent;           /* without having been asked for, while the store was away */
    } items[WEIR_COORD_BATCH];
};

struct weir_coord_checked {
    const char *endpoint, *node;
    bool passed;
    const char *why; /* not; a phrase */
};

struct weir_coord_request {
    enum weir_coord_op op;
    uint64_t id;      /* the asker's, comes back with the answer */
    uint64_t sent_ms; /* likewise: the asker's clock */
    union {
        struct weir_coord_beat beat;
        const struct weir_coord_member *leave; /* id and instance */
        struct weir_coord_lead lead, resign;
        struct weir_coord_publish publish;
        struct weir_coord_report report;
        uint64_t circuits_since; /* version: 0: all */
        struct weir_coord_tokens tokens;
        struct weir_coord_checked checked;
        struct weir_str event; /* a JSON object */
        uint32_t events_count; /* at most WEIR_COORD_EVENTS_KEPT */
    };
};

/* -- answers -- */

/* What went wrong where an answer could be given at all. */
enum weir_coord_word {
    WEIR_COORD_OK,
    WEIR_COORD_AWAY,         /* no answer: not connected, or not in time; whether it was carried out is not known */
    WEIR_COORD_REFUSED,      /* the store refuses writes (out of memory, read only) */
    WEIR_COORD_SCHEMA_NEWER, /* its schema is above WEIR_COORD_SCHEMA */
    WEIR_COORD_ID_TAKEN,     /* BEAT: a living node of another instance has this id */
    WEIR_COORD_STALE,        /* LEAD, PUBLISH: somebody else leads, or a newer map is there */
};
const char *weir_coord_word_text(enum weir_coord_word w);

struct weir_coord_beat_reply {
    uint64_t incarnation;      /* of the store's contents: another one means that all of it was lost. Below 2^53 */
    uint64_t members_version;  /* moves when a member comes, leaves, or says something else but its load */
    uint32_t members, silent;  /* of the records; silent: no beat for lease_ms */
    uint64_t map_epoch;        /* 0: none is published */
    uint64_t circuits_version; /* moves with each change of a circuit */
    const char *map_leader;    /* who published it; "" */
    const char *secret;        /* "" */
};

struct weir_coord_members_reply {
    uint64_t version;
    uint32_t count;
    const struct weir_coord_member *at;
};

struct weir_coord_map_reply {
    uint64_t epoch;      /* 0: there is none */
    const char *leader;  /* "" */
    struct weir_str map; /* empty */
};

struct weir_coord_lead_reply {
    uint64_t token;      /* of the one who leads: moves with each change of the leader */
    const char *leader;  /* its id */
    uint64_t left_ms;    /* of its lease */
    uint64_t map_epoch;  /* the published map's */
    uint64_t epoch_seen; /* the highest that any member has told */
};

struct weir_coord_report_reply {
    uint32_t count; /* as asked, in the same order */
    struct {
        struct weir_breaker_sight sight;
        struct weir_breaker_reply reply;
    } items[WEIR_COORD_BATCH];
};

struct weir_coord_circuit {
    const char *endpoint;
    struct weir_breaker_sight sight;
    uint64_t since_ms;
    uint64_t version;
    const char *by; /* the node whose report led to its phase; "" */
};

struct weir_coord_circuits_reply {
    uint64_t version;
    uint32_t count;
    const struct weir_coord_circuit *at;
};

struct weir_coord_tokens_reply {
    uint32_t count; /* as asked, in the same order */
    struct {
        uint32_t granted;
        uint32_t remaining; /* in the bucket */
        uint64_t wait_us;   /* until the next one is there; 0: it is */
        uint64_t full_us;   /* until the bucket is full */
    } items[WEIR_COORD_BATCH];
};

struct weir_coord_events_reply {
    uint32_t count;
    const struct weir_str *at; /* JSON objects with "id" and "unix_ms" added, oldest first */
};

struct weir_coord_reply {
    enum weir_coord_op op;
    uint64_t id, sent_ms;
    enum weir_coord_word word; /* the rest is set with OK only, but for what STALE tells in lead */
    const char *why;           /* a sentence, where word is not OK */
    uint64_t now_us;           /* the store's clock when it was carried out */
    union {
        struct weir_coord_beat_reply beat;
        struct weir_coord_members_reply members;
        struct weir_coord_map_reply map;
        struct weir_coord_lead_reply lead; /* LEAD, PUBLISH */
        struct weir_coord_report_reply report;
        struct weir_coord_circuits_reply circuits;
        struct weir_coord_tokens_reply tokens;
        struct weir_coord_events_reply events;
    };
};

/* -- pushes -- */

enum weir_coord_push_kind {
    WEIR_COORD_PUSH_MEMBERS, /* ask for them */
    WEIR_COORD_PUSH_MAP,     /* likewise */
    WEIR_COORD_PUSH_CIRCUIT,
    WEIR_COORD_PUSH_CHECKED,
    WEIR_COORD_PUSH_EVENT,
};

struct weir_coord_push {
    enum weir_coord_push_kind kind;
    uint64_t now_us;
    union {
        uint64_t members_version;
        uint64_t map_epoch;
        struct weir_coord_circuit circuit;
        struct weir_coord_checked checked;
        struct weir_str event;
    };
};

/* A node's number in reports of circuits, from its id: from 1, below 2^53. */
uint64_t weir_coord_node_number(const char *id);
/* Whether a text may be a node's id: 1 to WEIR_NODE_ID_MAX of letters, digits and "._:-[]". */
bool weir_coord_id_valid(struct weir_str id);

#endif
