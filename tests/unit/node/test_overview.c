#include "node/overview.h"

#include <jansson.h>

#include "check_main.h"
#include "core/render.h"
#include "helper/core_failmalloc.h"

static const struct weir_snapshot snapshot = {.node = "node-1", .version = "1.2.3", .unix_ms = 1795000000123};
static struct weir_reactor reactor;
static struct weir_alerting alerting;
static struct weir_overview overview;
static const struct weir_admin_sources from = {.snapshot = &snapshot, .alerting = &alerting};

static void setup(void)
{
    static const struct weir_config config = {.alerting = {.interval_ms = 1000, .window_ms = 60000}};
    struct weir_err err;
    overview = (struct weir_overview){0};
    alerting = (struct weir_alerting){.reactor = &reactor};
    ck_assert_int_eq(weir_alerts_new(&alerting.alerts, &config, &err), 0);
}

static void teardown(void)
{
    weir_overview_close(&overview);
    weir_alerts_free(&alerting.alerts);
}

static size_t recalled(uint64_t now_ms)
{
    struct weir_textbuf out;
    weir_textbuf_init(&out, WEIR_RENDER_BYTES_MAX);
    bool any = weir_overview_recall(&overview, &out, now_ms);
    size_t len = out.len;
    weir_textbuf_close(&out);
    ck_assert_int_eq(any, len > 0);
    return len;
}

START_TEST(test_parts)
{
    static const char *const keys[] = {"state", "nodes", "shards", "breakers", "limits", "hints", "pools", "alerts"};
    ck_assert_int_eq(weir_overview_make(&overview, &from, 1000), 0);
    json_t *o = json_loadb(overview.text.ptr, overview.text.len, JSON_REJECT_DUPLICATES, NULL);
    ck_assert_ptr_nonnull(o);
    ck_assert_int_eq(json_integer_value(json_object_get(o, "schema")), 1);
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        ck_assert_msg(json_is_object(json_object_get(o, keys[i])), "%s", keys[i]);
    json_decref(o);
}
END_TEST

START_TEST(test_it_is_kept_for_a_while)
{
    ck_assert_uint_eq(recalled(0), 0);
    ck_assert_int_eq(weir_overview_make(&overview, &from, 1000), 0);
    ck_assert_uint_eq(recalled(1000), overview.text.len);
    ck_assert_uint_eq(recalled(1000 + WEIR_OVERVIEW_KEPT_MS - 1), overview.text.len);
    ck_assert_uint_eq(recalled(1000 + WEIR_OVERVIEW_KEPT_MS), 0);
    ck_assert_int_eq(weir_overview_make(&overview, &from, 2000), 0);
    ck_assert_uint_eq(recalled(2000), overview.text.len);
}
END_TEST

START_TEST(test_out_of_memory)
{
    bool more = true;
    for (unsigned long n = 1; more; n++) {
        failmalloc_begin(n);
        int rv = weir_overview_make(&overview, &from, 1000);
        size_t len = overview.text.len;
        weir_overview_close(&overview);
        long left = failmalloc_end(&more);
        ck_assert_int_eq(left, 0);
        ck_assert_int_eq(rv, more ? WEIR_ENOMEM : 0);
        ck_assert_int_eq(len > 0, !more);
    }
}
END_TEST

CHECK_MAIN("overview", setup, teardown, test_parts, test_it_is_kept_for_a_while, test_out_of_memory)
