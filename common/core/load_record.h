/* What was seen in one slot of time, provider by provider: by one node (which sends it to the store's stream of loads),
 * or by all of them and over several slots (which the leading coordinator folds out of these and keeps in the store).
 *
 * As text, one line for the whole and one for each provider, each ending in LF:
 *
 *     weir-load 1 node=node-a slot=176402988 nodes=1 in_flight_peak=31 utilization_pct=42 loop_lag_us=830
 *     provider openai requests=118 in_flight_mean=24310 in_flight_peak=31 ... hurting=1
 *
 * A number of 0 is left out, and so is one that nobody has measured (WEIR_LOAD_ABSENT); fields that the reader does not
 * know are passed over, so that members of another version understand each other. Comes from outside: bounded, and
 * refused whole when it is not of this form. Pure. */
#ifndef WEIR_CORE_LOAD_RECORD_H
#define WEIR_CORE_LOAD_RECORD_H

#include <stdint.h>

#include "core/coord.h"
#include "core/err.h"
#include "core/str.h"
#include "core/textbuf.h"

/* Of one record. What a node sees of further providers is not told. */
#define WEIR_LOAD_PROVIDERS_MAX 64u
/* Sixty-four providers with names and numbers of usual length; what does not fit is left out. */
#define WEIR_LOAD_RECORD_TEXT_MAX ((size_t)16 * 1024)
/* Of every number; larger ones are written as this, and refused when read. */
#define WEIR_LOAD_NUMBER_MAX UINT64_C(1000000000000000)
/* Of tokens_in and tokens_out: nobody counts them. */
#define WEIR_LOAD_ABSENT UINT64_MAX

/* X(field): all uint64_t. Sums are of the slot, or of all slots that were folded. */
#define WEIR_LOAD_POINT_MAP(X)                                                                                         \
    X(requests)          /* that came in */                                                                            \
    X(refused)           /* of these, with 429 or 503 by weir itself: a limit, a full queue, an open circuit */        \
    X(errors)            /* failed tries */                                                                            \
    X(in_flight_mean)    /* requests, in thousandths; over time */                                                     \
    X(in_flight_peak)    /* requests */                                                                                \
    X(connections_peak)  /* to the provider */                                                                         \
    X(leases)            /* connections lent to a request */                                                           \
    X(reused)            /* of these, used before */                                                                   \
    X(connects)          /* connections that came to be */                                                             \
    X(closed)            /* connections that ended */                                                                  \
    X(connect_us_sum)    /* of `connects` */                                                                           \
    X(exchanges)         /* answers received to their end */                                                           \
    X(exchange_us_sum)   /* of these, from the first byte sent */                                                      \
    X(first_byte_p50_us) /* from the first byte sent to the first received; of several nodes: the mean by exchanges */ \
    X(first_byte_p99_us) /* of several nodes: the highest */                                                           \
    X(tokens_in)         /* WEIR_LOAD_ABSENT: not counted */                                                           \
    X(tokens_out)                                                                                                      \
    X(hurting) /* nodes on which an alert that asks for a larger cluster fires: 0 or 1 of one node */

struct weir_load_point {
#define WEIR_LOAD_MEMBER(field) uint64_t field;
    WEIR_LOAD_POINT_MAP(WEIR_LOAD_MEMBER)
#undef WEIR_LOAD_MEMBER
};

struct weir_load_record {
    uint64_t slot;                   /* its number: since time 0 of the store's clock, in steps of its length */
    char node[WEIR_NODE_ID_MAX + 1]; /* "": folded */
    uint64_t nodes;                  /* that are in it: 1; folded: the most of a slot */
    uint64_t in_flight_peak;         /* requests to all providers at once; folded: summed over nodes */
    uint64_t utilization_pct;        /* of the limits in force, the fullest provider's; folded: the highest */
    uint64_t loop_lag_us;            /* longest turn of a loop; folded: the highest */
    uint64_t slots;                  /* folded: how many slots are in it */
    uint64_t safe_concurrency;       /* folded: requests that a node carries well (core/load_capacity); 0: not known */
    uint32_t count;
    struct weir_load_item {
        char provider[WEIR_PROVIDER_NAME_MAX + 1];
        struct weir_load_point point;
    } items[WEIR_LOAD_PROVIDERS_MAX];
};

/* All zero, but that tokens are absent. */
void weir_load_point_init(struct weir_load_point *p);
/* Takes the provider's item, or makes it (with an empty point). NULL: the record is full. */
struct weir_load_item *weir_load_record_item(struct weir_load_record *r, struct weir_str provider);
/* NULL: nothing is told of it. */
const struct weir_load_point *weir_load_record_find(const struct weir_load_record *r, const char *provider);
/* Of all providers together: requests, and the most in flight at once, which is less than the sum of the peaks where
 * the providers do not have theirs together. */
double weir_load_record_requests(const struct weir_load_record *r);
double weir_load_record_in_flight(const struct weir_load_record *r);
/* At most WEIR_LOAD_RECORD_TEXT_MAX bytes are added; returns how many providers were told, the first ones. Whether
 * memory was short is seen by out->failed. */
uint32_t weir_load_record_print(struct weir_textbuf *out, const struct weir_load_record *r);
/* Errors: WEIR_EPROTO; the record is not to be used then. */
WEIR_MUST_USE int weir_load_record_parse(struct weir_load_record *r, struct weir_str text, struct weir_err *err);

#endif
