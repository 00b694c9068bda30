/* Out of memory at any allocation of what a node shows of itself, and of a redirect: an error, no leak, no crash. What
 * else in core allocates is tested with its module: arena, fields, ptrmap, wheel, url, alert, retry_budget, and the
 * configuration in test_config_memory and test_config_diff. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "check_main.h"
#include "core/config.h"
#include "core/redirect.h"
#include "core/render.h"
#include "helper/core_failmalloc.h"
#include "helper_snapshot.h"

static struct helper_snapshot h;
static struct weir_config *config;
static struct weir_alerts *alerts;

static const char text[] = "providers:\n"
                           "  openai: {base_url: 'http://127.0.0.1:1'}\n"
                           "alerts: [{name: own, condition: 'pending_requests > 1', for: 5, action: investigate}]\n";

/* jansson is a shared library, which --wrap does not reach. */
static void *our_malloc(size_t n)
{
    return malloc(n);
}

static void our_free(void *p)
{
    free(p);
}

static void ignore(void *arg, const struct weir_alert_view *v)
{
    (void)arg;
    (void)v;
}

static void setup(void)
{
    struct weir_err err;
    struct weir_config_problems problems = {0};
    const struct weir_config_input in = {.file = "f", .bytes = text, .len = sizeof text - 1};
    json_set_alloc_funcs(our_malloc, our_free);
    json_object_seed(1); /* from a file, once */
    helper_snapshot_fill(&h);
    ck_assert_int_eq(weir_config_parse(&config, &in, &problems), WEIR_OK);
    weir_config_problems_reset(&problems);
    ck_assert_int_eq(weir_alerts_new(&alerts, config, &err), WEIR_OK);
    weir_alerts_evaluate(alerts, &h.s, 1000, NULL, ignore);
}

static void teardown(void)
{
    weir_alerts_free(&alerts);
    weir_config_free(&config);
}

static int memory_pool(struct weir_textbuf *out, const struct weir_snapshot *s)
{
    static const struct weir_memory_row rows[] = {{"requests", 3, 4096}, {"connections", 2, 512}};
    return weir_render_memory_pool(out, s, rows, 2);
}

static int memory_gc(struct weir_textbuf *out, const struct weir_snapshot *s)
{
    static const struct weir_allocator_report report = {.arenas = 2, .heap = 4096, .trimmed = true};
    return weir_render_memory_gc(out, s, &report);
}

static int all_alerts(struct weir_textbuf *out, const struct weir_snapshot *s)
{
    return weir_render_alerts(out, s, alerts, 2000);
}

struct first {
    struct weir_alert_view view;
    bool found;
};

static void keep_first(void *arg, const struct weir_alert_view *v)
{
    struct first *f = arg;
    if (!f->found)
        f->view = *v;
    f->found = true;
}

static int webhook(struct weir_textbuf *out, const struct weir_snapshot *s)
{
    struct first f = {0};
    weir_alerts_each(alerts, &f, keep_first);
    return f.found ? weir_render_webhook(out, &f.view, "n", s->unix_ms, 2000) : WEIR_EINVAL;
}

typedef int page_fn(struct weir_textbuf *out, const struct weir_snapshot *s);

static void each_allocation(page_fn *page)
{
    bool more = true;
    unsigned long n = 1;
    for (; more; n = failmalloc_next(n)) {
        struct weir_textbuf out;
        weir_textbuf_init(&out, WEIR_RENDER_BYTES_MAX);
        failmalloc_begin(n);
        int code = page(&out, &h.s);
        weir_textbuf_close(&out);
        long left = failmalloc_end(&more);
        ck_assert_msg(left == 0, "allocation %lu: %ld blocks left", n, left);
        ck_assert_msg(code == (more ? WEIR_ENOMEM : WEIR_OK), "allocation %lu: code %d", n, code);
    }
    ck_assert_uint_gt(n, 2);
}

START_TEST(test_pages_of_metrics)
{
    static const uint32_t codes[] = {500, 503};
    const struct weir_config_http http = {.retry.status_codes = {codes, 2}};
    h.providers[0].settings = &http;
    each_allocation(weir_render_prometheus);
    each_allocation(weir_render_metrics_json);
    each_allocation(weir_render_pool_stats);
}
END_TEST

START_TEST(test_pages_of_health)
{
    each_allocation(weir_render_health);
    each_allocation(weir_render_health_providers);
    each_allocation(weir_render_health_connections);
    each_allocation(weir_render_circuits);
}
END_TEST

START_TEST(test_other_pages)
{
    each_allocation(weir_render_latency);
    each_allocation(memory_pool);
    each_allocation(memory_gc);
    each_allocation(all_alerts);
    each_allocation(webhook);
}
END_TEST

START_TEST(test_a_redirect)
{
    static const struct weir_config_endpoint endpoints[] = {{.id = "http://a.example:80"}};
    struct weir_arena kept;
    struct weir_fields fields = {0};
    weir_arena_init(&kept);
    ck_assert(weir_fields_add_id(&fields, &kept, WEIR_FIELD_LOCATION, WEIR_STR("../b/./c?d")));
    const struct weir_redirect_sight sight = {.status = 307,
                                              .fields = &fields,
                                              .method = WEIR_STR("GET"),
                                              .asked = {false, WEIR_STR("a.example"), WEIR_STR("/v1/x?y")},
                                              .policy = WEIR_CONFIG_REDIRECTS_SAME_ORIGIN,
                                              .endpoints = endpoints,
                                              .endpoint_count = 1,
                                              .body_ended = true,
                                              .replayable = true};
    bool more = true;
    for (unsigned long n = 1; more; n = failmalloc_next(n)) {
        struct weir_arena a;
        weir_arena_init(&a);
        failmalloc_begin(n);
        struct weir_redirect_decision d = weir_redirect_decide(&sight, &a);
        weir_arena_reset(&a);
        long left = failmalloc_end(&more);
        ck_assert_int_eq(left, 0);
        ck_assert_int_eq(d.word, more ? WEIR_REDIRECT_PASS : WEIR_REDIRECT_FOLLOW);
        ck_assert_int_eq(d.reason, more ? WEIR_REDIRECT_MEMORY : WEIR_REDIRECT_NONE);
    }
    weir_arena_reset(&kept);
}
END_TEST

CHECK_MAIN("alloc", setup, teardown, test_pages_of_metrics, test_pages_of_health, test_other_pages, test_a_redirect)
