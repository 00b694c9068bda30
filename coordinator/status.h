/* What a coordinator shows of itself, as text made from plain data. Pure. */
#ifndef WEIR_COORDINATOR_STATUS_H
#define WEIR_COORDINATOR_STATUS_H

#include "core/coordinator_agent.h"
#include "core/textbuf.h"

struct weir_coordinator_status {
    const char *id, *cluster, *version;
    struct weir_coordinator_look look;
    uint64_t notes[WEIR_COORDINATOR_NOTES];
    uint64_t requests[WEIR_COORD_OPS], requests_failed;
};

/* /health/ready: whether it could lead, that is, whether it has contact to the store. Returns the status, 200 or 503.
 */
unsigned weir_coordinator_status_ready(struct weir_textbuf *out, const struct weir_coordinator_status *s);
/* /metrics/prometheus. */
void weir_coordinator_status_metrics(struct weir_textbuf *out, const struct weir_coordinator_status *s);

#endif
