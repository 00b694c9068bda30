/* Which endpoint of its provider a try goes to: not one that has failed this request while another is left, not one
 * whose circuit is open, one in health before one that is not; among those that are left, in turn by weight, the less
 * loaded of two (core/wrr, core/balance), or the first in the order of the request's shard that has no more than its
 * bounded share to do (core/shard_map). On the worker's own thread, without a lock while circuits are closed. */
#ifndef WEIR_NODE_CHOOSE_H
#define WEIR_NODE_CHOOSE_H

#include "node/view.h"

struct weir_worker;

enum weir_choice {
    WEIR_CHOSEN,
    WEIR_CHOICE_NO_ADDRESS, /* no endpoint's name resolves */
    WEIR_CHOICE_BUSY,       /* those that may be asked have as many requests as they bear (node/concurrency.h) */
    WEIR_CHOICE_ASKED, /* the cluster has been asked for a probe, and may grant one any moment, or has just now: else
                          like OPEN, or nobody but this request would use it */
    WEIR_CHOICE_OPEN,  /* all circuits are open, half open with their probes out, or cooling */
};

struct weir_choosing {
    const struct weir_view_provider *provider;
    struct weir_worker *worker;
    uint64_t tried;         /* endpoints that have failed this request, a bit for each slot */
    uint64_t only;          /* no others may be chosen, likewise; 0: any may */
    uint64_t permit_end_ms; /* it waits for a probe's permit, until then at most; 0: it has not yet */
    bool by_load;           /* the less loaded of two, whatever the provider's configuration says */
    bool by_shard;          /* in the order of this shard: */
    uint32_t shard;

    /* CHOSEN: */
    const struct weir_view_endpoint *endpoint;
    struct weir_breaker_ticket ticket; /* to be given back to its circuit */
    uint64_t may_serve;                /* slots whose connections will do as well */

    uint64_t wait_ms; /* OPEN: until the first may be asked again; 0: at any moment */
};

/* Whether latencies are compared: they must then be measured. */
static inline bool weir_choose_compares(const struct weir_view_provider *p, bool by_load)
{
    return by_load || p->config->http.balance == WEIR_CONFIG_BALANCE_LEAST_LOADED;
}

enum weir_choice weir_choose(struct weir_choosing *c);

/* Whether a try at that time would find an endpoint; *elsewhere: one that has not been tried. */
bool weir_choose_could(const struct weir_choosing *c, uint64_t at_ms, bool *elsewhere);

#endif
