/* What control publishes to the workers: one immutable picture of the configuration and of where its endpoints are.
 *
 * Control makes a new view for each reload and each change of addresses, and posts it to every worker. A view lives
 * until the last worker has let it go. Within a worker holding it costs no atomics: the worker has one `hold` per view,
 * requests count in the hold, and the view hears of the worker once, when that count is zero and a newer view is there.
 *
 * Endpoint and provider runtimes are shared between views (weir_provider, weir_endpoint): they survive reloads. */
#ifndef WEIR_NODE_VIEW_H
#define WEIR_NODE_VIEW_H

#include "core/route.h"
#include "net/addr.h"
#include "net/stream.h"
#include "net/tls.h"
#include "net/tls_setup.h"
#include "node/runtime.h"

struct weir_cluster_view;

struct weir_view_endpoint {
    struct weir_endpoint *rt;
    const struct weir_config_endpoint *config;
    const struct weir_view_provider *provider;
    struct weir_addr *addresses;   /* NULL with count 0: not resolved */
    struct weir_address **records; /* likewise, in the same order: one reference to each */
    unsigned address_count;        /* at most WEIR_ADDRESSES_MAX */
    uint64_t hash;                 /* of its id, alike on every node */
    uint32_t settings;             /* another number once connections are made differently; rt->settings in time */
};

struct weir_view_provider {
    struct weir_provider *rt;
    const struct weir_config_provider *config;
    struct weir_view_endpoint *endpoints;
    unsigned endpoint_count;
    uint64_t slots;                  /* of the endpoints, a bit each */
    struct weir_str credential;      /* value of the field that carries the API key; empty: the client's own passes */
    struct weir_str credential_name; /* lower case */
    struct weir_tcp_opts *tcp;
    struct weir_tls_provider tls; /* the shared configuration's */
    bool is_link;                 /* to a peer of the cluster (node/cluster_view.h) */
};

/* A configuration shared by views: the one that was read last outlives address changes. */
struct weir_shared_config {
    _Atomic uint32_t refs;
    struct weir_config *config;
    struct weir_tls_setup *tls; /* owned; NULL: nothing of it speaks TLS */
};

struct weir_view {
    _Atomic uint32_t refs; /* control's, and one per worker that has it */
    uint64_t generation;   /* set when it is published */
    struct weir_shared_config *shared;
    const struct weir_config *config;  /* shared->config */
    struct weir_cluster_view *cluster; /* one reference, set before it is published; NULL: the node is alone */
    struct weir_view_provider *providers;
    unsigned provider_count;
    struct weir_routes routes;
    struct weir_arena arena; /* everything above */
};

/* Takes over config on success; one reference, the caller's. Without TLS: that is control's to read. NULL: out of
 * memory. */
struct weir_shared_config *weir_shared_config_new(struct weir_config *config);
void weir_shared_config_ref(struct weir_shared_config *s);
void weir_shared_config_unref(struct weir_shared_config *s);

/* Builds a view: runtimes and addresses that `before` (NULL: none) has are taken over. One reference, the caller's; the
 * configuration gains one. Errors: WEIR_ENOMEM, WEIR_ELIMIT (too many endpoints). */
int weir_view_new(struct weir_view **out, struct weir_shared_config *shared, const struct weir_view *before,
                  unsigned worker_count, struct weir_err *err);
/* The runtime of an endpoint by its id; NULL: p has none such. */
struct weir_endpoint *weir_view_endpoint_named(const struct weir_view_provider *p, const char *id);
static inline struct weir_address_list weir_view_records(const struct weir_view_endpoint *e)
{
    return (struct weir_address_list){e->records, e->address_count};
}
/* How TLS with it begins, but for its pool and counters: whom the peer must prove to be, and what it is shown. A
 * provider's client certificate is not shown where a redirect leads. */
struct weir_tls_opts weir_view_tls(const struct weir_view_endpoint *e);
/* Whether connections that were opened as `old` says may serve who asks by p: TLS and HTTP version are the same. */
bool weir_view_connects_alike(const struct weir_view_provider *p, const struct weir_view_provider *old);
/* Before it is published only: replaces one endpoint's addresses; those it had keep their records. WEIR_ENOMEM leaves
 * the old ones. */
int weir_view_set_addresses(struct weir_view *v, struct weir_view_endpoint *e, const struct weir_addr *addresses,
                            unsigned count);
/* The same for an endpoint whose lists are in that arena: those that `old` (may be e) has keep their records. Errors:
 * WEIR_ENOMEM, as above. */
int weir_view_endpoint_set_addresses(struct weir_view_endpoint *e, struct weir_arena *a,
                                     const struct weir_addr *addresses, unsigned count,
                                     const struct weir_view_endpoint *old);
/* Gives back what it refers to: its runtime and its addresses' records. */
void weir_view_endpoint_end(struct weir_view_endpoint *e);
/* What `before` had and v has not is marked retired; limits of v come into force. Called right before publishing. */
void weir_view_take_effect(const struct weir_view *v, const struct weir_view *before);
/* Whether a (NULL: no) is among the addresses of e. */
bool weir_view_has_address(const struct weir_view_endpoint *e, const struct weir_address *a);
void weir_view_ref(struct weir_view *v);
void weir_view_unref(struct weir_view *v);

/* -- a worker's hold -- */

struct weir_hold {
    struct weir_view *view;
    uint32_t users; /* requests and dials of this worker */
    bool current;   /* the worker's newest: kept though nobody uses it */
};

/* NULL: out of memory. Takes over the caller's reference to the view on success. */
struct weir_hold *weir_hold_new(struct weir_view *v);
static inline struct weir_hold *weir_hold_use(struct weir_hold *h)
{
    h->users++;
    return h;
}
void weir_hold_drop(struct weir_hold *h);
/* A newer one has come. */
void weir_hold_supersede(struct weir_hold *h);

#endif
