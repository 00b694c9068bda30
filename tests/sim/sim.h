/* A whole cluster in one thread: nodes, coordinators and their store on one simulated clock, driven by one seed.
 *
 * What runs is the real thing: core/cluster_agent, core/coordinator_agent, core/breaker_view, core/cluster_limit and,
 * as the store, core/coord_state. What is simulated is everything between them: the network, the clocks, the processes
 * that crash and hang, the requests of clients. One seed is one history, the same on every machine.
 *
 * Truth (who is dead since when, what was admitted) is the world's own and judged by checks.c while it happens. */
#ifndef WEIR_SIM_H
#define WEIR_SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "core/breaker_view.h"
#include "core/cluster_agent.h"
#include "core/cluster_limit.h"
#include "core/coord_state.h"
#include "core/coordinator_agent.h"
#include "core/rng.h"
#include "core/shard_map.h"

#define SIM_MS           UINT64_C(1000) /* all times of the world are microseconds */
#define SIM_S            UINT64_C(1000000)
#define SIM_NEVER        UINT64_MAX
#define SIM_COORDINATORS 4u
#define SIM_ENDPOINTS    2u
#define SIM_FAILOVER_MS  3000u
#define SIM_LEAD_MS      3000u
#define SIM_SLOT_MS      1000u          /* of the load history */
#define SIM_CALL_US      (250 * SIM_MS) /* the deadline of a call to the store */
#define SIM_PEER_US      (250 * SIM_MS) /* until a peer that does not answer is given up */
#define SIM_TRY_MS       400u           /* the longest that an endpoint takes */
#define SIM_DELAY_MAX_US (20 * SIM_MS)  /* of a message, when nothing is wrong */
#define SIM_PENDING_MAX  64u
#define SIM_LATE_US      (10 * SIM_S) /* before the end, when everything is well again */
#define SIM_ID_MAX       16u
#define SIM_LIMIT_SHARE  500000u /* millionths */
#define SIM_PERMITS      2u
#define SIM_INTERNED_MAX 128u
#define SIM_TRACE_LINE   240u

struct sim_world;

/* -- events -- */

typedef void (*sim_run_cb)(struct sim_world *w, uint32_t who, uint64_t mark, void *data);

struct sim_event {
    uint64_t at_us, order;
    sim_run_cb run;
    uint32_t who;  /* index of a client, or anything */
    uint64_t mark; /* the event's own: most compare it to the client's `process` and do nothing if that ended */
    void *data;    /* one block of the heap or NULL; freed after run */
};

/* -- those who use the store -- */

struct sim_request {
    uint64_t at_us;
    uint32_t shard, entered; /* entered: at which node */
    uint32_t outcomes;
};

/* A node's own things; fresh with each process. */
struct sim_node {
    struct weir_cluster_agent *agent;
    struct weir_breaker_view views[SIM_ENDPOINTS];
    uint64_t asked_share_us[SIM_ENDPOINTS];
    char load[256];                     /* the record of the last slot */
    uint32_t tried_late[SIM_ENDPOINTS]; /* requests that asked for it in the last seconds */
    struct weir_cluster_limit limit;
    uint32_t queued;
    uint64_t epoch; /* acted on */
    char leader[WEIR_NODE_ID_MAX + 1];
    bool joined, contact, drains, drained, left;
    uint32_t owned; /* shards, as it saw it when it ended */
    uint64_t requests_mean_us;
    /* The limit's share while the store is away: since when, and what was admitted from it. */
    bool alone;
    uint64_t alone_from_us, alone_count;
    struct sim_world *world; /* for the ports */
    uint32_t index;
};

struct sim_client {
    char id[SIM_ID_MAX];
    bool is_node, up;
    uint64_t process; /* counts starts and ends: an event of an older one is nobody's */
    uint64_t gone_us; /* when it last ended */
    int64_t ppm;      /* its clock's rate */
    uint64_t offset_us;
    uint64_t paused_from_us, paused_until_us;
    bool link;        /* connected to the store, as it knows */
    bool cut, silent; /* from the store; silent: without noticing */
    struct sim_call {
        enum weir_coord_op op;
        uint64_t id, sent_ms;
    } pending[SIM_PENDING_MAX];
    uint32_t pending_count;
    uint64_t tick_mark, tick_at_us;
    uint64_t disturbed_us; /* when something last kept it from judging: contact, pauses, the store */
    struct sim_node node;
    struct weir_coordinator_agent *coordinator;
};

/* -- the store -- */

struct sim_store {
    struct weir_coord_state *state, *replica; /* replica: NULL, or what a failover falls back to */
    int64_t ppm, jump_us;
    bool down;
    uint64_t frozen_until_us, slow_us;
    bool refuses;
    uint64_t disturbed_us;    /* when it last was not what it should be */
    uint64_t token;           /* the highest that it has taken a write under; 0: none, or that was forgotten */
    uint64_t permits_void_us; /* when permits it granted may last have been forgotten, or ended early */
};

/* -- what is measured -- */

#define SIM_ADMITTED_MAX 65536u
struct sim_admitted {
    uint64_t at_us[SIM_ADMITTED_MAX];
    uint32_t count, first; /* first: the oldest within a minute of the last */
};
/* What may be admitted beyond the steady bound, and since when. */
#define SIM_EXTRAS_MAX 256u
struct sim_extra {
    uint64_t at_us;
    uint64_t tokens;
};

struct sim_map_seen {
    uint64_t epoch, hash;
    const char *leader;
};
#define SIM_MAPS_MAX 4096u
/* More than are ever under way: a request is answered within seconds. */
#define SIM_REQUESTS 16384u

struct sim_counts {
    uint64_t events, requests, served, failed, no_token, no_circuit, died, forwarded, faults;
    uint64_t store_ops[WEIR_COORD_OPS], store_bytes, pushes, push_bytes;
    uint64_t maps, sights, probes, advice;
};

struct sim_options {
    uint64_t seed;
    uint32_t nodes, coordinators, shards; /* 0: by the seed; coordinators UINT32_MAX: by the seed */
    uint64_t seconds;                     /* 0: as usual */
    bool quiet;                           /* no faults, no requests: for measuring traffic */
    const char *plant;                    /* NULL: none */
    FILE *trace;                          /* NULL: none */
    struct sim_counts *before;            /* NULL, or takes the counts as they are at before_us */
    uint64_t before_us;
};

struct sim_world {
    struct sim_options options;
    struct weir_rng rng;
    uint64_t now_us, end_us, faults_end_us;
    struct sim_event *queue; /* a heap */
    uint32_t queue_count, queue_cap;
    uint64_t order_last;

    struct sim_client *clients;
    uint32_t client_count, node_count;
    bool *peers_cut; /* node_count x node_count */
    uint64_t loss_ppm, delay_us;
    struct sim_store store;
    struct {
        bool failing;         /* for all */
        uint32_t failing_for; /* or for one node; UINT32_MAX: none */
        bool cools;           /* answers 429 with Retry-After */
    } endpoints[SIM_ENDPOINTS];
    uint32_t shard_count;
    uint32_t limit, burst; /* a minute */
    bool strict, fail_closed;
    bool failover; /* failover_enabled */

    const char *interned[SIM_INTERNED_MAX];
    uint32_t interned_count;

    struct sim_admitted leased;
    struct sim_extra extras[SIM_EXTRAS_MAX];
    uint32_t extra_count;
    uint32_t probes[SIM_ENDPOINTS]; /* in flight */
    struct sim_cooldown {
        uint64_t at_us, until_us; /* told, and as it was told then */
        uint32_t by;              /* to that node */
        uint64_t process;         /* of which this one */
    } cooldowns[SIM_ENDPOINTS];   /* the one that lasts longest */
    uint64_t led_us;              /* when somebody who can be reached last led */
    struct sim_map_seen maps[SIM_MAPS_MAX];
    uint32_t map_count;
    struct sim_request *requests; /* SIM_REQUESTS of them, a ring; number N at N modulo that */
    uint64_t request_last;
    struct sim_counts counts;

    struct weir_textbuf planted_text; /* of the map that a plant gave last */
    bool broken;
    char invariant[64];
    char why[512];
};

/* -- world.c -- */

void sim_at(struct sim_world *w, uint64_t at_us, sim_run_cb run, uint32_t who, uint64_t mark, void *data);
uint64_t sim_chance(struct sim_world *w, uint64_t below);                 /* 0 to below - 1; below 0: 0 */
uint64_t sim_between(struct sim_world *w, uint64_t from, uint64_t below); /* likewise */
bool sim_one_in(struct sim_world *w, uint64_t n);
void *sim_alloc(size_t size); /* zeroed; ends the program when there is none */
const char *sim_intern(struct sim_world *w, const char *text);
void sim_trace(struct sim_world *w, const char *who, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* The first violation counts; the world stops. */
void sim_break(struct sim_world *w, const char *invariant, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
bool sim_planted(const struct sim_world *w, const char *name);
uint64_t sim_local_us(const struct sim_client *c, uint64_t at_us);
uint64_t sim_world_us(const struct sim_client *c, uint64_t local_us); /* the first moment at which it is that late */
/* Runs a seed. False: an invariant was broken, w->invariant and w->why say which and how. */
bool sim_world_run(struct sim_world *w, const struct sim_options *o);
void sim_world_close(struct sim_world *w);

/* -- client.c: what nodes and coordinators have in common: process, clock, calls -- */

void sim_client_start(struct sim_world *w, uint32_t i);
void sim_client_end(struct sim_world *w, uint32_t i); /* as by kill -9 */
void sim_client_send(struct sim_world *w, uint32_t i, const struct weir_coord_request *r);
/* The way to the store is there again, or its connection breaks: the client notices a little later. */
void sim_client_link(struct sim_world *w, uint32_t i, bool up);
/* True: the process hangs; the event comes again, with a copy of its data, when it goes on. */
bool sim_client_hangs(struct sim_world *w, uint32_t i, sim_run_cb run, uint64_t mark, const void *data, size_t size);
/* After each event: when to tick next. */
void sim_client_retick(struct sim_world *w, uint32_t i);
void sim_client_reply(struct sim_world *w, uint32_t i, const struct weir_coord_reply *r);
void sim_client_push(struct sim_world *w, uint32_t i, const struct weir_coord_push *p);
/* Whether messages between it and the store arrive. */
bool sim_client_reaches(const struct sim_world *w, uint32_t i);

/* -- store.c -- */

uint64_t sim_store_us(const struct sim_world *w);
void sim_store_call(struct sim_world *w, uint32_t from, const struct weir_coord_request *r); /* on its way */
void sim_store_open(struct sim_world *w);
void sim_store_close(struct sim_world *w);
void sim_store_flush(struct sim_world *w); /* loses its contents; the connections stay */
void sim_store_fail(struct sim_world *w, bool keeps_contents);
void sim_store_failover(struct sim_world *w); /* to a replica that lags */

/* -- node.c -- */

void sim_node_start(struct sim_world *w, uint32_t i);
void sim_node_end(struct sim_world *w, uint32_t i);
uint32_t sim_node_of(const char *id); /* "n4": 4 */
void sim_node_drain(struct sim_world *w, uint32_t i);
void sim_node_make_agent(struct sim_world *w, uint32_t i);
const struct weir_breaker_policy *sim_policy(void);

/* -- traffic.c -- */

void sim_traffic_start(struct sim_world *w, uint32_t i);

/* -- coordinator.c -- */

void sim_coordinator_start(struct sim_world *w, uint32_t i);
void sim_coordinator_end(struct sim_world *w, uint32_t i);

/* -- faults.c -- */

void sim_faults_plan(struct sim_world *w);

/* -- checks.c -- */

void sim_check_start(struct sim_world *w);
void sim_check_sight(struct sim_world *w, uint32_t node);
void sim_check_map(struct sim_world *w, uint64_t epoch, const char *leader, struct weir_str text);
/* The store has taken a write under the token of a leader. */
void sim_check_write(struct sim_world *w, uint32_t client, enum weir_coord_op op, uint64_t token);
void sim_check_admitted(struct sim_world *w, uint32_t node, bool leased);
/* A new request of a client, and its end, in one way or another. */
uint64_t sim_check_request(struct sim_world *w, uint32_t entered, uint32_t shard);
void sim_check_outcome(struct sim_world *w, uint64_t request);
/* Something that has just happened to the store lets so many more tokens through. */
void sim_check_extra(struct sim_world *w, uint64_t tokens);
void sim_check_probe(struct sim_world *w, uint32_t node, uint32_t endpoint);
/* The endpoint has told that node to stay away for so long; a node goes there. */
void sim_check_cooldown(struct sim_world *w, uint32_t node, uint32_t endpoint, uint64_t for_us);
void sim_check_tried(struct sim_world *w, uint32_t node, uint32_t endpoint);
void sim_check_end(struct sim_world *w);

/* -- report.c -- */

/* What a growing cluster asks of its store while nothing happens; prints it. Returns the exit code. */
int sim_report(const struct sim_options *o);

/* -- plants.c: bugs on purpose -- */

/* What the store is asked in place of a leader's write; may change *r. */
void sim_plant_write(struct sim_world *w, struct weir_coord_request *r);
struct sim_plant {
    const char *name, *invariant, *what;
};
extern const struct sim_plant sim_plants[];
extern const size_t sim_plant_count;
void sim_plant_start(struct sim_world *w);
/* What a client is given in place of the store's answer; may change *r. */
void sim_plant_reply(struct sim_world *w, uint32_t client, struct weir_coord_reply *r);
/* Whether a node is given the push at all. */
bool sim_plant_push(struct sim_world *w, uint32_t node, const struct weir_coord_push *p);

#endif
