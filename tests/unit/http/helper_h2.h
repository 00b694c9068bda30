/* An HTTP/2 client and a server, each a codec on a connection over a scripted stream, and pipes between them that carry
 * as many bytes a time as the test says; or one of them alone, and a peer that the test plays with nghttp2's HPACK.
 * Every exchange keeps what it was told, and asserts the contract of http/exchange.h: the order of events, no byte
 * beyond the credit, nothing after its end. */
#ifndef WEIR_TESTS_HTTP_HELPER_H2_H
#define WEIR_TESTS_HTTP_HELPER_H2_H

#include "http/conn.h"
#include "http/h2.h"

#include "helper/net_run.h"
#include "helper/net_test_stream.h"

#define EXCHANGES_MAX 512
#define LOG_MAX       4096

struct h2_end;

struct h2_ex {
    struct h2_end *end;
    struct weir_exchange *x; /* NULL once it is not ours */
    struct weir_arena arena;
    char log[LOG_MAX]; /* a line an event; bodies as "body N" at the next event */
    size_t log_len, body, body_told;
    uint64_t credit;
    unsigned overs; /* how often it ended */
    bool head, ended, head_sent, sent;
    struct weir_reset reset;
    size_t to_send; /* body bytes that `room` goes on with, then send_end */
    unsigned rooms;
};

struct h2_end {
    struct weir_reactor *r;
    struct test_stream *ts;
    struct weir_http_conn conn;
    struct weir_codec *codec;
    struct weir_http_limits limits;
    struct weir_h2_options options;
    struct h2_ex ex[EXCHANGES_MAX];
    unsigned ex_count;
    size_t piped;                             /* of ts->wrote */
    bool server, open, refuse_accept, silent; /* silent: the test answers */
    bool late;                                /* ... what is malformed, too */
    size_t credit;                            /* granted with each head, and back for each slice */
    unsigned busies, idles, idles_closing, slots_told, closes;
    struct weir_reset closed;
    void (*on_head)(struct h2_ex *e, struct weir_head *head);
    void (*on_body)(struct h2_ex *e);
    void (*on_end)(struct h2_ex *e); /* server: answers 200 "ok" by default */
};

struct h2_pair {
    struct weir_reactor r;
    struct h2_end c, s;
    size_t cut; /* bytes per delivery; 0: all */
    bool one_byte_reads;
};

extern struct h2_pair h2;

/* Both ends with the defaults of weir_h2_options_init and room for bodies of any length. Change h2.c.options and
 * h2.s.options between begin and connect. */
void h2_begin(void);
void h2_connect(void);
/* One end alone. */
void h2_connect_server(void);
void h2_connect_client(void);
void h2_shut(void);

/* Carries bytes until nothing moves any more. */
void h2_run(void);
/* What that end has written since the last call, in its own memory until the next call. */
const uint8_t *h2_taken(struct h2_end *e, size_t *n);

/* Client: opens an exchange; then sends its head. */
struct h2_ex *h2_open(void);
struct h2_ex *h2_request(const char *method, const char *path, int64_t length, bool end);
void h2_send_head(struct h2_ex *e, unsigned status, int64_t length, bool end);
size_t h2_send(struct h2_ex *e, const char *text);
void h2_send_end(struct h2_ex *e, const struct weir_fields *trailers);
void h2_send_zeros(struct h2_ex *e, size_t n); /* n bytes as room allows, then send_end */
void h2_grant(struct h2_ex *e, size_t n);
void h2_reset_ex(struct h2_ex *e, enum weir_reset_reason reason);
/* The server's exchange for the client's n-th. */
struct h2_ex *h2_served(unsigned n);

void h2_expect_log(struct h2_ex *e, const char *log);

/* -- a peer made by hand -- */

/* Frames gathered into one buffer. */
void h2_raw_begin(bool preface);
void h2_raw(uint8_t type, uint8_t flags, uint32_t id, const void *p, size_t n);
/* "name: value\n" lines through HPACK without indexing; names and values as they are. */
void h2_raw_headers(uint32_t id, uint8_t flags, const char *lines);
void h2_raw_send(struct h2_end *to);
/* The code of the first frame of that type among what was written: RST_STREAM and GOAWAY codes, SETTINGS values... -1:
 * there is none. */
int64_t h2_find_code(struct h2_end *e, uint8_t type, uint32_t id);
/* How many frames of that type it wrote since the last h2_forget. */
unsigned h2_count_frames(struct h2_end *e, uint8_t type);
void h2_forget(struct h2_end *e);

#endif
