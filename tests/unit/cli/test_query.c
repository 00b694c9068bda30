#include "cli/query.h"

#include "check_main.h"

START_TEST(test_values_are_encoded)
{
    char page[64];
    ck_assert(ctl_query(page, sizeof page, "/p?node=", "n-1"));
    ck_assert_str_eq(page, "/p?node=n-1");
    ck_assert(ctl_query(page, sizeof page, "/p?endpoint=", "http://[::1]:80/a b&c%\n"));
    ck_assert_str_eq(page, "/p?endpoint=http://%5B::1%5D:80/a%20b%26c%25%0A");
}
END_TEST

START_TEST(test_what_does_not_fit)
{
    char page[16];
    ck_assert(ctl_query(page, sizeof page, "/p?node=", "abcd"));
    ck_assert(!ctl_query(page, sizeof page, "/p?node=", "abcdefgh"));
    ck_assert(!ctl_query(page, sizeof page, "/p?node=", "&&&"));
}
END_TEST

CHECK_MAIN("query", NULL, NULL, test_values_are_encoded, test_what_does_not_fit)
