#include "node/name.h"

#include <assert.h>
#include <string.h>

#include "net/dns.h"

void weir_name_init(struct weir_name *n, uint64_t now_ms)
{
    memset(n, 0, sizeof *n);
    n->due_ms = now_ms;
}

static uint64_t interval_ms(uint32_t ttl_s, uint64_t refresh_ms)
{
    uint64_t ms = (uint64_t)ttl_s * 1000;
    if (ttl_s == WEIR_DNS_TTL_NONE || ms > refresh_ms)
        return refresh_ms;
    uint64_t least_ms = refresh_ms < WEIR_NAME_TTL_MS_MIN ? refresh_ms : WEIR_NAME_TTL_MS_MIN;
    return ms < least_ms ? least_ms : ms;
}

static unsigned find(const struct weir_name *n, const struct weir_addr *addr)
{
    unsigned i = 0;
    while (i < n->seen && !weir_addr_eq(&n->at[i].addr, addr))
        i++;
    return i;
}

/* Whether the answer brings back what an earlier one had left out. */
static void note_returns(struct weir_name *n, const struct weir_addr *addrs, size_t count, uint64_t now_ms)
{
    if (now_ms - n->returned_ms > WEIR_NAME_MEMORY_MS)
        n->returns = 0;
    for (size_t i = 0; i < count; i++) {
        unsigned k = find(n, &addrs[i]);
        if (k < n->count || k == n->seen || now_ms - n->at[k].seen_ms > WEIR_NAME_MEMORY_MS)
            continue;
        n->returns++;
        n->returned_ms = now_ms;
        return;
    }
}

static void add(struct weir_name *n, const struct weir_addr *addr, uint64_t seen_ms, unsigned max)
{
    if (n->seen < max && find(n, addr) == n->seen)
        n->at[n->seen++] = (struct weir_name_address){*addr, seen_ms};
}

bool weir_name_answered(struct weir_name *n, const struct weir_addr *addrs, size_t count, uint32_t ttl_s,
                        uint64_t refresh_ms, uint64_t now_ms)
{
    bool failed = n->failing;
    uint64_t next_ms = interval_ms(ttl_s, refresh_ms), linger_ms = 0;
    assert(count > 0);
    note_returns(n, addrs, count, now_ms);
    if (n->returns >= WEIR_NAME_RETURNS)
        linger_ms =
            WEIR_NAME_ROUNDS * next_ms > WEIR_NAME_LINGER_MS_MIN ? WEIR_NAME_ROUNDS * next_ms : WEIR_NAME_LINGER_MS_MIN;
    struct weir_name before = *n;
    n->seen = 0;
    for (size_t i = 0; i < count; i++)
        add(n, &addrs[i], now_ms, WEIR_ADDRESSES_MAX);
    for (unsigned i = 0; i < before.seen; i++)
        if (now_ms - before.at[i].seen_ms < linger_ms)
            add(n, &before.at[i].addr, before.at[i].seen_ms, WEIR_ADDRESSES_MAX);
    n->count = n->seen;
    for (unsigned i = 0; i < before.seen; i++)
        add(n, &before.at[i].addr, before.at[i].seen_ms, WEIR_NAME_SEEN_MAX);
    n->due_ms = now_ms + next_ms;
    n->retry_ms = 0;
    n->failing = false;
    return failed;
}

bool weir_name_failed(struct weir_name *n, uint64_t refresh_ms, uint64_t now_ms)
{
    bool worked = !n->failing;
    uint64_t most_ms = refresh_ms < WEIR_NAME_RETRY_MS_MAX ? refresh_ms : WEIR_NAME_RETRY_MS_MAX;
    uint64_t retry_ms = n->retry_ms > 0 ? 2 * (uint64_t)n->retry_ms : WEIR_NAME_RETRY_MS;
    n->retry_ms = (uint32_t)(retry_ms < most_ms ? retry_ms : most_ms);
    n->due_ms = now_ms + n->retry_ms;
    n->failing = true;
    return worked;
}
