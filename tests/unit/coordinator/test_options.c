#include "coordinator/options.h"

#include <math.h>

#include "check_main.h"
#include "helper/core_words.h"

static struct weir_coordinator_options o;

static int parse(const char *line)
{
    char **argv;
    int argc = words_of("weir-coordinator", line, &argv);
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

START_TEST(test_backtest)
{
    ck_assert_int_eq(parse("--backtest load.csv"), -1);
    ck_assert_str_eq(o.backtest.path, "load.csv");
    ck_assert(o.backtest.step_s <= 0 && o.backtest.horizon == 60 && !o.backtest.json);
    ck_assert_int_eq(parse("--backtest load.csv --step 0.5 --horizon 512 -o json"), -1);
    ck_assert(fabs(o.backtest.step_s - 0.5) < 1e-9 && o.backtest.horizon == 512 && o.backtest.json);
    ck_assert_int_eq(parse("--output table --step 60 --backtest=load.csv"), -1);
    ck_assert(!o.backtest.json);
    ck_assert_int_eq(parse("-c weir.yaml"), -1);
    ck_assert_ptr_null(o.backtest.path);
}
END_TEST

START_TEST(test_wrong_usage)
{
    static const char *const lines[] = {"",
                                        "--check",
                                        "-c",
                                        "-c a -c b",
                                        "-c a extra",
                                        "-c a --dry",
                                        "run",
                                        "--backtest",
                                        "--backtest a --backtest b",
                                        "--backtest a -c b",
                                        "--backtest a --check",
                                        "--backtest a --step 0",
                                        "--backtest a --step -1",
                                        "--backtest a --step 10s",
                                        "--backtest a --step nan",
                                        "--backtest a --step 0x10",
                                        "--backtest a --step 1.2.3",
                                        "--backtest a --step 1e9",
                                        "--backtest a --horizon 0",
                                        "--backtest a --horizon 513",
                                        "--backtest a --horizon 6.5",
                                        "--backtest a -o yaml",
                                        "-c a --step 60",
                                        "-c a --horizon 60",
                                        "-c a -o json"};
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        ck_assert_msg(parse(lines[i]) == WEIR_EXIT_USAGE, "'%s'", lines[i]);
}
END_TEST

CHECK_MAIN("options", NULL, NULL, test_run_and_check, test_help_and_version, test_backtest, test_wrong_usage)
