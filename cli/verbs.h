/* The verbs and options of weirctl as tables: what is parsed, what --help says and what shells complete all come from
 * here, so that none of them can lack what another has. */
#ifndef WEIR_CLI_VERBS_H
#define WEIR_CLI_VERBS_H

#include <stddef.h>
#include <stdint.h>

/* X(id, name). In the order in which --help lists them. */
#define CTL_VERB_MAP(X)       \
    X(STATUS, "status")       \
    X(NODES, "nodes")         \
    X(SHARDS, "shards")       \
    X(POOLS, "pools")         \
    X(BREAKERS, "breakers")   \
    X(LIMITS, "limits")       \
    X(HINTS, "hints")         \
    X(ALERTS, "alerts")       \
    X(EVENTS, "events")       \
    X(REBALANCE, "rebalance") \
    X(DRAIN, "drain")         \
    X(UNDRAIN, "undrain")     \
    X(BREAKER, "breaker")     \
    X(RELOAD, "reload")       \
    X(CONFIG, "config")       \
    X(DOCTOR, "doctor")       \
    X(REPORT, "report")       \
    X(BENCH, "bench")         \
    X(TOP, "top")             \
    X(TUNE, "tune")           \
    X(COMPLETION, "completion")

#define CTL_VERB_ENUM(id, name) CTL_##id,
enum ctl_verb { CTL_VERB_MAP(CTL_VERB_ENUM) CTL_VERBS };
#undef CTL_VERB_ENUM

/* X(id, long name, letter or 0, argument or NULL, what the argument is, member of struct ctl_options, lowest and
 * highest number, what it does). */
#define CTL_OPTION_MAP(X)                                                                                        \
    X(NODE, "node", 0, "URL", TEXT, node, 0, 0, "the node to ask; default $WEIR_NODE, else " CTL_NODE_DEFAULT)   \
    X(REDIS, "redis", 0, "URL", TEXT, redis, 0, 0,                                                               \
      "the store to ask in place of a node; default $WEIR_REDIS (--node wins over it), else none")               \
    X(CLUSTER, "cluster", 0, "NAME", TEXT, cluster, 0, 0,                                                        \
      "with --redis: which cluster; default $WEIR_CLUSTER, else default")                                        \
    X(OUTPUT, "output", 'o', "FORM", OUTPUT, output, 0, 0, "table, wide, json or yaml; default table")           \
    X(TOKEN_FILE, "token-file", 0, "FILE", FILE, token_file, 0, 0,                                               \
      "holds the node's admin token; default $WEIR_ADMIN_TOKEN")                                                 \
    X(CA_FILE, "ca-file", 0, "FILE", FILE, ca_file, 0, 0,                                                        \
      "authorities for https:// and rediss:// (PEM); default the system's")                                      \
    X(TIMEOUT, "timeout", 0, "SECONDS", NUMBER, timeout_s, 0.001, 3600, "for one question; default 5")           \
    X(HELP, "help", 'h', NULL, FLAG, help, 0, 0, "print this; after a verb: what it does")                       \
    X(VERSION, "version", 'V', NULL, FLAG, version, 0, 0, "print the version")                                   \
    X(COUNT, "count", 'n', "N", COUNT, count, 0, 1000, "so many of the last ones; default 20")                   \
    X(FOLLOW, "follow", 'f', NULL, FLAG, follow, 0, 0, "go on with what happens, until interrupted")             \
    X(DRY_RUN, "dry-run", 0, NULL, FLAG, dry_run, 0, 0, "say what would be done, and do nothing")                \
    X(WAIT, "wait", 0, NULL, FLAG, wait, 0, 0, "until no shard and no request is left")                          \
    X(OVER, "over", 0, "SECONDS", NUMBER, over_s, 0.1, 3600, "how long it is looked at; default 5")              \
    X(SINCE, "since", 0, "TIME", TEXT, since, 0, 0, "how far back: 7d, 24h, 30m, 90s; default 7d")               \
    X(REQUESTS, "requests", 0, "N", COUNT, requests, 1, 1000000, "so many; default 200")                         \
    X(CLIENTS, "clients", 0, "N", COUNT, clients, 1, 1000, "so many at a time; default 10")                      \
    X(SESSIONS, "sessions", 0, "N", COUNT, sessions, 1, 1000000, "of so many sessions in turn, by x-session-id") \
    X(DATA, "data", 0, "FILE", FILE, data_file, 0, 0, "is POSTed, as JSON; without it: GET")                     \
    X(NO_KEEPALIVE, "no-keepalive", 0, NULL, FLAG, no_keepalive, 0, 0, "a new connection for each request")      \
    X(INTERVAL, "interval", 0, "SECONDS", NUMBER, interval_s, 0.1, 3600, "between two looks; default 2")         \
    X(RPS, "rps", 0, "R", NUMBER, rps, 0, 1e9, "requests a second that the pool is to carry")                    \
    X(LATENCY, "latency", 0, "MS", NUMBER, latency_ms, 0, 1e9, "mean time of a response, in milliseconds")       \
    X(NETWORK_LATENCY, "network-latency", 0, "SECONDS", NUMBER, network_latency_s, 0, 3600,                      \
      "time to reach the provider, in seconds")                                                                  \
    X(PROVIDER_TIMEOUT, "provider-timeout", 0, "SECONDS", NUMBER, provider_timeout_s, 0, 86400,                  \
      "the provider's own limit to an answer, in seconds")

#define CTL_OPTION_ENUM(id, ...) CTL_OPT_##id,
enum ctl_option_id { CTL_OPTION_MAP(CTL_OPTION_ENUM) CTL_OPTIONS };
#undef CTL_OPTION_ENUM
/* The first ones are every verb's. */
#define CTL_OPTIONS_GENERAL CTL_OPT_COUNT

#define CTL_BIT(id) (UINT64_C(1) << CTL_OPT_##id)

enum ctl_argument_kind { CTL_ARG_TEXT, CTL_ARG_FILE, CTL_ARG_OUTPUT, CTL_ARG_NUMBER, CTL_ARG_COUNT, CTL_ARG_FLAG };

struct ctl_option_row {
    const char *name;
    char letter;          /* 0: none */
    const char *argument; /* NULL: none */
    enum ctl_argument_kind kind;
    size_t offset; /* in struct ctl_options; of `const char *`, `enum ctl_output`, `double`, `unsigned` or `bool` */
    double lowest, highest;
    const char *what;
};
extern const struct ctl_option_row ctl_options_table[CTL_OPTIONS];

#define CTL_ARGUMENTS_MAX 3u

struct ctl_verb_row {
    const char *page;      /* of the node's, that is shown; NULL: the verb does something else */
    const char *what;      /* in a line of the list of verbs */
    const char *details;   /* what a reader has to know besides; whole lines */
    uint64_t options;      /* bits of its own options */
    const char *node_only; /* why the store cannot be asked in place of a node; NULL: it can, or nobody is asked */
    const char *arguments; /* as --help shows them, a line for each way; NULL: none */
    unsigned arguments_min, arguments_max;
    const char *choices; /* the words that its first argument can be, separated by spaces; NULL: any */
};
extern const struct ctl_verb_row ctl_verbs[CTL_VERBS];

const char *ctl_verb_name(enum ctl_verb v);
/* The verb of that name, or -1. */
int ctl_verb_find(const char *name);

#endif
