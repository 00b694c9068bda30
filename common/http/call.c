#include "http/call.h"

#include <assert.h>
#include <string.h>

#include "http/h2.h"

/* Answers to these calls have small heads; a larger one is refused, and the call fails. */
static const struct weir_http_limits limits = {.head_bytes_max = 65536, .fields_max = 256};

static void fail(struct weir_call *c, const struct weir_err *why)
{
    struct weir_err err = *why;
    c->opts.done(c, c->status, &err);
}

static void finish(struct weir_call *c)
{
    c->opts.done(c, c->status, NULL);
}

/* -- the exchange -- */

static void got_head(struct weir_exchange *x, struct weir_head *head)
{
    struct weir_call *c = x->user;
    if (head->status < 200)
        return;
    c->status = head->status;
    if (c->opts.read_body || c->opts.take != NULL)
        x->ops->grant(x, WEIR_CALL_BODY_READ_MAX);
    else
        finish(c);
}

static void got_body(struct weir_exchange *x, const uint8_t *bytes, size_t n)
{
    struct weir_call *c = x->user;
    if (c->opts.take != NULL) {
        if (c->opts.take(c, bytes, n))
            x->ops->grant(x, n);
        else
            finish(c);
        return;
    }
    c->body_read += n;
    if (c->body_read >= WEIR_CALL_BODY_READ_MAX)
        finish(c);
}

static void got_end(struct weir_exchange *x, const struct weir_fields *trailers)
{
    struct weir_call *c = x->user;
    (void)trailers;
    if (c->opts.keep)
        c->ended = true;
    else
        finish(c);
}

static void got_room(struct weir_exchange *x, size_t room)
{
    (void)x, (void)room;
}

static void broke(struct weir_call *c, const struct weir_reset *why)
{
    struct weir_err err;
    if (c->kept) {
        weir_call_end(c);
        return;
    }
    if (c->ended || (c->status != 0 && c->opts.take == NULL)) {
        c->ended = false;
        finish(c); /* it has said what it had to say */
        return;
    }
    if (why->os_error == (int)WEIR_TLS_BROKEN || why->os_error == (int)WEIR_TLS_TRUNCATED)
        (void)weir_tls_read_error(c->conn.stream, &err); /* TLS 1.3: a client certificate is refused only now */
    else
        weir_err_set(&err, WEIR_ECLOSED, "%s", weir_reset_text(why->reason));
    fail(c, &err);
}

static void got_reset(struct weir_exchange *x, const struct weir_reset *why)
{
    broke(x->user, why);
}

static const struct weir_exchange_events exchange_events = {
    .head = got_head, .body = got_body, .end = got_end, .reset = got_reset, .room = got_room};

/* The exchange has told all there is to know before either of these, but whether its connection can be kept. */
static void codec_idle(struct weir_codec *codec, bool reusable)
{
    struct weir_call *c = codec->owner;
    if (!c->ended)
        return;
    c->ended = false;
    c->kept = reusable;
    finish(c);
}

static void codec_closed(struct weir_codec *codec, const struct weir_reset *why)
{
    broke(codec->owner, why);
}

static const struct weir_codec_events codec_events = {.idle = codec_idle, .closed = codec_closed};

static void fail_for_memory(struct weir_call *c)
{
    struct weir_err err;
    weir_err_set(&err, WEIR_ENOMEM, "out of memory");
    fail(c, &err);
}

static struct weir_codec *make_codec(struct weir_call *c)
{
    if (c->shaking ? !weir_tls_agreed(c->conn.stream, "h2") : !c->opts.http2)
        return weir_h1_client_new(&limits, &codec_events, c, &c->conn.out);
    struct weir_h2_options options;
    weir_h2_options_init(&options, false);
    options.https = c->shaking;
    return weir_h2_client_new(&limits, &options, &codec_events, c, &c->conn.out);
}

static bool send_request(struct weir_call *c)
{
    struct weir_head head = {.content_length = WEIR_LENGTH_UNKNOWN, .close = !c->opts.keep};
    struct weir_str body = {0};
    struct weir_codec *codec = c->conn.codec;
    struct weir_exchange *x = c->opts.fill(c, &head, &body) ? codec->ops->open(codec) : NULL;
    if (x == NULL)
        return false;
    x->events = &exchange_events;
    x->user = c;
    x->arena = &c->arena;
    x->ops->send_head(x, &head, !head.has_body);
    if (head.has_body) {
        x->ops->send_body(x, body.ptr, body.len);
        x->ops->send_end(x, NULL);
    }
    return true;
}

static void ask(struct weir_call *c)
{
    weir_http_conn_init(&c->conn, c->opening, false);
    struct weir_codec *codec = make_codec(c);
    if (codec == NULL) {
        weir_outbox_close(&c->conn.out);
        fail_for_memory(c);
        return;
    }
    c->opening = NULL;
    weir_http_conn_run(&c->conn, codec, NULL, 0);
    if (!send_request(c))
        fail_for_memory(c);
}

/* -- connecting -- */

static void open_for_use(struct weir_call *c)
{
    if (c->opts.connect_only)
        finish(c);
    else
        ask(c);
}

static void shaken(struct weir_stream *s, int code, const struct weir_err *err)
{
    if (code != 0)
        fail(s->owner, err);
    else
        open_for_use(s->owner);
}

static void connected(struct weir_stream *s, int code, const struct weir_err *err)
{
    struct weir_call *c = s->owner;
    if (code != 0) {
        fail(c, err);
        return;
    }
    if (c->opts.tls.config == NULL) {
        open_for_use(c);
        return;
    }
    c->opts.tls.started = true;
    int rv = weir_tls_wrap(&c->opening, s, &c->opts.tls);
    if (rv != 0) {
        struct weir_err why;
        weir_err_set(&why, rv, "TLS to %s: %s", c->opts.tls.host, weir_err_text(rv));
        fail(c, &why);
        return;
    }
    c->shaking = true;
    c->opening->owner = c;
    weir_stream_start(c->opening, shaken);
}

int weir_call_begin(struct weir_call *c, struct weir_reactor *r, const struct weir_call_opts *opts,
                    struct weir_err *err)
{
    *c = (struct weir_call){.opts = *opts};
    weir_arena_init(&c->arena);
    int rv = weir_tcp_connect(&c->opening, r, &opts->addr->sa, weir_addr_len(opts->addr), opts->tcp, err);
    if (rv != 0)
        return rv;
    c->opening->owner = c;
    weir_stream_start(c->opening, connected);
    return 0;
}

bool weir_call_is_kept(const struct weir_call *c)
{
    return c->kept;
}

bool weir_call_again(struct weir_call *c)
{
    assert(c->kept);
    c->kept = false;
    c->status = 0;
    c->body_read = 0;
    weir_arena_reset(&c->arena);
    return send_request(c);
}

void weir_call_end(struct weir_call *c)
{
    if (c->opening != NULL)
        weir_stream_close(&c->opening, true);
    if (c->conn.codec != NULL)
        weir_http_conn_close(&c->conn, c->status == 0 && c->opts.read_body);
    c->conn = (struct weir_http_conn){0};
    c->ended = c->kept = false;
    weir_arena_reset(&c->arena);
}

const char *weir_call_step(const struct weir_call *c)
{
    return c->opening == NULL ? "the answer" : c->shaking ? "the TLS handshake" : "the connect";
}
