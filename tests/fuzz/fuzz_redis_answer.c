/* What scripts answer and publish, as anybody could make it up who is taken for the store: each answer and push is
 * refused, or is one that keeps what core/coord.h says. The first byte says which: 'a' a push, then the requests in
 * their order ('b' BEAT); the second, for how many items. A push follows as text, an answer as the server sends it. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "store/pairs.h"
#include "store/redis_ask.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* More than there can be in one request. */
#define ASKED_MAX (WEIR_COORD_BATCH + 4)
/* An answer is copied, and its lists have wider elements than the reply. */
#define ARENA_BYTES_MAX (8 * WEIR_REDIS_REPLY_BYTES_MAX)

static void check_id(const char *id)
{
    assert(id[0] == '\0' || weir_coord_id_valid(weir_str_of(id)));
}

static void check_number(uint64_t n)
{
    assert(n <= WEIR_STORE_NUMBER_MAX);
}

static void check_line(const char *text)
{
    for (; *text != '\0'; text++)
        assert((unsigned char)*text >= ' ');
}

/* Reads all of it. */
static void check_text(struct weir_str s, size_t max)
{
    char *copy = malloc(s.len + 1);
    assert(s.len <= max && copy != NULL);
    if (s.len > 0)
        memcpy(copy, s.ptr, s.len);
    free(copy);
}

static void check_members(const struct weir_coord_members_reply *r)
{
    assert(r->count <= WEIR_CLUSTER_NODES_MAX);
    for (uint32_t i = 0; i < r->count; i++) {
        const struct weir_coord_member *m = &r->at[i];
        assert(weir_coord_id_valid(weir_str_of(m->id)) && (i == 0 || strcmp(m[-1].id, m->id) < 0));
        assert(m->state <= WEIR_NODE_DRAINING && strlen(m->advertise) <= WEIR_ADVERTISE_MAX);
        assert(strlen(m->version) <= WEIR_VERSION_TEXT_MAX);
        check_line(m->advertise);
        check_number(m->instance);
        check_number(m->age_ms);
    }
}

static void check_circuit(const struct weir_coord_circuit *c)
{
    assert(c->endpoint[0] != '\0' && strlen(c->endpoint) <= WEIR_ENDPOINT_ID_MAX);
    assert(strlen(c->by) <= WEIR_NODE_ID_MAX && c->sight.phase <= WEIR_BREAKER_HALF_OPEN);
    check_line(c->endpoint);
    check_number(c->sight.gen);
    check_number(c->sight.open_until_ms);
    check_number(c->version);
}

static void check_report(const struct weir_coord_report_reply *r, uint32_t asked)
{
    assert(r->count == asked && asked <= WEIR_COORD_BATCH);
    for (uint32_t i = 0; i < r->count; i++) {
        assert(r->items[i].reply.permit_count <= WEIR_BREAKER_BATCH);
        assert(r->items[i].reply.event_count <= WEIR_BREAKER_EVENTS_MAX);
        for (uint32_t n = 0; n < r->items[i].reply.event_count; n++)
            assert(weir_breaker_event_label(r->items[i].reply.events[n].kind) != NULL);
    }
}

static void check_entries(const struct weir_coord_entries_reply *r)
{
    assert(r->count <= WEIR_COORD_ENTRIES_MAX && r->upto <= r->newest);
    for (uint32_t i = 0; i < r->count; i++) {
        assert(r->at[i].id <= r->upto && (i == 0 || r->at[i - 1].id < r->at[i].id));
        assert(weir_coord_is_record(r->at[i].text));
    }
}

static void check_lists(const struct weir_coord_reply *r, uint32_t asked)
{
    if (r->op == WEIR_COORD_MEMBERS) {
        check_members(&r->members);
    } else if (r->op == WEIR_COORD_REPORT) {
        check_report(&r->report, asked);
    } else if (r->op == WEIR_COORD_CIRCUITS) {
        assert(r->circuits.count <= WEIR_COORD_CIRCUITS_MAX);
        for (uint32_t i = 0; i < r->circuits.count; i++)
            check_circuit(&r->circuits.at[i]);
    } else if (r->op == WEIR_COORD_TOKENS) {
        assert(r->tokens.count == asked && asked <= WEIR_COORD_BATCH);
    } else if (r->op == WEIR_COORD_EVENTS) {
        assert(r->events.count <= WEIR_COORD_EVENTS_KEPT);
        for (uint32_t i = 0; i < r->events.count; i++)
            assert(weir_coord_is_object(r->events.at[i]));
    } else if (r->op == WEIR_COORD_LOADS || r->op == WEIR_COORD_SERIES) {
        check_entries(&r->entries);
    }
}

static void check_led(const struct weir_coord_led *l)
{
    check_id(l->leader);
    check_number(l->token);
    check_number(l->left_ms);
}

static void check_rest(const struct weir_coord_reply *r)
{
    if (r->op == WEIR_COORD_BEAT) {
        check_id(r->beat.map_leader);
        assert(strlen(r->beat.secret) <= WEIR_PEER_SECRET_MAX);
        check_number(r->beat.incarnation);
        check_number(r->beat.advice_version);
        check_led(&r->beat.led);
    } else if (r->op == WEIR_COORD_MAP) {
        check_id(r->map.leader);
        check_text(r->map.map, WEIR_COORD_MAP_MAX);
        check_led(&r->map.led);
    } else if (r->op == WEIR_COORD_LEAD || r->op == WEIR_COORD_PUBLISH) {
        check_id(r->lead.led.leader);
        check_number(r->lead.led.token);
    } else if (r->op == WEIR_COORD_ADVICE) {
        check_id(r->advice.leader);
        check_text(r->advice.hints, WEIR_COORD_HINTS_MAX);
        check_text(r->advice.analytics, WEIR_COORD_ANALYTICS_MAX);
        assert(r->advice.hints.len == 0 || weir_coord_is_object(r->advice.hints));
    }
}

static void check_answer(enum weir_coord_op op, uint32_t asked, const struct weir_redis_reply *from)
{
    struct weir_arena arena = {0};
    struct weir_coord_reply r = {.op = op, .id = 4, .sent_ms = 5};
    weir_redis_answer(&r, asked, &arena, from);
    assert(r.op == op && r.id == 4 && r.sent_ms == 5 && weir_coord_word_text(r.word)[0] != '\0');
    assert((r.word == WEIR_COORD_OK) == (r.why[0] == '\0'));
    check_line(r.why);
    check_number(r.now_us);
    if (r.word == WEIR_COORD_OK)
        check_lists(&r, asked);
    if (r.word == WEIR_COORD_OK || (r.word == WEIR_COORD_STALE && op != WEIR_COORD_ADVICE && op != WEIR_COORD_MAP))
        check_rest(&r);
    assert(arena.bytes_total <= ARENA_BYTES_MAX);
    weir_arena_reset(&arena);
}

static void answer(enum weir_coord_op op, uint32_t asked, const uint8_t *data, size_t size)
{
    struct weir_redis_reader reader;
    const struct weir_redis_reply *reply = NULL;
    struct weir_err err;
    int code = weir_redis_reader_init(&reader);
    assert(code == WEIR_OK);
    code = weir_redis_reader_feed(&reader, data, size, &err);
    if (code == WEIR_OK && weir_redis_reader_next(&reader, &reply, &err) == WEIR_OK && reply != NULL)
        check_answer(op, asked, reply);
    weir_redis_reader_close(&reader);
}

static void check_push(const struct weir_coord_push *p)
{
    check_number(p->now_us);
    if (p->kind == WEIR_COORD_PUSH_CIRCUIT) {
        check_circuit(&p->circuit);
    } else if (p->kind == WEIR_COORD_PUSH_CHECKED) {
        assert(weir_coord_id_valid(weir_str_of(p->checked.node)));
        check_line(p->checked.endpoint);
        check_line(p->checked.why);
    } else if (p->kind == WEIR_COORD_PUSH_EVENT) {
        assert(weir_coord_is_object(p->event));
    } else {
        assert(p->kind < WEIR_COORD_PUSH_KINDS);
        check_number(p->map_epoch);
    }
}

/* Which of `of` a byte stands for, the first of them being `first`. */
static unsigned letter(uint8_t byte, char first, unsigned of)
{
    return (byte + (of - 1) * (unsigned)first) % of;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    unsigned which = letter(data[0], 'a', WEIR_COORD_OPS + 1);
    size_t n = size - 2;
    char *copy = malloc(n > 0 ? n : 1); /* of exactly this size, so that the sanitizer sees a byte too far */
    assert(copy != NULL);
    memcpy(copy, data + 2, n);
    if (which > 0) {
        answer((enum weir_coord_op)(which - 1), letter(data[1], '0', ASKED_MAX), (const uint8_t *)copy, n);
    } else {
        struct weir_arena arena = {0};
        struct weir_coord_push push;
        if (weir_redis_push(&push, &arena, (struct weir_str){copy, n}))
            check_push(&push);
        weir_arena_reset(&arena);
    }
    free(copy);
    return 0;
}
