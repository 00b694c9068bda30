/* Lays one layer of the tree over the model, by the schema table. */
#ifndef WEIR_CORE_CONFIG_READ_H
#define WEIR_CORE_CONFIG_READ_H

#include "core/config_origin.h"
#include "core/config_path.h"
#include "core/config_schema.h"
#include "core/config_tree.h"

struct weir_config_reader {
    struct weir_config *c;
    const struct weir_config_input *in;
    struct weir_config_problems *problems;
    const struct weir_config_tree *tree;
    enum weir_config_layer layer;
    bool rehearsal; /* an overlay not chosen: checked, but the environment is not asked and nothing is said to lack
                       effect */
    size_t expanded_bytes; /* so far, of texts with variables */
    unsigned muted;        /* inside this many sections that already said they have no effect */
    struct weir_config_path path;
};

/* Fills in the defaults of a section whose struct is all zero. False: out of memory. */
WEIR_MUST_USE bool weir_config_defaults(struct weir_config *c, const struct weir_config_section *s, void *base);
/* Every key of the node goes to its member, or is reported. Providers are left out: they need http_client complete. */
void weir_config_read_section(struct weir_config_reader *r, const struct weir_config_section *s, void *base,
                              json_t *node);
/* A list's member: TEXTS, STATUSES, NETS, PAIRS, LISTENS, LIST. (config_read_list.c) */
void weir_config_read_list(struct weir_config_reader *r, const struct weir_config_field *f, void *base, json_t *node);
/* The default of such a member, from words separated by spaces. False: out of memory. */
WEIR_MUST_USE bool weir_config_list_default(struct weir_config *c, const struct weir_config_field *f, void *member);

/* -- for the readers among themselves -- */

/* Reports a problem with the node at the current path. */
void weir_config_fail(struct weir_config_reader *r, const json_t *node, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void weir_config_no_memory(struct weir_config_reader *r);
/* Whether the node may set the member: not when another key of this layer has set it otherwise. value: what it is about
 * to become, or NULL to compare as written. Records the origin. */
WEIR_MUST_USE bool weir_config_claim(struct weir_config_reader *r, const struct weir_config_field *f,
                                     const void *member, const void *value, const json_t *node);
/* The scalar's text in the arena, variables filled in. NULL: not a scalar, a variable is missing, or (in a rehearsal)
 * not known; reported where there is something to report. */
const char *weir_config_read_text(struct weir_config_reader *r, const struct weir_config_field *f, const json_t *node);
/* Runs the field's check on a text; reports without showing a secret. */
WEIR_MUST_USE bool weir_config_text_passes(struct weir_config_reader *r, const struct weir_config_field *f,
                                           const char *text, const json_t *node);

#endif
