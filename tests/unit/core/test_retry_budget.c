#include <pthread.h>
#include <stdatomic.h>

#include "check_main.h"
#include "core/retry_budget.h"
#include "core/rng.h"
#include "helper/core_failmalloc.h"

static struct weir_retry_budget *budget;
static struct weir_err err;

static void make(unsigned workers)
{
    ck_assert_int_eq(weir_retry_budget_new(&budget, workers, &err), WEIR_OK);
}

static void teardown(void)
{
    weir_retry_budget_free(&budget);
    ck_assert_ptr_null(budget);
}

static unsigned take_all(uint64_t now_ms)
{
    unsigned n = 0;
    while (weir_retry_budget_take(budget, now_ms))
        n++;
    return n;
}

START_TEST(test_the_floor)
{
    make(1);
    ck_assert_uint_eq(take_all(0), 100);
    ck_assert_uint_eq(take_all(9999), 0);
    ck_assert_uint_eq(take_all(10000), 100);
    ck_assert_uint_eq(take_all(1000000), 100);
}
END_TEST

START_TEST(test_a_fifth_of_the_requests_of_all_workers)
{
    make(3);
    for (unsigned i = 0; i < 3000; i++)
        weir_retry_budget_request(budget, i % 3, 5000 + i);
    struct weir_retry_budget_sight s = weir_retry_budget_look(budget, 8000);
    ck_assert_uint_eq(s.requests, 3000);
    ck_assert_uint_eq(s.allowed, 600);
    ck_assert_uint_eq(take_all(8000), 600);
    ck_assert_uint_eq(weir_retry_budget_look(budget, 8000).retries, 600);
    ck_assert_uint_eq(take_all(14999), 0);
    /* The requests of second 5 are gone, the retries of second 8 are not. */
    ck_assert_uint_eq(weir_retry_budget_look(budget, 15000).requests, 2000);
    ck_assert_uint_eq(take_all(15000), 0);
    ck_assert_uint_eq(take_all(18000), 100);
}
END_TEST

START_TEST(test_a_refused_retry_costs_nothing)
{
    make(1);
    ck_assert_uint_eq(take_all(0), 100);
    for (int i = 0; i < 1000; i++)
        ck_assert(!weir_retry_budget_take(budget, 500));
    ck_assert_uint_eq(weir_retry_budget_look(budget, 500).retries, 100);
}
END_TEST

/* A thread whose clock is behind counts in the buckets of those ahead of it, and sees them. */
START_TEST(test_a_clock_that_lags)
{
    make(2);
    weir_retry_budget_request(budget, 0, 20000);
    weir_retry_budget_request(budget, 1, 9000);
    ck_assert_uint_eq(take_all(20000), 100);
    ck_assert(!weir_retry_budget_take(budget, 19000));
    ck_assert(!weir_retry_budget_take(budget, 10000));
    ck_assert_uint_eq(weir_retry_budget_look(budget, 20000).retries, 100);
}
END_TEST

/* All dead: every request fails and asks for three retries. Whatever the load does, over any stretch the provider sees
 * at most 1.2 times the requests and the floor. */
START_TEST(test_a_dead_provider_sees_at_most_a_fifth_more)
{
    enum { SECONDS = 300 };
    static uint64_t requests[SECONDS], retries[SECONDS];
    struct weir_rng rng = {42};
    make(4);
    for (unsigned s = 0; s < SECONDS; s++) {
        uint64_t load = s % 60 < 30 ? 1000 : weir_rng_next(&rng) % 3000;
        for (uint64_t i = 0; i < load; i++) {
            uint64_t now = s * 1000 + i * 1000 / load;
            weir_retry_budget_request(budget, (unsigned)(weir_rng_next(&rng) % 4), now);
            requests[s]++;
            for (int k = 0; k < 3; k++)
                retries[s] += weir_retry_budget_take(budget, now);
        }
    }
    uint64_t all_requests = 0, all_retries = 0;
    for (unsigned from = 0; from + 10 <= SECONDS; from++) {
        uint64_t q = 0, t = 0;
        for (unsigned s = from; s < from + 10; s++) {
            q += requests[s];
            t += retries[s];
        }
        ck_assert_uint_le(t, q / 5 > 100 ? q / 5 : 100);
    }
    for (unsigned s = 0; s < SECONDS; s++) {
        all_requests += requests[s];
        all_retries += retries[s];
    }
    ck_assert_uint_le(all_retries, all_requests / 5);
    ck_assert_uint_gt(all_retries, all_requests / 10); /* and it is there to be used */
}
END_TEST

enum { THREADS = 4, TRIES = 20000 };
static _Atomic unsigned taken;

static void *requester(void *arg)
{
    unsigned worker = *(unsigned *)arg;
    for (unsigned i = 0; i < TRIES; i++) {
        weir_retry_budget_request(budget, worker, 1000 + i % 3000);
        if (weir_retry_budget_take(budget, 1000 + i % 3000))
            atomic_fetch_add(&taken, 1);
    }
    return NULL;
}

/* Four threads at once, their clocks apart: nothing is taken above the bound, no request is lost. */
START_TEST(test_threads)
{
    pthread_t threads[THREADS];
    unsigned ids[THREADS];
    make(THREADS);
    for (unsigned i = 0; i < THREADS; i++) {
        ids[i] = i;
        ck_assert_int_eq(pthread_create(&threads[i], NULL, requester, &ids[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    struct weir_retry_budget_sight s = weir_retry_budget_look(budget, 4000);
    ck_assert_uint_eq(s.requests, THREADS * TRIES);
    ck_assert_uint_eq(s.retries, taken);
    ck_assert_uint_le(taken, s.allowed);
    ck_assert_uint_gt(taken, 100);
}
END_TEST

START_TEST(test_out_of_memory)
{
    bool failed = true;
    for (unsigned long n = 1; failed; n++) {
        failmalloc_begin(n);
        int rv = weir_retry_budget_new(&budget, 8, &err);
        bool made = budget != NULL;
        weir_retry_budget_free(&budget);
        long left = failmalloc_end(&failed);
        ck_assert_int_eq(rv, failed ? WEIR_ENOMEM : WEIR_OK);
        ck_assert(made == (rv == WEIR_OK));
        ck_assert_int_eq(left, 0);
    }
}
END_TEST

CHECK_MAIN("retry_budget", NULL, teardown, test_the_floor, test_a_fifth_of_the_requests_of_all_workers,
           test_a_refused_retry_costs_nothing, test_a_clock_that_lags, test_a_dead_provider_sees_at_most_a_fifth_more,
           test_threads, test_out_of_memory)
