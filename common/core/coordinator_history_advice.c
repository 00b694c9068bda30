/* What a leader makes of the history: a look ahead after each slot, and its publication. */
#include <string.h>

#include "core/coordinator_history_inner.h"

/* Slots between two publications of the analytics. */
#define ANALYTICS_SLOTS 10u
/* What was seen longer ago is not what is there now. */
#define RECENT_SLOTS 4u
/* In place of hints, where the configuration wants none. */
#define NO_HINTS \
    "{\"schema\":1,\"valid\":false,\"reason\":\"analytics.enable_predictive_scaling is false: no hints are made\"}"

/* The text without the line break at its end. */
static struct weir_str line_of(const struct weir_textbuf *t)
{
    return (struct weir_str){t->ptr, t->len > 0 ? t->len - 1 : 0};
}

static void publish(struct weir_coordinator_history *h, uint64_t now_ms, bool with_analytics)
{
    struct weir_textbuf hints, analytics;
    struct weir_coord_request request = {.op = WEIR_COORD_ADVISE, .advise = {.id = h->id, .token = h->token}};
    weir_textbuf_init(&hints, WEIR_COORD_HINTS_MAX + 1);
    weir_textbuf_init(&analytics, WEIR_COORD_ANALYTICS_MAX + 1);
    int rv = 0;
    if (h->config.hints) {
        rv = weir_render_hints(&hints, &h->hints, h->forecast, h->id, h->advice_version + 1);
        request.advise.hints = line_of(&hints);
    } else {
        request.advise.hints = WEIR_STR(NO_HINTS);
    }
    if (with_analytics && weir_render_analytics(&analytics, &h->patterns, h->store_ms, h->config.patterns) == 0)
        request.advise.analytics = line_of(&analytics);
    if (rv == 0) {
        h->sent = h->hints;
        h->analytics_sent = request.advise.analytics.len > 0;
        h->advise_request = h->ports.send(h->ports.arg, now_ms, &request);
    }
    weir_textbuf_close(&hints);
    weir_textbuf_close(&analytics);
}

void weir_history_advise(struct weir_coordinator_history *h, uint64_t now_ms)
{
    bool recent = h->last.slots > 0 && h->store_ms / h->config.advisor.slot_ms <= h->last.slot + RECENT_SLOTS;
    if (h->nodes == 0 || (h->advisor.desired == 0 && !h->sure)) /* those that come back one by one are no advice */
        return;
    const struct weir_advisor_now now = {.store_ms = h->store_ms,
                                         .nodes = h->nodes,
                                         .safe_concurrency = weir_load_history_safe_concurrency(h->loads),
                                         .last = recent ? &h->last : NULL,
                                         .forecast = h->forecast,
                                         .patterns = &h->patterns};
    weir_advisor_look(&h->advisor, &now, &h->hints);
    h->made = true;
    if (h->advise_request != 0)
        return;
    bool news = !h->published_any || (h->config.hints && weir_hints_news(&h->hints, &h->published));
    bool analytics = h->last.slot >= h->analytics_slot + ANALYTICS_SLOTS;
    if (news || analytics)
        publish(h, now_ms, analytics);
}

bool weir_history_advised(struct weir_coordinator_history *h, const struct weir_coord_reply *r)
{
    if (r->id != h->advise_request)
        return true;
    h->advise_request = 0;
    if (r->word == WEIR_COORD_OK) {
        bool other = !h->published_any || h->published.action != h->sent.action ||
                     h->published.desired_nodes != h->sent.desired_nodes;
        h->advice_version = r->advise_version;
        h->published = h->sent;
        h->published_any = true;
        h->analytics_slot = h->analytics_sent ? h->last.slot : h->analytics_slot;
        h->advised++;
        if (other && h->config.hints)
            h->ports.advised(h->ports.arg, &h->published);
    }
    return r->word != WEIR_COORD_STALE;
}
