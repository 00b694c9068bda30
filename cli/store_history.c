#include "cli/store_history.h"

#include "core/load_fold.h"

#define HOUR_MS UINT64_C(3600000)

void ctl_store_history_begin(struct ctl_store_history *h, uint64_t since_ms)
{
    *h = (struct ctl_store_history){.since_ms = since_ms};
    h->next.step = since_ms > 24 * HOUR_MS ? 2 : since_ms > HOUR_MS ? 1 : 0;
    h->next.count = WEIR_COORD_ENTRIES_MAX;
}

static void take_point(struct ctl_store_history *h, const struct weir_coord_entry *e, uint32_t step_ms, uint64_t now_ms)
{
    struct weir_load_record point;
    struct weir_err unread;
    if (e->id > now_ms / step_ms)
        return;
    uint64_t begin_ms = e->id * step_ms;
    if (begin_ms + h->since_ms < now_ms || begin_ms < h->told_to_ms ||
        weir_load_record_parse(&point, e->text, &unread) != 0)
        return;
    weir_load_fold_time(&h->sum, &point);
    h->told_to_ms = begin_ms + step_ms;
    h->told_ms += step_ms;
}

void ctl_store_history_take(struct ctl_store_history *h, const struct weir_coord_reply *r)
{
    const struct weir_coord_entries_reply *e = &r->entries;
    for (uint32_t i = 0; i < e->count && e->step_ms > 0; i++)
        take_point(h, &e->at[i], e->step_ms, r->now_us / 1000);
    if (e->upto < e->newest && e->upto > h->next.after) {
        h->next.after = e->upto;
        return;
    }
    h->next.after = 0;
    h->over = h->next.step == 0;
    h->next.step -= !h->over;
}

json_t *ctl_store_history_page(const struct ctl_store_history *h)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < h->sum.count; i++) {
        const struct weir_load_point *p = &h->sum.items[i].point;
        json_array_append_new(list, json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "provider",
                                              h->sum.items[i].provider, "requests", (json_int_t)p->requests, "refused",
                                              (json_int_t)p->refused, "errors", (json_int_t)p->errors, "leases",
                                              (json_int_t)p->leases, "reused", (json_int_t)p->reused, "connects",
                                              (json_int_t)p->connects, "connect_us_sum", (json_int_t)p->connect_us_sum,
                                              "in_flight_peak", (json_int_t)p->in_flight_peak));
    }
    return json_pack("{s:f, s:I, s:o}", "told_seconds", (double)h->told_ms / 1000, "utilization_percent_peak",
                     (json_int_t)h->sum.utilization_pct, "providers", list);
}
