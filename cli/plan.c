#include "cli/plan.h"

#include <stdlib.h>
#include <string.h>

#include "cli/show.h"

static bool whole(const json_t *value, json_int_t lowest, json_int_t highest)
{
    return json_is_integer(value) && json_integer_value(value) >= lowest && json_integer_value(value) <= highest;
}

/* -- the map -- */

static int read_map(struct weir_shard_map **out, const json_t *page, struct weir_err *err)
{
    const json_t *map = json_object_get(page, "map"), *count = json_object_get(page, "shard_count");
    *out = NULL;
    if (!json_is_string(json_object_get(page, "cluster")))
        return weir_err_set(err, WEIR_ENOTFOUND, "the node is in no cluster: it has no shards");
    if (json_is_null(map) && whole(count, 0, 0))
        return weir_err_set(err, WEIR_ENOTFOUND, "no map was published yet");
    if (!whole(count, 1, WEIR_SHARDS_MAX))
        return weir_err_set(err, WEIR_EPROTO, "it shows no count of shards");
    if (json_is_null(map))
        return 0;
    if (!json_is_string(map))
        return weir_err_set(err, WEIR_EPROTO, "it shows no map");
    return weir_shard_map_parse(out, (struct weir_str){json_string_value(map), json_string_length(map)}, err);
}

/* What the configuration says, where that is shown. */
static bool setting(const json_t *page, const char *key, bool by_default)
{
    const json_t *value = json_object_get(page, key);
    return json_is_boolean(value) ? json_is_true(value) : by_default;
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

static struct weir_round_member member_of(const json_t *node)
{
    struct weir_round_member m = {.id = weir_str_of(ctl_text(node, "id", "")),
                                  .weight = 1,
                                  .state = state_of(node),
                                  .alive = json_is_true(json_object_get(node, "alive"))};
    const json_t *weight = json_object_get(node, "weight");
    if (whole(weight, 0, UINT32_MAX))
        m.weight = (uint32_t)json_integer_value(weight);
    ctl_number(json_object_get(node, "load"), "in_flight", &m.in_flight);
    return m;
}

/* -- the plan -- */

static int decide(struct ctl_plan *plan, const json_t *nodes, const json_t *page, struct weir_err *err)
{
    const json_t *list = json_object_get(nodes, "nodes");
    size_t count = json_array_size(list);
    if (count > WEIR_CLUSTER_NODES_MAX)
        return weir_err_set(err, WEIR_EPROTO, "it shows %zu nodes", count);
    struct weir_round_member *members = calloc(count + 1, sizeof *members);
    if (members == NULL)
        return weir_err_set(err, WEIR_ENOMEM, "out of memory");
    for (size_t i = 0; i < count; i++)
        members[i] = member_of(json_array_get(list, i));
    const struct weir_round round = {
        .members = members,
        .member_count = (uint32_t)count,
        .map = plan->old,
        .shard_count = (uint32_t)json_integer_value(json_object_get(page, "shard_count")),
        .epoch = plan->old != NULL ? plan->old->epoch + 1 : 1,
        .failover = setting(page, "failover", true),
        .load_moves = setting(page, "load_moves", true),
        .asked = true,
    };
    int rv = weir_round_decide(&round, &plan->next, &plan->still, err);
    free(members);
    return rv;
}

int ctl_plan_make(struct ctl_plan *plan, const json_t *nodes, const json_t *map, struct weir_err *err)
{
    *plan = (struct ctl_plan){0};
    int rv = read_map(&plan->old, map, err);
    if (rv == 0)
        rv = decide(plan, nodes, map, err);
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
