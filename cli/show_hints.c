/* What the coordinator expects and advises. */
#include <stdio.h>
#include <time.h>

#include "cli/show.h"

static enum ctl_tone tone_of_action(const char *action)
{
    return strcmp(action, "scale_up") == 0 ? CTL_WARN : strcmp(action, "hold") == 0 ? CTL_GOOD : CTL_PLAIN;
}

/* Before the first forecast its numbers are all 0, its time as well. */
static bool is_forecast(const json_t *expected)
{
    double at_ms;
    return ctl_number(expected, "peak_at_unix_ms", &at_ms) && at_ms > 0;
}

/* "in 21 min 0 s", or "now". */
static const char *when(char text[CTL_DURATION_MAX + 4], const json_t *expected)
{
    char duration[CTL_DURATION_MAX];
    double seconds;
    if (!is_forecast(expected) || !ctl_number(expected, "peak_in_s", &seconds))
        return "-";
    if (seconds < 1)
        return "now";
    snprintf(text, CTL_DURATION_MAX + 4, "in %s", ctl_duration(duration, seconds));
    return text;
}

static void add_expected(struct ctl_table *t, const char *name, const json_t *scope, const char *key)
{
    const json_t *expected = json_object_get(scope, key), *ahead = is_forecast(expected) ? expected : NULL;
    char text[CTL_DURATION_MAX + 4];
    bool requests = strcmp(key, "requests_per_s") == 0;
    ctl_table_cell(t, CTL_PLAIN, "%s", name);
    ctl_table_cell(t, CTL_PLAIN, "%s", requests ? "requests/s" : "in flight");
    ctl_decimal_cell(t, CTL_PLAIN, expected, "now", 1, "");
    ctl_decimal_cell(t, CTL_PLAIN, ahead, "peak", 1, "");
    ctl_decimal_cell(t, CTL_PLAIN, ahead, "peak_high", 1, "");
    ctl_table_cell(t, CTL_PLAIN, "%s", when(text, expected));
}

static void show_expected(struct weir_textbuf *out, const struct ctl_style *style, const json_t *answer)
{
    static const struct ctl_column columns[] = {{"PROVIDER", false, false}, {"MEASURE", false, false},
                                                {"NOW", true, false},       {"PEAK", true, false},
                                                {"UP TO", true, false},     {"WHEN", false, false}};
    const json_t *providers = json_object_get(answer, "providers");
    struct ctl_table t;
    ctl_table_begin(&t, columns, sizeof columns / sizeof columns[0], style);
    for (size_t i = 0; i < json_array_size(providers); i++) {
        const json_t *p = json_array_get(providers, i);
        add_expected(&t, ctl_text(p, "provider", "-"), p, "requests_per_s");
        add_expected(&t, "", p, "in_flight");
    }
    add_expected(&t, "(all)", json_object_get(answer, "cluster"), "requests_per_s");
    add_expected(&t, "", json_object_get(answer, "cluster"), "in_flight");
    ctl_table_end(&t, out);
}

static void add_pool(struct ctl_table *t, const json_t *p)
{
    const json_t *timeouts = json_object_get(p, "timeouts");
    ctl_text_cell(t, CTL_PLAIN, p, "provider");
    ctl_number_cell(t, p, "pool_size_now");
    ctl_number_cell(t, p, "pool_size");
    ctl_decimal_cell(t, CTL_PLAIN, timeouts, "connect_s", 1, " s");
    ctl_decimal_cell(t, CTL_PLAIN, timeouts, "read_s", 1, " s");
    ctl_decimal_cell(t, CTL_PLAIN, timeouts, "total_s", 1, " s");
    ctl_table_cell(t, CTL_PLAIN, "%s", ctl_text(p, "reason", ""));
}

static void show_pools(struct weir_textbuf *out, const struct ctl_style *style, const json_t *providers)
{
    static const struct ctl_column columns[] = {
        {"PROVIDER", false, false}, {"POOL NOW", true, false}, {"AHEAD", true, false}, {"CONNECT", true, true},
        {"READ", true, true},       {"TOTAL", true, true},     {"WHY", false, false}};
    struct ctl_table t;
    if (json_array_size(providers) == 0)
        return;
    weir_textbuf_char(out, '\n');
    ctl_table_begin(&t, columns, sizeof columns / sizeof columns[0], style);
    for (size_t i = 0; i < json_array_size(providers); i++)
        add_pool(&t, json_array_get(providers, i));
    ctl_table_end(&t, out);
}

void ctl_show_hints(struct weir_textbuf *out, const struct ctl_style *style, const json_t *answer)
{
    const json_t *cluster = json_object_get(answer, "cluster");
    const char *action = ctl_text(cluster, "action", "-");
    char text[CTL_DURATION_MAX];
    double nodes, desired, safe, age, window;
    if (!json_is_true(json_object_get(answer, "valid"))) {
        ctl_fact(out, style, "hints", CTL_WARN, "none: %s",
                 ctl_text(answer, "reason", "no coordinator has published any"));
        return;
    }
    ctl_number(cluster, "nodes", &nodes);
    ctl_number(cluster, "desired_nodes", &desired);
    ctl_fact(out, style, "advice", tone_of_action(action), "%s: %.0f nodes, now %.0f", action, desired, nodes);
    ctl_fact(out, style, "why", CTL_PLAIN, "%s", ctl_text(cluster, "reason", "-"));
    if (ctl_number(cluster, "safe_concurrency_per_node", &safe) && safe > 0)
        ctl_fact(out, style, "a node", CTL_PLAIN, "takes %.0f requests at once", safe);
    if (ctl_number(answer, "window_s", &window))
        ctl_fact(out, style, "looks ahead", CTL_PLAIN, "%s", ctl_duration(text, window));
    ctl_number(answer, "age_s", &age);
    ctl_fact(out, style, "from", CTL_PLAIN, "%s, %s ago", ctl_text(answer, "leader", "-"), ctl_duration(text, age));
    weir_textbuf_char(out, '\n');
    show_expected(out, style, answer);
    show_pools(out, style, json_object_get(answer, "providers"));
}
