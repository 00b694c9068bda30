/* The coordinator's hints on a node: kept as they came for those who look, followed as far as they can be checked, and
 * for as long as they are valid: pools may grow to what they say, and connections are opened ahead of a peak. */
#include <stdlib.h>
#include <string.h>

#include "core/saturate.h"
#include "node/cluster_inner.h"
#include "node/preopen.h"
#include "node/upstream.h"

static uint64_t store_ms(const struct weir_cluster *c)
{
    return weir_shift_ms(c->reactor->now_ms, weir_cluster_agent_sight(c->agent)->store_offset_ms);
}

static const struct weir_config_analytics *config_of(const struct weir_cluster *c)
{
    return c->view != NULL ? &c->view->config->analytics : &c->began_with->config->analytics;
}

static bool is_on(const struct weir_cluster *c)
{
    return config_of(c)->enabled && config_of(c)->enable_predictive_scaling;
}

/* -- what comes -- */

/* Whether the text is there now. */
static bool keep(struct weir_textbuf *to, struct weir_str text)
{
    weir_textbuf_clear(to);
    weir_textbuf_add(to, text.ptr, text.len);
    return !to->failed;
}

/* Once for each reason: whoever writes what cannot be read will do so again. */
static void tell_refused(struct weir_cluster *c, const char *why)
{
    struct weir_cluster_advised *a = c->advised;
    struct weir_log_line l;
    if (strncmp(a->refused, why, sizeof a->refused - 1) == 0)
        return;
    snprintf(a->refused, sizeof a->refused, "%.*s", (int)sizeof a->refused - 1, why);
    weir_log_begin(&l, c->log, WEIR_LOG_WARN, "hints_refused", "the coordinator's hints cannot be followed");
    weir_log_text(&l, "reason", why);
    weir_log_end(&l);
}

void weir_cluster_take_advice(struct weir_cluster *c, const struct weir_coord_advice_reply *r)
{
    struct weir_cluster_advised *a = c->advised;
    struct weir_err err;
    if (r->analytics.len > 0 && !keep(&a->analytics, r->analytics))
        a->analytics.len = 0;
    if (!is_on(c) || (r->version == a->version && r->unix_ms == a->unix_ms))
        return;
    a->version = r->version;
    a->unix_ms = r->unix_ms;
    int code = weir_advice_parse(&a->next, r->hints, &err);
    if (code == 0 && !keep(&a->hints, r->hints))
        code = weir_err_set(&err, WEIR_ENOMEM, "out of memory");
    if (code != 0) {
        a->there = false;
        tell_refused(c, err.msg);
    } else {
        a->there = true;
        a->refused[0] = '\0';
        a->advice = a->next;
    }
}

/* -- what follows -- */

static struct weir_advice_share share_of(const struct weir_cluster *c, const struct weir_provider *p)
{
    uint32_t alive = weir_cluster_agent_sight(c->agent)->alive_count;
    if (p->scaling.shards > 0)
        return (struct weir_advice_share){p->scaling.owned, p->scaling.shards};
    return (struct weir_advice_share){1, alive > 0 ? alive : 1};
}

/* Requests that a connection to the provider carries at once. */
static uint32_t places_of(const struct weir_view_provider *v)
{
    uint32_t least = UINT32_MAX;
    for (unsigned i = 0; i < v->endpoint_count; i++) {
        uint32_t n = weir_upstream_places_of(&v->endpoints[i]);
        least = n < least ? n : least;
    }
    return v->endpoint_count > 0 && least > 0 ? least : 1;
}

static void follow(struct weir_cluster *c, const struct weir_view_provider *v, bool may_open)
{
    struct weir_cluster_advised *a = c->advised;
    const struct weir_advice_provider *p = a->valid ? weir_advice_of(&a->advice, v->config->name) : NULL;
    struct weir_scaling_hint hint = {0};
    if (p != NULL) {
        struct weir_advice_share share = share_of(c, v->rt);
        uint64_t now_ms = store_ms(c);
        hint = (struct weir_scaling_hint){.there = true,
                                          .pool_size = weir_advice_part(p->pool_size, share),
                                          .peak = p->in_flight.peak,
                                          .peak_high = p->in_flight.peak_high,
                                          .peak_in_ms = p->in_flight.at_ms > now_ms ? p->in_flight.at_ms - now_ms : 0};
        uint32_t wanted = may_open ? weir_advice_ahead(p, share, places_of(v), now_ms) : 0;
        if (wanted > 0)
            weir_preopen(c->node, v, wanted, a->turn);
    }
    weir_scaling_advise(v->rt, &hint);
}

/* One of those who live tells all: the first of them. */
static bool speaks(const struct weir_cluster *c)
{
    const struct weir_cluster_sight *s = weir_cluster_agent_sight(c->agent);
    for (uint32_t i = 0; i < s->self; i++)
        if (s->peers[i].alive)
            return false;
    return true;
}

static void tell_action(struct weir_cluster *c)
{
    const struct weir_advice *a = &c->advised->advice;
    struct weir_textbuf event;
    struct weir_log_line l;
    weir_log_begin(&l, c->log, WEIR_LOG_INFO, "hint_action", "the coordinator advises something else");
    weir_log_text(&l, "action", weir_advice_action_text(a->action));
    weir_log_u64(&l, "nodes", a->nodes);
    weir_log_u64(&l, "desired_nodes", a->desired_nodes);
    weir_log_text(&l, "reason", a->reason);
    weir_log_end(&l);
    if (!speaks(c))
        return;
    weir_textbuf_init(&event, WEIR_COORD_EVENT_MAX - 1);
    if (weir_advice_event(&event, a, c->id) == 0)
        weir_cluster_agent_tell(c->agent, c->reactor->now_ms, (struct weir_str){event.ptr, event.len});
    weir_cluster_settle(c);
    weir_textbuf_close(&event);
}

static void look_at_validity(struct weir_cluster *c)
{
    struct weir_cluster_advised *a = c->advised;
    bool before = a->valid;
    a->valid = is_on(c) && a->there && weir_advice_is_valid(&a->advice, store_ms(c));
    if (before && !a->valid && is_on(c))
        weir_log_simple(c->log, WEIR_LOG_INFO, "hints_stale", "there are no valid hints any more");
    if (!a->valid || a->advice.action == a->told)
        return;
    a->told = a->advice.action;
    tell_action(c);
}

void weir_cluster_follow_advice(struct weir_cluster *c)
{
    struct weir_cluster_advised *a = c->advised;
    bool second_over = c->reactor->now_ms >= a->open_due_ms;
    look_at_validity(c);
    if (second_over) {
        a->open_due_ms = c->reactor->now_ms + 1000;
        a->turn++;
    }
    for (unsigned i = 0; c->view != NULL && i < c->view->provider_count; i++)
        follow(c, &c->view->providers[i], second_over);
}

/* -- life -- */

int weir_cluster_advised_new(struct weir_cluster_advised **out)
{
    struct weir_cluster_advised *a = *out = calloc(1, sizeof *a);
    if (a == NULL)
        return WEIR_ENOMEM;
    weir_textbuf_init(&a->hints, WEIR_COORD_HINTS_MAX);
    weir_textbuf_init(&a->analytics, WEIR_COORD_ANALYTICS_MAX);
    return 0;
}

void weir_cluster_advised_free(struct weir_cluster_advised **a)
{
    if (*a == NULL)
        return;
    weir_textbuf_close(&(*a)->hints);
    weir_textbuf_close(&(*a)->analytics);
    free(*a);
    *a = NULL;
}

/* -- what is shown -- */

static const char *why_none(const struct weir_cluster *c)
{
    const struct weir_config_analytics *config = config_of(c);
    if (!config->enabled)
        return "analytics.enabled is off";
    if (!config->enable_predictive_scaling)
        return "analytics.enable_predictive_scaling is off";
    return weir_advice_why_none(c->advised->version, c->advised->there ? &c->advised->advice : NULL);
}

void weir_cluster_show_advice(struct weir_cluster *c, struct weir_cluster_snapshot *out, uint64_t *gauges)
{
    const struct weir_cluster_advised *a = c->advised;
    const struct weir_config_analytics *config = config_of(c);
    uint64_t now_ms = store_ms(c);
    out->advice.why = a->valid ? NULL : why_none(c);
    if (config->enabled)
        out->advice.analytics = (struct weir_str){a->analytics.ptr, a->analytics.len};
    if (!a->valid)
        return;
    out->advice.hints = (struct weir_str){a->hints.ptr, a->hints.len};
    out->advice.age_ms = now_ms > a->advice.at_ms ? now_ms - a->advice.at_ms : 0;
    gauges[WEIR_NG_HINT_VALID] = 1;
    gauges[WEIR_NG_HINT_DESIRED] = a->advice.desired_nodes;
    gauges[WEIR_NG_HINT_HOLD + (unsigned)a->advice.action] = 1;
}
