/* Answers that weir codes itself (compression.downstream): which ones, and the way of their bytes.
 *
 *   up_body -> encoder -> as much as the client's exchange has room for
 *                 `-> the rest waits in the encoder, and with it the upstream: no credit is given
 *   up_end  -> encoder's end -> nothing waits: the answer has ended
 *                 `-> WEIR_STEP_TAIL: the endpoint is let go, the rest goes out as the client takes it */
#include "node/node.h"
#include "node/request.h"

void weir_request_note_coding(struct weir_request *r)
{
    /* Whether HTTP/1.0 clients mean what they say of codings, nobody knows. */
    uint8_t version = r->hop.origin != NULL ? r->hop.origin->pass.http_version : r->head->version;
    if (r->hold->view->config->compression.downstream && version >= 11)
        r->coding.wish = weir_accept_encoding_choose(&r->head->fields, weir_encoder_built());
}

bool weir_request_begin_coding(struct weir_request *r, struct weir_head *out)
{
    const struct weir_config *config = r->hold->view->config;
    const struct weir_coding_sight s = {
        .status = out->status,
        .fields = &out->fields,
        .content_length = out->content_length,
        .has_body = out->has_body,
        .event_streams = config->compression.event_streams,
    };
    if (!config->compression.downstream)
        return true;
    r->coding.word = weir_coding_decide(&s);
    if (r->coding.word == WEIR_CODING_NEVER)
        return true;
    if (r->coding.wish != WEIR_CODING_IDENTITY)
        r->coding.encoder = weir_encoder_new(r->coding.wish, out->content_length);
    if (r->coding.encoder == NULL) /* not asked for, or no memory: then it passes as it is */
        return weir_coding_mark(&out->fields, &r->arena, WEIR_CODING_IDENTITY);
    out->content_length = WEIR_LENGTH_UNKNOWN;
    weir_node_add(r->worker->counters, r->coding.wish == WEIR_CODING_ZSTD ? WEIR_NC_CODED_ZSTD : WEIR_NC_CODED_GZIP, 1);
    return weir_coding_mark(&out->fields, &r->arena, r->coding.wish);
}

/* The encoder's part in the request's and the node's books. */
static void book(struct weir_request *r, size_t taken)
{
    uint64_t sent = weir_encoder_sent(r->coding.encoder);
    weir_node_add(r->worker->counters, WEIR_NC_CODER_IN, taken);
    weir_node_add(r->worker->counters, WEIR_NC_CODER_OUT, sent - r->bytes_out);
    r->bytes_out = sent;
}

static int push(struct weir_request *r, const uint8_t *p, size_t n)
{
    size_t whole = 0;
    if (r->coding.word == WEIR_CODING_EVENTS)
        whole = weir_event_scan(&r->coding.events, p, n);
    else if (r->coding.word == WEIR_CODING_STREAM)
        whole = n;
    int rv = whole > 0 ? weir_encoder_push(r->coding.encoder, r->down, p, whole, true) : WEIR_OK;
    if (rv == WEIR_OK && whole < n)
        rv = weir_encoder_push(r->coding.encoder, r->down, p + whole, n - whole, false);
    return rv;
}

static void finish(struct weir_request *r, const struct weir_fields *trailers)
{
    weir_encoder_free(&r->coding.encoder);
    weir_request_answer_ended(r);
    r->client->end_is_all = false;
    struct weir_exchange *down = r->down;
    if (r->body_ended)
        r->down = NULL;
    down->ops->send_end(down, trailers);
}

void weir_request_send_answer(struct weir_request *r, const uint8_t *p, size_t n)
{
    if (r->coding.encoder == NULL) {
        r->bytes_out += n;
        weir_request_pull(r, r->down->ops->send_body(r->down, p, n));
        return;
    }
    int rv = push(r, p, n);
    book(r, n);
    if (rv != WEIR_OK)
        weir_request_fail(r, 503, "out_of_memory", "The node is out of memory.");
    else
        weir_request_pull(r, weir_encoder_credit(r->coding.encoder, r->down));
}

void weir_request_end_answer(struct weir_request *r, const struct weir_fields *trailers)
{
    struct weir_encoder *e = r->coding.encoder;
    int rv = WEIR_OK;
    if (e != NULL) {
        rv = weir_encoder_end(e, r->down);
        book(r, 0);
    }
    if (rv != WEIR_OK) {
        weir_request_fail(r, 503, "out_of_memory", "The node is out of memory.");
    } else if (e != NULL && weir_encoder_waiting(e) > 0) {
        r->step = WEIR_STEP_TAIL;
        r->coding.trailers = trailers;
        weir_request_stop_clocks(r);
        weir_request_arm(r);
    } else {
        finish(r, trailers);
    }
}

size_t weir_request_take_room(struct weir_request *r, size_t room)
{
    struct weir_encoder *e = r->coding.encoder;
    if (e == NULL)
        return room;
    weir_encoder_room(e, r->down);
    book(r, 0);
    if (r->step == WEIR_STEP_TAIL && weir_encoder_waiting(e) == 0) {
        finish(r, r->coding.trailers);
        return 0;
    }
    return weir_encoder_credit(e, r->down);
}
