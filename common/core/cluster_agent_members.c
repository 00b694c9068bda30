/* Beats, who is there, who lives. */
#include <stdio.h>

#include "core/cluster_agent_inner.h"

static bool may_ask(const struct weir_cluster_agent *a)
{
    return a->link && a->contact && a->leaving < AGENT_LEAVES;
}

/* -- who cannot be reached from here -- */

static struct agent_suspect *find_suspect(const struct weir_cluster_agent *a, const char *id)
{
    for (uint32_t i = 0; i < a->suspect_count; i++)
        if (strcmp(a->suspects[i].id, id) == 0)
            return (struct agent_suspect *)&a->suspects[i];
    return NULL;
}

bool agent_is_suspect(const struct weir_cluster_agent *a, const char *id)
{
    return find_suspect(a, id) != NULL;
}

static void trust(struct weir_cluster_agent *a, const char *id)
{
    struct agent_suspect *s = find_suspect(a, id);
    if (s == NULL)
        return;
    *s = a->suspects[--a->suspect_count];
    a->sight_stale = true;
}

static void suspect(struct weir_cluster_agent *a, uint64_t now_ms, const char *id)
{
    struct agent_suspect *s = find_suspect(a, id);
    if (s != NULL) {
        s->until_ms = now_ms + a->failover_ms;
        return;
    }
    if (a->suspect_count == AGENT_SUSPECTS_MAX) /* the rest will be found out again, each by a request of its own */
        return;
    s = &a->suspects[a->suspect_count++];
    (void)snprintf(s->id, sizeof s->id, "%s", id);
    s->until_ms = now_ms + a->failover_ms;
    a->sight_stale = true;
    agent_note(a, WEIR_CLUSTER_PEER_SUSPECT, id, "");
}

void weir_cluster_agent_peer(struct weir_cluster_agent *a, uint64_t now_ms, const char *id, bool reachable)
{
    if (strcmp(id, a->self.id) == 0 || weir_members_find(&a->members, id) == NULL)
        return;
    weir_members_evidence(&a->members, id, !reachable);
    if (reachable)
        trust(a, id);
    else
        suspect(a, now_ms, id);
    weir_cluster_agent_tick(a, now_ms);
}

static void forget_suspicions(struct weir_cluster_agent *a, uint64_t now_ms)
{
    for (uint32_t i = a->suspect_count; i-- > 0;)
        if (a->suspects[i].until_ms <= now_ms)
            trust(a, a->suspects[i].id);
}

/* -- contact with the store -- */

static void alone(struct weir_cluster_agent *a)
{
    agent_act(a, &(struct weir_cluster_action){.what = WEIR_CLUSTER_ALONE});
}

void agent_contact_lost(struct weir_cluster_agent *a, uint64_t now_ms, const char *why)
{
    a->contact = false;
    a->sight_stale = true;
    a->beat_due_ms = a->beat_due_ms < now_ms + a->beat_ms ? a->beat_due_ms : now_ms + a->beat_ms;
    agent_note(a, WEIR_CLUSTER_CONTACT_LOST, "", why);
    alone(a);
}

static void contact_begins(struct weir_cluster_agent *a, uint64_t now_ms, uint64_t store_us)
{
    a->contact = a->members_wanted = a->events_wanted = a->sight_stale = true;
    a->members_due_ms = a->tokens_due_ms = now_ms;
    weir_members_unsure(&a->members, now_ms);
    agent_circuits_begin(a, now_ms, store_us);
    if (a->joined)
        agent_note(a, WEIR_CLUSTER_CONTACT_BACK, "", "");
}

static void contents_lost(struct weir_cluster_agent *a, uint64_t now_ms, uint64_t store_us)
{
    agent_note(a, WEIR_CLUSTER_STORE_ANEW, "", "");
    alone(a);
    a->members.version = 0;
    a->members_wanted = a->sight_stale = true;
    a->tokens_due_ms = now_ms;
    a->advice_seen = 0; /* its versions begin anew: one with the number that was seen last is another one */
    weir_members_unsure(&a->members, now_ms);
    agent_circuits_begin(a, now_ms, store_us);
}

/* -- beats -- */

/* Takes its place once it knows the others and the map: from then on shards may be this node's. */
void agent_maybe_join(struct weir_cluster_agent *a, uint64_t now_ms)
{
    if (a->joined || a->members.version == 0 || !a->map_known)
        return;
    a->joined = a->sight_stale = true;
    if (a->self.state == WEIR_NODE_JOINING) {
        a->self.state = WEIR_NODE_ACTIVE;
        a->beat_due_ms = now_ms;
    }
    agent_note(a, WEIR_CLUSTER_JOINED, a->self.id, "");
    agent_tell_all(a, now_ms, WEIR_CLUSTER_PEER_JOINED, a->self.id);
}

static void send_beat(struct weir_cluster_agent *a, uint64_t now_ms)
{
    struct weir_coord_request request = {.op = WEIR_COORD_BEAT};
    request.beat.self = &a->self;
    request.beat.lease_ms = a->failover_ms;
    request.beat.secret = a->secret_shared && a->secret[0] != '\0' ? a->secret : NULL;
    a->self.epoch_seen = a->map != NULL ? a->map->epoch : 0;
    a->beat_due_ms = now_ms + a->beat_ms;
    a->beat_request = agent_send(a, now_ms, &request) ? request.id : 0;
}

static void send_members(struct weir_cluster_agent *a, uint64_t now_ms)
{
    struct weir_coord_request request = {.op = WEIR_COORD_MEMBERS};
    uint64_t apart = (uint64_t)a->members.count * AGENT_MEMBERS_MS_PER_MEMBER;
    a->members_wanted = false;
    a->members_asked_ms = now_ms;
    a->members_due_ms = now_ms + (apart > AGENT_MEMBERS_MS_MIN ? apart : AGENT_MEMBERS_MS_MIN);
    a->members_request = agent_send(a, now_ms, &request) ? request.id : 0;
}

bool weir_cluster_agent_look(struct weir_cluster_agent *a, uint64_t now_ms)
{
    if (!may_ask(a))
        return false;
    if (a->members_request == 0 && now_ms >= a->members_asked_ms + AGENT_LOOK_MS) {
        a->members_wanted = true;
        weir_cluster_agent_tick(a, now_ms);
    }
    return a->members_request != 0;
}

void agent_beat_tick(struct weir_cluster_agent *a, uint64_t now_ms)
{
    forget_suspicions(a, now_ms);
    if (a->link && a->beat_request == 0 && a->beat_due_ms <= now_ms && a->leaving < AGENT_LEAVES)
        send_beat(a, now_ms);
    if (may_ask(a) && a->members_wanted && a->members_request == 0 && a->members_due_ms <= now_ms)
        send_members(a, now_ms);
}

uint64_t agent_beat_deadline(const struct weir_cluster_agent *a)
{
    uint64_t first = AGENT_NEVER;
    if (a->link && a->beat_request == 0 && a->leaving < AGENT_LEAVES)
        first = a->beat_due_ms;
    if (may_ask(a) && a->members_wanted && a->members_request == 0 && a->members_due_ms < first)
        first = a->members_due_ms;
    for (uint32_t i = 0; i < a->suspect_count; i++)
        first = a->suspects[i].until_ms < first ? a->suspects[i].until_ms : first;
    return first;
}

static void refused(struct weir_cluster_agent *a, uint64_t now_ms, const struct weir_coord_reply *r)
{
    if (a->contact)
        agent_contact_lost(a, now_ms, r->why != NULL ? r->why : "");
    a->joined = false;
    if (a->refused == r->word)
        return;
    a->refused = r->word;
    agent_note(a, WEIR_CLUSTER_REFUSED, a->self.id, r->why != NULL ? r->why : "");
}

static void take_secret(struct weir_cluster_agent *a, const char *secret)
{
    if (!a->secret_shared || secret[0] == '\0' || strcmp(a->secret, secret) == 0)
        return;
    (void)snprintf(a->secret, sizeof a->secret, "%s", secret);
    a->sight_stale = true;
}

static void take_lead(struct weir_cluster_agent *a, uint64_t now_ms, const struct weir_coord_led *led)
{
    a->lead = (struct weir_cluster_lead){.known = true, .terms = led->token, .until_ms = now_ms + led->left_ms};
    (void)snprintf(a->lead.leader, sizeof a->lead.leader, "%s", led->leader);
}

struct weir_cluster_lead weir_cluster_agent_lead(const struct weir_cluster_agent *a)
{
    return a->contact ? a->lead : (struct weir_cluster_lead){.known = false};
}

static void take_clock(struct weir_cluster_agent *a, uint64_t now_ms, const struct weir_coord_reply *r)
{
    (void)weir_members_clock(&a->members, r->sent_ms, now_ms, r->now_us);
    int64_t moved = a->members.clock_offset_ms - a->sight.store_offset_ms;
    a->sight_stale = a->sight_stale || moved > WEIR_CLUSTER_OFFSET_SLACK_MS || moved < -WEIR_CLUSTER_OFFSET_SLACK_MS;
}

void agent_beat_reply(struct weir_cluster_agent *a, uint64_t now_ms, const struct weir_coord_reply *r)
{
    const struct weir_coord_beat_reply *beat = &r->beat;
    if (r->id != a->beat_request)
        return;
    a->beat_request = 0;
    if (r->word != WEIR_COORD_OK) {
        if (r->word == WEIR_COORD_ID_TAKEN || r->word == WEIR_COORD_SCHEMA_NEWER)
            refused(a, now_ms, r);
        else if (a->contact) /* at once again: is it one answer, or the store? */
            a->beat_due_ms = now_ms;
        return;
    }
    a->refused = WEIR_COORD_OK;
    take_clock(a, now_ms, r);
    take_secret(a, beat->secret);
    take_lead(a, now_ms, &beat->led);
    /* After a failover it may be an older state of the same contents: what is shared is no more what was known. */
    bool back = a->contact && !agent_circuits_seen(a, beat->circuits_version, r->now_us);
    bool other = back || (a->incarnation != 0 && a->incarnation != beat->incarnation);
    a->incarnation = beat->incarnation;
    if (!a->contact)
        contact_begins(a, now_ms, r->now_us);
    if (other)
        contents_lost(a, now_ms, r->now_us);
    if (weir_members_stale(&a->members, now_ms, beat->members_version, beat->silent) ||
        (beat->silent > 0 && weir_members_sure(&a->members, now_ms) &&
         now_ms >= a->members_asked_ms + (uint64_t)a->members.count * AGENT_SILENT_MS_PER_MEMBER))
        a->members_wanted = true;
    agent_map_seen(a, beat->map_epoch, beat->map_leader, r->now_us);
    agent_advice_seen(a, now_ms, beat->advice_version);
    if (a->leaving == AGENT_DRAINS && a->drain_told_ms == 0)
        a->drain_told_ms = r->sent_ms >= a->drain_from_ms ? now_ms : 0;
    agent_maybe_join(a, now_ms);
    agent_events_ask(a, now_ms);
}

/* -- the others -- */

/* One of those who see a member lost or back tells all: the first of the living. */
static bool speaks(const struct weir_cluster_agent *a)
{
    for (uint32_t i = 0; i < a->members.count; i++)
        if (a->members.at[i].alive && strcmp(a->members.at[i].record.id, a->self.id) < 0)
            return false;
    return true;
}

struct change {
    struct weir_cluster_agent *a;
    uint64_t now_ms;
};

static void changed(void *arg, enum weir_member_change what, const struct weir_member *m)
{
    struct change *c = arg;
    const char *id = m->record.id;
    if (strcmp(id, c->a->self.id) == 0)
        return;
    switch (what) {
    case WEIR_MEMBER_CAME:
        agent_note(c->a, WEIR_CLUSTER_PEER_JOINED, id, "");
        break;
    case WEIR_MEMBER_WENT:
        agent_note(c->a, WEIR_CLUSTER_PEER_LEFT, id, "");
        break;
    case WEIR_MEMBER_DRAINS:
        agent_note(c->a, WEIR_CLUSTER_PEER_DRAINS, id, "");
        break;
    case WEIR_MEMBER_LOST:
        agent_note(c->a, WEIR_CLUSTER_PEER_LOST, id, c->a->failover ? "" : WEIR_MEMBER_KEEPS);
        if (speaks(c->a))
            agent_tell_all(c->a, c->now_ms, WEIR_CLUSTER_PEER_LOST, id);
        break;
    case WEIR_MEMBER_BACK:
        trust(c->a, id);
        agent_note(c->a, WEIR_CLUSTER_PEER_BACK, id, "");
        if (speaks(c->a))
            agent_tell_all(c->a, c->now_ms, WEIR_CLUSTER_PEER_BACK, id);
        break;
    }
}

void agent_members_reply(struct weir_cluster_agent *a, uint64_t now_ms, const struct weir_coord_reply *r)
{
    struct weir_err err;
    struct change change = {a, now_ms};
    if (r->id != a->members_request)
        return;
    a->members_request = 0;
    if (r->word != WEIR_COORD_OK || weir_members_take(&a->members, now_ms, &r->members, changed, &change, &err) != 0) {
        a->members_wanted = true;
        return;
    }
    a->sight_stale = true;
    agent_maybe_join(a, now_ms);
}
