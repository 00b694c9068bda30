#include "core/wheel.h"

#include "check_main.h"
#include "core/err.h"
#include "helper/core_failmalloc.h"

#include <string.h>

#define ROUND_MS ((uint64_t)WEIR_WHEEL_SLOTS * WEIR_WHEEL_TICK_MS)
#define MANY     3000

struct clocked {
    struct weir_deadline d;
    unsigned fired;
    uint64_t fired_ms;
    uint64_t rearm_by; /* fire sets it again, so much later */
    bool rearm_past;   /* fire sets it again to a time that has gone by */
    struct clocked *drop;
    struct weir_deadline *clear;
    bool drop_self;
};

static struct {
    struct weir_wheel w;
    uint64_t now_ms;
    struct clocked a, b, c;
    struct clocked *order[16];
    unsigned fired;
} f;

static void fire(struct weir_deadline *d, uint64_t now_ms)
{
    struct clocked *x = WEIR_CONTAINER(d, struct clocked, d);
    ck_assert_uint_eq(d->due_ms, WEIR_NEVER);
    x->fired++;
    x->fired_ms = now_ms;
    f.order[f.fired++ % 16] = x;
    if (x->rearm_by > 0)
        weir_deadline_set(&f.w, d, now_ms + x->rearm_by);
    if (x->rearm_past)
        weir_deadline_set(&f.w, d, now_ms - 5);
    if (x->drop != NULL)
        weir_deadline_drop(&f.w, &x->drop->d);
    if (x->clear != NULL)
        weir_deadline_clear(x->clear);
    if (x->drop_self) {
        weir_deadline_drop(&f.w, d);
        memset(d, 0xee, sizeof *d); /* as if freed */
    }
}

static void setup(void)
{
    memset(&f, 0, sizeof f);
    f.now_ms = 1000003; /* no whole tick */
    ck_assert_int_eq(weir_wheel_init(&f.w, f.now_ms), WEIR_OK);
    weir_deadline_init(&f.a.d, fire);
    weir_deadline_init(&f.b.d, fire);
    weir_deadline_init(&f.c.d, fire);
}

static void teardown(void)
{
    if (!f.a.drop_self)
        weir_deadline_drop(&f.w, &f.a.d);
    weir_deadline_drop(&f.w, &f.b.d);
    weir_deadline_drop(&f.w, &f.c.d);
    ck_assert_uint_eq(f.w.linked, 0);
    for (size_t i = 0; i < WEIR_WHEEL_SLOTS / 64; i++)
        ck_assert_uint_eq(f.w.occupied[i], 0);
    weir_wheel_close(&f.w);
}

static void set(struct clocked *x, uint64_t in_ms)
{
    weir_deadline_set(&f.w, &x->d, f.now_ms + in_ms);
}

/* Jumps from one wake-up to the next, as the loop does, up to a time; returns how many there were. */
static unsigned sleep_until(uint64_t ms)
{
    unsigned wakes = 0;
    for (uint64_t next; (next = weir_wheel_next_ms(&f.w)) <= ms; wakes++) {
        ck_assert_uint_gt(next, f.now_ms);
        f.now_ms = next;
        weir_wheel_run(&f.w, f.now_ms);
    }
    f.now_ms = ms;
    weir_wheel_run(&f.w, f.now_ms);
    return wakes;
}

START_TEST(test_fires_once_never_early_at_most_a_tick_late)
{
    for (uint64_t in = 0; in < 50; in++) {
        uint64_t due = f.now_ms + in;
        f.a.fired = 0;
        weir_deadline_set(&f.w, &f.a.d, due);
        ck_assert_uint_eq(f.a.fired, 0);
        uint64_t t = f.now_ms;
        for (; f.a.fired == 0; t++)
            weir_wheel_run(&f.w, t);
        ck_assert_uint_ge(f.a.fired_ms, due);
        if (in > 0)
            ck_assert_uint_lt(f.a.fired_ms, due + WEIR_WHEEL_TICK_MS);
        f.now_ms = t;
        sleep_until(f.now_ms + 100);
        ck_assert_uint_eq(f.a.fired, 1);
    }
}
END_TEST

START_TEST(test_next_is_when_it_fires)
{
    ck_assert_uint_eq(weir_wheel_next_ms(&f.w), WEIR_NEVER);
    set(&f.a, 250);
    uint64_t next = weir_wheel_next_ms(&f.w);
    ck_assert_uint_ge(next, f.now_ms + 250);
    ck_assert_uint_lt(next, f.now_ms + 250 + WEIR_WHEEL_TICK_MS);
    weir_wheel_run(&f.w, next - 1);
    ck_assert_uint_eq(f.a.fired, 0);
    weir_wheel_run(&f.w, next);
    ck_assert_uint_eq(f.a.fired, 1);
    ck_assert_uint_eq(weir_wheel_next_ms(&f.w), WEIR_NEVER);
}
END_TEST

START_TEST(test_moving_later_is_lazy_and_costs_no_wake_up)
{
    uint64_t begin = f.now_ms;
    set(&f.a, 100);
    struct weir_list *place = f.a.d.link.prev;
    for (int i = 1; i <= 1000; i++)
        weir_deadline_set(&f.w, &f.a.d, begin + 100 + (uint64_t)i);
    ck_assert_ptr_eq(f.a.d.link.prev, place);
    unsigned wakes = sleep_until(begin + 5000);
    ck_assert_uint_eq(f.a.fired, 1);
    ck_assert_uint_ge(f.a.fired_ms, begin + 1100);
    ck_assert_uint_lt(f.a.fired_ms, begin + 1100 + WEIR_WHEEL_TICK_MS);
    ck_assert_uint_eq(wakes, 1);
}
END_TEST

START_TEST(test_moving_earlier_is_not_lazy)
{
    set(&f.a, 5000);
    set(&f.a, 20);
    sleep_until(f.now_ms + 30);
    ck_assert_uint_eq(f.a.fired, 1);
    sleep_until(f.now_ms + 10000);
    ck_assert_uint_eq(f.a.fired, 1);
}
END_TEST

START_TEST(test_cleared_and_dropped_do_not_fire)
{
    set(&f.a, 20);
    set(&f.b, 20);
    weir_deadline_clear(&f.a.d);
    weir_deadline_drop(&f.w, &f.b.d);
    weir_deadline_drop(&f.w, &f.c.d); /* never set */
    ck_assert_uint_eq(weir_wheel_next_ms(&f.w), WEIR_NEVER);
    sleep_until(f.now_ms + 1000);
    ck_assert_uint_eq(f.fired, 0);
    /* Cleared, still in its slot, and set again to a time behind it. */
    set(&f.a, 20);
    weir_deadline_clear(&f.a.d);
    set(&f.a, 300);
    sleep_until(f.now_ms + 299);
    ck_assert_uint_eq(f.a.fired, 0);
    sleep_until(f.now_ms + 5);
    ck_assert_uint_eq(f.a.fired, 1);
}
END_TEST

START_TEST(test_far_deadlines_go_round)
{
    uint64_t begin = f.now_ms;
    set(&f.a, 10 * ROUND_MS + 17);
    set(&f.b, ROUND_MS);
    set(&f.c, ROUND_MS - 1);
    unsigned wakes = sleep_until(begin + 12 * ROUND_MS);
    ck_assert_uint_ge(f.a.fired_ms, begin + 10 * ROUND_MS + 17);
    ck_assert_uint_lt(f.a.fired_ms, begin + 10 * ROUND_MS + 17 + WEIR_WHEEL_TICK_MS);
    ck_assert_uint_ge(f.b.fired_ms, begin + ROUND_MS);
    ck_assert_uint_lt(f.b.fired_ms, begin + ROUND_MS + WEIR_WHEEL_TICK_MS);
    ck_assert_uint_ge(f.c.fired_ms, begin + ROUND_MS - 1);
    ck_assert_uint_eq(f.fired, 3);
    ck_assert_uint_le(wakes, 3);
}
END_TEST

START_TEST(test_the_end_of_time_is_no_deadline)
{
    weir_deadline_set(&f.w, &f.a.d, WEIR_NEVER);
    ck_assert_uint_eq(f.w.linked, 0);
    weir_deadline_set(&f.w, &f.a.d, WEIR_NEVER - 1);
    ck_assert_uint_eq(weir_wheel_next_ms(&f.w), WEIR_NEVER);
    sleep_until(f.now_ms + 3 * ROUND_MS);
    ck_assert_uint_eq(f.a.fired, 0);
}
END_TEST

START_TEST(test_order_is_that_of_the_ticks)
{
    set(&f.c, 40);
    set(&f.a, 10);
    set(&f.b, 25);
    weir_wheel_run(&f.w, f.now_ms + 100);
    ck_assert_uint_eq(f.fired, 3);
    ck_assert_ptr_eq(f.order[0], &f.a);
    ck_assert_ptr_eq(f.order[1], &f.b);
    ck_assert_ptr_eq(f.order[2], &f.c);
}
END_TEST

START_TEST(test_fire_may_set_itself_again)
{
    f.a.rearm_by = 10;
    set(&f.a, 10);
    sleep_until(f.now_ms + 1000);
    ck_assert_uint_ge(f.a.fired, 1000 / (10 + WEIR_WHEEL_TICK_MS));
    ck_assert_uint_le(f.a.fired, 100);
    /* After a long gap it fires once, not once for each time that it missed. */
    unsigned before = f.a.fired;
    weir_wheel_run(&f.w, f.now_ms + 3 * ROUND_MS);
    ck_assert_uint_eq(f.a.fired, before + 1);
}
END_TEST

/* Its new slot is one that the same run has yet to visit: the gap is longer than a round. */
START_TEST(test_set_to_the_past_fires_on_the_next_run)
{
    f.a.rearm_past = true;
    set(&f.a, 10);
    uint64_t now = f.now_ms + 3 * ROUND_MS + 400;
    weir_wheel_run(&f.w, now);
    ck_assert_uint_eq(f.a.fired, 1);
    weir_wheel_run(&f.w, now + WEIR_WHEEL_TICK_MS);
    ck_assert_uint_eq(f.a.fired, 2);
}
END_TEST

START_TEST(test_fire_may_drop_itself_and_others)
{
    f.a.drop = &f.b;
    f.a.clear = &f.c.d;
    f.a.drop_self = true;
    set(&f.a, 10);
    set(&f.b, 10);
    set(&f.c, 10);
    sleep_until(f.now_ms + 50);
    ck_assert_uint_eq(f.a.fired, 1);
    ck_assert_uint_eq(f.b.fired + f.c.fired, 0);
}
END_TEST

START_TEST(test_time_that_stands_still_or_goes_back)
{
    set(&f.a, 10);
    weir_wheel_run(&f.w, f.now_ms);
    weir_wheel_run(&f.w, f.now_ms - 500);
    weir_wheel_run(&f.w, 0);
    ck_assert_uint_eq(f.a.fired, 0);
    sleep_until(f.now_ms + 20);
    ck_assert_uint_eq(f.a.fired, 1);
}
END_TEST

static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

/* Many at once, moved at random, against nothing but each one's own due time. */
START_TEST(test_many_each_in_its_time)
{
    static struct clocked many[MANY];
    static uint64_t due[MANY];
    uint32_t seed = 7;
    for (unsigned i = 0; i < MANY; i++)
        weir_deadline_init(&many[i].d, fire);
    for (int step = 0; step < 400; step++) {
        for (unsigned k = 0; k < 50; k++) {
            unsigned i = next_random(&seed) % MANY;
            uint32_t what = next_random(&seed) % 8;
            due[i] = what == 0 ? WEIR_NEVER : f.now_ms + 1 + next_random(&seed) % 40000;
            if (what == 0)
                weir_deadline_clear(&many[i].d);
            else
                weir_deadline_set(&f.w, &many[i].d, due[i]);
            many[i].fired = 0;
        }
        uint64_t next = weir_wheel_next_ms(&f.w);
        for (unsigned i = 0; i < MANY; i++)
            if (many[i].d.due_ms != WEIR_NEVER)
                ck_assert_uint_lt(next, due[i] + WEIR_WHEEL_TICK_MS);
        sleep_until(f.now_ms + next_random(&seed) % 700);
        for (unsigned i = 0; i < MANY; i++) {
            if (many[i].fired > 0) {
                ck_assert_uint_eq(many[i].fired, 1);
                ck_assert_uint_ge(many[i].fired_ms, due[i]);
                ck_assert_uint_lt(many[i].fired_ms, due[i] + WEIR_WHEEL_TICK_MS);
                due[i] = WEIR_NEVER;
                many[i].fired = 0;
            } else if (many[i].d.due_ms != WEIR_NEVER) {
                ck_assert_uint_lt(f.now_ms, due[i] + WEIR_WHEEL_TICK_MS);
            }
        }
    }
    for (unsigned i = 0; i < MANY; i++)
        weir_deadline_drop(&f.w, &many[i].d);
}
END_TEST

START_TEST(test_out_of_memory)
{
    struct weir_wheel w;
    bool failed = true;
    for (unsigned long n = 1; failed; n++) {
        failmalloc_begin(n);
        int rv = weir_wheel_init(&w, 5);
        if (rv == WEIR_OK)
            weir_wheel_close(&w);
        long left = failmalloc_end(&failed);
        ck_assert_int_eq(rv, failed ? WEIR_ENOMEM : WEIR_OK);
        ck_assert_int_eq(left, 0);
    }
}
END_TEST

CHECK_MAIN("wheel", setup, teardown, test_fires_once_never_early_at_most_a_tick_late, test_next_is_when_it_fires,
           test_moving_later_is_lazy_and_costs_no_wake_up, test_moving_earlier_is_not_lazy,
           test_cleared_and_dropped_do_not_fire, test_far_deadlines_go_round, test_the_end_of_time_is_no_deadline,
           test_order_is_that_of_the_ticks, test_fire_may_set_itself_again, test_set_to_the_past_fires_on_the_next_run,
           test_fire_may_drop_itself_and_others, test_time_that_stands_still_or_goes_back, test_many_each_in_its_time,
           test_out_of_memory)
