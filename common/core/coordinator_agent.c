#include "core/coordinator_agent.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/leader_lease.h"
#include "core/rebalance.h"

/* As the nodes' agent judges a store, and spaces its questions. */
#define AWAY_RUN              2u
#define MEMBERS_MS_MIN        100u
#define MEMBERS_MS_PER_MEMBER 4u
#define NEVER                 UINT64_MAX

struct weir_coordinator_agent {
    weir_coordinator_act_cb act;
    void *arg;
    char id[WEIR_NODE_ID_MAX + 1];
    bool failover, resigned;
    uint32_t shard_count;
    uint64_t request_last;

    bool link, contact, ever;
    uint32_t away_run;

    struct weir_leader_lease lease;
    char leader[WEIR_NODE_ID_MAX + 1];
    uint64_t lead_request, resign_request;

    struct weir_members members;
    bool members_wanted, members_fresh; /* fresh: told since the last plan */
    uint64_t members_request, members_due_ms;

    struct weir_shard_map *map;      /* the newest known; NULL */
    struct weir_shard_map *proposed; /* on its way to the store */
    uint32_t proposed_moves;
    bool map_wanted;
    uint64_t map_request, publish_request;
    uint64_t stored_epoch, highest_epoch; /* what the store has; that anybody has seen */
};

const char *weir_coordinator_note_text(enum weir_coordinator_note n)
{
#define TEXT(id, text) text,
    static const char *const texts[] = {WEIR_COORDINATOR_NOTE_MAP(TEXT)};
#undef TEXT
    assert(n < WEIR_COORDINATOR_NOTES);
    return texts[n];
}

/* -- life -- */

int weir_coordinator_agent_set(struct weir_coordinator_agent *a, const struct weir_coordinator_agent_config *c,
                               struct weir_err *err)
{
    if (!weir_coord_id_valid(weir_str_of(c->id)))
        return weir_err_set(err, WEIR_EINVAL, "\"%s\" cannot be a coordinator's id", c->id);
    if (c->shard_count == 0 || c->shard_count > WEIR_SHARDS_MAX || c->lease_ms < 10 || c->failover_timeout_ms < 3)
        return weir_err_set(err, WEIR_EINVAL, "shard_count, lease or failover_timeout is out of range");
    a->failover = c->failover;
    a->shard_count = c->shard_count;
    a->lease.lease_ms = c->lease_ms;
    a->members.failover_ms = c->failover_timeout_ms;
    return 0;
}

int weir_coordinator_agent_new(struct weir_coordinator_agent **out, const struct weir_coordinator_agent_config *c,
                               weir_coordinator_act_cb act, void *arg, uint64_t now_ms, struct weir_err *err)
{
    *out = NULL;
    struct weir_coordinator_agent *a = calloc(1, sizeof *a);
    if (a == NULL)
        return weir_err_set(err, WEIR_ENOMEM, "the coordinator: out of memory");
    int code = weir_coordinator_agent_set(a, c, err);
    if (code != 0) {
        free(a);
        return code;
    }
    a->act = act;
    a->arg = arg;
    (void)snprintf(a->id, sizeof a->id, "%s", c->id);
    weir_members_init(&a->members, c->failover_timeout_ms, now_ms);
    weir_leader_lease_init(&a->lease, c->lease_ms, now_ms);
    *out = a;
    return 0;
}

void weir_coordinator_agent_free(struct weir_coordinator_agent **a)
{
    if (*a == NULL)
        return;
    weir_members_close(&(*a)->members);
    weir_shard_map_free(&(*a)->map);
    weir_shard_map_free(&(*a)->proposed);
    free(*a);
    *a = NULL;
}

/* -- what comes out -- */

static uint64_t send_request(struct weir_coordinator_agent *a, uint64_t now_ms, struct weir_coord_request *request)
{
    struct weir_coordinator_action action = {.send = request};
    if (!a->link)
        return 0;
    request->id = ++a->request_last;
    request->sent_ms = now_ms;
    a->act(a->arg, &action);
    return request->id;
}

static void note(struct weir_coordinator_agent *a, enum weir_coordinator_note kind, const char *node, const char *why,
                 uint64_t epoch, uint32_t moves)
{
    struct weir_coordinator_action action = {.note = {kind, node, why, epoch, moves}};
    a->act(a->arg, &action);
}

/* For all who listen: {"event":NAME, ..., "by":SELF}. */
static void tell_published(struct weir_coordinator_agent *a, uint64_t now_ms)
{
    char text[WEIR_COORD_EVENT_MAX];
    int n = snprintf(text, sizeof text, "{\"event\":\"%s\",\"epoch\":%llu,\"moves\":%u,\"by\":\"%s\"}",
                     weir_coordinator_note_text(WEIR_COORDINATOR_PUBLISHED), (unsigned long long)a->map->epoch,
                     a->proposed_moves, a->id);
    struct weir_coord_request request = {.op = WEIR_COORD_EVENT, .event = {text, (size_t)n}};
    (void)send_request(a, now_ms, &request);
}

/* -- the lead -- */

static void led(struct weir_coordinator_agent *a, uint64_t now_ms, enum weir_leader_change change, const char *why)
{
    if (change == WEIR_LEADER_LOST) {
        a->members_fresh = a->members_wanted = false;
        a->leader[0] = '\0';
        note(a, WEIR_COORDINATOR_FOLLOWS, "", why, 0, 0);
    }
    if (change != WEIR_LEADER_GAINED)
        return;
    weir_members_unsure(&a->members, now_ms);
    a->members.version = 0;
    a->map_wanted = true; /* somebody else may have published one meanwhile */
    (void)snprintf(a->leader, sizeof a->leader, "%s", a->id);
    note(a, WEIR_COORDINATOR_LEADS, "", "", 0, 0);
}

static void ask_lead(struct weir_coordinator_agent *a, uint64_t now_ms)
{
    struct weir_coord_request request = {.op = WEIR_COORD_LEAD};
    if (!a->link || a->resigned || !weir_leader_lease_ask(&a->lease, now_ms))
        return;
    request.lead = (struct weir_coord_lead){.id = a->id, .lease_ms = a->lease.lease_ms, .token = a->lease.token};
    a->lead_request = send_request(a, now_ms, &request);
}

void weir_coordinator_agent_resign(struct weir_coordinator_agent *a, uint64_t now_ms)
{
    struct weir_coord_request request = {.op = WEIR_COORD_RESIGN};
    if (a->resigned)
        return;
    a->resigned = true;
    if (!weir_leader_lease_leads(&a->lease, now_ms))
        return;
    request.resign = (struct weir_coord_lead){.id = a->id, .lease_ms = a->lease.lease_ms, .token = a->lease.token};
    a->resign_request = send_request(a, now_ms, &request);
    led(a, now_ms, weir_leader_lease_refused(&a->lease, now_ms, 0), "resigned");
}

/* What the store knows of maps. One that had a map and has none any more has lost all it had. */
static void take_epochs(struct weir_coordinator_agent *a, uint64_t now_ms, const struct weir_coord_lead_reply *r)
{
    if (r->map_epoch < a->stored_epoch) {
        weir_members_unsure(&a->members, now_ms);
        note(a, WEIR_COORDINATOR_STORE_ANEW, "", "", 0, 0);
    }
    a->stored_epoch = r->map_epoch;
    a->highest_epoch = r->map_epoch > a->highest_epoch ? r->map_epoch : a->highest_epoch;
    a->highest_epoch = r->epoch_seen > a->highest_epoch ? r->epoch_seen : a->highest_epoch;
    a->map_wanted = a->map_wanted || (r->map_epoch > 0 && (a->map == NULL || a->map->epoch < r->map_epoch));
}

static void stand_by(struct weir_coordinator_agent *a, const char *leader)
{
    if (leader[0] != '\0' && strcmp(leader, a->leader) != 0)
        note(a, WEIR_COORDINATOR_STANDS_BY, leader, "", 0, 0);
    (void)snprintf(a->leader, sizeof a->leader, "%s", leader);
}

static void lead_reply(struct weir_coordinator_agent *a, uint64_t now_ms, const struct weir_coord_reply *r)
{
    if (r->id != a->lead_request)
        return;
    a->lead_request = 0;
    if (r->word == WEIR_COORD_OK && !a->resigned) {
        led(a, now_ms, weir_leader_lease_granted(&a->lease, now_ms, r->sent_ms, r->lead.token), "the lease ran out");
        (void)weir_members_clock(&a->members, r->sent_ms, now_ms, r->now_us);
        take_epochs(a, now_ms, &r->lead);
        a->members_wanted = true;
    } else if (r->word == WEIR_COORD_STALE) {
        led(a, now_ms, weir_leader_lease_refused(&a->lease, now_ms, r->lead.left_ms), "somebody else leads");
        stand_by(a, r->lead.leader != NULL ? r->lead.leader : "");
    } else {
        weir_leader_lease_failed(&a->lease, now_ms);
    }
}

/* -- questions -- */

static void changed(void *arg, enum weir_member_change what, const struct weir_member *m)
{
    static const enum weir_coordinator_note notes[] = {
        [WEIR_MEMBER_CAME] = WEIR_COORDINATOR_NODE_JOINED,   [WEIR_MEMBER_WENT] = WEIR_COORDINATOR_NODE_LEFT,
        [WEIR_MEMBER_LOST] = WEIR_COORDINATOR_NODE_LOST,     [WEIR_MEMBER_BACK] = WEIR_COORDINATOR_NODE_BACK,
        [WEIR_MEMBER_DRAINS] = WEIR_COORDINATOR_NODE_DRAINS,
    };
    note(arg, notes[what], m->record.id, "", 0, 0);
}

static void ask(struct weir_coordinator_agent *a, uint64_t now_ms)
{
    struct weir_coord_request members = {.op = WEIR_COORD_MEMBERS}, map = {.op = WEIR_COORD_MAP};
    if (!a->link || !weir_leader_lease_leads(&a->lease, now_ms))
        return;
    if (a->map_wanted && a->map_request == 0) {
        a->map_wanted = false;
        a->map_request = send_request(a, now_ms, &map);
    }
    if (a->members_wanted && a->members_request == 0 && a->members_due_ms <= now_ms) {
        uint64_t apart = (uint64_t)a->members.count * MEMBERS_MS_PER_MEMBER;
        a->members_wanted = false;
        a->members_due_ms = now_ms + (apart > MEMBERS_MS_MIN ? apart : MEMBERS_MS_MIN);
        a->members_request = send_request(a, now_ms, &members);
    }
}

static void members_reply(struct weir_coordinator_agent *a, uint64_t now_ms, const struct weir_coord_reply *r)
{
    struct weir_err err;
    if (r->id != a->members_request)
        return;
    a->members_request = 0;
    if (r->word != WEIR_COORD_OK || !weir_leader_lease_leads(&a->lease, now_ms))
        return; /* the next renewal asks again */
    if (weir_members_take(&a->members, now_ms, &r->members, changed, a, &err) == 0)
        a->members_fresh = true;
}

static void map_reply(struct weir_coordinator_agent *a, const struct weir_coord_reply *r)
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
        note(a, WEIR_COORDINATOR_PLAN_FAILED, "", err.msg, r->map.epoch, 0);
        return;
    }
    if (!weir_shard_map_newer(map, a->map)) { /* a store that has gone back in time: the newer one is published again */
        weir_shard_map_free(&map);
        return;
    }
    weir_shard_map_free(&a->map);
    a->map = map;
}

/* -- decisions -- */

static bool counts_in(const struct weir_coordinator_agent *a, const struct weir_member *m)
{
    return m->alive || (!a->failover && !m->missing);
}

static uint32_t clamp_weight(uint32_t weight)
{
    return weight < 1 ? 1 : weight > WEIR_RENDEZVOUS_WEIGHT_MAX ? WEIR_RENDEZVOUS_WEIGHT_MAX : weight;
}

static int make_plan(const struct weir_coordinator_agent *a, struct weir_rebalance_plan *plan, struct weir_err *err)
{
    struct weir_rebalance_opts opts = {.epoch = a->highest_epoch + 1, .leader = weir_str_of(a->id)};
    struct weir_rebalance_member *members = calloc((size_t)a->members.count + 1, sizeof *members);
    uint32_t count = 0;
    if (members == NULL)
        return weir_err_set(err, WEIR_ENOMEM, "members: out of memory");
    for (uint32_t i = 0; i < a->members.count; i++) {
        const struct weir_member *m = &a->members.at[i];
        if (counts_in(a, m))
            members[count++] = (struct weir_rebalance_member){.id = weir_str_of(m->record.id),
                                                              .weight = clamp_weight(m->record.weight),
                                                              .state = m->record.state,
                                                              .load = m->record.load.in_flight};
    }
    int code = weir_rebalance(plan, members, count, a->map, a->shard_count, &opts, err);
    free(members);
    return code;
}

static void publish(struct weir_coordinator_agent *a, uint64_t now_ms, struct weir_rebalance_plan *plan)
{
    struct weir_textbuf text;
    struct weir_coord_request request = {.op = WEIR_COORD_PUBLISH};
    weir_textbuf_init(&text, WEIR_SHARD_MAP_TEXT_MAX);
    weir_shard_map_print(&text, plan->map);
    if (text.failed) {
        note(a, WEIR_COORDINATOR_PLAN_FAILED, "", "the map's text: out of memory", plan->map->epoch, 0);
    } else {
        weir_shard_map_free(&a->proposed);
        a->proposed = plan->map;
        a->proposed_moves = plan->move_count;
        plan->map = NULL;
        request.publish = (struct weir_coord_publish){
            .id = a->id, .token = a->lease.token, .epoch = a->proposed->epoch, .map = {text.ptr, text.len}};
        a->publish_request = send_request(a, now_ms, &request);
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

static void decide(struct weir_coordinator_agent *a, uint64_t now_ms)
{
    struct weir_err err = {0};
    struct weir_rebalance_plan plan = {0};
    bool ready = a->members_fresh && !a->map_wanted && a->map_request == 0 && a->publish_request == 0;
    if (!ready || !weir_leader_lease_leads(&a->lease, now_ms) || !weir_members_sure(&a->members, now_ms))
        return;
    a->members_fresh = false;
    int code = make_plan(a, &plan, &err);
    if (code != 0) {
        if (code != WEIR_ENOTFOUND) /* nobody is there yet */
            note(a, WEIR_COORDINATOR_PLAN_FAILED, "", err.msg, 0, 0);
        return;
    }
    assert(plan.map != NULL);
    if (must_publish(a, plan.map))
        publish(a, now_ms, &plan);
    weir_rebalance_plan_close(&plan);
}

static void publish_reply(struct weir_coordinator_agent *a, uint64_t now_ms, const struct weir_coord_reply *r)
{
    if (r->id != a->publish_request)
        return;
    a->publish_request = 0;
    uint64_t epoch = a->proposed->epoch;
    a->highest_epoch = epoch > a->highest_epoch ? epoch : a->highest_epoch;
    if (r->word == WEIR_COORD_OK) {
        weir_shard_map_free(&a->map);
        a->map = a->proposed;
        a->proposed = NULL;
        a->stored_epoch = epoch;
        note(a, WEIR_COORDINATOR_PUBLISHED, "", "", epoch, a->proposed_moves);
        tell_published(a, now_ms);
        return;
    }
    weir_shard_map_free(&a->proposed);
    a->map_wanted = true; /* whether it is there, or another one, is seen then */
    note(a, WEIR_COORDINATOR_PUBLISH_REFUSED, "", r->why != NULL ? r->why : "", epoch, 0);
    if (r->word != WEIR_COORD_STALE)
        return;
    take_epochs(a, now_ms, &r->lead);
    if (r->lead.token != a->lease.token)
        led(a, now_ms, weir_leader_lease_refused(&a->lease, now_ms, r->lead.left_ms), "the store knows a newer leader");
}

/* -- events -- */

void weir_coordinator_agent_tick(struct weir_coordinator_agent *a, uint64_t now_ms)
{
    led(a, now_ms, weir_leader_lease_tick(&a->lease, now_ms), "the lease ran out");
    ask_lead(a, now_ms);
    ask(a, now_ms);
    decide(a, now_ms);
}

uint64_t weir_coordinator_agent_deadline_ms(const struct weir_coordinator_agent *a)
{
    uint64_t first = weir_leader_lease_deadline_ms(&a->lease);
    if ((!a->link || a->resigned) && !a->lease.held)
        first = NEVER;
    else if (!a->link || a->resigned)
        first = a->lease.until_ms;
    if (a->link && a->lease.held && a->members_wanted && a->members_request == 0 && a->members_due_ms < first)
        first = a->members_due_ms;
    return first;
}

static void lost_contact(struct weir_coordinator_agent *a, const char *why)
{
    if (a->contact)
        note(a, WEIR_COORDINATOR_CONTACT_LOST, "", why, 0, 0);
    a->contact = false;
}

static void judge_contact(struct weir_coordinator_agent *a, uint64_t now_ms, const struct weir_coord_reply *r)
{
    if (r->word == WEIR_COORD_AWAY || r->word == WEIR_COORD_REFUSED) {
        if (++a->away_run >= AWAY_RUN)
            lost_contact(a, r->why != NULL ? r->why : "");
        return;
    }
    a->away_run = 0;
    if (a->contact)
        return;
    a->contact = true;
    weir_members_unsure(&a->members, now_ms);
    if (a->ever)
        note(a, WEIR_COORDINATOR_CONTACT_BACK, "", "", 0, 0);
    a->ever = true;
}

void weir_coordinator_agent_reply(struct weir_coordinator_agent *a, uint64_t now_ms, const struct weir_coord_reply *r)
{
    judge_contact(a, now_ms, r);
    switch (r->op) {
    case WEIR_COORD_LEAD:
        lead_reply(a, now_ms, r);
        break;
    case WEIR_COORD_MEMBERS:
        members_reply(a, now_ms, r);
        break;
    case WEIR_COORD_MAP:
        map_reply(a, r);
        break;
    case WEIR_COORD_PUBLISH:
        publish_reply(a, now_ms, r);
        break;
    case WEIR_COORD_RESIGN:
        a->resign_request = r->id == a->resign_request ? 0 : a->resign_request;
        break;
    default:
        break; /* what was told to all */
    }
    weir_coordinator_agent_tick(a, now_ms);
}

void weir_coordinator_agent_push(struct weir_coordinator_agent *a, uint64_t now_ms, const struct weir_coord_push *p)
{
    if (p->kind == WEIR_COORD_PUSH_MEMBERS && weir_leader_lease_leads(&a->lease, now_ms) &&
        p->members_version != a->members.version)
        a->members_wanted = true;
    weir_coordinator_agent_tick(a, now_ms);
}

void weir_coordinator_agent_contact(struct weir_coordinator_agent *a, uint64_t now_ms, bool up, const char *why)
{
    if (up && !a->link)
        a->lease.due_ms = now_ms;
    a->link = up;
    a->away_run = 0;
    if (!up)
        lost_contact(a, why != NULL ? why : "");
    weir_coordinator_agent_tick(a, now_ms);
}

struct weir_coordinator_look weir_coordinator_agent_look(const struct weir_coordinator_agent *a, uint64_t now_ms)
{
    bool leads = weir_leader_lease_leads(&a->lease, now_ms);
    return (struct weir_coordinator_look){
        .leads = leads,
        .contact = a->contact,
        .open = a->lead_request != 0 || a->resign_request != 0 || a->publish_request != 0,
        .token = leads ? a->lease.token : 0,
        .leader = a->leader,
        .members = &a->members,
        .map = a->map,
    };
}
