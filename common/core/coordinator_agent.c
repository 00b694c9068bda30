#include "core/coordinator_agent.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/coordinator_agent_inner.h"

/* As the nodes' agent judges a store, and spaces its questions. */
#define AWAY_RUN              2u
#define MEMBERS_MS_MIN        100u
#define MEMBERS_MS_PER_MEMBER 4u
#define NEVER                 UINT64_MAX

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
    a->load_moves = c->load_moves;
    a->shard_count = c->shard_count;
    a->lease.lease_ms = c->lease_ms;
    a->members.failover_ms = c->failover_timeout_ms;
    if (a->history != NULL)
        weir_coordinator_history_set(a->history, &c->history);
    return 0;
}

static uint64_t send_for_history(void *arg, uint64_t now_ms, struct weir_coord_request *request)
{
    return weir_coordinator_send(arg, now_ms, request);
}

static void advised(void *arg, const struct weir_hints *h)
{
    struct weir_coordinator_agent *a = arg;
    const struct weir_coordinator_action action = {.note = {WEIR_COORDINATOR_ADVISED, "", h->reason, 0, 0, h}};
    a->act(a->arg, &action);
}

int weir_coordinator_agent_new(struct weir_coordinator_agent **out, const struct weir_coordinator_agent_config *c,
                               weir_coordinator_act_cb act, void *arg, uint64_t now_ms, struct weir_err *err)
{
    *out = NULL;
    struct weir_coordinator_agent *a = calloc(1, sizeof *a);
    if (a == NULL)
        return weir_err_set(err, WEIR_ENOMEM, "the coordinator: out of memory");
    const struct weir_coordinator_history_ports ports = {.arg = a, .send = send_for_history, .advised = advised};
    int code = weir_coordinator_agent_set(a, c, err);
    if (code == 0)
        code = weir_coordinator_history_new(&a->history, a->id, &c->history, &ports, err);
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
    weir_coordinator_history_free(&(*a)->history);
    free(*a);
    *a = NULL;
}

/* -- what comes out -- */

uint64_t weir_coordinator_send(struct weir_coordinator_agent *a, uint64_t now_ms, struct weir_coord_request *request)
{
    struct weir_coordinator_action action = {.send = request};
    if (!a->link)
        return 0;
    request->id = ++a->request_last;
    request->sent_ms = now_ms;
    a->act(a->arg, &action);
    return request->id;
}

void weir_coordinator_note(struct weir_coordinator_agent *a, enum weir_coordinator_note kind, const char *node,
                           const char *why, uint64_t epoch, uint32_t moves)
{
    struct weir_coordinator_action action = {.note = {kind, node, why, epoch, moves, NULL}};
    a->act(a->arg, &action);
}

/* -- the lead -- */

void weir_coordinator_led(struct weir_coordinator_agent *a, uint64_t now_ms, enum weir_leader_change change,
                          const char *why)
{
    if (change == WEIR_LEADER_LOST) {
        a->members_fresh = a->members_wanted = false;
        a->leader[0] = '\0';
        weir_coordinator_history_lead(a->history, now_ms, 0);
        weir_coordinator_note(a, WEIR_COORDINATOR_FOLLOWS, "", why, 0, 0);
    }
    if (change != WEIR_LEADER_GAINED)
        return;
    weir_members_unsure(&a->members, now_ms);
    a->members.version = 0;
    weir_coordinator_forget_loads(a);
    a->asked = a->answers = false; /* of another lead */
    weir_coordinator_history_lead(a->history, now_ms, a->lease.token);
    a->map_wanted = true; /* somebody else may have published one meanwhile */
    (void)snprintf(a->leader, sizeof a->leader, "%s", a->id);
    weir_coordinator_note(a, WEIR_COORDINATOR_LEADS, "", "", 0, 0);
}

static void ask_lead(struct weir_coordinator_agent *a, uint64_t now_ms)
{
    struct weir_coord_request request = {.op = WEIR_COORD_LEAD};
    if (!a->link || a->resigned || !weir_leader_lease_ask(&a->lease, now_ms))
        return;
    request.lead = (struct weir_coord_lead){.id = a->id, .lease_ms = a->lease.lease_ms, .token = a->lease.token};
    a->lead_request = weir_coordinator_send(a, now_ms, &request);
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
    a->resign_request = weir_coordinator_send(a, now_ms, &request);
    weir_coordinator_led(a, now_ms, weir_leader_lease_refused(&a->lease, now_ms, 0), "resigned");
}

void weir_coordinator_take_epochs(struct weir_coordinator_agent *a, uint64_t now_ms,
                                  const struct weir_coord_lead_reply *r)
{
    if (r->map_epoch < a->stored_epoch) {
        weir_members_unsure(&a->members, now_ms);
        weir_coordinator_note(a, WEIR_COORDINATOR_STORE_ANEW, "", "", 0, 0);
    }
    a->stored_epoch = r->map_epoch;
    a->highest_epoch = r->map_epoch > a->highest_epoch ? r->map_epoch : a->highest_epoch;
    a->highest_epoch = r->epoch_seen > a->highest_epoch ? r->epoch_seen : a->highest_epoch;
    a->map_wanted = a->map_wanted || (r->map_epoch > 0 && (a->map == NULL || a->map->epoch < r->map_epoch));
}

static void stand_by(struct weir_coordinator_agent *a, const char *leader)
{
    if (leader[0] != '\0' && strcmp(leader, a->leader) != 0)
        weir_coordinator_note(a, WEIR_COORDINATOR_STANDS_BY, leader, "", 0, 0);
    (void)snprintf(a->leader, sizeof a->leader, "%s", leader);
}

static void lead_reply(struct weir_coordinator_agent *a, uint64_t now_ms, const struct weir_coord_reply *r)
{
    if (r->id != a->lead_request)
        return;
    a->lead_request = 0;
    if (r->word == WEIR_COORD_OK && !a->resigned) {
        weir_coordinator_led(a, now_ms, weir_leader_lease_granted(&a->lease, now_ms, r->sent_ms, r->lead.led.token),
                             "the lease ran out");
        (void)weir_members_clock(&a->members, r->sent_ms, now_ms, r->now_us);
        weir_coordinator_take_epochs(a, now_ms, &r->lead);
        a->members_wanted = true;
    } else if (r->word == WEIR_COORD_STALE) {
        weir_coordinator_led(a, now_ms, weir_leader_lease_refused(&a->lease, now_ms, r->lead.led.left_ms),
                             "somebody else leads");
        stand_by(a, r->lead.led.leader != NULL ? r->lead.led.leader : "");
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
    struct weir_coordinator_agent *a = arg;
    const char *why = what == WEIR_MEMBER_LOST && !a->failover ? WEIR_MEMBER_KEEPS : "";
    weir_coordinator_note(a, notes[what], m->record.id, why, 0, 0);
}

static void ask(struct weir_coordinator_agent *a, uint64_t now_ms)
{
    struct weir_coord_request members = {.op = WEIR_COORD_MEMBERS}, map = {.op = WEIR_COORD_MAP};
    if (!a->link || !weir_leader_lease_leads(&a->lease, now_ms))
        return;
    if (a->map_wanted && a->map_request == 0) {
        a->map_wanted = false;
        a->map_request = weir_coordinator_send(a, now_ms, &map);
    }
    if (a->members_wanted && a->members_request == 0 && a->members_due_ms <= now_ms) {
        uint64_t apart = (uint64_t)a->members.count * MEMBERS_MS_PER_MEMBER;
        a->members_wanted = false;
        a->members_due_ms = now_ms + (apart > MEMBERS_MS_MIN ? apart : MEMBERS_MS_MIN);
        a->members_request = weir_coordinator_send(a, now_ms, &members);
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
    weir_coordinator_take_loads(a, now_ms);
}

/* -- events -- */

/* Nodes that serve, and mean to go on. */
static uint32_t serving(const struct weir_coordinator_agent *a)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < a->members.count; i++)
        count += a->members.at[i].alive && a->members.at[i].record.state == WEIR_NODE_ACTIVE;
    return count;
}

void weir_coordinator_agent_tick(struct weir_coordinator_agent *a, uint64_t now_ms)
{
    weir_coordinator_led(a, now_ms, weir_leader_lease_tick(&a->lease, now_ms), "the lease ran out");
    ask_lead(a, now_ms);
    ask(a, now_ms);
    weir_coordinator_decide(a, now_ms);
    if (weir_leader_lease_leads(&a->lease, now_ms) && a->members.clock_known)
        weir_coordinator_history_tick(a->history, now_ms, a->members.clock_offset_ms, serving(a),
                                      weir_members_sure(&a->members, now_ms));
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
    if (a->link && a->lease.held && a->members.clock_known && weir_coordinator_history_deadline_ms(a->history) < first)
        first = weir_coordinator_history_deadline_ms(a->history);
    return first;
}

/* Of a store that was never there, too: once, until it is. */
static void lost_contact(struct weir_coordinator_agent *a, const char *why)
{
    if (a->contact || !a->contact_told)
        weir_coordinator_note(a, WEIR_COORDINATOR_CONTACT_LOST, "", why, 0, 0);
    a->contact = false;
    a->contact_told = true;
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
    if (a->contact_told)
        weir_coordinator_note(a, WEIR_COORDINATOR_CONTACT_BACK, "", "", 0, 0);
    a->contact_told = true;
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
        weir_coordinator_map_reply(a, r);
        break;
    case WEIR_COORD_PUBLISH:
        weir_coordinator_publish_reply(a, now_ms, r);
        break;
    case WEIR_COORD_RESIGN:
        a->resign_request = r->id == a->resign_request ? 0 : a->resign_request;
        break;
    case WEIR_COORD_ADVICE:
    case WEIR_COORD_SERIES:
    case WEIR_COORD_LOADS:
    case WEIR_COORD_FOLD:
    case WEIR_COORD_ADVISE:
        if (!weir_coordinator_history_reply(a->history, now_ms, r))
            a->lease.due_ms = now_ms;
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
    if (p->kind == WEIR_COORD_PUSH_EVENT && weir_leader_lease_leads(&a->lease, now_ms) &&
        weir_coordinator_is_asked(p->event))
        a->asked = a->members_wanted = true;
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
        .history = weir_coordinator_history_look(a->history),
    };
}
