/* Limits: tokens of all providers in one question. */
#include <stdio.h>

#include "core/cluster_agent_inner.h"

void weir_cluster_agent_thirsty(struct weir_cluster_agent *a, uint64_t now_ms)
{
    uint64_t due = a->tokens_asked_ms + AGENT_TOKENS_MS;
    due = due > now_ms ? due : now_ms;
    a->tokens_due_ms = due < a->tokens_due_ms ? due : a->tokens_due_ms;
    weir_cluster_agent_tick(a, now_ms);
}

/* The index of a free one; AGENT_BATCHES: as many are under way as may be, the next waits for an answer. */
static uint32_t free_batch(const struct weir_cluster_agent *a)
{
    uint32_t i = 0;
    while (i < AGENT_BATCHES && a->tokens[i].request != 0)
        i++;
    return i;
}

/* Returns how many limits took part. */
static uint32_t ask(struct weir_cluster_agent *a, uint64_t now_ms)
{
    uint32_t free_one = free_batch(a);
    struct weir_coord_request request = {.op = WEIR_COORD_TOKENS};
    if (free_one == AGENT_BATCHES)
        return 0;
    struct agent_token_batch *batch = &a->tokens[free_one];
    uint32_t n = a->ports.take_tokens(a->ports.arg, now_ms, request.tokens.items, WEIR_COORD_BATCH);
    assert(n <= WEIR_COORD_BATCH);
    request.tokens.count = batch->count = n;
    for (uint32_t i = 0; i < n; i++) {
        (void)snprintf(batch->providers[i], sizeof batch->providers[i], "%s", request.tokens.items[i].provider);
        batch->items[i] = request.tokens.items[i];
        batch->items[i].provider = batch->providers[i];
    }
    if (n > 0)
        batch->request = agent_send(a, now_ms, &request) ? request.id : 0;
    return n;
}

static uint32_t ask_all(struct weir_cluster_agent *a, uint64_t now_ms)
{
    uint32_t n, all = 0;
    do {
        n = ask(a, now_ms);
        all += n;
    } while (n == WEIR_COORD_BATCH);
    return all;
}

static bool may_ask(const struct weir_cluster_agent *a)
{
    return a->link && a->contact && a->leaving < AGENT_LEAVES && free_batch(a) < AGENT_BATCHES;
}

void agent_tokens_tick(struct weir_cluster_agent *a, uint64_t now_ms)
{
    if (!may_ask(a) || a->tokens_due_ms > now_ms)
        return;
    a->tokens_due_ms = AGENT_NEVER;
    if (ask_all(a, now_ms) == 0)
        return;
    a->tokens_asked_ms = now_ms;
    a->tokens_due_ms = now_ms + AGENT_TOKENS_MS; /* what is left over then is to be handed back */
}

uint64_t agent_tokens_deadline(const struct weir_cluster_agent *a)
{
    return may_ask(a) ? a->tokens_due_ms : AGENT_NEVER;
}

void agent_tokens_return(struct weir_cluster_agent *a, uint64_t now_ms)
{
    if (a->link && a->contact)
        (void)ask_all(a, now_ms);
}

void agent_tokens_reply(struct weir_cluster_agent *a, const struct weir_coord_reply *r)
{
    for (uint32_t b = 0; b < AGENT_BATCHES; b++) {
        struct agent_token_batch *batch = &a->tokens[b];
        if (batch->request != r->id)
            continue;
        batch->request = 0;
        bool ok = r->word == WEIR_COORD_OK;
        for (uint32_t i = 0; i < batch->count; i++) {
            struct weir_cluster_action action = {.what = WEIR_CLUSTER_TOKENS};
            bool there = ok && i < r->tokens.count;
            action.tokens.provider = batch->providers[i];
            action.tokens.word = ok && !there ? WEIR_COORD_AWAY : r->word;
            action.tokens.asked_ms = r->sent_ms;
            action.tokens.store_us = r->now_us;
            action.tokens.asked = batch->items[i];
            if (there) {
                uint32_t granted = r->tokens.items[i].granted;
                action.tokens.granted = granted < batch->items[i].want ? granted : batch->items[i].want;
                action.tokens.remaining = r->tokens.items[i].remaining;
                action.tokens.wait_us = r->tokens.items[i].wait_us;
                action.tokens.full_us = r->tokens.items[i].full_us;
            }
            agent_act(a, &action);
        }
        return;
    }
}
