/* A running coordinator: core/coordinator_agent driven on one thread by the store's answers, a clock and signals. All
 * that it decides is the agent's; this hands things to and fro, logs, and shows.
 *
 * SIGTERM and SIGINT give the lead up and end it, a second one ends it at once; SIGHUP reads the configuration again.
 */
#ifndef WEIR_COORDINATOR_COORDINATOR_H
#define WEIR_COORDINATOR_COORDINATOR_H

#include "core/config.h"

struct weir_coordinator_opts {
    const char *config_path;                     /* for reloads */
    struct weir_config *config;                  /* taken over, whatever comes of it */
    const struct weir_config_problems *warnings; /* of the first reading, to be logged */
};

/* Runs until it is told to end; the exit code. err->code is set when it could not begin. */
int weir_coordinator_run(const struct weir_coordinator_opts *opts, struct weir_err *err);

#endif
