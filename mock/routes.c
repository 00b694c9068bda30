#include "mock/routes.h"

#include <assert.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

/* Most that /bench answers from memory. */
#define BENCH_BYTES_MAX MOCK_FILLER_BYTES

static const struct weir_str media_json = {"application/json", 16};

static void no_memory(struct mock_request *rq)
{
    mock_connection_kill(rq->connection, true);
}

static struct mock_shared *shared_of(const struct mock_request *rq)
{
    return rq->connection->worker->shared;
}

bool mock_query_u64(const struct mock_request *rq, struct weir_str name, uint64_t otherwise, uint64_t *out)
{
    struct weir_str rest = rq->query;
    *out = otherwise;
    while (rest.len > 0) {
        const char *amp = memchr(rest.ptr, '&', rest.len);
        size_t len = amp != NULL ? (size_t)(amp - rest.ptr) : rest.len;
        struct weir_str pair = {rest.ptr, len};
        rest = amp != NULL ? (struct weir_str){amp + 1, rest.len - len - 1} : (struct weir_str){NULL, 0};
        if (pair.len > name.len && weir_str_starts(pair, name) && pair.ptr[name.len] == '=')
            return weir_str_to_u64((struct weir_str){pair.ptr + name.len + 1, pair.len - name.len - 1}, out);
    }
    return true;
}

void mock_reply_json(struct mock_request *rq, unsigned status, const char *text, size_t len)
{
    struct weir_str kept = weir_arena_dup(&rq->arena, (struct weir_str){text, len});
    if (kept.ptr == NULL)
        no_memory(rq);
    else
        mock_reply_text(rq, status, media_json, kept.ptr, kept.len, NULL);
}

static void answer_chat(struct mock_request *rq)
{
    struct weir_err err = {0};
    rq->chat.api = rq->route->api;
    rq->chat.id = atomic_fetch_add_explicit(&shared_of(rq)->request_id, 1, memory_order_relaxed) + 1;
    int rv = mock_chat_parse(&rq->chat, rq->body, rq->body_len, &rq->arena, &err);
    if (rv != 0) {
        mock_reply_error(rq, rv == WEIR_EINVAL ? 400 : 500, err.msg);
        return;
    }
    (void)mock_request_plan(rq, rq->chat.model);
    rq->chat.cut = rq->chat.tokens_max < rq->plan.tokens;
    rq->chat.tokens = rq->chat.cut ? rq->chat.tokens_max : rq->plan.tokens;
    rq->chat.token_bytes = rq->plan.token_bytes;
    if (rq->plan.status != 0 && rq->plan.status != 200) {
        mock_reply_error(rq, rq->plan.status, "mock answers so as asked");
        return;
    }
    if (rq->chat.stream) {
        mock_reply_tokens(rq);
        return;
    }
    size_t len;
    char *text = mock_chat_answer(&rq->chat, &len);
    if (text == NULL)
        mock_reply_error(rq, 400, "an answer that long has to be streamed");
    else
        mock_reply_text(rq, 200, media_json, text, len, text);
}

static void answer_models(struct mock_request *rq)
{
    mock_reply_text(rq, 200, media_json, mock_models_answer.ptr, mock_models_answer.len, NULL);
}

static void answer_embeddings(struct mock_request *rq)
{
    char buf[MOCK_PIECE_BYTES_MAX];
    struct weir_err err = {0};
    size_t len;
    int rv = mock_embeddings_answer(rq->body, rq->body_len, buf, &len, &err);
    if (rv != 0)
        mock_reply_error(rq, rv == WEIR_EINVAL ? 400 : 500, err.msg);
    else
        mock_reply_json(rq, 200, buf, len);
}

/* What is not UTF-8 is shown as Latin-1. */
static json_t *text_json(struct weir_str s)
{
    if (s.ptr == NULL)
        s = WEIR_STR("");
    json_t *j = json_stringn(s.ptr, s.len);
    if (j != NULL)
        return j;
    char *wide = malloc(2 * s.len + 1);
    size_t n = 0;
    if (wide == NULL)
        return NULL;
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        if (c < 0x80) {
            wide[n++] = (char)c;
        } else {
            wide[n++] = (char)(0xc0 | (c >> 6));
            wide[n++] = (char)(0x80 | (c & 0x3f));
        }
    }
    j = json_stringn(wide, n);
    free(wide);
    return j;
}

static json_t *fields_json(const struct weir_fields *fields)
{
    json_t *list = json_array();
    for (size_t i = 0; fields != NULL && i < fields->count; i++)
        (void)json_array_append_new(list,
                                    json_pack("[o,o]", text_json(fields->at[i].name), text_json(fields->at[i].value)));
    return list;
}

static void answer_echo(struct mock_request *rq)
{
    const struct weir_head *h = rq->head;
    const char *name = shared_of(rq)->options->name;
    json_t *root =
        json_pack("{s:o,s:o,s:o,s:i,s:o,s:o,s:I,s:I,s:s,s:s}", "method", text_json(h->method), "target",
                  text_json(h->target), "authority", text_json(h->authority), "version", (int)h->version, "headers",
                  fields_json(&h->fields), "trailers", fields_json(rq->trailers), "body_bytes",
                  (json_int_t)rq->received, "body_adler32", (json_int_t)(((uint64_t)rq->adler_b << 16) | rq->adler_a),
                  "connection", rq->connection->id, "name", name != NULL ? name : "");
    char *text = root != NULL ? json_dumps(root, JSON_COMPACT) : NULL;
    json_decref(root);
    if (text == NULL)
        no_memory(rq);
    else
        mock_reply_text(rq, 200, media_json, text, strlen(text), text);
}

static void answer_upload(struct mock_request *rq)
{
    char buf[128];
    int n = snprintf(buf, sizeof buf, "{\"bytes\":%" PRIu64 ",\"adler32\":%" PRIu64 "}", rq->received,
                     ((uint64_t)rq->adler_b << 16) | rq->adler_a);
    mock_reply_json(rq, 200, buf, (size_t)n);
}

static void answer_download(struct mock_request *rq)
{
    uint64_t bytes, chunked;
    if (!mock_query_u64(rq, WEIR_STR("bytes"), 0, &bytes) || !mock_query_u64(rq, WEIR_STR("chunked"), 0, &chunked) ||
        bytes > INT64_MAX)
        mock_reply_error(rq, 400, "bytes and chunked are numbers");
    else
        mock_reply_pattern(rq, bytes, chunked != 0);
}

static void answer_bench(struct mock_request *rq)
{
    uint64_t bytes;
    if (!mock_query_u64(rq, WEIR_STR("bytes"), 1024, &bytes) || bytes > BENCH_BYTES_MAX)
        mock_reply_error(rq, 400, "bytes is a number up to 64256");
    else
        mock_reply_text(rq, 200, WEIR_STR("application/octet-stream"), rq->connection->worker->filler, bytes, NULL);
}

static void answer_not_found(struct mock_request *rq)
{
    mock_reply_error(rq, 404, "mock has no such path");
}

#define PATH(text)             \
    {                          \
        text, sizeof(text) - 1 \
    }
static const struct mock_route routes[] = {
    {.path = PATH("/v1/chat/completions"), .keeps_body = true, .answer = answer_chat},
    {.path = PATH("/v1/messages"), .keeps_body = true, .api = MOCK_API_ANTHROPIC, .answer = answer_chat},
    {.path = PATH("/v1/models"), .answer = answer_models},
    {.path = PATH("/v1/embeddings"), .keeps_body = true, .answer = answer_embeddings},
    {.path = PATH("/bench"), .answer = answer_bench},
    {.path = PATH("/echo/body"), .begin = mock_reply_echo, .answer = answer_echo},
    {.path = PATH("/echo"), .prefix = true, .checksum = true, .answer = answer_echo},
    {.path = PATH("*"), .answer = answer_echo},
    {.path = PATH("/upload"), .checksum = true, .answer = answer_upload},
    {.path = PATH("/download"), .answer = answer_download},
    {.path = PATH("/stats"), .control = true, .answer = mock_answer_stats},
    {.path = PATH("/reset-stats"), .control = true, .answer = mock_answer_reset_stats},
    {.path = PATH("/arrivals"), .control = true, .answer = mock_answer_arrivals},
    {.path = PATH("/plan"), .control = true, .answer = mock_answer_plan},
    {.path = PATH("/listen"), .control = true, .answer = mock_answer_listen},
    {.path = PATH("/gate/"), .prefix = true, .control = true, .answer = mock_answer_gate},
    {.path = PATH(""), .prefix = true, .answer = answer_not_found},
};

const struct mock_route *mock_route_find(struct weir_str path)
{
    const struct mock_route *r = routes;
    while (r->prefix ? !weir_str_starts(path, r->path) : !weir_str_eq(path, r->path))
        r++;
    assert(r < routes + sizeof routes / sizeof routes[0]);
    return r;
}

void mock_route_answer(struct mock_request *rq)
{
    bool chat = rq->route->answer == answer_chat; /* its model has a say first */
    if (!chat && !rq->route->control && rq->plan.status != 0 && rq->plan.status != 200)
        mock_reply_error(rq, rq->plan.status, "mock answers so as asked");
    else
        rq->route->answer(rq);
}
