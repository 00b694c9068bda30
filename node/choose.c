#include "node/choose.h"

#include "core/shard_map.h"
#include "node/worker.h"

/* Weights of the round robin are counted in parts, so that a slow start has room below one. */
#define WEIGHT_PARTS 16u

static uint64_t bit(const struct weir_view_endpoint *e)
{
    return UINT64_C(1) << e->rt->slot;
}

/* Of an endpoint that was sick, what was measured before it came back counts no more; nor does a failure after which
 * nobody asked it for a recovery timeout, too few of them to open its circuit. 0: nothing is measured. */
static double measured_us(struct weir_balance_latency *l, uint64_t up_since_ms, uint64_t recovery_ms, uint64_t now_us)
{
    if (l->at_us < up_since_ms * 1000 || (l->failed && l->at_us + recovery_ms * 1000 <= now_us))
        weir_balance_latency_init(l, now_us);
    return l->measured ? weir_balance_latency_us(l, now_us) : 0;
}

/* What is not measured is taken for the slowest of what is. */
static void fill_unmeasured(struct weir_balance_item *items, unsigned n)
{
    double slowest = 0;
    for (unsigned i = 0; i < n; i++)
        if (!items[i].closed && items[i].latency_us > slowest)
            slowest = items[i].latency_us;
    for (unsigned i = 0; i < n; i++)
        if (items[i].latency_us <= 0)
            items[i].latency_us = slowest > 0 ? slowest : (double)WEIR_BALANCE_UNKNOWN_US;
}

static bool is_meant(const struct weir_choosing *c, const struct weir_view_endpoint *e)
{
    return c->only == 0 || (c->only & bit(e)) != 0;
}

static void look(const struct weir_choosing *c, uint64_t at_ms, struct weir_balance_item *items)
{
    const struct weir_view_provider *p = c->provider;
    uint64_t now_us = c->worker->reactor.now_us;
    uint64_t out = weir_health_out(p->rt);
    uint64_t recovery_ms = p->config->http.circuit_breaker.recovery_timeout_ms;
    bool compare = weir_choose_compares(p, c->by_load);
    for (unsigned i = 0; i < p->endpoint_count; i++) {
        const struct weir_view_endpoint *e = &p->endpoints[i];
        uint64_t since = atomic_load_explicit(&e->rt->up_since_ms, memory_order_relaxed);
        items[i] = (struct weir_balance_item){
            .weight = e->config->weight,
            .in_flight = atomic_load_explicit(&e->rt->in_flight, memory_order_relaxed),
            .latency_us =
                compare ? measured_us(&e->rt->local[c->worker->index].latency, since, recovery_ms, now_us) : 0,
            .up_ms = since == 0      ? UINT64_MAX
                     : at_ms > since ? at_ms - since
                                     : 0,
            .tried = (c->tried & bit(e)) != 0,
            .ejected =
                (out & bit(e)) != 0 || weir_circuit_is_shunned(e->rt, at_ms) || weir_circuit_is_on_trial(e->rt, at_ms),
            .closed = !is_meant(c, e) || e->address_count == 0 || !weir_circuit_may_admit(e->rt, at_ms),
        };
    }
    if (compare)
        fill_unmeasured(items, p->endpoint_count);
}

static uint32_t weight_now(const struct weir_balance_item *e, uint64_t slow_start_ms)
{
    uint64_t whole = (uint64_t)e->weight * WEIGHT_PARTS;
    if (e->up_ms >= slow_start_ms)
        return (uint32_t)whole;
    uint64_t part = whole * e->up_ms / slow_start_ms;
    return (uint32_t)(part * 10 > whole ? part : whole / 10 + 1);
}

static int pick_in_turn(const struct weir_choosing *c, const struct weir_balance_item *of, uint64_t candidates)
{
    const struct weir_view_provider *p = c->provider;
    struct weir_wrr_item *state = p->rt->local[c->worker->index].wrr;
    struct weir_wrr_item items[WEIR_POOL_ENDPOINTS_MAX];
    for (unsigned i = 0; i < p->endpoint_count; i++)
        items[i] = (struct weir_wrr_item){weight_now(&of[i], p->config->http.slow_start_ms),
                                          state[p->endpoints[i].rt->slot].current, (candidates >> i & 1) != 0};
    int pick = weir_wrr_pick(items, p->endpoint_count);
    for (unsigned i = 0; i < p->endpoint_count; i++)
        state[p->endpoints[i].rt->slot].current = items[i].current;
    return pick;
}

/* Alike on every node, so that a key finds its endpoint again; but not more than 1.25 times its share, should one key
 * be half the load. */
static int pick_ranked(const struct weir_choosing *c, const struct weir_balance_item *items, uint64_t candidates)
{
    const struct weir_view_provider *p = c->provider;
    uint64_t hashes[WEIR_POOL_ENDPOINTS_MAX], all = 0;
    uint32_t weights[WEIR_POOL_ENDPOINTS_MAX], shares[WEIR_POOL_ENDPOINTS_MAX], sum = 0;
    uint8_t order[WEIR_POOL_ENDPOINTS_MAX];
    for (unsigned i = 0; i < p->endpoint_count; i++) {
        hashes[i] = p->endpoints[i].hash;
        weights[i] = items[i].weight;
        shares[i] = 0;
        if ((candidates >> i & 1) == 0)
            continue;
        shares[i] = weight_now(&items[i], p->config->http.slow_start_ms);
        sum += shares[i];
        all += items[i].in_flight;
    }
    weir_shard_rank(c->shard, hashes, weights, p->endpoint_count, order);
    for (unsigned k = 0; k < p->endpoint_count; k++) {
        unsigned i = order[k];
        if ((candidates >> i & 1) != 0 &&
            items[i].in_flight < weir_bounded_load_cap(all, shares[i], sum, WEIR_BOUNDED_LOAD_PERCENT))
            return (int)i;
    }
    return __builtin_ctzll(candidates); /* not reached: they cannot all be above the mean */
}

static int pick(const struct weir_choosing *c, const struct weir_balance_item *items, uint64_t candidates)
{
    const struct weir_view_provider *p = c->provider;
    if ((candidates & (candidates - 1)) == 0)
        return candidates == 0 ? -1 : __builtin_ctzll(candidates);
    if (c->by_shard)
        return pick_ranked(c, items, candidates);
    if (weir_choose_compares(p, c->by_load))
        return weir_balance_pick(items, p->endpoint_count, p->config->http.slow_start_ms,
                                 weir_rng_next(&c->worker->rng));
    return pick_in_turn(c, items, candidates);
}

/* asked: by this choosing, so that the answer may be here already, and be a permit. */
static enum weir_choice none(struct weir_choosing *c, bool asked)
{
    uint64_t now_ms = c->worker->reactor.now_ms, first = UINT64_MAX;
    bool resolved = false;
    for (unsigned i = 0; i < c->provider->endpoint_count; i++) {
        const struct weir_view_endpoint *e = &c->provider->endpoints[i];
        if (e->address_count == 0 || !is_meant(c, e))
            continue;
        uint64_t until = weir_circuit_refuses_until_ms(e->rt, now_ms);
        resolved = true;
        /* Or it may be asked by now: the answer has come since it was looked at. */
        asked = asked || weir_circuit_is_asking(e->rt, now_ms, false) || weir_circuit_may_admit(e->rt, now_ms);
        if (until < first)
            first = until;
    }
    c->wait_ms = resolved && first > now_ms ? first - now_ms : 0;
    return asked ? WEIR_CHOICE_ASKED : resolved ? WEIR_CHOICE_OPEN : WEIR_CHOICE_NO_ADDRESS;
}

static bool has_room(const struct weir_view_endpoint *e)
{
    return weir_concurrency_has_room(&e->rt->concurrency,
                                     atomic_load_explicit(&e->rt->in_flight, memory_order_relaxed));
}

/* Those without room for one more are no choice. True: there was one. */
static bool leave_out_busy(const struct weir_choosing *c, struct weir_balance_item *items)
{
    bool any = false;
    if (!weir_places_are_counted(&c->provider->rt->places))
        return false;
    for (unsigned i = 0; i < c->provider->endpoint_count; i++) {
        bool busy = !items[i].closed && !has_room(&c->provider->endpoints[i]);
        items[i].closed = items[i].closed || busy;
        any = any || busy;
    }
    return any;
}

static uint64_t slots_of(const struct weir_view_provider *p, uint64_t items)
{
    uint64_t slots = 0;
    for (unsigned i = 0; i < p->endpoint_count; i++)
        if ((items >> i & 1) != 0)
            slots |= bit(&p->endpoints[i]);
    return slots;
}

/* One that waits for a probe is asked by the next request that has not failed yet, however slow it was when it was
 * sick: else it would be back only when that is forgotten. -1: there is none. */
static int pick_probe(const struct weir_choosing *c, uint64_t candidates)
{
    for (unsigned i = 0; c->tried == 0 && i < c->provider->endpoint_count; i++)
        if ((candidates >> i & 1) != 0 &&
            weir_circuit_wants_probe(c->provider->endpoints[i].rt, c->worker->reactor.now_ms))
            return (int)i;
    return -1;
}

/* It asked for a permit before, and the answer is on its way. */
static bool awaits_probe(const struct weir_choosing *c, uint64_t now_ms)
{
    if (c->permit_end_ms <= now_ms)
        return false;
    for (unsigned i = 0; i < c->provider->endpoint_count; i++)
        if (is_meant(c, &c->provider->endpoints[i]) &&
            weir_circuit_is_asking(c->provider->endpoints[i].rt, now_ms, true))
            return true;
    return false;
}

/* It has just asked for one, and should wait for the answer. */
static bool begins_to_wait(const struct weir_choosing *c, const struct weir_breaker_answer *a)
{
    return c->permit_end_ms == 0 && c->tried == 0 && a->awaited;
}

enum weir_choice weir_choose(struct weir_choosing *c)
{
    struct weir_balance_item items[WEIR_POOL_ENDPOINTS_MAX];
    const struct weir_circuit_caller by = {c->worker->index, c->worker->reactor.now_ms, c->worker->log};
    if (awaits_probe(c, by.now_ms)) /* before it looks: the answer may come any moment */
        return WEIR_CHOICE_ASKED;
    look(c, by.now_ms, items);
    bool busy = leave_out_busy(c, items), asked = false;
    for (;;) {
        uint64_t candidates = weir_balance_candidates(items, c->provider->endpoint_count);
        int i = pick_probe(c, candidates);
        if (i < 0)
            i = pick(c, items, candidates);
        if (i < 0)
            return busy ? WEIR_CHOICE_BUSY : none(c, asked);
        const struct weir_view_endpoint *e = &c->provider->endpoints[i];
        if (!items[i].ejected && weir_circuit_is_cooled(e->rt) && !weir_circuit_begin_trial(e->rt, by.now_ms)) {
            items[i].ejected = true; /* another worker was faster */
            continue;
        }
        struct weir_breaker_answer a = weir_circuit_admit(e->rt, &by);
        if (a.word != WEIR_BREAKER_ADMIT) {
            asked = asked || a.word == WEIR_BREAKER_REFUSE_ASKED;
            if (begins_to_wait(c, &a))
                return WEIR_CHOICE_ASKED;
            items[i].closed = true; /* another worker was faster */
            continue;
        }
        c->endpoint = e;
        c->ticket = a.ticket;
        /* A probe is for this one; connections of a circuit that is not closed are not for everybody; and a shard has
         * one endpoint. */
        bool only_this = a.ticket.own_permit != 0 || a.ticket.permit != 0 || c->by_shard;
        c->may_serve = only_this ? bit(e) : slots_of(c->provider, candidates);
        return WEIR_CHOSEN;
    }
}

bool weir_choose_could(const struct weir_choosing *c, uint64_t at_ms, bool *elsewhere)
{
    struct weir_balance_item items[WEIR_POOL_ENDPOINTS_MAX];
    look(c, at_ms, items);
    uint64_t candidates = weir_balance_candidates(items, c->provider->endpoint_count);
    *elsewhere = (slots_of(c->provider, candidates) & ~c->tried) != 0;
    return candidates != 0;
}
