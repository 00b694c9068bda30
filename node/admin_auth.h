/* Who may see weir's pages: whoever has the admin token, or comes from a network in server.admin.allow. */
#ifndef WEIR_NODE_ADMIN_AUTH_H
#define WEIR_NODE_ADMIN_AUTH_H

#include "node/request.h"

/* How a browser is asked for the token: as the password of whatever user. */
#define WEIR_ADMIN_BROWSER_CHALLENGE \
    "Basic realm=\"weir: any name, and the admin token as the password\", charset=\"UTF-8\""

/* The token counts as a bearer token (RFC 6750), and, so that a browser can send it, as a password (RFC 7617). A
 * browser sends a password unasked, whichever site made it ask: such a one is good for reading (GET and HEAD) and
 * nothing else. */
bool weir_admin_allowed(const struct weir_request *r);

#endif
