/* The coordinator's hints as a node follows them: read from their JSON, which comes from the store and is trusted no
 * further than it can be checked, and what of them concerns one node at one moment. Times are unix milliseconds of the
 * store's clock. Pure. What the JSON holds beside this is for those who look at it, see docs/hints.md. */
#ifndef WEIR_CORE_ADVICE_H
#define WEIR_CORE_ADVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/coord.h"
#include "core/err.h"
#include "core/textbuf.h"

/* Further ones are passed over. */
#define WEIR_ADVICE_PROVIDERS_MAX 64u
/* Whatever hints say, they are not followed for longer: who gave them may be long gone. */
#define WEIR_ADVICE_LIFE_MS_MAX 3600000u
/* The clocks of the store and of whoever gave the hints may differ by so much. */
#define WEIR_ADVICE_SLACK_MS 60000u
/* Connections are opened from so long before a predicted peak on. */
#define WEIR_ADVICE_AHEAD_MS 60000u
/* Of connections and of requests; larger ones are refused. */
#define WEIR_ADVICE_NUMBER_MAX 1e9

enum weir_advice_action { WEIR_ADVICE_HOLD, WEIR_ADVICE_SCALE_UP, WEIR_ADVICE_SCALE_DOWN, WEIR_ADVICE_ACTIONS };
const char *weir_advice_action_text(enum weir_advice_action a); /* "hold", "scale_up", "scale_down" */

struct weir_advice_peak {
    double now, peak, peak_high; /* the forecast's 0.5 and 0.9 */
    uint64_t at_ms;
};

struct weir_advice_provider {
    char name[WEIR_PROVIDER_NAME_MAX + 1];
    uint32_t pool_size;                /* connections, of the whole cluster; 0: nothing is advised */
    struct weir_advice_peak in_flight; /* requests, likewise */
};

struct weir_advice {
    bool none; /* whoever leads makes no hints, for that reason; the rest is 0, and so never valid */
    uint64_t at_ms, valid_until_ms;
    enum weir_advice_action action;
    uint32_t nodes, desired_nodes;
    char reason[256]; /* "" where there is none */
    uint32_t provider_count;
    struct weir_advice_provider providers[WEIR_ADVICE_PROVIDERS_MAX];
};

/* Errors: WEIR_EPROTO (it is no JSON, a number is missing or out of bounds, a schema of another time), WEIR_ENOMEM;
 * *out is of no use then. */
WEIR_MUST_USE int weir_advice_parse(struct weir_advice *out, struct weir_str hints, struct weir_err *err);
/* It may be followed at this time. */
bool weir_advice_is_valid(const struct weir_advice *a, uint64_t store_ms);
/* Why there is nothing to follow, for those who look: version is the store's (0: none were ever published), a is NULL
 * where they could not be read, and else not valid. Static, or in a. */
const char *weir_advice_why_none(uint64_t version, const struct weir_advice *a);
/* NULL: nothing is said of that provider. */
const struct weir_advice_provider *weir_advice_of(const struct weir_advice *a, const char *provider);

/* The part of the whole cluster's connections that one node has: so many shards of all, or one of the nodes. */
struct weir_advice_share {
    uint32_t own, all; /* all > 0 */
};
/* Rounded up. */
uint32_t weir_advice_part(uint32_t whole, struct weir_advice_share share);
/* Connections that this node has open by now so that the predicted peak finds them, where each carries `places`
 * requests at once (at least 1): for its part of the peak's 0.9, and within its part of the pool's size. 0: it is not
 * the time. */
uint32_t weir_advice_ahead(const struct weir_advice_provider *p, struct weir_advice_share share, uint32_t places,
                           uint64_t store_ms);

/* The event that tells of a change of the action, a JSON object below WEIR_COORD_EVENT_MAX: hint_action, with action,
 * nodes, desired_nodes, node. Errors: WEIR_ENOMEM. */
WEIR_MUST_USE int weir_advice_event(struct weir_textbuf *out, const struct weir_advice *a, const char *node);

#endif
