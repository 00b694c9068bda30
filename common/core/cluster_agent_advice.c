/* Advice: the coordinator's hints, fetched when the store has newer ones; with the analytics when somebody looks. */
#include "core/cluster_agent_inner.h"

static bool may_ask(const struct weir_cluster_agent *a)
{
    return a->link && a->contact && a->joined && a->leaving < AGENT_LEAVES && a->advice_request == 0;
}

/* All nodes hear of it at once: they ask spread over a moment. */
void agent_advice_seen(struct weir_cluster_agent *a, uint64_t now_ms, uint64_t version)
{
    if (!a->follow_hints || version == a->advice_seen)
        return;
    a->advice_seen = version;
    if (version != 0) /* 0: the store has none any more; what was advised holds until its time is over */
        a->advice_due_ms = now_ms + weir_coord_node_number(a->self.id) % AGENT_ADVICE_SPREAD_MS;
}

bool weir_cluster_agent_look_advice(struct weir_cluster_agent *a, uint64_t now_ms)
{
    if (may_ask(a) && now_ms >= a->advice_looked_ms + AGENT_LOOK_MS) {
        a->advice_whole = true;
        a->advice_looked_ms = a->advice_due_ms = now_ms;
        weir_cluster_agent_tick(a, now_ms);
    }
    return a->advice_request != 0;
}

void agent_advice_tick(struct weir_cluster_agent *a, uint64_t now_ms)
{
    if (!may_ask(a) || a->advice_due_ms > now_ms)
        return;
    struct weir_coord_request request = {.op = WEIR_COORD_ADVICE, .advice_whole = a->advice_whole};
    a->advice_due_ms = AGENT_NEVER;
    a->advice_whole = false;
    a->advice_request = agent_send(a, now_ms, &request) ? request.id : 0;
}

uint64_t agent_advice_deadline(const struct weir_cluster_agent *a)
{
    return may_ask(a) ? a->advice_due_ms : AGENT_NEVER;
}

void agent_advice_reply(struct weir_cluster_agent *a, uint64_t now_ms, const struct weir_coord_reply *r)
{
    if (r->id != a->advice_request)
        return;
    a->advice_request = 0;
    if (r->word == WEIR_COORD_AWAY || r->word == WEIR_COORD_REFUSED)
        a->advice_due_ms = now_ms + AGENT_LOAD_AGAIN_MS;
    if (r->word == WEIR_COORD_OK && r->advice.version != 0)
        agent_act(a, &(struct weir_cluster_action){
                         .what = WEIR_CLUSTER_ADVICE, .store_ms = r->now_us / 1000, .advice = &r->advice});
}
