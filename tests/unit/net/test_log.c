#include "net/log.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check_main.h"

/* No test waits longer than this; none of them expects to. */
#define LONG_MS 60000

static struct weir_err err;
static struct weir_log *log_;
static int ends[2]; /* a pipe: what the log writes to ends[1] is read from ends[0] */

static bool writer_lives(void)
{
    DIR *dir = opendir("/proc/self/task");
    ck_assert_ptr_nonnull(dir);
    bool found = false;
    for (const struct dirent *e; !found && (e = readdir(dir)) != NULL;) {
        char path[300], name[32] = "";
        snprintf(path, sizeof path, "/proc/self/task/%s/comm", e->d_name);
        FILE *f = fopen(path, "r");
        if (f == NULL)
            continue;
        found = fgets(name, sizeof name, f) != NULL && strcmp(name, "weir-log\n") == 0;
        fclose(f);
    }
    closedir(dir);
    return found;
}

/* The log did not leave its writer behind in the kernel. */
static void wait_for_the_writers_end(void)
{
    while (writer_lives())
        sched_yield();
}

static void setup(void)
{
    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
}

static void teardown(void)
{
    if (log_ != NULL)
        weir_log_stop(&log_, 0);
    for (int i = 0; i < 2; i++)
        if (ends[i] >= 0)
            close(ends[i]);
}

static struct weir_log_producer *start(int fd, enum weir_log_level level)
{
    struct weir_log_opts opts = {.fd = fd, .format = WEIR_LOG_LOGFMT, .level = level, .node = "n1"};
    struct weir_log_producer *p;
    ck_assert_int_eq(weir_log_start(&log_, &opts, &err), 0);
    ck_assert_int_eq(weir_log_join(log_, &p), 0);
    return p;
}

/* Reads one line, without its newline; false at the end of the pipe. */
static bool read_line(int fd, char *line, size_t cap)
{
    for (size_t n = 0; n < cap; n++) {
        if (read(fd, line + n, 1) != 1) {
            ck_assert_uint_eq(n, 0);
            return false;
        }
        if (line[n] == '\n') {
            line[n] = '\0';
            return true;
        }
    }
    ck_abort_msg("a line without end");
    return false;
}

static void expect_line(const char *tail)
{
    char line[WEIR_LOG_LINE_MAX + 1];
    ck_assert(read_line(ends[0], line, sizeof line));
    const char *at = strstr(line, " level=");
    ck_assert_ptr_nonnull(at);
    ck_assert_str_eq(at, tail);
}

START_TEST(test_lines_come_out)
{
    struct weir_log_producer *p = start(ends[1], WEIR_LOG_INFO);
    ck_assert_ptr_eq(weir_log_self(), p);
    struct weir_log_line l;
    weir_log_begin(&l, p, WEIR_LOG_WARN, "reload", "configuration reloaded");
    weir_log_text(&l, "file", "weir.yaml");
    weir_log_str(&l, "key", WEIR_STR("a b"));
    weir_log_u64(&l, "n", 7);
    weir_log_i64(&l, "i", -7);
    weir_log_double(&l, "d", 0.5);
    weir_log_bool(&l, "b", true);
    weir_log_end(&l);
    /* Read while the writer runs: it was asleep and had to be woken. */
    expect_line(
        " level=warning event=reload msg=\"configuration reloaded\" node=n1 file=weir.yaml key=\"a b\" n=7 i=-7 "
        "d=0.500 b=true");
    weir_log_simple(p, WEIR_LOG_INFO, "again", NULL);
    expect_line(" level=info event=again node=n1");
    ck_assert(weir_log_stop(&log_, LONG_MS));
    ck_assert_ptr_null(weir_log_self());
}
END_TEST

START_TEST(test_level_and_format_change)
{
    struct weir_log_producer *p = start(ends[1], WEIR_LOG_INFO);
    weir_log_simple(p, WEIR_LOG_DEBUG, "hidden", NULL);
    ck_assert(!weir_log_wants(p, WEIR_LOG_DEBUG));
    weir_log_configure(log_, WEIR_LOG_LOGFMT, WEIR_LOG_DEBUG);
    weir_log_simple(p, WEIR_LOG_DEBUG, "shown", NULL);
    weir_log_configure(log_, WEIR_LOG_JSON, WEIR_LOG_ERROR);
    weir_log_simple(p, WEIR_LOG_WARN, "hidden", NULL);
    weir_log_simple(p, WEIR_LOG_ERROR, "json", NULL);
    expect_line(" level=debug event=shown node=n1");
    char line[WEIR_LOG_LINE_MAX + 1];
    ck_assert(read_line(ends[0], line, sizeof line));
    ck_assert_ptr_nonnull(strstr(line, "Z\",\"level\":\"error\",\"event\":\"json\",\"node\":\"n1\"}"));
    ck_assert(!weir_log_wants(NULL, WEIR_LOG_ERROR));
    weir_log_simple(NULL, WEIR_LOG_ERROR, "nowhere", NULL);
}
END_TEST

/* What lies in the rings at a stop is still written. */
START_TEST(test_stop_flushes)
{
    enum { LINES = 500 }; /* below the size of a pipe: nobody reads until the stop */
    struct weir_log_producer *p = start(ends[1], WEIR_LOG_INFO);
    for (int i = 0; i < LINES; i++)
        weir_log_simple(p, WEIR_LOG_INFO, "x", NULL);
    ck_assert(weir_log_stop(&log_, LONG_MS));
    close(ends[1]);
    ends[1] = -1;
    char line[WEIR_LOG_LINE_MAX];
    int count = 0;
    while (read_line(ends[0], line, sizeof line))
        count++;
    ck_assert_int_eq(count, LINES);
}
END_TEST

enum { PRODUCERS = 4, LINES_EACH = 20000 };

static void *produce(void *arg)
{
    struct weir_log_producer *p;
    ck_assert_int_eq(weir_log_join(log_, &p), 0);
    for (unsigned i = 0; i < LINES_EACH; i++) {
        struct weir_log_line l;
        weir_log_begin(&l, p, WEIR_LOG_INFO, "count", NULL);
        weir_log_u64(&l, "who", (uint64_t)(uintptr_t)arg);
        weir_log_u64(&l, "i", i);
        weir_log_end(&l);
    }
    weir_log_leave(p);
    return NULL;
}

struct tally {
    uint64_t lines, dropped;
    long last[PRODUCERS];
};

static void *consume(void *arg)
{
    struct tally *t = arg;
    FILE *f = fdopen(dup(ends[0]), "r");
    char line[WEIR_LOG_LINE_MAX + 1];
    while (fgets(line, sizeof line, f) != NULL) {
        unsigned long who, i, lines;
        const char *at = strstr(line, " who=");
        if (at != NULL && sscanf(at, " who=%lu i=%lu\n", &who, &i) == 2) {
            ck_assert_uint_lt(who, PRODUCERS);
            ck_assert_int_gt((long)i, t->last[who]); /* in order, none twice */
            t->last[who] = (long)i;
            t->lines++;
        } else {
            at = strstr(line, " event=log_dropped");
            ck_assert_msg(at != NULL && sscanf(strstr(at, " lines="), " lines=%lu", &lines) == 1, "%s", line);
            t->dropped += lines;
        }
    }
    fclose(f);
    return NULL;
}

/* Several threads log as fast as they can: every line is either written whole and in its thread's order, or counted. */
START_TEST(test_threads_and_the_count)
{
    static struct tally t;
    pthread_t producers[PRODUCERS], consumer;
    start(ends[1], WEIR_LOG_INFO);
    for (size_t i = 0; i < PRODUCERS; i++)
        t.last[i] = -1;
    ck_assert_int_eq(pthread_create(&consumer, NULL, consume, &t), 0);
    for (size_t i = 0; i < PRODUCERS; i++)
        ck_assert_int_eq(pthread_create(&producers[i], NULL, produce, (void *)(uintptr_t)i), 0);
    for (size_t i = 0; i < PRODUCERS; i++)
        pthread_join(producers[i], NULL);
    uint64_t dropped = weir_log_dropped(log_);
    ck_assert(weir_log_stop(&log_, LONG_MS));
    close(ends[1]);
    ends[1] = -1;
    pthread_join(consumer, NULL);
    ck_assert_uint_eq(t.lines + dropped, (uint64_t)PRODUCERS * LINES_EACH);
    ck_assert_uint_eq(t.dropped, dropped); /* the log says so itself */
}
END_TEST

/* Nobody reads: producers go on and count, and the end does not wait for the reader. */
START_TEST(test_blocked_pipe)
{
    struct weir_log_producer *p = start(ends[1], WEIR_LOG_INFO);
    char line[1024];
    memset(line, 'x', sizeof line);
    line[sizeof line - 1] = '\n';
    ck_assert(writer_lives());
    uint64_t refused = 0;
    for (int i = 0; i < 3000; i++) /* ten times what ring, batch and pipe hold */
        refused += !weir_log_write(p, line, sizeof line);
    ck_assert_uint_gt(refused, 1000);
    ck_assert_uint_eq(weir_log_dropped(log_), refused);
    ck_assert(!weir_log_stop(&log_, 20));
    ck_assert_ptr_null(log_);
    wait_for_the_writers_end();
}
END_TEST

/* A reader that comes back finds whole lines and is told how many it missed. */
START_TEST(test_reader_comes_back)
{
    struct weir_log_producer *p = start(ends[1], WEIR_LOG_INFO);
    char line[1024];
    memset(line, 'x', sizeof line);
    line[sizeof line - 1] = '\n';
    uint64_t written = 0, refused = 0;
    while (refused < 100) {
        bool taken = weir_log_write(p, line, sizeof line);
        written += taken;
        refused += !taken;
    }
    uint64_t got = 0, told = 0;
    while (told < refused) {
        char in[WEIR_LOG_LINE_MAX + 1];
        unsigned long n;
        ck_assert(read_line(ends[0], in, sizeof in));
        const char *at = strstr(in, " lines=");
        if (at != NULL && sscanf(at, " lines=%lu", &n) == 1)
            told += n;
        else
            ck_assert_uint_eq(strspn(in, "x"), sizeof line - 1);
        got += at == NULL;
    }
    ck_assert_uint_eq(told, refused);
    /* The notice may overtake what has come since, not what came before. */
    ck_assert_uint_le(got, written);
}
END_TEST

/* The reader is gone: no signal, no hanging, and the lines are counted. */
START_TEST(test_reader_gone)
{
    close(ends[0]);
    ends[0] = -1;
    struct weir_log_producer *p = start(ends[1], WEIR_LOG_INFO);
    for (int i = 0; i < 10; i++)
        weir_log_simple(p, WEIR_LOG_INFO, "lost", NULL);
    ck_assert(!weir_log_stop(&log_, LONG_MS));
}
END_TEST

START_TEST(test_file)
{
    char path[] = "/tmp/weir-log-XXXXXX";
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    unlink(path);
    struct weir_log_producer *p = start(fd, WEIR_LOG_INFO);
    for (int i = 0; i < 200; i++)
        weir_log_simple(p, WEIR_LOG_INFO, "x", NULL);
    ck_assert(weir_log_stop(&log_, LONG_MS));
    ck_assert_int_eq(lseek(fd, 0, SEEK_SET), 0);
    char line[WEIR_LOG_LINE_MAX];
    int count = 0;
    while (read_line(fd, line, sizeof line))
        count++;
    ck_assert_int_eq(count, 200);
    close(fd);
}
END_TEST

/* journald gives a service a socket for its standard error. */
START_TEST(test_socket)
{
    close(ends[0]);
    close(ends[1]);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    struct weir_log_producer *p = start(ends[1], WEIR_LOG_INFO);
    weir_log_simple(p, WEIR_LOG_INFO, "x", NULL);
    expect_line(" level=info event=x node=n1");
    char line[1024];
    memset(line, 'x', sizeof line);
    line[sizeof line - 1] = '\n';
    for (uint64_t refused = 0; refused < 100;)
        refused += !weir_log_write(p, line, sizeof line);
    ck_assert(!weir_log_stop(&log_, 20));
    wait_for_the_writers_end();
    ck_assert_int_eq(fcntl(ends[1], F_GETFL) & O_NONBLOCK, 0); /* others write there too */
}
END_TEST

/* A line whose length and letters come from its number. */
static size_t make_line(char *line, uint32_t number)
{
    size_t n = 2 + (number * 2654435761u >> 8) % (WEIR_LOG_LINE_MAX - 2);
    for (size_t i = 0; i + 1 < n; i++)
        line[i] = (char)('a' + (i + number) % 26);
    line[n - 1] = '\n';
    return n;
}

/* A ring wraps at any offset: lines of every length arrive unchanged. */
START_TEST(test_ring_wraps)
{
    enum { BURST = 30, ROUNDS = 40 }; /* a burst fits into the pipe; all of them fill the ring several times */
    struct weir_log_producer *p = start(ends[1], WEIR_LOG_INFO);
    char line[WEIR_LOG_LINE_MAX], in[WEIR_LOG_LINE_MAX + 1];
    uint64_t bytes = 0;
    for (uint32_t number = 0; number < BURST * ROUNDS; number += BURST) {
        for (uint32_t i = 0; i < BURST; i++)
            ck_assert(weir_log_write(p, line, make_line(line, number + i)));
        for (uint32_t i = 0; i < BURST; i++) {
            ck_assert(read_line(ends[0], in, sizeof in));
            size_t n = make_line(line, number + i);
            ck_assert_uint_eq(strlen(in), n - 1);
            ck_assert_mem_eq(in, line, n - 1);
            bytes += n;
        }
    }
    ck_assert_uint_gt(bytes, 3 * WEIR_LOG_RING_BYTES);
}
END_TEST

CHECK_MAIN("log", setup, teardown, test_lines_come_out, test_level_and_format_change, test_stop_flushes,
           test_threads_and_the_count, test_blocked_pipe, test_reader_comes_back, test_reader_gone, test_file,
           test_socket, test_ring_wraps)
