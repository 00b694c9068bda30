/* The driver between stream, codec and outbox: two connections and a proxy between them over scripted streams, real
 * sockets, budgets, moves between reactors, and closing in the middle of everything. */
#include "check_main.h"
#include "helper_h1.h"

#include "helper/core_failmalloc.h"

#include <sys/socket.h>
#include <unistd.h>

static struct h1 server, client;

static void setup(void)
{
    h1_open(&server, true);
    h1_open(&client, false);
}

static void teardown(void)
{
    h1_shut(&client);
    h1_shut(&server);
}

/* -- a proxy in one reactor: what the upstream gives goes to the client's connection by reference -- */

static struct {
    struct weir_reactor r;
    struct test_stream *down_ts, *up_ts;
    struct weir_http_conn down, up;
    struct weir_http_limits limits;
    struct weir_arena arena, up_arena;
    struct weir_exchange *dx, *ux;
    unsigned rooms, largest;
    bool closed_down, closed_up, close_down_in_body;
} p;

static void down_body(struct weir_exchange *x, const uint8_t *data, size_t n)
{
    (void)x;
    (void)data;
    (void)n;
}

static void down_end(struct weir_exchange *x, const struct weir_fields *trailers)
{
    (void)x;
    (void)trailers;
}

static void up_head(struct weir_exchange *x, struct weir_head *head)
{
    (void)x;
    p.dx->ops->send_head(p.dx, head, !head->has_body);
}

static void up_body(struct weir_exchange *x, const uint8_t *data, size_t n)
{
    p.largest = n > p.largest ? (unsigned)n : p.largest;
    if (p.close_down_in_body) {
        p.dx = NULL;
        weir_http_conn_close(&p.down, true);
        p.closed_down = true;
        x->ops->reset(x, WEIR_RESET_CANCEL);
        return;
    }
    size_t room = p.dx->ops->send_body(p.dx, data, n);
    if (room > 0)
        x->ops->grant(x, n);
}

static void up_end(struct weir_exchange *x, const struct weir_fields *trailers)
{
    (void)x;
    p.dx->ops->send_end(p.dx, trailers);
}

static void down_room(struct weir_exchange *x, size_t room)
{
    (void)x;
    p.rooms++;
    p.ux->ops->grant(p.ux, room);
}

static void no_reset(struct weir_exchange *x, const struct weir_reset *why)
{
    ck_abort_msg("reset %p: %s", (void *)x, weir_reset_text(why->reason));
}

static const struct weir_exchange_events up_events = {up_head, up_body, up_end, no_reset, NULL};

static void down_head(struct weir_exchange *x, struct weir_head *head)
{
    p.ux = p.up.codec->ops->open(p.up.codec);
    ck_assert_ptr_nonnull(p.ux);
    p.ux->events = &up_events;
    p.ux->arena = &p.up_arena;
    p.ux->ops->grant(p.ux, 65536);
    p.ux->ops->send_head(p.ux, head, true);
    (void)x;
}

static const struct weir_exchange_events down_events = {down_head, down_body, down_end, no_reset, down_room};

static bool proxy_accept(struct weir_codec *c, struct weir_exchange *x)
{
    (void)c;
    x->events = &down_events;
    x->arena = &p.arena;
    p.dx = x;
    return true;
}

static void proxy_malformed(struct weir_codec *c, struct weir_exchange *x, const struct weir_malformed *why, bool after)
{
    (void)c;
    (void)x;
    (void)after;
    ck_abort_msg("malformed: %s", why->code);
}

static void proxy_idle(struct weir_codec *c, bool reusable)
{
    (void)c;
    ck_assert(reusable);
}

static void proxy_busy(struct weir_codec *c)
{
    (void)c;
}

static void proxy_closed(struct weir_codec *c, const struct weir_reset *why)
{
    struct weir_http_conn *conn = c->owner;
    (void)why;
    *(conn == &p.up ? &p.closed_up : &p.closed_down) = true;
    weir_http_conn_close(conn, false);
}

static const struct weir_codec_events proxy_events = {.accept = proxy_accept,
                                                      .malformed = proxy_malformed,
                                                      .idle = proxy_idle,
                                                      .busy = proxy_busy,
                                                      .closed = proxy_closed};

static void proxy_open(void)
{
    memset(&p, 0, sizeof p);
    reactor_open(&p.r);
    p.limits = (struct weir_http_limits){.head_bytes_max = 4096, .fields_max = 20};
    p.down_ts = test_stream_new(&p.r);
    p.up_ts = test_stream_new(&p.r);
    weir_http_conn_init(&p.down, &p.down_ts->base, true);
    weir_http_conn_init(&p.up, &p.up_ts->base, false);
    weir_http_conn_run(&p.down, weir_h1_server_new(&p.limits, &proxy_events, &p.down, &p.down.out), NULL, 0);
    weir_http_conn_run(&p.up, weir_h1_client_new(&p.limits, &proxy_events, &p.up, &p.up.out), NULL, 0);
    run_idle(&p.r);
}

static void proxy_shut(void)
{
    weir_http_conn_close(&p.down, false);
    weir_http_conn_close(&p.up, false);
    weir_arena_reset(&p.arena);
    weir_arena_reset(&p.up_arena);
    test_stream_free(p.down_ts);
    test_stream_free(p.up_ts);
    weir_reactor_close(&p.r);
}

/* A body whose every byte tells its place, so that a slice sent after its buffer was read into again shows. */
static char *body_of(size_t n, const char *head)
{
    size_t from = strlen(head);
    char *text = malloc(from + n + 1);
    ck_assert_ptr_nonnull(text);
    memcpy(text, head, from);
    for (size_t i = 0; i < n; i++)
        text[from + i] = (char)('a' + (i + i / 26 + i / 7000) % 26);
    text[from + n] = '\0';
    return text;
}

static void run_proxy(size_t body, size_t first_room, size_t room_step)
{
    char head[100];
    proxy_open();
    if (first_room > 0)
        test_stream_room(p.down_ts, first_room);
    test_stream_feed_text(p.down_ts, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    run_idle(&p.r);
    ck_assert_str_eq(p.up_ts->wrote, "GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\ncontent-length: %zu\r\n\r\n", body);
    char *text = body_of(body, head);
    test_stream_feed_text(p.up_ts, text);
    for (int i = 0; i < 10000 && p.down_ts->wrote_len < strlen(text); i++) {
        run_idle(&p.r);
        if (room_step > 0)
            test_stream_room(p.down_ts, room_step);
    }
    ck_assert_uint_eq(p.down_ts->wrote_len, strlen(text));
    ck_assert_int_eq(memcmp(p.down_ts->wrote, text, strlen(text)), 0);
    free(text);
}

START_TEST(test_slices_are_written_before_the_buffer_is_used_again)
{
    run_proxy(900000, 0, 0);
    ck_assert_uint_gt(p.largest, 16384);
    proxy_shut();
    run_proxy(300000, 100, 5000); /* and kept where the kernel did not take them */
    ck_assert_uint_gt(p.rooms, 0);
    proxy_shut();
}
END_TEST

START_TEST(test_a_slow_receiver_bounds_what_is_kept)
{
    proxy_open();
    test_stream_room(p.down_ts, 10);
    test_stream_feed_text(p.down_ts, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    run_idle(&p.r);
    char *text = body_of(900000, "HTTP/1.1 200 OK\r\ncontent-length: 900000\r\n\r\n");
    test_stream_feed_text(p.up_ts, text);
    run_idle(&p.r);
    ck_assert_uint_gt(weir_outbox_unsent(&p.down.out), 0);
    ck_assert_uint_le(weir_outbox_unsent(&p.down.out), WEIR_OUTBOX_UNSENT_MAX);
    ck_assert_uint_lt(p.up_ts->input_at, 100000); /* reading has stopped */
    free(text);
    proxy_shut();
}
END_TEST

START_TEST(test_one_end_closed_while_the_other_is_read)
{
    proxy_open();
    p.close_down_in_body = true;
    test_stream_feed_text(p.down_ts, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    run_idle(&p.r);
    test_stream_feed_text(p.up_ts, "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello");
    run_idle(&p.r);
    ck_assert(p.closed_down && p.closed_up);
    ck_assert(p.down_ts->closed_by_reset);
    proxy_shut();
}
END_TEST

/* -- the driver alone -- */

START_TEST(test_a_turn_has_a_budget)
{
    server.limits.body_bytes_max = 0;
    server.credit = 10000000;
    server.answer = ANSWER_NOT;
    char *text = body_of(1000000, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n");
    test_stream_feed_text(server.ts, text);
    uv_run(&server.r.loop, UV_RUN_NOWAIT);
    ck_assert_uint_eq(server.ts->input_at, WEIR_CONN_TURN_BYTES);
    run_idle(&server.r);
    ck_assert_uint_eq(server.body_bytes, 1000000);
    ck_assert_uint_eq(server.ends, 1);
    free(text);
}
END_TEST

START_TEST(test_early_bytes)
{
    struct h1 *t = &server;
    static const char early[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHo";
    weir_http_conn_run(&t->conn, t->codec, (const uint8_t *)early, sizeof early - 1);
    h1_feed(t, "st: b\r\n\r\n");
    h1_expect(t, "busy\nhead GET / @a v11\nend\nidle\nbusy\nhead GET / @b v11\nend\nidle\n");
}
END_TEST

START_TEST(test_clocks)
{
    server.conn.last_read_us = server.conn.last_write_us = 0;
    h1_feed(&server, "GET / HT");
    ck_assert_uint_gt(server.conn.last_read_us, 0);
    ck_assert_uint_eq(server.conn.last_write_us, 0);
    test_stream_room(server.ts, 0);
    h1_feed(&server, "TP/1.1\r\nHost: a\r\n\r\n");
    ck_assert_uint_eq(server.conn.last_write_us, 0); /* the kernel has taken nothing */
    test_stream_room(server.ts, 5);
    run_idle(&server.r);
    ck_assert_uint_gt(server.conn.last_write_us, 0);
}
END_TEST

START_TEST(test_an_idle_client_connection_is_watched)
{
    client.conn.watch_idle = true;
    h1_fin(&client);
    h1_expect(&client, "closed PEER_CLOSED\n");
    h1_shut(&client);
    h1_open(&client, false);
    client.conn.watch_idle = true;
    h1_feed(&client, "HTTP/1.1 408 Request Timeout\r\n\r\n");
    h1_expect(&client, "closed PROTOCOL\n");
}
END_TEST

static void detach_here(struct h1 *t, bool reusable)
{
    ck_assert(reusable);
    weir_http_conn_detach(&t->conn);
    ck_assert(weir_list_empty(&t->conn.out.dirty)); /* the list is the old thread's */
}

START_TEST(test_moves_while_idle)
{
    struct weir_reactor other;
    reactor_open(&other);
    client.on_idle = detach_here;
    h1_request(&client, "GET", "/", WEIR_LENGTH_UNKNOWN, true);
    run_idle(&client.r);
    weir_outbox_flush(&client.conn.out);
    char *unused = weir_outbox_reserve(&client.conn.out, 10); /* dirty, with nothing in it */
    ck_assert_ptr_nonnull(unused);
    test_stream_feed_text(client.ts, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
    run_idle(&client.r);
    ck_assert_ptr_null(client.ts->base.reactor);
    h1_forget(&client);
    test_stream_forget(client.ts);
    ck_assert_int_eq(weir_http_conn_attach(&client.conn, &other), WEIR_OK);
    client.on_idle = NULL;
    h1_request(&client, "GET", "/2", WEIR_LENGTH_UNKNOWN, true);
    run_idle(&other);
    h1_expect_wrote(&client, "GET /2 HTTP/1.1\r\nhost: a\r\n\r\n");
    test_stream_feed_text(client.ts, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
    run_idle(&other);
    h1_expect(&client, "head 200 v11 length=2 body\nbody [ok]\nend\nidle\n");
    h1_shut(&client);
    weir_reactor_close(&other);
    h1_open(&client, false);
}
END_TEST

START_TEST(test_closed_while_detached)
{
    client.on_idle = detach_here;
    h1_request(&client, "GET", "/", WEIR_LENGTH_UNKNOWN, true);
    h1_feed(&client, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
    ck_assert(client.conn_open); /* teardown closes it so */
}
END_TEST

/* What is gathered goes out when the owner closes without reset. */
START_TEST(test_close_sends_what_there_is)
{
    server.answer = ANSWER_NOT;
    h1_feed(&server, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    h1_respond(&server, 200, 0, true);
    ck_assert_uint_eq(server.ts->wrote_len, 0);
    weir_http_conn_close(&server.conn, false);
    server.conn_open = false;
    ck_assert_uint_gt(server.ts->wrote_len, 0);
    weir_http_conn_close(&server.conn, false); /* twice is once */
}
END_TEST

/* -- real sockets -- */

static void started(struct weir_stream *s, int code, const struct weir_err *err)
{
    (void)s;
    ck_assert_msg(code == WEIR_OK, "%s", err != NULL ? err->msg : "");
}

static bool contains(int fd, const char *text)
{
    static char got[100000];
    static size_t len;
    if (text == NULL) {
        len = 0;
        return false;
    }
    ssize_t n = recv(fd, got + len, sizeof got - len - 1, MSG_DONTWAIT);
    len += n > 0 ? (size_t)n : 0;
    got[len] = '\0';
    return strstr(got, text) != NULL;
}

static int socket_server(struct h1 *t)
{
    int fds[2];
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    struct weir_stream *s;
    ck_assert_int_eq(weir_tcp_adopt(&s, &t->r, fds[0], NULL), WEIR_OK);
    weir_stream_start(s, started);
    const struct weir_codec_events *events = t->codec->events;
    weir_http_conn_close(&t->conn, false);
    weir_http_conn_init(&t->conn, s, true);
    t->codec = weir_h1_server_new(&t->limits, events, t, &t->conn.out);
    ck_assert_ptr_nonnull(t->codec);
    weir_http_conn_run(&t->conn, t->codec, NULL, 0);
    contains(0, NULL);
    return fds[1];
}

static void write_all(int fd, const char *text)
{
    ck_assert_int_eq(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

START_TEST(test_over_a_socket)
{
    int fd = socket_server(&server);
    write_all(fd, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\nGET /2 HT");
    RUN_UNTIL(&server.r, contains(fd, "content-length: 2\r\n\r\nok"));
    write_all(fd, "TP/1.1\r\nHost: a\r\n\r\n");
    RUN_UNTIL(&server.r, server.idles == 2 && !contains(fd, "nothing more"));
    close(fd);
    RUN_UNTIL(&server.r, !server.conn_open);
    h1_expect(&server, "busy\nhead POST / @a v11 body\nbody [hello]\nend\nidle\nbusy\nhead GET /2 @a v11\nend\nidle\n"
                       "closed PEER_CLOSED\n");
}
END_TEST

START_TEST(test_a_request_and_its_fin_in_one_edge)
{
    int fd = socket_server(&server);
    server.answer = ANSWER_NOT;
    write_all(fd, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    shutdown(fd, SHUT_WR);
    RUN_UNTIL(&server.r, !server.conn_open);
    h1_expect(&server, "busy\nhead GET / @a v11\nend\nreset PEER_CLOSED\nclosed PEER_CLOSED\n");
    close(fd);
}
END_TEST

START_TEST(test_a_refusal_arrives_although_the_client_is_still_sending)
{
    int fd = socket_server(&server);
    write_all(fd, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2000000\r\n\r\n");
    RUN_UNTIL(&server.r, server.codec->lingering);
    for (int i = 0; i < 100; i++)
        write_all(fd, "more of the body that nobody wants to have, and that would be met by a reset");
    run_idle(&server.r);
    ck_assert(contains(fd, "413 Content Too Large"));
    char byte;
    ck_assert_int_eq(recv(fd, &byte, 1, MSG_DONTWAIT), 0); /* and the end */
    close(fd);
    RUN_UNTIL(&server.r, !server.conn_open);
}
END_TEST

/* -- out of memory, at every allocation -- */

static void exchange_with_failures(unsigned long n, long *left, bool *failed)
{
    h1_open(&server, true);
    int fd = socket_server(&server);
    run_idle(&server.r);
    server.quiet = true;
    server.answer = ANSWER_NOT;
    server.credit = 3;
    write_all(fd,
              "POST http://b?y HTTP/1.1\r\nHost: a\r\nConnection: x\r\nTransfer-Encoding: chunked\r\nX-Other: b\r\n\r\n"
              "5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
    failmalloc_begin(n);
    for (int i = 0; i < 20; i++)
        uv_run(&server.r.loop, UV_RUN_NOWAIT);
    if (server.x != NULL)
        server.x->ops->reset(server.x, WEIR_RESET_CANCEL);
    for (int i = 0; i < 5; i++)
        uv_run(&server.r.loop, UV_RUN_NOWAIT);
    weir_arena_reset(&server.arena);
    *left = failmalloc_end(failed);
    close(fd);
}

START_TEST(test_out_of_memory)
{
    long without, left;
    bool failed = true;
    unsigned long n = 1;
    h1_shut(&server);
    exchange_with_failures(0, &without, &failed);
    ck_assert(!server.conn_open && server.ends == 1);
    h1_shut(&server);
    for (failed = true; failed; n++) {
        exchange_with_failures(n, &left, &failed);
        ck_assert(!server.conn_open);
        ck_assert_int_eq(left, without);
        h1_shut(&server);
    }
    ck_assert_uint_gt(n, 6);
    h1_open(&server, true);
}
END_TEST

CHECK_MAIN("conn", setup, teardown, test_slices_are_written_before_the_buffer_is_used_again,
           test_a_slow_receiver_bounds_what_is_kept, test_one_end_closed_while_the_other_is_read,
           test_a_turn_has_a_budget, test_early_bytes, test_clocks, test_an_idle_client_connection_is_watched,
           test_moves_while_idle, test_closed_while_detached, test_close_sends_what_there_is, test_over_a_socket,
           test_a_request_and_its_fin_in_one_edge, test_a_refusal_arrives_although_the_client_is_still_sending,
           test_out_of_memory)
