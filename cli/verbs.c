#include "cli/verbs.h"

#include <string.h>

#include "cli/options.h"

const struct ctl_option_row ctl_options_table[CTL_OPTIONS] = {
#define OPTION(id, name, letter, argument, kind, member, lowest, highest, what) \
    {name, letter, argument, CTL_ARG_##kind, offsetof(struct ctl_options, member), lowest, highest, what},
    CTL_OPTION_MAP(OPTION)
#undef OPTION
};

const struct ctl_verb_row ctl_verbs[CTL_VERBS] = {
    [CTL_STATUS] = {.page = "/api/cluster/state",
                    .what = "the cluster and this node's place in it",
                    .details =
                        "Says which coordinator leads now, and for how long if its lease is not renewed; the map "
                        "may be by an earlier one.\nThe exit code is 3 when the node has no contact to the "
                        "cluster's store.\n"},
    [CTL_NODES] = {.page = "/api/cluster/nodes",
                   .what = "the nodes: whether they live, their load, their shards",
                   .details =
                       "As the asked node sees them; it is marked with a star (*). `wide` adds addresses and loads.\n"},
    [CTL_SHARDS] = {.page = "/api/cluster/shards",
                    .what = "the shard map: which node owns which shards",
                    .details =
                        "Owners in force: a shard whose owner is gone shows the one that stands in. `wide` lists "
                        "all ranges.\n"},
    [CTL_POOLS] = {.page = "/api/http-client/pool/stats",
                   .what = "the asked node's connections to each provider",
                   .details = "USED is the share of the limit in force that is busy: from 70 % it is tight, from 85 % "
                              "too small.\n`wide` adds what was opened, closed, lost and reused since the start.\n",
                   .node_only = "pools are asked of a node, the store does not hold them"},
    [CTL_BREAKERS] = {.page = "/api/cluster/breakers",
                      .what = "the circuits of all endpoints",
                      .details = "Open: the endpoint is not asked. Half open: one request at a time sees whether it is "
                                 "well.\nNEXT IN is the time until an open one lets such a request through; now: the "
                                 "next request is this one.\nFAILED HERE counts failures in a row that the asked node "
                                 "has met itself: what opened a circuit may have\nbefallen others.\n"},
    [CTL_LIMITS] =
        {.page = "/api/cluster/limits",
         .what = "the rate limits and what is left of them",
         .details =
             "REQ/MIN and BURST are for all nodes together. HERE is what the asked node has fetched of it and not "
             "yet spent,\nLEFT what the store had left for all when it said so last; without a cluster, what is "
             "left at the node.\nMODE degraded: the store is away, and each node keeps to its SHARE (`wide`).\n",
         .node_only = "limits are asked of a node, the store does not hold them"},
    [CTL_HINTS] = {.page = "/api/cluster/hints",
                   .what = "what the coordinator expects and advises",
                   .details = "PEAK is the middle of what is expected, UP TO what nine of ten times suffices.\nPOOL "
                              "NOW is what the load of now needs of connections in the whole cluster, AHEAD what is "
                              "expected does.\nThe exit code is 1 while there is no valid hint.\n"},
    [CTL_ALERTS] = {.page = "/api/alerts",
                    .what = "the asked node's alerts that fire or are about to",
                    .details = "`wide` lists those at rest, too.\n",
                    .node_only = "alerts are asked of a node, the store does not hold them"},
    [CTL_EVENTS] = {.page = "/api/cluster/events",
                    .what = "what has happened in the cluster, and what does",
                    .details = "The oldest first. With --follow `json` prints one event a line.\n",
                    .options = CTL_BIT(COUNT) | CTL_BIT(FOLLOW)},
    [CTL_REBALANCE] = {.what = "has shards moved now; or says which would move, and why",
                       .details =
                           "The leading coordinator moves shards by itself, with a pause after each round and as soon "
                           "as a difference is\nlarge enough; this asks it for a round at once, in which every "
                           "difference counts, and waits for what comes of it.\nWith --dry-run it says "
                           "instead what that round would do with the nodes and loads that the asked node sees, or "
                           "why it would move\nnothing. `wide` lists each move.\n",
                       .options = CTL_BIT(DRY_RUN)},
    [CTL_DRAIN] = {.what = "empties a node: its shards go to the others, and it serves on",
                   .details =
                       "Its /health/ready is 503 from then on, so that load balancers leave it out. It is as well "
                       "as before: undrain\nhas it take part again, and its end loses nothing.\n",
                   .options = CTL_BIT(WAIT),
                   .arguments = "NODE",
                   .arguments_min = 1,
                   .arguments_max = 1,
                   .node_only = "drain is told to a node, the store is only read"},
    [CTL_UNDRAIN] = {.what = "has a drained node take part again",
                     .details = "Any node of the cluster can be asked for any other.\n",
                     .arguments = "NODE",
                     .arguments_min = 1,
                     .arguments_max = 1,
                     .node_only = "undrain is told to a node, the store is only read"},
    [CTL_BREAKER] =
        {.what = "opens or closes circuits in the whole cluster",
         .details = "PROVIDER: all its endpoints; URL: one of them; weirctl breakers lists both. open: not asked for\n"
                    "recovery_timeout, then probes decide; close: asked again at once; reset: closed, and its failures "
                    "are\nforgotten. An endpoint that stands under several providers has one circuit for all of them: "
                    "the others are\nnamed (as the asked node's configuration has them).\n",
         .arguments = "open|close|reset PROVIDER|URL",
         .arguments_min = 2,
         .arguments_max = 2,
         .choices = "open close reset",
         .node_only = "breaker is told to a node, the store is only read"},
    [CTL_RELOAD] = {.what = "has the node read its configuration again",
                    .details = "The asked node's own file. One with errors changes nothing, and the exit code is 2.\n",
                    .node_only = "reload is told to a node, the store is only read"},
    [CTL_CONFIG] = {.what = "checks, prints or compares configuration files",
                    .details = "check FILE says all that is wrong, as weir-node does; print FILE shows the values in "
                               "force and where each\ncame from; diff FILE FILE shows what a reload would change. Asks "
                               "nobody.\n",
                    .arguments = "check|print FILE\ndiff FILE FILE",
                    .arguments_min = 2,
                    .arguments_max = 3,
                    .choices = "check print diff"},
    [CTL_DOCTOR] = {.what = "names what is wrong, with the evidence and what to change",
                    .details =
                        "Pool exhaustion, connection timeouts, high error rates, memory; nodes, shards, the store; and "
                        "failed checks.\nLooks at the asked node for some seconds. Lines to change are compared with "
                        "its settings: "
                        "what is set already is\nsaid instead. The exit code is 1 when something is wrong.\n",
                    .options = CTL_BIT(OVER),
                    .node_only = "the doctor looks at a node, the store does not hold what it looks for"},
    [CTL_REPORT] =
        {.what = "the figures of a review, beside their targets",
         .details = "A node's counts are those since its start, and --since bounds its events. With --redis "
                    "they are all nodes', of that time,\nas far back as the coordinator's history goes: two weeks.\n",
         .options = CTL_BIT(SINCE)},
    [CTL_BENCH] = {.what = "puts a small load on a URL and shows how long answers take",
                   .details =
                       "As many connections as --clients, kept from one request to the next. --token-file's token is "
                       "sent as a bearer\ntoken; WEIR_ADMIN_TOKEN is not. The exit code is 1 when requests fail, or "
                       "are answered with 5xx; 3 when none is\nanswered.\n",
                   .options =
                       CTL_BIT(REQUESTS) | CTL_BIT(CLIENTS) | CTL_BIT(SESSIONS) | CTL_BIT(DATA) | CTL_BIT(NO_KEEPALIVE),
                   .arguments = "URL",
                   .arguments_min = 1,
                   .arguments_max = 1},
    [CTL_TOP] = {.what = "the cluster live: nodes, pools, load and forecast",
                 .details =
                     "Keys: q quits, s sorts, r reverses, / filters by name, arrows scroll, space looks at once.\n",
                 .options = CTL_BIT(INTERVAL)},
    [CTL_TUNE] = {.what = "the pool's size and timeouts for a load",
                  .details = "Size: rps x latency / 1000 x 1.5, cut off at the point, 10 to 1000. Timeouts: connect = "
                             "max(5, 2 x network\nlatency), read = max(10, 0.8 x provider timeout), total = both + 5. "
                             "Asks nobody.\n",
                  .options = CTL_BIT(RPS) | CTL_BIT(LATENCY) | CTL_BIT(NETWORK_LATENCY) | CTL_BIT(PROVIDER_TIMEOUT)},
    [CTL_COMPLETION] = {.what = "what a shell completes weirctl by; or its manual page",
                        .details = "For bash: source <(weirctl completion bash)\n",
                        .arguments = "SHELL",
                        .arguments_min = 1,
                        .arguments_max = 1,
                        .choices = "bash zsh fish man"},
};

static const char *const names[] = {
#define NAME(id, name) name,
    CTL_VERB_MAP(NAME)
#undef NAME
};

const char *ctl_verb_name(enum ctl_verb v)
{
    return names[v];
}

int ctl_verb_find(const char *name)
{
    for (int i = 0; i < CTL_VERBS; i++)
        if (strcmp(name, names[i]) == 0)
            return i;
    return -1;
}
