/* Fails the n-th allocation of the code under test, and counts the blocks it leaves behind. The linker sends every
 * malloc, calloc, realloc, aligned_alloc and free here (--wrap) but those of shared libraries. Check allocates too:
 * call none of its macros between begin and end.
 *
 *     bool more = true;
 *     for (unsigned long n = 1; more; n = failmalloc_next(n)) {
 *         failmalloc_begin(n);
 *         int rv = code_under_test(); ... and what frees everything again
 *         long left = failmalloc_end(&more);
 *         ck_assert_int_eq(left, 0);
 *     } */
#ifndef WEIR_TESTS_HELPER_CORE_FAILMALLOC_H
#define WEIR_TESTS_HELPER_CORE_FAILMALLOC_H

#include <stdbool.h>

/* The n-th allocation from now on fails, 1 being the next, and only that one; 0: none does. */
void failmalloc_begin(unsigned long n);
/* The n for the round after: the next one, or when check_rounds wants fewer, of those behind the first hundred some. */
unsigned long failmalloc_next(unsigned long n);
/* Blocks allocated less blocks freed since begin; *failed: whether it came to the n-th allocation. */
long failmalloc_end(bool *failed);

#endif
