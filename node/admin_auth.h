/* Who may see weir's pages: whoever has the admin token, or comes from a network in server.admin.allow. */
#ifndef WEIR_NODE_ADMIN_AUTH_H
#define WEIR_NODE_ADMIN_AUTH_H

#include "node/request.h"

/* How a browser is asked for the token: as the password of whatever user. */
#define WEIR_ADMIN_BROWSER_CHALLENGE \
    "Basic realm=\"weir: any name, and the admin token as the password\", charset=\"UTF-8\""

enum weir_admin_access {
    WEIR_ADMIN_ALLOWED,
    WEIR_ADMIN_TOKEN_WANTED, /* neither the token nor an allowed address */
    WEIR_ADMIN_HOST_FOREIGN, /* an allowed address, but Host is a name that is not the node's (core/own_host.h) */
};

/* The token counts as a bearer token (RFC 6750), and, so that a browser can send it, as a password (RFC 7617). A
 * browser sends a password unasked, whichever site made it ask: such a one is good for reading (GET and HEAD) and
 * nothing else. It shows an address unasked, too: with that alone the node must be asked for under a name of its own,
 * for reading as well, since over plain HTTP nothing else in a GET tells of a page whose name was rebound. */
enum weir_admin_access weir_admin_access_of(const struct weir_request *r);

#endif
