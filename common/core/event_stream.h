/* Reads a stream of server-sent events (text/event-stream; WHATWG HTML, "Server-sent events", 9.2.6), in pieces that
 * end anywhere. Pure. What one event may hold is bounded; a stream that goes over it is not read further. */
#ifndef WEIR_CORE_EVENT_STREAM_H
#define WEIR_CORE_EVENT_STREAM_H

#include "core/textbuf.h"

struct weir_event {
    struct weir_str type; /* "message" where none was said */
    struct weir_str id;   /* of the last event that had one; "" */
    struct weir_str data; /* lines joined by '\n' */
};

struct weir_event_stream {
    /* An event is complete; its text is valid during the call. */
    void (*event)(void *arg, const struct weir_event *e);
    void *arg;
    struct weir_textbuf line, data, type, id;
    bool has_data;
    bool after_cr; /* a line feed that follows belongs to the line's end before it */
    bool begun;    /* a byte order mark can come no more */
};

/* bytes_max: of a line, and of an event's data. */
void weir_event_stream_init(struct weir_event_stream *s, size_t bytes_max,
                            void (*event)(void *arg, const struct weir_event *e), void *arg);
/* False: over the bound, or out of memory. */
bool weir_event_stream_feed(struct weir_event_stream *s, const void *bytes, size_t n);
/* An event that is not complete is dropped. */
void weir_event_stream_close(struct weir_event_stream *s);

#endif
