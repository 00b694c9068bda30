/* Against other implementations over real sockets: curl, nghttp and h2load ask our server, our client asks nghttpd. A
 * program that is not installed is left out, with a word about it. */
#include "check_main.h"

#include "helper/net_run.h"
#include "http/conn.h"
#include "http/h2.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define CONNS_MAX 32
#define LARGE     ((size_t)3000000)
#define TEXT_MAX  65536

struct conn {
    struct weir_http_conn conn;
    struct weir_stream *stream;
    bool taken, open;
};

struct user {
    struct weir_arena arena;
    struct weir_exchange *x;
    size_t to_send, came;
    bool used, large, ended, whole;
    unsigned status;
};

static struct {
    struct weir_reactor r;
    struct weir_http_limits limits;
    struct weir_h2_options options;
    struct conn conns[CONNS_MAX];
    struct user users[1024];
    int listener;
    uint16_t port;
    bool client;
    char said[TEXT_MAX]; /* by the program */
    size_t said_len;
} t;

static struct user *user_new(struct weir_exchange *x)
{
    for (size_t i = 0; i < sizeof t.users / sizeof t.users[0]; i++) {
        struct user *u = &t.users[i];
        if (u->used)
            continue;
        *u = (struct user){.x = x, .used = true};
        x->user = u;
        x->arena = &u->arena;
        return u;
    }
    ck_abort_msg("too many exchanges");
}

static void done(struct user *u)
{
    weir_arena_reset(&u->arena);
    u->used = t.client; /* the client's are looked at */
    u->x = NULL;
}

static void go_on(struct user *u)
{
    static const char zeros[16384];
    size_t room = u->x->ops->room(u->x);
    while (u->to_send > 0 && room > 0) {
        size_t n = u->to_send < room ? u->to_send : room;
        u->to_send -= n;
        room = u->x->ops->send_body(u->x, zeros, n);
    }
    if (u->to_send > 0)
        return;
    struct weir_exchange *x = u->x;
    struct weir_field field = {WEIR_STR("x-sum"), WEIR_STR("42"), WEIR_FIELD_OTHER};
    struct weir_fields trailers = {&field, 1, 1};
    if (u->ended)
        done(u);
    x->ops->send_end(x, &trailers);
}

static void on_head(struct weir_exchange *x, struct weir_head *head)
{
    struct user *u = x->user;
    u->status = head->status;
    u->large = head->status == 0 && weir_str_eq(head->target, WEIR_STR("/large"));
    x->ops->grant(x, 65536);
}

static void on_body(struct weir_exchange *x, const uint8_t *p, size_t n)
{
    struct user *u = x->user;
    (void)p;
    u->came += n;
    x->ops->grant(x, n);
}

static void on_end(struct weir_exchange *x, const struct weir_fields *trailers)
{
    struct user *u = x->user;
    (void)trailers;
    u->ended = u->whole = true;
    if (t.client) {
        done(u);
        return;
    }
    char length[32];
    snprintf(length, sizeof length, "%zu", u->came);
    struct weir_field field = {WEIR_STR("x-came"), weir_str_of(length), WEIR_FIELD_OTHER};
    struct weir_head head = {.status = 200, .content_length = WEIR_LENGTH_UNKNOWN, .fields = {&field, 1, 1}};
    u->to_send = u->large ? LARGE : 100;
    x->ops->send_head(x, &head, false);
    go_on(u);
}

static void on_reset(struct weir_exchange *x, const struct weir_reset *why)
{
    (void)why;
    done(x->user);
}

static void on_room(struct weir_exchange *x, size_t room)
{
    (void)room;
    go_on(x->user);
}

static const struct weir_exchange_events events = {on_head, on_body, on_end, on_reset, on_room};

static bool on_accept(struct weir_codec *c, struct weir_exchange *x)
{
    (void)c;
    x->events = &events;
    user_new(x);
    return true;
}

static void on_malformed(struct weir_codec *c, struct weir_exchange *x, const struct weir_malformed *why, bool after)
{
    (void)c;
    (void)x;
    (void)after;
    ck_abort_msg("malformed: %s", why->code);
}

static void on_idle(struct weir_codec *c, bool reusable)
{
    (void)c;
    (void)reusable;
}

static void on_busy(struct weir_codec *c)
{
    (void)c;
}

static void on_closed(struct weir_codec *c, const struct weir_reset *why)
{
    struct conn *conn = c->owner;
    (void)why;
    conn->open = conn->taken = false;
    weir_http_conn_close(&conn->conn, false);
}

static const struct weir_codec_events codec_events = {
    .accept = on_accept, .malformed = on_malformed, .idle = on_idle, .busy = on_busy, .closed = on_closed};

static void on_started(struct weir_stream *s, int code, const struct weir_err *err)
{
    struct conn *c = s->owner;
    ck_assert_msg(code == 0, "%s", err != NULL ? err->msg : "");
    weir_http_conn_init(&c->conn, s, !t.client);
    struct weir_codec *codec = t.client ? weir_h2_client_new(&t.limits, &t.options, &codec_events, c, &c->conn.out)
                                        : weir_h2_server_new(&t.limits, &t.options, &codec_events, c, &c->conn.out);
    ck_assert_ptr_nonnull(codec);
    c->open = true;
    weir_http_conn_run(&c->conn, codec, NULL, 0);
}

static struct conn *conn_new(void)
{
    for (int i = 0; i < CONNS_MAX; i++) {
        if (t.conns[i].taken)
            continue;
        t.conns[i].taken = true;
        return &t.conns[i];
    }
    ck_abort_msg("too many connections");
}

static void accept_all(void)
{
    for (int fd; t.listener >= 0 && (fd = accept4(t.listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;) {
        struct conn *c = conn_new();
        ck_assert_int_eq(weir_tcp_adopt(&c->stream, &t.r, fd, NULL), WEIR_OK);
        c->stream->owner = c;
        weir_stream_start(c->stream, on_started);
    }
}

static struct sockaddr_in loopback(uint16_t port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
}

static void setup(void)
{
    memset(&t, 0, sizeof t);
    reactor_open(&t.r);
    t.limits = (struct weir_http_limits){.head_bytes_max = 16384, .fields_max = 100};
    weir_h2_options_init(&t.options, true);
    struct sockaddr_in addr = loopback(0);
    socklen_t len = sizeof addr;
    t.listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(t.listener, (struct sockaddr *)&addr, sizeof addr), 0);
    ck_assert_int_eq(listen(t.listener, 64), 0);
    ck_assert_int_eq(getsockname(t.listener, (struct sockaddr *)&addr, &len), 0);
    char text[8];
    snprintf(text, sizeof text, "%u", (unsigned)ntohs(addr.sin_port));
    ck_assert_int_eq(setenv("PORT", text, 1), 0);
    t.port = ntohs(addr.sin_port);
}

static void teardown(void)
{
    for (int i = 0; i < CONNS_MAX; i++)
        if (t.conns[i].open)
            weir_http_conn_close(&t.conns[i].conn, false);
    for (size_t i = 0; i < sizeof t.users / sizeof t.users[0]; i++)
        weir_arena_reset(&t.users[i].arena);
    if (t.listener >= 0)
        close(t.listener);
    weir_reactor_close(&t.r);
}

static bool installed(const char *program)
{
    static const char *const folders[] = {"/usr/bin", "/usr/sbin", "/usr/local/bin"};
    char path[200];
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", folders[i], program);
        if (access(path, X_OK) == 0)
            return true;
    }
    fprintf(stderr, "left out: %s is not installed\n", program);
    return false;
}

/* Starts the shell line and returns what reads its output; *pid is its own process group. */
static int start(const char *line, pid_t *pid)
{
    int fds[2];
    ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
    *pid = fork();
    ck_assert_int_ge(*pid, 0);
    if (*pid == 0) {
        setpgid(0, 0);
        dup2(fds[1], 1);
        dup2(fds[1], 2);
        execl("/bin/sh", "sh", "-c", line, (char *)NULL);
        _exit(127);
    }
    close(fds[1]);
    fcntl(fds[0], F_SETFL, O_NONBLOCK);
    t.said_len = 0;
    return fds[0];
}

/* A moment of everything. False: the program has ended its output. */
static bool moment(int fd)
{
    struct pollfd p[] = {{fd, POLLIN, 0}, {uv_backend_fd(&t.r.loop), POLLIN, 0}, {t.listener, POLLIN, 0}};
    accept_all();
    uv_run(&t.r.loop, UV_RUN_NOWAIT);
    if (weir_list_empty(&t.r.poller.queue))
        poll(p, 3, 1);
    ssize_t n = read(fd, t.said + t.said_len, TEXT_MAX - 1 - t.said_len);
    if (n > 0)
        t.said_len += (size_t)n;
    t.said[t.said_len] = '\0';
    return n != 0;
}

/* Runs a program against our server, at $PORT; its output is in t.said. */
static void run(const char *line)
{
    pid_t pid;
    int status;
    int fd = start(line, &pid);
    while (moment(fd))
        ;
    close(fd);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%s: %d\n%s", line, status, t.said);
}

static void expect_said(const char *what)
{
    ck_assert_msg(strstr(t.said, what) != NULL, "no \"%s\" in\n%s", what, t.said);
}

START_TEST(test_curl)
{
    if (!installed("curl"))
        return;
    run("curl -sS --http2-prior-knowledge -o /dev/null -w '%{http_version} %{http_code} %{size_download}' "
        "http://127.0.0.1:$PORT/large");
    expect_said("2 200 3000000");
    run("head -c 2000000 /dev/zero | curl -sS --http2-prior-knowledge -T - -o /dev/null -D - http://127.0.0.1:$PORT/");
    expect_said("x-came: 2000000");
    run("head -c 3000 /dev/zero | curl -sS --http2-prior-knowledge --data-binary @- -H 'Expect: 100-continue' "
        "-o /dev/null -D - http://127.0.0.1:$PORT/");
    expect_said("x-came: 3000");
    run("curl -sS --http2-prior-knowledge -I http://127.0.0.1:$PORT/");
    expect_said("HTTP/2 200");
}
END_TEST

START_TEST(test_nghttp)
{
    if (!installed("nghttp"))
        return;
    run("nghttp -v -n http://127.0.0.1:$PORT/");
    expect_said("x-sum: 42");
    run("nghttp -v -n -m 20 http://127.0.0.1:$PORT/large | grep -c 'x-sum: 42'");
    expect_said("20");
}
END_TEST

START_TEST(test_h2load)
{
    if (!installed("h2load"))
        return;
    run("h2load -n 3000 -c 4 -m 50 http://127.0.0.1:$PORT/");
    expect_said("3000 succeeded, 0 failed, 0 errored");
    run("h2load -n 40 -c 2 -m 10 -w 16 -W 18 http://127.0.0.1:$PORT/large");
    expect_said("40 succeeded, 0 failed, 0 errored");
}
END_TEST

/* -- our client -- */

static struct user *request(struct conn *c, const char *method, const char *path, size_t n)
{
    struct weir_exchange *x = c->conn.codec->ops->open(c->conn.codec);
    ck_assert_ptr_nonnull(x);
    x->events = &events;
    struct user *u = user_new(x);
    struct weir_head head = {.method = weir_str_of(method),
                             .target = weir_str_of(path),
                             .authority = WEIR_STR("localhost"),
                             .content_length = n > 0 ? (int64_t)n : WEIR_LENGTH_UNKNOWN};
    x->ops->send_head(x, &head, n == 0);
    u->to_send = n;
    if (n > 0)
        go_on(u);
    return u;
}

static bool wait_for(int fd, const struct user *u)
{
    while (u->x != NULL && moment(fd))
        ;
    return u->x == NULL;
}

START_TEST(test_nghttpd)
{
    pid_t pid;
    int status;
    if (!installed("nghttpd"))
        return;
    t.client = true;
    weir_h2_options_init(&t.options, false);
    close(t.listener); /* its port is free for nghttpd, which cannot choose one and tell */
    t.listener = -1;
    int fd = start("PATH=$PATH:/usr/sbin; exec nghttpd -v --no-tls --echo-upload --address=127.0.0.1 -d / $PORT", &pid);
    while (strstr(t.said, "listen") == NULL)
        ck_assert_msg(moment(fd), "%s", t.said);
    struct conn *c = conn_new();
    struct sockaddr_in addr = loopback(t.port);
    struct weir_err err = {0};
    ck_assert_int_eq(weir_tcp_connect(&c->stream, &t.r, (const struct sockaddr *)&addr, sizeof addr, NULL, &err),
                     WEIR_OK);
    c->stream->owner = c;
    weir_stream_start(c->stream, on_started);
    while (!c->open || !weir_h2_settled(c->conn.codec))
        ck_assert_msg(moment(fd), "%s", t.said);
    struct user *missing = request(c, "GET", "/no/such/file", 0);
    struct user *echo = request(c, "POST", "/echo", 500000);
    struct user *file = request(c, "GET", "/etc/passwd", 0);
    ck_assert(wait_for(fd, missing) && wait_for(fd, echo) && wait_for(fd, file));
    ck_assert(missing->whole && missing->status == 404);
    ck_assert(echo->whole && echo->status == 200);
    ck_assert_uint_eq(echo->came, 500000);
    ck_assert(file->whole && file->status == 200 && file->came > 0);
    weir_h2_ping(c->conn.codec);
    while (weir_h2_ping_pending(c->conn.codec))
        ck_assert_msg(moment(fd), "%s", t.said);
    c->conn.codec->ops->drain(c->conn.codec);
    while (c->open)
        ck_assert_msg(moment(fd), "%s", t.said);
    kill(pid, SIGKILL);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    close(fd);
}
END_TEST

CHECK_MAIN("h2_peers", setup, teardown, test_curl, test_nghttp, test_h2load, test_nghttpd)
