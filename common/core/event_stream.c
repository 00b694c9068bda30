#include "core/event_stream.h"

#define BYTE_ORDER_MARK WEIR_STR("\xef\xbb\xbf")

void weir_event_stream_init(struct weir_event_stream *s, size_t bytes_max,
                            void (*event)(void *arg, const struct weir_event *e), void *arg)
{
    *s = (struct weir_event_stream){.event = event, .arg = arg};
    weir_textbuf_init(&s->line, bytes_max);
    weir_textbuf_init(&s->data, bytes_max);
    weir_textbuf_init(&s->type, bytes_max);
    weir_textbuf_init(&s->id, bytes_max);
}

void weir_event_stream_close(struct weir_event_stream *s)
{
    weir_textbuf_close(&s->line);
    weir_textbuf_close(&s->data);
    weir_textbuf_close(&s->type);
    weir_textbuf_close(&s->id);
}

static struct weir_str content(const struct weir_textbuf *t)
{
    return t->len > 0 ? (struct weir_str){t->ptr, t->len} : (struct weir_str){"", 0};
}

static void replace(struct weir_textbuf *t, struct weir_str value)
{
    t->len = 0;
    weir_textbuf_add(t, value.ptr, value.len);
}

static void dispatch(struct weir_event_stream *s)
{
    if (s->has_data) {
        const struct weir_event e = {s->type.len > 0 ? content(&s->type) : WEIR_STR("message"), content(&s->id),
                                     content(&s->data)};
        s->event(s->arg, &e);
    }
    s->has_data = false;
    s->data.len = s->type.len = 0;
}

static void take_field(struct weir_event_stream *s, struct weir_str line)
{
    const char *colon = memchr(line.ptr, ':', line.len);
    struct weir_str name = line, value = {"", 0};
    if (colon != NULL) {
        name.len = (size_t)(colon - line.ptr);
        value = (struct weir_str){colon + 1, line.len - name.len - 1};
        if (value.len > 0 && value.ptr[0] == ' ')
            value.ptr++, value.len--;
    }
    if (weir_str_eq(name, WEIR_STR("data"))) {
        if (s->has_data)
            weir_textbuf_char(&s->data, '\n');
        weir_textbuf_add(&s->data, value.ptr, value.len);
        s->has_data = true;
    } else if (weir_str_eq(name, WEIR_STR("event"))) {
        replace(&s->type, value);
    } else if (weir_str_eq(name, WEIR_STR("id")) && memchr(value.ptr, '\0', value.len) == NULL) {
        replace(&s->id, value);
    }
}

static void end_line(struct weir_event_stream *s)
{
    struct weir_str line = content(&s->line);
    if (!s->begun && weir_str_starts(line, BYTE_ORDER_MARK)) {
        line.ptr += BYTE_ORDER_MARK.len;
        line.len -= BYTE_ORDER_MARK.len;
    }
    s->begun = true;
    if (line.len == 0)
        dispatch(s);
    else
        take_field(s, line); /* a comment is a field without a name */
    s->line.len = 0;
}

bool weir_event_stream_feed(struct weir_event_stream *s, const void *bytes, size_t n)
{
    const char *at = bytes, *end = at + n;
    while (at < end && !s->line.failed && !s->data.failed) {
        if (s->after_cr && *at == '\n') {
            s->after_cr = false;
            at++;
            continue;
        }
        s->after_cr = false;
        const char *stop = at;
        while (stop < end && *stop != '\n' && *stop != '\r')
            stop++;
        weir_textbuf_add(&s->line, at, (size_t)(stop - at));
        if (stop < end) {
            s->after_cr = *stop == '\r';
            if (!s->line.failed)
                end_line(s);
            stop++;
        }
        at = stop;
    }
    return !s->line.failed && !s->data.failed && !s->type.failed && !s->id.failed;
}
