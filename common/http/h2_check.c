#include "http/h2_impl.h"

/* Cookie fields of one request; browsers send one per cookie. */
#define CRUMBS_MAX 256

static bool value_valid(struct weir_str value)
{
    return nghttp2_check_header_value_rfc9113((const uint8_t *)value.ptr, value.len) != 0;
}

static bool name_valid(struct weir_str name)
{
    return name.len > 0 && name.ptr[0] != ':' && nghttp2_check_header_name((const uint8_t *)name.ptr, name.len) != 0;
}

static struct weir_arena *arena_of(struct weir_h2_stream *s)
{
    return s->head->trailers ? s->trailers : s->x.arena;
}

/* -- pseudo fields (RFC 9113 8.3) -- */

static const struct weir_malformed *keep(struct weir_h2_stream *s, struct weir_str *to, struct weir_str value,
                                         bool *seen, const struct weir_malformed *bad)
{
    if (*seen)
        return bad;
    *seen = true;
    *to = weir_arena_dup(s->x.arena, value);
    return to->ptr != NULL ? NULL : &weir_h1_no_memory;
}

static const struct weir_malformed *request_pseudo(struct weir_h2_stream *s, struct weir_str name,
                                                   struct weir_str value)
{
    struct weir_h2_head *head = s->head;
    if (weir_str_eq(name, WEIR_STR(":method"))) {
        if (nghttp2_check_method((const uint8_t *)value.ptr, value.len) == 0)
            return &weir_h1_bad_start_line;
        return keep(s, &head->head.method, value, &head->method_seen, &weir_h1_bad_start_line);
    }
    if (weir_str_eq(name, WEIR_STR(":path")))
        return keep(s, &head->head.target, value, &head->path_seen, &weir_h1_bad_target);
    if (weir_str_eq(name, WEIR_STR(":authority")))
        return keep(s, &head->authority, value, &head->authority_seen, &weir_h1_bad_host);
    if (weir_str_eq(name, WEIR_STR(":scheme"))) {
        if (head->scheme_seen)
            return &weir_h1_bad_target;
        head->scheme_seen = true;
        if (weir_str_eq_nocase(value, WEIR_STR("http")))
            head->head.scheme = WEIR_STR("http");
        else if (weir_str_eq_nocase(value, WEIR_STR("https")))
            head->head.scheme = WEIR_STR("https");
        else
            return &weir_h1_bad_target;
        return NULL;
    }
    if (weir_str_eq(name, WEIR_STR(":protocol"))) /* RFC 8441: we never offered it */
        return &weir_h1_no_connect;
    return &weir_h1_bad_field;
}

static const struct weir_malformed *check_pseudo(struct weir_h2_stream *s, struct weir_str name, struct weir_str value)
{
    struct weir_h2_head *head = s->head;
    if (head->trailers || head->regular_seen)
        return &weir_h1_bad_field;
    if (s->h->server)
        return request_pseudo(s, name, value);
    if (!weir_str_eq(name, WEIR_STR(":status")))
        return &weir_h1_bad_field;
    if (head->status_seen || value.len != 3)
        return &weir_h1_bad_status;
    uint64_t status;
    if (!weir_str_to_u64(value, &status))
        return &weir_h1_bad_status;
    head->status_seen = true;
    head->head.status = (uint16_t)status;
    return NULL;
}

/* -- other fields -- */

static const struct weir_malformed *add_crumb(struct weir_h2_stream *s, struct weir_str value)
{
    struct weir_h2_head *head = s->head;
    if (head->crumb_count == CRUMBS_MAX)
        return &weir_h1_head_large;
    if (head->crumb_count == head->crumb_cap) {
        size_t cap = head->crumb_cap == 0 ? 8 : 2 * head->crumb_cap;
        struct weir_str *grown = weir_arena_alloc(s->x.arena, cap * sizeof *grown);
        if (grown == NULL)
            return &weir_h1_no_memory;
        if (head->crumb_count > 0)
            memcpy(grown, head->crumbs, head->crumb_count * sizeof *grown);
        head->crumbs = grown;
        head->crumb_cap = cap;
    }
    struct weir_str copy = weir_arena_dup(s->x.arena, value);
    if (copy.ptr == NULL)
        return &weir_h1_no_memory;
    head->crumbs[head->crumb_count++] = copy;
    return NULL;
}

static const struct weir_malformed *add(struct weir_h2_stream *s, enum weir_field_id id, struct weir_str name,
                                        struct weir_str value)
{
    struct weir_arena *a = arena_of(s);
    struct weir_fields *fields = &s->head->head.fields;
    struct weir_str copy = weir_arena_dup(a, value);
    if (copy.ptr == NULL)
        return &weir_h1_no_memory;
    if (id != WEIR_FIELD_OTHER)
        return weir_fields_add_id(fields, a, id, copy) ? NULL : &weir_h1_no_memory;
    struct weir_str own = weir_arena_dup(a, name);
    return own.ptr != NULL && weir_fields_add(fields, a, own, copy) ? NULL : &weir_h1_no_memory;
}

/* Of this connection alone; their presence makes a message malformed (RFC 9113 8.2.2). */
static bool connection_specific(enum weir_field_id id, struct weir_str value)
{
    switch (id) {
    case WEIR_FIELD_CONNECTION:
    case WEIR_FIELD_KEEP_ALIVE:
    case WEIR_FIELD_PROXY_CONNECTION:
    case WEIR_FIELD_TRANSFER_ENCODING:
    case WEIR_FIELD_UPGRADE:
        return true;
    case WEIR_FIELD_TE:
        return !weir_str_eq_nocase(value, WEIR_STR("trailers"));
    default:
        return false;
    }
}

/* What may not stand in trailers (RFC 9110 6.5.1): framing is refused, the rest is of no use and left out. */
static const struct weir_malformed *check_trailer(struct weir_h2_stream *s, enum weir_field_id id, struct weir_str name,
                                                  struct weir_str value)
{
    switch (id) {
    case WEIR_FIELD_CONTENT_LENGTH:
        return &weir_h1_bad_framing;
    case WEIR_FIELD_AUTHORIZATION:
    case WEIR_FIELD_CACHE_CONTROL:
    case WEIR_FIELD_CONTENT_ENCODING:
    case WEIR_FIELD_CONTENT_TYPE:
    case WEIR_FIELD_COOKIE:
    case WEIR_FIELD_EXPECT:
    case WEIR_FIELD_HOST:
    case WEIR_FIELD_PROXY_AUTHENTICATE:
    case WEIR_FIELD_PROXY_AUTHORIZATION:
    case WEIR_FIELD_TE:
    case WEIR_FIELD_TRAILER:
        return NULL;
    default:
        return add(s, id, name, value);
    }
}

static const struct weir_malformed *check_regular(struct weir_h2_stream *s, struct weir_str name, struct weir_str value)
{
    struct weir_h2_head *head = s->head;
    enum weir_field_id id = weir_field_id_of(name);
    head->regular_seen = true;
    if (connection_specific(id, value))
        return &weir_h1_bad_connection;
    if (head->trailers)
        return check_trailer(s, id, name, value);
    switch (id) {
    case WEIR_FIELD_CONTENT_LENGTH:
        return weir_h1_note_length(&head->head, &head->length_seen, value);
    case WEIR_FIELD_HOST:
        return s->h->server ? keep(s, &head->host, value, &head->host_seen, &weir_h1_bad_host) : NULL;
    case WEIR_FIELD_COOKIE:
        return add_crumb(s, value);
    case WEIR_FIELD_PROXY_AUTHENTICATE: /* for the next hop alone (RFC 9110 11.7) */
    case WEIR_FIELD_PROXY_AUTHORIZATION:
        return NULL;
    case WEIR_FIELD_TE:
        head->head.te_trailers = true;
        return NULL;
    case WEIR_FIELD_EXPECT:
        head->head.expect_continue |= weir_str_eq_nocase(value, WEIR_STR("100-continue"));
        break;
    default:
        if (weir_str_eq(name, WEIR_STR("http2-settings")))
            return NULL;
        if (weir_str_eq(name, WEIR_STR("priority")) && s->h->server) {
            const struct weir_malformed *bad = add(s, id, name, value);
            if (bad == NULL)
                head->priority = head->head.fields.at[head->head.fields.count - 1].value;
            return bad;
        }
        break;
    }
    return add(s, id, name, value);
}

void weir_h2_check_field(struct weir_h2_stream *s, struct weir_str name, struct weir_str value)
{
    struct weir_h2_head *head = s->head;
    if (head->bad != NULL)
        return;
    head->bytes += name.len + value.len + WEIR_H2_FIELD_OVERHEAD;
    if (head->bytes > s->h->limits->head_bytes_max || ++head->fields > s->h->limits->fields_max)
        head->bad = &weir_h1_head_large;
    else if (!value_valid(value))
        head->bad = &weir_h1_bad_field;
    else if (name.len > 0 && name.ptr[0] == ':')
        head->bad = check_pseudo(s, name, value);
    else if (!name_valid(name))
        head->bad = &weir_h1_bad_field;
    else
        head->bad = check_regular(s, name, value);
}

/* -- whole heads -- */

static const struct weir_malformed *check_authority(struct weir_h2_head *head)
{
    if (head->authority_seen && head->host_seen && !weir_str_eq_nocase(head->authority, head->host))
        return &weir_h1_bad_host;
    if (!head->authority_seen && !head->host_seen)
        return &weir_h1_bad_host;
    head->head.authority = head->authority_seen ? head->authority : head->host;
    return weir_h1_authority_valid(head->head.authority) ? NULL : &weir_h1_bad_host;
}

static const struct weir_malformed *check_target(const struct weir_head *head)
{
    struct weir_str target = head->target;
    for (size_t i = 0; i < target.len; i++)
        if ((uint8_t)target.ptr[i] <= ' ' || (uint8_t)target.ptr[i] >= 0x7f || target.ptr[i] == '#')
            return &weir_h1_bad_target;
    if (target.len > 0 && target.ptr[0] == '/')
        return NULL;
    bool options = target.len == 1 && target.ptr[0] == '*' && weir_str_eq(head->method, WEIR_STR("OPTIONS"));
    return options ? NULL : &weir_h1_bad_target;
}

/* One field again, for whoever speaks HTTP/1.1 behind us (RFC 9113 8.2.3). */
static const struct weir_malformed *join_crumbs(struct weir_h2_stream *s)
{
    struct weir_h2_head *head = s->head;
    if (head->crumb_count == 0)
        return NULL;
    struct weir_str joined = head->crumbs[0];
    if (head->crumb_count > 1) {
        struct weir_str parts[2 * CRUMBS_MAX];
        size_t count = 0;
        for (size_t i = 0; i < head->crumb_count; i++) {
            if (i > 0)
                parts[count++] = WEIR_STR("; ");
            parts[count++] = head->crumbs[i];
        }
        joined = weir_arena_join(s->x.arena, parts, count);
    }
    bool added = joined.ptr != NULL && weir_fields_add_id(&head->head.fields, s->x.arena, WEIR_FIELD_COOKIE, joined);
    return added ? NULL : &weir_h1_no_memory;
}

const struct weir_malformed *weir_h2_check_request(struct weir_h2_stream *s, bool end)
{
    struct weir_h2_head *head = s->head;
    if (head->bad != NULL)
        return head->bad;
    if (!head->method_seen)
        return &weir_h1_bad_start_line;
    if (weir_str_eq(head->head.method, WEIR_STR("CONNECT")))
        return &weir_h1_no_connect;
    if (!head->path_seen || !head->scheme_seen)
        return &weir_h1_bad_target;
    const struct weir_malformed *why = check_authority(head);
    if (why == NULL)
        why = check_target(&head->head);
    if (why == NULL)
        why = join_crumbs(s);
    if (why != NULL)
        return why;
    uint64_t max = s->h->limits->body_bytes_max;
    if (max > 0 && head->head.content_length > 0 && (uint64_t)head->head.content_length > max)
        return &weir_h1_body_large;
    if (end && head->head.content_length > 0) /* RFC 9113 8.1.1: told before anything of it is passed on */
        return &weir_h1_bad_framing;
    head->head.version = 20;
    head->head.has_body = !end;
    head->head.keep_alive = !s->h->draining;
    head->head.expect_continue &= head->head.has_body;
    s->expect = head->head.expect_continue;
    s->head_method = weir_str_eq(head->head.method, WEIR_STR("HEAD"));
    return NULL;
}

const struct weir_malformed *weir_h2_check_response(struct weir_h2_stream *s, bool end)
{
    struct weir_h2_head *head = s->head;
    if (head->bad != NULL)
        return head->bad;
    unsigned status = head->head.status;
    if (!head->status_seen || status < 100 || status == 101)
        return &weir_h1_bad_status;
    const struct weir_malformed *why = join_crumbs(s);
    if (why != NULL)
        return why;
    bool announced = head->head.content_length > 0;
    if (status < 200 && (end || announced))
        return &weir_h1_bad_framing;
    s->no_body = s->head_method || status == 204 || status == 304;
    if (end && announced && !s->no_body) /* RFC 9113 8.1.1: told before anything of it is passed on */
        return &weir_h1_bad_framing;
    head->head.version = 20;
    head->head.has_body = status >= 200 && !end && !s->no_body;
    head->head.keep_alive = !s->h->draining;
    return NULL;
}

bool weir_h2_priority(struct weir_str value, nghttp2_extpri *out)
{
    struct weir_str item;
    bool any = false;
    *out = (nghttp2_extpri){.urgency = NGHTTP2_EXTPRI_DEFAULT_URGENCY};
    while (weir_str_next_item(&value, &item)) {
        if (item.len == 3 && item.ptr[0] == 'u' && item.ptr[1] == '=' && item.ptr[2] >= '0' && item.ptr[2] <= '7') {
            out->urgency = (uint32_t)(item.ptr[2] - '0');
            any = true;
        } else if (weir_str_eq(item, WEIR_STR("i")) || weir_str_eq(item, WEIR_STR("i=?1"))) {
            out->inc = 1;
            any = true;
        }
    }
    return any;
}
