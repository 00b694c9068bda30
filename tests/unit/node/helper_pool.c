#include "helper_pool.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

struct place places[PLACES_MAX];
struct weir_pool *pools[PLACES_MAX];
struct weir_provider *provider;
struct weir_endpoint *ends[ENDS];
_Atomic int alive, alive_max;

static unsigned worker_count;

static struct weir_pool_conn *open_thing(void *arg, struct weir_endpoint *e, const void *target, struct weir_err *why)
{
    struct place *p = arg;
    (void)e;
    (void)target;
    if (p->refuse_open) {
        weir_err_set(why, WEIR_ELIMIT, "no more things");
        return NULL;
    }
    struct thing *t = calloc(1, sizeof *t);
    t->carried_max = CARRIED_MOST;
    int n = ++alive, most = alive_max;
    while (n > most && !atomic_compare_exchange_weak(&alive_max, &most, n))
        continue;
    ck_assert_uint_lt(p->opening_count, OPENING_MAX);
    p->opening[p->opening_count++] = t;
    return &t->pooled;
}

static void no_longer_opening(struct place *p, const struct thing *t)
{
    for (unsigned i = 0; i < p->opening_count; i++) {
        if (p->opening[i] != t)
            continue;
        memmove(p->opening + i, p->opening + i + 1, (--p->opening_count - i) * sizeof p->opening[0]);
        return;
    }
}

static void close_thing(void *arg, struct weir_pool_conn *c)
{
    no_longer_opening(arg, thing_of(c));
    alive--;
    free(thing_of(c));
}

static bool thing_disturbed(const struct weir_pool_conn *c)
{
    return WEIR_CONTAINER(c, const struct thing, pooled)->disturbed;
}

static enum weir_endpoint_counter thing_spent(void *arg, const struct weir_pool_conn *c)
{
    (void)arg;
    return WEIR_CONTAINER(c, const struct thing, pooled)->spent;
}

static void thing_parked(void *arg, struct weir_pool_conn *c, uint32_t expiry_ms)
{
    (void)arg;
    thing_of(c)->park_ms_max = expiry_ms;
}

static void thing_nothing(void *arg, struct weir_pool_conn *c)
{
    (void)arg;
    (void)c;
}

static int thing_attach(void *arg, struct weir_pool_conn *c)
{
    (void)c;
    return ((struct place *)arg)->refuse_attach ? WEIR_EIO : 0;
}

static uint32_t thing_places(void *arg, const struct weir_endpoint *e, const void *target)
{
    (void)arg;
    (void)target;
    return strncmp(e->id, "h2", 2) == 0 ? CARRIED_MOST : 1;
}

static bool thing_shared(const struct weir_pool_conn *c)
{
    return thing_places(NULL, c->endpoint, NULL) > 1;
}

static uint32_t thing_slots(const struct weir_pool_conn *c)
{
    const struct thing *t = WEIR_CONTAINER(c, const struct thing, pooled);
    return t->carried_max > t->carried ? t->carried_max - t->carried : 0;
}

static bool thing_busy(const struct weir_pool_conn *c)
{
    return WEIR_CONTAINER(c, const struct thing, pooled)->carried > 0;
}

static bool thing_lively(void *arg, const struct weir_pool_conn *c)
{
    (void)arg;
    return WEIR_CONTAINER(c, const struct thing, pooled)->lively;
}

static uint64_t place_now_us(void *arg)
{
    return ++((struct place *)arg)->now_us;
}

static uint64_t place_now_ms(void *arg)
{
    return 1 + ((struct place *)arg)->now_us / 1000;
}

static const struct weir_connector connector = {
    .open = open_thing,
    .close = close_thing,
    .disturbed = thing_disturbed,
    .spent = thing_spent,
    .parked = thing_parked,
    .unparked = thing_nothing,
    .detach = thing_nothing,
    .attach = thing_attach,
    .now_ms = place_now_ms,
    .now_us = place_now_us,
    .places = thing_places,
    .shared = thing_shared,
    .slots = thing_slots,
    .busy = thing_busy,
    .lively = thing_lively,
};

void world_open(unsigned workers)
{
    struct weir_err err;
    alive = alive_max = 0;
    worker_count = workers;
    provider = weir_provider_new("p", workers);
    provider->total_max = 2;
    provider->idle_max = 10;
    provider->queued_max = 10;
    ends[0] = weir_endpoint_new(provider, "http://a:1");
    ends[1] = weir_endpoint_new(provider, "http://b:1");
    for (unsigned i = 0; i < workers; i++) {
        memset(&places[i], 0, sizeof places[i]);
        ck_assert_int_eq(weir_reactor_init(&places[i].reactor, &err), 0);
        places[i].pool = (struct weir_pool){.worker = i,
                                            .worker_count = workers,
                                            .peers = pools,
                                            .mailbox = &places[i].reactor.mailbox,
                                            .connector = &connector,
                                            .arg = &places[i]};
        pools[i] = &places[i].pool;
    }
}

void replace_end(unsigned i, const char *id)
{
    weir_endpoint_unref(ends[i]);
    ends[i] = weir_endpoint_new(provider, id);
}

/* Moves what has been posted to the end of the inbox, in the order in which it was. */
static void collect(struct place *p)
{
    struct weir_message *newest = atomic_exchange(&p->reactor.mailbox.top, NULL), *oldest = NULL;
    while (newest != NULL) {
        struct weir_message *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    struct weir_message **end = &p->inbox;
    while (*end != NULL)
        end = &(*end)->next;
    *end = oldest;
}

bool deliver_one(unsigned worker)
{
    struct place *p = &places[worker];
    collect(p);
    struct weir_message *m = p->inbox;
    if (m == NULL)
        return false;
    p->inbox = m->next;
    m->handle(m, &p->reactor);
    return true;
}

void deliver(void)
{
    bool more = true;
    while (more) {
        more = false;
        for (unsigned i = 0; i < worker_count; i++)
            more = deliver_one(i) || more;
    }
}

void world_close(void)
{
    deliver();
    for (unsigned i = 0; i < worker_count; i++)
        weir_pool_close_parked(pools[i], provider, true);
    ck_assert_int_eq(alive, 0);
    ck_assert_uint_eq(provider->total, 0);
    ck_assert_uint_eq(provider->idle, 0);
    ck_assert_uint_eq(provider->waiting, 0);
    ck_assert_uint_eq(provider->queued, 0);
    ck_assert_uint_eq(provider->opening, 0);
    for (unsigned i = 0; i < worker_count; i++) {
        ck_assert_uint_eq(provider->local[i].conns_coming, 0);
        ck_assert_uint_eq(provider->local[i].slots_coming, 0);
        weir_reactor_close(&places[i].reactor);
    }
    ck_assert_uint_eq(ends[0]->refs, 1);
    ck_assert_uint_eq(ends[1]->refs, 1);
    ck_assert_uint_eq(provider->refs, 3);
    weir_endpoint_unref(ends[0]);
    weir_endpoint_unref(ends[1]);
    weir_provider_unref(provider);
}

static void granted(struct weir_pool_waiter *w, struct weir_pool_conn *c)
{
    WEIR_CONTAINER(w, struct wish, waiter)->got = c;
    thing_of(c)->carried += c->shared;
}

static void failed(struct weir_pool_waiter *w, const struct weir_err *err)
{
    WEIR_CONTAINER(w, struct wish, waiter)->failed = err->code;
}

void wish_init(struct wish *w, unsigned endpoint, bool fresh)
{
    *w = (struct wish){.waiter = {.place = {.endpoints = 3, .fresh = fresh},
                                  .provider = provider,
                                  .wanted = ends[endpoint],
                                  .granted = granted,
                                  .failed = failed}};
}

enum weir_pool_result ask(unsigned worker, struct wish *w, unsigned endpoint, bool fresh)
{
    struct weir_err err;
    wish_init(w, endpoint, fresh);
    enum weir_pool_result result = weir_pool_acquire(pools[worker], &w->waiter, &w->got, &err);
    if (result == WEIR_POOL_GRANTED)
        thing_of(w->got)->carried += w->got->shared;
    return result;
}

void opens(unsigned worker)
{
    struct place *p = &places[worker];
    ck_assert_uint_gt(p->opening_count, 0);
    struct thing *t = p->opening[0];
    no_longer_opening(p, t);
    weir_pool_opened(&p->pool, &t->pooled);
}

void fails(unsigned worker)
{
    struct weir_err err;
    weir_err_set(&err, WEIR_EREFUSED, "refused");
    weir_pool_open_failed(pools[worker], &places[worker].opening[0]->pooled, &err);
}

struct weir_pool_conn *lease_new(unsigned worker, unsigned endpoint)
{
    struct wish w;
    ck_assert_int_eq(ask(worker, &w, endpoint, false), WEIR_POOL_WAITING);
    opens(worker);
    ck_assert_ptr_nonnull(w.got);
    return w.got;
}
