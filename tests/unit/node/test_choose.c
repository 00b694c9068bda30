/* Which endpoint a request of a shard goes to: the same on every node, unless it has more than its share to do. */
#include <pthread.h>
#include <string.h>

#include "check_main.h"
#include "net/bell.h"
#include "node/choose.h"
#include "node/circuit_share.h"
#include "node/worker.h"

#define ENDPOINTS 4u

static struct weir_view *view;
static struct weir_worker worker;

static struct weir_view *build(const char *endpoints)
{
    char yaml[1024];
    struct weir_config_problems problems = {0};
    struct weir_config *config = NULL;
    struct weir_view *v = NULL;
    struct weir_err err;
    int n = snprintf(yaml, sizeof yaml, "providers: {a: {endpoints: [%s]}}\n", endpoints);
    struct weir_config_input in = {.file = "test.yaml", .bytes = yaml, .len = (size_t)n};
    ck_assert_int_eq(weir_config_parse(&config, &in, &problems), 0);
    weir_config_problems_reset(&problems);
    struct weir_shared_config *shared = weir_shared_config_new(config);
    ck_assert_int_eq(weir_view_new(&v, shared, NULL, 1, &err), 0);
    weir_shared_config_unref(shared);
    weir_view_take_effect(v, NULL);
    return v;
}

static void setup(void)
{
    view = build("{url: 'http://127.0.0.1:1'}, {url: 'http://127.0.0.1:2'}, {url: 'http://127.0.0.1:3'}, "
                 "{url: 'http://127.0.0.1:4'}");
    worker = (struct weir_worker){.index = 0};
    worker.reactor.now_ms = weir_clock_us() / 1000;
    worker.reactor.now_us = worker.reactor.now_ms * 1000;
}

static void teardown(void)
{
    weir_view_unref(view);
}

static struct weir_choosing chosen(const struct weir_view *v, uint32_t shard, uint64_t tried)
{
    struct weir_choosing c = {
        .provider = &v->providers[0], .worker = &worker, .by_shard = true, .shard = shard, .tried = tried};
    ck_assert_int_eq(weir_choose(&c), WEIR_CHOSEN);
    return c;
}

static const char *id_of(const struct weir_view *v, uint32_t shard)
{
    return chosen(v, shard, 0).endpoint->config->id;
}

START_TEST(test_a_shard_has_its_endpoint)
{
    unsigned seen = 0;
    for (uint32_t shard = 0; shard < 64; shard++) {
        struct weir_choosing c = chosen(view, shard, 0);
        for (unsigned again = 0; again < 5; again++)
            ck_assert_ptr_eq(chosen(view, shard, 0).endpoint, c.endpoint);
        ck_assert_uint_eq(c.may_serve, UINT64_C(1) << c.endpoint->rt->slot);
        seen |= 1u << c.endpoint->rt->slot;
    }
    ck_assert_uint_eq(seen, 15);
}
END_TEST

START_TEST(test_the_order_of_the_file_does_not_matter)
{
    struct weir_view *other = build("{url: 'http://127.0.0.1:4'}, {url: 'http://127.0.0.1:2'}, "
                                    "{url: 'http://127.0.0.1:1'}, {url: 'http://127.0.0.1:3'}");
    for (uint32_t shard = 0; shard < 64; shard++)
        ck_assert_str_eq(id_of(other, shard), id_of(view, shard));
    weir_view_unref(other);
}
END_TEST

START_TEST(test_one_that_leaves_moves_its_own_shards_only)
{
    struct weir_view *fewer = build("{url: 'http://127.0.0.1:1'}, {url: 'http://127.0.0.1:2'}, "
                                    "{url: 'http://127.0.0.1:3'}");
    for (uint32_t shard = 0; shard < 64; shard++) {
        const char *before = id_of(view, shard);
        if (strcmp(before, "http://127.0.0.1:4") != 0)
            ck_assert_str_eq(id_of(fewer, shard), before);
    }
    weir_view_unref(fewer);
}
END_TEST

START_TEST(test_one_that_failed_is_followed_by_the_next)
{
    struct weir_choosing first = chosen(view, 7, 0);
    struct weir_choosing second = chosen(view, 7, UINT64_C(1) << first.endpoint->rt->slot);
    ck_assert_ptr_ne(second.endpoint, first.endpoint);
    ck_assert_ptr_eq(chosen(view, 7, UINT64_C(1) << first.endpoint->rt->slot).endpoint, second.endpoint);
}
END_TEST

START_TEST(test_a_hot_shard_spreads_within_the_bound)
{
    unsigned n = 400, most = 0;
    for (unsigned i = 0; i < n; i++)
        atomic_fetch_add(&chosen(view, 3, 0).endpoint->rt->in_flight, 1);
    for (unsigned i = 0; i < ENDPOINTS; i++)
        if (view->providers[0].endpoints[i].rt->in_flight > most)
            most = view->providers[0].endpoints[i].rt->in_flight;
    ck_assert_uint_eq(most, n * 125 / 100 / ENDPOINTS);
}
END_TEST

/* -- a circuit of the cluster's, whose store answers while others choose -- */

static struct weir_breaker_state store;
static _Atomic bool store_ends;

/* One report of the node's, and its answer; false: it owes none. */
static bool answer_report(struct weir_endpoint *e)
{
    const struct weir_circuit_caller by = {WEIR_CIRCUIT_CONTROL, worker.reactor.now_ms, NULL};
    struct weir_breaker_report r;
    struct weir_breaker_policy policy;
    struct weir_breaker_reply reply;
    if (!weir_circuit_take_report(e, by.now_ms, WEIR_CLUSTER_URGENT, &r, &policy))
        return false;
    weir_breaker_report(&store, &policy, by.now_ms, &r, &reply);
    struct weir_breaker_sight seen = weir_breaker_look(&store);
    weir_circuit_learn(e, &by, &seen, by.now_ms, "");
    weir_circuit_granted(e, &by, &r, &reply, by.now_ms);
    return true;
}

static void *answer_reports(void *e)
{
    while (!atomic_load(&store_ends))
        (void)answer_report(e);
    return NULL;
}

static void open_circuit(struct weir_endpoint *e, struct weir_bell *bell)
{
    struct weir_circuit_caller by = {0, worker.reactor.now_ms, NULL};
    weir_breaker_init(&store, by.now_ms);
    weir_circuit_share(e, by.now_ms, 1, bell);
    ck_assert(answer_report(e));
    while (weir_circuit_look(e, by.now_ms).phase != WEIR_BREAKER_OPEN) {
        struct weir_breaker_answer a = weir_circuit_admit(e, &by);
        weir_circuit_done(e, &by, &a.ticket, WEIR_BREAKER_FAILURE, 0, "test");
        (void)answer_report(e);
    }
    worker.reactor.now_ms += weir_circuit_look(e, by.now_ms).open_until_ms - by.now_ms;
}

/* At any moment a permit is there, is asked for, or may be: nobody is refused, however the answers fall. */
START_TEST(test_an_answer_between_two_looks_refuses_nobody)
{
    struct weir_view *one = build("{url: 'http://127.0.0.1:1'}");
    struct weir_endpoint *e = one->providers[0].endpoints[0].rt;
    struct weir_bell bell = {.rung = true}; /* rung already: the store looks all the time */
    const unsigned probes = check_rounds(100);
    pthread_t thread;
    open_circuit(e, &bell);
    ck_assert_int_eq(pthread_create(&thread, NULL, answer_reports, e), 0);
    const struct weir_circuit_caller by = {0, worker.reactor.now_ms, NULL};
    for (unsigned n = 0; n < probes;) {
        struct weir_choosing c = {.provider = &one->providers[0], .worker = &worker};
        enum weir_choice choice = weir_choose(&c);
        ck_assert_int_ne(choice, WEIR_CHOICE_OPEN);
        if (choice != WEIR_CHOSEN)
            continue;
        weir_circuit_done(e, &by, &c.ticket, WEIR_BREAKER_NEITHER, 0, NULL);
        n++;
    }
    atomic_store(&store_ends, true);
    pthread_join(thread, NULL);
    weir_view_unref(one);
}
END_TEST

CHECK_MAIN("choose", setup, teardown, test_a_shard_has_its_endpoint, test_the_order_of_the_file_does_not_matter,
           test_one_that_leaves_moves_its_own_shards_only, test_one_that_failed_is_followed_by_the_next,
           test_a_hot_shard_spreads_within_the_bound, test_an_answer_between_two_looks_refuses_nobody)
