#include <assert.h>
#include <stdlib.h>

#include "http/h1.h"

static struct weir_h1 *of_parser(llhttp_t *parser)
{
    return WEIR_CONTAINER(parser, struct weir_h1, parser);
}

static int refuse(struct weir_h1 *h, const struct weir_malformed *why)
{
    h->bad = why;
    return -1;
}

static struct weir_arena *arena_of(const struct weir_h1 *h)
{
    return h->head->trailers ? h->trailers : h->x.arena;
}

/* A text that comes in one piece, as nearly all do, takes exactly its length; one that dribbles in doubles, so a sender
 * of single bytes costs no more than twice its head. NULL: out of memory. */
static char *text_extend(struct weir_h1 *h, struct weir_h1_text *text, size_t n)
{
    size_t need = text->len + n;
    if (need > text->cap) {
        size_t cap = text->cap == 0 ? need : 2 * need;
        char *ptr = weir_arena_bytes(arena_of(h), cap);
        if (ptr == NULL)
            return NULL;
        if (text->len > 0)
            memcpy(ptr, text->ptr, text->len);
        text->ptr = ptr;
        text->cap = cap;
    }
    char *end = text->ptr + text->len;
    text->len = need;
    return end;
}

static int add_text(struct weir_h1 *h, struct weir_h1_text *text, const char *at, size_t n)
{
    if (n == 0)
        return 0;
    char *to = text_extend(h, text, n);
    if (to == NULL)
        return refuse(h, &weir_h1_no_memory);
    memcpy(to, at, n);
    return 0;
}

static int on_method_complete(llhttp_t *parser)
{
    struct weir_h1 *h = of_parser(parser);
    switch (parser->method) {
    case HTTP_CONNECT:
        return refuse(h, &weir_h1_no_connect);
    case HTTP_PRI:
        return refuse(h, &weir_h1_preface);
    case HTTP_QUERY:
        break;
    default: /* what lies behind belongs to RTSP */
        if (parser->method > HTTP_PRI)
            return refuse(h, &weir_h1_bad_start_line);
    }
    h->head_method = parser->method == HTTP_HEAD;
    h->head->head.method = weir_str_of(llhttp_method_name((llhttp_method_t)parser->method));
    return 0;
}

static int on_url(llhttp_t *parser, const char *at, size_t n)
{
    struct weir_h1 *h = of_parser(parser);
    return add_text(h, &h->head->target, at, n);
}

static int on_status(llhttp_t *parser, const char *at, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if ((uint8_t)at[i] < ' ' ? at[i] != '\t' : at[i] == 0x7f)
            return refuse(of_parser(parser), &weir_h1_bad_start_line);
    return 0;
}

/* Copies a name in lower case, eight bytes at a time: it is done for every field of every message. */
static void copy_lower(char *to, const char *from, size_t n)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        uint64_t word;
        memcpy(&word, from + i, 8);
        uint64_t low = word & (0x7f * ones);
        uint64_t from_a = low + (0x80 - 'A') * ones, past_z = low + (0x7f - 'Z') * ones; /* top bits say */
        word |= (~word & (from_a ^ past_z) & (0x80 * ones)) >> 2;
        memcpy(to + i, &word, 8);
    }
    for (; i < n; i++)
        to[i] = weir_lower(from[i]);
}

static int on_field(llhttp_t *parser, const char *at, size_t n)
{
    struct weir_h1 *h = of_parser(parser);
    struct weir_h1_text *name = &h->head->name;
    if (name->cap == 0) {
        name->ptr = h->head->name_short;
        name->cap = WEIR_H1_NAME_SHORT;
    }
    char *to = text_extend(h, name, n);
    if (to == NULL)
        return refuse(h, &weir_h1_no_memory);
    copy_lower(to, at, n);
    return 0;
}

static int on_value(llhttp_t *parser, const char *at, size_t n)
{
    struct weir_h1 *h = of_parser(parser);
    return add_text(h, &h->head->value, at, n);
}

static int on_value_complete(llhttp_t *parser)
{
    struct weir_h1 *h = of_parser(parser);
    struct weir_h1_head *head = h->head;
    if (++head->fields_seen > h->limits->fields_max)
        return refuse(h, &weir_h1_head_large);
    struct weir_str value = weir_str_trim((struct weir_str){head->value.ptr, head->value.len});
    const struct weir_malformed *bad = weir_h1_check_field(h, (struct weir_str){head->name.ptr, head->name.len}, value);
    head->name = head->value = (struct weir_h1_text){0};
    return bad == NULL ? 0 : refuse(h, bad);
}

/* Stops the parser, so that the body is read only as far as it was granted; what follows the head is decided by us. */
static int on_headers_complete(llhttp_t *parser)
{
    parser->upgrade = 0; /* never honoured */
    return HPE_PAUSED;
}

static int on_chunk_header(llhttp_t *parser)
{
    return parser->content_length == 0 ? HPE_PAUSED : 0; /* trailers are under the limits of a head */
}

static int on_body(llhttp_t *parser, const char *at, size_t n)
{
    struct weir_h1 *h = of_parser(parser);
    const uint8_t *p = (const uint8_t *)at;
    size_t framing = h->framing_bytes + (size_t)(p - h->counted);
    if (framing > WEIR_H1_CHUNK_FRAMING_MAX)
        return refuse(h, &weir_h1_bad_chunk);
    h->framing_bytes = 0;
    h->counted = p + n;
    return weir_h1_deliver_body(h, p, n) ? 0 : -1;
}

static int on_message_complete(llhttp_t *parser)
{
    of_parser(parser)->complete = true;
    return HPE_PAUSED;
}

static const llhttp_settings_t request_settings = {
    .on_method_complete = on_method_complete,
    .on_url = on_url,
    .on_header_field = on_field,
    .on_header_value = on_value,
    .on_header_value_complete = on_value_complete,
    .on_headers_complete = on_headers_complete,
    .on_chunk_header = on_chunk_header,
    .on_body = on_body,
    .on_message_complete = on_message_complete,
};

static const llhttp_settings_t response_settings = {
    .on_status = on_status,
    .on_header_field = on_field,
    .on_header_value = on_value,
    .on_header_value_complete = on_value_complete,
    .on_headers_complete = on_headers_complete,
    .on_chunk_header = on_chunk_header,
    .on_body = on_body,
    .on_message_complete = on_message_complete,
};

void weir_h1_parser_init(struct weir_h1 *h, bool server)
{
    llhttp_init(&h->parser, server ? HTTP_REQUEST : HTTP_RESPONSE, server ? &request_settings : &response_settings);
}

bool weir_h1_head_begin(struct weir_h1 *h)
{
    h->head = weir_arena_alloc(h->x.arena, sizeof *h->head);
    if (h->head == NULL)
        return false;
    memset(h->head, 0, sizeof *h->head);
    h->head->head.content_length = WEIR_LENGTH_UNKNOWN;
    h->head_bytes = 0;
    h->line = WEIR_H1_LINE_METHOD;
    h->line_at = 0;
    return true;
}

/* Trailers are parsed apart from the user's arena, which may be reset at any time once streaming has begun. */
static bool trailers_begin(struct weir_h1 *h)
{
    h->trailers = malloc(sizeof *h->trailers);
    if (h->trailers == NULL)
        return false;
    weir_arena_init(h->trailers);
    h->head = weir_arena_alloc(h->trailers, sizeof *h->head);
    if (h->head == NULL)
        return false;
    memset(h->head, 0, sizeof *h->head);
    h->head->trailers = true;
    h->head_bytes = 0;
    return true;
}

static enum weir_h1_step bad(struct weir_h1 *h, const struct weir_malformed *why)
{
    h->bad = why;
    return WEIR_H1_BAD;
}

/* How many of n bytes the limit of the head leaves; 0: it is met. */
static size_t within_head(const struct weir_h1 *h, size_t n)
{
    size_t left = h->limits->head_bytes_max > h->head_bytes ? h->limits->head_bytes_max - h->head_bytes : 0;
    return n < left ? n : left;
}

static size_t consumed(const struct weir_h1 *h, llhttp_errno_t code, const uint8_t *p, size_t n)
{
    return code == HPE_OK ? n : (size_t)((const uint8_t *)llhttp_get_error_pos(&h->parser) - p);
}

/* What is wrong is found in the order of the bytes, however they were cut into reads: each check first lets the parser
 * go up to where it stopped itself. */
enum weir_h1_step weir_h1_eat_head(struct weir_h1 *h, const uint8_t *p, size_t n, size_t *used)
{
    *used = 0;
    while (*used < n) {
        const uint8_t *at = p + *used;
        size_t some = within_head(h, n - *used);
        if (some == 0)
            return bad(h, &weir_h1_head_large);
        const struct weir_malformed *line_bad = NULL;
        if (h->server && h->line != WEIR_H1_LINE_OVER)
            some = weir_h1_check_line(h, at, some, &line_bad);
        llhttp_errno_t code = llhttp_execute(&h->parser, (const char *)at, some);
        size_t ate = consumed(h, code, at, some);
        h->head_bytes += (uint32_t)ate;
        *used += ate;
        if (code == HPE_PAUSED) {
            llhttp_resume(&h->parser);
            return WEIR_H1_COMPLETE;
        }
        if (code != HPE_OK)
            return bad(h, h->bad != NULL ? h->bad : weir_h1_check_errno(code, false));
        if (line_bad != NULL)
            return bad(h, line_bad);
    }
    return WEIR_H1_MORE;
}

enum weir_h1_step weir_h1_eat_chunked(struct weir_h1 *h, const uint8_t *p, size_t n, size_t *used)
{
    *used = 0;
    while (*used < n) {
        const uint8_t *at = p + *used;
        size_t some = h->head != NULL ? within_head(h, n - *used) : n - *used;
        if (some == 0)
            return bad(h, &weir_h1_head_large);
        h->counted = at;
        llhttp_errno_t code = llhttp_execute(&h->parser, (const char *)at, some);
        if (!h->open)
            return WEIR_H1_STOPPED;
        size_t ate = consumed(h, code, at, some);
        *used += ate;
        if (code != HPE_OK && code != HPE_PAUSED)
            return bad(h, h->bad != NULL ? h->bad : weir_h1_check_errno(code, true));
        if (h->head != NULL)
            h->head_bytes += (uint32_t)ate;
        else
            h->framing_bytes += (uint32_t)(at + ate - h->counted);
        if (h->head == NULL && h->framing_bytes > WEIR_H1_CHUNK_FRAMING_MAX)
            return bad(h, &weir_h1_bad_chunk);
        if (code == HPE_PAUSED) {
            llhttp_resume(&h->parser);
            if (h->complete)
                return WEIR_H1_COMPLETE;
            if (!trailers_begin(h))
                return bad(h, &weir_h1_no_memory);
        }
    }
    return WEIR_H1_MORE;
}

bool weir_h1_deliver_body(struct weir_h1 *h, const uint8_t *p, size_t n)
{
    uint64_t max = h->server ? h->limits->body_bytes_max : 0;
    size_t some = n;
    if (max > 0 && n > max - h->body_total)
        some = (size_t)(max - h->body_total);
    h->body_total += some;
    if (!h->drop_body) {
        assert(h->credit >= some);
        h->credit -= some;
        if (some > 0)
            h->x.events->body(&h->x, p, some);
    }
    if (some < n)
        h->bad = &weir_h1_body_large;
    return h->open && h->bad == NULL;
}
