/* A line, first come first served over all workers, before something that is counted: the tokens of a rate limit, the
 * places at a provider's endpoints.
 *
 * All who wait stand in one list; a waiter's rank is its place in it, from 1. It may go when at least as many are there
 * as its rank says: those before it, maybe on workers that are busy at this moment, find theirs left for them. So
 * nobody is overtaken, no worker waits for another one, and how long a newcomer will wait is known when it comes.
 *
 * Only the oldest waiter of a worker has a clock. Whatever lets others go earlier than their clock says (somebody
 * leaves, something is given back, a limit is raised) calls their workers by a message.
 *
 * This is the one lock on a request's way, and only where there is something to be counted: it is held for a few
 * comparisons, and nothing is waited for, allocated or logged under it. The order over the workers and a state that
 * does not fit into one atomic word are what it is for. */
#ifndef WEIR_NODE_WAITLINE_H
#define WEIR_NODE_WAITLINE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/list.h"
#include "net/mailbox.h"

struct weir_pool;
struct weir_provider;
struct weir_waitline;

/* What is waited for. Called under the line's lock. */
struct weir_waitline_source {
    /* How many can be had now. */
    uint32_t (*there)(struct weir_waitline *l, uint64_t now_us);
    /* Takes one that is there. */
    void (*take)(struct weir_waitline *l, uint64_t now_us);
    /* How long from now until the nth is there, if those before it are taken as they come; more than 0, as it is not
     * there. Of a source that cannot know: when to look again. */
    uint64_t (*wait_us)(struct weir_waitline *l, uint64_t now_us, uint32_t nth);
};

/* The caller owns it, and may not move or free it while it waits. */
struct weir_waitline_waiter {
    struct weir_list link;
    unsigned worker;
    bool waiting;
    uint64_t since_us;      /* when it came first */
    uint64_t not_before_us; /* 0: as soon as its turn comes */
    /* Its turn has come: it has left the line, one has been taken for it. On its own worker, never inside enter. */
    void (*granted)(struct weir_waitline_waiter *w);
    /* weir_waitline_settle is to be called at that time. Later calls replace earlier ones. */
    void (*look_at)(struct weir_waitline_waiter *w, uint64_t us);
};

/* Where a worker is called. */
struct weir_waitline_desk {
    struct weir_message message; /* first */
    struct weir_waitline *line;
    struct weir_pool *pool;
    _Atomic bool called;
    uint32_t waiting; /* of its waiters; under the lock */
};

struct weir_waitline {
    pthread_mutex_t lock;
    const struct weir_waitline_source *source;
    struct weir_provider *owner; /* outlives the line; held while a call is on its way */
    struct weir_list waiters;    /* oldest first */
    _Atomic uint32_t count;      /* written under the lock */
    unsigned worker_count;
    struct weir_waitline_desk *desks; /* by worker */
};

/* Errors: WEIR_ENOMEM. */
int weir_waitline_init(struct weir_waitline *l, struct weir_provider *owner, unsigned worker_count,
                       const struct weir_waitline_source *source);
/* Nobody waits. Legal on one that is all zero, or whose init failed. */
void weir_waitline_end(struct weir_waitline *l);

enum weir_waitline_answer {
    WEIR_WAITLINE_PASS, /* one has been taken */
    WEIR_WAITLINE_WAIT, /* granted will be called, unless it leaves */
    WEIR_WAITLINE_LATE, /* its turn would come too late; not in the line */
    WEIR_WAITLINE_FULL, /* as many wait as may; not in the line */
};

/* p: of the worker that asks. *wait_us: how long it has to wait, or would have had to. */
enum weir_waitline_answer weir_waitline_enter(struct weir_waitline *l, struct weir_pool *p,
                                              struct weir_waitline_waiter *w, uint32_t count_max, uint64_t wait_us_max,
                                              uint64_t *wait_us);
/* Its turn had come, but it could make no use of it: it goes back to its place, to be let go at not_before_us (on the
 * connector's clock) or later. Others go before it then. */
void weir_waitline_return(struct weir_waitline *l, struct weir_pool *p, struct weir_waitline_waiter *w,
                          uint64_t not_before_us);
/* Legal when it does not wait. */
void weir_waitline_leave(struct weir_waitline *l, struct weir_pool *p, struct weir_waitline_waiter *w);
/* Lets all of this worker's waiters go whose turn has come, and sets the clock of the next. */
void weir_waitline_settle(struct weir_waitline *l, struct weir_pool *p);
/* There is more than the waiters' clocks know of: has all workers settle that have waiters. From any worker. */
void weir_waitline_call(struct weir_waitline *l, struct weir_pool *p);

static inline uint32_t weir_waitline_count(const struct weir_waitline *l)
{
    return atomic_load(&l->count);
}

#endif
