#include "store/redis_take.h"

#include "core/coord.h"
#include "store/pairs.h"

struct weir_taker weir_take_from(const struct weir_redis_reply *array, struct weir_arena *a)
{
    if (array->type != WEIR_REDIS_ARRAY)
        return (struct weir_taker){.arena = a, .failed = true};
    return (struct weir_taker){array->element, array->count, a, false, false};
}

const struct weir_redis_reply *weir_take(struct weir_taker *t, enum weir_redis_type type)
{
    if (t->failed || t->left == 0 || t->at->type != type) {
        t->failed = true;
        return NULL;
    }
    t->left--;
    return t->at++;
}

uint64_t weir_take_number(struct weir_taker *t, uint64_t max)
{
    const struct weir_redis_reply *r = weir_take(t, WEIR_REDIS_INTEGER);
    if (r != NULL && r->integer >= 0 && (uint64_t)r->integer <= max)
        return (uint64_t)r->integer;
    t->failed = true;
    return 0;
}

uint32_t weir_take_u32(struct weir_taker *t)
{
    return (uint32_t)weir_take_number(t, UINT32_MAX);
}

uint64_t weir_take_u64(struct weir_taker *t)
{
    return weir_take_number(t, WEIR_STORE_NUMBER_MAX);
}

struct weir_str weir_take_str(struct weir_taker *t, size_t max)
{
    const struct weir_redis_reply *r = weir_take(t, WEIR_REDIS_STRING);
    if (r != NULL && r->str.len <= max && (r->str.len == 0 || memchr(r->str.ptr, '\0', r->str.len) == NULL))
        return r->str;
    t->failed = true;
    return WEIR_STR("");
}

const char *weir_take_keep(struct weir_taker *t, struct weir_str s)
{
    const char *copy = weir_arena_dup(t->arena, s).ptr;
    t->no_memory = t->no_memory || copy == NULL;
    return copy != NULL ? copy : "";
}

const char *weir_take_id(struct weir_taker *t)
{
    struct weir_str s = weir_take_str(t, WEIR_NODE_ID_MAX);
    if (s.len > 0 && !weir_coord_id_valid(s))
        t->failed = true;
    return weir_take_keep(t, s);
}

void *weir_take_list(struct weir_taker *t, size_t each, size_t max, size_t size)
{
    if (t->left % each != 0 || t->left / each > max) {
        t->failed = true;
        return NULL;
    }
    void *list = weir_arena_alloc(t->arena, t->left / each * size + 1);
    t->no_memory = t->no_memory || list == NULL;
    return list;
}
