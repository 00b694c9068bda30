#include "helper_h2.h"

#include <check.h>
#include <nghttp2/nghttp2.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

struct h2_pair h2;

static void note(struct h2_ex *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void note(struct h2_ex *e, const char *fmt, ...)
{
    va_list ap;
    if (e->body > e->body_told) {
        size_t n = e->body - e->body_told;
        e->body_told = e->body;
        note(e, "body %zu\n", n);
    }
    va_start(ap, fmt);
    int n = vsnprintf(e->log + e->log_len, LOG_MAX - e->log_len, fmt, ap);
    va_end(ap);
    ck_assert(n >= 0 && (size_t)n < LOG_MAX - e->log_len);
    e->log_len += (size_t)n;
}

static void note_fields(struct h2_ex *e, const struct weir_fields *fields)
{
    for (size_t i = 0; i < fields->count; i++)
        note(e, " %.*s=%.*s", WEIR_FMT(fields->at[i].name), WEIR_FMT(fields->at[i].value));
}

static void is_over(struct h2_ex *e)
{
    ck_assert_ptr_nonnull(e->x);
    e->x = NULL;
    e->overs++;
}

void h2_send_head(struct h2_ex *e, unsigned status, int64_t length, bool end)
{
    struct weir_head head = {.status = (uint16_t)status, .content_length = length};
    struct weir_exchange *x = e->x;
    ck_assert_ptr_nonnull(x);
    if (status >= 200) {
        e->head_sent = true;
        e->sent = end;
        if (end && e->ended)
            is_over(e);
    }
    x->ops->send_head(x, &head, end);
}

size_t h2_send(struct h2_ex *e, const char *text)
{
    return e->x->ops->send_body(e->x, text, strlen(text));
}

void h2_send_end(struct h2_ex *e, const struct weir_fields *trailers)
{
    struct weir_exchange *x = e->x;
    ck_assert(x != NULL && !e->sent);
    e->sent = true;
    if (e->ended)
        is_over(e);
    x->ops->send_end(x, trailers);
}

static void go_on_sending(struct h2_ex *e)
{
    static const char zeros[8192];
    for (size_t room = e->x->ops->room(e->x); e->to_send > 0 && room > 0;) {
        size_t n = e->to_send < sizeof zeros ? e->to_send : sizeof zeros;
        n = n < room ? n : room;
        e->to_send -= n;
        room = e->x->ops->send_body(e->x, zeros, n);
        ck_assert_uint_le(room, WEIR_STREAM_BACKLOG_MAX);
    }
    if (e->to_send == 0)
        h2_send_end(e, NULL);
}

void h2_send_zeros(struct h2_ex *e, size_t n)
{
    e->to_send = n;
    go_on_sending(e);
}

void h2_grant(struct h2_ex *e, size_t n)
{
    e->credit += n;
    e->x->ops->grant(e->x, n);
}

void h2_reset_ex(struct h2_ex *e, enum weir_reset_reason reason)
{
    struct weir_exchange *x = e->x;
    is_over(e);
    x->ops->reset(x, reason);
}

static void answer(struct h2_ex *e)
{
    h2_send_head(e, 200, 2, false);
    h2_send(e, "ok");
    h2_send_end(e, NULL);
}

/* -- events -- */

static void on_head(struct weir_exchange *x, struct weir_head *head)
{
    struct h2_ex *e = x->user;
    ck_assert(e->x == x && !e->head && !e->ended);
    if (head->status == 0)
        note(e, "head %.*s %.*s:%.*s @%.*s", WEIR_FMT(head->method), WEIR_FMT(head->scheme), WEIR_FMT(head->target),
             WEIR_FMT(head->authority));
    else
        note(e, "head %u", (unsigned)head->status);
    if (head->content_length >= 0)
        note(e, " length=%lld", (long long)head->content_length);
    note(e, "%s%s", head->has_body ? " body" : "", head->expect_continue ? " expect" : "");
    note_fields(e, &head->fields);
    note(e, "\n");
    ck_assert_uint_eq(head->version, 20);
    e->head = head->status == 0 || head->status >= 200;
    if (e->head && e->end->credit > 0)
        h2_grant(e, e->end->credit);
    if (e->end->on_head != NULL)
        e->end->on_head(e, head);
}

static void on_body(struct weir_exchange *x, const uint8_t *p, size_t n)
{
    struct h2_ex *e = x->user;
    ck_assert(e->x == x && e->head && !e->ended && n > 0 && p != NULL);
    ck_assert_uint_le(n, e->credit);
    e->credit -= n;
    e->body += n;
    if (e->end->on_body != NULL)
        e->end->on_body(e);
    else if (e->end->credit > 0)
        h2_grant(e, n);
}

static void on_end(struct weir_exchange *x, const struct weir_fields *trailers)
{
    struct h2_ex *e = x->user;
    ck_assert(e->x == x && e->head && !e->ended);
    note(e, "end");
    if (trailers != NULL)
        note_fields(e, trailers);
    note(e, "\n");
    e->ended = true;
    if (e->sent)
        is_over(e);
    else if (e->end->on_end != NULL)
        e->end->on_end(e);
    else if (e->end->server && !e->end->silent)
        answer(e);
}

static const char *const reasons[] = {
#define NAME(id, text, fault) [WEIR_RESET_##id] = #id,
    WEIR_RESET_MAP(NAME)
#undef NAME
};

static void on_reset(struct weir_exchange *x, const struct weir_reset *why)
{
    struct h2_ex *e = x->user;
    ck_assert(e->x == x);
    note(e, "reset %s%s\n", reasons[why->reason], why->unprocessed == WEIR_UNPROCESSED_CERTAIN ? " certain" : "");
    e->reset = *why;
    is_over(e);
}

static void on_room(struct weir_exchange *x, size_t room)
{
    struct h2_ex *e = x->user;
    ck_assert(e->x == x && room > 0 && !e->sent);
    e->rooms++;
    if (e->to_send > 0)
        go_on_sending(e);
}

static const struct weir_exchange_events exchange_events = {
    .head = on_head, .body = on_body, .end = on_end, .reset = on_reset, .room = on_room};

static struct h2_ex *take(struct h2_end *end, struct weir_exchange *x)
{
    ck_assert_uint_lt(end->ex_count, EXCHANGES_MAX);
    struct h2_ex *e = &end->ex[end->ex_count++];
    memset(e, 0, sizeof *e);
    e->end = end;
    e->x = x;
    x->events = &exchange_events;
    x->user = e;
    x->arena = &e->arena;
    return e;
}

static bool on_accept(struct weir_codec *c, struct weir_exchange *x)
{
    struct h2_end *end = c->owner;
    return !end->refuse_accept && take(end, x) != NULL;
}

static void on_malformed(struct weir_codec *c, struct weir_exchange *x, const struct weir_malformed *why, bool after)
{
    struct h2_ex *e = x->user;
    (void)c;
    ck_assert(e->x == x && e->head == after && !e->ended);
    note(e, "malformed %u %s%s\n", (unsigned)why->status, why->code, after ? " after head" : "");
    e->ended = true;
    if (!e->end->late)
        h2_send_head(e, why->status, 0, true);
}

static void on_idle(struct weir_codec *c, bool reusable)
{
    struct h2_end *end = c->owner;
    end->idles++;
    end->idles_closing += !reusable;
}

static void on_busy(struct weir_codec *c)
{
    ((struct h2_end *)c->owner)->busies++;
}

static void on_slots(struct weir_codec *c)
{
    ((struct h2_end *)c->owner)->slots_told++;
}

static void on_closed(struct weir_codec *c, const struct weir_reset *why)
{
    struct h2_end *end = c->owner;
    for (unsigned i = 0; i < end->ex_count; i++)
        ck_assert_ptr_null(end->ex[i].x);
    end->closes++;
    end->closed = *why;
    end->open = false;
    weir_http_conn_close(&end->conn, false);
}

static const struct weir_codec_events codec_events = {on_accept, on_malformed, on_idle, on_busy, on_closed, on_slots};

/* -- both ends -- */

static void begin_end(struct h2_end *e, bool server)
{
    e->r = &h2.r;
    e->server = server;
    e->credit = 1 << 20;
    e->limits = (struct weir_http_limits){.head_bytes_max = 8192, .fields_max = 40};
    weir_h2_options_init(&e->options, server);
}

void h2_begin(void)
{
    memset(&h2, 0, sizeof h2);
    reactor_open(&h2.r);
    begin_end(&h2.c, false);
    begin_end(&h2.s, true);
}

static void connect_end(struct h2_end *e)
{
    e->ts = test_stream_new(e->r);
    e->ts->read_max = h2.one_byte_reads ? 1 : 0;
    weir_http_conn_init(&e->conn, &e->ts->base, e->server);
    e->codec = e->server ? weir_h2_server_new(&e->limits, &e->options, &codec_events, e, &e->conn.out)
                         : weir_h2_client_new(&e->limits, &e->options, &codec_events, e, &e->conn.out);
    ck_assert_ptr_nonnull(e->codec);
    e->open = true;
    weir_http_conn_run(&e->conn, e->codec, NULL, 0);
}

void h2_connect_server(void)
{
    connect_end(&h2.s);
    h2_run();
}

void h2_connect_client(void)
{
    connect_end(&h2.c);
    h2_run();
}

void h2_connect(void)
{
    connect_end(&h2.c);
    connect_end(&h2.s);
    h2_run();
}

static void shut_end(struct h2_end *e)
{
    if (e->ts == NULL)
        return;
    if (e->open)
        weir_http_conn_close(&e->conn, false);
    for (unsigned i = 0; i < e->ex_count; i++)
        weir_arena_reset(&e->ex[i].arena);
    test_stream_free(e->ts);
    e->ts = NULL;
}

void h2_shut(void)
{
    shut_end(&h2.c);
    shut_end(&h2.s);
    weir_reactor_close(&h2.r);
}

static void run_dry(void)
{
    run_idle(&h2.r);
    for (int i = 0; i < 1000000; i++) {
        bool busy = false;
        struct h2_end *const ends[] = {&h2.c, &h2.s};
        for (int j = 0; j < 2; j++)
            busy |= ends[j]->ts != NULL && ends[j]->open && !weir_list_empty(&ends[j]->ts->base.source.queued);
        if (!busy)
            return;
        uv_run(&h2.r.loop, UV_RUN_NOWAIT);
    }
    ck_abort_msg("never quiet");
}

/* True: something was carried. */
static bool carry(struct h2_end *from, struct h2_end *to)
{
    if (from->ts == NULL || to->ts == NULL || from->ts->wrote_len == from->piped)
        return false;
    size_t n = from->ts->wrote_len - from->piped;
    n = h2.cut > 0 && n > h2.cut ? h2.cut : n;
    if (to->open)
        test_stream_feed(to->ts, from->ts->wrote + from->piped, n);
    from->piped += n;
    return true;
}

void h2_run(void)
{
    for (int i = 0; i < 4000000; i++) {
        run_dry();
        bool there = carry(&h2.c, &h2.s);
        bool back = carry(&h2.s, &h2.c);
        if (!there && !back)
            return;
    }
    ck_abort_msg("never quiet");
}

struct h2_ex *h2_open(void)
{
    struct weir_exchange *x = h2.c.codec->ops->open(h2.c.codec);
    return x != NULL ? take(&h2.c, x) : NULL;
}

struct h2_ex *h2_request(const char *method, const char *path, int64_t length, bool end)
{
    struct h2_ex *e = h2_open();
    ck_assert_ptr_nonnull(e);
    struct weir_head head = {.method = weir_str_of(method),
                             .target = weir_str_of(path),
                             .authority = WEIR_STR("a"),
                             .content_length = length};
    e->head_sent = true;
    e->sent = end;
    e->x->ops->send_head(e->x, &head, end);
    return e;
}

struct h2_ex *h2_served(unsigned n)
{
    ck_assert_uint_lt(n, h2.s.ex_count);
    return &h2.s.ex[n];
}

void h2_expect_log(struct h2_ex *e, const char *log)
{
    note(e, "%s", "");
    ck_assert_msg(strcmp(e->log, log) == 0, "--- expected\n%s\n--- got\n%s\n---", log, e->log);
    e->log_len = 0;
    e->log[0] = '\0';
}

/* -- a peer made by hand -- */

static uint8_t raw[1 << 20];
static size_t raw_len;

void h2_raw_begin(bool preface)
{
    raw_len = 0;
    if (!preface)
        return;
    memcpy(raw, NGHTTP2_CLIENT_MAGIC, NGHTTP2_CLIENT_MAGIC_LEN);
    raw_len = NGHTTP2_CLIENT_MAGIC_LEN;
    h2_raw(NGHTTP2_SETTINGS, 0, 0, NULL, 0);
}

void h2_raw(uint8_t type, uint8_t flags, uint32_t id, const void *p, size_t n)
{
    ck_assert_uint_le(raw_len + 9 + n, sizeof raw);
    const uint8_t head[9] = {(uint8_t)(n >> 16),  (uint8_t)(n >> 8),   (uint8_t)n,         type,       flags,
                             (uint8_t)(id >> 24), (uint8_t)(id >> 16), (uint8_t)(id >> 8), (uint8_t)id};
    memcpy(raw + raw_len, head, 9);
    if (n > 0)
        memcpy(raw + raw_len + 9, p, n);
    raw_len += 9 + n;
}

/* A literal without indexing, with lengths in HPACK's prefix integers (RFC 7541 6.2.2); no Huffman. */
static size_t put_string(uint8_t *at, const char *p, size_t n)
{
    size_t i = 0, rest = n;
    if (n < 127) {
        at[i++] = (uint8_t)n;
    } else {
        at[i++] = 127;
        for (rest -= 127; rest >= 128; rest /= 128)
            at[i++] = (uint8_t)(rest % 128 + 128);
        at[i++] = (uint8_t)rest;
    }
    memcpy(at + i, p, n);
    return i + n;
}

void h2_raw_headers(uint32_t id, uint8_t flags, const char *lines)
{
    static uint8_t block[65536];
    size_t n = 0;
    for (const char *end; (end = strchr(lines, '\n')) != NULL; lines = end + 1) {
        const char *colon = strchr(lines + 1, ':');
        ck_assert(colon != NULL && colon < end);
        block[n++] = 0;
        n += put_string(block + n, lines, (size_t)(colon - lines));
        n += put_string(block + n, colon + 2, (size_t)(end - colon - 2));
    }
    h2_raw(NGHTTP2_HEADERS, flags, id, block, n);
}

void h2_raw_send(struct h2_end *to)
{
    if (to->open)
        test_stream_feed(to->ts, raw, raw_len);
    h2_run();
    raw_len = 0;
}

static uint32_t number(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* Calls with each frame written so far. */
static const uint8_t *next_frame(struct h2_end *e, size_t *at, size_t *n)
{
    if (*at == 0 && !e->server && e->ts->wrote_len >= 24 && memcmp(e->ts->wrote, NGHTTP2_CLIENT_MAGIC, 24) == 0)
        *at = 24;
    if (*at + 9 > e->ts->wrote_len)
        return NULL;
    const uint8_t *p = (const uint8_t *)e->ts->wrote + *at;
    *n = (size_t)p[0] << 16 | (size_t)p[1] << 8 | p[2];
    *at += 9 + *n;
    return p;
}

int64_t h2_find_code(struct h2_end *e, uint8_t type, uint32_t id)
{
    size_t at = 0, n;
    for (const uint8_t *p; (p = next_frame(e, &at, &n)) != NULL;)
        if (p[3] == type && (number(p + 5) & INT32_MAX) == id)
            return type == NGHTTP2_GOAWAY ? (int64_t)number(p + 13) : n >= 4 ? (int64_t)number(p + 9) : 0;
    return -1;
}

unsigned h2_count_frames(struct h2_end *e, uint8_t type)
{
    size_t at = 0, n;
    unsigned count = 0;
    for (const uint8_t *p; (p = next_frame(e, &at, &n)) != NULL;)
        count += p[3] == type;
    return count;
}

void h2_forget(struct h2_end *e)
{
    test_stream_forget(e->ts);
    e->piped = 0;
}
