#include "core/route.h"

struct weir_str weir_route_path(struct weir_str target)
{
    const char *query = memchr(target.ptr, '?', target.len);
    if (query != NULL)
        target.len = (size_t)(query - target.ptr);
    return target;
}

struct weir_str weir_route_host(struct weir_str authority)
{
    if (authority.len == 0) /* of HTTP/1.0: its ptr may be NULL, in which nothing may be looked for */
        return authority;
    if (authority.ptr[0] == '[') {
        const char *end = memchr(authority.ptr, ']', authority.len);
        if (end != NULL)
            return (struct weir_str){authority.ptr + 1, (size_t)(end - authority.ptr) - 1};
    }
    const char *colon = memchr(authority.ptr, ':', authority.len);
    if (colon != NULL)
        authority.len = (size_t)(colon - authority.ptr);
    return authority;
}

static bool path_matches(const char *prefix_text, struct weir_str path)
{
    struct weir_str prefix = weir_str_of(prefix_text);
    if (prefix.len > 0 && prefix.ptr[prefix.len - 1] == '/')
        prefix.len--; /* "/v1/" and "/v1" match the same whole segments */
    if (!weir_str_starts(path, prefix))
        return false;
    return path.len == prefix.len || path.ptr[prefix.len] == '/';
}

bool weir_route_host_matches(const char *pattern_text, struct weir_str authority)
{
    struct weir_str host = weir_route_host(authority);
    struct weir_str pattern = weir_str_of(pattern_text);
    if (pattern.len > 1 && pattern.ptr[0] == '*') {
        pattern.ptr++;
        pattern.len--;
        if (host.len <= pattern.len)
            return false;
        host.ptr += host.len - pattern.len;
        host.len = pattern.len;
    }
    return weir_str_eq_nocase(host, pattern);
}

static bool header_matches(const struct weir_config_route *route, const struct weir_fields *fields)
{
    const struct weir_field *f = weir_fields_find(fields, weir_str_of(route->header_name));
    return f != NULL && (route->header_value == NULL || weir_str_eq(f->value, weir_str_of(route->header_value)));
}

static bool matches(const struct weir_config_route *route, const struct weir_route_query *q)
{
    return route->model == NULL && (route->path_prefix == NULL || path_matches(route->path_prefix, q->path)) &&
           (route->host == NULL || weir_route_host_matches(route->host, q->authority)) &&
           (route->header_name == NULL || header_matches(route, q->fields));
}

const struct weir_config_route *weir_route_find(const struct weir_routes *routes, const struct weir_route_query *q)
{
    for (size_t i = 0; i < routes->count; i++)
        if (matches(&routes->at[i], q))
            return &routes->at[i];
    return NULL;
}

struct weir_str weir_route_target(const struct weir_config_route *route, struct weir_str target, char *scratch)
{
    if (!route->strip_prefix || route->path_prefix == NULL)
        return target;
    size_t cut = strlen(route->path_prefix);
    if (cut > 0 && route->path_prefix[cut - 1] == '/')
        cut--;
    if (cut > target.len)
        return target;
    struct weir_str rest = {target.ptr + cut, target.len - cut};
    if (rest.len > 0 && rest.ptr[0] == '/')
        return rest;
    scratch[0] = '/';
    if (rest.len > 0)
        memcpy(scratch + 1, rest.ptr, rest.len);
    return (struct weir_str){scratch, rest.len + 1};
}
