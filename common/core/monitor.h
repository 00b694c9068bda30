/* The pool monitor: what is to be logged about the pools once a minute, in the guide's words. */
#ifndef WEIR_CORE_MONITOR_H
#define WEIR_CORE_MONITOR_H

#include "core/logline.h"
#include "core/snapshot.h"

#define WEIR_MONITOR_INTERVAL_MS 60000u

struct weir_monitor_event {
    enum weir_log_level level;
    const char *event; /* "pool_exhausted", "pool_error_rate", "pool_health" */
    const char *msg;   /* the guide's sentence */
    const char *provider;
    const struct weir_guide_values *values;
};
typedef void (*weir_monitor_cb)(void *arg, const struct weir_monitor_event *e);

/* Calls emit for each provider: its warnings first, then its health line. The error rate is that since the last look:
 * over its whole life a provider that fails now would hardly show, and one that failed once would for ever. */
void weir_monitor_run(const struct weir_snapshot *s, void *arg, weir_monitor_cb emit);

#endif
