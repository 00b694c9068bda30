/* TLS sessions kept for one endpoint, so that its next connection resumes instead of proving everything again. Bounded,
 * thread-safe; touched at handshakes and when a ticket arrives, never on a request's way.
 *
 * A TLS 1.3 ticket is handed out once (RFC 8446, C.4), the newest first; a TLS 1.2 session may be used again until a
 * newer one takes its place. A session is given only to the configuration under which it was made: one that was made
 * without a check of certificates must not get around a check that was turned on since. */
#ifndef WEIR_NET_TLS_SESSIONS_H
#define WEIR_NET_TLS_SESSIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/err.h"

/* Servers send one or two tickets a connection; a burst of as many new connections as this resumes. */
#define WEIR_TLS_SESSIONS_MAX 8u
/* With the peer's certificate in it, as TLS 1.2 keeps it; larger sessions are not kept. */
#define WEIR_TLS_SESSION_BYTES_MAX ((size_t)8192)

struct weir_tls_sessions;

/* One reference, the caller's. NULL: out of memory. */
struct weir_tls_sessions *weir_tls_sessions_new(void);
struct weir_tls_sessions *weir_tls_sessions_ref(struct weir_tls_sessions *s);
/* Any thread; nulls. The last one wipes and frees. */
void weir_tls_sessions_unref(struct weir_tls_sessions **s);
/* Copies. `once`: a TLS 1.3 ticket. When full the oldest goes. Out of memory: it is not kept. */
void weir_tls_sessions_put(struct weir_tls_sessions *s, uint64_t config_id, bool once, const uint8_t *p, size_t n);
/* Bytes put into buf, 0: none is kept for this configuration; those of others are dropped on the way. */
size_t weir_tls_sessions_take(struct weir_tls_sessions *s, uint64_t config_id, uint8_t buf[WEIR_TLS_SESSION_BYTES_MAX]);
/* How many are kept now. */
size_t weir_tls_sessions_count(struct weir_tls_sessions *s);

#endif
