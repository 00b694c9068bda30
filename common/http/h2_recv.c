#include "http/h2_impl.h"

static struct weir_h2_stream *find(nghttp2_session *session, int32_t id)
{
    return nghttp2_session_get_stream_user_data(session, id);
}

/* What nghttp2 is to do after a callback of ours that may have called the user. */
static int go_on(const struct weir_h2 *h)
{
    return h->dead || h->broken ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

/* The stream ends here, by the peer's fault. */
static void spoil(struct weir_h2_stream *s, const char *detail)
{
    weir_h2_stream_rst(s, NGHTTP2_PROTOCOL_ERROR);
    if (s->h->server)
        weir_h2_count_reset(s->h);
    weir_h2_stream_fail(s, WEIR_RESET_PROTOCOL, detail);
}

/* -- heads and trailers -- */

static struct weir_h2_head *new_head(struct weir_arena *a, bool trailers)
{
    struct weir_h2_head *head = weir_arena_alloc(a, sizeof *head);
    if (head == NULL)
        return NULL;
    *head = (struct weir_h2_head){.head = {.content_length = WEIR_LENGTH_UNKNOWN}, .trailers = trailers};
    return head;
}

/* The user's arena may be emptied before they are complete: they get one of their own. */
static void begin_trailers(struct weir_h2_stream *s)
{
    s->trailers = weir_h2_alloc(s->h, sizeof *s->trailers);
    if (s->trailers != NULL)
        weir_arena_init(s->trailers);
    s->head = s->trailers != NULL ? new_head(s->trailers, true) : NULL;
    if (s->head == NULL)
        weir_h2_break(s->h, WEIR_RESET_INTERNAL, weir_h1_no_memory.message);
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct weir_h2 *h = user;
    struct weir_h2_stream *s;
    if (h->dead || frame->hd.type != NGHTTP2_HEADERS)
        return go_on(h);
    if (h->server && frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
        s = weir_h2_server_begin(h, frame->hd.stream_id);
        if (s == NULL || s->over)
            return go_on(h);
    } else {
        s = find(session, frame->hd.stream_id);
        if (s == NULL || s->over || s->refused)
            return 0;
    }
    s->begun = true;
    if (s->head_in) {
        begin_trailers(s);
        return go_on(h);
    }
    s->head = new_head(s->x.arena, false);
    if (s->head == NULL)
        weir_h2_break(h, WEIR_RESET_INTERNAL, weir_h1_no_memory.message);
    return go_on(h);
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name, size_t name_len,
                     const uint8_t *value, size_t value_len, uint8_t flags, void *user)
{
    struct weir_h2 *h = user;
    struct weir_h2_stream *s = find(session, frame->hd.stream_id);
    (void)flags;
    if (h->dead)
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    if (s != NULL && !s->over && !s->refused && s->head != NULL)
        weir_h2_check_field(s, (struct weir_str){(const char *)name, name_len},
                            (struct weir_str){(const char *)value, value_len});
    return 0;
}

/* The end of a message that has the length which was announced, if one was. */
static void end_of_data(struct weir_h2_stream *s)
{
    if (s->length >= 0 && !s->no_body && s->body_total != (uint64_t)s->length)
        spoil(s, "the data does not have the announced length");
    else
        weir_h2_stream_end(s);
}

static void trailers_complete(struct weir_h2_stream *s, bool end)
{
    const struct weir_malformed *bad = end ? s->head->bad : &weir_h1_bad_framing;
    s->remote_ended = end;
    if (bad == NULL && s->drop_body)
        weir_h2_stream_end(s);
    else if (bad == NULL)
        end_of_data(s);
    else if (s->h->server)
        weir_h2_server_refuse(s, bad, true);
    else
        spoil(s, bad->message);
}

static void head_complete(struct weir_h2_stream *s, bool end)
{
    if (s->head->trailers) {
        trailers_complete(s, end);
        return;
    }
    if (s->h->server)
        weir_h2_server_head(s, end);
    else
        weir_h2_client_head(s, end);
    if (end && !s->h->dead && !s->over && s->head_in && !s->refused)
        end_of_data(s);
}

/* -- data -- */

static void drop_body(struct weir_h2_stream *s, size_t n)
{
    s->dropped += n;
    if (s->dropped <= WEIR_H2_DRAIN_BYTES_MAX || s->fail_due || s->remote_ended)
        return;
    s->rst_code = NGHTTP2_NO_ERROR; /* what it was answered is complete (RFC 9113 8.1) */
    if (s->submitted && nghttp2_session_get_stream_local_close(s->h->session, s->id) == 1)
        weir_h2_stream_rst(s, s->rst_code);
    else
        s->rst_after = true;
    weir_h2_stream_fail_later(s, WEIR_RESET_CANCEL, "the rest of the request was not wanted");
}

static int on_data_chunk(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *p, size_t n, void *user)
{
    struct weir_h2 *h = user;
    struct weir_h2_stream *s = find(session, id);
    (void)flags;
    if (h->dead)
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    bool wanted = s != NULL && !s->over && !s->refused && !s->drop_body && !s->fail_due;
    if (!wanted) {
        if (nghttp2_session_consume(session, id, n) != 0)
            weir_h2_break(h, WEIR_RESET_INTERNAL, weir_h1_no_memory.message);
        if (s != NULL && !s->over && s->drop_body)
            drop_body(s, n);
        return go_on(h);
    }
    s->body_total += n;
    uint64_t max = h->limits->body_bytes_max;
    const char *wrong = !s->head_in                                             ? "data before the head"
                        : s->no_body                                            ? "data where there is none"
                        : s->length < 0 || s->body_total <= (uint64_t)s->length ? NULL
                                                                                : "more data than announced";
    bool large = h->server && max > 0 && s->body_total > max;
    if ((wrong != NULL || large) && nghttp2_session_consume(session, id, n) != 0)
        weir_h2_break(h, WEIR_RESET_INTERNAL, weir_h1_no_memory.message);
    if (wrong != NULL)
        spoil(s, wrong);
    else if (large)
        weir_h2_server_refuse(s, &weir_h1_body_large, true);
    else
        weir_h2_stream_body(s, p, n);
    return go_on(h);
}

/* -- frames -- */

static void settings_came(struct weir_h2 *h)
{
    h->settled = true;
    if (!h->server)
        weir_h2_capacity(h);
}

static void goaway_came(struct weir_h2 *h, const nghttp2_goaway *goaway)
{
    h->draining = true;
    if (!h->eof && !h->terminated) {
        h->reason = goaway->error_code == NGHTTP2_NO_ERROR ? WEIR_RESET_CANCEL : WEIR_RESET_PEER_ERROR;
        h->detail = goaway->error_code == NGHTTP2_NO_ERROR ? "the peer said that it goes away"
                                                           : nghttp2_http2_strerror(goaway->error_code);
    }
    if (!h->server)
        weir_h2_capacity(h);
}

static void ping_came_back(struct weir_h2 *h)
{
    if (!h->drain_ping) {
        h->ping_sent = false;
        return;
    }
    /* the client has had time to see that we drain: what it began meanwhile is served, and nothing after it */
    h->drain_ping = h->ping_sent = false;
    h->finishing = true;
    int32_t last = nghttp2_session_get_last_proc_stream_id(h->session);
    if (nghttp2_submit_goaway(h->session, NGHTTP2_FLAG_NONE, last, NGHTTP2_NO_ERROR, NULL, 0) != 0)
        weir_h2_break(h, WEIR_RESET_INTERNAL, weir_h1_no_memory.message);
}

static void data_frame(struct weir_h2 *h, struct weir_h2_stream *s, const nghttp2_frame_hd *hd)
{
    bool end = (hd->flags & NGHTTP2_FLAG_END_STREAM) != 0;
    if (!end && hd->length == 0)
        weir_h2_count_noise(h);
    if (!end || s == NULL)
        return;
    s->remote_ended = true;
    if (s->over || s->fail_due || s->refused)
        return;
    if (!s->head_in)
        spoil(s, "data before the head");
    else if (s->drop_body)
        weir_h2_stream_end(s);
    else
        end_of_data(s);
}

/* One for the stream and one for the connection are due for each frame of data that went out, little as it may have
 * been: many peers tell what they have taken at once. */
static void window_update_came(struct weir_h2 *h, uint32_t bytes)
{
    if (bytes >= WEIR_H2_WINDOW_UPDATE_MIN)
        return;
    if (h->updates_due > 0)
        h->updates_due--;
    else
        weir_h2_count_noise(h);
}

static void control_frame(struct weir_h2 *h, const nghttp2_frame *frame)
{
    bool ack = (frame->hd.flags & NGHTTP2_FLAG_ACK) != 0;
    switch (frame->hd.type) {
    case NGHTTP2_SETTINGS:
        if (ack)
            break;
        settings_came(h);
        weir_h2_count_noise(h);
        break;
    case NGHTTP2_PING:
        if (ack && h->ping_sent)
            ping_came_back(h);
        else
            weir_h2_count_noise(h);
        break;
    case NGHTTP2_GOAWAY:
        goaway_came(h, &frame->goaway);
        break;
    case NGHTTP2_RST_STREAM:
        weir_h2_count_reset(h);
        break;
    case NGHTTP2_WINDOW_UPDATE:
        window_update_came(h, (uint32_t)frame->window_update.window_size_increment);
        break;
    default: /* PRIORITY_UPDATE; PRIORITY is skipped before it comes here */
        weir_h2_count_noise(h);
        break;
    }
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct weir_h2 *h = user;
    if (h->dead)
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    if (frame->hd.type == NGHTTP2_DATA) {
        data_frame(h, find(session, frame->hd.stream_id), &frame->hd);
    } else if (frame->hd.type == NGHTTP2_HEADERS) {
        struct weir_h2_stream *s = find(session, frame->hd.stream_id);
        bool end = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
        if (s == NULL)
            return 0;
        s->remote_ended |= end;
        if (!s->over && !s->refused && s->head != NULL && !s->fail_due)
            head_complete(s, end);
    } else {
        control_frame(h, frame);
    }
    return go_on(h);
}

/* nghttp2 resets the stream, or ends the connection, by itself. */
static int on_invalid_frame(nghttp2_session *session, const nghttp2_frame *frame, int code, void *user)
{
    struct weir_h2 *h = user;
    struct weir_h2_stream *s = find(session, frame->hd.stream_id);
    if (h->dead)
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    if (h->server)
        weir_h2_count_reset(h);
    if (s != NULL)
        weir_h2_stream_fail_later(s, WEIR_RESET_PROTOCOL, nghttp2_strerror(code));
    return 0;
}

/* -- the end of a stream -- */

static enum weir_reset_reason reason_of(const struct weir_h2 *h, uint32_t code)
{
    if (h->server)
        return code == NGHTTP2_CANCEL || code == NGHTTP2_NO_ERROR || code == NGHTTP2_REFUSED_STREAM
                   ? WEIR_RESET_CANCEL
                   : WEIR_RESET_PEER_ERROR;
    return code == NGHTTP2_REFUSED_STREAM ? WEIR_RESET_REFUSED : WEIR_RESET_PEER_RESET;
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t code, void *user)
{
    struct weir_h2 *h = user;
    struct weir_h2_stream *s = find(session, id);
    if (s == NULL)
        return 0;
    s->unprocessed = !h->server && code == NGHTTP2_REFUSED_STREAM;
    weir_h2_stream_closed(s);
    if (s->over || s->fail_due || h->dead)
        return 0;
    /* a response that is all here stays good, whatever becomes of the rest of the request (RFC 9113 8.1) */
    if (s->remote_ended && (!h->server || s->sent || s->bodiless))
        return 0;
    enum weir_reset_reason reason = reason_of(h, code);
    if (h->receiving)
        weir_h2_stream_fail(s, reason, nghttp2_http2_strerror(code));
    else
        weir_h2_stream_fail_later(s, reason, nghttp2_http2_strerror(code));
    return go_on(h);
}

void weir_h2_recv_callbacks(nghttp2_session_callbacks *callbacks)
{
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data_chunk);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(callbacks, on_invalid_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
}
