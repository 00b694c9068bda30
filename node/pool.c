#include "node/pool.h"

#include <assert.h>
#include <stdlib.h>

/* HTTP/1.1 connections carry one request at a time; what a dial is expected to yield. */
#define DIAL_CAPACITY 1u

/* One worker asks another for a connection to `endpoint`, or (evict) to close its oldest parked one and pass on the
 * slot. The same message goes back when there was nothing. */
struct ask {
    struct weir_message message; /* first */
    struct weir_pool *from, *to;
    struct weir_endpoint *endpoint; /* one reference */
    bool evict;
};

/* The right to have one connection open, on its way to a worker where somebody waits. */
struct slot {
    struct weir_message message; /* first */
    struct weir_pool *to;
    struct weir_provider *provider; /* one reference */
};

static struct weir_provider_local *local_of(const struct weir_pool *p, struct weir_provider *pr)
{
    return &pr->local[p->worker];
}

static struct weir_pool_conn *conn_of(struct weir_pool_item *i)
{
    return WEIR_CONTAINER(i, struct weir_pool_conn, item);
}

static struct weir_pool_waiter *waiter_of(struct weir_pool_place *place)
{
    return WEIR_CONTAINER(place, struct weir_pool_waiter, place);
}

static void count(const struct weir_pool *p, struct weir_endpoint *e, enum weir_endpoint_counter id)
{
    weir_endpoint_add(&e->local[p->worker].counters, id, 1);
}

/* -- what other workers see -- */

static void show_waiting(struct weir_pool *p, struct weir_provider *pr)
{
    struct weir_provider_local *l = local_of(p, pr);
    uint32_t uncovered = weir_pool_uncovered(&l->shelf, l->dials, DIAL_CAPACITY);
    uint32_t before = atomic_load_explicit(&l->uncovered_shown, memory_order_relaxed);
    atomic_store(&l->waiting_since_us, weir_pool_waiting_since(&l->shelf));
    atomic_store(&l->waiting_shown, l->shelf.waiting);
    atomic_store(&l->uncovered_shown, uncovered);
    if (uncovered > before)
        atomic_fetch_add(&pr->queued, uncovered - before);
    else if (uncovered < before)
        atomic_fetch_sub(&pr->queued, before - uncovered);
}

static void show_parked(struct weir_pool *p, struct weir_endpoint *e)
{
    struct weir_endpoint_local *el = &e->local[p->worker];
    struct weir_provider_local *l = local_of(p, e->provider);
    atomic_store(&el->idle_shown, el->idle.count);
    atomic_store(&l->idle_shown, l->shelf.idle);
}

/* The worker whose longest waiting request came first, of those not in `except` and not seen to already; -1 when there
 * is none. `uncovered`: who needs a slot, counting requests that no dial covers; else who can use a connection. */
static int worker_waiting(const struct weir_pool *p, struct weir_provider *pr, uint64_t except, bool uncovered)
{
    int best = -1;
    uint64_t best_us = UINT64_MAX;
    for (unsigned w = 0; w < pr->worker_count; w++) {
        struct weir_provider_local *l = &pr->local[w];
        uint32_t waiting = atomic_load(uncovered ? &l->uncovered_shown : &l->waiting_shown);
        uint32_t coming = w == p->worker ? 0 : atomic_load(uncovered ? &l->slots_coming : &l->conns_coming);
        if ((except >> w & 1) != 0 || waiting <= coming)
            continue;
        uint64_t since = atomic_load(&l->waiting_since_us);
        if (since < best_us) {
            best = (int)w;
            best_us = since;
        }
    }
    return best;
}

/* -- the queue -- */

static void begin_wait(struct weir_pool *p, struct weir_pool_waiter *w)
{
    w->waiting = true;
    weir_pool_wait(&local_of(p, w->provider)->shelf, &w->place);
    atomic_fetch_add(&w->provider->waiting, 1);
    show_waiting(p, w->provider);
}

static void end_wait(struct weir_pool *p, struct weir_pool_waiter *w)
{
    w->waiting = false;
    weir_pool_unwait(&local_of(p, w->provider)->shelf, &w->place);
    atomic_fetch_sub(&w->provider->waiting, 1);
    show_waiting(p, w->provider);
}

static void grant(struct weir_pool *p, struct weir_pool_waiter *w, struct weir_pool_conn *c)
{
    end_wait(p, w);
    c->leases++;
    w->granted(w, c);
}

static void fail(struct weir_pool *p, struct weir_pool_waiter *w, const struct weir_err *err)
{
    end_wait(p, w);
    if (w->acquire_err != NULL)
        *w->acquire_err = *err; /* acquire is running and returns it */
    else
        w->failed(w, err);
}

/* -- parked connections -- */

static void unpark(struct weir_pool *p, struct weir_pool_conn *c)
{
    struct weir_endpoint *e = c->endpoint;
    c->parked = false;
    weir_pool_unpark(&local_of(p, e->provider)->shelf, &e->local[p->worker].idle, &c->item);
    atomic_fetch_sub(&e->provider->idle, 1);
    show_parked(p, e);
    p->connector->unparked(p->arg, c);
}

/* False: as many are parked as may be. */
static bool park(struct weir_pool *p, struct weir_pool_conn *c)
{
    struct weir_endpoint *e = c->endpoint;
    struct weir_provider *pr = e->provider;
    if (atomic_fetch_add(&pr->idle, 1) >= atomic_load_explicit(&pr->idle_max, memory_order_relaxed)) {
        atomic_fetch_sub(&pr->idle, 1);
        return false;
    }
    c->parked = true;
    weir_pool_park(&local_of(p, pr)->shelf, &e->local[p->worker].idle, &c->item);
    show_parked(p, e);
    p->connector->parked(p->arg, c, atomic_load_explicit(&pr->keepalive_expiry_ms, memory_order_relaxed));
    return true;
}

/* Takes a connection off the books and ends it. Its slot and a reference to its provider are the caller's afterwards.
 */
static struct weir_provider *end_conn(struct weir_pool *p, struct weir_pool_conn *c, enum weir_endpoint_counter reason)
{
    struct weir_endpoint *e = c->endpoint;
    struct weir_provider *pr = e->provider;
    weir_provider_ref(pr);
    if (c->parked)
        unpark(p, c);
    if (c->opened_ms != 0)
        count(p, e, reason);
    c->endpoint = NULL;
    p->connector->close(p->arg, c);
    weir_endpoint_unref(e);
    return pr;
}

/* 0: it may be used again; else why not (WEIR_EC_CLOSED_*). */
static enum weir_endpoint_counter spent(const struct weir_pool *p, const struct weir_pool_conn *c)
{
    struct weir_provider *pr = c->endpoint->provider;
    uint32_t lifetime_max_ms = atomic_load_explicit(&pr->lifetime_max_ms, memory_order_relaxed);
    if (atomic_load_explicit(&c->endpoint->retired, memory_order_relaxed) ||
        atomic_load_explicit(&pr->total, memory_order_relaxed) >
            atomic_load_explicit(&pr->total_max, memory_order_relaxed))
        return WEIR_EC_CLOSED_CONFIG;
    if (atomic_load_explicit(&pr->idle_max, memory_order_relaxed) == 0 && c->leases > 0)
        return WEIR_EC_CLOSED_ASKED;
    if (lifetime_max_ms != 0 && p->connector->now_ms(p->arg) - c->opened_ms >= lifetime_max_ms)
        return WEIR_EC_CLOSED_LIFETIME;
    return 0;
}

/* The newest parked connection to e that is still good; bad ones above it are closed. */
static struct weir_pool_conn *take_parked(struct weir_pool *p, struct weir_endpoint *e)
{
    struct weir_pool_item *i;
    while ((i = weir_pool_newest(&e->local[p->worker].idle)) != NULL) {
        struct weir_pool_conn *c = conn_of(i);
        enum weir_endpoint_counter reason = p->connector->disturbed(c) ? WEIR_EC_CLOSED_IDLE_PEER : spent(p, c);
        if (reason == 0) {
            unpark(p, c);
            return c;
        }
        weir_pool_discard(p, c, reason);
    }
    return NULL;
}

/* -- slots -- */

static bool take_slot(struct weir_provider *pr)
{
    uint32_t total = atomic_load(&pr->total);
    do {
        if (total >= atomic_load(&pr->total_max))
            return false;
    } while (!atomic_compare_exchange_weak(&pr->total, &total, total + 1));
    return true;
}

/* The slot is in hand, and spent on success only. */
static bool dial(struct weir_pool *p, const struct weir_pool_waiter *w, struct weir_err *err)
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
    c->parked = false;
    local_of(p, w->provider)->dials++;
    atomic_fetch_add_explicit(&w->provider->opening, 1, memory_order_relaxed);
    show_waiting(p, w->provider);
    return true;
}

static void use_slot(struct weir_pool *p, struct weir_provider *pr);

static void slot_arrived(struct weir_message *m, void *receiver)
{
    (void)receiver;
    struct slot *s = (struct slot *)m;
    struct weir_pool *p = s->to;
    struct weir_provider *pr = s->provider;
    free(s);
    atomic_fetch_sub(&local_of(p, pr)->slots_coming, 1);
    use_slot(p, pr);
    weir_provider_unref(pr);
}

static bool send_slot(struct weir_pool *p, struct weir_provider *pr, unsigned worker)
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

/* A slot is in hand on this worker: it goes to the request that has waited longest without a dial, else back. */
static void use_slot(struct weir_pool *p, struct weir_provider *pr)
{
    for (;;) {
        int to = worker_waiting(p, pr, 0, true);
        if (to < 0 || atomic_load(&pr->total) > atomic_load(&pr->total_max)) {
            atomic_fetch_sub(&pr->total, 1);
            /* Somebody may have begun to wait between the look and the return. */
            if (atomic_load(&pr->queued) == 0 || !take_slot(pr))
                return;
            continue;
        }
        if ((unsigned)to != p->worker && send_slot(p, pr, (unsigned)to))
            return;
        struct weir_provider_local *l = local_of(p, pr);
        struct weir_pool_place *place = weir_pool_nth(&l->shelf, l->dials);
        struct weir_err err;
        if (place == NULL) {
            atomic_fetch_sub(&pr->total, 1);
            return;
        }
        if (dial(p, waiter_of(place), &err))
            return;
        fail(p, waiter_of(place), &err);
    }
}

/* -- connections in hand -- */

static void conn_arrived(struct weir_message *m, void *receiver);

static void send_conn(struct weir_pool *p, struct weir_pool_conn *c, unsigned worker)
{
    struct weir_pool *to = p->peers[worker];
    p->connector->detach(p->arg, c);
    c->message.handle = conn_arrived;
    c->pool = to;
    atomic_fetch_add(&c->endpoint->provider->local[worker].conns_coming, 1);
    weir_mailbox_post(to->mailbox, &c->message);
}

static void drop(struct weir_pool *p, struct weir_pool_conn *c, enum weir_endpoint_counter reason)
{
    struct weir_provider *pr = end_conn(p, c, reason);
    use_slot(p, pr);
    weir_provider_unref(pr);
}

/* A usable connection is in hand on this worker: it goes to the request that has waited longest, else it is parked. */
static void offer(struct weir_pool *p, struct weir_pool_conn *c)
{
    struct weir_provider *pr = c->endpoint->provider;
    struct weir_provider_local *l = local_of(p, pr);
    for (;;) {
        int to = atomic_load(&pr->waiting) > 0 ? worker_waiting(p, pr, c->offered, false) : -1;
        if (to >= 0 && (unsigned)to != p->worker) {
            send_conn(p, c, (unsigned)to);
            return;
        }
        if (to >= 0) {
            struct weir_pool_place *place = weir_pool_first(&l->shelf, c->endpoint->slot, c->leases > 0);
            if (place != NULL) {
                grant(p, waiter_of(place), c);
                return;
            }
            c->offered |= UINT64_C(1) << p->worker;
            if (weir_pool_uncovered(&l->shelf, l->dials, DIAL_CAPACITY) > 0) {
                drop(p, c, WEIR_EC_CLOSED_SURPLUS); /* who waits here cannot use it, but can use its slot */
                return;
            }
            continue;
        }
        if (!park(p, c)) {
            drop(p, c, WEIR_EC_CLOSED_SURPLUS);
            return;
        }
        /* Somebody may have begun to wait between the look and the parking. */
        if (atomic_load(&pr->waiting) == 0 || worker_waiting(p, pr, c->offered, false) < 0)
            return;
        unpark(p, c);
    }
}

static void conn_arrived(struct weir_message *m, void *receiver)
{
    (void)receiver;
    struct weir_pool_conn *c = WEIR_CONTAINER(m, struct weir_pool_conn, message);
    struct weir_pool *p = c->pool;
    atomic_fetch_sub(&local_of(p, c->endpoint->provider)->conns_coming, 1);
    if (p->connector->attach(p->arg, c) != 0 || p->connector->disturbed(c)) {
        drop(p, c, WEIR_EC_CLOSED_IDLE_PEER);
        return;
    }
    count(p, c->endpoint, WEIR_EC_HANDED_OVER);
    offer(p, c);
}

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
    struct weir_provider *pr = end_conn(p, victim, WEIR_EC_EVICTIONS);
    if (worker == p->worker || !send_slot(p, pr, worker))
        use_slot(p, pr);
    weir_provider_unref(pr);
}

static void asked(struct weir_message *m, void *receiver)
{
    (void)receiver;
    struct ask *a = (struct ask *)m;
    struct weir_pool *p = a->to;
    struct weir_pool_shelf *shelf = &local_of(p, a->endpoint->provider)->shelf;
    struct weir_pool_item *oldest = a->evict ? weir_pool_oldest(shelf) : NULL;
    struct weir_pool_conn *c = a->evict ? NULL : take_parked(p, a->endpoint);
    if (oldest == NULL && c == NULL) {
        a->message.handle = ask_answered;
        weir_mailbox_post(a->from->mailbox, &a->message);
        return;
    }
    if (c != NULL) {
        c->offered = 0;
        send_conn(p, c, a->from->worker);
    } else {
        evict_for(p, conn_of(oldest), a->from->worker);
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

static int idle_elsewhere(const struct weir_pool *p, const struct weir_pool_waiter *w)
{
    for (unsigned i = 0; i < p->worker_count; i++)
        if (i != p->worker && (w->asked >> i & 1) == 0 && atomic_load(&w->wanted->local[i].idle_shown) > 0)
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
        c = take_parked(p, w->wanted);
        if (c != NULL) {
            c->offered = 0;
            offer(p, c);
        }
        return c != NULL;
    case WEIR_POOL_FETCH:
        w->asked |= UINT64_C(1) << s->idle_elsewhere;
        return ask(p, w, (unsigned)s->idle_elsewhere, false);
    case WEIR_POOL_OPEN:
        if (!take_slot(pr))
            return false;
        if (!dial(p, w, &err)) {
            fail(p, w, &err);
            use_slot(p, pr);
        }
        return true;
    case WEIR_POOL_EVICT:
        evict_for(p, conn_of(weir_pool_oldest(&local_of(p, pr)->shelf)), p->worker);
        return true;
    case WEIR_POOL_EVICT_AWAY:
        w->asked_evict |= UINT64_C(1) << s->spare_elsewhere;
        return ask(p, w, (unsigned)s->spare_elsewhere, true);
    case WEIR_POOL_QUEUE:
    case WEIR_POOL_REFUSE:
        return true;
    }
    return true;
}

void weir_pool_settle(struct weir_pool *p, struct weir_provider *pr)
{
    struct weir_provider_local *l = local_of(p, pr);
    uint32_t n = l->dials;
    struct weir_pool_place *place;
    /* Each step covers one more waiter by a dial, ends its wait, or leaves it to others and goes on to the next. */
    while ((place = weir_pool_nth(&l->shelf, n)) != NULL) {
        struct weir_pool_waiter *w = waiter_of(place);
        struct weir_pool_sight sight;
        uint32_t waiting = l->shelf.waiting;
        look(p, w, &sight);
        enum weir_pool_step step = weir_pool_decide(&sight);
        bool done = carry_out(p, w, step, &sight);
        if (step == WEIR_POOL_QUEUE || step == WEIR_POOL_REFUSE)
            return;
        if (done && l->shelf.waiting == waiting)
            n++;
    }
}

/* -- for the request -- */

enum weir_pool_result weir_pool_acquire(struct weir_pool *p, struct weir_pool_waiter *w, struct weir_pool_conn **c,
                                        struct weir_err *err)
{
    struct weir_pool_sight sight;
    w->waiting = false;
    w->asked = w->asked_evict = 0;
    w->acquire_err = NULL;
    weir_list_init(&w->place.link);
    for (;;) {
        if (!w->place.fresh && (*c = take_parked(p, w->wanted)) != NULL) {
            (*c)->leases++;
            return WEIR_POOL_GRANTED;
        }
        look(p, w, &sight);
        enum weir_pool_step step = weir_pool_decide(&sight);
        if (step == WEIR_POOL_REFUSE)
            return WEIR_POOL_REFUSED;
        if (step == WEIR_POOL_OPEN) {
            if (!take_slot(w->provider))
                continue;
            w->place.since_us = p->connector->now_us(p->arg);
            begin_wait(p, w);
            if (dial(p, w, err))
                return WEIR_POOL_WAITING;
            end_wait(p, w);
            use_slot(p, w->provider);
            return WEIR_POOL_FAILED;
        }
        w->place.since_us = p->connector->now_us(p->arg);
        begin_wait(p, w);
        if (step == WEIR_POOL_QUEUE) {
            /* A connection may have been released before anybody could see this request wait. */
            look(p, w, &sight);
            if (weir_pool_decide(&sight) == WEIR_POOL_QUEUE || weir_pool_decide(&sight) == WEIR_POOL_REFUSE)
                return WEIR_POOL_WAITING;
        } else {
            w->acquire_err = err;
            bool done = carry_out(p, w, step, &sight);
            w->acquire_err = NULL;
            if (!w->waiting)
                return WEIR_POOL_FAILED;
            if (done)
                return WEIR_POOL_WAITING;
        }
        end_wait(p, w);
    }
}

void weir_pool_cancel(struct weir_pool *p, struct weir_pool_waiter *w)
{
    if (w->waiting)
        end_wait(p, w);
}

bool weir_pool_covered(const struct weir_pool *p, const struct weir_pool_waiter *w)
{
    struct weir_provider_local *l = local_of(p, w->provider);
    uint32_t n = 0;
    WEIR_LIST_EACH(at, &l->shelf.waiters)
    {
        if (at == &w->place.link)
            return n < l->dials;
        n++;
    }
    return false;
}

void weir_pool_release(struct weir_pool *p, struct weir_pool_conn *c)
{
    assert(c->pool == p && !c->parked);
    enum weir_endpoint_counter reason = spent(p, c);
    c->offered = 0;
    if (reason != 0)
        drop(p, c, reason);
    else
        offer(p, c);
}

void weir_pool_discard(struct weir_pool *p, struct weir_pool_conn *c, enum weir_endpoint_counter reason)
{
    assert(c->pool == p);
    drop(p, c, reason);
}

static void end_dial(struct weir_pool *p, struct weir_provider *pr)
{
    local_of(p, pr)->dials--;
    atomic_fetch_sub_explicit(&pr->opening, 1, memory_order_relaxed);
    show_waiting(p, pr);
}

void weir_pool_opened(struct weir_pool *p, struct weir_pool_conn *c)
{
    struct weir_provider *pr = c->endpoint->provider;
    c->opened_ms = p->connector->now_ms(p->arg);
    count(p, c->endpoint, WEIR_EC_CREATED);
    end_dial(p, pr);
    offer(p, c);
}

void weir_pool_open_failed(struct weir_pool *p, struct weir_pool_conn *c, const struct weir_err *err)
{
    struct weir_endpoint *e = c->endpoint;
    struct weir_provider *pr = e->provider;
    struct weir_provider_local *l = local_of(p, pr);
    struct weir_pool_place *place = NULL;
    WEIR_LIST_EACH(at, &l->shelf.waiters)
    {
        struct weir_pool_waiter *w = waiter_of(WEIR_CONTAINER(at, struct weir_pool_place, link));
        if (w->wanted == e) {
            place = &w->place;
            break;
        }
    }
    end_dial(p, pr);
    weir_provider_ref(pr);
    if (place != NULL)
        fail(p, waiter_of(place), err);
    drop(p, c, WEIR_EC_CLOSED_FAILED);
    weir_provider_unref(pr);
}

unsigned weir_pool_close_parked(struct weir_pool *p, struct weir_provider *pr, bool all)
{
    unsigned closed = 0;
    WEIR_LIST_EACH_SAFE(at, &local_of(p, pr)->shelf.by_age)
    {
        struct weir_pool_conn *c = conn_of(WEIR_CONTAINER(at, struct weir_pool_item, in_age));
        if (!all && !atomic_load_explicit(&c->endpoint->retired, memory_order_relaxed))
            continue;
        drop(p, c, WEIR_EC_CLOSED_CONFIG);
        closed++;
    }
    return closed;
}
