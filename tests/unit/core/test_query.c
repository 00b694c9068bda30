#include "core/query.h"

#include "check_main.h"

static char out[8];

static enum weir_query_code find(const char *target)
{
    return weir_query_find(weir_str_of(target), WEIR_STR("n"), out, sizeof out);
}

static void expect(const char *target, const char *value)
{
    ck_assert_msg(find(target) == WEIR_QUERY_FOUND, "%s", target);
    ck_assert_str_eq(out, value);
}

START_TEST(test_a_field_counts_wherever_it_stands)
{
    expect("/p?n=5", "5");
    expect("/p?x=1&n=5", "5");
    expect("/p?n=5&x=1", "5");
    expect("/p?x&&n=5&", "5");
    expect("/p?nn=1&N=2&n=5", "5");
    expect("?n=a=b?c", "a=b?c");
    expect("/p?n=1234567", "1234567");
}
END_TEST

START_TEST(test_escapes_are_resolved)
{
    expect("/p?n=%41%2f%26", "A/&");
    expect("/p?n=a+b", "a+b");
    expect("/p?n=%25zz", "%zz");
    expect("/p?n=%c3%a4", "\xc3\xa4");
}
END_TEST

START_TEST(test_none)
{
    static const char *const targets[] = {"",       "*",       "/p",       "/p?",  "/p?&",
                                          "/p?x=1", "/p?nn=1", "/p?x=n=1", "/n=5", "/p?%6e=5"};
    for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++) {
        ck_assert_msg(find(targets[i]) == WEIR_QUERY_NONE, "%s", targets[i]);
        ck_assert_str_eq(out, "");
    }
    ck_assert_int_eq(weir_query_find((struct weir_str){0}, WEIR_STR("n"), out, sizeof out), WEIR_QUERY_NONE);
}
END_TEST

START_TEST(test_what_cannot_be_read)
{
    static const char *const targets[] = {"/p?n",     "/p?n=",         "/p?n=1&n=2", "/p?n=1&x=2&n=1", "/p?n=%",
                                          "/p?n=%4",  "/p?n=%4&x=1",   "/p?n=%zz",   "/p?n=%0a",       "/p?n=%00",
                                          "/p?n=%7f", "/p?n=12345678", "/p?n=\x01",  "/p?n=1&n=%"};
    for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++)
        ck_assert_msg(find(targets[i]) == WEIR_QUERY_WRONG, "%s", targets[i]);
}
END_TEST

START_TEST(test_fields_are_bounded)
{
    char target[256] = "/p?";
    for (unsigned i = 0; i + 1 < WEIR_QUERY_FIELDS_MAX; i++)
        strcat(target, "x&");
    strcat(target, "n=5");
    expect(target, "5");
    strcat(target, "&x");
    ck_assert_int_eq(find(target), WEIR_QUERY_WRONG);
}
END_TEST

START_TEST(test_nothing_but_the_field)
{
    static const char *const only[] = {"", "/p", "/p?", "/p?n=1", "/p?n", "/p?&n=1&", "/p?n=1&n=2"};
    static const char *const more[] = {"/p?x", "/p?n=1&x=1", "/p?x=1&n=1", "/p?=", "/p?nn=1"};
    for (size_t i = 0; i < sizeof only / sizeof only[0]; i++)
        ck_assert_msg(weir_query_has_only(weir_str_of(only[i]), WEIR_STR("n")), "%s", only[i]);
    for (size_t i = 0; i < sizeof more / sizeof more[0]; i++)
        ck_assert_msg(!weir_query_has_only(weir_str_of(more[i]), WEIR_STR("n")), "%s", more[i]);
}
END_TEST

CHECK_MAIN("query", NULL, NULL, test_a_field_counts_wherever_it_stands, test_escapes_are_resolved, test_none,
           test_what_cannot_be_read, test_fields_are_bounded, test_nothing_but_the_field)
