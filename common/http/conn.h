/* A stream, a codec and an outbox joined: the loop that reads until short within a byte budget, feeds the codec,
 * flushes what that produced, and notices a peer that goes away, in every state. Used by the node's client and upstream
 * sides and by the mock. It may move between reactors while it is idle. */
#ifndef WEIR_HTTP_CONN_H
#define WEIR_HTTP_CONN_H

#include "http/codec.h"

/* Bytes read per turn and connection before the others get theirs. */
#define WEIR_CONN_TURN_BYTES ((size_t)262144)

struct weir_http_conn {
    struct weir_stream *stream;
    struct weir_codec *codec;
    struct weir_outbox out;
    uint64_t last_read_us, last_write_us; /* reactor clock; writes: last time the kernel took bytes */
    /* Cells of the thread that it is on, to which bytes are added in the turn that moves them; NULL: nobody counts. The
     * owner's to set, again before an attach. */
    uint64_t *in_cell, *out_cell;
    struct weir_deadline linger;
    uint64_t written; /* out.bytes_total as of last_write_us, and as counted */
    bool *gone;       /* while its driver is on the stack: set when the conn is closed under it */
    int write_error;  /* client side: not yet told, the answer to an early end may still be there to be read */
    bool server;      /* a HUP while an exchange is open is a client abort at once, unread bytes notwithstanding */
    bool
        watch_idle; /* client side, parked: the peer's end closes it (codec `closed`) without looking for bytes first */
    bool closing;
};

/* Takes the stream (started) and the codec is then made on &conn->out by the caller and set with weir_http_conn_run. */
void weir_http_conn_init(struct weir_http_conn *c, struct weir_stream *stream, bool server);
/* Starts to read. Bytes that came before (a PROXY header's rest) may be given first, at most 16 KB of them. */
void weir_http_conn_run(struct weir_http_conn *c, struct weir_codec *codec, const uint8_t *early, size_t early_len);
/* Something changed outside (credit, room): have the socket looked at again in this turn. Called by the codecs. */
void weir_http_conn_kick(struct weir_http_conn *c);
/* For whoever reads into the reactor's buffer past a conn: senders that refer to it write that out, or keep what the
 * kernel does not take. */
void weir_http_conn_reclaim(struct weir_reactor *r);
/* Idle only; legal inside `idle`. Between detach and attach no thread may call anything but attach and close. */
void weir_http_conn_detach(struct weir_http_conn *c);
WEIR_MUST_USE int weir_http_conn_attach(struct weir_http_conn *c, struct weir_reactor *r);
/* Frees codec, outbox and stream, without callbacks. Legal inside any callback. */
void weir_http_conn_close(struct weir_http_conn *c, bool reset);

#endif
