/* What a proxy changes in heads (RFC 9110 section 7.6, W3C Trace Context): the codec has already taken out what belongs
 * to one hop. */
#include "node/node.h"
#include "node/request.h"

/* X-Forwarded-For entries that are looked at from the right: proxies in a row that somebody trusts. */
#define FORWARDED_HOPS_MAX 16u

/* -- who the client is -- */

static bool is_trusted_proxy(const struct weir_request *r, const struct weir_ip *ip)
{
    return weir_config_nets_hold(&r->hold->view->config->server.trusted_proxies, ip->bytes);
}

/* The last element of a comma-separated list, taken off its end. */
static struct weir_str pop_last(struct weir_str *list)
{
    const char *comma = list->len > 0 ? memrchr(list->ptr, ',', list->len) : NULL;
    size_t start = comma != NULL ? (size_t)(comma - list->ptr) + 1 : 0;
    struct weir_str item = weir_str_trim((struct weir_str){list->ptr + start, list->len - start});
    list->len = comma != NULL ? start - 1 : 0;
    return item;
}

/* All lines of a list field as one list (RFC 9110 5.3): a proxy may have added a line of its own below a forged one.
 * Empty when there is none. False: out of memory. */
static bool whole_list(struct weir_request *r, enum weir_field_id id, struct weir_str *out)
{
    const struct weir_fields *f = &r->head->fields;
    size_t len = 0, lines = 0;
    *out = (struct weir_str){NULL, 0};
    for (size_t i = 0; i < f->count; i++) {
        if (f->at[i].id != id)
            continue;
        *out = f->at[i].value;
        len += f->at[i].value.len + 2;
        lines++;
    }
    if (lines < 2)
        return true;
    char *joined = weir_arena_bytes(&r->arena, len);
    if (joined == NULL)
        return false;
    *out = (struct weir_str){joined, len - 2};
    for (size_t i = 0; i < f->count; i++) {
        if (f->at[i].id != id)
            continue;
        if (f->at[i].value.len > 0)
            memcpy(joined, f->at[i].value.ptr, f->at[i].value.len);
        memcpy(joined + f->at[i].value.len, ", ", 2);
        joined += f->at[i].value.len + 2;
    }
    return true;
}

void weir_request_find_address(struct weir_request *r)
{
    const struct weir_field *xff = weir_fields_get(&r->head->fields, WEIR_FIELD_X_FORWARDED_FOR);
    bool forwarded = xff != NULL || weir_fields_get(&r->head->fields, WEIR_FIELD_FORWARDED) != NULL;
    r->address = *weir_request_peer(r);
    r->address_certain = true;
    if (!forwarded)
        return;
    if (!is_trusted_proxy(r, &r->address) || xff == NULL) {
        r->address_certain = false;
        return;
    }
    struct weir_str list;
    if (!whole_list(r, WEIR_FIELD_X_FORWARDED_FOR, &list)) {
        r->address_certain = false;
        return;
    }
    for (unsigned i = 0; i < FORWARDED_HOPS_MAX && list.len > 0; i++) {
        struct weir_ip hop;
        if (!weir_ip_parse(&hop, pop_last(&list))) {
            r->address_certain = false;
            return;
        }
        r->address = hop;
        if (!is_trusted_proxy(r, &hop))
            return;
    }
}

/* -- ids -- */

static bool is_fit_id(struct weir_str id)
{
    for (size_t i = 0; i < id.len; i++)
        if (id.ptr[i] <= ' ' || id.ptr[i] >= 0x7f)
            return false;
    return id.len > 0 && id.len <= WEIR_REQUEST_ID_MAX;
}

struct weir_str weir_request_id(struct weir_request *r)
{
    const struct weir_field *f = weir_fields_get(&r->head->fields, WEIR_FIELD_X_REQUEST_ID);
    if (f != NULL && is_fit_id(f->value))
        return f->value;
    char *id = weir_arena_bytes(&r->arena, 32);
    if (id == NULL)
        return WEIR_STR("-");
    weir_hex64(id, weir_rng_next(&r->worker->rng));
    weir_hex64(id + 16, weir_rng_next(&r->worker->rng));
    if (!weir_fields_set(&r->head->fields, &r->arena, WEIR_FIELD_X_REQUEST_ID, (struct weir_str){id, 32}))
        return WEIR_STR("-");
    return (struct weir_str){id, 32};
}

bool weir_request_read_trace(struct weir_request *r, struct weir_trace_context *given)
{
    struct weir_str text;
    return whole_list(r, WEIR_FIELD_TRACEPARENT, &text) && text.ptr != NULL &&
           memchr(text.ptr, ',', text.len) == NULL && weir_trace_parse(given, text);
}

char *weir_request_write_trace(struct weir_request *r, const struct weir_trace_context *c)
{
    char *text = weir_arena_bytes(&r->arena, WEIR_TRACEPARENT_LEN);
    if (text == NULL)
        return NULL;
    weir_trace_format(text, c);
    struct weir_str value = {text, WEIR_TRACEPARENT_LEN};
    return weir_fields_set(&r->head->fields, &r->arena, WEIR_FIELD_TRACEPARENT, value) ? text : NULL;
}

/* A provider is always told a trace: the client's, or else one that begins here and that nobody records. */
static bool begin_trace(struct weir_request *r)
{
    struct weir_trace_context c;
    if (r->trace != NULL || weir_request_read_trace(r, &c))
        return true;
    if (weir_fields_get(&r->head->fields, WEIR_FIELD_TRACEPARENT) != NULL)
        weir_fields_drop_name(&r->head->fields, WEIR_STR("tracestate")); /* of the trace that could not be read */
    weir_trace_begin(&c, &r->worker->rng);
    c.span = weir_trace_span_id(&r->worker->rng);
    return weir_request_write_trace(r, &c) != NULL;
}

/* -- forwarding -- */

static bool is_private(const struct weir_ip *ip)
{
    const uint8_t *b = ip->bytes;
    if (weir_ip_is_loopback(ip))
        return true;
    if (weir_ip_is_v4(ip))
        return b[12] == 10 || (b[12] == 172 && (b[13] & 0xf0) == 16) || (b[12] == 192 && b[13] == 168) ||
               (b[12] == 169 && b[13] == 254);
    return (b[0] & 0xfe) == 0xfc || (b[0] == 0xfe && (b[1] & 0xc0) == 0x80);
}

/* A provider somewhere on the internet has no business with the addresses of weir's clients. */
static bool tells_addresses(const struct weir_request *r)
{
    switch (r->provider->config->forwarded_headers) {
    case WEIR_CONFIG_ON:
        return true;
    case WEIR_CONFIG_OFF:
        return false;
    default:
        break;
    }
    const struct weir_view_endpoint *e = r->endpoint;
    if (!e->config->tls)
        return true;
    struct weir_ip ip = {{0}};
    if (e->address_count > 0)
        ip = weir_addr_ip(&e->addresses[0]);
    return e->address_count > 0 && is_private(&ip);
}

/* Appends to a list field, or begins it. */
static bool append(struct weir_request *r, enum weir_field_id id, struct weir_str value)
{
    struct weir_str list;
    if (!whole_list(r, id, &list))
        return false;
    if (list.len == 0)
        return weir_fields_set(&r->head->fields, &r->arena, id, value);
    struct weir_str parts[3] = {list, WEIR_STR(", "), value};
    struct weir_str joined = weir_arena_join(&r->arena, parts, 3);
    return joined.ptr != NULL && weir_fields_set(&r->head->fields, &r->arena, id, joined);
}

static bool add_forwarded(struct weir_request *r)
{
    struct weir_fields *f = &r->head->fields;
    const struct weir_hop_origin *o = r->hop.origin;
    struct weir_str peer = {r->client->peer_text, r->client->peer_text_len};
    bool secure = o != NULL ? o->pass.secure : r->client->secure;
    uint8_t version = o != NULL ? o->pass.http_version : r->head->version;
    if (o != NULL)
        peer = (struct weir_str){o->client_text, o->client_text_len};
    if (!append(r, WEIR_FIELD_X_FORWARDED_FOR, peer))
        return false;
    if (weir_fields_get(f, WEIR_FIELD_X_FORWARDED_PROTO) == NULL || !is_trusted_proxy(r, weir_request_peer(r)))
        if (!weir_fields_set(f, &r->arena, WEIR_FIELD_X_FORWARDED_PROTO, secure ? WEIR_STR("https") : WEIR_STR("http")))
            return false;
    return append(r, WEIR_FIELD_VIA,
                  version >= 20   ? WEIR_STR("2.0 weir")
                  : version >= 11 ? WEIR_STR("1.1 weir")
                                  : WEIR_STR("1.0 weir"));
}

static bool add_configured(struct weir_request *r)
{
    const struct weir_view_provider *p = r->provider;
    struct weir_fields *f = &r->head->fields;
    if (p->credential.len > 0) {
        weir_fields_drop(f, WEIR_FIELD_AUTHORIZATION);
        weir_fields_drop_name(f, p->credential_name);
        if (!weir_fields_add(f, &r->arena, p->credential_name, p->credential))
            return false;
    }
    for (size_t i = 0; i < p->config->headers.count; i++) {
        struct weir_str name = weir_str_of(p->config->headers.at[i].name);
        weir_fields_drop_name(f, name);
        if (!weir_fields_add(f, &r->arena, name, weir_str_of(p->config->headers.at[i].value)))
            return false;
    }
    return true;
}

/* Done once: a second try changes nothing but the endpoint. */
static bool prepare(struct weir_request *r)
{
    struct weir_fields *f = &r->head->fields;
    if (!r->head->expect_continue)
        weir_fields_drop(f, WEIR_FIELD_EXPECT); /* the only one there is (RFC 9110 10.1.1) */
    weir_request_note_coding(r);
    if (!r->provider->config->http.features.compression)
        weir_fields_drop(f, WEIR_FIELD_ACCEPT_ENCODING);
    weir_request_id(r);
    if (tells_addresses(r)) {
        if (!add_forwarded(r))
            return false;
    } else {
        weir_fields_drop(f, WEIR_FIELD_X_FORWARDED_FOR);
        weir_fields_drop(f, WEIR_FIELD_X_FORWARDED_PROTO);
        weir_fields_drop(f, WEIR_FIELD_FORWARDED);
        weir_fields_drop(f, WEIR_FIELD_VIA);
    }
    return begin_trace(r) && add_configured(r);
}

/* What is asked of the endpoint: as the client said it, or as a redirect did. */
static bool find_target(struct weir_request *r)
{
    struct weir_str target = r->head->target;
    if (r->redirect.target.len > 0) {
        r->asked = r->redirect.target;
        return true;
    }
    if (r->route->strip_prefix) {
        char *scratch = weir_arena_bytes(&r->arena, target.len + 1);
        if (scratch == NULL)
            return false;
        target = weir_route_target(r->route, target, scratch);
    }
    if (r->endpoint->config->path_prefix[0] != '\0' && target.ptr[0] == '/') {
        struct weir_str parts[2] = {weir_str_of(r->endpoint->config->path_prefix), target};
        target = weir_arena_join(&r->arena, parts, 2);
        if (target.ptr == NULL)
            return false;
    }
    r->asked = target;
    return true;
}

bool weir_request_head_up(struct weir_request *r, struct weir_head *out)
{
    if (r->hop.peer != NULL)
        return weir_hop_head(r, out);
    if (!r->head_prepared && !prepare(r))
        return false;
    r->head_prepared = true;
    if (!find_target(r))
        return false;
    bool foreign = weir_endpoint_is_foreign(r->endpoint->rt);
    *out = (struct weir_head){
        .method = weir_request_method(r),
        .target = r->asked,
        .authority = weir_str_of(r->endpoint->config->authority),
        .content_length = r->head->content_length,
        .has_body = r->head->has_body,
        .te_trailers = r->head->te_trailers,
        .fields = r->head->fields,
        .close = foreign || !r->provider->config->connection_reuse,
    };
    return !r->redirect.left || weir_request_foreign_fields(r, &out->fields);
}

bool weir_request_head_down(struct weir_request *r, struct weir_head *in, struct weir_head *out)
{
    /* The client would bring it to the provider with the next request. */
    if (r->redirect.left)
        weir_fields_drop_name(&in->fields, WEIR_STR("set-cookie"));
    if (weir_fields_get(&in->fields, WEIR_FIELD_X_REQUEST_ID) == NULL &&
        !weir_fields_add_id(&in->fields, &r->arena, WEIR_FIELD_X_REQUEST_ID, weir_request_id(r)))
        return false;
    *out = (struct weir_head){
        .status = in->status,
        .content_length = in->content_length,
        .has_body = in->has_body && !weir_str_eq(r->head->method, WEIR_STR("HEAD")),
        .fields = in->fields,
        .close = atomic_load_explicit(&r->worker->node->draining, memory_order_relaxed),
    };
    if (r->hop.peer != NULL) /* who served it has coded and marked it, if anybody does */
        return true;
    return weir_hop_mark(r, &out->fields) && weir_request_begin_coding(r, out);
}
