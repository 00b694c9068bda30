/*
 * The floor that proxies are compared with: a level-triggered epoll relay that parses nothing and gives each client
 * an upstream connection of its own.
 *
 *     relay LISTEN_ADDRESS:PORT UPSTREAM_ADDRESS:PORT
 *
 * Two reads, two writes and its share of epoll_wait a request: what a proxy costs beyond this is its own doing.
 */
#include "tool.h"

enum {
    BUFFER_SIZE = 16 * 1024, /* what nginx and HAProxy read at once, so that reads come in like sizes */
    EVENTS_PER_TURN = 256,
};

struct side {
    int fd;
    struct side *peer;
    struct pair *pair;
    char *held; /* what the socket did not take; while it is set the peer is not read */
    size_t held_len;
};

struct pair {
    struct side client;
    struct side upstream;
    struct pair *next_dead;
    bool dead;
};

static int set;
static struct pair *dead_pairs; /* freed at the end of a turn: later events of the turn may still point at them */
static char buffer[BUFFER_SIZE];

static void kill_pair(struct pair *pair)
{
    if (pair->dead)
        return;
    pair->dead = true;
    close(pair->client.fd);
    close(pair->upstream.fd);
    free(pair->client.held);
    free(pair->upstream.held);
    pair->next_dead = dead_pairs;
    dead_pairs = pair;
}

static void bury_dead(void)
{
    while (dead_pairs != NULL) {
        struct pair *pair = dead_pairs;
        dead_pairs = pair->next_dead;
        free(pair);
    }
}

static int connect_upstream(const struct sockaddr_in *addr)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    if (connect(fd, (const struct sockaddr *)addr, sizeof *addr) != 0 && errno != EINPROGRESS) {
        close(fd);
        return -1;
    }
    return fd;
}

static void start_side(struct side *side, int fd, struct side *peer, struct pair *pair)
{
    *side = (struct side){.fd = fd, .peer = peer, .pair = pair};
    tool_nodelay(fd);
    tool_epoll(set, EPOLL_CTL_ADD, fd, EPOLLIN, side);
}

static void accept_clients(int listener, const struct sockaddr_in *upstream_addr)
{
    int client;
    while ((client = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        int upstream = connect_upstream(upstream_addr);
        struct pair *pair = upstream < 0 ? NULL : calloc(1, sizeof *pair);
        if (pair == NULL) {
            close(client);
            if (upstream >= 0)
                close(upstream);
            continue;
        }
        start_side(&pair->client, client, &pair->upstream, pair);
        start_side(&pair->upstream, upstream, &pair->client, pair);
    }
}

/* Keep what `to` did not take, and watch for room in it instead of for more to read. */
static bool hold(struct side *to, const char *bytes, size_t len)
{
    to->held = malloc(len);
    if (to->held == NULL)
        return false;
    memcpy(to->held, bytes, len);
    to->held_len = len;
    tool_epoll(set, EPOLL_CTL_MOD, to->peer->fd, 0, to->peer);
    tool_epoll(set, EPOLL_CTL_MOD, to->fd, EPOLLIN | EPOLLOUT, to);
    return true;
}

static void flush_held(struct side *side)
{
    ssize_t n = send(side->fd, side->held, side->held_len, MSG_NOSIGNAL);
    if (n < 0) {
        if (errno != EAGAIN)
            kill_pair(side->pair);
        return;
    }
    side->held_len -= (size_t)n;
    memmove(side->held, side->held + n, side->held_len);
    if (side->held_len > 0)
        return;
    free(side->held);
    side->held = NULL;
    /* With the peer's own answer still held here, reading here would overfill it. */
    tool_epoll(set, EPOLL_CTL_MOD, side->fd, side->peer->held == NULL ? EPOLLIN : 0U, side);
    tool_epoll(set, EPOLL_CTL_MOD, side->peer->fd, EPOLLIN | (side->peer->held == NULL ? 0U : (uint32_t)EPOLLOUT),
               side->peer);
}

static void forward(struct side *from)
{
    ssize_t n = read(from->fd, buffer, sizeof buffer);
    if (n <= 0) {
        if (n == 0 || errno != EAGAIN)
            kill_pair(from->pair);
        return;
    }
    ssize_t sent = write(from->peer->fd, buffer, (size_t)n);
    if (sent == n)
        return;
    if (sent < 0 && errno != EAGAIN && errno != ENOTCONN) {
        kill_pair(from->pair);
        return;
    }
    size_t done = sent < 0 ? 0 : (size_t)sent;
    if (!hold(from->peer, buffer + done, (size_t)n - done))
        kill_pair(from->pair);
}

int main(int argc, char **argv)
{
    struct epoll_event events[EVENTS_PER_TURN];
    errno = 0;
    if (argc != 3)
        tool_die("usage: relay LISTEN_ADDRESS:PORT UPSTREAM_ADDRESS:PORT");
    struct sockaddr_in listen_addr = tool_address(argv[1]);
    struct sockaddr_in upstream_addr = tool_address(argv[2]);
    tool_ignore_broken_pipe();
    tool_raise_descriptor_limit();
    set = epoll_create1(EPOLL_CLOEXEC);
    int listener = tool_listen(&listen_addr);
    tool_epoll(set, EPOLL_CTL_ADD, listener, EPOLLIN, NULL);
    for (;;) {
        int count = epoll_wait(set, events, EVENTS_PER_TURN, -1);
        for (int i = 0; i < count; i++) {
            struct side *side = events[i].data.ptr;
            if (side == NULL) {
                accept_clients(listener, &upstream_addr);
                continue;
            }
            if (!side->pair->dead && (events[i].events & EPOLLOUT) != 0 && side->held != NULL)
                flush_held(side);
            if (!side->pair->dead && (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0 &&
                side->peer->held == NULL)
                forward(side);
        }
        bury_dead();
    }
}
