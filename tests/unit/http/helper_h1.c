#include "helper_h1.h"

#include <check.h>
#include <stdarg.h>
#include <stdio.h>

static struct h1 *of_codec(struct weir_codec *c)
{
    return c->owner;
}

static void say(struct h1 *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void say(struct h1 *t, const char *fmt, ...)
{
    va_list ap;
    if (t->quiet)
        return;
    if (t->in_body) {
        t->in_body = false;
        say(t, "]\n");
    }
    va_start(ap, fmt);
    int n = vsnprintf(t->record + t->record_len, RECORD_BYTES_MAX - t->record_len, fmt, ap);
    va_end(ap);
    ck_assert(n >= 0 && (size_t)n < RECORD_BYTES_MAX - t->record_len);
    t->record_len += (size_t)n;
}

static const char *reason_name(enum weir_reset_reason reason)
{
#define NAME(id, text, fault) [WEIR_RESET_##id] = #id,
    static const char *const names[] = {WEIR_RESET_MAP(NAME)};
#undef NAME
    return names[reason];
}

static void close_conn(struct h1 *t)
{
    t->x = NULL;
    t->conn_open = false;
    weir_http_conn_close(&t->conn, false);
    memset(&t->conn, 0xdd, sizeof t->conn); /* whoever still looks at it is to fall over */
}

static void say_fields(struct h1 *t, const struct weir_fields *fields)
{
    for (size_t i = 0; i < fields->count; i++)
        say(t, " %.*s=%.*s", WEIR_FMT(fields->at[i].name), WEIR_FMT(fields->at[i].value));
}

static struct weir_head head_of(unsigned status, int64_t length)
{
    return (struct weir_head){.status = (uint16_t)status, .content_length = length};
}

void h1_respond(struct h1 *t, unsigned status, int64_t length, bool end)
{
    struct weir_head head = head_of(status, length);
    t->x->ops->send_head(t->x, &head, end);
}

void h1_send(struct h1 *t, const char *text)
{
    t->x->ops->send_body(t->x, text, strlen(text));
}

void h1_send_end(struct h1 *t, const struct weir_fields *trailers)
{
    t->x->ops->send_end(t->x, trailers);
}

static void respond(struct h1 *t)
{
    h1_respond(t, 200, t->answer_chunked ? WEIR_LENGTH_UNKNOWN : 2, false);
    h1_send(t, "ok");
    h1_send_end(t, NULL);
}

static void on_head(struct weir_exchange *x, struct weir_head *head)
{
    struct h1 *t = x->user;
    if (head->status == 0)
        say(t, "head %.*s %.*s%s%.*s @%.*s", WEIR_FMT(head->method), WEIR_FMT(head->scheme),
            head->scheme.len > 0 ? ":" : "", WEIR_FMT(head->target), WEIR_FMT(head->authority));
    else
        say(t, "head %u", (unsigned)head->status);
    say(t, " v%u", (unsigned)head->version);
    if (head->content_length >= 0)
        say(t, " length=%lld", (long long)head->content_length);
    say(t, "%s%s%s", head->has_body ? " body" : "", head->expect_continue ? " expect" : "",
        head->keep_alive ? "" : " last");
    say_fields(t, &head->fields);
    say(t, "\n");
    bool request = head->status == 0, final = request || head->status >= 200;
    if (t->forget_arena && final)
        weir_arena_reset(&t->arena);
    if (t->reset_in_head) {
        t->x = NULL;
        x->ops->reset(x, WEIR_RESET_CANCEL);
        return;
    }
    if (t->close_in_head) {
        close_conn(t);
        return;
    }
    if (final && t->credit > 0)
        x->ops->grant(x, t->credit);
    if (request && t->answer == ANSWER_AT_HEAD)
        respond(t);
}

static void on_body(struct weir_exchange *x, const uint8_t *p, size_t n)
{
    struct h1 *t = x->user;
    if (!t->quiet)
        ck_assert_uint_gt(n, 0);
    if (!t->in_body)
        say(t, "body [");
    t->in_body = false;
    t->body_bytes += n;
    t->largest_slice = n > t->largest_slice ? n : t->largest_slice;
    if (t->body_bytes < RECORD_BYTES_MAX / 4)
        say(t, "%.*s", (int)n, (const char *)p);
    t->in_body = true;
    if (t->reset_in_body) {
        t->x = NULL;
        x->ops->reset(x, WEIR_RESET_CANCEL);
    } else if (t->close_in_body) {
        close_conn(t);
    } else {
        x->ops->grant(x, n);
    }
}

static void on_end(struct weir_exchange *x, const struct weir_fields *trailers)
{
    struct h1 *t = x->user;
    say(t, "end");
    if (trailers != NULL)
        say_fields(t, trailers);
    say(t, "\n");
    t->ends++;
    if (t->close_in_end)
        close_conn(t);
    else if (t->on_end != NULL)
        t->on_end(t);
    else if (t->conn.server && t->answer == ANSWER_AT_END)
        respond(t);
}

static void on_reset(struct weir_exchange *x, const struct weir_reset *why)
{
    struct h1 *t = x->user;
    say(t, "reset %s%s%s\n", reason_name(why->reason), why->unprocessed == WEIR_UNPROCESSED_CERTAIN ? " certain" : "",
        why->response_begun ? " begun" : "");
    t->last_reset = *why;
    t->x = NULL;
}

static void on_room(struct weir_exchange *x, size_t room)
{
    struct h1 *t = x->user;
    ck_assert_uint_gt(room, 0);
    say(t, "room\n");
    if (t->credit_in_room > 0)
        x->ops->grant(x, t->credit_in_room);
}

static const struct weir_exchange_events exchange_events = {
    .head = on_head, .body = on_body, .end = on_end, .reset = on_reset, .room = on_room};

static bool on_accept(struct weir_codec *c, struct weir_exchange *x)
{
    struct h1 *t = of_codec(c);
    if (t->refuse_accept)
        return false;
    weir_arena_reset(&t->arena);
    x->events = &exchange_events;
    x->user = t;
    x->arena = &t->arena;
    t->x = x;
    return true;
}

static void on_malformed(struct weir_codec *c, struct weir_exchange *x, const struct weir_malformed *why,
                         bool after_head)
{
    struct h1 *t = of_codec(c);
    say(t, "malformed %u %s%s\n", (unsigned)why->status, why->code, after_head ? " after head" : "");
    if (t->answer == ANSWER_NOT)
        return;
    struct weir_head head = head_of(why->status, 0);
    x->ops->send_head(x, &head, true);
}

static void on_idle(struct weir_codec *c, bool reusable)
{
    struct h1 *t = of_codec(c);
    say(t, "idle%s\n", reusable ? "" : " closing");
    t->idles++;
    t->x = NULL;
    if (t->close_in_idle)
        close_conn(t);
    else if (t->on_idle != NULL)
        t->on_idle(t, reusable);
}

static void on_busy(struct weir_codec *c)
{
    say(of_codec(c), "busy\n");
}

static void on_closed(struct weir_codec *c, const struct weir_reset *why)
{
    struct h1 *t = of_codec(c);
    say(t, "closed %s\n", reason_name(why->reason));
    t->closes++;
    close_conn(t);
}

static const struct weir_codec_events codec_events = {
    .accept = on_accept, .malformed = on_malformed, .idle = on_idle, .busy = on_busy, .closed = on_closed};

void h1_open(struct h1 *t, bool server)
{
    memset(t, 0, sizeof *t);
    reactor_open(&t->r);
    t->limits = (struct weir_http_limits){.head_bytes_max = 4096, .fields_max = 20, .body_bytes_max = 1000};
    t->credit = 100000;
    t->ts = test_stream_new(&t->r);
    weir_http_conn_init(&t->conn, &t->ts->base, server);
    t->codec = server ? weir_h1_server_new(&t->limits, &codec_events, t, &t->conn.out)
                      : weir_h1_client_new(&t->limits, &codec_events, t, &t->conn.out);
    ck_assert_ptr_nonnull(t->codec);
    t->conn_open = true;
    weir_http_conn_run(&t->conn, t->codec, NULL, 0);
    run_idle(&t->r);
}

void h1_shut(struct h1 *t)
{
    if (t->conn_open)
        close_conn(t);
    weir_arena_reset(&t->arena);
    test_stream_free(t->ts);
    weir_reactor_close(&t->r);
}

void h1_reopen(struct h1 *t, bool server, enum delivery delivery)
{
    h1_shut(t);
    h1_open(t, server);
    t->ts->read_max = delivery == BYTES ? 1 : delivery == NO_EDGE ? 7 : 0;
    t->ts->no_edge = delivery == NO_EDGE;
}

const char *h1_padded(const char *before, size_t n, char c, const char *after)
{
    static char text[65536];
    size_t from = strlen(before);
    ck_assert_uint_lt(from + n + strlen(after), sizeof text);
    memcpy(text, before, from);
    memset(text + from, c, n);
    strcpy(text + from + n, after);
    return text;
}

/* One byte a turn and more: until the loop would sleep, whatever the stream's knobs make of it. */
static void run_dry(struct h1 *t)
{
    run_idle(&t->r);
    for (int i = 0; i < 1000000 && !weir_list_empty(&t->ts->base.source.queued); i++)
        uv_run(&t->r.loop, UV_RUN_NOWAIT);
    run_idle(&t->r);
}

void h1_feed_bytes(struct h1 *t, const void *p, size_t n)
{
    run_idle(&t->r);
    if (!t->ts->closed)
        test_stream_feed(t->ts, p, n);
    run_dry(t);
}

void h1_feed(struct h1 *t, const char *text)
{
    h1_feed_bytes(t, text, strlen(text));
}

void h1_fin(struct h1 *t)
{
    if (!t->ts->closed)
        test_stream_end(t->ts);
    run_dry(t);
}

void h1_request(struct h1 *t, const char *method, const char *target, int64_t length, bool end)
{
    weir_arena_reset(&t->arena);
    t->x = t->codec->ops->open(t->codec);
    ck_assert_ptr_nonnull(t->x);
    t->x->events = &exchange_events;
    t->x->user = t;
    t->x->arena = &t->arena;
    struct weir_head head = {.method = weir_str_of(method),
                             .target = weir_str_of(target),
                             .authority = WEIR_STR("a"),
                             .content_length = length};
    t->x->ops->send_head(t->x, &head, end);
}

static void compare(const char *what, const char *got, const char *expected)
{
    ck_assert_msg(strcmp(got, expected) == 0, "%s:\n--- expected\n%s\n--- got\n%s\n---", what, expected, got);
}

void h1_forget(struct h1 *t)
{
    t->record_len = 0;
    t->record[0] = '\0';
    t->in_body = false;
}

void h1_expect(struct h1 *t, const char *record)
{
    if (t->in_body)
        say(t, "%s", "");
    compare("events", t->record, record);
    h1_forget(t);
}

const char *h1_wrote(const struct h1 *t)
{
    return t->ts->wrote != NULL ? t->ts->wrote : "";
}

void h1_expect_wrote(struct h1 *t, const char *text)
{
    compare("bytes sent", h1_wrote(t), text);
    test_stream_forget(t->ts);
}
