/* An origin outside a provider's endpoints, to which the provider has redirected a request
 * (http_client.follow_redirects: true).
 *
 * It has the runtime and the view's side of an endpoint, so that a try goes there like anywhere else; but it is no
 * endpoint of the provider. It is born retired and has no slot: no other request is served by its connections, which
 * carry one exchange each and count in the provider's limits; nothing chooses it, checks it, or shows it, and what is
 * found out about it ends with it. Its name is asked for on the worker, at each connection.
 *
 * The two sides live as long as the runtime is referred to: by the request, and by dials and connections, which may
 * outlast it. Any thread may end it. */
#ifndef WEIR_NODE_FOREIGN_H
#define WEIR_NODE_FOREIGN_H

#include "node/view.h"

struct weir_foreign {
    struct weir_config_endpoint config;
    struct weir_view_endpoint at;
    char text[]; /* of config */
};

/* The caller has one reference to ->rt, and ends with it what is returned. p must be held while a try is under way.
 * NULL: out of memory. */
const struct weir_view_endpoint *weir_foreign_new(const struct weir_view_provider *p,
                                                  const struct weir_config_endpoint *origin);

#endif
