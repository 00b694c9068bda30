/* Failovers with real sentinels: three of them, a master and a replica. */
#include "store/sentinel.h"

#include <stdio.h>
#include <string.h>

#include "check_main.h"
#include "helper_link.h"

#define SENTINELS 3

static struct {
    struct server master, replica, sentinels[SENTINELS];
} c;

static void stop_cluster(void)
{
    for (int i = 0; i < SENTINELS; i++)
        server_end(&c.sentinels[i]);
    server_end(&c.replica);
    server_end(&c.master);
}

static void teardown(void)
{
    link_teardown();
    stop_cluster();
}

static void start_cluster(const char *program)
{
    char port[8], url[256];
    const char *master[] = {"--repl-diskless-sync-delay", "0", NULL};
    server_start(&c.master, program, master);
    snprintf(port, sizeof port, "%u", c.master.port);
    const char *replica[] = {"--replicaof", "127.0.0.1", port, "--repl-diskless-sync-delay", "0", NULL};
    server_start(&c.replica, program, replica);
    server_wait(&c.master, "INFO replication", "state=online");
    for (int i = 0; i < SENTINELS; i++)
        server_start_sentinel(&c.sentinels[i], program, "mymaster", c.master.port);
    for (int i = 0; i < SENTINELS; i++)
        server_wait(&c.sentinels[i], "INFO sentinel", "slaves=1,sentinels=3");
    snprintf(url, sizeof url, "redis+sentinel://127.0.0.1:%u,127.0.0.1:%u,127.0.0.1:%u/mymaster/2", c.sentinels[0].port,
             c.sentinels[1].port, c.sentinels[2].port);
    link_open(url);
    RUN_UNTIL(&f.r, f.ups == 1 && f.subscribed == 1);
}

static void expect_server(const struct server *s)
{
    char text[64];
    snprintf(text, sizeof text, "127.0.0.1:%u", s->port);
    ck_assert_str_eq(weir_redis_link_server(f.link), text);
}

static void each_cluster(void (*test)(void))
{
    for (unsigned i = 0; server_program(i) != NULL; i++) {
        start_cluster(server_program(i));
        expect_server(&c.master);
        ck_assert_str_eq(LINK_ASK("SET", "a", "1"), "OK ");
        test();
        link_close();
        stop_cluster();
    }
}

static void check_followed(void)
{
    RUN_UNTIL(&f.r, f.ups >= 2 && weir_redis_link_is_up(f.link) && weir_redis_link_is_subscribed(f.link));
    expect_server(&c.replica);
    ck_assert_str_eq(LINK_ASK("SET", "a", "2"), "OK ");
    ck_assert_str_eq(LINK_ASK("PUBLISH", "one", "x"), "1 ");
    RUN_UNTIL(&f.r, f.messages == 1);
    ck_assert_uint_eq(f.downs, 1); /* however often it was tried meanwhile */
}

static void check_lost(void)
{
    server_kill(&c.master);
    RUN_UNTIL(&f.r, f.downs == 1);
    struct weir_str ping = WEIR_STR("PING");
    ck_assert_int_eq(weir_redis_link_call(f.link, &ping, 1, 0, link_answered, &f), WEIR_ECLOSED);
    check_followed();
}

START_TEST(test_master_is_lost)
{
    each_cluster(check_lost);
}
END_TEST

static void check_moved(void)
{
    char answer[256];
    server_ask(&c.sentinels[1], "SENTINEL failover mymaster", answer, sizeof answer);
    ck_assert_msg(strncmp(answer, "+OK", 3) == 0, "%s", answer);
    check_followed();
}

START_TEST(test_master_is_moved)
{
    each_cluster(check_moved);
}
END_TEST

static void check_sentinel_gone(void)
{
    server_kill(&c.sentinels[0]);
    server_kill(&c.master);
    check_followed();
}

START_TEST(test_a_sentinel_is_lost_too)
{
    each_cluster(check_sentinel_gone);
}
END_TEST

CHECK_MAIN("sentinel", link_setup, teardown, test_master_is_lost, test_master_is_moved, test_a_sentinel_is_lost_too)
