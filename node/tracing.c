#include "node/tracing.h"

#include <stdlib.h>

#include "node/node.h"
#include "node/trace_ring.h"

/* A span has some 1,200 bytes as JSON. */
#define BATCH_BYTES_MAX ((size_t)WEIR_TRACING_BATCH * 4096)

static const struct weir_webhook_kind traces = {
    .failed = {"tracing_failed", "traces cannot be sent"},
    .works = {"tracing_works", "traces can be sent again"},
    .dropped = "tracing_dropped",
    .refused = "traces were not taken by the collector",
    .too_old = "traces could not be sent for too long",
    .too_many = "more traces wait to be sent than are kept",
    .queue_max = WEIR_TRACING_BATCHES_MAX,
    .age_ms_max = WEIR_TRACING_AGE_MS_MAX,
};

static void send_batch(struct weir_tracing *t, const struct weir_span *spans, size_t count)
{
    struct weir_textbuf text;
    const struct weir_trace_source from = {t->config->config->tracing.service_name, t->node->name, WEIR_VERSION};
    weir_textbuf_init(&text, BATCH_BYTES_MAX);
    if (weir_trace_render(&text, &from, spans, count) != 0 ||
        weir_webhook_post(&t->collector, (struct weir_str){text.ptr, text.len}) != 0)
        weir_log_simple(t->log, WEIR_LOG_ERROR, "out_of_memory", "traces are lost: out of memory");
    weir_textbuf_close(&text);
}

static void look(struct weir_deadline *d, uint64_t now_ms)
{
    struct weir_tracing *t = WEIR_CONTAINER(d, struct weir_tracing, look);
    struct weir_span spans[WEIR_TRACING_BATCH];
    for (unsigned i = 0; i < t->node->worker_count; i++) {
        struct weir_trace_ring *ring = atomic_load_explicit(&t->node->workers[i].traces, memory_order_acquire);
        size_t count;
        while (ring != NULL && (count = weir_trace_ring_take(ring, spans, WEIR_TRACING_BATCH)) > 0)
            send_batch(t, spans, count);
    }
    weir_reactor_deadline(t->reactor, d, now_ms + WEIR_TRACING_LOOK_MS);
}

void weir_tracing_init(struct weir_tracing *t)
{
    weir_webhook_init(&t->collector, t->reactor, t->log, &traces);
    weir_deadline_init(&t->look, look);
}

void weir_tracing_configure(struct weir_tracing *t, struct weir_shared_config *config)
{
    const struct weir_config *c = config->config;
    if (config == t->config)
        return;
    weir_webhook_trust(&t->collector, config->tls != NULL ? config->tls->webhook : NULL, t->crypto);
    if (weir_webhook_follow(&t->collector, c->tracing.endpoint, &c->dns.servers) != 0) {
        weir_log_simple(t->log, WEIR_LOG_ERROR, "out_of_memory", "traces go where they went: out of memory");
        return;
    }
    weir_shared_config_ref(config);
    if (t->config != NULL)
        weir_shared_config_unref(t->config);
    t->config = config;
    if (c->tracing.endpoint != NULL)
        weir_reactor_deadline(t->reactor, &t->look, t->reactor->now_ms + WEIR_TRACING_LOOK_MS);
    else
        weir_deadline_clear(&t->look);
}

void weir_tracing_to_gauges(const struct weir_tracing *t, uint64_t *gauges)
{
    gauges[WEIR_NG_TRACES_DELIVERED] = t->collector.counts.delivered;
    gauges[WEIR_NG_TRACES_FAILED] = t->collector.counts.failed;
    gauges[WEIR_NG_TRACES_DROPPED] = t->collector.counts.dropped;
}

void weir_tracing_close(struct weir_tracing *t)
{
    if (t->reactor == NULL)
        return;
    weir_webhook_close(&t->collector);
    weir_deadline_drop(&t->reactor->wheel, &t->look);
    if (t->config != NULL)
        weir_shared_config_unref(t->config);
}
