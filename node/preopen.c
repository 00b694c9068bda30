#include "node/preopen.h"

#include <stdlib.h>

#include "node/upstream.h"

/* One at a time for each endpoint: see weir_endpoint.preopening. */
struct order {
    struct weir_message message; /* first */
    struct weir_worker *worker;
    struct weir_endpoint *endpoint; /* one reference */
    unsigned count;
};

/* -- on the worker -- */

static const struct weir_view_endpoint *find(const struct weir_view *v, const struct weir_endpoint *e)
{
    for (unsigned i = 0; i < v->provider_count; i++)
        for (unsigned k = 0; v->providers[i].rt == e->provider && k < v->providers[i].endpoint_count; k++)
            if (v->providers[i].endpoints[k].rt == e)
                return &v->providers[i].endpoints[k];
    return NULL;
}

static void carry_out(struct weir_message *m, void *receiver)
{
    (void)receiver;
    struct order *o = (struct order *)m;
    struct weir_worker *w = o->worker;
    struct weir_endpoint *e = o->endpoint;
    const struct weir_view_endpoint *seen = find(w->hold->view, e);
    bool ends = atomic_load(&w->node->draining);
    for (unsigned i = 0; seen != NULL && !ends && i < o->count; i++) {
        if (!weir_pool_open_ahead(&w->pool, e, &(struct weir_upstream_target){seen, w->hold, NULL}))
            break;
        weir_provider_add(&e->provider->local[w->index].counters, WEIR_PC_PREOPENED, 1);
    }
    atomic_store(&e->preopening, false);
    weir_endpoint_unref(e);
    free(o);
}

/* -- on control -- */

static bool is_well(const struct weir_view_endpoint *e)
{
    uint64_t now_ms = weir_clock_us() / 1000;
    struct weir_circuit_sight circuit = weir_circuit_look(e->rt, now_ms);
    bool out = (weir_health_out(e->rt->provider) >> e->rt->slot & 1) != 0;
    bool shut = circuit.enabled && (circuit.phase != WEIR_BREAKER_CLOSED || circuit.cooldown_until_ms > now_ms);
    return e->address_count > 0 && !out && !shut && !atomic_load(&e->rt->last_connect_failed);
}

static void post(struct weir_worker *w, struct weir_endpoint *e, unsigned count)
{
    struct order *o = atomic_load(&e->preopening) ? NULL : malloc(sizeof *o);
    if (o == NULL)
        return;
    *o = (struct order){{.handle = carry_out}, w, e, count};
    weir_endpoint_ref(e);
    atomic_store(&e->preopening, true);
    weir_mailbox_post(&w->reactor.mailbox, &o->message);
}

/* What may still be opened: more than may be idle would be closed at once. */
static uint32_t missing(const struct weir_provider *p, uint32_t wanted)
{
    uint32_t total = atomic_load(&p->total), most = atomic_load(&p->total_max);
    uint32_t spare = atomic_load(&p->idle) + atomic_load(&p->opening), idle_max = atomic_load(&p->idle_max);
    uint32_t room = idle_max > spare ? idle_max - spare : 0;
    wanted = wanted < most ? wanted : most;
    wanted = wanted > total ? wanted - total : 0;
    return wanted < room ? wanted : room;
}

void weir_preopen(struct weir_node *node, const struct weir_view_provider *v, uint32_t wanted, unsigned turn)
{
    uint32_t left = missing(v->rt, wanted), well = 0;
    for (unsigned i = 0; i < v->endpoint_count; i++)
        well += is_well(&v->endpoints[i]);
    for (unsigned i = 0; i < v->endpoint_count && left > 0 && well > 0; i++) {
        if (!is_well(&v->endpoints[i]))
            continue;
        uint32_t count = (left + well - 1) / well;
        left -= count;
        well--;
        post(&node->workers[(turn + i) % node->worker_count], v->endpoints[i].rt,
             count < WEIR_PREOPEN_RATE ? count : WEIR_PREOPEN_RATE);
    }
}
