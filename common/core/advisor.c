#include "core/advisor.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What is to spare before fewer nodes are advised, so that a load around a bound does not change the advice. */
#define FEWER_SPARE 1.1
/* A pool that is larger or smaller by more than this part is news. */
#define POOL_NEWS 0.1

const char *weir_advisor_action_text(enum weir_advisor_action a)
{
    return a == WEIR_ADVISOR_SCALE_UP ? "scale_up" : a == WEIR_ADVISOR_SCALE_DOWN ? "scale_down" : "hold";
}

void weir_advisor_set(struct weir_advisor *a, const struct weir_advisor_config *c)
{
    a->config = *c;
}

void weir_advisor_init(struct weir_advisor *a, const struct weir_advisor_config *c)
{
    *a = (struct weir_advisor){.config = *c};
}

void weir_advisor_recall(struct weir_advisor *a, uint32_t desired_nodes, uint64_t changed_ms)
{
    a->desired = desired_nodes <= WEIR_CLUSTER_NODES_MAX ? desired_nodes : 0;
    a->changed_ms = changed_ms;
}

/* -- nodes -- */

/* Why more nodes are wanted at once. */
enum pain { PAIN_NONE, PAIN_REFUSED, PAIN_FULL, PAIN_ALERT };

static enum pain pain_of(const struct weir_load_record *last)
{
    bool refused = false, alert = false;
    for (uint32_t i = 0; last != NULL && i < last->count; i++) {
        refused = refused || last->items[i].point.refused > 0;
        alert = alert || last->items[i].point.hurting > 0;
    }
    if (alert)
        return PAIN_ALERT;
    if (last != NULL && last->utilization_pct >= WEIR_LOAD_FULL_PERCENT)
        return PAIN_FULL;
    return refused ? PAIN_REFUSED : PAIN_NONE;
}

static const char *pain_text(enum pain p)
{
    static const char *const texts[] = {[PAIN_NONE] = "",
                                        [PAIN_REFUSED] = "; requests are refused now",
                                        [PAIN_FULL] = "; a node is at its limits now",
                                        [PAIN_ALERT] = "; an alert asks for more now"};
    return texts[p];
}

static uint32_t nodes_for(double in_flight, uint64_t safe)
{
    double nodes = ceil(in_flight / (double)safe);
    return nodes < 1 ? 1 : nodes > WEIR_CLUSTER_NODES_MAX ? WEIR_CLUSTER_NODES_MAX : (uint32_t)nodes;
}

static bool over(uint64_t since_ms, uint64_t now_ms, uint64_t ms)
{
    return since_ms == 0 || now_ms >= since_ms + ms || now_ms < since_ms; /* a clock that was set back ends the wait */
}

static void advise(struct weir_advisor *a, uint32_t desired, uint64_t now_ms)
{
    a->desired = desired;
    a->changed_ms = now_ms;
    a->fewer_from_ms = 0;
}

/* More nodes are what helps. Refusals alone may be a rate limit's, or a provider's that is down. */
static bool lacks_room(enum pain pain)
{
    return pain == PAIN_FULL || pain == PAIN_ALERT;
}

static void want_more(struct weir_advisor *a, const struct weir_hints *h, uint32_t need, enum pain pain)
{
    if (need > a->desired && (pain != PAIN_NONE || over(a->changed_ms, h->at_ms, a->config.cooldown_ms)))
        advise(a, need, h->at_ms);
    if (lacks_room(pain) && a->desired <= h->nodes && h->nodes < WEIR_CLUSTER_NODES_MAX &&
        over(a->one_more_ms, h->at_ms, a->config.cooldown_ms)) {
        a->one_more_ms = h->at_ms;
        advise(a, h->nodes + 1, h->at_ms);
    }
}

static void want_fewer(struct weir_advisor *a, const struct weir_hints *h, uint32_t need, enum pain pain)
{
    if (need >= a->desired || lacks_room(pain)) {
        a->fewer_from_ms = 0;
        return;
    }
    if (a->fewer_from_ms == 0 || a->fewer_from_ms > h->at_ms) {
        a->fewer_from_ms = h->at_ms;
        a->fewer_most = need;
    }
    a->fewer_most = need > a->fewer_most ? need : a->fewer_most;
    if (over(a->fewer_from_ms, h->at_ms, a->config.cooldown_ms) && over(a->changed_ms, h->at_ms, a->config.cooldown_ms))
        advise(a, a->fewer_most, h->at_ms);
}

/* What is there is right while too little is known: more nodes at once, fewer when they have been fewer for a cooldown.
 * One that is away for a moment must not become one that nobody wants back. */
static void want_what_is_there(struct weir_advisor *a, const struct weir_hints *h, enum pain pain)
{
    uint32_t there = h->nodes > 0 ? h->nodes : 1;
    if (there > a->desired && over(a->changed_ms, h->at_ms, a->config.cooldown_ms))
        a->desired = there;
    want_more(a, h, 0, pain);
    want_fewer(a, h, there, pain);
}

static enum weir_advisor_action action_of(struct weir_advisor *a, const struct weir_hints *h)
{
    if (a->nodes != 0 && h->nodes > a->nodes)
        a->grown_ms = h->at_ms;
    a->nodes = h->nodes;
    if (a->desired > h->nodes)
        return WEIR_ADVISOR_SCALE_UP;
    if (a->desired < h->nodes && over(a->grown_ms, h->at_ms, a->config.cooldown_ms))
        return WEIR_ADVISOR_SCALE_DOWN;
    return WEIR_ADVISOR_HOLD;
}

/* "21 min", "40 s". */
static void in_words(char *out, size_t size, uint64_t ms)
{
    if (ms >= 120000)
        (void)snprintf(out, size, "%llu min", (unsigned long long)(ms / 60000));
    else
        (void)snprintf(out, size, "%llu s", (unsigned long long)(ms / 1000));
}

static void say_why(const struct weir_advisor *a, struct weir_hints *h, uint32_t need, enum pain pain)
{
    const struct weir_load_peak *p = &h->in_flight.ahead;
    char when[24];
    const char *wait = "";
    if (need > a->desired)
        wait = "; the last change is too recent for another";
    else if (a->fewer_from_ms != 0)
        wait = "; fewer are advised when that has held for a cooldown";
    in_words(when, sizeof when, p->peak_at_ms > h->at_ms ? p->peak_at_ms - h->at_ms : 0);
    (void)snprintf(h->reason, sizeof h->reason,
                   "in flight: %.0f now, up to %.0f ahead (middle %.0f, in %s); at %llu per node that takes %u%s%s",
                   h->in_flight.now, p->peak_high, p->peak, when, (unsigned long long)h->safe_concurrency, need,
                   pain_text(pain), wait);
}

/* Whether the last look is no longer ago than advice lives. */
static bool follows(const struct weir_advisor *a, uint64_t now_ms)
{
    return now_ms >= a->looked_ms && now_ms <= a->looked_ms + WEIR_ADVISOR_LIFE_SLOTS * a->config.slot_ms;
}

static const char *little_history(char *out, size_t size, uint64_t seen, uint64_t step_ms)
{
    (void)snprintf(out, size, "too little history: %llu of %u steps of %llu s", (unsigned long long)seen,
                   WEIR_ADVISOR_SEEN_MIN, (unsigned long long)(step_ms / 1000));
    return out;
}

static void look_at_nodes(struct weir_advisor *a, const struct weir_advisor_now *now, struct weir_hints *h)
{
    enum pain pain = pain_of(now->last);
    uint64_t seen = weir_load_forecast_seen(now->forecast);
    const char *lacks = NULL;
    char little[64];
    if (a->desired == 0)
        a->desired = h->nodes > 0 ? h->nodes : 1;
    if (h->safe_concurrency == 0)
        lacks = "what a node carries is not known yet";
    else if (seen < WEIR_ADVISOR_SEEN_MIN)
        lacks = little_history(little, sizeof little, seen, h->step_ms);
    else if (!weir_load_forecast_current(now->forecast, now->store_ms))
        lacks = "no recent history";
    if (a->blind != (lacks != NULL) || !follows(a, h->at_ms))
        a->fewer_from_ms = 0; /* what is waited for was another thing, or was not seen all the while */
    a->blind = lacks != NULL;
    a->looked_ms = h->at_ms;
    if (lacks == NULL) {
        double high = fmax(h->in_flight.ahead.peak_high, h->in_flight.now);
        uint32_t need = nodes_for(high, h->safe_concurrency);
        want_more(a, h, need, pain);
        want_fewer(a, h, nodes_for(high * FEWER_SPARE, h->safe_concurrency), pain);
        say_why(a, h, need, pain);
    } else {
        want_what_is_there(a, h, pain);
        (void)snprintf(h->reason, sizeof h->reason, "%s%s%s", lacks, pain_text(pain),
                       a->fewer_from_ms != 0 ? "; as many as there were are advised for a cooldown" : "");
    }
    h->action = action_of(a, h);
    h->desired_nodes = a->desired;
    h->since_ms = a->changed_ms;
}

/* -- providers -- */

static double timeout_s(const struct weir_advisor_config *c, const char *provider)
{
    for (uint32_t i = 0; i < c->provider_count; i++)
        if (strcmp(c->providers[i].name, provider) == 0)
            return c->providers[i].timeout_s;
    return c->timeout_s;
}

/* Rates that a count of requests would not be whole for are rounded up: half a request a second is one at times. */
static uint32_t pool_size(double requests_s, double exchange_ms)
{
    return weir_tuning_pool_size((int64_t)ceil(fmin(requests_s, WEIR_FORECAST_VALUE_MAX)), exchange_ms);
}

static void look_at_provider(const struct weir_advisor *a, const struct weir_advisor_now *now, const char *name,
                             struct weir_hints_provider *p)
{
    const struct weir_load_pattern *pattern = weir_load_patterns_find(now->patterns, name);
    const struct weir_load_point *point = now->last != NULL ? weir_load_record_find(now->last, name) : NULL;
    double exchange_ms = pattern != NULL ? weir_load_exchange_ms(&pattern->recent) : -1;
    double connect_ms = pattern != NULL ? weir_load_connect_ms(&pattern->recent) : -1;
    memset(p, 0, sizeof *p);
    (void)snprintf(p->provider, sizeof p->provider, "%s", name);
    if (point != NULL) {
        p->in_flight.now = (double)point->in_flight_peak;
        p->requests_s.now = (double)point->requests * 1000 / (double)a->config.slot_ms;
    }
    p->in_flight.ahead = weir_load_forecast_peak(now->forecast, name, WEIR_LOAD_IN_FLIGHT, now->store_ms);
    p->requests_s.ahead = weir_load_forecast_peak(now->forecast, name, WEIR_LOAD_REQUESTS_S, now->store_ms);
    p->timeouts = weir_tuning_timeouts(connect_ms > 0 ? connect_ms / 1000 : 0, timeout_s(&a->config, name));
    if (exchange_ms < 0) {
        (void)snprintf(p->reason, sizeof p->reason, "no answer was received lately: no size follows");
        return;
    }
    double high = fmax(p->requests_s.ahead.peak_high, p->requests_s.now);
    p->pool_size = pool_size(high, exchange_ms);
    p->pool_size_now = pool_size(p->requests_s.now, exchange_ms);
    (void)snprintf(p->reason, sizeof p->reason, "up to %.1f requests/s ahead, %.1f now, %.0f ms each", high,
                   p->requests_s.now, exchange_ms);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* -- the whole -- */

static void look_at_all(const struct weir_advisor *a, const struct weir_advisor_now *now, struct weir_hints *h)
{
    if (now->last != NULL) {
        h->in_flight.now = weir_load_record_in_flight(now->last);
        h->requests_s.now = weir_load_record_requests(now->last) * 1000 / (double)a->config.slot_ms;
    }
    h->in_flight.ahead = weir_load_forecast_peak(now->forecast, NULL, WEIR_LOAD_IN_FLIGHT, now->store_ms);
    h->requests_s.ahead = weir_load_forecast_peak(now->forecast, NULL, WEIR_LOAD_REQUESTS_S, now->store_ms);
}

void weir_advisor_look(struct weir_advisor *a, const struct weir_advisor_now *now, struct weir_hints *out)
{
    const char *names[WEIR_LOAD_PROVIDERS_MAX];
    uint64_t life_ms = WEIR_ADVISOR_LIFE_SLOTS * a->config.slot_ms;
    memset(out, 0, offsetof(struct weir_hints, providers));
    out->at_ms = now->store_ms;
    out->valid_until_ms = now->store_ms + (life_ms > WEIR_ADVISOR_LIFE_MS_MIN ? life_ms : WEIR_ADVISOR_LIFE_MS_MIN);
    out->step_ms = weir_load_forecast_step_ms(now->forecast);
    out->window_ms = weir_load_forecast_horizon(now->forecast) * out->step_ms;
    out->nodes = now->nodes;
    out->safe_concurrency = a->config.safe_concurrency > 0 ? a->config.safe_concurrency : now->safe_concurrency;
    look_at_all(a, now, out);
    look_at_nodes(a, now, out);
    out->count = weir_load_forecast_providers(now->forecast, names);
    qsort(names, out->count, sizeof names[0], by_name);
    for (uint32_t i = 0; i < out->count; i++)
        look_at_provider(a, now, names[i], &out->providers[i]);
}

static bool differs(uint32_t a, uint32_t b)
{
    return fabs((double)a - (double)b) > POOL_NEWS * (double)b;
}

bool weir_hints_news(const struct weir_hints *h, const struct weir_hints *before)
{
    uint64_t third = (before->valid_until_ms - before->at_ms) / 3;
    if (h->at_ms >= before->at_ms + third || h->at_ms < before->at_ms || h->action != before->action ||
        h->desired_nodes != before->desired_nodes || h->count != before->count)
        return true;
    for (uint32_t i = 0; i < h->count; i++)
        if (strcmp(h->providers[i].provider, before->providers[i].provider) != 0 ||
            differs(h->providers[i].pool_size, before->providers[i].pool_size))
            return true;
    return false;
}
