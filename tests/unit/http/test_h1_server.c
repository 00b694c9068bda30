/* HTTP/1.1 as a server hears it: what a request becomes, what is refused with which status and code, and what goes out.
 * Every table is run with the input in one read, with one byte a read, and with no edge but `pending` (as TLS reads).
 */
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

#define OK_2         "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
#define GET_A        "GET / HTTP/1.1\r\nHost: a\r\n"
#define POST_A       "POST / HTTP/1.1\r\nHost: a\r\n"
#define CHUNKED      POST_A "Transfer-Encoding: chunked\r\n\r\n"
#define HEAD_CHUNKED "busy\nhead POST / @a v11 body\n"
#define GET_EVENTS   "busy\nhead GET / @a v11\nend\nidle\n"

struct example {
    const char *input, *events, *sent; /* sent NULL: not compared */
};

enum delivery { WHOLE, BYTES, NO_EDGE, DELIVERIES };

static void deliver_as(struct h1 *h, enum delivery delivery)
{
    h->ts->read_max = delivery == BYTES ? 1 : delivery == NO_EDGE ? 7 : 0;
    h->ts->no_edge = delivery == NO_EDGE;
}

static void run_examples(const struct example *examples, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        for (int delivery = WHOLE; delivery < DELIVERIES; delivery++) {
            h1_shut(&t);
            h1_open(&t, true);
            deliver_as(&t, (enum delivery)delivery);
            h1_feed(&t, examples[i].input);
            h1_expect(&t, examples[i].events);
            if (examples[i].sent != NULL)
                h1_expect_wrote(&t, examples[i].sent);
        }
    }
}

#define RUN(table) run_examples(table, sizeof table / sizeof table[0])

START_TEST(test_requests)
{
    static const struct example examples[] = {
        {"GET /v1/models?x=1 HTTP/1.1\r\nHost: API.example:80\r\nX-Thing:  two words \r\nAccept-Encoding: br\r\n\r\n",
         "busy\nhead GET /v1/models?x=1 @API.example:80 v11 x-thing=two words accept-encoding=br\nend\nidle\n", OK_2},
        {POST_A "Content-Length: 5\r\n\r\nhello", "busy\nhead POST / @a v11 length=5 body\nbody [hello]\nend\nidle\n",
         OK_2},
        {POST_A "Content-Length: 0\r\n\r\n", "busy\nhead POST / @a v11 length=0\nend\nidle\n", OK_2},
        {POST_A "\r\n", "busy\nhead POST / @a v11\nend\nidle\n", OK_2},
        {GET_A "X:\r\nY: \t \r\n\r\n", "busy\nhead GET / @a v11 x= y=\nend\nidle\n", OK_2},
        {GET_A "X: caf\xc3\xa9\t!\r\n\r\n", "busy\nhead GET / @a v11 x=caf\xc3\xa9\t!\nend\nidle\n", OK_2},
        {"\r\n\r\n" GET_A "\r\n", GET_EVENTS, OK_2},
        {GET_A "\r\n\r\n", GET_EVENTS, OK_2}, /* an empty line behind a request */
        {"GET / HTTP/1.1\r\nhost:[::1]:8000\r\n\r\n", "busy\nhead GET / @[::1]:8000 v11\nend\nidle\n", OK_2},
        {"DELETE /a%20b;c=%22d%22 HTTP/1.1\r\nHost: a\r\n\r\n",
         "busy\nhead DELETE /a%20b;c=%22d%22 @a v11\nend\nidle\n", OK_2},
        {"GET //x HTTP/1.1\r\nHost: a\r\n\r\n", "busy\nhead GET //x @a v11\nend\nidle\n", OK_2},
        {"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", "busy\nhead HEAD / @a v11\nend\nidle\n",
         "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n"},
        {"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "busy\nhead OPTIONS * @a v11\nend\nidle\n", OK_2},
    };
    RUN(examples);
}
END_TEST

START_TEST(test_targets_in_absolute_form)
{
    static const struct example examples[] = {
        {"GET http://b:81/p?q HTTP/1.1\r\nHost: a\r\n\r\n", "busy\nhead GET http:/p?q @b:81 v11\nend\nidle\n", OK_2},
        {"GET HTTPS://b HTTP/1.1\r\nHost: a\r\n\r\n", "busy\nhead GET https:/ @b v11\nend\nidle\n", OK_2},
        {"GET http://b?q HTTP/1.1\r\nHost: a\r\n\r\n", "busy\nhead GET http:/?q @b v11\nend\nidle\n", OK_2},
        {"OPTIONS http://b HTTP/1.1\r\nHost: a\r\n\r\n", "busy\nhead OPTIONS http:* @b v11\nend\nidle\n", OK_2},
        {"OPTIONS http://b/ HTTP/1.1\r\nHost: a\r\n\r\n", "busy\nhead OPTIONS http:/ @b v11\nend\nidle\n", OK_2},
    };
    RUN(examples);
}
END_TEST

START_TEST(test_chunked_requests)
{
    static const struct example examples[] = {
        {CHUNKED "5\r\nhello\r\n0\r\n\r\n", HEAD_CHUNKED "body [hello]\nend\nidle\n", OK_2},
        {CHUNKED "5\r\nhello\r\n006\r\n world\r\n0\r\n\r\n", HEAD_CHUNKED "body [hello world]\nend\nidle\n", OK_2},
        {CHUNKED "a\r\n0123456789\r\nB;x=\"y z\";w\r\n0123456789a\r\n0\r\n\r\n",
         HEAD_CHUNKED "body [01234567890123456789a]\nend\nidle\n", OK_2},
        {CHUNKED "0\r\n\r\n", HEAD_CHUNKED "end\nidle\n", OK_2},
        {POST_A "Transfer-Encoding: CHUNKED\r\n\r\n1\r\nx\r\n0\r\n\r\n", HEAD_CHUNKED "body [x]\nend\nidle\n", OK_2},
        {CHUNKED "1\r\nx\r\n0\r\nX-Sum: 12\r\nOther:\r\n\r\n", HEAD_CHUNKED "body [x]\nend x-sum=12 other=\nidle\n",
         OK_2},
        /* what means nothing behind a body is left out (RFC 9110 6.5.1) */
        {CHUNKED "0\r\nHost: b\r\nAuthorization: x\r\nConnection: close\r\nX: y\r\n\r\n",
         HEAD_CHUNKED "end x=y\nidle\n", OK_2},
        {CHUNKED "0\r\nTrailer: x\r\n\r\n", HEAD_CHUNKED "end\nidle\n", OK_2},
        {POST_A "Trailer: x-sum\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
         "busy\nhead POST / @a v11 body trailer=x-sum\nend\nidle\n", OK_2},
    };
    RUN(examples);
}
END_TEST

START_TEST(test_hop_by_hop_fields_are_taken_out)
{
    static const struct example examples[] = {
        {GET_A
         "Connection: keep-alive, X-Secret\r\nX-Secret: 1\r\nX-Other: 2\r\nconnection: x-third\r\nX-Third: 3\r\n\r\n",
         "busy\nhead GET / @a v11 x-other=2\nend\nidle\n", OK_2},
        {GET_A "Keep-Alive: timeout=5\r\nTE: trailers\r\nProxy-Connection: x\r\nProxy-Authorization: y\r\nX: z\r\n\r\n",
         "busy\nhead GET / @a v11 x=z\nend\nidle\n", OK_2},
        {GET_A "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n",
         "busy\nhead GET / @a v11\nend\nidle\n", OK_2},
        {GET_A "Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 2\r\n\r\nab",
         "busy\nhead GET / @a v11 length=2 body\nbody [ab]\nend\nidle\n", OK_2},
        {GET_A "Connection: ,, close ,\r\n\r\n", "busy\nhead GET / @a v11 last\nend\nidle closing\nclosed CANCEL\n",
         "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok"},
        {GET_A "Connection: x-forwarded-for\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n", GET_EVENTS, OK_2},
    };
    RUN(examples);
}
END_TEST

START_TEST(test_http_10)
{
    static const struct example examples[] = {
        {"GET / HTTP/1.0\r\n\r\n", "busy\nhead GET / @ v10 last\nend\nidle closing\nclosed CANCEL\n",
         "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok"},
        {"GET / HTTP/1.0\r\nHost: a\r\nConnection: Keep-Alive\r\n\r\n", "busy\nhead GET / @a v10\nend\nidle\n",
         "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: keep-alive\r\n\r\nok"},
        {"GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n",
         "busy\nhead GET / @ v10 last\nend\nidle closing\nclosed CANCEL\n", NULL},
        {"POST / HTTP/1.0\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\nab",
         "busy\nhead POST / @ v10 length=2 body last expect=100-continue\nbody [ab]\nend\nidle closing\nclosed "
         "CANCEL\n",
         NULL},
    };
    RUN(examples);
}
END_TEST

/* -- refusals -- */

#define ANSWER(line) "HTTP/1.1 " line "\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
#define SENT_400     ANSWER("400 Bad Request")

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
            h1_shut(&t);
            h1_open(&t, true);
            deliver_as(&t, (enum delivery)delivery);
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
        {CHUNKED "g\r\nhello\r\n0\r\n\r\n", "400 malformed_chunk"},
        {CHUNKED "-5\r\nhello\r\n0\r\n\r\n", "400 malformed_chunk"},
        {CHUNKED "0x5\r\nhello\r\n0\r\n\r\n", "400 malformed_chunk"},
        {CHUNKED "5 \r\nhello\r\n0\r\n\r\n", "400 malformed_chunk"},
        {CHUNKED "\r\nhello\r\n0\r\n\r\n", "400 malformed_chunk"},
        {CHUNKED "fffffffffffffffff\r\nhello\r\n0\r\n\r\n", "400 malformed_chunk"},
        {CHUNKED "5\nhello\r\n0\r\n\r\n", "400 malformed_chunk"},
        {CHUNKED "5\rhello\r\n0\r\n\r\n", "400 malformed_chunk"},
        {CHUNKED "5;a\nhello\r\n0\r\n\r\n", "400 malformed_chunk"},
        {CHUNKED "5;a=\"b\nc\"\r\nhello\r\n0\r\n\r\n", "400 malformed_chunk"},
        {CHUNKED "0\n\r\n", "400 malformed_chunk"},
    };
    static const struct refusal after_data[] = {
        {CHUNKED "5\r\nhelloXX0\r\n\r\n", "400 malformed_chunk"},
        {CHUNKED "5\r\nhello\n0\r\n\r\n", "400 malformed_chunk"},
        {CHUNKED "5\r\nhello0\r\n\r\n", "400 malformed_chunk"},
        {CHUNKED "5\r\nhello\r\n0\r\n\n", "400 malformed_field"},
        {CHUNKED "5\r\nhello\r\n0\r\nX : y\r\n\r\n", "400 malformed_field"},
        {CHUNKED "5\r\nhello\r\n0\r\nX: y\r\n z\r\n\r\n", "400 malformed_field"},
        {CHUNKED "5\r\nhello\r\n0\r\nContent-Length: 5\r\n\r\n", "400 malformed_framing"},
        {CHUNKED "5\r\nhello\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n", "400 malformed_framing"},
    };
    REFUSE(HEAD_CHUNKED, refusals);
    REFUSE(HEAD_CHUNKED "body [hello]\n", after_data);
}
END_TEST

/* A text of n times the character c, between two others. */
static const char *padded(const char *before, size_t n, char c, const char *after)
{
    static char text[65536];
    size_t from = strlen(before);
    ck_assert_uint_lt(from + n + strlen(after), sizeof text);
    memcpy(text, before, from);
    memset(text + from, c, n);
    strcpy(text + from + n, after);
    return text;
}

static void refuse_one(const char *before, const char *input, const char *status_and_code)
{
    run_refusals(before, &(struct refusal){input, status_and_code}, 1);
}

START_TEST(test_limits_of_a_head)
{
    const size_t fixed = strlen(GET_A "X: \r\n\r\n");
    h1_feed(&t, padded(GET_A "X: ", 4096 - fixed, 'v', "\r\n\r\n"));
    h1_expect_wrote(&t, OK_2);
    refuse_one("busy\n", padded(GET_A "X: ", 4096 - fixed + 1, 'v', "\r\n\r\n"), "431 head_too_large");
    refuse_one("busy\n", padded(GET_A, 9000, 'n', ": x\r\n\r\n"), "431 head_too_large");
    refuse_one("busy\n", padded("GET /", 9000, 'p', " HTTP/1.1\r\nHost: a\r\n\r\n"), "431 head_too_large");

    char fields[400] = GET_A;
    for (int i = 0; i < 19; i++)
        strcat(fields, "A: b\r\n");
    h1_shut(&t);
    h1_open(&t, true);
    strcat(fields, "\r\n");
    h1_feed(&t, fields);
    h1_expect_wrote(&t, OK_2);
    strcpy(fields + strlen(fields) - 2, "A: b\r\n\r\n");
    refuse_one("busy\n", fields, "431 head_too_large");
}
END_TEST

START_TEST(test_limits_of_trailers)
{
    refuse_one(HEAD_CHUNKED, padded(CHUNKED "0\r\nX: ", 5000, 'v', "\r\n\r\n"), "431 head_too_large");
    char fields[400] = CHUNKED "0\r\n";
    for (int i = 0; i < 21; i++)
        strcat(fields, "A: b\r\n");
    strcat(fields, "\r\n");
    refuse_one(HEAD_CHUNKED, fields, "431 head_too_large");
}
END_TEST

START_TEST(test_limits_of_a_body)
{
    h1_feed(&t, padded(POST_A "Content-Length: 1000\r\n\r\n", 1000, 'x', ""));
    h1_expect_wrote(&t, OK_2);
    refuse_one("busy\n", POST_A "Content-Length: 1001\r\n\r\n", "413 body_too_large");
    refuse_one("busy\n", POST_A "Expect: 100-continue\r\nContent-Length: 9999999999\r\n\r\n", "413 body_too_large");
    h1_shut(&t);
    h1_open(&t, true);
    h1_feed(&t, padded(CHUNKED "3E8\r\n", 1000, 'x', "\r\n0\r\n\r\n"));
    h1_expect_wrote(&t, OK_2);
    char before[1200];
    snprintf(before, sizeof before, HEAD_CHUNKED "body [%s]\n", padded("", 1000, 'x', ""));
    refuse_one(before, padded(CHUNKED "3E8\r\n", 1000, 'x', "\r\n1\r\nx\r\n0\r\n\r\n"), "413 body_too_large");
}
END_TEST

START_TEST(test_limits_of_chunk_framing)
{
    h1_feed(&t, padded(CHUNKED "1;", 200, 'e', "\r\nx\r\n0\r\n\r\n"));
    h1_expect_wrote(&t, OK_2);
    refuse_one(HEAD_CHUNKED, padded(CHUNKED "1;", 300, 'e', "\r\nx\r\n0\r\n\r\n"), "400 malformed_chunk");
    refuse_one(HEAD_CHUNKED, padded(CHUNKED "0;", 300, 'e', "\r\n\r\n"), "400 malformed_chunk");
    refuse_one(HEAD_CHUNKED, padded(CHUNKED, 300, '0', "1\r\nx\r\n0\r\n\r\n"), "400 malformed_chunk");
}
END_TEST

/* -- the connection -- */

START_TEST(test_pipelined_requests_are_answered_in_order)
{
    for (int delivery = WHOLE; delivery < DELIVERIES; delivery++) {
        h1_shut(&t);
        h1_open(&t, true);
        deliver_as(&t, (enum delivery)delivery);
        h1_feed(&t, GET_A "\r\n" POST_A "Content-Length: 2\r\n\r\nab" CHUNKED "1\r\nc\r\n0\r\n\r\n" GET_A "\r\n");
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
        h1_shut(&t);
        h1_open(&t, true);
        t.credit = 1; /* and 1 for each byte that came */
        h1_feed(&t, chunked ? CHUNKED "5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n" : POST_A "Content-Length: 6\r\n\r\nhello!");
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
    h1_feed(&t, padded("", 895, 'x', ""));
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
    h1_feed(&t, "defghi" CHUNKED "5\r\nhello");
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
    h1_shut(&t);
    h1_open(&t, true);
    t.limits.body_bytes_max = 0;
    t.answer = ANSWER_AT_HEAD;
    h1_feed(&t, CHUNKED "ffffff\r\n");
    h1_expect(&t, HEAD_CHUNKED);
    h1_feed(&t, padded("", 60000, 'x', ""));
    h1_expect(&t, "");
    h1_feed(&t, padded("", 6000, 'x', ""));
    h1_expect(&t, "reset CANCEL\nidle closing\n");
}
END_TEST

START_TEST(test_lingers_so_that_the_answer_arrives)
{
    h1_feed(&t, "GET /\r\n\r\n");
    h1_expect(&t, "busy\nmalformed 400 malformed_start_line\nidle closing\n");
    h1_expect_wrote(&t, SENT_400);
    ck_assert(t.codec->lingering && !t.ts->closed);
    h1_feed(&t, padded("", 50000, 'x', "")); /* read, and of no use to anybody */
    ck_assert_uint_eq(t.ts->input_at, t.ts->input_len);
    h1_expect(&t, "");
    RUN_UNTIL(&t.r, !t.conn_open);
    h1_expect(&t, "closed CANCEL\n");
}
END_TEST

START_TEST(test_a_fin_before_the_response_is_an_abort)
{
    static const char *const inputs[] = {GET_A "\r\n", POST_A "Content-Length: 9\r\n\r\nab", "GET / HT"};
    for (size_t i = 0; i < sizeof inputs / sizeof inputs[0]; i++) {
        h1_shut(&t);
        h1_open(&t, true);
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
    h1_shut(&t);
    h1_open(&t, true);
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
    h1_shut(&t);
    h1_open(&t, true);
    t.answer = ANSWER_NOT;
    h1_feed(&t, GET_A "\r\n");
    t.codec->ops->drain(t.codec);
    h1_respond(&t, 204, WEIR_LENGTH_UNKNOWN, true);
    run_idle(&t.r);
    h1_expect(&t, "busy\nhead GET / @a v11\nend\nidle closing\nclosed CANCEL\n");
    h1_expect_wrote(&t, "HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n");
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

/* -- sending -- */

static void ask(const char *request)
{
    h1_shut(&t);
    h1_open(&t, true);
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
    const char *text = padded("", 5000, 'x', "");
    h1_send(&t, text);
    padded("", 5000, 'y', ""); /* the same memory again */
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
    ck_assert(weir_fields_add(&head.fields, &t.arena, WEIR_STR("x"), weir_str_of(padded("", 40000, 'v', ""))));
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
    ck_assert_uint_eq(t.x->ops->send_body(t.x, padded("", 20000, 'x', ""), 20000), 0);
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

/* -- re-entrancy and lives -- */

START_TEST(test_reset_and_close_inside_callbacks)
{
    static const char request[] = POST_A "Content-Length: 4\r\n\r\nab";
    for (int at = 0; at < 6; at++) {
        h1_shut(&t);
        h1_open(&t, true);
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
    ask("BAD\r\n\r\n");
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
    h1_feed(&t, CHUNKED);
    h1_feed(&t, "x");
    h1_expect(&t, HEAD_CHUNKED "reset PROTOCOL\n");
    h1_fin(&t);
    h1_expect(&t, "closed CANCEL\n");
}
END_TEST

START_TEST(test_the_arena_may_go_once_the_head_has_come)
{
    t.forget_arena = true;
    h1_feed(&t, CHUNKED "5\r\nhello\r\n0\r\nX-Sum: 1\r\n");
    weir_arena_reset(&t.arena);
    h1_feed(&t, "Y: 2\r\n\r\n");
    h1_expect(&t, HEAD_CHUNKED "body [hello]\nend x-sum=1 y=2\nidle\n");
}
END_TEST

/* However the bytes are cut, the same happens. */
START_TEST(test_random_cuts)
{
    static const char *const inputs[] = {
        GET_A "X: y\r\n\r\n" POST_A "Content-Length: 11\r\n\r\nhello world" CHUNKED
              "5;e=f\r\nhello\r\n7\r\n world!\r\n0\r\nX: y\r\n\r\n" GET_A "Connection: close\r\n\r\n",
        CHUNKED "5\r\nhello\r\nxyz",
        GET_A "\r\n" GET_A "Host: b\r\n\r\n",
    };
    unsigned seed = 7;
    for (size_t i = 0; i < sizeof inputs / sizeof inputs[0]; i++) {
        char whole[4096], sent[4096];
        h1_shut(&t);
        h1_open(&t, true);
        h1_feed(&t, inputs[i]);
        h1_fin(&t);
        strcpy(sent, h1_wrote(&t));
        strcpy(whole, t.record);
        for (int round = 0; round < 300; round++) {
            h1_shut(&t);
            h1_open(&t, true);
            seed = seed * 1103515245u + 12345u;
            t.ts->no_edge = (seed >> 20) % 2 == 0;
            t.credit = 1 + (seed >> 8) % 9;
            size_t n = strlen(inputs[i]);
            for (size_t at = 0, part; at < n; at += part) {
                seed = seed * 1103515245u + 12345u;
                part = 1 + (seed >> 16) % 20;
                part = part > n - at ? n - at : part;
                h1_feed_bytes(&t, inputs[i] + at, part);
            }
            h1_fin(&t);
            h1_expect_wrote(&t, sent);
            h1_expect(&t, whole);
        }
    }
}
END_TEST

CHECK_MAIN("h1_server", setup, teardown, test_requests, test_targets_in_absolute_form, test_chunked_requests,
           test_hop_by_hop_fields_are_taken_out, test_http_10, test_refused_start_lines, test_refused_targets,
           test_refused_hosts, test_refused_fields, test_refused_nul_in_a_value, test_refused_framing,
           test_refused_chunks, test_limits_of_a_head, test_limits_of_trailers, test_limits_of_a_body,
           test_limits_of_chunk_framing, test_pipelined_requests_are_answered_in_order,
           test_the_next_request_waits_for_the_response, test_a_body_comes_only_as_far_as_granted,
           test_without_credit_nothing_is_read, test_expect_continue, test_expect_continue_answered_finally,
           test_the_rest_of_a_body_is_dropped_when_small, test_the_rest_of_a_body_ends_the_connection_when_large,
           test_lingers_so_that_the_answer_arrives, test_a_fin_before_the_response_is_an_abort,
           test_a_fin_is_seen_while_reading_is_paused, test_a_fin_behind_an_answered_request_lets_the_answer_out,
           test_a_fin_or_error_on_an_idle_connection, test_a_write_error_resets, test_drain,
           test_drain_serves_a_request_that_is_there, test_chunked_responses, test_large_chunks_are_copied_unless_lent,
           test_bodies_until_close_for_http_10, test_responses_without_a_body, test_interim_heads,
           test_the_codec_keeps_framing_to_itself, test_a_short_body_ends_the_connection,
           test_a_head_larger_than_the_gather_buffer, test_room, test_reset_and_close_inside_callbacks,
           test_reset_from_outside_closes_later, test_no_resources, test_malformed_can_be_answered_later_or_reset,
           test_malformed_behind_the_response, test_the_arena_may_go_once_the_head_has_come, test_random_cuts)
