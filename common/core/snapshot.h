/* What a node knows of itself at one moment, as plain data: the one input of everything that shows it (Prometheus text,
 * JSON, health, the monitor's lines). The control thread fills it; nothing here reads a clock or a counter set in use.
 */
#ifndef WEIR_CORE_SNAPSHOT_H
#define WEIR_CORE_SNAPSHOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/breaker.h"
#include "core/counters.h"

struct weir_config_http;

/* An endpoint's circuit. All zero: closed, and nothing on record. */
struct weir_circuit_snapshot {
    bool enabled;
    enum weir_breaker_phase phase;
    enum weir_breaker_reason reason; /* why it is in it; CLOSED: nothing */
    uint64_t since_ms;               /* in this phase for so long */
    uint64_t open_left_ms;           /* OPEN: until a probe is let through */
    uint64_t cooldown_left_ms;       /* the endpoint asked to be left alone for so long */
    uint32_t failures;               /* in a row */
    uint32_t probes;                 /* HALF_OPEN: under way */
};

/* An endpoint's last active check. All zero: none was made. */
struct weir_check_snapshot {
    uint64_t unix_ms;
    bool passed;
    const char *why; /* not; or NULL */
};

/* How a phrase of a failure is cut. */
#define WEIR_FAILURE_BYTES_MAX 95u

/* How an endpoint's last failed try failed. All zero: none has. */
struct weir_failure_snapshot {
    uint64_t unix_ms;
    char why[WEIR_FAILURE_BYTES_MAX + 1];
};

/* Connections and queue now. Of an endpoint: active, idle and opening are its own; pending counts waiters that only it
 * can serve (0 is fine); the limits are its provider's. */
struct weir_pool_gauges {
    uint64_t active; /* leased to requests */
    uint64_t idle;
    uint64_t opening;         /* dials under way: they hold a slot of max_connections, and count in no other number */
    uint64_t pending;         /* requests in the queue */
    uint64_t max_connections; /* the limit in force */
    uint64_t max_keepalive;
};

struct weir_endpoint_snapshot {
    const char *id; /* canonical scheme://host:port */
    struct weir_pool_gauges pool;
    struct weir_endpoint_counters counters; /* sum over workers and control */
    unsigned addresses;        /* that its name resolves to; 0: unknown yet, or the name does not resolve */
    unsigned addresses_failed; /* of those, passed over because connects to them fail */
    bool last_connect_failed;  /* the most recent connect failed and none has succeeded since */
    bool checks_failed;        /* unhealthy by its active checks */
    bool ejected;              /* passed over, by checks or by how its tries ended */
    struct weir_circuit_snapshot circuit;
    struct weir_check_snapshot check;
    struct weir_failure_snapshot failure;
};

struct weir_provider_snapshot {
    const char *name;
    struct weir_pool_gauges pool;
    struct weir_provider_counters counters; /* sum over the workers */
    uint64_t gauges[WEIR_PG_COUNT];         /* in the units of the table, or WEIR_GAUGE_NONE */
    const struct weir_endpoint_snapshot *endpoints;
    size_t endpoint_count;
    uint64_t tries_before, tries_failed_before; /* at the monitor's last look */
    const struct weir_config_http *settings;    /* its configuration in force; NULL: not told */
};

/* One of the node's own certificates. */
struct weir_certificate_snapshot {
    const char *file, *subject;
    int64_t not_after_unix_s;
};

struct weir_cluster_snapshot;

struct weir_snapshot {
    const char *node; /* the node's name */
    const char *version;
    uint64_t unix_ms;                   /* when it was taken */
    struct weir_node_counters counters; /* sum over workers and control */
    uint64_t gauges[WEIR_NG_COUNT];     /* in the units of the table: US rows in microseconds */
    const struct weir_provider_snapshot *providers;
    size_t provider_count;
    const struct weir_certificate_snapshot *certificates;
    size_t certificate_count;
    const struct weir_cluster_snapshot *cluster; /* core/cluster_snapshot.h; NULL: the node is in none */
};

/* The guide's numbers, by the guide's names; meanings in its readings. X(id, name, kind, scope, whole, help)
 * Scope in Prometheus, chosen so that sum() over a name counts nothing twice: ENDPOINT rows add up to the provider's,
 * PROVIDER rows exist once per provider (endpoint=""), BOTH are ratios that nobody adds up. */
#define WEIR_GUIDE_MAP(X)                                                                                              \
    X(MAX_KEEPALIVE, "max_keepalive_connections", GAUGE, PROVIDER, true, "Idle connections that are kept.")            \
    X(MAX_CONNECTIONS, "max_connections", GAUGE, PROVIDER, true, "Connections allowed: the limit in force.")           \
    X(ACTIVE_CONNECTIONS, "active_connections", GAUGE, ENDPOINT, true, "Connections leased to requests.")              \
    X(AVAILABLE, "available_connections", GAUGE, PROVIDER, true, "Connections idle or still allowed to be opened.")    \
    X(PENDING_REQUESTS, "pending_requests", GAUGE, PROVIDER, true, "Requests queued for a connection.")                \
    X(TOTAL_REQUESTS, "total_requests", COUNTER, ENDPOINT, true, "Requests sent upstream, retries counted.")           \
    X(ERROR_COUNT, "error_count", COUNTER, ENDPOINT, true, "Tries that failed.")                                       \
    X(AVG_RESPONSE_MS, "avg_response_time_ms", GAUGE, BOTH, false, "Mean time of a whole exchange with the provider.") \
    X(ACTIVE, "connections_active", GAUGE, ENDPOINT, true, "Connections leased to requests.")                          \
    X(IDLE, "connections_idle", GAUGE, ENDPOINT, true, "Idle connections in the pool.")                                \
    X(TOTAL, "connections_total", GAUGE, ENDPOINT, true, "Connections open: active and idle.")                         \
    X(PENDING, "connections_pending", GAUGE, PROVIDER, true, "Requests queued for a connection.")                      \
    X(CREATED, "connections_created_total", COUNTER, ENDPOINT, true, "Connections created.")                           \
    X(CLOSED, "connections_closed_total", COUNTER, ENDPOINT, true, "Connections closed.")                              \
    X(ERRORS, "connection_errors_total", COUNTER, ENDPOINT, true,                                                      \
      "Failed connects and handshakes, and connections lost in use, timeouts included.")                               \
    X(TIMEOUTS, "connection_timeouts_total", COUNTER, ENDPOINT, true, "Connects ended by the connect clock.")          \
    X(AVG_CONNECTION_MS, "avg_connection_time_ms", GAUGE, BOTH, false,                                                 \
      "Mean wait for a usable connection, reused ones counted.")                                                       \
    X(UTILIZATION, "pool_utilization_percent", GAUGE, BOTH, false, "Active connections of the limit in force.")        \
    X(POOL_UTILIZATION, "connection_pool_utilization_percent", GAUGE, BOTH, false,                                     \
      "Active connections of the limit in force.")                                                                     \
    X(ERROR_RATE, "error_rate", GAUGE, BOTH, false, "Failed tries per request sent.")                                  \
    X(REUSE_RATE, "connection_reuse_rate_percent", GAUGE, BOTH, false, "Leases served by a connection used before.")

enum weir_guide_scope { WEIR_SCOPE_PROVIDER, WEIR_SCOPE_ENDPOINT, WEIR_SCOPE_BOTH };
#define WEIR_GUIDE_ENUM(id, ...) WEIR_GUIDE_##id,
enum weir_guide_id { WEIR_GUIDE_MAP(WEIR_GUIDE_ENUM) WEIR_GUIDE_COUNT };
#undef WEIR_GUIDE_ENUM

struct weir_guide_metric {
    const char *name, *help;
    enum weir_metric_kind kind;
    enum weir_guide_scope scope;
    bool whole; /* a count, shown without a fraction */
};
extern const struct weir_guide_metric weir_guide_table[WEIR_GUIDE_COUNT];

/* Whole numbers are exact up to 2^53. */
struct weir_guide_values {
    double at[WEIR_GUIDE_COUNT];
};

/* Of one endpoint of p, of a whole provider, of all providers. */
void weir_guide_of_endpoint(struct weir_guide_values *out, const struct weir_provider_snapshot *p,
                            const struct weir_endpoint_snapshot *e);
void weir_guide_of_provider(struct weir_guide_values *out, const struct weir_provider_snapshot *p);
void weir_guide_of_node(struct weir_guide_values *out, const struct weir_snapshot *s);

/* Sets the values that come from counters anew, from counters of the caller's choice (those of a span of time); gauges
 * stay. */
void weir_guide_recount(struct weir_guide_values *out, const struct weir_endpoint_counters *c);

/* Worst first, so that the worst of several is their minimum. */
enum weir_health { WEIR_UNHEALTHY, WEIR_DEGRADED, WEIR_HEALTHY };
/* Endpoints whose circuit is open, and half open. */
void weir_circuits_count(const struct weir_snapshot *s, unsigned *open, unsigned *half_open);
const char *weir_health_text(enum weir_health h); /* "unhealthy", "degraded", "healthy" */

/* More requests queued than this means an exhausted pool; the guide's monitor and alerts say so. */
#define WEIR_PENDING_EXHAUSTED 100u
/* The guide's monitor warns above this share of failed tries. */
#define WEIR_ERROR_RATE_HIGH 0.1
/* Of memory and descriptors, the share above which a node counts as degraded: room left to shed load before the limit
 * kills. */
#define WEIR_RESOURCE_SHARE_HIGH 0.9

/* Endpoint: unhealthy when it has no usable address, its last connect failed, its checks fail, it is ejected or its
 * circuit is open; degraded when some addresses are passed over, its circuit is half open or it cools down. Provider:
 * unhealthy when all its endpoints are, degraded when one is not healthy or its pool is exhausted. */
enum weir_health weir_health_of_endpoint(const struct weir_endpoint_snapshot *e);
enum weir_health weir_health_of_provider(const struct weir_provider_snapshot *p);
/* The pools alone: degraded when one is exhausted. */
enum weir_health weir_health_of_pools(const struct weir_snapshot *s);
/* All providers together: unhealthy when all are, degraded when one is not healthy or there is none. */
enum weir_health weir_health_of_providers(const struct weir_snapshot *s);
/* Something used up to a limit: degraded above WEIR_RESOURCE_SHARE_HIGH of it; a limit of 0 is not known. */
enum weir_health weir_health_of_share(uint64_t used, uint64_t limit);
/* Unhealthy when all providers are; degraded when one is not healthy, there is none, the node drains, or memory or
 * descriptors run out. */
enum weir_health weir_health_of_node(const struct weir_snapshot *s);

#endif
