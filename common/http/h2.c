#include "http/h2_impl.h"

#include <assert.h>
#include <stdlib.h>

void weir_h2_options_init(struct weir_h2_options *o, bool server)
{
    *o = (struct weir_h2_options){
        .streams_max = WEIR_H2_STREAMS_MAX,
        .stream_window = server ? WEIR_H2_SERVER_STREAM_WINDOW : WEIR_H2_STREAM_WINDOW,
        .conn_window = server ? WEIR_H2_SERVER_CONN_WINDOW : WEIR_H2_CONN_WINDOW,
        .resets_per_second_max = server ? WEIR_H2_RESETS_PER_SECOND : 0,
        .noise_per_second_max = WEIR_H2_NOISE_PER_SECOND,
    };
}

/* -- nghttp2's memory -- */

static void *mem_malloc(size_t n, void *h)
{
    return weir_h2_alloc(h, n);
}

static void mem_free(void *p, void *h)
{
    weir_h2_release(h, p);
}

static void *mem_calloc(size_t count, size_t n, void *h)
{
    if (n > 0 && count > SIZE_MAX / n)
        return NULL;
    void *p = weir_h2_alloc(h, count * n);
    return p != NULL ? memset(p, 0, count * n) : NULL;
}

static void *mem_realloc(void *p, size_t n, void *h)
{
    return weir_h2_realloc(h, p, n);
}

static void destroy(struct weir_h2 *h)
{
    WEIR_LIST_EACH(l, &h->streams)
    {
        struct weir_h2_stream *s = WEIR_CONTAINER(l, struct weir_h2_stream, all);
        if (s->trailers != NULL)
            weir_arena_reset(s->trailers);
    }
    weir_h2_release_all(h);
    free(h);
}

/* -- making one -- */

static int new_session(struct weir_h2 *h)
{
    nghttp2_session_callbacks *callbacks = NULL;
    nghttp2_option *option = NULL;
    int rv = NGHTTP2_ERR_NOMEM;
    if (nghttp2_session_callbacks_new(&callbacks) != 0)
        return rv;
    if (nghttp2_option_new(&option) != 0)
        goto out_callbacks;
    weir_h2_recv_callbacks(callbacks);
    weir_h2_send_callbacks(callbacks);
    nghttp2_option_set_no_auto_window_update(option, 1);
    nghttp2_option_set_no_http_messaging(option, 1); /* h2_check.c does it, and can answer */
    nghttp2_option_set_no_closed_streams(option, 1);
    nghttp2_option_set_max_outbound_ack(option, WEIR_H2_ACKS_MAX);
    nghttp2_option_set_max_continuations(option,
                                         WEIR_H2_CONTINUATIONS_MAX + h->limits->head_bytes_max / WEIR_H2_FRAME_BYTES);
    nghttp2_option_set_max_send_header_block_length(option, WEIR_H2_SEND_HEAD_BYTES_MAX);
    nghttp2_option_set_builtin_recv_extension_type(option, NGHTTP2_PRIORITY_UPDATE);
    if (h->server)
        rv = nghttp2_session_server_new3(&h->session, callbacks, h, option, &h->mem);
    else
        rv = nghttp2_session_client_new3(&h->session, callbacks, h, option, &h->mem);
    nghttp2_option_del(option);
out_callbacks:
    nghttp2_session_callbacks_del(callbacks);
    return rv;
}

static int submit_settings(struct weir_h2 *h)
{
    const struct weir_h2_options *o = &h->options;
    size_t head_max = h->limits->head_bytes_max;
    nghttp2_settings_entry entries[5];
    size_t n = 0;
    entries[n++] = (nghttp2_settings_entry){NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, o->stream_window};
    entries[n++] = (nghttp2_settings_entry){NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE,
                                            head_max < UINT32_MAX ? (uint32_t)head_max : UINT32_MAX};
    if (h->server) {
        entries[n++] = (nghttp2_settings_entry){NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, o->streams_max};
        entries[n++] = (nghttp2_settings_entry){NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1};
    } else {
        entries[n++] = (nghttp2_settings_entry){NGHTTP2_SETTINGS_ENABLE_PUSH, 0};
    }
    int rv = nghttp2_submit_settings(h->session, NGHTTP2_FLAG_NONE, entries, n);
    if (rv == 0)
        rv = nghttp2_session_set_local_window_size(h->session, NGHTTP2_FLAG_NONE, 0, (int32_t)o->conn_window);
    return rv;
}

struct weir_h2 *weir_h2_new(const struct weir_codec_ops *ops, const struct weir_http_limits *limits,
                            const struct weir_h2_options *options, const struct weir_codec_events *events, void *owner,
                            struct weir_outbox *out, bool server)
{
    assert(options->stream_window <= INT32_MAX && options->conn_window <= INT32_MAX && options->streams_max > 0);
    struct weir_h2 *h = calloc(1, sizeof *h);
    if (h == NULL)
        return NULL;
    h->codec = (struct weir_codec){.ops = ops, .events = events, .owner = owner, .out = out};
    h->limits = limits;
    h->options = *options;
    h->server = server;
    h->mem = (nghttp2_mem){h, mem_malloc, mem_free, mem_calloc, mem_realloc};
    weir_list_init(&h->streams);
    weir_list_init(&h->due);
    weir_list_init(&h->grave);
    weir_list_init(&h->blocks);
    if (new_session(h) != 0 || submit_settings(h) != 0) {
        destroy(h);
        return NULL;
    }
    if (!server)
        weir_h2_capacity(h);
    h->slots_due = false;
    weir_stream_again(out->stream); /* the preface */
    return h;
}

void weir_h2_free(struct weir_codec *c)
{
    struct weir_h2 *h = weir_h2_of(c);
    h->dead = true;
    if (h->depth == 0)
        destroy(h);
}

size_t weir_h2_bytes(const struct weir_codec *c)
{
    return sizeof(struct weir_h2) + weir_h2_of_const(c)->bytes;
}

/* -- what may be open at once -- */

void weir_h2_capacity(struct weir_h2 *h)
{
    uint32_t peer = nghttp2_session_get_remote_settings(h->session, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
    uint32_t assumed = h->settled ? peer : WEIR_H2_STREAMS_MAX;
    bool usable = !h->draining && !h->broken && !h->terminated && !h->eof && !h->closed &&
                  nghttp2_session_check_request_allowed(h->session) != 0 &&
                  nghttp2_session_get_next_stream_id(h->session) < INT32_MAX - 2 * WEIR_H2_STREAMS_MAX;
    uint32_t max = !usable ? 0 : assumed < h->options.streams_max ? assumed : h->options.streams_max;
    if (max != h->codec.exchanges_max)
        h->slots_due = true;
    h->codec.exchanges_max = max;
}

/* -- ending it -- */

void weir_h2_break(struct weir_h2 *h, enum weir_reset_reason reason, const char *detail)
{
    if (!h->broken) {
        h->reason = (uint8_t)reason;
        h->detail = detail;
    }
    h->broken = true;
    weir_h2_kick(h);
}

void weir_h2_terminate(struct weir_h2 *h, uint32_t code, const char *detail)
{
    if (h->terminated || h->broken)
        return;
    h->terminated = true;
    h->reason = code == NGHTTP2_NO_ERROR ? WEIR_RESET_CANCEL : WEIR_RESET_PROTOCOL;
    h->detail = detail;
    if (nghttp2_session_terminate_session(h->session, code) != 0)
        weir_h2_break(h, WEIR_RESET_INTERNAL, weir_h1_no_memory.message);
}

/* True: one too many in this second. */
static bool over_limit(struct weir_h2 *h, uint32_t *count, uint32_t max)
{
    uint64_t second = h->codec.out->reactor->now_ms / 1000;
    if (second != h->meter_second) {
        h->meter_second = second;
        h->resets = h->noise = 0;
    }
    return ++*count > max && max > 0;
}

void weir_h2_count_reset(struct weir_h2 *h)
{
    if (over_limit(h, &h->resets, h->options.resets_per_second_max))
        weir_h2_terminate(h, NGHTTP2_ENHANCE_YOUR_CALM, "too many streams reset");
}

void weir_h2_count_noise(struct weir_h2 *h)
{
    if (over_limit(h, &h->noise, h->options.noise_per_second_max))
        weir_h2_terminate(h, NGHTTP2_ENHANCE_YOUR_CALM, "too many frames that move nothing");
}

static void fail_all(struct weir_h2 *h, enum weir_reset_reason reason, const char *detail, bool spare_complete)
{
    struct weir_list now;
    weir_list_init(&now);
    weir_list_splice(&now, &h->streams);
    while (!h->dead && !weir_list_empty(&now)) {
        struct weir_list *l = weir_list_pop_front(&now);
        struct weir_h2_stream *s = WEIR_CONTAINER(l, struct weir_h2_stream, all);
        weir_list_push_back(&h->streams, l);
        if (spare_complete && s->remote_ended && !s->received && !s->over)
            s->mute = true; /* its bytes are here and wait for credit */
        else
            weir_h2_stream_fail(s, reason, detail);
    }
    weir_list_splice(&h->streams, &now);
}

static void tell_closed(struct weir_h2 *h)
{
    struct weir_reset why = {.reason = (enum weir_reset_reason)h->reason, .os_error = h->error, .detail = h->detail};
    h->closed = true;
    h->codec.exchanges_max = 0;
    h->codec.events->closed(&h->codec, &why);
}

/* Nothing more will be said, and everything was. */
static void finish(struct weir_h2 *h)
{
    const struct weir_outbox *out = h->codec.out;
    bool may_send = h->terminated || weir_stream_disturbed(out->stream);
    if (h->server && may_send && !h->eof && !out->failed && !h->broken)
        h->codec.lingering = true;
    else
        tell_closed(h);
}

static void settle(struct weir_h2 *h)
{
    if (h->dead || h->closed || h->codec.lingering)
        return;
    if (h->broken || h->terminated)
        fail_all(h, (enum weir_reset_reason)h->reason, h->detail, false);
    else if (h->eof)
        fail_all(h, (enum weir_reset_reason)h->reason, h->detail, !h->server);
    if (h->dead)
        return;
    if (h->draining && !h->server && h->live == 0 && h->held == 0)
        weir_h2_terminate(h, NGHTTP2_NO_ERROR, h->detail);
    bool over = h->eof || h->broken || nghttp2_session_want_read(h->session) == 0;
    bool out_done = h->codec.out->failed || h->broken ||
                    (weir_outbox_unsent(h->codec.out) == 0 && (h->eof || nghttp2_session_want_write(h->session) == 0));
    if (over && h->held == 0 && out_done)
        finish(h);
}

/* -- entering and leaving -- */

void weir_h2_enter(struct weir_h2 *h)
{
    assert(!h->dead && h->depth < UINT8_MAX);
    h->depth++;
}

void weir_h2_kick(struct weir_h2 *h)
{
    if (h->depth == 0)
        weir_stream_again(h->codec.out->stream);
}

static void send_queued(struct weir_h2 *h)
{
    if (h->broken || h->dead || h->closed || weir_outbox_room(h->codec.out) == 0)
        return;
    h->inside = true;
    int rv = nghttp2_session_send(h->session);
    h->inside = false;
    if (rv == NGHTTP2_ERR_NOMEM)
        weir_h2_break(h, WEIR_RESET_INTERNAL, weir_h1_no_memory.message);
    else if (rv != 0)
        weir_h2_break(h, WEIR_RESET_PROTOCOL, nghttp2_strerror(rv));
}

void weir_h2_push(struct weir_h2 *h)
{
    if (h->depth > 0)
        return;
    h->depth++;
    send_queued(h);
    h->depth--;
    weir_h2_bury(h);
    if (!weir_list_empty(&h->due) || h->broken || h->slots_due || h->idle_due)
        weir_h2_kick(h);
}

/* The owner may close or, on the client side, open the next exchange in either. */
static void tell_owner(struct weir_h2 *h)
{
    if (h->dead || h->closed)
        return;
    if (!h->server)
        weir_h2_capacity(h);
    bool slots = h->slots_due;
    h->slots_due = false;
    if (slots && !h->server && h->codec.events->slots != NULL)
        h->codec.events->slots(&h->codec);
    bool idle = h->idle_due && h->held == 0;
    h->idle_due = false;
    if (idle && !h->dead && !h->broken && !h->terminated && !h->eof)
        h->codec.events->idle(&h->codec, h->server ? !h->draining : h->codec.exchanges_max > 0);
}

void weir_h2_leave(struct weir_h2 *h)
{
    assert(h->depth > 0);
    if (h->depth == 1) {
        send_queued(h);
        weir_h2_tell_due(h);
        settle(h);
        tell_owner(h);
        send_queued(h);
        settle(h);
    }
    if (--h->depth > 0)
        return;
    if (h->dead) {
        destroy(h);
        return;
    }
    weir_h2_bury(h);
    if (!h->closed && (!weir_list_empty(&h->due) || h->slots_due || (h->idle_due && h->held == 0)))
        weir_h2_kick(h);
}

/* -- ops of both sides -- */

size_t weir_h2_want(const struct weir_codec *c)
{
    const struct weir_h2 *h = weir_h2_of_const(c);
    if (c->lingering)
        return WEIR_H2_READ_BYTES;
    if (h->closed || h->broken || h->eof)
        return 0;
    /* a peer that sends what must be answered and does not read the answers */
    bool full = weir_outbox_room(c->out) == 0;
    return full && nghttp2_session_get_outbound_queue_size(h->session) > WEIR_H2_QUEUE_MAX ? 0 : WEIR_H2_READ_BYTES;
}

void weir_h2_feed(struct weir_codec *c, const uint8_t *p, size_t n)
{
    struct weir_h2 *h = weir_h2_of(c);
    weir_h2_enter(h);
    c->bytes_in += n;
    if (n > 0 && !h->broken && !h->closed && !c->lingering) {
        h->inside = h->receiving = true;
        ssize_t rv = nghttp2_session_mem_recv(h->session, p, n);
        h->inside = h->receiving = false;
        if (rv == NGHTTP2_ERR_NOMEM)
            weir_h2_break(h, WEIR_RESET_INTERNAL, weir_h1_no_memory.message);
        else if (rv < 0)
            weir_h2_break(h, WEIR_RESET_PROTOCOL, nghttp2_strerror((int)rv));
    }
    weir_h2_leave(h);
}

void weir_h2_eof(struct weir_codec *c, int error)
{
    struct weir_h2 *h = weir_h2_of(c);
    weir_h2_enter(h);
    if (!h->eof && !h->terminated && !h->broken) {
        h->reason = error == 0 ? WEIR_RESET_PEER_CLOSED : WEIR_RESET_PEER_ERROR;
        h->error = error;
    }
    h->eof = true;
    if (c->lingering) {
        c->lingering = false;
        if (!h->closed)
            tell_closed(h);
    }
    weir_h2_leave(h);
}

void weir_h2_writable(struct weir_codec *c)
{
    struct weir_h2 *h = weir_h2_of(c);
    weir_h2_enter(h);
    if (weir_stream_disturbed(c->out->stream) && weir_h2_want(c) > 0) /* reading may have waited for this */
        weir_stream_again(c->out->stream);
    weir_h2_leave(h);
}

/* -- PING -- */

void weir_h2_ping(struct weir_codec *c)
{
    struct weir_h2 *h = weir_h2_of(c);
    if (h->ping_sent || h->broken || h->closed)
        return;
    if (nghttp2_submit_ping(h->session, NGHTTP2_FLAG_NONE, NULL) != 0)
        weir_h2_break(h, WEIR_RESET_INTERNAL, weir_h1_no_memory.message);
    h->ping_sent = true;
    weir_h2_push(h);
}

bool weir_h2_ping_pending(const struct weir_codec *c)
{
    return weir_h2_of_const(c)->ping_sent;
}

bool weir_h2_settled(const struct weir_codec *c)
{
    return weir_h2_of_const(c)->settled;
}
