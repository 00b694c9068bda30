/* Carries a command out: asks the node, shows the answer on standard output, and what went wrong on standard error. */
#ifndef WEIR_CLI_RUN_H
#define WEIR_CLI_RUN_H

#include "cli/options.h"

/* Returns the exit code. */
int ctl_run(const struct ctl_options *o);

#endif
