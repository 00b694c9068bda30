/* The life of a server's HTTP/1.1 connection: pipelining, credit, the rest of a body, ends from either side, and
 * callbacks that pull the rug. */
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

START_TEST(test_pipelined_requests_are_answered_in_order)
{
    for (int delivery = WHOLE; delivery < DELIVERIES; delivery++) {
        h1_reopen(&t, true, (enum delivery)delivery);
        h1_feed(&t, GET_A "\r\n" POST_A "Content-Length: 2\r\n\r\nab" POST_CHUNKED "1\r\nc\r\n0\r\n\r\n" GET_A "\r\n");
        h1_expect(&t, GET_EVENTS "busy\nhead POST / @a v11 length=2 body\nbody [ab]\nend\nidle\n" HEAD_CHUNKED
                                 "body [c]\nend\nidle\n" GET_EVENTS);
        h1_expect_wrote(&t, OK_2 OK_2 OK_2 OK_2);
    }
}
END_TEST

START_TEST(test_the_next_request_waits_for_the_response)
{
    t.answer = ANSWER_NOT;
    h1_feed(&t, GET_A "\r\n" GET_A "\r\n");
    h1_expect(&t, "busy\nhead GET / @a v11\nend\n");
    ck_assert_uint_eq(t.codec->ops->want(t.codec), 0);
    h1_feed(&t, GET_A "\r\n"); /* stays with the kernel */
    h1_respond(&t, 200, 0, true);
    h1_expect(&t, "idle\n");
    run_idle(&t.r);
    h1_expect(&t, "busy\nhead GET / @a v11\nend\n");
    h1_respond(&t, 200, 0, true);
    run_idle(&t.r);
    h1_expect(&t, "idle\nbusy\nhead GET / @a v11\nend\n");
}
END_TEST

START_TEST(test_a_body_comes_only_as_far_as_granted)
{
    for (int chunked = 0; chunked < 2; chunked++) {
        h1_reopen(&t, true, WHOLE);
        t.credit = 1; /* and 1 for each byte that came */
        h1_feed(&t,
                chunked ? POST_CHUNKED "5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n" : POST_A "Content-Length: 6\r\n\r\nhello!");
        h1_feed(&t, GET_A "\r\n");
        ck_assert_uint_eq(t.largest_slice, 1);
        ck_assert_uint_eq(t.ends, 2);
        ck_assert_ptr_nonnull(strstr(t.record, "body [hello!]\nend\nidle\n" GET_EVENTS));
    }
}
END_TEST

START_TEST(test_without_credit_nothing_is_read)
{
    t.credit = 0;
    h1_feed(&t, POST_A "Content-Length: 900\r\n\r\nstart");
    h1_expect(&t, "busy\nhead POST / @a v11 length=900 body\n");
    unsigned reads = t.ts->reads;
    h1_feed(&t, h1_padded("", 895, 'x', ""));
    ck_assert_uint_eq(t.ts->reads, reads);
    h1_expect(&t, "");
    t.x->ops->grant(t.x, 3);
    run_idle(&t.r);
    ck_assert_uint_eq(t.body_bytes, 900); /* each slice is granted back */
    ck_assert_uint_le(t.largest_slice, 3);
}
END_TEST

START_TEST(test_expect_continue)
{
    t.answer = ANSWER_NOT;
    h1_feed(&t, POST_A "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    h1_expect(&t, "busy\nhead POST / @a v11 length=2 body expect expect=100-continue\n");
    h1_respond(&t, 100, WEIR_LENGTH_UNKNOWN, false);
    run_idle(&t.r);
    h1_expect_wrote(&t, "HTTP/1.1 100 Continue\r\n\r\n");
    t.answer = ANSWER_AT_END;
    h1_feed(&t, "ab");
    h1_expect(&t, "body [ab]\nend\nidle\n");
    h1_expect_wrote(&t, OK_2);
}
END_TEST

START_TEST(test_expect_continue_answered_finally)
{
    t.answer = ANSWER_AT_HEAD;
    h1_feed(&t, POST_A "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    h1_expect(&t, "busy\nhead POST / @a v11 length=2 body expect expect=100-continue\nreset CANCEL\nidle closing\n");
    h1_expect_wrote(&t, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok");
    h1_fin(&t);
    h1_expect(&t, "closed CANCEL\n");
}
END_TEST

START_TEST(test_the_rest_of_a_body_is_dropped_when_small)
{
    t.limits.body_bytes_max = 0;
    t.answer = ANSWER_AT_HEAD;
    t.credit = 0;
    h1_feed(&t, POST_A "Content-Length: 9\r\n\r\nabc");
    h1_expect(&t, "busy\nhead POST / @a v11 length=9 body\n");
    h1_expect_wrote(&t, OK_2);
    h1_feed(&t, "defghi" POST_CHUNKED "5\r\nhello");
    h1_expect(&t, "end\nidle\n" HEAD_CHUNKED);
    h1_feed(&t, "\r\n0\r\n\r\n" GET_A "\r\n");
    h1_expect(&t, "end\nidle\n" GET_EVENTS);
}
END_TEST

START_TEST(test_the_rest_of_a_body_ends_the_connection_when_large)
{
    t.limits.body_bytes_max = 0;
    t.answer = ANSWER_AT_HEAD;
    t.credit = 0;
    h1_feed(&t, POST_A "Content-Length: 65537\r\n\r\n");
    h1_expect(&t, "busy\nhead POST / @a v11 length=65537 body\nreset CANCEL\nidle closing\n");
    h1_fin(&t);
    h1_expect(&t, "closed CANCEL\n");
    h1_reopen(&t, true, WHOLE);
    t.limits.body_bytes_max = 0;
    t.answer = ANSWER_AT_HEAD;
    h1_feed(&t, POST_CHUNKED "ffffff\r\n");
    h1_expect(&t, HEAD_CHUNKED);
    h1_feed(&t, h1_padded("", 60000, 'x', ""));
    h1_expect(&t, "");
    h1_feed(&t, h1_padded("", 6000, 'x', ""));
    h1_expect(&t, "reset CANCEL\nidle closing\n");
}
END_TEST

START_TEST(test_a_fin_before_the_response_is_an_abort)
{
    static const char *const inputs[] = {GET_A "\r\n", POST_A "Content-Length: 9\r\n\r\nab", "GET / HT"};
    for (size_t i = 0; i < sizeof inputs / sizeof inputs[0]; i++) {
        h1_reopen(&t, true, WHOLE);
        t.answer = ANSWER_NOT;
        h1_feed(&t, inputs[i]);
        h1_forget(&t);
        h1_fin(&t);
        h1_expect(&t, "reset PEER_CLOSED\nclosed PEER_CLOSED\n");
    }
}
END_TEST

START_TEST(test_a_fin_is_seen_while_reading_is_paused)
{
    t.credit = 0;
    t.answer = ANSWER_NOT;
    h1_feed(&t, POST_A "Content-Length: 900\r\n\r\nabc");
    h1_expect(&t, "busy\nhead POST / @a v11 length=900 body\n");
    test_stream_feed_text(t.ts, "unread");
    h1_fin(&t);
    h1_expect(&t, "reset PEER_CLOSED\nclosed PEER_CLOSED\n");
}
END_TEST

START_TEST(test_a_fin_behind_an_answered_request_lets_the_answer_out)
{
    test_stream_room(t.ts, 10);
    h1_feed(&t, GET_A "\r\n");
    h1_expect(&t, GET_EVENTS);
    h1_fin(&t);
    h1_expect(&t, "");
    test_stream_room(t.ts, 1000);
    run_idle(&t.r);
    h1_expect(&t, "closed CANCEL\n");
    h1_expect_wrote(&t, OK_2);
}
END_TEST

START_TEST(test_a_fin_or_error_on_an_idle_connection)
{
    h1_fin(&t);
    h1_expect(&t, "closed PEER_CLOSED\n");
    h1_reopen(&t, true, WHOLE);
    t.ts->read_error = -104;
    h1_feed(&t, GET_A "\r\n");
    h1_fin(&t);
    h1_expect(&t, GET_EVENTS "closed PEER_ERROR\n");
}
END_TEST

START_TEST(test_a_write_error_resets)
{
    t.answer = ANSWER_NOT;
    h1_feed(&t, GET_A "\r\n");
    t.ts->write_error = -32;
    h1_respond(&t, 200, 5, false);
    h1_expect(&t, "busy\nhead GET / @a v11\nend\n");
    run_idle(&t.r);
    h1_expect(&t, "reset PEER_ERROR\nclosed PEER_ERROR\n");
    ck_assert_int_eq(t.last_reset.os_error, -32);
}
END_TEST

START_TEST(test_drain)
{
    t.codec->ops->drain(t.codec);
    h1_expect(&t, "");
    run_idle(&t.r);
    h1_expect(&t, "closed CANCEL\n");
    h1_reopen(&t, true, WHOLE);
    t.answer = ANSWER_NOT;
    h1_feed(&t, GET_A "\r\n");
    t.codec->ops->drain(t.codec);
    h1_respond(&t, 204, WEIR_LENGTH_UNKNOWN, true);
    run_idle(&t.r);
    h1_expect(&t, "busy\nhead GET / @a v11\nend\nidle closing\nclosed CANCEL\n");
    h1_expect_wrote(&t, "HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n");
}
END_TEST

START_TEST(test_drain_lets_the_end_of_an_answer_out)
{
    t.answer = ANSWER_NOT;
    h1_feed(&t, GET_A "\r\n");
    test_stream_room(t.ts, 10);
    h1_respond(&t, 200, 2, false);
    h1_send(&t, "ok");
    h1_send_end(&t, NULL);
    run_idle(&t.r);
    t.codec->ops->drain(t.codec);
    run_idle(&t.r);
    h1_expect(&t, GET_EVENTS);
    test_stream_room(t.ts, SIZE_MAX);
    run_idle(&t.r);
    h1_expect(&t, "closed CANCEL\n");
    ck_assert_str_eq(h1_wrote(&t), OK_2);
}
END_TEST

START_TEST(test_credit_granted_when_there_is_room_is_read_on)
{
    t.answer = ANSWER_NOT;
    t.credit = 0;
    t.credit_in_room = 3;
    h1_feed(&t, POST_A "Content-Length: 3\r\n\r\nabc"); /* no edge will tell of it again */
    test_stream_room(t.ts, 10);
    h1_respond(&t, 200, WEIR_STREAM_BACKLOG_MAX, false);
    h1_send(&t, h1_padded("", WEIR_STREAM_BACKLOG_MAX, 'x', ""));
    run_idle(&t.r);
    h1_forget(&t);
    test_stream_room(t.ts, SIZE_MAX);
    run_idle(&t.r);
    h1_expect(&t, "room\nbody [abc]\nend\n");
}
END_TEST

START_TEST(test_drain_serves_a_request_that_is_there)
{
    test_stream_feed_text(t.ts, GET_A "\r\n");
    t.codec->ops->drain(t.codec);
    run_idle(&t.r);
    h1_expect(&t, "busy\nhead GET / @a v11\nend\nidle closing\nclosed CANCEL\n");
    h1_expect_wrote(&t, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok");
}
END_TEST

START_TEST(test_reset_and_close_inside_callbacks)
{
    static const char request[] = POST_A "Content-Length: 4\r\n\r\nab";
    for (int at = 0; at < 6; at++) {
        h1_reopen(&t, true, WHOLE);
        t.reset_in_head = at == 0;
        t.reset_in_body = at == 1;
        t.close_in_head = at == 2;
        t.close_in_body = at == 3;
        t.close_in_end = at == 4;
        t.close_in_idle = at == 5;
        h1_feed(&t, request);
        h1_feed(&t, "cd" GET_A "\r\n");
        ck_assert(t.ts->closed);
        ck_assert_uint_eq(t.closes, at < 2 ? 1 : 0);
        ck_assert_uint_eq(t.ends, at >= 4 ? 1 : 0);
    }
}
END_TEST

START_TEST(test_reset_from_outside_closes_later)
{
    ask(GET_A "\r\n");
    h1_forget(&t);
    t.x->ops->reset(t.x, WEIR_RESET_INTERNAL);
    h1_expect(&t, "");
    run_idle(&t.r);
    h1_expect(&t, "closed INTERNAL\n");
}
END_TEST

START_TEST(test_no_resources)
{
    t.refuse_accept = true;
    h1_feed(&t, GET_A "\r\n");
    h1_expect(&t, "busy\nclosed INTERNAL\n");
}
END_TEST

CHECK_MAIN("h1_server_conn", setup, teardown, test_pipelined_requests_are_answered_in_order,
           test_the_next_request_waits_for_the_response, test_a_body_comes_only_as_far_as_granted,
           test_without_credit_nothing_is_read, test_expect_continue, test_expect_continue_answered_finally,
           test_the_rest_of_a_body_is_dropped_when_small, test_the_rest_of_a_body_ends_the_connection_when_large,
           test_a_fin_before_the_response_is_an_abort, test_a_fin_is_seen_while_reading_is_paused,
           test_a_fin_behind_an_answered_request_lets_the_answer_out, test_a_fin_or_error_on_an_idle_connection,
           test_a_write_error_resets, test_drain, test_drain_lets_the_end_of_an_answer_out,
           test_credit_granted_when_there_is_room_is_read_on, test_drain_serves_a_request_that_is_there,
           test_reset_and_close_inside_callbacks, test_reset_from_outside_closes_later, test_no_resources)
