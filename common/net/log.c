/* The way of a line, and where it can get lost:
 * - A producer formats on its stack and copies the whole line into its ring (one writer, one reader, no lock),
 *   publishing it by moving `head`. Ring full: dropped, counted by the producer.
 * - The writer copies whole lines of one ring after the other into its batch and gives the room back by moving `tail`.
 * - It writes the batch; where that would block it polls, and meanwhile the rings fill up. The reader of a pipe gone,
 *   or a disk full: the batch is dropped and counted by the writer.
 * - Nothing left: it naps for a batch interval, looks again, and then sleeps on its eventfd. It says so in `state`
 *   before it looks at the rings for the last time; a producer looks at `state` after it has moved `head`. Both in the
 *   one order of sequentially consistent operations, so no line is left behind by a sleeper.
 * - At the end: what a blocked pipe does not take until the deadline is lost, and counted. */
#include "net/log.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/counters.h"

/* What one write takes at most: a pipe's usual size. */
#define BATCH_BYTES ((size_t)64 * 1024)
/* A pipe that polls as writable takes this much without blocking (pipe(7)). */
#define PIPE_BYTES ((size_t)4096)
/* A notice about dropped lines comes at most this often. */
#define NOTICE_INTERVAL_MS 1000

enum writer_state { AWAKE, NAPPING, ASLEEP };
enum sink { SINK_PLAIN, SINK_POLLED, SINK_SOCKET };

struct weir_log_producer {
    alignas(WEIR_CACHE_LINE) _Atomic(uint64_t) head; /* bytes ever put in; the producer's line of the cache */
    uint64_t tail_seen;
    _Atomic(uint64_t) dropped;
    struct weir_log *log;
    struct weir_log_producer *next;
    alignas(WEIR_CACHE_LINE) _Atomic(uint64_t) tail; /* bytes ever taken out; the writer's */
    alignas(WEIR_CACHE_LINE) char ring[WEIR_LOG_RING_BYTES];
};

struct weir_log {
    _Atomic(struct weir_log_producer *) producers;
    _Atomic(int) state;
    _Atomic(int) format, level;
    _Atomic(uint64_t) dropped; /* by the writer */
    _Atomic(uint64_t) stop_ms; /* monotonic; 0: go on */
    char *node;
    int fd;
    enum sink sink;
    int wake, done; /* eventfds */
    pthread_t writer;
    uint64_t noticed, notice_ms; /* lines reported as dropped so far, and when */
    char batch[BATCH_BYTES];
};

static _Thread_local struct weir_log_producer *self;

static uint64_t clock_ms(clockid_t id)
{
    struct timespec ts;
    clock_gettime(id, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* -- the producers' side -- */

static void wake_writer(struct weir_log *log)
{
    if (atomic_exchange(&log->state, AWAKE) != AWAKE)
        eventfd_write(log->wake, 1);
}

/* So many lines came that the writer had better not finish its nap. */
static bool filling(struct weir_log_producer *p, uint64_t head)
{
    if (head - p->tail_seen <= WEIR_LOG_RING_BYTES / 2)
        return false;
    p->tail_seen = atomic_load_explicit(&p->tail, memory_order_acquire);
    return head - p->tail_seen > WEIR_LOG_RING_BYTES / 2;
}

bool weir_log_write(struct weir_log_producer *p, const char *line, size_t len)
{
    assert(len > 0 && len <= WEIR_LOG_LINE_MAX && line[len - 1] == '\n');
    uint64_t head = atomic_load_explicit(&p->head, memory_order_relaxed);
    if (head + len - p->tail_seen > WEIR_LOG_RING_BYTES) {
        p->tail_seen = atomic_load_explicit(&p->tail, memory_order_acquire);
        if (head + len - p->tail_seen > WEIR_LOG_RING_BYTES) {
            atomic_store_explicit(&p->dropped, atomic_load_explicit(&p->dropped, memory_order_relaxed) + 1,
                                  memory_order_relaxed);
            return false;
        }
    }
    size_t at = (size_t)(head % WEIR_LOG_RING_BYTES), first = WEIR_LOG_RING_BYTES - at;
    first = len < first ? len : first;
    memcpy(p->ring + at, line, first);
    memcpy(p->ring, line + first, len - first);
    atomic_store(&p->head, head + len);

    int state = atomic_load(&p->log->state);
    if (state == ASLEEP || (state == NAPPING && filling(p, head + len)))
        wake_writer(p->log);
    return true;
}

int weir_log_join(struct weir_log *log, struct weir_log_producer **out)
{
    struct weir_log_producer *p = *out = aligned_alloc(alignof(struct weir_log_producer), sizeof *p);
    if (p == NULL)
        return WEIR_ENOMEM;
    atomic_init(&p->head, 0);
    atomic_init(&p->tail, 0);
    atomic_init(&p->dropped, 0);
    p->tail_seen = 0;
    p->log = log;
    p->next = atomic_load(&log->producers);
    while (!atomic_compare_exchange_weak(&log->producers, &p->next, p))
        continue;
    self = p;
    return 0;
}

struct weir_log_producer *weir_log_self(void)
{
    return self;
}

void weir_log_leave(struct weir_log_producer *p)
{
    assert(p == self);
    self = NULL;
}

bool weir_log_wants(const struct weir_log_producer *p, enum weir_log_level level)
{
    return p != NULL && (int)level >= atomic_load_explicit(&p->log->level, memory_order_relaxed);
}

enum weir_log_format weir_log_format_now(const struct weir_log_producer *p)
{
    return (enum weir_log_format)atomic_load_explicit(&p->log->format, memory_order_relaxed);
}

const char *weir_log_node(const struct weir_log_producer *p)
{
    return p->log->node;
}

/* -- the writer's side -- */

/* Whole lines from p into the batch behind `len` bytes; returns the new length. */
static size_t gather(struct weir_log *log, struct weir_log_producer *p, size_t len)
{
    uint64_t tail = atomic_load_explicit(&p->tail, memory_order_relaxed), head = atomic_load(&p->head);
    size_t n = (size_t)(head - tail), at = (size_t)(tail % WEIR_LOG_RING_BYTES);
    if (n > BATCH_BYTES - len)
        n = BATCH_BYTES - len;
    size_t first = n < WEIR_LOG_RING_BYTES - at ? n : WEIR_LOG_RING_BYTES - at;
    memcpy(log->batch + len, p->ring + at, first);
    memcpy(log->batch + len + first, p->ring, n - first);
    const char *end = n > 0 ? memrchr(log->batch + len, '\n', n) : NULL;
    size_t lines = end != NULL ? (size_t)(end + 1 - (log->batch + len)) : 0;
    atomic_store_explicit(&p->tail, tail + lines, memory_order_release);
    return len + lines;
}

static uint64_t lines_in(const char *p, size_t n)
{
    uint64_t lines = 0;
    for (const char *end = p + n; (p = memchr(p, '\n', (size_t)(end - p))) != NULL; p++)
        lines++;
    return lines;
}

/* True: the sink takes bytes now. False: the deadline of a stop has passed. */
static bool wait_writable(struct weir_log *log)
{
    for (;;) {
        uint64_t stop = atomic_load(&log->stop_ms), now = clock_ms(CLOCK_MONOTONIC);
        struct pollfd fds[] = {{.fd = log->fd, .events = POLLOUT}, {.fd = log->wake, .events = POLLIN}};
        int timeout = stop == 0 ? -1 : stop > now ? (int)(stop - now) : 0;
        /* Once told to stop, the wake-up has nothing more to say. */
        int n = poll(fds, stop == 0 ? 2 : 1, timeout);
        if (n > 0 && fds[0].revents != 0)
            return true;
        if (n == 0 && stop != 0)
            return false;
        if (n > 0) {
            eventfd_t ignored;
            eventfd_read(log->wake, &ignored);
        }
    }
}

static ssize_t write_some(const struct weir_log *log, const char *p, size_t n)
{
    if (log->sink == SINK_SOCKET)
        return send(log->fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (log->sink == SINK_POLLED && n > PIPE_BYTES) {
        /* End at a line, so that another writer of the same pipe cannot cut into one. */
        const char *end = memrchr(p, '\n', PIPE_BYTES);
        n = end != NULL ? (size_t)(end + 1 - p) : PIPE_BYTES;
    }
    return write(log->fd, p, n);
}

/* False: the bytes were given up, the lines among them counted. */
static bool write_all(struct weir_log *log, const char *p, size_t n)
{
    while (n > 0) {
        if (log->sink == SINK_POLLED && !wait_writable(log))
            break;
        ssize_t done = write_some(log, p, n);
        if (done >= 0) {
            p += done;
            n -= (size_t)done;
        } else if (errno == EAGAIN) {
            if (!wait_writable(log))
                break;
        } else if (errno != EINTR) {
            break;
        }
    }
    if (n == 0)
        return true;
    atomic_fetch_add(&log->dropped, lines_in(p, n));
    return false;
}

/* One round over the producers; false when there was nothing to write. */
static bool drain(struct weir_log *log)
{
    size_t len = 0;
    bool any = false;
    for (struct weir_log_producer *p = atomic_load(&log->producers); p != NULL; p = p->next) {
        size_t before = len;
        len = gather(log, p, len);
        any |= len > before;
        if (len + WEIR_LOG_LINE_MAX > BATCH_BYTES) {
            write_all(log, log->batch, len);
            len = 0;
        }
    }
    if (len > 0)
        write_all(log, log->batch, len);
    return any;
}

uint64_t weir_log_dropped(const struct weir_log *log)
{
    uint64_t sum = atomic_load(&log->dropped);
    for (const struct weir_log_producer *p = atomic_load(&log->producers); p != NULL; p = p->next)
        sum += atomic_load_explicit(&p->dropped, memory_order_relaxed);
    return sum;
}

/* Tells the log's reader that something is missing; true: not yet. */
static bool notice_drops(struct weir_log *log, bool last)
{
    uint64_t dropped = weir_log_dropped(log), now = clock_ms(CLOCK_MONOTONIC);
    bool early = log->notice_ms != 0 && now - log->notice_ms < NOTICE_INTERVAL_MS;
    if (dropped == log->noticed)
        return false;
    if (early && !last)
        return true;
    char buf[WEIR_LOG_LINE_MAX];
    struct weir_line l;
    weir_line_begin(&l, buf, (enum weir_log_format)atomic_load(&log->format), clock_ms(CLOCK_REALTIME), WEIR_LOG_WARN,
                    "log_dropped", "log lines were dropped", log->node);
    weir_line_u64(&l, "lines", dropped - log->noticed);
    weir_line_u64(&l, "lines_total", dropped);
    log->noticed = dropped;
    log->notice_ms = now;
    size_t len = weir_line_end(&l);
    assert(len <= sizeof buf);
    write_all(log, buf, len);
    return false;
}

static void sleep_until_woken(struct weir_log *log, int timeout_ms)
{
    struct pollfd fd = {.fd = log->wake, .events = POLLIN};
    eventfd_t ignored;
    if (poll(&fd, 1, timeout_ms) > 0)
        eventfd_read(log->wake, &ignored);
    atomic_store(&log->state, AWAKE);
}

static void *write_lines(void *arg)
{
    struct weir_log *log = arg;
    for (;;) {
        bool stopping = atomic_load(&log->stop_ms) != 0, any = drain(log);
        bool owing = notice_drops(log, stopping);
        if (stopping && !any)
            break;
        if (stopping)
            continue;
        atomic_store(&log->state, any ? NAPPING : ASLEEP);
        if (!any && drain(log)) {
            atomic_store(&log->state, AWAKE);
            continue;
        }
        if (atomic_load(&log->stop_ms) == 0)
            sleep_until_woken(log, any ? WEIR_LOG_BATCH_MS : owing ? NOTICE_INTERVAL_MS : -1);
    }
    eventfd_write(log->done, 1);
    return NULL;
}

/* -- its life -- */

static enum sink sink_of(int fd)
{
    struct stat st;
    if (fstat(fd, &st) != 0 || S_ISREG(st.st_mode))
        return SINK_PLAIN;
    if (S_ISSOCK(st.st_mode))
        return SINK_SOCKET;
    return S_ISFIFO(st.st_mode) || isatty(fd) ? SINK_POLLED : SINK_PLAIN;
}

static void free_all(struct weir_log *log)
{
    for (struct weir_log_producer *p = atomic_load(&log->producers), *next; p != NULL; p = next) {
        next = p->next;
        if (p == self)
            self = NULL;
        free(p);
    }
    if (log->wake >= 0)
        close(log->wake);
    if (log->done >= 0)
        close(log->done);
    free(log->node);
    free(log);
}

/* The writer takes no signals: those are the main thread's, and SIGPIPE would end the process for a reader that left.
 */
static int start_writer(struct weir_log *log)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = pthread_create(&log->writer, NULL, write_lines, log);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc == 0)
        pthread_setname_np(log->writer, "weir-log");
    return rc;
}

int weir_log_start(struct weir_log **out, const struct weir_log_opts *opts, struct weir_err *err)
{
    *out = NULL;
    struct weir_log *log = calloc(1, sizeof *log);
    if (log == NULL)
        return weir_err_set(err, WEIR_ENOMEM, "log: out of memory");
    log->fd = opts->fd;
    log->sink = sink_of(opts->fd);
    log->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    log->done = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    log->node = opts->node != NULL ? strdup(opts->node) : NULL;
    weir_log_configure(log, opts->format, opts->level);
    int code = WEIR_EIO;
    if (opts->node != NULL && log->node == NULL)
        code = weir_err_set(err, WEIR_ENOMEM, "log: out of memory");
    else if (log->wake < 0 || log->done < 0)
        weir_err_set(err, code, "log: eventfd: %s", strerror(errno));
    else if (start_writer(log) != 0)
        weir_err_set(err, code, "log: cannot start its thread");
    else {
        *out = log;
        return 0;
    }
    free_all(log);
    return code;
}

void weir_log_configure(struct weir_log *log, enum weir_log_format format, enum weir_log_level level)
{
    atomic_store_explicit(&log->format, (int)format, memory_order_relaxed);
    atomic_store_explicit(&log->level, (int)level, memory_order_relaxed);
}

bool weir_log_stop(struct weir_log **out, unsigned deadline_ms)
{
    /* For the writer to see its own deadline pass and to say that it is done. */
    enum { GRACE_MS = 100 };
    struct weir_log *log = *out;
    *out = NULL;
    atomic_store(&log->stop_ms, clock_ms(CLOCK_MONOTONIC) + deadline_ms);
    uint64_t dropped = weir_log_dropped(log);
    eventfd_write(log->wake, 1);

    struct pollfd fd = {.fd = log->done, .events = POLLIN};
    int n;
    do {
        n = poll(&fd, 1, (int)deadline_ms + GRACE_MS);
    } while (n < 0 && errno == EINTR);
    if (n <= 0) {
        pthread_detach(log->writer);
        return false;
    }
    pthread_join(log->writer, NULL);
    bool complete = weir_log_dropped(log) == dropped;
    free_all(log);
    return complete;
}

/* -- lines -- */

void weir_log_begin(struct weir_log_line *l, struct weir_log_producer *p, enum weir_log_level level, const char *event,
                    const char *msg)
{
    l->to = weir_log_wants(p, level) ? p : NULL;
    if (l->to != NULL)
        weir_line_begin(&l->line, l->buf, weir_log_format_now(p), clock_ms(CLOCK_REALTIME), level, event, msg,
                        p->log->node);
}

void weir_log_str(struct weir_log_line *l, const char *key, struct weir_str value)
{
    if (l->to != NULL)
        weir_line_str(&l->line, key, value);
}

void weir_log_text(struct weir_log_line *l, const char *key, const char *text)
{
    if (l->to != NULL)
        weir_line_text(&l->line, key, text);
}

void weir_log_u64(struct weir_log_line *l, const char *key, uint64_t value)
{
    if (l->to != NULL)
        weir_line_u64(&l->line, key, value);
}

void weir_log_i64(struct weir_log_line *l, const char *key, int64_t value)
{
    if (l->to != NULL)
        weir_line_i64(&l->line, key, value);
}

void weir_log_double(struct weir_log_line *l, const char *key, double value)
{
    if (l->to != NULL)
        weir_line_double(&l->line, key, value);
}

void weir_log_bool(struct weir_log_line *l, const char *key, bool value)
{
    if (l->to != NULL)
        weir_line_bool(&l->line, key, value);
}

void weir_log_end(struct weir_log_line *l)
{
    if (l->to == NULL)
        return;
    weir_log_write(l->to, l->buf, weir_line_end(&l->line));
    l->to = NULL;
}

void weir_log_simple(struct weir_log_producer *p, enum weir_log_level level, const char *event, const char *msg)
{
    struct weir_log_line l;
    weir_log_begin(&l, p, level, event, msg);
    weir_log_end(&l);
}
