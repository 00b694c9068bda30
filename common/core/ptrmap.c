#include "core/ptrmap.h"

#include <assert.h>
#include <stdlib.h>

/* At most three quarters full, so a probe ends soon; the least size holds a small file's nodes. */
#define CAP_MIN ((size_t)256)

void weir_ptrmap_reset(struct weir_ptrmap *m)
{
    free(m->slots);
    *m = (struct weir_ptrmap){0};
}

static struct weir_ptrmap_slot *slot_of(struct weir_ptrmap_slot *slots, size_t cap, uintptr_t key)
{
    /* Fibonacci hashing: addresses differ in their middle bits, and the product's high bits depend on all of them. */
    size_t at = (size_t)(((uint64_t)key * UINT64_C(0x9E3779B97F4A7C15)) >> 32) & (cap - 1);
    while (slots[at].key != 0 && slots[at].key != key)
        at = (at + 1) & (cap - 1);
    return &slots[at];
}

static bool grow(struct weir_ptrmap *m)
{
    size_t cap = m->cap == 0 ? CAP_MIN : m->cap * 2;
    struct weir_ptrmap_slot *slots = calloc(cap, sizeof *slots);
    if (slots == NULL)
        return false;
    for (size_t i = 0; i < m->cap; i++)
        if (m->slots[i].key != 0)
            *slot_of(slots, cap, m->slots[i].key) = m->slots[i];
    free(m->slots);
    m->slots = slots;
    m->cap = cap;
    return true;
}

bool weir_ptrmap_set(struct weir_ptrmap *m, uintptr_t key, uint32_t value)
{
    assert(key != 0);
    if (m->count >= m->cap / 4 * 3 && !grow(m))
        return false;
    struct weir_ptrmap_slot *slot = slot_of(m->slots, m->cap, key);
    m->count += slot->key == 0;
    *slot = (struct weir_ptrmap_slot){key, value};
    return true;
}

bool weir_ptrmap_get(const struct weir_ptrmap *m, uintptr_t key, uint32_t *value)
{
    if (m->cap == 0 || key == 0)
        return false;
    const struct weir_ptrmap_slot *slot = slot_of(m->slots, m->cap, key);
    if (slot->key == 0)
        return false;
    *value = slot->value;
    return true;
}
