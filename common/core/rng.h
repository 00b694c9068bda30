/* Pseudo-random numbers whose state lives in the object that needs them: splitmix64 (Steele, Lea, Flood, 2014). Not for
 * secrets. */
#ifndef WEIR_CORE_RNG_H
#define WEIR_CORE_RNG_H

#include <stdint.h>

struct weir_rng {
    uint64_t state;
};

static inline uint64_t weir_rng_next(struct weir_rng *r)
{
    uint64_t z = (r->state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* Writes 16 lower-case hexadecimal digits, no terminator. */
static inline void weir_hex64(char out[16], uint64_t v)
{
    for (int i = 15; i >= 0; i--, v >>= 4)
        out[i] = "0123456789abcdef"[v & 15];
}

#endif
