/* Posting, against a receiver that is a bare socket of the test's. */
#include "node/webhook.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "check_main.h"
#include "helper/net_run.h"

static struct {
    struct weir_reactor r;
    struct weir_webhook w;
    int listener, peer; /* peer: the connection accepted last */
    char url[64];
    char got[4096]; /* of the request that it carries */
    size_t got_len;
} f;

static const struct weir_webhook_kind kind = {.failed = {"webhook_failed", "cannot be posted"},
                                              .works = {"webhook_works", "can be posted again"},
                                              .dropped = "webhook_dropped",
                                              .refused = "refused",
                                              .too_old = "too old",
                                              .too_many = "too many",
                                              .queue_max = 256,
                                              .age_ms_max = 900000};

/* At a port of its own, which f.url names; nobody listens there yet. */
static int bind_here(void)
{
    struct weir_addr addr;
    char text[WEIR_ADDR_TEXT_MAX];
    socklen_t len = sizeof addr;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    ck_assert(weir_addr_literal(&addr, WEIR_STR("127.0.0.1"), 0));
    ck_assert_int_eq(bind(fd, &addr.sa, weir_addr_len(&addr)), 0);
    ck_assert_int_eq(getsockname(fd, &addr.sa, &len), 0);
    snprintf(f.url, sizeof f.url, "http://%s/hook?x=1", weir_addr_text(&addr, text));
    return fd;
}

static void setup(void)
{
    reactor_open(&f.r);
    f.listener = bind_here();
    ck_assert_int_eq(listen(f.listener, 16), 0);
    f.peer = -1;
    weir_webhook_init(&f.w, &f.r, NULL, &kind);
    ck_assert_int_eq(weir_webhook_configure(&f.w, f.url, NULL), 0);
}

static void teardown(void)
{
    weir_webhook_close(&f.w);
    if (f.peer >= 0)
        close(f.peer);
    close(f.listener);
    weir_reactor_close(&f.r);
}

static void post(const char *text)
{
    ck_assert_int_eq(weir_webhook_post(&f.w, weir_str_of(text)), 0);
}

static bool accepted(void)
{
    if (f.peer >= 0)
        close(f.peer);
    f.peer = accept4(f.listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    f.got_len = 0;
    return f.peer >= 0;
}

/* The request on the peer has come as far as this text. */
static bool got(const char *end)
{
    ssize_t n = recv(f.peer, f.got + f.got_len, sizeof f.got - 1 - f.got_len, 0);
    f.got_len += n > 0 ? (size_t)n : 0;
    f.got[f.got_len] = '\0';
    return strstr(f.got, end) != NULL;
}

static void answer(const char *text)
{
    ck_assert_int_eq(send(f.peer, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

static bool wants(const char *text)
{
    RUN_UNTIL(&f.r, accepted());
    RUN_UNTIL(&f.r, got(text));
    return true;
}

START_TEST(test_in_order_one_at_a_time)
{
    post("{\"n\":1}");
    post("{\"n\":2}");
    wants("{\"n\":1}");
    ck_assert_ptr_eq(strstr(f.got, "POST /hook?x=1 HTTP/1.1\r\n"), f.got);
    ck_assert_ptr_nonnull(strstr(f.got, "content-length: 7\r\n"));
    ck_assert_ptr_nonnull(strstr(f.got, "content-type: application/json\r\n"));
    run_idle(&f.r);
    ck_assert_int_lt(accept4(f.listener, NULL, NULL, SOCK_NONBLOCK), 0);
    answer("HTTP/1.1 204 No Content\r\n\r\n");
    wants("{\"n\":2}");
    answer("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    RUN_UNTIL(&f.r, f.w.counts.delivered == 2);
    ck_assert_uint_eq(f.w.queued, 0);
    ck_assert_int_eq(f.w.state, WEIR_WEBHOOK_IDLE);
    post("{\"n\":3}");
    wants("{\"n\":3}");
}
END_TEST

/* Its word counts once its status is there, whatever becomes of the rest. */
START_TEST(test_an_answer_that_is_cut_or_long)
{
    post("{}");
    wants("{}");
    answer("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nok");
    close(f.peer);
    f.peer = -1;
    RUN_UNTIL(&f.r, f.w.counts.delivered == 1);
    post("{}");
    wants("{}");
    answer("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n");
    char much[4096];
    memset(much, 'x', sizeof much);
    RUN_UNTIL(&f.r, (send(f.peer, much, sizeof much, MSG_NOSIGNAL | MSG_DONTWAIT) != -2) && f.w.counts.delivered == 2);
    post("{}");
    wants("{}");
    answer("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nok"); /* and no more */
    RUN_UNTIL(&f.r, f.w.call.status == 200);
    weir_wheel_run(&f.r.wheel, f.r.now_ms + WEIR_WEBHOOK_TIMEOUT_MS + 10);
    ck_assert_uint_eq(f.w.counts.delivered, 3);
}
END_TEST

START_TEST(test_silence_and_nonsense_are_tried_again)
{
    post("{}");
    wants("{}");
    uint64_t now_ms = f.r.now_ms + WEIR_WEBHOOK_TIMEOUT_MS + 10;
    weir_wheel_run(&f.r.wheel, now_ms);
    ck_assert_uint_eq(f.w.counts.failed, 1);
    ck_assert_int_eq(f.w.state, WEIR_WEBHOOK_WAITING);
    ck_assert_uint_eq(f.w.clock.due_ms, f.r.now_ms + WEIR_WEBHOOK_WAIT_MS);
    weir_wheel_run(&f.r.wheel, now_ms + WEIR_WEBHOOK_WAIT_MS);
    wants("{}");
    answer("SSH-2.0-nonsense\r\n");
    RUN_UNTIL(&f.r, f.w.counts.failed == 2);
    ck_assert_int_eq(f.w.state, WEIR_WEBHOOK_WAITING);
    ck_assert_uint_ge(f.w.clock.due_ms, f.r.now_ms + 2 * WEIR_WEBHOOK_WAIT_MS - WEIR_WHEEL_TICK_MS);
    ck_assert_uint_eq(f.w.queued, 1);
}
END_TEST

START_TEST(test_waits_are_bounded_and_old_news_is_dropped)
{
    close(f.listener);
    f.listener = bind_here(); /* kept from everybody else, who might listen there */
    ck_assert_int_eq(weir_webhook_configure(&f.w, f.url, NULL), 0);
    post("{}");
    uint64_t now_ms = f.r.now_ms, longest_ms = 0;
    for (unsigned n = 1; f.w.counts.dropped == 0; n++) {
        RUN_UNTIL(&f.r, f.w.counts.failed == n);
        if (f.w.state != WEIR_WEBHOOK_WAITING)
            break;
        uint64_t wait_ms = f.w.clock.due_ms - f.r.now_ms;
        longest_ms = wait_ms > longest_ms ? wait_ms : longest_ms;
        /* Neither behind the wheel nor behind the wait, which began by the real clock. */
        now_ms = (now_ms + wait_ms > f.w.clock.due_ms ? now_ms + wait_ms : f.w.clock.due_ms) + WEIR_WHEEL_TICK_MS;
        f.r.now_ms = now_ms; /* until the loop reads the clock again: what queued_ms is held against */
        WEIR_CONTAINER(f.w.queue.next, struct weir_webhook_text, link)->queued_ms -= wait_ms;
        weir_wheel_run(&f.r.wheel, now_ms);
    }
    ck_assert_uint_eq(f.w.counts.dropped, 1);
    ck_assert_uint_eq(f.w.queued, 0);
    ck_assert_uint_eq(longest_ms, WEIR_WEBHOOK_WAIT_MS_MAX);
}
END_TEST

START_TEST(test_a_refusal_is_final)
{
    post("{\"n\":1}");
    post("{\"n\":2}");
    wants("{\"n\":1}");
    answer("HTTP/1.1 302 Found\r\nLocation: http://elsewhere/\r\nContent-Length: 0\r\n\r\n");
    wants("{\"n\":2}");
    ck_assert_uint_eq(f.w.counts.dropped, 1);
    answer("HTTP/1.1 429 Slower\r\nContent-Length: 0\r\n\r\n");
    RUN_UNTIL(&f.r, f.w.state == WEIR_WEBHOOK_WAITING);
    ck_assert_uint_eq(f.w.counts.dropped, 1);
}
END_TEST

/* Of too many the oldest goes, but not the one that is on its way. */
START_TEST(test_a_full_queue)
{
    char text[32];
    for (unsigned i = 0; i < kind.queue_max + 2; i++) {
        snprintf(text, sizeof text, "{\"n\":%u}", i);
        post(text);
    }
    ck_assert_uint_eq(f.w.queued, kind.queue_max);
    ck_assert_uint_eq(f.w.counts.dropped, 2);
    wants("{\"n\":0}");
    answer("HTTP/1.1 204 No Content\r\n\r\n");
    wants("{\"n\":3}");
    answer("HTTP/1.1 503 Later\r\nContent-Length: 0\r\n\r\n");
    RUN_UNTIL(&f.r, f.w.state == WEIR_WEBHOOK_WAITING);
    post("{}");
    post("{}");
    ck_assert_uint_eq(f.w.queued, kind.queue_max);
    ck_assert_uint_eq(f.w.counts.dropped, 3);
    ck_assert_int_eq(f.w.state, WEIR_WEBHOOK_WAITING);
}
END_TEST

START_TEST(test_another_url_and_none)
{
    char old[sizeof f.url];
    int listener = f.listener;
    post("{\"n\":1}");
    wants("{\"n\":1}");
    memcpy(old, f.url, sizeof old);
    f.listener = bind_here();
    ck_assert_int_eq(listen(f.listener, 16), 0);
    ck_assert_int_eq(weir_webhook_configure(&f.w, f.url, NULL), 0);
    wants("{\"n\":1}");
    close(listener);
    ck_assert_int_eq(weir_webhook_configure(&f.w, f.url, NULL), 0); /* the same: nothing is disturbed */
    ck_assert_int_eq(f.w.state, WEIR_WEBHOOK_SENT);
    ck_assert_int_eq(weir_webhook_configure(&f.w, NULL, NULL), 0);
    ck_assert_uint_eq(f.w.queued, 0);
    ck_assert_int_eq(f.w.state, WEIR_WEBHOOK_IDLE);
    post("{}");
    ck_assert_uint_eq(f.w.queued, 0);
}
END_TEST

/* Whatever it is at. */
START_TEST(test_closing)
{
    post("{}");
    if (_i == 1)
        wants("{}");
    if (_i == 2) {
        wants("{}");
        answer("HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n");
        RUN_UNTIL(&f.r, f.w.state == WEIR_WEBHOOK_WAITING);
    }
    if (_i == 3)
        ck_assert_int_eq(weir_webhook_configure(&f.w, "http://no-such-host.invalid/", "127.0.0.1:9"), 0);
    static const enum weir_webhook_state states[] = {WEIR_WEBHOOK_CONNECTING, WEIR_WEBHOOK_SENT, WEIR_WEBHOOK_WAITING,
                                                     WEIR_WEBHOOK_RESOLVING};
    ck_assert_int_eq(f.w.state, states[_i]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("webhook");
    TCase *tc = tcase_create("webhook");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, CHECK_TIMEOUT_S);
    const TTest *const tests[] = {test_in_order_one_at_a_time,
                                  test_an_answer_that_is_cut_or_long,
                                  test_silence_and_nonsense_are_tried_again,
                                  test_waits_are_bounded_and_old_news_is_dropped,
                                  test_a_refusal_is_final,
                                  test_a_full_queue,
                                  test_another_url_and_none};
    for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++)
        tcase_add_test(tc, tests[i]);
    tcase_add_loop_test(tc, test_closing, 0, 4);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
