/* Coordinators and nodes that tell their load, over the store's own state, in simulated time: slots of a second, a
 * window of a minute, a cooldown of ten seconds. The store's clock is another one than the coordinators'. One for each
 * test's process. */
#ifndef WEIR_TESTS_HELPER_COORDINATOR_H
#define WEIR_TESTS_HELPER_COORDINATOR_H

#include <jansson.h>

#include "core/coord_state.h"
#include "core/coordinator_agent.h"

#define SLOT_MS UINT64_C(1000)
#define ASKED   512u

extern struct told {
    struct told_one {
        struct weir_coordinator_agent *agent;
        struct {
            struct weir_coord_request request;
            char *texts[2];
        } asked[ASKED];
        uint32_t asked_count, sent[WEIR_COORD_OPS], stale;
        uint32_t advised, moves;
        bool paused; /* its process does not run; answers wait for it */
    } k[2];
    struct weir_coordinator_agent_config config;
    struct weir_coord_state *store;
    uint64_t now;
    uint64_t ahead_ms; /* what the store's clock is ahead */
    bool away;
    double in_flight; /* on each node */
} told;

/* One coordinator, "k0". */
void told_setup(void);
void told_teardown(void);
void told_begin(struct told_one *c, const char *id);
void told_end(struct told_one *c);

struct weir_coord_reply told_ask_store(struct weir_coord_request r);
uint64_t told_slot_now(void);
void told_append(struct weir_str text);
void told_node_tells(const char *id, double load);
/* A second at a time: nodes tell of the last slot at its begin, a letter each. */
void told_run(uint64_t seconds, const char *nodes);

struct weir_coordinator_look told_look(int i);
/* How many points a series has; they ascend, and each is read as what it was written as. */
uint32_t told_points(uint32_t step, uint64_t *newest);
/* What is published: a number of the cluster's hints; -1: no hints are. */
json_int_t told_published(const char *key);

#endif
