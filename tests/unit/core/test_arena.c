#include "core/arena.h"

#include "check_main.h"
#include "helper/core_failmalloc.h"

#include <stdalign.h>
#include <stdint.h>
#include <string.h>

static struct weir_arena a;

static void setup(void)
{
    weir_arena_init(&a);
}

static void teardown(void)
{
    weir_arena_reset(&a);
    ck_assert_uint_eq(a.bytes_total, 0);
}

START_TEST(test_owns_nothing_until_it_must)
{
    bool failed;
    failmalloc_begin(0);
    struct weir_arena fresh = {0};
    weir_arena_reset(&fresh);
    ck_assert_int_eq(failmalloc_end(&failed), 0);
    ck_assert_uint_eq(fresh.bytes_total, 0);
}
END_TEST

START_TEST(test_blocks_do_not_overlap_and_are_aligned)
{
    enum { COUNT = 500 };
    static char *p[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        size_t n = i % 97;
        p[i] = i % 3 == 0 ? weir_arena_bytes(&a, n) : weir_arena_alloc(&a, n);
        ck_assert_ptr_nonnull(p[i]);
        if (i % 3 != 0)
            ck_assert_uint_eq((uintptr_t)p[i] % alignof(max_align_t), 0);
        memset(p[i], (int)i, n);
    }
    for (size_t i = 0; i < COUNT; i++)
        for (size_t k = 0; k < i % 97; k++)
            ck_assert_int_eq((unsigned char)p[i][k], (unsigned char)i);
}
END_TEST

START_TEST(test_first_block_is_small_and_big_ones_are_as_big_as_asked)
{
    ck_assert_ptr_nonnull(weir_arena_bytes(&a, 10));
#ifndef WEIR_ARENA_MALLOC
    ck_assert_uint_eq(a.bytes_total, WEIR_ARENA_BLOCK_MIN);
#endif
    char *big = weir_arena_bytes(&a, 5 * WEIR_ARENA_BLOCK_MAX);
    ck_assert_ptr_nonnull(big);
    memset(big, 1, 5 * WEIR_ARENA_BLOCK_MAX);
    ck_assert_uint_ge(a.bytes_total, 5 * WEIR_ARENA_BLOCK_MAX);
    ck_assert_uint_le(a.bytes_total, 6 * WEIR_ARENA_BLOCK_MAX);
}
END_TEST

START_TEST(test_sizes_that_cannot_be)
{
    ck_assert_ptr_null(weir_arena_bytes(&a, SIZE_MAX));
    ck_assert_ptr_null(weir_arena_alloc(&a, SIZE_MAX - 8));
    ck_assert_ptr_nonnull(weir_arena_alloc(&a, 8));
}
END_TEST

START_TEST(test_text)
{
    struct weir_str parts[3] = {WEIR_STR("a"), {NULL, 0}, WEIR_STR("bc")};
    struct weir_str joined = weir_arena_join(&a, parts, 3);
    ck_assert_uint_eq(joined.len, 3);
    ck_assert_str_eq(joined.ptr, "abc");
    struct weir_str copy = weir_arena_dup(&a, joined);
    ck_assert_str_eq(copy.ptr, "abc");
    ck_assert_ptr_ne(copy.ptr, joined.ptr);
    ck_assert_str_eq(weir_arena_dup(&a, (struct weir_str){NULL, 0}).ptr, "");
}
END_TEST

START_TEST(test_reset_frees_and_starts_again)
{
    bool failed;
    failmalloc_begin(0);
    for (int i = 0; i < 100; i++)
        (void)weir_arena_alloc(&a, 1000);
    weir_arena_reset(&a);
    ck_assert_int_eq(failmalloc_end(&failed), 0);
    ck_assert_ptr_nonnull(weir_arena_alloc(&a, 8));
}
END_TEST

/* Whatever fails, the arena stays whole: what was taken before can be read, and reset frees all. */
START_TEST(test_out_of_memory)
{
    bool failed = true;
    for (unsigned long n = 1; failed; n++) {
        unsigned got = 0;
        failmalloc_begin(n);
        struct weir_str text = weir_arena_dup(&a, WEIR_STR("kept"));
        for (int i = 0; i < 50; i++)
            got += weir_arena_alloc(&a, 700) != NULL;
        bool kept = text.ptr == NULL || memcmp(text.ptr, "kept", 5) == 0;
        weir_arena_reset(&a);
        long left = failmalloc_end(&failed);
        ck_assert(kept);
        ck_assert_uint_eq(got + (text.ptr != NULL), failed ? 50 : 51);
        ck_assert_int_eq(left, 0);
    }
}
END_TEST

CHECK_MAIN("arena", setup, teardown, test_owns_nothing_until_it_must, test_blocks_do_not_overlap_and_are_aligned,
           test_first_block_is_small_and_big_ones_are_as_big_as_asked, test_sizes_that_cannot_be, test_text,
           test_reset_frees_and_starts_again, test_out_of_memory)
