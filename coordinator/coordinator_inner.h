/* The coordinator's state, and what its parts share. Internal to the program. */
#ifndef WEIR_COORDINATOR_COORDINATOR_INNER_H
#define WEIR_COORDINATOR_COORDINATOR_INNER_H

#include "coordinator/coordinator.h"
#include "coordinator/pages.h"
#include "coordinator/status.h"
#include "net/log.h"
#include "net/signals.h"
#include "store/store.h"

struct weir_coordinator {
    struct weir_reactor reactor;
    struct weir_log *log_writer;
    struct weir_log_producer *log;
    const char *config_path;
    struct weir_config *began_with; /* the store borrows from it */
    struct weir_dns *dns;
    struct weir_crypto_pool *crypto;
    struct weir_tls_config *tls; /* to the store; NULL: plain */
    struct weir_store *store;
    struct weir_coordinator_agent *agent;
    struct weir_pages pages;
    struct weir_deadline tick, give_up;
    struct weir_signals signals;
    char id[WEIR_NODE_ID_MAX + 1];
    uint64_t notes[WEIR_COORDINATOR_NOTES], requests[WEIR_COORD_OPS], requests_failed;
    bool stopping;
};

/* What the agent wants to know of the configuration. */
struct weir_coordinator_agent_config weir_coordinator_configure(const char *id, const struct weir_config *config);
/* One line in the log for each note of the agent's; who leads is an event in the store, too (coordinator_tell.c). */
void weir_coordinator_tell(struct weir_coordinator *c, const struct weir_coordinator_action *a);
/* Problems of a configuration that was read, one line each. */
void weir_coordinator_tell_problems(struct weir_coordinator *c, const struct weir_config_problems *problems);

#endif
