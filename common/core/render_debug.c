/* Latencies and memory. */
#include "core/render.h"
#include "core/render_tree.h"

/* -- /debug/network/latency -- */

static void set_latency(struct weir_tree *t, json_t *object, const char *key, const struct weir_hist *h)
{
    uint64_t count = weir_hist_count(h);
    if (count == 0) {
        weir_tree_set(t, object, key, json_null());
        return;
    }
    json_t *o = weir_tree_child(t, object, key);
    weir_tree_u64(t, o, "count", count);
    weir_tree_ms(t, o, "last_ms", (double)h->last_us);
    weir_tree_ms(t, o, "mean_ms", (double)h->sum_us / (double)count);
    weir_tree_ms(t, o, "p50_ms", (double)weir_hist_quantile_us(h, 0.5));
    weir_tree_ms(t, o, "p99_ms", (double)weir_hist_quantile_us(h, 0.99));
}

int weir_render_latency(struct weir_textbuf *out, const struct weir_snapshot *s)
{
    struct weir_tree t;
    weir_tree_begin(&t);
    weir_tree_origin(&t, s);
    json_t *providers = weir_tree_child(&t, t.root, "providers");
    for (size_t i = 0; i < s->provider_count; i++) {
        const struct weir_provider_snapshot *p = &s->providers[i];
        json_t *endpoints = weir_tree_child(&t, weir_tree_child(&t, providers, p->name), "endpoints");
        for (size_t k = 0; k < p->endpoint_count; k++) {
            json_t *o = weir_tree_child(&t, endpoints, p->endpoints[k].id);
            for (size_t id = 0; id < WEIR_LATENCY_COUNT; id++)
                set_latency(&t, o, weir_latency_names[id], &p->endpoints[k].counters.latency[id]);
        }
    }
    return weir_tree_finish(&t, out, 2);
}

/* -- /debug/memory -- */

static void set_process(struct weir_tree *t, const struct weir_snapshot *s)
{
    json_t *o = weir_tree_child(t, t->root, "process");
    weir_tree_u64(t, o, "resident_bytes", s->gauges[WEIR_NG_RESIDENT]);
    weir_tree_u64(t, o, "limit_bytes", s->gauges[WEIR_NG_MEMORY_LIMIT]);
}

int weir_render_memory_pool(struct weir_textbuf *out, const struct weir_snapshot *s, const struct weir_memory_row *rows,
                            size_t count)
{
    struct weir_tree t;
    uint64_t sum = 0;
    weir_tree_begin(&t);
    weir_tree_origin(&t, s);
    json_t *objects = weir_tree_child(&t, t.root, "objects");
    for (size_t i = 0; i < count; i++) {
        json_t *o = weir_tree_child(&t, objects, rows[i].name);
        weir_tree_u64(&t, o, "count", rows[i].count);
        weir_tree_u64(&t, o, "bytes", rows[i].bytes);
        sum += rows[i].bytes;
    }
    weir_tree_u64(&t, t.root, "objects_bytes", sum);
    json_t *providers = weir_tree_child(&t, t.root, "providers");
    for (size_t i = 0; i < s->provider_count; i++) {
        const struct weir_pool_gauges *g = &s->providers[i].pool;
        json_t *o = weir_tree_child(&t, providers, s->providers[i].name);
        weir_tree_u64(&t, o, "connections_active", g->active);
        weir_tree_u64(&t, o, "connections_idle", g->idle);
        weir_tree_u64(&t, o, "connections_opening", g->opening);
        weir_tree_u64(&t, o, "max_connections", g->max_connections);
    }
    set_process(&t, s);
    return weir_tree_finish(&t, out, 2);
}

int weir_render_memory_gc(struct weir_textbuf *out, const struct weir_snapshot *s,
                          const struct weir_allocator_report *r)
{
    struct weir_tree t;
    weir_tree_begin(&t);
    weir_tree_origin(&t, s);
    weir_tree_set(&t, t.root, "collector", json_null());
    json_t *a = weir_tree_child(&t, t.root, "allocator");
    weir_tree_u64(&t, a, "arenas", r->arenas);
    weir_tree_u64(&t, a, "heap_bytes", r->heap);
    weir_tree_u64(&t, a, "in_use_bytes", r->in_use);
    weir_tree_u64(&t, a, "free_bytes", r->free);
    weir_tree_u64(&t, a, "trimmable_bytes", r->trimmable);
    weir_tree_u64(&t, a, "mapped_bytes", r->mapped);
    weir_tree_u64(&t, a, "mapped_count", r->mapped_count);
    set_process(&t, s);
    if (r->trimmed) {
        json_t *trim = weir_tree_child(&t, t.root, "trim");
        uint64_t before = r->resident_before, after = r->resident_after;
        weir_tree_bool(&t, trim, "released", r->released);
        weir_tree_u64(&t, trim, "resident_bytes_before", before);
        weir_tree_u64(&t, trim, "resident_bytes_after", after);
        weir_tree_u64(&t, trim, "freed_bytes", before > after ? before - after : 0);
    }
    return weir_tree_finish(&t, out, 2);
}
