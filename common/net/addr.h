/* Socket addresses: "host:port" and "[v6]:port" as text, and back. */
#ifndef WEIR_NET_ADDR_H
#define WEIR_NET_ADDR_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "core/cidr.h"
#include "core/err.h"
#include "core/str.h"

/* An IP address with a port. All zero is "none" (family AF_UNSPEC). */
struct weir_addr {
    union {
        struct sockaddr sa;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    };
};

/* "[", the longest IPv6 text with a zone, "]:65535", NUL; also the longest unix path shown. */
#define WEIR_ADDR_TEXT_MAX 128

/* Splits "name:port", "1.2.3.4:port", "[v6]:port"; the host comes without brackets. False when there is no port, it is
 * not from 0 to 65535, or the host is empty. */
WEIR_MUST_USE bool weir_addr_split(struct weir_str text, struct weir_str *host, uint16_t *port);
/* The same for a numeric host. Errors: WEIR_EINVAL. */
int weir_addr_parse(struct weir_addr *out, struct weir_str text, struct weir_err *err);
/* A numeric host and a port; IPv4-mapped addresses become AF_INET. False: host is a name. */
WEIR_MUST_USE bool weir_addr_literal(struct weir_addr *out, struct weir_str host, uint16_t port);
void weir_addr_from_ip(struct weir_addr *out, const struct weir_ip *ip, uint16_t port);
/* Copies an AF_INET or AF_INET6 address (an IPv4-mapped one as AF_INET); anything else becomes "none". */
void weir_addr_set(struct weir_addr *out, const struct sockaddr *sa, socklen_t len);

socklen_t weir_addr_len(const struct weir_addr *a);
uint16_t weir_addr_port(const struct weir_addr *a);
/* All zero for "none". */
struct weir_ip weir_addr_ip(const struct weir_addr *a);
bool weir_addr_eq(const struct weir_addr *a, const struct weir_addr *b);

/* "1.2.3.4:80", "[::1]:80", "unix:/path", or "unknown"; NUL-terminated, buf has WEIR_ADDR_TEXT_MAX bytes. Returns buf.
 */
const char *weir_sockaddr_text(const struct sockaddr *sa, socklen_t len, char *buf);
const char *weir_addr_text(const struct weir_addr *a, char *buf);

#endif
