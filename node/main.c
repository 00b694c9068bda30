#include <signal.h>
#include <stdio.h>

#include "net/config_file.h"
#include "node/cli.h"
#include "node/control.h"

int main(int argc, char **argv)
{
    struct weir_cli cli;
    int code = weir_cli_parse(&cli, argc, argv);
    if (code != 0)
        return code;
    code = weir_cli_run_offline(&cli);
    if (code >= 0)
        return code;

    struct weir_config_problems problems = {0};
    struct weir_control_opts opts = {.config_path = cli.config_file, .warnings = &problems};
    if (weir_config_file_load(&opts.config, cli.config_file, &problems) != WEIR_OK) {
        weir_config_problems_print("weir-node", &problems);
        weir_config_problems_reset(&problems);
        return WEIR_EXIT_USAGE;
    }
    struct weir_err err = {0};
    /* Not weir's, but a stray one is no reason to end. */
    signal(SIGUSR1, SIG_IGN);
    signal(SIGUSR2, SIG_IGN);
    signal(SIGPIPE, SIG_IGN); /* a client or a log reader that goes away is an error of one write, not of the node */
    code = weir_control_run(&opts, &err);
    if (err.code != 0)
        fprintf(stderr, "weir-node: %s\n", err.msg);
    weir_config_problems_reset(&problems);
    return code;
}
