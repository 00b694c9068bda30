/* What weir's objects and the C library's allocator take of the memory, for /debug/memory. Control's thread. */
#ifndef WEIR_NODE_MEMORY_REPORT_H
#define WEIR_NODE_MEMORY_REPORT_H

#include "core/render.h"
#include "node/node.h"

#define WEIR_MEMORY_ROWS_MAX 16u

/* Fills the rows, returns how many. Sizes are those of the fixed parts: heads and bodies in flight come on top. */
size_t weir_memory_rows(struct weir_memory_row rows[WEIR_MEMORY_ROWS_MAX], const struct weir_snapshot *s,
                        const struct weir_node *node, const struct weir_view *view);

/* Reads the allocator's statistics. trim: gives free memory back to the system first, which holds up threads that
 * allocate meanwhile: for when somebody asks for it. */
void weir_allocator_read(struct weir_allocator_report *out, bool trim);

#endif
