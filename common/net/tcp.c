/* Plain sockets as streams.
 *
 * Adopted: start registers, `started` follows from the run queue.
 * Connecting: start calls connect. In progress: the socket is registered and its first OUT or HUP says how it ended.
 * Done at once (unix sockets), refused at once, or not registrable: nothing is called from inside start; the run queue
 * brings the result. Close is legal in each of these states; closing an unfinished connect aborts it. */
#include <assert.h>
#include <errno.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/addr.h"
#include "net/stream.h"

#define KEEPALIVE_IDLE_S     60
#define KEEPALIVE_INTERVAL_S 10
#define KEEPALIVE_PROBES     6

enum tcp_state { TCP_NEW, TCP_CONNECTING, TCP_STARTED, TCP_OPEN, TCP_FAILED };

/* Needed until connected only: an idle connection does not carry it. */
struct dial {
    socklen_t len;
    struct sockaddr_storage addr;
};

struct tcp {
    struct weir_stream base;
    struct dial *dial;
    int start_error; /* a positive errno */
    uint8_t state;
    bool registered;
};

static struct tcp *tcp_of(struct weir_stream *s)
{
    return WEIR_CONTAINER(s, struct tcp, base);
}

/* Options are wishes: a unix socket has none of the TCP ones, and a connection without them still works. */
static void set_option(int fd, int level, int name, int value)
{
    (void)setsockopt(fd, level, name, &value, sizeof value);
}

static void set_options(int fd, const struct weir_tcp_opts *opts)
{
    set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    if (opts == NULL)
        return;
    if (opts->keepalive) {
        set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
        set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_S);
        set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S);
        set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_PROBES);
    }
    if (opts->send_buffer > 0)
        set_option(fd, SOL_SOCKET, SO_SNDBUF, opts->send_buffer);
    if (opts->recv_buffer > 0)
        set_option(fd, SOL_SOCKET, SO_RCVBUF, opts->recv_buffer);
    if (opts->notsent_lowat > 0)
        set_option(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, opts->notsent_lowat);
}

void weir_tcp_prepare_listener(int fd, const struct weir_tcp_opts *opts)
{
    set_options(fd, opts);
}

static int register_source(struct tcp *t, struct weir_reactor *r)
{
    int rv = weir_poller_add(&r->poller, &t->base.source);
    t->registered = rv == WEIR_OK;
    return rv;
}

static void tcp_start(struct weir_stream *s)
{
    struct tcp *t = tcp_of(s);
    assert(t->state == TCP_NEW);
    t->state = TCP_STARTED;
    if (t->dial != NULL && connect(s->source.fd, (struct sockaddr *)&t->dial->addr, t->dial->len) != 0) {
        if (errno == EINPROGRESS)
            t->state = TCP_CONNECTING;
        else
            t->start_error = errno;
    }
    if (t->start_error == 0 && register_source(t, s->reactor) != WEIR_OK)
        t->start_error = errno;
    if (t->start_error != 0 || t->state == TCP_STARTED)
        weir_stream_again(s);
}

static int start_error_code(int error)
{
    switch (error) {
    case ETIMEDOUT:
        return WEIR_ETIMEOUT;
    case ECONNREFUSED:
        return WEIR_EREFUSED;
    case ENETUNREACH:
    case EHOSTUNREACH:
        return WEIR_EUNREACHABLE;
    case ECONNRESET:
        return WEIR_ECLOSED;
    default:
        return WEIR_EIO;
    }
}

static void tell_failure(struct tcp *t)
{
    struct weir_err err;
    char text[WEIR_ADDR_TEXT_MAX] = "accepted connection";
    if (t->dial != NULL)
        weir_sockaddr_text((struct sockaddr *)&t->dial->addr, t->dial->len, text);
    const char *why = strerrordesc_np(t->start_error);
    int code = start_error_code(t->start_error);
    weir_err_set(&err, code, "connect to %s: %s", text, why != NULL ? why : "unknown error");
    t->state = TCP_FAILED;
    t->base.started(&t->base, code, &err);
}

static void finish_start(struct tcp *t)
{
    struct weir_source *src = &t->base.source;
    if (t->start_error == 0 && t->state == TCP_CONNECTING) {
        if ((src->ready & (WEIR_READY_OUT | WEIR_READY_HUP)) == 0)
            return; /* somebody asked for `again`; the connect is still under way */
        int error = 0;
        socklen_t len = sizeof error;
        if (getsockopt(src->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
            error = errno;
        t->start_error = error;
    }
    if (t->start_error != 0) {
        tell_failure(t);
        return;
    }
    t->state = TCP_OPEN;
    free(t->dial);
    t->dial = NULL;
    /* What came with the same edge is announced after `started` and still in this turn, as if this run had been none.
     */
    if ((src->ready & (WEIR_READY_IN | WEIR_READY_HUP)) != 0) {
        src->ran--;
        weir_stream_again(&t->base);
    }
    t->base.started(&t->base, WEIR_OK, NULL);
}

static void run_tcp(struct weir_source *src)
{
    struct weir_stream *s = WEIR_CONTAINER(src, struct weir_stream, source);
    struct tcp *t = tcp_of(s);
    if (t->state == TCP_OPEN) {
        if (s->event != NULL)
            s->event(s);
    } else if (t->state == TCP_CONNECTING || t->state == TCP_STARTED) {
        finish_start(t);
    }
}

static ssize_t tcp_read(struct weir_stream *s, void *buf, size_t len)
{
    ssize_t n;
    do
        n = recv(s->source.fd, buf, len, 0);
    while (n < 0 && errno == EINTR);
    if (n < 0) {
        if (errno != EAGAIN)
            return -errno;
        s->source.ready &= (uint8_t)~WEIR_READY_IN;
        return WEIR_STREAM_AGAIN;
    }
    /* A short read has emptied the socket and the next byte brings a new edge, but an end that was already announced
     * brings none: then reading goes on until it is met. */
    if ((size_t)n < len && (s->source.ready & WEIR_READY_HUP) == 0)
        s->source.ready &= (uint8_t)~WEIR_READY_IN;
    return n;
}

static ssize_t tcp_writev(struct weir_stream *s, const struct iovec *iov, int count)
{
    struct msghdr msg = {.msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = (size_t)count};
    ssize_t n;
    do /* one piece is the usual case, and the kernel has less to copy in for send */
        n = count == 1 ? send(s->source.fd, iov->iov_base, iov->iov_len, MSG_NOSIGNAL)
                       : sendmsg(s->source.fd, &msg, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    if (n < 0) {
        if (errno != EAGAIN)
            return -errno;
        s->source.ready &= (uint8_t)~WEIR_READY_OUT;
        return WEIR_STREAM_AGAIN;
    }
    size_t left = (size_t)n;
    for (int i = 0; i < count; i++) {
        if (iov[i].iov_len > left) { /* full: an edge follows when there is room */
            s->source.ready &= (uint8_t)~WEIR_READY_OUT;
            break;
        }
        left -= iov[i].iov_len;
    }
    return n;
}

static size_t tcp_pending(const struct weir_stream *s)
{
    (void)s;
    return 0;
}

static void tcp_detach(struct weir_stream *s)
{
    struct tcp *t = tcp_of(s);
    assert(t->state == TCP_NEW || t->state == TCP_OPEN);
    if (t->registered)
        weir_poller_remove(&s->reactor->poller, &s->source);
    t->registered = false;
}

static int tcp_attach(struct weir_stream *s, struct weir_reactor *r)
{
    struct tcp *t = tcp_of(s);
    return t->state == TCP_OPEN ? register_source(t, r) : WEIR_OK;
}

static void tcp_close(struct weir_stream *s, bool reset)
{
    struct tcp *t = tcp_of(s);
    if (reset) {
        struct linger abort_now = {.l_onoff = 1, .l_linger = 0};
        (void)setsockopt(s->source.fd, SOL_SOCKET, SO_LINGER, &abort_now, sizeof abort_now);
    }
    if (t->registered)
        weir_poller_forget(&s->reactor->poller, &s->source);
    weir_list_remove(&s->source.queued);
    close(s->source.fd);
    free(t->dial);
    free(t);
}

static void tcp_finish(struct weir_stream *s)
{
    (void)shutdown(s->source.fd, SHUT_WR);
}

static const struct weir_stream_ops TCP_OPS = {
    .start = tcp_start,
    .read = tcp_read,
    .writev = tcp_writev,
    .pending = tcp_pending,
    .detach = tcp_detach,
    .attach = tcp_attach,
    .close = tcp_close,
    .finish = tcp_finish,
};

size_t weir_tcp_bytes(void)
{
    return sizeof(struct tcp);
}

static struct tcp *new_tcp(struct weir_reactor *r, int fd)
{
    struct tcp *t = calloc(1, sizeof *t);
    if (t == NULL)
        return NULL;
    weir_source_init(&t->base.source, fd, run_tcp);
    t->base.ops = &TCP_OPS;
    t->base.reactor = r;
    return t;
}

int weir_tcp_adopt(struct weir_stream **out, struct weir_reactor *r, int fd, const struct weir_tcp_opts *opts)
{
    *out = NULL;
    struct tcp *t = new_tcp(r, fd);
    if (t == NULL)
        return WEIR_ENOMEM;
    if (opts == NULL || !opts->inherited)
        set_options(fd, opts);
    *out = &t->base;
    return WEIR_OK;
}

int weir_tcp_connect(struct weir_stream **out, struct weir_reactor *r, const struct sockaddr *addr, socklen_t addr_len,
                     const struct weir_tcp_opts *opts, struct weir_err *err)
{
    char text[WEIR_ADDR_TEXT_MAX];
    *out = NULL;
    assert(addr_len <= sizeof(struct sockaddr_storage));
    int fd = socket(addr->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        int code = errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM ? WEIR_ELIMIT : WEIR_EIO;
        return weir_err_set(err, code, "connect to %s: %s", weir_sockaddr_text(addr, addr_len, text),
                            strerrordesc_np(errno));
    }
    struct tcp *t = new_tcp(r, fd);
    struct dial *dial = malloc(sizeof *dial);
    if (t == NULL || dial == NULL) {
        free(t);
        free(dial);
        close(fd);
        return weir_err_set(err, WEIR_ENOMEM, "connect to %s: out of memory", weir_sockaddr_text(addr, addr_len, text));
    }
    dial->len = addr_len;
    memcpy(&dial->addr, addr, addr_len);
    t->dial = dial;
    set_options(fd, opts);
    *out = &t->base;
    return WEIR_OK;
}

size_t weir_stream_unacked(const struct weir_stream *s)
{
    int bytes = 0;
    if (s->source.fd < 0 || ioctl(s->source.fd, SIOCOUTQ, &bytes) != 0 || bytes < 0)
        return 0;
    return (size_t)bytes;
}

int weir_stream_fd(const struct weir_stream *s)
{
    return s->source.fd;
}
