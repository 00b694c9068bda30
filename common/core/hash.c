#include "core/hash.h"

#define PRIME_1 UINT64_C(0x9E3779B185EBCA87)
#define PRIME_2 UINT64_C(0xC2B2AE3D27D4EB4F)
#define PRIME_3 UINT64_C(0x165667B19E3779F9)
#define PRIME_4 UINT64_C(0x85EBCA77C2B2AE63)
#define PRIME_5 UINT64_C(0x27D4EB2F165667C5)

#define STRIPE 32u

static uint64_t rotate(uint64_t v, unsigned bits)
{
    return (v << bits) | (v >> (64 - bits));
}

static uint64_t read_le64(const uint8_t *p)
{
    uint64_t v = 0;
    for (int i = 7; i >= 0; i--)
        v = v << 8 | p[i];
    return v;
}

static uint32_t read_le32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static uint64_t round_of(uint64_t acc, uint64_t lane)
{
    return rotate(acc + lane * PRIME_2, 31) * PRIME_1;
}

static uint64_t merge(uint64_t acc, uint64_t lanes)
{
    return (acc ^ round_of(0, lanes)) * PRIME_1 + PRIME_4;
}

/* Steps 1 to 3, for inputs of a stripe or more. */
static uint64_t stripes(const uint8_t **p, size_t *left, uint64_t seed)
{
    uint64_t acc[4] = {seed + PRIME_1 + PRIME_2, seed + PRIME_2, seed, seed - PRIME_1};
    for (; *left >= STRIPE; *p += STRIPE, *left -= STRIPE)
        for (unsigned i = 0; i < 4; i++)
            acc[i] = round_of(acc[i], read_le64(*p + 8 * i));
    uint64_t h = rotate(acc[0], 1) + rotate(acc[1], 7) + rotate(acc[2], 12) + rotate(acc[3], 18);
    for (unsigned i = 0; i < 4; i++)
        h = merge(h, acc[i]);
    return h;
}

uint64_t weir_hash64(const void *bytes, size_t len, uint64_t seed)
{
    const uint8_t *p = bytes;
    size_t left = len;
    uint64_t h = (len >= STRIPE ? stripes(&p, &left, seed) : seed + PRIME_5) + len;
    for (; left >= 8; p += 8, left -= 8)
        h = rotate(h ^ round_of(0, read_le64(p)), 27) * PRIME_1 + PRIME_4;
    if (left >= 4) {
        h = rotate(h ^ read_le32(p) * PRIME_1, 23) * PRIME_2 + PRIME_3;
        p += 4;
        left -= 4;
    }
    for (; left > 0; p++, left--)
        h = rotate(h ^ *p * PRIME_5, 11) * PRIME_1;
    h = (h ^ (h >> 33)) * PRIME_2;
    h = (h ^ (h >> 29)) * PRIME_3;
    return h ^ (h >> 32);
}
