/* What an HTTP/1.1 server refuses, with which status and code, in each way of delivery. */
#include "check_main.h"
#include "helper_h1.h"

#include <stdio.h>

static struct h1 t;

static void setup(void)
{
    h1_open(&t, true);
}

static void teardown(void)
{
    h1_shut(&t);
}

#define ANSWER(line) "HTTP/1.1 " line "\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"

struct refusal {
    const char *input;
    const char *status_and_code;
};

static const char *line_of(const char *status)
{
    static const struct {
        const char *status, *sent;
    } lines[] = {
        {"400", SENT_400},
        {"413", ANSWER("413 Content Too Large")},
        {"431", ANSWER("431 Request Header Fields Too Large")},
        {"501", ANSWER("501 Not Implemented")},
        {"505", ANSWER("505 HTTP Version Not Supported")},
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        if (strncmp(lines[i].status, status, 3) == 0)
            return lines[i].sent;
    ck_abort_msg("no such status: %s", status);
    return NULL;
}

/* Each ends with the answer and the connection, whatever stands behind it: a second request is not even looked at. */
static void run_refusals(const char *before, const struct refusal *refusals, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        for (int delivery = WHOLE; delivery < DELIVERIES; delivery++) {
            char expected[2048];
            h1_reopen(&t, true, (enum delivery)delivery);
            h1_feed(&t, refusals[i].input);
            h1_feed(&t, GET_A "\r\n");
            h1_fin(&t);
            snprintf(expected, sizeof expected, "%smalformed %s%s\nidle closing\nclosed CANCEL\n", before,
                     refusals[i].status_and_code, strstr(before, "head") != NULL ? " after head" : "");
            h1_expect(&t, expected);
            h1_expect_wrote(&t, line_of(refusals[i].status_and_code));
            ck_assert(t.ts->closed);
        }
    }
}

#define REFUSE(before, table) run_refusals(before, table, sizeof table / sizeof table[0])

static void refuse_one(const char *before, const char *input, const char *status_and_code)
{
    run_refusals(before, &(struct refusal){input, status_and_code}, 1);
}

START_TEST(test_refused_start_lines)
{
    static const struct refusal refusals[] = {
        {"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", "400 malformed_start_line"},
        {"GET /  HTTP/1.1\r\nHost: a\r\n\r\n", "400 malformed_start_line"},
        {"GET / HTTP/1.1 \r\nHost: a\r\n\r\n", "400 malformed_start_line"},
        {" GET / HTTP/1.1\r\nHost: a\r\n\r\n", "400 malformed_start_line"},
        {"GET / HTTP/1.1\nHost: a\n\n", "400 malformed_start_line"},
        {"GET / HTTP/1.1\rHost: a\r\n\r\n", "400 malformed_field"},
        {"\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "400 malformed_start_line"},
        {"\rGET / HTTP/1.1\r\nHost: a\r\n\r\n", "400 malformed_start_line"},
        {"\r\n\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "400 malformed_start_line"},
        {"GET /\r\nHost: a\r\n\r\n", "400 malformed_start_line"}, /* HTTP/0.9 */
        {"GET /\r\n\r\n", "400 malformed_start_line"},
        {"get / HTTP/1.1\r\nHost: a\r\n\r\n", "400 malformed_start_line"},
        {"G@T / HTTP/1.1\r\nHost: a\r\n\r\n", "400 malformed_start_line"},
        {"\x16\x03\x01\x02", "400 malformed_start_line"}, /* TLS on a plain port */
        {"OPTIONS * RTSP/1.0\r\nHost: a\r\n\r\n", "400 malformed_start_line"},
        {"GET / RTSP/1.0\r\nHost: a\r\n\r\n", "400 malformed_start_line"},
        {"SOURCE / ICE/1.0\r\nHost: a\r\n\r\n", "400 malformed_start_line"},
        {"DESCRIBE / HTTP/1.1\r\nHost: a\r\n\r\n", "400 malformed_start_line"},
        {"GET / http/1.1\r\nHost: a\r\n\r\n", "400 malformed_start_line"},
        {"GET / HTTP/x.1\r\nHost: a\r\n\r\n", "400 malformed_start_line"},
        {"GET / HTTP/1.10\r\nHost: a\r\n\r\n", "400 malformed_start_line"},
        {"GET / HTTP/01.1\r\nHost: a\r\n\r\n", "505 unsupported_version"},
        {"GET / HTTP/1.2\r\nHost: a\r\n\r\n", "505 unsupported_version"},
        {"GET / HTTP/0.9\r\nHost: a\r\n\r\n", "505 unsupported_version"},
        {"GET / HTTP/2.0\r\nHost: a\r\n\r\n", "505 unsupported_version"},
        {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "400 http2_preface"},
        {"CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n", "501 connect_not_implemented"},
    };
    REFUSE("busy\n", refusals);
}
END_TEST

START_TEST(test_refused_targets)
{
    static const struct refusal refusals[] = {
        {"GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", "400 malformed_target"},
        {"GET /a\x01"
         "b HTTP/1.1\r\nHost: a\r\n\r\n",
         "400 malformed_target"},
        {"GET /a\x7f HTTP/1.1\r\nHost: a\r\n\r\n", "400 malformed_target"},
        {"GET /\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n", "400 malformed_target"},
        {"GET a HTTP/1.1\r\nHost: a\r\n\r\n", "400 malformed_target"},
        {"GET * HTTP/1.1\r\nHost: a\r\n\r\n", "400 malformed_target"},
        {"OPTIONS *x HTTP/1.1\r\nHost: a\r\n\r\n", "400 malformed_target"},
        {"GET ftp://b/ HTTP/1.1\r\nHost: a\r\n\r\n", "400 malformed_target"},
        {"GET http:///x HTTP/1.1\r\nHost: a\r\n\r\n", "400 malformed_target"},
        {"GET http:/x HTTP/1.1\r\nHost: a\r\n\r\n", "400 malformed_target"},
        {"GET http://u:p@b/ HTTP/1.1\r\nHost: a\r\n\r\n", "400 malformed_target"},
        {"GET http://b:99999/ HTTP/1.1\r\nHost: a\r\n\r\n", "400 malformed_target"},
        /* a space in the target puts the version where it is not expected */
        {"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", "400 malformed_start_line"},
    };
    REFUSE("busy\n", refusals);
}
END_TEST

START_TEST(test_refused_hosts)
{
    static const struct refusal refusals[] = {
        {"GET / HTTP/1.1\r\n\r\n", "400 malformed_host"},
        {"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", "400 malformed_host"},
        {"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "400 malformed_host"},
        {"GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n", "400 malformed_host"},
        {"GET http://b/ HTTP/1.1\r\n\r\n", "400 malformed_host"},
        {"GET / HTTP/1.1\r\nHost:\r\n\r\n", "400 malformed_host"},
        {"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", "400 malformed_host"},
        {"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", "400 malformed_host"},
        {"GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", "400 malformed_host"},
        {"GET / HTTP/1.1\r\nHost: a:b\r\n\r\n", "400 malformed_host"},
        {"GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n", "400 malformed_host"},
        {"GET / HTTP/1.1\r\nHost: :80\r\n\r\n", "400 malformed_host"},
        {"GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", "400 malformed_host"},
        {"GET / HTTP/1.1\r\nHost: [::1]x\r\n\r\n", "400 malformed_host"},
        {"GET / HTTP/1.1\r\nHost: []\r\n\r\n", "400 malformed_host"},
        {"GET / HTTP/1.1\r\nHost: \xc3\xa9\r\n\r\n", "400 malformed_host"},
    };
    REFUSE("busy\n", refusals);
}
END_TEST

START_TEST(test_refused_fields)
{
    static const struct refusal refusals[] = {
        {GET_A "X: a\n\r\n", "400 malformed_field"}, /* bare LF */
        {GET_A "X: a\r\n\n", "400 malformed_field"},
        {GET_A "X: a\rb\r\n\r\n", "400 malformed_field"},    /* bare CR */
        {GET_A "X: a\r\n b\r\n\r\n", "400 malformed_field"}, /* obs-fold */
        {GET_A "X: a\r\n\tb\r\n\r\n", "400 malformed_field"},
        {"GET / HTTP/1.1\r\n Host: a\r\n\r\n", "400 malformed_field"},
        {GET_A "X : a\r\n\r\n", "400 malformed_field"}, /* space before the colon */
        {GET_A "X\t: a\r\n\r\n", "400 malformed_field"},
        {GET_A "X\r\n\r\n", "400 malformed_field"},
        {GET_A ": a\r\n\r\n", "400 malformed_field"},
        {GET_A "X\x80: a\r\n\r\n", "400 malformed_field"},
        {GET_A "X(y): a\r\n\r\n", "400 malformed_field"},
        {GET_A "X: a\x01\r\n\r\n", "400 malformed_field"},
        {GET_A "X: a\x7f\r\n\r\n", "400 malformed_field"},
        {GET_A "Connection: content-length\r\n\r\n", "400 malformed_connection"},
        {GET_A "Connection: close, Transfer-Encoding\r\n\r\n", "400 malformed_connection"},
        {GET_A "Connection: Host\r\n\r\n", "400 malformed_connection"},
        {GET_A "Connection: a b\r\n\r\n", "400 malformed_connection"},
        {GET_A "Connection: a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q,r,s,t,u,v,w,x,y,z,1,2,3,4,5,6,7\r\n\r\n",
         "400 malformed_connection"},
    };
    REFUSE("busy\n", refusals);
}
END_TEST

START_TEST(test_refused_nul_in_a_value)
{
    static const char request[] = GET_A "X: a\0b\r\n\r\n";
    h1_feed_bytes(&t, request, sizeof request - 1);
    h1_expect(&t, "busy\nmalformed 400 malformed_field\nidle closing\n");
    h1_expect_wrote(&t, SENT_400);
}
END_TEST

START_TEST(test_refused_framing)
{
    static const struct refusal refusals[] = {
        {POST_A "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400 malformed_framing"},
        {POST_A "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", "400 malformed_framing"},
        {POST_A "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello", "400 malformed_framing"},
        {POST_A "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", "400 malformed_framing"},
        {POST_A "Content-Length: 5, 5\r\n\r\nhello", "400 malformed_framing"},
        {POST_A "Content-Length: 5, 6\r\n\r\nhello", "400 malformed_framing"},
        {POST_A "Content-Length: +5\r\n\r\nhello", "400 malformed_framing"},
        {POST_A "Content-Length: -5\r\n\r\nhello", "400 malformed_framing"},
        {POST_A "Content-Length: 0x5\r\n\r\nhello", "400 malformed_framing"},
        {POST_A "Content-Length: 5 5\r\n\r\nhello", "400 malformed_framing"},
        {POST_A "Content-Length: five\r\n\r\nhello", "400 malformed_framing"},
        {POST_A "Content-Length:\r\n\r\nhello", "400 malformed_framing"},
        {POST_A "Content-Length: 18446744073709551616\r\n\r\nhello", "400 malformed_framing"},
        {POST_A "Content-Length: 18446744073709551615\r\n\r\nhello", "400 malformed_framing"},
        {POST_A "Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n", "400 malformed_framing"},
        {POST_A "Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n\r\n0\r\n\r\n", "400 malformed_framing"},
        {POST_A "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", "400 malformed_framing"},
        {POST_A "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400 malformed_framing"},
        {POST_A "Transfer-Encoding:\r\n\r\n0\r\n\r\n", "400 malformed_framing"},
        {POST_A "Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n", "400 malformed_framing"},
        {POST_A "Transfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n", "400 malformed_framing"},
        {"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400 malformed_framing"},
        {POST_A "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "501 transfer_coding_not_implemented"},
        {POST_A "Transfer-Encoding: gzip\r\n\r\n0\r\n\r\n", "501 transfer_coding_not_implemented"},
        {POST_A "Transfer-Encoding: identity\r\n\r\n", "501 transfer_coding_not_implemented"},
        {POST_A "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", "501 transfer_coding_not_implemented"},
        {POST_A "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", "400 malformed_field"},
    };
    REFUSE("busy\n", refusals);
}
END_TEST

START_TEST(test_refused_chunks)
{
    static const struct refusal refusals[] = {
        {POST_CHUNKED "g\r\nhello\r\n0\r\n\r\n", "400 malformed_chunk"},
        {POST_CHUNKED "-5\r\nhello\r\n0\r\n\r\n", "400 malformed_chunk"},
        {POST_CHUNKED "0x5\r\nhello\r\n0\r\n\r\n", "400 malformed_chunk"},
        {POST_CHUNKED "5 \r\nhello\r\n0\r\n\r\n", "400 malformed_chunk"},
        {POST_CHUNKED "\r\nhello\r\n0\r\n\r\n", "400 malformed_chunk"},
        {POST_CHUNKED "fffffffffffffffff\r\nhello\r\n0\r\n\r\n", "400 malformed_chunk"},
        {POST_CHUNKED "5\nhello\r\n0\r\n\r\n", "400 malformed_chunk"},
        {POST_CHUNKED "5\rhello\r\n0\r\n\r\n", "400 malformed_chunk"},
        {POST_CHUNKED "5;a\nhello\r\n0\r\n\r\n", "400 malformed_chunk"},
        {POST_CHUNKED "5;a=\"b\nc\"\r\nhello\r\n0\r\n\r\n", "400 malformed_chunk"},
        {POST_CHUNKED "0\n\r\n", "400 malformed_chunk"},
    };
    static const struct refusal after_data[] = {
        {POST_CHUNKED "5\r\nhelloXX0\r\n\r\n", "400 malformed_chunk"},
        {POST_CHUNKED "5\r\nhello\n0\r\n\r\n", "400 malformed_chunk"},
        {POST_CHUNKED "5\r\nhello0\r\n\r\n", "400 malformed_chunk"},
        {POST_CHUNKED "5\r\nhello\r\n0\r\n\n", "400 malformed_field"},
        {POST_CHUNKED "5\r\nhello\r\n0\r\nX : y\r\n\r\n", "400 malformed_field"},
        {POST_CHUNKED "5\r\nhello\r\n0\r\nX: y\r\n z\r\n\r\n", "400 malformed_field"},
        {POST_CHUNKED "5\r\nhello\r\n0\r\nContent-Length: 5\r\n\r\n", "400 malformed_framing"},
        {POST_CHUNKED "5\r\nhello\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n", "400 malformed_framing"},
    };
    REFUSE(HEAD_CHUNKED, refusals);
    REFUSE(HEAD_CHUNKED "body [hello]\n", after_data);
}
END_TEST

START_TEST(test_limits_of_a_head)
{
    const size_t fixed = strlen(GET_A "X: \r\n\r\n");
    h1_feed(&t, h1_padded(GET_A "X: ", 4096 - fixed, 'v', "\r\n\r\n"));
    h1_expect_wrote(&t, OK_2);
    refuse_one("busy\n", h1_padded(GET_A "X: ", 4096 - fixed + 1, 'v', "\r\n\r\n"), "431 head_too_large");
    refuse_one("busy\n", h1_padded(GET_A, 9000, 'n', ": x\r\n\r\n"), "431 head_too_large");
    refuse_one("busy\n", h1_padded("GET /", 9000, 'p', " HTTP/1.1\r\nHost: a\r\n\r\n"), "431 head_too_large");

    char fields[400] = GET_A;
    for (int i = 0; i < 19; i++)
        strcat(fields, "A: b\r\n");
    h1_reopen(&t, true, WHOLE);
    strcat(fields, "\r\n");
    h1_feed(&t, fields);
    h1_expect_wrote(&t, OK_2);
    strcpy(fields + strlen(fields) - 2, "A: b\r\n\r\n");
    refuse_one("busy\n", fields, "431 head_too_large");
}
END_TEST

START_TEST(test_limits_of_trailers)
{
    refuse_one(HEAD_CHUNKED, h1_padded(POST_CHUNKED "0\r\nX: ", 5000, 'v', "\r\n\r\n"), "431 head_too_large");
    char fields[400] = POST_CHUNKED "0\r\n";
    for (int i = 0; i < 21; i++)
        strcat(fields, "A: b\r\n");
    strcat(fields, "\r\n");
    refuse_one(HEAD_CHUNKED, fields, "431 head_too_large");
}
END_TEST

START_TEST(test_limits_of_a_body)
{
    h1_feed(&t, h1_padded(POST_A "Content-Length: 1000\r\n\r\n", 1000, 'x', ""));
    h1_expect_wrote(&t, OK_2);
    refuse_one("busy\n", POST_A "Content-Length: 1001\r\n\r\n", "413 body_too_large");
    refuse_one("busy\n", POST_A "Expect: 100-continue\r\nContent-Length: 9999999999\r\n\r\n", "413 body_too_large");
    h1_reopen(&t, true, WHOLE);
    h1_feed(&t, h1_padded(POST_CHUNKED "3E8\r\n", 1000, 'x', "\r\n0\r\n\r\n"));
    h1_expect_wrote(&t, OK_2);
    char before[1200];
    snprintf(before, sizeof before, HEAD_CHUNKED "body [%s]\n", h1_padded("", 1000, 'x', ""));
    refuse_one(before, h1_padded(POST_CHUNKED "3E8\r\n", 1000, 'x', "\r\n1\r\nx\r\n0\r\n\r\n"), "413 body_too_large");
}
END_TEST

START_TEST(test_limits_of_chunk_framing)
{
    h1_feed(&t, h1_padded(POST_CHUNKED "1;", 200, 'e', "\r\nx\r\n0\r\n\r\n"));
    h1_expect_wrote(&t, OK_2);
    refuse_one(HEAD_CHUNKED, h1_padded(POST_CHUNKED "1;", 300, 'e', "\r\nx\r\n0\r\n\r\n"), "400 malformed_chunk");
    refuse_one(HEAD_CHUNKED, h1_padded(POST_CHUNKED "0;", 300, 'e', "\r\n\r\n"), "400 malformed_chunk");
    refuse_one(HEAD_CHUNKED, h1_padded(POST_CHUNKED, 300, '0', "1\r\nx\r\n0\r\n\r\n"), "400 malformed_chunk");
}
END_TEST

START_TEST(test_malformed_can_be_answered_later_or_reset)
{
    t.answer = ANSWER_NOT;
    h1_feed(&t, "BAD\r\n\r\n" GET_A "\r\n");
    h1_expect(&t, "busy\nmalformed 400 malformed_start_line\n");
    h1_respond(&t, 400, 3, false);
    h1_send(&t, "no!");
    h1_send_end(&t, NULL);
    run_idle(&t.r);
    h1_expect(&t, "idle closing\n");
    h1_expect_wrote(&t, "HTTP/1.1 400 Bad Request\r\ncontent-length: 3\r\nconnection: close\r\n\r\nno!");
    h1_reopen(&t, true, WHOLE);
    t.answer = ANSWER_NOT;
    h1_feed(&t, "BAD\r\n\r\n");
    h1_forget(&t);
    t.x->ops->reset(t.x, WEIR_RESET_CANCEL);
    run_idle(&t.r);
    h1_expect(&t, "closed CANCEL\n");
}
END_TEST

START_TEST(test_malformed_behind_the_response)
{
    t.answer = ANSWER_AT_HEAD;
    t.credit = 0;
    h1_feed(&t, POST_CHUNKED);
    h1_feed(&t, "x");
    h1_expect(&t, HEAD_CHUNKED "reset PROTOCOL\n");
    h1_fin(&t);
    h1_expect(&t, "closed CANCEL\n");
}
END_TEST

START_TEST(test_lingers_so_that_the_answer_arrives)
{
    h1_feed(&t, "GET /\r\n\r\n");
    h1_expect(&t, "busy\nmalformed 400 malformed_start_line\nidle closing\n");
    h1_expect_wrote(&t, SENT_400);
    ck_assert(t.codec->lingering && !t.ts->closed);
    h1_feed(&t, h1_padded("", 50000, 'x', "")); /* read, and of no use to anybody */
    ck_assert_uint_eq(t.ts->input_at, t.ts->input_len);
    h1_expect(&t, "");
    RUN_UNTIL(&t.r, !t.conn_open);
    h1_expect(&t, "closed CANCEL\n");
}
END_TEST

CHECK_MAIN("h1_refusals", setup, teardown, test_refused_start_lines, test_refused_targets, test_refused_hosts,
           test_refused_fields, test_refused_nul_in_a_value, test_refused_framing, test_refused_chunks,
           test_limits_of_a_head, test_limits_of_trailers, test_limits_of_a_body, test_limits_of_chunk_framing,
           test_malformed_can_be_answered_later_or_reset, test_malformed_behind_the_response,
           test_lingers_so_that_the_answer_arrives)
