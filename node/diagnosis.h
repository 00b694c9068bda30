/* One log line with what somebody wants to know first when an alert with the action `investigate` fires. */
#ifndef WEIR_NODE_DIAGNOSIS_H
#define WEIR_NODE_DIAGNOSIS_H

#include "core/snapshot.h"
#include "net/log.h"

/* Event "diagnosis": the pool, circuits, errors by class since the start, loop lag, memory, descriptors; of one
 * provider, or provider NULL: of all. */
void weir_diagnosis_log(struct weir_log_producer *log, const struct weir_snapshot *s, const char *rule,
                        const char *provider);

#endif
