/* weir-coordinator: reads its flags and the configuration, and runs; or judges the forecast on a file. */
#include <signal.h>
#include <stdio.h>

#include "coordinator/backtest.h"
#include "coordinator/coordinator.h"
#include "coordinator/options.h"
#include "net/config_file.h"

/* Errors of the file, or that it is of no use for a coordinator: the exit code. -1: it is fine. */
static int load(const char *path, struct weir_config **config, struct weir_config_problems *problems)
{
    int rv = weir_config_file_load(config, path, problems);
    if (rv == WEIR_OK && !(*config)->distributed_pool.enabled)
        weir_config_problems_add(problems, WEIR_CONFIG_ERROR, path, 0, "distributed_pool",
                                 "is not enabled: there is no cluster to coordinate");
    if (rv == WEIR_OK && problems->error_count == 0)
        return -1;
    weir_config_problems_print("weir-coordinator", problems);
    weir_config_free(config);
    return rv == WEIR_ENOMEM ? WEIR_EXIT_FAILED : WEIR_EXIT_USAGE;
}

int main(int argc, char **argv)
{
    struct weir_coordinator_options options;
    int code = weir_coordinator_options_parse(&options, argc, argv);
    if (code >= 0)
        return code;
    if (options.backtest.path != NULL)
        return weir_backtest_main(&options.backtest);
    struct weir_config_problems problems = {0};
    struct weir_coordinator_opts opts = {.config_path = options.config_file, .warnings = &problems};
    code = load(options.config_file, &opts.config, &problems);
    if (code < 0 && options.check) {
        weir_config_problems_print("weir-coordinator", &problems);
        printf("%s is valid\n", options.config_file);
        weir_config_free(&opts.config);
        code = WEIR_EXIT_DONE;
    }
    if (code < 0) {
        struct weir_err err = {0};
        signal(SIGUSR1, SIG_IGN);
        signal(SIGUSR2, SIG_IGN);
        signal(SIGPIPE, SIG_IGN); /* a client or a log reader that goes away is an error of one write */
        code = weir_coordinator_run(&opts, &err);
        if (err.code != 0)
            fprintf(stderr, "weir-coordinator: %s\n", err.msg);
    }
    weir_config_problems_reset(&problems);
    return code;
}
