/* Questions to a scripted server on loopback: a thread that answers one connection with given bytes. */
#include "cli/ask.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check_main.h"
#include "core/str.h"
#include "core/textbuf.h"

/* Long enough for a loaded machine, and never waited for but where nothing is to come. */
#define PATIENT_MS 30000u

static int listener;
static char url[64], asked[4096];
static const char *answer;
static bool holds; /* the connection stays open behind the answer, until the client goes */
static struct weir_textbuf body;
static bool enough; /* no more of the body is wanted */

static void *serve(void *arg)
{
    (void)arg;
    int fd = accept(listener, NULL, NULL);
    size_t len = 0;
    ssize_t n;
    while (strstr(asked, "\r\n\r\n") == NULL && (n = read(fd, asked + len, sizeof asked - 1 - len)) > 0)
        len += (size_t)n;
    if (write(fd, answer, strlen(answer)) == (ssize_t)strlen(answer) && holds) {
        char rest[16];
        while (read(fd, rest, sizeof rest) > 0)
            ;
    }
    close(fd);
    return NULL;
}

static void setup(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    listener = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_eq(bind(listener, (struct sockaddr *)&address, len), 0);
    ck_assert_int_eq(listen(listener, 1), 0);
    ck_assert_int_eq(getsockname(listener, (struct sockaddr *)&address, &len), 0);
    snprintf(url, sizeof url, "http://127.0.0.1:%u/base/", ntohs(address.sin_port));
    weir_textbuf_init(&body, 1 << 20);
    memset(asked, 0, sizeof asked);
    holds = enough = false;
}

static void teardown(void)
{
    weir_textbuf_close(&body);
    close(listener);
}

static bool take(void *arg, unsigned status, const uint8_t *bytes, size_t n)
{
    (void)arg;
    ck_assert_uint_eq(status, 200);
    weir_textbuf_add(&body, bytes, n);
    return !enough;
}

static int ask(struct ctl_ask a, unsigned *status, struct weir_err *err)
{
    pthread_t thread;
    a.url = url;
    a.page = "/page?n=1";
    a.accept = "application/json";
    a.take = take;
    if (a.timeout_ms == 0)
        a.timeout_ms = PATIENT_MS;
    ck_assert_int_eq(pthread_create(&thread, NULL, serve, NULL), 0);
    int rv = ctl_ask(&a, status, err);
    pthread_join(thread, NULL);
    return rv;
}

static void body_is(const char *text)
{
    ck_assert_uint_eq(body.len, strlen(text));
    ck_assert(body.len == 0 || memcmp(body.ptr, text, body.len) == 0);
}

START_TEST(test_question_and_answer)
{
    unsigned status;
    struct weir_err err;
    answer = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
    ck_assert_int_eq(ask((struct ctl_ask){.token = "secret"}, &status, &err), 0);
    ck_assert_uint_eq(status, 200);
    body_is("hello");
    ck_assert(strncmp(asked, "GET /base/page?n=1 HTTP/1.1\r\n", 29) == 0);
    ck_assert_ptr_nonnull(strcasestr(asked, "\r\nauthorization: Bearer secret\r\n"));
    ck_assert_ptr_nonnull(strcasestr(asked, "\r\naccept: application/json\r\n"));
    ck_assert_ptr_nonnull(strcasestr(asked, "\r\nuser-agent: weirctl/"));
}
END_TEST

START_TEST(test_body_in_chunks)
{
    unsigned status;
    struct weir_err err;
    answer = "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: "
             "chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
    holds = true; /* the answer ends by itself */
    ck_assert_int_eq(ask((struct ctl_ask){0}, &status, &err), 0);
    body_is("abcde");
    ck_assert_ptr_null(strcasestr(asked, "authorization"));
}
END_TEST

START_TEST(test_status_without_a_body)
{
    unsigned status;
    struct weir_err err;
    answer = "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n";
    ck_assert_int_eq(ask((struct ctl_ask){0}, &status, &err), 0);
    ck_assert_uint_eq(status, 401);
    body_is("");
}
END_TEST

START_TEST(test_cut_off)
{
    unsigned status;
    struct weir_err err;
    answer = "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhalf of it";
    ck_assert_int_ne(ask((struct ctl_ask){0}, &status, &err), 0);
    ck_assert_uint_eq(status, 200);
    ck_assert_uint_gt(strlen(err.msg), 0);
    body_is("half of it");
}
END_TEST

START_TEST(test_no_http)
{
    static const char *const answers[] = {"SSH-2.0-OpenSSH\r\n", "HTTP/1.1 banana\r\n\r\n", ""};
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        unsigned status;
        struct weir_err err;
        answer = answers[i];
        memset(asked, 0, sizeof asked);
        ck_assert_int_ne(ask((struct ctl_ask){0}, &status, &err), 0);
        ck_assert_uint_eq(status, 0);
        ck_assert_uint_gt(strlen(err.msg), 0);
    }
}
END_TEST

/* Whoever has seen enough is not told of an error. */
START_TEST(test_enough)
{
    unsigned status;
    struct weir_err err;
    answer = "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nfirst";
    holds = enough = true;
    ck_assert_int_eq(ask((struct ctl_ask){0}, &status, &err), 0);
    body_is("first");
}
END_TEST

START_TEST(test_nothing_comes)
{
    unsigned status;
    struct weir_err err;
    answer = "";
    holds = true;
    ck_assert_int_eq(ask((struct ctl_ask){.timeout_ms = 50}, &status, &err), WEIR_ETIMEOUT);
    ck_assert_uint_eq(status, 0);
    ck_assert_str_eq(err.msg, "the answer did not come within 0.05 s");
}
END_TEST

START_TEST(test_the_rest_does_not_come)
{
    unsigned status;
    struct weir_err err;
    answer = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n: a\r\n";
    holds = true;
    ck_assert_int_eq(ask((struct ctl_ask){.pause_ms = 50}, &status, &err), WEIR_ETIMEOUT);
    ck_assert_uint_eq(status, 200);
    body_is(": a");
}
END_TEST

START_TEST(test_urls_that_are_none)
{
    static const char *const urls[] = {"",
                                       "127.0.0.1:8000",
                                       "ftp://x/",
                                       "http://",
                                       "http://x:0/",
                                       "http://a?b=c",
                                       "http://u:p@host/",
                                       "http://x/\r\nA: b"};
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        unsigned status;
        struct weir_err err;
        const struct ctl_ask a = {.url = urls[i], .page = "/", .accept = "*/*", .timeout_ms = 1000, .take = take};
        ck_assert_msg(ctl_ask(&a, &status, &err) == WEIR_EINVAL, "%s", urls[i]);
    }
}
END_TEST

START_TEST(test_nobody_listens)
{
    unsigned status;
    struct weir_err err;
    const struct ctl_ask a = {.url = url, .page = "/", .accept = "*/*", .timeout_ms = PATIENT_MS, .take = take};
    close(listener);
    ck_assert_int_eq(ctl_ask(&a, &status, &err), WEIR_EREFUSED);
    ck_assert_uint_eq(status, 0);
}
END_TEST

CHECK_MAIN("ask", setup, teardown, test_question_and_answer, test_body_in_chunks, test_status_without_a_body,
           test_cut_off, test_no_http, test_enough, test_nothing_comes, test_the_rest_does_not_come,
           test_urls_that_are_none, test_nobody_listens)
