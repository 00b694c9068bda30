/* rebalance: has the coordinator make a round now, and waits for its answer; --dry-run: what that round would move, and
 * why. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/plan.h"
#include "cli/progress.h"
#include "cli/show.h"
#include "cli/verb.h"

#define POLL_MS 200u
/* A coordinator that leads answers within a beat. A wish travels by a push, which may be lost: it is said again. */
#define AGAIN_POLLS 10u
#define POLLS_MAX   50u

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
        ctl_fact(out, style, "plan", CTL_GOOD, "nothing to move: %s", plan->still);
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
    return json_pack("{s:i, s:i, s:i, s:s?, s:o}", "schema", 1, "shard_count", (int)plan->next.map->shard_count,
                     "moves_left", (int)plan->next.moves_left, "why", plan->still, "moves", moves);
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

/* -- a round now -- */

static json_int_t id_of(const json_t *event)
{
    return json_integer_value(json_object_get(event, "id"));
}

/* The newest event's id; 0: there is none. */
static int look_newest(struct ctl_session *s, json_int_t *newest)
{
    json_t *answer;
    int code = ctl_get(s, CTL_EVENTS_ALL, &answer);
    const json_t *events = json_object_get(answer, "events");
    *newest = code == WEIR_EXIT_DONE ? id_of(json_array_get(events, json_array_size(events) - 1)) : 0;
    json_decref(answer);
    return code;
}

/* The answer that came after that event; NULL: none yet. */
static int look_answer(struct ctl_session *s, json_int_t behind, json_t **round)
{
    json_t *answer;
    int code = ctl_get(s, CTL_EVENTS_ALL, &answer);
    const json_t *events = json_object_get(answer, "events");
    *round = NULL;
    for (size_t i = 0; i < json_array_size(events) && *round == NULL; i++) {
        json_t *e = json_array_get(events, i);
        if (id_of(e) > behind && strcmp(ctl_text(e, "event", ""), WEIR_COORD_REBALANCED) == 0)
            *round = json_incref(e);
    }
    json_decref(answer);
    return code;
}

static int wait_for_round(struct ctl_session *s, json_int_t behind, json_t **round)
{
    const struct timespec step = {.tv_nsec = POLL_MS * 1000000L};
    struct ctl_progress progress;
    int code = WEIR_EXIT_DONE;
    *round = NULL;
    ctl_progress_begin(&progress);
    for (unsigned i = 0; i < POLLS_MAX && code == WEIR_EXIT_DONE && *round == NULL; i++) {
        json_t *told = NULL;
        ctl_progress_set(&progress, (double)i / POLLS_MAX, "waits for a coordinator, up to %u s",
                         POLLS_MAX * POLL_MS / 1000);
        if (i % AGAIN_POLLS == 0)
            code = ctl_post(s, "/api/cluster/rebalance", &told);
        json_decref(told);
        nanosleep(&step, NULL);
        if (code == WEIR_EXIT_DONE)
            code = look_answer(s, behind, round);
    }
    ctl_progress_end(&progress);
    if (code == WEIR_EXIT_DONE && *round == NULL)
        code = ctl_complain(WEIR_EXIT_FAILED,
                            "Start weir-coordinator, or look whether one runs: its log, its /health/ready.",
                            "no coordinator has answered for %u s", POLLS_MAX * POLL_MS / 1000);
    return code;
}

/* How many shards each node has, before and after. */
static const json_t *owner_of(const json_t *map, const char *node)
{
    const json_t *owners = json_object_get(map, "owners");
    for (size_t i = 0; i < json_array_size(owners); i++)
        if (strcmp(ctl_text(json_array_get(owners, i), "node", ""), node) == 0)
            return json_array_get(owners, i);
    return NULL;
}

/* One node's; NULL: it had none, or has none. */
static void show_part(struct ctl_table *t, const json_t *was, const json_t *is)
{
    ctl_text_cell(t, CTL_PLAIN, is != NULL ? is : was, "node");
    ctl_number_cell(t, was, "count");
    ctl_number_cell(t, is, "count");
}

/* Also those that have none any more. */
static void show_parts(struct weir_textbuf *out, const struct ctl_style *style, const json_t *before,
                       const json_t *after)
{
    static const struct ctl_column columns[] = {
        {"NODE", false, false}, {"SHARDS BEFORE", true, false}, {"NOW", true, false}};
    const json_t *was = json_object_get(before, "owners"), *is = json_object_get(after, "owners");
    struct ctl_table t;
    ctl_table_begin(&t, columns, sizeof columns / sizeof columns[0], style);
    for (size_t i = 0; i < json_array_size(is); i++) {
        const json_t *now = json_array_get(is, i);
        show_part(&t, owner_of(before, ctl_text(now, "node", "")), now);
    }
    for (size_t i = 0; i < json_array_size(was); i++) {
        const json_t *old = json_array_get(was, i);
        if (owner_of(after, ctl_text(old, "node", "")) == NULL)
            show_part(&t, old, NULL);
    }
    ctl_table_end(&t, out);
}

static int put_round(struct ctl_session *s, const json_t *round, const json_t *before, const json_t *after)
{
    struct weir_textbuf text;
    double moves, epoch;
    const char *why = ctl_text(round, "why", NULL);
    ctl_number(round, "moves", &moves);
    ctl_number(round, "epoch", &epoch);
    if (ctl_wants_value(s)) {
        json_t *value = json_pack("{s:i, s:I, s:s?, s:I, s:s}", "schema", 1, "moves", (json_int_t)moves, "why", why,
                                  "epoch", (json_int_t)epoch, "by", ctl_text(round, "by", "-"));
        int code = ctl_put_value(s, value);
        json_decref(value);
        return code;
    }
    weir_textbuf_init(&text, CTL_ANSWER_BYTES_MAX);
    if (moves > 0) {
        ctl_fact(&text, &s->style, "round", CTL_PLAIN, "%.0f shard%s moved, by %s; epoch %.0f", moves,
                 moves > 1 ? "s" : "", ctl_text(round, "by", "-"), epoch);
        weir_textbuf_char(&text, '\n');
        show_parts(&text, &s->style, before, after);
    } else {
        ctl_fact(&text, &s->style, "round", CTL_GOOD, "nothing to move, says %s: %s; epoch %.0f",
                 ctl_text(round, "by", "-"), why != NULL ? why : "it does not say why", epoch);
    }
    return ctl_put(s, &text);
}

/* The map as this node has it, once it is the round's or a later one. */
static int look_at_map(struct ctl_session *s, const json_t *round, json_t **after)
{
    const struct timespec step = {.tv_nsec = POLL_MS * 1000000L};
    double wanted, epoch = 0;
    int code = WEIR_EXIT_DONE;
    ctl_number(round, "epoch", &wanted);
    *after = NULL;
    for (unsigned i = 0; i < POLLS_MAX && code == WEIR_EXIT_DONE; i++) {
        json_decref(*after);
        code = ctl_get(s, ctl_verbs[CTL_SHARDS].page, after);
        ctl_number(*after, "epoch", &epoch);
        if (epoch >= wanted)
            break;
        nanosleep(&step, NULL);
    }
    return code;
}

static int rebalance_now(struct ctl_session *s)
{
    json_t *before = NULL, *after = NULL, *round = NULL;
    json_int_t newest;
    if (s->options->redis != NULL)
        return ctl_complain(WEIR_EXIT_USAGE, "Ask a node: --node URL.", "a round is asked for at a node");
    int code = ctl_get(s, ctl_verbs[CTL_SHARDS].page, &before);
    if (code == WEIR_EXIT_DONE)
        code = look_newest(s, &newest);
    if (code == WEIR_EXIT_DONE)
        code = wait_for_round(s, newest, &round);
    if (code == WEIR_EXIT_DONE)
        code = look_at_map(s, round, &after);
    if (code == WEIR_EXIT_DONE)
        code = put_round(s, round, before, after);
    json_decref(before);
    json_decref(after);
    json_decref(round);
    return code;
}

/* -- the plan -- */

static int foresee(struct ctl_session *s)
{
    json_t *nodes = NULL, *map = NULL;
    struct ctl_plan plan;
    struct weir_err err = {0};
    int code = ctl_get(s, ctl_verbs[CTL_NODES].page, &nodes);
    if (code == WEIR_EXIT_DONE)
        code = ctl_get(s, CTL_MAP_PAGE, &map);
    if (code == WEIR_EXIT_DONE) {
        if (ctl_plan_make(&plan, nodes, map, &err) == 0) {
            code = put_plan(s, &plan);
            ctl_plan_close(&plan);
        } else {
            code = ctl_complain(WEIR_EXIT_FAILED, NULL, "no plan for what the node at %s shows: %s", s->options->node,
                                err.msg);
        }
    }
    json_decref(nodes);
    json_decref(map);
    return code;
}

int ctl_run_rebalance(struct ctl_session *s)
{
    return s->options->dry_run ? foresee(s) : rebalance_now(s);
}
