/* Load: what this node has seen of each slot of time, cut on the store's clock so that all nodes cut alike. A record
 * that the store could not be told is kept for a few slots: whoever folds them is not done with those either while the
 * store is away. */
#include <stdlib.h>

#include "core/cluster_agent_inner.h"
#include "core/saturate.h"

static uint64_t store_ms(const struct weir_cluster_agent *a, uint64_t now_ms)
{
    return weir_shift_ms(now_ms, a->members.clock_offset_ms);
}

static bool is_on(const struct weir_cluster_agent *a)
{
    return a->load_slot_ms > 0 && a->members.clock_known && a->leaving < AGENT_LEAVES;
}

static struct agent_load_record *oldest(struct weir_cluster_agent *a)
{
    return &a->loads[a->load_first % AGENT_LOADS];
}

static void drop_oldest(struct weir_cluster_agent *a)
{
    free(oldest(a)->text);
    oldest(a)->text = NULL;
    a->load_first++;
    a->load_count--;
    a->load_request = 0; /* should it be under way, its answer is of no interest any more */
}

void agent_load_reset(struct weir_cluster_agent *a)
{
    while (a->load_count > 0)
        drop_oldest(a);
    a->load_slot = 0;
    a->load_whole = false;
}

/* -- the end of a slot -- */

static void keep(struct weir_cluster_agent *a, struct weir_str text)
{
    char *copy = text.len > 0 && text.len <= WEIR_COORD_RECORD_MAX ? malloc(text.len) : NULL;
    if (copy == NULL)
        return;
    if (a->load_count == AGENT_LOADS)
        drop_oldest(a);
    memcpy(copy, text.ptr, text.len);
    a->loads[(a->load_first + a->load_count++) % AGENT_LOADS] = (struct agent_load_record){copy, text.len};
}

/* All nodes end a slot at the same moment: they tell of it spread over its first quarter. */
static uint64_t spread_ms(const struct weir_cluster_agent *a)
{
    return weir_coord_node_number(a->self.id) % (a->load_slot_ms / 4 + 1);
}

/* A slot that was not seen from its beginning to its end is not told: the node has just come, slept, or the store's
 * clock was set. One that seems to begin again is only the estimate of that clock. */
static void end_slot(struct weir_cluster_agent *a, uint64_t now_ms, uint64_t next)
{
    bool in_turn = a->load_slot != 0 && next == a->load_slot + 1, whole = in_turn && a->load_whole;
    if (next == a->load_slot || next + 1 == a->load_slot)
        return;
    struct weir_str text = a->ports.take_load(a->ports.arg, now_ms, whole ? a->load_slot : 0);
    a->load_slot = next;
    a->load_whole = in_turn;
    if (!whole)
        return;
    if (a->load_count == 0 || a->load_due_ms < now_ms)
        a->load_due_ms = now_ms + spread_ms(a);
    keep(a, text);
}

/* -- telling -- */

static bool may_tell(const struct weir_cluster_agent *a)
{
    return a->link && a->contact && a->joined && a->load_count > 0 && a->load_request == 0;
}

void agent_load_tick(struct weir_cluster_agent *a, uint64_t now_ms)
{
    if (!is_on(a))
        return;
    end_slot(a, now_ms, store_ms(a, now_ms) / a->load_slot_ms);
    if (!may_tell(a) || a->load_due_ms > now_ms)
        return;
    struct weir_coord_request request = {.op = WEIR_COORD_APPEND, .append = {oldest(a)->text, oldest(a)->len}};
    a->load_request = agent_send(a, now_ms, &request) ? request.id : 0;
}

uint64_t agent_load_deadline(const struct weir_cluster_agent *a)
{
    if (!is_on(a) || a->load_slot == 0)
        return AGENT_NEVER;
    uint64_t ends_ms = weir_shift_ms((a->load_slot + 1) * a->load_slot_ms, -a->members.clock_offset_ms);
    return may_tell(a) && a->load_due_ms < ends_ms ? a->load_due_ms : ends_ms;
}

void agent_load_reply(struct weir_cluster_agent *a, uint64_t now_ms, const struct weir_coord_reply *r)
{
    if (r->id != a->load_request)
        return;
    a->load_request = 0;
    if (r->word == WEIR_COORD_AWAY || r->word == WEIR_COORD_REFUSED)
        a->load_due_ms = now_ms + AGENT_LOAD_AGAIN_MS;
    else
        drop_oldest(a);
}
