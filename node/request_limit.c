/* A request before its provider's rate limit: goes on, waits for its token, or is told 429. */
#include <stdio.h>

#include "node/node.h"
#include "node/request.h"

static struct weir_limit *limit_of(const struct weir_request *r)
{
    return &r->provider->rt->limit;
}

static void stop_clock(struct weir_request *r)
{
    r->limit_due_ms = WEIR_NEVER;
    weir_request_arm(r);
}

static void leave(struct weir_request *r)
{
    r->limit_wait_us += weir_worker_now_us(r->worker) - r->limit_since_us;
    weir_waitline_leave(&limit_of(r)->line, &r->worker->pool, &r->limit);
    stop_clock(r);
}

static void granted(struct weir_waitline_waiter *w)
{
    struct weir_request *r = WEIR_CONTAINER(w, struct weir_request, limit);
    struct weir_provider_counters *c = weir_request_provider_counters(r);
    uint64_t waited = weir_worker_now_us(r->worker) - r->limit_since_us;
    r->limit_wait_us += waited;
    weir_provider_add(c, WEIR_PC_RATE_QUEUED, 1);
    weir_hist_observe(c, WEIR_H_RATE_LIMIT, waited);
    r->holds_token = true;
    stop_clock(r);
    weir_request_try(r);
}

/* The clock runs to whichever comes first: its turn, or the end of its patience. */
static void look_at(struct weir_waitline_waiter *w, uint64_t us)
{
    struct weir_request *r = WEIR_CONTAINER(w, struct weir_request, limit);
    uint64_t ms = us / 1000 + (us % 1000 != 0);
    r->limit_due_ms = ms < r->limit_end_ms ? ms : r->limit_end_ms;
    weir_request_arm(r);
}

/* "x-ratelimit-*-requests" are the names that OpenAI's clients and those who copy them know. */
static bool add_shown(struct weir_request *r, const struct weir_limiter_values *v)
{
    const struct {
        struct weir_str name;
        uint64_t value;
        const char *unit;
    } rows[] = {
        {WEIR_STR("x-ratelimit-limit-requests"), v->limit, ""},
        {WEIR_STR("x-ratelimit-remaining-requests"), v->remaining, ""},
        {WEIR_STR("x-ratelimit-reset-requests"), v->reset_s, "s"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        enum { DIGITS = 24 };
        char *text = weir_arena_bytes(&r->arena, DIGITS);
        if (text == NULL)
            return false;
        int n = snprintf(text, DIGITS, "%llu%s", (unsigned long long)rows[i].value, rows[i].unit);
        if (!weir_fields_add(&r->own_fields, &r->arena, rows[i].name, (struct weir_str){text, (size_t)n}))
            return false;
    }
    return true;
}

static void refuse(struct weir_request *r)
{
    struct weir_limiter_values v = weir_limit_show(limit_of(r), weir_worker_now_us(r->worker));
    weir_provider_add(weir_request_provider_counters(r), WEIR_PC_RATE_REFUSED, 1);
    r->retry_after_s = v.retry_after_s;
    if (!add_shown(r, &v))
        r->own_fields.count = 0;
    weir_request_fail(r, 429, "rate_limited",
                      "The rate limit of %s, %llu requests a minute, is used up. Try again in %llu s.",
                      r->provider->config->name, (unsigned long long)v.limit, (unsigned long long)v.retry_after_s);
}

enum weir_limit_result weir_limit_enter(struct weir_request *r)
{
    const struct weir_config_pool *pool = &r->provider->config->http.pool;
    uint64_t wait_us;
    if (!weir_limit_is_on(limit_of(r)) || r->holds_token)
        return WEIR_LIMIT_PASS;
    r->limit = (struct weir_waitline_waiter){.granted = granted, .look_at = look_at};
    r->limit_since_us = weir_worker_now_us(r->worker);
    r->limit_end_ms = r->worker->reactor.now_ms + pool->block_timeout_ms;
    switch (weir_waitline_enter(&limit_of(r)->line, &r->worker->pool, &r->limit, pool->max_pending,
                                pool->block_timeout_ms * 1000, &wait_us)) {
    case WEIR_WAITLINE_PASS:
        weir_provider_add(weir_request_provider_counters(r), WEIR_PC_RATE_ADMITTED, 1);
        r->holds_token = true;
        return WEIR_LIMIT_PASS;
    case WEIR_WAITLINE_WAIT:
        r->step = WEIR_STEP_LIMIT;
        if (r->limit_due_ms == WEIR_NEVER) { /* not the oldest here: it is told of its turn by those before it */
            r->limit_due_ms = r->limit_end_ms;
            weir_request_arm(r);
        }
        return WEIR_LIMIT_WAIT;
    default:
        refuse(r);
        return WEIR_LIMIT_REFUSED;
    }
}

bool weir_limit_could_try(const struct weir_request *r, uint64_t delay_ms)
{
    uint64_t at_us = weir_worker_now_us(r->worker) + delay_ms * 1000;
    return !weir_limit_is_on(limit_of(r)) || r->holds_token ||
           weir_limit_could(limit_of(r), at_us, r->provider->config->http.pool.block_timeout_ms * 1000);
}

void weir_limit_clock(struct weir_request *r, uint64_t now_ms)
{
    weir_request_pin(r);
    r->limit_due_ms = r->limit_end_ms;
    weir_waitline_settle(&limit_of(r)->line, &r->worker->pool);
    if (r->limit.waiting && r->limit_end_ms <= now_ms) {
        /* It was not to wait so long when it came: a reload has lowered the limit. */
        leave(r);
        refuse(r);
    } else if (r->limit.waiting) {
        weir_request_arm(r);
    }
    weir_request_unpin(r);
}

void weir_limit_let_go(struct weir_request *r)
{
    if (r->limit.waiting) {
        leave(r);
        weir_provider_add(weir_request_provider_counters(r), WEIR_PC_RATE_LEFT, 1);
    }
    if (r->holds_token) {
        r->holds_token = false;
        weir_limit_give_back(limit_of(r), &r->worker->pool);
    }
}
