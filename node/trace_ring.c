#include "node/trace_ring.h"

#include <stdatomic.h>
#include <stdlib.h>

/* Both count for ever; what lies between them is in the ring. */
struct weir_trace_ring {
    _Atomic size_t written, taken;
    struct weir_span at[WEIR_TRACE_RING_SPANS];
};

struct weir_trace_ring *weir_trace_ring_new(void)
{
    return calloc(1, sizeof(struct weir_trace_ring));
}

void weir_trace_ring_free(struct weir_trace_ring **r)
{
    free(*r);
    *r = NULL;
}

bool weir_trace_ring_put(struct weir_trace_ring *r, const struct weir_span *s)
{
    size_t written = atomic_load_explicit(&r->written, memory_order_relaxed);
    if (written - atomic_load_explicit(&r->taken, memory_order_acquire) == WEIR_TRACE_RING_SPANS)
        return false;
    r->at[written % WEIR_TRACE_RING_SPANS] = *s;
    atomic_store_explicit(&r->written, written + 1, memory_order_release);
    return true;
}

size_t weir_trace_ring_take(struct weir_trace_ring *r, struct weir_span *out, size_t max)
{
    size_t taken = atomic_load_explicit(&r->taken, memory_order_relaxed);
    size_t count = atomic_load_explicit(&r->written, memory_order_acquire) - taken;
    count = count < max ? count : max;
    for (size_t i = 0; i < count; i++)
        out[i] = r->at[(taken + i) % WEIR_TRACE_RING_SPANS];
    atomic_store_explicit(&r->taken, taken + count, memory_order_release);
    return count;
}
