#include "node/overview.h"

#include "core/render.h"
#include "core/render_cluster.h"
#include "core/render_overview.h"

static const struct {
    const char *key;
    int (*render)(struct weir_textbuf *out, const struct weir_snapshot *s);
} parts[] = {{"state", weir_render_cluster_state},   {"nodes", weir_render_cluster_nodes},
             {"shards", weir_render_cluster_shards}, {"breakers", weir_render_cluster_breakers},
             {"limits", weir_render_cluster_limits}, {"hints", weir_render_cluster_hints},
             {"pools", weir_render_overview_pools}};

bool weir_overview_recall(const struct weir_overview *o, struct weir_textbuf *out, uint64_t now_ms)
{
    if (o->text.len == 0 || now_ms - o->made_ms >= WEIR_OVERVIEW_KEPT_MS)
        return false;
    weir_textbuf_add(out, o->text.ptr, o->text.len);
    return true;
}

int weir_overview_make(struct weir_overview *o, const struct weir_admin_sources *from, uint64_t now_ms)
{
    struct weir_textbuf *out = &o->text;
    int rv = 0;
    weir_textbuf_close(out);
    weir_textbuf_init(out, WEIR_RENDER_BYTES_MAX);
    weir_textbuf_printf(out, "{\"schema\":%d", WEIR_CLUSTER_PAGES_SCHEMA);
    for (size_t i = 0; rv == 0 && i < sizeof parts / sizeof parts[0]; i++) {
        weir_textbuf_printf(out, ",\"%s\":", parts[i].key);
        rv = parts[i].render(out, from->snapshot);
    }
    weir_textbuf_str(out, ",\"alerts\":");
    if (rv == 0)
        rv = weir_alerting_render(from->alerting, out, from->snapshot);
    weir_textbuf_str(out, "}\n");
    o->made_ms = now_ms;
    if (rv == 0 && !out->failed)
        return 0;
    weir_textbuf_close(out); /* half an answer is none */
    return WEIR_ENOMEM;
}

void weir_overview_close(struct weir_overview *o)
{
    weir_textbuf_close(&o->text);
}
