/* Finished spans on their way from one worker to control: a ring with one writer and one reader, without locks and
 * without waiting. When it is full, a span is dropped: a trace is worth less than what it tells of. */
#ifndef WEIR_NODE_TRACE_RING_H
#define WEIR_NODE_TRACE_RING_H

#include "core/trace.h"

/* Control looks often enough for some hundred sampled requests a second, and a ring takes 140 KB. A power of two. */
#define WEIR_TRACE_RING_SPANS 256u

struct weir_trace_ring;

/* NULL: out of memory. */
struct weir_trace_ring *weir_trace_ring_new(void);
/* When neither side uses it any more. */
void weir_trace_ring_free(struct weir_trace_ring **r);
/* The writer's. False: full. */
bool weir_trace_ring_put(struct weir_trace_ring *r, const struct weir_span *s);
/* The reader's: the oldest ones, at most max; returns how many. */
size_t weir_trace_ring_take(struct weir_trace_ring *r, struct weir_span *out, size_t max);

#endif
