/* Which endpoints of a provider are in health, for all workers: core/outlier.h with its lock. Part of the provider's
 * runtime.
 *
 * Workers read who is out by one relaxed load, and count an answer in a cell of their own, which control's tick folds
 * in. Only what follows a failure (the failure itself, the first answer after it) and what control does take the lock,
 * which is held for the arithmetic. Every change is told by one log line, on the log of whoever brought it about. */
#ifndef WEIR_NODE_HEALTH_H
#define WEIR_NODE_HEALTH_H

#include <pthread.h>
#include <stdatomic.h>

#include "core/counters.h"
#include "core/outlier.h"

struct weir_provider;
struct weir_endpoint;
struct weir_log_producer;

/* An endpoint that would be ejected again and again, but may not, is told of this often at most. */
#define WEIR_HEALTH_SPARED_EVERY_MS 60000u

struct weir_provider_health {
    /* A bit per slot. Written under the lock, read without. */
    _Atomic uint64_t out;       /* ejected */
    _Atomic uint64_t unhealthy; /* by checks; out as well unless too many are */
    _Atomic uint64_t failing;   /* its last try that was told under the lock has failed */
    pthread_mutex_t lock __attribute__((aligned(WEIR_CACHE_LINE)));
    struct weir_outlier outlier;
    struct weir_endpoint *at[WEIR_POOL_ENDPOINTS_MAX]; /* those in it: the view in force has them */
    uint64_t folded[WEIR_POOL_ENDPOINTS_MAX];          /* answers taken from the workers' cells so far */
    uint64_t spared_ms[WEIR_POOL_ENDPOINTS_MAX];       /* when that was told; 0: not yet */
};

/* Empty: nobody is in it. False: out of resources. */
bool weir_health_init(struct weir_provider_health *h);
void weir_health_close(struct weir_provider_health *h);

/* -- for requests, on any worker -- */

/* A bit per slot: not to be chosen while another can serve. */
uint64_t weir_health_out(const struct weir_provider *p);
/* How a try at e ended, on `worker`; a client's leaving and an endpoint's cooldown are not told. An endpoint that no
 * view has any more: ignored. */
void weir_health_tried(struct weir_provider *p, struct weir_endpoint *e, unsigned worker, bool ok, uint64_t now_ms,
                       struct weir_log_producer *log);
/* e's circuit has opened: no check before until_ms. Closed: what tries have caused is over. */
void weir_health_circuit(struct weir_provider *p, const struct weir_endpoint *e, bool open, uint64_t until_ms,
                         struct weir_log_producer *log);

/* -- for control -- */

/* The endpoints in force are these from now on (borrowed until the next call), under these options. random: spreads the
 * first checks. */
void weir_health_follow(struct weir_provider *p, const struct weir_outlier_opts *opts,
                        struct weir_endpoint *const *endpoints, unsigned count, uint64_t now_ms, uint64_t random,
                        struct weir_log_producer *log);
/* The provider has gone from the configuration: nobody is in it any more. */
void weir_health_forget(struct weir_provider *p);
/* Often: folds in what the workers counted, lets back in, compares rates. */
void weir_health_tick(struct weir_provider *p, uint64_t now_ms, struct weir_log_producer *log);
/* An endpoint whose check is due; it has begun, and its end must follow while the caller keeps e alive by a reference.
 * NULL: none. */
struct weir_endpoint *weir_health_check_next(struct weir_provider *p, uint64_t now_ms);
/* why: of one that failed, for the log; NULL: it passed. */
void weir_health_check_done(struct weir_provider *p, struct weir_endpoint *e, const char *why, uint64_t now_ms,
                            struct weir_log_producer *log);
/* Another node of the cluster has checked it, with this result; this one does not, for an interval. */
void weir_health_check_heard(struct weir_provider *p, struct weir_endpoint *e, const char *why, uint64_t now_ms,
                             struct weir_log_producer *log);
/* It could not be made, for reasons of this node's own. */
void weir_health_check_drop(struct weir_provider *p, const struct weir_endpoint *e, uint64_t now_ms);

#endif
