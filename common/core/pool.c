#include "core/pool.h"

#include <assert.h>

enum weir_pool_step weir_pool_decide(const struct weir_pool_sight *s)
{
    if (s->idle_here && !s->fresh)
        return WEIR_POOL_LEASE;
    if (s->idle_elsewhere >= 0 && !s->fresh)
        return WEIR_POOL_FETCH;
    if (s->total < s->total_max)
        return WEIR_POOL_OPEN;
    if (s->spare_here)
        return WEIR_POOL_EVICT;
    if (s->spare_elsewhere >= 0)
        return WEIR_POOL_EVICT_AWAY;
    return s->queued < s->queued_max ? WEIR_POOL_QUEUE : WEIR_POOL_REFUSE;
}

uint32_t weir_pool_dials_wanted(uint32_t waiters, uint32_t capacity)
{
    return capacity <= 1 ? waiters : waiters / capacity + (waiters % capacity != 0);
}

void weir_pool_shelf_init(struct weir_pool_shelf *s)
{
    weir_list_init(&s->by_age);
    weir_list_init(&s->waiters);
    s->idle = s->waiting = 0;
}

void weir_pool_stack_init(struct weir_pool_stack *k)
{
    weir_list_init(&k->items);
    k->count = 0;
}

void weir_pool_item_init(struct weir_pool_item *i)
{
    weir_list_init(&i->in_stack);
    weir_list_init(&i->in_age);
}

void weir_pool_park(struct weir_pool_shelf *s, struct weir_pool_stack *k, struct weir_pool_item *i)
{
    assert(weir_list_empty(&i->in_stack));
    weir_list_push_front(&k->items, &i->in_stack);
    weir_list_push_back(&s->by_age, &i->in_age);
    k->count++;
    s->idle++;
}

void weir_pool_unpark(struct weir_pool_shelf *s, struct weir_pool_stack *k, struct weir_pool_item *i)
{
    assert(!weir_list_empty(&i->in_stack) && k->count > 0 && s->idle > 0);
    weir_list_remove(&i->in_stack);
    weir_list_remove(&i->in_age);
    k->count--;
    s->idle--;
}

struct weir_pool_item *weir_pool_newest(const struct weir_pool_stack *k)
{
    return k->count == 0 ? NULL : WEIR_CONTAINER(k->items.next, struct weir_pool_item, in_stack);
}

struct weir_pool_item *weir_pool_oldest(const struct weir_pool_shelf *s)
{
    return s->idle == 0 ? NULL : WEIR_CONTAINER(s->by_age.next, struct weir_pool_item, in_age);
}

void weir_pool_wait(struct weir_pool_shelf *s, struct weir_pool_place *p)
{
    struct weir_list *after = s->waiters.prev;
    while (after != &s->waiters && WEIR_CONTAINER(after, struct weir_pool_place, link)->since_us > p->since_us)
        after = after->prev;
    weir_list_insert_after(after, &p->link);
    s->waiting++;
}

void weir_pool_unwait(struct weir_pool_shelf *s, struct weir_pool_place *p)
{
    assert(!weir_list_empty(&p->link) && s->waiting > 0);
    weir_list_remove(&p->link);
    s->waiting--;
}

struct weir_pool_place *weir_pool_first(const struct weir_pool_shelf *s, unsigned endpoint, bool used)
{
    WEIR_LIST_EACH(at, &s->waiters)
    {
        struct weir_pool_place *p = WEIR_CONTAINER(at, struct weir_pool_place, link);
        if ((p->endpoints >> endpoint & 1) != 0 && !(p->fresh && used))
            return p;
    }
    return NULL;
}

struct weir_pool_place *weir_pool_nth(const struct weir_pool_shelf *s, uint32_t n)
{
    WEIR_LIST_EACH(at, &s->waiters)
    {
        if (n-- == 0)
            return WEIR_CONTAINER(at, struct weir_pool_place, link);
    }
    return NULL;
}

uint32_t weir_pool_uncovered(const struct weir_pool_shelf *s, uint32_t dials, uint32_t capacity)
{
    uint32_t wanted = weir_pool_dials_wanted(s->waiting, capacity);
    return wanted > dials ? wanted - dials : 0;
}

uint64_t weir_pool_waiting_since(const struct weir_pool_shelf *s)
{
    return s->waiting == 0 ? UINT64_MAX : WEIR_CONTAINER(s->waiters.next, struct weir_pool_place, link)->since_us;
}
