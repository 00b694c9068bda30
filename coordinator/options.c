#include "coordinator/options.h"

#include <getopt.h>
#include <stdio.h>

static const char usage[] = "usage: weir-coordinator [--check] -c FILE\n"
                            "       weir-coordinator --help | --version\n";

static const char help[] = "\n"
                           "Decides which node of a weir cluster owns which shard. Run two or more: one leads, the\n"
                           "others stand by. It reads the nodes' configuration.\n"
                           "\n"
                           "  -c, --config FILE   the configuration (YAML; docs/configuration.md)\n"
                           "      --check         say what is wrong with the configuration, and end\n"
                           "  -h, --help          print this\n"
                           "  -V, --version       print the version\n"
                           "\n"
                           "Exit codes: 0 done, 1 failed, 2 wrong usage or configuration.\n";

static int usage_error(const char *what)
{
    fprintf(stderr, "%s%s", what, usage);
    return WEIR_EXIT_USAGE;
}

int weir_coordinator_options_parse(struct weir_coordinator_options *o, int argc, char *const *argv)
{
    enum { OPT_CHECK = 256 };
    static const struct option options[] = {{"config", required_argument, NULL, 'c'},
                                            {"check", no_argument, NULL, OPT_CHECK},
                                            {"help", no_argument, NULL, 'h'},
                                            {"version", no_argument, NULL, 'V'},
                                            {NULL, 0, NULL, 0}};
    *o = (struct weir_coordinator_options){0};
    int opt;
    optind = 0; /* glibc: begin anew, also when an earlier call stopped half-way */
    while ((opt = getopt_long(argc, argv, "c:hV", options, NULL)) != -1) {
        switch (opt) {
        case 'c':
            if (o->config_file != NULL)
                return usage_error("weir-coordinator: --config is given twice\n");
            o->config_file = optarg;
            break;
        case OPT_CHECK:
            o->check = true;
            break;
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
    if (optind < argc) {
        fprintf(stderr, "weir-coordinator: unexpected argument '%s'\n", argv[optind]);
        return usage_error("");
    }
    if (o->config_file == NULL)
        return usage_error("weir-coordinator: no configuration: -c FILE\n");
    return -1;
}
