#include "check_main.h"
#include "helper_tls.h"

#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

/* Both ends on one reactor; the crypto pool of two threads between them. */
static struct {
    struct weir_reactor r, r2;
    struct weir_crypto_pool *pool;
    struct weir_tls_config *cc, *sc;
    struct weir_tls_sessions *sessions;
    struct weir_tls_stats cstats, sstats;
    struct weir_tls_opts copts, sopts;
    struct tls_end c, s;
} f;

static void setup(void)
{
    struct weir_err err;
    memset(&f, 0, sizeof f);
    tls_trickles = false;
    reactor_open(&f.r);
    reactor_open(&f.r2);
    ck_assert_int_eq(weir_crypto_pool_new(&f.pool, 2, &err), WEIR_OK);
    f.sessions = weir_tls_sessions_new();
}

static void close_ends(void)
{
    weir_stream_close(&f.c.s, false);
    weir_stream_close(&f.s.s, false);
    memset(&f.c, 0, sizeof f.c);
    memset(&f.s, 0, sizeof f.s);
}

static void drop_configs(void)
{
    weir_tls_config_unref(&f.cc);
    weir_tls_config_unref(&f.sc);
}

static void teardown(void)
{
    close_ends();
    weir_crypto_pool_free(&f.pool);
    weir_reactor_close(&f.r);
    weir_reactor_close(&f.r2);
    drop_configs();
    weir_tls_sessions_unref(&f.sessions);
}

static void set_opts(void)
{
    f.copts = (struct weir_tls_opts){
        .config = f.cc, .pool = f.pool, .host = "good.test", .sessions = f.sessions, .stats = &f.cstats};
    f.sopts = (struct weir_tls_opts){.config = f.sc, .pool = f.pool, .stats = &f.sstats};
}

static void configure(bool max12)
{
    f.cc = client_config(NULL, NULL, max12);
    f.sc = server_config("good", false);
    set_opts();
}

static void start(void)
{
    tls_pair_start(&f.c, &f.s, &f.r, &f.r, &f.copts, &f.sopts);
}

static void connect_both(void)
{
    start();
    RUN_UNTIL(&f.r, f.c.started > 0 && f.s.started > 0);
    ck_assert_msg(f.c.code == WEIR_OK, "%s", f.c.err.msg);
    ck_assert_msg(f.s.code == WEIR_OK, "%s", f.s.err.msg);
}

static void exchange(void)
{
    f.c.got_len = f.s.got_len = 0;
    tls_end_send(&f.c, "hello over there");
    RUN_UNTIL(&f.r, f.s.got_len == 16);
    ck_assert_mem_eq(f.s.got, "hello over there", 16);
    tls_end_send(&f.s, "and back");
    RUN_UNTIL(&f.r, f.c.got_len == 8);
    ck_assert_mem_eq(f.c.got, "and back", 8);
}

START_TEST(test_both_versions)
{
    for (int max12 = 0; max12 < 2; max12++) {
        struct weir_tls_info info;
        configure(max12 != 0);
        connect_both();
        exchange();
        ck_assert_ptr_null(WEIR_CONTAINER(f.c.s, struct weir_tls, base)->in); /* idle: no buffer */
        ck_assert_ptr_null(WEIR_CONTAINER(f.s.s, struct weir_tls, base)->in);
        ck_assert(weir_tls_info(f.c.s, &info));
        ck_assert_str_eq(info.version, max12 != 0 ? "TLSv1.2" : "TLSv1.3");
        ck_assert_str_eq(info.alpn, "h2");
        ck_assert(!info.resumed);
        ck_assert(weir_tls_info(f.s.s, &info));
        ck_assert_str_eq(info.alpn, "h2");
        ck_assert_uint_eq(f.c.started + f.s.started, 2);
        close_ends();
        drop_configs();
    }
    ck_assert_uint_eq(f.cstats.full + f.sstats.full, 4);
}
END_TEST

/* Of two pages in the middle of the buffer for records to be sent: how many are in memory. */
static unsigned resident_pages(const struct tls_end *e)
{
    unsigned char present[2];
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    unsigned char *from = WEIR_CONTAINER(e->s, struct weir_tls, base)->ssl.MBEDTLS_PRIVATE(out_buf) + 2048;
    unsigned count = 0;
    from += (page - (uintptr_t)from % page) % page;
    ck_assert_int_eq(mincore(from, 2 * page, present), 0);
    for (size_t i = 0; i < 2; i++)
        count += present[i] & 1;
    return count;
}

START_TEST(test_a_handshake_leaves_no_pages_touched)
{
    configure(false);
    connect_both();
    ck_assert_uint_eq(resident_pages(&f.c) + resident_pages(&f.s), 0);
    exchange();
    ck_assert_uint_eq(resident_pages(&f.c) + resident_pages(&f.s), 0);
}
END_TEST

START_TEST(test_resumes_in_both_versions)
{
    for (int max12 = 0; max12 < 2; max12++) {
        struct weir_tls_info info;
        configure(max12 != 0);
        connect_both();
        exchange(); /* the tickets of TLS 1.3 come with the first read */
        RUN_UNTIL(&f.r, weir_tls_sessions_count(f.sessions) > 0);
        close_ends();
        for (int i = 0; i < 3; i++) {
            connect_both();
            exchange();
            ck_assert(weir_tls_info(f.c.s, &info) && info.resumed);
            ck_assert(weir_tls_info(f.s.s, &info) && info.resumed);
            ck_assert_str_eq(info.alpn, "h2");
            close_ends();
        }
        drop_configs();
    }
    ck_assert_uint_eq(f.cstats.resumed, 6);
    ck_assert_uint_eq(f.sstats.resumed, 6);
    ck_assert_uint_eq(f.cstats.full, 2);
}
END_TEST

START_TEST(test_no_session_passes_from_one_configuration_to_another)
{
    struct weir_tls_info info;
    struct weir_err err;
    struct weir_tls_client_opts lax = {.verify = false};
    f.sc = server_config("unknown", false);
    ck_assert_int_eq(weir_tls_config_client(&f.cc, &lax, &err), WEIR_OK);
    set_opts();
    connect_both();
    exchange();
    RUN_UNTIL(&f.r, weir_tls_sessions_count(f.sessions) > 0);
    close_ends();
    weir_tls_config_unref(&f.cc);
    f.cc = client_config(NULL, NULL, false);
    set_opts();
    start();
    RUN_UNTIL(&f.r, f.c.started > 0);
    ck_assert_int_eq(f.c.why, WEIR_TLS_FAIL_UNTRUSTED);
    ck_assert(!weir_tls_info(f.c.s, &info));
}
END_TEST

START_TEST(test_one_byte_a_call)
{
    tls_trickles = true;
    for (int max12 = 0; max12 < 2; max12++) {
        configure(max12 != 0);
        connect_both();
        exchange();
        close_ends();
        drop_configs();
    }
}
END_TEST

/* More than both sockets hold, both ways at once, in records of every kind of size. */
static void pump(bool max12, size_t total)
{
    static uint8_t block[251 * 160];
    size_t sent[2] = {0, 0}, piece = 1;
    struct tls_end *ends[2] = {&f.c, &f.s};
    for (size_t i = 0; i < sizeof block; i++)
        block[i] = (uint8_t)(i % 251);
    configure(max12);
    connect_both();
    f.c.discard = f.s.discard = true;
    while (f.c.got_len < total || f.s.got_len < total) {
        for (int i = 0; i < 2; i++) {
            size_t n = total - sent[i] < piece ? total - sent[i] : piece;
            size_t half = n / 2, at = sent[i] % 251;
            struct iovec iov[2] = {{block + at, half}, {block + at + half, n - half}};
            ssize_t took = n > 0 ? weir_stream_writev(ends[i]->s, iov, 2) : 0;
            ck_assert(took >= 0 || took == WEIR_STREAM_AGAIN);
            sent[i] += took > 0 ? (size_t)took : 0;
            if (took >= 0) /* what was refused is offered again, with more behind it */
                piece = piece * 3 % 36000 + 1;
            else
                piece = 39000;
        }
        run_idle(&f.r);
    }
    ck_assert_uint_eq(f.c.got_len, total);
    ck_assert_uint_eq(f.s.got_len, total);
    ck_assert(!f.c.ended && !f.s.ended);
    close_ends();
    drop_configs();
}

START_TEST(test_bulk_both_ways_through_full_sockets)
{
    pump(false, 3000000);
    pump(true, 3000000);
}
END_TEST

START_TEST(test_a_full_socket_takes_the_rest_later)
{
    static char block[1 << 17];
    struct iovec iov = {.iov_base = block, .iov_len = sizeof block};
    size_t sent = 0;
    configure(false);
    connect_both();
    f.c.paused = true;
    for (ssize_t n; (n = weir_stream_writev(f.s.s, &iov, 1)) != WEIR_STREAM_AGAIN; sent += (size_t)n)
        ck_assert_int_gt(n, 0);
    ck_assert(!(f.s.s->source.ready & WEIR_READY_OUT));
    f.c.paused = false;
    weir_stream_again(f.c.s);
    RUN_UNTIL(&f.r, f.c.got_len >= sent && (f.s.s->source.ready & WEIR_READY_OUT) != 0);
    ck_assert_uint_eq(f.c.got_len, sent);
    ck_assert_int_gt(weir_stream_writev(f.s.s, &iov, 1), 0);
}
END_TEST

START_TEST(test_held_plaintext_is_pending)
{
    char buf[4];
    configure(false);
    connect_both();
    exchange();
    f.c.paused = true;
    tls_end_send(&f.s, "12345678");
    tls_end_send(&f.s, "next");
    run_idle(&f.r);
    ck_assert_int_eq(weir_stream_read(f.c.s, buf, 4), 4);
    ck_assert_uint_ge(weir_stream_pending(f.c.s), 4);
    ck_assert_int_eq(weir_stream_read(f.c.s, buf, 4), 4);
    ck_assert_mem_eq(buf, "5678", 4);
    ck_assert_int_eq(weir_stream_read(f.c.s, buf, 4), 4);
    ck_assert_mem_eq(buf, "next", 4);
    ck_assert_int_eq(weir_stream_read(f.c.s, buf, 4), WEIR_STREAM_AGAIN);
    ck_assert_uint_eq(weir_stream_pending(f.c.s), 0);
    ck_assert(!(f.c.s->source.ready & WEIR_READY_IN));
}
END_TEST

/* The tickets of a TLS 1.3 server reach an idle client: taken in, and no disturbance. */
START_TEST(test_tickets_on_an_idle_connection_do_not_disturb)
{
    configure(false);
    f.c.paused = true;
    connect_both();
    RUN_UNTIL(&f.r, f.c.s->source.ready & WEIR_READY_IN);
    ck_assert_uint_eq(weir_tls_sessions_count(f.sessions), 0);
    ck_assert(!weir_stream_disturbed(f.c.s));
    ck_assert_uint_eq(weir_tls_sessions_count(f.sessions), 2);
    ck_assert(!weir_stream_disturbed(f.c.s));
    tls_end_send(&f.s, "x");
    run_idle(&f.r);
    ck_assert(weir_stream_disturbed(f.c.s));
    close_ends();
    f.c.paused = true;
    connect_both();
    ck_assert(!weir_stream_disturbed(f.c.s));
    weir_stream_close(&f.s.s, false);
    run_idle(&f.r);
    ck_assert(weir_stream_disturbed(f.c.s));
}
END_TEST

START_TEST(test_orderly_end_and_truncation_differ)
{
    struct weir_err err;
    for (int max12 = 0; max12 < 2; max12++) {
        configure(max12 != 0);
        connect_both();
        tls_end_send(&f.s, "all");
        weir_stream_close(&f.s.s, false);
        RUN_UNTIL(&f.r, f.c.ended);
        ck_assert_uint_eq(f.c.got_len, 3);
        ck_assert_int_eq(f.c.end, 0);
        close_ends();
        connect_both();
        tls_end_send(&f.s, "cut");
        ck_assert_int_eq(shutdown(weir_stream_fd(f.s.s), SHUT_WR), 0);
        RUN_UNTIL(&f.r, f.c.ended);
        ck_assert_uint_eq(f.c.got_len, 3);
        ck_assert_int_eq(f.c.end, WEIR_TLS_TRUNCATED);
        ck_assert_int_eq(weir_tls_read_error(f.c.s, &err), WEIR_ECLOSED);
        ck_assert_str_eq(err.msg, "tls with good.test: the connection ended without close_notify");
        close_ends();
        drop_configs();
    }
}
END_TEST

START_TEST(test_half_close_leaves_the_other_way_open)
{
    configure(false);
    connect_both();
    weir_stream_finish(f.c.s);
    RUN_UNTIL(&f.r, f.s.ended);
    ck_assert_int_eq(f.s.end, 0);
    tls_end_send(&f.s, "late");
    RUN_UNTIL(&f.r, f.c.got_len == 4);
    ck_assert(!f.c.ended);
}
END_TEST

START_TEST(test_a_damaged_record_breaks_the_connection)
{
    struct weir_err err;
    configure(false);
    connect_both();
    exchange();
    ck_assert_int_eq(write(weir_stream_fd(f.s.s), "\x17\x03\x03\x00\x20 thirty-two bytes that are forged", 37), 37);
    RUN_UNTIL(&f.r, f.c.ended);
    ck_assert_int_eq(f.c.end, WEIR_TLS_BROKEN);
    ck_assert_int_eq(weir_tls_read_error(f.c.s, &err), WEIR_ETLS);
    RUN_UNTIL(&f.r, f.s.ended);
    ck_assert_int_eq(f.s.end, WEIR_TLS_BROKEN);
    weir_tls_read_error(f.s.s, &err);
    ck_assert_str_eq(err.msg, "tls with a client: the peer refused: bad record (alert 20)");
}
END_TEST

/* Detached with a record read and not asked for, and more on its way. */
START_TEST(test_moves_with_data_in_flight)
{
    char buf[2];
    configure(false);
    connect_both();
    exchange();
    f.c.got_len = 0;
    f.c.paused = true;
    tls_end_send(&f.s, "abcdef");
    tls_end_send(&f.s, "ghi");
    run_idle(&f.r);
    ck_assert_int_eq(weir_stream_read(f.c.s, buf, 2), 2);
    weir_stream_detach(f.c.s);
    ck_assert_ptr_null(f.c.s->reactor);
    tls_end_send(&f.s, "jkl");
    run_idle(&f.r);
    f.c.paused = false;
    ck_assert_int_eq(weir_stream_attach(f.c.s, &f.r2, tls_end_on_event, &f.c), WEIR_OK);
    RUN_UNTIL(&f.r2, f.c.got_len == 10);
    ck_assert_mem_eq(f.c.got, "cdefghijkl", 10);
    tls_end_send(&f.c, "from the other thread");
    RUN_UNTIL(&f.r, f.s.got_len == 16 + 21);
    weir_stream_detach(f.c.s);
    weir_stream_close(&f.c.s, false);
    RUN_UNTIL(&f.r, f.s.ended);
}
END_TEST

START_TEST(test_closed_at_every_moment_of_a_handshake)
{
    configure(false);
    for (int turns = 0; turns < 60; turns++) {
        start();
        for (int i = 0; i < turns / 2; i++)
            uv_run(&f.r.loop, UV_RUN_NOWAIT);
        struct tls_end *survivor = turns % 2 == 0 ? &f.s : &f.c;
        weir_stream_close(turns % 2 == 0 ? &f.c.s : &f.s.s, turns % 3 == 0);
        RUN_UNTIL(&f.r, survivor->started > 0);
        if (survivor->code != WEIR_OK)
            ck_assert_int_eq(survivor->why, WEIR_TLS_FAIL_CLOSED);
        close_ends();
    }
}
END_TEST

static bool under_started;

static void on_plain_started(struct weir_stream *s, int code, const struct weir_err *err)
{
    (void)s;
    (void)err;
    ck_assert_int_eq(code, WEIR_OK);
    under_started = true;
}

/* As behind a PROXY header: the socket was read before, and some of what came is TLS. */
START_TEST(test_early_bytes_of_a_started_stream)
{
    int fds[2];
    uint8_t early[100];
    struct weir_stream *under;
    configure(false);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    tls_end_start(&f.c, &f.r, fds[0], &f.copts);
    ck_assert_int_eq(weir_tcp_adopt(&under, &f.r, fds[1], NULL), WEIR_OK);
    weir_stream_start(under, on_plain_started);
    RUN_UNTIL(&f.r, under_started && (under->source.ready & WEIR_READY_IN) != 0);
    ck_assert_int_eq(weir_stream_read(under, early, sizeof early), sizeof early);
    f.sopts.started = true;
    f.sopts.early = early;
    f.sopts.early_len = sizeof early;
    ck_assert_int_eq(weir_tls_wrap(&f.s.s, under, &f.sopts), WEIR_OK);
    f.s.s->owner = &f.s;
    f.s.s->event = tls_end_on_event;
    weir_stream_start(f.s.s, tls_end_on_started);
    RUN_UNTIL(&f.r, f.c.started > 0 && f.s.started > 0);
    exchange();
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {test_both_versions,
                                  test_a_handshake_leaves_no_pages_touched,
                                  test_resumes_in_both_versions,
                                  test_no_session_passes_from_one_configuration_to_another,
                                  test_one_byte_a_call,
                                  test_bulk_both_ways_through_full_sockets,
                                  test_a_full_socket_takes_the_rest_later,
                                  test_held_plaintext_is_pending,
                                  test_tickets_on_an_idle_connection_do_not_disturb,
                                  test_orderly_end_and_truncation_differ,
                                  test_half_close_leaves_the_other_way_open,
                                  test_a_damaged_record_breaks_the_connection,
                                  test_moves_with_data_in_flight,
                                  test_closed_at_every_moment_of_a_handshake,
                                  test_early_bytes_of_a_started_stream};
    pki_open();
    int rv = check_run("tls", setup, teardown, tests, sizeof tests / sizeof tests[0]);
    pki_close();
    return rv;
}
