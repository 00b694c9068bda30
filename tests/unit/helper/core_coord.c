#include "helper/core_coord.h"

#include <check.h>
#include <string.h>

struct weir_coord_member coord_member(const char *id, uint64_t instance)
{
    struct weir_coord_member m = {.instance = instance, .state = WEIR_NODE_ACTIVE, .weight = 1};
    weir_coord_copy(m.id, sizeof m.id, id);
    weir_coord_copy(m.advertise, sizeof m.advertise, "10.0.0.1:7001");
    weir_coord_copy(m.version, sizeof m.version, "0.1.0");
    return m;
}

struct weir_breaker_policy coord_policy(uint32_t threshold)
{
    return (struct weir_breaker_policy){.failure_threshold = threshold,
                                        .recovery_ms = 30000,
                                        .recovery_max_ms = 30000,
                                        .permits = 1,
                                        .permit_ms = 5000,
                                        .window_ms = 60000,
                                        .window_min = 10};
}

struct weir_coord_request coord_beat(const struct weir_coord_member *m)
{
    return (struct weir_coord_request){.op = WEIR_COORD_BEAT, .beat = {.self = m, .lease_ms = COORD_LEASE_MS}};
}

struct weir_coord_request coord_lead(const char *id, uint64_t token, uint64_t lease_ms)
{
    return (struct weir_coord_request){.op = WEIR_COORD_LEAD, .lead = {.id = id, .lease_ms = lease_ms, .token = token}};
}

struct weir_coord_request coord_publish(const char *id, uint64_t token, uint64_t epoch, const char *map)
{
    return (struct weir_coord_request){.op = WEIR_COORD_PUBLISH,
                                       .publish = {.id = id, .token = token, .epoch = epoch, .map = weir_str_of(map)}};
}

struct weir_coord_request coord_report(const char *by, const char *endpoint, uint64_t gen, uint32_t ok, uint32_t fail)
{
    struct weir_coord_request q = {.op = WEIR_COORD_REPORT, .report = {.by = by, .count = 1}};
    q.report.items[0].endpoint = endpoint;
    q.report.items[0].policy = coord_policy(3);
    q.report.items[0].report = (struct weir_breaker_report){.gen = gen,
                                                            .node = (unsigned char)by[0],
                                                            .ok = ok,
                                                            .fail = fail,
                                                            .run = fail,
                                                            .recent_ok = ok,
                                                            .recent_fail = fail};
    return q;
}

struct weir_coord_request coord_tokens(const char *provider, uint32_t limit, uint32_t burst, bool strict, uint32_t want)
{
    struct weir_coord_request q = {.op = WEIR_COORD_TOKENS, .tokens = {.count = 1}};
    q.tokens.items[0] = (struct weir_coord_tokens_item){
        .provider = provider, .limit = limit, .burst = burst, .strict = strict, .want = want};
    return q;
}

void coord_setup(struct coord_fixture *f)
{
    *f = (struct coord_fixture){.state = weir_coord_state_new(), .now_us = UINT64_C(1700000000) * 1000000};
    ck_assert_ptr_nonnull(f->state);
}

void coord_teardown(struct coord_fixture *f)
{
    weir_coord_state_free(&f->state);
}

static void count_push(void *arg, const struct weir_coord_push *push)
{
    struct coord_fixture *f = arg;
    ck_assert_uint_eq(push->now_us, f->now_us);
    f->pushes[push->kind]++;
    f->last = *push;
}

enum weir_coord_word coord_do(struct coord_fixture *f, const struct weir_coord_request *q)
{
    struct weir_coord_request numbered = *q;
    numbered.id = f->reply.id + 1;
    numbered.sent_ms = 77;
    weir_coord_apply(f->state, f->now_us, &numbered, &f->reply, count_push, f);
    ck_assert_uint_eq(f->reply.id, numbered.id);
    ck_assert_uint_eq(f->reply.sent_ms, 77);
    ck_assert_int_eq(f->reply.op, q->op);
    ck_assert_uint_eq(f->reply.now_us, f->now_us);
    ck_assert_msg((f->reply.word == WEIR_COORD_OK) == (f->reply.why[0] == '\0'), "a reason goes with a refusal");
    return f->reply.word;
}

enum weir_coord_word coord_ask(struct coord_fixture *f, enum weir_coord_op op)
{
    struct weir_coord_request q = {.op = op};
    return coord_do(f, &q);
}
