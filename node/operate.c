#include "node/operate.h"

#include <jansson.h>
#include <string.h>

#include "core/render_cluster.h"
#include "node/circuit.h"
#include "node/control_inner.h"

static void refuse(struct weir_admin_call *call, enum weir_admin_refusal refusal, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
static void refuse(struct weir_admin_call *call, enum weir_admin_refusal refusal, const char *fmt, ...)
{
    va_list ap;
    call->refusal = refusal;
    va_start(ap, fmt);
    vsnprintf(call->why, sizeof call->why, fmt, ap);
    va_end(ap);
}

static void answer(struct weir_control *c, struct weir_admin_call *call, unsigned status, const char *key,
                   const char *value, const char *state)
{
    call->status = status;
    call->content_type = "application/json";
    if (weir_render_operated(&call->text, c->node.name, key, value, state) != 0)
        call->text.failed = true;
}

/* -- draining -- */

static void drain(struct weir_control *c, bool on)
{
    if (atomic_load(&c->node.draining) || atomic_exchange(&c->node.resting, on) == on)
        return;
    if (on)
        weir_log_simple(c->log, WEIR_LOG_INFO, "drain_ordered",
                        "an operator empties this node: its shards go to others, and it serves on");
    else
        weir_log_simple(c->log, WEIR_LOG_INFO, "undrain_ordered", "an operator has the node take part again");
    c->emptied = false;
    if (c->cluster != NULL && on)
        weir_cluster_drain(c->cluster);
    else if (c->cluster != NULL)
        weir_cluster_stay(c->cluster);
}

#define DRAIN_ASKED   "drain_asked"
#define UNDRAIN_ASKED "undrain_asked"

/* Another node: it hears of it as an event. */
static void pass_on(struct weir_control *c, struct weir_admin_call *call, bool on)
{
    char event[WEIR_COORD_EVENT_MAX];
    if (c->cluster == NULL || !weir_coord_id_valid(weir_str_of(call->target)) ||
        !weir_cluster_has(c->cluster, call->target)) {
        refuse(call, WEIR_ADMIN_NO_NODE, "No living node of the cluster has the id %.*s.", WEIR_NODE_ID_MAX,
               call->target);
        return;
    }
    int n = snprintf(event, sizeof event, "{\"event\":\"%s\",\"node\":\"%s\",\"by\":\"%s\"}",
                     on ? DRAIN_ASKED : UNDRAIN_ASKED, call->target, c->node.name);
    if (weir_cluster_tell(c->cluster, (struct weir_str){event, (size_t)n}))
        answer(c, call, 202, "for", call->target, "asked");
    else
        refuse(call, WEIR_ADMIN_STORE_AWAY, "The store is away: node %s cannot be told. Ask it itself.", call->target);
}

static void operate_drain(struct weir_control *c, struct weir_admin_call *call, bool on)
{
    if (call->target[0] != '\0' && strcmp(call->target, c->node.name) != 0) {
        pass_on(c, call, on);
    } else if (atomic_load(&c->node.draining)) {
        refuse(call, WEIR_ADMIN_ENDS, "The node ends already.");
    } else {
        drain(c, on);
        answer(c, call, 200, "for", c->node.name, on ? "draining" : "active");
    }
}

void weir_operate_hear(struct weir_control *c, struct weir_str event)
{
    if (memmem(event.ptr, event.len, DRAIN_ASKED, sizeof DRAIN_ASKED - 1) == NULL &&
        memmem(event.ptr, event.len, UNDRAIN_ASKED, sizeof UNDRAIN_ASKED - 1) == NULL)
        return;
    json_t *o = json_loadb(event.ptr, event.len, 0, NULL);
    const char *name = json_string_value(json_object_get(o, "event")),
               *node = json_string_value(json_object_get(o, "node"));
    bool on = name != NULL && strcmp(name, DRAIN_ASKED) == 0;
    if (name != NULL && node != NULL && strcmp(node, c->node.name) == 0 && (on || strcmp(name, UNDRAIN_ASKED) == 0))
        drain(c, on);
    json_decref(o);
}

/* -- the rest -- */

static void operate_reload(struct weir_control *c, struct weir_admin_call *call)
{
    char why[sizeof call->why] = "";
    if (call->target[0] != '\0' && strcmp(call->target, c->node.name) != 0)
        refuse(call, WEIR_ADMIN_NO_NODE, "A node reads its own file again: ask %.*s itself.", WEIR_NODE_ID_MAX,
               call->target);
    else if (atomic_load(&c->node.draining))
        refuse(call, WEIR_ADMIN_ENDS, "The node ends already.");
    else if (weir_control_reload(c, why, sizeof why))
        answer(c, call, 200, "for", c->node.name, "reloaded");
    else
        refuse(call, WEIR_ADMIN_BAD_CONFIG, "%s", why);
}

/* Whoever leads the cluster's coordinators hears of it as an event, and answers with one. */
static void operate_rebalance(struct weir_control *c, struct weir_admin_call *call)
{
    char event[WEIR_COORD_EVENT_MAX];
    int n = snprintf(event, sizeof event, "{\"event\":\"" WEIR_COORD_REBALANCE_ASKED "\",\"by\":\"%s\"}", c->node.name);
    if (c->cluster == NULL)
        refuse(call, WEIR_ADMIN_NO_CLUSTER, "The node is in no cluster: it has no shards.");
    else if (weir_cluster_tell(c->cluster, (struct weir_str){event, (size_t)n}))
        answer(c, call, 202, "for", c->node.name, "asked");
    else
        refuse(call, WEIR_ADMIN_STORE_AWAY, "The store is away: no coordinator can be told.");
}

/* The same URL may stand under several providers: all of them have the circuit. */
static void operate_breaker(struct weir_control *c, struct weir_admin_call *call, enum weir_breaker_order order)
{
    const struct weir_circuit_caller by = {WEIR_CIRCUIT_CONTROL, c->reactor.now_ms, c->log};
    const char *endpoint = NULL;
    for (unsigned i = 0; i < c->view->provider_count; i++) {
        const struct weir_view_provider *p = &c->view->providers[i];
        for (unsigned k = 0; k < p->endpoint_count; k++)
            if (strcmp(p->endpoints[k].rt->id, call->target) == 0 && weir_circuit_order(p->endpoints[k].rt, &by, order))
                endpoint = p->endpoints[k].rt->id;
    }
    if (endpoint == NULL)
        refuse(call, WEIR_ADMIN_NO_CIRCUIT, "No endpoint is %s, or it has no circuit.", call->target);
    else
        answer(c, call, 200, "endpoint", endpoint, order == WEIR_BREAKER_ORDER_OPEN ? "open" : "closed");
}

bool weir_operate(struct weir_control *c, struct weir_admin_call *call)
{
    switch (call->page) {
    case WEIR_ADMIN_NODE_DRAIN:
    case WEIR_ADMIN_NODE_UNDRAIN:
        operate_drain(c, call, call->page == WEIR_ADMIN_NODE_DRAIN);
        return true;
    case WEIR_ADMIN_NODE_RELOAD:
        operate_reload(c, call);
        return true;
    case WEIR_ADMIN_CLUSTER_REBALANCE:
        operate_rebalance(c, call);
        return true;
    case WEIR_ADMIN_BREAKER_OPEN:
        operate_breaker(c, call, WEIR_BREAKER_ORDER_OPEN);
        return true;
    case WEIR_ADMIN_BREAKER_CLOSE:
        operate_breaker(c, call, WEIR_BREAKER_ORDER_CLOSE);
        return true;
    case WEIR_ADMIN_BREAKER_RESET:
        operate_breaker(c, call, WEIR_BREAKER_ORDER_RESET);
        return true;
    default:
        return false;
    }
}
