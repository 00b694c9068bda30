/* The server's side of HTTP/1.1 (RFC 9112).
 *
 * Happy path: idle -> first byte: busy, accept -> head -> body as far as granted -> end; the response goes out
 * meanwhile or afterwards; when both are through: idle, and the next request, which may have been kept already. Ways
 * out of it:
 * - what arrives is malformed: `malformed` asks for an answer, nothing more is read, the connection closes after it;
 * - the response ends before the request: a small rest of the body is read and dropped, a larger one ends the
 *   connection;
 * - the user resets: closed as soon as it is off the stack;
 * - the peer ends its direction: the open exchange is reset; a response that has ended is still sent out;
 * - the peer wants no more, or the response ends with the connection: closed once the output is out. */
#include <assert.h>

#include "http/h1.h"

static const struct weir_exchange_ops server_exchange_ops;

static void exchange_over(struct weir_h1 *h)
{
    bool reusable = h->keep_alive && !h->spoilt && !h->refused && !h->draining;
    h->open = false;
    h->phase = reusable ? WEIR_H1_IDLE : WEIR_H1_CLOSING;
    weir_h1_next_message(h);
    if (!reusable || h->kept_len > 0 || weir_stream_disturbed(h->codec.out->stream))
        weir_h1_kick(h);
    h->codec.events->idle(&h->codec, reusable);
}

static void finish_receiving(struct weir_h1 *h)
{
    weir_h1_deliver_end(h);
    if (h->dead || !h->open)
        return;
    h->received = true;
    if (h->sent)
        exchange_over(h);
}

static void refuse(struct weir_h1 *h, const struct weir_malformed *why, bool after_head)
{
    h->refused = true;
    h->head = NULL;
    h->phase = WEIR_H1_DONE;
    if (h->sent) {
        weir_h1_fail(h, WEIR_RESET_PROTOCOL, 0, why->message);
        if (!h->dead)
            h->phase = WEIR_H1_CLOSING;
        return;
    }
    h->codec.events->malformed(&h->codec, &h->x, why, after_head);
    if (h->dead || !h->open)
        return;
    h->received = true;
    if (h->sent)
        exchange_over(h);
}

/* The first byte of a request. */
static void begin(struct weir_h1 *h)
{
    h->codec.events->busy(&h->codec);
    if (h->dead || h->closed)
        return;
    h->x = (struct weir_exchange){.ops = &server_exchange_ops};
    h->credit = 0;
    h->open = true;
    h->received = h->head_sent = h->sent = h->want_room = false;
    h->head_method = h->peer_10 = h->expect = h->continued = false;
    h->keep_alive = true;
    h->codec.exchanges_total++;
    h->codec.exchanges_open = 1;
    if (!h->codec.events->accept(&h->codec, &h->x)) {
        h->open = false;
        h->codec.exchanges_open = 0;
        weir_h1_closed(h, WEIR_RESET_INTERNAL, 0, "no resources for a request");
        return;
    }
    if (h->dead || !h->open)
        return;
    h->phase = WEIR_H1_HEAD;
    if (!weir_h1_head_begin(h)) {
        weir_h1_fail(h, WEIR_RESET_INTERNAL, 0, weir_h1_no_memory.message);
        weir_h1_closed(h, WEIR_RESET_INTERNAL, 0, weir_h1_no_memory.message);
    }
}

static void head_complete(struct weir_h1 *h)
{
    const struct weir_malformed *why = weir_h1_check_request(h);
    if (why != NULL) {
        refuse(h, why, false);
        return;
    }
    struct weir_head *head = &h->head->head;
    h->head = NULL;
    h->body_left = h->framing == WEIR_H1_LENGTH ? (uint64_t)head->content_length : 0;
    h->phase = WEIR_H1_BODY;
    h->x.events->head(&h->x, head);
    if (!h->dead && h->open && h->framing == WEIR_H1_NONE)
        finish_receiving(h);
}

/* Empty lines before a request are skipped (RFC 9112 2.2), whole ones only. False: half of one, or a bare LF. */
static bool skip_empty_lines(struct weir_h1 *h, const uint8_t *p, size_t n, size_t *used)
{
    for (*used = 0; *used < n; ++*used) {
        uint8_t c = p[*used];
        if (h->cr_seen != (c == '\n'))
            return false;
        if (c != '\r' && c != '\n')
            return true;
        h->cr_seen = c == '\r';
    }
    return true;
}

static size_t eat_idle(struct weir_h1 *h, const uint8_t *p, size_t n)
{
    size_t used;
    bool clean = skip_empty_lines(h, p, n, &used);
    if (used == n)
        return n;
    h->cr_seen = false;
    begin(h);
    if (!clean && !h->dead && h->open)
        refuse(h, &weir_h1_bad_start_line, false);
    return used;
}

static size_t eat_head(struct weir_h1 *h, const uint8_t *p, size_t n)
{
    size_t used;
    enum weir_h1_step step = weir_h1_eat_head(h, p, n, &used);
    if (step == WEIR_H1_COMPLETE)
        head_complete(h);
    else if (step == WEIR_H1_BAD)
        refuse(h, h->bad, false);
    return used;
}

static size_t eat_body(struct weir_h1 *h, const uint8_t *p, size_t n)
{
    size_t used;
    enum weir_h1_step step = weir_h1_eat_body(h, p, n, &used);
    if (step == WEIR_H1_COMPLETE) {
        finish_receiving(h);
    } else if (step == WEIR_H1_BAD) {
        refuse(h, h->bad, true);
    } else if (h->drop_body) {
        h->dropped += (uint32_t)used;
        h->abandoned = h->dropped > WEIR_H1_DRAIN_BYTES_MAX;
    }
    return used;
}

static size_t eat(struct weir_h1 *h, const uint8_t *p, size_t n)
{
    size_t used = 0;
    if (h->refused || h->abandoned || h->phase == WEIR_H1_CLOSING)
        return n;
    if (h->phase == WEIR_H1_IDLE) {
        used = eat_idle(h, p, n);
        if (h->dead || h->closed || h->refused)
            return n;
    }
    if (h->phase == WEIR_H1_HEAD && used < n)
        return used + eat_head(h, p + used, n - used);
    if (h->phase == WEIR_H1_BODY && used < n)
        return used + eat_body(h, p + used, n - used);
    return used;
}

/* Everything is out. A client that may still be sending is given time to read the answer. */
static void finish(struct weir_h1 *h)
{
    bool may_send = h->refused || h->abandoned || weir_stream_disturbed(h->codec.out->stream);
    if (may_send && !h->eof && !h->codec.out->failed)
        h->codec.lingering = true;
    else
        weir_h1_closed(h, WEIR_RESET_CANCEL, 0, "done");
}

/* What had to wait until nobody's callback is on the stack. */
static void settle(struct weir_h1 *h)
{
    weir_h1_settle(h);
    if (h->dead || h->closed)
        return;
    if (h->abandoned && h->open) {
        h->phase = WEIR_H1_CLOSING;
        weir_h1_fail(h, WEIR_RESET_CANCEL, 0, "the rest of the request was not wanted");
        if (!h->dead && !h->closed)
            h->codec.events->idle(&h->codec, false);
    }
    if (h->dead || h->closed)
        return;
    bool idle = h->phase == WEIR_H1_IDLE && h->kept_len == 0 && !weir_stream_disturbed(h->codec.out->stream);
    if (h->draining && idle && weir_outbox_unsent(h->codec.out) == 0)
        weir_h1_closed(h, WEIR_RESET_CANCEL, 0, "drained");
    else if (h->phase == WEIR_H1_CLOSING && weir_outbox_unsent(h->codec.out) == 0)
        finish(h);
}

/* -- of the codec -- */

static size_t server_want(const struct weir_codec *c)
{
    const struct weir_h1 *h = WEIR_CONTAINER(c, const struct weir_h1, codec);
    if (h->kept_len > 0 || h->aborted || h->broken || h->closed)
        return 0;
    if (h->phase == WEIR_H1_CLOSING)
        return c->lingering ? WEIR_H1_READ_BYTES : 0;
    if (h->abandoned)
        return 0;
    switch (h->phase) {
    case WEIR_H1_IDLE:
    case WEIR_H1_HEAD:
        return WEIR_H1_READ_BYTES;
    case WEIR_H1_BODY:
        return weir_h1_want_body(h);
    default:
        return 0;
    }
}

static void server_feed(struct weir_codec *c, const uint8_t *p, size_t n)
{
    struct weir_h1 *h = weir_h1_of(c);
    weir_h1_enter(h);
    c->bytes_in += n;
    if (!weir_h1_pump(h, p, n, eat))
        h->broken = true;
    settle(h);
    weir_h1_leave(h);
}

static void server_eof(struct weir_codec *c, int error)
{
    struct weir_h1 *h = weir_h1_of(c);
    enum weir_reset_reason reason = error == 0 ? WEIR_RESET_PEER_CLOSED : WEIR_RESET_PEER_ERROR;
    weir_h1_enter(h);
    bool answered = !h->open || h->sent;
    h->eof = true;
    if (c->lingering)
        weir_h1_closed(h, WEIR_RESET_CANCEL, error, "done");
    if (h->open)
        weir_h1_fail(h, reason, error, NULL);
    if (!h->dead && answered && error == 0 && weir_outbox_unsent(c->out) > 0)
        h->phase = WEIR_H1_CLOSING;
    else
        weir_h1_closed(h, reason, error, NULL);
    weir_h1_leave(h);
}

static void server_writable(struct weir_codec *c)
{
    struct weir_h1 *h = weir_h1_of(c);
    weir_h1_enter(h);
    weir_h1_give_room(h);
    settle(h);
    weir_h1_leave(h);
}

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
    struct weir_h1 *h = weir_h1_of(c);
    h->draining = true;
    if (h->phase == WEIR_H1_IDLE)
        weir_h1_kick(h);
}

/* -- of the exchange -- */

static void end_response(struct weir_h1 *h)
{
    h->sent = true;
    h->want_room = false;
    h->codec.exchanges_open = 0;
    if (h->received) {
        exchange_over(h);
        return;
    }
    if (h->phase == WEIR_H1_HEAD) { /* the user would not wait for the rest of the head */
        h->abandoned = true;
        weir_h1_kick(h);
        return;
    }
    if (h->phase != WEIR_H1_BODY || h->framing == WEIR_H1_NONE)
        return; /* `end` is about to be delivered */
    bool waits = h->expect && !h->continued && h->body_total == 0;
    bool large = h->framing == WEIR_H1_LENGTH && h->body_left > WEIR_H1_DRAIN_BYTES_MAX;
    h->drop_body = true;
    if (waits || large || !h->keep_alive || h->draining)
        h->abandoned = true;
    weir_h1_kick(h);
}

static void server_send_head(struct weir_exchange *x, const struct weir_head *head, bool end)
{
    struct weir_h1 *h = weir_h1_of_exchange(x);
    assert(h->open && !h->head_sent && head->status >= 100 && head->status <= 999 && head->status != 101);
    if (head->status < 200) {
        h->continued |= head->status == 100;
        if (!h->peer_10)
            weir_h1_write_interim(h, head);
        return;
    }
    /* a client that was never told to go on may or may not send the body: only a new connection settles it */
    bool waits = h->expect && !h->continued && h->body_total == 0 && h->phase == WEIR_H1_BODY;
    h->head_sent = true;
    weir_h1_write_response(h, head, end, head->close || !h->keep_alive || h->draining || h->refused || waits);
    if (end)
        end_response(h);
}

static void server_send_end(struct weir_exchange *x, const struct weir_fields *trailers)
{
    struct weir_h1 *h = weir_h1_of_exchange(x);
    assert(h->open && h->head_sent && !h->sent);
    weir_h1_write_end(h, trailers);
    end_response(h);
}

static const struct weir_exchange_ops server_exchange_ops = {
    .send_head = server_send_head,
    .send_body = weir_h1_send_body,
    .send_end = server_send_end,
    .room = weir_h1_room,
    .grant = weir_h1_grant,
    .reset = weir_h1_reset,
};

static const struct weir_codec_ops server_ops = {
    .want = server_want,
    .feed = server_feed,
    .eof = server_eof,
    .writable = server_writable,
    .open = server_open,
    .slots = server_slots,
    .drain = server_drain,
    .free = weir_h1_free,
};

struct weir_codec *weir_h1_server_new(const struct weir_http_limits *limits, const struct weir_codec_events *events,
                                      void *owner, struct weir_outbox *out)
{
    struct weir_h1 *h = weir_h1_new(&server_ops, limits, events, owner, out);
    if (h == NULL)
        return NULL;
    h->server = true;
    h->keep_alive = true;
    weir_h1_parser_init(h, true);
    return &h->codec;
}
