/* Bugs on purpose: each invariant must be seen to fail. They sit in what surrounds the agents, in the place where a bug
 * of theirs would show. Some are in traffic.c and node.c, by name. */
#include <string.h>

#include "core/coord_impl.h"
#include "sim.h"

const struct sim_plant sim_plants[] = {
    {"other-map", "one-map", "node n0 is given maps in which two owners have changed places"},
    {"forgets-map", "no-lower-epoch", "node n0 forgets which map it has seen, though its process goes on"},
    {"served-twice", "no-request-lost", "who hands a request over serves it, too"},
    {"owner-only", "no-request-lost", "a node drops requests for shards that it does not take for its own"},
    {"nobody-dies", "live-owner", "nobody's silence is told to nodes and coordinators"},
    {"tokens-twice", "limit", "a node spends twice what it was granted"},
    {"fails-over", "kept-owner", "nodes go by failover_enabled: true where it is false"},
    {"cools-alone", "cooldown", "nodes do not tell the others of a cooldown"},
    {"probes-unasked", "permits", "every request counts as a probe, asked for or not"},
    {"deaf", "converges", "node n0 hears of no change of a circuit"},
    {"unfenced", "stale-write", "the store takes writes of leaders that are none any more"},
    {"no-successor", "led", "none but the first coordinator is told that it leads"},
    {"restless", "time-passes", "every agent wants to be woken at once, whatever there is to do"},
    {"map-unread", "converges", "node n0 is not told that there is a new map"},
};
const size_t sim_plant_count = sizeof sim_plants / sizeof sim_plants[0];

/* The owners of the first and the last node's shards change names. */
static void swap_owners(struct sim_world *w, struct weir_coord_reply *r)
{
    struct weir_err err;
    struct weir_shard_map *map;
    struct weir_textbuf *text = &w->planted_text;
    if (r->map.epoch == 0 || weir_shard_map_parse(&map, r->map.map, &err) != 0)
        return;
    for (uint32_t s = 0; s < map->shard_count; s++)
        if (map->owner[s] == 0 || map->owner[s] == map->node_count - 1)
            map->owner[s] = (uint16_t)(map->node_count - 1 - map->owner[s]);
    weir_shard_map_count(map);
    weir_textbuf_close(text);
    weir_textbuf_init(text, WEIR_SHARD_MAP_TEXT_MAX);
    weir_shard_map_print(text, map);
    weir_shard_map_free(&map);
    r->map.map = (struct weir_str){text->ptr, text->len};
    sim_check_map(w, r->map.epoch, r->map.leader, r->map.map);
}

static void nobody_dies(struct weir_coord_reply *r)
{
    if (r->op == WEIR_COORD_BEAT)
        r->beat.silent = 0;
    if (r->op != WEIR_COORD_MEMBERS)
        return;
    for (uint32_t i = 0; i < r->members.count; i++)
        ((struct weir_coord_member *)(uintptr_t)&r->members.at[i])->age_ms = 0;
}

static void forget(struct sim_world *w, uint32_t i, uint64_t mark, void *data)
{
    struct sim_client *c = &w->clients[i];
    (void)data;
    sim_at(w, w->now_us + 5 * SIM_S, forget, i, mark, NULL);
    if (!c->up || !c->link)
        return;
    weir_cluster_agent_free(&c->node.agent);
    sim_node_make_agent(w, i);
    c->pending_count = 0;
    weir_cluster_agent_contact(c->node.agent, sim_local_us(c, w->now_us) / 1000, true, NULL);
    sim_client_retick(w, i);
}

void sim_plant_start(struct sim_world *w)
{
    if (sim_planted(w, "forgets-map"))
        sim_at(w, w->now_us + 20 * SIM_S, forget, 0, 0, NULL);
}

void sim_plant_reply(struct sim_world *w, uint32_t client, struct weir_coord_reply *r)
{
    if (w->options.plant == NULL || r->word != WEIR_COORD_OK)
        return;
    if (sim_planted(w, "nobody-dies"))
        nobody_dies(r);
    if (sim_planted(w, "no-successor") && r->op == WEIR_COORD_LEAD && client != w->node_count)
        r->word = WEIR_COORD_STALE;
    if (client != 0)
        return;
    if (sim_planted(w, "other-map") && r->op == WEIR_COORD_MAP)
        swap_owners(w, r);
    if (sim_planted(w, "deaf") && r->op == WEIR_COORD_CIRCUITS)
        r->circuits.count = 0;
    if (sim_planted(w, "deaf") && r->op == WEIR_COORD_REPORT)
        r->report.count = 0;
    if (sim_planted(w, "map-unread") && r->op == WEIR_COORD_BEAT)
        r->beat.map_epoch = 0;
}

void sim_plant_write(struct sim_world *w, struct weir_coord_request *r)
{
    const struct weir_coord_state *s = w->store.state;
    if (!sim_planted(w, "unfenced") || s->lead.id[0] == '\0')
        return;
    const char *id = sim_intern(w, s->lead.id);
    if (r->op == WEIR_COORD_FOLD) {
        r->fold.id = id;
        r->fold.token = s->lead.token;
    } else if (r->op == WEIR_COORD_ADVISE) {
        r->advise.id = id;
        r->advise.token = s->lead.token;
    }
}

bool sim_plant_push(struct sim_world *w, uint32_t node, const struct weir_coord_push *p)
{
    if (node != 0)
        return true;
    if (sim_planted(w, "deaf") && p->kind == WEIR_COORD_PUSH_CIRCUIT)
        return false;
    return !(sim_planted(w, "map-unread") && p->kind == WEIR_COORD_PUSH_MAP);
}
