/* A map from an address to a small number, for what is known about an object aside from it. Grows; never shrinks. */
#ifndef WEIR_CORE_PTRMAP_H
#define WEIR_CORE_PTRMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/err.h"

struct weir_ptrmap_slot {
    uintptr_t key; /* 0: free */
    uint32_t value;
};

/* All zero is an empty map. */
struct weir_ptrmap {
    struct weir_ptrmap_slot *slots;
    size_t count, cap;
};

/* Frees what the map holds; it is empty afterwards. */
void weir_ptrmap_reset(struct weir_ptrmap *m);
/* Sets or replaces. key is not 0. False: out of memory, the map is as it was. */
WEIR_MUST_USE bool weir_ptrmap_set(struct weir_ptrmap *m, uintptr_t key, uint32_t value);
/* False when there is no such key. */
bool weir_ptrmap_get(const struct weir_ptrmap *m, uintptr_t key, uint32_t *value);

#endif
