#include "net/dns.h"

#include "check_main.h"
#include "helper/net_run.h"

#include <stdio.h>
#include <unistd.h>

static struct {
    struct weir_reactor r;
    /* A name server of the test's own, on the same loop. */
    struct weir_source server;
    bool silent;
    int asked;
    struct weir_dns *dns;
    int answers, code;
    struct weir_addr addrs[WEIR_DNS_ADDRS_MAX];
    size_t count;
    uint32_t ttl_s;
    char message[512];
} f;

/* Answers A with 192.0.2.1 twice and 192.0.2.2, TTLs 300, 60 and 300; everything else with "no such record". A name
 * that begins with "alias" is one of "real.test" first, which is so for 5 s. */
static void run_server(struct weir_source *src)
{
    static const uint8_t addrs[3] = {1, 1, 2};
    uint8_t q[512], a[1024];
    struct sockaddr_storage from;
    socklen_t from_len = sizeof from;
    for (ssize_t n; (n = recvfrom(src->fd, q, sizeof q, MSG_DONTWAIT, (struct sockaddr *)&from, &from_len)) > 12;) {
        f.asked++;
        if (f.silent)
            continue;
        size_t end = 12;
        while (q[end] != 0)
            end += 1 + q[end];
        bool is_a = q[end + 2] == 1;
        end += 5;
        memcpy(a, q, end);
        memset(a + 6, 0, 6); /* no answers, no additional records */
        a[2] = 0x81;
        a[3] = 0x80;
        uint8_t owner = 12;
        if (is_a && memcmp(q + 13, "alias", 5) == 0) {
            static const uint8_t cname[23] = {0xc0, 12, 0,   5,   0,   1,   0, 0,   0,   5,   0,
                                              11,   4,  'r', 'e', 'a', 'l', 4, 't', 'e', 's', 't'};
            owner = (uint8_t)(end + 12);
            memcpy(a + end, cname, sizeof cname);
            end += sizeof cname;
            a[7]++;
        }
        for (size_t i = 0; is_a && i < 3; i++) {
            const uint8_t record[16] = {0xc0, owner, 0,   1, 0, 1,       0, 0, i == 1 ? 0 : 1, i == 1 ? 60 : 44,
                                        0,    4,     192, 0, 2, addrs[i]};
            memcpy(a + end, record, 16);
            end += 16;
            a[7]++;
        }
        ck_assert_int_eq(sendto(src->fd, a, end, 0, (struct sockaddr *)&from, from_len), (ssize_t)end);
    }
}

static void serve(void)
{
    struct weir_err err;
    struct weir_addr addr;
    char text[WEIR_ADDR_TEXT_MAX];
    socklen_t len = sizeof addr;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    ck_assert(weir_addr_literal(&addr, WEIR_STR("127.0.0.1"), 0));
    ck_assert_int_eq(bind(fd, &addr.sa, weir_addr_len(&addr)), 0);
    ck_assert_int_eq(getsockname(fd, &addr.sa, &len), 0);
    weir_source_init(&f.server, fd, run_server);
    ck_assert_int_eq(weir_poller_add(&f.r.poller, &f.server), WEIR_OK);
    ck_assert_int_eq(weir_dns_set_servers(f.dns, weir_addr_text(&addr, text), &err), WEIR_OK);
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
    if (f.server.fd > 0) {
        weir_poller_forget(&f.r.poller, &f.server);
        close(f.server.fd);
    }
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
    f.silent = true;
    weir_dns_resolve(f.dns, WEIR_STR("api.example.test"), 1, 20, on_answer, &f);
    RUN_UNTIL(&f.r, f.answers == 1);
    ck_assert_int_eq(f.code, WEIR_ETIMEOUT);
    ck_assert_str_eq(f.message, "resolve api.example.test: timed out");
    RUN_UNTIL(&f.r, f.asked > 0);
    weir_dns_close(&f.dns);
    ck_assert_int_eq(f.answers, 1); /* once is once */
}
END_TEST

START_TEST(test_closing_answers_what_is_open)
{
    serve();
    f.silent = true;
    resolve("one.example.test");
    resolve("two.example.test");
    RUN_UNTIL(&f.r, f.asked > 0);
    ck_assert_int_eq(f.answers, 0);
    weir_dns_close(&f.dns);
    ck_assert_int_eq(f.answers, 2);
    ck_assert_int_eq(f.code, WEIR_ECLOSED);
}
END_TEST

CHECK_MAIN("dns", setup, teardown, test_literals_are_answered_at_once, test_localhost_is_known_without_a_server,
           test_what_is_no_name_is_refused, test_asks_the_server, test_an_alias_lives_no_longer_than_its_chain,
           test_a_silent_server_runs_into_the_deadline, test_closing_answers_what_is_open)
