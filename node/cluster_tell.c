/* What happens in the cluster, in the log: one line for each change. */
#include <string.h>

#include "node/cluster_inner.h"

static const struct {
    const char *event; /* weir_cluster_note_text's */
    enum weir_log_level level;
    const char *sentence;
} notes[WEIR_CLUSTER_NOTES] = {
    [WEIR_CLUSTER_JOINED] = {"cluster_joined", WEIR_LOG_INFO, "this node is a member of its cluster"},
    [WEIR_CLUSTER_REFUSED] = {"cluster_refused", WEIR_LOG_ERROR,
                              "the store does not let this node in: it serves alone, and tries again"},
    [WEIR_CLUSTER_CONTACT_LOST] = {"store_lost", WEIR_LOG_WARN,
                                   "the store is away: the node goes on with what it knows"},
    [WEIR_CLUSTER_CONTACT_BACK] = {"store_back", WEIR_LOG_INFO, "the store is back"},
    [WEIR_CLUSTER_STORE_ANEW] = {"store_anew", WEIR_LOG_WARN, "the store has lost its contents"},
    [WEIR_CLUSTER_PEER_JOINED] = {"node_joined", WEIR_LOG_INFO, "a node has joined the cluster"},
    [WEIR_CLUSTER_PEER_DRAINS] = {"node_drains", WEIR_LOG_INFO, "a node begins to leave: its shards go to others"},
    [WEIR_CLUSTER_PEER_STAYS] = {"node_stays", WEIR_LOG_INFO, "a node that had begun to leave stays"},
    [WEIR_CLUSTER_PEER_LEFT] = {"node_left", WEIR_LOG_INFO, "a node has left the cluster"},
    [WEIR_CLUSTER_PEER_LOST] = {"node_lost", WEIR_LOG_WARN, "a node is silent, and counts as lost"},
    [WEIR_CLUSTER_PEER_BACK] = {"node_back", WEIR_LOG_INFO, "a node that was silent is back"},
    [WEIR_CLUSTER_PEER_SUSPECT] = {"node_suspect", WEIR_LOG_DEBUG, "a node cannot be reached from here"},
    [WEIR_CLUSTER_MAP_TAKEN] = {"map_taken", WEIR_LOG_INFO, "a published shard map is in force"},
    [WEIR_CLUSTER_MAP_REFUSED] = {"map_refused", WEIR_LOG_WARN, "a shard map is not taken"},
    [WEIR_CLUSTER_SHARDS_DIFFER] = {"shard_count_differs", WEIR_LOG_WARN,
                                    "the shard map has another shard_count than the configuration: it is followed"},
    [WEIR_CLUSTER_DRAINED] = {"node_drained", WEIR_LOG_INFO, "no shard is this node's any more"},
    [WEIR_CLUSTER_LEFT] = {"cluster_left", WEIR_LOG_INFO, "this node has left its cluster"},
};

void weir_cluster_tell_note(struct weir_cluster *c, const struct weir_cluster_action *a)
{
    struct weir_log_line l;
    enum weir_cluster_note kind = a->note.kind;
    weir_log_begin(&l, c->log, notes[kind].level, notes[kind].event, notes[kind].sentence);
    weir_log_text(&l, "cluster", c->began_with->config->distributed_pool.cluster);
    if (a->note.node[0] != '\0')
        weir_log_text(&l, "node_id", a->note.node);
    if (kind == WEIR_CLUSTER_MAP_TAKEN || kind == WEIR_CLUSTER_MAP_REFUSED || kind == WEIR_CLUSTER_SHARDS_DIFFER)
        weir_log_u64(&l, "epoch", a->note.epoch);
    if (kind == WEIR_CLUSTER_CONTACT_BACK)
        weir_log_text(&l, "store", weir_store_server(c->store));
    if (a->note.why[0] != '\0')
        weir_log_text(&l, "reason", a->note.why);
    weir_log_end(&l);
}

/* With fewer for each node, one of them has a quarter more than another, or none at all. */
#define SHARDS_PER_NODE 8u

void weir_cluster_tell_few_shards(struct weir_cluster *c)
{
    const struct weir_cluster_sight *s = weir_cluster_agent_sight(c->agent);
    bool few = s->alive_count > 1 && s->shard_count < SHARDS_PER_NODE * s->alive_count;
    struct weir_log_line l;
    if (few && !c->told_few) {
        weir_log_begin(&l, c->log, WEIR_LOG_WARN, "shards_few",
                       "fewer shards than 8 for each node: their load cannot be even; raise shard_count");
        weir_log_text(&l, "cluster", c->began_with->config->distributed_pool.cluster);
        weir_log_u64(&l, "shards", s->shard_count);
        weir_log_u64(&l, "nodes", s->alive_count);
        weir_log_end(&l);
    }
    c->told_few = few;
}

void weir_cluster_tell_away(struct weir_cluster *c, const char *why)
{
    struct weir_log_line l;
    if (c->told_away)
        return;
    c->told_away = true;
    weir_log_begin(&l, c->log, WEIR_LOG_WARN, "store_lost",
                   "the store is away: the node serves alone until it is there");
    weir_log_text(&l, "cluster", c->began_with->config->distributed_pool.cluster);
    weir_log_text(&l, "reason", why);
    weir_log_end(&l);
}

/* -- reload -- */

static bool same(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

void weir_cluster_warn_of_what_stays(struct weir_log_producer *log, const struct weir_config *was,
                                     const struct weir_config *is)
{
    const struct weir_config_distributed *a = &was->distributed_pool, *b = &is->distributed_pool;
    const bool stays[] = {a->enabled == b->enabled,
                          same(a->redis_url, b->redis_url),
                          same(a->cluster, b->cluster),
                          same(a->key_prefix, b->key_prefix),
                          same(a->node_id, b->node_id),
                          same(a->advertise, b->advertise),
                          same(a->peer_listen, b->peer_listen),
                          a->redis_timeout_ms == b->redis_timeout_ms};
    for (size_t i = 0; i < sizeof stays / sizeof stays[0]; i++) {
        if (stays[i])
            continue;
        weir_log_simple(log, WEIR_LOG_WARN, "restart_needed",
                        "distributed_pool: enabled, redis_url, redis_timeout, cluster, key_prefix, node_id, advertise "
                        "and peer_listen change only with a restart");
        return;
    }
}
