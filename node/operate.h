/* What operators have a node do: POST /api/node/{drain,undrain,reload} and /api/breaker/{open,close,reset}. A node may
 * be asked for another one, which is then told through the store; circuits are the cluster's anyway. On control's
 * thread.
 *
 * A drained node goes on: its shards go to the others, its load balancer is told by /health/ready, and what comes all
 * the same is served, until it is taken back or ended. */
#ifndef WEIR_NODE_OPERATE_H
#define WEIR_NODE_OPERATE_H

#include "node/admin.h"

struct weir_control;

/* False: the call is none of these. True: its answer, or refusal, is filled in. */
bool weir_operate(struct weir_control *c, struct weir_admin_call *call);
/* An event of a member, just now: it may ask this node for something. */
void weir_operate_hear(struct weir_control *c, struct weir_str event);

/* -- on a worker (node/operate_ask.c) -- */

/* The request comes from a page of another site, by way of a browser. */
bool weir_operate_is_cross_site(const struct weir_request *r);
/* Fills in what is operated on, if the question says. False: it is named in a way that cannot be read. */
bool weir_operate_read_target(struct weir_admin_call *call, const struct weir_request *r);
/* Answers with why control did not do it. */
void weir_operate_refuse(struct weir_request *r, const struct weir_admin_call *call);

#endif
