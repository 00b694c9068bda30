/* Places at endpoints: who may go, who waits, and what makes a place free. */
#include "check_main.h"
#include "helper_pool.h"

#define NOW UINT64_C(1000000000)

struct asker {
    struct weir_waitline_waiter waiter;
    unsigned turns;
    uint64_t look_us;
};

static struct weir_waitline *line;

static void granted(struct weir_waitline_waiter *w)
{
    WEIR_CONTAINER(w, struct asker, waiter)->turns++;
    ends[ends[0]->in_flight > 0]->in_flight++;
}

static void look_at(struct weir_waitline_waiter *w, uint64_t us)
{
    WEIR_CONTAINER(w, struct asker, waiter)->look_us = us;
}

static void at(uint64_t us)
{
    for (unsigned i = 0; i < PLACES_MAX; i++)
        places[i].now_us = us - 1; /* reading it adds one */
}

static void setup(void)
{
    world_open(2);
    line = &provider->places.line;
    at(NOW);
    provider->places.on = true;
    for (unsigned i = 0; i < ENDS; i++)
        weir_concurrency_configure(&ends[i]->concurrency, true, 1, 1);
}

static void teardown(void)
{
    ends[0]->in_flight = ends[1]->in_flight = 0;
    ck_assert_uint_eq(line->count, 0);
    world_close();
}

static enum weir_waitline_answer come(struct asker *a, unsigned worker)
{
    uint64_t wait_us;
    *a = (struct asker){.waiter = {.granted = granted, .look_at = look_at}};
    return weir_waitline_enter(line, pools[worker], &a->waiter, 10, 5000000, &wait_us);
}

static void freed(unsigned end, unsigned worker)
{
    ends[end]->in_flight--;
    weir_places_freed(&provider->places, pools[worker]);
    deliver();
}

START_TEST(test_as_many_go_as_there_are_places)
{
    struct asker a, b, c;
    ck_assert_int_eq(come(&a, 0), WEIR_WAITLINE_PASS);
    ends[0]->in_flight++;
    ck_assert_int_eq(come(&a, 1), WEIR_WAITLINE_PASS);
    ends[1]->in_flight++;
    ck_assert_int_eq(come(&b, 0), WEIR_WAITLINE_WAIT);
    ck_assert_int_eq(come(&c, 1), WEIR_WAITLINE_WAIT);
    freed(1, 1); /* its own waits, but that of the other came first */
    ck_assert_uint_eq(b.turns, 1);
    ck_assert_uint_eq(c.turns, 0);
    freed(0, 0);
    ck_assert_uint_eq(c.turns, 1);
}
END_TEST

START_TEST(test_a_place_behind_an_open_circuit_is_none)
{
    struct asker a;
    struct weir_config_breaker breaker = {
        .enabled = true, .failure_threshold = 1, .recovery_timeout_ms = 30000, .half_open_permits = 1};
    const struct weir_circuit_caller by = {0, NOW / 1000, NULL};
    for (unsigned i = 0; i < ENDS; i++)
        weir_circuit_configure(&ends[i]->circuit, &breaker, 1000);
    struct weir_breaker_answer admitted = weir_circuit_admit(ends[0], &by);
    weir_circuit_done(ends[0], &by, &admitted.ticket, WEIR_BREAKER_FAILURE, 0, "test");
    ck_assert(!weir_circuit_may_admit(ends[0], NOW / 1000));
    ck_assert_int_eq(come(&a, 0), WEIR_WAITLINE_PASS);
    ends[1]->in_flight++;
    ck_assert_int_eq(come(&a, 0), WEIR_WAITLINE_WAIT);
    freed(1, 1);
    ck_assert_uint_eq(a.turns, 1);
    ends[1]->retired = true;
    ck_assert_int_eq(come(&a, 0), WEIR_WAITLINE_WAIT);
    weir_waitline_leave(line, pools[0], &a.waiter);
    ends[1]->retired = false;
}
END_TEST

START_TEST(test_who_could_make_no_use_of_its_turn_keeps_its_place)
{
    struct asker a, b, c;
    ends[0]->in_flight = ends[1]->in_flight = 1;
    ck_assert_int_eq(come(&a, 0), WEIR_WAITLINE_WAIT);
    ck_assert_int_eq(come(&b, 0), WEIR_WAITLINE_WAIT);
    ck_assert_int_eq(come(&c, 1), WEIR_WAITLINE_WAIT);
    freed(0, 1);
    ck_assert_uint_eq(a.turns, 1);
    ends[0]->in_flight--;
    at(NOW + 1000);
    weir_waitline_return(line, pools[0], &a.waiter, NOW + 21000);
    ck_assert_uint_eq(a.look_us, NOW + 21000);
    ck_assert_ptr_eq(line->waiters.next, &a.waiter.link);
    weir_waitline_settle(line, pools[0]); /* does not go round and round */
    ck_assert_uint_eq(a.turns, 1);
    at(NOW + 21000);
    weir_waitline_settle(line, pools[0]);
    ck_assert_uint_eq(a.turns, 2);
    weir_waitline_leave(line, pools[0], &b.waiter);
    weir_waitline_leave(line, pools[1], &c.waiter);
    deliver();
}
END_TEST

START_TEST(test_answers_move_the_limit)
{
    struct weir_concurrency *c = &ends[0]->concurrency;
    weir_concurrency_configure(c, true, 10, 100);
    ck_assert_uint_eq(c->limit, 10);
    for (int i = 0; i < 100; i++)
        weir_concurrency_answered(c, 500, 1, 10); /* errors teach nothing */
    ck_assert_uint_eq(c->limit, 10);
    for (int i = 0; i < 500; i++)
        weir_concurrency_answered(c, 200, 1000, c->limit);
    uint32_t grown = c->limit;
    ck_assert_uint_gt(grown, 30);
    weir_concurrency_answered(c, 429, 1000, grown);
    ck_assert_uint_lt(c->limit, grown);
    grown = c->limit;
    weir_concurrency_configure(c, true, 10, 20);
    ck_assert_uint_eq(c->limit, 20);
    weir_concurrency_configure(c, false, 10, 20);
    ck_assert_uint_eq(c->limit, 0);
    weir_concurrency_answered(c, 200, 1000, 1);
    ck_assert_uint_eq(c->limit, 0);
    ck_assert(weir_concurrency_has_room(c, UINT32_MAX));
    weir_concurrency_configure(c, true, 10, 100);
    ck_assert_uint_eq(c->limit, 20); /* what was learnt */
    ck_assert(weir_concurrency_has_room(c, 19));
    ck_assert(!weir_concurrency_has_room(c, 20));
}
END_TEST

START_TEST(test_an_endpoint_that_goes_takes_its_places_along)
{
    struct asker a;
    struct weir_endpoint *e = weir_endpoint_new(provider, "http://c:1");
    ends[0]->in_flight = ends[1]->in_flight = 1;
    weir_concurrency_configure(&e->concurrency, true, 1, 1);
    ck_assert_int_eq(come(&a, 0), WEIR_WAITLINE_PASS);
    weir_endpoint_unref(e);
    ck_assert_int_eq(come(&a, 0), WEIR_WAITLINE_WAIT);
    weir_waitline_leave(line, pools[0], &a.waiter);
}
END_TEST

CHECK_MAIN("node concurrency", setup, teardown, test_as_many_go_as_there_are_places,
           test_a_place_behind_an_open_circuit_is_none, test_who_could_make_no_use_of_its_turn_keeps_its_place,
           test_answers_move_the_limit, test_an_endpoint_that_goes_takes_its_places_along)
