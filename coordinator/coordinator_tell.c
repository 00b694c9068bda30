/* What happens, in the log and for the other members. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "coordinator/coordinator_inner.h"

static const struct {
    const char *event; /* weir_coordinator_note_text's */
    enum weir_log_level level;
    const char *sentence;
    bool shared; /* told to the other members here; what befalls nodes and maps, the agents tell */
} notes[WEIR_COORDINATOR_NOTES] = {
    [WEIR_COORDINATOR_LEADS] = {"coordinator_leads", WEIR_LOG_INFO, "this coordinator leads", true},
    [WEIR_COORDINATOR_FOLLOWS] = {"coordinator_follows", WEIR_LOG_WARN, "this coordinator does not lead any more",
                                  true},
    [WEIR_COORDINATOR_STANDS_BY] = {"coordinator_stands_by", WEIR_LOG_INFO, "another coordinator leads", false},
    [WEIR_COORDINATOR_CONTACT_LOST] = {"store_lost", WEIR_LOG_WARN, "the store is away", false},
    [WEIR_COORDINATOR_CONTACT_BACK] = {"store_back", WEIR_LOG_INFO, "the store is back", false},
    [WEIR_COORDINATOR_STORE_ANEW] = {"store_anew", WEIR_LOG_WARN, "the store has lost its contents", false},
    [WEIR_COORDINATOR_NODE_JOINED] = {"node_joined", WEIR_LOG_INFO, "a node has joined the cluster", false},
    [WEIR_COORDINATOR_NODE_LEFT] = {"node_left", WEIR_LOG_INFO, "a node has left the cluster", false},
    [WEIR_COORDINATOR_NODE_LOST] = {"node_lost", WEIR_LOG_WARN, "a node is silent, and counts as lost", false},
    [WEIR_COORDINATOR_NODE_BACK] = {"node_back", WEIR_LOG_INFO, "a node that was silent is back", false},
    [WEIR_COORDINATOR_NODE_DRAINS] = {"node_drains", WEIR_LOG_INFO, "a node begins to leave: its shards go to others",
                                      false},
    [WEIR_COORDINATOR_PUBLISHED] = {"map_published", WEIR_LOG_INFO, "a new shard map is in force", false},
    [WEIR_COORDINATOR_PUBLISH_REFUSED] = {"map_not_published", WEIR_LOG_WARN, "the store did not take the shard map",
                                          false},
    [WEIR_COORDINATOR_PLAN_FAILED] = {"plan_failed", WEIR_LOG_ERROR, "no shard map can be made", false},
    [WEIR_COORDINATOR_ADVISED] = {"advice_changed", WEIR_LOG_INFO, "the cluster is advised anew", false},
};

static void log_note(struct weir_coordinator *c, const struct weir_coordinator_action *a)
{
    struct weir_log_line l;
    enum weir_coordinator_note kind = a->note.kind;
    weir_log_begin(&l, c->log, notes[kind].level, notes[kind].event, notes[kind].sentence);
    weir_log_text(&l, "cluster", c->began_with->distributed_pool.cluster);
    if (a->note.node[0] != '\0')
        weir_log_text(&l, "node_id", a->note.node);
    if (a->note.epoch > 0)
        weir_log_u64(&l, "epoch", a->note.epoch);
    if (kind == WEIR_COORDINATOR_PUBLISHED)
        weir_log_u64(&l, "moves", a->note.moves);
    if (kind == WEIR_COORDINATOR_ADVISED) {
        weir_log_text(&l, "action", weir_advisor_action_text(a->note.hints->action));
        weir_log_u64(&l, "nodes", a->note.hints->nodes);
        weir_log_u64(&l, "desired_nodes", a->note.hints->desired_nodes);
    }
    if (kind == WEIR_COORDINATOR_CONTACT_BACK)
        weir_log_text(&l, "store", weir_store_server(c->store));
    if (a->note.why[0] != '\0')
        weir_log_text(&l, "reason", a->note.why);
    weir_log_end(&l);
}

static void share_note(struct weir_coordinator *c, const struct weir_coordinator_action *a)
{
    enum weir_coordinator_note kind = a->note.kind;
    json_t *event = json_pack("{ss ss}", "event", notes[kind].event, "by", c->id);
    char *text = json_dumps(event, JSON_COMPACT);
    if (text != NULL) {
        const struct weir_coord_request request = {.op = WEIR_COORD_EVENT, .event = weir_str_of(text)};
        c->requests[WEIR_COORD_EVENT]++;
        weir_store_submit(c->store, &request);
    }
    free(text);
    json_decref(event);
}

void weir_coordinator_tell(struct weir_coordinator *c, const struct weir_coordinator_action *a)
{
    c->notes[a->note.kind]++;
    log_note(c, a);
    if (notes[a->note.kind].shared)
        share_note(c, a);
}

void weir_coordinator_tell_problems(struct weir_coordinator *c, const struct weir_config_problems *problems)
{
    for (size_t i = 0; i < problems->count; i++) {
        const struct weir_config_problem *p = &problems->at[i];
        bool error = p->level == WEIR_CONFIG_ERROR;
        struct weir_log_line l;
        weir_log_begin(&l, c->log, error ? WEIR_LOG_ERROR : WEIR_LOG_WARN, error ? "config_error" : "config_warning",
                       p->sentence);
        weir_log_text(&l, "file", p->file);
        weir_log_u64(&l, "line", p->line);
        weir_log_text(&l, "key", p->key);
        weir_log_end(&l);
    }
}
