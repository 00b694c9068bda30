/* Which endpoint a try goes to: power of two choices on in-flight x peak-EWMA of first-byte time (Finagle's load
 * metric). Of two endpoints drawn by weight the cheaper one is taken, so that whoever decides on numbers that are a
 * little old does not send everything to the same one. Plain data, no clock; chance is an argument.
 *
 * First-byte time rather than the whole exchange, since that one follows the length of the answer. */
#ifndef WEIR_CORE_BALANCE_H
#define WEIR_CORE_BALANCE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/pool.h"

/* An old peak has lost 63 % of its say after this long (Finagle's default). */
#define WEIR_BALANCE_DECAY_US ((uint64_t)10000000)
/* What an endpoint without a measurement is taken for (Finagle's default). Beside others that have one, take the
 * slowest of those in its place: this default would keep a new endpoint out for most of a minute. */
#define WEIR_BALANCE_UNKNOWN_US ((uint64_t)1000000)
/* A failure counts as an answer this slow: an endpoint that refuses at once would else look like the fastest. */
#define WEIR_BALANCE_PENALTY_US ((uint64_t)5000000)
/* A new endpoint starts with this share of its weight, so that its first measurements come in at all. */
#define WEIR_BALANCE_START_SHARE 0.1

/* An endpoint's first-byte time, as its owner sees it. */
struct weir_balance_latency {
    double us;      /* as of at_us */
    uint64_t at_us; /* of the last measurement, or of the start */
    bool measured;  /* else `us` is the default */
    bool failed;    /* what came last was a failure */
};

/* A new endpoint, or one about which nothing is known. */
void weir_balance_latency_init(struct weir_balance_latency *l, uint64_t now_us);
/* A first byte came after so long: at once where that is above the estimate (peak) or the first one, else blended in by
 * the time since the last measurement. */
void weir_balance_answered(struct weir_balance_latency *l, uint64_t now_us, uint64_t first_byte_us);
/* A try failed after so long (never for a client that left). */
void weir_balance_failed(struct weir_balance_latency *l, uint64_t now_us, uint64_t took_us);
/* The estimate now. It falls towards 0 while nothing is measured, so that an endpoint passed over for its past is tried
 * again. Reading changes nothing: how often it is looked at has no say. */
double weir_balance_latency_us(const struct weir_balance_latency *l, uint64_t now_us);

/* What is known of one endpoint at the time of a choice. */
struct weir_balance_item {
    uint32_t weight;    /* 0: never chosen */
    uint32_t in_flight; /* requests that it is at work on */
    double latency_us;  /* weir_balance_latency_us */
    uint64_t up_ms;     /* for so long it has been in the set, or back in it */
    bool tried;         /* by this request */
    bool ejected;       /* by its health */
    bool closed;        /* cannot be used: its circuit is open, or it has no address */
};

/* Those of n <= WEIR_POOL_ENDPOINTS_MAX from which one may be chosen, as bits: not closed and with a weight; of these
 * the ones neither tried nor ejected; without any, the tried ones that are not ejected; without any, the ejected ones,
 * since a wrong health check must not be an outage. 0: none. */
uint64_t weir_balance_candidates(const struct weir_balance_item *items, unsigned n);

/* Index of the choice among the candidates, or -1 when there is none. random: all 64 bits uniform. slow_start_ms: in
 * this time after its start an endpoint's weight grows from a tenth to the whole; 0: at once. */
int weir_balance_pick(const struct weir_balance_item *items, unsigned n, uint64_t slow_start_ms, uint64_t random);

/* What comparing goes by: (in_flight + 1) x latency / weight in force. */
double weir_balance_cost(const struct weir_balance_item *item, uint64_t slow_start_ms);

#endif
