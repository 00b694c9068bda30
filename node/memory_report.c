#include "node/memory_report.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>

#include "node/client.h"
#include "node/proc_stats.h"
#include "node/request.h"
#include "node/upstream.h"

static uint64_t connections_up(const struct weir_snapshot *s)
{
    uint64_t n = 0;
    for (size_t i = 0; i < s->provider_count; i++)
        n += s->providers[i].pool.active + s->providers[i].pool.idle + s->providers[i].pool.opening;
    return n;
}

static uint64_t gauge(const struct weir_snapshot *s, enum weir_node_counter id)
{
    uint64_t v = s->counters.at[id];
    return v > INT64_MAX ? 0 : v; /* see render_prometheus.c */
}

size_t weir_memory_rows(struct weir_memory_row rows[WEIR_MEMORY_ROWS_MAX], const struct weir_snapshot *s,
                        const struct weir_node *node, const struct weir_view *view)
{
    uint64_t up = connections_up(s), down = gauge(s, WEIR_NC_DOWN_ACTIVE) + gauge(s, WEIR_NC_DOWN_IDLE);
    uint64_t requests = gauge(s, WEIR_NC_REQUESTS_ACTIVE), endpoints = 0, endpoint_bytes = 0, provider_bytes = 0;
    unsigned threads = node->worker_count + 1;
    size_t n = 0;
    for (unsigned i = 0; i < view->provider_count; i++) {
        const struct weir_view_provider *p = &view->providers[i];
        provider_bytes += sizeof *p->rt + p->rt->worker_count * sizeof p->rt->local[0];
        endpoints += p->endpoint_count;
        for (unsigned k = 0; k < p->endpoint_count; k++)
            endpoint_bytes +=
                sizeof *p->endpoints[k].rt + p->endpoints[k].rt->worker_count * sizeof p->endpoints[k].rt->local[0];
    }
    size_t conn = weir_h1_bytes() + weir_tcp_bytes();
    rows[n++] = (struct weir_memory_row){"upstream_connections", up, up * (sizeof(struct weir_upstream) + conn)};
    rows[n++] = (struct weir_memory_row){"client_connections", down, down * (sizeof(struct weir_client) + conn)};
    rows[n++] = (struct weir_memory_row){"requests", requests, requests * sizeof(struct weir_request)};
    rows[n++] = (struct weir_memory_row){"request_arenas", requests, requests * WEIR_ARENA_BLOCK_MIN};
    rows[n++] = (struct weir_memory_row){"providers", view->provider_count, provider_bytes};
    rows[n++] = (struct weir_memory_row){"endpoints", endpoints, endpoint_bytes};
    rows[n++] = (struct weir_memory_row){"view_arenas", 1, view->arena.bytes_total};
    rows[n++] = (struct weir_memory_row){"configuration_arenas", 1, view->config->arena.bytes_total};
    rows[n++] = (struct weir_memory_row){"workers", node->worker_count, node->worker_count * sizeof *node->workers};
    rows[n++] = (struct weir_memory_row){"read_buffers", threads, threads * WEIR_READ_BUFFER_BYTES};
    rows[n++] = (struct weir_memory_row){"log_rings", threads, threads * WEIR_LOG_RING_BYTES};
    return n;
}

/* The allocator tells its arenas one by one in XML and nowhere else. 0: not known. */
static uint64_t arenas_count(void)
{
    char *text = NULL;
    size_t len = 0;
    uint64_t n = 0;
    FILE *f = open_memstream(&text, &len);
    if (f == NULL)
        return 0;
    int rv = malloc_info(0, f);
    if (fclose(f) == 0 && rv == 0)
        for (const char *at = text; (at = strstr(at, "<heap nr=")) != NULL; at++)
            n++;
    free(text);
    return n;
}

void weir_allocator_read(struct weir_allocator_report *out, bool trim)
{
    struct weir_proc_stats before, after;
    *out = (struct weir_allocator_report){.trimmed = trim};
    if (trim) {
        weir_proc_stats_read(&before);
        out->released = malloc_trim(0) != 0;
        weir_proc_stats_read(&after);
        out->resident_before = before.resident_bytes;
        out->resident_after = after.resident_bytes;
    }
    struct mallinfo2 m = mallinfo2();
    out->arenas = arenas_count();
    out->heap = m.arena;
    out->mapped = m.hblkhd;
    out->mapped_count = m.hblks;
    out->in_use = m.uordblks;
    out->free = m.fordblks;
    out->trimmable = m.keepcost;
}
