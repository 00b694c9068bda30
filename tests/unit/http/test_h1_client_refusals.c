/* Which responses an HTTP/1.1 client does not believe, in each way of delivery: the exchange is reset, the connection
 * closed. */
#include "check_main.h"
#include "helper_h1.h"

#include "http/h1.h"

static struct h1 t;

static void setup(void)
{
    h1_open(&t, false);
}

static void teardown(void)
{
    h1_shut(&t);
}

#define OK_HEAD        "HTTP/1.1 200 OK\r\n"
#define CHUNKED        OK_HEAD "Transfer-Encoding: chunked\r\n\r\n"
#define CHUNKED_EVENTS "head 200 v11 body\n"

static void run_refusals(const char *const *inputs, size_t count, const char *before)
{
    for (size_t i = 0; i < count; i++)
        for (int delivery = WHOLE; delivery < DELIVERIES; delivery++) {
            char events[400];
            strcpy(events, before);
            strcat(events, "reset PROTOCOL begun\nclosed PROTOCOL\n");
            h1_reopen(&t, false, (enum delivery)delivery);
            h1_request(&t, "GET", "/", WEIR_LENGTH_UNKNOWN, true);
            h1_feed(&t, inputs[i]);
            h1_expect(&t, events);
            ck_assert_uint_eq(t.conn_open ? t.codec->ops->slots(t.codec) : 0, 0);
            h1_fin(&t);
            h1_expect(&t, "");
        }
}

START_TEST(test_refused_responses)
{
    static const char *const heads[] = {
        "\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        "ICY 200 OK\r\n\r\n",
        "RTSP/1.0 200 OK\r\n\r\n",
        "HTTP/2.0 200 OK\r\n\r\n",
        "HTTP/0.9 200 OK\r\n\r\n",
        "HTTP/1.2 200 OK\r\n\r\n",
        "HTTP/1.1  200 OK\r\n\r\n",
        "HTTP/1.1 20 OK\r\n\r\n",
        "HTTP/1.1 2000 OK\r\n\r\n",
        "HTTP/1.1 099 OK\r\n\r\n",
        "HTTP/1.1 200 O\x01K\r\n\r\n",
        "HTTP/1.1 200 OK\n\r\n",
        "HTTP/1.1 200 OK\rX: y\r\n\r\n",
        OK_HEAD "A: b\nB: c\r\n\r\n",
        OK_HEAD "A: b\rc\r\n\r\n",
        OK_HEAD "A : b\r\n\r\n",
        OK_HEAD "A: b\r\n c\r\n\r\n",
        OK_HEAD "A: b\x01\r\n\r\n",
        OK_HEAD "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n",
        OK_HEAD "Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n",
        OK_HEAD "Content-Length: 2\r\nContent-Length: 2\r\n\r\nab",
        OK_HEAD "Content-Length: 2\r\nContent-Length: 3\r\n\r\nab",
        OK_HEAD "Content-Length: 2, 2\r\n\r\nab",
        OK_HEAD "Content-Length: -2\r\n\r\nab",
        OK_HEAD "Content-Length: 99999999999999999999\r\n\r\nab",
        OK_HEAD "Transfer-Encoding: gzip\r\n\r\nab",
        OK_HEAD "Transfer-Encoding: gzip, chunked\r\n\r\nab",
        OK_HEAD "Transfer-Encoding: chunked, gzip\r\n\r\nab",
        OK_HEAD "Transfer-Encoding: chunked, chunked\r\n\r\nab",
        OK_HEAD "Transfer-Encoding:\r\n\r\nab",
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        OK_HEAD "Connection: content-length\r\nContent-Length: 2\r\n\r\nab",
    };
    static const char *const chunks[] = {
        CHUNKED "x\r\n",
        CHUNKED "5\nhello",
        CHUNKED "5 \r\nhello",
        CHUNKED "fffffffffffffffff\r\n",
    };
    static const char *const after_data[] = {
        CHUNKED "5\r\nhello\n",
        CHUNKED "5\r\nhello0\r\n",
        CHUNKED "5\r\nhello\r\n0\r\nContent-Length: 2\r\n\r\n",
        CHUNKED "5\r\nhello\r\n0\r\nX : 2\r\n\r\n",
    };
    run_refusals(heads, sizeof heads / sizeof heads[0], "");
    run_refusals(chunks, sizeof chunks / sizeof chunks[0], CHUNKED_EVENTS);
    run_refusals(after_data, sizeof after_data / sizeof after_data[0], CHUNKED_EVENTS "body [hello]\n");
}
END_TEST

START_TEST(test_limits_of_a_head)
{
    char text[8000] = OK_HEAD "X: ";
    memset(text + strlen(text), 'v', 5000);
    h1_request(&t, "GET", "/", WEIR_LENGTH_UNKNOWN, true);
    h1_feed(&t, text);
    h1_expect(&t, "reset TOO_LARGE begun\nclosed TOO_LARGE\n");
}
END_TEST

CHECK_MAIN("h1_client_refusals", setup, teardown, test_refused_responses, test_limits_of_a_head)
