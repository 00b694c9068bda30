/* The PROXY protocol, versions 1 and 2: what a load balancer says of the client, ahead of the connection's own bytes
 * (HAProxy's doc/proxy-protocol.txt, sections 2.1 and 2.2). Pure; reads a slice from its start each time. */
#ifndef WEIR_CORE_PROXY_PROTOCOL_H
#define WEIR_CORE_PROXY_PROTOCOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/cidr.h"
#include "core/str.h"

/* Version 1: the longest line, CR LF included (section 2.1). */
#define WEIR_PROXY_V1_MAX 107
/* Version 2: fixed part, and the most that we take of addresses and TLVs; certificates' names fit, 64 KB from a
 * stranger do not. */
#define WEIR_PROXY_V2_FIXED    16
#define WEIR_PROXY_V2_REST_MAX 4096
/* No header that is taken is longer: a buffer of this size never gets full while more is wanted. */
#define WEIR_PROXY_HEADER_MAX (WEIR_PROXY_V2_FIXED + WEIR_PROXY_V2_REST_MAX)

enum weir_proxy_status {
    WEIR_PROXY_MORE, /* a header so far, or nothing yet: come back with more bytes */
    WEIR_PROXY_OK,
    WEIR_PROXY_BAD, /* not a header, or one that must not be trusted: close the connection */
};

struct weir_proxy_header {
    size_t len;     /* bytes of the header; the client's begin behind it */
    bool has_addrs; /* false (LOCAL, UNKNOWN, unix sockets): the connection's own addresses hold */
    struct weir_ip source, destination;
    uint16_t source_port, destination_port;
};

/* *out is filled in on WEIR_PROXY_OK only. */
enum weir_proxy_status weir_proxy_parse(struct weir_proxy_header *out, struct weir_str bytes);

#endif
