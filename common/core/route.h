/* Which provider a request goes to: the first route of a list that matches. Pure; slices are the caller's. */
#ifndef WEIR_CORE_ROUTE_H
#define WEIR_CORE_ROUTE_H

#include "core/config.h"
#include "core/fields.h"

/* The routes of a configuration, which must outlive it. */
struct weir_routes {
    const struct weir_config_route *at;
    size_t count;
};

/* What of a request routes look at. */
struct weir_route_query {
    struct weir_str path;      /* target without the query */
    struct weir_str authority; /* host with or without port */
    const struct weir_fields *fields;
};

/* The first that matches, or NULL. Routes by model match nothing: the body is not looked at here. */
const struct weir_config_route *weir_route_find(const struct weir_routes *routes, const struct weir_route_query *q);

/* The path part of an origin-form target. */
struct weir_str weir_route_path(struct weir_str target);

/* target without the route's prefix ("/openai/v1/x" -> "/v1/x", "/openai" -> "/", "/openai?x" -> "/?x"); the same slice
 * when the route strips nothing. `scratch` holds the result when a slash must be put before it; it needs target.len + 1
 * bytes. */
struct weir_str weir_route_target(const struct weir_config_route *route, struct weir_str target, char *scratch);

/* The host of an authority, without port and brackets. */
struct weir_str weir_route_host(struct weir_str authority);
/* Whether the pattern is that host but for case; "*.example.org" is any name below example.org. */
bool weir_route_host_matches(const char *pattern, struct weir_str authority);

#endif
