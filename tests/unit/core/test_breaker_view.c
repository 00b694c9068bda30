#include "check_main.h"
#include "core/breaker_view.h"
#include "core/rng.h"

enum { NODES = 4, FLYING_MAX = 64, MAIL_MAX = 64 };

static struct weir_breaker_policy policy;
static struct weir_breaker_view views[NODES];
static struct weir_breaker_state shared;
static struct weir_breaker_reply reply;
static uint64_t now;

/* The store's clock is another one. */
#define STORE_MS (now + UINT64_C(1700000000000))

static void setup(void)
{
    policy = (struct weir_breaker_policy){
        .failure_threshold = 5,
        .recovery_ms = 10000,
        .recovery_max_ms = 10000,
        .permits = 1,
        .permit_ms = 5000,
        .window_ms = 10000,
        .window_min = 20,
    };
    now = 1000000;
    weir_breaker_init(&shared, STORE_MS);
    for (unsigned i = 0; i < NODES; i++)
        weir_breaker_view_init(&views[i], i + 1, now);
}

static void learn(struct weir_breaker_view *v)
{
    struct weir_breaker_sight seen = weir_breaker_look(&shared);
    weir_breaker_view_learn(v, &policy, now, &seen, STORE_MS);
}

static void share_all(void)
{
    for (unsigned i = 0; i < NODES; i++)
        learn(&views[i]);
}

/* Sends what a view owes, at once and without loss. */
static void sync(struct weir_breaker_view *v)
{
    struct weir_breaker_report r;
    if (weir_breaker_view_take(v, now, &r)) {
        weir_breaker_report(&shared, &policy, STORE_MS, &r, &reply);
        learn(v);
        weir_breaker_view_granted(v, now, &r, &reply, STORE_MS);
    }
}

static struct weir_breaker_answer admit(struct weir_breaker_view *v)
{
    return weir_breaker_view_admit(v, &policy, now, &reply);
}

static void done(struct weir_breaker_view *v, const struct weir_breaker_ticket *t, enum weir_breaker_verdict verdict)
{
    weir_breaker_view_done(v, &policy, now, t, verdict, 0, &reply);
}

/* One request from admit to done; whether it went out. */
static bool request(struct weir_breaker_view *v, enum weir_breaker_verdict verdict)
{
    struct weir_breaker_answer a = admit(v);
    if (a.word == WEIR_BREAKER_ADMIT)
        done(v, &a.ticket, verdict);
    return a.word == WEIR_BREAKER_ADMIT;
}

static void fail_often(struct weir_breaker_view *v)
{
    for (int i = 0; i < 5; i++)
        ck_assert(request(v, WEIR_BREAKER_FAILURE));
}

START_TEST(test_alone)
{
    struct weir_breaker_view *v = &views[0];
    bool urgent;
    fail_often(v);
    ck_assert_uint_eq(reply.event_count, 1);
    ck_assert_int_eq(reply.events[0].kind, WEIR_BREAKER_IS_OPENED);
    now += 3000;
    struct weir_breaker_answer a = admit(v);
    ck_assert_int_eq(a.word, WEIR_BREAKER_REFUSE_OPEN);
    ck_assert_uint_eq(a.wait_ms, 7000);
    ck_assert(!weir_breaker_view_may_admit(v, &policy, now));
    now += 7000;
    ck_assert(weir_breaker_view_may_admit(v, &policy, now));
    a = admit(v);
    ck_assert_int_eq(a.word, WEIR_BREAKER_ADMIT);
    ck_assert_int_eq(reply.events[0].kind, WEIR_BREAKER_IS_HALF_OPENED);
    ck_assert(!weir_breaker_view_may_admit(v, &policy, now));
    ck_assert_int_eq(admit(v).word, WEIR_BREAKER_REFUSE_HALF_OPEN);
    now += 4999;
    ck_assert(!weir_breaker_view_may_admit(v, &policy, now));
    done(v, &a.ticket, WEIR_BREAKER_SUCCESS);
    ck_assert_int_eq(weir_breaker_view_look(v, now).phase, WEIR_BREAKER_CLOSED);
    ck_assert(request(v, WEIR_BREAKER_SUCCESS));
    ck_assert(!weir_breaker_view_owes(v, &urgent) && !urgent); /* nobody to tell */
}
END_TEST

START_TEST(test_cooling)
{
    struct weir_breaker_view *v = &views[0];
    share_all();
    struct weir_breaker_answer a = admit(v);
    weir_breaker_view_done(v, &policy, now, &a.ticket, WEIR_BREAKER_NEITHER, 8000, &reply);
    a = admit(v);
    ck_assert_int_eq(a.word, WEIR_BREAKER_REFUSE_COOLING);
    ck_assert_uint_eq(a.wait_ms, 8000);
    now += 1000;
    sync(v);
    ck_assert_uint_eq(shared.cooldown_until_ms, STORE_MS + 7000);
    learn(&views[1]);
    a = admit(&views[1]);
    ck_assert_int_eq(a.word, WEIR_BREAKER_REFUSE_COOLING);
    ck_assert_uint_eq(a.wait_ms, 7000);
    now += 7000;
    ck_assert(request(&views[1], WEIR_BREAKER_SUCCESS));
    ck_assert(request(v, WEIR_BREAKER_SUCCESS));
}
END_TEST

START_TEST(test_one_opens_it_for_all)
{
    bool urgent;
    share_all();
    ck_assert(request(&views[0], WEIR_BREAKER_FAILURE));
    ck_assert(weir_breaker_view_owes(&views[0], &urgent) && !urgent); /* a batch's worth can wait */
    for (int i = 0; i < 4; i++)
        ck_assert(request(&views[0], WEIR_BREAKER_FAILURE));
    ck_assert(weir_breaker_view_owes(&views[0], &urgent) && urgent);
    ck_assert_int_eq(admit(&views[0]).word, WEIR_BREAKER_REFUSE_OPEN); /* without waiting for the store */
    sync(&views[0]);
    ck_assert_int_eq(shared.phase, WEIR_BREAKER_OPEN);
    learn(&views[1]);
    ck_assert_int_eq(admit(&views[1]).word, WEIR_BREAKER_REFUSE_OPEN);
    ck_assert_uint_eq(admit(&views[1]).wait_ms, 10000);
}
END_TEST

START_TEST(test_failures_of_several_add_up)
{
    share_all();
    for (unsigned i = 0; i < 3; i++) {
        for (int k = 0; k < 2; k++)
            ck_assert(request(&views[i], WEIR_BREAKER_FAILURE));
        sync(&views[i]);
    }
    ck_assert_int_eq(shared.phase, WEIR_BREAKER_OPEN);
}
END_TEST

START_TEST(test_a_probe_needs_a_shared_permit)
{
    bool urgent;
    share_all();
    fail_often(&views[0]);
    sync(&views[0]);
    share_all();
    now += 10000;
    ck_assert_int_eq(admit(&views[1]).word, WEIR_BREAKER_REFUSE_ASKED);
    ck_assert(weir_breaker_view_owes(&views[1], &urgent) && urgent);
    sync(&views[1]);
    ck_assert_int_eq(shared.phase, WEIR_BREAKER_HALF_OPEN);
    for (int i = 0; i < 2; i++) { /* it asks once in each phase that it sees */
        ck_assert_int_eq(admit(&views[2]).word, WEIR_BREAKER_REFUSE_ASKED);
        sync(&views[2]);
    }
    ck_assert_int_eq(admit(&views[2]).word, WEIR_BREAKER_REFUSE_HALF_OPEN); /* the only one is given */
    struct weir_breaker_answer a = admit(&views[1]);
    ck_assert_int_eq(a.word, WEIR_BREAKER_ADMIT);
    ck_assert_int_eq(admit(&views[1]).word, WEIR_BREAKER_REFUSE_ASKED);
    done(&views[1], &a.ticket, WEIR_BREAKER_SUCCESS);
    sync(&views[1]);
    ck_assert_int_eq(shared.phase, WEIR_BREAKER_CLOSED);
    share_all();
    for (unsigned i = 0; i < NODES; i++)
        ck_assert(request(&views[i], WEIR_BREAKER_SUCCESS));
}
END_TEST

START_TEST(test_asks_once_until_answered)
{
    share_all();
    fail_often(&views[0]);
    sync(&views[0]);
    now += 10000;
    struct weir_breaker_report r;
    admit(&views[0]);
    ck_assert(weir_breaker_view_take(&views[0], now, &r)); /* and lost on the way */
    ck_assert_uint_eq(r.want, 1);
    admit(&views[0]);
    ck_assert(!weir_breaker_view_may_admit(&views[0], &policy, now));
    ck_assert(!weir_breaker_view_take(&views[0], now, &r));
    now += WEIR_BREAKER_ASK_MS;
    ck_assert(weir_breaker_view_may_admit(&views[0], &policy, now));
    admit(&views[0]);
    ck_assert(weir_breaker_view_take(&views[0], now, &r));
    ck_assert_uint_eq(r.want, 1);
}
END_TEST

/* One node's network is broken: its own circuit opens and heals, the others' does not. */
START_TEST(test_a_broken_node_keeps_to_itself)
{
    share_all();
    for (int i = 0; i < 3; i++)
        ck_assert(request(&views[1], WEIR_BREAKER_SUCCESS));
    sync(&views[1]);
    fail_often(&views[0]);
    sync(&views[0]);
    ck_assert_int_eq(shared.phase, WEIR_BREAKER_CLOSED);
    ck_assert_int_eq(admit(&views[0]).word, WEIR_BREAKER_REFUSE_OPEN);
    ck_assert_int_eq(weir_breaker_view_look(&views[0], now).phase, WEIR_BREAKER_OPEN);
    ck_assert(request(&views[1], WEIR_BREAKER_SUCCESS));
    now += 10000;
    ck_assert(request(&views[0], WEIR_BREAKER_SUCCESS));
    ck_assert_int_eq(weir_breaker_view_look(&views[0], now).phase, WEIR_BREAKER_CLOSED);
}
END_TEST

START_TEST(test_the_store_goes_away)
{
    share_all();
    fail_often(&views[0]);
    sync(&views[0]);
    share_all();
    now += 1000;
    weir_breaker_view_alone(&views[1], now);
    ck_assert_uint_eq(admit(&views[1]).wait_ms, 9000); /* the last known open circuit is kept */
    now += 9000;
    struct weir_breaker_answer a = admit(&views[1]);
    ck_assert_int_eq(a.word, WEIR_BREAKER_ADMIT);
    ck_assert_int_eq(admit(&views[1]).word, WEIR_BREAKER_REFUSE_HALF_OPEN);
    done(&views[1], &a.ticket, WEIR_BREAKER_FAILURE);
    ck_assert_uint_eq(admit(&views[1]).wait_ms, 10000);
    /* It is back, emptied: generations begin anew, and the own circuit is what is known. */
    weir_breaker_init(&shared, STORE_MS);
    learn(&views[1]);
    ck_assert_uint_eq(admit(&views[1]).wait_ms, 10000);
}
END_TEST

START_TEST(test_older_news_are_ignored)
{
    share_all();
    struct weir_breaker_sight old = weir_breaker_look(&shared);
    fail_often(&views[0]);
    sync(&views[0]);
    weir_breaker_view_learn(&views[0], &policy, now, &old, STORE_MS);
    ck_assert_int_eq(weir_breaker_view_look(&views[0], now).phase, WEIR_BREAKER_OPEN);
    ck_assert_int_eq(admit(&views[0]).word, WEIR_BREAKER_REFUSE_OPEN);
}
END_TEST

/* The sick endpoint under load of all nodes: one probe per recovery timeout, and back within one once it is well. */
START_TEST(test_the_stores_clock_is_set_back)
{
    struct weir_breaker_sight seen = {WEIR_BREAKER_OPEN, 2, STORE_MS + 3600000, 0};
    weir_breaker_view_learn(&views[0], &policy, now, &seen, STORE_MS);
    ck_assert_uint_eq(weir_breaker_view_look(&views[0], now).open_until_ms, now + policy.recovery_max_ms);
}
END_TEST

START_TEST(test_one_probe_per_recovery_timeout)
{
    unsigned asked = 0, served = 0;
    share_all();
    for (unsigned ms = 0; ms < 105000; ms++, now++) {
        struct weir_breaker_view *v = &views[ms % NODES];
        asked += request(v, WEIR_BREAKER_FAILURE);
        sync(v);
        if (ms % 5 == 0)
            share_all();
    }
    ck_assert_uint_ge(asked, 5 + 9);
    ck_assert_uint_le(asked, 5 * NODES + 10);
    for (unsigned ms = 0; ms < 10100; ms++, now++) {
        struct weir_breaker_view *v = &views[ms % NODES];
        served = request(v, WEIR_BREAKER_SUCCESS) ? served + 1 : 0;
        sync(v);
        if (ms % 5 == 0)
            share_all();
    }
    ck_assert_uint_gt(served, 0); /* without a refusal at the end */
}
END_TEST

/* -- random events: the invariants hold, and with the faults off it comes back -- */

static struct flying {
    bool used;
    unsigned node;
    struct weir_breaker_ticket ticket;
} flying[FLYING_MAX];

static struct {
    bool used;
    struct weir_breaker_report report;
} mail[MAIL_MAX];

/* By generation of the ticket: what may have been counted in it. */
enum { GENS = 4096 };
static uint64_t ended_ok[GENS], ended_fail[GENS];

static uint64_t last_gen;
static enum weir_breaker_phase last_phase;

/* Check's own assertions write to a pipe each; these are too many for that. */
#define hold(what)                                         \
    do {                                                   \
        if (!(what))                                       \
            ck_abort_msg("step %u: not: " #what, at_step); \
    } while (0)

static unsigned at_step;

static void check_invariants(void)
{
    hold(shared.gen >= last_gen);
    hold(shared.gen < GENS);
    hold(shared.gen != last_gen || shared.phase == last_phase);
    last_gen = shared.gen;
    last_phase = shared.phase;
    if (shared.phase == WEIR_BREAKER_HALF_OPEN)
        hold(shared.permit_count + shared.probes_ok <= policy.permits);
    else
        hold(shared.permit_count == 0);
    for (uint32_t i = 0; i < WEIR_BREAKER_PERMITS_MAX; i++) {
        hold((shared.permits[i].id != 0) == (i < shared.permit_count));
        hold(shared.permits[i].id <= shared.permit_last);
        for (uint32_t k = 0; k < i && i < shared.permit_count; k++)
            hold(shared.permits[i].id != shared.permits[k].id);
    }
    struct weir_breaker_counts c = weir_breaker_window(&shared, &policy, STORE_MS);
    hold(c.ok <= ended_ok[shared.gen]);
    hold(c.fail <= ended_fail[shared.gen]);
    hold(shared.run <= ended_fail[shared.gen]);
    unsigned probes = 0;
    for (unsigned i = 0; i < FLYING_MAX; i++)
        for (uint32_t k = 0; k < shared.permit_count; k++)
            probes += flying[i].used && flying[i].ticket.permit == shared.permits[k].id;
    hold(probes <= policy.permits);
}

static void start_one(struct weir_rng *rng)
{
    unsigned node = (unsigned)(weir_rng_next(rng) % NODES);
    for (unsigned i = 0; i < FLYING_MAX; i++)
        if (!flying[i].used) {
            struct weir_breaker_answer a = admit(&views[node]);
            if (a.word == WEIR_BREAKER_ADMIT)
                flying[i] = (struct flying){true, node, a.ticket};
            return;
        }
}

static void end_one(struct weir_rng *rng, unsigned well_percent)
{
    struct flying *f = &flying[weir_rng_next(rng) % FLYING_MAX];
    uint64_t roll = weir_rng_next(rng) % 100;
    enum weir_breaker_verdict verdict = roll < well_percent ? WEIR_BREAKER_SUCCESS : WEIR_BREAKER_FAILURE;
    if (!f->used)
        return;
    f->used = false;
    if (weir_rng_next(rng) % 50 == 0)
        return; /* never heard of again */
    if (weir_rng_next(rng) % 20 == 0)
        verdict = WEIR_BREAKER_NEITHER;
    if (f->ticket.permit == 0) {
        ended_ok[f->ticket.gen] += verdict == WEIR_BREAKER_SUCCESS;
        ended_fail[f->ticket.gen] += verdict == WEIR_BREAKER_FAILURE;
    }
    done(&views[f->node], &f->ticket, verdict);
}

static void post_one(struct weir_rng *rng)
{
    struct weir_breaker_report r;
    if (!weir_breaker_view_take(&views[weir_rng_next(rng) % NODES], now, &r))
        return;
    for (unsigned i = 0; i < MAIL_MAX && weir_rng_next(rng) % 20 != 0; i++) /* one in many is lost */
        if (!mail[i].used) {
            mail[i].used = true;
            mail[i].report = r;
            return;
        }
}

/* A report of another generation may ask for permits, no more. */
static void check_unmoved(const struct weir_breaker_state *before)
{
    if (shared.gen != before->gen) {
        hold(before->phase == WEIR_BREAKER_OPEN && shared.phase == WEIR_BREAKER_HALF_OPEN);
        return;
    }
    hold(shared.run == before->run && shared.probes_ok == before->probes_ok);
    hold(memcmp(shared.buckets, before->buckets, sizeof shared.buckets) == 0);
    hold(memcmp(shared.witnesses, before->witnesses, sizeof shared.witnesses) == 0);
}

static void deliver_one(struct weir_rng *rng)
{
    unsigned i = (unsigned)(weir_rng_next(rng) % MAIL_MAX); /* not in their order */
    if (!mail[i].used)
        return;
    struct weir_breaker_view *v = &views[mail[i].report.node - 1];
    mail[i].used = weir_rng_next(rng) % 30 == 0; /* some arrive twice; their counts then do, too */
    if (mail[i].used && mail[i].report.gen < GENS) {
        ended_ok[mail[i].report.gen] += mail[i].report.ok;
        ended_fail[mail[i].report.gen] += mail[i].report.fail;
    }
    struct weir_breaker_state before = shared;
    weir_breaker_report(&shared, &policy, STORE_MS, &mail[i].report, &reply);
    if (mail[i].report.gen != before.gen)
        check_unmoved(&before);
    if (weir_rng_next(rng) % 10 != 0) {
        learn(v);
        weir_breaker_view_granted(v, now, &mail[i].report, &reply, STORE_MS);
    }
}

static void run_random(uint64_t seed)
{
    struct weir_rng rng = {seed};
    unsigned well = 100;
    setup();
    policy.permits = 1 + (uint32_t)(seed % 3);
    policy.rate_ppm = seed % 2 != 0 ? WEIR_BREAKER_PPM / 2 : 0;
    policy.recovery_ms = seed % 4 < 2 ? 100 : 10000; /* short: reports of a generation come two later */
    policy.recovery_max_ms = seed % 5 == 0 ? 4 * policy.recovery_ms : policy.recovery_ms;
    memset(flying, 0, sizeof flying);
    memset(mail, 0, sizeof mail);
    memset(ended_ok, 0, sizeof ended_ok);
    memset(ended_fail, 0, sizeof ended_fail);
    last_gen = 0;
    share_all();
    for (at_step = 0; at_step < 20000; at_step++) {
        uint64_t roll = weir_rng_next(&rng) % 100;
        if (roll < 30)
            start_one(&rng);
        else if (roll < 60)
            end_one(&rng, well);
        else if (roll < 70)
            post_one(&rng);
        else if (roll < 85)
            deliver_one(&rng);
        else if (roll < 90)
            learn(&views[weir_rng_next(&rng) % NODES]);
        else if (roll < 99)
            now += weir_rng_next(&rng) % 200;
        else
            well = weir_rng_next(&rng) % 3 == 0 ? 0 : (unsigned)(weir_rng_next(&rng) % 101);
        check_invariants();
    }
    /* All faults off: within a wait, a permit's life and some, everybody is let through. */
    uint64_t end = now + policy.recovery_max_ms + policy.permit_ms * 2 + 5 * WEIR_BREAKER_ASK_MS;
    for (; now < end; now += 10)
        for (unsigned i = 0; i < NODES; i++) {
            request(&views[i], WEIR_BREAKER_SUCCESS);
            sync(&views[i]);
            learn(&views[i]);
        }
    for (unsigned i = 0; i < NODES; i++)
        ck_assert_int_eq(admit(&views[i]).word, WEIR_BREAKER_ADMIT);
}

START_TEST(test_random_events)
{
    for (uint64_t seed = 1; seed <= check_rounds(30); seed++)
        run_random(seed);
}
END_TEST

CHECK_MAIN("breaker_view", setup, NULL, test_alone, test_cooling, test_one_opens_it_for_all,
           test_failures_of_several_add_up, test_a_probe_needs_a_shared_permit, test_asks_once_until_answered,
           test_a_broken_node_keeps_to_itself, test_the_store_goes_away, test_older_news_are_ignored,
           test_the_stores_clock_is_set_back, test_one_probe_per_recovery_timeout, test_random_events)
