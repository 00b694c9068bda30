/* Opens the byte stream to a Redis server: resolve its name, race its addresses, shake hands. Or connect to a unix
 * socket. Each dial asks the name servers anew, so that a server that moved is found.
 *
 * Life: weir_redis_dial_start -> done, unless it is closed before. There is no clock over all of it: the owner's
 * deadline closes it. */
#ifndef WEIR_STORE_REDIS_DIAL_H
#define WEIR_STORE_REDIS_DIAL_H

#include "net/crypto_pool.h"
#include "net/dns.h"
#include "net/stream.h"
#include "net/tls_config.h"

/* "host:port" with the longest name, or "unix:" and the longest path. */
#define WEIR_REDIS_SERVER_TEXT_MAX (WEIR_DNS_NAME_MAX + 16)

struct weir_redis_dial;

struct weir_redis_dial_opts {
    const char *path; /* of a unix socket; NULL: host and port */
    const char *host; /* a name or an address, without brackets */
    uint16_t port;
    struct weir_dns *dns;            /* outlives the dial; closed after it */
    struct weir_tls_config *tls;     /* NULL: plain. A reference is taken */
    struct weir_crypto_pool *crypto; /* outlives the stream */
    const char *tls_name;            /* what the server must prove to be; NULL: host */
    uint64_t resolve_ms;
    /* Once, never from inside start, and the dial is gone: a started stream, the receiver's, whose owner and event are
     * to be set at once; or why there is none (valid during the call). */
    void (*done)(void *owner, struct weir_stream *stream, const struct weir_err *err);
    void *owner;
};

/* Texts are used until done. Errors: WEIR_ENOMEM. */
WEIR_MUST_USE int weir_redis_dial_start(struct weir_redis_dial **out, struct weir_reactor *r,
                                        const struct weir_redis_dial_opts *opts);
/* Ends it without `done`; nulls. Legal on NULL. */
void weir_redis_dial_close(struct weir_redis_dial **dial);
/* What it waits for: "its address", "the connection", "the TLS handshake". */
const char *weir_redis_dial_step(const struct weir_redis_dial *dial);

/* "10.0.0.1:6379", "[::1]:6379", "unix:/run/redis.sock". Returns buf. */
const char *weir_redis_server_text(const char *path, const char *host, uint16_t port,
                                   char buf[WEIR_REDIS_SERVER_TEXT_MAX]);

#endif
