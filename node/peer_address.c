#include "node/peer_address.h"

#include <ifaddrs.h>
#include <net/if.h>
#include <stdio.h>
#include <unistd.h>

int weir_peer_address_listen(struct weir_addr *out, const struct weir_config *config, struct weir_err *err)
{
    const char *configured = config->distributed_pool.peer_listen;
    const char *host = config->server.listen.at[0].host;
    if (configured != NULL)
        return weir_addr_parse(out, weir_str_of(configured), err);
    if (!weir_addr_literal(out, weir_str_of(host), 0))
        return weir_err_set(err, WEIR_EINVAL, "%s is not an address", host);
    return 0;
}

static bool is_wildcard(const struct weir_addr *a)
{
    if (a->sa.sa_family == AF_INET)
        return a->v4.sin_addr.s_addr == htonl(INADDR_ANY);
    return IN6_IS_ADDR_UNSPECIFIED(&a->v6.sin6_addr);
}

static bool is_loopback(const struct weir_addr *a)
{
    struct weir_ip ip = weir_addr_ip(a);
    return weir_ip_is_loopback(&ip);
}

/* Of a wildcard of IPv4 an address of IPv6 does not reach it. */
static bool fits(const struct weir_addr *bound, int family)
{
    return family == AF_INET || (family == AF_INET6 && bound->sa.sa_family == AF_INET6);
}

/* The kernel chooses the source address when a datagram socket is connected; nothing is sent. */
static bool towards(struct weir_addr *out, const struct weir_addr *bound, const char *store_host)
{
    enum { ANY_PORT = 6379 };
    struct weir_addr store;
    struct sockaddr_storage own;
    socklen_t len = sizeof own;
    if (!weir_addr_literal(&store, weir_str_of(store_host), ANY_PORT) || !fits(bound, store.sa.sa_family))
        return false;
    int fd = socket(store.sa.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    bool found =
        connect(fd, &store.sa, weir_addr_len(&store)) == 0 && getsockname(fd, (struct sockaddr *)&own, &len) == 0;
    close(fd);
    if (found)
        weir_addr_set(out, (struct sockaddr *)&own, len);
    return found;
}

/* IPv4 before IPv6; link-local addresses mean something else on each machine. */
static bool first_of_machine(struct weir_addr *out, const struct weir_addr *bound)
{
    struct ifaddrs *all;
    bool found = false;
    if (getifaddrs(&all) != 0)
        return false;
    for (const struct ifaddrs *i = all; i != NULL; i = i->ifa_next) {
        int family = i->ifa_addr != NULL ? i->ifa_addr->sa_family : AF_UNSPEC;
        struct weir_addr a;
        if (!fits(bound, family) || (i->ifa_flags & IFF_UP) == 0 || (found && family == AF_INET6))
            continue;
        weir_addr_set(&a, i->ifa_addr, family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6));
        if (is_loopback(&a) || (family == AF_INET6 && IN6_IS_ADDR_LINKLOCAL(&a.v6.sin6_addr)))
            continue;
        *out = a;
        found = true;
        if (family == AF_INET)
            break;
    }
    freeifaddrs(all);
    return found;
}

void weir_peer_address_tell(char out[WEIR_ADVERTISE_MAX + 1], const struct weir_config *config,
                            const struct weir_addr *bound, const char *store_host)
{
    char text[WEIR_ADDR_TEXT_MAX];
    struct weir_addr a = *bound;
    const char *configured = config->distributed_pool.advertise;
    if (configured != NULL) {
        snprintf(out, WEIR_ADVERTISE_MAX + 1, "%s", configured);
        return;
    }
    if (is_wildcard(bound) && !towards(&a, bound, store_host) && !first_of_machine(&a, bound))
        (void)!weir_addr_literal(&a, WEIR_STR("127.0.0.1"), 0);
    struct weir_ip ip = weir_addr_ip(&a);
    weir_addr_from_ip(&a, &ip, weir_addr_port(bound));
    snprintf(out, WEIR_ADVERTISE_MAX + 1, "%s", weir_addr_text(&a, text));
}
