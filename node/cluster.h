/* The node as a member of its cluster (distributed_pool): what drives core/cluster_agent, over a store, on control's
 * reactor. All that is decided is the agent's; here it is fed with time, answers and what the node sees, and what it
 * wants done is done: requests to the store, pictures for the workers, circuits, limits, checks, log lines.
 *
 *     store --answers, pushes, contact--> [agent] --> circuits and limits (cluster_share.c)
 *     tick, bells, peers' news ---------->   |   `--> events for control: a new picture, drained, left
 *                                            `------> requests to the store
 *
 * No request waits for any of this, and the node serves whether the store is there or not: alone from the start, with
 * the others once the store answers. On control's thread. */
#ifndef WEIR_NODE_CLUSTER_H
#define WEIR_NODE_CLUSTER_H

#include "core/cluster_snapshot.h"
#include "core/snapshot.h"
#include "node/cluster_view.h"
#include "node/node.h"

struct weir_cluster;

/* Called from the loop, never from inside a call to the cluster. May call the cluster, but not close it. */
struct weir_cluster_events {
    /* weir_cluster_picture would give something else than what is in force. */
    void (*changed)(void *owner);
    /* After weir_cluster_drain: the others have this node's shards. */
    void (*drained)(void *owner);
    /* After weir_cluster_leave: the store has been told, or cannot be. */
    void (*left)(void *owner);
    /* After weir_cluster_look: the store has answered, or does not. Comes at other times, too. */
    void (*looked)(void *owner);
    /* An event of a member, a JSON object; its own come back to it too. May come a second time. pushed: it happens now,
     * and is not one that the store has kept. */
    void (*heard)(void *owner, struct weir_str event, bool pushed);
    /* Asked, and from inside a call to the cluster, too: an alert with the action scale_up fires for the provider, or
     * over all. */
    bool (*hurts)(void *owner, const char *provider);
};

struct weir_cluster_opts {
    struct weir_reactor *reactor;
    struct weir_node *node;
    struct weir_log_producer *log;
    struct weir_shared_config *shared; /* gains a reference */
    const struct weir_cluster_events *events;
    void *owner;
};

/* Begins, alone; the node's listeners are open. Errors: WEIR_ENOMEM, WEIR_EINVAL (an id or a URL that is none),
 * WEIR_EIO (no chance from the system). */
WEIR_MUST_USE int weir_cluster_open(struct weir_cluster **out, const struct weir_cluster_opts *opts,
                                    struct weir_err *err);
/* Ends without a word to the others. Nulls; legal on NULL. */
void weir_cluster_close(struct weir_cluster **c);

/* The picture for a view that is to be published, of this configuration; before: that of the view in force, NULL: none.
 * One reference, the caller's. NULL: out of memory, or an address of a peer that is none; told in the log. */
struct weir_cluster_view *weir_cluster_picture(struct weir_cluster *c, struct weir_shared_config *shared,
                                               struct weir_cluster_view *before);
/* The view has taken effect: its circuits, limits and options are the cluster's from now on. Borrowed until the next
 * call. */
void weir_cluster_follow(struct weir_cluster *c, struct weir_view *view);

/* Tells the others that this node ends. `drained` follows. */
void weir_cluster_drain(struct weir_cluster *c);
/* After drain: takes part again. */
void weir_cluster_stay(struct weir_cluster *c);
/* Tells all members something: a JSON object below WEIR_COORD_EVENT_MAX. False: the store is away. */
bool weir_cluster_tell(struct weir_cluster *c, struct weir_str event);
/* There is a member of that id, and it lives. */
bool weir_cluster_has(const struct weir_cluster *c, const char *id);
/* Hands back what is leased, and leaves. `left` follows. */
void weir_cluster_leave(struct weir_cluster *c);

/* Whether it is this node that checks the endpoint: one of those that live does, by rendezvous of its id; without the
 * store each does. */
bool weir_cluster_checks(const struct weir_cluster *c, const char *endpoint);
/* It has, with this result (why: NULL: passed). */
void weir_cluster_checked(struct weir_cluster *c, const char *endpoint, const char *why);

/* The keys of distributed_pool that a reload has changed and that only a restart brings into force. */
void weir_cluster_warn_of_what_stays(struct weir_log_producer *log, const struct weir_config *was,
                                     const struct weir_config *is);

/* Somebody looks at what the members do. True: the store is asked for it, and `looked` follows; false: what is known is
 * hardly a second old, or there is nobody to ask. */
bool weir_cluster_look(struct weir_cluster *c);
/* The same of the analytics. */
bool weir_cluster_look_advice(struct weir_cluster *c);
/* For pages and metrics: fills the snapshot's gauges and *out, in the arena. Errors: WEIR_ENOMEM. */
int weir_cluster_show(struct weir_cluster *c, struct weir_snapshot *s, struct weir_arena *a);

/* Of a node without a configured one: its host's name and the port of its first address. */
void weir_cluster_default_id(char out[WEIR_NODE_ID_MAX + 1], const char *host, const char *address);

#endif
