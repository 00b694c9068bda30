#include "net/listener.h"

#include "check_main.h"
#include "helper/net_run.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define CLIENTS 200

static struct {
    struct weir_reactor r;
    struct weir_listener l;
    struct weir_addr addr;
    int fds[4];
    unsigned accepted;
    unsigned accepted_in_turn, accepted_in_turn_max;
    uint64_t turn;
    struct weir_addr peer;
    int last_fd_flags, last_status_flags;
    int troubles[8];
    unsigned trouble_count;
    bool close_at_first, hold_at_first;
    int clients[CLIENTS];
    unsigned client_count;
} f;

static void on_accepted(struct weir_listener *l, int fd, const struct weir_addr *peer)
{
    if (f.turn != f.r.poller.turns)
        f.accepted_in_turn = 0;
    f.turn = f.r.poller.turns;
    f.accepted++;
    f.accepted_in_turn++;
    if (f.accepted_in_turn > f.accepted_in_turn_max)
        f.accepted_in_turn_max = f.accepted_in_turn;
    f.peer = *peer;
    f.last_fd_flags = fcntl(fd, F_GETFD);
    f.last_status_flags = fcntl(fd, F_GETFL);
    close(fd);
    if (f.close_at_first)
        weir_listener_close(l);
    if (f.hold_at_first)
        weir_listener_hold(l, true);
}

static void on_trouble(struct weir_listener *l, int error)
{
    ck_assert_ptr_eq(l, &f.l);
    ck_assert_uint_lt(f.trouble_count, 8);
    f.troubles[f.trouble_count++] = error;
}

static void setup(void)
{
    memset(&f, 0, sizeof f);
    reactor_open(&f.r);
    ck_assert(weir_addr_literal(&f.addr, WEIR_STR("127.0.0.1"), 0));
    f.l.accepted = on_accepted;
    f.l.trouble = on_trouble;
}

static void teardown(void)
{
    weir_listener_close(&f.l);
    for (unsigned i = 0; i < f.client_count; i++)
        close(f.clients[i]);
    weir_reactor_close(&f.r);
}

static void open_one(void)
{
    struct weir_err err = {0};
    ck_assert_msg(weir_listen_open(f.fds, 1, &f.addr, &err) == WEIR_OK, "%s", err.msg);
    ck_assert_int_eq(weir_listener_start(&f.l, &f.r, f.fds[0]), WEIR_OK);
}

static void connect_clients(unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        ck_assert_int_ge(fd, 0);
        ck_assert_int_eq(connect(fd, &f.addr.sa, weir_addr_len(&f.addr)), 0);
        f.clients[f.client_count++] = fd;
    }
}

START_TEST(test_accepts_with_the_peers_address)
{
    open_one();
    ck_assert_uint_ne(weir_addr_port(&f.addr), 0);
    connect_clients(1);
    RUN_UNTIL(&f.r, f.accepted == 1);
    struct weir_addr local = {0};
    socklen_t len = sizeof local;
    getsockname(f.clients[0], &local.sa, &len);
    ck_assert(weir_addr_eq(&local, &f.peer));
    ck_assert(f.last_fd_flags & FD_CLOEXEC);
    ck_assert(f.last_status_flags & O_NONBLOCK);
}
END_TEST

START_TEST(test_takes_a_bounded_number_a_turn)
{
    open_one();
    connect_clients(CLIENTS);
    RUN_UNTIL(&f.r, f.accepted == CLIENTS);
    ck_assert_uint_eq(f.accepted_in_turn_max, WEIR_ACCEPT_TURN_MAX);
}
END_TEST

START_TEST(test_workers_share_one_port)
{
    struct weir_err err = {0};
    ck_assert_int_eq(weir_listen_open(f.fds, 4, &f.addr, &err), WEIR_OK);
    for (int i = 0; i < 4; i++) {
        struct weir_addr bound = {0};
        socklen_t len = sizeof bound;
        ck_assert_int_eq(getsockname(f.fds[i], &bound.sa, &len), 0);
        ck_assert(weir_addr_eq(&bound, &f.addr));
    }
    /* All of them get connections, the first one too, which joined the group late. */
    int counts[4] = {0};
    connect_clients(CLIENTS);
    for (int i = 0; i < 4; i++) {
        for (int fd; (fd = accept(f.fds[i], NULL, NULL)) >= 0; close(fd))
            counts[i]++;
        ck_assert_int_gt(counts[i], 0);
        close(f.fds[i]);
    }
    ck_assert_int_eq(counts[0] + counts[1] + counts[2] + counts[3], CLIENTS);
}
END_TEST

/* The other process: a weir-node would hold the port with the same calls. */
START_TEST(test_a_second_process_is_refused_by_name)
{
    struct weir_err err = {0};
    char text[WEIR_ADDR_TEXT_MAX], expected[200];
    int second[2];
    ck_assert_int_eq(weir_listen_open(f.fds, 2, &f.addr, &err), WEIR_OK);
    struct weir_addr same = f.addr;
    ck_assert_int_eq(weir_listen_open(second, 2, &same, &err), WEIR_EBUSY);
    snprintf(expected, sizeof expected, "listen on %s: Address already in use (ss -ltnp shows by whom)",
             weir_addr_text(&f.addr, text));
    ck_assert_str_eq(err.msg, expected);
    struct weir_addr any;
    ck_assert(weir_addr_literal(&any, WEIR_STR("::"), weir_addr_port(&f.addr)));
    ck_assert_int_eq(weir_listen_open(second, 1, &any, &err), WEIR_EBUSY);
    close(f.fds[0]);
    close(f.fds[1]);
    ck_assert_int_eq(weir_listen_open(second, 1, &same, &err), WEIR_OK);
    close(second[0]);
}
END_TEST

START_TEST(test_an_address_that_is_not_ours)
{
    struct weir_err err = {0};
    ck_assert(weir_addr_literal(&f.addr, WEIR_STR("192.0.2.1"), 8000)); /* RFC 5737: nobody's */
    ck_assert_int_eq(weir_listen_open(f.fds, 1, &f.addr, &err), WEIR_EIO);
    ck_assert_str_eq(err.msg, "listen on 192.0.2.1:8000: Cannot assign requested address");
}
END_TEST

START_TEST(test_no_descriptors_pauses_and_goes_on)
{
    open_one();
    connect_clients(3);
    struct rlimit before, none;
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = before;
    none.rlim_cur = 0; /* nothing new; what is open stays */
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
    RUN_UNTIL(&f.r, f.trouble_count > 0);
    uint64_t turns = f.r.poller.turns;
    for (int i = 0; i < 3; i++) /* several tries, one complaint, and sleep in between */
        uv_run(&f.r.loop, UV_RUN_ONCE);
    ck_assert_uint_le(f.r.poller.turns - turns, 3);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
    RUN_UNTIL(&f.r, f.accepted == 3);
    ck_assert_uint_eq(f.trouble_count, 2);
    ck_assert_int_eq(f.troubles[0], EMFILE);
    ck_assert_int_eq(f.troubles[1], 0);
}
END_TEST

START_TEST(test_whom_it_turns_away_is_neither_taken_nor_reset)
{
    open_one();
    connect_clients(CLIENTS);
    weir_listener_turn_away(&f.l);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    ck_assert_int_eq(connect(fd, &f.addr.sa, weir_addr_len(&f.addr)), -1);
    ck_assert_int_eq(errno, EINPROGRESS);
    RUN_UNTIL(&f.r, f.accepted == CLIENTS);
    weir_listener_close(&f.l);
    ck_assert_uint_eq(f.accepted, CLIENTS);
    struct pollfd p = {fd, POLLOUT, 0};
    ck_assert_int_eq(poll(&p, 1, 0), 0);
    ck_assert_int_eq(poll(&p, 1, -1), 1); /* its second SYN, a second later */
    int error = 0;
    socklen_t len = sizeof error;
    getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len);
    ck_assert_int_eq(error, ECONNREFUSED);
    close(fd);
}
END_TEST

START_TEST(test_close_takes_what_waits)
{
    open_one();
    connect_clients(CLIENTS);
    weir_listener_close(&f.l);
    ck_assert_uint_eq(f.accepted, CLIENTS);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(connect(fd, &f.addr.sa, weir_addr_len(&f.addr)), -1);
    ck_assert_int_eq(errno, ECONNREFUSED);
    close(fd);
}
END_TEST

START_TEST(test_closed_from_inside)
{
    open_one();
    f.close_at_first = true;
    connect_clients(2);
    RUN_UNTIL(&f.r, f.accepted > 0);
    ck_assert(!f.l.open);
}
END_TEST

START_TEST(test_held_connections_wait)
{
    open_one();
    f.hold_at_first = true;
    connect_clients(2);
    RUN_UNTIL(&f.r, f.accepted > 0);
    run_idle(&f.r);
    ck_assert_uint_eq(f.accepted, 1);
    f.hold_at_first = false;
    weir_listener_hold(&f.l, false);
    RUN_UNTIL(&f.r, f.accepted == 2);
}
END_TEST

CHECK_MAIN("listener", setup, teardown, test_accepts_with_the_peers_address, test_takes_a_bounded_number_a_turn,
           test_workers_share_one_port, test_a_second_process_is_refused_by_name, test_an_address_that_is_not_ours,
           test_no_descriptors_pauses_and_goes_on, test_close_takes_what_waits,
           test_whom_it_turns_away_is_neither_taken_nor_reset, test_closed_from_inside, test_held_connections_wait)
