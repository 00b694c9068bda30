/* Smooth weighted round robin: each pick raises every usable item by its weight, takes the highest and lowers it by the
 * sum, so that weights 5,1,1 give a a b a c a a rather than a a a a a b c. Pure; the state is the caller's. */
#ifndef WEIR_CORE_WRR_H
#define WEIR_CORE_WRR_H

#include <stdbool.h>
#include <stdint.h>

struct weir_wrr_item {
    uint32_t weight; /* 0: never picked */
    int64_t current; /* starts at 0 */
    bool usable;
};

/* Index of the pick, or -1 when nothing is usable. */
int weir_wrr_pick(struct weir_wrr_item *items, unsigned n);

#endif
