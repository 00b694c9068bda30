#include "node/access_log.h"

#include "core/monitor.h"

void weir_access_log(struct weir_log_producer *p, struct weir_access_record *r)
{
    if (p == NULL)
        return;
    char line[WEIR_LOG_LINE_MAX];
    r->node = weir_log_node(p);
    weir_log_write(p, line, weir_access_format(line, weir_log_format_now(p), r));
}

/* The fields are those of the guide's pool metrics, in its order. */
static void emit(void *arg, const struct weir_monitor_event *e)
{
    struct weir_log_line l;
    weir_log_begin(&l, arg, e->level, e->event, e->msg);
    weir_log_text(&l, "provider", e->provider);
    for (size_t i = 0; i <= WEIR_GUIDE_AVG_RESPONSE_MS; i++) {
        const struct weir_guide_metric *m = &weir_guide_table[i];
        if (m->whole)
            weir_log_u64(&l, m->name, (uint64_t)e->values->at[i]);
        else
            weir_log_double(&l, m->name, e->values->at[i]);
    }
    weir_log_double(&l, weir_guide_table[WEIR_GUIDE_ERROR_RATE].name, e->values->at[WEIR_GUIDE_ERROR_RATE]);
    weir_log_end(&l);
}

void weir_monitor_log(struct weir_log_producer *p, const struct weir_snapshot *s)
{
    weir_monitor_run(s, p, emit);
}
