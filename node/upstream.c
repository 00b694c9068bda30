/* How an opening ends:
 *   an address answers           -> codec made, weir_pool_opened
 *   an address refuses           -> the next address; after the last one weir_pool_open_failed
 *   the connect clock runs out   -> weir_pool_open_failed, whatever address it is at
 *   the pool closes it meanwhile -> the stream is closed, nothing is reported */
#include "node/upstream.h"

#include <assert.h>
#include <stdlib.h>

#include "node/request.h"

/* A peer that says `Keep-Alive: timeout=N` closes at N; this much earlier the connection is no longer offered. */
#define PEER_KEEPALIVE_MARGIN_MS 500u

/* An answer that is not passed on is read to its end if it is short, for that costs less than a new connection. */
#define READ_OUT_BYTES_MAX 16384
#define READ_OUT_MS_MAX    1000u

static void stream_started(struct weir_stream *s, int code, const struct weir_err *err);

static void count(const struct weir_upstream *u, enum weir_endpoint_counter id, uint64_t n)
{
    weir_endpoint_add(&u->pooled.endpoint->local[u->worker->index].counters, id, n);
}

/* -- opening -- */

static void end_dial(struct weir_upstream *u)
{
    weir_deadline_clear(&u->deadline);
    if (u->hold != NULL)
        weir_hold_drop(u->hold);
    u->hold = NULL;
    u->target = NULL;
}

/* Tries the addresses from the next one on. Non-zero: none is left that could even be tried. */
static int dial_next(struct weir_upstream *u, struct weir_err *err)
{
    const struct weir_view_endpoint *t = u->target;
    while (u->next_address < t->address_count) {
        const struct weir_addr *a = &t->addresses[u->next_address++];
        if (weir_tcp_connect(&u->dialing, &u->worker->reactor, &a->sa, weir_addr_len(a), t->provider->tcp, err) != 0)
            continue;
        u->dialing->owner = u;
        weir_stream_start(u->dialing, stream_started);
        return 0;
    }
    return err->code;
}

static enum weir_endpoint_counter failure_class(int code)
{
    switch (code) {
    case WEIR_ENOTFOUND:
        return WEIR_EC_CONNECT_DNS;
    case WEIR_ETIMEOUT:
        return WEIR_EC_TIMEOUT_CONNECT;
    case WEIR_EREFUSED:
        return WEIR_EC_CONNECT_REFUSED;
    case WEIR_EUNREACHABLE:
        return WEIR_EC_CONNECT_UNREACHABLE;
    case WEIR_ECLOSED:
        return WEIR_EC_CONNECT_RESET;
    case WEIR_ELIMIT:
    case WEIR_ENOMEM:
        return WEIR_EC_CONNECT_RESOURCES;
    default:
        return WEIR_EC_CONNECT_OTHER;
    }
}

static void open_failed(struct weir_upstream *u, const struct weir_err *why)
{
    struct weir_err err = *why;
    count(u, failure_class(err.code), 1);
    atomic_store_explicit(&u->pooled.endpoint->last_connect_failed, true, memory_order_relaxed);
    end_dial(u);
    weir_pool_open_failed(&u->worker->pool, &u->pooled, &err);
}

static bool make_codec(struct weir_upstream *u);

static void stream_started(struct weir_stream *s, int code, const struct weir_err *err)
{
    struct weir_upstream *u = s->owner;
    struct weir_err why;
    if (code != 0) {
        why = *err;
        weir_stream_close(&u->dialing, false);
        if (dial_next(u, &why) != 0)
            open_failed(u, &why);
        return;
    }
    if (!make_codec(u)) {
        weir_err_set(&why, WEIR_ENOMEM, "connect to %s: out of memory", u->pooled.endpoint->id);
        open_failed(u, &why);
        return;
    }
    u->connect_us = weir_worker_now_us(u->worker) - u->dial_us;
    weir_hist_observe(&u->pooled.endpoint->provider->local[u->worker->index].counters, WEIR_H_CONNECT, u->connect_us);
    weir_latency_observe(&u->pooled.endpoint->local[u->worker->index].counters, WEIR_LATENCY_CONNECT, u->connect_us,
                         weir_worker_now_us(u->worker));
    atomic_store_explicit(&u->pooled.endpoint->last_connect_failed, false, memory_order_relaxed);
    end_dial(u);
    weir_pool_opened(&u->worker->pool, &u->pooled);
}

static void deadline_passed(struct weir_deadline *d, uint64_t now_ms)
{
    (void)now_ms;
    struct weir_upstream *u = WEIR_CONTAINER(d, struct weir_upstream, deadline);
    if (u->target == NULL) {
        weir_pool_discard(&u->worker->pool, &u->pooled, WEIR_EC_CLOSED_EXPIRED);
        return;
    }
    struct weir_err err;
    weir_err_set(&err, WEIR_ETIMEOUT, "connect to %s: timed out after %llu ms", u->pooled.endpoint->id,
                 (unsigned long long)u->target->provider->config->http.timeout.connect_ms);
    weir_stream_close(&u->dialing, true);
    open_failed(u, &err);
}

static struct weir_pool_conn *open_conn(void *arg, struct weir_endpoint *e, const void *target, struct weir_err *why)
{
    struct weir_worker *w = arg;
    const struct weir_upstream_target *wanted = target;
    const struct weir_view_endpoint *t = wanted->endpoint;
    weir_err_set(why, WEIR_ENOTFOUND, "the name %s does not resolve", t->config->host);
    struct weir_upstream *u = t->address_count > 0 ? malloc(sizeof *u) : NULL;
    if (t->address_count > 0 && u == NULL)
        weir_err_set(why, WEIR_ENOMEM, "connect to %s: out of memory", e->id);
    if (u != NULL) {
        *u = (struct weir_upstream){.worker = w, .target = t, .close_reason = WEIR_EC_CLOSED_FAILED};
        u->dial_us = weir_worker_now_us(w);
        weir_deadline_init(&u->deadline, deadline_passed);
        if (dial_next(u, why) == 0) {
            u->hold = weir_hold_use(wanted->hold);
            weir_list_push_back(&w->upstreams, &u->link);
            weir_reactor_deadline(&w->reactor, &u->deadline,
                                  w->reactor.now_ms + t->provider->config->http.timeout.connect_ms);
            return &u->pooled;
        }
        free(u);
    }
    weir_endpoint_add(&e->local[w->index].counters, failure_class(why->code), 1);
    atomic_store_explicit(&e->last_connect_failed, true, memory_order_relaxed);
    return NULL;
}

/* -- in use -- */

static void count_bytes_here(struct weir_upstream *u)
{
    struct weir_endpoint_counters *c = &u->pooled.endpoint->local[u->worker->index].counters;
    u->conn.in_cell = &c->at[WEIR_EC_RECEIVED];
    u->conn.out_cell = &c->at[WEIR_EC_SENT];
}

static void codec_idle(struct weir_codec *c, bool reusable)
{
    struct weir_upstream *u = c->owner;
    if (u->request == NULL && u->pooled.parked)
        return;
    u->request = NULL;
    if (reusable)
        weir_pool_release(&u->worker->pool, &u->pooled);
    else
        weir_pool_discard(&u->worker->pool, &u->pooled, WEIR_EC_CLOSED_ASKED);
}

static void codec_closed(struct weir_codec *c, const struct weir_reset *why)
{
    (void)why;
    struct weir_upstream *u = c->owner;
    u->request = NULL;
    weir_pool_discard(&u->worker->pool, &u->pooled, u->pooled.parked ? WEIR_EC_CLOSED_IDLE_PEER : u->close_reason);
}

static const struct weir_codec_events codec_events = {.idle = codec_idle, .closed = codec_closed};

static bool make_codec(struct weir_upstream *u)
{
    struct weir_stream *s = u->dialing;
    weir_http_conn_init(&u->conn, s, false);
    count_bytes_here(u);
    u->limits = u->worker->response_limits;
    struct weir_codec *codec = weir_h1_client_new(&u->limits, &codec_events, u, &u->conn.out);
    if (codec == NULL) {
        weir_outbox_close(&u->conn.out);
        weir_stream_close(&u->dialing, true);
        return false;
    }
    u->dialing = NULL;
    weir_http_conn_run(&u->conn, codec, NULL, 0);
    return true;
}

struct weir_exchange *weir_upstream_open(struct weir_upstream *u, struct weir_request *r)
{
    u->request = r;
    u->close_reason = WEIR_EC_CLOSED_FAILED;
    struct weir_exchange *x = u->conn.codec->ops->open(u->conn.codec);
    if (x == NULL) {
        u->request = NULL;
        weir_pool_discard(&u->worker->pool, &u->pooled, WEIR_EC_CLOSED_FAILED);
        return NULL;
    }
    x->events = &weir_request_up_events;
    x->user = r;
    x->arena = &r->arena;
    return x;
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
    if (!head->keep_alive || (head->has_body && head->content_length < 0) || head->content_length > READ_OUT_BYTES_MAX)
        return false;
    u->request = NULL;
    x->events = &rest_events;
    x->user = u;
    x->arena = NULL;
    weir_reactor_deadline(&u->worker->reactor, &u->deadline, u->worker->reactor.now_ms + READ_OUT_MS_MAX);
    if (head->has_body && head->content_length > 0)
        x->ops->grant(x, (size_t)head->content_length);
    return true;
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
            open_failed(u, &err);
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
    end_dial(u);
    weir_list_remove(&u->link);
    weir_deadline_drop(&u->worker->reactor.wheel, &u->deadline);
    if (u->dialing != NULL)
        weir_stream_close(&u->dialing, true);
    if (u->conn.codec != NULL)
        weir_http_conn_close(&u->conn, false);
    free(u);
}

static bool disturbed(const struct weir_pool_conn *c)
{
    const struct weir_upstream *u = WEIR_CONTAINER(c, struct weir_upstream, pooled);
    return weir_stream_disturbed(u->conn.stream);
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
    .open = open_conn,
    .close = close_conn,
    .disturbed = disturbed,
    .parked = parked,
    .unparked = unparked,
    .detach = detach,
    .attach = attach,
    .now_ms = now_ms,
    .now_us = now_us,
};
