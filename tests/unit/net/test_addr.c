#include "net/addr.h"

#include "check_main.h"

#include <sys/un.h>

static void assert_text(const char *from, const char *expected)
{
    struct weir_addr a;
    struct weir_err err;
    char text[WEIR_ADDR_TEXT_MAX];
    ck_assert_msg(weir_addr_parse(&a, weir_str_of(from), &err) == WEIR_OK, "%s", err.msg);
    ck_assert_str_eq(weir_addr_text(&a, text), expected);
    ck_assert_str_eq(weir_sockaddr_text(&a.sa, weir_addr_len(&a), text), expected);
}

START_TEST(test_text_and_back)
{
    assert_text("127.0.0.1:8000", "127.0.0.1:8000");
    assert_text("0.0.0.0:0", "0.0.0.0:0");
    assert_text("[::1]:65535", "[::1]:65535");
    assert_text("[2001:DB8:0:0::1]:80", "[2001:db8::1]:80");
    assert_text("[::ffff:10.0.0.1]:80", "10.0.0.1:80");
}
END_TEST

START_TEST(test_bad_text)
{
    static const char *const bad[] = {"",      "127.0.0.1",    "127.0.0.1:",      ":80",          "::1:80",
                                      "[::1]", "[::1]80",      "127.0.0.1:65536", "127.0.0.1:-1", "127.0.0.1:8 ",
                                      "[]:80", "localhost:80", "1.2.3.4:000080",  "[1.2.3.4:80"};
    struct weir_addr a;
    struct weir_err err;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        ck_assert_msg(weir_addr_parse(&a, weir_str_of(bad[i]), &err) == WEIR_EINVAL, "taken: %s", bad[i]);
    ck_assert_int_eq(weir_addr_parse(&a, WEIR_STR("localhost:80"), &err), WEIR_EINVAL);
    ck_assert_str_eq(err.msg, "'localhost' is not an IP address");
    ck_assert_int_eq(weir_addr_parse(&a, WEIR_STR("nonsense"), &err), WEIR_EINVAL);
    ck_assert_str_eq(err.msg, "'nonsense' is not ADDRESS:PORT");
}
END_TEST

START_TEST(test_split_takes_names_too)
{
    struct weir_str host;
    uint16_t port;
    ck_assert(weir_addr_split(WEIR_STR("api.example.com:443"), &host, &port));
    ck_assert(weir_str_eq(host, WEIR_STR("api.example.com")));
    ck_assert_uint_eq(port, 443);
    ck_assert(weir_addr_split(WEIR_STR("[fe80::1]:9"), &host, &port));
    ck_assert(weir_str_eq(host, WEIR_STR("fe80::1")));
}
END_TEST

START_TEST(test_from_the_kernel)
{
    struct weir_addr a, b;
    struct sockaddr_in6 mapped = {.sin6_family = AF_INET6, .sin6_port = htons(99)};
    char text[WEIR_ADDR_TEXT_MAX];
    mapped.sin6_addr.s6_addr[10] = mapped.sin6_addr.s6_addr[11] = 0xff;
    mapped.sin6_addr.s6_addr[12] = 192;
    mapped.sin6_addr.s6_addr[15] = 7;
    weir_addr_set(&a, (struct sockaddr *)&mapped, sizeof mapped);
    ck_assert_int_eq(a.sa.sa_family, AF_INET);
    ck_assert(weir_addr_literal(&b, WEIR_STR("192.0.0.7"), 99));
    ck_assert(weir_addr_eq(&a, &b));
    ck_assert(weir_addr_literal(&b, WEIR_STR("192.0.0.7"), 98));
    ck_assert(!weir_addr_eq(&a, &b));
    weir_addr_set(&a, (struct sockaddr *)&mapped, 4); /* cut short */
    ck_assert_uint_eq(weir_addr_len(&a), 0);
    ck_assert_str_eq(weir_addr_text(&a, text), "unknown");
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    memset(un.sun_path, 'p', sizeof un.sun_path); /* not terminated */
    weir_sockaddr_text((struct sockaddr *)&un, sizeof un, text);
    ck_assert_uint_eq(strlen(text), 5 + sizeof un.sun_path);
    weir_sockaddr_text((struct sockaddr *)&un, sizeof(sa_family_t), text);
    ck_assert_str_eq(text, "unknown");
}
END_TEST

CHECK_MAIN("addr", NULL, NULL, test_text_and_back, test_bad_text, test_split_takes_names_too, test_from_the_kernel)
