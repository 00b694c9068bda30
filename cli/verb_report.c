/* report: the figures that a review of the pools looks at, each beside its target, as far as there is data. What a node
 * counts, it counts since its start; the store has the coordinator's history, from which any time can be added up. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cli/report.h"
#include "cli/show.h"
#include "cli/store_pages.h"
#include "cli/verb.h"

static void show_figures(struct weir_textbuf *out, const struct ctl_style *style, const json_t *figures)
{
    static const struct ctl_column columns[] = {{"PROVIDER", false, false},
                                                {"FIGURE", false, false},
                                                {"VALUE", true, false},
                                                {"TARGET", true, false},
                                                {"", false, false}};
    struct ctl_table t;
    ctl_table_begin(&t, columns, sizeof columns / sizeof columns[0], style);
    for (size_t i = 0; i < json_array_size(figures); i++) {
        const json_t *f = json_array_get(figures, i), *met = json_object_get(f, "met");
        double value;
        ctl_text_cell(&t, CTL_PLAIN, f, "provider");
        ctl_text_cell(&t, CTL_PLAIN, f, "figure");
        if (ctl_number(f, "value", &value))
            ctl_table_cell(&t, CTL_PLAIN, "%.4g%s", value, ctl_text(f, "unit", ""));
        else
            ctl_table_cell(&t, CTL_DIM, "no data");
        ctl_text_cell(&t, CTL_DIM, f, "target");
        ctl_table_cell(&t,
                       json_is_true(met)    ? CTL_GOOD
                       : json_is_false(met) ? CTL_BAD
                                            : CTL_DIM,
                       "%s",
                       json_is_true(met)                           ? "met"
                       : json_is_false(met)                        ? "MISSED"
                       : json_is_real(json_object_get(f, "value")) ? "too few requests to judge"
                                                                   : "");
    }
    ctl_table_end(&t, out);
}

static void show_hours(struct weir_textbuf *out, const struct ctl_style *style, const json_t *hours)
{
    static const struct ctl_column columns[] = {{"PROVIDER", false, false},
                                                {"BUSIEST HOUR (UTC)", false, false},
                                                {"REQ/S", true, false},
                                                {"REUSED", true, false},
                                                {"CLOSED/MIN", true, false}};
    struct ctl_table t;
    if (json_array_size(hours) == 0)
        return;
    weir_textbuf_char(out, '\n');
    ctl_fact(out, style, "hours", CTL_PLAIN, "of all nodes, over about a week that fades");
    ctl_table_begin(&t, columns, sizeof columns / sizeof columns[0], style);
    for (size_t i = 0; i < json_array_size(hours); i++) {
        const json_t *h = json_array_get(hours, i);
        double hour;
        ctl_text_cell(&t, CTL_PLAIN, h, "provider");
        if (ctl_number(h, "hour", &hour))
            ctl_table_cell(&t, CTL_PLAIN, "%02.0f:00", hour);
        else
            ctl_table_cell(&t, CTL_PLAIN, "-");
        ctl_decimal_cell(&t, CTL_PLAIN, h, "requests_per_s", 1, "");
        ctl_decimal_cell(&t, CTL_PLAIN, h, "reuse_percent", 1, "%");
        ctl_decimal_cell(&t, CTL_PLAIN, h, "churn_per_min", 1, "");
    }
    ctl_table_end(&t, out);
}

static void show_events(struct weir_textbuf *out, const struct ctl_style *style, const json_t *events, double since_s)
{
    const char *name;
    json_t *count;
    char text[CTL_CELL_BYTES_MAX] = "", since[CTL_DURATION_MAX];
    size_t len = 0;
    json_object_foreach((json_t *)events, name, count)
    {
        int n = snprintf(text + len, sizeof text - len, "%s%s %lld", len > 0 ? ", " : "", name,
                         (long long)json_integer_value(count));
        len = n > 0 && (size_t)n < sizeof text - len ? len + (size_t)n : sizeof text - 1;
    }
    weir_textbuf_char(out, '\n');
    ctl_fact(out, style, "events", CTL_PLAIN, "in the last %s: %s", ctl_duration(since, since_s),
             len > 0 ? text : "none");
}

static void show_report(struct weir_textbuf *out, const struct ctl_style *style, const json_t *report)
{
    char text[CTL_DURATION_MAX], since[CTL_DURATION_MAX];
    double covered, wanted;
    ctl_number(report, "counted_seconds", &covered);
    ctl_number(report, "since_seconds", &wanted);
    if (json_is_null(json_object_get(report, "node"))) {
        ctl_fact(out, style, "counts", CTL_PLAIN, "all nodes', of %s within the last %s", ctl_duration(text, covered),
                 ctl_duration(since, wanted));
    } else {
        ctl_fact(out, style, "node", CTL_PLAIN, "%s", ctl_text(report, "node", "-"));
        ctl_fact(out, style, "counts", CTL_PLAIN, "this node's, since its start (%s ago), not over the last %s",
                 ctl_duration(text, covered), ctl_duration(since, wanted));
    }
    weir_textbuf_char(out, '\n');
    show_figures(out, style, json_object_get(report, "figures"));
    show_hours(out, style, json_object_get(report, "hours"));
    show_events(out, style, json_object_get(report, "events"), wanted);
}

static int put_report(struct ctl_session *s, const json_t *report)
{
    struct weir_textbuf text;
    if (ctl_wants_value(s))
        return ctl_put_value(s, report);
    weir_textbuf_init(&text, CTL_ANSWER_BYTES_MAX);
    show_report(&text, &s->style, report);
    return ctl_put(s, &text);
}

static int finish(struct ctl_session *s, json_t *report)
{
    int code = report != NULL ? put_report(s, report) : ctl_complain(WEIR_EXIT_FAILED, NULL, "out of memory");
    json_decref(report);
    return code;
}

static int report_of_store(struct ctl_session *s, double since_s, double now_unix_ms)
{
    json_t *history, *events = NULL;
    s->history_ms = (uint64_t)(since_s * 1000);
    int code = ctl_get(s, CTL_STORE_HISTORY, &history);
    if (code == WEIR_EXIT_DONE)
        code = ctl_get(s, ctl_verbs[CTL_EVENTS].page, &events);
    if (code == WEIR_EXIT_DONE)
        code = finish(s, ctl_report_of_history(history, events, since_s, now_unix_ms));
    json_decref(history);
    json_decref(events);
    return code;
}

static int report_of_node(struct ctl_session *s, double since_s, double now_unix_ms)
{
    static const char *const names[] = {"/health", "/api/cluster/analytics", CTL_EVENTS_ALL};
    json_t *pools, *pages[3] = {NULL};
    unsigned status;
    int code = ctl_get(s, ctl_verbs[CTL_POOLS].page, &pools);
    for (size_t i = 0; i < 3 && code == WEIR_EXIT_DONE; i++)
        code = ctl_look(s, names[i], &status, &pages[i]); /* what there is not is left out */
    if (code == WEIR_EXIT_DONE)
        code = finish(s, ctl_report_make(pools, pages[0], pages[1], pages[2], since_s, now_unix_ms));
    for (size_t i = 0; i < 3; i++)
        json_decref(pages[i]);
    json_decref(pools);
    return code;
}

int ctl_run_report(struct ctl_session *s)
{
    double since_s = CTL_REPORT_SINCE_S, now_unix_ms = (double)time(NULL) * 1000;
    if (s->options->since != NULL && !ctl_report_since(s->options->since, &since_s))
        return ctl_complain(WEIR_EXIT_USAGE, "Like 7d, 24h, 30m or 90s.", "--since %s is no time", s->options->since);
    return s->options->redis != NULL ? report_of_store(s, since_s, now_unix_ms)
                                     : report_of_node(s, since_s, now_unix_ms);
}
