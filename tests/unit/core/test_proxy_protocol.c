#include "core/proxy_protocol.h"

#include "check_main.h"

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"

static struct weir_proxy_header h;

static enum weir_proxy_status parse(struct weir_str s)
{
    memset(&h, 0xee, sizeof h);
    return weir_proxy_parse(&h, s);
}

static void assert_source(const char *ip, unsigned port)
{
    char text[WEIR_IP_TEXT_MAX];
    weir_ip_format(&h.source, text);
    ck_assert(h.has_addrs);
    ck_assert_str_eq(text, ip);
    ck_assert_uint_eq(h.source_port, port);
}

START_TEST(test_v1_addresses)
{
    struct weir_str s = WEIR_STR("PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\nGET /");
    char text[WEIR_IP_TEXT_MAX];
    ck_assert_int_eq(parse(s), WEIR_PROXY_OK);
    ck_assert_uint_eq(h.len, s.len - 5);
    assert_source("192.0.2.1", 56324);
    weir_ip_format(&h.destination, text);
    ck_assert_str_eq(text, "198.51.100.2");
    ck_assert_uint_eq(h.destination_port, 443);
    ck_assert_int_eq(parse(WEIR_STR("PROXY TCP6 2001:db8::1 ::1 0 65535\r\n")), WEIR_PROXY_OK);
    assert_source("2001:db8::1", 0);
}
END_TEST

START_TEST(test_v1_unknown_keeps_the_connections_own)
{
    ck_assert_int_eq(parse(WEIR_STR("PROXY UNKNOWN\r\n")), WEIR_PROXY_OK);
    ck_assert(!h.has_addrs);
    ck_assert_uint_eq(h.len, 15);
    ck_assert_int_eq(parse(WEIR_STR("PROXY UNKNOWN what ever 1\r\n")), WEIR_PROXY_OK);
    ck_assert(!h.has_addrs);
}
END_TEST

START_TEST(test_v1_bad_lines)
{
    static const char *const lines[] = {
        "PROXY TCP4 192.0.2.1 198.51.100.2 1\r\n",     "PROXY TCP4 192.0.2.1 198.51.100.2 1 2 3\r\n",
        "PROXY TCP4 192.0.2.1  198.51.100.2 1 2\r\n",  "PROXY TCP4 192.0.2.1 198.51.100.2 1 2 \r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.2 01 2\r\n",  "PROXY TCP4 192.0.2.1 198.51.100.2 1 65536\r\n",
        "PROXY TCP4 192.0.2.256 198.51.100.2 1 2\r\n", "PROXY TCP4 ::1 ::1 1 2\r\n",
        "PROXY TCP6 192.0.2.1 198.51.100.2 1 2\r\n",   "PROXY UDP4 192.0.2.1 198.51.100.2 1 2\r\n",
        "PROXY tcp4 192.0.2.1 198.51.100.2 1 2\r\n",   "PROXY \r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.2 1 -2\r\n",  "PROXY TCP4\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.2 1 2\rGET",  "PROXY TCP4 192.0.2.1 198.51.100.2 1 2\n",
        "PROXY\tTCP4 192.0.2.1 198.51.100.2 1 2\r\n",  "GET / HTTP/1.1\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.2\t1\t2\r\n", "proxy TCP4 192.0.2.1 198.51.100.2 1 2\r\n",
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        ck_assert_msg(parse(weir_str_of(lines[i])) == WEIR_PROXY_BAD, "taken: %s", lines[i]);
}
END_TEST

START_TEST(test_v1_is_bounded)
{
    char line[200];
    memset(line, 'x', sizeof line);
    memcpy(line, "PROXY UNKNOWN ", 14);
    ck_assert_int_eq(parse((struct weir_str){line, 105}), WEIR_PROXY_MORE);
    ck_assert_int_eq(parse((struct weir_str){line, 107}), WEIR_PROXY_BAD);
    ck_assert_int_eq(parse((struct weir_str){line, 200}), WEIR_PROXY_BAD);
    memcpy(line + 105, "\r\n", 2);
    ck_assert_int_eq(parse((struct weir_str){line, 106}), WEIR_PROXY_MORE);
    ck_assert_int_eq(parse((struct weir_str){line, 107}), WEIR_PROXY_OK);
    line[105] = 'x';
    memcpy(line + 106, "\r\n", 2);
    ck_assert_int_eq(parse((struct weir_str){line, 107}), WEIR_PROXY_BAD);
    ck_assert_int_eq(parse((struct weir_str){line, 108}), WEIR_PROXY_BAD);
}
END_TEST

#define V2_TCP4 SIGNATURE "\x21\x11\x00\x0c\xc0\x00\x02\x01\xc6\x33\x64\x02\x13\x88\x01\xbb"

START_TEST(test_v2_addresses)
{
    struct weir_str s = WEIR_STR(V2_TCP4 "GET");
    ck_assert_int_eq(parse(s), WEIR_PROXY_OK);
    ck_assert_uint_eq(h.len, 28);
    assert_source("192.0.2.1", 5000);
    ck_assert_uint_eq(h.destination_port, 443);
    char v6[16 + 36 + 3] = SIGNATURE "\x21\x21\x00\x27";
    v6[31] = 1;
    v6[48] = 0x13;
    v6[49] = (char)0x88;
    ck_assert_int_eq(parse((struct weir_str){v6, sizeof v6}), WEIR_PROXY_OK);
    ck_assert_uint_eq(h.len, sizeof v6); /* TLVs are passed over */
    assert_source("::1", 5000);
}
END_TEST

START_TEST(test_v2_without_addresses)
{
    ck_assert_int_eq(parse(WEIR_STR(SIGNATURE "\x20\x00\x00\x00")), WEIR_PROXY_OK);
    ck_assert(!h.has_addrs);
    ck_assert_uint_eq(h.len, 16);
    /* LOCAL: family and block do not matter */
    ck_assert_int_eq(parse(WEIR_STR(SIGNATURE "\x20\xff\x00\x02zz")), WEIR_PROXY_OK);
    ck_assert(!h.has_addrs);
    ck_assert_uint_eq(h.len, 18);
    ck_assert_int_eq(parse(WEIR_STR(SIGNATURE "\x21\x00\x00\x01z")), WEIR_PROXY_OK);
    ck_assert(!h.has_addrs);
}
END_TEST

START_TEST(test_v2_bad_headers)
{
    ck_assert_int_eq(parse(WEIR_STR(SIGNATURE "\x11")), WEIR_PROXY_BAD);             /* version 1 in binary */
    ck_assert_int_eq(parse(WEIR_STR(SIGNATURE "\x22")), WEIR_PROXY_BAD);             /* unassigned command */
    ck_assert_int_eq(parse(WEIR_STR(SIGNATURE "\x21\x11\x10\x01")), WEIR_PROXY_BAD); /* 4,097 bytes */
    ck_assert_int_eq(parse(WEIR_STR(SIGNATURE "\x21\x11\x00\x0b"
                                              "12345678901")),
                     WEIR_PROXY_BAD); /* addresses cut short */
    ck_assert_int_eq(parse(WEIR_STR(SIGNATURE "\x21\x12\x00\x0c"
                                              "123456789012")),
                     WEIR_PROXY_BAD);                                                /* UDP */
    ck_assert_int_eq(parse(WEIR_STR(SIGNATURE "\x21\x41\x00\x00")), WEIR_PROXY_BAD); /* no such family */
    ck_assert_int_eq(parse(WEIR_STR(SIGNATURE "\x21\x31\x00\x01z")), WEIR_PROXY_BAD);
    ck_assert_int_eq(parse(WEIR_STR("\r\n\r\n\0\r\nQUIX")), WEIR_PROXY_BAD);
}
END_TEST

START_TEST(test_every_shorter_slice_asks_for_more)
{
    static const struct weir_str wholes[] = {
        {V2_TCP4, sizeof V2_TCP4 - 1},
        {"PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n", 45},
        {"PROXY UNKNOWN\r\n", 15},
    };
    for (size_t i = 0; i < 3; i++) {
        for (size_t n = 0; n < wholes[i].len; n++)
            ck_assert_int_eq(parse((struct weir_str){wholes[i].ptr, n}), WEIR_PROXY_MORE);
        ck_assert_int_eq(parse(wholes[i]), WEIR_PROXY_OK);
    }
}
END_TEST

CHECK_MAIN("proxy_protocol", NULL, NULL, test_v1_addresses, test_v1_unknown_keeps_the_connections_own,
           test_v1_bad_lines, test_v1_is_bounded, test_v2_addresses, test_v2_without_addresses, test_v2_bad_headers,
           test_every_shorter_slice_asks_for_more)
