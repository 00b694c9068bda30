/* The line before a provider's rate limit, over several workers, with the clock in the test's hand. */
#include <stdlib.h>
#include <string.h>

#include "check_main.h"
#include "core/rng.h"
#include "helper_pool.h"

#define START    UINT64_C(1000000000)
#define PATIENCE UINT64_C(5000000)

struct asker {
    struct weir_waitline_waiter waiter;
    unsigned worker;
    uint64_t told_us; /* how long it would wait */
    uint64_t look_us; /* UINT64_MAX: has no clock */
    uint64_t came_us, went_us;
    bool went;
};

static struct weir_limit *limit;
static uint64_t now;

static struct asker *asker_of(struct weir_waitline_waiter *w)
{
    return WEIR_CONTAINER(w, struct asker, waiter);
}

static void granted(struct weir_waitline_waiter *w)
{
    struct asker *a = asker_of(w);
    ck_assert(!a->went && !w->waiting);
    a->went = true;
    a->went_us = now;
    a->look_us = UINT64_MAX;
}

static void look_at(struct weir_waitline_waiter *w, uint64_t us)
{
    ck_assert(w->waiting);
    asker_of(w)->look_us = us;
}

static void at(uint64_t us)
{
    now = us;
    for (unsigned i = 0; i < PLACES_MAX; i++)
        places[i].now_us = us - 1; /* reading it adds one */
}

static void configure(uint32_t rpm, uint32_t burst, bool strict)
{
    struct weir_config_rate_limit c = {.requests_per_minute = rpm, .burst = burst, .strict = strict};
    weir_limit_configure(limit, &c, now);
}

static enum weir_waitline_answer come_within(struct asker *a, unsigned worker, uint32_t count_max, uint64_t patience)
{
    *a = (struct asker){.waiter = {.granted = granted, .look_at = look_at}, .worker = worker, .look_us = UINT64_MAX};
    a->came_us = now;
    at(now);
    enum weir_waitline_answer answer =
        weir_waitline_enter(&limit->line, pools[worker], &a->waiter, count_max, patience, &a->told_us);
    a->went = answer == WEIR_WAITLINE_PASS;
    ck_assert_int_eq(a->waiter.waiting, answer == WEIR_WAITLINE_WAIT);
    return answer;
}

static enum weir_waitline_answer come(struct asker *a, unsigned worker)
{
    return come_within(a, worker, 10, PATIENCE);
}

static void leave(struct asker *a)
{
    at(now);
    weir_waitline_leave(&limit->line, pools[a->worker], &a->waiter);
}

static void give_back(unsigned worker)
{
    at(now);
    weir_limit_give_back(limit, pools[worker]);
}

static void settle(unsigned worker)
{
    at(now);
    weir_waitline_settle(&limit->line, pools[worker]);
}

static void calls(void)
{
    at(now);
    deliver();
}

static void setup(void)
{
    world_open(PLACES_MAX);
    limit = &provider->limit;
    at(START);
}

static void teardown(void)
{
    ck_assert_uint_eq(limit->line.count, 0);
    world_close();
}

START_TEST(test_off_costs_nothing)
{
    ck_assert(!weir_limit_is_on(limit));
    configure(0, 1, false);
    ck_assert(!weir_limit_is_on(limit));
    ck_assert_uint_eq(weir_limit_show(limit, now).limit, 0);
}
END_TEST

START_TEST(test_the_burst_goes_and_the_next_waits_for_its_token)
{
    struct asker a[3];
    configure(600, 2, false);
    ck_assert_int_eq(come(&a[0], 0), WEIR_WAITLINE_PASS);
    ck_assert_int_eq(come(&a[1], 1), WEIR_WAITLINE_PASS);
    ck_assert_int_eq(come(&a[2], 0), WEIR_WAITLINE_WAIT);
    ck_assert_uint_eq(a[2].told_us, 100000);
    ck_assert_uint_eq(a[2].look_us, START + 100000);
    at(START + 99000);
    settle(0);
    ck_assert(!a[2].went);
    ck_assert_uint_eq(a[2].look_us, START + 100000);
    at(START + 100000);
    settle(0);
    ck_assert(a[2].went);
}
END_TEST

START_TEST(test_nobody_is_overtaken_on_any_worker)
{
    struct asker a[4];
    configure(600, 1, false);
    ck_assert_int_eq(come(&a[0], 0), WEIR_WAITLINE_PASS);
    ck_assert_int_eq(come(&a[1], 0), WEIR_WAITLINE_WAIT);
    at(START + 100000);
    ck_assert_int_eq(come(&a[2], 1), WEIR_WAITLINE_WAIT); /* the token is there, but it is the other's */
    ck_assert_uint_eq(a[2].told_us, 100000);
    settle(1);
    ck_assert(!a[2].went);
    ck_assert_int_eq(come(&a[3], 0), WEIR_WAITLINE_WAIT);
    settle(0);
    ck_assert(a[1].went);
    ck_assert(!a[3].went);
    at(START + 300000);
    settle(0); /* one token, as the bucket holds no more: that of the older one */
    ck_assert(!a[3].went);
    settle(1);
    ck_assert(a[2].went);
    ck_assert(!a[3].went);
    at(START + 400000);
    settle(0);
    ck_assert(a[3].went);
}
END_TEST

START_TEST(test_a_busy_worker_keeps_nobody_from_going)
{
    struct asker a[5];
    configure(600, 3, false);
    for (unsigned i = 0; i < 3; i++)
        ck_assert_int_eq(come(&a[i], 0), WEIR_WAITLINE_PASS);
    ck_assert_int_eq(come(&a[3], 0), WEIR_WAITLINE_WAIT);
    ck_assert_int_eq(come(&a[4], 1), WEIR_WAITLINE_WAIT);
    ck_assert_uint_eq(a[4].look_us, START + 200000);
    at(START + 200000);
    settle(1); /* worker 0 should have run, and has not */
    ck_assert(a[4].went);
    settle(0);
    ck_assert(a[3].went);
}
END_TEST

START_TEST(test_the_hopeless_is_told_at_once)
{
    struct asker a, b, c, d;
    configure(60, 1, false);
    ck_assert_int_eq(come(&a, 0), WEIR_WAITLINE_PASS);
    ck_assert_int_eq(come_within(&b, 0, 2, 1000000), WEIR_WAITLINE_WAIT);
    ck_assert_int_eq(come_within(&c, 1, 2, 1000000), WEIR_WAITLINE_LATE); /* two seconds, as one waits already */
    ck_assert_uint_eq(c.told_us, 2000000);
    ck_assert_int_eq(come_within(&c, 1, 2, 2000000), WEIR_WAITLINE_WAIT);
    ck_assert_int_eq(come_within(&d, 0, 2, PATIENCE), WEIR_WAITLINE_FULL); /* over all workers */
    struct weir_limiter_values v = weir_limit_show(limit, now);
    ck_assert_uint_eq(v.limit, 60);
    ck_assert_uint_eq(v.remaining, 0);
    ck_assert_uint_eq(v.retry_after_s, 3);
    ck_assert_uint_eq(v.reset_s, 1);
    leave(&b);
    leave(&c);
    ck_assert_int_eq(come_within(&d, 0, 0, PATIENCE), WEIR_WAITLINE_FULL); /* none may wait */
    calls();
}
END_TEST

START_TEST(test_who_leaves_moves_all_behind_it_up)
{
    struct asker a, b, c, d;
    configure(60, 1, false);
    ck_assert_int_eq(come(&a, 0), WEIR_WAITLINE_PASS);
    ck_assert_int_eq(come(&b, 0), WEIR_WAITLINE_WAIT);
    ck_assert_int_eq(come(&c, 0), WEIR_WAITLINE_WAIT);
    ck_assert_int_eq(come(&d, 1), WEIR_WAITLINE_WAIT);
    ck_assert_uint_eq(c.look_us, UINT64_MAX);
    ck_assert_uint_eq(d.look_us, START + 3000000);
    leave(&b);
    leave(&b); /* legal */
    calls();
    ck_assert_uint_eq(c.look_us, START + 1000000);
    ck_assert_uint_eq(d.look_us, START + 2000000);
    at(START + 1000000);
    leave(&c);
    calls();
    ck_assert(d.went);
}
END_TEST

START_TEST(test_what_is_given_back_serves_who_waits)
{
    struct asker a, b;
    configure(60, 1, false);
    ck_assert_int_eq(come(&a, 0), WEIR_WAITLINE_PASS);
    ck_assert_int_eq(come(&b, 1), WEIR_WAITLINE_WAIT);
    give_back(0);
    ck_assert(!b.went);
    calls();
    ck_assert(b.went);
    give_back(1);
    give_back(1); /* no more than a full bucket */
    ck_assert_int_eq(come(&a, 0), WEIR_WAITLINE_PASS);
    ck_assert_int_eq(come_within(&a, 0, 0, PATIENCE), WEIR_WAITLINE_FULL);
}
END_TEST

START_TEST(test_a_reload_forgets_nothing)
{
    struct asker a, b;
    configure(60, 10, false);
    for (int i = 0; i < 10; i++)
        ck_assert_int_eq(come(&a, 0), WEIR_WAITLINE_PASS);
    configure(60, 10, false);
    ck_assert_int_eq(come(&b, 0), WEIR_WAITLINE_WAIT);
    configure(60, 11, false); /* one more than was spent */
    settle(0);
    ck_assert(b.went);
    ck_assert_int_eq(come(&b, 0), WEIR_WAITLINE_WAIT);
    configure(6, 11, false);
    settle(0);
    ck_assert_uint_eq(b.look_us, START + 10000000);
    configure(0, 1, false);
    settle(0);
    ck_assert(b.went);
    configure(6, 11, false); /* it was off for a moment: nothing has come back */
    ck_assert_int_eq(come_within(&a, 0, 10, PATIENCE), WEIR_WAITLINE_LATE);
}
END_TEST

START_TEST(test_strict_starts_empty)
{
    struct asker a;
    configure(60, 10, true);
    ck_assert_int_eq(come(&a, 0), WEIR_WAITLINE_WAIT);
    ck_assert_uint_eq(a.told_us, 1000000);
    leave(&a);
    calls();
}
END_TEST

START_TEST(test_could)
{
    struct asker a;
    configure(60, 1, false);
    ck_assert(weir_limit_could(limit, now, 0));
    ck_assert_int_eq(come(&a, 0), WEIR_WAITLINE_PASS);
    ck_assert(!weir_limit_could(limit, now, 999999));
    ck_assert(weir_limit_could(limit, now, 1000000));
    configure(0, 1, false);
    ck_assert(weir_limit_could(limit, now, 0));
}
END_TEST

/* -- property: random events over three workers -- */

enum { SECONDS = 180, SLICE_MS = 10, SLICES = SECONDS * 1000 / SLICE_MS, ASKERS = 400, RPM = 1200, BURST = 40 };
static uint32_t sent[SLICES];
static struct asker askers[ASKERS];
static unsigned oldest, newest; /* of askers, as a ring */

static void check_windows(void)
{
    uint32_t in_window = 0;
    for (unsigned i = 0; i < SLICES; i++) {
        in_window += sent[i];
        if (i >= 60000 / SLICE_MS)
            in_window -= sent[i - 60000 / SLICE_MS];
        ck_assert_uint_le(in_window, RPM + BURST);
    }
}

/* Whoever waits and was there when it came is before those that came later; and its clock, or its worker's, is set. */
static void check_line(void)
{
    bool clock[PLACES_MAX] = {false}, waits[PLACES_MAX] = {false};
    struct weir_list *next = limit->line.waiters.next;
    uint32_t count = 0;
    for (unsigned i = oldest; i != newest; i = (i + 1) % ASKERS) {
        struct asker *a = &askers[i];
        if (!a->waiter.waiting)
            continue;
        ck_assert_ptr_eq(next, &a->waiter.link);
        next = next->next;
        count++;
        clock[a->worker] = clock[a->worker] || (a->look_us != UINT64_MAX && !waits[a->worker]);
        waits[a->worker] = true;
    }
    ck_assert_uint_eq(count, limit->line.count);
    for (unsigned w = 0; w < PLACES_MAX; w++)
        ck_assert_int_eq(clock[w], waits[w]);
}

static void due_ones_look(struct weir_rng *rng, unsigned lazy)
{
    for (unsigned i = oldest; i != newest; i = (i + 1) % ASKERS) {
        struct asker *a = &askers[i];
        if (a->waiter.waiting && a->look_us <= now && weir_rng_next(rng) % 100 >= lazy) {
            a->look_us = UINT64_MAX;
            settle(a->worker);
        }
    }
}

static void play(uint64_t seed, unsigned lazy, unsigned leaving)
{
    struct weir_rng rng = {seed};
    memset(sent, 0, sizeof sent);
    oldest = newest = 0;
    configure(RPM, BURST, false);
    for (unsigned slice = 0; slice < SLICES; slice++) {
        at(START + slice * SLICE_MS * UINT64_C(1000));
        unsigned mode = slice / 1500 % 4; /* far too much, about right, nothing, too much */
        bool comes = weir_rng_next(&rng) % 100 < (mode == 0 ? 90 : mode == 1 ? 19 : mode == 2 ? 1 : 45);
        if (comes && (newest + 1) % ASKERS != oldest) {
            struct asker *a = &askers[newest];
            enum weir_waitline_answer answer =
                come_within(a, (unsigned)(weir_rng_next(&rng) % PLACES_MAX), 100, PATIENCE);
            if (answer == WEIR_WAITLINE_PASS || answer == WEIR_WAITLINE_WAIT)
                newest = (newest + 1) % ASKERS;
        }
        if (newest != oldest && weir_rng_next(&rng) % 1000 < leaving)
            leave(&askers[(oldest + weir_rng_next(&rng) % ((newest + ASKERS - oldest) % ASKERS)) % ASKERS]);
        due_ones_look(&rng, lazy);
        calls();
        check_line();
        for (; oldest != newest && !askers[oldest].waiter.waiting; oldest = (oldest + 1) % ASKERS)
            if (lazy == 0 && askers[oldest].went_us != 0) /* as it was told, or sooner */
                ck_assert_uint_le(askers[oldest].went_us - askers[oldest].came_us,
                                  askers[oldest].told_us + SLICE_MS * 1000);
        for (unsigned i = 0; i < ASKERS; i++)
            if (askers[i].went) {
                askers[i].went = false;
                sent[slice]++;
            }
    }
    check_windows();
    for (; oldest != newest; oldest = (oldest + 1) % ASKERS)
        leave(&askers[oldest]);
    calls();
}

START_TEST(test_random_events)
{
    for (uint64_t seed = 1; seed <= 3; seed++)
        play(seed, 0, 20);
}
END_TEST

START_TEST(test_random_events_with_busy_workers)
{
    for (uint64_t seed = 4; seed <= 6; seed++)
        play(seed, 30, 20);
}
END_TEST

START_TEST(test_random_events_with_impatient_clients)
{
    for (uint64_t seed = 7; seed <= 9; seed++)
        play(seed, 5, 400);
}
END_TEST

START_TEST(test_the_limit_is_used_up_though_everybody_leaves_early)
{
    /* The shortest patience of clients, a second, is far below the node's: without moving up nobody would be served. */
    struct weir_rng rng = {5};
    uint64_t total = 0;
    configure(RPM, BURST, false);
    oldest = newest = 0;
    for (unsigned slice = 0; slice < SLICES; slice++) {
        at(START + slice * SLICE_MS * UINT64_C(1000));
        if (weir_rng_next(&rng) % 100 < 66 && (newest + 1) % ASKERS != oldest) {
            struct asker *a = &askers[newest];
            if (come_within(a, (unsigned)(weir_rng_next(&rng) % PLACES_MAX), 1000, PATIENCE) <= WEIR_WAITLINE_WAIT)
                newest = (newest + 1) % ASKERS;
        }
        for (unsigned i = oldest; i != newest; i = (i + 1) % ASKERS)
            if (askers[i].waiter.waiting && askers[i].came_us + 1000000 <= now)
                leave(&askers[i]);
        due_ones_look(&rng, 0);
        calls();
        for (; oldest != newest && !askers[oldest].waiter.waiting; oldest = (oldest + 1) % ASKERS)
            total += askers[oldest].went;
    }
    ck_assert_uint_ge(total, (uint64_t)RPM * SECONDS / 60 * 99 / 100);
    for (; oldest != newest; oldest = (oldest + 1) % ASKERS)
        leave(&askers[oldest]);
    calls();
}
END_TEST

CHECK_MAIN("node limit", setup, teardown, test_off_costs_nothing, test_the_burst_goes_and_the_next_waits_for_its_token,
           test_nobody_is_overtaken_on_any_worker, test_a_busy_worker_keeps_nobody_from_going,
           test_the_hopeless_is_told_at_once, test_who_leaves_moves_all_behind_it_up,
           test_what_is_given_back_serves_who_waits, test_a_reload_forgets_nothing, test_strict_starts_empty,
           test_could, test_random_events, test_random_events_with_busy_workers,
           test_random_events_with_impatient_clients, test_the_limit_is_used_up_though_everybody_leaves_early)
