#include "check_main.h"
#include "helper_tls.h"

#include <pthread.h>
#include <sched.h>

/* Streams and the crypto pool they share: what it refuses, what it frees, and its end. */

#define THREADS 2

static struct {
    struct weir_reactor r;
    struct weir_crypto_pool *pool;
    struct weir_tls_config *cc, *sc;
    struct weir_tls_stats cstats;
    struct weir_tls_opts copts, sopts;
    struct tls_end c, s;
    pthread_mutex_t gate; /* held: the pool's threads stand at it */
    struct weir_crypto_job blockers[WEIR_CRYPTO_QUEUE_MAX + THREADS];
    size_t blocked;
} f;

static void setup(void)
{
    struct weir_err err;
    memset(&f, 0, sizeof f);
    pthread_mutex_init(&f.gate, NULL);
    reactor_open(&f.r);
    ck_assert_int_eq(weir_crypto_pool_new(&f.pool, THREADS, &err), WEIR_OK);
    f.cc = client_config(NULL, NULL, false);
    f.sc = server_config("good", false);
    f.copts = (struct weir_tls_opts){.config = f.cc, .pool = f.pool, .host = "good.test", .stats = &f.cstats};
    f.sopts = (struct weir_tls_opts){.config = f.sc, .pool = f.pool};
}

static void close_ends(void)
{
    weir_stream_close(&f.c.s, false);
    weir_stream_close(&f.s.s, false);
    memset(&f.c, 0, sizeof f.c);
    memset(&f.s, 0, sizeof f.s);
}

static void teardown(void)
{
    close_ends();
    weir_crypto_pool_free(&f.pool);
    weir_reactor_close(&f.r);
    weir_tls_config_unref(&f.cc);
    weir_tls_config_unref(&f.sc);
    pthread_mutex_destroy(&f.gate);
}

static void start(void)
{
    tls_pair_start(&f.c, &f.s, &f.r, &f.r, &f.copts, &f.sopts);
}

static void wait_at_gate(struct weir_crypto_job *job)
{
    (void)job;
    pthread_mutex_lock(&f.gate);
    pthread_mutex_unlock(&f.gate);
}

static void blocker_done(struct weir_message *m, void *receiver)
{
    (void)m;
    (void)receiver;
}

/* All threads of the pool at the gate, and `waiting` jobs behind them. */
static void block(size_t waiting)
{
    pthread_mutex_lock(&f.gate);
    for (f.blocked = 0; f.blocked < THREADS + waiting; f.blocked++) {
        struct weir_crypto_job *job = &f.blockers[f.blocked];
        *job = (struct weir_crypto_job){.run = wait_at_gate, .mailbox = &f.r.mailbox, .done.handle = blocker_done};
        weir_list_init(&job->queued);
        ck_assert_int_eq(weir_crypto_pool_submit(f.pool, job, f.blocked % 2 == 0), WEIR_OK);
        while (f.blocked < THREADS && weir_crypto_pool_waiting(f.pool) > 0)
            sched_yield();
    }
}

START_TEST(test_a_full_queue_refuses)
{
    block(WEIR_CRYPTO_QUEUE_MAX);
    start();
    RUN_UNTIL(&f.r, f.c.started > 0);
    ck_assert_int_eq(f.c.code, WEIR_ELIMIT);
    ck_assert_int_eq(f.c.why, WEIR_TLS_FAIL_OVERLOAD);
    ck_assert_str_eq(f.c.err.msg, "tls with good.test: too many handshakes wait");
    ck_assert_uint_eq(f.cstats.failed[WEIR_TLS_FAIL_OVERLOAD], 1);
    pthread_mutex_unlock(&f.gate);
}
END_TEST

/* Wiping and freeing what mbedTLS holds is no work for a loop; with a full queue it does it all the same. */
START_TEST(test_a_closed_connection_is_freed_by_the_pool)
{
    for (int full = 0; full < 2; full++) {
        start();
        RUN_UNTIL(&f.r, f.c.started > 0 && f.s.started > 0);
        ck_assert_int_eq(f.c.code, WEIR_OK);
        block(full ? WEIR_CRYPTO_QUEUE_MAX : 0);
        close_ends();
        ck_assert_uint_eq(weir_crypto_pool_waiting(f.pool), full ? WEIR_CRYPTO_QUEUE_MAX : 2);
        pthread_mutex_unlock(&f.gate);
        while (weir_crypto_pool_waiting(f.pool) > 0)
            uv_run(&f.r.loop, UV_RUN_NOWAIT);
        run_idle(&f.r);
    }
}
END_TEST

START_TEST(test_pool_ends_with_jobs_of_closed_streams)
{
    struct weir_err err;
    for (int i = 0; i < 20; i++) {
        start();
        uv_run(&f.r.loop, UV_RUN_NOWAIT);
        uv_run(&f.r.loop, UV_RUN_NOWAIT);
        close_ends();
    }
    weir_crypto_pool_free(&f.pool); /* their messages are still in the mailbox: teardown must find nothing left */
    ck_assert_int_eq(weir_crypto_pool_new(&f.pool, 1, &err), WEIR_OK);
}
END_TEST

/* -- several reactors that share the pool, the configurations and the sessions, each with connections of its own -- */

#define REACTORS    3
#define CONNECTIONS 20

struct reactor_thread {
    struct weir_reactor r;
    pthread_t thread;
    struct weir_tls_opts copts, sopts;
    unsigned heard;
};

static void *connect_and_close(void *arg)
{
    struct reactor_thread *rt = arg;
    for (int i = 0; i < CONNECTIONS; i++) {
        struct tls_end c = {0}, s = {0};
        tls_pair_start(&c, &s, &rt->r, &rt->r, &rt->copts, &rt->sopts);
        while (c.started == 0 || s.started == 0)
            uv_run(&rt->r.loop, UV_RUN_ONCE);
        if (c.code == WEIR_OK && s.code == WEIR_OK) {
            tls_end_send(&s, "tickets first");
            while (c.got_len == 0 && !c.ended)
                uv_run(&rt->r.loop, UV_RUN_ONCE);
            rt->heard += c.got_len == 13;
        }
        weir_stream_close(&c.s, i % 2 == 0);
        weir_stream_close(&s.s, i % 3 == 0);
    }
    return NULL;
}

START_TEST(test_reactors_share_a_pool)
{
    static struct reactor_thread threads[REACTORS];
    struct weir_tls_sessions *sessions = weir_tls_sessions_new();
    f.copts.sessions = sessions;
    for (unsigned i = 0; i < REACTORS; i++) {
        threads[i] = (struct reactor_thread){.copts = f.copts, .sopts = f.sopts};
        reactor_open(&threads[i].r);
        ck_assert_int_eq(pthread_create(&threads[i].thread, NULL, connect_and_close, &threads[i]), 0);
    }
    for (unsigned i = 0; i < REACTORS; i++) {
        ck_assert_int_eq(pthread_join(threads[i].thread, NULL), 0);
        ck_assert_uint_eq(threads[i].heard, CONNECTIONS);
    }
    ck_assert_uint_eq(f.cstats.full + f.cstats.resumed, (uint64_t)REACTORS * CONNECTIONS);
    ck_assert_uint_gt(f.cstats.resumed, 0);
    weir_crypto_pool_free(&f.pool);
    for (unsigned i = 0; i < REACTORS; i++)
        weir_reactor_close(&threads[i].r);
    weir_tls_sessions_unref(&sessions);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {test_a_full_queue_refuses, test_a_closed_connection_is_freed_by_the_pool,
                                  test_pool_ends_with_jobs_of_closed_streams, test_reactors_share_a_pool};
    pki_open();
    int rv = check_run("tls pool", setup, teardown, tests, sizeof tests / sizeof tests[0]);
    pki_close();
    return rv;
}
