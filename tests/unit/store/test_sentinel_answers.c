/* What sentinels may answer and announce, played by the test. */
#include "store/sentinel.h"

#include <stdio.h>
#include <unistd.h>

#include "check_main.h"
#include "helper/net_run.h"
#include "helper_fake.h"
#include "helper_server.h"

static struct {
    struct weir_reactor r;
    struct weir_dns *dns;
    struct fake server;
    int watch; /* the subscription's descriptor at the server, kept open */
    struct weir_redis_url url;
    struct weir_sentinel *sentinel;
    struct weir_sentinel_question question;
    unsigned done, switched;
    char told[300], why[512];
    bool close_in_done;
} f;

static void on_done(struct weir_sentinel_question *q, const char *host, uint16_t port, const struct weir_err *err)
{
    ck_assert_ptr_eq(q, &f.question);
    ck_assert((host == NULL) == (err != NULL));
    f.done++;
    if (host != NULL)
        snprintf(f.told, sizeof f.told, "%s:%u", host, port);
    else
        snprintf(f.why, sizeof f.why, "%s", err->msg);
    if (f.close_in_done)
        weir_sentinel_close(&f.sentinel);
}

static void on_switched(void *owner, const char *host, uint16_t port)
{
    ck_assert_ptr_eq(owner, &f);
    f.switched++;
    snprintf(f.told, sizeof f.told, "%s:%u", host, port);
}

static void setup(void)
{
    struct weir_err err;
    memset(&f, 0, sizeof f);
    f.watch = -1;
    f.question.done = on_done;
    weir_list_init(&f.question.link);
    reactor_open(&f.r);
    ck_assert_int_eq(weir_dns_new(&f.dns, &f.r, &err), 0);
    fake_open_port(&f.server, &f.r);
    f.url = (struct weir_redis_url){.kind = WEIR_REDIS_SENTINEL, .master = "m", .host_count = 1};
    f.url.hosts[0] = (struct weir_redis_host){"127.0.0.1", f.server.port};
}

static void teardown(void)
{
    weir_sentinel_close(&f.sentinel);
    weir_dns_close(&f.dns);
    fake_close(&f.server);
    if (f.watch >= 0)
        close(f.watch);
    weir_reactor_close(&f.r);
}

static void welcome(void)
{
    fake_accept(&f.server);
    FAKE_EXPECT(&f.server, "PING");
    fake_say(&f.server, "+PONG\r\n");
}

/* The subscription comes first; then questions, each on a connection of its own. */
static void open_sentinel(void)
{
    struct weir_sentinel_opts opts = {
        .url = &f.url, .server = {.dns = f.dns}, .timeout_ms = 60000, .seed = 3, .switched = on_switched, .owner = &f};
    ck_assert_int_eq(weir_sentinel_open(&f.sentinel, &f.r, &opts), 0);
    welcome();
    FAKE_EXPECT(&f.server, "SUBSCRIBE", "+switch-master");
    fake_say(&f.server, "*3\r\n$9\r\nsubscribe\r\n$14\r\n+switch-master\r\n:1\r\n");
    f.watch = f.server.fd;
    f.server.fd = -1;
}

static void ask(const char *answer)
{
    unsigned before = f.done;
    weir_sentinel_ask(f.sentinel, &f.question);
    ck_assert_uint_eq(f.done, before);
    welcome();
    FAKE_EXPECT(&f.server, "SENTINEL", "get-master-addr-by-name", "m");
    fake_say(&f.server, answer);
    RUN_UNTIL(&f.r, f.done == before + 1);
}

START_TEST(test_answer)
{
    open_sentinel();
    ask("*2\r\n$8\r\n10.0.0.1\r\n$4\r\n6379\r\n");
    ck_assert_str_eq(f.told, "10.0.0.1:6379");
    ask("*2\r\n$9\r\nredis.one\r\n$5\r\n65535\r\n");
    ck_assert_str_eq(f.told, "redis.one:65535");
    ck_assert_uint_eq(f.switched, 1); /* the second is another one than the first */
}
END_TEST

static void expect_unknown(const char *answer, const char *why)
{
    f.why[0] = '\0';
    ask(answer);
    ck_assert_msg(strstr(f.why, why) != NULL, "%s: %s", answer, f.why);
    ck_assert_msg(strncmp(f.why, "sentinel 127.0.0.1:", 19) == 0, "%s", f.why);
}

START_TEST(test_no_answer)
{
    open_sentinel();
    expect_unknown("*-1\r\n", "knows no master of the name m");
    expect_unknown("$-1\r\n", "knows no master of the name m");
    expect_unknown("*0\r\n", "did not say where");
    expect_unknown("*1\r\n$1\r\na\r\n", "did not say where");
    expect_unknown("*3\r\n$1\r\na\r\n$1\r\n1\r\n$1\r\n1\r\n", "did not say where");
    expect_unknown("*2\r\n$1\r\na\r\n:1\r\n", "did not say where");
    expect_unknown("*2\r\n$1\r\na\r\n$1\r\n0\r\n", "did not say where");
    expect_unknown("*2\r\n$1\r\na\r\n$5\r\n65536\r\n", "did not say where");
    expect_unknown("*2\r\n$1\r\na\r\n$2\r\n-1\r\n", "did not say where");
    expect_unknown("*2\r\n$0\r\n\r\n$1\r\n1\r\n", "did not say where");
    expect_unknown("-NOAUTH Authentication required.\r\n", "did not say where");
    expect_unknown("garbage\r\n", "does not speak Redis' protocol");
    char answer[400] = "*2\r\n$300\r\n";
    memset(answer + 10, 'x', 300);
    memcpy(answer + 310, "\r\n$1\r\n1\r\n", 10);
    expect_unknown(answer, "did not say where");
    ck_assert_uint_eq(f.switched, 0);
}
END_TEST

START_TEST(test_asks_the_next_one)
{
    uint16_t nobody = server_free_port();
    open_sentinel();
    weir_sentinel_close(&f.sentinel);
    close(f.watch);
    f.url.host_count = 3;
    f.url.hosts[1] = f.url.hosts[2] = (struct weir_redis_host){"127.0.0.1", nobody};
    struct weir_sentinel_opts opts = {
        .url = &f.url, .server = {.dns = f.dns}, .timeout_ms = 60000, .switched = on_switched, .owner = &f};
    for (opts.seed = 0; opts.seed < 6; opts.seed++) { /* wherever it begins */
        ck_assert_int_eq(weir_sentinel_open(&f.sentinel, &f.r, &opts), 0);
        weir_sentinel_ask(f.sentinel, &f.question);
        unsigned before = f.done;
        while (f.done == before) {
            fake_accept(&f.server);
            FAKE_EXPECT(&f.server, "PING");
            fake_say(&f.server, "+PONG\r\n");
            while (f.server.got_len == 0)
                fake_read(&f.server);
            if (strstr(f.server.got, "SENTINEL") != NULL) {
                fake_say(&f.server, "*2\r\n$1\r\na\r\n$1\r\n1\r\n");
                RUN_UNTIL(&f.r, f.done > before);
            }
        }
        ck_assert_str_eq(f.told, "a:1");
        weir_sentinel_close(&f.sentinel);
    }
    f.watch = -1;
}
END_TEST

START_TEST(test_nobody_answers)
{
    f.url.hosts[0].port = server_free_port();
    struct weir_sentinel_opts opts = {
        .url = &f.url, .server = {.dns = f.dns}, .timeout_ms = 250, .switched = on_switched, .owner = &f};
    ck_assert_int_eq(weir_sentinel_open(&f.sentinel, &f.r, &opts), 0);
    weir_sentinel_ask(f.sentinel, &f.question);
    RUN_UNTIL(&f.r, f.done == 1);
    ck_assert_ptr_nonnull(strstr(f.why, "refused"));
}
END_TEST

static void announce(const char *payload)
{
    char text[256];
    int n = snprintf(text, sizeof text, "*3\r\n$7\r\nmessage\r\n$14\r\n+switch-master\r\n$%zu\r\n%s\r\n",
                     strlen(payload), payload);
    ck_assert_int_eq(write(f.watch, text, (size_t)n), n);
}

START_TEST(test_switches)
{
    open_sentinel();
    ask("*2\r\n$3\r\nold\r\n$1\r\n1\r\n");
    announce("other old 1 new 2");
    announce("m old 1 new");
    announce("m old 1 new 0");
    announce("");
    announce("m");
    announce("m old 1 old 1");
    announce("m old 1 new 2");
    announce("m old 1 new 2");
    RUN_UNTIL(&f.r, f.switched == 1);
    announce("m new 2 old 1");
    RUN_UNTIL(&f.r, f.switched == 2); /* and none of the others was one */
    ck_assert_str_eq(f.told, "old:1");
}
END_TEST

/* A switch while the subscription was away is found by asking when it is back. */
START_TEST(test_missed_switch)
{
    open_sentinel();
    ask("*2\r\n$3\r\nold\r\n$1\r\n1\r\n");
    close(f.watch);
    f.watch = -1;
    welcome();
    FAKE_EXPECT(&f.server, "SUBSCRIBE", "+switch-master");
    fake_say(&f.server, "*3\r\n$9\r\nsubscribe\r\n$14\r\n+switch-master\r\n:1\r\n");
    f.watch = f.server.fd;
    f.server.fd = -1;
    welcome();
    FAKE_EXPECT(&f.server, "SENTINEL", "get-master-addr-by-name", "m");
    fake_say(&f.server, "*2\r\n$3\r\nnew\r\n$1\r\n2\r\n");
    RUN_UNTIL(&f.r, f.switched == 1);
    ck_assert_str_eq(f.told, "new:2");
}
END_TEST

START_TEST(test_cancel_and_close)
{
    open_sentinel();
    weir_sentinel_ask(f.sentinel, &f.question);
    weir_sentinel_cancel(&f.question);
    weir_sentinel_cancel(&f.question);
    run_idle(&f.r);
    f.close_in_done = true;
    ask("*2\r\n$1\r\na\r\n$1\r\n1\r\n");
    ck_assert_ptr_null(f.sentinel);
    run_idle(&f.r);
    ck_assert_uint_eq(f.done, 1);
}
END_TEST

CHECK_MAIN("sentinel_answers", setup, teardown, test_answer, test_no_answer, test_asks_the_next_one,
           test_nobody_answers, test_switches, test_missed_switch, test_cancel_and_close)
