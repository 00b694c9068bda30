/* The control thread's state, and what its parts share: control.c (running and ending), control_start.c (descriptors,
 * listeners, workers), control_reload.c (configuration, names, views). Internal to control. */
#ifndef WEIR_NODE_CONTROL_INNER_H
#define WEIR_NODE_CONTROL_INNER_H

#include "net/signals.h"
#include "node/alerts.h"
#include "node/cluster.h"
#include "node/control.h"
#include "node/event_feed.h"
#include "node/overview.h"
#include "node/resolve.h"
#include "node/tracing.h"
#include "node/upkeep.h"

struct weir_control {
    struct weir_node node;
    struct weir_reactor reactor;
    struct weir_log_producer *log;
    const char *config_path;
    struct weir_view *view; /* the one in force */
    struct weir_resolve resolve;
    struct weir_upkeep upkeep;
    struct weir_deadline refresh, monitor, drain_begin;
    struct weir_alerting alerting;
    struct weir_tracing tracing;
    struct weir_event_feed events;
    struct weir_overview overview;
    struct weir_cluster *cluster; /* NULL: the node is by itself */
    struct weir_list lookers;     /* weir_admin_call.waiting: for what the members do */
    struct weir_deadline look_end;
    uint64_t drain_from_ms; /* not before: server.drain_delay */
    struct weir_deadline leave_end;
    struct weir_signals signals;
    unsigned drained;       /* workers that have told at least once that nothing is left */
    unsigned threads;       /* workers that run */
    struct weir_view *next; /* of a reload: published once its names are resolved */
    bool emptied;           /* the others have its shards: after a drain */
    bool stopping;
    bool forced;
};

/* -- control_start.c -- */

/* Raises the descriptor limit as far as it goes, and warns when the configured connections do not fit. */
void weir_control_raise_descriptors(struct weir_control *c, const struct weir_config *config);
/* Makes the workers. On failure those that were made are counted in node.worker_count. */
int weir_control_make_workers(struct weir_control *c, const struct weir_config *config, struct weir_err *err);
/* Opens every listening address, for each worker. Errors: WEIR_EBUSY and others of weir_listen_open, naming the
 * address. */
int weir_control_listen(struct weir_control *c, const struct weir_config *config, struct weir_err *err);

/* -- control_reload.c -- */

/* A view takes effect: workers are told, what it lacks is retired. Takes the reference. */
void weir_control_publish(struct weir_control *c, struct weir_view *v);
/* The view in force once more, with what has changed besides the configuration: addresses, the cluster. */
void weir_control_republish(struct weir_control *c);
/* Asks for the names of the configuration that is to come, or of the one in force. */
void weir_control_resolve(struct weir_control *c);
extern const struct weir_resolve_events weir_control_names;
/* Reads the file again; a good one takes effect once its names are resolved, a bad one changes nothing, and false is
 * returned. why (len bytes, or NULL): what is wrong, in a sentence. */
bool weir_control_reload(struct weir_control *c, char *why, size_t len);
void weir_control_log_problems(struct weir_control *c, const struct weir_config_problems *problems);

#endif
