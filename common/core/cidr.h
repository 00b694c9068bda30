/* IP addresses and networks as text and bytes, and whether one is inside the other. IPv4 is kept in its IPv6-mapped
 * form (RFC 4291 2.5.5.2), so that a client seen as ::ffff:10.0.0.1 is inside 10.0.0.0/8. */
#ifndef WEIR_CORE_CIDR_H
#define WEIR_CORE_CIDR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/err.h"
#include "core/str.h"

struct weir_ip {
    uint8_t bytes[16];
};

struct weir_net {
    struct weir_ip ip; /* the bits behind the prefix are 0 */
    uint8_t bits;      /* 0 to 128; an IPv4 network of /n has 96 + n */
};

/* The longest text of an address, with its NUL. */
#define WEIR_IP_TEXT_MAX 46

/* "10.1.2.3" (four decimal parts, no leading zeros) or RFC 4291 2.2 text, no brackets, no zone. */
WEIR_MUST_USE bool weir_ip_parse(struct weir_ip *out, struct weir_str text);
/* RFC 5952 text, IPv4 in dotted form; returns its length. buf has WEIR_IP_TEXT_MAX bytes. */
size_t weir_ip_format(const struct weir_ip *ip, char *buf);
struct weir_ip weir_ip_from_v4(const uint8_t bytes[4]);
bool weir_ip_is_v4(const struct weir_ip *ip);
bool weir_ip_is_loopback(const struct weir_ip *ip);
bool weir_ip_eq(const struct weir_ip *a, const struct weir_ip *b);

/* "10.0.0.0/8", "fd00::/8", or one address. Bits set behind the prefix are an error (a typing mistake that would widen
 * trust). Errors: WEIR_EINVAL. */
int weir_net_parse(struct weir_net *out, struct weir_str text, struct weir_err *err);
bool weir_net_has(const struct weir_net *net, const struct weir_ip *ip);
/* Whether any of the networks has it. */
bool weir_nets_have(const struct weir_net *nets, size_t count, const struct weir_ip *ip);

#endif
