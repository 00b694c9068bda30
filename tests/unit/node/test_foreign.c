/* Where a redirect led outside its provider: its runtime, and what the pool does with its connections. */
#include "node/foreign.h"

#include <string.h>

#include "check_main.h"
#include "helper_pool.h"

#define WORKERS 2u

static struct weir_view_provider view;
static struct weir_endpoint *foreign;

static void setup(void)
{
    world_open(WORKERS);
    view = (struct weir_view_provider){.rt = provider};
    const struct weir_config_endpoint origin = {
        .id = "http://else.test:1", .host = "else.test", .authority = "else.test:1", .port = 1};
    foreign = weir_foreign_new(&view, &origin)->rt;
}

static void teardown(void)
{
    if (foreign != NULL) {
        ck_assert_uint_eq(foreign->refs, 1);
        weir_endpoint_unref(foreign);
    }
    world_close();
}

static enum weir_pool_result ask_foreign(unsigned worker, struct wish *w)
{
    struct weir_err err;
    wish_init(w, 0, false);
    w->waiter.wanted = foreign;
    w->waiter.place.endpoints = 0;
    return weir_pool_acquire(pools[worker], &w->waiter, &w->got, &err);
}

START_TEST(test_it_is_no_endpoint_of_the_provider)
{
    ck_assert(weir_endpoint_is_foreign(foreign) && !weir_endpoint_is_foreign(ends[0]));
    ck_assert(foreign->retired);
    ck_assert_uint_eq(foreign->slot, WEIR_SLOT_NONE);
    ck_assert_uint_eq(provider->slots_used, 3);
    for (unsigned i = 0; i < WEIR_POOL_ENDPOINTS_MAX; i++)
        ck_assert_ptr_ne(provider->places.at[i], foreign);
}
END_TEST

START_TEST(test_it_keeps_what_it_was_made_of)
{
    char host[] = "a.test";
    const struct weir_config_endpoint origin = {
        .id = "http://a.test:8", .host = host, .authority = "a.test:8", .port = 8};
    const struct weir_view_endpoint *e = weir_foreign_new(&view, &origin);
    memset(host, 'x', sizeof host - 1);
    ck_assert_str_eq(e->config->id, "http://a.test:8");
    ck_assert_str_eq(e->config->host, "a.test");
    ck_assert_str_eq(e->config->authority, "a.test:8");
    ck_assert_str_eq(e->config->path_prefix, "");
    ck_assert_uint_eq(e->config->port, 8);
    ck_assert_ptr_eq(e->provider, &view);
    ck_assert_uint_eq(e->address_count, 0);
    weir_endpoint_unref(e->rt);
}
END_TEST

START_TEST(test_there_may_be_any_number)
{
    const struct weir_view_endpoint *all[WEIR_POOL_ENDPOINTS_MAX + 1];
    for (unsigned i = 0; i <= WEIR_POOL_ENDPOINTS_MAX; i++) {
        all[i] = weir_foreign_new(&view, foreign->foreign->at.config);
        ck_assert_ptr_nonnull(all[i]);
    }
    struct weir_endpoint *own = weir_endpoint_new(provider, "http://c:1");
    ck_assert_uint_eq(own->slot, 2); /* a reload finds its slots as ever */
    weir_endpoint_unref(own);
    for (unsigned i = 0; i <= WEIR_POOL_ENDPOINTS_MAX; i++)
        weir_endpoint_unref(all[i]->rt);
}
END_TEST

START_TEST(test_one_exchange_each)
{
    struct wish w;
    ck_assert_int_eq(ask_foreign(0, &w), WEIR_POOL_WAITING);
    ck_assert_uint_eq(provider->total, 1);
    opens(0);
    ck_assert_ptr_nonnull(w.got);
    weir_pool_release(pools[0], w.got);
    ck_assert_int_eq(alive, 0);
    ck_assert_uint_eq(provider->total, 0);
}
END_TEST

START_TEST(test_nobody_else_gets_it)
{
    struct wish first, own, there;
    struct weir_pool_conn *leased = lease_new(0, 0);
    ck_assert_int_eq(ask_foreign(0, &first), WEIR_POOL_WAITING); /* dials in the second place */
    ck_assert_int_eq(ask(0, &own, 0, false), WEIR_POOL_WAITING);
    places[1].now_us = 100;
    ck_assert_int_eq(ask(1, &there, 0, false), WEIR_POOL_WAITING);
    opens(0);
    ck_assert_ptr_eq(first.got->endpoint, foreign);
    ck_assert_ptr_null(own.got);
    ck_assert_ptr_null(there.got);
    weir_pool_release(pools[0], first.got); /* closed: its place is for who has waited longest */
    opens(0);
    ck_assert_ptr_eq(own.got->endpoint, ends[0]);
    weir_pool_release(pools[0], own.got);
    deliver();
    ck_assert_ptr_eq(there.got, own.got);
    weir_pool_release(pools[0], leased);
    weir_pool_release(pools[1], there.got);
    ck_assert_int_eq(alive_max, 2);
}
END_TEST

START_TEST(test_it_takes_no_others)
{
    struct wish w, there;
    struct weir_pool_conn *a = lease_new(0, 0), *b = lease_new(1, 0);
    ck_assert_int_eq(ask_foreign(0, &w), WEIR_POOL_WAITING);
    places[1].now_us = 100;
    ck_assert_int_eq(ask(1, &there, 0, false), WEIR_POOL_WAITING);
    weir_pool_release(pools[0], a); /* of no use to it, but its place is */
    deliver();
    ck_assert_ptr_null(w.got);
    opens(0);
    ck_assert_ptr_eq(w.got->endpoint, foreign);
    weir_pool_release(pools[1], b);
    deliver();
    ck_assert_ptr_eq(there.got, b);
    weir_pool_release(pools[0], w.got);
    weir_pool_release(pools[1], b);
    ck_assert_int_eq(alive_max, 2);
}
END_TEST

START_TEST(test_one_dialed_for_who_had_it_already_is_closed)
{
    struct wish older, w;
    struct weir_pool_conn *leased = lease_new(0, 0);
    ck_assert_int_eq(ask(0, &older, 0, false), WEIR_POOL_WAITING); /* dials */
    ck_assert_int_eq(ask_foreign(0, &w), WEIR_POOL_WAITING);
    weir_pool_release(pools[0], leased); /* serves the older one, whose dial covers this one then, for nothing */
    ck_assert_ptr_eq(older.got, leased);
    opens(0);
    ck_assert_ptr_null(w.got);
    opens(0);
    ck_assert_ptr_eq(w.got->endpoint, foreign);
    weir_pool_release(pools[0], leased);
    weir_pool_release(pools[0], w.got);
}
END_TEST

START_TEST(test_a_dial_outlives_its_request)
{
    struct wish w;
    ck_assert_int_eq(ask_foreign(0, &w), WEIR_POOL_WAITING);
    weir_pool_cancel(pools[0], &w.waiter);
    weir_endpoint_unref(foreign);
    foreign = NULL;
    ck_assert_int_eq(alive, 1);
    opens(0);
    ck_assert_int_eq(alive, 0);
    ck_assert_uint_eq(provider->total, 0);
}
END_TEST

START_TEST(test_a_failed_dial_fails_who_wanted_it)
{
    struct wish w, own;
    ck_assert_int_eq(ask(0, &own, 0, false), WEIR_POOL_WAITING);
    ck_assert_int_eq(ask_foreign(0, &w), WEIR_POOL_WAITING);
    opens(0);
    fails(0);
    ck_assert_int_eq(w.failed, WEIR_EREFUSED);
    ck_assert_int_eq(own.failed, 0);
    weir_pool_release(pools[0], own.got);
}
END_TEST

CHECK_MAIN("node foreign", setup, teardown, test_it_is_no_endpoint_of_the_provider, test_it_keeps_what_it_was_made_of,
           test_there_may_be_any_number, test_one_exchange_each, test_nobody_else_gets_it, test_it_takes_no_others,
           test_one_dialed_for_who_had_it_already_is_closed, test_a_dial_outlives_its_request,
           test_a_failed_dial_fails_who_wanted_it)
