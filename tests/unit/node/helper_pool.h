/* Something to be pooled that is no HTTP at all: "things" that open when the test says so, on a few workers in one
 * thread, with the order of messages in the test's hand. */
#ifndef WEIR_TESTS_NODE_HELPER_POOL_H
#define WEIR_TESTS_NODE_HELPER_POOL_H

#include "net/reactor.h"
#include "node/pool.h"

#define PLACES_MAX  3u
#define ENDS        2u
#define OPENING_MAX 64u

struct thing {
    struct weir_pool_conn pooled;
    bool disturbed;
    enum weir_endpoint_counter spent; /* what the connector says of it */
    uint32_t park_ms_max;             /* what it was told when it was parked last */
    unsigned carried, carried_max;    /* requests on a shared one: counted as it is leased, given back by the test */
    bool lively;
};

/* A worker. */
struct place {
    struct weir_reactor reactor; /* for its mailbox; its loop runs in the threaded test only */
    struct weir_pool pool;
    struct thing *opening[OPENING_MAX];
    unsigned opening_count;
    uint64_t now_us;
    bool refuse_open, refuse_attach;
    struct weir_message *inbox; /* taken out of the mailbox and not yet handled, oldest first */
};

/* A request. */
struct wish {
    struct weir_pool_waiter waiter;
    struct weir_pool_conn *got;
    int failed;
};

extern struct place places[PLACES_MAX];
extern struct weir_pool *pools[PLACES_MAX];
extern struct weir_provider *provider;
extern struct weir_endpoint *ends[ENDS];
extern _Atomic int alive, alive_max;
/* What a shared thing carries at once; things to an endpoint whose id begins with "h2" are shared. */
#define CARRIED_MOST 3u
/* In the place of ends[i] another endpoint. */
void replace_end(unsigned i, const char *id);

/* A provider that allows 2 connections, 10 of them idle, and 10 requests in the queue. */
void world_open(unsigned workers);
/* Everything must have been given back: checks that nothing is left and that the ledger says so. */
void world_close(void);
/* Handles every message, until there is none. */
void deliver(void);
/* Handles the oldest message of one worker; false when there is none. */
bool deliver_one(unsigned worker);

void wish_init(struct wish *w, unsigned endpoint, bool fresh);
enum weir_pool_result ask(unsigned worker, struct wish *w, unsigned endpoint, bool fresh);
/* The worker's longest dial succeeds; or fails. */
void opens(unsigned worker);
void fails(unsigned worker);
struct weir_pool_conn *lease_new(unsigned worker, unsigned endpoint);

static inline struct thing *thing_of(struct weir_pool_conn *c)
{
    return WEIR_CONTAINER(c, struct thing, pooled);
}

#endif
