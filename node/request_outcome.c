/* How a try has ended: who is told of it, and what follows, which is another try, the same one over again or an answer.
 */
#include <stdio.h>

#include "core/retry.h"
#include "core/retry_after.h"
#include "node/request_trace.h"
#include "node/request_try_inner.h"

/* -- who is told -- */

/* Of a probe that has been told already: a further failure, of the same request, after its answer began. */
static void tell(struct weir_request *r, enum weir_breaker_verdict verdict, uint64_t cooldown_ms, const char *why)
{
    const struct weir_circuit_caller by = weir_try_caller(r);
    weir_circuit_done(r->endpoint->rt, &by, &r->try.ticket, verdict, cooldown_ms, why);
    if (verdict != WEIR_BREAKER_NEITHER && !weir_try_is_outside(r))
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
        if (verdict == WEIR_BREAKER_SUCCESS &&
            weir_try_is_probe(r)) /* what it was like when it was sick says nothing more */
            weir_balance_latency_init(latency_of(r), now_us);
        if (verdict == WEIR_BREAKER_SUCCESS && !r->try.told)
            weir_balance_answered(latency_of(r), now_us, now_us - r->try.begun_us);
        else if (verdict == WEIR_BREAKER_FAILURE)
            weir_balance_failed(latency_of(r), now_us, now_us - r->try.begun_us);
    }
    /* An endpoint whose answers all break off shall not look well at each of their heads. A probe is told of at once:
     * half-open circuits cannot wait for the end of a long stream. */
    if (verdict == WEIR_BREAKER_SUCCESS && !weir_try_is_probe(r) && !weir_circuit_is_cooled(r->endpoint->rt)) {
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

/* The circuit has been told, so that what it thinks now counts. True: the request waits for its next try. */
static bool decide(struct weir_request *r, const struct weir_outcome *o)
{
    struct weir_retry_sight s = sight_of(r, o);
    uint64_t now_ms = r->worker->reactor.now_ms;
    struct weir_choosing next = weir_try_choosing(r);
    next.tried |= weir_try_bit_of(r->endpoint);
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
    if ((weir_try_is_outside(r) && !r->redirect.restarts) || !weir_choose_could(&next, now_ms + d.delay_ms, &elsewhere))
        return weir_request_give_up(r, WEIR_RETRY_NO_ENDPOINT);
    if (!weir_limit_could_try(r, d.delay_ms))
        return weir_request_give_up(r, WEIR_RETRY_RATE_LIMIT);
    if (!weir_retry_budget_take(r->provider->rt->retry_budget, now_ms))
        return weir_request_give_up(r, WEIR_RETRY_BUDGET);
    weir_provider_add(weir_request_provider_counters(r), retry_counter(o->kind), 1);
    /* Once all have failed it, any will do but the last one. */
    r->tried = elsewhere ? next.tried : weir_try_bit_of(r->endpoint);
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
    weir_try_acquire(r, weir_try_bit_of(r->endpoint));
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
        else if (weir_try_is_outside(r))
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
