/* What holds of the advice in any order of events: loads, restarts, refusals, gaps, another leader. Simulated time. */
#include <math.h>
#include <string.h>

#include "check_main.h"
#include "core/rng.h"
#include "helper_advisor.h"

#define GAP (WEIR_ADVISOR_LIFE_SLOTS + 1)

/* What has been seen, told by the hints alone. */
static struct {
    bool pain, room, blind; /* room: that is what lacks */
    uint32_t before;        /* desired at the last look */
    uint64_t changed_ms;    /* when the advice was changed; 0: not yet */
    uint64_t fewer_from_ms;
    double fewer_most; /* nodes that were needed since then */
    unsigned ups, downs, hurt_ups;
} seen;
static struct weir_rng rng;

static unsigned chance(unsigned n)
{
    return (unsigned)(weir_rng_next(&rng) % n);
}

/* Nodes that are needed with a tenth to spare; while that is not known, those that are there. */
static double needed(void)
{
    double high = fmax(advised.hints.in_flight.ahead.peak_high, advised.hints.in_flight.now);
    return seen.blind ? advised.nodes : fmax(1, ceil(high * 1.1 / 100));
}

static void note_fewer(bool again)
{
    if (seen.room || needed() >= seen.before)
        seen.fewer_from_ms = 0;
    else if (seen.fewer_from_ms == 0 || again)
        seen.fewer_from_ms = advised.hints.at_ms;
    if (seen.fewer_from_ms == advised.hints.at_ms)
        seen.fewer_most = 0;
    seen.fewer_most = fmax(seen.fewer_most, needed());
}

static bool cooled(uint64_t since_ms)
{
    return since_ms == 0 || advised.hints.at_ms >= since_ms + COOLDOWN_MS;
}

static void check_change(void)
{
    uint32_t is = advised.hints.desired_nodes;
    bool followed = seen.blind && is == advised.nodes && is > seen.before; /* no advice: what is there */
    if (is > seen.before) {
        ck_assert(cooled(seen.changed_ms) || seen.pain);
        seen.ups++;
        seen.hurt_ups += !cooled(seen.changed_ms);
    } else {
        ck_assert(cooled(seen.changed_ms));
        ck_assert_uint_ne(seen.fewer_from_ms, 0);
        ck_assert_uint_ge(advised.hints.at_ms, seen.fewer_from_ms + COOLDOWN_MS);
        ck_assert_double_ge(is, seen.fewer_most);
        seen.downs++;
    }
    if (!followed) {
        ck_assert_uint_eq(advised.hints.since_ms, advised.hints.at_ms);
        seen.changed_ms = advised.hints.at_ms;
        seen.fewer_from_ms = 0;
    }
}

static void check_look(bool again)
{
    const struct weir_hints *h = &advised.hints;
    bool blind = h->safe_concurrency == 0 || weir_load_forecast_seen(advised.forecast) < WEIR_ADVISOR_SEEN_MIN;
    again = again || blind != seen.blind;
    seen.blind = blind;
    note_fewer(again);
    if (seen.before != 0 && h->desired_nodes != seen.before)
        check_change();
    seen.before = h->desired_nodes;
    ck_assert_uint_ge(h->desired_nodes, 1);
    ck_assert((h->action == WEIR_ADVISOR_SCALE_UP) == (h->desired_nodes > h->nodes));
    ck_assert(h->action != WEIR_ADVISOR_SCALE_DOWN || h->desired_nodes < h->nodes);
}

/* Another leader, which has the history, and knows of the advice what was published. */
static void change_leader(void)
{
    struct weir_advisor_config config = advised.advisor.config;
    weir_advisor_init(&advised.advisor, &config);
    weir_advisor_recall(&advised.advisor, advised.hints.desired_nodes, advised.hints.since_ms);
}

static void move_nodes(void)
{
    unsigned what = chance(60);
    if (what < 8)
        advised.nodes = advised.hints.desired_nodes;
    else if (what == 8)
        advised.nodes -= advised.nodes > 1;
    else if (what == 9)
        advised.nodes++;
}

static void run_by_chance(uint64_t slots)
{
    double load = 300, target = 300;
    for (uint64_t i = 0; i < slots; i++) {
        bool gap = chance(200) == 0, other = chance(300) == 0;
        target = chance(70) == 0 ? 20 + chance(1500) : target;
        load += (target - load) * 0.2;
        if (chance(100) == 0)
            advised.advisor.config.safe_concurrency ^= 100;
        if (gap)
            advised.slot += GAP + chance(100);
        if (other)
            change_leader();
        move_nodes();
        struct weir_load_point *p = advised_begin_slot(load * (0.9 + 0.002 * chance(100)));
        p->refused = chance(30) == 0;
        p->hurting = chance(500) == 0;
        advised.last.utilization_pct = chance(150) == 0 ? 90 : 40;
        seen.room = p->hurting > 0 || advised.last.utilization_pct == 90;
        seen.pain = seen.room || p->refused > 0;
        advised_end_slot();
        check_look(gap || other);
    }
}

START_TEST(test_any_order)
{
    unsigned rounds = check_rounds(40), ups = 0, downs = 0, hurt_ups = 0;
    for (unsigned round = 0; round < rounds; round++) {
        advised_end();
        advised_begin();
        memset(&seen, 0, sizeof seen);
        rng.state = round + 1;
        run_by_chance(1500);
        ups += seen.ups;
        downs += seen.downs;
        hurt_ups += seen.hurt_ups;
    }
    ck_assert_uint_gt(ups, rounds * 3); /* all of it did happen */
    ck_assert_uint_gt(downs, rounds * 3);
    ck_assert_uint_gt(hurt_ups, rounds / 4);
}
END_TEST

CHECK_MAIN("advisor_orders", advised_begin, advised_end, test_any_order)
