/* The command line of weirctl: what is to be done, who is asked, and how the answer is shown. */
#ifndef WEIR_CLI_OPTIONS_H
#define WEIR_CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cli/verbs.h"
#include "core/exit.h"

#define CTL_NODE_DEFAULT     "http://127.0.0.1:8000"
#define CTL_TIMEOUT_S        5.0
#define CTL_CLUSTER_DEFAULT  "default"
#define CTL_OVER_S           5.0
#define CTL_INTERVAL_S       2.0
#define CTL_REQUESTS_DEFAULT 200u
#define CTL_CLIENTS_DEFAULT  10u
#define CTL_EVENTS_DEFAULT   20u
#define CTL_TOKEN_BYTES_MAX  ((size_t)4096)

enum ctl_output { CTL_TABLE, CTL_WIDE, CTL_JSON, CTL_YAML };

struct ctl_options {
    enum ctl_verb verb;
    enum ctl_output output;
    const char *node;       /* URL */
    const char *redis;      /* URL of the store, which is asked instead; NULL: the node is */
    const char *cluster;    /* whose part of the store */
    const char *token_file; /* NULL: none */
    const char *token;      /* from the environment; NULL: none */
    const char *ca_file;    /* NULL: the system's authorities */
    double timeout_s;       /* of one question */
    uint64_t timeout_ms;    /* the same */
    bool help, version;
    uint64_t given;                           /* bits of the options on the command line */
    const char *arguments[CTL_ARGUMENTS_MAX]; /* behind the verb; NULL: not given */
    /* Of single verbs, as the table of options has them. */
    unsigned count;
    bool follow, dry_run, wait, no_keepalive;
    unsigned requests, clients, sessions;
    const char *since, *data_file;
    double over_s, interval_s;
    double rps, latency_ms, network_latency_s, provider_timeout_s;
};

/* Reads arguments and environment (`env`, as getenv). Returns -1 to go on, else the exit code: WEIR_EXIT_DONE after
 * --help and --version, WEIR_EXIT_USAGE after saying on standard error what is wrong. Text points into argv and the
 * environment. */
int ctl_options_parse(struct ctl_options *o, int argc, char *const *argv, char *(*env)(const char *name));

#endif
