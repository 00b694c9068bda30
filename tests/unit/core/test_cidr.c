#include "core/cidr.h"

#include "check_main.h"

static struct weir_err err;

static void assert_text(const char *from, const char *expected)
{
    struct weir_ip ip;
    char text[WEIR_IP_TEXT_MAX];
    ck_assert_msg(weir_ip_parse(&ip, weir_str_of(from)), "refused: %s", from);
    size_t n = weir_ip_format(&ip, text);
    ck_assert_str_eq(text, expected);
    ck_assert_uint_eq(n, strlen(text));
}

START_TEST(test_addresses_and_their_canonical_text)
{
    static const char *const pairs[][2] = {
        {"0.0.0.0", "0.0.0.0"},
        {"255.255.255.255", "255.255.255.255"},
        {"10.1.20.3", "10.1.20.3"},
        {"::", "::"},
        {"::1", "::1"},
        {"1::", "1::"},
        {"2001:DB8::0001", "2001:db8::1"},
        {"2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"},    /* RFC 5952 4.2.3: the first of equal runs */
        {"2001:0:0:1:0:0:0:1", "2001:0:0:1::1"},          /* the longer run */
        {"2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"}, /* 4.2.2: not for one group */
        {"1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"},
        {"::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"},
        {"0:0:1::", "0:0:1::"},
        {"::ffff:10.1.2.3", "10.1.2.3"},
        {"::FFFF:a01:203", "10.1.2.3"},
        {"64:ff9b::192.0.2.33", "64:ff9b::c000:221"},
        {"1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:102:304"},
        {"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++)
        assert_text(pairs[i][0], pairs[i][1]);
}
END_TEST

START_TEST(test_what_is_no_address)
{
    static const char *const bad[] = {
        "",
        "1",
        "1.2.3",
        "1.2.3.4.5",
        "256.1.1.1",
        "01.2.3.4",
        "1.2.3.4 ",
        " 1.2.3.4",
        "1..2.3",
        "1.2.3.",
        "a.b.c.d",
        "0x1.2.3.4",
        "1.2.3.-4",
        ":",
        ":::",
        "1::2::3",
        "1:2:3",
        "12345::",
        "g::",
        ":1:2:3:4:5:6:7:8",
        "1:2:3:4:5:6:7:8:",
        "1:2:3:4:5:6:7:8:9",
        "1:2:3:4::5:6:7:8",
        "::1.2.3",
        "1:2:3:4:5:6:7:1.2.3.4",
        "1.2.3.4::",
        "::1%eth0",
        "[::1]",
        "1:",
        "::1:",
        "0001.2.3.4",
        "1.2.3.4/8",
    };
    struct weir_ip ip;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        ck_assert_msg(!weir_ip_parse(&ip, weir_str_of(bad[i])), "taken: %s", bad[i]);
}
END_TEST

START_TEST(test_kinds)
{
    struct weir_ip ip, same;
    ck_assert(weir_ip_parse(&ip, WEIR_STR("127.9.9.9")) && weir_ip_is_v4(&ip) && weir_ip_is_loopback(&ip));
    ck_assert(weir_ip_parse(&ip, WEIR_STR("128.0.0.1")) && !weir_ip_is_loopback(&ip));
    ck_assert(weir_ip_parse(&ip, WEIR_STR("::2")) && !weir_ip_is_v4(&ip) && !weir_ip_is_loopback(&ip));
    ck_assert(weir_ip_parse(&ip, WEIR_STR("::1")) && weir_ip_is_loopback(&ip));
    ck_assert(weir_ip_parse(&same, WEIR_STR("0::1")) && weir_ip_eq(&ip, &same));
    ck_assert(weir_ip_parse(&same, WEIR_STR("0.0.0.1")) && !weir_ip_eq(&ip, &same));
}
END_TEST

static bool inside(const char *net_text, const char *ip_text)
{
    struct weir_net net;
    struct weir_ip ip;
    ck_assert_msg(weir_net_parse(&net, weir_str_of(net_text), &err) == WEIR_OK, "%s", err.msg);
    ck_assert(weir_ip_parse(&ip, weir_str_of(ip_text)));
    return weir_net_has(&net, &ip);
}

START_TEST(test_networks)
{
    ck_assert(inside("10.0.0.0/8", "10.255.0.1"));
    ck_assert(!inside("10.0.0.0/8", "11.0.0.0"));
    ck_assert(inside("10.0.0.0/8", "::ffff:10.1.2.3"));
    ck_assert(inside("192.0.2.128/25", "192.0.2.255"));
    ck_assert(!inside("192.0.2.128/25", "192.0.2.127"));
    ck_assert(inside("172.16.0.0/12", "172.31.255.255"));
    ck_assert(!inside("172.16.0.0/12", "172.32.0.0"));
    ck_assert(inside("192.0.2.1", "192.0.2.1"));
    ck_assert(!inside("192.0.2.1", "192.0.2.0"));
    ck_assert(inside("0.0.0.0/0", "203.0.113.9"));
    ck_assert(!inside("0.0.0.0/0", "2001:db8::1")); /* all of IPv4 is not all */
    ck_assert(inside("::/0", "2001:db8::1"));
    ck_assert(inside("fd00::/8", "fdff::1"));
    ck_assert(!inside("fd00::/8", "fc00::1"));
    ck_assert(inside("2001:db8::/33", "2001:db8:7fff::"));
    ck_assert(!inside("2001:db8::/33", "2001:db8:8000::"));
    ck_assert(inside("::1", "::1"));
    ck_assert(!inside("::1/128", "::2"));
}
END_TEST

START_TEST(test_bad_networks)
{
    struct weir_net net;
    ck_assert_int_eq(weir_net_parse(&net, WEIR_STR("10.0.0.0/33"), &err), WEIR_EINVAL);
    ck_assert_str_eq(err.msg, "'10.0.0.0/33': the prefix length is not a number from 0 to 32");
    ck_assert_int_eq(weir_net_parse(&net, WEIR_STR("10.0.0.1/8"), &err), WEIR_EINVAL);
    ck_assert_str_eq(err.msg, "'10.0.0.1/8' has bits set behind its prefix; the network is 10.0.0.0/8");
    ck_assert_int_eq(weir_net_parse(&net, WEIR_STR("fd00::1/64"), &err), WEIR_EINVAL);
    ck_assert_int_eq(weir_net_parse(&net, WEIR_STR("::/129"), &err), WEIR_EINVAL);
    ck_assert_int_eq(weir_net_parse(&net, WEIR_STR("10.0.0.0/"), &err), WEIR_EINVAL);
    ck_assert_int_eq(weir_net_parse(&net, WEIR_STR("10.0.0.0/8/8"), &err), WEIR_EINVAL);
    ck_assert_int_eq(weir_net_parse(&net, WEIR_STR("/8"), &err), WEIR_EINVAL);
    ck_assert_int_eq(weir_net_parse(&net, WEIR_STR("example.com"), &err), WEIR_EINVAL);
    ck_assert_str_eq(err.msg, "'example.com' is not an IP address or network");
}
END_TEST

START_TEST(test_lists_of_networks)
{
    struct weir_net nets[2];
    struct weir_ip ip;
    ck_assert_int_eq(weir_net_parse(&nets[0], WEIR_STR("10.0.0.0/8"), &err), WEIR_OK);
    ck_assert_int_eq(weir_net_parse(&nets[1], WEIR_STR("fd00::/8"), &err), WEIR_OK);
    ck_assert(weir_ip_parse(&ip, WEIR_STR("fd12::1")));
    ck_assert(weir_nets_have(nets, 2, &ip));
    ck_assert(!weir_nets_have(nets, 1, &ip));
    ck_assert(!weir_nets_have(NULL, 0, &ip));
}
END_TEST

CHECK_MAIN("cidr", NULL, NULL, test_addresses_and_their_canonical_text, test_what_is_no_address, test_kinds,
           test_networks, test_bad_networks, test_lists_of_networks)
