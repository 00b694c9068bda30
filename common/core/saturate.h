/* Counts that stay at their highest value rather than begin anew. */
#ifndef WEIR_CORE_SATURATE_H
#define WEIR_CORE_SATURATE_H

#include <stdint.h>

static inline uint32_t weir_add_u32(uint32_t a, uint32_t b)
{
    return a > UINT32_MAX - b ? UINT32_MAX : a + b;
}

#endif
