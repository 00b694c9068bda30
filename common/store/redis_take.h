/* The elements of a script's answer, taken one after another, each checked; whoever takes looks once at the end whether
 * all were what was expected. Texts and lists are in the arena. */
#ifndef WEIR_STORE_REDIS_TAKE_H
#define WEIR_STORE_REDIS_TAKE_H

#include "core/arena.h"
#include "store/redis_reply.h"

/* Each taking fails for good once one has, and gives 0, "" or NULL from then on. */
struct weir_taker {
    const struct weir_redis_reply *at;
    size_t left;
    struct weir_arena *arena;
    bool failed; /* not what was expected */
    bool no_memory;
};

/* Of an array; fails at once on anything else. */
struct weir_taker weir_take_from(const struct weir_redis_reply *array, struct weir_arena *a);

const struct weir_redis_reply *weir_take(struct weir_taker *t, enum weir_redis_type type);
uint64_t weir_take_number(struct weir_taker *t, uint64_t max);
uint32_t weir_take_u32(struct weir_taker *t);
uint64_t weir_take_u64(struct weir_taker *t); /* up to WEIR_STORE_NUMBER_MAX */
/* Without NUL, at most max bytes; the reply's own. */
struct weir_str weir_take_str(struct weir_taker *t, size_t max);
/* A node's id, or "". */
const char *weir_take_id(struct weir_taker *t);

/* A copy; "" where memory is short. */
const char *weir_take_keep(struct weir_taker *t, struct weir_str s);
/* Room for as many elements of `size` bytes as are left in groups of `each`; fails with NULL where a group is not whole
 * or there are more than max. */
void *weir_take_list(struct weir_taker *t, size_t each, size_t max, size_t size);

#endif
