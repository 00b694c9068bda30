/* Findings from pages: two looks, of which the difference counts. */
#include "cli/doctor_checks.h"

#include <stdbool.h>
#include <string.h>

#include "check_main.h"

static struct ctl_exam x;

static json_t *read(const char *text)
{
    json_t *value = json_loads(text, 0, NULL);
    ck_assert_msg(value != NULL, "%s", text);
    return value;
}

#define POOL(fields) "{\"node_id\":\"n\",\"providers\":{\"p\":{" fields "}}}"

/* The kinds that are found, with commas. */
static const char *kinds(const char *before, const char *after)
{
    static char text[256];
    json_t *a = read(before), *b = read(after);
    x.before = a;
    x.after = b;
    x.seconds = 5;
    json_t *findings = ctl_diagnose(&x);
    text[0] = '\0';
    for (size_t i = 0; i < json_array_size(findings); i++) {
        const char *kind = json_string_value(json_object_get(json_array_get(findings, i), "kind"));
        strcat(text, i > 0 ? "," : "");
        strcat(text, kind);
        ck_assert_uint_gt(json_array_size(json_object_get(json_array_get(findings, i), "evidence")), 0);
    }
    json_decref(findings);
    json_decref(a);
    json_decref(b);
    return text;
}

START_TEST(test_what_is_long_past_is_no_finding)
{
    static const char old[] = POOL("\"connection_timeouts_total\":50,\"connection_errors_total\":90,\"error_count\":90,"
                                   "\"total_requests\":100,\"connections_created_total\":100");
    ck_assert_str_eq(kinds(old, old), "");
}
END_TEST

START_TEST(test_each_trouble)
{
    ck_assert_str_eq(kinds(POOL(""), POOL("\"pending_requests\":3,\"pool_utilization_percent\":100")),
                     "pool exhaustion");
    ck_assert_str_eq(kinds(POOL(""), POOL("\"details\":{\"pool_queue_full_total\":1}")), "pool exhaustion");
    ck_assert_str_eq(kinds(POOL(""), POOL("\"connection_timeouts_total\":1")), "connection timeouts");
    ck_assert_str_eq(
        kinds(POOL(""), POOL("\"endpoints\":{\"e\":{\"details\":{\"upstream_timeouts_total\":{\"read\":2}}}}")),
        "connection timeouts");
    ck_assert_str_eq(kinds(POOL(""), POOL("\"total_requests\":100,\"error_count\":6")), "high error rate");
    ck_assert_str_eq(kinds(POOL(""), POOL("\"total_requests\":100,\"error_count\":5")), "");
    ck_assert_str_eq(kinds(POOL(""), POOL("\"connections_created_total\":100,\"connection_errors_total\":6")),
                     "high error rate");
}
END_TEST

START_TEST(test_memory)
{
    json_t *health = read("{\"checks\":{\"memory\":{\"used_percent\":80}}}");
    x.health = health;
    ck_assert_str_eq(kinds(POOL(""), POOL("")), "memory");
    json_object_set_new(json_object_get(json_object_get(health, "checks"), "memory"), "used_percent", json_integer(79));
    ck_assert_str_eq(kinds(POOL(""), POOL("")), "");
    json_decref(health);
}
END_TEST

START_TEST(test_alerts_and_circuits_count)
{
    json_t *alerts = read("{\"alerts\":[{\"name\":\"pool_exhausted\",\"provider\":\"p\",\"state\":\"firing\"},"
                          "{\"name\":\"high_error_rate\",\"provider\":\"other\",\"state\":\"firing\"}]}");
    json_t *breakers = read("{\"breakers\":[{\"provider\":\"p\",\"endpoint\":\"e\",\"state\":\"open\"}]}");
    x.alerts = alerts;
    x.breakers = breakers;
    ck_assert_str_eq(kinds(POOL(""), POOL("")), "pool exhaustion,high error rate");
    json_decref(alerts);
    json_decref(breakers);
}
END_TEST

START_TEST(test_nobody_listens)
{
    json_t *pools = read(POOL(""));
    json_t *breakers = read("{\"breakers\":[{\"provider\":\"p\",\"endpoint\":\"e\",\"state\":\"open\"}]}");
    for (int refused = 0; refused < 2; refused++) {
        json_t *providers = read(refused ? "{\"providers\":{\"p\":{\"endpoints\":{\"e\":{\"last_failure\":{\"error\":"
                                           "\"connect to e: Connection refused\"}}}}}}"
                                         : "{\"providers\":{\"p\":{\"endpoints\":{\"e\":{\"last_failure\":{\"error\":"
                                           "\"status 500\"}}}}}}");
        x = (struct ctl_exam){
            .before = pools, .after = pools, .breakers = breakers, .providers = providers, .seconds = 5};
        json_t *findings = ctl_diagnose(&x);
        const char *advice = json_string_value(json_object_get(json_array_get(findings, 0), "advice"));
        ck_assert_ptr_nonnull(advice);
        ck_assert_int_eq(strcmp(advice, "Nobody listens at e: is it running?") == 0, refused);
        json_decref(findings);
        json_decref(providers);
    }
    json_decref(breakers);
    json_decref(pools);
}
END_TEST

/* What somebody has ordered is no error, wherever it was ordered; what was ordered before the last opening is past. */
START_TEST(test_circuits_opened_by_hand)
{
    json_t *here =
        read("{\"breakers\":[{\"provider\":\"p\",\"endpoint\":\"e\",\"state\":\"open\",\"reason\":\"operator\"}]}");
    json_t *there = read("{\"breakers\":[{\"provider\":\"p\",\"endpoint\":\"e\",\"state\":\"open\",\"shared\":true,"
                         "\"reason\":\"cluster\"}]}");
    json_t *events =
        read("{\"events\":[{\"event\":\"circuit_opened\",\"endpoint\":\"e\",\"reason\":\"operator\",\"node\":\"m\"},"
             "{\"event\":\"circuit_opened\",\"endpoint\":\"other\",\"reason\":\"error_rate\"}]}");
    json_t *later = read("{\"event\":\"circuit_opened\",\"endpoint\":\"e\",\"reason\":\"consecutive_failures\"}");
    x.breakers = here;
    ck_assert_str_eq(kinds(POOL(""), POOL("")), "circuit opened by hand");
    x.breakers = there;
    ck_assert_str_eq(kinds(POOL(""), POOL("")), "high error rate");
    x.events = events;
    ck_assert_str_eq(kinds(POOL(""), POOL("")), "circuit opened by hand");
    json_array_append(json_object_get(events, "events"), later);
    ck_assert_str_eq(kinds(POOL(""), POOL("")), "high error rate");
    json_decref(here);
    json_decref(there);
    json_decref(events);
    json_decref(later);
}
END_TEST

/* One that is alone has all shards, however few. */
START_TEST(test_failed_checks)
{
    json_t *
        providers = read(
           "{\"providers\":{\"a\":{\"endpoints\":{\"http://1\":{\"checks_failed\":true,\"last_check\":{\"at\":\"noon\","
           "\"error\":\"refused\"}},\"http://2\":{\"checks_failed\":false}}},\"b\":{\"endpoints\":{\"http://3\":"
           "{\"checks_failed\":true}}},\"c\":{\"endpoints\":{\"http://"
           "4\":{\"checks_failed\":false,\"addresses\":1}}},\"d\":{\"endpoints\":{\"http://5\":{\"addresses\":0}}}}}"),
       *after = read("{\"node_id\":\"n\"}"),
       *findings = read("[{\"kind\":\"high error rate\",\"provider\":\"b\"}]"); /* says more */
    ctl_diagnose_checks(findings, &(struct ctl_exam){.after = after, .providers = providers});
    ck_assert_uint_eq(json_array_size(findings), 3);
    const json_t *f = json_array_get(findings, 1), *evidence = json_object_get(f, "evidence");
    ck_assert_str_eq(json_string_value(json_object_get(f, "provider")), "a");
    ck_assert_uint_eq(json_array_size(evidence), 1);
    ck_assert_str_eq(json_string_value(json_array_get(evidence, 0)), "the check of http://1 failed: refused (noon)");
    evidence = json_object_get(json_array_get(findings, 2), "evidence");
    ck_assert_str_eq(json_string_value(json_array_get(evidence, 0)),
                     "http://5 has no address: its name does not resolve");
    ctl_diagnose_checks(findings, &(struct ctl_exam){.after = after});
    ck_assert_uint_eq(json_array_size(findings), 3);
    json_decref(findings);
    json_decref(after);
    json_decref(providers);
}
END_TEST

START_TEST(test_a_cluster_of_one)
{
    json_t *state = read("{\"cluster\":\"c\",\"contact\":true,\"shard_count\":4,\"nodes\":{\"alive\":1}}");
    x.state = state;
    ck_assert_str_eq(kinds(POOL(""), POOL("")), "");
    json_decref(state);
}
END_TEST

START_TEST(test_the_cluster)
{
    json_t *state = read("{\"cluster\":\"c\",\"contact\":false,\"shard_count\":23,\"nodes\":{\"alive\":3}}");
    json_t *nodes = read("{\"nodes\":[{\"id\":\"a\",\"alive\":false},{\"id\":\"b\",\"alive\":true,\"load\":{"
                         "\"utilization_percent\":95}},{\"id\":\"n\",\"self\":true,\"alive\":true}]}");
    x.state = state;
    x.nodes = nodes;
    ck_assert_str_eq(kinds(POOL(""), POOL("")), "store out of reach,few shards,lost nodes,pool exhaustion");
    json_decref(state);
    json_decref(nodes);
}
END_TEST

/* The limit that is shown is this node's part: the lines are for the whole cluster's. */
START_TEST(test_a_part_of_a_limit)
{
    json_t *state = read("{\"cluster\":\"c\",\"contact\":true,\"pool_sharding\":true,\"owned\":16,\"shard_count\":64}");
    json_t *pools = read(POOL("\"pending_requests\":3,\"pool_utilization_percent\":100,\"max_connections\":50"));
    x = (struct ctl_exam){.before = pools, .after = pools, .seconds = 5, .state = state};
    json_t *findings = ctl_diagnose(&x);
    const char *change = json_string_value(json_object_get(json_array_get(findings, 0), "change"));
    ck_assert_msg(strstr(change, "max_connections: 300 # about 200 now\n") != NULL, "%s", change);
    json_decref(findings);
    json_decref(pools);
    json_decref(state);
}
END_TEST

/* Names are somebody else's text: none of them adds a line of its own to those that are pasted. */
START_TEST(test_names_in_lines_to_paste)
{
    static const struct {
        const char *name, *key;
    } names[] = {{"openai", "\n  openai:\n"},
                 {"no", "\n  \"no\":\n"},
                 {"1.5", "\n  \"1.5\":\n"},
                 {"a:\n    base_url: http://evil", "\n  \"a:\\n    base_url: http://evil\":\n"}};
    char longest[1000];
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    for (size_t i = 0; i <= sizeof names / sizeof names[0]; i++) {
        bool named = i < sizeof names / sizeof names[0];
        json_t *pools = json_pack("{s:{s:{s:i, s:i}}}", "providers", named ? names[i].name : longest,
                                  "pending_requests", 3, "pool_utilization_percent", 100);
        x = (struct ctl_exam){.before = pools, .after = pools, .seconds = 5};
        json_t *findings = ctl_diagnose(&x);
        const char *change = json_string_value(json_object_get(json_array_get(findings, 0), "change"));
        ck_assert_msg(strstr(change, named ? names[i].key : "\n  PROVIDER:\n") != NULL, "%s", change);
        json_decref(findings);
        json_decref(pools);
    }
}
END_TEST

static void setup(void)
{
    x = (struct ctl_exam){0};
}

CHECK_MAIN("doctor", setup, NULL, test_what_is_long_past_is_no_finding, test_each_trouble, test_memory,
           test_alerts_and_circuits_count, test_nobody_listens, test_circuits_opened_by_hand, test_failed_checks,
           test_a_cluster_of_one, test_the_cluster, test_a_part_of_a_limit, test_names_in_lines_to_paste)
