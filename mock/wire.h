/* The wire formats of the two providers: what a request asks for, and the JSON and server-sent events of the answer. */
#ifndef WEIR_MOCK_WIRE_H
#define WEIR_MOCK_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/arena.h"
#include "core/err.h"

enum mock_api { MOCK_API_OPENAI, MOCK_API_ANTHROPIC };

/* Room that holds any single piece: a token of 4,096 bytes, the model's name twice and the frame around them. */
#define MOCK_PIECE_BYTES_MAX ((size_t)16384)
#define MOCK_MODEL_BYTES_MAX ((size_t)256)
/* A plain answer is built in memory; a longer one is to be streamed. */
#define MOCK_ANSWER_BYTES_MAX ((size_t)67108864)

struct mock_chat {
    enum mock_api api;
    bool stream;
    bool include_usage;
    bool cut;                   /* the request's token limit ended the answer */
    uint32_t tokens_max;        /* that limit; UINT32_MAX without one */
    struct weir_str model;      /* as sent */
    struct weir_str model_json; /* quoted and escaped */
    uint64_t id;
    uint32_t prompt_tokens;
    uint32_t tokens;      /* of the answer */
    uint32_t token_bytes; /* text of each */
};

/* Reads a request body; strings go to the arena. tokens, token_bytes and cut are the caller's to set afterwards.
 * Errors: WEIR_EINVAL (err says what to tell the client), WEIR_ENOMEM. */
int mock_chat_parse(struct mock_chat *c, const char *body, size_t len, struct weir_arena *a, struct weir_err *err);

/* Each writes into buf (MOCK_PIECE_BYTES_MAX) and returns the length. The open piece goes out with the head. */
size_t mock_chat_open(const struct mock_chat *c, char *buf);
size_t mock_chat_token(const struct mock_chat *c, uint32_t index, char *buf);
size_t mock_chat_close(const struct mock_chat *c, char *buf);
size_t mock_chat_error_event(const struct mock_chat *c, char *buf);

/* The whole answer of a request that does not stream, malloc'd. NULL: out of memory, or over MOCK_ANSWER_BYTES_MAX. */
char *mock_chat_answer(const struct mock_chat *c, size_t *len);

/* The provider's error body for a status. message must be free of characters that JSON escapes. */
size_t mock_error_body(enum mock_api api, unsigned status, const char *message, char *buf);

/* Answer to an embeddings request. Errors as for mock_chat_parse. */
int mock_embeddings_answer(const char *body, size_t len, char *buf, size_t *out_len, struct weir_err *err);

extern const struct weir_str mock_models_answer;

#endif
