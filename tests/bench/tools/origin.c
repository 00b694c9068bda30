/*
 * A minimal fast HTTP/1.1 origin to stand behind proxies under measurement.
 *
 *     origin [--listen ADDRESS:PORT] [--close-after N] [--delay-ms N] [--event-ms N]
 *
 *     /stream   an event stream without end, one event each --event-ms (1000), the streams spread evenly over it
 *     /stats    {"accepted", "requests", "open", "streams", "events_dropped"} as JSON
 *     else      200 with an 850-byte body, after --delay-ms (0); every N-th answer of a connection closes it if
 *               --close-after says so
 *
 * It trusts its peers as far as a bench may: a request head above 4 KB, a body without Content-Length or a peer that
 * does not read its answers gets its connection closed.
 */
#include "tool.h"
#include <getopt.h>
#include <strings.h>

enum {
    ANSWER_BYTES = 850,
    HEAD_BYTES_MAX = 4096,
    EVENTS_PER_TURN = 256,
    TICK_MS = 10, /* streams are served in groups of one tick: no burst of thousands of events */
    SLOTS_MAX = 6000,
};

struct conn {
    int fd;
    unsigned in_len;
    uint64_t body_left; /* bytes of a request body still to be skipped */
    unsigned answer_count;
    unsigned slot; /* of a stream */
    bool dead, delayed, streaming;
    struct conn *next, *prev; /* the delayed queue, a stream slot or the dead list */
    uint64_t due_ms;
    char in[HEAD_BYTES_MAX + 1];
};

struct queue {
    struct conn *first, *last;
};

static unsigned close_after, delay_ms, event_ms = 1000;
static int set;
static struct queue delayed, slots[SLOTS_MAX];
static unsigned slot_count, slot_next;
static struct conn *dead_conns; /* freed at the end of a turn, whose later events may still point at them */
static uint64_t accepted_total, request_total, open_count, stream_count, dropped_total;
static char answer[ANSWER_BYTES + 256], answer_closing[ANSWER_BYTES + 256];
static size_t answer_len, answer_closing_len;

static const char stream_head[] = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n"
                                  "Transfer-Encoding: chunked\r\n\r\n";
static char stream_event[256];
static size_t stream_event_len;

static void queue_push(struct queue *q, struct conn *c)
{
    c->next = NULL;
    c->prev = q->last;
    *(q->last == NULL ? &q->first : &q->last->next) = c;
    q->last = c;
}

static void queue_remove(struct queue *q, struct conn *c)
{
    *(c->prev == NULL ? &q->first : &c->prev->next) = c->next;
    *(c->next == NULL ? &q->last : &c->next->prev) = c->prev;
}

static void kill_conn(struct conn *c)
{
    if (c->delayed)
        queue_remove(&delayed, c);
    if (c->streaming) {
        queue_remove(&slots[c->slot], c);
        stream_count--;
    }
    close(c->fd);
    open_count--;
    c->dead = true;
    c->next = dead_conns;
    dead_conns = c;
}

static void bury_dead(void)
{
    while (dead_conns != NULL) {
        struct conn *c = dead_conns;
        dead_conns = c->next;
        free(c);
    }
}

/* Write all or close: an answer fits any socket buffer of a peer that reads. */
static void send_or_kill(struct conn *c, const char *bytes, size_t len, bool last)
{
    if (write(c->fd, bytes, len) != (ssize_t)len || last)
        kill_conn(c);
}

static void send_answer(struct conn *c)
{
    bool last = close_after != 0 && ++c->answer_count >= close_after;
    if (last)
        send_or_kill(c, answer_closing, answer_closing_len, true);
    else
        send_or_kill(c, answer, answer_len, false);
}

static void send_stats(struct conn *c)
{
    char body[256], all[512];
    int body_len =
        snprintf(body, sizeof body,
                 "{\"accepted\": %llu, \"requests\": %llu, \"open\": %llu, \"streams\": %llu, "
                 "\"events_dropped\": %llu}\n",
                 (unsigned long long)accepted_total, (unsigned long long)request_total, (unsigned long long)open_count,
                 (unsigned long long)stream_count, (unsigned long long)dropped_total);
    int len =
        snprintf(all, sizeof all, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
                 body_len, body);
    send_or_kill(c, all, (size_t)len, false);
}

static void start_stream(struct conn *c)
{
    char first[sizeof stream_head + sizeof stream_event];
    memcpy(first, stream_head, sizeof stream_head - 1);
    memcpy(first + sizeof stream_head - 1, stream_event, stream_event_len);
    c->streaming = true;
    c->slot = (unsigned)(request_total % slot_count);
    queue_push(&slots[c->slot], c);
    stream_count++;
    send_or_kill(c, first, sizeof stream_head - 1 + stream_event_len, false);
}

/* Find how much body follows the head; false if its length is not given. */
static bool body_length(const char *head, uint64_t *out)
{
    *out = 0;
    if (strncmp(head, "GET ", 4) == 0)
        return true;
    const char *field = strcasestr(head, "\r\ncontent-length:");
    if (field == NULL)
        return false;
    *out = strtoull(field + strlen("\r\ncontent-length:"), NULL, 10);
    return true;
}

static void answer_request(struct conn *c, const char *head)
{
    const char *path = strchr(head, ' ');
    path = path == NULL ? "" : path + 1;
    if (strncmp(path, "/stats", 6) == 0) {
        send_stats(c);
        return;
    }
    request_total++;
    if (strncmp(path, "/stream", 7) == 0) {
        start_stream(c);
    } else if (delay_ms != 0) {
        c->delayed = true;
        c->due_ms = tool_now_ms() + delay_ms;
        queue_push(&delayed, c);
    } else {
        send_answer(c);
    }
}

static void drop_input(struct conn *c, size_t len)
{
    c->in_len -= (unsigned)len;
    memmove(c->in, c->in + len, c->in_len);
}

/* Answer every request whose head is here. A stream or a delayed answer stops it: its turn comes again. */
static void take_requests(struct conn *c)
{
    while (!c->dead && !c->delayed && !c->streaming) {
        size_t skipped = c->body_left < c->in_len ? (size_t)c->body_left : c->in_len;
        drop_input(c, skipped);
        c->body_left -= skipped;
        c->in[c->in_len] = '\0';
        char *end = c->body_left > 0 || c->in_len == 0 ? NULL : strstr(c->in, "\r\n\r\n");
        if (end == NULL)
            break;
        end[2] = '\0';
        if (!body_length(c->in, &c->body_left)) {
            kill_conn(c);
            break;
        }
        answer_request(c, c->in);
        drop_input(c, (size_t)(end - c->in) + 4);
    }
    if (!c->dead && c->in_len == HEAD_BYTES_MAX)
        kill_conn(c);
}

static void read_conn(struct conn *c)
{
    ssize_t n = read(c->fd, c->in + c->in_len, HEAD_BYTES_MAX - c->in_len);
    if (n > 0) {
        c->in_len += (unsigned)n;
        take_requests(c);
    } else if (n == 0 || errno != EAGAIN) {
        kill_conn(c);
    }
}

static void accept_conns(int listener)
{
    int fd;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct conn *c = malloc(sizeof *c);
        if (c == NULL) {
            close(fd);
            return;
        }
        memset(c, 0, offsetof(struct conn, in));
        c->fd = fd;
        accepted_total++;
        open_count++;
        tool_nodelay(fd);
        tool_epoll(set, EPOLL_CTL_ADD, fd, EPOLLIN, c);
    }
}

static void send_due_answers(uint64_t now_ms)
{
    while (delayed.first != NULL && delayed.first->due_ms <= now_ms) {
        struct conn *c = delayed.first;
        queue_remove(&delayed, c);
        c->delayed = false;
        send_answer(c);
        if (!c->dead)
            take_requests(c);
    }
}

static void send_slot_events(struct queue *slot)
{
    struct conn *next;
    for (struct conn *c = slot->first; c != NULL; c = next) {
        next = c->next;
        if (write(c->fd, stream_event, stream_event_len) == (ssize_t)stream_event_len)
            continue;
        if (errno == EAGAIN)
            dropped_total++;
        else
            kill_conn(c);
    }
}

static void prepare_texts(void)
{
    static const char data[] = "data: {\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion.chunk\",\"choices\":"
                               "[{\"index\":0,\"delta\":{\"content\":\" token\"}}]}\n\n";
    char body[ANSWER_BYTES + 1];
    memset(body, 'x', ANSWER_BYTES);
    body[ANSWER_BYTES] = '\0';
    for (int closing = 0; closing < 2; closing++) {
        char *to = closing ? answer_closing : answer;
        int len = snprintf(to, sizeof answer,
                           "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n%s\r\n%s",
                           ANSWER_BYTES, closing ? "Connection: close\r\n" : "", body);
        *(closing ? &answer_closing_len : &answer_len) = (size_t)len;
    }
    stream_event_len = (size_t)snprintf(stream_event, sizeof stream_event, "%zx\r\n%s\r\n", sizeof data - 1, data);
}

static struct sockaddr_in read_options(int argc, char **argv)
{
    static const struct option options[] = {
        {"listen", required_argument, NULL, 'l'},
        {"close-after", required_argument, NULL, 'c'},
        {"delay-ms", required_argument, NULL, 'd'},
        {"event-ms", required_argument, NULL, 'e'},
        {NULL, 0, NULL, 0},
    };
    struct sockaddr_in addr = tool_address("127.0.0.1:0");
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'l')
            addr = tool_address(optarg);
        else if (option == 'c')
            close_after = tool_number("--close-after", optarg, 1, 1000000000);
        else if (option == 'd')
            delay_ms = tool_number("--delay-ms", optarg, 0, 60000);
        else if (option == 'e')
            event_ms = tool_number("--event-ms", optarg, TICK_MS, SLOTS_MAX * TICK_MS);
        else
            exit(2);
    }
    return addr;
}

/* How long epoll may sleep: to the next delayed answer or, while there are streams, the next tick. */
static int sleep_ms(uint64_t now_ms, uint64_t tick_ms)
{
    uint64_t until = UINT64_MAX;
    if (delayed.first != NULL)
        until = delayed.first->due_ms;
    if (stream_count > 0 && tick_ms < until)
        until = tick_ms;
    if (until == UINT64_MAX)
        return -1;
    return until <= now_ms ? 0 : (int)(until - now_ms);
}

int main(int argc, char **argv)
{
    struct epoll_event events[EVENTS_PER_TURN];
    struct sockaddr_in addr = read_options(argc, argv);
    tool_ignore_broken_pipe();
    tool_raise_descriptor_limit();
    prepare_texts();
    slot_count = event_ms / TICK_MS;
    set = epoll_create1(EPOLL_CLOEXEC);
    int listener = tool_listen(&addr);
    tool_epoll(set, EPOLL_CTL_ADD, listener, EPOLLIN, NULL);
    bool timed = false; /* the clock is read only while something waits for it */
    uint64_t tick_ms = 0;
    for (;;) {
        uint64_t now_ms = timed ? tool_now_ms() : 0;
        int count = epoll_wait(set, events, EVENTS_PER_TURN, timed ? sleep_ms(now_ms, tick_ms) : -1);
        for (int i = 0; i < count; i++) {
            struct conn *c = events[i].data.ptr;
            if (c == NULL)
                accept_conns(listener);
            else if (!c->dead)
                read_conn(c);
        }
        if (timed) {
            now_ms = tool_now_ms();
            send_due_answers(now_ms);
            if (tick_ms < now_ms && now_ms - tick_ms > event_ms)
                tick_ms = now_ms; /* the first stream for a while: no burst for the time that passed */
            for (; stream_count > 0 && tick_ms <= now_ms; tick_ms += TICK_MS)
                send_slot_events(&slots[slot_next++ % slot_count]);
        }
        timed = delayed.first != NULL || stream_count > 0;
        bury_dead();
    }
}
