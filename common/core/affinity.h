/* What makes requests belong together: the first of the configured sources (distributed_pool.affinity.keys) that a
 * request has gives its key, and the key its shard. Of a key only its hash is kept: of the whole value, seeded with the
 * source, so that `header:x-a` and `cookie:a` of one value are two keys, and "session-1" and "session-12" are.
 *
 *     header:NAME   the first field of that name that is not empty
 *     cookie:NAME   the first cookie of that name that is not empty (RFC 6265 section 4.2.1)
 *     json:NAME     a member of the body's object, a string or a number (core/json_peek)
 *     api_key       the token of `authorization: Bearer` (RFC 6750), else x-api-key
 *     address       the client's
 *
 * Pure; a list is immutable and may be shared by threads, a search is one request's. */
#ifndef WEIR_CORE_AFFINITY_H
#define WEIR_CORE_AFFINITY_H

#include <stdbool.h>
#include <stdint.h>

#include "core/err.h"
#include "core/fields.h"
#include "core/json_peek.h"
#include "core/str.h"

/* Each is looked for in each request. */
#define WEIR_AFFINITY_SOURCES_MAX 16u
/* Of these in the body: each has room for a value in every search. */
#define WEIR_AFFINITY_JSON_MAX 4u

struct weir_affinity; /* a list of sources */

/* texts: as weir_config_check_affinity takes them; one that is there before already is left out. On error *out is NULL.
 * Errors: WEIR_EINVAL, WEIR_ELIMIT, WEIR_ENOMEM. */
WEIR_MUST_USE int weir_affinity_new(struct weir_affinity **out, const char *const *texts, size_t count,
                                    struct weir_err *err);
/* Sets *a to NULL. */
void weir_affinity_free(struct weir_affinity **a);

struct weir_affinity_key {
    bool there;
    uint64_t hash;          /* for weir_shard_of */
    struct weir_str source; /* as configured, a header's name in lower case; lives as long as the list */
};

/* The caller's memory; only affinity.c reads it. */
struct weir_affinity_search {
    struct weir_affinity_key head; /* the first that is not in the body */
    const struct weir_affinity *list;
    uint32_t want_count;
    uint8_t source_of[WEIR_AFFINITY_JSON_MAX];
    struct weir_json_want wants[WEIR_AFFINITY_JSON_MAX]; /* that come before it */
    struct weir_json_peek peek;
};

/* Looks through a request's head. address: the client's, as text without a port; may be empty. True: the key is
 * decided; false: a body may have one that comes first, of which body_bytes_max bytes are looked at. A body that says
 * it is not JSON, or is encoded, is not looked at. */
bool weir_affinity_begin(struct weir_affinity_search *s, const struct weir_affinity *list,
                         const struct weir_fields *fields, struct weir_str address, size_t body_bytes_max);
/* The next piece of the body, after a false. True: decided. The same key however the body is cut. */
bool weir_affinity_body(struct weir_affinity_search *s, struct weir_str piece);
/* The key by what has been seen: final once it is decided, or when there is no more body. */
struct weir_affinity_key weir_affinity_end(const struct weir_affinity_search *s);

#endif
