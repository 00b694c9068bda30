#include "coordinator/options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/forecast.h"

/* A year. */
#define STEP_MAX_S      31536000.0
#define HORIZON_DEFAULT 60u

static const char usage[] = "usage: weir-coordinator [--check] -c FILE\n"
                            "       weir-coordinator --backtest FILE.csv [--step SECONDS] [--horizon STEPS] [-o FORM]\n"
                            "       weir-coordinator --help | --version\n";

static const char help[] = "\n"
                           "Decides which node of a weir cluster owns which shard. Run two or more: one leads, the\n"
                           "others stand by. It reads the nodes' configuration.\n"
                           "\n"
                           "  -c, --config FILE   the configuration (YAML; docs/configuration.md)\n"
                           "      --check         say what is wrong with the configuration, and end\n"
                           "\n"
                           "  --backtest FILE.csv   forecast a load whose history is known, and say what that would\n"
                           "                        have been worth (docs/forecast.md)\n"
                           "  --step SECONDS        the history's step; without: as between its first two lines\n"
                           "  --horizon STEPS       how far ahead, 1 to 512; without: 60\n"
                           "  -o, --output FORM     of the result: table (without -o) or json\n"
                           "\n"
                           "  -h, --help          print this\n"
                           "  -V, --version       print the version\n"
                           "\n"
                           "Exit codes: 0 done, 1 failed, 2 wrong usage or configuration.\n";

enum { OPT_CHECK = 256, OPT_BACKTEST, OPT_STEP, OPT_HORIZON };

static int usage_error(const char *what)
{
    fprintf(stderr, "%s%s", what, usage);
    return WEIR_EXIT_USAGE;
}

/* Each is -1, or the exit code after it has said what is wrong. */
static int take_step(struct weir_backtest_opts *b, const char *text)
{
    char *end = NULL;
    double step = strtod(text, &end);
    if (text[strspn(text, "0123456789.")] != '\0' || *end != '\0' || !(step > 0 && step <= STEP_MAX_S))
        return usage_error("weir-coordinator: --step is a number of seconds above 0, a year at most\n");
    b->step_s = step;
    return -1;
}

static int take_horizon(struct weir_backtest_opts *b, const char *text)
{
    uint64_t steps;
    if (!weir_str_to_u64(weir_str_of(text), &steps) || steps < 1 || steps > WEIR_FORECAST_HORIZON_MAX)
        return usage_error("weir-coordinator: --horizon is a number of steps, 1 to 512\n");
    b->horizon = (unsigned)steps;
    return -1;
}

static int take_form(struct weir_backtest_opts *b, const char *text)
{
    b->json = strcmp(text, "json") == 0;
    if (!b->json && strcmp(text, "table") != 0)
        return usage_error("weir-coordinator: --output is table or json\n");
    return -1;
}

static int take_path(const char **path, const char *text, const char *twice)
{
    if (*path != NULL)
        return usage_error(twice);
    *path = text;
    return -1;
}

/* What was given must fit together. */
static int judge(struct weir_coordinator_options *o, bool of_backtest)
{
    if (o->backtest.path != NULL) {
        if (o->config_file != NULL || o->check)
            return usage_error("weir-coordinator: --backtest goes without a configuration\n");
        if (o->backtest.horizon == 0)
            o->backtest.horizon = HORIZON_DEFAULT;
        return -1;
    }
    if (of_backtest)
        return usage_error("weir-coordinator: --step, --horizon and --output go with --backtest\n");
    if (o->config_file == NULL)
        return usage_error("weir-coordinator: no configuration: -c FILE\n");
    return -1;
}

static int take(struct weir_coordinator_options *o, int opt, bool *of_backtest)
{
    *of_backtest |= opt == OPT_STEP || opt == OPT_HORIZON || opt == 'o';
    switch (opt) {
    case 'c':
        return take_path(&o->config_file, optarg, "weir-coordinator: --config is given twice\n");
    case OPT_CHECK:
        o->check = true;
        return -1;
    case OPT_BACKTEST:
        return take_path(&o->backtest.path, optarg, "weir-coordinator: --backtest is given twice\n");
    case OPT_STEP:
        return take_step(&o->backtest, optarg);
    case OPT_HORIZON:
        return take_horizon(&o->backtest, optarg);
    case 'o':
        return take_form(&o->backtest, optarg);
    case 'h':
        printf("%s%s", usage, help);
        return WEIR_EXIT_DONE;
    case 'V':
        puts("weir-coordinator " WEIR_VERSION);
        return WEIR_EXIT_DONE;
    default: /* getopt_long has said why */
        return usage_error("");
    }
}

int weir_coordinator_options_parse(struct weir_coordinator_options *o, int argc, char *const *argv)
{
    static const struct option options[] = {{"config", required_argument, NULL, 'c'},
                                            {"check", no_argument, NULL, OPT_CHECK},
                                            {"backtest", required_argument, NULL, OPT_BACKTEST},
                                            {"step", required_argument, NULL, OPT_STEP},
                                            {"horizon", required_argument, NULL, OPT_HORIZON},
                                            {"output", required_argument, NULL, 'o'},
                                            {"help", no_argument, NULL, 'h'},
                                            {"version", no_argument, NULL, 'V'},
                                            {NULL, 0, NULL, 0}};
    *o = (struct weir_coordinator_options){0};
    int opt, code;
    bool of_backtest = false;
    optind = 0; /* glibc: begin anew, also when an earlier call stopped half-way */
    while ((opt = getopt_long(argc, argv, "c:o:hV", options, NULL)) != -1)
        if ((code = take(o, opt, &of_backtest)) >= 0)
            return code;
    if (optind < argc) {
        fprintf(stderr, "weir-coordinator: unexpected argument '%s'\n", argv[optind]);
        return usage_error("");
    }
    return judge(o, of_backtest);
}
