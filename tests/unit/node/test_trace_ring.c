#include "node/trace_ring.h"

#include <pthread.h>
#include <sched.h>

#include "check_main.h"

static struct weir_trace_ring *ring;
static struct weir_span taken[WEIR_TRACE_RING_SPANS];

static void setup(void)
{
    ring = weir_trace_ring_new();
    ck_assert_ptr_nonnull(ring);
}

static void teardown(void)
{
    weir_trace_ring_free(&ring);
}

static bool put(uint64_t n)
{
    struct weir_span s = {.begin_us = n, .end_us = n};
    return weir_trace_ring_put(ring, &s);
}

START_TEST(test_they_come_out_in_their_order)
{
    ck_assert_uint_eq(weir_trace_ring_take(ring, taken, 10), 0);
    for (uint64_t n = 1; n <= 5; n++)
        ck_assert(put(n));
    ck_assert_uint_eq(weir_trace_ring_take(ring, taken, 3), 3);
    ck_assert_uint_eq(weir_trace_ring_take(ring, taken + 3, 10), 2);
    for (uint64_t n = 1; n <= 5; n++)
        ck_assert_uint_eq(taken[n - 1].begin_us, n);
}
END_TEST

START_TEST(test_a_full_one_takes_no_more)
{
    for (uint64_t n = 0; n < WEIR_TRACE_RING_SPANS; n++)
        ck_assert(put(n));
    ck_assert(!put(999));
    ck_assert_uint_eq(weir_trace_ring_take(ring, taken, 1), 1);
    ck_assert(put(1000));
    ck_assert(!put(1001));
    ck_assert_uint_eq(weir_trace_ring_take(ring, taken, WEIR_TRACE_RING_SPANS), WEIR_TRACE_RING_SPANS);
    ck_assert_uint_eq(taken[WEIR_TRACE_RING_SPANS - 1].begin_us, 1000);
}
END_TEST

#define MANY UINT64_C(100000)

static void *write_many(void *arg)
{
    (void)arg;
    for (uint64_t n = 1; n <= MANY; n++)
        while (!put(n))
            sched_yield();
    return NULL;
}

START_TEST(test_two_threads)
{
    pthread_t writer;
    uint64_t next = 1;
    ck_assert_int_eq(pthread_create(&writer, NULL, write_many, NULL), 0);
    while (next <= MANY) {
        size_t count = weir_trace_ring_take(ring, taken, 64);
        for (size_t i = 0; i < count; i++, next++)
            ck_assert(taken[i].begin_us == next && taken[i].end_us == next);
        if (count == 0)
            sched_yield();
    }
    ck_assert_int_eq(pthread_join(writer, NULL), 0);
}
END_TEST

CHECK_MAIN("trace_ring", setup, teardown, test_they_come_out_in_their_order, test_a_full_one_takes_no_more,
           test_two_threads)
