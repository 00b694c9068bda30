#include "node/alerts.h"

#include <stdio.h>
#include <string.h>

#include "core/render.h"
#include "node/diagnosis.h"

/* Of texts that wait there may be as many as rules of a large configuration that fire at once. */
static const struct weir_webhook_kind posts = {
    .failed = {"webhook_failed", "alerts cannot be posted"},
    .works = {"webhook_works", "alerts can be posted again"},
    .dropped = "webhook_dropped",
    .refused = "an alert was not taken by the receiver",
    .too_old = "an alert could not be posted for too long",
    .too_many = "more alerts wait to be posted than are kept",
    .queue_max = 256,
    .age_ms_max = 900000,
};

/* -- what an alert does -- */

static enum weir_log_level level_of(const struct weir_alert_view *v)
{
    static const enum weir_log_level levels[] = {WEIR_LOG_INFO, WEIR_LOG_WARN, WEIR_LOG_ERROR};
    return v->alert->state == WEIR_ALERT_FIRING ? levels[v->rule->severity] : WEIR_LOG_INFO;
}

static void log_change(const struct weir_alerting *a, const struct weir_alert_view *v)
{
    bool firing = v->alert->state == WEIR_ALERT_FIRING;
    struct weir_log_line l;
    weir_log_begin(&l, a->log, level_of(v), firing ? "alert_firing" : "alert_resolved",
                   v->rule->message[0] != '\0' ? v->rule->message : v->rule->name);
    weir_log_text(&l, "rule", v->rule->name);
    weir_log_text(&l, "provider", v->provider);
    weir_log_text(&l, "severity", weir_config_severity_text(v->rule->severity));
    weir_log_text(&l, "action", weir_config_action_text(v->rule->action));
    weir_log_text(&l, "condition", v->rule->condition);
    unsigned at = 0;
    for (int id; (id = weir_alert_next_name(v, &at)) >= 0;)
        weir_log_double(&l, weir_alert_name(id), v->values->at[id]);
    if (!firing)
        weir_log_double(&l, "fired_seconds", (double)(v->alert->resolved_ms - v->alert->fired_ms) / 1000);
    weir_log_end(&l);
}

static void post(struct weir_alerting *a, const struct weir_alert_view *v)
{
    struct weir_textbuf text;
    weir_textbuf_init(&text, WEIR_WEBHOOK_BYTES_MAX);
    int rv = weir_render_webhook(&text, v, a->node, weir_clock_unix_ms(), a->reactor->now_ms);
    if (rv == 0)
        rv = weir_webhook_post(&a->webhook, (struct weir_str){text.ptr, text.len});
    if (rv != 0)
        weir_log_simple(a->log, WEIR_LOG_ERROR, "out_of_memory", "an alert could not be posted: out of memory");
    weir_textbuf_close(&text);
}

static void changed(void *arg, const struct weir_alert_view *v)
{
    struct weir_alerting *a = arg;
    bool firing = v->alert->state == WEIR_ALERT_FIRING;
    weir_node_add(a->counters, firing ? WEIR_NC_ALERTS_FIRED : WEIR_NC_ALERTS_RESOLVED, 1);
    log_change(a, v);
    switch (v->rule->action) {
    case WEIR_CONFIG_ACTION_LOG:
        break;
    case WEIR_CONFIG_ACTION_WEBHOOK:
        post(a, v);
        break;
    case WEIR_CONFIG_ACTION_SCALE_UP:
        weir_node_add(a->counters, WEIR_NC_SCALE_UPS, firing);
        break;
    case WEIR_CONFIG_ACTION_INVESTIGATE:
        if (firing && a->now != NULL)
            weir_diagnosis_log(a->log, a->now, v->rule->name, v->provider);
        break;
    }
}

/* -- when -- */

static void evaluate(struct weir_deadline *d, uint64_t now_ms)
{
    struct weir_alerting *a = WEIR_CONTAINER(d, struct weir_alerting, due);
    struct weir_arena arena = {0};
    struct weir_snapshot s;
    /* Without memory for a snapshot nothing is known; the next evaluation may have it. */
    uint64_t next_ms = now_ms + a->config->config->alerting.interval_ms;
    if (a->snapshot(a->owner, &s, &arena) == 0) {
        a->now = &s;
        weir_alerts_evaluate(a->alerts, &s, now_ms, a, changed);
        a->now = NULL;
        a->count = weir_alerts_count(a->alerts);
        next_ms = weir_alerts_due_ms(a->alerts);
    }
    weir_arena_reset(&arena);
    weir_reactor_deadline(a->reactor, d, next_ms);
}

void weir_alerting_init(struct weir_alerting *a)
{
    a->config = NULL;
    a->alerts = NULL;
    a->now = NULL;
    a->count = (struct weir_alerts_count){0};
    weir_deadline_init(&a->due, evaluate);
    weir_webhook_init(&a->webhook, a->reactor, a->log, &posts);
}

static bool configure_webhook(struct weir_alerting *a, const struct weir_shared_config *shared)
{
    const struct weir_config *c = shared->config;
    weir_webhook_trust(&a->webhook, shared->tls != NULL ? shared->tls->webhook : NULL, a->crypto);
    return weir_webhook_follow(&a->webhook, c->alerting.webhook_url, &c->dns.servers) == 0;
}

void weir_alerting_configure(struct weir_alerting *a, struct weir_shared_config *config)
{
    struct weir_alerts *next = NULL;
    struct weir_err err = {0};
    if (config == a->config)
        return;
    int rv = weir_alerts_new(&next, config->config, &err);
    if (rv == 0 && !configure_webhook(a, config))
        rv = weir_err_set(&err, WEIR_ENOMEM, "%s", weir_err_text(WEIR_ENOMEM));
    if (rv != 0) {
        struct weir_log_line l;
        weir_alerts_free(&next);
        weir_log_begin(&l, a->log, WEIR_LOG_ERROR, "alerts_failed", "the alert rules in force stay as they were");
        weir_log_text(&l, "reason", err.msg);
        weir_log_end(&l);
        return;
    }
    uint64_t now_ms = a->reactor->now_ms;
    if (a->alerts != NULL)
        weir_alerts_adopt(next, a->alerts, now_ms, a, changed);
    weir_alerts_free(&a->alerts);
    if (a->config != NULL)
        weir_shared_config_unref(a->config);
    weir_shared_config_ref(config);
    a->alerts = next;
    a->config = config;
    a->count = weir_alerts_count(next);
    uint64_t due_ms = weir_alerts_due_ms(next);
    weir_reactor_deadline(a->reactor, &a->due, due_ms > now_ms ? due_ms : now_ms);
}

void weir_alerting_to_gauges(const struct weir_alerting *a, uint64_t *gauges)
{
    gauges[WEIR_NG_ALERTS_INFO] = a->count.by_severity[WEIR_CONFIG_SEVERITY_INFO];
    gauges[WEIR_NG_ALERTS_WARNING] = a->count.by_severity[WEIR_CONFIG_SEVERITY_WARNING];
    gauges[WEIR_NG_ALERTS_CRITICAL] = a->count.by_severity[WEIR_CONFIG_SEVERITY_CRITICAL];
    gauges[WEIR_NG_SCALE_UP] = a->count.scale_up;
    gauges[WEIR_NG_WEBHOOK_QUEUED] = a->webhook.queued;
    gauges[WEIR_NG_WEBHOOK_DELIVERED] = a->webhook.counts.delivered;
    gauges[WEIR_NG_WEBHOOK_FAILED] = a->webhook.counts.failed;
    gauges[WEIR_NG_WEBHOOK_DROPPED] = a->webhook.counts.dropped;
}

bool weir_alerting_wants_scale_up(const struct weir_alerting *a, const char *provider)
{
    return a->alerts != NULL && weir_alerts_scale_up(a->alerts, provider);
}

int weir_alerting_render(const struct weir_alerting *a, struct weir_textbuf *out, const struct weir_snapshot *s)
{
    /* There is none only if the very first configuration met a lack of memory. */
    return a->alerts != NULL ? weir_render_alerts(out, s, a->alerts, a->reactor->now_ms) : WEIR_ENOMEM;
}

void weir_alerting_close(struct weir_alerting *a)
{
    if (a->reactor == NULL)
        return;
    weir_webhook_close(&a->webhook);
    weir_deadline_drop(&a->reactor->wheel, &a->due);
    weir_alerts_free(&a->alerts);
    if (a->config != NULL)
        weir_shared_config_unref(a->config);
    a->config = NULL;
}
