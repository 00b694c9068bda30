#include "mock/stats.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define PHASE_NAME(id, name) name,
static const char *const phase_names[] = {MOCK_PHASE_MAP(PHASE_NAME)};

static uint64_t get(_Atomic uint64_t *n)
{
    return atomic_load_explicit(n, memory_order_relaxed);
}

static void put(_Atomic uint64_t *n, uint64_t value)
{
    atomic_store_explicit(n, value, memory_order_relaxed);
}

void mock_gauge_enter(struct mock_gauge *g)
{
    atomic_fetch_add_explicit(&g->total, 1, memory_order_relaxed);
    uint64_t open = atomic_fetch_add_explicit(&g->open, 1, memory_order_relaxed) + 1;
    uint64_t max = get(&g->open_max);
    while (open > max &&
           !atomic_compare_exchange_weak_explicit(&g->open_max, &max, open, memory_order_relaxed, memory_order_relaxed))
        ;
}

void mock_gauge_leave(struct mock_gauge *g)
{
    atomic_fetch_sub_explicit(&g->open, 1, memory_order_relaxed);
}

void mock_stats_arrived(struct mock_stats *s, uint64_t now_us)
{
    uint64_t n = atomic_fetch_add_explicit(&s->arrival_count, 1, memory_order_relaxed);
    put(&s->arrivals_us[n % MOCK_ARRIVALS_MAX], now_us);
}

static void gauge_reset(struct mock_gauge *g)
{
    put(&g->total, 0);
    put(&g->open_max, get(&g->open));
}

void mock_stats_reset(struct mock_stats *s)
{
    gauge_reset(&s->connections);
    gauge_reset(&s->requests);
    _Atomic uint64_t *const zeroed[] = {&s->closed_by_client, &s->closed_by_mock, &s->closed_idle,
                                        &s->aborted_at_us,    &s->malformed,      &s->body_bytes_in,
                                        &s->body_bytes_out,   &s->tokens_out,     &s->arrival_count};
    for (size_t i = 0; i < sizeof zeroed / sizeof zeroed[0]; i++)
        put(zeroed[i], 0);
    for (size_t i = 0; i < MOCK_PHASE_COUNT; i++)
        put(&s->aborted[i], 0);
}

static size_t add(char *buf, size_t cap, size_t at, int n)
{
    assert(n >= 0 && at + (size_t)n < cap);
    (void)buf;
    return at + (size_t)n;
}

size_t mock_stats_json(struct mock_stats *s, uint64_t now_us, char *buf, size_t cap)
{
    uint64_t aborted = 0, at_us = get(&s->aborted_at_us);
    for (size_t i = 0; i < MOCK_PHASE_COUNT; i++)
        aborted += get(&s->aborted[i]);
    size_t n =
        add(buf, cap, 0,
            snprintf(buf, cap,
                     "{\"connections\":{\"accepted\":%" PRIu64 ",\"open\":%" PRIu64 ",\"open_max\":%" PRIu64
                     ",\"closed_by_client\":%" PRIu64 ",\"closed_by_mock\":%" PRIu64 ",\"closed_idle\":%" PRIu64
                     "},\"requests\":{\"total\":%" PRIu64 ",\"open\":%" PRIu64 ",\"open_max\":%" PRIu64
                     ",\"malformed\":%" PRIu64 "},\"aborted\":{\"total\":%" PRIu64,
                     get(&s->connections.total), get(&s->connections.open), get(&s->connections.open_max),
                     get(&s->closed_by_client), get(&s->closed_by_mock), get(&s->closed_idle), get(&s->requests.total),
                     get(&s->requests.open), get(&s->requests.open_max), get(&s->malformed), aborted));
    for (size_t i = 0; i < MOCK_PHASE_COUNT; i++)
        n = add(buf, cap, n, snprintf(buf + n, cap - n, ",\"%s\":%" PRIu64, phase_names[i], get(&s->aborted[i])));
    n = add(buf, cap, n,
            snprintf(buf + n, cap - n,
                     ",\"last_at_us\":%" PRIu64 ",\"last_ms_ago\":%" PRId64 "},\"bytes\":{\"body_in\":%" PRIu64
                     ",\"body_out\":%" PRIu64 ",\"tokens_out\":%" PRIu64 "}}",
                     at_us, at_us == 0 ? (int64_t)-1 : (int64_t)((now_us - at_us) / 1000), get(&s->body_bytes_in),
                     get(&s->body_bytes_out), get(&s->tokens_out)));
    return n;
}

char *mock_stats_arrivals(struct mock_stats *s, uint64_t from, uint64_t now_us, size_t *len)
{
    uint64_t total = get(&s->arrival_count);
    uint64_t oldest = total > MOCK_ARRIVALS_MAX ? total - MOCK_ARRIVALS_MAX : 0;
    from = from < oldest ? oldest : from;
    size_t count = from < total ? (size_t)(total - from) : 0;
    size_t cap = 128 + count * 21; /* the digits of 2^64 and a comma */
    char *buf = malloc(cap);
    if (buf == NULL)
        return NULL;
    size_t n = add(buf, cap, 0,
                   snprintf(buf, cap, "{\"now_us\":%" PRIu64 ",\"total\":%" PRIu64 ",\"from\":%" PRIu64 ",\"us\":[",
                            now_us, total, from));
    for (size_t i = 0; i < count; i++)
        n = add(buf, cap, n,
                snprintf(buf + n, cap - n, "%s%" PRIu64, i > 0 ? "," : "",
                         get(&s->arrivals_us[(from + i) % MOCK_ARRIVALS_MAX])));
    *len = add(buf, cap, n, snprintf(buf + n, cap - n, "]}"));
    return buf;
}
