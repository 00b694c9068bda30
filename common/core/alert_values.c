#include "core/alert_values.h"

#include <math.h>

#include "core/config_schema.h"

static const struct {
    const struct weir_metric *rows;
    size_t count;
    int first; /* id of the first row */
} tables[] = {
    {weir_node_gauge_table, WEIR_NG_COUNT, WEIR_ALERT_ID_NODE_GAUGE},
    {weir_node_counter_table, WEIR_NC_COUNT, WEIR_ALERT_ID_NODE_COUNTER},
    {weir_provider_counter_table, WEIR_PC_COUNT, WEIR_ALERT_ID_PROVIDER_COUNTER},
    {weir_endpoint_counter_table, WEIR_EC_COUNT, WEIR_ALERT_ID_ENDPOINT_COUNTER},
    {weir_provider_gauge_table, WEIR_PG_COUNT, WEIR_ALERT_ID_PROVIDER_GAUGE},
};
enum { NODE_GAUGES, NODE_COUNTERS, PROVIDER_COUNTERS, ENDPOINT_COUNTERS };
enum { TABLES = sizeof tables / sizeof tables[0] };

/* -- names -- */

const char *weir_alert_name(int id)
{
    if (id < WEIR_GUIDE_COUNT)
        return weir_guide_table[id].name;
    size_t t = TABLES - 1;
    while (id < tables[t].first)
        t--;
    const struct weir_metric *row = &tables[t].rows[id - tables[t].first];
    bool first = id == tables[t].first || strcmp(row->name, row[-1].name) != 0;
    return first ? row->name : NULL;
}

int weir_alert_id_of(struct weir_str name)
{
    for (int i = 0; i < WEIR_ALERT_IDS; i++) {
        const char *known = weir_alert_name(i);
        if (known != NULL && weir_str_eq(name, weir_str_of(known)))
            return i;
    }
    return -1;
}

const char *weir_alert_name_nearest(const char *name)
{
    const char *best = weir_alert_name(0);
    unsigned best_distance = weir_config_distance(name, best);
    for (int i = 1; i < WEIR_ALERT_IDS; i++) {
        const char *known = weir_alert_name(i);
        unsigned distance = known != NULL ? weir_config_distance(name, known) : best_distance;
        if (distance < best_distance) {
            best = known;
            best_distance = distance;
        }
    }
    return best;
}

/* -- counters -- */

/* All rows as they are. */
static void totals_of_provider(uint64_t cells[WEIR_ALERT_CELLS_PROVIDER], const struct weir_provider_snapshot *p)
{
    memset(cells, 0, WEIR_ALERT_CELLS_PROVIDER * sizeof cells[0]);
    for (size_t e = 0; e < p->endpoint_count; e++)
        for (size_t i = 0; i < WEIR_EC_COUNT; i++)
            cells[i] += p->endpoints[e].counters.at[i];
    for (size_t i = 0; i < WEIR_PC_COUNT; i++)
        cells[WEIR_EC_COUNT + i] += p->counters.at[i];
}

static void totals_of_node(uint64_t cells[WEIR_ALERT_CELLS_NODE], const struct weir_snapshot *s)
{
    memset(cells, 0, WEIR_ALERT_CELLS_NODE * sizeof cells[0]);
    for (size_t p = 0; p < s->provider_count; p++) {
        uint64_t one[WEIR_ALERT_CELLS_PROVIDER];
        totals_of_provider(one, &s->providers[p]);
        for (size_t i = 0; i < WEIR_ALERT_CELLS_PROVIDER; i++)
            cells[i] += one[i];
    }
    memcpy(cells + WEIR_ALERT_CELLS_PROVIDER, s->counters.at, WEIR_NC_COUNT * sizeof cells[0]);
}

static bool is_gauge(size_t cell)
{
    if (cell < WEIR_EC_COUNT)
        return weir_endpoint_counter_table[cell].kind == WEIR_KIND_GAUGE;
    if (cell < WEIR_ALERT_CELLS_PROVIDER)
        return weir_provider_counter_table[cell - WEIR_EC_COUNT].kind == WEIR_KIND_GAUGE;
    return weir_node_counter_table[cell - WEIR_ALERT_CELLS_PROVIDER].kind == WEIR_KIND_GAUGE;
}

static void gauges_clear(uint64_t *cells, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (is_gauge(i))
            cells[i] = 0;
}

void weir_alert_cells_of_provider(uint64_t cells[WEIR_ALERT_CELLS_PROVIDER], const struct weir_provider_snapshot *p)
{
    totals_of_provider(cells, p);
    gauges_clear(cells, WEIR_ALERT_CELLS_PROVIDER);
}

void weir_alert_cells_of_node(uint64_t cells[WEIR_ALERT_CELLS_NODE], const struct weir_snapshot *s)
{
    totals_of_node(cells, s);
    gauges_clear(cells, WEIR_ALERT_CELLS_NODE);
}

/* -- values -- */

/* Each family's sum at its first row's id. */
static void families_set(struct weir_alert_values *out, size_t table, const uint64_t *cells)
{
    const struct weir_metric *rows = tables[table].rows;
    double *at = out->at + tables[table].first;
    size_t first = 0;
    for (size_t i = 0; i < tables[table].count; i++) {
        /* A gauge whose parts were read one after the other can come out below zero. */
        uint64_t v = rows[i].kind == WEIR_KIND_GAUGE && cells[i] > INT64_MAX ? 0 : cells[i];
        at[i] = rows[i].unit == WEIR_UNIT_US ? (double)v / 1e6 : (double)v;
        if (i > 0 && strcmp(rows[i].name, rows[i - 1].name) == 0)
            at[first] += at[i];
        else
            first = i;
    }
}

/* cells: in as they are, out with counters as they have grown. */
static void grown(uint64_t *cells, const uint64_t *increase, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!is_gauge(i))
            cells[i] = increase[i];
}

/* Adds a provider's; a row is no number until somebody has it. */
static void gauges_add(struct weir_alert_values *out, const struct weir_provider_snapshot *p)
{
    for (size_t i = 0; i < WEIR_PG_COUNT; i++) {
        double *at = &out->at[WEIR_ALERT_ID_PROVIDER_GAUGE + i];
        if (p->gauges[i] == WEIR_GAUGE_NONE)
            continue;
        double v = (double)p->gauges[i];
        if (weir_provider_gauge_table[i].unit == WEIR_UNIT_US)
            v /= 1e6;
        *at = isnan(*at) ? v : *at + v;
    }
}

static void guide_set(struct weir_alert_values *out, struct weir_guide_values *guide, const uint64_t *increase)
{
    struct weir_endpoint_counters counters = {0};
    memcpy(counters.at, increase, WEIR_EC_COUNT * sizeof increase[0]);
    weir_guide_recount(guide, &counters);
    memcpy(out->at, guide->at, sizeof guide->at);
    families_set(out, PROVIDER_COUNTERS, increase + WEIR_EC_COUNT);
    families_set(out, ENDPOINT_COUNTERS, increase);
    for (size_t i = 0; i < WEIR_PG_COUNT; i++)
        out->at[WEIR_ALERT_ID_PROVIDER_GAUGE + i] = (double)NAN;
}

void weir_alert_values_of_provider(struct weir_alert_values *out, const struct weir_provider_snapshot *p,
                                   const uint64_t increase[WEIR_ALERT_CELLS_PROVIDER])
{
    struct weir_guide_values guide;
    uint64_t cells[WEIR_ALERT_CELLS_PROVIDER];
    weir_guide_of_provider(&guide, p);
    totals_of_provider(cells, p);
    grown(cells, increase, WEIR_ALERT_CELLS_PROVIDER);
    guide_set(out, &guide, cells);
    gauges_add(out, p);
    for (int i = WEIR_ALERT_ID_NODE_GAUGE; i < WEIR_ALERT_ID_PROVIDER_COUNTER; i++)
        out->at[i] = (double)NAN;
}

void weir_alert_values_of_node(struct weir_alert_values *out, const struct weir_snapshot *s,
                               const uint64_t increase[WEIR_ALERT_CELLS_NODE])
{
    struct weir_guide_values guide;
    uint64_t cells[WEIR_ALERT_CELLS_NODE];
    weir_guide_of_node(&guide, s);
    totals_of_node(cells, s);
    grown(cells, increase, WEIR_ALERT_CELLS_NODE);
    guide_set(out, &guide, cells);
    for (size_t i = 0; i < s->provider_count; i++)
        gauges_add(out, &s->providers[i]);
    families_set(out, NODE_GAUGES, s->gauges);
    families_set(out, NODE_COUNTERS, cells + WEIR_ALERT_CELLS_PROVIDER);
}
