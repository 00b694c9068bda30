#include "check_main.h"
#include "core/retry.h"

static const uint32_t codes[] = {408, 429, 500, 502, 503, 504};
static struct weir_config_retry policy;
static struct weir_retry_sight sight;

static void setup(void)
{
    policy = (struct weir_config_retry){
        .enabled = true,
        .attempts = 3,
        .backoff_factor = 0.5,
        .backoff_max_delay_ms = 60000,
        .status_codes = {codes, sizeof codes / sizeof codes[0]},
        .retry_on = WEIR_CONFIG_RETRY_CONNECT_ERROR | WEIR_CONFIG_RETRY_TIMEOUT,
        .jitter = WEIR_CONFIG_JITTER_NONE,
        .deadline_ms = 240000,
    };
    sight = (struct weir_retry_sight){
        .outcome = {.kind = WEIR_OUTCOME_CONNECT_FAILED},
        .method = WEIR_STR("POST"),
        .replayable = true,
        .left_ms = 240000,
    };
}

static void answered(unsigned status)
{
    sight.outcome = (struct weir_outcome){.kind = WEIR_OUTCOME_ANSWERED, .status = status};
}

static void asked_to_wait(unsigned status, uint64_t ms)
{
    answered(status);
    sight.outcome.retry_after = true;
    sight.outcome.retry_after_ms = ms;
}

static void again_after(uint64_t ms)
{
    struct weir_retry_decision d = weir_retry_decide(&policy, &sight);
    ck_assert_int_eq(d.word, WEIR_RETRY_AGAIN);
    ck_assert_int_eq(d.reason, WEIR_RETRY_NONE);
    ck_assert_uint_eq(d.delay_ms, ms);
}

static void given_up(enum weir_retry_reason reason)
{
    struct weir_retry_decision d = weir_retry_decide(&policy, &sight);
    ck_assert_int_eq(d.word, WEIR_RETRY_GIVE_UP);
    ck_assert_str_eq(weir_retry_reason_label(d.reason), weir_retry_reason_label(reason));
}

static void replaced(void)
{
    struct weir_retry_decision d = weir_retry_decide(&policy, &sight);
    ck_assert_int_eq(d.word, WEIR_RETRY_REPLACE);
    ck_assert_uint_eq(d.delay_ms, 0);
}

START_TEST(test_what_is_tried_again)
{
    again_after(500);
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        answered(codes[i]);
        again_after(500);
    }
    static const unsigned final[] = {200, 204, 301, 400, 401, 404, 501, 505};
    for (size_t i = 0; i < sizeof final / sizeof final[0]; i++) {
        answered(final[i]);
        given_up(WEIR_RETRY_FINAL);
    }
    sight.outcome = (struct weir_outcome){.kind = WEIR_OUTCOME_TIMEOUT};
    again_after(500);
    sight.outcome.kind = WEIR_OUTCOME_LOST;
    again_after(500);
    sight.outcome.kind = WEIR_OUTCOME_POOL_TIMEOUT;
    given_up(WEIR_RETRY_FINAL);
    sight.outcome.kind = WEIR_OUTCOME_ABORTED;
    given_up(WEIR_RETRY_FINAL);
}
END_TEST

START_TEST(test_the_exceptions_listed)
{
    policy.retry_on = WEIR_CONFIG_RETRY_TIMEOUT;
    sight.outcome.unprocessed = true; /* says nothing of a failed connect */
    given_up(WEIR_RETRY_FINAL);
    sight.outcome = (struct weir_outcome){.kind = WEIR_OUTCOME_LOST};
    given_up(WEIR_RETRY_FINAL);
    sight.outcome.kind = WEIR_OUTCOME_TIMEOUT;
    again_after(500);
    policy.retry_on = WEIR_CONFIG_RETRY_CONNECT_ERROR;
    given_up(WEIR_RETRY_FINAL);
    sight.outcome.kind = WEIR_OUTCOME_CONNECT_FAILED;
    again_after(500);
}
END_TEST

START_TEST(test_unprocessed_is_always_safe)
{
    static const char *const only_get[] = {"GET"};
    policy.retry_on = 0;
    policy.methods = (struct weir_config_texts){only_get, 1};
    sight.outcome = (struct weir_outcome){.kind = WEIR_OUTCOME_LOST, .unprocessed = true};
    for (; sight.replacements < WEIR_RETRY_REPLACEMENTS_MAX; sight.replacements++)
        replaced(); /* and costs nothing, while there is an end to it */
    again_after(0); /* the first goes at once */
    sight.retries = 1;
    again_after(1000);
    sight.retries = 3;
    given_up(WEIR_RETRY_ATTEMPTS);
}
END_TEST

START_TEST(test_the_guides_exact_delays)
{
    for (uint32_t n = 0; n < 3; n++) {
        sight.retries = n;
        again_after(UINT64_C(500) << n);
    }
    sight.retries = 3;
    given_up(WEIR_RETRY_ATTEMPTS);
    policy.attempts = 20;
    sight.retries = 10;
    again_after(60000);
}
END_TEST

START_TEST(test_backoff_at_its_ends)
{
    policy.backoff_factor = 3600;
    policy.backoff_max_delay_ms = UINT64_MAX;
    ck_assert_uint_eq(weir_retry_backoff_ms(&policy, 20), UINT64_C(3600000) << 20);
    ck_assert_uint_eq(weir_retry_backoff_ms(&policy, UINT32_MAX), UINT64_MAX);
    policy.backoff_factor = 0;
    ck_assert_uint_eq(weir_retry_backoff_ms(&policy, UINT32_MAX), 0);
    policy.backoff_factor = 0.1;
    ck_assert_uint_eq(weir_retry_backoff_ms(&policy, 0), 100);
}
END_TEST

START_TEST(test_full_jitter_is_even)
{
    uint64_t sum = 0, low = UINT64_MAX, high = 0;
    policy.jitter = WEIR_CONFIG_JITTER_FULL;
    for (uint64_t i = 0; i < 501 * 8; i++) {
        sight.random = i;
        struct weir_retry_decision d = weir_retry_decide(&policy, &sight);
        ck_assert_int_eq(d.word, WEIR_RETRY_AGAIN);
        low = d.delay_ms < low ? d.delay_ms : low;
        high = d.delay_ms > high ? d.delay_ms : high;
        sum += d.delay_ms;
    }
    ck_assert_uint_eq(low, 0);
    ck_assert_uint_eq(high, 500);
    ck_assert_uint_eq(sum, 501 * 8 * UINT64_C(250));
    policy.backoff_factor = 0;
    again_after(0);
}
END_TEST

START_TEST(test_retry_after_is_a_floor)
{
    asked_to_wait(429, 7000);
    again_after(7000);
    asked_to_wait(503, 100);
    again_after(500);
    policy.jitter = WEIR_CONFIG_JITTER_FULL;
    sight.random = 3;
    again_after(100);
    asked_to_wait(429, 7000);
    sight.elsewhere = true; /* another endpoint did not ask for it */
    again_after(3);
}
END_TEST

START_TEST(test_the_deadline)
{
    sight.left_ms = 501;
    again_after(500);
    sight.left_ms = 500;
    given_up(WEIR_RETRY_DEADLINE);
    sight.left_ms = 0;
    policy.backoff_factor = 0;
    given_up(WEIR_RETRY_DEADLINE);
    sight.left_ms = 7000;
    asked_to_wait(429, 7000);
    given_up(WEIR_RETRY_RETRY_AFTER);
    sight.elsewhere = true;
    again_after(0);
}
END_TEST

START_TEST(test_what_forbids_it)
{
    sight.answer_begun = true;
    given_up(WEIR_RETRY_ANSWER_BEGUN);
    sight.answer_begun = false;
    sight.replayable = false;
    given_up(WEIR_RETRY_BODY);
    sight.replayable = true;
    policy.enabled = false;
    given_up(WEIR_RETRY_DISABLED);
    policy.enabled = true;
    policy.attempts = 0;
    given_up(WEIR_RETRY_ATTEMPTS);
    /* Nothing to explain where nothing would have been tried again. */
    answered(200);
    sight.answer_begun = true;
    given_up(WEIR_RETRY_FINAL);
}
END_TEST

START_TEST(test_methods)
{
    static const char *const some[] = {"GET", "HEAD"};
    policy.methods = (struct weir_config_texts){some, 2};
    given_up(WEIR_RETRY_METHOD);
    sight.method = WEIR_STR("HEAD");
    again_after(500);
    sight.method = WEIR_STR("get"); /* methods are case-sensitive */
    given_up(WEIR_RETRY_METHOD);
}
END_TEST

static void stale(void)
{
    sight.outcome = (struct weir_outcome){.kind = WEIR_OUTCOME_LOST, .reused = true, .closed = true};
}

START_TEST(test_a_stale_connection_is_replaced_once)
{
    stale();
    policy.enabled = false; /* it is no retry */
    sight.retries = 3;
    sight.left_ms = 0;
    replaced();
    sight.replacements = 1;
    given_up(WEIR_RETRY_DISABLED);
    policy.enabled = true;
    sight.retries = 0;
    sight.left_ms = 1000;
    again_after(500);
}
END_TEST

START_TEST(test_what_is_not_replaced)
{
    policy.attempts = 0;
    stale();
    sight.outcome.reused = false;
    given_up(WEIR_RETRY_ATTEMPTS);
    stale();
    sight.outcome.closed = false;
    given_up(WEIR_RETRY_ATTEMPTS);
    stale();
    sight.outcome.kind = WEIR_OUTCOME_TIMEOUT;
    given_up(WEIR_RETRY_ATTEMPTS);
    stale();
    sight.replayable = false;
    given_up(WEIR_RETRY_BODY);
    stale();
    sight.answer_begun = true;
    given_up(WEIR_RETRY_ANSWER_BEGUN);
}
END_TEST

START_TEST(test_replacement_and_methods)
{
    static const char *const only_get[] = {"GET"};
    policy.methods = (struct weir_config_texts){only_get, 1};
    stale();
    given_up(WEIR_RETRY_METHOD);
    sight.method = WEIR_STR("DELETE"); /* idempotent: no harm, listed or not */
    replaced();
    sight.method = WEIR_STR("POST");
    sight.outcome.unprocessed = true;
    replaced();
}
END_TEST

START_TEST(test_every_reason_has_its_words)
{
    for (int r = 0; r < WEIR_RETRY_REASON_COUNT; r++) {
        ck_assert_uint_gt(strlen(weir_retry_reason_label((enum weir_retry_reason)r)), 0);
        ck_assert((strlen(weir_retry_reason_text((enum weir_retry_reason)r)) == 0) == (r == WEIR_RETRY_NONE));
    }
}
END_TEST

CHECK_MAIN("retry", setup, NULL, test_what_is_tried_again, test_the_exceptions_listed, test_unprocessed_is_always_safe,
           test_the_guides_exact_delays, test_backoff_at_its_ends, test_full_jitter_is_even,
           test_retry_after_is_a_floor, test_the_deadline, test_what_forbids_it, test_methods,
           test_a_stale_connection_is_replaced_once, test_what_is_not_replaced, test_replacement_and_methods,
           test_every_reason_has_its_words)
