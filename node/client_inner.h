/* What the parts of a client's connection share: client_open.c (from accept to HTTP), client.c (HTTP and its clocks).
 */
#ifndef WEIR_NODE_CLIENT_INNER_H
#define WEIR_NODE_CLIENT_INNER_H

#include "node/client.h"

/* -- client_open.c -- */

/* The connection has been accepted: begins to find out what it speaks. */
void weir_client_open(struct weir_client *c);

/* -- client.c -- */

/* HTTP begins; early: bytes that were read already. The client may be gone afterwards. */
void weir_client_run(struct weir_client *c, bool http2, const uint8_t *early, size_t early_len);
/* Closes the connection; no callback follows. */
void weir_client_end(struct weir_client *c, bool reset);

#endif
