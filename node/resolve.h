/* Rounds of name resolution: every name among a view's endpoints is asked for once, and when all have answered, whoever
 * asked hears whether anything is different. A name that does not resolve keeps the addresses it had. Control's thread.
 */
#ifndef WEIR_NODE_RESOLVE_H
#define WEIR_NODE_RESOLVE_H

#include "net/dns.h"
#include "node/view.h"

/* One name: what resolvers take for granted as the longest wait for an answer. */
#define WEIR_RESOLVE_TIMEOUT_MS 5000u

struct weir_resolve_entry {
    char *id; /* the endpoint's */
    struct weir_resolve *round;
    struct weir_addr addresses[WEIR_ADDRESSES_MAX];
    unsigned count; /* 0: did not resolve */
    bool answered;
    char problem[160]; /* why not */
};

struct weir_resolve {
    struct weir_resolve_entry *entries;
    unsigned count, pending;
    bool starting;
    void (*done)(struct weir_resolve *r);
    void *owner;
};

/* Has the resolver ask these; empty: as it is. It must be idle. False: out of memory, or not valid. */
bool weir_resolve_use_servers(struct weir_dns *dns, const struct weir_config_texts *servers);
/* Starts a round; done is called once, perhaps from inside this call. False: one is under way, or out of memory. */
bool weir_resolve_start(struct weir_resolve *r, struct weir_dns *dns, const struct weir_view *v);
/* After done: whether a view built now would have other addresses than v. */
bool weir_resolve_differs(const struct weir_resolve *r, const struct weir_view *v);
/* Puts the answers into a view that is not published yet. Errors: WEIR_ENOMEM. */
int weir_resolve_apply(const struct weir_resolve *r, struct weir_view *v);
/* Frees the answers; a new round may be started. */
void weir_resolve_clear(struct weir_resolve *r);

#endif
