/* What the parts of node/cluster.h share: cluster.c (life, the agent, the store), cluster_self.c (who this node is and
 * how much it does), cluster_share.c (circuits, limits, checks), cluster_load.c (the load history),
 * cluster_advice.c (the coordinator's hints), cluster_probe.c (whether peers are there), cluster_tell.c (log lines),
 * cluster_show.c (pages). Internal to them. */
#ifndef WEIR_NODE_CLUSTER_INNER_H
#define WEIR_NODE_CLUSTER_INNER_H

#include "core/advice.h"
#include "core/textbuf.h"
#include "net/bell.h"
#include "net/log.h"
#include "node/cluster.h"
#include "node/probe.h"
#include "store/store.h"

/* How often control looks at what nobody rings for: failures to be reported, leases that have expired, what workers
 * have found out about peers. */
#define WEIR_CLUSTER_LOOK_MS 100u
/* ... and at the node's load, for the next beat. */
#define WEIR_CLUSTER_LOAD_MS 1000u

/* Answers of the store, by how they ended. */
enum weir_cluster_outcome {
    WEIR_CLUSTER_ANSWER_OK,
    WEIR_CLUSTER_ANSWER_AWAY,
    WEIR_CLUSTER_ANSWER_REFUSED,
    WEIR_CLUSTER_ANSWER_OTHER,
    WEIR_CLUSTER_OUTCOMES,
};

struct weir_cluster_meter;

/* What the coordinator advises. */
struct weir_cluster_advised {
    uint64_t version, unix_ms; /* of what came last; 0: nothing has */
    bool there;                /* it could be read */
    char refused[160];         /* why not, told in the log; "": it could */
    bool valid;                /* and is followed */
    struct weir_advice advice, next;
    enum weir_advice_action told;
    struct weir_textbuf hints, analytics; /* as they came */
    uint64_t open_due_ms;                 /* when connections may be opened again */
    unsigned turn;                        /* of the workers that open them */
};

struct weir_cluster_load {
    uint64_t at_ms, requests, errors; /* at the last look */
};

struct weir_cluster {
    struct weir_reactor *reactor;
    struct weir_node *node;
    struct weir_log_producer *log;
    const struct weir_cluster_events *events;
    void *owner;
    struct weir_shared_config *began_with; /* the store goes by it; one reference */
    struct weir_view *view;                /* in force; NULL before the first */
    struct weir_cluster_agent *agent;
    struct weir_store *store;
    struct weir_dns *dns;
    struct weir_bell owes, thirsty;
    struct weir_deadline tick, look, later;
    struct weir_probes probes; /* of peers */
    struct weir_rng rng;
    struct weir_cluster_load load;
    struct weir_cluster_meter *meter;     /* owned */
    struct weir_cluster_advised *advised; /* likewise */
    /* Who this node is. */
    char id[WEIR_NODE_ID_MAX + 1], advertise[WEIR_ADVERTISE_MAX + 1], secret[WEIR_PEER_SECRET_MAX + 1];
    uint64_t number, instance;
    /* How it stands. */
    bool contact, member, leaving;
    bool told_few;     /* that there are too few shards */
    bool told_away;    /* at the start, before there was any contact to lose */
    char refused[160]; /* why it is no member; "": it is not refused */
    char away[160];    /* why there is no contact, as told last; "": there is, or it has not been tried */
    uint64_t contact_since_unix_ms;
    uint64_t load_due_ms;
    /* What happened inside the agent, for `later`. */
    bool sight_changed, has_looked, has_drained, has_left, has_advice;
    /* Calls of the store. */
    uint64_t sent_us[WEIR_STORE_CALLS_MAX]; /* by id, modulo */
    uint64_t answers[WEIR_CLUSTER_OUTCOMES], answer_us, answer_us_max;
};

/* After every call of the agent: sets the clock to its next deadline. */
void weir_cluster_settle(struct weir_cluster *c);

/* -- cluster_self.c -- */

/* Fills in who it is. Errors: WEIR_EIO. */
WEIR_MUST_USE int weir_cluster_name_self(struct weir_cluster *c, struct weir_err *err);
struct weir_cluster_agent_config weir_cluster_agent_config_of(const struct weir_cluster *c,
                                                              const struct weir_config *config);
/* What the node does, since the last look. */
void weir_cluster_measure(struct weir_cluster *c, struct weir_coord_load *out, uint64_t now_ms);

/* Connections in use, of the provider's limit in force. */
uint64_t weir_cluster_utilization_pct(const struct weir_provider *p);

/* -- cluster_load.c -- */

/* NULL: out of memory. */
struct weir_cluster_meter *weir_cluster_meter_new(void);
void weir_cluster_meter_free(struct weir_cluster_meter **m);
/* Each WEIR_CLUSTER_LOOK_MS, with a view: what is in flight now. */
void weir_cluster_meter_look(struct weir_cluster *c);
/* The agent's port. */
struct weir_str weir_cluster_take_load(void *cluster, uint64_t now_ms, uint64_t slot);

/* -- cluster_advice.c -- */

/* Errors: WEIR_ENOMEM. */
WEIR_MUST_USE int weir_cluster_advised_new(struct weir_cluster_advised **out);
void weir_cluster_advised_free(struct weir_cluster_advised **a);
/* The agent's action; followed once the agent is done. */
void weir_cluster_take_advice(struct weir_cluster *c, const struct weir_coord_advice_reply *r);
/* From time to time, at least once a second: what is valid is followed, what is not any more is let go. */
void weir_cluster_follow_advice(struct weir_cluster *c);
void weir_cluster_show_advice(struct weir_cluster *c, struct weir_cluster_snapshot *out, uint64_t *gauges);

/* -- cluster_share.c -- */

/* The agent's ports. */
uint32_t weir_cluster_take_reports(void *cluster, uint64_t now_ms, enum weir_cluster_haste least,
                                   struct weir_coord_report_item *items, uint32_t max);
uint32_t weir_cluster_take_tokens(void *cluster, uint64_t now_ms, struct weir_coord_tokens_item *items, uint32_t max);
/* All circuits and limits of the view are the cluster's. */
void weir_cluster_share(struct weir_cluster *c);
/* The agent's actions of these kinds. */
void weir_cluster_learn(struct weir_cluster *c, const struct weir_cluster_action *a);
void weir_cluster_granted(struct weir_cluster *c, const struct weir_cluster_action *a);
void weir_cluster_tokens(struct weir_cluster *c, const struct weir_cluster_action *a);
void weir_cluster_heard_check(struct weir_cluster *c, const struct weir_coord_checked *checked);
void weir_cluster_alone(struct weir_cluster *c);
/* The store is there (again): limits are leased. */
void weir_cluster_together(struct weir_cluster *c);
/* The highest haste of all circuits; false: none owes anything. */
bool weir_cluster_owes(const struct weir_cluster *c, enum weir_cluster_haste *haste);
/* Some limit has something to say to the store. */
bool weir_cluster_is_thirsty(const struct weir_cluster *c);

/* -- cluster_probe.c -- */

void weir_cluster_probes_init(struct weir_cluster *c);
/* Each WEIR_CLUSTER_LOOK_MS: begins the probes that are due. */
void weir_cluster_probe_peers(struct weir_cluster *c, uint64_t now_ms);

/* -- cluster_tell.c -- */

void weir_cluster_tell_note(struct weir_cluster *c, const struct weir_cluster_action *a);
/* The sight has changed: warns, once until it is otherwise, of too few shards for the nodes that live. */
void weir_cluster_tell_few_shards(struct weir_cluster *c);
/* The store cannot be reached, and has not been yet: told once. */
void weir_cluster_tell_away(struct weir_cluster *c, const char *why);

#endif
