#include "store/store_impl.h"

void weir_store_submit(struct weir_store *s, const struct weir_coord_request *request)
{
    s->ops->submit(s, request);
}

const char *weir_store_server(const struct weir_store *s)
{
    return s->ops->server(s);
}

void weir_store_close(struct weir_store **s)
{
    struct weir_store *store = *s;
    if (store == NULL)
        return;
    *s = NULL;
    store->ops->close(store);
}
