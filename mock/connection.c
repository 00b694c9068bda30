#include "mock/connection.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "mock/request.h"

/* Wider than what a proxy in front admits, so that limits are the proxy's to enforce. */
static const struct weir_http_limits limits = {.head_bytes_max = 262144, .fields_max = 400, .body_bytes_max = 0};

static void release(struct mock_connection *c)
{
    struct mock_worker *w = c->worker;
    c->dead = true;
    WEIR_LIST_EACH_SAFE(at, &c->requests)
    mock_request_drop(WEIR_CONTAINER(at, struct mock_request, link));
    weir_deadline_drop(&w->reactor.wheel, &c->idle);
    weir_list_remove(&c->link);
    weir_list_push_back(&w->free_connections, &c->link);
    if (!c->control)
        mock_gauge_leave(&w->shared->stats.connections);
}

void mock_connection_kill(struct mock_connection *c, bool reset)
{
    if (c->dead)
        return;
    release(c);
    if (!c->control)
        atomic_fetch_add_explicit(&c->worker->shared->stats.closed_by_mock, 1, memory_order_relaxed);
    if (c->starting != NULL)
        weir_stream_close(&c->starting, reset);
    else
        weir_http_conn_close(&c->http, reset);
}

bool mock_connection_flush(struct mock_connection *c)
{
    weir_outbox_flush(&c->http.out);
    return !c->dead;
}

static bool on_accept(struct weir_codec *codec, struct weir_exchange *x)
{
    struct mock_connection *c = codec->owner;
    weir_deadline_clear(&c->idle);
    return mock_request_new(c, x);
}

static void on_malformed(struct weir_codec *codec, struct weir_exchange *x, const struct weir_malformed *why,
                         bool after_head)
{
    struct mock_connection *c = codec->owner;
    atomic_fetch_add_explicit(&c->worker->shared->stats.malformed, 1, memory_order_relaxed);
    mock_request_malformed(x->user, why, after_head);
}

static void idle_due(struct weir_deadline *d, uint64_t now_ms)
{
    (void)now_ms;
    struct mock_connection *c = WEIR_CONTAINER(d, struct mock_connection, idle);
    if (!weir_list_empty(&c->requests))
        return;
    if (!c->control)
        atomic_fetch_add_explicit(&c->worker->shared->stats.closed_idle, 1, memory_order_relaxed);
    mock_connection_kill(c, false);
}

/* Half of the random closes come at once, in the very turn of the answer: that is the moment in which a proxy that has
 * just taken the connection back sends the next request on it. */
static void on_idle(struct weir_codec *codec, bool reusable)
{
    struct mock_connection *c = codec->owner;
    const struct mock_options *o = c->worker->shared->options;
    if (!reusable || c->control)
        return;
    if (c->silent_close || (o->close_idle_permille > 0 && mock_worker_dice(c->worker, o->close_idle_permille))) {
        uint64_t random = mock_worker_random(c->worker);
        if (!c->silent_close && (random & 1) != 0) {
            weir_reactor_deadline(&c->worker->reactor, &c->idle,
                                  c->worker->reactor.now_ms + (random >> 8) % (o->close_idle_window_ms + 1));
            return;
        }
        if (mock_connection_flush(c) && weir_outbox_unsent(&c->http.out) == 0)
            idle_due(&c->idle, c->worker->reactor.now_ms);
        else if (!c->dead)
            weir_reactor_deadline(&c->worker->reactor, &c->idle, c->worker->reactor.now_ms + 50);
    } else if (o->close_idle_after_ms > 0) {
        weir_reactor_deadline(&c->worker->reactor, &c->idle, c->worker->reactor.now_ms + o->close_idle_after_ms);
    }
}

static void on_busy(struct weir_codec *codec)
{
    struct mock_connection *c = codec->owner;
    weir_deadline_clear(&c->idle);
}

static void on_closed(struct weir_codec *codec, const struct weir_reset *why)
{
    struct mock_connection *c = codec->owner;
    bool by_client = why->reason == WEIR_RESET_PEER_CLOSED || why->reason == WEIR_RESET_PEER_ERROR;
    release(c);
    if (!c->control)
        atomic_fetch_add_explicit(by_client ? &c->worker->shared->stats.closed_by_client
                                            : &c->worker->shared->stats.closed_by_mock,
                                  1, memory_order_relaxed);
    weir_http_conn_close(&c->http, false);
}

static const struct weir_codec_events codec_events = {
    .accept = on_accept, .malformed = on_malformed, .idle = on_idle, .busy = on_busy, .closed = on_closed};

static struct mock_connection *take(struct mock_worker *w)
{
    struct weir_list *l = weir_list_pop_front(&w->free_connections);
    if (l != NULL)
        return WEIR_CONTAINER(l, struct mock_connection, link);
    return malloc(sizeof(struct mock_connection));
}

static void on_started(struct weir_stream *stream, int code, const struct weir_err *err)
{
    (void)err;
    struct mock_connection *c = stream->owner;
    if (code != 0) {
        mock_connection_kill(c, true);
        return;
    }
    c->starting = NULL;
    weir_http_conn_init(&c->http, stream, true);
    struct weir_codec *codec = weir_h1_server_new(&limits, &codec_events, c, &c->http.out);
    if (codec == NULL)
        mock_connection_kill(c, true);
    else
        weir_http_conn_run(&c->http, codec, NULL, 0);
}

void mock_connection_new(struct mock_worker *w, int fd, bool control)
{
    const struct weir_tcp_opts options = {0};
    struct mock_connection *c = take(w);
    if (c == NULL) {
        close(fd);
        return;
    }
    *c = (struct mock_connection){.worker = w, .control = control};
    weir_list_init(&c->link);
    if (weir_tcp_adopt(&c->starting, &w->reactor, fd, &options) != WEIR_OK) {
        close(fd);
        weir_list_push_back(&w->free_connections, &c->link);
        return;
    }
    weir_list_init(&c->requests);
    weir_deadline_init(&c->idle, idle_due);
    uint64_t id = atomic_fetch_add_explicit(&w->shared->connection_id, 1, memory_order_relaxed) + 1;
    c->id_len = (size_t)snprintf(c->id, sizeof c->id, "%" PRIu64, id);
    weir_list_push_back(&w->connections, &c->link);
    if (!control)
        mock_gauge_enter(&w->shared->stats.connections);
    c->starting->owner = c;
    weir_stream_start(c->starting, on_started);
}

void mock_connections_free(struct mock_worker *w)
{
    for (struct weir_list *l; (l = weir_list_pop_front(&w->free_connections)) != NULL;)
        free(WEIR_CONTAINER(l, struct mock_connection, link));
}
