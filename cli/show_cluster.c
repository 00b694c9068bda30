/* The cluster: status, nodes, shards. */
#include <stdio.h>

#include "cli/show.h"

/* Ranges of a node's shards in a narrow table; `wide` shows all. */
#define RANGES_SHOWN 3u
/* Between two beats of a node that is well there is a second (as in dashboard/model.js). */
#define SILENT_MS 2500

static void show_store(struct weir_textbuf *out, const struct ctl_style *style, const json_t *s)
{
    const char *store = ctl_text(s, "store", "-"), *refused = ctl_text(s, "refused", NULL);
    bool contact = json_is_true(json_object_get(s, "contact"));
    const char *since = ctl_text(s, "since", NULL), *why = ctl_text(s, "store_error", NULL);
    ctl_fact(out, style, "store", contact ? CTL_PLAIN : CTL_BAD, "%s, %s%s%s%s%s", store,
             contact ? "in contact" : "OUT OF REACH", since != NULL ? " since " : "", since != NULL ? since : "",
             why != NULL ? ": " : "", why != NULL ? why : "");
    if (refused != NULL)
        ctl_fact(out, style, "membership", CTL_BAD, "REFUSED by the store: %s", refused);
}

static void show_map(struct weir_textbuf *out, const struct ctl_style *style, const json_t *s)
{
    double shards, owned, epoch;
    ctl_number(s, "shard_count", &shards);
    ctl_number(s, "owned", &owned);
    ctl_number(s, "epoch", &epoch);
    if (json_is_string(json_object_get(s, "node")))
        ctl_fact(out, style, "shards", CTL_PLAIN, "%.0f, of which this node owns %.0f", shards, owned);
    else
        ctl_fact(out, style, "shards", CTL_PLAIN, "%.0f", shards);
    if (epoch > 0)
        ctl_fact(out, style, "map", CTL_PLAIN, "epoch %.0f, by coordinator %s", epoch, ctl_text(s, "leader", "-"));
    else
        ctl_fact(out, style, "map", CTL_WARN, "the members' own: no coordinator has published one");
}

/* Who leads now; the map may be another one's. */
static void show_lead(struct weir_textbuf *out, const struct ctl_style *style, const json_t *s)
{
    const json_t *lead = json_object_get(s, "lead");
    const char *coordinator = ctl_text(lead, "coordinator", NULL);
    char left[CTL_DURATION_MAX];
    double seconds;
    ctl_number(lead, "lease_seconds", &seconds);
    if (lead == NULL) /* a node of before it was told */
        return;
    if (!json_is_object(lead))
        ctl_fact(out, style, "coordinator", CTL_WARN, "not known without contact to the store");
    else if (ctl_lead_is_gone(s))
        ctl_fact(out, style, "coordinator", CTL_BAD, "no coordinator leads: the map stays as it is");
    else if (coordinator == NULL)
        ctl_fact(out, style, "coordinator", CTL_PLAIN, "none has led yet");
    else if (seconds > 0)
        ctl_fact(out, style, "coordinator", CTL_PLAIN, "%s leads; its lease runs for %s unless renewed", coordinator,
                 ctl_duration(left, seconds));
    else
        ctl_fact(out, style, "coordinator", CTL_PLAIN, "%s leads", coordinator);
}

void ctl_show_status(struct weir_textbuf *out, const struct ctl_style *style, const json_t *s)
{
    const json_t *nodes = json_object_get(s, "nodes");
    const char *cluster = ctl_text(s, "cluster", NULL), *state = ctl_text(s, "state", "-");
    double alive, total;
    bool of_node = json_is_string(json_object_get(s, "node")); /* else the store itself was asked */
    if (of_node)
        ctl_fact(out, style, "node", strcmp(state, "active") == 0 ? CTL_PLAIN : CTL_WARN, "%s (%s, version %s)",
                 ctl_text(s, "node", "-"), state, ctl_text(s, "version", "-"));
    if (cluster == NULL) {
        ctl_fact(out, style, "cluster", CTL_PLAIN, "none: distributed_pool is not enabled");
        return;
    }
    ctl_fact(out, style, "cluster", CTL_PLAIN, "%s", cluster);
    show_store(out, style, s);
    ctl_number(nodes, "alive", &alive);
    ctl_number(nodes, "total", &total);
    ctl_fact(out, style, "nodes", alive < total ? CTL_WARN : CTL_GOOD, "%.0f of %.0f alive", alive, total);
    show_map(out, style, s);
    show_lead(out, style, s);
    if (of_node)
        ctl_fact(out, style, "affinity", CTL_PLAIN, "%s, pool sharding %s", ctl_text(s, "mode", "-"),
                 json_is_true(json_object_get(s, "pool_sharding")) ? "on" : "off");
}

/* -- nodes -- */

/* What it is, in a word: as stateOf() of dashboard/model.js has it. */
static void add_state(struct ctl_table *t, const json_t *n, bool silent)
{
    const char *state = ctl_text(n, "state", "-");
    if (!json_is_true(json_object_get(n, "alive")))
        ctl_table_cell(t, CTL_BAD, "lost");
    else if (json_is_true(json_object_get(n, "suspect")))
        ctl_table_cell(t, CTL_WARN, "unreachable");
    else if (silent)
        ctl_table_cell(t, CTL_WARN, "silent");
    else
        ctl_table_cell(t, strcmp(state, "active") == 0 ? CTL_GOOD : CTL_WARN, "%s", state);
}

static void add_node(struct ctl_table *t, const json_t *n)
{
    bool self = json_is_true(json_object_get(n, "self")), alive = json_is_true(json_object_get(n, "alive"));
    const json_t *load = alive ? json_object_get(n, "load") : NULL; /* what the lost said last is no news */
    double age_ms, utilization, lag_us;
    char age[CTL_DURATION_MAX];
    bool silent = ctl_number(n, "age_ms", &age_ms) && (age_ms > SILENT_MS || !alive);
    ctl_table_cell(t, CTL_PLAIN, "%s%s", ctl_text(n, "id", "-"), self ? " *" : "");
    add_state(t, n, silent);
    ctl_text_cell(t, CTL_PLAIN, n, "advertise");
    ctl_text_cell(t, CTL_PLAIN, n, "version");
    ctl_number_cell(t, n, "weight");
    ctl_number_cell(t, n, "shards");
    ctl_number_cell(t, load, "in_flight");
    ctl_number_cell(t, load, "connections");
    ctl_number_cell(t, load, "requests_per_second");
    ctl_number_cell(t, load, "errors_per_second");
    ctl_number(load, "utilization_percent", &utilization);
    ctl_decimal_cell(t, ctl_tone_of_use(utilization), load, "utilization_percent", 0, "%");
    if (ctl_number(load, "loop_lag_us", &lag_us))
        ctl_table_cell(t, CTL_PLAIN, "%.1f ms", lag_us / 1000);
    else
        ctl_table_cell(t, CTL_PLAIN, "-");
    if (silent) /* of who is heard it is no news */
        ctl_table_cell(t, CTL_PLAIN, "%s", ctl_duration(age, age_ms / 1000));
    else
        ctl_table_cell(t, CTL_PLAIN, "%s", "");
}

void ctl_show_nodes(struct weir_textbuf *out, const struct ctl_style *style, const json_t *nodes)
{
    static const struct ctl_column columns[] = {
        {"NODE", false, false},     {"STATE", false, false}, {"ADDRESS", false, true},   {"VERSION", false, true},
        {"WEIGHT", true, true},     {"SHARDS", true, false}, {"IN FLIGHT", true, false}, {"CONNECTIONS", true, true},
        {"REQ/S", true, false},     {"ERR/S", true, false},  {"POOL", true, false},      {"LAG", true, true},
        {"SILENT FOR", true, false}};
    struct ctl_table t;
    ctl_table_begin(&t, columns, sizeof columns / sizeof columns[0], style);
    for (size_t i = 0; i < json_array_size(nodes); i++)
        add_node(&t, json_array_get(nodes, i));
    ctl_table_end(&t, out);
}

/* -- shards -- */

/* "0-340, 512, 600-611"; false: cut. */
static bool print_ranges(struct weir_textbuf *text, const json_t *ranges, size_t shown)
{
    size_t count = json_array_size(ranges);
    for (size_t i = 0; i < count && i < shown; i++) {
        const json_t *range = json_array_get(ranges, i);
        json_int_t first = json_integer_value(json_array_get(range, 0)),
                   last = json_integer_value(json_array_get(range, 1));
        weir_textbuf_str(text, i > 0 ? ", " : "");
        weir_textbuf_printf(text, first == last ? "%lld" : "%lld-%lld", (long long)first, (long long)last);
    }
    return count <= shown;
}

static void add_owner(struct ctl_table *t, const json_t *owner, double shard_count)
{
    const json_t *ranges = json_object_get(owner, "ranges");
    struct weir_textbuf text;
    double count;
    ctl_text_cell(t, CTL_PLAIN, owner, "node");
    ctl_number_cell(t, owner, "count");
    if (ctl_number(owner, "count", &count) && shard_count > 0)
        ctl_table_cell(t, CTL_PLAIN, "%.1f%%", 100 * count / shard_count);
    else
        ctl_table_cell(t, CTL_PLAIN, "-");
    weir_textbuf_init(&text, CTL_CELL_BYTES_MAX);
    if (!print_ranges(&text, ranges, RANGES_SHOWN))
        weir_textbuf_printf(&text, " and %zu more", json_array_size(ranges) - RANGES_SHOWN);
    ctl_table_cell(t, CTL_DIM, "%.*s", (int)text.len, text.len > 0 ? text.ptr : "");
    t->failed = t->failed || text.failed;
    weir_textbuf_close(&text);
}

static void list_all(struct weir_textbuf *out, const struct ctl_style *style, const json_t *owners)
{
    for (size_t i = 0; i < json_array_size(owners); i++) {
        const json_t *owner = json_array_get(owners, i);
        weir_textbuf_char(out, '\n');
        ctl_paint(out, style, CTL_DIM, weir_str_of(ctl_text(owner, "node", "-")));
        weir_textbuf_str(out, ": ");
        print_ranges(out, json_object_get(owner, "ranges"), SIZE_MAX);
        weir_textbuf_char(out, '\n');
    }
}

void ctl_show_shards(struct weir_textbuf *out, const struct ctl_style *style, const json_t *answer)
{
    static const struct ctl_column columns[] = {
        {"NODE", false, false}, {"SHARDS", true, false}, {"SHARE", true, false}, {"RANGES", false, false}};
    const json_t *owners = json_object_get(answer, "owners");
    struct ctl_table t;
    double shard_count, epoch;
    if (!ctl_number(answer, "shard_count", &shard_count) || shard_count == 0) {
        weir_textbuf_str(out, "no shards: the node is alone\n");
        return;
    }
    if (ctl_number(answer, "epoch", &epoch) && epoch > 0)
        ctl_fact(out, style, "map", CTL_PLAIN, "%.0f shards, epoch %.0f, by coordinator %s", shard_count, epoch,
                 ctl_text(answer, "leader", "-"));
    else
        ctl_fact(out, style, "map", CTL_PLAIN, "%.0f shards, the members' own", shard_count);
    weir_textbuf_char(out, '\n');
    ctl_table_begin(&t, columns, sizeof columns / sizeof columns[0], style);
    for (size_t i = 0; i < json_array_size(owners); i++)
        add_owner(&t, json_array_get(owners, i), shard_count);
    ctl_table_end(&t, out);
    if (style->wide)
        list_all(out, style, owners);
}
