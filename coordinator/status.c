#include "coordinator/status.h"

/* Ids have letters, digits and "._:-[]" only (weir_coord_id_valid), a cluster's name fewer: no text here needs escapes.
 */
unsigned weir_coordinator_status_ready(struct weir_textbuf *out, const struct weir_coordinator_status *s)
{
    const struct weir_coordinator_look *look = &s->look;
    weir_textbuf_printf(out, "{\"status\":\"%s\",\"id\":\"%s\",\"cluster\":\"%s\",\"leads\":%s,\"leader\":",
                        look->contact ? "ready" : "store_away", s->id, s->cluster, look->leads ? "true" : "false");
    if (look->leader[0] != '\0')
        weir_textbuf_printf(out, "\"%s\"", look->leader);
    else
        weir_textbuf_str(out, "null");
    weir_textbuf_printf(out, ",\"epoch\":%llu}\n", (unsigned long long)(look->map != NULL ? look->map->epoch : 0));
    return look->contact ? 200 : 503;
}

static void add_family(struct weir_textbuf *out, const char *name, const char *kind, const char *help)
{
    weir_textbuf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind);
}

static void add_gauge(struct weir_textbuf *out, const char *name, const char *help, uint64_t value)
{
    add_family(out, name, "gauge", help);
    weir_textbuf_printf(out, "%s %llu\n", name, (unsigned long long)value);
}

static void add_members(struct weir_textbuf *out, const struct weir_coordinator_look *look)
{
    uint64_t alive = 0, count = look->leads && look->members != NULL ? look->members->count : 0;
    for (uint64_t i = 0; i < count; i++)
        alive += look->members->at[i].alive;
    add_family(out, "weir_coordinator_nodes", "gauge", "Nodes, as the leader sees them; 0 on the others.");
    weir_textbuf_printf(out, "weir_coordinator_nodes{state=\"alive\"} %llu\n", (unsigned long long)alive);
    weir_textbuf_printf(out, "weir_coordinator_nodes{state=\"silent\"} %llu\n", (unsigned long long)(count - alive));
}

static void add_peak(struct weir_textbuf *out, const char *name, const char *help, const struct weir_hints_measure *m)
{
    add_family(out, name, "gauge", help);
    weir_textbuf_printf(out, "%s{level=\"0.5\"} %.3f\n%s{level=\"0.9\"} %.3f\n", name, m->ahead.peak, name,
                        m->ahead.peak_high);
}

static void add_advice(struct weir_textbuf *out, const struct weir_hints *h)
{
    static const enum weir_advisor_action actions[] = {WEIR_ADVISOR_HOLD, WEIR_ADVISOR_SCALE_UP,
                                                       WEIR_ADVISOR_SCALE_DOWN};
    add_gauge(out, "weir_coordinator_advice_nodes", "Nodes that are advised.", h->desired_nodes);
    add_family(out, "weir_coordinator_advice_action", "gauge", "1 for the action that is advised.");
    for (size_t i = 0; i < sizeof actions / sizeof actions[0]; i++)
        weir_textbuf_printf(out, "weir_coordinator_advice_action{action=\"%s\"} %d\n",
                            weir_advisor_action_text(actions[i]), h->action == actions[i]);
    add_gauge(out, "weir_coordinator_safe_concurrency", "Requests in flight that a node carries well; 0: not known.",
              h->safe_concurrency);
    add_peak(out, "weir_coordinator_forecast_in_flight", "Requests in flight, the highest of the window ahead.",
             &h->in_flight);
    add_peak(out, "weir_coordinator_forecast_requests_per_second", "Requests per second, likewise.", &h->requests_s);
}

static void add_result(struct weir_textbuf *out, const char *name, const char *result, uint64_t count)
{
    weir_textbuf_printf(out, "%s{result=\"%s\"} %llu\n", name, result, (unsigned long long)count);
}

/* What is forecast and advised is the leader's. */
static void add_history(struct weir_textbuf *out, const struct weir_coordinator_history_look *h)
{
    const char *records = "weir_coordinator_load_records_total", *points = "weir_coordinator_load_points_total";
    add_gauge(out, "weir_coordinator_history_ready", "1 on the leader once it knows what the store has of the load.",
              h->on);
    add_gauge(out, "weir_coordinator_forecast_steps_seen", "Steps of load that the forecast knows.", h->seen);
    add_family(out, records, "counter", "Nodes' records of their load, since the lead was gained.");
    add_result(out, records, "taken", h->records.taken);
    add_result(out, records, "late", h->records.late);
    add_result(out, records, "early", h->records.early);
    add_result(out, records, "twice", h->records.twice);
    add_result(out, records, "unreadable", h->unreadable);
    add_family(out, points, "counter", "Points added to the load history in the store.");
    add_result(out, points, "kept", h->folded);
    add_result(out, points, "refused", h->fold_failures);
    add_family(out, "weir_coordinator_hints_published_total", "counter", "Publications of hints.");
    weir_textbuf_printf(out, "weir_coordinator_hints_published_total %llu\n", (unsigned long long)h->advised);
    if (h->hints != NULL)
        add_advice(out, h->hints);
}

void weir_coordinator_status_metrics(struct weir_textbuf *out, const struct weir_coordinator_status *s)
{
    const struct weir_coordinator_look *look = &s->look;
    add_family(out, "weir_coordinator_info", "gauge", "Always 1; its labels say who this is.");
    weir_textbuf_printf(out, "weir_coordinator_info{id=\"%s\",cluster=\"%s\",version=\"%s\"} 1\n", s->id, s->cluster,
                        s->version);
    add_gauge(out, "weir_coordinator_leads", "1 on the one that leads.", look->leads);
    add_gauge(out, "weir_coordinator_store_contact", "1 while the store answers.", look->contact);
    add_gauge(out, "weir_coordinator_map_epoch", "Of the newest shard map known; 0: none.",
              look->map != NULL ? look->map->epoch : 0);
    add_members(out, look);
    add_family(out, "weir_coordinator_events_total", "counter", "What has happened, by the event's name in the log.");
    for (int i = 0; i < WEIR_COORDINATOR_NOTES; i++)
        weir_textbuf_printf(out, "weir_coordinator_events_total{event=\"%s\"} %llu\n",
                            weir_coordinator_note_text((enum weir_coordinator_note)i), (unsigned long long)s->notes[i]);
    add_family(out, "weir_coordinator_store_requests_total", "counter", "Requests to the store.");
    for (int i = 0; i < WEIR_COORD_OPS; i++)
        if (s->requests[i] > 0)
            weir_textbuf_printf(out, "weir_coordinator_store_requests_total{op=\"%s\"} %llu\n",
                                weir_coord_op_text((enum weir_coord_op)i), (unsigned long long)s->requests[i]);
    add_family(out, "weir_coordinator_store_requests_failed_total", "counter", "Requests to the store that failed.");
    weir_textbuf_printf(out, "weir_coordinator_store_requests_failed_total %llu\n",
                        (unsigned long long)s->requests_failed);
    add_history(out, &look->history);
}
