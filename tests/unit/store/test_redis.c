/* The link against real servers, each test with every one that is installed. */
#include "store/redis.h"

#include <stdio.h>

#include "check_main.h"
#include "helper_link.h"

static const struct weir_redis_script echo = {
    .name = "echo",
    .body = "return {KEYS[1], ARGV[1]}",
    .len = 25,
    .sha1 = "d006f1a90249474274c76f5be725b8f5804a346b",
};

static void check_calls(void)
{
    link_open_to_server();
    RUN_UNTIL(&f.r, f.ups == 1 && f.subscribed == 1);
    ck_assert_str_eq(LINK_ASK("SET", "a", "1"), "OK ");
    ck_assert_str_eq(LINK_ASK("INCR", "a"), "2 ");
    ck_assert_str_eq(LINK_ASK("MGET", "a", "b"), "2  ");
    ck_assert_str_eq(LINK_ASK("CLIENT", "GETNAME"), "weir-test ");
    ck_assert_ptr_nonnull(strstr(LINK_ASK("CLIENT", "INFO"), " db=3 "));
    ck_assert_ptr_nonnull(strstr(LINK_ASK("NONSENSE"), "ERR unknown command"));
    ck_assert_str_eq(LINK_ASK("PUBLISH", "two", "hello"), "1 ");
    RUN_UNTIL(&f.r, f.messages == 1);
    ck_assert_str_eq(f.message, "two hello");
    ck_assert_uint_eq(f.downs, 0);
}

START_TEST(test_calls)
{
    link_each_server(check_calls, NULL);
}
END_TEST

static void check_script(void)
{
    struct weir_str key = WEIR_STR("k"), arg = WEIR_STR("v");
    link_open_to_server();
    RUN_UNTIL(&f.r, f.ups == 1);
    for (unsigned i = 1; i <= 2; i++) {
        ck_assert_int_eq(weir_redis_link_eval(f.link, &echo, &key, 1, &arg, 1, 0, link_answered, &f), 0);
        RUN_UNTIL(&f.r, f.answers == i);
        ck_assert_str_eq(f.last, "k v ");
    }
    struct weir_redis_stats stats;
    weir_redis_link_stats(f.link, &stats);
    ck_assert_uint_eq(stats.errors, 1); /* NOSCRIPT, the first time only */
}

START_TEST(test_script)
{
    link_each_server(check_script, NULL);
}
END_TEST

CHECK_MAIN("redis", link_setup, link_teardown, test_calls, test_script)
