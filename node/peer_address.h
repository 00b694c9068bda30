/* Where peers reach this node, when the configuration leaves it open. */
#ifndef WEIR_NODE_PEER_ADDRESS_H
#define WEIR_NODE_PEER_ADDRESS_H

#include "core/config.h"
#include "core/coord.h"
#include "net/addr.h"

/* What the peer listener is to be bound to: distributed_pool.peer_listen, or the host of the first address for clients
 * with a port of the kernel's choice. Errors: WEIR_EINVAL. */
WEIR_MUST_USE int weir_peer_address_listen(struct weir_addr *out, const struct weir_config *config,
                                           struct weir_err *err);
/* What this node tells the others: distributed_pool.advertise, or what was bound. Of a wildcard it is the address by
 * which this machine reaches the store, else its first one that is not loopback, else loopback: then all nodes are on
 * one machine. store_host: "" or a name says nothing. Looks at the machine's interfaces, asks nobody. */
void weir_peer_address_tell(char out[WEIR_ADVERTISE_MAX + 1], const struct weir_config *config,
                            const struct weir_addr *bound, const char *store_host);

#endif
