#include "node/worker.h"

#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

#include "http/h2.h"
#include "node/client.h"
#include "node/cluster_view.h"
#include "node/node.h"
#include "node/request.h"
#include "node/trace_ring.h"
#include "node/upstream.h"

/* While server.max_connections is reached: how often it is looked at whether another worker's client has gone. */
#define ACCEPT_RETRY_MS 50u

/* x-weir-peer and x-request-id, x-weir-node and x-weir-shard, with room to spare. */
#define PEER_ADDS_BYTES  1024u
#define PEER_ADDS_FIELDS 4u

static void abort_clients(struct weir_worker *w, const char *reason)
{
    WEIR_LIST_EACH_SAFE(at, &w->clients)
    {
        weir_client_abort(WEIR_CONTAINER(at, struct weir_client, link), reason);
    }
}

/* -- accepting -- */

struct handed_over {
    struct weir_message message; /* first */
    struct weir_worker *to;
    unsigned listener;
    int fd;
    struct weir_addr peer;
};

static void hold_accepting(struct weir_worker *w, bool held)
{
    w->accept_held = held;
    for (unsigned i = 0; i < w->listener_count; i++)
        if (w->listeners[i].socket.open && weir_worker_listener_is_limited(&w->listeners[i]))
            weir_listener_hold(&w->listeners[i].socket, held);
    if (held)
        weir_reactor_deadline(&w->reactor, &w->accept_retry, w->reactor.now_ms + ACCEPT_RETRY_MS);
    else
        weir_deadline_clear(&w->accept_retry);
}

static bool full(const struct weir_worker *w)
{
    return atomic_load_explicit(&w->node->clients, memory_order_relaxed) >=
           w->hold->view->config->server.max_connections;
}

static void retry_accepting(struct weir_deadline *d, uint64_t now_ms)
{
    struct weir_worker *w = WEIR_CONTAINER(d, struct weir_worker, accept_retry);
    if (full(w))
        weir_reactor_deadline(&w->reactor, d, now_ms + ACCEPT_RETRY_MS);
    else
        hold_accepting(w, false);
}

static void take_over(struct weir_message *m, void *receiver)
{
    (void)receiver;
    struct handed_over *h = (struct handed_over *)m;
    struct weir_worker *w = h->to;
    weir_client_begin(w, &w->listeners[h->listener], h->fd, &h->peer);
    free(h);
    if (w->cut) /* it was on its way when the others were cut off */
        abort_clients(w, "drain_timeout");
}

/* The worker with the fewest connections, when this one has more than it by over an eighth. */
static struct weir_worker *less_loaded(struct weir_worker *w)
{
    struct weir_worker *best = w;
    uint32_t least = w->client_count;
    for (unsigned i = 0; i < w->node->worker_count; i++) {
        struct weir_worker *other = &w->node->workers[i];
        uint32_t load = atomic_load_explicit(&other->load_shown, memory_order_relaxed);
        if (load < least) {
            least = load;
            best = other;
        }
    }
    return w->client_count > least + least / 8 ? best : w;
}

static void accepted(struct weir_listener *socket, int fd, const struct weir_addr *peer)
{
    struct weir_worker_listener *l = WEIR_CONTAINER(socket, struct weir_worker_listener, socket);
    struct weir_worker *w = socket->owner;
    bool limited = weir_worker_listener_is_limited(l);
    atomic_fetch_add_explicit(&w->node->clients, limited, memory_order_relaxed);
    if (limited && !w->accept_held && !w->draining && full(w))
        hold_accepting(w, true);
    struct weir_worker *to = w->draining ? w : less_loaded(w);
    struct handed_over *h = to != w ? malloc(sizeof *h) : NULL;
    if (h == NULL) {
        weir_client_begin(w, l, fd, peer);
        return;
    }
    *h = (struct handed_over){{.handle = take_over}, to, (unsigned)(l - w->listeners), fd, *peer};
    /* Seen by the next accept here before the other worker has run. */
    atomic_fetch_add_explicit(&to->load_shown, 1, memory_order_relaxed);
    weir_node_add(w->counters, WEIR_NC_FD_HANDED_OVER, 1);
    weir_mailbox_post(&to->reactor.mailbox, &h->message);
}

static void accept_trouble(struct weir_listener *socket, int error)
{
    struct weir_worker *w = socket->owner;
    struct weir_log_line l;
    if (error != 0)
        weir_node_add(w->counters, WEIR_NC_ACCEPT_FAILED, 1);
    weir_log_begin(&l, w->log, error != 0 ? WEIR_LOG_ERROR : WEIR_LOG_INFO,
                   error != 0 ? "accept_failed" : "accept_works",
                   error != 0 ? "cannot accept connections" : "accepting connections again");
    if (error != 0)
        weir_log_text(&l, "reason", strerrordesc_np(error));
    weir_log_end(&l);
}

static void start_listeners(struct weir_worker *w)
{
    for (unsigned i = 0; i < w->listener_count; i++) {
        struct weir_worker_listener *l = &w->listeners[i];
        l->socket.accepted = accepted;
        l->socket.trouble = accept_trouble;
        l->socket.owner = w;
        if (weir_listener_start(&l->socket, &w->reactor, l->fd) == 0)
            l->fd = -1;
        else
            weir_log_simple(w->log, WEIR_LOG_ERROR, "listen_failed", "a listening socket could not be watched");
    }
}

/* -- views -- */

struct view_message {
    struct weir_message message; /* first */
    struct weir_worker *worker;
    struct weir_view *view;
};

/* A head that was good where it came into the cluster is good on a link too. */
static struct weir_http_limits on_link(struct weir_http_limits l)
{
    l.fields_max += PEER_ADDS_FIELDS;
    l.head_bytes_max += PEER_ADDS_BYTES + l.fields_max * WEIR_H2_FIELD_OVERHEAD;
    return l;
}

static void apply_limits(struct weir_worker *w, const struct weir_config *c)
{
    w->limits = (struct weir_http_limits){.head_bytes_max = c->server.head_bytes_max,
                                          .fields_max = c->server.headers_max,
                                          .body_bytes_max = c->server.body_bytes_max};
    w->peer_limits = on_link(w->limits);
    /* Answers carry more fields than requests: rate limits, cookies, tracing. */
    w->response_limits = (struct weir_http_limits){.head_bytes_max = 4 * c->server.head_bytes_max,
                                                   .fields_max = 2 * c->server.headers_max};
    w->peer_response_limits = on_link(w->response_limits);
}

/* To peers that are gone, or elsewhere. */
static void close_links(struct weir_worker *w, const struct weir_cluster_view *old)
{
    for (uint32_t i = 0; old != NULL && i < old->peer_count; i++)
        if (old->peers[i].rt != NULL && atomic_load(&old->peers[i].link.endpoints[0].rt->retired))
            weir_pool_close_parked(&w->pool, old->peers[i].link.rt, false);
}

static void take_view(struct weir_message *m, void *receiver)
{
    (void)receiver;
    struct view_message *vm = (struct view_message *)m;
    struct weir_worker *w = vm->worker;
    struct weir_hold *old = w->hold;
    struct weir_hold *hold = weir_hold_new(vm->view);
    if (hold == NULL) {
        weir_log_simple(w->log, WEIR_LOG_ERROR, "out_of_memory", "a worker keeps its old configuration: out of memory");
        weir_view_unref(vm->view);
        free(vm);
        return;
    }
    w->hold = hold;
    apply_limits(w, hold->view->config);
    if (old == NULL) {
        start_listeners(w);
    } else {
        for (unsigned i = 0; i < old->view->provider_count; i++)
            weir_pool_close_parked(&w->pool, old->view->providers[i].rt, false);
        close_links(w, old->view->cluster);
        for (unsigned i = 0; i < hold->view->provider_count; i++)
            weir_pool_settle(&w->pool, hold->view->providers[i].rt);
        for (unsigned i = 0; i < hold->view->provider_count; i++)
            weir_waitline_settle(&hold->view->providers[i].rt->limit.line, &w->pool);
        weir_hold_supersede(old);
    }
    free(vm);
}

int weir_worker_post_view(struct weir_worker *w, struct weir_view *v)
{
    struct view_message *m = malloc(sizeof *m);
    if (m == NULL)
        return WEIR_ENOMEM;
    *m = (struct view_message){{.handle = take_view}, w, v};
    weir_mailbox_post(&w->reactor.mailbox, &m->message);
    return 0;
}

/* -- drain and stop -- */

static uint32_t proxy_clients(const struct weir_worker *w)
{
    return w->client_count - w->admin_client_count;
}

void weir_worker_ended_something(struct weir_worker *w)
{
    if (w->reactor.lag_us_max > atomic_load_explicit(&w->lag_us_shown, memory_order_relaxed))
        atomic_store_explicit(&w->lag_us_shown, w->reactor.lag_us_max, memory_order_relaxed);
    if (w->reactor.lag_us_max > atomic_load_explicit(&w->lag_us_slot, memory_order_relaxed))
        atomic_store_explicit(&w->lag_us_slot, w->reactor.lag_us_max, memory_order_relaxed);
    w->reactor.lag_us_max = 0;
    if (w->accept_held && !full(w))
        hold_accepting(w, false);
    if (w->draining && w->last_accepts.due_ms == WEIR_NEVER && proxy_clients(w) == 0 && w->request_count == 0 &&
        !atomic_exchange(&w->drained_posted, true)) {
        w->drained.handle = w->node->worker_drained;
        weir_mailbox_post(w->node->control_mailbox, &w->drained);
    }
}

static void close_listeners(struct weir_deadline *d, uint64_t now_ms)
{
    (void)now_ms;
    struct weir_worker *w = WEIR_CONTAINER(d, struct weir_worker, last_accepts);
    for (unsigned i = 0; i < w->listener_count; i++)
        if (w->listeners[i].serves_proxy)
            weir_listener_close(&w->listeners[i].socket);
    weir_worker_ended_something(w);
}

static void close_idle(struct weir_deadline *d, uint64_t now_ms)
{
    (void)now_ms;
    struct weir_worker *w = WEIR_CONTAINER(d, struct weir_worker, drain_grace);
    WEIR_LIST_EACH_SAFE(at, &w->clients)
    {
        struct weir_client *c = WEIR_CONTAINER(at, struct weir_client, link);
        /* The admin ports stay open till the end, and what one has just accepted may not have said its request yet. */
        if (c->serves_proxy)
            weir_client_drain(c);
    }
}

static void cut_off(struct weir_deadline *d, uint64_t now_ms)
{
    struct weir_worker *w = WEIR_CONTAINER(d, struct weir_worker, drain_timeout);
    struct weir_log_line l;
    weir_log_begin(&l, w->log, WEIR_LOG_WARN, "drain_timeout", "requests were cut off: the drain timeout ran out");
    weir_log_u64(&l, "clients", proxy_clients(w));
    weir_log_u64(&l, "requests", w->request_count);
    weir_log_end(&l);
    (void)now_ms;
    w->cut = true;
    abort_clients(w, "drain_timeout");
}

static void drain(struct weir_message *m, void *receiver)
{
    (void)receiver;
    struct weir_worker *w = WEIR_CONTAINER(m, struct weir_worker, drain_order);
    w->draining = true;
    for (unsigned i = 0; i < w->listener_count; i++)
        if (w->listeners[i].serves_proxy)
            weir_listener_turn_away(&w->listeners[i].socket);
    weir_reactor_deadline(&w->reactor, &w->last_accepts, w->reactor.now_ms + WEIR_LISTENER_LAST_MS);
    weir_reactor_deadline(&w->reactor, &w->drain_grace, w->reactor.now_ms + w->drain_grace_ms);
    weir_reactor_deadline(&w->reactor, &w->drain_timeout, w->reactor.now_ms + w->drain_timeout_ms);
}

static void stop(struct weir_message *m, void *receiver)
{
    (void)receiver;
    struct weir_worker *w = WEIR_CONTAINER(m, struct weir_worker, stop_order);
    abort_clients(w, "stopped");
    weir_reactor_stop(&w->reactor);
}

void weir_worker_post_drain(struct weir_worker *w, uint64_t grace_ms, uint64_t timeout_ms)
{
    w->drain_order.handle = drain;
    w->drain_grace_ms = grace_ms;
    w->drain_timeout_ms = timeout_ms;
    weir_mailbox_post(&w->reactor.mailbox, &w->drain_order);
}

void weir_worker_post_stop(struct weir_worker *w)
{
    w->stop_order.handle = stop;
    weir_mailbox_post(&w->reactor.mailbox, &w->stop_order);
}

/* -- life -- */

int weir_worker_init(struct weir_worker *w, struct weir_node *node, unsigned index, struct weir_err *err)
{
    *w = (struct weir_worker){.node = node, .index = index};
    if (getrandom(&w->rng.state, sizeof w->rng.state, 0) != (ssize_t)sizeof w->rng.state)
        w->rng.state = weir_clock_us() + index;
    w->counters = weir_alloc_lines(sizeof *w->counters);
    if (w->counters == NULL)
        return weir_err_set(err, WEIR_ENOMEM, "worker %u: out of memory", index);
    int rv = weir_reactor_init(&w->reactor, err);
    if (rv != 0) {
        free(w->counters);
        return weir_err_wrap(err, "worker %u", index);
    }
    w->reactor.user = w;
    weir_list_init(&w->clients);
    weir_list_init(&w->upstreams);
    weir_deadline_init(&w->accept_retry, retry_accepting);
    weir_deadline_init(&w->last_accepts, close_listeners);
    weir_deadline_init(&w->drain_grace, close_idle);
    weir_deadline_init(&w->drain_timeout, cut_off);
    w->pool = (struct weir_pool){.worker = index,
                                 .worker_count = node->worker_count,
                                 .peers = node->pools,
                                 .mailbox = &w->reactor.mailbox,
                                 .connector = &weir_upstream_connector,
                                 .arg = w};
    node->pools[index] = &w->pool;
    return 0;
}

void weir_worker_main(void *worker)
{
    struct weir_worker *w = worker;
    if (weir_log_join(w->node->log, &w->log) != 0)
        w->log = NULL;
    weir_reactor_run(&w->reactor);
    if (w->log != NULL)
        weir_log_leave(w->log);
    w->log = NULL;
}

bool weir_worker_sweep(struct weir_worker *w)
{
    weir_mailbox_drain(&w->reactor.mailbox);
    bool any = !weir_list_empty(&w->clients);
    abort_clients(w, "stopped");
    return weir_upstream_close_all(w) || any;
}

void weir_worker_close(struct weir_worker *w)
{
    for (unsigned i = 0; i < w->listener_count; i++) {
        weir_listener_close(&w->listeners[i].socket);
        if (w->listeners[i].fd >= 0)
            close(w->listeners[i].fd);
    }
    weir_deadline_drop(&w->reactor.wheel, &w->accept_retry);
    weir_deadline_drop(&w->reactor.wheel, &w->last_accepts);
    weir_deadline_drop(&w->reactor.wheel, &w->drain_grace);
    weir_deadline_drop(&w->reactor.wheel, &w->drain_timeout);
    struct weir_trace_ring *traces = atomic_load_explicit(&w->traces, memory_order_relaxed);
    weir_trace_ring_free(&traces);
    weir_dns_close(&w->dns);
    if (w->dns_config != NULL)
        weir_shared_config_unref(w->dns_config);
    if (w->hold != NULL)
        weir_hold_supersede(w->hold);
    weir_reactor_close(&w->reactor);
    free(w->counters);
}
