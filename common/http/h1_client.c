/* The client's side of HTTP/1.1 (RFC 9112).
 *
 * Happy path: open -> send_head, body, end -> any number of interim heads -> head -> body as far as granted -> end ->
 * idle(reusable).
 * Ways out of it:
 * - the response ends while the request is still being sent: not reusable, over when the user ends or resets it;
 * - the connection ends: a body without a length is complete by that, anything else is reset;
 * - the response is malformed, or bytes come that nobody asked for: reset, closed;
 * - the response is followed by more bytes, or its framing leaves a doubt: delivered, not reusable;
 * - the user resets: closed as soon as it is off the stack. */
#include <assert.h>

#include "http/h1.h"

static const struct weir_exchange_ops client_exchange_ops;

/* The owner may hand an idle connection to another thread at once, so nothing here touches it after `idle`. */
static void tell_idle(struct weir_h1 *h)
{
    h->idle_due = false;
    h->codec.events->idle(&h->codec, h->phase == WEIR_H1_IDLE);
}

static void exchange_over(struct weir_h1 *h)
{
    const struct weir_outbox *out = h->codec.out;
    bool clean = !h->spoilt && !h->behind && !out->failed && weir_outbox_unsent(out) == 0;
    bool reusable = clean && h->keep_alive && !h->draining && !h->eof;
    h->open = false;
    h->codec.exchanges_open = 0;
    h->phase = reusable ? WEIR_H1_IDLE : WEIR_H1_CLOSING;
    weir_h1_next_message(h);
    h->idle_due = true;
    if (h->depth == 0)
        tell_idle(h);
}

static void finish_receiving(struct weir_h1 *h)
{
    if (!h->sent)
        h->keep_alive = false; /* the server may have stopped to listen */
    weir_h1_deliver_end(h);
    if (h->dead || !h->open)
        return;
    h->received = true;
    if (h->sent)
        exchange_over(h);
}

static void fail(struct weir_h1 *h, enum weir_reset_reason reason, int error, const char *detail)
{
    if (h->open)
        weir_h1_fail(h, reason, error, detail);
    weir_h1_closed(h, reason, error, detail);
}

static void refuse(struct weir_h1 *h, const struct weir_malformed *why)
{
    enum weir_reset_reason reason = why == &weir_h1_head_large  ? WEIR_RESET_TOO_LARGE
                                    : why == &weir_h1_no_memory ? WEIR_RESET_INTERNAL
                                                                : WEIR_RESET_PROTOCOL;
    fail(h, reason, 0, why->message);
}

static void begin_head(struct weir_h1 *h, uint8_t first)
{
    h->begun = true;
    if (first != 'H') { /* llhttp would skip empty lines */
        refuse(h, &weir_h1_bad_start_line);
        return;
    }
    h->phase = WEIR_H1_HEAD;
    if (!weir_h1_head_begin(h))
        refuse(h, &weir_h1_no_memory);
}

static void interim_complete(struct weir_h1 *h, struct weir_head *head)
{
    if (++h->interim_count > WEIR_H1_INTERIM_MAX) {
        refuse(h, &weir_h1_bad_status);
        return;
    }
    h->phase = WEIR_H1_IDLE;
    weir_h1_next_message(h);
    h->x.events->head(&h->x, head);
}

static void head_complete(struct weir_h1 *h, size_t behind)
{
    const struct weir_malformed *why = weir_h1_check_response(h);
    if (why != NULL) {
        refuse(h, why);
        return;
    }
    struct weir_head *head = &h->head->head;
    if (head->status < 200) {
        interim_complete(h, head);
        return;
    }
    if (h->head->keepalive_ms > 0)
        h->codec.peer_keepalive_ms = h->head->keepalive_ms;
    h->head = NULL;
    h->body_left = h->framing == WEIR_H1_LENGTH ? (uint64_t)head->content_length : 0;
    h->behind = h->framing == WEIR_H1_NONE && behind > 0;
    h->phase = WEIR_H1_BODY;
    h->x.events->head(&h->x, head);
    if (!h->dead && h->open && h->framing == WEIR_H1_NONE)
        finish_receiving(h);
}

static size_t eat_head(struct weir_h1 *h, const uint8_t *p, size_t n)
{
    size_t used;
    enum weir_h1_step step = weir_h1_eat_head(h, p, n, &used);
    if (step == WEIR_H1_COMPLETE)
        head_complete(h, n - used);
    else if (step == WEIR_H1_BAD)
        refuse(h, h->bad);
    return used;
}

static size_t eat_body(struct weir_h1 *h, const uint8_t *p, size_t n)
{
    size_t used;
    enum weir_h1_step step = weir_h1_eat_body(h, p, n, &used);
    if (step == WEIR_H1_COMPLETE) {
        h->behind = used < n;
        finish_receiving(h);
    } else if (step == WEIR_H1_BAD) {
        refuse(h, h->bad);
    }
    return used;
}

static size_t eat(struct weir_h1 *h, const uint8_t *p, size_t n)
{
    switch (h->phase) {
    case WEIR_H1_IDLE:
        if (!h->open || !h->head_sent) {
            fail(h, WEIR_RESET_PROTOCOL, 0, "bytes that no request asked for");
            return n;
        }
        begin_head(h, p[0]);
        return h->phase == WEIR_H1_HEAD && !h->dead ? eat_head(h, p, n) : n;
    case WEIR_H1_HEAD:
        return eat_head(h, p, n);
    case WEIR_H1_BODY:
        return eat_body(h, p, n);
    case WEIR_H1_DONE:
        h->keep_alive = false;
        return n;
    default:
        return n;
    }
}

/* -- of the codec -- */

static size_t client_want(const struct weir_codec *c)
{
    const struct weir_h1 *h = WEIR_CONTAINER(c, const struct weir_h1, codec);
    if (h->kept_len > 0 || h->aborted || h->broken || h->closed)
        return 0;
    return h->phase == WEIR_H1_BODY ? weir_h1_want_body(h) : WEIR_H1_READ_BYTES;
}

static void leave(struct weir_h1 *h)
{
    bool idle = h->idle_due && !h->dead && !h->closed;
    weir_h1_leave(h);
    if (idle)
        tell_idle(h);
}

static void client_feed(struct weir_codec *c, const uint8_t *p, size_t n)
{
    struct weir_h1 *h = weir_h1_of(c);
    weir_h1_enter(h);
    c->bytes_in += n;
    if (!weir_h1_pump(h, p, n, eat))
        h->broken = true;
    weir_h1_settle(h);
    leave(h);
}

static void client_eof(struct weir_codec *c, int error)
{
    struct weir_h1 *h = weir_h1_of(c);
    weir_h1_enter(h);
    h->eof = true;
    if (h->open && error == 0 && h->phase == WEIR_H1_BODY && h->framing == WEIR_H1_UNTIL_CLOSE)
        finish_receiving(h);
    if (!h->dead && h->idle_due)
        tell_idle(h);
    if (!h->dead)
        fail(h, error == 0 ? WEIR_RESET_PEER_CLOSED : WEIR_RESET_PEER_ERROR, error, NULL);
    weir_h1_leave(h);
}

static void client_writable(struct weir_codec *c)
{
    struct weir_h1 *h = weir_h1_of(c);
    weir_h1_enter(h);
    weir_h1_give_room(h);
    weir_h1_settle(h);
    leave(h);
}

static unsigned client_slots(const struct weir_codec *c)
{
    const struct weir_h1 *h = WEIR_CONTAINER(c, const struct weir_h1, codec);
    bool usable = h->phase == WEIR_H1_IDLE && !h->open && !h->draining && !h->eof && !h->aborted && !h->closed;
    return usable && !h->broken && !c->out->failed ? 1 : 0;
}

static struct weir_exchange *client_open(struct weir_codec *c)
{
    struct weir_h1 *h = weir_h1_of(c);
    if (client_slots(c) == 0)
        return NULL;
    h->x = (struct weir_exchange){.ops = &client_exchange_ops};
    h->credit = 0;
    h->unsent_mark = c->out->bytes_total + weir_outbox_unsent(c->out);
    h->interim_count = 0;
    h->open = true;
    h->received = h->head_sent = h->sent = h->want_room = false;
    h->begun = h->behind = h->spoilt = false;
    c->exchanges_total++;
    c->exchanges_open = 1;
    return &h->x;
}

static void client_drain(struct weir_codec *c)
{
    struct weir_h1 *h = weir_h1_of(c);
    h->draining = true;
    if (h->open || h->closed)
        return;
    h->aborted = true;
    h->abort_reason = WEIR_RESET_CANCEL;
    weir_h1_kick(h);
}

/* -- of the exchange -- */

static void client_send_head(struct weir_exchange *x, const struct weir_head *head, bool end)
{
    struct weir_h1 *h = weir_h1_of_exchange(x);
    assert(h->open && !h->head_sent && head->method.len > 0 && head->target.len > 0);
    h->head_sent = true;
    h->head_method = weir_str_eq(head->method, WEIR_STR("HEAD"));
    h->draining |= head->close;
    weir_h1_write_request(h, head, end);
    h->sent = end;
}

static void client_send_end(struct weir_exchange *x, const struct weir_fields *trailers)
{
    struct weir_h1 *h = weir_h1_of_exchange(x);
    assert(h->open && h->head_sent && !h->sent);
    weir_h1_write_end(h, trailers);
    h->sent = true;
    h->want_room = false;
    if (h->received)
        exchange_over(h);
}

static const struct weir_exchange_ops client_exchange_ops = {
    .send_head = client_send_head,
    .send_body = weir_h1_send_body,
    .send_end = client_send_end,
    .room = weir_h1_room,
    .grant = weir_h1_grant,
    .reset = weir_h1_reset,
};

static const struct weir_codec_ops client_ops = {
    .want = client_want,
    .feed = client_feed,
    .eof = client_eof,
    .writable = client_writable,
    .open = client_open,
    .slots = client_slots,
    .drain = client_drain,
    .free = weir_h1_free,
};

struct weir_codec *weir_h1_client_new(const struct weir_http_limits *limits, const struct weir_codec_events *events,
                                      void *owner, struct weir_outbox *out)
{
    struct weir_h1 *h = weir_h1_new(&client_ops, limits, events, owner, out);
    if (h == NULL)
        return NULL;
    weir_h1_parser_init(h, false);
    return &h->codec;
}
