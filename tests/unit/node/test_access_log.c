#include "node/access_log.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check_main.h"

static int fd;
static struct weir_log *log_;
static struct weir_log_producer *producer;
static char text[65536];

static void setup(void)
{
    char path[] = "/tmp/weir-log-XXXXXX";
    struct weir_err err;
    fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    unlink(path);
    struct weir_log_opts opts = {.fd = fd, .format = WEIR_LOG_LOGFMT, .level = WEIR_LOG_WARN, .node = "n1"};
    ck_assert_int_eq(weir_log_start(&log_, &opts, &err), 0);
    ck_assert_int_eq(weir_log_join(log_, &producer), 0);
}

static void teardown(void)
{
    close(fd);
}

/* Everything that was logged; the log is stopped. */
static const char *logged(void)
{
    ck_assert(weir_log_stop(&log_, 60000));
    ssize_t n = pread(fd, text, sizeof text - 1, 0);
    ck_assert_int_ge(n, 0);
    text[n] = '\0';
    return text;
}

/* Access lines do not depend on the level; they carry the node. */
START_TEST(test_access_line_is_written)
{
    struct weir_access_record r = {.method = WEIR_STR("GET"),
                                   .target = WEIR_STR("/v1/models?key=SECRET"),
                                   .status = 200,
                                   .limit_us = WEIR_ACCESS_NONE,
                                   .queue_us = WEIR_ACCESS_NONE,
                                   .connect_us = WEIR_ACCESS_NONE,
                                   .first_byte_us = 1500};
    weir_access_log(producer, &r);
    weir_access_log(NULL, &r);
    ck_assert_str_eq(logged(),
                     "ts=1970-01-01T00:00:00.000Z level=info event=access node=n1 method=GET status=200 "
                     "total_ms=0.000 first_byte_ms=1.500 bytes_in=0 bytes_out=0 attempts=0 target=/v1/models\n");
}
END_TEST

START_TEST(test_monitor_lines)
{
    struct weir_endpoint_snapshot e = {.id = "http://10.0.0.1:80", .addresses = 1};
    e.counters.at[WEIR_EC_TRIES] = 8;
    e.counters.at[WEIR_EC_TRIES_FAILED] = 2;
    struct weir_provider_snapshot p = {.name = "openai",
                                       .pool = {.active = 4, .idle = 1, .pending = 101, .max_connections = 10},
                                       .endpoints = &e,
                                       .endpoint_count = 1};
    struct weir_snapshot s = {.providers = &p, .provider_count = 1};
    weir_monitor_log(producer, &s); /* at level warning: no health line */
    weir_log_configure(log_, WEIR_LOG_LOGFMT, WEIR_LOG_INFO);
    weir_monitor_log(producer, &s);
    const char *all = logged();
    int lines = 0;
    for (const char *at = all; (at = strchr(at, '\n')) != NULL; at++)
        lines++;
    ck_assert_int_eq(lines, 5);
    const char *fields = " node=n1 provider=openai max_keepalive_connections=0 max_connections=10 active_connections=4 "
                         "available_connections=6 pending_requests=101 total_requests=8 error_count=2 "
                         "avg_response_time_ms=0.000 error_rate=0.250\n";
    char want[512];
    snprintf(want, sizeof want, " level=warning event=pool_exhausted msg=\"Connection pool exhausted\"%s", fields);
    ck_assert_ptr_nonnull(strstr(all, want));
    snprintf(want, sizeof want, " level=warning event=pool_error_rate msg=\"High connection error rate\"%s", fields);
    ck_assert_ptr_nonnull(strstr(all, want));
    snprintf(want, sizeof want, " level=info event=pool_health msg=\"Connection pool health\"%s", fields);
    ck_assert_ptr_nonnull(strstr(all, want));
}
END_TEST

CHECK_MAIN("access_log", setup, teardown, test_access_line_is_written, test_monitor_lines)
