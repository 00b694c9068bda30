/* What a cluster should get ready for: from what is there now and what is forecast, how many nodes it wants, and for
 * each provider how large its pools and how long its clocks should be. The leading coordinator publishes it; nodes,
 * autoscalers and people read it.
 *
 * - Nodes wanted: the requests in flight that nine of ten values of the window stay under, over what a node carries
 *   well (measured, or configured); never fewer than what is in flight now takes.
 * - More is advised at most once per cooldown, but at once when it hurts already: requests refused, a node at
 *   WEIR_LOAD_FULL_PERCENT of its limits, an alert that asks for it. Where nodes are full, or an alert asks, although
 *   the forecast does not want more, one more than there are is advised, at most once per cooldown.
 * - Fewer is advised when for a whole cooldown the whole window needed fewer, with a tenth to spare, no node was full
 *   and no alert asked for more: as many as it needed at most. Nodes that came without advice are left alone for a
 *   cooldown, too.
 * - While too little is known, what is there is right: more than were advised at once, fewer when there have been fewer
 *   for a cooldown, so that a node that is being restarted is not advised away.
 *
 * Times are of the store's clock. Pure. */
#ifndef WEIR_CORE_ADVISOR_H
#define WEIR_CORE_ADVISOR_H

#include "core/load_forecast.h"
#include "core/load_patterns.h"
#include "core/tuning.h"

/* Steps to be seen before the number of nodes follows a forecast. */
#define WEIR_ADVISOR_SEEN_MIN 12u
/* What is published holds so long, and at least for WEIR_ADVISOR_LIFE_SLOTS. It is published anew after a third of it.
 */
#define WEIR_ADVISOR_LIFE_MS_MIN UINT64_C(180000)
#define WEIR_ADVISOR_LIFE_SLOTS  6u
#define WEIR_ADVISOR_REASON_MAX  200u

enum weir_advisor_action { WEIR_ADVISOR_HOLD, WEIR_ADVISOR_SCALE_UP, WEIR_ADVISOR_SCALE_DOWN };
const char *weir_advisor_action_text(enum weir_advisor_action a); /* "hold", "scale_up", "scale_down" */

struct weir_advisor_provider {
    char name[WEIR_PROVIDER_NAME_MAX + 1];
    double timeout_s; /* as configured: of a whole exchange */
};

struct weir_advisor_config {
    uint64_t slot_ms, window_ms, cooldown_ms;
    uint64_t safe_concurrency; /* per node; 0: as measured */
    double timeout_s;          /* of a provider that is not among these */
    uint32_t provider_count;
    struct weir_advisor_provider providers[WEIR_LOAD_PROVIDERS_MAX];
};

/* What is there now. */
struct weir_advisor_now {
    uint64_t store_ms;
    uint32_t nodes;                      /* that serve */
    uint64_t safe_concurrency;           /* as measured; 0: not known */
    const struct weir_load_record *last; /* the cluster's last slot; NULL: none */
    const struct weir_load_forecast *forecast;
    const struct weir_load_patterns *patterns;
};

struct weir_hints_measure {
    double now;
    struct weir_load_peak ahead;
};

struct weir_hints {
    uint64_t at_ms, valid_until_ms;
    uint64_t window_ms, step_ms;
    enum weir_advisor_action action;
    uint32_t nodes, desired_nodes;
    uint64_t safe_concurrency; /* per node; 0: not known */
    uint64_t since_ms;         /* when desired_nodes was changed last; 0: never */
    struct weir_hints_measure in_flight, requests_s;
    char reason[WEIR_ADVISOR_REASON_MAX];
    uint32_t count;
    struct weir_hints_provider {
        char provider[WEIR_PROVIDER_NAME_MAX + 1];
        struct weir_hints_measure in_flight, requests_s;
        uint32_t pool_size, pool_size_now; /* of the whole cluster: for what is ahead, for what is; 0: not measured */
        struct weir_tuning_timeouts timeouts;
        char reason[WEIR_ADVISOR_REASON_MAX];
    } providers[WEIR_LOAD_PROVIDERS_MAX]; /* by name */
};

struct weir_advisor {
    struct weir_advisor_config config;
    uint32_t desired; /* 0: nothing was advised yet */
    uint64_t changed_ms;
    uint64_t fewer_from_ms; /* since when fewer would do; 0: they would not */
    uint32_t fewer_most;    /* that were needed since then */
    uint64_t looked_ms;     /* the last look */
    bool blind;             /* too little was known at the last look */
    uint64_t one_more_ms;   /* when one more than there are was advised */
    uint32_t nodes;         /* at the last look */
    uint64_t grown_ms;      /* when there came to be more of them */
};

void weir_advisor_init(struct weir_advisor *a, const struct weir_advisor_config *c);
/* Reloaded. */
void weir_advisor_set(struct weir_advisor *a, const struct weir_advisor_config *c);
/* What another leader, or this one before its restart, has advised, and when that was changed. */
void weir_advisor_recall(struct weir_advisor *a, uint32_t desired_nodes, uint64_t changed_ms);
/* Once per slot. */
void weir_advisor_look(struct weir_advisor *a, const struct weir_advisor_now *now, struct weir_hints *out);
/* Whether it is to be published, where `before` is what was last: another advice, a pool by more than a tenth, or a
 * third of its life is over. */
bool weir_hints_news(const struct weir_hints *h, const struct weir_hints *before);

#endif
