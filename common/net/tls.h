/* TLS as a stream over another stream, both sides (RFC 8446, RFC 5246), by mbedTLS. Knows nothing of HTTP.
 *
 * Life: weir_tls_wrap takes a stream -> weir_stream_start starts that one, then shakes hands -> started -> records. The
 * handshake's arithmetic runs on the crypto pool over memory; the reactor's thread moves the ciphertext and, once it is
 * open, does the records. Failure paths, in order: the stream below does not start (its own code and sentence); the
 * pool's queue is full (WEIR_ELIMIT); the peer goes away (WEIR_ECLOSED); a check fails, the peer refuses, or breaks the
 * protocol (WEIR_ETLS, and weir_tls_failed tells which). There is no clock in here: the owner's deadline closes it.
 *
 * Reading: 0 is an orderly end (close_notify). An end without it is WEIR_TLS_TRUNCATED, so that a body that is
 * delimited by the end of the connection is not silently cut. `ready` follows the stream below; records already
 * received count as `pending`. Writing: bytes are taken once their record is with the stream below; after
 * WEIR_STREAM_AGAIN the same bytes must be offered again first (an outbox does). One event's reads decrypt a bounded
 * share, then others get theirs.
 *
 * What mbedTLS 3.6 lacks: KeyUpdate (a peer that sends one ends the connection, WEIR_TLS_BROKEN); and RSA-PSS in TLS
 * 1.2, though TLS 1.3 needs it offered: a server that speaks 1.2 only, has an RSA key and puts its own order of
 * signatures first is refused (WEIR_TLS_FAIL_PROTOCOL). Those that follow the client's order, as most do, are not. */
#ifndef WEIR_NET_TLS_H
#define WEIR_NET_TLS_H

#include <errno.h>
#include <stdatomic.h>

#include "net/crypto_pool.h"
#include "net/stream.h"
#include "net/tls_config.h"
#include "net/tls_sessions.h"

#define WEIR_TLS_TRUNCATED ((ssize_t)-ECONNABORTED) /* of read: the connection ended without close_notify */
#define WEIR_TLS_BROKEN    ((ssize_t)-EBADMSG)      /* of read, write: an alert came, or what came makes no sense */

/* Bytes given along with a stream that is started already (the rest behind a PROXY header). */
#define WEIR_TLS_EARLY_MAX ((size_t)16384)

#define WEIR_TLS_FAIL_MAP(X)              \
    X(EXPIRED, "expired")                 \
    X(NOT_YET_VALID, "not_yet_valid")     \
    X(UNTRUSTED, "untrusted")             \
    X(SELF_SIGNED, "self_signed")         \
    X(WRONG_HOST, "wrong_host")           \
    X(KEY_USAGE, "key_usage")             \
    X(WEAK, "weak")                       \
    X(BAD_CERTIFICATE, "bad_certificate") \
    X(NO_CERTIFICATE, "no_certificate")   \
    X(VERSION, "version")                 \
    X(NO_COMMON, "nothing_in_common")     \
    X(ALPN, "alpn")                       \
    X(ALERT, "alert")                     \
    X(CLOSED, "closed")                   \
    X(NOT_TLS, "not_tls")                 \
    X(PROTOCOL, "protocol")               \
    X(OVERLOAD, "overload")               \
    X(MEMORY, "memory")

#define WEIR_TLS_FAIL_ENUM(name, text) WEIR_TLS_FAIL_##name,
enum weir_tls_fail { WEIR_TLS_FAIL_NONE, WEIR_TLS_FAIL_MAP(WEIR_TLS_FAIL_ENUM) WEIR_TLS_FAIL_COUNT };
#undef WEIR_TLS_FAIL_ENUM

/* "expired"; "none". For labels. */
const char *weir_tls_fail_text(enum weir_tls_fail why);

/* Relaxed; added to by the reactor's thread of each connection. A connection closed by its owner before its handshake
 * ended is in none of them; one that the peer refuses after it (see weir_tls_failed) is in two. */
struct weir_tls_stats {
    _Atomic uint64_t full, resumed;
    _Atomic uint64_t failed[WEIR_TLS_FAIL_COUNT];
};

struct weir_tls_opts {
    struct weir_tls_config *config; /* a reference is taken; client or server as it was made */
    struct weir_crypto_pool *pool;  /* outlives the stream */
    const char *host;               /* client: the name or address that the peer must prove; sent as SNI if a name */
    struct weir_tls_sessions *sessions; /* client: to resume from; a reference is taken. NULL: always in full */
    struct weir_tls_stats *stats;       /* outlives the stream; may be NULL */
    bool started;                       /* the stream below has been started already */
    const uint8_t *early;               /* what was read from it, at most WEIR_TLS_EARLY_MAX. Copied */
    size_t early_len;
};

/* Takes `under`, its `event` and its `owner` on success; *out must still be started. Errors: WEIR_ENOMEM, WEIR_EINVAL
 * (a host name longer than 255 bytes); `under` is then still the caller's. */
WEIR_MUST_USE int weir_tls_wrap(struct weir_stream **out, struct weir_stream *under, const struct weir_tls_opts *opts);

struct weir_tls_info {
    const char *version; /* "TLSv1.3" */
    const char *cipher;
    const char *alpn; /* NULL: none agreed */
    bool resumed;
    uint64_t handshake_us; /* from start, connect included */
};
/* Of an open stream; texts live as long as it does. False: it is not TLS, or not open. */
bool weir_tls_info(const struct weir_stream *s, struct weir_tls_info *info);
/* Whether both ends agreed on `protocol` (ALPN, RFC 7301). */
bool weir_tls_agreed(const struct weir_stream *s, const char *protocol);
/* Why the handshake failed, or the peer refused after it (TLS 1.3: a server judges the client's certificate when the
 * client is done, and nothing but its alert comes). Legal until close. NONE for other streams. */
enum weir_tls_fail weir_tls_failed(const struct weir_stream *s);
/* The sentence for a read or write that failed with WEIR_TLS_BROKEN or WEIR_TLS_TRUNCATED; returns its code. */
int weir_tls_read_error(const struct weir_stream *s, struct weir_err *err);
/* What a stream takes of the memory besides the stream below: fixed part and mbedTLS's buffers, about. */
size_t weir_tls_bytes(void);

#endif
