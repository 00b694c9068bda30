/* Random events on three workers whose messages arrive late: what must hold after each event, and that everything comes
 * to rest. WEIR_SEED=N runs one seed alone; WEIR_ROUNDS=N that many. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check_main.h"
#include "core/rng.h"
#include "helper_pool.h"

#define WORKERS    3u
#define WISHES     24u
#define ROUNDS     400u
#define STEPS      400u
#define TOTAL_MOST 6u

enum state { FREE, ASKING, WAITING, LEASED };

struct hope {
    struct wish wish; /* first */
    enum state state;
    struct weir_endpoint *view[ENDS]; /* as a request's view holds them */
    unsigned worker;
    uint64_t asked_at; /* counts questions */
};

static struct hope hopes[WISHES];
static struct weir_rng rng;
static uint64_t questions, seed;

static unsigned upto(unsigned n)
{
    return (unsigned)(weir_rng_next(&rng) % n);
}

static void hold(bool true_it_is, const char *what)
{
    if (!true_it_is)
        ck_abort_msg("WEIR_SEED=%llu: %s", (unsigned long long)seed, what);
}

/* The request is over, and its view with it: whatever is retired may go. */
static void over(struct hope *h)
{
    h->state = FREE;
    for (unsigned i = 0; i < ENDS; i++)
        weir_endpoint_unref(h->view[i]);
}

/* -- what must hold -- */

static bool accepts(const struct hope *h, const struct weir_pool_conn *c)
{
    bool proven = c->shared && (WEIR_CONTAINER(c, const struct thing, pooled)->carried > 0 ||
                                WEIR_CONTAINER(c, const struct thing, pooled)->lively);
    return (h->wish.waiter.place.endpoints >> c->endpoint->slot & 1) != 0 &&
           !(h->wish.waiter.place.fresh && c->leases > 1 && !proven);
}

/* Whether o should have had the connection rather than h. One that is parked goes to who asks for its endpoint and
 * takes used ones, although another request, for which a dial is under way, could use it too. */
static bool comes_first(const struct hope *o, const struct hope *h, const struct weir_pool_conn *c)
{
    return o != h && o->state == WAITING && o->worker == h->worker && o->asked_at < h->asked_at && accepts(o, c) &&
           (h->state == WAITING || (o->wish.waiter.wanted == c->endpoint && !o->wish.waiter.place.fresh));
}

static void leased(struct hope *h, struct weir_pool_conn *c)
{
    for (unsigned i = 0; i < WISHES; i++) {
        hold(hopes[i].state != LEASED || hopes[i].wish.got != c || c->shared, "one connection is leased twice");
        hold(!comes_first(&hopes[i], h, c), "a request was served before an older one of its worker");
    }
    hold(accepts(h, c), "a request got a connection that it does not accept");
    hold(c->pool == pools[h->worker], "a connection was leased by a worker that does not have it");
    h->wish.got = c;
    h->state = LEASED;
    thing_of(c)->carried++;
    hold(!c->shared || thing_of(c)->carried <= thing_of(c)->carried_max, "one carries more than it takes");
}

static void granted(struct weir_pool_waiter *w, struct weir_pool_conn *c)
{
    struct hope *h = WEIR_CONTAINER(w, struct hope, wish.waiter);
    hold(h->state == WAITING, "granted without waiting");
    leased(h, c);
}

static void failed(struct weir_pool_waiter *w, const struct weir_err *err)
{
    struct hope *h = WEIR_CONTAINER(w, struct hope, wish.waiter);
    (void)err;
    hold(h->state == WAITING, "failed without waiting");
    over(h);
}

/* Of those that share a connection one counts. */
static bool is_first_on(unsigned i)
{
    for (unsigned k = 0; k < i; k++)
        if (hopes[k].state == LEASED && hopes[k].wish.got == hopes[i].wish.got)
            return false;
    return true;
}

static void check_ledger(void)
{
    unsigned waiting = 0, leases = 0;
    for (unsigned i = 0; i < WISHES; i++) {
        waiting += hopes[i].state == WAITING;
        leases += hopes[i].state == LEASED && is_first_on(i);
    }
    hold(provider->waiting == waiting, "the ledger miscounts who waits");
    hold((unsigned)alive <= provider->total, "there are connections without a slot");
    hold(leases + provider->idle + provider->opening <= (unsigned)alive, "connections are counted twice");
    hold(provider->queued <= provider->waiting, "more are queued than wait");
    unsigned opening = 0;
    for (unsigned i = 0; i < WORKERS; i++)
        opening += places[i].opening_count;
    hold(provider->opening == opening, "dials are miscounted");
}

/* -- events -- */

static struct hope *any(enum state s)
{
    unsigned from = upto(WISHES);
    for (unsigned i = 0; i < WISHES; i++)
        if (hopes[(from + i) % WISHES].state == s)
            return &hopes[(from + i) % WISHES];
    return NULL;
}

static void event_ask(void)
{
    struct hope *h = any(FREE);
    struct weir_err err;
    struct weir_pool_conn *c = NULL;
    if (h == NULL)
        return;
    wish_init(&h->wish, upto(ENDS), upto(6) == 0);
    h->wish.waiter.place.endpoints = 0;
    for (unsigned i = 0; i < ENDS; i++) {
        h->view[i] = ends[i];
        weir_endpoint_ref(ends[i]);
        h->wish.waiter.place.endpoints |= UINT64_C(1) << ends[i]->slot;
    }
    h->wish.waiter.granted = granted;
    h->wish.waiter.failed = failed;
    h->worker = upto(WORKERS);
    h->asked_at = questions++;
    h->state = ASKING;
    uint64_t now_us = 0; /* one clock for all, as in a node */
    for (unsigned i = 0; i < WORKERS; i++)
        now_us = places[i].now_us > now_us ? places[i].now_us : now_us;
    places[h->worker].now_us = now_us;
    unsigned most = provider->total_max > (unsigned)alive ? provider->total_max : (unsigned)alive;
    switch (weir_pool_acquire(pools[h->worker], &h->wish.waiter, &c, &err)) {
    case WEIR_POOL_GRANTED:
        leased(h, c);
        break;
    case WEIR_POOL_WAITING:
        h->state = WAITING;
        break;
    case WEIR_POOL_REFUSED:
        hold(provider->queued >= provider->queued_max, "refused though the queue is not full");
        over(h);
        break;
    case WEIR_POOL_FAILED:
        hold(places[h->worker].refuse_open, "failed though a connection can be opened");
        over(h);
        break;
    }
    hold((unsigned)alive <= most, "a question opened more than may be");
}

static void event_cancel(void)
{
    struct hope *h = any(WAITING);
    if (h == NULL)
        return;
    weir_pool_cancel(pools[h->worker], &h->wish.waiter);
    over(h);
}

static void event_give_back(bool good)
{
    struct hope *h = any(LEASED);
    if (h == NULL)
        return;
    struct weir_pool_conn *c = h->wish.got;
    struct weir_pool *pool = pools[h->worker];
    h->state = ASKING;
    thing_of(c)->carried--;
    if (!good) {
        for (unsigned i = 0; i < WISHES; i++)
            if (hopes[i].state == LEASED && hopes[i].wish.got == c)
                over(&hopes[i]); /* a connection's end is that of all it carries */
        weir_pool_discard(pool, c, WEIR_EC_CLOSED_FAILED);
    } else if (c->shared) {
        thing_of(c)->lively = upto(2) == 0;
        weir_pool_slots(pool, c);
    } else {
        weir_pool_release(pool, c);
    }
    over(h);
}

/* The peer of a shared one says how many it takes; 0: none any more. */
static void event_limit_of_one_changes(void)
{
    struct hope *h = any(LEASED);
    if (h == NULL || !h->wish.got->shared)
        return;
    thing_of(h->wish.got)->carried_max = upto(CARRIED_MOST + 2);
    weir_pool_slots(pools[h->worker], h->wish.got);
}

static void event_dial_ends(bool good)
{
    unsigned w = upto(WORKERS);
    if (places[w].opening_count == 0)
        return;
    if (good)
        opens(w);
    else
        fails(w);
}

static void event_parked_one_breaks(void)
{
    unsigned w = upto(WORKERS);
    struct weir_pool_item *i = weir_pool_oldest(&provider->local[w].shelf);
    if (i == NULL)
        return;
    struct weir_pool_conn *c = WEIR_CONTAINER(i, struct weir_pool_conn, item);
    if (upto(2) == 0)
        thing_of(c)->disturbed = true; /* seen at checkout */
    else
        weir_pool_discard(pools[w], c, WEIR_EC_CLOSED_IDLE_PEER);
}

static void settle_all(void)
{
    for (unsigned w = 0; w < WORKERS; w++) {
        weir_pool_close_parked(pools[w], provider, false);
        weir_pool_settle(pools[w], provider);
    }
}

static void event_limits_change(void)
{
    provider->total_max = 1 + upto(TOTAL_MOST);
    provider->idle_max = upto(TOTAL_MOST);
    provider->queued_max = 1 + upto(WISHES);
    settle_all();
}

/* A reload takes an endpoint out and brings one in; requests go on with what their view has. */
static void event_endpoint_changes(void)
{
    unsigned i = upto(ENDS);
    struct weir_endpoint *old = ends[i];
    ends[i] = weir_endpoint_new(provider, upto(2) == 0 ? "http://c:1" : "h2://c:1");
    hold(ends[i] != NULL, "no slot is left");
    old->retired = true;
    settle_all();
    weir_endpoint_unref(old);
}

static void event(void)
{
    unsigned dice = upto(100);
    if (dice < 26)
        event_ask();
    else if (dice < 60)
        deliver_one(upto(WORKERS));
    else if (dice < 75)
        event_give_back(upto(4) != 0);
    else if (dice < 88)
        event_dial_ends(upto(5) != 0);
    else if (dice < 92)
        event_cancel();
    else if (dice < 96)
        event_parked_one_breaks();
    else if (dice < 97)
        upto(2) == 0 ? event_limits_change() : event_endpoint_changes();
    else if (dice < 98)
        event_limit_of_one_changes();
    else if (dice < 99)
        places[upto(WORKERS)].refuse_open ^= true;
    else
        places[upto(WORKERS)].refuse_attach ^= true;
}

/* -- rest -- */

static void nothing_under_way(void)
{
    bool more = true;
    while (more) {
        more = false;
        deliver();
        for (unsigned w = 0; w < WORKERS; w++) {
            more = more || places[w].opening_count > 0;
            while (places[w].opening_count > 0)
                opens(w);
        }
    }
    check_ledger();
}

static bool has_room(struct weir_pool_conn *c)
{
    return c->shared && !c->draining && thing_of(c)->carried < thing_of(c)->carried_max && !c->endpoint->retired &&
           provider->total <= provider->total_max && (provider->idle_max > 0 || c->leases == 0);
}

/* With no message and no dial under way, nobody may wait for what is there. */
static void check_nobody_is_forgotten(void)
{
    /* What a shared one refused while too many were open it gives out at its next event. */
    for (unsigned w = 0; w < WORKERS; w++)
        weir_pool_settle(pools[w], provider);
    nothing_under_way();
    if (provider->waiting == 0)
        return;
    hold(provider->total >= provider->total_max, "a request waits though a connection may be opened");
    hold(provider->idle == 0, "a request waits though a connection is idle");
    for (unsigned i = 0; i < WISHES; i++)
        for (unsigned k = 0; k < WISHES; k++)
            hold(hopes[i].state != WAITING || hopes[k].state != LEASED || hopes[i].worker != hopes[k].worker ||
                     !has_room(hopes[k].wish.got) || hopes[i].wish.waiter.wanted != hopes[k].wish.got->endpoint,
                 "a request waits though a shared connection has room");
}

static void come_to_rest(void)
{
    for (unsigned w = 0; w < WORKERS; w++)
        places[w].refuse_open = places[w].refuse_attach = false;
    settle_all();
    for (unsigned turn = 0; turn < 10 * WISHES; turn++) {
        nothing_under_way();
        check_nobody_is_forgotten();
        event_give_back(upto(3) != 0);
    }
    nothing_under_way();
    hold(any(WAITING) == NULL, "a request waits for ever");
    hold(any(LEASED) == NULL, "a connection is leased for ever");
    hold(provider->total == provider->idle && provider->total == (unsigned)alive, "slots have leaked");
    hold(provider->idle <= provider->total_max, "more is parked than may be open");
    for (unsigned w = 0; w < WORKERS; w++)
        WEIR_LIST_EACH(at, &provider->local[w].shelf.by_age)
        {
            struct weir_pool_conn *c = WEIR_CONTAINER(at, struct weir_pool_conn, item.in_age);
            hold(!c->endpoint->retired, "one is parked whose endpoint is gone");
        }
}

static void round_of(uint64_t number)
{
    seed = number;
    rng = (struct weir_rng){number};
    memset(hopes, 0, sizeof hopes);
    world_open(WORKERS);
    if (seed % 2 == 0)
        replace_end(1, "h2://b:1");
    if (seed % 4 == 0)
        replace_end(0, "h2://a:1");
    provider->total_max = 1 + upto(TOTAL_MOST);
    provider->idle_max = upto(TOTAL_MOST);
    provider->queued_max = 1 + upto(WISHES);
    settle_all();
    for (unsigned step = 0; step < STEPS; step++) {
        unsigned before = (unsigned)alive;
        event();
        hold((unsigned)alive <= before || (unsigned)alive <= provider->total_max, "more is open than may be");
        check_ledger();
        if (upto(50) == 0) {
            for (unsigned w = 0; w < WORKERS; w++)
                places[w].refuse_open = places[w].refuse_attach = false;
            nothing_under_way();
            check_nobody_is_forgotten();
        }
    }
    come_to_rest();
    world_close();
}

START_TEST(test_whatever_happens)
{
    const char *one = getenv("WEIR_SEED"), *rounds = getenv("WEIR_ROUNDS");
    uint64_t count = rounds != NULL ? strtoull(rounds, NULL, 10) : ROUNDS;
    if (one != NULL)
        round_of(strtoull(one, NULL, 10));
    for (uint64_t i = 1; one == NULL && i <= count; i++)
        round_of(i);
}
END_TEST

CHECK_MAIN("node pool property", NULL, NULL, test_whatever_happens)
