#include "core/render.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "check_main.h"
#include "helper_snapshot.h"

#define SECOND ((uint64_t)1000)

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

static json_t *loaded(int code)
{
    json_error_t error;
    ck_assert_int_eq(code, 0);
    json_t *o = json_loadb(out.ptr, out.len, JSON_REJECT_DUPLICATES, &error);
    ck_assert_msg(o != NULL, "%s", error.text);
    return o;
}

/* "a/b/c", with ~ for a slash in a key. Fails the test when it is not there. */
static json_t *at(json_t *o, const char *path)
{
    char copy[200], *rest = copy;
    ck_assert_uint_lt(strlen(path), sizeof copy);
    strcpy(copy, path);
    for (char *key; (key = strsep(&rest, "/")) != NULL;) {
        for (char *c = key; *c != '\0'; c++)
            *c = *c == '~' ? '/' : *c;
        o = json_is_array(o) ? json_array_get(o, (size_t)strtoul(key, NULL, 10)) : json_object_get(o, key);
        ck_assert_msg(o != NULL, "%s: no %s", path, key);
    }
    return o;
}

static double number(json_t *o, const char *path)
{
    ck_assert_msg(json_is_number(at(o, path)), "%s", path);
    return json_number_value(at(o, path));
}

static const char *text(json_t *o, const char *path)
{
    ck_assert_msg(json_is_string(at(o, path)), "%s", path);
    return json_string_value(at(o, path));
}

#define ONE   "providers/openai/endpoints/http:~~10.0.0.1:9001/"
#define TWO   "providers/openai/endpoints/http:~~10.0.0.2:9001/"
#define THREE "providers/anthropic/endpoints/http:~~10.0.0.3:9002/"

/* -- circuits -- */

START_TEST(test_circuits)
{
    json_t *o = loaded(weir_render_circuits(&out, &h.s));
    ck_assert_str_eq(text(o, "status"), "closed");
    ck_assert_str_eq(text(o, THREE "state"), "closed");
    json_decref(o);
    h.openai[1].circuit = (struct weir_circuit_snapshot){
        .enabled = true, .phase = WEIR_BREAKER_HALF_OPEN, .since_ms = 1500, .probes = 1, .cooldown_left_ms = 250};
    weir_textbuf_close(&out);
    o = loaded(weir_render_circuits(&out, &h.s));
    ck_assert_str_eq(text(o, "status"), "half-open");
    ck_assert_double_eq(number(o, TWO "state_seconds"), 1.5);
    ck_assert_double_eq(number(o, TWO "probes"), 1);
    ck_assert_double_eq(number(o, TWO "cooldown_seconds"), 0.25);
    ck_assert_double_eq(number(o, "cooling"), 1);
    json_decref(o);
    h.openai[0].circuit = (struct weir_circuit_snapshot){
        .enabled = true, .phase = WEIR_BREAKER_OPEN, .open_left_ms = 42500, .failures = 5};
    h.openai[0].counters.at[WEIR_EC_CIRCUIT_OPENED] = 3;
    weir_textbuf_close(&out);
    o = loaded(weir_render_circuits(&out, &h.s));
    ck_assert_str_eq(text(o, "status"), "open");
    ck_assert_double_eq(number(o, "open"), 1);
    ck_assert_double_eq(number(o, "half_open"), 1);
    ck_assert_str_eq(text(o, ONE "state"), "open");
    ck_assert_double_eq(number(o, ONE "retry_in_seconds"), 42.5);
    ck_assert_double_eq(number(o, ONE "failures_in_a_row"), 5);
    ck_assert_double_eq(number(o, ONE "opened_total"), 3);
    ck_assert(json_is_true(at(o, ONE "enabled")) && json_is_false(at(o, THREE "enabled")));
    json_decref(o);
}
END_TEST

START_TEST(test_a_circuit_is_part_of_health)
{
    ck_assert_int_eq(weir_health_of_endpoint(&h.openai[0]), WEIR_HEALTHY);
    h.openai[0].circuit.cooldown_left_ms = 1;
    ck_assert_int_eq(weir_health_of_endpoint(&h.openai[0]), WEIR_DEGRADED);
    h.openai[0].circuit.phase = WEIR_BREAKER_HALF_OPEN;
    ck_assert_int_eq(weir_health_of_endpoint(&h.openai[0]), WEIR_DEGRADED);
    h.openai[0].circuit.phase = WEIR_BREAKER_OPEN;
    ck_assert_int_eq(weir_health_of_endpoint(&h.openai[0]), WEIR_UNHEALTHY);
}
END_TEST

/* -- providers -- */

START_TEST(test_providers)
{
    h.anthropic[0].ejected = h.anthropic[0].checks_failed = true;
    h.anthropic[0].check = (struct weir_check_snapshot){.unix_ms = 1795000000000, .why = "status 503"};
    h.openai[0].check = (struct weir_check_snapshot){.unix_ms = 1795000000000, .passed = true};
    h.openai[1].counters.latency[WEIR_LATENCY_FIRST_BYTE].bucket[4] = 1;
    json_t *o = loaded(weir_render_health_providers(&out, &h.s));
    ck_assert_str_eq(text(o, "status"), "degraded");
    ck_assert_str_eq(text(o, "providers/openai/status"), "healthy");
    ck_assert_str_eq(text(o, "providers/anthropic/status"), "unhealthy");
    ck_assert_double_eq(number(o, "providers/openai/pending_requests"), 5);
    ck_assert(json_is_true(at(o, THREE "ejected")) && json_is_true(at(o, THREE "checks_failed")));
    ck_assert(json_is_false(at(o, THREE "last_check/passed")));
    ck_assert_str_eq(text(o, THREE "last_check/error"), "status 503");
    ck_assert_str_eq(text(o, THREE "last_check/at"), "2026-11-18T11:06:40.000Z");
    ck_assert(json_is_true(at(o, ONE "last_check/passed")) && json_is_null(at(o, ONE "last_check/error")));
    ck_assert(json_is_null(at(o, TWO "last_check")));
    ck_assert(json_is_null(at(o, ONE "first_byte_p50_ms")) && number(o, TWO "first_byte_p50_ms") > 0);
    ck_assert_str_eq(text(o, ONE "circuit/state"), "closed");
    ck_assert_double_eq(number(o, ONE "addresses"), 2);
    json_decref(o);
}
END_TEST

/* -- debug -- */

START_TEST(test_latency)
{
    struct weir_endpoint_counters *c = &h.openai[0].counters;
    weir_latency_observe(c, WEIR_LATENCY_CONNECT, 1000, 5);
    weir_latency_observe(c, WEIR_LATENCY_CONNECT, 3000, 6);
    json_t *o = loaded(weir_render_latency(&out, &h.s));
    ck_assert_double_eq(number(o, ONE "connect/count"), 2);
    ck_assert_double_eq(number(o, ONE "connect/last_ms"), 3);
    ck_assert_double_eq(number(o, ONE "connect/mean_ms"), 2);
    ck_assert_double_eq(number(o, ONE "connect/p50_ms"), 1);
    ck_assert_double_le(number(o, ONE "connect/p99_ms"), 3);
    ck_assert(json_is_null(at(o, ONE "dns")) && json_is_null(at(o, ONE "tls")) && json_is_null(at(o, TWO "connect")));
    json_decref(o);
}
END_TEST

START_TEST(test_memory)
{
    const struct weir_memory_row rows[] = {{"requests", 3, 3000}, {"workers", 2, 500}};
    json_t *o = loaded(weir_render_memory_pool(&out, &h.s, rows, 2));
    ck_assert_double_eq(number(o, "objects/requests/count"), 3);
    ck_assert_double_eq(number(o, "objects_bytes"), 3500);
    ck_assert_double_eq(number(o, "providers/openai/connections_active"), 45);
    ck_assert_double_eq(number(o, "process/resident_bytes"), 20971520);
    json_decref(o);
    weir_textbuf_close(&out);
    struct weir_allocator_report r = {.arenas = 2, .heap = 100, .in_use = 60, .free = 40};
    o = loaded(weir_render_memory_gc(&out, &h.s, &r));
    ck_assert(json_is_null(at(o, "collector")));
    ck_assert_double_eq(number(o, "allocator/free_bytes"), 40);
    ck_assert_ptr_null(json_object_get(o, "trim"));
    json_decref(o);
    weir_textbuf_close(&out);
    r = (struct weir_allocator_report){.trimmed = true, .released = true, .resident_before = 70, .resident_after = 50};
    o = loaded(weir_render_memory_gc(&out, &h.s, &r));
    ck_assert_double_eq(number(o, "trim/freed_bytes"), 20);
    json_decref(o);
    weir_textbuf_close(&out);
    r.resident_after = 90; /* others have allocated meanwhile */
    o = loaded(weir_render_memory_gc(&out, &h.s, &r));
    ck_assert_double_eq(number(o, "trim/freed_bytes"), 0);
    json_decref(o);
}
END_TEST

/* -- alerts -- */

static struct weir_config config;
static struct weir_config_alert rules[2];
static struct weir_config_provider providers[2];
static struct weir_alerts *alerts;
static struct weir_alert_view shown;

static void note(void *arg, const struct weir_alert_view *v)
{
    const char *provider = arg;
    if ((v->provider == NULL) == (provider == NULL) && (provider == NULL || strcmp(v->provider, provider) == 0))
        shown = *v;
}

static void begin_alerts(const char *provider)
{
    struct weir_err err;
    rules[0] = (struct weir_config_alert){.name = "queue",
                                          .condition = "pending_requests > 4 and pending_requests < max_connections",
                                          .message = "a \"long\" queue",
                                          .severity = WEIR_CONFIG_SEVERITY_CRITICAL,
                                          .action = WEIR_CONFIG_ACTION_SCALE_UP};
    rules[1] = (struct weir_config_alert){.name = "slow", .condition = "weir_uptime_seconds < 0", .message = ""};
    providers[0].name = "openai";
    providers[1].name = "anthropic";
    config.providers = providers;
    config.provider_count = 2;
    config.alerting.window_ms = 300 * SECOND;
    config.alerting.interval_ms = 10 * SECOND;
    config.alerts = (struct weir_config_alerts){rules, 2};
    ck_assert_int_eq(weir_alerts_new(&alerts, &config, &err), 0);
    weir_alerts_evaluate(alerts, &h.s, 100 * SECOND, (void *)(uintptr_t)provider, note);
}

START_TEST(test_alerts)
{
    begin_alerts(NULL);
    json_t *o = loaded(weir_render_alerts(&out, &h.s, alerts, 103 * SECOND));
    ck_assert_double_eq(number(o, "firing"), 2);
    ck_assert(json_is_true(at(o, "scale_up_wanted")));
    ck_assert_uint_eq(json_array_size(at(o, "alerts")), 6);
    ck_assert_str_eq(text(o, "alerts/0/name"), "queue");
    ck_assert(json_is_null(at(o, "alerts/0/provider")));
    ck_assert_str_eq(text(o, "alerts/0/state"), "firing");
    ck_assert_str_eq(text(o, "alerts/0/severity"), "critical");
    ck_assert_str_eq(text(o, "alerts/0/action"), "scale_up");
    ck_assert_str_eq(text(o, "alerts/0/message"), "a \"long\" queue");
    ck_assert_str_eq(text(o, "alerts/0/since"), "2026-11-18T11:06:37.123Z");
    ck_assert_str_eq(text(o, "alerts/0/fired_at"), "2026-11-18T11:06:37.123Z");
    ck_assert(json_is_null(at(o, "alerts/0/resolved_at")));
    ck_assert_uint_eq(json_object_size(at(o, "alerts/0/values")), 2);
    ck_assert_double_eq(number(o, "alerts/0/values/pending_requests"), 6);
    ck_assert_double_eq(number(o, "alerts/0/values/max_connections"), 108);
    ck_assert_str_eq(text(o, "alerts/1/message"), "slow");
    ck_assert_str_eq(text(o, "alerts/3/provider"), "openai");
    ck_assert(json_is_null(at(o, "alerts/3/values/weir_uptime_seconds")));
    ck_assert_str_eq(text(o, "alerts/4/provider"), "anthropic");
    ck_assert_str_eq(text(o, "alerts/4/state"), "inactive");
    ck_assert(json_is_null(at(o, "alerts/4/fired_at")));
    json_decref(o);
    weir_alerts_free(&alerts);
}
END_TEST

START_TEST(test_webhook)
{
    begin_alerts("openai");
    json_t *o = loaded(weir_render_webhook(&out, &shown, "node-1:8000", 1795000000123, 100 * SECOND));
    ck_assert_str_eq(text(o, "version"), "4");
    ck_assert_str_eq(text(o, "status"), "firing");
    ck_assert_str_eq(text(o, "groupLabels/alertname"), "queue");
    ck_assert_str_eq(text(o, "commonLabels/provider"), "openai");
    ck_assert_str_eq(text(o, "alerts/0/labels/severity"), "critical");
    ck_assert_str_eq(text(o, "alerts/0/labels/instance"), "node-1:8000");
    ck_assert_str_eq(text(o, "alerts/0/annotations/summary"), "a \"long\" queue");
    ck_assert_str_eq(text(o, "alerts/0/annotations/pending_requests"), "5");
    ck_assert_str_eq(text(o, "alerts/0/startsAt"), "2026-11-18T11:06:40.123Z");
    ck_assert_str_eq(text(o, "alerts/0/endsAt"), "0001-01-01T00:00:00Z");
    ck_assert_uint_eq(strlen(text(o, "alerts/0/fingerprint")), 16);
    char *print = strdup(text(o, "alerts/0/fingerprint"));
    json_decref(o);

    weir_textbuf_close(&out);
    h.providers[0].pool.pending = 0;
    weir_alerts_evaluate(alerts, &h.s, 107 * SECOND, (void *)(uintptr_t) "openai", note);
    o = loaded(weir_render_webhook(&out, &shown, "node-1:8000", 1795000007123, 107 * SECOND));
    ck_assert_str_eq(text(o, "status"), "resolved");
    ck_assert_str_eq(text(o, "alerts/0/startsAt"), "2026-11-18T11:06:40.123Z");
    ck_assert_str_eq(text(o, "alerts/0/endsAt"), "2026-11-18T11:06:47.123Z");
    ck_assert_str_eq(text(o, "alerts/0/fingerprint"), print);
    json_decref(o);
    free(print);
    weir_alerts_free(&alerts);
}
END_TEST

/* -- out of memory -- */

static size_t allocations_left;

static void *scarce(size_t n)
{
    if (allocations_left == 0)
        return NULL;
    allocations_left--;
    return malloc(n);
}

static int render_all(void)
{
    static const struct weir_memory_row row = {"requests", 1, 1};
    static const struct weir_allocator_report report = {.trimmed = true};
    int failed = weir_render_alerts(&out, &h.s, alerts, 100 * SECOND) != 0;
    failed += weir_render_webhook(&out, &shown, "n", 1795000000123, 100 * SECOND) != 0;
    failed += weir_render_circuits(&out, &h.s) != 0;
    failed += weir_render_health_providers(&out, &h.s) != 0;
    failed += weir_render_latency(&out, &h.s) != 0;
    failed += weir_render_memory_pool(&out, &h.s, &row, 1) != 0;
    failed += weir_render_memory_gc(&out, &h.s, &report) != 0;
    return failed;
}

START_TEST(test_out_of_memory)
{
    int worst = 0, failures = 0;
    begin_alerts("openai");
    weir_latency_observe(&h.openai[0].counters, WEIR_LATENCY_CONNECT, 1000, 5);
    h.openai[0].check = (struct weir_check_snapshot){.unix_ms = 1795000000000, .why = "refused"};
    for (size_t n = 0;; n += n < 300 ? 1 : 5) {
        weir_textbuf_close(&out);
        allocations_left = n;
        json_set_alloc_funcs(scarce, free);
        int failed = render_all();
        json_set_alloc_funcs(malloc, free);
        worst = failed > worst ? failed : worst;
        if (failed == 0)
            break;
        failures++;
    }
    ck_assert_int_eq(worst, 7);
    ck_assert_int_gt(failures, 300);
    weir_alerts_free(&alerts);
}
END_TEST

CHECK_MAIN("render_pages", setup, teardown, test_circuits, test_a_circuit_is_part_of_health, test_providers,
           test_latency, test_memory, test_alerts, test_webhook, test_out_of_memory)
