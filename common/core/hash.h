/* The hash that every node of a cluster must compute alike, over versions and machines: affinity keys, node ids and
 * endpoint ids go through it. XXH64 as the xxHash specification describes it ("XXH64 algorithm description",
 * doc/xxhash_spec.md of xxHash, version 0.1.1), read in little endian on any machine.
 *
 * It spreads well and has no key: whoever sends requests may choose keys that fall together, as he may send the same
 * key again and again. Not for tables that an attacker must not fill, not for secrets. */
#ifndef WEIR_CORE_HASH_H
#define WEIR_CORE_HASH_H

#include <stddef.h>
#include <stdint.h>

#include "core/str.h"

/* XXH64 of len bytes; bytes may be NULL when there are none. */
uint64_t weir_hash64(const void *bytes, size_t len, uint64_t seed);

static inline uint64_t weir_hash64_str(struct weir_str s, uint64_t seed)
{
    return weir_hash64(s.ptr, s.len, seed);
}

/* The finalizer of splitmix64 (Steele, Lea, Flood, 2014): a bijection in which each bit of v moves each of the result.
 */
static inline uint64_t weir_hash_mix(uint64_t v)
{
    v = (v ^ (v >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    v = (v ^ (v >> 27)) * UINT64_C(0x94d049bb133111eb);
    return v ^ (v >> 31);
}

/* What a shard's number is to weir_hash_pair: the first output of splitmix64 seeded with it. Computed once when many
 * nodes are asked about one shard. */
static inline uint64_t weir_hash_number(uint64_t n)
{
    return weir_hash_mix(n + UINT64_C(0x9e3779b97f4a7c15));
}

/* The hash of the pair (somebody's 64-bit hash, a number): somebody's claim to the shard of that number. */
static inline uint64_t weir_hash_pair(uint64_t hash, uint64_t n)
{
    return weir_hash_mix(hash ^ weir_hash_number(n));
}

#endif
