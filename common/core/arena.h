/* Memory that is freed all at once: one arena per request. Not for threads to share. */
#ifndef WEIR_CORE_ARENA_H
#define WEIR_CORE_ARENA_H

#include <stddef.h>

#include "core/str.h"

/* A request head as an SDK sends it fits into the first block; later blocks double up to the cap. */
#define WEIR_ARENA_BLOCK_MIN ((size_t)1024)
#define WEIR_ARENA_BLOCK_MAX ((size_t)32768)

struct weir_arena_block;

struct weir_arena {
    struct weir_arena_block *head;
    char *at;           /* next free byte of the newest block */
    char *end;          /* one past its last */
    size_t bytes_total; /* taken from the heap, headers of blocks included */
};

/* An empty arena: owns nothing until the first allocation. All zero bytes is an empty arena too. */
void weir_arena_init(struct weir_arena *a);

/* Frees every block; the arena is empty afterwards and may be used again. */
void weir_arena_reset(struct weir_arena *a);

/* n bytes aligned for any type, not cleared; NULL when out of memory. */
void *weir_arena_alloc(struct weir_arena *a, size_t n);

/* n bytes without alignment, for text. */
char *weir_arena_bytes(struct weir_arena *a, size_t n);

/* Copies into the arena, with a terminating NUL that len does not count. ptr is NULL when out of memory. */
struct weir_str weir_arena_dup(struct weir_arena *a, struct weir_str s);

/* Joins n slices into one, NUL-terminated. ptr is NULL when out of memory. */
struct weir_str weir_arena_join(struct weir_arena *a, const struct weir_str *parts, size_t n);

#endif
