/* One request to the mock, from its head to the end of its answer. request.c receives and decides what to answer;
 * reply.c sends it with the plan's delays, gates and faults. */
#ifndef WEIR_MOCK_REQUEST_H
#define WEIR_MOCK_REQUEST_H

#include "mock/connection.h"
#include "mock/wire.h"

/* Bodies that are parsed as JSON are kept whole up to here; a prompt with images is some megabytes. */
#define MOCK_JSON_BYTES_MAX ((size_t)33554432)
/* Body bytes granted ahead of what was consumed. */
#define MOCK_BODY_WINDOW ((size_t)262144)

enum mock_source { MOCK_SOURCE_NONE, MOCK_SOURCE_TEXT, MOCK_SOURCE_PATTERN, MOCK_SOURCE_TOKENS, MOCK_SOURCE_ECHO };

struct mock_route;

struct mock_request {
    struct weir_list link; /* in its connection, or in the worker's free list */
    struct mock_connection *connection;
    struct weir_exchange *x;
    struct weir_arena arena;
    const struct weir_head *head;
    const struct weir_fields *trailers;
    const struct mock_route *route;
    struct weir_str path, query;
    struct mock_plan plan;
    enum mock_phase phase;
    bool counted, request_ended, response_ended, replying, discard;
    /* what has come */
    char *body;
    size_t body_len, body_cap, granted;
    uint64_t received;
    uint32_t adler_a, adler_b;
    /* what goes out */
    struct mock_chat chat;
    enum mock_source source;
    unsigned status;
    struct weir_str content_type;
    bool chunked;
    const char *data;
    char *data_owned;
    uint64_t data_len, data_at;
    uint32_t tokens_sent;
    bool head_sent;
    /* when */
    struct weir_deadline timer;
    struct mock_gate *gate;
    struct mock_gate_waiter waiter;
    bool has_step;
    uint64_t due_us;
};

/* Called for each exchange. False: out of memory. */
bool mock_request_new(struct mock_connection *c, struct weir_exchange *x);
/* The head or the framing is not acceptable: answers and is over. */
void mock_request_malformed(struct mock_request *rq, const struct weir_malformed *why, bool after_head);
/* Frees it without touching the exchange. */
void mock_request_drop(struct mock_request *rq);
void mock_requests_free(struct mock_worker *w);

/* -- reply.c: each starts the answer; the request may be gone when it returns -- */

/* data stays valid until the answer has ended; `owned` is freed with the request. */
void mock_reply_text(struct mock_request *rq, unsigned status, struct weir_str content_type, const char *data,
                     size_t len, char *owned);
void mock_reply_pattern(struct mock_request *rq, uint64_t bytes, bool chunked);
void mock_reply_tokens(struct mock_request *rq);
void mock_reply_echo(struct mock_request *rq);
/* The provider's error body, according to the path. */
void mock_reply_error(struct mock_request *rq, unsigned status, const char *message);

/* Goes on: time has passed, room has come, a gate has opened. */
void mock_reply_step(struct mock_request *rq);
/* More of the request's body, for MOCK_SOURCE_ECHO. */
void mock_reply_echo_body(struct mock_request *rq, const uint8_t *p, size_t n);
void mock_reply_echo_end(struct mock_request *rq);

#endif
