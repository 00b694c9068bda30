#include "node/peer.h"

#include <stdlib.h>

#include "node/runtime.h"

/* What was told of a load says half as much after this long. */
#define LOAD_HALF_MS 1000u

struct weir_peer_state *weir_peer_state_new(void)
{
    struct weir_peer_state *p = calloc(1, sizeof *p);
    if (p != NULL)
        p->refs = 1;
    return p;
}

void weir_peer_state_ref(struct weir_peer_state *p)
{
    atomic_fetch_add_explicit(&p->refs, 1, memory_order_relaxed);
}

void weir_peer_state_unref(struct weir_peer_state *p)
{
    if (atomic_fetch_sub_explicit(&p->refs, 1, memory_order_acq_rel) == 1)
        free(p);
}

bool weir_peer_may_ask(struct weir_peer_state *p, uint64_t now_ms, uint64_t trial_ms)
{
    uint64_t until = atomic_load_explicit(&p->suspect_until_ms, memory_order_relaxed);
    if (until == 0)
        return true;
    return until <= now_ms && atomic_compare_exchange_strong(&p->suspect_until_ms, &until, now_ms + trial_ms);
}

bool weir_peer_is_suspect(const struct weir_peer_state *p)
{
    return atomic_load_explicit(&p->suspect_until_ms, memory_order_relaxed) != 0;
}

bool weir_peer_suspect(struct weir_peer_state *p, uint64_t now_ms, uint64_t for_ms)
{
    bool news = atomic_exchange(&p->suspect_until_ms, now_ms + for_ms) == 0;
    atomic_store(&p->has_news, true); /* the agent's suspicion is renewed, too */
    return news;
}

bool weir_peer_answered(struct weir_peer_state *p)
{
    if (atomic_load_explicit(&p->suspect_until_ms, memory_order_relaxed) == 0)
        return false;
    bool news = atomic_exchange(&p->suspect_until_ms, 0) != 0;
    if (news)
        atomic_store(&p->has_news, true);
    return news;
}

enum weir_peer_news weir_peer_take_news(struct weir_peer_state *p)
{
    if (!atomic_exchange(&p->has_news, false))
        return WEIR_PEER_NEWS_NONE;
    return weir_peer_is_suspect(p) ? WEIR_PEER_NEWS_UNREACHABLE : WEIR_PEER_NEWS_REACHABLE;
}

static uint32_t sent(const struct weir_endpoint *e)
{
    return atomic_load_explicit(&e->in_flight, memory_order_relaxed);
}

void weir_peer_told(struct weir_peer_state *p, const struct weir_endpoint *e, uint64_t now_ms, uint32_t load)
{
    atomic_store_explicit(&p->load_elsewhere, (int64_t)load - sent(e), memory_order_relaxed);
    atomic_store_explicit(&p->load_told_ms, now_ms, memory_order_relaxed);
}

void weir_peer_told_epoch(struct weir_peer_state *p, uint64_t epoch)
{
    uint64_t seen = atomic_load_explicit(&p->epoch_told, memory_order_relaxed);
    while (seen < epoch && !atomic_compare_exchange_weak(&p->epoch_told, &seen, epoch))
        ;
}

uint32_t weir_peer_load(const struct weir_peer_state *p, const struct weir_endpoint *e, uint64_t now_ms)
{
    int64_t elsewhere = atomic_load_explicit(&p->load_elsewhere, memory_order_relaxed);
    uint64_t told_ms = atomic_load_explicit(&p->load_told_ms, memory_order_relaxed);
    uint64_t halvings = now_ms > told_ms ? (now_ms - told_ms) / LOAD_HALF_MS : 0;
    elsewhere = halvings < 32 ? elsewhere / (INT64_C(1) << halvings) : 0;
    int64_t load = elsewhere + sent(e);
    return load > 0 ? (uint32_t)load : 0;
}
