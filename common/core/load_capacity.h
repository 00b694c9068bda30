/* How many requests at once a node carries well, as measured: of each node, what it had in flight at most in a slot,
 * scaled to the fullness at which another node is wanted, with a slow memory; and never below the highest that it has
 * lately carried without a refusal and without its loops running late. Of the cluster, the median of its nodes, so that
 * one odd node does not count. Pure. */
#ifndef WEIR_CORE_LOAD_CAPACITY_H
#define WEIR_CORE_LOAD_CAPACITY_H

#include "core/load_record.h"

/* A node is full at this much of its limits: what is above is left for bursts. */
#define WEIR_LOAD_FULL_PERCENT 85u
/* Below, a node says nothing of what it could carry. */
#define WEIR_LOAD_TELLING_PERCENT 10u
/* Up to here the loops are in time. */
#define WEIR_LOAD_LAG_US_MAX 50000u
/* A node that has told nothing for so many slots is forgotten. */
#define WEIR_LOAD_NODE_SLOTS 360u

struct weir_load_capacity {
    uint32_t count;
    double before; /* what was known when this one began: holds until something is measured; 0: nothing */
    struct weir_load_node {
        char id[WEIR_NODE_ID_MAX + 1];
        uint64_t slot;   /* its last one */
        double estimate; /* 0: none yet */
        double carried;  /* the highest without trouble, fading */
    } nodes[WEIR_CLUSTER_NODES_MAX];
};

/* A node's record; one of a slot that is no newer than its last is passed over. All zero is an empty one. */
void weir_load_capacity_take(struct weir_load_capacity *c, const struct weir_load_record *r);
/* 0: not known. */
uint64_t weir_load_capacity_safe(const struct weir_load_capacity *c, uint64_t slot);

#endif
