#include "net/listener.h"

#include <assert.h>
#include <errno.h>
#include <linux/filter.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* The last accepts of a closing listener: twice what can be waiting, so that a flood cannot keep it from closing. */
#define DRAIN_MAX (2 * WEIR_LISTEN_BACKLOG)

static int set_flag(int fd, int level, int name, int value)
{
    return setsockopt(fd, level, name, &value, sizeof value);
}

/* Accepted sockets inherit TCP_NODELAY; SO_REUSEADDR only passes over connections in TIME_WAIT. */
static int open_socket(const struct weir_addr *addr, bool shared)
{
    int fd = socket(addr->sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    set_flag(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    set_flag(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    if (addr->sa.sa_family == AF_INET6)
        set_flag(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0);
    if ((!shared || set_flag(fd, SOL_SOCKET, SO_REUSEPORT, 1) == 0) && bind(fd, &addr->sa, weir_addr_len(addr)) == 0 &&
        listen(fd, WEIR_LISTEN_BACKLOG) == 0 && (shared || set_flag(fd, SOL_SOCKET, SO_REUSEPORT, 1) == 0))
        return fd;
    int saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

static int listen_error(struct weir_err *err, const struct weir_addr *addr)
{
    char text[WEIR_ADDR_TEXT_MAX];
    int code = WEIR_EIO;
    if (errno == EADDRINUSE)
        code = WEIR_EBUSY;
    else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
        code = WEIR_ELIMIT;
    return weir_err_set(err, code, "listen on %s: %s%s", weir_addr_text(addr, text), strerrordesc_np(errno),
                        code == WEIR_EBUSY ? " (ss -ltnp shows by whom)" : "");
}

int weir_listen_open(int *fds, unsigned count, struct weir_addr *addr, struct weir_err *err)
{
    unsigned opened = 0;
    int code;
    if (weir_addr_len(addr) == 0)
        return weir_err_set(err, WEIR_EIO, "listen: no address");
    for (; opened < count; opened++) {
        fds[opened] = open_socket(addr, opened > 0);
        if (fds[opened] < 0)
            goto err_after_some;
        struct weir_addr bound = {0};
        socklen_t len = sizeof bound;
        if (getsockname(fds[opened], &bound.sa, &len) != 0) {
            opened++;
            goto err_after_some;
        }
        *addr = bound;
    }
    return WEIR_OK;

err_after_some:
    code = listen_error(err, addr);
    while (opened > 0)
        close(fds[--opened]);
    return code;
}

static void set_trouble(struct weir_listener *l, int error)
{
    bool changed = (l->error != 0) != (error != 0);
    l->error = error;
    if (changed && l->trouble != NULL)
        l->trouble(l, error);
}

/* Errors of one connection that died in the queue, or of its network: the next one may be well (accept(2), NOTES). */
static bool is_of_one_connection(int error)
{
    switch (error) {
    case EINTR:
    case ECONNABORTED:
    case EPERM:
    case EPROTO:
    case ENOPROTOOPT:
    case ENETDOWN:
    case ENETUNREACH:
    case ENONET:
    case EHOSTDOWN:
    case EHOSTUNREACH:
    case EOPNOTSUPP:
        return true;
    default:
        return false;
    }
}

/* Up to `most` connections; the errno that ended it, or 0. */
static int accept_some(struct weir_listener *l, unsigned most)
{
    for (unsigned i = 0; i < most && l->open; i++) {
        struct sockaddr_storage sa;
        socklen_t len = sizeof sa;
        int fd = accept4(l->source.fd, (struct sockaddr *)&sa, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0 && is_of_one_connection(errno))
            continue;
        if (fd < 0)
            return errno;
        struct weir_addr peer;
        weir_addr_set(&peer, (struct sockaddr *)&sa, len);
        l->accepted_total++;
        set_trouble(l, 0);
        l->accepted(l, fd, &peer);
        if (l->held && !l->closing)
            return 0;
    }
    return 0;
}

static void run_listener(struct weir_source *src)
{
    struct weir_listener *l = WEIR_CONTAINER(src, struct weir_listener, source);
    if (l->held)
        return;
    int error = accept_some(l, WEIR_ACCEPT_TURN_MAX);
    if (!l->open || l->held)
        return;
    if (error == 0) {
        weir_poller_again(&l->reactor->poller, src);
    } else if (error == EAGAIN) {
        src->ready &= (uint8_t)~WEIR_READY_IN;
    } else {
        set_trouble(l, error);
        if (l->open)
            weir_reactor_deadline(l->reactor, &l->retry, l->reactor->now_ms + WEIR_ACCEPT_RETRY_MS);
    }
}

static void on_retry(struct weir_deadline *d, uint64_t now_ms)
{
    struct weir_listener *l = WEIR_CONTAINER(d, struct weir_listener, retry);
    (void)now_ms;
    weir_poller_again(&l->reactor->poller, &l->source);
}

int weir_listener_start(struct weir_listener *l, struct weir_reactor *r, int fd)
{
    assert(l->accepted != NULL && !l->open);
    weir_source_init(&l->source, fd, run_listener);
    weir_deadline_init(&l->retry, on_retry);
    l->reactor = r;
    l->error = 0;
    l->held = l->closing = false;
    int rv = weir_poller_add(&r->poller, &l->source);
    l->open = rv == WEIR_OK;
    return rv;
}

void weir_listener_hold(struct weir_listener *l, bool held)
{
    if (l->held == held || !l->open || l->closing)
        return;
    l->held = held;
    if (!held)
        weir_poller_again(&l->reactor->poller, &l->source);
}

/* A filter sees segments from their TCP header on: SYN is bit 1 of the flags in byte 13 (RFC 9293 3.1). Where the
 * kernel takes no filter, closing is as good as without. */
void weir_listener_turn_away(struct weir_listener *l)
{
    enum { FLAGS_AT = 13, SYN = 0x02 };
    struct sock_filter drop_syn[] = {
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, FLAGS_AT),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, SYN, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, 0),
        BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
    };
    struct sock_fprog program = {sizeof drop_syn / sizeof drop_syn[0], drop_syn};
    if (l->open)
        setsockopt(l->source.fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program);
}

void weir_listener_close(struct weir_listener *l)
{
    if (!l->open || l->closing) /* the callbacks of the last accepts may call it again */
        return;
    l->closing = true;
    accept_some(l, DRAIN_MAX);
    l->open = l->closing = false;
    weir_deadline_drop(&l->reactor->wheel, &l->retry);
    weir_poller_forget(&l->reactor->poller, &l->source);
    close(l->source.fd);
    l->source.fd = -1;
}
