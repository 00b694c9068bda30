#include "node/cli.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "core/config_output.h"
#include "core/metrics_docs.h"
#include "net/config_file.h"
#include "net/tls_setup.h"
#include "node/admin.h"

/* A thousand providers with every key shown take a tenth of it. */
#define OUTPUT_BYTES_MAX ((size_t)64 << 20)

static const char usage[] = "usage: weir-node -c FILE\n"
                            "       weir-node --check | --print-config -c FILE\n"
                            "       weir-node --print-schema | --print-docs | --print-metrics | --print-paths\n"
                            "       weir-node --help | --version\n";

static const char help[] = "\n"
                           "A proxy node for LLM APIs: pooled connections to the providers, streams without delay.\n"
                           "\n"
                           "  -c, --config FILE   the configuration (YAML; --print-docs shows every key)\n"
                           "      --check         say what is wrong with the configuration and end\n"
                           "      --print-config  show the effective configuration and where each value came from\n"
                           "      --print-schema  print the configuration's JSON Schema\n"
                           "      --print-docs    print the configuration's reference page (markdown)\n"
                           "      --print-metrics print the metrics' reference page (markdown)\n"
                           "      --print-paths   print weir's own paths, their methods, and who may ask\n"
                           "  -h, --help          print this\n"
                           "  -V, --version       print the version\n"
                           "\n"
                           "Exit codes: 0 done, 1 failed, 2 wrong usage or configuration.\n";

static int usage_error(void)
{
    fputs(usage, stderr);
    return WEIR_EXIT_USAGE;
}

static bool needs_config(enum weir_cli_mode mode)
{
    return mode == WEIR_CLI_RUN || mode == WEIR_CLI_CHECK || mode == WEIR_CLI_PRINT_CONFIG;
}

static int mode_set(struct weir_cli *cli, enum weir_cli_mode mode)
{
    if (cli->mode != WEIR_CLI_RUN && cli->mode != mode) {
        fputs("weir-node: one of --check, --print-config, --print-schema, --print-docs, --print-metrics, "
              "--print-paths, --help, --version at a time\n",
              stderr);
        return usage_error();
    }
    cli->mode = mode;
    return 0;
}

static int config_set(struct weir_cli *cli, const char *file)
{
    if (cli->config_file != NULL) {
        fputs("weir-node: --config is given twice\n", stderr);
        return usage_error();
    }
    cli->config_file = file;
    return 0;
}

int weir_cli_parse(struct weir_cli *cli, int argc, char *const *argv)
{
    enum { OPT_MODE = 256 }; /* above all characters: what does nothing but set a mode, by its number */
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'},
        {"check", no_argument, NULL, OPT_MODE + WEIR_CLI_CHECK},
        {"print-config", no_argument, NULL, OPT_MODE + WEIR_CLI_PRINT_CONFIG},
        {"print-schema", no_argument, NULL, OPT_MODE + WEIR_CLI_PRINT_SCHEMA},
        {"print-docs", no_argument, NULL, OPT_MODE + WEIR_CLI_PRINT_DOCS},
        {"print-metrics", no_argument, NULL, OPT_MODE + WEIR_CLI_PRINT_METRICS},
        {"print-paths", no_argument, NULL, OPT_MODE + WEIR_CLI_PRINT_PATHS},
        {"help", no_argument, NULL, OPT_MODE + WEIR_CLI_HELP},
        {"version", no_argument, NULL, OPT_MODE + WEIR_CLI_VERSION},
        {NULL, 0, NULL, 0},
    };
    *cli = (struct weir_cli){0};
    int code = 0, opt;
    optind = 0; /* glibc: begin anew, also when an earlier call stopped half-way */
    while (code == 0 && (opt = getopt_long(argc, argv, "c:hV", options, NULL)) != -1) {
        switch (opt) {
        case 'c':
            code = config_set(cli, optarg);
            break;
        case 'h':
            code = mode_set(cli, WEIR_CLI_HELP);
            break;
        case 'V':
            code = mode_set(cli, WEIR_CLI_VERSION);
            break;
        default: /* below them: getopt_long has said why */
            code = opt >= OPT_MODE ? mode_set(cli, (enum weir_cli_mode)(opt - OPT_MODE)) : usage_error();
        }
    }
    if (code != 0)
        return code;
    if (optind < argc) {
        fprintf(stderr, "weir-node: unexpected argument '%s'\n", argv[optind]);
        return usage_error();
    }
    if (needs_config(cli->mode) && cli->config_file == NULL) {
        fputs("weir-node: no configuration: -c FILE\n", stderr);
        return usage_error();
    }
    return 0;
}

/* Writes the text to standard output, and closes the buffer. */
static int text_put(struct weir_textbuf *text)
{
    int code = WEIR_EXIT_DONE;
    if (text->failed) {
        fputs("weir-node: out of memory\n", stderr);
        code = WEIR_EXIT_FAILED;
    } else if (fwrite(text->ptr, 1, text->len, stdout) != text->len || fflush(stdout) != 0) {
        fprintf(stderr, "weir-node: cannot write: %s\n", strerror(errno));
        code = WEIR_EXIT_FAILED;
    }
    weir_textbuf_close(text);
    return code;
}

static void print_problem(const struct weir_err *problem)
{
    fprintf(stderr, "weir-node: %s\n", problem->msg);
}

/* Certificates, keys and authorities are read as at a start: a reload with a wrong one would change nothing. */
static int check_tls(const struct weir_config *c)
{
    struct weir_err err = {0};
    if (weir_tls_setup_check(c, print_problem, &err) == 0)
        return WEIR_EXIT_DONE;
    return err.code == WEIR_ENOMEM ? WEIR_EXIT_FAILED : WEIR_EXIT_USAGE;
}

static int run_check(const struct weir_cli *cli)
{
    struct weir_config *c = NULL;
    struct weir_config_problems problems = {0};
    int code = weir_config_file_load(&c, cli->config_file, &problems);
    weir_config_problems_print("weir-node", &problems);
    weir_config_problems_reset(&problems);
    if (code != WEIR_OK)
        return code == WEIR_EINVAL ? WEIR_EXIT_USAGE : WEIR_EXIT_FAILED;
    if (cli->mode == WEIR_CLI_PRINT_CONFIG) {
        struct weir_textbuf text;
        weir_textbuf_init(&text, OUTPUT_BYTES_MAX);
        weir_config_print(c, &text);
        code = text_put(&text);
    } else {
        code = check_tls(c);
        if (code == WEIR_EXIT_DONE)
            printf("%s is valid\n", cli->config_file);
    }
    weir_config_free(&c);
    return code;
}

int weir_cli_run_offline(const struct weir_cli *cli)
{
    struct weir_textbuf text;
    weir_textbuf_init(&text, OUTPUT_BYTES_MAX);
    switch (cli->mode) {
    case WEIR_CLI_RUN:
        return -1;
    case WEIR_CLI_CHECK:
    case WEIR_CLI_PRINT_CONFIG:
        return run_check(cli);
    case WEIR_CLI_PRINT_SCHEMA:
        text.failed = !weir_config_print_schema(&text);
        return text_put(&text);
    case WEIR_CLI_PRINT_DOCS:
        weir_config_print_docs(&text);
        return text_put(&text);
    case WEIR_CLI_PRINT_METRICS:
        weir_metrics_print_docs(&text);
        return text_put(&text);
    case WEIR_CLI_PRINT_PATHS:
        weir_admin_print_map(&text);
        return text_put(&text);
    case WEIR_CLI_HELP:
        weir_textbuf_str(&text, usage);
        weir_textbuf_str(&text, help);
        return text_put(&text);
    default:
        weir_textbuf_str(&text, "weir-node " WEIR_VERSION "\n");
        return text_put(&text);
    }
}
