#include "core/metrics_docs.h"

#include <string.h>

#include "core/metrics_read.h"
#include "core/snapshot.h"

static void print_head(struct weir_textbuf *out, const char *title, const char *words)
{
    weir_textbuf_printf(out, "\n## %s\n\n%s\n\n| Metric | Type | Labels | What it counts |\n|---|---|---|---|\n", title,
                        words);
}

/* `class`: `2xx`, `3xx`; of rows whose labels differ in the last value only, as all of a family do. */
static void print_labels(struct weir_textbuf *out, const struct weir_metric *rows, size_t count)
{
    const char *name = rows[0].labels;
    size_t len = strcspn(name, "=");
    if (name[0] == '\0')
        return;
    weir_textbuf_str(out, "`");
    weir_textbuf_add(out, name, len);
    weir_textbuf_str(out, "`: ");
    for (size_t i = 0; i < count; i++) {
        const char *value = rows[i].labels + len + 2;
        weir_textbuf_str(out, i > 0 ? ", `" : "`");
        weir_textbuf_add(out, value, strcspn(value, "\""));
        weir_textbuf_char(out, '`');
    }
}

static void print_row(struct weir_textbuf *out, const struct weir_metric *rows, size_t count)
{
    weir_textbuf_printf(out, "| `%s` | %s | ", rows[0].name, weir_metric_kind_text(rows[0].kind));
    print_labels(out, rows, count);
    weir_textbuf_printf(out, " | %s |\n", rows[0].help);
}

static void print_table(struct weir_textbuf *out, const struct weir_metric *table, size_t count)
{
    for (size_t at = 0, rows; at < count; at += rows) {
        rows = weir_metric_family_rows(table, count, at);
        print_row(out, &table[at], rows);
    }
}

static void print_guide(struct weir_textbuf *out)
{
    static const char *const scopes[] = {"provider", "endpoint", "endpoint, and provider with `endpoint=\"\"`"};
    weir_textbuf_str(out, "\n## By the guide's names\n\n"
                          "Those of a provider have an empty `endpoint`, so a sum over a name counts nothing twice.\n\n"
                          "| Metric | Type | One for each | What it counts |\n|---|---|---|---|\n");
    for (size_t i = 0; i < WEIR_GUIDE_COUNT; i++) {
        const struct weir_guide_metric *m = &weir_guide_table[i];
        weir_textbuf_printf(out, "| `%s` | %s | %s | %s |\n", m->name, weir_metric_kind_text(m->kind), scopes[m->scope],
                            m->help);
    }
}

void weir_metrics_print_docs(struct weir_textbuf *out)
{
    weir_textbuf_str(out,
                     "# Metrics\n\n"
                     "<!-- Made by `weir-node --print-metrics` from the tables; edit those. -->\n\n"
                     "A node answers `GET /metrics/prometheus` in the text format 0.0.4, and `GET /metrics` in\n"
                     "JSON. Times are in seconds, sizes in bytes. What belongs to nothing that is configured is\n"
                     "left out. A coordinator's are in [operations.md](operations.md#the-coordinators-metrics).\n");
    print_guide(out);
    print_head(out, "Of the node",
               "`weir_build_info` is always 1, its label `version` tells the version; "
               "`weir_tls_certificate_not_after_seconds` (labels `file`, `subject`) is when a certificate of the node "
               "expires, in seconds since 1970.");
    print_table(out, weir_node_gauge_table, WEIR_NG_COUNT);
    print_table(out, weir_node_counter_table, WEIR_NC_COUNT);
    print_head(out, "Of a provider", "Label `provider`, besides those of the table.");
    print_table(out, weir_provider_gauge_table, WEIR_PG_COUNT);
    print_table(out, weir_provider_counter_table, WEIR_PC_COUNT);
    print_table(out, weir_hist_table, WEIR_H_COUNT);
    print_head(out, "Of an endpoint", "Labels `provider` and `endpoint`, besides those of the table.");
    print_table(out, weir_endpoint_counter_table, WEIR_EC_COUNT);
}
