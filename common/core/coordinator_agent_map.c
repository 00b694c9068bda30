/* Who shall own which shard: when the leader publishes another map, and which. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/coordinator_agent_inner.h"
#include "core/hash.h"
#include "core/rebalance_round.h"

/* Loads are smoothed over about so long, and must have been told for as long before a shard moves for them; after one
 * has, what came of it is waited for. */
#define LOAD_MEMORY_MS UINT64_C(30000)
#define LOAD_APART_MS  UINT64_C(60000)

/* For all who listen: {"event":NAME, ..., "by":SELF}. */
static void tell_published(struct weir_coordinator_agent *a, uint64_t now_ms)
{
    char text[WEIR_COORD_EVENT_MAX];
    int n = snprintf(text, sizeof text, "{\"event\":\"%s\",\"epoch\":%llu,\"moves\":%u,\"by\":\"%s\"}",
                     weir_coordinator_note_text(WEIR_COORDINATOR_PUBLISHED), (unsigned long long)a->map->epoch,
                     a->proposed_moves, a->id);
    struct weir_coord_request request = {.op = WEIR_COORD_EVENT, .event = {text, (size_t)n}};
    (void)weir_coordinator_send(a, now_ms, &request);
}

/* What came of a round that was asked for. still: why nothing has moved; NULL: something has. */
static void tell_rebalanced(struct weir_coordinator_agent *a, uint64_t now_ms, uint64_t epoch, uint32_t moves,
                            const char *still)
{
    char text[WEIR_COORD_EVENT_MAX];
    int n = snprintf(text, sizeof text,
                     "{\"event\":\"" WEIR_COORD_REBALANCED "\",\"epoch\":%llu,\"moves\":%u,\"by\":\"%s\"%s%s%s}",
                     (unsigned long long)epoch, moves, a->id, still != NULL ? ",\"why\":\"" : "",
                     still != NULL ? still : "", still != NULL ? "\"" : "");
    struct weir_coord_request request = {.op = WEIR_COORD_EVENT, .event = {text, (size_t)n}};
    (void)weir_coordinator_send(a, now_ms, &request);
}

bool weir_coordinator_is_asked(struct weir_str event)
{
    static const char name[] = "\"event\":\"" WEIR_COORD_REBALANCE_ASKED "\"";
    return memmem(event.ptr, event.len, name, sizeof name - 1) != NULL;
}

void weir_coordinator_map_reply(struct weir_coordinator_agent *a, const struct weir_coord_reply *r)
{
    struct weir_err err;
    struct weir_shard_map *map;
    if (r->id != a->map_request)
        return;
    a->map_request = 0;
    if (r->word != WEIR_COORD_OK || r->map.epoch == 0)
        return;
    if (weir_shard_map_parse(&map, r->map.map, &err) != 0) {
        /* Nobody can read it: one with a higher epoch takes its place. */
        weir_coordinator_note(a, WEIR_COORDINATOR_PLAN_FAILED, "", err.msg, r->map.epoch, 0);
        return;
    }
    if (!weir_shard_map_newer(map, a->map)) { /* a store that has gone back in time: the newer one is published again */
        weir_shard_map_free(&map);
        return;
    }
    weir_shard_map_free(&a->map);
    a->map = map;
}

/* -- loads -- */

void weir_coordinator_forget_loads(struct weir_coordinator_agent *a)
{
    a->load_count = 0;
    a->loads_ms = 0;
}

static const struct weir_coordinator_load *load_find(const struct weir_coordinator_load *loads, uint32_t count,
                                                     uint64_t hash)
{
    for (uint32_t i = 0; i < count; i++)
        if (loads[i].hash == hash)
            return &loads[i];
    return NULL;
}

void weir_coordinator_take_loads(struct weir_coordinator_agent *a, uint64_t now_ms)
{
    struct weir_coordinator_load before[WEIR_CLUSTER_NODES_MAX];
    uint32_t before_count = a->load_count;
    double passed = a->loads_ms == 0 ? 0 : (double)(now_ms - a->loads_ms);
    double part = passed < (double)LOAD_MEMORY_MS ? passed / (double)LOAD_MEMORY_MS : 1;
    if (!a->load_moves) {
        weir_coordinator_forget_loads(a);
        return;
    }
    if (a->loads_ms == 0)
        a->load_due_ms = now_ms + LOAD_MEMORY_MS;
    memcpy(before, a->loads, before_count * sizeof before[0]);
    a->load_count = a->members.count;
    a->loads_ms = now_ms;
    for (uint32_t i = 0; i < a->members.count; i++) {
        const struct weir_coord_member *m = &a->members.at[i].record;
        uint64_t hash = weir_hash64_str(weir_str_of(m->id), 0);
        const struct weir_coordinator_load *old = load_find(before, before_count, hash);
        double is = m->load.in_flight, was = old != NULL ? old->in_flight : is;
        a->loads[i] = (struct weir_coordinator_load){hash, was + (is - was) * part};
    }
}

/* -- decisions -- */

/* In a round that is asked for, loads are those of this moment: an operator goes by what the members tell now. */
static double load_of(const struct weir_coordinator_agent *a, const struct weir_coord_member *m)
{
    const struct weir_coordinator_load *l = load_find(a->loads, a->load_count, weir_hash64_str(weir_str_of(m->id), 0));
    return a->asked ? m->load.in_flight : l != NULL ? l->in_flight : 0;
}

static int make_plan(const struct weir_coordinator_agent *a, uint64_t now_ms, struct weir_rebalance_plan *plan,
                     const char **still, struct weir_err *err)
{
    struct weir_round_member *members = calloc((size_t)a->members.count + 1, sizeof *members);
    struct weir_round round = {.members = members,
                               .map = a->map,
                               .shard_count = a->shard_count,
                               .epoch = a->highest_epoch + 1,
                               .leader = weir_str_of(a->id),
                               .failover = a->failover,
                               .load_moves = a->load_moves,
                               .asked = a->asked,
                               .now_ms = now_ms,
                               .loads_from_ms = a->load_due_ms};
    if (members == NULL)
        return weir_err_set(err, WEIR_ENOMEM, "members: out of memory");
    for (uint32_t i = 0; i < a->members.count; i++) {
        const struct weir_member *m = &a->members.at[i];
        if (m->alive || !m->missing)
            members[round.member_count++] = (struct weir_round_member){.id = weir_str_of(m->record.id),
                                                                       .weight = m->record.weight,
                                                                       .state = m->record.state,
                                                                       .alive = m->alive,
                                                                       .in_flight = load_of(a, &m->record)};
    }
    int code = weir_round_decide(&round, plan, still, err);
    free(members);
    return code;
}

static void publish(struct weir_coordinator_agent *a, uint64_t now_ms, struct weir_rebalance_plan *plan,
                    const char *still)
{
    struct weir_textbuf text;
    struct weir_coord_request request = {.op = WEIR_COORD_PUBLISH};
    weir_textbuf_init(&text, WEIR_SHARD_MAP_TEXT_MAX);
    weir_shard_map_print(&text, plan->map);
    if (text.failed) {
        weir_coordinator_note(a, WEIR_COORDINATOR_PLAN_FAILED, "", "the map's text: out of memory", plan->map->epoch,
                              0);
    } else {
        weir_shard_map_free(&a->proposed);
        a->proposed = plan->map;
        a->proposed_moves = plan->move_count;
        a->proposed_still = still;
        plan->map = NULL;
        request.publish = (struct weir_coord_publish){
            .id = a->id, .token = a->lease.token, .epoch = a->proposed->epoch, .map = {text.ptr, text.len}};
        a->publish_request = weir_coordinator_send(a, now_ms, &request);
    }
    weir_textbuf_close(&text);
}

/* A leader publishes once in its own name, changed or not: two that led at once may have given one epoch to two maps,
 * and nodes that hold either of them meet again in the next. So they do when some have seen a map that the store has
 * lost. */
static bool must_publish(const struct weir_coordinator_agent *a, const struct weir_shard_map *planned)
{
    return a->map == NULL || a->map->epoch != a->stored_epoch || a->map->epoch < a->highest_epoch ||
           strcmp(a->map->leader, a->id) != 0 || !weir_shard_map_same(planned, a->map);
}

void weir_coordinator_decide(struct weir_coordinator_agent *a, uint64_t now_ms)
{
    struct weir_err err = {0};
    struct weir_rebalance_plan plan = {0};
    const char *still;
    bool ready = a->members_fresh && !a->map_wanted && a->map_request == 0 && a->publish_request == 0;
    if (!ready || !weir_leader_lease_leads(&a->lease, now_ms) || !weir_members_sure(&a->members, now_ms))
        return;
    a->members_fresh = false;
    int code = make_plan(a, now_ms, &plan, &still, &err);
    if (code != 0) {
        if (code != WEIR_ENOTFOUND) /* nobody is there yet */
            weir_coordinator_note(a, WEIR_COORDINATOR_PLAN_FAILED, "", err.msg, 0, 0);
        return;
    }
    assert(plan.map != NULL);
    bool asked = a->asked;
    a->asked = false;
    if (must_publish(a, plan.map))
        publish(a, now_ms, &plan, still);
    else if (asked)
        tell_rebalanced(a, now_ms, a->map->epoch, 0, still);
    a->answers = asked && a->publish_request != 0;
    weir_rebalance_plan_close(&plan);
}

void weir_coordinator_publish_reply(struct weir_coordinator_agent *a, uint64_t now_ms, const struct weir_coord_reply *r)
{
    if (r->id != a->publish_request)
        return;
    a->publish_request = 0;
    uint64_t epoch = a->proposed->epoch;
    bool answers = a->answers;
    a->answers = false;
    a->highest_epoch = epoch > a->highest_epoch ? epoch : a->highest_epoch;
    if (r->word == WEIR_COORD_OK) {
        weir_shard_map_free(&a->map);
        a->map = a->proposed;
        a->proposed = NULL;
        a->stored_epoch = epoch;
        a->load_due_ms = a->proposed_moves > 0 ? now_ms + LOAD_APART_MS : a->load_due_ms;
        weir_coordinator_note(a, WEIR_COORDINATOR_PUBLISHED, "", "", epoch, a->proposed_moves);
        tell_published(a, now_ms);
        if (answers)
            tell_rebalanced(a, now_ms, epoch, a->proposed_moves, a->proposed_still);
        return;
    }
    weir_shard_map_free(&a->proposed);
    a->asked = answers;   /* again, with the next one */
    a->map_wanted = true; /* whether it is there, or another one, is seen then */
    weir_coordinator_note(a, WEIR_COORDINATOR_PUBLISH_REFUSED, "", r->why != NULL ? r->why : "", epoch, 0);
    if (r->word != WEIR_COORD_STALE)
        return;
    weir_coordinator_take_epochs(a, now_ms, &r->lead);
    if (r->lead.led.token != a->lease.token)
        weir_coordinator_led(a, now_ms, weir_leader_lease_refused(&a->lease, now_ms, r->lead.led.left_ms),
                             "the store knows a newer leader");
}
