#include "node/request_trace.h"

#include <stdlib.h>

#include "core/route.h"
#include "node/node.h"
#include "node/request.h"
#include "node/trace_ring.h"

/* The worker's clock counts from its machine's start. */
static uint64_t unix_us(const struct weir_request_trace *t, uint64_t at_us)
{
    return t->unix_less_worker_us + at_us;
}

static void put(struct weir_worker *w, const struct weir_span *s)
{
    struct weir_trace_ring *ring = atomic_load_explicit(&w->traces, memory_order_relaxed);
    if (ring == NULL) {
        ring = weir_trace_ring_new();
        atomic_store_explicit(&w->traces, ring, memory_order_release);
    }
    bool kept = ring != NULL && weir_trace_ring_put(ring, s);
    weir_node_add(w->counters, kept ? WEIR_NC_SPANS_KEPT : WEIR_NC_SPANS_DROPPED, 1);
}

static bool is_recorded(struct weir_request *r, struct weir_trace_context *c)
{
    const struct weir_config *config = r->hold->view->config;
    /* Of a peer it is the same request, whoever began its trace. */
    bool follows = config->tracing.follow_client || r->hop.origin != NULL;
    if (config->tracing.endpoint == NULL)
        return false;
    if (weir_request_read_trace(r, c) && follows)
        return c->sampled;
    weir_trace_begin(c, &r->worker->rng);
    return c->sampled = weir_trace_is_chosen(c, config->tracing.sample);
}

void weir_request_trace_begin(struct weir_request *r)
{
    struct weir_trace_context c;
    if (!is_recorded(r, &c))
        return;
    struct weir_request_trace *t = calloc(1, sizeof *t);
    if (t == NULL)
        return;
    t->unix_less_worker_us = weir_clock_unix_ms() * 1000 - weir_worker_now_us(r->worker);
    t->span = (struct weir_span){.kind = WEIR_SPAN_REQUEST, .context = c, .parent = c.span};
    t->span.context.span = weir_trace_span_id(&r->worker->rng);
    weir_span_text(t->span.method, sizeof t->span.method, r->head->method);
    weir_span_text(t->span.path, sizeof t->span.path, weir_route_path(r->head->target));
    weir_span_text(t->span.request_id, sizeof t->span.request_id, weir_request_id(r));
    t->field = weir_request_write_trace(r, &t->span.context);
    if (t->field != NULL)
        r->trace = t;
    else
        free(t);
}

void weir_request_trace_try(struct weir_request *r)
{
    struct weir_request_trace *t = r->trace;
    if (t == NULL)
        return;
    t->tries++;
    t->try_id = weir_trace_span_id(&r->worker->rng);
    t->try_begun_us = weir_worker_now_us(r->worker);
    t->try_status = 0;
    t->try_error = NULL;
    if (r->head != NULL)
        weir_hex64(t->field + WEIR_TRACEPARENT_SPAN, t->try_id);
}

void weir_request_trace_outcome(struct weir_request *r, unsigned status, const char *error)
{
    if (r->trace == NULL)
        return;
    r->trace->try_status = (uint16_t)status;
    r->trace->try_error = error;
}

/* Where it went, as far as that is known. */
static void fill_place(const struct weir_request *r, struct weir_span *s)
{
    if (r->provider != NULL && r->hop.peer == NULL)
        weir_span_text(s->provider, sizeof s->provider, weir_str_of(r->provider->config->name));
    if (r->endpoint != NULL)
        weir_span_text(s->endpoint, sizeof s->endpoint, weir_str_of(r->endpoint->config->id));
    if (r->hop.peer != NULL)
        weir_span_text(s->peer, sizeof s->peer, weir_str_of(r->hop.peer->id));
}

void weir_request_trace_try_end(struct weir_request *r)
{
    const struct weir_request_trace *t = r->trace;
    if (t == NULL)
        return;
    struct weir_span s = t->span;
    s.kind = WEIR_SPAN_TRY;
    s.context.span = t->try_id;
    s.parent = t->span.context.span;
    s.begin_us = unix_us(t, t->try_begun_us);
    s.end_us = unix_us(t, weir_worker_now_us(r->worker));
    s.status = t->try_status;
    s.attempt = t->tries;
    s.reused = r->reused;
    s.failed = t->try_error != NULL || t->try_status >= 500;
    weir_span_text(s.error, sizeof s.error, weir_str_of(t->try_error != NULL ? t->try_error : ""));
    fill_place(r, &s);
    put(r->worker, &s);
}

void weir_request_trace_end(struct weir_request *r)
{
    struct weir_request_trace *t = r->trace;
    if (t == NULL)
        return;
    struct weir_span *s = &t->span;
    s->begin_us = unix_us(t, r->start_us);
    s->end_us = unix_us(t, weir_worker_now_us(r->worker));
    s->status = r->status;
    s->attempt = t->tries;
    s->failed = r->status == 0 || r->status >= 500 || r->close_reason != NULL;
    weir_span_text(s->error, sizeof s->error, weir_str_of(r->error != NULL ? r->error : ""));
    fill_place(r, s);
    if (r->hop.origin != NULL)
        weir_span_text(s->peer, sizeof s->peer, weir_str_of(r->hop.origin->node));
    put(r->worker, s);
    free(t);
    r->trace = NULL;
}
