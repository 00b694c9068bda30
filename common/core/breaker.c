#include "core/breaker.h"

#include <assert.h>
#include <string.h>

#include "core/saturate.h"

#define LABEL(id, label, ...) label,
#define TEXT(id, label, text) text,

const char *weir_breaker_event_label(enum weir_breaker_event_kind k)
{
    static const char *const labels[] = {WEIR_BREAKER_EVENT_MAP(LABEL)};
    assert(k < WEIR_BREAKER_EVENT_KINDS);
    return labels[k];
}

const char *weir_breaker_event_text(enum weir_breaker_event_kind k)
{
    static const char *const texts[] = {WEIR_BREAKER_EVENT_MAP(TEXT)};
    assert(k < WEIR_BREAKER_EVENT_KINDS);
    return texts[k];
}

const char *weir_breaker_reason_label(enum weir_breaker_reason r)
{
    static const char *const labels[] = {WEIR_BREAKER_REASON_MAP(LABEL)};
    assert(r < WEIR_BREAKER_REASONS);
    return labels[r];
}

const char *weir_breaker_order_text(enum weir_breaker_order o)
{
#define ORDER_TEXT(id, text) text,
    static const char *const texts[] = {WEIR_BREAKER_ORDER_MAP(ORDER_TEXT)};
#undef ORDER_TEXT
    return texts[o];
}

const char *weir_breaker_phase_text(enum weir_breaker_phase p)
{
    return p == WEIR_BREAKER_CLOSED ? "closed" : p == WEIR_BREAKER_OPEN ? "open" : "half-open";
}

void weir_breaker_policy_set(struct weir_breaker_policy *p, const struct weir_config_breaker *c, uint64_t try_ms_max)
{
    uint64_t max = c->recovery_timeout_max_ms;
    *p = (struct weir_breaker_policy){
        .failure_threshold = c->failure_threshold,
        .recovery_ms = c->recovery_timeout_ms,
        .recovery_max_ms = max > c->recovery_timeout_ms ? max : c->recovery_timeout_ms,
        .permits = c->half_open_permits < WEIR_BREAKER_PERMITS_MAX ? c->half_open_permits : WEIR_BREAKER_PERMITS_MAX,
        .permit_ms = try_ms_max + 2 * WEIR_BREAKER_PERMIT_IDLE_MS,
        .rate_ppm = (uint32_t)(c->error_rate_threshold * WEIR_BREAKER_PPM + 0.5),
        .window_ms = c->error_rate_window_ms,
        .window_min = c->error_rate_min_requests,
    };
}

enum weir_breaker_verdict weir_breaker_judge(const struct weir_outcome *o, uint64_t *cooldown_ms)
{
    *cooldown_ms = 0;
    switch (o->kind) {
    case WEIR_OUTCOME_ANSWERED:
        if (o->status == 429 || (o->status == 503 && o->retry_after)) {
            *cooldown_ms = o->retry_after ? o->retry_after_ms : 0;
            return WEIR_BREAKER_NEITHER;
        }
        return o->status >= 500 && o->status != 501 ? WEIR_BREAKER_FAILURE : WEIR_BREAKER_SUCCESS;
    case WEIR_OUTCOME_CONNECT_FAILED:
    case WEIR_OUTCOME_TIMEOUT:
        return WEIR_BREAKER_FAILURE;
    case WEIR_OUTCOME_LOST:
        /* A peer may close a connection that has served; one that closes each new one is broken. */
        return o->unprocessed && o->reused ? WEIR_BREAKER_NEITHER : WEIR_BREAKER_FAILURE;
    case WEIR_OUTCOME_POOL_TIMEOUT:
    case WEIR_OUTCOME_ABORTED:
        break;
    }
    return WEIR_BREAKER_NEITHER;
}

/* -- the window of the rate -- */

static uint64_t bucket_ms(const struct weir_breaker_policy *p)
{
    uint64_t ms = (p->window_ms + WEIR_BREAKER_BUCKETS - 1) / WEIR_BREAKER_BUCKETS;
    return ms > 1000 ? ms : 1000;
}

static void window_add(struct weir_breaker_state *s, const struct weir_breaker_policy *p, uint64_t now_ms, uint32_t ok,
                       uint32_t fail)
{
    uint64_t period = now_ms / bucket_ms(p);
    struct weir_breaker_bucket *b = &s->buckets[period % WEIR_BREAKER_BUCKETS];
    if (b->period != period)
        *b = (struct weir_breaker_bucket){.period = period};
    b->ok = weir_add_u32(b->ok, ok);
    b->fail = weir_add_u32(b->fail, fail);
}

struct weir_breaker_counts weir_breaker_window(const struct weir_breaker_state *s, const struct weir_breaker_policy *p,
                                               uint64_t now_ms)
{
    struct weir_breaker_counts sum = {0, 0};
    uint64_t width = bucket_ms(p), period = now_ms / width;
    uint64_t count = (p->window_ms + width - 1) / width;
    for (size_t i = 0; i < WEIR_BREAKER_BUCKETS; i++) {
        const struct weir_breaker_bucket *b = &s->buckets[i];
        if (b->period <= period && b->period + count > period) {
            sum.ok += b->ok;
            sum.fail += b->fail;
        }
    }
    return sum;
}

/* -- changes of phase: all through here, so that each has its generation and its event -- */

static struct weir_breaker_event *say(struct weir_breaker_reply *out, enum weir_breaker_event_kind kind,
                                      enum weir_breaker_reason reason, uint64_t gen)
{
    assert(out->event_count < WEIR_BREAKER_EVENTS_MAX);
    struct weir_breaker_event *e = &out->events[out->event_count++];
    *e = (struct weir_breaker_event){.kind = kind, .reason = reason, .gen = gen};
    return e;
}

static void enter(struct weir_breaker_state *s, enum weir_breaker_phase phase, uint64_t now_ms)
{
    s->phase = phase;
    s->gen++;
    s->since_ms = now_ms;
    s->run = 0;
    s->probes_ok = 0;
    s->permit_count = 0;
    memset(s->permits, 0, sizeof s->permits);
    memset(s->buckets, 0, sizeof s->buckets);
    memset(s->witnesses, 0, sizeof s->witnesses);
}

static uint64_t recovery_ms(const struct weir_breaker_state *s, const struct weir_breaker_policy *p)
{
    uint64_t ms = p->recovery_ms;
    for (uint32_t i = 0; i < s->openings && ms != 0 && ms < p->recovery_max_ms; i++)
        ms *= 2;
    return ms < p->recovery_max_ms ? ms : p->recovery_max_ms;
}

static void open_circuit(struct weir_breaker_state *s, const struct weir_breaker_policy *p, uint64_t now_ms,
                         enum weir_breaker_reason reason, struct weir_breaker_reply *out)
{
    struct weir_breaker_counts window = weir_breaker_window(s, p, now_ms);
    uint32_t run = s->run;
    uint64_t until = now_ms + recovery_ms(s, p);
    enter(s, WEIR_BREAKER_OPEN, now_ms);
    s->open_until_ms = until > s->open_until_ms ? until : s->open_until_ms;
    s->openings = weir_add_u32(s->openings, 1);
    struct weir_breaker_event *e = say(out, WEIR_BREAKER_IS_OPENED, reason, s->gen);
    e->until_ms = s->open_until_ms;
    e->run = run;
    e->window = window;
}

static void close_circuit(struct weir_breaker_state *s, uint64_t now_ms, enum weir_breaker_reason reason,
                          struct weir_breaker_reply *out)
{
    enter(s, WEIR_BREAKER_CLOSED, now_ms);
    s->openings = 0;
    s->open_until_ms = 0;
    say(out, WEIR_BREAKER_IS_CLOSED, reason, s->gen);
}

/* -- permits -- */

static void remove_permit(struct weir_breaker_state *s, uint32_t i)
{
    s->permits[i] = s->permits[--s->permit_count];
    s->permits[s->permit_count] = (struct weir_breaker_permit){0, 0};
}

static void expire_permits(struct weir_breaker_state *s, uint64_t now_ms)
{
    for (uint32_t i = s->permit_count; i-- > 0;)
        if (s->permits[i].expires_ms <= now_ms)
            remove_permit(s, i);
}

static bool take_permit(struct weir_breaker_state *s, uint64_t id)
{
    for (uint32_t i = 0; i < s->permit_count; i++)
        if (s->permits[i].id == id) {
            remove_permit(s, i);
            return true;
        }
    return false;
}

static void grant(struct weir_breaker_state *s, const struct weir_breaker_policy *p, uint64_t now_ms, uint32_t want,
                  struct weir_breaker_reply *out)
{
    if (want == 0 || s->phase == WEIR_BREAKER_CLOSED || now_ms < s->cooldown_until_ms)
        return;
    if (s->phase == WEIR_BREAKER_OPEN) {
        if (now_ms < s->open_until_ms)
            return;
        enter(s, WEIR_BREAKER_HALF_OPEN, now_ms);
        say(out, WEIR_BREAKER_IS_HALF_OPENED, WEIR_BREAKER_BY_WAITED, s->gen);
    }
    out->gen = s->gen;
    for (; want > 0 && out->permit_count < WEIR_BREAKER_BATCH; want--) {
        if (s->permit_count + s->probes_ok >= p->permits || s->permit_count == WEIR_BREAKER_PERMITS_MAX)
            return;
        struct weir_breaker_permit permit = {++s->permit_last, now_ms + p->permit_ms};
        s->permits[s->permit_count++] = permit;
        out->permits[out->permit_count++] = permit;
    }
}

/* -- reports -- */

static void cool(struct weir_breaker_state *s, uint64_t now_ms, uint64_t ms, struct weir_breaker_reply *out)
{
    uint64_t until = now_ms + (ms < WEIR_BREAKER_COOLDOWN_MS_MAX ? ms : WEIR_BREAKER_COOLDOWN_MS_MAX);
    bool was_cooling = s->cooldown_until_ms > now_ms;
    if (ms == 0 || until <= s->cooldown_until_ms)
        return;
    s->cooldown_until_ms = until;
    /* Once for the whole of it, however often it is drawn out. */
    if (!was_cooling)
        say(out, WEIR_BREAKER_IS_COOLING, WEIR_BREAKER_BY_RETRY_AFTER, s->gen)->until_ms = until;
}

static void hear_witness(struct weir_breaker_state *s, const struct weir_breaker_policy *p, uint64_t now_ms,
                         const struct weir_breaker_report *r)
{
    uint64_t all = r->recent_ok + r->recent_fail;
    uint64_t ppm = p->rate_ppm != 0 ? p->rate_ppm : WEIR_BREAKER_PPM / 2;
    bool well = r->run == 0 && r->recent_ok >= WEIR_BREAKER_WITNESS_OK && r->recent_fail * WEIR_BREAKER_PPM < ppm * all;
    int slot = s->witnesses[0].at_ms <= s->witnesses[1].at_ms ? 0 : 1;
    for (int i = 0; i < 2; i++)
        if (s->witnesses[i].node == r->node)
            slot = i;
    if (well) {
        s->witnesses[slot].node = r->node;
        s->witnesses[slot].at_ms = now_ms;
    } else if (s->witnesses[slot].node == r->node) {
        s->witnesses[slot].node = s->witnesses[slot].at_ms = 0;
    }
}

static bool others_are_served(const struct weir_breaker_state *s, uint64_t now_ms, uint64_t node)
{
    for (int i = 0; i < 2; i++)
        if (s->witnesses[i].node != 0 && s->witnesses[i].node != node &&
            s->witnesses[i].at_ms + WEIR_BREAKER_WITNESS_MS > now_ms)
            return true;
    return false;
}

static void count(struct weir_breaker_state *s, const struct weir_breaker_policy *p, uint64_t now_ms,
                  const struct weir_breaker_report *r, struct weir_breaker_reply *out)
{
    enum weir_breaker_reason reason = WEIR_BREAKER_BY_CONSECUTIVE;
    struct weir_breaker_counts window = {0, 0};
    hear_witness(s, p, now_ms, r);
    s->run = r->ok > 0 ? r->run : weir_add_u32(s->run, r->fail);
    if (p->rate_ppm != 0) {
        window_add(s, p, now_ms, r->ok, r->fail);
        window = weir_breaker_window(s, p, now_ms);
    }
    if (r->fail == 0)
        return;
    if (s->run < p->failure_threshold) {
        uint64_t all = window.ok + window.fail;
        if (p->rate_ppm == 0 || all < p->window_min || window.fail * WEIR_BREAKER_PPM < p->rate_ppm * all)
            return;
        reason = WEIR_BREAKER_BY_RATE;
    }
    if (!others_are_served(s, now_ms, r->node)) {
        open_circuit(s, p, now_ms, reason, out);
        return;
    }
    struct weir_breaker_event *e = say(out, WEIR_BREAKER_IS_KEPT_CLOSED, WEIR_BREAKER_BY_WITNESS, s->gen);
    e->run = s->run;
    e->window = window;
}

static void hear_probes(struct weir_breaker_state *s, const struct weir_breaker_policy *p, uint64_t now_ms,
                        const struct weir_breaker_report *r, struct weir_breaker_reply *out)
{
    bool failed = false;
    uint32_t n = r->probe_count < WEIR_BREAKER_BATCH ? r->probe_count : WEIR_BREAKER_BATCH;
    for (uint32_t i = 0; i < n; i++) {
        if (!take_permit(s, r->probes[i].permit))
            continue;
        failed = failed || r->probes[i].verdict == WEIR_BREAKER_FAILURE;
        s->probes_ok += r->probes[i].verdict == WEIR_BREAKER_SUCCESS;
    }
    if (failed)
        open_circuit(s, p, now_ms, WEIR_BREAKER_BY_PROBE_FAILED, out);
}

static void obey(struct weir_breaker_state *s, const struct weir_breaker_policy *p, uint64_t now_ms,
                 enum weir_breaker_order order, struct weir_breaker_reply *out)
{
    if (order == WEIR_BREAKER_ORDER_OPEN && s->phase != WEIR_BREAKER_OPEN)
        open_circuit(s, p, now_ms, WEIR_BREAKER_BY_OPERATOR, out);
    else if (order == WEIR_BREAKER_ORDER_RESET ||
             (order == WEIR_BREAKER_ORDER_CLOSE && s->phase != WEIR_BREAKER_CLOSED))
        close_circuit(s, now_ms, WEIR_BREAKER_BY_OPERATOR, out);
}

static uint64_t at_most(uint64_t at_ms, uint64_t most_ms)
{
    return at_ms < most_ms ? at_ms : most_ms;
}

/* A clock that was set back: nothing lasts longer from now than it could have been made to. */
static void heed_clock(struct weir_breaker_state *s, const struct weir_breaker_policy *p, uint64_t now_ms)
{
    s->open_until_ms = at_most(s->open_until_ms, now_ms + p->recovery_max_ms);
    s->cooldown_until_ms = at_most(s->cooldown_until_ms, now_ms + WEIR_BREAKER_COOLDOWN_MS_MAX);
    for (uint32_t i = 0; i < s->permit_count; i++)
        s->permits[i].expires_ms = at_most(s->permits[i].expires_ms, now_ms + p->permit_ms);
    for (int i = 0; i < 2; i++)
        s->witnesses[i].at_ms = at_most(s->witnesses[i].at_ms, now_ms);
}

void weir_breaker_report(struct weir_breaker_state *s, const struct weir_breaker_policy *p, uint64_t now_ms,
                         const struct weir_breaker_report *r, struct weir_breaker_reply *out)
{
    *out = (struct weir_breaker_reply){0};
    assert(r->node != 0 && r->run <= r->fail && p->failure_threshold > 0 && p->permits > 0);
    heed_clock(s, p, now_ms);
    expire_permits(s, now_ms);
    cool(s, now_ms, r->cooldown_ms, out);
    if (r->order != WEIR_BREAKER_ORDER_NONE)
        obey(s, p, now_ms, r->order, out);
    else if (r->gen == s->gen && s->phase == WEIR_BREAKER_HALF_OPEN && r->probe_count > 0)
        hear_probes(s, p, now_ms, r, out);
    else if (r->gen == s->gen && s->phase == WEIR_BREAKER_CLOSED && r->ok + (uint64_t)r->fail > 0)
        count(s, p, now_ms, r, out);
    /* Not only after a probe: a reload may have lowered the number. */
    if (s->phase == WEIR_BREAKER_HALF_OPEN && s->probes_ok >= p->permits)
        close_circuit(s, now_ms, WEIR_BREAKER_BY_PROBES_OK, out);
    grant(s, p, now_ms, r->want, out);
}

void weir_breaker_init(struct weir_breaker_state *s, uint64_t now_ms)
{
    *s = (struct weir_breaker_state){.phase = WEIR_BREAKER_CLOSED, .gen = 1, .since_ms = now_ms};
}

struct weir_breaker_sight weir_breaker_look(const struct weir_breaker_state *s)
{
    return (struct weir_breaker_sight){s->phase, s->gen, s->open_until_ms, s->cooldown_until_ms};
}

void weir_breaker_report_add(struct weir_breaker_report *sum, const struct weir_breaker_report *later)
{
    assert(sum->gen == later->gen && sum->node == later->node);
    sum->run = later->ok > 0 ? later->run : weir_add_u32(sum->run, later->fail);
    sum->ok = weir_add_u32(sum->ok, later->ok);
    sum->fail = weir_add_u32(sum->fail, later->fail);
    sum->recent_ok += later->recent_ok;
    sum->recent_fail += later->recent_fail;
    sum->want = weir_add_u32(sum->want, later->want);
    if (later->order != WEIR_BREAKER_ORDER_NONE)
        sum->order = later->order;
    if (later->cooldown_ms > sum->cooldown_ms)
        sum->cooldown_ms = later->cooldown_ms;
    for (uint32_t i = 0; i < later->probe_count && sum->probe_count < WEIR_BREAKER_BATCH; i++)
        sum->probes[sum->probe_count++] = later->probes[i];
}
