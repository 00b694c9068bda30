/*
 * Opens many client connections and holds them, so that the memory that a proxy spends on each can be read off.
 *
 *     holder --to ADDRESS:PORT --count N [--stream] [--path /] [--window 64] [--hold-max-s 120]
 *
 * Each connection sends one GET. Without --stream it is held once the answer has been read whole, as an idle
 * keep-alive client; with --stream once the first event has come, and its events are read and counted from then on.
 * At most --window connections are on the way at once, so that the proxy's upstream side stays small beside them.
 *
 * Prints "ready N" when all are held, then waits for the end of its standard input (or --hold-max-s) and prints
 * "held N lost N bytes N". Exits 1 if a connection fails before all are held, or nothing moves for 10 seconds.
 */
#include "tool.h"
#include <getopt.h>
#include <strings.h>

enum {
    HEAD_BYTES_MAX = 8192,
    BUFFER_SIZE = 64 * 1024,
    EVENTS_PER_TURN = 256,
    STALL_MS_MAX = 10000,
};

enum state { UNOPENED, CONNECTING, WAITING, HELD, LOST };

struct conn {
    int fd;
    enum state state;
    unsigned head_len;
    bool head_done;
    uint64_t body_left;
    char *head; /* kept until the head is whole, then freed */
};

static struct sockaddr_in to;
static unsigned conn_count, window = 64, hold_max_s = 120;
static bool want_stream;
static const char *path = "/";
static int set;
static struct conn *conns;
static unsigned opened, held, lost;
static uint64_t byte_total;
static char request[1024], buffer[BUFFER_SIZE];
static size_t request_len;

static void read_options(int argc, char **argv)
{
    static const struct option options[] = {
        {"to", required_argument, NULL, 't'},
        {"count", required_argument, NULL, 'c'},
        {"stream", no_argument, NULL, 's'},
        {"path", required_argument, NULL, 'p'},
        {"window", required_argument, NULL, 'w'},
        {"hold-max-s", required_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 't')
            to = tool_address(optarg);
        else if (option == 'c')
            conn_count = tool_number("--count", optarg, 1, 100000);
        else if (option == 's')
            want_stream = true;
        else if (option == 'p')
            path = optarg;
        else if (option == 'w')
            window = tool_number("--window", optarg, 1, 100000);
        else if (option == 'h')
            hold_max_s = tool_number("--hold-max-s", optarg, 1, 3600);
        else
            exit(2);
    }
    errno = 0;
    if (to.sin_port == 0 || conn_count == 0)
        tool_die("--to and --count are needed");
}

static void open_next(void)
{
    struct conn *c = &conns[opened++];
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0 || (connect(c->fd, (struct sockaddr *)&to, sizeof to) != 0 && errno != EINPROGRESS))
        tool_die("connection %u of %u", opened, conn_count);
    c->state = CONNECTING;
    tool_nodelay(c->fd);
    tool_epoll(set, EPOLL_CTL_ADD, c->fd, EPOLLOUT, c);
}

static void send_request(struct conn *c)
{
    if (write(c->fd, request, request_len) != (ssize_t)request_len)
        tool_die("request on connection %u", (unsigned)(c - conns));
    c->state = WAITING;
    c->head = malloc(HEAD_BYTES_MAX + 1);
    if (c->head == NULL)
        tool_die("out of memory");
    tool_epoll(set, EPOLL_CTL_MOD, c->fd, EPOLLIN, c);
}

static void hold(struct conn *c)
{
    c->state = HELD;
    held++;
}

/* Returns how many of the bytes belong to the head; the head is judged once it is whole. */
static size_t take_head(struct conn *c, const char *bytes, size_t len)
{
    unsigned before = c->head_len;
    size_t room = HEAD_BYTES_MAX - c->head_len;
    size_t take = len < room ? len : room;
    memcpy(c->head + c->head_len, bytes, take);
    c->head_len += (unsigned)take;
    c->head[c->head_len] = '\0';
    char *end = strstr(c->head, "\r\n\r\n");
    errno = 0;
    if (end == NULL) {
        if (take < len)
            tool_die("an answer's head is longer than %d bytes", HEAD_BYTES_MAX);
        return take;
    }
    const char *length = strcasestr(c->head, "\r\ncontent-length:");
    if (strncmp(c->head, "HTTP/1.1 200", 12) != 0 || (!want_stream && length == NULL))
        tool_die("connection %u was answered:\n%.*s", (unsigned)(c - conns), (int)(end - c->head), c->head);
    c->body_left = want_stream ? 0 : strtoull(length + strlen("\r\ncontent-length:"), NULL, 10);
    c->head_done = true;
    c->head_len = (unsigned)(end - c->head) + 4;
    free(c->head);
    c->head = NULL;
    return c->head_len - before;
}

static void take_bytes(struct conn *c, const char *bytes, size_t len)
{
    byte_total += len;
    if (c->state == HELD)
        return;
    size_t used = c->head_done ? 0 : take_head(c, bytes, len);
    if (!c->head_done)
        return;
    if (want_stream) {
        if (len > used)
            hold(c);
        return;
    }
    errno = 0;
    if (len - used > c->body_left)
        tool_die("more bytes came than the answer's length");
    c->body_left -= len - used;
    if (c->body_left == 0)
        hold(c);
}

static void read_conn(struct conn *c)
{
    ssize_t n = read(c->fd, buffer, sizeof buffer);
    if (n > 0) {
        take_bytes(c, buffer, (size_t)n);
        return;
    }
    if (n < 0 && errno == EAGAIN)
        return;
    if (c->state != HELD)
        tool_die("connection %u was closed before its answer was whole", (unsigned)(c - conns));
    close(c->fd);
    c->state = LOST;
    lost++;
}

/* One turn: wait up to timeout_ms and serve what came. Returns false at the end of standard input. */
static bool turn(int timeout_ms)
{
    struct epoll_event events[EVENTS_PER_TURN];
    bool go_on = true;
    int count = epoll_wait(set, events, EVENTS_PER_TURN, timeout_ms);
    for (int i = 0; i < count; i++) {
        struct conn *c = events[i].data.ptr;
        if (c == NULL)
            go_on = read(STDIN_FILENO, buffer, sizeof buffer) > 0;
        else if (c->state == CONNECTING)
            send_request(c);
        else
            read_conn(c);
    }
    return go_on;
}

static void open_all(void)
{
    uint64_t moved_ms = tool_now_ms();
    uint64_t seen_bytes = 0;
    while (held + lost < conn_count) {
        while (opened < conn_count && opened - held - lost < window)
            open_next();
        turn(100);
        if (byte_total != seen_bytes) {
            seen_bytes = byte_total;
            moved_ms = tool_now_ms();
        }
        errno = 0;
        if (tool_now_ms() - moved_ms > STALL_MS_MAX)
            tool_die("stalled with %u of %u held", held, conn_count);
    }
}

int main(int argc, char **argv)
{
    read_options(argc, argv);
    tool_ignore_broken_pipe();
    tool_raise_descriptor_limit();
    request_len =
        (size_t)snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: bench\r\nAccept: */*\r\n\r\n", path);
    errno = 0;
    if (request_len >= sizeof request)
        tool_die("--path is too long");
    conns = calloc(conn_count, sizeof *conns);
    set = epoll_create1(EPOLL_CLOEXEC);
    if (conns == NULL || set < 0)
        tool_die("start");
    open_all();
    printf("ready %u\n", held);
    fflush(stdout);
    tool_epoll(set, EPOLL_CTL_ADD, STDIN_FILENO, EPOLLIN, NULL);
    uint64_t end_ms = tool_now_ms() + hold_max_s * 1000ULL;
    while (tool_now_ms() < end_ms && turn(100))
        ;
    printf("held %u lost %u bytes %llu\n", held - lost, lost, (unsigned long long)byte_total);
    return 0;
}
