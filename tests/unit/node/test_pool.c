/* The pool pooling something that is no HTTP at all: "things" that open when the test says so. First workers in one
 * thread, with the order of messages in the test's hand; then two real threads that fight for one connection. */
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "check_main.h"
#include "net/reactor.h"
#include "node/pool.h"

#define WORKERS 2u

struct thing {
    struct weir_pool_conn pooled;
    bool disturbed;
};

struct place {
    struct weir_reactor reactor; /* for its mailbox; its loop runs in the threaded test only */
    struct weir_pool pool;
    struct thing *opening[64];
    unsigned opening_count;
    uint64_t now_us;
    bool refuse_open, refuse_attach;
};

struct wish {
    struct weir_pool_waiter waiter;
    struct weir_pool_conn *got;
    int failed;
};

static struct place places[WORKERS];
static struct weir_pool *pools[WORKERS];
static struct weir_provider *provider;
static struct weir_endpoint *ends[2];
static _Atomic int alive, alive_max;

static struct thing *thing_of(struct weir_pool_conn *c)
{
    return WEIR_CONTAINER(c, struct thing, pooled);
}

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
    int n = ++alive, most = alive_max;
    while (n > most && !atomic_compare_exchange_weak(&alive_max, &most, n))
        continue;
    p->opening[p->opening_count++] = t;
    return &t->pooled;
}

static void close_thing(void *arg, struct weir_pool_conn *c)
{
    struct place *p = arg;
    for (unsigned i = 0; i < p->opening_count; i++)
        if (p->opening[i] == thing_of(c))
            p->opening[i] = p->opening[--p->opening_count];
    alive--;
    free(thing_of(c));
}

static bool thing_disturbed(const struct weir_pool_conn *c)
{
    return WEIR_CONTAINER(c, const struct thing, pooled)->disturbed;
}

static void thing_parked(void *arg, struct weir_pool_conn *c, uint32_t expiry_ms)
{
    (void)arg;
    (void)c;
    (void)expiry_ms;
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
    .parked = thing_parked,
    .unparked = thing_nothing,
    .detach = thing_nothing,
    .attach = thing_attach,
    .now_ms = place_now_ms,
    .now_us = place_now_us,
};

static void setup(void)
{
    struct weir_err err;
    alive = alive_max = 0;
    provider = weir_provider_new("p", WORKERS);
    provider->total_max = 2;
    provider->idle_max = 10;
    provider->queued_max = 10;
    ends[0] = weir_endpoint_new(provider, "http://a:1");
    ends[1] = weir_endpoint_new(provider, "http://b:1");
    for (unsigned i = 0; i < WORKERS; i++) {
        memset(&places[i], 0, sizeof places[i]);
        ck_assert_int_eq(weir_reactor_init(&places[i].reactor, &err), 0);
        places[i].pool = (struct weir_pool){.worker = i,
                                            .worker_count = WORKERS,
                                            .peers = pools,
                                            .mailbox = &places[i].reactor.mailbox,
                                            .connector = &connector,
                                            .arg = &places[i]};
        pools[i] = &places[i].pool;
    }
}

static void deliver(void)
{
    for (int round = 0; round < 10; round++)
        for (unsigned i = 0; i < WORKERS; i++)
            weir_mailbox_drain(&places[i].reactor.mailbox);
}

static void teardown(void)
{
    deliver();
    for (unsigned i = 0; i < WORKERS; i++)
        weir_pool_close_parked(pools[i], provider, true);
    ck_assert_int_eq(alive, 0);
    ck_assert_uint_eq(provider->total, 0);
    ck_assert_uint_eq(provider->idle, 0);
    ck_assert_uint_eq(provider->waiting, 0);
    ck_assert_uint_eq(provider->queued, 0);
    ck_assert_uint_eq(provider->opening, 0);
    for (unsigned i = 0; i < WORKERS; i++)
        weir_reactor_close(&places[i].reactor);
    weir_endpoint_unref(ends[0]);
    weir_endpoint_unref(ends[1]);
    weir_provider_unref(provider);
}

static void granted(struct weir_pool_waiter *w, struct weir_pool_conn *c)
{
    WEIR_CONTAINER(w, struct wish, waiter)->got = c;
}

static void failed(struct weir_pool_waiter *w, const struct weir_err *err)
{
    WEIR_CONTAINER(w, struct wish, waiter)->failed = err->code;
}

static enum weir_pool_result ask(unsigned worker, struct wish *w, unsigned endpoint, bool fresh)
{
    struct weir_err err;
    *w = (struct wish){.waiter = {.place = {.endpoints = 3, .fresh = fresh},
                                  .provider = provider,
                                  .wanted = ends[endpoint],
                                  .granted = granted,
                                  .failed = failed}};
    return weir_pool_acquire(pools[worker], &w->waiter, &w->got, &err);
}

static void opens(unsigned worker)
{
    struct place *p = &places[worker];
    ck_assert_uint_gt(p->opening_count, 0);
    struct thing *t = p->opening[0];
    memmove(p->opening, p->opening + 1, --p->opening_count * sizeof p->opening[0]);
    weir_pool_opened(&p->pool, &t->pooled);
}

static void fails(unsigned worker)
{
    struct weir_err err;
    weir_err_set(&err, WEIR_EREFUSED, "refused");
    weir_pool_open_failed(pools[worker], &places[worker].opening[0]->pooled, &err);
}

static struct weir_pool_conn *lease_new(unsigned worker, unsigned endpoint)
{
    struct wish w;
    ck_assert_int_eq(ask(worker, &w, endpoint, false), WEIR_POOL_WAITING);
    opens(worker);
    ck_assert_ptr_nonnull(w.got);
    return w.got;
}

START_TEST(test_a_released_one_is_used_again)
{
    struct wish w;
    struct weir_pool_conn *c = lease_new(0, 0);
    weir_pool_release(pools[0], c);
    ck_assert_uint_eq(provider->idle, 1);
    ck_assert_int_eq(ask(0, &w, 0, false), WEIR_POOL_GRANTED);
    ck_assert_ptr_eq(w.got, c);
    ck_assert_uint_eq(c->leases, 2);
    weir_pool_release(pools[0], c);
}
END_TEST

START_TEST(test_an_idle_one_goes_to_the_worker_that_needs_it)
{
    struct wish w;
    struct weir_pool_conn *c = lease_new(0, 0);
    weir_pool_release(pools[0], c);
    ck_assert_int_eq(ask(1, &w, 0, false), WEIR_POOL_WAITING);
    deliver();
    ck_assert_ptr_eq(w.got, c);
    ck_assert_ptr_eq(c->pool, pools[1]);
    ck_assert_uint_eq(provider->total, 1);
    weir_pool_release(pools[1], c);
}
END_TEST

START_TEST(test_one_that_cannot_live_on_the_other_worker_leaves_its_slot)
{
    struct wish w;
    weir_pool_release(pools[0], lease_new(0, 0));
    places[1].refuse_attach = true;
    ck_assert_int_eq(ask(1, &w, 0, false), WEIR_POOL_WAITING);
    deliver();
    ck_assert_ptr_null(w.got);
    opens(1); /* dialed in the slot of the one that was lost */
    ck_assert_ptr_nonnull(w.got);
    ck_assert_uint_eq(provider->total, 1);
    weir_pool_discard(pools[1], w.got, WEIR_EC_CLOSED_FAILED);
}
END_TEST

START_TEST(test_the_limit_holds_and_the_oldest_is_served_first)
{
    struct wish w[3];
    struct weir_pool_conn *a = lease_new(0, 0), *b = lease_new(1, 0);
    ck_assert_int_eq(ask(0, &w[0], 0, false), WEIR_POOL_WAITING);
    places[1].now_us = 100;
    ck_assert_int_eq(ask(1, &w[1], 0, false), WEIR_POOL_WAITING);
    ck_assert_uint_eq(provider->queued, 2);
    ck_assert_int_eq(alive_max, 2);
    weir_pool_release(pools[1], b); /* worker 0's has waited longer */
    deliver();
    ck_assert_ptr_eq(w[0].got, b);
    ck_assert_ptr_null(w[1].got);
    weir_pool_release(pools[0], a);
    deliver();
    ck_assert_ptr_eq(w[1].got, a);
    ck_assert_int_eq(alive_max, 2);
    weir_pool_release(pools[0], b);
    weir_pool_release(pools[1], a);
}
END_TEST

START_TEST(test_a_closed_one_leaves_its_slot_to_the_oldest)
{
    struct wish w;
    struct weir_pool_conn *a = lease_new(0, 0), *b = lease_new(0, 0);
    ck_assert_int_eq(ask(1, &w, 0, false), WEIR_POOL_WAITING);
    weir_pool_discard(pools[0], a, WEIR_EC_CLOSED_FAILED);
    deliver();
    opens(1);
    ck_assert_ptr_nonnull(w.got);
    ck_assert_int_eq(alive_max, 2);
    weir_pool_release(pools[1], w.got);
    weir_pool_release(pools[0], b);
}
END_TEST

START_TEST(test_full_evicts_the_oldest_idle_one_of_another_endpoint)
{
    struct wish w;
    struct weir_pool_conn *a = lease_new(0, 0), *b = lease_new(0, 0);
    weir_pool_release(pools[0], a);
    weir_pool_release(pools[0], b);
    ck_assert_int_eq(ask(0, &w, 1, false), WEIR_POOL_WAITING);
    ck_assert_int_eq(alive, 2);
    ck_assert_uint_eq(weir_cell_read(&ends[0]->local[0].counters.at[WEIR_EC_EVICTIONS]), 1);
    opens(0);
    ck_assert_ptr_eq(w.got->endpoint, ends[1]);
    weir_pool_release(pools[0], w.got);
}
END_TEST

START_TEST(test_full_evicts_on_another_worker_too)
{
    struct wish w;
    struct weir_pool_conn *a = lease_new(0, 0), *b = lease_new(0, 0);
    weir_pool_release(pools[0], a);
    weir_pool_release(pools[0], b);
    ck_assert_int_eq(ask(1, &w, 1, false), WEIR_POOL_WAITING);
    deliver();
    opens(1);
    ck_assert_ptr_eq(w.got->endpoint, ends[1]);
    ck_assert_int_eq(alive_max, 2);
    weir_pool_release(pools[1], w.got);
}
END_TEST

START_TEST(test_fresh_never_gets_a_used_one)
{
    struct wish w;
    struct weir_pool_conn *a = lease_new(0, 0), *b = lease_new(0, 0);
    ck_assert_int_eq(ask(0, &w, 0, true), WEIR_POOL_WAITING);
    weir_pool_release(pools[0], a); /* of no use to it, but its slot is */
    ck_assert_ptr_null(w.got);
    opens(0);
    ck_assert_ptr_nonnull(w.got);
    ck_assert_uint_eq(w.got->leases, 1);
    weir_pool_release(pools[0], w.got);
    weir_pool_release(pools[0], b);
}
END_TEST

START_TEST(test_a_waiter_is_not_bound_to_its_dial)
{
    struct wish w;
    struct weir_pool_conn *a = lease_new(0, 0);
    ck_assert_int_eq(ask(0, &w, 0, false), WEIR_POOL_WAITING);
    ck_assert(weir_pool_covered(pools[0], &w.waiter));
    weir_pool_release(pools[0], a);
    ck_assert_ptr_eq(w.got, a);
    opens(0); /* nobody waits for it any more: it is parked */
    ck_assert_uint_eq(provider->idle, 1);
    weir_pool_release(pools[0], a);
}
END_TEST

START_TEST(test_a_failed_dial_fails_one_waiter)
{
    struct wish w[2];
    ck_assert_int_eq(ask(0, &w[0], 0, false), WEIR_POOL_WAITING);
    ck_assert_int_eq(ask(0, &w[1], 0, false), WEIR_POOL_WAITING);
    fails(0);
    ck_assert_int_eq(w[0].failed, WEIR_EREFUSED);
    ck_assert_int_eq(w[1].failed, 0);
    opens(0);
    ck_assert_ptr_nonnull(w[1].got);
    weir_pool_release(pools[0], w[1].got);
}
END_TEST

START_TEST(test_a_dial_that_cannot_begin_fails_at_once_and_keeps_no_slot)
{
    struct wish w;
    places[0].refuse_open = true;
    ck_assert_int_eq(ask(0, &w, 0, false), WEIR_POOL_FAILED);
    ck_assert_uint_eq(provider->total, 0);
}
END_TEST

START_TEST(test_the_queue_is_bounded_and_can_be_left)
{
    struct wish w[2];
    provider->queued_max = 1;
    struct weir_pool_conn *a = lease_new(0, 0), *b = lease_new(0, 0);
    ck_assert_int_eq(ask(0, &w[0], 0, false), WEIR_POOL_WAITING);
    ck_assert_int_eq(ask(1, &w[1], 0, false), WEIR_POOL_REFUSED);
    weir_pool_cancel(pools[0], &w[0].waiter);
    ck_assert_int_eq(ask(1, &w[1], 0, false), WEIR_POOL_WAITING);
    weir_pool_cancel(pools[1], &w[1].waiter);
    weir_pool_release(pools[0], a);
    weir_pool_release(pools[0], b);
}
END_TEST

START_TEST(test_no_more_idle_than_may_be)
{
    provider->idle_max = 1;
    struct weir_pool_conn *a = lease_new(0, 0), *b = lease_new(1, 0);
    weir_pool_release(pools[0], a);
    weir_pool_release(pools[1], b);
    ck_assert_uint_eq(provider->idle, 1);
    ck_assert_int_eq(alive, 1);
}
END_TEST

START_TEST(test_a_disturbed_one_is_dropped_unseen)
{
    struct wish w;
    struct weir_pool_conn *a = lease_new(0, 0), *b = lease_new(0, 0);
    weir_pool_release(pools[0], a);
    weir_pool_release(pools[0], b);
    thing_of(b)->disturbed = true;
    ck_assert_int_eq(ask(0, &w, 0, false), WEIR_POOL_GRANTED);
    ck_assert_ptr_eq(w.got, a);
    ck_assert_int_eq(alive, 1);
    weir_pool_release(pools[0], a);
}
END_TEST

START_TEST(test_a_lowered_limit_closes_what_comes_back)
{
    struct weir_pool_conn *a = lease_new(0, 0), *b = lease_new(0, 0);
    provider->total_max = 1;
    weir_pool_release(pools[0], a);
    ck_assert_int_eq(alive, 1);
    weir_pool_release(pools[0], b);
    ck_assert_int_eq(alive, 1);
}
END_TEST

START_TEST(test_a_raised_limit_serves_who_waits)
{
    struct wish w;
    struct weir_pool_conn *a = lease_new(0, 0), *b = lease_new(0, 0);
    ck_assert_int_eq(ask(0, &w, 0, false), WEIR_POOL_WAITING);
    provider->total_max = 3;
    weir_pool_settle(pools[0], provider);
    opens(0);
    ck_assert_ptr_nonnull(w.got);
    weir_pool_release(pools[0], a);
    weir_pool_release(pools[0], b);
    weir_pool_release(pools[0], w.got);
}
END_TEST

START_TEST(test_a_retired_endpoint_keeps_nothing)
{
    struct weir_pool_conn *a = lease_new(0, 0), *b = lease_new(0, 1);
    weir_pool_release(pools[0], b);
    ends[0]->retired = true;
    weir_pool_release(pools[0], a);
    ck_assert_int_eq(alive, 1);
    ends[1]->retired = true;
    ck_assert_uint_eq(weir_pool_close_parked(pools[0], provider, false), 1);
    ck_assert_int_eq(alive, 0);
}
END_TEST

/* -- two threads, one connection -- */

#define TURNS 20000

struct player {
    struct place *place;
    struct wish wish;
    struct weir_message kick;
    int left;
};

static struct player players[WORKERS];
static _Atomic int finished;
static _Atomic int users;

static void play(struct player *p);

static void use(struct player *p, struct weir_pool_conn *c)
{
    ck_assert_int_eq(++users, 1); /* nobody else has it */
    users--;
    p->left--;
    weir_pool_release(&p->place->pool, c);
}

static void player_granted(struct weir_pool_waiter *w, struct weir_pool_conn *c)
{
    struct player *p = WEIR_CONTAINER(w, struct player, wish.waiter);
    use(p, c);
    weir_mailbox_post(&p->place->reactor.mailbox, &p->kick);
}

static void player_kick(struct weir_message *m, void *receiver)
{
    (void)receiver;
    play(WEIR_CONTAINER(m, struct player, kick));
}

static void play(struct player *p)
{
    struct weir_err err;
    struct place *here = p->place;
    while (p->left > 0) {
        p->wish = (struct wish){.waiter = {.place = {.endpoints = 1},
                                           .provider = provider,
                                           .wanted = ends[0],
                                           .granted = player_granted,
                                           .failed = failed}};
        enum weir_pool_result rv = weir_pool_acquire(&here->pool, &p->wish.waiter, &p->wish.got, &err);
        if (rv == WEIR_POOL_GRANTED) {
            use(p, p->wish.got);
            continue;
        }
        ck_assert_int_eq(rv, WEIR_POOL_WAITING);
        while (here->opening_count > 0)
            opens(here->pool.worker);
        return;
    }
    finished++;
}

static void keep_opening(uv_idle_t *idle)
{
    struct place *here = idle->data;
    while (here->opening_count > 0)
        opens(here->pool.worker);
    if (finished == WORKERS) {
        uv_idle_stop(idle);
        weir_reactor_stop(&here->reactor);
    }
    sched_yield();
}

static void *run_player(void *arg)
{
    struct player *p = arg;
    uv_idle_t idle;
    uv_idle_init(&p->place->reactor.loop, &idle);
    idle.data = p->place;
    uv_idle_start(&idle, keep_opening);
    weir_mailbox_post(&p->place->reactor.mailbox, &p->kick);
    weir_reactor_run(&p->place->reactor);
    uv_close((uv_handle_t *)&idle, NULL);
    uv_run(&p->place->reactor.loop, UV_RUN_NOWAIT);
    return NULL;
}

START_TEST(test_two_threads_share_one_connection_without_losing_a_wake_up)
{
    pthread_t threads[WORKERS];
    provider->total_max = 1;
    finished = users = 0;
    for (unsigned i = 0; i < WORKERS; i++) {
        players[i] = (struct player){.place = &places[i], .kick = {.handle = player_kick}, .left = TURNS};
        ck_assert_int_eq(pthread_create(&threads[i], NULL, run_player, &players[i]), 0);
    }
    for (unsigned i = 0; i < WORKERS; i++)
        pthread_join(threads[i], NULL);
    ck_assert_int_eq(alive_max, 1);
}
END_TEST

CHECK_MAIN("node pool", setup, teardown, test_a_released_one_is_used_again,
           test_an_idle_one_goes_to_the_worker_that_needs_it,
           test_one_that_cannot_live_on_the_other_worker_leaves_its_slot,
           test_the_limit_holds_and_the_oldest_is_served_first, test_a_closed_one_leaves_its_slot_to_the_oldest,
           test_full_evicts_the_oldest_idle_one_of_another_endpoint, test_full_evicts_on_another_worker_too,
           test_fresh_never_gets_a_used_one, test_a_waiter_is_not_bound_to_its_dial,
           test_a_failed_dial_fails_one_waiter, test_a_dial_that_cannot_begin_fails_at_once_and_keeps_no_slot,
           test_the_queue_is_bounded_and_can_be_left, test_no_more_idle_than_may_be,
           test_a_disturbed_one_is_dropped_unseen, test_a_lowered_limit_closes_what_comes_back,
           test_a_raised_limit_serves_who_waits, test_a_retired_endpoint_keeps_nothing,
           test_two_threads_share_one_connection_without_losing_a_wake_up)
