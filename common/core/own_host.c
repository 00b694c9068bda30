#include "core/own_host.h"

#include "core/route.h"

static bool is_advertised(const struct weir_config *c, struct weir_str host)
{
    const char *advertise = c->distributed_pool.advertise;
    return advertise != NULL && weir_str_eq_nocase(weir_route_host(weir_str_of(advertise)), host);
}

bool weir_own_host(const struct weir_config *c, struct weir_str authority)
{
    struct weir_str host = weir_route_host(authority);
    struct weir_ip ip;
    if (authority.len == 0 || weir_ip_parse(&ip, host))
        return true;
    if (authority.ptr[0] == '[')
        return false; /* no name stands in brackets */
    if (host.len > 0 && memchr(host.ptr, '.', host.len) == NULL)
        return true; /* localhost, too */
    if (weir_route_host_matches("*.localhost", authority) || is_advertised(c, host))
        return true;
    for (size_t i = 0; i < c->server.admin.hosts.count; i++)
        if (weir_route_host_matches(c->server.admin.hosts.at[i], authority))
            return true;
    return false;
}
