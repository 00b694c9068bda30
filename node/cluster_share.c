/* What the nodes of a cluster share beside the shards: circuits, limits, and the results of checks. */
#include <string.h>

#include "node/circuit_share.h"
#include "node/cluster_inner.h"

static struct weir_circuit_caller control(const struct weir_cluster *c)
{
    return (struct weir_circuit_caller){WEIR_CIRCUIT_CONTROL, c->reactor->now_ms, c->log};
}

/* -- those of the view in force, one after the other -- */

struct walk {
    const struct weir_view *view;
    unsigned provider, endpoint;
};

static struct walk walk(const struct weir_cluster *c)
{
    return (struct walk){.view = c->view};
}

static struct weir_endpoint *next_endpoint(struct walk *w)
{
    while (w->view != NULL && w->provider < w->view->provider_count) {
        const struct weir_view_provider *p = &w->view->providers[w->provider];
        if (w->endpoint < p->endpoint_count)
            return p->endpoints[w->endpoint++].rt;
        w->provider++;
        w->endpoint = 0;
    }
    return NULL;
}

/* The same URL may stand under several providers: all of them have the circuit. */
static struct weir_endpoint *next_named(struct walk *w, const char *id)
{
    struct weir_endpoint *e = next_endpoint(w);
    while (e != NULL && strcmp(e->id, id) != 0)
        e = next_endpoint(w);
    return e;
}

static struct weir_provider *provider_at(const struct weir_cluster *c, unsigned i)
{
    return c->view != NULL && i < c->view->provider_count ? c->view->providers[i].rt : NULL;
}

/* -- circuits -- */

uint32_t weir_cluster_take_reports(void *cluster, uint64_t now_ms, enum weir_cluster_haste least,
                                   struct weir_coord_report_item *items, uint32_t max)
{
    struct weir_cluster *c = cluster;
    struct walk w = walk(c);
    struct weir_endpoint *e;
    uint32_t n = 0;
    while (n < max && (e = next_endpoint(&w)) != NULL) {
        items[n].endpoint = e->id;
        items[n].quiet = !atomic_load_explicit(&e->circuit.monitored, memory_order_relaxed);
        n += weir_circuit_take_report(e, now_ms, least, &items[n].report, &items[n].policy);
    }
    return n;
}

bool weir_cluster_owes(const struct weir_cluster *c, enum weir_cluster_haste *haste)
{
    struct walk w = walk(c);
    struct weir_endpoint *e;
    bool any = false;
    *haste = WEIR_CLUSTER_CALM;
    while ((e = next_endpoint(&w)) != NULL) {
        enum weir_cluster_haste one;
        if (!weir_circuit_owes(e, c->reactor->now_ms, &one))
            continue;
        *haste = one > *haste ? one : *haste;
        any = true;
    }
    return any;
}

void weir_cluster_learn(struct weir_cluster *c, const struct weir_cluster_action *a)
{
    const struct weir_circuit_caller by = control(c);
    struct walk w = walk(c);
    struct weir_endpoint *e;
    while ((e = next_named(&w, a->circuit.endpoint)) != NULL)
        weir_circuit_learn(e, &by, &a->circuit.sight, a->store_ms, a->circuit.by);
}

/* Permits are for one of them, or they would be used twice. */
void weir_cluster_granted(struct weir_cluster *c, const struct weir_cluster_action *a)
{
    const struct weir_circuit_caller by = control(c);
    struct walk w = walk(c);
    struct weir_endpoint *e, *to = NULL;
    while ((e = next_named(&w, a->granted.endpoint)) != NULL)
        if (to == NULL || weir_circuit_is_asking(e, by.now_ms, false))
            to = e;
    if (to != NULL)
        weir_circuit_granted(to, &by, a->granted.said, a->granted.reply, a->store_ms);
}

/* -- limits -- */

uint32_t weir_cluster_take_tokens(void *cluster, uint64_t now_ms, struct weir_coord_tokens_item *items, uint32_t max)
{
    struct weir_cluster *c = cluster;
    struct weir_provider *p;
    uint32_t n = 0;
    for (unsigned i = 0; n < max && (p = provider_at(c, i)) != NULL; i++) {
        if (!weir_limit_take_wish(&p->limit, now_ms * 1000, c->leaving, &items[n]))
            continue;
        items[n++].provider = p->name;
    }
    return n;
}

bool weir_cluster_is_thirsty(const struct weir_cluster *c)
{
    struct weir_provider *p;
    for (unsigned i = 0; c->contact && (p = provider_at(c, i)) != NULL; i++)
        if (weir_limit_owes(&p->limit, c->reactor->now_us))
            return true;
    return false;
}

void weir_cluster_tokens(struct weir_cluster *c, const struct weir_cluster_action *a)
{
    const struct weir_cluster_limit_answer answer = {.ok = a->tokens.word == WEIR_COORD_OK,
                                                     .asked = a->tokens.asked,
                                                     .asked_us = a->tokens.asked_ms * 1000,
                                                     .store_us = a->tokens.store_us,
                                                     .granted = a->tokens.granted,
                                                     .remaining = a->tokens.remaining,
                                                     .wait_us = a->tokens.wait_us,
                                                     .full_us = a->tokens.full_us,
                                                     .nodes = weir_cluster_agent_sight(c->agent)->alive_count};
    struct weir_provider *p;
    for (unsigned i = 0; (p = provider_at(c, i)) != NULL; i++)
        if (strcmp(p->name, a->tokens.provider) == 0)
            weir_limit_answered(&p->limit, c->node->pools[0], c->reactor->now_us, &answer);
}

/* -- checks -- */

void weir_cluster_heard_check(struct weir_cluster *c, const struct weir_coord_checked *checked)
{
    struct walk w = walk(c);
    struct weir_endpoint *e;
    while ((e = next_named(&w, checked->endpoint)) != NULL)
        weir_health_check_heard(e->provider, e, checked->passed ? NULL : checked->why, c->reactor->now_ms, c->log);
}

/* -- with the others, and alone -- */

void weir_cluster_share(struct weir_cluster *c)
{
    struct walk w = walk(c);
    struct weir_endpoint *e;
    struct weir_provider *p;
    while ((e = next_endpoint(&w)) != NULL)
        weir_circuit_share(e, c->reactor->now_ms, c->number, &c->owes);
    bool sharded = c->view->cluster != NULL && c->view->config->distributed_pool.pool_sharding;
    const struct weir_cluster_sight *s = weir_cluster_agent_sight(c->agent);
    for (unsigned i = 0; (p = provider_at(c, i)) != NULL; i++) {
        weir_limit_share(&p->limit, c->reactor->now_us, &c->thirsty);
        weir_scaling_share(p, sharded ? s->owned_count : 0, sharded ? s->shard_count : 0);
    }
    if (c->contact)
        weir_cluster_together(c);
}

static void call_waiters(struct weir_cluster *c, struct weir_provider *p)
{
    weir_waitline_call(&p->limit.line, c->node->pools[0]);
}

void weir_cluster_together(struct weir_cluster *c)
{
    struct weir_provider *p;
    for (unsigned i = 0; (p = provider_at(c, i)) != NULL; i++) {
        weir_limit_lease(&p->limit);
        call_waiters(c, p);
    }
}

void weir_cluster_alone(struct weir_cluster *c)
{
    uint32_t nodes = weir_cluster_agent_sight(c->agent)->alive_count;
    struct walk w = walk(c);
    struct weir_endpoint *e;
    struct weir_provider *p;
    while ((e = next_endpoint(&w)) != NULL)
        weir_circuit_alone(e, c->reactor->now_ms);
    for (unsigned i = 0; (p = provider_at(c, i)) != NULL; i++) {
        if (!c->contact)
            weir_limit_alone(&p->limit, nodes, c->reactor->now_us);
        call_waiters(c, p);
    }
}
