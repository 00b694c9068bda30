/* The worker's side of operating a node: who may ask, what is named, and how a refusal is told. */
#include "node/operate.h"

#include <string.h>

#include "core/query.h"

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

/* "": it takes none. */
static struct weir_str target_field(enum weir_admin_page page)
{
    if (page == WEIR_ADMIN_CLUSTER_REBALANCE)
        return WEIR_STR("");
    return page >= WEIR_ADMIN_BREAKER_OPEN && page <= WEIR_ADMIN_BREAKER_RESET ? WEIR_STR("endpoint")
                                                                               : WEIR_STR("node");
}

/* A field with another name is refused: whoever mistypes "node" means another node than this one. */
bool weir_operate_read_target(struct weir_admin_call *call, const struct weir_request *r)
{
    struct weir_str name = target_field(call->page);
    return weir_query_has_only(r->head->target, name) &&
           weir_query_find(r->head->target, name, call->target, sizeof call->target) != WEIR_QUERY_WRONG;
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
    case WEIR_ADMIN_NO_CLUSTER:
        weir_request_fail(r, 409, "no_cluster", "%s", call->why);
        break;
    case WEIR_ADMIN_ENDS:
        weir_request_fail(r, 409, "node_ends", "%s", call->why);
        break;
    default:
        weir_request_fail(r, 422, "config_invalid", "%s", call->why);
    }
}
