#include "core/wheel.h"

#include <assert.h>
#include <stdlib.h>

#include "core/err.h"

/* weir_wheel_next_ms looks at so many deadlines before it settles for an early answer: about a microsecond. */
#define SCAN_MAX 64u

static uint64_t tick_of(uint64_t due_ms)
{
    return due_ms / WEIR_WHEEL_TICK_MS + (due_ms % WEIR_WHEEL_TICK_MS != 0);
}

static size_t slot_of(const struct weir_deadline *d)
{
    return (size_t)(d->slot_ms / WEIR_WHEEL_TICK_MS % WEIR_WHEEL_SLOTS);
}

int weir_wheel_init(struct weir_wheel *w, uint64_t now_ms)
{
    *w = (struct weir_wheel){.at_tick = now_ms / WEIR_WHEEL_TICK_MS};
    w->slots = malloc(WEIR_WHEEL_SLOTS * sizeof *w->slots);
    if (w->slots == NULL)
        return WEIR_ENOMEM;
    for (size_t i = 0; i < WEIR_WHEEL_SLOTS; i++)
        weir_list_init(&w->slots[i]);
    return WEIR_OK;
}

void weir_wheel_close(struct weir_wheel *w)
{
    assert(w->linked == 0);
    free(w->slots);
    w->slots = NULL;
}

void weir_deadline_init(struct weir_deadline *d, weir_deadline_cb fire)
{
    *d = (struct weir_deadline){.due_ms = WEIR_NEVER, .fire = fire};
    weir_list_init(&d->link);
}

static bool is_linked(const struct weir_deadline *d)
{
    return !weir_list_empty(&d->link);
}

static void unlink_deadline(struct weir_wheel *w, struct weir_deadline *d)
{
    size_t slot = slot_of(d);
    weir_list_remove(&d->link);
    w->linked--;
    if (weir_list_empty(&w->slots[slot]))
        w->occupied[slot / 64] &= ~(UINT64_C(1) << (slot % 64));
}

/* Into the slot of its due time, or as far ahead as one round reaches. */
static void link_deadline(struct weir_wheel *w, struct weir_deadline *d)
{
    uint64_t tick = tick_of(d->due_ms);
    if (tick <= w->at_tick)
        tick = w->at_tick + 1;
    if (tick > w->at_tick + WEIR_WHEEL_SLOTS)
        tick = w->at_tick + WEIR_WHEEL_SLOTS;
    d->slot_ms = tick * WEIR_WHEEL_TICK_MS;
    size_t slot = slot_of(d);
    weir_list_push_back(&w->slots[slot], &d->link);
    w->occupied[slot / 64] |= UINT64_C(1) << (slot % 64);
    w->linked++;
}

void weir_deadline_set(struct weir_wheel *w, struct weir_deadline *d, uint64_t due_ms)
{
    d->due_ms = due_ms;
    if (due_ms == WEIR_NEVER)
        return;
    if (is_linked(d)) {
        if (d->slot_ms / WEIR_WHEEL_TICK_MS <= tick_of(due_ms))
            return;
        unlink_deadline(w, d);
    }
    link_deadline(w, d);
}

void weir_deadline_drop(struct weir_wheel *w, struct weir_deadline *d)
{
    d->due_ms = WEIR_NEVER;
    if (is_linked(d))
        unlink_deadline(w, d);
}

/* The slot's members are moved to a list of this call first: what callbacks link into the same slot belongs to a later
 * round, and what they drop leaves this list just as well. */
static void run_slot(struct weir_wheel *w, size_t slot, uint64_t now_ms)
{
    struct weir_list here;
    weir_list_init(&here);
    weir_list_splice(&here, &w->slots[slot]);
    w->occupied[slot / 64] &= ~(UINT64_C(1) << (slot % 64));
    for (struct weir_list *l; (l = weir_list_pop_front(&here)) != NULL;) {
        struct weir_deadline *d = WEIR_CONTAINER(l, struct weir_deadline, link);
        w->linked--;
        if (d->due_ms == WEIR_NEVER)
            continue;
        if (d->due_ms > now_ms || d->slot_ms > now_ms) {
            link_deadline(w, d);
            continue;
        }
        d->due_ms = WEIR_NEVER;
        d->fire(d, now_ms);
    }
}

void weir_wheel_run(struct weir_wheel *w, uint64_t now_ms)
{
    uint64_t from = w->at_tick, to = now_ms / WEIR_WHEEL_TICK_MS;
    if (to <= from)
        return;
    w->at_tick = to;
    uint64_t span = to - from < WEIR_WHEEL_SLOTS ? to - from : WEIR_WHEEL_SLOTS;
    for (uint64_t i = 1; i <= span && w->linked > 0; i++) {
        size_t slot = (size_t)((from + i) % WEIR_WHEEL_SLOTS);
        if ((w->occupied[slot / 64] >> (slot % 64) & 1) != 0)
            run_slot(w, slot, now_ms);
    }
}

/* How many ticks after `tick` the next occupied slot comes round, 0 being this one; SLOTS when there is none. */
static uint64_t next_occupied(const struct weir_wheel *w, uint64_t tick)
{
    for (uint64_t ahead = 0; ahead < WEIR_WHEEL_SLOTS;) {
        size_t slot = (size_t)((tick + ahead) % WEIR_WHEEL_SLOTS);
        uint64_t word = w->occupied[slot / 64] >> (slot % 64);
        if (word != 0)
            return ahead + (uint64_t)__builtin_ctzll(word);
        ahead += 64 - slot % 64;
    }
    return WEIR_WHEEL_SLOTS;
}

uint64_t weir_wheel_next_ms(const struct weir_wheel *w)
{
    uint64_t best = WEIR_NEVER;
    unsigned seen = 0;
    uint64_t tick = w->at_tick + 1, last = w->at_tick + WEIR_WHEEL_SLOTS;
    while ((tick += next_occupied(w, tick)) <= last && tick * WEIR_WHEEL_TICK_MS < best) {
        const struct weir_list *slot = &w->slots[tick % WEIR_WHEEL_SLOTS];
        for (const struct weir_list *l = slot->next; l != slot; l = l->next) {
            if (++seen > SCAN_MAX)
                return tick * WEIR_WHEEL_TICK_MS;
            const struct weir_deadline *d = WEIR_CONTAINER(l, struct weir_deadline, link);
            uint64_t due_tick = tick_of(d->due_ms);
            if (due_tick > WEIR_NEVER / WEIR_WHEEL_TICK_MS)
                continue;
            uint64_t ms = (due_tick > tick ? due_tick : tick) * WEIR_WHEEL_TICK_MS;
            best = ms < best ? ms : best;
        }
        tick++;
    }
    return best;
}
