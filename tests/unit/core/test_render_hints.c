#include <jansson.h>
#include <math.h>
#include <stdio.h>

#include "check_main.h"
#include "core/render_hints.h"
#include "helper_advisor.h"

static json_t *rendered(struct weir_textbuf *text)
{
    json_error_t error;
    weir_textbuf_init(text, 65536);
    ck_assert_int_eq(weir_render_hints(text, &advised.hints, advised.forecast, "coordinator-1", 7), 0);
    json_t *root = json_loadb(text->ptr, text->len, 0, &error);
    ck_assert_msg(root != NULL, "%s", error.text);
    return root;
}

START_TEST(test_json)
{
    struct weir_textbuf text;
    json_int_t schema, version, desired, window, step, pool;
    const char *action, *leader, *provider;
    double peak, high, read_s;
    json_t *past, *ahead;
    advised_run(100, 300);
    json_t *root = rendered(&text);
    ck_assert_int_eq(json_unpack(root, "{sI sI ss sI sI s{ss sI s{sF sF}} s[{ss sI s{sF}}] s{s{so so}}}", "schema",
                                 &schema, "version", &version, "leader", &leader, "window_s", &window, "step_s", &step,
                                 "cluster", "action", &action, "desired_nodes", &desired, "in_flight", "peak", &peak,
                                 "peak_high", &high, "providers", "provider", &provider, "pool_size", &pool, "timeouts",
                                 "read_s", &read_s, "series", "in_flight", "past", &past, "ahead", &ahead),
                     0);
    ck_assert_int_eq(schema, 1);
    ck_assert_int_eq(version, 7);
    ck_assert_str_eq(leader, "coordinator-1");
    ck_assert_int_eq(window, 600);
    ck_assert_int_eq(step, 10);
    ck_assert_str_eq(provider, "openai");
    ck_assert_int_eq(desired, advised.hints.desired_nodes);
    ck_assert(fabs(peak - 300) < 5 && high >= peak);
    ck_assert_uint_eq(json_array_size(past), WEIR_LOAD_PAST_MAX);
    ck_assert_uint_eq(json_array_size(ahead), 60);
    ck_assert_int_eq(json_integer_value(json_array_get(json_array_get(past, 59), 0)),
                     (json_int_t)((advised.slot - 1) * SLOT_MS / 1000));
    ck_assert_int_eq(json_integer_value(json_array_get(json_array_get(ahead, 0), 0)),
                     (json_int_t)(advised.slot * SLOT_MS / 1000));
    uint32_t nodes_told;
    uint64_t since;
    ck_assert(weir_hints_parse_advice((struct weir_str){text.ptr, text.len}, &nodes_told, &since));
    ck_assert_uint_eq(nodes_told, advised.hints.desired_nodes);
    ck_assert_uint_eq(since, advised.hints.since_ms);
    json_decref(root);
    weir_textbuf_close(&text);
}
END_TEST

START_TEST(test_advice_that_is_none)
{
    static const char *const bad[] = {
        "",
        "{}",
        "[1]",
        "{\"cluster\":[]}",
        "{\"cluster\":{\"desired_nodes\":0,\"since_unix_ms\":1}}",
        "{\"cluster\":{\"desired_nodes\":1025,\"since_unix_ms\":1}}",
        "{\"cluster\":{\"desired_nodes\":1.5,\"since_unix_ms\":1}}",
        "{\"cluster\":{\"desired_nodes\":\"3\",\"since_unix_ms\":1}}",
        "{\"cluster\":{\"desired_nodes\":3,\"since_unix_ms\":-1}}",
        "{\"cluster\":{\"desired_nodes\":3}}",
        "{\"cluster\":{\"desired_nodes\":3,\"since_unix_ms\":1}",
    };
    uint32_t desired;
    uint64_t since;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        ck_assert_msg(!weir_hints_parse_advice(weir_str_of(bad[i]), &desired, &since), "%s", bad[i]);
}
END_TEST

START_TEST(test_the_largest_texts_fit)
{
    struct weir_textbuf text;
    for (uint64_t n = 0; n < 300; n++) {
        memset(&advised.last, 0, sizeof advised.last);
        advised.last.slot = advised.slot;
        for (uint32_t i = 0; i < WEIR_LOAD_PROVIDERS_MAX; i++) {
            char name[WEIR_PROVIDER_NAME_MAX + 1];
            snprintf(name, sizeof name, "%064u", i);
            struct weir_load_point *p = &weir_load_record_item(&advised.last, weir_str_of(name))->point;
            memset(p, 0x3f, sizeof *p);
            p->in_flight_peak = UINT64_C(999999999) - n * 7;
            p->requests = UINT64_C(99999999999) - n * 1234567;
            p->exchanges = p->leases = p->reused = 123456789;
        }
        advised_end_slot();
    }
    ck_assert_uint_eq(advised.hints.count, WEIR_LOAD_PROVIDERS_MAX);
    json_decref(rendered(&text));
    ck_assert_uint_le(text.len, 65536);
    weir_textbuf_close(&text);
    for (uint64_t n = 0; n < 6 * WEIR_LOAD_HOURS; n++) {
        advised.last.slot = n;
        advised.last.slots = 60;
        weir_load_patterns_take(&advised.patterns, WEIR_LOAD_TEN_MINUTES, &advised.last);
    }
    weir_textbuf_init(&text, 262144);
    ck_assert_int_eq(weir_render_analytics(&text, &advised.patterns, UINT64_C(1764329331000), true), 0);
    ck_assert_uint_le(text.len, 262144);
    weir_textbuf_close(&text);
}
END_TEST

START_TEST(test_analytics)
{
    struct weir_textbuf text;
    json_error_t error;
    json_t *by_hour, *list;
    double reuse, churn, rps, p99, exchange, connect, hour_rps;
    json_int_t hour;
    advised_run(100, 100);
    for (uint64_t n = 0; n < 6 * WEIR_LOAD_HOURS; n += 72) { /* one step at 0:00, one at 12:00 */
        advised_begin_slot(100 + (double)n);
        advised.last.slot = 144 * 100 + n;
        weir_load_patterns_take(&advised.patterns, WEIR_LOAD_TEN_MINUTES, &advised.last);
    }
    weir_textbuf_init(&text, 262144);
    ck_assert_int_eq(weir_render_analytics(&text, &advised.patterns, 5, true), 0);
    json_t *root = json_loadb(text.ptr, text.len, 0, &error);
    ck_assert_msg(root != NULL, "%s", error.text);
    ck_assert_int_eq(json_unpack(root, "{s[{sF sF so}] s[{sF sF sF sF}]}", "patterns", "reuse_percent", &reuse,
                                 "churn_per_min", &churn, "by_hour", &by_hour, "performance", "requests_per_s", &rps,
                                 "first_byte_p99_ms", &p99, "exchange_ms", &exchange, "connect_ms", &connect),
                     0);
    ck_assert(fabs(reuse - 90) < 0.1 && fabs(rps - 50) < 0.1 && fabs(p99 - 900) < 0.1);
    ck_assert(fabs(exchange - 2000) < 0.1 && fabs(connect - 40) < 0.1 && churn > 0);
    ck_assert_uint_eq(json_array_size(by_hour), 2);
    ck_assert_int_eq(json_unpack(json_array_get(by_hour, 1), "{sI sF}", "hour", &hour, "requests_per_s", &hour_rps), 0);
    ck_assert_int_eq(hour, 12);
    ck_assert(fabs(hour_rps - 86) < 0.1); /* of the one slot that was seen of it */
    json_decref(root);
    weir_textbuf_close(&text);
    weir_textbuf_init(&text, 262144);
    ck_assert_int_eq(weir_render_analytics(&text, &advised.patterns, 5, false), 0);
    root = json_loadb(text.ptr, text.len, 0, &error);
    ck_assert_int_eq(json_unpack(root, "{so}", "patterns", &list), 0);
    ck_assert_uint_eq(json_array_size(list), 0);
    json_decref(root);
    weir_textbuf_close(&text);
}
END_TEST

CHECK_MAIN("render_hints", advised_begin, advised_end, test_json, test_advice_that_is_none, test_the_largest_texts_fit,
           test_analytics)
