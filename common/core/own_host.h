/* Whether a request names this node by a host that no stranger can have put into a browser's mouth (DNS rebinding): a
 * page of evil.example whose name is made to resolve to the node's address is, to a browser, of the same origin as the
 * node, so neither Origin nor the client's address tells. The name does: it is the one the page came from. Pure. */
#ifndef WEIR_CORE_OWN_HOST_H
#define WEIR_CORE_OWN_HOST_H

#include "core/config.h"

/* Of the authority of a request (Host, or :authority), with or without port. These are the node's own:
 * - none at all, which no browser sends (HTTP/1.0);
 * - an IP address: no name was asked for it;
 * - localhost and what is below it, which browsers resolve themselves (RFC 6761 section 6.3);
 * - a name of one label, as containers and services have them: no public name has only one;
 * - the host of distributed_pool.advertise, and those of server.admin.hosts. */
bool weir_own_host(const struct weir_config *c, struct weir_str authority);

#endif
