/* A reliable byte stream: plain TCP, a unix socket, TLS over either, or a test's script. Nothing above common/net sees
 * a descriptor.
 *
 * Life: made (by accept, connect or attach) -> start -> started callback -> read/writev -> close. One owner at a
 * time; the owner's `event` callback runs on the reactor's thread whenever reading or writing may make progress, and
 * after weir_stream_again. `ready` is sticky: only a read or write that meets EAGAIN, a short write, or a short read
 * without HUP, clears it.
 *
 * Between detach and attach a stream belongs to no thread and may be posted to another one's mailbox. */
#ifndef WEIR_NET_STREAM_H
#define WEIR_NET_STREAM_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "core/err.h"
#include "core/str.h"
#include "net/reactor.h"

struct weir_stream;
typedef void (*weir_stream_event_cb)(struct weir_stream *s);
/* code 0: bytes may flow. Else err says which step failed and for whom; the stream must then be closed by its owner.
 * Never called from inside weir_stream_start. */
typedef void (*weir_stream_started_cb)(struct weir_stream *s, int code, const struct weir_err *err);

#define WEIR_STREAM_AGAIN ((ssize_t)-11) /* -EAGAIN: would block */

struct weir_stream_ops {
    void (*start)(struct weir_stream *s);
    ssize_t (*read)(struct weir_stream *s, void *buf, size_t len);
    ssize_t (*writev)(struct weir_stream *s, const struct iovec *iov, int count);
    size_t (*pending)(const struct weir_stream *s);
    void (*detach)(struct weir_stream *s);
    int (*attach)(struct weir_stream *s, struct weir_reactor *r);
    void (*close)(struct weir_stream *s, bool reset); /* frees it */
    void (*finish)(struct weir_stream *s);            /* NULL: there is no half-close */
    bool (*disturbed)(struct weir_stream *s);         /* NULL: what `ready` and `pending` say */
};

struct weir_stream {
    struct weir_source source; /* first: the poller's view of it */
    const struct weir_stream_ops *ops;
    struct weir_reactor *reactor; /* NULL between detach and attach */
    weir_stream_event_cb event;
    weir_stream_started_cb started;
    void *owner;
};

/* Begins the set-up (connect, handshake); `started` is called exactly once, unless the stream is closed before. Set
 * `event` and `owner` before, or in `started`: what came with the set-up's last edge is announced right after it. */
void weir_stream_start(struct weir_stream *s, weir_stream_started_cb started);

/* > 0: bytes read; 0: the peer has ended its direction; WEIR_STREAM_AGAIN; else a negative errno. */
static inline ssize_t weir_stream_read(struct weir_stream *s, void *buf, size_t len)
{
    return s->ops->read(s, buf, len);
}
/* >= 0: bytes taken, fewer than offered when the buffer is full; WEIR_STREAM_AGAIN; else a negative errno. */
static inline ssize_t weir_stream_writev(struct weir_stream *s, const struct iovec *iov, int count)
{
    return s->ops->writev(s, iov, count);
}
/* Bytes held that no edge will announce (TLS plaintext). */
static inline size_t weir_stream_pending(const struct weir_stream *s)
{
    return s->ops->pending(s);
}
/* The peer has closed, errored, or sent bytes nobody asked for: an idle connection in this state is not to be used.
 * What the transport itself receives while idle (TLS session tickets) is taken in on the way and does not count. */
static inline bool weir_stream_disturbed(struct weir_stream *s)
{
    if (s->ops->disturbed != NULL)
        return s->ops->disturbed(s);
    return (s->source.ready & (WEIR_READY_IN | WEIR_READY_HUP)) != 0 || weir_stream_pending(s) > 0;
}
/* Have `event` called once more without an edge (credit came back, budget was spent). */
void weir_stream_again(struct weir_stream *s);
/* Leaves its thread; the outbox on it must be empty. Legal before start and when started, not in between. `attach`
 * looks at the socket afresh: what is ready there is announced by `event` in the next turn. Errors of attach: WEIR_EIO;
 * the stream is then still detached and the caller's to close. */
void weir_stream_detach(struct weir_stream *s);
WEIR_MUST_USE int weir_stream_attach(struct weir_stream *s, struct weir_reactor *r, weir_stream_event_cb event,
                                     void *owner);
/* Ends our direction, once everything was written: the peer reads the end, and we still read what it sends. */
static inline void weir_stream_finish(struct weir_stream *s)
{
    if (s->ops->finish != NULL)
        s->ops->finish(s);
}
/* Closes, frees, nulls. Legal in every state and inside its own callbacks (the owner must not touch it afterwards).
 * `reset`: abort (RST) rather than an orderly end. */
void weir_stream_close(struct weir_stream **s, bool reset);

/* -- plain sockets (net/tcp.c) -- */

struct weir_tcp_opts {
    bool keepalive;  /* SO_KEEPALIVE: 60 s idle, 10 s between probes, 6 probes */
    int send_buffer; /* bytes, 0: the kernel's choice */
    int recv_buffer;
    int notsent_lowat; /* TCP_NOTSENT_LOWAT, 0: off */
    bool inherited;    /* adopt: the listening socket had all of this already, so nothing is left to set */
};

/* Sets them on a listening socket: Linux gives them to each connection that it accepts. */
void weir_tcp_prepare_listener(int fd, const struct weir_tcp_opts *opts);

/* Takes over a connected, non-blocking descriptor, TCP or unix; it must still be started. opts may be NULL. Errors:
 * WEIR_ENOMEM; the caller then still owns fd. */
int weir_tcp_adopt(struct weir_stream **out, struct weir_reactor *r, int fd, const struct weir_tcp_opts *opts);
/* A stream whose start connects to addr (copied). opts may be NULL. Errors: WEIR_ENOMEM, WEIR_ELIMIT (descriptors),
 * WEIR_EIO. `started` then gets WEIR_EREFUSED, WEIR_EUNREACHABLE, WEIR_ECLOSED (reset),
 * WEIR_ETIMEOUT (the kernel gave up) or WEIR_EIO, with the address in the sentence. There
 * is no clock in here: the owner's deadline closes the stream. */
int weir_tcp_connect(struct weir_stream **out, struct weir_reactor *r, const struct sockaddr *addr, socklen_t addr_len,
                     const struct weir_tcp_opts *opts, struct weir_err *err);
/* What a stream takes of the memory, the kernel's share apart. */
size_t weir_tcp_bytes(void);
/* Bytes the kernel holds that the peer has not acknowledged (SIOCOUTQ); 0 when unknown. For the client's write clock.
 */
size_t weir_stream_unacked(const struct weir_stream *s);
/* The descriptor, for handing an accepted connection on before anything was read; -1 when there is none. */
int weir_stream_fd(const struct weir_stream *s);

#endif
