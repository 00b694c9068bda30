/* What holds traffic back: circuits and rate limits. */
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
