/* Slots and connections in hand: to whom they go, on this worker or another. */
#include <stdlib.h>

#include "node/pool_inner.h"

/* The right to have one connection open, on its way to a worker where somebody waits. */
struct slot {
    struct weir_message message; /* first */
    struct weir_pool *to;
    struct weir_provider *provider; /* one reference */
};

/* -- slots -- */

bool weir_pool_slot_take(struct weir_provider *pr)
{
    uint32_t total = atomic_load(&pr->total);
    do {
        if (total >= atomic_load(&pr->total_max))
            return false;
    } while (!atomic_compare_exchange_weak(&pr->total, &total, total + 1));
    return true;
}

bool weir_pool_slot_dial(struct weir_pool *p, const struct weir_pool_waiter *w, struct weir_err *err)
{
    struct weir_pool_conn *c = p->connector->open(p->arg, w->wanted, w->target, err);
    if (c == NULL)
        return false;
    weir_pool_item_init(&c->item);
    c->endpoint = w->wanted;
    weir_endpoint_ref(w->wanted);
    c->pool = p;
    c->opened_ms = 0;
    c->offered = 0;
    c->leases = 0;
    c->parked = c->shared = c->draining = false;
    weir_list_init(&c->in_open);
    c->places = p->connector->places != NULL ? p->connector->places(p->arg, w->wanted, w->target) : 1;
    weir_pool_dial_begins(&weir_pool_local_of(p, w->provider)->shelf, w->place.demand, c->places);
    atomic_fetch_add_explicit(&w->provider->opening, 1, memory_order_relaxed);
    weir_pool_wait_show(p, w->provider);
    return true;
}

static void slot_arrived(struct weir_message *m, void *receiver)
{
    (void)receiver;
    struct slot *s = (struct slot *)m;
    struct weir_pool *p = s->to;
    struct weir_provider *pr = s->provider;
    free(s);
    atomic_fetch_sub(&weir_pool_local_of(p, pr)->slots_coming, 1);
    weir_pool_slot_use(p, pr);
    weir_pool_settle(p, pr);
    weir_provider_unref(pr);
}

bool weir_pool_slot_send(struct weir_pool *p, struct weir_provider *pr, unsigned worker)
{
    struct slot *s = malloc(sizeof *s);
    if (s == NULL)
        return false;
    *s = (struct slot){.message = {.handle = slot_arrived}, .to = p->peers[worker], .provider = pr};
    weir_provider_ref(pr);
    atomic_fetch_add(&pr->local[worker].slots_coming, 1);
    weir_mailbox_post(s->to->mailbox, &s->message);
    return true;
}

void weir_pool_slot_use(struct weir_pool *p, struct weir_provider *pr)
{
    for (;;) {
        int to = weir_pool_worker_waiting(p, pr, 0, true);
        if (to < 0 || atomic_load(&pr->total) > atomic_load(&pr->total_max)) {
            atomic_fetch_sub(&pr->total, 1);
            /* Somebody may have begun to wait between the look and the return. Who is seen to already does not count:
             * this would go round until the other worker has read its mail. */
            if (weir_pool_worker_waiting(p, pr, 0, true) < 0 || !weir_pool_slot_take(pr))
                return;
            continue;
        }
        if ((unsigned)to != p->worker && weir_pool_slot_send(p, pr, (unsigned)to))
            return;
        struct weir_provider_local *l = weir_pool_local_of(p, pr);
        struct weir_pool_place *place = weir_pool_uncovered_at(&l->shelf, 0);
        struct weir_err err;
        if (place == NULL) {
            atomic_fetch_sub(&pr->total, 1);
            return;
        }
        if (weir_pool_slot_dial(p, weir_pool_waiter_of(place), &err))
            return;
        weir_pool_wait_fail(p, weir_pool_waiter_of(place), &err);
    }
}

/* -- connections in hand -- */

static void conn_arrived(struct weir_message *m, void *receiver);

void weir_pool_conn_send(struct weir_pool *p, struct weir_pool_conn *c, unsigned worker)
{
    struct weir_pool *to = p->peers[worker];
    p->connector->detach(p->arg, c);
    c->message.handle = conn_arrived;
    c->pool = to;
    atomic_fetch_add(&c->endpoint->provider->local[worker].conns_coming, 1);
    weir_mailbox_post(to->mailbox, &c->message);
}

void weir_pool_conn_drop(struct weir_pool *p, struct weir_pool_conn *c, enum weir_endpoint_counter reason)
{
    struct weir_provider *pr = weir_pool_conn_end(p, c, reason);
    weir_pool_slot_use(p, pr);
    weir_provider_unref(pr);
}

/* Only who wanted it may have it, and waits here: it never leaves the worker that dialed it. */
static void offer_foreign(struct weir_pool *p, struct weir_pool_conn *c)
{
    struct weir_pool_waiter *w = weir_pool_wait_for(p, c->endpoint);
    if (w != NULL)
        weir_pool_wait_grant(p, w, c);
    else
        weir_pool_conn_drop(p, c, WEIR_EC_CLOSED_SURPLUS);
}

void weir_pool_conn_offer(struct weir_pool *p, struct weir_pool_conn *c)
{
    struct weir_provider *pr = c->endpoint->provider;
    if (weir_endpoint_is_foreign(c->endpoint)) {
        offer_foreign(p, c);
        return;
    }
    if (c->shared) {
        weir_pool_shared_offer(p, c);
        return;
    }
    struct weir_provider_local *l = weir_pool_local_of(p, pr);
    for (;;) {
        int to = atomic_load(&pr->waiting) > 0 ? weir_pool_worker_waiting(p, pr, c->offered, false) : -1;
        if (to >= 0 && (unsigned)to != p->worker) {
            weir_pool_conn_send(p, c, (unsigned)to);
            return;
        }
        if (to >= 0) {
            struct weir_pool_place *place = weir_pool_first(&l->shelf, c->endpoint->slot, c->leases > 0);
            if (place != NULL) {
                weir_pool_wait_grant(p, weir_pool_waiter_of(place), c);
                return;
            }
            c->offered |= UINT64_C(1) << p->worker;
            if (weir_pool_uncovered(&l->shelf) > 0) {
                weir_pool_conn_drop(p, c,
                                    WEIR_EC_CLOSED_SURPLUS); /* who waits here cannot use it, but can use its slot */
                return;
            }
            continue;
        }
        /* While it was opened, or on its way, its endpoint may have gone, or the limit have been lowered. */
        enum weir_endpoint_counter reason = weir_pool_conn_spent(p, c);
        if (reason == 0 && !weir_pool_conn_park(p, c))
            reason = WEIR_EC_CLOSED_SURPLUS;
        if (reason != 0) {
            weir_pool_conn_drop(p, c, reason);
            return;
        }
        /* Somebody may have begun to wait between the look and the parking. */
        if (atomic_load(&pr->waiting) == 0)
            return;
        bool nobody = weir_pool_worker_waiting(p, pr, c->offered, false) < 0;
        if (nobody && weir_pool_nudge(p, c->endpoint, c->offered))
            return;
        weir_pool_conn_unpark(p, c);
        if (nobody) {
            weir_pool_conn_drop(p, c, WEIR_EC_CLOSED_SURPLUS); /* its slot finds who waits */
            return;
        }
    }
}

static void conn_arrived(struct weir_message *m, void *receiver)
{
    (void)receiver;
    struct weir_pool_conn *c = WEIR_CONTAINER(m, struct weir_pool_conn, message);
    struct weir_pool *p = c->pool;
    struct weir_provider *pr = c->endpoint->provider;
    weir_provider_ref(pr);
    atomic_fetch_sub(&weir_pool_local_of(p, pr)->conns_coming, 1);
    if (p->connector->attach(p->arg, c) != 0 || p->connector->disturbed(c)) {
        weir_pool_conn_drop(p, c, WEIR_EC_CLOSED_IDLE_PEER);
    } else {
        weir_pool_count(p, c->endpoint, WEIR_EC_HANDED_OVER);
        weir_pool_conn_offer(p, c);
    }
    /* While it was on its way, others were kept from being sent: if it has served nobody, they are to be asked for. */
    weir_pool_settle(p, pr);
    weir_provider_unref(pr);
}
