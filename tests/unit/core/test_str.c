#include "core/str.h"

#include "check_main.h"

START_TEST(test_equality)
{
    ck_assert(weir_str_eq(WEIR_STR("ab"), WEIR_STR("ab")));
    ck_assert(!weir_str_eq(WEIR_STR("ab"), WEIR_STR("aB")));
    ck_assert(!weir_str_eq(WEIR_STR("ab"), WEIR_STR("abc")));
    ck_assert(weir_str_eq((struct weir_str){NULL, 0}, WEIR_STR("")));
    ck_assert(weir_str_eq_nocase(WEIR_STR("Content-TYPE"), WEIR_STR("content-type")));
    ck_assert(!weir_str_eq_nocase(WEIR_STR("a["), WEIR_STR("a{"))); /* 0x20 apart, and no letters */
    ck_assert(!weir_str_eq_nocase(WEIR_STR("a"), WEIR_STR("ab")));
    ck_assert(weir_str_starts(WEIR_STR("/v1/models"), WEIR_STR("/v1")));
    ck_assert(weir_str_starts(WEIR_STR("x"), (struct weir_str){NULL, 0}));
    ck_assert(!weir_str_starts(WEIR_STR("/v"), WEIR_STR("/v1")));
    ck_assert_uint_eq(weir_str_of(NULL).len, 0);
}
END_TEST

START_TEST(test_trim)
{
    ck_assert(weir_str_eq(weir_str_trim(WEIR_STR(" \t a b\t ")), WEIR_STR("a b")));
    ck_assert_uint_eq(weir_str_trim(WEIR_STR(" \t ")).len, 0);
    ck_assert(weir_str_eq(weir_str_trim(WEIR_STR("\na\r")), WEIR_STR("\na\r"))); /* OWS is space and tab */
}
END_TEST

START_TEST(test_list_items)
{
    struct weir_str list = WEIR_STR(" a ,, b,c d ,\t,"), item;
    ck_assert(weir_str_next_item(&list, &item) && weir_str_eq(item, WEIR_STR("a")));
    ck_assert(weir_str_next_item(&list, &item) && weir_str_eq(item, WEIR_STR("b")));
    ck_assert(weir_str_next_item(&list, &item) && weir_str_eq(item, WEIR_STR("c d")));
    ck_assert(!weir_str_next_item(&list, &item));
    ck_assert(!weir_str_next_item(&list, &item));
    list = WEIR_STR("last");
    ck_assert(weir_str_next_item(&list, &item) && weir_str_eq(item, WEIR_STR("last")));
    ck_assert(!weir_str_next_item(&list, &item));
}
END_TEST

START_TEST(test_numbers)
{
    uint64_t n = 0;
    ck_assert(weir_str_to_u64(WEIR_STR("0"), &n) && n == 0);
    ck_assert(weir_str_to_u64(WEIR_STR("007"), &n) && n == 7);
    ck_assert(weir_str_to_u64(WEIR_STR("18446744073709551615"), &n) && n == UINT64_MAX);
    static const char *const bad[] = {
        "", "18446744073709551616", "99999999999999999999", "-1", "+1", " 1", "1 ", "0x1", "1.0"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        ck_assert_msg(!weir_str_to_u64(weir_str_of(bad[i]), &n), "taken: '%s'", bad[i]);
}
END_TEST

CHECK_MAIN("str", NULL, NULL, test_equality, test_trim, test_list_items, test_numbers)
