/* The server's side of HTTP/2 (RFC 9113).
 *
 * Happy path: HEADERS begin -> busy (if nothing was open), accept -> head -> body as far as granted -> end; the
 * response goes out meanwhile or afterwards; when the last exchange is through: idle. Ways out of it, for one stream:
 * - what arrives is malformed: `malformed` asks for an answer; RST_STREAM follows it if the request has not ended;
 * - its data does not have the announced length: RST_STREAM(PROTOCOL_ERROR), `reset`;
 * - the response ends before the request: a small rest of the body is dropped, a larger one is cut off by
 *   RST_STREAM(NO_ERROR) and `reset`;
 * - either side resets it.
 * For the connection: floods and what breaks framing end it with GOAWAY; drain ends it in two steps. */
#include <assert.h>

#include "http/h2_impl.h"

static const struct weir_exchange_ops server_exchange_ops;

struct weir_h2_stream *weir_h2_server_begin(struct weir_h2 *h, int32_t id)
{
    if (h->terminated)
        return NULL;
    if (h->held == 0)
        h->codec.events->busy(&h->codec);
    if (h->dead)
        return NULL;
    struct weir_h2_stream *s = weir_h2_stream_new(h, &server_exchange_ops);
    if (s == NULL) {
        weir_h2_break(h, WEIR_RESET_INTERNAL, weir_h1_no_memory.message);
        return NULL;
    }
    s->id = id;
    s->submitted = true;
    if (nghttp2_session_set_stream_user_data(h->session, id, s) != 0)
        weir_h2_break(h, WEIR_RESET_INTERNAL, weir_h1_no_memory.message);
    if (!h->codec.events->accept(&h->codec, &s->x) && !h->dead) {
        weir_h2_stream_rst(s, NGHTTP2_REFUSED_STREAM);
        weir_h2_stream_over(s);
    }
    return h->dead ? NULL : s;
}

void weir_h2_server_refuse(struct weir_h2_stream *s, const struct weir_malformed *why, bool after_head)
{
    struct weir_h2 *h = s->h;
    if (s->trailers == NULL)
        s->head = NULL;
    s->refused = true;
    s->rst_after = true;
    weir_h2_stream_drop_input(s); /* of a message that is none */
    if (after_head)               /* whatever has begun to work on it is stopped, as by a reset (CVE-2025-8671) */
        weir_h2_count_reset(h);
    s->rst_code = why->status == 413 || why->status == 431 ? NGHTTP2_NO_ERROR : NGHTTP2_PROTOCOL_ERROR;
    if (s->sent) {
        weir_h2_stream_rst(s, s->rst_code);
        weir_h2_stream_fail(s, WEIR_RESET_PROTOCOL, why->message);
        return;
    }
    h->codec.events->malformed(&h->codec, &s->x, why, after_head);
    if (h->dead || s->over)
        return;
    s->received = true;
    if (s->sent)
        weir_h2_stream_over(s);
}

void weir_h2_server_head(struct weir_h2_stream *s, bool end)
{
    struct weir_h2 *h = s->h;
    const struct weir_malformed *why = weir_h2_check_request(s, end);
    if (why != NULL) {
        weir_h2_server_refuse(s, why, false);
        return;
    }
    struct weir_head *head = &s->head->head;
    nghttp2_extpri priority;
    if (s->head->priority.len > 0 && weir_h2_priority(s->head->priority, &priority))
        nghttp2_session_change_extpri_stream_priority(h->session, s->id, &priority, 0); /* a hint: may fail */
    s->head = NULL;
    s->head_in = true;
    s->length = head->content_length;
    s->x.events->head(&s->x, head);
}

/* -- of the codec -- */

static struct weir_exchange *server_open(struct weir_codec *c)
{
    (void)c;
    return NULL;
}

static unsigned server_slots(const struct weir_codec *c)
{
    (void)c;
    return 0;
}

static void server_drain(struct weir_codec *c)
{
    static const uint8_t opaque[8] = {'d', 'r', 'a', 'i', 'n'};
    struct weir_h2 *h = weir_h2_of(c);
    if (h->draining || h->closed || h->broken)
        return;
    h->draining = true;
    if (nghttp2_submit_shutdown_notice(h->session) != 0 ||
        nghttp2_submit_ping(h->session, NGHTTP2_FLAG_NONE, opaque) != 0)
        weir_h2_break(h, WEIR_RESET_INTERNAL, weir_h1_no_memory.message);
    h->drain_ping = h->ping_sent = true;
    h->detail = "drained";
    weir_h2_push(h);
}

/* -- of the exchange -- */

/* Before the end is queued, so that what must follow END_STREAM is known when it goes out. */
static void end_response(struct weir_h2_stream *s)
{
    s->sent = true;
    s->want_room = false;
    weir_h2_stream_uncount(s);
    if (s->received || s->refused || s->fail_due)
        return;
    bool waits = s->expect && !s->continued && s->body_total == 0;
    bool large = s->length >= 0 && (uint64_t)s->length - s->body_total > WEIR_H2_DRAIN_BYTES_MAX;
    s->drop_body = true;
    weir_h2_stream_drop_input(s);
    if (!s->remote_ended && (waits || large || !s->head_in)) {
        s->rst_after = true;
        s->rst_code = NGHTTP2_NO_ERROR;
        weir_h2_stream_fail_later(s, WEIR_RESET_CANCEL, "the rest of the request was not wanted");
    } else {
        weir_h2_stream_due(s);
    }
}

static void after_end(struct weir_h2_stream *s)
{
    struct weir_h2 *h = s->h;
    if (s->received)
        weir_h2_stream_over(s);
    weir_h2_push(h);
    weir_h2_kick(h);
}

static void server_send_head(struct weir_exchange *x, const struct weir_head *head, bool end)
{
    struct weir_h2_stream *s = weir_h2_stream_of(x);
    assert(!s->over && !s->head_sent && head->status >= 100 && head->status <= 999 && head->status != 101);
    if (head->status < 200) {
        s->continued |= head->status == 100;
        weir_h2_submit_interim(s, head);
        weir_h2_push(s->h);
        return;
    }
    s->head_sent = true;
    if (end)
        end_response(s);
    weir_h2_submit_response(s, head, end);
    if (end)
        after_end(s);
    else
        weir_h2_push(s->h);
}

static void server_send_end(struct weir_exchange *x, const struct weir_fields *trailers)
{
    struct weir_h2_stream *s = weir_h2_stream_of(x);
    assert(!s->over && s->head_sent && !s->sent);
    end_response(s);
    weir_h2_submit_end(s, trailers);
    after_end(s);
}

static const struct weir_exchange_ops server_exchange_ops = {
    .send_head = server_send_head,
    .send_body = weir_h2_send_body,
    .send_end = server_send_end,
    .room = weir_h2_room,
    .grant = weir_h2_grant,
    .reset = weir_h2_reset,
};

static const struct weir_codec_ops server_ops = {
    .want = weir_h2_want,
    .feed = weir_h2_feed,
    .eof = weir_h2_eof,
    .writable = weir_h2_writable,
    .open = server_open,
    .slots = server_slots,
    .drain = server_drain,
    .free = weir_h2_free,
};

struct weir_codec *weir_h2_server_new(const struct weir_http_limits *limits, const struct weir_h2_options *options,
                                      const struct weir_codec_events *events, void *owner, struct weir_outbox *out)
{
    struct weir_h2 *h = weir_h2_new(&server_ops, limits, options, events, owner, out, true);
    return h != NULL ? &h->codec : NULL;
}
