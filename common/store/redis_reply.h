/* Replies of a Redis server (RESP2), read by hiredis' parser within bounds: a server is an outside party, and may be
 * anything that listens on its port.
 *
 * A reader takes bytes as they come and gives whole replies, one at a time. A reply and all that it holds live until
 * the next call of weir_redis_reader_next or _close. Refused, for good, is what breaks the protocol, what belongs to a
 * protocol version that was not asked for (RESP3's maps, pushes and so on), and what is over the bounds. */
#ifndef WEIR_STORE_REDIS_REPLY_H
#define WEIR_STORE_REDIS_REPLY_H

#include <stdbool.h>
#include <stdint.h>

#include "core/arena.h"
#include "core/err.h"
#include "core/str.h"

/* One reply, as bytes and once more as memory. The largest that weir asks for is the shard map of 65,536 shards, below
 * 1 MB. */
#define WEIR_REDIS_REPLY_BYTES_MAX ((size_t)4194304)
/* Arrays within arrays. Scripts answer with two levels. */
#define WEIR_REDIS_REPLY_DEPTH_MAX 8u
/* Elements of one array: whole members of the largest hash. */
#define WEIR_REDIS_REPLY_ELEMENTS_MAX 131072u
/* A line: a status, an error, a number, a length. An error may quote what was sent. */
#define WEIR_REDIS_REPLY_LINE_MAX ((size_t)16384)

enum weir_redis_type {
    WEIR_REDIS_NIL, /* no such key, no such element */
    WEIR_REDIS_STATUS,
    WEIR_REDIS_ERROR,
    WEIR_REDIS_STRING,
    WEIR_REDIS_INTEGER,
    WEIR_REDIS_ARRAY
};

struct weir_redis_reply {
    enum weir_redis_type type;
    int64_t integer;                        /* INTEGER */
    struct weir_str str;                    /* STRING, STATUS, ERROR: any bytes, NUL-terminated beyond len */
    const struct weir_redis_reply *element; /* ARRAY: count of them */
    size_t count;
};

/* The word by which an error is known: "ERR", "NOSCRIPT", "OOM", "READONLY". An error that a command raised inside a
 * script goes by its own word, also where the server wraps it (Redis 6.2). Empty for anything but an error. */
struct weir_str weir_redis_error_code(const struct weir_redis_reply *reply);
bool weir_redis_error_is(const struct weir_redis_reply *reply, const char *code);
/* The server cannot be written to: it is a replica, or not ready. */
bool weir_redis_error_is_unfit(const struct weir_redis_reply *reply);
/* STATUS or STRING with this text. */
bool weir_redis_reply_is(const struct weir_redis_reply *reply, const char *text);

struct redisReader;

struct weir_redis_reader {
    struct redisReader *parser;
    struct weir_arena arena; /* of the reply that was last begun */
    size_t elements;         /* announced in it so far */
    const char *refused;     /* why the parser was stopped by us */
    struct weir_redis_reply top;
};

/* Errors: WEIR_ENOMEM. */
WEIR_MUST_USE int weir_redis_reader_init(struct weir_redis_reader *r);
/* Legal on one that is all zero. */
void weir_redis_reader_close(struct weir_redis_reader *r);
/* Takes n bytes, which are copied. Errors: WEIR_ENOMEM, WEIR_EPROTO (the parser has been stopped). */
WEIR_MUST_USE int weir_redis_reader_feed(struct weir_redis_reader *r, const void *bytes, size_t n,
                                         struct weir_err *err);
/* *reply: the next whole reply, or NULL: more bytes are needed. Errors: WEIR_ENOMEM, WEIR_EPROTO, and then always
 * again. */
WEIR_MUST_USE int weir_redis_reader_next(struct weir_redis_reader *r, const struct weir_redis_reply **reply,
                                         struct weir_err *err);

#endif
