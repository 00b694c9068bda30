#include "check_main.h"
#include "core/leader_lease.h"

#define LEASE UINT64_C(3000)
#define START UINT64_C(100000)

static struct weir_leader_lease l;

static void setup(void)
{
    weir_leader_lease_init(&l, LEASE, START);
}

static void lead(uint64_t asked_ms)
{
    ck_assert(weir_leader_lease_ask(&l, asked_ms));
    ck_assert_int_eq(weir_leader_lease_granted(&l, asked_ms + 5, asked_ms, 7), WEIR_LEADER_GAINED);
}

START_TEST(test_renewed_at_a_third)
{
    lead(START);
    ck_assert(weir_leader_lease_leads(&l, START + 5));
    ck_assert_uint_eq(weir_leader_lease_deadline_ms(&l), START + LEASE / 3);
    ck_assert(!weir_leader_lease_ask(&l, START + LEASE / 3 - 1));
    ck_assert(weir_leader_lease_ask(&l, START + LEASE / 3));
    ck_assert(!weir_leader_lease_ask(&l, START + LEASE)); /* one question at a time */
    ck_assert_int_eq(weir_leader_lease_granted(&l, START + 1010, START + 1000, 7), WEIR_LEADER_SAME);
    ck_assert(weir_leader_lease_leads(&l, START + 1000 + LEASE - LEASE / 10 - 1));
}
END_TEST

/* It runs from the asking and ends before the store's does. */
START_TEST(test_silence_costs_the_lead)
{
    lead(START);
    uint64_t until = START + LEASE - LEASE / 10;
    ck_assert(weir_leader_lease_ask(&l, START + 1000));
    ck_assert_uint_eq(weir_leader_lease_deadline_ms(&l), until);
    ck_assert_int_eq(weir_leader_lease_tick(&l, until - 1), WEIR_LEADER_SAME);
    ck_assert(!weir_leader_lease_leads(&l, until));
    ck_assert_int_eq(weir_leader_lease_tick(&l, until), WEIR_LEADER_LOST);
    ck_assert_int_eq(weir_leader_lease_tick(&l, until + 1), WEIR_LEADER_SAME);
}
END_TEST

START_TEST(test_an_answer_that_comes_too_late)
{
    ck_assert(weir_leader_lease_ask(&l, START));
    ck_assert_int_eq(weir_leader_lease_granted(&l, START + LEASE, START, 7), WEIR_LEADER_SAME);
    ck_assert(!weir_leader_lease_leads(&l, START + LEASE));
    ck_assert_uint_eq(l.token, 7); /* the store may still hold it for this one: it goes on with it */
    ck_assert(weir_leader_lease_ask(&l, START + LEASE));
}
END_TEST

START_TEST(test_another_token_is_another_lead)
{
    lead(START);
    ck_assert(weir_leader_lease_ask(&l, START + 1000));
    ck_assert_int_eq(weir_leader_lease_granted(&l, START + 1005, START + 1000, 1), WEIR_LEADER_GAINED);
}
END_TEST

START_TEST(test_refused)
{
    ck_assert(weir_leader_lease_ask(&l, START));
    ck_assert_int_eq(weir_leader_lease_refused(&l, START + 5, 400), WEIR_LEADER_SAME);
    ck_assert_uint_eq(weir_leader_lease_deadline_ms(&l), START + 405); /* when the other's may end */
    ck_assert(weir_leader_lease_ask(&l, START + 405));
    ck_assert_int_eq(weir_leader_lease_refused(&l, START + 410, 2900), WEIR_LEADER_SAME);
    ck_assert_uint_eq(weir_leader_lease_deadline_ms(&l), START + 410 + LEASE / 3); /* it may resign earlier */
    lead(START + 2000);
    ck_assert(weir_leader_lease_ask(&l, START + 3000));
    ck_assert_int_eq(weir_leader_lease_refused(&l, START + 3005, 0), WEIR_LEADER_LOST);
    ck_assert_uint_eq(l.token, 0);
    ck_assert_uint_eq(weir_leader_lease_deadline_ms(&l), START + 3005 + LEASE / 12); /* not at once for ever */
}
END_TEST

START_TEST(test_no_answer_is_asked_for_again_soon)
{
    lead(START);
    ck_assert(weir_leader_lease_ask(&l, START + 1000));
    weir_leader_lease_failed(&l, START + 1250);
    ck_assert_uint_eq(weir_leader_lease_deadline_ms(&l), START + 1500);
    ck_assert(weir_leader_lease_leads(&l, START + 1500));
}
END_TEST

CHECK_MAIN("leader_lease", setup, NULL, test_renewed_at_a_third, test_silence_costs_the_lead,
           test_an_answer_that_comes_too_late, test_another_token_is_another_lead, test_refused,
           test_no_answer_is_asked_for_again_soon)
