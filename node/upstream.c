/* A connection in use and parked; upstream_open.c has how it comes to be. */
#include "node/upstream.h"

#include <errno.h>
#include <stdlib.h>

#include "http/h2.h"
#include "node/request.h"
#include "node/upstream_inner.h"

/* A peer that says `Keep-Alive: timeout=N` closes at N; this much earlier the connection is no longer offered. */
#define PEER_KEEPALIVE_MARGIN_MS 500u

/* An answer that is not passed on is read to its end if it is short, for that costs less than a new connection. */
#define READ_OUT_BYTES_MAX 16384
#define READ_OUT_MS_MAX    1000u

/* A peer that was heard of this recently has not gone away without a word. */
#define LIVELY_US 1000000u

/* -- in use -- */

static void count_bytes_here(struct weir_upstream *u)
{
    struct weir_endpoint_counters *c = &u->pooled.endpoint->local[u->worker->index].counters;
    u->conn.in_cell = &c->at[WEIR_EC_RECEIVED];
    u->conn.out_cell = &c->at[WEIR_EC_SENT];
}

static void count(const struct weir_upstream *u, enum weir_endpoint_counter id, uint64_t n)
{
    weir_endpoint_add(&u->pooled.endpoint->local[u->worker->index].counters, id, n);
}

/* A gauge: what left it is added as its complement. */
static void count_streams(struct weir_upstream *u, uint32_t now)
{
    if (!u->http2)
        return;
    count(u, WEIR_EC_STREAMS_ACTIVE, (uint64_t)now - u->streams_counted);
    u->streams_counted = now;
}

/* The peer's verdict on our certificate may come as late as in place of its first bytes (TLS 1.3). */
static void judge_handshake(struct weir_upstream *u)
{
    struct weir_err err;
    enum weir_tls_fail fail = weir_tls_failed(u->conn.stream);
    if (fail == WEIR_TLS_FAIL_NONE && u->conn.codec->bytes_in == 0)
        return;
    if (fail != WEIR_TLS_FAIL_NONE)
        (void)weir_tls_read_error(u->conn.stream, &err);
    weir_upstream_note_handshake(u, fail, fail != WEIR_TLS_FAIL_NONE ? err.msg : NULL);
}

static void codec_idle(struct weir_codec *c, bool reusable)
{
    struct weir_upstream *u = c->owner;
    judge_handshake(u);
    if (u->pooled.parked)
        return;
    if (reusable)
        weir_pool_release(&u->worker->pool, &u->pooled);
    else
        weir_pool_discard(&u->worker->pool, &u->pooled, WEIR_EC_CLOSED_ASKED);
}

static void codec_closed(struct weir_codec *c, const struct weir_reset *why)
{
    (void)why;
    struct weir_upstream *u = c->owner;
    judge_handshake(u);
    weir_pool_discard(&u->worker->pool, &u->pooled, u->pooled.parked ? WEIR_EC_CLOSED_IDLE_PEER : u->close_reason);
}

/* What the next dial to the endpoint may count on. */
static void note_places(const struct weir_upstream *u, const struct weir_codec *c)
{
    uint32_t places = c->exchanges_max;
    if (places > 0 && (!u->http2 || weir_h2_settled(c)))
        atomic_store_explicit(&u->pooled.endpoint->conn_places, places, memory_order_relaxed);
}

static void codec_slots(struct weir_codec *c)
{
    struct weir_upstream *u = c->owner;
    judge_handshake(u);
    count_streams(u, c->exchanges_open);
    note_places(u, c);
    if (c->exchanges_max == 0 && !u->going_away)
        count(u, WEIR_EC_GOAWAYS, 1);
    u->going_away = c->exchanges_max == 0;
    weir_pool_slots(&u->worker->pool, &u->pooled);
}

static const struct weir_codec_events codec_events = {.idle = codec_idle, .closed = codec_closed, .slots = codec_slots};

void weir_upstream_ping_due(struct weir_deadline *d, uint64_t now_ms)
{
    struct weir_upstream *u = WEIR_CONTAINER(d, struct weir_upstream, ping);
    uint64_t heard_ms = u->conn.last_read_us / 1000;
    if (heard_ms + u->ping_ms > now_ms) {
        weir_reactor_deadline(&u->worker->reactor, d, heard_ms + u->ping_ms);
        return;
    }
    if (u->ping_in_use && u->pooled.parked) {
        weir_reactor_deadline(&u->worker->reactor, d, now_ms + u->ping_ms);
        return;
    }
    if (weir_h2_ping_pending(u->conn.codec)) {
        count(u, WEIR_EC_PINGS_LOST, 1);
        u->conn.codec->ops->eof(u->conn.codec, -ETIMEDOUT); /* tells its requests, then `closed` */
        return;
    }
    weir_h2_ping(u->conn.codec);
    weir_reactor_deadline(&u->worker->reactor, d, now_ms + u->ping_ms);
}

static struct weir_codec *make_codec(struct weir_upstream *u, bool http2)
{
    if (!http2)
        return weir_h1_client_new(&u->limits, &codec_events, u, &u->conn.out);
    const struct weir_config_http *config = &u->target->provider->config->http;
    struct weir_h2_options options;
    weir_h2_options_init(&options, false);
    options.stream_window = (uint32_t)config->http2_stream_window_bytes;
    if (options.conn_window < options.stream_window)
        options.conn_window = options.stream_window;
    options.https = u->target->config->tls;
    u->ping_ms = config->http2_ping_interval_ms;
    /* There are many links, and whether a peer is there is found out in other ways too. */
    u->ping_in_use = u->target->provider->is_link;
    return weir_h2_client_new(&u->limits, &options, &codec_events, u, &u->conn.out);
}

bool weir_upstream_run(struct weir_upstream *u, struct weir_stream *s, bool http2)
{
    weir_http_conn_init(&u->conn, s, false);
    count_bytes_here(u);
    u->limits = u->target->provider->is_link ? u->worker->peer_response_limits : u->worker->response_limits;
    u->http2 = http2;
    struct weir_codec *codec = make_codec(u, http2);
    if (codec == NULL) {
        weir_outbox_close(&u->conn.out);
        weir_stream_close(&s, true);
        return false;
    }
    note_places(u, codec);
    count(u, WEIR_EC_CREATED_HTTP2, http2);
    weir_http_conn_run(&u->conn, codec, NULL, 0);
    if (http2 && u->ping_ms > 0)
        weir_reactor_deadline(&u->worker->reactor, &u->ping, u->worker->reactor.now_ms + u->ping_ms);
    return true;
}

struct weir_exchange *weir_upstream_open(struct weir_upstream *u, struct weir_request *r)
{
    u->close_reason = WEIR_EC_CLOSED_FAILED;
    struct weir_exchange *x = u->conn.codec->ops->open(u->conn.codec);
    if (x == NULL) {
        if (u->conn.codec->exchanges_open > 0) /* out of memory for this one: the others go on */
            weir_pool_release(&u->worker->pool, &u->pooled);
        else
            weir_pool_discard(&u->worker->pool, &u->pooled, WEIR_EC_CLOSED_FAILED);
        return NULL;
    }
    count(u, WEIR_EC_STREAMS, u->http2);
    count_streams(u, u->conn.codec->exchanges_open);
    x->events = &weir_request_up_events;
    x->user = r;
    x->arena = &r->arena;
    return x;
}

void weir_upstream_let_go(struct weir_upstream *u, struct weir_exchange *x, enum weir_endpoint_counter reason)
{
    if (!u->http2)
        u->close_reason = reason;
    x->ops->reset(x, WEIR_RESET_CANCEL);
}

/* -- a body that nobody wants -- */

static void rest_head(struct weir_exchange *x, struct weir_head *head)
{
    (void)x;
    (void)head;
}

static void rest_body(struct weir_exchange *x, const uint8_t *p, size_t n)
{
    (void)x;
    (void)p;
    (void)n;
}

static void rest_end(struct weir_exchange *x, const struct weir_fields *trailers)
{
    struct weir_upstream *u = x->user;
    (void)trailers;
    weir_deadline_clear(&u->deadline);
}

static void rest_reset(struct weir_exchange *x, const struct weir_reset *why)
{
    (void)x;
    (void)why;
}

static void rest_room(struct weir_exchange *x, size_t room)
{
    (void)x;
    (void)room;
}

static const struct weir_exchange_events rest_events = {
    .head = rest_head, .body = rest_body, .end = rest_end, .reset = rest_reset, .room = rest_room};

bool weir_upstream_read_out(struct weir_upstream *u, struct weir_exchange *x, const struct weir_head *head)
{
    /* Of known length: chunks could bring trailers, for which there is no arena any more. */
    if (u->http2 || !head->keep_alive || (head->has_body && head->content_length < 0) ||
        head->content_length > READ_OUT_BYTES_MAX)
        return false;
    x->events = &rest_events;
    x->user = u;
    x->arena = NULL;
    weir_reactor_deadline(&u->worker->reactor, &u->deadline, u->worker->reactor.now_ms + READ_OUT_MS_MAX);
    if (head->has_body && head->content_length > 0)
        x->ops->grant(x, (size_t)head->content_length);
    return true;
}

struct weir_address *weir_upstream_address(const struct weir_upstream *u, const struct weir_view_endpoint *e)
{
    for (unsigned i = 0; e->address_count > 1 && i < e->address_count; i++)
        if (e->records[i] == u->address)
            return u->address;
    return NULL;
}

bool weir_upstream_close_all(struct weir_worker *w)
{
    bool any = false;
    struct weir_err err;
    weir_err_set(&err, WEIR_ECLOSED, "the node stops");
    WEIR_LIST_EACH_SAFE(at, &w->upstreams)
    {
        struct weir_upstream *u = WEIR_CONTAINER(at, struct weir_upstream, link);
        any = true;
        if (u->target != NULL)
            weir_upstream_open_failed(u, &err);
        else
            weir_pool_discard(&w->pool, &u->pooled, WEIR_EC_CLOSED_CONFIG);
    }
    return any;
}

/* -- the pool's side -- */

static void close_conn(void *arg, struct weir_pool_conn *c)
{
    (void)arg;
    struct weir_upstream *u = weir_upstream_of(c);
    weir_list_remove(&u->link);
    weir_deadline_drop(&u->worker->reactor.wheel, &u->deadline);
    weir_deadline_drop(&u->worker->reactor.wheel, &u->ping);
    weir_upstream_stop_opening(u);
    if (u->address != NULL)
        weir_address_unref(u->address);
    count_streams(u, 0);
    if (u->conn.codec != NULL)
        weir_http_conn_close(&u->conn, false);
    free(u);
}

static bool disturbed(const struct weir_pool_conn *c)
{
    const struct weir_upstream *u = WEIR_CONTAINER(c, struct weir_upstream, pooled);
    if (u->http2) /* a peer may say much between requests: the codec hears it */
        return (u->conn.stream->source.ready & WEIR_READY_HUP) != 0;
    return weir_stream_disturbed(u->conn.stream);
}

static bool shared(const struct weir_pool_conn *c)
{
    return WEIR_CONTAINER(c, struct weir_upstream, pooled)->http2;
}

static uint32_t slots(const struct weir_pool_conn *c)
{
    const struct weir_codec *codec = WEIR_CONTAINER(c, struct weir_upstream, pooled)->conn.codec;
    uint32_t allowed = codec->ops->slots(codec), open = codec->exchanges_open;
    if (weir_h2_settled(codec))
        return allowed;
    /* Until the peer has said how many it takes, what its last connection took: some close the connection over one too
     * many, rather than refuse that stream. */
    uint32_t left = c->places > open ? c->places - open : 0;
    return left < allowed ? left : allowed;
}

static bool busy(const struct weir_pool_conn *c)
{
    return WEIR_CONTAINER(c, struct weir_upstream, pooled)->conn.codec->exchanges_open > 0;
}

static bool lively(void *arg, const struct weir_pool_conn *c)
{
    const struct weir_worker *w = arg;
    const struct weir_upstream *u = WEIR_CONTAINER(c, struct weir_upstream, pooled);
    return w->reactor.now_us - u->conn.last_read_us < LIVELY_US;
}

static enum weir_endpoint_counter spent(void *arg, const struct weir_pool_conn *c)
{
    struct weir_worker *w = arg;
    const struct weir_upstream *u = WEIR_CONTAINER(c, struct weir_upstream, pooled);
    if (u->settings != atomic_load_explicit(&c->endpoint->settings, memory_order_relaxed))
        return WEIR_EC_CLOSED_CONFIG;
    if (u->address == NULL)
        return 0;
    bool moved = atomic_load_explicit(&u->address->gone, memory_order_relaxed) ||
                 weir_address_out(u->address, w->reactor.now_ms);
    return moved ? WEIR_EC_CLOSED_MOVED : 0;
}

static void parked(void *arg, struct weir_pool_conn *c, uint32_t expiry_ms)
{
    struct weir_worker *w = arg;
    struct weir_upstream *u = weir_upstream_of(c);
    uint32_t peer_ms = u->conn.codec->peer_keepalive_ms;
    if (peer_ms > PEER_KEEPALIVE_MARGIN_MS)
        peer_ms -= PEER_KEEPALIVE_MARGIN_MS;
    if (peer_ms != 0 && (expiry_ms == 0 || peer_ms < expiry_ms))
        expiry_ms = peer_ms;
    u->conn.watch_idle = true;
    if (expiry_ms != 0)
        weir_reactor_deadline(&w->reactor, &u->deadline, w->reactor.now_ms + expiry_ms);
}

static void unparked(void *arg, struct weir_pool_conn *c)
{
    (void)arg;
    struct weir_upstream *u = weir_upstream_of(c);
    u->conn.watch_idle = false;
    weir_deadline_clear(&u->deadline);
}

static void detach(void *arg, struct weir_pool_conn *c)
{
    struct weir_worker *w = arg;
    struct weir_upstream *u = weir_upstream_of(c);
    weir_deadline_drop(&w->reactor.wheel, &u->deadline);
    weir_list_remove(&u->link);
    weir_http_conn_detach(&u->conn);
}

static int attach(void *arg, struct weir_pool_conn *c)
{
    struct weir_worker *w = arg;
    struct weir_upstream *u = weir_upstream_of(c);
    u->worker = w;
    weir_list_push_back(&w->upstreams, &u->link);
    count_bytes_here(u);
    return weir_http_conn_attach(&u->conn, &w->reactor);
}

static uint64_t now_ms(void *arg)
{
    return ((struct weir_worker *)arg)->reactor.now_ms;
}

static uint64_t now_us(void *arg)
{
    return ((struct weir_worker *)arg)->reactor.now_us;
}

const struct weir_connector weir_upstream_connector = {
    .open = weir_upstream_begin,
    .close = close_conn,
    .disturbed = disturbed,
    .spent = spent,
    .places = weir_upstream_places,
    .shared = shared,
    .slots = slots,
    .busy = busy,
    .lively = lively,
    .parked = parked,
    .unparked = unparked,
    .detach = detach,
    .attach = attach,
    .now_ms = now_ms,
    .now_us = now_us,
};
