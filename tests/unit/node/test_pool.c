/* The pool's decisions step by step; then two real threads that fight for one connection. */
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "check_main.h"
#include "helper_pool.h"

#define WORKERS 2u

static void setup(void)
{
    world_open(WORKERS);
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

START_TEST(test_one_whose_endpoint_went_while_it_was_opened_is_not_kept)
{
    struct wish w;
    ck_assert_int_eq(ask(0, &w, 0, false), WEIR_POOL_WAITING);
    weir_pool_cancel(pools[0], &w.waiter);
    ends[0]->retired = true;
    opens(0);
    ck_assert_int_eq(alive, 0);
    ck_assert_uint_eq(weir_cell_read(&ends[0]->local[0].counters.at[WEIR_EC_CLOSED_CONFIG]), 1);
}
END_TEST

START_TEST(test_one_whose_endpoint_went_while_it_was_handed_over_is_not_kept)
{
    struct wish w;
    weir_pool_release(pools[0], lease_new(0, 0));
    ck_assert_int_eq(ask(1, &w, 0, false), WEIR_POOL_WAITING);
    ck_assert(deliver_one(0)); /* it is on its way */
    weir_pool_cancel(pools[1], &w.waiter);
    ends[0]->retired = true;
    for (unsigned i = 0; i < WORKERS; i++)
        weir_pool_close_parked(pools[i], provider, false);
    ck_assert_int_eq(alive, 1);
    deliver();
    ck_assert_int_eq(alive, 0);
}
END_TEST

START_TEST(test_lowered_limits_close_the_oldest_that_are_parked)
{
    struct weir_pool_conn *c[4];
    provider->total_max = 4;
    for (unsigned i = 0; i < 4; i++)
        c[i] = lease_new(0, 0);
    for (unsigned i = 0; i < 4; i++)
        weir_pool_release(pools[0], c[i]);
    provider->idle_max = 3;
    ck_assert_uint_eq(weir_pool_close_parked(pools[0], provider, false), 1);
    provider->total_max = 1;
    ck_assert_uint_eq(weir_pool_close_parked(pools[0], provider, false), 2);
    struct wish w;
    ck_assert_int_eq(ask(0, &w, 0, false), WEIR_POOL_GRANTED);
    ck_assert_ptr_eq(w.got, c[3]);
    weir_pool_release(pools[0], w.got);
}
END_TEST

START_TEST(test_a_slot_is_given_back_while_another_is_on_its_way)
{
    struct wish w;
    struct weir_pool_conn *a = lease_new(0, 0), *b = lease_new(0, 0);
    ck_assert_int_eq(ask(1, &w, 0, false), WEIR_POOL_WAITING);
    weir_pool_discard(pools[0], a, WEIR_EC_CLOSED_FAILED);
    weir_pool_discard(pools[0], b, WEIR_EC_CLOSED_FAILED); /* who waits is seen to: it returns */
    ck_assert_uint_eq(provider->total, 1);
    deliver();
    opens(1);
    ck_assert_ptr_nonnull(w.got);
    weir_pool_release(pools[1], w.got);
}
END_TEST

START_TEST(test_who_relied_on_a_dial_that_served_another_gets_one_too)
{
    struct wish w[2];
    provider->total_max = 1;
    struct weir_pool_conn *a = lease_new(1, 0);
    ck_assert_int_eq(ask(1, &w[1], 0, false), WEIR_POOL_WAITING);
    places[0].now_us = 100;
    provider->total_max = 3; /* nobody has told worker 1 yet */
    ck_assert_int_eq(ask(0, &w[0], 0, false), WEIR_POOL_WAITING);
    opens(0); /* worker 1's has waited longer */
    deliver();
    ck_assert_ptr_nonnull(w[1].got);
    opens(0);
    ck_assert_ptr_nonnull(w[0].got);
    weir_pool_release(pools[1], a);
    weir_pool_release(pools[1], w[1].got);
    weir_pool_release(pools[0], w[0].got);
}
END_TEST

START_TEST(test_who_lost_a_stale_one_is_never_refused_and_keeps_its_place)
{
    struct wish first, again;
    struct weir_err err;
    provider->queued_max = 1;
    provider->total_max = 1;
    struct weir_pool_conn *a = lease_new(0, 0);
    places[0].now_us = 100;
    ck_assert_int_eq(ask(0, &first, 0, false), WEIR_POOL_WAITING);
    wish_init(&again, 0, true);
    again.waiter.again = true;
    again.waiter.place.since_us = 50;
    ck_assert_int_eq(weir_pool_acquire(pools[0], &again.waiter, &again.got, &err), WEIR_POOL_WAITING);
    weir_pool_discard(pools[0], a, WEIR_EC_CLOSED_FAILED); /* the stale one */
    opens(0);
    ck_assert_ptr_nonnull(again.got);
    ck_assert_ptr_null(first.got);
    weir_pool_release(pools[0], again.got);
    ck_assert_ptr_nonnull(first.got);
    weir_pool_release(pools[0], first.got);
}
END_TEST

START_TEST(test_only_who_finds_all_in_use_is_counted_as_queued)
{
    struct wish w;
    const uint64_t *queued = &provider->local[1].counters.at[WEIR_PC_QUEUED];
    weir_pool_release(pools[0], lease_new(0, 0));
    ck_assert_int_eq(ask(1, &w, 0, false), WEIR_POOL_WAITING); /* to be handed over */
    deliver();
    struct weir_pool_conn *a = w.got, *b = lease_new(1, 0);
    ck_assert_uint_eq(weir_cell_read(queued), 0);
    ck_assert_int_eq(ask(1, &w, 0, false), WEIR_POOL_WAITING);
    ck_assert(w.waiter.queued);
    ck_assert_uint_eq(weir_cell_read(queued), 1);
    weir_pool_release(pools[1], a);
    ck_assert_ptr_eq(w.got, a);
    weir_pool_release(pools[1], a);
    weir_pool_release(pools[1], b);
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
        wish_init(&p->wish, 0, false);
        p->wish.waiter.granted = player_granted;
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

CHECK_MAIN("node pool", setup, world_close, test_a_released_one_is_used_again,
           test_an_idle_one_goes_to_the_worker_that_needs_it,
           test_one_that_cannot_live_on_the_other_worker_leaves_its_slot,
           test_the_limit_holds_and_the_oldest_is_served_first, test_a_closed_one_leaves_its_slot_to_the_oldest,
           test_full_evicts_the_oldest_idle_one_of_another_endpoint, test_full_evicts_on_another_worker_too,
           test_fresh_never_gets_a_used_one, test_a_waiter_is_not_bound_to_its_dial,
           test_a_failed_dial_fails_one_waiter, test_a_dial_that_cannot_begin_fails_at_once_and_keeps_no_slot,
           test_the_queue_is_bounded_and_can_be_left, test_no_more_idle_than_may_be,
           test_a_disturbed_one_is_dropped_unseen, test_a_lowered_limit_closes_what_comes_back,
           test_a_raised_limit_serves_who_waits, test_a_retired_endpoint_keeps_nothing,
           test_one_whose_endpoint_went_while_it_was_opened_is_not_kept,
           test_one_whose_endpoint_went_while_it_was_handed_over_is_not_kept,
           test_lowered_limits_close_the_oldest_that_are_parked, test_a_slot_is_given_back_while_another_is_on_its_way,
           test_who_relied_on_a_dial_that_served_another_gets_one_too,
           test_who_lost_a_stale_one_is_never_refused_and_keeps_its_place,
           test_only_who_finds_all_in_use_is_counted_as_queued,
           test_two_threads_share_one_connection_without_losing_a_wake_up)
