/* Sends the spans that workers have finished to an OpenTelemetry collector (tracing.endpoint): on control's thread, in
 * batches, by node/webhook. A collector that is away costs what waits for it, which is bounded, and one log line. */
#ifndef WEIR_NODE_TRACING_H
#define WEIR_NODE_TRACING_H

#include "node/view.h"
#include "node/webhook.h"

/* How often the workers' rings are looked at. */
#define WEIR_TRACING_LOOK_MS 250u
/* Spans in one post. */
#define WEIR_TRACING_BATCH 64u
/* Posts that wait for the collector: of the largest spans 4 MB. */
#define WEIR_TRACING_BATCHES_MAX 64u
/* Spans that could not be told for so long are of no use to who looks at what happens now. */
#define WEIR_TRACING_AGE_MS_MAX 60000u

struct weir_node;

struct weir_tracing {
    struct weir_reactor *reactor;
    struct weir_log_producer *log;
    struct weir_node *node;
    struct weir_crypto_pool *crypto;   /* for a collector on https://; set before weir_tracing_configure */
    struct weir_shared_config *config; /* in force: held; NULL: none yet */
    struct weir_webhook collector;
    struct weir_deadline look;
};

/* All members above `config` are the caller's to set first; they outlast it. */
void weir_tracing_init(struct weir_tracing *t);
/* At the start, and when a configuration has come into force. On failure, which is logged, the old one stays. */
void weir_tracing_configure(struct weir_tracing *t, struct weir_shared_config *config);
void weir_tracing_to_gauges(const struct weir_tracing *t, uint64_t *gauges);
/* Before the workers' rings are gone. Legal on zeroes. */
void weir_tracing_close(struct weir_tracing *t);

#endif
