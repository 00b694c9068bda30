/* The living side of providers and endpoints: slots, references, limits. */
#include "node/runtime.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check_main.h"
#include "helper/core_failmalloc.h"

#define WORKERS 3u

static struct weir_provider *provider;

static void setup(void)
{
    provider = weir_provider_new("p", WORKERS);
    ck_assert_ptr_nonnull(provider);
}

static void teardown(void)
{
    ck_assert_uint_eq(provider->slots_used, 0);
    ck_assert_uint_eq(provider->refs, 1);
    weir_provider_unref(provider);
}

START_TEST(test_what_a_worker_writes_shares_no_cache_line)
{
    struct weir_endpoint *e = weir_endpoint_new(provider, "http://a:1");
    for (unsigned w = 0; w < WORKERS; w++) {
        ck_assert_uint_eq((uintptr_t)&provider->local[w] % WEIR_CACHE_LINE, 0);
        ck_assert_uint_eq((uintptr_t)&e->local[w] % WEIR_CACHE_LINE, 0);
        ck_assert_uint_eq((uintptr_t)&e->local[w].counters % sizeof(uint64_t), 0);
    }
    weir_endpoint_unref(e);
}
END_TEST

START_TEST(test_a_new_one_has_nobody_waiting)
{
    for (unsigned w = 0; w < WORKERS; w++) {
        ck_assert_uint_eq(provider->local[w].shelf.waiting, 0);
        ck_assert_uint_eq(provider->local[w].waiting_since_us, UINT64_MAX);
    }
    ck_assert_uint_eq(provider->total, 0);
    ck_assert_uint_eq(provider->total_max, 0); /* nothing may be opened before a view takes effect */
}
END_TEST

START_TEST(test_slots_run_out_and_come_back)
{
    struct weir_endpoint *e[WEIR_POOL_ENDPOINTS_MAX];
    for (unsigned i = 0; i < WEIR_POOL_ENDPOINTS_MAX; i++) {
        e[i] = weir_endpoint_new(provider, "http://a:1");
        ck_assert_ptr_nonnull(e[i]);
        ck_assert_uint_eq(e[i]->slot, i);
    }
    ck_assert_ptr_null(weir_endpoint_new(provider, "http://b:1"));
    ck_assert_uint_eq(provider->refs, 1 + WEIR_POOL_ENDPOINTS_MAX);
    weir_endpoint_unref(e[17]);
    e[17] = weir_endpoint_new(provider, "http://b:1");
    ck_assert_uint_eq(e[17]->slot, 17);
    for (unsigned i = 0; i < WEIR_POOL_ENDPOINTS_MAX; i++)
        weir_endpoint_unref(e[i]);
}
END_TEST

START_TEST(test_a_slot_is_used_again_only_when_the_last_connection_has_gone)
{
    struct weir_endpoint *old = weir_endpoint_new(provider, "http://a:1");
    weir_endpoint_ref(old); /* a connection's */
    weir_endpoint_unref(old);
    struct weir_endpoint *new = weir_endpoint_new(provider, "http://a:1");
    ck_assert_uint_ne(new->slot, old->slot);
    weir_endpoint_unref(old);
    weir_endpoint_unref(new);
}
END_TEST

START_TEST(test_an_endpoint_keeps_its_provider)
{
    struct weir_provider *p = weir_provider_new("q", 1);
    struct weir_endpoint *e = weir_endpoint_new(p, "http://a:1");
    weir_provider_unref(p);
    ck_assert_str_eq(e->provider->name, "q");
    weir_endpoint_unref(e); /* and the provider with it */
}
END_TEST

START_TEST(test_limits_of_a_configuration)
{
    struct weir_config_provider config = {.connection_reuse = true};
    config.http.pool.max_connections = 7;
    config.http.pool.max_keepalive_connections = 5;
    config.http.pool.max_pending = 3;
    config.http.pool.keepalive_expiry_ms = 1000;
    config.http.pool.max_lifetime_ms = 2000;
    weir_provider_configure(provider, &config);
    ck_assert_uint_eq(provider->total_max, 7);
    ck_assert_uint_eq(provider->idle_max, 5);
    ck_assert_uint_eq(provider->queued_max, 3);
    ck_assert_uint_eq(provider->keepalive_expiry_ms, 1000);
    ck_assert_uint_eq(provider->lifetime_max_ms, 2000);
    config.connection_reuse = false;
    weir_provider_configure(provider, &config);
    ck_assert_uint_eq(provider->idle_max, 0);
}
END_TEST

START_TEST(test_out_of_memory)
{
    bool more = true;
    for (unsigned long n = 1; more; n = failmalloc_next(n)) {
        failmalloc_begin(n);
        struct weir_provider *p = weir_provider_new("p", 2);
        struct weir_endpoint *e = p != NULL ? weir_endpoint_new(p, "http://a:1") : NULL;
        bool made = e != NULL;
        if (e != NULL)
            weir_endpoint_unref(e);
        if (p != NULL)
            weir_provider_unref(p);
        (void)failmalloc_end(&more); /* names come from strdup, which is not counted; ASan finds what is left */
        ck_assert(made != more);
    }
}
END_TEST

/* Connections take and drop references on all workers while endpoints come and go. */
static void *churn(void *arg)
{
    struct weir_endpoint *shared = arg;
    for (unsigned i = 0; i < 5000; i++) {
        weir_endpoint_ref(shared);
        struct weir_endpoint *own = weir_endpoint_new(provider, "http://b:1");
        ck_assert_ptr_nonnull(own);
        ck_assert_uint_ne(own->slot, shared->slot);
        weir_endpoint_unref(own);
        weir_endpoint_unref(shared);
    }
    weir_endpoint_unref(shared);
    return NULL;
}

START_TEST(test_threads_share_slots_and_references)
{
    pthread_t threads[WORKERS];
    struct weir_endpoint *shared = weir_endpoint_new(provider, "http://a:1");
    for (unsigned i = 0; i < WORKERS; i++) {
        weir_endpoint_ref(shared);
        ck_assert_int_eq(pthread_create(&threads[i], NULL, churn, shared), 0);
    }
    weir_endpoint_unref(shared); /* the last thread ends it */
    for (unsigned i = 0; i < WORKERS; i++)
        pthread_join(threads[i], NULL);
}
END_TEST

CHECK_MAIN("runtime", setup, teardown, test_what_a_worker_writes_shares_no_cache_line,
           test_a_new_one_has_nobody_waiting, test_slots_run_out_and_come_back,
           test_a_slot_is_used_again_only_when_the_last_connection_has_gone, test_an_endpoint_keeps_its_provider,
           test_limits_of_a_configuration, test_out_of_memory, test_threads_share_slots_and_references)
