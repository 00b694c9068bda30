/* Resolves a URL reference, as Location holds one, against the URL that was asked (RFC 3986 section 5.2, strict), as
 * far as http and https need it. What comes out is fit to be sent: an origin, and a target in origin form.
 *
 * The reference is hostile. Refused is what two programs could read in two ways, or what would hide where it leads:
 * control bytes and spaces, a backslash (browsers take it for a slash), user information, a port that is empty or no
 * number, a host that is neither a name nor an address. Bytes above 0x7e go into the target percent-encoded; other
 * escapes stay as they came, so that %2e is no dot segment here. */
#ifndef WEIR_CORE_URL_H
#define WEIR_CORE_URL_H

#include "core/config.h"

/* A reference, and a target made of one: what servers commonly take as a request line. */
#define WEIR_URL_BYTES_MAX ((size_t)8192)

enum weir_url_wrong {
    WEIR_URL_FINE,
    WEIR_URL_LONG,      /* over WEIR_URL_BYTES_MAX */
    WEIR_URL_BYTES,     /* a byte that may not be there */
    WEIR_URL_SCHEME,    /* neither http nor https */
    WEIR_URL_AUTHORITY, /* user information, or no host and port */
    WEIR_URL_MEMORY,
};

/* What was asked: the scheme, host and port of a connection, and the target that was sent on it. */
struct weir_url_base {
    bool tls;
    struct weir_str authority; /* host, with :port unless it is the scheme's own */
    struct weir_str target;    /* "/path?query"; anything else counts as "/" */
};

struct weir_url {
    struct weir_config_endpoint origin; /* id, host, authority, port and tls; no path */
    struct weir_str target;             /* begins with a slash; no fragment, no dot segments */
};

/* The empty reference is the base itself. On anything but FINE *out is unspecified. All text is in the arena. */
enum weir_url_wrong weir_url_resolve(struct weir_url *out, struct weir_arena *a, const struct weir_url_base *base,
                                     struct weir_str reference);

#endif
