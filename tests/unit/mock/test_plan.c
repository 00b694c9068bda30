#include "mock/plan.h"

#include "check_main.h"

static struct mock_plan p;

static void setup(void)
{
    mock_plan_init(&p);
}

static enum mock_plan_result set(const char *key, const char *value)
{
    return mock_plan_set(&p, weir_str_of(key), weir_str_of(value));
}

START_TEST(test_numbers)
{
    ck_assert_int_eq(set("latency-ms", "250"), MOCK_PLAN_OK);
    ck_assert_uint_eq(p.latency_ms, 250);
    ck_assert_int_eq(set("token-interval-ms", "3"), MOCK_PLAN_OK);
    ck_assert_uint_eq(p.token_interval_us, 3000);
    ck_assert_int_eq(set("token-rate", "50"), MOCK_PLAN_OK);
    ck_assert_uint_eq(p.token_interval_us, 20000);
    ck_assert_int_eq(set("token-rate", "0"), MOCK_PLAN_OK);
    ck_assert_uint_eq(p.token_interval_us, 0);
    ck_assert_int_eq(set("latency-ms", ""), MOCK_PLAN_BAD_VALUE);
    ck_assert_int_eq(set("latency-ms", "-1"), MOCK_PLAN_BAD_VALUE);
    ck_assert_int_eq(set("latency-ms", "1.5"), MOCK_PLAN_BAD_VALUE);
    ck_assert_int_eq(set("token-bytes", "4097"), MOCK_PLAN_BAD_VALUE);
    ck_assert_int_eq(set("latency", "1"), MOCK_PLAN_UNKNOWN);
    ck_assert_uint_eq(p.latency_ms, 250);
}
END_TEST

START_TEST(test_shares)
{
    const struct {
        const char *text;
        uint32_t permille;
    } good[] = {{"0", 0}, {"1", 1000}, {"0.5", 500}, {"0.25", 250}, {"0.001", 1}, {"1.000", 1000}, {".1", 100}};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        ck_assert_msg(set("fault-rate", good[i].text) == MOCK_PLAN_OK, "%s", good[i].text);
        ck_assert_uint_eq(p.fault_permille, good[i].permille);
    }
    const char *const bad[] = {"", "2", "1.1", "0.x", "-0.5", "11111111111111", "1000000000000.5"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        ck_assert_msg(set("fault-rate", bad[i]) == MOCK_PLAN_BAD_VALUE, "%s", bad[i]);
}
END_TEST

START_TEST(test_switches_and_faults)
{
    ck_assert_int_eq(set("close", "1"), MOCK_PLAN_OK);
    ck_assert(p.close);
    ck_assert_int_eq(set("close", "false"), MOCK_PLAN_OK);
    ck_assert(!p.close);
    ck_assert_int_eq(set("close", "maybe"), MOCK_PLAN_BAD_VALUE);
    ck_assert_int_eq(set("fault", "truncate"), MOCK_PLAN_OK);
    ck_assert_int_eq(p.fault, MOCK_FAULT_TRUNCATE);
    ck_assert_int_eq(set("fault", "trunc"), MOCK_PLAN_BAD_VALUE);
}
END_TEST

START_TEST(test_models)
{
    mock_plan_set_model(&p, WEIR_STR("mock-429"));
    ck_assert_uint_eq(p.status, 429);
    ck_assert(weir_str_eq(p.retry_after, WEIR_STR("1")));
    setup();
    mock_plan_set_model(&p, WEIR_STR("mock-stall-mid-body"));
    ck_assert_int_eq(p.fault, MOCK_FAULT_STALL_MID_BODY);
    setup();
    mock_plan_set_model(&p, WEIR_STR("mock-slow"));
    ck_assert_uint_gt(p.latency_ms, 0);
    const struct mock_plan before = p;
    const char *const plain[] = {"", "mock", "mock-", "mock-fast", "mock-99", "mock-999", "gpt-429", "mock-4294967725"};
    for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++) {
        mock_plan_set_model(&p, weir_str_of(plain[i]));
        ck_assert_msg(p.status == before.status && p.fault == before.fault, "%s", plain[i]);
    }
}
END_TEST

START_TEST(test_fault_point)
{
    ck_assert_uint_eq(mock_plan_fault_point(&p, 10), 5);
    ck_assert_int_eq(set("fault-after", "3"), MOCK_PLAN_OK);
    ck_assert_uint_eq(mock_plan_fault_point(&p, 10), 3);
    ck_assert_uint_eq(mock_plan_fault_point(&p, 2), 2);
}
END_TEST

START_TEST(test_percent_codes)
{
    char text[] = "a%20b%2Cc%zz%4";
    const size_t n = mock_percent_decode(text, weir_str_of(text));
    ck_assert_uint_eq(n, 10);
    ck_assert_mem_eq(text, "a b,c%zz%4", n);
}
END_TEST

CHECK_MAIN("plan", setup, NULL, test_numbers, test_percent_codes, test_shares, test_switches_and_faults, test_models,
           test_fault_point)
