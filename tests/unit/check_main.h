/* The main of a Check program: one suite, one fixture, output in Check's normal form, exit code by failures.
 *
 *     CHECK_MAIN("wheel", setup, teardown, test_fires_once, test_moves_lazily)
 *
 * setup and teardown may be NULL; each test runs in a process of its own (CK_FORK=no for a debugger). */
#ifndef WEIR_TESTS_CHECK_MAIN_H
#define WEIR_TESTS_CHECK_MAIN_H

#include <check.h>
#include <stddef.h>
#include <stdlib.h>

/* Ends a test that hangs; far above what any test needs on a loaded machine under a sanitizer. */
#define CHECK_TIMEOUT_S 120

/* How many rounds of a loop over random cases to run: WEIR_TEST_ROUNDS percent of all (without it: all), one at least.
 * Fewer do where another build runs them all. */
static inline unsigned check_rounds(unsigned all)
{
    const char *percent = getenv("WEIR_TEST_ROUNDS");
    unsigned long n = percent != NULL ? strtoul(percent, NULL, 10) : 100;
    return n >= 100 ? all : n * all >= 100 ? (unsigned)(n * all / 100) : 1;
}

static inline int check_run(const char *name, void (*setup)(void), void (*teardown)(void), const TTest *const *tests,
                            size_t count)
{
    Suite *suite = suite_create(name);
    TCase *tc = tcase_create(name);
    if (setup != NULL || teardown != NULL)
        tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, CHECK_TIMEOUT_S);
    for (size_t i = 0; i < count; i++)
        tcase_add_test(tc, tests[i]);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#define CHECK_MAIN(name, setup, teardown, ...)                                          \
    int main(void)                                                                      \
    {                                                                                   \
        const TTest *const tests[] = {__VA_ARGS__};                                     \
        return check_run(name, setup, teardown, tests, sizeof tests / sizeof tests[0]); \
    }

#endif
