/* A coordinator over the store's own state, on one clock: what is asked is carried out at once, unless the test holds
 * the store off. */
#include <stdio.h>
#include <string.h>

#include "check_main.h"
#include "core/coord_state.h"
#include "core/coordinator_agent.h"

#define FAILOVER UINT64_C(3000)
#define LEASE    UINT64_C(3000)
#define START    UINT64_C(1000000)
#define ASKED    64u

struct one {
    struct weir_coordinator_agent *agent;
    struct weir_coord_request asked[ASKED];
    uint32_t asked_count;
    char texts[ASKED][2048]; /* taken in turn */
    uint32_t text_last;
    char log[1024];
};

static struct one k[2];
static struct weir_coord_state *store;
static uint64_t now;
static bool away;

static void act(void *arg, const struct weir_coordinator_action *a)
{
    struct one *c = arg;
    size_t len = strlen(c->log);
    if (a->send == NULL) {
        (void)snprintf(c->log + len, sizeof c->log - len, "%s%s", len > 0 ? " " : "",
                       weir_coordinator_note_text(a->note.kind));
        return;
    }
    ck_assert_uint_lt(c->asked_count, ASKED);
    struct weir_coord_request *r = &c->asked[c->asked_count];
    *r = *a->send;
    struct weir_str *text = r->op == WEIR_COORD_PUBLISH ? &r->publish.map
                            : r->op == WEIR_COORD_EVENT ? &r->event
                                                        : NULL;
    if (text != NULL) {
        char *copy = c->texts[c->text_last++ % ASKED];
        ck_assert_uint_lt(text->len, sizeof c->texts[0]);
        memcpy(copy, text->ptr, text->len);
        text->ptr = copy;
    }
    c->asked_count++;
}

static void begin(struct one *c, const char *id)
{
    struct weir_err err;
    struct weir_coordinator_agent_config config = {
        .id = id, .lease_ms = LEASE, .failover_timeout_ms = FAILOVER, .failover = true, .shard_count = 16};
    ck_assert_int_eq(weir_coordinator_agent_new(&c->agent, &config, act, c, now, &err), 0);
    weir_coordinator_agent_contact(c->agent, now, true, NULL);
}

static void setup(void)
{
    memset(k, 0, sizeof k);
    now = START;
    away = false;
    store = weir_coord_state_new();
    ck_assert_ptr_nonnull(store);
    begin(&k[0], "k0");
}

static void teardown(void)
{
    weir_coordinator_agent_free(&k[0].agent);
    weir_coordinator_agent_free(&k[1].agent);
    weir_coord_state_free(&store);
}

static void carry_out(struct one *c)
{
    while (c->asked_count > 0) {
        struct weir_coord_request r = c->asked[0];
        struct weir_coord_reply reply = {.op = r.op, .id = r.id, .sent_ms = r.sent_ms, .word = WEIR_COORD_AWAY};
        if (!away)
            weir_coord_apply(store, now * 1000, &r, &reply, NULL, NULL);
        c->asked_count--;
        memmove(c->asked, c->asked + 1, c->asked_count * sizeof c->asked[0]);
        weir_coordinator_agent_reply(c->agent, now, &reply);
    }
}

static void beat_in(const char *id, enum weir_coord_node_state state, uint64_t epoch_seen)
{
    struct weir_coord_member m = {.instance = 1, .state = state, .weight = 1, .epoch_seen = epoch_seen};
    struct weir_coord_request r = {.op = WEIR_COORD_BEAT, .beat = {.self = &m, .lease_ms = FAILOVER}};
    struct weir_coord_reply reply;
    (void)snprintf(m.id, sizeof m.id, "%s", id);
    weir_coord_apply(store, now * 1000, &r, &reply, NULL, NULL);
}

/* A second at a time; who beats is named by letters. */
static void run(uint64_t seconds, const char *alive)
{
    for (; seconds > 0; seconds--) {
        for (const char *id = alive; *id != '\0'; id++)
            beat_in((char[]){*id, '\0'}, WEIR_NODE_ACTIVE, 0);
        for (int ms = 0; ms < 1000; ms += 10, now += 10)
            for (int i = 0; i < 2; i++)
                if (k[i].agent != NULL) {
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

static uint32_t owned(const char *id)
{
    const struct weir_shard_map *map = look(0).map;
    uint16_t node = weir_shard_map_find(map, weir_str_of(id));
    return node == WEIR_NODE_NOBODY ? 0 : map->nodes[node].shard_count;
}

START_TEST(test_leads_and_publishes)
{
    run(2, "abc");
    ck_assert(look(0).leads);
    ck_assert_ptr_null(look(0).map); /* who beats shall have had the time to */
    run(3, "abc");
    ck_assert_uint_eq(look(0).map->epoch, 1);
    ck_assert_str_eq(look(0).map->leader, "k0");
    ck_assert_uint_eq(owned("a") + owned("b") + owned("c"), 16);
    ck_assert_uint_ge(owned("c"), 5);
    run(10, "abc"); /* nothing has changed: nothing is published */
    ck_assert_uint_eq(look(0).map->epoch, 1);
}
END_TEST

START_TEST(test_above_what_anybody_has_seen)
{
    beat_in("z", WEIR_NODE_ACTIVE, 41);
    run(5, "a");
    ck_assert_uint_ge(look(0).map->epoch, 42);
}
END_TEST

START_TEST(test_a_death_moves_its_shards_only)
{
    run(6, "abc");
    uint32_t a = owned("a"), b = owned("b");
    run(5, "ab");
    ck_assert_uint_eq(owned("c"), 0);
    ck_assert_uint_ge(owned("a"), a);
    ck_assert_uint_ge(owned("b"), b);
    ck_assert_uint_eq(look(0).map->epoch, 2);
}
END_TEST

START_TEST(test_a_draining_one_is_emptied)
{
    run(6, "abc");
    beat_in("c", WEIR_NODE_DRAINING, 0);
    run(1, "ab");
    ck_assert_uint_eq(owned("c"), 0);
}
END_TEST

START_TEST(test_a_standby_takes_over)
{
    begin(&k[1], "k1");
    run(6, "ab");
    ck_assert(look(0).leads && !look(1).leads);
    ck_assert_str_eq(look(1).leader, "k0");
    weir_coordinator_agent_free(&k[0].agent);
    run(4, "ab");
    ck_assert(look(1).leads);
    run(4, "ab");
    ck_assert_uint_eq(look(1).map->epoch, 2); /* once in its own name */
    ck_assert_str_eq(look(1).map->leader, "k1");
}
END_TEST

START_TEST(test_resigning_hands_over_at_once)
{
    begin(&k[1], "k1");
    run(6, "ab");
    weir_coordinator_agent_resign(k[0].agent, now);
    ck_assert(!look(0).leads);
    run(2, "ab");
    ck_assert(look(1).leads);
    run(5, "ab");
    ck_assert(!look(0).leads && !look(0).open);
}
END_TEST

START_TEST(test_the_store_away)
{
    run(6, "abc");
    away = true;
    run(10, "");
    ck_assert(!look(0).leads && !look(0).contact);
    away = false;
    k[0].log[0] = '\0';
    run(8, "abc");
    ck_assert(look(0).leads);
    ck_assert_ptr_null(strstr(k[0].log, "node_lost"));
    ck_assert_uint_gt(owned("c"), 0);
}
END_TEST

START_TEST(test_the_store_restarted_empty)
{
    run(6, "abc");
    uint32_t a = owned("a");
    weir_coord_state_free(&store);
    store = weir_coord_state_new();
    run(6, "abc");
    ck_assert_ptr_nonnull(strstr(k[0].log, "store_anew"));
    ck_assert_uint_eq(look(0).map->epoch, 2); /* the same map again, above what was seen */
    ck_assert_uint_eq(owned("a"), a);
}
END_TEST

CHECK_MAIN("coordinator_agent", setup, teardown, test_leads_and_publishes, test_above_what_anybody_has_seen,
           test_a_death_moves_its_shards_only, test_a_draining_one_is_emptied, test_a_standby_takes_over,
           test_resigning_hands_over_at_once, test_the_store_away, test_the_store_restarted_empty)
