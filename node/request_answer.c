/* Answers of weir's own: errors, and what is told to a client that does not send its request. */
#include <stdarg.h>
#include <stdio.h>

#include "http/h2.h"
#include "node/node.h"
#include "node/request.h"

/* An unread rest of a body that is not worth a new connection to the client. */
#define REST_READ_MAX 65536u
/* A message of weir's own errors, JSON around it included. */
#define ERROR_BODY_MAX 1024

static const char *error_type(unsigned status)
{
    switch (status) {
    case 401:
    case 403:
        return "authentication_error";
    case 404:
        return "not_found_error";
    case 429:
        return "rate_limit_error";
    default:
        return status < 500 ? "invalid_request_error" : "api_error";
    }
}

/* The names that Anthropic's API has for the same, and some more of its own. */
static const char *anthropic_error_type(unsigned status)
{
    switch (status) {
    case 403:
        return "permission_error";
    case 413:
        return "request_too_large";
    case 503:
        return "overloaded_error";
    case 504:
        return "timeout_error";
    default:
        return error_type(status);
    }
}

/* The client expects errors in Anthropic's form: it asks for messages, under whatever prefix, or says so itself. */
static bool speaks_anthropic(const struct weir_request *r)
{
    static const char messages[] = "/v1/messages";
    if (r->head == NULL)
        return false;
    struct weir_str path = weir_route_path(r->head->target);
    const char *at = path.len > 0 ? memmem(path.ptr, path.len, messages, sizeof messages - 1) : NULL;
    if (at != NULL) {
        const char *behind = at + sizeof messages - 1;
        if (behind == path.ptr + path.len || *behind == '/')
            return true;
    }
    return weir_fields_find(&r->head->fields, WEIR_STR("anthropic-version")) != NULL;
}

static bool add_retry_after(struct weir_request *r, struct weir_head *h)
{
    char text[24];
    int n = snprintf(text, sizeof text, "%llu", (unsigned long long)(r->retry_after_s != 0 ? r->retry_after_s : 1));
    struct weir_str value = weir_arena_dup(&r->arena, (struct weir_str){text, (size_t)n});
    return value.ptr != NULL && weir_fields_add_id(&h->fields, &r->arena, WEIR_FIELD_RETRY_AFTER, value);
}

static bool add_own_fields(struct weir_request *r, struct weir_head *h, const char *content_type)
{
    struct weir_arena *a = &r->arena;
    bool ok =
        content_type == NULL || weir_fields_add_id(&h->fields, a, WEIR_FIELD_CONTENT_TYPE, weir_str_of(content_type));
    if (r->error != NULL)
        ok = ok && weir_fields_add(&h->fields, a, WEIR_STR("x-weir-error"), weir_str_of(r->error));
    if (h->status == 503 || h->status == 429)
        ok = ok && add_retry_after(r, h);
    for (size_t i = 0; i < r->own_fields.count; i++)
        ok = ok && weir_fields_add(&h->fields, a, r->own_fields.at[i].name, r->own_fields.at[i].value);
    if (h->status == 405)
        ok = ok && weir_fields_add(&h->fields, a, WEIR_STR("allow"), weir_str_of(weir_admin_methods(r)));
    if (h->status == 401)
        ok = ok && weir_fields_add(&h->fields, a, WEIR_STR("www-authenticate"), WEIR_STR("Bearer realm=\"weir\""));
    if (r->head != NULL)
        ok = ok && weir_fields_add_id(&h->fields, a, WEIR_FIELD_X_REQUEST_ID, weir_request_id(r));
    if (r->route != NULL)
        ok = ok && weir_hop_mark(r, &h->fields);
    return ok && weir_fields_add_id(&h->fields, a, WEIR_FIELD_CACHE_CONTROL, WEIR_STR("no-store"));
}

/* The rest of the body is more than the codec reads for the connection's sake: it will close, and says so. */
static bool leaves_much_unread(const struct weir_request *r)
{
    if (r->body_ended || !r->head->has_body)
        return false;
    return r->head->content_length < 0 || (uint64_t)r->head->content_length > r->bytes_in + REST_READ_MAX;
}

/* False: there was no memory for it, and the request may be gone. */
static bool prepare_head(struct weir_request *r, struct weir_head *head, const char *content_type)
{
    r->step = WEIR_STEP_LOCAL;
    r->status = head->status;
    r->answer_begun = true;
    if (!add_own_fields(r, head, content_type)) {
        struct weir_exchange *down = r->down;
        r->down = NULL;
        down->ops->reset(down, WEIR_RESET_INTERNAL);
        weir_request_end_if_over(r);
        return false;
    }
    head->close = r->head == NULL || leaves_much_unread(r) ||
                  atomic_load_explicit(&r->worker->node->draining, memory_order_relaxed);
    return true;
}

bool weir_request_answer_begin(struct weir_request *r, unsigned status, const char *content_type)
{
    struct weir_head head = {.status = (uint16_t)status, .content_length = WEIR_LENGTH_UNKNOWN, .has_body = true};
    if (!prepare_head(r, &head, content_type))
        return false;
    r->down->ops->send_head(r->down, &head, false);
    return true;
}

void weir_request_answer(struct weir_request *r, unsigned status, const char *content_type, const void *body,
                         size_t len)
{
    struct weir_head head = {.status = (uint16_t)status, .content_length = (int64_t)len, .has_body = len > 0};
    bool head_only = r->head != NULL && weir_str_eq(r->head->method, WEIR_STR("HEAD"));
    bool end = len == 0 || head_only;
    if (!prepare_head(r, &head, content_type))
        return;
    if (head_only)
        head.has_body = false;
    weir_request_answer_ended(r);
    struct weir_exchange *down = r->down;
    weir_request_pin(r);
    if (r->body_ended)
        r->down = NULL; /* the codec forgets it inside the last send */
    down->ops->send_head(down, &head, end);
    if (!end) {
        r->bytes_out = len;
        down->ops->send_body(down, body, len);
        down->ops->send_end(down, NULL);
    }
    weir_request_unpin(r);
}

static size_t json_escape(char *out, size_t cap, const char *text)
{
    size_t n = 0;
    for (; *text != '\0' && n + 2 < cap; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\')
            out[n++] = '\\';
        out[n++] = c < 0x20 || c >= 0x7f ? '?' : (char)c;
    }
    out[n] = '\0';
    return n;
}

void weir_request_fail(struct weir_request *r, unsigned status, const char *code, const char *fmt, ...)
{
    weir_request_let_go(r, WEIR_EC_CLOSED_FAILED);
    if (r->down == NULL || r->answer_ended) {
        weir_request_end_if_over(r);
        return;
    }
    r->error = code;
    if (r->answer_begun) {
        struct weir_exchange *down = r->down;
        r->down = NULL;
        r->close_reason = code;
        down->ops->reset(down, WEIR_RESET_CANCEL);
        weir_request_end_if_over(r);
        return;
    }
    char message[ERROR_BODY_MAX / 2], escaped[ERROR_BODY_MAX / 2 + 64], body[ERROR_BODY_MAX];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(message, sizeof message, fmt, ap);
    va_end(ap);
    json_escape(escaped, sizeof escaped, message);
    int len;
    if (speaks_anthropic(r)) {
        char id[2 * WEIR_REQUEST_ID_MAX + 1];
        struct weir_str raw = weir_request_id(r);
        snprintf(message, sizeof message, "%.*s", (int)raw.len, raw.ptr);
        json_escape(id, sizeof id, message);
        len = snprintf(body, sizeof body,
                       "{\"type\":\"error\",\"error\":{\"type\":\"%s\",\"message\":\"%s\"},\"request_id\":\"%s\"}\n",
                       anthropic_error_type(status), escaped, id);
    } else {
        len = snprintf(body, sizeof body,
                       "{\"error\":{\"message\":\"%s\",\"type\":\"%s\",\"param\":null,\"code\":\"%s\"}}\n", escaped,
                       error_type(status), code);
    }
    weir_request_answer(r, status, "application/json", body, (size_t)len);
}

static enum weir_node_counter malformed_class(const struct weir_malformed *why)
{
    switch (why->status) {
    case 413:
        return WEIR_NC_BAD_BODY_SIZE;
    case 431:
        return WEIR_NC_BAD_HEAD_SIZE;
    case 505:
        return WEIR_NC_BAD_VERSION;
    default:
        break;
    }
    static const struct {
        const char *part;
        enum weir_node_counter id;
    } parts[] = {{"host", WEIR_NC_BAD_HOST},
                 {"chunk", WEIR_NC_BAD_CHUNK},
                 {"framing", WEIR_NC_BAD_FRAMING},
                 {"field", WEIR_NC_BAD_HEADER},
                 {"connection", WEIR_NC_BAD_HEADER},
                 {"transfer_coding", WEIR_NC_BAD_FRAMING},
                 {"start_line", WEIR_NC_BAD_REQUEST_LINE},
                 {"target", WEIR_NC_BAD_REQUEST_LINE},
                 {"http2_preface", WEIR_NC_BAD_VERSION}};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        if (strstr(why->code, parts[i].part) != NULL)
            return parts[i].id;
    return WEIR_NC_BAD_OTHER;
}

void weir_request_malformed(struct weir_client *c, struct weir_exchange *down, const struct weir_malformed *why,
                            bool after_head)
{
    struct weir_request *r = down->user;
    (void)after_head;
    weir_node_add(c->worker->counters, malformed_class(why), 1);
    r->close_reason = c->http2 ? NULL : why->code;
    if (!c->http2)
        weir_deadline_clear(&c->deadline);
    r->body_ended = true; /* nothing more of it will come */
    weir_request_fail(r, why->status, why->code, "%s", why->message);
}

/* HTTP/1.1 ends the connection with the answer. */
static void prepare_late(struct weir_request *r, const char *code)
{
    if (r->client->http2)
        return;
    r->close_reason = code;
    r->client->conn.codec->ops->drain(r->client->conn.codec);
}

void weir_request_head_timeout(struct weir_request *r)
{
    prepare_late(r, "header_timeout");
    weir_request_fail(r, 408, "header_timeout", "The request's head did not arrive in time.");
}

/* Nothing can be said to the client any more: over HTTP/2 its stream ends, else the connection. */
static void cut(struct weir_request *r, const char *code)
{
    if (!r->client->http2) {
        weir_client_abort(r->client, code);
        return;
    }
    struct weir_exchange *down = r->down;
    r->down = NULL;
    r->close_reason = r->error = code;
    if (r->up != NULL)
        weir_endpoint_add(weir_request_endpoint_counters(r), WEIR_EC_CANCELS, 1);
    weir_request_let_go(r, WEIR_EC_CLOSED_CANCEL);
    if (down != NULL)
        down->ops->reset(down, WEIR_RESET_CANCEL);
    weir_request_end_if_over(r);
}

void weir_request_body_timeout(struct weir_request *r)
{
    if (r->answer_begun) {
        cut(r, "body_timeout");
        return;
    }
    if (r->up != NULL)
        weir_endpoint_add(weir_request_endpoint_counters(r), WEIR_EC_CANCELS, 1);
    weir_request_let_go(r, WEIR_EC_CLOSED_CANCEL);
    prepare_late(r, "body_timeout");
    weir_request_fail(r, 408, "body_timeout", "The request's body did not arrive in time.");
}

/* -- a stream's progress (HTTP/2) -- */

bool weir_request_head_is_late(const struct weir_request *r, uint64_t now_ms)
{
    return r->step == WEIR_STEP_HEAD &&
           now_ms - r->start_us / 1000 >= r->worker->hold->view->config->server.header_timeout_ms;
}

bool weir_request_look_at_progress(struct weir_request *r, uint64_t now_ms)
{
    const struct weir_config_server *s = &r->worker->hold->view->config->server;
    if (r->down == NULL || r->step == WEIR_STEP_HEAD)
        return false;
    uint64_t taken = weir_h2_taken(r->down);
    bool sends = !r->body_ended && r->credit_down > 0 && !r->answer_ended && !weir_request_waits_for_100(r);
    if (taken != r->taken || !weir_h2_stalled(r->down))
        r->taken_ms = now_ms;
    if (r->bytes_in != r->heard || !sends)
        r->heard_ms = now_ms;
    r->taken = taken;
    r->heard = r->bytes_in;
    if (now_ms - r->taken_ms >= s->write_timeout_ms) {
        weir_node_add(r->worker->counters, WEIR_NC_TIMEOUT_WRITE, 1);
        cut(r, "write_timeout");
    } else if (now_ms - r->heard_ms >= s->idle_timeout_ms) {
        weir_node_add(r->worker->counters, WEIR_NC_TIMEOUT_BODY, 1);
        weir_request_body_timeout(r);
    } else {
        return false;
    }
    return true;
}
