#include "net/dns.h"

#include "check_main.h"
#include "helper/net_name_server.h"
#include "helper/net_run.h"

#include <stdio.h>
#include <unistd.h>

static struct {
    struct weir_reactor r;
    struct name_server server;
    struct weir_dns *dns;
    int answers, code;
    struct weir_addr addrs[WEIR_DNS_ADDRS_MAX];
    size_t count;
    uint32_t ttl_s;
    char message[512];
} f;

/* An address twice, and another one. */
static void serve(void)
{
    struct weir_err err;
    name_server_open(&f.server, &f.r);
    f.server.records[0] = (struct name_record){.last = 1, .ttl_s = 300};
    f.server.records[1] = (struct name_record){.last = 1, .ttl_s = 60};
    f.server.records[2] = (struct name_record){.last = 2, .ttl_s = 300};
    f.server.count = 3;
    ck_assert_int_eq(weir_dns_set_servers(f.dns, f.server.address, &err), WEIR_OK);
}

static void on_answer(void *owner, const struct weir_dns_answer *a)
{
    ck_assert_ptr_eq(owner, &f);
    f.answers++;
    f.code = a->code;
    f.count = a->count;
    f.ttl_s = a->ttl_s;
    for (size_t i = 0; i < a->count; i++)
        f.addrs[i] = a->addrs[i];
    snprintf(f.message, sizeof f.message, "%s", a->message != NULL ? a->message : "");
}

static void setup(void)
{
    struct weir_err err = {0};
    memset(&f, 0, sizeof f);
    reactor_open(&f.r);
    ck_assert_msg(weir_dns_new(&f.dns, &f.r, &err) == WEIR_OK, "%s", err.msg);
}

static void teardown(void)
{
    weir_dns_close(&f.dns);
    name_server_close(&f.server);
    weir_reactor_close(&f.r);
}

static void resolve(const char *host)
{
    weir_dns_resolve(f.dns, weir_str_of(host), 8080, 10000, on_answer, &f);
}

START_TEST(test_literals_are_answered_at_once)
{
    char text[WEIR_ADDR_TEXT_MAX];
    resolve("192.0.2.7");
    ck_assert_int_eq(f.answers, 1);
    ck_assert_str_eq(weir_addr_text(&f.addrs[0], text), "192.0.2.7:8080");
    resolve("2001:db8::1");
    ck_assert_int_eq(f.answers, 2);
    ck_assert_str_eq(weir_addr_text(&f.addrs[0], text), "[2001:db8::1]:8080");
}
END_TEST

START_TEST(test_localhost_is_known_without_a_server)
{
    resolve("localhost");
    RUN_UNTIL(&f.r, f.answers == 1);
    ck_assert_int_eq(f.code, WEIR_OK);
    ck_assert_uint_eq(f.ttl_s, WEIR_DNS_TTL_NONE);
    ck_assert_uint_ge(f.count, 1);
    for (size_t i = 0; i < f.count; i++) {
        struct weir_ip ip = weir_addr_ip(&f.addrs[i]);
        ck_assert(weir_ip_is_loopback(&ip));
        ck_assert_uint_eq(weir_addr_port(&f.addrs[i]), 8080);
        for (size_t j = 0; j < i; j++)
            ck_assert(!weir_addr_eq(&f.addrs[i], &f.addrs[j]));
    }
}
END_TEST

START_TEST(test_what_is_no_name_is_refused)
{
    static char longest[300];
    memset(longest, 'a', sizeof longest - 1);
    resolve("");
    ck_assert_int_eq(f.code, WEIR_ENOTFOUND);
    resolve(longest);
    ck_assert_int_eq(f.answers, 2);
    ck_assert_int_eq(f.code, WEIR_ENOTFOUND);
    weir_dns_resolve(f.dns, (struct weir_str){"a\0b", 3}, 1, 1000, on_answer, &f);
    ck_assert_int_eq(f.answers, 3);
    ck_assert_int_eq(f.code, WEIR_ENOTFOUND);
}
END_TEST

START_TEST(test_asks_the_server)
{
    char text[WEIR_ADDR_TEXT_MAX];
    serve();
    resolve("api.example.test");
    ck_assert_int_eq(f.answers, 0);
    ck_assert(!weir_dns_idle(f.dns));
    RUN_UNTIL(&f.r, f.answers == 1);
    ck_assert(weir_dns_idle(f.dns));
    ck_assert_msg(f.code == WEIR_OK, "%s", f.message);
    ck_assert_uint_eq(f.count, 2); /* a repeated address counts once */
    ck_assert_uint_eq(f.ttl_s, 60);
    weir_addr_text(&f.addrs[0], text);
    ck_assert(strcmp(text, "192.0.2.1:8080") == 0 || strcmp(text, "192.0.2.2:8080") == 0);
}
END_TEST

START_TEST(test_an_alias_lives_no_longer_than_its_chain)
{
    serve();
    resolve("alias.example.test");
    RUN_UNTIL(&f.r, f.answers == 1);
    ck_assert_msg(f.code == WEIR_OK, "%s", f.message);
    ck_assert_uint_eq(f.count, 2);
    ck_assert_uint_eq(f.ttl_s, 5);
}
END_TEST

START_TEST(test_a_silent_server_runs_into_the_deadline)
{
    serve();
    f.server.silent = true;
    weir_dns_resolve(f.dns, WEIR_STR("api.example.test"), 1, 20, on_answer, &f);
    RUN_UNTIL(&f.r, f.answers == 1);
    ck_assert_int_eq(f.code, WEIR_ETIMEOUT);
    ck_assert_str_eq(f.message, "resolve api.example.test: timed out");
    RUN_UNTIL(&f.r, f.server.asked > 0);
    weir_dns_close(&f.dns);
    ck_assert_int_eq(f.answers, 1); /* once is once */
}
END_TEST

static struct {
    uv_poll_t other;
    int bell[2];
} late;

/* The loop has looked for events: what is answered here it has not announced. */
static void answer_behind_the_loop(uv_poll_t *other, int status, int events)
{
    uint64_t until_us = weir_clock_us() + 60000;
    (void)status, (void)events;
    uv_poll_stop(other);
    while (weir_clock_us() < until_us)
        ;
    f.server.source.run(&f.server.source);
}

START_TEST(test_what_was_answered_in_time_is_read_before_the_deadline_is_judged)
{
    serve();
    ck_assert_int_eq(pipe(late.bell), 0);
    run_idle(&f.r);
    uv_poll_init(&f.r.loop, &late.other, late.bell[0]);
    uv_poll_start(&late.other, UV_READABLE, answer_behind_the_loop);
    ck_assert_int_eq(write(late.bell[1], "x", 1), 1);
    weir_reactor_clock(&f.r);
    weir_dns_resolve(f.dns, WEIR_STR("api.example.test"), 1, 50, on_answer, &f);
    RUN_UNTIL(&f.r, f.answers == 1);
    ck_assert_msg(f.code == WEIR_OK, "%s", f.message);
    uv_close((uv_handle_t *)&late.other, NULL);
    close(late.bell[0]);
    close(late.bell[1]);
}
END_TEST

START_TEST(test_closing_answers_what_is_open)
{
    serve();
    f.server.silent = true;
    resolve("one.example.test");
    resolve("two.example.test");
    RUN_UNTIL(&f.r, f.server.asked > 0);
    ck_assert_int_eq(f.answers, 0);
    weir_dns_close(&f.dns);
    ck_assert_int_eq(f.answers, 2);
    ck_assert_int_eq(f.code, WEIR_ECLOSED);
}
END_TEST

CHECK_MAIN("dns", setup, teardown, test_literals_are_answered_at_once, test_localhost_is_known_without_a_server,
           test_what_is_no_name_is_refused, test_asks_the_server, test_an_alias_lives_no_longer_than_its_chain,
           test_a_silent_server_runs_into_the_deadline,
           test_what_was_answered_in_time_is_read_before_the_deadline_is_judged, test_closing_answers_what_is_open)
