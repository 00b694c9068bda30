/* Tries: which endpoint, which connection, how it ended, and what follows from that. */
#include <assert.h>
#include <stdio.h>

#include "core/retry.h"
#include "core/retry_after.h"
#include "net/log.h"
#include "node/node.h"
#include "node/request.h"
#include "node/request_trace.h"

static struct weir_circuit_caller caller(const struct weir_request *r)
{
    return (struct weir_circuit_caller){r->worker->index, r->worker->reactor.now_ms, r->worker->log};
}

static bool is_outside(const struct weir_request *r)
{
    return weir_endpoint_is_foreign(r->endpoint->rt);
}

static uint64_t bit_of(const struct weir_view_endpoint *e)
{
    return weir_endpoint_is_foreign(e->rt) ? 0 : UINT64_C(1) << e->rt->slot;
}

/* -- what a try has out -- */

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

/* Of a probe that has been told already: a further failure, of the same request, after its answer began. */
static void tell(struct weir_request *r, enum weir_breaker_verdict verdict, uint64_t cooldown_ms, const char *why)
{
    const struct weir_circuit_caller by = caller(r);
    weir_circuit_done(r->endpoint->rt, &by, &r->try.ticket, verdict, cooldown_ms, why);
    if (verdict != WEIR_BREAKER_NEITHER && !is_outside(r))
        weir_health_tried(r->provider->rt, r->endpoint->rt, by.worker, verdict == WEIR_BREAKER_SUCCESS, by.now_ms,
                          by.log);
    if (verdict != WEIR_BREAKER_NEITHER && r->try.address != NULL)
        weir_upstream_address_tried(r->worker, r->endpoint->rt, r->try.address, verdict == WEIR_BREAKER_SUCCESS);
    if (verdict == WEIR_BREAKER_FAILURE)
        r->avoid = r->try.address;
    r->try.ticket.permit = r->try.ticket.own_permit = 0;
    r->try.told = true;
}

void weir_request_end_try(struct weir_request *r)
{
    if (!r->try.open)
        return;
    if (!r->try.told)
        tell(r, r->try.answered ? WEIR_BREAKER_SUCCESS : WEIR_BREAKER_NEITHER, 0, NULL);
    r->try.open = false;
    weir_request_trace_try_end(r);
    atomic_fetch_sub(&r->endpoint->rt->in_flight, 1);
    weir_places_freed(&r->provider->rt->places, &r->worker->pool);
}

static bool compares_latency(const struct weir_request *r)
{
    return r->provider->endpoint_count > 1 && weir_choose_compares(r->provider, weir_hop_goes_by_load(r));
}

static struct weir_balance_latency *latency_of(const struct weir_request *r)
{
    return &r->endpoint->rt->local[r->worker->index].latency;
}

static bool is_probe(const struct weir_request *r)
{
    return r->try.ticket.permit != 0 || r->try.ticket.own_permit != 0;
}

/* 429 to a client that brings its own key says nothing of other clients: they go elsewhere if they can, and here if
 * not. */
static bool is_clients_own_limit(const struct weir_request *r, unsigned status)
{
    return status == 429 && r->provider->credential.len == 0 &&
           (weir_fields_get(&r->head->fields, WEIR_FIELD_AUTHORIZATION) != NULL ||
            weir_fields_find(&r->head->fields, WEIR_STR("x-api-key")) != NULL);
}

static void judge(struct weir_request *r, const struct weir_outcome *o, const char *why)
{
    uint64_t cooldown_ms = 0;
    enum weir_breaker_verdict verdict = weir_breaker_judge(o, &cooldown_ms);
    if (cooldown_ms > 0 && is_clients_own_limit(r, o->status)) {
        uint64_t ms = cooldown_ms < WEIR_BREAKER_COOLDOWN_MS_MAX ? cooldown_ms : WEIR_BREAKER_COOLDOWN_MS_MAX;
        weir_circuit_shun(r->endpoint->rt, r->worker->reactor.now_ms + ms);
        cooldown_ms = 0;
    }
    if (compares_latency(r)) {
        uint64_t now_us = weir_worker_now_us(r->worker);
        if (verdict == WEIR_BREAKER_SUCCESS && is_probe(r)) /* what it was like when it was sick says nothing more */
            weir_balance_latency_init(latency_of(r), now_us);
        if (verdict == WEIR_BREAKER_SUCCESS && !r->try.told)
            weir_balance_answered(latency_of(r), now_us, now_us - r->try.begun_us);
        else if (verdict == WEIR_BREAKER_FAILURE)
            weir_balance_failed(latency_of(r), now_us, now_us - r->try.begun_us);
    }
    /* An endpoint whose answers all break off shall not look well at each of their heads. A probe is told of at once:
     * half-open circuits cannot wait for the end of a long stream. */
    if (verdict == WEIR_BREAKER_SUCCESS && !is_probe(r) && !weir_circuit_is_cooled(r->endpoint->rt)) {
        r->try.answered = true;
        return;
    }
    tell(r, verdict, cooldown_ms, why);
}

/* -- what follows -- */

static struct weir_retry_sight sight_of(const struct weir_request *r, const struct weir_outcome *o)
{
    uint64_t now_ms = r->worker->reactor.now_ms;
    return (struct weir_retry_sight){
        .outcome = *o,
        .method = weir_request_method(r),
        .retries = r->retries,
        .replacements = r->replacements,
        .answer_begun = r->answer_begun,
        .replayable = !r->replay.broken,
        .left_ms = r->deadline_due_ms > now_ms ? r->deadline_due_ms - now_ms : 0,
        .random = weir_rng_next(&r->worker->rng),
    };
}

static enum weir_provider_counter retry_counter(enum weir_outcome_kind kind)
{
    switch (kind) {
    case WEIR_OUTCOME_ANSWERED:
        return WEIR_PC_RETRIES_STATUS;
    case WEIR_OUTCOME_CONNECT_FAILED:
        return WEIR_PC_RETRIES_CONNECT;
    case WEIR_OUTCOME_TIMEOUT:
        return WEIR_PC_RETRIES_TIMEOUT;
    default:
        return WEIR_PC_RETRIES_LOST;
    }
}

static struct weir_choosing choosing(const struct weir_request *r)
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

/* The circuit has been told, so that what it thinks now counts. True: the request waits for its next try. */
static bool decide(struct weir_request *r, const struct weir_outcome *o)
{
    struct weir_retry_sight s = sight_of(r, o);
    uint64_t now_ms = r->worker->reactor.now_ms;
    struct weir_choosing next = choosing(r);
    next.tried |= bit_of(r->endpoint);
    next.only = r->redirect.restarts ? 0 : next.only;
    const struct weir_config_retry *policy = &r->provider->config->http.retry;
    bool elsewhere = s.elsewhere = true;
    struct weir_retry_decision d = weir_retry_decide(policy, &s);
    if (d.word == WEIR_RETRY_AGAIN) {
        /* Only now, as this is the way of every answer: it looks at each endpoint. */
        weir_choose_could(&next, now_ms, &s.elsewhere);
        d = weir_retry_decide(policy, &s);
    }
    if (d.word != WEIR_RETRY_AGAIN)
        return weir_request_give_up(r, d.reason);
    /* Outside there is one to ask, and what it is asked cannot be asked of the provider unless it is the same still. */
    if ((is_outside(r) && !r->redirect.restarts) || !weir_choose_could(&next, now_ms + d.delay_ms, &elsewhere))
        return weir_request_give_up(r, WEIR_RETRY_NO_ENDPOINT);
    if (!weir_limit_could_try(r, d.delay_ms))
        return weir_request_give_up(r, WEIR_RETRY_RATE_LIMIT);
    if (!weir_retry_budget_take(r->provider->rt->retry_budget, now_ms))
        return weir_request_give_up(r, WEIR_RETRY_BUDGET);
    weir_provider_add(weir_request_provider_counters(r), retry_counter(o->kind), 1);
    /* Once all have failed it, any will do but the last one. */
    r->tried = elsewhere ? next.tried : bit_of(r->endpoint);
    r->retries++;
    weir_request_unfollow(r);
    r->step = WEIR_STEP_BACKOFF;
    r->again_due_ms = now_ms + d.delay_ms;
    return true;
}

/* After decide() has said so, and the try has been ended. */
static void go_again(struct weir_request *r)
{
    bool now = r->again_due_ms <= r->worker->reactor.now_ms;
    if (now)
        r->again_due_ms = WEIR_NEVER;
    weir_request_arm(r);
    if (now)
        weir_request_try(r);
}

static void acquire(struct weir_request *r, uint64_t may_serve);

/* A reused connection died unanswered: most likely its peer had closed it before. Or the peer says that it has not
 * looked at the request. */
static bool replace(struct weir_request *r, const struct weir_outcome *o)
{
    struct weir_retry_sight s = sight_of(r, o);
    if (weir_retry_decide(&r->provider->config->http.retry, &s).word != WEIR_RETRY_REPLACE)
        return false;
    weir_endpoint_add(weir_request_endpoint_counters(r), WEIR_EC_STALE_REPLACED, 1);
    r->replacements++;
    r->try.replacing = true;
    acquire(r, bit_of(r->endpoint));
    return true;
}

void weir_request_try_failed(struct weir_request *r, const struct weir_try_failure *f)
{
    weir_request_trace_outcome(r, 0, f->code);
    if (r->hop.peer != NULL) {
        weir_hop_lost(r, f);
        return;
    }
    weir_request_stop_clocks(r);
    weir_request_arm(r);
    weir_request_pin(r);
    weir_request_let_upstream_go(r, WEIR_EC_CLOSED_FAILED);
    if (!replace(r, &f->outcome)) {
        if (f->counter != WEIR_TRY_COUNTED)
            weir_endpoint_add(weir_request_endpoint_counters(r), f->counter, 1);
        weir_endpoint_add(weir_request_endpoint_counters(r), WEIR_EC_TRIES_FAILED, 1);
        judge(r, &f->outcome, f->why != NULL ? f->why : f->code);
        bool again = decide(r, &f->outcome);
        weir_request_end_try(r);
        r->last_failure = (struct weir_last_failure){f->code, f->message, (uint16_t)f->status};
        if (again)
            go_again(r);
        else if (is_outside(r))
            weir_request_fail_outside(r, f);
        else
            weir_request_fail(r, f->status, f->code, "The provider %s failed: %s.", r->provider->config->name,
                              f->message);
    }
    weir_request_unpin(r);
}

static struct weir_outcome outcome_of(const struct weir_request *r, const struct weir_head *head)
{
    struct weir_outcome o = {.kind = WEIR_OUTCOME_ANSWERED, .status = head->status, .reused = r->reused};
    const struct weir_field *f = head->status < 300 ? NULL : weir_fields_get(&head->fields, WEIR_FIELD_RETRY_AFTER);
    if (f != NULL)
        o.retry_after = weir_retry_after_parse(f->value, weir_clock_unix_ms(), &o.retry_after_ms);
    return o;
}

bool weir_request_answer_again(struct weir_request *r, const struct weir_head *head)
{
    struct weir_outcome o = outcome_of(r, head);
    char why[16] = "";
    if (head->status >= 400) /* others say nothing that a circuit would have to give a reason for */
        snprintf(why, sizeof why, "status %u", head->status);
    judge(r, &o, why);
    weir_concurrency_answered(&r->endpoint->rt->concurrency, o.status, r->first_byte_us - r->granted_us,
                              r->try.in_flight);
    if (!decide(r, &o))
        return false;
    r->last_failure = (struct weir_last_failure){0};
    weir_request_let_answer_go(r, head);
    go_again(r);
    return true;
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
    const struct weir_circuit_caller by = caller(r);
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

static void acquire(struct weir_request *r, uint64_t may_serve)
{
    struct weir_err err;
    struct weir_pool_conn *c;
    r->step = WEIR_STEP_POOL;
    /* The same endpoint as before: then at least by another address. */
    bool elsewhere = weir_view_has_address(r->endpoint, r->avoid);
    /* A probe on a connection kept from before could turn out stale, and then be two. */
    bool fresh = (r->fresh && r->hop.peer == NULL) || r->try.replacing || elsewhere || is_probe(r);
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
    struct weir_choosing next = choosing(r);
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
        acquire(r, bit_of(only));
        return;
    }
    switch (weir_choose(&next)) {
    case WEIR_CHOSEN:
        r->permit_end_ms = 0;
        weir_places_found(r);
        open_try(r, next.endpoint, &next.ticket);
        acquire(r, next.may_serve);
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
