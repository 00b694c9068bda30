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

void weir_pool_shelf_init(struct weir_pool_shelf *s)
{
    weir_list_init(&s->by_age);
    weir_list_init(&s->waiters);
    s->idle = s->waiting = s->covered = 0;
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

static uint32_t smaller(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* Waiters that the dials to one endpoint see to. */
static uint32_t seen_to(const struct weir_pool_demand *d)
{
    uint32_t own = smaller(d->waiting, d->places);
    return own > d->dials ? own : d->dials;
}

static void count_waiting(struct weir_pool_shelf *s, struct weir_pool_demand *d, int32_t change)
{
    s->covered -= seen_to(d);
    d->waiting += (uint32_t)change;
    s->covered += seen_to(d);
    s->waiting += (uint32_t)change;
}

static void count_dials(struct weir_pool_shelf *s, struct weir_pool_demand *d, int32_t change, uint32_t places)
{
    s->covered -= seen_to(d);
    d->dials += (uint32_t)change;
    d->places += change > 0 ? places : -places;
    s->covered += seen_to(d);
}

void weir_pool_wait(struct weir_pool_shelf *s, struct weir_pool_place *p)
{
    struct weir_list *after = s->waiters.prev;
    while (after != &s->waiters && WEIR_CONTAINER(after, struct weir_pool_place, link)->since_us > p->since_us)
        after = after->prev;
    weir_list_insert_after(after, &p->link);
    count_waiting(s, p->demand, +1);
}

void weir_pool_unwait(struct weir_pool_shelf *s, struct weir_pool_place *p)
{
    assert(!weir_list_empty(&p->link) && s->waiting > 0);
    weir_list_remove(&p->link);
    count_waiting(s, p->demand, -1);
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

/* -- dials -- */

void weir_pool_dial_begins(struct weir_pool_shelf *s, struct weir_pool_demand *d, uint32_t places)
{
    count_dials(s, d, 1, places);
}

void weir_pool_dial_ends(struct weir_pool_shelf *s, struct weir_pool_demand *d, uint32_t places)
{
    assert(d->dials > 0 && d->places >= places);
    count_dials(s, d, -1, places);
}

uint32_t weir_pool_uncovered(const struct weir_pool_shelf *s)
{
    return s->waiting > s->covered ? s->waiting - s->covered : 0;
}

/* Goes through the waiters, oldest first: each is seen to by its endpoint's dials, else by a dial to another endpoint
 * that has fewer waiters than dials. Stops at the n-th that is not, or at `upto`, whatever it is; NULL: the end. */
static struct weir_pool_place *walk(const struct weir_pool_shelf *s, uint32_t n, const struct weir_pool_place *upto,
                                    bool *covered)
{
    uint32_t own = 0; /* covered by their own endpoints' dials, all that wait counted */
    WEIR_LIST_EACH(at, &s->waiters)
    {
        struct weir_pool_demand *d = WEIR_CONTAINER(at, struct weir_pool_place, link)->demand;
        own += d->seen++ < d->places;
    }
    uint32_t spare = smaller(s->covered, s->waiting) - own;
    struct weir_pool_place *found = NULL;
    WEIR_LIST_EACH(at, &s->waiters)
    {
        struct weir_pool_place *p = WEIR_CONTAINER(at, struct weir_pool_place, link);
        uint32_t before = p->demand->waiting - p->demand->seen--; /* of the same endpoint */
        *covered = before < p->demand->places;
        if (!*covered && spare > 0) {
            spare--;
            *covered = true;
        }
        if (p == upto || (upto == NULL && !*covered && n-- == 0)) {
            found = p;
            break;
        }
    }
    WEIR_LIST_EACH(at, &s->waiters)
    {
        WEIR_CONTAINER(at, struct weir_pool_place, link)->demand->seen = 0;
    }
    return found;
}

struct weir_pool_place *weir_pool_uncovered_at(const struct weir_pool_shelf *s, uint32_t n)
{
    bool covered;
    return n < weir_pool_uncovered(s) ? walk(s, n, NULL, &covered) : NULL;
}

bool weir_pool_is_covered(const struct weir_pool_shelf *s, const struct weir_pool_place *p)
{
    bool covered = false;
    if (weir_pool_uncovered(s) == 0)
        return true;
    return walk(s, 0, p, &covered) != NULL && covered;
}

uint64_t weir_pool_waiting_since(const struct weir_pool_shelf *s)
{
    return s->waiting == 0 ? UINT64_MAX : WEIR_CONTAINER(s->waiters.next, struct weir_pool_place, link)->since_us;
}
