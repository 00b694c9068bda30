/* What nodes and coordinators have in common: a process with a clock of its own, and calls to the store. */
#include <string.h>

#include "sim.h"

#define RECONNECT_US SIM_S /* backoff, at most */

bool sim_client_reaches(const struct sim_world *w, uint32_t i)
{
    return !w->clients[i].cut && !w->store.down;
}

static uint64_t deadline_ms(const struct sim_client *c)
{
    return c->is_node ? weir_cluster_agent_deadline_ms(c->node.agent)
                      : weir_coordinator_agent_deadline_ms(c->coordinator);
}

static uint64_t local_ms(const struct sim_world *w, const struct sim_client *c)
{
    return sim_local_us(c, w->now_us) / 1000;
}

/* -- ticks -- */

/* A process that hangs sees nothing of it: whatever was for it comes when it goes on. */
bool sim_client_hangs(struct sim_world *w, uint32_t i, sim_run_cb run, uint64_t mark, const void *data, size_t size)
{
    const struct sim_client *c = &w->clients[i];
    if (c->paused_until_us <= w->now_us)
        return false;
    void *copy = NULL;
    if (size > 0) {
        copy = sim_alloc(size);
        memcpy(copy, data, size);
    }
    sim_at(w, c->paused_until_us, run, i, mark, copy);
    return true;
}

static void tick(struct sim_world *w, uint32_t i, uint64_t mark, void *data)
{
    struct sim_client *c = &w->clients[i];
    if (!c->up || mark != c->tick_mark || sim_client_hangs(w, i, tick, mark, data, 0))
        return;
    c->tick_at_us = SIM_NEVER;
    if (c->is_node)
        weir_cluster_agent_tick(c->node.agent, local_ms(w, c));
    else
        weir_coordinator_agent_tick(c->coordinator, local_ms(w, c));
    sim_client_retick(w, i);
}

void sim_client_retick(struct sim_world *w, uint32_t i)
{
    struct sim_client *c = &w->clients[i];
    if (!c->up)
        return;
    uint64_t due_ms = sim_planted(w, "restless") ? 0 : deadline_ms(c);
    if (due_ms == UINT64_MAX) {
        c->tick_mark++;
        c->tick_at_us = SIM_NEVER;
        return;
    }
    uint64_t at = sim_world_us(c, due_ms * 1000);
    at = at > w->now_us ? at : w->now_us;
    if (at == c->tick_at_us)
        return;
    c->tick_at_us = at;
    sim_at(w, at, tick, i, ++c->tick_mark, NULL);
}

/* -- calls -- */

static bool take_pending(struct sim_client *c, uint64_t id)
{
    for (uint32_t k = 0; k < c->pending_count; k++)
        if (c->pending[k].id == id) {
            c->pending[k] = c->pending[--c->pending_count];
            return true;
        }
    return false;
}

static void give(struct sim_world *w, uint32_t i, struct weir_coord_reply *r)
{
    struct sim_client *c = &w->clients[i];
    if (r->op == WEIR_COORD_MAP && r->word == WEIR_COORD_OK && r->map.epoch > 0)
        sim_check_map(w, r->map.epoch, r->map.leader, r->map.map);
    sim_plant_reply(w, i, r);
    if (c->is_node) {
        weir_cluster_agent_reply(c->node.agent, local_ms(w, c), r);
    } else {
        weir_coordinator_agent_reply(c->coordinator, local_ms(w, c), r);
    }
    sim_client_retick(w, i);
}

static void give_away(struct sim_world *w, uint32_t i, const struct sim_call *call, const char *why)
{
    struct weir_coord_reply r = {
        .op = call->op, .id = call->id, .sent_ms = call->sent_ms, .word = WEIR_COORD_AWAY, .why = why};
    give(w, i, &r);
}

static void give_up(struct sim_world *w, uint32_t i, uint64_t mark, void *data)
{
    struct sim_client *c = &w->clients[i];
    const struct sim_call *call = data;
    if (!c->up || c->process != mark || sim_client_hangs(w, i, give_up, mark, data, sizeof *call) ||
        !take_pending(c, call->id))
        return;
    give_away(w, i, call, "no answer in time");
}

void sim_client_send(struct sim_world *w, uint32_t i, const struct weir_coord_request *r)
{
    struct sim_client *c = &w->clients[i];
    struct sim_call *call = sim_alloc(sizeof *call);
    *call = (struct sim_call){r->op, r->id, r->sent_ms};
    w->counts.store_ops[r->op]++;
    if (c->pending_count < SIM_PENDING_MAX) {
        c->pending[c->pending_count++] = *call;
        sim_store_call(w, i, r);
    } else {
        sim_break(w, "driver", "%s has %u calls under way", c->id, SIM_PENDING_MAX);
    }
    sim_at(w, w->now_us + SIM_CALL_US, give_up, i, c->process, call);
}

void sim_client_reply(struct sim_world *w, uint32_t i, const struct weir_coord_reply *r)
{
    struct sim_client *c = &w->clients[i];
    struct weir_coord_reply copy = *r;
    if (take_pending(c, r->id))
        give(w, i, &copy);
}

void sim_client_push(struct sim_world *w, uint32_t i, const struct weir_coord_push *p)
{
    struct sim_client *c = &w->clients[i];
    if (c->is_node && sim_plant_push(w, i, p))
        weir_cluster_agent_push(c->node.agent, local_ms(w, c), p);
    else if (!c->is_node)
        weir_coordinator_agent_push(c->coordinator, local_ms(w, c), p);
    sim_client_retick(w, i);
}

/* -- the connection -- */

static void told(struct sim_world *w, uint32_t i, bool up, const char *why)
{
    struct sim_client *c = &w->clients[i];
    if (c->is_node)
        weir_cluster_agent_contact(c->node.agent, local_ms(w, c), up, why);
    else
        weir_coordinator_agent_contact(c->coordinator, local_ms(w, c), up, why);
    sim_client_retick(w, i);
}

static void reconnect(struct sim_world *w, uint32_t i, uint64_t mark, void *data)
{
    struct sim_client *c = &w->clients[i];
    if (!c->up || c->process != mark || c->link || sim_client_hangs(w, i, reconnect, mark, data, 0))
        return;
    if (!sim_client_reaches(w, i)) {
        sim_at(w, w->now_us + sim_between(w, RECONNECT_US / 2, RECONNECT_US), reconnect, i, mark, NULL);
        return;
    }
    c->link = true;
    told(w, i, true, NULL);
}

/* What is under way when a connection breaks is answered at once. */
static void drop_pending(struct sim_world *w, uint32_t i)
{
    struct sim_client *c = &w->clients[i];
    while (c->pending_count > 0) {
        struct sim_call call = c->pending[--c->pending_count];
        give_away(w, i, &call, "connection lost");
    }
}

static void broken(struct sim_world *w, uint32_t i, uint64_t mark, void *data)
{
    struct sim_client *c = &w->clients[i];
    if (!c->up || c->process != mark || !c->link || sim_client_hangs(w, i, broken, mark, data, 0))
        return;
    c->link = false;
    told(w, i, false, "connection lost");
    drop_pending(w, i);
    sim_at(w, w->now_us + sim_chance(w, RECONNECT_US), reconnect, i, mark, NULL);
}

void sim_client_link(struct sim_world *w, uint32_t i, bool up)
{
    struct sim_client *c = &w->clients[i];
    c->disturbed_us = w->now_us;
    if (!c->up)
        return;
    if (up)
        sim_at(w, w->now_us + sim_chance(w, RECONNECT_US), reconnect, i, c->process, NULL);
    else
        sim_at(w, w->now_us + sim_chance(w, SIM_DELAY_MAX_US), broken, i, c->process, NULL);
}

/* -- the process -- */

void sim_client_start(struct sim_world *w, uint32_t i)
{
    struct sim_client *c = &w->clients[i];
    if (c->up)
        return;
    c->up = true;
    c->process++;
    c->link = false;
    c->pending_count = 0;
    c->paused_until_us = 0;
    c->tick_at_us = SIM_NEVER;
    c->disturbed_us = w->now_us;
    sim_trace(w, c->id, "starts");
    if (c->is_node)
        sim_node_start(w, i);
    else
        sim_coordinator_start(w, i);
    sim_at(w, w->now_us + sim_chance(w, 100 * SIM_MS), reconnect, i, c->process, NULL);
}

void sim_client_end(struct sim_world *w, uint32_t i)
{
    struct sim_client *c = &w->clients[i];
    if (!c->up)
        return;
    c->up = false;
    c->process++;
    c->tick_mark++;
    c->gone_us = w->now_us;
    sim_trace(w, c->id, "is gone");
    if (c->is_node)
        sim_node_end(w, i);
    else
        sim_coordinator_end(w, i);
}
