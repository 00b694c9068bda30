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

#endif
