/* The worker's side of operating a node: who may ask, what is named, and how a refusal is told. */
#include "node/operate.h"

#include <string.h>

/* A page of another site, open in an operator's browser, may post here, too, and its address would be one that is
 * allowed: browsers say where such a request comes from (Fetch Metadata; Origin, RFC 6454), and other clients do not
 * send these fields. */
bool weir_operate_is_cross_site(const struct weir_request *r)
{
    const struct weir_field *site = weir_fields_find(&r->head->fields, WEIR_STR("sec-fetch-site")),
                            *origin = weir_fields_find(&r->head->fields, WEIR_STR("origin"));
    if (site != NULL)
        return !weir_str_eq(site->value, WEIR_STR("same-origin")) && !weir_str_eq(site->value, WEIR_STR("none"));
    if (origin == NULL)
        return false;
    const char *host = memmem(origin->value.ptr, origin->value.len, "://", 3);
    size_t skip = host != NULL ? (size_t)(host + 3 - origin->value.ptr) : origin->value.len;
    return !weir_str_eq_nocase((struct weir_str){origin->value.ptr + skip, origin->value.len - skip},
                               r->head->authority);
}

/* A query's value, percent-decoded (RFC 3986 section 2.1). False: too long, a broken escape, or a control character. */
static bool decode(char *out, size_t cap, struct weir_str text)
{
    size_t n = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '%') {
            int high = i + 2 < text.len ? weir_hex_value(text.ptr[i + 1]) : -1,
                low = high >= 0 ? weir_hex_value(text.ptr[i + 2]) : -1;
            if (low < 0)
                return false;
            c = (char)(high << 4 | low);
            i += 2;
        }
        if ((unsigned char)c < 0x20 || n + 1 >= cap)
            return false;
        out[n++] = c;
    }
    out[n] = '\0';
    return true;
}

/* What is operated on. False: it is named in a way that cannot be read. */
bool weir_operate_read_target(struct weir_admin_call *call, const struct weir_request *r)
{
    struct weir_str target = r->head->target;
    const char *query = memchr(target.ptr, '?', target.len);
    if (query == NULL)
        return true;
    struct weir_str rest = {query + 1, (size_t)(target.ptr + target.len - query - 1)};
    struct weir_str name = call->page >= WEIR_ADMIN_BREAKER_OPEN && call->page <= WEIR_ADMIN_BREAKER_RESET
                               ? WEIR_STR("endpoint=")
                               : WEIR_STR("node=");
    return weir_str_starts(rest, name) &&
           decode(call->target, sizeof call->target, (struct weir_str){rest.ptr + name.len, rest.len - name.len});
}

void weir_operate_refuse(struct weir_request *r, const struct weir_admin_call *call)
{
    switch (call->refusal) {
    case WEIR_ADMIN_NO_NODE:
        weir_request_fail(r, 404, "no_such_node", "%s", call->why);
        break;
    case WEIR_ADMIN_NO_CIRCUIT:
        weir_request_fail(r, 404, "no_such_circuit", "%s", call->why);
        break;
    case WEIR_ADMIN_STORE_AWAY:
        weir_request_fail(r, 503, "store_away", "%s", call->why);
        break;
    case WEIR_ADMIN_ENDS:
        weir_request_fail(r, 409, "node_ends", "%s", call->why);
        break;
    default:
        weir_request_fail(r, 422, "config_invalid", "%s", call->why);
    }
}
