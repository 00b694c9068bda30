#include "http/h1.h"

const struct weir_malformed weir_h1_bad_start_line = {400, "malformed_start_line", "the start line is malformed"};
const struct weir_malformed weir_h1_bad_version = {505, "unsupported_version",
                                                   "only HTTP/1.0 and HTTP/1.1 are spoken here"};
const struct weir_malformed weir_h1_bad_field = {400, "malformed_field", "a header field is malformed"};
const struct weir_malformed weir_h1_bad_framing = {400, "malformed_framing",
                                                   "the length of the message cannot be told without doubt"};
const struct weir_malformed weir_h1_bad_host = {400, "malformed_host", "Host is missing, repeated or invalid"};
const struct weir_malformed weir_h1_bad_target = {400, "malformed_target", "the request target is invalid"};
const struct weir_malformed weir_h1_bad_chunk = {400, "malformed_chunk", "the chunked body is malformed"};
const struct weir_malformed weir_h1_bad_connection = {400, "malformed_connection",
                                                      "Connection names a field that it may not, or too many"};
const struct weir_malformed weir_h1_bad_status = {502, "malformed_status",
                                                  "the status is not one that can be passed on"};
const struct weir_malformed weir_h1_no_connect = {501, "connect_not_implemented", "CONNECT is not offered"};
const struct weir_malformed weir_h1_no_coding = {501, "transfer_coding_not_implemented",
                                                 "the only transfer coding spoken here is chunked"};
const struct weir_malformed weir_h1_preface = {400, "http2_preface", "HTTP/2 is not spoken on this connection"};
const struct weir_malformed weir_h1_head_large = {431, "head_too_large", "the header fields are too many or too large"};
const struct weir_malformed weir_h1_body_large = {413, "body_too_large", "the body is larger than allowed"};
const struct weir_malformed weir_h1_no_memory = {503, "out_of_memory", "out of memory"};

/* RFC 9110 5.6.2 */
static bool is_token(struct weir_str s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        bool alnum = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!alnum && (c == '\0' || strchr("!#$%&'*+-.^_`|~", c) == NULL))
            return false;
    }
    return s.len > 0;
}

/* -- one field -- */

static const struct weir_malformed *add_options(struct weir_h1 *h, struct weir_str value)
{
    struct weir_h1_options *options = weir_arena_alloc(h->x.arena, sizeof *options);
    if (options == NULL)
        return &weir_h1_no_memory;
    *options = (struct weir_h1_options){value, h->head->options};
    h->head->options = options;
    return NULL;
}

/* chunked, alone. Anything before it would reach us decoded by nobody; anything after it, or it twice, is how two
 * recipients come to disagree (RFC 9112 6.1). */
static const struct weir_malformed *note_coding(struct weir_h1_head *head, struct weir_str value)
{
    const struct weir_malformed *verdict = NULL;
    struct weir_str item;
    bool any = false;
    while (weir_str_next_item(&value, &item)) {
        any = true;
        if (head->chunked || !is_token(item))
            return &weir_h1_bad_framing;
        if (weir_str_eq_nocase(item, WEIR_STR("chunked")))
            head->chunked = true;
        else
            verdict = &weir_h1_no_coding;
    }
    return any ? verdict : &weir_h1_bad_framing;
}

const struct weir_malformed *weir_h1_note_length(struct weir_head *head, bool *seen, struct weir_str value)
{
    uint64_t length;
    if (*seen || !weir_str_to_u64(value, &length) || length > INT64_MAX)
        return &weir_h1_bad_framing;
    *seen = true;
    head->content_length = (int64_t)length;
    return NULL;
}

/* `Keep-Alive: timeout=5, max=100` */
static void note_keepalive(struct weir_h1_head *head, struct weir_str value)
{
    const struct weir_str key = WEIR_STR("timeout=");
    struct weir_str item;
    uint64_t seconds;
    while (weir_str_next_item(&value, &item)) {
        if (item.len <= key.len || !weir_str_eq_nocase((struct weir_str){item.ptr, key.len}, key))
            continue;
        struct weir_str number = {item.ptr + key.len, item.len - key.len};
        if (weir_str_to_u64(number, &seconds) && seconds <= UINT32_MAX / 1000)
            head->keepalive_ms = (uint32_t)seconds * 1000;
    }
}

static const struct weir_malformed *add(struct weir_fields *fields, struct weir_arena *a, enum weir_field_id id,
                                        struct weir_str name, struct weir_str value)
{
    if (id != WEIR_FIELD_OTHER)
        return weir_fields_add_id(fields, a, id, value) ? NULL : &weir_h1_no_memory;
    struct weir_str copy = weir_arena_dup(a, name);
    return copy.ptr != NULL && weir_fields_add(fields, a, copy, value) ? NULL : &weir_h1_no_memory;
}

/* What may not stand in trailers (RFC 9110 6.5.1): framing is refused, the rest is of no use and left out. */
static const struct weir_malformed *check_trailer(struct weir_h1 *h, enum weir_field_id id, struct weir_str name,
                                                  struct weir_str value)
{
    switch (id) {
    case WEIR_FIELD_CONTENT_LENGTH:
    case WEIR_FIELD_TRANSFER_ENCODING:
        return &weir_h1_bad_framing;
    case WEIR_FIELD_AUTHORIZATION:
    case WEIR_FIELD_CACHE_CONTROL:
    case WEIR_FIELD_CONNECTION:
    case WEIR_FIELD_CONTENT_ENCODING:
    case WEIR_FIELD_CONTENT_TYPE:
    case WEIR_FIELD_COOKIE:
    case WEIR_FIELD_EXPECT:
    case WEIR_FIELD_HOST:
    case WEIR_FIELD_KEEP_ALIVE:
    case WEIR_FIELD_PROXY_AUTHENTICATE:
    case WEIR_FIELD_PROXY_AUTHORIZATION:
    case WEIR_FIELD_PROXY_CONNECTION:
    case WEIR_FIELD_TE:
    case WEIR_FIELD_TRAILER:
    case WEIR_FIELD_UPGRADE:
        return NULL;
    default:
        return add(&h->head->head.fields, h->trailers, id, name, value);
    }
}

static bool lists_trailers(struct weir_str te)
{
    struct weir_str item;
    while (weir_str_next_item(&te, &item))
        if (weir_str_eq_nocase(item, WEIR_STR("trailers")))
            return true;
    return false;
}

const struct weir_malformed *weir_h1_check_field(struct weir_h1 *h, struct weir_str name, struct weir_str value)
{
    struct weir_h1_head *head = h->head;
    enum weir_field_id id = weir_field_id_of(name);
    if (head->trailers)
        return check_trailer(h, id, name, value);
    switch (id) {
    case WEIR_FIELD_CONNECTION:
        return add_options(h, value);
    case WEIR_FIELD_CONTENT_LENGTH:
        return weir_h1_note_length(&head->head, &head->length_seen, value);
    case WEIR_FIELD_TRANSFER_ENCODING:
        return note_coding(head, value);
    case WEIR_FIELD_HOST:
        if (!h->server)
            return NULL;
        if (head->host_seen)
            return &weir_h1_bad_host;
        head->host_seen = true;
        head->host = value;
        return NULL;
    case WEIR_FIELD_KEEP_ALIVE:
        note_keepalive(head, value);
        return NULL;
    case WEIR_FIELD_PROXY_AUTHENTICATE: /* for the next hop alone (RFC 9110 11.7) */
    case WEIR_FIELD_PROXY_AUTHORIZATION:
    case WEIR_FIELD_PROXY_CONNECTION:
    case WEIR_FIELD_UPGRADE:
        return NULL;
    case WEIR_FIELD_TE:
        head->head.te_trailers |= lists_trailers(value);
        return NULL;
    case WEIR_FIELD_EXPECT:
        head->head.expect_continue |= weir_str_eq_nocase(value, WEIR_STR("100-continue"));
        break;
    default:
        break;
    }
    return add(&head->head.fields, h->x.arena, id, name, value);
}

/* -- whole heads -- */

/* Takes out what the Connection fields name, and finds close and keep-alive among it. Without the length or the host a
 * message would mean another thing to the next hop, so nobody may name them away. */
static const struct weir_malformed *apply_options(struct weir_h1_head *head, bool *close, bool *keep_alive)
{
    unsigned count = 0;
    for (struct weir_h1_options *options = head->options; options != NULL; options = options->next) {
        struct weir_str list = options->value, item;
        while (weir_str_next_item(&list, &item)) {
            if (++count > WEIR_H1_CONNECTION_OPTIONS_MAX || !is_token(item))
                return &weir_h1_bad_connection;
            char *text = (char *)item.ptr; /* a copy of our own, in the arena */
            for (size_t i = 0; i < item.len; i++)
                text[i] = weir_lower(text[i]);
            if (weir_str_eq(item, WEIR_STR("close"))) {
                *close = true;
                continue;
            }
            if (weir_str_eq(item, WEIR_STR("keep-alive"))) {
                *keep_alive = true;
                continue;
            }
            enum weir_field_id id = weir_field_id_of(item);
            if (id == WEIR_FIELD_CONTENT_LENGTH || id == WEIR_FIELD_TRANSFER_ENCODING || id == WEIR_FIELD_HOST)
                return &weir_h1_bad_connection;
            weir_fields_drop_name(&head->head.fields, item);
        }
    }
    return NULL;
}

static const struct weir_malformed *check_framing(struct weir_h1 *h)
{
    struct weir_h1_head *head = h->head;
    if (head->chunked && (head->length_seen || head->head.version == 10))
        return &weir_h1_bad_framing;
    bool close = false, keep_alive = false;
    const struct weir_malformed *why = apply_options(head, &close, &keep_alive);
    if (why != NULL)
        return why;
    h->keep_alive = !close && (head->head.version == 11 || keep_alive);
    head->head.keep_alive = h->keep_alive;
    return NULL;
}

bool weir_h1_authority_valid(struct weir_str s)
{
    size_t i = 0;
    if (s.len > 0 && s.ptr[0] == '[') {
        for (i = 1; i < s.len && s.ptr[i] != ']'; i++) {
            char c = weir_lower(s.ptr[i]);
            if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || c == ':' || c == '.'))
                return false;
        }
        if (i++ >= s.len || i == 2)
            return false;
    } else {
        for (; i < s.len && s.ptr[i] != ':'; i++) {
            char c = weir_lower(s.ptr[i]);
            bool alnum = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z');
            if (!alnum && (c == '\0' || strchr("-._~%!$&'()*+,;=", c) == NULL))
                return false;
        }
        if (i == 0)
            return false;
    }
    if (i == s.len)
        return true;
    uint64_t port = 0;
    struct weir_str digits = {s.ptr + i + 1, s.len - i - 1};
    return s.ptr[i] == ':' && (digits.len == 0 || (weir_str_to_u64(digits, &port) && port <= UINT16_MAX));
}

/* "http://host/path" to scheme, authority and origin-form (RFC 9112 3.2.2; 3.2.4 for OPTIONS without a path). */
static bool split_absolute(struct weir_h1 *h, struct weir_str target)
{
    struct weir_head *head = &h->head->head;
    const char *colon = memchr(target.ptr, ':', target.len);
    if (colon == NULL)
        return false;
    struct weir_str scheme = {target.ptr, (size_t)(colon - target.ptr)};
    if (weir_str_eq_nocase(scheme, WEIR_STR("http")))
        head->scheme = WEIR_STR("http");
    else if (weir_str_eq_nocase(scheme, WEIR_STR("https")))
        head->scheme = WEIR_STR("https");
    else
        return false;
    struct weir_str rest = {colon, target.len - scheme.len};
    if (!weir_str_starts(rest, WEIR_STR("://")))
        return false;
    rest.ptr += 3;
    rest.len -= 3;
    size_t n = 0;
    while (n < rest.len && rest.ptr[n] != '/' && rest.ptr[n] != '?')
        n++;
    head->authority = (struct weir_str){rest.ptr, n};
    head->target = (struct weir_str){rest.ptr + n, rest.len - n};
    if (head->target.len == 0) {
        head->target = weir_str_eq(head->method, WEIR_STR("OPTIONS")) ? WEIR_STR("*") : WEIR_STR("/");
    } else if (head->target.ptr[0] == '?') {
        const struct weir_str parts[] = {WEIR_STR("/"), head->target};
        head->target = weir_arena_join(h->x.arena, parts, 2);
        if (head->target.ptr == NULL)
            h->bad = &weir_h1_no_memory;
    }
    return weir_h1_authority_valid(head->authority);
}

static const struct weir_malformed *check_target(struct weir_h1 *h)
{
    struct weir_head *head = &h->head->head;
    struct weir_str target = {h->head->target.ptr, h->head->target.len};
    for (size_t i = 0; i < target.len; i++)
        if ((uint8_t)target.ptr[i] <= ' ' || (uint8_t)target.ptr[i] >= 0x7f || target.ptr[i] == '#')
            return &weir_h1_bad_target;
    if (target.len == 0)
        return &weir_h1_bad_target;
    head->authority = h->head->host;
    head->target = target;
    if (target.ptr[0] == '/')
        return NULL;
    if (target.ptr[0] == '*')
        return target.len == 1 && weir_str_eq(head->method, WEIR_STR("OPTIONS")) ? NULL : &weir_h1_bad_target;
    if (!split_absolute(h, target))
        return &weir_h1_bad_target;
    return h->bad;
}

const struct weir_malformed *weir_h1_check_request(struct weir_h1 *h)
{
    struct weir_h1_head *head = h->head;
    if (h->line != WEIR_H1_LINE_OVER)
        return &weir_h1_bad_start_line;
    head->head.version = (uint8_t)(10 + h->parser.http_minor);
    h->peer_10 = h->parser.http_minor == 0;
    if (head->host_seen ? !weir_h1_authority_valid(head->host) : !h->peer_10)
        return &weir_h1_bad_host;
    const struct weir_malformed *why = check_target(h);
    if (why == NULL)
        why = check_framing(h);
    if (why != NULL)
        return why;
    uint64_t max = h->limits->body_bytes_max;
    if (max > 0 && head->head.content_length > 0 && (uint64_t)head->head.content_length > max)
        return &weir_h1_body_large;
    h->framing = head->chunked ? WEIR_H1_CHUNKED : head->head.content_length > 0 ? WEIR_H1_LENGTH : WEIR_H1_NONE;
    head->head.has_body = h->framing != WEIR_H1_NONE;
    head->head.expect_continue &= head->head.has_body && !h->peer_10; /* RFC 9110 10.1.1 */
    h->expect = head->head.expect_continue;
    return NULL;
}

const struct weir_malformed *weir_h1_check_response(struct weir_h1 *h)
{
    struct weir_h1_head *head = h->head;
    const llhttp_t *parser = &h->parser;
    if (parser->http_major != 1 || parser->http_minor > 1)
        return &weir_h1_bad_version;
    head->head.version = (uint8_t)(10 + parser->http_minor);
    head->head.status = parser->status_code;
    if (parser->status_code < 100 || parser->status_code == 101)
        return &weir_h1_bad_status;
    const struct weir_malformed *why = check_framing(h);
    if (why != NULL)
        return why;
    /* RFC 9112 6.1 and 9110 8.6 forbid a length with 1xx and 204: what one recipient skips another would read */
    bool announced = head->chunked || head->head.content_length > 0;
    if (parser->status_code < 200) {
        if (announced)
            return &weir_h1_bad_framing;
        h->framing = WEIR_H1_NONE;
    } else if (parser->status_code == 204) {
        if (announced)
            h->keep_alive = head->head.keep_alive = false;
        h->framing = WEIR_H1_NONE;
    } else if (parser->status_code == 304 || h->head_method) {
        h->framing = WEIR_H1_NONE;
    } else if (head->chunked) {
        h->framing = WEIR_H1_CHUNKED;
    } else if (head->length_seen) {
        h->framing = head->head.content_length > 0 ? WEIR_H1_LENGTH : WEIR_H1_NONE;
    } else {
        h->framing = WEIR_H1_UNTIL_CLOSE;
        h->keep_alive = head->head.keep_alive = false;
    }
    head->head.has_body = h->framing != WEIR_H1_NONE;
    return NULL;
}

const struct weir_malformed *weir_h1_check_errno(llhttp_errno_t code, bool in_body)
{
    switch (code) {
    case HPE_INVALID_METHOD:
    case HPE_INVALID_VERSION:
    case HPE_INVALID_CONSTANT:
    case HPE_INVALID_STATUS:
        return &weir_h1_bad_start_line;
    case HPE_INVALID_URL:
        return &weir_h1_bad_target;
    case HPE_INVALID_CONTENT_LENGTH:
    case HPE_UNEXPECTED_CONTENT_LENGTH:
    case HPE_INVALID_TRANSFER_ENCODING:
        return &weir_h1_bad_framing;
    case HPE_INVALID_HEADER_TOKEN:
    case HPE_UNEXPECTED_SPACE:
        return &weir_h1_bad_field;
    default:
        return in_body ? &weir_h1_bad_chunk : &weir_h1_bad_field;
    }
}

size_t weir_h1_check_line(struct weir_h1 *h, const uint8_t *p, size_t n, const struct weir_malformed **bad)
{
    static const char version[] = "HTTP/1.1";
    size_t i = 0;
    for (; i < n && h->line != WEIR_H1_LINE_OVER; i++) {
        uint8_t c = p[i];
        if (h->line != WEIR_H1_LINE_VERSION) {
            if (c == ' ' && h->line_at > 0) {
                h->line++;
                h->line_at = 0;
            } else if (c == ' ' || c == '\r' || c == '\n') {
                *bad = &weir_h1_bad_start_line;
                return i;
            } else {
                h->line_at = 1;
            }
        } else if (h->line_at == sizeof version - 2 && c == '0') {
            h->line = WEIR_H1_LINE_OVER;
        } else if (c != (uint8_t)version[h->line_at]) {
            bool digit = c >= '0' && c <= '9';
            *bad = digit && (h->line_at == 5 || h->line_at == 7) ? &weir_h1_bad_version : &weir_h1_bad_start_line;
            return i;
        } else if (++h->line_at == sizeof version - 1) {
            h->line = WEIR_H1_LINE_OVER;
        }
    }
    return n;
}
