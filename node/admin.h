/* weir's own paths. Workers answer whether the node lives and is ready; everything else goes to control as a message
 * and comes back as a finished text. /health and what is below it is for everybody, the rest for whoever has the admin
 * token or comes from a network in server.admin.allow. */
#ifndef WEIR_NODE_ADMIN_H
#define WEIR_NODE_ADMIN_H

#include "core/snapshot.h"
#include "core/textbuf.h"
#include "node/alerts.h"
#include "node/node.h"
#include "node/request.h"

/* X(id, path, open to everybody, methods) */
#define WEIR_ADMIN_MAP(X)                                            \
    X(LIVE, "/health/live", true, "GET, HEAD")                       \
    X(READY, "/health/ready", true, "GET, HEAD")                     \
    X(HEALTH, "/health", true, "GET, HEAD")                          \
    X(CONNECTIONS, "/health/connections", true, "GET, HEAD")         \
    X(PROVIDERS, "/health/providers", true, "GET, HEAD")             \
    X(CIRCUIT, "/health/circuit-breaker", true, "GET, HEAD")         \
    X(METRICS, "/metrics", false, "GET, HEAD")                       \
    X(PROMETHEUS, "/metrics/prometheus", false, "GET, HEAD")         \
    X(POOL_STATS, "/api/http-client/pool/stats", false, "GET, HEAD") \
    X(ALERTS, "/api/alerts", false, "GET, HEAD")                     \
    X(LATENCY, "/debug/network/latency", false, "GET, HEAD")         \
    X(MEMORY_POOL, "/debug/memory/pool", false, "GET, HEAD")         \
    X(MEMORY_GC, "/debug/memory/gc", false, "GET, HEAD, POST")

#define WEIR_ADMIN_ENUM(id, path, open, methods) WEIR_ADMIN_##id,
enum weir_admin_page { WEIR_ADMIN_MAP(WEIR_ADMIN_ENUM) WEIR_ADMIN_NONE };
#undef WEIR_ADMIN_ENUM

/* A question to control; the same message brings the answer back. */
struct weir_admin_call {
    struct weir_message message; /* first */
    struct weir_worker *worker;
    struct weir_request *request; /* the worker's; NULL: it has gone away. Control does not look at it */
    enum weir_admin_page page;
    bool post;
    unsigned status;
    const char *content_type;
    struct weir_textbuf text;
};

/* What control answers from. */
struct weir_admin_sources {
    const struct weir_snapshot *snapshot;
    const struct weir_node *node;
    const struct weir_view *view;
    const struct weir_alerting *alerting;
};

/* On control: fills in the answer; then weir_admin_return. */
void weir_admin_render(struct weir_admin_call *call, const struct weir_admin_sources *from);
/* On control: sends it back to its worker, which owns it again. */
void weir_admin_return(struct weir_admin_call *call);

#endif
