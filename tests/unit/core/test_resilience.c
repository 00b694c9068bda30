/* A node's decisions about tries together, in simulated time: choice, circuits, retries and budget under random events.
 * Whatever happens, each request is answered once, permits come back, and what has healed serves again.
 * WEIR_SEED=N runs one seed alone. */
#include <stdlib.h>
#include <string.h>

#include "check_main.h"
#include "core/balance.h"
#include "core/breaker_view.h"
#include "core/retry.h"
#include "core/retry_budget.h"
#include "core/rng.h"

enum { ENDPOINTS = 4, REQUESTS = 20, SEEDS = 200, FAULTS_MS = 20000, HEALTHY_MS = 60000, TICK_MS = 5 };

enum step { STEP_IDLE, STEP_FLYING, STEP_WAITING };

struct request {
    enum step step;
    uint64_t due_ms, deadline_ms, tried;
    unsigned endpoint, retries, tries;
    struct weir_breaker_ticket ticket;
    struct weir_outcome outcome; /* FLYING: how it will end */
};

static struct weir_config_retry retry;
static struct weir_breaker_policy policy;
static struct weir_breaker_view circuits[ENDPOINTS];
static struct weir_retry_budget *budget;
static struct request requests[REQUESTS];
static struct weir_rng rng;
static uint64_t now, seed, begun, answered, retried, healthy_from;
static unsigned probes[ENDPOINTS], served[ENDPOINTS];
static unsigned sickness[ENDPOINTS]; /* per cent of its tries that fail */

static void must(bool holds, const char *what)
{
    if (!holds)
        ck_abort_msg("WEIR_SEED=%llu at %llu ms: %s", (unsigned long long)seed, (unsigned long long)now, what);
}

static uint64_t below(uint64_t n)
{
    return weir_rng_next(&rng) % n;
}

static bool is_probe(const struct request *r)
{
    return r->ticket.own_permit != 0;
}

static struct weir_outcome random_outcome(unsigned endpoint)
{
    static const unsigned statuses[] = {500, 503, 429, 501, 404};
    struct weir_outcome o = {.kind = WEIR_OUTCOME_ANSWERED, .status = 200};
    if (below(100) >= sickness[endpoint])
        return o;
    o.kind = (enum weir_outcome_kind)below(WEIR_OUTCOME_ABORTED + 1);
    o.status = o.kind == WEIR_OUTCOME_ANSWERED ? statuses[below(5)] : 0;
    o.unprocessed = o.kind == WEIR_OUTCOME_LOST && below(4) == 0;
    o.retry_after = o.kind == WEIR_OUTCOME_ANSWERED && below(3) == 0;
    o.retry_after_ms = o.retry_after ? below(4000) : 0;
    return o;
}

static void answer(struct request *r)
{
    must(r->step != STEP_IDLE, "answered twice");
    must(r->retries <= retry.attempts, "more retries than attempts");
    must(r->tries == r->retries + 1 || r->step == STEP_WAITING, "a try that was not decided upon");
    r->step = STEP_IDLE;
    answered++;
}

static bool choose(struct request *r)
{
    struct weir_balance_item items[ENDPOINTS];
    struct weir_breaker_reply reply;
    for (unsigned i = 0; i < ENDPOINTS; i++)
        items[i] = (struct weir_balance_item){.weight = 1,
                                              .latency_us = 1000,
                                              .up_ms = UINT64_MAX,
                                              .tried = (r->tried >> i & 1) != 0,
                                              .closed = !weir_breaker_view_may_admit(&circuits[i], &policy, now)};
    int pick = weir_balance_pick(items, ENDPOINTS, 0, weir_rng_next(&rng));
    if (pick < 0)
        return false;
    if (items[pick].tried)
        for (unsigned i = 0; i < ENDPOINTS; i++)
            must(items[i].tried || items[i].closed, "asked again while another could be asked");
    struct weir_breaker_answer a = weir_breaker_view_admit(&circuits[pick], &policy, now, &reply);
    must(a.word == WEIR_BREAKER_ADMIT, "one that may be asked does not admit");
    r->endpoint = (unsigned)pick;
    r->ticket = a.ticket;
    probes[pick] += is_probe(r);
    must(probes[pick] <= policy.permits, "more probes than permits");
    return true;
}

static void begin_try(struct request *r)
{
    if (!choose(r)) {
        if (r->step == STEP_IDLE)
            r->step = STEP_WAITING;
        answer(r);
        return;
    }
    r->step = STEP_FLYING;
    r->tries++;
    r->outcome = random_outcome(r->endpoint);
    /* Below what a permit lives, as timeout.total is. */
    r->due_ms = now + 1 + below(policy.permit_ms - 1);
}

static void end_try(struct request *r)
{
    struct weir_breaker_reply reply;
    uint64_t cooldown_ms = 0;
    enum weir_breaker_verdict verdict = weir_breaker_judge(&r->outcome, &cooldown_ms);
    probes[r->endpoint] -= is_probe(r);
    weir_breaker_view_done(&circuits[r->endpoint], &policy, now, &r->ticket, verdict, cooldown_ms, &reply);
    if (now >= healthy_from)
        served[r->endpoint]++;
    const struct weir_retry_sight s = {
        .outcome = r->outcome,
        .method = WEIR_STR("POST"),
        .retries = r->retries,
        .replacements = WEIR_RETRY_REPLACEMENTS_MAX, /* they are no tries, and have been had */
        .replayable = below(20) != 0,
        .elsewhere = below(2) == 0,
        .left_ms = r->deadline_ms > now ? r->deadline_ms - now : 0,
        .random = weir_rng_next(&rng),
    };
    struct weir_retry_decision d = weir_retry_decide(&retry, &s);
    must(d.word != WEIR_RETRY_REPLACE, "one replacement more");
    if (d.word != WEIR_RETRY_AGAIN || !weir_retry_budget_take(budget, now)) {
        answer(r);
        return;
    }
    must(now + d.delay_ms < r->deadline_ms, "a wait beyond the deadline");
    retried++;
    r->retries++;
    r->tried |= UINT64_C(1) << r->endpoint;
    r->step = STEP_WAITING;
    r->due_ms = now + d.delay_ms;
}

static void begin(struct request *r)
{
    *r = (struct request){.deadline_ms = now + 30000};
    begun++;
    weir_retry_budget_request(budget, 0, now);
    begin_try(r);
}

static void move(struct request *r, bool more)
{
    if (r->step == STEP_IDLE) {
        if (more && below(100) == 0)
            begin(r);
    } else if (r->due_ms <= now) {
        if (r->step == STEP_FLYING)
            end_try(r);
        else
            begin_try(r);
    }
}

static void change_health(bool faults)
{
    for (unsigned i = 0; i < ENDPOINTS; i++)
        if (!faults || below(2000) == 0)
            sickness[i] = faults ? (unsigned)(below(3) * 50) : 0;
}

static void run(void)
{
    struct weir_err err;
    memset(requests, 0, sizeof requests);
    memset(probes, 0, sizeof probes);
    memset(served, 0, sizeof served);
    rng.state = seed;
    now = 1000;
    begun = answered = retried = 0;
    policy = (struct weir_breaker_policy){.failure_threshold = 1 + (uint32_t)below(5),
                                          .recovery_ms = 500 + below(2000),
                                          .permits = 1 + (uint32_t)below(3),
                                          .permit_ms = 300,
                                          .rate_ppm = below(2) == 0 ? 0 : WEIR_BREAKER_PPM / 2,
                                          .window_ms = 5000,
                                          .window_min = 10};
    policy.recovery_max_ms = policy.recovery_ms;
    ck_assert_int_eq(weir_retry_budget_new(&budget, 1, &err), WEIR_OK);
    for (unsigned i = 0; i < ENDPOINTS; i++)
        weir_breaker_view_init(&circuits[i], 1, now);
    uint64_t faults_end = now + FAULTS_MS, end = faults_end + HEALTHY_MS;
    healthy_from = faults_end + 10000; /* cooldowns and what was under way are over */
    for (; now < end; now += TICK_MS) {
        change_health(now < faults_end);
        for (unsigned i = 0; i < REQUESTS; i++)
            move(&requests[i], now < end - 35000);
    }
    must(begun > 0 && answered == begun, "a request has no answer");
    must(retried <= begun / 5 + 100 * (1 + (now - 1000) / 10000), "more retries than the budget");
    for (unsigned i = 0; i < ENDPOINTS; i++) {
        must(probes[i] == 0, "a permit has leaked");
        must(served[i] > 0, "one that has healed serves nothing");
        must(weir_breaker_view_look(&circuits[i], now).phase == WEIR_BREAKER_CLOSED, "a healed one is not closed");
    }
    weir_retry_budget_free(&budget);
}

static void setup(void)
{
    static uint32_t codes[] = {429, 500, 503};
    retry = (struct weir_config_retry){.enabled = true,
                                       .attempts = 3,
                                       .status_codes = {codes, 3},
                                       .backoff_factor = 0.1,
                                       .backoff_max_delay_ms = 1000,
                                       .retry_on = WEIR_CONFIG_RETRY_CONNECT_ERROR | WEIR_CONFIG_RETRY_TIMEOUT,
                                       .jitter = WEIR_CONFIG_JITTER_FULL,
                                       .deadline_ms = 30000};
}

START_TEST(test_whatever_happens)
{
    const char *one = getenv("WEIR_SEED");
    for (seed = one != NULL ? strtoull(one, NULL, 10) : 1; seed <= check_rounds(SEEDS); seed++) {
        run();
        if (one != NULL)
            break;
    }
}
END_TEST

CHECK_MAIN("resilience", setup, NULL, test_whatever_happens)
