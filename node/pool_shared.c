/* Connections that several requests share: who has room, and who gets it. See pool.h. */
#include "node/pool_inner.h"

static void list(struct weir_pool *p, struct weir_pool_conn *c)
{
    /* In front: it has carried more than those behind it, which are to run empty first. */
    if (weir_list_empty(&c->in_open))
        weir_list_push_front(&c->endpoint->local[p->worker].open, &c->in_open);
}

/* The oldest of those who need a slot waits on another worker, there is none, and nothing here makes room yet. */
static bool keeps_others_waiting(const struct weir_pool *p, struct weir_provider *pr)
{
    if (atomic_load(&pr->queued) == 0 || weir_pool_local_of(p, pr)->draining != NULL ||
        atomic_load(&pr->total) < atomic_load(&pr->total_max))
        return false;
    int worker = weir_pool_worker_waiting(p, pr, 0, true);
    return worker >= 0 && (unsigned)worker != p->worker;
}

static void drain(struct weir_pool *p, struct weir_pool_conn *c)
{
    c->draining = true;
    weir_pool_local_of(p, c->endpoint->provider)->draining = c;
    weir_list_remove(&c->in_open);
}

static bool takes_more(const struct weir_pool *p, const struct weir_pool_conn *c)
{
    /* One that has just been opened serves whoever it was opened for, although its endpoint may have gone meanwhile. */
    bool good = c->leases == 0 || weir_pool_conn_spent(p, c) == 0;
    return good && !c->draining && p->connector->slots(c) > 0;
}

struct weir_pool_conn *weir_pool_shared_take(struct weir_pool *p, struct weir_endpoint *e)
{
    struct weir_list *open = &e->local[p->worker].open;
    if (weir_list_empty(open))
        return NULL;
    if (keeps_others_waiting(p, e->provider))
        drain(p, WEIR_CONTAINER(open->prev, struct weir_pool_conn, in_open));
    WEIR_LIST_EACH_SAFE(at, open)
    {
        struct weir_pool_conn *c = WEIR_CONTAINER(at, struct weir_pool_conn, in_open);
        if (takes_more(p, c))
            return c;
        if (p->connector->slots(c) == 0)
            weir_list_remove(&c->in_open); /* weir_pool_slots brings it back; a limit may be raised without a word */
    }
    return NULL;
}

void weir_pool_shared_leased(struct weir_pool *p, struct weir_pool_conn *c)
{
    if (c->shared && !c->draining)
        list(p, c);
}

/* A call of give_out that has not returned. */
struct weir_pool_giving {
    struct weir_pool_conn *conn; /* NULL: it was closed meanwhile */
    struct weir_pool_giving *outer;
};

void weir_pool_shared_end(struct weir_pool *p, struct weir_pool_conn *c)
{
    struct weir_provider_local *l = weir_pool_local_of(p, c->endpoint->provider);
    if (l->draining == c)
        l->draining = NULL;
    for (struct weir_pool_giving *g = l->giving; g != NULL; g = g->outer)
        if (g->conn == c)
            g->conn = NULL;
    if (c->shared)
        weir_list_remove(&c->in_open);
}

/* To those who wait here, while it takes more. False: it was closed meanwhile. */
static bool give_out(struct weir_pool *p, struct weir_pool_conn *c)
{
    struct weir_provider_local *l = weir_pool_local_of(p, c->endpoint->provider);
    struct weir_pool_giving here = {c, l->giving};
    l->giving = &here;
    while (here.conn != NULL && takes_more(p, c)) {
        bool used = c->leases > 0 && !p->connector->busy(c) && !p->connector->lively(p->arg, c);
        struct weir_pool_place *place = weir_pool_first(&l->shelf, c->endpoint->slot, used);
        if (place == NULL)
            break;
        weir_pool_wait_grant(p, weir_pool_waiter_of(place), c);
    }
    l->giving = here.outer;
    return here.conn != NULL;
}

/* It carries nothing. */
static void put_away(struct weir_pool *p, struct weir_pool_conn *c)
{
    struct weir_provider *pr = c->endpoint->provider;
    enum weir_endpoint_counter reason = weir_pool_conn_spent(p, c);
    weir_list_remove(&c->in_open);
    if (reason == 0 && (c->draining || p->connector->slots(c) == 0))
        reason = c->draining ? WEIR_EC_EVICTIONS : WEIR_EC_CLOSED_ASKED;
    if (reason == 0 && !weir_pool_conn_park(p, c))
        reason = WEIR_EC_CLOSED_SURPLUS;
    /* Who waits on another worker cannot use it, but can use its slot. */
    if (reason == 0 && weir_pool_worker_waiting(p, pr, 0, true) >= 0 &&
        atomic_load(&pr->total) >= atomic_load(&pr->total_max))
        reason = WEIR_EC_EVICTIONS;
    if (reason != 0)
        weir_pool_conn_drop(p, c, reason);
}

void weir_pool_shared_offer(struct weir_pool *p, struct weir_pool_conn *c)
{
    for (struct weir_pool_giving *g = weir_pool_local_of(p, c->endpoint->provider)->giving; g != NULL; g = g->outer)
        if (g->conn == c)
            return;
    if (keeps_others_waiting(p, c->endpoint->provider))
        drain(p, c);
    if (!give_out(p, c))
        return;
    if (!p->connector->busy(c))
        put_away(p, c);
    else if (!c->draining && p->connector->slots(c) > 0)
        list(p, c);
    else
        weir_list_remove(&c->in_open);
}

/* True: somebody got one, and others may be gone with it. */
static bool serve_one(struct weir_pool *p, struct weir_pool_shelf *shelf)
{
    uint32_t waiting = shelf->waiting;
    WEIR_LIST_EACH(at, &shelf->waiters)
    {
        struct weir_pool_waiter *w = weir_pool_waiter_of(WEIR_CONTAINER(at, struct weir_pool_place, link));
        struct weir_pool_conn *c = weir_pool_shared_take(p, w->wanted);
        if (c == NULL)
            continue;
        weir_pool_shared_offer(p, c);
        return shelf->waiting < waiting; /* whoever was served may have changed the list */
    }
    return false;
}

void weir_pool_shared_settle(struct weir_pool *p, struct weir_provider *pr)
{
    struct weir_pool_shelf *shelf = &weir_pool_local_of(p, pr)->shelf;
    while (serve_one(p, shelf))
        continue;
}

void weir_pool_slots(struct weir_pool *p, struct weir_pool_conn *c)
{
    if (c->opened_ms == 0 || !c->shared)
        return;
    if (!c->parked)
        weir_pool_shared_offer(p, c);
    else if (p->connector->slots(c) == 0)
        weir_pool_conn_drop(p, c, WEIR_EC_CLOSED_IDLE_PEER);
}
