#include "check_main.h"
#include "helper_breaker.h"

static uint64_t want(void)
{
    breaker_apply((struct weir_breaker_report){.gen = circuit.state.gen, .want = 1});
    return circuit.reply.permit_count == 1 ? circuit.reply.permits[0].id : 0;
}

static void probe_of(uint64_t gen, uint64_t permit, enum weir_breaker_verdict verdict)
{
    breaker_apply((struct weir_breaker_report){.gen = gen, .probe_count = 1, .probes = {{permit, verdict}}});
}

static void probe(uint64_t permit, enum weir_breaker_verdict verdict)
{
    probe_of(circuit.state.gen, permit, verdict);
}

START_TEST(test_failures_in_a_row_open)
{
    for (int i = 0; i < 4; i++)
        breaker_tell(0, 1, 1);
    breaker_is(WEIR_BREAKER_CLOSED, 1);
    ck_assert_uint_eq(circuit.reply.event_count, 0);
    breaker_tell(0, 1, 1);
    breaker_is(WEIR_BREAKER_OPEN, 2);
    breaker_said(WEIR_BREAKER_IS_OPENED, WEIR_BREAKER_BY_CONSECUTIVE);
    ck_assert_uint_eq(circuit.reply.events[0].run, 5);
    ck_assert_uint_eq(circuit.reply.events[0].until_ms, circuit.now + 60000);
}
END_TEST

START_TEST(test_a_success_between_begins_anew)
{
    breaker_tell(0, 4, 4);
    breaker_tell(1, 0, 0);
    breaker_tell(0, 4, 4);
    breaker_is(WEIR_BREAKER_CLOSED, 1);
    breaker_tell(0, 1, 1);
    breaker_is(WEIR_BREAKER_OPEN, 2);
}
END_TEST

/* A run that goes over two batches: only what stands behind the last success counts. */
START_TEST(test_runs_over_batches)
{
    breaker_tell(7, 6, 3);
    ck_assert_uint_eq(circuit.state.run, 3);
    breaker_tell(0, 1, 1);
    breaker_tell(1, 9, 4);
    ck_assert_uint_eq(circuit.state.run, 4);
    breaker_is(WEIR_BREAKER_CLOSED, 1);
    breaker_tell(0, 2, 2);
    breaker_is(WEIR_BREAKER_OPEN, 2);
}
END_TEST

START_TEST(test_one_probe_after_the_wait_closes)
{
    breaker_trip();
    circuit.now += 59999;
    ck_assert_uint_eq(want(), 0);
    breaker_is(WEIR_BREAKER_OPEN, 2);
    circuit.now++;
    uint64_t permit = want();
    ck_assert_uint_ne(permit, 0);
    breaker_is(WEIR_BREAKER_HALF_OPEN, 3);
    breaker_said(WEIR_BREAKER_IS_HALF_OPENED, WEIR_BREAKER_BY_WAITED);
    ck_assert_uint_eq(circuit.reply.gen, 3);
    ck_assert_uint_eq(want(), 0);
    probe(permit, WEIR_BREAKER_SUCCESS);
    breaker_is(WEIR_BREAKER_CLOSED, 4);
    breaker_said(WEIR_BREAKER_IS_CLOSED, WEIR_BREAKER_BY_PROBES_OK);
    ck_assert_uint_eq(want(), 0); /* a closed circuit needs none */
}
END_TEST

START_TEST(test_a_failed_probe_opens_again)
{
    breaker_trip();
    for (int i = 0; i < 3; i++) {
        circuit.now += 60000;
        probe(want(), WEIR_BREAKER_FAILURE);
        ck_assert_int_eq(circuit.state.phase, WEIR_BREAKER_OPEN);
        breaker_said(WEIR_BREAKER_IS_OPENED, WEIR_BREAKER_BY_PROBE_FAILED);
        ck_assert_uint_eq(circuit.state.open_until_ms, circuit.now + 60000); /* not doubled unless configured */
    }
}
END_TEST

/* What was to end in a moment does not last as long as the clock takes to get there again. */
START_TEST(test_a_clock_that_is_set_back)
{
    breaker_trip();
    circuit.now -= 500000;
    breaker_tell(0, 0, 0);
    ck_assert_uint_eq(circuit.state.open_until_ms, circuit.now + circuit.policy.recovery_max_ms);
    circuit.now += circuit.policy.recovery_max_ms;
    ck_assert_uint_ne(want(), 0);
    circuit.now -= 400000;
    ck_assert_uint_eq(want(), 0);
    circuit.now += circuit.policy.permit_ms;
    ck_assert_uint_ne(want(), 0);
}
END_TEST

START_TEST(test_the_wait_doubles_when_told_to)
{
    circuit.policy.recovery_max_ms = 200000;
    breaker_trip();
    static const uint64_t waits[] = {60000, 120000, 200000, 200000};
    for (size_t i = 0; i < 4; i++) {
        ck_assert_uint_eq(circuit.state.open_until_ms, circuit.now + waits[i]);
        circuit.now += waits[i];
        probe(want(), WEIR_BREAKER_FAILURE);
    }
    circuit.now += 200000;
    probe(want(), WEIR_BREAKER_SUCCESS);
    ck_assert_int_eq(circuit.state.phase, WEIR_BREAKER_CLOSED);
    breaker_trip();
    ck_assert_uint_eq(circuit.state.open_until_ms, circuit.now + 60000);
}
END_TEST

START_TEST(test_a_permit_expires)
{
    breaker_trip();
    circuit.now += 60000;
    uint64_t hung = want();
    circuit.now += 60999;
    ck_assert_uint_eq(want(), 0);
    circuit.now++;
    uint64_t second = want();
    ck_assert_uint_ne(second, 0);
    ck_assert_uint_ne(second, hung);
    probe(hung, WEIR_BREAKER_FAILURE); /* too late to say anything */
    breaker_is(WEIR_BREAKER_HALF_OPEN, 3);
    probe(second, WEIR_BREAKER_SUCCESS);
    breaker_is(WEIR_BREAKER_CLOSED, 4);
}
END_TEST

START_TEST(test_a_probe_that_says_nothing_frees_its_permit)
{
    breaker_trip();
    circuit.now += 60000;
    uint64_t first = want();
    probe(first, WEIR_BREAKER_NEITHER);
    breaker_is(WEIR_BREAKER_HALF_OPEN, 3);
    uint64_t second = want();
    ck_assert_uint_ne(second, 0);
    probe(first, WEIR_BREAKER_FAILURE); /* told twice */
    breaker_is(WEIR_BREAKER_HALF_OPEN, 3);
    ck_assert_uint_eq(circuit.state.permit_count, 1);
}
END_TEST

START_TEST(test_several_probes)
{
    circuit.policy.permits = 3;
    breaker_trip();
    circuit.now += 60000;
    breaker_apply((struct weir_breaker_report){.gen = circuit.state.gen, .want = 10});
    ck_assert_uint_eq(circuit.reply.permit_count, 3);
    struct weir_breaker_reply first = circuit.reply;
    probe(first.permits[0].id, WEIR_BREAKER_SUCCESS);
    ck_assert_uint_eq(want(), 0); /* two are out, and two is what is missing */
    probe(first.permits[1].id, WEIR_BREAKER_NEITHER);
    uint64_t another = want();
    ck_assert_uint_ne(another, 0);
    probe(first.permits[2].id, WEIR_BREAKER_SUCCESS);
    breaker_is(WEIR_BREAKER_HALF_OPEN, 3);
    probe(another, WEIR_BREAKER_SUCCESS);
    breaker_is(WEIR_BREAKER_CLOSED, 4);
}
END_TEST

START_TEST(test_one_of_several_probes_fails)
{
    circuit.policy.permits = 3;
    breaker_trip();
    circuit.now += 60000;
    breaker_apply((struct weir_breaker_report){.gen = circuit.state.gen, .want = 3});
    struct weir_breaker_reply first = circuit.reply;
    breaker_apply((struct weir_breaker_report){.gen = circuit.state.gen,
                                               .probe_count = 3,
                                               .probes = {{first.permits[0].id, WEIR_BREAKER_SUCCESS},
                                                          {first.permits[1].id, WEIR_BREAKER_FAILURE},
                                                          {first.permits[2].id, WEIR_BREAKER_SUCCESS}}});
    breaker_is(WEIR_BREAKER_OPEN, 4);
    ck_assert_uint_eq(circuit.state.permit_count, 0);
}
END_TEST

/* With fewer probes configured while some have succeeded, nothing may wait for ever. */
START_TEST(test_fewer_permits_after_a_reload)
{
    circuit.policy.permits = 3;
    breaker_trip();
    circuit.now += 60000;
    probe(want(), WEIR_BREAKER_SUCCESS);
    circuit.policy.permits = 1;
    ck_assert_uint_eq(want(), 0);
    breaker_is(WEIR_BREAKER_CLOSED, 4);
}
END_TEST

START_TEST(test_older_generations_say_nothing)
{
    breaker_trip();
    circuit.now += 60000;
    uint64_t permit = want();
    breaker_apply((struct weir_breaker_report){.gen = 1, .fail = 9, .run = 9});
    breaker_apply((struct weir_breaker_report){.gen = 1, .ok = 9});
    breaker_is(WEIR_BREAKER_HALF_OPEN, 3);
    probe(permit, WEIR_BREAKER_SUCCESS);
    breaker_apply((struct weir_breaker_report){.gen = 1, .fail = 9, .run = 9});
    breaker_apply((struct weir_breaker_report){.gen = 3, .fail = 9, .run = 9});
    breaker_apply((struct weir_breaker_report){.gen = 5, .fail = 9, .run = 9});
    breaker_is(WEIR_BREAKER_CLOSED, 4);
    ck_assert_uint_eq(circuit.state.run, 0);
}
END_TEST

START_TEST(test_the_error_rate)
{
    circuit.policy.failure_threshold = 1000;
    circuit.policy.rate_ppm = WEIR_BREAKER_PPM / 2;
    for (int i = 0; i < 9; i++)
        breaker_tell(1, 1, 1);
    breaker_tell(1, 0, 0); /* 9 of 19: too few to say anything */
    breaker_is(WEIR_BREAKER_CLOSED, 1);
    circuit.now += 1000;
    breaker_tell(0, 1, 1); /* 10 of 20 */
    breaker_is(WEIR_BREAKER_OPEN, 2);
    breaker_said(WEIR_BREAKER_IS_OPENED, WEIR_BREAKER_BY_RATE);
    ck_assert_uint_eq(circuit.reply.events[0].window.ok, 10);
    ck_assert_uint_eq(circuit.reply.events[0].window.fail, 10);
}
END_TEST

START_TEST(test_the_window_moves_on)
{
    circuit.policy.failure_threshold = 1000;
    circuit.policy.rate_ppm = WEIR_BREAKER_PPM / 2;
    breaker_tell(0, 19, 19);
    circuit.now += 9000;
    ck_assert_uint_eq(weir_breaker_window(&circuit.state, &circuit.policy, circuit.now).fail, 19);
    circuit.now += 1000;
    ck_assert_uint_eq(weir_breaker_window(&circuit.state, &circuit.policy, circuit.now).fail, 0);
    breaker_tell(0, 19, 19);
    breaker_is(WEIR_BREAKER_CLOSED, 1);
    circuit.policy.window_ms = 3600000; /* wide buckets: an hour in sixty */
    for (int i = 0; i < 60; i++, circuit.now += 60000)
        breaker_tell(1, 0, 0);
    ck_assert_uint_eq(weir_breaker_window(&circuit.state, &circuit.policy, circuit.now - 60000).ok, 60);
    ck_assert_uint_eq(weir_breaker_window(&circuit.state, &circuit.policy, circuit.now).ok, 59);
}
END_TEST

START_TEST(test_cooldown)
{
    breaker_apply((struct weir_breaker_report){.gen = 1, .cooldown_ms = 60000});
    breaker_said(WEIR_BREAKER_IS_COOLING, WEIR_BREAKER_BY_RETRY_AFTER);
    uint64_t until = circuit.now + 60000;
    ck_assert_uint_eq(circuit.state.cooldown_until_ms, until);
    circuit.now += 10000;
    breaker_apply((struct weir_breaker_report){.gen = 99, .cooldown_ms = 1000}); /* a shorter one does not shorten it */
    ck_assert_uint_eq(circuit.state.cooldown_until_ms, until);
    breaker_apply((struct weir_breaker_report){.gen = 99, .cooldown_ms = 55000}); /* any generation draws it out */
    ck_assert_uint_eq(circuit.state.cooldown_until_ms, until + 5000);
    ck_assert_uint_eq(circuit.reply.event_count, 0); /* one word for the whole of it */
    breaker_apply((struct weir_breaker_report){.gen = 1, .cooldown_ms = UINT64_MAX});
    ck_assert_uint_eq(circuit.state.cooldown_until_ms, circuit.now + WEIR_BREAKER_COOLDOWN_MS_MAX);
    breaker_is(WEIR_BREAKER_CLOSED, 1);
}
END_TEST

START_TEST(test_no_probe_while_cooling)
{
    breaker_trip();
    breaker_apply((struct weir_breaker_report){.gen = 2, .cooldown_ms = 90000});
    circuit.now += 89999;
    ck_assert_uint_eq(want(), 0);
    breaker_is(WEIR_BREAKER_OPEN, 2);
    circuit.now++;
    ck_assert_uint_ne(want(), 0);
}
END_TEST

START_TEST(test_one_node_alone_does_not_open_it_for_all)
{
    struct weir_breaker_report bad = {.gen = 1, .node = 7, .fail = 5, .run = 5, .recent_fail = 5};
    breaker_apply((struct weir_breaker_report){.gen = 1, .node = 2, .ok = 1, .recent_ok = 3, .recent_fail = 2});
    breaker_apply(bad);
    breaker_is(WEIR_BREAKER_CLOSED, 1);
    breaker_said(WEIR_BREAKER_IS_KEPT_CLOSED, WEIR_BREAKER_BY_WITNESS);
    circuit.now += WEIR_BREAKER_WITNESS_MS - 1;
    breaker_apply(bad);
    breaker_is(WEIR_BREAKER_CLOSED, 1);
    circuit.now++;
    breaker_apply(bad); /* the other's word has aged */
    breaker_is(WEIR_BREAKER_OPEN, 2);
}
END_TEST

START_TEST(test_who_is_no_witness)
{
    struct weir_breaker_report bad = {.gen = 1, .node = 7, .fail = 5, .run = 5, .recent_ok = 9, .recent_fail = 5};
    breaker_apply((struct weir_breaker_report){.gen = 1, .node = 2, .ok = 1, .recent_ok = 2});
    breaker_apply((struct weir_breaker_report){.gen = 1, .node = 3, .ok = 1, .recent_ok = 9, .recent_fail = 9});
    breaker_apply((struct weir_breaker_report){.gen = 1, .node = 4, .ok = 1, .recent_ok = 9});
    breaker_apply(
        (struct weir_breaker_report){.gen = 1, .node = 4, .fail = 1, .run = 1, .recent_ok = 9, .recent_fail = 10});
    breaker_apply((struct weir_breaker_report){.gen = 1, .node = 5, .ok = 9, .recent_ok = 99});
    breaker_apply((struct weir_breaker_report){.gen = 1, .node = 5, .ok = 9, .fail = 1, .run = 1, .recent_ok = 99});
    breaker_apply(bad); /* its own word does not save it either */
    breaker_is(WEIR_BREAKER_OPEN, 2);
}
END_TEST

START_TEST(test_there_is_always_another_witness)
{
    for (uint64_t node = 1; node <= 9; node++)
        breaker_apply((struct weir_breaker_report){.gen = 1, .node = node, .ok = 1, .recent_ok = 9});
    for (uint64_t node = 1; node <= 9; node++) {
        struct weir_breaker_state copy = circuit.state;
        breaker_apply((struct weir_breaker_report){
            .gen = 1, .node = node, .fail = 5, .run = 5, .recent_ok = 9, .recent_fail = 5});
        breaker_is(WEIR_BREAKER_CLOSED, 1);
        circuit.state = copy;
    }
}
END_TEST

START_TEST(test_adding_reports_up)
{
    struct weir_breaker_report sum = {.gen = 1, .node = 1, .ok = 3, .fail = 2, .run = 2, .cooldown_ms = 5};
    struct weir_breaker_report fails = {.gen = 1, .node = 1, .fail = 4, .run = 4, .want = 1};
    struct weir_breaker_report mixed = {.gen = 1, .node = 1, .ok = 1, .fail = 2, .run = 1, .cooldown_ms = 3};
    weir_breaker_report_add(&sum, &fails);
    ck_assert_uint_eq(sum.run, 6);
    weir_breaker_report_add(&sum, &mixed);
    ck_assert_uint_eq(sum.run, 1);
    ck_assert_uint_eq(sum.ok, 4);
    ck_assert_uint_eq(sum.fail, 8);
    ck_assert_uint_eq(sum.want, 1);
    ck_assert_uint_eq(sum.cooldown_ms, 5);
    struct weir_breaker_report probes = {.gen = 1, .node = 1, .probe_count = 5};
    weir_breaker_report_add(&sum, &probes);
    weir_breaker_report_add(&sum, &probes);
    ck_assert_uint_eq(sum.probe_count, WEIR_BREAKER_BATCH);
}
END_TEST

static void judged(struct weir_outcome o, enum weir_breaker_verdict verdict, uint64_t cooldown)
{
    uint64_t ms = 7;
    ck_assert_int_eq(weir_breaker_judge(&o, &ms), verdict);
    ck_assert_uint_eq(ms, cooldown);
}

START_TEST(test_what_an_outcome_means)
{
    static const unsigned good[] = {200, 301, 400, 404, 408, 499, 501};
    static const unsigned bad[] = {500, 502, 503, 504, 529, 599};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        judged((struct weir_outcome){.status = good[i]}, WEIR_BREAKER_SUCCESS, 0);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        judged((struct weir_outcome){.status = bad[i]}, WEIR_BREAKER_FAILURE, 0);
    judged((struct weir_outcome){.status = 429}, WEIR_BREAKER_NEITHER, 0);
    judged((struct weir_outcome){.status = 429, .retry_after = true, .retry_after_ms = 9}, WEIR_BREAKER_NEITHER, 9);
    judged((struct weir_outcome){.status = 503, .retry_after = true, .retry_after_ms = 9}, WEIR_BREAKER_NEITHER, 9);
    judged((struct weir_outcome){.status = 500, .retry_after = true, .retry_after_ms = 9}, WEIR_BREAKER_FAILURE, 0);
    judged((struct weir_outcome){.kind = WEIR_OUTCOME_CONNECT_FAILED}, WEIR_BREAKER_FAILURE, 0);
    judged((struct weir_outcome){.kind = WEIR_OUTCOME_TIMEOUT}, WEIR_BREAKER_FAILURE, 0);
    judged((struct weir_outcome){.kind = WEIR_OUTCOME_LOST}, WEIR_BREAKER_FAILURE, 0);
    judged((struct weir_outcome){.kind = WEIR_OUTCOME_LOST, .unprocessed = true}, WEIR_BREAKER_FAILURE, 0);
    judged((struct weir_outcome){.kind = WEIR_OUTCOME_LOST, .unprocessed = true, .reused = true}, WEIR_BREAKER_NEITHER,
           0);
    judged((struct weir_outcome){.kind = WEIR_OUTCOME_POOL_TIMEOUT}, WEIR_BREAKER_NEITHER, 0);
    judged((struct weir_outcome){.kind = WEIR_OUTCOME_ABORTED}, WEIR_BREAKER_NEITHER, 0);
}
END_TEST

START_TEST(test_policy_of_a_configuration)
{
    struct weir_config_breaker c = {.failure_threshold = 5,
                                    .recovery_timeout_ms = 60000,
                                    .half_open_permits = 2,
                                    .error_rate_threshold = 0.3,
                                    .error_rate_window_ms = 10000,
                                    .error_rate_min_requests = 20};
    weir_breaker_policy_set(&circuit.policy, &c, 65000);
    ck_assert_uint_eq(circuit.policy.recovery_ms, 60000);
    ck_assert_uint_eq(circuit.policy.recovery_max_ms, 60000);
    ck_assert_uint_eq(circuit.policy.permits, 2);
    ck_assert_uint_gt(circuit.policy.permit_ms, 65000);
    ck_assert_uint_eq(circuit.policy.rate_ppm, 300000);
    c.recovery_timeout_max_ms = 240000;
    weir_breaker_policy_set(&circuit.policy, &c, 65000);
    ck_assert_uint_eq(circuit.policy.recovery_max_ms, 240000);
}
END_TEST

CHECK_MAIN("breaker", breaker_setup, NULL, test_failures_in_a_row_open, test_a_success_between_begins_anew,
           test_runs_over_batches, test_one_probe_after_the_wait_closes, test_a_failed_probe_opens_again,
           test_a_clock_that_is_set_back, test_the_wait_doubles_when_told_to, test_a_permit_expires,
           test_a_probe_that_says_nothing_frees_its_permit, test_several_probes, test_one_of_several_probes_fails,
           test_fewer_permits_after_a_reload, test_older_generations_say_nothing, test_the_error_rate,
           test_the_window_moves_on, test_cooldown, test_no_probe_while_cooling,
           test_one_node_alone_does_not_open_it_for_all, test_who_is_no_witness, test_there_is_always_another_witness,

           test_adding_reports_up, test_what_an_outcome_means, test_policy_of_a_configuration)
