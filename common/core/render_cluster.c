#include "core/render_cluster.h"

#include "core/cluster_snapshot.h"
#include "core/render_tree.h"

static void begin(struct weir_tree *t, const struct weir_snapshot *s)
{
    weir_tree_begin(t);
    weir_tree_u64(t, t->root, "schema", WEIR_CLUSTER_PAGES_SCHEMA);
    weir_tree_time(t, t->root, "timestamp", s->unix_ms);
    weir_tree_text(t, t->root, "node", s->cluster != NULL ? s->cluster->id : s->node);
    weir_tree_text(t, t->root, "version", s->version);
    weir_tree_text(t, t->root, "cluster", s->cluster != NULL ? s->cluster->cluster : NULL);
}

/* null for the empty text. */
static void set_text(struct weir_tree *t, json_t *o, const char *key, const char *text)
{
    weir_tree_text(t, o, key, text != NULL && *text != '\0' ? text : NULL);
}

static enum weir_coord_node_state state_of(const struct weir_snapshot *s)
{
    if (s->cluster != NULL)
        return s->cluster->state;
    return s->gauges[WEIR_NG_DRAINING] == 1 ? WEIR_NODE_DRAINING : WEIR_NODE_ACTIVE;
}

/* -- state -- */

static void set_requests(struct weir_tree *t, const struct weir_cluster_agent_counts *counts)
{
    json_t *requests = weir_tree_child(t, t->root, "requests");
    for (int op = 0; op < WEIR_COORD_OPS; op++)
        weir_tree_u64(t, requests, weir_coord_op_text((enum weir_coord_op)op), counts->requests[op]);
    weir_tree_u64(t, t->root, "requests_failed", counts->away + counts->refused);
}

/* null: not known. */
static void set_lead(struct weir_tree *t, const struct weir_cluster_lead *lead, uint64_t now_ms)
{
    if (!lead->known) {
        weir_tree_set(t, t->root, "lead", json_null());
        return;
    }
    json_t *o = weir_tree_child(t, t->root, "lead");
    uint64_t left_ms = lead->until_ms > now_ms ? lead->until_ms - now_ms : 0;
    set_text(t, o, "coordinator", lead->leader);
    weir_tree_real(t, o, "lease_seconds", lead->leader[0] != '\0' ? (double)left_ms / 1000 : 0);
    weir_tree_u64(t, o, "terms", lead->terms);
}

static void set_membership(struct weir_tree *t, const struct weir_cluster_snapshot *c)
{
    const struct weir_cluster_sight *sight = c->sight;
    weir_tree_bool(t, t->root, "member", c->member);
    weir_tree_text(t, t->root, "refused", c->refused);
    weir_tree_bool(t, t->root, "contact", c->contact);
    weir_tree_text(t, t->root, "store_error", c->away);
    weir_tree_time(t, t->root, "since", c->contact_since_unix_ms);
    weir_tree_text(t, t->root, "store", c->store);
    weir_tree_u64(t, t->root, "epoch", sight->epoch);
    set_text(t, t->root, "leader", sight->leader);
    set_lead(t, &c->lead, c->now_ms);
    weir_tree_text(t, t->root, "mode", c->affinity);
    weir_tree_bool(t, t->root, "pool_sharding", c->pool_sharding);
    weir_tree_u64(t, t->root, "shard_count", sight->shard_count);
    weir_tree_u64(t, t->root, "owned", sight->owned_count);
    json_t *nodes = weir_tree_child(t, t->root, "nodes");
    weir_tree_u64(t, nodes, "alive", sight->alive_count);
    weir_tree_u64(t, nodes, "total", sight->peer_count);
    set_requests(t, &c->counts);
}

static void set_alone(struct weir_tree *t)
{
    static const char *const none[] = {"refused", "contact", "store_error", "since", "store", "leader", "lead", "mode"};
    static const char *const zero[] = {"epoch", "shard_count", "owned"};
    weir_tree_bool(t, t->root, "member", false);
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++)
        weir_tree_text(t, t->root, none[i], NULL);
    for (size_t i = 0; i < sizeof zero / sizeof zero[0]; i++)
        weir_tree_u64(t, t->root, zero[i], 0);
    weir_tree_bool(t, t->root, "pool_sharding", false);
    json_t *nodes = weir_tree_child(t, t->root, "nodes");
    weir_tree_u64(t, nodes, "alive", 1);
    weir_tree_u64(t, nodes, "total", 1);
}

int weir_render_cluster_state(struct weir_textbuf *out, const struct weir_snapshot *s)
{
    struct weir_tree t;
    begin(&t, s);
    weir_tree_text(&t, t.root, "state", weir_coord_node_state_text(state_of(s)));
    if (s->cluster != NULL)
        set_membership(&t, s->cluster);
    else
        set_alone(&t);
    return weir_tree_finish(&t, out, 2);
}

/* -- nodes -- */

static void set_load(struct weir_tree *t, json_t *o, const struct weir_coord_load *load)
{
    json_t *l = weir_tree_child(t, o, "load");
    weir_tree_u64(t, l, "in_flight", load->in_flight);
    weir_tree_u64(t, l, "connections", load->connections);
    weir_tree_u64(t, l, "utilization_percent", load->utilization_pct);
    weir_tree_u64(t, l, "loop_lag_us", load->loop_lag_us);
    weir_tree_u64(t, l, "requests_per_second", load->requests_per_s);
    weir_tree_u64(t, l, "errors_per_second", load->errors_per_s);
}

static void set_peer(struct weir_tree *t, json_t *o, const struct weir_cluster_snapshot *c, uint32_t index,
                     uint64_t shards)
{
    const struct weir_cluster_peer *p = &c->sight->peers[index];
    bool self = index == c->sight->self;
    weir_tree_text(t, o, "id", p->id);
    set_text(t, o, "advertise", p->advertise);
    weir_tree_text(t, o, "state", weir_coord_node_state_text(p->state));
    weir_tree_bool(t, o, "alive", p->alive);
    weir_tree_bool(t, o, "suspect", p->suspect);
    weir_tree_bool(t, o, "self", self);
    weir_tree_u64(t, o, "weight", p->weight);
    set_text(t, o, "version", p->version);
    weir_tree_u64(t, o, "epoch_seen", p->epoch_seen);
    weir_tree_u64(t, o, "shards", shards);
    weir_tree_u64(t, o, "age_ms", self || p->seen_ms > c->now_ms ? 0 : c->now_ms - p->seen_ms);
    set_load(t, o, &p->load);
}

static void set_peers(struct weir_tree *t, json_t *nodes, const struct weir_cluster_snapshot *c)
{
    const struct weir_cluster_sight *sight = c->sight;
    uint32_t shards[WEIR_CLUSTER_NODES_MAX] = {0};
    for (uint32_t i = 0; i < sight->shard_count; i++)
        shards[sight->owner[i]]++;
    for (uint32_t i = 0; i < sight->peer_count; i++)
        set_peer(t, weir_tree_element(t, nodes), c, i, shards[i]);
}

int weir_render_cluster_nodes(struct weir_textbuf *out, const struct weir_snapshot *s)
{
    struct weir_tree t;
    begin(&t, s);
    json_t *nodes = weir_tree_array(&t, t.root, "nodes");
    if (s->cluster != NULL) {
        set_peers(&t, nodes, s->cluster);
    } else {
        json_t *self = weir_tree_element(&t, nodes);
        weir_tree_text(&t, self, "id", s->node);
        weir_tree_text(&t, self, "state", weir_coord_node_state_text(state_of(s)));
        weir_tree_bool(&t, self, "alive", true);
        weir_tree_bool(&t, self, "suspect", false);
        weir_tree_bool(&t, self, "self", true);
        weir_tree_text(&t, self, "version", s->version);
    }
    return weir_tree_finish(&t, out, 2);
}

/* -- shards -- */

static void set_owner(struct weir_tree *t, json_t *o, const struct weir_cluster_sight *sight, uint32_t peer)
{
    uint64_t count = 0;
    weir_tree_text(t, o, "node", sight->peers[peer].id);
    json_t *ranges = weir_tree_array(t, o, "ranges");
    for (uint32_t first = 0; first < sight->shard_count; first++) {
        if (sight->owner[first] != peer)
            continue;
        uint32_t last = first;
        while (last + 1 < sight->shard_count && sight->owner[last + 1] == peer)
            last++;
        t->failed |= json_array_append_new(ranges, json_pack("[ii]", (int)first, (int)last));
        count += last - first + 1;
        first = last;
    }
    weir_tree_u64(t, o, "count", count);
}

int weir_render_cluster_shards(struct weir_textbuf *out, const struct weir_snapshot *s)
{
    const struct weir_cluster_sight *sight = s->cluster != NULL ? s->cluster->sight : NULL;
    struct weir_tree t;
    begin(&t, s);
    weir_tree_u64(&t, t.root, "epoch", sight != NULL ? sight->epoch : 0);
    set_text(&t, t.root, "leader", sight != NULL ? sight->leader : NULL);
    weir_tree_u64(&t, t.root, "shard_count", sight != NULL ? sight->shard_count : 0);
    json_t *owners = weir_tree_array(&t, t.root, "owners");
    for (uint32_t i = 0; sight != NULL && i < sight->peer_count; i++)
        set_owner(&t, weir_tree_element(&t, owners), sight, i);
    return weir_tree_finish(&t, out, 0);
}

/* -- the map -- */

int weir_render_cluster_map(struct weir_textbuf *out, const struct weir_snapshot *s)
{
    const struct weir_cluster_snapshot *c = s->cluster;
    struct weir_textbuf map;
    struct weir_tree t;
    begin(&t, s);
    weir_textbuf_init(&map, WEIR_SHARD_MAP_TEXT_MAX);
    if (c != NULL && c->map != NULL)
        weir_shard_map_print(&map, c->map);
    weir_tree_u64(&t, t.root, "shard_count", c != NULL ? c->shard_count : 0);
    weir_tree_bool(&t, t.root, "failover", c != NULL && c->failover);
    weir_tree_bool(&t, t.root, "load_moves", c != NULL && c->load_moves);
    weir_tree_set(&t, t.root, "map", map.len > 0 ? json_stringn(map.ptr, map.len) : json_null());
    t.failed |= map.failed;
    weir_textbuf_close(&map);
    return weir_tree_finish(&t, out, 0);
}

/* -- circuits -- */

static void set_circuit(struct weir_tree *t, json_t *o, const struct weir_cluster_circuit_snapshot *c)
{
    weir_tree_text(t, o, "provider", c->provider);
    weir_tree_text(t, o, "endpoint", c->endpoint);
    weir_tree_text(t, o, "state", weir_breaker_phase_text(c->phase));
    weir_tree_bool(t, o, "shared", c->shared);
    weir_tree_u64(t, o, "generation", c->gen);
    weir_tree_real(t, o, "state_seconds", (double)c->since_ms / 1000);
    weir_tree_real(t, o, "retry_in_seconds", (double)c->open_left_ms / 1000);
    weir_tree_real(t, o, "cooldown_seconds", (double)c->cooldown_left_ms / 1000);
    weir_tree_u64(t, o, "failures_in_a_row", c->failures);
    set_text(t, o, "reason", c->phase != WEIR_BREAKER_CLOSED ? weir_breaker_reason_label(c->reason) : NULL);
}

static void set_own_circuits(struct weir_tree *t, json_t *list, const struct weir_provider_snapshot *p)
{
    for (size_t i = 0; i < p->endpoint_count; i++) {
        const struct weir_circuit_snapshot *from = &p->endpoints[i].circuit;
        const struct weir_cluster_circuit_snapshot c = {.provider = p->name,
                                                        .endpoint = p->endpoints[i].id,
                                                        .phase = from->phase,
                                                        .reason = from->reason,
                                                        .since_ms = from->since_ms,
                                                        .open_left_ms = from->open_left_ms,
                                                        .cooldown_left_ms = from->cooldown_left_ms,
                                                        .failures = from->failures};
        if (!from->enabled)
            continue;
        json_t *o = weir_tree_element(t, list);
        set_circuit(t, o, &c);
        weir_tree_set(t, o, "generation", json_null());
    }
}

int weir_render_cluster_breakers(struct weir_textbuf *out, const struct weir_snapshot *s)
{
    struct weir_tree t;
    begin(&t, s);
    json_t *list = weir_tree_array(&t, t.root, "breakers");
    if (s->cluster != NULL)
        for (size_t i = 0; i < s->cluster->circuit_count; i++)
            set_circuit(&t, weir_tree_element(&t, list), &s->cluster->circuits[i]);
    else
        for (size_t i = 0; i < s->provider_count; i++)
            set_own_circuits(&t, list, &s->providers[i]);
    return weir_tree_finish(&t, out, 2);
}

/* -- limits -- */

static void set_gauge(struct weir_tree *t, json_t *o, const char *key, uint64_t value)
{
    if (value == WEIR_GAUGE_NONE)
        weir_tree_set(t, o, key, json_null());
    else
        weir_tree_u64(t, o, key, value);
}

static void set_limit(struct weir_tree *t, json_t *o, const struct weir_cluster_limit_snapshot *l)
{
    weir_tree_text(t, o, "provider", l->provider);
    weir_tree_u64(t, o, "requests_per_minute", l->limit);
    weir_tree_u64(t, o, "burst", l->burst);
    weir_tree_text(t, o, "mode", weir_cluster_limit_mode_text(l->mode));
    weir_tree_bool(t, o, "strict", l->strict);
    weir_tree_text(t, o, "fail", l->fail_closed ? "closed" : "open");
    weir_tree_u64(t, o, "share_per_minute", l->share);
    weir_tree_u64(t, o, "leased", l->leased);
    set_gauge(t, o, "remaining", l->told ? l->remaining : WEIR_GAUGE_NONE);
    weir_tree_u64(t, o, "waiting", l->waiting);
}

static void set_own_limit(struct weir_tree *t, json_t *list, const struct weir_provider_snapshot *p)
{
    if (p->gauges[WEIR_PG_RATE_LIMIT] == WEIR_GAUGE_NONE)
        return;
    json_t *o = weir_tree_element(t, list);
    weir_tree_text(t, o, "provider", p->name);
    set_gauge(t, o, "requests_per_minute", p->gauges[WEIR_PG_RATE_LIMIT]);
    weir_tree_text(t, o, "mode", "local");
    set_gauge(t, o, "remaining", p->gauges[WEIR_PG_RATE_TOKENS]);
    set_gauge(t, o, "waiting", p->gauges[WEIR_PG_RATE_WAITING]);
}

int weir_render_cluster_limits(struct weir_textbuf *out, const struct weir_snapshot *s)
{
    struct weir_tree t;
    begin(&t, s);
    json_t *list = weir_tree_array(&t, t.root, "limits");
    if (s->cluster != NULL)
        for (size_t i = 0; i < s->cluster->limit_count; i++)
            set_limit(&t, weir_tree_element(&t, list), &s->cluster->limits[i]);
    else
        for (size_t i = 0; i < s->provider_count; i++)
            set_own_limit(&t, list, &s->providers[i]);
    return weir_tree_finish(&t, out, 2);
}

/* -- events -- */

int weir_render_cluster_events(struct weir_textbuf *out, const struct weir_snapshot *s,
                               const struct weir_event_ring *ring, size_t count)
{
    struct weir_tree t;
    begin(&t, s);
    json_t *list = weir_tree_array(&t, t.root, "events");
    for (size_t i = ring->count - (count < ring->count ? count : ring->count); i < ring->count; i++)
        t.failed |= json_array_append_new(list, json_loadb(ring->at[i]->text, ring->at[i]->len, 0, NULL));
    return weir_tree_finish(&t, out, 2);
}

int weir_render_operated(struct weir_textbuf *out, const char *node, const char *key, const char *value,
                         const char *state)
{
    struct weir_tree t;
    weir_tree_begin(&t);
    weir_tree_u64(&t, t.root, "schema", WEIR_CLUSTER_PAGES_SCHEMA);
    weir_tree_text(&t, t.root, "node", node);
    weir_tree_text(&t, t.root, key, value);
    weir_tree_text(&t, t.root, "state", state);
    return weir_tree_finish(&t, out, 0);
}
