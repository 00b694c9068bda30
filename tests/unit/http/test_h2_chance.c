/* Both ends of HTTP/2 under random calls and random delivery: every exchange ends exactly once, no byte comes that was
 * not granted (asserted by the helper), and once the mischief stops everything comes to its end. And with every
 * allocation failing in turn. */
#include "check_main.h"
#include "helper_h2.h"

#include "helper/core_failmalloc.h"

#include <sys/socket.h>
#include <unistd.h>

#define ROUNDS 60
#define STEPS  400

static uint64_t seed;

static uint64_t chance(uint64_t n)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed % n;
}

static struct h2_ex *any(struct h2_end *end)
{
    for (int i = 0; i < 8 && end->ex_count > 0; i++) {
        struct h2_ex *e = &end->ex[chance(end->ex_count)];
        if (e->x != NULL)
            return e;
    }
    return NULL;
}

static void send_something(struct h2_ex *e)
{
    static const char zeros[40000];
    if (!e->head_sent && e->end->server) {
        if (e->head)
            h2_send_head(e, chance(4) == 0 ? 102 : 200, chance(3) == 0 ? 100 : WEIR_LENGTH_UNKNOWN, chance(6) == 0);
    } else if (!e->sent && chance(4) != 0) {
        e->x->ops->send_body(e->x, zeros, (size_t)chance(chance(4) == 0 ? sizeof zeros : 600));
    } else if (!e->sent) {
        h2_send_end(e, NULL);
    }
}

static void meddle(struct h2_end *end)
{
    struct h2_ex *e = any(end);
    if (e == NULL)
        return;
    switch (chance(8)) {
    case 0:
    case 1:
        h2_grant(e, (size_t)chance(50000));
        break;
    case 2:
        if (chance(4) == 0)
            h2_reset_ex(e, (enum weir_reset_reason)chance(4));
        break;
    default:
        send_something(e);
        break;
    }
}

static void meddle_in_callback(struct h2_ex *e)
{
    if (chance(3) == 0)
        meddle(e->end);
}

static void meddle_in_head(struct h2_ex *e, struct weir_head *head)
{
    (void)head;
    meddle_in_callback(e);
}

static void step(void)
{
    switch (chance(10)) {
    case 0:
    case 1:
        if (h2.c.open && h2.c.codec->ops->slots(h2.c.codec) > 0 && h2.c.ex_count < EXCHANGES_MAX)
            h2_request(chance(5) == 0 ? "HEAD" : "POST", "/", chance(3) == 0 ? (int64_t)chance(2000) : -1,
                       chance(4) == 0);
        break;
    case 2:
        h2.cut = (size_t)chance(3) == 0 ? 0 : 1 + (size_t)chance(3000);
        break;
    case 3:
        if (chance(150) == 0 && h2.s.open)
            h2.s.codec->ops->drain(h2.s.codec);
        if (chance(150) == 0 && h2.c.open)
            h2.c.codec->ops->drain(h2.c.codec);
        break;
    case 4:
        if (h2.c.open && chance(20) == 0)
            weir_h2_ping(h2.c.codec);
        break;
    case 5:
        h2.s.refuse_accept = chance(10) == 0;
        break;
    default:
        meddle(chance(2) == 0 ? &h2.c : &h2.s);
        break;
    }
    if (chance(2) == 0)
        h2_run();
}

/* Grants everything and ends everything. True: somebody still had something to do. */
static bool wind_up(struct h2_end *end)
{
    bool any_left = false;
    for (unsigned i = 0; i < end->ex_count; i++) {
        struct h2_ex *e = &end->ex[i];
        if (e->x != NULL)
            h2_grant(e, 1 << 20);
        if (e->x != NULL && end->server && e->head && !e->head_sent)
            h2_send_head(e, 200, 0, true);
        else if (e->x != NULL && e->head_sent && !e->sent)
            h2_send_end(e, NULL);
        any_left |= e->x != NULL;
    }
    return any_left;
}

static void round_of(uint64_t n)
{
    seed = n * 2654435761u + 1;
    h2_begin();
    h2.c.credit = h2.s.credit = 0;
    h2.s.silent = true;
    h2.s.options.streams_max = 1 + (uint32_t)chance(20);
    h2.s.options.stream_window = h2.c.options.stream_window = 1000 + (uint32_t)chance(100000);
    h2.s.options.conn_window = h2.c.options.conn_window = 65535 + (uint32_t)chance(100000);
    h2.s.options.resets_per_second_max = 0;
    h2.c.on_head = h2.s.on_head = meddle_in_head;
    h2.c.on_body = h2.s.on_body = meddle_in_callback;
    h2.c.on_end = h2.s.on_end = meddle_in_callback;
    h2_connect();
    for (int i = 0; i < STEPS; i++)
        step();
    h2.c.on_head = h2.s.on_head = NULL;
    h2.c.on_body = h2.s.on_body = NULL;
    for (int i = 0; i < 200; i++) {
        h2_run();
        bool left = wind_up(&h2.c);
        if (!wind_up(&h2.s) && !left)
            break;
    }
    struct h2_end *const ends[] = {&h2.c, &h2.s};
    for (int j = 0; j < 2; j++) {
        for (unsigned i = 0; i < ends[j]->ex_count; i++)
            ck_assert_msg(ends[j]->ex[i].overs == 1, "round %llu, %s %u: %u ends\n%s", (unsigned long long)n,
                          j == 0 ? "client" : "server", i, ends[j]->ex[i].overs, ends[j]->ex[i].log);
        ck_assert(!ends[j]->open || ends[j]->codec->exchanges_open == 0);
    }
    h2_run();
    if (h2.c.open && h2.s.open) /* all is given back */
        ck_assert_uint_eq(h2.c.codec->ops->slots(h2.c.codec), h2.c.codec->exchanges_max);
    h2_shut();
}

START_TEST(test_chance)
{
    for (uint64_t n = 1; n <= ROUNDS; n++)
        round_of(n);
}
END_TEST

/* -- out of memory: over real sockets, since what a scripted stream records is allocated too -- */

static struct {
    struct weir_reactor r;
    struct weir_stream *streams[2];
    struct weir_http_conn conns[2];
    bool open[2];
    struct weir_http_limits limits;
    struct weir_arena arenas[2];
    struct weir_exchange *x[2];
    unsigned ends[2];
} m;

static int side(const struct weir_exchange *x)
{
    return x == m.x[1];
}

static void m_head(struct weir_exchange *x, struct weir_head *head)
{
    (void)head;
    x->ops->grant(x, 10);
}

static void m_body(struct weir_exchange *x, const uint8_t *p, size_t n)
{
    (void)p;
    x->ops->grant(x, n);
}

static void m_end(struct weir_exchange *x, const struct weir_fields *trailers)
{
    int i = side(x);
    struct weir_head head = {.status = 200, .content_length = WEIR_LENGTH_UNKNOWN};
    m.ends[i]++;
    m.x[i] = NULL;
    if (i == 0)
        return;
    x->ops->send_head(x, &head, false);
    x->ops->send_body(x, "0123456789012345678901234567890123456789", 40);
    x->ops->send_end(x, trailers);
}

static void m_reset(struct weir_exchange *x, const struct weir_reset *why)
{
    (void)why;
    m.x[side(x)] = NULL;
}

static void m_room(struct weir_exchange *x, size_t room)
{
    (void)x;
    (void)room;
}

static const struct weir_exchange_events m_events = {m_head, m_body, m_end, m_reset, m_room};

static bool m_accept(struct weir_codec *c, struct weir_exchange *x)
{
    (void)c;
    x->events = &m_events;
    x->arena = &m.arenas[1];
    m.x[1] = x;
    return true;
}

static void m_malformed(struct weir_codec *c, struct weir_exchange *x, const struct weir_malformed *why, bool after)
{
    (void)c;
    (void)why;
    (void)after;
    m.x[1] = NULL;
    x->ops->reset(x, WEIR_RESET_INTERNAL);
}

static void m_idle(struct weir_codec *c, bool reusable)
{
    (void)c;
    (void)reusable;
}

static void m_busy(struct weir_codec *c)
{
    (void)c;
}

static void m_closed(struct weir_codec *c, const struct weir_reset *why)
{
    struct weir_http_conn *conn = c->owner;
    (void)why;
    m.open[conn - m.conns] = false;
    weir_http_conn_close(conn, false);
}

static const struct weir_codec_events m_codec_events = {
    .accept = m_accept, .malformed = m_malformed, .idle = m_idle, .busy = m_busy, .closed = m_closed};

static void m_start(int i)
{
    struct weir_h2_options options;
    struct weir_http_conn *conn = &m.conns[i];
    weir_h2_options_init(&options, i == 1);
    weir_http_conn_init(conn, m.streams[i], i == 1);
    struct weir_codec *codec = i == 1 ? weir_h2_server_new(&m.limits, &options, &m_codec_events, conn, &conn->out)
                                      : weir_h2_client_new(&m.limits, &options, &m_codec_events, conn, &conn->out);
    m.open[i] = codec != NULL;
    if (codec != NULL)
        weir_http_conn_run(conn, codec, NULL, 0);
    else
        weir_http_conn_close(conn, true);
}

static void m_request(void)
{
    struct weir_exchange *x = m.open[0] ? m.conns[0].codec->ops->open(m.conns[0].codec) : NULL;
    if (x == NULL)
        return;
    struct weir_field crumbs[2] = {{WEIR_STR("cookie"), WEIR_STR("a=1"), WEIR_FIELD_COOKIE},
                                   {WEIR_STR("cookie"), WEIR_STR("b=2"), WEIR_FIELD_COOKIE}};
    struct weir_field sum = {WEIR_STR("x-sum"), WEIR_STR("1"), WEIR_FIELD_OTHER};
    struct weir_fields trailers = {&sum, 1, 1};
    struct weir_head head = {.method = WEIR_STR("POST"),
                             .target = WEIR_STR("/"),
                             .authority = WEIR_STR("a"),
                             .content_length = WEIR_LENGTH_UNKNOWN,
                             .fields = {crumbs, 2, 2}};
    m.x[0] = x;
    x->events = &m_events;
    x->arena = &m.arenas[0];
    x->ops->send_head(x, &head, false);
    x->ops->send_body(x, "0123456789012345678901234567890123456789", 40);
    x->ops->send_end(x, &trailers);
}

static void m_turns(int n)
{
    for (int i = 0; i < n; i++)
        uv_run(&m.r.loop, UV_RUN_NOWAIT);
}

static void m_started(struct weir_stream *s, int code, const struct weir_err *err)
{
    (void)s;
    (void)err;
    ck_assert_int_eq(code, 0);
}

static void exchange_with_failures(unsigned long n, long *left, bool *failed)
{
    int fds[2];
    memset(&m, 0, sizeof m);
    reactor_open(&m.r);
    m.limits = (struct weir_http_limits){.head_bytes_max = 4096, .fields_max = 20};
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(weir_tcp_adopt(&m.streams[i], &m.r, fds[i], NULL), WEIR_OK);
        weir_stream_start(m.streams[i], m_started);
    }
    m_turns(4);
    failmalloc_begin(n);
    m_start(0);
    m_start(1);
    m_request();
    m_turns(30);
    for (int i = 0; i < 2; i++)
        if (m.open[i])
            weir_http_conn_close(&m.conns[i], false);
    m_turns(5);
    weir_arena_reset(&m.arenas[0]);
    weir_arena_reset(&m.arenas[1]);
    *left = failmalloc_end(failed);
    weir_reactor_close(&m.r);
}

START_TEST(test_out_of_memory)
{
    long without, left;
    bool failed;
    exchange_with_failures(0, &without, &failed);
    ck_assert_uint_eq(m.ends[0], 1);
    ck_assert_uint_eq(m.ends[1], 1);
    unsigned long n = 1;
    for (failed = true; failed; n++) {
        exchange_with_failures(n, &left, &failed);
        ck_assert_msg(left <= without, "allocation %lu: %ld blocks left, %ld without failures", n, left, without);
    }
    ck_assert_uint_gt(n, 60);
}
END_TEST

CHECK_MAIN("h2_chance", NULL, NULL, test_chance, test_out_of_memory)
