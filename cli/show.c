#include "cli/show.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "cli/yaml.h"

/* -- fields -- */

const char *ctl_text(const json_t *object, const char *key, const char *otherwise)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : otherwise;
}

bool ctl_number(const json_t *object, const char *key, double *out)
{
    const json_t *value = json_object_get(object, key);
    *out = json_number_value(value); /* 0 for what is no number */
    if (json_is_number(value) && *out >= 0 && *out < 1e18)
        return true;
    *out = 0;
    return false;
}

void ctl_number_cell(struct ctl_table *t, const json_t *object, const char *key)
{
    double n;
    if (ctl_number(object, key, &n))
        ctl_table_cell(t, CTL_PLAIN, "%.0f", n);
    else
        ctl_table_cell(t, CTL_PLAIN, "-");
}

void ctl_decimal_cell(struct ctl_table *t, enum ctl_tone tone, const json_t *object, const char *key, int digits,
                      const char *unit)
{
    double n;
    if (ctl_number(object, key, &n))
        ctl_table_cell(t, tone, "%.*f%s", digits, n, unit);
    else
        ctl_table_cell(t, CTL_PLAIN, "-");
}

enum ctl_tone ctl_tone_of_use(double percent)
{
    return percent >= 85 ? CTL_BAD : percent >= 70 ? CTL_WARN : CTL_PLAIN;
}

void ctl_text_cell(struct ctl_table *t, enum ctl_tone tone, const json_t *object, const char *key)
{
    ctl_table_cell(t, tone, "%s", ctl_text(object, key, "-"));
}

const char *ctl_duration(char text[CTL_DURATION_MAX], double seconds)
{
    static const struct {
        double above_s, large_s, small_s;
        const char *large, *small;
    } units[] = {{86400, 86400, 3600, "d", "h"}, {3600, 3600, 60, "h", "min"}, {60, 60, 1, "min", "s"}};
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
        if (seconds >= units[i].above_s) {
            double large = floor(seconds / units[i].large_s);
            double small = floor((seconds - large * units[i].large_s) / units[i].small_s);
            snprintf(text, CTL_DURATION_MAX, "%.0f %s %.0f %s", large, units[i].large, small, units[i].small);
            return text;
        }
    snprintf(text, CTL_DURATION_MAX, seconds < 10 ? "%.1f s" : "%.0f s", seconds);
    return text;
}

bool ctl_store_is_away(const json_t *state)
{
    return json_is_string(json_object_get(state, "cluster")) && json_is_false(json_object_get(state, "contact"));
}

bool ctl_lead_is_gone(const json_t *state)
{
    const json_t *lead = json_object_get(state, "lead");
    double terms, epoch;
    ctl_number(lead, "terms", &terms);
    ctl_number(state, "epoch", &epoch);
    return json_is_object(lead) && ctl_text(lead, "coordinator", NULL) == NULL && (terms > 0 || epoch > 0);
}

/* -- events -- */

/* What every event has has a place of its own in the line. */
static bool is_common(const char *key)
{
    static const char *const common[] = {"id", "unix_ms", "event", "node", "by", "msg"};
    for (size_t i = 0; i < sizeof common / sizeof common[0]; i++)
        if (strcmp(key, common[i]) == 0)
            return true;
    return false;
}

static void add_time(struct weir_textbuf *out, const struct ctl_style *style, const json_t *event)
{
    double unix_ms;
    char text[40] = "-";
    if (ctl_number(event, "unix_ms", &unix_ms) && unix_ms < 253402300800000.0) { /* the year 10000 */
        time_t seconds = (time_t)(unix_ms / 1000);
        struct tm tm;
        gmtime_r(&seconds, &tm);
        size_t n = strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &tm);
        snprintf(text + n, sizeof text - n, ".%03u", (unsigned)fmod(unix_ms, 1000));
    }
    ctl_paint(out, style, CTL_DIM, weir_str_of(text));
}

static void add_extras(struct weir_textbuf *out, const struct ctl_style *style, const json_t *event)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)event, key, value)
    {
        if (is_common(key) || json_is_object(value) || json_is_array(value))
            continue;
        char *text = json_is_string(value) ? NULL : json_dumps(value, JSON_ENCODE_ANY);
        weir_textbuf_char(out, ' ');
        ctl_paint(out, style, CTL_DIM, weir_str_of(key));
        ctl_paint(out, style, CTL_DIM, WEIR_STR("="));
        ctl_paint(out, style, CTL_PLAIN, weir_str_of(text != NULL ? text : ctl_text(event, key, "")));
        free(text);
    }
}

static enum ctl_tone tone_of_event(const char *name)
{
    static const struct {
        const char *part;
        enum ctl_tone tone;
    } parts[] = {{"lost", CTL_BAD},   {"opened", CTL_BAD},  {"refused", CTL_BAD},  {"away", CTL_BAD},
                 {"drain", CTL_WARN}, {"left", CTL_WARN},   {"suspect", CTL_WARN}, {"cooling", CTL_WARN},
                 {"back", CTL_GOOD},  {"closed", CTL_GOOD}, {"joined", CTL_GOOD}};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        if (strstr(name, parts[i].part) != NULL)
            return parts[i].tone;
    return CTL_PLAIN;
}

static void add_event_line(struct weir_textbuf *out, const struct ctl_style *style, const json_t *event)
{
    const char *name = ctl_text(event, "event", "-"), *msg = ctl_text(event, "msg", NULL),
               *by = ctl_text(event, "by", NULL);
    add_time(out, style, event);
    weir_textbuf_char(out, ' ');
    ctl_paint(out, style, tone_of_event(name), weir_str_of(name));
    weir_textbuf_char(out, ' ');
    ctl_paint(out, style, CTL_PLAIN, weir_str_of(ctl_text(event, "node", by != NULL ? by : "-")));
    add_extras(out, style, event);
    if (by != NULL && ctl_text(event, "node", NULL) != NULL) {
        weir_textbuf_char(out, ' ');
        ctl_paint(out, style, CTL_DIM, WEIR_STR("by "));
        ctl_paint(out, style, CTL_DIM, weir_str_of(by));
    }
    if (msg != NULL) {
        weir_textbuf_str(out, "  ");
        ctl_paint(out, style, CTL_PLAIN, weir_str_of(msg));
    }
    weir_textbuf_char(out, '\n');
}

void ctl_show_event(struct weir_textbuf *out, enum ctl_output form, const struct ctl_style *style, const json_t *event)
{
    if (form == CTL_JSON) {
        ctl_json(out, event, JSON_COMPACT);
        weir_textbuf_char(out, '\n');
    } else if (form == CTL_YAML) {
        weir_textbuf_str(out, "---\n");
        ctl_yaml(out, event);
    } else {
        add_event_line(out, style, event);
    }
}

static void show_events(struct weir_textbuf *out, const struct ctl_style *style, const json_t *answer,
                        const json_t *events)
{
    bool alone = json_is_null(json_object_get(answer, "cluster"));
    for (size_t i = 0; i < json_array_size(events); i++)
        add_event_line(out, style, json_array_get(events, i));
    if (json_array_size(events) == 0)
        weir_textbuf_str(out, alone ? "no events: the node is alone, and what befalls it is in its log\n"
                                    : "no events yet\n");
}

/* -- whole answers -- */

void ctl_show_value(struct weir_textbuf *out, enum ctl_output form, const json_t *value)
{
    if (form == CTL_YAML) {
        ctl_yaml(out, value);
        return;
    }
    ctl_json(out, value, JSON_INDENT(2));
    weir_textbuf_char(out, '\n');
}

/* What an answer to a verb must have: a member of a kind, and its contract's version where there is one. */
static const struct page {
    const char *member;
    json_type type;
    bool unversioned; /* pages of the guide's */
} pages[CTL_VERBS] = {
    [CTL_STATUS] = {"nodes", JSON_OBJECT, false},     [CTL_NODES] = {"nodes", JSON_ARRAY, false},
    [CTL_SHARDS] = {"owners", JSON_ARRAY, false},     [CTL_POOLS] = {"providers", JSON_OBJECT, true},
    [CTL_BREAKERS] = {"breakers", JSON_ARRAY, false}, [CTL_LIMITS] = {"limits", JSON_ARRAY, false},
    [CTL_HINTS] = {NULL, JSON_NULL, false},           [CTL_ALERTS] = {"alerts", JSON_ARRAY, true},
    [CTL_EVENTS] = {"events", JSON_ARRAY, false},
};

static bool fits(const struct page *page, const json_t *answer, const json_t *member)
{
    if (!page->unversioned && !json_is_integer(json_object_get(answer, "schema")))
        return false;
    return page->member == NULL || (member != NULL && json_typeof(member) == page->type);
}

/* Whose figures follow: another node has its own. */
static void name_node(struct weir_textbuf *out, const struct ctl_style *style, const json_t *answer)
{
    const char *node = ctl_text(answer, "node_id", NULL);
    if (node == NULL)
        return;
    ctl_fact(out, style, "node", CTL_PLAIN, "%s", node);
    weir_textbuf_char(out, '\n');
}

static void show_table(struct weir_textbuf *out, enum ctl_verb verb, const struct ctl_style *style,
                       const json_t *answer, const json_t *member)
{
    switch (verb) {
    case CTL_STATUS:
        ctl_show_status(out, style, answer);
        break;
    case CTL_NODES:
        ctl_show_nodes(out, style, member);
        break;
    case CTL_SHARDS:
        ctl_show_shards(out, style, answer);
        break;
    case CTL_POOLS:
        name_node(out, style, answer);
        ctl_show_pools(out, style, answer);
        break;
    case CTL_BREAKERS:
        ctl_show_breakers(out, style, member);
        break;
    case CTL_LIMITS:
        ctl_show_limits(out, style, member);
        break;
    case CTL_HINTS:
        ctl_show_hints(out, style, answer);
        break;
    case CTL_ALERTS:
        name_node(out, style, answer);
        ctl_show_alerts(out, style, member);
        break;
    default:
        show_events(out, style, answer, member);
    }
}

bool ctl_show(struct weir_textbuf *out, const struct ctl_options *o, const struct ctl_style *style,
              const json_t *answer)
{
    const struct page *page = &pages[o->verb];
    const json_t *member = page->member != NULL ? json_object_get(answer, page->member) : NULL;
    if (!fits(page, answer, member))
        return false;
    if (o->output == CTL_JSON || o->output == CTL_YAML)
        ctl_show_value(out, o->output, answer);
    else
        show_table(out, o->verb, style, answer, member);
    return true;
}
