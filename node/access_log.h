/* Writes access log lines and the pool monitor's lines into the log. */
#ifndef WEIR_NODE_ACCESS_LOG_H
#define WEIR_NODE_ACCESS_LOG_H

#include "core/access_line.h"
#include "core/snapshot.h"
#include "net/log.h"

/* Called once a request, on its worker; never waits. r->node is filled in here. Whatever the level: logging.access is
 * the caller's to look at. p may be NULL. */
void weir_access_log(struct weir_log_producer *p, struct weir_access_record *r);

/* The lines of core/monitor.h; called each WEIR_MONITOR_INTERVAL_MS. */
void weir_monitor_log(struct weir_log_producer *p, const struct weir_snapshot *s);

#endif
