#include "mock/request.h"

#include <stdlib.h>

#include "mock/routes.h"

/* A recycled request keeps a buffer of at most this for the next body. */
#define BODY_KEPT_MAX ((size_t)65536)

static void on_head(struct weir_exchange *x, struct weir_head *head);
static void on_body(struct weir_exchange *x, const uint8_t *p, size_t n);
static void on_end(struct weir_exchange *x, const struct weir_fields *trailers);
static void on_reset(struct weir_exchange *x, const struct weir_reset *why);
static void on_room(struct weir_exchange *x, size_t room);

static const struct weir_exchange_events exchange_events = {
    .head = on_head, .body = on_body, .end = on_end, .reset = on_reset, .room = on_room};

static void timer_due(struct weir_deadline *d, uint64_t now_ms)
{
    (void)now_ms;
    mock_reply_step(WEIR_CONTAINER(d, struct mock_request, timer));
}

static void gate_opened(struct mock_gate_waiter *w)
{
    struct mock_request *rq = WEIR_CONTAINER(w, struct mock_request, waiter);
    rq->has_step = true;
    mock_reply_step(rq);
}

bool mock_request_new(struct mock_connection *c, struct weir_exchange *x)
{
    struct weir_list *l = weir_list_pop_front(&c->worker->free_requests);
    struct mock_request *rq = l != NULL ? WEIR_CONTAINER(l, struct mock_request, link) : calloc(1, sizeof *rq);
    if (rq == NULL)
        return false;
    *rq = (struct mock_request){
        .connection = c, .x = x, .body = rq->body, .body_cap = rq->body_cap, .adler_a = 1, .status = 200};
    weir_list_init(&rq->link);
    weir_list_push_back(&c->requests, &rq->link);
    weir_arena_init(&rq->arena);
    weir_deadline_init(&rq->timer, timer_due);
    mock_gate_waiter_init(&rq->waiter, gate_opened);
    x->events = &exchange_events;
    x->user = rq;
    x->arena = &rq->arena;
    return true;
}

void mock_request_drop(struct mock_request *rq)
{
    struct mock_worker *w = rq->connection->worker;
    weir_list_remove(&rq->link);
    weir_deadline_drop(&w->reactor.wheel, &rq->timer);
    mock_gate_leave(&rq->waiter);
    weir_arena_reset(&rq->arena);
    free(rq->data_owned);
    rq->data_owned = NULL;
    if (rq->body_cap > BODY_KEPT_MAX) {
        free(rq->body);
        rq->body = NULL;
        rq->body_cap = 0;
    }
    if (rq->counted)
        mock_gauge_leave(&w->shared->stats.requests);
    weir_list_push_back(&w->free_requests, &rq->link);
}

void mock_requests_free(struct mock_worker *w)
{
    for (struct weir_list *l; (l = weir_list_pop_front(&w->free_requests)) != NULL;) {
        struct mock_request *rq = WEIR_CONTAINER(l, struct mock_request, link);
        free(rq->body);
        free(rq);
    }
}

/* A knob that is misspelt must fail the test that turns it. */
static bool apply_fields(struct mock_request *rq)
{
    static const struct weir_str prefix = {"x-mock-", 7};
    for (size_t i = 0; i < rq->head->fields.count; i++) {
        const struct weir_field *f = &rq->head->fields.at[i];
        if (!weir_str_starts(f->name, prefix))
            continue;
        struct weir_str key = {f->name.ptr + prefix.len, f->name.len - prefix.len};
        if (mock_plan_set(&rq->plan, key, f->value) != MOCK_PLAN_OK)
            return false;
    }
    return true;
}

bool mock_request_plan(struct mock_request *rq, struct weir_str model)
{
    struct mock_worker *w = rq->connection->worker;
    rq->plan = *mock_shared_plan(w->shared);
    mock_plan_set_model(&rq->plan, model);
    if (!apply_fields(rq))
        return false;
    if (rq->plan.fault_permille < 1000 && !mock_worker_dice(w, rq->plan.fault_permille)) {
        rq->plan.fault = MOCK_FAULT_NONE;
        rq->plan.status = 0;
    }
    rq->gate = NULL;
    if (rq->route->control) {
        mock_plan_init(&rq->plan);
        return true;
    }
    if (rq->plan.gate.len > 0 && w->shared->options->workers == 1)
        rq->gate = mock_gate_find(&w->shared->gates, rq->plan.gate);
    return rq->plan.gate.len == 0 || rq->gate != NULL;
}

static void split_target(struct mock_request *rq)
{
    struct weir_str target = rq->head->target;
    const char *mark = target.len > 0 ? memchr(target.ptr, '?', target.len) : NULL;
    rq->path = target;
    if (mark != NULL) {
        rq->path.len = (size_t)(mark - target.ptr);
        rq->query = (struct weir_str){mark + 1, target.len - rq->path.len - 1};
    }
}

/* False: the request was answered without its body. */
static bool invite_body(struct mock_request *rq)
{
    if (rq->head->expect_continue && rq->plan.reject_expect) {
        rq->plan.close = true;
        rq->discard = true;
        mock_reply_error(rq, 417, "mock rejects the expectation as asked");
        return false;
    }
    if (rq->head->expect_continue) {
        const struct weir_head interim = {.status = 100};
        rq->x->ops->send_head(rq->x, &interim, false);
    }
    return true;
}

static void on_head(struct weir_exchange *x, struct weir_head *head)
{
    struct mock_request *rq = x->user;
    struct mock_worker *w = rq->connection->worker;
    rq->head = head;
    split_target(rq);
    rq->route = mock_route_find(rq->path);
    if (!rq->connection->control && !rq->route->control) {
        rq->counted = true;
        mock_gauge_enter(&w->shared->stats.requests);
        mock_stats_arrived(&w->shared->stats, weir_clock_us());
    }
    if (head->has_body) {
        rq->granted = rq->route->begin == NULL ? MOCK_BODY_WINDOW : 0;
        if (rq->granted > 0)
            x->ops->grant(x, rq->granted);
    }
    if (!mock_request_plan(rq, WEIR_STR(""))) {
        rq->discard = true;
        mock_reply_error(rq, 400, "an x-mock field is unknown, has no valid value, or names a gate that cannot be");
        return;
    }
    if (!invite_body(rq))
        return;
    if (rq->plan.early) {
        rq->discard = true;
        if (rq->plan.status != 0)
            mock_reply_error(rq, rq->plan.status, "mock answers early as asked");
        else
            mock_reply_text(rq, 200, WEIR_STR("text/plain"), "early\n", 6, NULL);
    } else if (rq->route->begin != NULL) {
        rq->route->begin(rq);
    }
}

/* Adler-32 (RFC 1950 section 8.2); 5,552 bytes is the most before the sums could overflow. */
static void checksum(struct mock_request *rq, const uint8_t *p, size_t n)
{
    uint32_t a = rq->adler_a, b = rq->adler_b;
    while (n > 0) {
        size_t run = n < 5552 ? n : 5552;
        for (size_t i = 0; i < run; i++) {
            a += p[i];
            b += a;
        }
        a %= 65521;
        b %= 65521;
        p += run;
        n -= run;
    }
    rq->adler_a = a;
    rq->adler_b = b;
}

static bool keep(struct mock_request *rq, const uint8_t *p, size_t n)
{
    if (n > MOCK_JSON_BYTES_MAX - rq->body_len)
        return false;
    if (rq->body_len + n > rq->body_cap) {
        size_t cap = rq->body_cap == 0 ? 4096 : rq->body_cap;
        while (cap < rq->body_len + n)
            cap *= 2;
        char *grown = realloc(rq->body, cap);
        if (grown == NULL)
            return false;
        rq->body = grown;
        rq->body_cap = cap;
    }
    memcpy(rq->body + rq->body_len, p, n);
    rq->body_len += n;
    return true;
}

static void on_body(struct weir_exchange *x, const uint8_t *p, size_t n)
{
    struct mock_request *rq = x->user;
    rq->received += n;
    rq->granted -= n < rq->granted ? n : rq->granted;
    if (rq->counted)
        atomic_fetch_add_explicit(&rq->connection->worker->shared->stats.body_bytes_in, n, memory_order_relaxed);
    if (rq->source == MOCK_SOURCE_ECHO) {
        mock_reply_echo_body(rq, p, n);
        return;
    }
    if (rq->route->checksum)
        checksum(rq, p, n);
    rq->granted += n;
    x->ops->grant(x, n);
    if (rq->route->keeps_body && !rq->discard && !keep(rq, p, n)) {
        rq->discard = true;
        mock_reply_error(rq, 413, "the body is larger than mock parses");
    }
}

static void on_end(struct weir_exchange *x, const struct weir_fields *trailers)
{
    struct mock_request *rq = x->user;
    rq->request_ended = true;
    rq->trailers = trailers;
    if (rq->response_ended)
        mock_request_drop(rq);
    else if (rq->source == MOCK_SOURCE_ECHO)
        mock_reply_echo_end(rq);
    else if (!rq->replying)
        mock_route_answer(rq);
}

static void on_reset(struct weir_exchange *x, const struct weir_reset *why)
{
    (void)why;
    struct mock_request *rq = x->user;
    struct mock_worker *w = rq->connection->worker;
    if (rq->counted && !rq->response_ended) {
        atomic_fetch_add_explicit(&w->shared->stats.aborted[rq->phase], 1, memory_order_relaxed);
        atomic_store_explicit(&w->shared->stats.aborted_at_us, weir_clock_us(), memory_order_relaxed);
    }
    mock_request_drop(rq);
}

static void on_room(struct weir_exchange *x, size_t room)
{
    (void)room;
    mock_reply_step(x->user);
}

void mock_request_malformed(struct mock_request *rq, const struct weir_malformed *why, bool after_head)
{
    struct weir_exchange *x = rq->x;
    bool head_sent = rq->head_sent;
    (void)after_head;
    mock_request_drop(rq);
    if (head_sent) {
        x->ops->reset(x, WEIR_RESET_PROTOCOL);
        return;
    }
    const struct weir_head head = {
        .status = why->status, .content_length = (int64_t)strlen(why->message), .close = true};
    x->ops->send_head(x, &head, false);
    (void)x->ops->send_body(x, why->message, strlen(why->message));
    x->ops->send_end(x, NULL);
}
