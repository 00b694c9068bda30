/* The upstream half of a request: which endpoint, which connection, sending the request and handing on the answer. */
#include <assert.h>
#include <stdlib.h>

#include "node/node.h"
#include "node/request.h"

/* -- letting go -- */

void weir_request_let_go(struct weir_request *r, enum weir_endpoint_counter reason)
{
    r->pool_due_ms = r->read_due_ms = r->write_due_ms = r->total_due_ms = WEIR_NEVER;
    weir_request_arm(r);
    if (r->waiter.waiting)
        weir_pool_cancel(&r->worker->pool, &r->waiter);
    if (r->up == NULL)
        return;
    struct weir_exchange *up = r->up;
    r->up = NULL;
    r->upstream->close_reason = reason;
    r->upstream = NULL;
    up->ops->reset(up, WEIR_RESET_CANCEL);
}

/* -- choosing -- */

static const struct weir_view_endpoint *choose_endpoint(struct weir_request *r)
{
    const struct weir_view_provider *p = r->provider;
    struct weir_wrr_item *state = p->rt->local[r->worker->index].wrr;
    struct weir_wrr_item items[WEIR_POOL_ENDPOINTS_MAX];
    if (p->endpoint_count == 1)
        return &p->endpoints[0];
    for (unsigned i = 0; i < p->endpoint_count; i++) {
        const struct weir_view_endpoint *e = &p->endpoints[i];
        items[i] = (struct weir_wrr_item){e->config->weight, state[e->rt->slot].current, e->address_count > 0};
    }
    int pick = weir_wrr_pick(items, p->endpoint_count);
    for (unsigned i = 0; i < p->endpoint_count; i++)
        state[p->endpoints[i].rt->slot].current = items[i].current;
    return pick < 0 ? NULL : &p->endpoints[pick];
}

/* -- sending -- */

static void arm_sent(struct weir_request *r)
{
    const struct weir_config_timeouts *t = &r->provider->config->http.timeout;
    uint64_t now = r->worker->reactor.now_ms;
    if (r->end_sent_up) {
        r->write_due_ms = WEIR_NEVER;
        if (!r->answer_begun)
            r->read_due_ms = now + t->read_ms;
    } else {
        /* The client sends nothing before it is told to go on: then it is the endpoint's turn. */
        if (!r->answer_begun)
            r->read_due_ms = weir_request_waits_for_100(r) ? now + t->read_ms : WEIR_NEVER;
        /* While the client is slow to send, the endpoint is not slow to take. */
        r->write_due_ms = r->up->ops->room(r->up) == 0 ? now + t->write_ms : WEIR_NEVER;
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
        r->up->ops->send_end(r->up, r->trailers);
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

/* A try has reached its endpoint, or failed to. */
static void count_try(struct weir_request *r)
{
    if (r->replaced)
        return;
    r->attempts++;
    weir_endpoint_add(weir_request_endpoint_counters(r), WEIR_EC_TRIES, 1);
}

/* The reused connection died without a byte of an answer, and what was sent on it is still here. */
static bool may_replace(const struct weir_request *r)
{
    return r->reused && !r->replaced && !r->answer_begun && !r->replay.broken;
}

static void replace(struct weir_request *r)
{
    weir_endpoint_add(weir_request_endpoint_counters(r), WEIR_EC_STALE_REPLACED, 1);
    r->replaced = true;
    weir_request_try(r);
}

static void send_request(struct weir_request *r, struct weir_pool_conn *c)
{
    struct weir_upstream *u = weir_upstream_of(c);
    struct weir_head head;
    uint64_t now = weir_worker_now_us(r->worker);
    count_try(r);
    r->step = WEIR_STEP_SEND;
    r->pool_due_ms = WEIR_NEVER;
    r->granted_us = now;
    r->reused = c->leases > 1;
    r->connect_us = r->reused ? 0 : u->connect_us;
    weir_endpoint_add(weir_request_endpoint_counters(r), r->reused ? WEIR_EC_LEASES_REUSED : WEIR_EC_LEASES_NEW, 1);
    weir_endpoint_add(weir_request_endpoint_counters(r), WEIR_EC_LEASE_WAIT_US, r->wait_us != 0 ? now - r->wait_us : 0);
    if (!weir_request_head_up(r, &head)) {
        weir_pool_release(&r->worker->pool, c);
        weir_request_fail(r, 503, "out_of_memory", "The node is out of memory.");
        return;
    }
    r->up = weir_upstream_open(u, r);
    if (r->up == NULL && may_replace(r)) {
        replace(r);
        return;
    }
    if (r->up == NULL) {
        weir_endpoint_add(weir_request_endpoint_counters(r), WEIR_EC_TRIES_FAILED, 1);
        weir_request_fail(r, 502, "upstream_closed", "The connection to %s broke.", r->endpoint->config->id);
        return;
    }
    r->upstream = u;
    r->replay.sent = 0;
    r->end_sent_up = !r->head->has_body;
    r->total_due_ms = r->worker->reactor.now_ms + r->provider->config->http.timeout.total_ms;
    weir_request_pin(r);
    r->up->ops->send_head(r->up, &head, r->end_sent_up);
    send_rest(r);
    arm_sent(r);
    weir_request_unpin(r);
}

static struct weir_request *request_of(struct weir_pool_waiter *w)
{
    return WEIR_CONTAINER(w, struct weir_request, waiter);
}

/* The pool may serve a waiter by another endpoint than the one that it wanted. */
static const struct weir_view_endpoint *endpoint_of(const struct weir_request *r, const struct weir_endpoint *rt)
{
    for (unsigned i = 0; i < r->provider->endpoint_count; i++)
        if (r->provider->endpoints[i].rt == rt)
            return &r->provider->endpoints[i];
    return NULL;
}

static void granted(struct weir_pool_waiter *w, struct weir_pool_conn *c)
{
    struct weir_request *r = request_of(w);
    if (w->queued)
        weir_hist_observe(weir_request_provider_counters(r), WEIR_H_QUEUE, weir_worker_now_us(r->worker) - r->wait_us);
    r->endpoint = endpoint_of(r, c->endpoint);
    assert(r->endpoint != NULL);
    send_request(r, c);
}

static void connect_failed(struct weir_request *r, const struct weir_err *err)
{
    count_try(r);
    weir_endpoint_add(weir_request_endpoint_counters(r), WEIR_EC_TRIES_FAILED, 1);
    if (err->code == WEIR_ETIMEOUT)
        weir_request_fail(r, 504, "timeout_connect", "%s.", err->msg);
    else
        weir_request_fail(r, 502, err->code == WEIR_ENOTFOUND ? "dns_failed" : "connect_failed", "%s.", err->msg);
}

static void failed(struct weir_pool_waiter *w, const struct weir_err *err)
{
    connect_failed(request_of(w), err);
}

void weir_request_try(struct weir_request *r)
{
    struct weir_err err;
    struct weir_pool_conn *c;
    r->endpoint = choose_endpoint(r);
    if (r->endpoint == NULL) {
        weir_provider_add(weir_request_provider_counters(r), WEIR_PC_NO_ENDPOINT, 1);
        weir_request_fail(r, 502, "dns_failed", "No endpoint of %s has an address.", r->provider->config->name);
        return;
    }
    if (r->asked_us == 0)
        r->asked_us = weir_worker_now_us(r->worker);
    r->step = WEIR_STEP_POOL;
    r->target = (struct weir_upstream_target){r->endpoint, r->hold};
    r->waiter = (struct weir_pool_waiter){
        .place = {.since_us = r->asked_us, .endpoints = r->provider->slots, .fresh = r->fresh || r->replaced},
        .again = r->replaced,
        .provider = r->provider->rt,
        .wanted = r->endpoint->rt,
        .target = &r->target,
        .granted = granted,
        .failed = failed,
    };
    switch (weir_pool_acquire(&r->worker->pool, &r->waiter, &c, &err)) {
    case WEIR_POOL_GRANTED:
        send_request(r, c);
        return;
    case WEIR_POOL_WAITING:
        r->wait_us = weir_worker_now_us(r->worker);
        r->pool_due_ms = r->worker->reactor.now_ms + r->provider->config->http.pool.block_timeout_ms;
        weir_request_arm(r);
        return;
    case WEIR_POOL_REFUSED:
        weir_provider_add(weir_request_provider_counters(r), WEIR_PC_QUEUE_FULL, 1);
        weir_request_fail(r, 503, "pool_full", "All connections to %s are in use and the queue is full.",
                          r->provider->config->name);
        return;
    case WEIR_POOL_FAILED:
        connect_failed(r, &err);
        return;
    }
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
        r->read_due_ms = r->worker->reactor.now_ms + r->provider->config->http.timeout.read_ms;
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
        interim_head(r, head);
        return;
    }
    uint64_t now = weir_worker_now_us(r->worker);
    weir_endpoint_add(weir_request_endpoint_counters(r), weir_endpoint_class(head->status), 1);
    weir_hist_observe(weir_request_provider_counters(r), WEIR_H_FIRST_BYTE, now - r->start_us);
    r->first_byte_us = now;
    r->step = WEIR_STEP_ANSWER;
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
    if (has_body && r->down != NULL)
        weir_request_pull(r, r->down->ops->room(r->down));
    weir_request_unpin(r);
}

static void up_body(struct weir_exchange *x, const uint8_t *p, size_t n)
{
    struct weir_request *r = x->user;
    r->bytes_out += n;
    r->credit_up -= n < r->credit_up ? n : r->credit_up;
    r->read_due_ms = r->worker->reactor.now_ms + r->provider->config->http.timeout.read_ms;
    if (r->down != NULL)
        weir_request_pull(r, r->down->ops->send_body(r->down, p, n));
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
    weir_request_answer_ended(r);
    r->client->end_is_all = false;
    struct weir_exchange *down = r->down;
    if (r->body_ended)
        r->down = NULL;
    down->ops->send_end(down, trailers);
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

/* The peer had most likely closed it while the request was on its way (algorithms: stale keep-alive). Asking a language
 * model twice costs money and changes nothing, so POST is resent too. */
static bool was_stale(const struct weir_reset *why)
{
    bool died = why->reason == WEIR_RESET_PEER_CLOSED || why->reason == WEIR_RESET_PEER_ERROR;
    return died && !why->response_begun;
}

static void up_reset(struct weir_exchange *x, const struct weir_reset *why)
{
    struct weir_request *r = x->user;
    r->up = NULL;
    r->upstream = NULL;
    r->read_due_ms = r->write_due_ms = r->total_due_ms = WEIR_NEVER;
    weir_request_arm(r);
    if (was_stale(why) && may_replace(r)) {
        replace(r);
        return;
    }
    weir_endpoint_add(weir_request_endpoint_counters(r), lost_class(why), 1);
    weir_endpoint_add(weir_request_endpoint_counters(r), WEIR_EC_TRIES_FAILED, 1);
    weir_request_fail(r, 502, lost_code(why), "The endpoint %s failed: %s.", r->endpoint->config->id,
                      weir_reset_text(why->reason));
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
