/* An operator's word to a circuit. */
#include "check_main.h"
#include "helper_breaker.h"

static void order(enum weir_breaker_order word)
{
    /* Of whatever generation, and with outcomes that are then passed over. */
    breaker_apply((struct weir_breaker_report){.gen = 77, .node = 1, .ok = 3, .fail = 9, .run = 9, .order = word});
}

START_TEST(test_an_operator_closes)
{
    breaker_trip();
    order(WEIR_BREAKER_ORDER_CLOSE);
    breaker_is(WEIR_BREAKER_CLOSED, 3);
    breaker_said(WEIR_BREAKER_IS_CLOSED, WEIR_BREAKER_BY_OPERATOR);
    order(WEIR_BREAKER_ORDER_CLOSE);
    breaker_is(WEIR_BREAKER_CLOSED, 3);
    ck_assert_uint_eq(circuit.reply.event_count, 0);
    breaker_trip();
    ck_assert_uint_eq(circuit.state.open_until_ms, circuit.now + 60000);
}
END_TEST

START_TEST(test_an_operator_resets)
{
    breaker_apply((struct weir_breaker_report){.gen = 1, .node = 1, .fail = 4, .run = 4, .cooldown_ms = 500});
    order(WEIR_BREAKER_ORDER_RESET);
    breaker_is(WEIR_BREAKER_CLOSED, 2);
    ck_assert_uint_eq(circuit.state.run, 0);
    ck_assert_uint_eq(circuit.state.cooldown_until_ms, circuit.now + 500);
}
END_TEST

START_TEST(test_an_operator_opens_whatever_others_say)
{
    breaker_apply((struct weir_breaker_report){.gen = 1, .node = 2, .ok = 9, .recent_ok = 9});
    order(WEIR_BREAKER_ORDER_OPEN);
    breaker_is(WEIR_BREAKER_OPEN, 2);
    breaker_said(WEIR_BREAKER_IS_OPENED, WEIR_BREAKER_BY_OPERATOR);
    ck_assert_uint_eq(circuit.state.open_until_ms, circuit.now + 60000);
    order(WEIR_BREAKER_ORDER_OPEN);
    breaker_is(WEIR_BREAKER_OPEN, 2);
    ck_assert_uint_eq(circuit.reply.event_count, 0);
}
END_TEST

CHECK_MAIN("breaker_orders", breaker_setup, NULL, test_an_operator_closes, test_an_operator_resets,
           test_an_operator_opens_whatever_others_say)
