/* Drives one HTTP/1.1 codec with bytes from a fuzzer, in two ways.
 *
 * Twins: the bytes go in whole and with plenty of credit, then cut at random with little credit; what the codec says
 * and sends must be the same. Chaos: between and inside the callbacks, any downcall that the contract allows is made.
 *
 * In both, the contract of http/exchange.h is asserted: the order of events, no body byte that was not granted, nothing
 * after the end of an exchange, and never more asked for than is taken. The input's first eight bytes seed the chance.
 */
#ifndef WEIR_TESTS_FUZZ_H1_HARNESS_H
#define WEIR_TESTS_FUZZ_H1_HARNESS_H

#include "http/codec.h"

struct run {
    struct weir_stream stream;
    struct weir_outbox out;
    struct weir_codec *codec; /* NULL once it was freed */
    struct weir_arena arena;
    struct weir_exchange *x; /* NULL when it is not ours */
    uint64_t seed;
    uint64_t said; /* hash of events and of bytes sent */
    uint64_t wrote;
    uint64_t granted;
    bool server, chaos, cut;
    bool head, ended, head_sent, sent, refused; /* of the exchange */
    bool in_body, over;                         /* client: the first response is all that twins compare */
    int failing;                                /* writes fail from now on */
};

#include "codec_run.h"

static void note_sent(struct run *t, const void *p, size_t n)
{
    if (!t->chaos)
        hash(&t->wrote, p, n);
}

static bool has_enough(const struct run *t)
{
    return !t->server && !t->chaos && t->over;
}

static void check_turn(const struct run *t)
{
    (void)t;
}

static void say(struct run *t, const char *word, uint64_t number)
{
    t->in_body = false;
    hash(&t->said, word, strlen(word));
    hash(&t->said, &number, sizeof number);
}

static void say_text(struct run *t, struct weir_str s)
{
    hash(&t->said, &s.len, sizeof s.len);
    hash(&t->said, s.ptr, s.len);
}

static void say_fields(struct run *t, const struct weir_fields *fields)
{
    for (size_t i = 0; fields != NULL && i < fields->count; i++) {
        say_text(t, fields->at[i].name);
        say_text(t, fields->at[i].value);
        for (size_t j = 0; j < fields->at[i].value.len; j++) {
            uint8_t c = (uint8_t)fields->at[i].value.ptr[j];
            assert(c >= ' ' || c == '\t');
        }
    }
}

static void free_codec(struct run *t)
{
    struct weir_codec *c = t->codec;
    t->codec = NULL;
    t->x = NULL;
    t->over = true;
    c->ops->free(c);
}

/* -- the user -- */

static struct weir_head head_to_send(struct run *t, unsigned status)
{
    static const char *const methods[] = {"GET", "POST", "HEAD", "PUT"};
    struct weir_head head = {.status = (uint16_t)status, .content_length = WEIR_LENGTH_UNKNOWN};
    if (t->chaos && chance(t, 2) == 0)
        head.content_length = (int64_t)chance(t, 3000);
    head.close = t->chaos && chance(t, 10) == 0;
    if (!t->server) {
        head.method = weir_str_of(methods[t->chaos ? chance(t, 4) : 0]);
        head.target = WEIR_STR("/");
        head.authority = WEIR_STR("a");
    }
    return head;
}

static void exchange_check_over(struct run *t)
{
    if (t->ended && t->sent)
        t->x = NULL;
}

static void send_end(struct run *t)
{
    struct weir_exchange *x = t->x;
    t->sent = true;
    exchange_check_over(t);
    x->ops->send_end(x, NULL);
}

static void send_head(struct run *t, unsigned status, bool end)
{
    struct weir_exchange *x = t->x;
    struct weir_head head = head_to_send(t, status);
    bool interim = t->server && status < 200;
    t->head_sent = !interim;
    if (end && !interim) {
        t->sent = true;
        exchange_check_over(t);
    }
    x->ops->send_head(x, &head, end);
}

static void downcall(struct run *t)
{
    static const char zeros[20000];
    struct weir_exchange *x = t->x;
    if (x == NULL)
        return;
    switch (chance(t, 12)) {
    case 0:
    case 1:
    case 2: {
        size_t n = (size_t)chance(t, chance(t, 2) == 0 ? 4 : 70000);
        t->granted += n;
        x->ops->grant(x, n);
        break;
    }
    case 3:
    case 4:
        if (!t->head_sent && (t->head || t->refused || !t->server))
            send_head(t, t->server ? (unsigned)(chance(t, 3) == 0 ? 100 : 200 + chance(t, 300)) : 0, chance(t, 3) == 0);
        break;
    case 5:
    case 6:
        if (t->head_sent && !t->sent)
            x->ops->send_body(x, zeros, (size_t)chance(t, chance(t, 4) != 0 ? 1500 : sizeof zeros));
        break;
    case 7:
        if (t->head_sent && !t->sent)
            send_end(t);
        break;
    case 8:
        if (chance(t, 8) == 0) {
            t->x = NULL;
            x->ops->reset(x, WEIR_RESET_CANCEL);
        }
        break;
    case 9:
        if (chance(t, 16) == 0)
            t->codec->ops->drain(t->codec);
        break;
    case 10:
        if (chance(t, 32) == 0)
            free_codec(t);
        break;
    default:
        if (t->head && chance(t, 4) == 0)
            weir_arena_reset(&t->arena);
        break;
    }
}

static void meddle(struct run *t)
{
    for (uint64_t n = t->chaos ? chance(t, 4) : 0; n > 0 && t->x != NULL; n--)
        downcall(t);
}

static void give_credit(struct run *t)
{
    size_t n = t->cut ? (size_t)(1 + chance(t, 30)) : 1000000;
    if (t->chaos || t->x == NULL)
        return;
    t->granted += n;
    t->x->ops->grant(t->x, n);
}

static void on_head(struct weir_exchange *x, struct weir_head *head)
{
    struct run *t = x->user;
    assert(t->x == x && !t->head && !t->ended);
    assert(t->server == (head->status == 0));
    say(t, "head", head->status);
    say(t, "length", (uint64_t)head->content_length);
    say(t, "flags", (uint64_t)(head->version * 8 + head->has_body * 4 + head->expect_continue * 2 + head->keep_alive));
    if (t->server) {
        assert(head->target.len > 0 && (head->target.ptr[0] == '/' || head->target.ptr[0] == '*'));
        say_text(t, head->method);
        say_text(t, head->authority);
        say_text(t, head->target);
    }
    say_fields(t, &head->fields);
    t->head = t->server || head->status >= 200;
    if (t->head)
        give_credit(t);
    meddle(t);
}

static void on_body(struct weir_exchange *x, const uint8_t *p, size_t n)
{
    struct run *t = x->user;
    assert(t->x == x && t->head && !t->ended && n > 0 && n <= t->granted);
    t->granted -= n;
    if (!t->in_body)
        say(t, "body", 0);
    t->in_body = true;
    hash(&t->said, p, n);
    give_credit(t);
    meddle(t);
}

static void on_end(struct weir_exchange *x, const struct weir_fields *trailers)
{
    struct run *t = x->user;
    assert(t->x == x && t->head && !t->ended);
    say(t, "end", 0);
    say_fields(t, trailers);
    t->ended = true;
    if (!t->server)
        t->over = true;
    exchange_check_over(t);
    if (!t->chaos && t->server) {
        send_head(t, 200, false);
        x->ops->send_body(x, "ok", 2);
        send_end(t);
    }
    meddle(t);
}

static void on_reset(struct weir_exchange *x, const struct weir_reset *why)
{
    struct run *t = x->user;
    assert(t->x == x);
    t->x = NULL;
    say(t, "reset", why->reason);
}

static void on_room(struct weir_exchange *x, size_t room)
{
    struct run *t = x->user;
    assert(t->x == x && room > 0 && !t->sent);
    meddle(t);
}

static const struct weir_exchange_events exchange_events = {on_head, on_body, on_end, on_reset, on_room};

static void take(struct run *t, struct weir_exchange *x)
{
    assert(t->x == NULL);
    weir_arena_reset(&t->arena);
    x->events = &exchange_events;
    x->user = t;
    x->arena = &t->arena;
    t->x = x;
    t->head = t->ended = t->head_sent = t->sent = t->refused = false;
    t->granted = 0;
}

/* -- what the codec tells -- */

static bool on_accept(struct weir_codec *c, struct weir_exchange *x)
{
    struct run *t = c->owner;
    if (t->chaos && chance(t, 50) == 0)
        return false;
    take(t, x);
    return true;
}

static void on_malformed(struct weir_codec *c, struct weir_exchange *x, const struct weir_malformed *why, bool after)
{
    struct run *t = c->owner;
    assert(t->x == x && t->head == after && !t->ended && !t->sent);
    say(t, why->code, why->status);
    t->ended = t->refused = true;
    if (!t->chaos)
        send_head(t, why->status, true);
    meddle(t);
}

static void open_next(struct run *t)
{
    struct weir_exchange *x = t->codec->ops->open(t->codec);
    if (x == NULL)
        return;
    take(t, x);
    send_head(t, 0, !t->chaos || chance(t, 2) == 0);
    meddle(t);
}

static void on_idle(struct weir_codec *c, bool reusable)
{
    struct run *t = c->owner;
    assert(t->x == NULL);
    if (t->server)
        say(t, "idle", reusable);
    else if (reusable && t->chaos)
        open_next(t);
}

static void on_busy(struct weir_codec *c)
{
    struct run *t = c->owner;
    assert(t->x == NULL);
    say(t, "busy", 0);
}

static void on_closed(struct weir_codec *c, const struct weir_reset *why)
{
    struct run *t = c->owner;
    assert(t->codec == c && t->x == NULL && why != NULL);
    say(t, "closed", 0);
    free_codec(t);
}

static const struct weir_codec_events codec_events = {
    .accept = on_accept, .malformed = on_malformed, .idle = on_idle, .busy = on_busy, .closed = on_closed};

static const struct weir_http_limits limits = {.head_bytes_max = 600, .fields_max = 12, .body_bytes_max = 2000};

static void run_open(struct run *t, bool server, bool chaos, bool cut, uint64_t seed)
{
    surround(t, server, chaos, cut, seed);
    t->codec = server ? weir_h1_server_new(&limits, &codec_events, t, &t->out)
                      : weir_h1_client_new(&limits, &codec_events, t, &t->out);
    if (t->codec == NULL)
        abort();
    if (!server)
        open_next(t);
}

static void run_close(struct run *t)
{
    if (t->codec != NULL && !(t->over && !t->server))
        t->codec->ops->eof(t->codec, 0);
    for (int i = 0; i < 100 && t->codec != NULL && t->server; i++)
        turn_end(t);
    if (t->codec != NULL)
        free_codec(t);
    surround_close(t);
    weir_arena_reset(&t->arena);
}

static void run_once(struct run *t, bool server, bool chaos, bool cut, const uint8_t *data, size_t size)
{
    uint64_t seed;
    memcpy(&seed, data, sizeof seed);
    run_open(t, server, chaos, cut, seed);
    run_feed(t, data + sizeof seed, size - sizeof seed);
    run_close(t);
}

static int fuzz_h1(bool server, const uint8_t *data, size_t size)
{
    struct run whole, cut, chaos;
    if (size < sizeof(uint64_t))
        return 0;
    run_once(&whole, server, false, false, data, size);
    run_once(&cut, server, false, true, data, size);
    assert(whole.said == cut.said);
    assert(whole.wrote == cut.wrote);
    run_once(&chaos, server, true, data[0] % 2 == 0, data, size);
    return 0;
}

#endif
