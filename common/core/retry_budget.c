#include "core/retry_budget.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "core/counters.h"

#define BUCKETS WEIR_RETRY_BUDGET_WINDOW_S

/* A bucket is one word, so that it is seen whole: its second above, its count below. 32 bits of seconds are 136 years;
 * a count stays at its highest. */
typedef _Atomic uint64_t cell;

struct row {
    _Alignas(WEIR_CACHE_LINE) cell cells[BUCKETS];
};

struct weir_retry_budget {
    struct row retries;
    unsigned workers;
    struct row requests[];
};

static uint64_t pack(uint32_t second, uint32_t count)
{
    return (uint64_t)second << 32 | count;
}

static uint32_t second_of(uint64_t word)
{
    return (uint32_t)(word >> 32);
}

static uint32_t count_of(uint64_t word)
{
    return (uint32_t)word;
}

/* The word with one more. Of a thread that lags so far that its bucket has been used anew, it counts in the new one:
 * counting late keeps the bound of retries, and no request is counted in two windows. */
static uint64_t one_more(uint64_t word, uint32_t second)
{
    if (second_of(word) < second)
        return pack(second, 1);
    return count_of(word) == UINT32_MAX ? word : word + 1;
}

int weir_retry_budget_new(struct weir_retry_budget **out, unsigned workers, struct weir_err *err)
{
    size_t size = sizeof(struct weir_retry_budget) + workers * sizeof(struct row);
    assert(workers > 0);
    *out = aligned_alloc(WEIR_CACHE_LINE, size);
    if (*out == NULL)
        return weir_err_set(err, WEIR_ENOMEM, "%s", weir_err_text(WEIR_ENOMEM));
    memset(*out, 0, size);
    (*out)->workers = workers;
    return WEIR_OK;
}

void weir_retry_budget_free(struct weir_retry_budget **b)
{
    free(*b);
    *b = NULL;
}

void weir_retry_budget_request(struct weir_retry_budget *b, unsigned worker, uint64_t now_ms)
{
    uint32_t second = (uint32_t)(now_ms / 1000);
    assert(worker < b->workers);
    cell *c = &b->requests[worker].cells[second % BUCKETS];
    atomic_store_explicit(c, one_more(atomic_load_explicit(c, memory_order_relaxed), second), memory_order_relaxed);
}

/* Cells of a thread that is ahead of this one count too, of both kinds. */
static uint64_t sum(const struct row *row, uint32_t second)
{
    uint64_t total = 0;
    for (unsigned i = 0; i < BUCKETS; i++) {
        uint64_t word = atomic_load(&row->cells[i]);
        if ((uint64_t)second_of(word) + BUCKETS > second)
            total += count_of(word);
    }
    return total;
}

struct weir_retry_budget_sight weir_retry_budget_look(const struct weir_retry_budget *b, uint64_t now_ms)
{
    uint32_t second = (uint32_t)(now_ms / 1000);
    struct weir_retry_budget_sight s = {.retries = sum(&b->retries, second)};
    for (unsigned i = 0; i < b->workers; i++)
        s.requests += sum(&b->requests[i], second);
    uint64_t floor = (uint64_t)WEIR_RETRY_BUDGET_FLOOR_S * WEIR_RETRY_BUDGET_WINDOW_S;
    s.allowed = s.requests * WEIR_RETRY_BUDGET_PERCENT / 100;
    if (s.allowed < floor)
        s.allowed = floor;
    return s;
}

/* Takes one off the bucket in which it was counted, unless that has been used anew since. */
static void take_back(cell *c, uint32_t second)
{
    uint64_t word = atomic_load(c);
    while (second_of(word) == second && count_of(word) > 0)
        if (atomic_compare_exchange_weak(c, &word, word - 1))
            return;
}

bool weir_retry_budget_take(struct weir_retry_budget *b, uint64_t now_ms)
{
    uint32_t second = (uint32_t)(now_ms / 1000);
    cell *c = &b->retries.cells[second % BUCKETS];
    uint64_t word = atomic_load(c), more;
    /* Without this look a provider that fails would have every refused retry write to the shared line. */
    struct weir_retry_budget_sight s = weir_retry_budget_look(b, now_ms);
    if (s.retries >= s.allowed)
        return false;
    do
        more = one_more(word, second);
    while (!atomic_compare_exchange_weak(c, &word, more));
    s = weir_retry_budget_look(b, now_ms);
    if (s.retries <= s.allowed)
        return true;
    take_back(c, second_of(more));
    return false;
}
