/* A coordinator: its agent and the driver that ties it to the world. */
#include <stdlib.h>

#include "sim.h"

static void act(void *arg, const struct weir_coordinator_action *a)
{
    struct sim_client *c = arg;
    struct sim_world *w = c->node.world;
    if (a->send != NULL) {
        sim_client_send(w, c->node.index, a->send);
        return;
    }
    if (a->note.kind == WEIR_COORDINATOR_ADVISED)
        w->counts.advice++;
    sim_trace(w, c->id, "%s %s %s epoch %llu, %u moves", weir_coordinator_note_text(a->note.kind), a->note.node,
              a->note.why, (unsigned long long)a->note.epoch, a->note.moves);
    if (a->note.kind == WEIR_COORDINATOR_LEADS)
        w->led_us = w->now_us; /* it may be cut off again before anybody looks */
    if (a->note.kind == WEIR_COORDINATOR_PUBLISHED)
        w->counts.maps++;
}

void sim_coordinator_start(struct sim_world *w, uint32_t i)
{
    struct sim_client *c = &w->clients[i];
    struct weir_err err;
    struct weir_coordinator_agent_config config = {.id = c->id,
                                                   .lease_ms = SIM_LEAD_MS,
                                                   .failover_timeout_ms = SIM_FAILOVER_MS,
                                                   .failover = w->failover,
                                                   .shard_count = w->shard_count,
                                                   .load_moves = true,
                                                   .history = {.history = true,
                                                               .hints = true,
                                                               .patterns = true,
                                                               .advisor = {.slot_ms = SIM_SLOT_MS,
                                                                           .window_ms = 10 * SIM_SLOT_MS,
                                                                           .cooldown_ms = 5 * SIM_SLOT_MS,
                                                                           .safe_concurrency = 4,
                                                                           .timeout_s = 1}}};
    c->node.world = w;
    c->node.index = i;
    if (weir_coordinator_agent_new(&c->coordinator, &config, act, c, sim_local_us(c, w->now_us) / 1000, &err) != 0)
        abort();
}

void sim_coordinator_end(struct sim_world *w, uint32_t i)
{
    weir_coordinator_agent_free(&w->clients[i].coordinator);
}
