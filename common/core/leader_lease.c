#include "core/leader_lease.h"

#include <assert.h>

#define RENEW_PARTS  3  /* of a lease, between two askings */
#define RETRY_PARTS  12 /* after an answer that failed: three more tries before a third is over */
#define MARGIN_PARTS 10

void weir_leader_lease_init(struct weir_leader_lease *l, uint64_t lease_ms, uint64_t now_ms)
{
    assert(lease_ms >= MARGIN_PARTS);
    *l = (struct weir_leader_lease){.lease_ms = lease_ms, .due_ms = now_ms};
}

bool weir_leader_lease_leads(const struct weir_leader_lease *l, uint64_t now_ms)
{
    return l->held && now_ms < l->until_ms;
}

bool weir_leader_lease_ask(struct weir_leader_lease *l, uint64_t now_ms)
{
    if (l->asking || now_ms < l->due_ms)
        return false;
    l->asking = true;
    l->due_ms = now_ms + l->lease_ms / RENEW_PARTS;
    return true;
}

enum weir_leader_change weir_leader_lease_tick(struct weir_leader_lease *l, uint64_t now_ms)
{
    if (!l->held || now_ms < l->until_ms)
        return WEIR_LEADER_SAME;
    l->held = false;
    return WEIR_LEADER_LOST;
}

uint64_t weir_leader_lease_deadline_ms(const struct weir_leader_lease *l)
{
    uint64_t first = l->asking ? UINT64_MAX : l->due_ms;
    return l->held && l->until_ms < first ? l->until_ms : first;
}

enum weir_leader_change weir_leader_lease_granted(struct weir_leader_lease *l, uint64_t now_ms, uint64_t asked_ms,
                                                  uint64_t token)
{
    uint64_t until_ms = asked_ms + l->lease_ms - l->lease_ms / MARGIN_PARTS;
    bool same = l->held && l->token == token;
    l->asking = false;
    l->token = token;
    if (until_ms <= now_ms) { /* it came too late to be of use; the next one may not */
        l->due_ms = now_ms;
        return weir_leader_lease_tick(l, now_ms);
    }
    l->held = true;
    l->until_ms = until_ms;
    return same ? WEIR_LEADER_SAME : WEIR_LEADER_GAINED;
}

enum weir_leader_change weir_leader_lease_refused(struct weir_leader_lease *l, uint64_t now_ms, uint64_t left_ms)
{
    bool lost = l->held;
    uint64_t soonest = l->lease_ms / RETRY_PARTS, latest = l->lease_ms / RENEW_PARTS;
    uint64_t wait = left_ms < soonest ? soonest : left_ms > latest ? latest : left_ms;
    l->asking = l->held = false;
    l->token = 0;
    l->due_ms = now_ms + wait;
    return lost ? WEIR_LEADER_LOST : WEIR_LEADER_SAME;
}

void weir_leader_lease_failed(struct weir_leader_lease *l, uint64_t now_ms)
{
    uint64_t retry = now_ms + l->lease_ms / RETRY_PARTS;
    l->asking = false;
    l->due_ms = retry < l->due_ms ? retry : l->due_ms;
}
