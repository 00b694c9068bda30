#include "core/fields.h"

#include <assert.h>

/* Heads of SDKs carry about this many fields; the next size doubles. */
#define FIELDS_FIRST 16

#define FIELD_NAME(id, name) [WEIR_FIELD_##id] = {name, sizeof(name) - 1},
static const struct weir_str names[WEIR_FIELD_COUNT] = {WEIR_FIELD_MAP(FIELD_NAME)};
#undef FIELD_NAME

static enum weir_field_id confirm(struct weir_str name, enum weir_field_id id)
{
    return memcmp(name.ptr, names[id].ptr, name.len) == 0 ? id : WEIR_FIELD_OTHER;
}

/* Length and one telling character leave one candidate, so a name costs one comparison at most. */
enum weir_field_id weir_field_id_of(struct weir_str name)
{
    const char *p = name.ptr;
    switch (name.len) {
    case 2:
        return confirm(name, WEIR_FIELD_TE);
    case 3:
        return confirm(name, WEIR_FIELD_VIA);
    case 4:
        return confirm(name, p[0] == 'h' ? WEIR_FIELD_HOST : WEIR_FIELD_DATE);
    case 6:
        return confirm(name, p[0] == 'c' ? WEIR_FIELD_COOKIE : p[0] == 'e' ? WEIR_FIELD_EXPECT : WEIR_FIELD_SERVER);
    case 7:
        return confirm(name, p[0] == 't' ? WEIR_FIELD_TRAILER : WEIR_FIELD_UPGRADE);
    case 8:
        return confirm(name, WEIR_FIELD_LOCATION);
    case 9:
        return confirm(name, p[0] == 'f' ? WEIR_FIELD_FORWARDED : WEIR_FIELD_X_API_KEY);
    case 10:
        return confirm(name, p[0] == 'c' ? WEIR_FIELD_CONNECTION : WEIR_FIELD_KEEP_ALIVE);
    case 11:
        return confirm(name, p[0] == 'r' ? WEIR_FIELD_RETRY_AFTER : WEIR_FIELD_TRACEPARENT);
    case 12:
        return confirm(name, p[0] == 'c' ? WEIR_FIELD_CONTENT_TYPE : WEIR_FIELD_X_REQUEST_ID);
    case 13:
        return confirm(name, p[0] == 'a' ? WEIR_FIELD_AUTHORIZATION : WEIR_FIELD_CACHE_CONTROL);
    case 14:
        return confirm(name, WEIR_FIELD_CONTENT_LENGTH);
    case 15:
        return confirm(name, p[0] == 'a' ? WEIR_FIELD_ACCEPT_ENCODING : WEIR_FIELD_X_FORWARDED_FOR);
    case 16:
        return confirm(name, p[0] == 'c' ? WEIR_FIELD_CONTENT_ENCODING : WEIR_FIELD_PROXY_CONNECTION);
    case 17:
        return confirm(name, p[0] == 't' ? WEIR_FIELD_TRANSFER_ENCODING : WEIR_FIELD_X_FORWARDED_PROTO);
    case 18:
        return confirm(name, WEIR_FIELD_PROXY_AUTHENTICATE);
    case 19:
        return confirm(name, WEIR_FIELD_PROXY_AUTHORIZATION);
    default:
        return WEIR_FIELD_OTHER;
    }
}

struct weir_str weir_field_name(enum weir_field_id id)
{
    assert(id > WEIR_FIELD_OTHER && id < WEIR_FIELD_COUNT);
    return names[id];
}

static bool grow(struct weir_fields *f, struct weir_arena *a)
{
    size_t cap = f->cap == 0 ? FIELDS_FIRST : 2 * f->cap;
    struct weir_field *at = weir_arena_alloc(a, cap * sizeof *at);
    if (at == NULL)
        return false;
    if (f->count > 0)
        memcpy(at, f->at, f->count * sizeof *at);
    f->at = at;
    f->cap = cap;
    return true;
}

static bool append(struct weir_fields *f, struct weir_arena *a, const struct weir_field *field)
{
    if (f->count == f->cap && !grow(f, a))
        return false;
    f->at[f->count++] = *field;
    return true;
}

bool weir_fields_add(struct weir_fields *f, struct weir_arena *a, struct weir_str name, struct weir_str value)
{
    return append(f, a, &(struct weir_field){name, value, weir_field_id_of(name)});
}

bool weir_fields_add_id(struct weir_fields *f, struct weir_arena *a, enum weir_field_id id, struct weir_str value)
{
    return append(f, a, &(struct weir_field){weir_field_name(id), value, id});
}

bool weir_fields_copy(struct weir_fields *to, struct weir_arena *a, const struct weir_fields *from)
{
    for (size_t i = 0; i < from->count; i++) {
        const struct weir_field *field = &from->at[i];
        struct weir_str value = weir_arena_dup(a, field->value);
        struct weir_str name = field->id == WEIR_FIELD_OTHER ? weir_arena_dup(a, field->name) : field->name;
        if (value.ptr == NULL || name.ptr == NULL || !weir_fields_add(to, a, name, value))
            return false;
    }
    return true;
}

bool weir_fields_set(struct weir_fields *f, struct weir_arena *a, enum weir_field_id id, struct weir_str value)
{
    size_t kept = 0;
    bool placed = false;
    for (size_t i = 0; i < f->count; i++) {
        if (f->at[i].id == id) {
            if (placed)
                continue;
            f->at[i].value = value;
            placed = true;
        }
        f->at[kept++] = f->at[i];
    }
    f->count = kept;
    return placed || weir_fields_add_id(f, a, id, value);
}

const struct weir_field *weir_fields_get(const struct weir_fields *f, enum weir_field_id id)
{
    for (size_t i = 0; i < f->count; i++)
        if (f->at[i].id == id)
            return &f->at[i];
    return NULL;
}

const struct weir_field *weir_fields_find(const struct weir_fields *f, struct weir_str name)
{
    for (size_t i = 0; i < f->count; i++)
        if (weir_str_eq(f->at[i].name, name))
            return &f->at[i];
    return NULL;
}

size_t weir_fields_drop(struct weir_fields *f, enum weir_field_id id)
{
    size_t kept = 0, count = f->count;
    for (size_t i = 0; i < count; i++)
        if (f->at[i].id != id)
            f->at[kept++] = f->at[i];
    f->count = kept;
    return count - kept;
}

size_t weir_fields_drop_name(struct weir_fields *f, struct weir_str name)
{
    size_t kept = 0, count = f->count;
    for (size_t i = 0; i < count; i++)
        if (!weir_str_eq(f->at[i].name, name))
            f->at[kept++] = f->at[i];
    f->count = kept;
    return count - kept;
}
