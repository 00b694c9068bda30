/* A sweep over one provider's parked connections, on every worker: closes those to endpoints that are out of health,
 * those that are no longer to be trusted, and what is over the limits in force; then looks at who waits again. One log
 * line when it has closed any. */
#ifndef WEIR_NODE_CLEANUP_H
#define WEIR_NODE_CLEANUP_H

#include "node/node.h"

/* From control's thread. sick: a bit for each slot whose connections are to go. At most one sweep of a provider is
 * under way: false when there is, and when memory is out. */
bool weir_cleanup_begin(struct weir_node *node, struct weir_provider *p, uint64_t sick, struct weir_log_producer *log);

#endif
