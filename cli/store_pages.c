#include "cli/store_pages.h"

#include <stdlib.h>
#include <string.h>

#include "core/advice.h"

#define SCHEMA 1

/* -- answers -- */

static json_t *member_of(const struct weir_coord_member *m, uint64_t silent_ms)
{
    const struct weir_coord_load *l = &m->load;
    json_t *load = json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "in_flight", (json_int_t)l->in_flight, "connections",
                             (json_int_t)l->connections, "utilization_percent", (json_int_t)l->utilization_pct,
                             "loop_lag_us", (json_int_t)l->loop_lag_us, "requests_per_second",
                             (json_int_t)l->requests_per_s, "errors_per_second", (json_int_t)l->errors_per_s);
    return json_pack("{s:s, s:s, s:s, s:b, s:b, s:b, s:I, s:s, s:I, s:I, s:o}", "id", m->id, "advertise", m->advertise,
                     "state", weir_coord_node_state_text(m->state), "alive", m->age_ms < silent_ms, "suspect", 0,
                     "self", 0, "weight", (json_int_t)m->weight, "version", m->version, "epoch_seen",
                     (json_int_t)m->epoch_seen, "age_ms", (json_int_t)m->age_ms, "load", load);
}

static int by_id(const void *a, const void *b)
{
    return strcmp(((const struct weir_coord_member *)a)->id, ((const struct weir_coord_member *)b)->id);
}

static json_t *take_members(const struct weir_coord_members_reply *r, uint64_t silent_ms)
{
    struct weir_coord_member *sorted = malloc((r->count + 1) * sizeof *sorted);
    json_t *list = json_array();
    if (sorted == NULL) {
        json_decref(list);
        return NULL;
    }
    if (r->count > 0)
        memcpy(sorted, r->at, r->count * sizeof *sorted);
    qsort(sorted, r->count, sizeof *sorted, by_id);
    for (uint32_t i = 0; i < r->count; i++)
        json_array_append_new(list, member_of(&sorted[i], silent_ms));
    free(sorted);
    return list;
}

static json_t *ranges_of(const struct weir_shard_map *m, uint32_t node)
{
    json_t *ranges = json_array();
    for (uint32_t shard = 0; shard < m->shard_count; shard++) {
        uint32_t first = shard;
        if (m->owner[shard] != node)
            continue;
        while (shard + 1 < m->shard_count && m->owner[shard + 1] == node)
            shard++;
        json_array_append_new(ranges, json_pack("[I, I]", (json_int_t)first, (json_int_t)shard));
    }
    return ranges;
}

static int take_map(json_t **out, const struct weir_coord_map_reply *r, struct weir_err *err)
{
    struct weir_shard_map *m = NULL;
    json_t *owners = json_array();
    int rv = r->epoch > 0 ? weir_shard_map_parse(&m, r->map, err) : 0;
    for (uint32_t i = 0; m != NULL && i < m->node_count; i++)
        json_array_append_new(owners, json_pack("{s:s, s:o, s:I}", "node", m->nodes[i].id, "ranges", ranges_of(m, i),
                                                "count", (json_int_t)m->nodes[i].shard_count));
    *out = json_pack("{s:I, s:s?, s:I, s:o, s:o}", "epoch", (json_int_t)r->epoch, "leader",
                     m != NULL ? m->leader : NULL, "shard_count", (json_int_t)(m != NULL ? m->shard_count : 0),
                     "owners", owners, "map", m != NULL ? json_stringn(r->map.ptr, r->map.len) : json_null());
    if (m != NULL)
        weir_shard_map_free(&m);
    return rv;
}

static json_t *take_led(const struct weir_coord_led *l)
{
    const char *leader = l->leader != NULL && l->leader[0] != '\0' ? l->leader : NULL;
    return json_pack("{s:s?, s:f, s:I}", "coordinator", leader, "lease_seconds", (double)l->left_ms / 1000, "terms",
                     (json_int_t)l->token);
}

static double seconds_until(uint64_t at_ms, uint64_t now_ms)
{
    return at_ms > now_ms ? (double)(at_ms - now_ms) / 1000 : 0;
}

static json_t *take_circuits(const struct weir_coord_circuits_reply *r, uint64_t now_ms)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < r->count; i++) {
        const struct weir_coord_circuit *c = &r->at[i];
        bool open = c->sight.phase == WEIR_BREAKER_OPEN;
        json_array_append_new(
            list, json_pack("{s:n, s:s, s:s, s:b, s:I, s:f, s:f, s:f, s:n, s:n}", "provider", "endpoint", c->endpoint,
                            "state", weir_breaker_phase_text(c->sight.phase), "shared", 1, "generation",
                            (json_int_t)c->sight.gen, "state_seconds",
                            now_ms > c->since_ms ? (double)(now_ms - c->since_ms) / 1000 : 0.0, "retry_in_seconds",
                            open ? seconds_until(c->sight.open_until_ms, now_ms) : 0.0, "cooldown_seconds",
                            seconds_until(c->sight.cooldown_until_ms, now_ms), "failures_in_a_row", "reason"));
    }
    return list;
}

static json_t *no_hints(const char *why)
{
    return json_pack("{s:i, s:b, s:s}", "schema", SCHEMA, "valid", 0, "reason", why);
}

/* By the same reading as a node's, so that both show hints for as long as nodes follow them. */
static json_t *take_hints(const struct weir_coord_advice_reply *r, uint64_t now_ms)
{
    struct weir_advice advice;
    struct weir_err unread;
    bool is_read = weir_advice_parse(&advice, r->hints, &unread) == 0;
    if (!is_read || !weir_advice_is_valid(&advice, now_ms))
        return no_hints(weir_advice_why_none(r->version, is_read ? &advice : NULL));
    json_t *hints = json_loadb(r->hints.ptr, r->hints.len, JSON_REJECT_DUPLICATES, NULL);
    json_object_set_new(hints, "valid", json_true());
    json_object_set_new(hints, "age_s", json_real(now_ms > advice.at_ms ? (double)(now_ms - advice.at_ms) / 1000 : 0));
    return hints;
}

static json_t *take_events(const struct weir_coord_events_reply *r)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < r->count; i++) {
        json_t *event = json_loadb(r->at[i].ptr, r->at[i].len, 0, NULL);
        if (json_is_object(event))
            json_array_append(list, event);
        json_decref(event);
    }
    return list;
}

static int keep(json_t **at, json_t *value, struct weir_err *err)
{
    json_decref(*at);
    *at = value;
    return value != NULL ? 0 : weir_err_set(err, WEIR_ENOMEM, "out of memory");
}

int ctl_store_pages_take(struct ctl_store_pages *p, const struct weir_coord_reply *r, uint64_t silent_ms,
                         struct weir_err *err)
{
    uint64_t now_ms = r->now_us / 1000;
    json_t *map;
    int rv;
    switch (r->op) {
    case WEIR_COORD_MEMBERS:
        return keep(&p->members, take_members(&r->members, silent_ms), err);
    case WEIR_COORD_MAP:
        rv = take_map(&map, &r->map, err);
        if (rv == 0)
            rv = keep(&p->lead, take_led(&r->map.led), err);
        return rv == 0 ? keep(&p->map, map, err) : (json_decref(map), rv);
    case WEIR_COORD_CIRCUITS:
        return keep(&p->circuits, take_circuits(&r->circuits, now_ms), err);
    case WEIR_COORD_ADVICE:
        return keep(&p->hints, take_hints(&r->advice, now_ms), err);
    case WEIR_COORD_EVENTS:
        return keep(&p->events, take_events(&r->events), err);
    case WEIR_COORD_SERIES:
        ctl_store_history_take(&p->history, r);
        return 0;
    default:
        return 0;
    }
}

void ctl_store_pages_close(struct ctl_store_pages *p)
{
    json_decref(p->members);
    json_decref(p->map);
    json_decref(p->lead);
    json_decref(p->circuits);
    json_decref(p->hints);
    json_decref(p->events);
    *p = (struct ctl_store_pages){0};
}

bool ctl_store_pages_any(const struct ctl_store_pages *p)
{
    return json_array_size(p->members) > 0 || json_integer_value(json_object_get(p->map, "epoch")) > 0;
}

/* -- pages -- */

static json_int_t count_of(const struct ctl_store_pages *p, const char *node)
{
    const json_t *owners = json_object_get(p->map, "owners");
    for (size_t i = 0; i < json_array_size(owners); i++) {
        const json_t *owner = json_array_get(owners, i);
        if (strcmp(json_string_value(json_object_get(owner, "node")), node) == 0)
            return json_integer_value(json_object_get(owner, "count"));
    }
    return 0;
}

static void make_nodes(const struct ctl_store_pages *p, json_t *answer)
{
    for (size_t i = 0; i < json_array_size(p->members); i++) {
        json_t *m = json_array_get(p->members, i);
        json_object_set_new(m, "shards", json_integer(count_of(p, json_string_value(json_object_get(m, "id")))));
    }
    json_object_set(answer, "nodes", p->members);
}

/* keys: ended by NULL. */
static void copy_of_map(const struct ctl_store_pages *p, json_t *answer, const char *const *keys)
{
    for (; *keys != NULL; keys++)
        json_object_set(answer, *keys, json_object_get(p->map, *keys));
}

static void make_shards(const struct ctl_store_pages *p, json_t *answer)
{
    static const char *const keys[] = {"epoch", "leader", "shard_count", "owners", NULL};
    copy_of_map(p, answer, keys);
}

static void make_map(const struct ctl_store_pages *p, json_t *answer)
{
    static const char *const keys[] = {"shard_count", "map", NULL};
    copy_of_map(p, answer, keys);
}

static void make_state(const struct ctl_store_pages *p, json_t *answer)
{
    static const char *const keys[] = {"epoch", "leader", "shard_count", NULL};
    size_t alive = 0, total = json_array_size(p->members);
    for (size_t i = 0; i < total; i++)
        alive += json_is_true(json_object_get(json_array_get(p->members, i), "alive"));
    json_object_set_new(answer, "contact", json_true());
    json_object_set_new(answer, "store_error", json_null());
    json_object_set(answer, "lead", p->lead);
    copy_of_map(p, answer, keys);
    json_object_set_new(answer, "nodes",
                        json_pack("{s:I, s:I}", "alive", (json_int_t)alive, "total", (json_int_t)total));
}

static void make_breakers(const struct ctl_store_pages *p, json_t *answer)
{
    json_object_set(answer, "breakers", p->circuits);
}

static void make_hints(const struct ctl_store_pages *p, json_t *answer)
{
    json_object_update(answer, p->hints);
}

static void make_events(const struct ctl_store_pages *p, json_t *answer)
{
    json_object_set(answer, "events", p->events);
}

static void make_history(const struct ctl_store_pages *p, json_t *answer)
{
    json_t *history = ctl_store_history_page(&p->history);
    json_object_update(answer, history);
    json_decref(history);
}

static const struct page {
    const char *path;
    enum weir_coord_op ops[CTL_STORE_OPS_MAX];
    void (*make)(const struct ctl_store_pages *p, json_t *answer);
} pages[] = {
    {"/api/cluster/state", {WEIR_COORD_MEMBERS, WEIR_COORD_MAP, WEIR_COORD_OPS}, make_state},
    {"/api/cluster/nodes", {WEIR_COORD_MEMBERS, WEIR_COORD_MAP, WEIR_COORD_OPS}, make_nodes},
    {"/api/cluster/shards", {WEIR_COORD_MEMBERS, WEIR_COORD_MAP, WEIR_COORD_OPS}, make_shards},
    {"/api/cluster/map", {WEIR_COORD_MEMBERS, WEIR_COORD_MAP, WEIR_COORD_OPS}, make_map},
    {"/api/cluster/breakers", {WEIR_COORD_MEMBERS, WEIR_COORD_MAP, WEIR_COORD_CIRCUITS, WEIR_COORD_OPS}, make_breakers},
    {"/api/cluster/hints", {WEIR_COORD_MEMBERS, WEIR_COORD_MAP, WEIR_COORD_ADVICE, WEIR_COORD_OPS}, make_hints},
    {"/api/cluster/events", {WEIR_COORD_MEMBERS, WEIR_COORD_MAP, WEIR_COORD_EVENTS, WEIR_COORD_OPS}, make_events},
    {CTL_STORE_HISTORY, {WEIR_COORD_MEMBERS, WEIR_COORD_MAP, WEIR_COORD_SERIES, WEIR_COORD_OPS}, make_history},
};

/* With or without a query. */
static const struct page *find(const char *page)
{
    size_t len = strcspn(page, "?");
    for (size_t i = 0; i < sizeof pages / sizeof pages[0]; i++)
        if (strlen(pages[i].path) == len && memcmp(pages[i].path, page, len) == 0)
            return &pages[i];
    return NULL;
}

const enum weir_coord_op *ctl_store_page_ops(const char *page)
{
    const struct page *p = find(page);
    return p != NULL ? p->ops : NULL;
}

json_t *ctl_store_page(const struct ctl_store_pages *p, const char *page, const char *store, const char *cluster)
{
    json_t *answer = json_pack("{s:i, s:n, s:s, s:s, s:s}", "schema", SCHEMA, "node", "version", WEIR_VERSION,
                               "cluster", cluster, "store", store);
    if (answer != NULL)
        find(page)->make(p, answer);
    return answer;
}
