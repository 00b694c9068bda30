/* A connection that opens, is asked something and closes again, with each single allocation failing in turn: nothing is
 * left behind, and every call hears of its end. */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check_main.h"
#include "helper/core_failmalloc.h"
#include "helper/net_run.h"
#include "helper_fake.h"
#include "store/redis_sub.h"

/* Turns of the loop in which everything has happened that will. */
#define TURNS 64

static struct weir_reactor r;
static struct weir_dns *dns;
static struct fake server;
static struct weir_redis_conn *conn;
static struct weir_redis_sub *sub;
static unsigned ready, closed, answers, subscribed;

static void setup(void)
{
    struct weir_err err;
    reactor_open(&r);
    ck_assert_int_eq(weir_dns_new(&dns, &r, &err), 0);
    fake_open(&server, &r);
}

static void teardown(void)
{
    weir_dns_close(&dns);
    fake_close(&server);
    weir_reactor_close(&r);
}

static void on_answer(void *owner, const struct weir_redis_reply *reply, const struct weir_err *err)
{
    (void)owner, (void)reply, (void)err;
    answers++;
}

static void on_ready(void *owner)
{
    static const struct weir_str get[] = {{"GET", 3}, {"key", 3}};
    (void)owner;
    ready++;
    if (weir_redis_conn_send(conn, get, 2, 0, on_answer, NULL) != 0)
        answers++;
}

static void on_closed(void *owner, const struct weir_err *why)
{
    (void)owner, (void)why;
    closed++;
    weir_redis_conn_close(&conn);
}

static void on_subscribed(void *owner)
{
    (void)owner;
    subscribed++;
}

static void on_sub_closed(void *owner, const struct weir_err *why)
{
    (void)owner, (void)why;
    closed++;
    weir_redis_sub_close(&sub);
}

static void on_message(void *owner, struct weir_str channel, struct weir_str payload)
{
    (void)owner, (void)channel, (void)payload;
}

/* Answers each batch of commands with the next text. Check's macros allocate, so there are none in here. */
static void serve(const char *const *answers_at)
{
    char bytes[4096];
    int fd = -1;
    for (int i = 0; i < TURNS; i++) {
        uv_run(&r.loop, UV_RUN_NOWAIT);
        if (fd < 0)
            fd = accept4(server.listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0 && *answers_at != NULL && recv(fd, bytes, sizeof bytes, 0) > 0) {
            (void)!send(fd, *answers_at, strlen(*answers_at), MSG_NOSIGNAL);
            answers_at++;
        }
    }
    if (fd >= 0)
        close(fd);
}

static const struct weir_redis_conn_opts *opts(void)
{
    static struct weir_redis_conn_opts o;
    o = (struct weir_redis_conn_opts){.server = {.path = server.path, .dns = dns},
                                      .client_name = "weir",
                                      .timeout_ms = 60000,
                                      .ready = on_ready,
                                      .closed = on_closed};
    return &o;
}

static void talk(void)
{
    static const char *const texts[] = {"+OK\r\n+PONG\r\n", "$5\r\nvalue\r\n", NULL};
    ready = closed = answers = 0;
    if (weir_redis_conn_open(&conn, &r, opts()) == 0)
        serve(texts);
    weir_redis_conn_close(&conn);
}

static void listen_in(void)
{
    static const char *const texts[] = {"+OK\r\n+PONG\r\n", "*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n", NULL};
    static const char *const channels[] = {"c"};
    struct weir_redis_sub_opts o = {.conn = *opts(),
                                    .channels = channels,
                                    .channel_count = 1,
                                    .subscribed = on_subscribed,
                                    .message = on_message,
                                    .closed = on_sub_closed};
    closed = subscribed = 0;
    if (weir_redis_sub_open(&sub, &r, &o) == 0)
        serve(texts);
    weir_redis_sub_close(&sub);
}

/* The loop's own buffers are made in a first round, which nothing hinders. */
static unsigned long each_allocation(void (*scene)(void), const unsigned *done)
{
    bool more = true;
    unsigned long n = 1;
    scene();
    ck_assert_uint_eq(*done, 1);
    for (; more; n = failmalloc_next(n)) {
        failmalloc_begin(n);
        scene();
        long left = failmalloc_end(&more);
        ck_assert_msg(left == 0, "allocation %lu: %ld blocks left", n, left);
        ck_assert_msg(ready == answers, "allocation %lu: %u calls, %u answers", n, ready, answers);
        ck_assert_msg(more || (*done == 1 && closed == 0), "allocation %lu", n);
    }
    return n;
}

START_TEST(test_connection)
{
    ck_assert_uint_gt(each_allocation(talk, &answers), 10);
}
END_TEST

START_TEST(test_subscription)
{
    ck_assert_uint_gt(each_allocation(listen_in, &subscribed), 10);
}
END_TEST

CHECK_MAIN("redis_memory", setup, teardown, test_connection, test_subscription)
