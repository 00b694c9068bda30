#include "helper_link.h"

#include <stdio.h>
#include <string.h>

struct link_notes f;

void link_setup(void)
{
    struct weir_err err;
    memset(&f, 0, sizeof f);
    reactor_open(&f.r);
    ck_assert_int_eq(weir_dns_new(&f.dns, &f.r, &err), 0);
    link_close();
}

void link_teardown(void)
{
    link_close();
    weir_dns_close(&f.dns);
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

const struct weir_redis_link_events link_events = {on_up, on_down, on_subscribed, on_unsubscribed, on_message};

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

void link_answered(void *owner, const struct weir_redis_reply *reply, const struct weir_err *err)
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

void link_close(void)
{
    static const char *const two[] = {"one", "two"};
    weir_redis_link_close(&f.link);
    server_end(&f.server);
    f.code = 0;
    weir_arena_reset(&f.arena);
    f.ups = f.downs = f.subscribed = f.unsubscribed = f.messages = f.answers = 0;
    f.opts = (struct weir_redis_link_opts){.url = &f.url,
                                           .dns = f.dns,
                                           .client_name = "weir-test",
                                           .timeout_ms = LINK_TIMEOUT_MS,
                                           .seed = 7,
                                           .channels = two,
                                           .channel_count = 2,
                                           .events = &link_events,
                                           .owner = &f};
}

void link_open(const char *url)
{
    struct weir_err err;
    const char *wrong = weir_redis_url_parse(&f.url, &f.arena, url);
    ck_assert_msg(wrong == NULL, "%s", wrong);
    ck_assert_msg(weir_redis_link_open(&f.link, &f.r, &f.opts, &err) == 0, "%s", err.msg);
    ck_assert(!weir_redis_link_is_up(f.link));
}

void link_open_to_server(void)
{
    char url[64];
    snprintf(url, sizeof url, "redis://127.0.0.1:%u/3", f.server.port);
    link_open(url);
}

int link_send(const char *const *words, uint64_t timeout_ms)
{
    struct weir_str args[8];
    unsigned count = 0, before = f.answers;
    for (; words[count] != NULL; count++)
        args[count] = weir_str_of(words[count]);
    int rv = weir_redis_link_call(f.link, args, count, timeout_ms, link_answered, &f);
    ck_assert_uint_eq(f.answers, before);
    return rv;
}

const char *link_ask(const char *const *words)
{
    unsigned before = f.answers;
    ck_assert_int_eq(link_send(words, 0), 0);
    RUN_UNTIL(&f.r, f.answers > before);
    return f.last;
}

void link_each_server(void (*test)(void), const char *const *args)
{
    for (unsigned i = 0; server_program(i) != NULL; i++) {
        server_start(&f.server, server_program(i), args);
        test();
        link_close();
    }
}
