#include "core/render_overview.h"

#include <jansson.h>
#include <string.h>

#include "check_main.h"
#include "core/render.h"
#include "helper/core_failmalloc.h"
#include "helper_snapshot.h"

static struct helper_snapshot h;

static void setup(void)
{
    helper_snapshot_fill(&h);
    h.providers[0].counters.hist[WEIR_H_REQUEST].bucket[3] = 7;
    h.providers[0].counters.hist[WEIR_H_FIRST_BYTE].bucket[WEIR_HIST_BOUNDS] = 9;
}

static json_t *rendered(void)
{
    struct weir_textbuf out;
    weir_textbuf_init(&out, WEIR_RENDER_BYTES_MAX);
    ck_assert_int_eq(weir_render_overview_pools(&out, &h.s), 0);
    json_t *o = json_loadb(out.ptr, out.len, JSON_REJECT_DUPLICATES, NULL);
    ck_assert_ptr_nonnull(o);
    weir_textbuf_close(&out);
    return o;
}

static json_int_t whole(json_t *o, const char *key)
{
    ck_assert_msg(json_is_integer(json_object_get(o, key)), "%s", key);
    return json_integer_value(json_object_get(o, key));
}

static json_t *provider(json_t *o, size_t i)
{
    return json_array_get(json_object_get(o, "providers"), i);
}

START_TEST(test_node)
{
    json_t *o = rendered(), *requests = json_object_get(o, "requests"), *process = json_object_get(o, "process");
    ck_assert_str_eq(json_string_value(json_object_get(o, "node")), "node-1");
    ck_assert_int_eq(whole(o, "timestamp_ms"), 1795000000123);
    ck_assert_int_eq(whole(requests, "5xx"), (json_int_t)h.s.counters.at[WEIR_NC_REQUESTS_5XX]);
    ck_assert_int_eq(whole(requests, "active"), (json_int_t)h.s.counters.at[WEIR_NC_REQUESTS_ACTIVE]);
    ck_assert_double_eq(json_number_value(json_object_get(process, "uptime_s")), 61.5);
    ck_assert_int_eq(whole(process, "resident_bytes"), 20 << 20);
    json_decref(o);
}
END_TEST

START_TEST(test_pool)
{
    json_t *o = rendered(), *p = provider(o, 0);
    ck_assert_str_eq(json_string_value(json_object_get(p, "name")), "openai");
    ck_assert_int_eq(whole(p, "active"), 45);
    ck_assert_int_eq(whole(p, "idle"), 25);
    ck_assert_int_eq(whole(p, "opening"), 1);
    ck_assert_int_eq(whole(p, "pending"), 5);
    ck_assert_int_eq(whole(p, "max"), 100);
    ck_assert_double_eq(json_number_value(json_object_get(p, "utilization_percent")), 45);
    json_int_t reused = 1000 + WEIR_EC_LEASES_REUSED + 2000 + WEIR_EC_LEASES_REUSED;
    ck_assert_int_eq(whole(p, "reused"), reused);
    ck_assert_int_eq(whole(p, "leases"), reused + 1000 + WEIR_EC_LEASES_NEW + 2000 + WEIR_EC_LEASES_NEW);
    json_t *endpoints = json_object_get(p, "endpoints"), *second = json_array_get(endpoints, 1);
    ck_assert_uint_eq(json_array_size(endpoints), 2);
    ck_assert_str_eq(json_string_value(json_object_get(second, "id")), "http://10.0.0.2:9001");
    ck_assert_int_eq(whole(second, "active"), 15);
    ck_assert_str_eq(json_string_value(json_object_get(second, "status")), "healthy");
    json_decref(o);
}
END_TEST

/* One bucket more than bounds: it has none. */
START_TEST(test_buckets)
{
    json_t *o = rendered(), *bounds = json_object_get(o, "bounds_ms");
    json_t *request = json_object_get(provider(o, 0), "request"),
           *first = json_object_get(provider(o, 0), "first_byte");
    ck_assert_uint_eq(json_array_size(bounds), WEIR_HIST_BOUNDS);
    ck_assert_double_eq(json_number_value(json_array_get(bounds, 0)), (double)weir_hist_bound_us[0] / 1000);
    ck_assert_uint_eq(json_array_size(request), WEIR_HIST_BOUNDS + 1);
    ck_assert_int_eq(json_integer_value(json_array_get(request, 3)), 7);
    ck_assert_int_eq(json_integer_value(json_array_get(first, WEIR_HIST_BOUNDS)), 9);
    json_decref(o);
}
END_TEST

START_TEST(test_out_of_memory)
{
    bool more = true;
    for (unsigned long n = 1; more; n = failmalloc_next(n)) {
        struct weir_textbuf out;
        failmalloc_begin(n);
        weir_textbuf_init(&out, WEIR_RENDER_BYTES_MAX);
        int rv = weir_render_overview_pools(&out, &h.s);
        weir_textbuf_close(&out);
        long left = failmalloc_end(&more);
        ck_assert_int_eq(left, 0);
        ck_assert_int_eq(rv, more ? WEIR_ENOMEM : 0);
    }
}
END_TEST

CHECK_MAIN("render_overview", setup, NULL, test_node, test_pool, test_buckets, test_out_of_memory)
