/* weir's own paths. Workers answer whether the node lives and is ready, and the page for people, which does not change;
 * everything else goes to control as a message and comes back as a finished text. /health and what is below it is for
 * everybody, the rest for whom node/admin_auth.h lets in. */
#ifndef WEIR_NODE_ADMIN_H
#define WEIR_NODE_ADMIN_H

#include "core/snapshot.h"
#include "core/textbuf.h"
#include "node/alerts.h"
#include "node/event_feed.h"
#include "node/node.h"
#include "node/request.h"

/* X(id, path, open to everybody, methods) */
#define WEIR_ADMIN_MAP(X)                                              \
    X(LIVE, "/health/live", true, "GET, HEAD")                         \
    X(READY, "/health/ready", true, "GET, HEAD")                       \
    X(HEALTH, "/health", true, "GET, HEAD")                            \
    X(CONNECTIONS, "/health/connections", true, "GET, HEAD")           \
    X(PROVIDERS, "/health/providers", true, "GET, HEAD")               \
    X(CIRCUIT, "/health/circuit-breaker", true, "GET, HEAD")           \
    X(METRICS, "/metrics", false, "GET, HEAD")                         \
    X(PROMETHEUS, "/metrics/prometheus", false, "GET, HEAD")           \
    X(POOL_STATS, "/api/http-client/pool/stats", false, "GET, HEAD")   \
    X(ALERTS, "/api/alerts", false, "GET, HEAD")                       \
    X(CLUSTER_STATE, "/api/cluster/state", false, "GET, HEAD")         \
    X(CLUSTER_NODES, "/api/cluster/nodes", false, "GET, HEAD")         \
    X(CLUSTER_SHARDS, "/api/cluster/shards", false, "GET, HEAD")       \
    X(CLUSTER_MAP, "/api/cluster/map", false, "GET, HEAD")             \
    X(CLUSTER_BREAKERS, "/api/cluster/breakers", false, "GET, HEAD")   \
    X(CLUSTER_LIMITS, "/api/cluster/limits", false, "GET, HEAD")       \
    X(CLUSTER_EVENTS, "/api/cluster/events", false, "GET, HEAD")       \
    X(CLUSTER_HINTS, "/api/cluster/hints", false, "GET, HEAD")         \
    X(CLUSTER_ANALYTICS, "/api/cluster/analytics", false, "GET, HEAD") \
    X(NODE_DRAIN, "/api/node/drain", false, "POST")                    \
    X(NODE_UNDRAIN, "/api/node/undrain", false, "POST")                \
    X(NODE_RELOAD, "/api/node/reload", false, "POST")                  \
    X(BREAKER_OPEN, "/api/breaker/open", false, "POST")                \
    X(BREAKER_CLOSE, "/api/breaker/close", false, "POST")              \
    X(BREAKER_RESET, "/api/breaker/reset", false, "POST")              \
    X(CLUSTER_REBALANCE, "/api/cluster/rebalance", false, "POST")      \
    X(OVERVIEW, "/api/cluster/overview", false, "GET, HEAD")           \
    X(DASHBOARD, "/dashboard", false, "GET, HEAD")                     \
    X(LATENCY, "/debug/network/latency", false, "GET, HEAD")           \
    X(MEMORY_POOL, "/debug/memory/pool", false, "GET, HEAD")           \
    X(MEMORY_GC, "/debug/memory/gc", false, "GET, HEAD, POST")

/* The map as text: a path, its methods, and "open" or "admin" on each line, with tabs between them. */
void weir_admin_print_map(struct weir_textbuf *out);

#define WEIR_ADMIN_ENUM(id, path, open, methods) WEIR_ADMIN_##id,
enum weir_admin_page { WEIR_ADMIN_MAP(WEIR_ADMIN_ENUM) WEIR_ADMIN_NONE };
#undef WEIR_ADMIN_ENUM

/* Why control does not do what an operator asks for. */
enum weir_admin_refusal {
    WEIR_ADMIN_DONE,
    WEIR_ADMIN_NO_NODE,    /* of that id */
    WEIR_ADMIN_NO_CIRCUIT, /* of that endpoint */
    WEIR_ADMIN_STORE_AWAY, /* another node cannot be told */
    WEIR_ADMIN_ENDS,       /* the node ends already */
    WEIR_ADMIN_NO_CLUSTER, /* the node is in none */
    WEIR_ADMIN_BAD_CONFIG, /* the file has errors */
};
/* "http://host:port" is the longest thing that is named. */
#define WEIR_ADMIN_TARGET_MAX WEIR_ENDPOINT_ID_MAX

/* Of the events, where the question does not say (n). */
#define WEIR_ADMIN_EVENTS_DEFAULT 100u

/* A question to control; the same message brings the answer back. */
struct weir_admin_call {
    struct weir_message message; /* first */
    struct weir_worker *worker;
    struct weir_request *request; /* the worker's; NULL: it has gone away. Control does not look at it */
    enum weir_admin_page page;
    bool post;
    struct {
        bool follow;    /* text/event-stream is asked for */
        uint64_t after; /* Last-Event-ID; 0: none */
        size_t count;   /* n */
    } events;
    char target[WEIR_ADMIN_TARGET_MAX + 1]; /* POST: ?node= or ?endpoint=; "": not given */
    enum weir_admin_refusal refusal;
    char why[512]; /* a sentence, of a refusal */
    unsigned status;
    const char *content_type;
    struct weir_textbuf text;
    struct weir_list waiting;             /* control's: in its list of lookers */
    struct weir_event_follower *follower; /* the answer goes on behind the text; the request's reference */
};

struct weir_overview;

/* What control answers from. */
struct weir_admin_sources {
    const struct weir_snapshot *snapshot;
    const struct weir_node *node;
    const struct weir_view *view;
    const struct weir_alerting *alerting;
    struct weir_event_feed *events;
    struct weir_overview *overview;
    uint64_t now_ms;
};

/* On control: fills in the answer; then weir_admin_return. */
void weir_admin_render(struct weir_admin_call *call, const struct weir_admin_sources *from);
/* On control: answers from what is kept of an answer to the same question. False: there is none. */
bool weir_admin_recall(struct weir_admin_call *call, const struct weir_overview *kept, uint64_t now_ms);
/* On control: sends it back to its worker, which owns it again. */
void weir_admin_return(struct weir_admin_call *call);

#endif
