#include "mock/wire.h"

#include <assert.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

/* A fixed instant: answers of two runs are the same bytes. */
#define CREATED 1700000000

const struct weir_str mock_models_answer =
    WEIR_STR("{\"object\":\"list\",\"data\":["
             "{\"id\":\"mock-fast\",\"object\":\"model\",\"created\":1700000000,\"owned_by\":\"weir\"},"
             "{\"id\":\"mock-slow\",\"object\":\"model\",\"created\":1700000000,\"owned_by\":\"weir\"},"
             "{\"id\":\"mock-long\",\"object\":\"model\",\"created\":1700000000,\"owned_by\":\"weir\"}]}");

static int read_limits(struct mock_chat *c, const json_t *root)
{
    static const char *const names[] = {"max_completion_tokens", "max_tokens"};
    c->tokens_max = UINT32_MAX;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const json_t *limit = json_object_get(root, names[i]);
        if (limit == NULL || json_is_null(limit))
            continue;
        if (!json_is_integer(limit) || json_integer_value(limit) < 1)
            return WEIR_EINVAL;
        if ((uint64_t)json_integer_value(limit) < c->tokens_max)
            c->tokens_max = (uint32_t)json_integer_value(limit);
    }
    return 0;
}

static int keep_model(struct mock_chat *c, const json_t *model, struct weir_arena *a, struct weir_err *err)
{
    if (!json_is_string(model) || json_string_length(model) == 0 || json_string_length(model) > MOCK_MODEL_BYTES_MAX)
        return weir_err_set(err, WEIR_EINVAL, "you must provide a model parameter");
    c->model = weir_arena_dup(a, (struct weir_str){json_string_value(model), json_string_length(model)});
    char *text = json_dumps(model, JSON_ENCODE_ANY);
    if (text != NULL)
        c->model_json = weir_arena_dup(a, weir_str_of(text));
    free(text);
    if (c->model.ptr == NULL || c->model_json.ptr == NULL)
        return weir_err_set(err, WEIR_ENOMEM, "out of memory");
    return 0;
}

static int read_root(struct mock_chat *c, const json_t *root, struct weir_arena *a, struct weir_err *err)
{
    if (!json_is_object(root))
        return weir_err_set(err, WEIR_EINVAL, "the body is not a JSON object");
    if (keep_model(c, json_object_get(root, "model"), a, err) != 0)
        return err->code;
    if (!json_is_array(json_object_get(root, "messages")))
        return weir_err_set(err, WEIR_EINVAL, "messages must be an array");
    if (read_limits(c, root) != 0)
        return weir_err_set(err, WEIR_EINVAL, "the token limit must be a positive integer");
    c->stream = json_is_true(json_object_get(root, "stream"));
    c->include_usage = json_is_true(json_object_get(json_object_get(root, "stream_options"), "include_usage"));
    return 0;
}

int mock_chat_parse(struct mock_chat *c, const char *body, size_t len, struct weir_arena *a, struct weir_err *err)
{
    json_t *root = json_loadb(body, len, 0, NULL);
    int rv = read_root(c, root, a, err);
    json_decref(root);
    c->prompt_tokens = (uint32_t)(len / 4 + 1);
    return rv;
}

static size_t checked(int n)
{
    assert(n >= 0 && (size_t)n < MOCK_PIECE_BYTES_MAX);
    return (size_t)n;
}

/* "t12....." and a space: numbered, so that a reader sees what it missed. */
static size_t token_text(const struct mock_chat *c, uint32_t index, char *buf)
{
    size_t n = checked(snprintf(buf, 16, "t%" PRIu32, index));
    while (n + 1 < c->token_bytes)
        buf[n++] = '.';
    buf[n++] = ' ';
    return n;
}

static size_t openai_chunk(const struct mock_chat *c, const char *choices, const char *usage, char *buf, size_t cap)
{
    return checked(snprintf(buf, cap,
                            "data: {\"id\":\"chatcmpl-mock-%" PRIu64 "\",\"object\":\"chat.completion.chunk\","
                            "\"created\":%d,\"model\":%s,\"system_fingerprint\":\"mock\",\"choices\":[%s]%s}\n\n",
                            c->id, CREATED, c->model_json.ptr, choices, usage));
}

static size_t openai_open(const struct mock_chat *c, char *buf)
{
    return openai_chunk(c,
                        "{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"logprobs\":null,"
                        "\"finish_reason\":null}",
                        c->include_usage ? ",\"usage\":null" : "", buf, MOCK_PIECE_BYTES_MAX);
}

static size_t openai_close(const struct mock_chat *c, char *buf)
{
    char piece[256];
    (void)snprintf(piece, sizeof piece, "{\"index\":0,\"delta\":{},\"logprobs\":null,\"finish_reason\":\"%s\"}",
                   c->cut ? "length" : "stop");
    size_t n = openai_chunk(c, piece, c->include_usage ? ",\"usage\":null" : "", buf, MOCK_PIECE_BYTES_MAX);
    if (c->include_usage) {
        (void)snprintf(piece, sizeof piece,
                       ",\"usage\":{\"prompt_tokens\":%" PRIu32 ",\"completion_tokens\":%" PRIu32
                       ",\"total_tokens\":%" PRIu64 "}",
                       c->prompt_tokens, c->tokens, (uint64_t)c->prompt_tokens + c->tokens);
        n += openai_chunk(c, "", piece, buf + n, MOCK_PIECE_BYTES_MAX - n);
    }
    memcpy(buf + n, "data: [DONE]\n\n", 14);
    return n + 14;
}

static size_t anthropic_open(const struct mock_chat *c, char *buf)
{
    return checked(
        snprintf(buf, MOCK_PIECE_BYTES_MAX,
                 "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_mock_%" PRIu64 "\","
                 "\"type\":\"message\",\"role\":\"assistant\",\"model\":%s,\"content\":[],\"stop_reason\":null,"
                 "\"stop_sequence\":null,\"usage\":{\"input_tokens\":%" PRIu32 ",\"output_tokens\":1}}}\n\n"
                 "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,"
                 "\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n"
                 "event: ping\ndata: {\"type\":\"ping\"}\n\n",
                 c->id, c->model_json.ptr, c->prompt_tokens));
}

static size_t anthropic_close(const struct mock_chat *c, char *buf)
{
    return checked(snprintf(buf, MOCK_PIECE_BYTES_MAX,
                            "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n"
                            "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"%s\","
                            "\"stop_sequence\":null},\"usage\":{\"output_tokens\":%" PRIu32 "}}\n\n"
                            "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
                            c->cut ? "max_tokens" : "end_turn", c->tokens));
}

size_t mock_chat_open(const struct mock_chat *c, char *buf)
{
    return c->api == MOCK_API_OPENAI ? openai_open(c, buf) : anthropic_open(c, buf);
}

size_t mock_chat_close(const struct mock_chat *c, char *buf)
{
    return c->api == MOCK_API_OPENAI ? openai_close(c, buf) : anthropic_close(c, buf);
}

size_t mock_chat_token(const struct mock_chat *c, uint32_t index, char *buf)
{
    char text[4096 + 32];
    size_t n = token_text(c, index, text);
    if (c->api == MOCK_API_OPENAI) {
        char choice[sizeof text + 128];
        (void)snprintf(choice, sizeof choice,
                       "{\"index\":0,\"delta\":{\"content\":\"%.*s\"},\"logprobs\":null,\"finish_reason\":null}",
                       (int)n, text);
        return openai_chunk(c, choice, c->include_usage ? ",\"usage\":null" : "", buf, MOCK_PIECE_BYTES_MAX);
    }
    return checked(snprintf(buf, MOCK_PIECE_BYTES_MAX,
                            "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,"
                            "\"delta\":{\"type\":\"text_delta\",\"text\":\"%.*s\"}}\n\n",
                            (int)n, text));
}

size_t mock_chat_error_event(const struct mock_chat *c, char *buf)
{
    const char *text =
        c->api == MOCK_API_OPENAI
            ? "data: {\"error\":{\"message\":\"mock failed inside the stream\",\"type\":\"server_error\","
              "\"param\":null,\"code\":\"server_error\"}}\n\n"
            : "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\","
              "\"message\":\"mock failed inside the stream\"}}\n\n";
    return checked(snprintf(buf, MOCK_PIECE_BYTES_MAX, "%s", text));
}

static int answer_head(const struct mock_chat *c, char *buf)
{
    if (c->api == MOCK_API_OPENAI)
        return snprintf(buf, MOCK_PIECE_BYTES_MAX,
                        "{\"id\":\"chatcmpl-mock-%" PRIu64 "\",\"object\":\"chat.completion\",\"created\":%d,"
                        "\"model\":%s,\"system_fingerprint\":\"mock\",\"choices\":[{\"index\":0,\"message\":"
                        "{\"role\":\"assistant\",\"refusal\":null,\"content\":\"",
                        c->id, CREATED, c->model_json.ptr);
    return snprintf(buf, MOCK_PIECE_BYTES_MAX,
                    "{\"id\":\"msg_mock_%" PRIu64 "\",\"type\":\"message\",\"role\":\"assistant\",\"model\":%s,"
                    "\"content\":[{\"type\":\"text\",\"text\":\"",
                    c->id, c->model_json.ptr);
}

static int answer_tail(const struct mock_chat *c, char *buf)
{
    if (c->api == MOCK_API_OPENAI)
        return snprintf(buf, MOCK_PIECE_BYTES_MAX,
                        "\"},\"logprobs\":null,\"finish_reason\":\"%s\"}],\"usage\":{\"prompt_tokens\":%" PRIu32
                        ",\"completion_tokens\":%" PRIu32 ",\"total_tokens\":%" PRIu64 "}}",
                        c->cut ? "length" : "stop", c->prompt_tokens, c->tokens,
                        (uint64_t)c->prompt_tokens + c->tokens);
    return snprintf(buf, MOCK_PIECE_BYTES_MAX,
                    "\"}],\"stop_reason\":\"%s\",\"stop_sequence\":null,\"usage\":{\"input_tokens\":%" PRIu32
                    ",\"output_tokens\":%" PRIu32 "}}",
                    c->cut ? "max_tokens" : "end_turn", c->prompt_tokens, c->tokens);
}

char *mock_chat_answer(const struct mock_chat *c, size_t *len)
{
    /* Twelve bytes hold the longest number with its "t" and the space. */
    size_t token_max = c->token_bytes > 12 ? c->token_bytes : 12;
    if ((uint64_t)c->tokens * token_max > MOCK_ANSWER_BYTES_MAX)
        return NULL;
    char *buf = malloc(2 * MOCK_PIECE_BYTES_MAX + c->tokens * token_max);
    if (buf == NULL)
        return NULL;
    size_t n = checked(answer_head(c, buf));
    for (uint32_t i = 0; i < c->tokens; i++)
        n += token_text(c, i, buf + n);
    n += checked(answer_tail(c, buf + n));
    *len = n;
    return buf;
}

struct error_kind {
    unsigned status;
    const char *openai_type, *openai_code, *anthropic_type;
};
static const struct error_kind error_kinds[] = {
    {400, "invalid_request_error", "null", "invalid_request_error"},
    {401, "invalid_request_error", "\"invalid_api_key\"", "authentication_error"},
    {403, "invalid_request_error", "\"permission_denied\"", "permission_error"},
    {404, "invalid_request_error", "\"model_not_found\"", "not_found_error"},
    {413, "invalid_request_error", "\"request_too_large\"", "request_too_large"},
    {429, "requests", "\"rate_limit_exceeded\"", "rate_limit_error"},
    {500, "server_error", "null", "api_error"},
    {503, "server_error", "\"overloaded\"", "overloaded_error"},
    {529, "server_error", "\"overloaded\"", "overloaded_error"},
};

size_t mock_error_body(enum mock_api api, unsigned status, const char *message, char *buf)
{
    const struct error_kind *kind = status >= 500 ? &error_kinds[6] : &error_kinds[0];
    for (size_t i = 0; i < sizeof error_kinds / sizeof error_kinds[0]; i++) {
        if (error_kinds[i].status == status)
            kind = &error_kinds[i];
    }
    if (api == MOCK_API_ANTHROPIC)
        return checked(snprintf(buf, MOCK_PIECE_BYTES_MAX,
                                "{\"type\":\"error\",\"error\":{\"type\":\"%s\",\"message\":\"%s\"}}",
                                kind->anthropic_type, message));
    return checked(snprintf(buf, MOCK_PIECE_BYTES_MAX,
                            "{\"error\":{\"message\":\"%s\",\"type\":\"%s\",\"param\":null,\"code\":%s}}", message,
                            kind->openai_type, kind->openai_code));
}

int mock_embeddings_answer(const char *body, size_t len, char *buf, size_t *out_len, struct weir_err *err)
{
    json_t *root = json_loadb(body, len, 0, NULL);
    const json_t *model = json_object_get(root, "model");
    const char *format = json_string_value(json_object_get(root, "encoding_format"));
    bool bad = !json_is_string(model) || json_string_length(model) > MOCK_MODEL_BYTES_MAX ||
               json_object_get(root, "input") == NULL;
    char *name = bad ? NULL : json_dumps(model, JSON_ENCODE_ANY);
    bool base64 = format != NULL && strcmp(format, "base64") == 0;
    json_decref(root);
    if (bad)
        return weir_err_set(err, WEIR_EINVAL, "model and input are required");
    if (name == NULL)
        return weir_err_set(err, WEIR_ENOMEM, "out of memory");
    /* 0, 0.25, 0.5, 0.75: exact in binary, so both encodings say the same. */
    *out_len =
        checked(snprintf(buf, MOCK_PIECE_BYTES_MAX,
                         "{\"object\":\"list\",\"data\":[{\"object\":\"embedding\",\"index\":0,\"embedding\":%s}],"
                         "\"model\":%s,\"usage\":{\"prompt_tokens\":1,\"total_tokens\":1}}",
                         base64 ? "\"AAAAAAAAgD4AAAA/AABAPw==\"" : "[0.0,0.25,0.5,0.75]", name));
    free(name);
    return 0;
}
