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
}
