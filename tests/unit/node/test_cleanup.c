/* What a sweep takes from the shelf of a worker: what is sick, disturbed, spent or too much, and nothing else. */
#include "check_main.h"
#include "helper_pool.h"

static void setup(void)
{
    world_open(2);
    atomic_store(&provider->total_max, 6);
}

static uint64_t closed(unsigned end, enum weir_endpoint_counter reason)
{
    return weir_cell_read(&ends[end]->local[0].counters.at[reason]);
}

static uint64_t slot_of(unsigned end)
{
    return UINT64_C(1) << ends[end]->slot;
}

/* So many to each end, parked on worker 0, the first ones the oldest. */
static void park(struct weir_pool_conn **c, unsigned of_first, unsigned of_second)
{
    unsigned n = 0;
    for (unsigned i = 0; i < of_first + of_second; i++)
        c[n++] = lease_new(0, i < of_first ? 0 : 1);
    for (unsigned i = 0; i < n; i++)
        weir_pool_release(pools[0], c[i]);
    ck_assert_uint_eq(provider->idle, n);
}

START_TEST(test_nothing_is_wrong)
{
    struct weir_pool_conn *c[4];
    park(c, 2, 2);
    ck_assert_uint_eq(weir_pool_clean(pools[0], provider, 0), 0);
    ck_assert_uint_eq(weir_pool_clean(pools[1], provider, ~UINT64_C(0)), 0); /* none are parked there */
    ck_assert_uint_eq(provider->idle, 4);
}
END_TEST

START_TEST(test_connections_to_the_sick_go)
{
    struct weir_pool_conn *c[4];
    park(c, 2, 2);
    ck_assert_uint_eq(weir_pool_clean(pools[0], provider, slot_of(1)), 2);
    ck_assert_uint_eq(closed(1, WEIR_EC_CLOSED_UNHEALTHY), 2);
    ck_assert_uint_eq(closed(0, WEIR_EC_CLOSED_UNHEALTHY), 0);
    ck_assert_uint_eq(provider->idle, 2);
    ck_assert_uint_eq(provider->total, 2);
}
END_TEST

/* With force_cleanup nothing is kept that comes back from an endpoint that is passed over. */
START_TEST(test_what_comes_back_from_the_sick_goes)
{
    struct weir_pool_conn *c[3] = {lease_new(0, 1), lease_new(0, 1), lease_new(0, 0)};
    atomic_store(&provider->health.out, slot_of(1));
    weir_pool_release(pools[0], c[0]);
    ck_assert_uint_eq(provider->idle, 1);
    atomic_store(&provider->force_cleanup, true);
    weir_pool_release(pools[0], c[1]);
    weir_pool_release(pools[0], c[2]);
    ck_assert_uint_eq(provider->idle, 2);
    ck_assert_uint_eq(closed(1, WEIR_EC_CLOSED_UNHEALTHY), 1);
    ck_assert_uint_eq(weir_pool_clean(pools[0], provider, 0), 1); /* and what was kept before */
}
END_TEST

START_TEST(test_disturbed_ones_go)
{
    struct weir_pool_conn *c[3];
    park(c, 2, 1);
    thing_of(c[1])->disturbed = true;
    ck_assert_uint_eq(weir_pool_clean(pools[0], provider, 0), 1);
    ck_assert_uint_eq(closed(0, WEIR_EC_CLOSED_IDLE_PEER), 1);
}
END_TEST

START_TEST(test_old_ones_go)
{
    struct weir_pool_conn *c[2];
    park(c, 1, 1);
    atomic_store(&provider->lifetime_max_ms, 1000);
    places[0].now_us += 1000 * 1000;
    ck_assert_uint_eq(weir_pool_clean(pools[0], provider, 0), 2);
    ck_assert_uint_eq(closed(0, WEIR_EC_CLOSED_LIFETIME), 1);
}
END_TEST

START_TEST(test_what_is_over_the_limits_goes_oldest_first)
{
    struct weir_pool_conn *c[5];
    park(c, 3, 2);
    atomic_store(&provider->idle_max, 2);
    ck_assert_uint_eq(weir_pool_clean(pools[0], provider, 0), 3);
    ck_assert_uint_eq(closed(0, WEIR_EC_CLOSED_SURPLUS), 3);
    atomic_store(&provider->idle_max, 10);
    atomic_store(&provider->total_max, 1);
    ck_assert_uint_eq(weir_pool_clean(pools[0], provider, 0), 1);
    ck_assert_uint_eq(provider->total, 1);
}
END_TEST

CHECK_MAIN("cleanup", setup, world_close, test_nothing_is_wrong, test_connections_to_the_sick_go,
           test_what_comes_back_from_the_sick_goes, test_disturbed_ones_go, test_old_ones_go,
           test_what_is_over_the_limits_goes_oldest_first)
