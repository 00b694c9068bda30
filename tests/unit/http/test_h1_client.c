/* HTTP/1.1 as a client speaks it: what a response becomes, and when the connection may be used again. Which responses
 * are not believed: test_h1_client_refusals.c. Every table is run with the input in one read, with one byte a read, and
 * with no edge but `pending`.
 */
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

static void again(void)
{
    h1_shut(&t);
    h1_open(&t, false);
}

#define OK_HEAD        "HTTP/1.1 200 OK\r\n"
#define CHUNKED        OK_HEAD "Transfer-Encoding: chunked\r\n\r\n"
#define CHUNKED_EVENTS "head 200 v11 body\n"

struct example {
    const char *method, *input, *events;
    const char
        *fin_events; /* what the peer's end adds; NULL: the connection is idle and reusable, so "closed PEER_CLOSED" */
};

static void run_examples(const struct example *examples, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct example *e = &examples[i];
        for (int delivery = WHOLE; delivery < DELIVERIES; delivery++) {
            h1_reopen(&t, false, (enum delivery)delivery);
            h1_request(&t, e->method, "/", WEIR_LENGTH_UNKNOWN, true);
            h1_feed(&t, e->input);
            h1_expect(&t, e->events);
            ck_assert_uint_eq(t.conn_open ? t.codec->ops->slots(t.codec) : 0, e->fin_events == NULL ? 1 : 0);
            h1_fin(&t);
            h1_expect(&t, e->fin_events == NULL ? "closed PEER_CLOSED\n" : e->fin_events);
        }
    }
}

#define RUN(table) run_examples(table, sizeof table / sizeof table[0])

START_TEST(test_requests)
{
    static const struct {
        const char *method;
        int64_t length;
        bool end, close;
        const char *body, *sent;
    } cases[] = {
        {"GET", WEIR_LENGTH_UNKNOWN, true, false, NULL, "GET /x HTTP/1.1\r\nhost: a\r\n\r\n"},
        {"GET", WEIR_LENGTH_UNKNOWN, true, true, NULL, "GET /x HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"},
        {"GET", 0, true, false, NULL, "GET /x HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n"},
        {"POST", WEIR_LENGTH_UNKNOWN, true, false, NULL, "POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n"},
        {"POST", 5, false, false, "hello", "POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello"},
        {"POST", WEIR_LENGTH_UNKNOWN, false, false, "hello",
         "POST /x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        again();
        struct weir_exchange *x = t.codec->ops->open(t.codec);
        ck_assert_ptr_nonnull(x);
        ck_assert_ptr_null(t.codec->ops->open(t.codec)); /* one at a time */
        ck_assert_uint_eq(t.codec->ops->slots(t.codec), 0);
        t.x = x;
        struct weir_head head = {.method = weir_str_of(cases[i].method),
                                 .target = WEIR_STR("/x"),
                                 .authority = WEIR_STR("a"),
                                 .content_length = cases[i].length,
                                 .close = cases[i].close};
        x->ops->send_head(x, &head, cases[i].end);
        if (cases[i].body != NULL) {
            h1_send(&t, cases[i].body);
            h1_send_end(&t, NULL);
        }
        run_idle(&t.r);
        h1_expect_wrote(&t, cases[i].sent);
    }
}
END_TEST

START_TEST(test_request_fields_and_trailers)
{
    t.x = t.codec->ops->open(t.codec);
    struct weir_head head = {.method = WEIR_STR("POST"),
                             .target = WEIR_STR("/"),
                             .authority = WEIR_STR("b:1"),
                             .content_length = WEIR_LENGTH_UNKNOWN};
    ck_assert(weir_fields_add_id(&head.fields, &t.arena, WEIR_FIELD_AUTHORIZATION, WEIR_STR("Bearer x")));
    ck_assert(weir_fields_add_id(&head.fields, &t.arena, WEIR_FIELD_HOST, WEIR_STR("other")));
    ck_assert(weir_fields_add_id(&head.fields, &t.arena, WEIR_FIELD_UPGRADE, WEIR_STR("h2c")));
    struct weir_fields trailers = {0};
    ck_assert(weir_fields_add(&trailers, &t.arena, WEIR_STR("x-sum"), WEIR_STR("1")));
    t.x->ops->send_head(t.x, &head, false);
    h1_send_end(&t, &trailers);
    run_idle(&t.r);
    h1_expect_wrote(&t, "POST / HTTP/1.1\r\nhost: b:1\r\nauthorization: Bearer x\r\ntransfer-encoding: chunked\r\n\r\n"
                        "0\r\nx-sum: 1\r\n\r\n");
}
END_TEST

START_TEST(test_responses)
{
    static const struct example examples[] = {
        {"GET", OK_HEAD "Content-Length: 5\r\nContent-Type: text/plain\r\n\r\nhello",
         "head 200 v11 length=5 body content-type=text/plain\nbody [hello]\nend\nidle\n", NULL},
        {"GET", OK_HEAD "Content-Length: 0\r\n\r\n", "head 200 v11 length=0\nend\nidle\n", NULL},
        {"GET", "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", "head 200 v11 length=0\nend\nidle\n", NULL},
        {"GET", "HTTP/1.1 599 \r\nContent-Length: 0\r\n\r\n", "head 599 v11 length=0\nend\nidle\n", NULL},
        {"GET", CHUNKED "5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nX-Sum: 1\r\n\r\n",
         CHUNKED_EVENTS "body [hello world]\nend x-sum=1\nidle\n", NULL},
        {"GET", "HTTP/1.1 204 No Content\r\n\r\n", "head 204 v11\nend\nidle\n", NULL},
        {"GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", "head 304 v11 length=5\nend\nidle\n", NULL},
        {"GET", "HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n", "head 304 v11\nend\nidle\n", NULL},
        {"HEAD", OK_HEAD "Content-Length: 5\r\n\r\n", "head 200 v11 length=5\nend\nidle\n", NULL},
        {"HEAD", CHUNKED, "head 200 v11\nend\nidle\n", NULL},
        {"HEAD", OK_HEAD "\r\n", "head 200 v11\nend\nidle\n", NULL},
        {"GET", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\nConnection: Keep-Alive\r\n\r\nab",
         "head 200 v10 length=2 body\nbody [ab]\nend\nidle\n", NULL},
        {"GET",
         OK_HEAD "Connection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
         "head 200 v11 length=0\nend\nidle\n", NULL},
    };
    RUN(examples);
}
END_TEST

START_TEST(test_interim_responses)
{
    static const struct example examples[] = {
        {"GET",
         "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" OK_HEAD
         "Content-Length: 0\r\n\r\n",
         "head 100 v11\nhead 103 v11 link=</x>\nhead 200 v11 length=0\nend\nidle\n", NULL},
        {"GET", "HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
         "reset PROTOCOL begun\nclosed PROTOCOL\n", ""},
        {"GET", "HTTP/1.1 103 X\r\nContent-Length: 5\r\n\r\nhello", "reset PROTOCOL begun\nclosed PROTOCOL\n", ""},
        {"GET", "HTTP/1.1 100 X\r\nTransfer-Encoding: chunked\r\n\r\n", "reset PROTOCOL begun\nclosed PROTOCOL\n", ""},
    };
    RUN(examples);
    again();
    h1_request(&t, "GET", "/", WEIR_LENGTH_UNKNOWN, true);
    for (int i = 0; i < WEIR_H1_INTERIM_MAX; i++)
        h1_feed(&t, "HTTP/1.1 102 Processing\r\n\r\n");
    ck_assert_ptr_nonnull(t.x);
    h1_forget(&t);
    h1_feed(&t, "HTTP/1.1 102 Processing\r\n\r\n");
    h1_expect(&t, "reset PROTOCOL begun\nclosed PROTOCOL\n");
}
END_TEST

START_TEST(test_the_connection_is_not_used_again)
{
    static const struct example examples[] = {
        {"GET", OK_HEAD "Connection: close\r\nContent-Length: 2\r\n\r\nab",
         "head 200 v11 length=2 body last\nbody [ab]\nend\nidle closing\n", "closed PEER_CLOSED\n"},
        {"GET", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nab",
         "head 200 v10 length=2 body last\nbody [ab]\nend\nidle closing\n", "closed PEER_CLOSED\n"},
        {"GET", "HTTP/1.1 204 X\r\nContent-Length: 2\r\n\r\n", "head 204 v11 length=2 last\nend\nidle closing\n",
         "closed PEER_CLOSED\n"},
        {"GET", "HTTP/1.1 204 X\r\nTransfer-Encoding: chunked\r\n\r\n", "head 204 v11 last\nend\nidle closing\n",
         "closed PEER_CLOSED\n"},
        /* only the end of the connection ends these */
        {"GET", OK_HEAD "\r\nhello", "head 200 v11 body last\nbody [hello]\n",
         "end\nidle closing\nclosed PEER_CLOSED\n"},
        {"GET", "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n", "head 200 v10 body last\n",
         "end\nidle closing\nclosed PEER_CLOSED\n"},
    };
    RUN(examples);
}
END_TEST

/* Read in one piece the bytes are seen together with the response; later they find an idle connection. */
START_TEST(test_bytes_behind_a_response)
{
    static const char *const inputs[] = {OK_HEAD "Content-Length: 2\r\n\r\nab", CHUNKED "2\r\nab\r\n0\r\n\r\n",
                                         "HTTP/1.1 204 X\r\n\r\n"};
    for (size_t i = 0; i < sizeof inputs / sizeof inputs[0]; i++) {
        char text[200];
        again();
        h1_request(&t, "GET", "/", WEIR_LENGTH_UNKNOWN, true);
        strcpy(text, inputs[i]);
        h1_feed(&t, strcat(text, "HTTP/1.1 200 OK\r\n\r\n"));
        ck_assert_ptr_nonnull(strstr(t.record, "end\nidle closing\n"));
        ck_assert_uint_eq(t.codec->ops->slots(t.codec), 0);
        again();
        h1_request(&t, "GET", "/", WEIR_LENGTH_UNKNOWN, true);
        h1_feed(&t, inputs[i]);
        ck_assert_ptr_nonnull(strstr(t.record, "end\nidle\n"));
        h1_forget(&t);
        h1_feed(&t, "H");
        h1_expect(&t, "closed PROTOCOL\n");
    }
}
END_TEST

START_TEST(test_the_peer_goes_away)
{
    static const struct {
        const char *input, *events;
    } cases[] = {
        {"", "reset PEER_CLOSED\nclosed PEER_CLOSED\n"},
        {"H", "reset PEER_CLOSED begun\nclosed PEER_CLOSED\n"},
        {OK_HEAD "Content-Length: 5\r\n\r\nhell",
         "head 200 v11 length=5 body\nbody [hell]\nreset PEER_CLOSED begun\nclosed PEER_CLOSED\n"},
        {CHUNKED "5\r\nhello\r\n", CHUNKED_EVENTS "body [hello]\nreset PEER_CLOSED begun\nclosed PEER_CLOSED\n"},
        {CHUNKED "0\r\nX: y\r\n", CHUNKED_EVENTS "reset PEER_CLOSED begun\nclosed PEER_CLOSED\n"},
        {"HTTP/1.1 100 Continue\r\n\r\n", "head 100 v11\nreset PEER_CLOSED begun\nclosed PEER_CLOSED\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        again();
        h1_request(&t, "GET", "/", WEIR_LENGTH_UNKNOWN, true);
        h1_feed(&t, cases[i].input);
        h1_fin(&t);
        h1_expect(&t, cases[i].events);
        again();
        t.ts->read_error = -104;
        h1_request(&t, "GET", "/", WEIR_LENGTH_UNKNOWN, true);
        h1_feed(&t, cases[i].input);
        h1_fin(&t);
        ck_assert_ptr_nonnull(strstr(t.record, "reset PEER_ERROR"));
        ck_assert_int_eq(t.last_reset.os_error, -104);
    }
}
END_TEST

/* Certain only as long as the kernel has taken nothing. */
START_TEST(test_unprocessed)
{
    h1_request(&t, "GET", "/", WEIR_LENGTH_UNKNOWN, true);
    h1_feed(&t, OK_HEAD "Content-Length: 0\r\n\r\n");
    h1_forget(&t);
    t.ts->write_error = -32;
    h1_request(&t, "GET", "/", WEIR_LENGTH_UNKNOWN, true);
    h1_fin(&t);
    h1_expect(&t, "reset PEER_CLOSED certain\nclosed PEER_CLOSED\n");
    again();
    test_stream_room(t.ts, 1);
    h1_request(&t, "GET", "/", WEIR_LENGTH_UNKNOWN, true);
    run_idle(&t.r);
    h1_fin(&t);
    h1_expect(&t, "reset PEER_CLOSED\nclosed PEER_CLOSED\n");
}
END_TEST

/* A server that refuses an upload early answers and closes; writing fails before the answer has been read. */
START_TEST(test_a_write_error_does_not_lose_the_answer)
{
    h1_request(&t, "POST", "/", 100000, false);
    run_idle(&t.r);
    t.ts->write_error = -32;
    h1_send(&t, "some of it");
    static const char answer[] = "HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nno!";
    test_stream_hide(t.ts, answer, sizeof answer - 1);
    run_idle(&t.r);
    h1_expect(&t, "head 413 v11 length=3 body\nbody [no!]\nend\nreset PEER_ERROR begun\nclosed PEER_ERROR\n");
    again();
    h1_request(&t, "POST", "/", 100000, false);
    run_idle(&t.r);
    t.ts->write_error = -32;
    h1_send(&t, "some of it");
    run_idle(&t.r);
    h1_expect(&t, "reset PEER_ERROR\nclosed PEER_ERROR\n");
}
END_TEST

START_TEST(test_an_early_response)
{
    h1_request(&t, "POST", "/", 10, false);
    h1_feed(&t, OK_HEAD "Content-Length: 2\r\n\r\nok");
    h1_expect(&t, "head 200 v11 length=2 body\nbody [ok]\nend\n");
    ck_assert_ptr_nonnull(t.x);
    h1_send(&t, "0123456789");
    h1_send_end(&t, NULL);
    h1_expect(&t, "idle closing\n"); /* whether the server has read it is anybody's guess */
    again();
    h1_request(&t, "POST", "/", 10, false);
    h1_send(&t, "0123456789");
    h1_feed(&t, OK_HEAD "Content-Length: 2\r\n\r\nok");
    h1_forget(&t);
    h1_send_end(&t, NULL);
    h1_expect(&t, "idle closing\n");
    again();
    h1_request(&t, "POST", "/", 10, false);
    h1_feed(&t, OK_HEAD "Content-Length: 2\r\n\r\nok");
    h1_forget(&t);
    t.x->ops->reset(t.x, WEIR_RESET_CANCEL);
    run_idle(&t.r);
    h1_expect(&t, "closed CANCEL\n");
}
END_TEST

START_TEST(test_credit)
{
    for (int chunked = 0; chunked < 2; chunked++) {
        again();
        t.credit = 1;
        h1_request(&t, "GET", "/", WEIR_LENGTH_UNKNOWN, true);
        h1_feed(&t, chunked ? CHUNKED "5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n" : OK_HEAD "Content-Length: 6\r\n\r\nhello!");
        ck_assert_uint_eq(t.largest_slice, 1);
        ck_assert_ptr_nonnull(strstr(t.record, "body [hello!]\nend\nidle\n"));
    }
    again();
    t.credit = 0;
    h1_request(&t, "GET", "/", WEIR_LENGTH_UNKNOWN, true);
    h1_feed(&t, OK_HEAD "\r\nhello");
    h1_fin(&t); /* the end waits behind the bytes */
    h1_expect(&t, "head 200 v11 body last\n");
    t.x->ops->grant(t.x, 5);
    run_idle(&t.r);
    h1_expect(&t, "body [hello]\nend\nidle closing\nclosed PEER_CLOSED\n");
}
END_TEST

START_TEST(test_credit_given_before_the_head)
{
    t.credit = 0;
    h1_request(&t, "GET", "/", WEIR_LENGTH_UNKNOWN, true);
    t.x->ops->grant(t.x, 10);
    h1_feed(&t, OK_HEAD "Content-Length: 5\r\n\r\nhello");
    h1_expect(&t, "head 200 v11 length=5 body\nbody [hello]\nend\nidle\n");
}
END_TEST

START_TEST(test_keepalive_of_the_peer)
{
    static const struct {
        const char *value;
        uint32_t ms;
    } cases[] = {{"timeout=5", 5000}, {"max=9, Timeout=70", 70000}, {"timeout=", 0},
                 {"timeout=x", 0},    {"timeout=99999999", 0},      {"5", 0},
                 {"timeout=0", 0}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[200] = OK_HEAD "Content-Length: 0\r\nKeep-Alive: ";
        again();
        h1_request(&t, "GET", "/", WEIR_LENGTH_UNKNOWN, true);
        strcat(text, cases[i].value);
        h1_feed(&t, strcat(text, "\r\n\r\n"));
        ck_assert_uint_eq(t.codec->peer_keepalive_ms, cases[i].ms);
    }
}
END_TEST

static void open_next(struct h1 *h, bool reusable)
{
    ck_assert(reusable);
    if (h->idles < 3)
        h1_request(h, "GET", "/next", WEIR_LENGTH_UNKNOWN, true);
}

START_TEST(test_the_next_request_from_inside_idle)
{
    t.on_idle = open_next;
    h1_request(&t, "GET", "/", WEIR_LENGTH_UNKNOWN, true);
    for (int i = 0; i < 3; i++)
        h1_feed(&t, OK_HEAD "Content-Length: 2\r\n\r\nok");
    ck_assert_uint_eq(t.idles, 3);
    ck_assert_uint_eq(t.codec->exchanges_total, 3);
    ck_assert_uint_eq(t.codec->exchanges_open, 0);
}
END_TEST

START_TEST(test_reset_and_close_inside_callbacks)
{
    for (int at = 0; at < 6; at++) {
        again();
        t.reset_in_head = at == 0;
        t.reset_in_body = at == 1;
        t.close_in_head = at == 2;
        t.close_in_body = at == 3;
        t.close_in_end = at == 4;
        t.close_in_idle = at == 5;
        h1_request(&t, "GET", "/", WEIR_LENGTH_UNKNOWN, true);
        h1_feed(&t, CHUNKED "2\r\nab\r\n");
        h1_feed(&t, "2\r\ncd\r\n0\r\nX: y\r\n\r\n");
        ck_assert(t.ts->closed);
        ck_assert_uint_eq(t.closes, at < 2 ? 1 : 0);
        ck_assert_uint_eq(t.ends, at >= 4 ? 1 : 0);
    }
}
END_TEST

START_TEST(test_drain)
{
    t.codec->ops->drain(t.codec);
    run_idle(&t.r);
    h1_expect(&t, "closed CANCEL\n");
    again();
    h1_request(&t, "GET", "/", WEIR_LENGTH_UNKNOWN, true);
    t.codec->ops->drain(t.codec);
    h1_feed(&t, OK_HEAD "Content-Length: 0\r\n\r\n");
    h1_expect(&t, "head 200 v11 length=0\nend\nidle closing\n");
}
END_TEST

START_TEST(test_random_cuts)
{
    static const char input[] =
        "HTTP/1.1 103 Early\r\nA: b\r\n\r\n" CHUNKED "5;e=f\r\nhello\r\n7\r\n world!\r\n0\r\nX: y\r\n\r\n";
    unsigned seed = 7;
    for (int round = 0; round < 300; round++) {
        again();
        seed = seed * 1103515245u + 12345u;
        t.ts->no_edge = (seed >> 20) % 2 == 0;
        t.credit = 1 + (seed >> 8) % 9;
        h1_request(&t, "GET", "/", WEIR_LENGTH_UNKNOWN, true);
        for (size_t at = 0, part; at < sizeof input - 1; at += part) {
            seed = seed * 1103515245u + 12345u;
            part = 1 + (seed >> 16) % 20;
            part = part > sizeof input - 1 - at ? sizeof input - 1 - at : part;
            h1_feed_bytes(&t, input + at, part);
        }
        h1_expect(&t, "head 103 v11 a=b\n" CHUNKED_EVENTS "body [hello world!]\nend x=y\nidle\n");
    }
}
END_TEST

CHECK_MAIN("h1_client", setup, teardown, test_requests, test_request_fields_and_trailers, test_responses,
           test_interim_responses, test_the_connection_is_not_used_again, test_bytes_behind_a_response,
           test_the_peer_goes_away, test_unprocessed, test_a_write_error_does_not_lose_the_answer,
           test_an_early_response, test_credit, test_credit_given_before_the_head, test_keepalive_of_the_peer,
           test_the_next_request_from_inside_idle, test_reset_and_close_inside_callbacks, test_drain, test_random_cuts)
