/* Requests that get no further try: why, and what their clients are told when no endpoint may be asked. */
#include "core/retry.h"
#include "node/request.h"

/* A request waits so long for the cluster's word on whether it may probe an endpoint: somewhat more than the store's
 * deadline. It looks as often as that costs nothing. */
#define PERMIT_WAIT_MS 300u
#define PERMIT_LOOK_MS 5u

static const struct {
    enum weir_retry_reason reason;
    enum weir_provider_counter counter;
} refusals[] = {
    {WEIR_RETRY_ANSWER_BEGUN, WEIR_PC_KEPT_BEGUN},   {WEIR_RETRY_ATTEMPTS, WEIR_PC_KEPT_ATTEMPTS},
    {WEIR_RETRY_METHOD, WEIR_PC_KEPT_METHOD},        {WEIR_RETRY_BODY, WEIR_PC_KEPT_BODY},
    {WEIR_RETRY_DEADLINE, WEIR_PC_KEPT_DEADLINE},    {WEIR_RETRY_RETRY_AFTER, WEIR_PC_KEPT_AFTER},
    {WEIR_RETRY_RATE_LIMIT, WEIR_PC_KEPT_RATE},      {WEIR_RETRY_BUDGET, WEIR_PC_KEPT_BUDGET},
    {WEIR_RETRY_NO_ENDPOINT, WEIR_PC_KEPT_ENDPOINT},
};

bool weir_request_give_up(struct weir_request *r, enum weir_retry_reason reason)
{
    if (reason == WEIR_RETRY_FINAL) /* the way of every good answer */
        return false;
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++)
        if (refusals[i].reason == reason) {
            weir_provider_add(weir_request_provider_counters(r), refusals[i].counter, 1);
            r->not_retried = weir_retry_reason_label(reason);
        }
    return false;
}

bool weir_request_await_permit(struct weir_request *r)
{
    uint64_t now_ms = r->worker->reactor.now_ms;
    if (r->permit_end_ms == 0)
        r->permit_end_ms = now_ms + PERMIT_WAIT_MS;
    if (now_ms >= r->permit_end_ms)
        return false;
    r->step = WEIR_STEP_BACKOFF;
    r->again_due_ms = now_ms + PERMIT_LOOK_MS;
    weir_request_arm(r);
    return true;
}

void weir_request_look_is_late(struct weir_request *r, uint64_t late_ms)
{
    if (r->permit_end_ms != 0 && late_ms > PERMIT_LOOK_MS)
        r->permit_end_ms += late_ms;
}

bool weir_request_asked_early(const struct weir_request *r, uint64_t wait_ms)
{
    return r->permit_end_ms != 0 && wait_ms > 0 && r->worker->reactor.now_ms + wait_ms < r->permit_end_ms;
}

void weir_request_refuse_open(struct weir_request *r, uint64_t wait_ms)
{
    const char *name = r->provider->config->name;
    if (r->last_failure.code != NULL) { /* they have opened while it waited for this try */
        weir_request_give_up(r, WEIR_RETRY_NO_ENDPOINT);
        weir_request_fail(r, r->last_failure.status, r->last_failure.code, "The provider %s failed: %s.", name,
                          r->last_failure.message);
        return;
    }
    if (r->provider->config->http.circuit_breaker.monitoring_enabled)
        weir_provider_add(weir_request_provider_counters(r), WEIR_PC_CIRCUIT_REFUSED, 1);
    r->retry_after_s = (wait_ms + 999) / 1000;
    weir_request_fail(r, 503, "circuit_open", "No endpoint of %s may be asked now: all their circuits are open.", name);
}
