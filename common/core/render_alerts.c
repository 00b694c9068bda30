/* Alerts, for people and for the receiver of webhooks. */
#include <stdio.h>

#include "core/render.h"
#include "core/render_tree.h"

/* When something that the clock of the evaluations dates happened, in time of day; 0: never. */
static uint64_t unix_of(uint64_t at_ms, uint64_t now_ms, uint64_t unix_ms)
{
    uint64_t ago = now_ms > at_ms ? now_ms - at_ms : 0;
    return at_ms == 0 || ago > unix_ms ? 0 : unix_ms - ago;
}

static const char *message_of(const struct weir_config_alert *rule)
{
    return rule->message != NULL && rule->message[0] != '\0' ? rule->message : rule->name;
}

/* -- /api/alerts -- */

struct list {
    struct weir_tree *t;
    json_t *array;
    uint64_t now_ms, unix_ms;
};

static void add_alert(void *arg, const struct weir_alert_view *v)
{
    const struct list *l = arg;
    struct weir_tree *t = l->t;
    json_t *o = weir_tree_element(t, l->array);
    weir_tree_text(t, o, "name", v->rule->name);
    weir_tree_text(t, o, "provider", v->provider);
    weir_tree_text(t, o, "state", weir_alert_state_text(v->alert->state));
    weir_tree_text(t, o, "severity", weir_config_severity_text(v->rule->severity));
    weir_tree_text(t, o, "action", weir_config_action_text(v->rule->action));
    weir_tree_text(t, o, "message", message_of(v->rule));
    weir_tree_text(t, o, "condition", v->rule->condition);
    weir_tree_real(t, o, "for_seconds", (double)v->rule->for_ms / 1000);
    weir_tree_time(t, o, "since", unix_of(v->alert->since_ms, l->now_ms, l->unix_ms));
    weir_tree_time(t, o, "fired_at", unix_of(v->alert->fired_ms, l->now_ms, l->unix_ms));
    weir_tree_time(t, o, "resolved_at", unix_of(v->alert->resolved_ms, l->now_ms, l->unix_ms));
    json_t *values = weir_tree_child(t, o, "values");
    unsigned at = 0;
    for (int id; (id = weir_alert_next_name(v, &at)) >= 0;)
        weir_tree_real(t, values, weir_alert_name(id), v->values->at[id]);
}

int weir_render_alerts(struct weir_textbuf *out, const struct weir_snapshot *s, const struct weir_alerts *a,
                       uint64_t now_ms)
{
    struct weir_tree t;
    struct weir_alerts_count n = weir_alerts_count(a);
    weir_tree_begin(&t);
    weir_tree_origin(&t, s);
    weir_tree_u64(&t, t.root, "firing", n.by_severity[0] + n.by_severity[1] + n.by_severity[2]);
    weir_tree_bool(&t, t.root, "scale_up_wanted", n.scale_up > 0);
    struct list l = {&t, weir_tree_array(&t, t.root, "alerts"), now_ms, s->unix_ms};
    weir_alerts_each(a, &l, add_alert);
    return weir_tree_finish(&t, out, 2);
}

/* -- the webhook -- */

/* FNV-1a over the words that tell alerts apart. */
static uint64_t fingerprint(const struct weir_alert_view *v, const char *node)
{
    const char *const words[] = {v->rule->name, v->rule->condition, v->provider != NULL ? v->provider : "", node};
    uint64_t h = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        for (const char *at = words[i];; at++) {
            h = (h ^ (unsigned char)*at) * UINT64_C(0x100000001b3);
            if (*at == '\0')
                break;
        }
    return h;
}

static void set_labels(struct weir_tree *t, json_t *object, const char *key, const struct weir_alert_view *v,
                       const char *node)
{
    json_t *labels = weir_tree_child(t, object, key);
    weir_tree_text(t, labels, "alertname", v->rule->name);
    if (v->provider != NULL)
        weir_tree_text(t, labels, "provider", v->provider);
    weir_tree_text(t, labels, "severity", weir_config_severity_text(v->rule->severity));
    weir_tree_text(t, labels, "instance", node);
    weir_tree_text(t, labels, "job", "weir");
}

static void set_annotations(struct weir_tree *t, json_t *object, const char *key, const struct weir_alert_view *v)
{
    json_t *annotations = weir_tree_child(t, object, key);
    weir_tree_text(t, annotations, "summary", message_of(v->rule));
    weir_tree_text(t, annotations, "condition", v->rule->condition);
    unsigned at = 0;
    for (int id; (id = weir_alert_next_name(v, &at)) >= 0;) {
        char text[32];
        snprintf(text, sizeof text, "%.9g", v->values->at[id]); /* annotations are texts */
        weir_tree_text(t, annotations, weir_alert_name(id), text);
    }
}

int weir_render_webhook(struct weir_textbuf *out, const struct weir_alert_view *v, const char *node, uint64_t unix_ms,
                        uint64_t now_ms)
{
    struct weir_tree t;
    bool firing = v->alert->state == WEIR_ALERT_FIRING;
    const char *status = firing ? "firing" : "resolved";
    char url[128], alerts_url[128], print[17];
    snprintf(url, sizeof url, "http://%s", node);
    snprintf(alerts_url, sizeof alerts_url, "http://%s/api/alerts", node);
    snprintf(print, sizeof print, "%016llx", (unsigned long long)fingerprint(v, node));
    weir_tree_begin(&t);
    weir_tree_text(&t, t.root, "version", "4");
    weir_tree_text(&t, t.root, "groupKey", print);
    weir_tree_u64(&t, t.root, "truncatedAlerts", 0);
    weir_tree_text(&t, t.root, "status", status);
    weir_tree_text(&t, t.root, "receiver", "weir");
    json_t *group = weir_tree_child(&t, t.root, "groupLabels");
    weir_tree_text(&t, group, "alertname", v->rule->name);
    if (v->provider != NULL)
        weir_tree_text(&t, group, "provider", v->provider);
    set_labels(&t, t.root, "commonLabels", v, node);
    set_annotations(&t, t.root, "commonAnnotations", v);
    weir_tree_text(&t, t.root, "externalURL", url);
    json_t *alert = weir_tree_element(&t, weir_tree_array(&t, t.root, "alerts"));
    weir_tree_text(&t, alert, "status", status);
    set_labels(&t, alert, "labels", v, node);
    set_annotations(&t, alert, "annotations", v);
    weir_tree_time(&t, alert, "startsAt", unix_of(v->alert->fired_ms, now_ms, unix_ms));
    if (firing) /* Go's zero time: not known yet */
        weir_tree_text(&t, alert, "endsAt", "0001-01-01T00:00:00Z");
    else
        weir_tree_time(&t, alert, "endsAt", unix_of(v->alert->resolved_ms, now_ms, unix_ms));
    snprintf(alerts_url, sizeof alerts_url, "http://%s/api/alerts", node);
    weir_tree_text(&t, alert, "generatorURL", alerts_url);
    weir_tree_text(&t, alert, "fingerprint", print);
    return weir_tree_finish(&t, out, 0);
}
