/* The keys of http_client, which may all stand under a provider too, and those of a provider alone. */
#include "core/config_check.h"
#include "core/config_schema.h"

#define POOL     struct weir_config_pool
#define TIMEOUTS struct weir_config_timeouts
#define RETRY    struct weir_config_retry
#define BREAKER  struct weir_config_breaker
#define HEALTH   struct weir_config_health
#define FEATURES struct weir_config_features
#define TLS      struct weir_config_client_tls
#define HTTP     struct weir_config_http
#define ENDPOINT struct weir_config_endpoint
#define LIMIT    struct weir_config_rate_limit
#define PROVIDER struct weir_config_provider

/* A day: a wait above it is a slip of the unit. */
#define WAIT_MAX 86400
#define WAIT     WEIR_CONFIG_RANGE(0.001, WAIT_MAX)
/* Descriptors that Linux gives a process at the very most (fs.nr_open's default). */
#define CONNECTIONS_MAX 1048576

static const struct weir_config_field pool_fields[] = {
    WEIR_CONFIG_VALUE(COUNT, POOL, max_connections, "max_connections", "200",
                      "Connections to a provider per node, over all its endpoints and workers.",
                      WEIR_CONFIG_RANGE(1, CONNECTIONS_MAX)),
    WEIR_CONFIG_VALUE(COUNT, POOL, max_keepalive_connections, "max_keepalive_connections", "50",
                      "Idle connections kept of those.", WEIR_CONFIG_RANGE(0, CONNECTIONS_MAX)),
    WEIR_CONFIG_VALUE(DURATION, POOL, keepalive_expiry_ms, "keepalive_expiry", "30",
                      "An idle connection is closed after this.", WAIT),
    WEIR_CONFIG_VALUE(DURATION, POOL, pool_block_timeout_ms, "pool_block_timeout", "5",
                      "How long a request waits for a connection; the smaller of this and `timeout.pool` counts.",
                      WEIR_CONFIG_RANGE(0, WAIT_MAX)),
    WEIR_CONFIG_VALUE(COUNT, POOL, max_pending, "max_pending", "1000",
                      "Requests that may wait at once for a connection to the provider; further ones get 503.",
                      WEIR_CONFIG_RANGE(0, CONNECTIONS_MAX)),
    WEIR_CONFIG_VALUE(DURATION, POOL, max_lifetime_ms, "max_lifetime", "0",
                      "A connection older than this is closed once it is idle; 0: never.",
                      WEIR_CONFIG_RANGE(0, 2592000)),
    WEIR_CONFIG_VALUE(BOOL, POOL, load_scaling, "load_scaling", "false",
                      "Scale both limits by 0.5, 1 or 1.5 as the load falls or rises.", WEIR_CONFIG_NEEDS(SCALING),
                      .quiet = "false"),
    WEIR_CONFIG_VALUE(COUNT, POOL, max_connections_cap, "max_connections_cap", NULL,
                      "The most that scaling, tuning and hints may raise `max_connections` to.",
                      WEIR_CONFIG_RANGE(1, CONNECTIONS_MAX), WEIR_CONFIG_NEEDS(SCALING),
                      .derived = "1.5 x max_connections"),
};
static const struct weir_config_section pool_section =
    WEIR_CONFIG_TABLE(pool_fields, POOL, "The size of the pool of connections to each provider, per node.");

static const struct weir_config_field timeout_fields[] = {
    WEIR_CONFIG_VALUE(DURATION, TIMEOUTS, total_ms, "total", "30",
                      "One try as a whole, to the response's last byte; does not run on event streams.", WAIT),
    WEIR_CONFIG_VALUE(DURATION, TIMEOUTS, connect_ms, "connect", "10", "Name, connection and TLS handshake.", WAIT),
    WEIR_CONFIG_VALUE(DURATION, TIMEOUTS, read_ms, "read", "30",
                      "The wait for the response's head, and between bytes of its body.", WAIT),
    WEIR_CONFIG_VALUE(DURATION, TIMEOUTS, write_ms, "write", "30",
                      "The provider accepts no byte of the request for this long.", WAIT),
    WEIR_CONFIG_VALUE(DURATION, TIMEOUTS, pool_ms, "pool", "5",
                      "Another name of `pool_limits.pool_block_timeout`; the smaller counts.",
                      WEIR_CONFIG_RANGE(0, WAIT_MAX)),
};
static const struct weir_config_section timeout_section =
    WEIR_CONFIG_TABLE(timeout_fields, TIMEOUTS, "The clocks of one try. A single number sets total, read and write.");

/* `timeout: 30`: what a mapping's place holds as a scalar. */
static const struct weir_config_field timeout_scalar[] = {
    WEIR_CONFIG_VALUE(DURATION, HTTP, timeout.total_ms, "total", NULL, NULL, WAIT),
    WEIR_CONFIG_VALUE(DURATION, HTTP, timeout.read_ms, "read", NULL, NULL, WAIT),
    WEIR_CONFIG_VALUE(DURATION, HTTP, timeout.write_ms, "write", NULL, NULL, WAIT),
};
#define TIMEOUT_SCALAR .scalar = timeout_scalar, .scalar_count = sizeof timeout_scalar / sizeof timeout_scalar[0]

static const char *const jitter_choices[] = {"full", "none", NULL};
static const char *const exception_choices[] = {"ConnectError", "TimeoutException", NULL};
static const struct weir_config_field retry_fields[] = {
    WEIR_CONFIG_VALUE(BOOL, RETRY, enabled, "enabled", "true", "Try again where that is safe."),
    WEIR_CONFIG_VALUE(COUNT, RETRY, attempts, "attempts", "3", "Retries after the first try.",
                      WEIR_CONFIG_RANGE(0, 20)),
    WEIR_CONFIG_VALUE(NUMBER, RETRY, backoff_factor, "backoff_factor", "0.5",
                      "Seconds before the first retry at most, doubled for each further one.",
                      WEIR_CONFIG_RANGE(0, 3600)),
    WEIR_CONFIG_VALUE(DURATION, RETRY, backoff_max_delay_ms, "backoff_max_delay", "60", "No delay is longer.",
                      WEIR_CONFIG_RANGE(0, WAIT_MAX)),
    WEIR_CONFIG_VALUE(STATUSES, RETRY, status_codes, "retry_status_codes", "408 429 500 502 503 504",
                      "Answers that are tried again.", WEIR_CONFIG_RANGE(100, 599)),
    WEIR_CONFIG_VALUE(STATUSES, RETRY, status_codes, "status_codes", NULL, "Another name of `retry_status_codes`.",
                      WEIR_CONFIG_RANGE(100, 599), .alias_of = "retry_status_codes"),
    WEIR_CONFIG_VALUE(
        TEXTS, RETRY, exceptions, "retry_on_exceptions", "ConnectError TimeoutException",
        "Failures that are tried again. ConnectError: name, connection, TLS. TimeoutException: the connect, read "
        "and write clocks.",
        .choices = exception_choices),
    WEIR_CONFIG_VALUE(CHOICE, RETRY, jitter, "jitter", "full",
                      "`full`: a delay is drawn evenly from 0 to its bound; `none`: it is the bound.",
                      .choices = jitter_choices),
    WEIR_CONFIG_VALUE(DURATION, RETRY, deadline_ms, "deadline", NULL, "All tries of a request together.", WAIT,
                      .derived = "(attempts + 1) x timeout.total"),
    WEIR_CONFIG_VALUE(TEXTS, RETRY, methods, "methods", "", "Methods that are tried again; none named: all.",
                      .check = weir_config_check_method),
    WEIR_CONFIG_VALUE(
        BYTES, RETRY, replay_buffer_bytes, "replay_buffer", "64KB",
        "The start of a request body kept, to be sent once more; a longer body goes out on a new connection.",
        WEIR_CONFIG_RANGE(0, 16777216), .apart = true),
};
static const struct weir_config_section retry_section =
    WEIR_CONFIG_TABLE(retry_fields, RETRY, "What is tried again, how often, and after which wait.");

static const struct weir_config_field breaker_fields[] = {
    WEIR_CONFIG_VALUE(BOOL, BREAKER, enabled, "enabled", "true", "False removes the breaker."),
    WEIR_CONFIG_VALUE(COUNT, BREAKER, failure_threshold, "failure_threshold", "5",
                      "Failed tries in a row that open the circuit of an endpoint.", WEIR_CONFIG_RANGE(1, 100000)),
    WEIR_CONFIG_VALUE(DURATION, BREAKER, recovery_timeout_ms, "recovery_timeout", "60",
                      "The wait of an open circuit before it lets a probe through.", WAIT),
    WEIR_CONFIG_VALUE(DURATION, BREAKER, recovery_timeout_max_ms, "recovery_timeout_max", NULL,
                      "Above recovery_timeout: each failed probe doubles the wait, up to this.", WAIT,
                      .derived = "recovery_timeout"),
    WEIR_CONFIG_VALUE(BOOL, BREAKER, monitoring_enabled, "monitoring_enabled", "true",
                      "False silences the breaker's events and metrics, not the breaker."),
    WEIR_CONFIG_VALUE(COUNT, BREAKER, half_open_permits, "half_open_permits", "1", "Probes at once while half open.",
                      WEIR_CONFIG_RANGE(1, 64)),
    WEIR_CONFIG_VALUE(NUMBER, BREAKER, error_rate_threshold, "error_rate_threshold", "0",
                      "Share of failed tries that opens the circuit as well; 0: off.", WEIR_CONFIG_RANGE(0, 1)),
    WEIR_CONFIG_VALUE(DURATION, BREAKER, error_rate_window_ms, "error_rate_window", "10", "The window of that share.",
                      WEIR_CONFIG_RANGE(1, 3600)),
    WEIR_CONFIG_VALUE(COUNT, BREAKER, error_rate_min_requests, "error_rate_min_requests", "20",
                      "Tries in the window below which the share says nothing.", WEIR_CONFIG_RANGE(1, 1000000)),
};
static const struct weir_config_section breaker_section =
    WEIR_CONFIG_TABLE(breaker_fields, BREAKER, "The circuit breaker of each endpoint.");

static const struct weir_config_field health_fields[] = {
    WEIR_CONFIG_VALUE(BOOL, HEALTH, enabled, "enabled", "true", "Check endpoints actively."),
    WEIR_CONFIG_VALUE(DURATION, HEALTH, check_interval_ms, "check_interval", "30",
                      "The time between checks of an endpoint.", WEIR_CONFIG_RANGE(0.1, WAIT_MAX)),
    WEIR_CONFIG_VALUE(COUNT, HEALTH, unhealthy_threshold, "unhealthy_threshold", "3",
                      "Failed checks in a row that take an endpoint out.", WEIR_CONFIG_RANGE(1, 1000)),
    WEIR_CONFIG_VALUE(DURATION, HEALTH, health_check_timeout_ms, "health_check_timeout", "5",
                      "A check fails after this.", WAIT),
    WEIR_CONFIG_VALUE(TEXT, HEALTH, method, "method", "GET", "The method of a check by HTTP.",
                      .check = weir_config_check_method),
    WEIR_CONFIG_VALUE(TEXT, HEALTH, path, "path", NULL,
                      "The path of a check by HTTP; none: a TCP connection is the check.",
                      .check = weir_config_check_path),
    WEIR_CONFIG_VALUE(STATUSES, HEALTH, expected_status, "expected_status", "200", "Answers that pass a check by HTTP.",
                      WEIR_CONFIG_RANGE(100, 599)),
    WEIR_CONFIG_VALUE(DURATION, HEALTH, cleanup_interval_ms, "cleanup_interval", "300",
                      "The time between sweeps that close unhealthy and surplus idle connections.",
                      WEIR_CONFIG_RANGE(0.1, WAIT_MAX)),
    WEIR_CONFIG_VALUE(BOOL, HEALTH, force_cleanup, "force_cleanup", "false",
                      "Close unhealthy connections at once instead of at the next sweep."),
};
static const struct weir_config_section health_section =
    WEIR_CONFIG_TABLE(health_fields, HEALTH, "Active checks of the endpoints, and the cleaning of the pool.");

static const struct weir_config_field features_fields[] = {
    WEIR_CONFIG_VALUE(BOOL, FEATURES, http2_enabled, "http2_enabled", "true",
                      "Offer HTTP/2 to providers (by ALPN); `providers.NAME.http2` overrides.",
                      WEIR_CONFIG_NEEDS(HTTP2), .quiet = "false"),
    WEIR_CONFIG_VALUE(BOOL, FEATURES, connection_reuse, "connection_reuse", "true",
                      "False: a new connection for each request."),
    WEIR_CONFIG_VALUE(BOOL, FEATURES, dns_cache_enabled, "dns_cache_enabled", "true",
                      "False: the name is resolved for each new connection.", WEIR_CONFIG_NEEDS(DNS_CACHE),
                      .quiet = "true"),
    WEIR_CONFIG_VALUE(BOOL, FEATURES, tcp_keepalive, "tcp_keepalive", "true", "Keep-alive probes on connections."),
    WEIR_CONFIG_VALUE(BOOL, FEATURES, compression, "compression", "true",
                      "The client's Accept-Encoding reaches the provider, the answer passes as it is."),
};
static const struct weir_config_section features_section =
    WEIR_CONFIG_TABLE(features_fields, FEATURES, "Switches of connections.");

#define SOCKET(M) offsetof(HTTP, socket.M) - offsetof(HTTP, socket)
static const struct weir_config_field socket_fields[] = {
    {.key = "send_buffer",
     .type = WEIR_CONFIG_BYTES32,
     .offset = SOCKET(send_buffer_bytes),
     .size = sizeof(uint32_t),
     .fallback = "0",
     .doc = "SO_SNDBUF; 0: the kernel's choice.",
     WEIR_CONFIG_RANGE(0, 67108864)},
    {.key = "recv_buffer",
     .type = WEIR_CONFIG_BYTES32,
     .offset = SOCKET(recv_buffer_bytes),
     .size = sizeof(uint32_t),
     .fallback = "0",
     .doc = "SO_RCVBUF; 0: the kernel's choice.",
     WEIR_CONFIG_RANGE(0, 67108864)},
};
static const struct weir_config_section socket_section = {.fields = socket_fields,
                                                          .count = 2,
                                                          .size = sizeof(((HTTP *)0)->socket),
                                                          .doc = "Network buffers of a connection."};

static const char *const tls_choices[] = {"1.2", "1.3", NULL};
static const struct weir_config_field tls_fields[] = {
    WEIR_CONFIG_VALUE(TEXT, TLS, ca_file, "ca_file", NULL, "Certificates to trust; none: the system's."),
    WEIR_CONFIG_VALUE(BOOL, TLS, verify, "verify", "true", "False takes any certificate: for tests only."),
    WEIR_CONFIG_VALUE(CHOICE, TLS, min_version, "min_version", "1.2", "The lowest TLS version.",
                      .choices = tls_choices),
    WEIR_CONFIG_VALUE(TEXT, TLS, cert_file, "cert_file", NULL, "A client certificate to show."),
    WEIR_CONFIG_VALUE(TEXT, TLS, key_file, "key_file", NULL, "Its private key."),
    WEIR_CONFIG_VALUE(TEXT, TLS, server_name, "server_name", NULL, "The name to ask for and check; none: the host's."),
};
const struct weir_config_section weir_config_section_client_tls =
    WEIR_CONFIG_TABLE(tls_fields, TLS, "TLS where weir is the client.");

#define ADAPTIVE(M) offsetof(HTTP, adaptive_concurrency.M) - offsetof(HTTP, adaptive_concurrency)
static const struct weir_config_field adaptive_fields[] = {
    {.key = "enabled",
     .type = WEIR_CONFIG_BOOL,
     .offset = ADAPTIVE(enabled),
     .size = sizeof(bool),
     .fallback = "false",
     .doc = "Find the concurrency an endpoint bears from its time to first byte."},
    {.key = "min",
     .type = WEIR_CONFIG_COUNT,
     .offset = ADAPTIVE(min),
     .size = sizeof(uint32_t),
     .fallback = "20",
     .doc = "Never fewer requests at once.",
     WEIR_CONFIG_RANGE(1, CONNECTIONS_MAX)},
    {.key = "max",
     .type = WEIR_CONFIG_COUNT,
     .offset = ADAPTIVE(max),
     .size = sizeof(uint32_t),
     .fallback = "200",
     .doc = "Never more requests at once.",
     WEIR_CONFIG_RANGE(1, CONNECTIONS_MAX)},
};
static const struct weir_config_section adaptive_section = {.fields = adaptive_fields,
                                                            .count = 3,
                                                            .size = sizeof(((HTTP *)0)->adaptive_concurrency),
                                                            .doc = "Concurrency that follows what an endpoint bears."};

static const char *const redirect_choices[] = {"false", "same_origin", "true", NULL};
static const char *const balance_choices[] = {"round_robin", "least_loaded", NULL};
static const struct weir_config_field http_fields[] = {
    WEIR_CONFIG_VALUE(BOOL, HTTP, enabled, "enabled", "true", "False: no pool, a new connection for each request."),
    WEIR_CONFIG_NEST(HTTP, pool, "pool_limits", pool_section, "The pool's size."),
    WEIR_CONFIG_NEST(HTTP, timeout, "timeout", timeout_section,
                     "The clocks; a single number sets total, read and write.", TIMEOUT_SCALAR),
    WEIR_CONFIG_NEST(HTTP, retry, "retry", retry_section, "Retries.", WEIR_CONFIG_NEEDS(RETRY)),
    WEIR_CONFIG_NEST(HTTP, circuit_breaker, "circuit_breaker", breaker_section, "The circuit breaker.",
                     WEIR_CONFIG_NEEDS(BREAKER)),
    WEIR_CONFIG_NEST(HTTP, health, "health", health_section, "Health checks and clean-up.", WEIR_CONFIG_NEEDS(HEALTH)),
    WEIR_CONFIG_NEST(HTTP, features, "features", features_section, "Switches."),
    WEIR_CONFIG_NEST(HTTP, socket, "socket", socket_section, "Network buffers."),
    WEIR_CONFIG_NEST(HTTP, tls, "tls", weir_config_section_client_tls, "TLS to the provider.",
                     WEIR_CONFIG_NEEDS(TLS_CLIENT)),
    WEIR_CONFIG_NEST(HTTP, adaptive_concurrency, "adaptive_concurrency", adaptive_section, "Adaptive concurrency."),
    WEIR_CONFIG_VALUE(CHOICE, HTTP, follow_redirects, "follow_redirects", "same_origin",
                      "Follow a provider's redirects: never, to its own endpoints, or anywhere, without credentials "
                      "from there on (but a provider could then make weir reach addresses inside your network).",
                      .choices = redirect_choices, WEIR_CONFIG_NEEDS(REDIRECTS), .quiet = "false"),
    WEIR_CONFIG_VALUE(CHOICE, HTTP, balance, "balance", "round_robin", "How a request's endpoint is chosen.",
                      .choices = balance_choices, WEIR_CONFIG_NEEDS(BALANCE), .quiet = "round_robin"),
    WEIR_CONFIG_VALUE(BOOL, HTTP, auto_tune, "auto_tune", "false",
                      "Set the pool's size and the connect, read and total clocks by the sizing formulas, from what "
                      "was measured in the last "
                      "minute (the highest rate, the mean answer and connect times) and from `timeout.total`.",
                      WEIR_CONFIG_NEEDS(SCALING), .quiet = "false"),
    WEIR_CONFIG_VALUE(DURATION, HTTP, slow_start_ms, "slow_start", "0",
                      "A new endpoint takes its full share after this; 0: at once.", WEIR_CONFIG_RANGE(0, 3600),
                      WEIR_CONFIG_NEEDS(BALANCE), .quiet = "0"),
    WEIR_CONFIG_VALUE(BYTES, HTTP, http2_stream_window_bytes, "http2_stream_window", "1MB",
                      "The flow control window of an HTTP/2 stream.", WEIR_CONFIG_RANGE(65535, 2147483647),
                      WEIR_CONFIG_NEEDS(HTTP2)),
    WEIR_CONFIG_VALUE(DURATION, HTTP, http2_ping_interval_ms, "http2_ping_interval", "30",
                      "An HTTP/2 connection is pinged when silent for this long; 0: never.", WEIR_CONFIG_RANGE(0, 3600),
                      WEIR_CONFIG_NEEDS(HTTP2)),
    /* The basic form. */
    WEIR_CONFIG_VALUE(COUNT, HTTP, pool.max_connections, "max_connections", NULL, "Basic form.",
                      WEIR_CONFIG_RANGE(1, CONNECTIONS_MAX), .alias_of = "pool_limits.max_connections"),
    WEIR_CONFIG_VALUE(COUNT, HTTP, pool.max_keepalive_connections, "max_keepalive_connections", NULL, "Basic form.",
                      WEIR_CONFIG_RANGE(0, CONNECTIONS_MAX), .alias_of = "pool_limits.max_keepalive_connections"),
    WEIR_CONFIG_VALUE(DURATION, HTTP, pool.keepalive_expiry_ms, "keepalive_expiry", NULL, "Basic form.", WAIT,
                      .alias_of = "pool_limits.keepalive_expiry"),
    WEIR_CONFIG_VALUE(DURATION, HTTP, timeout.connect_ms, "connect_timeout", NULL, "Basic form.", WAIT,
                      .alias_of = "timeout.connect"),
    WEIR_CONFIG_VALUE(COUNT, HTTP, retry.attempts, "retry_attempts", NULL, "Basic form.", WEIR_CONFIG_RANGE(0, 20),
                      .alias_of = "retry.attempts", WEIR_CONFIG_NEEDS(RETRY), .quiet = "0"),
    WEIR_CONFIG_VALUE(NUMBER, HTTP, retry.backoff_factor, "retry_backoff_factor", NULL, "Basic form.",
                      WEIR_CONFIG_RANGE(0, 3600), .alias_of = "retry.backoff_factor", WEIR_CONFIG_NEEDS(RETRY)),
};
const struct weir_config_section weir_config_section_http =
    WEIR_CONFIG_TABLE(http_fields, HTTP,
                      "How weir talks to providers. Any of these keys may also stand under a provider, "
                      "and wins there.");

/* -- a provider's own -- */

static const struct weir_config_field connection_pool_fields[] = {
    {.type = WEIR_CONFIG_INCLUDE, .offset = offsetof(HTTP, pool), .section = &pool_section},
    WEIR_CONFIG_NEST(HTTP, timeout, "timeout", timeout_section, "The provider's `timeout`.", TIMEOUT_SCALAR,
                     .alias_of = "timeout"),
};
static const struct weir_config_section connection_pool_section =
    WEIR_CONFIG_TABLE(connection_pool_fields, HTTP, "The provider's `pool_limits`, and its `timeout`.");

static const struct weir_config_field endpoint_fields[] = {
    {.key = "url",
     .type = WEIR_CONFIG_URL,
     .size = sizeof(ENDPOINT),
     .required = true,
     .doc = "scheme://host[:port][/base/path]"},
    WEIR_CONFIG_VALUE(COUNT, ENDPOINT, weight, "weight", "1", "Its share of the requests, beside the others' weights.",
                      WEIR_CONFIG_RANGE(1, 1000)),
};
static const struct weir_config_section endpoint_section =
    WEIR_CONFIG_TABLE_LINED(endpoint_fields, ENDPOINT, "One address of a provider.");

static const char *const fail_choices[] = {"open", "closed", NULL};
static const struct weir_config_field limit_fields[] = {
    WEIR_CONFIG_VALUE(COUNT, LIMIT, requests_per_minute, "requests_per_minute", "0", "0: no limit.",
                      WEIR_CONFIG_RANGE(0, 1000000000)),
    WEIR_CONFIG_VALUE(
        COUNT, LIMIT, burst, "burst", NULL,
        "Requests that may come at once after silence; any minute lets through at most the limit and the burst.",
        WEIR_CONFIG_RANGE(1, 1000000000), .derived = "a tenth of requests_per_minute"),
    WEIR_CONFIG_VALUE(BOOL, LIMIT, strict, "strict", "false",
                      "Start with nothing to spend, so that not even a restart, or a store that lost its data, goes "
                      "above the limit."),
    WEIR_CONFIG_VALUE(CHOICE, LIMIT, fail, "fail", "open",
                      "While the cluster's store is away: go on with `degraded_share`, or refuse.",
                      .choices = fail_choices, WEIR_CONFIG_NEEDS(CLUSTER)),
    WEIR_CONFIG_VALUE(NUMBER, LIMIT, degraded_share, "degraded_share", "0.8",
                      "Of the limit, over all nodes, while the store is away.", WEIR_CONFIG_RANGE(0, 1),
                      WEIR_CONFIG_NEEDS(CLUSTER)),
};
static const struct weir_config_section limit_section =
    WEIR_CONFIG_TABLE(limit_fields, LIMIT, "What a provider lets through.");

static const char *const switch_choices[] = {"auto", "on", "off", NULL};
static const struct weir_config_field provider_fields[] = {
    {.key = "base_url",
     .type = WEIR_CONFIG_BASE_URL,
     .offset = offsetof(PROVIDER, endpoints),
     .size = sizeof(struct weir_config_list),
     .doc = "The provider's address, where it has one: scheme://host[:port][/base/path].",
     .derived = "https://api.openai.com for the provider openai, https://api.anthropic.com for anthropic"},
    WEIR_CONFIG_ROWS(PROVIDER, endpoints, "endpoints", endpoint_section, "Its addresses, where it has several."),
    WEIR_CONFIG_NEST(PROVIDER, http, "connection_pool", connection_pool_section, "The provider's own pool.",
                     .alias_of = "pool_limits"),
    WEIR_CONFIG_NEST(PROVIDER, rate_limit, "rate_limit", limit_section,
                     "The provider's limit: what does not fit waits its turn, up to `timeout.pool`, or gets 429.",
                     WEIR_CONFIG_NEEDS(RATE_LIMIT)),
    WEIR_CONFIG_VALUE(SECRET, PROVIDER, api_key, "api_key", NULL,
                      "Sent as `Authorization: Bearer`, in place of the client's; none: the client's passes.",
                      .twin = offsetof(PROVIDER, api_key_file), .check = weir_config_check_field_value),
    WEIR_CONFIG_VALUE(SECRET_FILE, PROVIDER, api_key_file, "api_key_file", NULL, "The file that holds `api_key`.",
                      .twin = offsetof(PROVIDER, api_key), .check = weir_config_check_field_value),
    WEIR_CONFIG_VALUE(TEXT, PROVIDER, api_key_header, "api_key_header", NULL,
                      "Send `api_key` bare in this header instead (`x-api-key`).",
                      .check = weir_config_check_field_name),
    WEIR_CONFIG_VALUE(PAIRS, PROVIDER, headers, "headers", "", "Headers set on each request to the provider."),
    WEIR_CONFIG_VALUE(CHOICE, PROVIDER, forwarded_headers, "forwarded_headers", "auto",
                      "Add X-Forwarded-* and Via. `auto`: not for https:// providers on public addresses.",
                      .choices = switch_choices),
    WEIR_CONFIG_VALUE(CHOICE, PROVIDER, http2, "http2", NULL,
                      "HTTP/2 to this provider. `on`: without TLS by prior knowledge; with TLS nothing else is "
                      "offered, and HTTP/1.1 spoken all the same where the server agrees on nothing (ALPN).",
                      .choices = switch_choices, WEIR_CONFIG_NEEDS(HTTP2), .quiet = "off",
                      .derived = "auto, or off where features.http2_enabled is false"),
    {.type = WEIR_CONFIG_INCLUDE, .offset = offsetof(PROVIDER, http), .section = &weir_config_section_http},
};
const struct weir_config_section weir_config_section_provider = WEIR_CONFIG_TABLE_LINED(
    provider_fields, PROVIDER, "Where requests go, by name. Any key of `http_client` may stand here too.");
