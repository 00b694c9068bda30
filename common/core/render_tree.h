/* Building JSON answers. It fails as a whole: jansson's setters take a NULL value (a failed allocation) and say so, and
 * the sum of what they said is looked at once, when the text is made. Internal to the renderers. */
#ifndef WEIR_CORE_RENDER_TREE_H
#define WEIR_CORE_RENDER_TREE_H

#include <jansson.h>
#include <stdbool.h>

#include "core/snapshot.h"
#include "core/textbuf.h"

struct weir_tree {
    json_t *root;
    int failed;
};

void weir_tree_begin(struct weir_tree *t);
/* Adds the text to `out` and frees the tree. indent 0: one line. Errors: WEIR_ENOMEM. */
int weir_tree_finish(struct weir_tree *t, struct weir_textbuf *out, unsigned indent);

/* Takes value over, whatever comes of it. */
void weir_tree_set(struct weir_tree *t, json_t *object, const char *key, json_t *value);
/* A new object at key; NULL when that failed, and what is set in it then fails too. */
json_t *weir_tree_child(struct weir_tree *t, json_t *object, const char *key);
/* The same for an array, and for an object at an array's end. */
json_t *weir_tree_array(struct weir_tree *t, json_t *object, const char *key);
json_t *weir_tree_element(struct weir_tree *t, json_t *array);

void weir_tree_u64(struct weir_tree *t, json_t *object, const char *key, uint64_t v);
/* null for what is no number. */
void weir_tree_real(struct weir_tree *t, json_t *object, const char *key, double v);
/* Microseconds as milliseconds. */
void weir_tree_ms(struct weir_tree *t, json_t *object, const char *key, double us);
void weir_tree_bool(struct weir_tree *t, json_t *object, const char *key, bool v);
/* null for NULL. */
void weir_tree_text(struct weir_tree *t, json_t *object, const char *key, const char *text);
/* RFC 3339; null for 0. */
void weir_tree_time(struct weir_tree *t, json_t *object, const char *key, uint64_t unix_ms);
void weir_tree_health(struct weir_tree *t, json_t *object, enum weir_health h);
/* "settings": those keys of the provider's configuration that shape its pool, its clocks and what becomes of failures,
 * as the file has them or by default, in seconds and bytes. Load scaling, tuning and pool_sharding move what is in
 * force. Nothing in it is secret. */
void weir_tree_settings(struct weir_tree *t, json_t *object, const struct weir_config_http *http);
/* timestamp, node_id, version. */
void weir_tree_origin(struct weir_tree *t, const struct weir_snapshot *s);

#endif
