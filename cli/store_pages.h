/* What the store knows of a cluster, as the pages that a node would answer (/api/cluster/state, nodes, shards, map,
 * breakers, hints, events): the same fields, as far as the store has them; and the load history (CTL_STORE_HISTORY),
 * which nodes have no page for. Pure. What comes from the store has been
 * read within bounds (common/store); its texts are somebody else's all the same.
 *
 * Unlike on a node's page, owners are the map's (nobody stands in for a silent one), and who lives is judged by the
 * members' silence alone. */
#ifndef WEIR_CLI_STORE_PAGES_H
#define WEIR_CLI_STORE_PAGES_H

#include <jansson.h>

#include "cli/store_history.h"
#include "core/shard_map.h"

#define CTL_STORE_HISTORY "/store/history"

/* The answers as they come in, each kept as JSON; all zero is none. */
struct ctl_store_pages {
    json_t *members;  /* [{...}], ascending by id */
    json_t *map;      /* {epoch, leader, shard_count, owners, map (its text)}; all of it empty: none is published */
    json_t *lead;     /* {coordinator, lease_seconds, terms}, as a node's page has it */
    json_t *circuits; /* [{...}] */
    json_t *hints;    /* the object, or one that says that there are none */
    json_t *events;   /* [{...}] */
    struct ctl_store_history history; /* begun by who asks for it */
};

/* Keeps what the answer says; others are passed over. silent_ms: who has been silent for longer does not live. Errors:
 * WEIR_EPROTO (a map that is none), WEIR_ENOMEM. */
WEIR_MUST_USE int ctl_store_pages_take(struct ctl_store_pages *p, const struct weir_coord_reply *r, uint64_t silent_ms,
                                       struct weir_err *err);
void ctl_store_pages_close(struct ctl_store_pages *p);

/* Whether the store knows the cluster at all: it has members or a map. For after the answers to a page's operations. */
bool ctl_store_pages_any(const struct ctl_store_pages *p);

/* The operations that a page is made of, MEMBERS and MAP always, ended by WEIR_COORD_OPS; NULL: the store does not have
 * what is on it. */
#define CTL_STORE_OPS_MAX 4u
const enum weir_coord_op *ctl_store_page_ops(const char *page);
/* A new answer, once all of these have been taken. store: as it is shown; cluster: its name. NULL: out of memory. */
json_t *ctl_store_page(const struct ctl_store_pages *p, const char *page, const char *store, const char *cluster);

#endif
