/* A load on a name of several addresses. What a name server would say is said here: this program has its own
 * weir_dns_resolve. */
#include "cli/load.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check_main.h"
#include "net/dns.h"

#define PATIENT_MS 30000u
#define REQUESTS   3u

static struct weir_addr addresses[2];
static unsigned address_count;

int weir_dns_new(struct weir_dns **out, struct weir_reactor *r, struct weir_err *err)
{
    (void)r;
    (void)err;
    *out = NULL;
    return 0;
}

void weir_dns_close(struct weir_dns **dns)
{
    (void)dns;
}

void weir_dns_resolve(struct weir_dns *dns, struct weir_str host, uint16_t port, uint64_t timeout_ms, weir_dns_cb cb,
                      void *owner)
{
    (void)dns;
    (void)timeout_ms;
    ck_assert(weir_str_eq(host, WEIR_STR("several.example")));
    for (unsigned i = 0; i < address_count; i++)
        ck_assert_uint_eq(weir_addr_port(&addresses[i]), port);
    cb(owner, &(struct weir_dns_answer){.addrs = addresses, .count = address_count});
}

static int listener;
static char url[64];

/* Nobody listens at 127.0.0.2. */
static void setup(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    listener = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_eq(bind(listener, (struct sockaddr *)&address, len), 0);
    ck_assert_int_eq(listen(listener, 8), 0);
    ck_assert_int_eq(getsockname(listener, (struct sockaddr *)&address, &len), 0);
    uint16_t port = ntohs(address.sin_port);
    snprintf(url, sizeof url, "http://several.example:%u/", port);
    ck_assert(weir_addr_literal(&addresses[0], WEIR_STR("127.0.0.2"), port));
    ck_assert(weir_addr_literal(&addresses[1], WEIR_STR("127.0.0.1"), port));
}

static void teardown(void)
{
    close(listener);
}

static void *serve(void *arg)
{
    static const char answer[] = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok";
    (void)arg;
    for (unsigned i = 0; i < REQUESTS; i++) {
        char asked[4096] = "";
        size_t len = 0;
        ssize_t n;
        int fd = accept(listener, NULL, NULL);
        while (strstr(asked, "\r\n\r\n") == NULL && (n = read(fd, asked + len, sizeof asked - 1 - len)) > 0)
            len += (size_t)n;
        n = write(fd, answer, sizeof answer - 1);
        close(fd);
        if (n < 0)
            break;
    }
    return NULL;
}

static void no_progress(void *arg, unsigned done)
{
    (void)arg;
    (void)done;
}

static void load(struct ctl_load_result *out)
{
    const struct ctl_load want = {
        .url = url, .requests = REQUESTS, .clients = 1, .timeout_ms = PATIENT_MS, .progress = no_progress};
    struct weir_err err;
    ck_assert_int_eq(ctl_load_run(&want, out, &err), 0);
    ck_assert_uint_eq(out->done, REQUESTS);
}

START_TEST(test_the_first_address_refuses)
{
    pthread_t thread;
    struct ctl_load_result result;
    address_count = 2;
    ck_assert_int_eq(pthread_create(&thread, NULL, serve, NULL), 0);
    load(&result);
    ck_assert_msg(result.statuses[2] == REQUESTS, "%s", result.failure.msg);
    ck_assert_int_eq(result.failure.code, 0);
    ck_assert_uint_eq(result.connections, REQUESTS);
    pthread_join(thread, NULL);
}
END_TEST

START_TEST(test_all_addresses_refuse)
{
    struct ctl_load_result result;
    address_count = 2;
    close(listener);
    load(&result);
    ck_assert_uint_eq(result.statuses[0], REQUESTS);
    ck_assert_int_eq(result.failure.code, WEIR_EREFUSED);
}
END_TEST

CHECK_MAIN("load", setup, teardown, test_the_first_address_refuses, test_all_addresses_refuse)
