/* The upstream half of a request: which endpoint, which connection, sending the request and handing on the answer. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "node/node.h"
#include "node/request.h"
#include "node/request_trace.h"

/* -- letting go -- */

void weir_request_let_go(struct weir_request *r, enum weir_endpoint_counter reason)
{
    weir_request_stop_clocks(r);
    r->again_due_ms = r->deadline_due_ms = WEIR_NEVER;
    weir_request_arm(r);
    weir_limit_let_go(r);
    if (r->waiter.waiting)
        weir_pool_cancel(&r->worker->pool, &r->waiter);
    weir_request_let_upstream_go(r, reason);
    weir_request_end_try(r);
}

void weir_request_let_upstream_go(struct weir_request *r, enum weir_endpoint_counter reason)
{
    if (r->up == NULL)
        return;
    struct weir_exchange *up = r->up;
    struct weir_upstream *u = r->upstream;
    r->up = NULL;
    r->upstream = NULL;
    weir_upstream_let_go(u, up, reason);
}

void weir_request_let_answer_go(struct weir_request *r, const struct weir_head *head)
{
    weir_request_stop_clocks(r);
    if (r->end_sent_up && weir_upstream_read_out(r->upstream, r->up, head)) {
        r->up = NULL;
        r->upstream = NULL;
    }
    weir_request_let_upstream_go(r, WEIR_EC_CLOSED_CANCEL);
    weir_request_end_try(r);
}

/* -- sending -- */

static void arm_sent(struct weir_request *r)
{
    uint64_t read_ms = weir_scaling_read_ms(r->provider);
    uint64_t now = r->worker->reactor.now_ms;
    if (r->end_sent_up) {
        r->write_due_ms = WEIR_NEVER;
        if (!r->answer_begun)
            r->read_due_ms = now + read_ms;
    } else {
        /* The client sends nothing before it is told to go on: then it is the endpoint's turn. */
        if (!r->answer_begun)
            r->read_due_ms = weir_request_waits_for_100(r) ? now + read_ms : WEIR_NEVER;
        /* While the client is slow to send, the endpoint is not slow to take. */
        r->write_due_ms = r->up->ops->room(r->up) == 0 ? now + r->provider->config->http.timeout.write_ms : WEIR_NEVER;
    }
    weir_request_arm(r);
}

static void drop_kept(struct weir_replay *k)
{
    free(k->bytes);
    k->bytes = NULL;
    k->len = k->sent = k->cap = 0;
}

/* The request will not be sent again. What has not gone out yet is still to go: an answer may begin before its request
 * has ended. */
static void forget_replay(struct weir_replay *k)
{
    k->broken = true;
    if (k->sent == k->len)
        drop_kept(k);
}

void weir_request_forget_body(struct weir_request *r)
{
    drop_kept(&r->replay);
    r->replay.broken = false; /* there is nothing that could not be sent again */
}

/* Sends what of the kept body has not gone out on this connection; true when all of it has. */
static bool send_kept(struct weir_request *r)
{
    struct weir_replay *k = &r->replay;
    while (k->sent < k->len) {
        size_t room = r->up->ops->room(r->up);
        if (room == 0)
            return false;
        size_t n = k->len - k->sent < room ? k->len - k->sent : room;
        k->sent += n;
        r->up->ops->send_body(r->up, k->bytes + k->sent - n, n);
        if (r->up == NULL)
            return false;
    }
    if (k->broken && k->bytes != NULL)
        drop_kept(k);
    return true;
}

/* The client may send as much as the upstream has room for. */
static void grant_down(struct weir_request *r)
{
    if (r->down == NULL || r->body_ended || r->up == NULL || r->replay.sent < r->replay.len)
        return;
    if (r->hop.peer != NULL && !r->hop.acked) /* no more than can be sent again */
        return;
    size_t room = r->up->ops->room(r->up);
    if (room <= r->credit_down)
        return;
    size_t more = room - r->credit_down;
    r->credit_down = room;
    r->down->ops->grant(r->down, more);
}

static void send_rest(struct weir_request *r)
{
    if (r->up == NULL || r->end_sent_up || !send_kept(r))
        return;
    if (r->body_ended) {
        r->end_sent_up = true;
        /* Trailers have names of the client's choice: what in them is secret nobody knows. */
        r->up->ops->send_end(r->up, r->redirect.left ? NULL : r->trailers);
    } else {
        grant_down(r);
    }
}

/* Pinned: either side may end inside. */
static void go_on_sending(struct weir_request *r)
{
    send_rest(r);
    if (r->up != NULL)
        arm_sent(r);
}

void weir_request_send(struct weir_request *r, const struct weir_head *head)
{
    r->replay.sent = 0;
    r->end_sent_up = !r->head->has_body;
    weir_request_pin(r);
    r->up->ops->send_head(r->up, head, r->end_sent_up);
    send_rest(r);
    arm_sent(r);
    weir_request_unpin(r);
}

static bool keep(struct weir_replay *k, const uint8_t *p, size_t n)
{
    if (k->len + n > k->cap) {
        size_t cap = k->cap != 0 ? k->cap : 1024;
        while (cap < k->len + n)
            cap *= 2;
        uint8_t *bytes = realloc(k->bytes, cap);
        if (bytes == NULL)
            return false;
        k->bytes = bytes;
        k->cap = cap;
    }
    memcpy(k->bytes + k->len, p, n);
    k->len += n;
    return true;
}

void weir_request_push_body(struct weir_request *r, const uint8_t *p, size_t n)
{
    struct weir_replay *k = &r->replay;
    bool behind = r->up == NULL || k->sent < k->len;
    weir_request_pin(r);
    k->broken = k->broken || k->len + n > k->max;
    bool kept = (behind || !k->broken) && keep(k, p, n);
    if (behind && !kept) {
        weir_request_fail(r, 503, "out_of_memory", "The node is out of memory.");
    } else if (!behind && (!kept || n <= r->up->ops->room(r->up))) {
        if (kept)
            k->sent = k->len;
        else
            forget_replay(k);
        r->up->ops->send_body(r->up, p, n);
        if (r->up != NULL) {
            grant_down(r);
            arm_sent(r);
        }
    } else if (r->up != NULL) {
        /* The client was let ahead while there was no connection: what the sender may not hold waits in the buffer. */
        go_on_sending(r);
    }
    weir_request_unpin(r);
}

void weir_request_push_end(struct weir_request *r)
{
    weir_request_pin(r);
    go_on_sending(r);
    weir_request_unpin(r);
}

/* -- the answer -- */

static bool is_event_stream(const struct weir_head *h)
{
    const struct weir_field *f = weir_fields_get(&h->fields, WEIR_FIELD_CONTENT_TYPE);
    return f != NULL && f->value.len >= 17 &&
           weir_str_eq_nocase((struct weir_str){f->value.ptr, 17}, WEIR_STR("text/event-stream"));
}

void weir_request_pull(struct weir_request *r, size_t room)
{
    if (r->up == NULL || !r->answer_begun)
        return;
    if (room > r->credit_up) {
        size_t more = room - r->credit_up;
        r->credit_up = room;
        r->read_due_ms = r->worker->reactor.now_ms + weir_scaling_read_ms(r->provider);
        r->up->ops->grant(r->up, more);
    } else if (room == 0 && r->credit_up == 0) {
        r->read_due_ms = WEIR_NEVER; /* a slow client is not a slow provider */
    }
    weir_request_arm(r);
}

static void interim_head(struct weir_request *r, const struct weir_head *head)
{
    struct weir_head out = {.status = head->status, .content_length = WEIR_LENGTH_UNKNOWN, .fields = head->fields};
    bool go_on = head->status == 100;
    /* 100 answers the client's expectation, once: a second try may bring another one. */
    if (r->down == NULL || r->head->version < 11 || (go_on && (!r->head->expect_continue || r->continued)))
        return;
    r->continued = r->continued || go_on;
    r->down->ops->send_head(r->down, &out, false);
    if (go_on)
        arm_sent(r);
}

static void up_head(struct weir_exchange *x, struct weir_head *head)
{
    struct weir_request *r = x->user;
    struct weir_head out;
    if (head->status < 200) {
        if (!weir_hop_acknowledged(r, head))
            interim_head(r, head);
        return;
    }
    if (weir_hop_refused(r, head))
        return;
    uint64_t now = weir_worker_now_us(r->worker);
    weir_endpoint_add(weir_request_endpoint_counters(r), weir_endpoint_class(head->status), 1);
    weir_latency_observe(weir_request_endpoint_counters(r), WEIR_LATENCY_FIRST_BYTE, now - r->granted_us, now);
    r->first_byte_us = now;
    weir_request_trace_outcome(r, head->status, NULL);
    weir_request_pin(r);
    bool again = r->hop.peer == NULL && (weir_request_answer_again(r, head) || weir_request_follow(r, head));
    weir_request_unpin(r);
    if (again)
        return;
    weir_hist_observe(weir_request_provider_counters(r), WEIR_H_FIRST_BYTE, now - r->start_us);
    r->step = WEIR_STEP_ANSWER;
    r->deadline_due_ms = WEIR_NEVER;
    forget_replay(&r->replay);
    if (is_event_stream(head))
        r->total_due_ms = WEIR_NEVER;
    if (!weir_request_head_down(r, head, &out)) {
        weir_request_fail(r, 503, "out_of_memory", "The node is out of memory.");
        return;
    }
    weir_request_pin(r);
    r->status = head->status;
    r->answer_begun = true;
    bool has_body = out.has_body;
    r->client->end_is_all = has_body && r->head->version < 11 && out.content_length < 0;
    r->down->ops->send_head(r->down, &out, false);
    weir_request_shrink(r);
    if (has_body && r->down != NULL) /* no bytes: should there be no room, the exchange is to say when there is */
        weir_request_pull(r, weir_request_take_room(r, r->down->ops->send_body(r->down, NULL, 0)));
    weir_request_unpin(r);
}

static void up_body(struct weir_exchange *x, const uint8_t *p, size_t n)
{
    struct weir_request *r = x->user;
    r->credit_up -= n < r->credit_up ? n : r->credit_up;
    r->read_due_ms = r->worker->reactor.now_ms + weir_scaling_read_ms(r->provider);
    if (r->down != NULL)
        weir_request_send_answer(r, p, n);
}

static void up_end(struct weir_exchange *x, const struct weir_fields *trailers)
{
    struct weir_request *r = x->user;
    uint64_t now = weir_worker_now_us(r->worker);
    weir_endpoint_add(weir_request_endpoint_counters(r), WEIR_EC_EXCHANGES, 1);
    weir_endpoint_add(weir_request_endpoint_counters(r), WEIR_EC_EXCHANGE_US, now - r->granted_us);
    weir_request_pin(r);
    if (r->end_sent_up) {
        r->up = NULL;
        r->upstream = NULL;
    } else {
        weir_request_let_go(r, WEIR_EC_CLOSED_ASKED); /* answered before the request was complete */
    }
    weir_request_end_try(r);
    weir_request_end_answer(r, trailers);
    weir_request_unpin(r);
}

static const char *lost_code(const struct weir_reset *why)
{
    return why->reason == WEIR_RESET_PROTOCOL || why->reason == WEIR_RESET_TOO_LARGE ? "upstream_protocol"
           : why->reason == WEIR_RESET_PEER_CLOSED                                   ? "upstream_closed"
                                                                                     : "upstream_reset";
}

static enum weir_endpoint_counter lost_class(const struct weir_reset *why)
{
    return why->reason == WEIR_RESET_PROTOCOL || why->reason == WEIR_RESET_TOO_LARGE ? WEIR_EC_LOST_PROTOCOL
           : why->reason == WEIR_RESET_PEER_CLOSED                                   ? WEIR_EC_LOST_CLOSED
                                                                                     : WEIR_EC_LOST_RESET;
}

static void up_reset(struct weir_exchange *x, const struct weir_reset *why)
{
    struct weir_request *r = x->user;
    /* Silence is no close: who says nothing may be at work on the request. */
    bool silent = why->os_error == -ETIMEDOUT;
    bool died = (why->reason == WEIR_RESET_PEER_CLOSED || why->reason == WEIR_RESET_PEER_ERROR) && !silent;
    bool begun = r->hop.peer != NULL ? r->hop.answered : why->response_begun; /* an acknowledgement is no answer */
    const struct weir_try_failure f = {
        .outcome = {.kind = WEIR_OUTCOME_LOST,
                    .unprocessed = why->unprocessed == WEIR_UNPROCESSED_CERTAIN,
                    /* REFUSED_STREAM, GOAWAY: even the first request of a connection may meet them. */
                    .reused = r->reused || why->reason == WEIR_RESET_REFUSED,
                    .closed = died && !begun},
        .status = 502,
        .code = lost_code(why),
        .counter = lost_class(why),
        .message = weir_reset_text(why->reason),
        .silent = silent,
    };
    r->up = NULL;
    r->upstream = NULL;
    if (why->reason == WEIR_RESET_REFUSED)
        weir_endpoint_add(weir_request_endpoint_counters(r), WEIR_EC_STREAMS_REFUSED, 1);
    weir_request_try_failed(r, &f);
}

static void up_room(struct weir_exchange *x, size_t room)
{
    struct weir_request *r = x->user;
    (void)room;
    weir_request_pin(r);
    go_on_sending(r);
    weir_request_unpin(r);
}

const struct weir_exchange_events weir_request_up_events = {
    .head = up_head,
    .body = up_body,
    .end = up_end,
    .reset = up_reset,
    .room = up_room,
};
