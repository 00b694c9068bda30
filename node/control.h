/* The control thread: starts and ends the node, reads the configuration again, resolves names, publishes views, and
 * answers what the workers hand on to it. Nothing on it blocks for more than a moment; requests never wait for it. */
#ifndef WEIR_NODE_CONTROL_H
#define WEIR_NODE_CONTROL_H

#include "node/node.h"

struct weir_control_opts {
    const char *config_path;
    struct weir_config *config;            /* read and found good; the node's from now on, whatever happens */
    struct weir_config_problems *warnings; /* of reading it, to be logged */
};

/* Runs a node on the calling thread until it is told to end (SIGTERM, SIGINT). Returns the process's exit code; what
 * kept it from starting is in err. */
int weir_control_run(const struct weir_control_opts *opts, struct weir_err *err);
#endif
