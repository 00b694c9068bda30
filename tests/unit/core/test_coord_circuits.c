#include <stdio.h>

#include "check_main.h"
#include "helper/core_coord.h"

#define E "https://api.example.com:443"

static struct coord_fixture f;

static void setup(void)
{
    coord_setup(&f);
}

static void teardown(void)
{
    coord_teardown(&f);
}

static void report(const struct weir_coord_request *q)
{
    ck_assert_int_eq(coord_do(&f, q), WEIR_COORD_OK);
    ck_assert_uint_eq(f.reply.report.count, q->report.count);
}

static void say(const char *by, uint64_t gen, uint32_t ok, uint32_t fail)
{
    struct weir_coord_request q = coord_report(by, E, gen, ok, fail);
    report(&q);
}

static uint32_t changed_since(uint64_t version)
{
    struct weir_coord_request q = {.op = WEIR_COORD_CIRCUITS, .circuits_since = version};
    coord_do(&f, &q);
    return f.reply.circuits.count;
}

START_TEST(test_failures_of_several_nodes_add_up)
{
    say("a", 0, 0, 0);
    ck_assert_uint_eq(f.reply.report.items[0].sight.gen, 1);
    ck_assert_uint_eq(changed_since(0), 1);
    uint64_t version = f.reply.circuits.version;
    say("a", 1, 0, 1);
    say("b", 1, 0, 1);
    ck_assert_uint_eq(changed_since(version), 0);
    ck_assert_uint_eq(f.pushes[WEIR_COORD_PUSH_CIRCUIT], 0);
    say("c", 1, 0, 1);
    ck_assert_int_eq(f.reply.report.items[0].sight.phase, WEIR_BREAKER_OPEN);
    ck_assert_uint_eq(f.reply.report.items[0].reply.event_count, 1);
    ck_assert_uint_eq(f.pushes[WEIR_COORD_PUSH_CIRCUIT], 1);
    ck_assert_str_eq(f.last.circuit.by, "c");
    ck_assert_str_eq(f.last.circuit.endpoint, E);
    ck_assert_uint_eq(changed_since(version), 1);
    ck_assert_uint_eq(f.reply.circuits.at[0].since_ms, f.now_us / 1000);
    ck_assert_uint_eq(f.reply.circuits.at[0].sight.open_until_ms, f.now_us / 1000 + 30000);
    ck_assert_uint_eq(f.reply.circuits.at[0].version, f.reply.circuits.version);
}
END_TEST

START_TEST(test_one_probe_for_the_whole_cluster)
{
    say("a", 0, 0, 0);
    say("a", 1, 0, 3);
    f.now_us += 30 * 1000 * 1000;
    struct weir_coord_request q = coord_report("b", E, 2, 0, 0);
    q.report.items[0].report.want = 1;
    report(&q);
    ck_assert_int_eq(f.reply.report.items[0].sight.phase, WEIR_BREAKER_HALF_OPEN);
    ck_assert_uint_eq(f.reply.report.items[0].reply.permit_count, 1);
    uint64_t permit = f.reply.report.items[0].reply.permits[0].id;
    ck_assert_str_eq(f.last.circuit.by, "b");
    q = coord_report("a", E, 3, 0, 0);
    q.report.items[0].report.want = 4;
    report(&q);
    ck_assert_uint_eq(f.reply.report.items[0].reply.permit_count, 0);
    q = coord_report("b", E, 3, 0, 0);
    q.report.items[0].report.probe_count = 1;
    q.report.items[0].report.probes[0].permit = permit;
    q.report.items[0].report.probes[0].verdict = WEIR_BREAKER_SUCCESS;
    report(&q);
    ck_assert_int_eq(f.reply.report.items[0].sight.phase, WEIR_BREAKER_CLOSED);
}
END_TEST

START_TEST(test_a_cooldown_is_told_without_a_new_phase)
{
    say("a", 0, 0, 0);
    struct weir_coord_request q = coord_report("b", E, 1, 0, 0);
    q.report.items[0].report.cooldown_ms = 2000;
    report(&q);
    ck_assert_uint_eq(f.pushes[WEIR_COORD_PUSH_CIRCUIT], 1);
    ck_assert_uint_eq(f.last.circuit.sight.cooldown_until_ms, f.now_us / 1000 + 2000);
    ck_assert_uint_eq(f.last.circuit.sight.gen, 1);
    ck_assert_str_eq(f.last.circuit.by, "");
    q.report.items[0].report.cooldown_ms = 1000;
    report(&q);
    ck_assert_uint_eq(f.pushes[WEIR_COORD_PUSH_CIRCUIT], 1);
}
END_TEST

START_TEST(test_a_batch_is_answered_in_its_order)
{
    struct weir_coord_request q = coord_report("a", "http://e-0:80", 0, 0, 0);
    char names[WEIR_COORD_BATCH][32];
    q.report.count = WEIR_COORD_BATCH;
    for (unsigned i = 0; i < WEIR_COORD_BATCH; i++) {
        q.report.items[i] = q.report.items[0];
        snprintf(names[i], sizeof names[i], "http://e-%u:80", i);
        q.report.items[i].endpoint = names[i];
    }
    report(&q);
    for (unsigned i = 0; i < WEIR_COORD_BATCH; i++) {
        q.report.items[i].report.gen = f.reply.report.items[i].sight.gen;
        q.report.items[i].report.fail = q.report.items[i].report.run = i % 2 * 3;
    }
    report(&q);
    for (unsigned i = 0; i < WEIR_COORD_BATCH; i++)
        ck_assert_int_eq(f.reply.report.items[i].sight.phase, i % 2 ? WEIR_BREAKER_OPEN : WEIR_BREAKER_CLOSED);
    ck_assert_uint_eq(changed_since(WEIR_COORD_BATCH), WEIR_COORD_BATCH / 2);
    for (unsigned i = 1; i < WEIR_COORD_BATCH / 2; i++)
        ck_assert_uint_eq(f.reply.circuits.at[i].version, f.reply.circuits.at[i - 1].version + 1);
}
END_TEST

START_TEST(test_the_circuit_that_changed_least_recently_makes_room)
{
    char name[32];
    for (unsigned i = 0; i < WEIR_COORD_CIRCUITS_MAX; i++) {
        snprintf(name, sizeof name, "http://e-%u:80", i);
        struct weir_coord_request q = coord_report("a", name, 0, 0, 0);
        report(&q);
    }
    struct weir_coord_request first = coord_report("a", "http://e-0:80", 1, 0, 3);
    report(&first);
    struct weir_coord_request more = coord_report("a", "http://more:80", 0, 0, 0);
    report(&more);
    ck_assert_uint_eq(changed_since(0), WEIR_COORD_CIRCUITS_MAX);
    ck_assert_str_eq(f.reply.circuits.at[0].endpoint, "http://e-2:80");
    ck_assert_str_eq(f.reply.circuits.at[WEIR_COORD_CIRCUITS_MAX - 2].endpoint, "http://e-0:80");
    /* The one that had to go begins above all that nodes may know of it. */
    struct weir_coord_request again = coord_report("a", "http://e-1:80", 0, 0, 0);
    report(&again);
    ck_assert_uint_gt(f.reply.report.items[0].sight.gen, WEIR_COORD_CIRCUITS_MAX);
}
END_TEST

/* A store that was frozen carries out what waited for it: nobody would use the permit, and none is given. */
START_TEST(test_no_permit_for_who_waits_no_more)
{
    say("a", 0, 0, 0);
    say("a", 1, 0, 3);
    f.now_us += UINT64_C(30000000);
    struct weir_coord_request q = coord_report("a", E, 2, 0, 0);
    q.report.items[0].report.want = 1;
    q.report.grant_until_ms = f.now_us / 1000 - 1;
    report(&q);
    ck_assert_uint_eq(f.reply.report.items[0].reply.permit_count, 0);
    ck_assert_int_eq(f.reply.report.items[0].sight.phase, WEIR_BREAKER_OPEN);
    q.report.grant_until_ms = f.now_us / 1000;
    report(&q);
    ck_assert_uint_eq(f.reply.report.items[0].reply.permit_count, 1);
    ck_assert_int_eq(f.reply.report.items[0].sight.phase, WEIR_BREAKER_HALF_OPEN);
}
END_TEST

CHECK_MAIN("coord_circuits", setup, teardown, test_failures_of_several_nodes_add_up,
           test_one_probe_for_the_whole_cluster, test_a_cooldown_is_told_without_a_new_phase,
           test_a_batch_is_answered_in_its_order, test_the_circuit_that_changed_least_recently_makes_room,
           test_no_permit_for_who_waits_no_more)
