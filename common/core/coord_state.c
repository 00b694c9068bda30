#include <assert.h>
#include <stdlib.h>

#include "core/coord_impl.h"

/* Of what an event is stored with: {"id":...,"unix_ms":..., */
#define EVENT_HEAD_MAX 64u

struct weir_coord_state *weir_coord_state_new(void)
{
    struct weir_coord_state *s = calloc(1, sizeof *s);
    if (s == NULL)
        return NULL;
    for (size_t i = 0; i < WEIR_COORD_EVENTS_KEPT; i++)
        weir_textbuf_init(&s->events[i], WEIR_COORD_EVENT_MAX + EVENT_HEAD_MAX);
    return s;
}

void weir_coord_state_free(struct weir_coord_state **state)
{
    struct weir_coord_state *s = *state;
    if (s == NULL)
        return;
    *state = NULL;
    free(s->members);
    free(s->members_shown);
    free(s->map.text);
    for (uint32_t i = 0; i < s->circuit_count; i++)
        free(s->circuits[i]);
    free(s->circuits);
    free(s->circuits_shown);
    free(s->buckets);
    for (size_t i = 0; i < WEIR_COORD_EVENTS_KEPT; i++)
        weir_textbuf_close(&s->events[i]);
    weir_coord_stream_clear(&s->loads);
    for (size_t i = 0; i < WEIR_COORD_STEPS; i++)
        weir_coord_stream_clear(&s->series[i]);
    free(s->advice.hints);
    free(s->advice.analytics);
    free(s);
}

/* -- for all parts -- */

void weir_coord_push_out(const struct weir_coord_turn *t, struct weir_coord_push *push)
{
    push->now_us = t->now_us;
    if (t->push != NULL)
        t->push(t->arg, push);
}

void weir_coord_refuse(const struct weir_coord_turn *t, enum weir_coord_word word, const char *why)
{
    t->reply->word = word;
    t->reply->why = why;
}

bool weir_coord_grow(void **array, uint32_t count, uint32_t *cap, size_t element_size)
{
    if (count < *cap)
        return true;
    uint32_t more = *cap > 0 ? *cap * 2 : 8;
    void *moved = realloc(*array, more * element_size);
    if (moved == NULL)
        return false;
    *array = moved;
    *cap = more;
    return true;
}

void weir_coord_copy(char *to, size_t size, const char *text)
{
    size_t n = strlen(text);
    assert(n < size);
    memcpy(to, text, n + 1);
}

/* -- what is told to all -- */

static void checked(const struct weir_coord_turn *t, const struct weir_coord_checked *c)
{
    struct weir_coord_push push = {.kind = WEIR_COORD_PUSH_CHECKED, .checked = *c};
    weir_coord_push_out(t, &push);
}

static void event(const struct weir_coord_turn *t, struct weir_str text)
{
    struct weir_coord_state *s = t->s;
    struct weir_textbuf *b = &s->events[(s->event_last + 1) % WEIR_COORD_EVENTS_KEPT];
    weir_textbuf_close(b);
    weir_textbuf_printf(b, "{\"id\":%llu,\"unix_ms\":%llu%s", (unsigned long long)s->event_last + 1,
                        (unsigned long long)t->now_ms, text.len > 2 ? "," : "");
    weir_textbuf_add(b, text.ptr + 1, text.len - 1);
    if (b->failed) {
        weir_textbuf_close(b);
        weir_coord_refuse(t, WEIR_COORD_REFUSED, "out of memory");
        return;
    }
    s->event_last++;
    struct weir_coord_push push = {.kind = WEIR_COORD_PUSH_EVENT, .event = {b->ptr, b->len}};
    weir_coord_push_out(t, &push);
}

static void events(const struct weir_coord_turn *t, uint32_t count)
{
    struct weir_coord_state *s = t->s;
    uint64_t kept = s->event_last < WEIR_COORD_EVENTS_KEPT ? s->event_last : WEIR_COORD_EVENTS_KEPT;
    uint64_t n = count < kept ? count : kept;
    uint32_t shown = 0;
    for (uint64_t id = s->event_last - n + 1; id <= s->event_last; id++) {
        const struct weir_textbuf *b = &s->events[id % WEIR_COORD_EVENTS_KEPT];
        if (b->len > 0) /* not lost for want of memory */
            s->events_shown[shown++] = (struct weir_str){b->ptr, b->len};
    }
    t->reply->events = (struct weir_coord_events_reply){.count = shown, .at = s->events_shown};
}

static void carry_out(const struct weir_coord_turn *t, const struct weir_coord_request *request)
{
    switch (request->op) {
    case WEIR_COORD_BEAT:
        weir_coord_beat(t, &request->beat);
        break;
    case WEIR_COORD_LEAVE:
        weir_coord_leave(t, request->leave);
        break;
    case WEIR_COORD_MEMBERS:
        weir_coord_members(t);
        break;
    case WEIR_COORD_MAP:
        weir_coord_map(t);
        break;
    case WEIR_COORD_LEAD:
        weir_coord_lead(t, &request->lead);
        break;
    case WEIR_COORD_RESIGN:
        weir_coord_resign(t, &request->resign);
        break;
    case WEIR_COORD_PUBLISH:
        weir_coord_publish(t, &request->publish);
        break;
    case WEIR_COORD_REPORT:
        weir_coord_report(t, &request->report);
        break;
    case WEIR_COORD_CIRCUITS:
        weir_coord_circuits(t, request->circuits_since);
        break;
    case WEIR_COORD_TOKENS:
        weir_coord_tokens(t, &request->tokens);
        break;
    case WEIR_COORD_CHECKED:
        checked(t, &request->checked);
        break;
    case WEIR_COORD_EVENT:
        event(t, request->event);
        break;
    case WEIR_COORD_EVENTS:
        events(t, request->events_count);
        break;
    case WEIR_COORD_APPEND:
        weir_coord_append(t, request->append);
        break;
    case WEIR_COORD_LOADS:
        weir_coord_loads(t, &request->loads);
        break;
    case WEIR_COORD_FOLD:
        weir_coord_fold(t, &request->fold);
        break;
    case WEIR_COORD_SERIES:
        weir_coord_series(t, &request->series);
        break;
    case WEIR_COORD_ADVISE:
        weir_coord_advise(t, &request->advise);
        break;
    case WEIR_COORD_ADVICE:
        weir_coord_advice(t, request->advice_whole);
        break;
    case WEIR_COORD_OPS:
        assert(0);
        break;
    }
}

void weir_coord_apply(struct weir_coord_state *state, uint64_t now_us, const struct weir_coord_request *request,
                      struct weir_coord_reply *reply, weir_coord_push_cb push, void *arg)
{
    const struct weir_coord_turn t = {state, now_us, now_us / 1000, reply, push, arg};
    *reply = (struct weir_coord_reply){
        .op = request->op, .id = request->id, .sent_ms = request->sent_ms, .why = "", .now_us = now_us};
    if (state->schema > WEIR_COORD_SCHEMA) {
        weir_coord_refuse(&t, WEIR_COORD_SCHEMA_NEWER, "the store's contents are of a newer version of weir");
        return;
    }
    const char *refused = weir_coord_check(request);
    if (refused != NULL)
        weir_coord_refuse(&t, WEIR_COORD_REFUSED, refused);
    else
        carry_out(&t, request);
}
