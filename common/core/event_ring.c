#include "core/event_ring.h"

#include <jansson.h>
#include <stdlib.h>

void weir_event_ring_close(struct weir_event_ring *r)
{
    for (size_t i = 0; i < r->count; i++)
        free(r->at[i]);
    r->count = 0;
}

static bool take_number(const json_t *object, const char *key, uint64_t *out)
{
    const json_t *value = json_object_get(object, key);
    *out = json_is_integer(value) && json_integer_value(value) >= 0 ? (uint64_t)json_integer_value(value) : UINT64_MAX;
    return *out != UINT64_MAX;
}

/* Checked, and written anew in one line. */
static struct weir_event_entry *make_entry(struct weir_str json)
{
    struct weir_event_entry *e = NULL;
    uint64_t id, unix_ms;
    if (json.len > WEIR_EVENT_TEXT_MAX)
        return NULL;
    json_t *object = json_loadb(json.ptr, json.len, 0, NULL);
    if (json_is_object(object) && take_number(object, "id", &id) && take_number(object, "unix_ms", &unix_ms)) {
        size_t cap = WEIR_EVENT_TEXT_MAX, len = json_dumpb(object, NULL, 0, JSON_COMPACT);
        e = len > 0 && len <= cap ? malloc(sizeof *e + len) : NULL;
        if (e != NULL && json_dumpb(object, e->text, len, JSON_COMPACT) != len) {
            free(e);
            e = NULL;
        }
        if (e != NULL)
            e->id = id, e->unix_ms = unix_ms, e->len = len;
    }
    json_decref(object);
    return e;
}

/* Ids begin anew where the store has lost its contents; its clock goes on. */
static bool is_before(const struct weir_event_entry *a, const struct weir_event_entry *b)
{
    return a->unix_ms != b->unix_ms ? a->unix_ms < b->unix_ms : a->id < b->id;
}

const struct weir_event_entry *weir_event_ring_add(struct weir_event_ring *r, struct weir_str json)
{
    struct weir_event_entry *e = make_entry(json);
    if (e == NULL)
        return NULL;
    size_t place = r->count;
    while (place > 0 && is_before(e, r->at[place - 1]))
        place--;
    bool full = r->count == WEIR_COORD_EVENTS_KEPT;
    bool known = place > 0 && r->at[place - 1]->id == e->id && r->at[place - 1]->unix_ms == e->unix_ms;
    if (known || (full && place == 0)) {
        free(e);
        return NULL;
    }
    if (full) {
        free(r->at[0]);
        place--;
        memmove(&r->at[0], &r->at[1], place * sizeof(void *));
    } else {
        memmove(&r->at[place + 1], &r->at[place], (r->count - place) * sizeof(void *));
        r->count++;
    }
    r->at[place] = e;
    return e;
}

size_t weir_event_ring_after(const struct weir_event_ring *r, uint64_t id)
{
    for (size_t i = r->count; i > 0; i--)
        if (r->at[i - 1]->id == id)
            return i;
    return 0;
}

/* Nothing that could end the line, or look like another one. */
static bool is_word(const char *text)
{
    size_t len = text != NULL ? strlen(text) : 0;
    return len > 0 && len <= 64 && strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_.-") == len;
}

void weir_event_entry_stream(struct weir_textbuf *out, const struct weir_event_entry *e)
{
    json_t *object = json_loadb(e->text, e->len, 0, NULL);
    const char *type = json_string_value(json_object_get(object, "event"));
    weir_textbuf_printf(out, "id: %llu\n", (unsigned long long)e->id);
    if (is_word(type))
        weir_textbuf_printf(out, "event: %s\n", type);
    weir_textbuf_str(out, "data: ");
    weir_textbuf_add(out, e->text, e->len);
    weir_textbuf_str(out, "\n\n");
    json_decref(object);
}
