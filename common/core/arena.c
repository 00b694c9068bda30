#include "core/arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>

struct weir_arena_block {
    struct weir_arena_block *next;
    size_t size;
    alignas(max_align_t) char bytes[];
};

void weir_arena_init(struct weir_arena *a)
{
    *a = (struct weir_arena){0};
}

void weir_arena_reset(struct weir_arena *a)
{
    struct weir_arena_block *block = a->head;
    while (block != NULL) {
        struct weir_arena_block *next = block->next;
        free(block);
        block = next;
    }
    weir_arena_init(a);
}

/* The heap sees whole powers of two: block header and bytes together. */
static size_t block_size_for(const struct weir_arena *a, size_t n)
{
#ifdef WEIR_ARENA_MALLOC
    (void)a;
    return n;
#else
    size_t whole = a->head != NULL ? 2 * (a->head->size + sizeof *a->head) : WEIR_ARENA_BLOCK_MIN;
    if (whole > WEIR_ARENA_BLOCK_MAX)
        whole = WEIR_ARENA_BLOCK_MAX;
    size_t size = whole - sizeof(struct weir_arena_block);
    return n > size ? n : size;
#endif
}

static bool grow(struct weir_arena *a, size_t n)
{
    if (n > SIZE_MAX / 2)
        return false;
    size_t size = block_size_for(a, n);
    struct weir_arena_block *block = malloc(sizeof *block + size);
    if (block == NULL)
        return false;
    block->next = a->head;
    block->size = size;
    a->head = block;
    a->at = block->bytes;
    a->end = block->bytes + size;
    a->bytes_total += sizeof *block + size;
    return true;
}

char *weir_arena_bytes(struct weir_arena *a, size_t n)
{
#ifdef WEIR_ARENA_MALLOC
    bool fits = false;
#else
    bool fits = (size_t)(a->end - a->at) >= n && a->head != NULL;
#endif
    if (!fits && !grow(a, n))
        return NULL;
    char *p = a->at;
    a->at += n;
    return p;
}

void *weir_arena_alloc(struct weir_arena *a, size_t n)
{
    const uintptr_t mask = alignof(max_align_t) - 1;
    size_t pad = (size_t)(-(uintptr_t)a->at & mask);
    if (a->head != NULL && (size_t)(a->end - a->at) >= pad)
        a->at += pad;
    else
        a->at = a->end;
    return weir_arena_bytes(a, n > 0 ? n : 1);
}

struct weir_str weir_arena_join(struct weir_arena *a, const struct weir_str *parts, size_t n)
{
    size_t len = 0;
    for (size_t i = 0; i < n; i++)
        len += parts[i].len;
    char *p = weir_arena_bytes(a, len + 1);
    if (p == NULL)
        return (struct weir_str){NULL, 0};
    char *at = p;
    for (size_t i = 0; i < n; i++) {
        if (parts[i].len > 0)
            memcpy(at, parts[i].ptr, parts[i].len);
        at += parts[i].len;
    }
    *at = '\0';
    return (struct weir_str){p, len};
}

struct weir_str weir_arena_dup(struct weir_arena *a, struct weir_str s)
{
    return weir_arena_join(a, &s, 1);
}
