/* How an opening ends:
 *   an address answers           -> https: the handshake begins on it; else codec made, weir_pool_opened
 *   the handshake ends well      -> likewise
 *   it does not                  -> weir_pool_open_failed, with the check that failed and for whom
 *   none of them does            -> weir_pool_open_failed
 *   the connect clock runs out   -> weir_pool_open_failed, wherever it is
 *   the pool closes it meanwhile -> the race is called off, nothing is reported
 * With features.dns_cache_enabled: false, and of a foreign origin always, the name is asked for first; what the view
 * knows serves while nobody answers.
 * An address that no view has yet gets a record of its own: it is never out, and nothing but its age tells that it is
 * gone.
 */
#include <stdlib.h>
#include <string.h>

#include "http/h2.h"
#include "net/tls.h"
#include "node/node.h"
#include "node/resolve.h"
#include "node/upstream_inner.h"

/* -- opening -- */

static void end_dial(struct weir_upstream *u)
{
    weir_deadline_clear(&u->deadline);
    if (u->hold != NULL)
        weir_hold_drop(u->hold);
    u->hold = NULL;
    u->target = NULL;
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
    case WEIR_ETLS:
        return WEIR_EC_CONNECT_TLS;
    case WEIR_ELIMIT:
    case WEIR_ENOMEM:
        return WEIR_EC_CONNECT_RESOURCES;
    default:
        return WEIR_EC_CONNECT_OTHER;
    }
}

static void count_failure(struct weir_endpoint *e, const struct weir_worker *w, int code)
{
    weir_endpoint_add(&e->local[w->index].counters, failure_class(code), 1);
    atomic_store_explicit(&e->last_connect_failed, true, memory_order_relaxed);
}

void weir_upstream_address_tried(struct weir_worker *w, const struct weir_endpoint *e, struct weir_address *a, bool ok)
{
    char text[WEIR_ADDR_TEXT_MAX];
    struct weir_log_line l;
    enum weir_address_change change = weir_address_tried(a, ok, w->reactor.now_ms);
    if (change == WEIR_ADDRESS_SAME)
        return;
    if (change == WEIR_ADDRESS_OUT)
        weir_log_begin(&l, w->log, WEIR_LOG_WARN, "address_avoided",
                       "tries at one address of an endpoint fail; others are used");
    else
        weir_log_begin(&l, w->log, WEIR_LOG_INFO, "address_back", "an address of an endpoint works again");
    weir_log_text(&l, "endpoint", e->id);
    weir_log_text(&l, "address", weir_addr_text(&a->addr, text));
    weir_log_end(&l);
}

/* A connect that succeeds says little: whoever accepts may still answer nothing, and that is told by the try. */
static void dial_tried(void *owner, const struct weir_addr *addr, enum weir_dial_outcome outcome)
{
    struct weir_upstream *u = owner;
    struct weir_address_list known = weir_view_records(u->target);
    struct weir_address *a = known.count > 1 ? weir_addresses_find(known, addr) : NULL;
    if (a != NULL && outcome != WEIR_DIAL_WON)
        weir_upstream_address_tried(u->worker, u->pooled.endpoint, a, false);
}

void weir_upstream_open_failed(struct weir_upstream *u, const struct weir_err *why)
{
    struct weir_err err = *why;
    count_failure(u->pooled.endpoint, u->worker, err.code);
    end_dial(u);
    weir_pool_open_failed(&u->worker->pool, &u->pooled, &err);
}

/* Its address, to be kept: the view's record of it, or one of its own. */
static struct weir_address *keep_address(const struct weir_upstream *u, const struct weir_addr *addr)
{
    struct weir_address *a = weir_addresses_find(weir_view_records(u->target), addr);
    if (a == NULL)
        return weir_address_new(&u->pooled.endpoint->addresses, addr);
    weir_address_ref(a);
    return a;
}

static void fail_with(struct weir_upstream *u, int code)
{
    struct weir_err err;
    weir_err_set(&err, code, "connect to %s: %s", u->pooled.endpoint->id, weir_err_text(code));
    weir_upstream_open_failed(u, &err);
}

/* Bytes may flow: HTTP begins. */
static void opened(struct weir_upstream *u, struct weir_stream *s, bool http2)
{
    struct weir_endpoint *e = u->pooled.endpoint;
    if (!weir_upstream_run(u, s, http2)) {
        fail_with(u, WEIR_ENOMEM);
        return;
    }
    u->connect_us = weir_worker_now_us(u->worker) - u->dial_us;
    if (!weir_endpoint_is_foreign(e)) /* clocks are tuned by it */
        weir_hist_observe(&e->provider->local[u->worker->index].counters, WEIR_H_CONNECT, u->connect_us);
    weir_latency_observe(&e->local[u->worker->index].counters, WEIR_LATENCY_CONNECT, u->connect_us,
                         weir_worker_now_us(u->worker));
    atomic_store_explicit(&e->last_connect_failed, false, memory_order_relaxed);
    end_dial(u);
    weir_pool_opened(&u->worker->pool, &u->pooled);
}

void weir_upstream_note_handshake(struct weir_upstream *u, enum weir_tls_fail fail, const char *reason)
{
    struct weir_endpoint *e = u->pooled.endpoint;
    struct weir_log_line l;
    if (atomic_load_explicit(&e->tls_failing, memory_order_relaxed) == fail ||
        atomic_exchange_explicit(&e->tls_failing, fail, memory_order_relaxed) == fail)
        return;
    if (fail == WEIR_TLS_FAIL_NONE) {
        weir_log_begin(&l, u->worker->log, WEIR_LOG_INFO, "tls_works", "TLS handshakes with an endpoint succeed again");
        weir_log_text(&l, "endpoint", e->id);
    } else {
        weir_log_begin(&l, u->worker->log, WEIR_LOG_WARN, "tls_failed", "TLS handshakes with an endpoint fail");
        weir_log_text(&l, "endpoint", e->id);
        weir_log_text(&l, "check", weir_tls_fail_text(fail));
        weir_log_text(&l, "reason", reason);
    }
    weir_log_end(&l);
}

static void handshake_done(struct weir_stream *s, int code, const struct weir_err *err)
{
    struct weir_upstream *u = s->owner;
    struct weir_endpoint *e = u->pooled.endpoint;
    struct weir_tls_info info;
    if (code != 0) {
        struct weir_err why = *err;
        weir_upstream_note_handshake(u, weir_tls_failed(s), err->msg);
        weir_err_wrap(&why, "connect to %s", e->id);
        struct weir_address *a = weir_upstream_address(u, u->target);
        if (a != NULL)
            weir_upstream_address_tried(u->worker, e, a, false);
        weir_stream_close(&u->handshake, true);
        weir_upstream_open_failed(u, &why);
        return;
    }
    if (weir_tls_info(s, &info))
        weir_latency_observe(&e->local[u->worker->index].counters, WEIR_LATENCY_TLS, info.handshake_us,
                             weir_worker_now_us(u->worker));
    u->handshake = NULL;
    opened(u, s, weir_tls_agreed(s, "h2"));
}

static int wrap(struct weir_upstream *u, struct weir_stream *plain)
{
    struct weir_tls_opts opts = weir_view_tls(u->target);
    opts.pool = u->worker->node->crypto;
    opts.stats = &u->worker->node->tls_up;
    opts.started = true;
    return weir_tls_wrap(&u->handshake, plain, &opts);
}

static void dial_done(void *owner, const struct weir_dial_result *result)
{
    struct weir_upstream *u = owner;
    struct weir_stream *s = result->stream;
    u->dial = NULL;
    if (s == NULL) {
        weir_upstream_open_failed(u, result->err);
        return;
    }
    u->address = keep_address(u, &result->addr);
    if (!u->target->config->tls) {
        opened(u, s, u->target->provider->config->http2 == WEIR_CONFIG_ON);
        return;
    }
    int rv = wrap(u, s);
    if (rv != 0) {
        weir_stream_close(&s, true);
        fail_with(u, rv);
        return;
    }
    u->handshake->owner = u;
    weir_stream_start(u->handshake, handshake_done);
}

static int begin_dial(struct weir_upstream *u, const struct weir_addr *addrs, unsigned count, struct weir_endpoint *e,
                      struct weir_err *err)
{
    struct weir_addr order[WEIR_ADDRESSES_MAX];
    const struct weir_addr *avoid = u->avoid != NULL ? &u->avoid->addr : NULL;
    count = count < WEIR_ADDRESSES_MAX ? count : WEIR_ADDRESSES_MAX;
    weir_addresses_order(&e->addresses, order, addrs, count, weir_view_records(u->target), avoid,
                         u->worker->reactor.now_ms);
    u->dial_us = weir_worker_now_us(u->worker);
    return weir_dial_start(&u->dial, &u->worker->reactor,
                           &(struct weir_dial_opts){.addrs = order,
                                                    .count = count,
                                                    .tcp = u->target->provider->tcp,
                                                    .tried = dial_tried,
                                                    .done = dial_done,
                                                    .owner = u},
                           err);
}

static void deadline_passed(struct weir_deadline *d, uint64_t now_ms)
{
    (void)now_ms;
    struct weir_upstream *u = WEIR_CONTAINER(d, struct weir_upstream, deadline);
    if (u->target == NULL) {
        if (u->pooled.parked)
            weir_pool_expire(&u->worker->pool, &u->pooled);
        else
            weir_pool_discard(&u->worker->pool, &u->pooled, WEIR_EC_CLOSED_EXPIRED); /* reading out took too long */
        return;
    }
    struct weir_err err;
    weir_err_set(&err, WEIR_ETIMEOUT, "connect to %s: %s after %llu ms", u->pooled.endpoint->id,
                 u->handshake != NULL ? "the TLS handshake timed out" : "timed out",
                 (unsigned long long)weir_scaling_connect_ms(u->target->provider));
    weir_dial_close(&u->dial, true);
    weir_upstream_open_failed(u, &err);
}

/* -- a name asked for each connection -- */

/* Of the connect clock: what is left is for the addresses that are known, should nobody answer. */
#define QUESTION_SHARE 2

/* Cannot be taken back, so it outlives an upstream that no longer waits for it. */
struct weir_upstream_question {
    struct weir_upstream *upstream; /* NULL: gone */
    struct weir_endpoint *endpoint; /* the upstream's, while there is one */
    uint64_t asked_us;
    struct weir_err err; /* when the answer came at once: why nothing came of it */
    bool at_once;        /* the answer is awaited where it was asked for */
    bool answered;
};

static void forget_question(struct weir_upstream *u)
{
    if (u->question != NULL)
        u->question->upstream = NULL;
    u->question = NULL;
}

/* The worker's own resolver, which asks the servers of the configuration in force. NULL: there is none to be had. */
static struct weir_dns *resolver_of(struct weir_worker *w, const struct weir_view *v)
{
    struct weir_err err;
    if (w->dns != NULL && w->dns_config != v->shared && weir_dns_idle(w->dns))
        weir_dns_close(&w->dns);
    if (w->dns != NULL)
        return w->dns;
    if (weir_dns_new(&w->dns, &w->reactor, &err) != 0)
        return NULL;
    if (!weir_resolve_use_servers(w->dns, &v->config->dns.servers))
        weir_dns_close(&w->dns);
    if (w->dns_config != NULL)
        weir_shared_config_unref(w->dns_config);
    w->dns_config = v->shared;
    atomic_fetch_add(&v->shared->refs, 1);
    return w->dns;
}

static int dial_answer(struct weir_upstream *u, const struct weir_dns_answer *a, struct weir_endpoint *e,
                       struct weir_err *err)
{
    const struct weir_view_endpoint *t = u->target;
    if (a->code == 0)
        return begin_dial(u, a->addrs, (unsigned)a->count, e, err);
    if (t->address_count > 0)
        return begin_dial(u, t->addresses, t->address_count, e, err);
    return weir_err_set(err, a->code == WEIR_ENOMEM ? WEIR_ENOMEM : WEIR_ENOTFOUND, "%s", a->message);
}

static void name_answered(void *owner, const struct weir_dns_answer *a)
{
    struct weir_upstream_question *q = owner;
    struct weir_upstream *u = q->upstream;
    int rv = 0;
    q->answered = true;
    if (u != NULL)
        u->question = NULL;
    if (u != NULL && a->code != WEIR_ECLOSED) {
        uint64_t now_us = weir_clock_us();
        if (a->code == 0 && a->ttl_s != WEIR_DNS_TTL_NONE)
            weir_latency_observe(&q->endpoint->local[u->worker->index].counters, WEIR_LATENCY_DNS, now_us - q->asked_us,
                                 now_us);
        rv = dial_answer(u, a, q->endpoint, &q->err);
        if (rv != 0 && !q->at_once)
            weir_upstream_open_failed(u, &q->err);
    }
    if (!q->at_once)
        free(q);
}

static int begin_question(struct weir_upstream *u, struct weir_endpoint *e, const struct weir_view *v,
                          struct weir_err *err)
{
    const struct weir_config_endpoint *c = u->target->config;
    struct weir_dns *dns = resolver_of(u->worker, v);
    struct weir_upstream_question *q = dns != NULL ? malloc(sizeof *q) : NULL;
    if (q == NULL)
        return weir_err_set(err, WEIR_ENOMEM, "resolve %s: out of memory", c->host);
    *q = (struct weir_upstream_question){.upstream = u, .endpoint = e, .asked_us = weir_clock_us(), .at_once = true};
    u->question = q;
    weir_dns_resolve(dns, weir_str_of(c->host), c->port, weir_scaling_connect_ms(u->target->provider) / QUESTION_SHARE,
                     name_answered, q);
    q->at_once = false;
    if (!q->answered)
        return 0;
    int rv = u->dial != NULL ? 0 : q->err.code;
    *err = q->err;
    free(q);
    return rv;
}

/* -- beginning and end -- */

static uint32_t places(const struct weir_endpoint *e, const struct weir_view_endpoint *t)
{
    const struct weir_config_provider *p = t->provider->config;
    uint32_t last = atomic_load_explicit(&e->conn_places, memory_order_relaxed);
    bool http2 = p->http2 == WEIR_CONFIG_ON || (p->http2 == WEIR_CONFIG_AUTO && t->config->tls);
    return !http2 || weir_endpoint_is_foreign(e) ? 1 : last != 0 ? last : WEIR_H2_STREAMS_MAX;
}

uint32_t weir_upstream_places(void *arg, const struct weir_endpoint *e, const void *target)
{
    const struct weir_upstream_target *wanted = target;
    (void)arg;
    return places(e, wanted->endpoint);
}

uint32_t weir_upstream_places_of(const struct weir_view_endpoint *t)
{
    return places(t->rt, t);
}

void weir_upstream_stop_opening(struct weir_upstream *u)
{
    end_dial(u);
    forget_question(u);
    weir_dial_close(&u->dial, false);
    if (u->handshake != NULL)
        weir_stream_close(&u->handshake, true);
}

static int begin(struct weir_upstream *u, struct weir_endpoint *e, const struct weir_view *v, struct weir_err *err)
{
    const struct weir_view_endpoint *t = u->target;
    struct weir_addr literal;
    bool is_literal = weir_addr_literal(&literal, weir_str_of(t->config->host), t->config->port);
    bool cached = t->provider->config->http.features.dns_cache_enabled && !weir_endpoint_is_foreign(e);
    if (!is_literal && !cached)
        return begin_question(u, e, v, err);
    if (is_literal && weir_endpoint_is_foreign(e))
        return begin_dial(u, &literal, 1, e, err);
    if (t->address_count == 0)
        return weir_err_set(err, WEIR_ENOTFOUND, "the name %s does not resolve", t->config->host);
    return begin_dial(u, t->addresses, t->address_count, e, err);
}

struct weir_pool_conn *weir_upstream_begin(void *arg, struct weir_endpoint *e, const void *target, struct weir_err *why)
{
    struct weir_worker *w = arg;
    const struct weir_upstream_target *wanted = target;
    const struct weir_view_endpoint *t = wanted->endpoint;
    struct weir_upstream *u = malloc(sizeof *u);
    if (u != NULL) {
        *u = (struct weir_upstream){.worker = w,
                                    .target = t,
                                    .avoid = wanted->avoid,
                                    .settings = t->settings,
                                    .close_reason = WEIR_EC_CLOSED_FAILED};
        u->pooled.endpoint = e; /* the pool's to set, but addresses are noted before it does */
        weir_deadline_init(&u->deadline, deadline_passed);
        weir_deadline_init(&u->ping, weir_upstream_ping_due);
        if (begin(u, e, wanted->hold->view, why) == 0) {
            u->hold = weir_hold_use(wanted->hold);
            weir_list_push_back(&w->upstreams, &u->link);
            weir_reactor_deadline(&w->reactor, &u->deadline, w->reactor.now_ms + weir_scaling_connect_ms(t->provider));
            return &u->pooled;
        }
        free(u);
    } else {
        weir_err_set(why, WEIR_ENOMEM, "connect to %s: out of memory", e->id);
    }
    count_failure(e, w, why->code);
    return NULL;
}
