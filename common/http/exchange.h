/* One request and its answer on one connection, the same for every HTTP version and both sides (RFC 9110).
 *
 * Each side has a sending and a receiving half. The user (a proxy, a mock) holds the exchange, calls the downcalls of
 * `ops`, and is told of what arrives through `events`. Calls and callbacks all happen on one thread; a callback may
 * make any downcall on its own exchange or another one, and may reset it.
 *
 * Receiving: head (on the client side interim 1xx heads first, status < 200) -> body* -> end, or reset at any point.
 * Sending: send_head (interim heads first, on the server side) -> send_body* -> send_end, or reset at any point.
 *
 * Credit: body bytes arrive only as far as they were granted; a new exchange has no credit. Body slices are valid
 * during the call only. send_body takes everything that it is given (the caller stays within room() for the bound to
 * hold) and returns the room left; when that was 0, `room` is called later, once.
 *
 * The arena: until the (final) head was delivered the codec keeps what it parses there; afterwards the user may reset
 * it between callbacks. Trailers are put into it right before `end`. What send_body is given need not outlive the call,
 * unless it lies in the reactor's read buffer, which the connection's driver flushes before it is used again.
 *
 * End of life: the exchange belongs to its codec. For its user it is over, and must not be touched again, after
 * (a) reset() was called, (b) the `reset` event was delivered, or (c) both `end` was delivered and send_end was called,
 * whichever was last. A server may send_end before the request's `end`; it then still gets `end`, or calls reset. */
#ifndef WEIR_HTTP_EXCHANGE_H
#define WEIR_HTTP_EXCHANGE_H

#include "core/fields.h"

/* X(id, text, whose fault it is) */
#define WEIR_RESET_MAP(X)                                                                                        \
    X(CANCEL, "cancelled", WEIR_FAULT_NONE)                      /* called by the user, or RST_STREAM(CANCEL) */ \
    X(PEER_CLOSED, "connection closed by peer", WEIR_FAULT_PEER) /* before the message was complete */           \
    X(PEER_ERROR, "connection error", WEIR_FAULT_PEER)           /* ECONNRESET, EPIPE, TLS alert */              \
    X(PEER_RESET, "stream reset by peer", WEIR_FAULT_PEER)       /* RST_STREAM: the connection goes on */        \
    X(PROTOCOL, "malformed message", WEIR_FAULT_PEER)                                                            \
    X(TOO_LARGE, "message over a limit", WEIR_FAULT_PEER)                                                        \
    X(REFUSED, "stream refused", WEIR_FAULT_PEER) /* REFUSED_STREAM, GOAWAY below the id */                      \
    X(INTERNAL, "internal error", WEIR_FAULT_SELF)

enum weir_fault { WEIR_FAULT_NONE, WEIR_FAULT_PEER, WEIR_FAULT_SELF };
#define WEIR_RESET_ENUM(id, text, fault) WEIR_RESET_##id,
enum weir_reset_reason { WEIR_RESET_MAP(WEIR_RESET_ENUM) };
#undef WEIR_RESET_ENUM

/* Whether the peer can have acted on the request (algorithms: stale keep-alive). */
enum weir_unprocessed { WEIR_UNPROCESSED_MAYBE = 0, WEIR_UNPROCESSED_CERTAIN };

struct weir_reset {
    enum weir_reset_reason reason;
    enum weir_unprocessed unprocessed;
    bool response_begun; /* client side: at least one byte of the response has come */
    int os_error;        /* a negative errno where there was one */
    const char *detail;  /* static text for the log, or NULL */
};

const char *weir_reset_text(enum weir_reset_reason reason);
enum weir_fault weir_reset_fault(enum weir_reset_reason reason);

#define WEIR_LENGTH_UNKNOWN ((int64_t)-1)

struct weir_head {
    uint8_t version;           /* 10, 11, 20: of the message that was received; ignored when sending */
    uint16_t status;           /* responses; 0 in requests */
    struct weir_str method;    /* requests, upper or lower case as sent */
    struct weir_str scheme;    /* "http" or "https" where the target said so, else empty */
    struct weir_str authority; /* Host, or :authority, or of the absolute-form */
    struct weir_str target;    /* origin-form ("/v1/models?x=1") or "*" */
    int64_t content_length;    /* as the field said; WEIR_LENGTH_UNKNOWN without one */
    bool has_body;             /* a body follows (its length may turn out to be 0) */
    bool expect_continue;      /* requests: the client waits for 100 (RFC 9110 10.1.1) */
    bool te_trailers; /* requests: TE says that trailers are taken (RFC 9110 10.1.4); sent on in HTTP/2 alone */
    bool keep_alive;  /* received: the connection can go on after this exchange */
    bool close;       /* sending, HTTP/1.1: end the connection after this exchange ("Connection: close") */
    /* End-to-end fields only: framing, hop-by-hop fields and those that Connection names have been taken out (RFC
     * 9110 7.6.1); host is in `authority`. Trailer announcements (Trailer) and Expect are kept. Sending: the codec adds
     * framing itself, Host from authority, and nothing else. */
    struct weir_fields fields;
};

struct weir_exchange;

struct weir_exchange_ops {
    /* `end`: nothing follows, not even an empty body. */
    void (*send_head)(struct weir_exchange *x, const struct weir_head *head, bool end);
    size_t (*send_body)(struct weir_exchange *x, const void *p, size_t n);
    void (*send_end)(struct weir_exchange *x, const struct weir_fields *trailers);
    size_t (*room)(const struct weir_exchange *x);
    void (*grant)(struct weir_exchange *x, size_t bytes); /* adds to the credit */
    void (*reset)(struct weir_exchange *x, enum weir_reset_reason reason);
};

struct weir_exchange_events {
    void (*head)(struct weir_exchange *x, struct weir_head *head); /* *head lives as long as the exchange's arena */
    void (*body)(struct weir_exchange *x, const uint8_t *p, size_t n);
    void (*end)(struct weir_exchange *x, const struct weir_fields *trailers); /* trailers may be NULL */
    void (*reset)(struct weir_exchange *x, const struct weir_reset *why);
    void (*room)(struct weir_exchange *x, size_t room);
};

struct weir_exchange {
    const struct weir_exchange_ops *ops;
    const struct weir_exchange_events
        *events; /* the user sets both before it returns from `accept`, or passes them to open */
    void *user;
    struct weir_arena *arena; /* the user's: heads and trailers that arrive are kept in it */
};

#endif
