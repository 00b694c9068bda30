/* Nodes that spend one limit out of the bucket of a store, each with a clock of its own in the test's hand. */
#include "core/cluster_limit.h"

#include <string.h>

#include "check_main.h"
#include "core/rng.h"
#include "helper/core_coord.h"

enum { NODES = 4 };
#define START   UINT64_C(1000000000)
#define SECOND  UINT64_C(1000000)
#define STEP_US UINT64_C(10000)
/* Of 600 and 60: a lease's worth of the limit, an eighth of the burst, and one. */
#define RESERVE 11u

static struct weir_cluster_limit_config config;
static struct weir_cluster_limit nodes[NODES];
static struct coord_fixture store;
static uint64_t now, store_began_us, pulls[NODES];

static void setup(void)
{
    config = (struct weir_cluster_limit_config){.limit = 600, .burst = 60, .share_ppm = 800000};
    now = START;
    coord_setup(&store);
    store_began_us = store.now_us;
}

static void teardown(void)
{
    coord_teardown(&store);
}

static uint64_t store_us(void)
{
    return store_began_us + now - START;
}

static uint32_t in_store(void)
{
    return weir_limiter_tokens(&store.state->buckets[0].limiter, store_us());
}

static void open_all(void)
{
    for (unsigned i = 0; i < NODES; i++) {
        weir_cluster_limit_init(&nodes[i], &config, now);
        weir_cluster_limit_lease(&nodes[i]);
        pulls[i] = 0;
    }
}

/* Carries out what a node wishes, if it wishes anything; the answer takes no time. */
static bool pull(unsigned node, uint32_t queued)
{
    struct weir_cluster_limit_answer a = {.ok = true, .asked_us = now};
    if (!weir_cluster_limit_wish(&nodes[node], now, queued, false, &a.asked))
        return false;
    pulls[node]++;
    struct weir_coord_request q = {.op = WEIR_COORD_TOKENS, .tokens = {.count = 1, .items = {a.asked}}};
    q.tokens.items[0].provider = "p";
    store.now_us = store_us();
    ck_assert_int_eq(coord_do(&store, &q), WEIR_COORD_OK);
    a.store_us = store.reply.now_us;
    a.granted = store.reply.tokens.items[0].granted;
    a.remaining = store.reply.tokens.items[0].remaining;
    a.wait_us = store.reply.tokens.items[0].wait_us;
    a.full_us = store.reply.tokens.items[0].full_us;
    weir_cluster_limit_answered(&nodes[node], now, &a);
    return true;
}

static bool spend(unsigned node)
{
    if (weir_cluster_limit_tokens(&nodes[node], now) == 0)
        return false;
    weir_cluster_limit_take(&nodes[node], now);
    return true;
}

START_TEST(test_asks_once_and_spends_without_asking)
{
    open_all();
    ck_assert(!spend(0));
    ck_assert(pull(0, 5));
    for (unsigned i = 0; i < 5 + RESERVE; i++)
        ck_assert(spend(0));
    ck_assert(!spend(0));
    ck_assert(!pull(0, 5)); /* too soon */
    ck_assert_uint_eq(weir_cluster_limit_wait_us(&nodes[0], now, 1), WEIR_LEASE_PULL_US);
    now += WEIR_LEASE_PULL_US;
    ck_assert(pull(0, 0)); /* as many as it spent are expected again, and as many are kept at hand */
    ck_assert_uint_eq(weir_cluster_limit_tokens(&nodes[0], now), 16 + 16);
    ck_assert_uint_eq(in_store(), 60 - 16 + 3 - 32);
}
END_TEST

/* A client that sends a request now and then, and a few at once in between, waits for none of them. */
START_TEST(test_light_traffic_finds_tokens)
{
    open_all();
    pull(0, 1);
    ck_assert(spend(0));
    for (unsigned round = 0; round < 5; round++) {
        now += WEIR_LEASE_PULL_US;
        ck_assert(pull(0, 0));
        for (unsigned i = 0; i < (round < 4 ? 1 : 8); i++)
            ck_assert(spend(0));
    }
}
END_TEST

START_TEST(test_what_expires_goes_back)
{
    open_all();
    pull(0, 2);
    ck_assert_uint_eq(in_store(), 60 - 2 - RESERVE);
    ck_assert(!weir_cluster_limit_owes(&nodes[0], now));
    now += WEIR_LEASE_LIFE_US;
    ck_assert_uint_eq(weir_cluster_limit_tokens(&nodes[0], now), 0);
    ck_assert(weir_cluster_limit_owes(&nodes[0], now));
    ck_assert(pull(0, 0));
    ck_assert_uint_eq(in_store(), 60);
    ck_assert(!weir_cluster_limit_owes(&nodes[0], now));
}
END_TEST

START_TEST(test_what_was_not_used_is_spent_later_or_goes_back)
{
    open_all();
    pull(0, 2);
    ck_assert(spend(0));
    weir_cluster_limit_put_back(&nodes[0], now);
    ck_assert_uint_eq(weir_cluster_limit_tokens(&nodes[0], now), 2 + RESERVE);
    while (spend(0))
        ;
    weir_cluster_limit_put_back(&nodes[0], now);
    ck_assert_uint_eq(weir_cluster_limit_tokens(&nodes[0], now), 0);
    ck_assert(weir_cluster_limit_owes(&nodes[0], now));
}
END_TEST

START_TEST(test_draining_hands_back_all)
{
    struct weir_coord_tokens_item item;
    open_all();
    pull(0, 2);
    ck_assert(spend(0));
    ck_assert(weir_cluster_limit_wish(&nodes[0], now, 0, true, &item));
    ck_assert_uint_eq(item.unused, 1 + RESERVE);
    ck_assert_uint_eq(item.want, 0);
    ck_assert_uint_eq(weir_cluster_limit_tokens(&nodes[0], now), 0);
}
END_TEST

START_TEST(test_away_it_keeps_a_share_and_is_charged_for_it)
{
    open_all();
    pull(0, 3);
    for (unsigned i = 0; i < RESERVE; i++)
        ck_assert(spend(0));
    weir_cluster_limit_alone(&nodes[0], 4, now);
    ck_assert_uint_eq(weir_cluster_limit_share(&nodes[0]), 120); /* 0.8 x 600 / 4 */
    ck_assert_uint_eq(weir_cluster_limit_tokens(&nodes[0], now), 3 + 12);
    for (unsigned i = 0; i < 15; i++)
        ck_assert(spend(0)); /* the leased ones first */
    ck_assert(!spend(0));
    ck_assert_uint_eq(nodes[0].spent_alone, 12);
    ck_assert_uint_eq(weir_cluster_limit_wait_us(&nodes[0], now, 1), SECOND / 2);
    struct weir_limiter_values v = weir_cluster_limit_show(&nodes[0], now, SECOND / 2);
    ck_assert_uint_eq(v.limit, 120);
    ck_assert_uint_eq(v.retry_after_s, 1);
    now += SECOND / 2;
    ck_assert(spend(0));
    weir_cluster_limit_put_back(&nodes[0], now);
    ck_assert_uint_eq(nodes[0].spent_alone, 12);
    weir_cluster_limit_lease(&nodes[0]);
    ck_assert(weir_cluster_limit_owes(&nodes[0], now));
    ck_assert(pull(0, 0));
    ck_assert_uint_eq(nodes[0].spent_alone, 0);
    ck_assert_uint_le(in_store(), 60 - 3 - RESERVE + 5 - 12);
}
END_TEST

START_TEST(test_a_charge_without_an_answer_is_made_again)
{
    struct weir_cluster_limit_answer lost = {.ok = false};
    open_all();
    weir_cluster_limit_alone(&nodes[0], 1, now);
    ck_assert(spend(0));
    weir_cluster_limit_lease(&nodes[0]);
    ck_assert(weir_cluster_limit_wish(&nodes[0], now, 0, false, &lost.asked));
    ck_assert_uint_eq(lost.asked.spent, 1);
    weir_cluster_limit_answered(&nodes[0], now, &lost);
    ck_assert(weir_cluster_limit_wish(&nodes[0], now, 0, false, &lost.asked));
    ck_assert_uint_eq(lost.asked.spent, 1);
}
END_TEST

START_TEST(test_an_answer_that_is_late_lets_nobody_wait)
{
    struct weir_cluster_limit_answer late = {.ok = false, .nodes = NODES};
    struct weir_cluster_limit *l = &nodes[0];
    open_all();
    ck_assert(pull(0, 1));
    now += WEIR_LEASE_LIFE_US;
    ck_assert(!spend(0));
    ck_assert(weir_cluster_limit_wish(l, now, 1, false, &late.asked));
    weir_cluster_limit_answered(l, now, &late);
    /* A fourth of 80 % of 600 and of 60. */
    ck_assert_int_eq(l->mode, WEIR_CLUSTER_LIMIT_DEGRADED);
    ck_assert_uint_eq(weir_cluster_limit_share(l), 120);
    for (unsigned i = 0; i < 12; i++)
        ck_assert(spend(0));
    ck_assert(!spend(0));
    ck_assert(weir_cluster_limit_owes(l, now));
    ck_assert(pull(0, 1));
    ck_assert_int_eq(l->mode, WEIR_CLUSTER_LIMIT_LEASED);
    ck_assert_uint_eq(in_store(), l->store.remaining);
    ck_assert_uint_le(in_store(), 60 - 12 - 1);
    /* Late again at once: it is no second burst. */
    now += WEIR_LEASE_LIFE_US;
    ck_assert(weir_cluster_limit_wish(l, now, 1, false, &late.asked));
    weir_cluster_limit_answered(l, now, &late);
    ck_assert(!spend(0));
    /* And then away for sure: what was late stays spent, and an answer alone is not its return. */
    weir_cluster_limit_alone(l, 2, now);
    ck_assert_uint_eq(weir_cluster_limit_share(l), 240);
    ck_assert_uint_le(weir_cluster_limit_tokens(l, now), 12);
    struct weir_cluster_limit_answer straggler = {.ok = true, .asked_us = now, .nodes = NODES};
    weir_cluster_limit_answered(l, now, &straggler);
    ck_assert_int_eq(l->mode, WEIR_CLUSTER_LIMIT_DEGRADED);
    weir_cluster_limit_lease(l);
    ck_assert_int_eq(l->mode, WEIR_CLUSTER_LIMIT_LEASED);
}
END_TEST

START_TEST(test_late_is_no_reason_to_refuse)
{
    struct weir_cluster_limit_answer late = {.ok = false, .nodes = NODES};
    config.fail_closed = true;
    open_all();
    ck_assert(weir_cluster_limit_wish(&nodes[0], now, 1, false, &late.asked));
    weir_cluster_limit_answered(&nodes[0], now, &late);
    ck_assert_int_eq(nodes[0].mode, WEIR_CLUSTER_LIMIT_LEASED);
}
END_TEST

START_TEST(test_closed_it_waits_a_moment_and_then_refuses)
{
    config.fail_closed = true;
    open_all();
    pull(0, 1);
    weir_cluster_limit_alone(&nodes[0], 4, now);
    for (unsigned i = 0; i < 1 + RESERVE; i++) /* what is leased is good still */
        ck_assert(spend(0));
    ck_assert(!spend(0));
    ck_assert_uint_eq(weir_cluster_limit_wait_us(&nodes[0], now, 1), WEIR_CLUSTER_LIMIT_GRACE_US);
    now += WEIR_CLUSTER_LIMIT_GRACE_US;
    ck_assert_uint_eq(weir_cluster_limit_wait_us(&nodes[0], now, 1), WEIR_CLUSTER_LIMIT_NEVER_US);
    struct weir_limiter_values v = weir_cluster_limit_show(&nodes[0], now, WEIR_CLUSTER_LIMIT_NEVER_US);
    ck_assert_uint_eq(v.limit, 600);
    ck_assert_uint_eq(v.remaining, 0);
    ck_assert_uint_eq(v.retry_after_s, 1);
    config.fail_closed = false; /* by a reload */
    weir_cluster_limit_set(&nodes[0], &config, now);
    ck_assert(spend(0));
}
END_TEST

START_TEST(test_no_share_is_none)
{
    config.share_ppm = 0;
    weir_cluster_limit_init(&nodes[0], &config, now);
    ck_assert_uint_eq(weir_cluster_limit_share(&nodes[0]), 0);
    ck_assert_uint_eq(weir_cluster_limit_tokens(&nodes[0], now + 60 * SECOND), 0);
    ck_assert_int_eq(nodes[0].mode, WEIR_CLUSTER_LIMIT_CLOSED);
}
END_TEST

START_TEST(test_the_bucket_fills_unseen)
{
    open_all();
    ck_assert_uint_eq(weir_cluster_limit_in_store(&nodes[0], now), 0);
    pull(0, 40);
    uint32_t told = nodes[0].store.remaining;
    ck_assert_uint_eq(weir_cluster_limit_in_store(&nodes[0], now), told);
    ck_assert_uint_lt(told, 20);
    now += SECOND;
    ck_assert_uint_eq(weir_cluster_limit_in_store(&nodes[0], now), told + 10);
    now += WEIR_LIMITER_MINUTE_US;
    ck_assert_uint_eq(weir_cluster_limit_in_store(&nodes[0], now), 60);
    ck_assert_uint_eq(weir_cluster_limit_show(&nodes[0], now, 0).remaining, 60);
}
END_TEST

START_TEST(test_the_wait_follows_what_the_store_says)
{
    open_all();
    pull(0, 61); /* one more than there is: this node has what there is, and the next is a tenth of a second away */
    for (unsigned i = 0; i < 60; i++)
        ck_assert(spend(0));
    ck_assert_uint_eq(weir_cluster_limit_wait_us(&nodes[0], now, 1), WEIR_LEASE_PULL_US);
    ck_assert_uint_eq(weir_cluster_limit_wait_us(&nodes[0], now, 50), 50 * SECOND / 10);
    struct weir_limiter_values v = weir_cluster_limit_show(&nodes[0], now, SECOND / 10);
    ck_assert_uint_eq(v.limit, 600);
    ck_assert_uint_eq(v.remaining, 0);
    ck_assert_uint_eq(v.reset_s, 6);
    /* Another one takes most of what comes: that is seen by what is granted. */
    for (unsigned i = 0; i < 20; i++) {
        now += WEIR_LEASE_PULL_US;
        pull(1, 100);
        weir_limiter_hand_back(&store.state->buckets[0].limiter, store_us(), 1);
        pull(0, 50);
        while (spend(0) || spend(1))
            ;
    }
    ck_assert_uint_gt(weir_cluster_limit_wait_us(&nodes[0], now, 50), 2 * 50 * SECOND / 10);
}
END_TEST

/* A node leases more than a burst needs, and some of what may follow; all of that is soon back. */
START_TEST(test_a_burst_costs_no_more_than_it_spends)
{
    config.limit = 60;
    config.burst = 100;
    open_all();
    ck_assert(pull(0, 40));
    for (unsigned i = 0; i < 40; i++)
        ck_assert(spend(0));
    for (uint64_t over = now + 2 * SECOND; now < over; now += STEP_US)
        pull(0, 0);
    ck_assert_uint_ge(in_store(), 100 - 40 + 1); /* two have come since, and a part of one is no token */
    ck_assert_uint_le(in_store(), 100 - 40 + 2);
}
END_TEST

/* Skewed demand far above the limit, for ten minutes: what any window lets through, and how much of the limit is used.
 * down: node 0 dies half way with what it has leased. */
static void overload(bool down)
{
    enum { WINDOW = 60 * SECOND / STEP_US, STEPS = 10 * WINDOW };
    static uint32_t passed[STEPS];
    static const unsigned demand[NODES] = {30, 10, 7, 3}; /* requests in a second, of 10 that the limit allows */
    struct weir_rng rng = {11};
    uint64_t sum = 0, most = 0, window = 0;
    memset(passed, 0, sizeof passed);
    open_all();
    for (unsigned s = 0; s < STEPS; s++, now += STEP_US) {
        for (unsigned n = 0; n < NODES; n++) {
            if (down && n == 0 && s > STEPS / 2)
                continue;
            bool comes = weir_rng_next(&rng) % (SECOND / STEP_US) < demand[n];
            bool thirsty = comes && weir_cluster_limit_tokens(&nodes[n], now) == 0;
            if (thirsty || weir_cluster_limit_owes(&nodes[n], now))
                pull(n, thirsty);
            if (comes && spend(n))
                passed[s]++;
        }
        sum += passed[s];
        window += passed[s];
        window -= s >= WINDOW ? passed[s - WINDOW] : 0;
        most = window > most ? window : most;
    }
    uint64_t bound =
        config.limit + config.burst + (config.strict ? 0 : config.limit * WEIR_LEASE_LIFE_US / 60 / SECOND + 1);
    ck_assert_uint_le(most, bound);
    ck_assert_uint_ge(sum * 100, (uint64_t)config.limit * 10 * 98);
    for (unsigned n = 0; n < NODES; n++)
        ck_assert_uint_le(pulls[n], 10 * 60 * 3);
}

/* One client, one request after the other, far below the limit: none of them waits for more than its first answer. */
START_TEST(test_below_the_limit_nobody_waits)
{
    unsigned dry = 0;
    open_all();
    for (unsigned s = 0; s < 6000; s++, now += STEP_US) {
        bool comes = s % 12 == 0; /* 500 a minute */
        bool thirsty = comes && weir_cluster_limit_tokens(&nodes[0], now) == 0;
        dry += thirsty;
        pull(0, thirsty); /* as often as it may, as the agent does while it gets any */
        if (comes)
            ck_assert(spend(0));
    }
    ck_assert_uint_le(dry, 2);
}
END_TEST

START_TEST(test_four_nodes_keep_one_limit)
{
    overload(false);
}
END_TEST

START_TEST(test_one_that_dies_takes_no_more_than_its_leases)
{
    overload(true);
}
END_TEST

START_TEST(test_strict_never_goes_above)
{
    config.strict = true;
    overload(false);
    weir_cluster_limit_alone(&nodes[0], 4, now);
    ck_assert_int_eq(nodes[0].mode, WEIR_CLUSTER_LIMIT_CLOSED);
    ck_assert_uint_eq(weir_cluster_limit_share(&nodes[0]), 0);
}
END_TEST

CHECK_MAIN("cluster_limit", setup, teardown, test_asks_once_and_spends_without_asking, test_what_expires_goes_back,
           test_light_traffic_finds_tokens, test_what_was_not_used_is_spent_later_or_goes_back,
           test_draining_hands_back_all, test_away_it_keeps_a_share_and_is_charged_for_it,
           test_a_charge_without_an_answer_is_made_again, test_an_answer_that_is_late_lets_nobody_wait,
           test_late_is_no_reason_to_refuse, test_closed_it_waits_a_moment_and_then_refuses, test_no_share_is_none,
           test_the_bucket_fills_unseen, test_the_wait_follows_what_the_store_says,
           test_a_burst_costs_no_more_than_it_spends, test_below_the_limit_nobody_waits, test_four_nodes_keep_one_limit,
           test_one_that_dies_takes_no_more_than_its_leases, test_strict_never_goes_above)
