/* Connections that are opened before anybody asks for them, since hints tell of a peak: a few at a time, on one worker
 * after the other, within the pool's limits. They are idle ones like all others, and end like these. */
#ifndef WEIR_NODE_PREOPEN_H
#define WEIR_NODE_PREOPEN_H

#include "node/node.h"

/* A second and endpoint. */
#define WEIR_PREOPEN_RATE 8u

/* From control's thread, once a second: so that the provider comes to have `wanted` connections, in use or not, orders
 * some from a worker (turn: another one each time), to endpoints that are well. */
void weir_preopen(struct weir_node *node, const struct weir_view_provider *v, uint32_t wanted, unsigned turn);

#endif
