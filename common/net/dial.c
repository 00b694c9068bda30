/* How a race goes:
 *   an attempt succeeds        -> it is the winner; the others are aborted, done(stream)
 *   an attempt fails           -> the next address at once; none left and none open: done(error)
 *   the delay passes           -> the next address, while those before go on
 *   an attempt cannot begin    -> the next address, as if it had failed
 *   the owner closes the race  -> every attempt is aborted */
#include "net/dial.h"

#include <assert.h>
#include <stdlib.h>

struct attempt {
    struct weir_dial *dial;
    struct weir_stream *stream; /* NULL: not begun, or failed */
    struct weir_addr addr;
};

struct weir_dial {
    struct weir_reactor *reactor;
    struct weir_dial_opts opts;
    struct weir_deadline delay;
    unsigned count, next, open, failed;
    struct weir_err err; /* of the attempts that failed, the one to tell; ENOTFOUND: none has */
    struct attempt attempts[WEIR_DIAL_ATTEMPTS_MAX];
};

static void tell(const struct attempt *a, enum weir_dial_outcome outcome)
{
    const struct weir_dial_opts *o = &a->dial->opts;
    if (o->tried != NULL)
        o->tried(o->owner, &a->addr, outcome);
}

static void end(struct weir_dial *d)
{
    for (unsigned i = 0; i < d->next; i++)
        if (d->attempts[i].stream != NULL)
            weir_stream_close(&d->attempts[i].stream, true);
    weir_deadline_drop(&d->reactor->wheel, &d->delay);
    free(d);
}

static void finish(struct weir_dial *d, struct attempt *winner)
{
    struct weir_dial_opts o = d->opts;
    struct weir_dial_result result = {0};
    struct weir_err err = d->err;
    if (winner != NULL) {
        result.stream = winner->stream;
        result.addr = winner->addr;
        winner->stream = NULL;
    } else {
        if (d->failed > 1)
            weir_err_wrap(&err, "%u addresses failed, one of them", d->failed);
        result.err = &err;
    }
    end(d);
    o.done(o.owner, &result);
}

static void ended(struct weir_stream *s, int code, const struct weir_err *err);

/* Begins with the next address that can be tried; false: none is left. */
static bool begin_next(struct weir_dial *d)
{
    weir_deadline_clear(&d->delay);
    while (d->next < d->count) {
        struct attempt *a = &d->attempts[d->next++];
        struct weir_err err;
        int rv = d->opts.connect(&a->stream, d->reactor, &a->addr.sa, weir_addr_len(&a->addr), d->opts.tcp, &err);
        if (rv != 0) {
            weir_err_tell(&d->err, &err);
            d->failed++;
            if (rv != WEIR_ENOMEM && rv != WEIR_ELIMIT) /* those are not the address's doing */
                tell(a, WEIR_DIAL_FAILED);
            continue;
        }
        a->stream->owner = a;
        d->open++;
        weir_stream_start(a->stream, ended);
        if (d->next < d->count)
            weir_reactor_deadline(d->reactor, &d->delay, d->reactor->now_ms + WEIR_DIAL_DELAY_MS);
        return true;
    }
    return false;
}

static void won(struct attempt *winner)
{
    struct weir_dial *d = winner->dial;
    tell(winner, WEIR_DIAL_WON);
    for (struct attempt *a = d->attempts; a < winner; a++)
        if (a->stream != NULL)
            tell(a, WEIR_DIAL_LOST);
    finish(d, winner);
}

static void ended(struct weir_stream *s, int code, const struct weir_err *err)
{
    struct attempt *a = s->owner;
    struct weir_dial *d = a->dial;
    assert(a->stream == s);
    if (code == 0) {
        won(a);
        return;
    }
    weir_err_tell(&d->err, err);
    d->failed++;
    d->open--;
    weir_stream_close(&a->stream, false);
    tell(a, WEIR_DIAL_FAILED);
    if (!begin_next(d) && d->open == 0)
        finish(d, NULL);
}

static void delay_passed(struct weir_deadline *deadline, uint64_t now_ms)
{
    struct weir_dial *d = WEIR_CONTAINER(deadline, struct weir_dial, delay);
    (void)now_ms;
    (void)begin_next(d); /* none left: those that are open decide */
}

int weir_dial_start(struct weir_dial **out, struct weir_reactor *r, const struct weir_dial_opts *opts,
                    struct weir_err *err)
{
    assert(opts->count > 0 && opts->done != NULL);
    *out = NULL;
    struct weir_dial *d = calloc(1, sizeof *d);
    if (d == NULL)
        return weir_err_set(err, WEIR_ENOMEM, "connect: out of memory");
    d->reactor = r;
    d->opts = *opts;
    d->err.code = WEIR_ENOTFOUND;
    if (d->opts.connect == NULL)
        d->opts.connect = weir_tcp_connect;
    d->count = opts->count < WEIR_DIAL_ATTEMPTS_MAX ? opts->count : WEIR_DIAL_ATTEMPTS_MAX;
    for (unsigned i = 0; i < d->count; i++)
        d->attempts[i] = (struct attempt){.dial = d, .addr = opts->addrs[i]};
    d->opts.addrs = NULL; /* the caller's, and perhaps gone tomorrow */
    weir_deadline_init(&d->delay, delay_passed);
    if (!begin_next(d)) {
        *err = d->err;
        end(d);
        return err->code;
    }
    *out = d;
    return WEIR_OK;
}

void weir_dial_close(struct weir_dial **dial, bool late)
{
    struct weir_dial *d = *dial;
    if (d == NULL)
        return;
    *dial = NULL;
    for (unsigned i = 0; late && i < d->next; i++)
        if (d->attempts[i].stream != NULL)
            tell(&d->attempts[i], WEIR_DIAL_FAILED);
    end(d);
}

/* The first from `at` on that is (or is not) of the family. */
static unsigned find(const struct weir_addr *in, unsigned count, unsigned at, sa_family_t family, bool same)
{
    while (at < count && (in[at].sa.sa_family == family) != same)
        at++;
    return at;
}

void weir_dial_interleave(struct weir_addr *out, const struct weir_addr *in, unsigned count)
{
    if (count == 0)
        return;
    sa_family_t first = in[0].sa.sa_family;
    unsigned at[2] = {0, find(in, count, 0, first, false)};
    for (unsigned n = 0, turn = 0; n < count; turn = !turn) {
        if (at[turn] == count)
            continue;
        out[n++] = in[at[turn]];
        at[turn] = find(in, count, at[turn] + 1, first, turn == 0);
    }
}
