/* The configuration: from the bytes of one YAML file to an immutable model. Reads no file and no environment itself:
 * the program hands in the bytes, and a callback for what lies outside them. Every key, default, range and unit comes
 * from the one schema table (core/config_schema.h), which also makes docs/configuration.md and the JSON Schema.
 *
 * Units are in the names: _ms milliseconds, _bytes bytes. All text is NUL-terminated, never NULL unless a comment says
 * so, and lives as long as the configuration. Nothing is modified after weir_config_parse has returned, so any number
 * of threads may read it; counting references is the program's business. */
#ifndef WEIR_CORE_CONFIG_H
#define WEIR_CORE_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/arena.h"
#include "core/cidr.h"
#include "core/err.h"

/* A file above this is refused unread: a thousand providers with every key written out come to a third of it. */
#define WEIR_CONFIG_FILE_BYTES_MAX ((size_t)1 << 20)
/* A secret's file: the longest keys in use (JSON web tokens) are a tenth of it. */
#define WEIR_CONFIG_SECRET_BYTES_MAX ((size_t)64 << 10)
/* Nodes of the YAML tree, aliases counted as often as they are used: what a file of the largest size can hold in
 * earnest. */
#define WEIR_CONFIG_NODES_MAX 100000u
/* The schema is at most eight deep. */
#define WEIR_CONFIG_DEPTH_MAX 32u
/* All texts with variables together, once these are filled in: a variable may be named many times. */
#define WEIR_CONFIG_EXPANDED_BYTES_MAX ((size_t)16 << 20)
/* Problems kept of one run; a file with more is broken in one way many times. */
#define WEIR_CONFIG_PROBLEMS_MAX 200u

/* -- lists -- */

struct weir_config_texts {
    const char *const *at;
    size_t count;
};

struct weir_config_numbers {
    const uint32_t *at;
    size_t count;
};

struct weir_config_nets {
    const struct weir_net *at;
    size_t count;
};

struct weir_config_pair {
    const char *name, *value;
};

struct weir_config_pairs {
    const struct weir_config_pair *at;
    size_t count;
};

/* -- server -- */

struct weir_config_listen {
    const char *text;    /* as written: "127.0.0.1:8000" */
    const char *host;    /* an address without brackets */
    uint16_t port;       /* 0: the kernel chooses */
    bool proxy_protocol; /* each connection must begin with a PROXY header, v1 or v2 */
    uint32_t line;
};

struct weir_config_listens {
    const struct weir_config_listen *at;
    size_t count;
};

struct weir_config_certificate {
    const char *cert_file, *key_file;
};

struct weir_config_certificates {
    const struct weir_config_certificate *at;
    size_t count;
};

enum weir_config_client_certs { WEIR_CONFIG_CERTS_OFF, WEIR_CONFIG_CERTS_OPTIONAL, WEIR_CONFIG_CERTS_REQUIRED };
enum weir_config_tls_version { WEIR_CONFIG_TLS_1_2, WEIR_CONFIG_TLS_1_3 };

struct weir_config_server {
    struct weir_config_listens listen; /* at least one */
    uint32_t workers;                  /* 0: one per core */
    uint32_t max_connections;          /* clients, over all workers; further ones wait unaccepted */
    uint64_t head_bytes_max;
    uint32_t headers_max;
    uint64_t body_bytes_max;     /* 0: no limit */
    uint64_t memory_limit_bytes; /* what health is measured against; 0: the control group's limit, or the machine's */
    uint64_t header_timeout_ms;
    uint64_t idle_timeout_ms;
    uint64_t write_timeout_ms;
    uint64_t drain_delay_ms;
    uint64_t drain_timeout_ms;
    bool proxy_protocol; /* already in each listener */
    struct weir_config_nets trusted_proxies;
    struct {
        struct weir_config_listens listen; /* none: the admin paths are on the client port */
        const char *token;                 /* NULL: none, so only allowed networks get in */
        const char *token_file;            /* NULL or where token was read from */
        struct weir_config_nets allow;     /* default: loopback */
        struct weir_config_texts hosts;    /* names, or *. and a name */
    } admin;
    struct {
        struct weir_config_certificates certificates;
        const char *client_ca_file; /* NULL: none */
        enum weir_config_client_certs client_certificates;
        enum weir_config_tls_version min_version;
    } tls;
    struct {
        bool enabled;
        uint32_t max_concurrent_streams;
        uint64_t stream_window_bytes;
        uint32_t resets_per_second_max;
    } http2;
};

/* -- http_client, and the same for each provider -- */

struct weir_config_pool {
    uint32_t max_connections; /* per provider and node, over all its endpoints and workers */
    uint32_t max_keepalive_connections;
    uint64_t keepalive_expiry_ms;
    uint64_t pool_block_timeout_ms; /* as configured; the wait in force is block_timeout_ms */
    uint64_t block_timeout_ms;      /* the smaller of pool_block_timeout and timeout.pool */
    uint32_t max_pending;           /* requests that may wait; 0: none may */
    uint64_t max_lifetime_ms;       /* 0: no limit */
    bool load_scaling;
    uint32_t max_connections_cap; /* what scaling may reach; default 1.5 x max_connections */
};

struct weir_config_timeouts {
    uint64_t total_ms, connect_ms, read_ms, write_ms, pool_ms;
};

enum weir_config_jitter { WEIR_CONFIG_JITTER_FULL, WEIR_CONFIG_JITTER_NONE };
/* Bits of weir_config_retry.retry_on. */
enum weir_config_retry_on { WEIR_CONFIG_RETRY_CONNECT_ERROR = 1u << 0, WEIR_CONFIG_RETRY_TIMEOUT = 1u << 1 };

struct weir_config_retry {
    bool enabled;
    uint32_t attempts;     /* retries after the first try */
    double backoff_factor; /* seconds before the first retry, doubled for each further one */
    uint64_t backoff_max_delay_ms;
    struct weir_config_numbers status_codes;
    struct weir_config_texts exceptions; /* as written; retry_on has the same as bits */
    uint32_t retry_on;                   /* enum weir_config_retry_on */
    enum weir_config_jitter jitter;
    uint64_t deadline_ms;             /* over all tries; default (attempts + 1) x timeout.total */
    struct weir_config_texts methods; /* empty: every method */
    uint64_t replay_buffer_bytes;
};

struct weir_config_breaker {
    bool enabled;
    uint32_t failure_threshold;
    uint64_t recovery_timeout_ms;
    uint64_t recovery_timeout_max_ms; /* above recovery_timeout: the wait doubles up to this */
    bool monitoring_enabled;
    uint32_t half_open_permits;
    double error_rate_threshold; /* 0: only consecutive failures count */
    uint64_t error_rate_window_ms;
    uint32_t error_rate_min_requests;
};

struct weir_config_health {
    bool enabled;
    uint64_t check_interval_ms;
    uint32_t unhealthy_threshold;
    uint64_t health_check_timeout_ms;
    const char *method;
    const char *path; /* NULL: a TCP connect is the check */
    struct weir_config_numbers expected_status;
    uint64_t cleanup_interval_ms;
    bool force_cleanup;
};

struct weir_config_features {
    bool http2_enabled, connection_reuse, dns_cache_enabled, tcp_keepalive, compression;
};

struct weir_config_client_tls {
    const char *ca_file; /* NULL: the system's store */
    bool verify;
    enum weir_config_tls_version min_version;
    const char *cert_file, *key_file; /* NULL, or both: for mutual TLS */
    const char *server_name;          /* NULL: the endpoint's host */
};

enum weir_config_redirects { WEIR_CONFIG_REDIRECTS_OFF, WEIR_CONFIG_REDIRECTS_SAME_ORIGIN, WEIR_CONFIG_REDIRECTS_ANY };
enum weir_config_balance { WEIR_CONFIG_BALANCE_ROUND_ROBIN, WEIR_CONFIG_BALANCE_LEAST_LOADED };

struct weir_config_http {
    bool enabled; /* false, like features.connection_reuse: a new connection for each request */
    struct weir_config_pool pool;
    struct weir_config_timeouts timeout;
    struct weir_config_retry retry;
    struct weir_config_breaker circuit_breaker;
    struct weir_config_health health;
    struct weir_config_features features;
    struct {
        uint32_t send_buffer_bytes, recv_buffer_bytes; /* 0: the kernel's choice */
    } socket;
    struct weir_config_client_tls tls;
    struct {
        bool enabled;
        uint32_t min, max;
    } adaptive_concurrency;
    enum weir_config_redirects follow_redirects;
    enum weir_config_balance balance;
    bool auto_tune;
    uint64_t slow_start_ms;
    uint64_t http2_stream_window_bytes;
    uint64_t http2_ping_interval_ms;
};

/* -- providers -- */

struct weir_config_endpoint {
    const char *url;         /* as configured */
    const char *id;          /* canonical scheme://host:port, the same on every node and over reloads */
    const char *host;        /* lower case, without brackets: a name or an address */
    const char *authority;   /* for the Host field: host, with :port unless it is the scheme's own */
    const char *path_prefix; /* base path without a trailing slash, "" when there is none */
    uint16_t port;
    bool tls; /* https */
    uint32_t weight;
    uint32_t line;
};

enum weir_config_switch { WEIR_CONFIG_AUTO, WEIR_CONFIG_ON, WEIR_CONFIG_OFF };
enum weir_config_fail { WEIR_CONFIG_FAIL_OPEN, WEIR_CONFIG_FAIL_CLOSED };

struct weir_config_rate_limit {
    uint32_t requests_per_minute; /* 0: no limit */
    uint32_t burst;               /* default a tenth of the limit, at least 1 */
    bool strict;
    enum weir_config_fail fail;
    double degraded_share; /* of the limit, over all nodes, while the store is away */
};

struct weir_config_provider {
    const char *name;
    const struct weir_config_endpoint *endpoints; /* in the file's order; at least one */
    size_t endpoint_count;
    struct weir_config_http http; /* http_client's values where the provider has none of its own */
    struct weir_config_rate_limit rate_limit;
    const char *api_key;              /* NULL: the client's own credentials pass through */
    const char *api_key_file;         /* NULL or where api_key was read from */
    const char *api_key_header;       /* NULL: "Authorization: Bearer KEY"; else this field holds the bare key */
    struct weir_config_pairs headers; /* set on each request to the provider; names lower case */
    enum weir_config_switch forwarded_headers;
    enum weir_config_switch http2;
    bool connection_reuse; /* http.enabled and features.connection_reuse */
    uint32_t line;
};

/* -- routes, first match wins; empty: the default routing (weir_config.routes_default) -- */

struct weir_config_route {
    const char *path_prefix;  /* NULL: any path. Matches whole segments: /v1 matches /v1 and /v1/x, not /v10 */
    const char *host;         /* NULL: any; lower case; no port; "*.example.org" matches one label or more */
    const char *header_name;  /* NULL: none asked for; lower case */
    const char *header_value; /* NULL: any value will do */
    const char *model;        /* NULL: any; a glob */
    const char *provider_name;
    size_t provider; /* index into providers */
    bool strip_prefix;
    uint32_t line;
};

/* -- the rest -- */

struct weir_config_auth_key {
    const char *name, *key;
    const char *key_file; /* NULL or where key was read from */
};

enum weir_config_log_level {
    WEIR_CONFIG_LOG_DEBUG,
    WEIR_CONFIG_LOG_INFO,
    WEIR_CONFIG_LOG_WARNING,
    WEIR_CONFIG_LOG_ERROR
};
enum weir_config_log_format { WEIR_CONFIG_LOG_JSON, WEIR_CONFIG_LOG_LOGFMT };

enum weir_config_severity { WEIR_CONFIG_SEVERITY_INFO, WEIR_CONFIG_SEVERITY_WARNING, WEIR_CONFIG_SEVERITY_CRITICAL };
enum weir_config_action {
    WEIR_CONFIG_ACTION_LOG,
    WEIR_CONFIG_ACTION_WEBHOOK,
    WEIR_CONFIG_ACTION_SCALE_UP,
    WEIR_CONFIG_ACTION_INVESTIGATE
};
const char *weir_config_severity_text(enum weir_config_severity s); /* as it is written in the file */
const char *weir_config_action_text(enum weir_config_action a);

struct weir_config_alert {
    const char *name, *condition, *message;
    enum weir_config_severity severity;
    enum weir_config_action action;
    uint64_t for_ms;
    uint32_t line; /* 0: one of the default rules */
};

struct weir_config_alerts {
    const struct weir_config_alert *at;
    size_t count;
};

enum weir_config_affinity { WEIR_CONFIG_STICKY, WEIR_CONFIG_ROUND_ROBIN, WEIR_CONFIG_LEAST_LOADED };

struct weir_config_distributed {
    bool enabled;
    const char *redis_url; /* may hold a password */
    bool pool_sharding;
    uint32_t shard_count;
    enum weir_config_affinity connection_affinity;
    uint64_t health_check_interval_ms;
    bool failover_enabled;
    uint64_t failover_timeout_ms;
    const char *cluster, *key_prefix;
    const char *node_id, *advertise, *peer_listen, *peer_secret; /* NULL: chosen at start */
    const char *peer_secret_file;                                /* NULL or where peer_secret was read from */
    struct weir_config_client_tls peer_tls, redis_tls;
    uint32_t weight;
    uint64_t peer_ack_timeout_ms, redis_timeout_ms;
    bool response_headers;
    struct {
        struct weir_config_texts keys;
    } affinity;
};

/* Whether shards move for what their owners carry: only where requests go by shard does load move along. */
static inline bool weir_config_load_moves(const struct weir_config_distributed *d)
{
    return d->connection_affinity == WEIR_CONFIG_STICKY;
}

struct weir_config_analytics {
    bool enabled;
    bool collect_connection_patterns, collect_performance_metrics, enable_predictive_scaling;
    uint64_t scaling_prediction_window_ms, scaling_cooldown_period_ms, sample_interval_ms;
    uint32_t safe_concurrency; /* requests in flight a node; 0: measured */
};

struct weir_config {
    struct weir_config_server server;
    struct weir_config_http http_client;
    const struct weir_config_provider *providers; /* in the file's order */
    size_t provider_count;
    const struct weir_config_route *routes;
    size_t route_count;
    /* No routes are written: with one provider every request goes to it, with several /NAME/... goes to NAME, the
     * prefix stripped. routes holds exactly that then, so the node needs no special case. */
    bool routes_default;
    struct {
        const struct weir_config_auth_key *keys;
        size_t key_count;
    } auth;
    struct {
        enum weir_config_log_level level;
        enum weir_config_log_format format;
        bool access;
    } logging;
    struct {
        bool required;
    } tls;
    struct {
        bool downstream, event_streams;
    } compression;
    struct {
        const char *endpoint; /* NULL: nothing is traced */
        double sample;        /* of the traces that begin here */
        const char *service_name;
        bool follow_client;
    } tracing;
    struct {
        struct weir_config_texts servers; /* address:port each; empty: the system's resolvers */
        uint64_t refresh_ms;
    } dns;
    struct {
        struct weir_config_alerts connection_pool;
        uint64_t interval_ms, window_ms;
        const char *webhook_url; /* NULL: none */
    } alerting;
    struct weir_config_alerts alerts;
    struct weir_config_distributed distributed_pool;
    struct weir_config_analytics analytics;
    struct {
        const char *id;     /* NULL: chosen at start */
        const char *listen; /* NULL: none */
        uint64_t lease_ms;
    } coordinator;
    const char *environment; /* "": none */
    const char *file;        /* the name given in the input */

    /* The loader's own. */
    struct weir_arena arena;
    struct weir_config_origins *origins;
};

/* -- problems -- */

enum weir_config_level { WEIR_CONFIG_WARNING, WEIR_CONFIG_ERROR };

struct weir_config_problem {
    enum weir_config_level level;
    const char *file;
    uint32_t line;        /* 0: the file as a whole */
    const char *key;      /* dotted path: "http_client.timeout.read"; "" when there is none */
    const char *sentence; /* without file, line and key */
};

/* All zero is an empty list. Owns its text, so it outlives the configuration. */
struct weir_config_problems {
    struct weir_config_problem *at;
    size_t count, cap;
    size_t error_count;   /* of all found, kept or not */
    size_t dropped_count; /* above WEIR_CONFIG_PROBLEMS_MAX */
    bool out_of_memory;   /* some could not be recorded */
    struct weir_arena arena;
};

void weir_config_problems_reset(struct weir_config_problems *p);
/* Adds one; copies everything. Records out_of_memory rather than failing. For the program's own (an unreadable file).
 */
void weir_config_problems_add(struct weir_config_problems *p, enum weir_config_level level, const char *file,
                              uint32_t line, const char *key, const char *fmt, ...)
    __attribute__((format(printf, 6, 7)));
/* "FILE:LINE: error: KEY: sentence", as a compiler writes it. Returns what snprintf returns. */
int weir_config_problem_text(const struct weir_config_problem *p, char *buf, size_t len);

/* -- loading -- */

struct weir_config_input {
    const char *file; /* for messages only */
    const char *bytes;
    size_t len;
    /* The environment: the value of a variable, or NULL. Called for ${NAME} and for WEIR_ENV. */
    const char *(*getenv)(void *arg, const char *name);
    /* Reads a secret's file (a *_file key): bytes into buf, at most cap; sets *len. 0, or a code with err's sentence.
     * NULL: secrets' files are not read and the secrets stay NULL. */
    int (*read_file)(void *arg, const char *path, char *buf, size_t cap, size_t *len, struct weir_err *err);
    void *arg;
};

/* Parses and checks everything, and reports every problem, not just the first. 0: *out is the caller's, and problems
 * holds warnings at most. Else *out is NULL and problems says why. Errors: WEIR_EINVAL (problems found), WEIR_ENOMEM.
 */
WEIR_MUST_USE int weir_config_parse(struct weir_config **out, const struct weir_config_input *in,
                                    struct weir_config_problems *problems);
/* Frees and nulls. NULL inside is fine. */
void weir_config_free(struct weir_config **c);

/* Whether the address (16 bytes, IPv4 mapped) lies in one of the networks. */
bool weir_config_nets_hold(const struct weir_config_nets *nets, const uint8_t address[16]);
/* "http://host:port" and the rest of an endpoint from a URL; arena text. Returns NULL, or what is wrong with it. */
const char *weir_config_url_parse(struct weir_config_endpoint *out, struct weir_arena *a, const char *url);

#endif
