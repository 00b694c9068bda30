#include "net/tls_sessions.h"

#include "check_main.h"
#include "helper/core_failmalloc.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#define THREADS 4
#define EACH    5000u

static struct weir_tls_sessions *sessions;
static uint8_t got[WEIR_TLS_SESSION_BYTES_MAX];

static void setup(void)
{
    sessions = weir_tls_sessions_new();
    ck_assert_ptr_nonnull(sessions);
}

static void teardown(void)
{
    weir_tls_sessions_unref(&sessions);
    ck_assert_ptr_null(sessions);
}

static void put(uint64_t config, bool once, const char *text)
{
    weir_tls_sessions_put(sessions, config, once, (const uint8_t *)text, strlen(text));
}

static void takes(uint64_t config, const char *text)
{
    size_t n = weir_tls_sessions_take(sessions, config, got);
    ck_assert_msg(n == strlen(text) && memcmp(got, text, n) == 0, "%.*s instead of %s", (int)n, (char *)got, text);
}

START_TEST(test_a_ticket_is_given_once_and_the_newest_first)
{
    put(1, true, "old");
    put(1, true, "new");
    takes(1, "new");
    takes(1, "old");
    takes(1, "");
}
END_TEST

START_TEST(test_a_session_is_given_again_until_a_newer_one_comes)
{
    put(1, false, "old");
    takes(1, "old");
    takes(1, "old");
    put(1, false, "new");
    ck_assert_uint_eq(weir_tls_sessions_count(sessions), 1);
    takes(1, "new");
}
END_TEST

START_TEST(test_one_configuration_never_gets_anothers)
{
    put(1, true, "a");
    put(1, true, "b");
    takes(2, "");
    ck_assert_uint_eq(weir_tls_sessions_count(sessions), 0);
    put(1, true, "a");
    put(2, true, "c");
    ck_assert_uint_eq(weir_tls_sessions_count(sessions), 1);
    takes(2, "c");
}
END_TEST

START_TEST(test_is_bounded)
{
    static uint8_t large[WEIR_TLS_SESSION_BYTES_MAX + 1];
    char text[2] = {0};
    weir_tls_sessions_put(sessions, 1, true, large, sizeof large);
    ck_assert_uint_eq(weir_tls_sessions_count(sessions), 0);
    weir_tls_sessions_put(sessions, 1, true, large, sizeof large - 1);
    ck_assert_uint_eq(weir_tls_sessions_take(sessions, 1, got), sizeof large - 1);
    for (unsigned i = 0; i < WEIR_TLS_SESSIONS_MAX + 2; i++) {
        text[0] = (char)('a' + i);
        put(1, true, text);
    }
    ck_assert_uint_eq(weir_tls_sessions_count(sessions), WEIR_TLS_SESSIONS_MAX);
    for (unsigned i = WEIR_TLS_SESSIONS_MAX + 2; i > 2; i--) {
        text[0] = (char)('a' + i - 1);
        takes(1, text);
    }
    takes(1, "");
}
END_TEST

START_TEST(test_out_of_memory_keeps_what_there_is)
{
    bool failed;
    put(1, true, "kept");
    failmalloc_begin(1);
    weir_tls_sessions_put(sessions, 1, true, (const uint8_t *)"lost", 4);
    long left = failmalloc_end(&failed);
    ck_assert(failed);
    ck_assert_int_eq(left, 0);
    ck_assert_uint_eq(weir_tls_sessions_count(sessions), 1);
    takes(1, "kept");
    failmalloc_begin(1);
    struct weir_tls_sessions *none = weir_tls_sessions_new();
    failmalloc_end(&failed);
    ck_assert(failed);
    ck_assert_ptr_null(none);
}
END_TEST

/* Each thread puts tickets of its own and takes whatever is there, as connections of several workers do. */

static atomic_uint taken[THREADS * EACH];

static void note(const uint8_t *bytes, size_t n)
{
    uint32_t number;
    if (n == sizeof number) {
        memcpy(&number, bytes, sizeof number);
        atomic_fetch_add(&taken[number], 1);
    }
}

static void *put_and_take(void *arg)
{
    uint32_t first = *(uint32_t *)arg;
    uint8_t buf[WEIR_TLS_SESSION_BYTES_MAX];
    struct weir_tls_sessions *mine = weir_tls_sessions_ref(sessions);
    for (uint32_t i = first; i < first + EACH; i++) {
        weir_tls_sessions_put(mine, 1, true, (const uint8_t *)&i, sizeof i);
        note(buf, weir_tls_sessions_take(mine, 1, buf));
    }
    weir_tls_sessions_unref(&mine);
    return NULL;
}

START_TEST(test_no_ticket_is_given_to_two_threads)
{
    pthread_t threads[THREADS];
    uint32_t first[THREADS];
    unsigned got_in_all = 0;
    for (uint32_t i = 0; i < THREADS; i++) {
        first[i] = i * EACH;
        ck_assert_int_eq(pthread_create(&threads[i], NULL, put_and_take, &first[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (unsigned i = 0; i < THREADS * EACH; i++) {
        unsigned times = atomic_load(&taken[i]);
        ck_assert_uint_le(times, 1);
        got_in_all += times;
    }
    /* With one ticket a thread at most there, none is pushed out. */
    ck_assert_uint_eq(got_in_all + weir_tls_sessions_count(sessions), THREADS * EACH);
}
END_TEST

CHECK_MAIN("tls sessions", setup, teardown, test_a_ticket_is_given_once_and_the_newest_first,
           test_a_session_is_given_again_until_a_newer_one_comes, test_one_configuration_never_gets_anothers,
           test_is_bounded, test_out_of_memory_keeps_what_there_is, test_no_ticket_is_given_to_two_threads)
