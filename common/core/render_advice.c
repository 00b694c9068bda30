/* What the coordinator has published, as pages of a node. */
#include "core/cluster_snapshot.h"
#include "core/render_cluster.h"
#include "core/render_tree.h"

/* The object that the text is, or an empty one. It has been read before, or nobody relies on it. */
static void begin_from(struct weir_tree *t, struct weir_str json)
{
    json_error_t wrong;
    t->failed = 0;
    t->root = json.len > 0 ? json_loadb(json.ptr, json.len, JSON_REJECT_DUPLICATES, &wrong) : NULL;
    if (json_is_object(t->root))
        return;
    json_decref(t->root);
    weir_tree_begin(t);
}

static void set_reason(struct weir_tree *t, const char *why)
{
    weir_tree_u64(t, t->root, "schema", 1);
    weir_tree_bool(t, t->root, "valid", false);
    weir_tree_text(t, t->root, "reason", why);
}

int weir_render_cluster_hints(struct weir_textbuf *out, const struct weir_snapshot *s)
{
    struct weir_tree t;
    const char *why = s->cluster != NULL ? s->cluster->advice.why : "this node is in no cluster";
    if (why != NULL) {
        weir_tree_begin(&t);
        set_reason(&t, why);
        return weir_tree_finish(&t, out, 2);
    }
    begin_from(&t, s->cluster->advice.hints);
    t.failed |= json_object_size(t.root) == 0; /* out of memory: they were read before */
    weir_tree_bool(&t, t.root, "valid", true);
    weir_tree_real(&t, t.root, "age_s", (double)s->cluster->advice.age_ms / 1000);
    weir_tree_text(&t, t.root, "node", s->cluster->id);
    return weir_tree_finish(&t, out, 2);
}

int weir_render_cluster_analytics(struct weir_textbuf *out, const struct weir_snapshot *s)
{
    struct weir_tree t;
    struct weir_str analytics = s->cluster != NULL ? s->cluster->advice.analytics : (struct weir_str){"", 0};
    begin_from(&t, analytics);
    if (json_object_size(t.root) == 0) {
        set_reason(&t, s->cluster != NULL ? "no analytics were published yet" : "this node is in no cluster");
        (void)weir_tree_array(&t, t.root, "patterns");
        (void)weir_tree_array(&t, t.root, "performance");
        return weir_tree_finish(&t, out, 2);
    }
    weir_tree_bool(&t, t.root, "valid", true);
    weir_tree_text(&t, t.root, "node", s->cluster->id);
    return weir_tree_finish(&t, out, 2);
}
