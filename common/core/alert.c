#include "core/alert.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* -- conditions -- */

static int id_of(void *arg, struct weir_str name)
{
    (void)arg;
    return weir_alert_id_of(name);
}

int weir_alert_condition_parse(struct weir_alert_expr *out, struct weir_str text, struct weir_alert_expr_error *error)
{
    int code = weir_alert_expr_parse(out, text, error, NULL, id_of);
    if (error->unknown.len > 0) {
        char name[64];
        size_t len = error->unknown.len < sizeof name ? error->unknown.len : sizeof name - 1;
        memcpy(name, error->unknown.ptr, len);
        name[len] = '\0';
        snprintf(error->sentence, sizeof error->sentence, "unknown name \"%s\"; the nearest known one is \"%s\"", name,
                 weir_alert_name_nearest(name));
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

void weir_alert_window_init(struct weir_alert_window *w, uint64_t window_ms, size_t cells, uint64_t *memory)
{
    assert(window_ms > 0 && cells > 0);
    w->window_ms = window_ms;
    w->cells = cells;
    w->counters = memory;
    w->first = w->count = 0;
}

static unsigned ring(const struct weir_alert_window *w, unsigned i)
{
    return (w->first + i) % WEIR_ALERT_SAMPLES;
}

static uint64_t *sample(const struct weir_alert_window *w, unsigned i)
{
    return w->counters + ring(w, i) * w->cells;
}

static bool has_fallen(const struct weir_alert_window *w, const uint64_t *now)
{
    const uint64_t *last = sample(w, w->count - 1);
    for (size_t i = 0; i < w->cells; i++)
        if (now[i] < last[i])
            return true;
    return false;
}

/* Samples are this far apart, so that the ring spans the window. */
static uint64_t step_ms(const struct weir_alert_window *w)
{
    uint64_t step = w->window_ms / (WEIR_ALERT_SAMPLES - 1);
    return step > 0 ? step : 1;
}

static void keep(struct weir_alert_window *w, uint64_t now_ms, const uint64_t *now)
{
    unsigned last = ring(w, w->count + WEIR_ALERT_SAMPLES - 1);
    if (w->count > 0 && now_ms - w->at_ms[last] < step_ms(w))
        return;
    if (w->count == WEIR_ALERT_SAMPLES) {
        w->first = ring(w, 1);
        w->count--;
    }
    w->at_ms[ring(w, w->count)] = now_ms;
    memcpy(sample(w, w->count), now, w->cells * sizeof *now);
    w->count++;
}

void weir_alert_window_increase(struct weir_alert_window *w, uint64_t now_ms, const uint64_t *now, uint64_t *increase)
{
    if (w->count > 0 && has_fallen(w, now))
        w->count = 0;
    keep(w, now_ms, now);
    /* Samples that a younger one replaces as the window's beginning. */
    while (w->count > 1 && now_ms - w->at_ms[ring(w, 1)] >= w->window_ms) {
        w->first = ring(w, 1);
        w->count--;
    }
    const uint64_t *from = sample(w, 0);
    for (size_t i = 0; i < w->cells; i++)
        increase[i] = now[i] - from[i];
}

/* -- all rules in all scopes -- */

struct rule {
    const struct weir_config_alert *config;
    struct weir_alert_expr expr;
};

struct scope {
    const char *provider; /* NULL: over all */
    struct weir_alert_window window;
    struct weir_alert_values values;
    struct weir_alert *alerts; /* one per rule */
};

struct weir_alerts {
    struct rule *rules;
    size_t rule_count;
    struct scope *scopes; /* [0] is over all */
    size_t scope_count;
    struct weir_alert *alerts; /* what the scopes' pointers lie in */
    uint64_t *samples;         /* likewise, of their windows */
    uint64_t interval_ms;
    uint64_t due_ms;
};

/* Of the windows of all scopes before this one. */
static size_t samples_before(size_t scope)
{
    return scope == 0 ? 0 : WEIR_ALERT_SAMPLES * (WEIR_ALERT_CELLS_NODE + (scope - 1) * WEIR_ALERT_CELLS_PROVIDER);
}

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
    a->samples = calloc(samples_before(a->scope_count), sizeof *a->samples);
    a->interval_ms = c->alerting.interval_ms;
    if (a->rules == NULL || a->scopes == NULL || a->alerts == NULL || a->samples == NULL) {
        weir_err_set(err, WEIR_ENOMEM, "%s", weir_err_text(WEIR_ENOMEM));
        goto err_after_new;
    }
    for (size_t i = 0; i < a->scope_count; i++) {
        a->scopes[i].provider = i > 0 ? c->providers[i - 1].name : NULL;
        a->scopes[i].alerts = a->alerts + i * rule_count;
        weir_alert_window_init(&a->scopes[i].window, c->alerting.window_ms,
                               i > 0 ? WEIR_ALERT_CELLS_PROVIDER : WEIR_ALERT_CELLS_NODE,
                               a->samples + samples_before(i));
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
    free((*a)->samples);
    free(*a);
    *a = NULL;
}

static void tell(const struct weir_alerts *a, const struct scope *s, size_t rule, void *arg, weir_alert_fn *fn)
{
    fn(arg, &(struct weir_alert_view){.rule = a->rules[rule].config,
                                      .provider = s->provider,
                                      .alert = &s->alerts[rule],
                                      .values = &s->values,
                                      .condition = &a->rules[rule].expr});
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

static bool alike(const struct weir_config_alert *a, const struct weir_config_alert *b)
{
    return strcmp(a->name, b->name) == 0 && strcmp(a->condition, b->condition) == 0;
}

/* The rule of `a` that follows old's rule j. A rule may stand there twice, for two actions: the first follows the
 * first. -1: none. */
static int rule_after(const struct weir_alerts *a, const struct weir_alerts *old, size_t j)
{
    size_t before = 0;
    for (size_t i = 0; i < j; i++)
        before += alike(old->rules[i].config, old->rules[j].config);
    for (size_t i = 0; i < a->rule_count; i++)
        if (alike(a->rules[i].config, old->rules[j].config) && before-- == 0)
            return (int)i;
    return -1;
}

static void window_copy(struct weir_alert_window *to, const struct weir_alert_window *from)
{
    assert(to->cells == from->cells);
    memcpy(to->at_ms, from->at_ms, sizeof to->at_ms);
    memcpy(to->counters, from->counters, WEIR_ALERT_SAMPLES * to->cells * sizeof *to->counters);
    to->first = from->first;
    to->count = from->count;
}

void weir_alerts_adopt(struct weir_alerts *a, struct weir_alerts *old, uint64_t now_ms, void *arg, weir_alert_fn *fn)
{
    a->due_ms = old->due_ms < now_ms + a->interval_ms ? old->due_ms : now_ms + a->interval_ms;
    for (size_t i = 0; i < old->scope_count; i++) {
        struct scope *from = &old->scopes[i], *to = scope_of(a, from->provider, i);
        if (to != NULL && to->window.window_ms == from->window.window_ms)
            window_copy(&to->window, &from->window);
        if (to != NULL)
            to->values = from->values;
    }
    for (size_t j = 0; j < old->rule_count; j++) {
        int like = rule_after(a, old, j);
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

static void scope_evaluate(struct weir_alerts *a, struct scope *s, uint64_t now_ms, void *arg, weir_alert_fn *fn)
{
    for (size_t i = 0; i < a->rule_count; i++) {
        enum weir_alert_truth truth = weir_alert_expr_eval(&a->rules[i].expr, s->values.at, WEIR_ALERT_IDS);
        if (weir_alert_step(&s->alerts[i], truth, a->rules[i].config->for_ms, now_ms))
            tell(a, s, i, arg, fn);
    }
}

void weir_alerts_evaluate(struct weir_alerts *a, const struct weir_snapshot *s, uint64_t now_ms, void *arg,
                          weir_alert_fn *fn)
{
    uint64_t cells[WEIR_ALERT_CELLS_NODE], increase[WEIR_ALERT_CELLS_NODE];
    a->due_ms = now_ms + a->interval_ms;
    weir_alert_cells_of_node(cells, s);
    weir_alert_window_increase(&a->scopes[0].window, now_ms, cells, increase);
    weir_alert_values_of_node(&a->scopes[0].values, s, increase);
    scope_evaluate(a, &a->scopes[0], now_ms, arg, fn);
    for (size_t i = 0; i < s->provider_count; i++) {
        struct scope *scope = scope_of(a, s->providers[i].name, i + 1);
        if (scope == NULL)
            continue;
        weir_alert_cells_of_provider(cells, &s->providers[i]);
        weir_alert_window_increase(&scope->window, now_ms, cells, increase);
        weir_alert_values_of_provider(&scope->values, &s->providers[i], increase);
        scope_evaluate(a, scope, now_ms, arg, fn);
    }
}

void weir_alerts_each(const struct weir_alerts *a, void *arg, weir_alert_fn *fn)
{
    for (size_t i = 0; i < a->scope_count; i++)
        for (size_t j = 0; j < a->rule_count; j++)
            tell(a, &a->scopes[i], j, arg, fn);
}

int weir_alert_next_name(const struct weir_alert_view *v, unsigned *at)
{
    for (; *at < v->condition->count; (*at)++) {
        int id = weir_alert_expr_name_at(v->condition, *at);
        bool seen = id < 0;
        for (unsigned i = 0; i < *at && !seen; i++)
            seen = weir_alert_expr_name_at(v->condition, i) == id;
        if (!seen) {
            (*at)++;
            return id;
        }
    }
    return -1;
}

static bool wants_scale_up(const struct weir_alerts *a, const struct scope *s)
{
    for (size_t i = 0; i < a->rule_count; i++)
        if (a->rules[i].config->action == WEIR_CONFIG_ACTION_SCALE_UP && s->alerts[i].state == WEIR_ALERT_FIRING)
            return true;
    return false;
}

bool weir_alerts_scale_up(const struct weir_alerts *a, const char *provider)
{
    const struct scope *s = scope_of(a, provider, 0);
    return wants_scale_up(a, &a->scopes[0]) || (s != NULL && wants_scale_up(a, s));
}

struct weir_alerts_count weir_alerts_count(const struct weir_alerts *a)
{
    struct weir_alerts_count n = {0};
    for (size_t i = 0; i < a->scope_count; i++)
        for (size_t j = 0; j < a->rule_count; j++) {
            if (a->scopes[i].alerts[j].state != WEIR_ALERT_FIRING)
                continue;
            n.by_severity[a->rules[j].config->severity]++;
            n.scale_up += a->rules[j].config->action == WEIR_CONFIG_ACTION_SCALE_UP;
        }
    return n;
}
