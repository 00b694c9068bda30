#include "coordinator/options.h"

#include <stdio.h>
#include <string.h>

#include "check_main.h"

static struct weir_coordinator_options o;

static int parse(const char *line)
{
    static char text[256];
    char *argv[32] = {"weir-coordinator"};
    int argc = 1;
    snprintf(text, sizeof text, "%s", line);
    for (char *at = text, *word; (word = strsep(&at, " ")) != NULL;)
        if (*word != '\0')
            argv[argc++] = word;
    return weir_coordinator_options_parse(&o, argc, argv);
}

START_TEST(test_run_and_check)
{
    ck_assert_int_eq(parse("-c weir.yaml"), -1);
    ck_assert_str_eq(o.config_file, "weir.yaml");
    ck_assert(!o.check);
    ck_assert_int_eq(parse("--check --config=a.yaml"), -1);
    ck_assert_str_eq(o.config_file, "a.yaml");
    ck_assert(o.check);
}
END_TEST

START_TEST(test_help_and_version)
{
    ck_assert_int_eq(parse("--help"), WEIR_EXIT_DONE);
    ck_assert_int_eq(parse("-V"), WEIR_EXIT_DONE);
}
END_TEST

START_TEST(test_wrong_usage)
{
    static const char *const lines[] = {"", "--check", "-c", "-c a -c b", "-c a extra", "-c a --dry", "run"};
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        ck_assert_msg(parse(lines[i]) == WEIR_EXIT_USAGE, "'%s'", lines[i]);
}
END_TEST

CHECK_MAIN("options", NULL, NULL, test_run_and_check, test_help_and_version, test_wrong_usage)
