/* What every kind of store begins with, for store/store.c, store/memory.c and store/redis_store.c. */
#ifndef WEIR_STORE_STORE_IMPL_H
#define WEIR_STORE_STORE_IMPL_H

#include "store/store.h"

struct weir_store_ops {
    void (*submit)(struct weir_store *s, const struct weir_coord_request *request);
    const char *(*server)(const struct weir_store *s);
    void (*close)(struct weir_store *s);
};

struct weir_store {
    const struct weir_store_ops *ops;
    const struct weir_store_events *events;
    void *owner;
};

/* Whether one more is taken, with so many under way. */
static inline bool weir_store_has_room(enum weir_coord_op op, unsigned under_way)
{
    bool told = op == WEIR_COORD_CHECKED || op == WEIR_COORD_EVENT;
    return under_way < (told ? WEIR_STORE_TELLINGS_MAX : WEIR_STORE_CALLS_MAX);
}

#endif
