#include "cli/top.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/show.h"

#define SPARK_LABEL_WIDTH 30u /* what stands beside a sparkline */
#define SPARK_WIDTH_MIN   10u

static const struct {
    const char *what, *node, *pool;
} sorts[CTL_TOP_SORTS] = {
#define SORT(id, what, node, pool) {what, node, pool},
    CTL_TOP_SORT_MAP(SORT)
#undef SORT
};

const char *ctl_top_sort_text(enum ctl_top_sort s)
{
    return sorts[s].what;
}

/* -- what is known -- */

static double load_of(const json_t *nodes)
{
    const json_t *list = json_object_get(nodes, "nodes");
    double sum = 0, n;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *node = json_array_get(list, i);
        if (json_is_true(json_object_get(node, "alive")) && ctl_number(json_object_get(node, "load"), "in_flight", &n))
            sum += n;
    }
    return sum;
}

static void forget(struct ctl_top *t)
{
    json_decref(t->state);
    json_decref(t->nodes);
    json_decref(t->pools);
    json_decref(t->hints);
}

void ctl_top_take(struct ctl_top *t, json_t *state, json_t *nodes, json_t *pools, json_t *hints)
{
    forget(t);
    t->state = state;
    t->nodes = nodes;
    t->pools = pools;
    t->hints = hints;
    if (t->load_count == CTL_TOP_LOADS_MAX)
        memmove(t->loads, t->loads + 1, --t->load_count * sizeof t->loads[0]);
    t->loads[t->load_count++] = load_of(nodes);
}

void ctl_top_close(struct ctl_top *t)
{
    forget(t);
    *t = (struct ctl_top){0};
}

/* -- sparklines -- */

void ctl_sparkline(struct weir_textbuf *out, const double *values, size_t count, size_t columns, double most,
                   bool ascii)
{
    static const char *const blocks[] = {"\u2581", "\u2582", "\u2583", "\u2584",
                                         "\u2585", "\u2586", "\u2587", "\u2588"};
    static const char *const letters[] = {"_", ".", ":", "-", "=", "+", "*", "#"};
    size_t from = count > columns ? count - columns : 0;
    for (size_t i = from; i < count; i++) {
        double part = most > 0 ? values[i] / most * 8 : 0;
        size_t level = part >= 7 ? 7 : part > 0 ? (size_t)part : 0;
        weir_textbuf_str(out, ascii ? letters[level] : blocks[level]);
    }
}

/* The forecast's middle, thinned to what fits. */
static size_t read_ahead(const json_t *hints, double values[CTL_TOP_LOADS_MAX], size_t columns)
{
    const json_t *ahead = json_object_get(json_object_get(json_object_get(hints, "series"), "in_flight"), "ahead");
    size_t n = json_array_size(ahead), step = columns > 0 ? (n + columns - 1) / columns : 1, count = 0;
    for (size_t i = 0; step > 0 && i < n && count < CTL_TOP_LOADS_MAX; i += step) {
        double mid = json_number_value(json_array_get(json_array_get(ahead, i), 1));
        values[count++] = mid >= 0 && mid < 1e12 ? mid : 0;
    }
    return count;
}

static double highest(const double *values, size_t count, double most)
{
    for (size_t i = 0; i < count; i++)
        most = values[i] > most ? values[i] : most;
    return most;
}

static void show_load(const struct ctl_top *t, struct weir_textbuf *out, const struct ctl_style *style,
                      unsigned columns)
{
    const json_t *expected = json_object_get(json_object_get(t->hints, "cluster"), "in_flight");
    double ahead[CTL_TOP_LOADS_MAX], peak, in_s;
    char text[CTL_DURATION_MAX];
    size_t width = columns > SPARK_LABEL_WIDTH + SPARK_WIDTH_MIN ? columns - SPARK_LABEL_WIDTH : SPARK_WIDTH_MIN;
    bool valid = json_is_true(json_object_get(t->hints, "valid"));
    size_t count = valid ? read_ahead(t->hints, ahead, width) : 0;
    double most = highest(ahead, count, highest(t->loads, t->load_count, 1));
    ctl_paint(out, style, CTL_DIM, WEIR_STR("in flight  "));
    ctl_sparkline(out, t->loads, t->load_count, width, most, t->ascii);
    weir_textbuf_printf(out, " %.0f\n", t->load_count > 0 ? t->loads[t->load_count - 1] : 0);
    ctl_paint(out, style, CTL_DIM, WEIR_STR("expected   "));
    ctl_sparkline(out, ahead, count, width, most, t->ascii);
    if (count > 0 && ctl_number(expected, "peak", &peak) && ctl_number(expected, "peak_in_s", &in_s))
        weir_textbuf_printf(out, " %.0f in %s\n", peak, ctl_duration(text, in_s));
    else
        weir_textbuf_printf(out, "no forecast\n");
}

/* -- rows, sorted and filtered -- */

struct row {
    const char *name;
    double number;
    json_t *value;
};

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct row *)a)->name, ((const struct row *)b)->name);
}

static int by_number(const void *a, const void *b)
{
    const struct row *x = a, *y = b;
    return x->number > y->number ? -1 : x->number < y->number ? 1 : by_name(a, b);
}

static void sort_rows(const struct ctl_top *t, struct row *rows, size_t count)
{
    qsort(rows, count, sizeof *rows, t->sort == CTL_TOP_BY_NAME ? by_name : by_number);
    for (size_t i = 0; t->reverse && i < count / 2; i++) {
        struct row swapped = rows[i];
        rows[i] = rows[count - 1 - i];
        rows[count - 1 - i] = swapped;
    }
}

static bool passes(const struct ctl_top *t, const char *name)
{
    return t->filter[0] == '\0' || strstr(name, t->filter) != NULL;
}

static void show_nodes(const struct ctl_top *t, struct weir_textbuf *out, const struct ctl_style *style)
{
    const json_t *list = json_object_get(t->nodes, "nodes");
    struct row *rows = calloc(json_array_size(list) + 1, sizeof *rows);
    json_t *sorted = json_array();
    size_t count = 0;
    for (size_t i = 0; rows != NULL && i < json_array_size(list); i++) {
        json_t *node = json_array_get(list, i);
        const char *id = ctl_text(node, "id", "-");
        if (!passes(t, id))
            continue;
        rows[count] = (struct row){.name = id, .value = node};
        ctl_number(json_object_get(node, "load"), sorts[t->sort].node, &rows[count].number);
        count++;
    }
    if (rows != NULL)
        sort_rows(t, rows, count);
    for (size_t i = 0; i < count; i++)
        json_array_append(sorted, rows[i].value);
    ctl_show_nodes(out, style, sorted);
    json_decref(sorted);
    free(rows);
}

static void show_pools(const struct ctl_top *t, struct weir_textbuf *out, const struct ctl_style *style)
{
    json_t *providers = json_object_get(t->pools, "providers"), *p, *sorted = json_object();
    struct row *rows = calloc(json_object_size(providers) + 1, sizeof *rows);
    json_t *answer = t->pools != NULL ? json_copy(t->pools) : json_object(); /* the totals are as they are */
    const char *name;
    size_t count = 0;
    json_object_foreach(providers, name, p)
    {
        if (rows == NULL || !passes(t, name))
            continue;
        rows[count] = (struct row){.name = name, .value = p};
        if (sorts[t->sort].pool != NULL)
            ctl_number(p, sorts[t->sort].pool, &rows[count].number);
        count++;
    }
    if (rows != NULL)
        sort_rows(t, rows, count);
    for (size_t i = 0; i < count; i++)
        json_object_set(sorted, rows[i].name, rows[i].value); /* objects keep their order */
    json_object_set(answer, "providers", sorted);
    if (count > 0)
        ctl_show_pools(out, style, answer);
    else
        weir_textbuf_str(out, "no pools\n");
    json_decref(answer);
    json_decref(sorted);
    free(rows);
}

/* -- all of it -- */

static void show_head(const struct ctl_top *t, struct weir_textbuf *out, const struct ctl_style *style)
{
    const json_t *nodes = json_object_get(t->state, "nodes"), *cluster = json_object_get(t->hints, "cluster");
    const char *leader = ctl_text(json_object_get(t->state, "lead"), "coordinator", NULL);
    double alive, total, epoch;
    char text[512];
    ctl_number(nodes, "alive", &alive);
    ctl_number(nodes, "total", &total);
    ctl_number(t->state, "epoch", &epoch);
    snprintf(text, sizeof text, "weir %s, cluster %s: %.0f of %.0f nodes, map %.0f%s%s%s",
             ctl_text(t->state, "node", "-"), ctl_text(t->state, "cluster", "none"), alive, total, epoch,
             leader != NULL ? ", " : "", leader != NULL ? leader : "", leader != NULL ? " leads" : "");
    ctl_paint(out, style, alive < total ? CTL_WARN : CTL_GOOD, weir_str_of(text));
    if (json_is_true(json_object_get(t->hints, "valid"))) {
        snprintf(text, sizeof text, "  advice: %s", ctl_text(cluster, "action", "-"));
        ctl_paint(out, style, CTL_PLAIN, weir_str_of(text));
    }
    if (ctl_lead_is_gone(t->state))
        ctl_paint(out, style, CTL_BAD, WEIR_STR("  NO COORDINATOR LEADS"));
    if (ctl_store_is_away(t->state))
        ctl_paint(out, style, CTL_BAD, WEIR_STR("  STORE OUT OF REACH"));
    weir_textbuf_char(out, '\n');
    snprintf(text, sizeof text, "by %s%s%s%s%s", ctl_top_sort_text(t->sort), t->reverse ? ", reversed" : "",
             t->filter[0] != '\0' ? ", only *" : "", t->filter, t->filter[0] != '\0' ? "*" : "");
    ctl_paint(out, style, CTL_DIM, weir_str_of(text));
    if (t->trouble[0] != '\0') {
        weir_textbuf_str(out, "  ");
        ctl_paint(out, style, CTL_BAD, weir_str_of(t->trouble));
    }
    weir_textbuf_char(out, '\n');
}

void ctl_top_frame(const struct ctl_top *t, struct weir_textbuf *out, const struct ctl_style *style, unsigned columns)
{
    show_head(t, out, style);
    show_load(t, out, style, columns);
    weir_textbuf_char(out, '\n');
    show_nodes(t, out, style);
    weir_textbuf_char(out, '\n');
    show_pools(t, out, style);
}
