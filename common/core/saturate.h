/* Numbers that stay at their bounds rather than begin anew. */
#ifndef WEIR_CORE_SATURATE_H
#define WEIR_CORE_SATURATE_H

#include <stdint.h>

static inline uint32_t weir_add_u32(uint32_t a, uint32_t b)
{
    return a > UINT32_MAX - b ? UINT32_MAX : a + b;
}

/* A time on another clock, which is ahead by so much; 0 at the least. */
static inline uint64_t weir_shift_ms(uint64_t ms, int64_t ahead_ms)
{
    int64_t moved = (int64_t)ms + ahead_ms;
    return moved > 0 ? (uint64_t)moved : 0;
}

#endif
