/* What remains once every layer is laid: providers, values derived from others, references, and checks across keys. */
#ifndef WEIR_CORE_CONFIG_FINISH_H
#define WEIR_CORE_CONFIG_FINISH_H

#include "core/config_read.h"

/* A layer's mapping of providers; node NULL: it has none. */
struct weir_config_provider_layer {
    enum weir_config_layer layer;
    json_t *node;
    const char *prefix; /* the overlay's name, or "" */
};

/* Builds the providers from http_client, complete by now, and the layers in their order. */
void weir_config_providers_read(struct weir_config_reader *r, const struct weir_config_provider_layer *layers,
                                size_t count);
/* Checks a mapping of providers that no one will use (an overlay not chosen). */
void weir_config_providers_rehearse(struct weir_config_reader *r, json_t *node);
/* Defaults, derived values and checks of the providers. (config_provider.c) */
void weir_config_providers_finish(struct weir_config_reader *r);
/* The same for one http_client or provider: path is what its keys begin with. (config_provider.c) */
void weir_config_http_finish(struct weir_config_reader *r, struct weir_config_http *http, const char *path);
/* Everything, providers included. */
void weir_config_finish(struct weir_config_reader *r);

/* Reports on a key at a line; for stages that no longer walk the tree. */
void weir_config_report(struct weir_config_reader *r, enum weir_config_level level, uint32_t line, const char *key,
                        const char *fmt, ...) __attribute__((format(printf, 5, 6)));

#endif
