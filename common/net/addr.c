#include "net/addr.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <sys/un.h>

bool weir_addr_split(struct weir_str text, struct weir_str *host, uint16_t *port)
{
    const char *colon = text.len > 0 ? memrchr(text.ptr, ':', text.len) : NULL;
    if (colon == NULL)
        return false;
    struct weir_str h = {text.ptr, (size_t)(colon - text.ptr)};
    struct weir_str p = {colon + 1, text.len - h.len - 1};
    uint64_t number;
    if (p.len > 5 || !weir_str_to_u64(p, &number) || number > UINT16_MAX)
        return false;
    if (h.len >= 2 && h.ptr[0] == '[' && h.ptr[h.len - 1] == ']')
        h = (struct weir_str){h.ptr + 1, h.len - 2};
    else if (h.len > 0 && memchr(h.ptr, ':', h.len) != NULL)
        return false; /* "::1:80" says one thing to one reader and another to the next */
    if (h.len == 0)
        return false;
    *host = h;
    *port = (uint16_t)number;
    return true;
}

int weir_addr_parse(struct weir_addr *out, struct weir_str text, struct weir_err *err)
{
    struct weir_str host;
    uint16_t port;
    if (!weir_addr_split(text, &host, &port))
        return weir_err_set(err, WEIR_EINVAL, "'%.*s' is not ADDRESS:PORT", WEIR_FMT(text));
    if (!weir_addr_literal(out, host, port))
        return weir_err_set(err, WEIR_EINVAL, "'%.*s' is not an IP address", WEIR_FMT(host));
    return WEIR_OK;
}

bool weir_addr_literal(struct weir_addr *out, struct weir_str host, uint16_t port)
{
    struct weir_ip ip;
    if (!weir_ip_parse(&ip, host))
        return false;
    weir_addr_from_ip(out, &ip, port);
    return true;
}

void weir_addr_from_ip(struct weir_addr *out, const struct weir_ip *ip, uint16_t port)
{
    *out = (struct weir_addr){0};
    if (weir_ip_is_v4(ip)) {
        out->v4.sin_family = AF_INET;
        out->v4.sin_port = htons(port);
        memcpy(&out->v4.sin_addr, ip->bytes + 12, 4);
    } else {
        out->v6.sin6_family = AF_INET6;
        out->v6.sin6_port = htons(port);
        memcpy(&out->v6.sin6_addr, ip->bytes, 16);
    }
}

void weir_addr_set(struct weir_addr *out, const struct sockaddr *sa, socklen_t len)
{
    *out = (struct weir_addr){0};
    if (len >= sizeof out->v4 && sa->sa_family == AF_INET) {
        memcpy(&out->v4, sa, sizeof out->v4);
    } else if (len >= sizeof out->v6 && sa->sa_family == AF_INET6) {
        memcpy(&out->v6, sa, sizeof out->v6);
        if (IN6_IS_ADDR_V4MAPPED(&out->v6.sin6_addr)) {
            struct weir_ip ip = weir_addr_ip(out);
            weir_addr_from_ip(out, &ip, weir_addr_port(out));
        }
    }
}

socklen_t weir_addr_len(const struct weir_addr *a)
{
    switch (a->sa.sa_family) {
    case AF_INET:
        return sizeof a->v4;
    case AF_INET6:
        return sizeof a->v6;
    default:
        return 0;
    }
}

uint16_t weir_addr_port(const struct weir_addr *a)
{
    switch (a->sa.sa_family) {
    case AF_INET:
        return ntohs(a->v4.sin_port);
    case AF_INET6:
        return ntohs(a->v6.sin6_port);
    default:
        return 0;
    }
}

struct weir_ip weir_addr_ip(const struct weir_addr *a)
{
    struct weir_ip ip = {{0}};
    uint8_t v4[4];
    if (a->sa.sa_family == AF_INET6) {
        memcpy(ip.bytes, &a->v6.sin6_addr, 16);
    } else if (a->sa.sa_family == AF_INET) {
        memcpy(v4, &a->v4.sin_addr, 4);
        ip = weir_ip_from_v4(v4);
    }
    return ip;
}

bool weir_addr_eq(const struct weir_addr *a, const struct weir_addr *b)
{
    struct weir_ip ip_a = weir_addr_ip(a), ip_b = weir_addr_ip(b);
    return a->sa.sa_family == b->sa.sa_family && weir_addr_port(a) == weir_addr_port(b) && weir_ip_eq(&ip_a, &ip_b);
}

const char *weir_addr_text(const struct weir_addr *a, char *buf)
{
    char host[WEIR_IP_TEXT_MAX];
    struct weir_ip ip = weir_addr_ip(a);
    if (a->sa.sa_family != AF_INET && a->sa.sa_family != AF_INET6) {
        snprintf(buf, WEIR_ADDR_TEXT_MAX, "unknown");
        return buf;
    }
    weir_ip_format(&ip, host);
    snprintf(buf, WEIR_ADDR_TEXT_MAX, weir_ip_is_v4(&ip) ? "%s:%u" : "[%s]:%u", host, weir_addr_port(a));
    return buf;
}

const char *weir_sockaddr_text(const struct sockaddr *sa, socklen_t len, char *buf)
{
    const size_t path_at = offsetof(struct sockaddr_un, sun_path);
    if (len > path_at && sa->sa_family == AF_UNIX) {
        const struct sockaddr_un *un = (const struct sockaddr_un *)sa;
        int path_len = (int)strnlen(un->sun_path, len - path_at);
        snprintf(buf, WEIR_ADDR_TEXT_MAX, "unix:%.*s", path_len, un->sun_path);
        return buf;
    }
    struct weir_addr a;
    weir_addr_set(&a, sa, len);
    return weir_addr_text(&a, buf);
}
