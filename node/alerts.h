/* The alerts of a running node: evaluates the rules of the configuration in force each alerting.interval on control's
 * thread, and does what they ask for. Each change of each rule in each scope is logged once; `webhook` posts it,
 * `scale_up` is a gauge for whoever scales, `investigate` logs what the node knows of itself at that moment. */
#ifndef WEIR_NODE_ALERTS_H
#define WEIR_NODE_ALERTS_H

#include "core/alert.h"
#include "core/textbuf.h"
#include "node/view.h"
#include "node/webhook.h"

/* Takes a snapshot for an evaluation; see weir_take_snapshot. Errors: WEIR_ENOMEM. */
typedef int weir_alerting_snapshot_fn(void *owner, struct weir_snapshot *s, struct weir_arena *a);

struct weir_alerting {
    struct weir_reactor *reactor;
    struct weir_log_producer *log;
    struct weir_node_counters *counters; /* control's */
    const char *node;
    struct weir_crypto_pool *crypto; /* for a webhook over https://; set before weir_alerting_configure */
    weir_alerting_snapshot_fn *snapshot;
    void *owner;
    struct weir_shared_config *config; /* held: the rules are its */
    struct weir_alerts *alerts;        /* NULL: not configured yet */
    struct weir_alerts_count count;    /* as of the last evaluation */
    struct weir_deadline due;
    struct weir_webhook webhook;
    const struct weir_snapshot *now; /* while rules are evaluated */
};

/* All members above `config` are the caller's to set first, or when they say; they outlast it. */
void weir_alerting_init(struct weir_alerting *a);
/* At the start, and when a configuration has come into force; the states of rules that stay the same are kept. On
 * failure, which is logged, the old rules stay. */
void weir_alerting_configure(struct weir_alerting *a, struct weir_shared_config *config);
/* The gauges and counters of alerts, into a snapshot's. */
void weir_alerting_to_gauges(const struct weir_alerting *a, uint64_t *gauges);
/* As of the last evaluation, see weir_alerts_scale_up. */
bool weir_alerting_wants_scale_up(const struct weir_alerting *a, const char *provider);
/* /api/alerts. Errors: WEIR_ENOMEM. */
WEIR_MUST_USE int weir_alerting_render(const struct weir_alerting *a, struct weir_textbuf *out,
                                       const struct weir_snapshot *s);
/* Legal without init, on zeroes. */
void weir_alerting_close(struct weir_alerting *a);

#endif
