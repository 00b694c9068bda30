/* Connections that are not used again: too old, or their connector says so. */
#include "check_main.h"
#include "helper_pool.h"

static void setup(void)
{
    world_open(1);
}

/* Asked at each release, each use, and when a view has changed. */
START_TEST(test_what_its_connector_calls_spent_is_not_used_again)
{
    const uint64_t *moved = &ends[0]->local[0].counters.at[WEIR_EC_CLOSED_MOVED];
    struct wish w;
    struct weir_pool_conn *a = lease_new(0, 0), *b = lease_new(0, 0);
    thing_of(a)->spent = WEIR_EC_CLOSED_MOVED;
    weir_pool_release(pools[0], a);
    ck_assert_uint_eq(weir_cell_read(moved), 1);
    weir_pool_release(pools[0], b);
    ck_assert_uint_eq(weir_pool_close_parked(pools[0], provider, false), 0);
    thing_of(b)->spent = WEIR_EC_CLOSED_MOVED;
    ck_assert_int_eq(ask(0, &w, 0, false), WEIR_POOL_WAITING);
    ck_assert_uint_eq(weir_cell_read(moved), 2);
    opens(0);
    weir_pool_release(pools[0], w.got);
    thing_of(w.got)->spent = WEIR_EC_CLOSED_MOVED;
    ck_assert_uint_eq(weir_pool_close_parked(pools[0], provider, false), 1);
    ck_assert_uint_eq(weir_cell_read(moved), 3);
    ck_assert_int_eq(alive, 0);
}
END_TEST

START_TEST(test_one_is_parked_until_it_is_too_old)
{
    struct weir_pool_conn *a = lease_new(0, 0);
    provider->keepalive_expiry_ms = 500;
    provider->lifetime_max_ms = 2000;
    weir_pool_release(pools[0], a);
    ck_assert_uint_eq(thing_of(a)->park_ms_max, 500);
    struct wish w;
    ck_assert_int_eq(ask(0, &w, 0, false), WEIR_POOL_GRANTED);
    places[0].now_us += 1700000;
    weir_pool_release(pools[0], a);
    ck_assert_uint_eq(thing_of(a)->park_ms_max, 300);
    places[0].now_us += 300000;
    weir_pool_expire(pools[0], a);
    ck_assert_uint_eq(weir_cell_read(&ends[0]->local[0].counters.at[WEIR_EC_CLOSED_LIFETIME]), 1);
    a = lease_new(0, 0);
    weir_pool_release(pools[0], a);
    weir_pool_expire(pools[0], a);
    ck_assert_uint_eq(weir_cell_read(&ends[0]->local[0].counters.at[WEIR_EC_CLOSED_EXPIRED]), 1);
    provider->keepalive_expiry_ms = 0;
    a = lease_new(0, 0);
    weir_pool_release(pools[0], a);
    ck_assert_uint_eq(thing_of(a)->park_ms_max, 2000);
}
END_TEST

CHECK_MAIN("node pool: age", setup, world_close, test_what_its_connector_calls_spent_is_not_used_again,
           test_one_is_parked_until_it_is_too_old)
