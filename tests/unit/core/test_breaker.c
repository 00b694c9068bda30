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

static uint64_t want(void)
{
    apply((struct weir_breaker_report){.gen = state.gen, .want = 1});
    return reply.permit_count == 1 ? reply.permits[0].id : 0;
}

static void probe_of(uint64_t gen, uint64_t permit, enum weir_breaker_verdict verdict)
{
    apply((struct weir_breaker_report){.gen = gen, .probe_count = 1, .probes = {{permit, verdict}}});
}

static void probe(uint64_t permit, enum weir_breaker_verdict verdict)
{
    probe_of(state.gen, permit, verdict);
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

START_TEST(test_failures_in_a_row_open)
{
    for (int i = 0; i < 4; i++)
        tell(0, 1, 1);
    is(WEIR_BREAKER_CLOSED, 1);
    ck_assert_uint_eq(reply.event_count, 0);
    tell(0, 1, 1);
    is(WEIR_BREAKER_OPEN, 2);
    said(WEIR_BREAKER_IS_OPENED, WEIR_BREAKER_BY_CONSECUTIVE);
    ck_assert_uint_eq(reply.events[0].run, 5);
    ck_assert_uint_eq(reply.events[0].until_ms, now + 60000);
}
END_TEST

START_TEST(test_a_success_between_begins_anew)
{
    tell(0, 4, 4);
    tell(1, 0, 0);
    tell(0, 4, 4);
    is(WEIR_BREAKER_CLOSED, 1);
    tell(0, 1, 1);
    is(WEIR_BREAKER_OPEN, 2);
}
END_TEST

/* A run that goes over two batches: only what stands behind the last success counts. */
START_TEST(test_runs_over_batches)
{
    tell(7, 6, 3);
    ck_assert_uint_eq(state.run, 3);
    tell(0, 1, 1);
    tell(1, 9, 4);
    ck_assert_uint_eq(state.run, 4);
    is(WEIR_BREAKER_CLOSED, 1);
    tell(0, 2, 2);
    is(WEIR_BREAKER_OPEN, 2);
}
END_TEST

static void trip(void)
{
    tell(0, policy.failure_threshold, policy.failure_threshold);
    ck_assert_int_eq(state.phase, WEIR_BREAKER_OPEN);
}

START_TEST(test_one_probe_after_the_wait_closes)
{
    trip();
    now += 59999;
    ck_assert_uint_eq(want(), 0);
    is(WEIR_BREAKER_OPEN, 2);
    now++;
    uint64_t permit = want();
    ck_assert_uint_ne(permit, 0);
    is(WEIR_BREAKER_HALF_OPEN, 3);
    said(WEIR_BREAKER_IS_HALF_OPENED, WEIR_BREAKER_BY_WAITED);
    ck_assert_uint_eq(reply.gen, 3);
    ck_assert_uint_eq(want(), 0);
    probe(permit, WEIR_BREAKER_SUCCESS);
    is(WEIR_BREAKER_CLOSED, 4);
    said(WEIR_BREAKER_IS_CLOSED, WEIR_BREAKER_BY_PROBES_OK);
    ck_assert_uint_eq(want(), 0); /* a closed circuit needs none */
}
END_TEST

START_TEST(test_a_failed_probe_opens_again)
{
    trip();
    for (int i = 0; i < 3; i++) {
        now += 60000;
        probe(want(), WEIR_BREAKER_FAILURE);
        ck_assert_int_eq(state.phase, WEIR_BREAKER_OPEN);
        said(WEIR_BREAKER_IS_OPENED, WEIR_BREAKER_BY_PROBE_FAILED);
        ck_assert_uint_eq(state.open_until_ms, now + 60000); /* not doubled unless configured */
    }
}
END_TEST

/* What was to end in a moment does not last as long as the clock takes to get there again. */
START_TEST(test_a_clock_that_is_set_back)
{
    trip();
    now -= 500000;
    tell(0, 0, 0);
    ck_assert_uint_eq(state.open_until_ms, now + policy.recovery_max_ms);
    now += policy.recovery_max_ms;
    ck_assert_uint_ne(want(), 0);
    now -= 400000;
    ck_assert_uint_eq(want(), 0);
    now += policy.permit_ms;
    ck_assert_uint_ne(want(), 0);
}
END_TEST

START_TEST(test_the_wait_doubles_when_told_to)
{
    policy.recovery_max_ms = 200000;
    trip();
    static const uint64_t waits[] = {60000, 120000, 200000, 200000};
    for (size_t i = 0; i < 4; i++) {
        ck_assert_uint_eq(state.open_until_ms, now + waits[i]);
        now += waits[i];
        probe(want(), WEIR_BREAKER_FAILURE);
    }
    now += 200000;
    probe(want(), WEIR_BREAKER_SUCCESS);
    ck_assert_int_eq(state.phase, WEIR_BREAKER_CLOSED);
    trip();
    ck_assert_uint_eq(state.open_until_ms, now + 60000);
}
END_TEST

START_TEST(test_a_permit_expires)
{
    trip();
    now += 60000;
    uint64_t hung = want();
    now += 60999;
    ck_assert_uint_eq(want(), 0);
    now++;
    uint64_t second = want();
    ck_assert_uint_ne(second, 0);
    ck_assert_uint_ne(second, hung);
    probe(hung, WEIR_BREAKER_FAILURE); /* too late to say anything */
    is(WEIR_BREAKER_HALF_OPEN, 3);
    probe(second, WEIR_BREAKER_SUCCESS);
    is(WEIR_BREAKER_CLOSED, 4);
}
END_TEST

START_TEST(test_a_probe_that_says_nothing_frees_its_permit)
{
    trip();
    now += 60000;
    uint64_t first = want();
    probe(first, WEIR_BREAKER_NEITHER);
    is(WEIR_BREAKER_HALF_OPEN, 3);
    uint64_t second = want();
    ck_assert_uint_ne(second, 0);
    probe(first, WEIR_BREAKER_FAILURE); /* told twice */
    is(WEIR_BREAKER_HALF_OPEN, 3);
    ck_assert_uint_eq(state.permit_count, 1);
}
END_TEST

START_TEST(test_several_probes)
{
    policy.permits = 3;
    trip();
    now += 60000;
    apply((struct weir_breaker_report){.gen = state.gen, .want = 10});
    ck_assert_uint_eq(reply.permit_count, 3);
    struct weir_breaker_reply first = reply;
    probe(first.permits[0].id, WEIR_BREAKER_SUCCESS);
    ck_assert_uint_eq(want(), 0); /* two are out, and two is what is missing */
    probe(first.permits[1].id, WEIR_BREAKER_NEITHER);
    uint64_t another = want();
    ck_assert_uint_ne(another, 0);
    probe(first.permits[2].id, WEIR_BREAKER_SUCCESS);
    is(WEIR_BREAKER_HALF_OPEN, 3);
    probe(another, WEIR_BREAKER_SUCCESS);
    is(WEIR_BREAKER_CLOSED, 4);
}
END_TEST

START_TEST(test_one_of_several_probes_fails)
{
    policy.permits = 3;
    trip();
    now += 60000;
    apply((struct weir_breaker_report){.gen = state.gen, .want = 3});
    struct weir_breaker_reply first = reply;
    apply((struct weir_breaker_report){.gen = state.gen,
                                       .probe_count = 3,
                                       .probes = {{first.permits[0].id, WEIR_BREAKER_SUCCESS},
                                                  {first.permits[1].id, WEIR_BREAKER_FAILURE},
                                                  {first.permits[2].id, WEIR_BREAKER_SUCCESS}}});
    is(WEIR_BREAKER_OPEN, 4);
    ck_assert_uint_eq(state.permit_count, 0);
}
END_TEST

/* With fewer probes configured while some have succeeded, nothing may wait for ever. */
START_TEST(test_fewer_permits_after_a_reload)
{
    policy.permits = 3;
    trip();
    now += 60000;
    probe(want(), WEIR_BREAKER_SUCCESS);
    policy.permits = 1;
    ck_assert_uint_eq(want(), 0);
    is(WEIR_BREAKER_CLOSED, 4);
}
END_TEST

START_TEST(test_older_generations_say_nothing)
{
    trip();
    now += 60000;
    uint64_t permit = want();
    apply((struct weir_breaker_report){.gen = 1, .fail = 9, .run = 9});
    apply((struct weir_breaker_report){.gen = 1, .ok = 9});
    is(WEIR_BREAKER_HALF_OPEN, 3);
    probe(permit, WEIR_BREAKER_SUCCESS);
    apply((struct weir_breaker_report){.gen = 1, .fail = 9, .run = 9});
    apply((struct weir_breaker_report){.gen = 3, .fail = 9, .run = 9});
    apply((struct weir_breaker_report){.gen = 5, .fail = 9, .run = 9});
    is(WEIR_BREAKER_CLOSED, 4);
    ck_assert_uint_eq(state.run, 0);
}
END_TEST

START_TEST(test_the_error_rate)
{
    policy.failure_threshold = 1000;
    policy.rate_ppm = WEIR_BREAKER_PPM / 2;
    for (int i = 0; i < 9; i++)
        tell(1, 1, 1);
    tell(1, 0, 0); /* 9 of 19: too few to say anything */
    is(WEIR_BREAKER_CLOSED, 1);
    now += 1000;
    tell(0, 1, 1); /* 10 of 20 */
    is(WEIR_BREAKER_OPEN, 2);
    said(WEIR_BREAKER_IS_OPENED, WEIR_BREAKER_BY_RATE);
    ck_assert_uint_eq(reply.events[0].window.ok, 10);
    ck_assert_uint_eq(reply.events[0].window.fail, 10);
}
END_TEST

START_TEST(test_the_window_moves_on)
{
    policy.failure_threshold = 1000;
    policy.rate_ppm = WEIR_BREAKER_PPM / 2;
    tell(0, 19, 19);
    now += 9000;
    ck_assert_uint_eq(weir_breaker_window(&state, &policy, now).fail, 19);
    now += 1000;
    ck_assert_uint_eq(weir_breaker_window(&state, &policy, now).fail, 0);
    tell(0, 19, 19);
    is(WEIR_BREAKER_CLOSED, 1);
    policy.window_ms = 3600000; /* wide buckets: an hour in sixty */
    for (int i = 0; i < 60; i++, now += 60000)
        tell(1, 0, 0);
    ck_assert_uint_eq(weir_breaker_window(&state, &policy, now - 60000).ok, 60);
    ck_assert_uint_eq(weir_breaker_window(&state, &policy, now).ok, 59);
}
END_TEST

START_TEST(test_cooldown)
{
    apply((struct weir_breaker_report){.gen = 1, .cooldown_ms = 60000});
    said(WEIR_BREAKER_IS_COOLING, WEIR_BREAKER_BY_RETRY_AFTER);
    uint64_t until = now + 60000;
    ck_assert_uint_eq(state.cooldown_until_ms, until);
    now += 10000;
    apply((struct weir_breaker_report){.gen = 99, .cooldown_ms = 1000}); /* a shorter one does not shorten it */
    ck_assert_uint_eq(state.cooldown_until_ms, until);
    apply((struct weir_breaker_report){.gen = 99, .cooldown_ms = 55000}); /* any generation draws it out */
    ck_assert_uint_eq(state.cooldown_until_ms, until + 5000);
    ck_assert_uint_eq(reply.event_count, 0); /* one word for the whole of it */
    apply((struct weir_breaker_report){.gen = 1, .cooldown_ms = UINT64_MAX});
    ck_assert_uint_eq(state.cooldown_until_ms, now + WEIR_BREAKER_COOLDOWN_MS_MAX);
    is(WEIR_BREAKER_CLOSED, 1);
}
END_TEST

START_TEST(test_no_probe_while_cooling)
{
    trip();
    apply((struct weir_breaker_report){.gen = 2, .cooldown_ms = 90000});
    now += 89999;
    ck_assert_uint_eq(want(), 0);
    is(WEIR_BREAKER_OPEN, 2);
    now++;
    ck_assert_uint_ne(want(), 0);
}
END_TEST

START_TEST(test_one_node_alone_does_not_open_it_for_all)
{
    struct weir_breaker_report bad = {.gen = 1, .node = 7, .fail = 5, .run = 5, .recent_fail = 5};
    apply((struct weir_breaker_report){.gen = 1, .node = 2, .ok = 1, .recent_ok = 3, .recent_fail = 2});
    apply(bad);
    is(WEIR_BREAKER_CLOSED, 1);
    said(WEIR_BREAKER_IS_KEPT_CLOSED, WEIR_BREAKER_BY_WITNESS);
    now += WEIR_BREAKER_WITNESS_MS - 1;
    apply(bad);
    is(WEIR_BREAKER_CLOSED, 1);
    now++;
    apply(bad); /* the other's word has aged */
    is(WEIR_BREAKER_OPEN, 2);
}
END_TEST

START_TEST(test_who_is_no_witness)
{
    struct weir_breaker_report bad = {.gen = 1, .node = 7, .fail = 5, .run = 5, .recent_ok = 9, .recent_fail = 5};
    apply((struct weir_breaker_report){.gen = 1, .node = 2, .ok = 1, .recent_ok = 2});
    apply((struct weir_breaker_report){.gen = 1, .node = 3, .ok = 1, .recent_ok = 9, .recent_fail = 9});
    apply((struct weir_breaker_report){.gen = 1, .node = 4, .ok = 1, .recent_ok = 9});
    apply((struct weir_breaker_report){.gen = 1, .node = 4, .fail = 1, .run = 1, .recent_ok = 9, .recent_fail = 10});
    apply((struct weir_breaker_report){.gen = 1, .node = 5, .ok = 9, .recent_ok = 99});
    apply((struct weir_breaker_report){.gen = 1, .node = 5, .ok = 9, .fail = 1, .run = 1, .recent_ok = 99});
    apply(bad); /* its own word does not save it either */
    is(WEIR_BREAKER_OPEN, 2);
}
END_TEST

START_TEST(test_there_is_always_another_witness)
{
    for (uint64_t node = 1; node <= 9; node++)
        apply((struct weir_breaker_report){.gen = 1, .node = node, .ok = 1, .recent_ok = 9});
    for (uint64_t node = 1; node <= 9; node++) {
        struct weir_breaker_state copy = state;
        apply((struct weir_breaker_report){
            .gen = 1, .node = node, .fail = 5, .run = 5, .recent_ok = 9, .recent_fail = 5});
        is(WEIR_BREAKER_CLOSED, 1);
        state = copy;
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
    weir_breaker_policy_set(&policy, &c, 65000);
    ck_assert_uint_eq(policy.recovery_ms, 60000);
    ck_assert_uint_eq(policy.recovery_max_ms, 60000);
    ck_assert_uint_eq(policy.permits, 2);
    ck_assert_uint_gt(policy.permit_ms, 65000);
    ck_assert_uint_eq(policy.rate_ppm, 300000);
    c.recovery_timeout_max_ms = 240000;
    weir_breaker_policy_set(&policy, &c, 65000);
    ck_assert_uint_eq(policy.recovery_max_ms, 240000);
}
END_TEST

CHECK_MAIN("breaker", setup, NULL, test_failures_in_a_row_open, test_a_success_between_begins_anew,
           test_runs_over_batches, test_one_probe_after_the_wait_closes, test_a_failed_probe_opens_again,
           test_a_clock_that_is_set_back, test_the_wait_doubles_when_told_to, test_a_permit_expires,
           test_a_probe_that_says_nothing_frees_its_permit, test_several_probes, test_one_of_several_probes_fails,
           test_fewer_permits_after_a_reload, test_older_generations_say_nothing, test_the_error_rate,
           test_the_window_moves_on, test_cooldown, test_no_probe_while_cooling,
           test_one_node_alone_does_not_open_it_for_all, test_who_is_no_witness, test_there_is_always_another_witness,

           test_adding_reports_up, test_what_an_outcome_means, test_policy_of_a_configuration)
