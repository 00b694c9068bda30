#include "core/ptrmap.h"

#include "check_main.h"
#include "helper/core_failmalloc.h"

#define KEYS 5000

START_TEST(test_what_was_set_is_found)
{
    struct weir_ptrmap m = {0};
    uint32_t value = 7;
    ck_assert(!weir_ptrmap_get(&m, 1, &value));
    for (uintptr_t i = 1; i <= KEYS; i++)
        ck_assert(weir_ptrmap_set(&m, i * 16, (uint32_t)i));
    for (uintptr_t i = 1; i <= KEYS; i++) {
        ck_assert(weir_ptrmap_get(&m, i * 16, &value));
        ck_assert_uint_eq(value, i);
        ck_assert(!weir_ptrmap_get(&m, i * 16 + 1, &value));
    }
    ck_assert_uint_eq(m.count, KEYS);
    ck_assert(weir_ptrmap_set(&m, 16, 99));
    ck_assert(weir_ptrmap_get(&m, 16, &value) && value == 99);
    ck_assert_uint_eq(m.count, KEYS);
    ck_assert(!weir_ptrmap_get(&m, 0, &value));
    weir_ptrmap_reset(&m);
    ck_assert(!weir_ptrmap_get(&m, 16, &value));
}
END_TEST

START_TEST(test_without_memory_the_map_stays_as_it_was)
{
    bool more = true;
    for (unsigned long n = 1; more; n = failmalloc_next(n)) {
        struct weir_ptrmap m = {0};
        unsigned set = 0, found = 0;
        failmalloc_begin(n);
        for (uintptr_t i = 1; i <= 1000; i++)
            set += weir_ptrmap_set(&m, i, (uint32_t)i);
        for (uintptr_t i = 1; i <= 1000; i++) {
            uint32_t value = 0;
            found += weir_ptrmap_get(&m, i, &value) && value == i;
        }
        weir_ptrmap_reset(&m);
        long left = failmalloc_end(&more);
        ck_assert_int_eq(left, 0);
        ck_assert_uint_eq(found, set);
        ck_assert_uint_eq(set, more ? 999 : 1000); /* the one that met it was refused, the next grew the map */
    }
}
END_TEST

CHECK_MAIN("ptrmap", NULL, NULL, test_what_was_set_is_found, test_without_memory_the_map_stays_as_it_was)
