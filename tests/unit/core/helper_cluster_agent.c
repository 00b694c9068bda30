#include "helper_cluster_agent.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

struct agent_fixture f;
static bool log_read;

static void log_word(const char *word, const char *of)
{
    if (log_read)
        f.log[0] = '\0';
    log_read = false;
    size_t len = strlen(f.log);
    (void)snprintf(f.log + len, sizeof f.log - len, "%s%s%s%s", len > 0 ? " " : "", word, of[0] != '\0' ? ":" : "", of);
}

const char *agent_log(void)
{
    if (log_read)
        f.log[0] = '\0';
    log_read = true;
    return f.log;
}

static void keep(const struct weir_coord_request *r)
{
    ck_assert_uint_lt(f.sent_count, 64);
    f.sent[f.sent_count++] = *r;
    if (r->op == WEIR_COORD_BEAT)
        f.beat_self = *r->beat.self;
    if (r->op == WEIR_COORD_EVENT)
        (void)snprintf(f.event, sizeof f.event, "%.*s", WEIR_FMT(r->event));
    if (r->op == WEIR_COORD_APPEND)
        (void)snprintf(f.appended, sizeof f.appended, "%.*s", WEIR_FMT(r->append));
    if (r->op == WEIR_COORD_ADVICE)
        f.whole = r->advice_whole;
}

static void act(void *arg, const struct weir_cluster_action *a)
{
    (void)arg;
    switch (a->what) {
    case WEIR_CLUSTER_SEND:
        keep(a->request);
        return;
    case WEIR_CLUSTER_SIGHT:
        log_word("sight", "");
        return;
    case WEIR_CLUSTER_ALONE:
        log_word("alone", "");
        return;
    case WEIR_CLUSTER_LEARN:
        log_word("learn", a->circuit.endpoint);
        break;
    case WEIR_CLUSTER_GRANTED:
        log_word("granted", a->granted.endpoint);
        break;
    case WEIR_CLUSTER_TOKENS:
        log_word("tokens", a->tokens.provider);
        break;
    case WEIR_CLUSTER_CHECKED:
        log_word("checked", a->checked.endpoint);
        break;
    case WEIR_CLUSTER_HEARD:
        log_word("heard", "");
        break;
    case WEIR_CLUSTER_ADVICE:
        (void)snprintf(f.hints, sizeof f.hints, "%.*s", WEIR_FMT(a->advice->hints));
        log_word("advice", f.hints);
        break;
    case WEIR_CLUSTER_NOTE:
        log_word(weir_cluster_note_text(a->note.kind), a->note.node);
        return;
    }
    f.last = *a;
}

static uint32_t take_reports(void *arg, uint64_t now_ms, enum weir_cluster_haste least,
                             struct weir_coord_report_item *items, uint32_t max)
{
    uint32_t n = 0, left = 0;
    (void)arg;
    (void)now_ms;
    for (uint32_t i = 0; i < f.report_count; i++)
        if (n < max && f.report_haste[i] >= least) {
            items[n++] = f.reports[i];
        } else {
            f.report_haste[left] = f.report_haste[i];
            f.reports[left++] = f.reports[i];
        }
    f.report_count = left;
    return n;
}

static uint32_t take_tokens(void *arg, uint64_t now_ms, struct weir_coord_tokens_item *items, uint32_t max)
{
    uint32_t n = f.token_count < max ? f.token_count : max;
    (void)arg;
    (void)now_ms;
    memcpy(items, f.tokens, n * sizeof *items);
    memmove(f.tokens, f.tokens + n, (f.token_count - n) * sizeof *items);
    f.token_count -= n;
    return n;
}

static struct weir_str take_load(void *arg, uint64_t now_ms, uint64_t slot)
{
    (void)arg;
    (void)now_ms;
    f.load_slot = slot;
    return weir_str_of(f.load);
}

void agent_setup(void)
{
    agent_setup_with(0, false);
}

void agent_setup_with(uint64_t load_slot_ms, bool follow_hints)
{
    struct weir_err err;
    struct weir_cluster_ports ports = {
        .act = act, .take_reports = take_reports, .take_tokens = take_tokens, .take_load = take_load};
    memset(&f, 0, sizeof f);
    log_read = false;
    f.now_ms = START;
    f.store = (struct weir_coord_beat_reply){
        .incarnation = 7, .members_version = 1, .map_leader = "", .secret = "", .led.leader = ""};
    f.map = (struct weir_coord_map_reply){.leader = ""};
    f.config = (struct weir_cluster_agent_config){.id = "b",
                                                  .advertise = "10.0.0.2:9000",
                                                  .version = "0.1.0",
                                                  .instance = 4711,
                                                  .weight = 1,
                                                  .failover_timeout_ms = FAILOVER,
                                                  .answer_ms = 250,
                                                  .failover = true,
                                                  .shard_count = 64,
                                                  .secret = "proposed",
                                                  .secret_shared = true,
                                                  .load_slot_ms = load_slot_ms,
                                                  .follow_hints = follow_hints};
    ck_assert_int_eq(weir_cluster_agent_new(&f.agent, &f.config, &ports, START, &err), 0);
    weir_cluster_agent_contact(f.agent, START, true, NULL);
    ck_assert_str_eq(agent_log(), "sight");
}

void agent_teardown(void)
{
    weir_cluster_agent_free(&f.agent);
    ck_assert_ptr_null(f.agent);
}

struct weir_coord_member *agent_member(const char *id)
{
    ck_assert_uint_lt(f.member_count, 16);
    struct weir_coord_member *m = &f.members[f.member_count++];
    *m = (struct weir_coord_member){.instance = 1, .state = WEIR_NODE_ACTIVE, .weight = 1};
    (void)snprintf(m->id, sizeof m->id, "%s", id);
    (void)snprintf(m->advertise, sizeof m->advertise, "%s:9000", id);
    f.store.members_version++;
    return m;
}

void agent_run(uint64_t ms)
{
    uint64_t until_ms = f.now_ms + ms, at;
    while ((at = weir_cluster_agent_deadline_ms(f.agent)) <= until_ms) {
        f.now_ms = at > f.now_ms ? at : f.now_ms;
        weir_cluster_agent_tick(f.agent, f.now_ms);
        ck_assert_uint_gt(weir_cluster_agent_deadline_ms(f.agent), f.now_ms);
    }
    f.now_ms = until_ms;
    weir_cluster_agent_tick(f.agent, f.now_ms);
}

uint32_t agent_open(enum weir_coord_op op)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < f.sent_count; i++)
        n += f.sent[i].op == op;
    return n;
}

struct weir_coord_request agent_taken(enum weir_coord_op op)
{
    for (uint32_t i = 0; i < f.sent_count; i++)
        if (f.sent[i].op == op) {
            struct weir_coord_request r = f.sent[i];
            f.sent_count--;
            memmove(f.sent + i, f.sent + i + 1, (f.sent_count - i) * sizeof *f.sent);
            return r;
        }
    ck_abort_msg("no %s was sent", weir_coord_op_text(op));
}

static void reply(const struct weir_coord_request *to, struct weir_coord_reply *r)
{
    r->op = to->op;
    r->id = to->id;
    r->sent_ms = to->sent_ms;
    r->now_us = (STORE_MS + f.now_ms - START) * 1000;
    weir_cluster_agent_reply(f.agent, f.now_ms, r);
}

void agent_answer(enum weir_coord_op op)
{
    struct weir_coord_request to = agent_taken(op);
    struct weir_coord_reply r = {.word = WEIR_COORD_OK};
    if (op == WEIR_COORD_BEAT) {
        r.beat = f.store;
        for (uint32_t i = 0; i < f.member_count; i++)
            r.beat.silent += f.members[i].age_ms >= FAILOVER;
        r.beat.members = f.member_count;
    } else if (op == WEIR_COORD_MEMBERS) {
        r.members = (struct weir_coord_members_reply){f.store.members_version, f.member_count, f.members};
    } else if (op == WEIR_COORD_MAP) {
        r.map = f.map;
    } else if (op == WEIR_COORD_CIRCUITS) {
        r.circuits.version = f.store.circuits_version;
    } else if (op == WEIR_COORD_REPORT) {
        r.report.count = to.report.count;
    } else if (op == WEIR_COORD_EVENTS) {
        r.events = (struct weir_coord_events_reply){f.event_count, f.events};
    } else if (op == WEIR_COORD_ADVICE) {
        r.advice = f.advice;
    }
    reply(&to, &r);
}

void agent_fail(enum weir_coord_op op, enum weir_coord_word word)
{
    struct weir_coord_request to = agent_taken(op);
    struct weir_coord_reply r = {.word = word, .why = "so it is"};
    reply(&to, &r);
}

static bool answer_one(void)
{
    static const enum weir_coord_op ops[] = {WEIR_COORD_BEAT,     WEIR_COORD_MEMBERS, WEIR_COORD_MAP,
                                             WEIR_COORD_CIRCUITS, WEIR_COORD_EVENT,   WEIR_COORD_EVENTS};
    for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++)
        if (agent_open(ops[i]) > 0) {
            agent_answer(ops[i]);
            return true;
        }
    return false;
}

void agent_serve(uint64_t ms)
{
    uint64_t until_ms = f.now_ms + ms;
    for (;;) {
        while (answer_one())
            ;
        uint64_t at = weir_cluster_agent_deadline_ms(f.agent);
        if (at > until_ms)
            break;
        f.now_ms = at > f.now_ms ? at : f.now_ms;
        weir_cluster_agent_tick(f.agent, f.now_ms);
    }
    f.now_ms = until_ms;
}

void agent_join(void)
{
    agent_serve(FAILOVER + BEAT);
    ck_assert_int_eq(f.beat_self.state, WEIR_NODE_ACTIVE);
    (void)agent_log();
}

void agent_publish(uint64_t epoch, const char *leader, const char *text)
{
    f.map = (struct weir_coord_map_reply){.epoch = epoch, .leader = leader, .map = weir_str_of(text)};
    f.store.map_epoch = epoch;
    f.store.map_leader = leader;
}

const char *agent_owner(uint32_t shard)
{
    const struct weir_cluster_sight *s = weir_cluster_agent_sight(f.agent);
    ck_assert_uint_lt(shard, s->shard_count);
    ck_assert_uint_lt(s->owner[shard], s->peer_count);
    return s->peers[s->owner[shard]].id;
}
