#include "net/addr.h"
#include "net/outbox.h"
#include "net/stream.h"

#include "check_main.h"
#include "helper/net_run.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/un.h>
#include <unistd.h>

/* One end is a weir_stream on the reactor, the other a plain blocking socket of the test. */
static struct {
    struct weir_reactor r, r2;
    struct weir_stream *s;
    int peer;
    int listener;
    struct weir_addr addr;
    int started, code, events;
    struct weir_err err;
    char got[256];
    size_t got_len;
    ssize_t end; /* the result of the read that ended it */
    bool ended;
    bool close_in_started;
    bool close_in_event;
} f;

static void listen_loopback(void)
{
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof f.addr.v4;
    f.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(f.listener, (struct sockaddr *)&any, sizeof any), 0);
    ck_assert_int_eq(listen(f.listener, 16), 0);
    ck_assert_int_eq(getsockname(f.listener, &f.addr.sa, &len), 0);
}

static void setup(void)
{
    memset(&f, 0, sizeof f);
    f.peer = f.listener = -1;
    reactor_open(&f.r);
    reactor_open(&f.r2);
    listen_loopback();
}

static void teardown(void)
{
    weir_stream_close(&f.s, false);
    if (f.peer >= 0)
        close(f.peer);
    if (f.listener >= 0)
        close(f.listener);
    weir_reactor_close(&f.r);
    weir_reactor_close(&f.r2);
}

static void on_started(struct weir_stream *s, int code, const struct weir_err *err)
{
    ck_assert_ptr_eq(s, f.s);
    f.started++;
    f.code = code;
    if (err != NULL)
        f.err = *err;
    if (f.close_in_started)
        weir_stream_close(&f.s, false);
}

static void on_event(struct weir_stream *s)
{
    f.events++;
    if (f.close_in_event) {
        weir_stream_close(&f.s, false);
        return;
    }
    while ((s->source.ready & WEIR_READY_IN) != 0 && !f.ended) {
        ssize_t n = weir_stream_read(s, f.got + f.got_len, sizeof f.got - f.got_len);
        if (n > 0) {
            f.got_len += (size_t)n;
        } else if (n != WEIR_STREAM_AGAIN) {
            f.end = n;
            f.ended = true;
        }
    }
}

static void dial(const struct weir_tcp_opts *opts)
{
    struct weir_err err;
    ck_assert_int_eq(weir_tcp_connect(&f.s, &f.r, &f.addr.sa, weir_addr_len(&f.addr), opts, &err), WEIR_OK);
    f.s->event = on_event;
    weir_stream_start(f.s, on_started);
    ck_assert_int_eq(f.started, 0);
}

/* A started stream whose peer is f.peer. */
static void connect_pair(const struct weir_tcp_opts *opts)
{
    dial(opts);
    RUN_UNTIL(&f.r, f.started > 0);
    ck_assert_int_eq(f.code, WEIR_OK);
    f.peer = accept4(f.listener, NULL, NULL, SOCK_CLOEXEC);
    ck_assert_int_ge(f.peer, 0);
}

static int option(int fd, int level, int name)
{
    int value = -1;
    socklen_t len = sizeof value;
    ck_assert_int_eq(getsockopt(fd, level, name, &value, &len), 0);
    return value;
}

START_TEST(test_connects_reads_writes_and_sees_the_end)
{
    connect_pair(NULL);
    ck_assert_int_eq(write(f.peer, "hello", 5), 5);
    RUN_UNTIL(&f.r, f.got_len == 5);
    ck_assert_mem_eq(f.got, "hello", 5);
    struct iovec iov[2] = {{.iov_base = "ab", .iov_len = 2}, {.iov_base = "cde", .iov_len = 3}};
    ck_assert_int_eq(weir_stream_writev(f.s, iov, 2), 5);
    char back[8];
    ck_assert_int_eq(read(f.peer, back, sizeof back), 5);
    ck_assert_mem_eq(back, "abcde", 5);
    shutdown(f.peer, SHUT_WR);
    RUN_UNTIL(&f.r, f.ended);
    ck_assert_int_eq(f.end, 0);
    ck_assert(f.s->source.ready & WEIR_READY_HUP);
    ck_assert_int_eq(f.started, 1);
}
END_TEST

START_TEST(test_refused_connect_names_the_address)
{
    char text[WEIR_ADDR_TEXT_MAX], expected[200];
    close(f.listener);
    f.listener = -1;
    dial(NULL);
    RUN_UNTIL(&f.r, f.started > 0);
    ck_assert_int_eq(f.code, WEIR_EREFUSED);
    snprintf(expected, sizeof expected, "connect to %s: Connection refused", weir_addr_text(&f.addr, text));
    ck_assert_str_eq(f.err.msg, expected);
    run_idle(&f.r);
    ck_assert_int_eq(f.started, 1);
    ck_assert_int_eq(f.events, 0);
}
END_TEST

START_TEST(test_closed_while_connecting)
{
    dial(NULL);
    weir_stream_close(&f.s, true);
    ck_assert_ptr_null(f.s);
    run_idle(&f.r);
    ck_assert_int_eq(f.started, 0);
}
END_TEST

/* A full accept queue leaves the connect under way: the kernel drops the SYN and tries again after a second. */
START_TEST(test_again_does_not_finish_a_connect_under_way)
{
    ck_assert_int_eq(listen(f.listener, 0), 0);
    f.peer = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(connect(f.peer, &f.addr.sa, weir_addr_len(&f.addr)), 0);
    dial(NULL);
    run_idle(&f.r);
    weir_stream_again(f.s);
    run_idle(&f.r);
    ck_assert_int_eq(f.started, 0);
    weir_stream_close(&f.s, false);
}
END_TEST

START_TEST(test_closed_in_its_own_callbacks)
{
    f.close_in_started = true;
    dial(NULL);
    RUN_UNTIL(&f.r, f.started > 0);
    run_idle(&f.r);
    ck_assert_ptr_null(f.s);
    f.close_in_started = false;
    f.started = 0;
    f.close_in_event = true;
    close(accept(f.listener, NULL, NULL));
    connect_pair(NULL);
    ck_assert_int_eq(write(f.peer, "x", 1), 1);
    RUN_UNTIL(&f.r, f.s == NULL);
    ck_assert_int_eq(f.events, 1);
}
END_TEST

START_TEST(test_reset_reaches_the_peer_and_a_plain_close_is_an_end)
{
    char c;
    connect_pair(NULL);
    weir_stream_close(&f.s, true);
    ck_assert_int_eq(read(f.peer, &c, 1), -1);
    ck_assert_int_eq(errno, ECONNRESET);
    close(f.peer);
    f.started = 0;
    connect_pair(NULL);
    weir_stream_close(&f.s, false);
    ck_assert_int_eq(read(f.peer, &c, 1), 0);
}
END_TEST

START_TEST(test_peers_reset_is_an_error_of_read)
{
    struct linger abort_now = {.l_onoff = 1};
    connect_pair(NULL);
    setsockopt(f.peer, SOL_SOCKET, SO_LINGER, &abort_now, sizeof abort_now);
    close(f.peer);
    f.peer = -1;
    RUN_UNTIL(&f.r, f.ended);
    ck_assert_int_eq(f.end, -ECONNRESET);
    struct iovec iov = {.iov_base = "x", .iov_len = 1};
    ck_assert_int_eq(weir_stream_writev(f.s, &iov, 1), -EPIPE);
}
END_TEST

/* The end arrives together with the last bytes: no further edge comes, so a short read must not end the turn. */
START_TEST(test_bytes_and_end_in_one_edge)
{
    connect_pair(NULL);
    run_idle(&f.r);
    ck_assert_int_eq(write(f.peer, "bye", 3), 3);
    close(f.peer);
    f.peer = -1;
    RUN_UNTIL(&f.r, f.ended);
    ck_assert_uint_eq(f.got_len, 3);
    ck_assert_int_eq(f.end, 0);
}
END_TEST

START_TEST(test_short_read_clears_readiness_and_a_full_one_does_not)
{
    char buf[8];
    connect_pair(NULL);
    f.s->event = NULL;
    ck_assert_int_eq(write(f.peer, "123456", 6), 6);
    RUN_UNTIL(&f.r, (f.s->source.ready & WEIR_READY_IN) != 0);
    ck_assert_int_eq(weir_stream_read(f.s, buf, 4), 4);
    ck_assert(f.s->source.ready & WEIR_READY_IN);
    ck_assert_int_eq(weir_stream_read(f.s, buf, 4), 2);
    ck_assert(!(f.s->source.ready & WEIR_READY_IN));
    ck_assert_int_eq(weir_stream_read(f.s, buf, 4), WEIR_STREAM_AGAIN);
}
END_TEST

START_TEST(test_full_socket_clears_readiness_and_room_brings_an_edge)
{
    static char block[1 << 16];
    struct iovec iov = {.iov_base = block, .iov_len = sizeof block};
    struct weir_tcp_opts opts = {.send_buffer = 8192};
    connect_pair(&opts);
    RUN_UNTIL(&f.r, (f.s->source.ready & WEIR_READY_OUT) != 0);
    size_t sent = 0;
    for (ssize_t n; (n = weir_stream_writev(f.s, &iov, 1)) != WEIR_STREAM_AGAIN; sent += (size_t)n)
        ck_assert_int_gt(n, 0);
    ck_assert(!(f.s->source.ready & WEIR_READY_OUT));
    ck_assert_uint_gt(weir_stream_unacked(f.s), 0);
    for (size_t got = 0; got < sent;)
        got += (size_t)read(f.peer, block, sizeof block);
    RUN_UNTIL(&f.r, (f.s->source.ready & WEIR_READY_OUT) != 0);
    RUN_UNTIL(&f.r, weir_stream_unacked(f.s) == 0 || (weir_poller_wake(&f.r.poller), false));
}
END_TEST

START_TEST(test_moves_to_another_reactor_with_bytes_waiting)
{
    connect_pair(NULL);
    RUN_UNTIL(&f.r, f.s->source.ready != 0);
    f.events = 0;
    weir_stream_detach(f.s);
    ck_assert_ptr_null(f.s->reactor);
    ck_assert_int_eq(write(f.peer, "over", 4), 4);
    run_idle(&f.r);
    ck_assert_int_eq(f.events, 0);
    ck_assert_int_eq(weir_stream_attach(f.s, &f.r2, on_event, NULL), WEIR_OK);
    RUN_UNTIL(&f.r2, f.got_len == 4);
    run_idle(&f.r);
    ck_assert_mem_eq(f.got, "over", 4);
    weir_stream_detach(f.s);
    weir_stream_close(&f.s, false);
    char c;
    ck_assert_int_eq(read(f.peer, &c, 1), 0);
}
END_TEST

START_TEST(test_peer_gone_while_idle_disturbs)
{
    connect_pair(NULL);
    f.s->event = NULL;
    run_idle(&f.r);
    ck_assert(!weir_stream_disturbed(f.s));
    close(f.peer);
    f.peer = -1;
    RUN_UNTIL(&f.r, weir_stream_disturbed(f.s));
}
END_TEST

START_TEST(test_again_brings_an_event_without_an_edge)
{
    connect_pair(NULL);
    run_idle(&f.r);
    f.events = 0;
    weir_stream_again(f.s);
    ck_assert_int_eq(f.events, 0);
    run_idle(&f.r);
    ck_assert_int_eq(f.events, 1);
}
END_TEST

START_TEST(test_options_reach_the_socket)
{
    struct weir_tcp_opts opts = {.keepalive = true, .notsent_lowat = 16384, .recv_buffer = 65536};
    connect_pair(&opts);
    int fd = weir_stream_fd(f.s);
    ck_assert_int_ne(option(fd, IPPROTO_TCP, TCP_NODELAY), 0);
    ck_assert_int_ne(option(fd, SOL_SOCKET, SO_KEEPALIVE), 0);
    ck_assert_int_eq(option(fd, IPPROTO_TCP, TCP_KEEPIDLE), 60);
    ck_assert_int_eq(option(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT), 16384);
    ck_assert_int_ge(option(fd, SOL_SOCKET, SO_RCVBUF), 65536);
}
END_TEST

START_TEST(test_accepted_connections_inherit_what_the_listener_has)
{
    struct weir_tcp_opts opts = {.keepalive = true, .notsent_lowat = 16384, .inherited = true};
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof sa;
    int listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    weir_tcp_prepare_listener(listening, &opts);
    ck_assert_int_eq(bind(listening, (struct sockaddr *)&sa, len), 0);
    ck_assert_int_eq(listen(listening, 1), 0);
    ck_assert_int_eq(getsockname(listening, (struct sockaddr *)&sa, &len), 0);
    f.peer = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(connect(f.peer, (struct sockaddr *)&sa, len), 0);
    int fd = accept4(listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    close(listening);
    ck_assert_int_eq(weir_tcp_adopt(&f.s, &f.r, fd, &opts), WEIR_OK);
    ck_assert_int_ne(option(fd, IPPROTO_TCP, TCP_NODELAY), 0);
    ck_assert_int_eq(option(fd, IPPROTO_TCP, TCP_KEEPIDLE), 60);
    ck_assert_int_eq(option(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT), 16384);
}
END_TEST

START_TEST(test_adopts_a_unix_socket)
{
    int pair[2];
    struct weir_tcp_opts opts = {.keepalive = true};
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
    f.peer = pair[1];
    ck_assert_int_eq(weir_tcp_adopt(&f.s, &f.r, pair[0], &opts), WEIR_OK);
    f.s->event = on_event;
    ck_assert_int_eq(write(f.peer, "early", 5), 5);
    weir_stream_start(f.s, on_started);
    ck_assert_int_eq(f.started, 0);
    RUN_UNTIL(&f.r, f.got_len == 5);
    ck_assert_int_eq(f.started, 1);
    close(f.peer);
    f.peer = -1;
    RUN_UNTIL(&f.r, f.ended);
}
END_TEST

START_TEST(test_unix_connect_that_fails_at_once_tells_later)
{
    struct sockaddr_un nowhere = {.sun_family = AF_UNIX, .sun_path = "/nonexistent/weir.sock"};
    struct weir_err err;
    ck_assert_int_eq(weir_tcp_connect(&f.s, &f.r, (struct sockaddr *)&nowhere, sizeof nowhere, NULL, &err), WEIR_OK);
    weir_stream_start(f.s, on_started);
    ck_assert_int_eq(f.started, 0);
    RUN_UNTIL(&f.r, f.started > 0);
    ck_assert_str_eq(f.err.msg, "connect to unix:/nonexistent/weir.sock: No such file or directory");
}
END_TEST

CHECK_MAIN("tcp", setup, teardown, test_connects_reads_writes_and_sees_the_end, test_refused_connect_names_the_address,
           test_closed_while_connecting, test_again_does_not_finish_a_connect_under_way,
           test_closed_in_its_own_callbacks, test_reset_reaches_the_peer_and_a_plain_close_is_an_end,
           test_peers_reset_is_an_error_of_read, test_bytes_and_end_in_one_edge,
           test_short_read_clears_readiness_and_a_full_one_does_not,
           test_full_socket_clears_readiness_and_room_brings_an_edge, test_moves_to_another_reactor_with_bytes_waiting,
           test_peer_gone_while_idle_disturbs, test_again_brings_an_event_without_an_edge,
           test_options_reach_the_socket, test_accepted_connections_inherit_what_the_listener_has,
           test_adopts_a_unix_socket, test_unix_connect_that_fails_at_once_tells_later)
