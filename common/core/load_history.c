#include "core/load_history.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/hash.h"
#include "core/load_fold.h"

#define NONE UINT64_MAX
/* Of a slot, how long it stays open after its end: 1 / this. */
#define GRACE_PART 2u

/* Who has told of a slot: a hash for each, so that a record sent twice counts once. */
struct tellers {
    uint32_t count;
    uint64_t hash[WEIR_CLUSTER_NODES_MAX];
};

struct open_slot {
    struct weir_load_record sum; /* .nodes is 0: nothing was told yet */
    struct tellers tellers;
};

struct weir_load_history {
    uint64_t slot_ms;
    weir_load_closed_cb closed;
    void *arg;
    uint64_t last[WEIR_LOAD_STEPS];
    uint64_t stored;                                 /* slots before this one were there when this history began */
    struct open_slot open[WEIR_LOAD_OPEN_SLOTS];     /* slot N at N modulo that */
    struct weir_load_record longer[WEIR_LOAD_STEPS]; /* under way; .slots is 0: nothing yet. Of the slots: not used */
    struct weir_load_capacity capacity;
    struct weir_load_history_counts counts;
};

unsigned weir_load_step_slots(enum weir_load_step step)
{
    return step == WEIR_LOAD_SLOT ? 1 : step == WEIR_LOAD_MINUTE ? 6 : 60;
}

struct weir_load_history *weir_load_history_new(uint64_t slot_ms, weir_load_closed_cb closed, void *arg)
{
    assert(slot_ms > 0);
    struct weir_load_history *h = calloc(1, sizeof *h);
    if (h == NULL)
        return NULL;
    h->slot_ms = slot_ms;
    h->closed = closed;
    h->arg = arg;
    for (int i = 0; i < WEIR_LOAD_STEPS; i++)
        h->last[i] = NONE;
    return h;
}

void weir_load_history_free(struct weir_load_history **h)
{
    free(*h);
    *h = NULL;
}

/* -- steps -- */

static bool follows(const struct weir_load_history *h, enum weir_load_step step, uint64_t number)
{
    return h->last[step] == NONE || number > h->last[step];
}

static void end_step(struct weir_load_history *h, enum weir_load_step step)
{
    struct weir_load_record *r = &h->longer[step];
    if (r->slots > 0 && follows(h, step, r->slot)) {
        h->last[step] = r->slot;
        h->closed(h->arg, step, r);
    }
    memset(r, 0, sizeof *r);
}

/* A slot's record joins the longer steps. */
static void lengthen(struct weir_load_history *h, const struct weir_load_record *slot)
{
    for (enum weir_load_step step = WEIR_LOAD_MINUTE; step < WEIR_LOAD_STEPS; step++) {
        struct weir_load_record *r = &h->longer[step];
        uint64_t number = slot->slot / weir_load_step_slots(step);
        if (r->slots > 0 && r->slot != number)
            end_step(h, step);
        r->slot = number;
        weir_load_fold_time(r, slot);
        if ((slot->slot + 1) % weir_load_step_slots(step) == 0)
            end_step(h, step);
    }
}

static void close_slot(struct weir_load_history *h, uint64_t slot)
{
    struct open_slot *o = &h->open[slot % WEIR_LOAD_OPEN_SLOTS];
    if (o->sum.nodes > 0) {
        assert(o->sum.slot == slot);
        o->sum.slots = 1;
        o->sum.safe_concurrency = weir_load_capacity_safe(&h->capacity, slot);
        h->closed(h->arg, WEIR_LOAD_SLOT, &o->sum);
        lengthen(h, &o->sum);
    }
    memset(&o->sum, 0, sizeof o->sum);
    o->tellers.count = 0;
}

/* Closes what is open up to this slot. Nothing is open beyond WEIR_LOAD_OPEN_SLOTS after the last closed one. */
static void close_to(struct weir_load_history *h, uint64_t slot)
{
    uint64_t first = h->last[WEIR_LOAD_SLOT] == NONE ? 0 : h->last[WEIR_LOAD_SLOT] + 1;
    if (slot < first)
        return;
    for (uint64_t s = first; s <= slot && s < first + WEIR_LOAD_OPEN_SLOTS; s++)
        close_slot(h, s);
    h->last[WEIR_LOAD_SLOT] = slot;
    for (enum weir_load_step step = WEIR_LOAD_MINUTE; step < WEIR_LOAD_STEPS; step++)
        if (h->longer[step].slots > 0 && h->longer[step].slot < (slot + 1) / weir_load_step_slots(step))
            end_step(h, step);
}

/* -- nodes' records -- */

static bool tells_twice(struct tellers *t, const char *node)
{
    uint64_t hash = weir_hash64_str(weir_str_of(node), 0);
    for (uint32_t i = 0; i < t->count; i++)
        if (t->hash[i] == hash)
            return true;
    if (t->count == WEIR_CLUSTER_NODES_MAX)
        return true; /* more nodes than a cluster has */
    t->hash[t->count++] = hash;
    return false;
}

void weir_load_history_take(struct weir_load_history *h, uint64_t store_ms, const struct weir_load_record *r)
{
    struct open_slot *o = &h->open[r->slot % WEIR_LOAD_OPEN_SLOTS];
    if (r->slot > store_ms / h->slot_ms) {
        h->counts.early++;
        return;
    }
    if (!follows(h, WEIR_LOAD_SLOT, r->slot)) {
        h->counts.late += r->slot >= h->stored;
        return;
    }
    if (r->slot >= WEIR_LOAD_OPEN_SLOTS)
        close_to(h, r->slot - WEIR_LOAD_OPEN_SLOTS);
    if (tells_twice(&o->tellers, r->node)) {
        h->counts.twice++;
        return;
    }
    o->sum.slot = r->slot;
    weir_load_fold_node(&o->sum, r);
    weir_load_capacity_take(&h->capacity, r);
    h->counts.taken++;
}

/* The last slot that is over at a time; NONE: none is. */
static uint64_t last_over(const struct weir_load_history *h, uint64_t store_ms)
{
    uint64_t grace = h->slot_ms / GRACE_PART;
    return store_ms < grace + h->slot_ms ? NONE : (store_ms - grace) / h->slot_ms - 1;
}

void weir_load_history_tick(struct weir_load_history *h, uint64_t store_ms)
{
    uint64_t slot = last_over(h, store_ms);
    if (slot != NONE)
        close_to(h, slot);
}

uint64_t weir_load_history_deadline_ms(const struct weir_load_history *h, uint64_t store_ms)
{
    uint64_t slot = last_over(h, store_ms);
    return ((slot == NONE ? 0 : slot + 1) + 1) * h->slot_ms + h->slot_ms / GRACE_PART;
}

bool weir_load_history_replay(struct weir_load_history *h, uint64_t store_ms, enum weir_load_step step,
                              const struct weir_load_record *r)
{
    uint64_t now = store_ms / h->slot_ms / weir_load_step_slots(step);
    if (!follows(h, step, r->slot) || r->slot > now)
        return false;
    h->last[step] = r->slot;
    if (step == WEIR_LOAD_SLOT) {
        h->stored = r->slot + 1;
        h->capacity.before = (double)r->safe_concurrency;
        lengthen(h, r);
    }
    return true;
}

/* -- to be looked at -- */

uint64_t weir_load_history_last(const struct weir_load_history *h, enum weir_load_step step)
{
    return h->last[step];
}

uint64_t weir_load_history_safe_concurrency(const struct weir_load_history *h)
{
    uint64_t last = h->last[WEIR_LOAD_SLOT];
    return weir_load_capacity_safe(&h->capacity, last == NONE ? 0 : last);
}

struct weir_load_history_counts weir_load_history_counts(const struct weir_load_history *h)
{
    return h->counts;
}
