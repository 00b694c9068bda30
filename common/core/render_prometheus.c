/* Text exposition format 0.0.4: all samples of a family follow its HELP and TYPE, each family once. */
#include "core/render.h"

#include "core/metrics_read.h"

static void add_escaped(struct weir_textbuf *t, const char *value)
{
    for (; *value != '\0'; value++) {
        if (*value == '\n') {
            weir_textbuf_str(t, "\\n");
            continue;
        }
        if (*value == '\\' || *value == '"')
            weir_textbuf_char(t, '\\');
        weir_textbuf_char(t, *value);
    }
}

static void add_label(struct weir_textbuf *t, bool *first, const char *name, const char *value)
{
    weir_textbuf_char(t, *first ? '{' : ',');
    *first = false;
    weir_textbuf_str(t, name);
    weir_textbuf_str(t, "=\"");
    add_escaped(t, value);
    weir_textbuf_char(t, '"');
}

/* Name and labels up to where the value follows. provider, endpoint: NULL for none; fixed: label text of a table, or
 * "". */
static void add_series(struct weir_textbuf *t, const char *name, const char *suffix, const char *provider,
                       const char *endpoint, const char *fixed)
{
    bool first = true;
    weir_textbuf_str(t, name);
    weir_textbuf_str(t, suffix);
    if (provider != NULL)
        add_label(t, &first, "provider", provider);
    if (endpoint != NULL)
        add_label(t, &first, "endpoint", endpoint);
    if (fixed[0] != '\0') {
        weir_textbuf_char(t, first ? '{' : ',');
        first = false;
        weir_textbuf_str(t, fixed);
    }
    weir_textbuf_str(t, first ? " " : "} ");
}

static void add_head(struct weir_textbuf *t, const char *name, const char *help, enum weir_metric_kind kind)
{
    weir_textbuf_printf(t, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, weir_metric_kind_text(kind));
}

/* Microseconds as seconds without trailing zeros: 1500 -> 0.0015. */
static void add_seconds(struct weir_textbuf *t, uint64_t us)
{
    weir_textbuf_u64(t, us / 1000000);
    unsigned rest = (unsigned)(us % 1000000);
    if (rest == 0)
        return;
    char digits[7] = {'.'};
    size_t len = sizeof digits;
    for (size_t i = 6; i > 0; i--, rest /= 10)
        digits[i] = (char)('0' + rest % 10);
    while (digits[len - 1] == '0')
        len--;
    weir_textbuf_add(t, digits, len);
}

static void add_value(struct weir_textbuf *t, const struct weir_metric *m, uint64_t value)
{
    /* The cells of a gauge are read one after the other: what moved between threads meanwhile can make the sum
     * negative. */
    if (m->kind == WEIR_KIND_GAUGE && value > INT64_MAX)
        value = 0;
    if (m->unit == WEIR_UNIT_US)
        add_seconds(t, value);
    else
        weir_textbuf_u64(t, value);
    weir_textbuf_char(t, '\n');
}

static void add_node_table(struct weir_textbuf *t, const struct weir_metric *table, size_t count,
                           const uint64_t *values)
{
    for (size_t i = 0; i < count; i++) {
        if (i == 0 || strcmp(table[i].name, table[i - 1].name) != 0)
            add_head(t, table[i].name, table[i].help, table[i].kind);
        add_series(t, table[i].name, "", NULL, NULL, table[i].labels);
        add_value(t, &table[i], values[i]);
    }
}

static void add_provider_table(struct weir_textbuf *t, const struct weir_snapshot *s)
{
    const struct weir_metric *table = weir_provider_counter_table;
    for (size_t at = 0, rows; at < WEIR_PC_COUNT; at += rows) {
        rows = weir_metric_family_rows(table, WEIR_PC_COUNT, at);
        add_head(t, table[at].name, table[at].help, table[at].kind);
        for (size_t p = 0; p < s->provider_count; p++)
            for (size_t row = at; row < at + rows; row++) {
                add_series(t, table[row].name, "", s->providers[p].name, NULL, table[row].labels);
                add_value(t, &table[row], s->providers[p].counters.at[row]);
            }
    }
}

static void add_endpoint_rows(struct weir_textbuf *t, const struct weir_provider_snapshot *p, size_t at, size_t rows)
{
    for (size_t e = 0; e < p->endpoint_count; e++)
        for (size_t row = at; row < at + rows; row++) {
            const struct weir_metric *m = &weir_endpoint_counter_table[row];
            add_series(t, m->name, "", p->name, p->endpoints[e].id, m->labels);
            add_value(t, m, p->endpoints[e].counters.at[row]);
        }
}

static void add_endpoint_table(struct weir_textbuf *t, const struct weir_snapshot *s)
{
    const struct weir_metric *table = weir_endpoint_counter_table;
    for (size_t at = 0, rows; at < WEIR_EC_COUNT; at += rows) {
        rows = weir_metric_family_rows(table, WEIR_EC_COUNT, at);
        add_head(t, table[at].name, table[at].help, table[at].kind);
        for (size_t p = 0; p < s->provider_count; p++)
            add_endpoint_rows(t, &s->providers[p], at, rows);
    }
}

/* A family without a sample is left out: nobody uses what it measures. */
static void add_provider_gauges(struct weir_textbuf *t, const struct weir_snapshot *s)
{
    const struct weir_metric *table = weir_provider_gauge_table;
    for (size_t at = 0, rows; at < WEIR_PG_COUNT; at += rows) {
        bool begun = false;
        rows = weir_metric_family_rows(table, WEIR_PG_COUNT, at);
        for (size_t i = 0; i < s->provider_count * rows; i++) {
            const struct weir_provider_snapshot *p = &s->providers[i / rows];
            size_t row = at + i % rows;
            if (p->gauges[row] == WEIR_GAUGE_NONE)
                continue;
            if (!begun)
                add_head(t, table[at].name, table[at].help, table[at].kind);
            begun = true;
            add_series(t, table[row].name, "", p->name, NULL, table[row].labels);
            add_value(t, &table[row], p->gauges[row]);
        }
    }
}

static void add_hist(struct weir_textbuf *t, const char *name, const char *provider, const struct weir_hist *h)
{
    uint64_t below = 0;
    for (size_t i = 0; i <= WEIR_HIST_BOUNDS; i++) {
        below += h->bucket[i];
        bool first = true;
        weir_textbuf_str(t, name);
        weir_textbuf_str(t, "_bucket");
        add_label(t, &first, "provider", provider);
        weir_textbuf_str(t, ",le=\"");
        if (i < WEIR_HIST_BOUNDS)
            add_seconds(t, weir_hist_bound_us[i]);
        else
            weir_textbuf_str(t, "+Inf");
        weir_textbuf_str(t, "\"} ");
        weir_textbuf_u64(t, below);
        weir_textbuf_char(t, '\n');
    }
    add_series(t, name, "_sum", provider, NULL, "");
    add_seconds(t, h->sum_us);
    weir_textbuf_char(t, '\n');
    add_series(t, name, "_count", provider, NULL, "");
    weir_textbuf_u64(t, below);
    weir_textbuf_char(t, '\n');
}

static void add_hist_table(struct weir_textbuf *t, const struct weir_snapshot *s)
{
    for (size_t id = 0; id < WEIR_H_COUNT; id++) {
        const struct weir_metric *m = &weir_hist_table[id];
        add_head(t, m->name, m->help, m->kind);
        for (size_t p = 0; p < s->provider_count; p++)
            add_hist(t, m->name, s->providers[p].name, &s->providers[p].counters.hist[id]);
    }
}

static void add_guide_value(struct weir_textbuf *t, size_t id, const char *provider, const char *endpoint,
                            const struct weir_guide_values *v)
{
    add_series(t, weir_guide_table[id].name, "", provider, endpoint, "");
    if (weir_guide_table[id].whole)
        weir_textbuf_u64(t, (uint64_t)v->at[id]);
    else
        weir_textbuf_printf(t, "%.9g", v->at[id]);
    weir_textbuf_char(t, '\n');
}

static void add_guide_provider(struct weir_textbuf *t, size_t id, const struct weir_provider_snapshot *p)
{
    enum weir_guide_scope scope = weir_guide_table[id].scope;
    struct weir_guide_values v;
    if (scope != WEIR_SCOPE_ENDPOINT) {
        weir_guide_of_provider(&v, p);
        add_guide_value(t, id, p->name, "", &v);
    }
    if (scope == WEIR_SCOPE_PROVIDER)
        return;
    for (size_t e = 0; e < p->endpoint_count; e++) {
        weir_guide_of_endpoint(&v, p, &p->endpoints[e]);
        add_guide_value(t, id, p->name, p->endpoints[e].id, &v);
    }
}

static void add_certificates(struct weir_textbuf *t, const struct weir_snapshot *s)
{
    static const char name[] = "weir_tls_certificate_not_after_seconds";
    if (s->certificate_count > 0)
        add_head(t, name, "When a certificate of the node expires, in seconds since 1970.", WEIR_KIND_GAUGE);
    for (size_t i = 0; i < s->certificate_count; i++) {
        bool first = true;
        weir_textbuf_str(t, name);
        add_label(t, &first, "file", s->certificates[i].file);
        add_label(t, &first, "subject", s->certificates[i].subject);
        weir_textbuf_printf(t, "} %lld\n", (long long)s->certificates[i].not_after_unix_s);
    }
}

int weir_render_prometheus(struct weir_textbuf *t, const struct weir_snapshot *s)
{
    for (size_t id = 0; id < WEIR_GUIDE_COUNT; id++) {
        add_head(t, weir_guide_table[id].name, weir_guide_table[id].help, weir_guide_table[id].kind);
        for (size_t p = 0; p < s->provider_count; p++)
            add_guide_provider(t, id, &s->providers[p]);
    }
    add_head(t, "weir_build_info", "Always 1; the label tells the version.", WEIR_KIND_GAUGE);
    bool first = true;
    weir_textbuf_str(t, "weir_build_info");
    add_label(t, &first, "version", s->version);
    weir_textbuf_str(t, "} 1\n");
    add_node_table(t, weir_node_gauge_table, WEIR_NG_COUNT, s->gauges);
    add_node_table(t, weir_node_counter_table, WEIR_NC_COUNT, s->counters.at);
    add_certificates(t, s);
    add_provider_table(t, s);
    add_provider_gauges(t, s);
    add_endpoint_table(t, s);
    add_hist_table(t, s);
    return t->failed ? WEIR_ENOMEM : 0;
}
