/* The circuit that a node's workers share: exact over them, without the lock while all is well. */
#include "node/circuit.h"

#include <pthread.h>

#include "check_main.h"
#include "core/rng.h"
#include "node/runtime.h"

#define WORKERS 3u
#define TRY_MS  1000u

static struct weir_provider *provider;
static struct weir_endpoint *e;
static struct weir_config_breaker config;

static void setup(void)
{
    config = (struct weir_config_breaker){
        .enabled = true, .failure_threshold = 5, .recovery_timeout_ms = 10000, .half_open_permits = 1};
    provider = weir_provider_new("p", WORKERS);
    e = weir_endpoint_new(provider, "http://a:1");
    ck_assert_ptr_nonnull(e);
    weir_circuit_configure(&e->circuit, &config, TRY_MS);
}

static void teardown(void)
{
    weir_endpoint_unref(e);
    weir_provider_unref(provider);
}

static struct weir_circuit_caller on(unsigned worker, uint64_t now_ms)
{
    return (struct weir_circuit_caller){worker, now_ms, NULL};
}

static struct weir_breaker_answer admit(unsigned worker, uint64_t now_ms)
{
    const struct weir_circuit_caller by = on(worker, now_ms);
    return weir_circuit_admit(e, &by);
}

static void done(unsigned worker, uint64_t now_ms, const struct weir_breaker_ticket *t, enum weir_breaker_verdict v)
{
    const struct weir_circuit_caller by = on(worker, now_ms);
    weir_circuit_done(e, &by, t, v, 0, "test");
}

static void try_once(unsigned worker, uint64_t now_ms, enum weir_breaker_verdict v)
{
    struct weir_breaker_answer a = admit(worker, now_ms);
    ck_assert_int_eq(a.word, WEIR_BREAKER_ADMIT);
    done(worker, now_ms, &a.ticket, v);
}

static void open_it(uint64_t now_ms)
{
    for (unsigned i = 0; i < config.failure_threshold; i++)
        try_once(i % WORKERS, now_ms, WEIR_BREAKER_FAILURE);
    ck_assert_int_eq(weir_circuit_look(e, now_ms).phase, WEIR_BREAKER_OPEN);
}

START_TEST(test_failures_of_all_workers_count_together)
{
    for (unsigned i = 0; i < 4; i++)
        try_once(i % WORKERS, 1, WEIR_BREAKER_FAILURE);
    ck_assert_int_eq(weir_circuit_look(e, 1).phase, WEIR_BREAKER_CLOSED);
    ck_assert_uint_eq(weir_circuit_look(e, 1).failures, 4);
    ck_assert_int_eq(e->circuit.mode, WEIR_CIRCUIT_WATCHED);
    try_once(2, 1, WEIR_BREAKER_FAILURE);
    struct weir_circuit_sight s = weir_circuit_look(e, 2);
    ck_assert_int_eq(s.phase, WEIR_BREAKER_OPEN);
    ck_assert_uint_eq(s.open_until_ms, 10001);
    ck_assert_uint_eq(s.since_ms, 1);
    ck_assert_int_eq(e->circuit.mode, WEIR_CIRCUIT_GUARDED);
}
END_TEST

START_TEST(test_a_success_between_begins_the_run_anew)
{
    for (unsigned i = 0; i < 4; i++)
        try_once(0, 1, WEIR_BREAKER_FAILURE);
    try_once(1, 1, WEIR_BREAKER_SUCCESS);
    ck_assert_int_eq(e->circuit.mode, WEIR_CIRCUIT_CALM);
    ck_assert_uint_eq(weir_circuit_look(e, 1).failures, 0);
    for (unsigned i = 0; i < 4; i++)
        try_once(2, 1, WEIR_BREAKER_FAILURE);
    ck_assert_int_eq(weir_circuit_look(e, 1).phase, WEIR_BREAKER_CLOSED);
}
END_TEST

START_TEST(test_successes_of_a_calm_circuit_are_added_up_for_the_rate)
{
    config.failure_threshold = 100;
    config.error_rate_threshold = 0.5;
    config.error_rate_window_ms = 10000;
    config.error_rate_min_requests = 4;
    weir_circuit_configure(&e->circuit, &config, TRY_MS);
    for (unsigned i = 0; i < 30; i++)
        try_once(i % WORKERS, 1000, WEIR_BREAKER_SUCCESS);
    ck_assert_uint_eq(weir_circuit_look(e, 1000).window.ok, 0);
    weir_circuit_tick(e, 1000);
    ck_assert_uint_eq(weir_circuit_look(e, 1000).window.ok, 30);
    for (unsigned i = 0; i < 29; i++)
        try_once(0, 2000, WEIR_BREAKER_FAILURE);
    ck_assert_int_eq(weir_circuit_look(e, 2000).phase, WEIR_BREAKER_CLOSED);
    try_once(0, 2000, WEIR_BREAKER_FAILURE);
    ck_assert_int_eq(weir_circuit_look(e, 2000).phase, WEIR_BREAKER_OPEN);
}
END_TEST

START_TEST(test_an_open_circuit_refuses_and_says_for_how_long)
{
    open_it(100);
    ck_assert(!weir_circuit_may_admit(e, 10099));
    struct weir_breaker_answer a = admit(1, 4100);
    ck_assert_int_eq(a.word, WEIR_BREAKER_REFUSE_OPEN);
    ck_assert_uint_eq(a.wait_ms, 6000);
    ck_assert_uint_eq(weir_circuit_refuses_until_ms(e, 4100), 10100);
    ck_assert_uint_eq(weir_circuit_refuses_until_ms(e, 10100), 0);
}
END_TEST

START_TEST(test_one_probe_for_all_workers)
{
    open_it(100);
    ck_assert(weir_circuit_may_admit(e, 10100));
    struct weir_breaker_answer probe = admit(0, 10100);
    ck_assert_int_eq(probe.word, WEIR_BREAKER_ADMIT);
    for (unsigned w = 0; w < WORKERS; w++) {
        ck_assert(!weir_circuit_may_admit(e, 10101));
        ck_assert_int_eq(admit(w, 10101).word, WEIR_BREAKER_REFUSE_HALF_OPEN);
    }
    done(0, 10200, &probe.ticket, WEIR_BREAKER_SUCCESS);
    ck_assert_int_eq(weir_circuit_look(e, 10200).phase, WEIR_BREAKER_CLOSED);
    ck_assert_int_eq(e->circuit.mode, WEIR_CIRCUIT_CALM);
    ck_assert_uint_eq(e->up_since_ms, 10200); /* slow start */
}
END_TEST

START_TEST(test_a_failed_probe_and_one_that_says_nothing)
{
    open_it(100);
    struct weir_breaker_answer a = admit(0, 10100);
    done(0, 10150, &a.ticket, WEIR_BREAKER_NEITHER); /* its client has left: the permit is free again */
    a = admit(1, 10151);
    ck_assert_int_eq(a.word, WEIR_BREAKER_ADMIT);
    done(1, 10200, &a.ticket, WEIR_BREAKER_FAILURE);
    ck_assert_uint_eq(weir_circuit_look(e, 10200).open_until_ms, 20200);
    ck_assert_int_eq(admit(2, 10201).word, WEIR_BREAKER_REFUSE_OPEN);
}
END_TEST

START_TEST(test_tickets_of_before_say_nothing_of_now)
{
    struct weir_breaker_answer old[5];
    for (unsigned i = 0; i < 5; i++)
        old[i] = admit(0, 1);
    open_it(100);
    struct weir_breaker_answer probe = admit(0, 10100);
    for (unsigned i = 0; i < 5; i++)
        done(0, 10150, &old[i].ticket, WEIR_BREAKER_FAILURE);
    ck_assert_int_eq(weir_circuit_look(e, 10150).phase, WEIR_BREAKER_HALF_OPEN);
    done(0, 10160, &probe.ticket, WEIR_BREAKER_SUCCESS);
    ck_assert_int_eq(weir_circuit_look(e, 10160).phase, WEIR_BREAKER_CLOSED);
}
END_TEST

START_TEST(test_a_cooldown_refuses_and_passes)
{
    const struct weir_circuit_caller by = on(0, 100);
    struct weir_breaker_answer a = weir_circuit_admit(e, &by);
    weir_circuit_done(e, &by, &a.ticket, WEIR_BREAKER_NEITHER, 3000, "status 429");
    ck_assert(!weir_circuit_may_admit(e, 3099));
    ck_assert_int_eq(weir_circuit_look(e, 200).phase, WEIR_BREAKER_CLOSED);
    ck_assert_uint_eq(weir_circuit_look(e, 200).cooldown_until_ms, 3100);
    ck_assert(weir_circuit_may_admit(e, 3100));
    try_once(1, 3100, WEIR_BREAKER_SUCCESS);
    ck_assert_int_eq(e->circuit.mode, WEIR_CIRCUIT_CALM);
}
END_TEST

START_TEST(test_switched_off_it_lets_everything_through)
{
    open_it(100);
    config.enabled = false;
    weir_circuit_configure(&e->circuit, &config, TRY_MS);
    ck_assert(weir_circuit_may_admit(e, 101));
    try_once(0, 101, WEIR_BREAKER_FAILURE);
    ck_assert(!weir_circuit_look(e, 101).enabled);
}
END_TEST

START_TEST(test_an_endpoint_is_shunned_until_the_latest_time)
{
    weir_circuit_shun(e, 500);
    weir_circuit_shun(e, 300);
    ck_assert(weir_circuit_is_shunned(e, 499));
    ck_assert(!weir_circuit_is_shunned(e, 500));
}
END_TEST

static _Atomic uint32_t probes_out, probes_max;

/* Random outcomes on three threads at once; while half open at most one is let through. */
static void *churn(void *arg)
{
    unsigned worker = (unsigned)(uintptr_t)arg;
    struct weir_rng rng = {worker + 1};
    for (uint64_t now = 0; now < 40000; now += 7) {
        struct weir_breaker_answer a = admit(worker, now);
        if (a.word != WEIR_BREAKER_ADMIT)
            continue;
        bool probe = a.ticket.own_permit != 0;
        if (probe) {
            uint32_t n = atomic_fetch_add(&probes_out, 1) + 1;
            uint32_t max = atomic_load(&probes_max);
            while (n > max && !atomic_compare_exchange_weak(&probes_max, &max, n))
                ;
            atomic_fetch_sub(&probes_out, 1);
        }
        done(worker, now, &a.ticket, weir_rng_next(&rng) % 4 == 0 ? WEIR_BREAKER_SUCCESS : WEIR_BREAKER_FAILURE);
    }
    return NULL;
}

START_TEST(test_threads_keep_to_one_probe)
{
    pthread_t threads[WORKERS];
    config.recovery_timeout_ms = 50;
    /* The threads' clocks run apart: a permit must not end by one of them while another thread is at its probe. */
    weir_circuit_configure(&e->circuit, &config, 1000000);
    for (unsigned w = 0; w < WORKERS; w++)
        ck_assert_int_eq(pthread_create(&threads[w], NULL, churn, (void *)(uintptr_t)w), 0);
    for (unsigned w = 0; w < WORKERS; w++)
        pthread_join(threads[w], NULL);
    ck_assert_uint_eq(probes_max, 1);
    ck_assert_uint_eq(e->circuit.view.own.permit_count, 0);
}
END_TEST

CHECK_MAIN("circuit", setup, teardown, test_failures_of_all_workers_count_together,
           test_a_success_between_begins_the_run_anew, test_successes_of_a_calm_circuit_are_added_up_for_the_rate,
           test_an_open_circuit_refuses_and_says_for_how_long, test_one_probe_for_all_workers,
           test_a_failed_probe_and_one_that_says_nothing, test_tickets_of_before_say_nothing_of_now,
           test_a_cooldown_refuses_and_passes, test_switched_off_it_lets_everything_through,
           test_an_endpoint_is_shunned_until_the_latest_time, test_threads_keep_to_one_probe)
