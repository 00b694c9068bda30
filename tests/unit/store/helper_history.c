#include "helper_history.h"

#include <stdio.h>

static const char *const ids[] = {"a", "aa", "node-3.example:8000", "[::1]:9", "B"};
static const char *const endpoints[] = {"http://e1:80", "https://api.example.com:443", "http://[::1]:8080"};
static const char *const providers[] = {"openai", "vllm", "p.3"};

#define SECOND_US UINT64_C(1000000)
#define TICK_US   UINT64_C(250000)

#define PICK(h, list) (list)[below(h, sizeof(list) / sizeof(list)[0])]

static uint64_t below(struct history *h, uint64_t n)
{
    return weir_rng_next(&h->rng) % n;
}

static bool one_in(struct history *h, uint64_t n)
{
    return below(h, n) == 0;
}

/* Mostly small, at times huge. */
static uint32_t amount(struct history *h, uint32_t small)
{
    return one_in(h, 40) ? UINT32_MAX - (uint32_t)below(h, 3) : (uint32_t)below(h, small);
}

static void pass_time(struct history *h)
{
    switch (below(h, 60)) {
    case 0:
        h->now_us += below(h, 300 * SECOND_US);
        break;
    case 1:
    case 2:
        h->now_us -= below(h, 20 * SECOND_US);
        break;
    case 3:
        h->now_us += 86400 * SECOND_US;
        break;
    case 4:
        h->now_us -= one_in(h, 4) ? 3600 * SECOND_US : 0;
        break;
    case 5: /* a lease, a witness's word; several make up the time until a member is forgotten */
    case 6:
    case 7:
        h->now_us += 10 * SECOND_US;
        break;
    default:
        h->now_us += below(h, 900000);
        break;
    }
    /* In steps that leases and windows are multiples of: their very ends are met. */
    if (h->even)
        h->now_us -= h->now_us % TICK_US;
}

static void member(struct history *h)
{
    struct weir_coord_member *m = &h->member;
    *m = (struct weir_coord_member){.instance = 1 + below(h, 2), .weight = 1 + (uint32_t)below(h, 2)};
    weir_coord_copy(m->id, sizeof m->id, PICK(h, ids));
    snprintf(m->advertise, sizeof m->advertise, "10.0.0.%u:7", (unsigned)below(h, 2));
    weir_coord_copy(m->version, sizeof m->version, "0.1.0");
    m->state = (enum weir_coord_node_state)below(h, 3);
    m->epoch_seen = below(h, 30);
    m->load.in_flight = amount(h, 100);
    m->load.errors_per_s = (uint32_t)below(h, 5);
}

static uint64_t lease_ms(struct history *h)
{
    static const uint64_t leases[] = {1000, 3000, 10000};
    return PICK(h, leases);
}

static void beat(struct history *h, struct weir_coord_request *q)
{
    static const char *const secrets[] = {NULL, NULL, "first", "second"};
    member(h);
    q->op = WEIR_COORD_BEAT;
    q->beat = (struct weir_coord_beat){.self = &h->member, .lease_ms = lease_ms(h), .secret = PICK(h, secrets)};
}

static void lead(struct history *h, const struct weir_coord_state *s, struct weir_coord_request *q)
{
    bool mine = s->lead.id[0] != '\0' && !one_in(h, 4);
    const char *id = mine ? weir_coord_copy(h->text, sizeof h->text, s->lead.id), h->text : PICK(h, ids);
    uint64_t token = one_in(h, 4) ? below(h, 3) : s->lead.token;
    if (one_in(h, 2)) {
        q->op = one_in(h, 6) ? WEIR_COORD_RESIGN : WEIR_COORD_LEAD;
        q->lead = (struct weir_coord_lead){.id = id, .lease_ms = lease_ms(h), .token = token};
        return;
    }
    static const char *const maps[] = {"", "one two three", "x"};
    q->op = WEIR_COORD_PUBLISH;
    q->publish = (struct weir_coord_publish){.id = id,
                                             .token = token,
                                             .epoch = 1 + s->map.epoch - (one_in(h, 2) ? 1 : 0),
                                             .map = weir_str_of(PICK(h, maps))};
}

static struct weir_breaker_policy policy(struct history *h)
{
    static const uint32_t rates[] = {0, 300000, 500000};
    static const uint64_t windows[] = {10000, 60000, 600000};
    uint64_t recovery = 1000 + below(h, 3) * 1000;
    return (struct weir_breaker_policy){.failure_threshold = 1 + (uint32_t)below(h, 6),
                                        .recovery_ms = recovery,
                                        .recovery_max_ms = recovery << below(h, 4),
                                        .permits = 1 + (uint32_t)below(h, 5),
                                        .permit_ms = 500 + 250 * below(h, 12),
                                        .rate_ppm = PICK(h, rates),
                                        .window_ms = PICK(h, windows),
                                        .window_min = (uint32_t)below(h, 12)};
}

static void report_item(struct history *h, const struct weir_coord_state *s, struct weir_coord_report_item *item)
{
    struct weir_breaker_report *r = &item->report;
    const struct weir_breaker_state *b = NULL;
    item->endpoint = PICK(h, endpoints);
    item->policy = policy(h);
    for (uint32_t i = 0; i < s->circuit_count; i++)
        if (strcmp(s->circuits[i]->endpoint, item->endpoint) == 0)
            b = &s->circuits[i]->breaker;
    *r = (struct weir_breaker_report){.gen = b != NULL ? b->gen : 0, .node = 1 + below(h, 4)};
    if (one_in(h, 8))
        r->gen = r->gen + 1 - below(h, 2) * 2;
    r->ok = one_in(h, 2) ? 0 : amount(h, 6);
    r->fail = one_in(h, 3) ? amount(h, 4) : 0;
    r->run = r->ok == 0 ? r->fail : (uint32_t)below(h, (uint64_t)r->fail + 1);
    r->recent_ok = one_in(h, 2) ? r->ok : below(h, 20);
    r->recent_fail = one_in(h, 2) ? r->fail : below(h, 20);
    r->cooldown_ms = one_in(h, 10) ? below(h, 5000) : one_in(h, 100) ? UINT64_C(1) << 40 : 0;
    r->order = one_in(h, 20) ? (enum weir_breaker_order)below(h, WEIR_BREAKER_ORDERS) : WEIR_BREAKER_ORDER_NONE;
    r->want = one_in(h, 3) ? (uint32_t)below(h, 12) : 0;
    for (uint64_t n = below(h, 4); b != NULL && n > 0; n--) {
        uint64_t known = b->permit_count > 0 ? b->permits[below(h, b->permit_count)].id : 1;
        r->probes[r->probe_count].permit = one_in(h, 5) ? below(h, 10) : known;
        r->probes[r->probe_count++].verdict = (enum weir_breaker_verdict)below(h, 3);
    }
}

static void report(struct history *h, const struct weir_coord_state *s, struct weir_coord_request *q)
{
    q->op = WEIR_COORD_REPORT;
    q->report.by = PICK(h, ids);
    q->report.grant_until_ms = one_in(h, 2) ? 0 : h->now_us / 1000 + below(h, 3) - 1;
    q->report.count = 1 + (uint32_t)below(h, one_in(h, 10) ? WEIR_COORD_BATCH : 2);
    for (uint32_t i = 0; i < q->report.count; i++)
        report_item(h, s, &q->report.items[i]);
}

/* Of an entry of the bucket, or any. */
static uint64_t granted_us(struct history *h, const struct weir_coord_state *s, const char *provider)
{
    for (uint32_t i = 0; i < s->bucket_count && !one_in(h, 4); i++) {
        const struct weir_coord_bucket *b = &s->buckets[i];
        if (strcmp(b->provider, provider) == 0 && b->low_count > 0)
            return b->lows[below(h, b->low_count)].at_us + (one_in(h, 2) ? 0 : below(h, TICK_US));
    }
    return h->now_us + 2 * TICK_US - below(h, 8 * TICK_US);
}

static void tokens(struct history *h, const struct weir_coord_state *s, struct weir_coord_request *q)
{
    static const uint32_t limits[] = {600, 600, 600, 7, 1, WEIR_COORD_LIMIT_MAX, UINT32_MAX};
    q->op = WEIR_COORD_TOKENS;
    q->tokens.count = 1 + (uint32_t)below(h, one_in(h, 10) ? WEIR_COORD_BATCH : 2);
    for (uint32_t i = 0; i < q->tokens.count; i++) {
        /* Numbers that stay for a while, so that there are histories within them. */
        uint64_t era = h->now_us / (120 * SECOND_US);
        uint32_t limit = one_in(h, 50) ? PICK(h, limits) : limits[era % (sizeof limits / sizeof limits[0])];
        struct weir_coord_tokens_item *item = &q->tokens.items[i];
        *item = (struct weir_coord_tokens_item){.provider = PICK(h, providers),
                                                .limit = limit,
                                                .burst = era % 3 == 0 ? limit : limit / 10 + 1,
                                                .strict = one_in(h, 50) || era % 2 == 0,
                                                .want = amount(h, 40),
                                                .unused = one_in(h, 2) ? amount(h, 20) : 0,
                                                .spent = one_in(h, 6) ? amount(h, 30) : 0};
        item->unused_since_us = granted_us(h, s, item->provider);
    }
}

/* Who leads, with its token, but for one in so many. */
static const char *leader(struct history *h, const struct weir_coord_state *s, uint64_t *token)
{
    bool right = s->lead.id[0] != '\0' && !one_in(h, 8);
    *token = right ? s->lead.token : below(h, 3);
    if (!right)
        return PICK(h, ids);
    weir_coord_copy(h->id, sizeof h->id, s->lead.id);
    return h->id;
}

static struct weir_str numbered(struct history *h, const char *before, const char *behind)
{
    int n = snprintf(h->text, sizeof h->text, "%s%u%s", before, (unsigned)below(h, 1000), behind);
    return (struct weir_str){h->text, (size_t)n};
}

/* Near the time now or near the newest point, which the clock is set back to at times; of one length for a while. */
static void fold(struct history *h, const struct weir_coord_state *s, struct weir_coord_fold *f)
{
    static const uint32_t steps_ms[] = {1000, 10000, 999};
    *f = (struct weir_coord_fold){.step = (uint32_t)below(h, WEIR_COORD_STEPS)};
    uint64_t era = h->now_us / (600 * SECOND_US);
    f->id = leader(h, s, &f->token);
    f->step_ms = one_in(h, 50) ? PICK(h, steps_ms) : steps_ms[era % 3];
    const struct weir_coord_stream *kept = &s->series[f->step];
    uint64_t newest = kept->count > 0 ? weir_coord_stream_at(kept, kept->count - 1)->id : 0;
    if (newest > 0 && one_in(h, 6))
        h->now_us = (newest * kept->step_ms + below(h, 2 * (uint64_t)kept->step_ms)) * 1000;
    bool near_newest = newest > 0 && f->step_ms == kept->step_ms && one_in(h, 3);
    f->number = (near_newest ? newest : h->now_us / 1000 / f->step_ms) + 1 - below(h, 3);
    f->text = numbered(h, "requests=", " in_flight_peak=3");
}

static uint64_t some_id(struct history *h, const struct weir_coord_stream *s)
{
    if (s->count == 0 || one_in(h, 4))
        return one_in(h, 2) ? 0 : below(h, UINT64_C(1) << 52);
    return weir_coord_stream_at(s, (uint32_t)below(h, s->count))->id - below(h, 2);
}

static void history_of_load(struct history *h, const struct weir_coord_state *s, struct weir_coord_request *q)
{
    uint32_t step = (uint32_t)below(h, WEIR_COORD_STEPS);
    switch (below(h, 8)) {
    case 0:
    case 1:
        q->op = WEIR_COORD_APPEND;
        q->append = numbered(h, "node=a requests=", "");
        break;
    case 2:
        q->op = WEIR_COORD_LOADS;
        q->loads = (struct weir_coord_loads){some_id(h, &s->loads), (uint32_t)below(h, 5)};
        break;
    case 3:
        q->op = WEIR_COORD_SERIES;
        q->series = (struct weir_coord_series){step, some_id(h, &s->series[step]), (uint32_t)below(h, 5)};
        break;
    case 4:
        q->op = WEIR_COORD_ADVISE;
        q->advise = (struct weir_coord_advise){.hints = numbered(h, "{\"nodes\":", "}"),
                                               .analytics = one_in(h, 2) ? WEIR_STR("{}") : WEIR_STR("")};
        q->advise.id = leader(h, s, &q->advise.token);
        break;
    case 5:
        q->op = WEIR_COORD_ADVICE;
        q->advice_whole = one_in(h, 2);
        break;
    default:
        q->op = WEIR_COORD_FOLD;
        fold(h, s, &q->fold);
        break;
    }
}

static void told(struct history *h, struct weir_coord_request *q)
{
    if (one_in(h, 2)) {
        q->op = WEIR_COORD_CHECKED;
        q->checked = (struct weir_coord_checked){.endpoint = PICK(h, endpoints),
                                                 .node = PICK(h, ids),
                                                 .passed = one_in(h, 2),
                                                 .why = one_in(h, 2) ? "" : "status 503, slowly"};
        return;
    }
    int n = snprintf(h->text, sizeof h->text, one_in(h, 4) ? "{}" : "{\"kind\":\"drill\",\"n\":%u}",
                     (unsigned)below(h, 1000));
    q->op = WEIR_COORD_EVENT;
    q->event = (struct weir_str){h->text, (size_t)n};
}

void history_begin(struct history *h, uint64_t seed)
{
    *h = (struct history){.rng = {seed}, .now_us = 1800000000 * SECOND_US, .even = seed % 2 == 0};
}

void history_next(struct history *h, const struct weir_coord_state *s, struct weir_coord_request *q)
{
    pass_time(h);
    *q = (struct weir_coord_request){.op = WEIR_COORD_MEMBERS};
    switch (below(h, 20)) {
    case 0:
    case 1:
    case 2:
        beat(h, q);
        break;
    case 3:
    case 4:
    case 5:
    case 6:
        report(h, s, q);
        break;
    case 7:
    case 8:
    case 9:
        tokens(h, s, q);
        break;
    case 10:
    case 11:
        lead(h, s, q);
        break;
    case 12:
        told(h, q);
        break;
    case 13:
        q->op = WEIR_COORD_CIRCUITS;
        q->circuits_since = one_in(h, 3) ? 0 : below(h, s->circuits_version + 1);
        break;
    case 14:
        if (one_in(h, 2)) {
            member(h);
            q->op = WEIR_COORD_LEAVE;
            q->leave = &h->member;
        }
        break;
    case 15:
    case 16:
    case 17:
    case 18:
        history_of_load(h, s, q);
        break;
    default:
        q->op = one_in(h, 2) ? WEIR_COORD_MAP : WEIR_COORD_EVENTS;
        q->events_count = one_in(h, 2) ? 3 : 0;
        break;
    }
}
