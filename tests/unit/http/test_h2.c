/* The HTTP/2 client and server against each other: bodies, trailers, interim heads, credit and windows, cancelling from
 * either side, draining. The same with bytes that come one at a time. */
#include "check_main.h"
#include "helper_h2.h"

#include <nghttp2/nghttp2.h>

static void setup(void)
{
    h2_begin();
}

static void teardown(void)
{
    h2_shut();
}

#define GET_LOG "head GET http:/ @a\nend\n"
#define OK_LOG  "head 200 length=2 body\nbody 2\nend\n"

static void get_ok(void)
{
    struct h2_ex *e = h2_request("GET", "/", WEIR_LENGTH_UNKNOWN, true);
    h2_run();
    h2_expect_log(e, OK_LOG);
    h2_expect_log(h2_served(h2.s.ex_count - 1), GET_LOG);
    ck_assert_uint_eq(e->overs, 1);
}

START_TEST(test_get)
{
    h2_connect();
    ck_assert(weir_h2_settled(h2.c.codec) && weir_h2_settled(h2.s.codec));
    ck_assert_uint_eq(h2.c.codec->ops->slots(h2.c.codec), 100);
    get_ok();
    get_ok();
    ck_assert_uint_eq(h2.c.idles, 2);
    ck_assert_uint_eq(h2.s.idles, 2);
    ck_assert_uint_eq(h2.s.busies, 2);
    ck_assert_uint_eq(h2.c.codec->exchanges_open, 0);
    ck_assert_uint_eq(h2.s.codec->exchanges_open, 0);
    ck_assert_uint_eq(h2.c.codec->ops->slots(h2.c.codec), 100);
}
END_TEST

START_TEST(test_one_byte_a_read)
{
    h2.one_byte_reads = true;
    h2.cut = 7;
    h2_connect();
    get_ok();
    struct h2_ex *e = h2_request("POST", "/p", WEIR_LENGTH_UNKNOWN, false);
    h2_send(e, "hello");
    h2_send_end(e, NULL);
    h2_run();
    h2_expect_log(h2_served(1), "head POST http:/p @a body\nbody 5\nend\n");
    h2_expect_log(e, OK_LOG);
}
END_TEST

START_TEST(test_one_write_a_turn)
{
    h2_connect();
    h2.s.ts->writes = 0;
    h2_forget(&h2.s);
    get_ok();
    /* head, body and end in one, and the window's update is not due yet */
    ck_assert_uint_eq(h2.s.ts->writes, 1);
}
END_TEST

START_TEST(test_large_bodies_both_ways)
{
    h2_connect();
    h2.s.silent = true;
    struct h2_ex *e = h2_request("POST", "/", 3000000, false);
    h2_send_zeros(e, 3000000);
    h2_run();
    struct h2_ex *s = h2_served(0);
    ck_assert_uint_eq(s->body, 3000000);
    ck_assert(s->ended);
    h2_send_head(s, 200, WEIR_LENGTH_UNKNOWN, false);
    h2_send_zeros(s, 5000000);
    h2_run();
    ck_assert_uint_eq(e->body, 5000000);
    ck_assert(e->ended && e->rooms > 0 && s->rooms > 0);
    ck_assert_uint_eq(e->overs, 1);
    ck_assert_uint_eq(s->overs, 1);
}
END_TEST

START_TEST(test_trailers_and_interim)
{
    h2_connect();
    h2.s.silent = true;
    struct weir_arena a = {0};
    struct weir_fields trailers = {0};
    ck_assert(weir_fields_add(&trailers, &a, WEIR_STR("x-sum"), WEIR_STR("7")));
    ck_assert(weir_fields_add_id(&trailers, &a, WEIR_FIELD_CONNECTION, WEIR_STR("close")));
    struct h2_ex *e = h2_request("PUT", "/", WEIR_LENGTH_UNKNOWN, false);
    h2_send(e, "abc");
    h2_send_end(e, &trailers);
    h2_run();
    struct h2_ex *s = h2_served(0);
    h2_expect_log(s, "head PUT http:/ @a body\nbody 3\nend x-sum=7\n");
    h2_send_head(s, 103, WEIR_LENGTH_UNKNOWN, false);
    h2_send_head(s, 200, WEIR_LENGTH_UNKNOWN, false);
    h2_send_end(s, &trailers);
    weir_arena_reset(&a); /* what was given need not outlive the call */
    h2_run();
    h2_expect_log(e, "head 103\nhead 200 body\nend x-sum=7\n");
}
END_TEST

static void send_continue(struct h2_ex *e, struct weir_head *head)
{
    ck_assert(head->expect_continue);
    h2_send_head(e, 100, WEIR_LENGTH_UNKNOWN, false);
}

START_TEST(test_expect_continue)
{
    h2.s.on_head = send_continue;
    h2_connect();
    struct weir_arena a = {0};
    struct weir_head head = {
        .method = WEIR_STR("POST"), .target = WEIR_STR("/"), .authority = WEIR_STR("a"), .content_length = 5};
    ck_assert(weir_fields_add_id(&head.fields, &a, WEIR_FIELD_EXPECT, WEIR_STR("100-continue")));
    struct h2_ex *e = h2_open();
    e->x->ops->send_head(e->x, &head, false);
    h2_run();
    h2_expect_log(e, "head 100\n");
    h2_send(e, "12345");
    h2_send_end(e, NULL);
    h2_run();
    h2_expect_log(e, OK_LOG);
    weir_arena_reset(&a);
}
END_TEST

START_TEST(test_bodiless_responses)
{
    h2_connect();
    h2.s.silent = true;
    const unsigned statuses[] = {200, 204, 304};
    for (unsigned i = 0; i < 3; i++) {
        struct h2_ex *e = h2_request(i == 0 ? "HEAD" : "GET", "/", WEIR_LENGTH_UNKNOWN, true);
        h2_run();
        struct h2_ex *s = h2_served(i);
        h2_send_head(s, statuses[i], 5, false);
        h2_send(s, "never"); /* goes nowhere */
        h2_send_end(s, NULL);
        h2_run();
        h2_expect_log(e, i == 0 ? "head 200 length=5\nend\n" : i == 1 ? "head 204\nend\n" : "head 304 length=5\nend\n");
    }
}
END_TEST

/* Credit: not a byte beyond it; what has come is kept, and windows are not opened for it. */
START_TEST(test_credit)
{
    h2.s.credit = 0;
    h2.s.silent = true;
    h2_connect();
    struct h2_ex *e = h2_request("POST", "/", WEIR_LENGTH_UNKNOWN, false);
    h2_send_zeros(e, 1000000);
    h2_run();
    struct h2_ex *s = h2_served(0);
    ck_assert_uint_eq(s->body, 0);
    ck_assert_uint_eq(weir_h2_taken(e->x), WEIR_H2_SERVER_STREAM_WINDOW);
    ck_assert(weir_h2_stalled(e->x));
    ck_assert_uint_eq(e->x->ops->room(e->x), 0);
    h2_grant(s, 10);
    h2_run();
    ck_assert_uint_eq(s->body, 10);
    while (!s->ended) {
        size_t before = s->body;
        h2_grant(s, 50000);
        h2_run();
        ck_assert_uint_gt(s->body, before);
    }
    ck_assert_uint_eq(s->body, 1000000);
    ck_assert_uint_gt(e->rooms, 0);
    ck_assert(!weir_h2_stalled(e->x));
}
END_TEST

/* Credit that comes back from inside the callback, less of it than what lies there. */
START_TEST(test_little_credit_at_a_time)
{
    h2.s.credit = 10;
    h2_connect();
    struct h2_ex *e = h2_request("POST", "/", WEIR_LENGTH_UNKNOWN, false);
    h2_send_zeros(e, 1000);
    h2_run();
    h2_expect_log(h2_served(0), "head POST http:/ @a body\nbody 1000\nend\n");
}
END_TEST

/* One that reads nothing holds up nobody else, in either direction. */
START_TEST(test_stalled_stream_alone)
{
    h2.s.silent = true;
    h2.c.credit = 0;
    h2_connect();
    struct h2_ex *a = h2_request("GET", "/a", WEIR_LENGTH_UNKNOWN, true);
    h2_run();
    h2_send_head(h2_served(0), 200, WEIR_LENGTH_UNKNOWN, false);
    h2_send_zeros(h2_served(0), 4000000);
    h2_run();
    ck_assert_uint_eq(a->body, 0);
    h2.c.credit = 100000;
    struct h2_ex *b = h2_request("GET", "/b", WEIR_LENGTH_UNKNOWN, true);
    h2_run();
    h2_send_head(h2_served(1), 200, WEIR_LENGTH_UNKNOWN, false);
    h2_send_zeros(h2_served(1), 40000000);
    h2_run();
    ck_assert(b->ended);
    ck_assert_uint_eq(b->body, 40000000);
    ck_assert_uint_eq(a->body, 0);
    h2_reset_ex(a, WEIR_RESET_CANCEL);
    h2_run();
    ck_assert_uint_eq(h2_served(0)->reset.reason, WEIR_RESET_CANCEL);
    ck_assert_ptr_null(h2_served(0)->x);
    ck_assert_uint_eq(h2.c.idles, 1);
}
END_TEST

START_TEST(test_kept_bytes_are_bounded)
{
    h2.s.credit = 0;
    h2_connect();
    for (int i = 0; i < 20; i++)
        h2_send_zeros(h2_request("POST", "/", WEIR_LENGTH_UNKNOWN, false), 500000);
    h2_run();
    uint64_t held = 0;
    for (unsigned i = 0; i < 20; i++)
        held += weir_h2_taken(h2.c.ex[i].x);
    ck_assert_uint_eq(held, WEIR_H2_SERVER_CONN_WINDOW);
    ck_assert_uint_lt(weir_h2_bytes(h2.s.codec), 3 * WEIR_H2_SERVER_CONN_WINDOW);
}
END_TEST

START_TEST(test_many_streams)
{
    h2.s.options.streams_max = 10;
    h2_connect();
    ck_assert_uint_eq(h2.c.codec->exchanges_max, 10);
    for (unsigned i = 0; i < 10; i++) {
        ck_assert_uint_eq(h2.c.codec->ops->slots(h2.c.codec), 10 - i);
        h2_request("POST", "/", WEIR_LENGTH_UNKNOWN, false);
    }
    ck_assert_ptr_null(h2_open());
    h2_run();
    ck_assert_uint_eq(h2.s.ex_count, 10);
    ck_assert_uint_eq(h2.s.codec->exchanges_open, 10);
    h2.c.slots_told = 0;
    h2_send_end(&h2.c.ex[3], NULL);
    h2_run();
    ck_assert_uint_eq(h2.c.slots_told, 1);
    ck_assert_uint_eq(h2.c.idles, 0);
    ck_assert_uint_eq(h2.c.codec->ops->slots(h2.c.codec), 1);
    h2_expect_log(&h2.c.ex[3], OK_LOG);
    for (unsigned i = 0; i < 10; i++)
        if (i != 3)
            h2_reset_ex(&h2.c.ex[i], WEIR_RESET_CANCEL);
    h2_run();
    ck_assert_uint_eq(h2.c.idles, 1);
    ck_assert_uint_eq(h2.s.codec->exchanges_open, 0);
}
END_TEST

START_TEST(test_cancel_by_client)
{
    h2_connect();
    h2.s.silent = true;
    struct h2_ex *e = h2_request("GET", "/", WEIR_LENGTH_UNKNOWN, true);
    h2_run();
    h2_reset_ex(e, WEIR_RESET_CANCEL);
    h2_run();
    h2_expect_log(h2_served(0), GET_LOG "reset CANCEL\n");
    h2.s.silent = false;
    get_ok();
}
END_TEST

/* The reason that the peer sees. */
START_TEST(test_cancel_by_server)
{
    static const struct {
        enum weir_reset_reason reason;
        const char *log;
    } cases[] = {{WEIR_RESET_CANCEL, "reset PEER_RESET\n"},
                 {WEIR_RESET_INTERNAL, "reset PEER_RESET\n"},
                 {WEIR_RESET_REFUSED, "reset REFUSED certain\n"}};
    h2_connect();
    h2.s.silent = true;
    for (unsigned i = 0; i < 3; i++) {
        struct h2_ex *e = h2_request("GET", "/", WEIR_LENGTH_UNKNOWN, true);
        h2_run();
        h2_reset_ex(h2_served(i), cases[i].reason);
        h2_run();
        h2_expect_log(e, cases[i].log);
    }
    ck_assert(h2.c.open && h2.s.open);
}
END_TEST

START_TEST(test_accept_says_no)
{
    h2_connect();
    h2.s.refuse_accept = true;
    struct h2_ex *e = h2_request("GET", "/", WEIR_LENGTH_UNKNOWN, true);
    h2_run();
    h2_expect_log(e, "reset REFUSED certain\n");
    h2.s.refuse_accept = false;
    get_ok();
}
END_TEST

/* Answered before the request has ended: a small rest is dropped, a large one is cut off, and the answer arrives. */
START_TEST(test_early_answer)
{
    h2_connect();
    h2.s.silent = true;
    struct h2_ex *e = h2_request("POST", "/", WEIR_LENGTH_UNKNOWN, false);
    h2_run();
    h2_send_head(h2_served(0), 200, 0, true);
    h2_run();
    h2_expect_log(e, "head 200 length=0\nend\n");
    h2_send(e, "the rest");
    h2_send_end(e, NULL);
    h2_run();
    h2_expect_log(h2_served(0), "head POST http:/ @a body\nend\n");
    ck_assert_uint_eq(h2_served(0)->overs, 1);

    e = h2_request("POST", "/", 10000000, false);
    h2_run();
    h2_send_head(h2_served(1), 200, 0, true);
    h2_run();
    h2_expect_log(h2_served(1), "head POST http:/ @a length=10000000 body\nreset CANCEL\n");
    h2_expect_log(e, "head 200 length=0\nend\n");
    h2_send_zeros(e, 10000000); /* takes it all and sends nothing */
    h2_run();
    ck_assert_uint_eq(e->overs, 1);
    h2.s.silent = false;
    get_ok();
}
END_TEST

START_TEST(test_wrong_length_is_no_message)
{
    h2_connect();
    h2.s.silent = true;
    struct h2_ex *e = h2_request("POST", "/", 10, false);
    h2_send(e, "short");
    h2_send_end(e, NULL);
    h2_run();
    ck_assert_uint_eq(e->overs, 1);
    ck_assert_ptr_null(h2_served(0)->x);
    ck_assert(!h2_served(0)->ended);
    e = h2_request("POST", "/", 3, false);
    h2_send(e, "longer");
    h2_send_end(e, NULL);
    h2_run();
    ck_assert(!h2_served(1)->ended);
    ck_assert_ptr_null(h2_served(1)->x);
    ck_assert_int_eq(h2_find_code(&h2.c, NGHTTP2_RST_STREAM, 1), NGHTTP2_INTERNAL_ERROR);
    ck_assert_int_eq(h2_find_code(&h2.c, NGHTTP2_RST_STREAM, 3), NGHTTP2_INTERNAL_ERROR);
    ck_assert(h2.c.open && h2.s.open);
}
END_TEST

START_TEST(test_server_drains_in_two_steps)
{
    h2_connect();
    h2.s.silent = true;
    struct h2_ex *e = h2_request("GET", "/", WEIR_LENGTH_UNKNOWN, true);
    h2_run();
    h2_forget(&h2.s);
    h2.s.codec->ops->drain(h2.s.codec);
    run_idle(&h2.r);
    ck_assert_uint_eq(h2_count_frames(&h2.s, NGHTTP2_GOAWAY), 1); /* the notice */
    struct h2_ex *late = h2_request("GET", "/late", WEIR_LENGTH_UNKNOWN, true);
    h2_run();
    ck_assert_uint_eq(h2_count_frames(&h2.s, NGHTTP2_GOAWAY), 2);
    ck_assert_uint_eq(h2.c.codec->exchanges_max, 0);
    ck_assert_ptr_null(h2_open());
    ck_assert_uint_eq(h2.s.ex_count, 2); /* begun before it could know: served */
    h2_send_head(h2_served(0), 200, 0, true);
    h2_run();
    h2_expect_log(e, "head 200 length=0\nend\n");
    ck_assert(h2.c.open && h2.s.open);
    h2_send_head(h2_served(1), 200, 0, true);
    h2_run();
    h2_expect_log(late, "head 200 length=0\nend\n");
    ck_assert(!h2.c.open && !h2.s.open);
    ck_assert_uint_eq(h2.s.closed.reason, WEIR_RESET_CANCEL);
}
END_TEST

START_TEST(test_client_drains)
{
    h2_connect();
    h2.s.silent = true;
    struct h2_ex *e = h2_request("GET", "/", WEIR_LENGTH_UNKNOWN, true);
    h2_run();
    h2.c.codec->ops->drain(h2.c.codec);
    h2_run();
    ck_assert_ptr_null(h2_open());
    ck_assert(h2.c.open);
    h2_send_head(h2_served(0), 200, 0, true);
    h2_run();
    h2_expect_log(e, "head 200 length=0\nend\n");
    ck_assert_uint_eq(h2.c.closes, 1);
    ck_assert_uint_eq(h2.s.closes, 1);
}
END_TEST

START_TEST(test_ping)
{
    h2_connect();
    weir_h2_ping(h2.c.codec);
    weir_h2_ping(h2.c.codec);
    ck_assert(weir_h2_ping_pending(h2.c.codec));
    h2_run();
    ck_assert(!weir_h2_ping_pending(h2.c.codec));
    ck_assert_uint_eq(h2_count_frames(&h2.c, NGHTTP2_PING), 1);
}
END_TEST

/* What is all here when the connection ends is still handed on; the rest is reset. */
START_TEST(test_peer_closes)
{
    h2.c.credit = 0;
    h2_connect();
    h2.s.silent = true;
    struct h2_ex *whole = h2_request("GET", "/", WEIR_LENGTH_UNKNOWN, true);
    struct h2_ex *half = h2_request("GET", "/", WEIR_LENGTH_UNKNOWN, true);
    h2_run();
    h2_send_head(h2_served(0), 200, WEIR_LENGTH_UNKNOWN, false);
    h2_send_zeros(h2_served(0), 1000);
    h2_send_head(h2_served(1), 200, WEIR_LENGTH_UNKNOWN, false);
    h2_send(h2_served(1), "half");
    h2_run();
    test_stream_end(h2.c.ts);
    run_idle(&h2.r);
    h2_expect_log(half, "head 200 body\nreset PEER_CLOSED\n");
    ck_assert(h2.c.open);
    h2_grant(whole, 400);
    run_idle(&h2.r);
    h2_grant(whole, 600);
    run_idle(&h2.r);
    h2_expect_log(whole, "head 200 body\nbody 1000\nend\n");
    ck_assert_uint_eq(h2.c.closes, 1);
    ck_assert_uint_eq(h2.c.closed.reason, WEIR_RESET_PEER_CLOSED);
}
END_TEST

START_TEST(test_client_gone)
{
    h2_connect();
    h2.s.silent = true;
    h2_request("GET", "/", WEIR_LENGTH_UNKNOWN, true);
    h2_run();
    test_stream_end(h2.s.ts);
    run_idle(&h2.r);
    h2_expect_log(h2_served(0), GET_LOG "reset PEER_CLOSED\n");
    ck_assert_uint_eq(h2.s.closes, 1);
}
END_TEST

/* Nothing of it has left: certain. */
START_TEST(test_never_sent_is_certain)
{
    h2_connect();
    test_stream_room(h2.c.ts, 0);
    struct h2_ex *e = h2_request("GET", "/", WEIR_LENGTH_UNKNOWN, true);
    run_idle(&h2.r);
    h2.c.codec->ops->eof(h2.c.codec, -104);
    run_idle(&h2.r);
    h2_expect_log(e, "reset PEER_ERROR certain\n");
}
END_TEST

CHECK_MAIN("h2", setup, teardown, test_get, test_one_byte_a_read, test_one_write_a_turn, test_large_bodies_both_ways,
           test_trailers_and_interim, test_expect_continue, test_bodiless_responses, test_credit,
           test_little_credit_at_a_time, test_stalled_stream_alone, test_kept_bytes_are_bounded, test_many_streams,
           test_cancel_by_client, test_cancel_by_server, test_accept_says_no, test_early_answer,
           test_wrong_length_is_no_message, test_server_drains_in_two_steps, test_client_drains, test_ping,
           test_peer_closes, test_client_gone, test_never_sent_is_certain)
