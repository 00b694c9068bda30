/* weir-node's command line: what is asked for, and the answers that need no node. */
#ifndef WEIR_NODE_CLI_H
#define WEIR_NODE_CLI_H

#include "core/config.h"
#include "core/exit.h"

enum weir_cli_mode {
    WEIR_CLI_RUN,
    WEIR_CLI_CHECK,
    WEIR_CLI_PRINT_CONFIG,
    WEIR_CLI_PRINT_SCHEMA,
    WEIR_CLI_PRINT_DOCS,
    WEIR_CLI_PRINT_METRICS,
    WEIR_CLI_PRINT_PATHS,
    WEIR_CLI_HELP,
    WEIR_CLI_VERSION
};

struct weir_cli {
    enum weir_cli_mode mode;
    const char *config_file; /* points into argv; NULL where the mode needs none */
};

/* Reads the arguments. 0, or WEIR_EXIT_USAGE after saying on standard error what is wrong. */
WEIR_MUST_USE int weir_cli_parse(struct weir_cli *cli, int argc, char *const *argv);
/* Does what needs no node and returns the exit code; -1 when the node is to start. */
WEIR_MUST_USE int weir_cli_run_offline(const struct weir_cli *cli);

#endif
