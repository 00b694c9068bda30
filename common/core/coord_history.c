/* The cluster's load, as its nodes tell it and as the leader keeps it, and the hints that the leader gives. */
#include <assert.h>
#include <stdlib.h>

#include "core/coord_impl.h"

/* -- streams -- */

void weir_coord_stream_clear(struct weir_coord_stream *s)
{
    for (uint32_t i = 0; i < s->count; i++)
        free(weir_coord_stream_at(s, i)->text);
    free(s->ring);
    *s = (struct weir_coord_stream){0};
}

const struct weir_coord_kept *weir_coord_stream_at(const struct weir_coord_stream *s, uint32_t i)
{
    assert(i < s->count);
    return &s->ring[(s->first + i) % s->cap];
}

static uint64_t newest(const struct weir_coord_stream *s)
{
    return s->count > 0 ? weir_coord_stream_at(s, s->count - 1)->id : 0;
}

static void drop_oldest(struct weir_coord_stream *s)
{
    free(s->ring[s->first].text);
    s->first = (s->first + 1) % s->cap;
    s->count--;
}

/* Room for one more, of max at most. */
static bool make_room(struct weir_coord_stream *s, uint32_t max)
{
    assert(max > 0);
    if (s->count == max)
        drop_oldest(s);
    if (s->count < s->cap)
        return true;
    uint32_t cap = s->cap == 0 ? 8 : s->cap * 2 < max ? s->cap * 2 : max;
    struct weir_coord_kept *ring = calloc(cap, sizeof *ring);
    if (ring == NULL)
        return false;
    for (uint32_t i = 0; i < s->count; i++)
        ring[i] = *weir_coord_stream_at(s, i);
    free(s->ring);
    s->ring = ring;
    s->first = 0;
    s->cap = cap;
    return true;
}

static char *copy_of(struct weir_str text)
{
    char *copy = malloc(text.len + 1);
    if (copy != NULL && text.len > 0)
        memcpy(copy, text.ptr, text.len);
    return copy;
}

static bool add(struct weir_coord_stream *s, uint32_t max, uint64_t id, struct weir_str text)
{
    char *copy = copy_of(text);
    if (copy == NULL || !make_room(s, max)) {
        free(copy);
        return false;
    }
    s->ring[(s->first + s->count++) % s->cap] = (struct weir_coord_kept){id, (uint32_t)text.len, copy};
    return true;
}

static void show(const struct weir_coord_turn *t, const struct weir_coord_stream *s, uint64_t after, uint32_t count)
{
    struct weir_coord_entries_reply *r = &t->reply->entries;
    size_t bytes = 0;
    *r = (struct weir_coord_entries_reply){.newest = newest(s), .step_ms = s->step_ms, .at = t->s->entries_shown};
    r->upto = after <= r->newest ? after : 0;
    for (uint32_t i = 0; i < s->count && r->count < count && r->count < WEIR_COORD_ENTRIES_MAX; i++) {
        const struct weir_coord_kept *k = weir_coord_stream_at(s, i);
        if (k->id <= r->upto)
            continue;
        bytes += k->len;
        if (r->count > 0 && bytes > WEIR_COORD_ENTRIES_BYTES_MAX)
            break;
        t->s->entries_shown[r->count++] = (struct weir_coord_entry){k->id, {k->text, k->len}};
        r->upto = k->id;
    }
}

/* -- loads -- */

void weir_coord_append(const struct weir_coord_turn *t, struct weir_str record)
{
    struct weir_coord_stream *s = &t->s->loads;
    uint64_t next = newest(s) + 1;
    if (!add(s, WEIR_COORD_LOADS_MAX, next > t->now_us ? next : t->now_us, record)) {
        weir_coord_refuse(t, WEIR_COORD_REFUSED, "out of memory");
        return;
    }
    uint64_t from_ms = t->now_ms > WEIR_COORD_LOADS_KEPT_MS ? t->now_ms - WEIR_COORD_LOADS_KEPT_MS : 0;
    while (weir_coord_stream_at(s, 0)->id < from_ms * 1000)
        drop_oldest(s);
}

void weir_coord_loads(const struct weir_coord_turn *t, const struct weir_coord_loads *q)
{
    show(t, &t->s->loads, q->after, q->count);
}

/* -- series -- */

void weir_coord_fold(const struct weir_coord_turn *t, const struct weir_coord_fold *f)
{
    struct weir_coord_stream *s = &t->s->series[f->step], anew = {.step_ms = f->step_ms};
    uint64_t under_way = t->now_ms / f->step_ms; /* the point that the time now belongs to */
    bool begins = s->step_ms != f->step_ms || newest(s) > under_way;
    if (!weir_coord_leads(t, f->id, f->token)) {
        weir_coord_refuse(t, WEIR_COORD_STALE, "the lead is lost");
    } else if (f->number >= under_way) {
        weir_coord_refuse(t, WEIR_COORD_REFUSED, "the point's time is not over");
        return;
    } else if (!begins && f->number <= newest(s)) {
        weir_coord_refuse(t, WEIR_COORD_STALE, "a newer point is kept");
    } else if (!add(begins ? &anew : s, weir_coord_series_max(f->step), f->number, f->text)) {
        weir_coord_refuse(t, WEIR_COORD_REFUSED, "out of memory");
    } else if (begins) {
        weir_coord_stream_clear(s);
        *s = anew;
    }
    t->reply->fold_newest = newest(s);
}

void weir_coord_series(const struct weir_coord_turn *t, const struct weir_coord_series *q)
{
    show(t, &t->s->series[q->step], q->after, q->count);
}

/* -- advice -- */

static void replace(char **text, size_t *len, char *by, size_t by_len)
{
    free(*text);
    *text = by;
    *len = by_len;
}

/* False: out of memory, nothing has changed. */
static bool replace_texts(struct weir_coord_advice *a, const struct weir_coord_advise *q)
{
    char *hints = copy_of(q->hints), *analytics = q->analytics.len > 0 ? copy_of(q->analytics) : NULL;
    if (hints == NULL || (analytics == NULL && q->analytics.len > 0)) {
        free(hints);
        free(analytics);
        return false;
    }
    replace(&a->hints, &a->hints_len, hints, q->hints.len);
    if (analytics != NULL)
        replace(&a->analytics, &a->analytics_len, analytics, q->analytics.len);
    return true;
}

void weir_coord_advise(const struct weir_coord_turn *t, const struct weir_coord_advise *q)
{
    struct weir_coord_advice *a = &t->s->advice;
    if (!weir_coord_leads(t, q->id, q->token)) {
        weir_coord_refuse(t, WEIR_COORD_STALE, "the lead is lost");
    } else if (!replace_texts(a, q)) {
        weir_coord_refuse(t, WEIR_COORD_REFUSED, "out of memory");
    } else {
        a->version++;
        a->token = q->token;
        a->at_ms = t->now_ms;
        weir_coord_copy(a->leader, sizeof a->leader, q->id);
        struct weir_coord_push push = {.kind = WEIR_COORD_PUSH_HINTS, .advice_version = a->version};
        weir_coord_push_out(t, &push);
    }
    t->reply->advise_version = a->version;
}

void weir_coord_advice(const struct weir_coord_turn *t, bool whole)
{
    const struct weir_coord_advice *a = &t->s->advice;
    t->reply->advice = (struct weir_coord_advice_reply){.version = a->version,
                                                        .leader = a->leader,
                                                        .unix_ms = a->at_ms,
                                                        .hints = {a->hints, a->hints_len},
                                                        .analytics = {a->analytics, whole ? a->analytics_len : 0}};
}
