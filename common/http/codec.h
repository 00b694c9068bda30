/* A codec turns the bytes of one connection into exchanges and back. It owns no socket: weir_http_conn feeds it what
 * the stream gave and it hands its output to an outbox. One interface for HTTP/1.1 and HTTP/2, server and client. */
#ifndef WEIR_HTTP_CODEC_H
#define WEIR_HTTP_CODEC_H

#include "http/exchange.h"
#include "net/outbox.h"

struct weir_codec;

struct weir_http_limits {
    size_t head_bytes_max;   /* start line and fields of one head (431; trailers count as a head of their own) */
    size_t fields_max;       /* 431 */
    uint64_t body_bytes_max; /* request bodies (413); 0: no limit */
};

/* Why a request head or its framing was not taken: the status to answer, a code for x-weir-error, a sentence. */
struct weir_malformed {
    uint16_t status;  /* 400, 413, 431, 501, 505 */
    const char *code; /* "malformed_framing", "head_too_large", ... static */
    const char *message;
};

/* What a connection tells its owner. */
struct weir_codec_events {
    /* Server: a request begins. The owner sets x->events, x->user and x->arena; `head` follows. False: no resources,
     * the connection is to be closed. */
    bool (*accept)(struct weir_codec *c, struct weir_exchange *x);
    /* Server: instead of `head` (or after it, when the body's framing turns out bad): answer why->status on x
     * (send_head, send_body, send_end) or reset it; the codec closes the connection afterwards. x->events may have been
     * told `head` already (after_head), and is not told `reset`. */
    void (*malformed)(struct weir_codec *c, struct weir_exchange *x, const struct weir_malformed *why, bool after_head);
    /* An exchange is over (HTTP/1: not by reset) and the connection has none left: park it or start an idle clock.
     * HTTP/2 calls it in whichever way its last exchange ended, and never from inside a downcall. Client side:
     * `reusable` says whether another request may be sent on it (framing was clean, nobody said close). Server side:
     * `reusable` false means it closes once its output is out. May come from inside send_end or feed; the owner may
     * close, open the next one or, on the client side, detach the connection and post it to another thread: nothing
     * here touches it afterwards. */
    void (*idle)(struct weir_codec *c, bool reusable);
    /* Server: the first byte of the next request has come (ends the idle clock, starts the header clock). */
    void (*busy)(struct weir_codec *c);
    /* The connection is over: error, orderly close, or an exchange that was reset. Never called from inside a downcall:
     * after reset() it comes later in the same turn. `why` is never NULL. The owner frees the conn, in this call or
     * after it. */
    void (*closed)(struct weir_codec *c, const struct weir_reset *why);
    /* Client, HTTP/2, may be NULL: slots() or exchanges_max is not what it was: the peer said its limit, a stream has
     * ended, or the connection takes no new ones any more. Told once for all that happened in a turn, before `idle`,
     * and never from inside a downcall. The owner may open, drain or close. */
    void (*slots)(struct weir_codec *c);
};

struct weir_codec_ops {
    /* Bytes it is willing to take now: reads are at most this long. 0: paused (no credit, answer pending). */
    size_t (*want)(const struct weir_codec *c);
    /* Eats all n <= want() bytes; what lies behind a message's end is copied. n 0: go on with what was kept and with
     * what became due meanwhile; the connection's driver calls it so at the start of each of its turns. */
    void (*feed)(struct weir_codec *c, const uint8_t *p, size_t n);
    /* The peer ended its direction (error 0) or the stream failed (negative errno). */
    void (*eof)(struct weir_codec *c, int error);
    /* The outbox has room again. */
    void (*writable)(struct weir_codec *c);
    /* Client: a new exchange. NULL when it has no slot free. events/user/arena are set by the caller on the result.
     * Legal as often as there are slots, inside callbacks too. */
    struct weir_exchange *(*open)(struct weir_codec *c);
    /* Exchanges that could be opened now: 1 for an idle HTTP/1 connection. */
    unsigned (*slots)(const struct weir_codec *c);
    /* Finish what is open, take nothing new: HTTP/1 answers `Connection: close`, HTTP/2 sends GOAWAY. Idle: closes. */
    void (*drain)(struct weir_codec *c);
    /* Frees everything; no callback is made. */
    void (*free)(struct weir_codec *c);
};

/* How long a server goes on reading, and dropping, what a client still sends after the answer that ends the connection:
 * closing over unread bytes makes the kernel reset the connection, and the answer may be lost with it (RFC 9112 9.6).
 */
#define WEIR_CODEC_LINGER_MS 2000

struct weir_codec {
    const struct weir_codec_ops *ops;
    const struct weir_codec_events *events;
    void *owner; /* of the events */
    struct weir_outbox *out;
    uint64_t bytes_in;
    uint32_t exchanges_total;
    uint32_t exchanges_open; /* server: whose response has not ended; client: that were opened and are not over */
    uint32_t exchanges_max;  /* client: what fits at once: 1 in HTTP/1; in HTTP/2 what both sides allow, which the peer
                                may change at any time; 0: it drains, and takes no new ones */
    bool lingering; /* server: everything is out; the driver ends our direction and calls eof when WEIR_CODEC_LINGER_MS
                       have passed */
    uint32_t peer_keepalive_ms; /* client: the peer's `Keep-Alive: timeout=`, 0: none said */
};

/* -- HTTP/1.1 (http/h1_server.c, http/h1_client.c): RFC 9112 -- */

/* Errors: NULL is out of memory. limits must outlive the codec. */
struct weir_codec *weir_h1_server_new(const struct weir_http_limits *limits, const struct weir_codec_events *events,
                                      void *owner, struct weir_outbox *out);
struct weir_codec *weir_h1_client_new(const struct weir_http_limits *limits, const struct weir_codec_events *events,
                                      void *owner, struct weir_outbox *out);
/* What a codec takes of the memory while nothing is in flight. */
size_t weir_h1_bytes(void);

#endif
