/* How much memory the kernel lets this process take: the least of the limits of its control group and of all groups
 * above it (cgroups(7), version 1 and 2), and the machine's memory. Linux only. */
#ifndef WEIR_NODE_MEMORY_LIMIT_H
#define WEIR_NODE_MEMORY_LIMIT_H

#include <stdint.h>

/* The limit that counts of two; 0: there is none. */
static inline uint64_t weir_memory_lesser(uint64_t a, uint64_t b)
{
    if (a == 0 || b == 0)
        return a > b ? a : b;
    return a < b ? a : b;
}

/* In bytes. root: what stands before /proc and /sys, "" but in tests; machine_bytes: 0 is not known. A limit that
 * cannot be read is none; 0: nothing is known. Reads a file for each level of the group, so a few in all. */
uint64_t weir_memory_limit(const char *root, uint64_t machine_bytes);

#endif
