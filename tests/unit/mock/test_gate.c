#include "mock/gate.h"

#include <stdio.h>

#include "check_main.h"

static struct mock_gates gates;
static struct mock_gate *gate;
static struct mock_gate_waiter waiters[3];
static unsigned opened[3], opened_count;

static void on_opened(struct mock_gate_waiter *w)
{
    opened[opened_count++] = (unsigned)(w - waiters);
}

static void setup(void)
{
    mock_gates_init(&gates);
    gate = mock_gate_find(&gates, WEIR_STR("g"));
    opened_count = 0;
    for (unsigned i = 0; i < 3; i++)
        mock_gate_waiter_init(&waiters[i], on_opened);
}

START_TEST(test_steps_are_used_up)
{
    mock_gate_add(gate, 2);
    ck_assert(mock_gate_take(gate, &waiters[0]));
    ck_assert(mock_gate_take(gate, &waiters[0]));
    ck_assert(!mock_gate_take(gate, &waiters[0]));
    ck_assert_uint_eq(gate->waiting_count, 1);
}
END_TEST

START_TEST(test_longest_waiting_goes_first)
{
    for (unsigned i = 0; i < 3; i++)
        ck_assert(!mock_gate_take(gate, &waiters[i]));
    mock_gate_leave(&waiters[1]);
    mock_gate_add(gate, 1);
    ck_assert_uint_eq(opened_count, 1);
    ck_assert_uint_eq(opened[0], 0);
    mock_gate_add(gate, 5);
    ck_assert_uint_eq(opened_count, 2);
    ck_assert_uint_eq(opened[1], 2);
    ck_assert_uint_eq(gate->steps, 4);
    ck_assert_uint_eq(gate->waiting_count, 0);
    mock_gate_leave(&waiters[2]);
}
END_TEST

START_TEST(test_open_for_good)
{
    ck_assert(!mock_gate_take(gate, &waiters[0]));
    mock_gate_add(gate, MOCK_STEPS_FOREVER);
    ck_assert_uint_eq(opened_count, 1);
    mock_gate_add(gate, 1);
    for (unsigned i = 0; i < 100; i++)
        ck_assert(mock_gate_take(gate, &waiters[0]));
}
END_TEST

START_TEST(test_table)
{
    char name[8];
    ck_assert_ptr_eq(mock_gate_find(&gates, WEIR_STR("g")), gate);
    ck_assert_ptr_null(mock_gate_find(&gates, WEIR_STR("")));
    ck_assert(!mock_gate_take(gate, &waiters[0]));
    for (unsigned i = 1; i < MOCK_GATES_MAX; i++) {
        snprintf(name, sizeof name, "n%u", i);
        ck_assert_ptr_nonnull(mock_gate_find(&gates, weir_str_of(name)));
    }
    ck_assert_ptr_null(mock_gate_find(&gates, WEIR_STR("one-more")));
    mock_gates_forget(&gates);
    ck_assert_ptr_eq(mock_gate_find(&gates, WEIR_STR("g")), gate); /* somebody waits at it */
    ck_assert_ptr_nonnull(mock_gate_find(&gates, WEIR_STR("one-more")));
}
END_TEST

CHECK_MAIN("gate", setup, NULL, test_steps_are_used_up, test_longest_waiting_goes_first, test_open_for_good, test_table)
