#include "net/stream.h"

#include <assert.h>

void weir_stream_start(struct weir_stream *s, weir_stream_started_cb started)
{
    assert(started != NULL && s->reactor != NULL);
    s->started = started;
    s->ops->start(s);
}

void weir_stream_again(struct weir_stream *s)
{
    weir_poller_again(&s->reactor->poller, &s->source);
}

void weir_stream_detach(struct weir_stream *s)
{
    assert(s->reactor != NULL);
    s->ops->detach(s);
    s->source.ready = 0;
    s->reactor = NULL;
    s->event = NULL;
    s->owner = NULL;
}

int weir_stream_attach(struct weir_stream *s, struct weir_reactor *r, weir_stream_event_cb event, void *owner)
{
    assert(s->reactor == NULL);
    int rv = s->ops->attach(s, r);
    if (rv != WEIR_OK)
        return rv;
    s->reactor = r;
    s->event = event;
    s->owner = owner;
    return WEIR_OK;
}

void weir_stream_close(struct weir_stream **s, bool reset)
{
    struct weir_stream *stream = *s;
    if (stream == NULL)
        return;
    *s = NULL;
    stream->ops->close(stream, reset);
}
