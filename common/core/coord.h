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
/* The load of one slot of time, a node's or the cluster's: of the most providers there may be. */
#define WEIR_COORD_RECORD_MAX 16384u
/* Nodes' records that the store keeps: sixteen slots of the largest cluster. None is kept for longer than an hour: the
 * leader reads them once a slot, and another one finds what it missed. */
#define WEIR_COORD_LOADS_MAX     16384u
#define WEIR_COORD_LOADS_KEPT_MS 3600000u
/* The cluster's load history, in three steps of time; points kept of each: an hour, a day and two weeks where a slot
 * takes 10 s, and a step 1, 6 and 60 slots. */
#define WEIR_COORD_STEPS        3u
#define WEIR_COORD_SERIES_0_MAX 360u
#define WEIR_COORD_SERIES_1_MAX 1440u
#define WEIR_COORD_SERIES_2_MAX 2016u
/* 60 slots of a minute. */
#define WEIR_COORD_STEP_MS_MAX 3600000u
/* Entries in one answer, and their texts together (or one): an answer stays well below what is read of a server. */
#define WEIR_COORD_ENTRIES_MAX       256u
#define WEIR_COORD_ENTRIES_BYTES_MAX 1048576u
/* Of the most providers there may be. */
#define WEIR_COORD_HINTS_MAX     65536u
#define WEIR_COORD_ANALYTICS_MAX 262144u

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
    X(MAP, "map")           /* the published shard map, and who leads */                       \
    X(LEAD, "lead")         /* a coordinator takes or renews the lead */                       \
    X(RESIGN, "resign")     /* ... or gives it up */                                           \
    X(PUBLISH, "publish")   /* a new shard map, under the fencing token */                     \
    X(REPORT, "report")     /* what circuits have seen */                                      \
    X(CIRCUITS, "circuits") /* the circuits that have changed since a version */               \
    X(TOKENS, "tokens")     /* tokens of rate limits: asked for, handed back, spent unasked */ \
    X(CHECKED, "checked")   /* the result of an endpoint's active check, for all */            \
    X(EVENT, "event")       /* something to be remembered and told */                          \
    X(EVENTS, "events")     /* the last of them */                                             \
    X(APPEND, "append")     /* what a node has measured in one slot of time */                 \
    X(LOADS, "loads")       /* ... of all nodes, for the leader */                             \
    X(FOLD, "fold")         /* the leader adds a point to the cluster's load history */        \
    X(SERIES, "series")     /* points of it */                                                 \
    X(ADVISE, "advise")     /* the leader's hints to the nodes */                              \
    X(ADVICE, "advice")     /* the newest of them */

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
    const char *by;          /* the reporter's id: shown as who led a circuit to its phase */
    uint64_t grant_until_ms; /* the store's clock: the answer comes too late after that, and nobody would use a permit
                                until it expires, so none is granted; 0: whenever */
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

/* Entries after that one, oldest first. One that is above the newest is of contents that were lost since: then all. */
struct weir_coord_loads {
    uint64_t after; /* an entry's id; 0: from the oldest that is kept */
    uint32_t count; /* at most WEIR_COORD_ENTRIES_MAX */
};

/* Point `number` is of the time from number * step_ms on, for step_ms, on the store's clock. Refused while that is not
 * over. A series has one step_ms: with another one it begins anew, and also where its newest point has not begun yet
 * (the clock has been set back). */
struct weir_coord_fold {
    const char *id;
    uint64_t token;
    uint32_t step; /* which series: below WEIR_COORD_STEPS */
    uint32_t step_ms;
    uint64_t number;      /* at least 1, and above that of the newest point, else STALE */
    struct weir_str text; /* weir_coord_is_record */
};

struct weir_coord_series {
    uint32_t step;
    uint64_t after; /* a point's number; as in LOADS */
    uint32_t count; /* likewise */
};

struct weir_coord_advise {
    const char *id;
    uint64_t token;
    struct weir_str hints;     /* a JSON object in one line */
    struct weir_str analytics; /* likewise; empty: those before stay */
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
        struct weir_str event;  /* a JSON object */
        uint32_t events_count;  /* at most WEIR_COORD_EVENTS_KEPT */
        struct weir_str append; /* weir_coord_is_record */
        struct weir_coord_loads loads;
        struct weir_coord_fold fold;
        struct weir_coord_series series;
        struct weir_coord_advise advise;
        bool advice_whole; /* with the analytics */
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
    WEIR_COORD_STALE,        /* LEAD, PUBLISH, FOLD, ADVISE: somebody else leads, or something newer is there */
};
const char *weir_coord_word_text(enum weir_coord_word w);

/* Who leads the coordinators, for those who look. */
struct weir_coord_led {
    uint64_t token;     /* moves with each change of the leader; 0: nobody has led yet */
    const char *leader; /* its id; "": nobody leads now */
    uint64_t left_ms;   /* of its lease */
};

struct weir_coord_beat_reply {
    uint64_t incarnation;      /* of the store's contents: another one means that all of it was lost. Below 2^53 */
    uint64_t members_version;  /* moves when a member comes, leaves, or says something else but its load */
    uint32_t members, silent;  /* of the records; silent: no beat for lease_ms */
    uint64_t map_epoch;        /* 0: none is published */
    uint64_t circuits_version; /* moves with each change of a circuit */
    const char *map_leader;    /* who published it; "" */
    uint64_t advice_version;   /* moves with each ADVISE; 0: there is none */
    const char *secret;        /* "" */
    struct weir_coord_led led;
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
    struct weir_coord_led led;
};

struct weir_coord_lead_reply {
    struct weir_coord_led led;
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

struct weir_coord_entry {
    uint64_t id; /* of a point: its number */
    struct weir_str text;
};

/* There are more as long as upto is below newest: ask after upto. */
struct weir_coord_entries_reply {
    uint64_t newest;  /* id; 0: there are none */
    uint64_t upto;    /* what this answer goes to, entries that could not be read and were left out among it */
    uint32_t step_ms; /* SERIES: of each point; 0: there are none */
    uint32_t count;
    const struct weir_coord_entry *at; /* oldest first */
};

struct weir_coord_advice_reply {
    uint64_t version;          /* 0: there is none */
    const char *leader;        /* whose; "" */
    uint64_t unix_ms;          /* when */
    struct weir_str hints;     /* JSON; empty: none */
    struct weir_str analytics; /* likewise, or not asked for */
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
        struct weir_coord_entries_reply entries; /* LOADS, SERIES */
        uint64_t fold_newest;    /* FOLD, with STALE, too: the newest point's number; 0: there is none */
        uint64_t advise_version; /* ADVISE */
        struct weir_coord_advice_reply advice;
    };
};

/* -- pushes -- */

enum weir_coord_push_kind {
    WEIR_COORD_PUSH_MEMBERS, /* ask for them */
    WEIR_COORD_PUSH_MAP,     /* likewise */
    WEIR_COORD_PUSH_CIRCUIT,
    WEIR_COORD_PUSH_CHECKED,
    WEIR_COORD_PUSH_EVENT,
    WEIR_COORD_PUSH_HINTS, /* ask for ADVICE, not all at once */
    WEIR_COORD_PUSH_GAP,   /* the store's client says it: pushes come from now on, and earlier ones may be lost. Ask for
                              the events; all else shows in the versions that beats bring */
    WEIR_COORD_PUSH_KINDS
};

/* Events by which operators' wishes travel, and what comes of one. */
#define WEIR_COORD_REBALANCE_ASKED "rebalance_asked"
#define WEIR_COORD_REBALANCED      "rebalanced"

struct weir_coord_push {
    enum weir_coord_push_kind kind;
    uint64_t now_us;
    union {
        uint64_t members_version;
        uint64_t map_epoch;
        struct weir_coord_circuit circuit;
        struct weir_coord_checked checked;
        struct weir_str event;
        uint64_t advice_version;
    };
};

/* What no store carries out, whatever it contains: NULL, or a sentence. */
const char *weir_coord_check(const struct weir_coord_request *request);
/* One line that is at least framed like a JSON object: readers put it into streams of lines. */
bool weir_coord_is_object(struct weir_str text);
/* Of APPEND and FOLD: 1 to WEIR_COORD_RECORD_MAX printable bytes and line breaks. */
bool weir_coord_is_record(struct weir_str text);
/* How many points of that step the store keeps. */
uint32_t weir_coord_series_max(uint32_t step);
/* A node's number in reports of circuits, from its id: from 1, below 2^53. */
uint64_t weir_coord_node_number(const char *id);
/* Whether a text may be a node's id: 1 to WEIR_NODE_ID_MAX of letters, digits and "._:-[]". */
bool weir_coord_id_valid(struct weir_str id);

#endif
