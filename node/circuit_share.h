/* An endpoint's circuit (node/circuit.h) as the node shares it with others: in a cluster it is one for all nodes, kept
 * in their store. Control takes the reports that this node owes and brings what the store says; a report that cannot
 * wait (a change, a probe's end, a wanted permit) rings control's bell. Changes that others have brought about are told
 * like the node's own. All of this is for control, whose log `by` names. */
#ifndef WEIR_NODE_CIRCUIT_SHARE_H
#define WEIR_NODE_CIRCUIT_SHARE_H

#include "core/cluster_agent.h"
#include "node/circuit.h"

/* The circuit is to be shared, and reports go out under that number (see weir_coord_node_number); it is as soon as the
 * store's one has been learnt. bell: rung when a report cannot wait; it outlives the circuit, or its workers. Legal
 * again. */
void weir_circuit_share(struct weir_endpoint *e, uint64_t now_ms, uint64_t node, struct weir_bell *bell);
/* Whether a report is owed, and in what haste. */
bool weir_circuit_owes(struct weir_endpoint *e, uint64_t now_ms, enum weir_cluster_haste *haste);
/* Moves the report out that is owed, if it is in no less haste than `least`, with the policy under which it is to be
 * applied. Of a circuit that the store has not told of yet an empty one, for the sake of the answer. False: none is
 * owed. Lost if it is not delivered. */
bool weir_circuit_take_report(struct weir_endpoint *e, uint64_t now_ms, enum weir_cluster_haste least,
                              struct weir_breaker_report *report, struct weir_breaker_policy *policy);
/* The shared circuit as it was at store_ms on its store's clock. node: whose report changed it; "": not known. */
void weir_circuit_learn(struct weir_endpoint *e, const struct weir_circuit_caller *by,
                        const struct weir_breaker_sight *seen, uint64_t store_ms, const char *node);
/* The rest of the answer to this node's own report, which said that; learn first. */
void weir_circuit_granted(struct weir_endpoint *e, const struct weir_circuit_caller *by,
                          const struct weir_breaker_report *said, const struct weir_breaker_reply *reply,
                          uint64_t store_ms);
/* The store is away: on alone with what is known, until it is learnt again. */
void weir_circuit_alone(struct weir_endpoint *e, uint64_t now_ms);

#endif
