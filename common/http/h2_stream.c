#include "http/h2_impl.h"

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>

/* -- memory: what stands before each block -- */

union block {
    struct {
        struct weir_list all; /* in h->blocks */
        size_t n;
    };
    max_align_t align;
};

static void *take_in(struct weir_h2 *h, union block *block, size_t n)
{
    block->n = n;
    h->bytes += n + sizeof *block;
    weir_list_push_back(&h->blocks, &block->all);
    return block + 1;
}

static void let_go(struct weir_h2 *h, union block *block)
{
    h->bytes -= block->n + sizeof *block;
    weir_list_remove(&block->all);
}

/* A token or two; with its block 512 bytes, which the allocator keeps at hand for the next. */
#define BUF_BYTES_MIN (512 - sizeof(union block))

void *weir_h2_alloc(struct weir_h2 *h, size_t n)
{
    union block *block = n <= SIZE_MAX - sizeof *block ? malloc(sizeof *block + n) : NULL;
    return block != NULL ? take_in(h, block, n) : NULL;
}

void *weir_h2_realloc(struct weir_h2 *h, void *p, size_t n)
{
    if (p == NULL)
        return weir_h2_alloc(h, n);
    union block *block = (union block *)p - 1;
    size_t before = block->n;
    let_go(h, block);
    union block *grown = n <= SIZE_MAX - sizeof *block ? realloc(block, sizeof *block + n) : NULL;
    if (grown != NULL)
        return take_in(h, grown, n);
    take_in(h, block, before);
    return NULL;
}

void weir_h2_release(struct weir_h2 *h, void *p)
{
    if (p == NULL)
        return;
    union block *block = (union block *)p - 1;
    let_go(h, block);
    free(block);
}

void weir_h2_release_all(struct weir_h2 *h)
{
    for (struct weir_list *l; (l = weir_list_pop_front(&h->blocks)) != NULL;)
        free(WEIR_CONTAINER(l, union block, all));
    h->bytes = 0;
}

bool weir_h2_buf_add(struct weir_h2 *h, struct weir_h2_buf *b, const void *p, size_t n)
{
    if (n == 0)
        return true;
    if (b->at + b->len + n > b->cap) {
        size_t need = b->len + n, cap = b->cap > 0 ? b->cap : BUF_BYTES_MIN;
        while (cap < need)
            cap *= 2;
        /* moved in place only when that frees at least half, or many small additions would move much each */
        if (cap > b->cap || b->len > b->cap / 2) {
            uint8_t *grown = weir_h2_alloc(h, cap > b->cap ? cap : cap * 2);
            if (grown == NULL)
                return false;
            if (b->len > 0)
                memcpy(grown, b->p + b->at, b->len);
            weir_h2_release(h, b->p);
            b->cap = cap > b->cap ? cap : cap * 2;
            b->p = grown;
        } else {
            memmove(b->p, b->p + b->at, b->len);
        }
        b->at = 0;
    }
    memcpy(b->p + b->at + b->len, p, n);
    b->len += n;
    return true;
}

void weir_h2_buf_free(struct weir_h2 *h, struct weir_h2_buf *b)
{
    weir_h2_release(h, b->p);
    *b = (struct weir_h2_buf){0};
}

void weir_h2_buf_take(struct weir_h2 *h, struct weir_h2_buf *b, size_t n)
{
    assert(n <= b->len);
    b->at += n;
    b->len -= n;
    if (b->len == 0)
        weir_h2_buf_free(h, b);
}

/* -- a stream's life -- */

struct weir_h2_stream *weir_h2_stream_new(struct weir_h2 *h, const struct weir_exchange_ops *ops)
{
    struct weir_h2_stream *s = h->spare;
    h->spare = NULL;
    if (s == NULL)
        s = weir_h2_alloc(h, sizeof *s);
    if (s == NULL)
        return NULL;
    *s = (struct weir_h2_stream){.x = {.ops = ops}, .h = h, .length = WEIR_LENGTH_UNKNOWN};
    weir_list_init(&s->due);
    weir_list_push_back(&h->streams, &s->all);
    s->counted = true;
    h->held++;
    h->live++;
    h->codec.exchanges_total++;
    h->codec.exchanges_open++;
    return s;
}

static void drop_trailers(struct weir_h2_stream *s)
{
    if (s->trailers == NULL)
        return;
    weir_arena_reset(s->trailers);
    weir_h2_release(s->h, s->trailers);
    s->trailers = NULL;
    s->head = NULL;
}

static void release_if_done(struct weir_h2_stream *s)
{
    struct weir_h2 *h = s->h;
    if (!s->over || !s->closed)
        return;
    drop_trailers(s);
    if (!s->reading)
        weir_h2_buf_free(h, &s->in);
    weir_h2_buf_free(h, &s->out);
    weir_h2_release(h, s->end_fields);
    s->end_fields = NULL;
    weir_list_remove(&s->due);
    weir_list_remove(&s->all);
    weir_list_push_back(&h->grave, &s->all);
}

void weir_h2_bury(struct weir_h2 *h)
{
    for (struct weir_list *l; (l = weir_list_pop_front(&h->grave)) != NULL;) {
        struct weir_h2_stream *s = WEIR_CONTAINER(l, struct weir_h2_stream, all);
        if (h->spare == NULL)
            h->spare = s;
        else
            weir_h2_release(h, s);
    }
}

void weir_h2_stream_uncount(struct weir_h2_stream *s)
{
    if (s->counted)
        s->h->codec.exchanges_open--;
    s->counted = false;
}

static void consume(struct weir_h2_stream *s, size_t n)
{
    if (nghttp2_session_consume(s->h->session, s->id, n) != 0)
        weir_h2_break(s->h, WEIR_RESET_INTERNAL, weir_h1_no_memory.message);
}

/* What it has kept for its user is read by nobody: the windows get it back. */
void weir_h2_stream_drop_input(struct weir_h2_stream *s)
{
    if (s->in.len > 0)
        consume(s, s->in.len);
    s->in.len = 0;
    if (!s->reading)
        weir_h2_buf_free(s->h, &s->in);
}

void weir_h2_stream_over(struct weir_h2_stream *s)
{
    struct weir_h2 *h = s->h;
    if (s->over)
        return;
    s->over = true;
    s->want_room = false;
    weir_h2_stream_uncount(s);
    weir_h2_stream_drop_input(s);
    weir_list_remove(&s->due);
    if (--h->held == 0)
        h->idle_due = true;
    release_if_done(s);
}

void weir_h2_stream_closed(struct weir_h2_stream *s)
{
    struct weir_h2 *h = s->h;
    if (s->closed)
        return;
    s->closed = s->mute = true;
    weir_h2_buf_free(h, &s->out);
    h->live--;
    h->slots_due = true;
    if (s->want_room)
        weir_h2_stream_due(s);
    release_if_done(s);
}

void weir_h2_stream_due(struct weir_h2_stream *s)
{
    if (!s->over && weir_list_empty(&s->due))
        weir_list_push_back(&s->h->due, &s->due);
    weir_h2_kick(s->h);
}

void weir_h2_stream_rst(struct weir_h2_stream *s, uint32_t code)
{
    if (s->closed)
        return;
    if (!s->submitted) { /* nghttp2 never heard of it */
        weir_h2_stream_closed(s);
        return;
    }
    if (nghttp2_submit_rst_stream(s->h->session, NGHTTP2_FLAG_NONE, s->id, code) != 0)
        weir_h2_break(s->h, WEIR_RESET_INTERNAL, weir_h1_no_memory.message);
}

void weir_h2_stream_fail(struct weir_h2_stream *s, enum weir_reset_reason reason, const char *detail)
{
    struct weir_h2 *h = s->h;
    if (s->over)
        return;
    bool unsent = !h->server && (s->head_mark == 0 || h->codec.out->bytes_total < s->head_mark);
    bool certain = !h->server && !s->begun && (s->unprocessed || unsent);
    struct weir_reset why = {.reason = reason,
                             .unprocessed = certain ? WEIR_UNPROCESSED_CERTAIN : WEIR_UNPROCESSED_MAYBE,
                             .response_begun = s->begun,
                             .os_error = h->error,
                             .detail = detail};
    struct weir_exchange *x = &s->x;
    weir_h2_stream_over(s);
    x->events->reset(x, &why);
}

void weir_h2_stream_fail_later(struct weir_h2_stream *s, enum weir_reset_reason reason, const char *detail)
{
    if (s->over || s->fail_due)
        return;
    s->fail_due = true;
    s->fail_reason = (uint8_t)reason;
    s->fail_detail = detail;
    weir_h2_stream_due(s);
}

/* -- receiving -- */

/* False: nobody is there any more. */
static bool hand_on(struct weir_h2_stream *s, const uint8_t *p, size_t n)
{
    struct weir_h2 *h = s->h;
    s->credit -= n;
    consume(s, n);
    s->x.events->body(&s->x, p, n);
    return !h->dead && !s->over;
}

void weir_h2_stream_body(struct weir_h2_stream *s, const uint8_t *p, size_t n)
{
    struct weir_h2 *h = s->h;
    while (n > 0 && s->in.len == 0 && s->credit > 0) { /* more may be granted meanwhile */
        size_t now = s->credit < n ? (size_t)s->credit : n;
        bool go_on = hand_on(s, p, now);
        p += now;
        n -= now;
        if (go_on)
            continue;
        if (n > 0 && !h->dead)
            consume(s, n);
        return;
    }
    if (n > 0 && !weir_h2_buf_add(h, &s->in, p, n)) {
        consume(s, n);
        weir_h2_break(h, WEIR_RESET_INTERNAL, weir_h1_no_memory.message);
    }
}

static void check_over(struct weir_h2_stream *s)
{
    if (s->received && s->sent && !s->over)
        weir_h2_stream_over(s);
}

static void deliver_end(struct weir_h2_stream *s)
{
    struct weir_h2 *h = s->h;
    struct weir_fields *trailers = NULL;
    if (s->trailers != NULL && s->head->head.fields.count > 0) {
        trailers = weir_arena_alloc(s->x.arena, sizeof *trailers);
        if (trailers != NULL)
            *trailers = (struct weir_fields){0};
        if (trailers == NULL || !weir_fields_copy(trailers, s->x.arena, &s->head->head.fields)) {
            weir_h2_break(h, WEIR_RESET_INTERNAL, weir_h1_no_memory.message);
            return;
        }
    }
    drop_trailers(s);
    s->received = true;
    s->x.events->end(&s->x, trailers);
    if (!h->dead)
        check_over(s);
}

void weir_h2_stream_end(struct weir_h2_stream *s)
{
    s->remote_ended = true;
    if (s->in.len == 0 && !s->refused)
        deliver_end(s);
}

static void tell_room(struct weir_h2_stream *s)
{
    size_t room = weir_h2_room(&s->x);
    if (!s->want_room || room == 0)
        return;
    s->want_room = false;
    s->x.events->room(&s->x, room);
}

/* Kept bytes, as far as the credit goes. Their user may end the exchange meanwhile: the buffer is not freed under it.
 */
static void tell_kept(struct weir_h2_stream *s)
{
    struct weir_h2 *h = s->h;
    s->reading = true;
    while (s->in.len > 0 && s->credit > 0) {
        size_t n = s->credit < s->in.len ? (size_t)s->credit : s->in.len;
        const uint8_t *p = s->in.p + s->in.at;
        s->in.at += n;
        s->in.len -= n;
        if (!hand_on(s, p, n))
            break;
    }
    s->reading = false;
    if (s->in.len == 0)
        weir_h2_buf_free(h, &s->in);
}

static void tell(struct weir_h2_stream *s)
{
    struct weir_h2 *h = s->h;
    if (s->fail_due) {
        weir_h2_stream_fail(s, (enum weir_reset_reason)s->fail_reason, s->fail_detail);
        return;
    }
    tell_kept(s);
    if (!h->dead && !s->over && s->remote_ended && !s->received && s->in.len == 0 && !s->refused)
        deliver_end(s);
    if (!h->dead && !s->over)
        tell_room(s);
}

void weir_h2_tell_due(struct weir_h2 *h)
{
    struct weir_list now;
    weir_list_init(&now);
    weir_list_splice(&now, &h->due);
    for (struct weir_list *l; !h->dead && (l = weir_list_pop_front(&now)) != NULL;)
        tell(WEIR_CONTAINER(l, struct weir_h2_stream, due));
    if (!h->dead)
        weir_list_splice(&h->due, &now);
}

/* -- downcalls -- */

void weir_h2_stream_resume(struct weir_h2_stream *s)
{
    if (!s->deferred)
        return;
    s->deferred = false;
    if (nghttp2_is_fatal(nghttp2_session_resume_data(s->h->session, s->id)) != 0)
        weir_h2_break(s->h, WEIR_RESET_INTERNAL, weir_h1_no_memory.message);
}

size_t weir_h2_room(const struct weir_exchange *x)
{
    const struct weir_h2_stream *s = WEIR_CONTAINER(x, const struct weir_h2_stream, x);
    if (s->mute)
        return WEIR_STREAM_BACKLOG_MAX;
    return s->out.len >= WEIR_STREAM_BACKLOG_MAX ? 0 : WEIR_STREAM_BACKLOG_MAX - s->out.len;
}

size_t weir_h2_send_body(struct weir_exchange *x, const void *p, size_t n)
{
    struct weir_h2_stream *s = weir_h2_stream_of(x);
    struct weir_h2 *h = s->h;
    assert(!s->over && s->head_sent && !s->sent);
    if (s->length_sent) {
        s->spoilt |= n > s->send_left;
        n = n > s->send_left ? (size_t)s->send_left : n;
        s->send_left -= n;
    }
    if (n > 0 && !s->mute) {
        weir_h2_stream_resume(s);
        if (h->depth == 0 && n >= WEIR_OUTBOX_COPY_MAX) {
            s->lent = p;
            s->lent_len = n;
            weir_h2_push(h);
            p = s->lent;
            n = s->lent_len;
            s->lent = NULL;
            s->lent_len = 0;
        }
        if (!s->mute && !weir_h2_buf_add(h, &s->out, p, n))
            weir_h2_break(h, WEIR_RESET_INTERNAL, weir_h1_no_memory.message);
        weir_h2_stream_resume(s);
        weir_h2_push(h);
    }
    size_t room = weir_h2_room(x);
    s->want_room = room == 0;
    return room;
}

void weir_h2_grant(struct weir_exchange *x, size_t bytes)
{
    struct weir_h2_stream *s = weir_h2_stream_of(x);
    assert(!s->over);
    s->credit = bytes > UINT64_MAX - s->credit ? UINT64_MAX : s->credit + bytes;
    if (s->in.len > 0 && bytes > 0 && !s->reading)
        weir_h2_stream_due(s);
}

static uint32_t code_of(enum weir_reset_reason reason)
{
    switch (reason) {
    case WEIR_RESET_PROTOCOL:
        return NGHTTP2_PROTOCOL_ERROR;
    case WEIR_RESET_REFUSED:
        return NGHTTP2_REFUSED_STREAM;
    case WEIR_RESET_CANCEL:
    case WEIR_RESET_TOO_LARGE:
        return NGHTTP2_CANCEL;
    default:
        return NGHTTP2_INTERNAL_ERROR;
    }
}

void weir_h2_reset(struct weir_exchange *x, enum weir_reset_reason reason)
{
    struct weir_h2_stream *s = weir_h2_stream_of(x);
    struct weir_h2 *h = s->h;
    assert(!s->over);
    weir_h2_stream_rst(s, s->refused ? NGHTTP2_PROTOCOL_ERROR : code_of(reason));
    weir_h2_stream_over(s);
    weir_h2_push(h);
    weir_h2_kick(h); /* idle or slots may be due */
}

uint64_t weir_h2_taken(const struct weir_exchange *x)
{
    return WEIR_CONTAINER(x, const struct weir_h2_stream, x)->taken;
}

bool weir_h2_stalled(const struct weir_exchange *x)
{
    const struct weir_h2_stream *s = WEIR_CONTAINER(x, const struct weir_h2_stream, x);
    if (s->closed || s->out.len == 0 || s->id == 0)
        return false;
    return nghttp2_session_get_stream_remote_window_size(s->h->session, s->id) <= 0 ||
           nghttp2_session_get_remote_window_size(s->h->session) <= 0;
}
