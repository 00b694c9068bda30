/* Where each value of a configuration came from: the member's address in the model -> line and layer. */
#ifndef WEIR_CORE_CONFIG_ORIGIN_H
#define WEIR_CORE_CONFIG_ORIGIN_H

#include <jansson.h>

#include "core/config.h"
#include "core/ptrmap.h"

enum weir_config_layer { WEIR_CONFIG_LAYER_FILE, WEIR_CONFIG_LAYER_OVERLAY };

struct weir_config_origin {
    enum weir_config_layer layer;
    uint32_t line;
    const char *path;   /* as written, in the configuration's arena */
    const json_t *node; /* valid while parsing only */
};

struct weir_config_origins {
    struct weir_ptrmap index;
    struct weir_config_origin *at;
    size_t count, cap;
};

/* A section stands at the same address as its first member, so sections are kept apart. False: out of memory. */
WEIR_MUST_USE bool weir_config_origin_set(struct weir_config_origins *o, const void *member, bool section,
                                          struct weir_config_origin origin);
/* NULL: the member has its default. */
const struct weir_config_origin *weir_config_origin_of(const struct weir_config *c, const void *member);
const struct weir_config_origin *weir_config_origin_of_section(const struct weir_config *c, const void *section);
void weir_config_origins_free(struct weir_config_origins **o);

#endif
