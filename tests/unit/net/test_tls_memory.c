#include "check_main.h"
#include "helper/core_failmalloc.h"
#include "helper_tls.h"

#include <sys/socket.h>

/* A connection's whole life, from wrap to close, each time with another allocation that fails: at either end, on the
 * reactor's thread or on the pool's, mbedTLS's own where it is linked statically. Both ends must then fail or work,
 * nothing may be left behind, and what is shared must be good for the next connection. */

/* mbedTLS allocates some thousands of numbers a handshake: the first ones one by one, then fewer and fewer. */
#define NEXT(n) ((n) + 1 + (n) / 24)

static struct {
    struct weir_reactor r;
    struct weir_crypto_pool *pool;
    struct weir_tls_config *cc, *sc;
    struct weir_tls_sessions *sessions;
} f;

struct memory_end {
    struct weir_stream *s;
    bool started, failed, got;
};

static void setup(void)
{
    struct weir_err err;
    memset(&f, 0, sizeof f);
    reactor_open(&f.r);
    ck_assert_int_eq(weir_crypto_pool_new(&f.pool, 2, &err), WEIR_OK);
    f.sessions = weir_tls_sessions_new();
    f.sc = server_config("good", false);
}

static void teardown(void)
{
    weir_crypto_pool_free(&f.pool);
    weir_reactor_close(&f.r);
    weir_tls_config_unref(&f.cc);
    weir_tls_config_unref(&f.sc);
    weir_tls_sessions_unref(&f.sessions);
}

static void on_event(struct weir_stream *s)
{
    struct memory_end *e = s->owner;
    char buf[64];
    while (!e->failed && ((s->source.ready & WEIR_READY_IN) != 0 || weir_stream_pending(s) > 0)) {
        ssize_t n = weir_stream_read(s, buf, sizeof buf);
        if (n == WEIR_STREAM_AGAIN)
            return;
        e->got = e->got || n > 0;
        e->failed = n <= 0;
    }
}

static void on_started(struct weir_stream *s, int code, const struct weir_err *err)
{
    struct memory_end *e = s->owner;
    struct iovec hello = {.iov_base = (char[]){"hello"}, .iov_len = 5};
    (void)err;
    e->started = true;
    e->failed = code != WEIR_OK || weir_stream_writev(s, &hello, 1) != 5;
}

static void begin(struct memory_end *e, int fd, const struct weir_tls_opts *opts)
{
    struct weir_stream *under;
    *e = (struct memory_end){.failed = true};
    if (weir_tcp_adopt(&under, &f.r, fd, NULL) != WEIR_OK) {
        close(fd);
        return;
    }
    if (weir_tls_wrap(&e->s, under, opts) != WEIR_OK) {
        weir_stream_close(&under, false);
        return;
    }
    e->failed = false;
    e->s->owner = e;
    e->s->event = on_event;
    weir_stream_start(e->s, on_started);
}

/* Whether each end has heard the other. No macro of Check's in here: those allocate. */
static bool live(void)
{
    struct weir_tls_opts copts = {.config = f.cc, .pool = f.pool, .host = "good.test", .sessions = f.sessions};
    struct weir_tls_opts sopts = {.config = f.sc, .pool = f.pool};
    struct memory_end c, s;
    int fds[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) != 0)
        return false;
    begin(&c, fds[0], &copts);
    begin(&s, fds[1], &sopts);
    while (!c.failed && !s.failed && !(c.got && s.got))
        uv_run(&f.r.loop, UV_RUN_ONCE);
    bool heard = c.got && s.got;
    weir_stream_close(&c.s, false);
    weir_stream_close(&s.s, false);
    return heard;
}

/* What a closed connection left to the pool is done before the count is taken. */
static bool settle(void)
{
    struct weir_err err;
    weir_crypto_pool_free(&f.pool);
    weir_mailbox_drain(&f.r.mailbox);
    return weir_crypto_pool_new(&f.pool, 2, &err) == WEIR_OK;
}

static void check(bool max12)
{
    f.cc = client_config(NULL, NULL, max12);
    ck_assert(live()); /* what libraries keep for good is there from now on, and so is a session */
    bool failed = true;
    unsigned failures = 0;
    for (unsigned long n = 1; failed; n = NEXT(n)) {
        size_t kept = weir_tls_sessions_count(f.sessions);
        ck_assert(settle());
        failmalloc_begin(n);
        bool heard = live();
        weir_crypto_pool_free(&f.pool);
        weir_mailbox_drain(&f.r.mailbox);
        long left = failmalloc_end(&failed);
        struct weir_err err;
        ck_assert_int_eq(weir_crypto_pool_new(&f.pool, 2, &err), WEIR_OK);
        long more = (long)weir_tls_sessions_count(f.sessions) - (long)kept;
        ck_assert_msg(failed || heard, "allocation %lu", n);
        ck_assert_msg(left <= more, "allocation %lu: %ld blocks left, %ld sessions more", n, left, more);
        failures += heard ? 0 : 1;
        ck_assert_msg(live(), "the connection after the one without allocation %lu", n);
    }
    ck_assert_uint_gt(failures, 4);
}

START_TEST(test_tls_1_2)
{
    check(true);
}
END_TEST

START_TEST(test_tls_1_3)
{
    check(false);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {test_tls_1_2, test_tls_1_3};
    pki_open();
    int rv = check_run("tls memory", setup, teardown, tests, sizeof tests / sizeof tests[0]);
    pki_close();
    return rv;
}
