/* Drives one HTTP/2 codec with bytes from a fuzzer, in two ways.
 *
 * Twins: the bytes go in whole, then cut at random; every exchange that is complete in both was told the same (one that
 * is reset may have been told more or less of it before). Chaos: between and
 * inside the callbacks, any downcall that the contract allows is made on any exchange, and writes fall short or fail.
 *
 * In both, the contract of http/exchange.h is asserted: the order of events, no body byte that was not granted, nothing
 * after the end of an exchange, and memory that stays within its bounds. The input's first eight bytes seed the chance;
 * the server gets the preface before the rest. */
#ifndef WEIR_TESTS_FUZZ_H2_HARNESS_H
#define WEIR_TESTS_FUZZ_H2_HARNESS_H

#include "h2_run.h"

/* -- the user -- */

static void check_over(struct user *u)
{
    if (u->ended && u->sent)
        u->x = NULL;
}

static void send_head(struct user *u, unsigned status, bool end)
{
    struct run *t = u->run;
    struct weir_exchange *x = u->x;
    struct weir_head head = {.status = (uint16_t)status, .content_length = WEIR_LENGTH_UNKNOWN};
    bool interim = t->server && status < 200;
    if (t->chaos && chance(t, 2) == 0)
        head.content_length = (int64_t)chance(t, 3000);
    if (!t->server) {
        head.method = t->chaos && chance(t, 3) == 0 ? WEIR_STR("HEAD") : WEIR_STR("GET");
        head.target = WEIR_STR("/");
        head.authority = WEIR_STR("a");
    }
    u->head_sent = !interim;
    if (end && !interim) {
        u->sent = true;
        check_over(u);
    }
    x->ops->send_head(x, &head, end);
}

static void send_end(struct user *u)
{
    struct weir_field sum = {WEIR_STR("x-sum"), WEIR_STR("1"), WEIR_FIELD_OTHER};
    struct weir_fields trailers = {&sum, 1, 1};
    bool with = u->run->chaos && chance(u->run, 3) == 0;
    struct weir_exchange *x = u->x;
    u->sent = true;
    check_over(u);
    x->ops->send_end(x, with ? &trailers : NULL);
}

static void grant(struct user *u, size_t n)
{
    u->granted += n;
    u->x->ops->grant(u->x, n);
}

static void take(struct run *t, struct weir_exchange *x);

static void downcall(struct run *t)
{
    static const char zeros[20000];
    struct user *u = t->count > 0 ? &t->users[chance(t, t->count)] : NULL;
    if (u == NULL || u->x == NULL)
        return;
    switch (chance(t, 8)) {
    case 0:
    case 1:
        grant(u, (size_t)chance(t, chance(t, 2) == 0 ? 4 : 70000));
        break;
    case 2:
        if (!u->head_sent && (u->head || !t->server))
            send_head(u, t->server ? (unsigned)(chance(t, 3) == 0 ? 100 : 200 + chance(t, 300)) : 0, chance(t, 3) == 0);
        break;
    case 3:
        if (u->head_sent && !u->sent)
            u->x->ops->send_body(u->x, zeros, (size_t)chance(t, chance(t, 4) != 0 ? 1500 : sizeof zeros));
        break;
    case 4:
        if (u->head_sent && !u->sent)
            send_end(u);
        break;
    case 5:
        if (chance(t, 8) == 0) {
            struct weir_exchange *x = u->x;
            u->x = NULL;
            x->ops->reset(x, WEIR_RESET_CANCEL);
        }
        break;
    case 6:
        if (chance(t, 64) == 0)
            t->codec->ops->drain(t->codec);
        else if (chance(t, 8) == 0)
            weir_h2_ping(t->codec);
        break;
    case 7:
        if (chance(t, 128) == 0)
            free_codec(t);
        else if (u->head && chance(t, 4) == 0)
            weir_arena_reset(&u->arena);
        break;
    }
}

static void open_next(struct run *t)
{
    struct weir_exchange *x = t->count < EXCHANGES_MAX ? t->codec->ops->open(t->codec) : NULL;
    if (x == NULL)
        return;
    take(t, x);
    send_head(&t->users[t->count - 1], 0, !t->chaos || chance(t, 2) == 0);
}

static void meddle(struct run *t)
{
    for (uint64_t n = t->chaos ? chance(t, 4) : 0; n > 0 && t->codec != NULL; n--)
        downcall(t);
    if (t->chaos && !t->server && t->codec != NULL && chance(t, 4) == 0)
        open_next(t);
}

static void give_credit(struct user *u)
{
    if (!u->run->chaos && u->x != NULL)
        grant(u, 1000000);
}

static void on_head(struct weir_exchange *x, struct weir_head *head)
{
    struct user *u = x->user;
    assert(u->x == x && !u->head && !u->ended);
    assert(u->run->server == (head->status == 0));
    say(u, "head", head->status);
    say(u, "length", (uint64_t)head->content_length);
    say(u, "flags", (uint64_t)(head->has_body * 2 + head->expect_continue));
    if (u->run->server) {
        assert(head->target.len > 0 && (head->target.ptr[0] == '/' || head->target.ptr[0] == '*'));
        assert(head->authority.len > 0 && head->method.len > 0);
        say_text(u, head->method);
        say_text(u, head->authority);
        say_text(u, head->target);
    }
    say_fields(u, &head->fields);
    u->head = u->run->server || head->status >= 200;
    if (u->head)
        give_credit(u);
    meddle(u->run);
}

static void on_body(struct weir_exchange *x, const uint8_t *p, size_t n)
{
    struct user *u = x->user;
    assert(u->x == x && u->head && !u->ended && n > 0 && n <= u->granted);
    u->granted -= n;
    if (!u->in_body)
        say(u, "body", 0);
    u->in_body = true;
    hash(&u->said, p, n);
    give_credit(u);
    meddle(u->run);
}

static void on_end(struct weir_exchange *x, const struct weir_fields *trailers)
{
    struct user *u = x->user;
    assert(u->x == x && u->head && !u->ended);
    say(u, "end", 0);
    say_fields(u, trailers);
    u->ended = u->whole = true;
    check_over(u);
    if (!u->run->chaos && u->run->server) {
        send_head(u, 200, false);
        x->ops->send_body(x, "ok", 2);
        send_end(u);
    }
    meddle(u->run);
}

static void on_reset(struct weir_exchange *x, const struct weir_reset *why)
{
    struct user *u = x->user;
    assert(u->x == x);
    u->x = NULL;
    say(u, "reset", why->reason);
    meddle(u->run);
}

static void on_room(struct weir_exchange *x, size_t room)
{
    struct user *u = x->user;
    assert(u->x == x && room > 0 && !u->sent);
    meddle(u->run);
}

static const struct weir_exchange_events exchange_events = {on_head, on_body, on_end, on_reset, on_room};

static void take(struct run *t, struct weir_exchange *x)
{
    struct user *u = &t->users[t->count++];
    memset(u, 0, sizeof *u);
    u->run = t;
    u->x = x;
    x->events = &exchange_events;
    x->user = u;
    x->arena = &u->arena;
}

/* -- what the codec tells -- */

static bool on_accept(struct weir_codec *c, struct weir_exchange *x)
{
    struct run *t = c->owner;
    if (t->count == EXCHANGES_MAX || (t->chaos && chance(t, 50) == 0))
        return false;
    take(t, x);
    return true;
}

static void on_malformed(struct weir_codec *c, struct weir_exchange *x, const struct weir_malformed *why, bool after)
{
    struct user *u = x->user;
    (void)c;
    assert(u->x == x && u->head == after && !u->ended && !u->sent);
    say(u, why->code, why->status);
    u->ended = u->head = true;
    if (!u->run->chaos)
        send_head(u, why->status, true);
    meddle(u->run);
}

static bool none_held(const struct run *t)
{
    unsigned i = 0;
    while (i < t->count && t->users[i].x == NULL)
        i++;
    return i == t->count;
}

static void on_idle(struct weir_codec *c, bool reusable)
{
    struct run *t = c->owner;
    (void)reusable;
    assert(none_held(t));
    meddle(t);
}

static void on_change(struct weir_codec *c)
{
    meddle(c->owner);
}

static void on_closed(struct weir_codec *c, const struct weir_reset *why)
{
    struct run *t = c->owner;
    assert(t->codec == c && why != NULL && none_held(t));
    free_codec(t);
}

static const struct weir_codec_events codec_events = {.accept = on_accept,
                                                      .malformed = on_malformed,
                                                      .idle = on_idle,
                                                      .busy = on_change,
                                                      .closed = on_closed,
                                                      .slots = on_change};

static const struct weir_http_limits limits = {.head_bytes_max = 2000, .fields_max = 20, .body_bytes_max = 20000};

static void run_open(struct run *t, bool server, bool chaos, bool cut, uint64_t seed)
{
    struct weir_h2_options options;
    surround(t, server, chaos, cut, seed);
    t->users = malloc(EXCHANGES_MAX * sizeof *t->users);
    weir_h2_options_init(&options, server);
    /* so that twins, whose streams close at different times, are refused the same */
    options.streams_max = chaos ? 20 : EXCHANGES_MAX;
    options.resets_per_second_max = options.noise_per_second_max = 0;
    t->codec = server ? weir_h2_server_new(&limits, &options, &codec_events, t, &t->out)
                      : weir_h2_client_new(&limits, &options, &codec_events, t, &t->out);
    if (t->codec == NULL || t->users == NULL)
        abort();
    for (int i = 0; i < 5 && !server && t->codec != NULL; i++)
        open_next(t);
}

/* What each exchange was told, 0 where it did not come to a good end. */
static void run_close(struct run *t, uint64_t *said)
{
    if (t->codec != NULL)
        t->codec->ops->eof(t->codec, 0);
    for (int i = 0; i < 100 && t->codec != NULL; i++)
        turn_end(t);
    if (t->codec != NULL)
        free_codec(t);
    surround_close(t);
    for (unsigned i = 0; i < t->count; i++) {
        weir_arena_reset(&t->users[i].arena);
        said[i] = t->users[i].whole ? t->users[i].said : 0;
    }
    free(t->users);
}

static unsigned run_once(bool server, bool chaos, bool cut, const uint8_t *data, size_t size, uint64_t *said)
{
    static const uint8_t preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0";
    struct run t;
    uint64_t seed;
    memcpy(&seed, data, sizeof seed);
    run_open(&t, server, chaos, cut, seed);
    if (server)
        run_feed(&t, preface, sizeof preface); /* the literal's own NUL ends the frame's head */
    run_feed(&t, data + sizeof seed, size - sizeof seed);
    run_close(&t, said);
    return t.count;
}

static int fuzz_h2(bool server, const uint8_t *data, size_t size)
{
    static uint64_t whole[EXCHANGES_MAX], cut[EXCHANGES_MAX], chaos[EXCHANGES_MAX];
    if (size < sizeof(uint64_t))
        return 0;
    unsigned n = run_once(server, false, false, data, size, whole);
    unsigned m = run_once(server, false, true, data, size, cut);
    for (unsigned i = 0; i < n && i < m; i++)
        assert(whole[i] == 0 || cut[i] == 0 || whole[i] == cut[i]);
    run_once(server, true, data[0] % 2 == 0, data, size, chaos);
    return 0;
}

#endif
