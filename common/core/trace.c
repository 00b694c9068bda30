#include "core/trace.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/render_tree.h"

#define FLAG_SAMPLED 1u

/* -- context -- */

/* Lower-case hexadecimal digits only (W3C Trace Context 2.2). */
static bool read_hex(const char *p, size_t n, uint64_t *out)
{
    *out = 0;
    for (size_t i = 0; i < n; i++) {
        int digit = weir_lower_hex_value(p[i]);
        if (digit < 0)
            return false;
        *out = *out << 4 | (uint64_t)digit;
    }
    return true;
}

bool weir_trace_parse(struct weir_trace_context *out, struct weir_str t)
{
    uint64_t version, high, low, span, flags;
    if (t.len < WEIR_TRACEPARENT_LEN || t.ptr[2] != '-' || t.ptr[35] != '-' || t.ptr[52] != '-')
        return false;
    if (!read_hex(t.ptr, 2, &version) || !read_hex(t.ptr + 3, 16, &high) || !read_hex(t.ptr + 19, 16, &low) ||
        !read_hex(t.ptr + WEIR_TRACEPARENT_SPAN, 16, &span) || !read_hex(t.ptr + 53, 2, &flags))
        return false;
    /* Version 00 has this length; later ones may go on behind a dash; ff is none. */
    bool goes_on = t.len > WEIR_TRACEPARENT_LEN;
    if (version == 0xff || (goes_on && (version == 0 || t.ptr[WEIR_TRACEPARENT_LEN] != '-')))
        return false;
    if ((high == 0 && low == 0) || span == 0)
        return false;
    *out = (struct weir_trace_context){high, low, span, (flags & FLAG_SAMPLED) != 0};
    return true;
}

void weir_trace_format(char out[WEIR_TRACEPARENT_LEN], const struct weir_trace_context *c)
{
    memcpy(out, "00-", 3);
    weir_hex64(out + 3, c->trace_high);
    weir_hex64(out + 19, c->trace_low);
    out[35] = '-';
    weir_hex64(out + WEIR_TRACEPARENT_SPAN, c->span);
    memcpy(out + 52, c->sampled ? "-01" : "-00", 3);
}

void weir_trace_begin(struct weir_trace_context *c, struct weir_rng *rng)
{
    *c = (struct weir_trace_context){.trace_high = weir_rng_next(rng) | 1, .trace_low = weir_rng_next(rng)};
}

uint64_t weir_trace_span_id(struct weir_rng *rng)
{
    return weir_rng_next(rng) | 1; /* all zero is not a valid id */
}

bool weir_trace_is_chosen(const struct weir_trace_context *c, double share)
{
    return share >= 1 || (double)(c->trace_low >> 11) < share * 0x1p53;
}

/* -- spans -- */

void weir_span_text(char *out, size_t size, struct weir_str text)
{
    size_t n = text.len < size - 1 ? text.len : size - 1;
    for (size_t i = 0; i < n; i++)
        out[i] = text.ptr[i] >= ' ' && text.ptr[i] < 0x7f ? text.ptr[i] : '?';
    out[n] = '\0';
}

/* The value's object, for the one member that names its type. */
static json_t *add_attribute(struct weir_tree *t, json_t *attributes, const char *key)
{
    json_t *attribute = weir_tree_element(t, attributes);
    weir_tree_text(t, attribute, "key", key);
    return weir_tree_child(t, attribute, "value");
}

static void add_text(struct weir_tree *t, json_t *attributes, const char *key, const char *value)
{
    if (value[0] != '\0')
        weir_tree_text(t, add_attribute(t, attributes, key), "stringValue", value);
}

static void add_number(struct weir_tree *t, json_t *attributes, const char *key, uint64_t value)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRIu64, value);
    weir_tree_text(t, add_attribute(t, attributes, key), "intValue", text);
}

static void add_time(struct weir_tree *t, json_t *span, const char *key, uint64_t us)
{
    char text[32];
    snprintf(text, sizeof text, "%" PRIu64 "000", us);
    weir_tree_text(t, span, key, text);
}

static void add_id(struct weir_tree *t, json_t *span, const char *key, uint64_t id)
{
    char text[17] = {0};
    weir_hex64(text, id);
    weir_tree_text(t, span, key, text);
}

/* Names as in OpenTelemetry's semantic conventions for HTTP, where they have one. */
static void add_attributes(struct weir_tree *t, json_t *attributes, const struct weir_span *s)
{
    bool is_try = s->kind == WEIR_SPAN_TRY;
    add_text(t, attributes, "http.request.method", s->method);
    add_text(t, attributes, "url.path", s->path);
    if (s->status != 0)
        add_number(t, attributes, "http.response.status_code", s->status);
    add_text(t, attributes, "error.type", s->error);
    add_text(t, attributes, "weir.provider", s->provider);
    add_text(t, attributes, is_try ? "server.address" : "weir.endpoint", s->endpoint);
    add_text(t, attributes, "weir.peer", s->peer);
    add_text(t, attributes, "weir.request_id", s->request_id);
    add_number(t, attributes, is_try ? "weir.attempt" : "weir.attempts", s->attempt);
    if (is_try)
        weir_tree_bool(t, add_attribute(t, attributes, "weir.connection_reused"), "boolValue", s->reused);
}

/* SpanKind and StatusCode of opentelemetry-proto. */
enum { KIND_SERVER = 2, KIND_CLIENT = 3, STATUS_ERROR = 2 };

static void add_span(struct weir_tree *t, json_t *spans, const struct weir_span *s)
{
    json_t *span = weir_tree_element(t, spans);
    char trace[33] = {0};
    weir_hex64(trace, s->context.trace_high);
    weir_hex64(trace + 16, s->context.trace_low);
    weir_tree_text(t, span, "traceId", trace);
    add_id(t, span, "spanId", s->context.span);
    if (s->parent != 0)
        add_id(t, span, "parentSpanId", s->parent);
    weir_tree_text(t, span, "name", s->method);
    weir_tree_u64(t, span, "kind", s->kind == WEIR_SPAN_TRY ? KIND_CLIENT : KIND_SERVER);
    add_time(t, span, "startTimeUnixNano", s->begin_us);
    add_time(t, span, "endTimeUnixNano", s->end_us);
    add_attributes(t, weir_tree_array(t, span, "attributes"), s);
    json_t *status = weir_tree_child(t, span, "status");
    if (s->failed)
        weir_tree_u64(t, status, "code", STATUS_ERROR);
}

int weir_trace_render(struct weir_textbuf *out, const struct weir_trace_source *from, const struct weir_span *spans,
                      size_t count)
{
    struct weir_tree t;
    weir_tree_begin(&t);
    json_t *resource_spans = weir_tree_element(&t, weir_tree_array(&t, t.root, "resourceSpans"));
    json_t *attributes = weir_tree_array(&t, weir_tree_child(&t, resource_spans, "resource"), "attributes");
    add_text(&t, attributes, "service.name", from->service);
    add_text(&t, attributes, "service.instance.id", from->node);
    add_text(&t, attributes, "service.version", from->version);
    json_t *scope_spans = weir_tree_element(&t, weir_tree_array(&t, resource_spans, "scopeSpans"));
    json_t *scope = weir_tree_child(&t, scope_spans, "scope");
    weir_tree_text(&t, scope, "name", "weir");
    weir_tree_text(&t, scope, "version", from->version);
    json_t *list = weir_tree_array(&t, scope_spans, "spans");
    for (size_t i = 0; i < count; i++)
        add_span(&t, list, &spans[i]);
    return weir_tree_finish(&t, out, 0);
}
