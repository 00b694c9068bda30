#include "node/client.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/proxy_protocol.h"
#include "node/node.h"
#include "node/request.h"

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
    bool serves_proxy = c->serves_proxy;
    weir_deadline_drop(&w->reactor.wheel, &c->deadline);
    weir_list_remove(&c->link);
    free(c->proxy_header);
    free(c);
    w->client_count--;
    w->admin_client_count -= !serves_proxy;
    atomic_store_explicit(&w->load_shown, w->client_count, memory_order_relaxed);
    atomic_fetch_sub_explicit(&w->node->clients, serves_proxy, memory_order_relaxed);
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

/* Closes the connection; no callback follows. */
static void end(struct weir_client *c, bool reset)
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
        end(c, true);
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
        weir_request_body_timeout(c);
    }
}

static void look_at_idle(struct weir_client *c, uint64_t now_ms)
{
    if (c->conn.codec != NULL && owed(c) > 0) {
        look_at_progress(c, now_ms); /* before it has taken the end of an answer it is not idle */
        return;
    }
    uint64_t due_ms = c->acked_ms + config_of(c)->idle_timeout_ms;
    if (due_ms > now_ms) {
        weir_reactor_deadline(&c->worker->reactor, &c->deadline, due_ms);
        return;
    }
    weir_node_add(c->worker->counters, WEIR_NC_TIMEOUT_IDLE, 1);
    end(c, false);
}

static void deadline_passed(struct weir_deadline *d, uint64_t now_ms)
{
    struct weir_client *c = WEIR_CONTAINER(d, struct weir_client, deadline);
    switch (c->phase) {
    case WEIR_CLIENT_OPENING:
        weir_node_add(c->worker->counters, WEIR_NC_TIMEOUT_HEAD, 1);
        end(c, true);
        return;
    case WEIR_CLIENT_IDLE:
        look_at_idle(c, now_ms);
        return;
    case WEIR_CLIENT_HEAD:
        weir_node_add(c->worker->counters, WEIR_NC_TIMEOUT_HEAD, 1);
        weir_request_head_timeout(c);
        return;
    case WEIR_CLIENT_BUSY:
        look_at_progress(c, now_ms);
        return;
    }
}

/* -- what the codec tells -- */

static bool accept_request(struct weir_codec *codec, struct weir_exchange *x)
{
    struct weir_client *c = codec->owner;
    if (c->phase == WEIR_CLIENT_IDLE)
        weir_client_set_phase(c, WEIR_CLIENT_HEAD);
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
    weir_client_set_phase(codec->owner, WEIR_CLIENT_HEAD);
}

static void closed(struct weir_codec *codec, const struct weir_reset *why)
{
    struct weir_client *c = codec->owner;
    end(c, c->reset || c->end_is_all || why->reason == WEIR_RESET_INTERNAL);
}

static const struct weir_codec_events codec_events = {
    .accept = accept_request,
    .malformed = malformed,
    .idle = idle,
    .busy = busy,
    .closed = closed,
};

static void begin_http(struct weir_client *c, const uint8_t *early, size_t early_len)
{
    struct weir_stream *s = c->stream;
    c->peer_text_len = (uint8_t)weir_ip_format(&c->peer, c->peer_text);
    weir_http_conn_init(&c->conn, s, true);
    c->conn.in_cell = &c->worker->counters->at[WEIR_NC_DOWN_RECEIVED];
    c->conn.out_cell = &c->worker->counters->at[WEIR_NC_DOWN_SENT];
    struct weir_codec *codec = weir_h1_server_new(&c->worker->limits, &codec_events, c, &c->conn.out);
    if (codec == NULL) {
        weir_outbox_close(&c->conn.out);
        end(c, true);
        return;
    }
    c->stream = NULL;
    weir_client_set_phase(c, WEIR_CLIENT_IDLE);
    weir_http_conn_run(&c->conn, codec, early, early_len);
}

/* -- TLS -- */

static void shaken(struct weir_stream *s, int code, const struct weir_err *err)
{
    struct weir_client *c = s->owner;
    if (code == 0) {
        begin_http(c, NULL, 0);
        return;
    }
    weir_node_tell_handshake(c->worker->node, c->worker->log, c->worker->reactor.now_ms, weir_tls_failed(s), err->msg);
    end(c, false); /* orderly: the alert says why */
}

/* The configuration in force decides whether clients speak TLS, and with which certificates. */
static void begin_transport(struct weir_client *c, const uint8_t *early, size_t early_len)
{
    const struct weir_tls_setup *setup = c->worker->hold->view->shared->tls;
    struct weir_stream *under = c->stream;
    if (setup == NULL || setup->server == NULL) {
        begin_http(c, early, early_len);
        return;
    }
    struct weir_tls_opts opts = {.config = setup->server,
                                 .pool = c->worker->node->crypto,
                                 .stats = &c->worker->node->tls_down,
                                 .started = true,
                                 .early = early,
                                 .early_len = early_len};
    if (weir_tls_wrap(&c->stream, under, &opts) != 0) {
        c->stream = under;
        end(c, true);
        return;
    }
    c->secure = true;
    c->stream->owner = c;
    weir_client_set_phase(c, WEIR_CLIENT_OPENING);
    weir_stream_start(c->stream, shaken);
}

/* -- PROXY protocol -- */

static void refuse_proxy_header(struct weir_client *c)
{
    weir_node_add(c->worker->counters, WEIR_NC_BAD_PROXY, 1);
    end(c, true);
}

static bool keep_proxy_bytes(struct weir_client *c, const uint8_t *p, size_t n)
{
    if (c->proxy_header == NULL)
        c->proxy_header = malloc(WEIR_PROXY_HEADER_MAX);
    if (c->proxy_header == NULL || c->proxy_header_len + n > WEIR_PROXY_HEADER_MAX)
        return false;
    memcpy(c->proxy_header + c->proxy_header_len, p, n);
    c->proxy_header_len += n;
    return true;
}

static void proxy_event(struct weir_stream *s)
{
    struct weir_client *c = s->owner;
    uint8_t *buffer = c->worker->reactor.read_buffer;
    weir_http_conn_reclaim(&c->worker->reactor);
    /* What does not belong to the header any more is the client's first request: at most one full read of it. */
    ssize_t n = weir_stream_read(s, buffer + WEIR_PROXY_HEADER_MAX, WEIR_PROXY_HEADER_MAX);
    if (n == WEIR_STREAM_AGAIN)
        return;
    if (n <= 0) {
        end(c, false);
        return;
    }
    const uint8_t *bytes = buffer + WEIR_PROXY_HEADER_MAX;
    size_t len = (size_t)n;
    if (c->proxy_header_len > 0) {
        memmove(buffer + c->proxy_header_len, bytes, len);
        memcpy(buffer, c->proxy_header, c->proxy_header_len);
        bytes = buffer;
        len += c->proxy_header_len;
    }
    struct weir_proxy_header header;
    switch (weir_proxy_parse(&header, (struct weir_str){(const char *)bytes, len})) {
    case WEIR_PROXY_MORE:
        if (!keep_proxy_bytes(c, buffer + WEIR_PROXY_HEADER_MAX, (size_t)n))
            refuse_proxy_header(c);
        return;
    case WEIR_PROXY_OK:
        if (header.has_addrs)
            c->peer = header.source;
        free(c->proxy_header);
        c->proxy_header = NULL;
        begin_transport(c, bytes + header.len, len - header.len);
        return;
    default:
        refuse_proxy_header(c);
    }
}

/* -- begin and drain -- */

static void started(struct weir_stream *s, int code, const struct weir_err *err)
{
    struct weir_client *c = s->owner;
    (void)err;
    if (code != 0) {
        end(c, true);
        return;
    }
    if (c->proxy_protocol)
        weir_client_set_phase(c, WEIR_CLIENT_OPENING);
    else
        begin_transport(c, NULL, 0);
}

void weir_client_begin(struct weir_worker *w, const struct weir_worker_listener *l, int fd,
                       const struct weir_addr *peer)
{
    struct weir_client *c = malloc(sizeof *c);
    struct weir_stream *s = NULL;
    bool admin_full = !l->serves_proxy && w->admin_client_count >= WEIR_ADMIN_CLIENTS_MAX;
    if (c == NULL || admin_full || weir_tcp_adopt(&s, &w->reactor, fd, &weir_client_tcp_opts) != 0) {
        free(c);
        close(fd);
        atomic_store_explicit(&w->load_shown, w->client_count, memory_order_relaxed);
        atomic_fetch_sub_explicit(&w->node->clients, l->serves_proxy, memory_order_relaxed);
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
                              .serves_proxy = l->serves_proxy};
    weir_deadline_init(&c->deadline, deadline_passed);
    weir_list_push_back(&w->clients, &c->link);
    w->client_count++;
    w->admin_client_count += !c->serves_proxy;
    atomic_store_explicit(&w->load_shown, w->client_count, memory_order_relaxed);
    weir_node_add(w->counters, WEIR_NC_DOWN_ACCEPTED, 1);
    count_phase(c, c->phase, true);
    s->owner = c;
    s->event = proxy_event;
    weir_stream_start(s, started);
}

void weir_client_drain(struct weir_client *c)
{
    if (c->conn.codec != NULL)
        c->conn.codec->ops->drain(c->conn.codec);
    else
        end(c, false);
}
