#include "check_main.h"
#include "core/pool.h"

static struct weir_pool_shelf shelf;
static struct weir_pool_demand demand, other;
static struct weir_pool_stack stack_a, stack_b;
static struct weir_pool_item items[4];

static void setup(void)
{
    weir_pool_shelf_init(&shelf);
    demand = other = (struct weir_pool_demand){0};
    weir_pool_stack_init(&stack_a);
    weir_pool_stack_init(&stack_b);
    for (int i = 0; i < 4; i++)
        weir_pool_item_init(&items[i]);
}

static struct weir_pool_sight sight(void)
{
    return (struct weir_pool_sight){.idle_elsewhere = -1, .spare_elsewhere = -1, .total_max = 2, .queued_max = 1};
}

START_TEST(test_steps_in_order_of_preference)
{
    struct weir_pool_sight s = sight();
    s.idle_here = true;
    s.idle_elsewhere = 1;
    s.spare_here = true;
    s.spare_elsewhere = 1;
    ck_assert_int_eq(weir_pool_decide(&s), WEIR_POOL_LEASE);
    s.idle_here = false;
    ck_assert_int_eq(weir_pool_decide(&s), WEIR_POOL_FETCH);
    s.idle_elsewhere = -1;
    ck_assert_int_eq(weir_pool_decide(&s), WEIR_POOL_OPEN);
    s.total = 2;
    ck_assert_int_eq(weir_pool_decide(&s), WEIR_POOL_EVICT);
    s.spare_here = false;
    ck_assert_int_eq(weir_pool_decide(&s), WEIR_POOL_EVICT_AWAY);
    s.spare_elsewhere = -1;
    ck_assert_int_eq(weir_pool_decide(&s), WEIR_POOL_QUEUE);
    s.queued = 1;
    ck_assert_int_eq(weir_pool_decide(&s), WEIR_POOL_REFUSE);
}
END_TEST

START_TEST(test_fresh_passes_idle_ones_over_but_may_evict_them)
{
    struct weir_pool_sight s = sight();
    s.fresh = s.idle_here = s.spare_here = true;
    s.idle_elsewhere = 1;
    ck_assert_int_eq(weir_pool_decide(&s), WEIR_POOL_OPEN);
    s.total = 2;
    ck_assert_int_eq(weir_pool_decide(&s), WEIR_POOL_EVICT);
}
END_TEST

START_TEST(test_no_queue_at_all_refuses_at_once)
{
    struct weir_pool_sight s = sight();
    s.total = 2;
    s.queued_max = 0;
    ck_assert_int_eq(weir_pool_decide(&s), WEIR_POOL_REFUSE);
}
END_TEST

START_TEST(test_the_limit_may_have_shrunk_below_what_is_open)
{
    struct weir_pool_sight s = sight();
    s.total = 5;
    ck_assert_int_eq(weir_pool_decide(&s), WEIR_POOL_QUEUE);
}
END_TEST

START_TEST(test_newest_goes_out_first_oldest_is_evicted_first)
{
    weir_pool_park(&shelf, &stack_a, &items[0]);
    weir_pool_park(&shelf, &stack_b, &items[1]);
    weir_pool_park(&shelf, &stack_a, &items[2]);
    ck_assert_uint_eq(shelf.idle, 3);
    ck_assert_ptr_eq(weir_pool_newest(&stack_a), &items[2]);
    ck_assert_ptr_eq(weir_pool_newest(&stack_b), &items[1]);
    ck_assert_ptr_eq(weir_pool_oldest(&shelf), &items[0]);
    weir_pool_unpark(&shelf, &stack_a, &items[0]);
    ck_assert_ptr_eq(weir_pool_oldest(&shelf), &items[1]);
    weir_pool_unpark(&shelf, &stack_b, &items[1]);
    weir_pool_unpark(&shelf, &stack_a, &items[2]);
    ck_assert_ptr_null(weir_pool_newest(&stack_a));
    ck_assert_ptr_null(weir_pool_oldest(&shelf));
    ck_assert_uint_eq(shelf.idle, 0);
}
END_TEST

static void wait_at(struct weir_pool_place *p, uint64_t since_us, uint64_t endpoints, bool fresh)
{
    *p = (struct weir_pool_place){.since_us = since_us, .endpoints = endpoints, .fresh = fresh, .demand = &demand};
    weir_pool_wait(&shelf, p);
}

START_TEST(test_waiters_are_served_in_the_order_they_came)
{
    struct weir_pool_place p[4];
    wait_at(&p[0], 20, 1, false);
    wait_at(&p[1], 10, 2, false); /* came earlier, was put back */
    wait_at(&p[2], 20, 3, false);
    wait_at(&p[3], 5, 3, true);
    ck_assert_uint_eq(weir_pool_waiting_since(&shelf), 5);
    ck_assert_ptr_eq(weir_pool_first(&shelf, 0, true), &p[0]);
    ck_assert_ptr_eq(weir_pool_first(&shelf, 0, false), &p[3]);
    ck_assert_ptr_eq(weir_pool_first(&shelf, 1, true), &p[1]);
    ck_assert_ptr_null(weir_pool_first(&shelf, 2, false));
    ck_assert_ptr_eq(weir_pool_uncovered_at(&shelf, 0), &p[3]);
    ck_assert_ptr_eq(weir_pool_uncovered_at(&shelf, 2), &p[0]);
    ck_assert_ptr_eq(weir_pool_uncovered_at(&shelf, 3), &p[2]);
    ck_assert_ptr_null(weir_pool_uncovered_at(&shelf, 4));
    weir_pool_unwait(&shelf, &p[3]);
    ck_assert_uint_eq(weir_pool_waiting_since(&shelf), 10);
    for (int i = 0; i < 3; i++)
        weir_pool_unwait(&shelf, &p[i]);
    ck_assert_uint_eq(weir_pool_waiting_since(&shelf), UINT64_MAX);
}
END_TEST

START_TEST(test_a_dial_sees_to_one_waiter_whatever_it_wants)
{
    struct weir_pool_place p[3];
    for (unsigned i = 0; i < 3; i++)
        wait_at(&p[i], i, 1, false);
    ck_assert_uint_eq(weir_pool_uncovered(&shelf), 3);
    weir_pool_dial_begins(&shelf, &other, 1);
    ck_assert_uint_eq(weir_pool_uncovered(&shelf), 2);
    ck_assert(weir_pool_is_covered(&shelf, &p[0]) && !weir_pool_is_covered(&shelf, &p[1]));
    weir_pool_dial_begins(&shelf, &demand, 1);
    weir_pool_dial_begins(&shelf, &demand, 1);
    ck_assert_uint_eq(weir_pool_uncovered(&shelf), 0);
    weir_pool_dial_begins(&shelf, &demand, 1);
    ck_assert_uint_eq(weir_pool_uncovered(&shelf), 0);
    for (unsigned i = 0; i < 3; i++)
        weir_pool_dial_ends(&shelf, &demand, 1);
    weir_pool_dial_ends(&shelf, &other, 1);
    ck_assert_uint_eq(weir_pool_uncovered(&shelf), 3);
}
END_TEST

START_TEST(test_a_dial_for_many_sees_to_many_that_want_it)
{
    struct weir_pool_place p[5];
    for (unsigned i = 0; i < 5; i++)
        wait_at(&p[i], i, 1, false);
    weir_pool_unwait(&shelf, &p[1]);
    p[1].demand = &other;
    weir_pool_wait(&shelf, &p[1]);
    weir_pool_dial_begins(&shelf, &demand, 3);
    ck_assert_uint_eq(weir_pool_uncovered(&shelf), 2);
    ck_assert_ptr_eq(weir_pool_uncovered_at(&shelf, 0), &p[1]); /* it wants another */
    ck_assert_ptr_eq(weir_pool_uncovered_at(&shelf, 1), &p[4]);
    ck_assert_ptr_null(weir_pool_uncovered_at(&shelf, 2));
    ck_assert(weir_pool_is_covered(&shelf, &p[3]) && !weir_pool_is_covered(&shelf, &p[4]));
    weir_pool_unwait(&shelf, &p[0]);
    ck_assert(weir_pool_is_covered(&shelf, &p[4]));
    weir_pool_dial_ends(&shelf, &demand, 3);
    ck_assert_uint_eq(weir_pool_uncovered(&shelf), 4);
}
END_TEST

CHECK_MAIN("pool", setup, NULL, test_steps_in_order_of_preference, test_fresh_passes_idle_ones_over_but_may_evict_them,
           test_no_queue_at_all_refuses_at_once, test_the_limit_may_have_shrunk_below_what_is_open,
           test_newest_goes_out_first_oldest_is_evicted_first, test_waiters_are_served_in_the_order_they_came,
           test_a_dial_sees_to_one_waiter_whatever_it_wants, test_a_dial_for_many_sees_to_many_that_want_it)
