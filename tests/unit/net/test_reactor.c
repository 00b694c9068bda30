#include "net/outbox.h"
#include "net/reactor.h"

#include "check_main.h"
#include "helper/core_failmalloc.h"
#include "helper/net_run.h"
#include "helper/net_test_stream.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static struct {
    struct weir_reactor r;
    struct weir_deadline d, second;
    unsigned fired, second_fired;
    uint64_t fired_at, now_in_fire;
    struct test_stream *ts;
    struct weir_outbox out;
    char steps[16];
    unsigned step_count;
} f;

static void step(char c)
{
    f.steps[f.step_count++ % 15] = c;
}

static void on_fire(struct weir_deadline *d, uint64_t now_ms)
{
    (void)d;
    f.fired++;
    f.fired_at = now_ms;
    f.now_in_fire = f.r.now_ms;
    step('d');
    if (f.ts != NULL)
        weir_outbox_copy(&f.out, "late", 4);
}

static void on_second(struct weir_deadline *d, uint64_t now_ms)
{
    (void)d;
    (void)now_ms;
    f.second_fired++;
}

static void setup(void)
{
    memset(&f, 0, sizeof f);
    reactor_open(&f.r);
    weir_deadline_init(&f.d, on_fire);
    weir_deadline_init(&f.second, on_second);
}

static void teardown(void)
{
    weir_deadline_drop(&f.r.wheel, &f.d);
    weir_deadline_drop(&f.r.wheel, &f.second);
    if (f.ts != NULL)
        weir_outbox_close(&f.out);
    test_stream_free(f.ts);
    weir_reactor_close(&f.r);
}

START_TEST(test_a_deadline_wakes_the_loop)
{
    uint64_t due = f.r.now_ms + 20;
    weir_reactor_deadline(&f.r, &f.d, due);
    RUN_UNTIL(&f.r, f.fired > 0);
    ck_assert_uint_ge(f.fired_at, due);
    ck_assert_uint_eq(f.fired_at, f.now_in_fire);
    ck_assert_uint_le(f.fired_at, weir_clock_us() / 1000);
}
END_TEST

START_TEST(test_an_earlier_deadline_moves_the_timer)
{
    weir_reactor_deadline(&f.r, &f.second, f.r.now_ms + 3600000);
    weir_reactor_deadline(&f.r, &f.d, f.r.now_ms + 10);
    RUN_UNTIL(&f.r, f.fired > 0);
    ck_assert_uint_eq(f.second_fired, 0);
}
END_TEST

static void set_far(struct weir_deadline *d, uint64_t now_ms)
{
    (void)d;
    f.second_fired++;
    weir_reactor_deadline(&f.r, &f.second, now_ms + 3600000);
}

static void spin_ms(uint64_t ms)
{
    uint64_t until = weir_clock_us() + ms * 1000;
    while (weir_clock_us() < until)
        ;
}

static void set_both_and_dawdle(struct weir_message *m, void *receiver)
{
    (void)m;
    (void)receiver;
    weir_reactor_deadline(&f.r, &f.second, f.r.now_ms + 8);
    weir_reactor_deadline(&f.r, &f.d, f.r.now_ms + 100);
    spin_ms(20);
}

/* The turn takes so long that the timer is called ahead of the next one. A far deadline that is set there must not hide
 * one that is due before it. */
START_TEST(test_a_far_deadline_set_while_firing_hides_no_near_one)
{
    struct weir_message m = {.handle = set_both_and_dawdle};
    weir_deadline_init(&f.second, set_far);
    weir_mailbox_post(&f.r.mailbox, &m);
    RUN_UNTIL(&f.r, f.fired > 0);
    ck_assert_uint_eq(f.second_fired, 1);
}
END_TEST

START_TEST(test_moved_and_cleared_deadlines_cost_no_wake_ups)
{
    uint64_t start = f.r.now_ms;
    for (int i = 0; i < 100; i++)
        weir_reactor_deadline(&f.r, &f.second, start + 40 + (uint64_t)i * 1000);
    weir_reactor_deadline(&f.r, &f.d, start + 150);
    uint64_t turns = f.r.poller.turns;
    RUN_UNTIL(&f.r, f.fired > 0);
    /* The timer that was armed to the first place of `second`, and the one that fires d: each is a turn. */
    ck_assert_uint_le(f.r.poller.turns - turns, 4);
    ck_assert_uint_eq(f.second_fired, 0);
}
END_TEST

static void on_message(struct weir_message *m, void *receiver)
{
    (void)m;
    ck_assert_ptr_eq(receiver, &f.r);
    step('m');
}

static void on_event(struct weir_stream *s)
{
    (void)s;
    step('s');
}

static void on_flushed(struct weir_outbox *o, int error)
{
    (void)o;
    ck_assert_int_eq(error, 0);
    step('f');
}

/* A turn's order: messages, sources, deadlines, output; what a deadline sends goes out in its turn. */
START_TEST(test_order_within_a_turn)
{
    struct weir_message m = {.handle = on_message};
    f.ts = test_stream_new(&f.r);
    f.ts->base.event = on_event;
    weir_outbox_init(&f.out, &f.r, &f.ts->base, on_flushed, NULL);
    weir_reactor_deadline(&f.r, &f.d, f.r.now_ms);
    spin_ms(10); /* by the next turn it is due */
    test_stream_feed_text(f.ts, "x");
    weir_mailbox_post(&f.r.mailbox, &m);
    uv_run(&f.r.loop, UV_RUN_ONCE);
    ck_assert_str_eq(f.steps, "msdf");
    ck_assert_str_eq(f.ts->wrote, "late");
}
END_TEST

static struct {
    struct weir_source source;
    uv_poll_t other;
    int ends[2], bell[2];
} late;

static void on_arrival(struct weir_source *src)
{
    char got;
    if (read(src->fd, &got, 1) == 1)
        step('s');
    src->ready = 0;
}

/* By now the loop has looked for events: what comes here it has not announced. */
static void keep_from_processor(uv_poll_t *other, int status, int events)
{
    (void)status, (void)events;
    uv_poll_stop(other);
    spin_ms(60);
    ck_assert_int_eq(write(late.ends[1], "x", 1), 1);
}

START_TEST(test_what_came_before_a_deadline_is_read_before_it_fires)
{
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, late.ends), 0);
    ck_assert_int_eq(pipe(late.bell), 0);
    weir_source_init(&late.source, late.ends[0], on_arrival);
    ck_assert_int_eq(weir_poller_add(&f.r.poller, &late.source), WEIR_OK);
    run_idle(&f.r); /* that it may be written to is an event of its own */
    uv_poll_init(&f.r.loop, &late.other, late.bell[0]);
    uv_poll_start(&late.other, UV_READABLE, keep_from_processor);
    ck_assert_int_eq(write(late.bell[1], "x", 1), 1);
    weir_reactor_deadline(&f.r, &f.d, f.r.now_ms + 50);
    RUN_UNTIL(&f.r, f.fired > 0);
    ck_assert_str_eq(f.steps, "sd");
    weir_poller_remove(&f.r.poller, &late.source);
    uv_close((uv_handle_t *)&late.other, NULL);
    for (int i = 0; i < 2; i++) {
        close(late.ends[i]);
        close(late.bell[i]);
    }
}
END_TEST

/* -- what has arrived is read before deadlines are judged -- */

struct answer {
    struct weir_source source;
    uint64_t come_ms; /* when it was sent; 0: it has not been read */
};

static void on_answer(struct weir_source *src)
{
    struct answer *a = WEIR_CONTAINER(src, struct answer, source);
    if (read(src->fd, &a->come_ms, sizeof a->come_ms) == (ssize_t)sizeof a->come_ms)
        step('a');
}

static char state_of(pid_t pid)
{
    char path[64], text[512] = "";
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *stat = fopen(path, "r");
    size_t n = stat != NULL ? fread(text, 1, sizeof text - 1, stat) : 0;
    if (stat != NULL)
        fclose(stat);
    const char *name_ends = strrchr(text, ')');
    return n > 0 && name_ends != NULL ? name_ends[2] : '?';
}

static void stop_the_test_while_its_answer_comes(int fd, uint64_t due_ms)
{
    pid_t test = getppid();
    while (state_of(test) != 'S')
        usleep(1000);
    kill(test, SIGSTOP);
    while (state_of(test) != 'T')
        usleep(1000);
    uint64_t now_ms = weir_clock_us() / 1000;
    ssize_t n = write(fd, &now_ms, sizeof now_ms);
    while (weir_clock_us() / 1000 < due_ms + 20)
        usleep(1000);
    kill(test, SIGCONT);
    _exit(n == (ssize_t)sizeof now_ms ? 0 : 1);
}

/* The process is stopped while the loop sleeps, the answer comes, the deadline passes, and the process goes on. */
START_TEST(test_a_stopped_process_reads_before_it_judges)
{
    uint64_t wait_ms = 100;
    for (bool in_time = false; !in_time; wait_ms *= 2) { /* the other process may be slow to stop this one */
        struct answer a = {.come_ms = 0};
        int fds[2], status;
        ck_assert_int_eq(pipe2(fds, O_NONBLOCK | O_CLOEXEC), 0);
        weir_source_init(&a.source, fds[0], on_answer);
        ck_assert_int_eq(weir_poller_add(&f.r.poller, &a.source), 0);
        run_idle(&f.r);
        f.fired = f.step_count = 0;
        memset(f.steps, 0, sizeof f.steps);
        weir_reactor_clock(&f.r);
        uint64_t due_ms = f.r.now_ms + wait_ms;
        weir_reactor_deadline(&f.r, &f.d, due_ms);
        pid_t other = fork();
        if (other == 0)
            stop_the_test_while_its_answer_comes(fds[1], due_ms);
        RUN_UNTIL(&f.r, f.fired > 0 && a.come_ms != 0);
        ck_assert_int_eq(waitpid(other, &status, 0), other);
        ck_assert_int_eq(status, 0);
        in_time = a.come_ms < due_ms;
        if (in_time)
            ck_assert_str_eq(f.steps, "ad");
        weir_poller_forget(&f.r.poller, &a.source);
        close(fds[0]);
        close(fds[1]);
    }
}
END_TEST

/* More than one turn takes. */
START_TEST(test_all_that_is_ready_is_read_before_a_deadline_is_judged)
{
    enum { COUNT = 3 * WEIR_POLLER_BATCH };
    static struct answer a[COUNT];
    for (unsigned i = 0; i < COUNT; i++) {
        weir_source_init(&a[i].source, eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), on_answer);
        ck_assert_int_eq(weir_poller_add(&f.r.poller, &a[i].source), 0);
    }
    run_idle(&f.r);
    weir_reactor_deadline(&f.r, &f.d, f.r.now_ms + 1);
    spin_ms(20);
    for (unsigned i = 0; i < COUNT; i++)
        ck_assert_int_eq(eventfd_write(a[i].source.fd, 1), 0);
    RUN_UNTIL(&f.r, f.fired > 0);
    for (unsigned i = 0; i < COUNT; i++) {
        ck_assert_uint_eq(a[i].come_ms, 1);
        weir_poller_forget(&f.r.poller, &a[i].source);
        close(a[i].source.fd);
    }
}
END_TEST

static void on_stop(struct weir_message *m, void *receiver)
{
    (void)m;
    weir_reactor_stop(receiver);
}

static void *post_stop(void *arg)
{
    static struct weir_message m = {.handle = on_stop};
    weir_mailbox_post(&((struct weir_reactor *)arg)->mailbox, &m);
    return NULL;
}

START_TEST(test_runs_until_a_message_stops_it)
{
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, post_stop, &f.r), 0);
    weir_reactor_run(&f.r);
    pthread_join(thread, NULL);
}
END_TEST

static void dawdle(struct weir_message *m, void *receiver)
{
    (void)receiver;
    m->handle = NULL;
    spin_ms(30);
}

START_TEST(test_a_long_turn_shows_as_lag)
{
    struct weir_message m = {.handle = dawdle};
    weir_mailbox_post(&f.r.mailbox, &m);
    RUN_UNTIL(&f.r, m.handle == NULL);
    run_idle(&f.r);
    ck_assert_uint_ge(f.r.lag_us_max, 29000);
}
END_TEST

/* A busy machine may hold up any one turn for so long, but not every one of them. */
START_TEST(test_sleep_is_no_lag)
{
    const uint64_t sleep_ms = 50;
    int tries = 0;
    do {
        ck_assert_int_lt(tries++, 20);
        f.fired = 0;
        f.r.lag_us_max = 0;
        weir_reactor_deadline(&f.r, &f.d, f.r.now_ms + sleep_ms);
        RUN_UNTIL(&f.r, f.fired > 0);
        run_idle(&f.r);
    } while (f.r.lag_us_max >= 1000 * (sleep_ms - 2));
}
END_TEST

START_TEST(test_out_of_memory_leaves_nothing)
{
    struct weir_reactor r;
    struct weir_err err;
    bool failed = true;
    for (unsigned long n = 1; failed; n++) {
        failmalloc_begin(n);
        int rv = weir_reactor_init(&r, &err);
        if (rv == WEIR_OK)
            weir_reactor_close(&r);
        long left = failmalloc_end(&failed);
        ck_assert_int_eq(rv, failed ? WEIR_ENOMEM : WEIR_OK);
        ck_assert_int_eq(left, 0);
    }
}
END_TEST

static int lowest_free_fd(void)
{
    int fd = dup(0);
    ck_assert_int_ge(fd, 0);
    close(fd);
    return fd;
}

static int init_with_spare_fds(struct weir_reactor *r, int spare, struct weir_err *err)
{
    struct rlimit before, limit;
    getrlimit(RLIMIT_NOFILE, &before);
    limit = before;
    limit.rlim_cur = (rlim_t)(lowest_free_fd() + spare);
    setrlimit(RLIMIT_NOFILE, &limit);
    int rv = weir_reactor_init(r, err);
    setrlimit(RLIMIT_NOFILE, &before);
    return rv;
}

START_TEST(test_out_of_descriptors_leaves_none)
{
    struct weir_reactor r;
    struct weir_err err = {0};
    int spare = 0, failures = 0;
    /* libuv's own part first: uv_loop_init is known to keep some when it fails half way (1.44). */
    while (init_with_spare_fds(&r, spare, &err) == WEIR_EIO && strncmp(err.msg, "event loop", 10) == 0)
        spare++;
    int lowest = lowest_free_fd();
    for (int rv; (rv = init_with_spare_fds(&r, spare, &err)) != WEIR_OK; spare++) {
        ck_assert_int_eq(rv, WEIR_EIO);
        ck_assert_int_eq(lowest_free_fd(), lowest);
        failures++;
    }
    ck_assert_int_gt(failures, 0);
    weir_reactor_close(&r);
    ck_assert_int_eq(lowest_free_fd(), lowest);
}
END_TEST

CHECK_MAIN("reactor", setup, teardown, test_a_deadline_wakes_the_loop, test_an_earlier_deadline_moves_the_timer,
           test_a_far_deadline_set_while_firing_hides_no_near_one, test_moved_and_cleared_deadlines_cost_no_wake_ups,
           test_order_within_a_turn, test_what_came_before_a_deadline_is_read_before_it_fires,
           test_a_stopped_process_reads_before_it_judges, test_all_that_is_ready_is_read_before_a_deadline_is_judged,
           test_runs_until_a_message_stops_it, test_a_long_turn_shows_as_lag, test_sleep_is_no_lag,
           test_out_of_memory_leaves_nothing, test_out_of_descriptors_leaves_none)
