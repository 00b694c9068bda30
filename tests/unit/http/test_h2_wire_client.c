/* What a server may send that ours would not: malformed responses, GOAWAY, resets, limits that change. */
#include "check_main.h"
#include "helper_h2.h"

#include <nghttp2/nghttp2.h>

#define END_HEADERS NGHTTP2_FLAG_END_HEADERS
#define END_STREAM  NGHTTP2_FLAG_END_STREAM
#define BOTH        (END_HEADERS | END_STREAM)

static void setup(void)
{
    h2_begin();
}

static void teardown(void)
{
    h2_shut();
}

static struct h2_ex *client_request(const char *method)
{
    struct h2_ex *e = h2_request(method, "/", WEIR_LENGTH_UNKNOWN, true);
    h2_run();
    return e;
}

static void client(void)
{
    h2_connect_client();
    h2_raw_begin(false);
    h2_raw(NGHTTP2_SETTINGS, 0, 0, NULL, 0);
    h2_raw_send(&h2.c);
}

START_TEST(test_malformed_responses)
{
    static const struct {
        const char *lines, *data, *reason;
        uint8_t flags;
    } cases[] = {
        {"x: y\n", NULL, "reset PROTOCOL\n", BOTH},
        {":status: 20\n", NULL, "reset PROTOCOL\n", BOTH},
        {":status: abc\n", NULL, "reset PROTOCOL\n", BOTH},
        {":status: 101\n", NULL, "reset PROTOCOL\n", END_HEADERS},
        {":status: 100\n", NULL, "reset PROTOCOL\n", BOTH},
        {":status: 200\n:status: 200\n", NULL, "reset PROTOCOL\n", BOTH},
        {":status: 200\n:path: /\n", NULL, "reset PROTOCOL\n", BOTH},
        {":status: 200\ntransfer-encoding: chunked\n", NULL, "reset PROTOCOL\n", END_HEADERS},
        {":status: 200\nX: y\n", NULL, "reset PROTOCOL\n", BOTH},
        {":status: 200\ncontent-length: 3\n", "ab", "head 200 length=3 body\nbody 2\nreset PROTOCOL\n", END_HEADERS},
        {":status: 200\ncontent-length: 1\n", "ab", "head 200 length=1 body\nreset PROTOCOL\n", END_HEADERS},
        {":status: 200\ncontent-length: 1\n", NULL, "reset PROTOCOL\n", BOTH},
        {":status: 204\n", "ab", "head 204\nreset PROTOCOL\n", END_HEADERS},
        {":status: 304\n", "ab", "head 304\nreset PROTOCOL\n", END_HEADERS},
    };
    client();
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct h2_ex *e = client_request("GET");
        h2_raw_headers(2 * i + 1, cases[i].flags, cases[i].lines);
        if (cases[i].data != NULL)
            h2_raw(NGHTTP2_DATA, END_STREAM, 2 * i + 1, cases[i].data, strlen(cases[i].data));
        h2_raw_send(&h2.c);
        h2_expect_log(e, cases[i].reason);
        ck_assert_int_eq(h2_find_code(&h2.c, NGHTTP2_RST_STREAM, 2 * i + 1), NGHTTP2_PROTOCOL_ERROR);
    }
    ck_assert(h2.c.open);
    struct h2_ex *e = client_request("HEAD");
    h2_raw_headers(2 * h2.c.ex_count - 1, BOTH, ":status: 200\ncontent-length: 7\n");
    h2_raw_send(&h2.c);
    h2_expect_log(e, "head 200 length=7\nend\n");
}
END_TEST

static void goaway(uint32_t last, uint32_t code)
{
    const uint8_t p[8] = {(uint8_t)(last >> 24), (uint8_t)(last >> 16), (uint8_t)(last >> 8), (uint8_t)last, 0, 0, 0,
                          (uint8_t)code};
    h2_raw(NGHTTP2_GOAWAY, 0, 0, p, 8);
    h2_raw_send(&h2.c);
}

/* Streams that it will not look at are certain to be unprocessed; the others finish; then it is over. */
START_TEST(test_goaway)
{
    client();
    struct h2_ex *a = client_request("GET"), *b = client_request("GET"), *c = client_request("GET");
    goaway(3, NGHTTP2_NO_ERROR);
    h2_expect_log(c, "reset REFUSED certain\n");
    ck_assert(a->x != NULL && b->x != NULL);
    ck_assert_uint_eq(h2.c.codec->exchanges_max, 0);
    ck_assert_uint_eq(h2.c.codec->ops->slots(h2.c.codec), 0);
    ck_assert_ptr_null(h2_open());
    h2_raw_headers(1, BOTH, ":status: 200\n");
    h2_raw_send(&h2.c);
    h2_expect_log(a, "head 200\nend\n");
    ck_assert(h2.c.open);
    h2_raw_headers(3, BOTH, ":status: 200\n");
    h2_raw_send(&h2.c);
    h2_expect_log(b, "head 200\nend\n");
    ck_assert_uint_eq(h2.c.closes, 1);
    ck_assert_uint_eq(h2.c.closed.reason, WEIR_RESET_CANCEL);
}
END_TEST

START_TEST(test_goaway_while_idle)
{
    client();
    goaway(0, NGHTTP2_NO_ERROR);
    ck_assert_uint_eq(h2.c.closes, 1);
}
END_TEST

START_TEST(test_rst_from_server)
{
    static const struct {
        uint8_t code;
        bool head;
        const char *log;
    } cases[] = {{NGHTTP2_REFUSED_STREAM, false, "reset REFUSED certain\n"},
                 {NGHTTP2_REFUSED_STREAM, true, "head 200 body\nreset REFUSED\n"}, /* it did act on it */
                 {NGHTTP2_CANCEL, false, "reset PEER_RESET\n"},
                 {NGHTTP2_INTERNAL_ERROR, true, "head 200 body\nreset PEER_RESET\n"}};
    client();
    for (unsigned i = 0; i < 4; i++) {
        struct h2_ex *e = client_request("GET");
        const uint8_t code[4] = {0, 0, 0, cases[i].code};
        if (cases[i].head)
            h2_raw_headers(2 * i + 1, END_HEADERS, ":status: 200\n");
        h2_raw(NGHTTP2_RST_STREAM, 0, 2 * i + 1, code, 4);
        h2_raw_send(&h2.c);
        h2_expect_log(e, cases[i].log);
    }
    ck_assert_uint_eq(h2.c.idles, 4);
}
END_TEST

START_TEST(test_limit_changes)
{
    client();
    h2.c.slots_told = 0;
    const uint8_t two[6] = {0, 3, 0, 0, 0, 2}, none[6] = {0, 3, 0, 0, 0, 0};
    h2_raw(NGHTTP2_SETTINGS, 0, 0, two, 6);
    h2_raw_send(&h2.c);
    ck_assert_uint_eq(h2.c.codec->exchanges_max, 2);
    ck_assert_uint_eq(h2.c.slots_told, 1);
    client_request("GET");
    h2_raw(NGHTTP2_SETTINGS, 0, 0, none, 6);
    h2_raw_send(&h2.c);
    ck_assert_uint_eq(h2.c.codec->ops->slots(h2.c.codec), 0);
    ck_assert_ptr_null(h2_open());
    ck_assert(h2.c.open);
}
END_TEST

CHECK_MAIN("h2_wire_client", setup, teardown, test_malformed_responses, test_goaway, test_goaway_while_idle,
           test_rst_from_server, test_limit_changes)
