/* Lines to change, against what is configured: alone, and in what the doctor says. */
#include "cli/doctor_change.h"

#include <string.h>

#include "check_main.h"
#include "cli/doctor.h"

static struct ctl_change c;
static json_t *finding, *settings;

static void setup(void)
{
    finding = json_object();
    settings = NULL;
}

static void teardown(void)
{
    json_decref(finding);
    json_decref(settings);
}

static void begin(const char *text)
{
    settings = text != NULL ? json_loads(text, 0, NULL) : NULL;
    ck_assert(text == NULL || settings != NULL);
    ctl_change_begin(&c, "p", settings);
}

/* What comes of it: the lines, and those that are held in one line. */
static void comes(const char *lines, const char *held)
{
    bool left = ctl_change_end(&c, finding);
    char *text = json_dumps(json_object_get(finding, "held"), JSON_COMPACT);
    ck_assert_str_eq(json_string_value(json_object_get(finding, "change")), lines);
    ck_assert_str_eq(text, held);
    ck_assert_int_eq(left, *lines != '\0');
    free(text);
}

START_TEST(test_what_is_not_told_is_proposed)
{
    begin(NULL);
    ctl_change_section(&c, "retry");
    ctl_change_on(&c, "enabled");
    ctl_change_number(&c, "attempts", CTL_AT_LEAST, 5, -1);
    ctl_change_section(&c, "timeout");
    ctl_change_number(&c, "read", CTL_AT_LEAST, 7.5, 5);
    comes("providers:\n  p:\n    retry:\n      enabled: true\n      attempts: 5\n    timeout:\n"
          "      read: 7.5 # about 5 now\n",
          "[]");
}
END_TEST

START_TEST(test_what_is_as_good_is_held)
{
    begin("{\"retry\":{\"enabled\":true,\"attempts\":5,\"backoff_max_delay\":30,\"replay_buffer\":16384},"
          "\"timeout\":{\"read\":8}}");
    ctl_change_section(&c, "retry");
    ctl_change_on(&c, "enabled");
    ctl_change_number(&c, "attempts", CTL_AT_LEAST, 5, -1);
    ctl_change_number(&c, "backoff_max_delay", CTL_AT_MOST, 30, -1);
    ctl_change_kilobytes(&c, "replay_buffer", CTL_AT_MOST, 16);
    ctl_change_section(&c, "timeout");
    ctl_change_number(&c, "read", CTL_AT_LEAST, 7.5, 5);
    comes("", "[\"retry.enabled: true\",\"retry.attempts: 5\",\"retry.backoff_max_delay: 30\","
              "\"retry.replay_buffer: 16KB\",\"timeout.read: 8\"]");
}
END_TEST

START_TEST(test_what_is_worse_is_shown_beside)
{
    begin("{\"retry\":{\"enabled\":false,\"attempts\":4,\"backoff_max_delay\":60,\"replay_buffer\":65536}}");
    ctl_change_section(&c, "retry");
    ctl_change_on(&c, "enabled");
    ctl_change_number(&c, "attempts", CTL_AT_LEAST, 5, 7);
    ctl_change_number(&c, "backoff_max_delay", CTL_AT_MOST, 30, -1);
    ctl_change_kilobytes(&c, "replay_buffer", CTL_AT_MOST, 16);
    comes("providers:\n  p:\n    retry:\n      enabled: true\n      attempts: 5 # 4 now\n"
          "      backoff_max_delay: 30 # 60 now\n      replay_buffer: 16KB # 64KB now\n",
          "[]");
}
END_TEST

START_TEST(test_codes)
{
    static const int codes[] = {500, 503};
    static const struct {
        const char *now, *lines, *held;
    } cases[] = {{"[503,500]", "", "[\"retry.codes: [503, 500]\"]"},
                 {"[409,500,503]", "", "[\"retry.codes: [409, 500, 503]\"]"},
                 {"[409,500]", "providers:\n  p:\n    retry:\n      codes: [409, 500, 503]\n", "[]"},
                 {"7", "providers:\n  p:\n    retry:\n      codes: [500, 503]\n", "[]"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[128];
        snprintf(text, sizeof text, "{\"retry\":{\"codes\":%s}}", cases[i].now);
        begin(text);
        ctl_change_section(&c, "retry");
        ctl_change_codes(&c, "codes", codes, 2);
        comes(cases[i].lines, cases[i].held);
        json_decref(settings);
    }
    settings = NULL;
}
END_TEST

/* They are somebody else's. */
START_TEST(test_settings_that_are_none)
{
    static const int codes[] = {500};
    static const char *const texts[] = {"[]", "{\"retry\":7}",
                                        "{\"retry\":{\"on\":\"true\",\"n\":\"5\",\"codes\":{}}}"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        begin(texts[i]);
        ctl_change_section(&c, "retry");
        ctl_change_on(&c, "on");
        ctl_change_number(&c, "n", CTL_AT_LEAST, 5, -1);
        ctl_change_codes(&c, "codes", codes, 1);
        comes("providers:\n  p:\n    retry:\n      on: true\n      n: 5\n      codes: [500]\n", "[]");
        json_decref(settings);
    }
    json_t *longest = json_array();
    for (int i = 0; i < 100000; i++)
        json_array_append_new(longest, json_integer(i));
    settings = json_pack("{s:{s:o}}", "retry", "codes", longest);
    ctl_change_begin(&c, "p", settings);
    ctl_change_section(&c, "retry");
    ctl_change_codes(&c, "codes", codes, 1);
    ck_assert(!ctl_change_end(&c, finding));
}
END_TEST

/* -- in what the doctor says -- */

/* The first finding of a node whose provider has these fields, after nothing. */
static json_t *diagnosed(const char *fields)
{
    char text[2048];
    json_t *before = json_loads("{\"providers\":{\"p\":{}}}", 0, NULL);
    snprintf(text, sizeof text, "{\"providers\":{\"p\":{%s}}}", fields);
    json_t *after = json_loads(text, 0, NULL);
    ck_assert_ptr_nonnull(after);
    json_t *findings = ctl_diagnose(&(struct ctl_exam){.before = before, .after = after, .seconds = 5});
    ck_assert_uint_eq(json_array_size(findings), 1);
    json_t *first = json_incref(json_array_get(findings, 0));
    json_decref(findings);
    json_decref(before);
    json_decref(after);
    return first;
}

static const char *of(const json_t *f, const char *key)
{
    return json_string_value(json_object_get(f, key));
}

#define CONTAINED                                                                                           \
    "\"settings\":{\"circuit_breaker\":{\"enabled\":true,\"failure_threshold\":2,\"recovery_timeout\":20}," \
    "\"retry\":{\"enabled\":true,\"backoff_factor\":2,\"retry_status_codes\":[408,425,429,500,502,503,504]}}"

START_TEST(test_errors_that_are_contained)
{
    for (int endpoints = 1; endpoints <= 2; endpoints++) {
        char text[1024];
        snprintf(text, sizeof text, "\"total_requests\":100,\"error_count\":50,\"endpoints\":{\"e\":{}%s}," CONTAINED,
                 endpoints == 2 ? ",\"f\":{}" : "");
        json_t *f = diagnosed(text);
        ck_assert_str_eq(of(f, "change"), "");
        ck_assert_uint_eq(json_array_size(json_object_get(f, "held")), 6);
        ck_assert(strstr(of(f, "advice"), "What contains the damage is set; its cause is at p") != NULL);
        ck_assert_int_eq(strstr(of(f, "advice"), "A second one") != NULL, endpoints == 1);
        json_decref(f);
    }
}
END_TEST

START_TEST(test_clocks_that_did_not_run_out)
{
    static const struct {
        const char *troubles, *there, *not_there;
    } cases[] = {{"\"connection_timeouts_total\":1", "      connect: 15 # 10 now\n", "read:"},
                 {"\"endpoints\":{\"e\":{\"details\":{\"upstream_timeouts_total\":{\"read\":2}}}}",
                  "      read: 45 # 30 now\n      total: 120 # 60 now\n", "connect:"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[1024];
        snprintf(text, sizeof text,
                 "%s,\"details\":{\"timeout_seconds\":{\"connect\":10,\"read\":30,\"total\":60}},"
                 "\"settings\":{\"timeout\":{\"connect\":10,\"read\":30,\"total\":60}}",
                 cases[i].troubles);
        json_t *f = diagnosed(text);
        ck_assert_msg(strstr(of(f, "change"), cases[i].there) != NULL, "%s", of(f, "change"));
        ck_assert_msg(strstr(of(f, "change"), cases[i].not_there) == NULL, "%s", of(f, "change"));
        json_decref(f);
    }
}
END_TEST

START_TEST(test_a_connect_that_has_all_the_time)
{
    json_t *f = diagnosed("\"connection_timeouts_total\":1,\"details\":{\"timeout_seconds\":{\"connect\":30}},"
                          "\"settings\":{\"timeout\":{\"connect\":30},\"retry\":{\"enabled\":true,\"attempts\":5,"
                          "\"backoff_max_delay\":10}}");
    ck_assert_str_eq(of(f, "change"), "");
    ck_assert(strstr(of(f, "advice"), "More than 30 s does not mend a connect that hangs") != NULL);
    json_decref(f);
}
END_TEST

/* The limit in force is a part of the configured one: raising that one would do nothing. */
START_TEST(test_a_limit_that_something_holds_down)
{
    json_t *f =
        diagnosed("\"pending_requests\":3,\"pool_utilization_percent\":100,\"max_connections\":50,"
                  "\"max_keepalive_connections\":10,"
                  "\"settings\":{\"connection_pool\":{\"max_connections\":100,\"max_keepalive_connections\":20}}");
    ck_assert_str_eq(of(f, "change"), "");
    ck_assert(strstr(of(f, "advice"), "about 50 are in force: auto_tune and pool_limits.load_scaling") != NULL);
    json_decref(f);
}
END_TEST

CHECK_MAIN("doctor_change", setup, teardown, test_what_is_not_told_is_proposed, test_what_is_as_good_is_held,
           test_what_is_worse_is_shown_beside, test_codes, test_settings_that_are_none, test_errors_that_are_contained,
           test_clocks_that_did_not_run_out, test_a_connect_that_has_all_the_time,
           test_a_limit_that_something_holds_down)
