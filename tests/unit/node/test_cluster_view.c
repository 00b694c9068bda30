/* The workers' picture of the cluster: what it takes over from the agent's sight, and what outlasts a change of it. */
#include <stdlib.h>
#include <string.h>

#include "check_main.h"
#include "node/cluster_view.h"

#define WORKERS 2u

static struct weir_cluster_sight sight;
static struct weir_shared_config *shared;
static struct weir_cluster_view *view;

static void add(const char *id, const char *advertise)
{
    struct weir_cluster_peer *p = &sight.peers[sight.peer_count++];
    *p = (struct weir_cluster_peer){.alive = true, .state = WEIR_NODE_ACTIVE, .weight = 1};
    strcpy(p->id, id);
    strcpy(p->advertise, advertise);
}

static struct weir_cluster_view *build(const struct weir_cluster_view *before)
{
    struct weir_cluster_view *v;
    struct weir_err err;
    ck_assert_msg(weir_cluster_view_new(&v, &sight, shared, before, WORKERS, &err) == 0, "%s", err.msg);
    return v;
}

/* As control does. */
static void change(void)
{
    struct weir_cluster_view *next = build(view);
    weir_cluster_view_take_effect(next, view);
    weir_cluster_view_unref(view);
    view = next;
}

static void setup(void)
{
    static const char yaml[] = "providers: {a: {base_url: 'http://127.0.0.1:1'}}\ndistributed_pool: {enabled: true}\n";
    static uint16_t owner[4] = {0, 1, 2, 0};
    struct weir_config_problems problems = {0};
    struct weir_config_input in = {.file = "test.yaml", .bytes = yaml, .len = sizeof yaml - 1};
    struct weir_config *config = NULL;
    ck_assert_int_eq(weir_config_parse(&config, &in, &problems), 0);
    weir_config_problems_reset(&problems);
    shared = weir_shared_config_new(config);
    weir_cluster_sight_init(&sight);
    sight.peers = calloc(4, sizeof *sight.peers);
    sight.owner = memcpy(malloc(sizeof owner), owner, sizeof owner);
    sight.shard_count = 4;
    sight.epoch = 7;
    sight.self = 1;
    strcpy(sight.secret, "secret");
    add("a", "127.0.0.1:7001");
    add("b", "127.0.0.1:7002");
    add("c", "name.test:7003");
    view = build(NULL);
    weir_cluster_view_take_effect(view, NULL);
}

static void teardown(void)
{
    weir_cluster_view_unref(view);
    weir_cluster_sight_close(&sight);
    weir_shared_config_unref(shared);
}

START_TEST(test_peers_are_providers_and_this_node_is_none)
{
    const struct weir_peer *a = weir_cluster_view_peer(view, WEIR_STR("a"));
    const struct weir_peer *c = weir_cluster_view_peer(view, WEIR_STR("c"));
    ck_assert_ptr_null(view->peers[view->self].rt);
    ck_assert(!view->peers[view->self].may_take);
    ck_assert_uint_eq(view->taking_count, 2);
    ck_assert_str_eq(a->link.endpoints[0].config->id, "http://127.0.0.1:7001");
    ck_assert_uint_eq(a->link.endpoints[0].address_count, 1);
    ck_assert_int_eq(a->link.config->http2, WEIR_CONFIG_ON);
    ck_assert(!a->link.config->http.retry.enabled && !a->link.config->http.circuit_breaker.enabled);
    ck_assert_uint_eq(c->link.endpoints[0].address_count, 0); /* asked for when it is dialed */
    ck_assert(!c->link.config->http.features.dns_cache_enabled);
    ck_assert_ptr_null(weir_cluster_view_peer(view, WEIR_STR("")));
    ck_assert_ptr_null(weir_cluster_view_peer(view, WEIR_STR("aa")));
    ck_assert_uint_eq(view->owner[2], 2);
    ck_assert_uint_eq(view->epoch, 7);
}
END_TEST

START_TEST(test_runtimes_outlast_the_picture)
{
    const struct weir_peer *a = &view->peers[0];
    struct weir_peer_state *state = a->rt;
    struct weir_endpoint *endpoint = a->link.endpoints[0].rt;
    weir_peer_suspect(state, 1000, 500);
    sight.peers[0].alive = false;
    change();
    ck_assert_ptr_eq(view->peers[0].rt, state);
    ck_assert_ptr_eq(view->peers[0].link.endpoints[0].rt, endpoint);
    ck_assert(!view->peers[0].may_take);
    ck_assert(!weir_peer_may_ask(state, 1100, 10));
    ck_assert(!endpoint->retired);
}
END_TEST

START_TEST(test_a_new_address_is_a_new_endpoint)
{
    struct weir_endpoint *old = view->peers[0].link.endpoints[0].rt;
    struct weir_provider *provider = view->peers[0].link.rt;
    weir_endpoint_ref(old); /* as a connection would */
    strcpy(sight.peers[0].advertise, "127.0.0.1:7009");
    change();
    ck_assert(old->retired);
    ck_assert_ptr_eq(view->peers[0].link.rt, provider);
    ck_assert(!provider->retired);
    weir_endpoint_unref(old);
}
END_TEST

START_TEST(test_who_leaves_is_retired)
{
    struct weir_provider *gone = view->peers[2].link.rt;
    struct weir_endpoint *endpoint = view->peers[2].link.endpoints[0].rt;
    weir_provider_ref(gone);
    weir_endpoint_ref(endpoint);
    sight.peer_count = 2;
    sight.owner[2] = 0;
    change();
    ck_assert(gone->retired && endpoint->retired);
    ck_assert_uint_eq(view->taking_count, 1);
    weir_endpoint_unref(endpoint);
    weir_provider_unref(gone);
}
END_TEST

START_TEST(test_alone_again_retires_all)
{
    struct weir_endpoint *endpoint = view->peers[2].link.endpoints[0].rt;
    weir_cluster_view_take_effect(NULL, view);
    ck_assert(endpoint->retired);
}
END_TEST

START_TEST(test_an_address_that_is_none_is_an_error)
{
    struct weir_cluster_view *v;
    struct weir_err err;
    strcpy(sight.peers[0].advertise, "127.0.0.1");
    ck_assert_int_eq(weir_cluster_view_new(&v, &sight, shared, view, WORKERS, &err), WEIR_EINVAL);
    ck_assert_ptr_null(v);
    ck_assert_ptr_nonnull(strstr(err.msg, "node a"));
}
END_TEST

START_TEST(test_a_suspect_is_tried_by_one_request_at_a_time)
{
    struct weir_peer_state *s = view->peers[0].rt;
    ck_assert(weir_peer_may_ask(s, 1000, 100));
    ck_assert(weir_peer_suspect(s, 1000, 500));
    ck_assert(!weir_peer_suspect(s, 1001, 500)); /* is known */
    ck_assert_int_eq(weir_peer_take_news(s), WEIR_PEER_NEWS_UNREACHABLE);
    ck_assert_int_eq(weir_peer_take_news(s), WEIR_PEER_NEWS_NONE);
    ck_assert(!weir_peer_may_ask(s, 1500, 100));
    ck_assert(weir_peer_may_ask(s, 1501, 100));
    ck_assert(!weir_peer_may_ask(s, 1502, 100));
    ck_assert(weir_peer_may_ask(s, 1601, 100)); /* nothing was heard of the first */
    ck_assert(!weir_peer_suspect(s, 1650, 500));
    ck_assert_int_eq(weir_peer_take_news(s), WEIR_PEER_NEWS_UNREACHABLE); /* for others to go on serving its shards */
    ck_assert(weir_peer_answered(s));
    ck_assert(!weir_peer_answered(s));
    ck_assert_int_eq(weir_peer_take_news(s), WEIR_PEER_NEWS_REACHABLE);
    ck_assert(weir_peer_may_ask(s, 1602, 100));
}
END_TEST

/* One request fails at a peer while another's answer comes: whoever of the two tells last, control hears what holds. */
START_TEST(test_news_of_two_threads_at_once)
{
    struct weir_peer_state *s = view->peers[0].rt;
    ck_assert(weir_peer_suspect(s, 1000, 500));
    ck_assert(weir_peer_answered(s));
    atomic_store(&s->has_news, true); /* the first one's second step */
    ck_assert_int_eq(weir_peer_take_news(s), WEIR_PEER_NEWS_REACHABLE);
    ck_assert(weir_peer_suspect(s, 1000, 500));
    atomic_store(&s->has_news, true); /* likewise, of an answer before it */
    ck_assert_int_eq(weir_peer_take_news(s), WEIR_PEER_NEWS_UNREACHABLE);
    ck_assert_int_eq(weir_peer_take_news(s), WEIR_PEER_NEWS_NONE);
}
END_TEST

START_TEST(test_load_is_what_was_told_and_what_was_sent_since)
{
    const struct weir_peer *a = &view->peers[0];
    struct weir_endpoint *e = a->link.endpoints[0].rt;
    atomic_store(&e->in_flight, 2);
    weir_peer_told(a->rt, e, 5000, 10);
    ck_assert_uint_eq(weir_peer_load(a->rt, e, 5000), 10);
    atomic_store(&e->in_flight, 5);
    ck_assert_uint_eq(weir_peer_load(a->rt, e, 5000), 13);
    atomic_store(&e->in_flight, 0);
    ck_assert_uint_eq(weir_peer_load(a->rt, e, 5000), 8);
    weir_peer_told(a->rt, e, 5000, 0);
    ck_assert_uint_eq(weir_peer_load(a->rt, e, 5000), 0);
    weir_peer_told(a->rt, e, 5000, 12);
    ck_assert_uint_eq(weir_peer_load(a->rt, e, 5999), 12);
    ck_assert_uint_eq(weir_peer_load(a->rt, e, 7000), 3);
    ck_assert_uint_eq(weir_peer_load(a->rt, e, UINT64_MAX), 0);
}
END_TEST

CHECK_MAIN("cluster_view", setup, teardown, test_peers_are_providers_and_this_node_is_none,
           test_runtimes_outlast_the_picture, test_a_new_address_is_a_new_endpoint, test_who_leaves_is_retired,
           test_alone_again_retires_all, test_an_address_that_is_none_is_an_error,
           test_a_suspect_is_tried_by_one_request_at_a_time, test_news_of_two_threads_at_once,
           test_load_is_what_was_told_and_what_was_sent_since)
