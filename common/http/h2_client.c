/* The client's side of HTTP/2 (RFC 9113).
 *
 * Happy path: open -> send_head, body, end -> any number of interim heads -> head -> body as far as granted -> end; the
 * slot is free again, and when the last exchange is through: idle. Ways out of it, for one stream:
 * - the response is complete while the request is being sent: what else is sent goes nowhere, over when the user ends;
 * - the response is malformed, or its data does not have the announced length: RST_STREAM(PROTOCOL_ERROR), `reset`;
 * - either side resets it.
 * For the connection: GOAWAY resets the streams that the server will not look at (certainly unprocessed), the others
 * finish, then it closes; its end resets what is not complete; responses that are all here are still handed on. */
#include <assert.h>

#include "http/h2_impl.h"

static const struct weir_exchange_ops client_exchange_ops;

static void refuse(struct weir_h2_stream *s, const struct weir_malformed *why)
{
    enum weir_reset_reason reason = why == &weir_h1_head_large  ? WEIR_RESET_TOO_LARGE
                                    : why == &weir_h1_no_memory ? WEIR_RESET_INTERNAL
                                                                : WEIR_RESET_PROTOCOL;
    weir_h2_stream_rst(s, reason == WEIR_RESET_PROTOCOL ? NGHTTP2_PROTOCOL_ERROR : NGHTTP2_CANCEL);
    weir_h2_stream_fail(s, reason, why->message);
}

void weir_h2_client_head(struct weir_h2_stream *s, bool end)
{
    const struct weir_malformed *why = weir_h2_check_response(s, end);
    struct weir_head *head = &s->head->head;
    if (why == NULL && head->status < 200 && ++s->interim_count > WEIR_H1_INTERIM_MAX)
        why = &weir_h1_bad_status;
    if (why != NULL) {
        refuse(s, why);
        return;
    }
    s->head = NULL;
    if (head->status >= 200) {
        s->head_in = true;
        s->length = head->content_length;
    }
    s->x.events->head(&s->x, head);
}

/* -- of the codec -- */

static unsigned client_slots(const struct weir_codec *c)
{
    const struct weir_h2 *h = weir_h2_of_const(c);
    bool usable = !h->draining && !h->broken && !h->terminated && !h->eof && !h->closed && !h->codec.out->failed;
    return usable && c->exchanges_max > h->live ? c->exchanges_max - h->live : 0;
}

static struct weir_exchange *client_open(struct weir_codec *c)
{
    struct weir_h2 *h = weir_h2_of(c);
    if (client_slots(c) == 0)
        return NULL;
    struct weir_h2_stream *s = weir_h2_stream_new(h, &client_exchange_ops);
    return s != NULL ? &s->x : NULL;
}

static void client_drain(struct weir_codec *c)
{
    struct weir_h2 *h = weir_h2_of(c);
    if (h->closed || h->broken)
        return;
    h->draining = true;
    h->detail = "drained";
    weir_h2_capacity(h);
    weir_h2_kick(h);
}

/* -- of the exchange -- */

static void client_send_head(struct weir_exchange *x, const struct weir_head *head, bool end)
{
    struct weir_h2_stream *s = weir_h2_stream_of(x);
    assert(!s->over && !s->head_sent && head->method.len > 0 && head->target.len > 0);
    s->head_sent = true;
    s->head_method = weir_str_eq(head->method, WEIR_STR("HEAD"));
    s->sent = end;
    weir_h2_submit_request(s, head, end);
    weir_h2_push(s->h);
}

static void client_send_end(struct weir_exchange *x, const struct weir_fields *trailers)
{
    struct weir_h2_stream *s = weir_h2_stream_of(x);
    struct weir_h2 *h = s->h;
    assert(!s->over && s->head_sent && !s->sent);
    s->sent = true;
    s->want_room = false;
    weir_h2_submit_end(s, trailers);
    if (s->received)
        weir_h2_stream_over(s);
    weir_h2_push(h);
    weir_h2_kick(h);
}

static const struct weir_exchange_ops client_exchange_ops = {
    .send_head = client_send_head,
    .send_body = weir_h2_send_body,
    .send_end = client_send_end,
    .room = weir_h2_room,
    .grant = weir_h2_grant,
    .reset = weir_h2_reset,
};

static const struct weir_codec_ops client_ops = {
    .want = weir_h2_want,
    .feed = weir_h2_feed,
    .eof = weir_h2_eof,
    .writable = weir_h2_writable,
    .open = client_open,
    .slots = client_slots,
    .drain = client_drain,
    .free = weir_h2_free,
};

struct weir_codec *weir_h2_client_new(const struct weir_http_limits *limits, const struct weir_h2_options *options,
                                      const struct weir_codec_events *events, void *owner, struct weir_outbox *out)
{
    struct weir_h2 *h = weir_h2_new(&client_ops, limits, options, events, owner, out, false);
    return h != NULL ? &h->codec : NULL;
}
