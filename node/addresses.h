/* The addresses that an endpoint's name resolves to, each with a health of its own: one of three pods that is dead is
 * found out and avoided while the endpoint as a whole goes on.
 *
 * An address is an object that views and connections refer to, counted like endpoint runtimes: views carry it on as
 * long as resolvers name it; when none does, it is marked gone and its connections end as they come back. Workers share
 * it by atomics alone. Nothing is stored while all is well but the turn of a dial.
 *
 * Health: what fails is a connect that failed or lost its race by the whole delay (net/dial.h), and a try that its
 * request judges a failure; what succeeds is a try, since whoever accepts may still answer nothing. So many in a row
 * (circuit_breaker.failure_threshold) put the address out for circuit_breaker.recovery_timeout; after that one more
 * failure puts it out again, one success clears it. At most half of the addresses that the name has now are out at a
 * time; were it more because others left, none counts as out. Out means: dialed only after all others have failed, and
 * its idle connections are not used. */
#ifndef WEIR_NODE_ADDRESSES_H
#define WEIR_NODE_ADDRESSES_H

#include <stdatomic.h>
#include <stdbool.h>

#include "core/err.h"
#include "net/addr.h"

/* Addresses kept of one name; resolvers give a handful. */
#define WEIR_ADDRESSES_MAX 16u
/* Until a configuration has been taken over: the defaults of the circuit breaker. */
#define WEIR_ADDRESS_FAILURES_MAX 5u
#define WEIR_ADDRESS_RECOVERY_MS  60000u

/* An endpoint's, in its runtime. A bit stands for an address. */
struct weir_addresses {
    _Atomic uint64_t used;    /* bits given to addresses that somebody still refers to */
    _Atomic uint64_t current; /* of the view in force */
    _Atomic uint64_t out;     /* avoided; of those whose time is over the bit goes when it is next looked at */
    _Atomic uint32_t turn;    /* of dials: each begins with another address */
    _Atomic uint32_t failures_max;
    _Atomic uint64_t recovery_ms;
};

struct weir_address {
    _Atomic uint32_t refs;
    _Atomic bool gone;         /* the name no longer resolves to it */
    _Atomic bool told_out;     /* it was put out, and has not succeeded since */
    _Atomic uint32_t failures; /* since the last success */
    _Atomic uint64_t out_until_ms;
    struct weir_addresses *of; /* whoever refers to an address refers to its endpoint too, and longer */
    uint64_t bit;              /* 0: none was left, so it is never out */
    struct weir_addr addr;
};

struct weir_address_list {
    struct weir_address *const *at;
    unsigned count;
};

void weir_addresses_init(struct weir_addresses *as);
/* Takes over the settings; failures_max is at least 1. */
void weir_addresses_configure(struct weir_addresses *as, uint32_t failures_max, uint64_t recovery_ms);
/* Control, when a view takes effect: these are the addresses now; those records of `before` that are not among them are
 * gone. */
void weir_addresses_take_effect(struct weir_addresses *as, struct weir_address_list now,
                                struct weir_address_list before);

/* NULL: out of memory. One reference, the caller's. */
struct weir_address *weir_address_new(struct weir_addresses *of, const struct weir_addr *addr);
void weir_address_ref(struct weir_address *a);
void weir_address_unref(struct weir_address *a);

enum weir_address_change { WEIR_ADDRESS_SAME, WEIR_ADDRESS_OUT, WEIR_ADDRESS_BACK };
/* A try ended well; or a connect or try did not. What it changed is told to the one caller who caused it, for the log:
 * that it is out is told once until it has succeeded again. */
enum weir_address_change weir_address_tried(struct weir_address *a, bool ok, uint64_t now_ms);
/* To be avoided now. */
bool weir_address_out(struct weir_address *a, uint64_t now_ms);

/* In which order to dial `in`, of which `known` has the records (one without is as good as any): families in turn,
 * beginning with that of the first address, which is the resolver's choice (RFC 6724); within a family from the next
 * one in turn on; then those that are out, then `avoid` (may be NULL). out has room for count, at most
 * WEIR_ADDRESSES_MAX.
 */
void weir_addresses_order(struct weir_addresses *as, struct weir_addr *out, const struct weir_addr *in, unsigned count,
                          struct weir_address_list known, const struct weir_addr *avoid, uint64_t now_ms);
/* The one with this address; NULL when there is none. */
struct weir_address *weir_addresses_find(struct weir_address_list list, const struct weir_addr *addr);

#endif
