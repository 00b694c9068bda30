#include "node/request.h"

#include <assert.h>
#include <stdlib.h>

#include "node/access_log.h"
#include "node/event_follow.h"
#include "node/node.h"
#include "node/request_trace.h"

static void deadline_passed(struct weir_deadline *d, uint64_t now_ms);

bool weir_request_begin(struct weir_client *c, struct weir_exchange *down)
{
    struct weir_worker *w = c->worker;
    struct weir_request *r = malloc(sizeof *r);
    if (r == NULL)
        return false;
    *r = (struct weir_request){.client = c, .worker = w, .down = down};
    r->hold = weir_hold_use(w->hold);
    r->start_us = weir_worker_now_us(w);
    weir_request_stop_clocks(r);
    r->limit_due_ms = r->again_due_ms = r->deadline_due_ms = WEIR_NEVER;
    r->address = c->peer;
    weir_deadline_init(&r->deadline, deadline_passed);
    down->events = &weir_request_down_events;
    down->user = r;
    down->arena = &r->arena;
    w->request_count += c->serves_proxy;
    if (!c->http2)
        c->current = r;
    weir_list_push_back(&c->requests, &r->in_client);
    r->taken_ms = r->heard_ms = w->reactor.now_ms;
    weir_node_add(w->counters, WEIR_NC_REQUESTS_ACTIVE, 1);
    return true;
}

/* -- its end -- */

static void log_hop(const struct weir_request *r, struct weir_access_record *a)
{
    const struct weir_hop *h = &r->hop;
    if (h->origin != NULL)
        a->peer = h->origin->node;
    else if (h->peer != NULL || h->left != NULL)
        a->peer = h->peer != NULL ? h->peer->id : h->left->id;
    a->hop = h->origin != NULL ? "from" : h->peer != NULL ? "to" : h->why_left;
    if (h->peer != NULL)
        a->provider = r->route->provider_name;
}

static void log_access(struct weir_request *r)
{
    struct weir_access_record a = {
        .unix_ms = weir_clock_unix_ms(),
        .status = r->status,
        .bytes_in = r->bytes_in,
        .bytes_out = r->bytes_out,
        .total_us = weir_worker_now_us(r->worker) - r->start_us,
        .queue_us = r->wait_us == 0      ? WEIR_ACCESS_NONE
                    : r->granted_us == 0 ? weir_worker_now_us(r->worker) - r->wait_us
                                         : r->granted_us - r->wait_us,
        .limit_us = r->limit_wait_us == 0 ? WEIR_ACCESS_NONE : r->limit_wait_us,
        .connect_us = r->connect_us == 0 ? WEIR_ACCESS_NONE : r->connect_us,
        .first_byte_us = r->first_byte_us == 0 ? WEIR_ACCESS_NONE : r->first_byte_us - r->start_us,
        .provider = r->provider != NULL ? r->provider->config->name : NULL,
        .endpoint = r->endpoint != NULL ? r->endpoint->config->id : NULL,
        .reused = r->reused,
        .attempts = r->attempts,
        .close_reason = r->close_reason != NULL ? r->close_reason : r->client->close_reason,
        .error = r->error,
        .not_retried = r->not_retried,
    };
    char address[WEIR_IP_TEXT_MAX];
    log_hop(r, &a);
    if (weir_ip_eq(&r->address, &r->client->peer))
        a.client = (struct weir_str){r->client->peer_text, r->client->peer_text_len};
    else
        a.client = (struct weir_str){address, weir_ip_format(&r->address, address)};
    if (r->note != NULL) {
        a.request_id = r->note->request_id;
        a.method = r->note->method;
        a.target = r->note->target;
    } else if (r->head != NULL) {
        a.request_id = weir_request_id(r);
        a.method = r->head->method;
        a.target = r->head->target;
    }
    weir_access_log(r->worker->log, &a);
}

static void count_end(struct weir_request *r)
{
    weir_node_add(r->worker->counters, weir_node_class(r->status), 1);
    weir_node_sub(r->worker->counters, WEIR_NC_REQUESTS_ACTIVE, 1);
    if (r->own_page)
        weir_node_sub(r->worker->counters, WEIR_NC_PAGES_ACTIVE, 1);
    if (r->provider == NULL)
        return;
    weir_node_add(r->worker->counters, r->status >= 500 ? WEIR_NC_PROXIED_5XX : WEIR_NC_PROXIED_OTHER, 1);
    struct weir_provider_counters *c = weir_request_provider_counters(r);
    weir_hist_observe(c, WEIR_H_REQUEST, weir_worker_now_us(r->worker) - r->start_us);
}

void weir_request_end_if_over(struct weir_request *r)
{
    if (r->down != NULL && r->body_ended && r->answer_ended)
        r->down = NULL;
    if (r->down != NULL || r->up != NULL || r->pins > 0 || r->step == WEIR_STEP_OVER)
        return;
    struct weir_worker *w = r->worker;
    bool serves_proxy = r->client->serves_proxy;
    r->step = WEIR_STEP_OVER;
    weir_list_remove(&r->in_client);
    if (r->client->current == r)
        r->client->current = NULL;
    assert(!r->limit.waiting && !r->holds_token);
    assert(!r->waiter.waiting);
    count_end(r);
    if (r->hold->view->config->logging.access)
        log_access(r);
    weir_request_trace_end(r);
    if (r->admin != NULL)
        weir_admin_forget(r->admin);
    weir_hop_end(r);
    if (r->follower != NULL)
        weir_event_unfollow(r->follower);
    weir_deadline_drop(&w->reactor.wheel, &r->deadline);
    weir_arena_reset(&r->arena);
    weir_encoder_free(&r->coding.encoder);
    free(r->replay.bytes);
    free(r->note);
    weir_request_leave_foreign(r);
    weir_hold_drop(r->hold);
    free(r);
    w->request_count -= serves_proxy;
    weir_worker_ended_something(w);
}

void weir_request_unpin(struct weir_request *r)
{
    r->pins--;
    weir_request_end_if_over(r);
}

void weir_request_shrink(struct weir_request *r)
{
    if (!r->body_ended || !r->end_sent_up || r->head == NULL)
        return;
    if (r->hold->view->config->logging.access) {
        struct weir_str id = weir_request_id(r), method = r->head->method, target = weir_route_path(r->head->target);
        target.len = target.len < WEIR_LOG_VALUE_MAX ? target.len : WEIR_LOG_VALUE_MAX;
        struct weir_request_note *n = malloc(sizeof *n + id.len + method.len + target.len);
        if (n == NULL)
            return;
        char *at = n->text;
        n->request_id = (struct weir_str){memcpy(at, id.ptr, id.len), id.len};
        n->method = (struct weir_str){memcpy(at + id.len, method.ptr, method.len), method.len};
        n->target = (struct weir_str){memcpy(at + id.len + method.len, target.ptr, target.len), target.len};
        r->note = n;
    }
    r->head = NULL;
    r->trailers = NULL;
    weir_arena_reset(&r->arena);
}

void weir_request_answer_ended(struct weir_request *r)
{
    r->answer_ended = true;
    r->total_due_ms = r->read_due_ms = WEIR_NEVER;
    weir_request_arm(r);
}

/* -- the client's side -- */

bool weir_request_waits_for_100(const struct weir_request *r)
{
    return r->head != NULL && r->head->expect_continue && !r->continued && r->bytes_in == 0 && !r->answer_ended;
}

static void route(struct weir_request *r)
{
    const struct weir_view *v = r->hold->view;
    struct weir_route_query q = {weir_route_path(r->head->target), r->head->authority, &r->head->fields};
    r->route = weir_route_find(&v->routes, &q);
    if (r->route == NULL) {
        if (v->provider_count == 0)
            weir_request_fail(r, 503, "no_provider", "No provider is configured.");
        else
            weir_request_fail(r, 404, "no_route",
                              v->config->routes_default
                                  ? "The path begins with no provider's name: /NAME/... goes to NAME."
                                  : "No route matches this request.");
        return;
    }
    r->provider = &v->providers[r->route->provider];
    weir_request_trace_begin(r);
    r->replay.max = r->provider->config->http.retry.replay_buffer_bytes;
    if (r->head->has_body) {
        r->fresh = r->head->content_length < 0 || (uint64_t)r->head->content_length > r->replay.max;
        /* No more than can be kept until there is a connection to send it on. */
        r->credit_down = r->replay.max;
        r->down->ops->grant(r->down, r->credit_down);
    }
    if (v->cluster != NULL)
        weir_hop_place(r);
    else
        weir_request_serve_here(r);
}

void weir_request_serve_here(struct weir_request *r)
{
    weir_provider_add(weir_request_provider_counters(r), WEIR_PC_REQUESTS, 1);
    weir_request_begin_tries(r);
}

static void down_head(struct weir_exchange *x, struct weir_head *head)
{
    struct weir_request *r = x->user;
    r->head = head;
    if (!r->client->http2)
        weir_client_set_phase(r->client, WEIR_CLIENT_BUSY);
    if (!r->client->serves_peers)
        weir_request_dispatch(r);
    else
        weir_hop_receive(r);
}

void weir_request_dispatch(struct weir_request *r)
{
    r->step = WEIR_STEP_ENDPOINT;
    weir_request_find_address(r);
    if (r->client->serves_admin && weir_admin_take(r))
        return;
    if (!r->client->serves_proxy)
        weir_request_fail(r, 404, "not_found", "There is no such page on this port.");
    else
        route(r);
}

/* It is kept until there is somewhere to send it, and looked at for what tells where that is. */
static void body_in_place(struct weir_request *r, const uint8_t *p, size_t n)
{
    weir_request_pin(r);
    weir_request_push_body(r, p, n);
    if (r->step == WEIR_STEP_PLACE && n > 0)
        weir_hop_body_came(r, p, n);
    weir_request_unpin(r);
}

static void down_body(struct weir_exchange *x, const uint8_t *p, size_t n)
{
    struct weir_request *r = x->user;
    r->bytes_in += n;
    r->credit_down -= n < r->credit_down ? n : r->credit_down;
    if (r->step >= WEIR_STEP_TAIL || r->answer_ended)
        return;
    if (r->step == WEIR_STEP_PLACE)
        body_in_place(r, p, n);
    else
        weir_request_push_body(r, p, n);
}

static void down_end(struct weir_exchange *x, const struct weir_fields *trailers)
{
    struct weir_request *r = x->user;
    r->body_ended = true;
    if (r->client->current == r)
        r->client->current = NULL;
    if (r->step < WEIR_STEP_TAIL && !r->answer_ended) {
        r->trailers = trailers;
        if (r->step == WEIR_STEP_PLACE)
            weir_hop_body_came(r, NULL, 0);
        else
            weir_request_push_end(r);
    } else {
        weir_request_end_if_over(r);
    }
}

static enum weir_node_counter abort_phase(const struct weir_request *r)
{
    switch (r->step) {
    case WEIR_STEP_LIMIT:
        return WEIR_NC_ABORT_QUEUE;
    case WEIR_STEP_BACKOFF:
        return WEIR_NC_ABORT_BACKOFF;
    case WEIR_STEP_POOL:
        return weir_pool_covered(&r->worker->pool, &r->waiter) ? WEIR_NC_ABORT_CONNECT : WEIR_NC_ABORT_QUEUE;
    case WEIR_STEP_SEND:
        return r->body_ended ? WEIR_NC_ABORT_WAIT : WEIR_NC_ABORT_REQUEST;
    case WEIR_STEP_ANSWER:
    case WEIR_STEP_TAIL:
        return WEIR_NC_ABORT_STREAM;
    default:
        return WEIR_NC_ABORT_REQUEST;
    }
}

static void down_reset(struct weir_exchange *x, const struct weir_reset *why)
{
    struct weir_request *r = x->user;
    (void)why;
    r->down = NULL;
    if (!r->answer_ended) {
        if (r->close_reason == NULL && r->client->close_reason == NULL) {
            weir_node_add(r->worker->counters, abort_phase(r), 1);
            r->close_reason = "client_closed";
        }
        if (r->error == NULL)
            r->error = r->close_reason != NULL ? r->close_reason : r->client->close_reason;
        if (r->waiter.waiting && r->waiter.queued)
            weir_provider_add(weir_request_provider_counters(r), WEIR_PC_QUEUE_CANCEL, 1);
        if (r->up != NULL)
            weir_endpoint_add(weir_request_endpoint_counters(r), WEIR_EC_CANCELS, 1);
    }
    weir_request_let_go(r, WEIR_EC_CLOSED_CANCEL);
    weir_request_end_if_over(r);
}

static void down_room(struct weir_exchange *x, size_t room)
{
    struct weir_request *r = x->user;
    weir_request_pin(r);
    if (r->follower != NULL)
        weir_event_follow_room(r);
    else
        weir_request_pull(r, weir_request_take_room(r, room));
    weir_request_unpin(r);
}

const struct weir_exchange_events weir_request_down_events = {
    .head = down_head,
    .body = down_body,
    .end = down_end,
    .reset = down_reset,
    .room = down_room,
};

/* -- clocks -- */

void weir_request_stop_clocks(struct weir_request *r)
{
    r->pool_due_ms = r->read_due_ms = r->write_due_ms = r->total_due_ms = WEIR_NEVER;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

void weir_request_arm(struct weir_request *r)
{
    uint64_t try_due = earlier(earlier(r->read_due_ms, r->write_due_ms), earlier(r->total_due_ms, r->pool_due_ms));
    uint64_t due = earlier(try_due, earlier(earlier(r->again_due_ms, r->deadline_due_ms), r->limit_due_ms));
    if (due == WEIR_NEVER)
        weir_deadline_clear(&r->deadline);
    else if (due != r->deadline.due_ms)
        weir_reactor_deadline(&r->worker->reactor, &r->deadline, due);
}

/* A request that a dial covers waits for the network, not for the pool: look again after this long. */
#define COVERED_RECHECK_MS 20u

static void pool_clock(struct weir_request *r, uint64_t now_ms)
{
    if (r->hop.peer != NULL) {
        weir_hop_clock(r);
        return;
    }
    if (weir_pool_covered(&r->worker->pool, &r->waiter)) {
        r->pool_due_ms = now_ms + COVERED_RECHECK_MS;
        weir_request_arm(r);
        return;
    }
    weir_provider_add(weir_request_provider_counters(r), WEIR_PC_QUEUE_TIMEOUT, 1);
    weir_request_fail(r, 503, "pool_timeout", "No connection to %s became free within %llu ms.",
                      r->provider->config->name, (unsigned long long)r->provider->config->http.pool.block_timeout_ms);
}

/* Neither is the endpoint to answer nor to take anything: the rest of the request is the client's to send, or what has
 * come of the answer its to take. Clocks that run out then say nothing of the endpoint. */
static bool waits_for_client(const struct weir_request *r)
{
    return r->up != NULL && r->read_due_ms == WEIR_NEVER && r->write_due_ms == WEIR_NEVER;
}

/* One of the try's clocks, or retry.deadline while the endpoint had the request. */
static bool try_clock(struct weir_request *r, uint64_t now_ms)
{
    bool clients = waits_for_client(r);
    const struct {
        uint64_t due_ms;
        enum weir_endpoint_counter counter;
        const char *code, *what;
    } clocks[] = {
        {r->total_due_ms, WEIR_EC_TIMEOUT_TOTAL, "timeout_total", "its answer was not complete in time"},
        {r->write_due_ms, WEIR_EC_TIMEOUT_WRITE, "timeout_write", "it did not take the request in time"},
        {r->read_due_ms, WEIR_EC_TIMEOUT_READ, "timeout_read", "it sent nothing in time"},
        {r->up != NULL ? r->deadline_due_ms : WEIR_NEVER, WEIR_EC_TIMEOUT_DEADLINE, "timeout_deadline",
         "it did not answer before retry.deadline"},
    };
    for (size_t i = 0; i < sizeof clocks / sizeof clocks[0]; i++) {
        if (clocks[i].due_ms > now_ms)
            continue;
        if (clients && !r->answer_begun) {
            weir_node_add(r->worker->counters, WEIR_NC_TIMEOUT_BODY, 1);
            weir_request_body_timeout(r);
            return true;
        }
        enum weir_outcome_kind kind = clients ? WEIR_OUTCOME_ABORTED : WEIR_OUTCOME_TIMEOUT;
        const struct weir_try_failure f = {.outcome = {.kind = kind, .reused = r->reused},
                                           .status = 504,
                                           .code = clocks[i].code,
                                           .message = clocks[i].what,
                                           .counter = clocks[i].counter};
        weir_request_try_failed(r, &f);
        return true;
    }
    return false;
}

static void deadline_passed(struct weir_deadline *d, uint64_t now_ms)
{
    struct weir_request *r = WEIR_CONTAINER(d, struct weir_request, deadline);
    if (r->pool_due_ms <= now_ms)
        pool_clock(r, now_ms);
    else if (try_clock(r, now_ms))
        return;
    else if (r->deadline_due_ms <= now_ms)
        weir_request_fail(r, 504, "timeout_deadline", "No answer of %s came before retry.deadline.",
                          r->provider->config->name);
    else if (r->limit_due_ms <= now_ms)
        weir_limit_clock(r, now_ms);
    else if (r->again_due_ms <= now_ms) {
        weir_request_look_is_late(r, now_ms - r->again_due_ms);
        r->again_due_ms = WEIR_NEVER;
        weir_request_try(r);
    } else
        weir_request_arm(r);
}
