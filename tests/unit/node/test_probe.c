/* Checks of an endpoint's addresses: a connection or a request, one address after the other, each within its share of
 * the time. The endpoint is a plain socket of the test's, answered by hand. */
#include "node/probe.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check_main.h"
#include "helper/net_run.h"

#define LISTENERS 2u

static struct {
    struct weir_reactor r;
    struct weir_view *view;
    struct weir_probes probes;
    struct {
        int fd;
        struct weir_addr addr;
    } at[LISTENERS];
    int peer;
    unsigned ended;
    enum weir_probe_result result;
    char why[160];
} f;

static void done(void *arg, const struct weir_view_endpoint *e, enum weir_probe_result result, const char *why)
{
    ck_assert_ptr_eq(arg, &f);
    ck_assert_ptr_eq(e, &f.view->providers[0].endpoints[0]);
    f.ended++;
    f.result = result;
    snprintf(f.why, sizeof f.why, "%s", why != NULL ? why : "");
}

static void setup(void)
{
    f.peer = -1;
    reactor_open(&f.r);
    for (unsigned i = 0; i < LISTENERS; i++) {
        struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t len = sizeof f.at[i].addr.v4;
        f.at[i].fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        ck_assert_int_eq(bind(f.at[i].fd, (struct sockaddr *)&any, sizeof any), 0);
        ck_assert_int_eq(listen(f.at[i].fd, 16), 0);
        ck_assert_int_eq(getsockname(f.at[i].fd, &f.at[i].addr.sa, &len), 0);
    }
    weir_probes_init(&f.probes, &f.r, &f, done);
}

static void teardown(void)
{
    weir_probes_close(&f.probes);
    ck_assert_uint_eq(f.probes.running, 0);
    ck_assert_uint_eq(f.view->refs, 1);
    weir_view_unref(f.view);
    weir_reactor_close(&f.r);
    for (unsigned i = 0; i < LISTENERS; i++)
        if (f.at[i].fd >= 0)
            close(f.at[i].fd);
    if (f.peer >= 0)
        close(f.peer);
}

/* Nobody listens at this address any more. */
static void kill_listener(unsigned i)
{
    close(f.at[i].fd);
    f.at[i].fd = -1;
}

/* An endpoint with so many of the addresses, and a check of it that begins. */
static void begin(const char *health, unsigned addresses)
{
    char yaml[512];
    struct weir_err err;
    struct weir_addr at[LISTENERS];
    struct weir_config_problems problems = {0};
    struct weir_config *config = NULL;
    snprintf(yaml, sizeof yaml,
             "providers: {a: {base_url: 'http://name.test:1', api_key: sk-1}}\n"
             "http_client: {health: {%s}}\n",
             health);
    struct weir_config_input in = {.file = "test.yaml", .bytes = yaml, .len = strlen(yaml)};
    ck_assert_int_eq(weir_config_parse(&config, &in, &problems), 0);
    weir_config_problems_reset(&problems);
    struct weir_shared_config *shared = weir_shared_config_new(config);
    ck_assert_int_eq(weir_view_new(&f.view, shared, NULL, 1, &err), 0);
    weir_shared_config_unref(shared);
    for (unsigned i = 0; i < addresses; i++)
        at[i] = f.at[i].addr;
    struct weir_view_endpoint *e = &f.view->providers[0].endpoints[0];
    ck_assert_int_eq(weir_view_set_addresses(f.view, e, at, addresses), 0);
    weir_reactor_clock(&f.r);
    weir_probe_begin(&f.probes, f.view, e);
    ck_assert_uint_eq(f.ended, 0);
}

static void ends_with(enum weir_probe_result result, const char *why)
{
    RUN_UNTIL(&f.r, f.ended > 0);
    ck_assert_uint_eq(f.ended, 1);
    ck_assert_msg(f.result == result, "%d: %s", f.result, f.why);
    ck_assert_msg(strstr(f.why, why) != NULL, "%s", f.why);
    run_idle(&f.r);
    ck_assert_uint_eq(f.ended, 1);
    ck_assert_uint_eq(f.probes.running, 0);
}

/* The request that has come to a listener is read and answered. */
static void answer(unsigned i, const char *text)
{
    char got[1024];
    size_t len = 0;
    if (f.peer >= 0)
        close(f.peer);
    do {
        uv_run(&f.r.loop, UV_RUN_NOWAIT);
        f.peer = accept4(f.at[i].fd, NULL, NULL, SOCK_NONBLOCK);
    } while (f.peer < 0 && f.ended == 0);
    do {
        uv_run(&f.r.loop, UV_RUN_NOWAIT);
        ssize_t n = read(f.peer, got + len, sizeof got - len - 1);
        len += n > 0 ? (size_t)n : 0;
        got[len] = '\0';
    } while (strstr(got, "\r\n\r\n") == NULL);
    ck_assert_msg(strstr(got, "GET /up HTTP/1.1\r\n") == got && strstr(got, "Bearer sk-1") != NULL, "%s", got);
    ck_assert_int_eq(write(f.peer, text, strlen(text)), (ssize_t)strlen(text));
}

START_TEST(test_a_connection_is_a_check)
{
    begin("health_check_timeout: 60", 1);
    ends_with(WEIR_PROBE_PASSED, "");
}
END_TEST

START_TEST(test_one_address_that_passes_is_enough)
{
    kill_listener(0);
    begin("health_check_timeout: 60", 2);
    ends_with(WEIR_PROBE_PASSED, "");
}
END_TEST

START_TEST(test_all_are_dead)
{
    kill_listener(0);
    kill_listener(1);
    begin("health_check_timeout: 60", 2);
    ends_with(WEIR_PROBE_FAILED, "refused");
}
END_TEST

START_TEST(test_a_name_without_an_address)
{
    begin("health_check_timeout: 60", 0);
    ends_with(WEIR_PROBE_FAILED, "name.test");
}
END_TEST

START_TEST(test_a_request_whose_answer_is_expected)
{
    begin("health_check_timeout: 60, path: /up, expected_status: [204]", 1);
    answer(0, "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n");
    ends_with(WEIR_PROBE_PASSED, "");
}
END_TEST

START_TEST(test_an_answer_that_is_not_goes_on_to_the_next_address)
{
    begin("health_check_timeout: 60, path: /up", 2);
    answer(0, "HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n");
    answer(1, "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\nthe body is nobody's business");
    ends_with(WEIR_PROBE_PASSED, "");
}
END_TEST

START_TEST(test_the_last_address_says_why)
{
    begin("health_check_timeout: 60, path: /up", 2);
    answer(0, "HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n");
    answer(1, "HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n");
    ends_with(WEIR_PROBE_FAILED, "status 503");
}
END_TEST

START_TEST(test_what_is_no_answer)
{
    begin("health_check_timeout: 60, path: /up", 1);
    answer(0, "SSH-2.0-OpenSSH\r\n");
    ends_with(WEIR_PROBE_FAILED, "malformed");
}
END_TEST

START_TEST(test_a_connection_that_ends)
{
    begin("health_check_timeout: 60, path: /up", 1);
    answer(0, "");
    close(f.peer);
    f.peer = -1;
    ends_with(WEIR_PROBE_FAILED, "closed");
}
END_TEST

START_TEST(test_each_address_has_its_share_of_the_time)
{
    begin("health_check_timeout: 0.2, path: /up", 2); /* neither answers */
    RUN_UNTIL(&f.r, f.probes.at[0].next_address == 2);
    ck_assert_uint_eq(f.ended, 0);
    ends_with(WEIR_PROBE_FAILED, "the answer timed out");
}
END_TEST

START_TEST(test_closed_while_it_runs)
{
    begin("health_check_timeout: 60, path: /up", 1);
    weir_probe_begin(&f.probes, f.view, &f.view->providers[0].endpoints[0]); /* this one has not even connected */
    RUN_UNTIL(&f.r, f.probes.at[0].call.conn.codec != NULL);
    weir_probe_begin(&f.probes, f.view, &f.view->providers[0].endpoints[0]);
    ck_assert_uint_eq(f.probes.running, 3);
    weir_probes_close(&f.probes);
    ck_assert_uint_eq(f.ended, 0);
}
END_TEST

CHECK_MAIN("probe", setup, teardown, test_a_connection_is_a_check, test_one_address_that_passes_is_enough,
           test_all_are_dead, test_a_name_without_an_address, test_a_request_whose_answer_is_expected,
           test_an_answer_that_is_not_goes_on_to_the_next_address, test_the_last_address_says_why,
           test_what_is_no_answer, test_a_connection_that_ends, test_each_address_has_its_share_of_the_time,
           test_closed_while_it_runs)
