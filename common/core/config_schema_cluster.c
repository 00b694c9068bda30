/* The keys of alerting, alerts, distributed_pool, analytics and coordinator, the root of the table, and what is built.
 */
#include "core/config_check.h"
#include "core/config_schema.h"

#define CONFIG    struct weir_config
#define ALERT     struct weir_config_alert
#define POOL      struct weir_config_distributed
#define ANALYTICS struct weir_config_analytics

#define WEIR_CONFIG_FEATURE_REFUSE true
#define WEIR_CONFIG_FEATURE_WARN   false
#define FEATURE_INFO(id, is_built, reaction, text) \
    [WEIR_CONFIG_FEATURE_##id] = {.built = is_built, .refuse = WEIR_CONFIG_FEATURE_##reaction, .words = text},
const struct weir_config_feature_info weir_config_features[WEIR_CONFIG_FEATURE_COUNT] = {
    WEIR_CONFIG_FEATURE_MAP(FEATURE_INFO)};

const char *const weir_config_environments[] = {"development", "production", NULL};

static const char *const severity_choices[] = {"info", "warning", "critical", NULL};
static const char *const action_choices[] = {"log", "webhook", "scale_up", "investigate", NULL};

const char *weir_config_severity_text(enum weir_config_severity s)
{
    return severity_choices[s];
}

const char *weir_config_action_text(enum weir_config_action a)
{
    return action_choices[a];
}

static const struct weir_config_field alert_fields[] = {
    WEIR_CONFIG_VALUE(TEXT, ALERT, name, "name", NULL, "The rule's name.", .required = true),
    WEIR_CONFIG_VALUE(TEXT, ALERT, condition, "condition", NULL,
                      "An expression over metric names (the guide's, and `weir_*` families as the sum of their rows): "
                      "arithmetic, comparison, and/or, parentheses.",
                      .explain = weir_config_explain_condition, .required = true),
    WEIR_CONFIG_VALUE(CHOICE, ALERT, severity, "severity", "warning", "How bad it is.", .choices = severity_choices),
    WEIR_CONFIG_VALUE(TEXT, ALERT, message, "message", "", "What to say when it fires; none: the name."),
    WEIR_CONFIG_VALUE(
        CHOICE, ALERT, action, "action", "log",
        "What to do beside logging it: `webhook` posts to `alerting.webhook_url`, `scale_up` shows that more "
        "nodes are wanted, `investigate` logs a diagnosis.",
        .choices = action_choices),
    WEIR_CONFIG_VALUE(DURATION, ALERT, for_ms, "for", "0", "The condition must hold this long first.",
                      WEIR_CONFIG_RANGE(0, 86400)),
};
const struct weir_config_section weir_config_section_alert = WEIR_CONFIG_TABLE_LINED(
    alert_fields, ALERT, "One rule, evaluated each `alerting.interval` over everything and per provider.");

static const struct weir_config_alert default_alerts[] = {
    {.name = "pool_exhausted",
     .condition = "pending_requests > 50",
     .severity = WEIR_CONFIG_SEVERITY_WARNING,
     .message = "Connection pool exhausted"},
    {.name = "high_error_rate",
     .condition = "connection_errors_total / connections_created_total > 0.05",
     .severity = WEIR_CONFIG_SEVERITY_CRITICAL,
     .message = "High connection error rate"},
    {.name = "pool_utilization_high",
     .condition = "pool_utilization_percent > 90",
     .severity = WEIR_CONFIG_SEVERITY_WARNING,
     .message = "Connection pool utilization above 90%"},
};
const struct weir_config_alerts weir_config_default_alerts = {
    .at = default_alerts, .count = sizeof default_alerts / sizeof default_alerts[0]};

static const struct weir_config_field alerting_fields[] = {
    {.key = "connection_pool",
     .type = WEIR_CONFIG_LIST,
     WEIR_CONFIG_PART_AT(CONFIG, alerting, connection_pool),
     .section = &weir_config_section_alert,
     .doc = "Rules over the pool.",
     .derived = "three rules: pool_exhausted, high_error_rate, pool_utilization_high"},
    WEIR_CONFIG_PART(DURATION, CONFIG, alerting, interval_ms, "interval", "10", "How often the rules are evaluated.",
                     WEIR_CONFIG_RANGE(1, 3600)),
    WEIR_CONFIG_PART(DURATION, CONFIG, alerting, window_ms, "window", "300", "Counters count over this.",
                     WEIR_CONFIG_RANGE(1, 86400)),
    WEIR_CONFIG_PART(SECRET_URL, CONFIG, alerting, webhook_url, "webhook_url", NULL,
                     "Where the action `webhook` posts, in Alertmanager's format.",
                     .check = weir_config_check_http_url),
};
const struct weir_config_section weir_config_section_alerting =
    WEIR_CONFIG_PART_TABLE(alerting_fields, CONFIG, alerting, "When to raise the alarm.");

static const struct weir_config_field affinity_fields[] = {
    WEIR_CONFIG_PART(
        TEXTS, POOL, affinity, keys, "keys", "header:x-session-id json:prompt_cache_key json:user api_key address",
        "What makes requests belong together, the first that a request has: `header:NAME`, `cookie:NAME`, `json:NAME`, "
        "`api_key`, `address`.",
        .check = weir_config_check_affinity),
};
static const struct weir_config_section affinity_section =
    WEIR_CONFIG_PART_TABLE(affinity_fields, POOL, affinity, "What makes requests belong together.");

static const char *const affinity_choices[] = {"sticky", "round_robin", "least_loaded", NULL};
static const struct weir_config_field distributed_fields[] = {
    WEIR_CONFIG_VALUE(BOOL, POOL, enabled, "enabled", NULL, "Be one node of a cluster.",
                      .derived = "true where the section is written, else false"),
    WEIR_CONFIG_VALUE(
        SECRET_URL, POOL, redis_url, "redis_url", "redis://localhost:6379",
        "The coordination store: `redis://user:password@host:6379/0`, `rediss://` for TLS, `unix:/path?db=0`, or "
        "`redis+sentinel://host:26379,host:26379/name` (`rediss+sentinel://` for TLS).",
        .check = weir_config_check_redis_url),
    WEIR_CONFIG_VALUE(BOOL, POOL, pool_sharding, "pool_sharding", "true",
                      "Split each provider's connections over the nodes by their shards."),
    WEIR_CONFIG_VALUE(COUNT, POOL, shard_count, "shard_count", "4", "Slices of the key space; 8 for each node or more.",
                      WEIR_CONFIG_RANGE(1, 65536)),
    WEIR_CONFIG_VALUE(CHOICE, POOL, connection_affinity, "connection_affinity", "sticky",
                      "How requests find their node.", .choices = affinity_choices),
    WEIR_CONFIG_VALUE(DURATION, POOL, health_check_interval_ms, "health_check_interval", "30",
                      "Each endpoint is checked once per interval by one node; each peer is probed as often, by a "
                      "connection to its address.",
                      WEIR_CONFIG_RANGE(0.1, 86400)),
    WEIR_CONFIG_VALUE(BOOL, POOL, failover_enabled, "failover_enabled", "true", "Give a lost node's shards to others."),
    WEIR_CONFIG_VALUE(DURATION, POOL, failover_timeout_ms, "failover_timeout", "10",
                      "A node silent for this long is lost.", WEIR_CONFIG_RANGE(0.5, 3600)),
    WEIR_CONFIG_VALUE(TEXT, POOL, cluster, "cluster", "default", "The cluster's name: part of every key in the store.",
                      .check = weir_config_check_name),
    WEIR_CONFIG_VALUE(TEXT, POOL, key_prefix, "key_prefix", "weir", "What every key in the store begins with.",
                      .check = weir_config_check_name),
    WEIR_CONFIG_VALUE(TEXT, POOL, node_id, "node_id", NULL, "This node's name.", .check = weir_config_check_name,
                      .derived = "from host and port"),
    WEIR_CONFIG_VALUE(TEXT, POOL, advertise, "advertise", NULL, "The host:port at which peers reach `peer_listen`.",
                      .check = weir_config_check_host_port, .derived = "from peer_listen"),
    WEIR_CONFIG_VALUE(TEXT, POOL, peer_listen, "peer_listen", NULL, "The address:port for peers.",
                      .check = weir_config_check_address_port, .derived = "chosen at start"),
    WEIR_CONFIG_VALUE(SECRET, POOL, peer_secret, "peer_secret", NULL, "What peers prove themselves with.",
                      .twin = offsetof(POOL, peer_secret_file),
                      .derived = "the first node makes one and puts it in the store"),
    WEIR_CONFIG_VALUE(SECRET_FILE, POOL, peer_secret_file, "peer_secret_file", NULL,
                      "The file that holds `peer_secret`.", .twin = offsetof(POOL, peer_secret)),
    WEIR_CONFIG_NEST(POOL, peer_tls, "peer_tls", weir_config_section_client_tls,
                     "TLS between nodes, with `cert_file` mutual."),
    WEIR_CONFIG_NEST(POOL, redis_tls, "redis_tls", weir_config_section_client_tls, "TLS to a rediss:// store."),
    WEIR_CONFIG_VALUE(COUNT, POOL, weight, "weight", "1",
                      "This node's share of the shards, beside the others' weights.", WEIR_CONFIG_RANGE(1, 1000)),
    WEIR_CONFIG_VALUE(DURATION, POOL, peer_ack_timeout_ms, "peer_ack_timeout", "100ms",
                      "A forwarded request not acknowledged within this is served locally.",
                      WEIR_CONFIG_RANGE(0.001, 60)),
    WEIR_CONFIG_VALUE(DURATION, POOL, redis_timeout_ms, "redis_timeout", "250ms",
                      "The deadline of each call to the store.", WEIR_CONFIG_RANGE(0.01, 60)),
    WEIR_CONFIG_VALUE(BOOL, POOL, response_headers, "response_headers", "true",
                      "Say which node and shard served, in `x-weir-node` and `x-weir-shard`."),
    WEIR_CONFIG_NEST(POOL, affinity, "affinity", affinity_section, "What makes requests belong together."),
};
const struct weir_config_section weir_config_section_distributed =
    WEIR_CONFIG_TABLE(distributed_fields, POOL, "The cluster: nodes that share state through Redis.");

static const struct weir_config_field analytics_fields[] = {
    WEIR_CONFIG_VALUE(BOOL, ANALYTICS, enabled, "enabled", NULL, "Keep the load history and forecast from it.",
                      .derived = "true where the section is written, else false"),
    WEIR_CONFIG_VALUE(BOOL, ANALYTICS, collect_connection_patterns, "collect_connection_patterns", "true",
                      "Reuse, churn, and by hour."),
    WEIR_CONFIG_VALUE(BOOL, ANALYTICS, collect_performance_metrics, "collect_performance_metrics", "true",
                      "The load history that forecasts are made from."),
    WEIR_CONFIG_VALUE(BOOL, ANALYTICS, enable_predictive_scaling, "enable_predictive_scaling", "true",
                      "Publish hints, and open connections ahead of a predicted peak."),
    WEIR_CONFIG_VALUE(DURATION, ANALYTICS, scaling_prediction_window_ms, "scaling_prediction_window", "3600",
                      "How far ahead to look.", WEIR_CONFIG_RANGE(60, 604800)),
    WEIR_CONFIG_VALUE(DURATION, ANALYTICS, scaling_cooldown_period_ms, "scaling_cooldown_period", "300",
                      "The least time between changes of advice.", WEIR_CONFIG_RANGE(1, 86400)),
    WEIR_CONFIG_VALUE(DURATION, ANALYTICS, sample_interval_ms, "sample_interval", "10",
                      "How often each node tells what it has seen; all nodes and coordinators of a cluster have "
                      "the same.",
                      WEIR_CONFIG_RANGE(1, 60)),
    WEIR_CONFIG_VALUE(COUNT, ANALYTICS, safe_concurrency, "safe_concurrency", "0",
                      "Requests in flight that one node serves well; 0: measured.", WEIR_CONFIG_RANGE(0, 1000000)),
};
const struct weir_config_section weir_config_section_analytics =
    WEIR_CONFIG_TABLE(analytics_fields, ANALYTICS, "The load history and the forecasts made from it.");

static const struct weir_config_field coordinator_fields[] = {
    WEIR_CONFIG_PART(TEXT, CONFIG, coordinator, id, "id", NULL, "This coordinator's name; another one for each.",
                     .check = weir_config_check_name, .derived = "from the host's name and chance"),
    WEIR_CONFIG_PART(TEXT, CONFIG, coordinator, listen, "listen", NULL,
                     "Where a coordinator serves its health and metrics.", .check = weir_config_check_address_port),
    WEIR_CONFIG_PART(DURATION, CONFIG, coordinator, lease_ms, "lease", "3", "A dead leader is replaced within this.",
                     WEIR_CONFIG_RANGE(0.5, 60)),
};
const struct weir_config_section weir_config_section_coordinator =
    WEIR_CONFIG_PART_TABLE(coordinator_fields, CONFIG, coordinator, "weir-coordinator's own keys.");

static const struct weir_config_field root_fields[] = {
    WEIR_CONFIG_VALUE(
        TEXT, CONFIG, environment, "environment", "",
        "Which overlay to lay over the rest: `development` or `production`. The variable WEIR_ENV wins over it."),
    WEIR_CONFIG_NEST(CONFIG, server, "server", weir_config_section_server, "The side that clients see."),
    {.key = "providers",
     .type = WEIR_CONFIG_PROVIDERS,
     .offset = offsetof(CONFIG, providers),
     .size = sizeof(struct weir_config_list),
     .section = &weir_config_section_provider,
     .doc = "Where requests go, by name."},
    WEIR_CONFIG_ROWS(CONFIG, routes, "routes", weir_config_section_route, "Which provider a request goes to."),
    WEIR_CONFIG_NEST(CONFIG, http_client, "http_client", weir_config_section_http, "How weir talks to providers."),
    WEIR_CONFIG_NEST(CONFIG, auth, "auth", weir_config_section_auth, "Who may send requests.", WEIR_CONFIG_NEEDS(AUTH)),
    WEIR_CONFIG_NEST(CONFIG, logging, "logging", weir_config_section_logging, "The log."),
    WEIR_CONFIG_NEST(CONFIG, tls, "tls", weir_config_section_required_tls, "Rules for all of TLS."),
    WEIR_CONFIG_NEST(CONFIG, compression, "compression", weir_config_section_compression,
                     "Compression by weir itself."),
    WEIR_CONFIG_NEST(CONFIG, tracing, "tracing", weir_config_section_tracing, "Traces."),
    WEIR_CONFIG_NEST(CONFIG, dns, "dns", weir_config_section_dns, "How names are resolved."),
    WEIR_CONFIG_NEST(CONFIG, alerting, "alerting", weir_config_section_alerting, "When to raise the alarm.",
                     WEIR_CONFIG_NEEDS(ALERTS)),
    WEIR_CONFIG_ROWS(CONFIG, alerts, "alerts", weir_config_section_alert, "Further rules.", WEIR_CONFIG_NEEDS(ALERTS)),
    WEIR_CONFIG_NEST(CONFIG, distributed_pool, "distributed_pool", weir_config_section_distributed, "The cluster.",
                     WEIR_CONFIG_NEEDS(CLUSTER)),
    WEIR_CONFIG_NEST(CONFIG, analytics, "analytics", weir_config_section_analytics, "Load history and forecasts.",
                     WEIR_CONFIG_NEEDS(ANALYTICS)),
    WEIR_CONFIG_NEST(CONFIG, coordinator, "coordinator", weir_config_section_coordinator, "weir-coordinator's own.",
                     WEIR_CONFIG_NEEDS(COORDINATOR)),
};
const struct weir_config_section weir_config_root =
    WEIR_CONFIG_TABLE(root_fields, CONFIG,
                      "The sections of the file. `development:` and `production:` may each hold any of them but "
                      "`environment`: an overlay, laid "
                      "over the rest when chosen. Mappings merge, lists replace.");
