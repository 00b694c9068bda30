/* Sending an answer: WAITING until latency and gate let the head go, then STREAMING as far as room, token clock and
 * gate allow, STALLED once a fault says so. mock_reply_step goes on from wherever it stopped. Any function here that
 * can end or kill the request is the last statement of its caller. */
#include <stdlib.h>

#include "mock/request.h"
#include "mock/routes.h"

/* Most fields that a response of ours has. */
#define FIELDS_MAX 8

static void finish(struct mock_request *rq)
{
    struct weir_exchange *x = rq->x;
    struct weir_field trailers[2] = {{WEIR_STR("x-mock-tokens"), WEIR_STR("0"), WEIR_FIELD_OTHER},
                                     {WEIR_STR("x-mock-done"), WEIR_STR("yes"), WEIR_FIELD_OTHER}};
    const struct weir_fields own = {trailers, 2, 2};
    const struct weir_fields *sent = rq->plan.trailers ? &own : NULL;
    char text[24];
    trailers[0].value = (struct weir_str){text, (size_t)snprintf(text, sizeof text, "%u", rq->tokens_sent)};
    if (rq->source == MOCK_SOURCE_ECHO && rq->trailers != NULL)
        sent = rq->trailers;
    rq->response_ended = true;
    if (!rq->request_ended) {
        rq->discard = true;
        x->ops->send_end(x, sent);
        return;
    }
    /* Taken off its connection first: the codec may go on to the next request, or to closing, from inside send_end. */
    struct mock_request *over = rq;
    weir_list_remove(&over->link);
    x->ops->send_end(x, sent);
    mock_request_drop(over);
}

/* The head was all. */
static void finish_with_head(struct mock_request *rq, const struct weir_head *head)
{
    struct weir_exchange *x = rq->x;
    rq->response_ended = true;
    if (!rq->request_ended) {
        rq->discard = true;
        x->ops->send_head(x, head, true);
        return;
    }
    weir_list_remove(&rq->link);
    x->ops->send_head(x, head, true);
    mock_request_drop(rq);
}

static void wait_until_due(struct mock_request *rq)
{
    weir_reactor_deadline(&rq->connection->worker->reactor, &rq->timer, (rq->due_us + 999) / 1000);
}

static bool take_step(struct mock_request *rq)
{
    if (rq->gate == NULL || rq->has_step) {
        rq->has_step = false;
        return true;
    }
    return mock_gate_take(rq->gate, &rq->waiter);
}

static void kill_after_flush(struct mock_request *rq, bool reset)
{
    struct mock_connection *c = rq->connection;
    if (mock_connection_flush(c))
        mock_connection_kill(c, reset);
}

static void send_raw(struct mock_request *rq)
{
    char *bytes = weir_arena_bytes(&rq->arena, rq->plan.raw.len);
    if (bytes == NULL) {
        mock_connection_kill(rq->connection, true);
        return;
    }
    weir_outbox_copy(&rq->connection->http.out, bytes, mock_percent_decode(bytes, rq->plan.raw));
    if (rq->plan.raw_hold) {
        rq->phase = MOCK_PHASE_STALLED;
        (void)mock_connection_flush(rq->connection);
    } else {
        kill_after_flush(rq, false);
    }
}

static void send_interim(struct mock_request *rq)
{
    struct weir_str list = rq->plan.interim, item;
    struct weir_field link = {WEIR_STR("link"), WEIR_STR("</style.css>; rel=preload"), WEIR_FIELD_OTHER};
    while (weir_str_next_item(&list, &item)) {
        uint64_t status;
        if (!weir_str_to_u64(item, &status) || status < 100 || status > 199 || status == 101)
            continue;
        struct weir_head head = {.status = (uint16_t)status, .content_length = WEIR_LENGTH_UNKNOWN};
        if (status == 103)
            head.fields = (struct weir_fields){&link, 1, 1};
        rq->x->ops->send_head(rq->x, &head, false);
    }
}

static void add(struct weir_head *h, struct weir_str name, struct weir_str value)
{
    h->fields.at[h->fields.count++] = (struct weir_field){name, value, weir_field_id_of(name)};
}

static struct weir_str padding(struct mock_request *rq)
{
    size_t n = rq->plan.padding_bytes;
    char *text = weir_arena_bytes(&rq->arena, n);
    if (text == NULL)
        return WEIR_STR("");
    memset(text, 'p', n);
    return (struct weir_str){text, n};
}

static bool has_no_body(const struct mock_request *rq)
{
    return rq->status == 204 || rq->status == 304 || weir_str_eq(rq->head->method, WEIR_STR("HEAD"));
}

static void fill_head(struct mock_request *rq, struct weir_head *h)
{
    const struct mock_shared *shared = rq->connection->worker->shared;
    h->status = (uint16_t)rq->status;
    h->close = rq->plan.close;
    h->content_length = WEIR_LENGTH_UNKNOWN;
    if (rq->status != 204 && (rq->source == MOCK_SOURCE_TEXT || rq->source == MOCK_SOURCE_PATTERN) && !rq->chunked &&
        !rq->plan.trailers)
        h->content_length = (int64_t)rq->data_len;
    add(h, WEIR_STR("content-type"), rq->content_type);
    add(h, WEIR_STR("x-mock-connection"), (struct weir_str){rq->connection->id, rq->connection->id_len});
    if (shared->options->name != NULL)
        add(h, WEIR_STR("x-mock-name"), weir_str_of(shared->options->name));
    if (rq->plan.retry_after.len > 0 && rq->status >= 400)
        add(h, WEIR_STR("retry-after"), rq->plan.retry_after);
    if (rq->plan.padding_bytes > 0)
        add(h, WEIR_STR("x-mock-padding"), padding(rq));
    if (rq->source == MOCK_SOURCE_TOKENS)
        add(h, WEIR_STR("cache-control"), WEIR_STR("no-cache"));
}

/* False: the request is over, dead or stalled. */
static bool send_head(struct mock_request *rq)
{
    struct weir_field fields[FIELDS_MAX];
    struct weir_head head = {.fields = {fields, 0, FIELDS_MAX}};
    send_interim(rq);
    fill_head(rq, &head);
    rq->phase = MOCK_PHASE_STREAMING;
    rq->connection->silent_close = rq->plan.silent_close;
    rq->head_sent = true;
    if (has_no_body(rq)) {
        finish_with_head(rq, &head);
        return false;
    }
    rq->x->ops->send_head(rq->x, &head, false);
    if (rq->plan.fault == MOCK_FAULT_RESET_AFTER_HEAD) {
        kill_after_flush(rq, true);
        return false;
    }
    if (rq->plan.fault == MOCK_FAULT_STALL_AFTER_HEAD) {
        rq->phase = MOCK_PHASE_STALLED;
        return false;
    }
    return true;
}

/* False: a fault took the place of the answer. */
static bool pass_faults_before_head(struct mock_request *rq)
{
    if (rq->route->control)
        return true;
    switch (rq->plan.fault) {
    case MOCK_FAULT_RESET_BEFORE_HEAD:
        mock_connection_kill(rq->connection, true);
        return false;
    case MOCK_FAULT_CLOSE_BEFORE_HEAD:
        mock_connection_kill(rq->connection, false);
        return false;
    case MOCK_FAULT_STALL_BEFORE_HEAD:
        rq->phase = MOCK_PHASE_STALLED;
        return false;
    default:
        break;
    }
    if (rq->plan.raw.len == 0)
        return true;
    send_raw(rq);
    return false;
}

/* A fault inside the body is due. */
static void strike(struct mock_request *rq)
{
    char buf[MOCK_PIECE_BYTES_MAX];
    switch (rq->plan.fault) {
    case MOCK_FAULT_RESET_MID_BODY:
        kill_after_flush(rq, true);
        break;
    case MOCK_FAULT_TRUNCATE:
        kill_after_flush(rq, false);
        break;
    case MOCK_FAULT_ERROR_EVENT:
        (void)rq->x->ops->send_body(rq->x, buf, mock_chat_error_event(&rq->chat, buf));
        finish(rq);
        break;
    default:
        rq->phase = MOCK_PHASE_STALLED;
    }
}

static bool strikes_inside(const struct mock_request *rq)
{
    switch (rq->plan.fault) {
    case MOCK_FAULT_RESET_MID_BODY:
    case MOCK_FAULT_TRUNCATE:
    case MOCK_FAULT_STALL_MID_BODY:
        return true;
    case MOCK_FAULT_ERROR_EVENT:
        return rq->source == MOCK_SOURCE_TOKENS;
    default:
        return false;
    }
}

static size_t send_bytes(struct mock_request *rq, const void *p, size_t n)
{
    if (rq->counted)
        atomic_fetch_add_explicit(&rq->connection->worker->shared->stats.body_bytes_out, n, memory_order_relaxed);
    return rq->x->ops->send_body(rq->x, p, n);
}

static void pump_tokens(struct mock_request *rq)
{
    char buf[MOCK_PIECE_BYTES_MAX];
    struct mock_worker *w = rq->connection->worker;
    uint32_t fault_at = strikes_inside(rq) ? mock_plan_fault_point(&rq->plan, rq->chat.tokens) : UINT32_MAX;
    size_t room = rq->x->ops->room(rq->x);
    while (rq->tokens_sent < rq->chat.tokens) {
        if (rq->tokens_sent == fault_at) {
            strike(rq);
            return;
        }
        if (w->reactor.now_us < rq->due_us) {
            wait_until_due(rq);
            return;
        }
        if (room == 0 || !take_step(rq))
            return;
        room = send_bytes(rq, buf, mock_chat_token(&rq->chat, rq->tokens_sent, buf));
        rq->tokens_sent++;
        rq->due_us += rq->plan.token_interval_us;
        atomic_fetch_add_explicit(&w->shared->stats.tokens_out, 1, memory_order_relaxed);
    }
    if (fault_at == rq->tokens_sent) {
        strike(rq);
        return;
    }
    (void)send_bytes(rq, buf, mock_chat_close(&rq->chat, buf));
    finish(rq);
}

static void pump_bytes(struct mock_request *rq)
{
    bool strikes = strikes_inside(rq);
    uint64_t stop = strikes ? rq->data_len / 2 : rq->data_len;
    size_t room = rq->x->ops->room(rq->x);
    while (rq->data_at < stop && room > 0) {
        uint64_t n = stop - rq->data_at;
        const char *from = rq->data + rq->data_at;
        if (rq->source == MOCK_SOURCE_PATTERN) {
            size_t at = rq->data_at % MOCK_PATTERN_PERIOD;
            from = rq->data + at;
            n = n < MOCK_FILLER_BYTES - at ? n : MOCK_FILLER_BYTES - at;
        }
        n = n < room ? n : room;
        rq->data_at += n;
        room = send_bytes(rq, from, (size_t)n);
    }
    if (rq->data_at < stop)
        return;
    if (strikes)
        strike(rq);
    else
        finish(rq);
}

void mock_reply_step(struct mock_request *rq)
{
    char buf[MOCK_PIECE_BYTES_MAX];
    struct mock_worker *w = rq->connection->worker;
    if (rq->phase == MOCK_PHASE_STALLED || rq->response_ended || rq->waiter.gate != NULL || !rq->replying)
        return;
    if (rq->phase == MOCK_PHASE_WAITING) {
        if (w->reactor.now_us < rq->due_us) {
            wait_until_due(rq);
            return;
        }
        if (!take_step(rq) || !pass_faults_before_head(rq) || !send_head(rq))
            return;
        rq->due_us = w->reactor.now_us + (uint64_t)rq->plan.first_token_ms * 1000;
        if (rq->source == MOCK_SOURCE_TOKENS)
            (void)send_bytes(rq, buf, mock_chat_open(&rq->chat, buf));
    }
    if (rq->source == MOCK_SOURCE_TOKENS)
        pump_tokens(rq);
    else if (rq->source == MOCK_SOURCE_ECHO)
        mock_reply_echo_body(rq, NULL, 0);
    else
        pump_bytes(rq);
}

static void start(struct mock_request *rq)
{
    struct mock_worker *w = rq->connection->worker;
    rq->replying = true;
    rq->phase = MOCK_PHASE_WAITING;
    rq->due_us = w->reactor.now_us + (rq->route->control ? 0 : (uint64_t)rq->plan.latency_ms * 1000);
    mock_reply_step(rq);
}

void mock_reply_text(struct mock_request *rq, unsigned status, struct weir_str content_type, const char *data,
                     size_t len, char *owned)
{
    rq->source = MOCK_SOURCE_TEXT;
    rq->status = status;
    rq->content_type = content_type;
    rq->data = data;
    rq->data_len = len;
    rq->data_owned = owned;
    start(rq);
}

void mock_reply_pattern(struct mock_request *rq, uint64_t bytes, bool chunked)
{
    rq->source = MOCK_SOURCE_PATTERN;
    rq->content_type = WEIR_STR("application/octet-stream");
    rq->data = rq->connection->worker->filler;
    rq->data_len = bytes;
    rq->chunked = chunked;
    start(rq);
}

void mock_reply_tokens(struct mock_request *rq)
{
    rq->source = MOCK_SOURCE_TOKENS;
    rq->content_type = WEIR_STR("text/event-stream; charset=utf-8");
    start(rq);
}

void mock_reply_error(struct mock_request *rq, unsigned status, const char *message)
{
    char buf[MOCK_PIECE_BYTES_MAX];
    size_t n = mock_error_body(rq->route->api, status, message, buf);
    struct weir_str kept = weir_arena_dup(&rq->arena, (struct weir_str){buf, n});
    if (kept.ptr == NULL)
        mock_connection_kill(rq->connection, true);
    else
        mock_reply_text(rq, status, WEIR_STR("application/json"), kept.ptr, kept.len, NULL);
}

/* Credit follows the room for the answer, so that a client that does not read is not read from. */
static void echo_credit(struct mock_request *rq, size_t room)
{
    if (room > rq->granted) {
        size_t more = room - rq->granted;
        rq->granted = room;
        rq->x->ops->grant(rq->x, more);
    }
}

void mock_reply_echo(struct mock_request *rq)
{
    rq->source = MOCK_SOURCE_ECHO;
    rq->content_type = WEIR_STR("application/octet-stream");
    start(rq);
}

void mock_reply_echo_body(struct mock_request *rq, const uint8_t *p, size_t n)
{
    size_t room = n > 0 ? send_bytes(rq, p, n) : rq->x->ops->room(rq->x);
    if (!rq->request_ended)
        echo_credit(rq, room);
    else if (rq->phase == MOCK_PHASE_STREAMING)
        finish(rq);
}

void mock_reply_echo_end(struct mock_request *rq)
{
    if (rq->phase == MOCK_PHASE_STREAMING)
        finish(rq);
}
