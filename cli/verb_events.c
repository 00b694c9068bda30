/* events: the last ones, or the stream of them. */
#include <stdio.h>

#include "cli/show.h"
#include "cli/verb.h"
#include "core/coord.h"
#include "core/event_stream.h"

/* An event, with what a stream puts around it. */
#define EVENT_BYTES_MAX ((size_t)4 * WEIR_COORD_EVENT_MAX)
/* A node that has nothing to tell says so more often than this (WEIR_FOLLOW_PULSE_MS). */
#define PAUSE_MS 35000u

struct following {
    struct ctl_session *s;
    struct weir_event_stream stream;
    struct weir_textbuf refusal; /* what came instead of a stream */
};

static void take_event(void *arg, const struct weir_event *e)
{
    struct following *f = arg;
    struct weir_textbuf text;
    json_t *event = json_loadb(e->data.ptr, e->data.len, 0, NULL);
    weir_textbuf_init(&text, CTL_ANSWER_BYTES_MAX);
    if (json_is_object(event))
        ctl_show_event(&text, f->s->options->output, &f->s->style, event);
    if (!f->s->write_failed)
        (void)ctl_put(f->s, &text);
    else
        weir_textbuf_close(&text);
    json_decref(event);
}

static bool take(void *arg, unsigned status, const uint8_t *bytes, size_t n)
{
    struct following *f = arg;
    if (status == 200)
        return weir_event_stream_feed(&f->stream, bytes, n) && !f->s->write_failed;
    weir_textbuf_add(&f->refusal, bytes, n);
    return !f->refusal.failed;
}

static int follow(struct ctl_session *s, const char *page)
{
    struct following f = {.s = s};
    struct ctl_ask a = ctl_session_question(s);
    struct weir_err err = {0};
    unsigned status;
    int code;
    weir_textbuf_init(&f.refusal, CTL_ANSWER_BYTES_MAX);
    weir_event_stream_init(&f.stream, EVENT_BYTES_MAX, take_event, &f);
    a.page = page;
    a.accept = "text/event-stream";
    a.pause_ms = PAUSE_MS;
    a.take = take;
    a.arg = &f;
    if (ctl_ask(&a, &status, &err) != 0) {
        code = ctl_complain_of_asking(s, status, &err);
    } else if (status != 200) {
        json_t *answer = f.refusal.len > 0 ? json_loadb(f.refusal.ptr, f.refusal.len, 0, NULL) : NULL;
        code = ctl_complain_of_status(s, ctl_verbs[CTL_EVENTS].page, status, answer);
        json_decref(answer);
    } else {
        code = s->write_failed ? WEIR_EXIT_FAILED
                               : ctl_complain(WEIR_EXIT_UNREACHABLE,
                                              "It may have been stopped, or this follower was too slow. Follow again.",
                                              "the node at %s ended the stream of events", s->options->node);
    }
    weir_event_stream_close(&f.stream);
    weir_textbuf_close(&f.refusal);
    return code;
}

int ctl_run_events(struct ctl_session *s)
{
    const char *name = ctl_verbs[CTL_EVENTS].page;
    struct weir_textbuf text;
    char page[64];
    json_t *answer;
    snprintf(page, sizeof page, "%s?n=%u", name, s->options->count);
    if (s->options->follow && s->options->redis != NULL)
        return ctl_complain(WEIR_EXIT_USAGE, "Ask a node: --node URL.",
                            "events are followed at a node, not in the store");
    if (s->options->follow)
        return follow(s, page);
    int code = ctl_get(s, page, &answer);
    if (code != WEIR_EXIT_DONE)
        return code;
    weir_textbuf_init(&text, 4 * CTL_ANSWER_BYTES_MAX);
    code = ctl_show(&text, s->options, &s->style, answer) ? ctl_put(s, &text) : ctl_complain_of_answer(s, name);
    weir_textbuf_close(&text);
    json_decref(answer);
    return code;
}
