/* Traffic and what holds it back: pools, circuits, rate limits, alerts. */
#include <stdio.h>

#include "cli/show.h"

/* Nothing for no time at all. */
static void add_seconds(struct ctl_table *t, const json_t *o, const char *key)
{
    char text[CTL_DURATION_MAX];
    double seconds;
    if (ctl_number(o, key, &seconds) && seconds > 0)
        ctl_table_cell(t, CTL_PLAIN, "%s", ctl_duration(text, seconds));
    else
        ctl_table_cell(t, CTL_PLAIN, "%s", "");
}

static void add_breaker(struct ctl_table *t, const json_t *b)
{
    const char *state = ctl_text(b, "state", "-");
    const json_t *shared = json_object_get(b, "shared");
    double cooldown, wait;
    bool cools = ctl_number(b, "cooldown_seconds", &cooldown) && cooldown > 0;
    ctl_text_cell(t, CTL_PLAIN, b, "provider");
    ctl_text_cell(t, CTL_PLAIN, b, "endpoint");
    ctl_table_cell(t,
                   strcmp(state, "open") == 0              ? CTL_BAD
                   : strcmp(state, "closed") != 0 || cools ? CTL_WARN
                                                           : CTL_GOOD,
                   "%s%s", state, cools ? ", cools down" : "");
    add_seconds(t, b, "state_seconds");
    if (strcmp(state, "open") == 0 && !cools && ctl_number(b, "retry_in_seconds", &wait) && !(wait > 0))
        ctl_table_cell(t, CTL_PLAIN, "now"); /* the next request is the probe */
    else
        add_seconds(t, b, cools ? "cooldown_seconds" : "retry_in_seconds");
    ctl_number_cell(t, b, "failures_in_a_row");
    ctl_number_cell(t, b, "generation");
    ctl_table_cell(t, CTL_PLAIN, "%s", json_is_true(shared) ? "yes" : json_is_false(shared) ? "no" : "-");
}

void ctl_show_breakers(struct weir_textbuf *out, const struct ctl_style *style, const json_t *breakers)
{
    static const struct ctl_column columns[] = {
        {"PROVIDER", false, false}, {"ENDPOINT", false, false},   {"STATE", false, false},    {"SINCE", true, false},
        {"NEXT IN", true, false},   {"FAILED HERE", true, false}, {"GENERATION", true, true}, {"SHARED", false, false}};
    struct ctl_table t;
    ctl_table_begin(&t, columns, sizeof columns / sizeof columns[0], style);
    for (size_t i = 0; i < json_array_size(breakers); i++)
        add_breaker(&t, json_array_get(breakers, i));
    ctl_table_end(&t, out);
}

static void add_limit(struct ctl_table *t, const json_t *l)
{
    const char *mode = ctl_text(l, "mode", "-");
    double waiting;
    bool held = ctl_number(l, "waiting", &waiting) && waiting > 0;
    ctl_text_cell(t, CTL_PLAIN, l, "provider");
    ctl_number_cell(t, l, "requests_per_minute");
    ctl_number_cell(t, l, "burst");
    ctl_table_cell(t, strcmp(mode, "degraded") == 0 || strcmp(mode, "closed") == 0 ? CTL_WARN : CTL_PLAIN, "%s", mode);
    ctl_table_cell(t, CTL_PLAIN, "%s", json_is_true(json_object_get(l, "strict")) ? "yes" : "no");
    ctl_text_cell(t, CTL_PLAIN, l, "fail");
    ctl_number_cell(t, l, "share_per_minute");
    ctl_number_cell(t, l, "leased");
    ctl_number_cell(t, l, "remaining");
    ctl_table_cell(t, held ? CTL_WARN : CTL_PLAIN, "%.0f", waiting);
}

void ctl_show_limits(struct weir_textbuf *out, const struct ctl_style *style, const json_t *limits)
{
    static const struct ctl_column columns[] = {
        {"PROVIDER", false, false}, {"REQ/MIN", true, false}, {"BURST", true, false}, {"MODE", false, false},
        {"STRICT", false, true},    {"FAIL", false, true},    {"SHARE", true, true},  {"HERE", true, false},
        {"LEFT", true, false},      {"WAITING", true, false}};
    struct ctl_table t;
    if (json_array_size(limits) == 0) {
        weir_textbuf_str(out, "no provider has a rate limit\n");
        return;
    }
    ctl_table_begin(&t, columns, sizeof columns / sizeof columns[0], style);
    for (size_t i = 0; i < json_array_size(limits); i++)
        add_limit(&t, json_array_get(limits, i));
    ctl_table_end(&t, out);
}

/* -- pools -- */

static void add_pool(struct ctl_table *t, const char *name, const json_t *p, enum ctl_tone tone)
{
    double used, pending, errors;
    ctl_number(p, "pool_utilization_percent", &used);
    ctl_number(p, "pending_requests", &pending);
    ctl_number(p, "error_rate", &errors);
    ctl_table_cell(t, tone, "%s", name);
    ctl_number_cell(t, p, "connections_active");
    ctl_number_cell(t, p, "connections_idle");
    ctl_table_cell(t, pending > 0 ? CTL_WARN : CTL_PLAIN, "%.0f", pending);
    ctl_number_cell(t, p, "max_connections");
    ctl_decimal_cell(t, ctl_tone_of_use(used), p, "pool_utilization_percent", 0, "%");
    ctl_number_cell(t, p, "max_keepalive_connections");
    ctl_number_cell(t, p, "connections_created_total");
    ctl_number_cell(t, p, "connections_closed_total");
    ctl_number_cell(t, p, "connection_errors_total");
    ctl_number_cell(t, p, "connection_timeouts_total");
    ctl_decimal_cell(t, CTL_PLAIN, p, "connection_reuse_rate_percent", 1, "%");
    ctl_decimal_cell(t, CTL_PLAIN, p, "avg_connection_time_ms", 1, " ms");
    ctl_decimal_cell(t, CTL_PLAIN, p, "avg_response_time_ms", 1, " ms");
    ctl_number_cell(t, p, "total_requests");
    ctl_table_cell(t, errors > 0.05 ? CTL_BAD : errors > 0.02 ? CTL_WARN : CTL_PLAIN, "%.1f%%", errors * 100);
}

void ctl_show_pools(struct weir_textbuf *out, const struct ctl_style *style, const json_t *answer)
{
    static const struct ctl_column columns[] = {
        {"PROVIDER", false, false}, {"ACTIVE", true, false}, {"IDLE", true, false},    {"WAITING", true, false},
        {"LIMIT", true, false},     {"USED", true, false},   {"KEPT", true, true},     {"OPENED", true, true},
        {"CLOSED", true, true},     {"LOST", true, true},    {"TIMEOUTS", true, true}, {"REUSED", true, false},
        {"CONNECT", true, true},    {"ANSWER", true, false}, {"TRIES", true, false},   {"FAILED", true, false}};
    json_t *providers = json_object_get(answer, "providers"), *p;
    struct ctl_table t;
    const char *name;
    if (json_object_size(providers) == 0) {
        weir_textbuf_str(out, "no providers are configured\n");
        return;
    }
    ctl_table_begin(&t, columns, sizeof columns / sizeof columns[0], style);
    json_object_foreach(providers, name, p)
    {
        add_pool(&t, name, p, CTL_PLAIN);
    }
    if (json_object_size(providers) > 1)
        add_pool(&t, "(all)", answer, CTL_DIM);
    ctl_table_end(&t, out);
}

/* -- alerts -- */

static void add_alert(struct ctl_table *t, const json_t *a)
{
    const char *state = ctl_text(a, "state", "-"), *key;
    const json_t *values = json_object_get(a, "values");
    json_t *value;
    char text[CTL_CELL_BYTES_MAX] = "";
    size_t len = 0;
    ctl_text_cell(t, CTL_PLAIN, a, "name");
    ctl_table_cell(t, CTL_PLAIN, "%s", ctl_text(a, "provider", "(all)"));
    ctl_table_cell(t,
                   strcmp(state, "firing") == 0    ? CTL_BAD
                   : strcmp(state, "pending") == 0 ? CTL_WARN
                                                   : CTL_GOOD,
                   "%s", state);
    ctl_text_cell(t, CTL_PLAIN, a, "severity");
    ctl_text_cell(t, CTL_PLAIN, a, "action");
    ctl_text_cell(t, CTL_PLAIN, a, "condition");
    json_object_foreach((json_t *)values, key, value)
    {
        int n =
            snprintf(text + len, sizeof text - len, "%s%s=%.10g", len > 0 ? " " : "", key, json_number_value(value));
        len = n > 0 && (size_t)n < sizeof text - len ? len + (size_t)n : sizeof text - 1;
    }
    ctl_table_cell(t, CTL_PLAIN, "%s", text);
    ctl_table_cell(t, CTL_PLAIN, "%s", ctl_text(a, "since", ""));
    ctl_text_cell(t, CTL_PLAIN, a, "message");
}

/* Rules are counted, as on the dashboard, not what they are held against: one has a line for each provider. */
static size_t count_rules(const json_t *alerts)
{
    json_t *names = json_object();
    for (size_t i = 0; i < json_array_size(alerts); i++)
        json_object_set_new(names, ctl_text(json_array_get(alerts, i), "name", "-"), json_true());
    size_t count = json_object_size(names);
    json_decref(names);
    return count;
}

void ctl_show_alerts(struct weir_textbuf *out, const struct ctl_style *style, const json_t *alerts)
{
    static const struct ctl_column columns[] = {
        {"ALERT", false, false},    {"PROVIDER", false, false}, {"STATE", false, false},
        {"SEVERITY", false, false}, {"ACTION", false, true},    {"CONDITION", false, true},
        {"VALUES", false, false},   {"SINCE", false, false},    {"MESSAGE", false, false}};
    struct ctl_table t;
    size_t shown = 0;
    ctl_table_begin(&t, columns, sizeof columns / sizeof columns[0], style);
    for (size_t i = 0; i < json_array_size(alerts); i++) {
        const json_t *a = json_array_get(alerts, i);
        if (!style->wide && strcmp(ctl_text(a, "state", ""), "inactive") == 0)
            continue;
        add_alert(&t, a);
        shown++;
    }
    if (shown > 0) {
        ctl_table_end(&t, out);
        return;
    }
    ctl_table_drop(&t);
    size_t rules = count_rules(alerts);
    if (rules == 0)
        weir_textbuf_str(out, "no rule is configured\n");
    else
        weir_textbuf_printf(out, "none of %zu %s fires\n", rules, rules == 1 ? "rule" : "rules");
}
