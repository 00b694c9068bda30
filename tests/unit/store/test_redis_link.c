/* The link, with a server that the test plays: tries, scripts, subscriptions. */
#include "store/redis_conn.h"
#include "store/redis_sub.h"

#include <stdio.h>
#include <unistd.h>

#include "check_main.h"
#include "helper_fake.h"
#include "helper_link.h"

/* Time is passed by hand; a loaded machine that stands still for a while is not to run into it. */
#define TIMEOUT_MS 5000u

static const struct weir_redis_script script = {"answer", "return 42", 9, "1fa00e76656cc152ad327c13fe365858fd7be306"};
static struct fake server;
static int commands_fd = -1;
static bool close_in_down, close_in_message;

static void teardown(void)
{
    link_teardown();
    fake_close(&server);
}

static void set_opts(void)
{
    f.opts.client_name = NULL;
    f.opts.timeout_ms = TIMEOUT_MS;
    f.opts.channel_count = 0;
}

static void setup(void)
{
    link_setup();
    fake_open(&server, &f.r);
    set_opts();
}

static void on_down(void *owner, const struct weir_err *why)
{
    link_events.down(owner, why);
    if (close_in_down)
        weir_redis_link_close(&f.link);
}

static void on_message(void *owner, struct weir_str channel, struct weir_str payload)
{
    link_events.message(owner, channel, payload);
    if (close_in_message)
        weir_redis_link_close(&f.link);
}

static void open_link(void)
{
    char url[80];
    static struct weir_redis_link_events events;
    events = link_events;
    events.down = on_down;
    events.message = on_message;
    f.opts.events = &events;
    snprintf(url, sizeof url, "unix:%s", server.path);
    link_open(url);
}

/* The command connection introduces itself. */
static void welcome(void)
{
    fake_accept(&server);
    FAKE_EXPECT(&server, "ROLE");
    FAKE_EXPECT(&server, "PING");
    fake_say(&server, "*1\r\n$6\r\nmaster\r\n+PONG\r\n");
}

static int eval(uint64_t timeout_ms)
{
    struct weir_str key = WEIR_STR("key"), args[] = {WEIR_STR("a"), WEIR_STR("b")};
    return weir_redis_link_eval(f.link, &script, &key, 1, args, 2, timeout_ms, link_answered, &f);
}

/* -- scripts -- */

START_TEST(test_script_known)
{
    open_link();
    welcome();
    ck_assert_int_eq(eval(0), 0);
    FAKE_EXPECT(&server, "EVALSHA", script.sha1, "1", "key", "a", "b");
    fake_say(&server, ":42\r\n");
    ck_assert_str_eq(f.last, "42 ");
    fake_expect_nothing(&server);
}
END_TEST

START_TEST(test_script_not_known)
{
    open_link();
    welcome();
    ck_assert_int_eq(eval(0), 0);
    FAKE_EXPECT(&server, "EVALSHA", script.sha1, "1", "key", "a", "b");
    fake_say(&server, "-NOSCRIPT No matching script. Please use EVAL.\r\n");
    FAKE_EXPECT(&server, "EVAL", "return 42", "1", "key", "a", "b");
    ck_assert_uint_eq(f.answers, 0);
    fake_say(&server, ":42\r\n");
    ck_assert_uint_eq(f.answers, 1);
    ck_assert_str_eq(f.last, "42 ");
}
END_TEST

/* A server that knows no script however it is told one is not asked for ever. */
START_TEST(test_script_never_known)
{
    open_link();
    welcome();
    ck_assert_int_eq(eval(0), 0);
    fake_say(&server, "-NOSCRIPT\r\n-NOSCRIPT still not\r\n");
    ck_assert_uint_eq(f.answers, 1);
    ck_assert_str_eq(f.last, "NOSCRIPT still not ");
}
END_TEST

START_TEST(test_script_other_error)
{
    open_link();
    welcome();
    ck_assert_int_eq(eval(0), 0);
    fake_say(&server, "-OOM command not allowed\r\n");
    ck_assert_str_eq(f.last, "OOM command not allowed ");
    ck_assert_uint_eq(f.downs, 0);
}
END_TEST

START_TEST(test_script_and_the_end)
{
    open_link();
    welcome();
    ck_assert_int_eq(eval(0), 0);
    fake_say(&server, "-NOSCRIPT\r\n");
    fake_hang_up(&server);
    RUN_UNTIL(&f.r, f.answers == 1);
    ck_assert_int_eq(f.code, WEIR_ECLOSED);
}
END_TEST

START_TEST(test_script_is_late)
{
    open_link();
    welcome();
    ck_assert_int_eq(eval(100), 0);
    fake_pass(&f.r, 150);
    ck_assert_uint_eq(f.answers, 1);
    ck_assert_int_eq(f.code, WEIR_ETIMEOUT);
    fake_say(&server, "-NOSCRIPT\r\n"); /* its time is over: nothing is sent again */
    FAKE_EXPECT(&server, "EVALSHA", script.sha1, "1", "key", "a", "b");
    fake_expect_nothing(&server);
}
END_TEST

/* -- trying again -- */

/* However often it has failed, the next try comes within a second. */
START_TEST(test_pauses_are_bounded)
{
    open_link();
    run_idle(&f.r);
    for (int i = 0; i < 20; i++) {
        ck_assert(fake_accept_now(&server));
        fake_hang_up(&server);
        run_idle(&f.r);
        fake_pass(&f.r, WEIR_REDIS_RETRY_MS_MAX + 2 * WEIR_WHEEL_TICK_MS);
    }
    ck_assert_uint_eq(f.downs, 1);
    welcome();
    ck_assert_uint_eq(f.ups, 1);
}
END_TEST

START_TEST(test_close_in_down)
{
    close_in_down = true;
    open_link();
    welcome();
    ck_assert_int_eq(LINK_SEND(0, "A"), 0);
    ck_assert_int_eq(eval(0), 0);
    fake_hang_up(&server);
    RUN_UNTIL(&f.r, f.downs == 1);
    ck_assert_uint_eq(f.answers, 2);
    ck_assert_ptr_null(f.link);
}
END_TEST

START_TEST(test_close_while_opening)
{
    open_link();
    weir_redis_link_close(&f.link);
    open_link();
    fake_accept(&server);
    weir_redis_link_close(&f.link);
    fake_expect_end(&server);
    ck_assert_uint_eq(f.ups + f.downs, 0);
}
END_TEST

/* -- the subscription -- */

/* The first connection is for commands, and stays open; what is said and expected then is on the second. */
static void open_subscription(void)
{
    f.opts.channel_count = 2;
    open_link();
    welcome();
    commands_fd = server.fd;
    server.fd = -1;
    welcome();
    FAKE_EXPECT(&server, "SUBSCRIBE", "one", "two");
    fake_say(&server, "*3\r\n$9\r\nsubscribe\r\n$3\r\none\r\n:1\r\n");
    ck_assert_uint_eq(f.subscribed, 0);
    fake_say(&server, "*3\r\n$9\r\nsubscribe\r\n$3\r\ntwo\r\n:2\r\n");
    ck_assert_uint_eq(f.subscribed, 1);
}

START_TEST(test_messages)
{
    open_subscription();
    fake_say_slowly(&server, "*3\r\n$7\r\nmessage\r\n$3\r\ntwo\r\n$5\r\nhello\r\n");
    ck_assert_uint_eq(f.messages, 1);
    ck_assert_str_eq(f.message, "two hello");
}
END_TEST

START_TEST(test_quiet_channel_is_asked)
{
    open_subscription();
    for (int i = 0; i < 3; i++) {
        fake_pass(&f.r, WEIR_REDIS_PING_MS + 50);
        FAKE_EXPECT(&server, "PING");
        fake_say(&server, "*2\r\n$4\r\npong\r\n$0\r\n\r\n");
    }
    ck_assert_uint_eq(f.unsubscribed, 0);
}
END_TEST

START_TEST(test_frozen_subscription)
{
    open_subscription();
    fake_pass(&f.r, WEIR_REDIS_PING_MS + 50);
    FAKE_EXPECT(&server, "PING");
    fake_pass(&f.r, 4 * TIMEOUT_MS + 50);
    ck_assert_uint_eq(f.unsubscribed, 1);
    fake_expect_end(&server);
    ck_assert_uint_eq(f.downs, 0); /* commands are another connection */
}
END_TEST

static void push_ends_it(const char *said)
{
    open_subscription();
    fake_say(&server, said);
    ck_assert_msg(f.unsubscribed == 1, "%s", said);
    fake_expect_end(&server);
    link_close();
    close(commands_fd);
    set_opts();
}

START_TEST(test_hostile_pushes)
{
    push_ends_it("+OK\r\n");
    push_ends_it("*0\r\n");
    push_ends_it("*1\r\n:5\r\n");
    push_ends_it("*3\r\n$7\r\nmessage\r\n:1\r\n$1\r\na\r\n");
    push_ends_it("*3\r\n$7\r\nmessage\r\n$1\r\na\r\n*1\r\n+x\r\n");
    push_ends_it("*2\r\n$7\r\nmessage\r\n$1\r\na\r\n");
    push_ends_it("*4\r\n$8\r\npmessage\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n");
    push_ends_it("-NOPERM no\r\n");
    push_ends_it(">2\r\n+invalidate\r\n*0\r\n");
}
END_TEST

START_TEST(test_close_in_message)
{
    open_subscription();
    close_in_message = true;
    fake_say(&server, "*3\r\n$7\r\nmessage\r\n$3\r\none\r\n$1\r\na\r\n*3\r\n$7\r\nmessage\r\n$3\r\none\r\n$1\r\nb\r\n");
    ck_assert_uint_eq(f.messages, 1);
    ck_assert_ptr_null(f.link);
}
END_TEST

CHECK_MAIN("redis_link", setup, teardown, test_script_known, test_script_not_known, test_script_never_known,
           test_script_other_error, test_script_and_the_end, test_script_is_late, test_pauses_are_bounded,
           test_close_in_down, test_close_while_opening, test_messages, test_quiet_channel_is_asked,
           test_frozen_subscription, test_hostile_pushes, test_close_in_message)
