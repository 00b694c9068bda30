/* What the parts of an upstream connection share: upstream_open.c (from the pool's wish to an open connection),
 * upstream.c (in use, parked, moving). */
#ifndef WEIR_NODE_UPSTREAM_INNER_H
#define WEIR_NODE_UPSTREAM_INNER_H

#include "node/upstream.h"

/* -- upstream_open.c -- */

/* The connector's open. */
struct weir_pool_conn *weir_upstream_begin(void *arg, struct weir_endpoint *e, const void *target,
                                           struct weir_err *why);
/* The connector's places. */
uint32_t weir_upstream_places(void *arg, const struct weir_endpoint *e, const void *target);
/* It is not to be opened any more: counts, and tells the pool, which closes it. */
void weir_upstream_open_failed(struct weir_upstream *u, const struct weir_err *why);
/* How its handshake ended, `fail` NONE: well. Says so when handshakes with the endpoint begin to fail, fail for another
 * reason, or work again. */
void weir_upstream_note_handshake(struct weir_upstream *u, enum weir_tls_fail fail, const char *reason);
/* Calls off what is under way. Legal on one that is open. */
void weir_upstream_stop_opening(struct weir_upstream *u);

/* -- upstream.c -- */

/* The ping deadline. */
void weir_upstream_ping_due(struct weir_deadline *d, uint64_t now_ms);
/* The stream is connected: HTTP begins on it, HTTP/2 if that was agreed. False: out of memory; the stream is closed all
 * the same. */
bool weir_upstream_run(struct weir_upstream *u, struct weir_stream *s, bool http2);

#endif
