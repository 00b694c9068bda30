/* The state of a coordinator's history, and what its two halves share; internal to core/coordinator_history*.c. */
#ifndef WEIR_CORE_COORDINATOR_HISTORY_INNER_H
#define WEIR_CORE_COORDINATOR_HISTORY_INNER_H

#include "core/coordinator_history.h"
#include "core/load_history.h"
#include "core/render_hints.h"

/* What is asked before anything else when the lead was gained, and what then. */
enum weir_history_stage { HISTORY_IDLE, HISTORY_ADVICE, HISTORY_SERIES, HISTORY_LIVE };

struct weir_coordinator_history {
    const char *id;
    struct weir_coordinator_history_config config;
    struct weir_coordinator_history_ports ports;
    uint64_t token;
    int64_t offset_ms; /* the store's clock less the own one */
    uint32_t nodes;
    bool sure;

    enum weir_history_stage stage;
    enum weir_load_step step;            /* SERIES: asked for, the longest first */
    uint64_t after;                      /* SERIES, LOADS: what was read up to */
    uint64_t request, due_ms;            /* the one question under way, 0: none; when to ask next */
    uint32_t folds_open;                 /* FOLDs without an answer yet */
    uint64_t advise_request;             /* 0: none is under way */
    uint64_t advice_version;             /* in the store */
    uint64_t now_ms, store_ms;           /* of the event under way */
    struct weir_load_history *loads;     /* NULL while IDLE */
    struct weir_load_forecast *forecast; /* likewise */
    struct weir_load_patterns patterns;
    struct weir_advisor advisor;
    struct weir_load_record last; /* the cluster's last slot; .slots is 0: none */

    bool made;               /* hints were made since the lead was gained */
    struct weir_hints hints; /* the newest */
    bool published_any;      /* since the lead was gained */
    struct weir_hints sent, published;
    uint64_t analytics_slot; /* with which analytics were published last */
    bool analytics_sent;     /* with the ADVISE under way */

    struct weir_load_record scratch; /* for parsing */
    uint64_t folded, fold_failures, advised, unreadable;
};

/* A slot is over: looks at what is ahead, and publishes it when that is news. */
void weir_history_advise(struct weir_coordinator_history *h, uint64_t now_ms);
/* The answer to ADVISE; false: the lead is lost. */
bool weir_history_advised(struct weir_coordinator_history *h, const struct weir_coord_reply *r);

#endif
