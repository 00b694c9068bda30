/* The paths by which a test looks at the mock and changes what it does. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "mock/routes.h"

static struct mock_shared *shared_of(const struct mock_request *rq)
{
    return rq->connection->worker->shared;
}

static void reply_empty(struct mock_request *rq)
{
    mock_reply_json(rq, 200, "{}", 2);
}

void mock_answer_stats(struct mock_request *rq)
{
    char buf[2048];
    size_t n = mock_stats_json(&shared_of(rq)->stats, weir_clock_us(), buf, sizeof buf);
    mock_reply_json(rq, 200, buf, n);
}

void mock_answer_reset_stats(struct mock_request *rq)
{
    mock_stats_reset(&shared_of(rq)->stats);
    if (shared_of(rq)->options->workers == 1)
        mock_gates_forget(&shared_of(rq)->gates);
    reply_empty(rq);
}

void mock_answer_gate(struct mock_request *rq)
{
    uint64_t steps;
    struct weir_str name = {rq->path.ptr + rq->route->path.len, rq->path.len - rq->route->path.len};
    struct mock_gate *gate = shared_of(rq)->options->workers == 1 ? mock_gate_find(&shared_of(rq)->gates, name) : NULL;
    bool open = weir_str_eq(rq->query, WEIR_STR("steps=all"));
    if (gate == NULL || (!open && !mock_query_u64(rq, WEIR_STR("steps"), 0, &steps))) {
        mock_reply_error(rq, 400, "no such gate can be, or steps is not a number");
        return;
    }
    mock_gate_add(gate, open ? MOCK_STEPS_FOREVER : steps);
    char buf[128];
    int n = snprintf(buf, sizeof buf, "{\"waiting\":%u,\"steps\":%" PRIu64 "}", gate->waiting_count, gate->steps);
    mock_reply_json(rq, 200, buf, (size_t)n);
}

void mock_answer_arrivals(struct mock_request *rq)
{
    uint64_t from;
    size_t len;
    char *text = NULL;
    if (!mock_query_u64(rq, WEIR_STR("from"), 0, &from)) {
        mock_reply_error(rq, 400, "from is a number");
        return;
    }
    text = mock_stats_arrivals(&shared_of(rq)->stats, from, weir_clock_us(), &len);
    if (text == NULL)
        mock_reply_error(rq, 500, "out of memory");
    else
        mock_reply_text(rq, 200, WEIR_STR("application/json"), text, len, text);
}

static bool apply_query(struct mock_change *change, size_t len)
{
    for (char *at = change->text, *end = at + len; at < end;) {
        char *amp = memchr(at, '&', (size_t)(end - at));
        char *stop = amp != NULL ? amp : end;
        char *equals = memchr(at, '=', (size_t)(stop - at));
        if (equals == NULL)
            return false;
        struct weir_str key = {at, (size_t)(equals - at)};
        struct weir_str value = {equals + 1, (size_t)(stop - equals - 1)};
        value.len = mock_percent_decode(equals + 1, value);
        if (mock_plan_set(&change->plan, key, value) != MOCK_PLAN_OK)
            return false;
        at = stop + 1;
    }
    return true;
}

static void publish(struct mock_shared *shared, struct mock_change *change)
{
    change->older = atomic_load_explicit(&shared->change, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(&shared->change, &change->older, change, memory_order_release,
                                                  memory_order_relaxed))
        ;
}

void mock_answer_plan(struct mock_request *rq)
{
    struct mock_shared *shared = shared_of(rq);
    if (atomic_fetch_add_explicit(&shared->change_count, 1, memory_order_relaxed) >= MOCK_CHANGES_MAX) {
        mock_reply_error(rq, 503, "the plan was changed too often");
        return;
    }
    struct mock_change *change = malloc(sizeof *change + rq->query.len);
    if (change == NULL) {
        mock_reply_error(rq, 500, "out of memory");
        return;
    }
    change->plan = shared->options->plan;
    if (rq->query.len > 0)
        memcpy(change->text, rq->query.ptr, rq->query.len);
    if (!apply_query(change, rq->query.len)) {
        free(change);
        mock_reply_error(rq, 400, "a key is unknown or has no valid value");
        return;
    }
    publish(shared, change);
    reply_empty(rq);
}

void mock_answer_listen(struct mock_request *rq)
{
    struct mock_worker *w = rq->connection->worker;
    uint64_t open;
    struct weir_err err = {0};
    if (!rq->connection->control || w->shared->options->workers != 1 ||
        !mock_query_u64(rq, WEIR_STR("open"), 2, &open) || open > 1) {
        mock_reply_error(rq, 400, "open is 0 or 1, by the control listener, with one worker");
        return;
    }
    int rv = open == 1 ? mock_worker_up(w, &err) : mock_worker_down(w, &err);
    if (rv != WEIR_OK)
        mock_reply_error(rq, 500, err.msg);
    else
        reply_empty(rq);
}
