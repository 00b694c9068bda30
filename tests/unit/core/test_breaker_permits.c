/* What a view keeps and tells aside from single outcomes: successes added up elsewhere, and permits kept for later. */
#include "check_main.h"
#include "core/breaker_view.h"

static struct weir_breaker_policy policy;
static struct weir_breaker_view a, b;
static struct weir_breaker_state shared;
static struct weir_breaker_reply reply;
static uint64_t now;

static void setup(void)
{
    policy = (struct weir_breaker_policy){.failure_threshold = 5,
                                          .recovery_ms = 10000,
                                          .recovery_max_ms = 10000,
                                          .permits = 1,
                                          .permit_ms = 5000,
                                          .window_ms = 10000,
                                          .window_min = 20};
    now = 1000000;
    weir_breaker_init(&shared, now);
    weir_breaker_view_init(&a, 1, now);
    weir_breaker_view_init(&b, 2, now);
}

static void learn(struct weir_breaker_view *v)
{
    struct weir_breaker_sight seen = weir_breaker_look(&shared);
    weir_breaker_view_learn(v, &policy, now, &seen, now);
}

static void sync(struct weir_breaker_view *v)
{
    struct weir_breaker_report r;
    ck_assert(weir_breaker_view_take(v, now, &r));
    weir_breaker_report(&shared, &policy, now, &r, &reply);
    learn(v);
    weir_breaker_view_granted(v, now, &r, &reply, now);
}

static bool request(struct weir_breaker_view *v, enum weir_breaker_verdict verdict)
{
    struct weir_breaker_answer got = weir_breaker_view_admit(v, &policy, now, &reply);
    if (got.word == WEIR_BREAKER_ADMIT)
        weir_breaker_view_done(v, &policy, now, &got.ticket, verdict, 0, &reply);
    return got.word == WEIR_BREAKER_ADMIT;
}

START_TEST(test_successes_told_in_bulk)
{
    policy.rate_ppm = WEIR_BREAKER_PPM / 2;
    weir_breaker_view_succeeded(&a, &policy, now, 30);
    for (int i = 0; i < 4; i++)
        ck_assert(request(&a, WEIR_BREAKER_FAILURE));
    weir_breaker_view_succeeded(&a, &policy, now, 1); /* ends the run */
    ck_assert(request(&a, WEIR_BREAKER_FAILURE));
    ck_assert_uint_eq(a.own.run, 1);
    struct weir_breaker_counts c = weir_breaker_window(&a.own, &policy, now);
    ck_assert_uint_eq(c.ok, 31);
    ck_assert_uint_eq(c.fail, 5);
    /* Shared, they are reported, and make the node a witness. */
    learn(&b);
    weir_breaker_view_succeeded(&b, &policy, now, 9);
    struct weir_breaker_report r;
    ck_assert(weir_breaker_view_take(&b, now, &r));
    ck_assert_uint_eq(r.ok, 9);
    ck_assert_uint_eq(r.recent_ok, 9);
}
END_TEST

START_TEST(test_permits_that_were_not_used_in_time)
{
    learn(&a);
    for (int i = 0; i < 5; i++)
        ck_assert(request(&a, WEIR_BREAKER_FAILURE));
    sync(&a);
    learn(&b);
    now += policy.recovery_ms;
    ck_assert_int_eq(weir_breaker_view_admit(&b, &policy, now, &reply).word, WEIR_BREAKER_REFUSE_ASKED);
    sync(&b);
    ck_assert_uint_eq(b.permit_count, 1);
    ck_assert(weir_breaker_view_may_admit(&b, &policy, now));
    now += policy.permit_ms;
    ck_assert_int_eq(weir_breaker_view_admit(&b, &policy, now, &reply).word,
                     WEIR_BREAKER_REFUSE_ASKED); /* it has expired; another is asked for */
    ck_assert_uint_eq(b.permit_count, 0);
    sync(&b);
    ck_assert(request(&b, WEIR_BREAKER_SUCCESS));
}
END_TEST

static enum weir_breaker_answer_word ask(struct weir_breaker_view *v)
{
    return weir_breaker_view_admit(v, &policy, now, &reply).word;
}

/* Both views know the shared circuit as open, and its wait is over. */
static void open_for_both(void)
{
    learn(&a);
    learn(&b);
    for (int i = 0; i < 5; i++)
        ck_assert(request(&a, WEIR_BREAKER_FAILURE));
    sync(&a);
    learn(&b);
    now += 10000;
}

/* A probe must end before its permit does, as another is given then: one that was idle for too long goes back, and a
 * fresh one comes with the same report. */
START_TEST(test_an_idle_permit_goes_back)
{
    open_for_both();
    ck_assert_int_eq(ask(&b), WEIR_BREAKER_REFUSE_ASKED);
    sync(&b);
    uint64_t first = b.permits[0].id;
    now += WEIR_BREAKER_PERMIT_IDLE_MS;
    ck_assert(weir_breaker_view_may_admit(&b, &policy, now));
    ck_assert_int_eq(ask(&b), WEIR_BREAKER_REFUSE_ASKED);
    sync(&b);
    ck_assert_uint_eq(shared.permit_count, 1);
    ck_assert_uint_ne(b.permits[0].id, first);
    now += WEIR_BREAKER_PERMIT_IDLE_MS - 1;
    ck_assert(request(&b, WEIR_BREAKER_SUCCESS));
    sync(&b);
    ck_assert_int_eq(shared.phase, WEIR_BREAKER_CLOSED);
}
END_TEST

/* ... though nobody comes that wants it: another node's requests need not wait until it expires. Whoever asks next is
 * told to wait, since the one before was not used. */
START_TEST(test_a_permit_that_nobody_wants_goes_back)
{
    open_for_both();
    ck_assert(!weir_breaker_view_admit(&b, &policy, now, &reply).awaited);
    sync(&b);
    now += WEIR_BREAKER_PERMIT_IDLE_MS - 1;
    weir_breaker_view_hand_back(&b, &policy, now);
    ck_assert_uint_eq(b.permit_count, 1);
    now += 1;
    weir_breaker_view_hand_back(&b, &policy, now);
    sync(&b);
    ck_assert_uint_eq(shared.permit_count, 0);
    learn(&a);
    ck_assert_int_eq(ask(&a), WEIR_BREAKER_REFUSE_ASKED);
    sync(&a);
    ck_assert_uint_eq(a.permit_count, 1);
    now += WEIR_BREAKER_PERMIT_IDLE_MS;
    weir_breaker_view_hand_back(&a, &policy, now);
    sync(&a);
    ck_assert(weir_breaker_view_admit(&b, &policy, now, &reply).awaited);
    sync(&b);
    ck_assert(request(&b, WEIR_BREAKER_SUCCESS));
    ck_assert(!b.idled);
    sync(&b);
    ck_assert_int_eq(shared.phase, WEIR_BREAKER_CLOSED);
}
END_TEST

/* The permit would hold everybody up until it expires: how its probe ended is told when the store is back. */
START_TEST(test_a_probe_that_ends_while_the_store_is_away)
{
    open_for_both();
    ck_assert_int_eq(ask(&b), WEIR_BREAKER_REFUSE_ASKED);
    sync(&b);
    struct weir_breaker_answer probe = weir_breaker_view_admit(&b, &policy, now, &reply);
    ck_assert_int_eq(probe.word, WEIR_BREAKER_ADMIT);
    weir_breaker_view_alone(&b, now);
    now += 1000;
    weir_breaker_view_done(&b, &policy, now, &probe.ticket, WEIR_BREAKER_SUCCESS, 0, &reply);
    now += 1000;
    learn(&b);
    bool urgent;
    ck_assert(weir_breaker_view_owes(&b, &urgent) && urgent);
    sync(&b);
    ck_assert_int_eq(shared.phase, WEIR_BREAKER_CLOSED);
}
END_TEST

START_TEST(test_a_permit_in_hand_when_the_store_goes)
{
    open_for_both();
    ck_assert_int_eq(ask(&b), WEIR_BREAKER_REFUSE_ASKED);
    sync(&b);
    weir_breaker_view_alone(&b, now);
    now += 1000;
    learn(&b);
    sync(&b);
    ck_assert_uint_eq(shared.permit_count, 0);
}
END_TEST

/* ... and told again should nobody have answered. */
START_TEST(test_the_end_of_a_probe_that_was_not_heard)
{
    struct weir_breaker_report lost;
    open_for_both();
    ck_assert_int_eq(ask(&b), WEIR_BREAKER_REFUSE_ASKED);
    sync(&b);
    ck_assert(request(&b, WEIR_BREAKER_SUCCESS));
    ck_assert(weir_breaker_view_take(&b, now, &lost));
    weir_breaker_view_hand_back(&b, &policy, now + WEIR_BREAKER_ASK_MS - 1);
    ck_assert(!weir_breaker_view_take(&b, now, &lost));
    now += WEIR_BREAKER_ASK_MS;
    weir_breaker_view_hand_back(&b, &policy, now);
    sync(&b);
    ck_assert_int_eq(shared.phase, WEIR_BREAKER_CLOSED);
    now += WEIR_BREAKER_ASK_MS;
    weir_breaker_view_hand_back(&b, &policy, now);
    ck_assert(!weir_breaker_view_take(&b, now, &lost));
}
END_TEST

/* A half-open circuit that is busy with its probes is not asked about by each request. */
START_TEST(test_a_refusal_lasts)
{
    struct weir_breaker_report r;
    open_for_both();
    ask(&a);
    sync(&a);
    learn(&b);
    ask(&b);
    sync(&b);
    for (int i = 0; i < 100; i++) {
        ck_assert(!weir_breaker_view_may_admit(&b, &policy, now));
        ck_assert_int_eq(ask(&b), WEIR_BREAKER_REFUSE_HALF_OPEN);
        ck_assert(!weir_breaker_view_take(&b, now, &r));
    }
    now += WEIR_BREAKER_ASK_MS;
    ck_assert_int_eq(ask(&b), WEIR_BREAKER_REFUSE_ASKED);
}
END_TEST

/* An answer to what was said before it asked leaves it waiting for its own, whether that is on its way or not. */
START_TEST(test_waits_for_the_answer_to_its_question)
{
    struct weir_breaker_report before = {.node = 1}, question;
    struct weir_breaker_reply none = {0};
    open_for_both();
    ck_assert_int_eq(ask(&a), WEIR_BREAKER_REFUSE_ASKED);
    before.gen = none.gen = a.shared.gen;
    weir_breaker_view_granted(&a, now, &before, &none, now);
    ck_assert(weir_breaker_view_is_asking(&a, now));
    ck_assert(weir_breaker_view_take(&a, now, &question));
    weir_breaker_view_granted(&a, now, &before, &none, now);
    ck_assert(weir_breaker_view_is_asking(&a, now));
    weir_breaker_report(&shared, &policy, now, &question, &reply);
    learn(&a);
    weir_breaker_view_granted(&a, now, &question, &reply, now);
    ck_assert(!weir_breaker_view_is_asking(&a, now));
    ck_assert_int_eq(ask(&a), WEIR_BREAKER_ADMIT);
}
END_TEST

/* Nor does it mean that the end of a probe has been heard which was told after it. */
START_TEST(test_an_answer_from_before_a_probe_ended)
{
    struct weir_breaker_report before = {.node = 1}, r;
    struct weir_breaker_reply none = {0};
    open_for_both();
    ck_assert_int_eq(ask(&a), WEIR_BREAKER_REFUSE_ASKED);
    sync(&a);
    ck_assert(request(&a, WEIR_BREAKER_SUCCESS));
    ck_assert(weir_breaker_view_take(&a, now, &r)); /* which is lost */
    ck_assert_uint_eq(r.probe_count, 1);
    before.gen = none.gen = a.shared.gen;
    weir_breaker_view_granted(&a, now, &before, &none, now);
    now += WEIR_BREAKER_ASK_MS;
    weir_breaker_view_hand_back(&a, &policy, now);
    sync(&a);
    ck_assert_int_eq(shared.phase, WEIR_BREAKER_CLOSED);
}
END_TEST

/* Two clocks are never quite the same: who asks while the store's says that the circuit is open asks again in time. */
START_TEST(test_asked_a_moment_too_early)
{
    struct weir_breaker_report r;
    open_for_both();
    ck_assert_int_eq(ask(&a), WEIR_BREAKER_REFUSE_ASKED);
    ck_assert(weir_breaker_view_take(&a, now, &r));
    weir_breaker_report(&shared, &policy, now - 3, &r, &reply);
    ck_assert_uint_eq(reply.permit_count, 0);
    struct weir_breaker_sight seen = weir_breaker_look(&shared);
    weir_breaker_view_learn(&a, &policy, now, &seen, now - 3);
    weir_breaker_view_granted(&a, now, &r, &reply, now - 3);
    ck_assert_int_eq(ask(&a), WEIR_BREAKER_REFUSE_OPEN);
    now += 3;
    ck_assert(weir_breaker_view_may_admit(&a, &policy, now));
    ck_assert_int_eq(ask(&a), WEIR_BREAKER_REFUSE_ASKED);
    sync(&a);
    ck_assert_int_eq(ask(&a), WEIR_BREAKER_ADMIT);
}
END_TEST

CHECK_MAIN("breaker_permits", setup, NULL, test_successes_told_in_bulk, test_permits_that_were_not_used_in_time,
           test_an_idle_permit_goes_back, test_a_permit_that_nobody_wants_goes_back,
           test_a_probe_that_ends_while_the_store_is_away, test_a_permit_in_hand_when_the_store_goes,
           test_the_end_of_a_probe_that_was_not_heard, test_a_refusal_lasts, test_waits_for_the_answer_to_its_question,
           test_an_answer_from_before_a_probe_ended, test_asked_a_moment_too_early)
