/* An operator's word to a circuit. */
#include "check_main.h"
#include "core/breaker.h"

static struct weir_breaker_policy policy;
static struct weir_breaker_state state;
static struct weir_breaker_reply reply;
static uint64_t now;

static void setup(void)
{
    policy = (struct weir_breaker_policy){
        .failure_threshold = 5,
        .recovery_ms = 60000,
        .recovery_max_ms = 60000,
        .permits = 1,
        .permit_ms = 61000,
        .window_ms = 10000,
        .window_min = 20,
    };
    now = 1000000;
    weir_breaker_init(&state, now);
}

static void apply(struct weir_breaker_report r)
{
    if (r.node == 0)
        r.node = 1;
    weir_breaker_report(&state, &policy, now, &r, &reply);
}

static void tell(uint32_t ok, uint32_t fail, uint32_t run)
{
    apply((struct weir_breaker_report){.gen = state.gen, .ok = ok, .fail = fail, .run = run});
}

static void is(enum weir_breaker_phase phase, uint64_t gen)
{
    ck_assert_str_eq(weir_breaker_phase_text(state.phase), weir_breaker_phase_text(phase));
    ck_assert_uint_eq(state.gen, gen);
}

static void said(enum weir_breaker_event_kind kind, enum weir_breaker_reason reason)
{
    ck_assert_uint_eq(reply.event_count, 1);
    ck_assert_str_eq(weir_breaker_event_label(reply.events[0].kind), weir_breaker_event_label(kind));
    ck_assert_str_eq(weir_breaker_reason_label(reply.events[0].reason), weir_breaker_reason_label(reason));
    ck_assert_uint_eq(reply.events[0].gen, state.gen);
}

static void trip(void)
{
    tell(0, policy.failure_threshold, policy.failure_threshold);
    ck_assert_int_eq(state.phase, WEIR_BREAKER_OPEN);
}

static void order(enum weir_breaker_order word)
{
    /* Of whatever generation, and with outcomes that are then passed over. */
    apply((struct weir_breaker_report){.gen = 77, .node = 1, .ok = 3, .fail = 9, .run = 9, .order = word});
}

START_TEST(test_an_operator_closes)
{
    trip();
    order(WEIR_BREAKER_ORDER_CLOSE);
    is(WEIR_BREAKER_CLOSED, 3);
    said(WEIR_BREAKER_IS_CLOSED, WEIR_BREAKER_BY_OPERATOR);
    order(WEIR_BREAKER_ORDER_CLOSE);
    is(WEIR_BREAKER_CLOSED, 3);
    ck_assert_uint_eq(reply.event_count, 0);
    trip();
    ck_assert_uint_eq(state.open_until_ms, now + 60000);
}
END_TEST

START_TEST(test_an_operator_resets)
{
    apply((struct weir_breaker_report){.gen = 1, .node = 1, .fail = 4, .run = 4, .cooldown_ms = 500});
    order(WEIR_BREAKER_ORDER_RESET);
    is(WEIR_BREAKER_CLOSED, 2);
    ck_assert_uint_eq(state.run, 0);
    ck_assert_uint_eq(state.cooldown_until_ms, now + 500);
}
END_TEST

START_TEST(test_an_operator_opens_whatever_others_say)
{
    apply((struct weir_breaker_report){.gen = 1, .node = 2, .ok = 9, .recent_ok = 9});
    order(WEIR_BREAKER_ORDER_OPEN);
    is(WEIR_BREAKER_OPEN, 2);
    said(WEIR_BREAKER_IS_OPENED, WEIR_BREAKER_BY_OPERATOR);
    ck_assert_uint_eq(state.open_until_ms, now + 60000);
    order(WEIR_BREAKER_ORDER_OPEN);
    is(WEIR_BREAKER_OPEN, 2);
    ck_assert_uint_eq(reply.event_count, 0);
}
END_TEST

CHECK_MAIN("breaker_orders", setup, NULL, test_an_operator_closes, test_an_operator_resets,
           test_an_operator_opens_whatever_others_say)
