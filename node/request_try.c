/* Tries: which endpoint, which connection, and on its way. What comes of them: request_outcome.c. */
#include <assert.h>

#include "node/request_trace.h"
#include "node/request_try_inner.h"

struct weir_choosing weir_try_choosing(const struct weir_request *r)
{
    return (struct weir_choosing){.provider = r->provider,
                                  .worker = r->worker,
                                  .tried = r->tried,
                                  .only = r->redirect.slot,
                                  .permit_end_ms = r->permit_end_ms,
                                  .by_load = weir_hop_goes_by_load(r),
                                  .by_shard = r->hop.sharded,
                                  .shard = r->hop.shard};
}

static void open_try(struct weir_request *r, const struct weir_view_endpoint *e,
                     const struct weir_breaker_ticket *ticket)
{
    r->endpoint = e;
    r->try.ticket = *ticket;
    r->try.open = true;
    r->try.told = r->try.answered = false;
    r->try.in_flight = atomic_fetch_add_explicit(&e->rt->in_flight, 1, memory_order_relaxed) + 1;
    weir_request_trace_try(r);
}

/* -- to a connection, and off -- */

/* It has reached its endpoint, or failed to. */
static void count_try(struct weir_request *r)
{
    if (r->try.replacing)
        return;
    r->attempts++;
    weir_endpoint_add(weir_request_endpoint_counters(r), WEIR_EC_TRIES, 1);
}

static void send_request(struct weir_request *r, struct weir_pool_conn *c)
{
    struct weir_upstream *u = weir_upstream_of(c);
    struct weir_endpoint_counters *counters = weir_request_endpoint_counters(r);
    struct weir_head head;
    uint64_t now = weir_worker_now_us(r->worker);
    count_try(r);
    r->step = WEIR_STEP_SEND;
    r->pool_due_ms = WEIR_NEVER;
    r->granted_us = r->try.begun_us = now;
    r->reused = c->leases > 1;
    r->connect_us = r->reused ? 0 : u->connect_us;
    r->try.address = weir_upstream_address(u, r->endpoint);
    weir_endpoint_add(counters, r->reused ? WEIR_EC_LEASES_REUSED : WEIR_EC_LEASES_NEW, 1);
    weir_endpoint_add(counters, WEIR_EC_LEASE_WAIT_US, r->wait_us != 0 ? now - r->wait_us : 0);
    if (!weir_request_head_up(r, &head)) {
        weir_pool_release(&r->worker->pool, c);
        if (weir_hop_failed(r, WEIR_HOP_RESOURCES))
            return;
        weir_request_fail(r, 503, "out_of_memory", "The node is out of memory.");
        return;
    }
    r->up = weir_upstream_open(u, r);
    if (r->up == NULL) {
        const struct weir_try_failure f = {
            .outcome = {.kind = WEIR_OUTCOME_LOST, .unprocessed = true, .reused = r->reused, .closed = true},
            .status = 502,
            .code = "upstream_closed",
            .message = "the connection broke",
            .counter = WEIR_EC_LOST_CLOSED,
        };
        weir_request_try_failed(r, &f);
        return;
    }
    r->upstream = u;
    r->holds_token = false; /* spent */
    r->total_due_ms = r->worker->reactor.now_ms + weir_scaling_total_ms(r->provider);
    if (r->hop.peer != NULL)
        r->pool_due_ms = r->worker->reactor.now_ms + r->hold->view->cluster->config->peer_ack_timeout_ms;
    weir_request_send(r, &head);
}

static struct weir_request *request_of(struct weir_pool_waiter *w)
{
    return WEIR_CONTAINER(w, struct weir_request, waiter);
}

static const struct weir_view_endpoint *endpoint_of(const struct weir_request *r, const struct weir_endpoint *rt)
{
    if (rt == r->endpoint->rt)
        return r->endpoint;
    for (unsigned i = 0; i < r->provider->endpoint_count; i++)
        if (r->provider->endpoints[i].rt == rt)
            return &r->provider->endpoints[i];
    return NULL;
}

/* The pool serves a waiter by another endpoint than the one that it wanted: then the try is one at that endpoint.
 * False: its circuit does not let the request through any more, or it has enough to do. */
static bool move_try(struct weir_request *r, const struct weir_view_endpoint *to)
{
    const struct weir_circuit_caller by = weir_try_caller(r);
    assert(to != NULL);
    if (to == r->endpoint)
        return true;
    if (!weir_concurrency_has_room(&to->rt->concurrency, atomic_load(&to->rt->in_flight)))
        return false;
    struct weir_breaker_answer a = weir_circuit_admit(to->rt, &by);
    if (a.word != WEIR_BREAKER_ADMIT)
        return false;
    weir_request_end_try(r);
    open_try(r, to, &a.ticket);
    return true;
}

static void granted(struct weir_pool_waiter *w, struct weir_pool_conn *c)
{
    struct weir_request *r = request_of(w);
    if (w->queued)
        weir_hist_observe(weir_request_provider_counters(r), WEIR_H_QUEUE, weir_worker_now_us(r->worker) - r->wait_us);
    if (move_try(r, endpoint_of(r, c->endpoint))) {
        send_request(r, c);
        return;
    }
    weir_pool_release(&r->worker->pool, c);
    weir_request_end_try(r);
    weir_request_try(r);
}

static void connect_failed(struct weir_request *r, const struct weir_err *err)
{
    struct weir_try_failure f = {.outcome = {.kind = WEIR_OUTCOME_CONNECT_FAILED},
                                 .status = 502,
                                 .code = "connect_failed",
                                 .counter = WEIR_TRY_COUNTED,
                                 .message = weir_err_text(err->code),
                                 .why = err->msg};
    if (err->code == WEIR_ELIMIT || err->code == WEIR_ENOMEM) {
        if (weir_hop_failed(r, WEIR_HOP_RESOURCES))
            return;
        weir_request_fail(r, 503, "out_of_resources", "The node is out of memory or descriptors.");
        return;
    }
    if (err->code == WEIR_ETIMEOUT) {
        f.outcome.kind = WEIR_OUTCOME_TIMEOUT;
        f.status = 504;
        f.code = "timeout_connect";
    } else if (err->code == WEIR_ENOTFOUND) {
        f.code = "dns_failed";
    }
    count_try(r);
    weir_request_try_failed(r, &f);
}

static void failed(struct weir_pool_waiter *w, const struct weir_err *err)
{
    connect_failed(request_of(w), err);
}

void weir_try_acquire(struct weir_request *r, uint64_t may_serve)
{
    struct weir_err err;
    struct weir_pool_conn *c;
    r->step = WEIR_STEP_POOL;
    /* The same endpoint as before: then at least by another address. */
    bool elsewhere = weir_view_has_address(r->endpoint, r->avoid);
    /* A probe on a connection kept from before could turn out stale, and then be two. */
    bool fresh = (r->fresh && r->hop.peer == NULL) || r->try.replacing || elsewhere || weir_try_is_probe(r);
    r->target = (struct weir_upstream_target){r->endpoint, r->hold, elsewhere ? r->avoid : NULL};
    r->waiter = (struct weir_pool_waiter){
        .place = {.since_us = r->asked_us, .endpoints = may_serve, .fresh = fresh},
        .again = r->replacements > 0 || r->retries > 0 || r->redirect.count > 0,
        .provider = r->provider->rt,
        .wanted = r->endpoint->rt,
        .target = &r->target,
        .granted = granted,
        .failed = failed,
    };
    switch (weir_pool_acquire(&r->worker->pool, &r->waiter, &c, &err)) {
    case WEIR_POOL_GRANTED:
        send_request(r, c);
        return;
    case WEIR_POOL_WAITING:
        r->wait_us = weir_worker_now_us(r->worker);
        r->pool_due_ms = r->worker->reactor.now_ms + r->provider->config->http.pool.block_timeout_ms;
        weir_request_arm(r);
        return;
    case WEIR_POOL_REFUSED:
        if (weir_hop_failed(r, WEIR_HOP_RESOURCES))
            return;
        weir_provider_add(weir_request_provider_counters(r), WEIR_PC_QUEUE_FULL, 1);
        weir_request_fail(r, 503, "pool_full", "All connections to %s are in use and the queue is full.",
                          r->provider->config->name);
        return;
    case WEIR_POOL_FAILED:
        connect_failed(r, &err);
        return;
    }
}

void weir_request_try(struct weir_request *r)
{
    struct weir_choosing next = weir_try_choosing(r);
    const struct weir_view_endpoint *only = r->hop.peer != NULL   ? &r->hop.peer->link.endpoints[0]
                                            : r->redirect.outside ? r->redirect.foreign
                                                                  : NULL;
    if (only == NULL && (weir_limit_enter(r) != WEIR_LIMIT_PASS || weir_places_enter(r) != WEIR_LIMIT_PASS))
        return;
    r->step = WEIR_STEP_ENDPOINT;
    r->try = (struct weir_try){.begun_us = weir_worker_now_us(r->worker)};
    r->wait_us = r->granted_us = r->first_byte_us = 0;
    if (only != NULL) {
        open_try(r, only, &r->try.ticket);
        weir_try_acquire(r, weir_try_bit_of(only));
        return;
    }
    switch (weir_choose(&next)) {
    case WEIR_CHOSEN:
        r->permit_end_ms = 0;
        weir_places_found(r);
        open_try(r, next.endpoint, &next.ticket);
        weir_try_acquire(r, next.may_serve);
        return;
    case WEIR_CHOICE_BUSY:
        weir_places_wait(r);
        return;
    case WEIR_CHOICE_NO_ADDRESS:
        weir_provider_add(weir_request_provider_counters(r), WEIR_PC_NO_ENDPOINT, 1);
        weir_request_fail(r, 502, "dns_failed", "No endpoint of %s has an address.", r->provider->config->name);
        return;
    case WEIR_CHOICE_ASKED:
        if (weir_request_await_permit(r))
            return;
        break;
    case WEIR_CHOICE_OPEN:
        if (weir_request_asked_early(r, next.wait_ms) && weir_request_await_permit(r))
            return;
        break;
    }
    weir_request_refuse_open(r, next.wait_ms);
}

void weir_request_begin_tries(struct weir_request *r)
{
    uint64_t now_ms = r->worker->reactor.now_ms;
    r->asked_us = weir_worker_now_us(r->worker);
    r->deadline_due_ms = now_ms + r->provider->config->http.retry.deadline_ms;
    weir_retry_budget_request(r->provider->rt->retry_budget, r->worker->index, now_ms);
    weir_request_try(r);
}
