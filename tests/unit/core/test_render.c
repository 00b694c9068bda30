#include "core/render.h"

#include <ctype.h>
#include <jansson.h>
#include <stdlib.h>

#include "check_main.h"
#include "core/config.h"
#include "helper_snapshot.h"

static struct helper_snapshot h;
static struct weir_textbuf out;

static void setup(void)
{
    helper_snapshot_fill(&h);
    weir_textbuf_init(&out, WEIR_RENDER_BYTES_MAX);
}

static void teardown(void)
{
    weir_textbuf_close(&out);
}

/* -- Prometheus -- */

static const char *prometheus(void)
{
    weir_textbuf_close(&out);
    ck_assert_int_eq(weir_render_prometheus(&out, &h.s), 0);
    weir_textbuf_char(&out, '\0');
    ck_assert(!out.failed);
    return out.ptr;
}

static void has_line(const char *text, const char *line)
{
    size_t n = strlen(line);
    for (const char *at = text; (at = strstr(at, line)) != NULL; at++)
        if ((at == text || at[-1] == '\n') && at[n] == '\n')
            return;
    ck_abort_msg("no line %s", line);
}

START_TEST(test_prometheus_samples)
{
    const char *text = prometheus();
    has_line(text, "# TYPE connections_active gauge");
    has_line(text, "# HELP connections_active Connections leased to requests.");
    has_line(text, "connections_active{provider=\"openai\",endpoint=\"http://10.0.0.1:9001\"} 30");
    has_line(text, "connections_active{provider=\"anthropic\",endpoint=\"http://10.0.0.3:9002\"} 4");
    has_line(text, "connections_pending{provider=\"openai\",endpoint=\"\"} 5");
    has_line(text, "max_connections{provider=\"openai\",endpoint=\"\"} 100");
    has_line(text, "available_connections{provider=\"openai\",endpoint=\"\"} 55");
    has_line(text, "pool_utilization_percent{provider=\"openai\",endpoint=\"\"} 45");
    has_line(text, "connection_pool_utilization_percent{provider=\"openai\",endpoint=\"http://10.0.0.2:9001\"} 15");
    has_line(text, "# TYPE connections_created_total counter");
    has_line(text, "weir_build_info{version=\"1.2.3\"} 1");
    has_line(text, "weir_uptime_seconds 61.5");
    has_line(text, "weir_process_cpu_seconds_total 2.5");
    has_line(text, "weir_process_resident_memory_bytes 20971520");
    has_line(text, "weir_loop_lag_seconds{thread=\"control\"} 0.0015");
    has_line(text, "weir_requests_total{class=\"2xx\"} 500");
    char want[160];
    snprintf(want, sizeof want, "weir_pool_queue_full_total{provider=\"anthropic\"} %d", 200 + WEIR_PC_QUEUE_FULL);
    has_line(text, want);
    snprintf(want, sizeof want,
             "weir_upstream_timeouts_total{provider=\"openai\",endpoint=\"http://10.0.0.2:9001\",clock=\"read\"} %d",
             2000 + WEIR_EC_TIMEOUT_READ);
    has_line(text, want);
    snprintf(want, sizeof want, "weir_pool_evictions_total{provider=\"openai\",endpoint=\"http://10.0.0.1:9001\"} %d",
             1000 + WEIR_EC_EVICTIONS);
    has_line(text, want);
}
END_TEST

START_TEST(test_prometheus_histogram)
{
    struct weir_hist *hist = &h.providers[0].counters.hist[WEIR_H_FIRST_BYTE];
    hist->bucket[0] = 2;
    hist->bucket[5] = 3;
    hist->bucket[WEIR_HIST_BOUNDS] = 1;
    hist->sum_us = 400001500;
    const char *text = prometheus();
    has_line(text, "# TYPE weir_first_byte_duration_seconds histogram");
    has_line(text, "weir_first_byte_duration_seconds_bucket{provider=\"openai\",le=\"0.0001\"} 2");
    has_line(text, "weir_first_byte_duration_seconds_bucket{provider=\"openai\",le=\"0.001\"} 2");
    has_line(text, "weir_first_byte_duration_seconds_bucket{provider=\"openai\",le=\"0.002\"} 5");
    has_line(text, "weir_first_byte_duration_seconds_bucket{provider=\"openai\",le=\"300\"} 5");
    has_line(text, "weir_first_byte_duration_seconds_bucket{provider=\"openai\",le=\"+Inf\"} 6");
    has_line(text, "weir_first_byte_duration_seconds_sum{provider=\"openai\"} 400.0015");
    has_line(text, "weir_first_byte_duration_seconds_count{provider=\"openai\"} 6");
}
END_TEST

START_TEST(test_prometheus_escapes_labels)
{
    h.providers[1].name = "a\\b\"c\nd";
    has_line(prometheus(), "max_connections{provider=\"a\\\\b\\\"c\\nd\",endpoint=\"\"} 8");
}
END_TEST

START_TEST(test_a_gauge_that_is_not_in_use_is_not_shown)
{
    has_line(prometheus(), "weir_rate_limit_tokens{provider=\"openai\"} 11");
    ck_assert_ptr_null(strstr(prometheus(), "weir_rate_limit_tokens{provider=\"anthropic\"}"));
}
END_TEST

/* The cells of one gauge are not read at one moment. */
START_TEST(test_prometheus_shows_no_negative_gauge)
{
    h.s.counters.at[WEIR_NC_DOWN_IDLE] = (uint64_t)-1;
    has_line(prometheus(), "weir_downstream_connections{state=\"idle\"} 0");
}
END_TEST

/* The guide's names that promtool's linter objects to. Nothing else may. */
static const char *const exempt[] = {
    "avg_response_time_ms", "avg_connection_time_ms", "connections_total", "total_requests", "error_count",
};

static bool is_exempt(const char *name)
{
    for (size_t i = 0; i < sizeof exempt / sizeof exempt[0]; i++)
        if (strcmp(name, exempt[i]) == 0)
            return true;
    return false;
}

static bool ends(const char *text, const char *suffix)
{
    size_t n = strlen(text), m = strlen(suffix);
    return n >= m && strcmp(text + n - m, suffix) == 0;
}

/* What promtool check metrics says of one name, as far as names tell; NULL: nothing. */
static const char *lint_name(const char *name, const char *type)
{
    static const char *const bad_parts[] = {"ms",        "us",      "ns",    "sec",          "s",         "min",
                                            "kb",        "mb",      "b",     "milliseconds", "hours",     "days",
                                            "kilobytes", "counter", "gauge", "histogram",    "info_total"};
    bool counter = strcmp(type, "counter") == 0;
    if (counter != ends(name, "_total"))
        return "counters, and only they, end in _total";
    if (strcmp(type, "histogram") != 0 && (ends(name, "_count") || ends(name, "_sum") || ends(name, "_bucket")))
        return "reserved suffix";
    for (const char *c = name; *c != '\0'; c++)
        if (!islower((unsigned char)*c) && !isdigit((unsigned char)*c) && *c != '_')
            return "character";
    char copy[128], *save, *part = copy;
    snprintf(copy, sizeof copy, "%s", name);
    for (part = strtok_r(copy, "_", &save); part != NULL; part = strtok_r(NULL, "_", &save))
        for (size_t i = 0; i < sizeof bad_parts / sizeof bad_parts[0]; i++)
            if (strcmp(part, bad_parts[i]) == 0)
                return "unit or type in the name";
    return NULL;
}

struct lint {
    char name[128], type[16]; /* the family at hand */
    char seen[256][128];
    size_t families, samples;
    char samples_seen[1024][256];
};

static void lint_head(struct lint *lint, const char *line)
{
    char help[128], name[128], type[16];
    int at = 0;
    if (sscanf(line, "# HELP %127s %n", help, &at) == 1 && at > 0) {
        ck_assert_msg(line[at] != '\0', "no help: %s", line);
        snprintf(lint->name, sizeof lint->name, "%s", help);
        return;
    }
    ck_assert_int_eq(sscanf(line, "# TYPE %127s %15s", name, type), 2);
    ck_assert_str_eq(name, lint->name); /* HELP came before */
    for (size_t i = 0; i < lint->families; i++)
        ck_assert_str_ne(name, lint->seen[i]);
    snprintf(lint->seen[lint->families++], sizeof lint->seen[0], "%s", name);
    snprintf(lint->type, sizeof lint->type, "%s", type);
    const char *why = lint_name(name, type);
    ck_assert_msg(is_exempt(name) == (why != NULL), "%s: %s", name, why != NULL ? why : "needs no exemption");
}

static void lint_sample(struct lint *lint, const char *line)
{
    size_t n = strcspn(line, "{ ");
    char name[128];
    snprintf(name, sizeof name, "%.*s", (int)n, line);
    if (strcmp(lint->type, "histogram") == 0)
        *strrchr(name, '_') = '\0';
    ck_assert_str_eq(name, lint->name);
    const char *value = strrchr(line, ' ');
    char *end;
    strtod(value + 1, &end);
    ck_assert_msg(*end == '\0' && end > value + 1, "%s", line);
    for (size_t i = 0; i < lint->samples; i++)
        ck_assert_msg(strncmp(lint->samples_seen[i], line, (size_t)(value - line) + 1) != 0, "twice: %s", line);
    ck_assert_uint_lt(lint->samples, 1024);
    snprintf(lint->samples_seen[lint->samples++], sizeof lint->samples_seen[0], "%s", line);
}

START_TEST(test_prometheus_lints)
{
    static struct lint lint;
    char *text = strdup(prometheus()), *save;
    for (char *line = strtok_r(text, "\n", &save); line != NULL; line = strtok_r(NULL, "\n", &save))
        if (line[0] == '#')
            lint_head(&lint, line);
        else
            lint_sample(&lint, line);
    free(text);
    ck_assert_uint_gt(lint.families, 60);
    const char *whole = prometheus();
    for (size_t i = 0; i < WEIR_GUIDE_COUNT; i++) {
        char want[128];
        snprintf(want, sizeof want, "# TYPE %s %s", weir_guide_table[i].name,
                 weir_guide_table[i].kind == WEIR_KIND_COUNTER ? "counter" : "gauge");
        has_line(whole, want);
    }
}
END_TEST

START_TEST(test_bound_is_kept)
{
    weir_textbuf_init(&out, 10000);
    ck_assert_int_ne(weir_render_prometheus(&out, &h.s), 0);
    ck_assert_uint_le(out.cap, 10000);
    weir_textbuf_close(&out);
    weir_textbuf_init(&out, 1000);
    ck_assert_int_ne(weir_render_metrics_json(&out, &h.s), 0);
    ck_assert_uint_le(out.cap, 1000);
}
END_TEST

/* -- JSON -- */

static json_t *parsed(int (*render)(struct weir_textbuf *, const struct weir_snapshot *))
{
    weir_textbuf_close(&out);
    ck_assert_int_eq(render(&out, &h.s), 0);
    json_error_t error;
    json_t *o = json_loadb(out.ptr, out.len, JSON_REJECT_DUPLICATES, &error);
    ck_assert_msg(o != NULL, "%s", error.text);
    return o;
}

/* Walks "a/b/c"; the endpoints' ids are why it is no dot. */
static json_t *at(json_t *o, const char *key1, const char *key2, const char *key3, const char *key4, const char *key5)
{
    const char *keys[] = {key1, key2, key3, key4, key5};
    for (size_t i = 0; i < 5 && keys[i] != NULL; i++) {
        o = json_object_get(o, keys[i]);
        ck_assert_msg(o != NULL, "no %s", keys[i]);
    }
    return o;
}

static double number(json_t *o, const char *key1, const char *key2, const char *key3)
{
    json_t *v = at(o, key1, key2, key3, NULL, NULL);
    ck_assert(json_is_number(v));
    return json_number_value(v);
}

static const char *text(json_t *o, const char *key1, const char *key2, const char *key3)
{
    const char *v = json_string_value(at(o, key1, key2, key3, NULL, NULL));
    ck_assert_ptr_nonnull(v);
    return v;
}

/* Both lists of the guide, the dashboard's names, and what the readings add, spelled out here once more on purpose. */
static const char *const guide_names[] = {
    "max_keepalive_connections",
    "max_connections",
    "active_connections",
    "available_connections",
    "pending_requests",
    "total_requests",
    "error_count",
    "avg_response_time_ms",
    "connections_active",
    "connections_idle",
    "connections_total",
    "connections_pending",
    "connections_created_total",
    "connections_closed_total",
    "connection_errors_total",
    "connection_timeouts_total",
    "avg_connection_time_ms",
    "pool_utilization_percent",
    "connection_pool_utilization_percent",
    "error_rate",
    "connection_reuse_rate_percent",
};
#define GUIDE_NAMES (sizeof guide_names / sizeof guide_names[0])

static void has_guide_names(json_t *o)
{
    for (size_t i = 0; i < GUIDE_NAMES; i++)
        ck_assert_msg(json_is_number(json_object_get(o, guide_names[i])), "%s", guide_names[i]);
}

START_TEST(test_metrics_json)
{
    h.providers[0].counters.hist[WEIR_H_CONNECT].bucket[4] = 2; /* up to 1 ms */
    h.providers[0].counters.hist[WEIR_H_CONNECT].sum_us = 1800;
    json_t *o = parsed(weir_render_metrics_json);
    ck_assert_uint_eq(GUIDE_NAMES, WEIR_GUIDE_COUNT);
    has_guide_names(at(o, "connection_pool", NULL, NULL, NULL, NULL));
    has_guide_names(at(o, "connection_pool", "providers", "openai", NULL, NULL));
    has_guide_names(at(o, "connection_pool", "providers", "anthropic", "endpoints", "http://10.0.0.3:9002"));
    ck_assert_double_eq(number(o, "connection_pool", "pending_requests", NULL), 6);
    json_t *openai = at(o, "connection_pool", "providers", "openai", NULL, NULL);
    ck_assert_double_eq(number(openai, "connections_active", NULL, NULL), 45);
    ck_assert_double_eq(number(openai, "details", "pool_queue_full_total", NULL), 100 + WEIR_PC_QUEUE_FULL);
    ck_assert_double_eq(number(openai, "durations", "connect", "count"), 2);
    ck_assert_double_eq(number(openai, "durations", "connect", "mean_ms"), 0.9);
    json_t *e = at(openai, "endpoints", "http://10.0.0.1:9001", "details", NULL, NULL);
    ck_assert_double_eq(number(e, "pool_leases_total", "reused", NULL), 1000 + WEIR_EC_LEASES_REUSED);
    ck_assert_double_eq(number(e, "pool_stale_replacements_total", NULL, NULL), 1000 + WEIR_EC_STALE_REPLACED);
    ck_assert_double_eq(number(o, "node", "requests_total", "2xx"), 500);
    ck_assert_double_eq(number(o, "node", "uptime_seconds", NULL), 61.5);
    ck_assert_double_eq(number(o, "node", "loop_lag_seconds", "control"), 0.0015);
    ck_assert_double_eq(number(o, "process", "resident_memory_bytes", NULL), 20971520);
    ck_assert_ptr_null(json_object_get(at(o, "node", NULL, NULL, NULL, NULL), "process_resident_memory_bytes"));
    ck_assert_str_eq(text(o, "timestamp", NULL, NULL), "2026-11-18T11:06:40.123Z");
    ck_assert_str_eq(text(o, "node_id", NULL, NULL), "node-1");
    ck_assert_str_eq(text(o, "version", NULL, NULL), "1.2.3");
    json_decref(o);
}
END_TEST

static void is_number(const json_t *settings, const char *section, const char *key, double wanted)
{
    json_t *value = json_object_get(json_object_get(settings, section), key);
    ck_assert_msg(json_is_number(value), "%s.%s", section, key);
    ck_assert_double_eq_tol(json_number_value(value), wanted, 1e-9);
}

/* What is configured, which what is in force may differ from. */
START_TEST(test_settings)
{
    static const uint32_t codes[] = {500, 503};
    const struct weir_config_http http = {.pool = {.max_connections = 80, .max_keepalive_connections = 20},
                                          .timeout = {.connect_ms = 2500, .read_ms = 60000, .total_ms = 90000},
                                          .retry = {.enabled = true,
                                                    .attempts = 4,
                                                    .backoff_factor = 0.25,
                                                    .backoff_max_delay_ms = 15000,
                                                    .status_codes = {codes, 2},
                                                    .replay_buffer_bytes = 32768},
                                          .circuit_breaker = {.failure_threshold = 7, .recovery_timeout_ms = 1500},
                                          .health = {.cleanup_interval_ms = 120000, .force_cleanup = true}};
    h.providers[0].settings = &http;
    json_t *o = parsed(weir_render_pool_stats);
    const json_t *s = json_object_get(at(o, "providers", "openai", NULL, NULL, NULL), "settings");
    is_number(s, "connection_pool", "max_connections", 80);
    is_number(s, "connection_pool", "max_keepalive_connections", 20);
    is_number(s, "timeout", "connect", 2.5);
    is_number(s, "timeout", "read", 60);
    is_number(s, "timeout", "total", 90);
    is_number(s, "retry", "attempts", 4);
    is_number(s, "retry", "backoff_factor", 0.25);
    is_number(s, "retry", "backoff_max_delay", 15);
    is_number(s, "retry", "replay_buffer", 32768);
    is_number(s, "circuit_breaker", "failure_threshold", 7);
    is_number(s, "circuit_breaker", "recovery_timeout", 1.5);
    is_number(s, "health", "cleanup_interval", 120);
    const json_t *retry = json_object_get(s, "retry");
    ck_assert(json_is_true(json_object_get(retry, "enabled")));
    ck_assert_uint_eq(json_array_size(json_object_get(retry, "retry_status_codes")), 2);
    ck_assert(json_is_false(json_object_get(json_object_get(s, "circuit_breaker"), "enabled")));
    ck_assert(json_is_true(json_object_get(json_object_get(s, "health"), "force_cleanup")));
    ck_assert_ptr_null(json_object_get(at(o, "providers", "anthropic", NULL, NULL, NULL), "settings"));
    json_decref(o);
}
END_TEST

START_TEST(test_pool_stats)
{
    h.openai[1].last_connect_failed = true;
    json_t *o = parsed(weir_render_pool_stats);
    has_guide_names(o);
    has_guide_names(at(o, "providers", "openai", "endpoints", "http://10.0.0.2:9001", NULL));
    ck_assert_double_eq(number(o, "connections_total", NULL, NULL), 77);
    ck_assert_str_eq(text(o, "providers", "openai", "status"), "degraded");
    ck_assert_str_eq(text(o, "providers", "anthropic", "status"), "healthy");
    json_t *e = at(o, "providers", "openai", "endpoints", "http://10.0.0.2:9001", NULL);
    ck_assert_str_eq(text(e, "status", NULL, NULL), "unhealthy");
    ck_assert_double_eq(number(o, "providers", "openai", "connections_opening"), 1);
    json_decref(o);
}
END_TEST

START_TEST(test_health)
{
    json_t *o = parsed(weir_render_health);
    ck_assert_str_eq(text(o, "status", NULL, NULL), "healthy");
    ck_assert_str_eq(text(o, "checks", "memory", "status"), "healthy");
    ck_assert_double_eq(number(o, "checks", "memory", "resident_bytes"), 20971520);
    ck_assert_double_eq(number(o, "checks", "memory", "used_percent"), 1.953125);
    ck_assert_double_eq(number(o, "checks", "connections", "connections_active"), 49);
    ck_assert_double_eq(number(o, "checks", "descriptors", "limit"), 1024);
    ck_assert_double_eq(number(o, "checks", "event_loop", "control_lag_ms"), 1.5);
    ck_assert_str_eq(text(o, "checks", "providers", "status"), "healthy");
    ck_assert_uint_eq(json_object_size(at(o, "checks", "providers", "by_name", NULL, NULL)), 2);
    ck_assert(json_is_false(at(o, "draining", NULL, NULL, NULL, NULL)));
    json_decref(o);

    h.s.gauges[WEIR_NG_RESIDENT] = UINT64_C(1000) << 20;
    h.anthropic[0].addresses = 0;
    h.s.gauges[WEIR_NG_DRAINING] = 1;
    o = parsed(weir_render_health);
    ck_assert_str_eq(text(o, "status", NULL, NULL), "degraded");
    ck_assert_str_eq(text(o, "checks", "memory", "status"), "degraded");
    ck_assert_str_eq(text(o, "checks", "descriptors", "status"), "healthy");
    json_t *anthropic = at(o, "checks", "providers", "by_name", "anthropic", NULL);
    ck_assert_str_eq(text(anthropic, "status", NULL, NULL), "unhealthy");
    ck_assert_double_eq(number(anthropic, "endpoints", "http://10.0.0.3:9002", "addresses"), 0);
    ck_assert(json_is_true(at(o, "draining", NULL, NULL, NULL, NULL)));
    json_decref(o);
}
END_TEST

START_TEST(test_health_connections)
{
    json_t *o = parsed(weir_render_health_connections);
    ck_assert_str_eq(text(o, "status", NULL, NULL), "healthy");
    ck_assert_double_eq(number(o, "connections_active", NULL, NULL), 49);
    ck_assert_double_eq(number(o, "providers", "openai", "connections_idle"), 25);
    json_decref(o);
    h.providers[0].pool.pending = 1000;
    o = parsed(weir_render_health_connections);
    ck_assert_str_eq(text(o, "status", NULL, NULL), "degraded");
    ck_assert_str_eq(text(o, "providers", "openai", "status"), "degraded");
    ck_assert_str_eq(text(o, "providers", "anthropic", "status"), "healthy");
    json_decref(o);
}
END_TEST

static size_t allocations_left;

static void *scarce(size_t n)
{
    if (allocations_left == 0)
        return NULL;
    allocations_left--;
    return malloc(n);
}

/* Out of memory at each allocation in turn: an error each time, and nothing leaks or is used after it was freed. */
START_TEST(test_json_out_of_memory)
{
    int failures = 0;
    for (size_t n = 0;; n += n < 400 ? 1 : 7) {
        weir_textbuf_close(&out);
        allocations_left = n;
        json_set_alloc_funcs(scarce, free);
        int code = weir_render_metrics_json(&out, &h.s);
        json_set_alloc_funcs(malloc, free);
        if (code == 0)
            break;
        failures++;
    }
    ck_assert_int_gt(failures, 400);
}
END_TEST

/* A node without providers shows empty tables, not nothing. */
START_TEST(test_no_providers)
{
    h.s.provider_count = 0;
    has_line(prometheus(), "# TYPE connections_active gauge");
    json_t *o = parsed(weir_render_metrics_json);
    has_guide_names(at(o, "connection_pool", NULL, NULL, NULL, NULL));
    ck_assert_uint_eq(json_object_size(at(o, "connection_pool", "providers", NULL, NULL, NULL)), 0);
    json_decref(o);
}
END_TEST

CHECK_MAIN("render", setup, teardown, test_prometheus_samples, test_prometheus_histogram,
           test_prometheus_escapes_labels, test_prometheus_shows_no_negative_gauge,
           test_a_gauge_that_is_not_in_use_is_not_shown, test_prometheus_lints, test_bound_is_kept, test_metrics_json,
           test_pool_stats, test_settings, test_health, test_health_connections, test_json_out_of_memory,
           test_no_providers)
