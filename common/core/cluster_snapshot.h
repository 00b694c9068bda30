/* What a node knows of its cluster at one moment, for everything that shows it (/api/cluster, metrics, weirctl): plain
 * data, part of weir_snapshot. Control fills it; texts and the sight are borrowed and live as long as the snapshot's
 * arena, and no event reaches the agent meanwhile. */
#ifndef WEIR_CORE_CLUSTER_SNAPSHOT_H
#define WEIR_CORE_CLUSTER_SNAPSHOT_H

#include "core/cluster_agent.h"
#include "core/cluster_limit.h"

/* An endpoint's circuit, as it is in force on this node. */
struct weir_cluster_circuit_snapshot {
    const char *provider, *endpoint;
    bool shared; /* with the store's; else this node goes by its own outcomes */
    enum weir_breaker_phase phase;
    enum weir_breaker_reason reason; /* why it is in it, as this node knows; CLOSED: nothing */
    uint64_t gen;
    uint64_t since_ms;         /* in this phase for so long */
    uint64_t open_left_ms;     /* OPEN: until a probe is let through */
    uint64_t cooldown_left_ms; /* the endpoint asked to be left alone for so long */
    uint32_t failures;         /* in a row, of this node */
};

/* A provider's rate limit. */
struct weir_cluster_limit_snapshot {
    const char *provider;
    enum weir_cluster_limit_mode mode;
    bool strict, fail_closed;
    uint32_t limit, burst; /* a minute, of the whole cluster */
    uint32_t share;        /* a minute, that this node keeps while the store is away */
    uint32_t leased;       /* tokens here, unspent */
    bool told;             /* the store has said what is left */
    uint32_t remaining;    /* ... in its bucket, when it said so last */
    uint32_t waiting;      /* requests in this node's line */
};

/* What the coordinator advises. */
struct weir_cluster_advice_snapshot {
    const char *why;           /* there are no valid hints; NULL: there are */
    struct weir_str hints;     /* valid ones: a JSON object */
    uint64_t age_ms;           /* of these */
    struct weir_str analytics; /* a JSON object as the store had it; empty: none */
};

struct weir_cluster_snapshot {
    const char *cluster, *id, *advertise;
    const char *store;    /* its URL without user and password */
    const char *affinity; /* "sticky", "round_robin", "least_loaded" */
    bool pool_sharding;
    bool failover;        /* failover_enabled */
    bool load_moves;      /* shards move for what their owners carry, too: requests go by shard */
    uint32_t shard_count; /* as this node's configuration has it */
    enum weir_coord_node_state state;
    bool member;                    /* the store has taken it in; it may be away since */
    const char *refused;            /* why it is no member though the store answers; NULL: it does not refuse */
    bool contact;                   /* with the store */
    const char *away;               /* why there is none; NULL: there is, or it has not been tried yet */
    uint64_t contact_since_unix_ms; /* that has been so since */
    uint64_t now_ms;                /* on the clock of the sight's times */
    const struct weir_cluster_sight *sight;
    struct weir_cluster_lead lead;
    const struct weir_shard_map *map; /* the newest that was published; NULL: none is known */
    struct weir_cluster_agent_counts counts;
    const struct weir_cluster_circuit_snapshot *circuits; /* one for each endpoint that has a circuit */
    size_t circuit_count;
    const struct weir_cluster_limit_snapshot *limits; /* one for each provider that has a rate limit */
    size_t limit_count;
    struct weir_cluster_advice_snapshot advice;
};

#endif
