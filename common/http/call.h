/* One HTTP request to one address, for what a program asks on its own account (checks, webhooks, the command line):
 * connect, TLS if it is wanted, request, the answer's status, and its body where that is wanted. A connection of its
 * own, closed afterwards or kept for the owner's next request to the same address. On one reactor, off every request's
 * way; knows no clock: the owner's deadline ends it. */
#ifndef WEIR_HTTP_CALL_H
#define WEIR_HTTP_CALL_H

#include "http/conn.h"
#include "net/addr.h"
#include "net/tls.h"

/* Of an answer's body this much is read where it is read at all, so that the connection ends without a reset. */
#define WEIR_CALL_BODY_READ_MAX ((size_t)16384)

struct weir_call;

struct weir_call_opts {
    const struct weir_addr *addr;    /* copied */
    const struct weir_tcp_opts *tcp; /* may be NULL; outlives the connect */
    struct weir_tls_opts tls;        /* config NULL: plain. What it points at outlives the call */
    bool http2;                      /* without TLS: by prior knowledge. With it ALPN decides */
    bool connect_only;               /* an open connection, handshake included, is all that is asked */
    bool read_body;                  /* done waits for the answer's end, or WEIR_CALL_BODY_READ_MAX of it */
    bool keep; /* with read_body or take: done comes after the end, and weir_call_again may follow */
    /* Gets the answer's body piece by piece, however long; c->status is known by then. False: no more of it is wanted,
     * and done comes next. NULL: nobody wants it. May not end the call. */
    bool (*take)(struct weir_call *c, const uint8_t *bytes, size_t n);
    /* Fills in the request, in c->arena; *body is what follows it, if has_body, and outlives the call's begin. False:
     * out of memory. */
    bool (*fill)(struct weir_call *c, struct weir_head *head, struct weir_str *body);
    /* The end, once a request, never from inside begin or again, and not after weir_call_end: with a status (0:
     * connect_only), or with why there is none (status 0, err set, valid during the call). A body that `take` gets and
     * that is cut off has both. The owner then calls weir_call_end, within it, unless weir_call_is_kept. */
    void (*done)(struct weir_call *c, unsigned status, const struct weir_err *err);
};

struct weir_call {
    struct weir_call_opts opts;
    struct weir_stream *opening; /* connecting or shaking hands; NULL afterwards */
    bool shaking;
    struct weir_http_conn conn;
    struct weir_arena arena;
    unsigned status; /* of the answer; 0: none yet */
    size_t body_read;
    bool ended; /* keep: the answer has, and what becomes of its connection is still to be told */
    bool kept;
};

/* Errors: those of weir_tcp_connect; nothing is under way then. *c is overwritten. */
WEIR_MUST_USE int weir_call_begin(struct weir_call *c, struct weir_reactor *r, const struct weir_call_opts *opts,
                                  struct weir_err *err);
/* Whether its connection waits for another request. The peer may end it at any time: then it is not kept any more. */
bool weir_call_is_kept(const struct weir_call *c);
/* Another request on a kept connection: fill, take and done as before. False: out of memory; the owner ends it. */
WEIR_MUST_USE bool weir_call_again(struct weir_call *c);
/* Closes what is open, without `done`. Legal at any time, also on one that is all zeros. */
void weir_call_end(struct weir_call *c);
/* What it waits for: "the connect", "the TLS handshake", "the answer". */
const char *weir_call_step(const struct weir_call *c);

#endif
