#include "cli/plan.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "cli/show.h"

/* -- the map that is shown -- */

static bool whole(const json_t *value, json_int_t lowest, json_int_t highest)
{
    return json_is_integer(value) && json_integer_value(value) >= lowest && json_integer_value(value) <= highest;
}

struct owner {
    const char *id;
    const json_t *ranges;
};

static int by_id(const void *a, const void *b)
{
    return strcmp(((const struct owner *)a)->id, ((const struct owner *)b)->id);
}

static bool fill_ranges(struct weir_shard_map *m, uint16_t node, const json_t *ranges)
{
    for (size_t i = 0; i < json_array_size(ranges); i++) {
        const json_t *range = json_array_get(ranges, i), *first = json_array_get(range, 0),
                     *last = json_array_get(range, 1);
        if (!whole(first, 0, m->shard_count - 1) || !whole(last, json_integer_value(first), m->shard_count - 1))
            return false;
        for (json_int_t shard = json_integer_value(first); shard <= json_integer_value(last); shard++)
            m->owner[shard] = node;
    }
    return true;
}

static bool fill_map(struct weir_shard_map *m, const struct owner *owners)
{
    for (uint32_t shard = 0; shard < m->shard_count; shard++)
        m->owner[shard] = WEIR_NODE_NOBODY;
    for (uint32_t i = 0; i < m->node_count; i++) {
        const char *id = owners[i].id;
        if (!weir_coord_id_valid(weir_str_of(id)) || (i > 0 && strcmp(id, m->nodes[i - 1].id) == 0))
            return false;
        weir_shard_map_node_set(m, i, weir_str_of(id), 1);
        if (!fill_ranges(m, (uint16_t)i, owners[i].ranges))
            return false;
    }
    for (uint32_t shard = 0; shard < m->shard_count; shard++)
        if (m->owner[shard] == WEIR_NODE_NOBODY)
            return false;
    weir_shard_map_count(m);
    return true;
}

static int read_map(struct weir_shard_map **out, const json_t *shards, struct weir_err *err)
{
    const json_t *list = json_object_get(shards, "owners"), *count = json_object_get(shards, "shard_count");
    size_t n = json_array_size(list);
    *out = NULL;
    if (whole(count, 0, 0) || n == 0)
        return weir_err_set(err, WEIR_ENOTFOUND, "the node is in no cluster: it has no shards");
    if (!whole(count, 1, WEIR_SHARDS_MAX) || n > WEIR_CLUSTER_NODES_MAX)
        return weir_err_set(err, WEIR_EPROTO, "the shard map that it shows is none");
    struct owner *owners = calloc(n, sizeof *owners);
    struct weir_shard_map *m = weir_shard_map_new((uint32_t)json_integer_value(count), (uint32_t)n);
    bool whole_map = false;
    if (owners != NULL && m != NULL) {
        for (size_t i = 0; i < n; i++) {
            const json_t *owner = json_array_get(list, i);
            owners[i] = (struct owner){ctl_text(owner, "node", ""), json_object_get(owner, "ranges")};
        }
        qsort(owners, n, sizeof *owners, by_id);
        whole_map = fill_map(m, owners);
    }
    bool lacks_memory = owners == NULL || m == NULL;
    free(owners);
    if (whole_map) {
        *out = m;
        return 0;
    }
    if (m != NULL)
        weir_shard_map_free(&m);
    return lacks_memory ? weir_err_set(err, WEIR_ENOMEM, "out of memory")
                        : weir_err_set(err, WEIR_EPROTO, "the shard map that it shows is not whole");
}

/* -- the members -- */

static enum weir_coord_node_state state_of(const json_t *node)
{
    const char *text = ctl_text(node, "state", "");
    for (int s = WEIR_NODE_JOINING; s <= WEIR_NODE_DRAINING; s++)
        if (strcmp(text, weir_coord_node_state_text((enum weir_coord_node_state)s)) == 0)
            return (enum weir_coord_node_state)s;
    return WEIR_NODE_ACTIVE;
}

/* Those that live; returns how many. */
static uint32_t read_members(struct weir_rebalance_member *members, const json_t *list)
{
    uint32_t count = 0;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *node = json_array_get(list, i), *weight = json_object_get(node, "weight");
        if (!json_is_true(json_object_get(node, "alive")))
            continue;
        members[count++] = (struct weir_rebalance_member){
            .id = weir_str_of(ctl_text(node, "id", "")),
            .weight = whole(weight, 1, WEIR_RENDEZVOUS_WEIGHT_MAX) ? (uint32_t)json_integer_value(weight) : 1,
            .state = state_of(node)};
    }
    return count;
}

/* As the coordinator does it: a map in which every node is within its band of what loads may make of its part is kept;
 * one that is not is made anew, by parts alone. */
static int rebalance(struct ctl_plan *plan, const struct weir_rebalance_member *members, uint32_t count, uint64_t epoch,
                     struct weir_err *err)
{
    struct weir_rebalance_opts opts = {.epoch = epoch, .load_aware = true};
    int rv = weir_rebalance(&plan->next, members, count, plan->old, plan->old->shard_count, &opts, err);
    if (rv != 0 || plan->next.move_count == 0)
        return rv;
    weir_rebalance_plan_close(&plan->next);
    opts.load_aware = false;
    return weir_rebalance(&plan->next, members, count, plan->old, plan->old->shard_count, &opts, err);
}

int ctl_plan_make(struct ctl_plan *plan, const json_t *nodes, const json_t *shards, struct weir_err *err)
{
    const json_t *list = json_object_get(nodes, "nodes"), *epoch = json_object_get(shards, "epoch");
    size_t n = json_array_size(list);
    *plan = (struct ctl_plan){0};
    int rv = read_map(&plan->old, shards, err);
    if (rv != 0)
        return rv;
    struct weir_rebalance_member *members = calloc(n + 1, sizeof *members);
    assert(plan->old != NULL);
    if (members == NULL) {
        rv = weir_err_set(err, WEIR_ENOMEM, "out of memory");
    } else {
        json_int_t last = whole(epoch, 0, INT64_MAX - 1) ? json_integer_value(epoch) : 0;
        rv = rebalance(plan, members, read_members(members, list), (uint64_t)last + 1, err);
    }
    free(members);
    if (rv != 0)
        ctl_plan_close(plan);
    return rv;
}

void ctl_plan_close(struct ctl_plan *plan)
{
    if (plan->old != NULL)
        weir_shard_map_free(&plan->old);
    weir_rebalance_plan_close(&plan->next);
    *plan = (struct ctl_plan){0};
}

const char *ctl_plan_from(const struct ctl_plan *plan, const struct weir_shard_move *m)
{
    return m->from == WEIR_NODE_NOBODY ? "-" : plan->old->nodes[m->from].id;
}

const char *ctl_plan_to(const struct ctl_plan *plan, const struct weir_shard_move *m)
{
    return plan->next.map->nodes[m->to].id;
}
