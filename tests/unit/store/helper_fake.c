#include "helper_fake.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "helper/net_run.h"

void fake_open(struct fake *s, struct weir_reactor *r)
{
    static unsigned count;
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    *s = (struct fake){.r = r, .fd = -1};
    snprintf(s->path, sizeof s->path, "/tmp/weir-fake-%d-%u", (int)getpid(), count++);
    snprintf(a.sun_path, sizeof a.sun_path, "%s", s->path);
    s->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    ck_assert_int_eq(bind(s->listener, (struct sockaddr *)&a, sizeof a), 0);
    ck_assert_int_eq(listen(s->listener, 16), 0);
}

void fake_open_port(struct fake *s, struct weir_reactor *r)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a;
    *s = (struct fake){.r = r, .fd = -1};
    s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    ck_assert_int_eq(bind(s->listener, (struct sockaddr *)&a, len), 0);
    ck_assert_int_eq(listen(s->listener, 16), 0);
    ck_assert_int_eq(getsockname(s->listener, (struct sockaddr *)&a, &len), 0);
    s->port = ntohs(a.sin_port);
}

void fake_hang_up(struct fake *s)
{
    if (s->fd >= 0)
        close(s->fd);
    s->fd = -1;
}

void fake_close(struct fake *s)
{
    if (s->r == NULL)
        return;
    fake_hang_up(s);
    close(s->listener);
    if (s->path[0] != '\0')
        unlink(s->path);
    s->r = NULL;
}

/* Lets the loop go on without a sleep: the test's sockets wake nobody. */
static void turn(struct fake *s)
{
    uv_run(&s->r->loop, UV_RUN_NOWAIT);
}

bool fake_accept_now(struct fake *s)
{
    fake_hang_up(s);
    s->got_len = 0;
    s->ended = false;
    s->fd = accept4(s->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    return s->fd >= 0;
}

void fake_accept(struct fake *s)
{
    while (!fake_accept_now(s))
        turn(s);
}

void fake_read(struct fake *s)
{
    turn(s);
    ck_assert_uint_lt(s->got_len, sizeof s->got - 1);
    ssize_t n = recv(s->fd, s->got + s->got_len, sizeof s->got - 1 - s->got_len, 0);
    s->ended = s->ended || n == 0 || (n < 0 && errno != EAGAIN);
    if (n > 0)
        s->got_len += (size_t)n;
    s->got[s->got_len] = '\0';
}

void fake_expect(struct fake *s, const char *const *words)
{
    char wanted[4096];
    size_t count = 0, len = 0;
    while (words[count] != NULL)
        count++;
    len += (size_t)snprintf(wanted, sizeof wanted, "*%zu\r\n", count);
    for (size_t i = 0; i < count; i++)
        len += (size_t)snprintf(wanted + len, sizeof wanted - len, "$%zu\r\n%s\r\n", strlen(words[i]), words[i]);
    while (s->got_len < len && !s->ended)
        fake_read(s);
    ck_assert_msg(s->got_len >= len && memcmp(s->got, wanted, len) == 0, "expected %s, got %s", words[0], s->got);
    memmove(s->got, s->got + len, s->got_len - len + 1);
    s->got_len -= len;
}

void fake_expect_nothing(struct fake *s)
{
    for (int i = 0; i < 8; i++)
        fake_read(s);
    ck_assert_msg(s->got_len == 0 && !s->ended, "got %s%s", s->got, s->ended ? " and an end" : "");
}

void fake_expect_end(struct fake *s)
{
    while (!s->ended)
        fake_read(s);
}

static void say(struct fake *s, const char *text, size_t len)
{
    ck_assert_int_eq(send(s->fd, text, len, MSG_NOSIGNAL), (ssize_t)len);
    run_idle(s->r);
}

void fake_say(struct fake *s, const char *text)
{
    say(s, text, strlen(text));
}

void fake_say_slowly(struct fake *s, const char *text)
{
    for (; *text != '\0'; text++)
        say(s, text, 1);
}

void fake_pass(struct weir_reactor *r, uint64_t ms)
{
    uint64_t at_ms = r->wheel.at_tick * WEIR_WHEEL_TICK_MS;
    weir_reactor_clock(r);
    weir_wheel_run(&r->wheel, (at_ms > r->now_ms ? at_ms : r->now_ms) + ms);
    run_idle(r);
}
