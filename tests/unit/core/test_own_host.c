#include "check_main.h"
#include "core/own_host.h"

static const char *const names[] = {"weir.example.org", "*.inside.example"};

static bool own(const char *authority)
{
    struct weir_config c = {.server.admin.hosts = {names, 2}, .distributed_pool.advertise = "node-1.example.net:7000"};
    return weir_own_host(&c, weir_str_of(authority));
}

START_TEST(test_addresses_and_names_that_no_site_can_have_are_own)
{
    static const char *const good[] = {
        "",          "127.0.0.1",      "127.0.0.1:8000",   "10.1.2.3:80",   "[::1]",       "[::1]:8000", "[fd00::7]:1",
        "localhost", "LocalHost:8000", "a.localhost:8000", "A.B.LOCALHOST", "node-1:8000", "weir_node"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        ck_assert_msg(own(good[i]), "%s", good[i]);
}
END_TEST

START_TEST(test_other_names_with_a_dot_are_foreign)
{
    static const char *const bad[] = {
        "evil.example",    "evil.example:8000", "evil.localhost.example", "localhost.example:80",
        "evillocalhost.x", ".localhost",        "127.0.0.1.example:80",   "127.0.0.1.",
        "localhost.",      "[evil]:80",         "[127.0.0.1.example]:1",  "node-1."};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        ck_assert_msg(!own(bad[i]), "%s", bad[i]);
}
END_TEST

START_TEST(test_configured_names_are_own)
{
    static const char *const good[] = {"weir.example.org:1", "WEIR.example.ORG",   "a.inside.example",
                                       "a.b.inside.example", "node-1.example.net", "Node-1.example.net:8000"};
    static const char *const bad[] = {"x.weir.example.org", "inside.example", "example.net", "xinside.example"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        ck_assert_msg(own(good[i]), "%s", good[i]);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        ck_assert_msg(!own(bad[i]), "%s", bad[i]);
    ck_assert(!weir_own_host(&(struct weir_config){0}, WEIR_STR("weir.example.org")));
}
END_TEST

CHECK_MAIN("own_host", NULL, NULL, test_addresses_and_names_that_no_site_can_have_are_own,
           test_other_names_with_a_dot_are_foreign, test_configured_names_are_own)
