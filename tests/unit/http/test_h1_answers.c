/* What an HTTP/1.1 server sends. */
#include "check_main.h"
#include "helper_h1.h"

static struct h1 t;

static void setup(void)
{
    h1_open(&t, true);
}

static void teardown(void)
{
    h1_shut(&t);
}

static void ask(const char *request)
{
    h1_reopen(&t, true, WHOLE);
    t.answer = ANSWER_NOT;
    h1_feed(&t, request);
    ck_assert_ptr_nonnull(t.x);
}

START_TEST(test_chunked_responses)
{
    ask(GET_A "\r\n");
    h1_respond(&t, 200, WEIR_LENGTH_UNKNOWN, false);
    h1_send(&t, "hello");
    run_idle(&t.r); /* a chunk goes out in the turn that sent it */
    h1_expect_wrote(&t, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n");
    h1_send(&t, "");
    h1_send(&t, "0123456789abcdef0123456789");
    struct weir_fields trailers = {0};
    ck_assert(weir_fields_add(&trailers, &t.arena, WEIR_STR("x-sum"), WEIR_STR("1")));
    ck_assert(weir_fields_add_id(&trailers, &t.arena, WEIR_FIELD_CONTENT_LENGTH, WEIR_STR("1")));
    h1_send_end(&t, &trailers);
    run_idle(&t.r);
    h1_expect_wrote(&t, "1a\r\n0123456789abcdef0123456789\r\n0\r\nx-sum: 1\r\n\r\n");
    ck_assert_uint_eq(t.idles, 1);
}
END_TEST

START_TEST(test_large_chunks_are_copied_unless_lent)
{
    ask(GET_A "\r\n");
    h1_respond(&t, 200, WEIR_LENGTH_UNKNOWN, false);
    const char *text = h1_padded("", 5000, 'x', "");
    h1_send(&t, text);
    h1_padded("", 5000, 'y', ""); /* the same memory again */
    run_idle(&t.r);
    ck_assert_ptr_nonnull(strstr(h1_wrote(&t), "\r\n1388\r\nxxxxx"));
    ck_assert_ptr_null(strchr(h1_wrote(&t), 'y'));
}
END_TEST

START_TEST(test_bodies_until_close_for_http_10)
{
    ask("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    h1_respond(&t, 200, WEIR_LENGTH_UNKNOWN, false);
    h1_send(&t, "hello");
    h1_send_end(&t, NULL);
    run_idle(&t.r);
    h1_expect_wrote(&t, "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nhello");
    ck_assert(t.ts->closed);
}
END_TEST

START_TEST(test_responses_without_a_body)
{
    static const struct {
        const char *request;
        unsigned status;
        int64_t length;
        bool end;
        const char *sent;
    } cases[] = {
        {GET_A "\r\n", 200, WEIR_LENGTH_UNKNOWN, true, "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"},
        {GET_A "\r\n", 204, 7, true, "HTTP/1.1 204 No Content\r\n\r\n"},
        {GET_A "\r\n", 304, 7, true, "HTTP/1.1 304 Not Modified\r\ncontent-length: 7\r\n\r\n"},
        {GET_A "\r\n", 304, WEIR_LENGTH_UNKNOWN, true, "HTTP/1.1 304 Not Modified\r\n\r\n"},
        {GET_A "\r\n", 799, WEIR_LENGTH_UNKNOWN, true, "HTTP/1.1 799 Unknown\r\ncontent-length: 0\r\n\r\n"},
        {"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", 200, 7, true, "HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\n"},
        {"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", 200, WEIR_LENGTH_UNKNOWN, false, "HTTP/1.1 200 OK\r\n\r\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ask(cases[i].request);
        h1_respond(&t, cases[i].status, cases[i].length, cases[i].end);
        if (!cases[i].end) {
            h1_send(&t, "not to be sent");
            h1_send_end(&t, NULL);
        }
        run_idle(&t.r);
        h1_expect_wrote(&t, cases[i].sent);
        ck_assert_uint_eq(t.idles, 1);
        ck_assert(!t.ts->closed);
    }
}
END_TEST

START_TEST(test_interim_heads)
{
    ask(GET_A "\r\n");
    struct weir_head early = {.status = 103, .content_length = WEIR_LENGTH_UNKNOWN};
    ck_assert(weir_fields_add(&early.fields, &t.arena, WEIR_STR("link"), WEIR_STR("</x>")));
    t.x->ops->send_head(t.x, &early, false);
    h1_respond(&t, 200, 0, true);
    run_idle(&t.r);
    h1_expect_wrote(&t, "HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    ask("GET / HTTP/1.0\r\n\r\n"); /* does not know them */
    h1_respond(&t, 103, WEIR_LENGTH_UNKNOWN, false);
    h1_respond(&t, 200, 0, true);
    run_idle(&t.r);
    h1_expect_wrote(&t, "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
}
END_TEST

START_TEST(test_the_codec_keeps_framing_to_itself)
{
    ask(GET_A "\r\n");
    struct weir_head head = {.status = 200, .content_length = 1};
    static const enum weir_field_id ids[] = {WEIR_FIELD_CONTENT_LENGTH, WEIR_FIELD_TRANSFER_ENCODING,
                                             WEIR_FIELD_CONNECTION, WEIR_FIELD_KEEP_ALIVE, WEIR_FIELD_SERVER};
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++)
        ck_assert(weir_fields_add_id(&head.fields, &t.arena, ids[i], WEIR_STR("x")));
    t.x->ops->send_head(t.x, &head, false);
    h1_send(&t, "1 is what was announced");
    h1_send_end(&t, NULL);
    run_idle(&t.r);
    h1_expect_wrote(&t, "HTTP/1.1 200 OK\r\nserver: x\r\ncontent-length: 1\r\n\r\n1");
    ck_assert(t.ts->closed); /* whoever sends more than it said has lost its place */
}
END_TEST

START_TEST(test_a_short_body_ends_the_connection)
{
    ask(GET_A "\r\n");
    h1_respond(&t, 200, 5, false);
    h1_send(&t, "abc");
    h1_send_end(&t, NULL);
    run_idle(&t.r);
    h1_expect(&t, "busy\nhead GET / @a v11\nend\nidle closing\nclosed CANCEL\n");
}
END_TEST

START_TEST(test_a_head_larger_than_the_gather_buffer)
{
    ask(GET_A "\r\n");
    struct weir_head head = {.status = 200, .content_length = 0};
    ck_assert(weir_fields_add(&head.fields, &t.arena, WEIR_STR("x"), weir_str_of(h1_padded("", 40000, 'v', ""))));
    t.x->ops->send_head(t.x, &head, true);
    run_idle(&t.r);
    ck_assert_uint_eq(t.ts->wrote_len, 40000 + strlen("HTTP/1.1 200 OK\r\nx: \r\ncontent-length: 0\r\n\r\n"));
}
END_TEST

START_TEST(test_room)
{
    ask(GET_A "\r\n");
    h1_forget(&t);
    test_stream_room(t.ts, 100);
    h1_respond(&t, 200, WEIR_LENGTH_UNKNOWN, false);
    ck_assert_uint_gt(t.x->ops->room(t.x), 0);
    ck_assert_uint_eq(t.x->ops->send_body(t.x, h1_padded("", 20000, 'x', ""), 20000), 0);
    run_idle(&t.r);
    ck_assert_uint_eq(t.x->ops->room(t.x), 0);
    h1_expect(&t, "");
    test_stream_room(t.ts, 10000);
    run_idle(&t.r);
    h1_expect(&t, "room\n");
    test_stream_room(t.ts, 1000);
    run_idle(&t.r);
    h1_expect(&t, ""); /* once */
    ck_assert_uint_gt(t.x->ops->room(t.x), 0);
}
END_TEST

CHECK_MAIN("h1_answers", setup, teardown, test_chunked_responses, test_large_chunks_are_copied_unless_lent,
           test_bodies_until_close_for_http_10, test_responses_without_a_body, test_interim_heads,
           test_the_codec_keeps_framing_to_itself, test_a_short_body_ends_the_connection,
           test_a_head_larger_than_the_gather_buffer, test_room)
