/* A request before its provider's limits: goes on, waits in a line, or is refused. */
#include <stdio.h>

#include "node/node.h"
#include "node/request.h"

static struct weir_limit *limit_of(const struct weir_request *r)
{
    return &r->provider->rt->limit;
}

static struct weir_places *places_of(const struct weir_request *r)
{
    return &r->provider->rt->places;
}

/* -- in a line -- */

static uint64_t patience_ms(const struct weir_request *r)
{
    return r->provider->config->http.pool.block_timeout_ms;
}

static void stop_clock(struct weir_request *r)
{
    r->limit_due_ms = WEIR_NEVER;
    weir_request_arm(r);
}

/* Its wait, which is over. */
static uint64_t book_wait(struct weir_request *r)
{
    uint64_t waited = weir_worker_now_us(r->worker) - r->limit_since_us;
    r->limit_wait_us += waited;
    stop_clock(r);
    return waited;
}

static void leave(struct weir_request *r)
{
    weir_waitline_leave(r->line, &r->worker->pool, &r->limit);
    book_wait(r);
}

/* The clock runs to whichever comes first: its turn, or the end of its patience. */
static void look_at(struct weir_waitline_waiter *w, uint64_t us)
{
    struct weir_request *r = WEIR_CONTAINER(w, struct weir_request, limit);
    uint64_t ms = us / 1000 + (us % 1000 != 0);
    r->limit_due_ms = ms < r->limit_end_ms ? ms : r->limit_end_ms;
    weir_request_arm(r);
}

static void get_ready(struct weir_request *r, struct weir_waitline *line,
                      void (*granted)(struct weir_waitline_waiter *w), uint64_t end_ms)
{
    r->limit = (struct weir_waitline_waiter){.granted = granted, .look_at = look_at};
    r->line = line;
    r->limit_since_us = weir_worker_now_us(r->worker);
    r->limit_end_ms = end_ms;
}

static enum weir_waitline_answer stand_in_line(struct weir_request *r)
{
    uint64_t wait_us;
    enum weir_waitline_answer answer =
        weir_waitline_enter(r->line, &r->worker->pool, &r->limit, r->provider->config->http.pool.max_pending,
                            patience_ms(r) * 1000, &wait_us);
    if (answer != WEIR_WAITLINE_WAIT)
        return answer;
    r->step = WEIR_STEP_LIMIT;
    if (r->limit_due_ms == WEIR_NEVER) { /* not the oldest here: it is told of its turn by those before it */
        r->limit_due_ms = r->limit_end_ms;
        weir_request_arm(r);
    }
    return answer;
}

/* -- the rate limit -- */

static void token_granted(struct weir_waitline_waiter *w)
{
    struct weir_request *r = WEIR_CONTAINER(w, struct weir_request, limit);
    struct weir_provider_counters *c = weir_request_provider_counters(r);
    weir_hist_observe(c, WEIR_H_RATE_LIMIT, book_wait(r));
    weir_provider_add(c, WEIR_PC_RATE_QUEUED, 1);
    r->holds_token = true;
    weir_request_try(r);
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

static void refuse_token(struct weir_request *r)
{
    struct weir_limiter_values v = weir_limit_show(limit_of(r), weir_worker_now_us(r->worker));
    weir_provider_add(weir_request_provider_counters(r), WEIR_PC_RATE_REFUSED, 1);
    r->retry_after_s = v.retry_after_s;
    v.remaining = 0; /* for this one, whatever is on its way to those before it */
    if (!add_shown(r, &v))
        r->own_fields.count = 0;
    weir_request_fail(r, 429, "rate_limited",
                      "The rate limit of %s, %llu requests a minute, is used up. Try again in %llu s.",
                      r->provider->config->name, (unsigned long long)v.limit, (unsigned long long)v.retry_after_s);
}

enum weir_limit_result weir_limit_enter(struct weir_request *r)
{
    if (!weir_limit_is_on(limit_of(r)) || r->holds_token)
        return WEIR_LIMIT_PASS;
    get_ready(r, &limit_of(r)->line, token_granted, r->worker->reactor.now_ms + patience_ms(r));
    switch (stand_in_line(r)) {
    case WEIR_WAITLINE_PASS:
        weir_provider_add(weir_request_provider_counters(r), WEIR_PC_RATE_ADMITTED, 1);
        r->holds_token = true;
        return WEIR_LIMIT_PASS;
    case WEIR_WAITLINE_WAIT:
        return WEIR_LIMIT_WAIT;
    default:
        refuse_token(r);
        return WEIR_LIMIT_REFUSED;
    }
}

bool weir_limit_could_try(const struct weir_request *r, uint64_t delay_ms)
{
    uint64_t at_us = weir_worker_now_us(r->worker) + delay_ms * 1000;
    return !weir_limit_is_on(limit_of(r)) || r->holds_token ||
           weir_limit_could(limit_of(r), at_us, patience_ms(r) * 1000);
}

/* -- places at endpoints -- */

static void place_granted(struct weir_waitline_waiter *w)
{
    struct weir_request *r = WEIR_CONTAINER(w, struct weir_request, limit);
    book_wait(r);
    r->its_turn = true;
    weir_request_try(r);
}

static void refuse_place(struct weir_request *r)
{
    weir_provider_add(weir_request_provider_counters(r), WEIR_PC_PLACES_REFUSED, 1);
    r->places_since_us = 0;
    weir_request_fail(r, 503, "concurrency_limit", "The endpoints of %s have as many requests as they bear.",
                      r->provider->config->name);
}

static void begin_patience(struct weir_request *r)
{
    if (r->places_since_us != 0)
        return;
    r->places_since_us = weir_worker_now_us(r->worker);
    r->places_end_ms = r->worker->reactor.now_ms + patience_ms(r);
}

enum weir_limit_result weir_places_enter(struct weir_request *r)
{
    if (!weir_places_are_counted(places_of(r)) || r->its_turn || weir_waitline_count(&places_of(r)->line) == 0) {
        r->its_turn = false;
        return WEIR_LIMIT_PASS;
    }
    begin_patience(r);
    get_ready(r, &places_of(r)->line, place_granted, r->places_end_ms);
    switch (stand_in_line(r)) {
    case WEIR_WAITLINE_PASS:
        return WEIR_LIMIT_PASS;
    case WEIR_WAITLINE_WAIT:
        return WEIR_LIMIT_WAIT;
    default:
        refuse_place(r);
        return WEIR_LIMIT_REFUSED;
    }
}

void weir_places_wait(struct weir_request *r)
{
    bool first = r->places_since_us == 0;
    uint64_t max = r->provider->config->http.pool.max_pending;
    begin_patience(r);
    if (r->places_end_ms <= r->worker->reactor.now_ms || (first && weir_waitline_count(&places_of(r)->line) >= max)) {
        refuse_place(r);
        return;
    }
    get_ready(r, &places_of(r)->line, place_granted, r->places_end_ms);
    r->step = WEIR_STEP_LIMIT;
    r->limit.since_us = r->places_since_us;
    weir_waitline_return(r->line, &r->worker->pool, &r->limit, r->limit_since_us + WEIR_PLACES_LOOK_US);
}

void weir_places_found(struct weir_request *r)
{
    if (r->places_since_us == 0)
        return;
    weir_provider_add(weir_request_provider_counters(r), WEIR_PC_PLACES_QUEUED, 1);
    r->places_since_us = 0; /* a further try has patience of its own */
}

/* -- both -- */

void weir_limit_clock(struct weir_request *r, uint64_t now_ms)
{
    weir_request_pin(r);
    r->limit_due_ms = r->limit_end_ms;
    weir_waitline_settle(r->line, &r->worker->pool);
    if (r->limit.waiting && r->limit_end_ms <= now_ms) {
        /* Of a token it was told less when it came, but a reload has lowered the limit. */
        leave(r);
        if (r->line == &limit_of(r)->line)
            refuse_token(r);
        else
            refuse_place(r);
    } else if (r->limit.waiting) {
        weir_request_arm(r);
    }
    weir_request_unpin(r);
}

void weir_limit_let_go(struct weir_request *r)
{
    if (r->limit.waiting) {
        bool token = r->line == &limit_of(r)->line;
        leave(r);
        weir_provider_add(weir_request_provider_counters(r), token ? WEIR_PC_RATE_LEFT : WEIR_PC_PLACES_LEFT, 1);
    }
    if (r->holds_token) {
        r->holds_token = false;
        weir_limit_give_back(limit_of(r), &r->worker->pool);
    }
}
