/* What a client may send that ours would not: malformed messages, limits, floods. */
#include "check_main.h"
#include "helper_h2.h"

#include <nghttp2/nghttp2.h>
#include <stdio.h>

#define END_HEADERS NGHTTP2_FLAG_END_HEADERS
#define END_STREAM  NGHTTP2_FLAG_END_STREAM
#define BOTH        (END_HEADERS | END_STREAM)
#define GET_A       ":method: GET\n:scheme: http\n:authority: a\n:path: /\n"
#define POST_A      ":method: POST\n:scheme: http\n:authority: a\n:path: /\n"
#define GOOD_LOG    "head GET http:/ @a\nend\n"

static void setup(void)
{
    h2_begin();
}

static void teardown(void)
{
    h2_shut();
}

static void server(void)
{
    h2_connect_server();
    h2_raw_begin(true);
    h2_raw_send(&h2.s);
}

/* One request in one HEADERS frame, and a good one after it: whatever became of the first, the connection lives. */
static struct h2_ex *request(const char *lines, uint8_t flags)
{
    unsigned n = h2.s.ex_count;
    uint32_t id = 2 * n + 1;
    h2_forget(&h2.s);
    h2_raw_headers(id, flags, lines);
    h2_raw_send(&h2.s);
    h2_raw_headers(id + 2, BOTH, GET_A);
    h2_raw_send(&h2.s);
    ck_assert_msg(h2.s.ex_count == n + 2, "%s: the connection is gone", lines);
    h2_expect_log(h2_served(n + 1), GOOD_LOG);
    return h2_served(n);
}

START_TEST(test_malformed_requests)
{
    static const struct {
        const char *lines, *code;
    } cases[] = {
        {":scheme: http\n:authority: a\n:path: /\n", "400 malformed_start_line"},
        {":method: GET\n" GET_A, "400 malformed_start_line"},
        {":method: G T\n:scheme: http\n:authority: a\n:path: /\n", "400 malformed_start_line"},
        {":method: GET\n:authority: a\n:path: /\n", "400 malformed_target"},
        {":method: GET\n:scheme: ftp\n:authority: a\n:path: /\n", "400 malformed_target"},
        {":method: GET\n:scheme: http\n:authority: a\n", "400 malformed_target"},
        {":method: GET\n:scheme: http\n:authority: a\n:path: \n", "400 malformed_target"},
        {":method: GET\n:scheme: http\n:authority: a\n:path: x\n", "400 malformed_target"},
        {":method: GET\n:scheme: http\n:authority: a\n:path: *\n", "400 malformed_target"},
        {":method: GET\n:scheme: http\n:authority: a\n:path: /a b\n", "400 malformed_target"},
        {":method: GET\n:scheme: http\n:authority: a\n:path: /#x\n", "400 malformed_target"},
        {":method: GET\n:scheme: http\n:path: /\n", "400 malformed_host"},
        {GET_A "host: b\n", "400 malformed_host"},
        {":method: GET\n:scheme: http\n:path: /\nhost: a\nhost: a\n", "400 malformed_host"},
        {":method: GET\n:scheme: http\n:authority: u@a\n:path: /\n", "400 malformed_host"},
        {":method: CONNECT\n:authority: a:1\n", "501 connect_not_implemented"},
        {":method: CONNECT\n:protocol: websocket\n:scheme: http\n:authority: a\n:path: /\n",
         "501 connect_not_implemented"},
        {GET_A ":path: /\n", "400 malformed_target"},
        {GET_A "x: y\n:path: /\n", "400 malformed_field"},
        {GET_A ":foo: bar\n", "400 malformed_field"},
        {GET_A "X-Upper: y\n", "400 malformed_field"},
        {GET_A "x y: z\n", "400 malformed_field"},
        {GET_A "x: a\rb\n", "400 malformed_field"},
        {GET_A "x:  a\n", "400 malformed_field"},
        {GET_A "x: a \n", "400 malformed_field"},
        {GET_A "x: a\t\n", "400 malformed_field"},
        {GET_A "connection: x\n", "400 malformed_connection"},
        {GET_A "keep-alive: 5\n", "400 malformed_connection"},
        {GET_A "proxy-connection: x\n", "400 malformed_connection"},
        {GET_A "transfer-encoding: chunked\n", "400 malformed_connection"},
        {GET_A "upgrade: h2c\n", "400 malformed_connection"},
        {GET_A "te: gzip\n", "400 malformed_connection"},
        {GET_A "content-length: 1\ncontent-length: 1\n", "400 malformed_framing"},
        {GET_A "content-length: -1\n", "400 malformed_framing"},
        {GET_A "content-length: 99999999999999999999\n", "400 malformed_framing"},
    };
    server();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct h2_ex *e = request(cases[i].lines, BOTH);
        char log[100];
        snprintf(log, sizeof log, "malformed %s\n", cases[i].code);
        h2_expect_log(e, log);
        ck_assert_uint_eq(e->overs, 1);
    }
}
END_TEST

START_TEST(test_value_with_newline_and_nul)
{
    server();
    /* ":method GET :scheme http :path /" from the static table, :authority a, then x with a byte that must not be */
    const char bad[] = {'\n', '\0', 0x7f};
    for (unsigned i = 0; i < sizeof bad; i++) {
        const uint8_t block[] = {0x82, 0x86, 0x84, 0x01, 1, 'a', 0, 1, 'x', 3, 'a', (uint8_t)bad[i], 'b'};
        h2_raw(NGHTTP2_HEADERS, BOTH, 2 * i + 1, block, sizeof block);
        h2_raw_send(&h2.s);
        h2_expect_log(h2_served(i), "malformed 400 malformed_field\n");
    }
    ck_assert(h2.s.open);
}
END_TEST

START_TEST(test_good_requests)
{
    server();
    h2_expect_log(request(GET_A "te: trailers\nhost: a\ncookie: a=1\nx: y\ncookie: b=2\ncookie: c=3\n", BOTH),
                  "head GET http:/ @a x=y cookie=a=1; b=2; c=3\nend\n");
    h2_expect_log(request(":method: GET\n:scheme: https\n:path: /\nhost: b:1\n", BOTH), "head GET https:/ @b:1\nend\n");
    h2_expect_log(request(":method: OPTIONS\n:scheme: http\n:authority: a\n:path: *\n", BOTH),
                  "head OPTIONS http:* @a\nend\n");
    h2_expect_log(request(GET_A "priority: u=1, i\nproxy-authorization: x\nempty: \n", BOTH),
                  "head GET http:/ @a priority=u=1, i empty=\nend\n");
}
END_TEST

START_TEST(test_head_limits)
{
    h2.s.limits.fields_max = 6;
    h2.s.limits.head_bytes_max = 400;
    server();
    h2_expect_log(request(GET_A "a: 1\nb: 2\nc: 3\n", BOTH), "malformed 431 head_too_large\n");
    char lines[600];
    snprintf(lines, sizeof lines, GET_A "x: %0400d\n", 0);
    h2_expect_log(request(lines, BOTH), "malformed 431 head_too_large\n");
}
END_TEST

/* A request that is malformed and goes on is answered, and then cut off. */
START_TEST(test_answered_then_reset)
{
    server();
    h2_expect_log(request(POST_A "X: y\n", END_HEADERS), "malformed 400 malformed_field\n");
    ck_assert_int_eq(h2_find_code(&h2.s, NGHTTP2_RST_STREAM, 1), NGHTTP2_PROTOCOL_ERROR);
    ck_assert_uint_eq(h2_count_frames(&h2.s, NGHTTP2_HEADERS), 2);
}
END_TEST

START_TEST(test_length_against_data)
{
    static const struct {
        const char *length, *data;
    } cases[] = {{"5", "1234"}, {"3", "1234"}, {"0", "1"}};
    server();
    for (unsigned i = 0; i < 3; i++) {
        char lines[200];
        snprintf(lines, sizeof lines, POST_A "content-length: %s\n", cases[i].length);
        h2_forget(&h2.s);
        h2_raw_headers(2 * i + 1, END_HEADERS, lines);
        h2_raw(NGHTTP2_DATA, END_STREAM, 2 * i + 1, cases[i].data, strlen(cases[i].data));
        h2_raw_send(&h2.s);
        ck_assert_uint_eq(h2_served(i)->reset.reason, WEIR_RESET_PROTOCOL);
        ck_assert(!h2_served(i)->ended && h2_served(i)->overs == 1);
        ck_assert_int_eq(h2_find_code(&h2.s, NGHTTP2_RST_STREAM, 2 * i + 1), NGHTTP2_PROTOCOL_ERROR);
    }
    ck_assert(h2.s.open);
}
END_TEST

/* Nothing of it may be passed on, so it is told instead of the head. */
START_TEST(test_length_without_data)
{
    server();
    h2_expect_log(request(POST_A "content-length: 1\n", BOTH), "malformed 400 malformed_framing\n");
    ck_assert(h2.s.open);
}
END_TEST

/* What is dropped is not counted, so its length is nobody's fault. */
START_TEST(test_trailers_after_an_early_answer)
{
    h2.s.silent = true;
    server();
    h2_raw_headers(1, END_HEADERS, POST_A "content-length: 3\n");
    h2_raw_send(&h2.s);
    h2_send_head(h2_served(0), 200, 0, true);
    h2_run();
    h2_raw(NGHTTP2_DATA, 0, 1, "abc", 3);
    h2_raw_headers(1, BOTH, "x-sum: 1\n");
    h2_raw_send(&h2.s);
    ck_assert_int_eq(h2_find_code(&h2.s, NGHTTP2_RST_STREAM, 1), -1);
    ck_assert(h2_served(0)->ended && h2_served(0)->overs == 1);
}
END_TEST

START_TEST(test_body_too_large)
{
    static const char body[200];
    h2.s.limits.body_bytes_max = 100;
    server();
    h2_expect_log(request(POST_A "content-length: 101\n", END_HEADERS), "malformed 413 body_too_large\n");
    h2_raw_headers(5, END_HEADERS, POST_A);
    h2_raw(NGHTTP2_DATA, 0, 5, body, 60);
    h2_raw(NGHTTP2_DATA, 0, 5, body, 60);
    h2_raw(NGHTTP2_DATA, END_STREAM, 5, body, 60);
    h2_raw_send(&h2.s);
    h2_expect_log(h2_served(2), "head POST http:/ @a body\nbody 60\nmalformed 413 body_too_large after head\n");
    ck_assert_uint_eq(h2_served(2)->overs, 1);
    ck_assert(h2.s.open);
}
END_TEST

START_TEST(test_bad_trailers)
{
    static const char *const lines[] = {":path: /\n", "content-length: 1\n", "X: y\n", "connection: x\n"};
    server();
    for (unsigned i = 0; i < 5; i++) {
        h2_raw_headers(2 * i + 1, END_HEADERS, POST_A);
        h2_raw_headers(2 * i + 1, i < 4 ? BOTH : END_HEADERS, i < 4 ? lines[i] : "x: y\n");
        h2_raw_send(&h2.s);
        ck_assert_ptr_nonnull(strstr(h2_served(i)->log, "malformed 400 malformed_"));
        ck_assert_ptr_nonnull(strstr(h2_served(i)->log, "after head"));
    }
    ck_assert(h2.s.open);
}
END_TEST

/* A malformed message is told once, however much follows while its user has yet to answer. */
START_TEST(test_malformed_is_told_once)
{
    h2.s.late = true;
    server();
    h2_raw_headers(1, END_HEADERS, POST_A);
    for (int i = 0; i < 3; i++)
        h2_raw_headers(1, END_HEADERS, "x: y\n");
    h2_raw_send(&h2.s);
    h2_expect_log(h2_served(0), "head POST http:/ @a body\nmalformed 400 malformed_framing after head\n");
    h2_send_head(h2_served(0), 400, 0, true);
    h2_run();
    ck_assert(h2.s.open);
    ck_assert_uint_eq(h2_served(0)->overs, 1);
}
END_TEST

/* The stream is over for the peer with such a head; our user ends it when it knows that there is no more. */
START_TEST(test_end_of_a_bodiless_response_may_come_later)
{
    static const struct {
        const char *lines;
        unsigned status;
    } cases[] = {{GET_A, 204}, {GET_A, 304}, {":method: HEAD\n:scheme: http\n:authority: a\n:path: /\n", 200}};
    h2.s.silent = true;
    server();
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        h2_raw_headers(2 * i + 1, BOTH, cases[i].lines);
        h2_raw_send(&h2.s);
        struct h2_ex *e = h2_served(i);
        h2_send_head(e, cases[i].status, WEIR_LENGTH_UNKNOWN, false);
        h2_run();
        ck_assert_ptr_nonnull(e->x);
        h2_send_end(e, NULL);
        h2_run();
        ck_assert_ptr_null(strstr(e->log, "reset"));
    }
    ck_assert_uint_eq(h2.s.idles, 3);
}
END_TEST

/* -- floods -- */

static void expect_calmed(int64_t code)
{
    ck_assert_int_eq(h2_find_code(&h2.s, NGHTTP2_GOAWAY, 0), code);
    ck_assert(!h2.s.open || h2.s.codec->lingering);
    for (unsigned i = 0; i < h2.s.ex_count; i++)
        ck_assert_ptr_null(h2.s.ex[i].x);
}

START_TEST(test_too_many_streams)
{
    h2.s.options.streams_max = 3;
    h2.s.silent = true;
    h2_connect_server();
    h2_raw_begin(true);
    for (uint32_t id = 1; id <= 7; id += 2)
        h2_raw_headers(id, BOTH, GET_A);
    h2_raw_send(&h2.s);
    ck_assert_uint_eq(h2.s.ex_count, 3); /* not yet acknowledged: refused and no more */
    ck_assert_int_eq(h2_find_code(&h2.s, NGHTTP2_RST_STREAM, 7), NGHTTP2_REFUSED_STREAM);
    h2_raw(NGHTTP2_SETTINGS, NGHTTP2_FLAG_ACK, 0, NULL, 0);
    h2_raw_headers(9, BOTH, GET_A);
    h2_raw_send(&h2.s);
    ck_assert_uint_eq(h2.s.ex_count, 3);
    expect_calmed(NGHTTP2_PROTOCOL_ERROR);
}
END_TEST

START_TEST(test_rapid_reset)
{
    const uint8_t cancel[4] = {0, 0, 0, NGHTTP2_CANCEL};
    h2.s.options.resets_per_second_max = 20;
    h2.s.silent = true;
    server();
    for (uint32_t i = 0; i < 100; i++) {
        h2_raw_headers(2 * i + 1, BOTH, GET_A);
        h2_raw(NGHTTP2_RST_STREAM, 0, 2 * i + 1, cancel, 4);
    }
    h2_raw_send(&h2.s);
    ck_assert_uint_le(h2.s.ex_count, 42); /* two seconds' worth, should the clock have moved on */
    expect_calmed(NGHTTP2_ENHANCE_YOUR_CALM);
}
END_TEST

/* The peer's faults have us reset streams: as good as resetting them itself (CVE-2025-8671). */
START_TEST(test_made_to_reset)
{
    const uint8_t zero[4] = {0};
    h2.s.options.resets_per_second_max = 20;
    h2.s.silent = true;
    server();
    for (uint32_t i = 0; i < 100; i++) {
        h2_raw_headers(2 * i + 1, END_HEADERS, POST_A "content-length: 3\n");
        h2_raw(NGHTTP2_DATA, END_STREAM, 2 * i + 1, zero, 4);
    }
    h2_raw_send(&h2.s);
    ck_assert_uint_le(h2.s.ex_count, 42);
    expect_calmed(NGHTTP2_ENHANCE_YOUR_CALM);
}
END_TEST

/* As good as that: whoever has begun to work on the request stops. */
START_TEST(test_made_to_stop)
{
    h2.s.options.resets_per_second_max = 20;
    server();
    for (uint32_t i = 0; i < 100; i++) {
        h2_raw_headers(2 * i + 1, END_HEADERS, POST_A);
        h2_raw_headers(2 * i + 1, BOTH, "content-length: 1\n");
    }
    h2_raw_send(&h2.s);
    ck_assert_uint_le(h2.s.ex_count, 42);
    expect_calmed(NGHTTP2_ENHANCE_YOUR_CALM);
}
END_TEST

static void flood(uint8_t type, uint8_t flags, uint32_t id, const void *p, size_t n)
{
    for (int i = 0; i < 200 && h2.s.open && !h2.s.codec->lingering; i++) {
        h2_raw(type, flags, id, p, n);
        if (i % 20 == 0)
            h2_raw_send(&h2.s);
    }
    h2_raw_send(&h2.s);
}

START_TEST(test_noise)
{
    const uint8_t zeros[16] = {0}, one[4] = {0, 0, 0, 1};
    const struct {
        uint8_t type, flags;
        uint32_t id;
        const uint8_t *p;
        size_t n;
    } kinds[] = {{NGHTTP2_PING, 0, 0, zeros, 8},
                 {NGHTTP2_PING, NGHTTP2_FLAG_ACK, 0, zeros, 8}, /* of a question that nobody asked */
                 {NGHTTP2_SETTINGS, 0, 0, NULL, 0},
                 {NGHTTP2_DATA, 0, 1, NULL, 0},
                 {NGHTTP2_WINDOW_UPDATE, 0, 1, one, 4}};
    for (unsigned i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        h2.s.options.noise_per_second_max = 50;
        h2.s.silent = true;
        server();
        h2_raw_headers(1, END_HEADERS, POST_A);
        h2_raw_send(&h2.s);
        flood(kinds[i].type, kinds[i].flags, kinds[i].id, kinds[i].p, kinds[i].n);
        expect_calmed(NGHTTP2_ENHANCE_YOUR_CALM);
        h2_shut();
        h2_begin();
    }
}
END_TEST

/* Many peers open both windows again with each frame of data, by what it brought, however little that is. */
START_TEST(test_small_updates_for_small_data_are_no_noise)
{
    const uint8_t two[4] = {0, 0, 0, 2};
    h2.s.options.noise_per_second_max = 50;
    h2.s.silent = true;
    server();
    h2_raw_headers(1, END_HEADERS, POST_A);
    h2_raw_send(&h2.s);
    h2_send_head(h2_served(0), 200, WEIR_LENGTH_UNKNOWN, false);
    for (int i = 0; i < 200; i++) {
        h2_send(h2_served(0), "ab");
        h2_raw(NGHTTP2_WINDOW_UPDATE, 0, 1, two, 4);
        h2_raw(NGHTTP2_WINDOW_UPDATE, 0, 0, two, 4);
        h2_raw_send(&h2.s);
    }
    ck_assert(h2.s.open && !h2.s.codec->lingering);
    ck_assert_ptr_nonnull(h2_served(0)->x);
    flood(NGHTTP2_WINDOW_UPDATE, 0, 1, two, 4);
    expect_calmed(NGHTTP2_ENHANCE_YOUR_CALM);
}
END_TEST

/* A peer that asks for answers and does not read them is not read either, or is cut off; what waits is bounded. */
START_TEST(test_unread_answers_are_bounded)
{
    static const uint8_t zeros[8];
    h2.s.options.noise_per_second_max = 0;
    server();
    test_stream_room(h2.s.ts, 0);
    for (int i = 0; i < 5000 && h2.s.open; i++) {
        h2_raw(NGHTTP2_PING, 0, 0, zeros, 8);
        if (i % 50 == 0)
            h2_raw_send(&h2.s);
    }
    if (h2.s.open) {
        ck_assert_uint_eq(h2.s.codec->ops->want(h2.s.codec), 0);
        ck_assert_uint_lt(weir_h2_bytes(h2.s.codec), 200000);
    }
}
END_TEST

START_TEST(test_continuation_flood)
{
    server();
    const uint8_t block[] = {0x82, 0x86, 0x84};
    h2_raw(NGHTTP2_HEADERS, 0, 1, block, sizeof block);
    for (int i = 0; i < 100; i++)
        h2_raw(NGHTTP2_CONTINUATION, 0, 1, block + 1, 1);
    h2_raw_send(&h2.s);
    ck_assert(!h2.s.open || h2.s.codec->lingering);
    for (unsigned i = 0; i < h2.s.ex_count; i++)
        ck_assert_ptr_null(h2.s.ex[i].x);
}
END_TEST

/* One small block that HPACK blows up: read, not kept. */
START_TEST(test_hpack_bomb)
{
    static uint8_t block[4200], refs[10000];
    server();
    size_t n = 0;
    memcpy(block, (const uint8_t[]){0x82, 0x86, 0x84, 0x01, 1, 'a', 0x40, 1, 'x', 0x7f, 0x81, 0x1e}, 12);
    n = 12;
    memset(block + n, 'v', 3968);
    n += 3968;
    memset(refs, 0xbe, sizeof refs);
    h2_raw(NGHTTP2_HEADERS, END_STREAM, 1, block, n);
    h2_raw(NGHTTP2_CONTINUATION, END_HEADERS, 1, refs, sizeof refs);
    h2_raw_send(&h2.s);
    h2_expect_log(h2_served(0), "malformed 431 head_too_large\n");
    ck_assert_uint_lt(weir_h2_bytes(h2.s.codec), 100000);
    ck_assert_uint_lt(h2_served(0)->arena.bytes_total, 40000);
}
END_TEST

START_TEST(test_wrong_preface)
{
    h2_connect_server();
    test_stream_feed_text(h2.s.ts, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    h2_run();
    ck_assert_uint_eq(h2.s.closes, 1);
    ck_assert_uint_eq(h2.s.closed.reason, WEIR_RESET_PROTOCOL);
}
END_TEST

CHECK_MAIN("h2_wire", setup, teardown, test_malformed_requests, test_value_with_newline_and_nul, test_good_requests,
           test_head_limits, test_answered_then_reset, test_length_against_data, test_length_without_data,
           test_trailers_after_an_early_answer, test_body_too_large, test_bad_trailers, test_malformed_is_told_once,
           test_end_of_a_bodiless_response_may_come_later, test_too_many_streams, test_rapid_reset, test_made_to_reset,
           test_made_to_stop, test_noise, test_small_updates_for_small_data_are_no_noise,
           test_unread_answers_are_bounded, test_continuation_flood, test_hpack_bomb, test_wrong_preface)
