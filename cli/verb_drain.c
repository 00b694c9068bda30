/* drain and undrain: a node's shards go to the others, or it takes part again. Any node of the cluster can be asked for
 * any other. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cli/progress.h"
#include "cli/query.h"
#include "cli/show.h"
#include "cli/verb.h"

#define POLL_MS 250u
/* A wish travels by a push, which may be lost: it is said again after this. */
#define AGAIN_MS 3000u
/* A node's load is known to others a second or two late: it is empty when it has been so for this long. */
#define EMPTY_MS 3000u

struct draining {
    struct ctl_session *s;
    const char *node;
    bool on;        /* drain, not undrain */
    char page[512]; /* that is posted to */
    /* As it was seen last. */
    char state[16];
    double shards, in_flight, shards_first;
};

static uint64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void pause_ms(unsigned ms)
{
    const struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    nanosleep(&t, NULL);
}

/* Names those that there are. */
static int complain_of_node(const struct draining *d, const json_t *nodes)
{
    char known[512] = "";
    size_t len = 0;
    for (size_t i = 0; i < json_array_size(nodes) && len < sizeof known - 1; i++) {
        const json_t *node = json_array_get(nodes, i);
        if (json_is_true(json_object_get(node, "alive")))
            len += (size_t)snprintf(known + len, sizeof known - len, "%s%s", len > 0 ? ", " : "",
                                    ctl_text(node, "id", "-"));
    }
    return ctl_complain(WEIR_EXIT_FAILED, "weirctl nodes lists them.", "no living node has the id %s; there are %s",
                        d->node, known);
}

/* Looks at the node; an exit code. */
static int look(struct draining *d)
{
    json_t *answer;
    const json_t *row = NULL;
    int code = ctl_get(d->s, ctl_verbs[CTL_NODES].page, &answer);
    if (code != WEIR_EXIT_DONE)
        return code;
    const json_t *nodes = json_object_get(answer, "nodes");
    for (size_t i = 0; i < json_array_size(nodes); i++)
        if (strcmp(ctl_text(json_array_get(nodes, i), "id", ""), d->node) == 0)
            row = json_array_get(nodes, i);
    if (row == NULL || !json_is_true(json_object_get(row, "alive"))) {
        code = complain_of_node(d, nodes);
    } else {
        snprintf(d->state, sizeof d->state, "%s", ctl_text(row, "state", "-"));
        ctl_number(row, "shards", &d->shards);
        ctl_number(json_object_get(row, "load"), "in_flight", &d->in_flight);
    }
    json_decref(answer);
    return code;
}

static int say(const struct draining *d)
{
    json_t *answer;
    int code = ctl_post(d->s, d->page, &answer);
    json_decref(answer);
    return code;
}

/* Until the node itself says so to all. */
static int wait_state(struct draining *d)
{
    const char *wanted = d->on ? "draining" : "active";
    const uint64_t begin = now_ms();
    uint64_t said = begin;
    for (;;) {
        int code = look(d);
        if (code != WEIR_EXIT_DONE || strcmp(d->state, wanted) == 0)
            return code;
        uint64_t now = now_ms();
        if (now - begin > d->s->options->timeout_ms + AGAIN_MS)
            return ctl_complain(WEIR_EXIT_UNREACHABLE, "Ask it itself, with --node and its own URL.",
                                "node %s was asked, and is still %s", d->node, d->state);
        if (now - said > AGAIN_MS) {
            code = say(d);
            if (code != WEIR_EXIT_DONE)
                return code;
            said = now;
        }
        pause_ms(POLL_MS);
    }
}

static int wait_empty(struct draining *d)
{
    struct ctl_progress bar;
    uint64_t empty_since = 0;
    double first = d->shards_first + d->in_flight;
    int code = WEIR_EXIT_DONE;
    ctl_progress_begin(&bar);
    for (;;) {
        double left = d->shards + d->in_flight;
        uint64_t now = now_ms();
        first = left > first ? left : first;
        ctl_progress_set(&bar, first > 0 ? 1 - left / first : 1, "%s: %.0f shards, %.0f requests left", d->node,
                         d->shards, d->in_flight);
        empty_since = left > 0 ? 0 : empty_since == 0 ? now : empty_since;
        if (empty_since != 0 && now - empty_since >= EMPTY_MS)
            break;
        pause_ms(POLL_MS);
        code = look(d);
        if (code == WEIR_EXIT_DONE && strcmp(d->state, "draining") != 0)
            code = ctl_complain(WEIR_EXIT_FAILED, NULL, "node %s is %s: somebody has taken the drain back", d->node,
                                d->state);
        if (code != WEIR_EXIT_DONE)
            break;
    }
    ctl_progress_end(&bar);
    return code;
}

static int put_outcome(struct draining *d)
{
    struct ctl_session *s = d->s;
    if (ctl_wants_value(s)) {
        json_t *value = json_pack("{s:i, s:s, s:s, s:I, s:I}", "schema", 1, "node", d->node, "state", d->state,
                                  "shards", (json_int_t)d->shards, "in_flight", (json_int_t)d->in_flight);
        int code = ctl_put_value(s, value);
        json_decref(value);
        return code;
    }
    struct weir_textbuf text;
    weir_textbuf_init(&text, CTL_ANSWER_BYTES_MAX);
    if (!d->on)
        weir_textbuf_printf(&text, "%s takes part again\n", d->node);
    else if (d->s->options->wait)
        weir_textbuf_printf(&text, "%s has drained: no shards, no requests\n", d->node);
    else /* a load is told a second or two late */
        weir_textbuf_printf(&text, "%s drains: it has %.0f shards and %.0f requests still, as it has told last\n",
                            d->node, d->shards, d->in_flight);
    return ctl_put(s, &text);
}

static int run(struct ctl_session *s, bool on)
{
    struct draining d = {.s = s, .node = s->options->arguments[0], .on = on};
    if (!ctl_query(d.page, sizeof d.page, on ? "/api/node/drain?node=" : "/api/node/undrain?node=", d.node))
        return ctl_complain(WEIR_EXIT_USAGE, NULL, "%.100s...: no node's id is that long", d.node);
    int code = look(&d);
    d.shards_first = d.shards;
    if (code == WEIR_EXIT_DONE)
        code = say(&d);
    if (code == WEIR_EXIT_DONE)
        code = wait_state(&d);
    if (code == WEIR_EXIT_DONE && on && s->options->wait)
        code = wait_empty(&d);
    return code == WEIR_EXIT_DONE ? put_outcome(&d) : code;
}

int ctl_run_drain(struct ctl_session *s)
{
    return run(s, true);
}

int ctl_run_undrain(struct ctl_session *s)
{
    return run(s, false);
}
