/* Where the peer listener is bound and what the others are told of it. */
#include <stdio.h>
#include <string.h>

#include "check_main.h"
#include "node/peer_address.h"

static struct weir_config config;
static struct weir_config_listen listen_at;
static struct weir_addr bound;
static char told[WEIR_ADVERTISE_MAX + 1];

static void setup(void)
{
    listen_at = (struct weir_config_listen){.host = "127.0.0.1", .port = 8000};
    config = (struct weir_config){.server.listen = {&listen_at, 1}};
}

static void teardown(void)
{
}

static void bind_to(const char *text)
{
    struct weir_err err;
    ck_assert_int_eq(weir_addr_parse(&bound, weir_str_of(text), &err), 0);
}

static const char *tell(const char *store_host)
{
    weir_peer_address_tell(told, &config, &bound, store_host);
    return told;
}

START_TEST(test_the_clients_host_and_a_free_port_by_default)
{
    struct weir_err err;
    struct weir_addr a;
    ck_assert_int_eq(weir_peer_address_listen(&a, &config, &err), 0);
    ck_assert_uint_eq(weir_addr_port(&a), 0);
    ck_assert_uint_eq(a.v4.sin_addr.s_addr, htonl(INADDR_LOOPBACK));
}
END_TEST

START_TEST(test_as_configured)
{
    struct weir_err err;
    struct weir_addr a;
    config.distributed_pool.peer_listen = "[::1]:7946";
    config.distributed_pool.advertise = "node-a.example.org:7946";
    ck_assert_int_eq(weir_peer_address_listen(&a, &config, &err), 0);
    ck_assert_uint_eq(weir_addr_port(&a), 7946);
    ck_assert_int_eq(a.sa.sa_family, AF_INET6);
    bind_to("0.0.0.0:1");
    ck_assert_str_eq(tell(""), "node-a.example.org:7946");
}
END_TEST

START_TEST(test_what_was_bound_is_told)
{
    bind_to("127.0.0.1:7001");
    ck_assert_str_eq(tell("192.0.2.1"), "127.0.0.1:7001");
    bind_to("[::1]:7001");
    ck_assert_str_eq(tell(""), "[::1]:7001");
}
END_TEST

START_TEST(test_a_wildcard_is_told_by_the_way_to_the_store)
{
    bind_to("0.0.0.0:7001");
    ck_assert_str_eq(tell("127.0.0.1"), "127.0.0.1:7001");
    bind_to("[::]:7001"); /* which takes IPv4 too */
    ck_assert_str_eq(tell("127.0.0.1"), "127.0.0.1:7001");
}
END_TEST

START_TEST(test_a_wildcard_is_never_told_as_such)
{
    static const char *const stores[] = {"", "redis.test", "::1"};
    bind_to("0.0.0.0:7001");
    for (size_t i = 0; i < sizeof stores / sizeof stores[0]; i++) {
        ck_assert_ptr_null(strstr(tell(stores[i]), "0.0.0.0"));
        ck_assert_ptr_null(strchr(told, '[')); /* IPv6 does not reach it */
        ck_assert_ptr_nonnull(strstr(told, ":7001"));
    }
}
END_TEST

CHECK_MAIN("peer_address", setup, teardown, test_the_clients_host_and_a_free_port_by_default, test_as_configured,
           test_what_was_bound_is_told, test_a_wildcard_is_told_by_the_way_to_the_store,
           test_a_wildcard_is_never_told_as_such)
