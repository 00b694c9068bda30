#include "helper_coordinator.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/load_record.h"

#define LEASE    UINT64_C(3000)
#define START    UINT64_C(1000000)
#define STORE_MS UINT64_C(600000000)

struct told told;

static char *copy_text(struct weir_str *text)
{
    char *copy = malloc(text->len + 1);
    if (text->len > 0)
        memcpy(copy, text->ptr, text->len);
    text->ptr = copy;
    return copy;
}

static void act(void *arg, const struct weir_coordinator_action *a)
{
    struct told_one *c = arg;
    if (a->send == NULL) {
        c->advised += a->note.kind == WEIR_COORDINATOR_ADVISED;
        c->moves += a->note.kind == WEIR_COORDINATOR_PUBLISHED ? a->note.moves : 0;
        ck_assert(a->note.kind != WEIR_COORDINATOR_ADVISED || a->note.hints != NULL);
        return;
    }
    ck_assert_uint_lt(c->asked_count, ASKED);
    struct weir_coord_request *r = &c->asked[c->asked_count].request;
    char **texts = c->asked[c->asked_count++].texts;
    *r = *a->send;
    ck_assert_ptr_null(weir_coord_check(r));
    c->sent[r->op]++;
    texts[0] = r->op == WEIR_COORD_PUBLISH  ? copy_text(&r->publish.map)
               : r->op == WEIR_COORD_EVENT  ? copy_text(&r->event)
               : r->op == WEIR_COORD_FOLD   ? copy_text(&r->fold.text)
               : r->op == WEIR_COORD_ADVISE ? copy_text(&r->advise.hints)
                                            : NULL;
    texts[1] = r->op == WEIR_COORD_ADVISE ? copy_text(&r->advise.analytics) : NULL;
}

void told_begin(struct told_one *c, const char *id)
{
    struct weir_err err;
    told.config.id = id;
    ck_assert_int_eq(weir_coordinator_agent_new(&c->agent, &told.config, act, c, told.now, &err), 0);
    weir_coordinator_agent_contact(c->agent, told.now, true, NULL);
}

static void drop_asked(struct told_one *c)
{
    free(c->asked[0].texts[0]);
    free(c->asked[0].texts[1]);
    memmove(c->asked, c->asked + 1, --c->asked_count * sizeof c->asked[0]);
}

void told_end(struct told_one *c)
{
    weir_coordinator_agent_free(&c->agent);
    while (c->asked_count > 0)
        drop_asked(c);
}

void told_setup(void)
{
    memset(&told, 0, sizeof told);
    told.config = (struct weir_coordinator_agent_config){.lease_ms = LEASE,
                                                         .failover_timeout_ms = 3000,
                                                         .failover = true,
                                                         .shard_count = 64,
                                                         .history = {.history = true,
                                                                     .hints = true,
                                                                     .patterns = true,
                                                                     .advisor = {.slot_ms = SLOT_MS,
                                                                                 .window_ms = 60000,
                                                                                 .cooldown_ms = 10000,
                                                                                 .safe_concurrency = 100,
                                                                                 .timeout_s = 60}}};
    told.now = START;
    told.ahead_ms = STORE_MS;
    told.in_flight = 90;
    told.store = weir_coord_state_new();
    ck_assert_ptr_nonnull(told.store);
    told_begin(&told.k[0], "k0");
}

void told_teardown(void)
{
    told_end(&told.k[0]);
    told_end(&told.k[1]);
    weir_coord_state_free(&told.store);
}

struct weir_coord_reply told_ask_store(struct weir_coord_request r)
{
    struct weir_coord_reply reply = {.op = r.op, .id = r.id, .sent_ms = r.sent_ms, .word = WEIR_COORD_AWAY};
    if (!told.away)
        weir_coord_apply(told.store, (told.now + told.ahead_ms) * 1000, &r, &reply, NULL, NULL);
    return reply;
}

static void carry_out(struct told_one *c)
{
    while (c->asked_count > 0) {
        struct weir_coord_reply reply = told_ask_store(c->asked[0].request);
        c->stale += reply.word == WEIR_COORD_STALE && reply.op != WEIR_COORD_LEAD;
        drop_asked(c);
        weir_coordinator_agent_reply(c->agent, told.now, &reply);
    }
}

uint64_t told_slot_now(void)
{
    return (told.now + told.ahead_ms) / SLOT_MS;
}

void told_append(struct weir_str text)
{
    (void)told_ask_store((struct weir_coord_request){.op = WEIR_COORD_APPEND, .append = text});
}

void told_node_tells(const char *id, double load)
{
    struct weir_coord_member m = {.instance = 1, .state = WEIR_NODE_ACTIVE, .weight = 1};
    struct weir_load_record r = {.slot = told_slot_now() - 1, .nodes = 1, .in_flight_peak = (uint64_t)load};
    struct weir_textbuf text;
    (void)snprintf(m.id, sizeof m.id, "%s", id);
    (void)snprintf(r.node, sizeof r.node, "%s", id);
    m.load.in_flight = (uint32_t)load;
    (void)told_ask_store((struct weir_coord_request){.op = WEIR_COORD_BEAT, .beat = {.self = &m, .lease_ms = 3000}});
    struct weir_load_point *p = &weir_load_record_item(&r, WEIR_STR("openai"))->point;
    p->in_flight_peak = (uint64_t)load;
    p->requests = p->exchanges = (uint64_t)load;
    p->exchange_us_sum = p->exchanges * 1000000;
    weir_textbuf_init(&text, WEIR_LOAD_RECORD_TEXT_MAX);
    (void)weir_load_record_print(&text, &r);
    told_append((struct weir_str){text.ptr, text.len});
    weir_textbuf_close(&text);
}

void told_run(uint64_t seconds, const char *nodes)
{
    for (; seconds > 0; seconds--) {
        for (const char *id = nodes; *id != '\0'; id++)
            told_node_tells((char[]){*id, '\0'}, told.in_flight);
        for (int ms = 0; ms < 1000; ms += 20, told.now += 20)
            for (int i = 0; i < 2; i++)
                if (told.k[i].agent != NULL && !told.k[i].paused) {
                    if (weir_coordinator_agent_deadline_ms(told.k[i].agent) <= told.now)
                        weir_coordinator_agent_tick(told.k[i].agent, told.now);
                    carry_out(&told.k[i]);
                }
    }
}

struct weir_coordinator_look told_look(int i)
{
    return weir_coordinator_agent_look(told.k[i].agent, told.now);
}

uint32_t told_points(uint32_t step, uint64_t *newest)
{
    static struct weir_load_record r;
    struct weir_err err;
    uint32_t count = 0;
    uint64_t after = 0, last = 0;
    for (;;) {
        struct weir_coord_reply reply = told_ask_store((struct weir_coord_request){
            .op = WEIR_COORD_SERIES, .series = {.step = step, .after = after, .count = WEIR_COORD_ENTRIES_MAX}});
        ck_assert_int_eq(reply.word, WEIR_COORD_OK);
        for (uint32_t i = 0; i < reply.entries.count; i++) {
            ck_assert_uint_gt(reply.entries.at[i].id, last);
            last = reply.entries.at[i].id;
            ck_assert_int_eq(weir_load_record_parse(&r, reply.entries.at[i].text, &err), 0);
            ck_assert_uint_eq(r.slot, last);
        }
        count += reply.entries.count;
        after = reply.entries.upto;
        if (after >= reply.entries.newest)
            break;
    }
    if (newest != NULL)
        *newest = last;
    return count;
}

json_int_t told_published(const char *key)
{
    json_error_t error;
    json_int_t value = -1;
    struct weir_coord_reply r =
        told_ask_store((struct weir_coord_request){.op = WEIR_COORD_ADVICE, .advice_whole = true});
    json_t *root = json_loadb(r.advice.hints.ptr, r.advice.hints.len, 0, &error);
    (void)json_unpack(root, "{s{sI}}", "cluster", key, &value);
    json_decref(root);
    return value;
}
