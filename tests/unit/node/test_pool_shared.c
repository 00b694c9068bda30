/* Connections that several requests share: few carry much, and nobody waits for ever. */
#include "check_main.h"
#include "helper_pool.h"

#define WORKERS 2u

static void setup(void)
{
    world_open(WORKERS);
    replace_end(0, "h2://a:1");
    provider->total_max = 4;
    provider->queued_max = 20;
}

/* As a request's exchange ends. */
static void ends_on(unsigned worker, const struct wish *w)
{
    thing_of(w->got)->carried--;
    weir_pool_slots(pools[worker], w->got);
}

static void leases(unsigned worker, struct wish *w)
{
    ck_assert_int_eq(ask(worker, w, 0, false), WEIR_POOL_GRANTED);
    ck_assert_ptr_nonnull(w->got);
}

static void opens_for(unsigned worker, struct wish *w)
{
    ck_assert_int_eq(ask(worker, w, 0, false), WEIR_POOL_WAITING);
    opens(worker);
    ck_assert_ptr_nonnull(w->got);
}

START_TEST(test_one_carries_what_it_takes_then_another_is_opened)
{
    struct wish w[4];
    opens_for(0, &w[0]);
    leases(0, &w[1]);
    leases(0, &w[2]);
    ck_assert_ptr_eq(w[1].got, w[0].got);
    ck_assert_uint_eq(provider->total, 1);
    opens_for(0, &w[3]);
    ck_assert_ptr_ne(w[3].got, w[0].got);
    ck_assert_uint_eq(provider->total, 2);
    for (int i = 0; i < 4; i++)
        ends_on(0, &w[i]);
    ck_assert_uint_eq(provider->idle, 2);
}
END_TEST

START_TEST(test_the_fullest_is_filled_first)
{
    struct wish w[6], more;
    opens_for(0, &w[0]);
    leases(0, &w[1]);
    leases(0, &w[2]);
    opens_for(0, &w[3]);
    ends_on(0, &w[1]);
    leases(0, &more);
    ck_assert_ptr_eq(more.got, w[0].got);
    ends_on(0, &more);
    for (int i = 0; i < 4; i += i == 0 ? 2 : 1)
        ends_on(0, &w[i]);
}
END_TEST

START_TEST(test_one_dial_is_enough_for_many)
{
    struct wish w[5];
    for (int i = 0; i < 5; i++)
        ck_assert_int_eq(ask(0, &w[i], 0, false), WEIR_POOL_WAITING);
    ck_assert_uint_eq(places[0].opening_count, 2); /* three on the first */
    ck_assert_uint_eq(provider->queued, 0);
    for (int i = 0; i < 5; i++)
        weir_pool_cancel(pools[0], &w[i].waiter);
    opens(0);
    opens(0);
}
END_TEST

START_TEST(test_one_that_goes_away_takes_no_more)
{
    struct wish a, b;
    opens_for(0, &a);
    thing_of(a.got)->carried_max = 0;
    weir_pool_slots(pools[0], a.got);
    opens_for(0, &b);
    ck_assert_ptr_ne(a.got, b.got);
    ends_on(0, &a);
    ck_assert_uint_eq(provider->total, 1);
    ends_on(0, &b);
}
END_TEST

START_TEST(test_it_stays_on_its_worker)
{
    struct wish a, b;
    opens_for(0, &a);
    ends_on(0, &a);
    ck_assert_int_eq(ask(1, &b, 0, false), WEIR_POOL_WAITING);
    deliver();
    ck_assert_ptr_null(b.got);
    opens(1);
    ck_assert_ptr_nonnull(b.got);
    ck_assert_uint_eq(provider->total, 2);
    ends_on(1, &b);
}
END_TEST

START_TEST(test_it_makes_room_for_an_older_request_elsewhere)
{
    struct wish a, b, late;
    provider->total_max = 1;
    opens_for(0, &a);
    ck_assert_int_eq(ask(1, &b, 0, false), WEIR_POOL_WAITING);
    deliver();
    ck_assert_uint_eq(provider->queued, 1);
    places[0].now_us = places[1].now_us;
    ck_assert_int_eq(ask(0, &late, 0, false), WEIR_POOL_WAITING); /* though it would take two more */
    ends_on(0, &a);
    deliver();
    opens(1);
    ck_assert_ptr_nonnull(b.got);
    ck_assert_ptr_null(late.got);
    ends_on(1, &b);
    deliver();
    opens(0);
    ck_assert_ptr_nonnull(late.got);
    ends_on(0, &late);
}
END_TEST

START_TEST(test_a_body_that_cannot_be_sent_twice)
{
    struct wish a, busy, parked, fresh;
    opens_for(0, &a);
    ck_assert_int_eq(ask(0, &busy, 0, true), WEIR_POOL_GRANTED); /* its peer is there: it carries another */
    ck_assert_ptr_nonnull(busy.got);
    ends_on(0, &busy);
    ends_on(0, &a);
    ck_assert_int_eq(ask(0, &fresh, 0, true), WEIR_POOL_WAITING);
    opens(0);
    ck_assert_ptr_nonnull(fresh.got);
    ck_assert_ptr_ne(fresh.got, a.got);
    ends_on(0, &fresh);
    thing_of(fresh.got)->lively = true;
    ck_assert_int_eq(ask(0, &parked, 0, true), WEIR_POOL_GRANTED);
    ck_assert_ptr_nonnull(parked.got);
    ends_on(0, &parked);
}
END_TEST

CHECK_MAIN("node pool, shared", setup, world_close, test_one_carries_what_it_takes_then_another_is_opened,
           test_the_fullest_is_filled_first, test_one_dial_is_enough_for_many, test_one_that_goes_away_takes_no_more,
           test_it_stays_on_its_worker, test_it_makes_room_for_an_older_request_elsewhere,
           test_a_body_that_cannot_be_sent_twice)
