/* Circuits of several nodes over one shared state: what a node's control thread does between them, with the clock in
 * the test's hand. */
#include <pthread.h>

#include "check_main.h"
#include "core/rng.h"
#include "net/bell.h"
#include "node/circuit_share.h"
#include "node/runtime.h"

#define NODES   3u
#define WORKERS 2u
#define TRY_MS  1000u
/* The store's clock is another one. */
#define STORE_MS (now + UINT64_C(1700000000000))

static struct node {
    char id[16];
    struct weir_provider *provider;
    struct weir_endpoint *e;
    struct weir_bell bell;
    unsigned rings;
} nodes[NODES];
static struct weir_config_breaker config;
static struct weir_breaker_state store;
static uv_loop_t loop;
static struct weir_mailbox mailbox;
static uint64_t now;

static void answer(struct weir_bell *b)
{
    WEIR_CONTAINER(b, struct node, bell)->rings++;
}

static uint64_t number_of(unsigned node)
{
    return 1000 + node;
}

static void setup(void)
{
    config = (struct weir_config_breaker){.enabled = true,
                                          .monitoring_enabled = true,
                                          .failure_threshold = 5,
                                          .recovery_timeout_ms = 10000,
                                          .half_open_permits = 1};
    now = 1000000;
    uv_loop_init(&loop);
    ck_assert_int_eq(weir_mailbox_init(&mailbox, &loop, NULL), 0);
    weir_breaker_init(&store, STORE_MS);
    for (unsigned i = 0; i < NODES; i++) {
        struct node *n = &nodes[i];
        snprintf(n->id, sizeof n->id, "node-%u", i);
        n->provider = weir_provider_new("p", WORKERS);
        n->e = weir_endpoint_new(n->provider, "http://a:1");
        weir_circuit_configure(&n->e->circuit, &config, TRY_MS);
        weir_bell_init(&n->bell, &mailbox, answer);
        weir_circuit_share(n->e, now, number_of(i), &n->bell);
    }
}

static void teardown(void)
{
    for (unsigned i = 0; i < NODES; i++) {
        weir_endpoint_unref(nodes[i].e);
        weir_provider_unref(nodes[i].provider);
    }
    weir_mailbox_close(&mailbox, NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
    uv_loop_close(&loop);
}

static struct weir_circuit_caller on(unsigned worker)
{
    return (struct weir_circuit_caller){worker, now, NULL};
}

static struct weir_breaker_answer admit(unsigned node, unsigned worker)
{
    const struct weir_circuit_caller by = on(worker);
    return weir_circuit_admit(nodes[node].e, &by);
}

static bool try_once(unsigned node, unsigned worker, enum weir_breaker_verdict v)
{
    const struct weir_circuit_caller by = on(worker);
    struct weir_breaker_answer a = weir_circuit_admit(nodes[node].e, &by);
    if (a.word == WEIR_BREAKER_ADMIT)
        weir_circuit_done(nodes[node].e, &by, &a.ticket, v, 0, "test");
    return a.word == WEIR_BREAKER_ADMIT;
}

static void learn(unsigned node, const char *by_node)
{
    const struct weir_circuit_caller by = on(WEIR_CIRCUIT_CONTROL);
    struct weir_breaker_sight seen = weir_breaker_look(&store);
    weir_circuit_learn(nodes[node].e, &by, &seen, STORE_MS, by_node);
}

/* Carries a report of at least that haste to the store and its answer back. */
static bool report(unsigned node, enum weir_cluster_haste least)
{
    const struct weir_circuit_caller by = on(WEIR_CIRCUIT_CONTROL);
    struct weir_breaker_report r;
    struct weir_breaker_policy policy;
    struct weir_breaker_reply reply;
    if (!weir_circuit_take_report(nodes[node].e, now, least, &r, &policy))
        return false;
    ck_assert_uint_eq(r.node, number_of(node));
    weir_breaker_report(&store, &policy, STORE_MS, &r, &reply);
    learn(node, "");
    weir_circuit_granted(nodes[node].e, &by, &r, &reply, STORE_MS);
    return true;
}

static void share_all(void)
{
    for (unsigned i = 0; i < NODES; i++)
        ck_assert(report(i, WEIR_CLUSTER_URGENT));
}

static enum weir_breaker_phase phase(unsigned node)
{
    return weir_circuit_look(nodes[node].e, now).phase;
}

static uint64_t counted(unsigned node, enum weir_endpoint_counter id)
{
    uint64_t n = nodes[node].e->control.at[id];
    for (unsigned w = 0; w < WORKERS; w++)
        n += nodes[node].e->local[w].counters.at[id];
    return n;
}

static unsigned rings(unsigned node)
{
    nodes[node].rings = 0;
    weir_mailbox_drain(&mailbox);
    return nodes[node].rings;
}

START_TEST(test_an_unknown_circuit_is_asked_for_once)
{
    struct weir_breaker_report r;
    struct weir_breaker_policy policy;
    ck_assert(weir_circuit_take_report(nodes[0].e, now, WEIR_CLUSTER_URGENT, &r, &policy));
    ck_assert_uint_eq(r.ok + r.fail + r.want + r.probe_count, 0);
    ck_assert(!weir_circuit_take_report(nodes[0].e, now, WEIR_CLUSTER_CALM, &r, &policy));
    now += WEIR_BREAKER_ASK_MS; /* it was lost */
    ck_assert(report(0, WEIR_CLUSTER_URGENT));
    now += WEIR_BREAKER_ASK_MS;
    ck_assert(!report(0, WEIR_CLUSTER_CALM));
}
END_TEST

START_TEST(test_haste)
{
    share_all();
    ck_assert(try_once(0, 0, WEIR_BREAKER_SUCCESS));
    ck_assert(!report(0, WEIR_CLUSTER_CALM)); /* in the worker's cell */
    weir_circuit_tick(nodes[0].e, now);
    ck_assert(!report(0, WEIR_CLUSTER_SOON));
    ck_assert(report(0, WEIR_CLUSTER_CALM));
    ck_assert(try_once(0, 0, WEIR_BREAKER_FAILURE));
    ck_assert(!report(0, WEIR_CLUSTER_URGENT));
    ck_assert_uint_eq(rings(0), 0);
    ck_assert(report(0, WEIR_CLUSTER_SOON));
    for (unsigned i = 0; i < 4; i++)
        ck_assert(try_once(0, i % WORKERS, WEIR_BREAKER_FAILURE));
    ck_assert_uint_eq(rings(0), 1);
    ck_assert(report(0, WEIR_CLUSTER_URGENT));
    ck_assert_uint_eq(rings(0), 0);
}
END_TEST

START_TEST(test_one_nodes_failures_open_it_for_all)
{
    share_all();
    for (unsigned i = 0; i < 5; i++)
        ck_assert(try_once(0, i % WORKERS, WEIR_BREAKER_FAILURE));
    ck_assert_int_eq(phase(0), WEIR_BREAKER_OPEN);
    ck_assert_int_eq(phase(1), WEIR_BREAKER_CLOSED);
    ck_assert(report(0, WEIR_CLUSTER_URGENT));
    learn(1, nodes[0].id);
    learn(1, nodes[0].id);
    ck_assert_int_eq(phase(1), WEIR_BREAKER_OPEN);
    ck_assert(!try_once(1, 0, WEIR_BREAKER_SUCCESS));
    ck_assert_uint_eq(admit(1, 0).wait_ms, 10000);
    /* Each has told it once, the second by control. */
    ck_assert_uint_eq(counted(0, WEIR_EC_CIRCUIT_OPENED), 1);
    ck_assert_uint_eq(counted(1, WEIR_EC_CIRCUIT_OPENED), 1);
    ck_assert_uint_eq(nodes[1].e->control.at[WEIR_EC_CIRCUIT_OPENED], 1);
}
END_TEST

START_TEST(test_failures_of_several_nodes_add_up)
{
    share_all();
    for (unsigned n = 0; n < NODES; n++) {
        for (unsigned i = 0; i < 2; i++)
            ck_assert(try_once(n, i, WEIR_BREAKER_FAILURE));
        ck_assert(report(n, WEIR_CLUSTER_SOON));
    }
    ck_assert_int_eq(store.phase, WEIR_BREAKER_OPEN);
    ck_assert_int_eq(phase(2), WEIR_BREAKER_OPEN);
    ck_assert_uint_eq(counted(2, WEIR_EC_CIRCUIT_OPENED), 1);
    learn(0, nodes[2].id);
    ck_assert_int_eq(phase(0), WEIR_BREAKER_OPEN);
}
END_TEST

START_TEST(test_a_broken_node_opens_its_own_alone)
{
    share_all();
    for (unsigned i = 0; i < 4; i++)
        ck_assert(try_once(1, 0, WEIR_BREAKER_SUCCESS));
    weir_circuit_tick(nodes[1].e, now);
    ck_assert(report(1, WEIR_CLUSTER_CALM));
    for (unsigned i = 0; i < 5; i++)
        ck_assert(try_once(0, 0, WEIR_BREAKER_FAILURE));
    ck_assert(report(0, WEIR_CLUSTER_URGENT));
    ck_assert_int_eq(store.phase, WEIR_BREAKER_CLOSED);
    ck_assert_int_eq(phase(0), WEIR_BREAKER_OPEN);
    ck_assert_uint_eq(counted(0, WEIR_EC_CIRCUIT_KEPT), 1);
    learn(1, nodes[0].id);
    ck_assert_int_eq(phase(1), WEIR_BREAKER_CLOSED);
    now += 10000; /* it needs no permit of the store: the shared circuit is closed */
    ck_assert(try_once(0, 0, WEIR_BREAKER_SUCCESS));
    ck_assert_int_eq(phase(0), WEIR_BREAKER_CLOSED);
}
END_TEST

START_TEST(test_one_probe_in_the_whole_cluster)
{
    const struct weir_circuit_caller by = on(1);
    share_all();
    for (unsigned i = 0; i < 5; i++)
        ck_assert(try_once(0, 0, WEIR_BREAKER_FAILURE));
    for (unsigned n = 0; n < NODES; n++)
        n == 0 ? (void)report(n, WEIR_CLUSTER_URGENT) : learn(n, nodes[0].id);
    now += 10000;
    rings(1);
    ck_assert(weir_circuit_may_admit(nodes[1].e, now));
    ck_assert_int_eq(admit(1, 0).word, WEIR_BREAKER_REFUSE_ASKED);
    ck_assert_uint_eq(rings(1), 1);
    ck_assert(!weir_circuit_may_admit(nodes[1].e, now)); /* others need not try before the answer is there */
    ck_assert(report(1, WEIR_CLUSTER_URGENT));
    ck_assert_int_eq(phase(1), WEIR_BREAKER_HALF_OPEN);
    ck_assert(weir_circuit_wants_probe(nodes[1].e, now));
    struct weir_breaker_answer a = admit(1, 1);
    ck_assert_int_eq(a.word, WEIR_BREAKER_ADMIT);
    ck_assert_uint_ne(a.ticket.permit, 0);
    for (unsigned n = 0; n < NODES; n++) {
        if (n != 1)
            learn(n, nodes[1].id);
        admit(n, 0);
        report(n, WEIR_CLUSTER_URGENT);
        ck_assert_int_eq(admit(n, 0).word, WEIR_BREAKER_REFUSE_HALF_OPEN);
    }
    weir_circuit_done(nodes[1].e, &by, &a.ticket, WEIR_BREAKER_SUCCESS, 0, NULL);
    ck_assert(report(1, WEIR_CLUSTER_URGENT));
    for (unsigned n = 0; n < NODES; n++) {
        learn(n, nodes[1].id);
        ck_assert_int_eq(phase(n), WEIR_BREAKER_CLOSED);
        ck_assert_uint_eq(counted(n, WEIR_EC_CIRCUIT_OPENED), 1);
        ck_assert_uint_eq(counted(n, WEIR_EC_CIRCUIT_HALF_OPENED), 1);
        ck_assert_uint_eq(counted(n, WEIR_EC_CIRCUIT_CLOSED), 1);
        ck_assert_int_eq(nodes[n].e->circuit.mode, WEIR_CIRCUIT_CALM);
    }
}
END_TEST

START_TEST(test_a_cooldown_is_for_all)
{
    const struct weir_circuit_caller by = on(0);
    share_all();
    struct weir_breaker_answer a = admit(0, 0);
    rings(0);
    weir_circuit_done(nodes[0].e, &by, &a.ticket, WEIR_BREAKER_NEITHER, 3000, "status 429");
    ck_assert_uint_eq(rings(0), 1);
    ck_assert(report(0, WEIR_CLUSTER_URGENT));
    learn(1, nodes[0].id);
    ck_assert(!weir_circuit_may_admit(nodes[1].e, now + 2999));
    ck_assert(weir_circuit_is_cooled(nodes[1].e));
    ck_assert_uint_eq(counted(0, WEIR_EC_CIRCUIT_COOLED), 1);
    ck_assert_uint_eq(counted(1, WEIR_EC_CIRCUIT_COOLED), 1);
    now += 3000;
    ck_assert(try_once(1, 0, WEIR_BREAKER_SUCCESS));
    ck_assert(!weir_circuit_is_cooled(nodes[1].e));
}
END_TEST

START_TEST(test_the_store_goes_away_and_comes_back)
{
    share_all();
    for (unsigned i = 0; i < 5; i++)
        ck_assert(try_once(0, 0, WEIR_BREAKER_FAILURE));
    ck_assert(report(0, WEIR_CLUSTER_URGENT));
    learn(1, nodes[0].id);
    now += 4000;
    for (unsigned n = 0; n < NODES; n++)
        weir_circuit_alone(nodes[n].e, now);
    ck_assert_uint_eq(admit(1, 0).wait_ms, 6000); /* open until its deadline */
    ck_assert(try_once(2, 0, WEIR_BREAKER_SUCCESS));
    now += 6000;
    ck_assert(try_once(1, 0, WEIR_BREAKER_SUCCESS)); /* a probe of its own */
    ck_assert_int_eq(phase(1), WEIR_BREAKER_CLOSED);
    /* What the store knows is older, and holds all the same: one probe of the cluster's finds out. */
    ck_assert(report(1, WEIR_CLUSTER_URGENT));
    ck_assert_int_eq(phase(1), WEIR_BREAKER_OPEN);
    ck_assert_int_eq(admit(1, 0).word, WEIR_BREAKER_REFUSE_ASKED);
    ck_assert(report(1, WEIR_CLUSTER_URGENT));
    ck_assert(try_once(1, 0, WEIR_BREAKER_SUCCESS));
    ck_assert(report(1, WEIR_CLUSTER_URGENT));
    ck_assert_int_eq(phase(1), WEIR_BREAKER_CLOSED);
}
END_TEST

static _Atomic bool over;
static _Atomic uint32_t probes_out, probes_max;
static _Atomic uint64_t clock_ms;

struct thread {
    pthread_t thread;
    unsigned node, worker;
};

static void *churn(void *arg)
{
    const struct thread *t = arg;
    struct weir_rng rng = {t->node * WORKERS + t->worker + 1};
    while (!atomic_load(&over)) {
        struct weir_circuit_caller by = {t->worker, atomic_load(&clock_ms), NULL};
        struct weir_breaker_answer a = weir_circuit_admit(nodes[t->node].e, &by);
        if (a.word != WEIR_BREAKER_ADMIT)
            continue;
        if (a.ticket.permit != 0) {
            uint32_t n = atomic_fetch_add(&probes_out, 1) + 1;
            if (n > atomic_load(&probes_max))
                atomic_store(&probes_max, n);
            atomic_fetch_sub(&probes_out, 1);
        }
        bool well = weir_rng_next(&rng) % 4 == 0;
        weir_circuit_done(nodes[t->node].e, &by, &a.ticket, well ? WEIR_BREAKER_SUCCESS : WEIR_BREAKER_FAILURE, 0, "");
    }
    return NULL;
}

/* Workers of all nodes at once, while this thread is the control of each and the store. */
START_TEST(test_threads_share)
{
    struct thread threads[NODES * WORKERS];
    struct weir_rng rng = {7};
    unsigned opened = 0, closed = 0;
    config.recovery_timeout_ms = 20;
    for (unsigned i = 0; i < NODES; i++)
        weir_circuit_configure(&nodes[i].e->circuit, &config, 1000000);
    share_all();
    atomic_store(&clock_ms, now);
    for (unsigned i = 0; i < NODES * WORKERS; i++) {
        threads[i].node = i / WORKERS;
        threads[i].worker = i % WORKERS;
        ck_assert_int_eq(pthread_create(&threads[i].thread, NULL, churn, &threads[i]), 0);
    }
    while (opened < 10 || closed < 5) { /* as many probes as that takes */
        enum weir_breaker_phase before = store.phase;
        unsigned n = (unsigned)(weir_rng_next(&rng) % NODES);
        atomic_store(&clock_ms, ++now);
        weir_mailbox_drain(&mailbox);
        report(n, weir_rng_next(&rng) % 2 == 0 ? WEIR_CLUSTER_URGENT : WEIR_CLUSTER_CALM);
        learn((unsigned)(weir_rng_next(&rng) % NODES), "");
        opened += store.phase == WEIR_BREAKER_OPEN && before != WEIR_BREAKER_OPEN;
        closed += store.phase == WEIR_BREAKER_CLOSED && before != WEIR_BREAKER_CLOSED;
    }
    atomic_store(&over, true);
    for (unsigned i = 0; i < NODES * WORKERS; i++)
        pthread_join(threads[i].thread, NULL);
    weir_mailbox_drain(&mailbox);
    ck_assert_uint_eq(probes_max, 1);
}
END_TEST

CHECK_MAIN("circuit_shared", setup, teardown, test_an_unknown_circuit_is_asked_for_once, test_haste,
           test_one_nodes_failures_open_it_for_all, test_failures_of_several_nodes_add_up,
           test_a_broken_node_opens_its_own_alone, test_one_probe_in_the_whole_cluster, test_a_cooldown_is_for_all,
           test_the_store_goes_away_and_comes_back, test_threads_share)
