/* The command line of weirctl: what is to be asked, of whom, and how the answer is shown. */
#ifndef WEIR_CLI_OPTIONS_H
#define WEIR_CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/exit.h"

#define CTL_NODE_DEFAULT    "http://127.0.0.1:8000"
#define CTL_TIMEOUT_MS      5000u
#define CTL_TIMEOUT_MS_MAX  3600000u
#define CTL_EVENTS_DEFAULT  20u
#define CTL_TOKEN_BYTES_MAX ((size_t)4096)

/* X(id, name, page of the node's, what it shows) */
#define CTL_VERB_MAP(X)                                                                               \
    X(STATUS, "status", "/api/cluster/state", "the cluster and this node's place in it")              \
    X(NODES, "nodes", "/api/cluster/nodes", "the nodes: whether they live, their load, their shards") \
    X(SHARDS, "shards", "/api/cluster/shards", "the shard map: which node owns which shards")         \
    X(BREAKERS, "breakers", "/api/cluster/breakers", "the circuits of all endpoints")                 \
    X(LIMITS, "limits", "/api/cluster/limits", "the rate limits and what is left of them")            \
    X(EVENTS, "events", "/api/cluster/events", "what has happened in the cluster, and what does")

#define CTL_VERB_ENUM(id, name, page, what) CTL_##id,
enum ctl_verb { CTL_VERB_MAP(CTL_VERB_ENUM) CTL_VERBS };
#undef CTL_VERB_ENUM

enum ctl_output { CTL_TABLE, CTL_WIDE, CTL_JSON, CTL_YAML };

struct ctl_options {
    enum ctl_verb verb;
    enum ctl_output output;
    const char *node;       /* URL */
    const char *token_file; /* NULL: none */
    const char *token;      /* from the environment; NULL: none */
    const char *ca_file;    /* NULL: the system's authorities */
    uint64_t timeout_ms;    /* of one question */
    unsigned count;         /* events */
    bool follow;
};

/* Reads arguments and environment (`env`, as getenv). Returns -1 to go on, else the exit code: WEIR_EXIT_DONE after
 * --help and --version, WEIR_EXIT_USAGE after saying on standard error what is wrong. Text points into argv and the
 * environment. */
int ctl_options_parse(struct ctl_options *o, int argc, char *const *argv, char *(*env)(const char *name));

const char *ctl_verb_page(enum ctl_verb v);
const char *ctl_verb_name(enum ctl_verb v);

#endif
