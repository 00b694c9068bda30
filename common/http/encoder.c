#include "http/encoder.h"

#include <assert.h>
#include <stdlib.h>
#include <zlib.h>
#ifdef WEIR_HAVE_ZSTD
#include <zstd.h>
#endif

/* Speed counts: an answer of a language model is a few KB, and the level above costs half as much again for 5 %. */
#define GZIP_LEVEL           3
#define GZIP_WINDOW_BITS     13
#define GZIP_WINDOW_BITS_MIN 9 /* zlib's own */
#define GZIP_MEM_LEVEL       6
#define GZIP_WRAPPER         16 /* added to windowBits: a gzip header, not zlib's */

/* Each step of the window doubles what zstd allocates. */
#define ZSTD_WINDOW_LOG 13
#define ZSTD_HASH_LOG   12

/* Coded bytes per turn of the coder. */
#define SCRATCH_BYTES 16384

enum how { GO_ON, FLUSH, END };

struct weir_encoder {
    enum weir_coding coding;
    z_stream gzip;
#ifdef WEIR_HAVE_ZSTD
    ZSTD_CCtx *zstd;
#endif
    uint8_t *waiting;
    size_t waiting_at, waiting_len, waiting_cap;
    uint64_t sent;
    bool ended;
};

unsigned weir_encoder_built(void)
{
    unsigned built = 1u << WEIR_CODING_GZIP;
#ifdef WEIR_HAVE_ZSTD
    built |= 1u << WEIR_CODING_ZSTD;
#endif
    return built;
}

/* -- gzip -- */

static void *gzip_alloc(void *arg, unsigned count, unsigned size)
{
    (void)arg;
    return calloc(count, size);
}

static void gzip_free(void *arg, void *p)
{
    (void)arg;
    free(p);
}

static bool gzip_begin(struct weir_encoder *e, int64_t length)
{
    int bits = GZIP_WINDOW_BITS, level = GZIP_MEM_LEVEL;
    for (; length >= 0 && bits > GZIP_WINDOW_BITS_MIN && length <= INT64_C(1) << (bits - 1); bits--)
        level--;
    e->gzip.zalloc = gzip_alloc;
    e->gzip.zfree = gzip_free;
    return deflateInit2(&e->gzip, GZIP_LEVEL, Z_DEFLATED, bits + GZIP_WRAPPER, level, Z_DEFAULT_STRATEGY) == Z_OK;
}

/* Bytes put into out; *done: everything has been taken and, for FLUSH and END, given out. */
static int gzip_step(struct weir_encoder *e, enum how how, uint8_t *out, size_t cap, size_t *produced, bool *done)
{
    static const int flushes[] = {[GO_ON] = Z_NO_FLUSH, [FLUSH] = Z_SYNC_FLUSH, [END] = Z_FINISH};
    e->gzip.next_out = out;
    e->gzip.avail_out = (unsigned)cap;
    int rv = deflate(&e->gzip, flushes[how]);
    *produced = cap - e->gzip.avail_out;
    *done = how == END ? rv == Z_STREAM_END : e->gzip.avail_out > 0;
    /* Z_BUF_ERROR: there was nothing to do, which a second flush in a row is. */
    return rv == Z_STREAM_ERROR ? WEIR_EINVAL : WEIR_OK;
}

/* -- zstd -- */

#ifdef WEIR_HAVE_ZSTD
static bool zstd_begin(struct weir_encoder *e, int64_t length)
{
    ZSTD_inBuffer in = {"", 0, 0};
    uint8_t byte;
    ZSTD_outBuffer out = {&byte, sizeof byte, 0};
    e->zstd = ZSTD_createCCtx();
    if (e->zstd == NULL)
        return false;
    size_t rv[] = {
        ZSTD_CCtx_setParameter(e->zstd, ZSTD_c_strategy, ZSTD_fast),
        ZSTD_CCtx_setParameter(e->zstd, ZSTD_c_windowLog, ZSTD_WINDOW_LOG),
        ZSTD_CCtx_setParameter(e->zstd, ZSTD_c_hashLog, ZSTD_HASH_LOG),
        length >= 0 ? ZSTD_CCtx_setPledgedSrcSize(e->zstd, (unsigned long long)length) : 0,
        ZSTD_compressStream2(e->zstd, &out, &in, ZSTD_e_continue), /* allocates now rather than at the first byte */
    };
    for (size_t i = 0; i < sizeof rv / sizeof rv[0]; i++)
        if (ZSTD_isError(rv[i]))
            return false;
    assert(out.pos == 0);
    return true;
}

static int zstd_step(struct weir_encoder *e, ZSTD_inBuffer *in, enum how how, uint8_t *bytes, size_t cap,
                     size_t *produced, bool *done)
{
    static const ZSTD_EndDirective ends[] = {[GO_ON] = ZSTD_e_continue, [FLUSH] = ZSTD_e_flush, [END] = ZSTD_e_end};
    ZSTD_outBuffer out = {bytes, cap, 0};
    size_t left = ZSTD_compressStream2(e->zstd, &out, in, ends[how]);
    *produced = out.pos;
    *done = how == GO_ON ? in->pos == in->size : left == 0;
    return ZSTD_isError(left) ? WEIR_EINVAL : WEIR_OK;
}
#endif

/* -- handing on -- */

static int keep(struct weir_encoder *e, const uint8_t *p, size_t n)
{
    if (e->waiting_len + n > WEIR_ENCODER_WAITING_MAX)
        return WEIR_ELIMIT;
    if (e->waiting_len + n > e->waiting_cap) {
        size_t cap = e->waiting_cap != 0 ? e->waiting_cap : 1024;
        while (cap < e->waiting_len + n)
            cap *= 2;
        uint8_t *bytes = realloc(e->waiting, cap);
        if (bytes == NULL)
            return WEIR_ENOMEM;
        e->waiting = bytes;
        e->waiting_cap = cap;
    }
    memcpy(e->waiting + e->waiting_len, p, n);
    e->waiting_len += n;
    return WEIR_OK;
}

/* Until the exchange says that there is no room: only then it says later that there is. */
static size_t send_within_room(struct weir_encoder *e, struct weir_exchange *to, const uint8_t *p, size_t n)
{
    size_t room = to->ops->room(to), out = 0;
    while (out < n && room > 0) {
        size_t some = n - out < room ? n - out : room;
        room = to->ops->send_body(to, p + out, some);
        out += some;
    }
    e->sent += out;
    return out;
}

static int hand_on(struct weir_encoder *e, struct weir_exchange *to, const uint8_t *p, size_t n)
{
    size_t out = weir_encoder_waiting(e) == 0 ? send_within_room(e, to, p, n) : 0;
    return out < n ? keep(e, p + out, n - out) : WEIR_OK;
}

void weir_encoder_room(struct weir_encoder *e, struct weir_exchange *to)
{
    if (e->waiting == NULL)
        return;
    e->waiting_at += send_within_room(e, to, e->waiting + e->waiting_at, weir_encoder_waiting(e));
    if (e->waiting_at < e->waiting_len)
        return;
    free(e->waiting);
    e->waiting = NULL;
    e->waiting_at = e->waiting_len = e->waiting_cap = 0;
}

/* -- the coder -- */

static int run(struct weir_encoder *e, struct weir_exchange *to, const uint8_t *p, size_t n, enum how how)
{
    uint8_t scratch[SCRATCH_BYTES];
    bool done = false;
    int rv = WEIR_OK;
    assert(!e->ended);
#ifdef WEIR_HAVE_ZSTD
    ZSTD_inBuffer in = {p, n, 0};
#endif
    e->gzip.next_in = (uint8_t *)(uintptr_t)p; /* zlib declares it without const, and does not write to it */
    e->gzip.avail_in = (unsigned)n;
    while (!done && rv == WEIR_OK) {
        size_t produced = 0;
#ifdef WEIR_HAVE_ZSTD
        if (e->coding == WEIR_CODING_ZSTD)
            rv = zstd_step(e, &in, how, scratch, sizeof scratch, &produced, &done);
        else
#endif
            rv = gzip_step(e, how, scratch, sizeof scratch, &produced, &done);
        if (rv == WEIR_OK)
            rv = hand_on(e, to, scratch, produced);
    }
    e->ended = how == END;
    return rv;
}

int weir_encoder_push(struct weir_encoder *e, struct weir_exchange *to, const uint8_t *p, size_t n, bool flush)
{
    return run(e, to, p, n, flush ? FLUSH : GO_ON);
}

int weir_encoder_end(struct weir_encoder *e, struct weir_exchange *to)
{
    return run(e, to, NULL, 0, END);
}

size_t weir_encoder_waiting(const struct weir_encoder *e)
{
    return e->waiting_len - e->waiting_at;
}

size_t weir_encoder_credit(const struct weir_encoder *e, const struct weir_exchange *to)
{
    size_t room = weir_encoder_waiting(e) == 0 ? to->ops->room(to) : 0;
    return room < WEIR_ENCODER_CREDIT_MAX ? room : WEIR_ENCODER_CREDIT_MAX;
}

uint64_t weir_encoder_sent(const struct weir_encoder *e)
{
    return e->sent;
}

/* -- its life -- */

struct weir_encoder *weir_encoder_new(enum weir_coding c, int64_t length)
{
    assert((weir_encoder_built() & 1u << c) != 0);
    struct weir_encoder *e = calloc(1, sizeof *e);
    if (e == NULL)
        return NULL;
    e->coding = c;
#ifdef WEIR_HAVE_ZSTD
    bool begun = c == WEIR_CODING_ZSTD ? zstd_begin(e, length) : gzip_begin(e, length);
#else
    bool begun = gzip_begin(e, length);
#endif
    if (!begun)
        weir_encoder_free(&e);
    return e;
}

void weir_encoder_free(struct weir_encoder **e)
{
    if (*e == NULL)
        return;
    if ((*e)->coding == WEIR_CODING_GZIP)
        deflateEnd(&(*e)->gzip);
#ifdef WEIR_HAVE_ZSTD
    ZSTD_freeCCtx((*e)->zstd);
#endif
    free((*e)->waiting);
    free(*e);
    *e = NULL;
}
