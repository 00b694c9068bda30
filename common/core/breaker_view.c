#include "core/breaker_view.h"

#include <assert.h>
#include <string.h>

#include "core/saturate.h"

static uint64_t later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

void weir_breaker_view_init(struct weir_breaker_view *v, uint64_t node, uint64_t now_ms)
{
    assert(node != 0);
    *v = (struct weir_breaker_view){.pending.node = node};
    weir_breaker_init(&v->own, now_ms);
}

/* Own generations and permits go on counting, so that tickets still out mean nothing here. */
static void renew_own(struct weir_breaker_view *v, uint64_t now_ms)
{
    struct weir_breaker_state old = v->own;
    weir_breaker_init(&v->own, now_ms);
    v->own.gen = old.gen + 1;
    v->own.permit_last = old.permit_last;
    v->own.cooldown_until_ms = old.cooldown_until_ms;
}

static void forget_pending(struct weir_breaker_view *v)
{
    v->pending = (struct weir_breaker_report){
        .node = v->pending.node, .gen = v->shared.gen, .order = v->pending.order}; /* an order holds in any of them */
    v->permit_count = 0;
    v->asked_ms = 0;
    v->asking = v->idled = false;
}

/* -- the ends of probes that may not have been heard -- */

static void keep_unheard(struct weir_breaker_view *v, uint64_t now_ms, uint64_t gen, uint64_t permit,
                         enum weir_breaker_verdict verdict)
{
    struct weir_breaker_report *u = &v->unheard;
    if (u->gen != gen || u->probe_count == 0) {
        *u = (struct weir_breaker_report){.gen = gen};
        v->unheard_since_ms = v->unheard_ms = now_ms;
    }
    for (uint32_t i = 0; i < u->probe_count; i++)
        if (u->probes[i].permit == permit)
            return;
    if (u->probe_count == WEIR_BREAKER_BATCH)
        return;
    u->probes[u->probe_count].permit = permit;
    u->probes[u->probe_count++].verdict = verdict;
}

static void keep_unheard_of(struct weir_breaker_view *v, uint64_t now_ms, const struct weir_breaker_report *r)
{
    for (uint32_t i = 0; i < r->probe_count; i++)
        keep_unheard(v, now_ms, r->gen, r->probes[i].permit, r->probes[i].verdict);
}

static void forget_heard(struct weir_breaker_report *u, const struct weir_breaker_report *said)
{
    for (uint32_t i = u->gen == said->gen ? u->probe_count : 0; i-- > 0;)
        for (uint32_t k = 0; k < said->probe_count; k++)
            if (u->probes[i].permit == said->probes[k].permit) {
                u->probes[i] = u->probes[--u->probe_count];
                break;
            }
}

static void tell_again(struct weir_breaker_view *v, uint64_t now_ms)
{
    struct weir_breaker_report again = v->unheard;
    if (again.probe_count == 0 || again.gen != v->shared.gen)
        return;
    again.node = v->pending.node;
    weir_breaker_report_add(&v->pending, &again);
    v->unheard_ms = now_ms;
    v->urgent = true;
}

/* -- letting through -- */

static uint64_t cooling_until(const struct weir_breaker_view *v)
{
    return later(v->own.cooldown_until_ms, v->sharing ? v->shared.cooldown_until_ms : 0);
}

static struct weir_breaker_answer refuse(enum weir_breaker_answer_word word, uint64_t now_ms, uint64_t until_ms)
{
    return (struct weir_breaker_answer){.word = word, .wait_ms = until_ms > now_ms ? until_ms - now_ms : 0};
}

static bool needs_permit(const struct weir_breaker_view *v)
{
    return v->sharing && v->shared.phase != WEIR_BREAKER_CLOSED;
}

static struct weir_breaker_report report_of(uint64_t node, uint64_t gen, uint64_t permit,
                                            enum weir_breaker_verdict verdict)
{
    struct weir_breaker_report r = {.gen = gen, .node = node};
    if (permit != 0) {
        r.probe_count = 1;
        r.probes[0].permit = permit;
        r.probes[0].verdict = verdict;
    } else {
        r.ok = verdict == WEIR_BREAKER_SUCCESS;
        r.fail = r.run = verdict == WEIR_BREAKER_FAILURE;
    }
    return r;
}

/* How long from now a permit must still hold, so that a probe ends within it. */
static uint64_t needed_ms(const struct weir_breaker_policy *p)
{
    return p->permit_ms > WEIR_BREAKER_PERMIT_IDLE_MS ? p->permit_ms - WEIR_BREAKER_PERMIT_IDLE_MS : 0;
}

/* A probe could outlast a permit that has been idle for too long, while its holder gives another one: it goes back, and
 * somebody else has it sooner. */
void weir_breaker_view_hand_back(struct weir_breaker_view *v, const struct weir_breaker_policy *p, uint64_t now_ms)
{
    if (now_ms >= v->unheard_since_ms + p->permit_ms) /* expired, whoever has heard */
        v->unheard.probe_count = 0;
    if (v->sharing && now_ms >= v->unheard_ms + WEIR_BREAKER_ASK_MS)
        tell_again(v, now_ms);
    for (uint32_t i = v->permit_count; i-- > 0;) {
        if (v->permits[i].expires_ms > now_ms + needed_ms(p))
            continue;
        struct weir_breaker_report r =
            report_of(v->pending.node, v->shared.gen, v->permits[i].id, WEIR_BREAKER_NEITHER);
        weir_breaker_report_add(&v->pending, &r);
        v->urgent = v->idled = true;
        v->permits[i] = v->permits[--v->permit_count];
    }
}

static bool may_ask(const struct weir_breaker_view *v, uint64_t now_ms)
{
    return v->asked_ms == 0 || v->asked_ms + WEIR_BREAKER_ASK_MS <= now_ms;
}

static void ask(struct weir_breaker_view *v, uint64_t now_ms)
{
    if (!may_ask(v, now_ms))
        return;
    v->pending.want = 1;
    v->asked_ms = later(now_ms, 1);
    v->asking = v->urgent = true;
}

bool weir_breaker_view_is_asking(const struct weir_breaker_view *v, uint64_t now_ms)
{
    return v->asking && v->asked_ms + WEIR_BREAKER_ASK_MS > now_ms;
}

struct weir_breaker_answer weir_breaker_view_admit(struct weir_breaker_view *v, const struct weir_breaker_policy *p,
                                                   uint64_t now_ms, struct weir_breaker_reply *out)
{
    struct weir_breaker_answer a = {.word = WEIR_BREAKER_ADMIT};
    *out = (struct weir_breaker_reply){0};
    if (cooling_until(v) > now_ms)
        return refuse(WEIR_BREAKER_REFUSE_COOLING, now_ms, cooling_until(v));
    if (needs_permit(v)) {
        if (v->shared.phase == WEIR_BREAKER_OPEN && v->shared.open_until_ms > now_ms)
            return refuse(WEIR_BREAKER_REFUSE_OPEN, now_ms, v->shared.open_until_ms);
        weir_breaker_view_hand_back(v, p, now_ms);
        if (v->permit_count == 0) {
            ask(v, now_ms);
            if (!weir_breaker_view_is_asking(v, now_ms))
                return refuse(WEIR_BREAKER_REFUSE_HALF_OPEN, now_ms, 0);
            return (struct weir_breaker_answer){.word = WEIR_BREAKER_REFUSE_ASKED, .awaited = v->idled};
        }
    }
    if (v->own.phase == WEIR_BREAKER_OPEN && v->own.open_until_ms > now_ms)
        return refuse(WEIR_BREAKER_REFUSE_OPEN, now_ms, v->own.open_until_ms);
    if (v->own.phase != WEIR_BREAKER_CLOSED) {
        struct weir_breaker_report want = {.gen = v->own.gen, .node = v->pending.node, .want = 1};
        weir_breaker_report(&v->own, p, now_ms, &want, out);
        if (out->permit_count == 0)
            return refuse(WEIR_BREAKER_REFUSE_HALF_OPEN, now_ms, 0);
        a.ticket.own_permit = out->permits[0].id;
    }
    if (needs_permit(v)) {
        a.ticket.permit = v->permits[--v->permit_count].id;
        v->idled = false;
    }
    a.ticket.gen = v->sharing ? v->shared.gen : 0;
    a.ticket.own_gen = v->own.gen;
    return a;
}

static bool own_may_admit(const struct weir_breaker_view *v, const struct weir_breaker_policy *p, uint64_t now_ms)
{
    uint32_t busy = v->own.probes_ok;
    if (v->own.phase == WEIR_BREAKER_OPEN)
        return v->own.open_until_ms <= now_ms;
    if (v->own.phase == WEIR_BREAKER_CLOSED)
        return true;
    for (uint32_t i = 0; i < v->own.permit_count; i++)
        busy += v->own.permits[i].expires_ms > now_ms;
    return busy < p->permits;
}

bool weir_breaker_view_may_admit(const struct weir_breaker_view *v, const struct weir_breaker_policy *p,
                                 uint64_t now_ms)
{
    if (cooling_until(v) > now_ms || !own_may_admit(v, p, now_ms))
        return false;
    if (!needs_permit(v))
        return true;
    if (v->shared.phase == WEIR_BREAKER_OPEN && v->shared.open_until_ms > now_ms)
        return false;
    for (uint32_t i = 0; i < v->permit_count; i++)
        if (v->permits[i].expires_ms > now_ms + needed_ms(p))
            return true;
    return may_ask(v, now_ms);
}

struct weir_breaker_sight weir_breaker_view_look(const struct weir_breaker_view *v, uint64_t now_ms)
{
    struct weir_breaker_sight s = needs_permit(v) ? v->shared : weir_breaker_look(&v->own);
    s.cooldown_until_ms = cooling_until(v) > now_ms ? cooling_until(v) : 0;
    return s;
}

/* -- outcomes -- */

static void remember(struct weir_breaker_view *v, uint64_t now_ms, uint32_t ok, uint32_t fail)
{
    uint64_t second = now_ms / 1000;
    struct weir_breaker_bucket *b = &v->recent[second % WEIR_BREAKER_RECENT_S];
    if (b->period != second)
        *b = (struct weir_breaker_bucket){.period = second};
    b->ok = weir_add_u32(b->ok, ok);
    b->fail = weir_add_u32(b->fail, fail);
}

void weir_breaker_view_done(struct weir_breaker_view *v, const struct weir_breaker_policy *p, uint64_t now_ms,
                            const struct weir_breaker_ticket *t, enum weir_breaker_verdict verdict,
                            uint64_t cooldown_ms, struct weir_breaker_reply *out)
{
    uint64_t node = v->pending.node, own_gen = v->own.gen;
    struct weir_breaker_report r = report_of(node, t->own_gen, t->own_permit, verdict);
    r.cooldown_ms = cooldown_ms;
    weir_breaker_report(&v->own, p, now_ms, &r, out);
    if (!v->sharing && t->permit != 0)
        keep_unheard(v, now_ms, t->gen, t->permit, verdict);
    if (!v->sharing)
        return;
    remember(v, now_ms, verdict == WEIR_BREAKER_SUCCESS, verdict == WEIR_BREAKER_FAILURE);
    v->urgent = v->urgent || v->own.gen != own_gen;
    if (v->own.cooldown_until_ms > now_ms && v->own.cooldown_until_ms > v->cooldown_until_ms) {
        v->cooldown_until_ms = v->own.cooldown_until_ms;
        v->urgent = true;
    }
    if (t->gen != v->shared.gen)
        return;
    r = report_of(node, t->gen, t->permit, verdict);
    weir_breaker_report_add(&v->pending, &r);
    v->urgent = v->urgent || t->permit != 0;
}

void weir_breaker_view_succeeded(struct weir_breaker_view *v, const struct weir_breaker_policy *p, uint64_t now_ms,
                                 uint32_t count)
{
    struct weir_breaker_reply reply;
    struct weir_breaker_report r = {.gen = v->own.gen, .node = v->pending.node, .ok = count};
    weir_breaker_report(&v->own, p, now_ms, &r, &reply);
    if (!v->sharing)
        return;
    remember(v, now_ms, count, 0);
    r.gen = v->shared.gen;
    if (v->shared.phase == WEIR_BREAKER_CLOSED)
        weir_breaker_report_add(&v->pending, &r);
}

/* -- an operator's word -- */

void weir_breaker_view_order(struct weir_breaker_view *v, const struct weir_breaker_policy *p, uint64_t now_ms,
                             enum weir_breaker_order order, struct weir_breaker_reply *out)
{
    const struct weir_breaker_report r = {.gen = v->own.gen, .node = v->pending.node, .order = order};
    weir_breaker_report(&v->own, p, now_ms, &r, out);
    if (!v->sharing)
        return;
    v->pending.order = order;
    v->urgent = true;
}

/* -- sharing -- */

static bool has_news(const struct weir_breaker_report *r)
{
    return r->ok + (uint64_t)r->fail > 0 || r->want > 0 || r->probe_count > 0;
}

void weir_breaker_view_rename(struct weir_breaker_view *v, uint64_t node)
{
    assert(node != 0);
    v->pending.node = node;
}

bool weir_breaker_view_owes(const struct weir_breaker_view *v, bool *urgent)
{
    *urgent = v->sharing && v->urgent;
    return *urgent || (v->sharing && has_news(&v->pending));
}

bool weir_breaker_view_take(struct weir_breaker_view *v, uint64_t now_ms, struct weir_breaker_report *out)
{
    bool urgent;
    if (!weir_breaker_view_owes(v, &urgent))
        return false;
    *out = v->pending;
    out->cooldown_ms = v->cooldown_until_ms > now_ms ? v->cooldown_until_ms - now_ms : 0;
    for (size_t i = 0; i < WEIR_BREAKER_RECENT_S; i++)
        if (v->recent[i].period + WEIR_BREAKER_RECENT_S > now_ms / 1000) {
            out->recent_ok += v->recent[i].ok;
            out->recent_fail += v->recent[i].fail;
        }
    keep_unheard_of(v, now_ms, out);
    v->pending = (struct weir_breaker_report){.node = out->node, .gen = out->gen};
    v->cooldown_until_ms = 0;
    v->urgent = false;
    return true;
}

/* A deadline of the store's on the own clock; no later than it can be, should the store's clock have been set back. */
static uint64_t own_clock(uint64_t now_ms, uint64_t store_ms, uint64_t at_ms, uint64_t most_ms)
{
    uint64_t left = at_ms > store_ms ? at_ms - store_ms : 0;
    return left == 0 ? 0 : now_ms + (left < most_ms ? left : most_ms);
}

void weir_breaker_view_learn(struct weir_breaker_view *v, const struct weir_breaker_policy *p, uint64_t now_ms,
                             const struct weir_breaker_sight *seen, uint64_t store_ms)
{
    struct weir_breaker_sight s = *seen;
    if (v->sharing && s.gen < v->shared.gen)
        return;
    bool first = !v->sharing, other = first || s.gen != v->shared.gen;
    s.open_until_ms = own_clock(now_ms, store_ms, s.open_until_ms, p->recovery_max_ms);
    s.cooldown_until_ms = later(own_clock(now_ms, store_ms, s.cooldown_until_ms, WEIR_BREAKER_COOLDOWN_MS_MAX),
                                first ? 0 : v->shared.cooldown_until_ms);
    v->sharing = true;
    v->shared = s;
    if (!other)
        return;
    forget_pending(v);
    v->unheard.probe_count = v->unheard.gen == s.gen ? v->unheard.probe_count : 0;
    tell_again(v, now_ms);
    /* On return of the store the own circuit is the fresher one, unless the shared one is open as well. */
    if (!first || s.phase != WEIR_BREAKER_CLOSED)
        renew_own(v, now_ms);
}

void weir_breaker_view_granted(struct weir_breaker_view *v, uint64_t now_ms, const struct weir_breaker_report *said,
                               const struct weir_breaker_reply *reply, uint64_t store_ms)
{
    forget_heard(&v->unheard, said);
    if (said->want > 0)
        v->asking = v->asking && v->pending.want > 0; /* asked again after this answer's report had gone */
    /* By the store's clock it was not time yet: nothing was denied, and when it is, it may be asked for. */
    if (!v->asking && v->sharing && v->shared.phase == WEIR_BREAKER_OPEN && v->shared.open_until_ms > now_ms)
        v->asked_ms = 0;
    if (!v->sharing || reply->gen != v->shared.gen)
        return;
    if (reply->permit_count > 0)
        v->asked_ms = 0;
    for (uint32_t i = 0; i < reply->permit_count && v->permit_count < WEIR_BREAKER_BATCH; i++) {
        uint64_t expires = own_clock(now_ms, store_ms, reply->permits[i].expires_ms, UINT64_MAX);
        v->permits[v->permit_count++] = (struct weir_breaker_permit){reply->permits[i].id, expires};
    }
}

void weir_breaker_view_alone(struct weir_breaker_view *v, uint64_t now_ms)
{
    struct weir_breaker_sight s = v->shared;
    if (!v->sharing)
        return;
    if (s.phase != WEIR_BREAKER_CLOSED) {
        renew_own(v, now_ms);
        v->own.phase = WEIR_BREAKER_OPEN;
        v->own.open_until_ms = s.open_until_ms;
        v->own.openings = 1;
    }
    v->own.cooldown_until_ms = later(v->own.cooldown_until_ms, s.cooldown_until_ms);
    keep_unheard_of(v, now_ms, &v->pending);
    for (uint32_t i = 0; i < v->permit_count; i++)
        keep_unheard(v, now_ms, s.gen, v->permits[i].id, WEIR_BREAKER_NEITHER);
    v->sharing = v->urgent = false;
    v->shared = (struct weir_breaker_sight){0};
    v->cooldown_until_ms = 0;
    memset(v->recent, 0, sizeof v->recent);
    forget_pending(v);
}
