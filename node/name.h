/* What is known of one name that is resolved again and again: its addresses, when to ask next, whether asking fails.
 * Time is an argument; nothing here asks anybody.
 *
 * When: after the answer's time to live, but not before 1 s and not later than `dns.refresh`; that is also how long an
 * answer without one (/etc/hosts) is believed. After a failure: after 1 s, then twice that, and so on up to
 * WEIR_NAME_RETRY_MS_MAX or `dns.refresh`. What is known stays in use while asking fails.
 *
 * Which: those of the newest answer. Some names answer with a changing part of their addresses, or one in turn; taken
 * literally that would end good connections with every answer. An address that comes back soon after it was left out
 * tells of such a name; after some of these the name counts as rotating, and its addresses are those of all answers of
 * the last WEIR_NAME_ROUNDS times to live (10 s at least). So a real change takes effect with the next answer, and
 * rotation costs connections only until it is understood. */
#ifndef WEIR_NODE_NAME_H
#define WEIR_NODE_NAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/addr.h"
#include "node/addresses.h"

#define WEIR_NAME_RETRY_MS     1000u
#define WEIR_NAME_RETRY_MS_MAX 30000u
#define WEIR_NAME_TTL_MS_MIN   1000u
/* So many answers that bring an address back make a name rotate: moving there and back again once or twice does not. */
#define WEIR_NAME_RETURNS       4u
#define WEIR_NAME_ROUNDS        3u
#define WEIR_NAME_LINGER_MS_MIN 10000u
/* Addresses left out longer ago than this are forgotten, and so is that the name rotates. */
#define WEIR_NAME_MEMORY_MS 600000u
/* Addresses remembered: those in use, and as many that were left out. */
#define WEIR_NAME_SEEN_MAX (2 * WEIR_ADDRESSES_MAX)

struct weir_name_address {
    struct weir_addr addr;
    uint64_t seen_ms; /* in which answer last */
};

struct weir_name {
    struct weir_name_address at[WEIR_NAME_SEEN_MAX]; /* those in use first, in the resolver's order */
    unsigned count;                                  /* in use; at most WEIR_ADDRESSES_MAX, 0: never resolved */
    unsigned seen;                                   /* known, those in use included */
    unsigned returns;
    uint64_t returned_ms;
    uint64_t due_ms; /* when to ask next */
    uint32_t retry_ms;
    bool failing;
};

/* It is to be asked at once. */
void weir_name_init(struct weir_name *n, uint64_t now_ms);
/* An answer with at least one address. ttl_s as in weir_dns_answer. True: it had failed before. */
bool weir_name_answered(struct weir_name *n, const struct weir_addr *addrs, size_t count, uint32_t ttl_s,
                        uint64_t refresh_ms, uint64_t now_ms);
/* There was no answer, or one without addresses. True: it worked until now. */
bool weir_name_failed(struct weir_name *n, uint64_t refresh_ms, uint64_t now_ms);

#endif
