#include "node/client_inner.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "http/h2.h"
#include "node/node.h"
#include "node/request.h"

/* Uploads on one connection that may stall, each with a full window, before others on it stall too: what a client may
 * make the node keep is as much. */
#define STREAMS_STALLED 4u

/* Requests on one link whose clients went away in a second, or that were acknowledged too late; a flood all the same.
 */
#define PEER_RESETS_PER_SECOND 10000u

/* An idle HTTP/2 client is told of a drain, and has this long to say that it has heard: many round trips. */
#define DRAIN_ANSWER_MS 2000u

/* A connection that makes no progress is looked at this often per clock: it is ended at most a quarter late. */
#define LOOKS_PER_CLOCK 4u

const struct weir_tcp_opts weir_client_tcp_opts = {
    .keepalive = true,
    .notsent_lowat = (int)WEIR_STREAM_BACKLOG_MAX,
    .inherited = true,
};

static void free_client(struct weir_client *c)
{
    struct weir_worker *w = c->worker;
    bool serves_proxy = c->serves_proxy, serves_peers = c->serves_peers, limited = c->limited;
    weir_deadline_drop(&w->reactor.wheel, &c->deadline);
    weir_list_remove(&c->link);
    free(c->opening);
    free(c);
    w->client_count--;
    w->admin_client_count -= !serves_proxy;
    w->peer_client_count -= serves_peers;
    atomic_store_explicit(&w->load_shown, w->client_count, memory_order_relaxed);
    atomic_fetch_sub_explicit(&w->node->clients, limited, memory_order_relaxed);
    weir_node_add(w->counters, WEIR_NC_DOWN_CLOSED, 1);
    weir_worker_ended_something(w);
}

static void count_phase(struct weir_client *c, enum weir_client_phase phase, bool entered)
{
    enum weir_node_counter id = phase == WEIR_CLIENT_BUSY ? WEIR_NC_DOWN_ACTIVE : WEIR_NC_DOWN_IDLE;
    if (entered)
        weir_node_add(c->worker->counters, id, 1);
    else
        weir_node_sub(c->worker->counters, id, 1);
}

void weir_client_end(struct weir_client *c, bool reset)
{
    count_phase(c, c->phase, false);
    if (c->stream != NULL)
        weir_stream_close(&c->stream, reset);
    else if (c->conn.codec != NULL)
        weir_http_conn_close(&c->conn, reset);
    free_client(c);
}

void weir_client_abort(struct weir_client *c, const char *reason)
{
    c->close_reason = reason;
    if (c->conn.codec != NULL)
        c->conn.codec->ops->eof(c->conn.codec, -ECONNABORTED); /* tells its requests, then `closed` */
    else
        weir_client_end(c, true);
}

/* -- clocks -- */

static const struct weir_config_server *config_of(const struct weir_client *c)
{
    return &c->worker->hold->view->config->server;
}

static uint64_t look_interval_ms(const struct weir_client *c)
{
    const struct weir_config_server *s = config_of(c);
    uint64_t shorter = s->write_timeout_ms < s->idle_timeout_ms ? s->write_timeout_ms : s->idle_timeout_ms;
    if (c->http2 && s->header_timeout_ms < shorter)
        shorter = s->header_timeout_ms;
    return shorter / LOOKS_PER_CLOCK + 1;
}

static uint64_t phase_limit_ms(const struct weir_client *c)
{
    switch (c->phase) {
    case WEIR_CLIENT_OPENING:
    case WEIR_CLIENT_HEAD:
        return config_of(c)->header_timeout_ms;
    case WEIR_CLIENT_IDLE:
        return config_of(c)->idle_timeout_ms;
    case WEIR_CLIENT_BUSY:
        break;
    }
    return look_interval_ms(c);
}

void weir_client_set_phase(struct weir_client *c, enum weir_client_phase phase)
{
    uint64_t now_ms = c->worker->reactor.now_ms;
    if (c->phase != phase) {
        count_phase(c, c->phase, false);
        count_phase(c, phase, true);
    }
    c->phase = phase;
    c->acked_ms = c->heard_ms = now_ms;
    weir_reactor_deadline(&c->worker->reactor, &c->deadline, now_ms + phase_limit_ms(c));
}

/* HTTP/1.1: its request is answered for it, if there is one. */
static void be_late(struct weir_client *c, void (*answer)(struct weir_request *r), const char *code)
{
    if (c->current != NULL)
        answer(c->current);
    else
        weir_client_abort(c, code);
}

/* Bytes that it has been sent, or is to be, and has not acknowledged. Those that the kernel holds count, so a slow
 * reader with a large socket buffer is seen for what it is. */
static uint64_t owed(const struct weir_client *c)
{
    return weir_stream_unacked(c->conn.stream) + weir_outbox_unsent(&c->conn.out);
}

static bool is_to_send(const struct weir_client *c)
{
    const struct weir_codec *codec = c->conn.codec;
    return c->phase == WEIR_CLIENT_BUSY && codec->ops->want(codec) > 0 &&
           (c->current == NULL || !weir_request_waits_for_100(c->current));
}

static bool any_head_is_late(const struct weir_client *c, uint64_t now_ms)
{
    WEIR_LIST_EACH(at, &c->requests)
    {
        if (weir_request_head_is_late(WEIR_CONTAINER(at, struct weir_request, in_client), now_ms))
            return true;
    }
    return false;
}

/* Over HTTP/2 each stream is judged by itself, and the connection by whether it takes anything at all. A head that is
 * not whole holds up the connection: no frame of another stream may stand between its parts (RFC 9113 4.3). */
static void look_at_streams(struct weir_client *c, uint64_t now_ms)
{
    const struct weir_config_server *s = config_of(c);
    uint64_t left = owed(c), acked = c->conn.out.bytes_total - weir_stream_unacked(c->conn.stream);
    if (acked != c->acked || left == 0)
        c->acked_ms = now_ms;
    c->acked = acked;
    weir_reactor_deadline(&c->worker->reactor, &c->deadline, now_ms + look_interval_ms(c));
    bool stuck = now_ms - c->acked_ms >= s->write_timeout_ms;
    if (stuck || any_head_is_late(c, now_ms)) {
        weir_node_add(c->worker->counters, stuck ? WEIR_NC_TIMEOUT_WRITE : WEIR_NC_TIMEOUT_HEAD, 1);
        c->reset = true;
        weir_client_abort(c, stuck ? "write_timeout" : "header_timeout");
        return;
    }
    WEIR_LIST_EACH(at, &c->requests)
    {
        if (weir_request_look_at_progress(WEIR_CONTAINER(at, struct weir_request, in_client), now_ms)) {
            /* What it held may have gone to another one, which may be over by now: look again. */
            weir_reactor_deadline(&c->worker->reactor, &c->deadline, now_ms);
            return;
        }
    }
}

/* A client that neither takes what is sent to it nor sends what is expected of it holds a connection to an endpoint, or
 * memory, for nothing. */
static void look_at_progress(struct weir_client *c, uint64_t now_ms)
{
    const struct weir_config_server *s = config_of(c);
    uint64_t left = owed(c), acked = c->conn.out.bytes_total - weir_stream_unacked(c->conn.stream);
    uint64_t heard = c->conn.codec->bytes_in;
    if (acked != c->acked || left == 0)
        c->acked_ms = now_ms;
    if (heard != c->heard || !is_to_send(c))
        c->heard_ms = now_ms;
    c->acked = acked;
    c->heard = heard;
    weir_reactor_deadline(&c->worker->reactor, &c->deadline, now_ms + look_interval_ms(c));
    if (now_ms - c->acked_ms >= s->write_timeout_ms) {
        weir_node_add(c->worker->counters, WEIR_NC_TIMEOUT_WRITE, 1);
        c->reset = true; /* the kernel would go on trying for many minutes */
        weir_client_abort(c, "write_timeout");
    } else if (now_ms - c->heard_ms >= s->idle_timeout_ms) {
        weir_node_add(c->worker->counters, WEIR_NC_TIMEOUT_BODY, 1);
        be_late(c, weir_request_body_timeout, "body_timeout");
    }
}

/* How long a client that is told to leave may take to say that it has heard. */
static uint64_t leave_ms_max(const struct weir_client *c)
{
    uint64_t ms = config_of(c)->header_timeout_ms;
    return c->worker->draining && ms > DRAIN_ANSWER_MS ? DRAIN_ANSWER_MS : ms;
}

/* A request may be under way already: it is served, and those behind it know that they were not (RFC 9113 6.8). */
static void leave(struct weir_client *c, uint64_t now_ms)
{
    c->leaving = true;
    c->acked_ms = now_ms;
    weir_reactor_deadline(&c->worker->reactor, &c->deadline, now_ms + leave_ms_max(c));
    c->conn.codec->ops->drain(c->conn.codec);
}

static void look_at_idle(struct weir_client *c, uint64_t now_ms)
{
    if (c->conn.codec != NULL && owed(c) > 0 && !c->leaving) {
        look_at_progress(c, now_ms); /* before it has taken the end of an answer it is not idle */
        return;
    }
    uint64_t due_ms = c->acked_ms + (c->leaving ? leave_ms_max(c) : config_of(c)->idle_timeout_ms);
    if (due_ms > now_ms) {
        weir_reactor_deadline(&c->worker->reactor, &c->deadline, due_ms);
        return;
    }
    weir_node_add(c->worker->counters, WEIR_NC_TIMEOUT_IDLE, !c->leaving);
    if (c->http2 && !c->leaving)
        leave(c, now_ms);
    else
        weir_client_end(c, false);
}

static void deadline_passed(struct weir_deadline *d, uint64_t now_ms)
{
    struct weir_client *c = WEIR_CONTAINER(d, struct weir_client, deadline);
    switch (c->phase) {
    case WEIR_CLIENT_OPENING:
        weir_node_add(c->worker->counters, WEIR_NC_TIMEOUT_HEAD, 1);
        weir_client_end(c, true);
        return;
    case WEIR_CLIENT_IDLE:
        look_at_idle(c, now_ms);
        return;
    case WEIR_CLIENT_HEAD:
        weir_node_add(c->worker->counters, WEIR_NC_TIMEOUT_HEAD, 1);
        be_late(c, weir_request_head_timeout, "header_timeout");
        return;
    case WEIR_CLIENT_BUSY:
        if (c->http2)
            look_at_streams(c, now_ms);
        else
            look_at_progress(c, now_ms);
        return;
    }
}

/* -- what the codec tells -- */

static bool accept_request(struct weir_codec *codec, struct weir_exchange *x)
{
    struct weir_client *c = codec->owner;
    if (c->phase == WEIR_CLIENT_IDLE)
        weir_client_set_phase(c, c->http2 ? WEIR_CLIENT_BUSY : WEIR_CLIENT_HEAD);
    return weir_request_begin(c, x);
}

static void malformed(struct weir_codec *codec, struct weir_exchange *x, const struct weir_malformed *why,
                      bool after_head)
{
    weir_request_malformed(codec->owner, x, why, after_head);
}

static void idle(struct weir_codec *codec, bool reusable)
{
    struct weir_client *c = codec->owner;
    (void)reusable;
    weir_client_set_phase(c, WEIR_CLIENT_IDLE);
    if (c->worker->draining)
        codec->ops->drain(codec);
}

static void busy(struct weir_codec *codec)
{
    struct weir_client *c = codec->owner;
    c->leaving = false; /* what it asks now it is to have time to take */
    weir_client_set_phase(c, c->http2 ? WEIR_CLIENT_BUSY : WEIR_CLIENT_HEAD);
}

static void closed(struct weir_codec *codec, const struct weir_reset *why)
{
    struct weir_client *c = codec->owner;
    if (c->http2 && why->reason == WEIR_RESET_PROTOCOL) {
        weir_node_add(c->worker->counters, WEIR_NC_DOWN_HTTP2_CUT, 1);
        weir_node_tell_cut(c->worker->node, c->worker->log, c->worker->reactor.now_ms, c->peer_text, why->detail);
    }
    weir_client_end(c, c->reset || c->end_is_all || why->reason == WEIR_RESET_INTERNAL);
}

static const struct weir_codec_events codec_events = {
    .accept = accept_request,
    .malformed = malformed,
    .idle = idle,
    .busy = busy,
    .closed = closed,
};

/* A link carries requests of many clients: all that stall fit into its window, so that the others go on; and those who
 * go away are many. */
static void suit_peers(struct weir_h2_options *o)
{
    o->streams_max = WEIR_H2_STREAMS_MAX;
    uint64_t window = (uint64_t)o->stream_window * o->streams_max;
    o->conn_window = window < INT32_MAX ? (uint32_t)window : INT32_MAX;
    o->resets_per_second_max = PEER_RESETS_PER_SECOND;
}

static struct weir_codec *make_codec(struct weir_client *c)
{
    const struct weir_config_server *config = config_of(c);
    struct weir_h2_options options;
    if (!c->http2)
        return weir_h1_server_new(&c->worker->limits, &codec_events, c, &c->conn.out);
    weir_h2_options_init(&options, true);
    options.streams_max = config->http2.max_concurrent_streams;
    options.stream_window = (uint32_t)config->http2.stream_window_bytes;
    uint64_t conn_window = (uint64_t)options.stream_window * STREAMS_STALLED;
    options.conn_window = conn_window < INT32_MAX ? (uint32_t)conn_window : INT32_MAX;
    options.resets_per_second_max = config->http2.resets_per_second_max;
    if (c->serves_peers)
        suit_peers(&options);
    const struct weir_http_limits *limits = c->serves_peers ? &c->worker->peer_limits : &c->worker->limits;
    return weir_h2_server_new(limits, &options, &codec_events, c, &c->conn.out);
}

void weir_client_run(struct weir_client *c, bool http2, const uint8_t *early, size_t early_len)
{
    struct weir_stream *s = c->stream;
    c->http2 = http2;
    c->peer_text_len = (uint8_t)weir_ip_format(&c->peer, c->peer_text);
    weir_http_conn_init(&c->conn, s, true);
    c->conn.in_cell = &c->worker->counters->at[WEIR_NC_DOWN_RECEIVED];
    c->conn.out_cell = &c->worker->counters->at[WEIR_NC_DOWN_SENT];
    struct weir_codec *codec = make_codec(c);
    if (codec == NULL) {
        weir_outbox_close(&c->conn.out);
        weir_client_end(c, true);
        return;
    }
    c->stream = NULL;
    weir_node_add(c->worker->counters, WEIR_NC_DOWN_HTTP2, http2);
    weir_client_set_phase(c, WEIR_CLIENT_IDLE);
    weir_http_conn_run(&c->conn, codec, early, early_len);
}

/* -- begin and drain -- */

void weir_client_begin(struct weir_worker *w, const struct weir_worker_listener *l, int fd,
                       const struct weir_addr *peer)
{
    struct weir_client *c = malloc(sizeof *c);
    struct weir_stream *s = NULL;
    bool limited = weir_worker_listener_is_limited(l);
    bool is_full = l->serves_peers ? w->peer_client_count >= WEIR_PEER_CLIENTS_MAX
                                   : !l->serves_proxy && w->admin_client_count >= WEIR_ADMIN_CLIENTS_MAX;
    if (c == NULL || is_full || weir_tcp_adopt(&s, &w->reactor, fd, &weir_client_tcp_opts) != 0) {
        free(c);
        close(fd);
        atomic_store_explicit(&w->load_shown, w->client_count, memory_order_relaxed);
        atomic_fetch_sub_explicit(&w->node->clients, limited, memory_order_relaxed);
        weir_node_add(w->counters, WEIR_NC_DOWN_REFUSED, 1);
        weir_worker_ended_something(w);
        return;
    }
    *c = (struct weir_client){.worker = w,
                              .stream = s,
                              .peer = weir_addr_ip(peer),
                              .phase = WEIR_CLIENT_IDLE,
                              .proxy_protocol = l->proxy_protocol,
                              .serves_admin = l->serves_admin,
                              .serves_proxy = l->serves_proxy,
                              .serves_peers = l->serves_peers,
                              .limited = limited};
    weir_deadline_init(&c->deadline, deadline_passed);
    weir_list_init(&c->requests);
    weir_list_push_back(&w->clients, &c->link);
    w->client_count++;
    w->admin_client_count += !c->serves_proxy;
    w->peer_client_count += c->serves_peers;
    atomic_store_explicit(&w->load_shown, w->client_count, memory_order_relaxed);
    weir_node_add(w->counters, WEIR_NC_DOWN_ACCEPTED, 1);
    count_phase(c, c->phase, true);
    weir_client_open(c);
}

void weir_client_drain(struct weir_client *c)
{
    if (c->http2 && c->phase == WEIR_CLIENT_IDLE && !c->leaving && owed(c) == 0)
        leave(c, c->worker->reactor.now_ms);
    else if (c->conn.codec != NULL)
        c->conn.codec->ops->drain(c->conn.codec);
    else
        weir_client_end(c, false);
}
