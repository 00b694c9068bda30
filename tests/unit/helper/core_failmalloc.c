#include "helper/core_failmalloc.h"

#include <stdatomic.h>
#include <stddef.h>

#include "check_main.h"

void *__real_malloc(size_t n);
void *__real_calloc(size_t count, size_t n);
void *__real_realloc(void *p, size_t n);
void *__real_aligned_alloc(size_t alignment, size_t n);
void __real_free(void *p);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t count, size_t n);
void *__wrap_realloc(void *p, size_t n);
void *__wrap_aligned_alloc(size_t alignment, size_t n);
void __wrap_free(void *p);

static atomic_bool counting;
static atomic_ulong countdown; /* 0: off */
static atomic_bool hit;
static atomic_long live;

void failmalloc_begin(unsigned long n)
{
    atomic_store(&hit, false);
    atomic_store(&live, 0);
    atomic_store(&countdown, n);
    atomic_store(&counting, true);
}

unsigned long failmalloc_next(unsigned long n)
{
    return n < 100 ? n + 1 : n + 100 / check_rounds(100);
}

long failmalloc_end(bool *failed)
{
    atomic_store(&counting, false);
    *failed = atomic_load(&hit);
    return atomic_load(&live);
}

static bool must_fail(void)
{
    if (!atomic_load(&counting))
        return false;
    unsigned long n = atomic_load(&countdown);
    while (n > 0 && !atomic_compare_exchange_weak(&countdown, &n, n - 1))
        ;
    if (n == 1)
        atomic_store(&hit, true);
    return n == 1;
}

static void *counted(void *p)
{
    if (p != NULL && atomic_load(&counting))
        atomic_fetch_add(&live, 1);
    return p;
}

void *__wrap_malloc(size_t n)
{
    return must_fail() ? NULL : counted(__real_malloc(n));
}

void *__wrap_calloc(size_t count, size_t n)
{
    return must_fail() ? NULL : counted(__real_calloc(count, n));
}

void *__wrap_realloc(void *p, size_t n)
{
    if (must_fail())
        return NULL;
    return p == NULL ? counted(__real_realloc(p, n)) : __real_realloc(p, n);
}

void *__wrap_aligned_alloc(size_t alignment, size_t n)
{
    return must_fail() ? NULL : counted(__real_aligned_alloc(alignment, n));
}

void __wrap_free(void *p)
{
    if (p != NULL && atomic_load(&counting))
        atomic_fetch_sub(&live, 1);
    __real_free(p);
}
