/* The living side of a provider and of its endpoints: what outlasts a reload of the configuration. Pool limits and
 * counts, idle connections, waiters and counters hang here; views point at it.
 *
 * Reference-counted: a view holds one reference to each of its providers and endpoints, a connection one to its
 * endpoint, an endpoint one to its provider. Part of it belongs to one worker each (`local[w]`, touched by that worker
 * only, but for the atomics in it), the rest is atomic; the locks, of a circuit and of weir_health, are not taken while
 * all is well. */
#ifndef WEIR_NODE_RUNTIME_H
#define WEIR_NODE_RUNTIME_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/balance.h"
#include "core/config.h"
#include "core/counters.h"
#include "core/pool.h"
#include "core/retry_budget.h"
#include "core/wrr.h"
#include "net/tls_sessions.h"
#include "node/addresses.h"
#include "node/circuit.h"
#include "node/concurrency.h"
#include "node/health.h"
#include "node/limit.h"
#include "node/scaling.h"

/* Threads that serve; per-worker tables are this long at most. */
#define WEIR_WORKERS_MAX 64u

struct weir_endpoint_local {
    struct weir_pool_stack idle;
    struct weir_list open;               /* shared connections that carry requests and may have room for more */
    struct weir_pool_demand demand;      /* requests here that wait for a connection to it, and dials */
    uint32_t idle_shared;                /* of idle.count, those that cannot be handed over */
    _Atomic uint32_t idle_shown;         /* what other workers may see of idle.count */
    _Atomic uint32_t single_shown;       /* ... and of that less idle_shared: what they may ask for */
    uint64_t calm_successes;             /* a cell: see node/circuit.h */
    struct weir_balance_latency latency; /* as this worker sees it */
    struct weir_endpoint_counters counters;
    uint64_t answers; /* tries answered while none had failed, for weir_health */
} __attribute__((aligned(WEIR_CACHE_LINE)));

/* The last active check that was made: of control's thread. */
struct weir_endpoint_check {
    uint64_t unix_ms; /* 0: none yet */
    bool passed;
    char why[160]; /* not */
};

/* The slot of those that have none: see weir_endpoint_new_foreign. */
#define WEIR_SLOT_NONE WEIR_POOL_ENDPOINTS_MAX

struct weir_foreign;
struct weir_pool_conn;

struct weir_endpoint {
    _Atomic uint32_t refs;
    _Atomic bool retired; /* no view has it any more: its connections close when they come back */
    _Atomic bool last_connect_failed;
    _Atomic uint32_t settings; /* in force; connections that were opened under others are not used again */
    _Atomic uint64_t ejections[WEIR_OUTLIER_REASONS];
    _Atomic uint64_t checks[2]; /* active ones that passed, that failed */
    unsigned slot;              /* in its provider, stable while it lives */
    unsigned worker_count;
    struct weir_provider *provider;
    struct weir_foreign *foreign; /* NULL: the provider's own; else it is owned */
    char *id;                     /* canonical scheme://host:port */
    _Atomic uint32_t in_flight;   /* tries that it is at work on, or that wait for a connection to it */
    _Atomic bool preopening;      /* a worker has been told to open some ahead of a peak, and has not begun */
    /* It came, or came back: slow start counts from here; 0: it was there from the start. */
    _Atomic uint64_t up_since_ms;
    struct weir_circuit circuit;
    struct weir_concurrency concurrency;
    struct weir_endpoint_check last_check;
    struct weir_addresses addresses;
    _Atomic uint32_t conn_places;           /* requests that its last connection took at once; 0: none was opened yet */
    struct weir_tls_sessions *tls_sessions; /* to resume from */
    _Atomic unsigned tls_failing;           /* enum weir_tls_fail of the last handshake; NONE: it was well */
    struct weir_endpoint_counters control __attribute__((aligned(WEIR_CACHE_LINE))); /* what control's thread counts */
    struct weir_endpoint_local local[];
};

struct weir_provider_local {
    struct weir_pool_shelf shelf;
    struct weir_wrr_item wrr[WEIR_POOL_ENDPOINTS_MAX]; /* by slot */
    struct weir_provider_counters counters;
    struct weir_pool_conn *draining; /* a shared connection that makes room for requests elsewhere; NULL: none */
    struct weir_pool_giving *giving; /* shared connections whose slots are being given out, down the stack */
    /* What other workers may see. */
    _Atomic uint32_t idle_shown;
    _Atomic uint32_t waiting_shown;
    _Atomic uint32_t uncovered_shown; /* of these, how many no open dial covers */
    _Atomic uint64_t waiting_since_us;
    /* What others have sent here and has not been looked at yet: enough waiters are seen to, no need to send more. */
    _Atomic uint32_t conns_coming, slots_coming;
} __attribute__((aligned(WEIR_CACHE_LINE)));

/* Control's alone; see node/cleanup.h. */
struct weir_cleaning {
    bool under_way;
    bool limits_changed;  /* since the last sweep was ordered */
    uint64_t sick;        /* slots whose connections are to go before the next sweep is due */
    uint64_t sick_before; /* out of health at the last look */
    uint64_t swept_ms;    /* when the last one that was due was ordered; 0: none yet */
};

struct weir_provider {
    _Atomic uint32_t refs;
    _Atomic bool retired;
    unsigned worker_count;
    char *name;
    _Atomic uint64_t slots_used; /* bit i: an endpoint has slot i */
    /* Limits in force: written by control, see node/scaling.h. */
    _Atomic uint32_t total_max, idle_max, queued_max;
    _Atomic uint32_t keepalive_expiry_ms, lifetime_max_ms; /* 0: none */
    /* The ledger, exact over all workers. */
    _Atomic uint32_t total;     /* connections open, being opened, or a slot in transit */
    _Atomic uint32_t idle;      /* parked, all workers */
    _Atomic uint32_t waiting;   /* requests that wait, all workers */
    _Atomic uint32_t queued;    /* of these, those that no open dial covers */
    _Atomic uint32_t opening;   /* dials under way */
    _Atomic bool force_cleanup; /* what comes back from an endpoint that is out of health is closed */
    struct weir_provider_health health;
    struct weir_scaling scaling;
    struct weir_cleaning cleaning;
    uint64_t tries_monitored, tries_failed_monitored; /* control's: at the monitor's last look */
    struct weir_retry_budget *retry_budget;
    struct weir_limit limit;   /* of requests in a time */
    struct weir_places places; /* of requests at once */
    struct weir_provider_local local[];
};

/* n bytes of zeros in cache lines of their own, as counters that one thread writes want them; free() ends them. NULL:
 * out of memory. */
void *weir_alloc_lines(size_t n);

/* NULL: out of memory. One reference, the caller's. */
struct weir_provider *weir_provider_new(const char *name, unsigned worker_count);
/* Takes over the limits of a configuration. */
void weir_provider_configure(struct weir_provider *p, const struct weir_config_provider *config);
void weir_provider_ref(struct weir_provider *p);
void weir_provider_unref(struct weir_provider *p);

/* NULL: out of memory or no slot left. One reference, the caller's; takes one to the provider. Its circuit is closed,
 * and without effect until weir_endpoint_configure. */
struct weir_endpoint *weir_endpoint_new(struct weir_provider *p, const char *id);
/* One that is not the provider's (node/foreign.h): retired from the start, and without a slot, so that nothing that
 * goes by slots (health, places, the set that may serve a waiter) may be asked about it. Takes over what, to be freed
 * with it, on success. NULL: out of memory. One reference, the caller's; takes one to the provider. */
struct weir_endpoint *weir_endpoint_new_foreign(struct weir_provider *p, const char *id, struct weir_foreign *what);
static inline bool weir_endpoint_is_foreign(const struct weir_endpoint *e)
{
    return e->foreign != NULL;
}
/* Takes over what a configuration says of its circuit. */
void weir_endpoint_configure(struct weir_endpoint *e, const struct weir_config_provider *config);
void weir_endpoint_ref(struct weir_endpoint *e);
void weir_endpoint_unref(struct weir_endpoint *e);

#endif
