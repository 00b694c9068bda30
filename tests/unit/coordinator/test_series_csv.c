#include "coordinator/series_csv.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include "check_main.h"

static struct weir_series s;
static struct weir_err err;

static void teardown(void)
{
    weir_series_close(&s);
}

static int parse(const char *text, double step_s)
{
    weir_series_close(&s);
    err = (struct weir_err){0};
    /* Of its own size, so that a read behind the end is seen. */
    size_t len = strlen(text);
    char *exact = malloc(len > 0 ? len : 1);
    memcpy(exact, text, len);
    int rv = weir_series_parse(&s, (struct weir_str){exact, len}, step_s, 10, &err);
    free(exact);
    return rv;
}

static bool is(const double *values, size_t count)
{
    if (s.count != count)
        return false;
    for (size_t i = 0; i < count; i++)
        if (isnan(values[i]) ? !isnan(s.values[i]) : fabs(values[i] - s.values[i]) > 0)
            return false;
    return true;
}

START_TEST(test_series)
{
    static const double plain[] = {5, 0, 7.25};
    ck_assert_int_eq(parse("t,requests\n0,5\n60,0\n120,7.25\n", 60), WEIR_OK);
    ck_assert(is(plain, 3) && s.gaps == 0 && fabs(s.step_s - 60) < 1e-9);
    ck_assert_int_eq(parse("t,requests,tokens\r\n1700000000.5,5,x\r\n1700000010.5,0,\r\n1700000020.5,7.25,y", 0),
                     WEIR_OK);
    ck_assert(is(plain, 3) && fabs(s.step_s - 10) < 1e-9);
    ck_assert_int_eq(parse(" t , load \n 0 , 5e0 \n60,0.0\n120,725e-2\n", 0), WEIR_OK);
    ck_assert(is(plain, 3));
}
END_TEST

START_TEST(test_gaps)
{
    static const double gaps[] = {5, NAN, 6, NAN, 7};
    ck_assert_int_eq(parse("t,requests\n0,5\n60,\n120,6\n240,7\n", 60), WEIR_OK);
    ck_assert(is(gaps, 5) && s.gaps == 2);
}
END_TEST

START_TEST(test_what_is_wrong_is_named_with_its_line)
{
    static const struct {
        const char *text;
        double step_s;
        const char *message;
    } cases[] = {
        {"", 0, "is empty"},
        {"\n", 0, "line 1: the header's first name is not \"t\" (the time in seconds)"},
        {"time,a\n", 0, "line 1: the header's first name is not \"t\" (the time in seconds)"},
        {"t\n0\n", 0, "line 1: a header of one column: \"t\" and a series are needed"},
        {"t,a\n", 0, "has no series: two lines of numbers at least"},
        {"t,a\n0,1\n", 0, "has no series: two lines of numbers at least"},
        {"t,a\n0,1\n\n", 0, "line 3: its time is not a number of 0 or more"},
        {"t,a\n0,1\nx,2\n", 0, "line 3: its time is not a number of 0 or more"},
        {"t,a\n0,1\n10,-2\n", 0, "line 3: its load is not a number of 0 or more"},
        {"t,a\n0,1\n10,nan\n", 0, "line 3: its load is not a number of 0 or more"},
        {"t,a\n0,1\n10,0x10\n", 0, "line 3: its load is not a number of 0 or more"},
        {"t,a\n0,1\n10,1e999\n", 0, "line 3: its load is not a number of 0 or more"},
        {"t,a\n0,1\n10,1 2\n", 0, "line 3: its load is not a number of 0 or more"},
        {"t,a\n0,1\n10\n", 0, "line 3: 1 cells, and the header has 2"},
        {"t,a\n0,1\n10,2,3\n", 0, "line 3: 3 cells, and the header has 2"},
        {"t,a\n10,1\n10,2\n", 0, "line 3: its time is not after that of the line before it"},
        {"t,a\n10,1\n5,2\n", 10, "line 3: its time is not after that of the line before it"},
        {"t,a\n0,1\n10,2\n", 60,
         "line 3: its time is 10 s after that of the line before it: not a whole number of steps of 60 s"},
        {"t,a\n0,1\n60,2\n150,3\n", 60,
         "line 4: its time is 90 s after that of the line before it: not a whole number of steps of 60 s"},
        {"t,a\n0,1\n60,2\n6e12,3\n", 60, "line 4: more than 10 steps"},
        {"t,a\n0,1\n1,2\n10,3\n", 1, "line 4: more than 10 steps"},
        {"t,a\n0,1\n60,2\n", 20, NULL}, /* half of it is still a series */
        {"t,a\n0,1\n60,2\n", 15, "3 of 5 steps of 15 s have no load: not a series of this step"},
        {"t,a\n0,\n60,\n", 60, "2 of 2 steps of 60 s have no load: not a series of this step"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int rv = parse(cases[i].text, cases[i].step_s);
        if (cases[i].message == NULL) {
            ck_assert_int_eq(rv, WEIR_OK);
            continue;
        }
        ck_assert_msg(rv == WEIR_EINVAL, "%zu", i);
        ck_assert_str_eq(err.msg, cases[i].message);
        ck_assert(s.values == NULL && s.count == 0);
    }
}
END_TEST

CHECK_MAIN("series_csv", NULL, teardown, test_series, test_gaps, test_what_is_wrong_is_named_with_its_line)
