/* rebalance --dry-run: what the coordinator would move next, and why. */
#include <stdlib.h>

#include "cli/plan.h"
#include "cli/verb.h"

static const char *const reasons[WEIR_MOVE_REASONS] = {
    [WEIR_MOVE_UNOWNED] = "nobody owns it",
    [WEIR_MOVE_LOST] = "its owner is gone",
    [WEIR_MOVE_DRAINING] = "its owner is draining",
    [WEIR_MOVE_QUOTA] = "its owner holds more than its part",
    [WEIR_MOVE_LOAD] = "its owner carries more than the others",
};

/* -- moves of one kind, counted -- */

static int by_kind(const void *a, const void *b)
{
    const struct weir_shard_move *x = a, *y = b;
    int keys[] = {x->from - y->from, x->to - y->to, (int)x->reason - (int)y->reason};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        if (keys[i] != 0)
            return keys[i];
    return x->shard < y->shard ? -1 : 1;
}

static void show_sums(struct weir_textbuf *out, const struct ctl_style *style, struct ctl_plan *plan)
{
    static const struct ctl_column columns[] = {
        {"FROM", false, false}, {"TO", false, false}, {"SHARDS", true, false}, {"WHY", false, false}};
    struct weir_shard_move *moves = plan->next.moves;
    struct ctl_table t;
    qsort(moves, plan->next.move_count, sizeof *moves, by_kind);
    ctl_table_begin(&t, columns, sizeof columns / sizeof columns[0], style);
    for (uint32_t i = 0, n; i < plan->next.move_count; i += n) {
        const struct weir_shard_move *m = &moves[i];
        for (n = 1; i + n < plan->next.move_count; n++)
            if (moves[i + n].from != m->from || moves[i + n].to != m->to || moves[i + n].reason != m->reason)
                break;
        ctl_table_cell(&t, CTL_PLAIN, "%s", ctl_plan_from(plan, m));
        ctl_table_cell(&t, CTL_PLAIN, "%s", ctl_plan_to(plan, m));
        ctl_table_cell(&t, CTL_PLAIN, "%u", n);
        ctl_table_cell(&t, CTL_PLAIN, "%s", reasons[m->reason]);
    }
    ctl_table_end(&t, out);
}

static void show_each(struct weir_textbuf *out, const struct ctl_style *style, const struct ctl_plan *plan)
{
    static const struct ctl_column columns[] = {
        {"SHARD", true, false}, {"FROM", false, false}, {"TO", false, false}, {"WHY", false, false}};
    struct ctl_table t;
    ctl_table_begin(&t, columns, sizeof columns / sizeof columns[0], style);
    for (uint32_t i = 0; i < plan->next.move_count; i++) {
        const struct weir_shard_move *m = &plan->next.moves[i];
        ctl_table_cell(&t, CTL_PLAIN, "%u", m->shard);
        ctl_table_cell(&t, CTL_PLAIN, "%s", ctl_plan_from(plan, m));
        ctl_table_cell(&t, CTL_PLAIN, "%s", ctl_plan_to(plan, m));
        ctl_table_cell(&t, CTL_PLAIN, "%s", reasons[m->reason]);
    }
    ctl_table_end(&t, out);
}

static void show_plan(struct weir_textbuf *out, const struct ctl_style *style, struct ctl_plan *plan)
{
    const struct weir_rebalance_plan *next = &plan->next;
    if (next->move_count == 0) {
        ctl_fact(out, style, "plan", CTL_GOOD, "nothing to move: %u shards on %u nodes", next->map->shard_count,
                 next->map->node_count);
        return;
    }
    ctl_fact(out, style, "plan", CTL_PLAIN, "%u of %u shards would move; %u in a later round", next->move_count,
             next->map->shard_count, next->moves_left);
    weir_textbuf_char(out, '\n');
    if (style->wide)
        show_each(out, style, plan);
    else
        show_sums(out, style, plan);
}

static json_t *value_of(const struct ctl_plan *plan)
{
    json_t *moves = json_array();
    for (uint32_t i = 0; i < plan->next.move_count; i++) {
        const struct weir_shard_move *m = &plan->next.moves[i];
        const char *from = m->from == WEIR_NODE_NOBODY ? NULL : ctl_plan_from(plan, m);
        json_array_append_new(moves, json_pack("{s:i, s:s?, s:s, s:s}", "shard", (int)m->shard, "from", from, "to",
                                               ctl_plan_to(plan, m), "reason", weir_move_reason_text(m->reason)));
    }
    return json_pack("{s:i, s:i, s:i, s:o}", "schema", 1, "shard_count", (int)plan->next.map->shard_count, "moves_left",
                     (int)plan->next.moves_left, "moves", moves);
}

static int put_plan(struct ctl_session *s, struct ctl_plan *plan)
{
    struct weir_textbuf text;
    if (ctl_wants_value(s)) {
        json_t *value = value_of(plan);
        int code = value != NULL ? ctl_put_value(s, value) : ctl_complain(WEIR_EXIT_FAILED, NULL, "out of memory");
        json_decref(value);
        return code;
    }
    weir_textbuf_init(&text, CTL_ANSWER_BYTES_MAX);
    show_plan(&text, &s->style, plan);
    return ctl_put(s, &text);
}

int ctl_run_rebalance(struct ctl_session *s)
{
    json_t *nodes = NULL, *shards = NULL;
    struct ctl_plan plan;
    struct weir_err err = {0};
    if (!s->options->dry_run)
        return ctl_complain(WEIR_EXIT_USAGE, "rebalance --dry-run shows what it will do next.",
                            "the leading coordinator moves shards by itself, as soon as nodes come, go or drain");
    int code = ctl_get(s, ctl_verbs[CTL_NODES].page, &nodes);
    if (code == WEIR_EXIT_DONE)
        code = ctl_get(s, ctl_verbs[CTL_SHARDS].page, &shards);
    if (code == WEIR_EXIT_DONE) {
        if (ctl_plan_make(&plan, nodes, shards, &err) == 0) {
            code = put_plan(s, &plan);
            ctl_plan_close(&plan);
        } else {
            code = ctl_complain(WEIR_EXIT_FAILED, NULL, "no plan for what the node at %s shows: %s", s->options->node,
                                err.msg);
        }
    }
    json_decref(nodes);
    json_decref(shards);
    return code;
}
