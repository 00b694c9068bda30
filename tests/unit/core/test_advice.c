/* Hints as a node reads and follows them. */
#include "core/advice.h"

#include <stdio.h>
#include <string.h>

#include "check_main.h"

#define AT    UINT64_C(1700000000000)
#define UNTIL UINT64_C(1700000180000)
#define PEAK  UINT64_C(1700000120000)

#define IN_FLIGHT "{\"now\":10,\"peak\":80.5,\"peak_high\":99.2,\"peak_in_s\":120,\"peak_at_unix_ms\":1700000120000}"
#define PROVIDER  "{\"provider\":\"openai\",\"in_flight\":" IN_FLIGHT ",\"pool_size\":60}"
#define CLUSTER   "\"action\":\"scale_up\",\"nodes\":3,\"desired_nodes\":5"
#define WHOLE(cluster, providers)                                                                            \
    "{\"schema\":1,\"at_unix_ms\":1700000000000,\"valid_until_unix_ms\":1700000180000,\"cluster\":{" cluster \
    "},\"providers\":[" providers "]}"

static struct weir_advice a;
static struct weir_err err;

static int parse(const char *json)
{
    return weir_advice_parse(&a, weir_str_of(json), &err);
}

START_TEST(test_reads_what_concerns_a_node)
{
    ck_assert_int_eq(parse(WHOLE(CLUSTER ",\"reason\":\"a peak comes\",\"more\":[{}]", PROVIDER)), 0);
    ck_assert_uint_eq(a.at_ms, AT);
    ck_assert_uint_eq(a.valid_until_ms, UNTIL);
    ck_assert_int_eq(a.action, WEIR_ADVICE_SCALE_UP);
    ck_assert_uint_eq(a.nodes, 3);
    ck_assert_uint_eq(a.desired_nodes, 5);
    ck_assert_str_eq(a.reason, "a peak comes");
    ck_assert_uint_eq(a.provider_count, 1);
    const struct weir_advice_provider *p = weir_advice_of(&a, "openai");
    ck_assert_ptr_nonnull(p);
    ck_assert_ptr_null(weir_advice_of(&a, "other"));
    ck_assert_uint_eq(p->pool_size, 60);
    ck_assert_double_eq(p->in_flight.now, 10);
    ck_assert_double_eq(p->in_flight.peak, 80.5);
    ck_assert_double_eq(p->in_flight.peak_high, 99.2);
    ck_assert_uint_eq(p->in_flight.at_ms, PEAK);
}
END_TEST

START_TEST(test_refuses_what_it_cannot_trust)
{
    static const struct {
        const char *json, *why;
    } cases[] = {
        {"", "hints: "},
        {"[]", "schema is not 1"},
        {"{\"schema\":2}", "schema is not 1"},
        {"{\"schema\":1,\"schema\":1}", "duplicate"},
        {"{\"schema\":1,\"at_unix_ms\":-1}", "at_unix_ms is no number, or out of bounds"},
        {"{\"schema\":1,\"at_unix_ms\":1e300}", "at_unix_ms is no number, or out of bounds"},
        {"{\"schema\":1,\"at_unix_ms\":1}", "valid_until_unix_ms is no number"},
        {WHOLE("", ""), "cluster.action is none"},
        {WHOLE("\"action\":\"sideways\",\"nodes\":1,\"desired_nodes\":1", ""), "cluster.action is none"},
        {WHOLE("\"action\":7,\"nodes\":1,\"desired_nodes\":1", ""), "cluster.action is none"},
        {WHOLE("\"action\":\"hold\",\"nodes\":1,\"desired_nodes\":1025", ""), "desired_nodes is no number"},
        {WHOLE("\"action\":\"hold\",\"nodes\":1,\"desired_nodes\":\"3\"", ""), "desired_nodes is no number"},
        {WHOLE(CLUSTER, "{\"provider\":\"p\"}"), "pool_size is no number"},
        {WHOLE(CLUSTER, "{\"provider\":\"p\",\"pool_size\":1}"), "in_flight is no object"},
        {WHOLE(CLUSTER, "{\"provider\":\"p\",\"pool_size\":5e9,\"in_flight\":" IN_FLIGHT "}"), "pool_size is no"},
        {WHOLE(CLUSTER, "{\"provider\":\"p\",\"pool_size\":1,\"in_flight\":{\"now\":0,\"peak\":0}}"),
         "peak_high is no"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ck_assert_int_eq(parse(cases[i].json), WEIR_EPROTO);
        ck_assert_msg(strstr(err.msg, cases[i].why) != NULL, "%zu: %s", i, err.msg);
    }
    static char long_one[WEIR_COORD_HINTS_MAX + 1];
    memset(long_one, ' ', sizeof long_one);
    ck_assert_int_eq(weir_advice_parse(&a, (struct weir_str){long_one, sizeof long_one}, &err), WEIR_EPROTO);
}
END_TEST

START_TEST(test_a_leader_that_makes_none_says_why)
{
    ck_assert_int_eq(parse("{\"schema\":1,\"valid\":false,\"reason\":\"switched off\"}"), 0);
    ck_assert(a.none);
    ck_assert_str_eq(a.reason, "switched off");
    ck_assert(!weir_advice_is_valid(&a, 0));
    ck_assert_int_eq(parse(WHOLE(CLUSTER, "")), 0);
    ck_assert(!a.none);
}
END_TEST

START_TEST(test_names_that_no_provider_has_are_passed_over)
{
    ck_assert_int_eq(parse(WHOLE(CLUSTER, "{}, 7, {\"provider\":\"\"}, {\"provider\":[]}, {\"provider\":"
                                          "\"0123456789012345678901234567890123456789012345678901234567890123456\"}")),
                     0);
    ck_assert_uint_eq(a.provider_count, 0);
}
END_TEST

START_TEST(test_more_providers_than_there_may_be)
{
    static char json[WEIR_COORD_HINTS_MAX];
    size_t len = 0;
    for (unsigned i = 0; i < WEIR_ADVICE_PROVIDERS_MAX + 5; i++)
        len += (size_t)snprintf(json + len, sizeof json - len, "%s%s", i == 0 ? WHOLE(CLUSTER, "") : ",", PROVIDER);
    char *list = strstr(json, "[]}");
    memmove(list + 1, list + 3, strlen(list + 3) + 1);
    (void)snprintf(json + len - 2, sizeof json - len + 2, "]}");
    ck_assert_int_eq(parse(json), 0);
    ck_assert_uint_eq(a.provider_count, WEIR_ADVICE_PROVIDERS_MAX);
}
END_TEST

START_TEST(test_a_long_reason_ends_with_a_whole_character)
{
    char json[1024] = "";
    char words[400];
    for (size_t i = 0; i + 2 < sizeof words; i += 2)
        memcpy(words + i, "\xc3\xa4", 3);
    (void)snprintf(
        json, sizeof json,
        "{\"schema\":1,\"at_unix_ms\":1,\"valid_until_unix_ms\":2,\"cluster\":{" CLUSTER ",\"reason\":\"%s\"}}", words);
    ck_assert_int_eq(parse(json), 0);
    ck_assert_uint_eq(strlen(a.reason), 254);
}
END_TEST

START_TEST(test_valid_for_its_time_only)
{
    ck_assert_int_eq(parse(WHOLE(CLUSTER, "")), 0);
    ck_assert(weir_advice_is_valid(&a, AT));
    ck_assert(weir_advice_is_valid(&a, AT - WEIR_ADVICE_SLACK_MS));
    ck_assert(!weir_advice_is_valid(&a, AT - WEIR_ADVICE_SLACK_MS - 1)); /* of a future that has not come */
    ck_assert(weir_advice_is_valid(&a, UNTIL - 1));
    ck_assert(!weir_advice_is_valid(&a, UNTIL));
    a.valid_until_ms = UINT64_C(1) << 53;
    ck_assert(weir_advice_is_valid(&a, AT + WEIR_ADVICE_LIFE_MS_MAX - 1));
    ck_assert(!weir_advice_is_valid(&a, AT + WEIR_ADVICE_LIFE_MS_MAX));
    a.valid_until_ms = AT - 1;
    ck_assert(!weir_advice_is_valid(&a, AT - 10));
}
END_TEST

START_TEST(test_a_nodes_part)
{
    ck_assert_uint_eq(weir_advice_part(60, (struct weir_advice_share){1, 3}), 20);
    ck_assert_uint_eq(weir_advice_part(61, (struct weir_advice_share){1, 3}), 21);
    ck_assert_uint_eq(weir_advice_part(60, (struct weir_advice_share){0, 8}), 0);
    ck_assert_uint_eq(weir_advice_part(60, (struct weir_advice_share){8, 8}), 60);
    ck_assert_uint_eq(weir_advice_part(UINT32_MAX, (struct weir_advice_share){65536, 65536}), UINT32_MAX);
}
END_TEST

START_TEST(test_connections_ahead_of_a_peak)
{
    const struct weir_advice_share half = {1, 2}, all = {1, 1};
    ck_assert_int_eq(parse(WHOLE(CLUSTER, PROVIDER)), 0);
    const struct weir_advice_provider *p = &a.providers[0];
    ck_assert_uint_eq(weir_advice_ahead(p, half, 1, PEAK - WEIR_ADVICE_AHEAD_MS - 1), 0);
    ck_assert_uint_eq(weir_advice_ahead(p, half, 1, PEAK - WEIR_ADVICE_AHEAD_MS), 30); /* no more than the pool's */
    ck_assert_uint_eq(weir_advice_ahead(p, half, 1, PEAK - 1), 30);
    ck_assert_uint_eq(weir_advice_ahead(p, half, 1, PEAK), 0);     /* it has passed */
    ck_assert_uint_eq(weir_advice_ahead(p, all, 2, PEAK - 1), 50); /* 100 requests, two on each connection */
    ck_assert_uint_eq(weir_advice_ahead(p, all, 100, PEAK - 1), 1);
    a.providers[0].in_flight.peak_high = 0;
    ck_assert_uint_eq(weir_advice_ahead(p, all, 1, PEAK - 1), 0);
}
END_TEST

START_TEST(test_the_event_of_a_change)
{
    struct weir_textbuf text;
    weir_textbuf_init(&text, WEIR_COORD_EVENT_MAX);
    ck_assert_int_eq(parse(WHOLE(CLUSTER, "")), 0);
    ck_assert_int_eq(weir_advice_event(&text, &a, "node-1"), 0);
    weir_textbuf_char(&text, '\0');
    ck_assert_str_eq(text.ptr, "{\"event\":\"hint_action\",\"action\":\"scale_up\",\"nodes\":3,\"desired_nodes\":5,"
                               "\"node\":\"node-1\"}");
    weir_textbuf_close(&text);
}
END_TEST

CHECK_MAIN("advice", NULL, NULL, test_reads_what_concerns_a_node, test_refuses_what_it_cannot_trust,
           test_a_leader_that_makes_none_says_why, test_names_that_no_provider_has_are_passed_over,
           test_more_providers_than_there_may_be, test_a_long_reason_ends_with_a_whole_character,
           test_valid_for_its_time_only, test_a_nodes_part, test_connections_ahead_of_a_peak,
           test_the_event_of_a_change)
