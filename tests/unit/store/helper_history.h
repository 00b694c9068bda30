/* Random histories of a cluster: one request after another, with the time at which it is made. They look at the state
 * that they have led to, so that what they ask is often to the point. */
#ifndef WEIR_TESTS_STORE_HELPER_HISTORY_H
#define WEIR_TESTS_STORE_HELPER_HISTORY_H

#include "core/coord_impl.h"
#include "core/rng.h"

struct history {
    struct weir_rng rng;
    uint64_t now_us;
    bool even; /* the time moves in steps of 250 ms: with every second seed */
    struct weir_coord_member member;
    char text[2048], id[WEIR_NODE_ID_MAX + 1];
};

void history_begin(struct history *h, uint64_t seed);
/* Moves the time on and makes the next request; what it points to lives until the next call. */
void history_next(struct history *h, const struct weir_coord_state *s, struct weir_coord_request *q);

#endif
