/* The TLS configurations that one reading of the node's configuration comes to: files are read here, once, when the
 * node starts or reads its configuration again, so a reload renews certificates. Immutable once made; shared by the
 * views of that configuration. A connection keeps its own reference to the one that it was opened with. */
#ifndef WEIR_NET_TLS_SETUP_H
#define WEIR_NET_TLS_SETUP_H

#include "core/config.h"
#include "net/tls_config.h"

struct weir_tls_provider {
    struct weir_tls_config *own;     /* NULL: none of its endpoints is https */
    struct weir_tls_config *foreign; /* what it redirects to elsewhere: the same trust, but its client certificate is
                                        not shown there. NULL: no redirect leaves it */
};

struct weir_tls_setup {
    struct weir_tls_config *server; /* NULL: listeners speak plain */
    struct weir_tls_config
        *webhook; /* trusts the system's authorities: for alerts and traces; NULL: neither goes to https */
    /* distributed_pool.peer_tls, both ends; NULL: it has no certificate, and peers speak plain. */
    struct weir_tls_config *peer_server, *peer_client;
    struct weir_tls_config *store;       /* distributed_pool.redis_tls; NULL: the store is not reached over TLS */
    struct weir_tls_provider *providers; /* by index in the configuration */
    size_t provider_count;
    int64_t watched_unix_s; /* control's: when its certificates were last looked at; 0: not yet */
};

/* Blocks on files. Errors (naming the key's provider or section, the file, the problem): WEIR_ENOTFOUND, WEIR_EIO,
 * WEIR_EINVAL, WEIR_ENOMEM; *out is then NULL. */
WEIR_MUST_USE int weir_tls_setup_new(struct weir_tls_setup **out, const struct weir_config *config,
                                     struct weir_err *err);
/* The same, for its problems alone: `tell` hears the first of the server, the webhook, the peers, the store and each
 * provider; err has the first of all. */
typedef void weir_tls_problem_fn(const struct weir_err *problem);
WEIR_MUST_USE int weir_tls_setup_check(const struct weir_config *config, weir_tls_problem_fn *tell,
                                       struct weir_err *err);
/* Nulls; NULL is legal. */
void weir_tls_setup_free(struct weir_tls_setup **t);

#endif
