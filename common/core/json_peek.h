/* Looks for a few members of a JSON object (RFC 8259) in the start of a body, as it comes: `model`, `user`,
 * `prompt_cache_key`. Only members of the outermost object count, and of several of one name the first. Nothing is
 * allocated, built or kept but the values that are wanted; the rest is checked to be JSON and passed over. What is in
 * pieces and what is whole have the same result, whatever the pieces are.
 *
 * A value that is a string or a number is taken, escapes resolved; a number as it is written (so "7" and 7 are the
 * same, 7 and 7.0 are not). Bytes above ASCII are taken as they are: that they are UTF-8 is for whoever needs it to
 * check. */
#ifndef WEIR_CORE_JSON_PEEK_H
#define WEIR_CORE_JSON_PEEK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/str.h"

/* One of each use there is, and more. */
#define WEIR_JSON_WANTS_MAX 8u
/* Ids and model names are shorter; a longer value is not one and counts as none. */
#define WEIR_JSON_VALUE_MAX 256u
/* One bit each, for object or array. Requests nest messages, contents, tools with their schemas: about twenty. */
#define WEIR_JSON_DEPTH_MAX 64u

enum weir_json_want_state {
    WEIR_JSON_UNSEEN,
    WEIR_JSON_TAKEN,
    WEIR_JSON_OTHER, /* there, but of another type, too long, or half of a surrogate pair (RFC 8259 section 8.2) */
};

struct weir_json_want {
    struct weir_str name; /* the caller's, unescaped, unlike the others'; lives as long as the peek */
    enum weir_json_want_state state;
    uint32_t len; /* TAKEN: of the value */
    char value[WEIR_JSON_VALUE_MAX];
};

enum weir_json_status {
    WEIR_JSON_MORE,   /* give the next piece */
    WEIR_JSON_FOUND,  /* every want has been seen */
    WEIR_JSON_ABSENT, /* the object has ended without all of them, or it went on for bytes_max */
    WEIR_JSON_BAD,    /* no JSON object, or too deep */
};

/* The caller's memory; only json_peek.c reads it. */
struct weir_json_peek {
    struct weir_json_want *wants;
    uint32_t want_count, unseen;
    size_t bytes_left;
    enum weir_json_status status;
    uint8_t place;                 /* what is expected next */
    uint8_t number;                /* inside a number: which part of it */
    uint8_t escape;                /* inside an escape: what is expected next */
    uint16_t code;                 /* of \uXXXX so far */
    uint16_t high;                 /* surrogate that waits for its other half; 0: none */
    const char *literal;           /* what is left of true, false or null */
    uint32_t depth;                /* of objects and arrays open */
    uint64_t objects;              /* which of them are objects: bit 0 the outermost */
    uint32_t name_len;             /* of the outermost object's member, so far */
    uint32_t names;                /* wants that it may be, as bits */
    struct weir_json_want *taking; /* whose value comes, or NULL */
};

/* Clears the wants but for their names. bytes_max: after so many bytes nothing is looked for any more. */
void weir_json_peek_init(struct weir_json_peek *p, struct weir_json_want *wants, uint32_t want_count, size_t bytes_max);
/* The next piece. Anything but MORE is final: what comes after it is not looked at. Wants that were taken stay so,
 * whatever the status. */
enum weir_json_status weir_json_peek_feed(struct weir_json_peek *p, struct weir_str piece);

#endif
