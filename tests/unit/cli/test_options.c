#include "cli/options.h"

#include <string.h>

#include "check_main.h"
#include "helper/core_words.h"

static const char *node_variable, *token_variable;

static char *env(const char *name)
{
    return (char *)(strcmp(name, "WEIR_NODE") == 0          ? node_variable
                    : strcmp(name, "WEIR_ADMIN_TOKEN") == 0 ? token_variable
                                                            : NULL);
}

static struct ctl_options o;

static int parse(const char *line)
{
    char **argv;
    int argc = words_of("weirctl", line, &argv);
    return ctl_options_parse(&o, argc, argv, env);
}

START_TEST(test_defaults)
{
    ck_assert_int_eq(parse("status"), -1);
    ck_assert_int_eq(o.verb, CTL_STATUS);
    ck_assert_int_eq(o.output, CTL_TABLE);
    ck_assert_str_eq(o.node, "http://127.0.0.1:8000");
    ck_assert_ptr_null(o.token);
    ck_assert_ptr_null(o.token_file);
    ck_assert_uint_eq(o.timeout_ms, 5000);
    ck_assert_uint_eq(o.count, 20);
    ck_assert(!o.follow);
}
END_TEST

START_TEST(test_verbs)
{
    for (int i = 0; i < CTL_VERBS; i++)
        ck_assert_int_eq(ctl_verb_find(ctl_verb_name((enum ctl_verb)i)), i);
    ck_assert_int_eq(ctl_verb_find("statu"), -1);
    ck_assert_int_eq(parse("shards"), -1);
    ck_assert_int_eq(o.verb, CTL_SHARDS);
    ck_assert_str_eq(ctl_verbs[CTL_STATUS].page, "/api/cluster/state");
    ck_assert_str_eq(ctl_verbs[CTL_EVENTS].page, "/api/cluster/events");
}
END_TEST

START_TEST(test_options_before_and_after_the_verb)
{
    ck_assert_int_eq(parse("-o json --node http://n:1 events --count=7 -f --timeout 0.25 --token-file t --ca-file c"),
                     -1);
    ck_assert_int_eq(o.verb, CTL_EVENTS);
    ck_assert_int_eq(o.output, CTL_JSON);
    ck_assert_str_eq(o.node, "http://n:1");
    ck_assert_str_eq(o.token_file, "t");
    ck_assert_str_eq(o.ca_file, "c");
    ck_assert_uint_eq(o.timeout_ms, 250);
    ck_assert_uint_eq(o.count, 7);
    ck_assert(o.follow);
}
END_TEST

START_TEST(test_environment)
{
    node_variable = "http://elsewhere:1";
    token_variable = "secret";
    ck_assert_int_eq(parse("nodes"), -1);
    ck_assert_str_eq(o.node, "http://elsewhere:1");
    ck_assert_str_eq(o.token, "secret");
    ck_assert_int_eq(parse("nodes --node http://here:2"), -1);
    ck_assert_str_eq(o.node, "http://here:2");
    node_variable = token_variable = "";
    ck_assert_int_eq(parse("nodes"), -1);
    ck_assert_str_eq(o.node, "http://127.0.0.1:8000");
    ck_assert_ptr_null(o.token);
}
END_TEST

START_TEST(test_arguments)
{
    ck_assert_int_eq(parse("completion zsh"), -1);
    ck_assert_str_eq(o.arguments[0], "zsh");
    ck_assert_ptr_null(o.arguments[1]);
    ck_assert_int_eq(parse("tune --rps 12.5 --latency=3e2"), -1);
    ck_assert_double_eq(o.rps, 12.5);
    ck_assert_double_eq(o.latency_ms, 300);
    ck_assert_uint_eq(o.given, CTL_BIT(RPS) | CTL_BIT(LATENCY));
}
END_TEST

START_TEST(test_wrong_usage)
{
    static const char *const lines[] = {"",
                                        "stats",
                                        "status extra",
                                        "nodes -o xml",
                                        "nodes --timeout 0",
                                        "nodes --timeout 3601",
                                        "nodes --timeout nan",
                                        "nodes --timeout 5s",
                                        "events -n 1001",
                                        "events -n -1",
                                        "events -n x",
                                        "nodes --count 5",
                                        "nodes --follow",
                                        "nodes --unknown",
                                        "completion",
                                        "completion ba",
                                        "completion bash zsh",
                                        "tune --rps -1 --latency 1",
                                        "nodes --node"};
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        ck_assert_msg(parse(lines[i]) == WEIR_EXIT_USAGE, "'%s'", lines[i]);
}
END_TEST

START_TEST(test_help_and_version)
{
    ck_assert_int_eq(parse("--help"), WEIR_EXIT_DONE);
    ck_assert_int_eq(parse("events -h"), WEIR_EXIT_DONE);
    ck_assert_int_eq(parse("-V"), WEIR_EXIT_DONE);
}
END_TEST

CHECK_MAIN("options", NULL, NULL, test_defaults, test_verbs, test_options_before_and_after_the_verb, test_environment,
           test_arguments, test_wrong_usage, test_help_and_version)
