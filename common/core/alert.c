#include "core/alert.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/config_schema.h"

/* -- conditions -- */

static int guide_id_of(void *arg, struct weir_str name)
{
    (void)arg;
    for (int i = 0; i < WEIR_GUIDE_COUNT; i++)
        if (weir_str_eq(name, weir_str_of(weir_guide_table[i].name)))
            return i;
    return -1;
}

static const char *guide_name_nearest(const char *name)
{
    const char *best = weir_guide_table[0].name;
    unsigned best_distance = weir_config_distance(name, best);
    for (int i = 1; i < WEIR_GUIDE_COUNT; i++) {
        unsigned distance = weir_config_distance(name, weir_guide_table[i].name);
        if (distance < best_distance) {
            best = weir_guide_table[i].name;
            best_distance = distance;
        }
    }
    return best;
}

int weir_alert_condition_parse(struct weir_alert_expr *out, struct weir_str text, struct weir_alert_expr_error *error)
{
    int code = weir_alert_expr_parse(out, text, error, NULL, guide_id_of);
    if (error->unknown.len > 0) {
        char name[64];
        size_t len = error->unknown.len < sizeof name ? error->unknown.len : sizeof name - 1;
        memcpy(name, error->unknown.ptr, len);
        name[len] = '\0';
        snprintf(error->sentence, sizeof error->sentence, "unknown name \"%s\"; the nearest known one is \"%s\"", name,
                 guide_name_nearest(name));
    }
    return code;
}

/* -- one rule in one scope -- */

const char *weir_alert_state_text(enum weir_alert_state s)
{
    static const char *const text[] = {"inactive", "pending", "firing", "resolved"};
    return text[s];
}

static void move(struct weir_alert *a, enum weir_alert_state state, uint64_t now_ms)
{
    a->state = state;
    a->since_ms = now_ms;
}

bool weir_alert_step(struct weir_alert *a, enum weir_alert_truth truth, uint64_t for_ms, uint64_t now_ms)
{
    bool holds = truth == WEIR_ALERT_TRUE;
    if (a->state == WEIR_ALERT_FIRING) {
        if (holds)
            return false;
        move(a, WEIR_ALERT_RESOLVED, now_ms);
        a->resolved_ms = now_ms;
        return true;
    }
    if (!holds) {
        if (a->state == WEIR_ALERT_PENDING)
            move(a, a->resolved_ms != 0 ? WEIR_ALERT_RESOLVED : WEIR_ALERT_INACTIVE, now_ms);
        return false;
    }
    if (a->state != WEIR_ALERT_PENDING)
        move(a, WEIR_ALERT_PENDING, now_ms);
    if (now_ms - a->since_ms < for_ms)
        return false;
    move(a, WEIR_ALERT_FIRING, now_ms);
    a->fired_ms = now_ms;
    return true;
}

/* -- counters over the window -- */

void weir_alert_window_init(struct weir_alert_window *w, uint64_t window_ms)
{
    assert(window_ms > 0);
    w->window_ms = window_ms;
    w->first = w->count = 0;
}

static unsigned ring(const struct weir_alert_window *w, unsigned i)
{
    return (w->first + i) % WEIR_ALERT_SAMPLES;
}

static bool has_fallen(const struct weir_endpoint_counters *from, const struct weir_endpoint_counters *to)
{
    for (size_t i = 0; i < WEIR_EC_COUNT; i++)
        if (to->at[i] < from->at[i])
            return true;
    return false;
}

/* Samples are this far apart, so that the ring spans the window. */
static uint64_t step_ms(const struct weir_alert_window *w)
{
    uint64_t step = w->window_ms / (WEIR_ALERT_SAMPLES - 1);
    return step > 0 ? step : 1;
}

static void keep(struct weir_alert_window *w, uint64_t now_ms, const struct weir_endpoint_counters *now)
{
    unsigned last = ring(w, w->count + WEIR_ALERT_SAMPLES - 1);
    if (w->count > 0 && now_ms - w->at_ms[last] < step_ms(w))
        return;
    if (w->count == WEIR_ALERT_SAMPLES) {
        w->first = ring(w, 1);
        w->count--;
    }
    unsigned at = ring(w, w->count++);
    w->at_ms[at] = now_ms;
    w->counters[at] = *now;
}

void weir_alert_window_increase(struct weir_alert_window *w, uint64_t now_ms, const struct weir_endpoint_counters *now,
                                struct weir_endpoint_counters *increase)
{
    if (w->count > 0 && has_fallen(&w->counters[ring(w, w->count - 1)], now))
        w->count = 0;
    keep(w, now_ms, now);
    /* Samples that a younger one replaces as the window's beginning. */
    while (w->count > 1 && now_ms - w->at_ms[ring(w, 1)] >= w->window_ms) {
        w->first = ring(w, 1);
        w->count--;
    }
    const struct weir_endpoint_counters *from = &w->counters[w->first];
    for (size_t i = 0; i < WEIR_CELLS(WEIR_EC_COUNT); i++)
        increase->at[i] = now->at[i] - from->at[i];
}

/* -- all rules in all scopes -- */

struct rule {
    const struct weir_config_alert *config;
    struct weir_alert_expr expr;
};

struct scope {
    const char *provider; /* NULL: over all */
    struct weir_alert_window window;
    struct weir_guide_values values;
    struct weir_alert *alerts; /* one per rule */
};

struct weir_alerts {
    struct rule *rules;
    size_t rule_count;
    struct scope *scopes; /* [0] is over all */
    size_t scope_count;
    struct weir_alert *alerts; /* what the scopes' pointers lie in */
    uint64_t due_ms;
};

static int rules_parse(struct weir_alerts *a, const struct weir_config_alerts *list, struct weir_err *err)
{
    for (size_t i = 0; i < list->count; i++) {
        struct rule *r = &a->rules[a->rule_count++];
        struct weir_alert_expr_error error;
        r->config = &list->at[i];
        if (weir_alert_condition_parse(&r->expr, weir_str_of(list->at[i].condition), &error) != WEIR_OK)
            return weir_err_set(err, WEIR_EINVAL, "alert %s: column %u: %s", list->at[i].name, error.column,
                                error.sentence);
    }
    return WEIR_OK;
}

int weir_alerts_new(struct weir_alerts **out, const struct weir_config *c, struct weir_err *err)
{
    const struct weir_config_alerts *lists[] = {&c->alerting.connection_pool, &c->alerts};
    size_t rule_count = lists[0]->count + lists[1]->count;
    struct weir_alerts *a = calloc(1, sizeof *a);
    int code = WEIR_ENOMEM;
    *out = NULL;
    if (a == NULL)
        return weir_err_set(err, WEIR_ENOMEM, "%s", weir_err_text(WEIR_ENOMEM));
    a->scope_count = c->provider_count + 1;
    a->rules = calloc(rule_count + 1, sizeof *a->rules); /* no allocation is empty */
    a->scopes = calloc(a->scope_count, sizeof *a->scopes);
    a->alerts = calloc(a->scope_count * rule_count + 1, sizeof *a->alerts);
    if (a->rules == NULL || a->scopes == NULL || a->alerts == NULL) {
        weir_err_set(err, WEIR_ENOMEM, "%s", weir_err_text(WEIR_ENOMEM));
        goto err_after_new;
    }
    for (size_t i = 0; i < a->scope_count; i++) {
        a->scopes[i].provider = i > 0 ? c->providers[i - 1].name : NULL;
        a->scopes[i].alerts = a->alerts + i * rule_count;
        weir_alert_window_init(&a->scopes[i].window, c->alerting.window_ms);
    }
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
        if ((code = rules_parse(a, lists[i], err)) != WEIR_OK)
            goto err_after_new;
    *out = a;
    return WEIR_OK;

err_after_new:
    weir_alerts_free(&a);
    return code;
}

void weir_alerts_free(struct weir_alerts **a)
{
    if (*a == NULL)
        return;
    free((*a)->rules);
    free((*a)->scopes);
    free((*a)->alerts);
    free(*a);
    *a = NULL;
}

static void tell(const struct weir_alerts *a, const struct scope *s, size_t rule, void *arg, weir_alert_fn *fn)
{
    fn(arg,
       &(struct weir_alert_view){
           .rule = a->rules[rule].config, .provider = s->provider, .alert = &s->alerts[rule], .values = &s->values});
}

/* guess: where it stands if nothing has changed. NULL: none. */
static struct scope *scope_of(const struct weir_alerts *a, const char *provider, size_t guess)
{
    if (provider == NULL)
        return &a->scopes[0];
    if (guess > 0 && guess < a->scope_count && strcmp(a->scopes[guess].provider, provider) == 0)
        return &a->scopes[guess];
    for (size_t i = 1; i < a->scope_count; i++)
        if (strcmp(a->scopes[i].provider, provider) == 0)
            return &a->scopes[i];
    return NULL;
}

/* -1: none. */
static int rule_like(const struct weir_alerts *a, const struct weir_config_alert *c)
{
    for (size_t i = 0; i < a->rule_count; i++)
        if (strcmp(a->rules[i].config->name, c->name) == 0 && strcmp(a->rules[i].config->condition, c->condition) == 0)
            return (int)i;
    return -1;
}

void weir_alerts_adopt(struct weir_alerts *a, struct weir_alerts *old, uint64_t now_ms, void *arg, weir_alert_fn *fn)
{
    a->due_ms = old->due_ms;
    for (size_t i = 0; i < old->scope_count; i++) {
        struct scope *from = &old->scopes[i], *to = scope_of(a, from->provider, i);
        if (to != NULL && to->window.window_ms == from->window.window_ms)
            to->window = from->window;
        if (to != NULL)
            to->values = from->values;
    }
    for (size_t j = 0; j < old->rule_count; j++) {
        int like = rule_like(a, old->rules[j].config);
        for (size_t i = 0; i < old->scope_count; i++) {
            struct scope *from = &old->scopes[i], *to = scope_of(a, from->provider, i);
            if (to != NULL && like >= 0)
                to->alerts[like] = from->alerts[j];
            else if (weir_alert_step(&from->alerts[j], WEIR_ALERT_FALSE, 0, now_ms))
                tell(old, from, j, arg, fn);
        }
    }
}

uint64_t weir_alerts_due_ms(const struct weir_alerts *a)
{
    return a->due_ms;
}

/* The scope's values but for the counters are set. */
static void counters_set(struct scope *s, const struct weir_endpoint_counters *sum, uint64_t now_ms)
{
    struct weir_endpoint_counters increase;
    weir_alert_window_increase(&s->window, now_ms, sum, &increase);
    weir_guide_recount(&s->values, &increase);
}

static void scope_evaluate(struct weir_alerts *a, struct scope *s, uint64_t now_ms, void *arg, weir_alert_fn *fn)
{
    for (size_t i = 0; i < a->rule_count; i++) {
        enum weir_alert_truth truth = weir_alert_expr_eval(&a->rules[i].expr, s->values.at, WEIR_GUIDE_COUNT);
        if (weir_alert_step(&s->alerts[i], truth, a->rules[i].config->for_ms, now_ms))
            tell(a, s, i, arg, fn);
    }
}

void weir_alerts_evaluate(struct weir_alerts *a, const struct weir_snapshot *s, uint64_t now_ms, void *arg,
                          weir_alert_fn *fn)
{
    struct weir_endpoint_counters all = {0};
    a->due_ms = now_ms + WEIR_ALERT_EVERY_MS;
    for (size_t i = 0; i < s->provider_count; i++)
        for (size_t j = 0; j < s->providers[i].endpoint_count; j++)
            weir_endpoint_counters_sum(&all, &s->providers[i].endpoints[j].counters);
    weir_guide_of_node(&a->scopes[0].values, s);
    counters_set(&a->scopes[0], &all, now_ms);
    scope_evaluate(a, &a->scopes[0], now_ms, arg, fn);
    for (size_t i = 0; i < s->provider_count; i++) {
        const struct weir_provider_snapshot *p = &s->providers[i];
        struct scope *scope = scope_of(a, p->name, i + 1);
        struct weir_endpoint_counters sum = {0};
        if (scope == NULL)
            continue;
        for (size_t j = 0; j < p->endpoint_count; j++)
            weir_endpoint_counters_sum(&sum, &p->endpoints[j].counters);
        weir_guide_of_provider(&scope->values, p);
        counters_set(scope, &sum, now_ms);
        scope_evaluate(a, scope, now_ms, arg, fn);
    }
}

void weir_alerts_each(const struct weir_alerts *a, void *arg, weir_alert_fn *fn)
{
    for (size_t i = 0; i < a->scope_count; i++)
        for (size_t j = 0; j < a->rule_count; j++)
            tell(a, &a->scopes[i], j, arg, fn);
}
