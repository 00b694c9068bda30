/* The names of views, against a name server of the test's own that the configuration names. */
#include "node/resolve.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check_main.h"
#include "helper/net_name_server.h"
#include "helper/net_run.h"

static struct {
    struct weir_reactor r;
    struct name_server server;
    bool fast;
    struct weir_resolve names;
    int ready, changed, answered, fail_count, works;
    char problem[512];
    char servers[32 + WEIR_ADDR_TEXT_MAX]; /* as the configuration has it */
    struct weir_view *view;
} f;

/* What the server answers from now on. */
static void records(uint8_t first, uint8_t second, uint16_t ttl_s)
{
    f.server.records[0] = (struct name_record){.last = first, .ttl_s = ttl_s};
    f.server.records[1] = (struct name_record){.last = second, .ttl_s = ttl_s};
    f.server.count = 2;
}

static struct weir_view *view_of(const char *providers, const struct weir_view *before)
{
    struct weir_config_problems problems = {0};
    struct weir_config *config = NULL;
    struct weir_err err;
    char text[1024];
    int n = snprintf(text, sizeof text, "%s%s}\n%s", f.servers, f.fast ? ", refresh: 0.1" : "", providers);
    const struct weir_config_input in = {.file = "test.yaml", .bytes = text, .len = (size_t)n};
    ck_assert_int_eq(weir_config_parse(&config, &in, &problems), 0);
    weir_config_problems_reset(&problems);
    struct weir_shared_config *shared = weir_shared_config_new(config);
    struct weir_view *v;
    ck_assert_int_eq(weir_view_new(&v, shared, before, 1, &err), 0);
    weir_shared_config_unref(shared);
    return v;
}

static void on_ready(struct weir_resolve *r)
{
    ck_assert_ptr_eq(r, &f.names);
    f.ready++;
}

static void on_changed(struct weir_resolve *r)
{
    ck_assert_ptr_eq(r, &f.names);
    f.changed++;
}

static void on_entry(struct weir_resolve *r, const struct weir_resolve_entry *e, enum weir_resolve_event event)
{
    ck_assert_ptr_eq(r, &f.names);
    f.answered += event == WEIR_RESOLVE_ANSWERED;
    f.fail_count += event == WEIR_RESOLVE_FAILS;
    f.works += event == WEIR_RESOLVE_WORKS;
    if (event == WEIR_RESOLVE_FAILS)
        snprintf(f.problem, sizeof f.problem, "%s", e->problem);
}

static const struct weir_resolve_events events = {.ready = on_ready, .changed = on_changed, .entry = on_entry};

static void setup(void)
{
    memset(&f, 0, sizeof f);
    reactor_open(&f.r);
    weir_resolve_init(&f.names, &f.r, &events, NULL);
    name_server_open(&f.server, &f.r);
    records(1, 2, 200);
    snprintf(f.servers, sizeof f.servers, "dns: {servers: ['%s']", f.server.address);
}

static void teardown(void)
{
    weir_resolve_close(&f.names);
    if (f.view != NULL)
        weir_view_unref(f.view);
    name_server_close(&f.server);
    weir_reactor_close(&f.r);
}

static void want(void)
{
    struct weir_err err = {0};
    ck_assert_msg(weir_resolve_want(&f.names, f.view, &err) == 0, "%s", err.msg);
}

static void resolve(void)
{
    int before = f.ready;
    want();
    RUN_UNTIL(&f.r, f.ready > before);
}

static const char names[] = "providers:\n"
                            "  a: {endpoints: [{url: 'http://one.test:1'}, {url: 'http://gone.test:2'}]}\n"
                            "  b: {base_url: 'http://one.test:1'}\n";

START_TEST(test_literals_need_no_server)
{
    f.view = view_of("providers: {a: {base_url: 'http://192.0.2.9:1'}}\n", NULL);
    want();
    ck_assert_int_eq(f.ready, 1); /* from inside the call */
    ck_assert(!weir_resolve_differs(&f.names, f.view));
    ck_assert_int_eq(f.server.asked_a, 0);
}
END_TEST

START_TEST(test_no_providers_are_ready_at_once)
{
    f.view = view_of("", NULL);
    want();
    ck_assert_int_eq(f.ready, 1);
    ck_assert(!weir_resolve_differs(&f.names, f.view));
}
END_TEST

START_TEST(test_each_name_is_asked_for_once_and_goes_to_all_who_have_it)
{
    f.view = view_of(names, NULL);
    resolve();
    ck_assert_int_eq(f.server.asked_a, 2);
    ck_assert_int_eq(f.answered, 1);
    ck_assert_int_eq(f.fail_count, 1);
    ck_assert_ptr_nonnull(strstr(f.problem, "gone.test"));
    ck_assert(weir_resolve_differs(&f.names, f.view));
    ck_assert_int_eq(weir_resolve_apply(&f.names, f.view), 0);
    ck_assert_uint_eq(f.view->providers[0].endpoints[0].address_count, 2);
    ck_assert_uint_eq(f.view->providers[0].endpoints[1].address_count, 0);
    ck_assert_uint_eq(f.view->providers[1].endpoints[0].address_count, 2);
    ck_assert(!weir_resolve_differs(&f.names, f.view));
}
END_TEST

START_TEST(test_another_order_is_no_difference)
{
    f.view = view_of(names, NULL);
    resolve();
    ck_assert_int_eq(weir_resolve_apply(&f.names, f.view), 0);
    records(2, 1, 200);
    resolve();
    ck_assert(!weir_resolve_differs(&f.names, f.view));
}
END_TEST

START_TEST(test_a_name_that_fails_keeps_its_addresses_and_is_told_once)
{
    f.fast = true;
    f.view = view_of("providers: {a: {base_url: 'http://one.test:1'}}\n", NULL);
    resolve();
    ck_assert_int_eq(weir_resolve_apply(&f.names, f.view), 0);
    f.server.all_gone = true;
    int asked = f.server.asked_a;
    RUN_UNTIL(&f.r, f.server.asked_a > asked + 3);
    ck_assert_int_eq(f.fail_count, 1);
    ck_assert(!weir_resolve_differs(&f.names, f.view));
    ck_assert_int_eq(weir_resolve_apply(&f.names, f.view), 0);
    ck_assert_uint_eq(f.view->providers[0].endpoints[0].address_count, 2);
    f.server.all_gone = false;
    asked = f.server.asked_a;
    RUN_UNTIL(&f.r, f.server.asked_a > asked + 3);
    ck_assert_int_eq(f.works, 1);
    ck_assert_int_eq(f.fail_count, 1);
}
END_TEST

START_TEST(test_a_name_is_asked_again_by_itself_and_its_change_is_told)
{
    f.fast = true;
    f.view = view_of("providers: {a: {base_url: 'http://one.test:1'}}\n", NULL);
    resolve();
    ck_assert_int_eq(weir_resolve_apply(&f.names, f.view), 0);
    records(11, 12, 200);
    RUN_UNTIL(&f.r, f.changed > 0 && weir_resolve_differs(&f.names, f.view));
    ck_assert_int_eq(f.ready, 1);
    struct weir_view *next = view_of("providers: {a: {base_url: 'http://one.test:1'}}\n", f.view);
    ck_assert_int_eq(weir_resolve_apply(&f.names, next), 0);
    weir_view_take_effect(next, f.view);
    ck_assert(f.view->providers[0].endpoints[0].records[0]->gone);
    ck_assert(!next->providers[0].endpoints[0].records[0]->gone);
    weir_view_unref(next);
}
END_TEST

START_TEST(test_the_time_to_live_says_when_to_ask_again)
{
    f.view = view_of("providers: {a: {base_url: 'http://one.test:1'}}\n", NULL);
    records(1, 2, 2);
    resolve();
    struct weir_resolve_entry *e = WEIR_CONTAINER(f.names.entries.next, struct weir_resolve_entry, link);
    ck_assert_uint_ge(e->again.due_ms, f.r.now_ms + 1000);
    ck_assert_uint_le(e->again.due_ms, f.r.now_ms + 2000);
}
END_TEST

START_TEST(test_a_call_overtakes_the_one_before)
{
    f.view = view_of(names, NULL);
    f.server.silent = true;
    want();
    RUN_UNTIL(&f.r, f.server.asked_a > 0);
    ck_assert_int_eq(f.ready, 0);
    struct weir_view *next = view_of("providers: {a: {base_url: 'http://192.0.2.9:1'}}\n", f.view);
    weir_view_unref(f.view);
    f.view = next;
    want(); /* names asked for in vain are forgotten */
    ck_assert_int_eq(f.ready, 1);
    ck_assert_int_eq(f.fail_count, 0);
}
END_TEST

START_TEST(test_other_servers_are_asked_at_once)
{
    f.view = view_of(names, NULL);
    char servers[sizeof f.servers];
    memcpy(servers, f.servers, sizeof servers);
    snprintf(f.servers, sizeof f.servers, "dns: {servers: ['127.0.0.1:9']");
    struct weir_view *deaf = view_of(names, NULL);
    struct weir_err err;
    ck_assert_int_eq(weir_resolve_want(&f.names, deaf, &err), 0); /* under way, or refused */
    resolve();
    ck_assert(weir_resolve_differs(&f.names, f.view));
    weir_view_unref(deaf);
}
END_TEST

START_TEST(test_answers_are_for_the_view_that_they_are_put_in)
{
    f.view = view_of(names, NULL);
    resolve();
    /* Meanwhile another configuration has come: it has a name that is known, and one that is not. */
    struct weir_view *next = view_of("providers: {c: {endpoints: [{url: 'http://one.test:1'}, "
                                     "{url: 'http://new.test:1'}, {url: 'http://one.test:9'}]}}\n",
                                     f.view);
    ck_assert_int_eq(weir_resolve_apply(&f.names, next), 0);
    ck_assert_uint_eq(next->providers[0].endpoints[0].address_count, 2);
    ck_assert_uint_eq(next->providers[0].endpoints[1].address_count, 0);
    ck_assert_uint_eq(next->providers[0].endpoints[2].address_count, 0);
    weir_view_unref(next);
}
END_TEST

START_TEST(test_the_end_is_told_to_nobody)
{
    f.server.silent = true;
    f.view = view_of(names, NULL);
    want();
    RUN_UNTIL(&f.r, f.server.asked_a > 0);
    weir_resolve_close(&f.names);
    run_idle(&f.r);
    ck_assert_int_eq(f.ready + f.fail_count, 0);
}
END_TEST

CHECK_MAIN("resolve", setup, teardown, test_literals_need_no_server, test_no_providers_are_ready_at_once,
           test_each_name_is_asked_for_once_and_goes_to_all_who_have_it, test_another_order_is_no_difference,
           test_a_name_that_fails_keeps_its_addresses_and_is_told_once,
           test_a_name_is_asked_again_by_itself_and_its_change_is_told, test_the_time_to_live_says_when_to_ask_again,
           test_a_call_overtakes_the_one_before, test_other_servers_are_asked_at_once,
           test_answers_are_for_the_view_that_they_are_put_in, test_the_end_is_told_to_nobody)
