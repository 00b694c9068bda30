/* /api/cluster/overview: everything that the page at /dashboard shows, in one answer, so that who looks asks once a
 * second for one thing and all of it is of one moment and one node. It is made anew after WEIR_OVERVIEW_KEPT_MS at the
 * earliest: what looking costs a node does not grow with the number of those who look. On control's thread. */
#ifndef WEIR_NODE_OVERVIEW_H
#define WEIR_NODE_OVERVIEW_H

#include "node/admin.h"

#define WEIR_OVERVIEW_KEPT_MS 250u

/* All zero: nothing was made yet. */
struct weir_overview {
    struct weir_textbuf text;
    uint64_t made_ms;
};

/* Adds what was made last, if it is young enough still. False: it is not. */
bool weir_overview_recall(const struct weir_overview *o, struct weir_textbuf *out, uint64_t now_ms);
/* An object: .schema, and under the names of the pages below /api/cluster/ what these answer (.state, .nodes, .shards,
 * .breakers, .limits, .hints), .alerts as /api/alerts does, and .pools (core/render_overview.h). Errors: WEIR_ENOMEM.
 */
WEIR_MUST_USE int weir_overview_make(struct weir_overview *o, const struct weir_admin_sources *from, uint64_t now_ms);
void weir_overview_close(struct weir_overview *o);

#endif
