/* The link against real servers, each test with every one that is installed. */
#include "store/redis.h"

#include <stdio.h>
#include <stdlib.h>

#include "check_main.h"
#include "helper/net_run.h"
#include "helper_server.h"

/* Generous: what is tested is never how long something takes. */
#define TIMEOUT_MS 1000u

static const struct weir_redis_script echo = {
    .name = "echo",
    .body = "return {KEYS[1], ARGV[1]}",
    .len = 25,
    .sha1 = "d006f1a90249474274c76f5be725b8f5804a346b",
};

static struct {
    struct weir_reactor r;
    struct weir_dns *dns;
    struct server server;
    struct weir_arena arena;
    struct weir_redis_url url;
    struct weir_redis_link *link;
    unsigned ups, downs, subscribed, unsubscribed, messages, answers;
    char why[512], last[1024], message[256];
    int code;
} f;

static void setup(void)
{
    struct weir_err err;
    memset(&f, 0, sizeof f);
    reactor_open(&f.r);
    ck_assert_int_eq(weir_dns_new(&f.dns, &f.r, &err), 0);
}

static void teardown(void)
{
    weir_redis_link_close(&f.link);
    weir_dns_close(&f.dns);
    server_end(&f.server);
    weir_arena_reset(&f.arena);
    weir_reactor_close(&f.r);
}

static void on_up(void *owner)
{
    (void)owner;
    f.ups++;
}

static void on_down(void *owner, const struct weir_err *why)
{
    (void)owner;
    f.downs++;
    snprintf(f.why, sizeof f.why, "%s", why->msg);
}

static void on_subscribed(void *owner)
{
    (void)owner;
    f.subscribed++;
}

static void on_unsubscribed(void *owner)
{
    (void)owner;
    f.unsubscribed++;
}

static void on_message(void *owner, struct weir_str channel, struct weir_str payload)
{
    (void)owner;
    f.messages++;
    snprintf(f.message, sizeof f.message, "%.*s %.*s", WEIR_FMT(channel), WEIR_FMT(payload));
}

static const struct weir_redis_link_events events = {on_up, on_down, on_subscribed, on_unsubscribed, on_message};
static const char *const channels[] = {"one", "two"};

static void show(const struct weir_redis_reply *reply)
{
    size_t len = strlen(f.last);
    if (reply->type == WEIR_REDIS_ARRAY)
        for (size_t i = 0; i < reply->count; i++)
            show(&reply->element[i]);
    else if (reply->type == WEIR_REDIS_INTEGER)
        snprintf(f.last + len, sizeof f.last - len, "%lld ", (long long)reply->integer);
    else
        snprintf(f.last + len, sizeof f.last - len, "%.*s ", WEIR_FMT(reply->str));
}

static void on_answer(void *owner, const struct weir_redis_reply *reply, const struct weir_err *err)
{
    ck_assert_ptr_eq(owner, &f);
    ck_assert((reply == NULL) != (err == NULL));
    f.answers++;
    f.code = err != NULL ? err->code : 0;
    f.last[0] = '\0';
    if (reply != NULL)
        show(reply);
    else
        snprintf(f.last, sizeof f.last, "%s", err->msg);
}

static void open_link(const char *url)
{
    struct weir_err err;
    const char *wrong = weir_redis_url_parse(&f.url, &f.arena, url);
    ck_assert_msg(wrong == NULL, "%s", wrong);
    struct weir_redis_link_opts opts = {.url = &f.url,
                                        .dns = f.dns,
                                        .client_name = "weir-test",
                                        .timeout_ms = TIMEOUT_MS,
                                        .seed = 7,
                                        .channels = channels,
                                        .channel_count = 2,
                                        .events = &events,
                                        .owner = &f};
    ck_assert_msg(weir_redis_link_open(&f.link, &f.r, &opts, &err) == 0, "%s", err.msg);
}

static void open_to_server(void)
{
    char url[64];
    snprintf(url, sizeof url, "redis://127.0.0.1:%u/3", f.server.port);
    open_link(url);
}

static const char *ask(const char *const *words)
{
    struct weir_str args[8];
    unsigned count = 0, before = f.answers;
    for (; words[count] != NULL; count++)
        args[count] = weir_str_of(words[count]);
    ck_assert_int_eq(weir_redis_link_call(f.link, args, count, 0, on_answer, &f), 0);
    ck_assert_uint_eq(f.answers, before);
    RUN_UNTIL(&f.r, f.answers > before);
    return f.last;
}
#define ASK(...) ask((const char *const[]){__VA_ARGS__, NULL})

static void each_server(void (*test)(void), const char *const *args)
{
    for (unsigned i = 0; server_program(i) != NULL; i++) {
        server_start(&f.server, server_program(i), args);
        test();
        weir_redis_link_close(&f.link);
        server_end(&f.server);
        f.ups = f.downs = f.subscribed = f.unsubscribed = f.messages = f.answers = 0;
    }
}

static void check_calls(void)
{
    open_to_server();
    ck_assert(!weir_redis_link_is_up(f.link));
    RUN_UNTIL(&f.r, f.ups == 1 && f.subscribed == 1);
    ck_assert_str_eq(ASK("SET", "a", "1"), "OK ");
    ck_assert_str_eq(ASK("INCR", "a"), "2 ");
    ck_assert_str_eq(ASK("MGET", "a", "b"), "2  ");
    ck_assert_str_eq(ASK("CLIENT", "GETNAME"), "weir-test ");
    ck_assert_ptr_nonnull(strstr(ASK("CLIENT", "INFO"), " db=3 "));
    ck_assert_ptr_nonnull(strstr(ASK("NONSENSE"), "ERR unknown command"));
    ck_assert_str_eq(ASK("PUBLISH", "two", "hello"), "1 ");
    RUN_UNTIL(&f.r, f.messages == 1);
    ck_assert_str_eq(f.message, "two hello");
    ck_assert_uint_eq(f.downs, 0);
}

START_TEST(test_calls)
{
    each_server(check_calls, NULL);
}
END_TEST

static void check_script(void)
{
    struct weir_str key = WEIR_STR("k"), arg = WEIR_STR("v");
    open_to_server();
    RUN_UNTIL(&f.r, f.ups == 1);
    for (unsigned i = 1; i <= 2; i++) {
        ck_assert_int_eq(weir_redis_link_eval(f.link, &echo, &key, 1, &arg, 1, 0, on_answer, &f), 0);
        RUN_UNTIL(&f.r, f.answers == i);
        ck_assert_str_eq(f.last, "k v ");
    }
    struct weir_redis_stats stats;
    weir_redis_link_stats(f.link, &stats);
    ck_assert_uint_eq(stats.errors, 1); /* NOSCRIPT, the first time only */
}

START_TEST(test_script)
{
    each_server(check_script, NULL);
}
END_TEST

CHECK_MAIN("redis", setup, teardown, test_calls, test_script)
