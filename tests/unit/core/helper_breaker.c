#include "helper_breaker.h"

#include "check_main.h"

struct helper_breaker circuit;

void breaker_setup(void)
{
    circuit.policy = (struct weir_breaker_policy){
        .failure_threshold = 5,
        .recovery_ms = 60000,
        .recovery_max_ms = 60000,
        .permits = 1,
        .permit_ms = 61000,
        .window_ms = 10000,
        .window_min = 20,
    };
    circuit.now = 1000000;
    weir_breaker_init(&circuit.state, circuit.now);
}

void breaker_apply(struct weir_breaker_report r)
{
    if (r.node == 0)
        r.node = 1;
    weir_breaker_report(&circuit.state, &circuit.policy, circuit.now, &r, &circuit.reply);
}

void breaker_tell(uint32_t ok, uint32_t fail, uint32_t run)
{
    breaker_apply((struct weir_breaker_report){.gen = circuit.state.gen, .ok = ok, .fail = fail, .run = run});
}

void breaker_is(enum weir_breaker_phase phase, uint64_t gen)
{
    ck_assert_str_eq(weir_breaker_phase_text(circuit.state.phase), weir_breaker_phase_text(phase));
    ck_assert_uint_eq(circuit.state.gen, gen);
}

void breaker_said(enum weir_breaker_event_kind kind, enum weir_breaker_reason reason)
{
    ck_assert_uint_eq(circuit.reply.event_count, 1);
    ck_assert_str_eq(weir_breaker_event_label(circuit.reply.events[0].kind), weir_breaker_event_label(kind));
    ck_assert_str_eq(weir_breaker_reason_label(circuit.reply.events[0].reason), weir_breaker_reason_label(reason));
    ck_assert_uint_eq(circuit.reply.events[0].gen, circuit.state.gen);
}

void breaker_trip(void)
{
    breaker_tell(0, circuit.policy.failure_threshold, circuit.policy.failure_threshold);
    ck_assert_int_eq(circuit.state.phase, WEIR_BREAKER_OPEN);
}
