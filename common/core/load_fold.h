/* Records of loads put together: those of several nodes of one slot into one of the cluster's, and these into one of
 * several slots. Sums stay sums; a peak of the cluster is the sum of its nodes' (a little more than what was there at
 * once, never less), and the highest of its slots. Pure. */
#ifndef WEIR_CORE_LOAD_FOLD_H
#define WEIR_CORE_LOAD_FOLD_H

#include "core/load_record.h"

/* One more node of the same slot; `sum` begins all zero. Providers beyond WEIR_LOAD_PROVIDERS_MAX are left out. */
void weir_load_fold_node(struct weir_load_record *sum, const struct weir_load_record *node);
/* One more slot (or several: `part` may be folded over time itself); `sum` begins all zero but for its number. A
 * provider that a slot does not tell of had nothing to do in it. */
void weir_load_fold_time(struct weir_load_record *sum, const struct weir_load_record *part);

#endif
