/* HTTP/2 (RFC 9113) behind the interface of http/codec.h: nghttp2 does frames, HPACK and stream states; what a message
 * means, and whether it may be believed, is checked here (h2_check.c).
 *
 * What differs from HTTP/1.1:
 * - Many exchanges at once: a client's `open` may be called slots() times, a server's `accept` comes while others are
 *   open. A reset ends its stream alone (RST_STREAM); so does whatever is wrong with one message. `busy` is called when
 *   the first exchange begins on a connection without any, `idle` when the last one is over.
 * - Credit: the peer is given windows at once (stream_window, conn_window) and they are opened again only as body bytes
 *   are handed on, which happens as far as the exchange was granted. What comes beyond the credit is kept: at most
 *   stream_window bytes for a stream and conn_window for all of them. A stalled stream stops the others only once such
 *   streams hold all of conn_window.
 * - Every exchange keeps at most WEIR_STREAM_BACKLOG_MAX of what it was given to send, and room() is its own.
 * - Events come from feed and writable alone, never from inside a downcall.
 * - A server's `malformed` is answered on the stream; the connection goes on. When accept says no, the stream is
 *   refused (REFUSED_STREAM).
 * - A message whose data does not have the announced length: RST_STREAM(PROTOCOL_ERROR), `reset` with PROTOCOL.
 * - weir_head.close is ignored; drain() is how a connection ends. A server's drain announces it first, with the highest
 *   id there is, and names the last stream once the client has had time to see that (RFC 9113 6.8): streams that were
 *   under way are still served. A client that does not answer is the owner's deadline.
 *
 * Unprocessed for certain: REFUSED_STREAM, a GOAWAY below the stream's id, and a head of which the kernel has not taken
 * every byte.
 *
 * Memory (x86-64, glibc's overhead apart): 26 KB for a new connection end, of which 16 KB are nghttp2's frame buffer;
 * 29 KB once HPACK's tables hold what SDKs send; 0.7 KB for each stream of a client and 0.6 KB for a server's. Bytes
 * that wait in or out come on top and are bounded as said above. Everything but messages' heads, which are in the
 * user's arena, comes from malloc and is gone with the codec; out of memory ends the connection. */
#ifndef WEIR_HTTP_H2_H
#define WEIR_HTTP_H2_H

#include "http/codec.h"

/* Streams at once that both sides assume until told otherwise: the least that RFC 9113 6.5.2 recommends. */
#define WEIR_H2_STREAMS_MAX 100
/* A window that a path of 50 ms fills at 20 MB/s. */
#define WEIR_H2_STREAM_WINDOW ((uint32_t)1 << 20)
/* Sixteen stalled streams of the above. */
#define WEIR_H2_CONN_WINDOW ((uint32_t)16 << 20)
/* A server's clients may be hostile: one of them is worth this much memory and no more. */
#define WEIR_H2_SERVER_STREAM_WINDOW ((uint32_t)128 << 10)
#define WEIR_H2_SERVER_CONN_WINDOW   ((uint32_t)1 << 20)
/* A browser that leaves a page resets what it had open: a few dozen streams. An attack resets thousands (rapid reset,
 * CVE-2023-44487). */
#define WEIR_H2_RESETS_PER_SECOND 100
/* PING, SETTINGS, PRIORITY_UPDATE, empty DATA, and tiny WINDOW_UPDATE frames beyond two for each DATA frame that they
 * were sent: peers send a few a second. */
#define WEIR_H2_NOISE_PER_SECOND 500
/* CONTINUATION frames of one head, besides those that a head as large as allowed fills; 16 KB each. */
#define WEIR_H2_CONTINUATIONS_MAX 8
/* What a field costs of a head's limit on top of its text (RFC 9113 6.5.2): 28 more than in HTTP/1.1. */
#define WEIR_H2_FIELD_OVERHEAD 32
/* Acknowledgements that wait to be sent (PING and SETTINGS floods): the connection is over beyond that. */
#define WEIR_H2_ACKS_MAX 100

/* A connection end with nothing open takes no more than this, HPACK's tables being full; measured by test. */
#define WEIR_H2_IDLE_BYTES ((size_t)48 << 10)
/* And each stream adds no more than this to it, without bytes that wait. */
#define WEIR_H2_STREAM_BYTES ((size_t)1024)

struct weir_h2_options {
    uint32_t streams_max; /* server: as announced; client: the most it opens, whatever the peer allows */
    uint32_t stream_window;
    uint32_t conn_window;
    uint32_t resets_per_second_max; /* streams that the peer resets, or has us reset by its faults; 0: no limit */
    uint32_t noise_per_second_max;  /* frames that move nothing; 0: no limit */
    bool https;                     /* client: `:scheme` */
};

/* The constants above. */
void weir_h2_options_init(struct weir_h2_options *o, bool server);

/* For a connection that ALPN settled on "h2", or with prior knowledge. The preface and SETTINGS go out with the first
 * turn. limits must outlive the codec, options are copied. Errors: NULL is out of memory. */
struct weir_codec *weir_h2_server_new(const struct weir_http_limits *limits, const struct weir_h2_options *options,
                                      const struct weir_codec_events *events, void *owner, struct weir_outbox *out);
struct weir_codec *weir_h2_client_new(const struct weir_http_limits *limits, const struct weir_h2_options *options,
                                      const struct weir_codec_events *events, void *owner, struct weir_outbox *out);

/* -- whether the peer is still there: deadlines are the owner's -- */

/* Sends a PING unless one is on its way already. */
void weir_h2_ping(struct weir_codec *c);
/* A PING was sent and is not answered yet. */
bool weir_h2_ping_pending(const struct weir_codec *c);
/* The peer's SETTINGS have come: exchanges_max is what it said. */
bool weir_h2_settled(const struct weir_codec *c);

/* -- a peer that takes nothing -- */

/* Body bytes of this exchange that left for the socket so far: a write clock looks whether it moves. */
uint64_t weir_h2_taken(const struct weir_exchange *x);
/* Bytes wait and the peer's window, of the stream or the connection, is shut: it stalls, not the network. */
bool weir_h2_stalled(const struct weir_exchange *x);

/* -- memory -- */

/* What this connection has on the heap now, nghttp2's part, streams and kept bytes included. */
size_t weir_h2_bytes(const struct weir_codec *c);

#endif
