#include "http/h1.h"

#include <assert.h>
#include <stdlib.h>

struct weir_h1 *weir_h1_new(const struct weir_codec_ops *ops, const struct weir_http_limits *limits,
                            const struct weir_codec_events *events, void *owner, struct weir_outbox *out)
{
    struct weir_h1 *h = calloc(1, sizeof *h);
    if (h == NULL)
        return NULL;
    h->codec = (struct weir_codec){.ops = ops, .events = events, .owner = owner, .out = out, .exchanges_max = 1};
    h->limits = limits;
    return h;
}

size_t weir_h1_bytes(void)
{
    return sizeof(struct weir_h1);
}

static void drop_trailers(struct weir_h1 *h)
{
    if (h->trailers == NULL)
        return;
    weir_arena_reset(h->trailers);
    free(h->trailers);
    h->trailers = NULL;
    h->head = NULL;
}

static void destroy(struct weir_h1 *h)
{
    drop_trailers(h);
    free(h->kept);
    free(h);
}

void weir_h1_free(struct weir_codec *c)
{
    struct weir_h1 *h = weir_h1_of(c);
    h->dead = true;
    h->open = false;
    if (h->depth == 0)
        destroy(h);
}

void weir_h1_enter(struct weir_h1 *h)
{
    assert(!h->dead && h->depth < UINT8_MAX);
    h->depth++;
}

void weir_h1_leave(struct weir_h1 *h)
{
    if (--h->depth == 0 && h->dead)
        destroy(h);
}

/* Whether bytes still mean something to somebody. */
static bool listening(const struct weir_h1 *h)
{
    return !h->dead && !h->closed && !h->aborted;
}

static bool keep(struct weir_h1 *h, const uint8_t *p, size_t n)
{
    h->kept = malloc(n);
    if (h->kept == NULL)
        return false;
    memcpy(h->kept, p, n);
    h->kept_at = 0;
    h->kept_len = (uint32_t)n;
    return true;
}

bool weir_h1_pump(struct weir_h1 *h, const uint8_t *p, size_t n, weir_h1_eat eat)
{
    assert(h->kept_len == 0 || n == 0); /* want() was 0 */
    size_t used = 1;
    while (h->kept_len > 0 && used > 0 && listening(h)) {
        used = eat(h, h->kept + h->kept_at, h->kept_len);
        h->kept_at += (uint32_t)used;
        h->kept_len -= (uint32_t)used;
    }
    if (h->kept_len == 0) {
        free(h->kept);
        h->kept = NULL;
    }
    while (n > 0 && used > 0 && listening(h)) {
        used = eat(h, p, n);
        p += used;
        n -= used;
    }
    return n == 0 || !listening(h) || keep(h, p, n);
}

void weir_h1_kick(struct weir_h1 *h)
{
    if (h->depth == 0)
        weir_stream_again(h->codec.out->stream);
}

void weir_h1_fail(struct weir_h1 *h, enum weir_reset_reason reason, int os_error, const char *detail)
{
    assert(h->open);
    bool untouched = !h->server && h->codec.out->bytes_total <= h->unsent_mark;
    struct weir_reset why = {
        .reason = reason,
        .unprocessed = untouched ? WEIR_UNPROCESSED_CERTAIN : WEIR_UNPROCESSED_MAYBE,
        .response_begun = h->begun,
        .os_error = os_error,
        .detail = detail,
    };
    h->open = false;
    h->codec.exchanges_open = 0;
    drop_trailers(h);
    h->head = NULL;
    h->x.events->reset(&h->x, &why);
}

void weir_h1_closed(struct weir_h1 *h, enum weir_reset_reason reason, int os_error, const char *detail)
{
    if (h->closed || h->dead)
        return;
    struct weir_reset why = {.reason = reason, .response_begun = h->begun, .os_error = os_error, .detail = detail};
    h->closed = true;
    h->phase = WEIR_H1_CLOSING;
    h->codec.events->closed(&h->codec, &why);
}

void weir_h1_settle(struct weir_h1 *h)
{
    if (h->dead || h->closed)
        return;
    if (h->broken && h->open)
        weir_h1_fail(h, WEIR_RESET_INTERNAL, 0, weir_h1_no_memory.message);
    if (h->broken)
        weir_h1_closed(h, WEIR_RESET_INTERNAL, 0, weir_h1_no_memory.message);
    else if (h->aborted)
        weir_h1_closed(h, (enum weir_reset_reason)h->abort_reason, 0, "the exchange was reset");
}

void weir_h1_next_message(struct weir_h1 *h)
{
    llhttp_reset(&h->parser);
    h->head = NULL;
    h->bad = NULL;
    h->body_total = 0;
    h->framing_bytes = 0;
    h->dropped = 0;
    h->complete = h->drop_body = false;
}

static size_t smaller(uint64_t a, uint64_t b)
{
    return (size_t)(a < b ? a : b);
}

size_t weir_h1_want_body(const struct weir_h1 *h)
{
    uint64_t some = h->drop_body ? WEIR_H1_READ_BYTES : h->credit;
    if (h->framing == WEIR_H1_UNTIL_CLOSE)
        return smaller(some, SIZE_MAX);
    uint64_t left = h->framing == WEIR_H1_LENGTH ? h->body_left : h->parser.content_length;
    return left > some ? smaller(some, SIZE_MAX) : smaller(some, left + WEIR_H1_READ_BYTES);
}

enum weir_h1_step weir_h1_eat_body(struct weir_h1 *h, const uint8_t *p, size_t n, size_t *used)
{
    size_t some = h->drop_body ? n : smaller(n, h->credit);
    *used = 0;
    if (some == 0)
        return WEIR_H1_MORE;
    if (h->framing == WEIR_H1_CHUNKED)
        return weir_h1_eat_chunked(h, p, some, used);
    if (h->framing == WEIR_H1_LENGTH) {
        some = smaller(some, h->body_left);
        h->body_left -= some;
    }
    *used = some;
    if (!weir_h1_deliver_body(h, p, some))
        return h->open ? WEIR_H1_BAD : WEIR_H1_STOPPED;
    return h->framing == WEIR_H1_LENGTH && h->body_left == 0 ? WEIR_H1_COMPLETE : WEIR_H1_MORE;
}

void weir_h1_deliver_end(struct weir_h1 *h)
{
    struct weir_fields *trailers = NULL;
    h->phase = WEIR_H1_DONE;
    if (h->trailers != NULL && h->head->head.fields.count > 0) {
        trailers = weir_arena_alloc(h->x.arena, sizeof *trailers);
        if (trailers != NULL)
            *trailers = (struct weir_fields){0};
        if (trailers == NULL || !weir_fields_copy(trailers, h->x.arena, &h->head->head.fields)) {
            weir_h1_fail(h, WEIR_RESET_INTERNAL, 0, weir_h1_no_memory.message);
            weir_h1_closed(h, WEIR_RESET_INTERNAL, 0, weir_h1_no_memory.message);
            return;
        }
    }
    drop_trailers(h);
    h->x.events->end(&h->x, trailers);
}

void weir_h1_give_room(struct weir_h1 *h)
{
    size_t room = weir_outbox_room(h->codec.out);
    if (!h->open || !h->want_room || room == 0)
        return;
    h->want_room = false;
    bool paused = h->credit == 0;
    h->x.events->room(&h->x, room);
    if (paused && !h->dead && h->open && h->credit > 0) /* granted in there, and no reader is on the stack to go on */
        weir_stream_again(h->codec.out->stream);
}

size_t weir_h1_room(const struct weir_exchange *x)
{
    return weir_outbox_room(weir_h1_of_exchange(x)->codec.out);
}

void weir_h1_grant(struct weir_exchange *x, size_t bytes)
{
    struct weir_h1 *h = weir_h1_of_exchange(x);
    assert(h->open);
    bool paused = h->credit == 0;
    h->credit = bytes > UINT64_MAX - h->credit ? UINT64_MAX : h->credit + bytes;
    if (paused)
        weir_h1_kick(h);
}

void weir_h1_reset(struct weir_exchange *x, enum weir_reset_reason reason)
{
    struct weir_h1 *h = weir_h1_of_exchange(x);
    assert(h->open);
    h->open = false;
    h->codec.exchanges_open = 0;
    h->aborted = true;
    h->abort_reason = (uint8_t)reason;
    weir_h1_kick(h);
}

size_t weir_h1_send_body(struct weir_exchange *x, const void *p, size_t n)
{
    struct weir_h1 *h = weir_h1_of_exchange(x);
    assert(h->open && h->head_sent && !h->sent);
    if (n > 0)
        weir_h1_write_body(h, p, n);
    size_t room = weir_outbox_room(h->codec.out);
    h->want_room = room == 0;
    return room;
}
