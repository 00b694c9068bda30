/* YAML bytes as a jansson tree: mappings are objects, sequences arrays, and every scalar is a string just as it is
 * written, since only the schema knows what it ought to be. What jansson has no place for, the line and the quotes, is
 * kept aside. */
#ifndef WEIR_CORE_CONFIG_TREE_H
#define WEIR_CORE_CONFIG_TREE_H

#include <jansson.h>

#include "core/config.h"
#include "core/ptrmap.h"

struct weir_config_mark {
    uint32_t line; /* of the key for a mapping's member, else of the node itself */
    bool quoted;   /* in quotes, or a block: text whatever it looks like */
    bool null;     /* nothing, ~ or null */
    bool open;     /* while parsing: its end has not come yet */
};

struct weir_config_tree {
    json_t *root; /* an object */
    struct weir_ptrmap index;
    struct weir_config_mark *marks;
    size_t mark_count, mark_cap;
};

/* Parses one document; an empty one is an empty mapping. Repeated keys are reported and the first one kept, and so is
 * all else that does not end the parsing. False: there is no tree (a YAML error, an alias bomb, or out of memory: then
 * problems->out_of_memory is set); tree may be reset either way. */
WEIR_MUST_USE bool weir_config_tree_parse(struct weir_config_tree *tree, const char *file, const char *bytes,
                                          size_t len, struct weir_config_problems *problems);
void weir_config_tree_reset(struct weir_config_tree *tree);
/* What is known of a node of the tree. */
struct weir_config_mark weir_config_tree_mark(const struct weir_config_tree *tree, const json_t *node);

#endif
