/* A codec on a connection over a scripted stream, and a record of everything that it says: one line of text an event,
 * so that a test compares what happened with what it expected as a whole. Adjacent body slices are joined, since how a
 * body is cut is nobody's business. */
#ifndef WEIR_TESTS_HTTP_HELPER_H1_H
#define WEIR_TESTS_HTTP_HELPER_H1_H

#include "http/conn.h"

#include "helper/net_run.h"
#include "helper/net_test_stream.h"

#define RECORD_BYTES_MAX 65536

/* requests, and what the server of h1_open makes of them */
#define OK_2         "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
#define GET_A        "GET / HTTP/1.1\r\nHost: a\r\n"
#define GET_EVENTS   "busy\nhead GET / @a v11\nend\nidle\n"
#define POST_A       "POST / HTTP/1.1\r\nHost: a\r\n"
#define POST_CHUNKED POST_A "Transfer-Encoding: chunked\r\n\r\n"
#define HEAD_CHUNKED "busy\nhead POST / @a v11 body\n"
#define SENT_400     "HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"

/* The same bytes in one read, in one byte a read, and with no edge but `pending` (as TLS reads). */
enum delivery { WHOLE, BYTES, NO_EDGE, DELIVERIES };

enum answer {
    ANSWER_AT_END,  /* 200 with a body, once the request has come */
    ANSWER_AT_HEAD, /* the same, without waiting for the body */
    ANSWER_NOT,     /* the test does it */
};

struct h1 {
    struct weir_reactor r;
    struct test_stream *ts;
    struct weir_http_conn conn;
    struct weir_codec *codec;
    struct weir_http_limits limits;
    struct weir_arena arena;
    struct weir_exchange *x; /* NULL when it is not ours */

    /* what to do */
    size_t credit;         /* granted with each head; body slices are granted back */
    size_t credit_in_room; /* granted whenever there is room again */
    enum answer answer;    /* server */
    bool answer_chunked;
    bool refuse_accept;
    bool reset_in_head, reset_in_body, close_in_head, close_in_body, close_in_end, close_in_idle;
    bool quiet;        /* neither records nor asserts: Check allocates */
    bool forget_arena; /* the user resets its arena once the head has come */
    void (*on_idle)(struct h1 *t, bool reusable);
    void (*on_end)(struct h1 *t);

    /* what happened */
    char record[RECORD_BYTES_MAX];
    size_t record_len;
    bool in_body;
    struct weir_reset last_reset;
    size_t body_bytes, largest_slice;
    unsigned ends, idles, closes;
    bool conn_open;
};

/* Starts with the limits 4096 bytes of head, 20 fields, 1000 bytes of body, and a credit of 100,000. */
void h1_open(struct h1 *t, bool server);
/* Closes what is still open. */
void h1_shut(struct h1 *t);
/* Both, for the next case of a table. */
void h1_reopen(struct h1 *t, bool server, enum delivery delivery);

/* Input, then the loop until nothing is left to do. */
void h1_feed(struct h1 *t, const char *text);
void h1_feed_bytes(struct h1 *t, const void *p, size_t n);
/* The peer's FIN. */
void h1_fin(struct h1 *t);

/* Client: opens an exchange and sends a request. */
void h1_request(struct h1 *t, const char *method, const char *target, int64_t length, bool end);
/* Server: sends a final head on t->x. */
void h1_respond(struct h1 *t, unsigned status, int64_t length, bool end);
void h1_send(struct h1 *t, const char *text);
void h1_send_end(struct h1 *t, const struct weir_fields *trailers);

/* Fails the test with both texts when they differ; empties what was compared. */
void h1_expect(struct h1 *t, const char *record);
/* Forgets the events so far. */
void h1_forget(struct h1 *t);
void h1_expect_wrote(struct h1 *t, const char *text);
const char *h1_wrote(const struct h1 *t);

/* Text of our own: n times the character c between two others; good until the next call. */
const char *h1_padded(const char *before, size_t n, char c, const char *after);

#endif
