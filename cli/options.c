#include "cli/options.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/coord.h"

static const struct verb {
    const char *name, *page, *what;
} verbs[] = {
#define VERB(id, name, page, what) {name, page, what},
    CTL_VERB_MAP(VERB)
#undef VERB
};

static const char *const outputs[] = {"table", "wide", "json", "yaml"};

static const char usage[] = "usage: weirctl [OPTION]... VERB [OPTION]...\n"
                            "       weirctl --help | --version\n";

static const char general[] =
    "      --node URL         the node to ask; default $WEIR_NODE, else " CTL_NODE_DEFAULT "\n"
    "  -o, --output FORM      table, wide, json or yaml; default table\n"
    "      --token-file FILE  holds the node's admin token; default $WEIR_ADMIN_TOKEN\n"
    "      --ca-file FILE     authorities for https:// (PEM); default the system's\n"
    "      --timeout SECONDS  for one question; default 5\n"
    "  -h, --help             print this; after a verb: what it shows\n"
    "  -V, --version          print the version\n";

static const char of_events[] = "  -n, --count N          so many of the last ones, at most 1000; default 20\n"
                                "  -f, --follow           go on with what happens, until interrupted\n";

static const char endings[] =
    "\nExit codes: 0 done, 1 failed, 2 wrong usage, 3 the node, or the cluster's store, cannot be reached.\n";

/* What a reader of the table has to know, by verb. */
static const char *const details[] = {
    [CTL_STATUS] = "The exit code is 3 when the node has no contact to the cluster's store.\n",
    [CTL_NODES] = "As the asked node sees them; it is marked with a star. `wide` adds addresses and loads.\n",
    [CTL_SHARDS] =
        "Owners in force: a shard whose owner is gone shows the one that stands in. `wide` lists all ranges.\n",
    [CTL_BREAKERS] = "Open: the endpoint is not asked. Half open: one request at a time sees whether it is well.\n",
    [CTL_LIMITS] = "Requests a minute, over all nodes. `share`: the store is away and each node keeps to its part.\n",
    [CTL_EVENTS] = "The oldest first. With --follow `json` prints one event a line.\n",
};

static void print_help(void)
{
    printf("%s\nShows a cluster of weir nodes, as one of them sees it.\n\nVerbs:\n", usage);
    for (size_t i = 0; i < CTL_VERBS; i++)
        printf("  %-10s %s\n", verbs[i].name, verbs[i].what);
    printf("\nOptions:\n%s\nOptions of events:\n%s%s", general, of_events, endings);
}

static void print_verb_help(enum ctl_verb v)
{
    printf("usage: weirctl [OPTION]... %s [OPTION]...\n\nShows %s.\n%s\nOptions:\n%s%s%s", verbs[v].name, verbs[v].what,
           details[v], v == CTL_EVENTS ? of_events : "", general, endings);
}

static int wrong(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static int wrong(const char *fmt, ...)
{
    va_list ap;
    fputs("weirctl: ", stderr);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fprintf(stderr, "\n%sTry weirctl --help.\n", usage);
    return WEIR_EXIT_USAGE;
}

static int set_output(struct ctl_options *o, const char *text)
{
    for (unsigned i = 0; i < sizeof outputs / sizeof outputs[0]; i++)
        if (strcmp(text, outputs[i]) == 0) {
            o->output = (enum ctl_output)i;
            return 0;
        }
    return wrong("--output %s: not one of table, wide, json, yaml", text);
}

static int set_timeout(struct ctl_options *o, const char *text)
{
    char *end;
    double seconds = strtod(text, &end);
    if (end == text || *end != '\0' || !(seconds >= 0.001) || seconds * 1000 > CTL_TIMEOUT_MS_MAX)
        return wrong("--timeout %s: not a number of seconds between 0.001 and 3600", text);
    o->timeout_ms = (uint64_t)(seconds * 1000);
    return 0;
}

static int set_count(struct ctl_options *o, const char *text)
{
    uint64_t n;
    if (!weir_str_to_u64(weir_str_of(text), &n) || n > WEIR_COORD_EVENTS_KEPT)
        return wrong("--count %s: not a number up to 1000", text);
    o->count = (unsigned)n;
    return 0;
}

/* -1: none of that name. */
static int find_verb(const char *name)
{
    for (int i = 0; i < CTL_VERBS; i++)
        if (strcmp(name, verbs[i].name) == 0)
            return i;
    return -1;
}

enum { OPT_NODE = 256, OPT_TOKEN_FILE, OPT_CA_FILE, OPT_TIMEOUT };

struct seen {
    bool help, version, events_only;
};

static int set_option(struct ctl_options *o, struct seen *seen, int opt, const char *value)
{
    switch (opt) {
    case OPT_NODE:
        o->node = value;
        return 0;
    case OPT_TOKEN_FILE:
        o->token_file = value;
        return 0;
    case OPT_CA_FILE:
        o->ca_file = value;
        return 0;
    case OPT_TIMEOUT:
        return set_timeout(o, value);
    case 'o':
        return set_output(o, value);
    case 'n':
        seen->events_only = true;
        return set_count(o, value);
    case 'f':
        seen->events_only = o->follow = true;
        return 0;
    case 'h':
        seen->help = true;
        return 0;
    case 'V':
        seen->version = true;
        return 0;
    default: /* getopt_long has said why */
        fprintf(stderr, "%sTry weirctl --help.\n", usage);
        return WEIR_EXIT_USAGE;
    }
}

static int set_verb(struct ctl_options *o, const struct seen *seen, int argc, char *const *argv)
{
    if (optind == argc)
        return wrong("a verb is missing: status, nodes, shards, breakers, limits or events");
    int verb = find_verb(argv[optind]);
    if (verb < 0)
        return wrong("'%s' is not a verb of weirctl", argv[optind]);
    o->verb = (enum ctl_verb)verb;
    if (optind + 1 < argc)
        return wrong("unexpected argument '%s'", argv[optind + 1]);
    if (seen->events_only && o->verb != CTL_EVENTS)
        return wrong("--count and --follow are for events, not for %s", verbs[verb].name);
    return 0;
}

int ctl_options_parse(struct ctl_options *o, int argc, char *const *argv, char *(*env)(const char *name))
{
    static const struct option options[] = {{"node", required_argument, NULL, OPT_NODE},
                                            {"output", required_argument, NULL, 'o'},
                                            {"token-file", required_argument, NULL, OPT_TOKEN_FILE},
                                            {"ca-file", required_argument, NULL, OPT_CA_FILE},
                                            {"timeout", required_argument, NULL, OPT_TIMEOUT},
                                            {"count", required_argument, NULL, 'n'},
                                            {"follow", no_argument, NULL, 'f'},
                                            {"help", no_argument, NULL, 'h'},
                                            {"version", no_argument, NULL, 'V'},
                                            {NULL, 0, NULL, 0}};
    const char *node = env("WEIR_NODE"), *token = env("WEIR_ADMIN_TOKEN");
    *o = (struct ctl_options){.node = node != NULL && *node != '\0' ? node : CTL_NODE_DEFAULT,
                              .token = token != NULL && *token != '\0' ? token : NULL,
                              .timeout_ms = CTL_TIMEOUT_MS,
                              .count = CTL_EVENTS_DEFAULT};
    struct seen seen = {0};
    int code = 0, opt;
    optind = 0; /* glibc: begin anew, also when an earlier call stopped half-way */
    while (code == 0 && (opt = getopt_long(argc, argv, "o:n:fhV", options, NULL)) != -1)
        code = set_option(o, &seen, opt, optarg);
    if (code != 0)
        return code;
    if (seen.version) {
        puts("weirctl " WEIR_VERSION);
        return WEIR_EXIT_DONE;
    }
    int verb = optind < argc ? find_verb(argv[optind]) : -1;
    if (seen.help) {
        if (verb >= 0)
            print_verb_help((enum ctl_verb)verb);
        else
            print_help();
        return WEIR_EXIT_DONE;
    }
    code = set_verb(o, &seen, argc, argv);
    return code == 0 ? -1 : code;
}

const char *ctl_verb_page(enum ctl_verb v)
{
    return verbs[v].page;
}

const char *ctl_verb_name(enum ctl_verb v)
{
    return verbs[v].name;
}
