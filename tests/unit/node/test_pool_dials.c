#include "check_main.h"
#include "helper_pool.h"

static void setup(void)
{
    world_open(1);
    provider->total_max = 8;
}

/* A dial takes as long as a handshake does: many requests come and are served by others meanwhile. Were each of them to
 * leave a dial behind, a few clients would fill the pool, and the queue for handshakes, with connections for nobody. */
START_TEST(test_a_dial_left_behind_is_for_the_next_request)
{
    struct wish w[2];
    struct weir_pool_conn *c = lease_new(0, 0);
    for (int i = 0; i < 5; i++) {
        ck_assert_int_eq(ask(0, &w[0], 0, false), WEIR_POOL_WAITING);
        ck_assert_uint_eq(provider->total, 2); /* the one in use, and one dial */
        weir_pool_release(pools[0], c);
        ck_assert_ptr_eq(w[0].got, c);
    }
    ck_assert_int_eq(ask(0, &w[1], 0, false), WEIR_POOL_WAITING);
    opens(0);
    ck_assert_ptr_nonnull(w[1].got);
    ck_assert_ptr_ne(w[1].got, c);
    ck_assert_int_eq(alive_max, 2);
    weir_pool_release(pools[0], c);
    weir_pool_release(pools[0], w[1].got);
}
END_TEST

START_TEST(test_who_relied_on_a_dial_that_failed_is_told)
{
    struct wish w[2];
    struct weir_pool_conn *c = lease_new(0, 0);
    ck_assert_int_eq(ask(0, &w[0], 0, false), WEIR_POOL_WAITING);
    weir_pool_release(pools[0], c);
    ck_assert_int_eq(ask(0, &w[1], 0, false), WEIR_POOL_WAITING);
    fails(0);
    ck_assert_ptr_null(w[1].got);
    ck_assert(!w[1].waiter.waiting);
    weir_pool_release(pools[0], w[0].got);
}
END_TEST

/* -- ahead of anybody who asks -- */

START_TEST(test_what_is_opened_ahead_is_parked)
{
    struct wish w;
    ck_assert(weir_pool_open_ahead(pools[0], ends[0], NULL));
    ck_assert_uint_eq(provider->total, 1);
    opens(0);
    ck_assert_uint_eq(provider->idle, 1);
    ck_assert_int_eq(ask(0, &w, 0, false), WEIR_POOL_GRANTED);
    ck_assert_uint_eq(w.got->leases, 1); /* it counts as a new one */
    weir_pool_release(pools[0], w.got);
}
END_TEST

START_TEST(test_who_comes_meanwhile_gets_it)
{
    struct wish w;
    ck_assert(weir_pool_open_ahead(pools[0], ends[0], NULL));
    ck_assert_int_eq(ask(0, &w, 0, false), WEIR_POOL_WAITING);
    ck_assert_uint_eq(provider->total, 1); /* no dial beside it */
    opens(0);
    ck_assert_ptr_nonnull(w.got);
    weir_pool_release(pools[0], w.got);
}
END_TEST

START_TEST(test_nothing_is_opened_ahead_beyond_the_limit)
{
    provider->total_max = 2;
    ck_assert(weir_pool_open_ahead(pools[0], ends[0], NULL));
    ck_assert(weir_pool_open_ahead(pools[0], ends[1], NULL));
    ck_assert(!weir_pool_open_ahead(pools[0], ends[0], NULL));
    ck_assert_uint_eq(provider->total, 2);
    opens(0);
    fails(0);
    ck_assert_uint_eq(provider->total, 1);
    places[0].refuse_open = true;
    ck_assert(!weir_pool_open_ahead(pools[0], ends[0], NULL));
    ck_assert_uint_eq(provider->total, 1);
}
END_TEST

CHECK_MAIN("node pool: dials", setup, world_close, test_a_dial_left_behind_is_for_the_next_request,
           test_who_relied_on_a_dial_that_failed_is_told, test_what_is_opened_ahead_is_parked,
           test_who_comes_meanwhile_gets_it, test_nothing_is_opened_ahead_beyond_the_limit)
