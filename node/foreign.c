#include "node/foreign.h"

#include <stdlib.h>
#include <string.h>

static const char *put(char **to, const char *text)
{
    const char *at = *to;
    size_t n = strlen(text) + 1;
    memcpy(*to, text, n);
    *to += n;
    return at;
}

const struct weir_view_endpoint *weir_foreign_new(const struct weir_view_provider *p,
                                                  const struct weir_config_endpoint *origin)
{
    size_t text = strlen(origin->id) + strlen(origin->host) + strlen(origin->authority) + 3;
    struct weir_foreign *f = malloc(sizeof *f + text);
    if (f == NULL)
        return NULL;
    char *to = f->text;
    f->config = (struct weir_config_endpoint){
        .path_prefix = "", .port = origin->port, .tls = origin->tls, .weight = 1, .id = put(&to, origin->id)};
    f->config.url = f->config.id;
    f->config.host = put(&to, origin->host);
    f->config.authority = put(&to, origin->authority);
    f->at = (struct weir_view_endpoint){.config = &f->config, .provider = p};
    f->at.rt = weir_endpoint_new_foreign(p->rt, f->config.id, f);
    if (f->at.rt != NULL)
        return &f->at;
    free(f);
    return NULL;
}
