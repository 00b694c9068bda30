/* Names to addresses, without blocking: c-ares on a reactor's loop (the control thread's). /etc/hosts counts. */
#ifndef WEIR_NET_DNS_H
#define WEIR_NET_DNS_H

#include <stddef.h>
#include <stdint.h>

#include "core/err.h"
#include "core/str.h"
#include "net/addr.h"
#include "net/reactor.h"

/* More addresses of one name are ignored: no provider needs them, and an answer is somebody else's data. */
#define WEIR_DNS_ADDRS_MAX 32
/* What /etc/hosts and literals say has no time to live. */
#define WEIR_DNS_TTL_NONE UINT32_MAX
/* The longest name (RFC 1035 2.3.4). */
#define WEIR_DNS_NAME_MAX 253

struct weir_dns;

struct weir_dns_answer {
    int code;                      /* WEIR_OK, WEIR_ENOTFOUND, WEIR_ETIMEOUT, WEIR_ENOMEM, WEIR_ECLOSED, WEIR_EIO */
    const char *message;           /* a sentence that names the host, when code is not 0 */
    const struct weir_addr *addrs; /* in the order to be tried, each once, with the port asked for */
    size_t count;                  /* at least 1 when code is 0 */
    uint32_t ttl_s; /* the smallest of the chain, CNAMEs included; WEIR_DNS_TTL_NONE: no name server said it */
};

/* The answer is valid during the call. It may start new queries, but not close the resolver. */
typedef void (*weir_dns_cb)(void *owner, const struct weir_dns_answer *answer);

/* Reads /etc/resolv.conf. Errors: WEIR_ENOMEM, WEIR_EIO. On error *out is NULL. */
int weir_dns_new(struct weir_dns **out, struct weir_reactor *r, struct weir_err *err);
/* Asks these name servers in place of the system's: "192.0.2.1:53,[2001:db8::1]:53". While no query is under way.
 * Errors: WEIR_EINVAL, WEIR_ENOMEM. */
int weir_dns_set_servers(struct weir_dns *dns, const char *servers, struct weir_err *err);
/* Ends every query (its callback gets WEIR_ECLOSED), nulls *dns. Its handles end on the loop soon after. Legal on NULL.
 */
void weir_dns_close(struct weir_dns **dns);

/* True: no query is under way and no callback is running, so it may be closed, or given other servers. */
bool weir_dns_idle(const struct weir_dns *dns);

/* cb is called exactly once: from inside this call for a literal address, a name that /etc/hosts has or one that cannot
 * be a name, else later; at the latest timeout_ms from now. */
void weir_dns_resolve(struct weir_dns *dns, struct weir_str host, uint16_t port, uint64_t timeout_ms, weir_dns_cb cb,
                      void *owner);

#endif
