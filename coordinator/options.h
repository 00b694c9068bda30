/* The command line of weir-coordinator. */
#ifndef WEIR_COORDINATOR_OPTIONS_H
#define WEIR_COORDINATOR_OPTIONS_H

#include <stdbool.h>

#include "coordinator/backtest.h"
#include "core/exit.h"

struct weir_coordinator_options {
    const char *config_file;            /* points into argv */
    bool check;                         /* say what is wrong with the configuration, and end */
    struct weir_backtest_opts backtest; /* path NULL: no backtest; else there is no configuration */
};

/* Returns -1 to go on, else the exit code: WEIR_EXIT_DONE after --help and --version, WEIR_EXIT_USAGE after saying on
 * standard error what is wrong. */
int weir_coordinator_options_parse(struct weir_coordinator_options *o, int argc, char *const *argv);

#endif
