/* What the scripts answer, checked. */
#include <stdio.h>
#include <stdlib.h>

#include "store/pairs.h"
#include "store/redis_ask.h"
#include "store/redis_take.h"

/* word, now, why */
#define HEAD 3u
/* What is shown of a server's reason. */
#define REASON_SHOWN_MAX 200

/* -- members -- */

static void take_led(struct weir_taker *t, struct weir_coord_led *l)
{
    l->token = weir_take_u64(t);
    l->leader = weir_take_id(t);
    l->left_ms = weir_take_u64(t);
}

static void take_beat(struct weir_taker *t, struct weir_coord_beat_reply *b)
{
    b->incarnation = weir_take_u64(t);
    b->members_version = weir_take_u64(t);
    b->members = weir_take_u32(t);
    b->silent = weir_take_u32(t);
    b->map_epoch = weir_take_u64(t);
    b->map_leader = weir_take_id(t);
    b->circuits_version = weir_take_u64(t);
    b->secret = weir_take_keep(t, weir_take_str(t, WEIR_PEER_SECRET_MAX));
    b->advice_version = weir_take_u64(t);
    take_led(t, &b->led);
}

static bool read_state(struct weir_str record, enum weir_coord_node_state *out)
{
    struct weir_str text;
    if (!weir_pairs_text(record, "state", &text))
        return false;
    for (int s = WEIR_NODE_JOINING; s <= WEIR_NODE_DRAINING; s++)
        if (weir_str_eq(text, weir_str_of(weir_coord_node_state_text((enum weir_coord_node_state)s)))) {
            *out = (enum weir_coord_node_state)s;
            return true;
        }
    return false;
}

static bool read_member(struct weir_coord_member *m, struct weir_str id, struct weir_str record, struct weir_str load)
{
    *m = (struct weir_coord_member){.state = WEIR_NODE_JOINING};
    return weir_coord_id_valid(id) && weir_word_copy(id, m->id, sizeof m->id) &&
           weir_pairs_u64(record, "instance", WEIR_STORE_NUMBER_MAX, &m->instance) && read_state(record, &m->state) &&
           weir_pairs_u32(record, "weight", &m->weight) &&
           weir_pairs_copy(record, "advertise", m->advertise, sizeof m->advertise) &&
           weir_pairs_copy(record, "version", m->version, sizeof m->version) &&
           weir_pairs_u32(load, "in_flight", &m->load.in_flight) &&
           weir_pairs_u32(load, "connections", &m->load.connections) &&
           weir_pairs_u32(load, "utilization_pct", &m->load.utilization_pct) &&
           weir_pairs_u32(load, "loop_lag_us", &m->load.loop_lag_us) &&
           weir_pairs_u32(load, "requests_per_s", &m->load.requests_per_s) &&
           weir_pairs_u32(load, "errors_per_s", &m->load.errors_per_s) &&
           weir_pairs_u64(load, "epoch_seen", WEIR_STORE_NUMBER_MAX, &m->epoch_seen);
}

static int by_id(const void *a, const void *b)
{
    return strcmp(((const struct weir_coord_member *)a)->id, ((const struct weir_coord_member *)b)->id);
}

static void take_members(struct weir_taker *t, struct weir_coord_members_reply *out)
{
    out->version = weir_take_u64(t);
    struct weir_coord_member *list = weir_take_list(t, 4, WEIR_CLUSTER_NODES_MAX, sizeof *list);
    if (list == NULL)
        return;
    while (t->left > 0 && !t->failed) {
        struct weir_str id = weir_take_str(t, SIZE_MAX);
        uint64_t age_ms = weir_take_u64(t);
        struct weir_str record = weir_take_str(t, SIZE_MAX), load = weir_take_str(t, SIZE_MAX);
        if (t->failed || !read_member(&list[out->count], id, record, load))
            continue;
        list[out->count++].age_ms = age_ms;
    }
    if (out->count > 1)
        qsort(list, out->count, sizeof *list, by_id);
    for (uint32_t i = 1; i < out->count; i++)
        t->failed = t->failed || by_id(&list[i - 1], &list[i]) == 0;
    out->at = list;
}

/* -- the lead and the map -- */

static void take_map(struct weir_taker *t, struct weir_coord_map_reply *m)
{
    m->epoch = weir_take_u64(t);
    m->leader = weir_take_id(t);
    const struct weir_redis_reply *text = weir_take(t, WEIR_REDIS_STRING);
    if (text == NULL || text->str.len > WEIR_COORD_MAP_MAX) {
        t->failed = true;
        return;
    }
    m->map = weir_arena_dup(t->arena, text->str);
    t->no_memory = t->no_memory || m->map.ptr == NULL;
    take_led(t, &m->led);
}

static void take_lead(struct weir_taker *t, struct weir_coord_lead_reply *l)
{
    take_led(t, &l->led);
    l->map_epoch = weir_take_u64(t);
    l->epoch_seen = weir_take_u64(t);
}

/* -- circuits -- */

static void take_permits(struct weir_taker *t, struct weir_breaker_reply *out)
{
    while (t->left > 0 && !t->failed) {
        if (out->permit_count == WEIR_BREAKER_BATCH) {
            t->failed = true;
            return;
        }
        struct weir_breaker_permit *p = &out->permits[out->permit_count++];
        p->id = weir_take_u64(t);
        p->expires_ms = weir_take_u64(t);
    }
}

static enum weir_breaker_event_kind take_kind(struct weir_taker *t)
{
    struct weir_str text = weir_take_str(t, SIZE_MAX);
    for (int k = 0; k < WEIR_BREAKER_EVENT_KINDS; k++)
        if (weir_str_eq(text, weir_str_of(weir_breaker_event_label((enum weir_breaker_event_kind)k))))
            return (enum weir_breaker_event_kind)k;
    t->failed = true;
    return WEIR_BREAKER_IS_OPENED;
}

static enum weir_breaker_reason take_reason(struct weir_taker *t)
{
    struct weir_str text = weir_take_str(t, SIZE_MAX);
    for (int r = 0; r < WEIR_BREAKER_REASONS; r++)
        if (weir_str_eq(text, weir_str_of(weir_breaker_reason_label((enum weir_breaker_reason)r))))
            return (enum weir_breaker_reason)r;
    t->failed = true;
    return WEIR_BREAKER_BY_CONSECUTIVE;
}

static void take_events(struct weir_taker *t, struct weir_breaker_reply *out)
{
    while (t->left > 0 && !t->failed) {
        if (out->event_count == WEIR_BREAKER_EVENTS_MAX) {
            t->failed = true;
            return;
        }
        struct weir_breaker_event *e = &out->events[out->event_count++];
        e->kind = take_kind(t);
        e->reason = take_reason(t);
        e->gen = weir_take_u64(t);
        e->until_ms = weir_take_u64(t);
        e->run = weir_take_u32(t);
        e->window.ok = weir_take_u64(t);
        e->window.fail = weir_take_u64(t);
    }
}

static void take_report(struct weir_taker *t, uint32_t count, struct weir_coord_report_reply *out)
{
    if (t->left != count || count > WEIR_COORD_BATCH) {
        t->failed = true;
        return;
    }
    for (uint32_t i = 0; i < count && !t->failed; i++) {
        const struct weir_redis_reply *item = weir_take(t, WEIR_REDIS_ARRAY);
        if (item == NULL)
            return;
        struct weir_taker in = weir_take_from(item, t->arena);
        struct weir_breaker_sight *s = &out->items[i].sight;
        struct weir_breaker_reply *r = &out->items[i].reply;
        in.failed = !weir_redis_phase(weir_take_str(&in, SIZE_MAX), &s->phase) || in.failed;
        s->gen = weir_take_u64(&in);
        s->open_until_ms = weir_take_u64(&in);
        s->cooldown_until_ms = weir_take_u64(&in);
        r->gen = weir_take_u64(&in);
        const struct weir_redis_reply *permits = weir_take(&in, WEIR_REDIS_ARRAY),
                                      *events = weir_take(&in, WEIR_REDIS_ARRAY);
        t->failed = in.failed || in.left > 0;
        if (t->failed)
            return;
        struct weir_taker of_permits = weir_take_from(permits, t->arena), of_events = weir_take_from(events, t->arena);
        take_permits(&of_permits, r);
        take_events(&of_events, r);
        t->failed = of_permits.failed || of_events.failed;
    }
    out->count = count;
}

static int by_version(const void *a, const void *b)
{
    const struct weir_coord_circuit *x = a, *y = b;
    return (x->version > y->version) - (x->version < y->version);
}

static void take_circuits(struct weir_taker *t, struct weir_coord_circuits_reply *out)
{
    out->version = weir_take_u64(t);
    struct weir_coord_circuit *list = weir_take_list(t, 2, WEIR_COORD_CIRCUITS_MAX, sizeof *list);
    if (list == NULL)
        return;
    while (t->left > 0 && !t->failed) {
        struct weir_str endpoint = weir_take_str(t, SIZE_MAX), record = weir_take_str(t, SIZE_MAX);
        if (!t->failed && weir_redis_circuit(&list[out->count], t->arena, endpoint, record))
            out->count++;
    }
    if (out->count > 1)
        qsort(list, out->count, sizeof *list, by_version);
    out->at = list;
}

/* -- limits and events -- */

static void take_tokens(struct weir_taker *t, uint32_t count, struct weir_coord_tokens_reply *out)
{
    if (t->left != (size_t)count * 4 || count > WEIR_COORD_BATCH) {
        t->failed = true;
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        out->items[i].granted = weir_take_u32(t);
        out->items[i].remaining = weir_take_u32(t);
        out->items[i].wait_us = weir_take_u64(t);
        out->items[i].full_us = weir_take_u64(t);
    }
    out->count = count;
}

static void take_event_list(struct weir_taker *t, struct weir_coord_events_reply *out)
{
    struct weir_str *list = weir_take_list(t, 1, WEIR_COORD_EVENTS_KEPT, sizeof *list);
    if (list == NULL)
        return;
    while (t->left > 0 && !t->failed) {
        struct weir_str text = weir_take_str(t, SIZE_MAX);
        if (!t->failed && weir_coord_is_object(text))
            list[out->count++] = (struct weir_str){weir_take_keep(t, text), text.len};
    }
    out->at = list;
}

/* -- load and advice -- */

static void take_entries(struct weir_taker *t, struct weir_coord_entries_reply *out)
{
    out->newest = weir_take_u64(t);
    out->upto = weir_take_u64(t);
    out->step_ms = weir_take_u32(t);
    struct weir_coord_entry *list = weir_take_list(t, 2, WEIR_COORD_ENTRIES_MAX, sizeof *list);
    if (list == NULL)
        return;
    uint64_t before = 0;
    while (t->left > 0 && !t->failed) {
        uint64_t id = weir_take_u64(t);
        const struct weir_redis_reply *text = weir_take(t, WEIR_REDIS_STRING);
        if (text == NULL || id <= before || !weir_coord_is_record(text->str))
            continue;
        struct weir_str kept = {weir_take_keep(t, text->str), text->str.len};
        list[out->count++] = (struct weir_coord_entry){id, kept};
        before = id;
    }
    t->failed = t->failed || before > out->upto || out->upto > out->newest;
    out->at = list;
}

/* What is not an object of at most max bytes is left out. */
static struct weir_str take_object(struct weir_taker *t, size_t max)
{
    const struct weir_redis_reply *r = weir_take(t, WEIR_REDIS_STRING);
    if (r == NULL || r->str.len > max || !weir_coord_is_object(r->str))
        return WEIR_STR("");
    return (struct weir_str){weir_take_keep(t, r->str), r->str.len};
}

static void take_advice(struct weir_taker *t, struct weir_coord_advice_reply *out)
{
    out->version = weir_take_u64(t);
    out->leader = weir_take_id(t);
    out->unix_ms = weir_take_u64(t);
    out->hints = take_object(t, WEIR_COORD_HINTS_MAX);
    out->analytics = take_object(t, WEIR_COORD_ANALYTICS_MAX);
}

/* -- the whole -- */

static bool read_word(struct weir_str text, enum weir_coord_word *out)
{
    static const struct {
        const char *text;
        enum weir_coord_word word;
    } words[] = {{"OK", WEIR_COORD_OK},
                 {"STALE", WEIR_COORD_STALE},
                 {"ID_TAKEN", WEIR_COORD_ID_TAKEN},
                 {"REFUSED", WEIR_COORD_REFUSED},
                 {"SCHEMA_NEWER", WEIR_COORD_SCHEMA_NEWER}};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (weir_str_eq(text, weir_str_of(words[i].text))) {
            *out = words[i].word;
            return true;
        }
    return false;
}

static void take_rest(struct weir_taker *t, struct weir_coord_reply *reply, uint32_t count)
{
    if (reply->word != WEIR_COORD_OK && reply->word != WEIR_COORD_STALE)
        return;
    switch (reply->op) {
    case WEIR_COORD_BEAT:
        take_beat(t, &reply->beat);
        break;
    case WEIR_COORD_MEMBERS:
        take_members(t, &reply->members);
        break;
    case WEIR_COORD_MAP:
        take_map(t, &reply->map);
        break;
    case WEIR_COORD_LEAD:
    case WEIR_COORD_PUBLISH:
        take_lead(t, &reply->lead);
        break;
    case WEIR_COORD_REPORT:
        take_report(t, count, &reply->report);
        break;
    case WEIR_COORD_CIRCUITS:
        take_circuits(t, &reply->circuits);
        break;
    case WEIR_COORD_TOKENS:
        take_tokens(t, count, &reply->tokens);
        break;
    case WEIR_COORD_EVENTS:
        take_event_list(t, &reply->events);
        break;
    case WEIR_COORD_LOADS:
    case WEIR_COORD_SERIES:
        take_entries(t, &reply->entries);
        break;
    case WEIR_COORD_FOLD:
        reply->fold_newest = weir_take_u64(t);
        break;
    case WEIR_COORD_ADVISE:
        reply->advise_version = weir_take_u64(t);
        break;
    case WEIR_COORD_ADVICE:
        take_advice(t, &reply->advice);
        break;
    case WEIR_COORD_LEAVE:
    case WEIR_COORD_RESIGN:
    case WEIR_COORD_CHECKED:
    case WEIR_COORD_EVENT:
    case WEIR_COORD_APPEND:
    case WEIR_COORD_OPS:
        break;
    }
}

/* Nothing of an answer that cannot be used is left. */
static void answer_only(struct weir_coord_reply *reply, enum weir_coord_word word, const char *why)
{
    *reply = (struct weir_coord_reply){
        .op = reply->op, .id = reply->id, .sent_ms = reply->sent_ms, .word = word, .why = why, .now_us = reply->now_us};
}

/* A reason of the server's, in one line. */
static const char *reason(struct weir_arena *a, struct weir_str from)
{
    char text[REASON_SHOWN_MAX];
    size_t n = from.len < REASON_SHOWN_MAX ? from.len : REASON_SHOWN_MAX;
    for (size_t i = 0; i < n; i++)
        text[i] = (char)((unsigned char)from.ptr[i] < ' ' ? ' ' : from.ptr[i]);
    const char *why = weir_arena_dup(a, (struct weir_str){text, n}).ptr;
    return why != NULL && n > 0 ? why : "the store gives no reason";
}

void weir_redis_answer(struct weir_coord_reply *reply, uint32_t count, struct weir_arena *a,
                       const struct weir_redis_reply *from)
{
    answer_only(reply, WEIR_COORD_OK, "");
    reply->now_us = 0;
    if (from->type == WEIR_REDIS_ERROR) {
        answer_only(reply, WEIR_COORD_REFUSED, reason(a, from->str));
        return;
    }
    struct weir_taker t = weir_take_from(from, a);
    bool known = read_word(weir_take_str(&t, SIZE_MAX), &reply->word);
    reply->now_us = weir_take_u64(&t);
    struct weir_str why = weir_take_str(&t, SIZE_MAX);
    reply->why = reply->word == WEIR_COORD_OK ? "" : reason(a, why);
    if (known && !t.failed)
        take_rest(&t, reply, count);
    if (t.no_memory)
        answer_only(reply, WEIR_COORD_AWAY, "out of memory for the store's answer");
    else if (t.failed || !known || t.left > 0)
        answer_only(reply, WEIR_COORD_AWAY, "the store's answer is not one of weir's scripts");
}
