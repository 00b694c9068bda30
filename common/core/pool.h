/* What a connection pool decides, without sockets, clock or threads: which step a request takes next, which idle
 * connection goes out, who is served first.
 *
 * A pool is per provider. Its limit holds over all workers; each worker keeps a shelf: its own idle connections and its
 * own queue of waiters. The counts of other shelves are seen through the caller (node/pool holds them in atomics), and
 * are hints: each step is confirmed by whoever owns the thing asked for. */
#ifndef WEIR_CORE_POOL_H
#define WEIR_CORE_POOL_H

#include <stdbool.h>
#include <stdint.h>

#include "core/list.h"

/* Endpoints of one provider, so that a waiter's acceptable set is one word. */
#define WEIR_POOL_ENDPOINTS_MAX 64u

/* What a request sees when it asks for a connection to one endpoint. */
struct weir_pool_sight {
    bool fresh;         /* a connection that has carried nothing is needed (its body cannot be replayed) */
    bool idle_here;     /* this shelf has an idle connection to the endpoint */
    int idle_elsewhere; /* a worker not yet asked whose shelf shows one, or -1 */
    uint32_t total;     /* connections open or being opened, all workers */
    uint32_t total_max;
    bool spare_here;     /* this shelf has any idle connection that could make room */
    int spare_elsewhere; /* a worker not yet asked whose shelf shows one, or -1 */
    uint32_t queued;     /* requests waiting that no open dial covers, all workers */
    uint32_t queued_max;
};

enum weir_pool_step {
    WEIR_POOL_LEASE,      /* take the most recently used idle connection of this shelf */
    WEIR_POOL_FETCH,      /* wait for idle_elsewhere to hand one over */
    WEIR_POOL_OPEN,       /* reserve a slot and dial */
    WEIR_POOL_EVICT,      /* close this shelf's least recently used idle connection, then dial in its slot */
    WEIR_POOL_EVICT_AWAY, /* wait for spare_elsewhere to do that and pass on the slot */
    WEIR_POOL_QUEUE,      /* wait for a release */
    WEIR_POOL_REFUSE,     /* the queue is full */
};

enum weir_pool_step weir_pool_decide(const struct weir_pool_sight *s);

/* -- a shelf's idle connections: a stack per endpoint, and all of them by age -- */

struct weir_pool_item {
    struct weir_list in_stack; /* most recently parked first */
    struct weir_list in_age;   /* least recently parked first */
};

struct weir_pool_stack {
    struct weir_list items;
    uint32_t count;
};

/* What one endpoint is wanted for on one worker, and what is being done about it. */
struct weir_pool_demand {
    uint32_t waiting; /* requests that want it first of all */
    uint32_t dials;   /* open ones to it */
    uint32_t places;  /* requests that these will carry: one each for HTTP/1.1, many for HTTP/2 */
    uint32_t seen;    /* while waiters are gone through */
};

struct weir_pool_shelf {
    struct weir_list by_age;
    struct weir_list waiters; /* oldest first */
    uint32_t idle, waiting;
    uint32_t covered; /* waiters that open dials see to: see weir_pool_uncovered */
};

/* One that waits. Ordered by since_us. */
struct weir_pool_place {
    struct weir_list link;
    uint64_t since_us;
    uint64_t endpoints;              /* the set of endpoint slots that may serve it */
    bool fresh;                      /* only a connection that has carried nothing will do */
    struct weir_pool_demand *demand; /* of the endpoint that it wants, on its worker; set by the caller */
};

void weir_pool_shelf_init(struct weir_pool_shelf *s);
void weir_pool_stack_init(struct weir_pool_stack *k);
void weir_pool_item_init(struct weir_pool_item *i);
void weir_pool_park(struct weir_pool_shelf *s, struct weir_pool_stack *k, struct weir_pool_item *i);
/* Takes a parked item out, wherever it stands. */
void weir_pool_unpark(struct weir_pool_shelf *s, struct weir_pool_stack *k, struct weir_pool_item *i);
/* The most recently parked of a stack, still parked; NULL when there is none. */
struct weir_pool_item *weir_pool_newest(const struct weir_pool_stack *k);
/* The least recently parked of the shelf, still parked; NULL when there is none. */
struct weir_pool_item *weir_pool_oldest(const struct weir_pool_shelf *s);

void weir_pool_wait(struct weir_pool_shelf *s, struct weir_pool_place *p);
void weir_pool_unwait(struct weir_pool_shelf *s, struct weir_pool_place *p);
/* The one that has waited longest and accepts a connection to the endpoint that has carried requests (used) or not;
 * NULL when there is none. */
struct weir_pool_place *weir_pool_first(const struct weir_pool_shelf *s, unsigned endpoint, bool used);

/* Dials. Whatever becomes usable first goes to whoever has waited longest, so a dial sees to one waiter whichever
 * endpoint that one wants; beyond the first only to those that want its endpoint, since a connection for a hundred
 * requests says nothing about another endpoint's. */

void weir_pool_dial_begins(struct weir_pool_shelf *s, struct weir_pool_demand *d, uint32_t places);
void weir_pool_dial_ends(struct weir_pool_shelf *s, struct weir_pool_demand *d, uint32_t places);
/* An open dial to the endpoint has room for one more, for several requests or because the one that it was begun for has
 * been served otherwise: no other is needed for it. */
static inline bool weir_pool_has_place(const struct weir_pool_demand *d)
{
    return d->waiting < d->places;
}
/* How many wait that the open dials do not see to. */
uint32_t weir_pool_uncovered(const struct weir_pool_shelf *s);
/* The n-th of these, from 0, oldest first; NULL when there are fewer. */
struct weir_pool_place *weir_pool_uncovered_at(const struct weir_pool_shelf *s, uint32_t n);
bool weir_pool_is_covered(const struct weir_pool_shelf *s, const struct weir_pool_place *p);
/* When the longest waiting one came; UINT64_MAX when nobody waits. */
uint64_t weir_pool_waiting_since(const struct weir_pool_shelf *s);

#endif
