/* Header and trailer fields of one message: an ordered list of name and value slices in somebody's arena. Names are
 * lower case (RFC 9110 5.1 makes case meaningless, RFC 9113 8.2 demands lower). Well-known names carry an id, so that
 * finding and dropping them compares a byte. */
#ifndef WEIR_CORE_FIELDS_H
#define WEIR_CORE_FIELDS_H

#include "core/arena.h"
#include "core/err.h"
#include "core/str.h"

/* X(id, name) */
#define WEIR_FIELD_MAP(X)                         \
    X(ACCEPT_ENCODING, "accept-encoding")         \
    X(AUTHORIZATION, "authorization")             \
    X(CACHE_CONTROL, "cache-control")             \
    X(CONNECTION, "connection")                   \
    X(CONTENT_ENCODING, "content-encoding")       \
    X(CONTENT_LENGTH, "content-length")           \
    X(CONTENT_TYPE, "content-type")               \
    X(COOKIE, "cookie")                           \
    X(DATE, "date")                               \
    X(EXPECT, "expect")                           \
    X(FORWARDED, "forwarded")                     \
    X(HOST, "host")                               \
    X(KEEP_ALIVE, "keep-alive")                   \
    X(LOCATION, "location")                       \
    X(PROXY_AUTHENTICATE, "proxy-authenticate")   \
    X(PROXY_AUTHORIZATION, "proxy-authorization") \
    X(PROXY_CONNECTION, "proxy-connection")       \
    X(RETRY_AFTER, "retry-after")                 \
    X(SERVER, "server")                           \
    X(TE, "te")                                   \
    X(TRACEPARENT, "traceparent")                 \
    X(TRAILER, "trailer")                         \
    X(TRANSFER_ENCODING, "transfer-encoding")     \
    X(UPGRADE, "upgrade")                         \
    X(VIA, "via")                                 \
    X(X_API_KEY, "x-api-key")                     \
    X(X_FORWARDED_FOR, "x-forwarded-for")         \
    X(X_FORWARDED_PROTO, "x-forwarded-proto")     \
    X(X_REQUEST_ID, "x-request-id")

#define WEIR_FIELD_ENUM(id, name) WEIR_FIELD_##id,
enum weir_field_id { WEIR_FIELD_OTHER = 0, WEIR_FIELD_MAP(WEIR_FIELD_ENUM) WEIR_FIELD_COUNT };
#undef WEIR_FIELD_ENUM

struct weir_field {
    struct weir_str name, value;
    enum weir_field_id id;
};

/* All zero is an empty list. Grows in the arena that each addition names. */
struct weir_fields {
    struct weir_field *at;
    size_t count, cap;
};

/* The id of a lower-case name. */
enum weir_field_id weir_field_id_of(struct weir_str name);
/* The name of an id other than OTHER. */
struct weir_str weir_field_name(enum weir_field_id id);

/* Name (lower case already) and value are kept as they are, not copied. False: out of memory. */
WEIR_MUST_USE bool weir_fields_add(struct weir_fields *f, struct weir_arena *a, struct weir_str name,
                                   struct weir_str value);
WEIR_MUST_USE bool weir_fields_add_id(struct weir_fields *f, struct weir_arena *a, enum weir_field_id id,
                                      struct weir_str value);
/* Adds all of `from`, their texts copied into the arena. */
WEIR_MUST_USE bool weir_fields_copy(struct weir_fields *to, struct weir_arena *a, const struct weir_fields *from);
/* Replaces the first of that id and drops the others, or adds. */
WEIR_MUST_USE bool weir_fields_set(struct weir_fields *f, struct weir_arena *a, enum weir_field_id id,
                                   struct weir_str value);
/* First of that id, or NULL. */
const struct weir_field *weir_fields_get(const struct weir_fields *f, enum weir_field_id id);
/* First of that (lower-case) name, or NULL. */
const struct weir_field *weir_fields_find(const struct weir_fields *f, struct weir_str name);
/* Drops all of that id / that name; returns how many. Order is kept. */
size_t weir_fields_drop(struct weir_fields *f, enum weir_field_id id);
size_t weir_fields_drop_name(struct weir_fields *f, struct weir_str name);

#endif
