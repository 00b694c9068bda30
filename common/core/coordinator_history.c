#include "core/coordinator_history.h"

#include <stdlib.h>
#include <string.h>

#include "core/coordinator_history_inner.h"
#include "core/saturate.h"

#define NEVER UINT64_MAX
/* After a question that failed. */
#define AGAIN_MS UINT64_C(1000)
/* Records that are read at once. Each may end a slot, and what follows from that is all under way before more are read:
 * a store takes no more calls than it has room for (WEIR_STORE_CALLS_MAX). */
#define LOADS_AT_ONCE 32u
/* An answer to FOLD that never comes is waited for no longer. */
#define FOLDS_MS UINT64_C(5000)

/* -- life -- */

static void forget(struct weir_coordinator_history *h)
{
    weir_load_history_free(&h->loads);
    weir_load_forecast_free(&h->forecast);
    h->stage = HISTORY_IDLE;
    h->request = h->advise_request = 0;
    h->folds_open = 0;
    h->due_ms = NEVER;
    h->made = h->published_any = false;
}

int weir_coordinator_history_new(struct weir_coordinator_history **out, const char *id,
                                 const struct weir_coordinator_history_config *c,
                                 const struct weir_coordinator_history_ports *ports, struct weir_err *err)
{
    struct weir_coordinator_history *h = calloc(1, sizeof *h);
    *out = h;
    if (h == NULL)
        return weir_err_set(err, WEIR_ENOMEM, "the load history: out of memory");
    h->id = id;
    h->config = *c;
    h->ports = *ports;
    forget(h);
    return 0;
}

void weir_coordinator_history_free(struct weir_coordinator_history **h)
{
    if (*h == NULL)
        return;
    forget(*h);
    free(*h);
    *h = NULL;
}

static void set_time(struct weir_coordinator_history *h, uint64_t now_ms)
{
    h->now_ms = now_ms;
    h->store_ms = weir_shift_ms(now_ms, h->offset_ms);
}

static uint64_t step_ms(const struct weir_coordinator_history *h, enum weir_load_step step)
{
    return h->config.advisor.slot_ms * weir_load_step_slots(step);
}

/* -- what the history hands out -- */

static void fold(struct weir_coordinator_history *h, enum weir_load_step step, const struct weir_load_record *r)
{
    struct weir_textbuf text;
    weir_textbuf_init(&text, WEIR_LOAD_RECORD_TEXT_MAX);
    (void)weir_load_record_print(&text, r);
    struct weir_coord_request request = {.op = WEIR_COORD_FOLD,
                                         .fold = {.id = h->id,
                                                  .token = h->token,
                                                  .step = (uint32_t)step,
                                                  .step_ms = (uint32_t)step_ms(h, step),
                                                  .number = r->slot,
                                                  .text = {text.ptr, text.len}}};
    if (text.failed || h->ports.send(h->ports.arg, h->now_ms, &request) == 0)
        h->fold_failures++;
    else
        h->folds_open++;
    weir_textbuf_close(&text);
}

static void take_step(struct weir_coordinator_history *h, enum weir_load_step step, const struct weir_load_record *r)
{
    if (step == weir_load_forecast_step(h->forecast))
        (void)weir_load_forecast_push(h->forecast, r);
    weir_load_patterns_take(&h->patterns, step, r);
    if (step == WEIR_LOAD_SLOT)
        h->last = *r;
}

static void closed(void *arg, enum weir_load_step step, const struct weir_load_record *r)
{
    struct weir_coordinator_history *h = arg;
    take_step(h, step, r);
    fold(h, step, r);
}

/* -- questions -- */

static void begin(struct weir_coordinator_history *h, uint64_t now_ms)
{
    const struct weir_advisor_config *c = &h->config.advisor;
    forget(h);
    if (h->token == 0 || !h->config.history)
        return;
    h->loads = weir_load_history_new(c->slot_ms, closed, h);
    h->forecast = weir_load_forecast_new(c->slot_ms, c->window_ms);
    if (h->loads == NULL || h->forecast == NULL) {
        forget(h);
        h->due_ms = now_ms + AGAIN_MS;
        return;
    }
    weir_load_patterns_init(&h->patterns, c->slot_ms);
    weir_advisor_init(&h->advisor, c);
    memset(&h->last, 0, sizeof h->last);
    h->analytics_slot = 0;
    h->stage = HISTORY_ADVICE;
    h->due_ms = now_ms;
}

static void ask(struct weir_coordinator_history *h, uint64_t now_ms)
{
    struct weir_coord_request request = {.op = WEIR_COORD_ADVICE};
    if (h->stage == HISTORY_SERIES) {
        request.op = WEIR_COORD_SERIES;
        request.series =
            (struct weir_coord_series){.step = (uint32_t)h->step, .after = h->after, .count = WEIR_COORD_ENTRIES_MAX};
    } else if (h->stage == HISTORY_LIVE) {
        request.op = WEIR_COORD_LOADS;
        request.loads = (struct weir_coord_loads){.after = h->after, .count = LOADS_AT_ONCE};
    }
    h->folds_open = 0;
    h->request = h->ports.send(h->ports.arg, now_ms, &request);
    h->due_ms = h->request != 0 ? NEVER : now_ms + AGAIN_MS;
}

static void advice_reply(struct weir_coordinator_history *h, const struct weir_coord_advice_reply *r)
{
    uint32_t desired;
    uint64_t since_ms;
    h->advice_version = r->version;
    if (r->hints.len > 0 && weir_hints_parse_advice(r->hints, &desired, &since_ms))
        weir_advisor_recall(&h->advisor, desired, since_ms);
    h->stage = HISTORY_SERIES;
    h->step = WEIR_LOAD_TEN_MINUTES;
    h->after = 0;
}

static void series_reply(struct weir_coordinator_history *h, const struct weir_coord_entries_reply *r)
{
    struct weir_err err;
    for (uint32_t i = 0; i < r->count && r->step_ms == step_ms(h, h->step); i++) {
        if (weir_load_record_parse(&h->scratch, r->at[i].text, &err) != 0 || h->scratch.slot != r->at[i].id)
            h->unreadable++;
        else if (weir_load_history_replay(h->loads, h->store_ms, h->step, &h->scratch))
            take_step(h, h->step, &h->scratch);
    }
    h->after = r->upto;
    if (r->upto < r->newest)
        return;
    h->after = 0;
    if (h->step == WEIR_LOAD_SLOT)
        h->stage = HISTORY_LIVE;
    else
        h->step--;
}

/* The store's clock was set back behind slots that are closed: nodes tell of earlier ones, which would all be late. */
static bool is_ahead(const struct weir_coordinator_history *h)
{
    uint64_t last = weir_load_history_last(h->loads, WEIR_LOAD_SLOT);
    return last != UINT64_MAX && last > h->store_ms / h->config.advisor.slot_ms;
}

static void loads_reply(struct weir_coordinator_history *h, uint64_t now_ms, const struct weir_coord_entries_reply *r)
{
    struct weir_err err;
    if (is_ahead(h)) {
        begin(h, now_ms);
        return;
    }
    for (uint32_t i = 0; i < r->count; i++) {
        if (weir_load_record_parse(&h->scratch, r->at[i].text, &err) != 0 || h->scratch.node[0] == '\0' ||
            h->scratch.nodes != 1)
            h->unreadable++;
        else
            weir_load_history_take(h->loads, h->store_ms, &h->scratch);
    }
    h->after = r->upto;
    if (r->upto < r->newest)
        return; /* there are more */
    weir_load_history_tick(h->loads, h->store_ms);
    weir_history_advise(h, now_ms);
    h->due_ms = now_ms + (weir_load_history_deadline_ms(h->loads, h->store_ms) - h->store_ms);
}

static bool fold_reply(struct weir_coordinator_history *h, const struct weir_coord_reply *r)
{
    h->folds_open -= h->folds_open > 0;
    h->folded += r->word == WEIR_COORD_OK;
    h->fold_failures += r->word != WEIR_COORD_OK;
    return r->word != WEIR_COORD_STALE;
}

/* When to ask next. */
static uint64_t due(const struct weir_coordinator_history *h)
{
    if (h->token == 0 || h->request != 0 || h->due_ms == NEVER)
        return NEVER;
    return h->folds_open > 0 ? h->due_ms + FOLDS_MS : h->due_ms;
}

/* -- events -- */

void weir_coordinator_history_set(struct weir_coordinator_history *h, const struct weir_coordinator_history_config *c)
{
    const struct weir_advisor_config *before = &h->config.advisor, *is = &c->advisor;
    bool same = h->config.history == c->history && before->slot_ms == is->slot_ms && before->window_ms == is->window_ms;
    h->published_any = h->published_any && h->config.hints == c->hints; /* that there are none now is news */
    h->config = *c;
    weir_advisor_set(&h->advisor, is);
    if (!same) {
        forget(h);
        h->due_ms = h->token != 0 && c->history ? 0 : NEVER;
    }
}

void weir_coordinator_history_lead(struct weir_coordinator_history *h, uint64_t now_ms, uint64_t token)
{
    h->token = token;
    begin(h, now_ms);
}

void weir_coordinator_history_tick(struct weir_coordinator_history *h, uint64_t now_ms, int64_t offset_ms,
                                   uint32_t nodes, bool sure)
{
    h->offset_ms = offset_ms;
    h->nodes = nodes;
    h->sure = sure;
    set_time(h, now_ms);
    if (due(h) > now_ms)
        return;
    if (h->stage == HISTORY_IDLE)
        begin(h, now_ms);
    if (h->stage != HISTORY_IDLE)
        ask(h, now_ms);
}

uint64_t weir_coordinator_history_deadline_ms(const struct weir_coordinator_history *h)
{
    return due(h);
}

bool weir_coordinator_history_reply(struct weir_coordinator_history *h, uint64_t now_ms,
                                    const struct weir_coord_reply *r)
{
    set_time(h, now_ms);
    if (h->token == 0 || h->stage == HISTORY_IDLE)
        return true;
    if (r->op == WEIR_COORD_FOLD)
        return fold_reply(h, r);
    if (r->op == WEIR_COORD_ADVISE)
        return weir_history_advised(h, r);
    if (r->id != h->request)
        return true;
    h->request = 0;
    h->due_ms = now_ms;
    if (r->word != WEIR_COORD_OK)
        h->due_ms = now_ms + AGAIN_MS;
    else if (r->op == WEIR_COORD_ADVICE)
        advice_reply(h, &r->advice);
    else if (r->op == WEIR_COORD_SERIES)
        series_reply(h, &r->entries);
    else if (r->op == WEIR_COORD_LOADS)
        loads_reply(h, now_ms, &r->entries);
    return true;
}

struct weir_coordinator_history_look weir_coordinator_history_look(const struct weir_coordinator_history *h)
{
    struct weir_coordinator_history_look look = {.on = h->stage == HISTORY_LIVE,
                                                 .hints = h->made ? &h->hints : NULL,
                                                 .folded = h->folded,
                                                 .fold_failures = h->fold_failures,
                                                 .advised = h->advised,
                                                 .unreadable = h->unreadable};
    if (h->stage != HISTORY_IDLE) {
        look.seen = weir_load_forecast_seen(h->forecast);
        look.step_ms = weir_load_forecast_step_ms(h->forecast);
        look.records = weir_load_history_counts(h->loads);
    }
    return look;
}
