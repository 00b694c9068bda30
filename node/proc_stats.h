/* What the kernel says about this process. Linux only. */
#ifndef WEIR_NODE_PROC_STATS_H
#define WEIR_NODE_PROC_STATS_H

#include <stdint.h>

/* A value that cannot be read is 0. */
struct weir_proc_stats {
    uint64_t resident_bytes;
    uint64_t memory_limit_bytes; /* see node/memory_limit.h */
    uint64_t fds_open, fds_limit;
    uint64_t cpu_us; /* user and system, all threads */
};

/* Kernels before 6.2 do not tell how many descriptors are open: there they are counted, about 1 us each. */
void weir_proc_stats_read(struct weir_proc_stats *out);

/* Stores them in the gauges of a snapshot (the rows that this file knows; the others are left alone). */
void weir_proc_stats_to_gauges(uint64_t *gauges, const struct weir_proc_stats *stats);

#endif
