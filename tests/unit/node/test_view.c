/* Views: what a reload keeps, what it retires, and that each view ends once, whoever holds it last. */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check_main.h"
#include "node/view.h"

#define WORKERS 2u

static struct weir_view *view;

static struct weir_shared_config *config_of(const char *yaml)
{
    struct weir_config_problems problems = {0};
    struct weir_config_input in = {.file = "test.yaml", .bytes = yaml, .len = strlen(yaml)};
    struct weir_config *config = NULL;
    ck_assert_int_eq(weir_config_parse(&config, &in, &problems), 0);
    weir_config_problems_reset(&problems);
    struct weir_shared_config *shared = weir_shared_config_new(config);
    ck_assert_ptr_nonnull(shared);
    return shared;
}

static struct weir_view *build(const char *yaml, const struct weir_view *before)
{
    struct weir_err err;
    struct weir_view *v = NULL;
    struct weir_shared_config *shared = config_of(yaml);
    ck_assert_int_eq(weir_view_new(&v, shared, before, WORKERS, &err), 0);
    weir_shared_config_unref(shared);
    return v;
}

/* As control publishes: the new one takes effect, the old one is let go. */
static void publish(const char *yaml)
{
    struct weir_view *next = build(yaml, view);
    weir_view_take_effect(next, view);
    weir_view_unref(view);
    view = next;
}

static void setup(void)
{
    view = build("providers:\n  a: {endpoints: [{url: 'http://127.0.0.1:1'}, {url: 'http://name.test:2'}]}\n", NULL);
    weir_view_take_effect(view, NULL);
}

static void teardown(void)
{
    weir_view_unref(view);
}

START_TEST(test_literal_addresses_are_known_at_once)
{
    ck_assert_uint_eq(view->providers[0].endpoints[0].address_count, 1);
    ck_assert_uint_eq(view->providers[0].endpoints[1].address_count, 0);
}
END_TEST

START_TEST(test_what_the_sockets_are_told)
{
    const struct weir_tcp_opts *usual = view->providers[0].tcp;
    ck_assert(usual->keepalive);
    ck_assert_int_eq(usual->send_buffer, 0);
    ck_assert_int_eq(usual->recv_buffer, 0);
    publish("providers: {a: {base_url: 'http://127.0.0.1:1'}}\n"
            "http_client: {features: {tcp_keepalive: false}, socket: {send_buffer: 64KB, recv_buffer: 128KB}}\n");
    const struct weir_tcp_opts *own = view->providers[0].tcp;
    ck_assert(!own->keepalive);
    ck_assert_int_eq(own->send_buffer, 64 * 1024);
    ck_assert_int_eq(own->recv_buffer, 128 * 1024);
}
END_TEST

START_TEST(test_a_reload_keeps_runtimes_and_addresses)
{
    struct weir_provider *provider = view->providers[0].rt;
    struct weir_endpoint *endpoint = view->providers[0].endpoints[1].rt;
    struct weir_addr addr;
    ck_assert(weir_addr_literal(&addr, WEIR_STR("192.0.2.7"), 2));
    ck_assert_int_eq(weir_view_set_addresses(view, &view->providers[0].endpoints[1], &addr, 1), 0);
    publish("providers:\n  a: {endpoints: [{url: 'http://name.test:2'}, {url: 'http://127.0.0.1:1'}],\n"
            "      connection_pool: {max_connections: 7}}\n");
    ck_assert_ptr_eq(view->providers[0].rt, provider);
    ck_assert_ptr_eq(view->providers[0].endpoints[0].rt, endpoint);
    ck_assert_uint_eq(view->providers[0].endpoints[0].address_count, 1);
    ck_assert(weir_addr_eq(&view->providers[0].endpoints[0].addresses[0], &addr));
    ck_assert_uint_eq(provider->total_max, 7);
    ck_assert(!endpoint->retired);
}
END_TEST

static bool settings_change(const char *more)
{
    char yaml[512];
    uint32_t before = view->providers[0].endpoints[1].settings;
    snprintf(yaml, sizeof yaml,
             "providers:\n  a: {endpoints: [{url: 'http://127.0.0.1:1'}, {url: 'http://name.test:2'}]%s}\n", more);
    publish(yaml);
    const struct weir_view_endpoint *e = &view->providers[0].endpoints[1];
    ck_assert_uint_eq(atomic_load(&e->rt->settings), e->settings);
    return e->settings != before;
}

/* Connections that were opened otherwise are known by the number. */
START_TEST(test_a_change_of_how_to_connect_is_numbered)
{
    ck_assert(!settings_change(""));
    ck_assert(!settings_change(", timeout: {read: 7}"));
    ck_assert(settings_change(", http2: on"));
    ck_assert(!settings_change(", http2: on"));
    ck_assert(settings_change(", http2: on, tls: {server_name: a.test}"));
    ck_assert(!settings_change(", http2: on, tls: {server_name: a.test}"));
    ck_assert(settings_change(", http2: on, tls: {server_name: b.test}"));
    ck_assert(settings_change(""));
}
END_TEST

START_TEST(test_what_is_left_out_is_retired_and_its_slot_used_again)
{
    struct weir_endpoint *gone = view->providers[0].endpoints[1].rt;
    weir_endpoint_ref(gone); /* as a connection would */
    publish("providers:\n  a: {base_url: 'http://127.0.0.1:1'}\n");
    ck_assert(gone->retired);
    ck_assert(!view->providers[0].endpoints[0].rt->retired);
    ck_assert_int_eq(__builtin_popcountll(view->providers[0].rt->slots_used), 2);
    weir_endpoint_unref(gone);
    ck_assert_int_eq(__builtin_popcountll(view->providers[0].rt->slots_used), 1);
}
END_TEST

START_TEST(test_a_provider_that_leaves_is_retired)
{
    struct weir_provider *gone = view->providers[0].rt;
    weir_provider_ref(gone);
    publish("providers:\n  b: {base_url: 'http://127.0.0.1:1'}\n");
    ck_assert(gone->retired);
    ck_assert_ptr_ne(view->providers[0].rt, gone);
    weir_provider_unref(gone);
}
END_TEST

START_TEST(test_a_hold_keeps_its_view_until_the_last_user)
{
    struct weir_view *old = view;
    weir_view_ref(old);
    struct weir_hold *hold = weir_hold_new(old);
    weir_hold_use(hold);
    weir_hold_use(hold);
    publish("providers:\n  b: {base_url: 'http://127.0.0.1:1'}\n");
    weir_hold_supersede(hold);
    weir_hold_drop(hold);
    ck_assert_str_eq(old->providers[0].config->name, "a"); /* the sanitizer would see it gone */
    weir_hold_drop(hold);
}
END_TEST

/* -- one that publishes, two that use and let go -- */

#define GENERATIONS 400

static _Atomic(struct weir_view *) mail[WORKERS];
static _Atomic bool last_published;

static void *work(void *arg)
{
    unsigned worker = (unsigned)(uintptr_t)arg;
    struct weir_hold *hold = NULL;
    for (;;) {
        bool last = atomic_load(&last_published);
        struct weir_view *v = atomic_exchange(&mail[worker], NULL);
        if (v != NULL) {
            struct weir_hold *old = hold;
            hold = weir_hold_new(v);
            if (old != NULL) {
                weir_hold_drop(old);
                weir_hold_supersede(old);
            }
            weir_hold_use(hold);
        } else if (last) {
            break;
        }
        if (hold != NULL && hold->view->providers[0].config->http.pool.max_connections == 0)
            return NULL; /* cannot be: the view would be gone */
        sched_yield();
    }
    weir_hold_drop(hold);
    weir_hold_supersede(hold);
    return NULL;
}

START_TEST(test_workers_let_views_go_while_control_publishes)
{
    pthread_t threads[WORKERS];
    last_published = false;
    for (unsigned w = 0; w < WORKERS; w++)
        ck_assert_int_eq(pthread_create(&threads[w], NULL, work, (void *)(uintptr_t)w), 0);
    for (unsigned i = 0; i < GENERATIONS; i++) {
        publish(i % 2 == 0 ? "providers:\n  b: {base_url: 'http://127.0.0.1:1'}\n"
                           : "providers:\n  a: {base_url: 'http://127.0.0.1:1'}\n");
        for (unsigned w = 0; w < WORKERS; w++) {
            weir_view_ref(view);
            while (atomic_load(&mail[w]) != NULL)
                sched_yield();
            atomic_store(&mail[w], view);
        }
    }
    atomic_store(&last_published, true);
    for (unsigned w = 0; w < WORKERS; w++)
        pthread_join(threads[w], NULL);
    ck_assert_uint_eq(view->refs, 1);
    ck_assert_uint_eq(view->providers[0].rt->refs, 2); /* the view's and its endpoint's */
}
END_TEST

CHECK_MAIN("view", setup, teardown, test_literal_addresses_are_known_at_once, test_what_the_sockets_are_told,
           test_a_reload_keeps_runtimes_and_addresses, test_a_change_of_how_to_connect_is_numbered,
           test_what_is_left_out_is_retired_and_its_slot_used_again, test_a_provider_that_leaves_is_retired,
           test_a_hold_keeps_its_view_until_the_last_user, test_workers_let_views_go_while_control_publishes)
