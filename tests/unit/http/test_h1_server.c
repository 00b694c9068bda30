/* HTTP/1.1 as a server hears it: what a request becomes. Every table is run in each way of delivery. */
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

struct example {
    const char *input, *events, *sent; /* sent NULL: not compared */
};

static void run_examples(const struct example *examples, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        for (int delivery = WHOLE; delivery < DELIVERIES; delivery++) {
            h1_reopen(&t, true, (enum delivery)delivery);
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
        {POST_CHUNKED "5\r\nhello\r\n0\r\n\r\n", HEAD_CHUNKED "body [hello]\nend\nidle\n", OK_2},
        {POST_CHUNKED "5\r\nhello\r\n006\r\n world\r\n0\r\n\r\n", HEAD_CHUNKED "body [hello world]\nend\nidle\n", OK_2},
        {POST_CHUNKED "a\r\n0123456789\r\nB;x=\"y z\";w\r\n0123456789a\r\n0\r\n\r\n",
         HEAD_CHUNKED "body [01234567890123456789a]\nend\nidle\n", OK_2},
        {POST_CHUNKED "0\r\n\r\n", HEAD_CHUNKED "end\nidle\n", OK_2},
        {POST_A "Transfer-Encoding: CHUNKED\r\n\r\n1\r\nx\r\n0\r\n\r\n", HEAD_CHUNKED "body [x]\nend\nidle\n", OK_2},
        {POST_CHUNKED "1\r\nx\r\n0\r\nX-Sum: 12\r\nOther:\r\n\r\n",
         HEAD_CHUNKED "body [x]\nend x-sum=12 other=\nidle\n", OK_2},
        /* what means nothing behind a body is left out (RFC 9110 6.5.1) */
        {POST_CHUNKED "0\r\nHost: b\r\nAuthorization: x\r\nConnection: close\r\nX: y\r\n\r\n",
         HEAD_CHUNKED "end x=y\nidle\n", OK_2},
        {POST_CHUNKED "0\r\nTrailer: x\r\n\r\n", HEAD_CHUNKED "end\nidle\n", OK_2},
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

START_TEST(test_the_arena_may_go_once_the_head_has_come)
{
    t.forget_arena = true;
    h1_feed(&t, POST_CHUNKED "5\r\nhello\r\n0\r\nX-Sum: 1\r\n");
    weir_arena_reset(&t.arena);
    h1_feed(&t, "Y: 2\r\n\r\n");
    h1_expect(&t, HEAD_CHUNKED "body [hello]\nend x-sum=1 y=2\nidle\n");
}
END_TEST

/* However the bytes are cut, the same happens. */
START_TEST(test_random_cuts)
{
    static const char *const inputs[] = {
        GET_A "X: y\r\n\r\n" POST_A "Content-Length: 11\r\n\r\nhello world" POST_CHUNKED
              "5;e=f\r\nhello\r\n7\r\n world!\r\n0\r\nX: y\r\n\r\n" GET_A "Connection: close\r\n\r\n",
        POST_CHUNKED "5\r\nhello\r\nxyz",
        GET_A "\r\n" GET_A "Host: b\r\n\r\n",
    };
    unsigned seed = 7;
    for (size_t i = 0; i < sizeof inputs / sizeof inputs[0]; i++) {
        char whole[4096], sent[4096];
        h1_reopen(&t, true, WHOLE);
        h1_feed(&t, inputs[i]);
        h1_fin(&t);
        strcpy(sent, h1_wrote(&t));
        strcpy(whole, t.record);
        for (int round = 0; round < 300; round++) {
            h1_reopen(&t, true, WHOLE);
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
           test_hop_by_hop_fields_are_taken_out, test_http_10, test_the_arena_may_go_once_the_head_has_come,
           test_random_cuts)
