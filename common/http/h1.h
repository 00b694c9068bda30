/* What the two sides of HTTP/1.1 share: the state of a connection, the parser and the writer. Internal to common/http.
 *
 * Heads and chunked framing go through llhttp, in strict mode; what llhttp lets pass is checked in h1_check.c. Bodies
 * of a known length and bodies that end with the connection are counted here. One exchange at a time; bytes behind it
 * are kept.
 *
 * A codec may be freed, its exchange reset, or the next one opened, inside any callback: every entry point stands
 * between weir_h1_enter and weir_h1_leave, and whoever made a callback looks at `dead` and `open` before it goes on. */
#ifndef WEIR_HTTP_H1_H
#define WEIR_HTTP_H1_H

#include <llhttp.h>

#include "http/codec.h"

/* One read while a head is expected, and what may lie behind a message: an SDK's head and small body fit at once. */
#define WEIR_H1_READ_BYTES ((size_t)16384)
/* Size line with extensions, or the line ends around it: nobody uses extensions, and unbounded ones are a way to send
 * for ever without sending anything. */
#define WEIR_H1_CHUNK_FRAMING_MAX 256
/* A request body's rest that is read and dropped, to keep the connection, when the response did not wait for it. */
#define WEIR_H1_DRAIN_BYTES_MAX ((uint64_t)65536)
/* Options in all Connection fields of one head: each costs a pass over the fields. */
#define WEIR_H1_CONNECTION_OPTIONS_MAX 32
/* Longer than every well-known name. */
#define WEIR_H1_NAME_SHORT 32
/* Interim heads before one response; 102 is repeated by servers that are slow, others are sent once. */
#define WEIR_H1_INTERIM_MAX 64

enum weir_h1_phase {
    WEIR_H1_IDLE, /* between messages; client: no response awaited */
    WEIR_H1_HEAD,
    WEIR_H1_BODY,
    WEIR_H1_DONE,    /* the message is complete, the exchange is not */
    WEIR_H1_CLOSING, /* server: flushes, then closes */
};

enum weir_h1_framing { WEIR_H1_NONE, WEIR_H1_LENGTH, WEIR_H1_CHUNKED, WEIR_H1_UNTIL_CLOSE };

/* STOPPED: the exchange went away in a callback. */
enum weir_h1_step { WEIR_H1_MORE, WEIR_H1_COMPLETE, WEIR_H1_BAD, WEIR_H1_STOPPED };

/* Where the start line is: llhttp forgives repeated spaces, no version and other protocols; this does not. */
enum weir_h1_line { WEIR_H1_LINE_METHOD, WEIR_H1_LINE_TARGET, WEIR_H1_LINE_VERSION, WEIR_H1_LINE_OVER };

/* Text that may come in pieces; grows in the arena by doubling. */
struct weir_h1_text {
    char *ptr;
    size_t len, cap;
};

struct weir_h1_options {
    struct weir_str value;
    struct weir_h1_options *next;
};

/* A head, or trailers, while they are parsed. Lives in the arena that the fields go to. */
struct weir_h1_head {
    struct weir_head head; /* first: this is what the user sees */
    struct weir_h1_text name, value, target;
    char name_short[WEIR_H1_NAME_SHORT]; /* well-known names need no copy in the arena */
    struct weir_str host;
    struct weir_h1_options *options; /* what the Connection fields said */
    size_t fields_seen;
    uint32_t keepalive_ms;
    bool host_seen, length_seen, chunked, trailers;
};

struct weir_h1 {
    struct weir_codec codec; /* first */
    llhttp_t parser;
    struct weir_exchange x;
    const struct weir_http_limits *limits;
    struct weir_h1_head *head;        /* NULL unless a head or trailers are being parsed */
    struct weir_arena *trailers;      /* NULL unless trailers are being parsed: the user's arena may be gone by then */
    const struct weir_malformed *bad; /* set by the parser when it answers WEIR_H1_BAD */
    const uint8_t *counted;           /* during a parse of chunks: framing up to here has been counted */
    uint8_t *kept;                    /* bytes behind a message or beyond the credit; NULL most of the time */
    uint64_t credit;
    uint64_t body_left;   /* WEIR_H1_LENGTH */
    uint64_t body_total;  /* body bytes of this message so far */
    uint64_t send_left;   /* announced by content-length and not yet sent */
    uint64_t unsent_mark; /* client: bytes handed to the kernel before this request's first */
    uint32_t kept_at, kept_len;
    uint32_t head_bytes;
    uint32_t framing_bytes; /* of chunk framing since the last body byte */
    uint32_t dropped;       /* bytes read and not delivered, with drop_body */
    uint8_t phase, framing, send_framing, line, line_at;
    uint8_t depth; /* entry points on the stack */
    uint8_t interim_count;
    uint8_t abort_reason;
    bool server : 1;
    bool dead : 1;      /* freed while on the stack */
    bool open : 1;      /* the exchange is its user's */
    bool received : 1;  /* `end` was delivered */
    bool head_sent : 1; /* the final one */
    bool sent : 1;      /* send_end was called */
    bool spoilt : 1;    /* what was sent does not have the length that was announced */
    bool broken : 1;    /* something could not be sent for want of memory */
    bool aborted : 1;   /* reset() was called: close as soon as off the stack */
    bool drop_body : 1; /* read on, deliver nothing */
    bool abandoned : 1; /* server: answered, and the request's body is not worth reading */
    bool refused : 1;   /* server: malformed was reported */
    bool want_room : 1;
    bool keep_alive : 1; /* as far as the peer and the framing are concerned */
    bool draining : 1;
    bool head_method : 1; /* the request's method is HEAD */
    bool peer_10 : 1;
    bool expect : 1;
    bool continued : 1;
    bool begun : 1;    /* client: a byte of the response has come */
    bool idle_due : 1; /* client: to be told when off the stack */
    bool behind : 1;   /* client: bytes followed the response */
    bool cr_seen : 1;  /* server: half of an empty line before a request */
    bool eof : 1;      /* the peer ended its direction */
    bool closed : 1;   /* `closed` was called */
    bool complete : 1; /* llhttp has seen the end of the message */
};

static inline struct weir_h1 *weir_h1_of(struct weir_codec *c)
{
    return WEIR_CONTAINER(c, struct weir_h1, codec);
}

static inline struct weir_h1 *weir_h1_of_exchange(const struct weir_exchange *x)
{
    return WEIR_CONTAINER(x, struct weir_h1, x);
}

/* -- h1.c: the connection -- */

struct weir_h1 *weir_h1_new(const struct weir_codec_ops *ops, const struct weir_http_limits *limits,
                            const struct weir_codec_events *events, void *owner, struct weir_outbox *out);
void weir_h1_free(struct weir_codec *c);
void weir_h1_enter(struct weir_h1 *h);
/* Frees the codec when it died meanwhile: the caller's last statement. */
void weir_h1_leave(struct weir_h1 *h);
/* Runs the bytes through `eat` until it takes no more, the kept ones first; keeps the rest. eat returns how many it
 * took. Between enter and leave. False: no memory to keep the rest. */
typedef size_t (*weir_h1_eat)(struct weir_h1 *h, const uint8_t *p, size_t n);
WEIR_MUST_USE bool weir_h1_pump(struct weir_h1 *h, const uint8_t *p, size_t n, weir_h1_eat eat);
/* The driver is to come by once more. Nothing when on the stack already: leave does what is due. */
void weir_h1_kick(struct weir_h1 *h);
/* Ends the open exchange with the `reset` event. */
void weir_h1_fail(struct weir_h1 *h, enum weir_reset_reason reason, int os_error, const char *detail);
/* Tells the owner, once. */
void weir_h1_closed(struct weir_h1 *h, enum weir_reset_reason reason, int os_error, const char *detail);
/* Prepares for the next message. */
void weir_h1_next_message(struct weir_h1 *h);
/* How much a body of either framing may be read now, with the bytes behind it. */
size_t weir_h1_want_body(const struct weir_h1 *h);
/* Eats body bytes as far as the credit goes. COMPLETE: the message is; *used says how far it went. */
enum weir_h1_step weir_h1_eat_body(struct weir_h1 *h, const uint8_t *p, size_t n, size_t *used);
/* Delivers `end`, with the trailers if there were any. The caller then looks at dead and open. */
void weir_h1_deliver_end(struct weir_h1 *h);
/* What became due while somebody's callback was on the stack: an exchange that broke, a reset. Before leave. */
void weir_h1_settle(struct weir_h1 *h);
/* The room event, if one is owed. */
void weir_h1_give_room(struct weir_h1 *h);

/* downcalls that both sides have in common */
size_t weir_h1_room(const struct weir_exchange *x);
void weir_h1_grant(struct weir_exchange *x, size_t bytes);
void weir_h1_reset(struct weir_exchange *x, enum weir_reset_reason reason);
size_t weir_h1_send_body(struct weir_exchange *x, const void *p, size_t n);

/* -- h1_parse.c: bytes to heads -- */

void weir_h1_parser_init(struct weir_h1 *h, bool server);
/* Readies x->arena's head. False: out of memory. */
WEIR_MUST_USE bool weir_h1_head_begin(struct weir_h1 *h);
/* Eats up to the end of the head. */
enum weir_h1_step weir_h1_eat_head(struct weir_h1 *h, const uint8_t *p, size_t n, size_t *used);
/* Eats n bytes of a chunked body, all of which the credit covers. */
enum weir_h1_step weir_h1_eat_chunked(struct weir_h1 *h, const uint8_t *p, size_t n, size_t *used);
/* Hands on body bytes (either framing). False: over the limit, or nobody is there any more. */
WEIR_MUST_USE bool weir_h1_deliver_body(struct weir_h1 *h, const uint8_t *p, size_t n);

/* -- h1_check.c: what a head means, and whether it may be believed -- */

extern const struct weir_malformed weir_h1_bad_start_line, weir_h1_bad_version, weir_h1_bad_field, weir_h1_bad_framing,
    weir_h1_bad_host, weir_h1_bad_target, weir_h1_bad_chunk, weir_h1_bad_connection, weir_h1_bad_status,
    weir_h1_no_connect, weir_h1_no_coding, weir_h1_preface, weir_h1_head_large, weir_h1_body_large, weir_h1_no_memory;

/* One complete field: recorded, added or dropped. NULL: fine. */
const struct weir_malformed *weir_h1_check_field(struct weir_h1 *h, struct weir_str name, struct weir_str value);
/* A complete request head. NULL: fine. */
const struct weir_malformed *weir_h1_check_request(struct weir_h1 *h);
/* A complete response head; sets framing. NULL: fine. */
const struct weir_malformed *weir_h1_check_response(struct weir_h1 *h);
/* uri-host [":" port] (RFC 9110 7.2), without user information; for HTTP/2 too. */
bool weir_h1_authority_valid(struct weir_str s);
/* The value of a Content-Length; *seen: there has been one in this message. NULL, or what is wrong. */
const struct weir_malformed *weir_h1_note_length(struct weir_head *head, bool *seen, struct weir_str value);
/* What llhttp's refusal means. */
const struct weir_malformed *weir_h1_check_errno(llhttp_errno_t code, bool in_body);
/* Checks a request's start line up to where the version has been seen. Returns how many bytes were fine; *bad says why
 * it stopped, if it did. */
size_t weir_h1_check_line(struct weir_h1 *h, const uint8_t *p, size_t n, const struct weir_malformed **bad);

/* -- h1_write.c -- */

void weir_h1_write_request(struct weir_h1 *h, const struct weir_head *head, bool end);
/* `close`: announce that the connection ends. */
void weir_h1_write_response(struct weir_h1 *h, const struct weir_head *head, bool end, bool close);
void weir_h1_write_interim(struct weir_h1 *h, const struct weir_head *head);
void weir_h1_write_body(struct weir_h1 *h, const void *p, size_t n);
/* The last chunk and the trailers, where the body is chunked. */
void weir_h1_write_end(struct weir_h1 *h, const struct weir_fields *trailers);

#endif
