/* The last events of a cluster, as a node has heard them: by pushes, which may be lost, and by asking the store for the
 * last ones, which may bring some a second time and some late. Kept in the store's order (its clock, then its ids),
 * each once, WEIR_COORD_EVENTS_KEPT at most. Pure. */
#ifndef WEIR_CORE_EVENT_RING_H
#define WEIR_CORE_EVENT_RING_H

#include "core/coord.h"
#include "core/textbuf.h"

/* What the store adds to an event, and what JSON may need for the same in another form. */
#define WEIR_EVENT_TEXT_MAX ((size_t)2 * WEIR_COORD_EVENT_MAX)

struct weir_event_entry {
    uint64_t id, unix_ms; /* the store's */
    size_t len;
    char text[]; /* a JSON object in one line */
};

/* All zero is an empty one. */
struct weir_event_ring {
    struct weir_event_entry *at[WEIR_COORD_EVENTS_KEPT]; /* oldest first */
    size_t count;
};

void weir_event_ring_close(struct weir_event_ring *r);
/* Takes an event as the store tells it: a JSON object with "id" and "unix_ms". The entry, which lives until later ones
 * have pushed it out; NULL: it is known, older than all that is kept, no event at all, or there is no memory for it. */
const struct weir_event_entry *weir_event_ring_add(struct weir_event_ring *r, struct weir_str json);
/* The entry behind the one with that id, as an index; the first one where there is none of that id. */
size_t weir_event_ring_after(const struct weir_event_ring *r, uint64_t id);

/* As a server-sent event: id, type (the object's "event", where that is a word) and data. */
void weir_event_entry_stream(struct weir_textbuf *out, const struct weir_event_entry *e);

#endif
