/* A limit that is the cluster's: the line, the bell, and what control brings, with the clock in the test's hand. */
#include "check_main.h"
#include "helper_pool.h"
#include "net/bell.h"

#define START    UINT64_C(1000000000)
#define PATIENCE UINT64_C(5000000)

struct asker {
    struct weir_waitline_waiter waiter;
    unsigned worker;
    uint64_t told_us;
    bool went;
};

static struct weir_limit *limit;
static struct weir_bell bell;
static struct weir_config_rate_limit config;
static unsigned rings;
static uint64_t now;

static void answer(struct weir_bell *b)
{
    (void)b;
    rings++;
}

static void granted(struct weir_waitline_waiter *w)
{
    WEIR_CONTAINER(w, struct asker, waiter)->went = true;
}

static void look_at(struct weir_waitline_waiter *w, uint64_t us)
{
    ck_assert(w->waiting);
    ck_assert_uint_ge(us, now);
}

static void at(uint64_t us)
{
    now = us;
    for (unsigned i = 0; i < PLACES_MAX; i++)
        places[i].now_us = us - 1; /* reading it adds one */
}

static void setup(void)
{
    world_open(PLACES_MAX);
    limit = &provider->limit;
    at(START);
    weir_bell_init(&bell, &places[2].reactor.mailbox, answer);
    config = (struct weir_config_rate_limit){.requests_per_minute = 600, .burst = 60, .degraded_share = 0.5};
    weir_limit_configure(limit, &config, now);
    weir_limit_share(limit, now, &bell);
}

static void teardown(void)
{
    ck_assert_uint_eq(limit->line.count, 0);
    world_close();
}

static enum weir_waitline_answer come(struct asker *a, unsigned worker)
{
    *a = (struct asker){.waiter = {.granted = granted, .look_at = look_at}, .worker = worker};
    at(now);
    enum weir_waitline_answer word =
        weir_waitline_enter(&limit->line, pools[worker], &a->waiter, 10, PATIENCE, &a->told_us);
    a->went = word == WEIR_WAITLINE_PASS;
    return word;
}

/* Fewer than it has asked for. */
static void grant(uint32_t n)
{
    struct weir_cluster_limit_answer a = {.ok = true, .asked_us = now, .granted = n, .remaining = 5};
    ck_assert(weir_limit_take_wish(limit, now, false, &a.asked));
    ck_assert_uint_ge(a.asked.want, n);
    weir_limit_answered(limit, pools[0], now, &a);
    at(now);
    deliver();
}

static unsigned heard(void)
{
    rings = 0;
    at(now);
    deliver();
    return rings;
}

START_TEST(test_who_finds_no_token_rings_once)
{
    struct asker a[3];
    weir_limit_lease(limit);
    ck_assert_uint_eq(heard(), 0);
    for (unsigned i = 0; i < 3; i++)
        ck_assert_int_eq(come(&a[i], i), WEIR_WAITLINE_WAIT);
    ck_assert_uint_eq(heard(), 1);
    ck_assert(weir_limit_owes(limit, now));
    grant(2);
    ck_assert(a[0].went && a[1].went && !a[2].went);
    at(now + WEIR_LEASE_PULL_US);
    grant(3);
    ck_assert(a[2].went);
    ck_assert_int_eq(come(&a[0], 0), WEIR_WAITLINE_PASS); /* without asking */
    ck_assert_int_eq(come(&a[0], 0), WEIR_WAITLINE_PASS);
    ck_assert_int_eq(come(&a[0], 1), WEIR_WAITLINE_WAIT);
    ck_assert_uint_eq(heard(), 1);
    weir_waitline_leave(&limit->line, pools[1], &a[0].waiter);
    weir_limit_give_back(limit, pools[0]);
    heard();
}
END_TEST

START_TEST(test_the_store_goes_away_and_whoever_waits_goes_on)
{
    struct asker a[8];
    weir_limit_lease(limit);
    for (unsigned i = 0; i < 4; i++)
        ck_assert_int_eq(come(&a[i], i % 2), WEIR_WAITLINE_WAIT);
    weir_limit_alone(limit, 2, now); /* 150 a minute, 15 at once */
    weir_waitline_call(&limit->line, pools[0]);
    heard();
    for (unsigned i = 0; i < 4; i++)
        ck_assert(a[i].went);
    ck_assert_uint_eq(weir_limit_show(limit, now).limit, 150);
    ck_assert_uint_eq(weir_limit_show(limit, now).remaining, 11);
    weir_limit_lease(limit);
    struct weir_coord_tokens_item item;
    ck_assert(weir_limit_take_wish(limit, now, false, &item));
    ck_assert_uint_eq(item.spent, 4);
    ck_assert_uint_eq(item.limit, 600);
    ck_assert(!weir_limit_owes(limit, now));
}
END_TEST

START_TEST(test_closed_refuses_while_the_store_is_away)
{
    struct asker a;
    struct weir_cluster_limit seen;
    config.fail = WEIR_CONFIG_FAIL_CLOSED;
    weir_limit_configure(limit, &config, now);
    weir_limit_lease(limit);
    weir_limit_alone(limit, 2, now);
    ck_assert(weir_limit_look(limit, &seen));
    ck_assert_int_eq(seen.mode, WEIR_CLUSTER_LIMIT_CLOSED);
    at(now + WEIR_CLUSTER_LIMIT_GRACE_US);
    ck_assert_int_eq(come(&a, 0), WEIR_WAITLINE_LATE);
    ck_assert(!weir_limit_could(limit, now, PATIENCE));
    ck_assert_uint_eq(weir_limit_show(limit, now).retry_after_s, 1);
    heard();
}
END_TEST

START_TEST(test_a_time_to_come_changes_nothing)
{
    struct asker a;
    weir_limit_lease(limit);
    ck_assert_int_eq(come(&a, 0), WEIR_WAITLINE_WAIT);
    grant(3);
    ck_assert(weir_limit_could(limit, now, 0));
    ck_assert(!weir_limit_could(limit, now + WEIR_LEASE_LIFE_US, 0));
    ck_assert(weir_limit_could(limit, now, 0));
    ck_assert_int_eq(come(&a, 0), WEIR_WAITLINE_PASS);
}
END_TEST

START_TEST(test_switched_off_it_wishes_nothing)
{
    struct weir_coord_tokens_item item;
    struct weir_cluster_limit seen;
    struct asker a;
    weir_limit_lease(limit);
    config.requests_per_minute = 0;
    weir_limit_configure(limit, &config, now);
    ck_assert_int_eq(come(&a, 0), WEIR_WAITLINE_PASS);
    ck_assert(!weir_limit_take_wish(limit, now, false, &item));
    ck_assert(!weir_limit_owes(limit, now));
    ck_assert(!weir_limit_look(limit, &seen));
}
END_TEST

CHECK_MAIN("limit_shared", setup, teardown, test_who_finds_no_token_rings_once,
           test_the_store_goes_away_and_whoever_waits_goes_on, test_closed_refuses_while_the_store_is_away,
           test_a_time_to_come_changes_nothing, test_switched_off_it_wishes_nothing)
