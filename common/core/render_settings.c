/* What a provider is configured with, for who advises on it. */
#include "core/config.h"
#include "core/render_tree.h"

static void set_seconds(struct weir_tree *t, json_t *o, const char *key, uint64_t ms)
{
    weir_tree_real(t, o, key, (double)ms / 1000);
}

static void set_retry(struct weir_tree *t, json_t *o, const struct weir_config_retry *retry)
{
    weir_tree_bool(t, o, "enabled", retry->enabled);
    weir_tree_u64(t, o, "attempts", retry->attempts);
    weir_tree_real(t, o, "backoff_factor", retry->backoff_factor);
    set_seconds(t, o, "backoff_max_delay", retry->backoff_max_delay_ms);
    json_t *codes = weir_tree_array(t, o, "retry_status_codes");
    for (size_t i = 0; i < retry->status_codes.count; i++)
        t->failed |= json_array_append_new(codes, json_integer(retry->status_codes.at[i]));
    weir_tree_u64(t, o, "replay_buffer", retry->replay_buffer_bytes);
}

void weir_tree_settings(struct weir_tree *t, json_t *object, const struct weir_config_http *http)
{
    json_t *settings = weir_tree_child(t, object, "settings");
    json_t *pool = weir_tree_child(t, settings, "connection_pool");
    weir_tree_u64(t, pool, "max_connections", http->pool.max_connections);
    weir_tree_u64(t, pool, "max_keepalive_connections", http->pool.max_keepalive_connections);
    json_t *timeout = weir_tree_child(t, settings, "timeout");
    set_seconds(t, timeout, "connect", http->timeout.connect_ms);
    set_seconds(t, timeout, "read", http->timeout.read_ms);
    set_seconds(t, timeout, "total", http->timeout.total_ms);
    set_retry(t, weir_tree_child(t, settings, "retry"), &http->retry);
    json_t *breaker = weir_tree_child(t, settings, "circuit_breaker");
    weir_tree_bool(t, breaker, "enabled", http->circuit_breaker.enabled);
    weir_tree_u64(t, breaker, "failure_threshold", http->circuit_breaker.failure_threshold);
    set_seconds(t, breaker, "recovery_timeout", http->circuit_breaker.recovery_timeout_ms);
    json_t *health = weir_tree_child(t, settings, "health");
    set_seconds(t, health, "cleanup_interval", http->health.cleanup_interval_ms);
    weir_tree_bool(t, health, "force_cleanup", http->health.force_cleanup);
}
