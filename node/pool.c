#include "node/pool.h"

#include <assert.h>
#include <stdlib.h>

#include "node/pool_inner.h"

/* One worker asks another for a connection to `endpoint`, or (evict) to close its oldest parked one and pass on the
 * slot. The same message goes back when there was nothing. */
struct ask {
    struct weir_message message; /* first */
    struct weir_pool *from, *to;
    struct weir_endpoint *endpoint; /* one reference */
    bool evict;
};

/* -- asking other workers -- */

static void ask_answered(struct weir_message *m, void *receiver)
{
    (void)receiver;
    struct ask *a = (struct ask *)m;
    struct weir_pool *p = a->from;
    struct weir_endpoint *e = a->endpoint;
    free(a);
    weir_pool_settle(p, e->provider);
    weir_endpoint_unref(e);
}

static void evict_for(struct weir_pool *p, struct weir_pool_conn *victim, unsigned worker)
{
    struct weir_provider *pr = weir_pool_conn_end(p, victim, WEIR_EC_EVICTIONS);
    if (worker == p->worker || !weir_pool_slot_send(p, pr, worker))
        weir_pool_slot_use(p, pr);
    weir_provider_unref(pr);
}

static void asked(struct weir_message *m, void *receiver)
{
    (void)receiver;
    struct ask *a = (struct ask *)m;
    struct weir_pool *p = a->to;
    struct weir_pool_shelf *shelf = &weir_pool_local_of(p, a->endpoint->provider)->shelf;
    struct weir_pool_item *oldest = a->evict ? weir_pool_oldest(shelf) : NULL;
    struct weir_pool_item *newest = weir_pool_newest(&a->endpoint->local[p->worker].idle);
    bool single = newest != NULL && !weir_pool_conn_of(newest)->shared;
    struct weir_pool_conn *c = a->evict || !single ? NULL : weir_pool_conn_take_parked(p, a->endpoint);
    if (oldest == NULL && c == NULL) {
        a->message.handle = ask_answered;
        weir_mailbox_post(a->from->mailbox, &a->message);
        return;
    }
    if (c != NULL) {
        c->offered = 0;
        weir_pool_conn_send(p, c, a->from->worker);
    } else {
        evict_for(p, weir_pool_conn_of(oldest), a->from->worker);
    }
    weir_endpoint_unref(a->endpoint);
    free(a);
}

/* False: out of memory, nothing was asked. */
static bool ask(struct weir_pool *p, struct weir_pool_waiter *w, unsigned worker, bool evict)
{
    struct ask *a = malloc(sizeof *a);
    if (a == NULL)
        return false;
    *a = (struct ask){
        .message = {.handle = asked}, .from = p, .to = p->peers[worker], .endpoint = w->wanted, .evict = evict};
    weir_endpoint_ref(w->wanted);
    weir_mailbox_post(a->to->mailbox, &a->message);
    return true;
}

bool weir_pool_nudge(struct weir_pool *p, struct weir_endpoint *e, uint64_t workers)
{
    for (unsigned i = 0; i < p->worker_count; i++) {
        if (i == p->worker || (workers >> i & 1) == 0 || atomic_load(&e->provider->local[i].uncovered_shown) == 0)
            continue;
        struct ask *a = malloc(sizeof *a);
        if (a == NULL)
            return false;
        *a = (struct ask){.message = {.handle = ask_answered}, .from = p->peers[i], .endpoint = e};
        weir_endpoint_ref(e);
        weir_mailbox_post(a->from->mailbox, &a->message);
    }
    return true;
}

static int idle_elsewhere(const struct weir_pool *p, const struct weir_pool_waiter *w)
{
    for (unsigned i = 0; i < p->worker_count; i++)
        if (i != p->worker && (w->asked >> i & 1) == 0 && atomic_load(&w->wanted->local[i].single_shown) > 0)
            return (int)i;
    return -1;
}

static int spare_elsewhere(const struct weir_pool *p, const struct weir_pool_waiter *w)
{
    for (unsigned i = 0; i < p->worker_count; i++)
        if (i != p->worker && (w->asked_evict >> i & 1) == 0 && atomic_load(&w->provider->local[i].idle_shown) > 0)
            return (int)i;
    return -1;
}

static void look(const struct weir_pool *p, const struct weir_pool_waiter *w, struct weir_pool_sight *s)
{
    struct weir_provider *pr = w->provider;
    bool anywhere = atomic_load(&pr->idle) > 0;
    *s = (struct weir_pool_sight){
        .fresh = w->place.fresh,
        .idle_here = w->wanted->local[p->worker].idle.count > 0,
        .idle_elsewhere = anywhere ? idle_elsewhere(p, w) : -1,
        .total = atomic_load(&pr->total),
        .total_max = atomic_load(&pr->total_max),
        .spare_here = pr->local[p->worker].shelf.idle > 0,
        .spare_elsewhere = anywhere ? spare_elsewhere(p, w) : -1,
        .queued = atomic_load(&pr->queued),
        .queued_max = atomic_load_explicit(&pr->queued_max, memory_order_relaxed),
    };
}

static void note_queued(struct weir_pool *p, struct weir_pool_waiter *w)
{
    if (!w->queued)
        weir_provider_add(&weir_pool_local_of(p, w->provider)->counters, WEIR_PC_QUEUED, 1);
    w->queued = true;
}

/* Carries out a step for a request that waits. True: its wait is now somebody else's business (a dial, an answer, its
 * end); false: the world changed meanwhile, look again. */
static bool carry_out(struct weir_pool *p, struct weir_pool_waiter *w, enum weir_pool_step step,
                      const struct weir_pool_sight *s)
{
    struct weir_provider *pr = w->provider;
    struct weir_err err;
    struct weir_pool_conn *c;
    switch (step) {
    case WEIR_POOL_LEASE:
        c = weir_pool_conn_take_parked(p, w->wanted);
        if (c != NULL) {
            c->offered = 0;
            weir_pool_conn_offer(p, c);
        }
        return c != NULL;
    case WEIR_POOL_FETCH:
        assert(s->idle_elsewhere >= 0);
        w->asked |= UINT64_C(1) << s->idle_elsewhere;
        return ask(p, w, (unsigned)s->idle_elsewhere, false);
    case WEIR_POOL_OPEN:
        if (!weir_pool_slot_take(pr))
            return false;
        if (!weir_pool_slot_dial(p, w, &err)) {
            weir_pool_wait_fail(p, w, &err);
            weir_pool_slot_use(p, pr);
        }
        return true;
    case WEIR_POOL_EVICT:
        evict_for(p, weir_pool_conn_of(weir_pool_oldest(&weir_pool_local_of(p, pr)->shelf)), p->worker);
        return !w->waiting || weir_pool_covered(p, w); /* the slot may have gone to an older one elsewhere */
    case WEIR_POOL_EVICT_AWAY:
        assert(s->spare_elsewhere >= 0);
        w->asked_evict |= UINT64_C(1) << s->spare_elsewhere;
        return ask(p, w, (unsigned)s->spare_elsewhere, true);
    case WEIR_POOL_QUEUE:
    case WEIR_POOL_REFUSE:
        note_queued(p, w);
        return true;
    }
    return true;
}

void weir_pool_settle(struct weir_pool *p, struct weir_provider *pr)
{
    struct weir_pool_shelf *shelf = &weir_pool_local_of(p, pr)->shelf;
    uint32_t n = 0;
    struct weir_pool_place *place;
    weir_pool_shared_settle(p, pr);
    /* Each step covers one more waiter by a dial, ends its wait, or leaves it to others and goes on to the next. */
    while ((place = weir_pool_uncovered_at(shelf, n)) != NULL) {
        struct weir_pool_waiter *w = weir_pool_waiter_of(place);
        struct weir_pool_sight sight;
        uint32_t waiting = shelf->waiting, uncovered = weir_pool_uncovered(shelf);
        look(p, w, &sight);
        enum weir_pool_step step = weir_pool_decide(&sight);
        bool done = carry_out(p, w, step, &sight);
        if (step == WEIR_POOL_QUEUE || step == WEIR_POOL_REFUSE)
            return;
        if (done && shelf->waiting == waiting && weir_pool_uncovered(shelf) == uncovered)
            n++;
    }
}

/* -- for the request -- */

static void begin_to_wait(struct weir_pool *p, struct weir_pool_waiter *w)
{
    if (!w->again)
        w->place.since_us = p->connector->now_us(p->arg);
    weir_pool_wait_begin(p, w);
}

/* For a request that cannot be sent twice: the peer of the newest parked connection was heard of just now. */
static bool parked_will_do(const struct weir_pool *p, const struct weir_endpoint *e)
{
    struct weir_pool_item *newest = weir_pool_newest(&e->local[p->worker].idle);
    const struct weir_pool_conn *c = newest != NULL ? weir_pool_conn_of(newest) : NULL;
    return c != NULL && c->shared && p->connector->lively(p->arg, c);
}

/* The connection that is at hand for it, and is its own from now on; NULL: none is. */
static struct weir_pool_conn *take_at_hand(struct weir_pool *p, struct weir_pool_waiter *w)
{
    struct weir_pool_conn *c = weir_pool_shared_take(p, w->wanted);
    if (c != NULL && w->place.demand->waiting > 0) {
        weir_pool_shared_offer(p, c); /* older ones first: it was refused to them while too many were open */
        c = weir_pool_shared_take(p, w->wanted);
    }
    if (c == NULL && (!w->place.fresh || parked_will_do(p, w->wanted)))
        c = weir_pool_conn_take_parked(p, w->wanted);
    if (c != NULL) {
        weir_pool_shared_leased(p, c);
        c->leases++;
    }
    return c;
}

enum weir_pool_result weir_pool_acquire(struct weir_pool *p, struct weir_pool_waiter *w, struct weir_pool_conn **c,
                                        struct weir_err *err)
{
    struct weir_pool_sight sight;
    w->waiting = w->queued = false;
    w->asked = w->asked_evict = 0;
    w->acquire_err = NULL;
    w->place.demand = &w->wanted->local[p->worker].demand;
    weir_list_init(&w->place.link);
    for (;;) {
        *c = take_at_hand(p, w);
        if (*c != NULL)
            return WEIR_POOL_GRANTED;
        if (weir_pool_has_place(w->place.demand)) {
            begin_to_wait(p, w);
            return WEIR_POOL_WAITING;
        }
        look(p, w, &sight);
        enum weir_pool_step step = weir_pool_decide(&sight);
        if (step == WEIR_POOL_REFUSE && !w->again)
            return WEIR_POOL_REFUSED;
        if (step == WEIR_POOL_OPEN) {
            if (!weir_pool_slot_take(w->provider))
                continue;
            begin_to_wait(p, w);
            if (weir_pool_slot_dial(p, w, err))
                return WEIR_POOL_WAITING;
            weir_pool_wait_end(p, w);
            weir_pool_slot_use(p, w->provider);
            return WEIR_POOL_FAILED;
        }
        begin_to_wait(p, w);
        if (step == WEIR_POOL_QUEUE || step == WEIR_POOL_REFUSE) {
            /* A connection may have been released before anybody could see this request wait. */
            look(p, w, &sight);
            step = weir_pool_decide(&sight);
            if (step == WEIR_POOL_QUEUE || step == WEIR_POOL_REFUSE) {
                note_queued(p, w);
                return WEIR_POOL_WAITING;
            }
        } else {
            w->acquire_err = err;
            bool done = carry_out(p, w, step, &sight);
            w->acquire_err = NULL;
            if (!w->waiting)
                return WEIR_POOL_FAILED;
            if (done)
                return WEIR_POOL_WAITING;
        }
        weir_pool_wait_end(p, w);
    }
}

bool weir_pool_open_ahead(struct weir_pool *p, struct weir_endpoint *e, const void *target)
{
    const struct weir_pool_waiter nobody = {
        .provider = e->provider, .wanted = e, .target = target, .place.demand = &e->local[p->worker].demand};
    struct weir_err err;
    if (!weir_pool_slot_take(e->provider))
        return false;
    if (weir_pool_slot_dial(p, &nobody, &err))
        return true;
    weir_pool_slot_use(p, e->provider);
    return false;
}

void weir_pool_cancel(struct weir_pool *p, struct weir_pool_waiter *w)
{
    if (w->waiting)
        weir_pool_wait_end(p, w);
}

bool weir_pool_covered(const struct weir_pool *p, const struct weir_pool_waiter *w)
{
    return w->waiting && weir_pool_is_covered(&weir_pool_local_of(p, w->provider)->shelf, &w->place);
}

void weir_pool_release(struct weir_pool *p, struct weir_pool_conn *c)
{
    assert(c->pool == p && !c->parked);
    if (c->shared) {
        weir_pool_shared_offer(p, c);
        return;
    }
    enum weir_endpoint_counter reason = weir_pool_conn_spent(p, c);
    c->offered = 0;
    if (reason != 0)
        weir_pool_conn_drop(p, c, reason);
    else
        weir_pool_conn_offer(p, c);
}

void weir_pool_discard(struct weir_pool *p, struct weir_pool_conn *c, enum weir_endpoint_counter reason)
{
    assert(c->pool == p);
    weir_pool_conn_drop(p, c, reason);
}

void weir_pool_expire(struct weir_pool *p, struct weir_pool_conn *c)
{
    assert(c->pool == p && c->parked);
    enum weir_endpoint_counter reason = weir_pool_conn_spent(p, c);
    weir_pool_conn_drop(p, c, reason != 0 ? reason : WEIR_EC_CLOSED_EXPIRED);
}

static void end_dial(struct weir_pool *p, const struct weir_pool_conn *c)
{
    struct weir_provider *pr = c->endpoint->provider;
    weir_pool_dial_ends(&weir_pool_local_of(p, pr)->shelf, &c->endpoint->local[p->worker].demand, c->places);
    atomic_fetch_sub_explicit(&pr->opening, 1, memory_order_relaxed);
    weir_pool_wait_show(p, pr);
}

void weir_pool_opened(struct weir_pool *p, struct weir_pool_conn *c)
{
    struct weir_provider *pr = c->endpoint->provider;
    c->opened_ms = p->connector->now_ms(p->arg);
    c->shared = p->connector->shared != NULL && p->connector->shared(c);
    weir_pool_count(p, c->endpoint, WEIR_EC_CREATED);
    end_dial(p, c);
    weir_provider_ref(pr);
    weir_pool_conn_offer(p, c);
    weir_pool_settle(p,
                     pr); /* it may have gone to an older request elsewhere, and who relied on it here needs another */
    weir_provider_unref(pr);
}

void weir_pool_open_failed(struct weir_pool *p, struct weir_pool_conn *c, const struct weir_err *err)
{
    struct weir_endpoint *e = c->endpoint;
    struct weir_provider *pr = e->provider;
    struct weir_pool_waiter *w = weir_pool_wait_for(p, e);
    end_dial(p, c);
    weir_provider_ref(pr);
    if (w != NULL)
        weir_pool_wait_fail(p, w, err);
    weir_pool_conn_drop(p, c, WEIR_EC_CLOSED_FAILED);
    weir_pool_settle(p, pr);
    weir_provider_unref(pr);
}

/* A reload may have lowered either limit. */
static bool too_many(const struct weir_provider *pr)
{
    return atomic_load(&pr->total) > atomic_load(&pr->total_max) || atomic_load(&pr->idle) > atomic_load(&pr->idle_max);
}

/* Why a parked connection is to be closed; 0: it may stay. */
typedef enum weir_endpoint_counter judge_fn(const struct weir_pool *p, const struct weir_pool_conn *c, uint64_t arg);

static unsigned close_parked(struct weir_pool *p, struct weir_provider *pr, judge_fn *judge, uint64_t arg)
{
    unsigned closed = 0;
    WEIR_LIST_EACH_SAFE(at, &weir_pool_local_of(p, pr)->shelf.by_age)
    {
        struct weir_pool_conn *c = weir_pool_conn_of(WEIR_CONTAINER(at, struct weir_pool_item, in_age));
        enum weir_endpoint_counter reason = judge(p, c, arg);
        if (reason == 0)
            continue;
        weir_pool_conn_drop(p, c, reason);
        closed++;
    }
    return closed;
}

static enum weir_endpoint_counter unwanted(const struct weir_pool *p, const struct weir_pool_conn *c, uint64_t all)
{
    return all || too_many(c->endpoint->provider) ? WEIR_EC_CLOSED_CONFIG : weir_pool_conn_spent(p, c);
}

unsigned weir_pool_close_parked(struct weir_pool *p, struct weir_provider *pr, bool all)
{
    return close_parked(p, pr, unwanted, all);
}

static enum weir_endpoint_counter unclean(const struct weir_pool *p, const struct weir_pool_conn *c, uint64_t sick)
{
    if ((sick >> c->endpoint->slot & 1) != 0)
        return WEIR_EC_CLOSED_UNHEALTHY;
    if (p->connector->disturbed(c))
        return WEIR_EC_CLOSED_IDLE_PEER;
    enum weir_endpoint_counter spent = weir_pool_conn_spent(p, c);
    return spent == 0 && too_many(c->endpoint->provider) ? WEIR_EC_CLOSED_SURPLUS : spent;
}

unsigned weir_pool_clean(struct weir_pool *p, struct weir_provider *pr, uint64_t sick)
{
    return close_parked(p, pr, unclean, sick);
}
