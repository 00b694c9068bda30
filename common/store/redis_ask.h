/* Requests to the store as script calls, and what the scripts answer and publish as answers and pushes: text in, plain
 * data out, no I/O. docs/redis.md describes keys, scripts and channel.
 *
 * What comes from the server may be anything: answers of another form are refused as a whole; single records that
 * somebody else has written into a hash are left out. */
#ifndef WEIR_STORE_REDIS_ASK_H
#define WEIR_STORE_REDIS_ASK_H

#include "core/arena.h"
#include "core/coord.h"
#include "store/redis_reply.h"
#include "store/redis_script.h"

/* Prefix, cluster, braces and the longest name of a key. */
#define WEIR_REDIS_KEY_MAX 320u
/* Of one request: the fixed ones, and one for each limit. */
#define WEIR_REDIS_KEYS_MAX (1u + WEIR_COORD_BATCH)
/* A report's are the most: 20 for each circuit. */
#define WEIR_REDIS_SCRIPT_ARGS_MAX (8u + 20u * WEIR_COORD_BATCH)

/* The names of one cluster's keys. */
struct weir_redis_names {
    char base[WEIR_REDIS_KEY_MAX];    /* "weir:{default}" */
    char channel[WEIR_REDIS_KEY_MAX]; /* "weir:{default}:pushes" */
};
/* False: prefix and cluster are too long. */
WEIR_MUST_USE bool weir_redis_names_set(struct weir_redis_names *n, const char *prefix, const char *cluster);

struct weir_redis_ask {
    const struct weir_redis_script *script;
    struct weir_str keys[WEIR_REDIS_KEYS_MAX];
    unsigned key_count;
    struct weir_str args[WEIR_REDIS_SCRIPT_ARGS_MAX];
    unsigned arg_count;
};

/* Writes a request down; all text is in the arena or the request's own. now_us 0: the server's clock, else what the
 * script shall take for it (tests). NULL, or why the request cannot be carried out: a sentence. */
const char *weir_redis_ask_set(struct weir_redis_ask *ask, struct weir_arena *a, const struct weir_redis_names *n,
                               const struct weir_coord_request *q, uint64_t now_us);

/* The script's answer to a request of reply->op for `count` items (REPORT, TOKENS). Fills now_us, word, why and what
 * belongs to them; texts and lists are in the arena. An error of the server is WEIR_COORD_REFUSED with its sentence; an
 * answer that is none is WEIR_COORD_AWAY. */
void weir_redis_answer(struct weir_coord_reply *reply, uint32_t count, struct weir_arena *a,
                       const struct weir_redis_reply *from);

/* A message of the channel. False: not one that is known. */
bool weir_redis_push(struct weir_coord_push *push, struct weir_arena *a, struct weir_str message);

/* -- texts that answers and pushes have in common -- */

bool weir_redis_phase(struct weir_str text, enum weir_breaker_phase *out);
/* A circuit's record: "phase=open gen=2 ...", as answers and pushes have it. Texts are in the arena. */
bool weir_redis_circuit(struct weir_coord_circuit *c, struct weir_arena *a, struct weir_str endpoint,
                        struct weir_str record);

#endif
