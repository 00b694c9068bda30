/* Coordinators and nodes that tell their load, over the store's own state, in simulated time: slots of a second, a
 * window of a minute, a cooldown of ten seconds. The store's clock is another one than the coordinators'. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "check_main.h"
#include "core/coord_state.h"
#include "core/coordinator_agent.h"
#include "core/load_record.h"

#define SLOT_MS  UINT64_C(1000)
#define LEASE    UINT64_C(3000)
#define START    UINT64_C(1000000)
#define STORE_MS UINT64_C(600000000) /* what the store's clock is ahead at first */
#define ASKED    512u

struct one {
    struct weir_coordinator_agent *agent;
    struct {
        struct weir_coord_request request;
        char *texts[2];
    } asked[ASKED];
    uint32_t asked_count, sent[WEIR_COORD_OPS], stale;
    uint32_t advised, moves;
    bool paused; /* its process does not run; answers wait for it */
};

static struct one k[2];
static struct weir_coordinator_agent_config config;
static struct weir_coord_state *store;
static uint64_t now, ahead_ms;
static bool away;
static double in_flight; /* on each node */

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
    struct one *c = arg;
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

static void begin(struct one *c, const char *id)
{
    struct weir_err err;
    config.id = id;
    ck_assert_int_eq(weir_coordinator_agent_new(&c->agent, &config, act, c, now, &err), 0);
    weir_coordinator_agent_contact(c->agent, now, true, NULL);
}

static void drop_asked(struct one *c)
{
    free(c->asked[0].texts[0]);
    free(c->asked[0].texts[1]);
    memmove(c->asked, c->asked + 1, --c->asked_count * sizeof c->asked[0]);
}

static void end(struct one *c)
{
    weir_coordinator_agent_free(&c->agent);
    while (c->asked_count > 0)
        drop_asked(c);
}

static void setup(void)
{
    memset(k, 0, sizeof k);
    config = (struct weir_coordinator_agent_config){.lease_ms = LEASE,
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
    now = START;
    ahead_ms = STORE_MS;
    away = false;
    in_flight = 90;
    store = weir_coord_state_new();
    ck_assert_ptr_nonnull(store);
    begin(&k[0], "k0");
}

static void teardown(void)
{
    end(&k[0]);
    end(&k[1]);
    weir_coord_state_free(&store);
}

static struct weir_coord_reply ask_store(struct weir_coord_request r)
{
    struct weir_coord_reply reply = {.op = r.op, .id = r.id, .sent_ms = r.sent_ms, .word = WEIR_COORD_AWAY};
    if (!away)
        weir_coord_apply(store, (now + ahead_ms) * 1000, &r, &reply, NULL, NULL);
    return reply;
}

static void carry_out(struct one *c)
{
    while (c->asked_count > 0) {
        struct weir_coord_reply reply = ask_store(c->asked[0].request);
        c->stale += reply.word == WEIR_COORD_STALE && reply.op != WEIR_COORD_LEAD;
        drop_asked(c);
        weir_coordinator_agent_reply(c->agent, now, &reply);
    }
}

static uint64_t slot_now(void)
{
    return (now + ahead_ms) / SLOT_MS;
}

static void append(struct weir_str text)
{
    (void)ask_store((struct weir_coord_request){.op = WEIR_COORD_APPEND, .append = text});
}

static void node_tells(const char *id, double load)
{
    struct weir_coord_member m = {.instance = 1, .state = WEIR_NODE_ACTIVE, .weight = 1};
    struct weir_load_record r = {.slot = slot_now() - 1, .nodes = 1, .in_flight_peak = (uint64_t)load};
    struct weir_textbuf text;
    (void)snprintf(m.id, sizeof m.id, "%s", id);
    (void)snprintf(r.node, sizeof r.node, "%s", id);
    m.load.in_flight = (uint32_t)load;
    (void)ask_store((struct weir_coord_request){.op = WEIR_COORD_BEAT, .beat = {.self = &m, .lease_ms = 3000}});
    struct weir_load_point *p = &weir_load_record_item(&r, WEIR_STR("openai"))->point;
    p->in_flight_peak = (uint64_t)load;
    p->requests = p->exchanges = (uint64_t)load;
    p->exchange_us_sum = p->exchanges * 1000000;
    weir_textbuf_init(&text, WEIR_LOAD_RECORD_TEXT_MAX);
    (void)weir_load_record_print(&text, &r);
    append((struct weir_str){text.ptr, text.len});
    weir_textbuf_close(&text);
}

/* A second at a time: nodes tell of the last slot at its begin, a letter each. */
static void run(uint64_t seconds, const char *nodes)
{
    for (; seconds > 0; seconds--) {
        for (const char *id = nodes; *id != '\0'; id++)
            node_tells((char[]){*id, '\0'}, in_flight);
        for (int ms = 0; ms < 1000; ms += 20, now += 20)
            for (int i = 0; i < 2; i++)
                if (k[i].agent != NULL && !k[i].paused) {
                    if (weir_coordinator_agent_deadline_ms(k[i].agent) <= now)
                        weir_coordinator_agent_tick(k[i].agent, now);
                    carry_out(&k[i]);
                }
    }
}

static struct weir_coordinator_look look(int i)
{
    return weir_coordinator_agent_look(k[i].agent, now);
}

/* How many points a series has; they ascend, and each is read as what it was written as. */
static uint32_t points(uint32_t step, uint64_t *newest)
{
    static struct weir_load_record r;
    struct weir_err err;
    uint32_t count = 0;
    uint64_t after = 0, last = 0;
    for (;;) {
        struct weir_coord_reply reply = ask_store((struct weir_coord_request){
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

/* What is published: a number of the cluster's hints; -1: no hints are. */
static json_int_t published(const char *key)
{
    json_error_t error;
    json_int_t value = -1;
    struct weir_coord_reply r = ask_store((struct weir_coord_request){.op = WEIR_COORD_ADVICE, .advice_whole = true});
    json_t *root = json_loadb(r.advice.hints.ptr, r.advice.hints.len, 0, &error);
    (void)json_unpack(root, "{s{sI}}", "cluster", key, &value);
    json_decref(root);
    return value;
}

START_TEST(test_load_is_folded_and_advice_given)
{
    uint64_t newest;
    run(130, "abc");
    uint32_t slots = points(0, &newest);
    ck_assert(slots >= 120 && slots <= 130);
    ck_assert_uint_eq(newest, slot_now() - 2); /* the one before it is open until its half */
    ck_assert_uint_ge(points(1, NULL), 19);
    ck_assert_uint_ge(points(2, NULL), 1);
    ck_assert(look(0).history.on);
    ck_assert_uint_ge(look(0).history.seen, 100);
    ck_assert_uint_eq(look(0).history.unreadable + look(0).history.records.late, 0);
    ck_assert_int_eq(published("desired_nodes"), 3);
    ck_assert_int_eq(published("nodes"), 3);
    struct weir_coord_reply r = ask_store((struct weir_coord_request){.op = WEIR_COORD_ADVICE, .advice_whole = true});
    ck_assert_uint_gt(r.advice.analytics.len, 100);
    ck_assert_uint_eq(k[0].advised, 1);
    in_flight = 130;
    run(60, "abc");
    ck_assert_int_ge(published("desired_nodes"), 4);
    ck_assert_uint_ge(k[0].advised, 2);
    ck_assert_uint_le(k[0].sent[WEIR_COORD_LOADS], 192);
    ck_assert_uint_le(k[0].sent[WEIR_COORD_ADVISE], 30);
}
END_TEST

/* The standby knows what the leader knew: no point is missing or twice, and the advice goes on. */
START_TEST(test_a_standby_goes_on)
{
    begin(&k[1], "k1");
    run(100, "abc");
    in_flight = 130;
    run(30, "abc");
    ck_assert_uint_eq(k[1].sent[WEIR_COORD_LOADS] + k[1].sent[WEIR_COORD_SERIES] + k[1].sent[WEIR_COORD_FOLD], 0);
    uint64_t seen = look(0).history.seen;
    json_int_t desired = published("desired_nodes"), since = published("since_unix_ms");
    uint32_t slots = points(0, NULL);
    ck_assert_int_ge(desired, 4);
    end(&k[0]);
    run(10, "abc");
    ck_assert(look(1).leads && look(1).history.on);
    ck_assert_uint_eq(points(0, NULL), slots + 10); /* what nodes told while nobody led, too */
    ck_assert_uint_ge(look(1).history.seen, seen + 9);
    ck_assert(published("since_unix_ms") == since ? published("desired_nodes") == desired
                                                  : published("since_unix_ms") >= since + 10000);
    ck_assert_uint_ge(points(1, NULL), 22);
}
END_TEST

/* The leader's process stands still with requests on their way: what it asked comes to the store after another one has
 * taken the lead, and is refused there. */
START_TEST(test_a_paused_leader_changes_nothing)
{
    begin(&k[1], "k1");
    run(60, "abc");
    struct weir_coord_request fold = {
        .op = WEIR_COORD_FOLD,
        .fold = {.id = "k0", .token = look(0).token, .step = 0, .step_ms = SLOT_MS, .text = WEIR_STR("weir-load 1\n")}};
    struct weir_coord_request advise = {.op = WEIR_COORD_ADVISE,
                                        .advise = {.id = "k0", .token = look(0).token, .hints = WEIR_STR("{}")}};
    k[0].paused = true;
    run(30, "abc");
    ck_assert(look(1).leads);
    fold.fold.number = slot_now() - 1;
    ck_assert_int_eq(ask_store(fold).word, WEIR_COORD_STALE);
    ck_assert_int_eq(ask_store(advise).word, WEIR_COORD_STALE);
    k[0].paused = false;
    run(10, "abc");
    ck_assert(!look(0).leads && !look(0).history.on && look(1).leads);
    ck_assert_int_eq(published("desired_nodes"), 3);
    ck_assert_uint_ge(points(0, NULL), 95);
}
END_TEST

/* The store takes the lead away while the holder believes in it: the first refusal makes it ask. */
START_TEST(test_a_refusal_makes_it_ask)
{
    run(60, "abc");
    struct weir_coord_reply r = ask_store((struct weir_coord_request){
        .op = WEIR_COORD_RESIGN, .resign = {.id = "k0", .lease_ms = LEASE, .token = look(0).token}});
    ck_assert_int_eq(r.word, WEIR_COORD_OK);
    r = ask_store((struct weir_coord_request){.op = WEIR_COORD_LEAD, .lead = {.id = "k9", .lease_ms = 60000}});
    ck_assert_int_eq(r.word, WEIR_COORD_OK);
    run(2, "abc");
    ck_assert(!look(0).leads);
    ck_assert_str_eq(look(0).leader, "k9");
}
END_TEST

START_TEST(test_the_store_away)
{
    run(60, "abc");
    uint32_t slots = points(0, NULL);
    away = true;
    run(20, "");
    ck_assert(!look(0).history.on);
    away = false;
    run(20, "abc");
    ck_assert(look(0).history.on);
    ck_assert(points(0, NULL) >= slots + 15 && points(0, NULL) <= slots + 20);
    ck_assert_uint_ge(look(0).history.seen, 70);
}
END_TEST

START_TEST(test_a_store_that_was_emptied)
{
    run(60, "abc");
    weir_coord_state_free(&store);
    store = weir_coord_state_new();
    run(30, "abc");
    ck_assert_uint_ge(points(0, NULL), 20);
    ck_assert_int_eq(published("desired_nodes"), 3);
}
END_TEST

/* Slots of a time to come are there then, and nodes tell of earlier ones. */
START_TEST(test_a_clock_that_was_set_back)
{
    run(60, "abc");
    ahead_ms -= 3600 * 1000;
    in_flight = 150;
    run(30, "abc");
    ck_assert_uint_ge(look(0).history.seen, 20);
    ck_assert_int_eq(published("desired_nodes"), 5);
    ahead_ms += 3600 * 1000;
    run(30, "abc");
    ck_assert_uint_ge(look(0).history.seen, 40);
    ck_assert_int_eq(published("desired_nodes"), 5);
}
END_TEST

/* Records of whoever writes into the stream: they are counted, and what is good goes on. */
START_TEST(test_records_that_are_none)
{
    static const char *const bad[] = {"x", "weir-load 1\n", "weir-load 1 node=a slot=18446744073709551616 nodes=1\n",
                                      "weir-load 1 node=zz slot=600000000000 nodes=1\nprovider p in_flight_peak=9\n",
                                      "weir-load 1 node=z slot=1 nodes=900\nprovider p requests=999999999\n"};
    run(20, "abc");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        append(weir_str_of(bad[i]));
    run(40, "abc");
    ck_assert_uint_eq(look(0).history.unreadable, 4);
    ck_assert_uint_eq(look(0).history.records.early, 1);
    ck_assert(points(0, NULL) >= 50 && points(0, NULL) <= 60);
    ck_assert_int_eq(published("desired_nodes"), 3);
}
END_TEST

/* Points that another program wrote into the series are passed over by a new leader. */
START_TEST(test_points_that_are_none)
{
    run(1, "abc");
    struct weir_coord_request fold = {.op = WEIR_COORD_FOLD,
                                      .fold = {.id = "k0", .token = look(0).token, .step = 1, .step_ms = 6 * SLOT_MS}};
    fold.fold.number = slot_now() / 6 - 1;
    fold.fold.text = WEIR_STR("weir-load 1 slot=5\nprovider p requests=7\n");
    ck_assert_int_eq(ask_store(fold).word, WEIR_COORD_OK);
    fold.fold.step = 2;
    fold.fold.step_ms = 60 * SLOT_MS;
    fold.fold.number = slot_now() / 60 - 1;
    fold.fold.text = WEIR_STR("no record");
    ck_assert_int_eq(ask_store(fold).word, WEIR_COORD_OK);
    run(50, "abc");
    begin(&k[1], "k1");
    end(&k[0]);
    run(20, "abc");
    ck_assert(look(1).leads && look(1).history.on);
    ck_assert_uint_eq(look(1).history.unreadable, 2);
    ck_assert_uint_ge(look(1).history.seen, 40);
}
END_TEST

START_TEST(test_switched_off)
{
    struct weir_err err;
    config.id = "k0";
    config.history.hints = false;
    ck_assert_int_eq(weir_coordinator_agent_set(k[0].agent, &config, &err), 0);
    run(40, "abc");
    ck_assert_uint_ge(points(0, NULL), 30);
    ck_assert_int_eq(published("desired_nodes"), -1);
    struct weir_coord_reply r = ask_store((struct weir_coord_request){.op = WEIR_COORD_ADVICE, .advice_whole = true});
    ck_assert_uint_gt(r.advice.version, 0);
    ck_assert_uint_gt(r.advice.analytics.len, 0);
    ck_assert_uint_eq(k[0].advised, 0);
    config.history.history = false;
    ck_assert_int_eq(weir_coordinator_agent_set(k[0].agent, &config, &err), 0);
    uint32_t before = k[0].sent[WEIR_COORD_LOADS];
    run(10, "abc");
    ck_assert_uint_eq(k[0].sent[WEIR_COORD_LOADS], before);
    ck_assert(!look(0).history.on);
    config.history.history = config.history.hints = true;
    ck_assert_int_eq(weir_coordinator_agent_set(k[0].agent, &config, &err), 0);
    run(10, "abc");
    ck_assert(look(0).history.on);
    ck_assert_int_eq(published("desired_nodes"), 3);
}
END_TEST

/* A slot of another length: series begin anew, and nobody takes the old ones for their own. */
START_TEST(test_another_slot)
{
    struct weir_err err;
    run(60, "abc");
    config.id = "k0";
    config.history.advisor.slot_ms = 2 * SLOT_MS;
    ck_assert_int_eq(weir_coordinator_agent_set(k[0].agent, &config, &err), 0);
    run(10, "abc"); /* nodes that have not reloaded: their slots are of another time */
    ck_assert(look(0).history.on);
    ck_assert_uint_eq(look(0).history.records.taken, 0);
    ck_assert_uint_eq(look(0).history.seen, 0);
}
END_TEST

/* -- shards move for what their owners carry -- */

static void carry(uint64_t seconds, double a, double b, double c)
{
    for (; seconds > 0; seconds--) {
        node_tells("a", a);
        node_tells("b", b);
        node_tells("c", c);
        run(1, "");
    }
}

static uint32_t owned(const char *id)
{
    const struct weir_shard_map *map = look(0).map;
    return map->nodes[weir_shard_map_find(map, weir_str_of(id))].shard_count;
}

START_TEST(test_load_moves)
{
    struct weir_err err;
    config.id = "k0";
    config.load_moves = true;
    ck_assert_int_eq(weir_coordinator_agent_set(k[0].agent, &config, &err), 0);
    carry(20, 100, 100, 100);
    uint32_t a = owned("a"), epoch = (uint32_t)look(0).map->epoch;
    ck_assert_uint_eq(epoch, 1);
    carry(200, 105, 100, 95); /* within a tenth */
    ck_assert_uint_eq(look(0).map->epoch, epoch);
    k[0].moves = 0;
    carry(110, 200, 100, 60); /* a minute apart, one shard in 64 at a time */
    ck_assert_uint_ge(k[0].moves, 1);
    ck_assert_uint_le(k[0].moves, 2);
    ck_assert_uint_eq(owned("a"), a - k[0].moves);
    carry(2000, 200, 100, 60); /* what a shard carries is not known: the band bounds it */
    ck_assert_uint_ge(owned("a"), a - a / 4 - 1);
    epoch = (uint32_t)look(0).map->epoch;
    carry(300, 100, 100, 100); /* evened out: it stays so */
    ck_assert_uint_eq(look(0).map->epoch, epoch);
    for (int i = 0; i < 20; i++) { /* one more: quotas hold again */
        node_tells("d", 0);
        carry(1, 100, 100, 100);
    }
    ck_assert_uint_eq(owned("d"), 16);
    ck_assert_uint_eq(owned("a"), 16);
}
END_TEST

/* Few requests say nothing; a short peak is smoothed away; without load_moves nothing moves at all. */
START_TEST(test_loads_that_move_nothing)
{
    struct weir_err err;
    config.id = "k0";
    carry(200, 400, 100, 50);
    ck_assert_uint_eq(look(0).map->epoch, 1);
    config.load_moves = true;
    ck_assert_int_eq(weir_coordinator_agent_set(k[0].agent, &config, &err), 0);
    carry(200, 12, 2, 1);
    ck_assert_uint_eq(look(0).map->epoch, 1);
    config.load_moves = false;
    ck_assert_int_eq(weir_coordinator_agent_set(k[0].agent, &config, &err), 0);
    carry(5, 100, 100, 100);
    config.load_moves = true;
    ck_assert_int_eq(weir_coordinator_agent_set(k[0].agent, &config, &err), 0);
    carry(100, 100, 100, 100);
    carry(2, 130, 100, 100);
    carry(60, 100, 100, 100);
    ck_assert_uint_eq(look(0).map->epoch, 1);
}
END_TEST

CHECK_MAIN("coordinator_history", setup, teardown, test_load_is_folded_and_advice_given, test_a_standby_goes_on,
           test_a_paused_leader_changes_nothing, test_a_refusal_makes_it_ask, test_the_store_away,
           test_a_store_that_was_emptied, test_a_clock_that_was_set_back, test_records_that_are_none,
           test_points_that_are_none, test_switched_off, test_another_slot, test_load_moves,
           test_loads_that_move_nothing)
