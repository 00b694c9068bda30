/* What the two sides of HTTP/2 share: connection, streams, receiving and sending. Internal to common/http.
 *
 * nghttp2 must not be entered from its own callbacks. So a downcall made while nghttp2 or a callback of ours is on the
 * stack only queues (nghttp2's submit functions are fine there), and whoever is at the bottom of the stack sends. What
 * becomes known while sending is noted on the stream, which is put on the `due` list, and told from feed or writable.
 *
 * A stream ends twice: for its user (over) and for nghttp2 (closed). It is freed after both, and never while an entry
 * point is on the stack. A codec may be freed inside any callback: whoever made one looks at h->dead and s->over. */
#ifndef WEIR_HTTP_H2_IMPL_H
#define WEIR_HTTP_H2_IMPL_H

#include <nghttp2/nghttp2.h>

#include "core/list.h"
#include "http/h1.h"
#include "http/h2.h"

/* Every read while nothing is in the way; frames are at most this long unless we allow more. */
#define WEIR_H2_READ_BYTES WEIR_READ_BUFFER_BYTES
/* A request body's rest that is read and dropped when the response did not wait for it; then the stream is reset. */
#define WEIR_H2_DRAIN_BYTES_MAX ((uint64_t)65536)
/* What frames hold unless their receiver allows more (RFC 9113 6.5.2). */
#define WEIR_H2_FRAME_BYTES 16384
/* A head as it goes out, more than any that weir_http_limits let in: nghttp2's own limit, 64 KB, would have it sent
 * never, and without a word. */
#define WEIR_H2_SEND_HEAD_BYTES_MAX ((size_t)16 << 20)
/* Control frames that wait while the socket is full before nothing more is read. */
#define WEIR_H2_QUEUE_MAX 64
/* A WINDOW_UPDATE of less than that is noise, unless data went out that it may be for; as many are held against it. */
#define WEIR_H2_WINDOW_UPDATE_MIN 256
#define WEIR_H2_UPDATES_DUE_MAX   10000u

/* Bytes in order; grows by doubling, owns nothing when empty. */
struct weir_h2_buf {
    uint8_t *p;
    size_t at, len, cap;
};

/* A head, or trailers, while they arrive. Lives in the arena that the fields go to. */
struct weir_h2_head {
    struct weir_head head; /* first: this is what the user sees */
    const struct weir_malformed *bad;
    struct weir_str host, authority, priority;
    struct weir_str *crumbs; /* cookie fields (RFC 9113 8.2.3) */
    size_t crumb_count, crumb_cap;
    size_t bytes, fields;
    bool method_seen, scheme_seen, path_seen, authority_seen, status_seen, host_seen, length_seen;
    bool regular_seen; /* pseudo fields stand before all others */
    bool trailers;
};

struct weir_h2_stream {
    struct weir_exchange x; /* first */
    struct weir_h2 *h;
    struct weir_list all; /* in h->streams, or h->grave */
    struct weir_list due;
    struct weir_h2_head *head;   /* NULL unless a head or trailers are arriving, or trailers wait for the body */
    struct weir_arena *trailers; /* what they are kept in */
    struct weir_h2_buf in;       /* beyond the credit */
    struct weir_h2_buf out;      /* not yet framed */
    const uint8_t *lent;         /* during send_body: goes out behind `out` without being kept */
    size_t lent_len;
    nghttp2_nv *end_fields; /* our trailers, in one block with their text */
    size_t end_count;
    uint64_t credit;
    uint64_t body_total; /* received */
    uint64_t dropped;
    uint64_t taken;     /* framed */
    uint64_t send_left; /* announced by content-length and not yet given */
    uint64_t head_mark; /* client: out->bytes_total must get there for the peer to have the head; 0: not yet framed */
    int64_t length;     /* announced; WEIR_LENGTH_UNKNOWN */
    const char *fail_detail;
    uint32_t rst_code; /* sent once our END_STREAM is out, with rst_after */
    int32_t id;        /* 0: client, not yet submitted */
    uint8_t fail_reason;
    uint8_t interim_count;
    bool over : 1;         /* for its user */
    bool closed : 1;       /* for nghttp2 */
    bool counted : 1;      /* in exchanges_open */
    bool submitted : 1;    /* nghttp2 knows of it */
    bool head_in : 1;      /* the final one was delivered */
    bool remote_ended : 1; /* END_STREAM came */
    bool received : 1;     /* `end` was delivered */
    bool head_sent : 1;    /* the final one */
    bool sent : 1;         /* send_end was called */
    bool mute : 1;         /* what is to be sent goes nowhere: bodiless response, stream closed */
    bool spoilt : 1;       /* the body does not have the length that was announced */
    bool want_room : 1;
    bool deferred : 1; /* nghttp2 waits for nghttp2_session_resume_data */
    bool refused : 1;  /* malformed was told */
    bool drop_body : 1;
    bool no_body : 1;  /* response to HEAD, 204, 304 */
    bool bodiless : 1; /* server: the same of its own response, whose head ends the stream */
    bool head_method : 1;
    bool expect : 1;
    bool continued : 1;
    bool begun : 1;       /* client: a byte of the response has come */
    bool unprocessed : 1; /* the peer said so */
    bool fail_due : 1;
    bool rst_after : 1;
    bool length_sent : 1;
    bool reading : 1; /* its user is looking at `in` */
};

struct weir_h2 {
    struct weir_codec codec; /* first */
    nghttp2_session *session;
    const struct weir_http_limits *limits;
    struct weir_h2_options options;
    struct weir_list streams, due, grave;
    struct weir_list blocks;      /* of memory */
    struct weir_h2_stream *spare; /* one stream's memory, for the next one */
    nghttp2_mem mem;
    size_t bytes;       /* on the heap */
    const char *detail; /* why it ends */
    uint64_t meter_second;
    uint32_t resets, noise; /* in that second */
    uint32_t updates_due;   /* WINDOW_UPDATE frames that data we sent calls for */
    uint32_t held;          /* exchanges that their users have */
    uint32_t live;          /* streams that are not closed */
    int error;
    uint8_t depth; /* entry points on the stack */
    uint8_t reason;
    bool server : 1;
    bool inside : 1; /* nghttp2 is on the stack */
    bool receiving : 1;
    bool dead : 1;   /* freed while on the stack */
    bool broken : 1; /* nghttp2 cannot go on */
    bool eof : 1;
    bool closed : 1; /* `closed` was called */
    bool draining : 1;
    bool terminated : 1; /* GOAWAY with an error was sent */
    bool finishing : 1;  /* the last GOAWAY was submitted */
    bool settled : 1;
    bool ping_sent : 1;
    bool drain_ping : 1;
    bool idle_due : 1;
    bool slots_due : 1;
};

static inline struct weir_h2 *weir_h2_of(struct weir_codec *c)
{
    return WEIR_CONTAINER(c, struct weir_h2, codec);
}

static inline const struct weir_h2 *weir_h2_of_const(const struct weir_codec *c)
{
    return WEIR_CONTAINER(c, const struct weir_h2, codec);
}

static inline struct weir_h2_stream *weir_h2_stream_of(struct weir_exchange *x)
{
    return WEIR_CONTAINER(x, struct weir_h2_stream, x);
}

/* -- h2.c: the connection -- */

struct weir_h2 *weir_h2_new(const struct weir_codec_ops *ops, const struct weir_http_limits *limits,
                            const struct weir_h2_options *options, const struct weir_codec_events *events, void *owner,
                            struct weir_outbox *out, bool server);
void weir_h2_enter(struct weir_h2 *h);
/* Sends what is queued, tells what is due, and ends the connection where it is through. The caller's last statement. */
void weir_h2_leave(struct weir_h2 *h);
/* A downcall's end: sends, where nobody further down the stack will. */
void weir_h2_push(struct weir_h2 *h);
/* The driver is to come by once more, if nothing is on the stack that does it. */
void weir_h2_kick(struct weir_h2 *h);
/* The connection cannot go on; told when leaving. */
void weir_h2_break(struct weir_h2 *h, enum weir_reset_reason reason, const char *detail);
/* Ends the connection with a GOAWAY that says why. */
void weir_h2_terminate(struct weir_h2 *h, uint32_t code, const char *detail);
/* Counts one more in this second. Over the limit: terminates. */
void weir_h2_count_reset(struct weir_h2 *h);
void weir_h2_count_noise(struct weir_h2 *h);
/* The peer's limit, or whether new streams may be begun at all, has changed. */
void weir_h2_capacity(struct weir_h2 *h);
/* Ops that both sides share. */
size_t weir_h2_want(const struct weir_codec *c);
void weir_h2_feed(struct weir_codec *c, const uint8_t *p, size_t n);
void weir_h2_eof(struct weir_codec *c, int error);
void weir_h2_writable(struct weir_codec *c);
void weir_h2_free(struct weir_codec *c);

/* -- h2_stream.c: streams, and what both sides do with them -- */

/* NULL: out of memory. */
struct weir_h2_stream *weir_h2_stream_new(struct weir_h2 *h, const struct weir_exchange_ops *ops);
/* Over for its user: nothing is told any more. */
void weir_h2_stream_over(struct weir_h2_stream *s);
/* Closed for nghttp2. */
void weir_h2_stream_closed(struct weir_h2_stream *s);
/* Not in exchanges_open any more. */
void weir_h2_stream_uncount(struct weir_h2_stream *s);
/* Has weir_h2_tell_due look at it. */
void weir_h2_stream_due(struct weir_h2_stream *s);
/* RST_STREAM, unless nghttp2 has closed it. */
void weir_h2_stream_rst(struct weir_h2_stream *s, uint32_t code);
/* Ends the exchange with the `reset` event, at once or, while sending, when leaving. */
void weir_h2_stream_fail(struct weir_h2_stream *s, enum weir_reset_reason reason, const char *detail);
void weir_h2_stream_fail_later(struct weir_h2_stream *s, enum weir_reset_reason reason, const char *detail);
/* Body bytes have come: hands on what the credit covers and keeps the rest. */
void weir_h2_stream_body(struct weir_h2_stream *s, const uint8_t *p, size_t n);
/* END_STREAM has come, and what it means is fine. Tells `end` unless bytes wait before it. */
void weir_h2_stream_end(struct weir_h2_stream *s);
/* Everything that became due. One pass. */
void weir_h2_tell_due(struct weir_h2 *h);
/* Frees what is through. Nothing on the stack. */
void weir_h2_bury(struct weir_h2 *h);
/* What it keeps for its user is read by nobody: the windows get it back. */
void weir_h2_stream_drop_input(struct weir_h2_stream *s);
/* There is something to send, or the end: nghttp2 is to ask again. */
void weir_h2_stream_resume(struct weir_h2_stream *s);
/* False: out of memory. */
WEIR_MUST_USE bool weir_h2_buf_add(struct weir_h2 *h, struct weir_h2_buf *b, const void *p, size_t n);
void weir_h2_buf_take(struct weir_h2 *h, struct weir_h2_buf *b, size_t n);
void weir_h2_buf_free(struct weir_h2 *h, struct weir_h2_buf *b);
/* malloc and free, for us and for nghttp2, counted in h->bytes. */
void *weir_h2_alloc(struct weir_h2 *h, size_t n);
void *weir_h2_realloc(struct weir_h2 *h, void *p, size_t n);
void weir_h2_release(struct weir_h2 *h, void *p);
/* Every block that is left. This is also how a session is freed: nghttp2 1.52 frees a DATA item twice when it runs out
 * of memory while queueing it, so that nghttp2_session_del is not safe then. */
void weir_h2_release_all(struct weir_h2 *h);
/* downcalls that both sides have in common */
size_t weir_h2_send_body(struct weir_exchange *x, const void *p, size_t n);
size_t weir_h2_room(const struct weir_exchange *x);
void weir_h2_grant(struct weir_exchange *x, size_t bytes);
void weir_h2_reset(struct weir_exchange *x, enum weir_reset_reason reason);

/* -- h2_recv.c: what nghttp2 reads -- */

void weir_h2_recv_callbacks(nghttp2_session_callbacks *callbacks);

/* -- h2_send.c: what it writes -- */

void weir_h2_send_callbacks(nghttp2_session_callbacks *callbacks);
/* Heads and ends are queued with nghttp2; what cannot be queued fails the stream later. */
void weir_h2_submit_request(struct weir_h2_stream *s, const struct weir_head *head, bool end);
void weir_h2_submit_response(struct weir_h2_stream *s, const struct weir_head *head, bool end);
void weir_h2_submit_interim(struct weir_h2_stream *s, const struct weir_head *head);
void weir_h2_submit_end(struct weir_h2_stream *s, const struct weir_fields *trailers);

/* -- h2_check.c: what a head means, and whether it may be believed -- */

/* One field: recorded, added, or why not (kept in head->bad). */
void weir_h2_check_field(struct weir_h2_stream *s, struct weir_str name, struct weir_str value);
/* A complete head. NULL: fine. */
const struct weir_malformed *weir_h2_check_request(struct weir_h2_stream *s, bool end);
const struct weir_malformed *weir_h2_check_response(struct weir_h2_stream *s, bool end);
/* RFC 9218 5: false where the field says nothing. */
bool weir_h2_priority(struct weir_str value, nghttp2_extpri *out);

/* -- h2_server.c, h2_client.c -- */

/* A stream begins. NULL: not taken. */
struct weir_h2_stream *weir_h2_server_begin(struct weir_h2 *h, int32_t id);
void weir_h2_server_head(struct weir_h2_stream *s, bool end);
/* Has the user answer `why`. */
void weir_h2_server_refuse(struct weir_h2_stream *s, const struct weir_malformed *why, bool after_head);
void weir_h2_client_head(struct weir_h2_stream *s, bool end);

#endif
