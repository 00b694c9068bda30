#include "check_main.h"
#include "core/wrr.h"

START_TEST(test_weights_interleave)
{
    struct weir_wrr_item items[3] = {{5, 0, true}, {1, 0, true}, {1, 0, true}};
    const int expected[7] = {0, 0, 1, 0, 2, 0, 0};
    for (int round = 0; round < 3; round++)
        for (int i = 0; i < 7; i++)
            ck_assert_int_eq(weir_wrr_pick(items, 3), expected[i]);
}
END_TEST

START_TEST(test_unusable_and_weightless_are_passed_over)
{
    struct weir_wrr_item items[3] = {{1, 0, false}, {0, 0, true}, {1, 0, true}};
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(weir_wrr_pick(items, 3), 2);
}
END_TEST

START_TEST(test_nothing_usable)
{
    struct weir_wrr_item items[2] = {{1, 0, false}, {0, 0, true}};
    ck_assert_int_eq(weir_wrr_pick(items, 2), -1);
    ck_assert_int_eq(weir_wrr_pick(items, 0), -1);
}
END_TEST

CHECK_MAIN("wrr", NULL, NULL, test_weights_interleave, test_unusable_and_weightless_are_passed_over,
           test_nothing_usable)
