#include "cli/report.h"

#include <stdlib.h>
#include <string.h>

#include "cli/show.h"

bool ctl_report_since(const char *text, double *seconds)
{
    static const struct {
        char unit;
        double seconds;
    } units[] = {{'d', 86400}, {'h', 3600}, {'m', 60}, {'s', 1}};
    char *end;
    double n = strtod(text, &end);
    for (size_t i = 0; i < sizeof units / sizeof units[0] && end != text; i++)
        if (end[0] == units[i].unit && end[1] == '\0' && n > 0 && n < 1e6) {
            *seconds = n * units[i].seconds;
            return true;
        }
    return false;
}

/* -- the figures -- */

static double field(const json_t *p, const char *key, bool *known)
{
    double n;
    *known = ctl_number(p, key, &n);
    return n;
}

static double utilization(const json_t *p, bool *known)
{
    return field(p, "pool_utilization_percent", known);
}

/* Of the connections that were opened, how many failed or were lost. */
static double error_rate(const json_t *p, bool *known)
{
    bool counted;
    double lost = field(p, "connection_errors_total", known), opened = field(p, "connections_created_total", &counted);
    *known = *known && counted && opened > 0;
    return *known ? 100 * lost / opened : 0;
}

static double connect_time(const json_t *p, bool *known)
{
    double requests = field(p, "total_requests", known), ms = field(p, "avg_connection_time_ms", known);
    *known = *known && requests > 0;
    return ms;
}

static double pending(const json_t *p, bool *known)
{
    return field(p, "pending_requests", known);
}

static double reuse(const json_t *p, bool *known)
{
    double requests = field(p, "total_requests", known), percent = field(p, "connection_reuse_rate_percent", known);
    *known = *known && requests > 0;
    return percent;
}

/* The key performance indicators of a pool. */
static const struct figure {
    const char *name, *unit, *target;
    double (*of)(const json_t *p, bool *known);
    double bound;
    bool above;           /* the target is to be above the bound */
    const char *requests; /* the field with how many it is made of; NULL: it is of a moment */
} figures[] = {
    {"pool utilisation, now", " %", "< 80 %", utilization, 80, false, NULL},
    {"connection error rate", " %", "< 2 %", error_rate, 2, false, "total_requests"},
    {"average connection time", " ms", "< 20 ms", connect_time, 20, false, "total_requests"},
    {"pending requests, now", "", "< 5", pending, 5, false, NULL},
    {"connection reuse rate", " %", "> 90 %", reuse, 90, true, "total_requests"},
};

static void add_figure(json_t *list, const char *provider, const struct figure *f, const json_t *p)
{
    bool known;
    double value = f->of(p, &known);
    json_t *row = json_pack("{s:s, s:s, s:n, s:s, s:s, s:n}", "provider", provider, "figure", f->name, "value", "unit",
                            f->unit, "target", f->target, "met");
    if (known) {
        bool met = f->above ? value > f->bound : value < f->bound;
        json_object_set_new(row, "value", json_real(value));
        if (met || f->requests == NULL || field(p, f->requests, &known) >= CTL_REPORT_REQUESTS_MIN)
            json_object_set_new(row, "met", json_boolean(met));
    }
    json_array_append_new(list, row);
}

static void add_figures(json_t *list, const char *provider, const json_t *p)
{
    for (size_t i = 0; i < sizeof figures / sizeof figures[0]; i++)
        add_figure(list, provider, &figures[i], p);
}

/* -- the busiest hours -- */

static void add_hour(json_t *list, const json_t *pattern)
{
    const json_t *hours = json_object_get(pattern, "by_hour"), *busiest = NULL;
    double most = 0, n;
    for (size_t i = 0; i < json_array_size(hours); i++)
        if (ctl_number(json_array_get(hours, i), "requests_per_s", &n) && n > most) {
            most = n;
            busiest = json_array_get(hours, i);
        }
    if (busiest == NULL)
        return;
    json_t *row = json_pack("{s:s}", "provider", ctl_text(pattern, "provider", "-"));
    json_object_set(row, "hour", json_object_get(busiest, "hour"));
    json_object_set(row, "requests_per_s", json_object_get(busiest, "requests_per_s"));
    json_object_set(row, "reuse_percent", json_object_get(pattern, "reuse_percent"));
    json_object_set(row, "churn_per_min", json_object_get(pattern, "churn_per_min"));
    json_array_append_new(list, row);
}

/* -- events -- */

static void count_events(json_t *counts, const json_t *list, double from_unix_ms)
{
    double at;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *e = json_array_get(list, i);
        const char *name = ctl_text(e, "event", NULL);
        if (name == NULL || !ctl_number(e, "unix_ms", &at) || at < from_unix_ms)
            continue;
        json_int_t before = json_integer_value(json_object_get(counts, name));
        json_object_set_new(counts, name, json_integer(before + 1));
    }
}

json_t *ctl_report_make(const json_t *pools, const json_t *health, const json_t *analytics, const json_t *events,
                        double since_s, double now_unix_ms)
{
    json_t *list = json_array(), *hours = json_array(), *counts = json_object(),
           *providers = json_object_get(pools, "providers"), *p;
    const json_t *patterns = json_object_get(analytics, "patterns");
    const char *name;
    double uptime;
    json_object_foreach(providers, name, p)
    {
        add_figures(list, name, p);
    }
    if (json_object_size(providers) != 1)
        add_figures(list, "(all)", pools);
    for (size_t i = 0; i < json_array_size(patterns); i++)
        add_hour(hours, json_array_get(patterns, i));
    count_events(counts, json_object_get(events, "events"), now_unix_ms - since_s * 1000);
    ctl_number(health, "uptime_seconds", &uptime);
    return json_pack("{s:i, s:s?, s:f, s:f, s:o, s:o, s:o}", "schema", 1, "node", ctl_text(pools, "node_id", NULL),
                     "since_seconds", since_s, "counted_seconds", uptime, "figures", list, "hours", hours, "events",
                     counts);
}

/* -- out of the store -- */

static double share(const json_t *p, const char *part, const char *whole, bool *known)
{
    bool counted;
    double n = field(p, part, known), all = field(p, whole, &counted);
    *known = *known && counted && all > 0;
    return *known ? n / all : 0;
}

static double history_failed(const json_t *p, bool *known)
{
    return 100 * share(p, "errors", "requests", known);
}

static double history_refused(const json_t *p, bool *known)
{
    return 100 * share(p, "refused", "requests", known);
}

static double history_connect_time(const json_t *p, bool *known)
{
    return share(p, "connect_us_sum", "connects", known) / 1000;
}

static double history_reuse(const json_t *p, bool *known)
{
    return 100 * share(p, "reused", "leases", known);
}

static double history_utilization(const json_t *history, bool *known)
{
    return field(history, "utilization_percent_peak", known);
}

static const struct figure history_figures[] = {
    {"failed tries, of requests", " %", "< 2 %", history_failed, 2, false, "requests"},
    {"refused by weir, of requests", " %", "< 2 %", history_refused, 2, false, "requests"},
    {"average connection time", " ms", "< 20 ms", history_connect_time, 20, false, "requests"},
    {"connection reuse rate", " %", "> 90 %", history_reuse, 90, true, "requests"},
};
static const struct figure history_total = {
    "pool utilisation, highest", " %", "< 80 %", history_utilization, 80, false, NULL};

json_t *ctl_report_of_history(const json_t *history, const json_t *events, double since_s, double now_unix_ms)
{
    json_t *list = json_array(), *counts = json_object();
    const json_t *providers = json_object_get(history, "providers");
    double told_s;
    for (size_t i = 0; i < json_array_size(providers); i++) {
        const json_t *p = json_array_get(providers, i);
        for (size_t k = 0; k < sizeof history_figures / sizeof history_figures[0]; k++)
            add_figure(list, ctl_text(p, "provider", "-"), &history_figures[k], p);
    }
    if (ctl_number(history, "told_seconds", &told_s) && told_s > 0)
        add_figure(list, "(all)", &history_total, history);
    count_events(counts, json_object_get(events, "events"), now_unix_ms - since_s * 1000);
    return json_pack("{s:i, s:n, s:f, s:f, s:o, s:[], s:o}", "schema", 1, "node", "since_seconds", since_s,
                     "counted_seconds", told_s, "figures", list, "hours", "events", counts);
}
