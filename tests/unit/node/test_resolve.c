/* Rounds of name resolution, against a name server of the test's own that the configuration names. */
#include "node/resolve.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check_main.h"
#include "helper/net_run.h"

static struct {
    struct weir_reactor r;
    struct weir_source server;
    int asked;
    bool silent, fails, turned;
    struct weir_dns *dns;
    struct weir_resolve round;
    int done;
    char servers[64]; /* as the configuration has it */
    struct weir_view *view;
} f;

/* A: 192.0.2.1 and .2, turned round when `turned`; names that begin with "gone": no such name; the rest: nothing. */
static void run_server(struct weir_source *src)
{
    uint8_t q[512], a[1024];
    struct sockaddr_storage from;
    socklen_t from_len = sizeof from;
    for (ssize_t n; (n = recvfrom(src->fd, q, sizeof q, MSG_DONTWAIT, (struct sockaddr *)&from, &from_len)) > 12;) {
        size_t end = 12;
        while (q[end] != 0)
            end += 1 + q[end];
        bool is_a = q[end + 2] == 1;
        bool gone = f.fails || memcmp(q + 13, "gone", 4) == 0;
        f.asked += is_a;
        if (f.silent)
            continue;
        end += 5;
        memcpy(a, q, end);
        memset(a + 6, 0, 6);
        a[2] = 0x81;
        a[3] = gone ? 0x83 : 0x80;
        for (int i = 0; is_a && !gone && i < 2; i++) {
            const uint8_t last = (uint8_t)(f.turned ? 2 - i : 1 + i);
            const uint8_t record[16] = {0xc0, 12, 0, 1, 0, 1, 0, 0, 1, 44, 0, 4, 192, 0, 2, last};
            memcpy(a + end, record, 16);
            end += 16;
            a[7]++;
        }
        ck_assert_int_eq(sendto(src->fd, a, end, 0, (struct sockaddr *)&from, from_len), (ssize_t)end);
    }
}

static void serve(void)
{
    struct weir_addr addr;
    char text[WEIR_ADDR_TEXT_MAX];
    socklen_t len = sizeof addr;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    ck_assert(weir_addr_literal(&addr, WEIR_STR("127.0.0.1"), 0));
    ck_assert_int_eq(bind(fd, &addr.sa, weir_addr_len(&addr)), 0);
    ck_assert_int_eq(getsockname(fd, &addr.sa, &len), 0);
    weir_source_init(&f.server, fd, run_server);
    ck_assert_int_eq(weir_poller_add(&f.r.poller, &f.server), WEIR_OK);
    snprintf(f.servers, sizeof f.servers, "dns: {servers: ['%s']}\n", weir_addr_text(&addr, text));
}

static struct weir_view *view_of(const char *providers, const struct weir_view *before)
{
    struct weir_config_problems problems = {0};
    struct weir_config *config = NULL;
    struct weir_err err;
    char text[1024];
    int n = snprintf(text, sizeof text, "%s%s", f.servers, providers);
    const struct weir_config_input in = {.file = "test.yaml", .bytes = text, .len = (size_t)n};
    ck_assert_int_eq(weir_config_parse(&config, &in, &problems), 0);
    weir_config_problems_reset(&problems);
    struct weir_shared_config *shared = weir_shared_config_new(config);
    struct weir_view *v;
    ck_assert_int_eq(weir_view_new(&v, shared, before, 1, &err), 0);
    weir_shared_config_unref(shared);
    return v;
}

static void on_done(struct weir_resolve *r)
{
    ck_assert_ptr_eq(r, &f.round);
    f.done++;
}

static void setup(void)
{
    struct weir_err err = {0};
    memset(&f, 0, sizeof f);
    reactor_open(&f.r);
    ck_assert_msg(weir_dns_new(&f.dns, &f.r, &err) == WEIR_OK, "%s", err.msg);
    f.round.done = on_done;
    serve();
}

static void teardown(void)
{
    weir_dns_close(&f.dns);
    weir_resolve_clear(&f.round);
    if (f.view != NULL)
        weir_view_unref(f.view);
    weir_poller_forget(&f.r.poller, &f.server);
    close(f.server.fd);
    weir_reactor_close(&f.r);
}

static void resolve(void)
{
    int before = f.done;
    ck_assert(weir_resolve_start(&f.round, f.dns, f.view));
    RUN_UNTIL(&f.r, f.done > before);
}

static const char names[] = "providers:\n"
                            "  a: {endpoints: [{url: 'http://one.test:1'}, {url: 'http://gone.test:2'}]}\n"
                            "  b: {base_url: 'http://one.test:1'}\n";

START_TEST(test_literals_need_no_server)
{
    f.view = view_of("providers: {a: {base_url: 'http://192.0.2.9:1'}}\n", NULL);
    ck_assert(weir_resolve_start(&f.round, f.dns, f.view));
    ck_assert_int_eq(f.done, 1); /* from inside the call */
    ck_assert(!weir_resolve_differs(&f.round, f.view));
    ck_assert_int_eq(f.asked, 0);
}
END_TEST

START_TEST(test_no_providers_is_a_round_too)
{
    f.view = view_of("", NULL);
    ck_assert(weir_resolve_start(&f.round, f.dns, f.view));
    ck_assert_int_eq(f.done, 1);
    ck_assert(!weir_resolve_differs(&f.round, f.view));
}
END_TEST

START_TEST(test_each_name_is_asked_for_once_and_goes_to_all_who_have_it)
{
    f.view = view_of(names, NULL);
    resolve();
    ck_assert_int_eq(f.asked, 2);
    ck_assert(weir_resolve_differs(&f.round, f.view));
    ck_assert_int_eq(weir_resolve_apply(&f.round, f.view), 0);
    ck_assert_uint_eq(f.view->providers[0].endpoints[0].address_count, 2);
    ck_assert_uint_eq(f.view->providers[0].endpoints[1].address_count, 0);
    ck_assert_uint_eq(f.view->providers[1].endpoints[0].address_count, 2);
    ck_assert(!weir_resolve_differs(&f.round, f.view));
    ck_assert_uint_eq(f.round.entries[1].count, 0);
    ck_assert_ptr_nonnull(strstr(f.round.entries[1].problem, "gone.test"));
}
END_TEST

START_TEST(test_another_order_is_no_difference)
{
    f.view = view_of(names, NULL);
    resolve();
    ck_assert_int_eq(weir_resolve_apply(&f.round, f.view), 0);
    weir_resolve_clear(&f.round);
    f.turned = true;
    resolve();
    ck_assert(!weir_resolve_differs(&f.round, f.view));
}
END_TEST

START_TEST(test_a_name_that_fails_keeps_its_addresses)
{
    f.view = view_of(names, NULL);
    resolve();
    ck_assert_int_eq(weir_resolve_apply(&f.round, f.view), 0);
    weir_resolve_clear(&f.round);
    f.fails = true;
    resolve();
    ck_assert(!weir_resolve_differs(&f.round, f.view));
    ck_assert_int_eq(weir_resolve_apply(&f.round, f.view), 0);
    ck_assert_uint_eq(f.view->providers[0].endpoints[0].address_count, 2);
}
END_TEST

START_TEST(test_one_round_at_a_time)
{
    f.view = view_of(names, NULL);
    ck_assert(weir_resolve_start(&f.round, f.dns, f.view));
    ck_assert(!weir_resolve_start(&f.round, f.dns, f.view));
    RUN_UNTIL(&f.r, f.done == 1);
    weir_resolve_clear(&f.round);
    resolve();
    ck_assert_int_eq(f.done, 2);
}
END_TEST

START_TEST(test_answers_are_for_the_view_that_they_are_put_in)
{
    f.view = view_of(names, NULL);
    resolve();
    /* Meanwhile another configuration has come: it has a name of the round, and one that is not in it. */
    struct weir_view *next = view_of("providers: {c: {endpoints: [{url: 'http://one.test:1'}, "
                                     "{url: 'http://new.test:1'}, {url: 'http://one.test:9'}]}}\n",
                                     f.view);
    ck_assert_int_eq(weir_resolve_apply(&f.round, next), 0);
    ck_assert_uint_eq(next->providers[0].endpoints[0].address_count, 2);
    ck_assert_uint_eq(next->providers[0].endpoints[1].address_count, 0);
    ck_assert_uint_eq(next->providers[0].endpoints[2].address_count, 0);
    weir_view_unref(next);
}
END_TEST

START_TEST(test_the_end_of_the_resolver_is_no_end_of_a_round)
{
    f.silent = true;
    f.view = view_of(names, NULL);
    ck_assert(weir_resolve_start(&f.round, f.dns, f.view));
    RUN_UNTIL(&f.r, f.asked > 0);
    weir_dns_close(&f.dns);
    run_idle(&f.r);
    ck_assert_int_eq(f.done, 0);
}
END_TEST

CHECK_MAIN("resolve", setup, teardown, test_literals_need_no_server, test_no_providers_is_a_round_too,
           test_each_name_is_asked_for_once_and_goes_to_all_who_have_it, test_another_order_is_no_difference,
           test_a_name_that_fails_keeps_its_addresses, test_one_round_at_a_time,
           test_answers_are_for_the_view_that_they_are_put_in, test_the_end_of_the_resolver_is_no_end_of_a_round)
