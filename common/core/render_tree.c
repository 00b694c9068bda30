#include "core/render_tree.h"

#include <math.h>

#include "core/err.h"
#include "core/logline.h"

void weir_tree_begin(struct weir_tree *t)
{
    *t = (struct weir_tree){.root = json_object()};
}

static int take(const char *p, size_t n, void *arg)
{
    struct weir_textbuf *out = arg;
    weir_textbuf_add(out, p, n);
    return out->failed ? -1 : 0;
}

int weir_tree_finish(struct weir_tree *t, struct weir_textbuf *out, unsigned indent)
{
    /* Nine digits show a mean to the microsecond and hide what binary fractions add to it. */
    size_t flags = JSON_REAL_PRECISION(9) | (indent > 0 ? JSON_INDENT(indent) : JSON_COMPACT);
    if (!t->failed && json_dump_callback(t->root, take, out, flags) != 0)
        t->failed = -1;
    json_decref(t->root);
    weir_textbuf_char(out, '\n');
    return t->failed || out->failed ? WEIR_ENOMEM : 0;
}

void weir_tree_set(struct weir_tree *t, json_t *object, const char *key, json_t *value)
{
    t->failed |= json_object_set_new(object, key, value);
}

json_t *weir_tree_child(struct weir_tree *t, json_t *object, const char *key)
{
    json_t *o = json_object();
    int failed = json_object_set_new(object, key, o);
    t->failed |= failed;
    return failed ? NULL : o;
}

json_t *weir_tree_array(struct weir_tree *t, json_t *object, const char *key)
{
    json_t *a = json_array();
    int failed = json_object_set_new(object, key, a);
    t->failed |= failed;
    return failed ? NULL : a;
}

json_t *weir_tree_element(struct weir_tree *t, json_t *array)
{
    json_t *o = json_object();
    int failed = json_array_append_new(array, o);
    t->failed |= failed;
    return failed ? NULL : o;
}

void weir_tree_u64(struct weir_tree *t, json_t *object, const char *key, uint64_t v)
{
    weir_tree_set(t, object, key, json_integer(v > INT64_MAX ? INT64_MAX : (json_int_t)v));
}

void weir_tree_real(struct weir_tree *t, json_t *object, const char *key, double v)
{
    weir_tree_set(t, object, key, isfinite(v) ? json_real(v) : json_null());
}

void weir_tree_ms(struct weir_tree *t, json_t *object, const char *key, double us)
{
    weir_tree_real(t, object, key, us / 1000);
}

void weir_tree_bool(struct weir_tree *t, json_t *object, const char *key, bool v)
{
    weir_tree_set(t, object, key, json_boolean(v));
}

void weir_tree_text(struct weir_tree *t, json_t *object, const char *key, const char *text)
{
    weir_tree_set(t, object, key, text != NULL ? json_string(text) : json_null());
}

void weir_tree_time(struct weir_tree *t, json_t *object, const char *key, uint64_t unix_ms)
{
    char text[WEIR_RFC3339_MS_LEN];
    if (unix_ms != 0)
        weir_rfc3339_ms(text, unix_ms);
    weir_tree_set(t, object, key, unix_ms != 0 ? json_stringn(text, sizeof text) : json_null());
}

void weir_tree_health(struct weir_tree *t, json_t *object, enum weir_health h)
{
    weir_tree_text(t, object, "status", weir_health_text(h));
}

void weir_tree_origin(struct weir_tree *t, const struct weir_snapshot *s)
{
    weir_tree_time(t, t->root, "timestamp", s->unix_ms);
    weir_tree_text(t, t->root, "node_id", s->node);
    weir_tree_text(t, t->root, "version", s->version);
}
