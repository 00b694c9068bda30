#include "core/redis_url.h"

#include <stdio.h>
#include <string.h>

#include "check_main.h"
#include "core/config_check.h"

static struct weir_arena arena;
static struct weir_redis_url u;

static void teardown(void)
{
    weir_arena_reset(&arena);
}

static void parse(const char *text)
{
    const char *wrong = weir_redis_url_parse(&u, &arena, text);
    ck_assert_msg(wrong == NULL, "%s %s", text, wrong);
    ck_assert_ptr_null(weir_config_check_redis_url(text));
}

static void refuse(const char *text, const char *why)
{
    const char *wrong = weir_redis_url_parse(&u, &arena, text);
    ck_assert_msg(wrong != NULL, "%s was taken", text);
    ck_assert_msg(strstr(wrong, why) != NULL, "%s: %s", text, wrong);
    ck_assert_ptr_null(strstr(wrong, "s3cret"));
    ck_assert_ptr_nonnull(weir_config_check_redis_url(text));
}

static void expect_host(unsigned i, const char *host, unsigned port)
{
    ck_assert_uint_lt(i, u.host_count);
    ck_assert_str_eq(u.hosts[i].host, host);
    ck_assert_uint_eq(u.hosts[i].port, port);
}

START_TEST(test_tcp)
{
    parse("redis://localhost");
    ck_assert_int_eq(u.kind, WEIR_REDIS_TCP);
    ck_assert(!u.tls);
    expect_host(0, "localhost", 6379);
    ck_assert_uint_eq(u.db, 0);
    ck_assert_ptr_null(u.server.password);

    parse("rediss://cache.example:7000/12");
    ck_assert(u.tls);
    expect_host(0, "cache.example", 7000);
    ck_assert_uint_eq(u.db, 12);

    parse("redis://[2001:db8::1]:6380/");
    expect_host(0, "2001:db8::1", 6380);
    parse("redis://[::1]");
    expect_host(0, "::1", 6379);
    parse("redis://10.0.0.1:1");
    expect_host(0, "10.0.0.1", 1);
}
END_TEST

START_TEST(test_credentials)
{
    parse("redis://weir:s3cret@host");
    ck_assert_str_eq(u.server.user, "weir");
    ck_assert_str_eq(u.server.password, "s3cret");
    parse("redis://:s3cret@host");
    ck_assert_ptr_null(u.server.user);
    ck_assert_str_eq(u.server.password, "s3cret");
    parse("redis://weir:@host"); /* a user who needs none */
    ck_assert_str_eq(u.server.password, "");
    parse("redis://a%3Ab:%40%2f%25%c3%a9@host");
    ck_assert_str_eq(u.server.user, "a:b");
    ck_assert_str_eq(u.server.password, "@/%\xc3\xa9");
    parse("redis://weir:a:b@c@host"); /* what is not encoded and can still only mean this */
    ck_assert_str_eq(u.server.password, "a:b@c");
}
END_TEST

START_TEST(test_unix)
{
    static const char *const texts[] = {"unix:/run/redis.sock", "unix:///run/redis.sock",
                                        "redis+unix:///run/redis.sock", "unix:/run/%72edis.sock"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        parse(texts[i]);
        ck_assert_int_eq(u.kind, WEIR_REDIS_UNIX);
        ck_assert_str_eq(u.path, "/run/redis.sock");
    }
    parse("unix://weir:s3cret@/run/redis.sock?db=4");
    ck_assert_str_eq(u.server.user, "weir");
    ck_assert_uint_eq(u.db, 4);
}
END_TEST

START_TEST(test_sentinel)
{
    parse("redis+sentinel://weir:s3cret@a,b:5000,[::1]:26380/my%20master/2");
    ck_assert_int_eq(u.kind, WEIR_REDIS_SENTINEL);
    ck_assert_uint_eq(u.host_count, 3);
    expect_host(0, "a", 26379);
    expect_host(1, "b", 5000);
    expect_host(2, "::1", 26380);
    ck_assert_str_eq(u.master, "my master");
    ck_assert_uint_eq(u.db, 2);
    ck_assert_str_eq(u.server.password, "s3cret");
    ck_assert_ptr_null(u.sentinel.password);
    parse("rediss+sentinel://a/m?sentinel_username=s&sentinel_password=p%26q");
    ck_assert(u.tls);
    ck_assert_str_eq(u.sentinel.user, "s");
    ck_assert_str_eq(u.sentinel.password, "p&q");
    ck_assert_ptr_null(u.server.password);
}
END_TEST

START_TEST(test_refused)
{
    refuse("", "is not a store's URL");
    refuse("http://host", "is not a store's URL");
    refuse("redis:/host", "is not a store's URL");
    refuse("redis://", "its host must be");
    refuse("redis://:6379", "its host must be");
    refuse("redis://host:0", "its port 1 to 65535");
    refuse("redis://host:65536", "its port 1 to 65535");
    refuse("redis://host:x", "its port 1 to 65535");
    refuse("redis://::1:6379", "IPv6 in brackets");
    refuse("redis://[::1", "IPv6 in brackets");
    refuse("redis://ho st", "a character that no URL has");
    refuse("redis://host/0#x", "a character that no URL has");
    refuse("redis://h\xc3\xb6st", "a character that no URL has");
    refuse("redis://a,b", "its host must be");
    refuse("redis://host/x", "a database's number");
    refuse("redis://host/-1", "a database's number");
    refuse("redis://host/99999999999", "a database's number");
    refuse("redis://host/0/1", "a database's number");
    refuse("redis://s3cret@host", "one word before the @");
    refuse("redis://@host", "one word before the @");
    refuse("redis://:s3cret%@host", "not the beginning of %XX");
    refuse("redis://:s3cret%0@host", "not the beginning of %XX");
    refuse("redis://:s3cret%00@host", "not the beginning of %XX");
    refuse("redis://host?db=1", "a query that is not known");
}
END_TEST

START_TEST(test_refused_elsewhere)
{
    refuse("unix:", "absolute path");
    refuse("unix:run/redis.sock", "absolute path");
    refuse("unix://host/run/redis.sock", "names a host");
    refuse("unix:/run?db=x", "a database's number");
    refuse("unix:/run?timeout=1", "a query that is not known");
    char path[128] = "unix:/";
    memset(path + 6, 'x', WEIR_REDIS_PATH_MAX - 1);
    parse(path);
    strcat(path, "x");
    refuse(path, "too long for a socket");

    refuse("redis+sentinel://a,b", "does not name the master");
    refuse("redis+sentinel://a,b/", "does not name the master");
    refuse("redis+sentinel:///m", "its host must be");
    refuse("redis+sentinel://a,,b/m", "its host must be");
    refuse("redis+sentinel://a,/m", "its host must be");
    refuse("redis+sentinel://a/m?sentinel_username=x", "without a sentinel_password");
    char many[256] = "redis+sentinel://h";
    for (unsigned i = 1; i < WEIR_REDIS_HOSTS_MAX; i++)
        strcat(many, ",h");
    size_t len = strlen(many);
    strcat(many, "/m");
    parse(many);
    strcpy(many + len, ",h/m");
    refuse(many, "more than 16 sentinels");
}
END_TEST

CHECK_MAIN("redis_url", NULL, teardown, test_tcp, test_credentials, test_unix, test_sentinel, test_refused,
           test_refused_elsewhere)
