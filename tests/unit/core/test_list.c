#include "core/list.h"

#include "check_main.h"

#include <stdint.h>

struct member {
    int id;
    struct weir_list link;
};

static struct weir_list list;
static struct member m[4];

static void setup(void)
{
    weir_list_init(&list);
    for (int i = 0; i < 4; i++) {
        m[i].id = i;
        weir_list_init(&m[i].link);
    }
}

/* The ids in order as a number: 0, 1, 2 is 12. */
static int ids(const struct weir_list *l)
{
    int number = 0;
    WEIR_LIST_EACH(at, (struct weir_list *)(uintptr_t)l)
    number = number * 10 + WEIR_CONTAINER(at, struct member, link)->id;
    return number;
}

START_TEST(test_order)
{
    ck_assert(weir_list_empty(&list));
    ck_assert_ptr_null(weir_list_pop_front(&list));
    weir_list_push_back(&list, &m[2].link);
    weir_list_push_back(&list, &m[3].link);
    weir_list_push_front(&list, &m[1].link);
    ck_assert_int_eq(ids(&list), 123);
    ck_assert_ptr_eq(weir_list_pop_front(&list), &m[1].link);
    ck_assert(weir_list_empty(&m[1].link));
    ck_assert_int_eq(ids(&list), 23);
}
END_TEST

START_TEST(test_remove_twice_is_legal)
{
    weir_list_push_back(&list, &m[1].link);
    weir_list_push_back(&list, &m[2].link);
    weir_list_remove(&m[1].link);
    weir_list_remove(&m[1].link);
    ck_assert_int_eq(ids(&list), 2);
}
END_TEST

START_TEST(test_removal_while_walking)
{
    for (int i = 0; i < 4; i++)
        weir_list_push_back(&list, &m[i].link);
    WEIR_LIST_EACH_SAFE(at, &list)
    {
        if (WEIR_CONTAINER(at, struct member, link)->id % 2 == 0)
            weir_list_remove(at);
    }
    ck_assert_int_eq(ids(&list), 13);
}
END_TEST

START_TEST(test_splice)
{
    struct weir_list other;
    weir_list_init(&other);
    weir_list_push_back(&list, &m[1].link);
    weir_list_splice(&list, &other);
    ck_assert_int_eq(ids(&list), 1);
    weir_list_push_back(&other, &m[2].link);
    weir_list_push_back(&other, &m[3].link);
    weir_list_splice(&list, &other);
    ck_assert_int_eq(ids(&list), 123);
    ck_assert(weir_list_empty(&other));
    weir_list_splice(&other, &list);
    ck_assert_int_eq(ids(&other), 123);
    ck_assert(weir_list_empty(&list));
}
END_TEST

CHECK_MAIN("list", setup, NULL, test_order, test_remove_twice_is_legal, test_removal_while_walking, test_splice)
