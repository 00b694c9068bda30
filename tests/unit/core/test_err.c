#include "core/err.h"

#include "check_main.h"

#include <string.h>

START_TEST(test_set_and_wrap)
{
    struct weir_err err;
    ck_assert_int_eq(weir_err_set(&err, WEIR_ETIMEOUT, "get %s", "x"), WEIR_ETIMEOUT);
    ck_assert_int_eq(weir_err_wrap(&err, "load shard %d", 7), WEIR_ETIMEOUT);
    ck_assert_int_eq(err.code, WEIR_ETIMEOUT);
    ck_assert_str_eq(err.msg, "load shard 7: get x");
}
END_TEST

START_TEST(test_long_messages_are_cut_and_terminated)
{
    struct weir_err err;
    char longest[2 * sizeof err.msg];
    memset(longest, 'a', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    weir_err_set(&err, WEIR_EIO, "%s", longest);
    ck_assert_uint_eq(strlen(err.msg), sizeof err.msg - 1);
    weir_err_wrap(&err, "short");
    ck_assert_uint_eq(strlen(err.msg), sizeof err.msg - 1);
    ck_assert_mem_eq(err.msg, "short: aaa", 10);
    weir_err_wrap(&err, "%s", longest);
    ck_assert_uint_eq(strlen(err.msg), sizeof err.msg - 1);
    ck_assert_mem_eq(err.msg, "aaa", 3);
}
END_TEST

START_TEST(test_every_code_has_a_sentence)
{
    ck_assert_str_eq(weir_err_text(WEIR_OK), "no error");
    ck_assert_str_eq(weir_err_text(WEIR_ETIMEOUT), "timed out");
    for (int code = WEIR_OK; code <= WEIR_EIO; code++)
        ck_assert_str_ne(weir_err_text(code), "unknown error");
    ck_assert_str_eq(weir_err_text(WEIR_EIO + 1), "unknown error");
}
END_TEST

static int told(int first, int second)
{
    struct weir_err err, next;
    weir_err_set(&err, WEIR_ENOTFOUND, "nothing was tried");
    weir_err_set(&next, first, "first");
    weir_err_tell(&err, &next);
    weir_err_set(&next, second, "second");
    weir_err_tell(&err, &next);
    ck_assert_str_eq(err.msg, err.code == second ? "second" : "first");
    return err.code;
}

START_TEST(test_of_several_failures_the_one_that_says_most_is_told)
{
    ck_assert_int_eq(told(WEIR_EREFUSED, WEIR_EIO), WEIR_EREFUSED);
    ck_assert_int_eq(told(WEIR_EIO, WEIR_EREFUSED), WEIR_EREFUSED);
    ck_assert_int_eq(told(WEIR_ETIMEOUT, WEIR_EUNREACHABLE), WEIR_ETIMEOUT);
    ck_assert_int_eq(told(WEIR_ETLS, WEIR_EREFUSED), WEIR_ETLS);
    ck_assert_int_eq(told(WEIR_EREFUSED, WEIR_ETLS), WEIR_ETLS);
    ck_assert_int_eq(told(WEIR_EREFUSED, WEIR_ETIMEOUT), WEIR_ETIMEOUT);
    ck_assert_int_eq(told(WEIR_EIO, WEIR_EUNREACHABLE), WEIR_EUNREACHABLE);
}
END_TEST

CHECK_MAIN("err", NULL, NULL, test_of_several_failures_the_one_that_says_most_is_told, test_set_and_wrap,
           test_long_messages_are_cut_and_terminated, test_every_code_has_a_sentence)
