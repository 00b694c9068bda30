/* Endpoints in and out of health: what workers tell, what control folds in, and what both see and log of it. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "check_main.h"
#include "core/wheel.h"
#include "net/log.h"
#include "node/runtime.h"

#define WORKERS   2u
#define ENDPOINTS 4u
#define SECOND    ((uint64_t)1000)

static const struct weir_outlier_opts opts = {.checks = true,
                                              .check_interval_ms = 30 * SECOND,
                                              .unhealthy_threshold = 2,
                                              .failures_in_a_row = 3,
                                              .eject_ms = 10 * SECOND,
                                              .eject_ms_max = 60 * SECOND};

static struct weir_provider *p;
static struct weir_endpoint *e[ENDPOINTS];
static struct weir_log *log_made;
static struct weir_log_producer *producer;
static int log_pipe[2];
static uint64_t now = 1000 * SECOND;

static void follow(unsigned count)
{
    weir_health_follow(p, &opts, e, count, now, 0, producer);
}

static void setup(void)
{
    p = weir_provider_new("p", WORKERS);
    for (unsigned i = 0; i < ENDPOINTS; i++) {
        char id[32];
        snprintf(id, sizeof id, "http://10.0.0.%u:80", i);
        e[i] = weir_endpoint_new(p, id);
        ck_assert_ptr_nonnull(e[i]);
    }
    struct weir_err err;
    ck_assert_int_eq(pipe(log_pipe), 0);
    struct weir_log_opts log_opts = {.fd = log_pipe[1], .format = WEIR_LOG_LOGFMT, .level = WEIR_LOG_INFO};
    ck_assert_int_eq(weir_log_start(&log_made, &log_opts, &err), 0);
    ck_assert_int_eq(weir_log_join(log_made, &producer), 0);
    follow(ENDPOINTS);
}

static void teardown(void)
{
    if (log_made != NULL)
        weir_log_stop(&log_made, 1000);
    for (unsigned i = 0; i < ENDPOINTS; i++)
        if (e[i] != NULL)
            weir_endpoint_unref(e[i]);
    weir_provider_unref(p);
    close(log_pipe[0]);
    if (log_pipe[1] >= 0)
        close(log_pipe[1]);
}

static void tried(unsigned endpoint, unsigned worker, bool ok, unsigned times)
{
    while (times-- > 0)
        weir_health_tried(p, e[endpoint], worker, ok, now, producer);
}

static void tick_after(uint64_t ms)
{
    now += ms;
    weir_health_tick(p, now, producer);
}

/* Makes the checks that are due, all with one result, and returns whose they were. */
static uint64_t check_all(bool passed)
{
    uint64_t slots = 0;
    struct weir_endpoint *due;
    while ((due = weir_health_check_next(p, now)) != NULL) {
        slots |= UINT64_C(1) << due->slot;
        weir_health_check_done(p, due, passed ? NULL : "refused", now, producer);
    }
    return slots;
}

/* All that was logged so far; ends the log. */
static const char *logged(void)
{
    static char text[8192];
    weir_log_stop(&log_made, 1000);
    close(log_pipe[1]);
    log_pipe[1] = -1;
    ssize_t n = read(log_pipe[0], text, sizeof text - 1);
    ck_assert_int_ge(n, 0);
    text[n] = '\0';
    return text;
}

static unsigned lines_with(const char *text, const char *word)
{
    unsigned n = 0;
    for (; (text = strstr(text, word)) != NULL; text += strlen(word))
        n++;
    return n;
}

START_TEST(test_failures_of_all_workers_count_together)
{
    tried(1, 0, false, 2);
    ck_assert_uint_eq(weir_health_out(p), 0);
    tried(1, 1, false, 1);
    ck_assert_uint_eq(weir_health_out(p), 1u << e[1]->slot);
    ck_assert_uint_eq(e[1]->ejections[WEIR_OUTLIER_BY_FAILURES], 1);
    tick_after(opts.eject_ms - 1);
    ck_assert_uint_ne(weir_health_out(p), 0);
    tick_after(1);
    ck_assert_uint_eq(weir_health_out(p), 0);
    const char *text = logged();
    ck_assert_uint_eq(lines_with(text, "event=endpoint_ejected"), 1);
    ck_assert_uint_eq(lines_with(text, "event=endpoint_returned"), 1);
    ck_assert_uint_eq(lines_with(text, "provider=p endpoint=http://10.0.0.1:80"), 2);
    ck_assert_uint_eq(lines_with(text, "until="), 1);
}
END_TEST

START_TEST(test_an_answer_ends_a_run)
{
    tried(1, 0, false, 2);
    tried(1, 1, true, 1);
    ck_assert_uint_eq(p->health.outlier.at[e[1]->slot].failures, 0);
    tried(1, 0, false, 2);
    ck_assert_uint_eq(weir_health_out(p), 0);
}
END_TEST

START_TEST(test_answers_are_folded_in_by_control)
{
    tried(0, 0, true, 60);
    tried(0, 1, true, 40);
    ck_assert_uint_eq(p->health.outlier.at[e[0]->slot].ok, 0);
    tick_after(1);
    ck_assert_uint_eq(p->health.outlier.at[e[0]->slot].ok, 100);
    tick_after(1);
    ck_assert_uint_eq(p->health.outlier.at[e[0]->slot].ok, 100);
}
END_TEST

START_TEST(test_a_rate_far_below_the_others)
{
    for (unsigned i = 0; i < 3; i++)
        tried(i, 0, true, 100);
    for (unsigned i = 0; i < 50; i++) {
        tried(3, 0, false, 1);
        tried(3, 1, true, 1);
    }
    tick_after(WEIR_OUTLIER_INTERVAL_MS);
    ck_assert_uint_eq(weir_health_out(p), 1u << e[3]->slot);
    ck_assert_uint_eq(e[3]->ejections[WEIR_OUTLIER_BY_RATE], 1);
}
END_TEST

START_TEST(test_checks_take_out_and_bring_back)
{
    now += opts.check_interval_ms;
    ck_assert_uint_eq(check_all(true), 0xf);
    ck_assert_ptr_null(weir_health_check_next(p, now));
    for (unsigned i = 0; i < 2; i++) {
        now += opts.check_interval_ms;
        struct weir_endpoint *due;
        while ((due = weir_health_check_next(p, now)) != NULL)
            weir_health_check_done(p, due, due != e[2] ? NULL : "status 500", now, producer);
    }
    ck_assert_uint_eq(weir_health_out(p), 1u << e[2]->slot);
    ck_assert_uint_eq(p->health.unhealthy, 1u << e[2]->slot);
    now += opts.check_interval_ms;
    check_all(true);
    ck_assert_uint_eq(weir_health_out(p), 0);
    ck_assert_uint_eq(p->health.unhealthy, 0);
    const char *text = logged();
    ck_assert_uint_eq(lines_with(text, "event=endpoint_unhealthy"), 1);
    ck_assert_uint_eq(lines_with(text, "reason=\"status 500\""), 1);
    ck_assert_uint_eq(lines_with(text, "event=endpoint_healthy"), 1);
}
END_TEST

START_TEST(test_another_node_s_checks_count_as_one_s_own)
{
    for (unsigned i = 0; i < 2; i++) {
        now += opts.check_interval_ms / 2;
        weir_health_check_heard(p, e[2], "status 500", now, producer);
    }
    ck_assert_uint_eq(weir_health_out(p), 1u << e[2]->slot);
    ck_assert_uint_eq(e[2]->checks[1], 0); /* they are the other node's to count */
    now += opts.check_interval_ms - 1;     /* for an interval it need not be checked here */
    ck_assert_uint_eq(check_all(true), 0xf & ~(1u << e[2]->slot));
    now += 1;
    struct weir_endpoint *due = weir_health_check_next(p, now);
    ck_assert_ptr_eq(due, e[2]);
    weir_health_check_heard(p, e[2], "status 500", now, producer); /* its own check is under way, and says more */
    weir_health_check_done(p, due, NULL, now, producer);
    ck_assert_uint_eq(weir_health_out(p), 0);
}
END_TEST

START_TEST(test_at_most_half_are_out_and_who_is_spared_is_told_once)
{
    for (unsigned i = 0; i < ENDPOINTS; i++)
        tried(i, 0, false, 3);
    ck_assert_int_eq(__builtin_popcountll(weir_health_out(p)), 2);
    for (unsigned n = 0; n < 5; n++) {
        tried(3, 0, true, 1);
        tried(3, 0, false, 3);
    }
    const char *text = logged();
    ck_assert_uint_eq(lines_with(text, "event=endpoint_ejected"), 2);
    ck_assert_uint_eq(lines_with(text, "event=endpoint_spared"), 2);
}
END_TEST

START_TEST(test_the_only_one_is_not_told_of)
{
    follow(1);
    tried(0, 0, false, 10);
    ck_assert_uint_eq(weir_health_out(p), 0);
    ck_assert_str_eq(logged(), "");
}
END_TEST

START_TEST(test_an_open_circuit_pauses_checks_and_a_closed_one_restores)
{
    tried(0, 0, false, 3);
    weir_health_circuit(p, e[0], true, now + 100 * SECOND, producer);
    now += 99 * SECOND;
    ck_assert_uint_eq(check_all(true), 0xe);
    ck_assert_uint_ne(weir_health_out(p), 0); /* no tick came by */
    weir_health_circuit(p, e[0], false, 0, producer);
    ck_assert_uint_eq(weir_health_out(p), 0);
    now += SECOND;
    ck_assert_uint_eq(check_all(true), 1);
}
END_TEST

START_TEST(test_endpoints_come_and_go)
{
    tried(0, 0, false, 3);
    tried(1, 0, false, 3);
    follow(ENDPOINTS); /* a reload that changes nothing */
    ck_assert_int_eq(__builtin_popcountll(weir_health_out(p)), 2);
    struct weir_endpoint *due = NULL;
    now += opts.check_interval_ms;
    while ((due = weir_health_check_next(p, now)) != NULL && due != e[3])
        weir_health_check_done(p, due, NULL, now, producer);
    ck_assert_ptr_eq(due, e[3]);
    follow(3);
    ck_assert_int_eq(__builtin_popcountll(weir_health_out(p)), 1);
    /* What an older view's requests and checks still have to tell is ignored. */
    tried(3, 0, false, 9);
    tried(3, 0, true, 9);
    weir_health_circuit(p, e[3], true, now + SECOND, producer);
    weir_health_circuit(p, e[3], false, 0, producer);
    weir_health_check_done(p, e[3], "refused", now, producer);
    weir_health_check_drop(p, e[3], now);
    tick_after(SECOND);
    ck_assert_uint_eq(p->health.outlier.count, 3);
    ck_assert_uint_eq(weir_health_out(p) >> e[3]->slot & 1, 0);
    /* In again, with what was counted while it was out left behind. */
    follow(ENDPOINTS);
    tick_after(1);
    ck_assert_uint_eq(p->health.outlier.at[e[3]->slot].ok, 0);
    weir_health_forget(p);
    ck_assert_uint_eq(weir_health_out(p), 0);
    ck_assert_ptr_null(weir_health_check_next(p, WEIR_NEVER - 1));
    tried(0, 0, false, 9);
    ck_assert_uint_eq(weir_health_out(p), 0);
}
END_TEST

/* -- many threads; for the thread sanitizer too -- */

static void *worker_main(void *arg)
{
    unsigned worker = *(unsigned *)arg;
    uint64_t seen = 0;
    for (unsigned i = 0; i < 20000; i++) {
        seen |= weir_health_out(p);
        weir_health_tried(p, e[i % ENDPOINTS], worker, i % 97 >= 3 * worker, 1000 * SECOND + i, NULL);
        if (i % 1000 == 0)
            weir_health_circuit(p, e[0], i % 2000 == 0, 1000 * SECOND + i, NULL);
    }
    ck_assert_uint_eq(seen >> ENDPOINTS, 0);
    return NULL;
}

START_TEST(test_workers_and_control_at_once)
{
    pthread_t threads[WORKERS];
    unsigned index[WORKERS];
    for (unsigned w = 0; w < WORKERS; w++) {
        index[w] = w;
        ck_assert_int_eq(pthread_create(&threads[w], NULL, worker_main, &index[w]), 0);
    }
    for (unsigned i = 0; i < 500; i++) {
        now += 100;
        weir_health_tick(p, now, NULL);
        check_all(i % 7 < 4);
        follow(i % 3 == 0 ? ENDPOINTS - 1 : ENDPOINTS);
        ck_assert_int_le(__builtin_popcountll(weir_health_out(p)), ENDPOINTS / 2);
    }
    for (unsigned w = 0; w < WORKERS; w++)
        pthread_join(threads[w], NULL);
    follow(ENDPOINTS);
    tick_after(10 * opts.eject_ms_max);
    check_all(true);
    tick_after(1);
    ck_assert_uint_eq(weir_health_out(p), 0);
}
END_TEST

CHECK_MAIN("health", setup, teardown, test_failures_of_all_workers_count_together, test_an_answer_ends_a_run,
           test_answers_are_folded_in_by_control, test_a_rate_far_below_the_others, test_checks_take_out_and_bring_back,
           test_another_node_s_checks_count_as_one_s_own, test_at_most_half_are_out_and_who_is_spared_is_told_once,
           test_the_only_one_is_not_told_of, test_an_open_circuit_pauses_checks_and_a_closed_one_restores,
           test_endpoints_come_and_go, test_workers_and_control_at_once)
