#include "core/cluster_agent.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/cluster_agent_inner.h"

const char *weir_cluster_note_text(enum weir_cluster_note n)
{
#define TEXT(id, text) text,
    static const char *const texts[] = {WEIR_CLUSTER_NOTE_MAP(TEXT)};
#undef TEXT
    assert(n < WEIR_CLUSTER_NOTES);
    return texts[n];
}

/* -- life -- */

static void copy_text(char *to, size_t size, const char *from)
{
    (void)snprintf(to, size, "%s", from != NULL ? from : "");
}

static int set(struct weir_cluster_agent *a, const struct weir_cluster_agent_config *c, struct weir_err *err)
{
    if (!weir_coord_id_valid(weir_str_of(c->id)))
        return weir_err_set(err, WEIR_EINVAL, "\"%s\" cannot be a node's id", c->id);
    if (c->shard_count == 0 || c->shard_count > WEIR_SHARDS_MAX || c->failover_timeout_ms < 3)
        return weir_err_set(err, WEIR_EINVAL, "shard_count or failover_timeout is out of range");
    copy_text(a->self.id, sizeof a->self.id, c->id);
    copy_text(a->self.advertise, sizeof a->self.advertise, c->advertise);
    copy_text(a->self.version, sizeof a->self.version, c->version);
    a->self.instance = c->instance;
    a->self.weight = c->weight;
    a->failover_ms = a->members.failover_ms = c->failover_timeout_ms;
    a->beat_ms = a->failover_ms / 3 < AGENT_BEAT_MS_MAX ? a->failover_ms / 3 : AGENT_BEAT_MS_MAX;
    a->answer_ms = c->answer_ms;
    a->failover = c->failover;
    a->shard_count = c->shard_count;
    /* A secret that the store has is kept: a new proposal would cut this node off from its peers. */
    if (!c->secret_shared || !a->secret_shared || a->secret[0] == '\0')
        copy_text(a->secret, sizeof a->secret, c->secret);
    a->secret_shared = c->secret_shared;
    if (a->load_slot_ms != c->load_slot_ms)
        agent_load_reset(a);
    a->load_slot_ms = c->load_slot_ms;
    if (c->follow_hints && !a->follow_hints)
        a->advice_seen = 0;
    a->follow_hints = c->follow_hints;
    a->sight_stale = true;
    return 0;
}

int weir_cluster_agent_new(struct weir_cluster_agent **out, const struct weir_cluster_agent_config *c,
                           const struct weir_cluster_ports *ports, uint64_t now_ms, struct weir_err *err)
{
    *out = NULL;
    struct weir_cluster_agent *a = calloc(1, sizeof *a);
    if (a == NULL)
        return weir_err_set(err, WEIR_ENOMEM, "the cluster's agent: out of memory");
    a->ports = *ports;
    weir_members_init(&a->members, c->failover_timeout_ms, now_ms);
    weir_cluster_sight_init(&a->sight);
    a->self.state = WEIR_NODE_JOINING;
    a->beat_due_ms = now_ms;
    a->soon_due_ms = a->calm_due_ms = a->urgent_due_ms = a->tokens_due_ms = a->advice_due_ms = AGENT_NEVER;
    int code = set(a, c, err);
    if (code == 0 && !agent_sight_make(a, &(bool){false}))
        code = weir_err_set(err, WEIR_ENOMEM, "the cluster's agent: out of memory");
    if (code != 0) {
        weir_cluster_agent_free(&a);
        return code;
    }
    *out = a;
    return 0;
}

void weir_cluster_agent_free(struct weir_cluster_agent **a)
{
    if (*a == NULL)
        return;
    agent_load_reset(*a);
    weir_members_close(&(*a)->members);
    weir_shard_map_free(&(*a)->map);
    weir_cluster_sight_close(&(*a)->sight);
    free(*a);
    *a = NULL;
}

int weir_cluster_agent_set(struct weir_cluster_agent *a, const struct weir_cluster_agent_config *c, uint64_t now_ms,
                           struct weir_err *err)
{
    int code = set(a, c, err);
    if (code != 0)
        return code;
    a->beat_due_ms = now_ms; /* the others shall hear of a new weight */
    weir_cluster_agent_tick(a, now_ms);
    return 0;
}

/* -- what comes out -- */

void agent_act(struct weir_cluster_agent *a, const struct weir_cluster_action *action)
{
    a->ports.act(a->ports.arg, action);
}

bool agent_send(struct weir_cluster_agent *a, uint64_t now_ms, struct weir_coord_request *request)
{
    if (!a->link || a->leaving == AGENT_LEFT)
        return false;
    request->id = ++a->request_last;
    request->sent_ms = now_ms;
    a->counts.requests[request->op]++;
    agent_act(a, &(struct weir_cluster_action){.what = WEIR_CLUSTER_SEND, .request = request});
    return true;
}

void agent_note(struct weir_cluster_agent *a, enum weir_cluster_note kind, const char *node, const char *why)
{
    struct weir_cluster_action action = {.what = WEIR_CLUSTER_NOTE};
    action.note.kind = kind;
    action.note.node = node;
    action.note.why = why;
    action.note.epoch = a->map != NULL ? a->map->epoch : 0;
    action.note.word = a->refused;
    agent_act(a, &action);
}

/* -- events -- */

void weir_cluster_agent_tick(struct weir_cluster_agent *a, uint64_t now_ms)
{
    agent_beat_tick(a, now_ms);
    agent_map_tick(a, now_ms);
    agent_circuits_tick(a, now_ms);
    agent_tokens_tick(a, now_ms);
    agent_load_tick(a, now_ms);
    agent_advice_tick(a, now_ms);
    agent_sight_settle(a);
    agent_leave_tick(a, now_ms);
}

uint64_t weir_cluster_agent_deadline_ms(const struct weir_cluster_agent *a)
{
    uint64_t of_each[] = {agent_beat_deadline(a), agent_circuits_deadline(a), agent_tokens_deadline(a),
                          agent_load_deadline(a), agent_advice_deadline(a),   agent_leave_deadline(a)};
    uint64_t first = of_each[0];
    for (size_t i = 1; i < sizeof of_each / sizeof of_each[0]; i++)
        first = of_each[i] < first ? of_each[i] : first;
    return first;
}

/* Whether the store answers at all: one that is connected and silent is as good as gone. */
static void judge_contact(struct weir_cluster_agent *a, uint64_t now_ms, const struct weir_coord_reply *r)
{
    if (r->word == WEIR_COORD_AWAY || r->word == WEIR_COORD_REFUSED) {
        a->counts.away += r->word == WEIR_COORD_AWAY;
        a->counts.refused += r->word == WEIR_COORD_REFUSED;
        if (++a->away_run >= AGENT_AWAY_RUN && a->contact)
            agent_contact_lost(a, now_ms, r->why != NULL ? r->why : "");
    } else if (r->word == WEIR_COORD_OK) {
        a->away_run = 0;
    }
}

void weir_cluster_agent_reply(struct weir_cluster_agent *a, uint64_t now_ms, const struct weir_coord_reply *r)
{
    judge_contact(a, now_ms, r);
    switch (r->op) {
    case WEIR_COORD_BEAT:
        agent_beat_reply(a, now_ms, r);
        break;
    case WEIR_COORD_MEMBERS:
        agent_members_reply(a, now_ms, r);
        break;
    case WEIR_COORD_MAP:
        agent_map_reply(a, now_ms, r);
        break;
    case WEIR_COORD_REPORT:
        agent_report_reply(a, now_ms, r);
        break;
    case WEIR_COORD_CIRCUITS:
        agent_circuits_reply(a, r);
        break;
    case WEIR_COORD_TOKENS:
        agent_tokens_reply(a, r);
        break;
    case WEIR_COORD_LEAVE:
        agent_leave_reply(a, r);
        break;
    case WEIR_COORD_EVENTS:
        agent_events_reply(a, r);
        break;
    case WEIR_COORD_APPEND:
        agent_load_reply(a, now_ms, r);
        break;
    case WEIR_COORD_ADVICE:
        agent_advice_reply(a, now_ms, r);
        break;
    default:
        break; /* what was told to all */
    }
    weir_cluster_agent_tick(a, now_ms);
}

void weir_cluster_agent_push(struct weir_cluster_agent *a, uint64_t now_ms, const struct weir_coord_push *p)
{
    switch (p->kind) {
    case WEIR_COORD_PUSH_MEMBERS:
        a->members_wanted = a->members_wanted || p->members_version != a->members.version;
        break;
    case WEIR_COORD_PUSH_MAP:
        a->map_wanted = a->map_wanted || a->map == NULL || p->map_epoch >= a->map->epoch;
        break;
    case WEIR_COORD_PUSH_CIRCUIT:
        agent_circuit_push(a, p);
        break;
    case WEIR_COORD_PUSH_CHECKED:
        if (strcmp(p->checked.node, a->self.id) != 0)
            agent_act(a, &(struct weir_cluster_action){.what = WEIR_CLUSTER_CHECKED, .checked = p->checked});
        break;
    case WEIR_COORD_PUSH_EVENT:
        agent_act(a, &(struct weir_cluster_action){.what = WEIR_CLUSTER_HEARD, .pushed = true, .event = p->event});
        break;
    case WEIR_COORD_PUSH_HINTS:
        agent_advice_seen(a, now_ms, p->advice_version);
        break;
    case WEIR_COORD_PUSH_GAP:
        a->events_wanted = true;
        break;
    case WEIR_COORD_PUSH_KINDS:
        break;
    }
    weir_cluster_agent_tick(a, now_ms);
}

void weir_cluster_agent_contact(struct weir_cluster_agent *a, uint64_t now_ms, bool up, const char *why)
{
    if (up && !a->link)
        a->beat_due_ms = now_ms;
    a->link = up;
    a->away_run = 0;
    if (!up && a->contact)
        agent_contact_lost(a, now_ms, why != NULL ? why : "");
    weir_cluster_agent_tick(a, now_ms);
}

void weir_cluster_agent_load(struct weir_cluster_agent *a, const struct weir_coord_load *load)
{
    a->self.load = *load;
}

void weir_cluster_agent_checked(struct weir_cluster_agent *a, uint64_t now_ms, const char *endpoint, bool passed,
                                const char *why)
{
    struct weir_coord_request request = {.op = WEIR_COORD_CHECKED};
    request.checked = (struct weir_coord_checked){endpoint, a->self.id, passed, why};
    if (a->contact)
        (void)agent_send(a, now_ms, &request);
}

const struct weir_shard_map *weir_cluster_agent_map(const struct weir_cluster_agent *a)
{
    return a->map;
}

const struct weir_cluster_sight *weir_cluster_agent_sight(const struct weir_cluster_agent *a)
{
    return &a->sight;
}

const struct weir_cluster_agent_counts *weir_cluster_agent_counts(const struct weir_cluster_agent *a)
{
    return &a->counts;
}
