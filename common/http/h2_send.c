#include "http/h2_impl.h"

#include <inttypes.h>
#include <stdio.h>

/* Fields of a head that needs no block of its own. */
#define NVS_SHORT 48
/* Pseudo fields, content-length and te. */
#define NVS_EXTRA 6

struct nvs {
    nghttp2_nv some[NVS_SHORT];
    nghttp2_nv *at;
    size_t count;
    char length[24];
};

static bool nvs_open(struct weir_h2 *h, struct nvs *v, size_t fields)
{
    v->count = 0;
    v->at = fields + NVS_EXTRA <= NVS_SHORT ? v->some : weir_h2_alloc(h, (fields + NVS_EXTRA) * sizeof *v->at);
    return v->at != NULL;
}

static void nvs_close(struct weir_h2 *h, struct nvs *v)
{
    if (v->at != v->some)
        weir_h2_release(h, v->at);
}

static nghttp2_nv nv_of(struct weir_str name, struct weir_str value, uint8_t flags)
{
    return (nghttp2_nv){.name = (uint8_t *)(uintptr_t)name.ptr,
                        .value = (uint8_t *)(uintptr_t)value.ptr,
                        .namelen = name.len,
                        .valuelen = value.len,
                        .flags = flags};
}

static void nvs_add(struct nvs *v, struct weir_str name, struct weir_str value)
{
    v->at[v->count++] = nv_of(name, value, NGHTTP2_NV_FLAG_NONE);
}

/* What the codec writes itself, or must not be in HTTP/2 (RFC 9113 8.2.2). */
static bool left_out(enum weir_field_id id)
{
    switch (id) {
    case WEIR_FIELD_CONNECTION:
    case WEIR_FIELD_CONTENT_LENGTH:
    case WEIR_FIELD_HOST:
    case WEIR_FIELD_KEEP_ALIVE:
    case WEIR_FIELD_PROXY_CONNECTION:
    case WEIR_FIELD_TE:
    case WEIR_FIELD_TRANSFER_ENCODING:
    case WEIR_FIELD_UPGRADE:
        return true;
    default:
        return false;
    }
}

/* Many clients share one connection to an upstream: what is indexed for one could be guessed at by another, by the size
 * of its own requests (RFC 7541 7.1). And what is new each time is not worth a place in the table: it pushes out what
 * comes again, and each search for its name goes through all of its kind (7 % of a request's instructions). */
static uint8_t flags_of(const struct weir_field *field)
{
    switch (field->id) {
    case WEIR_FIELD_AUTHORIZATION:
    case WEIR_FIELD_COOKIE:
    case WEIR_FIELD_PROXY_AUTHORIZATION:
    case WEIR_FIELD_X_API_KEY:
    case WEIR_FIELD_X_REQUEST_ID:
    case WEIR_FIELD_TRACEPARENT:
        return NGHTTP2_NV_FLAG_NO_INDEX;
    default:
        return weir_str_eq(field->name, WEIR_STR("set-cookie")) ? NGHTTP2_NV_FLAG_NO_INDEX : NGHTTP2_NV_FLAG_NONE;
    }
}

static void nvs_add_fields(struct nvs *v, const struct weir_fields *fields)
{
    for (size_t i = 0; i < fields->count; i++) {
        const struct weir_field *field = &fields->at[i];
        if (!left_out(field->id))
            v->at[v->count++] = nv_of(field->name, field->value, flags_of(field));
    }
}

static void nvs_add_length(struct nvs *v, uint64_t n)
{
    int len = snprintf(v->length, sizeof v->length, "%" PRIu64, n);
    nvs_add(v, WEIR_STR("content-length"), (struct weir_str){v->length, (size_t)len});
}

static void nvs_add_status(struct nvs *v, unsigned status, char text[4])
{
    text[0] = (char)('0' + status / 100 % 10);
    text[1] = (char)('0' + status / 10 % 10);
    text[2] = (char)('0' + status % 10);
    nvs_add(v, WEIR_STR(":status"), (struct weir_str){text, 3});
}

static void no_memory(struct weir_h2_stream *s)
{
    weir_h2_break(s->h, WEIR_RESET_INTERNAL, weir_h1_no_memory.message);
}

/* -- the body, as nghttp2 asks for it -- */

/* END_STREAM, or the trailers that carry it. */
static ssize_t end_of_body(struct weir_h2_stream *s, size_t n, uint32_t *flags)
{
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    if (s->end_fields == NULL)
        return (ssize_t)n;
    *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
    int rv = nghttp2_submit_trailer(s->h->session, s->id, s->end_fields, s->end_count);
    weir_h2_release(s->h, s->end_fields);
    s->end_fields = NULL;
    return rv == 0 ? (ssize_t)n : NGHTTP2_ERR_CALLBACK_FAILURE;
}

static ssize_t read_body(nghttp2_session *session, int32_t id, uint8_t *buf, size_t length, uint32_t *flags,
                         nghttp2_data_source *source, void *user)
{
    struct weir_h2_stream *s = source->ptr;
    size_t there = s->out.len + s->lent_len;
    (void)session;
    (void)id;
    (void)buf;
    (void)user;
    if (there == 0 && !s->sent) {
        s->deferred = true;
        return NGHTTP2_ERR_DEFERRED;
    }
    bool wrong = s->spoilt || (s->length_sent && s->send_left > 0);
    if (there == 0 && wrong) /* what was announced is not there: the peer must not take it for complete */
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    size_t n = there < length ? there : length;
    if (n > 0)
        *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    return n == there && s->sent && !wrong ? end_of_body(s, n, flags) : (ssize_t)n;
}

/* Only what lies in the reactor's read buffer is known to stay until the flush. */
static void write_lent(struct weir_outbox *out, const uint8_t *p, size_t n)
{
    const uint8_t *buffer = out->reactor->read_buffer;
    bool stays = buffer != NULL && p >= buffer && p < buffer + WEIR_READ_BUFFER_BYTES;
    if (n < WEIR_OUTBOX_COPY_MAX || !stays) {
        weir_outbox_copy(out, p, n);
        return;
    }
    weir_outbox_ref(out, p, n);
    out->reactor->read_buffer_lent = true;
}

static int send_data(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *head, size_t length,
                     nghttp2_data_source *source, void *user)
{
    struct weir_h2 *h = user;
    struct weir_h2_stream *s = source->ptr;
    (void)session;
    (void)frame;
    if (weir_outbox_room(h->codec.out) == 0)
        return NGHTTP2_ERR_WOULDBLOCK;
    weir_outbox_copy(h->codec.out, head, 9);
    size_t kept = s->out.len < length ? s->out.len : length;
    if (kept > 0) {
        weir_outbox_copy(h->codec.out, s->out.p + s->out.at, kept);
        weir_h2_buf_take(h, &s->out, kept);
    }
    if (length > kept) {
        write_lent(h->codec.out, s->lent, length - kept);
        s->lent += length - kept;
        s->lent_len -= length - kept;
    }
    s->taken += length;
    if (s->want_room && s->out.len <= WEIR_STREAM_BACKLOG_MAX / 2)
        weir_h2_stream_due(s);
    return 0;
}

static ssize_t send_frames(nghttp2_session *session, const uint8_t *p, size_t n, int flags, void *user)
{
    struct weir_h2 *h = user;
    (void)session;
    (void)flags;
    if (weir_outbox_room(h->codec.out) == 0)
        return NGHTTP2_ERR_WOULDBLOCK;
    weir_outbox_copy(h->codec.out, p, n);
    return (ssize_t)n;
}

static int on_frame_sent(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct weir_h2 *h = user;
    struct weir_h2_stream *s;
    if (frame->hd.type == NGHTTP2_DATA && h->updates_due + 2 <= WEIR_H2_UPDATES_DUE_MAX)
        h->updates_due += 2;
    switch (frame->hd.type) {
    case NGHTTP2_GOAWAY:
        if (frame->goaway.error_code == NGHTTP2_NO_ERROR || h->terminated)
            break;
        h->terminated = true; /* by nghttp2 */
        h->reason = WEIR_RESET_PROTOCOL;
        h->detail = nghttp2_http2_strerror(frame->goaway.error_code);
        break;
    case NGHTTP2_HEADERS:
    case NGHTTP2_DATA:
        s = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
        if (s == NULL)
            break;
        if (s->head_mark == 0)
            s->head_mark = h->codec.out->bytes_total + weir_outbox_unsent(h->codec.out);
        if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0 && s->rst_after && !s->remote_ended)
            weir_h2_stream_rst(s, s->rst_code);
        break;
    default:
        break;
    }
    return 0;
}

void weir_h2_send_callbacks(nghttp2_session_callbacks *callbacks)
{
    nghttp2_session_callbacks_set_send_callback(callbacks, send_frames);
    nghttp2_session_callbacks_set_send_data_callback(callbacks, send_data);
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_sent);
}

/* -- heads -- */

static nghttp2_data_provider provider_of(struct weir_h2_stream *s)
{
    return (nghttp2_data_provider){.source = {.ptr = s}, .read_callback = read_body};
}

static bool expects_length(struct weir_str method)
{
    return weir_str_eq(method, WEIR_STR("POST")) || weir_str_eq(method, WEIR_STR("PUT")) ||
           weir_str_eq(method, WEIR_STR("PATCH"));
}

static void announce(struct weir_h2_stream *s, struct nvs *v, int64_t length)
{
    if (length < 0)
        return;
    s->length_sent = true;
    s->send_left = (uint64_t)length;
    nvs_add_length(v, (uint64_t)length);
}

void weir_h2_submit_request(struct weir_h2_stream *s, const struct weir_head *head, bool end)
{
    struct weir_h2 *h = s->h;
    struct nvs v;
    nghttp2_data_provider provider = provider_of(s);
    if (!nvs_open(h, &v, head->fields.count)) {
        no_memory(s);
        return;
    }
    nvs_add(&v, WEIR_STR(":method"), head->method);
    nvs_add(&v, WEIR_STR(":scheme"), h->options.https ? WEIR_STR("https") : WEIR_STR("http"));
    if (head->authority.len > 0)
        nvs_add(&v, WEIR_STR(":authority"), head->authority);
    nvs_add(&v, WEIR_STR(":path"), head->target);
    nvs_add_fields(&v, &head->fields);
    if (head->te_trailers) /* without it a gRPC server refuses */
        nvs_add(&v, WEIR_STR("te"), WEIR_STR("trailers"));
    if (!end)
        announce(s, &v, head->content_length);
    else if (head->content_length >= 0 || expects_length(head->method))
        nvs_add_length(&v, 0);
    int32_t id = nghttp2_submit_request(h->session, NULL, v.at, v.count, end ? NULL : &provider, s);
    nvs_close(h, &v);
    if (id == NGHTTP2_ERR_STREAM_ID_NOT_AVAILABLE) {
        s->unprocessed = true;
        weir_h2_stream_closed(s);
        weir_h2_stream_fail_later(s, WEIR_RESET_REFUSED, "no stream ids are left");
    } else if (id < 0) {
        no_memory(s);
    } else {
        s->id = id;
        s->submitted = true;
    }
}

void weir_h2_submit_interim(struct weir_h2_stream *s, const struct weir_head *head)
{
    struct weir_h2 *h = s->h;
    struct nvs v;
    char status[4];
    if (s->closed)
        return;
    if (!nvs_open(h, &v, head->fields.count)) {
        no_memory(s);
        return;
    }
    nvs_add_status(&v, head->status, status);
    nvs_add_fields(&v, &head->fields);
    if (nghttp2_submit_headers(h->session, NGHTTP2_FLAG_NONE, s->id, NULL, v.at, v.count, s) != 0)
        no_memory(s);
    nvs_close(h, &v);
}

void weir_h2_submit_response(struct weir_h2_stream *s, const struct weir_head *head, bool end)
{
    struct weir_h2 *h = s->h;
    struct nvs v;
    char status[4];
    bool bodiless = s->head_method || head->status == 204 || head->status == 304;
    nghttp2_data_provider provider = provider_of(s);
    if (s->closed)
        return;
    if (!nvs_open(h, &v, head->fields.count)) {
        no_memory(s);
        return;
    }
    nvs_add_status(&v, head->status, status);
    nvs_add_fields(&v, &head->fields);
    if (bodiless && head->content_length >= 0 && head->status != 204)
        nvs_add_length(&v, (uint64_t)head->content_length); /* of the body that is not here */
    else if (!bodiless && end)
        nvs_add_length(&v, 0);
    else if (!bodiless)
        announce(s, &v, head->content_length);
    s->mute |= bodiless;
    s->bodiless = bodiless;
    if (nghttp2_submit_response(h->session, s->id, v.at, v.count, end || bodiless ? NULL : &provider) != 0)
        no_memory(s);
    nvs_close(h, &v);
}

/* The user's text need not outlive the call. False: out of memory. */
static bool keep_trailers(struct weir_h2_stream *s, const struct weir_fields *trailers)
{
    size_t text = 0, count = 0;
    for (size_t i = 0; i < trailers->count; i++)
        text += trailers->at[i].name.len + trailers->at[i].value.len;
    nghttp2_nv *block = weir_h2_alloc(s->h, trailers->count * sizeof *block + text);
    if (block == NULL)
        return false;
    char *at = (char *)(block + trailers->count);
    for (size_t i = 0; i < trailers->count; i++) {
        const struct weir_field *field = &trailers->at[i];
        if (left_out(field->id))
            continue;
        block[count++] = nv_of((struct weir_str){at, field->name.len},
                               (struct weir_str){at + field->name.len, field->value.len}, flags_of(field));
        memcpy(at, field->name.ptr, field->name.len);
        at += field->name.len;
        if (field->value.len > 0)
            memcpy(at, field->value.ptr, field->value.len);
        at += field->value.len;
    }
    s->end_fields = block;
    s->end_count = count;
    return true;
}

void weir_h2_submit_end(struct weir_h2_stream *s, const struct weir_fields *trailers)
{
    if (s->mute)
        return;
    if (trailers != NULL && trailers->count > 0 && !keep_trailers(s, trailers))
        no_memory(s);
    weir_h2_stream_resume(s);
}
