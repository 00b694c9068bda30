/* One connection to a server that the test plays. */
#include "store/redis_conn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check_main.h"
#include "helper/net_run.h"
#include "helper_fake.h"
#include "helper_server.h"

/* As in test_redis_link. */
#define TIMEOUT_MS 5000u

static struct {
    struct weir_reactor r;
    struct weir_dns *dns;
    struct fake server;
    struct weir_redis_credentials credentials;
    struct weir_redis_stats stats;
    struct weir_redis_conn_opts opts;
    struct weir_redis_conn *conn;
    unsigned ready, closed, answers, pushes;
    struct weir_err why;
    char last[512], log[1024];
    int code;
    bool close_in_answer, close_in_ready;
} f;

static void on_ready(void *owner)
{
    (void)owner;
    f.ready++;
    if (f.close_in_ready)
        weir_redis_conn_close(&f.conn);
}

static void on_closed(void *owner, const struct weir_err *why)
{
    (void)owner;
    f.closed++;
    f.why = *why;
    weir_redis_conn_close(&f.conn);
}

static void setup(void)
{
    struct weir_err err;
    memset(&f, 0, sizeof f);
    reactor_open(&f.r);
    ck_assert_int_eq(weir_dns_new(&f.dns, &f.r, &err), 0);
    fake_open(&f.server, &f.r);
    f.opts = (struct weir_redis_conn_opts){
        .server = {.path = f.server.path, .dns = f.dns},
        .credentials = &f.credentials,
        .timeout_ms = TIMEOUT_MS,
        .stats = &f.stats,
        .ready = on_ready,
        .closed = on_closed,
        .owner = &f,
    };
}

static void teardown(void)
{
    weir_redis_conn_close(&f.conn);
    weir_dns_close(&f.dns);
    fake_close(&f.server);
    weir_reactor_close(&f.r);
}

static void open_conn(void)
{
    ck_assert_int_eq(weir_redis_conn_open(&f.conn, &f.r, &f.opts), 0);
    fake_accept(&f.server);
}

static void open_ready(void)
{
    open_conn();
    FAKE_EXPECT(&f.server, "PING");
    fake_say(&f.server, "+PONG\r\n");
    ck_assert_uint_eq(f.ready, 1);
}

/* The owner is a word that is noted with the answer. */
static void on_answer(void *owner, const struct weir_redis_reply *reply, const struct weir_err *err)
{
    f.answers++;
    f.code = err != NULL ? err->code : 0;
    if (err != NULL)
        snprintf(f.last, sizeof f.last, "%s", err->msg);
    else if (reply->type == WEIR_REDIS_INTEGER)
        snprintf(f.last, sizeof f.last, "%lld", (long long)reply->integer);
    else
        snprintf(f.last, sizeof f.last, "%.*s", reply->str.len < 400 ? (int)reply->str.len : 400, reply->str.ptr);
    size_t len = strlen(f.log);
    snprintf(f.log + len, sizeof f.log - len, "%s=%s ", (const char *)owner, err != NULL ? "!" : f.last);
    if (f.close_in_answer)
        weir_redis_conn_close(&f.conn);
}

static int send_named(const char *word, char *name, uint64_t timeout_ms)
{
    struct weir_str arg = weir_str_of(word);
    return weir_redis_conn_send(f.conn, &arg, 1, timeout_ms, on_answer, name);
}

static void must_send(const char *word, char *name)
{
    ck_assert_int_eq(send_named(word, name, 0), 0);
}

/* -- the introduction -- */

START_TEST(test_introduces_itself)
{
    f.credentials = (struct weir_redis_credentials){"weir", "secret"};
    f.opts.client_name = "node-1";
    f.opts.db = 3;
    f.opts.master = true;
    open_conn();
    FAKE_EXPECT(&f.server, "AUTH", "weir", "secret");
    FAKE_EXPECT(&f.server, "CLIENT", "SETNAME", "node-1");
    FAKE_EXPECT(&f.server, "SELECT", "3");
    FAKE_EXPECT(&f.server, "ROLE");
    FAKE_EXPECT(&f.server, "PING");
    fake_say_slowly(&f.server, "+OK\r\n-ERR unknown command\r\n+OK\r\n*3\r\n$6\r\nmaster\r\n:7\r\n*0\r\n+PONG\r");
    ck_assert_uint_eq(f.ready, 0);
    fake_say(&f.server, "\n");
    ck_assert_uint_eq(f.ready, 1);
    fake_expect_nothing(&f.server);
}
END_TEST

START_TEST(test_password_alone)
{
    f.credentials.password = "secret";
    open_conn();
    FAKE_EXPECT(&f.server, "AUTH", "secret");
}
END_TEST

static void refused_with(const char *answer, const char *why)
{
    f.ready = f.closed = 0;
    f.credentials = (struct weir_redis_credentials){"weir", "s3cr3t"};
    f.opts.db = 9;
    f.opts.master = true;
    open_conn();
    fake_say(&f.server, answer);
    ck_assert_uint_eq(f.closed, 1);
    ck_assert_uint_eq(f.ready, 0);
    ck_assert_msg(strstr(f.why.msg, why) != NULL, "%s", f.why.msg);
    ck_assert_ptr_null(strstr(f.why.msg, "s3cr3t"));
    fake_expect_end(&f.server);
}

START_TEST(test_refused)
{
    refused_with("-WRONGPASS invalid\r\n", "the server refuses the credentials: WRONGPASS");
    refused_with("+OK\r\n-ERR DB index is out of range\r\n", "the server refuses the database: ERR DB index");
    refused_with("+OK\r\n+OK\r\n*1\r\n$5\r\nslave\r\n", "is a replica");
    refused_with("+OK\r\n+OK\r\n-NOPERM\r\n-NOPERM no PING\r\n", "refuses a PING: NOPERM");
    refused_with("-LOADING the dataset\r\n", "cannot be written to: LOADING");
    refused_with("-ERR max number of clients reached\r\n", "max number of clients");
    refused_with("SSH-2.0-OpenSSH_9.2\r\n", "does not speak Redis' protocol");
}
END_TEST

START_TEST(test_role_that_may_not_be_asked)
{
    f.opts.master = true;
    open_conn();
    FAKE_EXPECT(&f.server, "ROLE");
    FAKE_EXPECT(&f.server, "PING");
    fake_say(&f.server, "-NOPERM no ROLE\r\n+PONG\r\n");
    ck_assert_uint_eq(f.ready, 1);
}
END_TEST

START_TEST(test_server_that_says_nothing)
{
    f.opts.timeout_ms = 250; /* so short that the least time to open counts */
    open_conn();
    FAKE_EXPECT(&f.server, "PING");
    fake_pass(&f.r, WEIR_REDIS_OPEN_MS_MIN + 100);
    ck_assert_uint_eq(f.closed, 1);
    ck_assert_int_eq(f.why.code, WEIR_ETIMEOUT);
    ck_assert_str_eq(f.why.msg, "waited too long for the server's first answers");
}
END_TEST

START_TEST(test_nobody_listens)
{
    f.opts.server = (struct weir_redis_dial_opts){.host = "127.0.0.1", .port = server_free_port(), .dns = f.dns};
    ck_assert_int_eq(weir_redis_conn_open(&f.conn, &f.r, &f.opts), 0);
    ck_assert_uint_eq(f.closed, 0);
    RUN_UNTIL(&f.r, f.closed == 1);
    ck_assert_int_eq(f.why.code, WEIR_EREFUSED);
}
END_TEST

START_TEST(test_no_such_socket)
{
    f.opts.server.path = "/nonexistent/redis.sock";
    ck_assert_int_eq(weir_redis_conn_open(&f.conn, &f.r, &f.opts), 0);
    RUN_UNTIL(&f.r, f.closed == 1);
    ck_assert_ptr_nonnull(strstr(f.why.msg, "unix:/nonexistent/redis.sock"));
}
END_TEST

START_TEST(test_no_such_host)
{
    f.opts.server = (struct weir_redis_dial_opts){.host = "-not-a-name-.invalid..", .port = 6379, .dns = f.dns};
    ck_assert_int_eq(weir_redis_conn_open(&f.conn, &f.r, &f.opts), 0);
    ck_assert_uint_eq(f.closed, 0);
    RUN_UNTIL(&f.r, f.closed == 1);
}
END_TEST

/* -- the pipeline -- */

START_TEST(test_replies_in_order)
{
    open_ready();
    must_send("A", "a");
    must_send("B", "b");
    must_send("C", "c");
    FAKE_EXPECT(&f.server, "A");
    FAKE_EXPECT(&f.server, "B");
    FAKE_EXPECT(&f.server, "C");
    ck_assert_uint_eq(f.answers, 0);
    fake_say_slowly(&f.server, "$3\r\none\r\n-ERR two\r\n:3\r\n");
    ck_assert_str_eq(f.log, "a=one b=ERR two c=3 ");
    ck_assert_uint_eq(f.stats.calls, 4); /* PING too */
    ck_assert_uint_eq(f.stats.errors, 1);
}
END_TEST

START_TEST(test_late_reply_is_nobody_elses)
{
    open_ready();
    must_send("A", "a");
    FAKE_EXPECT(&f.server, "A");
    fake_pass(&f.r, TIMEOUT_MS + 10);
    ck_assert_str_eq(f.log, "a=! ");
    ck_assert_int_eq(f.code, WEIR_ETIMEOUT);
    must_send("B", "b");
    FAKE_EXPECT(&f.server, "B");
    fake_say(&f.server, "+late\r\n");
    ck_assert_str_eq(f.log, "a=! ");
    fake_say(&f.server, "+right\r\n");
    ck_assert_str_eq(f.log, "a=! b=right ");
    ck_assert_uint_eq(f.stats.timeouts, 1);
    ck_assert_uint_eq(f.closed, 0);
}
END_TEST

START_TEST(test_own_deadline)
{
    open_ready();
    ck_assert_int_eq(send_named("A", "a", 5000), 0);
    FAKE_EXPECT(&f.server, "A");
    fake_pass(&f.r, 4000);
    ck_assert_uint_eq(f.answers, 0);
    ck_assert_uint_eq(f.closed, 0); /* patience is as long as the longest call's */
    fake_say(&f.server, "+ok\r\n");
    ck_assert_str_eq(f.log, "a=ok ");
}
END_TEST

START_TEST(test_silence_ends_it)
{
    open_ready();
    must_send("A", "a");
    FAKE_EXPECT(&f.server, "A");
    fake_pass(&f.r, TIMEOUT_MS * WEIR_REDIS_SILENT_TIMEOUTS + 100);
    ck_assert_uint_eq(f.closed, 1);
    ck_assert_int_eq(f.why.code, WEIR_ETIMEOUT);
    ck_assert_ptr_nonnull(strstr(f.why.msg, "silent for"));
    ck_assert_str_eq(f.log, "a=! ");
    ck_assert_uint_eq(f.answers, 1);
}
END_TEST

START_TEST(test_idle_is_not_silent)
{
    open_ready();
    must_send("A", "a");
    FAKE_EXPECT(&f.server, "A");
    fake_say(&f.server, "+ok\r\n");
    fake_pass(&f.r, 100000);
    ck_assert_uint_eq(f.closed, 0);
    must_send("B", "b");
    FAKE_EXPECT(&f.server, "B");
}
END_TEST

START_TEST(test_too_many_calls)
{
    open_ready();
    for (unsigned i = 0; i < WEIR_REDIS_CALLS_MAX; i++)
        must_send("A", "a");
    ck_assert_int_eq(send_named("A", "a", 0), WEIR_ELIMIT);
    FAKE_EXPECT(&f.server, "A");
    fake_say(&f.server, "+ok\r\n");
    must_send("A", "a");
    weir_redis_conn_close(&f.conn);
    ck_assert_uint_eq(f.answers, WEIR_REDIS_CALLS_MAX + 1);
    ck_assert_int_eq(f.code, WEIR_ECLOSED);
}
END_TEST

START_TEST(test_too_many_bytes)
{
    size_t len = WEIR_REDIS_UNSENT_BYTES_MAX / 4;
    char *large = calloc(1, len);
    struct weir_str arg = {large, len};
    int rv = 0;
    unsigned n = 0;
    open_ready();
    while (rv == 0 && n++ < 100)
        rv = weir_redis_conn_send(f.conn, &arg, 1, 0, on_answer, (void *)(uintptr_t) "x");
    free(large);
    ck_assert_int_eq(rv, WEIR_ELIMIT);
    ck_assert_uint_ge(n, 4);
    ck_assert_uint_lt(n, 12);         /* some of it is the kernel's */
    fake_pass(&f.r, TIMEOUT_MS + 10); /* those that were not begun are taken back */
    ck_assert_uint_eq(f.answers, n - 1);
    must_send("A", "a");
}
END_TEST

/* -- servers that are not fit, or not well-behaved -- */

static void ends_with(const char *said, int code, const char *why)
{
    f.ready = f.closed = f.answers = 0;
    open_ready();
    must_send("A", "a");
    must_send("B", "b");
    FAKE_EXPECT(&f.server, "A");
    FAKE_EXPECT(&f.server, "B");
    fake_say(&f.server, said);
    ck_assert_uint_eq(f.closed, 1);
    ck_assert_msg(f.why.code == code && strstr(f.why.msg, why) != NULL, "%d %s", f.why.code, f.why.msg);
    ck_assert_uint_eq(f.answers, 2);
    ck_assert_int_eq(f.code, strstr(said, "+2") != NULL ? 0 : WEIR_ECLOSED);
    fake_expect_end(&f.server);
}

START_TEST(test_unfit)
{
    ends_with("-READONLY You can't write against a read only replica.\r\n", WEIR_ECLOSED, "READONLY");
    ends_with("+fine\r\n-LOADING Redis is loading the dataset in memory\r\n", WEIR_ECLOSED, "LOADING");
    ends_with("-MASTERDOWN Link with MASTER is down\r\n", WEIR_ECLOSED, "MASTERDOWN");
    ends_with("-ERR Error running script (call to f_1): @user_script:1: -READONLY You can't\r\n", WEIR_ECLOSED,
              "READONLY");
}
END_TEST

START_TEST(test_ill_behaved)
{
    ends_with("\r\n", WEIR_EPROTO, "protocol");
    ends_with("*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n", WEIR_EPROTO, "nested too deeply");
    ends_with("*200000\r\n", WEIR_EPROTO, "");
    ends_with("%1\r\n+a\r\n+b\r\n", WEIR_EPROTO, "RESP3");
    ends_with("+1\r\n+2\r\n+3\r\n", WEIR_EPROTO, "what was not asked");
    ends_with("+1\r\n+2\r\n-ERR you are killed\r\n", WEIR_ECLOSED, "you are killed");
}
END_TEST

START_TEST(test_server_hangs_up)
{
    open_ready();
    must_send("A", "a");
    FAKE_EXPECT(&f.server, "A");
    fake_hang_up(&f.server);
    RUN_UNTIL(&f.r, f.closed == 1);
    ck_assert_int_eq(f.why.code, WEIR_ECLOSED);
    ck_assert_str_eq(f.log, "a=! ");
}
END_TEST

/* -- closing from inside -- */

START_TEST(test_close_in_answer)
{
    open_ready();
    must_send("A", "a");
    must_send("B", "b");
    FAKE_EXPECT(&f.server, "A");
    f.close_in_answer = true;
    fake_say(&f.server, "+1\r\n+2\r\n+3\r\n");
    ck_assert_str_eq(f.log, "a=1 b=! ");
    ck_assert_uint_eq(f.closed, 0);
}
END_TEST

START_TEST(test_close_in_timeout)
{
    open_ready();
    must_send("A", "a");
    must_send("B", "b");
    f.close_in_answer = true;
    fake_pass(&f.r, TIMEOUT_MS + 10);
    ck_assert_str_eq(f.log, "a=! b=! ");
    ck_assert_uint_eq(f.closed, 0);
}
END_TEST

START_TEST(test_close_in_ready)
{
    f.close_in_ready = true;
    open_ready();
    fake_expect_end(&f.server);
    ck_assert_uint_eq(f.closed, 0);
}
END_TEST

/* -- pushes -- */

static void on_push(void *owner, const struct weir_redis_reply *reply)
{
    (void)owner, (void)reply;
    f.pushes++;
}

START_TEST(test_pushes)
{
    static const struct weir_str args[] = {{"SUBSCRIBE", 9}, {"c", 1}};
    open_ready();
    weir_redis_conn_push(f.conn, on_push);
    ck_assert_int_eq(weir_redis_conn_write(f.conn, args, 2), 0);
    FAKE_EXPECT(&f.server, "SUBSCRIBE", "c");
    fake_say_slowly(&f.server, "*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n+x\r\n");
    ck_assert_uint_eq(f.pushes, 2);
    fake_pass(&f.r, 100000); /* silence is the owner's business now */
    ck_assert_uint_eq(f.closed, 0);
}
END_TEST

CHECK_MAIN("redis_conn", setup, teardown, test_introduces_itself, test_password_alone, test_refused,
           test_role_that_may_not_be_asked, test_server_that_says_nothing, test_nobody_listens, test_no_such_socket,
           test_no_such_host, test_replies_in_order, test_late_reply_is_nobody_elses, test_own_deadline,
           test_silence_ends_it, test_idle_is_not_silent, test_too_many_calls, test_too_many_bytes, test_unfit,
           test_ill_behaved, test_server_hangs_up, test_close_in_answer, test_close_in_timeout, test_close_in_ready,
           test_pushes)
