/* Slots of ten seconds on a clock that is the test's. */
#include <stdio.h>
#include <stdlib.h>

#include "check_main.h"
#include "core/load_fold.h"
#include "core/load_history.h"

#define SLOT_MS UINT64_C(10000)
#define BASE    UINT64_C(600) /* a slot at which ten minutes begin */

static struct weir_load_history *h;
static struct {
    uint32_t count;
    struct weir_load_record last, before;
} out[WEIR_LOAD_STEPS];

static void closed(void *arg, enum weir_load_step step, const struct weir_load_record *r)
{
    (void)arg;
    out[step].count++;
    out[step].before = out[step].last;
    out[step].last = *r;
}

static void setup(void)
{
    memset(out, 0, sizeof out);
    h = weir_load_history_new(SLOT_MS, closed, NULL);
    ck_assert_ptr_nonnull(h);
}

static void teardown(void)
{
    weir_load_history_free(&h);
}

static struct weir_load_record made(uint64_t slot, const char *node, uint64_t requests, uint64_t peak)
{
    struct weir_load_record r = {.slot = slot, .nodes = 1, .in_flight_peak = peak};
    snprintf(r.node, sizeof r.node, "%s", node);
    struct weir_load_point *p = &weir_load_record_item(&r, WEIR_STR("openai"))->point;
    p->requests = requests;
    p->in_flight_peak = peak;
    p->in_flight_mean = peak * 500;
    return r;
}

/* At the time at which nodes tell: a little after the slot's end. */
static void tell(uint64_t slot, const char *node, uint64_t requests, uint64_t peak)
{
    struct weir_load_record r = made(slot, node, requests, peak);
    weir_load_history_take(h, (slot + 1) * SLOT_MS + 1000, &r);
}

static void tick(uint64_t slot)
{
    weir_load_history_tick(h, (slot + 1) * SLOT_MS + SLOT_MS / 2);
}

static const struct weir_load_point *point(enum weir_load_step step)
{
    ck_assert_uint_eq(out[step].last.count, 1);
    return &out[step].last.items[0].point;
}

START_TEST(test_nodes_of_a_slot_are_summed)
{
    tell(BASE, "a", 10, 4);
    tell(BASE, "b", 20, 6);
    weir_load_history_tick(h, (BASE + 1) * SLOT_MS + SLOT_MS / 2 - 1);
    ck_assert_uint_eq(out[0].count, 0); /* others may still tell */
    tick(BASE);
    ck_assert_uint_eq(out[0].count, 1);
    ck_assert_uint_eq(out[0].last.slot, BASE);
    ck_assert_uint_eq(out[0].last.nodes, 2);
    ck_assert_uint_eq(out[0].last.slots, 1);
    ck_assert_uint_eq(out[0].last.in_flight_peak, 10);
    ck_assert_str_eq(out[0].last.node, "");
    ck_assert_uint_eq(point(WEIR_LOAD_SLOT)->requests, 30);
    ck_assert_uint_eq(point(WEIR_LOAD_SLOT)->in_flight_peak, 10);
    ck_assert_uint_eq(point(WEIR_LOAD_SLOT)->in_flight_mean, 5000);
    ck_assert_uint_eq(point(WEIR_LOAD_SLOT)->tokens_in, WEIR_LOAD_ABSENT);
    tick(BASE + 1);
    ck_assert_uint_eq(out[0].count, 1); /* nobody told: a gap */
}
END_TEST

START_TEST(test_longer_steps)
{
    for (uint64_t s = 0; s < 60; s++) {
        tell(BASE + s, "a", 6, s);
        tick(BASE + s);
        ck_assert_uint_eq(out[WEIR_LOAD_MINUTE].count, (s + 1) / 6);
    }
    ck_assert_uint_eq(out[WEIR_LOAD_MINUTE].last.slot, BASE / 6 + 9);
    ck_assert_uint_eq(point(WEIR_LOAD_MINUTE)->requests, 36);
    ck_assert_uint_eq(point(WEIR_LOAD_MINUTE)->in_flight_peak, 59);
    ck_assert_uint_eq(point(WEIR_LOAD_MINUTE)->in_flight_mean, 28250); /* of 54 to 59, halved */
    ck_assert_uint_eq(out[WEIR_LOAD_MINUTE].last.in_flight_peak, 59);
    ck_assert_uint_eq(out[WEIR_LOAD_MINUTE].last.slots, 6);
    ck_assert_uint_eq(out[WEIR_LOAD_TEN_MINUTES].count, 1);
    ck_assert_uint_eq(out[WEIR_LOAD_TEN_MINUTES].last.slot, BASE / 60);
    ck_assert_uint_eq(point(WEIR_LOAD_TEN_MINUTES)->requests, 360);
    ck_assert_uint_eq(out[WEIR_LOAD_TEN_MINUTES].last.slots, 60);
}
END_TEST

/* Slots 2 and 3 are not told of, and neither is the end of the minute: it ends when its time is over. */
START_TEST(test_gaps)
{
    const uint64_t told[] = {0, 1, 4};
    for (int i = 0; i < 3; i++) {
        tell(BASE + told[i], "a", 6, 12);
        tick(BASE + told[i]);
    }
    tick(BASE + 4);
    ck_assert_uint_eq(out[WEIR_LOAD_MINUTE].count, 0);
    tick(BASE + 5);
    ck_assert_uint_eq(out[WEIR_LOAD_SLOT].count, 3);
    ck_assert_uint_eq(out[WEIR_LOAD_MINUTE].count, 1);
    ck_assert_uint_eq(out[WEIR_LOAD_MINUTE].last.slots, 3);
    ck_assert_uint_eq(point(WEIR_LOAD_MINUTE)->requests, 18);
    ck_assert_uint_eq(point(WEIR_LOAD_MINUTE)->in_flight_mean, 6000); /* of what was told */
    tick(BASE + 1000);
    ck_assert_uint_eq(out[WEIR_LOAD_TEN_MINUTES].count, 1);
    tell(BASE + 1000, "a", 1, 1);
    ck_assert_uint_eq(weir_load_history_counts(h).late, 1);
    tell(BASE + 1001, "a", 1, 1);
    tick(BASE + 1001);
    ck_assert_uint_eq(out[WEIR_LOAD_SLOT].count, 4);
}
END_TEST

/* A provider that is told of in some slots only had no load in the others. */
START_TEST(test_a_provider_that_comes_and_goes)
{
    for (uint64_t s = 0; s < 6; s++) {
        struct weir_load_record r = made(BASE + s, "a", 1, 2);
        if (s == 2 || s == 3)
            weir_load_record_item(&r, WEIR_STR("other"))->point.in_flight_mean = 3000;
        weir_load_history_take(h, (BASE + s + 1) * SLOT_MS, &r);
        tick(BASE + s);
    }
    ck_assert_uint_eq(out[WEIR_LOAD_MINUTE].last.count, 2);
    ck_assert_uint_eq(out[WEIR_LOAD_MINUTE].last.items[1].point.in_flight_mean, 1000);
}
END_TEST

START_TEST(test_late_early_and_twice)
{
    tell(BASE + 1, "a", 1, 1);
    tell(BASE, "a", 1, 1); /* the other way round is fine while both are open */
    tell(BASE, "a", 1, 1);
    struct weir_load_record r = made(BASE + 50, "a", 1, 1);
    weir_load_history_take(h, (BASE + 50) * SLOT_MS - 1, &r);
    r.slot = WEIR_LOAD_NUMBER_MAX;
    weir_load_history_take(h, (BASE + 50) * SLOT_MS - 1, &r);
    tick(BASE);
    tell(BASE, "b", 1, 1);
    struct weir_load_history_counts c = weir_load_history_counts(h);
    ck_assert_uint_eq(c.taken, 2);
    ck_assert_uint_eq(c.twice, 1);
    ck_assert_uint_eq(c.early, 2);
    ck_assert_uint_eq(c.late, 1);
    ck_assert_uint_eq(point(WEIR_LOAD_SLOT)->requests, 1);
    tick(BASE + 1);
    ck_assert_uint_eq(out[WEIR_LOAD_SLOT].count, 2);
}
END_TEST

/* A long backlog, read at once: slots close as much newer ones come, none is lost and none is told twice. */
START_TEST(test_a_backlog)
{
    for (uint64_t s = 0; s < 200; s++) {
        struct weir_load_record r = made(BASE + s, "a", 1, 1);
        weir_load_history_take(h, (BASE + 200) * SLOT_MS, &r);
    }
    ck_assert_uint_eq(out[WEIR_LOAD_SLOT].count, 200 - WEIR_LOAD_OPEN_SLOTS);
    tick(BASE + 199);
    ck_assert_uint_eq(out[WEIR_LOAD_SLOT].count, 200);
    ck_assert_uint_eq(out[WEIR_LOAD_MINUTE].count, 33);
    ck_assert_uint_eq(out[WEIR_LOAD_TEN_MINUTES].count, 3);
    ck_assert_uint_eq(point(WEIR_LOAD_TEN_MINUTES)->requests, 60);
    ck_assert_uint_eq(weir_load_history_last(h, WEIR_LOAD_SLOT), BASE + 199);
}
END_TEST

/* Slots far apart, so that a place of the ring is taken again before anything has ticked. */
START_TEST(test_slots_far_apart)
{
    for (uint64_t s = 0; s < 10; s++)
        tell(BASE + s * 100, "a", 1 + s, 1);
    ck_assert_uint_eq(out[WEIR_LOAD_SLOT].count, 9);
    ck_assert_uint_eq(out[WEIR_LOAD_SLOT].last.slot, BASE + 800);
    ck_assert_uint_eq(point(WEIR_LOAD_SLOT)->requests, 9);
}
END_TEST

/* A new leader: what was stored is not told again, what the one before it had begun is ended. */
START_TEST(test_replay)
{
    uint64_t now = (BASE + 64) * SLOT_MS;
    struct weir_load_record r = made(BASE / 60 - 1, "", 1, 1);
    ck_assert(weir_load_history_replay(h, now, WEIR_LOAD_TEN_MINUTES, &r));
    for (uint64_t m = 0; m < 9; m++) {
        r = made(BASE / 6 + m, "", 36, 1);
        ck_assert(weir_load_history_replay(h, now, WEIR_LOAD_MINUTE, &r));
    }
    ck_assert(!weir_load_history_replay(h, now, WEIR_LOAD_MINUTE, &r));
    for (uint64_t s = 0; s < 63; s++) {
        r = made(BASE + s, "", 6, 3);
        r.safe_concurrency = 77;
        ck_assert(weir_load_history_replay(h, now, WEIR_LOAD_SLOT, &r));
    }
    r.slot = BASE + 1000;
    ck_assert(!weir_load_history_replay(h, now, WEIR_LOAD_SLOT, &r)); /* of a time to come */
    ck_assert_uint_eq(out[WEIR_LOAD_SLOT].count, 0);
    ck_assert_uint_eq(out[WEIR_LOAD_MINUTE].count, 1);
    ck_assert_uint_eq(out[WEIR_LOAD_MINUTE].last.slot, BASE / 6 + 9);
    ck_assert_uint_eq(out[WEIR_LOAD_TEN_MINUTES].count, 1);
    ck_assert_uint_eq(point(WEIR_LOAD_TEN_MINUTES)->requests, 360);
    ck_assert_uint_eq(weir_load_history_safe_concurrency(h), 77);
    tell(BASE + 62, "a", 1, 1);
    ck_assert_uint_eq(weir_load_history_counts(h).late + weir_load_history_counts(h).taken, 0);
    for (uint64_t s = 63; s < 66; s++) {
        tell(BASE + s, "a", 6, 3);
        tick(BASE + s);
    }
    ck_assert_uint_eq(out[WEIR_LOAD_SLOT].count, 3);
    ck_assert_uint_eq(out[WEIR_LOAD_SLOT].last.safe_concurrency, 77);
    ck_assert_uint_eq(out[WEIR_LOAD_MINUTE].count, 2);
    ck_assert_uint_eq(point(WEIR_LOAD_MINUTE)->requests, 36);
}
END_TEST

START_TEST(test_deadline)
{
    for (uint64_t ms = 0; ms < 60000; ms += 100) {
        uint64_t due = weir_load_history_deadline_ms(h, ms);
        ck_assert_uint_gt(due, ms);
        ck_assert_uint_le(due, ms + SLOT_MS + SLOT_MS / 2);
        ck_assert_uint_eq(due % SLOT_MS, SLOT_MS / 2);
    }
}
END_TEST

START_TEST(test_sums_do_not_run_over)
{
    struct weir_load_record sum = {0}, node = made(1, "a", WEIR_LOAD_NUMBER_MAX, WEIR_LOAD_NUMBER_MAX);
    node.items[0].point.exchanges = node.items[0].point.first_byte_p50_us = WEIR_LOAD_NUMBER_MAX;
    for (int i = 0; i < 20; i++)
        weir_load_fold_node(&sum, &node);
    ck_assert_uint_eq(sum.items[0].point.requests, WEIR_LOAD_NUMBER_MAX);
    ck_assert_uint_eq(sum.items[0].point.first_byte_p50_us, WEIR_LOAD_NUMBER_MAX);
    node.count = 0;
    for (uint32_t i = 0; i <= WEIR_LOAD_PROVIDERS_MAX; i++) {
        char name[16];
        snprintf(name, sizeof name, "p%u", i);
        node.count = 0;
        weir_load_record_item(&node, weir_str_of(name))->point.requests = 1;
        weir_load_fold_time(&sum, &node);
    }
    ck_assert_uint_eq(sum.count, WEIR_LOAD_PROVIDERS_MAX);
}
END_TEST

/* -- what a node carries -- */

static struct weir_load_capacity capacity;

static void carries(const char *node, uint64_t slot, uint64_t peak, uint64_t percent, uint64_t refused, uint64_t lag_us)
{
    struct weir_load_record r = made(slot, node, 10, peak);
    r.utilization_pct = percent;
    r.loop_lag_us = lag_us;
    r.items[0].point.refused = refused;
    weir_load_capacity_take(&capacity, &r);
}

START_TEST(test_safe_concurrency)
{
    memset(&capacity, 0, sizeof capacity);
    ck_assert_uint_eq(weir_load_capacity_safe(&capacity, 0), 0);
    carries("a", 1, 1, 1, 0, 0);
    ck_assert_uint_eq(weir_load_capacity_safe(&capacity, 1), 0); /* too idle to tell */
    carries("a", 2, 40, 40, 0, 0);
    ck_assert_uint_eq(weir_load_capacity_safe(&capacity, 2), 85);
    for (uint64_t s = 3; s < 300; s++)
        carries("a", s, 40, 20, 0, 0);
    ck_assert_uint_eq(weir_load_capacity_safe(&capacity, 300), 169);
    for (uint64_t s = 300; s < 305; s++)
        carries("a", s, 40, 80, 0, 0);
    uint64_t moved = weir_load_capacity_safe(&capacity, 305);
    ck_assert(moved < 169 && moved > 130); /* slowly */
    carries("b", 305, 10, 10, 0, 0);
    carries("c", 305, 1000, 10, 0, 0);
    ck_assert_uint_eq(weir_load_capacity_safe(&capacity, 305), moved); /* the median */
    ck_assert_uint_eq(weir_load_capacity_safe(&capacity, 305 + WEIR_LOAD_NODE_SLOTS), 0);
}
END_TEST

/* What was carried without trouble can be carried; with refusals, or loops that run late, it says nothing. */
START_TEST(test_what_was_carried)
{
    memset(&capacity, 0, sizeof capacity);
    carries("a", 1, 300, 100, 0, 0);
    ck_assert_uint_eq(weir_load_capacity_safe(&capacity, 1), 300);
    memset(&capacity, 0, sizeof capacity);
    carries("a", 1, 300, 100, 1, 0);
    ck_assert_uint_eq(weir_load_capacity_safe(&capacity, 1), 255);
    memset(&capacity, 0, sizeof capacity);
    carries("a", 1, 300, 100, 0, WEIR_LOAD_LAG_US_MAX);
    ck_assert_uint_eq(weir_load_capacity_safe(&capacity, 1), 255);
    carries("a", 1, 9000, 100, 0, 0); /* of the same slot: not again */
    ck_assert_uint_eq(weir_load_capacity_safe(&capacity, 1), 255);
}
END_TEST

START_TEST(test_more_nodes_than_there_may_be)
{
    memset(&capacity, 0, sizeof capacity);
    for (uint32_t i = 0; i < WEIR_CLUSTER_NODES_MAX + 100; i++) {
        char id[16];
        snprintf(id, sizeof id, "n%u", i);
        carries(id, 1 + i / 100, 50, 50, 0, 0);
    }
    ck_assert_uint_eq(capacity.count, WEIR_CLUSTER_NODES_MAX);
    ck_assert_uint_eq(weir_load_capacity_safe(&capacity, 20), 85);
}
END_TEST

CHECK_MAIN("load_history", setup, teardown, test_nodes_of_a_slot_are_summed, test_longer_steps, test_gaps,
           test_a_provider_that_comes_and_goes, test_late_early_and_twice, test_a_backlog, test_slots_far_apart,
           test_replay, test_deadline, test_sums_do_not_run_over, test_safe_concurrency, test_what_was_carried,
           test_more_nodes_than_there_may_be)
