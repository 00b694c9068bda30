#include "core/config_origin.h"

#include <stdlib.h>

/* No address in user space has the highest bit on the platforms of this project. */
#define SECTION_BIT ((uintptr_t)1 << (sizeof(uintptr_t) * 8 - 1))

bool weir_config_origin_set(struct weir_config_origins *o, const void *member, bool section,
                            struct weir_config_origin origin)
{
    uintptr_t key = (uintptr_t)member | (section ? SECTION_BIT : 0);
    uint32_t i;
    if (weir_ptrmap_get(&o->index, key, &i)) {
        o->at[i] = origin;
        return true;
    }
    if (o->count == o->cap) {
        size_t cap = o->cap == 0 ? 64 : o->cap * 2;
        struct weir_config_origin *at = realloc(o->at, cap * sizeof *at);
        if (at == NULL)
            return false;
        o->at = at;
        o->cap = cap;
    }
    if (!weir_ptrmap_set(&o->index, key, (uint32_t)o->count))
        return false;
    o->at[o->count++] = origin;
    return true;
}

static const struct weir_config_origin *find(const struct weir_config *c, uintptr_t key)
{
    uint32_t i;
    return weir_ptrmap_get(&c->origins->index, key, &i) ? &c->origins->at[i] : NULL;
}

const struct weir_config_origin *weir_config_origin_of(const struct weir_config *c, const void *member)
{
    return find(c, (uintptr_t)member);
}

const struct weir_config_origin *weir_config_origin_of_section(const struct weir_config *c, const void *section)
{
    return find(c, (uintptr_t)section | SECTION_BIT);
}

void weir_config_origins_free(struct weir_config_origins **o)
{
    if (*o == NULL)
        return;
    weir_ptrmap_reset(&(*o)->index);
    free((*o)->at);
    free(*o);
    *o = NULL;
}
