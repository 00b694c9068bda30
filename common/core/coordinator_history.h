/* The part of a coordinator's behaviour that is about load: as the leader it reads what the nodes tell of each slot,
 * folds it into the cluster's history in the store, forecasts from it, and publishes what follows from that, all under
 * its lead's token. Who does not lead does nothing.
 *
 *     lead -> ADVICE -> SERIES of each step -> each slot: LOADS -> FOLD ... -> forecast, advice -> ADVISE
 *
 * - A new leader asks for the advice and the history first, and goes on where the one before it has stopped: what that
 *   one had read and not folded is in the nodes' records still.
 * - A request that fails is asked again after a second. What is folded while the store is away is missing in its
 *   history, not in the forecast under way.
 * - ADVISE when the advice is news, at least each third of its life, and each ten slots with the analytics.
 *
 * Owned by core/coordinator_agent, which hands it the events; same rules for times and callbacks. */
#ifndef WEIR_CORE_COORDINATOR_HISTORY_H
#define WEIR_CORE_COORDINATOR_HISTORY_H

#include "core/advisor.h"
#include "core/coord.h"
#include "core/err.h"

struct weir_coordinator_history_config {
    bool history;                       /* off: nothing of this is done */
    bool hints;                         /* off: analytics are published, and that there are no hints */
    bool patterns;                      /* what is by hour of the day is in the analytics, too */
    struct weir_advisor_config advisor; /* slot_ms, too */
};

/* What it asks of whoever drives it. */
struct weir_coordinator_history_ports {
    void *arg;
    /* To the store; fills in id and time. Returns the id; 0: it cannot be sent now. */
    uint64_t (*send)(void *arg, uint64_t now_ms, struct weir_coord_request *request);
    /* Another advice than before is in the store. */
    void (*advised)(void *arg, const struct weir_hints *h);
};

struct weir_coordinator_history;

/* id: the coordinator's, outlives this. Errors: WEIR_ENOMEM. */
WEIR_MUST_USE int weir_coordinator_history_new(struct weir_coordinator_history **out, const char *id,
                                               const struct weir_coordinator_history_config *c,
                                               const struct weir_coordinator_history_ports *ports,
                                               struct weir_err *err);
void weir_coordinator_history_free(struct weir_coordinator_history **h);
/* Reloaded. With another slot or window, all begins anew from the store. */
void weir_coordinator_history_set(struct weir_coordinator_history *h, const struct weir_coordinator_history_config *c);

/* The lead is gained, under this token; 0: it is lost. */
void weir_coordinator_history_lead(struct weir_coordinator_history *h, uint64_t now_ms, uint64_t token);
/* offset_ms: the store's clock less the own one. nodes: that serve; 0: not known yet. sure: all have had the time to
 * beat; the first advice ever waits for that. */
void weir_coordinator_history_tick(struct weir_coordinator_history *h, uint64_t now_ms, int64_t offset_ms,
                                   uint32_t nodes, bool sure);
uint64_t weir_coordinator_history_deadline_ms(const struct weir_coordinator_history *h);
/* An answer to one of its requests (others are passed over), before the next tick. False: the lead is in doubt, whoever
 * holds it asks for it at once. */
bool weir_coordinator_history_reply(struct weir_coordinator_history *h, uint64_t now_ms,
                                    const struct weir_coord_reply *r);

struct weir_coordinator_history_look {
    bool on;                        /* this one leads, and what the store had is known */
    const struct weir_hints *hints; /* the newest; NULL: none were made */
    uint64_t seen;                  /* steps that the forecast has seen */
    uint64_t step_ms;
    uint64_t folded, fold_failures, advised, unreadable; /* since the start; unreadable: records of nodes or of the
                                                            history */
    struct weir_load_history_counts records;             /* since the lead was gained */
};
struct weir_coordinator_history_look weir_coordinator_history_look(const struct weir_coordinator_history *h);

#endif
